//! The gradients of single examples as a cloud in the plane of their mean and the direction across it in which they scatter
//! most.
//!
//! For softmax regression example i's gradient is `(p_i - y_i) (x_i, 1)^T`, so inner products have a closed form:
//! `<g_i, g_j> = <p_i - y_i, p_j - y_j> (<x_i, x_j> + 1)`. They say all about the plane.

use super::ETA;
use crate::plot::axis;
use crate::{Context, Plot, Results, StudyError};
use engine::data::Values;
use engine::executor::AnyExecutor;
use engine::figure::{Dash, Figure, Mark, Role, brief};
use engine::numeric::{dot, eigen, softmax};
use engine::train::Trainer;

/// Examples in a cloud.
const EXAMPLES: usize = 128;
/// Corners of the circle.
const CORNERS: u32 = 96;

/// When a cloud is looked at: its name and title.
pub type Moment = [&'static str; 2];
/// Before the first update.
pub const START: Moment = ["start", "Single gradients at the start"];
/// After the last.
pub const END: Moment = ["end", "Single gradients at the end"];

/// Draws the cloud as it is now. Of networks, whose gradients have no closed form, there is none.
pub async fn keep(
    context: &mut Context<'_>,
    trainer: &mut Trainer<AnyExecutor>,
    [name, _]: Moment,
) -> Result<(), StudyError> {
    if !super::convex(&context.results.knobs) {
        return Ok(());
    }
    let data = trainer.data().clone();
    let mut rows = trainer.feed().train_rows(&data);
    rows.truncate(EXAMPLES);
    let looked = trainer.look(&rows).await?;
    let (Values::Table(table), Some(labels), Some(logits)) = (&data.values, data.labels(), looked.get("logits")) else {
        return Err(StudyError::Other("a cloud of gradients needs a classifier of table rows".into()));
    };
    let (features, classes) = (table.columns.len(), data.classes().len());
    let examples: Vec<Example> = rows
        .iter()
        .zip(logits.numbers.chunks_exact(classes))
        .map(|(&row, logits)| {
            let row = row as usize;
            Example::new(&table.values[row * features..][..features], logits, labels[row] as usize)
        })
        .collect();
    if let Some(points) = plane(&examples) {
        let picture = drawn(points, context.results.knobs.get(&ETA));
        context.results.keep(name, picture);
    }
    Ok(())
}

/// The figure of a moment; an announcement until it has come.
pub fn figure(results: &Results, [name, title]: Moment) -> Plot {
    let words = results.picture(name).map_or("", |kept| &kept.value);
    Plot::picture(results, name, format!("cloud-{name}"), title)
        .meaning(
            "Each dot is one example's gradient, drawn in units of their mean's length; the norm test asks that the mean's own \
             deviation stays within the circle.",
        )
        .says(words)
        .value("")
        .empty("A cloud of 128 gradients, of softmax regression only.")
}

/// What an example's gradient is made of.
struct Example {
    /// Inputs, and 1 for the bias.
    input: Vec<f64>,
    /// Probabilities less the target's.
    residual: Vec<f64>,
}

impl Example {
    fn new(input: &[f32], logits: &[f32], label: usize) -> Self {
        let mut residual = softmax(logits, 1.0);
        residual[label] -= 1.0;
        Self { input: input.iter().map(|&x| f64::from(x)).chain([1.0]).collect(), residual }
    }

    /// Inner product of two gradients.
    fn times(&self, other: &Self) -> f64 {
        dot(&self.residual, &other.residual) * dot(&self.input, &other.input)
    }
}

/// Each gradient along the mean g and along the direction across it in which they scatter most, in units of |g|. `None`
/// where there is no mean to speak of.
fn plane(examples: &[Example]) -> Option<Vec<[f64; 2]>> {
    let n = examples.len();
    let mut products: Vec<f64> = examples.iter().flat_map(|a| examples.iter().map(|b| a.times(b))).collect();
    let along: Vec<f64> = products.chunks_exact(n).map(|row| row.iter().sum::<f64>() / n as f64).collect();
    let square = along.iter().sum::<f64>() / n as f64;
    for (i, row) in products.chunks_exact_mut(n).enumerate() {
        for (product, other) in row.iter_mut().zip(&along) {
            *product -= along[i] * other / square;
        }
    }
    let across = eigen(products, n)?;
    let scale = libm::sqrt(across.values.first()?.max(0.0) / square);
    Some(along.iter().zip(across.vectors.first()?).map(|(along, place)| [along / square, scale * place]).collect())
}

/// A cloud of such points with the circle of the norm test.
pub fn drawn(points: Vec<[f64; 2]>, eta: f64) -> Figure {
    let corner = |k: u32| {
        let angle = std::f64::consts::TAU * f64::from(k) / f64::from(CORNERS);
        [1.0 + eta * libm::cos(angle), eta * libm::sin(angle)]
    };
    let reach = points.iter().flatten().fold(0.0, |most: f64, x| most.max(x.abs()));
    let scatter = |name: &str, role, points| Mark::Scatter { name: name.into(), role, points, classes: Vec::new() };
    let circle = Mark::line("η|g| about the mean", Role::Limit, Dash::Dashed, (0..=CORNERS).map(corner).collect());
    let marks =
        vec![scatter("one example", Role::Other, points), circle, scatter("their mean", Role::Train, vec![[1.0, 0.0]])];
    Figure {
        x: axis("along the mean", "|g|"),
        y: axis("across it", "|g|"),
        value: format!("single gradients reach {} times the length of their mean", brief(reach)),
        marks,
        ..Figure::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gradients written out, from the definition.
    fn written_out(example: &Example) -> Vec<f64> {
        example.residual.iter().flat_map(|r| example.input.iter().map(move |x| r * x)).collect()
    }

    #[test]
    fn the_plane_is_that_of_the_gradients_written_out() {
        let example = |k: usize| {
            let wave = |i: usize| (1.7 * (3 * k + i) as f32).sin();
            Example::new(&[wave(0), wave(1)], &[wave(2), wave(3), wave(4)], k % 3)
        };
        let examples: Vec<Example> = (0..12).map(example).collect();
        let gradients: Vec<Vec<f64>> = examples.iter().map(written_out).collect();
        assert!((examples[0].times(&examples[5]) - dot(&gradients[0], &gradients[5])).abs() < 1e-12);
        let points = plane(&examples).unwrap();
        let mean: Vec<f64> = (0..9).map(|k| gradients.iter().map(|g| g[k]).sum::<f64>() / 12.0).collect();
        let square = dot(&mean, &mean);
        // The direction across, from the coordinates and the parts of the gradients across the mean.
        let part = |g: &[f64], along: f64, k: usize| g[k] - along * mean[k];
        let direction: Vec<f64> =
            (0..9).map(|k| gradients.iter().zip(&points).map(|(g, p)| p[1] * part(g, p[0], k)).sum()).collect();
        let length = dot(&direction, &direction).sqrt();
        assert!(dot(&direction, &mean).abs() < 1e-9 * length);
        for (gradient, [along, across]) in gradients.iter().zip(&points) {
            assert!((dot(gradient, &mean) / square - along).abs() < 1e-9);
            assert!((dot(gradient, &direction) / length / square.sqrt() - across).abs() < 1e-9);
        }
        // Both means: 1 along, 0 across.
        let means = [0, 1].map(|axis| points.iter().map(|point| point[axis]).sum::<f64>() / 12.0);
        assert!((means[0] - 1.0).abs() < 1e-9 && means[1].abs() < 1e-9, "{means:?}");
    }
}
