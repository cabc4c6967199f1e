//! Algorithms on matrices whose spectra are known.

use super::*;
use crate::cpu::CpuExecutor;

/// `Q diag(values) Q^T` with an orthonormal Q made of two random reflections.
fn known(values: &[f64]) -> Dense {
    let n = values.len();
    let mut matrix: Vec<f64> = (0..n * n).map(|k| if k / n == k % n { values[k / n] } else { 0.0 }).collect();
    for index in 0..2 {
        let u: Vec<f64> = gaussian(9, index, n).iter().map(|&x| f64::from(x)).collect();
        let square = dot(&u, &u);
        // I - 2 u u^T / |u|^2 from both sides.
        for pass in 0..2 {
            for line in 0..n {
                let at = |k: usize| if pass == 0 { line * n + k } else { k * n + line };
                let along = 2.0 / square * (0..n).map(|k| matrix[at(k)] * u[k]).sum::<f64>();
                (0..n).for_each(|k| matrix[at(k)] -= along * u[k]);
            }
        }
    }
    Dense::new(n, matrix)
}

/// A bulk about 0 between -1 and 1, five outliers above it and two below.
fn spectrum(n: usize) -> Vec<f64> {
    let outliers = [100.0, 90.0, 60.0, 59.0, 30.0, -40.0, -20.0];
    (0..n).map(|k| outliers.get(k).copied().unwrap_or_else(|| libm::sin(0.7 * k as f64))).collect()
}

fn block<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

fn solve<A: Algorithm>(mut algorithm: A, matrix: &mut Dense) -> A::Record {
    block(run(&mut algorithm, matrix, &mut CpuExecutor::new())).unwrap()
}

/// `|A v - lambda v|`
fn residual(matrix: &mut Dense, pair: &Eigenpair) -> f64 {
    let image = block(matrix.apply(&mut CpuExecutor::new(), vec![pair.vector.clone()])).unwrap().remove(0);
    let rest: Vec<f64> =
        image.iter().zip(&pair.vector).map(|(&w, &v)| f64::from(w) - pair.value * f64::from(v)).collect();
    norm(&rest)
}

/// Eigenvalues of a trained network that negative curvature dominates: 0.0217, 0.0016, a bulk about 0, and down to -1.94.
#[test]
fn the_largest_eigenvalue_is_found_below_large_negative_ones() {
    let values: Vec<f64> = (0..300)
        .map(|k| match k {
            0 => 0.0217,
            1 => 0.0016,
            2 => -1.94,
            3..20 => -1.2 / k as f64,
            _ => 1e-3 * libm::sin(0.7 * k as f64),
        })
        .collect();
    let mut matrix = known(&values);
    let pairs = solve(Eigenpairs::new(300, [1, 0], 1e-2, 120, &[], (1, 0)), &mut matrix);
    assert!(pairs.converged && pairs.products < 60, "{} products", pairs.products);
    assert!((pairs.largest[0].value - 0.0217).abs() < 1e-5, "{}", pairs.largest[0].value);
    // Too few products are not taken for an answer.
    let few = solve(Eigenpairs::new(300, [1, 0], 1e-2, 4, &[], (1, 0)), &mut matrix);
    assert!(!few.converged && few.largest[0].residual > 0.1 * few.largest[0].value.abs());
}

#[test]
fn the_ends_of_a_known_spectrum_are_found() {
    let n = 500;
    let values = spectrum(n);
    let mut matrix = known(&values);
    let pairs = solve(Eigenpairs::new(n, [5, 2], 1e-5, 300, &[], (1, 0)), &mut matrix);
    assert!(pairs.converged);
    for (pair, expected) in pairs.largest.iter().chain(&pairs.smallest).zip(&values) {
        assert!((pair.value / expected - 1.0).abs() < 1e-4, "{} against {expected}", pair.value);
        assert!(pair.residual < 2e-3 && residual(&mut matrix, pair) < 2e-3);
        assert!((norm(&pair.vector) - 1.0).abs() < 1e-6);
    }
    // A start from what was found needs no more than to confirm it.
    let again = solve(Eigenpairs::new(n, [5, 2], 1e-3, 300, &pairs.vectors(), (1, 1)), &mut matrix);
    assert!(again.converged);
    assert_eq!(again.products, 7 + 1);
}

#[test]
fn close_eigenvalues_are_told_apart() {
    // Evenly spaced: the basis fills up many times before the top has settled.
    let n = 500;
    let values: Vec<f64> = (0..n).map(|k| (n - k) as f64 / n as f64).collect();
    let mut matrix = known(&values);
    let pairs = solve(Eigenpairs::new(n, [5, 0], 1e-5, 600, &[], (1, 0)), &mut matrix);
    assert!(pairs.converged, "after {} products", pairs.products);
    for (pair, expected) in pairs.largest.iter().zip(&values) {
        assert!((pair.value / expected - 1.0).abs() < 1e-4, "{} against {expected}", pair.value);
        assert!(residual(&mut matrix, pair) < 2e-5);
    }
}

#[test]
fn lanczos_finds_the_top_of_a_known_spectrum() {
    let n = 500;
    let values = spectrum(n);
    let mut matrix = known(&values);
    let mut lanczos = Lanczos::new(&gaussian(1, 1, n), 60);
    let ritz = block(run(&mut lanczos, &mut matrix, &mut CpuExecutor::new())).unwrap();
    assert_eq!(ritz.products, 60);
    assert!((ritz.weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    for (k, expected) in values.iter().take(5).enumerate() {
        let value = ritz.values[k];
        assert!((value / expected - 1.0).abs() < 1e-4, "{value} against {expected}");
        assert!(ritz.residuals[k] < 1e-4);
        let pair = Eigenpair { value, vector: lanczos.vector(k).unwrap(), residual: 0.0 };
        assert!(residual(&mut matrix, &pair) < 2e-3);
    }
    // The bound holds for every node, also for those that have not settled.
    for (value, residual) in ritz.values.iter().zip(&ritz.residuals) {
        let nearest = values.iter().map(|exact| (exact - value).abs()).fold(f64::INFINITY, f64::min);
        assert!(nearest <= residual + 1e-4, "{value}: {nearest} beyond {residual}");
    }
    assert_eq!(lanczos.vector(60), None);
}

#[test]
fn repeated_eigenvalues_and_small_matrices() {
    // Rank one, and more pairs wanted than that has.
    let mut matrix = known(&[3.0, 0.0, 0.0, 0.0]);
    let pairs = solve(Eigenpairs::new(4, [3, 0], 1e-5, 50, &[], (1, 0)), &mut matrix);
    assert!(pairs.converged && pairs.products <= 4);
    for (pair, expected) in pairs.largest.iter().zip([3.0, 0.0, 0.0]) {
        assert!((pair.value - expected).abs() < 1e-5);
    }
    // The identity stops Lanczos at once.
    let mut identity = known(&[1.0; 6]);
    let ritz = solve(Lanczos::new(&gaussian(1, 0, 6), 5), &mut identity);
    assert_eq!(ritz.products, 1);
    assert!((ritz.values[0] - 1.0).abs() < 1e-6);
    let nothing = solve(Lanczos::new(&[0.0; 6], 5), &mut identity);
    assert_eq!(nothing, Ritz::default());
}

#[test]
fn products_that_are_not_finite_end_a_search() {
    let mut matrix = Dense::new(3, vec![f64::NAN; 9]);
    let pairs = solve(Eigenpairs::new(3, [1, 1], 1e-3, 50, &[], (1, 0)), &mut matrix);
    assert!(!pairs.converged && pairs.largest.is_empty() && pairs.smallest.is_empty());
    assert_eq!(solve(Lanczos::new(&[1.0; 3], 3), &mut matrix), Ritz { products: 1, ..Ritz::default() });
    assert_eq!(solve(Density::new(3, 3, 2, 1, 1, 0), &mut matrix).range(), None);
}

/// Area between two distribution functions, each of sorted nodes with weights.
fn wasserstein(mut a: Vec<(f64, f64)>, b: &[(f64, f64)]) -> f64 {
    a.extend(b.iter().map(|&(value, weight)| (value, -weight)));
    a.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (mut between, mut area) = (0.0f64, 0.0);
    for pair in a.windows(2) {
        between += pair[0].1;
        area += between.abs() * (pair[1].0 - pair[0].0);
    }
    area
}

#[test]
fn a_density_is_that_of_the_eigenvalues() {
    let n = 500;
    let values = spectrum(n);
    let mut matrix = known(&values);
    let spectrum = solve(Density::new(n, 40, 8, 3, 1, 0), &mut matrix);
    assert_eq!((spectrum.probes.len(), spectrum.products), (8, 320));
    let probes = spectrum.probes.len() as f64;
    let nodes = spectrum.probes.iter().flat_map(|probe| probe.values.iter().zip(&probe.weights));
    let nodes: Vec<(f64, f64)> = nodes.map(|(&value, &weight)| (value, weight / probes)).collect();
    let share_below: f64 = nodes.iter().filter(|(value, _)| *value <= 10.0).map(|(_, weight)| weight).sum();
    let exact: Vec<(f64, f64)> = values.iter().map(|&value| (value, 1.0 / n as f64)).collect();
    let distance = wasserstein(nodes, &exact);
    let [low, high] = spectrum.range().unwrap();
    assert!((low + 40.0).abs() < 0.01 && (high - 100.0).abs() < 0.01);
    assert!(distance < 0.02 * (high - low), "{distance}");
    let below = values.iter().filter(|value| **value <= 10.0).count() as f64 / n as f64;
    assert!((share_below - below).abs() < 0.01);
    let mean = values.iter().sum::<f64>() / n as f64;
    assert!((spectrum.mean().value - mean).abs() < 0.02 * (high - low));

    for (axis, width) in [(DensityAxis::Linear, 0.5), (DensityAxis::SymmetricLog { linear: 0.1 }, 0.05)] {
        let curve = spectrum.smoothed(axis, width, 4001);
        let step = curve.places[1] - curve.places[0];
        let integral: f64 = curve.density.iter().sum::<f64>() * step;
        assert!((integral - 1.0).abs() < 1e-6, "{integral}");
        let smooth = |place: f64| -> f64 {
            let bell = |x: f64| libm::exp(-0.5 * x * x) / (width * libm::sqrt(std::f64::consts::TAU));
            values.iter().map(|&value| bell((place - axis.place(value)) / width)).sum::<f64>() / n as f64
        };
        // The smoothed curves' distance, on the axis.
        let (mut between, mut area) = (0.0f64, 0.0);
        for (&place, density) in curve.places.iter().zip(&curve.density) {
            between += (density - smooth(place)) * step;
            area += between.abs() * step;
        }
        let range = axis.place(high) - axis.place(low);
        assert!(area < 0.02 * range, "{axis:?}: {area} of {range}");
    }
    assert_eq!(Spectrum::default().smoothed(DensityAxis::Linear, 1.0, 9), Curve::default());
}

#[test]
fn what_is_known_is_not_estimated() {
    let n = 500;
    let values = spectrum(n);
    let mut matrix = known(&values);
    let pairs = solve(Eigenpairs::new(n, [5, 2], 1e-5, 300, &[], (1, 0)), &mut matrix);
    let found = solve(Density::new(n, 20, 2, 2, 1, 0).beside(pairs.largest.iter().chain(&pairs.smallest)), &mut matrix);
    assert_eq!((found.size, found.known.len(), found.products), (n, 7, 40));
    // No node of the rest lies beyond its bulk, and the known ones count once each.
    assert!(found.probes.iter().flat_map(|probe| &probe.values).all(|value| value.abs() < 1.01));
    let above: f64 = found.nodes(&found.probes[0]).filter(|(value, _)| *value > 10.0).map(|(_, share)| share).sum();
    assert!((above - 5.0 / n as f64).abs() < 1e-9, "{above}");
    let [low, high] = found.range().unwrap();
    assert!((low + 40.0).abs() < 0.01 && (high - 100.0).abs() < 0.01);
    let trace = found.trace();
    let right: f64 = values.iter().sum();
    assert!((trace.mean - right).abs() <= trace.half && trace.half < 100.0, "{trace:?} holds {right}");
    assert!((found.mean().value * n as f64 - trace.mean).abs() < 1e-6 * right.abs());
    // All known: nothing is left to be estimated.
    let mut small = known(&[3.0, -1.0]);
    let pairs = solve(Eigenpairs::new(2, [2, 0], 1e-5, 9, &[], (1, 0)), &mut small);
    let all = solve(Density::new(2, 5, 2, 1, 1, 0).beside(&pairs.largest), &mut small);
    assert_eq!((all.products, all.range()), (0, None));
}

#[test]
fn an_axis_inverts() {
    let axis = DensityAxis::SymmetricLog { linear: 0.01 };
    for value in [-30.0, -0.001, 0.0, 1e-5, 2.0] {
        assert!((axis.value(axis.place(value)) - value).abs() < 1e-12);
    }
}

#[test]
fn traces_and_norms_lie_within_three_standard_errors() {
    let n = 500;
    let values = spectrum(n);
    let trace: f64 = values.iter().sum();
    let squares = dot(&values, &values);
    let mut matrix = known(&values);
    let plain = solve(Hutchinson::new(n, 60, 4, 1, 0), &mut matrix);
    assert_eq!(plain.products, 60);
    assert!((plain.value - trace).abs() < 3.0 * plain.error, "{plain:?} against {trace}");
    let better = solve(HutchPlusPlus::new(n, 60, 4, 1, 0), &mut matrix);
    assert_eq!(better.products, 60);
    assert!((better.value - trace).abs() < 3.0 * better.error, "{better:?} against {trace}");
    assert!(better.error < plain.error / 3.0, "{better:?} against {plain:?}");
    let square = solve(Frobenius::new(n, 60, 4, 1, 0), &mut matrix);
    assert!((square.value - squares).abs() < 3.0 * square.error, "{square:?} against {squares}");
    let single = solve(Hutchinson::new(n, 1, 4, 1, 0), &mut matrix);
    assert!(single.error.is_infinite());
}

/// Study 01, exact check 5: the norm of a matrix of 50 x 50 from 2,000 vectors.
#[test]
fn a_frobenius_norm_comes_within_five_percent() {
    let values = spectrum(50);
    let squares = dot(&values, &values);
    let found = solve(Frobenius::new(50, 2000, 8, 3, 0), &mut known(&values));
    assert!((found.value / squares - 1.0).abs() < 0.05, "{found:?} against {squares}");
}

#[test]
fn composed_operators() {
    let (a, b) = (vec![2.0, 1.0, 1.0, 3.0], vec![1.0, 0.5, 0.5, -1.0]);
    let (mut first, mut second) = (Dense::new(2, a.clone()), Dense::new(2, b));
    let mut executor = CpuExecutor::new();
    let mut difference = Difference::new(&mut first, &mut second);
    assert_eq!((difference.size(), difference.lanes()), (2, 1));
    let vectors = vec![vec![1.0, 0.0], vec![1.0, 2.0]];
    let products = block(difference.apply(&mut executor, vectors.clone())).unwrap();
    assert_eq!(products, [[1.0, 0.5], [2.0, 8.5]]);
    let mut matrix = Dense::new(2, a);
    let mut scaled = Scaled::new(&mut matrix, &[1.0, 2.0]);
    assert_eq!(block(scaled.apply(&mut executor, vectors)).unwrap(), [[2.0, 2.0], [6.0, 26.0]]);
}
