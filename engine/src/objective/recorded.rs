//! Losses in burn, for steps that are recorded ([`crate::tape`]).

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

/// Cross-entropy of each row in nats, `[rows]`, of logits `[rows, classes]` against classes `[rows]`.
pub fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [rows, classes] = logits.dims();
    // A comparison with the class numbers instead of a gather: it and its derivative fuse into the row program.
    let class = Tensor::<1, Int>::arange(0..classes as i64, &logits.device()).float().reshape([1, classes]);
    let hit = class.expand([rows, classes]).equal(labels.float().reshape([rows, 1]).expand([rows, classes])).float();
    (hit * log_softmax(logits, 1)).sum_dim(1).reshape([rows]).neg()
}

/// 1 for each row whose largest logit is its class's, else 0, `[rows]`.
pub fn correct(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    let [rows, _] = logits.dims();
    logits.argmax(1).reshape([rows]).float().equal(labels.float()).float()
}
