//! Vectors that have been computed.

/// Vectors of a table's rows, as far as they are known.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cache {
    dims: usize,
    vectors: Vec<f32>,
    known: Vec<bool>,
}

impl Cache {
    /// Of so many rows, none known.
    #[must_use]
    pub fn new(rows: usize, dims: usize) -> Self {
        Self { dims, vectors: vec![0.0; rows * dims], known: vec![false; rows] }
    }

    /// Those of these rows that are not known, each once, ascending.
    #[must_use]
    pub fn missing(&self, rows: &[u32]) -> Vec<u32> {
        let unknown = |row: &u32| self.known.get(*row as usize).is_some_and(|known| !known);
        let mut missing: Vec<u32> = rows.iter().copied().filter(unknown).collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// Takes in the vectors of these rows, one after another.
    pub fn put(&mut self, rows: &[u32], vectors: &[f32]) {
        for (&row, vector) in rows.iter().zip(vectors.chunks_exact(self.dims.max(1))) {
            let row = row as usize;
            if let Some(place) = self.vectors.get_mut(row * self.dims..(row + 1) * self.dims) {
                place.copy_from_slice(vector);
                self.known[row] = true;
            }
        }
    }

    /// The vector of a row; none if it is not known.
    #[must_use]
    pub fn get(&self, row: u32) -> Option<&[f32]> {
        let row = row as usize;
        self.known.get(row).is_some_and(|known| *known).then(|| &self.vectors[row * self.dims..(row + 1) * self.dims])
    }

    /// Numbers of a vector.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.dims
    }
}

#[cfg(test)]
#[test]
fn what_is_known_is_not_missing() {
    let mut cache = Cache::new(4, 2);
    assert_eq!(cache.missing(&[3, 1, 3, 9]), [1, 3]);
    cache.put(&[3, 9], &[1.0, 2.0, 5.0, 5.0]);
    assert_eq!((cache.missing(&[3, 1]), cache.get(3), cache.get(1)), (vec![1], Some([1.0, 2.0].as_slice()), None));
}
