//! What is computed together.
//!
//! First the roots: values with a kernel of their own. Everything else is computed inside the kernels that need it,
//! perhaps several times: work that is cheap beside the memory traffic it saves. Then kernels are joined:
//! 1. products, convolutions and other operations take in elementwise values that read their results (epilogues);
//! 2. elementwise and row programs take in the producers of what they read (softmax, layer norm and the like become
//!    one kernel, with several results where others need them);
//! 3. kernels over the same iteration space that do not depend on each other (gradients of biases and norms).
//!
//! Joining two kernels means finding how the iteration axes of one correspond to those of the other ([`unify`]),
//! making sure that no third kernel lies between them, and emitting the joint body.

use std::collections::{BTreeMap, BTreeSet};

use super::compile::{Order, Writers, overwrites_itself};
use super::emit::{Anchor, Cluster, Emitted, demanded, emit};
use super::extent::bindings;
use super::home::*;
use super::index::{Affine, Map, split_axis};
use super::plan::{Kernel, Space};
use super::*;

/// Work that may be repeated in every kernel that needs a value, in plain operations (a function counts four), if at most one full-size
/// value has to be read for it.
const REPEATED_WORK: usize = 20;
/// Work that may be repeated for every element along an axis that a value is broadcast to.
const BROADCAST_WORK: usize = 8;
/// Instructions of a kernel.
const MAX_CODE: usize = 256;
/// Memory ranges that a kernel reads, and writes.
const MAX_VIEWS: usize = 32;
/// Buffers besides the arena that a kernel's body touches.
const MAX_BUFFERS: usize = 5;
/// Buffers of a kernel that every adapter binds.
const MAX_BINDINGS: usize = 8;
/// Rows that keep a device busy.
const FEW_ROWS: usize = 8;
/// Elements that are worth several processors.
const LONG_ROW: usize = 4096;
/// Bytes of an input that may be kept alive longer, in order to join kernels that share nothing.
const MAX_HELD: usize = 2 << 20;

/// Values that outputs depend on.
pub(super) fn live(program: &Program) -> Vec<bool> {
    let nodes = program.graph.nodes();
    let mut live = vec![false; nodes.len()];
    for output in &program.outputs {
        live[output.node.index()] = true;
    }
    for index in (0..nodes.len()).rev() {
        if live[index] {
            for arg in &nodes[index].args {
                live[arg.index()] = true;
            }
        }
    }
    live
}

/// The roots of a program; without `fuse`, every value that is no view.
pub(super) fn roots(program: &Program, live: &[bool], fuse: bool, demands: &Demands) -> Vec<bool> {
    let graph = &program.graph;
    let mut root: Vec<bool> = graph
        .nodes()
        .iter()
        .zip(live)
        .map(|(node, &live)| {
            let own = is_heavy(&node.op) || matches!(node.op, Op::Reduce { .. } | Op::ArgMax { .. }) || !fuse;
            live && own && has_own_kernel(&node.op)
        })
        .collect();
    for &id in &demands.materialised {
        if !is_view(&graph.node(id).op) && !matches!(graph.node(id).op, Op::Concat { .. }) {
            root[id.index()] = live[id.index()];
        }
    }
    if fuse {
        needed_in_memory(program, live, &mut root);
        expensive(graph, live, &mut root);
    }
    root
}

/// Can a kernel compute this operation's value? (A view has its argument's, inputs and literals are in memory,
/// concatenations are assembled by the kernels of their parts, and numbers are part of the code.)
fn has_own_kernel(op: &Op) -> bool {
    !is_view(op) && !matches!(op, Op::Input(_) | Op::Literal(_) | Op::Concat { .. } | Op::Const(_) | Op::Iota { .. })
}

/// Outputs, parts of concatenations, and what kernels address by themselves.
fn needed_in_memory(program: &Program, live: &[bool], root: &mut [bool]) {
    let graph = &program.graph;
    let mut need = |id: NodeId| {
        let base = beneath(graph, id);
        if has_own_kernel(&graph.node(base).op) {
            root[base.index()] = true;
        }
    };
    for output in &program.outputs {
        need(output.node);
    }
    for (node, _) in graph.nodes().iter().zip(live).filter(|&(_, &live)| live) {
        let wanted = if matches!(node.op, Op::Concat { .. }) { &node.args[..] } else { addressed(node) };
        wanted.iter().for_each(|&arg| need(arg));
    }
}

/// Values used several times whose repetition would cost more than their memory, and values whose work would be
/// multiplied by a broadcast.
fn expensive(graph: &Graph, live: &[bool], root: &mut [bool]) {
    let nodes = graph.nodes();
    let mut users = vec![0; nodes.len()];
    let mut widest = vec![0; nodes.len()];
    for (node, _) in nodes.iter().zip(live).filter(|&(node, &live)| live && !is_view(&node.op)) {
        for &arg in &node.args {
            let size = match &node.op {
                Op::Reduce { .. } | Op::ArgMax { .. } => numel(graph.shape(arg)),
                _ => numel(&node.shape),
            };
            let base = beneath(graph, arg);
            users[base.index()] += 1;
            widest[base.index()] = widest[base.index()].max(size);
        }
    }
    let mut work = vec![0usize; nodes.len()];
    let mut leaves: Vec<BTreeSet<NodeId>> = vec![BTreeSet::new(); nodes.len()];
    // Values that are the only use made of the result of a product or the like: where they are used several times,
    // it is they that are kept, written by its epilogue in its stead.
    let mut instead = vec![false; nodes.len()];
    for (index, node) in nodes.iter().enumerate().filter(|&(index, _)| live[index]) {
        let id = NodeId(index as u32);
        let mut below = 0;
        let mut reads = BTreeSet::new();
        for &arg in &node.args {
            let base = beneath(graph, arg);
            let op = &graph.node(base).op;
            instead[index] |=
                users[base.index()] == 1 && (is_heavy(op) || (instead[base.index()] && !root[base.index()]));
            if root[base.index()] || matches!(op, Op::Input(_) | Op::Literal(_) | Op::Concat { .. }) {
                reads.insert(base);
            } else {
                below += work[base.index()];
                reads.extend(leaves[base.index()].iter().copied());
            }
        }
        work[index] = below
            + match &node.op {
                Op::Unary(UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Relu | UnaryOp::Floor) | Op::Binary(_) => 1,
                Op::Select | Op::Iota { .. } => 1,
                Op::Unary(_) | Op::Gather { .. } | Op::TakeRows | Op::Unslice { .. } | Op::Flip { .. } => 4,
                // Ten rounds of Philox: repeated for every element of a broadcast, they would be most of a step.
                Op::Random { .. } => BROADCAST_WORK + 1,
                _ => 0,
            };
        if !has_own_kernel(&node.op) || root[index] {
            if !matches!(node.op, Op::Const(_) | Op::Iota { .. }) {
                leaves[index].insert(id);
            }
            continue;
        }
        let size = numel(&node.shape);
        let full = reads.iter().filter(|&&leaf| numel(graph.shape(leaf)) * 2 > size).count();
        let repeated = users[index] > 1 && (work[index] > REPEATED_WORK || full > 1 || instead[index]);
        let spread = widest[index] > 2 * size && work[index] > BROADCAST_WORK;
        if repeated || spread || work[index] > MAX_CODE / 2 {
            root[index] = true;
        }
        leaves[index] = reads;
    }
}

/// One cluster a root and one a copy.
pub(super) fn singletons(graph: &Graph, homes: &Homes) -> Vec<Cluster> {
    let roots = homes.root.iter().enumerate().filter(|&(_, &root)| root);
    let roots = roots.map(|(index, _)| Cluster::of_root(graph, NodeId(index as u32)));
    let copies = homes.copies.iter().map(|copy| Cluster::of_copy(graph, copy.node, copy.to.clone()));
    roots.chain(copies).collect()
}

/// Joins clusters.
pub(super) fn join(graph: &Graph, homes: &Homes, clusters: Vec<Cluster>) -> Vec<Cluster> {
    let Some(mut joiner) = Joiner::new(graph, homes, clusters) else { return singletons(graph, homes) };
    joiner.epilogues();
    joiner.producers();
    joiner.neighbours();
    joiner.clusters.into_iter().flatten().collect()
}

struct Joiner<'a> {
    graph: &'a Graph,
    homes: &'a Homes,
    clusters: Vec<Option<Cluster>>,
    reads: Vec<BTreeSet<NodeId>>,
    order: Order,
    /// The cluster of each root.
    owner: BTreeMap<NodeId, usize>,
    /// The cluster of each copy.
    copier: Vec<usize>,
}

impl<'a> Joiner<'a> {
    fn new(graph: &'a Graph, homes: &'a Homes, mut clusters: Vec<Cluster>) -> Option<Self> {
        let mut reads = Vec::with_capacity(clusters.len());
        for cluster in &mut clusters {
            reads.push(emit(graph, homes, cluster, &|_| true).ok()?.reads);
        }
        let writers = Writers::of(homes, &clusters);
        let mut order = Order::of(homes, &writers, reads.iter());
        // Old contents of a state are read before it is overwritten, where that is possible at all.
        for &(feeder, state) in &homes.states {
            let Some(writer) = writers.feeder(feeder) else { continue };
            for (reader, reads) in reads.iter().enumerate() {
                let old = reads.iter().any(|id| graph.node(*id).op == Op::Input(state));
                if old && reader != writer && !order.requires(writer, reader) {
                    order.before[writer].insert(reader);
                }
            }
        }
        let owner = clusters.iter().enumerate().flat_map(|(at, c)| c.roots.keys().map(move |&id| (id, at))).collect();
        let copier = (clusters.len() - homes.copies.len()..clusters.len()).collect();
        let clusters = clusters.into_iter().map(Some).collect();
        Some(Joiner { graph, homes, clusters, reads, order, owner, copier })
    }

    fn anchored(&self, at: usize) -> Option<bool> {
        self.clusters[at].as_ref().map(|cluster| cluster.anchor != Anchor::None)
    }

    /// Clusters whose roots `at` reads, latest first.
    fn producers_of(&self, at: usize) -> Vec<usize> {
        let found: BTreeSet<usize> = self.reads[at].iter().filter_map(|id| self.owner.get(id).copied()).collect();
        found.into_iter().rev().filter(|&producer| producer != at).collect()
    }

    fn epilogues(&mut self) {
        for host in 0..self.clusters.len() {
            if self.anchored(host) != Some(true) {
                continue;
            }
            let mut tried = BTreeSet::new();
            loop {
                let next = (0..self.clusters.len()).find(|&guest| {
                    self.anchored(guest) == Some(false)
                        && !tried.contains(&guest)
                        && self.reads[guest].iter().any(|id| self.owner.get(id) == Some(&host))
                });
                let Some(guest) = next else { break };
                tried.insert(guest);
                if self.try_join(host, guest) {
                    // What failed before may fit now.
                    tried.clear();
                }
            }
        }
    }

    fn producers(&mut self) {
        let mut changed = true;
        while changed {
            changed = false;
            for at in 0..self.clusters.len() {
                if self.anchored(at) != Some(false) {
                    continue;
                }
                for producer in self.producers_of(at) {
                    if self.anchored(producer) == Some(false) && self.try_join(producer, at) {
                        changed = true;
                        // The consumer moved into the producer's place.
                        break;
                    }
                }
            }
        }
    }

    fn neighbours(&mut self) {
        for sharing in [true, false] {
            for a in 0..self.clusters.len() {
                for b in a + 1..self.clusters.len() {
                    if self.alike(a, b, sharing) {
                        self.try_join(a, b);
                    }
                }
            }
        }
    }

    /// Same amount of work in the same form, on a common input (or on inputs that are small enough to keep).
    fn alike(&self, a: usize, b: usize, sharing: bool) -> bool {
        let (Some(left), Some(right)) = (&self.clusters[a], &self.clusters[b]) else { return false };
        if left.anchor != Anchor::None || right.anchor != Anchor::None || (left.reduced == 0) != (right.reduced == 0) {
            return false;
        }
        let sizes = |cluster: &Cluster| (numel(&cluster.sizes), numel(&cluster.sizes[cluster.outer()..]));
        if sizes(left) != sizes(right) {
            return false;
        }
        let size = |id: &NodeId| 4 * numel(self.graph.shape(*id));
        let work = numel(&left.sizes);
        if sharing {
            self.reads[a].intersection(&self.reads[b]).any(|id| size(id) >= work)
        } else {
            self.reads[a].iter().chain(&self.reads[b]).all(|id| size(id) <= MAX_HELD)
        }
    }

    /// Does one of these clusters write a part of this value's memory?
    fn fills(&self, id: NodeId, clusters: &[usize]) -> bool {
        let feeders = self.homes.collectors.get(&id).map_or(&[][..], Vec::as_slice);
        feeders.iter().any(|feeder| match *feeder {
            Feeder::Root(root) => self.owner.get(&root).is_some_and(|at| clusters.contains(at)),
            Feeder::Copy(copy) => self.copier.get(copy).is_some_and(|at| clusters.contains(at)),
            Feeder::Collector(inner) => self.fills(inner, clusters),
        })
    }

    /// Must a third cluster run between these two?
    fn between(&self, a: usize, b: usize) -> bool {
        let path = |early: usize, late: usize| {
            self.order.before[late].iter().any(|&prior| prior != early && self.order.requires(early, prior))
        };
        path(a, b) || path(b, a)
    }

    /// Joins `b` into `a` if that is possible.
    fn try_join(&mut self, a: usize, b: usize) -> bool {
        if self.between(a, b) {
            return false;
        }
        let (Some(left), Some(right)) = (&self.clusters[a], &self.clusters[b]) else { return false };
        let Some((joint, reads)) = joined(self.graph, self.homes, left, right) else { return false };
        // What both assemble in memory, neither can read.
        if reads.iter().any(|&id| self.fills(id, &[a, b])) {
            return false;
        }
        for at in &mut self.copier {
            if *at == b {
                *at = a;
            }
        }
        self.owner.extend(joint.roots.keys().map(|&id| (id, a)));
        self.clusters[a] = Some(joint);
        self.clusters[b] = None;
        self.reads[a] = reads;
        self.reads[b].clear();
        self.order.join(a, b);
        true
    }
}

/// The cluster that computes both, if one kernel can, with what it reads.
fn joined(graph: &Graph, homes: &Homes, a: &Cluster, b: &Cluster) -> Option<(Cluster, BTreeSet<NodeId>)> {
    let anchored = |cluster: &Cluster| cluster.anchor != Anchor::None;
    let (host, guest) = match (anchored(a), anchored(b)) {
        (true, true) => return None,
        (true, false) => (a, b),
        (false, true) => (b, a),
        _ if a.reduced > 0 || b.reduced == 0 => (a, b),
        _ => (b, a),
    };
    if anchored(host) && guest.reduced > 0 {
        return None;
    }
    // Few long rows keep few processors busy: what need not wait for them does better alone.
    if host.reduced > 0
        && numel(&host.sizes[..host.outer()]) < FEW_ROWS
        && numel(&guest.sizes) > LONG_ROW
        && guest.reduced == 0
    {
        return None;
    }
    let (mut host, mut guest) = (host.clone(), guest.clone());
    let by_guest = demanded(graph, homes, &mut guest, &host).ok()?;
    let by_host = demanded(graph, homes, &mut host, &guest).ok()?;
    let mut joint = unify(host, guest, by_host, by_guest)?;
    let Emitted { kernel, reads, .. } = emit(graph, homes, &mut joint, &|_| true).ok()?;
    let in_place = written_states(&kernel).into_iter().all(|state| overwrites_itself(&kernel, state));
    (in_place && fits(&kernel, graph.inputs())).then_some((joint, reads))
}

fn written_states(kernel: &Kernel) -> Vec<InputId> {
    let state = |space: Space| if let Space::Input(id) = space { Some(id) } else { None };
    kernel.body().stores.iter().filter_map(|store| state(store.view.place.space)).collect()
}

/// Is the kernel of a size that devices take well?
fn fits(kernel: &Kernel, inputs: &[InputDecl]) -> bool {
    let body = kernel.body();
    let places = body.loads.iter().chain(body.stores.iter().map(|store| &store.view)).map(|view| view.place.space);
    let buffers: BTreeSet<Space> = places.filter(|space| *space != Space::Arena).collect();
    body.code.len() <= MAX_CODE
        && body.loads.len() <= MAX_VIEWS
        && body.stores.len() <= MAX_VIEWS
        && buffers.len() <= MAX_BUFFERS
        && bindings(kernel, inputs) <= MAX_BINDINGS
}

/// What a step of unification found.
enum Found {
    /// Pairs of host and guest axes.
    Pairs(Vec<(usize, usize)>),
    /// A host axis must be split first.
    SplitHost(usize, usize),
    /// A guest axis must be split first.
    SplitGuest(usize, usize),
    /// They do not correspond.
    Nothing,
}

/// Expresses the guest's maps in the host's iteration axes. Where one needs values of the other, the axes must
/// correspond such that the value is needed where it is computed; axes that this leaves free correspond in order.
fn unify(
    mut host: Cluster,
    mut guest: Cluster,
    mut by_host: Vec<(NodeId, Map)>,
    mut by_guest: Vec<(NodeId, Map)>,
) -> Option<Cluster> {
    loop {
        match correspondence(&host, &guest, &by_host, &by_guest) {
            Found::Pairs(pairs) => {
                let to_host: BTreeMap<usize, usize> = pairs.into_iter().map(|(h, g)| (g, h)).collect();
                let rename = |map: Map| -> Option<Map> {
                    let renamed = map.into_iter().map(|index| {
                        let terms = index.terms.into_iter().map(|(axis, c)| Some((*to_host.get(&axis)?, c)));
                        let mut terms = terms.collect::<Option<Vec<_>>>()?;
                        crate::numeric::sort(&mut terms);
                        Some(Affine { offset: index.offset, terms })
                    });
                    renamed.collect()
                };
                for (id, map) in guest.roots {
                    host.roots.insert(id, rename(map)?);
                }
                for (id, map, to) in guest.copies {
                    host.copies.push((id, rename(map)?, to));
                }
                return Some(host);
            }
            Found::SplitHost(axis, inner) => {
                if !host.may_split(axis) || host.sizes.len() > 12 {
                    return None;
                }
                host.split(axis, inner);
                by_host.iter_mut().for_each(|(_, map)| split_axis(map, axis, inner));
            }
            Found::SplitGuest(axis, inner) => {
                if !guest.may_split(axis) || guest.sizes.len() > 12 {
                    return None;
                }
                guest.split(axis, inner);
                by_guest.iter_mut().for_each(|(_, map)| split_axis(map, axis, inner));
            }
            Found::Nothing => return None,
        }
    }
}

fn correspondence(host: &Cluster, guest: &Cluster, by_host: &[(NodeId, Map)], by_guest: &[(NodeId, Map)]) -> Found {
    let mut pairs: BTreeMap<usize, usize> = BTreeMap::new();
    let mut taken: BTreeSet<usize> = BTreeSet::new();
    let mut add = |h: usize, g: usize| match pairs.get(&g) {
        Some(&known) => known == h,
        None => taken.insert(h) && pairs.insert(g, h).is_none(),
    };
    let by_guest = by_guest.iter().filter_map(|(id, map)| Some((host.roots.get(id)?, map)));
    let by_host = by_host.iter().filter_map(|(id, map)| Some((map, guest.roots.get(id)?)));
    for (in_host, in_guest) in by_guest.chain(by_host) {
        for (h, g) in in_host.iter().zip(in_guest) {
            match match_terms(h, g, &host.sizes, &guest.sizes) {
                Found::Pairs(found) => {
                    if !found.into_iter().all(|(h, g)| add(h, g)) {
                        return Found::Nothing;
                    }
                }
                other => return other,
            }
        }
    }
    // What no value ties: in order, rows to rows.
    let rest = |sizes: &[usize], range: std::ops::Range<usize>, used: &dyn Fn(usize) -> bool| -> Vec<(usize, usize)> {
        range.filter(|&axis| sizes[axis] > 1 && !used(axis)).map(|axis| (axis, sizes[axis])).collect()
    };
    let (outer_h, outer_g) = (host.outer(), guest.outer());
    let used_h = |axis: usize| taken.contains(&axis);
    let used_g = |axis: usize| pairs.contains_key(&axis);
    let free_h = [rest(&host.sizes, 0..outer_h, &used_h), rest(&host.sizes, outer_h..host.sizes.len(), &used_h)];
    let free_g = [rest(&guest.sizes, 0..outer_g, &used_g), rest(&guest.sizes, outer_g..guest.sizes.len(), &used_g)];
    let volume = |axes: &[(usize, usize)]| axes.iter().map(|&(_, size)| size).product::<usize>();
    let [host_outer, host_rows] = free_h;
    let [guest_outer, guest_rows] = free_g;
    let ties = if guest.reduced > 0 {
        vec![(host_outer, guest_outer), (host_rows, guest_rows)]
    } else {
        let all = [&host_outer[..], &host_rows].concat();
        vec![(if volume(&guest_outer) == volume(&all) { all } else { host_outer }, guest_outer)]
    };
    for (h, g) in ties {
        match match_sizes(&h, &g) {
            Found::Pairs(found) => pairs.extend(found.into_iter().map(|(h, g)| (g, h))),
            other => return other,
        }
    }
    let kept = |(&g, &h): (&usize, &usize)| guest.reduced == 0 || (g >= outer_g) == (h >= outer_h);
    let complete = (0..guest.sizes.len()).all(|axis| guest.sizes[axis] == 1 || pairs.contains_key(&axis));
    // A guest without rows covers all of the host's axes, or is a value a row.
    let covered =
        |from: usize, to: usize| (from..to).all(|axis| host.sizes[axis] == 1 || pairs.values().any(|&h| h == axis));
    let whole = covered(0, outer_h);
    let rows = covered(outer_h, host.sizes.len()) || !pairs.values().any(|&h| h >= outer_h);
    if complete && whole && rows && pairs.iter().all(kept) {
        Found::Pairs(pairs.into_iter().map(|(g, h)| (h, g)).collect())
    } else {
        Found::Nothing
    }
}

/// Pairs the axes of two expressions for the same index.
fn match_terms(host: &Affine, guest: &Affine, host_sizes: &[usize], guest_sizes: &[usize]) -> Found {
    let ascending = |index: &Affine| {
        let mut terms = index.terms.clone();
        crate::numeric::sort_by_key(&mut terms, &|&(_, c)| c);
        terms
    };
    let (h, g) = (ascending(host), ascending(guest));
    let mut pairs = Vec::with_capacity(h.len());
    for (&(h, ch), &(g, cg)) in h.iter().zip(&g) {
        if ch != cg {
            return Found::Nothing;
        }
        match halves(h, host_sizes[h], g, guest_sizes[g]) {
            Found::Pairs(pair) => pairs.extend(pair),
            other => return other,
        }
    }
    if h.len() == g.len() && host.offset == guest.offset { Found::Pairs(pairs) } else { Found::Nothing }
}

/// Pairs axes of equal total size, innermost first.
fn match_sizes(host: &[(usize, usize)], guest: &[(usize, usize)]) -> Found {
    let mut pairs = Vec::with_capacity(host.len());
    for (&(h, nh), &(g, ng)) in host.iter().rev().zip(guest.iter().rev()) {
        match halves(h, nh, g, ng) {
            Found::Pairs(pair) => pairs.extend(pair),
            other => return other,
        }
    }
    if host.len() == guest.len() { Found::Pairs(pairs) } else { Found::Nothing }
}

/// A pair of axes of the same size, or the split that makes one.
fn halves(h: usize, nh: usize, g: usize, ng: usize) -> Found {
    if nh == ng {
        Found::Pairs(vec![(h, g)])
    } else if nh.is_multiple_of(ng) {
        Found::SplitHost(h, ng)
    } else if ng.is_multiple_of(nh) {
        Found::SplitGuest(g, nh)
    } else {
        Found::Nothing
    }
}
