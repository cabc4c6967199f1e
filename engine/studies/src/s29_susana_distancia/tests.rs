use burn::tensor::{Int, Tensor};
use engine::rng::{Rng, Stream};

use super::losses::{icnn, slack, total};
use super::run::classes;
use super::*;
use crate::encoder::DIMS;
use crate::test_help::{Loss, failing, unmeasured};
use crate::test_host::TestHost;
use crate::{Settings as Seeds, run};

const USUAL: Settings = Settings { margin: 0.5, neighbours: 4, variance: true, purity: true, temperature: 1.0 };
const PLAIN: Terms = Terms { triplet: false, icnn: false };

/// A number of vectors and their classes, and its gradient.
fn of_vectors(rows: usize, of: impl FnOnce(Tensor<2>, Tensor<1, Int>) -> Tensor<1>) -> Loss {
    Loss::of([rows, DIMS], rows, of)
}

/// Five classes of nine points: centres three apart, points `spread` about them.
fn cloud(spread: f32) -> (Vec<f32>, Vec<u32>) {
    let mut rng = Rng::new(4, Stream::Probe, 0);
    let classes: Vec<u32> = (0..45).map(|row| row / 9).collect();
    let vectors = classes.iter().flat_map(|&class| {
        let centre: Vec<f32> = (0..DIMS).map(|axis| if axis == class as usize { 3.0 } else { 0.0 }).collect();
        centre.into_iter().map(|x| x + spread * rng.normal()).collect::<Vec<f32>>()
    });
    (vectors.collect(), classes)
}

fn score_bench() -> Loss {
    of_vectors(45, |vectors, classes| icnn(vectors, classes, &USUAL).score)
}

/// Prototypes at 0 and 3 on a line, a query of the first class and one of the second at its prototype.
#[test]
fn the_hinge_of_an_episode_by_hand() {
    const FORM: [usize; 3] = [2, 1, 1];
    let mut bench = of_vectors(4, |vectors, classes| {
        let slack = slack(vectors, FORM, classes.slice(2..4)).slice(0..1);
        burn::tensor::activation::relu(slack + 0.5)
    });
    let mut loss = |query: f32, scale: f32| {
        let mut vectors = vec![0.0; 4 * DIMS];
        (vectors[DIMS], vectors[2 * DIMS], vectors[3 * DIMS]) = (3.0 * scale, query * scale, 3.0 * scale);
        bench.at(&vectors, &classes(FORM)).0
    };
    assert!(loss(1.0, 1.0).abs() < 1e-5);
    assert!((loss(1.4, 1.0) - 0.3).abs() < 1e-5);
    // The margin is absolute: the same picture ten times as large keeps it.
    assert!(loss(1.4, 10.0).abs() < 1e-5);
}

#[test]
fn separated_classes_score_one_and_shuffled_ones_less() {
    let mut bench = score_bench();
    let (vectors, classes) = cloud(0.0);
    let collapsed = bench.at(&vectors, &classes).0;
    assert!((0.99..=1.0 + 1e-6).contains(&collapsed), "{collapsed}");
    let mut parts = of_vectors(45, |vectors, classes| icnn(vectors, classes, &USUAL).gamma);
    assert_eq!(parts.at(&vectors, &classes).0, 1.0);
    let spread = [0.1, 0.4].map(|spread| bench.at(&cloud(spread).0, &classes).0);
    assert!(collapsed > spread[0] && spread[0] > spread[1], "{spread:?}");
    let mut shuffled = classes.clone();
    Rng::new(2, Stream::Probe, 0).shuffle(&mut shuffled);
    let worse = bench.at(&cloud(0.1).0, &shuffled).0;
    assert!(worse > 0.0 && worse < spread[0] - 0.1, "{worse}");
}

#[test]
fn the_score_knows_neither_scale_nor_order() {
    let mut bench = score_bench();
    let (vectors, classes) = cloud(0.3);
    let (score, gradient) = bench.at(&vectors, &classes);
    let large: Vec<f32> = vectors.iter().map(|x| 10.0 * x).collect();
    assert!((bench.at(&large, &classes).0 - score).abs() < 1e-4);
    let mut order: Vec<usize> = (0..45).collect();
    Rng::new(9, Stream::Probe, 0).shuffle(&mut order);
    let turned: Vec<f32> = order.iter().flat_map(|row| &vectors[row * DIMS..(row + 1) * DIMS]).copied().collect();
    let labels: Vec<u32> = order.iter().map(|&row| classes[row]).collect();
    let (same, moved) = bench.at(&turned, &labels);
    assert!((same - score).abs() < 1e-5, "{same} against {score}");
    for (place, row) in order.iter().enumerate() {
        assert!((moved[place * DIMS] - gradient[row * DIMS]).abs() < 1e-5);
    }
}

/// Along a random direction, far from ties.
#[test]
fn gradients_are_what_differences_say() {
    const FORM: [usize; 3] = [5, 1, 8];
    let (vectors, _) = cloud(0.4);
    // Supports come first: the first of each nine.
    let order = (0..5).map(|class| class * 9).chain((0..45).filter(|row| row % 9 != 0));
    let vectors: Vec<f32> = order.flat_map(|row| vectors[row * DIMS..(row + 1) * DIMS].to_vec()).collect();
    let wide = Settings { margin: 2.5, ..USUAL };
    for terms in [Terms { triplet: true, icnn: false }, Terms { triplet: false, icnn: true }] {
        let mut bench = of_vectors(45, move |vectors, classes| total(vectors, classes, FORM, terms, &wide).0);
        let gradient = bench.at(&vectors, &classes(FORM)).1;
        let mut rng = Rng::new(3, Stream::Probe, 0);
        let along: Vec<f32> = (0..vectors.len()).map(|_| rng.normal()).collect();
        let slope: f64 = gradient.iter().zip(&along).map(|(g, d)| f64::from(g * d)).sum();
        let step = 5e-4;
        let mut at = |side: f32| {
            let moved: Vec<f32> = vectors.iter().zip(&along).map(|(x, d)| x + side * step * d).collect();
            bench.at(&moved, &classes(FORM)).0
        };
        let found = (at(1.0) - at(-1.0)) / (2.0 * f64::from(step));
        assert!((found - slope).abs() < 2e-3 * slope.abs().max(1.0), "{terms:?}: {found} against {slope}");
    }
}

/// Without further losses the gradient is the prototypical network's; one that is 0 only halves it.
#[test]
fn losses_are_averaged() {
    const FORM: [usize; 3] = [5, 1, 8];
    let (vectors, _) = cloud(0.8);
    let gradient = |terms: Terms, settings: Settings| {
        let mut bench = of_vectors(45, move |vectors, classes| total(vectors, classes, FORM, terms, &settings).0);
        bench.at(&vectors, &classes(FORM)).1
    };
    let plain = gradient(PLAIN, USUAL);
    let kept = gradient(Terms { triplet: true, icnn: false }, Settings { margin: -1e6, ..USUAL });
    let mut alone = of_vectors(45, |vectors, classes| {
        let labels = classes.slice(5..45);
        engine::objective::recorded::cross_entropy(crate::fewshot::prototype_logits(vectors, FORM), labels).mean()
    });
    assert_eq!(alone.at(&vectors, &classes(FORM)).1, plain);
    assert!(plain.iter().any(|g| g.abs() > 1e-4));
    plain.iter().zip(&kept).for_each(|(plain, kept)| assert!((plain / 2.0 - kept).abs() < 1e-6));
    let both = Terms { triplet: true, icnn: true };
    let triplet = gradient(Terms { triplet: true, icnn: false }, USUAL);
    let score = gradient(Terms { triplet: false, icnn: true }, USUAL);
    for (((all, plain), triplet), score) in gradient(both, USUAL).iter().zip(&plain).zip(&triplet).zip(&score) {
        assert!((3.0 * all - (2.0 * triplet + 2.0 * score - plain)).abs() < 1e-4);
    }
}

/// Gains at one shot of B, C and D, and by how much score and width of C and D beat A's.
fn verdict(gains: [f64; 3], score: f64, ratio: f64) -> engine::figure::Verdict {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    for ((arm, ..), gain) in ARMS.iter().zip([0.0].into_iter().chain(gains)) {
        let outcome = results.record(arm, 1).unwrap();
        outcome.number(ACCURACY.of(1), 80.0 + gain);
        outcome.number(GAIN.of(1), gain);
        outcome.number(LEAST.of(1), gain - 0.3);
        outcome.number(PARTS[0], if *arm == "A" { 0.7 } else { 0.7 + score });
        outcome.number(RATIO, if *arm == "A" { 1.0 } else { ratio });
    }
    answer(&results).verdict(&STUDY)
}

#[test]
fn the_answer_follows_the_numbers() {
    assert!(failing(&verdict([1.0, 1.0, 2.5], 0.05, 0.8)).is_empty());
    assert_eq!(failing(&verdict([-0.2, 1.0, -0.6], 0.01, 0.97)), [0, 1, 2, 3, 5, 6, 7, 8]);
}

#[test]
fn shapes_decide_and_what_is_missing_is_left_out_of_the_sentence() {
    let said = verdict([1.0, 1.0, 2.5], 0.01, 0.8).answer;
    assert!(said.starts_with("No. On novel classes the score and the width of classes"), "{said}");
    assert!(said.contains("+0.01 and -20%"), "{said}");
    let nothing = answer(&unmeasured(&STUDY, &[], &[1])).verdict(&STUDY);
    assert!(nothing.measured.is_empty() && !nothing.answer.contains("NaN"), "{}", nothing.answer);
    assert!(least(f64::NAN, 1.0).is_nan() && least(1.0, f64::NAN).is_nan());
}

/// A small run from end to end, with every number and curve that the figures draw.
#[test]
fn a_small_run_yields_every_number() {
    let knobs = [("episodes", "10"), ("tasks", "10"), ("queries", "3"), ("ways", "3")];
    let knobs = knobs.map(|(id, value)| (id.to_owned(), value.to_owned())).to_vec();
    let host = TestHost::new(u32::MAX);
    let finished = pollster::block_on(run(&STUDY, &Seeds { knobs, seeds: 1, first_seed: 1 }, &host)).unwrap();
    for (arm, ..) in ARMS {
        let sample = |number: Number| finished.results.sample(arm, number).mean();
        for number in [ACCURACY.of(1), ACCURACY.of(5), GAIN.of(5), LEAST.of(1), RATIO, SEPARATION].iter().chain(&PARTS)
        {
            assert!(sample(*number).is_finite(), "{arm}: {number}");
        }
        assert!(sample(ACCURACY.of(1)) > 30.0, "{arm} is above chance");
    }
    assert_eq!(finished.results.sample("A", GAIN.of(1)).mean(), 0.0);
    assert!(finished.figures.iter().all(|figure| !figure.marks.is_empty()));
}
