//! The same values with less work: constants are folded, identities removed, elementwise functions of broadcasts done
//! before the broadcast, sums of placed slices become concatenations, and sums over a batch of products become one
//! longer product.
//!
//! The graph is rebuilt node by node, arguments first, so that every rule sees simplified arguments; equal nodes
//! become one. A second pass catches what the first has uncovered.

use super::*;

/// Passes over the graph.
const PASSES: usize = 2;

/// A program that yields the same outputs.
pub(super) fn simplify(program: &Program) -> Result<Program, GraphError> {
    let mut current = rebuild(program)?;
    for _ in 1..PASSES {
        current = rebuild(&current)?;
    }
    Ok(current)
}

fn rebuild(program: &Program) -> Result<Program, GraphError> {
    let old = &program.graph;
    let live = fuse::live(program);
    let mut users = vec![0u32; old.nodes().len()];
    for (node, _) in old.nodes().iter().zip(&live).filter(|&(_, &live)| live) {
        node.args.iter().for_each(|arg| users[arg.index()] += 1);
    }
    for output in &program.outputs {
        users[output.node.index()] += 1;
    }
    let mut new = Rewriter { graph: Graph::new(), once: Vec::new(), indexed: false };
    let indexed = |x: NodeId, geometry: &PoolGeometry| {
        let same = |(index, node): (usize, &Node)| {
            live[index] && node.op == Op::MaxPool2dIndex(*geometry) && node.args[0] == x
        };
        old.nodes().iter().enumerate().any(same)
    };
    for input in old.inputs() {
        new.graph.input(&input.name, &input.shape, input.dtype, input.kind)?;
    }
    let mut to: Vec<NodeId> = vec![NodeId(0); old.nodes().len()];
    for (index, node) in old.nodes().iter().enumerate().filter(|&(index, _)| live[index]) {
        let id = NodeId(index as u32);
        new.graph.set_label(old.label_of(id));
        let args: Vec<NodeId> = node.args.iter().map(|arg| to[arg.index()]).collect();
        // A value that has one reader in the old graph may be taken apart for it.
        new.once.clear();
        new.once.extend(node.args.iter().zip(&args).filter(|(old, _)| users[old.index()] == 1).map(|(_, &new)| new));
        new.indexed = matches!(&node.op, Op::MaxPool2d(geometry) if indexed(node.args[0], geometry));
        to[index] = new.node(node, &args)?;
    }
    let outputs = program
        .outputs
        .iter()
        .map(|output| Output { node: to[output.node.index()], target: output.target.clone() })
        .collect();
    Ok(Program { graph: new.graph, outputs })
}

struct Rewriter {
    graph: Graph,
    /// Arguments of the node at hand that nothing else reads.
    once: Vec<NodeId>,
    /// The node at hand is a maximum over windows whose places are computed as well.
    indexed: bool,
}

impl Rewriter {
    fn number(&self, id: NodeId) -> Option<f32> {
        match self.graph.node(id).op {
            Op::Const(value) => Some(value.get()),
            _ => None,
        }
    }

    fn same(&mut self, node: &Node, args: &[NodeId]) -> NodeId {
        self.graph.push(node.op.clone(), args.to_vec(), node.shape.clone(), node.dtype)
    }

    fn node(&mut self, node: &Node, args: &[NodeId]) -> Result<NodeId, GraphError> {
        match &node.op {
            Op::StopGradient | Op::CustomVjp(_) => Ok(args[0]),
            Op::Unary(op) => self.unary(*op, args[0]),
            Op::Binary(op) => self.binary(*op, args[0], args[1]),
            Op::Select => match self.number(args[0]) {
                Some(mask) => Ok(if mask != 0.0 { args[1] } else { args[2] }),
                None if args[1] == args[2] => Ok(args[1]),
                None => Ok(self.same(node, args)),
            },
            Op::Cast(dtype) => match (self.number(args[0]), dtype) {
                (Some(value), DType::F32) => Ok(self.graph.constant(value, &node.shape)),
                _ => Ok(self.same(node, args)),
            },
            Op::Reduce { op, axes } => self.reduce(*op, axes, node, args),
            Op::ScatterAdd { axis, size } if self.graph.shape(args[0])[*axis] == 1 => {
                self.one_hot(args[0], args[1], *axis, *size)
            }
            Op::Reshape(shape) => match self.number(args[0]) {
                Some(value) if node.dtype == DType::F32 => Ok(self.graph.constant(value, shape)),
                _ => self.graph.reshape(args[0], shape),
            },
            Op::Permute(perm) => self.permute(perm, args[0]),
            Op::Broadcast(shape) => match &self.graph.node(args[0]).op {
                Op::Broadcast(_) => {
                    let inner = self.graph.node(args[0]).args[0];
                    self.graph.broadcast_to(inner, shape)
                }
                _ => self.graph.broadcast_to(args[0], shape),
            },
            Op::Slice { start, size, step } => self.slice(start, size, step, args[0]),
            // A column by a row: each element is one product.
            Op::Matmul if self.graph.shape(args[0]).last() == Some(&1) => {
                let [a, b] = [args[0], args[1]].map(|side| self.graph.broadcast_to(side, &node.shape));
                self.binary(BinaryOp::Mul, a?, b?)
            }
            Op::MaxPool2d(geometry) if self.indexed => self.picked(args[0], *geometry),
            Op::Unslice { shape, .. } if self.number(args[0]) == Some(0.0) => Ok(self.graph.constant(0.0, shape)),
            _ => Ok(self.same(node, args)),
        }
    }

    fn unary(&mut self, op: UnaryOp, x: NodeId) -> Result<NodeId, GraphError> {
        let arg = self.graph.node(x);
        let shape = arg.shape.clone();
        match arg.op {
            Op::Const(value) => Ok(self.graph.constant(apply(op, value.get()), &shape)),
            Op::Unary(UnaryOp::Neg) if op == UnaryOp::Neg => Ok(arg.args[0]),
            Op::Broadcast(_) => {
                let inner = arg.args[0];
                let inner = self.unary(op, inner)?;
                self.graph.broadcast_to(inner, &shape)
            }
            _ => self.graph.unary(op, x),
        }
    }

    fn binary(&mut self, op: BinaryOp, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        use BinaryOp::{Add, Div, Mul, Sub};
        let shape = self.graph.shape(a).to_vec();
        let numbers = (self.number(a), self.number(b));
        match (op, numbers.0, numbers.1) {
            (_, Some(x), Some(y)) => return Ok(self.graph.constant(combine(op, x, y), &shape)),
            (Add | Sub, _, Some(0.0)) | (Mul | Div, _, Some(1.0)) => return Ok(a),
            (Add, Some(0.0), _) | (Mul, Some(1.0), _) => return Ok(b),
            (Mul, Some(0.0), _) | (Mul, _, Some(0.0)) => return Ok(self.graph.constant(0.0, &shape)),
            (Mul, _, Some(-1.0)) => return self.unary(UnaryOp::Neg, a),
            (Mul, Some(-1.0), _) => return self.unary(UnaryOp::Neg, b),
            (Sub, Some(0.0), _) => return self.unary(UnaryOp::Neg, b),
            // x c d = x (c d)
            (Mul, None, Some(d)) => {
                if let (Op::Binary(Mul), &[x, c]) = (&self.graph.node(a).op, &self.graph.node(a).args[..])
                    && let Some(c) = self.number(c)
                {
                    let factor = self.graph.constant(c * d, &shape);
                    return self.graph.mul(x, factor);
                }
            }
            _ => {}
        }
        if let (Add | Sub, Op::Unary(UnaryOp::Neg)) = (op, &self.graph.node(b).op) {
            let inner = self.graph.node(b).args[0];
            return self.binary(if op == Add { Sub } else { Add }, a, inner);
        }
        if let (Add, Op::Unary(UnaryOp::Neg)) = (op, &self.graph.node(a).op) {
            let inner = self.graph.node(a).args[0];
            return self.binary(Sub, b, inner);
        }
        if op == Add
            && let Some(whole) = self.assembled(a, b)?
        {
            return Ok(whole);
        }
        if let Some(done) = self.before_broadcast(op, a, b)? {
            return Ok(done);
        }
        self.graph.binary(op, a, b)
    }

    /// `op(broadcast x, broadcast y)` as `broadcast op(x, y)`, where both come from one shape or one is a number.
    fn before_broadcast(&mut self, op: BinaryOp, a: NodeId, b: NodeId) -> Result<Option<NodeId>, GraphError> {
        let shape = self.graph.shape(a).to_vec();
        let inner = |graph: &Graph, id: NodeId| match graph.node(id).op {
            Op::Broadcast(_) => Some(graph.node(id).args[0]),
            _ => None,
        };
        let (x, y) = match (inner(&self.graph, a), inner(&self.graph, b), self.number(a), self.number(b)) {
            (Some(x), Some(y), ..) if self.graph.shape(x) == self.graph.shape(y) => (x, y),
            (Some(x), None, _, Some(number)) => {
                let small = self.graph.shape(x).to_vec();
                (x, self.graph.constant(number, &small))
            }
            (None, Some(y), Some(number), _) => {
                let small = self.graph.shape(y).to_vec();
                (self.graph.constant(number, &small), y)
            }
            _ => return Ok(None),
        };
        let small = self.binary(op, x, y)?;
        self.graph.broadcast_to(small, &shape).map(Some)
    }

    /// A sum of slices placed side by side along one axis is their concatenation.
    fn assembled(&mut self, a: NodeId, b: NodeId) -> Result<Option<NodeId>, GraphError> {
        let shape = self.graph.shape(a).to_vec();
        let mut parts = Vec::new();
        let mut stack = vec![a, b];
        let mut along = None;
        while let Some(id) = stack.pop() {
            let node = self.graph.node(id);
            match &node.op {
                Op::Binary(BinaryOp::Add) => stack.extend(&node.args),
                Op::Unslice { start, step, .. } => {
                    let from = self.graph.shape(node.args[0]);
                    let mut moved = (0..shape.len()).filter(|&axis| from[axis] != shape[axis]);
                    let (Some(axis), None) = (moved.next(), moved.next()) else { return Ok(None) };
                    if step[axis] != 1 || along.is_some_and(|known| known != axis) {
                        return Ok(None);
                    }
                    along = Some(axis);
                    parts.push((start[axis], from[axis], node.args[0]));
                }
                _ => return Ok(None),
            }
        }
        crate::numeric::sort(&mut parts);
        let Some(axis) = along else { return Ok(None) };
        let mut end = 0;
        for &(start, size, _) in &parts {
            if start != end {
                return Ok(None);
            }
            end += size;
        }
        if end != shape[axis] {
            return Ok(None);
        }
        let parts: Vec<NodeId> = parts.into_iter().map(|(.., part)| part).collect();
        self.graph.concat(&parts, axis).map(Some)
    }

    fn reduce(&mut self, op: ReduceOp, axes: &[usize], node: &Node, args: &[NodeId]) -> Result<NodeId, GraphError> {
        let x = args[0];
        let arg = self.graph.node(x).clone();
        let count: usize = axes.iter().map(|&axis| arg.shape[axis]).product();
        match &arg.op {
            Op::Const(value) => {
                let value = if op == ReduceOp::Sum { value.get() * count as f32 } else { value.get() };
                Ok(self.graph.constant(value, &node.shape))
            }
            Op::Reduce { op: inner, axes: more } if *inner == op => {
                self.graph.reduce(op, arg.args[0], &[axes, &more[..]].concat())
            }
            Op::Broadcast(_) => {
                // Along an axis that was only repeated, a sum is a multiple.
                let small = self.graph.shape(arg.args[0]).to_vec();
                let (repeated, real): (Vec<usize>, Vec<usize>) = axes.iter().partition(|&&axis| small[axis] == 1);
                if repeated.is_empty() {
                    return Ok(self.same(node, args));
                }
                let times: usize = repeated.iter().map(|&axis| arg.shape[axis]).product();
                let mut value = self.graph.reduce(op, arg.args[0], &real)?;
                if op == ReduceOp::Sum {
                    let shape = self.graph.shape(value).to_vec();
                    let factor = self.graph.constant(times as f32, &shape);
                    value = self.binary(BinaryOp::Mul, value, factor)?;
                }
                self.graph.broadcast_to(value, &node.shape)
            }
            Op::Matmul if op == ReduceOp::Sum && self.once.contains(&x) => self.long_product(axes, node, &arg, args),
            _ => Ok(self.same(node, args)),
        }
    }

    /// The sum over batch axes of a batched product is one product with a longer inner axis.
    fn long_product(
        &mut self,
        axes: &[usize],
        node: &Node,
        product: &Node,
        args: &[NodeId],
    ) -> Result<NodeId, GraphError> {
        let rank = product.shape.len();
        if axes.iter().any(|&axis| axis + 2 >= rank) {
            return Ok(self.same(node, args));
        }
        let kept: Vec<usize> = (0..rank - 2).filter(|axis| !axes.contains(axis)).collect();
        let [m, n] = [product.shape[rank - 2], product.shape[rank - 1]];
        let batch: Vec<usize> = kept.iter().map(|&axis| product.shape[axis]).collect();
        let a = self.graph.permute(product.args[0], &[&kept[..], &[rank - 2], axes, &[rank - 1]].concat())?;
        let long: usize = numel(self.graph.shape(a)) / (numel(&batch) * m);
        let a = self.graph.reshape(a, &[&batch[..], &[m, long]].concat())?;
        let b = self.graph.permute(product.args[1], &[&kept[..], axes, &[rank - 2, rank - 1]].concat())?;
        let b = self.graph.reshape(b, &[&batch[..], &[long, n]].concat())?;
        let c = self.graph.matmul(a, b)?;
        self.graph.reshape(c, &node.shape)
    }

    /// Scattering one value a row is choosing where the index is.
    fn one_hot(&mut self, index: NodeId, value: NodeId, axis: usize, size: usize) -> Result<NodeId, GraphError> {
        let mut shape = self.graph.shape(value).to_vec();
        let index = self.graph.cast(index, DType::F32)?;
        let last = self.graph.constant((size - 1) as f32, &shape);
        // Indices beyond the end count as the last, as everywhere.
        let index = self.graph.binary(BinaryOp::Min, index, last)?;
        shape[axis] = size;
        let at = self.graph.iota(&shape, axis)?;
        let here = self.graph.binary(BinaryOp::Equal, at, index)?;
        let zero = self.graph.constant(0.0, &shape);
        self.graph.select(here, value, zero)
    }

    /// Maxima read from where they are known to be: one search of the windows serves values and places.
    fn picked(&mut self, x: NodeId, geometry: PoolGeometry) -> Result<NodeId, GraphError> {
        let index = self.graph.max_pool2d_index(x, geometry)?;
        let (from, to) = (self.graph.shape(x).to_vec(), self.graph.shape(index).to_vec());
        let x = self.graph.reshape(x, &[from[0], from[1], from[2] * from[3]])?;
        let index = self.graph.reshape(index, &[to[0], to[1], to[2] * to[3]])?;
        let y = self.graph.gather(x, index, 2)?;
        self.graph.reshape(y, &to)
    }

    fn permute(&mut self, perm: &[usize], x: NodeId) -> Result<NodeId, GraphError> {
        let node = self.graph.node(x);
        match &node.op {
            Op::Permute(inner) => {
                let composed: Vec<usize> = perm.iter().map(|&axis| inner[axis]).collect();
                let x = node.args[0];
                self.graph.permute(x, &composed)
            }
            Op::Const(value) => {
                let (value, shape) = (value.get(), perm.iter().map(|&axis| node.shape[axis]).collect::<Vec<_>>());
                Ok(self.graph.constant(value, &shape))
            }
            _ => self.graph.permute(x, perm),
        }
    }

    fn slice(&mut self, start: &[usize], size: &[usize], step: &[usize], x: NodeId) -> Result<NodeId, GraphError> {
        let node = self.graph.node(x);
        match &node.op {
            Op::Const(value) => {
                let value = value.get();
                Ok(self.graph.constant(value, size))
            }
            Op::Slice { start: from, step: every, .. } => {
                let start: Vec<usize> = (0..start.len()).map(|axis| from[axis] + start[axis] * every[axis]).collect();
                let step: Vec<usize> = (0..step.len()).map(|axis| step[axis] * every[axis]).collect();
                let x = node.args[0];
                self.graph.slice_step(x, &start, size, &step)
            }
            _ => self.graph.slice_step(x, start, size, step),
        }
    }
}

/// The function of a number, in the precision of the executors.
fn apply(op: UnaryOp, x: f32) -> f32 {
    match op {
        UnaryOp::Neg => -x,
        UnaryOp::Abs => x.abs(),
        UnaryOp::Sign if x == 0.0 => 0.0,
        UnaryOp::Sign => x.signum(),
        UnaryOp::Exp => libm::expf(x),
        UnaryOp::Log => libm::logf(x),
        UnaryOp::Sqrt => x.sqrt(),
        UnaryOp::Rsqrt => 1.0 / x.sqrt(),
        UnaryOp::Recip => 1.0 / x,
        UnaryOp::Tanh => libm::tanhf(x),
        UnaryOp::Erf => libm::erff(x),
        UnaryOp::Sin => libm::sinf(x),
        UnaryOp::Cos => libm::cosf(x),
        UnaryOp::Floor => x.floor(),
        UnaryOp::Relu if x < 0.0 => 0.0,
        UnaryOp::Relu => x,
        UnaryOp::Sigmoid => 1.0 / (1.0 + libm::expf(-x)),
    }
}

fn combine(op: BinaryOp, a: f32, b: f32) -> f32 {
    let truth = |yes: bool| if yes { 1.0 } else { 0.0 };
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Max if a >= b || a.is_nan() => a,
        BinaryOp::Min if a <= b || a.is_nan() => a,
        BinaryOp::Max | BinaryOp::Min => b,
        BinaryOp::Pow => libm::powf(a, b),
        BinaryOp::Less => truth(a < b),
        BinaryOp::LessEqual => truth(a <= b),
        BinaryOp::Equal => truth(a == b),
    }
}
