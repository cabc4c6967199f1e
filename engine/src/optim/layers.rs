//! Numbers of single layers (the entries of a layout) from flat vectors and back, in a fixed number of launches however
//! many layers there are.
//!
//! A layer's elements are summed by blocks: rows of one length, so that one kernel sums all blocks of all layers, and a
//! second the blocks of each layer. Where a block ends is arithmetic on a few numbers a block; only the way back, from a
//! layer's number to its parameters, needs a table as long as theta.

use super::{Step, at_each, is_weight};
use crate::graph::{BinaryOp, DType, Graph, GraphError, NodeId, numel};
use crate::model::ParamLayout;

/// Elements of a block.
const BLOCK: usize = 512;

/// Table rows `[rows.len(), width]` of a flat vector: row k has the elements from `rows[k].0` on, `rows[k].1` of them, and
/// then zeros.
fn rows(graph: &mut Graph, flat: NodeId, rows: &[(usize, usize)], width: usize) -> Result<NodeId, GraphError> {
    let shape = [rows.len(), width];
    let column = |of: fn(&(usize, usize)) -> usize| rows.iter().map(|row| of(row) as f32).collect::<Vec<f32>>();
    let first = graph.literal(&column(|row| row.0), &[rows.len(), 1])?;
    let count = graph.literal(&column(|row| row.1), &[rows.len(), 1])?;
    let place = graph.iota(&shape, 1)?;
    let inside = graph.binary(BinaryOp::Less, place, count)?;
    let index = graph.add(first, place)?;
    let values = elements(graph, flat, index)?;
    let zero = graph.constant(0.0, &shape);
    graph.select(inside, values, zero)
}

/// Elements of a flat vector by number (f32; numbers beyond its end count as the last).
///
/// # Errors
/// A vector so long that f32 does not tell its elements apart.
pub(super) fn elements(graph: &mut Graph, flat: NodeId, index: NodeId) -> Result<NodeId, GraphError> {
    let len = numel(graph.shape(flat));
    if len > 1 << f32::MANTISSA_DIGITS {
        let reason =
            format!("{len} parameters; a rule for whole layers addresses at most {}", 1 << f32::MANTISSA_DIGITS);
        return Err(GraphError::Shape { op: "layers".to_owned(), reason });
    }
    let shape = graph.shape(index).to_vec();
    let last = graph.constant(len.saturating_sub(1) as f32, &shape);
    let index = graph.binary(BinaryOp::Min, index, last)?;
    let index = graph.cast(index, DType::U32)?;
    graph.take_rows(flat, index)
}

/// Sum of squares of each layer's part of a flat vector, `[layers]`.
pub(super) fn squares(graph: &mut Graph, layout: &ParamLayout, flat: NodeId) -> Result<NodeId, GraphError> {
    let (mut blocks, mut layers) = (Vec::new(), Vec::with_capacity(layout.entries().len()));
    for entry in layout.entries() {
        let (first, size) = (blocks.len(), numel(&entry.shape));
        blocks.extend((0..size).step_by(BLOCK).map(|at| (entry.offset + at, BLOCK.min(size - at))));
        layers.push((first, blocks.len() - first));
    }
    let values = rows(graph, flat, &blocks, BLOCK)?;
    let values = graph.mul(values, values)?;
    let sums = graph.sum(values, &[1])?;
    let sums = graph.reshape(sums, &[blocks.len()])?;
    let most = layers.iter().map(|layer| layer.1).max().unwrap_or(1);
    let sums = rows(graph, sums, &layers, most)?;
    let sums = graph.sum(sums, &[1])?;
    graph.reshape(sums, &[layers.len()])
}

/// The trust ratio of each layer, `[layers]`, at each parameter: 1 where either norm (or its square) is 0, and in layers
/// that are exempt.
pub(super) fn adapted(step: &mut Step<'_>, ratio: NodeId, norms: [NodeId; 2]) -> Result<NodeId, GraphError> {
    let layers = [step.layout.entries().len()];
    let adapts = step.layout.entries().iter().map(|entry| if step.exempt && !is_weight(entry) { 0.0 } else { 1.0 });
    let adapts: Vec<f32> = adapts.collect();
    let mut adapts = step.graph.literal(&adapts, &layers)?;
    let zero = step.graph.constant(0.0, &layers);
    for norm in norms {
        let there = step.graph.binary(BinaryOp::Less, zero, norm)?;
        adapts = step.graph.mul(adapts, there)?;
    }
    let one = step.graph.constant(1.0, &layers);
    let ratio = step.graph.select(adapts, ratio, one)?;
    let layer = step.graph.literal(&at_each(step.layout, |place, _| place as f32), &[step.layout.len()])?;
    elements(step.graph, ratio, layer)
}
