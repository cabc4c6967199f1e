//! Muon (Jordan 2024, kellerjordan.github.io/posts/muon): the step of a matrix is its Nesterov momentum with all singular
//! values brought close to 1, by five Newton-Schulz iterations; that of every other parameter is AdamW's.
//!
//! Matrices are the weights of hidden layers, kernels of convolutions as output channels by the rest; queries, keys and
//! values count as three. Embeddings, the last layer, biases and norms are left to AdamW, and vectors in the shape of a
//! matrix as well. A matrix of r x c is scaled by `0.2 sqrt(max(r, c))`, which gives its update the root mean square that
//! Adam's usually has, so that one learning rate and one weight decay serve all (Liu et al. 2025, arXiv 2502.16982,
//! section 2.2).
//!
//! Matrices of one shape are iterated together: a launch a product, however many layers there are.

use std::collections::BTreeMap;

use super::layers::elements;
use super::{Direction, Hyper, Kernel, State, Step, adam, is_weight};
use crate::graph::{BinaryOp, Graph, GraphError, NodeId, UnaryOp, numel};
use crate::model::{ParamEntry, ParamLayout};

/// Means of the gradient: with the momentum as share for matrices, with beta1 for the others.
const MEAN: State = State::vector("muon.m");
/// Means of the squared gradient, for the parameters in no matrix.
const SECOND: State = State { name: "muon.v", len: |layout| layout.len() - Parts::of(layout).in_matrices() };

// Its step does not shrink with the gradient.
pub(super) const KERNEL: Kernel = Kernel::of(&[MEAN, SECOND], direction);

/// Coefficients of `a X + b (X X^T) X + c (X X^T)^2 X`: the steepest slope at 0 that keeps singular values near 1.
const COEFFICIENTS: [f32; 3] = [3.4445, -4.7750, 2.0315];
/// Iterations.
const ITERATIONS: usize = 5;
/// Least norm that a matrix is divided by.
const LEAST_NORM: f32 = 1e-7;
/// Root mean square of Adam's updates, as a rule.
const ADAM_RMS: f32 = 0.2;

/// A matrix in theta, no taller than wide: its transpose where it lies there upright.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Matrix {
    /// Its first element.
    start: usize,
    /// Rows and columns.
    sizes: [usize; 2],
    /// Elements to advance per row and per column.
    strides: [usize; 2],
}

impl Matrix {
    fn new(start: usize, sizes: [usize; 2], stride: usize) -> Self {
        let ([rows, columns], strides) = (sizes, [stride, 1]);
        if rows <= columns {
            Matrix { start, sizes, strides }
        } else {
            Matrix { start, sizes: [columns, rows], strides: [1, stride] }
        }
    }

    /// The matrices of a parameter; none if it is AdamW's.
    fn of(entry: &ParamEntry) -> Vec<Self> {
        let ParamEntry { name, shape, offset, .. } = entry;
        let module = name.split('.').next().unwrap_or_default();
        if !is_weight(entry) || ["tokens", "head"].contains(&module) {
            return vec![];
        }
        let (rows, columns) = (shape[0], numel(&shape[1..]));
        // Linear layers have a column an output: three blocks of columns.
        let blocks = if name.contains("qkv") { 3 } else { 1 };
        let width = columns / blocks;
        if rows.min(width) < 2 {
            return vec![];
        }
        (0..blocks).map(|block| Matrix::new(offset + block * width, [rows, width], columns)).collect()
    }
}

/// Which parameters are in matrices.
struct Parts {
    /// Matrices by their sizes.
    groups: BTreeMap<[usize; 2], Vec<Matrix>>,
    /// Parameters in none of them.
    rest: Vec<usize>,
    /// Where each parameter is when the matrices are laid one after another and the rest behind them.
    places: Vec<usize>,
}

impl Parts {
    fn of(layout: &ParamLayout) -> Self {
        let mut groups: BTreeMap<[usize; 2], Vec<Matrix>> = BTreeMap::new();
        for matrix in layout.entries().iter().flat_map(Matrix::of) {
            groups.entry(matrix.sizes).or_default().push(matrix);
        }
        let mut places = vec![None; layout.len()];
        let mut next = 0;
        for &Matrix { start, sizes, strides } in groups.values().flatten() {
            for row in 0..sizes[0] {
                for column in 0..sizes[1] {
                    places[start + row * strides[0] + column * strides[1]] = Some(next);
                    next += 1;
                }
            }
        }
        let rest: Vec<usize> = (0..places.len()).filter(|&k| places[k].is_none()).collect();
        for (behind, &k) in rest.iter().enumerate() {
            places[k] = Some(next + behind);
        }
        Parts { groups, rest, places: places.into_iter().flatten().collect() }
    }

    /// Parameters in matrices.
    fn in_matrices(&self) -> usize {
        self.places.len() - self.rest.len()
    }
}

fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let parts = Parts::of(step.layout);
    let numbers = |places: &[usize]| places.iter().map(|&place| place as f32).collect::<Vec<f32>>();
    let place = step.graph.literal(&numbers(&parts.places), &[step.layout.len()])?;
    let matrices = step.graph.constant(parts.in_matrices() as f32, &[1]);
    let in_matrix = step.graph.binary(BinaryOp::Less, place, matrices)?;
    let of_velocity = step.hyper(Hyper::NewVelocity)?;
    let of_mean = step.hyper(Hyper::NewMean)?;
    let share = step.graph.select(in_matrix, of_velocity, of_mean)?;
    let old = step.state(MEAN)?;
    let m = step.mix(share, old, step.gradient)?;

    let mut states = vec![(MEAN, m)];
    let mut directions = Vec::with_capacity(parts.groups.len() + 1);
    if !parts.groups.is_empty() {
        let ahead = step.mix(of_velocity, m, step.gradient)?;
        for (sizes, group) in &parts.groups {
            let x = gathered(step.graph, ahead, *sizes, group)?;
            let x = orthogonalised(step.graph, x)?;
            let x = step.graph.scale(x, ADAM_RMS * (sizes[1] as f32).sqrt())?;
            directions.push(step.graph.reshape(x, &[group.len() * numel(sizes)])?);
        }
    }
    if !parts.rest.is_empty() {
        let rest = step.graph.literal(&numbers(&parts.rest), &[parts.rest.len()])?;
        let mean = elements(step.graph, m, rest)?;
        let gradient = elements(step.graph, step.gradient, rest)?;
        let square = step.graph.mul(gradient, gradient)?;
        let v = step.average(SECOND, Hyper::NewSquare, square)?;
        directions.push(adam::normalised(step, mean, v)?);
        states.push((SECOND, v));
    }
    let flat = step.graph.concat(&directions, 0)?;
    Ok(Direction { direction: elements(step.graph, flat, place)?, states })
}

/// Matrices of one size out of a flat vector: `[matrices, rows, columns]`.
fn gathered(graph: &mut Graph, flat: NodeId, sizes: [usize; 2], group: &[Matrix]) -> Result<NodeId, GraphError> {
    let shape = [group.len(), sizes[0], sizes[1]];
    let each = |of: fn(&Matrix) -> usize| group.iter().map(|matrix| of(matrix) as f32).collect::<Vec<f32>>();
    let mut index = graph.literal(&each(|matrix| matrix.start), &[group.len(), 1, 1])?;
    for (axis, strides) in [(1, each(|matrix| matrix.strides[0])), (2, each(|matrix| matrix.strides[1]))] {
        let stride = graph.literal(&strides, &[group.len(), 1, 1])?;
        let place = graph.iota(&shape, axis)?;
        let along = graph.mul(place, stride)?;
        index = graph.add(index, along)?;
    }
    elements(graph, flat, index)
}

/// Newton-Schulz iterations on `[matrices, rows, columns]`.
fn orthogonalised(graph: &mut Graph, x: NodeId) -> Result<NodeId, GraphError> {
    let [a, b, c] = COEFFICIENTS;
    let square = graph.mul(x, x)?;
    let norm = graph.sum(square, &[1, 2])?;
    let norm = graph.unary(UnaryOp::Sqrt, norm)?;
    let shape = graph.shape(norm).to_vec();
    let least = graph.constant(LEAST_NORM, &shape);
    let norm = graph.binary(BinaryOp::Max, norm, least)?;
    let mut x = graph.div(x, norm)?;
    for _ in 0..ITERATIONS {
        let across = graph.transpose(x)?;
        let gram = graph.matmul(x, across)?;
        let square = graph.matmul(gram, gram)?;
        let first = graph.scale(gram, b)?;
        let second = graph.scale(square, c)?;
        let factor = graph.add(first, second)?;
        let change = graph.matmul(factor, x)?;
        let kept = graph.scale(x, a)?;
        x = graph.add(kept, change)?;
    }
    Ok(x)
}
