//! One seed: a split of the digits into two super-labels, every loss from the same start and on the same batches, and what
//! the features tell about the digits.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use engine::data::{Data, Rows};
use engine::fewshot::{FewshotSpec, Method};
use engine::figure::{Figure, Mark, Role};
use engine::model::{Builder, Init, Mode, ModelError};
use engine::numeric::{Matrix, distance, mean};
use engine::objective::recorded::cross_entropy;
use engine::rng::{Rng, Stream};
use engine::spec::{DataSet, DataSpec, OptimizerSpec, Rule};
use engine::tape::{Play, StepId, Traced, Words, trace};

use super::{BY_K, COARSE, FEW, FINE, LEARNED, NEIGHBOURS, PROBE, RANK, RATE, SILHOUETTE, STEPS, TEMPERATURE};
use crate::encoder::unit_rows;
use crate::fewshot::map::Plane;
use crate::fewshot::matrix;
use crate::fewshot::methods::{Problem, classify, normalised};
use crate::pairs::Batch;
use crate::{Context, Share, StudyError};

const NET: &str = "net";
const HEAD: &str = "head";
/// Layers, pixels first.
const WIDTHS: [usize; 4] = [64, 128, 128, DIMS];
const DIMS: usize = 32;
/// Examples of an update.
pub const BATCH: usize = 256;
/// Examples to learn from, and to test on.
const TRAIN: usize = 1300;
const TEST: usize = 497;
/// Readings of an arm on the way.
const READINGS: usize = 8;
/// Factor on a cosine head's outputs.
const SHARPNESS: f64 = 10.0;
/// What k is tried beside the knob's.
const KS: [usize; 4] = [1, 3, 30, 100];

/// What an arm learns by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Cross-entropy of a linear head over so many labels.
    Linear(usize),
    /// The same of a head that compares directions.
    Cosine,
    /// Supervised contrast.
    Contrast,
    /// All neighbours.
    Nca,
    /// So many neighbours.
    Look(usize),
    /// Nothing.
    Nothing,
}

/// A network of linear layers with rectifiers between them.
#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    fn new(builder: &mut Builder) -> Self {
        let layer = |w: &[usize]| builder.linear(w[0], w[1], true, Init::kaiming_normal(w[0]));
        Self { layers: WIDTHS.windows(2).map(layer).collect() }
    }

    fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for (place, layer) in self.layers.iter().enumerate() {
            x = layer.forward(if place == 0 { x } else { relu(x) });
        }
        x
    }
}

/// An update under a loss.
fn update(name: &'static str, loss: Loss, temperature: f64) -> Result<Traced, ModelError> {
    let adam = OptimizerSpec { kind: Rule::Adam, weight_decay: 0.0, clip: 0.0, ..OptimizerSpec::default() };
    trace(name, Mode::Train, |tape| {
        let x = tape.input("pixels", [BATCH, WIDTHS[0]]);
        let labels = tape.labels("labels", [BATCH]);
        let features = tape.net(NET, Mlp::new).forward(x);
        let (loss, head) = match loss {
            Loss::Linear(classes) => {
                let head = tape.net(HEAD, |builder| builder.linear(DIMS, classes, true, Init::linear_normal(DIMS)));
                (cross_entropy(head.forward(relu(features)), labels).mean(), true)
            }
            Loss::Cosine => {
                let head = tape.net(HEAD, |builder| builder.linear(DIMS, 2, false, Init::linear_normal(DIMS)));
                let weights = unit_rows(head.weight.val().transpose());
                let logits = unit_rows(features).matmul(weights.transpose()) * SHARPNESS;
                (cross_entropy(logits, labels).mean(), true)
            }
            _ => {
                let z = unit_rows(features);
                let batch = Batch::new(z.clone().matmul(z.transpose()) / temperature, labels);
                let loss = match loss {
                    Loss::Contrast => batch.contrast(),
                    Loss::Look(k) => batch.look(k),
                    _ => batch.nca(),
                };
                (loss, false)
            }
        };
        tape.minimise(NET, &loss, &adam);
        if head {
            tape.minimise(HEAD, &loss, &adam);
        }
        Ok(())
    })
}

/// The features of all digits.
fn embedding() -> Result<Traced, ModelError> {
    trace("embed", Mode::Eval, |tape| {
        let x = tape.input("pixels", [TRAIN + TEST, WIDTHS[0]]);
        let features = tape.net(NET, Mlp::new).forward(x);
        tape.fetch("features", &features);
        Ok(())
    })
}

/// The digits of one seed.
struct Digits {
    /// `[TRAIN + TEST, 64]`, 0..=1, those to learn from first.
    pixels: Vec<f32>,
    digits: Vec<u32>,
    /// Super-label of each digit.
    coarse: [u32; 10],
    seed: u64,
}

impl Digits {
    fn new(data: &Data, seed: u64) -> Result<Self, StudyError> {
        let (Rows::U8(pixels), Some(labels)) = (data.rows(), data.labels()) else {
            return Err(StudyError::Other("the study needs images with classes".into()));
        };
        let rows: Vec<usize> = data.train.clone().chain(data.test.clone()).collect();
        let size = WIDTHS[0];
        let pixels = rows.iter().flat_map(|row| &pixels[row * size..(row + 1) * size]);
        let mut order: Vec<usize> = (0..10).collect();
        Rng::new(seed, Stream::Split, 21).shuffle(&mut order);
        let mut coarse = [0; 10];
        order[5..].iter().for_each(|&digit| coarse[digit] = 1);
        let pixels = pixels.map(|&pixel| f32::from(pixel) / 255.0).collect();
        Ok(Self { pixels, digits: rows.iter().map(|&row| labels[row]).collect(), coarse, seed })
    }

    /// Super-label of an example.
    fn coarse(&self, row: usize) -> u32 {
        self.coarse[self.digits[row] as usize % 10]
    }

    /// Accuracy in percent on the test examples by a method that knows the labels of `rows`.
    fn accuracy(
        &self,
        features: &Matrix,
        rows: &[usize],
        method: Method,
        ways: usize,
        label: impl Fn(usize) -> usize,
    ) -> f64 {
        let settings = FewshotSpec { neighbours: 5, ..FewshotSpec::default() };
        let all: Vec<usize> = rows.iter().copied().chain(TRAIN..TRAIN + TEST).collect();
        let points = Matrix::from_fn(all.len(), DIMS, |row, column| features.at(all[row], column));
        let labels: Vec<usize> = rows.iter().map(|&row| label(row)).collect();
        let centre = vec![0.0; DIMS];
        let problem =
            Problem { ways, points: &points, labels: &labels, centre: &centre, settings: &settings, watched: false };
        100.0 * classify(method, &problem).accuracy((TRAIN..TRAIN + TEST).map(label))
    }

    /// Accuracy on the ten digits from half of the labels.
    fn fine(&self, features: &Matrix) -> f64 {
        let half: Vec<usize> = (0..TRAIN / 2).collect();
        self.accuracy(features, &half, Method::Neighbours, 10, |row| self.digits[row] as usize)
    }
}

/// One seed.
pub async fn run(context: &mut Context<'_>, seed: u64, share: Share) -> Result<(), StudyError> {
    let knobs = context.results.knobs.clone();
    let spec = DataSpec::of(DataSet::Digits);
    let digits = Digits::new(&*context.data(&spec).await?, seed)?;
    let k = knobs.get(&NEIGHBOURS);
    let arms = [
        ("A", Loss::Linear(2)),
        ("B", Loss::Cosine),
        ("C", Loss::Contrast),
        ("D", Loss::Nca),
        ("E", Loss::Look(k)),
        ("F", Loss::Nothing),
        ("G", Loss::Linear(10)),
    ];
    let count = arms.len() + KS.len();
    for (place, &(arm, loss)) in arms.iter().enumerate() {
        let (mut play, embed) = begin(context, seed).await?;
        let features = learn(context, &mut play, embed, &digits, [arm, arm], loss, share.part(place, count)).await?;
        judge(context, arm, &digits, &features)?;
        if arm == "E" {
            context.results.record(arm, seed)?.point(BY_K, k as f64, digits.fine(&features));
        }
    }
    for (place, k) in KS.into_iter().enumerate() {
        let (mut play, embed) = begin(context, seed).await?;
        let share = share.part(arms.len() + place, count);
        let features = learn(context, &mut play, embed, &digits, ["k", ""], Loss::Look(k), share).await?;
        context.results.record("E", seed)?.point(BY_K, k as f64, digits.fine(&features));
    }
    let tried = context.results.record("E", seed)?.curves.entry(BY_K).or_default();
    tried.sort_by(|a, b| a[0].total_cmp(&b[0]));
    for (arm, _) in arms {
        context.results.record(arm, seed)?.done = true;
    }
    Ok(())
}

async fn begin<'h>(context: &mut Context<'h>, seed: u64) -> Result<(Play<'h>, StepId), StudyError> {
    let mut play = context.play(seed).await?;
    let embed = play.add(embedding()?).await?;
    Ok((play, embed))
}

async fn features(play: &mut Play<'_>, embed: StepId, digits: &Digits) -> Result<Matrix, StudyError> {
    play.run(embed, &[("pixels", Words::Numbers(&digits.pixels))]).await?;
    let features = matrix(&play.fetch(embed, "features").await?, DIMS);
    // Directions are what every loss but plain cross-entropy sees.
    Ok(normalised(&features, &[0.0; DIMS]))
}

/// The features that a loss leads to; readings on the way go to the arm of the second name, if it has one.
async fn learn(
    context: &mut Context<'_>,
    play: &mut Play<'_>,
    embed: StepId,
    digits: &Digits,
    [name, arm]: [&'static str; 2],
    loss: Loss,
    share: Share,
) -> Result<Matrix, StudyError> {
    let knobs = context.results.knobs.clone();
    let steps = knobs.get(&STEPS);
    let mut known = features(play, embed, digits).await?;
    if loss == Loss::Nothing {
        return Ok(known);
    }
    let step = play.add(update(name, loss, knobs.get(&TEMPERATURE))?).await?;
    let mut order: Vec<usize> = (0..TRAIN).collect();
    for number in 0..steps {
        if number % (steps / READINGS).max(1) == 0 && !arm.is_empty() {
            known = features(play, embed, digits).await?;
            context.results.record(arm, digits.seed)?.point(LEARNED, number as f64, digits.fine(&known));
        }
        Rng::new(digits.seed, Stream::Sample, number as u32).shuffle(&mut order);
        let pixels: Vec<f32> =
            order[..BATCH].iter().flat_map(|row| &digits.pixels[row * 64..(row + 1) * 64]).copied().collect();
        let label = |&row: &usize| if loss == Loss::Linear(10) { digits.digits[row] } else { digits.coarse(row) };
        let labels: Vec<u32> = order[..BATCH].iter().map(label).collect();
        let fall = 0.5 * (1.0 + libm::cos(std::f64::consts::PI * number as f64 / steps as f64));
        play.rate(NET, knobs.get(&RATE) * fall)?;
        if matches!(loss, Loss::Linear(_) | Loss::Cosine) {
            play.rate(HEAD, knobs.get(&RATE) * fall)?;
        }
        play.run(step, &[("pixels", Words::Numbers(&pixels)), ("labels", Words::Classes(&labels))]).await?;
        context.progress(share.at(number as f64 / steps as f64), "features are made for two labels");
    }
    let known = features(play, embed, digits).await?;
    if !arm.is_empty() {
        context.results.record(arm, digits.seed)?.point(LEARNED, steps as f64, digits.fine(&known));
    }
    Ok(known)
}

/// What features tell.
fn judge(context: &mut Context<'_>, arm: &str, digits: &Digits, features: &Matrix) -> Result<(), StudyError> {
    let digit = |row: usize| digits.digits[row] as usize;
    let half: Vec<usize> = (0..TRAIN / 2).collect();
    let mut seen = [0; 10];
    let few: Vec<usize> = (0..TRAIN)
        .filter(|&row| {
            seen[digit(row)] += 1;
            seen[digit(row)] <= 5
        })
        .collect();
    if context.pictures(digits.seed) {
        context.results.keep(arm, map(digits, features));
    }
    let outcome = context.results.record(arm, digits.seed)?;
    outcome.number(FINE, digits.fine(features));
    outcome.number(FEW, digits.accuracy(features, &few, Method::Neighbours, 10, digit));
    outcome.number(COARSE, digits.accuracy(features, &half, Method::Neighbours, 2, |row| digits.coarse(row) as usize));
    outcome.number(PROBE, digits.accuracy(features, &half, Method::LinearHead, 10, digit));
    let rows: Vec<[usize; 3]> =
        (TRAIN..TRAIN + TEST).map(|row| [row, digit(row), digits.coarse(row) as usize]).collect();
    outcome.number(SILHOUETTE, silhouette(features, &rows));
    outcome.number(RANK, mean(&[0, 1].map(|coarse| directions(features, &rows, coarse))));
    Ok(())
}

/// Mean over examples of `(b - a) / max(a, b)`: `a` the mean distance to the own digit's others, `b` that to the nearest other
/// digit of the same super-label (Rousseeuw 1987). `rows`: row, digit, super-label.
pub fn silhouette(features: &Matrix, rows: &[[usize; 3]]) -> f64 {
    let of = |&[row, digit, coarse]: &[usize; 3]| {
        let (mut sums, mut counts) = ([0.0; 10], [0.0; 10]);
        for &[other, kind, _] in rows.iter().filter(|other| other[2] == coarse && other[0] != row) {
            sums[kind] += distance(features.row(row), features.row(other));
            counts[kind] += 1.0;
        }
        let own = sums[digit] / counts[digit];
        let kinds = (0..10).filter(|&kind| kind != digit && counts[kind] > 0.0);
        let next = kinds.map(|kind| sums[kind] / counts[kind]).fold(f64::INFINITY, f64::min);
        (next - own) / next.max(own).max(1e-12)
    };
    mean(&rows.iter().map(of).collect::<Vec<f64>>())
}

/// Participation ratio of the covariance of a super-label's features, `tr(C)^2 / tr(C^2)`: how many directions they fill.
pub fn directions(features: &Matrix, rows: &[[usize; 3]], coarse: usize) -> f64 {
    let of: Vec<usize> = rows.iter().filter(|row| row[2] == coarse).map(|row| row[0]).collect();
    let (n, dims) = (of.len().max(1) as f64, features.columns);
    let centre: Vec<f64> = (0..dims).map(|c| of.iter().map(|&row| features.at(row, c)).sum::<f64>() / n).collect();
    let centred = Matrix::from_fn(of.len(), dims, |row, c| features.at(of[row], c) - centre[c]);
    let covariance = centred.transposed().times(&centred).unwrap_or_default();
    let trace: f64 = (0..dims).map(|c| covariance.at(c, c)).sum();
    let squares: f64 = covariance.values.iter().map(|x| x * x).sum();
    trace * trace / squares.max(1e-300)
}

fn map(digits: &Digits, features: &Matrix) -> Figure {
    let points = Matrix::from_fn(TEST, DIMS, |row, column| features.at(TRAIN + row, column));
    let plane = Plane::of(&points);
    let of = |coarse: u32| {
        let kinds = (0..10).filter(|&digit: &usize| digits.coarse[digit] == coarse);
        kinds.map(|digit| digit.to_string()).collect::<Vec<_>>().join(", ")
    };
    let value = format!("labels: {} against {}", of(0), of(1));
    let points = plane.places(&points).into_iter().map(|place| place.map(f64::from)).collect();
    let classes = digits.digits[TRAIN..].to_vec();
    let marks = vec![Mark::Scatter { name: "test digits".into(), role: Role::Other, points, classes }];
    let names = (0..10).map(|digit: usize| digit.to_string()).collect();
    Figure { classes: names, alt: value.clone(), value, ..Plane::figure(marks) }
}
