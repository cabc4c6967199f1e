//! The step graph: static shapes, a closed operation set, hash-consed nodes.
//!
//! Why a graph: small models spend their time in launches and host work, not in arithmetic. A step that is captured
//! once can be differentiated, simplified, fused, laid out in memory and replayed with one submission.
//!
//! ```text
//! burn module --capture--> Graph --grad/jvp/update--> Program --simplify/fuse/memory--> Plan --> Executor
//! ```
//!
//! A [`Graph`] is append-only; node arguments always precede the node, so index order is a valid execution order.
//! Equal nodes (same operation, arguments and shape) are one node: common subexpressions never arise.

mod build;
pub mod capture;
#[cfg(test)]
mod cases;
mod compile;
pub mod compose;
mod cost;
#[cfg(test)]
pub(crate) mod differences;
mod emit;
mod extent;
mod fuse;
pub mod grad;
mod home;
mod index;
pub mod jvp;
mod memory;
mod op;
pub mod plan;
#[allow(clippy::panic, reason = "only tests call it, those of the crates on top of this one included")]
pub mod reference;
pub mod samples;
mod saved;
mod shape;
mod simplify;
mod split;
mod substitute;
mod tails;
#[cfg(test)]
mod tests;

pub use build::broadcast_shapes;
pub use compile::{Options, compile};
pub(crate) use emit::operands;
pub(crate) use home::is_op_kernel;
pub use op::*;
pub use saved::{Saved, saved};
pub use shape::*;
pub use split::{Split, part, split};
pub use substitute::substitute;

use std::collections::{BTreeMap, HashMap};

/// Index of a node in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    /// Position in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Index of a declared input in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InputId(pub u32);

impl InputId {
    /// Position in [`Graph::inputs`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// How long an input's contents live, and who writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InputKind {
    /// A named buffer on the device that survives steps and that programs may overwrite: parameters, optimizer
    /// state, running statistics. Shared by name between the programs of one executor.
    State,
    /// A named buffer on the device that programs only read: a data set.
    Table,
    /// Small, written by the host before every run: batch indices, learning rate, step number, RNG key.
    Step,
}

/// A declared input.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InputDecl {
    /// Name, unique in the graph; states and tables are matched to device buffers by it.
    pub name: String,
    /// Sizes of the axes.
    pub shape: Shape,
    /// Element type.
    pub dtype: DType,
    /// Lifetime and writer.
    pub kind: InputKind,
}

/// A value: an operation applied to earlier values.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// Arguments, all earlier in the graph.
    pub args: Vec<NodeId>,
    /// Shape of the value.
    pub shape: Shape,
    /// Element type of the value.
    pub dtype: DType,
    /// Index into [`Graph::labels`]: the module or pass the node came from.
    pub label: u32,
}

/// An append-only, hash-consed graph of values.
#[derive(Clone, Debug)]
pub struct Graph {
    nodes: Vec<Node>,
    inputs: Vec<InputDecl>,
    labels: Vec<String>,
    label: u32,
    /// Looked up, never iterated: order cannot leak into results.
    interned: HashMap<(Op, Vec<NodeId>, Shape), NodeId>,
    /// Values that wait for the backward pass in a format of their own: bits an element.
    formats: BTreeMap<NodeId, F32Bits>,
}

impl Default for Graph {
    fn default() -> Self {
        Graph {
            nodes: Vec::new(),
            inputs: Vec::new(),
            labels: vec![String::new()],
            label: 0,
            interned: HashMap::new(),
            formats: BTreeMap::new(),
        }
    }
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// All nodes in execution order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node behind an id of this graph.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Shape of a value.
    pub fn shape(&self, id: NodeId) -> &[usize] {
        &self.node(id).shape
    }

    /// Declared inputs.
    pub fn inputs(&self) -> &[InputDecl] {
        &self.inputs
    }

    /// Where a node came from (module path or pass), for messages; may be empty.
    pub fn label_of(&self, id: NodeId) -> &str {
        &self.labels[self.node(id).label as usize]
    }

    /// The label of what is appended now.
    pub fn label(&self) -> &str {
        &self.labels[self.label as usize]
    }

    /// Nodes appended from now on carry this label (a module path, "grad", an optimizer's name).
    pub fn set_label(&mut self, label: &str) {
        self.label = match self.labels.iter().position(|known| known == label) {
            Some(index) => index as u32,
            None => {
                self.labels.push(label.to_owned());
                (self.labels.len() - 1) as u32
            }
        };
    }

    /// Declares an input and yields its value. A name declared before must match in shape, type and kind.
    pub fn input(&mut self, name: &str, shape: &[usize], dtype: DType, kind: InputKind) -> Result<NodeId, GraphError> {
        let decl = InputDecl { name: name.to_owned(), shape: shape.to_vec(), dtype, kind };
        let index = match self.inputs.iter().position(|known| known.name == name) {
            Some(index) if self.inputs[index] == decl => index,
            Some(index) => {
                return Err(GraphError::Shape {
                    op: format!("input {name}"),
                    reason: format!("declared as {:?} and as {decl:?}", self.inputs[index]),
                });
            }
            None => {
                self.inputs.push(decl);
                self.inputs.len() - 1
            }
        };
        Ok(self.push(Op::Input(InputId(index as u32)), vec![], shape.to_vec(), dtype))
    }

    /// Appends a node whose shape and type the caller has checked, or finds the equal one.
    fn push(&mut self, op: Op, args: Vec<NodeId>, shape: Shape, dtype: DType) -> NodeId {
        let key = (op, args, shape);
        if let Some(&id) = self.interned.get(&key) {
            return id;
        }
        let id = NodeId(self.nodes.len() as u32);
        let (op, args, shape) = key.clone();
        self.nodes.push(Node { op, args, shape, dtype, label: self.label });
        self.interned.insert(key, id);
        id
    }
}

/// Where the value of an output goes when a program has run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Replaces the contents of a state (same number of elements). All reads of the old contents come first.
    State(InputId),
    /// One f32 in the metrics ring: column of the row that this run writes.
    Metric(usize),
    /// Kept under a name until the next run of the program, to be read by the host.
    Fetch(String),
}

/// A value that a program yields.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Output {
    /// The value.
    pub node: NodeId,
    /// Where it goes.
    pub target: Target,
}

/// A graph with its results: what an executor can run.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The computation.
    pub graph: Graph,
    /// Its results.
    pub outputs: Vec<Output>,
}

impl Program {
    /// Lets a value replace the contents of the state of that name, which has its shape.
    ///
    /// # Errors
    /// The name is that of an input of another shape or kind.
    pub fn keep(&mut self, state: &str, node: NodeId) -> Result<(), GraphError> {
        let Node { shape, dtype, .. } = self.graph.node(node).clone();
        let input = self.graph.input(state, &shape, dtype, InputKind::State)?;
        let Op::Input(id) = self.graph.node(input).op else {
            return Err(GraphError::Shape { op: state.to_owned(), reason: "not an input".to_owned() });
        };
        self.outputs.push(Output { node, target: Target::State(id) });
        Ok(())
    }

    /// Writes a value of one element to a column of the metrics ring.
    pub fn metric(&mut self, column: usize, node: NodeId) {
        self.outputs.push(Output { node, target: Target::Metric(column) });
    }

    /// Keeps a value under a name, for the host to read until the next run.
    pub fn fetch(&mut self, name: &str, node: NodeId) {
        self.outputs.push(Output { node, target: Target::Fetch(name.to_owned()) });
    }
}

/// A graph cannot be built as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// Arguments do not fit the operation.
    #[error("{op}: {reason}")]
    Shape {
        /// The operation.
        op: String,
        /// What does not fit.
        reason: String,
    },
    /// A captured operation has no counterpart here.
    #[error("{module}: operation {op} is not in the graph's operation set")]
    Unsupported {
        /// The operation as recorded.
        op: String,
        /// The module it came from.
        module: String,
    },
    /// A derivative was asked for where none is defined.
    #[error("no derivative: {0}")]
    NoDerivative(String),
}
