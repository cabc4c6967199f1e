//! The innermost loops of the interpreter ([`super::tile`]).
//!
//! In WASM each is a function of its own: a browser runs the quick draft of a function until its optimising compiler is done
//! with the whole of it, which takes a second where one function holds all loops. Natively they are parts of their callers, to
//! be compiled for the vectors that the processor has.

use std::cell::Cell;

use super::math;
use super::memory::{Access, Buffer};
use crate::graph::{BinaryOp, DType, ReduceOp, UnaryOp};
use crate::rng::{philox4x32, unit_f32};

/// Partial sums side by side.
const LANES: usize = 16;

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if b < a { b } else { a }
}

/// What a reduction begins with.
pub(super) fn neutral(op: ReduceOp) -> f32 {
    match op {
        ReduceOp::Sum => 0.0,
        ReduceOp::Max => f32::NEG_INFINITY,
        ReduceOp::Min => f32::INFINITY,
    }
}

/// What `$apply` makes of the function of a unary operation.
macro_rules! unary_table {
    ($op:expr, $apply:ident) => {
        match $op {
            UnaryOp::Neg => $apply!(|x: f32| -x),
            UnaryOp::Abs => $apply!(|x: f32| x.abs()),
            UnaryOp::Sign => $apply!(|x: f32| if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                x
            }),
            UnaryOp::Exp => $apply!(math::exp),
            UnaryOp::Log => $apply!(math::log),
            UnaryOp::Sqrt => $apply!(|x: f32| x.sqrt()),
            UnaryOp::Rsqrt => $apply!(|x: f32| 1.0 / x.sqrt()),
            UnaryOp::Recip => $apply!(|x: f32| 1.0 / x),
            UnaryOp::Tanh => $apply!(math::tanh),
            UnaryOp::Erf => $apply!(math::erf),
            UnaryOp::Sin => $apply!(libm::sinf),
            UnaryOp::Cos => $apply!(libm::cosf),
            UnaryOp::Floor => $apply!(|x: f32| x.floor()),
            // A NaN stays a NaN.
            UnaryOp::Relu => $apply!(|x: f32| if x < 0.0 { 0.0 } else { x }),
            UnaryOp::Sigmoid => $apply!(math::sigmoid),
        }
    };
}

/// What `$apply` makes of the function of a binary operation.
macro_rules! binary_table {
    ($op:expr, $apply:ident) => {
        match $op {
            BinaryOp::Add => $apply!(|a: f32, b: f32| a + b),
            BinaryOp::Sub => $apply!(|a: f32, b: f32| a - b),
            BinaryOp::Mul => $apply!(|a: f32, b: f32| a * b),
            BinaryOp::Div => $apply!(|a: f32, b: f32| a / b),
            // A NaN stays one here too; of the elements of a row it need not, which would cost.
            BinaryOp::Max => $apply!(|a: f32, b: f32| if a >= b || a.is_nan() { a } else { b }),
            BinaryOp::Min => $apply!(|a: f32, b: f32| if a <= b || a.is_nan() { a } else { b }),
            BinaryOp::Pow => $apply!(libm::powf),
            BinaryOp::Less => $apply!(|a: f32, b: f32| if a < b { 1.0 } else { 0.0 }),
            BinaryOp::LessEqual => $apply!(|a: f32, b: f32| if a <= b { 1.0 } else { 0.0 }),
            BinaryOp::Equal => $apply!(|a: f32, b: f32| if a == b { 1.0 } else { 0.0 }),
        }
    };
}

/// A unary operation on one number.
pub(super) fn unary_one(op: UnaryOp, x: f32) -> f32 {
    macro_rules! one {
        ($f:expr) => {
            $f(x)
        };
    }
    unary_table!(op, one)
}

/// A binary operation on two numbers.
pub(super) fn binary_one(op: BinaryOp, a: f32, b: f32) -> f32 {
    macro_rules! one {
        ($f:expr) => {
            $f(a, b)
        };
    }
    binary_table!(op, one)
}

/// A unary operation, element by element.
#[inline(always)]
pub(super) fn unary(op: UnaryOp, a: &[f32], out: &mut [f32]) {
    macro_rules! all {
        ($f:expr) => {
            map(a, out, $f)
        };
    }
    unary_table!(op, all);
}

/// A binary operation, element by element.
#[inline(always)]
pub(super) fn binary(op: BinaryOp, a: &[f32], b: &[f32], out: &mut [f32]) {
    macro_rules! all {
        ($f:expr) => {
            map_pairs(a, b, out, $f)
        };
    }
    binary_table!(op, all);
}

/// Folds rows of the same length, each to a number.
#[inline(always)]
pub(super) fn reduce_rows(op: ReduceOp, from: &[f32], row: usize, out: &mut [f32]) {
    match op {
        ReduceOp::Sum => fold_rows(from, row, out, 0.0, |a, b| a + b),
        ReduceOp::Max => fold_rows(from, row, out, f32::NEG_INFINITY, larger),
        ReduceOp::Min => fold_rows(from, row, out, f32::INFINITY, smaller),
    }
}

/// Folds a part of a long row into `out`.
#[inline(always)]
pub(super) fn reduce_part(op: ReduceOp, from: &[f32], out: &mut f32) {
    match op {
        ReduceOp::Sum => fold_part(from, out, 0.0, |a, b| a + b),
        ReduceOp::Max => fold_part(from, out, f32::NEG_INFINITY, larger),
        ReduceOp::Min => fold_part(from, out, f32::INFINITY, smaller),
    }
}

/// Folds rows into one row of `partial`, and that into `out`.
#[inline(always)]
pub(super) fn reduce_columns(op: ReduceOp, from: &[f32], partial: &mut [f32], out: &mut [f32]) {
    partial.fill(neutral(op));
    match op {
        ReduceOp::Sum => fold_columns(from, partial, out, |a, b| a + b),
        ReduceOp::Max => fold_columns(from, partial, out, larger),
        ReduceOp::Min => fold_columns(from, partial, out, smaller),
    }
}

/// Reads iteration indices from `start` on, as f32.
#[inline(always)]
pub(super) fn load(access: &Access, from: &Buffer, start: usize, out: &mut [f32]) {
    match access.dtype {
        DType::F32 => gather(access, from.cells(), start, out, |word| word),
        DType::U32 => gather(access, from.cells(), start, out, |word| word.to_bits() as f32),
        DType::U8 => gather(access, from.byte_cells(), start, out, f32::from),
    }
}

/// Writes iteration indices from `start` on.
#[inline(always)]
pub(super) fn store(access: &Access, to: &Buffer, start: usize, values: &[f32]) {
    match access.dtype {
        DType::U32 => scatter(access, to.cells(), start, values, |x| f32::from_bits(x as u32)),
        DType::F32 | DType::U8 => scatter(access, to.cells(), start, values, |x| x),
    }
}

/// Elements of an access, each moved by its index times `stride`; an index of `limit` or more is the last.
#[inline(always)]
pub(super) fn take(
    access: &Access,
    [stride, limit]: [usize; 2],
    from: &Buffer,
    start: usize,
    index: &[f32],
    out: &mut [f32],
) {
    // A negative or NaN index becomes 0 by the conversion.
    let at = |index: f32| (index as usize).min(limit - 1) * stride;
    match access.dtype {
        DType::F32 => pick(access, from.cells(), start, index, out, at, |word| word),
        DType::U32 => pick(access, from.cells(), start, index, out, at, |word| word.to_bits() as f32),
        DType::U8 => pick(access, from.byte_cells(), start, index, out, at, f32::from),
    }
}

/// Defines functions that are calls in WASM and parts of their callers anywhere else.
macro_rules! apart {
    ($($function:item)*) => {
        $(
            #[cfg_attr(target_arch = "wasm32", inline(never))]
            #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
            $function
        )*
    };
}

apart! {
    fn map(a: &[f32], out: &mut [f32], f: impl Fn(f32) -> f32) {
        for (to, &x) in out.iter_mut().zip(a) {
            *to = f(x);
        }
    }

    fn map_pairs(a: &[f32], b: &[f32], out: &mut [f32], f: impl Fn(f32, f32) -> f32) {
        for ((to, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *to = f(a, b);
        }
    }

    /// `a` where the mask is not 0, else `b`.
    pub(super) fn select(mask: &[f32], a: &[f32], b: &[f32], out: &mut [f32]) {
        for (((to, &m), &a), &b) in out.iter_mut().zip(mask).zip(a).zip(b) {
            *to = if m != 0.0 { a } else { b };
        }
    }

    fn fold_rows(values: &[f32], row: usize, out: &mut [f32], start: f32, f: impl Fn(f32, f32) -> f32 + Copy) {
        for (row, to) in values.chunks_exact(row).zip(out) {
            *to = fold(row, start, f);
        }
    }

    fn fold_part(values: &[f32], out: &mut f32, start: f32, f: impl Fn(f32, f32) -> f32 + Copy) {
        *out = f(*out, fold(values, start, f));
    }

    fn fold_columns(from: &[f32], partial: &mut [f32], out: &mut [f32], f: impl Fn(f32, f32) -> f32) {
        for row in from.chunks_exact(partial.len()) {
            partial.iter_mut().zip(row).for_each(|(a, &b)| *a = f(*a, b));
        }
        out.iter_mut().zip(partial).for_each(|(a, b)| *a = f(*a, *b));
    }

    /// Number of each row's first maximum.
    pub(super) fn arg_max_rows(from: &[f32], row: usize, out: &mut [f32]) {
        for (values, to) in from.chunks_exact(row).zip(out) {
            let mut best = f32::NEG_INFINITY;
            *to = 0.0;
            for (k, &x) in values.iter().enumerate() {
                if x > best {
                    (best, *to) = (x, k as f32);
                }
            }
        }
    }

    /// Number of each column's first maximum, and the maximum, which may lie in earlier rows.
    pub(super) fn arg_max_columns(from: &[f32], columns: usize, index: usize, out: &mut [f32], best: &mut [f32]) {
        for (k, row) in from.chunks_exact(columns).enumerate() {
            for ((&x, to), best) in row.iter().zip(out.iter_mut()).zip(best.iter_mut()) {
                if x > *best {
                    (*best, *to) = (x, (index + k) as f32);
                }
            }
        }
    }

    /// Uniform numbers; the element numbers of an access count the draws, `rest` tells them from others'.
    pub(super) fn draw(access: &Access, start: usize, out: &mut [f32], key: [u32; 2], rest: [u32; 3]) {
        access.runs(start, out.len(), |position, element, stride, count| {
            for (k, to) in out[position..position + count].iter_mut().enumerate() {
                let counter = [(element + k * stride) as u32, rest[0], rest[1], rest[2]];
                *to = unit_f32(philox4x32(counter, key)[0]);
            }
        });
    }

    /// The element numbers of an access.
    pub(super) fn count(access: &Access, start: usize, out: &mut [f32]) {
        access.runs(start, out.len(), |position, element, stride, count| {
            for (k, to) in out[position..position + count].iter_mut().enumerate() {
                *to = (element + k * stride) as f32;
            }
        });
    }

    fn gather<T: Copy>(access: &Access, from: &[Cell<T>], start: usize, out: &mut [f32], convert: impl Fn(T) -> f32) {
        access.runs(start, out.len(), |position, element, stride, count| {
            let out = &mut out[position..position + count];
            match stride {
                1 => {
                    for (to, x) in out.iter_mut().zip(&from[element..element + count]) {
                        *to = convert(x.get());
                    }
                }
                0 => out.fill(convert(from[element].get())),
                _ => {
                    for (to, x) in out.iter_mut().zip(from[element..].iter().step_by(stride)) {
                        *to = convert(x.get());
                    }
                }
            }
        });
    }

    fn scatter(access: &Access, to: &[Cell<f32>], start: usize, values: &[f32], convert: impl Fn(f32) -> f32) {
        access.runs(start, values.len(), |position, element, stride, count| {
            let values = &values[position..position + count];
            match stride {
                1 => {
                    for (to, &x) in to[element..element + count].iter().zip(values) {
                        to.set(convert(x));
                    }
                }
                0 => {
                    if let Some(&x) = values.last() {
                        to[element].set(convert(x));
                    }
                }
                _ => {
                    for (to, &x) in to[element..].iter().step_by(stride).zip(values) {
                        to.set(convert(x));
                    }
                }
            }
        });
    }

    fn pick<T: Copy>(
        access: &Access,
        from: &[Cell<T>],
        start: usize,
        index: &[f32],
        out: &mut [f32],
        at: impl Fn(f32) -> usize,
        convert: impl Fn(T) -> f32,
    ) {
        access.runs(start, out.len(), |position, element, step, count| {
            let out = out[position..position + count].iter_mut().zip(&index[position..position + count]);
            out.enumerate().for_each(|(k, (to, &i))| *to = convert(from[element + k * step + at(i)].get()));
        });
    }
}

/// Sums and the like in a fixed order: [`LANES`] side by side, then halves.
#[inline(always)]
fn fold(values: &[f32], start: f32, f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = f(*lane, x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane = f(*lane, x);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for k in 0..width {
            lanes[k] = f(lanes[k], lanes[k + width]);
        }
        width /= 2;
    }
    lanes[0]
}
