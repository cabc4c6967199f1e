//! Values taken from places, put in places, and seen in other shapes.

use super::super::*;
use super::{Parts, Use, plane};

/// Cotangents of what is indexed.
pub(super) fn places(graph: &mut Graph, op: Op, of: &Use) -> Result<Parts, GraphError> {
    let mut out = Vec::with_capacity(1);
    match op {
        Op::MaxPool2d(geometry) => {
            let x = of.args[0];
            let input = plane(graph, x);
            let index = graph.max_pool2d_index(x, geometry)?;
            out.push((x, graph.max_pool2d_scatter(index, of.g, geometry, input)?));
        }
        Op::MaxPool2dScatter { input, .. } => {
            let (index, value) = (of.args[0], of.args[1]);
            let shape = graph.shape(value).to_vec();
            let flat = [shape[0], shape[1], shape[2] * shape[3]];
            let g = graph.reshape(of.g, &[shape[0], shape[1], input[0] * input[1]])?;
            let index = graph.reshape(index, &flat)?;
            let taken = graph.gather(g, index, 2)?;
            out.push((value, graph.reshape(taken, &shape)?));
        }
        Op::Gather { axis } => {
            let size = graph.shape(of.args[0])[axis];
            out.push((of.args[0], graph.scatter_add(of.args[1], of.g, axis, size)?));
        }
        Op::ScatterAdd { axis, .. } => out.push((of.args[1], graph.gather(of.g, of.args[0], axis)?)),
        Op::TakeRows => {
            let rows = graph.shape(of.args[0])[0];
            out.push((of.args[0], graph.add_rows(of.args[1], of.g, rows)?));
        }
        Op::AddRows { .. } => out.push((of.args[1], graph.take_rows(of.g, of.args[0])?)),
        _ => {}
    }
    Ok(out)
}

/// Cotangents of what is seen in another shape or as a part.
pub(super) fn views(graph: &mut Graph, op: Op, of: &Use) -> Result<Parts, GraphError> {
    let mut out = Vec::with_capacity(1);
    match op {
        Op::Reshape(_) => {
            let shape = graph.shape(of.args[0]).to_vec();
            out.push((of.args[0], graph.reshape(of.g, &shape)?));
        }
        Op::Permute(perm) => {
            let mut inverse = vec![0; perm.len()];
            for (to, &from) in perm.iter().enumerate() {
                inverse[from] = to;
            }
            out.push((of.args[0], graph.permute(of.g, &inverse)?));
        }
        Op::Broadcast(_) => {
            let shape = graph.shape(of.args[0]).to_vec();
            out.push((of.args[0], graph.sum_to(of.g, &shape)?));
        }
        Op::Slice { start, step, .. } => {
            let shape = graph.shape(of.args[0]).to_vec();
            out.push((of.args[0], graph.unslice(of.g, &start, &step, &shape)?));
        }
        Op::Unslice { start, step, .. } => {
            let size = graph.shape(of.args[0]).to_vec();
            out.push((of.args[0], graph.slice_step(of.g, &start, &size, &step)?));
        }
        Op::Flip { axes } => out.push((of.args[0], graph.flip(of.g, &axes)?)),
        Op::Concat { axis } => {
            let mut start = vec![0; graph.shape(of.id).len()];
            for (k, &arg) in of.args.iter().enumerate() {
                let size = graph.shape(arg).to_vec();
                if of.needs(k) {
                    out.push((arg, graph.slice(of.g, &start, &size)?));
                }
                start[axis] += size[axis];
            }
        }
        _ => {}
    }
    Ok(out)
}
