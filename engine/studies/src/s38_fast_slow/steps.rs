//! Steps over windows of a sequence: gradients of what lies after a window come from a prediction, and prediction, slow and
//! fast parts learn each by its own rule.

use burn::tensor::Tensor;
use engine::graph::capture::stop_gradient;
use engine::model::{Mode, ModelError};
use engine::rng::Rng;
use engine::spec::{OptimizerSpec, Rule};
use engine::tape::{Play, StepId, Tape, Traced, Words, trace};

use super::memory::{Controllers, Critic, INPUTS, STATE, SYMBOLS, Slow, critic_loss, later, task_loss, window};
use crate::StudyError;

/// Nets: embedding and answers, controllers, the predictor.
pub const SLOW: &str = "slow";
pub const FAST: &str = "controllers";
pub const CRITIC: &str = "critic";
/// Added to the mean square of targets.
const LEAST: f64 = 1e-20;

/// What stands for the gradient of later windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feedback {
    /// Nothing: truncated back-propagation.
    None,
    /// The prediction from the state.
    Critic,
    /// The running mean of the targets.
    Mean,
    /// What the host gives, `given` `[rows, STATE]`.
    Given,
}

/// How an arm learns.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Sequences of an update.
    pub rows: usize,
    /// Steps of a window.
    pub window: usize,
    /// What comes from later windows.
    pub feedback: Feedback,
    /// Whether controllers learn after every window, else after the sequence.
    pub fast: bool,
}

/// Adam without anything else.
pub fn adam() -> OptimizerSpec {
    OptimizerSpec { weight_decay: 0.0, clip: 0.0, ..OptimizerSpec::of(Rule::Adam) }
}

/// The steps of an arm.
pub struct Steps {
    /// A window: inputs `x`, `labels`, `asked`, `first`, `share`.
    pub window: StepId,
    /// Ends a sequence: what has been summed is descended.
    pub close: StepId,
    /// Bytes that the backward pass of a window reads.
    pub bytes: f64,
}

impl Steps {
    /// Recorded into a play.
    ///
    /// # Errors
    /// They cannot be recorded or run.
    pub async fn new(play: &mut Play<'_>, way: Way) -> Result<Self, StudyError> {
        let traced = window_step(way)?;
        let bytes = traced.saved().bytes();
        let (window, close) = (play.add(traced).await?, play.add(close_step(way)?).await?);
        Ok(Self { window, close, bytes })
    }
}

/// One window and what it teaches.
fn window_step(way: Way) -> Result<Traced, ModelError> {
    let Way { rows, window: steps, .. } = way;
    trace("window", Mode::Train, |tape| {
        let (slow, fast) = (tape.net(SLOW, Slow::new), tape.net(FAST, Controllers::new));
        let critic = tape.net(CRITIC, Critic::new);
        let (x, labels) = (tape.input("x", [rows, steps, INPUTS]), tape.labels("labels", [rows]));
        let (asked, first, share) = (tape.input("asked", [1]), tape.input("first", [1]), tape.input("share", [1]));
        let (goes_on, begun) = (asked.clone().neg() + 1.0, first.neg() + 1.0);
        let entered = tape.state("state", [rows, STATE]) * begun.clone().unsqueeze::<2>();
        let (size, mean) = (tape.state("size", [1]), tape.state("mean", [1, STATE]));
        let passed = window(&slow, &fast, entered.clone(), x);
        let scale = |size: Tensor<1>| (size + LEAST).sqrt().unsqueeze::<2>();
        let predicted = match way.feedback {
            Feedback::None => None,
            Feedback::Critic => Some(critic.forward(stop_gradient(passed.state.clone())) * scale(size.clone())),
            Feedback::Mean => Some(mean.clone().expand([rows, STATE])),
            Feedback::Given => Some(tape.input("given", [rows, STATE])),
        };
        let mut loss = task_loss(passed.logits, labels, asked);
        if let Some(predicted) = predicted {
            loss = loss + later(passed.state.clone(), predicted) * goes_on;
        }
        let target = tape.grad(&loss, &entered);
        if way.feedback == Feedback::Critic || way.feedback == Feedback::Mean {
            let size = size.clone() + (target.clone().powf_scalar(2.0).mean() - size) * share.clone();
            tape.keep("size", &size);
            tape.keep("mean", &(mean.clone() + (target.clone().mean_dim(0) - mean) * share.unsqueeze::<2>()));
            let wanted = target.clone() / scale(size);
            let off = critic_loss(critic.forward(stop_gradient(entered)), wanted) * begun;
            tape.minimise(CRITIC, &off, &adam());
        }
        tape.keep("state", &passed.state);
        tape.fetch("target", &target);
        tape.fetch("addresses", &passed.addresses);
        collect(tape, SLOW, "sum.slow", &loss);
        if way.fast {
            tape.minimise(FAST, &loss, &adam());
        } else {
            collect(tape, FAST, "sum.fast", &loss);
        }
        Ok(())
    })
}

/// Adds the gradient of a net to a state.
fn collect(tape: &mut Tape, net: &str, state: &str, loss: &Tensor<1>) {
    let theta = tape.flat(net);
    let gradient = tape.grad(loss, &theta);
    let sum = tape.state(state, theta.dims());
    tape.keep(state, &(sum + gradient));
}

fn close_step(way: Way) -> Result<Traced, ModelError> {
    trace("close", Mode::Train, |tape| {
        let _ = (tape.net(SLOW, Slow::new), tape.net(FAST, Controllers::new));
        descend(tape, SLOW, "sum.slow");
        if !way.fast {
            descend(tape, FAST, "sum.fast");
        }
        Ok(())
    })
}

/// Descends a summed gradient, and begins a new sum.
fn descend(tape: &mut Tape, net: &str, state: &str) {
    let size = tape.flat(net).dims();
    let sum = tape.state(state, size);
    tape.descend(net, &sum, &adam());
    tape.keep(state, &(sum * 0.0));
}

/// A step over whole sequences `x` that answers, `logits`, and shows addresses; with borders after every so many steps also
/// the true gradients there, `truth` `[borders, rows, STATE]`, and the predicted ones, `predicted`.
pub fn whole_step(name: &'static str, rows: usize, length: usize, every: usize) -> Result<Traced, ModelError> {
    trace(name, Mode::Train, |tape| {
        let (slow, fast) = (tape.net(SLOW, Slow::new), tape.net(FAST, Controllers::new));
        let critic = tape.net(CRITIC, Critic::new);
        let (x, labels) = (tape.input("x", [rows, length, INPUTS]), tape.labels("labels", [rows]));
        let mut state = Tensor::zeros([rows, STATE], tape.device());
        let (mut borders, mut addresses, mut logits) =
            (Vec::new(), Vec::new(), Tensor::zeros([rows, SYMBOLS], tape.device()));
        for begin in (0..length).step_by(every) {
            let passed = window(&slow, &fast, state, x.clone().slice_dim(1, begin..begin + every));
            (state, logits) = (passed.state, passed.logits);
            addresses.push(passed.addresses);
            borders.push(state.clone());
        }
        borders.pop();
        let one = Tensor::ones([1], tape.device());
        let loss = task_loss(logits.clone(), labels, one);
        let truth: Vec<Tensor<2>> = borders.iter().map(|border| tape.grad(&loss, border)).collect();
        let predicted: Vec<Tensor<2>> = borders.into_iter().map(|border| critic.forward(border)).collect();
        if !truth.is_empty() {
            tape.fetch("truth", &Tensor::stack::<3>(truth, 0));
            tape.fetch("predicted", &Tensor::stack::<3>(predicted, 0));
        }
        tape.fetch("logits", &logits);
        tape.fetch("addresses", &Tensor::cat(addresses, 1));
        Ok(())
    })
}

/// Sequences, and the symbol that each asks for.
pub struct Batch {
    /// `[rows, length, INPUTS]`
    pub x: Vec<f32>,
    /// `[rows]`
    pub labels: Vec<u32>,
    /// The step at which each was flagged, from 0.
    pub flagged: Vec<usize>,
}

/// Steps of a sequence.
pub const LENGTH: usize = 12;
/// Steps that show a symbol, before the blank ones.
pub const SHOWN: usize = 8;

impl Batch {
    /// Random sequences: symbols of which one is flagged, then blanks; asked for is the one that was flagged.
    pub fn drawn(rows: usize, rng: &mut Rng) -> Self {
        let mut x = vec![0.0; rows * LENGTH * INPUTS];
        let (mut labels, mut places) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        for sequence in x.chunks_mut(LENGTH * INPUTS) {
            let flagged = rng.below(SHOWN as u32) as usize;
            places.push(flagged);
            for (step, input) in sequence.chunks_mut(INPUTS).enumerate() {
                if step >= SHOWN {
                    input[SYMBOLS + 1] = 1.0;
                    continue;
                }
                let symbol = rng.below(SYMBOLS as u32);
                input[symbol as usize] = 1.0;
                if step == flagged {
                    input[SYMBOLS] = 1.0;
                    labels.push(symbol);
                }
            }
        }
        Self { x, labels, flagged: places }
    }

    /// The steps of a window of every sequence.
    fn window(&self, begin: usize, steps: usize) -> Vec<f32> {
        let of = |sequence: &[f32]| sequence[begin * INPUTS..(begin + steps) * INPUTS].to_vec();
        self.x.chunks(LENGTH * INPUTS).flat_map(of).collect()
    }
}

/// Lets sequences pass window by window, and learns from them. `number`: of the update, from 0.
///
/// # Errors
/// The executor fails.
pub async fn learn(
    play: &mut Play<'_>,
    steps: &Steps,
    way: Way,
    batch: &Batch,
    number: usize,
) -> Result<(), StudyError> {
    pass(play, steps, way, batch, number, &[]).await?;
    Ok(play.run(steps.close, &[]).await?)
}

/// The windows of an update, without what ends it. `given`: the gradients after each window but the last, where the arm is
/// told them.
///
/// # Errors
/// The executor fails.
pub async fn pass(
    play: &mut Play<'_>,
    steps: &Steps,
    way: Way,
    batch: &Batch,
    number: usize,
    given: &[Vec<f32>],
) -> Result<(), StudyError> {
    let windows = LENGTH / way.window;
    for place in 0..windows {
        let x = batch.window(place * way.window, way.window);
        let (asked, first) = (f32::from(u8::from(place + 1 == windows)), f32::from(u8::from(place == 0)));
        // Targets so far count alike, later the last hundred or so.
        let targets = number * (windows - 1) + place;
        let share = if place == 0 { 0.0 } else { (1.0 / targets as f32).max(0.01) };
        let mut inputs = vec![
            ("x", Words::Numbers(&x)),
            ("labels", Words::Classes(&batch.labels)),
            ("asked", Words::Numbers(std::slice::from_ref(&asked))),
            ("first", Words::Numbers(std::slice::from_ref(&first))),
            ("share", Words::Numbers(std::slice::from_ref(&share))),
        ];
        let none = vec![0.0; way.rows * STATE];
        if way.feedback == Feedback::Given {
            inputs.push(("given", Words::Numbers(given.get(place).unwrap_or(&none))));
        }
        play.run(steps.window, &inputs).await?;
    }
    Ok(())
}
