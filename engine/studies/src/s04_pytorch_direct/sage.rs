//! GraphSAGE with mean aggregation, two layers (Hamilton, Ying, Leskovec 2017, algorithm 1), over rows that a
//! [`Fetcher`] brings: the seeds, their neighbours, and the neighbours of these.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, activation};

use engine::model::{Builder, Init, Mode, ModelError};
use engine::objective::recorded::{correct, cross_entropy};
use engine::spec::{OptimizerSpec, Rule};
use engine::tape::{Traced, trace};

use super::fetch::Fetcher;

/// The network: the study's only one, without a name.
pub const NET: &str = "";
/// Step input: class of each seed.
pub const LABELS: &str = "labels";
/// Metric: mean loss.
pub const LOSS: &str = "loss";
/// Fetched by the evaluating step: 1 for each seed that was classified correctly, else 0.
pub const CORRECT: &str = "correct";

const CLASSES: usize = 10;

/// Shape of the network and of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sage {
    /// Features of a node.
    pub width: usize,
    /// Hidden features.
    pub hidden: usize,
    /// Seeds of a step.
    pub batch: usize,
    /// Neighbours of each node that are read.
    pub fan_out: usize,
}

/// Adam without decay.
pub fn optimizer() -> OptimizerSpec {
    OptimizerSpec { kind: Rule::AdamW, weight_decay: 0.0, ..OptimizerSpec::default() }
}

/// A matrix for the node itself, one for its neighbours' mean, and a bias.
#[derive(Module, Debug)]
struct Layer {
    own: Param<Tensor<2>>,
    neighbours: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Layer {
    fn new(builder: &mut Builder, [from, to]: [usize; 2], init: Init) -> Self {
        Layer {
            own: builder.param([from, to], init),
            neighbours: builder.param([from, to], init),
            bias: builder.param([to], Init::Constant(0.0)),
        }
    }

    /// Of rows laid out as the seeds first and then each node's `fan_out` neighbours, the first `nodes`.
    fn forward(&self, x: &Tensor<2>, nodes: usize, batch: usize, fan_out: usize) -> Tensor<2> {
        let [_, width] = x.dims();
        let own = x.clone().slice([0..nodes, 0..width]);
        // The neighbours of node t start at row batch + fan_out * t.
        let near = x.clone().slice([batch..batch + nodes * fan_out, 0..width]);
        let near = near.reshape([nodes, fan_out, width]).mean_dim(1).reshape([nodes, width]);
        own.matmul(self.own.val()) + near.matmul(self.neighbours.val()) + self.bias.val().unsqueeze()
    }
}

#[derive(Module, Debug)]
struct Net {
    layer1: Layer,
    layer2: Layer,
}

impl Sage {
    /// Rows that a step reads.
    pub fn rows(self) -> usize {
        self.batch * (1 + self.fan_out + self.fan_out * self.fan_out)
    }

    fn net(self, builder: &mut Builder) -> Net {
        // Node and neighbours add up: each output sums over twice the width.
        Net {
            layer1: Layer::new(builder, [self.width, self.hidden], Init::kaiming_normal(2 * self.width)),
            layer2: Layer::new(builder, [self.hidden, CLASSES], Init::linear_normal(2 * self.hidden)),
        }
    }

    /// Logits `[batch, classes]` of features `[rows, width]`.
    fn forward(self, net: &Net, x: &Tensor<2>) -> Tensor<2> {
        let targets = self.batch * (1 + self.fan_out);
        let hidden = activation::relu(net.layer1.forward(x, targets, self.batch, self.fan_out));
        net.layer2.forward(&hidden, self.batch, self.batch, self.fan_out)
    }

    /// A training step: features, forward, backward, update; its loss as a metric.
    pub fn step(self, fetcher: &Fetcher<'_>) -> Result<Traced, ModelError> {
        trace("step", Mode::Train, |tape| {
            let x = fetcher.features(tape);
            let net = tape.net(NET, |builder| self.net(builder));
            let labels = tape.labels(LABELS, [self.batch]);
            let loss = cross_entropy(self.forward(&net, &x), labels).mean();
            tape.minimise(NET, &loss, &optimizer());
            tape.metric(LOSS, &loss);
            Ok(())
        })
    }

    /// Which seeds are classified correctly, as the fetched value [`CORRECT`].
    pub fn evaluate(self, fetcher: &Fetcher<'_>) -> Result<Traced, ModelError> {
        trace("evaluation", Mode::Eval, |tape| {
            let x = fetcher.features(tape);
            let net = tape.net(NET, |builder| self.net(builder));
            let labels = tape.labels(LABELS, [self.batch]);
            let logits = self.forward(&net, &x);
            tape.fetch("logits", &logits);
            tape.fetch(CORRECT, &correct(logits, labels));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s04_pytorch_direct::fetch::Way;
    use engine::graph::reference::{Inputs, run};
    use engine::model::THETA;

    const SAGE: Sage = Sage { width: 3, hidden: 4, batch: 2, fan_out: 2 };

    #[test]
    fn the_papers_model_has_its_number_of_parameters() {
        let sage = Sage { width: 784, hidden: 64, batch: 128, fan_out: 5 };
        let fetcher = Fetcher::new(Way::Staged, &[], 784, sage.rows(), &[]);
        assert_eq!(sage.evaluate(&fetcher).unwrap().nets[0].layout.len(), 101_706);
        assert_eq!(sage.rows(), 3_968);
    }

    /// The network computed node by node, straight from the definition.
    #[test]
    fn logits_equal_the_definition() {
        let table: Vec<f32> = (0..SAGE.rows() * SAGE.width).map(|at| (at as f32 * 0.7).sin()).collect();
        let fetcher = Fetcher::new(Way::Staged, &table, SAGE.width, SAGE.rows(), &[]);
        let traced = SAGE.evaluate(&fetcher).unwrap();
        let layout = traced.nets[0].layout.clone();
        let values = layout.initial(1);
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
        let labels = (LABELS.to_owned(), vec![0.0; SAGE.batch]);
        let mut inputs = Inputs::from([("features".into(), wide(&table)), (THETA.into(), wide(&values)), labels]);
        let found = &run(&traced.program, &mut inputs)["logits"];

        let parameter = |name: &str| {
            let entry = layout.entries().iter().find(|entry| entry.name == name).unwrap();
            wide(&values[entry.offset..][..entry.shape.iter().product()])
        };
        let affine = |own: &[f64], near: &[Vec<f64>], name: &str, to: usize| -> Vec<f64> {
            let (w, v, b) = (
                parameter(&format!("{name}.own")),
                parameter(&format!("{name}.neighbours")),
                parameter(&format!("{name}.bias")),
            );
            (0..to)
                .map(|k| {
                    let mean = |at: usize| near.iter().map(|row| row[at]).sum::<f64>() / near.len() as f64;
                    (0..own.len()).map(|at| own[at] * w[at * to + k] + mean(at) * v[at * to + k]).sum::<f64>() + b[k]
                })
                .collect()
        };
        let row = |at: usize| wide(&table[at * SAGE.width..][..SAGE.width]);
        let hidden = |target: usize| -> Vec<f64> {
            let near: Vec<Vec<f64>> = (0..2).map(|k| row(SAGE.batch + target * 2 + k)).collect();
            affine(&row(target), &near, "layer1", 4).into_iter().map(|value| value.max(0.0)).collect()
        };
        for seed in 0..2 {
            let near = [hidden(2 + seed * 2), hidden(3 + seed * 2)];
            let wanted = affine(&hidden(seed), &near, "layer2", CLASSES);
            for (k, wanted) in wanted.iter().enumerate() {
                assert!((found[seed * CLASSES + k] - wanted).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn every_way_has_the_same_step() {
        let table = vec![0.0; 50 * SAGE.width];
        let by_use: Vec<u32> = (0..50).collect();
        for way in [Way::Staged, Way::Resident, Way::Partial { hot: 20 }, Way::Paged] {
            let fetcher = Fetcher::new(way, &table, SAGE.width, SAGE.rows(), &by_use);
            let program = SAGE.step(&fetcher).unwrap().program;
            assert_eq!(program.outputs.len(), 4, "loss, theta and Adam's two moments");
            SAGE.evaluate(&fetcher).unwrap();
        }
    }
}
