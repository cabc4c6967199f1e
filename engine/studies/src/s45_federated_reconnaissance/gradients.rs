//! Clients that learn by gradients and a server that averages what they come to (FedAvg, McMahan et al. 2017): a linear head on
//! the frozen encoder, with or without exemplars and distillation (as iCaRL does), or encoder and head together.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use engine::model::{Init, Mode, ModelError};
use engine::numeric::{Matrix, argmax, dot, softmax};
use engine::spec::{OptimizerSpec, Rule};
use engine::tape::{Play, StepId, Tape, Traced, Words, trace};

use super::ground::Ground;
use super::missions::Meeting;
use crate::StudyError;
use crate::encoder::{ConvEncoder, DIMS, Form, NET, embed, pictures, unit};

const HEAD: &str = "head";
/// Updates that a client does between two averages.
const LOCAL: usize = 20;
/// Updates that fit a head to all data, and their rate.
const FITTED: (usize, f64) = (200, 0.02);
/// Added to the score of a class that is not to be chosen.
const CLOSED: f32 = -1e4;

/// What clients learn, and by what.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// The encoder too.
    pub whole: bool,
    /// Examples of each known class that clients keep and are held to.
    pub exemplars: usize,
    /// Learning rates of encoders and heads.
    pub rates: [f64; 2],
}

/// The steps of clients, and where they run.
pub struct Clients<'p> {
    pub play: Play<'p>,
    pub embed: StepId,
    head: StepId,
    whole: StepId,
    classes: usize,
    /// Examples of a step of the head, and of the whole network.
    rows: [usize; 2],
}

/// Parameters at the server: of the encoder where that learns, and of the head, `[DIMS, classes]` and a bias each.
#[derive(Debug, Clone, Default)]
pub struct Server {
    encoder: Vec<f32>,
    head: Vec<f32>,
    /// Rows and classes of the exemplars.
    kept: Vec<(usize, usize)>,
    /// Bytes received.
    pub bytes: usize,
}

/// One step of descent from scores `[rows, classes]` under weighted targets.
fn minimise(tape: &mut Tape, nets: &[&str], logits: Tensor<2>, rule: Rule) {
    let [rows, classes] = logits.dims();
    let mut part = |target: &str, open: &str| {
        let target = tape.input(target, [rows, classes]);
        let open = tape.input(open, [1, classes]).expand([rows, classes]);
        (target * log_softmax(logits.clone() + open, 1)).sum()
    };
    let loss = (part("target", "open") + part("before", "known")).neg();
    let rule = OptimizerSpec { weight_decay: 0.0, clip: 0.0, ..OptimizerSpec::of(rule) };
    for net in nets {
        tape.minimise(net, &loss, &rule);
    }
}

/// A step of the head from vectors.
fn of_head(name: &'static str, rows: usize, classes: usize, rule: Rule) -> Result<Traced, ModelError> {
    trace(name, Mode::Train, |tape| {
        let vectors = tape.input("vectors", [rows, DIMS]);
        let head = tape.net(HEAD, |builder| builder.linear(DIMS, classes, true, Init::Constant(0.0)));
        minimise(tape, &[HEAD], head.forward(vectors), rule);
        Ok(())
    })
}

/// A step of the whole network from pictures.
fn of_whole(rows: usize, classes: usize, shape: [usize; 3]) -> Result<Traced, ModelError> {
    trace("whole step", Mode::Train, |tape| {
        let x = pictures(tape, rows, shape);
        let encoder = tape.net(NET, |builder| ConvEncoder::new(builder, shape));
        let head = tape.net(HEAD, |builder| builder.linear(DIMS, classes, true, Init::Constant(0.0)));
        minimise(tape, &[NET, HEAD], head.forward(encoder.forward(x)), Rule::Sgd);
        Ok(())
    })
}

/// A row of zeros with [`CLOSED`] at the classes that are not `open`.
fn mask(classes: usize, open: impl Fn(usize) -> bool) -> Vec<f32> {
    (0..classes).map(|class| if open(class) { 0.0 } else { CLOSED }).collect()
}

impl<'p> Clients<'p> {
    /// Clients that learn `classes` classes from `fresh` examples a mission and at most `exemplars` of each class. The play
    /// has the encoder.
    pub async fn new(
        mut play: Play<'p>,
        embed: StepId,
        shape: [usize; 3],
        classes: usize,
        [fresh, exemplars]: [usize; 2],
    ) -> Result<Self, StudyError> {
        let rows = [fresh + exemplars * classes, fresh];
        let head = play.add(of_head("head step", rows[0], classes, Rule::Sgd)?).await?;
        let whole = play.add(of_whole(rows[1], classes, shape)?).await?;
        Ok(Self { play, embed, head, whole, classes, rows })
    }

    /// A server that knows some classes by their prototypes: the nearest one has the highest score, as
    /// `|x - c|^2 = |x|^2 - 2 (x c - |c|^2 / 2)`. `encoder`: what the whole network begins from.
    pub fn server(&self, prototypes: &Matrix, encoder: &[f32], kept: Vec<(usize, usize)>) -> Server {
        let mut head = vec![0.0; (DIMS + 1) * self.classes];
        for class in 0..prototypes.rows {
            let mean = prototypes.row(class);
            mean.iter().enumerate().for_each(|(axis, &x)| head[axis * self.classes + class] = x as f32);
            head[DIMS * self.classes + class] = (-dot(mean, mean) / 2.0) as f32;
        }
        Server { encoder: encoder.to_vec(), head, kept, bytes: 0 }
    }

    /// A mission: every client learns from what it meets, beginning at the server's parameters, and the server takes the
    /// mean of what comes back. `known`: classes before.
    pub async fn mission(
        &mut self,
        way: Way,
        server: &mut Server,
        ground: &Ground,
        mission: &[Meeting],
        known: usize,
    ) -> Result<(), StudyError> {
        let mut clients: Vec<usize> = mission.iter().map(|meeting| meeting.client).collect();
        clients.dedup();
        let mut sums = [vec![0.0_f64; server.encoder.len()], vec![0.0_f64; server.head.len()]];
        let mut kept = server.kept.clone();
        for client in &clients {
            let own = mission.iter().filter(|meeting| meeting.client == *client);
            let mut examples: Vec<(usize, usize)> = Vec::new();
            for meeting in own {
                let class = super::ground::BASE + meeting.class;
                let rows = meeting.examples.clone().map(|example| (Ground::row(meeting.class, example), class));
                let missing = way.exemplars.saturating_sub(kept.iter().filter(|row| row.1 == class).count());
                kept.extend(rows.clone().take(missing));
                server.bytes += 4 * DIMS * missing.min(meeting.examples.len());
                examples.extend(rows);
            }
            if way.exemplars > 0 {
                examples.extend(&server.kept);
            }
            self.learn(way, server, ground, &examples, known).await?;
            for (net, sum) in [NET, HEAD].into_iter().zip(&mut sums) {
                if sum.is_empty() {
                    continue;
                }
                let theta = self.play.read(&format!("{net}.theta")).await?;
                server.bytes += 4 * theta.len();
                sum.iter_mut().zip(&theta).for_each(|(sum, &x)| *sum += f64::from(x) / clients.len() as f64);
            }
        }
        if !clients.is_empty() {
            let [encoder, head] = sums.map(|sum| sum.into_iter().map(|x| x as f32).collect());
            *server = Server { encoder, head, kept, bytes: server.bytes };
        }
        Ok(())
    }

    /// The updates of one client from labelled rows.
    async fn learn(
        &mut self,
        way: Way,
        server: &Server,
        ground: &Ground,
        examples: &[(usize, usize)],
        known: usize,
    ) -> Result<(), StudyError> {
        let (classes, rows) = (self.classes, self.rows[usize::from(way.whole)]);
        let listed: Vec<usize> = examples.iter().map(|example| example.0).collect();
        let vectors = ground.rows(&listed);
        let weight = 1.0 / examples.len() as f32;
        let mut target = vec![0.0; rows * classes];
        examples.iter().enumerate().for_each(|(row, example)| target[row * classes + example.1] = weight);
        let mut before = vec![0.0; rows * classes];
        if way.exemplars > 0 {
            let scores = server.scores(&vectors, known);
            for row in 0..scores.rows {
                let scores: Vec<f32> = scores.row(row).iter().map(|&x| x as f32).collect();
                let said = softmax(&scores, 1.0);
                said.iter().enumerate().for_each(|(class, &p)| before[row * classes + class] = weight * p as f32);
            }
        }
        let open = mask(classes, |class| class < known || examples.iter().any(|example| example.1 == class));
        let closed = mask(classes, |class| class < known);
        let input = if way.whole {
            let mut pixels = unit(&ground.pixels(&listed));
            pixels.resize(rows * ground.size, 0.0);
            self.play.write(&format!("{NET}.theta"), &server.encoder)?;
            self.play.rate(NET, way.rates[0])?;
            ("pictures", pixels)
        } else {
            let mut numbers: Vec<f32> = vectors.values.iter().map(|&x| x as f32).collect();
            numbers.resize(rows * DIMS, 0.0);
            ("vectors", numbers)
        };
        self.play.write(&format!("{HEAD}.theta"), &server.head)?;
        self.play.rate(HEAD, way.rates[1])?;
        let words =
            [(input.0, &input.1), ("target", &target), ("before", &before), ("open", &open), ("known", &closed)];
        let words = words.map(|(name, values)| (name, Words::Numbers(values)));
        let step = if way.whole { self.whole } else { self.head };
        for _ in 0..LOCAL {
            self.play.run(step, &words).await?;
        }
        Ok(())
    }

    /// What a server predicts for [`Ground::tests`] of so many classes.
    pub async fn predicted(
        &mut self,
        server: &Server,
        ground: &Ground,
        classes: usize,
    ) -> Result<Vec<usize>, StudyError> {
        let tests = Ground::tests(classes);
        let vectors = if server.encoder.is_empty() {
            ground.rows(&tests)
        } else {
            self.play.write(&format!("{NET}.theta"), &server.encoder)?;
            let vectors =
                embed(&mut self.play, self.embed, &ground.pixels(&tests), Form::convolutional(ground.size)).await?;
            crate::fewshot::matrix(&vectors, DIMS)
        };
        let scores = server.scores(&vectors, classes);
        Ok((0..scores.rows).map(|row| argmax(scores.row(row)).unwrap_or(0)).collect())
    }

    /// Fits a server's head to labelled rows in one place, every class with the same weight.
    pub async fn fit(
        &mut self,
        server: &mut Server,
        ground: &Ground,
        examples: &[(usize, usize)],
    ) -> Result<(), StudyError> {
        let (rows, classes) = (examples.len(), self.classes);
        let step = self.play.add(of_head("fit", rows, classes, Rule::Adam)?).await?;
        let mut counts = vec![0.0; classes];
        examples.iter().for_each(|example| counts[example.1] += 1.0);
        let mut target = vec![0.0; rows * classes];
        for (row, &(_, class)) in examples.iter().enumerate() {
            target[row * classes + class] = 1.0 / (counts[class] * classes as f32);
        }
        let listed: Vec<usize> = examples.iter().map(|example| example.0).collect();
        let vectors: Vec<f32> = ground.rows(&listed).values.iter().map(|&x| x as f32).collect();
        let (before, open) = (vec![0.0; rows * classes], vec![0.0; classes]);
        let words =
            [("vectors", &vectors), ("target", &target), ("before", &before), ("open", &open), ("known", &open)];
        let words = words.map(|(name, values)| (name, Words::Numbers(values)));
        self.play.write(&format!("{HEAD}.theta"), &server.head)?;
        self.play.rate(HEAD, FITTED.1)?;
        for _ in 0..FITTED.0 {
            self.play.run(step, &words).await?;
        }
        server.head = self.play.read(&format!("{HEAD}.theta")).await?;
        Ok(())
    }

    /// Operations of a client's updates of the whole network in a mission.
    pub fn learning(&self) -> Result<f64, StudyError> {
        Ok((LOCAL as u64 * self.play.flop(self.whole)?) as f64)
    }

    /// Operations of encoding what a client meets in a mission.
    pub fn encoding(&self) -> Result<f64, StudyError> {
        Ok(self.play.flop(self.embed)? as f64 * self.rows[1] as f64 / crate::encoder::BATCH as f64)
    }
}

impl Server {
    /// Whether all its parameters are numbers.
    pub fn is_finite(&self) -> bool {
        self.encoder.iter().chain(&self.head).all(|x| x.is_finite())
    }

    /// The head's scores of the first classes.
    fn scores(&self, vectors: &Matrix, count: usize) -> Matrix {
        let classes = self.head.len() / (DIMS + 1);
        let weights = Matrix::from_fn(count, DIMS, |class, axis| f64::from(self.head[axis * classes + class]));
        let bias = |class: usize| f64::from(self.head[DIMS * classes + class]);
        Matrix::from_fn(vectors.rows, count, |row, class| dot(vectors.row(row), weights.row(class)) + bias(class))
    }
}
