//! Sharpness-aware minimisation (Foret et al. 2021, arXiv 2010.01412, algorithm 1): the gradient is not taken at theta but
//! at the worst point within a distance rho, to first order `theta + rho g / |g|`. Whichever rule follows sees that
//! gradient.
//!
//! The second pass is the first with other parameters: the same examples, augmentation and dropout. Batch norm's running
//! statistics are the first pass's. Where a batch is computed in micro-batches, each has a worst point of its own
//! (m-sharpness, section 4.1).

use super::square_norm;
use crate::graph::{BinaryOp, Graph, GraphError, NodeId, UnaryOp, substitute};

/// Least norm that a gradient is divided by; below, the point is all but theta.
const LEAST_NORM: f32 = 1e-12;

/// The gradient at the worst point within `rho` of `theta`, both flat, from the gradient at theta; with rho = 0 that.
pub fn gradient(graph: &mut Graph, rho: f64, theta: NodeId, gradient: NodeId) -> Result<NodeId, GraphError> {
    if rho == 0.0 {
        return Ok(gradient);
    }
    graph.set_label("sharpness");
    let square = square_norm(graph, gradient)?;
    let norm = graph.unary(UnaryOp::Sqrt, square)?;
    let least = graph.constant(LEAST_NORM, &[1]);
    let norm = graph.binary(BinaryOp::Max, norm, least)?;
    let length = graph.constant(rho as f32, &[1]);
    let length = graph.div(length, norm)?;
    let ascent = graph.mul(gradient, length)?;
    let worst = graph.add(theta, ascent)?;
    substitute(graph, gradient, theta, worst)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::grad::grad;
    use crate::graph::reference::{Inputs, run};
    use crate::graph::{DType, InputKind, Output, Program, Target};

    /// A quartic valley in two dimensions: `(x^2 + 3 x y + 5 y^2) / 2 + x^4 / 4 + y`.
    fn program(rho: f64) -> Result<Program, GraphError> {
        let mut program = Program::default();
        let graph = &mut program.graph;
        let theta = graph.input("theta", &[2], DType::F32, InputKind::State)?;
        let x = graph.slice(theta, &[0], &[1])?;
        let y = graph.slice(theta, &[1], &[1])?;
        let mut loss = y;
        let xx = graph.mul(x, x)?;
        for (a, b, factor) in [(x, x, 0.5), (x, y, 1.5), (y, y, 2.5), (xx, xx, 0.25)] {
            let term = graph.mul(a, b)?;
            let term = graph.scale(term, factor)?;
            loss = graph.add(loss, term)?;
        }
        let loss = graph.sum_all(loss)?;
        let plain = grad(graph, loss, &[theta])?[0];
        let sharp = gradient(graph, rho, theta, plain)?;
        for (name, node) in [("loss", loss), ("plain", plain), ("sharp", sharp)] {
            program.outputs.push(Output { node, target: Target::Fetch(name.into()) });
        }
        Ok(program)
    }

    fn at_point(program: &Program, theta: [f64; 2]) -> Inputs {
        run(program, &mut Inputs::from([("theta".into(), theta.to_vec())]))
    }

    #[test]
    fn the_gradient_is_that_of_the_worst_point() -> Result<(), GraphError> {
        let program = program(0.25)?;
        for theta in [[1.0, -2.0], [0.3, 0.4], [-3.0, 0.0]] {
            let found = at_point(&program, theta);
            let plain = [theta[0] + 1.5 * theta[1] + theta[0].powi(3), 1.5 * theta[0] + 5.0 * theta[1] + 1.0];
            let close =
                |a: &[f64], b: [f64; 2]| assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} {b:?}");
            close(&found["plain"], plain);
            let norm = plain[0].hypot(plain[1]);
            let [x, y] = [0, 1].map(|k| theta[k] + 0.25 * plain[k] / norm);
            close(&found["sharp"], [x + 1.5 * y + x.powi(3), 1.5 * x + 5.0 * y + 1.0]);
            // The loss there, by finite differences.
            let slope = |direction: [f64; 2]| {
                let loss = |h: f64| at_point(&program, [x + h * direction[0], y + h * direction[1]])["loss"][0];
                (loss(1e-5) - loss(-1e-5)) / 2e-5
            };
            close(&found["sharp"], [slope([1.0, 0.0]), slope([0.0, 1.0])]);
        }
        Ok(())
    }

    #[test]
    fn without_a_radius_or_a_gradient_nothing_happens() -> Result<(), GraphError> {
        let program = program(0.0)?;
        assert_eq!(program.outputs[1].node, program.outputs[2].node);
        let mut flat = Program::default();
        let theta = flat.graph.input("theta", &[2], DType::F32, InputKind::State)?;
        let zero = flat.graph.scale(theta, 0.0)?;
        let node = gradient(&mut flat.graph, 0.1, theta, zero)?;
        flat.outputs.push(Output { node, target: Target::Fetch("sharp".into()) });
        assert_eq!(at_point(&flat, [1.0, 2.0])["sharp"], [0.0, 0.0]);
        Ok(())
    }
}
