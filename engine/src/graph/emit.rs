//! From clusters to kernels: the body of a cluster of values over one iteration space.
//!
//! Emission starts at what a cluster must write and walks towards its arguments. A value that lies in memory becomes
//! a load, a value of the same cluster or one without memory becomes instructions, views become part of the index map.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::home::{Homes, Layout, is_op_kernel, is_view};
use super::index::*;
use super::plan::*;
use super::*;

/// What a cluster is built around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    /// Nothing: an elementwise or row program.
    None,
    /// A matrix product; the iteration axes are its batch axes, m and n.
    Matmul(NodeId),
    /// An operation with a kernel of its own; the iteration axes are the axes of its result.
    Op(NodeId),
}

/// Values computed together in one kernel.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    /// What it is built around.
    pub anchor: Anchor,
    /// Sizes of the iteration axes.
    pub sizes: Vec<usize>,
    /// How many trailing axes are reduced over.
    pub reduced: usize,
    /// Roots computed here, each with its map from iteration axes to its own.
    pub roots: BTreeMap<NodeId, Map>,
    /// Values copied here (of whatever origin).
    pub copies: Vec<(NodeId, Map, Layout)>,
}

impl Cluster {
    /// The kernel of one root.
    pub fn of_root(graph: &Graph, id: NodeId) -> Self {
        let node = graph.node(id);
        let mut cluster =
            Cluster { anchor: Anchor::None, sizes: Vec::new(), reduced: 0, roots: BTreeMap::new(), copies: Vec::new() };
        let reduced_axes = match &node.op {
            Op::Reduce { axes, .. } => axes.clone(),
            Op::ArgMax { axis } => vec![*axis],
            _ => Vec::new(),
        };
        let map = match &node.op {
            Op::Matmul => {
                let lead = node.shape.len() - 2;
                let (mut map, mut sizes) = identity(&node.shape[..lead], 0);
                for &size in &node.shape[lead..] {
                    map.push(if size == 1 { Affine::default() } else { Affine::axis(sizes.len()) });
                    sizes.push(size);
                }
                cluster.anchor = Anchor::Matmul(id);
                cluster.sizes = sizes;
                map
            }
            op if is_op_kernel(op) => {
                cluster.anchor = Anchor::Op(id);
                cluster.sizes = node.shape.clone();
                let axis = |(axis, &size)| if size == 1 { Affine::default() } else { Affine::axis(axis) };
                node.shape.iter().enumerate().map(axis).collect()
            }
            _ => {
                let (map, sizes) = identity(&node.shape, 0);
                cluster.sizes = sizes;
                for axis in reduced_axes {
                    let size = graph.shape(node.args[0])[axis];
                    if size > 1 {
                        cluster.sizes.push(size);
                        cluster.reduced += 1;
                    }
                }
                map
            }
        };
        cluster.roots.insert(id, map);
        cluster
    }

    /// A kernel that copies a value.
    pub fn of_copy(graph: &Graph, id: NodeId, to: Layout) -> Self {
        let (map, sizes) = identity(graph.shape(id), 0);
        let copies = vec![(id, map, to)];
        Cluster { anchor: Anchor::None, sizes, reduced: 0, roots: BTreeMap::new(), copies }
    }

    /// First of the reduced axes.
    pub fn outer(&self) -> usize {
        self.sizes.len() - self.reduced
    }

    /// Splits an iteration axis in two.
    pub fn split(&mut self, axis: usize, inner: usize) {
        if axis >= self.outer() {
            self.reduced += 1;
        }
        self.sizes[axis] /= inner;
        self.sizes.insert(axis + 1, inner);
        for map in self.roots.values_mut().chain(self.copies.iter_mut().map(|(_, map, _)| map)) {
            split_axis(map, axis, inner);
        }
    }

    /// May this axis be split? Only axes that a kernel of its kind can iterate over in pieces.
    pub fn may_split(&self, axis: usize) -> bool {
        match self.anchor {
            Anchor::None => true,
            // A part of m becomes a batch axis.
            Anchor::Matmul(_) => axis + 1 < self.sizes.len(),
            Anchor::Op(_) => false,
        }
    }
}

/// A kernel with what the scheduler needs to know.
#[derive(Clone, Debug)]
pub(super) struct Emitted {
    /// The kernel.
    pub kernel: Kernel,
    /// Roots, collectors, inputs and literals that it reads from memory.
    pub reads: BTreeSet<NodeId>,
    /// Floating-point operations.
    pub flop: u64,
    /// Bytes read and written.
    pub bytes: u64,
}

/// Iteration axes that kernels can have.
pub(super) const MAX_AXES: usize = 6;

/// Emits a cluster's kernel, splitting its axes where views need it. `stored` tells which roots have to be written
/// to their home because other kernels read them.
pub(super) fn emit(
    graph: &Graph,
    homes: &Homes,
    cluster: &mut Cluster,
    stored: &dyn Fn(NodeId) -> bool,
) -> Result<Emitted, Misfit> {
    loop {
        match Emitter::new(graph, homes, cluster).kernel(stored) {
            Err(Misfit::Split { axis, inner }) if cluster.may_split(axis) && cluster.sizes.len() < 16 => {
                cluster.split(axis, inner);
            }
            Err(Misfit::Split { .. }) => return Err(Misfit::Never),
            done => return done,
        }
    }
}

/// The maps at which `cluster` needs the roots of `other`, splitting axes of `cluster` where views need it.
pub(super) fn demanded(
    graph: &Graph,
    homes: &Homes,
    cluster: &mut Cluster,
    other: &Cluster,
) -> Result<Vec<(NodeId, Map)>, Misfit> {
    loop {
        let mut emitter = Emitter::new(graph, homes, cluster);
        emitter.foreign = Some(other);
        match emitter.all_values() {
            Err(Misfit::Split { axis, inner }) if cluster.may_split(axis) && cluster.sizes.len() < 16 => {
                cluster.split(axis, inner);
            }
            Err(Misfit::Split { .. }) => return Err(Misfit::Never),
            Err(misfit) => return Err(misfit),
            Ok(_) => return Ok(emitter.demanded),
        }
    }
}

struct Emitter<'a> {
    graph: &'a Graph,
    homes: &'a Homes,
    cluster: &'a Cluster,
    /// A cluster whose roots are noted in `demanded` instead of being loaded.
    foreign: Option<&'a Cluster>,
    demanded: Vec<(NodeId, Map)>,
    body: Body,
    /// Looked up, never iterated.
    registers: HashMap<Instr, Reg>,
    /// Looked up, never iterated.
    values: HashMap<(NodeId, Map), Reg>,
    reads: BTreeSet<NodeId>,
}

impl<'a> Emitter<'a> {
    fn new(graph: &'a Graph, homes: &'a Homes, cluster: &'a Cluster) -> Self {
        Emitter {
            graph,
            homes,
            cluster,
            foreign: None,
            demanded: Vec::new(),
            body: Body::default(),
            registers: HashMap::new(),
            values: HashMap::new(),
            reads: BTreeSet::new(),
        }
    }

    fn push(&mut self, instr: Instr) -> Reg {
        if let Some(&reg) = self.registers.get(&instr) {
            return reg;
        }
        let reg = self.body.code.len() as Reg;
        self.body.code.push(instr.clone());
        self.registers.insert(instr, reg);
        reg
    }

    fn constant(&mut self, value: f32) -> Reg {
        self.push(Instr::Const(value.into()))
    }

    fn binary(&mut self, op: BinaryOp, a: Reg, b: Reg) -> Reg {
        self.push(Instr::Binary(op, a, b))
    }

    fn load_view(&mut self, place: Place, strides: Vec<usize>) -> u16 {
        let view = View { place, strides };
        match self.body.loads.iter().position(|known| *known == view) {
            Some(at) => at as u16,
            None => {
                self.body.loads.push(view);
                (self.body.loads.len() - 1) as u16
            }
        }
    }

    fn affine(&mut self, index: &Affine) -> Reg {
        let mut sum = (index.offset > 0).then(|| self.constant(index.offset as f32));
        for &(axis, coefficient) in &index.terms {
            let mut at = self.push(Instr::Coordinate(axis as u16));
            if coefficient != 1 {
                let c = self.constant(coefficient as f32);
                at = self.binary(BinaryOp::Mul, at, c);
            }
            sum = Some(match sum {
                Some(sum) => self.binary(BinaryOp::Add, sum, at),
                None => at,
            });
        }
        match sum {
            Some(sum) => sum,
            None => self.constant(0.0),
        }
    }

    fn owned(&self, id: NodeId) -> bool {
        self.cluster.roots.contains_key(&id)
    }

    fn near(&self, id: NodeId) -> bool {
        self.owned(id) || self.foreign.is_some_and(|other| other.roots.contains_key(&id))
    }

    /// Memory that a kernel addresses by itself.
    fn in_memory(&mut self, id: NodeId) -> Result<Layout, Misfit> {
        match &self.homes.memory[id.index()] {
            Some((base, _)) if self.near(*base) => Err(Misfit::Never),
            Some((base, layout)) => {
                self.reads.insert(*base);
                Ok(layout.clone())
            }
            None => Err(Misfit::Needs(id)),
        }
    }

    fn contiguous(&mut self, id: NodeId) -> Result<Layout, Misfit> {
        let layout = self.in_memory(id)?;
        if layout.is_contiguous(self.graph.shape(id)) { Ok(layout) } else { Err(Misfit::Needs(id)) }
    }

    fn is_reduced(&self, index: &Affine) -> bool {
        index.terms.iter().any(|&(axis, _)| axis >= self.cluster.outer())
    }

    /// The register that holds a value at the given index.
    fn value(&mut self, id: NodeId, map: &Map) -> Result<Reg, Misfit> {
        let key = (id, map.clone());
        if let Some(&reg) = self.values.get(&key) {
            return Ok(reg);
        }
        let reg = self.compute(id, map)?;
        self.values.insert(key, reg);
        Ok(reg)
    }

    fn compute(&mut self, id: NodeId, map: &Map) -> Result<Reg, Misfit> {
        let graph = self.graph;
        let node = graph.node(id);
        match &node.op {
            Op::Const(value) => return Ok(self.push(Instr::Const(*value))),
            Op::Iota { axis } => return Ok(self.affine(&map[*axis])),
            _ => {}
        }
        if let Some(canonical) = self.cluster.roots.get(&id) {
            if canonical != map {
                return Err(Misfit::Never);
            }
            if matches!(self.cluster.anchor, Anchor::Matmul(anchor) | Anchor::Op(anchor) if anchor == id) {
                return Ok(self.push(Instr::Accumulator));
            }
        } else if self.foreign.is_some_and(|other| other.roots.contains_key(&id)) {
            self.demanded.push((id, map.clone()));
            return Ok(self.constant(0.0));
        } else if let Some((base, layout)) = &self.homes.memory[id.index()]
            && !self.near(*base)
        {
            let (offset, strides) = strides_of(map, &layout.strides, self.cluster.sizes.len());
            let place = Place { offset: layout.place.offset + offset, ..layout.place };
            self.reads.insert(*base);
            let load = self.load_view(place, strides);
            return Ok(self.push(Instr::Load(load)));
        }
        self.inline(id, map)
    }

    /// Computes a value here, whether or not it is in memory.
    fn inline(&mut self, id: NodeId, map: &Map) -> Result<Reg, Misfit> {
        let graph = self.graph;
        let node = graph.node(id);
        let arg = |k: usize| node.args[k];
        match &node.op {
            Op::Unary(op) => {
                let x = self.value(arg(0), map)?;
                Ok(self.push(Instr::Unary(*op, x)))
            }
            Op::Binary(op) => {
                let (a, b) = (self.value(arg(0), map)?, self.value(arg(1), map)?);
                Ok(self.push(Instr::Binary(*op, a, b)))
            }
            Op::Select => {
                let (m, a, b) = (self.value(arg(0), map)?, self.value(arg(1), map)?, self.value(arg(2), map)?);
                Ok(self.push(Instr::Select(m, a, b)))
            }
            Op::Cast(dtype) => {
                let x = self.value(arg(0), map)?;
                // Registers are f32 whatever the type; truncation is all that a cast to u32 does.
                Ok(if *dtype == DType::U32 { self.push(Instr::Unary(UnaryOp::Floor, x)) } else { x })
            }
            Op::Reduce { op, axes } => {
                let x = self.reduced_argument(id, axes, map)?;
                Ok(self.push(Instr::Reduce(*op, x)))
            }
            Op::ArgMax { axis } => {
                let x = self.reduced_argument(id, &[*axis], map)?;
                Ok(self.push(Instr::ArgMax(x)))
            }
            Op::Random { stream } => {
                let key = self.contiguous(arg(0))?.place;
                let (offset, along) = strides_of(map, &contiguous_strides(&node.shape), self.cluster.sizes.len());
                if offset != 0 || along.len() > MAX_AXES {
                    return Err(if self.owned(id) { Misfit::Never } else { Misfit::Needs(id) });
                }
                let mut strides = [0; MAX_AXES];
                strides[..along.len()].copy_from_slice(&along);
                Ok(self.push(Instr::Random { key, stream: *stream, strides }))
            }
            Op::TakeRows => {
                let lead = graph.shape(arg(1)).len();
                let table = self.in_memory(arg(0))?;
                let index = self.value(arg(1), &map[..lead].to_vec())?;
                let (offset, strides) =
                    strides_of(&map[lead..].to_vec(), &table.strides[1..], self.cluster.sizes.len());
                let place = Place { offset: table.place.offset + offset, ..table.place };
                let load = self.load_view(place, strides);
                Ok(self.push(Instr::LoadAt { load, index, stride: table.strides[0], limit: graph.shape(arg(0))[0] }))
            }
            Op::Gather { axis } => {
                let x = self.in_memory(arg(0))?;
                let index = self.value(arg(1), map)?;
                let mut rest = map.clone();
                rest[*axis] = Affine::default();
                let (offset, strides) = strides_of(&rest, &x.strides, self.cluster.sizes.len());
                let place = Place { offset: x.place.offset + offset, ..x.place };
                let load = self.load_view(place, strides);
                let (stride, limit) = (x.strides[*axis], graph.shape(arg(0))[*axis]);
                Ok(self.push(Instr::LoadAt { load, index, stride, limit }))
            }
            Op::Unslice { start, step, .. } => self.unslice(id, start, step, map),
            Op::Flip { axes } => self.flip(id, axes, map),
            op if is_view(op) => {
                let x = arg(0);
                match through_view(op, graph.shape(x), &node.shape, map, &self.cluster.sizes) {
                    Ok(map) => self.value(x, &map),
                    Err(Misfit::Never) => {
                        let base = super::home::beneath(graph, x);
                        Err(if self.near(base) { Misfit::Never } else { Misfit::Needs(x) })
                    }
                    Err(misfit) => Err(misfit),
                }
            }
            // Everything else is a root: computed by another kernel, or the anchor of this one.
            _ => Err(Misfit::Needs(id)),
        }
    }

    /// The argument of a reduction, over the whole row of this kernel.
    fn reduced_argument(&mut self, id: NodeId, axes: &[usize], map: &Map) -> Result<Reg, Misfit> {
        let arg = self.graph.node(id).args[0];
        let shape = self.graph.shape(arg);
        let outer = self.cluster.outer();
        let row = &self.cluster.sizes[outer..];
        let dims: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
        if map.iter().any(|index| self.is_reduced(index)) || numel(&dims) != numel(row) {
            return Err(Misfit::Never);
        }
        let strides = contiguous_strides(row);
        let linear = Affine { offset: 0, terms: strides.iter().enumerate().map(|(k, &c)| (outer + k, c)).collect() };
        let mut map = map.clone();
        for (&axis, index) in axes.iter().zip(unflatten(linear, &dims, &self.cluster.sizes)?) {
            map[axis] = index;
        }
        self.value(arg, &map)
    }

    /// Zero outside the placed part, a load at the shifted index inside.
    fn unslice(&mut self, id: NodeId, start: &[usize], step: &[usize], map: &Map) -> Result<Reg, Misfit> {
        let node = self.graph.node(id);
        let from = self.graph.shape(node.args[0]);
        let x = self.in_memory(node.args[0])?;
        let mut rest = map.clone();
        let mut inside: Option<Reg> = None;
        let mut moved = Vec::new();
        for axis in 0..map.len() {
            if from[axis] == node.shape[axis] {
                continue;
            }
            let at = self.affine(&map[axis]);
            let first = self.constant(start[axis] as f32);
            let mut at = self.binary(BinaryOp::Sub, at, first);
            let mut tests = Vec::new();
            if step[axis] > 1 {
                let inverse = self.constant(1.0 / step[axis] as f32);
                let half = self.constant(0.5 / step[axis] as f32);
                // Half a step's worth of slack keeps the rounded quotient of a multiple above its integer.
                let quotient = self.binary(BinaryOp::Mul, at, inverse);
                let quotient = self.binary(BinaryOp::Add, quotient, half);
                let quotient = self.push(Instr::Unary(UnaryOp::Floor, quotient));
                let size = self.constant(step[axis] as f32);
                let back = self.binary(BinaryOp::Mul, quotient, size);
                tests.push(self.binary(BinaryOp::Equal, back, at));
                at = quotient;
            }
            let zero = self.constant(0.0);
            let end = self.constant(from[axis] as f32);
            tests.push(self.binary(BinaryOp::LessEqual, zero, at));
            tests.push(self.binary(BinaryOp::Less, at, end));
            for test in tests {
                inside = Some(match inside {
                    Some(known) => self.binary(BinaryOp::Mul, known, test),
                    None => test,
                });
            }
            let at = self.binary(BinaryOp::Max, at, zero);
            moved.push((at, x.strides[axis], from[axis]));
            rest[axis] = Affine::default();
        }
        let value = self.load_moved(&x, &rest, &moved);
        let zero = self.constant(0.0);
        Ok(match inside {
            Some(mask) => self.push(Instr::Select(mask, value, zero)),
            None => value,
        })
    }

    /// A load with some axes counted from their ends.
    fn flip(&mut self, id: NodeId, axes: &[usize], map: &Map) -> Result<Reg, Misfit> {
        let node = self.graph.node(id);
        let x = self.in_memory(node.args[0])?;
        let mut rest = map.clone();
        let mut moved = Vec::with_capacity(axes.len());
        for &axis in axes {
            let size = node.shape[axis];
            let last = self.constant((size - 1) as f32);
            let at = self.affine(&map[axis]);
            moved.push((self.binary(BinaryOp::Sub, last, at), x.strides[axis], size));
            rest[axis] = Affine::default();
        }
        Ok(self.load_moved(&x, &rest, &moved))
    }

    /// A load at the map `rest` plus indices that are computed: register, stride and number of valid ones of each.
    fn load_moved(&mut self, x: &Layout, rest: &Map, moved: &[(Reg, usize, usize)]) -> Reg {
        let (offset, strides) = strides_of(rest, &x.strides, self.cluster.sizes.len());
        let place = Place { offset: x.place.offset + offset, ..x.place };
        let load = self.load_view(place, strides);
        if let &[(index, stride, limit)] = moved {
            return self.push(Instr::LoadAt { load, index, stride, limit });
        }
        // Several axes: one index in elements, each axis clamped to its range.
        let mut sum = self.constant(0.0);
        let mut extent = 1;
        for &(at, stride, size) in moved {
            let last = self.constant((size - 1) as f32);
            let at = self.binary(BinaryOp::Min, at, last);
            let stride_reg = self.constant(stride as f32);
            let part = self.binary(BinaryOp::Mul, at, stride_reg);
            sum = self.binary(BinaryOp::Add, sum, part);
            extent += (size - 1) * stride;
        }
        self.push(Instr::LoadAt { load, index: sum, stride: 1, limit: extent })
    }

    /// Registers of everything that this cluster yields: roots, then copies.
    fn all_values(&mut self) -> Result<Vec<Reg>, Misfit> {
        let cluster = self.cluster;
        let mut values = Vec::with_capacity(cluster.roots.len() + cluster.copies.len());
        for (&id, map) in &cluster.roots {
            values.push(self.value(id, map)?);
        }
        for (id, map, to) in &cluster.copies {
            // A copy that fills the value's own memory must not read it.
            let memory = &self.homes.memory[id.index()];
            let own = self.homes.collectors.contains_key(id) && memory.as_ref().is_some_and(|(_, layout)| layout == to);
            values.push(if own { self.inline(*id, map)? } else { self.value(*id, map)? });
        }
        Ok(values)
    }

    fn store(&mut self, value: Reg, map: &Map, layout: &Layout) {
        let (offset, strides) = strides_of(map, &layout.strides, self.cluster.sizes.len());
        let place = Place { offset: layout.place.offset + offset, ..layout.place };
        let per_row = self.cluster.reduced > 0 && !map.iter().any(|index| self.is_reduced(index));
        self.body.stores.push(Store { value, view: View { place, strides }, per_row });
    }

    fn kernel(mut self, stored: &dyn Fn(NodeId) -> bool) -> Result<Emitted, Misfit> {
        let cluster = self.cluster;
        // A product or operation always writes its accumulator first.
        if let Anchor::Matmul(id) | Anchor::Op(id) = cluster.anchor {
            let map = &cluster.roots[&id];
            self.value(id, map)?;
        }
        let values = self.all_values()?;
        for ((&id, map), &reg) in cluster.roots.iter().zip(&values) {
            let deliveries = self.homes.deliveries.get(&id).map_or(&[][..], Vec::as_slice);
            for layout in deliveries {
                self.store(reg, map, layout);
            }
            if let Some((_, home)) = &self.homes.memory[id.index()]
                && stored(id)
                && !deliveries.contains(home)
            {
                self.store(reg, map, &home.clone());
            }
        }
        for ((_, map, layout), &reg) in cluster.copies.iter().zip(&values[cluster.roots.len()..]) {
            self.store(reg, map, layout);
        }
        let kernel = match cluster.anchor {
            Anchor::None => {
                let body = std::mem::take(&mut self.body);
                let mut fused =
                    Fused { axes: cluster.sizes.clone(), reduced: cluster.reduced, body: without_dead(body) };
                coalesce(&mut fused);
                if fused.axes.len() > MAX_AXES {
                    return Err(Misfit::Never);
                }
                Kernel::Fused(fused)
            }
            Anchor::Matmul(id) => Kernel::Matmul(self.matmul(id)?),
            Anchor::Op(id) => {
                let node = self.graph.node(id);
                let args = node
                    .args
                    .iter()
                    .map(|&arg| {
                        let place = self.contiguous(arg)?.place;
                        Ok(Tensor { place, shape: self.graph.shape(arg).to_vec() })
                    })
                    .collect::<Result<_, Misfit>>()?;
                let epilogue = without_dead(std::mem::take(&mut self.body));
                Kernel::Op(OpKernel { op: node.op.clone(), args, shape: node.shape.clone(), epilogue })
            }
        };
        let (flop, bytes) = super::cost::of_kernel(&kernel);
        Ok(Emitted { kernel, reads: self.reads, flop, bytes })
    }

    fn matmul(&mut self, id: NodeId) -> Result<Matmul, Misfit> {
        let cluster = self.cluster;
        let node = self.graph.node(id);
        let rank = node.shape.len();
        let canonical = &cluster.roots[&id];
        let [.., m, n] = cluster.sizes[..] else { return Err(Misfit::Never) };
        let (rows, columns) = (cluster.sizes.len() - 2, cluster.sizes.len() - 1);
        let inner = cluster.sizes.len();
        let k = self.graph.shape(node.args[0])[rank - 1];
        let mut sides = Vec::with_capacity(2);
        for side in 0..2 {
            let mut map = canonical.clone();
            map[if side == 0 { rank - 1 } else { rank - 2 }] =
                if k == 1 { Affine::default() } else { Affine::axis(inner) };
            let layout = self.in_memory(node.args[side])?;
            let (offset, strides) = strides_of(&map, &layout.strides, inner + 1);
            let place = Place { offset: layout.place.offset + offset, ..layout.place };
            let (row, column) = if side == 0 { (rows, inner) } else { (inner, columns) };
            let batch = strides[..rows].to_vec();
            sides.push(Operand { place, batch, row: strides[row], column: strides[column] });
        }
        let (Some(b), Some(a)) = (sides.pop(), sides.pop()) else { return Err(Misfit::Never) };
        let epilogue = without_dead(std::mem::take(&mut self.body));
        let mut matmul = Matmul { batch: cluster.sizes[..rows].to_vec(), m, n, k, a, b, epilogue, tail: None };
        coalesce_batch(&mut matmul);
        if matmul.batch.len() + 2 > MAX_AXES {
            return Err(Misfit::Never);
        }
        Ok(matmul)
    }
}

/// Drops instructions and loads that no store needs.
fn without_dead(body: Body) -> Body {
    let mut needed = vec![false; body.code.len()];
    for store in &body.stores {
        needed[store.value as usize] = true;
    }
    for at in (0..body.code.len()).rev() {
        if needed[at] || body.code[at] == Instr::Accumulator {
            needed[at] = true;
            operands(&body.code[at], |reg| needed[reg as usize] = true);
        }
    }
    let mut out = Body::default();
    let mut renamed = vec![0; body.code.len()];
    let mut loads = vec![None; body.loads.len()];
    for (at, mut instr) in body.code.into_iter().enumerate() {
        if !needed[at] {
            continue;
        }
        rename(&mut instr, |reg| renamed[reg as usize]);
        if let Instr::Load(load) | Instr::LoadAt { load, .. } = &mut instr {
            let slot = &mut loads[*load as usize];
            *load = *slot.get_or_insert_with(|| {
                out.loads.push(body.loads[*load as usize].clone());
                (out.loads.len() - 1) as u16
            });
        }
        renamed[at] = out.code.len() as Reg;
        out.code.push(instr);
    }
    out.stores = body.stores.into_iter().map(|store| Store { value: renamed[store.value as usize], ..store }).collect();
    out
}

/// Registers that an instruction reads.
pub(crate) fn operands(instr: &Instr, mut visit: impl FnMut(Reg)) {
    match *instr {
        Instr::LoadAt { index: a, .. } | Instr::Unary(_, a) | Instr::Reduce(_, a) | Instr::ArgMax(a) => visit(a),
        Instr::Binary(_, a, b) => {
            visit(a);
            visit(b);
        }
        Instr::Select(m, a, b) => {
            visit(m);
            visit(a);
            visit(b);
        }
        Instr::Load(_) | Instr::Accumulator | Instr::Const(_) | Instr::Coordinate(_) | Instr::Random { .. } => {}
    }
}

fn rename(instr: &mut Instr, to: impl Fn(Reg) -> Reg) {
    match instr {
        Instr::LoadAt { index: a, .. } | Instr::Unary(_, a) | Instr::Reduce(_, a) | Instr::ArgMax(a) => *a = to(*a),
        Instr::Binary(_, a, b) => (*a, *b) = (to(*a), to(*b)),
        Instr::Select(m, a, b) => (*m, *a, *b) = (to(*m), to(*a), to(*b)),
        Instr::Load(_) | Instr::Accumulator | Instr::Const(_) | Instr::Coordinate(_) | Instr::Random { .. } => {}
    }
}

fn views(body: &mut Body) -> impl Iterator<Item = &mut View> {
    body.loads.iter_mut().chain(body.stores.iter_mut().map(|store| &mut store.view))
}

/// Can `axis` and `axis + 1` be one axis for everything that the body addresses?
fn mergeable(body: &Body, axis: usize, inner: usize) -> bool {
    let plain = |strides: &[usize]| strides[axis] == strides[axis + 1] * inner;
    body.loads.iter().all(|view| plain(&view.strides))
        && body.stores.iter().all(|store| plain(&store.view.strides))
        && body.code.iter().all(|instr| match instr {
            Instr::Coordinate(k) => *k as usize != axis && *k as usize != axis + 1,
            Instr::Random { strides, .. } => plain(strides),
            _ => true,
        })
}

fn merge(body: &mut Body, axis: usize) {
    for view in views(body) {
        view.strides.remove(axis);
    }
    for instr in &mut body.code {
        match instr {
            Instr::Coordinate(k) if *k as usize > axis => *k -= 1,
            Instr::Random { strides, .. } => {
                strides.copy_within(axis + 1.., axis);
                strides[MAX_AXES - 1] = 0;
            }
            _ => {}
        }
    }
}

/// Joins neighbouring axes wherever all views allow it.
fn coalesce(fused: &mut Fused) {
    let mut axis = 0;
    while axis + 1 < fused.axes.len() {
        let outer = fused.axes.len() - fused.reduced;
        if axis + 1 != outer && mergeable(&fused.body, axis, fused.axes[axis + 1]) {
            merge(&mut fused.body, axis);
            let size = fused.axes.remove(axis);
            fused.axes[axis] *= size;
            if axis >= outer {
                fused.reduced -= 1;
            }
        } else {
            axis += 1;
        }
    }
}

/// Joins batch axes with each other, and with the rows where the right operand is the same for the whole batch.
fn coalesce_batch(matmul: &mut Matmul) {
    let mut axis = 0;
    while axis + 1 < matmul.batch.len() {
        let inner = matmul.batch[axis + 1];
        let plain = |strides: &[usize]| strides[axis] == strides[axis + 1] * inner;
        if plain(&matmul.a.batch) && plain(&matmul.b.batch) && mergeable(&matmul.epilogue, axis, inner) {
            merge(&mut matmul.epilogue, axis);
            matmul.a.batch.remove(axis);
            matmul.b.batch.remove(axis);
            let size = matmul.batch.remove(axis);
            matmul.batch[axis] *= size;
        } else {
            axis += 1;
        }
    }
    while let Some(&last) = matmul.batch.last() {
        let axis = matmul.batch.len() - 1;
        let rows = matmul.a.batch[axis] == matmul.a.row * matmul.m || matmul.m == 1;
        let same = matmul.b.batch[axis] == 0;
        let one = matmul.m == 1;
        if !(rows && same && (one || mergeable(&matmul.epilogue, axis, matmul.m))) {
            break;
        }
        if one {
            // A single row: its stride is free, the batch axis takes its place.
            if matmul.epilogue.code.iter().any(|instr| matches!(instr, Instr::Coordinate(k) if *k as usize == axis + 1))
            {
                break;
            }
            for view in views(&mut matmul.epilogue) {
                view.strides.remove(axis + 1);
            }
            for instr in &mut matmul.epilogue.code {
                match instr {
                    Instr::Coordinate(k) if *k as usize > axis => *k -= 1,
                    Instr::Random { strides, .. } => {
                        strides.copy_within(axis + 2.., axis + 1);
                        strides[MAX_AXES - 1] = 0;
                    }
                    _ => {}
                }
            }
            matmul.a.row = matmul.a.batch[axis];
        } else {
            merge(&mut matmul.epilogue, axis);
        }
        matmul.m *= last;
        matmul.batch.pop();
        matmul.a.batch.pop();
        matmul.b.batch.pop();
    }
}
