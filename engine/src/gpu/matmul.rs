//! Batched matrix products of strided operands.
//!
//! Real adapters: a workgroup of 16 x 16 invocations computes a tile of the result from tiles of the operands in workgroup
//! memory, each invocation a block of it in registers. Software adapters, where barriers cost more than memory:
//! each invocation computes a block straight from the operands, or four share what they read ([`super::quads`]). A tail is run
//! by whoever has computed the rows.

use crate::executor::ExecError;
use crate::graph::numel;
use crate::graph::plan::{Matmul, Operand, Plan};

use super::body::epilogue;
use super::device::Adapter;
use super::fused::{Shape, tail};
use super::quads::{self, quads};
use super::wgsl::{Memory, Shader, Writer, coordinates, index, loop_over};

/// Invocations along each side of a workgroup's tile.
const SIDE: usize = 16;
/// Columns of the left and rows of the right operand in workgroup memory at a time.
const DEPTH: usize = 16;
/// Workgroups that keep a real adapter busy; tiles shrink until there are as many.
const BUSY: usize = 128;
/// Parts that a workgroup makes of long inner products.
const SLICES: usize = 4;
/// Invocations of a workgroup without workgroup memory.
pub(super) const DIRECT_GROUP: usize = 16;
/// Invocations that keep a software adapter busy.
pub(super) const BUSY_DIRECT: usize = 64;
/// Length of inner products up to which one invocation may compute them on a software adapter.
pub(super) const LONG_PRODUCT: usize = 32_768;
/// Instructions of a block's epilogues up to which a real adapter finds them written out one after the other.
const UNROLLED: usize = 256;

/// The kernel for `matmul`; `None` where the result is empty.
pub(super) fn shader(plan: &Plan, matmul: &Matmul, adapter: Adapter) -> Result<Option<Shader>, ExecError> {
    if numel(&matmul.batch) * matmul.m * matmul.n == 0 {
        return Ok(None);
    }
    let mut writer = Writer::new(plan);
    epilogue(&mut writer, &matmul.epilogue, matmul.batch.len() + 2);
    let a = writer.memory(matmul.a.place);
    let b = writer.memory(matmul.b.place);
    match adapter {
        Adapter::Quads if quads::pays(matmul) => quads(writer, matmul, &a, &b),
        // Some software adapters end loops after 65,535 rounds.
        Adapter::Quads | Adapter::Software if matmul.k <= LONG_PRODUCT => direct(writer, matmul, &a, &b),
        _ => tiled(writer, matmul, &a, &b),
    }
    .map(Some)
}

/// Tiles of that size that have to be computed: with a tail those of the same rows are one after another.
pub(super) fn tiles(matmul: &Matmul, [down, across]: [usize; 2]) -> [usize; 3] {
    let across = if matmul.tail.is_some() { 1 } else { matmul.n.div_ceil(across) };
    [numel(&matmul.batch), matmul.m.div_ceil(down), across]
}

/// Declares `batch` and the tile's place from the number `tile`, and the operands' first elements `a0` and `b0`; where there is a
/// tail, begins the loop over the columns of tiles. Yields the names of the batch coordinates, and the number of the matrix.
pub(super) fn locate(
    writer: &mut Writer<'_>,
    matmul: &Matmul,
    a: &Memory,
    b: &Memory,
    block: [usize; 2],
) -> (Vec<String>, String) {
    let place = coordinates(writer, "p", "tile", &tiles(matmul, block));
    let batch = coordinates(writer, "z", &place[0], &matmul.batch);
    writer.line(format!("let first_row = {} * {}u;", place[1], block[0]));
    let mut across = place[2].clone();
    if matmul.tail.is_some() {
        across = "across".into();
        writer.line(loop_over(&across, matmul.n.div_ceil(block[1])));
    }
    writer.line(format!("let first_column = {across} * {}u;", block[1]));
    for (name, memory, operand) in [("a0", a, &matmul.a), ("b0", b, &matmul.b)] {
        let base = index(&memory.base, batch.iter().cloned().zip(operand.batch.iter().copied()));
        writer.line(format!("let {name} = {base};"));
    }
    (batch, place[0].clone())
}

/// A block of results in the registers `c{i}_{j}`, at the rows `row{i}` and columns `column{j}`.
pub(super) struct Block {
    /// Results down and across.
    pub size: [usize; 2],
    /// Rows from one to the next.
    pub step: usize,
    /// Rows and columns of the tiles that blocks make up: whether any are beyond the end.
    pub tile: [usize; 2],
}

impl Block {
    /// Declares the registers.
    pub(super) fn declare(&self, writer: &mut Writer<'_>) {
        for i in 0..self.size[0] {
            for j in 0..self.size[1] {
                writer.line(format!("var c{i}_{j} = 0.0;"));
            }
        }
    }

    /// Runs the epilogue for each result that there is, `unrolled` or in a loop over rows, which is the shorter text.
    pub(super) fn finish(&self, writer: &mut Writer<'_>, matmul: &Matmul, batch: &[String], unrolled: bool) {
        let batch: String = batch.iter().map(|name| format!("{name}, ")).collect();
        let (m, n, [down, across]) = (matmul.m, matmul.n, self.size);
        let row_ends = |writer: &mut Writer<'_>, row: &str, value: &dyn Fn(usize) -> String| {
            let whole = m.is_multiple_of(self.tile[0]);
            if !whole {
                writer.line(format!("if ({row} < {m}u) {{"));
            }
            for j in 0..across {
                let call = format!("epilogue({}, {batch}{row}, column{j});", value(j));
                let whole = n.is_multiple_of(self.tile[1]);
                writer.line(if whole { call } else { format!("if (column{j} < {n}u) {{ {call} }}") });
            }
            if !whole {
                writer.line("}");
            }
        };
        if unrolled {
            (0..down).for_each(|i| row_ends(writer, &format!("row{i}"), &|j| format!("c{i}_{j}")));
            return;
        }
        for j in 0..across {
            let column: Vec<String> = (0..down).map(|i| format!("c{i}_{j}")).collect();
            writer.line(format!("var results{j} = array<f32, {down}>({});", column.join(", ")));
        }
        writer.line(loop_over("i", down));
        writer.line(format!("let row = row0 + i * {}u;", self.step));
        row_ends(writer, "row", &|j| format!("results{j}[i]"));
        writer.line("}");
    }
}

/// `name`, or the last of `size` where it is beyond the end; `tile`: how many are computed together.
pub(super) fn within(name: &str, size: usize, tile: usize) -> String {
    if size.is_multiple_of(tile) { name.to_owned() } else { format!("min({name}, {}u)", size - 1) }
}

/// Edge of an invocation's block along an axis of `size`.
pub(super) fn edge(size: usize, most: usize) -> usize {
    size.next_power_of_two().min(most)
}

/// Halves a block until `count` of it reaches `enough`; its rows alone where these stay together for a tail.
pub(super) fn shrink(
    matmul: &Matmul,
    mut block: [usize; 2],
    count: impl Fn([usize; 2]) -> usize,
    enough: usize,
) -> [usize; 2] {
    let may_narrow = matmul.tail.is_none();
    while count(block) < enough && (block[0] > 1 || (may_narrow && block[1] > 1)) {
        let wider = usize::from(may_narrow && block[1] > block[0]);
        block[wider] /= 2;
    }
    block
}

/// One block of up to 8 x 8 results an invocation, straight from memory.
fn direct(mut writer: Writer<'_>, matmul: &Matmul, a: &Memory, b: &Memory) -> Result<Shader, ExecError> {
    let count = |block: [usize; 2]| tiles(matmul, block).iter().product();
    let block = shrink(matmul, [edge(matmul.m, 8), edge(matmul.n, 8)], count, BUSY_DIRECT);
    let tiles = count(block);
    if let Some(rows) = &matmul.tail {
        tail(&mut writer, rows, Shape::ALONE);
    }
    writer.line(format!("let tile = group * {DIRECT_GROUP}u + local;"));
    writer.line(format!("if (tile >= {tiles}u) {{ return; }}"));
    let (batch, matrix) = locate(&mut writer, matmul, a, b, block);
    // Rows and columns beyond the end read the last one and are not written.
    for i in 0..block[0] {
        writer.line(format!("let row{i} = first_row + {i}u;"));
        let row = within(&format!("row{i}"), matmul.m, block[0]);
        writer.line(format!("var ia{i} = {};", index("a0", [(row, matmul.a.row)])));
    }
    for j in 0..block[1] {
        writer.line(format!("let column{j} = first_column + {j}u;"));
        let column = within(&format!("column{j}"), matmul.n, block[1]);
        writer.line(format!("var ib{j} = {};", index("b0", [(column, matmul.b.column)])));
    }
    let results = Block { size: block, step: 1, tile: block };
    results.declare(&mut writer);
    writer.line(format!("for (var l = 0u; l < {}u; l++) {{", matmul.k));
    for i in 0..block[0] {
        writer.line(format!("let a_{i} = {};", a.load(&format!("ia{i}"))));
        writer.line(format!("ia{i} += {}u;", matmul.a.column));
    }
    for j in 0..block[1] {
        writer.line(format!("let b_{j} = {};", b.load(&format!("ib{j}"))));
        writer.line(format!("ib{j} += {}u;", matmul.b.row));
    }
    multiply_block(&mut writer, block);
    writer.line("}");
    results.finish(&mut writer, matmul, &batch, false);
    if matmul.tail.is_some() {
        writer.line("}");
        writer.line(loop_over("r", block[0]));
        let m = matmul.m;
        writer.line(format!("if (first_row + r < {m}u) {{ tail({matrix} * {m}u + first_row + r); }}\n}}"));
    }
    writer.finish(DIRECT_GROUP as u32, tiles.div_ceil(DIRECT_GROUP))
}

fn multiply_block(writer: &mut Writer<'_>, block: [usize; 2]) {
    for i in 0..block[0] {
        for j in 0..block[1] {
            writer.line(format!("c{i}_{j} += a_{i} * b_{j};"));
        }
    }
}

/// How a workgroup with workgroup memory divides its tile.
#[derive(Clone, Copy, Debug)]
struct Team {
    /// Invocations along each side of the tile.
    side: usize,
    /// Results an invocation computes, down and across.
    block: [usize; 2],
    /// Parts of the inner products that the workgroup computes side by side and adds at the end.
    slices: usize,
}

impl Team {
    fn tile(&self) -> [usize; 2] {
        [self.block[0] * self.side, self.block[1] * self.side]
    }

    fn count(&self, matmul: &Matmul) -> usize {
        tiles(matmul, self.tile()).iter().product()
    }

    /// Large tiles read the operands less often; a small result of long inner products (a weight's gradient) would then
    /// occupy few workgroups for long, so these shrink their tiles and share the inner products.
    fn choose(matmul: &Matmul) -> Team {
        let whole = |block| Team { side: SIDE, block, slices: 1 };
        let most = [edge(matmul.m.div_ceil(SIDE), 4), edge(matmul.n.div_ceil(SIDE), 4)];
        let team = whole(shrink(matmul, most, |block| whole(block).count(matmul), BUSY));
        if matmul.tail.is_none() && team.count(matmul) < BUSY && matmul.k >= 4 * SLICES * DEPTH {
            return Team { side: SIDE / 2, block: [2, 2], slices: SLICES };
        }
        team
    }
}

/// Tiles of both operands in workgroup memory.
fn tiled(mut writer: Writer<'_>, matmul: &Matmul, a: &Memory, b: &Memory) -> Result<Shader, ExecError> {
    let team = Team::choose(matmul);
    let Team { side, block, slices } = team;
    let tile = team.tile();
    let invocations = side * side;
    if let Some(rows) = &matmul.tail {
        tail(&mut writer, rows, Shape { rows: tile[0], lanes: invocations / tile[0], lanes_first: true });
    }
    writer.line("let tile = group;");
    let (batch, matrix) = locate(&mut writer, matmul, a, b, tile);
    // One word of padding a line keeps invocations of different lines on different memory banks.
    let pitch = [tile[0] + 1, tile[1] + 1];
    writer.global(format!("var<workgroup> tile_a: array<f32, {}>;", pitch[0] * DEPTH * slices));
    writer.global(format!("var<workgroup> tile_b: array<f32, {}>;", pitch[1] * DEPTH * slices));
    writer.line(format!("let slice = local / {invocations}u;"));
    writer.line(format!("let thread = local % {invocations}u;"));
    writer.line(format!("let x = thread % {side}u;"));
    writer.line(format!("let y = thread / {side}u;"));
    writer.line(format!("let slice_a = slice * {}u;", pitch[0] * DEPTH));
    writer.line(format!("let slice_b = slice * {}u;", pitch[1] * DEPTH));
    let results = Block { size: block, step: side, tile };
    results.declare(&mut writer);
    // All slices go round equally often, as barriers demand; those beyond the end multiply zeros.
    writer.line(format!("for (var first = 0u; first < {}u; first += {}u) {{", matmul.k, DEPTH * slices));
    writer.line(format!("let l = first + slice * {DEPTH}u;"));
    let Operand { row, column, .. } = matmul.a;
    fill(&mut writer, "a", a, [tile[0], matmul.m], [row, column], matmul.k, invocations);
    let Operand { row, column, .. } = matmul.b;
    fill(&mut writer, "b", b, [tile[1], matmul.n], [column, row], matmul.k, invocations);
    writer.line("workgroupBarrier();");
    writer.line(format!("for (var d = 0u; d < {DEPTH}u; d++) {{"));
    for i in 0..block[0] {
        writer.line(format!("let a_{i} = tile_a[slice_a + d * {}u + y + {}u];", pitch[0], i * side));
    }
    for j in 0..block[1] {
        writer.line(format!("let b_{j} = tile_b[slice_b + d * {}u + x + {}u];", pitch[1], j * side));
    }
    multiply_block(&mut writer, block);
    writer.line("}");
    writer.line("workgroupBarrier();");
    writer.line("}");
    if slices > 1 {
        add_slices(&mut writer, team);
    }
    for i in 0..block[0] {
        writer.line(format!("let row{i} = first_row + y + {}u;", i * side));
    }
    for j in 0..block[1] {
        writer.line(format!("let column{j} = first_column + x + {}u;", j * side));
    }
    let unrolled = block[0] * block[1] * matmul.epilogue.code.len() <= UNROLLED;
    results.finish(&mut writer, matmul, &batch, unrolled);
    if matmul.tail.is_some() {
        let m = matmul.m;
        writer.line("}\nstorageBarrier();");
        writer.line(format!("tail({matrix} * {m}u + first_row, min({}u, {m}u - first_row), local);", tile[0]));
    }
    writer.finish((invocations * slices) as u32, team.count(matmul))
}

/// Adds the slices' results in the first slice; the other slices end here.
fn add_slices(writer: &mut Writer<'_>, team: Team) {
    let Team { side, block, slices } = team;
    let (invocations, results) = (side * side, block[0] * block[1]);
    writer.global(format!("var<workgroup> others: array<f32, {}>;", (slices - 1) * results * invocations));
    let names = || (0..block[0]).flat_map(|i| (0..block[1]).map(move |j| format!("c{i}_{j}")));
    writer.line("if (slice > 0u) {");
    for (number, name) in names().enumerate() {
        let place = format!("((slice - 1u) * {results}u + {number}u) * {invocations}u + thread");
        writer.line(format!("others[{place}] = {name};"));
    }
    writer.line("}\nworkgroupBarrier();\nif (slice > 0u) { return; }");
    writer.line(format!("for (var other = 0u; other < {}u; other++) {{", slices - 1));
    for (number, name) in names().enumerate() {
        writer.line(format!("{name} += others[(other * {results}u + {number}u) * {invocations}u + thread];"));
    }
    writer.line("}");
}

/// Copies a tile of an operand to the slice's workgroup memory as `[depth][line]`; a line is a row of the left or a
/// column of the right operand. `lines`: of the tile, of the operand; `strides`: between lines, along the inner product.
fn fill(
    writer: &mut Writer<'_>,
    name: &str,
    memory: &Memory,
    lines: [usize; 2],
    strides: [usize; 2],
    k: usize,
    invocations: usize,
) {
    let first = if name == "a" { "first_row" } else { "first_column" };
    writer.line(format!("for (var e = thread; e < {}u; e += {invocations}u) {{", lines[0] * DEPTH));
    // Neighbouring invocations read neighbouring words.
    if strides[1] <= strides[0] && strides[1] != 0 {
        writer.line(format!("let d = e % {DEPTH}u;"));
        writer.line(format!("let line = e / {DEPTH}u;"));
    } else {
        writer.line(format!("let d = e / {}u;", lines[0]));
        writer.line(format!("let line = e % {}u;", lines[0]));
    }
    writer.line("var value = 0.0;");
    writer.line(format!("if ({first} + line < {}u && l + d < {k}u) {{", lines[1]));
    let terms = [(format!("({first} + line)"), strides[0]), ("(l + d)".to_owned(), strides[1])];
    writer.line(format!("let at = {};", index(&format!("{name}0"), terms)));
    writer.line(format!("value = {};", memory.load("at")));
    writer.line("}");
    writer.line(format!("tile_{name}[slice_{name} + d * {}u + line] = value;", lines[0] + 1));
    writer.line("}");
}
