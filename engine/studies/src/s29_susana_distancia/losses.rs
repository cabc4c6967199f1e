//! The two losses on distances that the paper adds to a prototypical network's cross-entropy: a hinge between a query's own
//! and its nearest wrong prototype, and a score of how well neighbours keep classes apart (ICNN).

use burn::tensor::activation::relu;
use burn::tensor::{Int, Tensor};

use engine::objective::recorded::cross_entropy;

use crate::encoder::DIMS;
use crate::fewshot::prototype_logits;

/// Added to a squared distance, so that its root has a slope at 0.
const INSIDE: f64 = 1e-6;
/// Added to divisors.
const EPS: f64 = 1e-8;
/// Added to the distances that are not to be chosen.
const FAR: f64 = 1e6;

/// What the losses can be told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Of the hinge.
    pub margin: f64,
    /// Neighbours in the score.
    pub neighbours: usize,
    /// Whether the variance of distances counts.
    pub variance: bool,
    /// Whether the share of neighbours of the same class counts; it has no gradient.
    pub purity: bool,
    /// Divides the logits of the cross-entropy.
    pub temperature: f64,
}

/// Which losses are added to the cross-entropy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The hinge.
    pub triplet: bool,
    /// The score's.
    pub icnn: bool,
}

/// Parts of the score, each at most 1, and the score: their mean.
#[derive(Debug, Clone)]
pub struct Icnn {
    /// Near to the own class and far from others.
    pub lambda: Tensor<1>,
    /// Evenly so.
    pub omega: Tensor<1>,
    /// Share of neighbours that have the point's class.
    pub gamma: Tensor<1>,
    /// All in one.
    pub score: Tensor<1>,
}

/// Distances of rows, `[a, b]`: roots, not squares.
pub fn distances(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    let ([rows, dims], [columns, _]) = (a.dims(), b.dims());
    let whole = [rows, columns, dims];
    let apart = a.reshape([rows, 1, dims]).expand(whole) - b.reshape([1, columns, dims]).expand(whole);
    (apart.powf_scalar(2.0).sum_dim(2).reshape([rows, columns]) + INSIDE).sqrt()
}

/// 1 where two of these numbers are equal, else 0, `[n, n]`.
fn pairs(of: Tensor<1>) -> Tensor<2> {
    let [n] = of.dims();
    of.clone().reshape([n, 1]).expand([n, n]).equal(of.reshape([1, n]).expand([n, n])).float()
}

/// The smallest number of each row, `[rows, 1]`.
fn least(rows: Tensor<2>) -> Tensor<2> {
    rows.neg().topk_with_indices(1, 1).0.neg()
}

/// Mean over the rows of each row's mean where `wanted` is 1; rows without any do not count. The second is 1, or 0 if no
/// row counts.
fn mean_of(values: Tensor<2>, wanted: Tensor<2>) -> [Tensor<1>; 2] {
    let counts = wanted.clone().sum_dim(1);
    let rows = (values * wanted).sum_dim(1) / counts.clone().clamp_min(1.0);
    let counting = counts.clamp_max(1.0).sum();
    [rows.sum() / counting.clone().clamp_min(1.0), counting.clamp_max(1.0)]
}

/// Variance over all numbers.
fn variance(values: Tensor<2>) -> Tensor<1> {
    let [rows, columns] = values.dims();
    let mean = values.clone().mean().reshape([1, 1]).expand([rows, columns]);
    (values - mean).powf_scalar(2.0).sum() / (rows * columns - 1) as f64
}

/// The inter- and intra-class nearest-neighbour score of vectors `[n, dims]` of these classes. Which neighbours a point has
/// is a constant: gradients go through distances alone. Ties go to the point that comes first.
pub fn icnn(vectors: Tensor<2>, classes: Tensor<1, Int>, settings: &Settings) -> Icnn {
    let [n, _] = vectors.dims();
    let k = settings.neighbours.clamp(1, n - 2);
    let device = vectors.device();
    let itself = pairs(Tensor::<1, Int>::arange(0..n as i64, &device).float());
    let same = pairs(classes.float());
    let all = distances(vectors.clone(), vectors);
    // Itself comes last and is left out.
    let (near, places) = (all.clone() + itself * FAR).neg().topk_with_indices(k, 1);
    let near = near.neg();
    let own = same.clone().gather(1, places);
    let other = own.clone().neg() + 1.0;
    // Distances to neighbours in shares of that to the nearest point of another class, and no longer than 1.
    let nearest = least(all + same * FAR).expand([n, k]);
    let share = near.clone() / (nearest + EPS);
    let longest = share.clone().slice([0..n, k - 1..k]).clamp_min(1.0).expand([n, k]);
    let share = share / longest;
    let across = near * other.clone();
    let widest = least(across.clone().reshape([1, n * k]).neg()).neg();
    let across = across / (widest.expand([n, k]) + EPS);
    let [within, any] = mean_of(share.clone(), own.clone());
    let [between, mixed] = mean_of(across.clone(), other);
    // Without a neighbour of another class they are perfectly apart, without one of the own not at all together.
    let together = (within.neg() + 1.0) * any;
    let apart = between + (mixed.neg() + 1.0);
    let lambda = (together + apart) / 2.0;
    let omega = (variance(share * own.clone()) + variance(across)).neg() + 1.0;
    let gamma = if k + 2 >= n { own.sum() * 0.0 + 1.0 } else { own.sum() / (n * k) as f64 };
    let mut parts = vec![lambda.clone()];
    parts.extend(settings.variance.then(|| omega.clone()));
    parts.extend(settings.purity.then(|| gamma.clone()));
    let count = parts.len() as f64;
    let score = parts.into_iter().reduce(|sum, part| sum + part).map_or_else(|| lambda.clone(), |sum| sum / count);
    Icnn { lambda, omega, gamma, score }
}

/// How far a query is nearer to its own prototype than to the nearest wrong one, `d(own) - d(wrong)` for each, `[queries]`.
/// `vectors`, `form` as for [`prototype_logits`]; `labels`: place of each query's class.
pub fn slack(vectors: Tensor<2>, [ways, shots, queries]: [usize; 3], labels: Tensor<1, Int>) -> Tensor<1> {
    let count = ways * queries;
    let support = vectors.clone().slice(0..ways * shots).reshape([ways, shots, DIMS]);
    let means = support.mean_dim(1).reshape([ways, DIMS]);
    let to = distances(vectors.slice(ways * shots..ways * shots + count), means);
    let places = Tensor::<1, Int>::arange(0..ways as i64, &to.device()).float().reshape([1, ways]);
    let own = places.expand([count, ways]).equal(labels.float().reshape([count, 1]).expand([count, ways])).float();
    let wrong = least(to.clone() + own.clone() * FAR);
    ((to * own).sum_dim(1) - wrong).reshape([count])
}

/// The mean of the cross-entropy and the chosen losses of an episode, and its score. `classes`: place of each vector's class.
pub fn total(
    vectors: Tensor<2>,
    classes: Tensor<1, Int>,
    form: [usize; 3],
    terms: Terms,
    settings: &Settings,
) -> (Tensor<1>, Icnn) {
    let [ways, shots, queries] = form;
    let labels = classes.clone().slice(ways * shots..ways * (shots + queries));
    let score = icnn(vectors.clone(), classes, settings);
    let logits = prototype_logits(vectors.clone(), form) / settings.temperature;
    let mut losses = vec![cross_entropy(logits, labels.clone()).mean()];
    losses.extend(terms.triplet.then(|| relu(slack(vectors, form, labels) + settings.margin).mean()));
    losses.extend(terms.icnn.then(|| score.score.clone().log().neg()));
    let count = losses.len() as f64;
    let sum = losses.into_iter().reduce(|sum, loss| sum + loss);
    (sum.map_or_else(|| score.score.clone(), |sum| sum / count), score)
}
