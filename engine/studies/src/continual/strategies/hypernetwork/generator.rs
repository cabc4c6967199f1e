//! What makes all weights of a network from a learned vector for each task: chunk by chunk, each from the task's vector and
//! one of its own, by an MLP that knows no other chunk, or by an LSTM that has just made those before it.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Tensor, activation};
use engine::model::{Builder, Init, ParamLayout};
use engine::nn::recurrent::Lstm;

/// Numbers of a task's vector, and of a chunk's.
pub const VECTOR: usize = 16;
/// Cells of the LSTM.
const CELLS: usize = 32;

/// Sizes of a generator.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// How many tasks have a vector.
    pub tasks: usize,
    /// How many chunks the weights are made in.
    pub chunks: usize,
    /// Whether an LSTM runs over the chunks.
    pub recurrent: bool,
    /// Cells that the LSTM can grow by.
    pub grow: usize,
    /// Where the weights that are made lie.
    pub layout: ParamLayout,
}

impl Sizes {
    /// Numbers of a chunk; those beyond the weights in the last one are made and left.
    #[must_use]
    pub fn chunk(&self) -> usize {
        self.layout.len().div_ceil(self.chunks.max(1))
    }

    /// Units of the hidden layer, those that wait left out: of the MLP as many as give it the parameters of the LSTM.
    #[must_use]
    pub fn hidden(&self) -> usize {
        let out = |hidden: usize| (hidden + 1) * self.chunk();
        let lstm = 4 * CELLS * (2 * VECTOR + 1 + CELLS) + out(CELLS);
        let mlp = |hidden: usize| hidden * (2 * VECTOR + 1) + out(hidden);
        let fits = |&hidden: &usize| mlp(hidden).abs_diff(lstm);
        if self.recurrent { CELLS } else { (1..8 * CELLS).min_by_key(fits).unwrap_or(CELLS) }
    }

    /// Cells that wait until the LSTM grows.
    fn waiting(&self) -> usize {
        if self.recurrent { self.grow } else { 0 }
    }

    /// Parameters of the generator, laid out like this, that wait until the LSTM grows: those of its new cells. Without the
    /// weights from new cells to what there is ([`Wait::Bridge`]), which are 0 until then, these change nothing.
    #[must_use]
    pub fn waits(&self, layout: &ParamLayout) -> Vec<Wait> {
        let (old, cells) = (self.hidden(), self.hidden() + self.waiting());
        let mut waits = vec![Wait::Not; layout.len()];
        if old == cells {
            return waits;
        }
        let kind = |[from, to]: [bool; 2]| match (from, to) {
            (false, false) => Wait::Not,
            (true, false) => Wait::Bridge,
            _ => Wait::Inside,
        };
        for entry in layout.entries() {
            let new_cell = |at: usize| at % cells >= old;
            let wide = entry.shape.last().copied().unwrap_or(1).max(1);
            let of: &dyn Fn(usize) -> [bool; 2] = match entry.name.as_str() {
                "recurrent.input.weight" | "recurrent.input.bias" => &|at| [false, new_cell(at % wide)],
                "recurrent.hidden.weight" => &|at| [at / wide >= old, new_cell(at % wide)],
                "out.weight" => &|at| [at / wide >= old, false],
                _ => continue,
            };
            let length = entry.shape.iter().product::<usize>();
            (0..length).for_each(|at| waits[entry.offset + at] = kind(of(at)));
        }
        waits
    }

    /// Where biases lie.
    fn biases(&self) -> impl Iterator<Item = usize> {
        let bias = |entry: &&engine::model::ParamEntry| entry.init == Init::Constant(0.0);
        self.layout.entries().iter().filter(bias).map(|entry| entry.shape.iter().product::<usize>())
    }

    /// What each weight is multiplied by so that it starts with its usual deviation, where numbers of a chunk have the
    /// deviation `chunks`; 0 for biases.
    #[must_use]
    pub fn scales(&self, chunks: &[f32]) -> Vec<f32> {
        let mut scales = vec![0.0; self.layout.len()];
        for entry in self.layout.entries() {
            let (Init::Normal(deviation) | Init::TruncatedNormal(deviation)) = entry.init else { continue };
            let place = entry.offset..entry.offset + entry.shape.iter().product::<usize>();
            for at in place {
                scales[at] = deviation / chunks[at / self.chunk()].max(1e-6);
            }
        }
        scales
    }
}

/// Whether a parameter waits until the LSTM grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It learns from the start.
    Not,
    /// It leads to a new cell.
    Inside,
    /// It leads from a new cell to what there was before: 0 until then.
    Bridge,
}

/// See the module.
#[derive(Module, Debug)]
pub struct Generator {
    /// `[tasks, VECTOR]`; the first of its tensors, so that rates are given to each task's.
    tasks: Param<Tensor<2>>,
    /// `[chunks, VECTOR]`
    places: Param<Tensor<2>>,
    recurrent: Option<Lstm>,
    layer: Option<Linear>,
    out: Linear,
    /// What biases are multiplied by: 0 at the start.
    gain: Param<Tensor<1>>,
}

impl Generator {
    /// Of these sizes.
    pub fn new(sizes: &Sizes, builder: &mut Builder) -> Self {
        let (hidden, cells) = (sizes.hidden(), sizes.hidden() + sizes.waiting());
        Self {
            tasks: builder.param([sizes.tasks, VECTOR], Init::Normal(1.0)),
            places: builder.param([sizes.chunks, VECTOR], Init::Normal(1.0)),
            recurrent: sizes.recurrent.then(|| Lstm::new(builder, 2 * VECTOR, cells)),
            layer: (!sizes.recurrent)
                .then(|| builder.linear(2 * VECTOR, hidden, true, Init::kaiming_normal(2 * VECTOR))),
            out: builder.linear(cells, sizes.chunk(), true, Init::linear_normal(hidden)),
            gain: builder.param([sizes.biases().sum()], Init::Constant(0.0)),
        }
    }

    /// What chunks are made from, `[tasks, chunks, cells]`. `nudge`: added to the chunks' vectors, `[chunks, VECTOR]`.
    pub fn hidden(&self, nudge: Option<Tensor<2>>) -> Tensor<3> {
        let ([tasks, _], [chunks, _]) = (self.tasks.dims(), self.places.dims());
        let places = self.places.val();
        let places = nudge.map_or_else(|| places.clone(), |nudge| places.clone() + nudge);
        let task = self.tasks.val().unsqueeze_dim::<3>(1).expand([tasks, chunks, VECTOR]);
        let place = places.unsqueeze_dim::<3>(0).expand([tasks, chunks, VECTOR]);
        let x = Tensor::cat(vec![task, place], 2);
        match (&self.recurrent, &self.layer) {
            (Some(lstm), _) => lstm.forward(x, None, None).0,
            (None, Some(layer)) => activation::relu(layer.forward(x)),
            (None, None) => x,
        }
    }

    /// All weights for every task, `[tasks, weights]`. `scales`: those of [`Sizes::scales`], `[weights]`.
    pub fn weights(&self, sizes: &Sizes, scales: &Tensor<1>, nudge: Option<Tensor<2>>) -> Tensor<2> {
        let (tasks, count) = (sizes.tasks, sizes.layout.len());
        let made = self.out.forward(self.hidden(nudge)).reshape([tasks, sizes.chunks * sizes.chunk()]);
        let (mut factors, mut bias) = (Vec::new(), 0);
        for entry in sizes.layout.entries() {
            let length = entry.shape.iter().product::<usize>();
            factors.push(if entry.init == Init::Constant(0.0) {
                bias += length;
                self.gain.val().slice(bias - length..bias)
            } else {
                scales.clone().slice(entry.offset..entry.offset + length)
            });
        }
        made.slice_dim(1, 0..count) * Tensor::cat(factors, 0).unsqueeze::<2>()
    }
}
