//! Bags of embeddings: sums and means of a table's rows over lists of different lengths.

use burn::tensor::{Bool, IndexingUpdateOp, Int, Tensor};

/// Sums `[b, d]` of the rows of a table `[v, d]` named by lists `[b, n]`, of which the places shown count.
pub fn sum(table: Tensor<2>, lists: Tensor<2, Int>, shown: Tensor<2, Bool>) -> Tensor<2> {
    weighted(table, lists, shown.float())
}

/// Means instead of sums; 0 for an empty list.
pub fn mean(table: Tensor<2>, lists: Tensor<2, Int>, shown: Tensor<2, Bool>) -> Tensor<2> {
    let batch = lists.dims()[0];
    let count = shown.clone().float().sum_dim(1).clamp_min(1.0).reshape([batch, 1]);
    sum(table, lists, shown) / count
}

/// Sums of the rows, each times its weight in `[b, n]`; a place of weight 0 counts for nothing.
pub fn weighted(table: Tensor<2>, lists: Tensor<2, Int>, weights: Tensor<2>) -> Tensor<2> {
    let ([batch, length], width) = (lists.dims(), table.dims()[1]);
    let rows = table.select(0, lists.reshape([batch * length])).reshape([batch, length, width]);
    (rows * weights.reshape([batch, length, 1])).sum_dim(1).reshape([batch, width])
}

/// Sums `[bags, d]` of the rows named by one long list `[n]`; `bag` `[n]` says to which bag each belongs.
pub fn sum_flat(table: Tensor<2>, list: Tensor<1, Int>, bag: Tensor<1, Int>, bags: usize) -> Tensor<2> {
    let width = table.dims()[1];
    let empty = Tensor::<2>::zeros([bags, width], &table.device());
    empty.select_assign(0, bag, table.select(0, list), IndexingUpdateOp::Add)
}
