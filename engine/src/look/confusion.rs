//! Confusion matrix of the test set.

use crate::data::Values;
use crate::executor::Executor;
use crate::figure::{Axis, Figure, Grid, Mark, Scale};
use crate::train::{Evaluation, Trainer};

/// The figure's id.
pub const ID: &str = "confusion";

/// More classes than this are not legible as a matrix.
const MOST_CLASSES: usize = 40;

/// Share of each true class (row) that was given each class (column).
pub fn figure<E: Executor>(trainer: &Trainer<E>, evaluation: &Evaluation) -> Option<Figure> {
    let data = trainer.data();
    let labels = data.labels()?;
    let names = data.classes();
    let classes = names.len();
    if classes == 0 || classes > MOST_CLASSES {
        return None;
    }
    let mut counts = vec![0.0_f32; classes * classes];
    for (&row, &guess) in evaluation.rows.iter().zip(&evaluation.predicted) {
        let truth = *labels.get(row as usize)? as usize;
        *counts.get_mut(truth * classes + guess as usize)? += 1.0;
    }
    let mut worst = (0.0, 0, 0);
    for (truth, row) in counts.chunks_exact_mut(classes).enumerate() {
        let total: f32 = row.iter().sum();
        for (guess, count) in row.iter_mut().enumerate() {
            *count = if total > 0.0 { *count / total } else { f32::NAN };
            if truth != guess && *count > worst.0 {
                worst = (*count, truth, guess);
            }
        }
    }
    let value = if worst.0 > 0.0 {
        format!("{} taken for {}: {:.0}%", names[worst.1], names[worst.2], worst.0 * 100.0)
    } else {
        "no confusion".to_owned()
    };
    let choose = match data.values {
        Values::Images(_) => ". A cell shows its pictures",
        _ => "",
    };
    Some(Figure {
        id: ID.to_owned(),
        title: "Confusion".to_owned(),
        meaning: format!("row: the truth; column: the guess; shares of each row{choose}"),
        alt: format!("Confusion matrix of {classes} classes; most frequent confusion: {value}."),
        value,
        x: Axis { label: "guess".to_owned(), categories: names.to_vec(), ..Axis::default() },
        y: Axis { label: "truth".to_owned(), categories: names.to_vec(), ..Axis::default() },
        marks: vec![Mark::HeatMap {
            grid: Grid { width: classes, height: classes, values: counts },
            scale: Scale::Linear,
            range: Some([0.0, 1.0]),
            rows: names.to_vec(),
            columns: names.to_vec(),
        }],
        ..Figure::default()
    })
}
