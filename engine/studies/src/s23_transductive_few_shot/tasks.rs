//! An encoder, the λ that it needs, and every method on the same tasks.

use std::rc::Rc;

use engine::episodes::Episode;
use engine::fewshot::{FewshotSpec, Method};
use engine::numeric::Matrix;
use engine::tape::Home;

use super::{ACCURACY, ARMS, ENERGY, GAIN, HALF, LAMBDA, LEAST, SHOTS, TRIED, UNEVEN};
use crate::fewshot::methods::{Problem, classify};
use crate::fewshot::pictures::{Part, Pictures};
use crate::fewshot::{Bench, Encoder, learned, letters, mean};
use crate::{Context, Share, StudyError};

/// What λ is chosen from, and on how many validation tasks.
pub const LAMBDAS: [f64; 6] = [0.1, 0.3, 0.5, 0.7, 1.0, 1.5];
const VALIDATION: u32 = 60;
/// Shares of a seed's work: training, choosing λ; tasks are the rest.
const TRAINED: f64 = 0.6;
const CHOSEN: f64 = 0.7;

/// One seed.
pub async fn run(context: &mut Context<'_>, spec: &FewshotSpec, alpha: f64, share: Share) -> Result<(), StudyError> {
    let pictures = letters(context).await?;
    let home = Home::new(Some(context.take_executor().await?).into());
    let mut encoder = learned(context, &home, &pictures, spec, share.between(0.0, TRAINED)).await?;
    let centre = encoder.centre(&pictures, spec).await?;
    let mut place = Place { pictures: Rc::new(pictures), encoder, centre };
    let lambdas = place.choose(context, spec, share.between(TRAINED, CHOSEN)).await?;
    let uneven = FewshotSpec { alpha, ..spec.clone() };
    for (at, (spec, shots)) in [(spec, SHOTS[0]), (spec, SHOTS[1]), (&uneven, SHOTS[0])].into_iter().enumerate() {
        let part = share.between(CHOSEN, 1.0).part(at, 3);
        place.compare(context, spec, shots, &lambdas, part).await?;
    }
    for (id, ..) in ARMS {
        context.results.record(id, spec.seed)?.done = true;
    }
    drop(place);
    if let Some(executor) = home.take() {
        context.give_back(executor);
    }
    Ok(())
}

/// Where tasks are done.
struct Place {
    pictures: Rc<Pictures>,
    encoder: Encoder,
    centre: Vec<f64>,
}

impl Place {
    async fn task(
        &mut self,
        bench: &mut Bench,
        spec: &FewshotSpec,
        shots: usize,
        number: u32,
    ) -> Result<(Episode, Matrix, Vec<usize>), StudyError> {
        let drawn = bench.tasks.draw(spec, [spec.ways, shots], number);
        let episode = drawn.map_err(|error| StudyError::Other(error.to_string()))?;
        let (points, labels) = bench.task(&mut self.encoder, &self.pictures, &episode).await?;
        Ok((episode, points, labels))
    }

    /// The λ of each arm: that with which it does best on validation classes at one shot.
    async fn choose(
        &mut self,
        context: &mut Context<'_>,
        spec: &FewshotSpec,
        share: Share,
    ) -> Result<[f64; ARMS.len()], StudyError> {
        let mut bench = Bench::new(&self.pictures, Part::Validation, spec, self.encoder.dims());
        let mut right = [[0.0; LAMBDAS.len()]; ARMS.len()];
        for number in 0..VALIDATION {
            let (episode, points, labels) = self.task(&mut bench, spec, 1, number).await?;
            for (right, (_, method, _)) in right.iter_mut().zip(ARMS).filter(|(_, arm)| arm.2) {
                for (right, lambda) in right.iter_mut().zip(LAMBDAS) {
                    let spec = FewshotSpec { lambda, ..spec.clone() };
                    *right += 100.0 * self.accuracy(method, &spec, &episode, &points, &labels) / f64::from(VALIDATION);
                }
            }
            context.breathe().await?;
            context.progress(share.at(f64::from(number) / f64::from(VALIDATION)), "λ is chosen on validation classes");
        }
        let mut lambdas = [0.0; ARMS.len()];
        for ((chosen, right), (id, ..)) in lambdas.iter_mut().zip(right).zip(ARMS).filter(|(_, arm)| arm.2) {
            let outcome = context.results.record(id, spec.seed)?;
            let mut best = 0;
            for (at, &accuracy) in right.iter().enumerate() {
                outcome.point(TRIED, LAMBDAS[at], accuracy);
                if accuracy > right[best] {
                    best = at;
                }
            }
            *chosen = LAMBDAS[best];
            outcome.number(LAMBDA, *chosen);
        }
        Ok(lambdas)
    }

    fn accuracy(
        &self,
        method: Method,
        settings: &FewshotSpec,
        episode: &Episode,
        points: &Matrix,
        labels: &[usize],
    ) -> f64 {
        let (ways, centre) = (episode.classes.len(), &self.centre);
        let answer = classify(method, &Problem { ways, points, labels, centre, settings, watched: false });
        answer.accuracy(episode.query.iter().map(|query| query.1))
    }

    /// Every arm on the same tasks of novel classes.
    async fn compare(
        &mut self,
        context: &mut Context<'_>,
        spec: &FewshotSpec,
        shots: usize,
        lambdas: &[f64; ARMS.len()],
        share: Share,
    ) -> Result<(), StudyError> {
        let mut bench = Bench::new(&self.pictures, Part::Novel, spec, self.encoder.dims());
        let mut found = [const { Vec::new() }; ARMS.len()];
        for number in 0..spec.tasks as u32 {
            let (episode, points, labels) = self.task(&mut bench, spec, shots, number).await?;
            for ((found, (id, method, _)), &lambda) in found.iter_mut().zip(ARMS).zip(lambdas) {
                let settings = FewshotSpec { lambda, ..spec.clone() };
                found.push(100.0 * self.accuracy(method, &settings, &episode, &points, &labels));
                if number == 0 && shots == 1 && spec.alpha == 0.0 {
                    let (ways, centre, settings) = (episode.classes.len(), self.centre.as_slice(), &settings);
                    let problem = Problem { ways, points: &points, labels: &labels, centre, settings, watched: true };
                    let outcome = context.results.record(id, spec.seed)?;
                    for (at, step) in classify(method, &problem).steps.iter().enumerate() {
                        if let Some(energy) = step.energy {
                            outcome.point(ENERGY, at as f64, energy);
                        }
                    }
                }
            }
            context.breathe().await?;
            context.progress(share.at(f64::from(number) / spec.tasks as f64), "methods classify the same tasks");
        }
        for (accuracies, (id, ..)) in found.iter().zip(ARMS) {
            let gains: Vec<f64> = accuracies.iter().zip(&found[0]).map(|(arm, baseline)| arm - baseline).collect();
            let (accuracy, gain) = (mean(accuracies), mean(&gains));
            let outcome = context.results.record(id, spec.seed)?;
            if spec.alpha > 0.0 {
                outcome.number(UNEVEN, gain.mean);
                continue;
            }
            let of = shots as u64;
            outcome.number(ACCURACY.of(of), accuracy.mean);
            outcome.number(HALF.of(of), accuracy.half);
            outcome.number(GAIN.of(of), gain.mean);
            outcome.number(LEAST.of(of), gain.mean - gain.half);
        }
        Ok(())
    }
}
