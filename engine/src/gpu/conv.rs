//! Two-dimensional convolution and its transposes with respect to input and kernel, on contiguous NCHW and OIHW tensors.

use crate::executor::ExecError;
use crate::graph::ConvGeometry;
use crate::graph::plan::{OpKernel, Plan};

use super::body::epilogue;
use super::wgsl::{Shader, Writer, coordinates, elements, index, loop_over, quotient};

/// Invocations of a workgroup that does not share anything.
const GROUP: usize = 32;
/// Rounds of a loop up to which one invocation may run it on a software adapter.
const LONG_SUM: usize = 32_768;

/// How many neighbours an invocation computes, which share what it reads: a divisor of how many there are.
pub(super) fn neighbours(count: usize) -> usize {
    [4, 2].into_iter().find(|&block| count.is_multiple_of(block)).unwrap_or(1)
}

/// `a * 3u`, plainly `a` for a factor of 1.
fn times(name: &str, factor: usize) -> String {
    if factor == 1 { name.to_owned() } else { format!("{name} * {factor}u") }
}

/// Begins the loop over blocks of channels at neighbouring places of a row: one invocation computes `block` channels from
/// `coordinates[1] * block` on, at `along` places from `coordinates[3] * along` on. `shape`: of the result. Yields the number of
/// workgroups and the coordinates' names.
fn start(writer: &mut Writer<'_>, shape: &[usize], [block, along]: [usize; 2], software: bool) -> (usize, Vec<String>) {
    let sizes = [shape[0], shape[1] / block, shape[2], shape[3] / along];
    let groups = elements(writer, sizes.iter().product(), GROUP, software);
    let place = coordinates(writer, "p", "element", &sizes);
    writer.line(format!("let channel = {};", times(&place[1], block)));
    for (j, p) in (0..block).flat_map(|j| (0..along).map(move |p| (j, p))) {
        writer.line(format!("var sum{j}_{p} = 0.0;"));
    }
    (groups, place)
}

/// Runs the epilogue for the sums that [`start`] declares, and ends its loop.
fn finish(
    mut writer: Writer<'_>,
    [block, along]: [usize; 2],
    place: &[String],
    groups: usize,
) -> Result<Shader, ExecError> {
    let [batch, _, y, x] = place else { return Err(ExecError::Limit("convolution of rank other than 4".to_owned())) };
    for j in 0..block {
        let sums: Vec<String> = (0..along).map(|p| format!("sum{j}_{p}")).collect();
        if along == 1 {
            writer.line(format!("epilogue({}, {batch}, channel + {j}u, {y}, {x});", sums[0]));
            continue;
        }
        writer.line(format!("var sums{j} = array<f32, {along}>({});", sums.join(", ")));
        writer.line(loop_over("p", along));
        writer.line(format!("epilogue(sums{j}[p], {batch}, channel + {j}u, {y}, {x} * {along}u + p);\n}}"));
    }
    writer.line("}");
    writer.finish(GROUP as u32, groups)
}

/// The forward convolution: one invocation a place and block of output channels; on software adapters a few places, which
/// share what is read of the kernel.
pub(super) fn forward(
    plan: &Plan,
    kernel: &OpKernel,
    geometry: &ConvGeometry,
    software: bool,
) -> Result<Shader, ExecError> {
    let (input, weight) = (&kernel.args[0], &kernel.args[1]);
    let (per_group, channels) = (kernel.shape[1] / geometry.groups, weight.shape[1]);
    let (height, width) = (input.shape[2], input.shape[3]);
    let [kernel_height, kernel_width] = geometry.kernel;
    let [top, left] = geometry.padding;
    let (block, along) = (neighbours(per_group), if software { neighbours(kernel.shape[3]) } else { 1 });
    let mut writer = Writer::new(plan);
    epilogue(&mut writer, &kernel.epilogue, 4);
    let (x, w) = (writer.memory(input.place), writer.memory(weight.place));
    let (groups, place) = start(&mut writer, &kernel.shape, [block, along], software);
    writer.line(format!("let first = {} * {}u + channel / {per_group}u * {channels}u;", place[0], input.shape[1]));
    writer.line(loop_over("i", channels));
    let plane = height * width;
    let taps = kernel_height * kernel_width;
    writer.line(format!("let plane = {} + (first + i) * {plane}u;", x.base));
    writer.line(format!("let taps = {} + (channel * {channels}u + i) * {taps}u;", w.base));
    writer.line(loop_over("ky", kernel_height));
    // Shifted by the padding, so that coordinates stay unsigned.
    writer.line(format!("let y = {} + {};", times(&place[2], geometry.stride[0]), times("ky", geometry.dilation[0])));
    writer.line(format!("let here = (y >= {top}u) & (y < {}u);", height + top));
    writer.line(format!("let row = plane + select(0u, (y - {top}u) * {width}u, here);"));
    writer.line(loop_over("kx", kernel_width));
    for p in 0..along {
        let column = index(&format!("{p}u"), [(place[3].clone(), along)]);
        let across = times("kx", geometry.dilation[1]);
        writer.line(format!("let x{p} = {} + {across};", times(&format!("({column})"), geometry.stride[1])));
        writer.line(format!("let in{p} = here & (x{p} >= {left}u) & (x{p} < {}u);", width + left));
        writer.line(format!("let from{p} = row + select(0u, x{p} - {left}u, in{p});"));
        writer.line(format!("let value{p} = select(0.0, {}, in{p});", x.load(&format!("from{p}"))));
    }
    for j in 0..block {
        writer.line(format!("let at{j} = taps + {}u + ky * {kernel_width}u + kx;", j * channels * taps));
        writer.line(format!("let w{j} = {};", w.load(&format!("at{j}"))));
        (0..along).for_each(|p| writer.line(format!("sum{j}_{p} += value{p} * w{j};")));
    }
    writer.line("}\n}\n}");
    finish(writer, [block, along], &place, groups)
}

/// The transpose with respect to the input: one invocation a place and block of input channels sums over the windows
/// that cover the place.
pub(super) fn input_grad(
    plan: &Plan,
    kernel: &OpKernel,
    geometry: &ConvGeometry,
    software: bool,
) -> Result<Shader, ExecError> {
    let (cotangent, weight) = (&kernel.args[0], &kernel.args[1]);
    let channels = weight.shape[1];
    let outputs = cotangent.shape[1];
    let per_group = outputs / geometry.groups;
    let (height, width) = (cotangent.shape[2], cotangent.shape[3]);
    let [kernel_height, kernel_width] = geometry.kernel;
    let taps = kernel_height * kernel_width;
    let block = neighbours(channels);
    let mut writer = Writer::new(plan);
    epilogue(&mut writer, &kernel.epilogue, 4);
    let (dy, w) = (writer.memory(cotangent.place), writer.memory(weight.place));
    let (groups, place) = start(&mut writer, &kernel.shape, [block, 1], software);
    writer.line(format!("let first = channel / {channels}u * {per_group}u;"));
    writer.line(loop_over("o", per_group));
    writer.line(format!("let plane = {} + ({} * {outputs}u + first + o) * {}u;", dy.base, place[0], height * width));
    writer.line(format!("let taps = {} + ((first + o) * {channels}u + channel % {channels}u) * {taps}u;", w.base));
    covering(&mut writer, "y", &place[2], geometry, 0, height);
    covering(&mut writer, "x", &place[3], geometry, 1, width);
    writer.line("let here = iny & inx;");
    writer.line(format!("let at = plane + select(0u, y * {width}u + x, here);"));
    writer.line(format!("let value = select(0.0, {}, here);", dy.load("at")));
    writer.line(format!("let tap = select(0u, ky * {kernel_width}u + kx, here);"));
    for j in 0..block {
        writer.line(format!("let w{j} = taps + {}u + tap;", j * taps));
        writer.line(format!("sum{j}_0 += value * {};", w.load(&format!("w{j}"))));
    }
    writer.line("}\n}\n}");
    finish(writer, [block, 1], &place, groups)
}

/// Begins the loop over the windows along `axis` (of `windows`) that might cover `coordinate`: `name`, whose tap `k{name}` lies
/// there if `in{name}`. Nothing branches: software adapters run both ways of a branch, and pay for each.
pub(super) fn covering(
    writer: &mut Writer<'_>,
    name: &str,
    coordinate: &str,
    geometry: &ConvGeometry,
    axis: usize,
    windows: usize,
) {
    let (taps, padding) = (geometry.kernel[axis], geometry.padding[axis]);
    let (stride, dilation) = (geometry.stride[axis], geometry.dilation[axis]);
    let from = format!("let {name}t = {coordinate} + {padding}u;");
    // What lies before the first window or tap wraps around, to where there is none.
    if dilation == 1 {
        // Back from the last window that begins by then: no more cover the place than strides go into one.
        writer.line(loop_over(&format!("{name}b"), taps.div_ceil(stride)));
        writer.line(from);
        writer.line(format!("let {name} = {} - {name}b;", quotient(&format!("{name}t"), stride)));
        writer.line(format!("let k{name} = {name}t - {};", times(name, stride)));
        writer.line(format!("let in{name} = (k{name} < {taps}u) & ({name} < {windows}u);"));
        return;
    }
    writer.line(loop_over(&format!("k{name}"), taps));
    writer.line(from);
    writer.line(format!("let {name}d = {name}t - k{name} * {dilation}u;"));
    writer.line(format!("let {name} = {};", quotient(&format!("{name}d"), stride)));
    writer.line(format!("let in{name} = ({} == {name}d) & ({name} < {windows}u);", times(name, stride)));
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
    // Neighbouring outputs share what is read of the input, where enough invocations remain.
    let lines = outputs * channels * kernel_height;
    let block = if lines < if alone { 64 } else { 4096 } { 1 } else { neighbours(per_group) };
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
    writer.line(format!("let example = {};", quotient("t", rows)));
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
        writer.line(format!("let in{tap} = (x{tap} >= {left}u) & (x{tap} < {}u);", width + left));
        writer.line(format!("let at{tap} = line + select(0u, x{tap} - {left}u, in{tap});"));
        writer.line(format!("let value{tap} = select(0.0, {}, in{tap});", x.load(&format!("at{tap}"))));
        (0..block).for_each(|j| writer.line(format!("sum{j}_{tap} += value{tap} * dy{j};")));
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
