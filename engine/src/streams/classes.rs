//! Streams whose tasks bring new classes.

use crate::rng::{Rng, Stream};

/// The order in which classes arrive under a seed.
#[must_use]
pub fn class_order(classes: u32, seed: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..classes).collect();
    Rng::new(seed, Stream::Tasks, 0).shuffle(&mut order);
    order
}

/// Parts rows by class: task k has the rows of the k-th group of classes, in the order of `order`; groups differ by at most
/// one class, larger ones first. Rows of classes that are not in `order` belong to no task. `labels`: class of each row of
/// the table.
#[must_use]
pub fn split_by_class(
    labels: &[u32],
    rows: impl IntoIterator<Item = u32>,
    order: &[u32],
    tasks: usize,
) -> Vec<Vec<u32>> {
    let tasks = tasks.max(1);
    let mut parts = vec![Vec::new(); tasks];
    // The first `more` groups have one class more than `each`.
    let (each, more) = (order.len() / tasks, order.len() % tasks);
    let task_of = |place: usize| {
        let longer = (each + 1) * more;
        if place < longer { place / (each + 1) } else { more + (place - longer) / each.max(1) }
    };
    for row in rows {
        let class = labels.get(row as usize);
        if let Some(place) = order.iter().position(|known| Some(known) == class) {
            parts[task_of(place)].push(row);
        }
    }
    parts
}

/// Rows of which class number k of `order` keeps the share `ratio^(k / (classes - 1))` (0 < ratio <= 1), the first of each: a
/// long tail (Cui et al. 2019). At least one row of every class stays.
#[must_use]
pub fn long_tailed(labels: &[u32], rows: &[u32], order: &[u32], ratio: f64) -> Vec<u32> {
    let of_class = |class: u32| rows.iter().copied().filter(move |&row| labels.get(row as usize) == Some(&class));
    let last = order.len().saturating_sub(1).max(1) as f64;
    let mut kept: Vec<u32> = Vec::new();
    for (place, &class) in order.iter().enumerate() {
        let share = libm::pow(ratio, place as f64 / last);
        let count = (share * of_class(class).count() as f64).max(1.0) as usize;
        kept.extend(of_class(class).take(count));
    }
    kept.sort_unstable();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [u32; 10] = [0, 1, 2, 3, 4, 4, 3, 2, 1, 0];

    #[test]
    fn tasks_have_the_rows_of_their_classes() {
        assert_eq!(
            split_by_class(&LABELS, 0..10, &[4, 0, 2, 1, 3], 2),
            [[0, 2, 4, 5, 7, 9].to_vec(), vec![1, 3, 6, 8]]
        );
        assert_eq!(split_by_class(&LABELS, 0..5, &[4, 0], 2), [[4], [0]]);
        assert_eq!(split_by_class(&LABELS, 0..10, &[1], 3), [vec![1, 8], vec![], vec![]]);
    }

    #[test]
    fn an_order_is_a_permutation_of_its_seed() {
        let mut order = class_order(10, 3);
        assert_eq!(order, class_order(10, 3));
        assert_ne!(order, class_order(10, 4));
        order.sort_unstable();
        assert!(order.into_iter().eq(0..10));
    }

    #[test]
    fn a_tail_thins_out_geometrically() {
        let labels: Vec<u32> = (0..300).map(|row| row / 100).collect();
        let rows: Vec<u32> = (0..300).collect();
        let kept = long_tailed(&labels, &rows, &[2, 1, 0], 0.01);
        let count = |class: u32| kept.iter().filter(|&&row| labels[row as usize] == class).count();
        assert_eq!([count(2), count(1), count(0)], [100, 10, 1]);
    }
}
