//! What the tests of derivatives share: functions of inputs `x0, x1, ..`, and their slopes by central differences.

use super::reference::{Inputs, evaluate};
use super::*;
use crate::rng::{Rng, Stream};

/// Draws away from the kinks of the piecewise functions (0 and whole numbers) and from each other.
pub fn draw(n: usize, low: f64, high: f64, seed: u64) -> Vec<f64> {
    let mut rng = Rng::new(seed, Stream::Probe, 0);
    let mut order: Vec<u32> = (0..n as u32).collect();
    rng.shuffle(&mut order);
    order.iter().map(|&k| low + (high - low) * (f64::from(k) + 0.37) / n as f64).collect()
}

/// Inputs `x0, x1, ..` of the given shapes, with values drawn from a range.
pub fn arguments(graph: &mut Graph, shapes: &[&[usize]], (low, high): (f64, f64)) -> (Inputs, Vec<NodeId>) {
    let mut inputs = Inputs::new();
    let mut args = Vec::new();
    for (k, shape) in shapes.iter().enumerate() {
        let name = format!("x{k}");
        args.push(graph.input(&name, shape, DType::F32, InputKind::State).unwrap());
        inputs.insert(name, draw(numel(shape), low, high, k as u64));
    }
    (inputs, args)
}

/// A constant drawn from -1 to 1.
pub fn literal(graph: &mut Graph, shape: &[usize], seed: u64) -> NodeId {
    let values: Vec<f32> = draw(numel(shape), -1.0, 1.0, seed).iter().map(|&x| x as f32).collect();
    graph.literal(&values, shape).unwrap()
}

/// A constant of whole numbers.
pub fn index(graph: &mut Graph, values: &[f32], shape: &[usize]) -> NodeId {
    let literal = graph.literal(values, shape).unwrap();
    graph.cast(literal, DType::U32).unwrap()
}

/// Sum of `y` with fixed weights: a scalar whose derivative sees every element.
pub fn weighted(graph: &mut Graph, y: NodeId, seed: u64) -> NodeId {
    let shape = graph.shape(y).to_vec();
    let weights = literal(graph, &shape, seed);
    let product = graph.mul(y, weights).unwrap();
    graph.sum_all(product).unwrap()
}

/// A square window over images.
pub fn window(kernel: usize, stride: usize, padding: usize) -> ConvGeometry {
    ConvGeometry { kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 2], dilation: [1; 2], groups: 1 }
}

/// Slopes of `of` along a direction, which names the inputs that move.
pub fn slopes(graph: &Graph, inputs: &Inputs, of: NodeId, direction: &Inputs) -> Vec<f64> {
    let step = 1e-5;
    let at = |delta: f64| {
        let mut moved = inputs.clone();
        for (name, direction) in direction {
            for (x, d) in moved.get_mut(name).unwrap().iter_mut().zip(direction) {
                *x += delta * d;
            }
        }
        evaluate(graph, &moved, &[of]).remove(0)
    };
    at(step).iter().zip(at(-step)).map(|(up, down)| (up - down) / (2.0 * step)).collect()
}

/// Holds a derivative against its difference.
pub fn assert_slope(found: f64, slope: f64, what: impl std::fmt::Display) {
    let error = (found - slope).abs() / (1.0 + slope.abs());
    assert!(error < 1e-6, "{what}: {found} against {slope}");
}
