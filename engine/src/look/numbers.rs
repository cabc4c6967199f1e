//! Predicted numbers against the true ones: a forecast of a series, and the target of a table.

use std::collections::BTreeMap;

use crate::data::{Target, Values};
use crate::executor::Executor;
use crate::figure::{Axis, Dash, Figure, Mark, Role};
use crate::train::{Feed, TrainError, Trainer, Value};

/// Id of the forecast of a series.
pub const FORECAST: &str = "forecast";
/// Id of the predictions for a table.
pub const PREDICTIONS: &str = "predictions";

/// Test examples that are drawn at most.
const MOST_POINTS: usize = 256;

/// What the model expects after a window of the test part, and what came.
pub fn forecast<E: Executor>(trainer: &Trainer<E>, row: u32, values: &BTreeMap<String, Value>) -> Option<Figure> {
    let Feed::Series { channels, window, horizon, target, .. } = *trainer.feed() else { return None };
    let Values::Series(series) = &trainer.data().values else { return None };
    let scaling = *series.scaling.get(target)?;
    let now = row as usize + window;
    let came = |step: usize| Some(scaling.raw(*series.values.get(step * channels + target)?));
    let place = |step: usize| step as f64 - now as f64 + 1.0;
    let line = |from: usize, to: usize| -> Option<Vec<[f64; 2]>> {
        (from..to).map(|step| Some([place(step), came(step)?])).collect()
    };
    let answers = values.get("logits")?.numbers.get(..horizon)?;
    let expected: Vec<[f64; 2]> =
        answers.iter().enumerate().map(|(ahead, &answer)| [place(now + ahead), scaling.raw(answer)]).collect();
    let truth = line(now, now + horizon)?;
    let error: f64 = truth.iter().zip(&expected).map(|(truth, expected)| (truth[1] - expected[1]).powi(2)).sum();
    let value = format!("off by {:.3} (root mean square)", (error / horizon.max(1) as f64).sqrt());
    let name = &series.columns[target];
    Some(Figure {
        id: FORECAST.to_owned(),
        title: "Forecast".to_owned(),
        meaning: "what it expects against what came, in a window of the test part".to_owned(),
        alt: format!("Forecast of {name} over {horizon} steps; {value}."),
        value,
        x: Axis { label: "steps from now".to_owned(), unit: series.interval.clone(), ..Axis::default() },
        y: Axis { label: name.clone(), ..Axis::default() },
        marks: vec![
            Mark::line("seen", Role::Other, Dash::Solid, line(row as usize, now)?),
            Mark::line("came", Role::Test, Dash::Solid, truth),
            Mark::line("expected", Role::Train, Dash::Dashed, expected),
        ],
        ..Figure::default()
    })
}

/// The predicted number of test examples over the true one.
pub async fn predictions<E: Executor>(trainer: &mut Trainer<E>, rows: &[u32]) -> Result<Option<Figure>, TrainError> {
    let Feed::Regression { targets: 1, .. } = *trainer.feed() else { return Ok(None) };
    let data = trainer.data().clone();
    let Values::Table(table) = &data.values else { return Ok(None) };
    let Target::Number { name, values, scaling } = &table.target else { return Ok(None) };
    let rows: Vec<u32> = rows.iter().copied().step_by(rows.len().div_ceil(MOST_POINTS).max(1)).collect();
    let found = trainer.look(&rows).await?;
    let Some(answers) = found.get("logits") else { return Ok(None) };
    let points: Vec<[f64; 2]> = rows
        .iter()
        .zip(&answers.numbers)
        .filter_map(|(&row, &answer)| Some([scaling.raw(*values.get(row as usize)?), scaling.raw(answer)]))
        .collect();
    let least = points.iter().map(|point| point[0]).fold(f64::INFINITY, f64::min);
    let most = points.iter().map(|point| point[0]).fold(f64::NEG_INFINITY, f64::max);
    let error: f64 = points.iter().map(|[truth, answer]| (truth - answer).powi(2)).sum();
    let value = format!("off by {:.3e} (root mean square)", (error / points.len().max(1) as f64).sqrt());
    Ok(Some(Figure {
        id: PREDICTIONS.to_owned(),
        title: "Predictions".to_owned(),
        meaning: "each test example's number as predicted, over the true one; right answers lie on the line".to_owned(),
        alt: format!("Predicted {name} of {} test examples over the true one; {value}.", points.len()),
        value,
        x: Axis { label: format!("true {name}"), ..Axis::default() },
        y: Axis { label: "predicted".to_owned(), ..Axis::default() },
        marks: vec![
            Mark::line("right", Role::Theory, Dash::Dashed, vec![[least, least], [most, most]]),
            Mark::Scatter { name: "test examples".to_owned(), role: Role::Test, points, classes: Vec::new() },
        ],
        ..Figure::default()
    }))
}
