//! Two-dimensional max pooling, the places of the maxima, and its transpose, on contiguous NCHW tensors.

use crate::executor::ExecError;
use crate::graph::PoolGeometry;
use crate::graph::plan::{OpKernel, Plan};

use super::body::epilogue;
use super::conv::covering;
use super::wgsl::{Shader, Writer, coordinates, elements, loop_over};

const GROUP: usize = 64;

/// Begins the loop over the elements of the result, at the coordinates whose names are yielded after the number of workgroups.
pub(super) fn start(writer: &mut Writer<'_>, kernel: &OpKernel, software: bool) -> (usize, Vec<String>) {
    epilogue(writer, &kernel.epilogue, kernel.shape.len());
    let groups = elements(writer, kernel.shape.iter().product(), GROUP, software);
    (groups, coordinates(writer, "p", "element", &kernel.shape))
}

/// Hands `value` to the epilogue and ends the loop.
pub(super) fn finish(
    mut writer: Writer<'_>,
    value: &str,
    place: &[String],
    groups: usize,
) -> Result<Shader, ExecError> {
    let place: String = place.iter().map(|name| format!(", {name}")).collect();
    writer.line(format!("epilogue({value}{place});\n}}"));
    writer.finish(GROUP as u32, groups)
}

/// The maximum of each window, or (`index`) the flat place `y * w + x` of the first one.
pub(super) fn forward(
    plan: &Plan,
    kernel: &OpKernel,
    geometry: &PoolGeometry,
    index: bool,
    software: bool,
) -> Result<Shader, ExecError> {
    let input = &kernel.args[0];
    let (channels, height, width) = (input.shape[1], input.shape[2], input.shape[3]);
    let [top, left] = geometry.padding;
    let mut writer = Writer::new(plan);
    let x = writer.memory(input.place);
    let (groups, place) = start(&mut writer, kernel, software);
    let plane = format!("({} * {channels}u + {}) * {}u", place[0], place[1], height * width);
    writer.line(format!("let plane = {} + {plane};", x.base));
    writer.line("var best = 0.0;\nvar found = false;\nvar best_at = 0u;");
    writer.line(loop_over("ky", geometry.kernel[0]));
    writer.line(format!("let y = {} * {}u + ky * {}u;", place[2], geometry.stride[0], geometry.dilation[0]));
    writer.line(format!("let iny = (y >= {top}u) & (y < {}u);", height + top));
    writer.line(loop_over("kx", geometry.kernel[1]));
    writer.line(format!("let x = {} * {}u + kx * {}u;", place[3], geometry.stride[1], geometry.dilation[1]));
    writer.line(format!("let here = iny & (x >= {left}u) & (x < {}u);", width + left));
    writer.line(format!("let at = select(0u, (y - {top}u) * {width}u + (x - {left}u), here);"));
    writer.line("let from_plane = plane + at;");
    writer.line(format!("let value = {};", x.load("from_plane")));
    // A NaN must show in the result.
    let is_nan = writer.function("is_nan");
    writer.line(format!("let better = here & (!found | (value > best) | {is_nan}(value));"));
    writer.line("best = select(best, value, better);\nbest_at = select(best_at, at, better);\nfound |= here;\n}\n}");
    finish(writer, if index { "f32(best_at)" } else { "best" }, &place, groups)
}

/// Sums, for each place of the input, the values of the windows whose maximum lies there.
pub(super) fn scatter(
    plan: &Plan,
    kernel: &OpKernel,
    geometry: &PoolGeometry,
    software: bool,
) -> Result<Shader, ExecError> {
    let (index, value) = (&kernel.args[0], &kernel.args[1]);
    let (channels, rows, columns) = (value.shape[1], value.shape[2], value.shape[3]);
    let mut writer = Writer::new(plan);
    let (at, dy) = (writer.memory(index.place), writer.memory(value.place));
    let (groups, place) = start(&mut writer, kernel, software);
    writer.line(format!("let windows = ({} * {channels}u + {}) * {}u;", place[0], place[1], rows * columns));
    writer.line(format!("let here = {} * {}u + {};", place[2], kernel.shape[3], place[3]));
    writer.line("var sum = 0.0;");
    covering(&mut writer, "y", &place[2], geometry, 0, rows);
    covering(&mut writer, "x", &place[3], geometry, 1, columns);
    writer.line(format!("let window = windows + select(0u, y * {columns}u + x, iny & inx);"));
    writer.line(format!("let from_index = {} + window;", at.base));
    writer.line(format!("let from_value = {} + window;", dy.base));
    writer.line(format!("let chosen = iny & inx & ({} == here);", at.load_bits("from_index")));
    writer.line(format!("sum += select(0.0, {}, chosen);\n}}\n}}", dy.load("from_value")));
    finish(writer, "sum", &place, groups)
}
