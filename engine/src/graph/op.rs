//! The closed set of operations. Derivative rules (grad.rs, jvp.rs) emit only these; executors run only these.

use std::sync::Arc;

use super::{DType, Graph, InputId, NodeId, Shape};

/// f32 compared and hashed by its bits, so that operations can be hash-consed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct F32Bits(pub u32);

impl F32Bits {
    /// The number itself.
    pub fn get(self) -> f32 {
        f32::from_bits(self.0)
    }
}

impl From<f32> for F32Bits {
    fn from(value: f32) -> Self {
        F32Bits(value.to_bits())
    }
}

impl std::fmt::Debug for F32Bits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.get())
    }
}

/// Elementwise function of one f32 argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UnaryOp {
    /// `-x`
    Neg,
    /// `|x|`
    Abs,
    /// -1, 0 or 1
    Sign,
    /// `e^x`
    Exp,
    /// Natural logarithm.
    Log,
    /// Square root.
    Sqrt,
    /// `1 / sqrt(x)`
    Rsqrt,
    /// `1 / x`
    Recip,
    /// Hyperbolic tangent.
    Tanh,
    /// Gauss error function.
    Erf,
    /// Sine of radians.
    Sin,
    /// Cosine of radians.
    Cos,
    /// Largest integer not above x.
    Floor,
    /// `max(x, 0)`, and a NaN of a NaN; its derivative at 0 is 0.
    Relu,
    /// `1 / (1 + e^-x)`
    Sigmoid,
}

/// Elementwise function of two f32 arguments of the same shape. Comparisons yield 1.0 or 0.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BinaryOp {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`
    Div,
    /// Larger of the two; a NaN where one of them is.
    Max,
    /// Smaller of the two, likewise.
    Min,
    /// `a^b` for a >= 0 (WGSL's `pow` is NaN for a negative base).
    Pow,
    /// `a < b`
    Less,
    /// `a <= b`
    LessEqual,
    /// `a == b`
    Equal,
}

/// How a reduction combines elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReduceOp {
    /// Sum; 0 for nothing.
    Sum,
    /// Maximum. Of a row with a NaN it may be that of the other elements.
    Max,
    /// Minimum, likewise.
    Min,
}

/// Geometry of a 2-D convolution, NCHW input, OIHW kernel, zero padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConvGeometry {
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Step of the window, rows and columns.
    pub stride: [usize; 2],
    /// Zeros added on each side, rows and columns.
    pub padding: [usize; 2],
    /// Spacing of kernel taps.
    pub dilation: [usize; 2],
    /// Channel groups; each group's inputs feed that group's outputs only.
    pub groups: usize,
}

impl ConvGeometry {
    /// Output height and width for an input of `[height, width]`; `None` where the window does not fit.
    pub fn output(&self, input: [usize; 2]) -> Option<[usize; 2]> {
        let mut out = [0; 2];
        for axis in 0..2 {
            let window = self.dilation[axis] * self.kernel[axis].checked_sub(1)? + 1;
            let free = (input[axis] + 2 * self.padding[axis]).checked_sub(window)?;
            out[axis] = free / self.stride[axis].max(1) + 1;
        }
        Some(out)
    }
}

/// Geometry of a 2-D max pooling window; padded places never win.
pub type PoolGeometry = ConvGeometry;

/// What a custom backward pass computes: a graph whose inputs are the cotangent and then the node's arguments
/// after the first, and whose outputs are the cotangents of the first of those arguments in order. Arguments beyond are
/// read by the backward pass and get no cotangent.
#[derive(Clone, Debug)]
pub struct CustomBackward {
    /// Name for messages ("straight-through sign").
    pub name: String,
    /// The backward pass. Input 0 is the cotangent; input k is argument k.
    pub graph: Arc<Graph>,
    /// One node of `graph` per argument after the first that gets a cotangent.
    pub outputs: Vec<NodeId>,
}

impl PartialEq for CustomBackward {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.graph, &other.graph) && self.outputs == other.outputs
    }
}
impl Eq for CustomBackward {}
impl std::hash::Hash for CustomBackward {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.graph).hash(state);
        self.outputs.hash(state);
    }
}

/// One operation. Shapes are static; axes count from the outermost. Every reduction keeps its axes with size 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// Value of a declared input (state, table or step input).
    Input(InputId),
    /// The same number everywhere, of any shape.
    Const(F32Bits),
    /// Constant f32 tensor known when the graph is built (sinusoidal positions, a causal mask), row-major.
    Literal(Arc<[F32Bits]>),
    /// f32 index along `axis`: 0, 1, 2, ...
    Iota {
        /// The axis along which the value counts.
        axis: usize,
    },
    /// Uniform f32 in [0, 1): lane 0 of Philox4x32-10 with counter `[element, stream, key[2], key[3]]` and
    /// key `[key[0], key[1]]`, top 24 bits. Argument: the u32 key `[4]`, see [`crate::rng::step_key`].
    Random {
        /// Tells the graph's random values apart.
        stream: u32,
    },
    /// Elementwise function of one argument.
    Unary(UnaryOp),
    /// Elementwise function of two arguments of equal shape (broadcast explicitly).
    Binary(BinaryOp),
    /// `mask != 0 ? a : b`, arguments mask, a, b of equal shape.
    Select,
    /// Change of element type; f32 to u32 truncates and needs a value in range.
    Cast(DType),
    /// Reduction over `axes` (ascending), which stay with size 1.
    Reduce {
        /// How elements combine.
        op: ReduceOp,
        /// The axes that shrink to 1, ascending.
        axes: Vec<usize>,
    },
    /// u32 index of the first maximum along `axis`, which stays with size 1.
    ArgMax {
        /// The axis searched.
        axis: usize,
    },
    /// u32 indices of the `k` largest along the last axis, largest first, ties by lower index.
    TopK {
        /// How many.
        k: usize,
    },
    /// Batched product `[.., m, k] x [.., k, n]` with equal leading axes.
    Matmul,
    /// 2-D convolution: input `[b, c, h, w]`, kernel `[o, c / groups, kh, kw]`.
    Conv2d(ConvGeometry),
    /// Transpose of [`Op::Conv2d`] with respect to its input: arguments output cotangent, kernel; yields `[b, c, h, w]`.
    Conv2dInputGrad {
        /// Geometry of the forward convolution.
        geometry: ConvGeometry,
        /// Height and width of the forward input.
        input: [usize; 2],
    },
    /// Transpose of [`Op::Conv2d`] with respect to its kernel: arguments input, output cotangent.
    Conv2dKernelGrad(ConvGeometry),
    /// Maximum over windows of `[b, c, h, w]`.
    MaxPool2d(PoolGeometry),
    /// u32 flat index `y * w + x` of each window's first maximum.
    MaxPool2dIndex(PoolGeometry),
    /// Adds each window's value to the place its index names: arguments index, value; yields `[b, c, h, w]`.
    MaxPool2dScatter {
        /// Geometry of the forward pooling.
        geometry: PoolGeometry,
        /// Height and width of the forward input.
        input: [usize; 2],
    },
    /// `out[.., i, ..] = x[.., index[.., i, ..], ..]` along `axis`; index u32 of the output's shape.
    Gather {
        /// The axis indexed.
        axis: usize,
    },
    /// Transpose of [`Op::Gather`]: arguments index, value; sums values into an axis of `size`.
    ScatterAdd {
        /// The axis indexed.
        axis: usize,
        /// Size of that axis in the result.
        size: usize,
    },
    /// Rows of a table `[v, ..row]` by u32 index `[..i]`: result `[..i, ..row]`, f32 from a U8 table (0 to 255).
    TakeRows,
    /// Transpose of [`Op::TakeRows`]: arguments index `[..i]`, value `[..i, ..row]`; sums into `[rows, ..row]`.
    AddRows {
        /// Rows of the table.
        rows: usize,
    },
    /// Same elements, new shape.
    Reshape(Shape),
    /// Axis k of the result is axis `perm[k]` of the argument.
    Permute(Vec<usize>),
    /// Repeats axes of size 1 up to the given shape of the same rank.
    Broadcast(Shape),
    /// `start[k] .. start[k] + size[k]` of each axis, every `step[k]`-th.
    Slice {
        /// First index per axis.
        start: Vec<usize>,
        /// Elements kept per axis.
        size: Vec<usize>,
        /// Distance of kept elements per axis, at least 1.
        step: Vec<usize>,
    },
    /// Transpose of [`Op::Slice`]: places the argument into zeros of `shape`.
    Unslice {
        /// First index per axis.
        start: Vec<usize>,
        /// Distance of elements per axis.
        step: Vec<usize>,
        /// Shape of the result.
        shape: Shape,
    },
    /// The argument with `axes` (ascending) in reverse order.
    Flip {
        /// The axes that run backwards.
        axes: Vec<usize>,
    },
    /// Arguments after each other along `axis`.
    Concat {
        /// The axis that grows.
        axis: usize,
    },
    /// The argument, through which no derivative flows.
    StopGradient,
    /// Value of the first argument; the backward pass is the given graph over the others (straight-through estimators,
    /// sampled backward passes, quantised saved tensors).
    CustomVjp(CustomBackward),
}

/// Pattern of the operations through which no derivative flows: sources, what is flat wherever it has a slope, and the end
/// of a gradient. A pattern, so that the rules of reverse and forward mode are checked to miss no other operation.
macro_rules! flat {
    () => {
        Op::Input(_)
            | Op::Const(_)
            | Op::Literal(_)
            | Op::Iota { .. }
            | Op::Random { .. }
            | Op::Cast(_)
            | Op::ArgMax { .. }
            | Op::TopK { .. }
            | Op::MaxPool2dIndex(_)
            | Op::StopGradient
    };
}
pub(super) use flat;
