//! Forward mode: tangents of outputs from tangents of inputs, as nodes of the same graph; and the second-order products
//! that follow: [`hvp`] (forward over reverse), [`ggn`] and [`fisher`].
//!
//! Rules emit operations of the closed set only and share every value that does not depend on the tangent with the
//! primal computation, so [`split`](super::split) can compute those once for many tangents. Tangents that are zero are
//! never made. Where a derivative is not unique, the conventions are those of reverse mode ([`super::grad`]): the two
//! are transposes of each other.
//!
//! Several tangents at once: a tangent may have one leading axis more than its value, the lane axis. Every tangent
//! derived from it then has that axis too, and one launch serves all lanes.

use super::grad::{binary, grad, inline, plane, softmax_argument, unary, vjp, zeros};
use super::*;

/// `sum_j d outputs[i] / d wrt[j] tangents[j]` for each i. A tangent has its value's shape, or that of all lanes
/// `[k, ..shape]`; so have the results. `wrt` may be any f32 nodes: what they were computed from counts as fixed.
/// Outputs that do not depend on them get zeros.
///
/// # Errors
/// Tangents that do not fit their values or each other.
pub fn jvp(
    graph: &mut Graph,
    outputs: &[NodeId],
    wrt: &[NodeId],
    tangents: &[NodeId],
) -> Result<Vec<NodeId>, GraphError> {
    let lanes = lanes(graph, wrt, tangents)?;
    let last = outputs.iter().map(|id| id.index()).max().unwrap_or(0);
    let mut forward = Forward { graph, lanes, tangents: vec![None; last + 1], seeded: vec![false; last + 1] };
    for (&value, &tangent) in wrt.iter().zip(tangents) {
        // A reshape of a reshape refers to the first one's argument: the source carries the tangent.
        let source = match forward.graph.node(value) {
            Node { op: Op::Reshape(_), args, .. } => args[0],
            _ => value,
        };
        if source.index() <= last {
            let shape = forward.laned(forward.graph.shape(source));
            forward.tangents[source.index()] = Some(forward.graph.reshape(tangent, &shape)?);
            forward.seeded[source.index()] = true;
        }
    }
    let mut needed = vec![false; last + 1];
    for output in outputs {
        needed[output.index()] = true;
    }
    for index in (0..=last).rev() {
        if needed[index] && !forward.seeded[index] {
            for arg in &forward.graph.nodes()[index].args {
                needed[arg.index()] = true;
            }
        }
    }
    for (index, needed) in needed.into_iter().enumerate() {
        if needed && !forward.seeded[index] {
            forward.tangents[index] = forward.push_forward(NodeId(index as u32))?;
        }
    }
    let mut results = Vec::with_capacity(outputs.len());
    for &output in outputs {
        results.push(match forward.tangents[output.index()] {
            Some(tangent) => tangent,
            None => {
                let shape = forward.laned(forward.graph.shape(output));
                forward.graph.constant(0.0, &shape)
            }
        });
    }
    Ok(results)
}

/// [`vjp`] for cotangents that may have a lane axis; the results have it too.
///
/// # Errors
/// Cotangents that do not fit their outputs or each other.
pub fn pull(
    graph: &mut Graph,
    outputs: &[NodeId],
    cotangents: &[NodeId],
    wrt: &[NodeId],
) -> Result<Vec<NodeId>, GraphError> {
    if lanes(graph, outputs, cotangents)?.is_none() {
        return vjp(graph, outputs, cotangents, wrt);
    }
    // The backward pass is linear in the cotangent, so its own derivative at any cotangent is the map itself.
    let at: Vec<NodeId> = outputs.iter().map(|&output| fresh(graph, output)).collect();
    let pulled = vjp(graph, outputs, &at, wrt)?;
    jvp(graph, &pulled, &at, cotangents)
}

/// Hessian-vector products `d^2 loss / d wrt^2 vectors`, by forward over reverse mode. `loss` has one element; vectors
/// and results have the shapes of `wrt`, or those of all lanes.
///
/// # Errors
/// A loss that is no scalar; vectors that do not fit.
pub fn hvp(graph: &mut Graph, loss: NodeId, wrt: &[NodeId], vectors: &[NodeId]) -> Result<Vec<NodeId>, GraphError> {
    let slopes = grad(graph, loss, wrt)?;
    jvp(graph, &slopes, wrt, vectors)
}

/// Generalised Gauss-Newton products `J^T H_L J vectors`: J is the Jacobian of `outputs` (a network's logits) with
/// respect to `wrt`, H_L the Hessian of `loss` with respect to `outputs`. For softmax cross-entropy this is the true
/// Fisher information. Positive semi-definite where the loss is convex in the outputs.
///
/// Source: Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent", 2002.
///
/// # Errors
/// A loss that is no scalar; vectors that do not fit.
pub fn ggn(
    graph: &mut Graph,
    loss: NodeId,
    outputs: NodeId,
    wrt: &[NodeId],
    vectors: &[NodeId],
) -> Result<Vec<NodeId>, GraphError> {
    let moved = jvp(graph, &[outputs], wrt, vectors)?;
    let bent = hvp(graph, loss, &[outputs], &moved)?;
    pull(graph, &[outputs], &bent, wrt)
}

/// Empirical Fisher products `sum_i weight_i g_i g_i^T vectors`: g_i is the gradient of `losses[i]`. `g_i^T v` for all
/// i is one forward pass, the weighted sum one backward pass.
///
/// # Errors
/// Vectors that do not fit; weights that do not fit the losses.
pub fn fisher(
    graph: &mut Graph,
    losses: NodeId,
    weight: NodeId,
    wrt: &[NodeId],
    vectors: &[NodeId],
) -> Result<Vec<NodeId>, GraphError> {
    let slopes = jvp(graph, &[losses], wrt, vectors)?;
    let weighted = graph.mul(slopes[0], weight)?;
    pull(graph, &[losses], &[weighted], wrt)
}

/// Number of lanes of tangents against their values; `None` without a lane axis.
fn lanes(graph: &Graph, values: &[NodeId], tangents: &[NodeId]) -> Result<Option<usize>, GraphError> {
    if values.len() != tangents.len() {
        return Err(GraphError::NoDerivative(format!("{} tangents of {} values", tangents.len(), values.len())));
    }
    let mut common = None;
    for (&value, &tangent) in values.iter().zip(tangents) {
        let (shape, found) = (graph.shape(value), graph.shape(tangent));
        let lanes = match found.split_first() {
            _ if found == shape => None,
            Some((&lanes, rest)) if rest == shape => Some(lanes),
            _ => return Err(GraphError::NoDerivative(format!("tangent {found:?} of a value {shape:?}"))),
        };
        if graph.node(value).dtype != DType::F32 || graph.node(tangent).dtype != DType::F32 {
            return Err(GraphError::NoDerivative("of a value that is not f32".into()));
        }
        if *common.get_or_insert(lanes) != lanes {
            return Err(GraphError::NoDerivative("tangents differ in their number of lanes".into()));
        }
    }
    Ok(common.flatten())
}

/// A node that no other depends on, in the shape of `like`.
fn fresh(graph: &mut Graph, like: NodeId) -> NodeId {
    let shape = graph.shape(like).to_vec();
    graph.placeholder(&shape)
}

/// A forward pass of tangents: one for each node, `None` for zero.
struct Forward<'a> {
    graph: &'a mut Graph,
    lanes: Option<usize>,
    tangents: Vec<Option<NodeId>>,
    /// Values whose tangents are given.
    seeded: Vec<bool>,
}

impl Forward<'_> {
    /// Shape of the tangent of a value of `shape`.
    fn laned(&self, shape: &[usize]) -> Shape {
        self.lanes.iter().chain(shape).copied().collect()
    }

    /// Per-axis arguments for a tangent: `own` for the lane axis, then the value's.
    fn prefixed(&self, own: usize, rest: &[usize]) -> Vec<usize> {
        self.lanes.map(|_| own).iter().chain(rest).copied().collect()
    }

    /// Axes of a value as axes of its tangent.
    fn shifted(&self, axes: &[usize]) -> Vec<usize> {
        axes.iter().map(|axis| axis + self.lead()).collect()
    }

    /// Lane axes in front of a value's own: 0 or 1.
    fn lead(&self) -> usize {
        usize::from(self.lanes.is_some())
    }

    /// A value that is the same in every lane.
    fn repeated(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let shape = self.laned(self.graph.shape(x));
        self.graph.broadcast_to(x, &shape)
    }

    /// Moves the lane axis of a tangent into `axis` of its value, inside of `groups` equal parts of that axis:
    /// `[k, .., g * s, ..]` becomes `[.., g * k * s, ..]`.
    fn merge(&mut self, t: NodeId, axis: usize, groups: usize) -> Result<NodeId, GraphError> {
        let Some(lanes) = self.lanes else { return Ok(t) };
        let mut shape = self.graph.shape(t)[1..].to_vec();
        let inner = shape[axis] / groups;
        let apart = [&[lanes], &shape[..axis], &[groups, inner], &shape[axis + 1..]].concat();
        // Lanes go behind the group axis, which follows the `axis` axes in front of it.
        let order: Vec<usize> = (1..axis + 2).chain([0]).chain(axis + 2..apart.len()).collect();
        shape[axis] *= lanes;
        self.turn(t, &apart, &order, &shape)
    }

    /// Undoes [`Self::merge`].
    fn part(&mut self, t: NodeId, axis: usize, groups: usize) -> Result<NodeId, GraphError> {
        let Some(lanes) = self.lanes else { return Ok(t) };
        let mut shape = self.graph.shape(t).to_vec();
        shape[axis] /= lanes;
        let apart = [&shape[..axis], &[groups, lanes, shape[axis] / groups], &shape[axis + 1..]].concat();
        let order: Vec<usize> = [axis + 1].into_iter().chain(0..=axis).chain(axis + 2..apart.len()).collect();
        let shape = self.laned(&shape);
        self.turn(t, &apart, &order, &shape)
    }

    /// Reshape, permute, reshape; axes of size 1 take no part in the permutation.
    fn turn(&mut self, t: NodeId, apart: &[usize], order: &[usize], shape: &[usize]) -> Result<NodeId, GraphError> {
        let kept: Vec<usize> = (0..apart.len()).filter(|&axis| apart[axis] != 1).collect();
        let sizes: Vec<usize> = kept.iter().map(|&axis| apart[axis]).collect();
        let order: Vec<usize> = order.iter().filter_map(|axis| kept.binary_search(axis).ok()).collect();
        let t = self.graph.reshape(t, &sizes)?;
        let t = self.graph.permute(t, &order)?;
        self.graph.reshape(t, shape)
    }

    /// Moves the lane axis in front of `[k, ..lead, ..rest]` behind the `count` axes of `lead`, or back.
    fn swap_lead(&mut self, t: NodeId, count: usize, back: bool) -> Result<NodeId, GraphError> {
        if self.lanes.is_none() {
            return Ok(t);
        }
        let rank = self.graph.shape(t).len();
        let order: Vec<usize> = if back {
            [count].into_iter().chain(0..count).chain(count + 1..rank).collect()
        } else {
            (1..=count).chain([0]).chain(count + 1..rank).collect()
        };
        self.graph.permute(t, &order)
    }

    fn sum(&mut self, a: Option<NodeId>, b: Option<NodeId>) -> Result<Option<NodeId>, GraphError> {
        match (a, b) {
            (Some(a), Some(b)) => self.graph.add(a, b).map(Some),
            (one, other) => Ok(one.or(other)),
        }
    }

    /// Tangent of a node from those of its arguments.
    fn push_forward(&mut self, id: NodeId) -> Result<Option<NodeId>, GraphError> {
        let Node { op, args, dtype, .. } = self.graph.node(id).clone();
        let moved: Vec<Option<NodeId>> = args.iter().map(|arg| self.tangents[arg.index()]).collect();
        if dtype != DType::F32 || moved.iter().all(Option::is_none) {
            return Ok(None);
        }
        match op {
            flat!() => Ok(None),
            Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Reduce { .. } | Op::Matmul => {
                self.elementwise(op, id, &args, &moved)
            }
            Op::Conv2d(_) | Op::Conv2dInputGrad { .. } | Op::Conv2dKernelGrad(_) => self.convolution(op, &args, &moved),
            Op::MaxPool2d(_)
            | Op::MaxPool2dScatter { .. }
            | Op::Gather { .. }
            | Op::ScatterAdd { .. }
            | Op::TakeRows
            | Op::AddRows { .. } => self.places(op, &args, &moved),
            Op::Reshape(_)
            | Op::Permute(_)
            | Op::Broadcast(_)
            | Op::Slice { .. }
            | Op::Unslice { .. }
            | Op::Flip { .. }
            | Op::Concat { .. } => self.views(op, &args, &moved),
            Op::CustomVjp(backward) => self.custom(&backward, id, &args, &moved[1..]),
        }
    }

    /// Elementwise functions, reductions and products.
    fn elementwise(
        &mut self,
        op: Op,
        id: NodeId,
        args: &[NodeId],
        moved: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, GraphError> {
        match (op, moved) {
            (Op::Unary(op), &[Some(t)]) => unary(self.graph, op, args[0], id, t),
            (Op::Binary(op), &[ta, tb]) => {
                if let Some((x, axes)) = self.softmax_of(id) {
                    let Some(t) = self.tangents[x.index()] else { return Ok(None) };
                    let product = self.graph.mul(t, id)?;
                    let axes = self.shifted(&axes);
                    let mean = self.graph.sum(product, &axes)?;
                    let centred = self.graph.sub(t, mean)?;
                    return self.graph.mul(centred, id).map(Some);
                }
                let of = [args[0], args[1]];
                let da = match ta {
                    Some(t) => binary(self.graph, op, of, id, t, [true, false])?[0],
                    None => None,
                };
                let db = match tb {
                    Some(t) => binary(self.graph, op, of, id, t, [false, true])?[1],
                    None => None,
                };
                self.sum(da, db)
            }
            (Op::Select, &[_, ta, tb]) => {
                let Some(some) = ta.or(tb) else { return Ok(None) };
                let zero = zeros(self.graph, some);
                self.graph.select(args[0], ta.unwrap_or(zero), tb.unwrap_or(zero)).map(Some)
            }
            (Op::Reduce { op: ReduceOp::Sum, axes }, &[Some(t)]) => {
                let axes = self.shifted(&axes);
                self.graph.sum(t, &axes).map(Some)
            }
            (Op::Reduce { axes, .. }, &[Some(t)]) => {
                let attained = self.graph.binary(BinaryOp::Equal, args[0], id)?;
                let count = self.graph.sum(attained, &axes)?;
                let here = self.graph.mul(t, attained)?;
                let axes = self.shifted(&axes);
                let total = self.graph.sum(here, &axes)?;
                self.graph.div(total, count).map(Some)
            }
            (Op::Matmul, &[ta, tb]) => {
                let da = match ta {
                    Some(t) => Some(self.left_product(t, args[1])?),
                    None => None,
                };
                let db = match tb {
                    Some(t) => {
                        let a = self.repeated(args[0])?;
                        Some(self.graph.matmul(a, t)?)
                    }
                    None => None,
                };
                self.sum(da, db)
            }
            // Only an argument that carries no derivative (a mask, an index) has a tangent.
            _ => Ok(None),
        }
    }

    fn convolution(&mut self, op: Op, args: &[NodeId], moved: &[Option<NodeId>]) -> Result<Option<NodeId>, GraphError> {
        match (op, moved) {
            // Lanes of the batched argument join the batch; lanes of a kernel, or of what a kernel is summed from, join
            // a channel axis.
            (Op::Conv2d(geometry), &[tx, tk]) => {
                let (x, kernel, groups) = (args[0], args[1], geometry.groups);
                let dx = match tx {
                    Some(t) => {
                        let t = self.merge(t, 0, 1)?;
                        let y = self.graph.conv2d(t, kernel, geometry)?;
                        Some(self.part(y, 0, 1)?)
                    }
                    None => None,
                };
                let dk = match tk {
                    Some(t) => {
                        let t = self.merge(t, 0, groups)?;
                        let y = self.graph.conv2d(x, t, geometry)?;
                        Some(self.part(y, 1, groups)?)
                    }
                    None => None,
                };
                self.sum(dx, dk)
            }
            (Op::Conv2dInputGrad { geometry, input }, &[ty, tk]) => {
                let (dy, kernel, groups) = (args[0], args[1], geometry.groups);
                let by_y = match ty {
                    Some(t) => {
                        let t = self.merge(t, 0, 1)?;
                        let x = self.graph.conv2d_input_grad(t, kernel, geometry, input)?;
                        Some(self.part(x, 0, 1)?)
                    }
                    None => None,
                };
                let by_k = match tk {
                    Some(t) => {
                        let t = self.merge(t, 1, 1)?;
                        let x = self.graph.conv2d_input_grad(dy, t, geometry, input)?;
                        Some(self.part(x, 1, groups)?)
                    }
                    None => None,
                };
                self.sum(by_y, by_k)
            }
            (Op::Conv2dKernelGrad(geometry), &[tx, ty]) => {
                let (x, dy, groups) = (args[0], args[1], geometry.groups);
                let by_x = match tx {
                    Some(t) => {
                        let t = self.merge(t, 1, groups)?;
                        let k = self.graph.conv2d_kernel_grad(t, dy, geometry)?;
                        Some(self.part(k, 1, 1)?)
                    }
                    None => None,
                };
                let by_y = match ty {
                    Some(t) => {
                        let t = self.merge(t, 1, groups)?;
                        let k = self.graph.conv2d_kernel_grad(x, t, geometry)?;
                        Some(self.part(k, 0, groups)?)
                    }
                    None => None,
                };
                self.sum(by_x, by_y)
            }
            // Only an argument that carries no derivative (a mask, an index) has a tangent.
            _ => Ok(None),
        }
    }

    /// Values taken from places and put in places.
    fn places(&mut self, op: Op, args: &[NodeId], moved: &[Option<NodeId>]) -> Result<Option<NodeId>, GraphError> {
        match (op, moved) {
            (Op::MaxPool2d(geometry), &[Some(t)]) => {
                let index = self.graph.max_pool2d_index(args[0], geometry)?;
                self.at_windows(t, index, plane(self.graph, args[0])).map(Some)
            }
            (Op::MaxPool2dScatter { geometry, input }, &[_, Some(t)]) => {
                let index = self.repeated(args[0])?;
                let index = self.merge(index, 0, 1)?;
                let t = self.merge(t, 0, 1)?;
                let x = self.graph.max_pool2d_scatter(index, t, geometry, input)?;
                self.part(x, 0, 1).map(Some)
            }
            (Op::Gather { axis }, &[Some(t), _]) => {
                let index = self.repeated(args[1])?;
                self.graph.gather(t, index, axis + self.lead()).map(Some)
            }
            (Op::ScatterAdd { axis, size }, &[_, Some(t)]) => {
                let index = self.repeated(args[0])?;
                self.graph.scatter_add(index, t, axis + self.lead(), size).map(Some)
            }
            (Op::TakeRows, &[Some(t), _]) => {
                let table = self.swap_lead(t, 1, false)?;
                let rows = self.graph.take_rows(table, args[1])?;
                let count = self.graph.shape(args[1]).len();
                self.swap_lead(rows, count, true).map(Some)
            }
            (Op::AddRows { rows }, &[_, Some(t)]) => {
                let count = self.graph.shape(args[0]).len();
                let value = self.swap_lead(t, count, false)?;
                let table = self.graph.add_rows(args[0], value, rows)?;
                self.swap_lead(table, 1, true).map(Some)
            }
            // Only an argument that carries no derivative (a mask, an index) has a tangent.
            _ => Ok(None),
        }
    }

    /// Values seen in another shape or as a part.
    fn views(&mut self, op: Op, args: &[NodeId], moved: &[Option<NodeId>]) -> Result<Option<NodeId>, GraphError> {
        match (op, moved) {
            (Op::Reshape(shape), &[Some(t)]) => {
                let shape = self.laned(&shape);
                self.graph.reshape(t, &shape).map(Some)
            }
            (Op::Permute(perm), &[Some(t)]) => {
                let perm = self.prefixed(0, &self.shifted(&perm));
                self.graph.permute(t, &perm).map(Some)
            }
            (Op::Broadcast(shape), &[Some(t)]) => {
                let shape = self.laned(&shape);
                self.graph.broadcast_to(t, &shape).map(Some)
            }
            (Op::Slice { start, size, step }, &[Some(t)]) => {
                let (start, size, step) = (self.prefixed(0, &start), self.laned(&size), self.prefixed(1, &step));
                self.graph.slice_step(t, &start, &size, &step).map(Some)
            }
            (Op::Unslice { start, step, shape }, &[Some(t)]) => {
                let (start, step, shape) = (self.prefixed(0, &start), self.prefixed(1, &step), self.laned(&shape));
                self.graph.unslice(t, &start, &step, &shape).map(Some)
            }
            (Op::Flip { axes }, &[Some(t)]) => {
                let axes = self.shifted(&axes);
                self.graph.flip(t, &axes).map(Some)
            }
            (Op::Concat { axis }, parts) => {
                let mut all = Vec::with_capacity(parts.len());
                for (&arg, &part) in args.iter().zip(parts) {
                    let shape = self.laned(self.graph.shape(arg));
                    all.push(part.unwrap_or_else(|| self.graph.constant(0.0, &shape)));
                }
                self.graph.concat(&all, axis + self.lead()).map(Some)
            }
            // Only an argument that carries no derivative (a mask, an index) has a tangent.
            _ => Ok(None),
        }
    }

    fn custom(
        &mut self,
        backward: &CustomBackward,
        id: NodeId,
        args: &[NodeId],
        moved: &[Option<NodeId>],
    ) -> Result<Option<NodeId>, GraphError> {
        // The backward pass is the transposed Jacobian, linear in the cotangent: its transpose is the Jacobian.
        let at = fresh(self.graph, id);
        let back = inline(self.graph, backward, &[&[at], &args[1..]].concat())?;
        let (outputs, tangents): (Vec<NodeId>, Vec<NodeId>) =
            back.into_iter().zip(moved).filter_map(|(back, &t)| t.map(|t| (back, t))).unzip();
        if outputs.is_empty() {
            return Ok(None);
        }
        pull(self.graph, &outputs, &tangents, &[at]).map(|pulled| pulled.first().copied())
    }

    /// The argument and axes where a node is a softmax that may be differentiated as a whole: its exponential must not
    /// have a tangent of its own.
    fn softmax_of(&self, id: NodeId) -> Option<(NodeId, Vec<usize>)> {
        let exp = self.graph.node(id).args[0];
        softmax_argument(self.graph, id).filter(|_| !self.seeded[exp.index()])
    }

    /// Product of a tangent `[(k), .., m, n]` with a value `[.., n, p]`. Lanes of a plain matrix become rows of one
    /// product.
    fn left_product(&mut self, t: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        let shape = self.graph.shape(t).to_vec();
        match (self.lanes, &shape[..]) {
            (Some(_), &[k, m, n]) => {
                let rows = self.graph.reshape(t, &[k * m, n])?;
                let product = self.graph.matmul(rows, b)?;
                let columns = self.graph.shape(product)[1];
                self.graph.reshape(product, &[k, m, columns])
            }
            _ => {
                let b = self.repeated(b)?;
                self.graph.matmul(t, b)
            }
        }
    }

    /// Values of planes `[(k), b, c, h, w]` at flat indices `[b, c, oh, ow]`.
    fn at_windows(&mut self, t: NodeId, index: NodeId, [height, width]: [usize; 2]) -> Result<NodeId, GraphError> {
        let out = self.graph.shape(index).to_vec();
        let flat = self.laned(&[out[0], out[1], height * width]);
        let t = self.graph.reshape(t, &flat)?;
        let index = self.graph.reshape(index, &[out[0], out[1], out[2] * out[3]])?;
        let index = self.repeated(index)?;
        let taken = self.graph.gather(t, index, 2 + self.lead())?;
        let shape = self.laned(&out);
        self.graph.reshape(taken, &shape)
    }
}

#[cfg(test)]
mod tests;
