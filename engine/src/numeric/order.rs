//! Order statistics. Not-a-number counts as larger than every number.

use std::cmp::Ordering;

/// The places 0..`count` in the order in which `compare` puts them; equal ones stay in theirs. The page sorts whatever it sorts by
/// this: the standard library's sort is five kilobytes of code for each type and order.
#[must_use]
pub fn places(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    places.sort_by(|&a, &b| compare(a, b));
    places
}

/// Sorts by a comparison, equal items as they stand, like the slices' own method; but by the one sort of [`places`], where
/// theirs is compiled for each type of item and comparison anew.
pub fn sort_by<T>(items: &mut [T], compare: &dyn Fn(&T, &T) -> Ordering) {
    let mut from = places(items.len(), &|a, b| compare(&items[a], &items[b]));
    for start in 0..from.len() {
        let mut at = start;
        // Each swap brings one item of the cycle to its place.
        while from[at] != start {
            let next = std::mem::replace(&mut from[at], at);
            items.swap(at, next);
            at = next;
        }
        from[at] = at;
    }
}

/// Sorts by a key, likewise.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: &dyn Fn(&T) -> K) {
    sort_by(items, &|a, b| key(a).cmp(&key(b)));
}

/// Sorts in ascending order, likewise.
pub fn sort<T: Ord>(items: &mut [T]) {
    sort_by(items, &T::cmp);
}

/// Items in the order of their keys, those with equal keys as they stand.
pub fn by_key<T>(items: Vec<T>, key: &dyn Fn(&T) -> u64) -> Vec<T> {
    let keys: Vec<u64> = items.iter().map(key).collect();
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    places(keys.len(), &|a, b| keys[a].cmp(&keys[b])).into_iter().filter_map(|place| items[place].take()).collect()
}

/// The values in ascending order.
#[must_use]
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sort_by(&mut sorted, &f64::total_cmp);
    sorted
}

/// The middle value, or the mean of the two in the middle; NaN of nothing.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// The value below which a share (0 to 1) of the values lies, linear between neighbours (Hyndman and Fan's type 7, the
/// default of NumPy and R); NaN of nothing.
#[must_use]
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let sorted = sorted(values);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = share.clamp(0.0, 1.0) * last as f64;
    let below = at as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (at - below as f64)
}

/// Place of the largest value, the first of equals; none of nothing.
#[must_use]
pub fn argmax<T: Copy + Into<f64>>(values: &[T]) -> Option<usize> {
    let better = |best: usize, place: usize| if values[place].into() > values[best].into() { place } else { best };
    (0..values.len()).reduce(better)
}

/// The rank of each value, from 1; equal values share the mean of their ranks.
#[must_use]
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    sort_by(&mut order, &|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let rank = before as f64 + (tied.len() + 1) as f64 / 2.0;
        tied.iter().for_each(|&place| ranks[place] = rank);
        before += tied.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_stay_as_they_are() {
        let sorted = by_key(vec![(3, 'a'), (1, 'b'), (3, 'c'), (0, 'd'), (1, 'e')], &|(key, _)| *key);
        assert_eq!(sorted.into_iter().map(|(_, name)| name).collect::<String>(), "dbeac");
        let far = [2.0, f64::NAN, -1.0, 2.0];
        assert_eq!(places(far.len(), &|a, b| far[a].total_cmp(&far[b])), [2, 0, 3, 1]);
    }

    #[test]
    fn medians_are_of_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    /// `numpy.quantile([15, 20, 35, 40, 50], [0.05, 0.3, 0.4, 1])`
    #[test]
    fn quantiles_are_numpys() {
        let values = [35.0, 15.0, 50.0, 20.0, 40.0];
        let found = [0.05, 0.3, 0.4, 1.0].map(|share| quantile(&values, share));
        for (found, expected) in found.into_iter().zip([16.0, 23.0, 29.0, 50.0]) {
            assert!((found - expected).abs() < 1e-12, "{found} against {expected}");
        }
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn ties_share_their_ranks() {
        assert_eq!(ranks(&[10.0, 30.0, 20.0, 30.0, 30.0, 5.0]), [2.0, 5.0, 3.0, 5.0, 5.0, 1.0]);
        assert_eq!(ranks(&[0.0, -0.0]), [1.5, 1.5]);
        assert!(ranks(&[]).is_empty());
    }

    #[test]
    fn the_largest_is_the_first_of_equals() {
        assert_eq!(argmax(&[1.0_f32, 3.0, 3.0, f32::NAN]), Some(1));
        assert_eq!(argmax::<f64>(&[]), None);
    }
}
