//! Models against burn run eagerly, and the exact checks of the compact transformers.

use std::collections::BTreeMap;

use burn::module::{ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, TensorData};

use super::*;
use crate::graph::capture::value_id;
use crate::graph::grad::grad;
use crate::graph::reference::{Inputs, evaluate};
use crate::graph::samples::square_norms;
use crate::graph::{InputKind, Op, numel};
use crate::rng::{Rng, Stream};
use crate::spec::{Activation, ConvnetSpec, GptSpec, MlpSpec, Norm, NormOrder, Pooling, Positions, TransformerSpec};
use crate::tape::{self, Captured, Given, capture_into, capture_used};

const DIGITS: InputShape = InputShape::Image([1, 8, 8]);

/// d = 32, 16 tokens: the arms of the study on compact transformers.
fn small(base: TransformerSpec) -> TransformerSpec {
    TransformerSpec { width: 32, ratio: 1, patch: 2, blocks: 1, ..base }
}

fn draw(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = Rng::new(seed, Stream::Probe, 0);
    (0..n).map(|_| rng.uniform() * 2.0 - 1.0).collect()
}

/// Parameters that exercise everything: draws about each parameter's start.
fn perturbed(layout: &ParamLayout) -> Vec<f32> {
    layout.initial(3).iter().zip(draw(layout.len(), 5)).map(|(start, noise)| start + 0.1 * noise).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

fn batch_of(input: InputShape, batch: usize) -> Vec<f32> {
    let values = draw(numel(&input.batched(batch)), 9);
    match input {
        InputShape::Tokens { vocabulary, .. } => {
            values.iter().map(|v| ((v + 1.0) / 2.0 * vocabulary as f32).floor()).collect()
        }
        _ => values,
    }
}

fn on_device(input: InputShape, batch: usize, values: &[f32], device: &Device) -> super::Batch {
    let data = TensorData::new(values.to_vec(), input.batched(batch));
    match input {
        InputShape::Image(_) => Batch::Image(Tensor::from_data(data, device)),
        InputShape::Features(_) => Batch::Features(Tensor::from_data(data, device)),
        InputShape::Tokens { .. } => Batch::Tokens(Tensor::<2, Int>::from_data(data.convert::<i64>(), device)),
    }
}

/// A model in a graph whose step input `x` is a batch.
fn capture(spec: &ModelSpec, input: InputShape, outputs: usize, batch: usize, mode: Mode) -> (Graph, Captured) {
    let mut graph = Graph::new();
    let dtype = if matches!(input, InputShape::Tokens { .. }) { DType::U32 } else { DType::F32 };
    let x = graph.input("x", &input.batched(batch), dtype, InputKind::Step).unwrap();
    let captured = capture_into(&mut graph, spec, outputs, x, mode).unwrap();
    (graph, captured)
}

fn parameters(spec: &ModelSpec, input: InputShape, outputs: usize) -> usize {
    capture(spec, input, outputs, 1, Mode::Train).1.layout.len()
}

/// Logits, and the gradient of a weighted sum of their squares, of a graph in f64 and of burn's autodiff.
fn compare<M: Forward>(
    spec: &ModelSpec,
    input: InputShape,
    mode: Mode,
    new: impl FnOnce(&mut Builder) -> Result<M, ModelError>,
) {
    let (batch, outputs) = (3, 7);
    let (mut graph, captured) = capture(spec, input, outputs, batch, mode);
    let theta = perturbed(&captured.layout);
    let x = batch_of(input, batch);
    let shape = graph.shape(captured.logits).to_vec();
    let weights = draw(numel(&shape), 11);
    let square = graph.mul(captured.logits, captured.logits).unwrap();
    let literal = graph.literal(&weights, &shape).unwrap();
    let product = graph.mul(square, literal).unwrap();
    let loss = graph.sum_all(product).unwrap();
    let pieces = grad(&mut graph, loss, &captured.params).unwrap();
    let g = captured.layout.flatten(&mut graph, &pieces).unwrap();
    let running: BTreeMap<String, Vec<f32>> = graph
        .inputs()
        .iter()
        .filter(|decl| decl.kind == InputKind::State && decl.name != THETA)
        .map(|decl| (decl.name.clone(), draw(numel(&decl.shape), 13).iter().map(|v| 1.0 + 0.5 * v).collect()))
        .collect();
    let mut inputs = Inputs::from([(THETA.into(), wide(&theta)), ("x".into(), wide(&x))]);
    inputs.extend(running.iter().map(|(name, values)| (name.clone(), wide(values))));
    let ours = evaluate(&graph, &inputs, &[captured.logits, g]);

    let device = Device::flex().autodiff();
    let module = load(new(&mut Builder::new(&device)).unwrap(), &captured.layout, &theta, &running);
    let x = on_device(input, batch, &x, &device);
    let logits = Forward::forward(&module, x, &mut Pass::new(mode)).unwrap();
    let weights = TensorData::new(weights, [numel(&shape) / outputs, outputs]);
    let weights = Tensor::<2>::from_data(weights, &device);
    let gradients = (logits.clone() * logits.clone() * weights).sum().backward();
    let mut theirs = Collect { gradients: &gradients, values: Vec::new() };
    Module::visit(&module, &mut theirs);

    close(&ours[0], &logits.into_data().try_to_vec().unwrap(), &format!("{}: logits", spec.kind()));
    let theirs: Vec<Vec<f32>> = theirs.values.into_iter().flatten().collect();
    assert_eq!(theirs.len(), captured.layout.entries().len(), "{}", spec.kind());
    for (entry, values) in captured.layout.entries().iter().zip(&theirs) {
        let segment = &ours[1][entry.offset..entry.offset + numel(&entry.shape)];
        close(segment, values, &format!("{}: gradient of {}", spec.kind(), entry.name));
    }
}

/// Gradients of a module's trained tensors, in order.
struct Collect<'a> {
    gradients: &'a Gradients,
    values: Vec<Option<Vec<f32>>>,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.gradients);
        self.values.push(gradient.map(|gradient| gradient.into_data().try_to_vec().unwrap()));
    }
}

/// Largest difference within 1e-4 of the largest value.
fn close(ours: &[f64], theirs: &[f32], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let scale = theirs.iter().fold(1e-2f64, |max, v| max.max(f64::from(v.abs())));
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        let error = (a - f64::from(*b)).abs() / scale;
        assert!(error < 1e-4, "{what}, element {i}: {a} against {b}");
    }
}

#[test]
fn mlp_matches_burn() {
    for (activation, norm) in
        [(Activation::Relu, Norm::None), (Activation::Gelu, Norm::Layer), (Activation::Tanh, Norm::Batch)]
    {
        let spec = MlpSpec { hidden: vec![9, 8], activation, norm, ..MlpSpec::default() };
        for (input, mode) in [(DIGITS, Mode::Train), (InputShape::Features(6), Mode::Eval)] {
            compare(&ModelSpec::Mlp(spec.clone()), input, mode, |b| Mlp::new(&spec, input, 7, b));
        }
    }
}

#[test]
fn convnet_matches_burn() {
    for norm in [Norm::None, Norm::Batch] {
        let spec = ConvnetSpec { channels: vec![4, 6], norm, ..ConvnetSpec::default() };
        for (input, mode) in [(DIGITS, Mode::Train), (InputShape::Image([3, 9, 7]), Mode::Eval)] {
            compare(&ModelSpec::Convnet(spec.clone()), input, mode, |b| Convnet::new(&spec, input, 7, b));
        }
    }
}

#[test]
fn compact_transformers_match_burn() {
    let base = |spec| TransformerSpec { width: 8, ratio: 2, ..small(spec) };
    let specs = [
        base(TransformerSpec::cct()),
        base(TransformerSpec::vit()),
        TransformerSpec { positions: Positions::Sine, pool: Pooling::Mean, ..base(TransformerSpec::cvt()) },
        TransformerSpec {
            order: NormOrder::Official,
            positions: Positions::None,
            blocks: 2,
            conv_bias: true,
            ..base(TransformerSpec::cct())
        },
    ];
    for spec in specs {
        compare(&ModelSpec::Cct(spec.clone()), DIGITS, Mode::Train, |b| Transformer::new(&spec, DIGITS, 7, b));
    }
}

#[test]
fn gpt_matches_burn() {
    let input = InputShape::Tokens { context: 6, vocabulary: 7 };
    for (tied, base) in [(false, 0), (true, 0), (false, 4), (true, 4)] {
        let spec = GptSpec { context: 6, width: 8, heads: 2, depth: 2, ratio: 2, tied, base, ..GptSpec::default() };
        compare(&ModelSpec::Gpt(spec.clone()), input, Mode::Train, |b| Gpt::new(&spec, input, 7, b));
    }
}

/// Study 14, exact check 6: of a network four times as wide as the base, matrices learn at a quarter of the rate and start
/// half as wide, and the head says a quarter.
#[test]
fn mup_scales_what_grows_with_the_width() {
    let input = InputShape::Tokens { context: 6, vocabulary: 7 };
    let at =
        |base| GptSpec { context: 6, width: 16, heads: 2, depth: 1, ratio: 1, tied: true, base, ..GptSpec::default() };
    let captured = |base| capture(&ModelSpec::Gpt(at(base)), input, 7, 1, Mode::Eval);
    let (own, wide_one) = (captured(16), captured(4));
    for (entry, narrow) in wide_one.1.layout.entries().iter().zip(own.1.layout.entries()) {
        let hidden = entry.name.starts_with("blocks") && entry.shape.len() == 2;
        assert_eq!((entry.rate, narrow.rate), (if hidden { 0.25 } else { 1.0 }, 1.0), "{}", entry.name);
        if let (Init::TruncatedNormal(wide), Init::TruncatedNormal(narrow)) = (entry.init, narrow.init) {
            assert_eq!(wide, if hidden { narrow / 2.0 } else { narrow }, "{}", entry.name);
        }
    }
    assert_eq!(captured(0).1.layout.rates(), None);
    let logits = |(graph, captured): &(Graph, Captured)| {
        let theta = wide(&perturbed(&own.1.layout));
        let inputs = Inputs::from([(THETA.into(), theta), ("x".into(), vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])]);
        evaluate(graph, &inputs, &[captured.logits]).remove(0)
    };
    for (a, b) in logits(&own).into_iter().zip(logits(&wide_one)) {
        assert!((a / 4.0 - b).abs() < 1e-9, "{a} and {b}");
    }
}

#[test]
fn gpt_is_causal() {
    let input = InputShape::Tokens { context: 6, vocabulary: 7 };
    let spec = GptSpec { context: 6, width: 8, ..GptSpec::default() };
    let (graph, captured) = capture(&ModelSpec::Gpt(spec), input, 7, 1, Mode::Eval);
    let logits = |tokens: [f64; 6]| {
        let theta = wide(&perturbed(&captured.layout));
        let inputs = Inputs::from([(THETA.into(), theta), ("x".into(), tokens.to_vec())]);
        evaluate(&graph, &inputs, &[captured.logits]).remove(0)
    };
    let (a, b) = (logits([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), logits([1.0, 2.0, 3.0, 0.0, 0.0, 0.0]));
    assert_eq!(a[..21], b[..21]);
    assert_ne!(a[21..28], b[21..28]);
}

#[test]
fn parameter_counts() {
    let count = |spec| parameters(&spec, DIGITS, 10);
    assert_eq!(count(ModelSpec::Vit(small(TransformerSpec::vit()))), 14_058);
    assert_eq!(count(ModelSpec::Cvt(small(TransformerSpec::cvt()))), 14_027);
    assert_eq!(count(ModelSpec::Cct(small(TransformerSpec::cct()))), 14_155);
    // The bench's workloads.
    assert_eq!(parameters(&ModelSpec::Mlp(MlpSpec::default()), InputShape::Image([1, 28, 28]), 10), 235_146);
    let cct = TransformerSpec { blocks: 1, conv_bias: true, ..TransformerSpec::cct() };
    assert_eq!(parameters(&ModelSpec::Cct(cct), InputShape::Image([1, 16, 16]), 10), 72_523);
    let gpt = ModelSpec::Gpt(GptSpec::default());
    assert_eq!(parameters(&gpt, InputShape::Tokens { context: 64, vocabulary: 65 }, 65), 112_577);
}

/// The bench hands over W2's parameters in this order.
#[test]
fn parameters_lie_in_the_order_of_the_forward_pass() {
    let spec = TransformerSpec { blocks: 1, conv_bias: true, depth: 1, ..TransformerSpec::cct() };
    let (_, captured) = capture(&ModelSpec::Cct(spec), InputShape::Image([1, 16, 16]), 10, 1, Mode::Train);
    let names: Vec<&str> = captured.layout.entries().iter().map(|entry| entry.name.as_str()).collect();
    let block = ["norm1.gamma", "norm1.beta", "qkv.weight", "qkv.bias", "out.weight", "out.bias"];
    let block = [block, ["norm2.gamma", "norm2.beta", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]].concat();
    let block: Vec<String> = block.iter().map(|name| format!("blocks.0.{name}")).collect();
    let mut expected = vec!["convs.0.weight", "convs.0.bias", "positions"];
    expected.extend(block.iter().map(String::as_str));
    expected.extend(["norm.gamma", "norm.beta", "pool.weight", "pool.bias", "head.weight", "head.bias"]);
    assert_eq!(names, expected);
}

#[test]
fn training_draws_and_normalizes_by_the_batch_and_inference_does_not() {
    let spec = ModelSpec::Mlp(MlpSpec { dropout: 0.25, norm: Norm::Batch, ..MlpSpec::default() });
    let ops = |mode| {
        let (graph, captured) = capture(&spec, DIGITS, 10, 4, mode);
        let count = |wanted: fn(&Op) -> bool| graph.nodes().iter().filter(|node| wanted(&node.op)).count();
        (
            count(|op| matches!(op, Op::Random { .. })),
            count(|op| matches!(op, Op::Reduce { .. })),
            captured.states.len(),
        )
    };
    assert_eq!(ops(Mode::Train), (2, 4, 4));
    assert_eq!(ops(Mode::Eval), (0, 0, 0));
}

#[test]
fn dropout_keeps_the_mean_and_stochastic_depth_drops_whole_branches() {
    let mut graph = Graph::new();
    let ones = graph.constant(1.0, &[64, 3, 5]);
    let recorded = tape::append(&mut graph, Mode::Train, |tape| {
        let x = tape.node(ones, [64, 3, 5]);
        let y = layer::dropout(x.clone(), 0.25, tape.pass());
        let z = layer::drop_path(x, 0.5, tape.pass());
        Ok([y, z].map(|t| value_id(&t).unwrap()))
    });
    let (appended, y) = recorded.unwrap();
    let run = |step: f64| {
        let inputs = Inputs::from([(KEY.into(), vec![7.0, 0.0, step, 0.0])]);
        evaluate(&graph, &inputs, &y.map(|id| appended.values[&id]))
    };
    let out = run(0.0);
    assert!(out[0].iter().all(|&v| v == 0.0 || (v - 4.0 / 3.0).abs() < 1e-6));
    let kept = out[0].iter().filter(|&&v| v > 0.0).count() as f64 / 960.0;
    assert!((kept - 0.75).abs() < 0.05, "kept {kept}");
    assert!(out[1].chunks(15).all(|example| example.iter().all(|v| *v == example[0] && (*v == 0.0 || *v == 2.0))));
    assert_ne!(out, run(1.0), "a new step draws anew");
    assert_eq!(out, run(0.0));
}

#[test]
fn running_statistics_follow_the_batch() {
    let spec = ModelSpec::Mlp(MlpSpec { hidden: vec![1], norm: Norm::Batch, ..MlpSpec::default() });
    let (graph, captured) = capture(&spec, InputShape::Features(1), 1, 2, Mode::Train);
    let mut theta = vec![0.0; captured.layout.len()];
    theta[0] = 1.0;
    let mut inputs = Inputs::from([(THETA.into(), theta), ("x".into(), vec![1.0, 3.0])]);
    for state in &captured.states {
        inputs.insert(state.name.clone(), wide(&state.initial));
    }
    let values = evaluate(&graph, &inputs, &[captured.states[0].value, captured.states[1].value]);
    assert_eq!(captured.states[0].name, "layers.0.batch_norm.mean");
    assert!((values[0][0] - 0.1 * 2.0).abs() < 1e-6);
    // Unbiased variance of 1 and 3 is 2.
    assert!((values[1][0] - (0.9 + 0.1 * 2.0)).abs() < 1e-6);
}

/// Study 25, exact checks 1 to 3: ghosts are batches of their own, whose gradients are averaged and whose statistics come one
/// after another.
#[test]
fn ghosts_are_normalized_by_themselves() {
    const STATES: usize = 4;
    let run = |ghost: usize, used: Option<usize>, x: &[f64], running: &[Vec<f64>]| {
        let spec = ModelSpec::Mlp(MlpSpec { hidden: vec![3, 4], norm: Norm::Batch, ghost, ..MlpSpec::default() });
        let (mut graph, batch) = (Graph::new(), x.len() / 2);
        let input = graph.input("x", &[batch, 2], DType::F32, InputKind::Step).unwrap();
        let mask = used.map(|_| graph.input("used", &[batch], DType::F32, InputKind::Step).unwrap());
        let captured =
            capture_used(&mut graph, &spec, 5, input, Given { used: mask, dropout: None }, Mode::Train).unwrap();
        let theta = wide(&perturbed(&captured.layout));
        let used = (0..batch).map(|place| f64::from(used.is_none_or(|used| place < used))).collect();
        let mut inputs = Inputs::from([(THETA.into(), theta), ("x".into(), x.to_vec()), ("used".into(), used)]);
        inputs.extend(captured.states.iter().map(|state| state.name.clone()).zip(running.to_vec()));
        let square = graph.mul(captured.logits, captured.logits).unwrap();
        let share = graph.constant(1.0 / batch as f32, &[1]);
        let loss = graph.sum_all(square).unwrap();
        let loss = graph.mul(loss, share).unwrap();
        let pieces = grad(&mut graph, loss, &captured.params).unwrap();
        let gradient = captured.layout.flatten(&mut graph, &pieces).unwrap();
        let states = captured.states.iter().map(|state| state.value);
        let wanted: Vec<NodeId> = [captured.logits, gradient].into_iter().chain(states).collect();
        evaluate(&graph, &inputs, &wanted)
    };
    let x: Vec<f64> = (0..24).map(|k| libm::sin(1.7 * f64::from(k)) + 0.1 * f64::from(k)).collect();
    let start: Vec<Vec<f64>> = [3, 3, 4, 4].map(|features| vec![0.5; features]).to_vec();
    let close = |what: &str, a: &[f64], b: &[f64]| {
        assert_eq!(a.len(), b.len(), "{what}");
        let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-6 * a.abs().max(1.0);
        assert!(a.iter().zip(b).all(near), "{what}: {a:?} and {b:?}");
    };
    let whole = run(0, None, &x, &start);
    assert_eq!((&run(12, None, &x, &start), &run(7, None, &x, &start)), (&whole, &whole));
    // Of twelve examples there are no two ghosts of five.
    assert_eq!(run(5, None, &x, &start), run(6, None, &x, &start));
    for ghost in [2, 3, 4, 6] {
        let found = run(ghost, None, &x, &start);
        let (mut running, mut logits, mut mean) = (start.clone(), Vec::new(), vec![0.0; found[1].len()]);
        for part in x.chunks(2 * ghost) {
            let part = run(0, None, part, &running);
            logits.extend(&part[0]);
            mean.iter_mut().zip(&part[1]).for_each(|(mean, slope)| *mean += slope * ghost as f64 / 12.0);
            running = part[2..].to_vec();
        }
        assert_eq!(running.len(), STATES);
        close("logits", &found[0], &logits);
        close("gradient", &found[1], &mean);
        (0..STATES).for_each(|place| close("running", &found[2 + place], &running[place]));
        let all_used = run(ghost, Some(12), &x, &start);
        found.iter().zip(&all_used).for_each(|(a, b)| close("all are used", a, b));
    }
    // A place that holds no example is in none of them.
    let padded = run(6, Some(11), &x, &start);
    let last = run(0, None, &x[12..22], &run(0, None, &x[..12], &start)[2..]);
    close("the last ghost", &padded[0][30..55], &last[0]);
    (0..STATES).for_each(|place| close("running", &padded[2 + place], &last[2 + place]));
}

#[test]
fn a_model_that_does_not_fit_its_data_says_so() {
    let mut graph = Graph::new();
    let rows = graph.input("x", &[4, 6], DType::F32, InputKind::Step).unwrap();
    let tokens = graph.input("t", &[4, 6], DType::U32, InputKind::Step).unwrap();
    let image = graph.input("i", &[4, 1, 7, 7], DType::F32, InputKind::Step).unwrap();
    for (spec, x) in [
        (ModelSpec::Cct(TransformerSpec::cct()), rows),
        (ModelSpec::Gpt(GptSpec::default()), rows),
        (ModelSpec::Mlp(MlpSpec::default()), tokens),
        (ModelSpec::Convnet(ConvnetSpec::default()), tokens),
        (ModelSpec::Vit(small(TransformerSpec::vit())), image),
        (ModelSpec::Cct(TransformerSpec { heads: 3, ..TransformerSpec::cct() }), image),
        (ModelSpec::Convnet(ConvnetSpec { channels: vec![4; 4], ..ConvnetSpec::default() }), image),
    ] {
        let error = capture_into(&mut graph, &spec, 10, x, Mode::Train).unwrap_err();
        assert!(matches!(error, ModelError::Spec { .. }), "{error}");
    }
}

#[test]
fn norms_of_single_gradients_are_exact_where_layers_are_dense() {
    let norms = |spec: &ModelSpec, input: InputShape| {
        let (mut graph, captured) = capture(spec, input, 4, 3, Mode::Eval);
        let values = numel(graph.shape(captured.logits)) / 3;
        let logits = graph.reshape(captured.logits, &[3, values]).unwrap();
        let square = graph.mul(logits, logits).unwrap();
        let losses = graph.sum(square, &[1]).unwrap();
        let losses = graph.reshape(losses, &[3]).unwrap();
        let inputs =
            Inputs::from([("x".into(), wide(&batch_of(input, 3))), (THETA.into(), wide(&perturbed(&captured.layout)))]);
        let found = square_norms(&mut graph, losses, &captured.params).unwrap();
        let counted: Vec<NodeId> = captured
            .params
            .iter()
            .zip(&found.counted)
            .filter(|(_, counted)| **counted)
            .map(|(param, _)| *param)
            .collect();
        let squares = evaluate(&graph, &inputs, &[found.squares]).remove(0);
        for (i, square) in squares.iter().enumerate() {
            let loss = graph.slice(losses, &[i], &[1]).unwrap();
            let gradients = grad(&mut graph, loss, &counted).unwrap();
            let expected: f64 = evaluate(&graph, &inputs, &gradients).concat().iter().map(|g| g * g).sum();
            assert!((square - expected).abs() < 1e-6 * expected, "{spec:?}: {square} against {expected}");
        }
        let missed = captured.layout.entries().iter().zip(&found.counted).filter(|(_, counted)| !**counted);
        missed.map(|(entry, _)| entry.name.clone()).collect::<Vec<_>>()
    };
    let text = InputShape::Tokens { context: 5, vocabulary: 4 };
    let mlp = |norm| ModelSpec::Mlp(MlpSpec { hidden: vec![6, 5], norm, ..MlpSpec::default() });
    assert_eq!(norms(&mlp(Norm::None), InputShape::Features(7)), [""; 0]);
    assert_eq!(norms(&mlp(Norm::Layer), DIGITS), [""; 0]);
    let vit = ModelSpec::Vit(TransformerSpec { depth: 2, ..small(TransformerSpec::vit()) });
    assert_eq!(norms(&vit, DIGITS), [""; 0]);
    // What is left: kernels, which slide, and tables of tokens, which are indexed.
    let cct = ModelSpec::Cct(TransformerSpec { depth: 2, ..small(TransformerSpec::cct()) });
    assert_eq!(norms(&cct, DIGITS), ["convs.0.weight"]);
    let gpt = GptSpec { context: 5, width: 8, heads: 2, depth: 1, ..GptSpec::default() };
    for tied in [false, true] {
        assert_eq!(norms(&ModelSpec::Gpt(GptSpec { tied, ..gpt.clone() }), text), ["tokens.weight"]);
    }
    let convnet = ConvnetSpec { channels: vec![3], norm: Norm::None, ..ConvnetSpec::default() };
    assert_eq!(norms(&ModelSpec::Convnet(convnet), DIGITS), ["blocks.0.conv.weight"]);
}

/// Batch norm by its definition over the examples that are used.
#[test]
fn places_left_over_are_in_no_batch_statistics() {
    let spec = ModelSpec::Mlp(MlpSpec { hidden: vec![3, 4], norm: Norm::Batch, ..MlpSpec::default() });
    for mode in [Mode::Train, Mode::Probe] {
        let run = |batch: usize, used: Option<usize>, x: &[f64]| {
            let mut graph = Graph::new();
            let input = graph.input("x", &[batch, 2], DType::F32, InputKind::Step).unwrap();
            let mask = used.map(|_| graph.input("used", &[batch], DType::F32, InputKind::Step).unwrap());
            let captured =
                capture_used(&mut graph, &spec, 5, input, Given { used: mask, dropout: None }, mode).unwrap();
            let theta = wide(&perturbed(&captured.layout));
            let mut inputs = Inputs::from([(THETA.into(), theta), ("x".into(), x.to_vec())]);
            if let Some(used) = used {
                inputs.insert("used".into(), (0..batch).map(|place| f64::from(place < used)).collect());
            }
            for state in graph.inputs().iter().filter(|decl| decl.kind == InputKind::State && decl.name != THETA) {
                inputs.insert(state.name.clone(), vec![0.5; numel(&state.shape)]);
            }
            let square = graph.mul(captured.logits, captured.logits).unwrap();
            let kept = graph.slice(square, &[0, 0], &[used.unwrap_or(batch), 5]).unwrap();
            let loss = graph.sum_all(kept).unwrap();
            let pieces = grad(&mut graph, loss, &captured.params).unwrap();
            let gradient = captured.layout.flatten(&mut graph, &pieces).unwrap();
            let states = captured.states.iter().map(|state| state.value);
            let wanted: Vec<NodeId> = [kept, gradient].into_iter().chain(states).collect();
            evaluate(&graph, &inputs, &wanted)
        };
        let x: Vec<f64> = (0..16).map(|k| libm::sin(1.7 * f64::from(k)) + 0.1 * f64::from(k)).collect();
        let plain = run(5, None, &x[..10]);
        let padded = run(8, Some(5), &x);
        assert_eq!(plain.len(), if mode == Mode::Train { 6 } else { 2 });
        // A count that is known beforehand divides by its reciprocal, rounded to f32.
        let close = |a: &f64, b: &f64| (a - b).abs() < 2e-6 * a.abs().max(1.0);
        for (plain, padded) in plain.iter().zip(&padded) {
            assert!(plain.iter().zip(padded).all(|(a, b)| close(a, b)), "{plain:?} {padded:?}");
        }
        // All used is the same as not asked.
        for (plain, whole) in run(8, None, &x).iter().zip(run(8, Some(8), &x)) {
            assert!(plain.iter().zip(&whole).all(|(a, b)| close(a, b)));
        }
    }
}
