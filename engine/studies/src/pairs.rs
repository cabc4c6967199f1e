//! Losses over the pairs of a batch: each example is held against the others, of its own label and of other ones.

use burn::tensor::activation::log_softmax;
use burn::tensor::{IndexingUpdateOp, Int, Tensor};

/// Far below any similarity: its exponential is 0.
const FAR: f64 = 1e9;

/// Similarities of a batch with itself, `[n, n]`, an example's with itself left out (far below all); and 1 where two
/// different examples have one label.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Similarities over the temperature.
    pub similarities: Tensor<2>,
    /// Which pairs are of one label.
    pub same: Tensor<2>,
}

impl Batch {
    /// Of similarities `[n, n]`, already over the temperature, and labels.
    pub fn new(similarities: Tensor<2>, labels: Tensor<1, Int>) -> Self {
        let [n, _] = similarities.dims();
        let equal = |of: Tensor<1>| {
            let [down, across] = [[n, 1], [1, n]].map(|shape| of.clone().reshape(shape).expand([n, n]));
            down.equal(across).float()
        };
        let itself = equal(Tensor::<1, Int>::arange(0..n as i64, &similarities.device()).float());
        Self { similarities: similarities - itself.clone() * FAR, same: equal(labels.float()) - itself }
    }

    /// `log sum exp` over the entries of each row where `of` is 1, `[rows, 1]`; far below all where there is none.
    fn log_sum(rows: Tensor<2>, of: Tensor<2>) -> Tensor<2> {
        let [n, k] = rows.dims();
        let kept = rows + (of.clone() - 1.0) * FAR;
        let top = kept.clone().max_dim(1).detach();
        let sum = ((kept - top.clone().expand([n, k])).exp() * of).sum_dim(1);
        (sum + 1e-30).log() + top
    }

    /// Less the logarithm of the weight that the examples of the own label have among those where `of` is 1, a mean over the
    /// batch.
    fn among(&self, of: Tensor<2>) -> Tensor<1> {
        let own = Self::log_sum(self.similarities.clone(), of.clone() * self.same.clone());
        (Self::log_sum(self.similarities.clone(), of) - own).mean()
    }

    /// 1 at the `k` nearest others of each example, the first of equal ones; where none of them is of the own label, also at
    /// the nearest that is. Which examples these are is a constant of the step.
    fn neighbours(&self, k: usize) -> Tensor<2> {
        let [n, _] = self.similarities.dims();
        let nearest = |of: Tensor<2>, k: usize| {
            let places = of.topk_with_indices(k, 1).1;
            let ones = Tensor::ones([n, k], &places.device());
            (self.same.clone() * 0.0).scatter(1, places, ones, IndexingUpdateOp::Add)
        };
        let near = nearest(self.similarities.clone(), k.clamp(1, n - 1));
        let own = nearest(self.similarities.clone() + (self.same.clone() - 1.0) * FAR, 1) * self.same.clone();
        let found = (near.clone() * self.same.clone()).sum_dim(1).clamp_max(1.0);
        near + own * (found.neg() + 1.0).expand([n, n])
    }

    /// LOOK, over the `k` nearest.
    pub fn look(&self, k: usize) -> Tensor<1> {
        self.among(self.neighbours(k))
    }

    /// Neighbourhood components (Goldberger et al. 2004): the same over all others.
    pub fn nca(&self) -> Tensor<1> {
        self.among(self.same.clone() * 0.0 + 1.0)
    }

    /// Supervised contrast (Khosla et al. 2020): less the mean of the logarithms of all examples of the own label.
    pub fn contrast(&self) -> Tensor<1> {
        let counts = self.same.clone().sum_dim(1).clamp_min(1.0);
        let logs = log_softmax(self.similarities.clone(), 1) * self.same.clone();
        (logs.sum_dim(1) / counts).mean().neg()
    }
}

#[cfg(test)]
mod tests {
    use engine::rng::{Rng, Stream};

    use super::*;
    use crate::test_help::Loss;

    /// A loss of similarities `[n, n]` and labels, and its gradient.
    fn loss_of(similarities: &[f32], labels: &[u32], loss: impl Fn(&Batch) -> Tensor<1>) -> (f64, Vec<f32>) {
        let n = labels.len();
        Loss::of([n, n], n, |similarities, labels| loss(&Batch::new(similarities, labels))).at(similarities, labels)
    }

    fn drawn(n: usize, labels: u32) -> (Vec<f32>, Vec<u32>) {
        let mut rng = Rng::new(7, Stream::Probe, n as u32);
        let similarities = (0..n * n).map(|_| 3.0 * rng.normal()).collect();
        (similarities, (0..n as u32).map(|row| row % labels).collect())
    }

    #[test]
    fn all_neighbours_are_nca() {
        let (similarities, labels) = drawn(24, 3);
        let look = loss_of(&similarities, &labels, |batch| batch.look(23));
        let nca = loss_of(&similarities, &labels, Batch::nca);
        assert_eq!(look, nca);
        assert!((loss_of(&similarities, &labels, |batch| batch.look(3)).0 - nca.0).abs() > 1e-2);
    }

    /// Of the first example: two of its label at 1 and 0.2, one of the other at 0.5.
    #[test]
    fn the_log_of_a_sum_is_not_the_sum_of_logs() {
        let labels = [0, 0, 0, 1, 1];
        let mut similarities = vec![-50.0; 25];
        similarities[..5].copy_from_slice(&[9.0, 1.0, 0.2, 0.5, -50.0]);
        // The other rows see one of their own label alone.
        for (row, nearest) in [(1, 0), (2, 0), (3, 4), (4, 3)] {
            similarities[row * 5 + nearest] = 50.0;
        }
        let [a, b, c] = [1.0_f64, 0.2, 0.5].map(f64::exp);
        let look = loss_of(&similarities, &labels, |batch| batch.look(3)).0;
        assert!((5.0 * look + ((a + b) / (a + b + c)).ln()).abs() < 1e-5);
        let contrast = loss_of(&similarities, &labels, Batch::contrast).0;
        let first = -(((a / (a + b + c)).ln() + (b / (a + b + c)).ln()) / 2.0);
        // Rows 1 and 2 are also held to the one of their label that is far from them.
        assert!((5.0 * contrast - (first + 2.0 * 50.0)).abs() < 1e-3, "{contrast}");
    }

    #[test]
    fn what_is_no_neighbour_is_not_pulled() {
        let (similarities, labels) = drawn(16, 2);
        let gradient = loss_of(&similarities, &labels, |batch| batch.look(4)).1;
        for row in 0..16 {
            let mut others: Vec<usize> = (0..16).filter(|&other| other != row).collect();
            let at = |other: usize| similarities[row * 16 + other];
            others.sort_by(|&a, &b| at(b).total_cmp(&at(a)));
            let none = others[..4].iter().all(|&other| labels[other] != labels[row]);
            for (rank, &other) in others.iter().enumerate() {
                let joins = none && others.iter().find(|&&other| labels[other] == labels[row]) == Some(&other);
                let pulled = gradient[row * 16 + other] != 0.0;
                assert!(!pulled || rank < 4 || joins, "{row}, {other}");
            }
            assert_eq!(gradient[row * 16 + row], 0.0, "not itself");
        }
    }

    /// Two islands of one label, each with an island of the other label far away: nothing is left to pull.
    #[test]
    fn a_class_may_have_two_modes() {
        let island = |row: usize| row / 4;
        let similarities: Vec<f32> =
            (0..256).map(|at| if island(at / 16) == island(at % 16) { 10.0 } else { -10.0 }).collect();
        let labels: Vec<u32> = (0..16).map(|row| (island(row) % 2) as u32).collect();
        let (look, gradient) = loss_of(&similarities, &labels, |batch| batch.look(3));
        assert!(look.abs() < 1e-6 && gradient.iter().all(|g| g.abs() < 1e-6));
        assert!(loss_of(&similarities, &labels, Batch::contrast).0 > 1.0);
    }

    /// Ties go to the first, so that order decides nothing else; and names of labels decide nothing at all.
    #[test]
    fn duplicates_and_names_of_labels_change_nothing() {
        let labels = [0, 0, 1, 1, 0, 1];
        // Half of the first two others is of the own label twice, all of them once, and thrice a third example joins them.
        let all_equal = loss_of(&[1.0; 36], &labels, |batch| batch.look(2)).0;
        assert!((6.0 * all_equal - (2.0 * 2.0_f64.ln() + 3.0 * 3.0_f64.ln())).abs() < 1e-5, "{all_equal}");
        let (similarities, labels) = drawn(18, 3);
        let renamed: Vec<u32> = labels.iter().map(|label| (label + 2) % 3).collect();
        for k in [1, 5] {
            let [a, b] = [&labels, &renamed].map(|labels| loss_of(&similarities, labels, |batch| batch.look(k)).0);
            assert_eq!(a, b);
        }
    }

    #[test]
    fn gradients_are_what_differences_say() {
        let (similarities, labels) = drawn(16, 2);
        let mut rng = Rng::new(2, Stream::Probe, 0);
        let along: Vec<f32> = (0..256).map(|_| rng.normal()).collect();
        let losses: [fn(&Batch) -> Tensor<1>; 3] = [|batch| batch.look(5), Batch::nca, Batch::contrast];
        for loss in losses {
            let slope: f64 =
                loss_of(&similarities, &labels, loss).1.iter().zip(&along).map(|(g, d)| f64::from(g * d)).sum();
            let step = 1e-3;
            let at = |side: f32| {
                let moved: Vec<f32> = similarities.iter().zip(&along).map(|(x, d)| x + side * step * d).collect();
                loss_of(&moved, &labels, loss).0
            };
            let found = (at(1.0) - at(-1.0)) / (2.0 * f64::from(step));
            assert!((found - slope).abs() < 1e-3 * slope.abs().max(1.0), "{found} against {slope}");
        }
    }

    /// Independent of the code above: of each row, its positive's exponential over those of all others.
    #[test]
    fn one_positive_each_is_nt_xent() {
        let (similarities, _) = drawn(12, 3);
        let own: Vec<u32> = (0..12).map(|row| row % 6).collect();
        let row = |i: usize| {
            let others = (0..12).filter(|&j| j != i).map(|j| f64::from(similarities[i * 12 + j]).exp());
            others.sum::<f64>().ln() - f64::from(similarities[i * 12 + (i + 6) % 12])
        };
        let wanted = (0..12).map(row).sum::<f64>() / 12.0;
        let (found, _) = loss_of(&similarities, &own, Batch::contrast);
        assert!((found - wanted).abs() < 1e-5, "{found} against {wanted}");
    }

    /// Two pictures at the cosine 0.3, each in two views that are the same, at the temperature 0.5.
    #[test]
    fn two_views_of_two_pictures_by_hand() {
        let cosine = |a: usize, b: usize| if a % 2 == b % 2 { 1.0 } else { 0.3 };
        let similarities: Vec<f32> = (0..16).map(|at| cosine(at / 4, at % 4) / 0.5).collect();
        let found = loss_of(&similarities, &[0, 1, 0, 1], Batch::contrast).0;
        let wanted = -(2.0_f64.exp() / (2.0_f64.exp() + 2.0 * 0.6_f64.exp())).ln();
        assert!((found - wanted).abs() < 1e-5, "{found} against {wanted}");
    }
}
