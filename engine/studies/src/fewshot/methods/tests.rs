use engine::fewshot::{FewshotSpec, METHODS, Method};
use engine::numeric::Matrix;
use engine::rng::{Rng, Stream};

use super::slk::{Modes, Slk, bound_update, energy};
use super::space::{largest, squared_distances};
use super::*;

/// Clusters of normal points, classes `spread` apart: a support of `shots` a class, and as many queries of each.
struct Task {
    points: Matrix,
    labels: Vec<usize>,
    truth: Vec<usize>,
    ways: usize,
}

fn task(seed: u32, [ways, shots, queries, dims]: [usize; 4], spread: f64) -> Task {
    let mut rng = Rng::new(11, Stream::Probe, seed);
    let mut normal = move || f64::from(rng.normal());
    let means: Vec<f64> = (0..ways * dims).map(|_| spread * normal()).collect();
    let labels: Vec<usize> = (0..ways * shots).map(|at| at / shots).collect();
    let truth: Vec<usize> = (0..ways * queries).map(|at| at / queries).collect();
    let classes: Vec<usize> = labels.iter().chain(&truth).copied().collect();
    let values: Vec<f64> = classes
        .iter()
        .flat_map(|class| means[class * dims..(class + 1) * dims].to_vec())
        .map(|mean| mean + normal())
        .collect();
    Task { points: Matrix { rows: classes.len(), columns: dims, values }, labels, truth, ways }
}

impl Task {
    fn answer(&self, method: Method, settings: &FewshotSpec) -> Answer {
        let centre = vec![0.0; self.points.columns];
        let (points, labels, ways) = (&self.points, &self.labels, self.ways);
        classify(method, &Problem { ways, points, labels, centre: &centre, settings, watched: true })
    }

    fn slk<'a>(&'a self, graph: &'a Graph, lambda: f64, modes: Modes) -> Slk<'a> {
        Slk { points: &self.points, labels: &self.labels, ways: self.ways, graph, lambda, modes, clamp: true }
    }

    fn accuracy(&self, answer: &Answer) -> f64 {
        let right = answer.predicted().iter().zip(&self.truth).filter(|(a, b)| a == b).count();
        right as f64 / self.truth.len() as f64
    }
}

const SHAPE: [usize; 4] = [5, 1, 15, 16];

/// Card 23, check 1.
#[test]
fn without_neighbours_an_outer_iteration_is_lloyds() {
    for seed in 0..20 {
        let task = task(seed, SHAPE, 1.0);
        let none = Graph { edges: vec![vec![]; task.points.rows] };
        let slk = task.slk(&none, 0.0, Modes::Means);
        let first = slk.first_prototypes();
        // Lloyd's step by hand: nearest prototype, the support its own; then means.
        let distances = squared_distances(&task.points, &first);
        let nearest =
            |row: usize| (0..5).min_by(|&a, &b| distances.at(row, a).total_cmp(&distances.at(row, b))).unwrap();
        let labels: Vec<usize> =
            (0..task.points.rows).map(|row| task.labels.get(row).copied().unwrap_or_else(|| nearest(row))).collect();
        let (_, steps) = slk.cluster(first, true);
        assert_eq!(steps[0].predicted, labels[5..]);
        for class in 0..5 {
            let members: Vec<usize> = (0..task.points.rows).filter(|&row| labels[row] == class).collect();
            for column in 0..16 {
                let mean = members.iter().map(|&row| task.points.at(row, column)).sum::<f64>() / members.len() as f64;
                assert!((steps[1].prototypes.at(class, column) - mean).abs() < 1e-6);
            }
        }
        let nearest = largest(&Matrix {
            values: squared_distances(&task.points, &steps[1].prototypes).values.iter().map(|d| -d).collect(),
            rows: 80,
            columns: 5,
        });
        assert_eq!(steps[1].predicted, nearest[5..]);
    }
}

/// `W + W^T` halved, and the least multiple of the identity that surely makes it positive semidefinite (Gershgorin).
fn semidefinite(graph: &Graph) -> Graph {
    let n = graph.edges.len();
    let mut dense = vec![0.0; n * n];
    for (row, edges) in graph.edges.iter().enumerate() {
        for &(other, weight) in edges {
            dense[row * n + other] += weight / 2.0;
            dense[other * n + row] += weight / 2.0;
        }
    }
    let delta = dense.chunks(n).map(|row| row.iter().sum::<f64>()).fold(0.0, f64::max);
    let edges = |row: usize| {
        let row_of = &dense[row * n..(row + 1) * n];
        let mut edges: Vec<(usize, f64)> = row_of.iter().copied().enumerate().filter(|edge| edge.1 != 0.0).collect();
        edges.push((row, delta));
        edges
    };
    Graph { edges: (0..n).map(edges).collect() }
}

/// Card 23, check 2: half of lambda belongs to the update. The energy with all of it grows somewhere.
#[test]
fn the_energy_with_half_of_lambda_never_grows() {
    let mut grown = 0;
    for seed in 0..50 {
        let task = task(seed, SHAPE, 0.7);
        let graph = semidefinite(&neighbour_graph(&task.points, 4));
        let slk = task.slk(&graph, 0.0, Modes::Means);
        let mut costs = squared_distances(&task.points, &slk.first_prototypes());
        costs.values.iter_mut().for_each(|d| *d /= 8.0);
        for lambda in [0.3, 1.5] {
            let mut assigned = bound_update(&costs, &costs, 0.0);
            let mut before = [f64::INFINITY; 2];
            for _ in 0..60 {
                let now = [1.0, 2.0].map(|factor| energy(&assigned, &costs, &graph, factor * lambda, true));
                assert!(now[0] <= before[0] + 1e-5 * now[0].abs(), "task {seed}: {} to {}", before[0], now[0]);
                grown += usize::from(now[1] > before[1] + 1e-5 * now[1].abs());
                before = now;
                assigned = bound_update(&costs, &graph.spread(&assigned), lambda);
            }
        }
    }
    assert!(grown > 0, "the test would not notice the whole lambda");
}

/// Prototypes and assignments take turns until the energy stands still.
#[test]
fn clustering_goes_on_until_its_energy_stands_still() {
    let mut rounds = 0;
    for seed in 0..20 {
        let task = task(seed, SHAPE, 0.7);
        let graph = neighbour_graph(&task.points, 3);
        for lambda in [0.0, 0.7] {
            let slk = task.slk(&graph, lambda, Modes::Means);
            let (_, steps) = slk.cluster(slk.first_prototypes(), true);
            let energies: Vec<f64> = steps.iter().filter_map(|step| step.energy).collect();
            let [.., before, last] = energies[..] else { panic!("task {seed}: one round alone, {energies:?}") };
            assert!((before - last).abs() <= 1e-4 * before.abs(), "task {seed}: {energies:?}");
            rounds = rounds.max(energies.len());
        }
    }
    assert!(rounds > 2, "{rounds}");
}

/// At fixed costs assignments end where many more updates would end, which one alone does not.
#[test]
fn assignments_go_on_until_their_energy_stands_still() {
    let mut moved = 0;
    for seed in 0..20 {
        let task = task(seed, SHAPE, 0.7);
        let graph = semidefinite(&neighbour_graph(&task.points, 3));
        let lambda = 0.7;
        let slk = task.slk(&graph, lambda, Modes::Means);
        let mut costs = squared_distances(&task.points, &slk.first_prototypes());
        costs.values.iter_mut().for_each(|d| *d /= 8.0);
        let held = |mut assigned: Matrix| {
            for (row, &label) in assigned.values.chunks_mut(task.ways).zip(&task.labels) {
                row.fill(0.0);
                row[label] = 1.0;
            }
            assigned
        };
        let update = |assigned: &Matrix| held(bound_update(&costs, &graph.spread(assigned), lambda));
        let of = |assigned: &Matrix| energy(assigned, &costs, &graph, lambda, true);
        let one = update(&held(bound_update(&costs, &costs, 0.0)));
        let many = (0..600).fold(one.clone(), |assigned, _| update(&assigned));
        let off = |assigned: &Matrix| (of(assigned) - of(&many)).abs() / of(&many).abs();
        assert!(off(&slk.assign(&costs)) < 1e-3, "task {seed}");
        moved += usize::from(off(&one) > 1e-3);
    }
    assert!(moved > 10, "the test would hardly notice one update alone: {moved}");
}

/// Check 3.
#[test]
fn rows_add_up_to_one_and_the_support_stays() {
    for seed in 0..10 {
        let task = task(seed, [5, 2, 10, 16], 0.7);
        let graph = neighbour_graph(&task.points, 3);
        for modes in [Modes::Means, Modes::Width(2.0)] {
            let slk = task.slk(&graph, 0.7, modes);
            let (assigned, _) = slk.cluster(slk.first_prototypes(), false);
            for row in 0..assigned.rows {
                assert!((assigned.row(row).iter().sum::<f64>() - 1.0).abs() < 1e-6);
            }
            for (row, &label) in task.labels.iter().enumerate() {
                assert!((0..5).all(|class| assigned.at(row, class) == f64::from(u8::from(class == label))));
            }
        }
    }
}

/// Check 4.
#[test]
fn exchanged_queries_exchange_their_answers() {
    let settings = FewshotSpec::default();
    for seed in 0..5 {
        let plain = task(seed, SHAPE, 1.0);
        let order: Vec<usize> =
            (0..80).map(|at| if at < 5 { at } else { 5 + (at - 5) * 7 % 75 }).map(|at| at.min(79)).collect();
        let order: Vec<usize> = if (0..75).map(|at| at * 7 % 75).collect::<std::collections::BTreeSet<_>>().len() == 75
        {
            order
        } else {
            panic!("no permutation")
        };
        let points = Matrix::from_fn(80, 16, |row, column| plain.points.at(order[row], column));
        let other = Task { points, labels: plain.labels.clone(), truth: vec![], ways: 5 };
        for &method in Method::ALL {
            let (a, b) = (plain.answer(method, &settings), other.answer(method, &settings));
            for query in 0..75 {
                for class in 0..5 {
                    let (a, b) = (a.probabilities.at(order[query + 5] - 5, class), b.probabilities.at(query, class));
                    assert!((a - b).abs() < 1e-6, "{method:?}: {a} against {b}");
                }
            }
        }
    }
}

/// Check 5.
#[test]
fn without_edges_lambda_means_nothing() {
    let task = task(3, SHAPE, 1.0);
    let none = Graph { edges: vec![vec![]; 80] };
    for modes in [Modes::Means, Modes::Width(2.0)] {
        let [without, with] = [0.0, 1.3].map(|lambda| {
            let slk = task.slk(&none, lambda, modes);
            slk.cluster(slk.first_prototypes(), true)
        });
        assert_eq!(without, with);
    }
}

/// Check 6.
#[test]
fn an_endlessly_wide_mode_is_the_mean() {
    let task = task(4, SHAPE, 1.0);
    let none = Graph { edges: vec![vec![]; 80] };
    let classes: Vec<usize> = task.labels.iter().chain(&task.truth).copied().collect();
    let [mean, mode] = [Modes::Means, Modes::Width(1e3)].map(|modes| {
        let slk = task.slk(&none, 0.0, modes);
        slk.follow(&slk.first_prototypes(), &classes)
    });
    mean.values.iter().zip(&mode.values).for_each(|(a, b)| assert!((a - b).abs() < 1e-4, "{a} against {b}"));
}

/// Check 7, for every method.
#[test]
fn clusters_far_apart_are_told_apart_by_all() {
    let settings = FewshotSpec::default();
    for seed in 0..5 {
        let task = task(seed, [2, 1, 15, 16], 12.0);
        for &method in Method::ALL {
            assert_eq!(task.accuracy(&task.answer(method, &settings)), 1.0, "{method:?}, task {seed}");
        }
    }
}

#[test]
fn transductive_methods_learn_from_the_queries() {
    let settings = FewshotSpec::default();
    let mean = |method: Method| {
        let tasks = (0..60).map(|seed| task(seed, SHAPE, 0.9));
        tasks.map(|task| task.accuracy(&task.answer(method, &settings))).sum::<f64>() / 60.0
    };
    let alone = mean(Method::SimpleShot);
    for row in METHODS.iter().filter(|row| row.transductive) {
        let found = mean(row.method);
        assert!(found > alone, "{:?}: {found} against {alone}", row.method);
    }
}

/// What a method says of a query alone is what it says of it among others: that is what inductive means.
#[test]
fn inductive_methods_see_one_query_at_a_time() {
    let settings = FewshotSpec::default();
    let all = task(5, [5, 2, 4, 16], 1.0);
    for row in METHODS {
        let whole = all.answer(row.method, &settings);
        let mut same = true;
        for query in 0..20 {
            let rows: Vec<usize> = (0..10).chain([10 + query]).collect();
            let points = Matrix::from_fn(11, 16, |row, column| all.points.at(rows[row], column));
            let alone =
                Task { points, labels: all.labels.clone(), truth: vec![], ways: 5 }.answer(row.method, &settings);
            same &= (0..5)
                .all(|class| (alone.probabilities.at(0, class) - whole.probabilities.at(query, class)).abs() < 1e-9);
        }
        assert_eq!(same, !row.transductive, "{:?}", row.method);
    }
}

#[test]
fn every_walk_ends_at_what_is_answered() {
    let settings = FewshotSpec::default();
    let task = task(6, SHAPE, 1.0);
    for &method in Method::ALL {
        let answer = task.answer(method, &settings);
        assert_eq!(answer.probabilities.rows, 75);
        assert_eq!(answer.predicted(), largest(&answer.probabilities), "{method:?}");
        assert!(answer.steps.iter().all(|step| step.prototypes.rows == 5 && step.predicted.len() == 75));
        assert!(answer.steps.len() > 1 || !method.row().transductive, "{method:?}");
        let unwatched = {
            let centre = vec![0.0; 16];
            let (points, labels) = (&task.points, &task.labels);
            classify(method, &Problem { ways: 5, points, labels, centre: &centre, settings: &settings, watched: false })
        };
        assert_eq!(unwatched.predicted(), answer.predicted());
        assert_eq!(unwatched.steps.len(), 1);
    }
}

#[path = "vectors.rs"]
mod vectors;
