//! Row programs that go over a product's rows, one by one, run in the launch of the product: whoever has computed a row goes on
//! with it. Softmax after attention's scores, a norm after a projection, and what their derivatives do to rows.

use super::extent::{Extent, addressed, buffers, conflict, extent, extents, meet};
use super::plan::*;
use super::{DType, numel};

/// Buffers beside the arena that a launch may have, of the eight that every adapter binds.
const MOST_BUFFERS: usize = 6;
/// Rows that keep a processor busy when each is computed by one invocation.
const ENOUGH_ROWS: usize = 32;
/// Elements of a row that one invocation goes over at most.
const LONGEST_ROW: usize = 4096;
/// Multiplications a row up to which it does not matter how many there are.
const SHORT_ROW: usize = 16_384;

/// Joins row programs with the products before them, where nothing in between has to come in between.
pub(super) fn attach(launches: &mut Vec<Launch>) {
    let mut at = 0;
    while at < launches.len() {
        let Some((host, to)) = host(launches, at) else {
            at += 1;
            continue;
        };
        let tail = launches.remove(at);
        let mut joint = launches.remove(host);
        if let (Kernel::Matmul(product), Kernel::Fused(rows)) = (&mut joint.kernel, tail.kernel) {
            product.tail = Some(rows);
        }
        joint.flop += tail.flop;
        joint.bytes += tail.bytes;
        joint.label = format!("{}, {}", joint.label, tail.label);
        launches.insert(to, joint);
    }
}

/// The product that launch `at` can follow, and where the two of them then stand.
fn host(launches: &[Launch], at: usize) -> Option<(usize, usize)> {
    let Kernel::Fused(rows) = &launches[at].kernel else { return None };
    if rows.reduced == 0 {
        return None;
    }
    let own = extents(&launches[at].kernel);
    (0..at).rev().find_map(|host| {
        let Kernel::Matmul(product) = &launches[host].kernel else { return None };
        if product.tail.is_some() || !follows(product, rows) {
            return None;
        }
        let of_host = extents(&launches[host].kernel);
        // Other rows' factors must stay as they are until all rows are computed.
        let disturbs = |a: &Extent| a.written && of_host.iter().any(|b| meet(a, b));
        if own.iter().any(disturbs) || buffers(of_host.iter().chain(&own)) > MOST_BUFFERS {
            return None;
        }
        let between = || launches[host + 1..at].iter().map(|launch| extents(&launch.kernel));
        let free = |of: &[Extent]| between().all(|other| !conflict(of, &other));
        if free(&of_host) { Some((host, at - 1)) } else { free(&own).then_some((host, host)) }
    })
}

/// Does a row program read rows of the product, each from that row alone?
fn follows(product: &Matmul, rows: &Fused) -> bool {
    let outer = rows.axes.len() - rows.reduced;
    let count = numel(&product.batch) * product.m;
    let short = numel(&rows.axes[outer..]) <= LONGEST_ROW;
    if !short || numel(&rows.axes[..outer]) != count || (count < ENOUGH_ROWS && product.n * product.k > SHORT_ROW) {
        return false;
    }
    let axes = [&product.batch[..], &[product.m, product.n]].concat();
    let mut reads = false;
    let fine = (0..rows.body.loads.len()).all(|load| {
        let view = &rows.body.loads[load];
        let addressed = addressed(&rows.body, load);
        let extent = extent(view, &rows.axes, addressed, false);
        product.epilogue.stores.iter().all(|store| {
            if !meet(&extent, &self::extent(&store.view, &axes, 0, true)) {
                return true;
            }
            reads = true;
            let [result, read] = [(&axes[..], &store.view), (&rows.axes[..], view)];
            same_row(result, read, rows.reduced, addressed) && !store.per_row
        })
    });
    fine && reads
}

/// Does every element that `read` reaches in a row, or `addressed` beyond, belong to the same row of `result`?
fn same_row(result: (&[usize], &View), read: (&[usize], &View), reduced: usize, addressed: usize) -> bool {
    let ((axes, result), (read_axes, read)) = (result, read);
    let (m, outer) = (axes.len() - 1, read_axes.len() - reduced);
    let (n, column) = (axes[m], result.strides[m]);
    if result.place.dtype != DType::F32 || read.place.dtype != DType::F32 || read.place.offset < result.place.offset {
        return false;
    }
    let first = read.place.offset - result.place.offset;
    let along = read_axes[outer..].iter().zip(&read.strides[outer..]);
    let last = first + addressed + along.clone().map(|(&size, &stride)| (size - 1) * stride).sum::<usize>();
    let on_columns = |distance: usize| distance.is_multiple_of(column.max(1));
    merged(axes, &result.strides, m) == merged(read_axes, &read.strides, outer)
        && on_columns(first)
        && on_columns(addressed)
        && along.into_iter().all(|(&size, &stride)| size == 1 || on_columns(stride))
        && last <= (n - 1) * column
}

/// Sizes and strides of the first `count` axes, without those of one element, neighbours that run on as one.
fn merged(axes: &[usize], strides: &[usize], count: usize) -> Vec<(usize, usize)> {
    let mut all: Vec<(usize, usize)> = vec![];
    for (&size, &stride) in axes[..count].iter().zip(strides).filter(|(size, _)| **size > 1) {
        match all.last_mut() {
            Some(last) if last.1 == stride * size => *last = (last.0 * size, stride),
            _ => all.push((size, stride)),
        }
    }
    all
}
