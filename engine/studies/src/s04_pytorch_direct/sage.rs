//! GraphSAGE with mean aggregation, two layers (Hamilton, Ying, Leskovec 2017, algorithm 1), over rows that a
//! [`Fetcher`] brings: the seeds, their neighbours, and the neighbours of these.

use engine::graph::{DType, Graph, GraphError, InputKind, NodeId, Output, Program, Target, UnaryOp};
use engine::model::{Init, ParamLayout, THETA};
use engine::objective;
use engine::optim;
use engine::spec::{ObjectiveSpec, OptimizerSpec, Rule};

use super::fetch::Fetcher;

/// Step input: class of each seed.
pub const LABELS: &str = "labels";
/// Column of the metrics ring: mean loss.
pub const LOSS: usize = 0;
/// Fetched by the evaluating program: 1 for each seed that was classified correctly, else 0.
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

impl Sage {
    /// Rows that a step reads.
    pub fn rows(self) -> usize {
        self.batch * (1 + self.fan_out + self.fan_out * self.fan_out)
    }

    /// Nodes for which the first layer is computed: the seeds and their neighbours.
    fn targets(self) -> usize {
        self.batch * (1 + self.fan_out)
    }

    /// Parameters: for each layer a matrix for the node itself, one for its neighbours' mean, and a bias.
    pub fn layout(self) -> ParamLayout {
        let mut layout = ParamLayout::default();
        let mut layer = |name: &str, from: usize, to: usize, init: Init| {
            layout.push(&format!("{name}.own"), &[from, to], init);
            layout.push(&format!("{name}.neighbours"), &[from, to], init);
            layout.push(&format!("{name}.bias"), &[to], Init::Constant(0.0));
        };
        // Node and neighbours add up: each output sums over twice the width.
        layer("layer1", self.width, self.hidden, Init::kaiming_normal(2 * self.width));
        layer("layer2", self.hidden, CLASSES, Init::linear_normal(2 * self.hidden));
        layout
    }

    /// Logits `[batch, classes]` of features `[rows, width]`.
    fn forward(self, graph: &mut Graph, x: NodeId, parameters: &[NodeId]) -> Result<NodeId, GraphError> {
        let &[own1, near1, bias1, own2, near2, bias2] = parameters else {
            return Err(GraphError::Shape { op: "graphsage".into(), reason: "needs six parameters".into() });
        };
        let (batch, fan_out, targets) = (self.batch, self.fan_out, self.targets());
        let own = graph.slice(x, &[0, 0], &[targets, self.width])?;
        // The fan-out of target t lies at targets' distance batch: rows batch + fan_out * t and on.
        let near = graph.slice(x, &[batch, 0], &[targets * fan_out, self.width])?;
        let near = mean_of_groups(graph, near, fan_out)?;
        let hidden = layer(graph, [own, near], [own1, near1], bias1)?;
        let hidden = graph.unary(UnaryOp::Relu, hidden)?;
        let own = graph.slice(hidden, &[0, 0], &[batch, self.hidden])?;
        let near = graph.slice(hidden, &[batch, 0], &[batch * fan_out, self.hidden])?;
        let near = mean_of_groups(graph, near, fan_out)?;
        layer(graph, [own, near], [own2, near2], bias2)
    }

    /// Features, logits and scores of a step, and its parameters.
    fn scored(self, graph: &mut Graph, fetcher: &Fetcher<'_>) -> Result<Scored, GraphError> {
        graph.set_label("features");
        let x = fetcher.features(graph)?;
        graph.set_label("graphsage");
        let layout = self.layout();
        let theta = graph.input(THETA, &[layout.len()], DType::F32, InputKind::State)?;
        let parameters = layout.views(graph, theta)?;
        let logits = self.forward(graph, x, &parameters)?;
        let labels = graph.input(LABELS, &[self.batch], DType::U32, InputKind::Step)?;
        graph.set_label("objective");
        let scores = objective::classify(graph, &ObjectiveSpec::default(), logits, labels, None)?;
        Ok(Scored { layout, parameters, scores })
    }

    /// A training step: features, forward, backward, update; its loss in the metrics ring.
    pub fn step(self, fetcher: &Fetcher<'_>) -> Result<Program, GraphError> {
        let mut program = Program::default();
        let graph = &mut program.graph;
        let Scored { layout, parameters, scores } = self.scored(graph, fetcher)?;
        let loss = graph.mean(scores.losses, &[0])?;
        optim::minimise(&mut program, &optimizer(), &layout, &parameters, loss)?;
        program.outputs.push(Output { node: loss, target: Target::Metric(LOSS) });
        Ok(program)
    }

    /// Which seeds are classified correctly, as the fetched value [`CORRECT`].
    pub fn evaluate(self, fetcher: &Fetcher<'_>) -> Result<Program, GraphError> {
        let mut program = Program::default();
        let scored = self.scored(&mut program.graph, fetcher)?;
        program.outputs.push(Output { node: scored.scores.correct, target: Target::Fetch(CORRECT.to_owned()) });
        Ok(program)
    }
}

struct Scored {
    layout: ParamLayout,
    parameters: Vec<NodeId>,
    scores: objective::Scores,
}

/// Mean over groups of `size` consecutive rows.
fn mean_of_groups(graph: &mut Graph, x: NodeId, size: usize) -> Result<NodeId, GraphError> {
    let &[rows, width] = graph.shape(x) else {
        return Err(GraphError::Shape { op: "mean of groups".into(), reason: "needs rank 2".into() });
    };
    let groups = graph.reshape(x, &[rows / size, size, width])?;
    let mean = graph.mean(groups, &[1])?;
    graph.reshape(mean, &[rows / size, width])
}

/// `own W + near V + b`.
fn layer(graph: &mut Graph, x: [NodeId; 2], weights: [NodeId; 2], bias: NodeId) -> Result<NodeId, GraphError> {
    let own = graph.matmul(x[0], weights[0])?;
    let near = graph.matmul(x[1], weights[1])?;
    let sum = graph.add(own, near)?;
    graph.add(sum, bias)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s04_pytorch_direct::fetch::Way;
    use engine::graph::reference::{Inputs, evaluate};

    const SAGE: Sage = Sage { width: 3, hidden: 4, batch: 2, fan_out: 2 };

    #[test]
    fn the_papers_model_has_its_number_of_parameters() {
        let sage = Sage { width: 784, hidden: 64, batch: 128, fan_out: 5 };
        assert_eq!(sage.layout().len(), 101_706);
        assert_eq!(sage.rows(), 3_968);
    }

    /// The network computed node by node, straight from the definition.
    #[test]
    fn logits_equal_the_definition() {
        let table: Vec<f32> = (0..SAGE.rows() * SAGE.width).map(|at| (at as f32 * 0.7).sin()).collect();
        let fetcher = Fetcher::new(Way::Staged, &table, SAGE.width, SAGE.rows(), &[]);
        let mut graph = Graph::new();
        let x = fetcher.features(&mut graph).unwrap();
        let layout = SAGE.layout();
        let theta = graph.input(THETA, &[layout.len()], DType::F32, InputKind::State).unwrap();
        let parameters = layout.views(&mut graph, theta).unwrap();
        let logits = SAGE.forward(&mut graph, x, &parameters).unwrap();
        let values = layout.initial(1);
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
        let inputs = Inputs::from([("features".to_owned(), wide(&table)), (THETA.to_owned(), wide(&values))]);
        let found = &evaluate(&graph, &inputs, &[logits])[0];

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
            let program = SAGE.step(&fetcher).unwrap();
            assert_eq!(program.outputs.len(), 4, "loss, theta and Adam's two moments");
            SAGE.evaluate(&fetcher).unwrap();
        }
    }
}
