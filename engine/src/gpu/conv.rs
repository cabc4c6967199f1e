//! Two-dimensional convolution and its transposes with respect to input and kernel, on contiguous NCHW and OIHW tensors.

use crate::executor::ExecError;
use crate::graph::ConvGeometry;
use crate::graph::plan::{OpKernel, Plan};

use super::body::epilogue;
use super::wgsl::{Shader, Writer, coordinates, loop_over};

/// Invocations of a workgroup that does not share anything.
const GROUP: usize = 32;
/// Rounds of a loop up to which one invocation may run it on a software adapter.
const LONG_SUM: usize = 32_768;

/// How many neighbouring channels an invocation computes, which share what it reads: a divisor of `channels`.
fn channel_block(channels: usize) -> usize {
    [4, 2].into_iter().find(|&block| channels.is_multiple_of(block)).unwrap_or(1)
}

/// `a * 3u`, plainly `a` for a factor of 1.
fn times(name: &str, factor: usize) -> String {
    if factor == 1 { name.to_owned() } else { format!("{name} * {factor}u") }
}

/// Declares coordinates of a block of channels at a place: one invocation computes `block` channels from
/// `coordinates[1] * block` on. `shape`: of the result. Yields the number of invocations and the coordinates' names.
fn start(writer: &mut Writer<'_>, shape: &[usize], block: usize) -> (usize, Vec<String>) {
    let sizes = [shape[0], shape[1] / block, shape[2], shape[3]];
    let count = sizes.iter().product();
    writer.line(format!("let element = group * {GROUP}u + local;"));
    writer.line(format!("if (element >= {count}u) {{ return; }}"));
    (count, coordinates(writer, "p", "element", &sizes))
}

/// Runs the epilogue for the accumulators of a block of channels.
fn finish(mut writer: Writer<'_>, block: usize, place: &[String], count: usize) -> Result<Shader, ExecError> {
    let [batch, _, y, x] = place else { return Err(ExecError::Limit("convolution of rank other than 4".to_owned())) };
    for j in 0..block {
        writer.line(format!("epilogue(sum{j}, {batch}, channel + {j}u, {y}, {x});"));
    }
    writer.finish(GROUP as u32, count.div_ceil(GROUP))
}

/// The forward convolution: one invocation a place and block of output channels.
pub(super) fn forward(plan: &Plan, kernel: &OpKernel, geometry: &ConvGeometry) -> Result<Shader, ExecError> {
    let (input, weight) = (&kernel.args[0], &kernel.args[1]);
    let (per_group, channels) = (kernel.shape[1] / geometry.groups, weight.shape[1]);
    let (height, width) = (input.shape[2], input.shape[3]);
    let [kernel_height, kernel_width] = geometry.kernel;
    let block = channel_block(per_group);
    let mut writer = Writer::new(plan);
    epilogue(&mut writer, &kernel.epilogue, 4);
    let (x, w) = (writer.memory(input.place), writer.memory(weight.place));
    let (count, place) = start(&mut writer, &kernel.shape, block);
    writer.line(format!("let channel = {};", times(&place[1], block)));
    writer.line(format!("let first = {} * {}u + channel / {per_group}u * {channels}u;", place[0], input.shape[1]));
    for j in 0..block {
        writer.line(format!("var sum{j} = 0.0;"));
    }
    writer.line(loop_over("i", channels));
    let plane = height * width;
    let taps = kernel_height * kernel_width;
    writer.line(format!("let plane = {} + (first + i) * {plane}u;", x.base));
    writer.line(format!("let taps = {} + (channel * {channels}u + i) * {taps}u;", w.base));
    writer.line(loop_over("ky", kernel_height));
    // Shifted by the padding, so that coordinates stay unsigned.
    writer.line(format!("let y = {} + {};", times(&place[2], geometry.stride[0]), times("ky", geometry.dilation[0])));
    let top = geometry.padding[0];
    writer.line(format!("if (y < {top}u || y >= {}u) {{ continue; }}", height + top));
    writer.line(loop_over("kx", kernel_width));
    writer.line(format!("let x = {} + {};", times(&place[3], geometry.stride[1]), times("kx", geometry.dilation[1])));
    let left = geometry.padding[1];
    writer.line(format!("if (x < {left}u || x >= {}u) {{ continue; }}", width + left));
    writer.line(format!("let at = plane + (y - {top}u) * {width}u + (x - {left}u);"));
    writer.line(format!("let value = {};", x.load("at")));
    for j in 0..block {
        writer.line(format!("let w{j} = taps + {}u + ky * {kernel_width}u + kx;", j * channels * taps));
        writer.line(format!("sum{j} += value * {};", w.load(&format!("w{j}"))));
    }
    writer.line("}\n}\n}");
    finish(writer, block, &place, count)
}

/// The transpose with respect to the input: one invocation a place and block of input channels sums over the windows
/// that cover the place.
pub(super) fn input_grad(plan: &Plan, kernel: &OpKernel, geometry: &ConvGeometry) -> Result<Shader, ExecError> {
    let (cotangent, weight) = (&kernel.args[0], &kernel.args[1]);
    let channels = weight.shape[1];
    let outputs = cotangent.shape[1];
    let per_group = outputs / geometry.groups;
    let (height, width) = (cotangent.shape[2], cotangent.shape[3]);
    let [kernel_height, kernel_width] = geometry.kernel;
    let taps = kernel_height * kernel_width;
    let block = channel_block(channels);
    let mut writer = Writer::new(plan);
    epilogue(&mut writer, &kernel.epilogue, 4);
    let (dy, w) = (writer.memory(cotangent.place), writer.memory(weight.place));
    let (count, place) = start(&mut writer, &kernel.shape, block);
    writer.line(format!("let channel = {};", times(&place[1], block)));
    writer.line(format!("let first = channel / {channels}u * {per_group}u;"));
    for j in 0..block {
        writer.line(format!("var sum{j} = 0.0;"));
    }
    writer.line(loop_over("o", per_group));
    writer.line(format!("let plane = {} + ({} * {outputs}u + first + o) * {}u;", dy.base, place[0], height * width));
    writer.line(format!("let taps = {} + ((first + o) * {channels}u + channel % {channels}u) * {taps}u;", w.base));
    let window =
        |name: &str, coordinate: &str, axis: usize, size: usize| covering(name, coordinate, geometry, axis, size);
    writer.line(loop_over("ky", kernel_height));
    writer.line(window("y", &place[2], 0, height));
    writer.line(loop_over("kx", kernel_width));
    writer.line(window("x", &place[3], 1, width));
    writer.line(format!("let at = plane + y * {width}u + x;"));
    writer.line(format!("let value = {};", dy.load("at")));
    for j in 0..block {
        writer.line(format!("let w{j} = taps + {}u + ky * {kernel_width}u + kx;", j * taps));
        writer.line(format!("sum{j} += value * {};", w.load(&format!("w{j}"))));
    }
    writer.line("}\n}\n}");
    finish(writer, block, &place, count)
}

/// Declares `name`, the window along `axis` (of `windows`) whose tap `k{name}` lies on `coordinate`; continues the loop
/// where there is none.
pub(super) fn covering(name: &str, coordinate: &str, geometry: &ConvGeometry, axis: usize, windows: usize) -> String {
    let (padding, stride, dilation) = (geometry.padding[axis], geometry.stride[axis], geometry.dilation[axis]);
    let tap = times(&format!("k{name}"), dilation);
    format!(
        "let {name}t = {coordinate} + {padding}u;\n\
         if ({name}t < {tap}) {{ continue; }}\n\
         let {name}d = {name}t - {tap};\n\
         let {name} = {name}d / {stride}u;\n\
         if ({name} * {stride}u != {name}d || {name} >= {windows}u) {{ continue; }}"
    )
}

/// The transpose with respect to the kernel: each line of a kernel's taps is a sum over all places of all examples,
/// shared by the lanes of a workgroup; on software adapters one invocation computes it alone.
pub(super) fn kernel_grad(
    plan: &Plan,
    kernel: &OpKernel,
    geometry: &ConvGeometry,
    software: bool,
) -> Result<Shader, ExecError> {
    let (input, cotangent) = (&kernel.args[0], &kernel.args[1]);
    let (outputs, channels) = (kernel.shape[0], kernel.shape[1]);
    let per_group = outputs / geometry.groups;
    let (height, width) = (input.shape[2], input.shape[3]);
    let (examples, rows, columns) = (cotangent.shape[0], cotangent.shape[2], cotangent.shape[3]);
    let [kernel_height, kernel_width] = geometry.kernel;
    let [top, left] = geometry.padding;
    // Some software adapters end loops after 65,535 rounds.
    let alone = software && examples * rows * (columns + 1) <= LONG_SUM;
    let lanes = if alone { 1 } else { (examples * rows * columns).div_ceil(8).next_power_of_two().clamp(1, 128) };
    // Neighbouring outputs share what is read of the input, where enough workgroups remain.
    let lines = outputs * channels * kernel_height;
    let block = if lines < 4096 { 1 } else { channel_block(per_group) };
    let mut writer = Writer::new(plan);
    epilogue(&mut writer, &kernel.epilogue, 4);
    let (x, dy) = (writer.memory(input.place), writer.memory(cotangent.place));
    let count = lines / block;
    let group = if lanes == 1 { GROUP } else { lanes };
    if lanes == 1 {
        writer.line(format!("let element = group * {GROUP}u + local;"));
        writer.line(format!("if (element >= {count}u) {{ return; }}"));
        writer.line("let lane = 0u;");
    } else {
        writer.line("let element = group;");
        writer.line("let lane = local;");
        writer.global(format!("var<workgroup> shared_values: array<f32, {lanes}>;"));
    }
    let place = coordinates(&mut writer, "p", "element", &[outputs / block, channels, kernel_height]);
    writer.line(format!("let output = {};", times(&place[0], block)));
    writer.line(format!("let channel = output / {per_group}u * {channels}u + {};", place[1]));
    writer.line(format!("let down = {};", times(&place[2], geometry.dilation[0])));
    for j in 0..block {
        for tap in 0..kernel_width {
            writer.line(format!("var sum{j}_{tap} = 0.0;"));
        }
    }
    // A line of outputs at a time: one division for many products.
    writer.line(format!("for (var t = lane; t < {}u; t += {lanes}u) {{", examples * rows));
    writer.line(format!("let example = t / {rows}u;"));
    writer.line(format!("let row = t - example * {rows}u;"));
    writer.line(format!("let y = {} + down;", times("row", geometry.stride[0])));
    writer.line(format!("if (y < {top}u || y >= {}u) {{ continue; }}", height + top));
    let plane = format!("(example * {}u + channel) * {}u", input.shape[1], height * width);
    writer.line(format!("let line = {} + {plane} + (y - {top}u) * {width}u;", x.base));
    let plane = format!("(example * {outputs}u + output) * {}u", rows * columns);
    writer.line(format!("let outs = {} + {plane} + row * {columns}u;", dy.base));
    writer.line(loop_over("column", columns));
    for j in 0..block {
        writer.line(format!("let d{j} = outs + {}u + column;", j * rows * columns));
        writer.line(format!("let dy{j} = {};", dy.load(&format!("d{j}"))));
    }
    for tap in 0..kernel_width {
        let across = tap * geometry.dilation[1];
        writer.line(format!("let x{tap} = {} + {across}u;", times("column", geometry.stride[1])));
        writer.line(format!("if (x{tap} >= {left}u && x{tap} < {}u) {{", width + left));
        writer.line(format!("let at = line + x{tap} - {left}u;"));
        writer.line(format!("let value = {};", x.load("at")));
        for j in 0..block {
            writer.line(format!("sum{j}_{tap} += value * dy{j};"));
        }
        writer.line("}");
    }
    writer.line("}\n}");
    for j in 0..block {
        for tap in 0..kernel_width {
            let sum = format!("sum{j}_{tap}");
            if lanes > 1 {
                writer.line(format!("shared_values[lane] = {sum};"));
                writer.line("workgroupBarrier();");
                writer.line(format!("for (var s = {}u; s > 0u; s >>= 1u) {{", lanes / 2));
                writer.line("if (lane < s) { shared_values[lane] += shared_values[lane + s]; }");
                writer.line("workgroupBarrier();\n}");
                writer.line(format!("{sum} = shared_values[0];"));
                writer.line("workgroupBarrier();");
            }
            let call = format!("epilogue({sum}, output + {j}u, {}, {}, {tap}u);", place[1], place[2]);
            writer.line(if lanes > 1 { format!("if (lane == 0u) {{ {call} }}") } else { call });
        }
    }
    writer.finish(group as u32, if lanes == 1 { count.div_ceil(GROUP) } else { count })
}
