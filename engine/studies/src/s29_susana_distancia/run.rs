//! One seed: a warm start, the same episodes under every loss, and the same novel tasks.

use engine::episodes::{Episode, Episodes, Queries, Shape};
use engine::fewshot::{FewshotSpec, Method};
use engine::figure::{Dash, Figure, Mark, Role};
use engine::model::{Mode, ModelError};
use engine::numeric::{Matrix, distance, mean as mean_value};
use engine::rng::{Rng, Stream, own_seed};
use engine::spec::{OptimizerSpec, Rule};
use engine::tape::{Play, StepId, Traced, Words, trace};

use super::losses::{Settings, Terms, icnn, total};
use super::{
    ACCURACY, ARMS, EPISODES, GAIN, HALF, LEAST, PARTS, QUERIES, RATIO, SCORE, SEPARATION, SLACK, TASKS, WAYS, session,
    settings,
};
use crate::encoder::{ConvEncoder, DIMS, Form, NET, embed, embedding_step, pictures as pixels_of, unit};
use crate::fewshot::map::Plane;
use crate::fewshot::methods::{Problem, class_means, classify, squared_distances};
use crate::fewshot::pictures::{Examples, Part, Pictures};
use crate::fewshot::{learned_parameters, letters, matrix, mean};
use crate::plot::histogram;
use crate::{Context, Share, StudyError};

/// Novel classes, and examples of each.
const NOVEL: usize = 50;
const EXAMPLES: usize = 20;
/// Queries of a class in a novel task.
const ASKED: usize = 15;
/// Novel tasks whose score is taken.
const SCORED: u32 = 60;
/// Episodes between two points of a curve.
const EVERY: usize = 10;
/// Rate of Adam, and the shares of the episodes after which it is halved.
const RATE: f64 = 1e-3;
const HALVED: [f64; 2] = [0.5, 0.75];
/// Bins of the histogram of slacks, and its ends.
const BINS: usize = 40;
const ENDS: [f64; 2] = [-2.0, 2.0];

/// An update of an arm's network, of the arm's name, under some terms.
fn update(
    name: &'static str,
    shape: [usize; 3],
    form: [usize; 3],
    terms: Terms,
    settings: &Settings,
) -> Result<Traced, ModelError> {
    let adam = OptimizerSpec { kind: Rule::Adam, weight_decay: 0.0, clip: 0.0, ..OptimizerSpec::default() };
    trace(name, Mode::Train, |tape| {
        let rows = form[0] * (form[1] + form[2]);
        let x = pixels_of(tape, rows, shape);
        let classes = tape.labels("classes", [rows]);
        let encoder = tape.net(name, |builder| ConvEncoder::new(builder, shape));
        let (loss, score) = total(encoder.forward(x), classes, form, terms, settings);
        tape.minimise(name, &loss, &adam);
        tape.metric("score", &score.score);
        Ok(())
    })
}

/// The score of vectors.
fn scored(rows: usize, settings: &Settings) -> Result<Traced, ModelError> {
    trace("score", Mode::Eval, |tape| {
        let vectors = tape.input("vectors", [rows, DIMS]);
        let classes = tape.labels("classes", [rows]);
        let score = icnn(vectors, classes, settings);
        tape.metric("score", &score.score);
        tape.metric("lambda", &score.lambda);
        tape.metric("omega", &score.omega);
        tape.metric("gamma", &score.gamma);
        Ok(())
    })
}

/// Place of the class of each row: supports class by class, then queries class by class.
pub fn classes([ways, shots, queries]: [usize; 3]) -> Vec<u32> {
    let of = |each: usize| (0..ways * each).map(move |row| (row / each) as u32);
    of(shots).chain(of(queries)).collect()
}

/// Where a seed's arms run.
struct Place<'p> {
    play: Play<'p>,
    embed: StepId,
    score: StepId,
    pictures: Pictures,
    form: [usize; 3],
    base: Vec<u32>,
    /// Novel examples, class by class, and their classes.
    pixels: Vec<u8>,
    labels: Vec<u32>,
    tasks: Episodes,
    seed: u64,
}

/// One seed.
pub async fn run(context: &mut Context<'_>, seed: u64, share: Share) -> Result<(), StudyError> {
    let knobs = context.results.knobs.clone();
    let (spec, settings) = (session(&knobs, seed), settings(&knobs));
    let pictures = letters(context).await?;
    let start = learned_parameters(context, &pictures, &spec, share.between(0.0, 0.15)).await?;
    let form = [knobs.get(&WAYS), 1, knobs.get(&QUERIES)];
    let mut play = context.play(seed).await?;
    let embed = play.add(embedding_step(pictures.shape)?).await?;
    let score = play.add(scored(form[0] * (form[1] + form[2]), &settings)?).await?;
    let mut place = Place::new(play, [embed, score], pictures, &spec, form);
    let mut steps = Vec::new();
    for (arm, _, terms) in ARMS {
        steps.push(place.play.add(update(arm, place.pictures.shape, form, terms, &settings)?).await?);
        place.play.write(&format!("{arm}.theta"), &start)?;
    }
    let (learning, episodes) = (share.between(0.15, 0.9), knobs.get(&EPISODES));
    for episode in 0..episodes {
        place.learn(&steps, &spec, episode, episodes).await?;
        context.progress(learning.at(episode as f64 / episodes as f64), "the same episodes under every loss");
    }
    let mut first: Option<[Vec<f64>; 2]> = None;
    for (at, (&step, (arm, ..))) in steps.iter().zip(ARMS).enumerate() {
        context.progress(share.between(0.9, 1.0).part(at, ARMS.len()).at(0.0), "the same novel tasks");
        let scores = place.play.metrics(step).await?.remove("score").unwrap_or_default();
        let outcome = context.results.record(arm, seed)?;
        for (chunk, scores) in scores.chunks(EVERY).enumerate() {
            let middle = chunk * EVERY + scores.len() / 2;
            outcome.point(
                SCORE,
                middle as f64,
                scores.iter().map(|&x| f64::from(x)).sum::<f64>() / scores.len() as f64,
            );
        }
        let theta = place.play.read(&format!("{arm}.theta")).await?;
        place.play.write(&format!("{NET}.theta"), &theta)?;
        place.judge(context, arm, settings.margin, &spec, &mut first).await?;
    }
    Ok(())
}

impl<'p> Place<'p> {
    fn new(
        play: Play<'p>,
        [embed, score]: [StepId; 2],
        pictures: Pictures,
        spec: &FewshotSpec,
        form: [usize; 3],
    ) -> Self {
        let base = pictures.classes(Part::Base);
        let base = base[..spec.base.min(base.len())].to_vec();
        let mut novel = pictures.classes(Part::Novel).to_vec();
        Rng::new(spec.seed, Stream::Tasks, 29).shuffle(&mut novel);
        novel.truncate(NOVEL);
        let examples = Examples::of(&pictures, Part::Novel, spec);
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for &class in &novel {
            pixels.extend(examples.pixels(&pictures, &examples.of_class(class)[..EXAMPLES]));
            labels.extend([class; EXAMPLES]);
        }
        let tasks = Episodes::new(&labels, 0..labels.len() as u32, &novel);
        Self { play, embed, score, pictures, form, base, pixels, labels, tasks, seed: spec.seed }
    }

    /// An episode, a function of the seed and its number, for every arm: to draw its pictures takes long enough to do it once.
    async fn learn(
        &mut self,
        steps: &[StepId],
        spec: &FewshotSpec,
        number: usize,
        of: usize,
    ) -> Result<(), StudyError> {
        let [ways, shots, queries] = self.form;
        let mut rng = Rng::new(own_seed(self.seed, "episodes"), Stream::Episode, number as u32);
        let mut drawn = self.base.clone();
        rng.shuffle(&mut drawn);
        let pixels = self.pictures.drawn(&drawn[..ways], [shots, queries], spec.warp, &mut rng);
        let halvings = HALVED.iter().filter(|&&share| number as f64 >= share * of as f64).count();
        let (pixels, classes) = (unit(&pixels), classes(self.form));
        for (&step, (arm, ..)) in steps.iter().zip(ARMS) {
            self.play.rate(arm, RATE / f64::from(1 << halvings))?;
            let inputs = [("pictures", Words::Numbers(&pixels[..])), ("classes", Words::Classes(&classes[..]))];
            self.play.run(step, &inputs).await?;
        }
        Ok(())
    }

    fn task(&self, ways: usize, shots: usize, queries: usize, number: u32) -> Result<Episode, StudyError> {
        let shape = Shape { ways, shots, queries: Queries::Each(queries) };
        self.tasks.task(&shape, self.seed, number).map_err(|error| StudyError::Other(error.to_string()))
    }

    /// What an arm has come to, on novel classes. `first`: accuracies of the baseline by shots, once they are known.
    async fn judge(
        &mut self,
        context: &mut Context<'_>,
        arm: &str,
        margin: f64,
        spec: &FewshotSpec,
        first: &mut Option<[Vec<f64>; 2]>,
    ) -> Result<(), StudyError> {
        let size = self.pictures.size();
        let vectors = matrix(&embed(&mut self.play, self.embed, &self.pixels, Form::convolutional(size)).await?, DIMS);
        let mut accuracies = [const { Vec::new() }; 2];
        let mut slacks = Vec::new();
        for number in 0..context.results.knobs.get(&TASKS) as u32 {
            for (accuracies, shots) in accuracies.iter_mut().zip([1, 5]) {
                let task = self.task(5, shots, ASKED, number)?;
                let (points, labels) = points(&vectors, &task);
                let problem =
                    Problem { ways: 5, points: &points, labels: &labels, centre: &[], settings: spec, watched: false };
                let truth = task.query.iter().map(|query| query.1);
                accuracies.push(100.0 * classify(Method::Prototype, &problem).accuracy(truth));
                if shots == 1 {
                    slacks.extend(slack(&points, &labels, &task));
                    if number == 0 && context.pictures(self.seed) {
                        context.results.keep(arm, picture(&points, &labels, &task, margin));
                    }
                }
            }
            context.breathe().await?;
        }
        let parts = self.novel_score(&vectors).await?;
        let baseline = first.get_or_insert_with(|| accuracies.clone());
        let outcome = context.results.record(arm, self.seed)?;
        for ((shots, accuracies), baseline) in [1, 5].into_iter().zip(&accuracies).zip(&*baseline) {
            let gains: Vec<f64> = accuracies.iter().zip(baseline).map(|(arm, baseline)| arm - baseline).collect();
            let (accuracy, gain) = (mean(accuracies), mean(&gains));
            outcome.number(ACCURACY.of(shots), accuracy.mean);
            outcome.number(HALF.of(shots), accuracy.half);
            outcome.number(GAIN.of(shots), gain.mean);
            outcome.number(LEAST.of(shots), gain.mean - gain.half);
        }
        for (part, value) in PARTS.into_iter().zip(parts) {
            outcome.number(part, value);
        }
        outcome.number(RATIO, separation(&vectors, &self.labels));
        outcome.number(SEPARATION, mean_value(&slacks));
        let width = (ENDS[1] - ENDS[0]) / BINS as f64;
        for [middle, share] in histogram(&slacks, ENDS, BINS) {
            outcome.point(SLACK, middle, share / width);
        }
        outcome.done = true;
        Ok(())
    }

    /// Score, lambda, omega and gamma of novel tasks in the form of the episodes.
    async fn novel_score(&mut self, vectors: &Matrix) -> Result<[f64; 4], StudyError> {
        let ([ways, shots, queries], classes) = (self.form, classes(self.form));
        for number in 0..SCORED {
            let task = self.task(ways, shots, queries, number)?;
            let values: Vec<f32> = points(vectors, &task).0.values.iter().map(|&x| x as f32).collect();
            self.play
                .run(self.score, &[("vectors", Words::Numbers(&values)), ("classes", Words::Classes(&classes))])
                .await?;
        }
        let columns = self.play.metrics(self.score).await?;
        let of = |name: &str| {
            let column = columns.get(name).map(Vec::as_slice).unwrap_or_default();
            column.iter().map(|&x| f64::from(x)).sum::<f64>() / column.len() as f64
        };
        Ok(["score", "lambda", "omega", "gamma"].map(of))
    }
}

/// A task's vectors, supports first, and the place of each support's class.
fn points(vectors: &Matrix, task: &Episode) -> (Matrix, Vec<usize>) {
    let (rows, labels) = crate::fewshot::rows(task);
    (Matrix::from_fn(rows.len(), vectors.columns, |row, column| vectors.at(rows[row] as usize, column)), labels)
}

/// Place of the nearest wrong prototype of each query, and `d(own) - d(wrong)`.
fn rivals(points: &Matrix, labels: &[usize], task: &Episode) -> Vec<(usize, f64)> {
    let prototypes = class_means(points, labels, task.classes.len());
    let queries =
        Matrix::from_fn(task.query.len(), points.columns, |row, column| points.at(labels.len() + row, column));
    let squared = squared_distances(&queries, &prototypes);
    let of = |(row, &(_, own)): (usize, &(u32, usize))| {
        let to = |class: usize| squared.at(row, class).sqrt();
        let wrong = (0..prototypes.rows).filter(|&class| class != own);
        let nearest = wrong.min_by(|&a, &b| to(a).total_cmp(&to(b))).unwrap_or(own);
        (nearest, to(own) - to(nearest))
    };
    task.query.iter().enumerate().map(of).collect()
}

fn slack(points: &Matrix, labels: &[usize], task: &Episode) -> Vec<f64> {
    rivals(points, labels, task).into_iter().map(|(_, slack)| slack).collect()
}

/// Mean distance of examples to the mean of their class, of the mean distance from a class's mean to the nearest other one.
fn separation(vectors: &Matrix, labels: &[u32]) -> f64 {
    let places: Vec<usize> = (0..labels.len()).map(|row| row / EXAMPLES).collect();
    let means = class_means(vectors, &places, NOVEL);
    let within: Vec<f64> = (0..vectors.rows).map(|row| distance(vectors.row(row), means.row(places[row]))).collect();
    let nearest = |class: usize| {
        let others = (0..NOVEL).filter(|&other| other != class);
        others.map(|other| distance(means.row(class), means.row(other))).fold(f64::INFINITY, f64::min)
    };
    mean_value(&within) / mean_value(&(0..NOVEL).map(nearest).collect::<Vec<f64>>())
}

/// A task on its plane: queries in the colours of their classes, prototypes as stars, and a line to the nearest wrong
/// prototype from every query that does not keep the margin.
fn picture(points: &Matrix, labels: &[usize], task: &Episode, margin: f64) -> Figure {
    let plane = Plane::of(points);
    let places: Vec<[f64; 2]> = plane.places(points).into_iter().map(|place| place.map(f64::from)).collect();
    let prototypes = plane.places(&class_means(points, labels, task.classes.len()));
    let stars: Vec<[f64; 2]> = prototypes.into_iter().map(|place| place.map(f64::from)).collect();
    let queries = &places[labels.len()..];
    let mut lines = Vec::new();
    let rivals = rivals(points, labels, task);
    let short = rivals.iter().zip(queries).filter(|((_, slack), _)| slack + margin > 0.0);
    let count = short.clone().count();
    for ((rival, _), place) in short {
        lines.extend([*place, stars[*rival], [f64::NAN; 2]]);
    }
    let alt = format!("{count} of {} queries do not keep the margin", queries.len());
    let line = Mark::Line {
        name: "within the margin of a wrong prototype".into(),
        role: Role::Limit,
        dash: Dash::Solid,
        points: lines,
        band: vec![],
    };
    let scatter = Mark::Scatter {
        name: "queries".into(),
        role: Role::Other,
        points: queries.to_vec(),
        classes: task.query.iter().map(|query| query.1 as u32).collect(),
    };
    let marks = vec![line, scatter, Mark::Stars { points: stars }];
    Figure { value: alt.clone(), alt, ..Plane::figure(marks) }
}
