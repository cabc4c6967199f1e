//! What a kernel costs: floating-point operations and bytes. Counted in 64 bits: a large product has more of them than 32 can tell.

use super::plan::*;
use super::{DType, Op};

fn numel(shape: &[usize]) -> u64 {
    super::numel(shape) as u64
}

/// Elements that a view touches of its memory.
fn touched(axes: &[usize], strides: &[usize]) -> u64 {
    axes.iter().zip(strides).filter(|(_, stride)| **stride != 0).map(|(&size, _)| size as u64).product()
}

fn bytes(place: &Place) -> u64 {
    place.dtype.bytes() as u64
}

/// Operations and bytes read and written. A function counts as one operation; a broadcast element is read once.
pub(super) fn of_kernel(kernel: &Kernel) -> (u64, u64) {
    match kernel {
        Kernel::Fused(fused) => of_body(&fused.body, &fused.axes),
        Kernel::Matmul(matmul) => {
            let axes = [&matmul.batch[..], &[matmul.m, matmul.n]].concat();
            let (flop, bytes) = of_body(&matmul.epilogue, &axes);
            let operand = |operand: &Operand, rows: usize| {
                touched(&matmul.batch, &operand.batch) * (rows * matmul.k) as u64 * self::bytes(&operand.place)
            };
            let read = operand(&matmul.a, matmul.m) + operand(&matmul.b, matmul.n);
            (flop + 2 * numel(&axes) * matmul.k as u64, bytes + read)
        }
        Kernel::Op(kernel) => {
            let (flop, bytes) = of_body(&kernel.epilogue, &kernel.shape);
            let read: u64 = kernel.args.iter().map(|arg| numel(&arg.shape) * self::bytes(&arg.place)).sum();
            let out = numel(&kernel.shape);
            let arg = |k: usize| kernel.args.get(k).map_or(0, |arg| numel(&arg.shape));
            let per_group = |shape: &[usize]| numel(&shape[1..]);
            let own = match &kernel.op {
                Op::Conv2d(_) => 2 * out * kernel.args.get(1).map_or(0, |arg| per_group(&arg.shape)),
                Op::Conv2dInputGrad { .. } => 2 * arg(0) * kernel.args.get(1).map_or(0, |arg| per_group(&arg.shape)),
                Op::Conv2dKernelGrad(_) => 2 * arg(1) * per_group(&kernel.shape),
                Op::MaxPool2d(g) | Op::MaxPool2dIndex(g) => out * numel(&g.kernel),
                _ => arg(1),
            };
            (flop + own, bytes + read)
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
    let touched = |view: &View| touched(axes, &view.strides) * bytes(&view.place);
    let loads: u64 = body
        .code
        .iter()
        .map(|instr| match instr {
            Instr::Load(load) => body.loads.get(*load as usize).map_or(0, touched),
            // Where the index leads is unknown: one element each.
            Instr::LoadAt { .. } => elements * DType::F32.bytes() as u64,
            _ => 0,
        })
        .sum();
    let stores: u64 = body.stores.iter().map(|store| touched(&store.view)).sum();
    (elements * arithmetic as u64, loads + stores)
}
