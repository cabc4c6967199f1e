//! A memory with controllers, and a module that predicts the gradients that come back to them from later windows.

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Int, Tensor, activation};
use engine::graph::capture::stop_gradient;
use engine::model::{Builder, Init};
use engine::nn::recurrent::Gru;
use engine::objective::recorded::cross_entropy;

/// Symbols.
pub const SYMBOLS: usize = 8;
/// Numbers of an input: a symbol, a flag, and whether it is blank.
pub const INPUTS: usize = SYMBOLS + 2;
/// Slots of the memory, and numbers of a slot.
const SLOTS: usize = 2;
const WIDTH: usize = 16;
/// Units of the controllers' recurrent layer.
const UNITS: usize = 32;
/// Numbers of the state: memory and recurrent layer.
pub const STATE: usize = SLOTS * WIDTH + UNITS;

/// What embeds inputs and answers: learns slowly.
#[derive(Module, Debug)]
pub struct Slow {
    embed: Linear,
    answer: Linear,
}

impl Slow {
    /// As it starts.
    pub fn new(builder: &mut Builder) -> Self {
        Self {
            embed: builder.linear(INPUTS, WIDTH, true, Init::linear_normal(INPUTS)),
            answer: builder.linear(2 * WIDTH, SYMBOLS, true, Init::linear_normal(2 * WIDTH)),
        }
    }
}

/// What decides what is read, written and erased: learns fast.
#[derive(Module, Debug)]
pub struct Controllers {
    recurrent: Gru,
    query: Linear,
    value: Linear,
    address: Linear,
    erase: Linear,
}

impl Controllers {
    /// As they start.
    pub fn new(builder: &mut Builder) -> Self {
        let mut head = |outputs: usize| builder.linear(UNITS, outputs, true, Init::linear_normal(UNITS));
        let (query, value, address, erase) = (head(WIDTH), head(WIDTH), head(SLOTS), head(WIDTH));
        Self { recurrent: Gru::new(builder, WIDTH, UNITS), query, value, address, erase }
    }
}

/// The memory `[rows, slots, width]` after a write: what the addresses `[rows, slots]` name is erased as far as `erase` says
/// and gets `value`, both `[rows, width]`.
pub fn written(memory: Tensor<3>, address: Tensor<2>, erase: Tensor<2>, value: Tensor<2>) -> Tensor<3> {
    let address = address.unsqueeze_dim::<3>(2);
    let kept = (address.clone() * erase.unsqueeze_dim::<3>(1)).neg() + 1.0;
    memory * kept + address * value.unsqueeze_dim::<3>(1)
}

/// What a query `[rows, width]` reads from the memory, `[rows, width]`.
fn read(memory: Tensor<3>, query: Tensor<2>) -> Tensor<2> {
    let scores = (memory.clone() * query.unsqueeze_dim::<3>(1)).sum_dim(2) / (WIDTH as f64).sqrt();
    let rows = memory.dims()[0];
    (activation::softmax(scores, 1) * memory).sum_dim(1).reshape([rows, WIDTH])
}

/// What a window comes to.
pub struct Window {
    /// The state after it, `[rows, STATE]`.
    pub state: Tensor<2>,
    /// Logits at its last step, `[rows, SYMBOLS]`.
    pub logits: Tensor<2>,
    /// Addresses at every step, `[rows, steps, slots]`.
    pub addresses: Tensor<3>,
}

/// Lets inputs `[rows, steps, INPUTS]` pass over a state `[rows, STATE]`.
pub fn window(slow: &Slow, controllers: &Controllers, state: Tensor<2>, x: Tensor<3>) -> Window {
    let [rows, steps, _] = x.dims();
    let mut memory = state.clone().slice_dim(1, 0..SLOTS * WIDTH).reshape([rows, SLOTS, WIDTH]);
    let hidden = state.slice_dim(1, SLOTS * WIDTH..STATE);
    let seen = slow.embed.forward(x).tanh();
    let (outputs, hidden) = controllers.recurrent.forward(seen.clone(), Some(hidden), None);
    let addresses = activation::softmax(controllers.address.forward(outputs.clone()), 2);
    let (erase, value) =
        (activation::sigmoid(controllers.erase.forward(outputs.clone())), controllers.value.forward(outputs).tanh());
    let at = |sequence: &Tensor<3>, step: usize| {
        let width = sequence.dims()[2];
        sequence.clone().slice_dim(1, step..step + 1).reshape([rows, width])
    };
    let mut before = memory.clone();
    for step in 0..steps {
        before = memory.clone();
        memory = written(memory, at(&addresses, step), at(&erase, step), at(&value, step));
    }
    let found = read(before, controllers.query.forward(hidden.clone()));
    let logits = slow.answer.forward(Tensor::cat(vec![at(&seen, steps - 1), found], 1));
    Window { state: Tensor::cat(vec![memory.reshape([rows, SLOTS * WIDTH]), hidden], 1), logits, addresses }
}

/// What predicts the gradient of later losses with respect to a state: an MLP whose last layer starts at 0.
#[derive(Module, Debug)]
pub struct Critic {
    layers: Vec<Linear>,
}

impl Critic {
    /// Of two hidden layers.
    pub fn new(builder: &mut Builder) -> Self {
        let mut layer = |init| builder.linear(STATE, STATE, true, init);
        let hidden = Init::kaiming_normal(STATE);
        Self { layers: vec![layer(hidden), layer(hidden), layer(Init::Constant(0.0))] }
    }

    /// The prediction, of the size that targets usually have, `[rows, STATE]`.
    pub fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for (place, layer) in self.layers.iter().enumerate() {
            x = if place == 0 { layer.forward(x) } else { layer.forward(activation::relu(x)) };
        }
        x
    }
}

/// The loss at a window's end, counted where the answer is `asked` for.
pub fn task_loss(logits: Tensor<2>, labels: Tensor<1, Int>, asked: Tensor<1>) -> Tensor<1> {
    cross_entropy(logits, labels).mean() * asked
}

/// What gives a state this gradient from later on.
pub fn later(state: Tensor<2>, gradient: Tensor<2>) -> Tensor<1> {
    (state * stop_gradient(gradient)).sum()
}

/// How far a prediction is from its target, neither of which learns through the target: the mean square.
pub fn critic_loss(prediction: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    (prediction - stop_gradient(target)).powf_scalar(2.0).mean()
}
