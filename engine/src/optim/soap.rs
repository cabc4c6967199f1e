//! SOAP (Vyas et al. 2024, arXiv 2409.11321, algorithm 3): Adam in the eigenbasis of Shampoo's preconditioner. Along each side
//! of a matrix G the products of its gradients are averaged, `L += (1 - beta2) (G G^T - L)` and `R += (1 - beta2) (G^T G - R)`,
//! and the columns of Q_L and Q_R follow their eigenvectors. With the mean gradient m and the mean v of the squares of
//! `Q_L^T G Q_R`, after t updates that moved:
//!
//! `theta -= lr (sqrt(1 - beta2^t) / (1 - beta1^t) Q_L ((Q_L^T m Q_R) / (sqrt(v) + eps)) Q_R^T + decay theta)`
//!
//! The first update moves nothing: its gradient only gives the bases, the eigenvectors of L and R. After every tenth one
//! ([`OptimizerSpec::basis_every`]) they are brought up to date by a power iteration, `Q R = L Q`, its columns by falling
//! curvature along the old ones. The bases of an update so never know its own gradient. A kernel of a convolution has a basis
//! along each of its axes; vectors, and sides longer than [`MOST`], have none.

use super::{Direction, Hyper, Kernel, Renewal, State, Step};
use crate::graph::{Graph, GraphError, NodeId, numel};
use crate::model::{ParamEntry, ParamLayout};
use crate::numeric::{Eigen, Matrix, dot, eigen, places};

const MEAN: State = State::vector("soap.m");
const SECOND: State = State::vector("soap.v");
/// L and R of all sides that have a basis, one after another.
const FACTORS: State = State { name: "soap.factors", len: squares };
/// Their Q, columns of which are basis vectors.
const BASES: State = State { name: "soap.bases", len: squares };

// What it divides by is diagonal in its own bases, not in theta.
pub(super) const KERNEL: Kernel = Kernel {
    looks: true,
    yields: super::Yields::Decayed,
    renews: Some(Renewal {
        states: &[FACTORS, BASES, SECOND],
        due: |spec, updates| (updates - 1.0) % spec.basis_every.max(1) as f64 == 0.0,
        renew,
    }),
    own: |_, bias| {
        if bias.updates() > 1.0 {
            [1.0, bias.mean_correction() / libm::sqrt(bias.square_correction())]
        } else {
            [0.0; 2]
        }
    },
    ..Kernel::of(&[MEAN, SECOND, FACTORS, BASES], direction)
};

/// The longest side that has a basis: to bring one up to date takes some `6 n^3` operations on the host.
const MOST: usize = 256;
/// Curvature below this share of the largest is what rounding leaves; what it has for directions is left to the reflections.
const NEGLIGIBLE: f64 = 1e-6;

/// Whether a side of so many rows has a basis.
fn sided(entry: &ParamEntry, n: usize) -> bool {
    entry.shape.len() > 1 && (2..=MOST).contains(&n)
}

/// Numbers of all bases together.
fn squares(layout: &ParamLayout) -> usize {
    let sides = layout.entries().iter().flat_map(|entry| entry.shape.iter().filter(|&&n| sided(entry, n)));
    sides.map(|n| n * n).sum()
}

fn direction(step: &mut Step<'_>) -> Result<Direction, GraphError> {
    let moves = step.hyper(Hyper::First)?;
    let [mean, second] = [(MEAN, Hyper::NewMean), (SECOND, Hyper::NewSquare)].map(|(state, share)| {
        let share = step.hyper(share)?;
        Ok::<_, GraphError>((step.state(state)?, step.graph.mul(share, moves)?))
    });
    let ((mean, of_mean), (second, of_second)) = (mean?, second?);
    let m = step.mix(of_mean, mean, step.gradient)?;

    let (mut gradients, mut means, mut outers, mut turns) = (vec![], vec![], vec![], vec![]);
    let mut done = 0;
    for entry in step.layout.entries() {
        let size = [numel(&entry.shape)];
        let mut plain = step.graph.slice(step.gradient, &[entry.offset], &size)?;
        let (mut gradient, mut mean) = (plain, step.graph.slice(m, &[entry.offset], &size)?);
        for &n in &entry.shape {
            let mut basis = None;
            plain = step.graph.reshape(plain, &[n, size[0] / n])?;
            let across = step.graph.transpose(plain)?;
            if sided(entry, n) {
                let outer = step.graph.matmul(plain, across)?;
                outers.push(step.graph.reshape(outer, &[n * n])?);
                let bases = step.state(BASES)?;
                let numbers = step.graph.slice(bases, &[done], &[n * n])?;
                basis = Some(step.graph.reshape(numbers, &[n, n])?);
                done += n * n;
            }
            plain = across;
            gradient = turned(step.graph, gradient, n, basis)?;
            mean = turned(step.graph, mean, n, basis)?;
            let back = basis.map(|basis| step.graph.transpose(basis)).transpose()?;
            turns.push((n, back));
        }
        gradients.push(step.graph.reshape(gradient, &size)?);
        means.push(step.graph.reshape(mean, &size)?);
    }
    let (gradient, mean) = (step.graph.concat(&gradients, 0)?, step.graph.concat(&means, 0)?);
    let square = step.graph.mul(gradient, gradient)?;
    let v = step.mix(of_second, second, square)?;
    let whole = step.over_root(mean, v)?;

    let mut directions = Vec::with_capacity(gradients.len());
    let mut turns = turns.into_iter();
    for entry in step.layout.entries() {
        let size = [numel(&entry.shape)];
        let mut x = step.graph.slice(whole, &[entry.offset], &size)?;
        for (n, back) in turns.by_ref().take(entry.shape.len()) {
            x = turned(step.graph, x, n, back)?;
        }
        directions.push(step.graph.reshape(x, &size)?);
    }
    let direction = step.graph.concat(&directions, 0)?;
    let correction = step.hyper(Hyper::Second)?;
    let direction = step.graph.mul(direction, correction)?;
    let decay = step.graph.mul(step.decay, moves)?;
    let direction = step.graph.add(direction, decay)?;
    let mut states = vec![(MEAN, m), (SECOND, v)];
    if !outers.is_empty() {
        let outers = step.graph.concat(&outers, 0)?;
        states.push((FACTORS, step.average(FACTORS, Hyper::NewSquare, outers)?));
    }
    Ok(Direction { direction, states })
}

/// The first axis, of `n`, made the last: `[n, rest]` becomes `[rest, n]`, in another basis if there is one. Once for each axis
/// of a tensor, and it lies as it did.
fn turned(graph: &mut Graph, x: NodeId, n: usize, basis: Option<NodeId>) -> Result<NodeId, GraphError> {
    let rest = numel(graph.shape(x)) / n;
    let x = graph.reshape(x, &[n, rest])?;
    let x = graph.transpose(x)?;
    match basis {
        Some(basis) => graph.matmul(x, basis),
        None => Ok(x),
    }
}

/// Brings the bases up to date after so many updates, and the squares along with them. A side whose numbers are no longer finite
/// keeps its own.
fn renew(layout: &ParamLayout, updates: f64, states: &mut [Vec<f64>]) {
    let [factors, bases, second] = states else { return };
    let mut done = 0;
    for entry in layout.entries() {
        let size = numel(&entry.shape);
        let mut after = size;
        for &n in &entry.shape {
            after /= n.max(1);
            if !sided(entry, n) {
                continue;
            }
            let place = done..done + n * n;
            done = place.end;
            let square = |values: &[f64]| Matrix { rows: n, columns: n, values: values[place.clone()].to_vec() };
            let (factor, basis) = (square(factors), square(bases));
            if factor.values.iter().any(|number| !number.is_finite()) {
                continue;
            }
            let found = match updates > 1.0 {
                true => followed(&factor, &basis, &mut second[entry.offset..entry.offset + size], after),
                false => eigen(factor.values, n),
            };
            if let Some(basis) = found.and_then(orthonormal) {
                bases[place].copy_from_slice(&basis.values);
            }
        }
    }
}

/// The images of basis vectors, and the curvature along each, largest first; the mean squares of a tensor, `after` numbers from
/// one to the next along this side, in the same order.
fn followed(factor: &Matrix, basis: &Matrix, second: &mut [f64], after: usize) -> Option<Eigen> {
    let n = factor.rows;
    let (old, images) = (basis.transposed(), factor.times(basis)?.transposed());
    let along: Vec<f64> = (0..n).map(|k| dot(old.row(k), images.row(k))).collect();
    let order = places(n, &|a, b| along[b].total_cmp(&along[a]));
    for rows in second.chunks_exact_mut(n * after) {
        let before = rows.to_vec();
        for (row, &from) in rows.chunks_exact_mut(after).zip(&order) {
            row.copy_from_slice(&before[from * after..][..after]);
        }
    }
    let values = order.iter().map(|&k| along[k]).collect();
    Some(Eigen { values, vectors: order.iter().map(|&k| images.row(k).to_vec()).collect() })
}

/// Orthonormal columns that span what the first, the first two, .. of these vectors do.
fn orthonormal(Eigen { values, vectors }: Eigen) -> Option<Matrix> {
    let least = NEGLIGIBLE * values.first()?;
    let column = |row: usize, k: usize| if values[k] > least { vectors[k][row] } else { 0.0 };
    Matrix::from_fn(values.len(), values.len(), column).qr().map(|[q, _]| q)
}
