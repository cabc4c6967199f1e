//! The driver: program in, plan out.

use std::collections::{BTreeMap, BTreeSet};

use super::emit::{Cluster, Emitted, emit};
use super::home::{Demands, Feeder, Homes};
use super::index::Misfit;
use super::memory::Slot;
use super::plan::*;
use super::*;

/// How a program becomes a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// Compute several values in one kernel where possible. Without, every operation has a kernel of its own: slow,
    /// and good for finding out which value went wrong.
    pub fuse: bool,
    /// Let values whose lives do not overlap share memory.
    pub reuse: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { fuse: true, reuse: true }
    }
}

/// How often lowering may ask for more values in memory; each answer adds some, so few rounds are ever needed.
const ROUNDS: usize = 64;

/// Most elements of a value: 2 GiB of f32, of which WebAssembly's memory holds no two.
const MOST_ELEMENTS: usize = 1 << 29;

/// Most words of an arena: what 32 bits address in bytes, as WebAssembly's do.
const MOST_WORDS: u64 = 1 << 30;

/// Makes a plan that computes a program's outputs.
///
/// # Errors
/// A value that no kernel can address: more than six axes after simplification, an empty tensor, or one of more than 2 GiB. Values
/// that take more than 4 GiB together.
pub fn compile(program: &Program, options: Options) -> Result<Plan, GraphError> {
    compile_with_slots(program, options).map(|(plan, _)| plan)
}

/// [`compile`], with the lives of all values in memory.
pub(super) fn compile_with_slots(program: &Program, options: Options) -> Result<(Plan, Vec<Slot>), GraphError> {
    let live = fuse::live(program);
    let fits = |shape: &[usize]| {
        let elements = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
        elements.is_some_and(|elements| elements <= MOST_ELEMENTS)
    };
    if let Some(large) = (0..live.len()).find(|&index| live[index] && !fits(&program.graph.nodes()[index].shape)) {
        return Err(refused(program, NodeId(large as u32), "the value has more elements than memory can hold"));
    }
    let simple;
    let program = if options.fuse {
        simple = simplify::simplify(program)?;
        &simple
    } else {
        program
    };
    let live = fuse::live(program);
    if let Some(empty) = (0..live.len()).find(|&index| live[index] && numel(&program.graph.nodes()[index].shape) == 0) {
        return Err(refused(program, NodeId(empty as u32), "the value has no elements"));
    }
    let mut demands = Demands::default();
    for _ in 0..ROUNDS {
        let root = fuse::roots(program, &live, options.fuse, &demands);
        let homes = Homes::assign(program, &live, root, &demands);
        // Places have wrapped around where a `usize` has 32 bits.
        bounded(homes.words, u64::from(u32::MAX))?;
        let mut clusters = fuse::singletons(&program.graph, &homes);
        if ask(program, &homes, &mut clusters, &mut demands)? {
            continue;
        }
        if options.fuse {
            clusters = fuse::join(&program.graph, &homes, clusters);
        }
        if let Some(done) = schedule(program, homes, clusters, options, &mut demands)? {
            return Ok(done);
        }
    }
    Err(GraphError::Shape { op: "compile".into(), reason: "memory layouts do not settle".into() })
}

/// Are so many words within what can be addressed?
fn bounded(words: u64, most: u64) -> Result<(), GraphError> {
    if words < most {
        return Ok(());
    }
    let reason = format!(
        "what is computed at once takes {} GB, more than programs in a browser can hold. \
         Smaller micro-batches (batch.micro) or a smaller model take less.",
        words >> 28
    );
    Err(GraphError::Shape { op: "memory".into(), reason })
}

fn refused(program: &Program, id: NodeId, reason: &str) -> GraphError {
    let node = program.graph.node(id);
    GraphError::Shape {
        op: format!("{} {:?}", program.graph.label_of(id), node.op),
        reason: format!("{reason} (shape {:?})", node.shape),
    }
}

/// Emits every root alone and notes what has to change for all of them to succeed; false where nothing has.
fn ask(program: &Program, homes: &Homes, clusters: &mut [Cluster], demands: &mut Demands) -> Result<bool, GraphError> {
    let graph = &program.graph;
    let mut asked = BTreeSet::new();
    for cluster in clusters {
        let own = representative(cluster);
        match emit(graph, homes, cluster, &|_| true) {
            Ok(_) => {}
            Err(Misfit::Needs(id)) => {
                let new = if homes.root[id.index()] {
                    demands.contiguous.insert(id)
                } else {
                    demands.materialised.insert(id)
                };
                // Others may have asked for the same in this round; what was asked for earlier has been granted.
                if !new && !asked.contains(&id) {
                    return Err(refused(program, id, "it cannot be laid out for its reader"));
                }
                asked.insert(id);
            }
            Err(_) => return Err(refused(program, own, "no kernel can address its arguments")),
        }
    }
    Ok(!asked.is_empty())
}

/// The value that names a cluster: its anchor, else the last of its roots.
fn representative(cluster: &Cluster) -> NodeId {
    match cluster.anchor {
        emit::Anchor::Matmul(id) | emit::Anchor::Op(id) => id,
        emit::Anchor::None => latest(cluster),
    }
}

fn latest(cluster: &Cluster) -> NodeId {
    let copies = cluster.copies.iter().map(|(id, ..)| *id);
    cluster.roots.keys().copied().chain(copies).max().unwrap_or(NodeId(0))
}

/// Clusters that write a value's memory.
pub(super) struct Writers {
    root: BTreeMap<NodeId, usize>,
    copy: Vec<usize>,
}

impl Writers {
    /// Copies are matched by their destination.
    pub fn of(homes: &Homes, clusters: &[Cluster]) -> Self {
        let mut root = BTreeMap::new();
        let mut copy = vec![usize::MAX; homes.copies.len()];
        for (at, cluster) in clusters.iter().enumerate() {
            root.extend(cluster.roots.keys().map(|&id| (id, at)));
            for (_, _, to) in &cluster.copies {
                if let Some(k) = homes.copies.iter().position(|copy| copy.to == *to) {
                    copy[k] = at;
                }
            }
        }
        Writers { root, copy }
    }

    /// Adds the clusters that must have run before `id` can be read.
    pub fn collect(&self, homes: &Homes, id: NodeId, into: &mut BTreeSet<usize>) {
        if let Some(feeders) = homes.collectors.get(&id) {
            for feeder in feeders {
                match *feeder {
                    Feeder::Collector(inner) => self.collect(homes, inner, into),
                    feeder => into.extend(self.feeder(feeder)),
                }
            }
        } else {
            into.extend(self.root.get(&id));
        }
    }

    /// The cluster behind a feeder.
    pub fn feeder(&self, feeder: Feeder) -> Option<usize> {
        match feeder {
            Feeder::Root(id) => self.root.get(&id).copied(),
            Feeder::Copy(k) => self.copy.get(k).copied(),
            Feeder::Collector(_) => None,
        }
    }
}

/// Which clusters must precede which.
pub(super) struct Order {
    /// What must have run before each cluster.
    pub before: Vec<BTreeSet<usize>>,
}

impl Order {
    /// Order by what each cluster reads.
    pub fn of<'a>(homes: &Homes, writers: &Writers, reads: impl Iterator<Item = &'a BTreeSet<NodeId>>) -> Self {
        let before = reads
            .map(|reads| {
                let mut before = BTreeSet::new();
                for &id in reads {
                    writers.collect(homes, id, &mut before);
                }
                before
            })
            .collect();
        Order { before }
    }

    /// Makes one cluster, `a`, of two.
    pub fn join(&mut self, a: usize, b: usize) {
        let moved = std::mem::take(&mut self.before[b]);
        self.before[a].extend(moved);
        for before in &mut self.before {
            if before.remove(&b) {
                before.insert(a);
            }
        }
        self.before[a].remove(&a);
    }

    /// Does `late` have to run after `early`?
    pub fn requires(&self, early: usize, late: usize) -> bool {
        let mut seen = vec![false; self.before.len()];
        let mut stack = vec![late];
        while let Some(at) = stack.pop() {
            for &prior in &self.before[at] {
                if prior == early {
                    return true;
                }
                if !std::mem::replace(&mut seen[prior], true) {
                    stack.push(prior);
                }
            }
        }
        false
    }
}

/// Orders the kernels, checks that states are overwritten after their last reading (else asks for a detour by
/// `demands` and yields `None`), and lays out memory.
fn schedule(
    program: &Program,
    homes: Homes,
    mut clusters: Vec<Cluster>,
    options: Options,
    demands: &mut Demands,
) -> Result<Option<(Plan, Vec<Slot>)>, GraphError> {
    let graph = &program.graph;
    let mut emit_all = |stored: &dyn Fn(NodeId) -> bool| -> Result<Vec<Emitted>, GraphError> {
        clusters
            .iter_mut()
            .map(|cluster| {
                let own = representative(cluster);
                emit(graph, &homes, cluster, stored).map_err(|_| refused(program, own, "no kernel can compute it"))
            })
            .collect()
    };
    let mut read = BTreeSet::new();
    for emitted in emit_all(&|_| true)? {
        read.extend(emitted.reads);
    }
    let emitted = emit_all(&|id| read.contains(&id))?;
    let writers = Writers::of(&homes, &clusters);
    let mut order = Order::of(&homes, &writers, emitted.iter().map(|emitted| &emitted.reads));
    for &(feeder, state) in &homes.states {
        let Some(writer) = writers.feeder(feeder) else { continue };
        let old = |id: &NodeId| graph.node(*id).op == Op::Input(state);
        let mut fine = overwrites_itself(&emitted[writer].kernel, state);
        for (reader, Emitted { reads, .. }) in emitted.iter().enumerate() {
            if fine && reader != writer && reads.iter().any(old) {
                fine = !order.requires(writer, reader);
                order.before[writer].insert(reader);
            }
        }
        if !fine {
            demands.indirect.insert(state);
            return Ok(None);
        }
    }
    let mut plan = Plan { inputs: graph.inputs().to_vec(), ..Plan::default() };
    for at in in_order(&order, &clusters) {
        let Emitted { kernel, flop, bytes, .. } = emitted[at].clone();
        plan.launches.push(Launch { kernel, label: label(graph, &clusters[at]), flop, bytes });
    }
    if options.fuse {
        tails::attach(&mut plan.launches);
    }
    for &(from, words, state) in &homes.last {
        plan.launches.push(copy_to_state(graph, from, words, state));
    }
    for input in &plan.inputs {
        let step = input.kind == InputKind::Step;
        plan.step_offsets.push(step.then_some(plan.step_words));
        if step {
            plan.step_words += numel(&input.shape);
        }
    }
    plan.metrics = program
        .outputs
        .iter()
        .map(|output| if let Target::Metric(column) = output.target { column + 1 } else { 0 })
        .max()
        .unwrap_or(0);
    plan.constants = homes.constants;
    plan.fetches = homes.fetches;
    let slots = memory::lay_out(&mut plan, &homes.regions, options.reuse);
    bounded(plan.arena_words as u64, MOST_WORDS)?;
    Ok(Some((plan, slots)))
}

/// Topological order that follows the program's where it is free.
fn in_order(order: &Order, clusters: &[Cluster]) -> Vec<usize> {
    let mut waiting: Vec<usize> = order.before.iter().map(BTreeSet::len).collect();
    let mut after = vec![Vec::new(); clusters.len()];
    for (at, before) in order.before.iter().enumerate() {
        for &prior in before {
            after[prior].push(at);
        }
    }
    let mut ready: BTreeSet<(NodeId, usize)> =
        (0..clusters.len()).filter(|&at| waiting[at] == 0).map(|at| (latest(&clusters[at]), at)).collect();
    let mut out = Vec::with_capacity(clusters.len());
    while let Some((_, at)) = ready.pop_first() {
        out.push(at);
        for &next in &after[at] {
            waiting[next] -= 1;
            if waiting[next] == 0 {
                ready.insert((latest(&clusters[next]), next));
            }
        }
    }
    out
}

/// Is what this kernel itself reads of a state it overwrites only the very element that it writes?
pub(super) fn overwrites_itself(kernel: &Kernel, state: InputId) -> bool {
    let inside = |place: &Place| place.space == Space::Input(state);
    let (body, rows) = match kernel {
        Kernel::Fused(fused) => (&fused.body, fused.reduced > 0),
        Kernel::Matmul(matmul) => (&matmul.epilogue, inside(&matmul.a.place) || inside(&matmul.b.place)),
        Kernel::Op(kernel) => (&kernel.epilogue, kernel.args.iter().any(|arg| inside(&arg.place))),
    };
    let addressed = |load: usize| {
        body.code.iter().any(|instr| matches!(instr, Instr::LoadAt { load: at, .. } if *at as usize == load))
    };
    let mut own = body.loads.iter().enumerate().filter(|(_, view)| inside(&view.place)).peekable();
    if rows {
        // A row may be read again after parts of it were written.
        return own.peek().is_none() && !kernel_operand(kernel, state);
    }
    own.all(|(load, view)| {
        !addressed(load)
            && body.stores.iter().filter(|store| inside(&store.view.place)).all(|store| store.view == *view)
    })
}

fn kernel_operand(kernel: &Kernel, state: InputId) -> bool {
    let inside = |place: &Place| place.space == Space::Input(state);
    match kernel {
        Kernel::Fused(_) => false,
        Kernel::Matmul(matmul) => inside(&matmul.a.place) || inside(&matmul.b.place),
        Kernel::Op(kernel) => kernel.args.iter().any(|arg| inside(&arg.place)),
    }
}

fn copy_to_state(graph: &Graph, from: Place, words: usize, state: InputId) -> Launch {
    let input = &graph.inputs()[state.index()];
    let to = Place { space: Space::Input(state), offset: 0, dtype: input.dtype };
    let view = |place| View { place, strides: vec![1] };
    let body = Body {
        loads: vec![view(from)],
        code: vec![Instr::Load(0)],
        stores: vec![Store { value: 0, view: view(to), per_row: false }],
    };
    let kernel = Kernel::Fused(Fused { axes: vec![words], reduced: 0, body });
    let (flop, bytes) = cost::of_kernel(&kernel);
    Launch { kernel, label: format!("write {}", input.name), flop, bytes }
}

/// Where the values of a cluster come from and what they are, for people.
fn label(graph: &Graph, cluster: &Cluster) -> String {
    let id = representative(cluster);
    let what = match &graph.node(id).op {
        Op::Unary(op) => format!("{op:?}").to_ascii_lowercase(),
        Op::Binary(op) => format!("{op:?}").to_ascii_lowercase(),
        Op::Reduce { op, .. } => format!("{op:?}").to_ascii_lowercase(),
        op => {
            let name = format!("{op:?}");
            name.split([' ', '(', '{']).next().unwrap_or_default().to_ascii_lowercase()
        }
    };
    match graph.label_of(id) {
        "" => what,
        module => format!("{module}: {what}"),
    }
}
