//! One arm with a seed: digits at nine angles, one of them an update.

use engine::data::{Data, Values};
use engine::numeric::{argmax, deviation, mean};
use engine::rng::{Rng, Stream, own_seed};
use engine::spec::OptimizerSpec;
use engine::streams::Change;
use engine::tape::{Play, Table, Words};

use super::hyper::{Form, HYPER, Steps, code, is_bias};
use super::{ACCURACY, BY_ANGLE, ENOUGH, FINAL, GRADIENT, SPEED, SPREAD, START, UNEVEN};
use crate::StudyError;
use crate::results::Outcome;

/// Angles, from the first to a quarter turn.
pub const ANGLES: usize = 9;
/// Digits of an update.
const BATCH: usize = 64;
/// Updates between two evaluations.
const EVERY: usize = 10;
/// Updates over which gradients are compared.
const COMPARED: usize = 200;

/// Digits at every angle.
pub struct Turned {
    table: Table,
    pixels: Vec<u8>,
    labels: Vec<u32>,
    /// Rows of an angle to learn from; the others are tested on.
    train: usize,
    /// γ of each angle.
    gammas: Vec<f64>,
}

impl Turned {
    /// The digits of a data set turned by 90γ degrees, γ evenly from `first` to 1.
    ///
    /// # Errors
    /// The data are no pictures with classes.
    pub fn of(data: &Data, first: f64) -> Result<Self, StudyError> {
        let (Values::Images(images), Some(labels)) = (&data.values, data.labels()) else {
            return Err(StudyError::Other("the study needs pictures of classes".into()));
        };
        let rows: Vec<usize> = data.train.clone().chain(data.test.clone()).collect();
        let gammas: Vec<f64> =
            (0..ANGLES).map(|angle| first + (1.0 - first) * angle as f64 / (ANGLES - 1) as f64).collect();
        let size = images.shape.iter().product::<usize>();
        let mut pixels = Vec::with_capacity(ANGLES * rows.len() * size);
        for gamma in &gammas {
            for row in &rows {
                let picture = &images.pixels[row * size..(row + 1) * size];
                pixels.extend(Change::Rotated(90.0 * gamma).shown(picture, images.shape, 1, 0));
            }
        }
        let table = Table::bytes("pictures", [ANGLES * rows.len(), size]);
        let labels = rows.iter().map(|&row| labels[row]).collect();
        Ok(Self { table, pixels, labels, train: data.train.len(), gammas })
    }

    /// Rows of an angle in the table.
    fn rows(&self, angle: usize, places: impl Iterator<Item = usize>) -> Vec<u32> {
        places.map(|place| (angle * self.labels.len() + place) as u32).collect()
    }
}

/// How an arm learns.
#[derive(Clone, Debug)]
pub struct Way {
    /// Its hypernetwork.
    pub form: Form,
    /// Its rule.
    pub rule: OptimizerSpec,
    /// Learning rate.
    pub rate: f64,
    /// Updates.
    pub updates: usize,
}

/// Trains an arm and records what it comes to; `curves`: also what is drawn.
///
/// # Errors
/// The executor fails, or the study is cancelled.
pub async fn learn(
    mut play: Play<'_>,
    digits: &Turned,
    way: &Way,
    seed: u64,
    curves: bool,
    outcome: &mut Outcome,
) -> Result<(), StudyError> {
    play.table(&digits.table, Words::Bytes(&digits.pixels))?;
    let tested = digits.labels.len() - digits.train;
    let steps = Steps::new(&mut play, way.form, &way.rule, &digits.table, [BATCH, tested]).await?;
    play.rate(HYPER, way.rate)?;
    if curves {
        for [gamma, spread] in spreads(&mut play, &steps, digits, way).await? {
            outcome.reading(START, gamma, spread);
        }
    }
    // The same examples and angles for every arm.
    let mut rng = Rng::new(own_seed(seed, "angles"), Stream::Sample, 0);
    let mut reached = None;
    for update in 0..way.updates {
        let angle = rng.below(ANGLES as u32) as usize;
        let places: Vec<usize> = (0..BATCH).map(|_| rng.below(digits.train as u32) as usize).collect();
        let labels: Vec<u32> = places.iter().map(|&place| digits.labels[place]).collect();
        let (index, code) = (digits.rows(angle, places.into_iter()), code(way.form.encoding, digits.gammas[angle]));
        let inputs =
            [("index", Words::Classes(&index)), ("labels", Words::Classes(&labels)), ("code", Words::Numbers(&code))];
        play.run(steps.update, &inputs).await?;
        if (update + 1) % EVERY == 0 || update + 1 == way.updates {
            let accuracies = test(&mut play, &steps, digits, way).await?;
            let accuracy = mean(&accuracies);
            if accuracy >= ENOUGH {
                reached.get_or_insert(update + 1);
            }
            outcome.number(FINAL, accuracy);
            if curves {
                outcome.reading(ACCURACY, (update + 1) as f64, accuracy);
            }
            if curves && update + 1 == way.updates {
                digits.gammas.iter().zip(accuracies).for_each(|(&gamma, each)| outcome.point(BY_ANGLE, gamma, each));
            }
        }
    }
    outcome.number(SPEED, reached.unwrap_or(way.updates + 1) as f64);
    let gradients = play.metrics(steps.update).await?.remove("gradient").unwrap_or_default();
    let gradients: Vec<f64> = gradients.into_iter().take(COMPARED).map(f64::from).collect();
    outcome.number(UNEVEN, deviation(&gradients) / mean(&gradients));
    if curves {
        gradients.iter().enumerate().for_each(|(update, &size)| outcome.point(GRADIENT, (update + 1) as f64, size));
        for [gamma, spread] in spreads(&mut play, &steps, digits, way).await? {
            outcome.reading(SPREAD, gamma, spread);
        }
    }
    outcome.done = true;
    Ok(())
}

/// Accuracy at each angle, in percent.
async fn test(play: &mut Play<'_>, steps: &Steps, digits: &Turned, way: &Way) -> Result<Vec<f64>, StudyError> {
    let labels = &digits.labels[digits.train..];
    let mut accuracies = Vec::with_capacity(ANGLES);
    for (angle, &gamma) in digits.gammas.iter().enumerate() {
        play.run(steps.make, &[("code", Words::Numbers(&code(way.form.encoding, gamma)))]).await?;
        let index = digits.rows(angle, digits.train..digits.labels.len());
        play.run(steps.answer, &[("index", Words::Classes(&index))]).await?;
        let logits = play.fetch(steps.answer, "logits").await?;
        let answers = logits.chunks(logits.len() / labels.len()).map(argmax);
        let right = answers.zip(labels).filter(|(answer, label)| *answer == Some(**label as usize)).count();
        accuracies.push(100.0 * right as f64 / labels.len() as f64);
    }
    Ok(accuracies)
}

/// The size of the weights of the classifier's first layer that are made for each γ: root of their mean square.
async fn spreads(play: &mut Play<'_>, steps: &Steps, digits: &Turned, way: &Way) -> Result<Vec<[f64; 2]>, StudyError> {
    let Some(first) = steps.layout.entries().iter().find(|entry| !is_bias(entry)) else { return Ok(Vec::new()) };
    let place = first.offset..first.offset + first.shape.iter().product::<usize>();
    let mut spreads = Vec::with_capacity(ANGLES);
    for &gamma in &digits.gammas {
        play.run(steps.make, &[("code", Words::Numbers(&code(way.form.encoding, gamma)))]).await?;
        let weights = play.fetch(steps.make, "weights").await?;
        let squares: Vec<f64> = weights[place.clone()].iter().map(|&weight| f64::from(weight).powi(2)).collect();
        spreads.push([gamma, mean(&squares).sqrt()]);
    }
    Ok(spreads)
}
