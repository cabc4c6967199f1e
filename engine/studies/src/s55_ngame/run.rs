//! One seed: every arm from the same start.

use std::ops::Range;

use engine::figure::{Figure, Mark, Role};
use engine::model::Mode;
use engine::numeric::{Matrix, halves};
use engine::rng::{Rng, Stream, own_seed};
use engine::spec::{OptimizerSpec, Rule};
use engine::tape::{Play, StepId, Traced, Words, trace};
use engine::train::INDEX;

use super::net::{Rows, Siamese, Triplets, WIDTH, triplets};
use super::order::{allowed, order, size};
use super::packages::Packages;
use super::*;
use crate::fewshot::map::Plane;
use crate::plot::histogram;
use crate::{Context, Share, StudyError};

const NET: &str = "siamese";
/// Step input: numbers of the pool's labels.
const IN_POOL: &str = "pool";
/// Texts that are embedded at once.
const CHUNK: usize = 250;
/// Answers that are looked at, and the best few of them.
const ANSWERS: usize = 10;
const FEW: usize = 5;
/// Batches at the end whose gaps are counted; bins, and their ends.
const COUNTED: usize = 10;
const BINS: usize = 36;
const ENDS: [f64; 2] = [-1.3, 0.5];
/// Packages in a picture.
const SHOWN: usize = 1500;

/// An update on a batch, with so many labels in the pool, the batch's positives first.
fn update(
    name: &'static str,
    rows: &[Rows; 2],
    packages: &Packages,
    knobs: &Knobs,
    pool: usize,
) -> Result<Traced, StudyError> {
    let batch = knobs.get(&BATCH);
    Ok(trace(name, Mode::Train, |tape| {
        let [documents, labels] = rows;
        let net = tape.net(NET, |b| Siamese::new(packages.names.len(), b));
        let texts = documents.texts(tape, INDEX, batch);
        let documents = net.documents(texts);
        let texts = labels.texts(tape, IN_POOL, pool);
        let labels = net.labels(texts, tape.labels(IN_POOL, [pool]));
        let allowed = tape.input("allowed", [batch, pool]);
        let positive = (documents.clone() * labels.clone().narrow(0, 0, batch)).sum_dim(1);
        let similarities = documents.matmul(labels.transpose());
        let Triplets { loss, active, similarity, gaps } =
            triplets(similarities, positive, allowed, knobs.get(&HARDEST), knobs.get(&MARGIN), knobs.get(&WEIGHED));
        let rule = OptimizerSpec { clip: 0.0, ..OptimizerSpec::of(Rule::AdamW) };
        tape.minimise(NET, &loss, &rule);
        tape.metric("loss", &loss);
        tape.metric("active", &active);
        tape.metric("similarity", &similarity);
        tape.fetch("gaps", &gaps);
        Ok(())
    })?)
}

/// Vectors of packages, or of labels.
fn embedding(name: &'static str, rows: &[Rows; 2], packages: &Packages, of_labels: bool) -> Result<Traced, StudyError> {
    Ok(trace(name, Mode::Eval, |tape| {
        let net = tape.net(NET, |b| Siamese::new(packages.names.len(), b));
        let vectors = if of_labels {
            let texts = rows[1].texts(tape, IN_POOL, CHUNK);
            net.labels(texts, tape.labels(IN_POOL, [CHUNK]))
        } else {
            let texts = rows[0].texts(tape, INDEX, CHUNK);
            net.documents(texts)
        };
        tape.fetch("vectors", &vectors);
        Ok(())
    })?)
}

/// Similarities of packages with all labels.
fn scoring(labels: usize) -> Result<Traced, StudyError> {
    Ok(trace("scores", Mode::Eval, |tape| {
        let documents = tape.input::<2>("documents", [CHUNK, WIDTH]);
        let labels = tape.input::<2>("labels", [labels, WIDTH]);
        tape.fetch("scores", &documents.matmul(labels.transpose()));
        Ok(())
    })?)
}

/// Where a seed's arms run.
struct Place<'p> {
    play: Play<'p>,
    packages: &'p Packages,
    documents: StepId,
    labels: StepId,
    scores: StepId,
    /// An update whose pool are its positives, and one that has each package's hardest labels too.
    updates: [StepId; 2],
}

/// A seed of the study.
pub(super) async fn run(context: &mut Context<'_>, seed: u64, share: Share) -> Result<(), StudyError> {
    let packages = Packages::read(context).await?;
    let knobs = context.results.knobs.clone();
    let rows = Rows::both(&packages);
    let mut play = context.play(seed).await?;
    rows[0].upload(&mut play, &packages.documents)?;
    rows[1].upload(&mut play, &packages.labels)?;
    let batch = knobs.get(&BATCH);
    let wide = batch * (1 + knobs.get(&HARDEST));
    let updates = [
        play.add(update("update", &rows, &packages, &knobs, batch)?).await?,
        play.add(update("update against the hardest of all", &rows, &packages, &knobs, wide)?).await?,
    ];
    let documents = play.add(embedding("packages", &rows, &packages, false)?).await?;
    let labels = play.add(embedding("needs", &rows, &packages, true)?).await?;
    let scores = play.add(scoring(packages.names.len())?).await?;
    let mut place = Place { play, packages: &packages, documents, labels, scores, updates };
    for (at, &(id, name, way)) in ARMS.iter().enumerate() {
        place.play.restart(seed)?;
        place.learn(context, (id, name, way), seed, share.part(at, ARMS.len())).await?;
    }
    Ok(())
}

impl Place<'_> {
    async fn learn(
        &mut self,
        context: &mut Context<'_>,
        (id, name, way): (&str, &str, Way),
        seed: u64,
        share: Share,
    ) -> Result<(), StudyError> {
        let knobs = context.results.knobs.clone();
        let (batch, epochs, most) = (knobs.get(&BATCH), knobs.get(&EPOCHS), knobs.get(&CLUSTER));
        let step = self.updates[usize::from(way == Way::Global)];
        let (training, train) = (self.play.flop(step)? as f64, self.packages.train as u32);
        let mut rng = Rng::new(own_seed(seed, "batches"), Stream::Sample, 0);
        let mut waiting: Vec<u32> = Vec::new();
        let mut clusters: Vec<Vec<u32>> = Vec::new();
        let mut hardest: Vec<Vec<u32>> = Vec::new();
        // Operations so far: of updates, and of what they are prepared by.
        let (mut spent, mut mined, mut size_now, mut last) = (0.0, 0.0, 0, Vec::new());
        for epoch in 0..epochs {
            let wanted = match way {
                Way::Random | Way::Global => 1,
                Way::Neighbours => size(epoch, epochs, most),
                Way::Abrupt => most,
            };
            if wanted > 1 && (wanted != size_now || epoch % knobs.get(&REFRESH) == 0) {
                let vectors = self.vectors(self.documents, 0..train as usize, &mut mined).await?;
                let found = halves(&vectors, WIDTH, wanted, &mut rng);
                mined += (2 * WIDTH) as f64 * found.products as f64;
                clusters = found.clusters;
            } else if wanted == 1 && clusters.is_empty() {
                clusters = (0..train).map(|document| vec![document]).collect();
            }
            size_now = wanted;
            if way == Way::Global {
                hardest = self.answers(0, train as usize, knobs.get(&HARDEST), true, &mut mined).await?;
            }
            waiting.extend(order(clusters.clone(), &mut rng));
            let whole = waiting.len() / batch * batch;
            let now: Vec<u32> = waiting.drain(..whole).collect();
            for (number, documents) in now.chunks_exact(batch).enumerate() {
                // A cosine to 0.
                let done = (epoch as f64 + (number * batch) as f64 / whole as f64) / epochs as f64;
                self.play.rate(NET, knobs.get(&RATE) * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * done)))?;
                let needs = |&document: &u32| &self.packages.needs[document as usize];
                let mut pool: Vec<u32> = documents.iter().map(|document| drawn(needs(document), &mut rng)).collect();
                for &document in documents.iter().filter(|_| way == Way::Global) {
                    let hard = &hardest[document as usize];
                    pool.extend((0..knobs.get(&HARDEST)).map(|k| hard[k % hard.len().max(1)]));
                }
                let allowed = allowed(documents, &pool, &self.packages.needs);
                let inputs = [
                    (INDEX, Words::Classes(documents)),
                    (IN_POOL, Words::Classes(&pool)),
                    ("allowed", Words::Numbers(&allowed)),
                ];
                self.play.run(step, &inputs).await?;
                spent += training;
                if epoch + 1 == epochs && number < COUNTED {
                    last.extend(self.play.fetch(step, "gaps").await?);
                }
            }
            let found = self.play.metrics(step).await?;
            let mean = |name: &str| {
                let all = found.get(name).map_or(&[][..], |all| all);
                all.iter().map(|&value| f64::from(value)).sum::<f64>() / all.len().max(1) as f64
            };
            let after = (epoch + 1) as f64;
            let outcome = context.results.record(id, seed)?;
            outcome.reading(ACTIVE, after, 100.0 * mean("active"));
            outcome.reading(SIMILARITY, after, mean("similarity"));
            if epoch + 1 == epochs && context.pictures(seed) {
                let picture = self.picture(&now[..batch]).await?;
                context.results.keep(id, picture);
            }
            if (epoch + 1) % EVERY == 0 || epoch + 1 == epochs {
                let [first, few, recall] = self.judge().await?;
                let outcome = context.results.record(id, seed)?;
                outcome.reading(FIRST, after, first);
                outcome.point(BY_WORK, (spent + mined) / 1e9, first);
                outcome.number(PRECISION, few);
                outcome.number(RECALL, recall);
            }
            context.progress(share.at(after / epochs as f64), name);
        }
        let outcome = context.results.record(id, seed)?;
        outcome.number(WORK, (spent + mined) / 1e9);
        outcome.number(MINING, 100.0 * mined / spent);
        // Far below lies what is no negative.
        let gaps: Vec<f32> = last.into_iter().filter(|&gap| gap > -4.0).collect();
        for [middle, share] in histogram(&gaps, ENDS, BINS) {
            outcome.point(GAPS, middle, 100.0 * share);
        }
        outcome.done = true;
        Ok(())
    }

    /// Vectors of packages or labels `which`, by the step that embeds them.
    async fn vectors(&mut self, step: StepId, which: Range<usize>, work: &mut f64) -> Result<Vec<f32>, StudyError> {
        let name = if step == self.labels { IN_POOL } else { INDEX };
        let mut vectors = Vec::with_capacity((which.len() + CHUNK) * WIDTH);
        for first in which.clone().step_by(CHUNK) {
            let rows: Vec<u32> = (first..first + CHUNK).map(|row| row.min(which.end - 1) as u32).collect();
            self.play.run(step, &[(name, Words::Classes(&rows))]).await?;
            *work += self.play.flop(step)? as f64;
            vectors.extend(self.play.fetch(step, "vectors").await?);
        }
        vectors.truncate(which.len() * WIDTH);
        Ok(vectors)
    }

    /// For packages `from..to` the labels that are nearest, nearest first; those needed left out, if wanted.
    async fn answers(
        &mut self,
        from: usize,
        to: usize,
        count: usize,
        negative: bool,
        work: &mut f64,
    ) -> Result<Vec<Vec<u32>>, StudyError> {
        let labels = self.vectors(self.labels, 0..self.packages.names.len(), work).await?;
        let mut documents = self.vectors(self.documents, from..to, work).await?;
        documents.resize((to - from).div_ceil(CHUNK) * CHUNK * WIDTH, 0.0);
        let mut found = Vec::with_capacity(to - from);
        for chunk in documents.chunks_exact(CHUNK * WIDTH) {
            let inputs = [("documents", Words::Numbers(chunk)), ("labels", Words::Numbers(&labels))];
            self.play.run(self.scores, &inputs).await?;
            *work += self.play.flop(self.scores)? as f64;
            let scores = self.play.fetch(self.scores, "scores").await?;
            for scores in scores.chunks_exact(self.packages.names.len()) {
                let needs = self.packages.needs.get(from + found.len()).map_or(&[][..], |needs| needs);
                found.push(nearest(scores, count, if negative { needs } else { &[] }));
            }
        }
        found.truncate(to - from);
        Ok(found)
    }

    /// Precision of the first answer and of the first few, and recall of all, in percent, over the test packages.
    async fn judge(&mut self) -> Result<[f64; 3], StudyError> {
        let (from, to) = (self.packages.train, self.packages.needs.len());
        let answers = self.answers(from, to, ANSWERS, false, &mut 0.0).await?;
        let mut sums = [0.0; 3];
        for (answers, needs) in answers.iter().zip(&self.packages.needs[from..]) {
            let hits = |count: usize| {
                answers.iter().take(count).filter(|answer| needs.binary_search(answer).is_ok()).count() as f64
            };
            sums[0] += hits(1);
            sums[1] += hits(FEW) / FEW as f64;
            sums[2] += hits(ANSWERS) / needs.len().max(1) as f64;
        }
        Ok(sums.map(|sum| 100.0 * sum / answers.len() as f64))
    }

    /// Packages on the plane in which their vectors scatter most, those of a batch marked.
    async fn picture(&mut self, batch: &[u32]) -> Result<Figure, StudyError> {
        let train = self.packages.train;
        let vectors = self.vectors(self.documents, 0..train, &mut 0.0).await?;
        let rows = |rows: &[usize]| {
            Matrix::from_fn(rows.len(), WIDTH, |row, column| f64::from(vectors[rows[row] * WIDTH + column]))
        };
        let shown: Vec<usize> = (0..train).step_by(train.div_ceil(SHOWN).max(1)).collect();
        let plane = Plane::of(&rows(&shown));
        let scatter = |name: &str, role, shown: &[usize]| Mark::Scatter {
            name: name.to_owned(),
            role,
            points: plane.places(&rows(shown)).into_iter().map(|place| place.map(f64::from)).collect(),
            classes: vec![],
        };
        let batch: Vec<usize> = batch.iter().map(|&row| row as usize).collect();
        let marks = vec![scatter("packages", Role::Other, &shown), scatter("a batch", Role::Test, &batch)];
        Ok(Plane::figure(marks))
    }
}

/// One of a package's needs, by chance.
fn drawn(needs: &[u32], rng: &mut Rng) -> u32 {
    needs.get(rng.below(needs.len() as u32) as usize).copied().unwrap_or(0)
}

/// Places of the largest scores, largest first, those in `without` (ascending) left out; the first of equal ones.
pub(super) fn nearest(scores: &[f32], count: usize, without: &[u32]) -> Vec<u32> {
    let mut best: Vec<(f32, u32)> = Vec::with_capacity(count + 1);
    for (&score, place) in scores.iter().zip(0..) {
        let enters = best.len() < count || best.last().is_some_and(|&(worst, _)| score > worst);
        if enters && without.binary_search(&place).is_err() {
            let at = best.partition_point(|&(known, _)| known >= score);
            best.insert(at, (score, place));
            best.truncate(count);
        }
    }
    best.into_iter().map(|(_, place)| place).collect()
}
