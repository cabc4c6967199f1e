//! A session's numbers as files that any other library can be held against.

use std::collections::HashMap;
use std::fmt::Write as _;

use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::{Value, json};

use super::compare::Comparison;
use super::lab::Lab;
use crate::StudyError;

/// Vectors of the novel classes' examples that the tasks of a comparison have, with class and row, as safetensors:
/// `embeddings` `[N, dims]` f32, `labels` `[N]` u32, `rows` `[N]` u32, and `centre` `[dims]` f32, the mean of base classes.
///
/// # Errors
/// The executor fails; the file cannot be written.
pub async fn embeddings_file(lab: &mut Lab, comparison: &Comparison) -> Result<Vec<u8>, StudyError> {
    let mut rows: Vec<u32> =
        comparison.records.iter().flat_map(|record| super::bench::rows(&record.episode).0).collect();
    rows.sort_unstable();
    rows.dedup();
    let vectors = lab.novel.vectors(&mut lab.encoder, &lab.pictures, &rows).await?;
    let centre: Vec<f32> = lab.centre().await?.into_iter().map(|x| x as f32).collect();
    let values: Vec<f32> = vectors.values.iter().map(|&x| x as f32).collect();
    let labels: Vec<u32> = rows.iter().map(|&row| lab.novel.examples.class(row)).collect();
    let views = [
        ("embeddings", Dtype::F32, vec![rows.len(), vectors.columns], bytemuck::cast_slice(&values)),
        ("labels", Dtype::U32, vec![rows.len()], bytemuck::cast_slice(&labels)),
        ("rows", Dtype::U32, vec![rows.len()], bytemuck::cast_slice(&rows)),
        ("centre", Dtype::F32, vec![centre.len()], bytemuck::cast_slice(&centre)),
    ];
    let failed = |error: safetensors::SafeTensorError| StudyError::Other(error.to_string());
    let mut named = Vec::new();
    for (name, dtype, shape, bytes) in views {
        named.push((name, TensorView::new(dtype, shape, bytes).map_err(failed)?));
    }
    serialize(named, None::<HashMap<String, String>>).map_err(failed)
}

/// Support and queries of every task: rows as in [`embeddings_file`]'s `rows`, classes as in its `labels`.
#[must_use]
pub fn tasks_json(comparison: &Comparison) -> Value {
    let task = |(number, record): (usize, &super::compare::Record)| {
        let episode = &record.episode;
        let query: Vec<u32> = episode.query.iter().map(|query| query.0).collect();
        let truth: Vec<usize> = episode.query.iter().map(|query| query.1).collect();
        json!({ "task": number, "classes": episode.classes, "support": episode.support, "query": query, "truth": truth })
    };
    comparison.records.iter().enumerate().map(task).collect()
}

/// Task, query, true class, class by each method; classes by place in the task.
#[must_use]
pub fn predictions_csv(comparison: &Comparison) -> String {
    let mut text = String::from("task,query,truth");
    comparison.methods().iter().for_each(|method| text.extend([",", method.id()]));
    text.push('\n');
    for (number, record) in comparison.records.iter().enumerate() {
        for (query, (_, truth)) in record.episode.query.iter().enumerate() {
            // Writing to a string does not fail.
            let _ = write!(text, "{number},{query},{truth}");
            for predicted in &record.predicted {
                let _ = write!(text, ",{}", predicted[query]);
            }
            text.push('\n');
        }
    }
    text
}
