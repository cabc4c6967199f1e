//! Recurrent layers, unrolled over the sequence: the inputs of all steps enter by one product, each step then costs one
//! product with the state and a few elementwise operations.

use burn::module::Module;
use burn::nn::{LayerNorm, Linear};
use burn::tensor::{Bool, Tensor, activation};

use crate::model::{Builder, Init};

/// Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).
#[derive(Module, Debug)]
pub struct Lstm {
    /// Inputs to the four gates (in, forget, candidate, out), with their biases.
    input: Linear,
    /// State to the four gates.
    hidden: Linear,
    norms: Option<Norms>,
}

/// Layer norms of an [`Lstm`], before its nonlinearities.
#[derive(Module, Debug)]
struct Norms {
    /// Of what the inputs send to the gates, over all four.
    input: LayerNorm,
    /// Of what the state sends to them.
    hidden: LayerNorm,
    /// Of the cell where it is read; what it remembers stays as it is.
    cell: LayerNorm,
}

/// The state of an [`Lstm`]: output and cell, `[b, h]` each.
#[derive(Clone, Debug)]
pub struct LstmState {
    /// What the layer yields.
    pub hidden: Tensor<2>,
    /// What it remembers.
    pub cell: Tensor<2>,
}

impl Lstm {
    /// A layer of `hidden` cells; weights uniform within `1 / sqrt(hidden)`.
    pub fn new(builder: &mut Builder, inputs: usize, hidden: usize) -> Self {
        let (input, hidden) = gates(builder, inputs, hidden, 4, false);
        Lstm { input, hidden, norms: None }
    }

    /// The same with layer norms (Ba, Kiros, Hinton 2016, equations 20 to 22): 18 parameters a cell more.
    pub fn normalized(builder: &mut Builder, inputs: usize, hidden: usize) -> Self {
        let plain = Self::new(builder, inputs, hidden);
        let [input, gates] = [0; 2].map(|_| builder.layer_norm(4 * hidden));
        Lstm { norms: Some(Norms { input, hidden: gates, cell: builder.layer_norm(hidden) }), ..plain }
    }

    /// Outputs `[b, t, h]` of a sequence `[b, t, d]`, and the state after it. The first state is 0 where none is given.
    /// Where `shown` `[b, t]` is given and false, the state stays as it is: after its end a shorter sequence repeats its
    /// last output.
    pub fn forward(
        &self,
        x: Tensor<3>,
        state: Option<LstmState>,
        shown: Option<Tensor<2, Bool>>,
    ) -> (Tensor<3>, LstmState) {
        let [batch, length, _] = x.dims();
        let cells = self.hidden.weight.dims()[0];
        let zeros = || Tensor::zeros([batch, cells], &x.device());
        let mut state = state.unwrap_or_else(|| LstmState { hidden: zeros(), cell: zeros() });
        let entering = self.entering(x);
        let mut outputs = Vec::with_capacity(length);
        for t in 0..length {
            let inside = self.hidden.forward(state.hidden.clone());
            let gates = at(&entering, t) + self.norms.iter().fold(inside, |inside, norms| norms.hidden.forward(inside));
            let gate = |k: usize| gates.clone().slice_dim(1, k * cells..(k + 1) * cells);
            let (enter, keep, out) =
                (activation::sigmoid(gate(0)), activation::sigmoid(gate(1)), activation::sigmoid(gate(3)));
            let cell = keep * state.cell.clone() + enter * gate(2).tanh();
            let read = self.norms.iter().fold(cell.clone(), |cell, norms| norms.cell.forward(cell));
            let hidden = out * read.tanh();
            state =
                LstmState { hidden: moved(hidden, state.hidden, &shown, t), cell: moved(cell, state.cell, &shown, t) };
            outputs.push(state.hidden.clone());
        }
        (Tensor::stack(outputs, 1), state)
    }

    /// What inputs send to the gates: the product with them is normalized, their bias is not.
    fn entering(&self, x: Tensor<3>) -> Tensor<3> {
        match (&self.norms, &self.input.bias) {
            (Some(norms), Some(bias)) => {
                let product = x.matmul(self.input.weight.val().unsqueeze::<3>());
                norms.input.forward(product) + bias.val().unsqueeze::<3>()
            }
            _ => self.input.forward(x),
        }
    }
}

/// Gated recurrent unit (Cho et al. 2014), the reset gate applied after the product as in cuDNN and PyTorch.
#[derive(Module, Debug)]
pub struct Gru {
    /// Inputs to reset gate, update gate and candidate, with their biases.
    input: Linear,
    /// State to the same, with biases of its own.
    hidden: Linear,
}

impl Gru {
    /// A layer of `hidden` cells; weights uniform within `1 / sqrt(hidden)`.
    pub fn new(builder: &mut Builder, inputs: usize, hidden: usize) -> Self {
        let (input, hidden) = gates(builder, inputs, hidden, 3, true);
        Gru { input, hidden }
    }

    /// Outputs `[b, t, h]` of a sequence `[b, t, d]`, and the state `[b, h]` after it; see [`Lstm::forward`].
    pub fn forward(
        &self,
        x: Tensor<3>,
        state: Option<Tensor<2>>,
        shown: Option<Tensor<2, Bool>>,
    ) -> (Tensor<3>, Tensor<2>) {
        let [batch, length, _] = x.dims();
        let cells = self.hidden.weight.dims()[0];
        let mut state = state.unwrap_or_else(|| Tensor::zeros([batch, cells], &x.device()));
        let entering = self.input.forward(x);
        let mut outputs = Vec::with_capacity(length);
        for t in 0..length {
            let (entering, inside) = (at(&entering, t), self.hidden.forward(state.clone()));
            let part = |gates: &Tensor<2>, k: usize| gates.clone().slice_dim(1, k * cells..(k + 1) * cells);
            let gate = |k: usize| activation::sigmoid(part(&entering, k) + part(&inside, k));
            let (reset, update) = (gate(0), gate(1));
            let candidate = (part(&entering, 2) + reset * part(&inside, 2)).tanh();
            let next = candidate.clone() + update * (state.clone() - candidate);
            state = moved(next, state, &shown, t);
            outputs.push(state.clone());
        }
        (Tensor::stack(outputs, 1), state)
    }
}

fn gates(builder: &mut Builder, inputs: usize, hidden: usize, count: usize, biased: bool) -> (Linear, Linear) {
    let init = Init::Uniform(1.0 / (hidden.max(1) as f32).sqrt());
    (builder.linear(inputs, count * hidden, true, init), builder.linear(hidden, count * hidden, biased, init))
}

/// Step `t` of a sequence.
fn at(sequence: &Tensor<3>, t: usize) -> Tensor<2> {
    let [batch, _, width] = sequence.dims();
    sequence.clone().slice_dim(1, t..t + 1).reshape([batch, width])
}

/// The next state, or the one before where step `t` is not shown.
fn moved(next: Tensor<2>, before: Tensor<2>, shown: &Option<Tensor<2, Bool>>, t: usize) -> Tensor<2> {
    match shown {
        Some(shown) => {
            let shape = next.shape();
            before.mask_where(shown.clone().slice_dim(1, t..t + 1).expand(shape), next)
        }
        None => next,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use burn::module::{Param, ParamId};
    use burn::nn::{LayerNormConfig, LinearConfig};
    use burn::tensor::{Device, Int, TensorData};

    use super::*;
    use crate::graph::capture::tests::agreement::{Against::*, agree, captured, case};
    use crate::graph::{Options, Output, Program, Target, compile, grad};
    use crate::nn::mask;

    /// Layers whose weights are cut off the front of `x`, and the rest of it.
    fn layers(x: &Tensor<1>, inputs: usize, cells: usize, gates: usize) -> (Linear, Linear, Tensor<1>) {
        let (device, wide) = (x.device(), gates * cells);
        let mut start = 0;
        let mut cut = |count: usize| {
            start += count;
            x.clone().slice_dim(0, start - count..start)
        };
        let mut layer = |rows: usize| {
            let mut linear = LinearConfig::new(rows, wide).init(&device);
            linear.weight = Param::initialized(ParamId::new(), cut(rows * wide).reshape([rows, wide]));
            linear.bias = Some(Param::initialized(ParamId::new(), cut(wide)));
            linear
        };
        let (input, hidden) = (layer(inputs), layer(cells));
        (input, hidden, x.clone().slice_dim(0, start..x.dims()[0]))
    }

    const fn weights(inputs: usize, cells: usize, gates: usize) -> usize {
        (inputs + cells + 2) * gates * cells
    }

    fn lstm(x: Tensor<1>, shown: Option<Tensor<2, Bool>>) -> Tensor<1> {
        let (input, hidden, rest) = layers(&x, 2, 3, 4);
        let (outputs, state) = Lstm { input, hidden, norms: None }.forward(rest.reshape([2, 4, 2]), None, shown);
        Tensor::cat(vec![outputs.reshape([24]), state.cell.reshape([6])], 0)
    }

    /// Numbers of three layer norms of 3 cells.
    const NORMS: usize = 18 * 3;

    fn norms(x: &Tensor<1>) -> (Norms, Tensor<1>) {
        let mut start = 0;
        let mut norm = |features: usize| {
            let mut norm = LayerNormConfig::new(features).init(&x.device());
            let mut cut = || {
                start += features;
                Param::initialized(ParamId::new(), x.clone().slice_dim(0, start - features..start))
            };
            (norm.gamma, norm.beta) = (cut(), Some(cut()));
            norm
        };
        let norms = Norms { input: norm(12), hidden: norm(12), cell: norm(3) };
        (norms, x.clone().slice_dim(0, NORMS..x.dims()[0]))
    }

    fn normalized(x: Tensor<1>) -> Tensor<1> {
        let (norms, rest) = norms(&x);
        let (input, mut hidden, rest) = layers(&rest, 2, 3, 4);
        hidden.bias = None;
        let lstm = Lstm { input, hidden, norms: Some(norms) };
        let (outputs, state) = lstm.forward(rest.reshape([2, 4, 2]), None, None);
        Tensor::cat(vec![outputs.reshape([24]), state.cell.reshape([6])], 0)
    }

    /// The same, written out step by step from the paper's equations.
    fn by_equations(x: Tensor<1>) -> Tensor<1> {
        let (norms, rest) = norms(&x);
        let (input, hidden, rest) = layers(&rest, 2, 3, 4);
        let x = rest.reshape([2, 4, 2]);
        let norm = |x: Tensor<2>, by: &LayerNorm| {
            let centred = x.clone() - x.mean_dim(1);
            let deviation = (centred.clone().powf_scalar(2.0).mean_dim(1) + 1e-5).sqrt();
            let shift = by.beta.as_ref().map(|beta| beta.val()).unwrap();
            centred / deviation * by.gamma.val().unsqueeze() + shift.unsqueeze()
        };
        let [mut h, mut c] = [0; 2].map(|_| Tensor::<2>::zeros([2, 3], &x.device()));
        let mut outputs = vec![];
        for t in 0..4 {
            let a = norm(at(&x, t).matmul(input.weight.val()), &norms.input)
                + norm(h.matmul(hidden.weight.val()), &norms.hidden)
                + input.bias.as_ref().map(|bias| bias.val()).unwrap().unsqueeze();
            let gate = |k: usize| a.clone().slice_dim(1, 3 * k..3 * k + 3);
            c = activation::sigmoid(gate(1)) * c + activation::sigmoid(gate(0)) * gate(2).tanh();
            h = activation::sigmoid(gate(3)) * norm(c.clone(), &norms.cell).tanh();
            outputs.push(h.clone());
        }
        Tensor::cat(vec![Tensor::stack::<3>(outputs, 1).reshape([24]), c.reshape([6])], 0)
    }

    #[test]
    fn layer_norms_stand_where_the_paper_has_them() {
        let size = NORMS + weights(2, 3, 4) + 16;
        agree(&[case("normalized lstm", size, normalized), case("by the equations", size, by_equations)]);
        let values = (0..size).map(|k| (1.3 * k as f32).sin()).collect();
        let x = Tensor::<1>::from_data(TensorData::new(values, [size]), &Device::flex());
        let [a, b] = [normalized, by_equations].map(|f| f(x.clone()).into_data().try_to_vec::<f32>().unwrap());
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6), "{a:?} and {b:?}");
    }

    fn gru(x: Tensor<1>, shown: Option<Tensor<2, Bool>>) -> Tensor<1> {
        let (input, hidden, rest) = layers(&x, 2, 3, 3);
        Gru { input, hidden }.forward(rest.reshape([2, 4, 2]), None, shown).0.reshape([24])
    }

    fn lengths(x: &Tensor<1>) -> Option<Tensor<2, Bool>> {
        Some(mask::within(Tensor::<1, Int>::from_ints([4, 2], &x.device()), 4))
    }

    #[test]
    fn cells_agree_with_burn() {
        agree(&[
            case("lstm", weights(2, 3, 4) + 16, |x| lstm(x, None)),
            case("lstm over lengths", weights(2, 3, 4) + 16, |x| {
                let shown = lengths(&x);
                lstm(x, shown)
            }),
            case("gru", weights(2, 3, 3) + 16, |x| gru(x, None)),
            case("gru over lengths", weights(2, 3, 3) + 16, |x| {
                let shown = lengths(&x);
                gru(x, shown)
            }),
            // burn's own layer fills its outputs step by step.
            case("burn's gru", 2 * weights(2, 3, 3) + 16, |x| {
                let layer = burn::nn::gru::GruConfig::new(2, 3, true)
                    .with_initializer(burn::nn::Initializer::Constant { value: 0.3 })
                    .init(&x.device());
                layer.forward(x.slice_dim(0, 0..16).reshape([2, 4, 2]), None).reshape([24])
            })
            .against(Differences),
        ]);
    }

    #[test]
    fn sixty_four_steps_stay_small() {
        const STEPS: usize = 64;
        let started = Instant::now();
        let (mut graph, x, y) = captured(weights(8, 16, 4) + 4 * STEPS * 8, |x| {
            let (input, hidden, rest) = layers(&x, 8, 16, 4);
            let (outputs, _) = Lstm { input, hidden, norms: None }.forward(rest.reshape([4, STEPS, 8]), None, None);
            outputs.reshape([4 * STEPS * 16])
        })
        .unwrap();
        let forward = graph.nodes().len();
        let square = graph.mul(y, y).unwrap();
        let loss = graph.sum_all(square).unwrap();
        let g = grad::grad(&mut graph, loss, &[x]).unwrap()[0];
        let (all, built) = (graph.nodes().len(), started.elapsed());
        let output = Output { node: g, target: Target::Fetch("g".into()) };
        let plan = compile(&Program { graph, outputs: vec![output] }, Options::default()).unwrap();
        println!(
            "64 steps: {forward} nodes forward, {all} with the gradient in {built:?}; {} launches after {:?}",
            plan.launches.len(),
            started.elapsed()
        );
        assert!(forward < 30 * STEPS, "{forward} nodes");
        assert!(all < 90 * STEPS, "{all} nodes");
        assert!(plan.launches.len() < 8 * STEPS, "{} launches", plan.launches.len());
    }
}
