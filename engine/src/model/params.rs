//! Where each parameter lies in the flat vector `theta`, and what it starts from.

use super::init::Init;
use crate::graph::{Graph, GraphError, NodeId, numel};
use crate::rng::own_seed;
use crate::spec::Trained;

/// One parameter tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamEntry {
    /// Path of its module, such as `blocks.0.attention.qkv.weight`.
    pub name: String,
    /// Sizes of its axes.
    pub shape: Vec<usize>,
    /// Its first element in theta.
    pub offset: usize,
    /// What it starts from.
    pub init: Init,
    /// Its learning rate, of the recipe's.
    pub rate: f32,
}

impl ParamEntry {
    /// Whether it is a norm's: a scale or a shift.
    pub fn of_norm(&self) -> bool {
        matches!(self.name.rsplit('.').next(), Some("gamma" | "beta"))
    }

    /// Whether it is the output layer's.
    fn of_output(&self) -> bool {
        self.name.starts_with("head.")
    }
}

/// All parameters of a net, one after another in one flat vector.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParamLayout {
    net: String,
    entries: Vec<ParamEntry>,
    len: usize,
}

impl ParamLayout {
    /// No parameters yet of the net of that name. The network of a training run has no name.
    pub fn of(net: &str) -> Self {
        ParamLayout { net: net.to_owned(), ..ParamLayout::default() }
    }

    /// The net's name; empty for the network of a training run.
    pub fn net(&self) -> &str {
        &self.net
    }

    /// Name of the net's own state or step input `what`, such as `critic.theta`; of a net without a name `what` itself.
    pub fn name(&self, what: &str) -> String {
        if self.net.is_empty() { what.to_owned() } else { format!("{}.{what}", self.net) }
    }

    /// The same parameters, each at so many times the recipe's rate instead of its own.
    pub fn with_rates(mut self, mut rate: impl FnMut(&ParamEntry) -> f32) -> Self {
        for entry in &mut self.entries {
            entry.rate = rate(entry);
        }
        self
    }

    /// The same parameters, of which these learn, at their rates. Where the output layer shares the embedding's weights, they
    /// are what it learns.
    pub fn trained(self, trained: Trained) -> Self {
        let own = self.entries.iter().any(ParamEntry::of_output);
        let output = |entry: &ParamEntry| if own { entry.of_output() } else { entry.name.starts_with("tokens.") };
        let learns = |entry: &ParamEntry| match trained {
            Trained::All => true,
            Trained::Norms => entry.of_norm(),
            Trained::NormsAndOutput => entry.of_norm() || output(entry),
            Trained::Output => output(entry),
        };
        self.with_rates(|entry| if learns(entry) { entry.rate } else { 0.0 })
    }

    /// Appends a parameter that learns at the recipe's rate.
    pub fn push(&mut self, name: &str, shape: &[usize], init: Init) {
        self.push_slowed(name, shape, init, 1.0);
    }

    /// Appends a parameter that learns at so many times the recipe's rate.
    pub fn push_slowed(&mut self, name: &str, shape: &[usize], init: Init, rate: f32) {
        self.entries.push(ParamEntry { name: name.to_owned(), shape: shape.to_vec(), offset: self.len, init, rate });
        self.len += numel(shape);
    }

    /// What each number of theta multiplies the recipe's learning rate by; `None` where that is 1 throughout.
    pub fn rates(&self) -> Option<Vec<f32>> {
        let each = |entry: &ParamEntry| std::iter::repeat_n(entry.rate, numel(&entry.shape));
        self.entries.iter().any(|entry| entry.rate != 1.0).then(|| self.entries.iter().flat_map(each).collect())
    }

    /// The parameters in order.
    pub fn entries(&self) -> &[ParamEntry] {
        &self.entries
    }

    /// Numbers in theta.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to learn.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The start of theta under a seed: each net draws under a seed of its own and each parameter from a stream of its own,
    /// so that one more changes no other.
    pub fn initial(&self, seed: u64) -> Vec<f32> {
        let seed = own_seed(seed, &self.net);
        let mut theta = vec![0.0; self.len];
        for (index, entry) in self.entries.iter().enumerate() {
            let slot = &mut theta[entry.offset..entry.offset + numel(&entry.shape)];
            entry.init.draw(seed, index as u32, slot);
        }
        theta
    }

    /// Each parameter as a value: a slice of `theta`, in its shape.
    pub fn views(&self, graph: &mut Graph, theta: NodeId) -> Result<Vec<NodeId>, GraphError> {
        self.entries
            .iter()
            .map(|entry| {
                let slice = graph.slice(theta, &[entry.offset], &[numel(&entry.shape)])?;
                graph.reshape(slice, &entry.shape)
            })
            .collect()
    }

    /// One flat vector from a value per parameter (a gradient).
    pub fn flatten(&self, graph: &mut Graph, values: &[NodeId]) -> Result<NodeId, GraphError> {
        let flat = values
            .iter()
            .map(|&value| graph.reshape(value, &[numel(graph.shape(value))]))
            .collect::<Result<Vec<_>, _>>()?;
        graph.concat(&flat, 0)
    }
}
