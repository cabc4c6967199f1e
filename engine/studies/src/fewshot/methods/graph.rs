//! Who is near whom.

use engine::numeric::Matrix;

use super::space::squared_distance;

/// A graph with weights: neighbours of each point. Not symmetrical unless made so.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    /// Of each point: neighbour and weight.
    pub edges: Vec<Vec<(usize, f64)>>,
}

/// Each point's `knn - 1` nearest others, weight 1.
#[must_use]
pub fn neighbour_graph(points: &Matrix, knn: usize) -> Graph {
    let count = knn.saturating_sub(1).min(points.rows.saturating_sub(1));
    let edges = |row: usize| {
        let mut others: Vec<(f64, usize)> = (0..points.rows)
            .filter(|&other| other != row)
            .map(|other| (squared_distance(points.row(row), points.row(other)), other))
            .collect();
        if count > 0 && count < others.len() {
            others.select_nth_unstable_by(count - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        }
        others[..count].iter().map(|&(_, other)| (other, 1.0)).collect()
    };
    Graph { edges: (0..points.rows).map(edges).collect() }
}

impl Graph {
    /// `sum_q w_pq s_q` for every p, `[points, classes]`.
    #[must_use]
    pub fn spread(&self, assigned: &Matrix) -> Matrix {
        let ways = assigned.columns;
        let mut out = Matrix { rows: self.edges.len(), columns: ways, values: vec![0.0; self.edges.len() * ways] };
        for (row, edges) in out.values.chunks_mut(ways.max(1)).zip(&self.edges) {
            for &(other, weight) in edges {
                row.iter_mut().zip(assigned.row(other)).for_each(|(out, s)| *out += weight * s);
            }
        }
        out
    }
}
