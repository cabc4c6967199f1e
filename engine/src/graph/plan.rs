//! What executors run: a [`Program`](super::Program) after simplification, fusion and memory planning.
//!
//! A plan is data: a list of kernels over one arena and the program's inputs. Both executors run the same plan, so
//! a difference between them is a difference of kernels, never of fusion or memory.
//!
//! Three kernel kinds cover the operation set:
//! - [`Fused`]: elementwise chains and row programs. A row program reduces over trailing iteration axes and may use
//!   the reduced values again elementwise (softmax, layer norm, cross-entropy, their derivatives; column sums
//!   too, by iterating over permuted axes).
//! - [`Matmul`]: batched products of strided operands with an elementwise epilogue, and a row program over the rows of the
//!   result.
//! - [`OpKernel`]: what has its own access pattern (convolutions, pooling, scatter, top-k), on contiguous tensors.

use std::sync::Arc;

use super::{BinaryOp, DType, F32Bits, InputDecl, InputId, Op, ReduceOp, Shape, UnaryOp};

/// Memory a view lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    /// The plan's scratch memory; offsets in 4-byte words.
    Arena,
    /// A declared input: state, table or step input; offsets in its elements.
    Input(InputId),
    /// The row of the metrics ring that this run writes; offsets are columns.
    Metrics,
}

/// A place in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Which memory.
    pub space: Space,
    /// First element.
    pub offset: usize,
    /// Element type.
    pub dtype: DType,
}

/// A strided window onto a place, indexed by a kernel's iteration axes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// Where the element of index 0 is.
    pub place: Place,
    /// Elements to advance per iteration axis; 0 repeats (broadcast).
    pub strides: Vec<usize>,
}

impl View {
    /// Number of the last element that it reaches over these axes.
    #[must_use]
    pub fn last(&self, axes: &[usize]) -> usize {
        let along = axes.iter().zip(&self.strides).map(|(&size, &stride)| size.saturating_sub(1) * stride);
        self.place.offset + along.sum::<usize>()
    }
}

/// Result of an earlier instruction of the same body.
pub type Reg = u16;

/// One instruction; its position in [`Body::code`] is the register it defines. Registers hold f32 (u32 values are
/// converted on load and store; indices stay exact below 2^24).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Instr {
    /// Element of `loads[0]` at the iteration index.
    Load(u16),
    /// Element of a load at the iteration index plus `index * stride`, the index clamped to `0..limit`.
    LoadAt {
        /// Position in [`Body::loads`].
        load: u16,
        /// Register that holds the index.
        index: Reg,
        /// Elements to advance per index.
        stride: usize,
        /// Number of valid indices.
        limit: usize,
    },
    /// The product (matmul) or convolution result that an epilogue starts from.
    Accumulator,
    /// A number.
    Const(F32Bits),
    /// Index along an iteration axis.
    Coordinate(u16),
    /// Uniform in [0, 1) for the element whose row-major index is given by `strides` over the iteration axes
    /// (see [`Op::Random`]).
    Random {
        /// The key's place: u32 `[4]`, contiguous.
        key: Place,
        /// Stream of [`Op::Random`].
        stream: u32,
        /// Strides that give the element number.
        strides: [usize; 6],
    },
    /// Elementwise function.
    Unary(UnaryOp, Reg),
    /// Elementwise function.
    Binary(BinaryOp, Reg, Reg),
    /// `mask != 0 ? a : b`
    Select(Reg, Reg, Reg),
    /// Combination over the reduced axes; the same for the whole row.
    Reduce(ReduceOp, Reg),
    /// Number (0, 1, ... over the reduced axes) of the row's first maximum.
    ArgMax(Reg),
}

/// Writes a register.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    /// What is written.
    pub value: Reg,
    /// Where. Strides of reduced axes are 0 for a value that is the same for the whole row.
    pub view: View,
    /// One write a row (the value does not vary over the reduced axes) instead of one an element.
    pub per_row: bool,
}

/// Straight-line code over an iteration space.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Body {
    /// Memory that the code reads.
    pub loads: Vec<View>,
    /// Instructions in execution order.
    pub code: Vec<Instr>,
    /// Results.
    pub stores: Vec<Store>,
}

/// Elementwise or row program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fused {
    /// Sizes of the iteration axes, outermost first.
    pub axes: Shape,
    /// How many trailing axes are reduced over; 0 for an elementwise kernel.
    pub reduced: usize,
    /// What happens at each index.
    pub body: Body,
}

/// An operand of a matmul: `batch` axes, then rows, then columns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operand {
    /// Where it starts.
    pub place: Place,
    /// Elements to advance per batch axis.
    pub batch: Vec<usize>,
    /// Elements to advance per row.
    pub row: usize,
    /// Elements to advance per column.
    pub column: usize,
}

/// Batched product of `[m, k]` by `[k, n]`. The epilogue iterates over `batch ++ [m, n]`, the tail over rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Matmul {
    /// Sizes of the batch axes.
    pub batch: Shape,
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// Length of the inner products.
    pub k: usize,
    /// Left operand, `[m, k]`.
    pub a: Operand,
    /// Right operand, `[k, n]`.
    pub b: Operand,
    /// What happens to each element; begins with [`Instr::Accumulator`].
    pub epilogue: Body,
    /// A row program with a row for each of the result's, in the same order, which of the result reads that row alone: it
    /// follows as soon as the epilogue is done with the row.
    pub tail: Option<Fused>,
}

/// A contiguous tensor in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tensor {
    /// Where it starts.
    pub place: Place,
    /// Sizes of its axes.
    pub shape: Shape,
}

/// An operation with an access pattern of its own, on contiguous tensors: convolutions and their transposes,
/// pooling, scatter, top-k.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OpKernel {
    /// Which.
    pub op: Op,
    /// Arguments.
    pub args: Vec<Tensor>,
    /// Shape of the result that the epilogue iterates over.
    pub shape: Shape,
    /// What happens to each element of the result; begins with [`Instr::Accumulator`].
    pub epilogue: Body,
}

/// What a launch does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Elementwise or row program.
    Fused(Fused),
    /// Matrix product.
    Matmul(Matmul),
    /// Anything else.
    Op(OpKernel),
}

impl Kernel {
    /// Its straight-line code, without that of a tail.
    #[must_use]
    pub fn body(&self) -> &Body {
        match self {
            Kernel::Fused(fused) => &fused.body,
            Kernel::Matmul(matmul) => &matmul.epilogue,
            Kernel::Op(kernel) => &kernel.epilogue,
        }
    }

    /// What it does one after the other: itself, or a product and then its tail.
    #[must_use]
    pub fn parts(&self) -> Vec<Kernel> {
        let Kernel::Matmul(Matmul { tail: Some(tail), .. }) = self else { return vec![self.clone()] };
        let mut product = self.clone();
        if let Kernel::Matmul(product) = &mut product {
            product.tail = None;
        }
        vec![product, Kernel::Fused(tail.clone())]
    }

    /// Its kind and the sizes that it runs over, for people.
    #[must_use]
    pub fn what(&self) -> String {
        let by = |sizes: &[usize]| sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ");
        match self {
            Kernel::Fused(fused) => match fused.axes.split_at(fused.axes.len() - fused.reduced) {
                (outer, []) => format!("elementwise {}", by(outer)),
                ([], row) => format!("a row of {}", by(row)),
                (outer, row) => format!("{} rows of {}", by(outer), by(row)),
            },
            Kernel::Matmul(Matmul { batch, m, n, k, tail, .. }) => {
                let times = if batch.is_empty() { String::new() } else { format!("{} of ", by(batch)) };
                let rows = if tail.is_some() { ", and its rows" } else { "" };
                format!("product {times}{m} × {k} by {k} × {n}{rows}")
            }
            Kernel::Op(kernel) => {
                let name = format!("{:?}", kernel.op);
                let name = name.split([' ', '(', '{']).next().unwrap_or_default().to_ascii_lowercase();
                format!("{name} {}", by(&kernel.shape))
            }
        }
    }
}

/// A launch.
#[derive(Clone, Debug)]
pub struct Launch {
    /// What runs.
    pub kernel: Kernel,
    /// Modules or passes that it came from, for people.
    pub label: String,
    /// Floating-point operations.
    pub flop: u64,
    /// Bytes read and written.
    pub bytes: u64,
}

/// A program ready to run.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Launches in order.
    pub launches: Vec<Launch>,
    /// Inputs of the program; [`Space::Input`] refers to them.
    pub inputs: Vec<InputDecl>,
    /// First word of each step input in the words that a run is given (declaration order), `None` for states and
    /// tables.
    pub step_offsets: Vec<Option<usize>>,
    /// Words of step inputs a run is given.
    pub step_words: usize,
    /// Size of the arena in 4-byte words.
    pub arena_words: usize,
    /// Constant tensors: words that are copied into the arena, from the given word on, when the plan is prepared. No
    /// launch writes there.
    pub constants: Vec<(usize, Arc<[F32Bits]>)>,
    /// Columns of the metrics ring that the program writes.
    pub metrics: usize,
    /// Values kept for the host, by name; they stay in the arena until the next run.
    pub fetches: Vec<(String, Tensor)>,
}

impl Plan {
    /// Floating-point operations of a run.
    pub fn flop(&self) -> u64 {
        self.launches.iter().map(|launch| launch.flop).sum()
    }

    /// Bytes read and written by a run's kernels.
    pub fn traffic(&self) -> u64 {
        self.launches.iter().map(|launch| launch.bytes).sum()
    }

    /// Bytes of the arena and of all inputs: what the device must hold.
    pub fn peak_bytes(&self) -> u64 {
        let inputs = self.inputs.iter().map(|input| (super::numel(&input.shape) * input.dtype.bytes()) as u64);
        4 * self.arena_words as u64 + inputs.sum::<u64>()
    }
}

impl std::fmt::Display for Plan {
    /// A line a launch: number, kind, iteration space, instructions, memory traffic, work, label; totals at the end.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, launch) in self.launches.iter().enumerate() {
            let (what, body) = (launch.kernel.what(), launch.kernel.body());
            let Launch { label, flop, bytes, .. } = launch;
            let (loads, code, stores) = (body.loads.len(), body.code.len(), body.stores.len());
            writeln!(
                f,
                "{at:4}  {what:36} {loads:2} loads {code:3} instructions {stores:2} stores {bytes:10} B {flop:10} flop  {label}"
            )?;
        }
        write!(
            f,
            "{} launches, {} flop, {} B of traffic, arena {} B, peak {} B",
            self.launches.len(),
            self.flop(),
            self.traffic(),
            self.arena_words * 4,
            self.peak_bytes()
        )
    }
}
