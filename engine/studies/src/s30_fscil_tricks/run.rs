//! One seed: the base classes under more and more tricks, and the same sessions after each.

use engine::figure::{Figure, Grid, Mark, Role, Scale};
use engine::numeric::{Matrix, cosine, mean};
use engine::tape::{Play, StepId, Words};

use super::ground::{BASE, CLASSES, Ground, SESSIONS, TESTED, TRAINED, WAYS};
use super::network::{DIMS, Form, HEAD, PAIRS, TURNS, Tricks};
use super::prototypes::{drop, frame, harmonic, settle};
use super::{
    AVERAGE, DRIFT, DROP, GREEDY, HARMONIC, KEPT, NEW, PASSES, RATE, Rung, SEEN, SESSION_RATE, SHOTS, STEPS,
    TEMPERATURE, WIDTH, Way, rungs, session,
};
use crate::encoder::{self, NET, embed, unit};
use crate::fewshot::map::Plane;
use crate::fewshot::methods::class_means;
use crate::fewshot::{letters, matrix};
use crate::plot::axis;
use crate::{Context, Knobs, Share, StudyError};

/// Share of the passes that pre-training has.
const PRETRAINED: f64 = 0.4;
/// How much longer and faster than the others the control learns in a session.
const LONGER: usize = 5;

/// What the training on base classes came to.
#[derive(Debug, Clone)]
pub struct Base {
    /// Parameters of the encoder.
    pub theta: Vec<f32>,
    /// Means of the base classes, and the vectors that they were drawn to, set or learned, `[BASE, DIMS]`.
    pub means: Matrix,
    pub targets: Matrix,
    /// The vertices that no base class has.
    pub free: Vec<usize>,
}

/// One seed.
pub async fn run(context: &mut Context<'_>, seed: u64, share: Share) -> Result<(), StudyError> {
    let knobs = context.results.knobs.clone();
    let pictures = letters(context).await?;
    let ground = Ground::new(&pictures, &session(&knobs, seed), knobs.get(&PASSES))?;
    let form = Form {
        shape: pictures.shape,
        width: knobs.get(&WIDTH),
        base: BASE,
        classes: CLASSES,
        temperature: knobs.get(&TEMPERATURE),
    };
    let vertices = frame(CLASSES, DIMS, seed).ok_or_else(|| StudyError::Other("there is no such frame".into()))?;
    let rungs = rungs(&knobs);
    let mut trained: Option<(Tricks, Base)> = None;
    for (place, rung) in rungs.iter().enumerate() {
        let share = share.part(place, rungs.len());
        let base = match trained {
            Some((tricks, base)) if tricks == rung.tricks => base,
            _ => train(context, &ground, form, rung.tricks, &vertices, seed, share.between(0.0, 0.8)).await?,
        };
        let play = context.play(seed).await?;
        let mut sessions = Sessions::new(play, form, knobs.get(&SHOTS), seed).await?;
        sessions.judge(context, &ground, rung, &base, &vertices).await?;
        context.progress(share.at(1.0), "sessions of new classes");
        trained = Some((rung.tricks, base));
    }
    Ok(())
}

/// Learns the base classes by some tricks.
async fn train(
    context: &mut Context<'_>,
    ground: &Ground,
    form: Form,
    tricks: Tricks,
    vertices: &Matrix,
    seed: u64,
    share: Share,
) -> Result<Base, StudyError> {
    let knobs = context.results.knobs.clone();
    let mut play = context.play(seed).await?;
    let embed = play.add(form.embedding()?).await?;
    let learning = play.add(form.learning("learning", tricks)?).await?;
    let share = if tricks.pretraining {
        pretrain(context, &mut play, ground, form, seed, share.between(0.0, 0.2)).await?;
        share.between(0.2, 1.0)
    } else {
        share
    };
    let mut free: Vec<usize> = (0..CLASSES).collect();
    let taken: Vec<usize> = if tricks.vertices && knobs.get(&GREEDY) {
        settle(&means(&mut play, embed, ground).await?, vertices, &mut free)
    } else {
        free.drain(..BASE).collect()
    };
    // The base classes' vertices first, in their order, then those that are free.
    let order: Vec<usize> = taken.iter().chain(&free).copied().collect();
    let ordered = Matrix::from_fn(CLASSES, DIMS, |row, axis| vertices.at(order[row], axis));
    let words: Vec<f32> = ordered.values.iter().map(|&x| x as f32).collect();
    let count = ground.updates.len();
    for (number, views) in ground.updates.iter().enumerate() {
        let pixels = unit(&ground.batch(views, tricks.turned()));
        let class = |picture: &usize| picture / TRAINED;
        let plain = || views.pictures.iter().chain(&views.pictures).map(class);
        let turned = || views.pictures.iter().map(class).zip(views.turns.iter().copied());
        let mut labels: Vec<u32> = plain().map(|class| tricks.label(class, 0, CLASSES)).collect();
        if tricks.pseudo {
            labels.extend(turned().map(|(class, turns)| tricks.label(class, turns, CLASSES)));
        }
        let classes: Vec<u32> = plain().map(|class| class as u32).collect();
        let turns: Vec<u32> = [0; 2 * PAIRS].into_iter().chain(views.turns.iter().map(|&turns| turns as u32)).collect();
        let mut inputs = vec![("pictures", Words::Numbers(&pixels)), ("labels", Words::Classes(&labels))];
        let more = [
            (tricks.vertices, "vertices", Words::Numbers(&words)),
            (tricks.contrast, "classes", Words::Classes(&classes)),
            (tricks.rotation, "turns", Words::Classes(&turns)),
        ];
        inputs.extend(more.into_iter().filter(|input| input.0).map(|(_, name, words)| (name, words)));
        for net in Form::learners(tricks) {
            play.rate(net, knobs.get(&RATE) * fall(number, count))?;
        }
        play.run(learning, &inputs).await?;
        context.progress(share.at(number as f64 / count as f64), "the base classes are learned");
    }
    let learned = if tricks.vertices { ordered } else { rows_of(&play.read(&format!("{HEAD}.theta")).await?) };
    let stride = if tricks.pseudo && !tricks.vertices { TURNS } else { 1 };
    Ok(Base {
        means: means(&mut play, embed, ground).await?,
        theta: play.read(&format!("{NET}.theta")).await?,
        targets: Matrix::from_fn(BASE, DIMS, |class, axis| learned.at(stride * class, axis)),
        free,
    })
}

/// Tells pictures from one another and leaves the encoder where that leads, all else as it began.
async fn pretrain(
    context: &mut Context<'_>,
    play: &mut Play<'_>,
    ground: &Ground,
    form: Form,
    seed: u64,
    share: Share,
) -> Result<(), StudyError> {
    let step = play.add(form.pretraining()?).await?;
    let own: Vec<u32> = (0..2 * PAIRS).map(|row| (row % PAIRS) as u32).collect();
    let count = (PRETRAINED * ground.updates.len() as f64).ceil() as usize;
    for (number, views) in ground.updates[..count].iter().enumerate() {
        play.rate(NET, context.results.knobs.get(&RATE) * fall(number, count))?;
        let pixels = unit(&views.pixels);
        play.run(step, &[("pictures", Words::Numbers(&pixels)), ("own", Words::Classes(&own))]).await?;
        context.progress(share.at(number as f64 / count as f64), "pictures are told from one another");
    }
    let theta = play.read(&format!("{NET}.theta")).await?;
    play.restart(seed)?;
    Ok(play.write(&format!("{NET}.theta"), &theta)?)
}

/// A cosine from 1 to 0.
fn fall(number: usize, count: usize) -> f64 {
    0.5 * (1.0 + libm::cos(std::f64::consts::PI * number as f64 / count as f64))
}

/// How pictures are encoded.
fn vectors_of(ground: &Ground) -> encoder::Form {
    encoder::Form { dims: DIMS, ..encoder::Form::convolutional(ground.size) }
}

/// Mean vector of each base class's training pictures.
async fn means(play: &mut Play<'_>, step: StepId, ground: &Ground) -> Result<Matrix, StudyError> {
    let rows: Vec<usize> = (0..BASE * TRAINED).map(|at| Ground::row(at / TRAINED, at % TRAINED)).collect();
    let labels: Vec<usize> = (0..rows.len()).map(|at| at / TRAINED).collect();
    let vectors = embed(play, step, &ground.pixels(&rows), vectors_of(ground)).await?;
    Ok(class_means(&matrix(&vectors, DIMS), &labels, BASE))
}

/// A linear layer's weights `[DIMS, outputs]` as a row an output.
fn rows_of(theta: &[f32]) -> Matrix {
    matrix(theta, theta.len() / DIMS).transposed()
}

/// Where sessions run.
pub struct Sessions<'p> {
    play: Play<'p>,
    embed: StepId,
    step: StepId,
    shots: usize,
    seed: u64,
}

impl<'p> Sessions<'p> {
    /// With so many pictures per new class.
    pub async fn new(mut play: Play<'p>, form: Form, shots: usize, seed: u64) -> Result<Self, StudyError> {
        let embed = play.add(form.embedding()?).await?;
        let step = play.add(form.session(WAYS * shots)?).await?;
        Ok(Self { play, embed, step, shots, seed })
    }

    /// Vectors of some rows.
    async fn vectors(&mut self, ground: &Ground, rows: &[usize]) -> Result<Matrix, StudyError> {
        Ok(matrix(&embed(&mut self.play, self.embed, &ground.pixels(rows), vectors_of(ground)).await?, DIMS))
    }

    /// All sessions after a base, and what comes of them.
    async fn judge(
        &mut self,
        context: &mut Context<'_>,
        ground: &Ground,
        rung: &Rung,
        base: &Base,
        vertices: &Matrix,
    ) -> Result<(), StudyError> {
        let knobs = context.results.knobs.clone();
        self.play.write(&format!("{NET}.theta"), &base.theta)?;
        let mask = mask(&base.theta, rung.way);
        let (plain, vertices) = (rung.way == Way::Plain, rung.tricks.vertices.then_some(vertices));
        let mut known = room(if plain { &base.targets } else { &base.means });
        let mut targets = if vertices.is_some() { room(&base.targets) } else { known.clone() };
        let mut free = base.free.clone();
        let mut tests = self.vectors(ground, &Ground::tests(CLASSES)).await?;
        let before = base_logits(&tests, &known);
        let mut seen = Vec::new();
        for session in 0..=SESSIONS {
            let count = BASE + WAYS * session;
            if session > 0 {
                let support: Vec<usize> = (count - WAYS..count)
                    .flat_map(|class| (0..self.shots).map(move |shot| Ground::row(class, shot)))
                    .collect();
                let new = self.new_means(ground, &support).await?;
                set(&mut known, count, &new);
                set(
                    &mut targets,
                    count,
                    &match vertices {
                        Some(vertices) => {
                            let taken = settle(&new, vertices, &mut free);
                            Matrix::from_fn(WAYS, DIMS, |row, axis| vertices.at(taken[row], axis))
                        }
                        None => new,
                    },
                );
                if rung.way != Way::Frozen {
                    targets = self.tune(ground, &support, &targets, &mask, &knobs, rung.way).await?;
                    if plain {
                        known = targets.clone();
                    } else {
                        set(&mut known, count, &self.new_means(ground, &support).await?);
                    }
                    tests = self.vectors(ground, &Ground::tests(count)).await?;
                }
            }
            let [all, old, new] = accuracies(&tests, &known, count);
            seen.push(all);
            let outcome = context.results.record(rung.id, self.seed)?;
            outcome.reading(SEEN, session as f64, all);
            outcome.reading(KEPT, session as f64, old);
            if session > 0 {
                outcome.reading(NEW, session as f64, new);
                outcome.number(HARMONIC, harmonic(old, new));
            }
            context.breathe().await?;
        }
        let after = base_logits(&self.vectors(ground, &Ground::tests(BASE)).await?, &known);
        let outcome = context.results.record(rung.id, self.seed)?;
        outcome.number(AVERAGE, mean(&seen));
        outcome.number(DROP, drop(&seen));
        outcome.number(DRIFT, before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max));
        outcome.done = true;
        if context.pictures(self.seed) {
            let left =
                vertices.map(|vertices| Matrix::from_fn(free.len(), DIMS, |row, axis| vertices.at(free[row], axis)));
            context.results.keep(&format!("map {}", rung.id), map(&tests, &known, left));
            context.results.keep(&format!("angles {}", rung.id), angles(&known));
        }
        Ok(())
    }

    async fn new_means(&mut self, ground: &Ground, support: &[usize]) -> Result<Matrix, StudyError> {
        let labels: Vec<usize> = (0..support.len()).map(|at| at / self.shots).collect();
        Ok(class_means(&self.vectors(ground, support).await?, &labels, WAYS))
    }

    /// The updates of a session, at the encoder as it is; yields what the classes are drawn to, which changes in the
    /// control alone.
    pub async fn tune(
        &mut self,
        ground: &Ground,
        support: &[usize],
        targets: &Matrix,
        mask: &[f32],
        knobs: &Knobs,
        way: Way,
    ) -> Result<Matrix, StudyError> {
        let theta = self.play.read(&format!("{NET}.theta")).await?;
        self.play.restart(self.seed)?;
        self.play.write(&format!("{NET}.theta"), &theta)?;
        let weights: Vec<f32> = targets.transposed().values.iter().map(|&x| x as f32).collect();
        self.play.write("targets.theta", &weights)?;
        let plain = way == Way::Plain;
        let (rate, steps) = if plain {
            (knobs.get(&RATE), LONGER * knobs.get(&STEPS))
        } else {
            (knobs.get(&SESSION_RATE), knobs.get(&STEPS))
        };
        self.play.rate(NET, rate)?;
        self.play.rate("targets", if plain { rate } else { 0.0 })?;
        let pixels = unit(&ground.pixels(support));
        let first = support.first().map_or(0, |&row| Ground::class(row));
        let labels: Vec<u32> = (0..support.len()).map(|at| (first + at / self.shots) as u32).collect();
        let open: Vec<f32> = (0..CLASSES).map(|class| if class < first + WAYS { 0.0 } else { -1e4 }).collect();
        let inputs = [
            ("pictures", Words::Numbers(&pixels)),
            ("labels", Words::Classes(&labels)),
            ("open", Words::Numbers(&open)),
            ("mask", Words::Numbers(mask)),
        ];
        for _ in 0..steps {
            self.play.run(self.step, &inputs).await?;
        }
        Ok(rows_of(&self.play.read("targets.theta").await?))
    }

    /// The encoder as it is.
    #[cfg(test)]
    pub async fn theta(&mut self) -> Vec<f32> {
        self.play.read(&format!("{NET}.theta")).await.unwrap()
    }

    /// Begins at an encoder.
    #[cfg(test)]
    pub fn begin(&mut self, theta: &[f32]) {
        self.play.write(&format!("{NET}.theta"), theta).unwrap();
    }
}

/// 1 for each parameter that a session may change: the smallest ones, which carry least of what is known.
pub fn mask(theta: &[f32], way: Way) -> Vec<f32> {
    let share = if let Way::Tuned(share) = way { share } else { 1.0 };
    let mut order: Vec<usize> = (0..theta.len()).collect();
    order.sort_by(|&a, &b| theta[a].abs().total_cmp(&theta[b].abs()));
    let mut mask = vec![0.0; theta.len()];
    order[..(share * theta.len() as f64).round() as usize].iter().for_each(|&at| mask[at] = 1.0);
    mask
}

/// Room for the vectors of all classes, those of the base classes in it.
fn room(base: &Matrix) -> Matrix {
    Matrix::from_fn(CLASSES, DIMS, |class, axis| if class < BASE { base.at(class, axis) } else { 0.0 })
}

/// Sets the vectors of the last of `count` classes.
fn set(known: &mut Matrix, count: usize, new: &Matrix) {
    known.values[(count - WAYS) * DIMS..count * DIMS].copy_from_slice(&new.values);
}

/// Cosines of the base classes' tests with their vectors.
fn base_logits(tests: &Matrix, known: &Matrix) -> Vec<f64> {
    let of = |row: usize| (0..BASE).map(move |class| cosine(tests.row(row), known.row(class)));
    (0..BASE * TESTED).flat_map(of).collect()
}

/// Accuracies in percent over so many classes: all, base, new.
fn accuracies(tests: &Matrix, known: &Matrix, count: usize) -> [f64; 3] {
    let right = |row: usize| {
        let cosines: Vec<f64> = (0..count).map(|class| cosine(tests.row(row), known.row(class))).collect();
        f64::from(u8::from(engine::numeric::argmax(&cosines) == Some(row / TESTED)))
    };
    let right: Vec<f64> = (0..count * TESTED).map(right).collect();
    let share = |of: &[f64]| 100.0 * mean(of);
    [share(&right), share(&right[..BASE * TESTED]), share(&right[BASE * TESTED..])]
}

/// Tests on the plane in which they spread most, with the means of the classes and the vertices that nobody took.
fn map(tests: &Matrix, known: &Matrix, left: Option<Matrix>) -> Figure {
    let plane = Plane::of(tests);
    let places =
        |points: &Matrix| plane.places(points).into_iter().map(|place| place.map(f64::from)).collect::<Vec<_>>();
    let all = places(tests);
    let scatter = |name: &str, role, points| Mark::Scatter { name: name.into(), role, points, classes: vec![] };
    let mut marks = vec![
        scatter("tests of base classes", Role::Other, all[..BASE * TESTED].to_vec()),
        scatter("tests of new classes", Role::Train, all[BASE * TESTED..].to_vec()),
        scatter("means of classes", Role::Theory, places(known)),
    ];
    marks.extend(left.map(|left| scatter("set vectors that are left", Role::Limit, places(&left))));
    let value = format!("{} of the scatter is in this plane", engine::figure::brief(plane.explained));
    Figure { alt: value.clone(), value, ..Plane::figure(marks) }
}

/// Cosines of the means of all classes with one another.
fn angles(known: &Matrix) -> Figure {
    let value = |at: usize| cosine(known.row(at / CLASSES), known.row(at % CLASSES)) as f32;
    let grid = Grid { width: CLASSES, height: CLASSES, values: (0..CLASSES * CLASSES).map(value).collect() };
    let map = Mark::HeatMap { grid, scale: Scale::Linear, range: Some([-0.5, 1.0]), rows: vec![], columns: vec![] };
    let [x, y] = [(); 2].map(|()| axis("class, base classes first", ""));
    Figure { x, y, marks: vec![map], alt: "Cosines of the means of all classes".into(), ..Figure::default() }
}
