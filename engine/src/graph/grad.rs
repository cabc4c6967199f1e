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

use super::*;

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
    for index in (0..=last).rev() {
        if !active[index] || parts[index].is_empty() {
            continue;
        }
        let id = NodeId(index as u32);
        let total = total(graph, &parts[index])?;
        totals[index] = Some(total);
        for (arg, cotangent) in transpose(graph, id, total, &active)? {
            parts[arg.index()].push(cotangent);
        }
    }
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
    pieces.sort_by_key(|&(start, ..)| start);
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

/// Cotangents of a node's active arguments, given the node's own.
fn transpose(graph: &mut Graph, id: NodeId, g: NodeId, active: &[bool]) -> Result<Vec<(NodeId, NodeId)>, GraphError> {
    let Node { op, args, .. } = graph.node(id).clone();
    let needs = |k: usize| active[args[k].index()];
    let mut out = Vec::with_capacity(args.len());
    match op {
        flat!() => {}
        Op::Unary(op) => {
            if let Some(cotangent) = unary(graph, op, args[0], id, g)? {
                out.push((args[0], cotangent));
            }
        }
        Op::Binary(op) => {
            if let Some((x, axes)) = softmax_argument(graph, id) {
                let product = graph.mul(g, id)?;
                let mean = graph.sum(product, &axes)?;
                let centred = graph.sub(g, mean)?;
                out.push((x, graph.mul(id, centred)?));
                return Ok(out);
            }
            let (a, b) = (args[0], args[1]);
            let [da, db] = binary(graph, op, [a, b], id, g, [needs(0), needs(1)])?;
            out.extend(da.map(|da| (a, da)));
            out.extend(db.map(|db| (b, db)));
        }
        Op::Select => {
            let zero = zeros(graph, g);
            if needs(1) {
                out.push((args[1], graph.select(args[0], g, zero)?));
            }
            if needs(2) {
                out.push((args[2], graph.select(args[0], zero, g)?));
            }
        }
        Op::Reduce { op, axes } => {
            let x = args[0];
            let shape = graph.shape(x).to_vec();
            let spread = match op {
                ReduceOp::Sum => g,
                ReduceOp::Max | ReduceOp::Min => {
                    let attained = graph.binary(BinaryOp::Equal, x, id)?;
                    let count = graph.sum(attained, &axes)?;
                    let share = graph.div(g, count)?;
                    graph.mul(attained, share)?
                }
            };
            out.push((x, graph.broadcast_to(spread, &shape)?));
        }
        Op::Matmul => {
            let (a, b) = (args[0], args[1]);
            if needs(0) {
                let bt = graph.transpose(b)?;
                out.push((a, graph.matmul(g, bt)?));
            }
            if needs(1) {
                let at = graph.transpose(a)?;
                out.push((b, graph.matmul(at, g)?));
            }
        }
        // y = conv(x, k), x' = conv^T(y, k) and k' = kernel_grad(x, y) are the three transposes of one trilinear form
        // <conv(x, k), y>: each one's cotangents are the other two.
        Op::Conv2d(geometry) => {
            let (x, kernel) = (args[0], args[1]);
            if needs(0) {
                let input = plane(graph, x);
                out.push((x, graph.conv2d_input_grad(g, kernel, geometry, input)?));
            }
            if needs(1) {
                out.push((kernel, graph.conv2d_kernel_grad(x, g, geometry)?));
            }
        }
        Op::Conv2dInputGrad { geometry, .. } => {
            let (dy, kernel) = (args[0], args[1]);
            if needs(0) {
                out.push((dy, graph.conv2d(g, kernel, geometry)?));
            }
            if needs(1) {
                out.push((kernel, graph.conv2d_kernel_grad(g, dy, geometry)?));
            }
        }
        Op::Conv2dKernelGrad(geometry) => {
            let (x, dy) = (args[0], args[1]);
            if needs(0) {
                let input = plane(graph, x);
                out.push((x, graph.conv2d_input_grad(dy, g, geometry, input)?));
            }
            if needs(1) {
                out.push((dy, graph.conv2d(x, g, geometry)?));
            }
        }
        Op::MaxPool2d(geometry) => {
            let x = args[0];
            let input = plane(graph, x);
            let index = graph.max_pool2d_index(x, geometry)?;
            out.push((x, graph.max_pool2d_scatter(index, g, geometry, input)?));
        }
        Op::MaxPool2dScatter { input, .. } => {
            let (index, value) = (args[0], args[1]);
            let shape = graph.shape(value).to_vec();
            let flat = [shape[0], shape[1], shape[2] * shape[3]];
            let g = graph.reshape(g, &[shape[0], shape[1], input[0] * input[1]])?;
            let index = graph.reshape(index, &flat)?;
            let taken = graph.gather(g, index, 2)?;
            out.push((value, graph.reshape(taken, &shape)?));
        }
        Op::Gather { axis } => {
            let size = graph.shape(args[0])[axis];
            out.push((args[0], graph.scatter_add(args[1], g, axis, size)?));
        }
        Op::ScatterAdd { axis, .. } => out.push((args[1], graph.gather(g, args[0], axis)?)),
        Op::TakeRows => {
            let rows = graph.shape(args[0])[0];
            out.push((args[0], graph.add_rows(args[1], g, rows)?));
        }
        Op::AddRows { .. } => out.push((args[1], graph.take_rows(g, args[0])?)),
        Op::Reshape(_) => {
            let shape = graph.shape(args[0]).to_vec();
            out.push((args[0], graph.reshape(g, &shape)?));
        }
        Op::Permute(perm) => {
            let mut inverse = vec![0; perm.len()];
            for (to, &from) in perm.iter().enumerate() {
                inverse[from] = to;
            }
            out.push((args[0], graph.permute(g, &inverse)?));
        }
        Op::Broadcast(_) => {
            let shape = graph.shape(args[0]).to_vec();
            out.push((args[0], graph.sum_to(g, &shape)?));
        }
        Op::Slice { start, step, .. } => {
            let shape = graph.shape(args[0]).to_vec();
            out.push((args[0], graph.unslice(g, &start, &step, &shape)?));
        }
        Op::Unslice { start, step, .. } => {
            let size = graph.shape(args[0]).to_vec();
            out.push((args[0], graph.slice_step(g, &start, &size, &step)?));
        }
        Op::Concat { axis } => {
            let mut start = vec![0; graph.shape(id).len()];
            for (k, &arg) in args.iter().enumerate() {
                let size = graph.shape(arg).to_vec();
                if needs(k) {
                    out.push((arg, graph.slice(g, &start, &size)?));
                }
                start[axis] += size[axis];
            }
        }
        Op::CustomVjp(backward) => {
            let mut arguments = vec![g];
            arguments.extend(&args[1..]);
            let inlined = inline(graph, &backward, &arguments)?;
            out.extend(args[1..].iter().copied().zip(inlined));
        }
    }
    out.retain(|(arg, _)| active[arg.index()]);
    Ok(out)
}

/// `x` and the axes where a node is `y = exp x / sum exp x` as [`Graph::softmax`] builds it. Its cotangent
/// `y (g - sum g y)` (the Jacobian is symmetric: its tangent too) needs `y` alone, which is at hand; through the quotient it would need `exp x` too.
pub(super) fn softmax_argument(graph: &Graph, id: NodeId) -> Option<(NodeId, Vec<usize>)> {
    let (Op::Binary(BinaryOp::Mul), &[exp, inverse]) = (&graph.node(id).op, graph.node(id).args.as_slice()) else {
        return None;
    };
    let follow = |id: NodeId, wanted: &Op| {
        let node = graph.node(id);
        (node.op == *wanted).then(|| node.args[0])
    };
    let x = follow(exp, &Op::Unary(UnaryOp::Exp))?;
    let recip = follow(inverse, &Op::Broadcast(graph.shape(id).to_vec()))?;
    let total = follow(recip, &Op::Unary(UnaryOp::Recip))?;
    match &graph.node(total).op {
        Op::Reduce { op: ReduceOp::Sum, axes } if graph.node(total).args == [exp] => Some((x, axes.clone())),
        _ => None,
    }
}

pub(super) fn unary(
    graph: &mut Graph,
    op: UnaryOp,
    x: NodeId,
    y: NodeId,
    g: NodeId,
) -> Result<Option<NodeId>, GraphError> {
    Ok(Some(match op {
        UnaryOp::Neg => graph.neg(g)?,
        UnaryOp::Abs => {
            let sign = graph.unary(UnaryOp::Sign, x)?;
            graph.mul(g, sign)?
        }
        UnaryOp::Sign | UnaryOp::Floor => return Ok(None),
        UnaryOp::Exp => graph.mul(g, y)?,
        UnaryOp::Log => {
            let inverse = graph.unary(UnaryOp::Recip, x)?;
            graph.mul(g, inverse)?
        }
        UnaryOp::Sqrt => {
            let inverse = graph.unary(UnaryOp::Recip, y)?;
            let slope = graph.scale(inverse, 0.5)?;
            graph.mul(g, slope)?
        }
        UnaryOp::Rsqrt => {
            let square = graph.mul(y, y)?;
            let cube = graph.mul(square, y)?;
            let slope = graph.scale(cube, -0.5)?;
            graph.mul(g, slope)?
        }
        UnaryOp::Recip => {
            let square = graph.mul(y, y)?;
            let product = graph.mul(g, square)?;
            graph.neg(product)?
        }
        UnaryOp::Tanh => {
            let square = graph.mul(y, y)?;
            let one = ones(graph, y);
            let slope = graph.sub(one, square)?;
            graph.mul(g, slope)?
        }
        UnaryOp::Erf => {
            let square = graph.mul(x, x)?;
            let negative = graph.neg(square)?;
            let bell = graph.unary(UnaryOp::Exp, negative)?;
            let slope = graph.scale(bell, std::f32::consts::FRAC_2_SQRT_PI)?;
            graph.mul(g, slope)?
        }
        UnaryOp::Sin => {
            let slope = graph.unary(UnaryOp::Cos, x)?;
            graph.mul(g, slope)?
        }
        UnaryOp::Cos => {
            let sine = graph.unary(UnaryOp::Sin, x)?;
            let slope = graph.neg(sine)?;
            graph.mul(g, slope)?
        }
        UnaryOp::Relu => {
            let zero = zeros(graph, y);
            let passed = graph.binary(BinaryOp::Less, zero, y)?;
            graph.select(passed, g, zero)?
        }
        UnaryOp::Sigmoid => {
            let one = ones(graph, y);
            let rest = graph.sub(one, y)?;
            let slope = graph.mul(y, rest)?;
            graph.mul(g, slope)?
        }
    }))
}

pub(super) fn binary(
    graph: &mut Graph,
    op: BinaryOp,
    [a, b]: [NodeId; 2],
    y: NodeId,
    g: NodeId,
    needs: [bool; 2],
) -> Result<[Option<NodeId>; 2], GraphError> {
    Ok(match op {
        BinaryOp::Add => [Some(g), Some(g)],
        BinaryOp::Sub => [Some(g), if needs[1] { Some(graph.neg(g)?) } else { None }],
        BinaryOp::Mul => {
            [if needs[0] { Some(graph.mul(g, b)?) } else { None }, if needs[1] { Some(graph.mul(g, a)?) } else { None }]
        }
        BinaryOp::Div => {
            let inverse = graph.unary(UnaryOp::Recip, b)?;
            let da = graph.mul(g, inverse)?;
            let db = if needs[1] {
                let product = graph.mul(da, y)?;
                Some(graph.neg(product)?)
            } else {
                None
            };
            [Some(da), db]
        }
        BinaryOp::Max | BinaryOp::Min => {
            let first = if op == BinaryOp::Max {
                graph.binary(BinaryOp::LessEqual, b, a)?
            } else {
                graph.binary(BinaryOp::LessEqual, a, b)?
            };
            let zero = zeros(graph, g);
            [
                if needs[0] { Some(graph.select(first, g, zero)?) } else { None },
                if needs[1] { Some(graph.select(first, zero, g)?) } else { None },
            ]
        }
        BinaryOp::Pow => {
            let da = if needs[0] {
                let exponent = graph.add_scalar(b, -1.0)?;
                let power = graph.binary(BinaryOp::Pow, a, exponent)?;
                let slope = graph.mul(b, power)?;
                Some(graph.mul(g, slope)?)
            } else {
                None
            };
            let db = if needs[1] {
                // 0^b does not depend on b > 0; the logarithm must not see the 0.
                let zero = zeros(graph, a);
                let one = ones(graph, a);
                let positive = graph.binary(BinaryOp::Less, zero, a)?;
                let base = graph.select(positive, a, one)?;
                let log = graph.unary(UnaryOp::Log, base)?;
                let slope = graph.mul(y, log)?;
                Some(graph.mul(g, slope)?)
            } else {
                None
            };
            [da, db]
        }
        BinaryOp::Less | BinaryOp::LessEqual | BinaryOp::Equal => [None, None],
    })
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

fn ones(graph: &mut Graph, like: NodeId) -> NodeId {
    let shape = graph.shape(like).to_vec();
    graph.constant(1.0, &shape)
}

/// Height and width of `[b, c, h, w]`.
pub(super) fn plane(graph: &Graph, x: NodeId) -> [usize; 2] {
    let shape = graph.shape(x);
    [shape[2], shape[3]]
}

#[cfg(test)]
mod tests {
    use super::super::differences::*;
    use super::super::reference::{Inputs, evaluate};
    use super::*;

    /// Compares gradient and second derivative of `f` with central differences, with respect to all its arguments.
    fn check(shapes: &[&[usize]], range: (f64, f64), f: impl Fn(&mut Graph, &[NodeId]) -> NodeId) {
        let mut graph = Graph::new();
        let (inputs, args) = arguments(&mut graph, shapes, range);
        let y = f(&mut graph, &args);
        let loss = weighted(&mut graph, y, 10);
        let first = grad(&mut graph, loss, &args).unwrap();
        compare(&graph, &inputs, loss, &args, &first, "first");
        let mut projections = Vec::new();
        for (k, &g) in first.iter().enumerate() {
            projections.push(weighted(&mut graph, g, 20 + k as u64));
        }
        let projection = projections.into_iter().reduce(|a, b| graph.add(a, b).unwrap()).unwrap();
        let second = grad(&mut graph, projection, &args).unwrap();
        compare(&graph, &inputs, projection, &args, &second, "second");
    }

    fn compare(graph: &Graph, inputs: &Inputs, loss: NodeId, args: &[NodeId], grads: &[NodeId], order: &str) {
        let exact = evaluate(graph, inputs, grads);
        for (k, (arg, exact)) in args.iter().zip(&exact).enumerate() {
            assert_eq!(graph.shape(grads[k]), graph.shape(*arg));
            for (i, &exact) in exact.iter().enumerate() {
                let mut along = vec![0.0; numel(graph.shape(*arg))];
                along[i] = 1.0;
                let slope = slopes(graph, inputs, loss, &Inputs::from([(format!("x{k}"), along)]))[0];
                assert_slope(exact, slope, format_args!("{order} order, argument {k}, element {i}"));
            }
        }
    }

    #[test]
    fn unary_rules() {
        use UnaryOp::*;
        for op in [Neg, Abs, Sign, Exp, Tanh, Erf, Sin, Cos, Floor, Relu, Sigmoid] {
            check(&[&[7]], (-1.9, 2.1), |graph, x| graph.unary(op, x[0]).unwrap());
        }
        for op in [Log, Sqrt, Rsqrt, Recip] {
            check(&[&[7]], (0.3, 2.0), |graph, x| graph.unary(op, x[0]).unwrap());
        }
    }

    #[test]
    fn binary_rules_and_select() {
        use BinaryOp::*;
        for op in [Add, Sub, Mul, Div, Max, Min, Pow, Less, LessEqual, Equal] {
            check(&[&[2, 3], &[3]], (0.4, 2.0), |graph, x| graph.binary(op, x[0], x[1]).unwrap());
        }
        check(&[&[5], &[5], &[5]], (-1.0, 1.2), |graph, x| {
            let zero = graph.constant(0.0, &[5]);
            let mask = graph.binary(Less, zero, x[0]).unwrap();
            let square = graph.mul(x[1], x[1]).unwrap();
            graph.select(mask, square, x[2]).unwrap()
        });
    }

    #[test]
    fn pow_of_zero_base_is_finite() {
        let mut graph = Graph::new();
        let a = graph.input("a", &[1], DType::F32, InputKind::State).unwrap();
        let b = graph.input("b", &[1], DType::F32, InputKind::State).unwrap();
        let y = graph.binary(BinaryOp::Pow, a, b).unwrap();
        let grads = grad(&mut graph, y, &[a, b]).unwrap();
        let inputs = Inputs::from([("a".into(), vec![0.0]), ("b".into(), vec![2.0])]);
        assert_eq!(evaluate(&graph, &inputs, &grads), [[0.0], [0.0]]);
    }

    #[test]
    fn reductions() {
        for op in [ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min] {
            check(&[&[3, 4, 2]], (-1.0, 1.0), |graph, x| {
                let square = graph.mul(x[0], x[0]).unwrap();
                graph.reduce(op, square, &[0, 2]).unwrap()
            });
        }
    }

    #[test]
    fn max_reduction_splits_ties_evenly() {
        let mut graph = Graph::new();
        let x = graph.input("x", &[4], DType::F32, InputKind::State).unwrap();
        let max = graph.reduce(ReduceOp::Max, x, &[0]).unwrap();
        let g = grad(&mut graph, max, &[x]).unwrap();
        let inputs = Inputs::from([("x".into(), vec![1.0, 3.0, 3.0, 0.0])]);
        assert_eq!(evaluate(&graph, &inputs, &g), [[0.0, 0.5, 0.5, 0.0]]);
    }

    #[test]
    fn matmul_and_layout() {
        check(&[&[2, 3, 4], &[2, 4, 2]], (-1.0, 1.0), |graph, x| {
            let square = graph.mul(x[0], x[0]).unwrap();
            graph.matmul(square, x[1]).unwrap()
        });
        check(&[&[2, 3, 4], &[2, 1, 4]], (-1.0, 1.0), |graph, x| {
            let both = graph.concat(&[x[0], x[1], x[0]], 1).unwrap();
            let turned = graph.permute(both, &[2, 0, 1]).unwrap();
            let part = graph.slice_step(turned, &[1, 0, 0], &[2, 2, 3], &[2, 1, 2]).unwrap();
            let part = graph.mul(part, part).unwrap();
            let padded = graph.unslice(part, &[1, 0, 1], &[2, 1, 1], &[4, 2, 5]).unwrap();
            let flat = graph.reshape(padded, &[1, 40]).unwrap();
            graph.broadcast_to(flat, &[3, 40]).unwrap()
        });
    }

    #[test]
    fn convolutions_close_over_each_other() {
        for (geometry, channels) in [
            (window(3, 1, 1), [2, 3]),
            (window(2, 2, 0), [1, 2]),
            (ConvGeometry { dilation: [2, 1], groups: 2, ..window(2, 1, 1) }, [4, 2]),
        ] {
            let kernel = [channels[1], channels[0] / geometry.groups, geometry.kernel[0], geometry.kernel[1]];
            check(&[&[2, channels[0], 4, 5], &kernel], (-1.0, 1.0), |graph, x| {
                graph.conv2d(x[0], x[1], geometry).unwrap()
            });
            let [oh, ow] = geometry.output([4, 5]).unwrap();
            check(&[&[2, channels[1], oh, ow], &kernel], (-1.0, 1.0), |graph, x| {
                graph.conv2d_input_grad(x[0], x[1], geometry, [4, 5]).unwrap()
            });
            check(&[&[2, channels[0], 4, 5], &[2, channels[1], oh, ow]], (-1.0, 1.0), |graph, x| {
                graph.conv2d_kernel_grad(x[0], x[1], geometry).unwrap()
            });
        }
    }

    #[test]
    fn pooling() {
        for geometry in [window(3, 2, 1), window(2, 2, 0)] {
            check(&[&[2, 2, 5, 4]], (-1.0, 1.0), |graph, x| {
                let pooled = graph.max_pool2d(x[0], geometry).unwrap();
                graph.mul(pooled, pooled).unwrap()
            });
        }
        check(&[&[1, 2, 2, 2]], (-1.0, 1.0), |graph, x| {
            let at = index(graph, &[0.0, 2.0, 2.0, 9.0, 5.0, 5.0, 10.0, 15.0], &[1, 2, 2, 2]);
            let square = graph.mul(x[0], x[0]).unwrap();
            graph.max_pool2d_scatter(at, square, window(2, 2, 0), [4, 4]).unwrap()
        });
    }

    #[test]
    fn indexing() {
        check(&[&[3, 4]], (-1.0, 1.0), |graph, x| {
            let at = index(graph, &[0.0, 3.0, 3.0, 1.0, 1.0, 2.0], &[3, 2]);
            let square = graph.mul(x[0], x[0]).unwrap();
            graph.gather(square, at, 1).unwrap()
        });
        check(&[&[3, 2]], (-1.0, 1.0), |graph, x| {
            let at = index(graph, &[0.0, 3.0, 3.0, 1.0, 1.0, 1.0], &[3, 2]);
            let square = graph.mul(x[0], x[0]).unwrap();
            graph.scatter_add(at, square, 1, 4).unwrap()
        });
        check(&[&[4, 3]], (-1.0, 1.0), |graph, x| {
            let at = index(graph, &[1.0, 0.0, 1.0, 3.0], &[2, 2]);
            let square = graph.mul(x[0], x[0]).unwrap();
            graph.take_rows(square, at).unwrap()
        });
        check(&[&[2, 2, 3]], (-1.0, 1.0), |graph, x| {
            let at = index(graph, &[1.0, 0.0, 1.0, 3.0], &[2, 2]);
            let square = graph.mul(x[0], x[0]).unwrap();
            graph.add_rows(at, square, 4).unwrap()
        });
    }

    #[test]
    fn softmax_and_its_logarithm() {
        for axis in [0, 1] {
            check(&[&[3, 5]], (-2.0, 2.0), |graph, x| graph.softmax(x[0], axis).unwrap());
            check(&[&[3, 5]], (-2.0, 2.0), |graph, x| graph.log_softmax(x[0], axis).unwrap());
        }
        // The exponential has a user beside the softmax.
        check(&[&[5]], (-2.0, 2.0), |graph, x| {
            let exp = graph.unary(UnaryOp::Exp, x[0]).unwrap();
            let total = graph.sum(exp, &[0]).unwrap();
            let inverse = graph.unary(UnaryOp::Recip, total).unwrap();
            let softmax = graph.mul(exp, inverse).unwrap();
            graph.mul(softmax, exp).unwrap()
        });
    }

    #[test]
    fn slices_of_one_vector_are_laid_side_by_side() {
        let mut graph = Graph::new();
        let theta = graph.input("x0", &[10], DType::F32, InputKind::State).unwrap();
        let a = graph.slice(theta, &[1], &[4]).unwrap();
        let b = graph.slice(theta, &[5], &[3]).unwrap();
        let (a, b) = (graph.mul(a, a).unwrap(), graph.mul(b, b).unwrap());
        let (a, b) = (graph.sum_all(a).unwrap(), graph.sum_all(b).unwrap());
        let loss = graph.add(a, b).unwrap();
        let g = grad(&mut graph, loss, &[theta]).unwrap();
        assert!(matches!(graph.node(g[0]).op, Op::Concat { axis: 0 }));
        let inputs = Inputs::from([("x0".into(), (0..10).map(f64::from).collect())]);
        assert_eq!(evaluate(&graph, &inputs, &g)[0], [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 0.0, 0.0]);
    }

    #[test]
    fn a_reshaped_value_is_the_value() {
        let mut graph = Graph::new();
        let x = graph.input("x", &[4], DType::F32, InputKind::State).unwrap();
        let view = graph.reshape(x, &[2, 2]).unwrap();
        // Refers to x, not to the view.
        let row = graph.reshape(view, &[1, 4]).unwrap();
        let square = graph.mul(row, row).unwrap();
        let loss = graph.sum_all(square).unwrap();
        let g = grad(&mut graph, loss, &[view]).unwrap();
        assert_eq!(graph.shape(g[0]), [2, 2]);
        let inputs = Inputs::from([("x".into(), vec![1.0, 2.0, 3.0, 4.0])]);
        assert_eq!(evaluate(&graph, &inputs, &g)[0], [2.0, 4.0, 6.0, 8.0]);
    }

    #[test]
    fn stop_gradient_stops_and_unused_inputs_get_zeros() {
        let mut graph = Graph::new();
        let x = graph.input("x", &[2], DType::F32, InputKind::State).unwrap();
        let unused = graph.input("unused", &[3], DType::F32, InputKind::State).unwrap();
        let frozen = graph.stop_gradient(x);
        let product = graph.mul(x, frozen).unwrap();
        let loss = graph.sum_all(product).unwrap();
        let g = grad(&mut graph, loss, &[x, unused]).unwrap();
        let inputs = Inputs::from([("x".into(), vec![3.0, -2.0]), ("unused".into(), vec![0.0; 3])]);
        assert_eq!(evaluate(&graph, &inputs, &g), [vec![3.0, -2.0], vec![0.0; 3]]);
    }

    #[test]
    fn custom_backward_is_inlined() {
        // Straight-through sign: the cotangent passes where |x| <= 1.
        let mut backward = Graph::new();
        let g = backward.input("g", &[3], DType::F32, InputKind::Step).unwrap();
        let x = backward.input("x", &[3], DType::F32, InputKind::Step).unwrap();
        let one = backward.constant(1.0, &[3]);
        let zero = backward.constant(0.0, &[3]);
        let size = backward.unary(UnaryOp::Abs, x).unwrap();
        let inside = backward.binary(BinaryOp::LessEqual, size, one).unwrap();
        let passed = backward.select(inside, g, zero).unwrap();
        let backward =
            CustomBackward { name: "straight-through sign".into(), graph: backward.into(), outputs: vec![passed] };

        let mut graph = Graph::new();
        let x = graph.input("x", &[3], DType::F32, InputKind::State).unwrap();
        let sign = graph.unary(UnaryOp::Sign, x).unwrap();
        let y = graph.custom_vjp(sign, &[x], backward).unwrap();
        let y = graph.scale(y, 5.0).unwrap();
        let loss = graph.sum_all(y).unwrap();
        let g = grad(&mut graph, loss, &[x]).unwrap();
        let inputs = Inputs::from([("x".into(), vec![-2.0, 0.5, -0.25])]);
        assert_eq!(evaluate(&graph, &inputs, &[g[0], y]), [[0.0, 5.0, 5.0], [-5.0, 5.0, -5.0]]);
    }

    #[test]
    fn a_gradient_needs_a_scalar() {
        let mut graph = Graph::new();
        let x = graph.input("x", &[3], DType::F32, InputKind::State).unwrap();
        assert!(matches!(grad(&mut graph, x, &[x]), Err(GraphError::NoDerivative(_))));
    }
}
