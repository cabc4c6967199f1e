//! Every prediction of 200 tasks against an independent implementation, `scripts/few_shot_vectors.py`.

use std::collections::BTreeMap;

use engine::fewshot::{FewshotSpec, Method};
use engine::numeric::Matrix;

use super::super::{Problem, classify};

const WAYS: usize = 5;
const QUERIES: usize = 15;
const DIMS: usize = 16;

/// Knuth's linear congruence, as the script has it.
fn draws(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as f64 / f64::from(1_u32 << 31) - 1.0
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn predictions_are_those_of_an_independent_implementation() {
    let vectors: BTreeMap<String, Vec<String>> = serde_json::from_str(include_str!("vectors.json")).unwrap();
    // EasyFSL's TIM has no temperature.
    let settings = FewshotSpec { lambda: 0.7, knn: 3, temperature: 1.0, iterations: 100, ..FewshotSpec::default() };
    let mut compared = 0;
    for (name, tasks) in &vectors {
        assert_eq!(tasks.len(), 200);
        for (number, wanted) in tasks.iter().enumerate() {
            let shots = if number % 2 == 0 { 1 } else { 5 };
            let rows = WAYS * (shots + QUERIES);
            let numbers = draws(number as u64 + 1, (WAYS + rows + 1) * DIMS);
            let labels: Vec<usize> = (0..WAYS * shots).map(|at| at / shots).collect();
            let class =
                |row: usize| labels.get(row).copied().unwrap_or((row.max(WAYS * shots) - WAYS * shots) / QUERIES);
            let points = Matrix::from_fn(rows, DIMS, |row, column| {
                0.8 * numbers[class(row) * DIMS + column] + numbers[(WAYS + row) * DIMS + column]
            });
            let centre: Vec<f64> = numbers[(WAYS + rows) * DIMS..].iter().map(|x| 0.1 * x).collect();
            let problem = Problem {
                ways: WAYS,
                points: &points,
                labels: &labels,
                centre: &centre,
                settings: &settings,
                watched: false,
            };
            let answer = classify(Method::from_id(name).unwrap(), &problem);
            for (query, (found, wanted)) in answer.predicted().iter().zip(wanted.chars()).enumerate() {
                if let Some(wanted) = wanted.to_digit(10) {
                    assert_eq!(*found, wanted as usize, "{name}, task {number}, query {query}");
                    compared += 1;
                }
            }
        }
    }
    assert!(vectors.len() == 6 && compared > 6 * 200 * 75 * 99 / 100, "{compared}");
}
