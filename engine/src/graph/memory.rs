//! The memory plan: one arena in which values whose lives do not overlap share words.
//!
//! Kernels come in with places in a virtual arena where every value has words of its own. A value lives from the
//! first launch that writes it to the last that touches it, both included: a kernel never writes where it, or
//! another kernel that still has to run, reads. Values are placed by decreasing size, each at the lowest free words
//! during its life, which keeps the arena close to the largest sum of live values.

use super::plan::*;

/// Words to which values are aligned: 256 bytes, what WebGPU asks of binding offsets.
pub(crate) const ALIGNMENT: usize = 64;

/// Life and position of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// First word in the virtual arena.
    pub from: usize,
    /// Words.
    pub words: usize,
    /// First launch that touches it.
    pub first: usize,
    /// Last launch that touches it.
    pub last: usize,
    /// First word in the real arena.
    pub to: usize,
}

/// Places values (`regions`: first virtual word and words, ascending) and rewrites every place of the plan. Without
/// `reuse` every value keeps words of its own, for inspection.
pub(crate) fn lay_out(plan: &mut Plan, regions: &[(usize, usize)], reuse: bool) -> Vec<Slot> {
    let end = plan.launches.len();
    let mut lives: Vec<Option<(usize, usize)>> = vec![None; regions.len()];
    let region_of = |offset: usize| regions.partition_point(|&(from, _)| from <= offset).saturating_sub(1);
    let touch = |lives: &mut Vec<Option<(usize, usize)>>, offset: usize, at: usize| {
        if let Some(life) = lives.get_mut(region_of(offset)) {
            let (first, last) = life.unwrap_or((at, at));
            *life = Some((first.min(at), last.max(at)));
        }
    };
    for (at, launch) in plan.launches.iter_mut().enumerate() {
        places(&mut launch.kernel, |place| {
            if place.space == Space::Arena {
                touch(&mut lives, place.offset, at);
            }
        });
    }
    for (offset, _) in &plan.constants {
        touch(&mut lives, *offset, 0);
        touch(&mut lives, *offset, end);
    }
    for (_, tensor) in &plan.fetches {
        touch(&mut lives, tensor.place.offset, end);
    }
    let mut slots: Vec<Slot> = regions
        .iter()
        .zip(&lives)
        .filter_map(|(&(from, words), life)| life.map(|(first, last)| Slot { from, words, first, last, to: 0 }))
        .collect();
    let mut order: Vec<usize> = (0..slots.len()).collect();
    crate::numeric::sort_by_key(&mut order, &|&k| (std::cmp::Reverse(slots[k].words), slots[k].from));
    let mut placed: Vec<Slot> = Vec::with_capacity(slots.len());
    for k in order {
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|other| !reuse || (other.first <= slots[k].last && slots[k].first <= other.last))
            .map(|other| (other.to, other.to + other.words))
            .collect();
        crate::numeric::sort(&mut taken);
        let mut to = 0;
        for (start, stop) in taken {
            if to + slots[k].words <= start {
                break;
            }
            to = to.max(stop.next_multiple_of(ALIGNMENT));
        }
        slots[k].to = to;
        placed.push(slots[k]);
    }
    plan.arena_words = slots.iter().map(|slot| slot.to + slot.words).max().unwrap_or(0).next_multiple_of(ALIGNMENT);
    let moved = |offset: usize| {
        let at = slots.partition_point(|slot| slot.from <= offset).saturating_sub(1);
        slots.get(at).map_or(offset, |slot| slot.to + (offset - slot.from))
    };
    for launch in &mut plan.launches {
        places(&mut launch.kernel, |place| {
            if place.space == Space::Arena {
                place.offset = moved(place.offset);
            }
        });
    }
    for (offset, _) in &mut plan.constants {
        *offset = moved(*offset);
    }
    for (_, tensor) in &mut plan.fetches {
        tensor.place.offset = moved(tensor.place.offset);
    }
    slots
}

fn body_places(body: &mut Body, visit: &mut impl FnMut(&mut Place)) {
    for view in &mut body.loads {
        visit(&mut view.place);
    }
    for instr in &mut body.code {
        if let Instr::Random { key, .. } = instr {
            visit(key);
        }
    }
    for store in &mut body.stores {
        visit(&mut store.view.place);
    }
}

/// Every place that a kernel reads or writes.
fn places(kernel: &mut Kernel, mut visit: impl FnMut(&mut Place)) {
    match kernel {
        Kernel::Fused(fused) => body_places(&mut fused.body, &mut visit),
        Kernel::Matmul(matmul) => {
            visit(&mut matmul.a.place);
            visit(&mut matmul.b.place);
            body_places(&mut matmul.epilogue, &mut visit);
            if let Some(tail) = &mut matmul.tail {
                body_places(&mut tail.body, &mut visit);
            }
        }
        Kernel::Op(kernel) => {
            for arg in &mut kernel.args {
                visit(&mut arg.place);
            }
            body_places(&mut kernel.epilogue, &mut visit);
        }
    }
}
