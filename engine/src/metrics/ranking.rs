//! How good an order is.

use crate::numeric::{pearson, ranks};

/// Area under the receiver operating characteristic: the chance that a positive example scores above a negative one, ties
/// counting half (Mann and Whitney's statistic). NaN without examples of both kinds.
#[must_use]
pub fn auc(scores: &[f64], positive: &[bool]) -> f64 {
    let of_positives: f64 = ranks(scores).iter().zip(positive).filter(|(_, yes)| **yes).map(|(rank, _)| rank).sum();
    let n = positive.iter().filter(|&&yes| yes).count() as f64;
    (of_positives - n * (n + 1.0) / 2.0) / (n * (scores.len() as f64 - n))
}

/// Relevance of the `k` items of the highest scores, the highest first; of equal scores the earlier item comes first.
fn top<T: Copy>(scores: &[f64], relevant: &[T], k: usize) -> Vec<T> {
    let mut order: Vec<usize> = (0..scores.len().min(relevant.len())).collect();
    crate::numeric::sort_by(&mut order, &|&a, &b| scores[b].total_cmp(&scores[a]));
    order.into_iter().take(k).map(|item| relevant[item]).collect()
}

/// Precision at k: share of relevant items among the k of the highest scores; places without an item count as not relevant.
#[must_use]
pub fn precision_at(scores: &[f64], relevant: &[bool], k: usize) -> f64 {
    top(scores, relevant, k).into_iter().filter(|&yes| yes).count() as f64 / k as f64
}

/// Normalised discounted cumulative gain at k: gains over log2 of the place plus one, of what the best order would have
/// (Järvelin and Kekäläinen 2002). NaN where nothing has a gain.
#[must_use]
pub fn ndcg_at(scores: &[f64], gains: &[f64], k: usize) -> f64 {
    let discounted = |gains: Vec<f64>| -> f64 {
        gains.iter().enumerate().map(|(place, gain)| gain / libm::log2(place as f64 + 2.0)).sum()
    };
    discounted(top(scores, gains, k)) / discounted(top(gains, gains, k))
}

/// Spearman's rank correlation of pairs `[x, y]`; NaN where one of the two does not vary.
#[must_use]
pub fn spearman(pairs: &[[f64; 2]]) -> f64 {
    let [x, y] = [0, 1].map(|side| ranks(&pairs.iter().map(|pair| pair[side]).collect::<Vec<f64>>()));
    pearson(&x.into_iter().zip(y).map(|(x, y)| [x, y]).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sklearn.metrics.roc_auc_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])` is 0.75, the example of its documentation.
    #[test]
    fn the_area_is_scikit_learns() {
        assert_eq!(auc(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]), 0.75);
        assert_eq!(auc(&[1.0, 1.0], &[false, true]), 0.5);
        assert_eq!(auc(&[3.0, 1.0, 2.0], &[true, false, true]), 1.0);
        assert!(auc(&[1.0], &[true]).is_nan());
    }

    #[test]
    fn the_first_places_by_hand() {
        let (scores, relevant) = ([0.9, 0.1, 0.8, 0.7], [true, true, false, true]);
        assert_eq!(precision_at(&scores, &relevant, 1), 1.0);
        assert_eq!(precision_at(&scores, &relevant, 2), 0.5);
        assert_eq!(precision_at(&scores, &relevant, 5), 0.6);
        // Gains 3, 0, 2 in the order given, 3, 2, 0 in the best: (3 + 1) / (3 + 2 / log2 3).
        let found = ndcg_at(&[3.0, 2.0, 1.0], &[3.0, 0.0, 2.0], 3);
        assert!((found - 4.0 / (3.0 + 2.0 / 3.0_f64.log2())).abs() < 1e-12);
    }

    /// `scipy.stats.spearmanr([1, 2, 3, 4, 5], [5, 6, 7, 8, 7])` is 0.8207826816681233, the example of its documentation.
    #[test]
    fn rank_correlation_is_scipys() {
        let pairs = [[1.0, 5.0], [2.0, 6.0], [3.0, 7.0], [4.0, 8.0], [5.0, 7.0]];
        assert!((spearman(&pairs) - 0.820_782_681_668_123_3).abs() < 1e-14);
        assert!(spearman(&[[1.0, 1.0], [2.0, 1.0]]).is_nan());
    }
}
