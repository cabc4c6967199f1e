//! Kernels that follow indices: gather, its transposes, and the largest elements of a row. Contiguous tensors.
//!
//! Sums are taken by the element that receives them, which scans the indices: deterministic without atomics.

use crate::executor::ExecError;
use crate::graph::numel;
use crate::graph::plan::{OpKernel, Plan};

use super::body::epilogue;
use super::conv::neighbours;
use super::pool::{finish, start};
use super::wgsl::{Shader, Writer, coordinates, elements, loop_over};

const GROUP: usize = 64;

/// `out[.., i, ..] = x[.., index[.., i, ..], ..]`: arguments x, index.
pub(super) fn gather(plan: &Plan, kernel: &OpKernel, axis: usize, software: bool) -> Result<Shader, ExecError> {
    let (x, index) = (&kernel.args[0], &kernel.args[1]);
    let strides = crate::graph::contiguous_strides(&x.shape);
    let mut writer = Writer::new(plan);
    let (from, at) = (writer.memory(x.place), writer.memory(index.place));
    let (groups, place) = start(&mut writer, kernel, software);
    writer.line(format!("let from_index = {} + element;", at.base));
    writer.line(format!("let chosen = min({}, {}u);", at.load_bits("from_index"), x.shape[axis].saturating_sub(1)));
    let terms = (0..place.len()).map(|k| (if k == axis { "chosen".to_owned() } else { place[k].clone() }, strides[k]));
    writer.line(format!("let source = {};", super::wgsl::index(&from.base, terms)));
    finish(writer, &from.load("source"), &place, groups)
}

/// Transpose of [`gather`]: arguments index, value.
pub(super) fn scatter_add(plan: &Plan, kernel: &OpKernel, axis: usize, software: bool) -> Result<Shader, ExecError> {
    let (index, value) = (&kernel.args[0], &kernel.args[1]);
    let size = kernel.shape[axis];
    let strides = crate::graph::contiguous_strides(&value.shape);
    let mut writer = Writer::new(plan);
    let (at, from) = (writer.memory(index.place), writer.memory(value.place));
    let (groups, place) = start(&mut writer, kernel, software);
    writer.line("var sum = 0.0;");
    writer.line(loop_over("i", value.shape[axis]));
    let terms = (0..place.len()).map(|k| (if k == axis { "i".to_owned() } else { place[k].clone() }, strides[k]));
    writer.line(format!("let source = {};", super::wgsl::index("0u", terms)));
    writer.line(format!("let from_index = {} + source;", at.base));
    writer.line(format!("let from_value = {} + source;", from.base));
    let target = format!("min({}, {}u)", at.load_bits("from_index"), size.saturating_sub(1));
    writer.line(format!("if ({target} == {}) {{ sum += {}; }}", place[axis], from.load("from_value")));
    writer.line("}");
    finish(writer, "sum", &place, groups)
}

/// Rows of a table by index: arguments table, index.
pub(super) fn take_rows(plan: &Plan, kernel: &OpKernel, software: bool) -> Result<Shader, ExecError> {
    let (table, index) = (&kernel.args[0], &kernel.args[1]);
    let row = numel(&table.shape[1..]);
    let mut writer = Writer::new(plan);
    let (from, at) = (writer.memory(table.place), writer.memory(index.place));
    let (groups, place) = start(&mut writer, kernel, software);
    writer.line(format!("let number = element / {row}u;"));
    writer.line(format!("let from_index = {} + number;", at.base));
    let last = table.shape[0].saturating_sub(1);
    writer.line(format!("let chosen = min({}, {last}u);", at.load_bits("from_index")));
    writer.line(format!("let source = {} + chosen * {row}u + (element - number * {row}u);", from.base));
    finish(writer, &from.load("source"), &place, groups)
}

/// Transpose of [`take_rows`]: arguments index, value. One invocation sums up to four neighbouring columns of a row.
pub(super) fn add_rows(plan: &Plan, kernel: &OpKernel, software: bool) -> Result<Shader, ExecError> {
    let (index, value) = (&kernel.args[0], &kernel.args[1]);
    let (rows, row) = (kernel.shape[0], numel(&kernel.shape[1..]));
    let last_axis = if kernel.shape.len() > 1 { kernel.shape[kernel.shape.len() - 1] } else { 1 };
    let block = neighbours(last_axis);
    let mut sizes = kernel.shape.clone();
    if let Some(last) = sizes.last_mut().filter(|_| block > 1) {
        *last /= block;
    }
    let mut writer = Writer::new(plan);
    epilogue(&mut writer, &kernel.epilogue, kernel.shape.len());
    let (at, from) = (writer.memory(index.place), writer.memory(value.place));
    let groups = elements(&mut writer, numel(&sizes), GROUP, software);
    let place = coordinates(&mut writer, "p", "element", &sizes);
    writer.line(format!("let column = element * {block}u - {} * {row}u;", place[0]));
    for j in 0..block {
        writer.line(format!("var sum{j} = 0.0;"));
    }
    writer.line(loop_over("i", numel(&index.shape)));
    writer.line(format!("let from_index = {} + i;", at.base));
    let target = format!("min({}, {}u)", at.load_bits("from_index"), rows.saturating_sub(1));
    writer.line(format!("if ({target} == {}) {{", place[0]));
    for j in 0..block {
        writer.line(format!("let v{j} = {} + i * {row}u + column + {j}u;", from.base));
        writer.line(format!("sum{j} += {};", from.load(&format!("v{j}"))));
    }
    writer.line("}\n}");
    let (last, before) = place.split_last().map_or((String::new(), String::new()), |(last, before)| {
        (last.clone(), before.iter().map(|name| format!(", {name}")).collect())
    });
    for j in 0..block {
        writer.line(format!("epilogue(sum{j}{before}, {last} * {block}u + {j}u);"));
    }
    writer.line("}");
    writer.finish(GROUP as u32, groups)
}

/// How many elements are still chosen one after the other.
const FEW: usize = 4;

/// Indices of the `k` largest along the last axis, largest first, ties by lower index; what is not a number comes last.
/// A few are chosen one after the other by one invocation a row; more by one invocation an element, which counts those
/// in front of it and writes itself at that place.
pub(super) fn top_k(plan: &Plan, kernel: &OpKernel, k: usize) -> Result<Shader, ExecError> {
    let input = &kernel.args[0];
    let Some((&length, outer)) = input.shape.split_last() else {
        return Err(ExecError::Limit("top-k of a scalar".to_owned()));
    };
    let rows = numel(outer);
    let few = k <= FEW;
    let mut writer = Writer::new(plan);
    epilogue(&mut writer, &kernel.epilogue, kernel.shape.len());
    let x = writer.memory(input.place);
    let is_nan = writer.function("is_nan");
    writer.line(format!("let number = group * {GROUP}u + local;"));
    writer.line(format!("if (number >= {}u) {{ return; }}", if few { rows } else { rows * length }));
    writer.line(if few { "let row = number;".to_owned() } else { format!("let row = number / {length}u;") });
    let place = coordinates(&mut writer, "p", "row", outer);
    let before: String = place.iter().map(|name| format!(", {name}")).collect();
    let value = |at: &str| x.load(at);
    writer.line(format!("let start = {} + row * {length}u;", x.base));
    if few {
        writer.line("var last_value = 0.0;\nvar last_at = 0u;");
        writer.line(loop_over("rank", k));
        writer.line("var best = 0.0;\nvar best_at = 0u;\nvar found = false;");
    } else {
        writer.line(format!("let own_at = number - row * {length}u;\nlet from_own = start + own_at;"));
        writer.line(format!("let own = {};\nvar rank = 0u;", value("from_own")));
    }
    writer.line(loop_over("i", length));
    writer.line(format!("let at = start + i;\nlet value = {};", value("at")));
    // Whether a stands before b: numbers by size, then what is none; then by place.
    let precedes = |a: [&str; 2], b: [&str; 2]| {
        let [a, i] = a;
        let [b, j] = b;
        format!(
            "(({a} > {b} || ({is_nan}({b}) && !{is_nan}({a}))) || \
             (({a} == {b} || ({is_nan}({a}) && {is_nan}({b}))) && {i} < {j}))"
        )
    };
    if few {
        let follows = precedes(["last_value", "last_at"], ["value", "i"]);
        let better = precedes(["value", "i"], ["best", "best_at"]);
        writer.line(format!("if ((rank == 0u || {follows}) && (!found || {better})) {{"));
        writer.line("best = value;\nbest_at = i;\nfound = true;\n}\n}");
        writer.line("last_value = best;\nlast_at = best_at;");
        writer.line(format!("epilogue(f32(best_at){before}, rank);\n}}"));
    } else {
        writer.line(format!("if ({}) {{ rank += 1u; }}\n}}", precedes(["value", "i"], ["own", "own_at"])));
        writer.line(format!("if (rank < {k}u) {{ epilogue(f32(own_at){before}, rank); }}"));
    }
    let invocations = if few { rows } else { rows * length };
    writer.finish(GROUP as u32, invocations.div_ceil(GROUP))
}
