//! The programs of probes: losses, gradients and second-order products of a loss on given table rows.
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
use crate::model::{Mode, ParamLayout, THETA};
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

/// A loss on some table rows in a graph, as a function of the parameters of one net.
pub(crate) struct Probed {
    /// Reads the rows' numbers and weights as step inputs.
    pub program: Program,
    /// The net's parameters.
    pub layout: ParamLayout,
    /// Each of them in its shape.
    pub params: Vec<NodeId>,
    /// Loss of each row.
    pub losses: NodeId,
    /// Weight of each row in the mean.
    pub weight: NodeId,
    /// The weighted mean, one element.
    pub loss: NodeId,
    /// What the losses are functions of, for Gauss-Newton products: one value or more of each row; `None` = not told.
    pub outputs: Option<NodeId>,
}

impl Programs<'_> {
    /// The loss of `micro` table rows.
    pub(crate) fn probed(&self, micro: usize) -> Result<Probed, TrainError> {
        let (program, captured, scored) = self.forward(micro, Mode::Probe)?;
        Ok(Probed {
            program,
            layout: captured.layout,
            params: captured.params,
            losses: scored.losses,
            weight: scored.weight,
            loss: scored.loss,
            outputs: Some(captured.logits),
        })
    }
}

impl Probed {
    /// Products of a matrix with the vectors in the state [`vector`], into the state [`product`], for each of `widths`.
    pub fn curvature(mut self, curved: Curved, widths: &[usize]) -> Result<Program, TrainError> {
        for &width in widths {
            let graph = &mut self.program.graph;
            graph.set_label("product");
            let theta = theta(graph, &self.layout)?;
            let vectors = vectors(graph, &self.layout, width)?;
            let products = match (curved, self.outputs) {
                (Curved::Hessian, _) => hvp(graph, self.loss, &[theta], &[vectors])?,
                (Curved::GaussNewton, Some(outputs)) => ggn(graph, self.loss, outputs, &[theta], &[vectors])?,
                (Curved::GaussNewton, None) => {
                    return Err(TrainError::Spec("a Gauss-Newton product needs the outputs of a loss".into()));
                }
                (Curved::Fisher, _) => fisher(graph, self.losses, self.weight, &[theta], &[vectors])?,
            };
            for node in products {
                self.program.keep(&product(width), node)?;
            }
        }
        Ok(self.program)
    }

    /// The weighted loss and its gradient, into the state [`GRADIENT_AND_LOSS`].
    pub fn gradient(mut self) -> Result<Program, TrainError> {
        let graph = &mut self.program.graph;
        graph.set_label("gradient");
        let mut pieces = grad(graph, self.loss, &self.params)?;
        pieces.push(self.loss);
        let flat = self.layout.flatten(graph, &pieces)?;
        self.program.keep(GRADIENT_AND_LOSS, flat)?;
        Ok(self.program)
    }

    /// The losses, as fetched values.
    pub fn losses(mut self) -> Program {
        self.program.fetch(LOSSES, self.losses);
        self.program
    }

    /// The losses and their derivatives along the vector in the state [`vector`], as fetched values. One forward pass: no
    /// example's gradient is ever made.
    pub fn slopes(mut self) -> Result<Program, TrainError> {
        let graph = &mut self.program.graph;
        let theta = theta(graph, &self.layout)?;
        let vectors = vectors(graph, &self.layout, 1)?;
        let slopes = jvp(graph, &[self.losses], &[theta], &[vectors])?;
        self.program.fetch(LOSSES, self.losses);
        for node in slopes {
            self.program.fetch(SLOPES, node);
        }
        Ok(self.program)
    }
}

fn theta(graph: &mut Graph, layout: &ParamLayout) -> Result<NodeId, GraphError> {
    graph.input(&layout.name(THETA), &[layout.len()], DType::F32, InputKind::State)
}

fn vectors(graph: &mut Graph, layout: &ParamLayout, width: usize) -> Result<NodeId, GraphError> {
    let size = layout.len();
    let shape: &[usize] = if width == 1 { &[size] } else { &[width, size] };
    graph.input(&vector(width), shape, DType::F32, InputKind::State)
}
