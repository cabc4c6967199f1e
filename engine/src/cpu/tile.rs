//! The interpreter of kernel bodies: one instruction at a time over a tile of elements.
//!
//! A tile is a linear run of iteration indices, about a thousand elements, in registers that stay in the first-level
//! cache; each instruction is one loop over the tile, which the compiler vectorises. Interpretation costs a few
//! nanoseconds an instruction and tile.
//!
//! Registers come in three kinds: elements (vary within a row), groups (one value a row) and numbers (the same
//! everywhere, computed once a run). Rows meet tiles in one of three ways ([`Shape`]):
//! - whole rows: a tile holds complete rows, reductions finish within the tile;
//! - long rows: a row takes several tiles, and one pass for each level of reductions that depend on reductions;
//! - columns: where memory runs along the outer axis (sums over the batch), a tile holds several reduced indices of
//!   a block of neighbouring rows, and reductions add row to row.
//!
//! Sums have a fixed order: 16 lanes, then halves, tile after tile.

use super::cut::Cut;
use super::loops;
use super::memory::{Access, Buffer};
use crate::graph::operands;
use crate::graph::plan::{Body, Instr, Place, Reg, View};
use crate::graph::{BinaryOp, ReduceOp, UnaryOp};

/// Elements that a tile aims at.
const TILE: usize = 1024;
/// Longest row that a tile holds whole.
const WHOLE: usize = 4096;

/// Position of a register among those of its kind.
type Slot = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Number,
    Group,
    Element,
}

/// How rows meet tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Rows of this length, several to a tile; 1 for elementwise bodies.
    Whole { row: usize },
    /// Rows of this length, each in several tiles.
    Long { row: usize },
    /// Blocks of `columns` neighbouring rows of length `row`, interleaved.
    Columns { row: usize, columns: usize },
}

/// What a step computes; slots are of the step's own kind.
#[derive(Clone, Debug)]
enum What {
    Load(Access),
    LoadAt {
        access: Access,
        index: Slot,
        stride: usize,
        limit: usize,
    },
    Accumulator,
    Constant(f32),
    /// Index along an axis: the element numbers of an access.
    Coordinate(Access),
    /// Uniform numbers; the element numbers of `element` count the draws.
    Random {
        buffer: usize,
        key: usize,
        stream: u32,
        element: Access,
    },
    Unary(UnaryOp, Slot),
    Binary(BinaryOp, Slot, Slot),
    Select(Slot, Slot, Slot),
}

#[derive(Clone, Debug)]
enum Step {
    Element {
        to: Slot,
        what: What,
    },
    Group {
        to: Slot,
        what: What,
    },
    /// A group's value for each of its elements.
    Expand {
        to: Slot,
        group: Slot,
    },
    Reduce {
        op: ReduceOp,
        to: Slot,
        from: Slot,
    },
    /// Number of the first maximum, which itself is kept in group slot `best`.
    ArgMax {
        to: Slot,
        best: Slot,
        from: Slot,
    },
    Store {
        access: Access,
        from: Slot,
    },
    StoreGroup {
        access: Access,
        from: Slot,
    },
}

/// One visit of all elements of a group of rows.
#[derive(Clone, Debug, Default)]
struct Pass {
    /// For each tile.
    tile: Vec<Step>,
    /// When all tiles have been seen.
    after: Vec<Step>,
}

/// A body made ready to run.
#[derive(Clone, Debug)]
pub(super) struct Code {
    shape: Shape,
    elements: usize,
    /// Computed once a run; position is the slot.
    numbers: Vec<What>,
    /// Number, and the element slot that repeats it.
    number_elements: Vec<(Slot, Slot)>,
    /// Number, and the group slot that repeats it.
    number_groups: Vec<(Slot, Slot)>,
    /// Group values that wait for no reduction.
    before: Vec<Step>,
    passes: Vec<Pass>,
    element_slots: usize,
    group_slots: usize,
    /// Elements of a tile.
    tile: usize,
    /// Rows that are handled together.
    groups: usize,
}

/// Registers, shared by all kernels; they grow while plans are prepared and never later.
#[derive(Clone, Debug, Default)]
pub(super) struct Registers {
    numbers: Vec<f32>,
    elements: Vec<Vec<f32>>,
    groups: Vec<Vec<f32>>,
    /// Sums of one tile of columns.
    partial: Vec<f32>,
}

impl Registers {
    /// Makes room for a body.
    pub fn reserve(&mut self, code: &Code) {
        let grow = |slots: &mut Vec<Vec<f32>>, count: usize, size: usize| {
            slots.resize_with(slots.len().max(count), Vec::new);
            for slot in &mut slots[..count] {
                slot.resize(slot.len().max(size), 0.0);
            }
        };
        self.numbers.resize(self.numbers.len().max(code.numbers.len()), 0.0);
        grow(&mut self.elements, code.element_slots, code.tile);
        grow(&mut self.groups, code.group_slots, code.groups);
        self.partial.resize(self.partial.len().max(code.groups), 0.0);
    }
}

/// Where a plan's places are: buffer number and first element.
pub(super) type Resolve<'a> = &'a dyn Fn(&Place) -> (usize, usize);

/// Does memory run along the innermost outer axis rather than along the rows?
fn along_columns(body: &Body, axes: &[usize], outer: usize) -> bool {
    let votes = |axis: usize| {
        let loads = body.loads.iter().filter(|view| view.strides[axis] == 1).count();
        loads + body.stores.iter().filter(|store| !store.per_row && store.view.strides[axis] == 1).count()
    };
    votes(outer - 1) > votes(axes.len() - 1)
}

/// Kind of something that advances by `strides` along the iteration axes.
fn kind_of(strides: &[usize], axes: &[usize], outer: usize) -> Kind {
    let moves = |axis: usize| strides[axis] != 0 && axes[axis] > 1;
    // Without rows there are no groups: everything that varies is an element.
    if (outer..axes.len()).any(moves) || (outer == axes.len() && (0..outer).any(moves)) {
        Kind::Element
    } else if (0..outer).any(moves) {
        Kind::Group
    } else {
        Kind::Number
    }
}

fn unit(axis: u16, rank: usize) -> Vec<usize> {
    (0..rank).map(|k| usize::from(k == usize::from(axis))).collect()
}

fn is_reduction(instr: &Instr) -> bool {
    matches!(instr, Instr::Reduce(..) | Instr::ArgMax(_))
}

fn kinds(body: &Body, axes: &[usize], outer: usize) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::with_capacity(body.code.len());
    for instr in &body.code {
        let mut kind = match instr {
            Instr::Load(load) | Instr::LoadAt { load, .. } => {
                kind_of(&body.loads[usize::from(*load)].strides, axes, outer)
            }
            Instr::Accumulator => Kind::Element,
            Instr::Coordinate(axis) => kind_of(&unit(*axis, axes.len()), axes, outer),
            Instr::Random { strides, .. } => kind_of(&strides[..axes.len()], axes, outer),
            _ => Kind::Number,
        };
        if is_reduction(instr) {
            kind = Kind::Group;
        } else {
            operands(instr, |reg| kind = kind.max(kinds[usize::from(reg)]));
        }
        kinds.push(kind);
    }
    kinds
}

/// How many reductions lie between each register and memory.
fn depths(body: &Body) -> Vec<usize> {
    let mut depth = Vec::with_capacity(body.code.len());
    for instr in &body.code {
        let mut deepest = 0;
        operands(instr, |reg| deepest = deepest.max(depth[usize::from(reg)]));
        depth.push(deepest + usize::from(is_reduction(instr)));
    }
    depth
}

impl Code {
    /// Prepares a body over `axes`, the last `reduced` of which form rows.
    pub fn new(body: &Body, axes: &[usize], reduced: usize, resolve: Resolve<'_>) -> Code {
        let outer = axes.len() - reduced;
        let row: usize = axes[outer..].iter().product();
        let mut order: Vec<usize> = (0..axes.len()).collect();
        let shape = if reduced == 0 {
            Shape::Whole { row: 1 }
        } else if outer > 0 && axes[outer - 1] <= WHOLE && along_columns(body, axes, outer) {
            order.remove(outer - 1);
            order.push(outer - 1);
            Shape::Columns { row, columns: axes[outer - 1] }
        } else if row <= WHOLE {
            Shape::Whole { row }
        } else {
            Shape::Long { row }
        };
        let (tile, groups) = match shape {
            Shape::Whole { row } => ((TILE / row).max(1) * row, (TILE / row).max(1)),
            Shape::Long { .. } => (TILE, 1),
            Shape::Columns { row, columns } => ((TILE / columns).clamp(1, row) * columns, columns),
        };
        let code = Code {
            shape,
            elements: axes.iter().product(),
            numbers: Vec::new(),
            number_elements: Vec::new(),
            number_groups: Vec::new(),
            before: Vec::new(),
            passes: Vec::new(),
            element_slots: 0,
            group_slots: 0,
            tile,
            groups,
        };
        let count = body.code.len();
        Builder {
            body,
            axes,
            outer,
            order,
            kinds: kinds(body, axes, outer),
            depths: depths(body),
            resolve,
            number: vec![0; count],
            group: vec![0; count],
            repeated: vec![None; count],
            code,
        }
        .build()
    }
}

struct Builder<'a> {
    body: &'a Body,
    axes: &'a [usize],
    outer: usize,
    /// Order in which tiles run through the axes.
    order: Vec<usize>,
    kinds: Vec<Kind>,
    depths: Vec<usize>,
    resolve: Resolve<'a>,
    /// Number slot of each number.
    number: Vec<Slot>,
    /// Group slot of each register that groups read.
    group: Vec<Slot>,
    /// Element slot of each number that elements read.
    repeated: Vec<Option<Slot>>,
    code: Code,
}

impl Builder<'_> {
    fn access(&self, view: &View, kind: Kind) -> Access {
        let (buffer, offset) = (self.resolve)(&view.place);
        self.strided(buffer, offset, view.place.dtype, &view.strides, kind)
    }

    fn strided(
        &self,
        buffer: usize,
        offset: usize,
        dtype: crate::graph::DType,
        strides: &[usize],
        kind: Kind,
    ) -> Access {
        let axes: Vec<usize> = match kind {
            Kind::Element => self.order.clone(),
            Kind::Group => (0..self.outer).collect(),
            Kind::Number => Vec::new(),
        };
        let sizes: Vec<usize> = axes.iter().map(|&axis| self.axes[axis]).collect();
        let strides: Vec<usize> = axes.iter().map(|&axis| strides[axis]).collect();
        Access::new(buffer, offset, dtype, &sizes, &strides)
    }

    fn what(&self, at: usize, kind: Kind, slot: &impl Fn(Reg) -> Slot) -> What {
        match &self.body.code[at] {
            Instr::Load(load) => What::Load(self.access(&self.body.loads[usize::from(*load)], kind)),
            Instr::LoadAt { load, index, stride, limit } => What::LoadAt {
                access: self.access(&self.body.loads[usize::from(*load)], kind),
                index: slot(*index),
                stride: *stride,
                limit: *limit,
            },
            Instr::Const(value) => What::Constant(value.get()),
            Instr::Coordinate(axis) => {
                let strides = unit(*axis, self.axes.len());
                What::Coordinate(self.strided(0, 0, crate::graph::DType::F32, &strides, kind))
            }
            Instr::Random { key, stream, strides } => {
                let (buffer, offset) = (self.resolve)(key);
                let element = self.strided(0, 0, crate::graph::DType::F32, strides, kind);
                What::Random { buffer, key: offset, stream: *stream, element }
            }
            Instr::Unary(op, a) => What::Unary(*op, slot(*a)),
            Instr::Binary(op, a, b) => What::Binary(*op, slot(*a), slot(*b)),
            Instr::Select(m, a, b) => What::Select(slot(*m), slot(*a), slot(*b)),
            Instr::Accumulator | Instr::Reduce(..) | Instr::ArgMax(_) => What::Accumulator,
        }
    }

    fn build(mut self) -> Code {
        self.numbers_and_groups();
        let whole = matches!(self.code.shape, Shape::Whole { .. });
        let levels = self.depths.iter().max().map_or(1, |&deepest| deepest + 1);
        if whole {
            // Everything happens while the rows are in registers: one pass in code order.
            let steps = self.steps(|_| true, true);
            self.code.passes.push(Pass { tile: steps, after: Vec::new() });
            return self.code;
        }
        let group_steps = |builder: &Self, depth: usize| -> Vec<Step> {
            let at_depth = |at: &usize| builder.depths[*at] == depth;
            let computed = (0..builder.body.code.len())
                .filter(at_depth)
                .filter(|&at| builder.kinds[at] == Kind::Group && !is_reduction(&builder.body.code[at]));
            let mut steps: Vec<Step> = computed.map(|at| builder.group_step(at)).collect();
            let stores = builder.body.stores.iter().filter(|store| store.per_row);
            steps.extend(
                stores.filter(|store| at_depth(&usize::from(store.value))).map(|store| builder.store_group(store)),
            );
            steps
        };
        self.code.before = group_steps(&self, 0);
        for level in 0..levels {
            let tile = self.steps(|depth| depth == level, false);
            let after = group_steps(&self, level + 1);
            if !tile.is_empty() || !after.is_empty() {
                self.code.passes.push(Pass { tile, after });
            }
        }
        self.code
    }

    fn store_group(&self, store: &crate::graph::plan::Store) -> Step {
        Step::StoreGroup { access: self.access(&store.view, Kind::Group), from: self.group[usize::from(store.value)] }
    }

    fn group_step(&self, at: usize) -> Step {
        let what = self.what(at, Kind::Group, &|reg| self.group[usize::from(reg)]);
        Step::Group { to: self.group[at], what }
    }

    /// Slots of numbers and groups: they are few and small, so each keeps its own.
    fn numbers_and_groups(&mut self) {
        let count = self.body.code.len();
        // Which numbers are read as elements, and which as groups?
        let mut as_element = vec![false; count];
        let mut as_group = vec![false; count];
        for (at, instr) in self.body.code.iter().enumerate() {
            let kind = if is_reduction(instr) { Kind::Element } else { self.kinds[at] };
            operands(instr, |reg| match kind {
                Kind::Element => as_element[usize::from(reg)] = true,
                Kind::Group => as_group[usize::from(reg)] = true,
                Kind::Number => {}
            });
        }
        for store in &self.body.stores {
            let wanted = if store.per_row { &mut as_group } else { &mut as_element };
            wanted[usize::from(store.value)] = true;
        }
        for at in 0..count {
            if self.kinds[at] == Kind::Number {
                let what = self.what(at, Kind::Number, &|reg| self.number[usize::from(reg)]);
                self.number[at] = self.code.numbers.len();
                self.code.numbers.push(what);
                if as_element[at] {
                    self.repeated[at] = Some(self.code.element_slots);
                    self.code.number_elements.push((self.number[at], self.code.element_slots));
                    self.code.element_slots += 1;
                }
            }
            if self.kinds[at] == Kind::Group || (self.kinds[at] == Kind::Number && as_group[at]) {
                self.group[at] = self.code.group_slots;
                // The number of the first maximum has the maximum beside it.
                self.code.group_slots += if matches!(self.body.code[at], Instr::ArgMax(_)) { 2 } else { 1 };
            }
            if self.kinds[at] == Kind::Number && as_group[at] {
                self.code.number_groups.push((self.number[at], self.group[at]));
            }
        }
    }

    /// The steps of a tile that yield the reductions and stores at the depths asked for, in code order; with `groups`
    /// also everything that happens once a row.
    fn steps(&mut self, wanted: impl Fn(usize) -> bool, groups: bool) -> Vec<Step> {
        let code = &self.body.code;
        let count = code.len();
        let stores: Vec<_> = self
            .body
            .stores
            .iter()
            .filter(|store| !store.per_row && wanted(self.depths[usize::from(store.value)]))
            .collect();
        let mut needed = vec![false; count];
        for store in &stores {
            needed[usize::from(store.value)] = true;
        }
        let reduces = |at: usize| {
            let mut found = false;
            operands(&code[at], |reg| found = is_reduction(&code[at]) && wanted(self.depths[usize::from(reg)]));
            found
        };
        for at in (0..count).rev() {
            if reduces(at) || (needed[at] && self.kinds[at] == Kind::Element) || groups {
                operands(&code[at], |reg| needed[usize::from(reg)] = true);
            }
        }
        // Values of a tile: registers by their number, repeated groups by their number plus `count`.
        let element = |at: usize| if self.kinds[at] == Kind::Group { at + count } else { at };
        let mut last_use = vec![0; 2 * count];
        for at in 0..count {
            if (needed[at] && self.kinds[at] == Kind::Element) || reduces(at) {
                operands(&code[at], |reg| last_use[element(usize::from(reg))] = at);
            }
        }
        for store in &stores {
            last_use[element(usize::from(store.value))] = count;
        }
        let mut slot: Vec<Option<Slot>> = vec![None; 2 * count];
        slot[..count].copy_from_slice(&self.repeated);
        let mut free: Vec<Slot> = Vec::new();
        let mut total = self.code.number_elements.len();
        let mut steps = Vec::new();
        let mut take = |free: &mut Vec<Slot>| {
            free.pop().unwrap_or_else(|| {
                total += 1;
                total - 1
            })
        };
        for at in 0..=count {
            // Groups that this instruction (or the stores at the end) reads as elements.
            let mut reads = Vec::new();
            if at == count {
                reads.extend(stores.iter().map(|store| store.value));
            } else if (needed[at] && self.kinds[at] == Kind::Element) || reduces(at) {
                operands(&code[at], |reg| reads.push(reg));
            }
            for &reg in &reads {
                let reg = usize::from(reg);
                if self.kinds[reg] == Kind::Group && slot[reg + count].is_none() {
                    let to = take(&mut free);
                    slot[reg + count] = Some(to);
                    steps.push(Step::Expand { to, group: self.group[reg] });
                }
            }
            let slot_of = |slot: &[Option<Slot>], reg: Reg| slot[element(usize::from(reg))].unwrap_or(0);
            if at == count {
                break;
            }
            if reduces(at) {
                let from = slot_of(&slot, reads[0]);
                let to = self.group[at];
                steps.push(match &code[at] {
                    Instr::Reduce(op, _) => Step::Reduce { op: *op, to, from },
                    _ => Step::ArgMax { to, best: to + 1, from },
                });
            } else if needed[at] && self.kinds[at] == Kind::Element {
                let to = take(&mut free);
                let what = self.what(at, Kind::Element, &|reg| slot_of(&slot, reg));
                slot[at] = Some(to);
                steps.push(Step::Element { to, what });
            } else if groups && self.kinds[at] == Kind::Group {
                steps.push(self.group_step(at));
            }
            // Registers read for the last time give their slots back; numbers keep theirs.
            crate::numeric::sort(&mut reads);
            reads.dedup();
            for reg in reads {
                let reg = usize::from(reg);
                if self.kinds[reg] != Kind::Number && last_use[element(reg)] == at {
                    free.extend(slot[element(reg)]);
                }
            }
        }
        for store in stores {
            let from = slot[element(usize::from(store.value))].unwrap_or(0);
            steps.push(Step::Store { access: self.access(&store.view, Kind::Element), from });
        }
        if groups {
            steps.extend(self.body.stores.iter().filter(|store| store.per_row).map(|store| self.store_group(store)));
        }
        self.code.element_slots = self.code.element_slots.max(total);
        steps
    }
}

/// What steps work on.
pub(super) struct Bench<'a> {
    /// All memory.
    pub buffers: &'a [Buffer],
    /// Registers with room for the code.
    pub registers: &'a mut Registers,
    /// Values of [`Instr::Accumulator`] from the first element of the range that is run.
    pub accumulator: &'a [f32],
}

impl Code {
    /// How its elements may be shared out.
    pub fn cut(&self) -> Cut {
        let unit = match self.shape {
            Shape::Whole { .. } => self.tile,
            Shape::Long { row } => row,
            Shape::Columns { row, columns } => row * columns,
        };
        Cut { length: self.elements, unit }
    }

    /// What a thread does for each element, roughly in quarters of a nanosecond.
    pub fn cost(&self) -> usize {
        self.passes.iter().map(|pass| pass.tile.len()).sum()
    }

    /// Runs elements `start .. start + count`: units, or with an elementwise body any.
    pub fn run_range(&self, start: usize, count: usize, bench: &mut Bench<'_>) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has the feature. Wider vectors do not change results: there is no
            // reassociation and no contraction in this code.
            return unsafe { self.run_avx2(start, count, bench) };
        }
        self.run_tiles(start, count, bench);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn run_avx2(&self, start: usize, count: usize, bench: &mut Bench<'_>) {
        self.run_tiles(start, count, bench);
    }

    #[inline(always)]
    fn run_tiles(&self, start: usize, count: usize, bench: &mut Bench<'_>) {
        self.spread_numbers(bench);
        match self.shape {
            Shape::Whole { row } => {
                let mut at = start;
                while at < start + count {
                    let size = self.tile.min(start + count - at);
                    let tile =
                        Tile { start: at, size, first: at - start, group: at / row, groups: size / row, index: 0 };
                    for pass in &self.passes {
                        self.steps(&pass.tile, &tile, bench);
                    }
                    at += size;
                }
            }
            Shape::Long { row } => {
                for group in start / row..(start + count) / row {
                    self.in_passes(group, 1, group * row, row, 1, bench);
                }
            }
            Shape::Columns { row, columns } => {
                let block = row * columns;
                for at in start / block..(start + count) / block {
                    self.in_passes(at * columns, columns, at * block, block, columns, bench);
                }
            }
        }
    }

    /// Visits the `size` elements from `start` on, once a pass; `step` elements advance the row index by one.
    #[inline(always)]
    fn in_passes(&self, group: usize, groups: usize, start: usize, size: usize, step: usize, bench: &mut Bench<'_>) {
        let whole = Tile { start, size: 0, first: 0, group, groups, index: 0 };
        self.steps(&self.before, &whole, bench);
        for pass in &self.passes {
            for reduction in &pass.tile {
                match *reduction {
                    Step::Reduce { op, to, .. } => bench.registers.groups[to][..groups].fill(loops::neutral(op)),
                    Step::ArgMax { to, best, .. } => {
                        bench.registers.groups[to][..groups].fill(0.0);
                        bench.registers.groups[best][..groups].fill(f32::NEG_INFINITY);
                    }
                    _ => {}
                }
            }
            let mut at = 0;
            while at < size {
                let here = self.tile.min(size - at);
                let tile = Tile { start: start + at, size: here, first: 0, group, groups, index: at / step };
                self.steps(&pass.tile, &tile, bench);
                at += here;
            }
            self.steps(&pass.after, &whole, bench);
        }
    }

    #[cfg_attr(target_arch = "wasm32", inline(never))]
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn spread_numbers(&self, bench: &mut Bench<'_>) {
        for (slot, what) in self.numbers.iter().enumerate() {
            let registers = &mut *bench.registers;
            let known = |slot: Slot| registers.numbers[slot];
            let mut out = [0.0];
            match what {
                What::Unary(op, a) => out[0] = loops::unary_one(*op, known(*a)),
                What::Binary(op, a, b) => out[0] = loops::binary_one(*op, known(*a), known(*b)),
                What::Select(m, a, b) => out[0] = known(if known(*m) != 0.0 { *a } else { *b }),
                What::LoadAt { access, index, stride, limit } => {
                    let from = &bench.buffers[access.buffer];
                    loops::take(access, [*stride, *limit], from, 0, &[known(*index)], &mut out);
                }
                what => leaf(what, bench.buffers, 0, &mut out),
            }
            registers.numbers[slot] = out[0];
        }
        let registers = &mut *bench.registers;
        for &(number, to) in &self.number_elements {
            registers.elements[to][..self.tile].fill(registers.numbers[number]);
        }
        for &(number, to) in &self.number_groups {
            registers.groups[to][..self.groups].fill(registers.numbers[number]);
        }
    }

    #[cfg_attr(target_arch = "wasm32", inline(never))]
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn steps(&self, steps: &[Step], tile: &Tile, bench: &mut Bench<'_>) {
        for step in steps {
            let registers = &mut *bench.registers;
            match step {
                Step::Element { to, what: What::Accumulator } => {
                    let from = &bench.accumulator[tile.first..tile.first + tile.size];
                    registers.elements[*to][..tile.size].copy_from_slice(from);
                }
                Step::Element { to, what } => {
                    evaluate(what, *to, &mut registers.elements, bench.buffers, tile.start, tile.size);
                }
                Step::Group { to, what } => {
                    evaluate(what, *to, &mut registers.groups, bench.buffers, tile.group, tile.groups);
                }
                Step::Expand { to, group } => {
                    self.expand(&registers.groups[*group], &mut registers.elements[*to][..tile.size]);
                }
                Step::Reduce { op, to, from } => {
                    let out = &mut registers.groups[*to][..tile.groups];
                    self.reduce(*op, &registers.elements[*from][..tile.size], out, &mut registers.partial);
                }
                Step::ArgMax { to, best, from } => {
                    let mut best_values = std::mem::take(&mut registers.groups[*best]);
                    let out = &mut registers.groups[*to][..tile.groups];
                    self.arg_max(&registers.elements[*from][..tile.size], tile.index, out, &mut best_values);
                    registers.groups[*best] = best_values;
                }
                Step::Store { access, from } => {
                    let values = &registers.elements[*from][..tile.size];
                    loops::store(access, &bench.buffers[access.buffer], tile.start, values);
                }
                Step::StoreGroup { access, from } => {
                    let values = &registers.groups[*from][..tile.groups];
                    loops::store(access, &bench.buffers[access.buffer], tile.group, values);
                }
            }
        }
    }

    #[inline(always)]
    fn expand(&self, group: &[f32], out: &mut [f32]) {
        match self.shape {
            Shape::Whole { row: 1 } => out.copy_from_slice(&group[..out.len()]),
            Shape::Whole { row } => {
                for (row, &value) in out.chunks_exact_mut(row).zip(group) {
                    row.fill(value);
                }
            }
            Shape::Long { .. } => out.fill(group[0]),
            Shape::Columns { columns, .. } => {
                for row in out.chunks_exact_mut(columns) {
                    row.copy_from_slice(&group[..columns]);
                }
            }
        }
    }

    #[inline(always)]
    fn reduce(&self, op: ReduceOp, from: &[f32], out: &mut [f32], partial: &mut [f32]) {
        match self.shape {
            Shape::Whole { row } => loops::reduce_rows(op, from, row, out),
            Shape::Long { .. } => loops::reduce_part(op, from, &mut out[0]),
            Shape::Columns { columns, .. } => loops::reduce_columns(op, from, &mut partial[..columns], out),
        }
    }

    #[inline(always)]
    fn arg_max(&self, from: &[f32], index: usize, out: &mut [f32], best: &mut [f32]) {
        match self.shape {
            Shape::Whole { row } => loops::arg_max_rows(from, row, out),
            Shape::Long { .. } => loops::arg_max_columns(from, 1, index, out, best),
            Shape::Columns { columns, .. } => loops::arg_max_columns(from, columns, index, out, best),
        }
    }
}

/// The elements and rows that steps work on.
struct Tile {
    /// First iteration index, in tile order.
    start: usize,
    /// Elements.
    size: usize,
    /// First element relative to the range that is run.
    first: usize,
    /// First row.
    group: usize,
    /// Rows.
    groups: usize,
    /// Index within the row of the first element, where rows take several tiles.
    index: usize,
}

/// Values without operands: memory, counters, draws.
#[inline(always)]
fn leaf(what: &What, buffers: &[Buffer], start: usize, out: &mut [f32]) {
    match what {
        What::Load(access) => loops::load(access, &buffers[access.buffer], start, out),
        What::Constant(value) => out.fill(*value),
        What::Coordinate(access) => loops::count(access, start, out),
        What::Random { buffer, key, stream, element } => {
            let word = |k: usize| buffers[*buffer].cells()[key + k].get().to_bits();
            loops::draw(element, start, out, [word(0), word(1)], [*stream, word(2), word(3)]);
        }
        _ => {}
    }
}

/// Computes `size` values into slot `to`.
#[inline(always)]
fn evaluate(what: &What, to: Slot, slots: &mut [Vec<f32>], buffers: &[Buffer], start: usize, size: usize) {
    // The slot is taken out, so that operands can be read beside it; no operand shares it.
    let mut taken = std::mem::take(&mut slots[to]);
    let out = &mut taken[..size];
    let arg = |slot: Slot| &slots[slot][..size];
    match what {
        What::Unary(op, a) => loops::unary(*op, arg(*a), out),
        What::Binary(op, a, b) => loops::binary(*op, arg(*a), arg(*b), out),
        What::Select(m, a, b) => loops::select(arg(*m), arg(*a), arg(*b), out),
        What::LoadAt { access, index, stride, limit } => {
            loops::take(access, [*stride, *limit], &buffers[access.buffer], start, arg(*index), out);
        }
        what => leaf(what, buffers, start, out),
    }
    slots[to] = taken;
}
