//! Adafactor (Shazeer, Stern 2018, arXiv 1804.04235, algorithms 4 and 5): of a matrix's second moments it keeps the means of
//! rows and of columns alone, whose product over their mean stands for all; each layer's step is measured by its weights. After t
//! updates, with `share = t^-0.8` and `q = g g + 1e-30`:
//!
//! `R += share (row means of q - R)`, C likewise of columns, `V = R C / mean(R)`; of all but matrices `V += share (q - V)`;
//! `u = g / sqrt(V)`, `theta -= lr (max(1e-3, rms(theta)) u / max(1, rms(u)) + decay theta)`.
//!
//! A kernel of a convolution is output channels by the rest. The rate is the schedule's; the paper's falls as `t^-0.5` by itself.

use super::{Direction, Hyper, Kernel, State, Step};
use crate::graph::{BinaryOp, GraphError, NodeId, UnaryOp, numel};
use crate::model::{ParamEntry, ParamLayout};

const ROWS: State = State { name: "adafactor.rows", len: |layout| matrices(layout).map(|[rows, _]| rows).sum() };
const COLUMNS: State =
    State { name: "adafactor.columns", len: |layout| matrices(layout).map(|[_, columns]| columns).sum() };
/// Of what is in no matrix.
const REST: State = State {
    name: "adafactor.v",
    len: |layout| layout.len() - matrices(layout).map(|[rows, columns]| rows * columns).sum::<usize>(),
};

// Its step does not shrink with the gradient.
pub(super) const KERNEL: Kernel =
    Kernel { own: |_, bias| [libm::pow(bias.updates(), -0.8), 0.0], ..Kernel::of(&[ROWS, COLUMNS, REST], direction) };

/// Added to squares, and the least that a second moment counts as.
const LEAST_SQUARE: f32 = 1e-30;
/// Weights count as at least so large.
const LEAST_RMS: f32 = 1e-3;

/// Rows and columns of a parameter that is a matrix.
fn matrix(entry: &ParamEntry) -> Option<[usize; 2]> {
    let (&rows, rest) = entry.shape.split_first()?;
    let columns = numel(rest);
    (rows.min(columns) > 1).then_some([rows, columns])
}

fn matrices(layout: &ParamLayout) -> impl Iterator<Item = [usize; 2]> {
    layout.entries().iter().filter_map(matrix)
}

/// A state whose parts are renewed layer by layer.
struct Renewed {
    state: State,
    parts: Vec<NodeId>,
    done: usize,
}

impl Renewed {
    fn new(state: State) -> Self {
        Renewed { state, parts: vec![], done: 0 }
    }

    /// Takes the next layer's squares into its part.
    fn with(&mut self, step: &mut Step<'_>, squares: NodeId) -> Result<NodeId, GraphError> {
        let shape = step.graph.shape(squares).to_vec();
        let whole = step.state(self.state)?;
        let old = step.graph.slice(whole, &[self.done], &[numel(&shape)])?;
        let old = step.graph.reshape(old, &shape)?;
        let share = step.hyper(Hyper::First)?;
        let new = step.mix(share, old, squares)?;
        self.parts.push(step.graph.reshape(new, &[numel(&shape)])?);
        self.done += numel(&shape);
        Ok(new)
    }

    /// The whole of it; nothing where no layer has a part.
    fn joined(self, step: &mut Step<'_>) -> Result<Option<(State, NodeId)>, GraphError> {
        if self.parts.is_empty() {
            return Ok(None);
        }
        Ok(Some((self.state, step.graph.concat(&self.parts, 0)?)))
    }
}

fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let layout = step.layout;
    let [mut rows, mut columns, mut rest] = [ROWS, COLUMNS, REST].map(Renewed::new);
    let mut directions = Vec::with_capacity(layout.entries().len());
    for entry in layout.entries() {
        let size = [numel(&entry.shape)];
        let shape = matrix(entry).map_or(size.to_vec(), |sizes| sizes.to_vec());
        let [gradient, weights] = [step.gradient, step.theta].map(|flat| {
            let part = step.graph.slice(flat, &[entry.offset], &size)?;
            step.graph.reshape(part, &shape)
        });
        let (gradient, weights) = (gradient?, weights?);
        let square = step.graph.mul(gradient, gradient)?;
        let square = step.graph.add_scalar(square, LEAST_SQUARE)?;
        let second = if shape.len() > 1 {
            let (of_rows, of_columns) = (step.graph.mean(square, &[1])?, step.graph.mean(square, &[0])?);
            let row = rows.with(step, of_rows)?;
            let column = columns.with(step, of_columns)?;
            let mean = step.graph.mean(row, &[0])?;
            let row = step.graph.div(row, mean)?;
            step.graph.mul(row, column)?
        } else {
            rest.with(step, square)?
        };
        // f32 has no product of two moments that are next to nothing, as of a silent unit and a pixel that is never lit.
        let least = step.graph.constant(LEAST_SQUARE, &[1]);
        let second = step.graph.binary(BinaryOp::Max, second, least)?;
        let root = step.graph.unary(UnaryOp::Sqrt, second)?;
        let direction = step.graph.div(gradient, root)?;
        let (length, size_of_weights) = (rms(step, direction, 1.0)?, rms(step, weights, LEAST_RMS)?);
        let factor = step.graph.div(size_of_weights, length)?;
        let direction = step.graph.mul(direction, factor)?;
        directions.push(step.graph.reshape(direction, &size)?);
    }
    let direction = step.graph.concat(&directions, 0)?;
    let mut states = Vec::with_capacity(3);
    for renewed in [rows, columns, rest] {
        states.extend(renewed.joined(step)?);
    }
    Ok(Direction { direction, states })
}

/// Root mean square of a layer, or `least`.
fn rms(step: &mut Step<'_>, x: NodeId, least: f32) -> Result<NodeId, GraphError> {
    let square = step.graph.mul(x, x)?;
    let axes: Vec<usize> = (0..step.graph.shape(x).len()).collect();
    let mean = step.graph.mean(square, &axes)?;
    let root = step.graph.unary(UnaryOp::Sqrt, mean)?;
    let shape = step.graph.shape(root).to_vec();
    let least = step.graph.constant(least, &shape);
    step.graph.binary(BinaryOp::Max, root, least)
}
