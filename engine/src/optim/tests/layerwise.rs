//! Rules that know layers, and Lion beside them, on a model with every kind of parameter: against the published formulas
//! in f64, layer by layer, and against what the papers say of them.

use super::*;
use crate::graph::{Options, compile};

/// Kernels, a stack of layers with queries, keys and values, embeddings and all that is exempt.
pub(super) fn layout() -> ParamLayout {
    let mut layout = ParamLayout::default();
    for (name, shape) in [
        ("tokens.weight", &[7, 4][..]),
        ("positions", &[3, 4]),
        ("convs.0.weight", &[5, 2, 3, 3]),
        ("convs.0.bias", &[5]),
        ("blocks.0.norm1.gamma", &[4]),
        ("blocks.0.qkv.weight", &[4, 12]),
        ("blocks.0.qkv.bias", &[12]),
        ("blocks.0.fc1.weight", &[4, 200]),
        ("blocks.0.fc2.weight", &[200, 4]),
        ("blocks.1.qkv.weight", &[4, 12]),
        ("pool.weight", &[4, 1]),
        ("head.weight", &[4, 3]),
        ("head.bias", &[3]),
    ] {
        layout.push(name, shape, Init::Constant(0.0));
    }
    layout
}

/// Numbers in [-1, 1) that look random.
pub(super) fn noise(len: usize, salt: f64) -> Vec<f32> {
    let fraction = |x: f64| x - x.floor();
    (0..len).map(|k| (2.0 * fraction(libm::sin(k as f64 + salt) * 43_758.545_3) - 1.0) as f32).collect()
}

/// A bowl: the gradient at theta is `scale (curvature theta + slope)`, by coordinate.
pub(super) struct Bowl {
    pub(super) curvature: Vec<f32>,
    slope: Vec<f32>,
    scale: f32,
}

impl Bowl {
    pub(super) fn new(len: usize) -> Self {
        let curvature = noise(len, 0.3).into_iter().map(|x| 1.5 + x).collect();
        Bowl { curvature, slope: noise(len, 0.7), scale: 1.0 }
    }

    pub(super) fn gradient(&self, theta: &[f64]) -> Vec<f64> {
        let at = |((theta, curvature), slope): ((&f64, &f32), &f32)| {
            f64::from(self.scale) * (f64::from(*curvature) * theta + f64::from(*slope))
        };
        theta.iter().zip(&self.curvature).zip(&self.slope).map(at).collect()
    }

    /// One update; states and theta are replaced.
    pub(super) fn program(&self, spec: &OptimizerSpec, layout: &ParamLayout) -> Program {
        let mut program = Program::default();
        let graph = &mut program.graph;
        let len = [layout.len()];
        let theta = graph.input("theta", &len, DType::F32, InputKind::State).unwrap();
        let curvature = graph.literal(&self.curvature, &len).unwrap();
        let slope = graph.literal(&self.slope, &len).unwrap();
        let at = point(graph, spec, layout).unwrap().unwrap_or(theta);
        let gradient = graph.mul(curvature, at).unwrap();
        let gradient = graph.add(gradient, slope).unwrap();
        let gradient = graph.scale(gradient, self.scale).unwrap();
        let update = append(graph, spec, layout, theta, gradient, None).unwrap();
        for (name, node) in update.states.into_iter().chain([("theta".to_owned(), update.theta)]) {
            let shape = graph.shape(node).to_vec();
            let input = graph.input(&name, &shape, DType::F32, InputKind::State).unwrap();
            let Op::Input(id) = graph.node(input).op else { unreachable!() };
            program.outputs.push(Output { node, target: Target::State(id) });
        }
        program
    }
}

/// Theta after each of some updates, of which the first three only warm the moments, at rates that change.
fn path(spec: &OptimizerSpec, layout: &ParamLayout, bowl: &Bowl, start: &[f64], steps: u64) -> Vec<Vec<f64>> {
    let program = bowl.program(spec, layout);
    let mut inputs = Inputs::from([("theta".into(), start.to_vec())]);
    inputs.extend(states(spec, layout).map(|(name, len)| (name.to_owned(), vec![0.0; len])));
    let update = |step| {
        feed(&mut inputs, spec, warmed(step), step);
        run(&program, &mut inputs);
        inputs["theta"].clone()
    };
    (0..steps).map(update).collect()
}

fn warmed(step: u64) -> f32 {
    if step < WARM { 0.0 } else { rate(step) }
}

const WARM: u64 = 3;
const STEPS: u64 = 24;

/// The numbers of a rule as the step input has them.
struct Numbers {
    lr: f64,
    decay: f64,
    momentum: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    trust: f64,
    largest_norm: f64,
    step: i32,
}

impl Numbers {
    fn new(spec: &OptimizerSpec, step: u64) -> Self {
        let as_f32 = |number: f64| f64::from(number as f32);
        Numbers {
            lr: f64::from(warmed(step)),
            decay: as_f32(spec.weight_decay),
            momentum: as_f32(spec.momentum),
            beta1: as_f32(spec.beta1),
            beta2: as_f32(spec.beta2),
            eps: as_f32(spec.eps),
            trust: as_f32(spec.trust),
            largest_norm: as_f32(spec.largest_norm),
            step: step as i32 + 1,
        }
    }
}

/// A layer as a formula sees it: name, shape, weights, gradient, and two memories, zero at first.
struct Layer<'a> {
    name: &'a str,
    shape: &'a [usize],
    w: Vec<f64>,
    g: Vec<f64>,
    m: &'a mut [f64],
    v: &'a mut [f64],
}

impl Layer<'_> {
    /// Spelt out for this layout, not derived from it.
    fn exempt(&self) -> bool {
        self.name.ends_with("bias") || self.name.ends_with("gamma") || self.name == "positions"
    }
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Holds a rule against a formula that gives a layer's weights after an update.
fn follows(spec: &OptimizerSpec, tolerance: f64, mut formula: impl FnMut(&Numbers, &mut Layer<'_>) -> Vec<f64>) {
    let layout = layout();
    let bowl = Bowl::new(layout.len());
    let mut theta: Vec<f64> = noise(layout.len(), 0.1).into_iter().map(f64::from).collect();
    let found = path(spec, &layout, &bowl, &theta, STEPS);
    let mut memory = [vec![0.0; layout.len()], vec![0.0; layout.len()]];
    let start = theta.clone();
    for (step, found) in found.iter().enumerate() {
        let numbers = Numbers::new(spec, step as u64);
        let gradient = bowl.gradient(&theta);
        for entry in layout.entries() {
            let range = entry.offset..entry.offset + crate::graph::numel(&entry.shape);
            let [m, v] = &mut memory;
            let mut layer = Layer {
                name: &entry.name,
                shape: &entry.shape,
                w: theta[range.clone()].to_vec(),
                g: gradient[range.clone()].to_vec(),
                m: &mut m[range.clone()],
                v: &mut v[range.clone()],
            };
            let new = formula(&numbers, &mut layer);
            theta[range].copy_from_slice(&new);
        }
        for (at, (a, b)) in found.iter().zip(&theta).enumerate() {
            assert!((a - b).abs() < tolerance, "{:?}, step {step}, parameter {at}: {a} against {b}", spec.kind);
        }
    }
    assert!(theta.iter().zip(&start).all(|(a, b)| a != b), "every parameter has moved");
}

fn spec(kind: Rule) -> OptimizerSpec {
    OptimizerSpec { kind, weight_decay: 0.1, beta1: 0.8, beta2: 0.95, eps: 1e-6, ..OptimizerSpec::default() }
}

/// `beta m + (1 - beta) x`, in place.
fn average(m: &mut [f64], beta: f64, x: impl Iterator<Item = f64>) {
    m.iter_mut().zip(x).for_each(|(m, x)| *m = beta * *m + (1.0 - beta) * x);
}

/// Adam's direction; moves both moments.
fn adam(n: &Numbers, layer: &mut Layer<'_>) -> Vec<f64> {
    average(layer.m, n.beta1, layer.g.iter().copied());
    average(layer.v, n.beta2, layer.g.iter().map(|g| g * g));
    let (first, second) = (1.0 - n.beta1.powi(n.step), 1.0 - n.beta2.powi(n.step));
    layer.m.iter().zip(layer.v.iter()).map(|(m, v)| m / first / ((v / second).sqrt() + n.eps)).collect()
}

#[test]
fn lars_follows_the_paper() {
    for decay_exempt in [true, false] {
        let spec = OptimizerSpec { trust: 0.2, decay_exempt, ..spec(Rule::Lars) };
        follows(&spec, 1e-6, |n, layer| {
            let exempt = decay_exempt && layer.exempt();
            let decay = if exempt { 0.0 } else { n.decay };
            let (w, g) = (norm(&layer.w), norm(&layer.g));
            let local = if exempt { 1.0 } else { n.trust * w / (g + decay * w) };
            let descent = layer.g.iter().zip(&layer.w).map(|(g, w)| n.lr * local * (g + decay * w));
            layer.m.iter_mut().zip(descent).for_each(|(m, x)| *m = n.momentum * *m + x);
            layer.w.iter().zip(layer.m.iter()).map(|(w, m)| w - m).collect()
        });
    }
}

#[test]
fn lamb_follows_the_paper() {
    for (decay_exempt, largest_norm) in [(true, 2.0), (false, 2.0), (true, 100.0)] {
        let spec = OptimizerSpec { largest_norm, decay_exempt, ..spec(Rule::Lamb) };
        follows(&spec, 1e-6, |n, layer| {
            let exempt = decay_exempt && layer.exempt();
            let decay = if exempt { 0.0 } else { n.decay };
            let u: Vec<f64> = adam(n, layer).iter().zip(&layer.w).map(|(r, w)| r + decay * w).collect();
            let ratio = if exempt { 1.0 } else { norm(&layer.w).min(n.largest_norm) / norm(&u) };
            layer.w.iter().zip(u).map(|(w, u)| w - n.lr * ratio * u).collect()
        });
    }
}

#[test]
fn lion_follows_the_paper() {
    follows(&spec(Rule::Lion), 1e-6, |n, layer| {
        let decay = if layer.exempt() { 0.0 } else { n.decay };
        let mixed: Vec<f64> = layer.m.iter().zip(&layer.g).map(|(m, g)| n.beta1 * m + (1.0 - n.beta1) * g).collect();
        average(layer.m, n.beta2, layer.g.iter().copied());
        layer.w.iter().zip(mixed).map(|(w, c)| w - n.lr * (c.signum() + decay * w)).collect()
    });
}

/// `[rows, columns]` by `[columns, others]`.
fn product(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let dot = |row: &Vec<f64>, j: usize| row.iter().zip(b).map(|(x, other)| x * other[j]).sum::<f64>();
    a.iter().map(|row| (0..b[0].len()).map(|j| dot(row, j)).collect()).collect()
}

fn transposed(a: &[Vec<f64>]) -> Vec<Vec<f64>> {
    (0..a[0].len()).map(|j| a.iter().map(|row| row[j]).collect()).collect()
}

/// Jordan's iteration as published, on the matrix as it stands: `X (a + b X^T X + c (X^T X)^2)` for upright ones.
fn orthogonal(g: &[Vec<f64>]) -> Vec<Vec<f64>> {
    if g.len() > g[0].len() {
        return transposed(&orthogonal(&transposed(g)));
    }
    let length = norm(&g.concat());
    let mut x: Vec<Vec<f64>> = g.iter().map(|row| row.iter().map(|x| x / length).collect()).collect();
    for _ in 0..5 {
        let gram = product(&x, &transposed(&x));
        let once = product(&gram, &x);
        let twice = product(&gram, &once);
        for ((x, once), twice) in x.iter_mut().flatten().zip(once.concat()).zip(twice.concat()) {
            *x = 3.4445 * *x - 4.7750 * once + 2.0315 * twice;
        }
    }
    x
}

#[test]
fn muon_follows_the_post_and_the_report() {
    follows(&OptimizerSpec { momentum: 0.95, ..spec(Rule::Muon) }, 1e-5, |n, layer| {
        let decay = if layer.exempt() { 0.0 } else { n.decay };
        let blocks = match layer.name {
            "blocks.0.qkv.weight" | "blocks.1.qkv.weight" => 3,
            "convs.0.weight" | "blocks.0.fc1.weight" | "blocks.0.fc2.weight" => 1,
            _ => {
                let r = adam(n, layer);
                return layer.w.iter().zip(r).map(|(w, r)| w - n.lr * (r + decay * w)).collect();
            }
        };
        layer.m.iter_mut().zip(&layer.g).for_each(|(m, g)| *m = n.momentum * *m + g);
        let ahead: Vec<f64> = layer.m.iter().zip(&layer.g).map(|(m, g)| g + n.momentum * m).collect();
        let columns: usize = layer.shape[1..].iter().product();
        let width = columns / blocks;
        let mut o = vec![0.0; ahead.len()];
        for block in 0..blocks {
            let rows = ahead.chunks(columns).map(|row| row[block * width..][..width].to_vec());
            let matrix = orthogonal(&rows.collect::<Vec<_>>());
            for (i, row) in matrix.iter().enumerate() {
                o[i * columns + block * width..][..width].copy_from_slice(row);
            }
        }
        let scale = 0.2 * (layer.shape[0].max(width) as f64).sqrt();
        layer.w.iter().zip(o).map(|(w, o)| w - n.lr * (scale * o + decay * w)).collect()
    });
}

/// Steps of the layer-wise rules are as long as the layers' weights say: the card's exact check 1.
#[test]
fn layers_move_in_proportion_to_their_norms() {
    let layout = layout();
    let bowl = Bowl::new(layout.len());
    let start: Vec<f64> = noise(layout.len(), 0.1).into_iter().map(|x| f64::from(3.0 * x)).collect();
    let relative = |spec: OptimizerSpec| -> Vec<(f64, f64)> {
        let mut inputs = Inputs::from([("theta".into(), start.clone())]);
        inputs.extend(states(&spec, &layout).map(|(name, len)| (name.to_owned(), vec![0.0; len])));
        feed(&mut inputs, &spec, 0.01, 0);
        run(&bowl.program(&spec, &layout), &mut inputs);
        let layer = |entry: &ParamEntry| {
            let range = entry.offset..entry.offset + crate::graph::numel(&entry.shape);
            let (old, new) = (&start[range.clone()], &inputs["theta"][range]);
            let moved: Vec<f64> = old.iter().zip(new).map(|(old, new)| old - new).collect();
            (norm(&moved), norm(old))
        };
        layout.entries().iter().map(layer).collect()
    };
    let all = OptimizerSpec { decay_exempt: false, ..OptimizerSpec::default() };
    let lamb = OptimizerSpec { kind: Rule::Lamb, ..all.clone() };
    for (moved, norm) in relative(OptimizerSpec { largest_norm: 0.0, ..lamb.clone() }) {
        assert!((moved / norm - 0.01).abs() < 1e-7, "{moved} of {norm}");
    }
    let capped = relative(lamb);
    assert!(capped.iter().any(|(_, norm)| *norm > 10.0) && capped.iter().any(|(_, norm)| *norm < 10.0));
    for (moved, norm) in capped {
        assert!((moved - 0.01 * norm.min(10.0)).abs() < 1e-6, "{moved} of {norm}");
    }
    for (moved, norm) in relative(OptimizerSpec { kind: Rule::Lars, weight_decay: 0.0, trust: 0.5, ..all }) {
        assert!((moved / norm - 0.005).abs() < 1e-7, "{moved} of {norm}");
    }
}

/// Multiplying the loss changes nothing for rules that measure lengths or signs (the card's exact check 3).
#[test]
fn the_scale_of_the_loss_does_not_matter_to_rules_of_direction() {
    let layout = layout();
    let start: Vec<f64> = noise(layout.len(), 0.1).into_iter().map(f64::from).collect();
    let end = |spec: &OptimizerSpec, scale: f32| {
        let bowl = Bowl { scale, ..Bowl::new(layout.len()) };
        path(spec, &layout, &bowl, &start, STEPS).pop().unwrap()
    };
    for (kind, same) in
        [(Rule::Lars, true), (Rule::Lamb, true), (Rule::Lion, true), (Rule::Muon, true), (Rule::Sgd, false)]
    {
        // Biases that are exempt have LARS's plain momentum.
        let spec = OptimizerSpec { weight_decay: 0.0, eps: 0.0, decay_exempt: false, trust: 0.1, ..spec(kind) };
        let (one, eight) = (end(&spec, 1.0), end(&spec, 8.0));
        let apart = one.iter().zip(&eight).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert_eq!(apart < 1e-5, same, "{kind:?}: {apart}");
    }
}

/// The card's exact check 2, and a gradient of nothing at all.
#[test]
fn layers_of_zeros_have_the_ratio_1() {
    let mut layout = ParamLayout::default();
    for name in ["zeros.weight", "still.weight"] {
        layout.push(name, &[2, 2], Init::Constant(0.0));
    }
    // The first layer has weights of 0, the second a gradient of 0.
    let bowl = Bowl { curvature: vec![0.0; 8], slope: [[0.5; 4], [0.0; 4]].concat(), scale: 1.0 };
    let start = [[0.0; 4], [2.0; 4]].concat();
    for (kind, moved) in [(Rule::Lars, 0.5), (Rule::Lamb, 1.0)] {
        let spec = OptimizerSpec { kind, weight_decay: 0.0, ..OptimizerSpec::default() };
        let found = &path(&spec, &layout, &bowl, &start, WARM + 1)[WARM as usize];
        let expected = f64::from(rate(WARM)) * moved;
        assert!(found[..4].iter().all(|x| (x + expected).abs() < 1e-6), "{kind:?}: {found:?}");
        assert_eq!(found[4..], [2.0; 4], "{kind:?}");
    }
    let spec = OptimizerSpec { kind: Rule::Muon, weight_decay: 0.0, ..OptimizerSpec::default() };
    assert_eq!(path(&spec, &layout, &bowl, &start, WARM + 1)[WARM as usize][4..], [2.0; 4]);
}

/// Launches of an update of so many layers of two sizes.
fn launches(kind: Rule, layers: usize) -> usize {
    let mut layout = ParamLayout::default();
    for layer in 0..layers {
        layout.push(&format!("layers.{layer}.linear.weight"), &[16 + 8 * (layer % 2), 40], Init::Constant(0.0));
        layout.push(&format!("layers.{layer}.linear.bias"), &[40], Init::Constant(0.0));
    }
    let mut program = Program::default();
    let gradient = program.graph.input("gradient", &[layout.len()], DType::F32, InputKind::State).unwrap();
    let theta = program.graph.input("theta", &[layout.len()], DType::F32, InputKind::State).unwrap();
    let update = append(&mut program.graph, &spec(kind), &layout, theta, gradient, None).unwrap();
    for (name, node) in update.states.into_iter().chain([("theta".to_owned(), update.theta)]) {
        let shape = program.graph.shape(node).to_vec();
        let input = program.graph.input(&name, &shape, DType::F32, InputKind::State).unwrap();
        let Op::Input(id) = program.graph.node(input).op else { unreachable!() };
        program.outputs.push(Output { node, target: Target::State(id) });
    }
    compile(&program, Options::default()).unwrap().launches.len()
}

/// Norm of the gradient and update; for layers, the clipped gradient and two launches for all norms; for matrices of one
/// size, one that gathers them and three an iteration, and one for the moments of what is in no matrix, which are fewer.
#[test]
fn launches_do_not_grow_with_the_number_of_layers() {
    for (kind, most) in [(Rule::AdamW, 2), (Rule::Lion, 2), (Rule::Lars, 5), (Rule::Lamb, 5), (Rule::Muon, 4 + 2 * 16)]
    {
        for layers in [2, 40] {
            let launches = launches(kind, layers);
            assert!(launches <= most, "{kind:?}: {launches} launches for {layers} layers");
        }
    }
}

/// The card's exact check 4: without memory LAMB's direction is the gradient's sign, and a layer of n weights w moves by
/// |w| / root n in each.
#[test]
fn lamb_without_memory_moves_by_signs() {
    let layout = layout();
    let start: Vec<f64> = noise(layout.len(), 0.1).into_iter().map(f64::from).collect();
    let lamb = spec(Rule::Lamb);
    let forgets = OptimizerSpec {
        beta1: 0.0,
        beta2: 0.0,
        eps: 0.0,
        weight_decay: 0.0,
        largest_norm: 0.0,
        decay_exempt: false,
        ..lamb
    };
    let bowl = Bowl::new(layout.len());
    let found = path(&forgets, &layout, &bowl, &start, WARM + 1).pop().unwrap();
    let gradient = bowl.gradient(&start);
    for entry in layout.entries() {
        let range = entry.offset..entry.offset + crate::graph::numel(&entry.shape);
        let step = f64::from(rate(WARM)) * norm(&start[range.clone()]) / (range.len() as f64).sqrt();
        for at in range {
            let wanted = start[at] - step * gradient[at].signum();
            assert!((found[at] - wanted).abs() < 1e-6, "{}: {} against {wanted}", entry.name, found[at]);
        }
    }
}

/// The card's exact check 5: LAMB's step, its ratio taken out, is AdamW's with the decay that stands apart.
#[test]
fn lamb_without_its_ratio_is_adamw() {
    let layout = layout();
    let start: Vec<f64> = noise(layout.len(), 0.1).into_iter().map(f64::from).collect();
    let bowl = Bowl::new(layout.len());
    let after = |kind| path(&spec(kind), &layout, &bowl, &start, WARM + 1).pop().unwrap();
    let (lamb, adam) = (after(Rule::Lamb), after(Rule::AdamW));
    for entry in layout.entries() {
        let range = entry.offset..entry.offset + crate::graph::numel(&entry.shape);
        let step = |to: &[f64]| range.clone().map(|at| to[at] - start[at]).collect::<Vec<f64>>();
        let (layerwise, plain) = (step(&lamb), step(&adam));
        let exempt = entry.name.ends_with("bias") || entry.name.ends_with("gamma") || entry.name == "positions";
        let ratio = if exempt { 1.0 } else { norm(&layerwise) / norm(&plain) };
        assert!(layerwise.iter().zip(&plain).all(|(a, b)| (a - ratio * b).abs() < 1e-7), "{}", entry.name);
    }
}

/// The card's exact check 6: the first direction is g / (|g| + eps), whatever the betas.
#[test]
fn the_first_direction_knows_no_beta() {
    let layout = layout();
    let start: Vec<f64> = noise(layout.len(), 0.1).into_iter().map(f64::from).collect();
    let bowl = Bowl::new(layout.len());
    let gradient = bowl.gradient(&start);
    for (beta1, beta2) in [(0.9, 0.999), (0.5, 0.9), (0.0, 0.0)] {
        let first = OptimizerSpec { beta1, beta2, weight_decay: 0.0, decay_exempt: false, ..spec(Rule::AdamW) };
        let mut inputs = Inputs::from([("theta".into(), start.clone())]);
        inputs.extend(states(&first, &layout).map(|(name, len)| (name.to_owned(), vec![0.0; len])));
        feed(&mut inputs, &first, 0.125, 0);
        run(&bowl.program(&first, &layout), &mut inputs);
        for (at, moved) in inputs["theta"].iter().enumerate() {
            let wanted = start[at] - 0.125 * gradient[at] / (gradient[at].abs() + 1e-6);
            assert!((moved - wanted).abs() < 1e-6, "{moved} against {wanted}");
        }
    }
}
