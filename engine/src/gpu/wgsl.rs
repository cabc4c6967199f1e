//! The text of a kernel: what it binds, where its data lies, which functions it calls.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::executor::{ExecError, RING_COLUMNS};
use crate::graph::plan::{Place, Plan, Space};
use crate::graph::{DType, InputId, InputKind};

/// Largest number of workgroups along a dimension that every device takes.
const MAX_GROUPS: u32 = 65_535;

/// A buffer that a kernel binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Binding {
    /// The plan's scratch memory.
    Arena,
    /// A state, written and read.
    State(InputId),
    /// A table, read only.
    Table(InputId),
    /// The words of this run: the row of the metrics ring, then the step inputs.
    Step,
    /// The metrics ring.
    Metrics,
}

impl Binding {
    /// Whether kernels may write it.
    pub(super) fn writable(self) -> bool {
        !matches!(self, Binding::Table(_) | Binding::Step)
    }
}

/// Words before the step inputs in a run's region: the row of the metrics ring.
pub(super) const STEP_HEADER: usize = 1;

/// A kernel ready to be compiled and launched.
#[derive(Clone, Debug)]
pub(super) struct Shader {
    /// WGSL; entry point `main`. Group 0 holds the offsets, group 1 the buffers.
    pub text: String,
    /// Buffers in the order of their binding numbers.
    pub bindings: Vec<Binding>,
    /// Numbers that differ between launches of the same text.
    pub slots: Vec<u32>,
    /// Workgroups to launch, x and y.
    pub groups: [u32; 2],
}

/// Spreads `count` workgroups over x and y.
fn grid(count: u32) -> [u32; 2] {
    if count <= MAX_GROUPS {
        return [count, 1];
    }
    let rows = count.div_ceil(MAX_GROUPS);
    [count.div_ceil(rows), rows]
}

/// Collects a kernel's text.
pub(super) struct Writer<'a> {
    plan: &'a Plan,
    bindings: Vec<Binding>,
    slots: Vec<u32>,
    functions: BTreeSet<&'static str>,
    subgroups: bool,
    globals: String,
    code: String,
}

impl<'a> Writer<'a> {
    /// An empty kernel of `plan`.
    pub(super) fn new(plan: &'a Plan) -> Self {
        let (bindings, slots, functions) = (Vec::new(), Vec::new(), BTreeSet::new());
        Writer { plan, bindings, slots, functions, subgroups: false, globals: String::new(), code: String::new() }
    }

    /// Appends a line of code.
    pub(super) fn line(&mut self, text: impl AsRef<str>) {
        self.code.push_str(text.as_ref());
        self.code.push('\n');
    }

    /// Puts the lines that `fill` appends into a function of their own; `header` as in `fn name(x: f32)`.
    pub(super) fn in_function(&mut self, header: &str, fill: impl FnOnce(&mut Self)) {
        let outside = std::mem::take(&mut self.code);
        fill(self);
        let inside = std::mem::replace(&mut self.code, outside);
        self.global(format!("{header} {{\n{inside}}}"));
    }

    /// Appends a declaration outside of functions.
    pub(super) fn global(&mut self, text: impl AsRef<str>) {
        self.globals.push_str(text.as_ref());
        self.globals.push('\n');
    }

    /// Says that the kernel uses functions of subgroups.
    pub(super) fn use_subgroups(&mut self) {
        self.subgroups = true;
    }

    /// Makes a function of functions.wgsl available, and yields its name.
    pub(super) fn function(&mut self, name: &'static str) -> &'static str {
        if self.functions.insert(name) {
            for needed in FUNCTIONS.iter().filter(|known| known.name == name).flat_map(|known| known.needs()) {
                self.function(needed);
            }
        }
        name
    }

    /// A number that is passed at launch instead of being written into the text.
    pub(super) fn slot(&mut self, value: usize) -> String {
        let index = self.slots.len();
        self.slots.push(value as u32);
        format!("slots[{}u].{}", index / 4, ["x", "y", "z", "w"][index % 4])
    }

    /// Name of the array bound for `binding`.
    fn bind(&mut self, binding: Binding) -> String {
        let index = self.bindings.iter().position(|&bound| bound == binding).unwrap_or_else(|| {
            self.bindings.push(binding);
            self.bindings.len() - 1
        });
        format!("buffer{index}")
    }

    fn binding_of(&self, space: Space) -> Binding {
        match space {
            Space::Arena => Binding::Arena,
            Space::Metrics => Binding::Metrics,
            Space::Input(id) => match self.plan.inputs[id.index()].kind {
                InputKind::State => Binding::State(id),
                InputKind::Table => Binding::Table(id),
                InputKind::Step => Binding::Step,
            },
        }
    }

    /// Binds a place and yields access to it.
    pub(super) fn memory(&mut self, place: Place) -> Memory {
        let binding = self.binding_of(place.space);
        let array = self.bind(binding);
        let base = match (binding, place.space) {
            (Binding::Step, Space::Input(id)) => {
                let first = self.plan.step_offsets[id.index()].unwrap_or_default();
                self.slot(STEP_HEADER + first + place.offset)
            }
            (Binding::Metrics, _) => {
                let step = self.bind(Binding::Step);
                let column = self.slot(place.offset);
                format!("({step}[0] * {RING_COLUMNS}u + {column})")
            }
            _ => self.slot(place.offset),
        };
        Memory { array, base, dtype: place.dtype }
    }

    /// Completes the kernel: the code so far is the body of the entry point, run by `count` workgroups of `size`
    /// invocations. In scope: `group` (number of the workgroup), `local` (number of the invocation within it).
    pub(super) fn finish(self, size: u32, count: usize) -> Result<Shader, ExecError> {
        let count = u32::try_from(count)
            .ok()
            .filter(|&count| grid(count)[1] <= MAX_GROUPS)
            .ok_or_else(|| ExecError::Limit(format!("a kernel of {count} workgroups")))?;
        let groups = grid(count);
        let mut text = String::new();
        // Browsers want to be told; naga 30 takes the functions, and not the word.
        if self.subgroups && cfg!(target_arch = "wasm32") {
            text.push_str("enable subgroups;\n");
        }
        let slots = self.slots.len().div_ceil(4).max(1);
        let _ = writeln!(text, "@group(0) @binding(0) var<uniform> slots: array<vec4<u32>, {slots}>;");
        for (index, binding) in self.bindings.iter().enumerate() {
            let access = if binding.writable() { "read_write" } else { "read" };
            let _ = writeln!(text, "@group(1) @binding({index}) var<storage, {access}> buffer{index}: array<u32>;");
        }
        text.push_str(&self.globals);
        for function in FUNCTIONS.iter().filter(|known| self.functions.contains(known.name)) {
            text.push_str(function.text);
        }
        let _ = writeln!(text, "@compute @workgroup_size({size})");
        text.push_str(
            "fn main(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(local_invocation_index) local: u32) {\n",
        );
        if groups[1] == 1 {
            text.push_str("let group = group_id.x;\n");
        } else {
            let _ = writeln!(text, "let group = group_id.y * {}u + group_id.x;", groups[0]);
            let _ = writeln!(text, "if (group >= {count}u) {{ return; }}");
        }
        text.push_str(&self.code);
        text.push_str("}\n");
        Ok(Shader { text, bindings: self.bindings, slots: self.slots, groups })
    }
}

/// Elements that an invocation computes at most, one after another, on a software adapter, where starting one is dear.
const MOST_ELEMENTS: usize = 16;
/// Workgroups that keep a software adapter busy.
const MANY_GROUPS: usize = 32;

/// Begins the loop over the elements, of `count`, that an invocation computes: each has the number `element`, neighbours are those
/// of neighbouring invocations. Yields the number of workgroups of `size` invocations.
pub(super) fn elements(writer: &mut Writer<'_>, count: usize, size: usize, software: bool) -> usize {
    let each = (count / (size * MANY_GROUPS)).clamp(1, if software { MOST_ELEMENTS } else { 1 });
    writer.line(loop_over("t", each));
    writer.line(format!("let element = (group * {each}u + t) * {size}u + local;"));
    if !count.is_multiple_of(size * each) {
        writer.line(format!("if (element >= {count}u) {{ break; }}"));
    }
    count.div_ceil(size * each)
}

/// The loop that runs `name` over `0..count`.
pub(super) fn loop_over(name: &str, count: usize) -> String {
    format!("for (var {name} = 0u; {name} < {count}u; {name}++) {{")
}

/// A place as the text sees it.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    array: String,
    /// Expression for the number of its first element.
    pub base: String,
    dtype: DType,
}

impl Memory {
    /// Element number `index` of the buffer (base included), as f32. `index` must be a name.
    pub(super) fn load(&self, index: &str) -> String {
        match self.dtype {
            DType::F32 => format!("bitcast<f32>({}[{index}])", self.array),
            DType::U32 | DType::U8 => format!("f32({})", self.load_bits(index)),
        }
    }

    /// Element number `index` of the buffer (base included), as u32. `index` must be a name.
    pub(super) fn load_bits(&self, index: &str) -> String {
        match self.dtype {
            DType::F32 | DType::U32 => format!("{}[{index}]", self.array),
            DType::U8 => format!("(({}[{index} >> 2u] >> (({index} & 3u) * 8u)) & 255u)", self.array),
        }
    }

    /// Statement that writes an f32 `value` to element number `index` of the buffer (base included).
    pub(super) fn store(&self, index: &str, value: &str) -> String {
        match self.dtype {
            DType::F32 => format!("{}[{index}] = bitcast<u32>({value});", self.array),
            DType::U32 | DType::U8 => format!("{}[{index}] = u32({value});", self.array),
        }
    }
}

/// `base + a * 3u + b`: the sum of coordinates times strides. Terms with stride or coordinate 0 vanish.
pub(super) fn index(base: &str, terms: impl IntoIterator<Item = (String, usize)>) -> String {
    let mut text = base.to_owned();
    for (coordinate, stride) in terms {
        match (coordinate.as_str(), stride) {
            ("0u", _) | (_, 0) => {}
            (_, 1) => {
                let _ = write!(text, " + {coordinate}");
            }
            _ => {
                let _ = write!(text, " + {coordinate} * {stride}u");
            }
        }
    }
    text
}

/// Declares the coordinates `prefix0, prefix1, ...` of element number `linear` over `sizes`, row-major, and yields
/// their names; `0u` for axes of size 1.
pub(super) fn coordinates(writer: &mut Writer<'_>, prefix: &str, linear: &str, sizes: &[usize]) -> Vec<String> {
    let mut names = vec!["0u".to_owned(); sizes.len()];
    let wide: Vec<usize> = (0..sizes.len()).filter(|&axis| sizes[axis] != 1).collect();
    let mut rest = linear.to_owned();
    for (position, &axis) in wide.iter().enumerate().rev() {
        let name = format!("{prefix}{axis}");
        if position == 0 {
            writer.line(format!("let {name} = {rest};"));
        } else {
            // One division an axis.
            let next = format!("{prefix}{axis}r");
            writer.line(format!("let {next} = {};", quotient(&rest, sizes[axis])));
            writer.line(format!("let {name} = {};", remainder(&rest, &next, sizes[axis])));
            rest = next;
        }
        names[axis] = name;
    }
    names
}

/// `name` divided by `size`: by a shift where that will do, as software adapters divide one lane after the other.
pub(super) fn quotient(name: &str, size: usize) -> String {
    match size {
        1 => name.to_owned(),
        _ if size.is_power_of_two() => format!("({name} >> {}u)", size.ilog2()),
        _ => format!("({name} / {size}u)"),
    }
}

/// What `name` divided by `size` leaves over the name `quotient`.
fn remainder(name: &str, quotient: &str, size: usize) -> String {
    match size.is_power_of_two() {
        true => format!("{name} & {}u", size - 1),
        false => format!("{name} - {quotient} * {size}u"),
    }
}

/// An f32 as WGSL, exact in every bit.
pub(super) fn number(writer: &mut Writer<'_>, bits: u32) -> String {
    if f32::from_bits(bits).is_finite() {
        format!("bitcast<f32>({bits:#010x}u)")
    } else {
        format!("{}({bits:#010x}u)", writer.function("from_bits"))
    }
}

/// A function of functions.wgsl.
struct Function {
    name: &'static str,
    header: &'static str,
    text: &'static str,
}

impl Function {
    /// The functions that it calls.
    fn needs(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.header.split_whitespace().skip(1)
    }
}

/// The functions of functions.wgsl in order: `//: name needed...`, then the text.
static FUNCTIONS: std::sync::LazyLock<Vec<Function>> = std::sync::LazyLock::new(|| {
    include_str!("functions.wgsl")
        .split("//: ")
        .filter_map(|piece| {
            let (header, text) = piece.split_once('\n')?;
            Some(Function { name: header.split_whitespace().next()?, header, text })
        })
        .collect()
});
