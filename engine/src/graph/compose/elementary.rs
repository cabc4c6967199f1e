//! Rounding, powers, inverse trigonometric and hyperbolic functions, normal draws.

use std::f32::consts::{FRAC_PI_2, FRAC_PI_4, PI, TAU};
use std::sync::Arc;

use super::*;

/// Largest whole exponent for which products are cheaper than a logarithm and an exponential.
const FEW_FACTORS: f32 = 16.0;

impl Graph {
    /// Smallest integer not below x; flat.
    pub fn ceil(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let negative = self.neg(x)?;
        let below = self.unary(UnaryOp::Floor, negative)?;
        self.neg(below)
    }

    /// The integer next to x on the side of 0; flat.
    pub fn trunc(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let size = self.unary(UnaryOp::Abs, x)?;
        let below = self.unary(UnaryOp::Floor, size)?;
        let below = self.stop_gradient(below);
        let sign = self.unary(UnaryOp::Sign, x)?;
        self.mul(sign, below)
    }

    /// The nearest integer, of two the even one; flat.
    pub fn round(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let below = self.unary(UnaryOp::Floor, x)?;
        let rest = self.sub(x, below)?;
        let halved = self.scale(below, 0.5)?;
        let even = self.unary(UnaryOp::Floor, halved)?;
        let even = self.scale(even, 2.0)?;
        let odd = self.sub(below, even)?;
        let half = self.constant(0.5, &[]);
        let above = self.binary(BinaryOp::Less, half, rest)?;
        let tied = self.binary(BinaryOp::Equal, half, rest)?;
        let tied = self.mul(tied, odd)?;
        let up = self.add(above, tied)?;
        self.add(below, up)
    }

    /// `a - b floor(a / b)`: what is left of a after whole multiples of b, with the sign of b.
    pub fn remainder(&mut self, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        let quotient = self.div(a, b)?;
        let whole = self.unary(UnaryOp::Floor, quotient)?;
        let multiple = self.mul(b, whole)?;
        self.sub(a, multiple)
    }

    /// `floor(a / b)` of whole numbers below 2^22, exact however the division rounds.
    pub fn whole_floor_div(&mut self, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        let sign = self.unary(UnaryOp::Sign, b)?;
        let size = self.unary(UnaryOp::Abs, b)?;
        let a = self.mul(a, sign)?;
        let middle = self.add_scalar(a, 0.5)?;
        let quotient = self.div(middle, size)?;
        self.unary(UnaryOp::Floor, quotient)
    }

    /// `a / b` of whole numbers below 2^22, rounded towards 0.
    pub fn whole_div(&mut self, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        let (size_a, size_b) = (self.unary(UnaryOp::Abs, a)?, self.unary(UnaryOp::Abs, b)?);
        let quotient = self.whole_floor_div(size_a, size_b)?;
        let (sign_a, sign_b) = (self.unary(UnaryOp::Sign, a)?, self.unary(UnaryOp::Sign, b)?);
        let sign = self.mul(sign_a, sign_b)?;
        self.mul(quotient, sign)
    }

    /// `x^exponent` of any x where the exponent is whole, else of `x >= 0`.
    pub fn power(&mut self, x: NodeId, exponent: f32) -> Result<NodeId, GraphError> {
        let shape = self.shape(x).to_vec();
        if exponent == 0.5 {
            return self.unary(UnaryOp::Sqrt, x);
        }
        if exponent == -0.5 {
            return self.unary(UnaryOp::Rsqrt, x);
        }
        if exponent.floor() != exponent {
            let exponent = self.constant(exponent, &shape);
            return self.binary(BinaryOp::Pow, x, exponent);
        }
        let size = exponent.abs();
        let y = if size == 0.0 {
            self.constant(1.0, &shape)
        } else if size <= FEW_FACTORS {
            self.product(x, size as usize)?
        } else {
            let base = self.unary(UnaryOp::Abs, x)?;
            let power = self.constant(size, &shape);
            let y = self.binary(BinaryOp::Pow, base, power)?;
            if size % 2.0 == 0.0 {
                y
            } else {
                let sign = self.unary(UnaryOp::Sign, x)?;
                self.mul(sign, y)?
            }
        };
        if exponent < 0.0 { self.unary(UnaryOp::Recip, y) } else { Ok(y) }
    }

    /// `x^count` by squaring.
    fn product(&mut self, x: NodeId, count: usize) -> Result<NodeId, GraphError> {
        let (mut square, mut left) = (x, count);
        let mut y = None;
        loop {
            if left % 2 == 1 {
                y = Some(match y {
                    Some(y) => self.mul(y, square)?,
                    None => square,
                });
            }
            left /= 2;
            match y {
                Some(y) if left == 0 => return Ok(y),
                _ => square = self.mul(square, square)?,
            }
        }
    }

    /// `a^b`; a negative base needs a whole exponent, else the result is NaN.
    pub fn signed_power(&mut self, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        let zero = self.constant(0.0, &[]);
        let one = self.constant(1.0, &[]);
        let negative = self.binary(BinaryOp::Less, a, zero)?;
        let below = self.unary(UnaryOp::Floor, b)?;
        let whole = self.binary(BinaryOp::Equal, b, below)?;
        let mirrored = self.mul(negative, whole)?;
        let size = self.unary(UnaryOp::Abs, a)?;
        let size = self.select(mirrored, size, one)?;
        let size = self.binary(BinaryOp::Pow, size, b)?;
        let halved = self.scale(below, 0.5)?;
        let even = self.unary(UnaryOp::Floor, halved)?;
        let odd = self.binary(BinaryOp::Less, even, halved)?;
        let turned = self.neg(size)?;
        let size = self.select(odd, turned, size)?;
        // The other power must not see the bases that are mirrored: its slope there is NaN.
        let base = self.select(mirrored, one, a)?;
        let plain = self.binary(BinaryOp::Pow, base, b)?;
        self.select(mirrored, size, plain)
    }

    /// `ln(1 + x)`, precise near 0, where it is `2 artanh(x / (2 + x))` by its series. (Kahan's correction of `1 + x` does
    /// not survive the compilers of GPU drivers.)
    pub fn log1p(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let above = self.add_scalar(x, 1.0)?;
        let far = self.unary(UnaryOp::Log, above)?;
        let below = self.add_scalar(x, 2.0)?;
        let ratio = self.div(x, below)?;
        let square = self.mul(ratio, ratio)?;
        let mut series = self.constant(1.0 / 9.0, &[]);
        for coefficient in [1.0 / 7.0, 0.2, 1.0 / 3.0, 1.0] {
            series = self.mul(series, square)?;
            series = self.add_scalar(series, coefficient)?;
        }
        let twice = self.scale(ratio, 2.0)?;
        let near = self.mul(twice, series)?;
        let size = self.unary(UnaryOp::Abs, x)?;
        let bound = self.constant(0.25, &[]);
        let close = self.binary(BinaryOp::Less, size, bound)?;
        let y = self.select(close, near, far)?;
        self.with_slope("log1p", y, x, |graph, x| {
            let above = graph.add_scalar(x, 1.0)?;
            graph.unary(UnaryOp::Recip, above)
        })
    }

    /// Tangent of radians.
    pub fn tan(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let (sine, cosine) = (self.unary(UnaryOp::Sin, x)?, self.unary(UnaryOp::Cos, x)?);
        self.div(sine, cosine)
    }

    /// `(e^x + e^-x) / 2`
    pub fn cosh(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let negative = self.neg(x)?;
        let (up, down) = (self.unary(UnaryOp::Exp, x)?, self.unary(UnaryOp::Exp, negative)?);
        let sum = self.add(up, down)?;
        self.scale(sum, 0.5)
    }

    /// `(e^x - e^-x) / 2`, near 0 by the hyperbolic tangent of half the argument, where that difference would cancel.
    pub fn sinh(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let negative = self.neg(x)?;
        let (up, down) = (self.unary(UnaryOp::Exp, x)?, self.unary(UnaryOp::Exp, negative)?);
        let far = self.sub(up, down)?;
        let far = self.scale(far, 0.5)?;
        let half = self.scale(x, 0.5)?;
        let tanh = self.unary(UnaryOp::Tanh, half)?;
        let square = self.mul(tanh, tanh)?;
        let one = self.constant(1.0, &[]);
        let rest = self.sub(one, square)?;
        let twice = self.scale(tanh, 2.0)?;
        let near = self.div(twice, rest)?;
        let size = self.unary(UnaryOp::Abs, x)?;
        let close = self.binary(BinaryOp::Less, size, one)?;
        let y = self.select(close, near, far)?;
        self.with_slope("sinh", y, x, |graph, x| graph.cosh(x))
    }

    /// Inverse of [`Graph::sinh`].
    pub fn asinh(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let size = self.unary(UnaryOp::Abs, x)?;
        let square = self.mul(x, x)?;
        let above = self.add_scalar(square, 1.0)?;
        let root = self.unary(UnaryOp::Sqrt, above)?;
        let root = self.add_scalar(root, 1.0)?;
        let part = self.div(square, root)?;
        let sum = self.add(size, part)?;
        let log = self.log1p(sum)?;
        let sign = self.unary(UnaryOp::Sign, x)?;
        let y = self.mul(sign, log)?;
        self.with_slope("asinh", y, x, |graph, x| {
            let square = graph.mul(x, x)?;
            let above = graph.add_scalar(square, 1.0)?;
            graph.unary(UnaryOp::Rsqrt, above)
        })
    }

    /// Inverse of [`Graph::cosh`] for `x >= 1`.
    pub fn acosh(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let square = self.mul(x, x)?;
        let below = self.add_scalar(square, -1.0)?;
        let root = self.unary(UnaryOp::Sqrt, below)?;
        let sum = self.add(x, root)?;
        self.unary(UnaryOp::Log, sum)
    }

    /// Inverse hyperbolic tangent.
    pub fn atanh(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let negative = self.neg(x)?;
        let (up, down) = (self.log1p(x)?, self.log1p(negative)?);
        let difference = self.sub(up, down)?;
        self.scale(difference, 0.5)
    }

    /// Inverse tangent, to 2e-7. Polynomial as in Cephes (Moshier), after two reductions of the argument.
    pub fn atan(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let (zero, one) = (self.constant(0.0, &[]), self.constant(1.0, &[]));
        let size = self.unary(UnaryOp::Abs, x)?;
        // atan a = pi/2 + atan(-1/a) beyond tan(3 pi/8), pi/4 + atan((a - 1)/(a + 1)) beyond tan(pi/8).
        let (far, middle) = (self.constant(2.414_213_6, &[]), self.constant(0.414_213_57, &[]));
        let far = self.binary(BinaryOp::Less, far, size)?;
        let middle = self.binary(BinaryOp::Less, middle, size)?;
        let (less, more) = (self.add_scalar(size, -1.0)?, self.add_scalar(size, 1.0)?);
        let minus = self.constant(-1.0, &[]);
        let above = self.select(middle, less, size)?;
        let above = self.select(far, minus, above)?;
        let below = self.select(middle, more, one)?;
        let below = self.select(far, size, below)?;
        let t = self.div(above, below)?;
        let square = self.mul(t, t)?;
        let mut p = self.constant(8.053_744_5e-2, &[]);
        for coefficient in [-0.138_776_86, 0.199_777_1, -0.333_329_5] {
            p = self.mul(p, square)?;
            p = self.add_scalar(p, coefficient)?;
        }
        let cube = self.mul(square, t)?;
        let p = self.mul(p, cube)?;
        let near = self.add(p, t)?;
        let (quarter, half) = (self.constant(FRAC_PI_4, &[]), self.constant(FRAC_PI_2, &[]));
        let start = self.select(middle, quarter, zero)?;
        let start = self.select(far, half, start)?;
        let angle = self.add(start, near)?;
        let sign = self.unary(UnaryOp::Sign, x)?;
        let y = self.mul(sign, angle)?;
        self.with_slope("atan", y, x, |graph, x| {
            let square = graph.mul(x, x)?;
            let above = graph.add_scalar(square, 1.0)?;
            graph.unary(UnaryOp::Recip, above)
        })
    }

    /// Angle of the point (x, y), in -pi to pi; 0 at the origin.
    pub fn atan2(&mut self, y: NodeId, x: NodeId) -> Result<NodeId, GraphError> {
        let (zero, one) = (self.constant(0.0, &[]), self.constant(1.0, &[]));
        let upright = self.binary(BinaryOp::Equal, x, zero)?;
        let behind = self.binary(BinaryOp::Less, x, zero)?;
        let below = self.binary(BinaryOp::Less, y, zero)?;
        let safe = self.select(upright, one, x)?;
        let ratio = self.div(y, safe)?;
        let angle = self.atan(ratio)?;
        let (up, down) = (self.constant(PI, &[]), self.constant(-PI, &[]));
        let turn = self.select(below, down, up)?;
        let turn = self.select(behind, turn, zero)?;
        let angle = self.add(angle, turn)?;
        let sign = self.unary(UnaryOp::Sign, y)?;
        let edge = self.scale(sign, FRAC_PI_2)?;
        let value = self.select(upright, edge, angle)?;
        let shape = self.shape(value).to_vec();
        let (y, x) = (self.broadcast_to(y, &shape)?, self.broadcast_to(x, &shape)?);
        let mut backward = Graph::new();
        let [g, by, bx] = ["g", "y", "x"].map(|name| backward.input(name, &shape, DType::F32, InputKind::Step));
        let (g, by, bx) = (g?, by?, bx?);
        let (xx, yy) = (backward.mul(bx, bx)?, backward.mul(by, by)?);
        let square = backward.add(xx, yy)?;
        let part = backward.div(g, square)?;
        let dy = backward.mul(part, bx)?;
        let dx = backward.mul(part, by)?;
        let dx = backward.neg(dx)?;
        let backward = CustomBackward { name: "atan2".into(), graph: backward.into(), outputs: vec![dy, dx] };
        self.custom_vjp(value, &[y, x], backward)
    }

    /// Inverse sine.
    pub fn asin(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let square = self.mul(x, x)?;
        let one = self.constant(1.0, &[]);
        let rest = self.sub(one, square)?;
        let other = self.unary(UnaryOp::Sqrt, rest)?;
        let y = self.atan2(x, other)?;
        self.with_slope("asin", y, x, |graph, x| {
            let square = graph.mul(x, x)?;
            let one = graph.constant(1.0, &[]);
            let rest = graph.sub(one, square)?;
            graph.unary(UnaryOp::Rsqrt, rest)
        })
    }

    /// Inverse cosine.
    pub fn acos(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let asin = self.asin(x)?;
        let quarter = self.constant(FRAC_PI_2, &[]);
        self.sub(quarter, asin)
    }

    /// `a` and `b` in the proportion `share : 1 - share`.
    pub fn blend(&mut self, share: NodeId, a: NodeId, b: NodeId) -> Result<NodeId, GraphError> {
        let difference = self.sub(a, b)?;
        let part = self.mul(share, difference)?;
        self.add(b, part)
    }

    /// `ln(e^0 + e^x)`, without overflow.
    pub fn softplus(&mut self, x: NodeId) -> Result<NodeId, GraphError> {
        let size = self.unary(UnaryOp::Abs, x)?;
        let size = self.neg(size)?;
        let small = self.unary(UnaryOp::Exp, size)?;
        let rest = self.log1p(small)?;
        let above = self.unary(UnaryOp::Relu, x)?;
        let y = self.add(above, rest)?;
        self.with_slope("softplus", y, x, |graph, x| graph.unary(UnaryOp::Sigmoid, x))
    }

    /// Standard normal values of `shape` from streams `stream` and `stream + 1` of [`Op::Random`], by Box and Muller.
    /// Uniforms of 24 bits reach 5.77 standard deviations; the cosine and the logarithm are those of the executor, so
    /// executors agree to about 1e-6 and not bit for bit.
    pub fn normal(&mut self, key: NodeId, stream: u32, shape: &[usize]) -> Result<NodeId, GraphError> {
        let u = self.random(key, stream, shape)?;
        let v = self.random(key, stream + 1, shape)?;
        let one = self.constant(1.0, &[]);
        // In (0, 1]: the logarithm is finite.
        let rest = self.sub(one, u)?;
        let log = self.unary(UnaryOp::Log, rest)?;
        let square = self.scale(log, -2.0)?;
        let radius = self.unary(UnaryOp::Sqrt, square)?;
        let angle = self.scale(v, TAU)?;
        let cosine = self.unary(UnaryOp::Cos, angle)?;
        self.mul(radius, cosine)
    }

    /// `value`, an elementwise function of `x`, with the slope that `slope` builds of x.
    fn with_slope(
        &mut self,
        name: &str,
        value: NodeId,
        x: NodeId,
        slope: impl Fn(&mut Graph, NodeId) -> Result<NodeId, GraphError>,
    ) -> Result<NodeId, GraphError> {
        let shape = self.shape(x).to_vec();
        let mut backward = Graph::new();
        let g = backward.input("g", &shape, DType::F32, InputKind::Step)?;
        let at = backward.input("x", &shape, DType::F32, InputKind::Step)?;
        let slope = slope(&mut backward, at)?;
        let cotangent = backward.mul(g, slope)?;
        let backward = CustomBackward { name: name.to_owned(), graph: Arc::new(backward), outputs: vec![cotangent] };
        self.custom_vjp(value, &[x], backward)
    }
}
