//! What a step is written with: nets, gradients, updates, and what it leaves behind.

use std::collections::BTreeMap;

use burn::module::{Module, ParamId};
use burn::tensor::{Device, Tensor, kind::Basic};

use super::Table;
use super::net::{layout, with_flat};
use crate::graph::capture::{ValueId, custom, operand, value_id};
use crate::graph::{DType, GraphError, InputKind, NodeId, Shape, numel};
use crate::model::{Builder, Mode, ModelError, Named, ParamEntry, ParamLayout, Pass, Role, tensors};
use crate::spec::OptimizerSpec;

/// How operations of the tape are recorded.
const MARK: &str = "tape";

/// Records one step. Faults in what is asked of it (an unknown net, a shape that does not fit) are told at the end, by
/// [`super::trace`]: until then zeros stand for what they would have yielded.
#[derive(Debug)]
pub struct Tape {
    pub(super) device: Device,
    pub(super) pass: Pass,
    pub(super) sources: Vec<(ValueId, Source)>,
    pub(super) nets: Vec<WrittenNet>,
    pub(super) marks: BTreeMap<ValueId, Mark>,
    pub(super) kept: Vec<(String, ValueId)>,
    pub(super) metrics: Vec<(&'static str, ValueId)>,
    pub(super) fetched: Vec<(String, ValueId)>,
    /// The first fault.
    pub(super) error: Option<ModelError>,
    /// What the tape itself needs of each net's tensors while it records.
    handles: Vec<Handles>,
}

#[derive(Debug, Default)]
struct Handles {
    flat: Option<Tensor<1>>,
    scale: Option<Tensor<1>>,
}

/// Where a tensor that no operation makes comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// A node that the graph has already.
    Node(NodeId),
    /// A state or step input.
    Input { name: String, shape: Shape, dtype: DType, kind: InputKind },
    /// A whole table.
    Table { table: Table, shape: Shape },
    /// Rows of a table, by row numbers that are a step input.
    Rows { table: Table, index: String, shape: Shape },
    /// So many rows of a table after each other, by the numbers of the first ones.
    Windows { table: Table, index: String, shape: Shape },
}

/// What an operation of the tape's own is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    /// The gradient of the first argument with respect to the second.
    Gradient,
    /// The parameters of a net after its update by the gradient that is the first argument.
    Update(usize),
}

/// A net as written.
#[derive(Debug)]
pub(super) struct WrittenNet {
    pub name: String,
    pub tensors: Vec<Named>,
    pub layout: ParamLayout,
    /// Its parameters as one tensor, once that was asked for.
    pub flat: Option<ValueId>,
    pub descent: Option<Descent>,
    /// What its parameters become instead of what the update yields.
    pub replaced: Option<ValueId>,
    /// Rates asked for, an entry each.
    rates: Option<Vec<f32>>,
}

/// How a net is updated.
#[derive(Debug)]
pub(super) struct Descent {
    pub rule: OptimizerSpec,
    /// Rate of each entry of the layout, of the net's; `None` = the entries' own.
    pub rates: Option<Vec<f32>>,
}

impl Tape {
    pub(super) fn new(device: &Device, mode: Mode) -> Self {
        Tape {
            device: device.clone(),
            pass: Pass::new(mode),
            sources: Vec::new(),
            nets: Vec::new(),
            marks: BTreeMap::new(),
            kept: Vec::new(),
            metrics: Vec::new(),
            fetched: Vec::new(),
            error: None,
            handles: Vec::new(),
        }
    }

    /// Ends the recording: no tensor outlives it.
    pub(super) fn finish(mut self) -> Self {
        self.handles.clear();
        self.pass.used = None;
        self
    }

    /// The device that records.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// How layers behave, for modules that ask (dropout, batch norm). A module that is to behave otherwise, such as a
    /// teacher, is given a pass of its own.
    pub fn pass(&mut self) -> &mut Pass {
        &mut self.pass
    }

    /// A net of that name: its parameters lie in the state `NAME.theta` and start from what the builder was told, by draws
    /// of the net's own. It stays as it is unless it is minimised.
    pub fn net<M: Module>(&mut self, name: &str, build: impl FnOnce(&mut Builder) -> M) -> M {
        let mut builder = Builder::new(&self.device);
        let module = build(&mut builder);
        self.add(name, tensors(&module, &builder));
        module
    }

    /// A net by its tensors.
    pub(crate) fn add(&mut self, name: &str, tensors: Vec<Named>) {
        if self.nets.iter().any(|net| net.name == name) {
            self.fail(name, "is the name of two nets");
        }
        let layout = layout(name, &tensors);
        self.nets.push(WrittenNet {
            name: name.to_owned(),
            tensors,
            layout,
            flat: None,
            descent: None,
            replaced: None,
            rates: None,
        });
        self.handles.push(Handles::default());
    }

    /// All parameters of a net, `[P]`.
    pub fn flat(&mut self, net: &str) -> Tensor<1> {
        let Some(place) = self.place(net) else { return self.nothing([1]) };
        if let Some(flat) = &self.handles[place].flat {
            return flat.clone();
        }
        let flat = Tensor::empty([self.nets[place].layout.len()], &self.device);
        self.nets[place].flat = value_id(&flat);
        self.handles[place].flat = Some(flat.clone());
        flat
    }

    /// Where each parameter of a net lies in its flat vector; empty for an unknown net.
    pub fn layout(&mut self, net: &str) -> ParamLayout {
        self.place(net).map_or_else(ParamLayout::default, |place| self.nets[place].layout.clone())
    }

    /// The same net with other parameters, `[P]`: made by another net, after a step of descent, those of a teacher.
    pub fn with<M: Module>(&mut self, module: &M, flat: &Tensor<1>) -> M {
        let ids: Vec<ParamId> = tensors(module, &Builder::new(&self.device)).iter().map(|tensor| tensor.id).collect();
        let own = |net: &&WrittenNet| ids.iter().any(|id| net.tensors.iter().any(|tensor| tensor.id == *id));
        let Some(net) = self.nets.iter().find(own) else {
            self.fail("with", "the module belongs to no net of this step");
            return module.clone();
        };
        if net.layout.len() != flat.dims()[0] {
            let reason = format!("{} numbers for {} parameters", flat.dims()[0], net.layout.len());
            let name = net.name.clone();
            self.fail(&name, &reason);
            return module.clone();
        }
        let trained = net.tensors.iter().filter(|tensor| matches!(tensor.role, Role::Trained { .. }));
        let places: BTreeMap<ParamId, usize> =
            trained.zip(net.layout.entries()).map(|(tensor, entry)| (tensor.id, entry.offset)).collect();
        with_flat(module.clone(), flat, &places)
    }

    /// The gradient of a loss (one element) with respect to a tensor that it was computed from, in the tensor's shape.
    /// Zeros where it was not. A tensor like any other: it may enter further losses.
    pub fn grad<const L: usize, const D: usize>(&mut self, loss: &Tensor<L>, of: &Tensor<D>) -> Tensor<D> {
        match operand(loss).zip(operand(of)) {
            Some((loss, input)) => self.mark(Mark::Gradient, vec![loss, input], of),
            None => self.nothing(of.dims()),
        }
    }

    /// Lets each parameter tensor of a net learn at so many times the net's rate, as [`ParamEntry`] tells: 0 = not at all.
    /// Comes before [`Self::minimise`].
    pub fn rates(&mut self, net: &str, rate: impl FnMut(&ParamEntry) -> f32) {
        let Some(place) = self.place(net) else { return };
        self.rates_come_first(place);
        let net = &mut self.nets[place];
        net.rates = Some(net.layout.entries().iter().map(rate).collect());
    }

    /// Multiplies the change of each single parameter of a net by a number of `scale`, `[P]`: a mask, a random subset.
    /// Comes before [`Self::minimise`].
    pub fn scale_rates(&mut self, net: &str, scale: &Tensor<1>) {
        let Some(place) = self.place(net) else { return };
        self.rates_come_first(place);
        if self.nets[place].layout.len() != scale.dims()[0] {
            self.fail(net, "as many scales as parameters are needed");
        }
        self.handles[place].scale = Some(scale.clone());
    }

    /// One update of a net by a rule, down the gradient of a loss. Yields the parameters after it, `[P]`; what is computed
    /// from the net in this step is computed with those before it.
    pub fn minimise<const L: usize>(&mut self, net: &str, loss: &Tensor<L>, rule: &OptimizerSpec) -> Tensor<1> {
        let theta = self.flat(net);
        let gradient = self.grad(loss, &theta);
        self.descend(net, &gradient, rule)
    }

    /// One update of a net by a rule, down a vector that stands for its gradient, `[P]`. Yields the parameters after it.
    pub fn descend(&mut self, net: &str, gradient: &Tensor<1>, rule: &OptimizerSpec) -> Tensor<1> {
        let Some(place) = self.place(net) else { return self.nothing(gradient.dims()) };
        let written = &mut self.nets[place];
        if written.descent.is_some() {
            self.fail(net, "is updated twice in one step");
            return gradient.clone();
        }
        if written.layout.len() != gradient.dims()[0] {
            self.fail(net, "its gradient has another length");
            return gradient.clone();
        }
        written.descent = Some(Descent { rule: rule.clone(), rates: written.rates.clone() });
        let scale = self.handles[place].scale.as_ref();
        let inputs: Vec<_> = [Some(gradient), scale].into_iter().flatten().filter_map(operand).collect();
        self.mark(Mark::Update(place), inputs, gradient)
    }

    /// Sets what the parameters of a net become: of one that was updated instead of what the update yields (clipped
    /// weights), of one that was not as an own rule says (the average that is a teacher).
    pub fn set(&mut self, net: &str, flat: &Tensor<1>) {
        let Some(place) = self.place(net) else { return };
        let Some(id) = value_id(flat) else { return };
        if self.nets[place].layout.len() != flat.dims()[0] {
            self.fail(net, "is set to a vector of another length");
        }
        match self.nets[place].descent {
            Some(_) => self.nets[place].replaced = Some(id),
            None => self.kept.push((self.nets[place].layout.name(crate::model::THETA), id)),
        }
    }

    /// Lets a value replace the contents of a state when the step is done.
    pub fn keep<const D: usize>(&mut self, state: &str, value: &Tensor<D>) {
        if self.kept.iter().any(|(known, _)| known == state) {
            self.fail(state, "is replaced twice in one step");
        }
        self.kept.extend(value_id(value).map(|id| (state.to_owned(), id)));
    }

    /// A number of each run, of one element, for [`super::Play::metrics`].
    pub fn metric<const D: usize>(&mut self, name: &'static str, value: &Tensor<D>) {
        if numel(&value.dims()) != 1 || self.metrics.iter().any(|(known, _)| *known == name) {
            self.fail(name, "a metric is one number under a name of its own");
        }
        self.metrics.extend(value_id(value).map(|id| (name, id)));
    }

    /// A value of the last run, for [`super::Play::fetch`].
    pub fn fetch<const D: usize, K: Basic>(&mut self, name: &str, value: &Tensor<D, K>) {
        self.fetched.extend(value_id(value).map(|id| (name.to_owned(), id)));
    }

    fn mark<const D: usize>(&mut self, mark: Mark, inputs: Vec<burn_ir::TensorIr>, like: &Tensor<D>) -> Tensor<D> {
        match custom(MARK, inputs, like) {
            Some(out) => {
                self.marks.extend(value_id(&out).map(|id| (id, mark)));
                out
            }
            None => self.nothing(like.dims()),
        }
    }

    fn place(&mut self, net: &str) -> Option<usize> {
        let place = self.nets.iter().position(|known| known.name == net);
        if place.is_none() {
            self.fail(net, "is no net of this step");
        }
        place
    }

    fn rates_come_first(&mut self, place: usize) {
        if self.nets[place].descent.is_some() {
            let name = self.nets[place].name.clone();
            self.fail(&name, "its rates come before its update");
        }
    }

    /// Remembers the first fault.
    pub(super) fn fail(&mut self, what: &str, reason: &str) {
        let fault = GraphError::Shape { op: what.to_owned(), reason: reason.to_owned() };
        self.error.get_or_insert(fault.into());
    }

    /// Stands for what a fault keeps from being there.
    fn nothing<const D: usize>(&self, shape: [usize; D]) -> Tensor<D> {
        Tensor::zeros(shape, &self.device)
    }
}
