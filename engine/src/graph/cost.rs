//! What a kernel costs: floating-point operations and bytes.

use super::plan::*;
use super::{DType, Op, numel};

/// Operations and bytes read and written. A function counts as one operation; a broadcast element is read once.
pub(super) fn of_kernel(kernel: &Kernel) -> (u64, u64) {
    match kernel {
        Kernel::Fused(fused) => {
            let (flop, bytes) = of_body(&fused.body, &fused.axes);
            (flop, bytes)
        }
        Kernel::Matmul(matmul) => {
            let axes = [&matmul.batch[..], &[matmul.m, matmul.n]].concat();
            let (flop, bytes) = of_body(&matmul.epilogue, &axes);
            let operand = |operand: &Operand, rows: usize, columns: usize| {
                let batch: usize =
                    matmul.batch.iter().zip(&operand.batch).map(|(&size, &s)| if s == 0 { 1 } else { size }).product();
                batch * rows * columns * operand.place.dtype.bytes()
            };
            let read = operand(&matmul.a, matmul.m, matmul.k) + operand(&matmul.b, matmul.k, matmul.n);
            (flop + 2 * (numel(&axes) * matmul.k) as u64, bytes + read as u64)
        }
        Kernel::Op(kernel) => {
            let (flop, bytes) = of_body(&kernel.epilogue, &kernel.shape);
            let read: usize = kernel.args.iter().map(|arg| numel(&arg.shape) * arg.place.dtype.bytes()).sum();
            let out = numel(&kernel.shape);
            let arg = |k: usize| kernel.args.get(k).map_or(0, |arg| numel(&arg.shape));
            let per_group = |shape: &[usize]| shape[1..].iter().product::<usize>();
            let own = match &kernel.op {
                Op::Conv2d(_) => 2 * out * kernel.args.get(1).map_or(0, |arg| per_group(&arg.shape)),
                Op::Conv2dInputGrad { .. } => 2 * arg(0) * kernel.args.get(1).map_or(0, |arg| per_group(&arg.shape)),
                Op::Conv2dKernelGrad(_) => 2 * arg(1) * per_group(&kernel.shape),
                Op::MaxPool2d(g) | Op::MaxPool2dIndex(g) => out * g.kernel[0] * g.kernel[1],
                _ => arg(1),
            };
            (flop + own as u64, bytes + read as u64)
        }
    }
}

fn of_body(body: &Body, axes: &[usize]) -> (u64, u64) {
    let elements = numel(axes);
    let arithmetic = body
        .code
        .iter()
        .filter(|instr| {
            matches!(
                instr,
                Instr::Unary(..)
                    | Instr::Binary(..)
                    | Instr::Select(..)
                    | Instr::Reduce(..)
                    | Instr::ArgMax(_)
                    | Instr::Random { .. }
            )
        })
        .count();
    let touched = |view: &View| {
        let count: usize = axes.iter().zip(&view.strides).map(|(&size, &s)| if s == 0 { 1 } else { size }).product();
        count * view.place.dtype.bytes()
    };
    let loads: usize = body
        .code
        .iter()
        .map(|instr| match instr {
            Instr::Load(load) => body.loads.get(*load as usize).map_or(0, touched),
            // Where the index leads is unknown: one element each.
            Instr::LoadAt { .. } => elements * DType::F32.bytes(),
            _ => 0,
        })
        .sum();
    let stores: usize = body.stores.iter().map(|store| touched(&store.view)).sum();
    ((elements * arithmetic) as u64, (loads + stores) as u64)
}
