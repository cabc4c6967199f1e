//! What the gradients of small batches say beside the noise scale: signal-to-noise by layer, the batch size of CABS, and the
//! evidence-based criterion of early stopping.

use serde::Serialize;

use super::super::figures::{Gauge, axis, level, over_steps, words};
use super::super::reading::Reading;
use super::Gauged;
use crate::figure::{Axis, BarSeries, Dash, Figure, Mark, Role, Scale, brief, gap};
use crate::graph::numel;
use crate::model::ParamLayout;
use crate::probe::SmallBatches;
use crate::tree::FromTree;

/// How far a layer's gradient stands out of its noise.
#[derive(Clone, Debug, PartialEq, Serialize, FromTree)]
pub struct LayerSignal {
    /// Its module.
    pub name: String,
    /// `B |G|^2 / tr Sigma` over its parameters, for the batch in use; not above 0 where noise drowns the signal.
    #[serde(with = "gap")]
    pub value: f64,
    /// Its standard error.
    #[serde(with = "gap")]
    pub error: f64,
}

/// Signal over noise of a batch's gradient, by module (Liu, Bai, Jiang, Chen, Wang, "Understanding why neural networks
/// generalize well through GSNR of parameters", ICLR 2020, arXiv 2001.07384; sums over a layer instead of single parameters,
/// both without bias).
pub(super) fn signal(parts: &SmallBatches, layout: &ParamLayout, batch: usize) -> Vec<LayerSignal> {
    let mut modules: Vec<(String, std::ops::Range<usize>)> = vec![];
    for entry in layout.entries() {
        let name = entry.name.rsplit_once('.').map_or(entry.name.as_str(), |(module, _)| module);
        let end = entry.offset + numel(&entry.shape);
        match modules.last_mut() {
            Some((last, place)) if last == name => place.end = end,
            _ => modules.push((name.to_owned(), entry.offset..end)),
        }
    }
    let told = |(name, place)| {
        let [value, error] = parts.within(place).noise_scale().map_or([f64::NAN; 2], |found| found.clarity);
        LayerSignal { name, value: batch as f64 * value, error: batch as f64 * error }
    };
    modules.into_iter().map(told).collect()
}

/// The batch size of CABS, `eta tr Sigma / L` (Balles, Romero, Hennig, "Coupling adaptive batch sizes with learning rates", UAI
/// 2017, arXiv 1612.05086, equation 13): the larger the rate and the noise, and the closer the loss L to 0, the more examples.
pub(super) fn cabs(parts: &SmallBatches, rate: f64, loss: f64) -> Gauged {
    match parts.noise_scale() {
        // At rate 0, as after the last update, it says nothing.
        Some(found) if rate > 0.0 => {
            let scale = rate / loss;
            Gauged { value: scale * found.noise, error: scale * found.noise_error, samples: found.samples }
        }
        _ => Gauged { samples: parts.samples().max(1), ..Gauged::AWAITED },
    }
}

/// `1 - mean_j (g_j^2 / var g_j)`: above 0 the gradient is no larger than noise alone would make it (Mahsereci, Balles, Lassner,
/// Hennig, "Early stopping without a validation set", 2017, arXiv 1703.09580, equation 9). The variance of the mean gradient is
/// that between the small batches; of n of them a square of Student's t has mean `(n - 1) / (n - 3)`, which is divided out.
/// Parameters whose gradient is 0 in all of them are left out. The error is the jackknife's.
pub(super) fn stopping(parts: &SmallBatches) -> Gauged {
    let gradients = parts.gradients();
    let n = gradients.len() as f64;
    if n < 5.0 {
        return Gauged { samples: parts.samples().max(1), ..Gauged::AWAITED };
    }
    // Sums over the parameters, with all batches and without each.
    let mut sums = vec![0.0; gradients.len() + 1];
    let mut counts = vec![0.0; gradients.len() + 1];
    for parameter in 0..gradients[0].len() {
        let of = |k: usize| f64::from(gradients[k][parameter]);
        let (sum, squares) = (0..gradients.len()).fold((0.0, 0.0), |(s, q), k| (s + of(k), q + of(k) * of(k)));
        for (left, (total, count)) in sums.iter_mut().zip(&mut counts).enumerate() {
            let out = left.checked_sub(1).map(of);
            let n = n - f64::from(u8::from(out.is_some()));
            let (sum, squares) = (sum - out.unwrap_or(0.0), squares - out.map_or(0.0, |g| g * g));
            let variance = (squares - sum * sum / n) / (n - 1.0) / n;
            if variance > 0.0 {
                *total += (sum / n) * (sum / n) / variance * (n - 3.0) / (n - 1.0);
                *count += 1.0;
            }
        }
    }
    let values: Vec<f64> = sums.iter().zip(&counts).map(|(sum, count)| 1.0 - sum / count).collect();
    let mean = values[1..].iter().sum::<f64>() / n;
    let squares: f64 = values[1..].iter().map(|value| (value - mean) * (value - mean)).sum();
    Gauged { value: values[0], error: libm::sqrt((n - 1.0) / n * squares), samples: parts.samples() }
}

pub(super) fn signal_figure(readings: &[&Reading]) -> Figure {
    let (id, title) = ("signal", "Gradient signal-to-noise by layer");
    let meaning = "of a batch: above 1 its gradient is more signal than noise; no bar: noise drowns it";
    let told = readings.iter().rev().find_map(|reading| {
        reading.told.signal.as_ref().filter(|layers| !layers.is_empty()).map(|layers| (reading, layers))
    });
    let Some((reading, layers)) = told else {
        return Figure { empty: "Being measured.".into(), ..words(id, title, meaning, String::new()) };
    };
    let clear = |layer: &&LayerSignal| layer.value > layer.error;
    let shown = |layer: &LayerSignal| if clear(&layer) { layer.value as f32 } else { f32::NAN };
    let error = layers.iter().filter(clear).map(|layer| layer.error / layer.value).fold(0.0, f64::max);
    let drowned = layers.iter().filter(|layer| !clear(layer)).count();
    let errors = if drowned == layers.len() {
        "all drowned".to_owned()
    } else {
        format!("errors up to {}%", brief(100.0 * error))
    };
    Figure {
        x: Axis { categories: layers.iter().map(|layer| layer.name.clone()).collect(), ..Axis::default() },
        y: axis("B |G|² / tr Σ", Scale::Log),
        marks: vec![
            Mark::Bars {
                series: vec![BarSeries {
                    name: "signal over noise".into(),
                    role: Role::Train,
                    values: layers.iter().map(shown).collect(),
                }],
                stacked: false,
            },
            level("as much noise", 1.0),
        ],
        ..words(id, title, meaning, format!("step {} · B = {} · {errors}", reading.step, reading.batch))
    }
}

pub(super) fn cabs_figure(readings: &[&Reading]) -> Figure {
    let used = over_steps(readings, |reading| reading.batch as f64);
    Gauge {
        id: "cabs",
        title: "Batch by CABS",
        meaning: "η tr Σ / loss: examples that balance the gradient's noise against what a step gains; made for plain descent",
        label: "batch",
        limits: vec![Mark::line("batch in use", Role::Batch, Dash::Solid, used)],
        shown: None,
    }
    .over_steps(readings, |told| told.cabs)
}

pub(super) fn stopping_figure(readings: &[&Reading]) -> Figure {
    Gauge {
        id: "stopping",
        title: "Early-stopping criterion",
        meaning: "above 0 the gradient is no larger than noise alone would make it: nothing is left to learn from these examples",
        label: "1 − g²/σ²",
        limits: vec![level("stop", 0.0)],
        shown: Some([-0.1, 0.1]),
    }
    .over_steps(readings, |told| told.stopping)
}
