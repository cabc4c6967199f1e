//! Straight-line code of a body as WGSL statements: register k becomes the name `rk`.

use crate::graph::plan::{Body, Instr, Store, View};
use crate::graph::{BinaryOp, ReduceOp, UnaryOp};

use super::wgsl::{Memory, Writer, index, number};

/// A body whose memory is bound.
pub(super) struct Code<'a> {
    /// The body.
    pub body: &'a Body,
    loads: Vec<Memory>,
    stores: Vec<Memory>,
    /// Name of the key of each [`Instr::Random`], and the slot of its stream.
    random: Vec<Option<(String, String)>>,
    /// Strides before this axis are contained in the bases.
    from_axis: usize,
}

impl<'a> Code<'a> {
    /// Binds what the body reads and writes; declares RNG keys.
    pub(super) fn new(writer: &mut Writer<'_>, body: &'a Body) -> Self {
        let loads = body.loads.iter().map(|view| writer.memory(view.place)).collect();
        let stores = body.stores.iter().map(|store| writer.memory(store.view.place)).collect();
        let mut random = Vec::with_capacity(body.code.len());
        for (register, instr) in body.code.iter().enumerate() {
            random.push(match instr {
                Instr::Random { key, stream, .. } => {
                    let memory = writer.memory(*key);
                    let base = &memory.base;
                    writer.line(format!("let at{register} = {base};"));
                    let words: Vec<String> = (0..4)
                        .map(|word| {
                            writer.line(format!("let at{register}_{word} = at{register} + {word}u;"));
                            memory.load_bits(&format!("at{register}_{word}"))
                        })
                        .collect();
                    let name = format!("key{register}");
                    writer.line(format!("let {name} = vec4<u32>({});", words.join(", ")));
                    Some((name, writer.slot(*stream as usize)))
                }
                _ => None,
            });
        }
        Code { body, loads, stores, random, from_axis: 0 }
    }

    /// Computes the part of every address that depends on the first `outer` axes, once for what follows.
    pub(super) fn hoist(&mut self, writer: &mut Writer<'_>, coordinates: &[String], outer: usize) {
        let views = self.body.loads.iter().zip(&mut self.loads);
        for (number, (view, memory)) in views.enumerate() {
            let address = address(memory, view, &coordinates[..outer], 0);
            writer.line(format!("let l{number} = {address};"));
            memory.base = format!("l{number}");
        }
        let views = self.body.stores.iter().map(|store| &store.view).zip(&mut self.stores);
        for (number, (view, memory)) in views.enumerate() {
            let address = address(memory, view, &coordinates[..outer], 0);
            writer.line(format!("let s{number} = {address};"));
            memory.base = format!("s{number}");
        }
        self.from_axis = outer;
    }

    /// Declares register `register` at the given coordinates. Reductions are the caller's affair.
    pub(super) fn compute(&self, writer: &mut Writer<'_>, register: usize, coordinates: &[String], accumulator: &str) {
        let value = match &self.body.code[register] {
            Instr::Load(load) => {
                let (view, memory) = (&self.body.loads[usize::from(*load)], &self.loads[usize::from(*load)]);
                let address = address(memory, view, coordinates, self.from_axis);
                writer.line(format!("let i{register} = {address};"));
                memory.load(&format!("i{register}"))
            }
            Instr::LoadAt { load, index, stride, limit } => {
                let (view, memory) = (&self.body.loads[usize::from(*load)], &self.loads[usize::from(*load)]);
                let address = address(memory, view, coordinates, self.from_axis);
                let last = limit.saturating_sub(1);
                writer
                    .line(format!("let i{register} = {address} + min(u32(max(r{index}, 0.0)), {last}u) * {stride}u;"));
                memory.load(&format!("i{register}"))
            }
            Instr::Accumulator => accumulator.to_owned(),
            Instr::Const(bits) => number(writer, bits.0),
            Instr::Coordinate(axis) => format!("f32({})", coordinates[usize::from(*axis)]),
            Instr::Random { strides, .. } => {
                let terms = coordinates.iter().cloned().zip(strides.iter().copied());
                let element = index("0u", terms);
                let (key, stream) = self.random[register].clone().unwrap_or_default();
                format!("{}({key}, {stream}, {element})", writer.function("random_unit"))
            }
            Instr::Unary(op, x) => unary(writer, *op, &format!("r{x}")),
            Instr::Binary(op, a, b) => binary(writer, *op, &format!("r{a}"), &format!("r{b}")),
            Instr::Select(mask, a, b) => format!("select(r{b}, r{a}, r{mask} != 0.0)"),
            // Declared where the row's loop ends.
            Instr::Reduce(..) | Instr::ArgMax(_) => return,
        };
        writer.line(format!("let r{register} = {value};"));
    }

    /// Declares all registers of a body without reductions, then writes its stores.
    pub(super) fn run(&self, writer: &mut Writer<'_>, coordinates: &[String], accumulator: &str) {
        for register in 0..self.body.code.len() {
            self.compute(writer, register, coordinates, accumulator);
        }
        for number in 0..self.body.stores.len() {
            self.store(writer, number, coordinates);
        }
    }

    /// Writes store `number` at the given coordinates.
    pub(super) fn store(&self, writer: &mut Writer<'_>, number: usize, coordinates: &[String]) {
        let Store { value, view, .. } = &self.body.stores[number];
        let memory = &self.stores[number];
        let address = address(memory, view, coordinates, self.from_axis);
        let statement = memory.store(&address, &format!("r{value}"));
        writer.line(statement);
    }
}

/// Declares the function `epilogue(accumulator: f32, c0: u32, c1: u32, ...)`, which runs a body without reductions at
/// given coordinates of `rank` axes.
pub(super) fn epilogue(writer: &mut Writer<'_>, body: &Body, rank: usize) {
    let coordinates: Vec<String> = (0..rank).map(|axis| format!("c{axis}")).collect();
    let parameters: String = coordinates.iter().map(|name| format!(", {name}: u32")).collect();
    writer.in_function(&format!("fn epilogue(accumulator: f32{parameters})"), |writer| {
        Code::new(writer, body).run(writer, &coordinates, "accumulator");
    });
}

fn address(memory: &Memory, view: &View, coordinates: &[String], from_axis: usize) -> String {
    index(&memory.base, coordinates.iter().cloned().zip(view.strides.iter().copied()).skip(from_axis))
}

/// An elementwise function of one argument.
fn unary(writer: &mut Writer<'_>, op: UnaryOp, x: &str) -> String {
    match op {
        UnaryOp::Neg => format!("-{x}"),
        UnaryOp::Abs => format!("abs({x})"),
        UnaryOp::Sign => format!("{}({x})", writer.function("sign_of")),
        UnaryOp::Exp => format!("{}({x})", writer.function("exponential")),
        UnaryOp::Log => format!("{}({x})", writer.function("logarithm")),
        UnaryOp::Sqrt => format!("sqrt({x})"),
        UnaryOp::Rsqrt => format!("inverseSqrt({x})"),
        UnaryOp::Recip => format!("1.0 / {x}"),
        UnaryOp::Tanh => format!("{}({x})", writer.function("hyperbolic_tangent")),
        UnaryOp::Erf => format!("{}({x})", writer.function("error_function")),
        UnaryOp::Sin => format!("{}({x})", writer.function("sine")),
        UnaryOp::Cos => format!("{}({x})", writer.function("cosine")),
        UnaryOp::Floor => format!("floor({x})"),
        // Unlike max, this keeps NaN.
        UnaryOp::Relu => format!("select({x}, 0.0, {x} < 0.0)"),
        UnaryOp::Sigmoid => format!("{}({x})", writer.function("sigmoid")),
    }
}

/// An elementwise function of two arguments.
fn binary(writer: &mut Writer<'_>, op: BinaryOp, a: &str, b: &str) -> String {
    match op {
        BinaryOp::Add => format!("{a} + {b}"),
        BinaryOp::Sub => format!("{a} - {b}"),
        BinaryOp::Mul => format!("{a} * {b}"),
        BinaryOp::Div => format!("{a} / {b}"),
        BinaryOp::Max => format!("{}({a}, {b})", writer.function("nan_max")),
        BinaryOp::Min => format!("{}({a}, {b})", writer.function("nan_min")),
        BinaryOp::Pow => format!("{}({a}, {b})", writer.function("power")),
        BinaryOp::Less => format!("select(0.0, 1.0, {a} < {b})"),
        BinaryOp::LessEqual => format!("select(0.0, 1.0, {a} <= {b})"),
        BinaryOp::Equal => format!("select(0.0, 1.0, {a} == {b})"),
    }
}

/// The value that changes nothing, as WGSL.
pub(super) fn neutral(writer: &mut Writer<'_>, op: ReduceOp) -> String {
    match op {
        ReduceOp::Sum => "0.0".to_owned(),
        ReduceOp::Max => number(writer, f32::NEG_INFINITY.to_bits()),
        ReduceOp::Min => number(writer, f32::INFINITY.to_bits()),
    }
}

/// Combination of two partial results.
pub(super) fn combine(writer: &mut Writer<'_>, op: ReduceOp, a: &str, b: &str) -> String {
    let op = match op {
        ReduceOp::Sum => BinaryOp::Add,
        ReduceOp::Max => BinaryOp::Max,
        ReduceOp::Min => BinaryOp::Min,
    };
    binary(writer, op, a, b)
}
