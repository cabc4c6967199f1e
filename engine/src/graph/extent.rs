//! Which parts of which memories kernels touch.

use std::collections::BTreeSet;

use super::plan::*;
use super::{DType, InputDecl, InputId, InputKind, numel};

/// Part of a memory that a kernel touches.
pub(super) struct Extent {
    pub space: Space,
    dtype: DType,
    first: usize,
    /// One after the last element.
    end: usize,
    pub written: bool,
}

impl Plan {
    /// The first launch that reaches beyond a memory, if any does: executors refuse such a plan, and check nothing when they run
    /// others.
    #[must_use]
    pub fn out_of_bounds(&self) -> Option<&Launch> {
        let held = |space| match space {
            Space::Arena => (self.arena_words, DType::F32),
            Space::Metrics => (self.metrics, DType::F32),
            Space::Input(id) => {
                let input = &self.inputs[id.index()];
                (numel(&input.shape), input.dtype)
            }
        };
        let beyond = |extent: &Extent| {
            let (elements, dtype) = held(extent.space);
            extent.end as u64 * extent.dtype.bytes() as u64 > elements as u64 * dtype.bytes() as u64
        };
        self.launches.iter().find(|launch| extents(&launch.kernel).iter().any(beyond))
    }

    /// States that a run overwrites.
    pub fn written(&self) -> BTreeSet<InputId> {
        let written = self.launches.iter().flat_map(|launch| extents(&launch.kernel)).filter(|extent| extent.written);
        written.filter_map(|extent| if let Space::Input(id) = extent.space { Some(id) } else { None }).collect()
    }
}

/// Elements beyond its view that a load may reach by an index.
pub(super) fn addressed(body: &Body, load: usize) -> usize {
    let beyond = |instr: &Instr| match instr {
        Instr::LoadAt { load: at, stride, limit, .. } if usize::from(*at) == load => stride * limit.saturating_sub(1),
        _ => 0,
    };
    body.code.iter().map(beyond).max().unwrap_or(0)
}

pub(super) fn extent(view: &View, axes: &[usize], addressed: usize, written: bool) -> Extent {
    let Place { space, offset, dtype } = view.place;
    let end = if axes.contains(&0) { offset } else { view.last(axes) + addressed + 1 };
    Extent { space, dtype, first: offset, end, written }
}

/// All that a kernel reads and writes.
pub(super) fn extents(kernel: &Kernel) -> Vec<Extent> {
    let mut all = vec![];
    let mut body = |body: &Body, axes: &[usize]| {
        let loads = body.loads.iter().enumerate();
        all.extend(loads.map(|(load, view)| extent(view, axes, addressed(body, load), false)));
        all.extend(body.stores.iter().map(|store| extent(&store.view, axes, 0, true)));
        all.extend(body.code.iter().filter_map(|instr| match instr {
            Instr::Random { key, .. } => Some(extent(&View { place: *key, strides: vec![1] }, &[4], 0, false)),
            _ => None,
        }));
    };
    match kernel {
        Kernel::Fused(fused) => body(&fused.body, &fused.axes),
        Kernel::Matmul(product) => {
            body(&product.epilogue, &[&product.batch[..], &[product.m, product.n]].concat());
            if let Some(tail) = &product.tail {
                body(&tail.body, &tail.axes);
            }
            for (operand, rows, columns) in [(&product.a, product.m, product.k), (&product.b, product.k, product.n)] {
                let strides = [&operand.batch[..], &[operand.row, operand.column]].concat();
                let axes = [&product.batch[..], &[rows, columns]].concat();
                // Whatever it is, it is read as f32.
                let place = Place { dtype: DType::F32, ..operand.place };
                all.push(extent(&View { place, strides }, &axes, 0, false));
            }
        }
        Kernel::Op(kernel) => {
            body(&kernel.epilogue, &kernel.shape);
            let whole =
                |arg: &Tensor| extent(&View { place: arg.place, strides: vec![1] }, &[numel(&arg.shape)], 0, false);
            all.extend(kernel.args.iter().map(whole));
        }
    }
    all
}

pub(super) fn meet(a: &Extent, b: &Extent) -> bool {
    a.space == b.space && a.first < b.end && b.first < a.end
}

/// Does it matter which of two comes first?
pub(super) fn conflict(a: &[Extent], b: &[Extent]) -> bool {
    a.iter().any(|x| b.iter().any(|y| (x.written || y.written) && meet(x, y)))
}

/// Buffers that the kernel binds on a GPU: all step inputs are one, which also says where metrics go.
pub(super) fn bindings(kernel: &Kernel, inputs: &[InputDecl]) -> usize {
    let mut bound = BTreeSet::new();
    for Extent { space, .. } in extents(kernel) {
        let step = matches!(space, Space::Input(id) if inputs[id.index()].kind == InputKind::Step);
        if step || space == Space::Metrics {
            bound.insert(None);
        }
        if !step {
            bound.insert(Some(space));
        }
    }
    bound.len()
}

/// Buffers beside the arena.
pub(super) fn buffers<'a>(extents: impl Iterator<Item = &'a Extent>) -> usize {
    let spaces = extents.map(|extent| extent.space).filter(|&space| space != Space::Arena);
    spaces.collect::<BTreeSet<Space>>().len()
}
