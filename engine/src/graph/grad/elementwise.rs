//! Elementwise functions and reductions.

use super::super::*;
use super::{Parts, Use, ones, zeros};

/// Cotangents of the arguments of an elementwise function or a reduction.
pub(super) fn transpose(graph: &mut Graph, op: Op, of: &Use) -> Result<Parts, GraphError> {
    let mut out = Vec::with_capacity(2);
    match op {
        Op::Unary(op) => {
            if let Some(cotangent) = unary(graph, op, of.args[0], of.id, of.g)? {
                out.push((of.args[0], cotangent));
            }
        }
        Op::Binary(op) => {
            if let Some((x, axes)) = softmax_argument(graph, of.id) {
                let product = graph.mul(of.g, of.id)?;
                let mean = graph.sum(product, &axes)?;
                let centred = graph.sub(of.g, mean)?;
                out.push((x, graph.mul(of.id, centred)?));
                return Ok(out);
            }
            let (a, b) = (of.args[0], of.args[1]);
            let [da, db] = binary(graph, op, [a, b], of.id, of.g, [of.needs(0), of.needs(1)])?;
            out.extend(da.map(|da| (a, da)));
            out.extend(db.map(|db| (b, db)));
        }
        Op::Select => {
            let zero = zeros(graph, of.g);
            if of.needs(1) {
                out.push((of.args[1], graph.select(of.args[0], of.g, zero)?));
            }
            if of.needs(2) {
                out.push((of.args[2], graph.select(of.args[0], zero, of.g)?));
            }
        }
        Op::Reduce { op, axes } => {
            let x = of.args[0];
            let shape = graph.shape(x).to_vec();
            let spread = match op {
                ReduceOp::Sum => of.g,
                ReduceOp::Max | ReduceOp::Min => {
                    let attained = graph.binary(BinaryOp::Equal, x, of.id)?;
                    let count = graph.sum(attained, &axes)?;
                    let share = graph.div(of.g, count)?;
                    graph.mul(attained, share)?
                }
            };
            out.push((x, graph.broadcast_to(spread, &shape)?));
        }
        _ => {}
    }
    Ok(out)
}

/// `x` and the axes where a node is `y = exp x / sum exp x` as [`Graph::softmax`] builds it. Its cotangent
/// `y (g - sum g y)` (the Jacobian is symmetric: its tangent too) needs `y` alone, which is at hand; through the quotient it would need `exp x` too.
pub(in crate::graph) fn softmax_argument(graph: &Graph, id: NodeId) -> Option<(NodeId, Vec<usize>)> {
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

pub(in crate::graph) fn unary(
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

pub(in crate::graph) fn binary(
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
