//! Graph convolution with mean aggregation, GraphSAGE (Hamilton, Ying, Leskovec 2017, algorithm 1), over rows that lie hop
//! by hop as [`Graph::neighbourhood`](crate::neighbours::Graph::neighbourhood) lists them.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use crate::model::{Builder, Init};

/// A matrix for the node itself, one for its neighbours' mean, and a bias.
#[derive(Module, Debug)]
pub struct SageLayer {
    own: Param<Tensor<2>>,
    neighbours: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl SageLayer {
    /// From so many features to so many. Both matrices start from `init`; each output sums over twice the features.
    pub fn new(builder: &mut Builder, [from, to]: [usize; 2], init: Init) -> Self {
        Self {
            own: builder.param([from, to], init),
            neighbours: builder.param([from, to], init),
            bias: builder.param([to], Init::Constant(0.0)),
        }
    }

    /// `[nodes, to]` of rows `[rows, from]`: the first `nodes` of them, of which the first `seeds` are nobody's neighbours
    /// here. The `fan_out` neighbours of node t are the rows from `seeds + fan_out t` on.
    pub fn forward(&self, x: &Tensor<2>, nodes: usize, seeds: usize, fan_out: usize) -> Tensor<2> {
        let [_, width] = x.dims();
        let own = x.clone().slice([0..nodes, 0..width]);
        let near = x.clone().slice([seeds..seeds + nodes * fan_out, 0..width]);
        let near = near.reshape([nodes, fan_out, width]).mean_dim(1).reshape([nodes, width]);
        own.matmul(self.own.val()) + near.matmul(self.neighbours.val()) + self.bias.val().unsqueeze()
    }
}

/// Two layers with a ReLU between them: each seed sees its neighbours, and theirs.
#[derive(Module, Debug)]
pub struct GraphSage {
    layers: [SageLayer; 2],
}

impl GraphSage {
    /// From so many features over so many hidden ones to so many outputs.
    pub fn new(builder: &mut Builder, [from, hidden, to]: [usize; 3]) -> Self {
        // Node and neighbours add up: each output sums over twice the width.
        let first = SageLayer::new(builder, [from, hidden], Init::kaiming_normal(2 * from));
        Self { layers: [first, SageLayer::new(builder, [hidden, to], Init::linear_normal(2 * hidden))] }
    }

    /// `[seeds, to]` of the rows `[seeds (1 + fan_out + fan_out^2), from]` that two hops list for the seeds.
    pub fn forward(&self, x: &Tensor<2>, seeds: usize, fan_out: usize) -> Tensor<2> {
        let hidden = relu(self.layers[0].forward(x, seeds * (1 + fan_out), seeds, fan_out));
        self.layers[1].forward(&hidden, seeds, seeds, fan_out)
    }
}

#[cfg(test)]
#[test]
fn outputs_equal_the_definition() {
    let device = burn::tensor::Device::flex();
    let values = |count: usize, phase: f32| (0..count).map(|at| (at as f32 * 0.7 + phase).sin()).collect::<Vec<f32>>();
    let matrix =
        |values: &[f32], width: usize| Tensor::<1>::from_floats(values, &device).reshape([values.len() / width, width]);
    // Two seeds, two neighbours of each, two of each of these: 14 rows.
    let (x, own, near, bias) = (values(14 * 3, 0.0), values(12, 1.0), values(12, 2.0), values(4, 3.0));
    let layer = SageLayer {
        own: Param::from_tensor(matrix(&own, 4)),
        neighbours: Param::from_tensor(matrix(&near, 4)),
        bias: Param::from_tensor(Tensor::from_floats(bias.as_slice(), &device)),
    };
    let found: Vec<f32> = layer.forward(&matrix(&x, 3), 6, 2, 2).into_data().try_to_vec().unwrap();
    for (at, found) in found.iter().enumerate() {
        let (node, k) = (at / 4, at % 4);
        let mean = |j: usize| (x[(2 + 2 * node) * 3 + j] + x[(3 + 2 * node) * 3 + j]) / 2.0;
        let products = (0..3).map(|j| x[node * 3 + j] * own[j * 4 + k] + mean(j) * near[j * 4 + k]);
        assert!((found - products.sum::<f32>() - bias[k]).abs() < 1e-5, "node {node}, feature {k}");
    }
}
