//! Update rules against burn-optim over steps in which everything that may change does.

mod layerwise;
mod moments;
mod trajectories;

use burn::module::{Module, Param};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdaGradConfig, AdamConfig, AdamWConfig, AdjustLrFn, GradientsParams, LambConfig, LionConfig, ModuleOptimizer,
    MuonConfig, RmsPropConfig, SgdConfig,
};
use burn::tensor::{Device, Tensor, TensorData};

use super::*;
use crate::graph::reference::{Inputs, run};
use crate::graph::{InputId, Op, Output, Program, Target};
use crate::model::Init;
use crate::spec::{EffectiveSchedule, RunSpec, ScheduleSpec};

const START: [f32; 4] = [0.5, -1.0, 2.0, 0.0];
const SLOPE: [f32; 4] = [1.0, -0.3, 0.01, 0.7];

/// The gradient at theta: theta + SLOPE, that of a parabola.
fn program(spec: &OptimizerSpec, layout: &ParamLayout) -> Program {
    let mut program = Program::default();
    let graph = &mut program.graph;
    let theta = graph.input("theta", &[layout.len()], DType::F32, InputKind::State).unwrap();
    let slope = graph.literal(&SLOPE, &[4]).unwrap();
    let gradient = graph.add(theta, slope).unwrap();
    let update = append(graph, spec, layout, theta, gradient, None).unwrap();
    let mut outputs = vec![Output { node: update.grad_norm, target: Target::Fetch("norm".into()) }];
    for (name, node) in update.states.into_iter().chain([("theta".to_owned(), update.theta)]) {
        let shape = graph.shape(node).to_vec();
        let input = graph.input(&name, &shape, DType::F32, InputKind::State).unwrap();
        let Op::Input(InputId(id)) = graph.node(input).op else { unreachable!() };
        outputs.push(Output { node, target: Target::State(InputId(id)) });
    }
    program.outputs = outputs;
    program
}

fn one(name: &str, shape: &[usize]) -> ParamLayout {
    let mut layout = ParamLayout::default();
    layout.push(name, shape, Init::Constant(0.0));
    layout
}

fn start(spec: &OptimizerSpec, layout: &ParamLayout) -> Inputs {
    let mut inputs = Inputs::from([("theta".into(), START.map(f64::from).to_vec())]);
    inputs.extend(states(spec, layout).map(|(name, len)| (name.to_owned(), vec![0.0; len])));
    inputs
}

fn feed(inputs: &mut Inputs, spec: &OptimizerSpec, lr: f32, step: u64) {
    inputs.insert(HYPER.into(), hyper(spec, lr, step).map(f64::from).to_vec());
}

/// Learning rate of a step: changes every step.
fn rate(step: u64) -> f32 {
    0.1 / (1.0 + step as f32)
}

#[derive(Module, Debug)]
struct Parabola {
    theta: Param<Tensor<2>>,
}

fn compare(spec: &OptimizerSpec, mut theirs: ModuleOptimizer) {
    let device = Device::flex().autodiff();
    let theta = Tensor::from_data(TensorData::new(START.to_vec(), [2, 2]), &device).require_grad();
    let mut module = Parabola { theta: Param::from_tensor(theta) };
    let slope = Tensor::<2>::from_data(TensorData::new(SLOPE.to_vec(), [2, 2]), &device);

    let layout = &one("weight", &[2, 2]);
    let program = program(spec, layout);
    let mut inputs = start(spec, layout);
    for step in 0..24 {
        feed(&mut inputs, spec, rate(step), step);
        run(&program, &mut inputs);

        let theta = module.theta.val();
        let loss = (theta.clone() * theta.clone() * 0.5 + theta * slope.clone()).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &module);
        module = theirs.step(f64::from(rate(step)), module, gradients);
        let expected: Vec<f32> = module.theta.val().into_data().try_to_vec().unwrap();
        for (a, b) in inputs["theta"].iter().zip(expected) {
            assert!((a - f64::from(b)).abs() < 1e-5, "{:?}, step {step}: {a} against {b}", spec.kind);
        }
    }
}

fn without_decay(kind: Rule) -> OptimizerSpec {
    OptimizerSpec { kind, weight_decay: 0.0, ..OptimizerSpec::default() }
}

#[test]
fn sgd_and_momentum_match_burn() {
    compare(&without_decay(Rule::Sgd), SgdConfig::new().init());
    for (kind, nesterov) in [(Rule::Momentum, false), (Rule::Nesterov, true)] {
        let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0).with_nesterov(nesterov);
        compare(&without_decay(kind), SgdConfig::new().with_momentum(Some(momentum)).init());
    }
}

#[test]
fn adamw_matches_burn() {
    let spec = OptimizerSpec { weight_decay: 0.3, beta1: 0.8, beta2: 0.95, eps: 1e-6, ..OptimizerSpec::default() };
    let config = AdamWConfig::new().with_beta_1(0.8).with_beta_2(0.95).with_epsilon(1e-6).with_weight_decay(0.3);
    compare(&spec, config.init());
}

#[test]
fn adagrad_and_rmsprop_match_burn() {
    let spec = |kind| OptimizerSpec {
        eps: 1e-3,
        beta2: 0.9,
        weight_decay: 0.3,
        decay: DecayKind::Coupled,
        ..without_decay(kind)
    };
    let decay = Some(WeightDecayConfig::new(0.3));
    compare(&spec(Rule::AdaGrad), AdaGradConfig::new().with_epsilon(1e-3).with_weight_decay(decay.clone()).init());
    let config = RmsPropConfig::new().with_alpha(0.9).with_epsilon(1e-3).with_momentum(0.0).with_weight_decay(decay);
    compare(&spec(Rule::RmsProp), config.init());
}

#[test]
fn adam_couples_its_decay_as_burn_does() {
    let spec = OptimizerSpec { beta1: 0.8, beta2: 0.95, eps: 1e-6, weight_decay: 0.3, ..without_decay(Rule::Adam) };
    let decay = Some(WeightDecayConfig::new(0.3));
    let config = AdamConfig::new().with_beta_1(0.8).with_beta_2(0.95).with_epsilon(1e-6).with_weight_decay(decay);
    compare(&spec, config.init());
}

#[test]
fn lamb_matches_burn() {
    let spec = OptimizerSpec {
        beta1: 0.8,
        beta2: 0.95,
        eps: 1e-6,
        weight_decay: 0.3,
        largest_norm: 0.0,
        ..without_decay(Rule::Lamb)
    };
    let config = LambConfig::new().with_beta_1(0.8).with_beta_2(0.95).with_epsilon(1e-6).with_weight_decay(0.3);
    compare(&spec, config.init());
}

#[test]
fn lion_matches_burn() {
    let spec = OptimizerSpec { beta1: 0.8, beta2: 0.95, weight_decay: 0.3, ..without_decay(Rule::Lion) };
    compare(&spec, LionConfig::new().with_beta_1(0.8).with_beta_2(0.95).with_weight_decay(0.3).init());
}

#[test]
fn muon_matches_burn_on_a_matrix() {
    let spec = OptimizerSpec { momentum: 0.95, weight_decay: 0.3, ..without_decay(Rule::Muon) };
    let config = MuonConfig::new()
        .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
        .with_weight_decay(Some(WeightDecayConfig::new(0.3)));
    compare(&spec, config.init());
}

/// Theta after some steps at learning rates that change.
fn trained(spec: &OptimizerSpec, layout: &ParamLayout, steps: u64) -> Inputs {
    let program = program(spec, layout);
    let mut inputs = start(spec, layout);
    for step in 0..steps {
        feed(&mut inputs, spec, rate(step), step);
        run(&program, &mut inputs);
    }
    inputs
}

/// The gradient, `theta + SLOPE`.
fn slope_at(theta: &[f64]) -> Vec<f64> {
    theta.iter().zip(SLOPE).map(|(theta, slope)| theta + f64::from(slope)).collect()
}

#[test]
fn adagrad_norm_divides_by_the_root_of_all_squares_so_far() {
    let spec = OptimizerSpec { eps: 1e-10, ..without_decay(Rule::AdaGradNorm) };
    let found = trained(&spec, &one("weight", &[4]), 6);
    let mut theta = START.map(f64::from).to_vec();
    let mut sum = 0.0;
    for step in 0..6 {
        let gradient = slope_at(&theta);
        sum += gradient.iter().map(|g| g * g).sum::<f64>();
        let rate = f64::from(rate(step)) / sum.sqrt();
        theta.iter_mut().zip(gradient).for_each(|(theta, g)| *theta -= rate * g);
    }
    assert!(found["theta"].iter().zip(theta).all(|(a, b)| (a - b).abs() < 1e-8), "{:?}", found["theta"]);
    assert_eq!(found["adagrad.norm"].len(), 1);
    assert!((found["adagrad.norm"][0] - sum).abs() < 1e-6 * sum);
}

/// Updates of one parameter on the parabola `curvature theta^2 / 2`, with the inputs of the first one: theta at
/// `start`, states at zero. What is new is fetched by the names of the inputs.
pub(super) fn on_parabola(spec: &OptimizerSpec, curvature: f64, start: f64) -> (Program, Inputs) {
    let mut program = Program::default();
    let theta = program.graph.input("theta", &[1], DType::F32, InputKind::State).unwrap();
    let at = point(&mut program.graph, spec, &one("weight", &[1])).unwrap().unwrap_or(theta);
    let gradient = program.graph.scale(at, curvature as f32).unwrap();
    let update = append(&mut program.graph, spec, &one("weight", &[1]), theta, gradient, None).unwrap();
    for (name, node) in update.states.into_iter().chain([("theta".to_owned(), update.theta)]) {
        program.outputs.push(Output { node, target: Target::Fetch(name) });
    }
    let mut inputs = Inputs::from([("theta".into(), vec![start])]);
    inputs.extend(states(spec, &one("weight", &[1])).map(|(name, len)| (name.to_owned(), vec![0.0; len])));
    (program, inputs)
}

#[test]
fn adagrad_norm_of_one_parameter_is_adagrad() {
    let path = |kind| {
        let spec = without_decay(kind);
        let (program, mut inputs) = on_parabola(&spec, 3.0, 2.0);
        let step = |step| {
            feed(&mut inputs, &spec, rate(step), step);
            inputs.append(&mut run(&program, &mut inputs.clone()));
            inputs["theta"][0]
        };
        (0..10).map(step).collect::<Vec<f64>>()
    };
    assert_eq!(path(Rule::AdaGradNorm), path(Rule::AdaGrad));
}

#[test]
fn warm_updates_move_the_moments_alone() {
    let spec = RunSpec {
        optimizer: OptimizerSpec { warm: 3, ..OptimizerSpec::default() },
        schedule: ScheduleSpec { warmup: 0, ..ScheduleSpec::default() },
        ..RunSpec::default()
    };
    let schedule = EffectiveSchedule::new(&spec, 1);
    let layout = one("weight", &[2, 2]);
    let program = program(&spec.optimizer, &layout);
    let mut inputs = start(&spec.optimizer, &layout);
    for step in 0..4 {
        feed(&mut inputs, &spec.optimizer, schedule.lr(step) as f32, step);
        run(&program, &mut inputs);
        let still = START.map(f64::from).to_vec();
        assert_eq!(inputs["theta"] == still, step < 3, "step {step}");
        if step == 2 {
            // Of a gradient that stays the same: 1 - beta^3 of it.
            let expected = slope_at(&still).into_iter().map(|g| g * (1.0 - 0.9_f64.powi(3)));
            assert!(inputs["adam.m"].iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }
}

#[test]
fn clipping_scales_long_gradients_to_the_bound() {
    let layout = one("weight", &[2, 2]);
    let step = |clip: f64| {
        let spec = OptimizerSpec { clip, ..without_decay(Rule::Sgd) };
        let mut inputs = start(&spec, &layout);
        feed(&mut inputs, &spec, 1.0, 0);
        let norm = run(&program(&spec, &layout), &mut inputs)["norm"][0];
        let moved = inputs["theta"].iter().zip(START).map(|(a, b)| (a - f64::from(b)).powi(2)).sum::<f64>().sqrt();
        (norm, moved)
    };
    let (norm, free) = step(0.0);
    assert!((norm - free).abs() < 1e-6 && norm > 2.0);
    let (same, clipped) = step(0.5);
    assert!((norm - same).abs() < 1e-6, "the metric tells the norm before clipping");
    assert!((clipped - 0.5).abs() < 1e-6);
    assert!((step(100.0).1 - free).abs() < 1e-6);
}

/// Study 14, exact check 6: also the decay goes by a parameter's own rate.
#[test]
fn a_slowed_parameter_moves_by_its_share() {
    let layout = |rate| {
        let mut layout = ParamLayout::default();
        layout.push("free", &[2], Init::Constant(0.0));
        layout.push_slowed("slowed", &[2], Init::Constant(0.0), rate);
        layout
    };
    for kind in [Rule::Sgd, Rule::AdamW] {
        let spec = OptimizerSpec { weight_decay: 0.1, ..without_decay(kind) };
        let moved = |rate: f32| {
            let layout = layout(rate);
            let mut inputs = start(&spec, &layout);
            let before = inputs["theta"].clone();
            feed(&mut inputs, &spec, 0.5, 0);
            run(&program(&spec, &layout), &mut inputs);
            inputs["theta"].iter().zip(before).map(|(new, old)| new - old).collect::<Vec<f64>>()
        };
        let (whole, quarter) = (moved(1.0), moved(0.25));
        assert_eq!(whole[..2], quarter[..2]);
        assert!(whole[2..].iter().zip(&quarter[2..]).all(|(a, b)| (a / 4.0 - b).abs() < 1e-7), "{whole:?} {quarter:?}");
    }
}

#[test]
fn decay_shrinks_weights_alone_if_others_are_exempt() {
    let mut layout = ParamLayout::default();
    layout.push("head.weight", &[2, 1], Init::Constant(0.0));
    layout.push("head.bias", &[1], Init::Constant(0.0));
    layout.push("positions", &[1, 1], Init::Constant(0.0));
    let theta = |weight_decay: f64, decay_exempt: bool| {
        let spec = OptimizerSpec { weight_decay, decay_exempt, ..without_decay(Rule::Sgd) };
        let mut inputs = start(&spec, &layout);
        feed(&mut inputs, &spec, 0.5, 0);
        run(&program(&spec, &layout), &mut inputs);
        inputs.remove("theta").unwrap()
    };
    let plain = theta(0.0, true);
    let shrunk = |theta: Vec<f64>| -> Vec<f64> { plain.iter().zip(theta).map(|(a, b)| a - b).collect() };
    let close = |a: Vec<f64>, b: [f64; 4]| assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6), "{a:?}");
    // 0.5 lr times 0.2 decay; coupled or not is the same for this rule.
    close(shrunk(theta(0.2, false)), [0.05, -0.1, 0.2, 0.0]);
    close(shrunk(theta(0.2, true)), [0.05, -0.1, 0.0, 0.0]);
}
