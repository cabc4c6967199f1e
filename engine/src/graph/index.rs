//! Index maps: how the indices of a tensor follow from the iteration axes of a kernel.
//!
//! Reshapes, permutations, broadcasts and slices between a value and its reader become part of the map, so none of
//! them moves data. A map is affine per tensor axis; where a reshape needs an iteration axis in two pieces, the
//! answer says which ([`Misfit::Split`]), the caller splits it and asks again.

use super::{NodeId, Op, contiguous_strides};

/// `offset + sum of coefficient * iteration index`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Affine {
    /// Value at iteration index 0.
    pub offset: usize,
    /// Iteration axis and its coefficient (not 0), by axis.
    pub terms: Vec<(usize, usize)>,
}

impl Affine {
    /// The index along iteration axis `axis`.
    pub fn axis(axis: usize) -> Self {
        Affine { offset: 0, terms: vec![(axis, 1)] }
    }

    fn add(&mut self, other: &Affine, factor: usize) {
        self.offset += other.offset * factor;
        for &(axis, coefficient) in &other.terms {
            match self.terms.binary_search_by_key(&axis, |&(known, _)| known) {
                Ok(at) => self.terms[at].1 += coefficient * factor,
                Err(at) => self.terms.insert(at, (axis, coefficient * factor)),
            }
        }
    }

    fn max(&self, sizes: &[usize]) -> usize {
        self.offset + self.terms.iter().map(|&(axis, c)| c * (sizes[axis] - 1)).sum::<usize>()
    }
}

/// One index per axis of a tensor.
pub(super) type Map = Vec<Affine>;

/// Why a value cannot be indexed as asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// Split this iteration axis so that its inner part has this size.
    Split {
        /// The iteration axis.
        axis: usize,
        /// Size of the inner part.
        inner: usize,
    },
    /// The value must be in memory, contiguous, before the kernel runs.
    Needs(NodeId),
    /// The nodes cannot share a kernel.
    Never,
}

/// The map of the identity: tensor axis k runs along the k-th iteration axis of size above 1. Yields the
/// iteration sizes as well; `first` is the number of the first iteration axis.
pub(super) fn identity(shape: &[usize], first: usize) -> (Map, Vec<usize>) {
    let mut sizes = Vec::new();
    let map = shape
        .iter()
        .map(|&size| {
            if size == 1 {
                return Affine::default();
            }
            sizes.push(size);
            Affine::axis(first + sizes.len() - 1)
        })
        .collect();
    (map, sizes)
}

/// Word offset and stride per iteration axis of a tensor that lies in memory with `strides` per tensor axis.
pub(super) fn strides_of(map: &Map, strides: &[usize], rank: usize) -> (usize, Vec<usize>) {
    let mut linear = Affine::default();
    for (index, &stride) in map.iter().zip(strides) {
        linear.add(index, stride);
    }
    let mut out = vec![0; rank];
    for &(axis, coefficient) in &linear.terms {
        out[axis] = coefficient;
    }
    (linear.offset, out)
}

/// Splits iteration axis `axis` of size `outer * inner` in two: `axis` and `axis + 1`.
pub(super) fn split_axis(map: &mut Map, axis: usize, inner: usize) {
    for index in map {
        let mut terms = Vec::with_capacity(index.terms.len() + 1);
        for &(known, c) in &index.terms {
            match known.cmp(&axis) {
                std::cmp::Ordering::Less => terms.push((known, c)),
                std::cmp::Ordering::Equal => terms.extend([(axis, c * inner), (axis + 1, c)]),
                std::cmp::Ordering::Greater => terms.push((known + 1, c)),
            }
        }
        index.terms = terms;
    }
}

/// The map of a view's argument, given the view's own.
pub(super) fn through_view(op: &Op, from: &[usize], to: &[usize], map: &Map, sizes: &[usize]) -> Result<Map, Misfit> {
    Ok(match op {
        Op::StopGradient | Op::CustomVjp(_) => map.clone(),
        Op::Reshape(_) => reshape(map, to, from, sizes)?,
        Op::Permute(perm) => {
            let mut out = vec![Affine::default(); perm.len()];
            for (index, &axis) in map.iter().zip(perm) {
                out[axis] = index.clone();
            }
            out
        }
        Op::Broadcast(_) => map
            .iter()
            .zip(from)
            .map(|(index, &size)| if size == 1 { Affine::default() } else { index.clone() })
            .collect(),
        Op::Slice { start, step, .. } => map
            .iter()
            .zip(start.iter().zip(step))
            .map(|(index, (&start, &step))| {
                let mut out = Affine { offset: start, terms: Vec::new() };
                out.add(index, step);
                out
            })
            .collect(),
        _ => return Err(Misfit::Never),
    })
}

/// The map of a tensor of shape `to` that has the same elements as one of shape `from` indexed by `map`.
pub(super) fn reshape(map: &Map, from: &[usize], to: &[usize], sizes: &[usize]) -> Result<Map, Misfit> {
    let mut out = Vec::with_capacity(to.len());
    let (mut i, mut j) = (0, 0);
    // Groups of axes with equal products are independent of each other.
    while i < from.len() || j < to.len() {
        let (first_i, first_j) = (i, j);
        let (mut left, mut right) = (1, 1);
        loop {
            if i < from.len() && (left <= right || j == to.len()) {
                left *= from[i];
                i += 1;
            } else if j < to.len() {
                right *= to[j];
                j += 1;
            }
            if left == right || (i == from.len() && j == to.len()) {
                break;
            }
        }
        let mut linear = Affine::default();
        for (index, stride) in map[first_i..i].iter().zip(contiguous_strides(&from[first_i..i])) {
            linear.add(index, stride);
        }
        out.extend(unflatten(linear, &to[first_j..j], sizes)?);
    }
    Ok(out)
}

/// Splits a row-major element number into indices along `dims`.
pub(super) fn unflatten(mut linear: Affine, dims: &[usize], sizes: &[usize]) -> Result<Map, Misfit> {
    let mut out = vec![Affine::default(); dims.len()];
    for axis in (0..dims.len()).rev() {
        let size = dims[axis];
        if size == 1 {
            continue;
        }
        if dims[..axis].iter().all(|&dim| dim == 1) {
            out[axis] = std::mem::take(&mut linear);
            break;
        }
        let low = Affine {
            offset: linear.offset % size,
            terms: linear.terms.iter().copied().filter(|&(_, c)| c % size != 0).collect(),
        };
        if low.max(sizes) >= size {
            let split = low.terms.iter().find_map(|&(axis, c)| {
                let inner = size / c.max(1);
                let fits = size.is_multiple_of(c) && inner < sizes[axis] && sizes[axis].is_multiple_of(inner);
                fits.then_some(Misfit::Split { axis, inner })
            });
            return Err(split.unwrap_or(Misfit::Never));
        }
        linear = Affine {
            offset: linear.offset / size,
            terms: linear.terms.iter().filter(|&&(_, c)| c % size == 0).map(|&(k, c)| (k, c / size)).collect(),
        };
        out[axis] = low;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshape_splits_merges_and_asks_for_splits() {
        let (map, sizes) = identity(&[4, 6], 0);
        // [4, 6] -> [24]: merged.
        assert_eq!(
            reshape(&map, &[4, 6], &[24], &sizes).unwrap(),
            vec![Affine { offset: 0, terms: vec![(0, 6), (1, 1)] }]
        );
        // [4, 6] -> [2, 2, 6] needs axis 0 in two pieces.
        assert_eq!(reshape(&map, &[4, 6], &[2, 2, 6], &sizes), Err(Misfit::Split { axis: 0, inner: 2 }));
        let mut split = map.clone();
        split_axis(&mut split, 0, 2);
        let sizes = [2, 2, 6];
        assert_eq!(
            reshape(&split, &[4, 6], &[2, 2, 6], &sizes).unwrap(),
            vec![Affine::axis(0), Affine::axis(1), Affine::axis(2)]
        );
        // [6, 4] -> [4, 6] by columns is not affine.
        let (map, sizes) = identity(&[6, 4], 0);
        let transposed = vec![map[1].clone(), map[0].clone()];
        assert_eq!(reshape(&transposed, &[4, 6], &[6, 4], &sizes), Err(Misfit::Never));
    }
}
