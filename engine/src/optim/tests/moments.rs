//! Moments whose shares are extreme, or change on the way.

use super::*;
use crate::spec::Rates;

/// Moments of a gradient that the formulas know: a wave about `offset`, the same for rule and formula.
fn gradient(step: u64) -> f64 {
    0.7 + 0.5 * (0.9 * step as f64).sin()
}

/// One parameter under gradients that are given: theta after each update, from 0.
fn follow(spec: &OptimizerSpec, updates: u64, mut settings: impl FnMut(u64) -> OptimizerSpec) -> (Vec<f64>, Inputs) {
    let layout = one("bias", &[1]);
    let mut program = Program::default();
    let graph = &mut program.graph;
    let theta = graph.input("theta", &[1], DType::F32, InputKind::State).unwrap();
    let gradient_input = graph.input("g", &[1], DType::F32, InputKind::Step).unwrap();
    let update = append(graph, spec, &layout, theta, gradient_input, None).unwrap();
    for (name, node) in update.states.into_iter().chain([("theta".to_owned(), update.theta)]) {
        program.outputs.push(Output { node, target: Target::Fetch(name) });
    }
    let mut inputs = Inputs::from([("theta".into(), vec![0.0])]);
    inputs.extend(states(spec, &layout).map(|(name, len)| (name.to_owned(), vec![0.0; len])));
    let mut bias = Bias::START;
    let mut path = Vec::new();
    for step in 0..updates {
        let now = settings(step);
        bias = bias.advanced(&now, 1);
        let rates = Rates { lr: 1.0, pace: 1.0, momentum: None };
        inputs.insert(HYPER.into(), hyper_at(&now, &rates, &bias).map(f64::from).to_vec());
        inputs.insert("g".into(), vec![gradient(step)]);
        inputs.append(&mut run(&program, &mut inputs.clone()));
        path.push(inputs["theta"][0]);
    }
    (path, inputs)
}

/// `sum over k <= t of (1 - beta_k) (product of beta_j over k < j <= t) x_k`, by its definition.
fn averaged(betas: &[f64], values: &[f64]) -> f64 {
    let weight = |k: usize| (1.0 - betas[k]) * betas[k + 1..].iter().product::<f64>();
    values.iter().enumerate().map(|(k, value)| weight(k) * value).sum()
}

/// What Adam moves by at each update, by definition: weighted means, divided by the sum of their weights.
fn adam(betas1: &[f64], betas2: &[f64], eps: f64) -> Vec<f64> {
    let gradients: Vec<f64> = (0..betas1.len() as u64).map(gradient).collect();
    let squares: Vec<f64> = gradients.iter().map(|g| g * g).collect();
    let ones = vec![1.0; gradients.len()];
    (1..=gradients.len())
        .map(|t| {
            let mean = averaged(&betas1[..t], &gradients[..t]) / averaged(&betas1[..t], &ones[..t]);
            let square = averaged(&betas2[..t], &squares[..t]) / averaged(&betas2[..t], &ones[..t]);
            mean / (square.sqrt() + eps)
        })
        .collect()
}

fn close(path: &[f64], moves: &[f64], what: &str) {
    let mut theta = 0.0;
    for (step, (found, moved)) in path.iter().zip(moves).enumerate() {
        theta -= moved;
        let before = if step == 0 { 0.0 } else { path[step - 1] };
        let off = ((before - found) / moved - 1.0).abs();
        assert!(off < 1e-6, "{what}, step {step}: moved {} where {moved} is right", before - found);
        assert!((found / theta - 1.0).abs() < 1e-6, "{what}, step {step}");
    }
}

#[test]
fn shares_close_to_one_keep_their_digits() {
    for (beta1, beta2) in [(0.9, 0.99999), (0.9999, 0.999), (0.99999, 0.999999)] {
        let eps = 1e-8;
        let expected = adam(&vec![beta1; 200], &vec![beta2; 200], eps);
        for kind in [Rule::Adam, Rule::AdamW, Rule::Muon] {
            let spec = OptimizerSpec { beta1, beta2, eps, momentum: beta1, ..without_decay(kind) };
            close(&follow(&spec, 200, |_| spec.clone()).0, &expected, &format!("{kind:?} at {beta1}, {beta2}"));
        }
        let spec = OptimizerSpec { beta1, beta2, eps, ..without_decay(Rule::RmsProp) };
        let squares: Vec<f64> = (0..200).map(|step| gradient(step).powi(2)).collect();
        let moves = |t: usize| gradient(t as u64) / (averaged(&vec![beta2; t + 1], &squares[..=t]).sqrt() + eps);
        close(&follow(&spec, 200, |_| spec.clone()).0, &(0..200).map(moves).collect::<Vec<_>>(), "RMSProp");
        let spec = OptimizerSpec { beta1, beta2, ..without_decay(Rule::Lion) };
        let mean = follow(&spec, 200, |_| spec.clone()).1["lion.m"][0];
        let gradients: Vec<f64> = (0..200).map(gradient).collect();
        assert!((mean / averaged(&vec![beta2; 200], &gradients) - 1.0).abs() < 1e-6);
    }
}

#[test]
fn moments_are_means_whatever_their_shares_were() {
    // Momentum that goes down and up as one-cycle's does, and a beta2 that a hand sets in mid-run.
    let beta1 = |step: u64| 0.95 - 0.1 * (std::f64::consts::PI * step as f64 / 80.0).sin();
    let beta2 = |step: u64| if step < 30 { 0.999 } else { 0.9 };
    let (betas1, betas2): (Vec<f64>, Vec<f64>) = (0..80).map(|step| (beta1(step), beta2(step))).unzip();
    let expected = adam(&betas1, &betas2, 1e-8);
    for kind in [Rule::Adam, Rule::AdamW, Rule::Lamb] {
        let spec = without_decay(kind);
        let at = |step| OptimizerSpec { beta1: beta1(step), beta2: beta2(step), ..spec.clone() };
        close(&follow(&spec, 80, at).0, &expected, &format!("{kind:?}"));
    }
}

#[test]
fn the_velocity_of_lars_is_warmed_as_well() {
    let layout = one("weight", &[2, 2]);
    let spec = OptimizerSpec { momentum: 0.5, trust: 0.1, ..without_decay(Rule::Lars) };
    let program = program(&spec, &layout);
    let mut inputs = start(&spec, &layout);
    let norm = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>().sqrt();
    let theta = START.map(f64::from).to_vec();
    let gradient = slope_at(&theta);
    let once: Vec<f64> = gradient.iter().map(|g| 0.2 * 0.1 * norm(&theta) / norm(&gradient) * g).collect();
    for (step, warmth) in [(0, 1.0), (1, 1.5), (2, 1.75)] {
        let rates = Rates { lr: 0.0, pace: 0.2, momentum: None };
        inputs.insert(HYPER.into(), hyper_at(&spec, &rates, &Bias::START).map(f64::from).to_vec());
        run(&program, &mut inputs);
        assert_eq!(inputs["theta"], theta, "step {step}");
        let velocity = inputs["lars.m"].iter().zip(&once);
        assert!(velocity.into_iter().all(|(m, once)| (m - warmth * once).abs() < 1e-7), "{:?}", inputs["lars.m"]);
    }
    // The first update that moves theta has the whole velocity behind it.
    feed(&mut inputs, &spec, 0.2, 3);
    run(&program, &mut inputs);
    let moved = inputs["theta"].iter().zip(&theta).zip(&once);
    assert!(moved.into_iter().all(|((new, old), once)| (old - new - 1.875 * once).abs() < 1e-6));
}

#[test]
fn muon_keeps_second_moments_of_what_is_in_no_matrix() {
    let mut layout = one("blocks.0.fc1.weight", &[3, 5]);
    layout.push("blocks.0.fc1.bias", &[5], Init::Constant(0.0));
    let spec = without_decay(Rule::Muon);
    let kept: Vec<(&str, usize)> = states(&spec, &layout).collect();
    assert_eq!(kept, [("muon.m", 20), ("muon.v", 5)]);
    let matrix = one("blocks.0.fc1.weight", &[3, 5]);
    assert_eq!(states(&spec, &matrix).collect::<Vec<_>>(), [("muon.m", 15)]);
}

#[test]
fn what_is_no_number_of_a_start_is_not_taken_back() {
    let bias = Bias::after(&without_decay(Rule::Adam), 3);
    assert_eq!(Bias::restored(&bias.numbers()), Some(bias));
    for numbers in [&[0.5, f64::NAN, 3.0][..], &[0.5, 0.5, f64::INFINITY], &[f64::NAN, 0.5], &[0.5]] {
        assert_eq!(Bias::restored(numbers), None);
    }
}
