//! The programs of probes: losses, gradients and second-order products of a run on given table rows.
//!
//! What they differentiate is the loss that training descends without its noise ([`Mode::Probe`]): batch norm uses the
//! statistics of the rows at hand and leaves the running ones alone; dropout, stochastic depth, augmentation and mixing
//! are off; weight decay is left out. They read and write states and step inputs only, so that a probe can rename the
//! states and work on parameters of its own.

use super::TrainError;
use super::program::{LOSSES, Programs};
use crate::graph::grad::grad;
use crate::graph::jvp::{fisher, ggn, hvp, jvp};
use crate::graph::{DType, Graph, GraphError, InputKind, NodeId, Program};
use crate::model::{Mode, THETA};
use crate::spec::Curved;

/// State: the gradient, and behind it the loss; `[P + 1]`.
pub(crate) const GRADIENT_AND_LOSS: &str = "gradient_and_loss";
/// Fetched value: derivative of each example's loss along the vector.
pub(crate) const SLOPES: &str = "slopes";

/// State that holds `width` vectors: f32 `[P]` for one, `[width, P]` for several.
pub(crate) fn vector(width: usize) -> String {
    format!("vector.{width}")
}

/// State that holds their products, likewise.
pub(crate) fn product(width: usize) -> String {
    format!("product.{width}")
}

impl Programs<'_> {
    /// Products of a matrix of `micro` examples with the vectors in the state [`vector`], into the state [`product`],
    /// for each of `widths`.
    pub(crate) fn curvature(&self, curved: Curved, micro: usize, widths: &[usize]) -> Result<Program, TrainError> {
        let (mut program, captured, scored) = self.forward(micro, Mode::Probe)?;
        for &width in widths {
            let graph = &mut program.graph;
            graph.set_label("product");
            let theta = self.theta(graph)?;
            let vectors = self.vectors(graph, width)?;
            let products = match curved {
                Curved::Hessian => hvp(graph, scored.loss, &[theta], &[vectors])?,
                Curved::GaussNewton => ggn(graph, scored.loss, captured.logits, &[theta], &[vectors])?,
                Curved::Fisher => fisher(graph, scored.losses, scored.weight, &[theta], &[vectors])?,
            };
            for node in products {
                program.keep(&product(width), node)?;
            }
        }
        Ok(program)
    }

    /// Weighted loss of `micro` examples and its gradient, into the state [`GRADIENT_AND_LOSS`].
    pub(crate) fn gradient(&self, micro: usize) -> Result<Program, TrainError> {
        let (mut program, captured, scored) = self.forward(micro, Mode::Probe)?;
        let graph = &mut program.graph;
        graph.set_label("gradient");
        let mut pieces = grad(graph, scored.loss, &captured.params)?;
        pieces.push(scored.loss);
        let flat = self.layout().flatten(graph, &pieces)?;
        program.keep(GRADIENT_AND_LOSS, flat)?;
        Ok(program)
    }

    /// Losses of `micro` examples, as fetched values.
    pub(crate) fn losses(&self, micro: usize) -> Result<Program, TrainError> {
        let (mut program, _, scored) = self.forward(micro, Mode::Probe)?;
        program.fetch(LOSSES, scored.losses);
        Ok(program)
    }

    /// Losses of `micro` examples and their derivatives along the vector in the state [`vector`], as fetched values.
    /// One forward pass: no example's gradient is ever made.
    pub(crate) fn slopes(&self, micro: usize) -> Result<Program, TrainError> {
        let (mut program, _, scored) = self.forward(micro, Mode::Probe)?;
        let graph = &mut program.graph;
        let theta = self.theta(graph)?;
        let vectors = self.vectors(graph, 1)?;
        let slopes = jvp(graph, &[scored.losses], &[theta], &[vectors])?;
        program.fetch(LOSSES, scored.losses);
        for node in slopes {
            program.fetch(SLOPES, node);
        }
        Ok(program)
    }

    fn theta(&self, graph: &mut Graph) -> Result<NodeId, GraphError> {
        graph.input(THETA, &[self.layout().len()], DType::F32, InputKind::State)
    }

    fn vectors(&self, graph: &mut Graph, width: usize) -> Result<NodeId, GraphError> {
        let size = self.layout().len();
        let shape: &[usize] = if width == 1 { &[size] } else { &[width, size] };
        graph.input(&vector(width), shape, DType::F32, InputKind::State)
    }
}
