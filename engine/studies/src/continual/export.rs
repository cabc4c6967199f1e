//! What a session came to, as files.

use ::safetensors::tensor::{Dtype, TensorView, serialize};
use engine::continual::{ContinualSpec, Course, Record};
use engine::model::ParamLayout;
use serde_json::{Value, json};

use crate::StudyError;

/// The accuracy matrices: a row for each arm, seed, task learned and task tested.
pub fn csv<'a>(course: &Course, runs: impl Iterator<Item = (usize, usize, &'a Record)>) -> String {
    let mut text = String::from("strategy,seed,after_task,on_task,accuracy\n");
    for (arm, seed, record) in runs {
        let (arm, seed) = (quoted(&course.arms[arm]), course.seeds[seed]);
        for (after, row) in record.rows().iter().enumerate() {
            for (on, accuracy) in row.iter().enumerate() {
                text += &format!("{arm},{seed},{},{},{accuracy:.6}\n", after + 1, on + 1);
            }
        }
    }
    text
}

/// Everything: link, course, and for every arm and seed its matrix, numbers, readings and costs.
pub fn json<'a>(
    spec: &ContinualSpec,
    course: &Course,
    runs: impl Iterator<Item = (usize, usize, &'a Record)>,
) -> Value {
    let run = |(arm, seed, record): (usize, usize, &Record)| {
        let summary: serde_json::Map<String, Value> =
            record.summary().rows().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        json!({
            "strategy": course.arms[arm],
            "as_in_link": spec.arms[arm].text(),
            "seed": course.seeds[seed],
            "R": record.rows(),
            "metrics": summary,
            "readings": record.readings,
            "confusion": record.insight.confusion,
            "moved": record.insight.moved,
            "drifted": record.insight.drifted,
            "cost": record.cost,
        })
    };
    json!({
        "link": spec.link().fragment(),
        "tasks": course.tasks,
        "outputs": course.outputs,
        "borders": course.borders,
        "notes": course.notes,
        "runs": runs.map(run).collect::<Vec<_>>(),
    })
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// Parameters of networks by name, each tensor under `NAME/PATH`.
///
/// # Errors
/// They cannot be written.
pub fn safetensors(networks: &[(String, ParamLayout, Vec<f32>)]) -> Result<Vec<u8>, StudyError> {
    let failed = |error: ::safetensors::SafeTensorError| StudyError::Other(error.to_string());
    let mut views = Vec::new();
    for (name, layout, theta) in networks {
        for entry in layout.entries() {
            let values = &theta[entry.offset..entry.offset + entry.shape.iter().product::<usize>()];
            let view =
                TensorView::new(Dtype::F32, entry.shape.clone(), bytemuck::cast_slice(values)).map_err(failed)?;
            views.push((format!("{name}/{}", entry.name), view));
        }
    }
    serialize(views, None).map_err(failed)
}
