//! Linearise once, apply many: divides a program by what depends on some of its inputs.
//!
//! A Hessian-vector product is linear in the vector; everything else in it (activations, slopes) is the same for every
//! vector on the same batch and parameters. [`split`] puts that into a program of its own, which keeps what the rest
//! needs in states; an iterative method runs the rest alone.

use super::home::is_view;
use super::*;

/// A program in two parts, to be run one after the other.
#[derive(Clone, Debug)]
pub struct Split {
    /// What does not depend on the moving inputs. Writes [`Self::kept`].
    pub fixed: Program,
    /// The rest. Reads the moving inputs, [`Self::kept`] and tables, nothing else: parameters and batches may change
    /// between two runs without effect until `fixed` runs again.
    pub moving: Program,
    /// States that carry values from one part to the other. They must exist before either part is prepared.
    pub kept: Vec<InputDecl>,
}

/// Divides `program` by what depends on the inputs named in `moving`. Kept values share one state an element type,
/// `{prefix}.f32` and `{prefix}.u32`, so that a kernel binds few buffers however many values it reads.
///
/// Layouts (reshapes, broadcasts, slices) and single cheap operations on kept values are computed again rather than
/// kept.
///
/// # Errors
/// A prefix that collides with the program's own inputs.
pub fn split(program: &Program, moving: &[&str], prefix: &str) -> Result<Split, GraphError> {
    let graph = &program.graph;
    let moves = depends(graph, moving);
    let stored = stored(program, &moves);

    let mut fixed = Copier::new(graph);
    let mut second = Copier::new(graph);
    let mut kept = Vec::new();
    let mut outputs = Vec::new();
    for (dtype, suffix) in [(DType::F32, "f32"), (DType::U32, "u32")] {
        let ids: Vec<NodeId> = (0..stored.len())
            .filter(|&index| stored[index] && graph.nodes()[index].dtype == dtype)
            .map(|index| NodeId(index as u32))
            .collect();
        if ids.is_empty() {
            continue;
        }
        let name = format!("{prefix}.{suffix}");
        let mut flat = Vec::with_capacity(ids.len());
        for &id in &ids {
            let value = fixed.copy(id)?;
            flat.push(fixed.to.reshape(value, &[numel(graph.shape(id))])?);
        }
        let all = fixed.to.concat(&flat, 0)?;
        let shape = fixed.to.shape(all).to_vec();
        let state = fixed.to.input(&name, &shape, dtype, InputKind::State)?;
        outputs.push(Output { node: all, target: Target::State(declared(&fixed.to, state)?) });
        let state = second.to.input(&name, &shape, dtype, InputKind::State)?;
        let mut start = 0;
        for &id in &ids {
            let size = numel(graph.shape(id));
            let part = second.to.slice(state, &[start], &[size])?;
            second.copies[id.index()] = Some(second.to.reshape(part, graph.shape(id))?);
            start += size;
        }
        kept.push(InputDecl { name, shape, dtype, kind: InputKind::State });
    }
    let mut rest = Vec::new();
    for output in &program.outputs {
        let (copier, list) =
            if moves[output.node.index()] { (&mut second, &mut rest) } else { (&mut fixed, &mut outputs) };
        list.push(copier.output(output)?);
    }
    Ok(Split { fixed: Program { graph: fixed.to, outputs }, moving: Program { graph: second.to, outputs: rest }, kept })
}

/// The part of a program that yields the outputs to `keep`. Inputs that only others need are gone.
///
/// # Errors
/// None for a program that is in order.
pub fn part(program: &Program, keep: impl Fn(&Output) -> bool) -> Result<Program, GraphError> {
    let mut copier = Copier::new(&program.graph);
    let outputs = program.outputs.iter().filter(|&output| keep(output));
    let outputs = outputs.map(|output| copier.output(output)).collect::<Result<_, _>>()?;
    Ok(Program { graph: copier.to, outputs })
}

/// Which nodes depend on an input named in `names`.
fn depends(graph: &Graph, names: &[&str]) -> Vec<bool> {
    let mut depends = vec![false; graph.nodes().len()];
    for (index, node) in graph.nodes().iter().enumerate() {
        depends[index] = match node.op {
            Op::Input(id) => names.contains(&graph.inputs()[id.index()].name.as_str()),
            _ => node.args.iter().any(|arg| depends[arg.index()]),
        };
    }
    depends
}

/// Which values the moving part reads and cannot cheaply compute again.
fn stored(program: &Program, moves: &[bool]) -> Vec<bool> {
    let graph = &program.graph;
    let mut live = vec![false; moves.len()];
    let mut read = vec![false; moves.len()];
    for output in &program.outputs {
        live[output.node.index()] = moves[output.node.index()];
    }
    for index in (0..moves.len()).rev() {
        let node = &graph.nodes()[index];
        if !live[index] {
            continue;
        }
        // Views of fixed values are followed to what they show.
        for arg in &node.args {
            live[arg.index()] |= moves[arg.index()] || is_view(&graph.node(*arg).op);
            read[arg.index()] |= !moves[arg.index()];
        }
    }
    let mut stored = vec![false; moves.len()];
    // Whether a value can be had without computing anything: stored, constant, or a view of such.
    let mut at_hand = vec![false; moves.len()];
    for (index, node) in graph.nodes().iter().enumerate() {
        let args_at_hand = node.args.iter().all(|arg| at_hand[arg.index()]);
        let constant = match node.op {
            Op::Const(_) | Op::Literal(_) | Op::Iota { .. } => true,
            Op::Input(id) => graph.inputs()[id.index()].kind == InputKind::Table,
            _ => false,
        };
        let computed_again = constant || is_view(&node.op) || is_cheap(&node.op) && args_at_hand;
        stored[index] = read[index] && !computed_again;
        at_hand[index] = stored[index] || constant || (is_view(&node.op) && args_at_hand);
    }
    stored
}

/// Cheaper to compute again than to read.
fn is_cheap(op: &Op) -> bool {
    use BinaryOp::{Div, Pow};
    use UnaryOp::{Abs, Neg, Relu, Sign};
    match op {
        Op::Unary(op) => matches!(op, Neg | Abs | Sign | Relu),
        Op::Binary(op) => !matches!(op, Div | Pow),
        Op::Select | Op::Cast(_) => true,
        _ => false,
    }
}

/// The input behind a node that was just declared.
fn declared(graph: &Graph, node: NodeId) -> Result<InputId, GraphError> {
    match graph.node(node).op {
        Op::Input(id) => Ok(id),
        _ => Err(GraphError::Shape { op: "split".into(), reason: "not an input".into() }),
    }
}

/// Copies values and what they depend on from one graph into another.
struct Copier<'a> {
    from: &'a Graph,
    to: Graph,
    /// Copies by index in `from`.
    copies: Vec<Option<NodeId>>,
}

impl<'a> Copier<'a> {
    fn new(from: &'a Graph) -> Self {
        Copier { from, to: Graph::new(), copies: vec![None; from.nodes().len()] }
    }

    fn copy(&mut self, wanted: NodeId) -> Result<NodeId, GraphError> {
        let mut needed = vec![false; wanted.index() + 1];
        needed[wanted.index()] = true;
        for index in (0..needed.len()).rev() {
            if needed[index] && self.copies[index].is_none() {
                for arg in &self.from.nodes()[index].args {
                    needed[arg.index()] = true;
                }
            }
        }
        let mut last = None;
        for index in (0..needed.len()).filter(|&index| needed[index]) {
            let copy = match self.copies[index] {
                Some(copy) => copy,
                None => self.copy_one(NodeId(index as u32))?,
            };
            self.copies[index] = Some(copy);
            last = Some(copy);
        }
        last.ok_or_else(|| GraphError::Shape { op: "split".into(), reason: "copies nothing".into() })
    }

    /// Copies what an output needs.
    fn output(&mut self, output: &Output) -> Result<Output, GraphError> {
        let target = match &output.target {
            Target::State(id) => {
                let decl = &self.from.inputs()[id.index()];
                let state = self.to.input(&decl.name, &decl.shape, decl.dtype, decl.kind)?;
                Target::State(declared(&self.to, state)?)
            }
            other => other.clone(),
        };
        Ok(Output { node: self.copy(output.node)?, target })
    }

    /// Copies a node whose arguments have been copied.
    fn copy_one(&mut self, id: NodeId) -> Result<NodeId, GraphError> {
        let node = self.from.node(id);
        self.to.set_label(self.from.label_of(id));
        if let Op::Input(input) = node.op {
            let InputDecl { name, shape, dtype, kind } = &self.from.inputs()[input.index()];
            return self.to.input(name, shape, *dtype, *kind);
        }
        let args = node.args.iter().filter_map(|arg| self.copies[arg.index()]).collect();
        Ok(self.to.push(node.op.clone(), args, node.shape.clone(), node.dtype))
    }
}

#[cfg(test)]
mod tests;
