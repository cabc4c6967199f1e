//! How the gradients of single examples scatter about their mean, on one batch: what adaptive batch policies decide by.
//!
//! Two passes over the micro-batches, because the second compares each example with the mean gradient `g` of the first:
//!
//! - `<g_i, g>` of all examples is one forward-mode pass along `g`, exact for every model;
//! - `|g_i|^2` is exact for the parameters of dense layers, biases, norms and positions
//!   ([`square_norms`]); for the others (kernels, tables of tokens) `<g_i - g, r>^2` along
//!   random directions `r` of signs has the right mean (Hutchinson).
//!
//! Deviations are summed, not squares, so that nothing large cancels. A place of a micro-batch that is not used has
//! weight 0 in every sum. With augmentation the scatter is that of augmented examples, dropout included.

use super::TrainError;
use super::program::{GRADIENT, Programs, accumulate};
use crate::graph::jvp::jvp;
use crate::graph::samples::square_norms;
use crate::graph::{BinaryOp, DType, Graph, GraphError, InputKind, NodeId, Program, numel};
use crate::model::KEY;
use crate::rng::Draw;
use crate::tape::Captured;

/// State: what the passes over the micro-batches add up.
pub const STATISTICS: &str = "statistics";
/// Random directions at once.
const DIRECTIONS: usize = 8;
/// Numbers in the state: [`SQUARE`], [`ALONG`], [`EXACT`], and one a direction.
pub const LENGTH: usize = 3 + DIRECTIONS;

/// Place of `|g|^2`.
const SQUARE: usize = 0;
/// Place of the mean of `(<g_i, g> - |g|^2)^2`.
const ALONG: usize = 1;
/// Place of the mean of `|g_i|^2 - |g|^2` over the parameters for which it is exact.
const EXACT: usize = 2;

/// What was measured on the gradients `g_i` of a batch's examples and their mean `g`. Sample variances, with the
/// divisor b - 1; NaN for a batch of one, which has none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientStatistics {
    /// Examples in the batch, b.
    pub batch: usize,
    /// `|g|^2`.
    pub square: f64,
    /// V, the trace of the covariance of the `g_i`.
    pub variance: f64,
    /// Standard error of V from the spread between directions; 0 where it is exact.
    pub error: f64,
    /// Random directions that V was estimated with; 0 = exact.
    pub directions: usize,
    /// `Var <g_i, g>`.
    pub along: f64,
}

impl GradientStatistics {
    /// From the summed state. `estimated`: whether some parameters needed random directions.
    pub(super) fn from_sums(batch: usize, sums: &[f32], estimated: bool) -> Self {
        let of = |place: usize| sums.get(place).map_or(f64::NAN, |&sum| f64::from(sum));
        // From a mean over the batch to a sample variance.
        let unbiased = if batch > 1 { batch as f64 / (batch as f64 - 1.0) } else { f64::NAN };
        let mut statistics = GradientStatistics {
            batch,
            square: of(SQUARE),
            variance: unbiased * of(EXACT),
            error: 0.0,
            directions: 0,
            along: unbiased * of(ALONG),
        };
        if estimated {
            let n = DIRECTIONS as f64;
            let estimates: Vec<f64> = (EXACT + 1..LENGTH).map(|place| unbiased * of(place)).collect();
            let mean = estimates.iter().sum::<f64>() / n;
            let spread =
                estimates.iter().map(|estimate| (estimate - mean) * (estimate - mean)).sum::<f64>() / (n - 1.0);
            statistics.variance += mean;
            statistics.error = libm::sqrt(spread / n);
            statistics.directions = DIRECTIONS;
        }
        statistics.variance = not_negative(statistics.variance);
        statistics
    }

    /// Trace of the covariance of the parts of the `g_i` that are orthogonal to `g`: they have mean 0, so it is what V
    /// has beyond the part along `g`.
    pub fn across(&self) -> f64 {
        not_negative(self.variance - self.along / self.square)
    }

    /// Unbiased estimate of the square of the true gradient, of which `|g|^2` has V / b too much. May be negative.
    pub fn true_square(&self) -> f64 {
        self.square - self.variance / self.batch as f64
    }

    /// The gradient noise scale `tr(Sigma) / |G|^2` from this batch alone; infinite where no gradient can be told from
    /// the noise.
    pub fn noise_scale(&self) -> f64 {
        if self.true_square() > 0.0 { self.variance / self.true_square() } else { f64::INFINITY }
    }
}

/// Rounding may leave a little less than nothing of a sum of squares. NaN stays.
fn not_negative(x: f64) -> f64 {
    if x < 0.0 { 0.0 } else { x }
}

/// The second pass over a micro-batch, and whether it needs random directions. The mean gradient is in the state that
/// the first leaves.
pub fn program(programs: &Programs<'_>, micro: usize) -> Result<(Program, bool), TrainError> {
    let (mut program, captured, scored) = programs.augmented(micro)?;
    if !captured.states.is_empty() {
        return Err(TrainError::Spec("batch norm mixes examples: there are no gradients of single ones".to_owned()));
    }
    let graph = &mut program.graph;
    graph.set_label("statistics");
    let Captured { params, layout, .. } = &captured;
    let gradient = graph.input(GRADIENT, &[layout.len()], DType::F32, InputKind::State)?;
    let mean = layout.views(graph, gradient)?;
    // Of what learns: the rest has no gradient in the state.
    let each = params.iter().copied().zip(mean).zip(layout.entries()).filter(|(_, entry)| entry.rate != 0.0);
    let (params, mean): (Vec<NodeId>, Vec<NodeId>) = each.map(|(pair, _)| pair).unzip();
    let (losses, weight) = (scored.losses, scored.weight);

    let along = jvp(graph, &[losses], &params, &mean)?[0];
    let norms = square_norms(graph, losses, &params)?;
    let square = graph.mul(gradient, gradient)?;
    let square = graph.sum(square, &[0])?;
    let deviation = graph.sub(along, square)?;
    let deviation = graph.mul(deviation, deviation)?;
    let mut counted = graph.constant(0.0, &[1]);
    for (&mean, _) in mean.iter().zip(&norms.counted).filter(|(_, counted)| **counted) {
        let part = dot(graph, mean, mean)?;
        counted = graph.add(counted, part)?;
    }
    let exact = graph.sub(norms.squares, counted)?;
    // Weights sum to 1 over the micro-batches, so a constant stays what it is.
    let square = graph.broadcast_to(square, &[micro])?;
    let mut sums = Vec::with_capacity(4);
    for values in [square, deviation, exact] {
        sums.push(dot(graph, values, weight)?);
    }
    let rest = |k: &usize| !norms.counted[*k];
    let others: Vec<(NodeId, NodeId)> = (0..params.len()).filter(rest).map(|k| (params[k], mean[k])).collect();
    sums.push(if others.is_empty() {
        graph.constant(0.0, &[DIRECTIONS])
    } else {
        scatter(graph, losses, weight, &others)?
    });
    let sums = graph.concat(&sums, 0)?;
    accumulate(&mut program, STATISTICS, sums)?;
    Ok((program, !others.is_empty()))
}

/// Weighted mean of `<g_i - g, r>^2` along each random direction r, over some parameters with their mean gradients.
fn scatter(
    graph: &mut Graph,
    losses: NodeId,
    weight: NodeId,
    params: &[(NodeId, NodeId)],
) -> Result<NodeId, GraphError> {
    let key = graph.input(KEY, &[4], DType::U32, InputKind::Step)?;
    let mut mean = graph.constant(0.0, &[DIRECTIONS]);
    let mut directions = Vec::with_capacity(params.len());
    for (k, &(param, gradient)) in params.iter().enumerate() {
        let shape = [&[DIRECTIONS], graph.shape(param)].concat();
        let uniform = graph.random(key, Draw::Direction.stream(k as u32), &shape)?;
        let half = graph.constant(0.5, &shape);
        let (minus, plus) = (graph.constant(-1.0, &shape), graph.constant(1.0, &shape));
        let low = graph.binary(BinaryOp::Less, uniform, half)?;
        let signs = graph.select(low, minus, plus)?;
        let product = graph.mul(signs, gradient)?;
        let product = graph.reshape(product, &[DIRECTIONS, numel(&shape) / DIRECTIONS])?;
        let sum = graph.sum(product, &[1])?;
        let sum = graph.reshape(sum, &[DIRECTIONS])?;
        mean = graph.add(mean, sum)?;
        directions.push(signs);
    }
    let wrt: Vec<NodeId> = params.iter().map(|&(param, _)| param).collect();
    let slopes = jvp(graph, &[losses], &wrt, &directions)?[0];
    let mean = graph.reshape(mean, &[DIRECTIONS, 1])?;
    let deviation = graph.sub(slopes, mean)?;
    let deviation = graph.mul(deviation, deviation)?;
    let weighted = graph.mul(deviation, weight)?;
    let total = graph.sum(weighted, &[1])?;
    graph.reshape(total, &[DIRECTIONS])
}

/// Inner product, `[1]`.
fn dot(graph: &mut Graph, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
    let product = graph.mul(a, b)?;
    let total = graph.sum_all(product)?;
    graph.reshape(total, &[1])
}

#[cfg(test)]
pub(super) mod tests;
