//! Products on software adapters that run four neighbouring invocations, a quad, as the lanes of one processor's registers.
//!
//! Reading memory is what is dear there: each lane reads by itself. So a quad computes a tile together: every lane reads some
//! rows of the left and some columns of the right operand, and hands its rows to the others.

use crate::executor::ExecError;
use crate::graph::numel;
use crate::graph::plan::Matmul;

use super::fused::{Shape, tail};
use super::matmul::{BUSY_DIRECT, Block, DIRECT_GROUP, LONG_PRODUCT, edge, locate, shrink, tiles, within};
use super::wgsl::{Memory, Shader, Writer, index, loop_over};

/// Lanes of a quad.
const LANES: usize = 4;
/// Rows of the left and columns of the right operand that a lane reads at most.
const MOST: usize = 4;
/// Rows from which on those that a tail goes over are better left to one invocation each.
const FEW_ROWS: usize = 8 * BUSY_DIRECT;

/// Whether a product is large enough to be shared. Before a tail lanes have to wait for each other, which pays only where rows
/// are so few that one invocation would compute little of each at a time.
pub(super) fn pays(matmul: &Matmul) -> bool {
    let rows = numel(&matmul.batch) * matmul.m;
    let large = matmul.m > LANES && matmul.n > LANES && matmul.k <= LONG_PRODUCT;
    large && (matmul.tail.is_none() || rows < FEW_ROWS)
}

/// The product in tiles of up to 16 x 16, one a quad.
pub(super) fn quads(mut writer: Writer<'_>, matmul: &Matmul, a: &Memory, b: &Memory) -> Result<Shader, ExecError> {
    let (m, n, k) = (matmul.m, matmul.n, matmul.k);
    let tile_of = |read: [usize; 2]| read.map(|lines| LANES * lines);
    let count = |read: [usize; 2]| tiles(matmul, tile_of(read)).iter().product();
    let most = [m, n].map(|size| edge(size.div_ceil(LANES), MOST));
    let read = shrink(matmul, most, count, BUSY_DIRECT / LANES);
    let (tile, tiles, quads) = (tile_of(read), count(read), DIRECT_GROUP / LANES);
    if let Some(rows) = &matmul.tail {
        tail(&mut writer, rows, Shape::ALONE);
    }
    writer.use_subgroups();
    writer.line("let lane = local & 3u;");
    writer.line(format!("let number = group * {quads}u + (local >> 2u);"));
    // All lanes go on to the end, as broadcasts demand; quads beyond the last tile repeat it and write nothing.
    writer.line(format!("let tile = {};", within("number", tiles, quads)));
    let (batch, matrix) = locate(&mut writer, matmul, a, b, tile);
    for i in 0..read[0] {
        let row = format!("(first_row + {}u + lane)", LANES * i);
        writer.line(format!("var ia{i} = {};", index("a0", [(within(&row, m, tile[0]), matmul.a.row)])));
    }
    for j in 0..read[1] {
        writer.line(format!("let column{j} = first_column + {}u + lane;", LANES * j));
        let column = within(&format!("column{j}"), n, tile[1]);
        writer.line(format!("var ib{j} = {};", index("b0", [(column, matmul.b.column)])));
    }
    writer.line("let row0 = first_row;");
    let results = Block { size: [tile[0], read[1]], step: 1, tile };
    results.declare(&mut writer);
    multiply(&mut writer, matmul, [a, b], read, if k.is_multiple_of(2) { 2 } else { 1 });
    let spare = !tiles.is_multiple_of(quads);
    if spare {
        writer.line(format!("if (number < {tiles}u) {{"));
    }
    results.finish(&mut writer, matmul, &batch, false);
    if spare {
        writer.line("}");
    }
    if matmul.tail.is_some() {
        writer.line("}\nstorageBarrier();");
        writer.line(loop_over("r", read[0]));
        writer.line(format!("let row = first_row + r * {LANES}u + lane;"));
        writer.line(format!("if (number < {tiles}u && row < {m}u) {{ tail({matrix} * {m}u + row); }}\n}}"));
    }
    writer.finish(DIRECT_GROUP as u32, tiles.div_ceil(quads))
}

/// The loop over the inner product, so many `steps` of it at a time.
fn multiply(writer: &mut Writer<'_>, matmul: &Matmul, [a, b]: [&Memory; 2], read: [usize; 2], steps: usize) {
    writer.line(loop_over("l", matmul.k / steps));
    for step in 0..steps {
        for j in 0..read[1] {
            let at = format!("pb{step}_{j}");
            writer.line(format!("let {at} = ib{j} + {}u;", step * matmul.b.row));
            writer.line(format!("let b{step}_{j} = {};", b.load(&at)));
        }
        for i in 0..read[0] {
            let at = format!("pa{step}_{i}");
            writer.line(format!("let {at} = ia{i} + {}u;", step * matmul.a.column));
            writer.line(format!("let a{step}_{i} = {};", a.load(&at)));
            for lane in 0..LANES {
                let row = LANES * i + lane;
                writer.line(format!("let r{step}_{row} = subgroupBroadcast(a{step}_{i}, {lane}u);"));
                (0..read[1]).for_each(|j| writer.line(format!("c{row}_{j} += r{step}_{row} * b{step}_{j};")));
            }
        }
    }
    (0..read[0]).for_each(|i| writer.line(format!("ia{i} += {}u;", steps * matmul.a.column)));
    (0..read[1]).for_each(|j| writer.line(format!("ib{j} += {}u;", steps * matmul.b.row)));
    writer.line("}");
}
