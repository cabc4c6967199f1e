//! The programs of a run: a whole step, its two halves for accumulated batches, evaluation, and looking inside.

use super::TrainError;
use super::feed::{Batch, Feed, Targets};
use crate::augment;
use crate::graph::grad::grad;
use crate::graph::{BinaryOp, DType, Graph, GraphError, InputKind, NodeId, Program, substitute};
use crate::model::{KEY, Mode, ParamLayout, THETA};
use crate::objective;
use crate::optim;
use crate::spec::RunSpec;
use crate::tape::{Captured, Given, capture_used};

/// Step input: u32 table rows of the batch.
pub const INDEX: &str = "index";
/// Step input: f32 weight of each example in the mean; 0 for places that are not used.
pub const WEIGHT: &str = "weight";
/// Step input: f32, 0 in the first micro-batch of a step and 1 in the others.
pub const KEEP: &str = "keep";
/// Step input: f32, how often the recipe's dropout drops, and what it multiplies the rest by.
pub const DROPOUT: &str = "dropout";
/// State: the gradient accumulated over micro-batches.
pub const GRADIENT: &str = "gradient";
/// State: loss and correct answers accumulated over micro-batches.
const TOTALS: &str = "totals";

/// Fetched value: the loss of each example.
pub const LOSSES: &str = "losses";
/// Fetched value: share of each example that is answered correctly.
pub const HITS: &str = "hits";
/// Fetched value: the class predicted of each example, or of each position of a text.
pub const PREDICTED: &str = "predicted";
/// Fetched value: the model's output.
pub const LOGITS: &str = "logits";

/// Columns of the metrics ring.
pub const LOSS: usize = 0;
/// Weighted share of correct answers.
pub const CORRECT: usize = 1;
/// Global norm of the gradient.
pub const GRAD_NORM: usize = 2;

/// Builds the programs of one spec.
pub struct Programs<'a> {
    spec: &'a RunSpec,
    feed: &'a Feed,
    padded: bool,
    layout: ParamLayout,
    running: Vec<(String, Vec<f32>)>,
    /// Whether a step tells the loss of each of its examples.
    tells: bool,
}

/// Loss and correctness of a weighted batch as scalars, and what each example contributed.
pub(super) struct Scored {
    pub loss: NodeId,
    correct: NodeId,
    pub losses: NodeId,
    /// Weight of each example, the step input [`WEIGHT`].
    pub weight: NodeId,
    /// Share correct and predicted classes of each example, for classifiers.
    answers: Option<(NodeId, NodeId)>,
}

impl<'a> Programs<'a> {
    /// Captures the model once to learn its parameters and states.
    pub fn new(spec: &'a RunSpec, feed: &'a Feed) -> Result<Self, TrainError> {
        let mut programs =
            Programs { spec, feed, padded: false, layout: ParamLayout::default(), running: vec![], tells: false };
        let mut graph = Graph::new();
        let index = graph.input(INDEX, &[1], DType::U32, InputKind::Step)?;
        let batch = feed.gather(&mut graph, index)?;
        let x = feed.standardise(&mut graph, batch.x)?;
        let captured = programs.capture(&mut graph, x, Mode::Train)?;
        programs.layout = captured.layout;
        programs.running = captured.states.into_iter().map(|state| (state.name, state.initial)).collect();
        Ok(programs)
    }

    /// The same for micro-batches of which some places may be left over, at weight 0: what layers take of a batch as a
    /// whole is that of the other places. Changes nothing for models that look at each example alone.
    pub fn padded(self, padded: bool) -> Self {
        Programs { padded: padded && self.spec.model.normalises_batches(), ..self }
    }

    /// The same with steps whose [`LOSSES`] can be fetched, if that is wanted.
    #[must_use]
    pub fn telling(self, tells: bool) -> Self {
        Self { tells, ..self }
    }

    fn tell(&self, program: &mut Program, scored: &Scored) {
        if self.tells {
            program.fetch(LOSSES, scored.losses);
        }
    }

    /// Where each parameter lies in theta.
    pub fn layout(&self) -> &ParamLayout {
        &self.layout
    }

    /// What the model sees of a batch as gathered (and augmented), and what it should answer.
    fn task(&self, graph: &mut Graph, batch: Batch, key: NodeId) -> Result<Batch, TrainError> {
        let x = self.feed.standardise(graph, batch.x)?;
        if !matches!(self.feed, Feed::Images { restored: true, .. }) {
            return Ok(Batch { x, ..batch });
        }
        let examples = graph.shape(x)[0];
        let whole = graph.reshape(x, &[examples, self.feed.outputs()])?;
        let x = objective::hide(graph, &self.spec.objective, x, key)?;
        Ok(Batch { x, targets: Targets::Values(whole) })
    }

    /// The model on standardised inputs.
    fn capture(&self, graph: &mut Graph, x: NodeId, mode: Mode) -> Result<Captured, TrainError> {
        let used = match self.padded {
            true => {
                let places = graph.shape(x)[..1].to_vec();
                let weight = graph.input(WEIGHT, &places, DType::F32, InputKind::Step)?;
                let zero = graph.constant(0.0, &places);
                Some(graph.binary(BinaryOp::Less, zero, weight)?)
            }
            false => None,
        };
        let drops = mode == Mode::Train && self.spec.model.dropout() > 0.0;
        let dropout = drops.then(|| graph.input(DROPOUT, &[2], DType::F32, InputKind::Step)).transpose()?;
        let captured = capture_used(graph, &self.spec.model, self.feed.outputs(), x, Given { used, dropout }, mode)?;
        Ok(Captured { layout: captured.layout.trained(self.spec.optimizer.trained), ..captured })
    }

    /// State buffers that a checkpoint holds, with their contents at the start.
    pub fn states(&self) -> Vec<(String, Vec<f32>)> {
        let mut states = vec![(THETA.to_owned(), self.layout.initial(self.spec.seed))];
        for (name, len) in optim::states(&self.spec.optimizer, &self.layout) {
            states.push((name.to_owned(), vec![0.0; len]));
        }
        states.extend(self.running.iter().cloned());
        states
    }

    /// Names of the states that every micro-batch changes, such as running statistics.
    pub fn running(&self) -> impl Iterator<Item = &str> {
        self.running.iter().map(|(name, _)| name.as_str())
    }

    /// State buffers that carry sums between the micro-batches of one step.
    pub fn scratch(&self) -> [(&'static str, usize); 2] {
        [(GRADIENT, self.layout.len()), (TOTALS, 2)]
    }

    /// The forward pass of training over a micro-batch, as augmented and with dropout.
    pub(super) fn augmented(&self, micro: usize) -> Result<(Program, Captured, Scored), TrainError> {
        let mut program = Program::default();
        let graph = &mut program.graph;
        graph.set_label("batch");
        let index = graph.input(INDEX, &[micro], DType::U32, InputKind::Step)?;
        let batch = self.feed.gather(graph, index)?;
        let key = graph.input(KEY, &[4], DType::U32, InputKind::Step)?;
        graph.set_label("augment");
        let augmented = augment::apply(graph, &self.spec.augment, batch.x, key)?;
        let task = self.task(graph, Batch { x: augmented.x, ..batch }, key)?;
        let captured = self.capture(graph, task.x, Mode::Train)?;
        graph.set_label("objective");
        let scored = self.score(graph, &captured, task.targets, augmented.mix)?;
        Ok((program, captured, scored))
    }

    /// Forward and backward pass over a micro-batch: the graph so far, loss, correct answers, and the flat gradient that
    /// the update rule is to have. Loss and running statistics are those at theta, or where the rule takes its gradient; with SAM,
    /// before it goes uphill.
    fn differentiate(&self, micro: usize) -> Result<(Program, Scored, NodeId), TrainError> {
        let (mut program, mut captured, mut scored) = self.augmented(micro)?;
        let graph = &mut program.graph;
        let mut flat = optim::gradient(graph, &self.spec.optimizer, &self.layout, &captured.params, scored.loss)?;
        if let Some(point) = optim::point(graph, &self.spec.optimizer, &self.layout)? {
            let theta = graph.input(THETA, &[self.layout.len()], DType::F32, InputKind::State)?;
            let values = [&mut flat, &mut scored.loss, &mut scored.correct, &mut scored.losses];
            for value in values.into_iter().chain(captured.states.iter_mut().map(|state| &mut state.value)) {
                *value = substitute(graph, *value, theta, point)?;
            }
        }
        for state in &captured.states {
            program.keep(&state.name, state.value)?;
        }
        Ok((program, scored, flat))
    }

    /// Forward pass over `micro` examples as they are: the graph so far, the model's outputs, its loss. The key is not a
    /// step's, so that what is hidden of an example depends on its place among them alone.
    pub(super) fn forward(&self, micro: usize, mode: Mode) -> Result<(Program, Captured, Scored), TrainError> {
        let mut program = Program::default();
        let graph = &mut program.graph;
        graph.set_label("batch");
        let index = graph.input(INDEX, &[micro], DType::U32, InputKind::Step)?;
        let batch = self.feed.gather(graph, index)?;
        let key = graph.input(KEY, &[4], DType::U32, InputKind::Step)?;
        let task = self.task(graph, batch, key)?;
        let captured = self.capture(graph, task.x, mode)?;
        graph.set_label("objective");
        let scored = self.score(graph, &captured, task.targets, None)?;
        Ok((program, captured, scored))
    }

    fn score(
        &self,
        graph: &mut Graph,
        captured: &Captured,
        targets: Targets,
        mix: Option<augment::Mix>,
    ) -> Result<Scored, TrainError> {
        let (Targets::Classes(values) | Targets::Values(values)) = targets;
        let batch = graph.shape(values).first().copied().unwrap_or(1);
        let weight = graph.input(WEIGHT, &[batch], DType::F32, InputKind::Step)?;
        let (losses, answers) = match targets {
            Targets::Classes(labels) => {
                let scores = objective::classify(graph, &self.spec.objective, captured.logits, labels, mix)?;
                (scores.losses, Some((scores.correct, scores.predicted)))
            }
            Targets::Values(values) => (objective::squared_error(graph, captured.logits, values)?, None),
        };
        let weighted = graph.mul(losses, weight)?;
        let loss = graph.sum_all(weighted)?;
        let correct = match answers {
            Some((correct, _)) => {
                let weighted = graph.mul(correct, weight)?;
                graph.sum_all(weighted)?
            }
            None => graph.constant(0.0, &[]),
        };
        Ok(Scored { loss, correct, losses, weight, answers })
    }

    /// A whole step in one program: batch, forward, backward, update.
    pub fn step(&self, micro: usize) -> Result<Program, TrainError> {
        let (mut program, scored, gradient) = self.differentiate(micro)?;
        self.tell(&mut program, &scored);
        self.append_update(&mut program, gradient, scored.loss, scored.correct)?;
        Ok(program)
    }

    /// One micro-batch of a step: adds its gradient, loss and correct answers to the sums.
    pub fn accumulate(&self, micro: usize) -> Result<Program, TrainError> {
        let (mut program, scored, gradient) = self.differentiate(micro)?;
        self.tell(&mut program, &scored);
        let graph = &mut program.graph;
        graph.set_label("accumulate");
        let loss = graph.reshape(scored.loss, &[1])?;
        let correct = graph.reshape(scored.correct, &[1])?;
        let totals = graph.concat(&[loss, correct], 0)?;
        for (name, value) in [(GRADIENT, gradient), (TOTALS, totals)] {
            accumulate(&mut program, name, value)?;
        }
        Ok(program)
    }

    /// One micro-batch of an estimate of the Hessian's diagonal at theta, added to the sum in the state `name`: of the loss that
    /// a step descends, its draws included.
    pub fn diagonal(&self, micro: usize, name: &str) -> Result<Program, TrainError> {
        let (mut program, captured, scored) = self.augmented(micro)?;
        let graph = &mut program.graph;
        graph.set_label("curvature");
        let pieces = grad(graph, scored.loss, &captured.params)?;
        let gradient = self.layout.flatten(graph, &pieces)?;
        let key = graph.input(KEY, &[4], DType::U32, InputKind::Step)?;
        let diagonal = optim::diagonal(graph, &self.layout, gradient, key)?;
        accumulate(&mut program, name, diagonal)?;
        Ok(program)
    }

    /// The update from the accumulated sums.
    pub fn update(&self) -> Result<Program, TrainError> {
        let mut program = Program::default();
        let graph = &mut program.graph;
        let gradient = graph.input(GRADIENT, &[self.layout.len()], DType::F32, InputKind::State)?;
        let totals = graph.input(TOTALS, &[2], DType::F32, InputKind::State)?;
        let loss = graph.slice(totals, &[0], &[1])?;
        let correct = graph.slice(totals, &[1], &[1])?;
        self.append_update(&mut program, gradient, loss, correct)?;
        Ok(program)
    }

    fn append_update(
        &self,
        program: &mut Program,
        gradient: NodeId,
        loss: NodeId,
        correct: NodeId,
    ) -> Result<(), TrainError> {
        let update = optim::descend(&mut program.graph, &self.spec.optimizer, &self.layout, gradient, None)?;
        update.keep(program, &self.layout)?;
        for (column, node) in [(LOSS, loss), (CORRECT, correct), (GRAD_NORM, update.grad_norm)] {
            program.metric(column, node);
        }
        Ok(())
    }

    /// Losses and predictions of `micro` examples with the parameters as they are.
    pub fn evaluate(&self, micro: usize) -> Result<Program, TrainError> {
        let (mut program, _, scored) = self.forward(micro, Mode::Eval)?;
        program.fetch(LOSSES, scored.losses);
        if let Some((correct, predicted)) = scored.answers {
            program.fetch(HITS, correct);
            program.fetch(PREDICTED, predicted);
        }
        Ok(program)
    }

    /// Everything there is to look at for `micro` examples: inputs, outputs, and the model's taps.
    pub fn look(&self, micro: usize) -> Result<Program, TrainError> {
        let mut program = Program::default();
        let graph = &mut program.graph;
        let index = graph.input(INDEX, &[micro], DType::U32, InputKind::Step)?;
        let Batch { x, .. } = self.feed.gather(graph, index)?;
        let x = self.feed.standardise(graph, x)?;
        let captured = self.capture(graph, x, Mode::Eval)?;
        program.fetch(LOGITS, captured.logits);
        for (name, node) in captured.taps {
            program.fetch(&name, node);
        }
        Ok(program)
    }

    /// Logits of `count` examples that the host gives as step input [`INDEX`]: tokens, or features as f32.
    pub fn respond(&self, count: usize) -> Result<Program, TrainError> {
        let mut program = Program::default();
        let (example, dtype) = self.feed.example();
        let x = program.graph.input(INDEX, &[vec![count], example].concat(), dtype, InputKind::Step)?;
        let x = self.feed.standardise(&mut program.graph, x)?;
        let captured = self.capture(&mut program.graph, x, Mode::Eval)?;
        program.fetch(LOGITS, captured.logits);
        Ok(program)
    }
}

/// Adds a micro-batch's value to a state that sums over the micro-batches of a step.
pub(crate) fn accumulate(program: &mut Program, name: &str, value: NodeId) -> Result<(), GraphError> {
    let graph = &mut program.graph;
    let keep = graph.input(KEEP, &[1], DType::F32, InputKind::Step)?;
    let shape = graph.shape(value).to_vec();
    let sum = graph.input(name, &shape, DType::F32, InputKind::State)?;
    let kept = graph.mul(sum, keep)?;
    // A first micro-batch must not inherit a NaN of an earlier step: 0 * NaN is NaN, so select instead.
    let zero = graph.constant(0.0, &shape);
    let kept = graph.select(keep, kept, zero)?;
    let sum = graph.add(kept, value)?;
    program.keep(name, sum)
}
