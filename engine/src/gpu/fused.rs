//! Elementwise kernels and row programs.
//!
//! A row program alternates between code that holds for the whole row and loops over the row's elements: each
//! reduction ends a loop, and what a later loop needs of an earlier one is computed again, so that a row of any length
//! needs no memory of its own. One workgroup takes `rows` rows with `lanes` invocations each; with a single lane
//! there is no barrier, which software adapters need.

use crate::executor::ExecError;
use crate::graph::numel;
use crate::graph::plan::{Body, Fused, Instr, Plan, Store, View};
use crate::graph::{F32Bits, ReduceOp};

use super::body::{Code, combine, neutral};
use super::wgsl::{Shader, Writer, coordinates, elements, number};

/// Invocations of a workgroup of an elementwise kernel.
const ELEMENTWISE_GROUP: usize = 64;
/// Rows that keep a software adapter busy without sharing any.
const MANY_ROWS: usize = 32;
/// Length from which sharing a row repays its barriers on a software adapter that has few of them.
const SHARED_ROW: usize = 1024;
/// Elements of a row up to which one invocation may compute them on a software adapter.
const LONG_ROW: usize = 32_768;
/// Rows of a workgroup on a software adapter, where there are few long ones: as many as run at once.
const FEW_ROWS: usize = 4;

/// How rows are spread over a workgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Rows a workgroup takes.
    pub rows: usize,
    /// Invocations that share a row; a power of two.
    pub lanes: usize,
    /// Whether neighbouring invocations are neighbours in a row (else in neighbouring rows).
    pub lanes_first: bool,
}

impl Shape {
    /// One row, by one invocation.
    pub const ALONE: Self = Self { rows: 1, lanes: 1, lanes_first: false };

    /// The shape for `fused` on a software or real adapter.
    fn choose(fused: &Fused, software: bool) -> Shape {
        let outer = fused.axes.len() - fused.reduced;
        let (rows, length) = (numel(&fused.axes[..outer]), numel(&fused.axes[outer..]));
        // Software adapters pay for barriers, and some end loops after 65,535 rounds: only long rows are shared there, and by
        // few invocations.
        if software && length <= LONG_ROW && (rows >= MANY_ROWS || length < SHARED_ROW) {
            let few = rows < FEW_ROWS * ELEMENTWISE_GROUP && length >= SHARED_ROW;
            let rows = if few { FEW_ROWS } else { ELEMENTWISE_GROUP };
            return Shape { rows, lanes: 1, lanes_first: false };
        }
        if software {
            let lanes = length.div_ceil(LONG_ROW).next_power_of_two().clamp(4, 256);
            return Shape { rows: 1, lanes, lanes_first: true };
        }
        // Neighbouring invocations should read neighbouring words: look at which axis most loads are dense in.
        let dense = |axis: Option<usize>| {
            let Some(axis) = axis else { return 0 };
            fused.body.loads.iter().filter(|view| view.strides.get(axis) == Some(&1)).count()
        };
        let along_row = dense((fused.reduced > 0).then(|| fused.axes.len() - 1));
        let across_rows = dense(outer.checked_sub(1));
        if across_rows > along_row {
            // Eight words are what a memory transaction brings; more rows only where there are many.
            let rows = (rows / 64).next_power_of_two().clamp(8, 32);
            let lanes = length.div_ceil(4).next_power_of_two().clamp(1, 256 / rows);
            Shape { rows, lanes, lanes_first: false }
        } else {
            let lanes = length.div_ceil(2).next_power_of_two().clamp(1, 256);
            Shape { rows: (64 / lanes).max(1), lanes, lanes_first: true }
        }
    }
}

/// The kernel for `fused`; `None` where there is nothing to compute.
pub(super) fn shader(plan: &Plan, fused: &Fused, software: bool) -> Result<Option<Shader>, ExecError> {
    let fused = collapse(fused);
    let outer = fused.axes.len() - fused.reduced;
    let rows = numel(&fused.axes[..outer]);
    if rows == 0 {
        return Ok(None);
    }
    let has_rows = fused.body.code.iter().any(|instr| matches!(instr, Instr::Reduce(..) | Instr::ArgMax(_)))
        || fused.body.stores.iter().any(|store| store.per_row);
    if has_rows {
        row_program(plan, &fused, Shape::choose(&fused, software)).map(Some)
    } else {
        elementwise(plan, &fused, software)
    }
}

fn elementwise(plan: &Plan, fused: &Fused, software: bool) -> Result<Option<Shader>, ExecError> {
    let count = numel(&fused.axes);
    if count == 0 {
        return Ok(None);
    }
    let mut writer = Writer::new(plan);
    let mut code = Code::new(&mut writer, &fused.body);
    // What is the same for all elements comes before them.
    let kinds = classify(fused, 0);
    code.hoist(&mut writer, &[], 0);
    let nowhere = vec!["0u".to_owned(); fused.axes.len()];
    for register in (0..kinds.len()).filter(|&register| !kinds[register].varies) {
        code.compute(&mut writer, register, &nowhere, "0.0");
    }
    let groups = elements(&mut writer, count, ELEMENTWISE_GROUP, software);
    let coordinates = coordinates(&mut writer, "c", "element", &fused.axes);
    for register in (0..kinds.len()).filter(|&register| kinds[register].varies) {
        code.compute(&mut writer, register, &coordinates, "0.0");
    }
    for store in 0..fused.body.stores.len() {
        code.store(&mut writer, store, &coordinates);
    }
    writer.line("}");
    writer.finish(ELEMENTWISE_GROUP as u32, groups).map(Some)
}

/// What a register of a row program is.
#[derive(Clone, Copy, Debug)]
struct Kind {
    /// Whether it differs between the elements of a row.
    varies: bool,
    /// How many loops must have ended before it can be known.
    level: usize,
}

/// What the registers are, of rows that consist of all axes from `outer` on.
fn classify(fused: &Fused, outer: usize) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::with_capacity(fused.body.code.len());
    let moves = |view: &View| view.strides[outer..].iter().any(|&stride| stride != 0);
    for instr in &fused.body.code {
        let mut kind = Kind { varies: false, level: 0 };
        match instr {
            Instr::Load(load) | Instr::LoadAt { load, .. } => {
                kind.varies = moves(&fused.body.loads[usize::from(*load)])
            }
            Instr::Coordinate(axis) => kind.varies = usize::from(*axis) >= outer,
            Instr::Random { strides, .. } => {
                kind.varies = strides.iter().take(fused.axes.len()).skip(outer).any(|&stride| stride != 0);
            }
            _ => {}
        }
        for argument in arguments(instr) {
            let argument = kinds[usize::from(argument)];
            kind.varies |= argument.varies;
            kind.level = kind.level.max(argument.level);
        }
        if matches!(instr, Instr::Reduce(..) | Instr::ArgMax(_)) {
            kind = Kind { varies: false, level: kind.level + 1 };
        }
        kinds.push(kind);
    }
    kinds
}

/// Registers that an instruction reads.
fn arguments(instr: &Instr) -> impl Iterator<Item = u16> {
    let list = match *instr {
        Instr::LoadAt { index, .. } => [Some(index), None, None],
        Instr::Unary(_, x) | Instr::Reduce(_, x) | Instr::ArgMax(x) => [Some(x), None, None],
        Instr::Binary(_, a, b) => [Some(a), Some(b), None],
        Instr::Select(a, b, c) => [Some(a), Some(b), Some(c)],
        _ => [None; 3],
    };
    list.into_iter().flatten()
}

fn row_program(plan: &Plan, fused: &Fused, shape: Shape) -> Result<Shader, ExecError> {
    let rows = numel(&fused.axes[..fused.axes.len() - fused.reduced]);
    let Shape { rows: group_rows, lanes, .. } = shape;
    let mut writer = Writer::new(plan);
    if lanes == 1 {
        writer.line(format!("let row = group * {group_rows}u + local;"));
        writer.line(format!("if (row >= {rows}u) {{ return; }}"));
    } else {
        find_lane(&mut writer, shape);
        writer.line(format!("let live = group * {group_rows}u + place < {rows}u;"));
        writer.line(format!("let row = min(group * {group_rows}u + place, {}u);", rows - 1));
    }
    rows_of(&mut writer, fused, shape);
    writer.finish((group_rows * lanes) as u32, rows.div_ceil(group_rows))
}

/// Declares which lane of which row an invocation is. Rows beyond the end take part in the barriers, and nothing else: they are
/// not `live`, which the caller declares, and repeat the last `row`.
fn find_lane(writer: &mut Writer<'_>, shape: Shape) {
    let Shape { rows, lanes, lanes_first } = shape;
    let (lane, place) = if lanes_first {
        (format!("local % {lanes}u"), format!("local / {lanes}u"))
    } else {
        (format!("local / {rows}u"), format!("local % {rows}u"))
    };
    writer.line(format!("let lane = {lane};\nlet place = {place};"));
    writer.global(format!("var<workgroup> shared_values: array<f32, {}>;", rows * lanes));
}

/// Declares the function `tail`, which runs `fused` over rows that a product has left in memory: over the number `row`, or, where
/// invocations share rows, over `left` of them from `first` on by all invocations of a workgroup, of which this is `local`.
pub(super) fn tail(writer: &mut Writer<'_>, fused: &Fused, shape: Shape) {
    let fused = collapse(fused);
    if shape.lanes == 1 {
        writer.in_function("fn tail(row: u32)", |writer| rows_of(writer, &fused, shape));
    } else {
        writer.in_function("fn tail(first: u32, left: u32, local: u32)", |writer| {
            find_lane(writer, shape);
            writer.line("let live = place < left;\nlet row = first + min(place, left - 1u);");
            rows_of(writer, &fused, shape);
        });
    }
}

/// The code for `row`, which is in scope, and with several lanes what [`find_lane`] says.
fn rows_of(writer: &mut Writer<'_>, fused: &Fused, shape: Shape) {
    let outer = fused.axes.len() - fused.reduced;
    let (lanes, length) = (shape.lanes, numel(&fused.axes[outer..]));
    let kinds = classify(fused, outer);
    let body = &fused.body;
    let is_reduction = |register: usize| matches!(body.code[register], Instr::Reduce(..) | Instr::ArgMax(_));
    let loops = kinds.iter().map(|kind| kind.level).max().unwrap_or(0);
    // Elements are written in the last loop that can: no later loop may read what they replace.
    let element_stores: Vec<usize> = (0..body.stores.len()).filter(|&store| !body.stores[store].per_row).collect();
    let store_loop = element_stores
        .iter()
        .map(|&store| kinds[usize::from(body.stores[store].value)].level)
        .max()
        .map(|level| level.max(loops.saturating_sub(1)));

    if lanes == 1 {
        writer.line("let lane = 0u;");
    }
    let mut coordinate_names = coordinates(writer, "c", "row", &fused.axes[..outer]);
    let mut code = Code::new(writer, body);
    code.hoist(writer, &coordinate_names, outer);
    coordinate_names.extend((outer..fused.axes.len()).map(|_| "0u".to_owned()));

    for level in 0..=loops {
        for (register, kind) in kinds.iter().enumerate() {
            if !kind.varies && kind.level == level && !is_reduction(register) {
                code.compute(writer, register, &coordinate_names, "0.0");
            }
        }
        let reductions: Vec<usize> = (0..body.code.len())
            .filter(|&register| is_reduction(register) && kinds[register].level == level + 1)
            .collect();
        let stores: &[usize] = if store_loop == Some(level) { &element_stores } else { &[] };
        if reductions.is_empty() && stores.is_empty() {
            continue;
        }
        element_loop(writer, &code, &kinds, &fused.axes[outer..], &mut coordinate_names, shape, &reductions, stores);
        for &register in &reductions {
            finish_reduction(writer, &body.code[register], register, shape, length);
        }
    }
    let row_stores: Vec<usize> = (0..body.stores.len()).filter(|&store| body.stores[store].per_row).collect();
    if !row_stores.is_empty() {
        coordinate_names[outer..].fill("0u".to_owned());
        if lanes > 1 {
            writer.line("if (live && lane == 0u) {");
        }
        for store in row_stores {
            code.store(writer, store, &coordinate_names);
        }
        if lanes > 1 {
            writer.line("}");
        }
    }
}

/// A loop over the elements of the row: accumulates `reductions` and writes `stores`.
#[expect(clippy::too_many_arguments, reason = "the state of one row program, used here alone")]
fn element_loop(
    writer: &mut Writer<'_>,
    code: &Code<'_>,
    kinds: &[Kind],
    sizes: &[usize],
    coordinate_names: &mut [String],
    shape: Shape,
    reductions: &[usize],
    stores: &[usize],
) {
    let instructions = &code.body.code;
    // Registers that vary and are needed, found backwards.
    let mut needed = vec![false; instructions.len()];
    for &register in reductions {
        for argument in arguments(&instructions[register]) {
            needed[usize::from(argument)] = true;
        }
    }
    for &store in stores {
        needed[usize::from(code.body.stores[store].value)] = true;
    }
    for register in (0..instructions.len()).rev() {
        if needed[register] && kinds[register].varies {
            for argument in arguments(&instructions[register]) {
                needed[usize::from(argument)] = true;
            }
        }
    }
    for &register in reductions {
        match &instructions[register] {
            Instr::Reduce(op, _) => {
                let start = neutral(writer, *op);
                writer.line(format!("var a{register} = {start};"));
            }
            _ => {
                let start = number(writer, f32::NEG_INFINITY.to_bits());
                writer.line(format!("var a{register} = {start};"));
                writer.line(format!("var n{register} = f32(lane);"));
            }
        }
    }
    let length = numel(sizes);
    writer.line(format!("for (var t = lane; t < {length}u; t += {}u) {{", shape.lanes));
    let inner = coordinates(writer, "e", "t", sizes);
    let outer = coordinate_names.len() - sizes.len();
    coordinate_names[outer..].clone_from_slice(&inner);
    for register in 0..instructions.len() {
        if needed[register] && kinds[register].varies {
            code.compute(writer, register, coordinate_names, "0.0");
        }
    }
    for &register in reductions {
        match instructions[register] {
            Instr::Reduce(op, x) => {
                let next = combine(writer, op, &format!("a{register}"), &format!("r{x}"));
                writer.line(format!("a{register} = {next};"));
            }
            Instr::ArgMax(x) => {
                writer.line(format!("if (r{x} > a{register}) {{ a{register} = r{x}; n{register} = f32(t); }}"));
            }
            _ => {}
        }
    }
    if !stores.is_empty() {
        if shape.lanes > 1 {
            writer.line("if (live) {");
        }
        for &store in stores {
            code.store(writer, store, coordinate_names);
        }
        if shape.lanes > 1 {
            writer.line("}");
        }
    }
    writer.line("}");
}

/// Combines the lanes' partial results into the register.
fn finish_reduction(writer: &mut Writer<'_>, instr: &Instr, register: usize, shape: Shape, length: usize) {
    match instr {
        Instr::Reduce(op, _) => {
            let value = across_lanes(writer, *op, &format!("a{register}"), &format!("r{register}"), shape);
            writer.line(format!("let r{register} = {value};"));
        }
        _ => {
            if shape.lanes == 1 {
                writer.line(format!("let r{register} = n{register};"));
                return;
            }
            // The first of the largest: among the lanes that hold the maximum, the lowest number.
            let best = across_lanes(writer, ReduceOp::Max, &format!("a{register}"), &format!("m{register}"), shape);
            writer.line(format!("let best{register} = {best};"));
            let candidate = format!("select({length}.0, n{register}, a{register} == best{register})");
            let first = across_lanes(writer, ReduceOp::Min, &candidate, &format!("f{register}"), shape);
            writer.line(format!("let r{register} = {first};"));
        }
    }
}

/// Combines a value over the lanes of a row through workgroup memory; yields an expression for the result.
fn across_lanes(writer: &mut Writer<'_>, op: ReduceOp, value: &str, name: &str, shape: Shape) -> String {
    let Shape { rows, lanes, .. } = shape;
    if lanes == 1 {
        return value.to_owned();
    }
    writer.line(format!("let {name}p = lane * {rows}u + place;"));
    writer.line(format!("shared_values[{name}p] = {value};"));
    writer.line("workgroupBarrier();");
    writer.line(format!("for (var s = {}u; s > 0u; s >>= 1u) {{", lanes / 2));
    writer.line("if (lane < s) {");
    let (near, far) = (format!("shared_values[{name}p]"), format!("shared_values[{name}p + s * {rows}u]"));
    let combined = combine(writer, op, &near, &far);
    writer.line(format!("{near} = {combined};"));
    writer.line("}");
    writer.line("workgroupBarrier();");
    writer.line("}");
    writer.line(format!("let {name}v = shared_values[place];"));
    // The memory serves the next reduction too.
    writer.line("workgroupBarrier();");
    format!("{name}v")
}

/// The same kernel with fewer axes: those of size 1 go, neighbours that every view walks through as one become one.
fn collapse(fused: &Fused) -> Fused {
    let rank = fused.axes.len();
    let outer = rank - fused.reduced;
    let body = &fused.body;
    let watched = |axis: usize| {
        body.code.iter().any(|instr| matches!(instr, Instr::Coordinate(watched) if usize::from(*watched) == axis))
    };
    let strides_of = |axis: usize| {
        let views = body.loads.iter().chain(body.stores.iter().map(|store| &store.view));
        let random = body.code.iter().filter_map(move |instr| match instr {
            Instr::Random { strides, .. } => Some(strides.get(axis).copied().unwrap_or(0)),
            _ => None,
        });
        views.map(move |view| view.strides[axis]).chain(random).collect::<Vec<usize>>()
    };
    // Groups of axes that become one; the last axis of a group gives its strides.
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for axis in 0..rank {
        if fused.axes[axis] == 1 {
            continue;
        }
        if let Some(group) = groups.last_mut()
            && let Some(&before) = group.last()
            && (before < outer) == (axis < outer)
            && !watched(before)
            && !watched(axis)
            && strides_of(before).iter().zip(strides_of(axis)).all(|(&coarse, fine)| coarse == fine * fused.axes[axis])
        {
            group.push(axis);
        } else {
            groups.push(vec![axis]);
        }
    }
    let last = |group: &Vec<usize>| group.last().copied().unwrap_or_default();
    let narrow = |view: &View| View {
        place: view.place,
        strides: groups.iter().map(|group| view.strides[last(group)]).collect(),
    };
    let code = body.code.iter().map(|instr| match instr {
        Instr::Coordinate(axis) => match groups.iter().position(|group| group.contains(&usize::from(*axis))) {
            Some(group) => Instr::Coordinate(group as u16),
            None => Instr::Const(F32Bits::from(0.0)),
        },
        Instr::Random { key, stream, strides } => {
            let mut kept = [0; 6];
            for (new, group) in kept.iter_mut().zip(&groups) {
                *new = strides.get(last(group)).copied().unwrap_or(0);
            }
            Instr::Random { key: *key, stream: *stream, strides: kept }
        }
        other => other.clone(),
    });
    Fused {
        axes: groups.iter().map(|group| group.iter().map(|&axis| fused.axes[axis]).product()).collect(),
        reduced: groups.iter().filter(|group| last(group) >= outer).count(),
        body: Body {
            loads: body.loads.iter().map(narrow).collect(),
            code: code.collect(),
            stores: body
                .stores
                .iter()
                .map(|store| Store { value: store.value, view: narrow(&store.view), per_row: store.per_row })
                .collect(),
        },
    }
}
