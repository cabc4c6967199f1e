//! TIM (Boudiaf et al. 2020): prototypes descend until the support is right, each query is sure of its class, and classes are
//! even. Logits are minus the distances, as EasyFSL has them, times the temperature.

use engine::numeric::Matrix;

use super::adam::Adam;
use super::space::{class_means, largest, normalised, rows_from, rows_to, softmax_rows, squared_distances};
use super::{Answer, Problem, Step};

const RATE: f64 = 1e-3;
/// Weight of the queries' own entropy beside the others' 1.
const CONDITIONAL: f64 = 0.1;
/// So many iterations between two that are told.
const TELL: usize = 10;

pub fn classify(problem: &Problem) -> Answer {
    let points = normalised(problem.points, problem.centre);
    let (shots, ways) = (problem.shots(), problem.ways);
    let (support, queries) = (rows_to(&points, shots), rows_from(&points, shots));
    let sharpness = problem.settings.temperature;
    let mut prototypes = class_means(&points, problem.labels, ways);
    let mut adam = Adam::new(prototypes.values.len(), RATE);
    let mut steps = Vec::new();
    for iteration in 0..problem.settings.iterations {
        let mut gradient = vec![0.0; prototypes.values.len()];
        let labelled = Side::of(&support, &prototypes, sharpness);
        let losses: Vec<f64> = Vec::from_iter((0..shots).flat_map(|row| {
            let target = problem.labels[row];
            let p = labelled.probabilities.row(row);
            (0..ways).map(move |class| (p[class] - f64::from(u8::from(class == target))) / shots as f64)
        }));
        labelled.descend(&support, &prototypes, &losses, &mut gradient);
        let guessed = Side::of(&queries, &prototypes, sharpness);
        let (value, slopes) = information(&guessed.probabilities);
        guessed.descend(&queries, &prototypes, &slopes, &mut gradient);
        if problem.watched && iteration % TELL == 0 {
            let fit: f64 =
                (0..shots).map(|row| -libm::log(labelled.probabilities.at(row, problem.labels[row]).max(1e-300))).sum();
            let predicted = largest(&guessed.probabilities);
            let energy = Some(fit / shots as f64 + value);
            steps.push(Step { prototypes: prototypes.clone(), predicted, energy });
        }
        adam.step(&mut prototypes.values, &gradient);
    }
    let probabilities = Side::of(&queries, &prototypes, sharpness).probabilities;
    steps.push(Step { prototypes, predicted: largest(&probabilities), energy: None });
    Answer { probabilities, points, steps }
}

/// Points as the prototypes classify them.
struct Side {
    distances: Matrix,
    probabilities: Matrix,
    sharpness: f64,
}

impl Side {
    fn of(points: &Matrix, prototypes: &Matrix, sharpness: f64) -> Self {
        let mut distances = squared_distances(points, prototypes);
        distances.values.iter_mut().for_each(|x| *x = x.sqrt());
        let logits = Matrix { values: distances.values.iter().map(|d| -sharpness * d).collect(), ..distances.clone() };
        Self { probabilities: softmax_rows(logits), distances, sharpness }
    }

    /// Adds the gradient by the prototypes, given that by the logits. A prototype on a point has no slope there.
    fn descend(&self, points: &Matrix, prototypes: &Matrix, slopes: &[f64], gradient: &mut [f64]) {
        let dims = points.columns;
        for row in 0..points.rows {
            for class in 0..prototypes.rows {
                let distance = self.distances.at(row, class);
                if distance > 0.0 {
                    let factor = -self.sharpness * slopes[row * prototypes.rows + class] / distance;
                    let slot = &mut gradient[class * dims..(class + 1) * dims];
                    let apart = prototypes.row(class).iter().zip(points.row(row));
                    slot.iter_mut().zip(apart).for_each(|(g, (m, x))| *g += factor * (m - x));
                }
            }
        }
    }
}

/// `CONDITIONAL * H(class | query) - H(class)`, and its gradient by the logits.
fn information(p: &Matrix) -> (f64, Vec<f64>) {
    let (n, ways) = (p.rows.max(1) as f64, p.columns);
    let marginal: Vec<f64> = (0..ways).map(|class| (0..p.rows).map(|row| p.at(row, class)).sum::<f64>() / n).collect();
    let log = |x: f64| libm::log(x + 1e-12);
    let mut value: f64 = marginal.iter().map(|&m| m * libm::log(m.max(1e-300))).sum();
    let mut slopes = Vec::with_capacity(p.values.len());
    for row in 0..p.rows {
        let p = p.row(row);
        value -= CONDITIONAL / n * p.iter().map(|&p| p * log(p)).sum::<f64>();
        let by_p: Vec<f64> = p
            .iter()
            .zip(&marginal)
            .map(|(&p, &m)| {
                let sure = -CONDITIONAL * (log(p) + p / (p + 1e-12));
                (sure + libm::log(m.max(1e-300)) + 1.0) / n
            })
            .collect();
        let along: f64 = by_p.iter().zip(p).map(|(g, p)| g * p).sum();
        slopes.extend(by_p.iter().zip(p).map(|(g, p)| p * (g - along)));
    }
    (value, slopes)
}
