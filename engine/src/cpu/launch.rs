//! Launches made ready, part by part: places resolved once. That they lie within memory has been checked of the whole plan
//! ([`Plan::out_of_bounds`](crate::graph::plan::Plan::out_of_bounds)), so that running them can neither fail nor leave it.

use std::ops::Range;

use super::cut::Cut;
use super::memory::{Access, Buffer};
use super::product::{self, Matrix, Target};
use super::scratch::Scratch;
use super::special::{Argument, Special};
use super::tile::{Bench, Code, Resolve};
use crate::executor::ExecError;
use crate::graph::plan::{Body, Instr, Kernel, Matmul, Operand, Tensor, View};
use crate::graph::{DType, is_op_kernel};

/// Elements of a product that are computed before its epilogue runs over them: they stay in the second-level cache.
const BLOCK: usize = 32 * 1024;

/// A launch, or a part of one, made ready.
pub(super) struct Prepared {
    label: String,
    kernel: Ready,
    /// In how many units it can be shared out: any share has the same result.
    pub units: usize,
    /// What a thread does for a unit, roughly in quarters of a nanosecond.
    pub cost: usize,
    /// Everything it writes as f32, for diagnosis: accesses and their number of elements.
    written: Vec<(Access, usize)>,
}

enum Ready {
    Fused(Code),
    Matmul(Product),
    Special { special: Special, code: Code },
}

/// One matrix of a batch.
#[derive(Clone, Debug)]
struct Side {
    buffer: usize,
    offset: usize,
    batch: Vec<usize>,
    strides: (usize, usize),
}

struct Product {
    batch: Vec<usize>,
    size: [usize; 3],
    a: Side,
    b: Side,
    /// Where the product goes when there is nothing else to do with it.
    out: Option<Side>,
    code: Code,
}

/// The place to which a body does nothing but store its accumulator.
fn plain_store(body: &Body) -> Option<&View> {
    match (&body.code[..], &body.stores[..]) {
        ([Instr::Accumulator], [store]) if store.view.place.dtype == DType::F32 => Some(&store.view),
        _ => None,
    }
}

impl Product {
    fn new(matmul: &Matmul, resolve: Resolve<'_>) -> Self {
        let rank = matmul.batch.len();
        let side = |operand: &Operand| {
            let (buffer, offset) = resolve(&operand.place);
            Side { buffer, offset, batch: operand.batch.clone(), strides: (operand.row, operand.column) }
        };
        let axes = [&matmul.batch[..], &[matmul.m, matmul.n]].concat();
        let out = plain_store(&matmul.epilogue).map(|view| {
            let (buffer, offset) = resolve(&view.place);
            let batch = view.strides[..rank].to_vec();
            Side { buffer, offset, batch, strides: (view.strides[rank], view.strides[rank + 1]) }
        });
        Product {
            batch: matmul.batch.clone(),
            size: [matmul.m, matmul.n, matmul.k],
            a: side(&matmul.a),
            b: side(&matmul.b),
            out,
            code: Code::new(&matmul.epilogue, &axes, 0, resolve),
        }
    }

    /// Rows that are computed before the epilogue runs over them.
    fn rows(&self) -> usize {
        let [m, n, _] = self.size;
        (BLOCK / n).clamp(1, m)
    }

    /// How the rows of a matrix of the batch may be shared out.
    fn cut(&self) -> Cut {
        Cut { length: self.size[0], unit: product::band(self.size) }
    }

    /// First element of a matrix of the batch.
    fn start(&self, side: &Side, item: usize) -> usize {
        let mut rest = item;
        let mut at = side.offset;
        for (&n, &stride) in self.batch.iter().zip(&side.batch).rev() {
            at += rest % n * stride;
            rest /= n;
        }
        at
    }

    /// Computes units of rows, which all matrices of the batch count together.
    fn run(&self, units: Range<usize>, buffers: &[Buffer], scratch: &mut Scratch) {
        let cut = self.cut();
        let each = cut.count();
        for item in units.start / each..units.end.div_ceil(each) {
            let [first, end] =
                [units.start, units.end].map(|unit| unit.clamp(item * each, (item + 1) * each) - item * each);
            self.run_rows(item, cut.range(first..end), buffers, scratch);
        }
    }

    /// Computes rows of a matrix of the batch.
    fn run_rows(&self, item: usize, rows: Range<usize>, buffers: &[Buffer], scratch: &mut Scratch) {
        let [m, n, _] = self.size;
        let Scratch { registers, accumulator, packed, .. } = scratch;
        // SAFETY: every element of the three matrices was found inside its buffer (`Plan::out_of_bounds`), and buffers
        // keep their size from then on (`begin`); `reserve` made room for what is packed.
        let mut product = unsafe {
            let matrix = |side: &Side| {
                let at = buffers[side.buffer].start().add(self.start(side, item));
                Matrix { at, row: side.strides.0, column: side.strides.1 }
            };
            product::Product::new(self.size, matrix(&self.a), matrix(&self.b), packed)
        };
        if let Some(out) = &self.out {
            // SAFETY: as above. Plans never write where a kernel reads, and no other share has these rows.
            unsafe {
                let at = buffers[out.buffer].start().add(self.start(out, item) + rows.start * out.strides.0);
                product.rows(rows.start, rows.len(), Target { at, row: out.strides.0, column: out.strides.1 }, false);
            }
            return;
        }
        if rows.len() >= self.rows() + self.cut().unit {
            product.in_parts();
        }
        let mut first = rows.start;
        while first < rows.end {
            // Too few for a share go with those before.
            let left = rows.end - first;
            let here = if left < self.rows() + self.cut().unit { left } else { self.rows() };
            let to = Target { at: accumulator.as_mut_ptr(), row: n, column: 1 };
            // SAFETY: `reserve` made the accumulator large enough.
            unsafe { product.rows(first, here, to, false) };
            let mut bench = Bench { buffers, registers, accumulator };
            self.code.run_range((item * m + first) * n, here * n, &mut bench);
            first += here;
        }
    }
}

impl Ready {
    fn units(&self) -> usize {
        match self {
            Ready::Fused(code) => code.cut().count(),
            Ready::Matmul(product) => product.batch.iter().product::<usize>() * product.cut().count(),
            Ready::Special { special, .. } => special.cut().count(),
        }
    }

    fn cost(&self) -> usize {
        match self {
            Ready::Fused(code) => code.cut().unit * code.cost(),
            Ready::Matmul(product @ Product { size: [_, n, k], code, out, .. }) => {
                let epilogue = if out.is_some() { 0 } else { code.cost() };
                product.cut().unit * n * (k / 2 + epilogue)
            }
            Ready::Special { special, code } => {
                special.cut().unit * (special.cost() + special.item_words() * code.cost())
            }
        }
    }
}

impl Prepared {
    /// Resolves a kernel, but for the tail of a product.
    pub fn new(kernel: &Kernel, label: &str, resolve: Resolve<'_>) -> Result<Self, ExecError> {
        let (body, axes, kernel) = match kernel {
            Kernel::Fused(fused) => {
                let code = Code::new(&fused.body, &fused.axes, fused.reduced, resolve);
                (&fused.body, fused.axes.clone(), Ready::Fused(code))
            }
            Kernel::Matmul(matmul) => {
                let axes = [&matmul.batch[..], &[matmul.m, matmul.n]].concat();
                (&matmul.epilogue, axes, Ready::Matmul(Product::new(matmul, resolve)))
            }
            Kernel::Op(kernel) => {
                let argument = |arg: &Tensor| {
                    let (buffer, offset) = resolve(&arg.place);
                    Argument { buffer, offset, shape: arg.shape.clone() }
                };
                let (op, args) = (kernel.op.clone(), kernel.args.iter().map(argument).collect());
                if !is_op_kernel(&op) || kernel.args.iter().any(|arg| arg.place.dtype == DType::U8) {
                    return Err(ExecError::Device(format!("{label}: no kernel for {op:?}")));
                }
                let special = Special { op, args, shape: kernel.shape.clone() };
                let code = Code::new(&kernel.epilogue, &kernel.shape, 0, resolve);
                (&kernel.epilogue, kernel.shape.clone(), Ready::Special { special, code })
            }
        };
        if axes.len() > Access::MAX_AXES {
            return Err(ExecError::Limit(format!("{label}: {} axes", axes.len())));
        }
        let written = body
            .stores
            .iter()
            .filter(|store| store.view.place.dtype == DType::F32)
            .map(|store| {
                let (buffer, offset) = resolve(&store.view.place);
                let axes: Vec<usize> =
                    axes.iter().zip(&store.view.strides).map(|(&n, &stride)| if stride == 0 { 1 } else { n }).collect();
                let access = Access::new(buffer, offset, DType::F32, &axes, &store.view.strides);
                (access, axes.iter().product())
            })
            .collect();
        let (units, cost) = (kernel.units(), kernel.cost());
        Ok(Prepared { label: label.to_owned(), kernel, units, cost, written })
    }

    /// What people call it.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Makes room for what the launch needs beside its plan's memory.
    pub fn reserve(&self, scratch: &mut Scratch) {
        let Scratch { registers, accumulator, unfolded, packed } = scratch;
        let grow = |words: &mut Vec<f32>, size: usize| words.resize(words.len().max(size), 0.0);
        match &self.kernel {
            Ready::Fused(code) => registers.reserve(code),
            Ready::Matmul(product) => {
                registers.reserve(&product.code);
                let [m, n, _] = product.size;
                grow(accumulator, m.min(product.rows() + product.cut().unit) * n);
                grow(packed, product::room(product.size));
            }
            Ready::Special { special, code } => {
                registers.reserve(code);
                grow(accumulator, special.at_once(special.cut().length) * special.item_words());
                grow(unfolded, special.scratch());
                grow(packed, special.packed());
            }
        }
    }

    /// Into how many shares so many threads divide it at most.
    pub fn shares(&self, threads: usize) -> usize {
        match &self.kernel {
            // Whoever has a share of a matrix's rows lays out the other matrix for itself.
            Ready::Matmul(product) if product.batch.iter().product::<usize>() < threads => threads,
            // Uneven shares, and threads that begin late, even out.
            _ => 4 * threads,
        }
    }

    /// Runs a share of it.
    pub fn run(&self, units: Range<usize>, buffers: &[Buffer], scratch: &mut Scratch) {
        match &self.kernel {
            Ready::Fused(code) => {
                let elements = code.cut().range(units);
                let Scratch { registers, accumulator, .. } = scratch;
                code.run_range(elements.start, elements.len(), &mut Bench { buffers, registers, accumulator });
            }
            Ready::Matmul(product) => product.run(units, buffers, scratch),
            Ready::Special { special, code } => {
                let words = special.item_words();
                let items = special.cut().range(units);
                let at_once = special.at_once(items.len());
                for first in items.step_by(at_once) {
                    special.compute(first..first + at_once, buffers, scratch);
                    let Scratch { registers, accumulator, .. } = scratch;
                    code.run_range(first * words, at_once * words, &mut Bench { buffers, registers, accumulator });
                }
            }
        }
    }

    /// Is everything that it wrote a finite number?
    pub fn wrote_finite(&self, buffers: &[Buffer]) -> bool {
        self.written.iter().all(|(access, count)| {
            let words = buffers[access.buffer].cells();
            let mut finite = true;
            access.runs(0, *count, |_, element, stride, count| {
                finite &= (0..count).all(|k| words[element + k * stride].get().is_finite());
            });
            finite
        })
    }
}
