//! Steps of several parts, on both executors: gradients against differences in f64, states against the f64 reference.

mod curvature;
mod groups;
mod nested;
mod several;
mod states;
mod streams;

use std::collections::BTreeMap;

use burn::module::Module;
use burn::nn::{LayerNorm, Linear};
use burn::tensor::{Int, Tensor};

use super::play::Home;
use super::*;
use crate::cpu::CpuExecutor;
use crate::executor::AnyExecutor;
use crate::graph::differences::{assert_slope, draw, slopes};
use crate::graph::reference::{self, Inputs};
use crate::graph::{DType, InputKind, NodeId, Target, numel};
use crate::model::{Builder, Init};
use crate::objective::recorded;
use crate::spec::{OptimizerSpec, Rule};

type Player<'p> = Play<'p, AnyExecutor>;

/// Runs an example on the CPU and on the GPU, if there is one.
fn everywhere(example: impl AsyncFn(&mut Player<'_>) -> Result<(), PlayError>) {
    let gpu = crate::gpu::tests::executors().pop().map(|executor| AnyExecutor::Gpu(Box::new(executor)));
    for executor in [Some(AnyExecutor::Cpu(Box::new(CpuExecutor::new()))), gpu].into_iter().flatten() {
        let home = Home::new(Some(executor).into());
        let mut play = Play::new(&home, Breathless, 5).unwrap();
        pollster::block_on(example(&mut play)).unwrap();
        drop(play);
        assert!(home.borrow().is_some(), "the executor is handed back");
    }
}

/// Fetches a loss and its gradient with respect to the input of that name, for [`check`].
fn watch<const L: usize, const D: usize>(tape: &mut Tape, input: &str, of: &Tensor<D>, loss: &Tensor<L>) {
    let gradient = tape.grad(loss, of);
    tape.fetch(&format!("loss.{input}"), loss);
    tape.fetch(&format!("gradient.{input}"), &gradient);
}

/// The same with respect to a net's parameters.
fn watch_net<const L: usize>(tape: &mut Tape, net: &str, loss: &Tensor<L>) {
    let flat = tape.flat(net);
    watch(tape, &format!("{net}.theta"), &flat, loss);
}

/// Runs a step once: every watched gradient is the slope of its loss in f64, and all that the executor yields agrees with
/// the f64 reference. The step reads no tables.
async fn check(play: &mut Player<'_>, step: StepId, inputs: &[(&str, Words<'_>)]) -> Result<(), PlayError> {
    let program = play.at(step)?.traced.program.clone();
    let mut known = Inputs::new();
    let words = play.words(step, inputs)?;
    let plan = play.at(step)?.plan.plan.clone();
    for (input, offset) in plan.inputs.iter().zip(&plan.step_offsets) {
        if let Some(first) = *offset {
            let number = |&word: &u32| match input.dtype {
                DType::U32 => f64::from(word),
                _ => f64::from(f32::from_bits(word)),
            };
            let words = &words[first..first + numel(&input.shape)];
            known.insert(input.name.clone(), words.iter().map(number).collect());
        }
    }
    for input in program.graph.inputs().iter().filter(|input| input.kind == InputKind::State) {
        known.insert(input.name.clone(), play.read(&input.name).await?.into_iter().map(f64::from).collect());
    }
    let before = known.clone();
    let wanted = reference::run(&program, &mut known);
    let node = |name: &str| -> NodeId {
        let fetched = |target: &Target| matches!(target, Target::Fetch(known) if known == name);
        program.outputs.iter().find(|output| fetched(&output.target)).unwrap().node
    };
    for (name, gradient) in &wanted {
        let Some(input) = name.strip_prefix("gradient.") else { continue };
        for seed in 0..3 {
            let direction = draw(gradient.len(), -1.0, 1.0, seed);
            let found: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
            let direction = Inputs::from([(input.to_owned(), direction)]);
            let slope = slopes(&program.graph, &before, node(&format!("loss.{input}")), &direction)[0];
            assert_slope(found, slope, format!("{name}, direction {seed}"));
        }
    }
    play.run(step, inputs).await?;
    for (name, wanted) in wanted.iter().filter(|(name, _)| !name.starts_with("metric")) {
        close(name, &play.fetch(step, name).await?, wanted);
    }
    for output in &program.outputs {
        if let Target::State(id) = output.target {
            let name = &program.graph.inputs()[id.index()].name;
            close(name, &play.read(name).await?, &known[name]);
        }
    }
    Ok(())
}

fn close(what: &str, found: &[f32], wanted: &[f64]) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let scale = wanted.iter().fold(1e-3, |most: f64, value| most.max(value.abs()));
    for (found, wanted) in found.iter().zip(wanted) {
        assert!((f64::from(*found) - wanted).abs() < 2e-3 * scale, "{what}: {found} against {wanted}");
    }
}

/// What a step says of each run, over so many runs.
async fn train(
    play: &mut Player<'_>,
    step: StepId,
    runs: usize,
    inputs: &[(&str, Words<'_>)],
) -> Result<BTreeMap<&'static str, Vec<f32>>, PlayError> {
    play.metrics(step).await?;
    for _ in 0..runs {
        play.run(step, inputs).await?;
    }
    play.metrics(step).await
}

/// Whether the last number is less than a share of the first.
fn falls(column: &[f32], share: f32) {
    let (first, last) = (column[0], column[column.len() - 1]);
    assert!(last.is_finite() && last < share * first, "{first} to {last}");
}

/// Adam without decay.
fn adam() -> OptimizerSpec {
    OptimizerSpec { kind: Rule::Adam, weight_decay: 0.0, clip: 0.0, ..OptimizerSpec::default() }
}

fn sgd() -> OptimizerSpec {
    OptimizerSpec { kind: Rule::Sgd, ..adam() }
}

/// Numbers from -1 to 1.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    draw(count, -1.0, 1.0, seed).into_iter().map(|x| x as f32).collect()
}

/// A hidden layer with a norm.
#[derive(Module, Debug)]
struct Mlp {
    hidden: Linear,
    norm: LayerNorm,
    head: Linear,
}

impl Mlp {
    fn new(builder: &mut Builder, [inputs, width, outputs]: [usize; 3]) -> Self {
        Mlp {
            hidden: builder.linear(inputs, width, true, Init::linear_normal(inputs)),
            norm: builder.layer_norm(width),
            head: builder.linear(width, outputs, true, Init::linear_normal(width)),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.head.forward(self.norm.forward(self.hidden.forward(x)).tanh())
    }
}

fn softplus(x: Tensor<2>) -> Tensor<1> {
    (x.exp() + 1.0).log().mean()
}

fn mean_square<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    (x.clone() * x).mean()
}

/// Mean cross-entropy in nats.
fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    recorded::cross_entropy(logits, labels).mean()
}

/// Lines of an item of a file of tests that a study would write: no comments, no blank lines, nothing that tests.
fn study_lines(source: &str, item: &str) -> usize {
    let start = source.find(&format!("\n{item}")).unwrap_or_else(|| panic!("no {item}"));
    let tests = ["//", "assert", "check(", "watch", "falls("];
    let own = |line: &&str| !line.trim().is_empty() && !tests.iter().any(|test| line.trim().starts_with(test));
    source[start..].lines().take_while(|line| *line != "}").filter(own).count() + 1
}

#[test]
fn examples_are_short() {
    let [nested, several, states] =
        [include_str!("tests/nested.rs"), include_str!("tests/several.rs"), include_str!("tests/states.rs")];
    let examples: [(&str, &str, &[&str]); 6] = [
        ("GAN", several, &["fn a_critic_and_a_generator"]),
        ("hypernetwork", several, &["fn a_hypernetwork"]),
        ("EWC", states, &["fn regression", "fn a_penalty"]),
        ("LSTM", nested, &["struct Reader", "impl Reader", "fn a_recurrent"]),
        ("federated", states, &["fn regression", "fn clients"]),
        ("population", states, &["fn regression", "fn a_population"]),
    ];
    for (name, source, items) in examples {
        let lines: usize = items.iter().map(|item| study_lines(source, item)).sum();
        assert!(lines <= 40, "{name}: {lines} lines");
    }
}

/// A product with weights keeps what it multiplies; the inputs are there anyway.
#[test]
fn a_step_knows_what_it_keeps_for_its_backward_pass() {
    let traced = trace("kept", Mode::Train, |tape| {
        let x = tape.input("x", [5, 3]);
        let net = tape.net("net", |builder| builder.linear(3, 4, true, Init::linear_normal(3)));
        let loss = net.forward(x).exp().sum();
        tape.minimise("net", &loss, &sgd());
        Ok(())
    });
    assert_eq!(traced.unwrap().saved(), crate::graph::Saved { exact: 5 * 4, quantised: vec![] });
}
