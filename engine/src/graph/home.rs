//! Homes: where each value lies in memory.
//!
//! Values that several kernels share are *roots*. A root is written straight to where it is wanted: a part of a
//! concatenation, a state, a permuted layout that makes a later reshape free. [`Homes::deliver`] pushes a wanted
//! layout down through views to the root beneath them. Until memory.rs lets values share space, every home has a
//! range of arena words of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::index::{identity, strides_of, through_view};
use super::memory::ALIGNMENT;
use super::plan::{Place, Space};
use super::*;

/// A tensor in memory: its first element and the distance of elements along each of its axes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Layout {
    /// First element.
    pub place: Place,
    /// Elements to advance per tensor axis; anything for axes of size 1.
    pub strides: Vec<usize>,
}

impl Layout {
    /// Row-major from `place` on.
    pub fn contiguous(place: Place, shape: &[usize]) -> Self {
        Layout { place, strides: contiguous_strides(shape) }
    }

    /// Row-major without gaps?
    pub fn is_contiguous(&self, shape: &[usize]) -> bool {
        let wanted = contiguous_strides(shape);
        shape.iter().zip(self.strides.iter().zip(wanted)).all(|(&size, (&stride, want))| size == 1 || stride == want)
    }
}

/// Who fills a collector's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feeder {
    /// The kernel that computes this root writes it in place.
    Root(NodeId),
    /// The kernels that fill this collector, which lies inside.
    Collector(NodeId),
    /// A copy, by its position in [`Homes::copies`].
    Copy(usize),
}

/// A copy of a value (or view of one) to a layout over its axes.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    /// What is copied.
    pub node: NodeId,
    /// Where to.
    pub to: Layout,
}

/// What lower passes found to need memory of its own, or cannot share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Demands {
    /// Views that must be contiguous in memory, and values that must not be computed inside other kernels.
    pub materialised: BTreeSet<NodeId>,
    /// Roots that keep a contiguous home although they are also delivered elsewhere.
    pub contiguous: BTreeSet<NodeId>,
    /// States that cannot be overwritten where they are computed: old contents are still read then, or later.
    pub indirect: BTreeSet<InputId>,
}

/// Where everything lies.
#[derive(Clone, Debug, Default)]
pub(super) struct Homes {
    /// Computed by one kernel for others (or for an output) to use.
    pub root: Vec<bool>,
    /// Memory of a value from which kernels read it, with the root, collector, input or literal that it belongs to;
    /// `None` for values that are computed where they are used.
    pub memory: Vec<Option<(NodeId, Layout)>>,
    /// Layouts that a root is written to besides (or instead of) its home.
    pub deliveries: BTreeMap<NodeId, Vec<Layout>>,
    /// Values that are assembled in memory by several kernels: concatenations and views made contiguous.
    pub collectors: BTreeMap<NodeId, Vec<Feeder>>,
    /// Copies of values that no kernel of their own computes.
    pub copies: Vec<Copy>,
    /// Arena ranges handed out: first word and number of words, ascending.
    pub regions: Vec<(usize, usize)>,
    /// Ranges of literals, with their contents.
    pub constants: Vec<(usize, Arc<[F32Bits]>)>,
    /// Ranges of fetched values.
    pub fetches: Vec<(String, plan::Tensor)>,
    /// States that a kernel writes in place.
    pub states: Vec<(Feeder, InputId)>,
    /// Arena words and their number that are copied to a state after everything else.
    pub last: Vec<(Place, usize, InputId)>,
    /// Arena words handed out. Places are good only where these are fewer than 2^32: a `usize` has 32 bits in browsers.
    pub words: u64,
}

/// Operations that only look at another value's elements.
pub(super) fn is_view(op: &Op) -> bool {
    matches!(
        op,
        Op::Reshape(_) | Op::Permute(_) | Op::Broadcast(_) | Op::Slice { .. } | Op::StopGradient | Op::CustomVjp(_)
    )
}

/// Operations with a kernel of their own.
pub(super) fn is_heavy(op: &Op) -> bool {
    matches!(op, Op::Matmul) || is_op_kernel(op)
}

/// Operations that run as [`plan::OpKernel`].
pub(crate) fn is_op_kernel(op: &Op) -> bool {
    matches!(
        op,
        Op::Conv2d(_)
            | Op::Conv2dInputGrad { .. }
            | Op::Conv2dKernelGrad(_)
            | Op::MaxPool2d(_)
            | Op::MaxPool2dIndex(_)
            | Op::MaxPool2dScatter { .. }
            | Op::ScatterAdd { .. }
            | Op::AddRows { .. }
            | Op::TopK { .. }
    )
}

/// The value beneath a chain of views.
pub(super) fn beneath(graph: &Graph, mut id: NodeId) -> NodeId {
    while is_view(&graph.node(id).op) {
        id = graph.node(id).args[0];
    }
    id
}

/// Arguments whose elements a kernel addresses itself, so that they must be in memory.
pub(super) fn addressed(node: &Node) -> &[NodeId] {
    match node.op {
        Op::TakeRows | Op::Gather { .. } | Op::Random { .. } | Op::Unslice { .. } | Op::Flip { .. } => &node.args[..1],
        _ if is_heavy(&node.op) => &node.args,
        _ => &[],
    }
}

impl Homes {
    /// Decides the memory of every root, collector and output of a program.
    pub fn assign(program: &Program, live: &[bool], root: Vec<bool>, demands: &Demands) -> Self {
        let graph = &program.graph;
        let count = graph.nodes().len();
        let mut homes = Homes { root, memory: vec![None; count], ..Homes::default() };
        for output in &program.outputs {
            homes.output(graph, output, demands);
        }
        // Outer collectors come after their parts in the graph: visit them first, so that the parts land inside.
        for index in (0..count).rev().filter(|&index| live[index]) {
            let id = NodeId(index as u32);
            if homes.is_collector(graph, id, demands) {
                homes.collect(graph, id, demands);
            }
        }
        for index in (0..count).filter(|&index| live[index]) {
            homes.settle(graph, NodeId(index as u32), demands);
        }
        homes
    }

    fn is_collector(&self, graph: &Graph, id: NodeId, demands: &Demands) -> bool {
        let op = &graph.node(id).op;
        matches!(op, Op::Concat { .. }) || (is_view(op) && demands.materialised.contains(&id))
    }

    /// Arena words of their own for a tensor.
    pub fn allocate(&mut self, shape: &[usize], dtype: DType) -> Layout {
        let words = numel(shape).max(1);
        let offset = self.words as usize;
        self.regions.push((offset, words));
        self.words += words.next_multiple_of(ALIGNMENT) as u64;
        Layout::contiguous(Place { space: Space::Arena, offset, dtype }, shape)
    }

    fn output(&mut self, graph: &Graph, output: &Output, demands: &Demands) {
        let node = graph.node(output.node);
        let shape = &node.shape;
        if let (Op::Input(id), Target::State(state)) = (&node.op, &output.target)
            && id == state
        {
            return;
        }
        let layout = match &output.target {
            Target::State(id) if demands.indirect.contains(id) => {
                let layout = self.allocate(shape, node.dtype);
                self.last.push((layout.place, numel(shape), *id));
                layout
            }
            Target::State(id) => {
                let place = Place { space: Space::Input(*id), offset: 0, dtype: graph.inputs()[id.index()].dtype };
                Layout::contiguous(place, shape)
            }
            Target::Metric(column) => {
                let place = Place { space: Space::Metrics, offset: *column, dtype: DType::F32 };
                Layout::contiguous(place, shape)
            }
            Target::Fetch(name) => {
                let layout = self.allocate(shape, node.dtype);
                let tensor = plan::Tensor { place: layout.place, shape: shape.clone() };
                self.fetches.push((name.clone(), tensor));
                layout
            }
        };
        let feeder = self.deliver(graph, output.node, layout, demands);
        if let Target::State(id) = output.target
            && !demands.indirect.contains(&id)
        {
            self.states.push((feeder, id));
        }
    }

    /// Has `id` written to `layout`: by the kernel that computes it, else by a copy.
    fn deliver(&mut self, graph: &Graph, id: NodeId, layout: Layout, demands: &Demands) -> Feeder {
        let (base, pushed) = push_down(graph, id, layout.clone(), |view| self.is_collector(graph, view, demands));
        if let Some(pushed) = pushed {
            let arena = layout.place.space == Space::Arena;
            if self.is_collector(graph, base, demands) {
                if arena && self.memory[base.index()].is_none() {
                    self.memory[base.index()] = Some((base, pushed));
                    return Feeder::Collector(base);
                }
            } else if self.root[base.index()] && !matches!(graph.node(base).op, Op::Const(_) | Op::Iota { .. }) {
                if arena && self.memory[base.index()].is_none() && !demands.contiguous.contains(&base) {
                    self.memory[base.index()] = Some((base, pushed.clone()));
                }
                self.deliveries.entry(base).or_default().push(pushed);
                return Feeder::Root(base);
            }
        }
        self.copies.push(Copy { node: id, to: layout });
        Feeder::Copy(self.copies.len() - 1)
    }

    fn collect(&mut self, graph: &Graph, id: NodeId, demands: &Demands) {
        let node = graph.node(id);
        let layout = match &self.memory[id.index()] {
            Some((_, layout)) => layout.clone(),
            None => {
                let layout = self.allocate(&node.shape, node.dtype);
                self.memory[id.index()] = Some((id, layout.clone()));
                layout
            }
        };
        let feeders = if let Op::Concat { axis } = node.op {
            let mut at = 0;
            let mut feeders = Vec::with_capacity(node.args.len());
            for &part in &node.args {
                let mut sub = layout.clone();
                sub.place.offset += at * layout.strides[axis];
                at += graph.shape(part)[axis];
                feeders.push(self.deliver(graph, part, sub, demands));
            }
            feeders
        } else {
            let feeder = match push_through(graph, id, &layout) {
                Some(pushed) => match self.deliver(graph, node.args[0], pushed, demands) {
                    // Copying the argument element by element needs its own shape; the view's serves as well.
                    Feeder::Copy(last) => {
                        self.copies[last] = Copy { node: id, to: layout };
                        Feeder::Copy(last)
                    }
                    feeder => feeder,
                },
                None => {
                    self.copies.push(Copy { node: id, to: layout });
                    Feeder::Copy(self.copies.len() - 1)
                }
            };
            vec![feeder]
        };
        self.collectors.insert(id, feeders);
    }

    /// Memory from which a value is read, if it is in memory.
    fn settle(&mut self, graph: &Graph, id: NodeId, demands: &Demands) {
        let node = graph.node(id);
        if self.memory[id.index()].is_some() {
            return;
        }
        let found = match &node.op {
            Op::Input(input) => {
                let place = Place { space: Space::Input(*input), offset: 0, dtype: node.dtype };
                Some((id, Layout::contiguous(place, &node.shape)))
            }
            Op::Literal(values) => {
                let layout = self.allocate(&node.shape, node.dtype);
                self.constants.push((layout.place.offset, values.clone()));
                Some((id, layout))
            }
            _ if self.root[id.index()] => Some((id, self.allocate(&node.shape, node.dtype))),
            op if is_view(op) && !self.is_collector(graph, id, demands) => {
                let arg = node.args[0];
                self.memory[arg.index()].clone().and_then(|(base, layout)| {
                    if let Op::Reshape(shape) = op {
                        let strides = restride(graph.shape(arg), &layout.strides, shape)?;
                        return Some((base, Layout { place: layout.place, strides }));
                    }
                    let (map, sizes) = identity(&node.shape, 0);
                    let map = through_view(op, graph.shape(arg), &node.shape, &map, &sizes).ok()?;
                    let (offset, along) = strides_of(&map, &layout.strides, sizes.len());
                    let mut along = along.into_iter();
                    let strides =
                        node.shape.iter().map(|&size| if size == 1 { 0 } else { along.next().unwrap_or(0) }).collect();
                    let place = Place { offset: layout.place.offset + offset, ..layout.place };
                    Some((base, Layout { place, strides }))
                })
            }
            _ => None,
        };
        self.memory[id.index()] = found;
    }
}

/// The layout of a view's argument such that the view itself gets `layout`; `None` where the view does not use every
/// element exactly once, or strides cannot say it.
fn push_through(graph: &Graph, id: NodeId, layout: &Layout) -> Option<Layout> {
    let node = graph.node(id);
    let from = graph.shape(node.args[0]);
    let strides = match &node.op {
        Op::StopGradient | Op::CustomVjp(_) => layout.strides.clone(),
        Op::Permute(perm) => {
            let mut strides = vec![0; perm.len()];
            for (&stride, &axis) in layout.strides.iter().zip(perm) {
                strides[axis] = stride;
            }
            strides
        }
        Op::Reshape(_) => restride(&node.shape, &layout.strides, from)?,
        _ => return None,
    };
    Some(Layout { place: layout.place, strides })
}

/// Strides over `to` of the elements that lie with `strides` over `from`, in the same row-major order; `None` where
/// one stride an axis cannot say it.
fn restride(from: &[usize], strides: &[usize], to: &[usize]) -> Option<Vec<usize>> {
    // Runs of axes that memory does not tell apart, innermost first: elements and innermost stride.
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (&size, &stride) in from.iter().zip(strides).rev() {
        match runs.last_mut() {
            _ if size == 1 => {}
            Some((count, inner)) if stride == *count * *inner => *count *= size,
            _ => runs.push((size, stride)),
        }
    }
    let mut out = vec![0; to.len()];
    let mut runs = runs.into_iter();
    let (mut left, mut stride) = runs.next().unwrap_or((1, 0));
    for (axis, &size) in to.iter().enumerate().rev() {
        if size == 1 {
            continue;
        }
        if left == 1 {
            (left, stride) = runs.next()?;
        }
        if left % size != 0 {
            return None;
        }
        out[axis] = stride;
        stride *= size;
        left /= size;
    }
    Some(out)
}

/// Pushes a layout through views until `stop` or a value that is none.
fn push_down(graph: &Graph, mut id: NodeId, layout: Layout, stop: impl Fn(NodeId) -> bool) -> (NodeId, Option<Layout>) {
    let mut layout = layout;
    while is_view(&graph.node(id).op) && !stop(id) {
        match push_through(graph, id, &layout) {
            Some(pushed) => layout = pushed,
            None => return (id, None),
        }
        id = graph.node(id).args[0];
    }
    (id, Some(layout))
}
