//! Reverse mode: cotangents of inputs from cotangents of outputs, as nodes of the same graph.
//!
//! Every rule emits operations of the closed set only, so derivatives can be differentiated again. Rules reuse a node's
//! own value where that is cheaper than its argument (tanh, exp, rsqrt, relu, division).
//!
//! Conventions where the derivative is not unique:
//! - `relu`, `abs` and `sign` have derivative 0 at 0; `floor`, comparisons and indices have derivative 0 everywhere;
//! - elementwise `max` and `min` of equal arguments pass the cotangent to the first;
//! - a `max` or `min` reduction splits it evenly among the elements that attain the extremum;
//! - max-pooling passes it to the first maximum of each window.
//!
//! Forward mode (jvp.rs) takes the elementwise rules from here: their Jacobians are diagonal, hence their own transposes.

mod elementwise;
mod layout;

use super::*;
pub(super) use elementwise::{binary, softmax_argument, unary};

/// Gradient of `loss` (one element) with respect to each of `wrt`, in their shapes. `wrt` may be any nodes; those that
/// the loss does not depend on get zeros. Values that differ in shape alone count as the same one.
pub fn grad(graph: &mut Graph, loss: NodeId, wrt: &[NodeId]) -> Result<Vec<NodeId>, GraphError> {
    let shape = graph.shape(loss).to_vec();
    if numel(&shape) != 1 {
        return Err(GraphError::NoDerivative(format!("a gradient needs a scalar, not {shape:?}; use vjp")));
    }
    let one = graph.constant(1.0, &shape);
    vjp(graph, &[loss], &[one], wrt)
}

/// `sum_i cotangents[i]^T d outputs[i] / d wrt[j]` for each j, in the shape of `wrt[j]`.
///
/// Nodes are visited once, in descending order, and cotangents of a node are summed in the order in which its users
/// are visited: the result does not depend on anything but the graph.
pub fn vjp(
    graph: &mut Graph,
    outputs: &[NodeId],
    cotangents: &[NodeId],
    wrt: &[NodeId],
) -> Result<Vec<NodeId>, GraphError> {
    if outputs.len() != cotangents.len() {
        return Err(GraphError::NoDerivative(format!("{} cotangents of {} outputs", cotangents.len(), outputs.len())));
    }
    // A reshape of a reshape refers to the first one's argument, so a use of a reshaped value may bypass it.
    let sources: Vec<NodeId> = wrt
        .iter()
        .map(|&id| match graph.node(id) {
            Node { op: Op::Reshape(_), args, .. } => args[0],
            _ => id,
        })
        .collect();
    let last = outputs.iter().map(|id| id.index()).max().unwrap_or(0);
    let active = depends_on(graph, &sources, last + 1);
    let mut parts: Vec<Vec<NodeId>> = vec![Vec::new(); last + 1];
    for (&output, &cotangent) in outputs.iter().zip(cotangents) {
        if graph.shape(output) != graph.shape(cotangent) || graph.node(cotangent).dtype != DType::F32 {
            return Err(GraphError::NoDerivative(format!(
                "cotangent {:?} of an output {:?}",
                graph.shape(cotangent),
                graph.shape(output)
            )));
        }
        parts[output.index()].push(cotangent);
    }
    let mut totals: Vec<Option<NodeId>> = vec![None; last + 1];
    // What is appended is of the pass at hand and belongs to the module whose derivative it is.
    let pass = graph.label().to_owned();
    for index in (0..=last).rev() {
        if !active[index] || parts[index].is_empty() {
            continue;
        }
        let id = NodeId(index as u32);
        let label = match (pass.as_str(), graph.label_of(id)) {
            (pass, "") => pass.to_owned(),
            ("", module) => module.to_owned(),
            (pass, module) => format!("{pass} of {module}"),
        };
        graph.set_label(&label);
        let total = total(graph, &parts[index])?;
        totals[index] = Some(total);
        for (arg, cotangent) in transpose(graph, id, total, &active)? {
            parts[arg.index()].push(cotangent);
        }
    }
    graph.set_label(&pass);
    let mut results = Vec::with_capacity(wrt.len());
    for (&id, source) in wrt.iter().zip(&sources) {
        let shape = graph.shape(id).to_vec();
        results.push(match totals.get(source.index()).copied().flatten() {
            Some(total) => graph.reshape(total, &shape)?,
            None => graph.constant(0.0, &shape),
        });
    }
    Ok(results)
}

/// Which of the first `count` nodes depend, differentiably, on one of `wrt`.
fn depends_on(graph: &Graph, wrt: &[NodeId], count: usize) -> Vec<bool> {
    let mut active = vec![false; count];
    for index in 0..count {
        let node = &graph.nodes()[index];
        let passes = node.dtype == DType::F32 && !matches!(node.op, Op::StopGradient);
        active[index] = wrt.contains(&NodeId(index as u32))
            || (passes && node.args.iter().any(|arg| active.get(arg.index()) == Some(&true)));
    }
    active
}

/// Sum of a node's cotangents, in order. Slices that together tile the node (parameters in the flat vector, query,
/// key and value in their common product) are laid side by side instead of each being padded with zeros and added.
fn total(graph: &mut Graph, parts: &[NodeId]) -> Result<NodeId, GraphError> {
    if let Some(tiled) = tile(graph, parts)? {
        return Ok(tiled);
    }
    if let Some(product) = long_product(graph, parts)? {
        return Ok(product);
    }
    // A flat vector that is used as a whole beside its parts (a penalty on all parameters).
    let (slices, mut rest): (Vec<NodeId>, Vec<NodeId>) =
        parts.iter().partition(|&&part| matches!(graph.node(part).op, Op::Unslice { .. }));
    let whole = if graph.shape(parts[0]).len() == 1 && !rest.is_empty() { tile(graph, &slices)? } else { None };
    let parts = match whole {
        Some(tiled) => {
            rest.push(tiled);
            &rest
        }
        None => parts,
    };
    let mut sum = parts[0];
    for &part in &parts[1..] {
        sum = graph.add(sum, part)?;
    }
    Ok(sum)
}

/// How many products of one value's cotangent are worth laying side by side.
const MANY_PRODUCTS: usize = 4;

/// A sum of many products of the same size (weights that an unrolled loop uses at each step) is one product of the
/// factors laid side by side. `None` where it is something else.
fn long_product(graph: &mut Graph, parts: &[NodeId]) -> Result<Option<NodeId>, GraphError> {
    if parts.len() < MANY_PRODUCTS {
        return Ok(None);
    }
    // Left factors are kept untransposed, so that their rows, too, only have to be laid below each other.
    let (mut left, mut right) = (Vec::with_capacity(parts.len()), Vec::with_capacity(parts.len()));
    for &part in parts {
        let node = graph.node(part);
        if node.op != Op::Matmul || node.shape.len() != 2 {
            return Ok(None);
        }
        let turned = graph.node(node.args[0]);
        if turned.op != Op::Permute(vec![1, 0]) {
            return Ok(None);
        }
        left.push(turned.args[0]);
        right.push(node.args[1]);
    }
    let (left, right) = (graph.concat(&left, 0)?, graph.concat(&right, 0)?);
    let left = graph.transpose(left)?;
    graph.matmul(left, right).map(Some)
}

/// Concatenates cotangents that are all disjoint slices along one axis; gaps become zeros. `None` where they are not.
fn tile(graph: &mut Graph, parts: &[NodeId]) -> Result<Option<NodeId>, GraphError> {
    if parts.len() < 2 {
        return Ok(None);
    }
    // (start, size, value) along the one axis in which the slices are smaller than the whole.
    let mut pieces = Vec::with_capacity(parts.len());
    let mut common: Option<(usize, Shape)> = None;
    for &part in parts {
        let node = graph.node(part);
        let Op::Unslice { start, step, shape } = &node.op else { return Ok(None) };
        let from = graph.shape(node.args[0]);
        let mut short = (0..shape.len()).filter(|&axis| from[axis] != shape[axis]);
        let (Some(axis), None) = (short.next(), short.next()) else { return Ok(None) };
        if step[axis] != 1 || common.get_or_insert((axis, shape.clone())).0 != axis {
            return Ok(None);
        }
        pieces.push((start[axis], from[axis], node.args[0]));
    }
    let Some((axis, shape)) = common else { return Ok(None) };
    crate::numeric::sort_by_key(&mut pieces, &|&(start, ..)| start);
    let mut laid = Vec::with_capacity(pieces.len());
    let mut end = 0;
    let gap = |graph: &mut Graph, size: usize| {
        let mut shape = shape.clone();
        shape[axis] = size;
        graph.constant(0.0, &shape)
    };
    for (start, size, value) in pieces {
        if start < end {
            return Ok(None);
        }
        if start > end {
            laid.push(gap(graph, start - end));
        }
        laid.push(value);
        end = start + size;
    }
    if end < shape[axis] {
        laid.push(gap(graph, shape[axis] - end));
    }
    graph.concat(&laid, axis).map(Some)
}

/// A node whose cotangent is known.
struct Use<'a> {
    id: NodeId,
    args: &'a [NodeId],
    /// The node's cotangent.
    g: NodeId,
    active: &'a [bool],
}

impl Use<'_> {
    /// Whether argument `k` wants a cotangent.
    fn needs(&self, k: usize) -> bool {
        self.active[self.args[k].index()]
    }
}

/// Arguments and the parts that they get of their cotangents.
type Parts = Vec<(NodeId, NodeId)>;

/// Cotangents of a node's active arguments, given the node's own.
fn transpose(graph: &mut Graph, id: NodeId, g: NodeId, active: &[bool]) -> Result<Parts, GraphError> {
    let Node { op, args, .. } = graph.node(id).clone();
    let of = Use { id, args: &args, g, active };
    let mut out = match op {
        flat!() => Vec::new(),
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Reduce { .. } => elementwise::transpose(graph, op, &of)?,
        Op::Matmul | Op::Conv2d(_) | Op::Conv2dInputGrad { .. } | Op::Conv2dKernelGrad(_) => products(graph, op, &of)?,
        Op::MaxPool2d(_)
        | Op::MaxPool2dScatter { .. }
        | Op::Gather { .. }
        | Op::ScatterAdd { .. }
        | Op::TakeRows
        | Op::AddRows { .. } => layout::places(graph, op, &of)?,
        Op::Reshape(_)
        | Op::Permute(_)
        | Op::Broadcast(_)
        | Op::Slice { .. }
        | Op::Unslice { .. }
        | Op::Flip { .. }
        | Op::Concat { .. } => layout::views(graph, op, &of)?,
        Op::CustomVjp(backward) => {
            let arguments = [&[g], &args[1..]].concat();
            let inlined = inline(graph, &backward, &arguments)?;
            args[1..].iter().copied().zip(inlined).collect()
        }
    };
    out.retain(|(arg, _)| active[arg.index()]);
    Ok(out)
}

/// Products and convolutions: linear in each argument.
fn products(graph: &mut Graph, op: Op, of: &Use) -> Result<Parts, GraphError> {
    let mut out = Vec::with_capacity(2);
    match op {
        Op::Matmul => {
            let (a, b) = (of.args[0], of.args[1]);
            if of.needs(0) {
                let bt = graph.transpose(b)?;
                out.push((a, graph.matmul(of.g, bt)?));
            }
            if of.needs(1) {
                let at = graph.transpose(a)?;
                out.push((b, graph.matmul(at, of.g)?));
            }
        }
        // y = conv(x, k), x' = conv^T(y, k) and k' = kernel_grad(x, y) are the three transposes of one trilinear form
        // <conv(x, k), y>: each one's cotangents are the other two.
        Op::Conv2d(geometry) => {
            let (x, kernel) = (of.args[0], of.args[1]);
            if of.needs(0) {
                let input = plane(graph, x);
                out.push((x, graph.conv2d_input_grad(of.g, kernel, geometry, input)?));
            }
            if of.needs(1) {
                out.push((kernel, graph.conv2d_kernel_grad(x, of.g, geometry)?));
            }
        }
        Op::Conv2dInputGrad { geometry, .. } => {
            let (dy, kernel) = (of.args[0], of.args[1]);
            if of.needs(0) {
                out.push((dy, graph.conv2d(of.g, kernel, geometry)?));
            }
            if of.needs(1) {
                out.push((kernel, graph.conv2d_kernel_grad(of.g, dy, geometry)?));
            }
        }
        Op::Conv2dKernelGrad(geometry) => {
            let (x, dy) = (of.args[0], of.args[1]);
            if of.needs(0) {
                let input = plane(graph, x);
                out.push((x, graph.conv2d_input_grad(dy, of.g, geometry, input)?));
            }
            if of.needs(1) {
                out.push((dy, graph.conv2d(x, of.g, geometry)?));
            }
        }
        _ => {}
    }
    Ok(out)
}

/// Copies a custom backward pass into the graph, its inputs replaced by `arguments`.
pub(super) fn inline(
    graph: &mut Graph,
    backward: &CustomBackward,
    arguments: &[NodeId],
) -> Result<Vec<NodeId>, GraphError> {
    let mut copied: Vec<NodeId> = Vec::with_capacity(backward.graph.nodes().len());
    for node in backward.graph.nodes() {
        let id = match &node.op {
            Op::Input(input) => {
                let id = *arguments.get(input.index()).ok_or_else(|| {
                    GraphError::NoDerivative(format!("{}: no argument {}", backward.name, input.index()))
                })?;
                let given = graph.node(id);
                if given.shape != node.shape || given.dtype != node.dtype {
                    return Err(GraphError::NoDerivative(format!(
                        "{}: argument {} is {:?}, expected {:?}",
                        backward.name,
                        input.index(),
                        given.shape,
                        node.shape
                    )));
                }
                id
            }
            op => {
                let args = node.args.iter().map(|arg| copied[arg.index()]).collect();
                graph.push(op.clone(), args, node.shape.clone(), node.dtype)
            }
        };
        copied.push(id);
    }
    Ok(backward.outputs.iter().map(|out| copied[out.index()]).collect())
}

pub(super) fn zeros(graph: &mut Graph, like: NodeId) -> NodeId {
    let shape = graph.shape(like).to_vec();
    graph.constant(0.0, &shape)
}

pub(super) fn ones(graph: &mut Graph, like: NodeId) -> NodeId {
    let shape = graph.shape(like).to_vec();
    graph.constant(1.0, &shape)
}

/// Height and width of `[b, c, h, w]`.
pub(super) fn plane(graph: &Graph, x: NodeId) -> [usize; 2] {
    let shape = graph.shape(x);
    [shape[2], shape[3]]
}

#[cfg(test)]
mod tests;
