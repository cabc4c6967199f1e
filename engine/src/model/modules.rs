//! Between burn modules and the flat vector: names and roles of a module's tensors, and their values.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};

use super::{Builder, Init, Network, ParamLayout};
use crate::graph::{Shape, capture, numel};

/// What a tensor of a module is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Role {
    /// Trained.
    Trained {
        /// What it starts from.
        init: Init,
        /// Its learning rate, of the recipe's.
        rate: f32,
    },
    /// A running statistic that is this number everywhere at the start.
    Running(f32),
}

/// A tensor of a module.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// Module path, as `blocks.0.qkv.weight`.
    pub name: String,
    pub id: ParamId,
    pub shape: Shape,
    pub role: Role,
    /// Its identity on the capture device.
    pub value: Option<capture::ValueId>,
}

impl Named {
    /// Path of the module that it belongs to.
    pub fn module(&self) -> String {
        self.name.rsplit_once('.').map_or(self.name.as_str(), |(module, _)| module).to_owned()
    }

    /// What a running statistic is at the start; `None` for a trained tensor.
    pub fn initial(&self) -> Option<Vec<f32>> {
        match self.role {
            Role::Running(initial) => Some(vec![initial; numel(&self.shape)]),
            Role::Trained { .. } => None,
        }
    }
}

/// The tensors of a module, in the order of its fields; `builder` made it.
pub(crate) fn tensors<M: Module>(module: &M, builder: &Builder) -> Vec<Named> {
    visited(|visitor| module.visit(visitor), builder)
}

/// The same of a model without its type.
pub(crate) fn tensors_of(network: &dyn Network, builder: &Builder) -> Vec<Named> {
    visited(|visitor| network.visit(visitor), builder)
}

fn visited(visit: impl FnOnce(&mut Visitor<'_>), builder: &Builder) -> Vec<Named> {
    let mut visitor = Visitor { path: Vec::new(), tensors: Vec::new(), builder };
    visit(&mut visitor);
    visitor.tensors
}

/// Collects a module's tensors.
pub(crate) struct Visitor<'a> {
    path: Vec<String>,
    tensors: Vec<Named>,
    builder: &'a Builder,
}

impl ModuleVisitor for Visitor<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        self.tensors.push(Named {
            name: self.path.join("."),
            id: param.id,
            shape: value.dims().to_vec(),
            // A module's own tensors that the builder did not make are zeros.
            role: self.builder.role(param.id).unwrap_or(Role::Trained { init: Init::Constant(0.0), rate: 1.0 }),
            value: capture::value_id(&value),
        });
    }
}

/// The module with the given values in place of its own: `theta` by the layout, running statistics by name. What is
/// not given stays. For running a model eagerly.
pub fn load<M: Module>(module: M, layout: &ParamLayout, theta: &[f32], running: &BTreeMap<String, Vec<f32>>) -> M {
    module.map(&mut Loader { path: Vec::new(), layout, theta, running })
}

struct Loader<'a> {
    path: Vec<String>,
    layout: &'a ParamLayout,
    theta: &'a [f32],
    running: &'a BTreeMap<String, Vec<f32>>,
}

impl ModuleMapper for Loader<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        let trained = self.layout.entries().iter().find(|known| known.name == name);
        let values = match trained {
            Some(known) => self.theta.get(known.offset..known.offset + numel(&known.shape)),
            None => self.running.get(&name).map(Vec::as_slice),
        };
        let Some(values) = values else { return param };
        let old = param.val();
        if values.len() != old.shape().num_elements() {
            return param;
        }
        let device = old.device();
        let new = Tensor::from_data(TensorData::new(values.to_vec(), old.dims()), &device);
        let tracked = trained.is_some() && device.is_autodiff();
        Param::initialized(param.id, if tracked { new.require_grad() } else { new })
    }
}
