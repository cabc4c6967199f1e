//! Nets of a recording: where their parameters lie, and how they enter a graph.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::Tensor;

use crate::graph::capture::{Bound, ValueId};
use crate::graph::{DType, Graph, GraphError, InputKind, NodeId, numel};
use crate::model::{Named, ParamLayout, Role, THETA};
use crate::spec::OptimizerSpec;

/// A net of a recorded step.
#[derive(Clone, Debug)]
pub struct Net {
    /// Its name and where each parameter lies in its state `NAME.theta`.
    pub layout: ParamLayout,
    /// Its running statistics: state names and contents at the start.
    pub running: Vec<(String, Vec<f32>)>,
    /// The rule that updates it in this step; `None` = it stays as it is.
    pub rule: Option<OptimizerSpec>,
}

/// A net as a graph has it.
#[derive(Debug)]
pub(crate) struct Declared {
    pub layout: ParamLayout,
    /// The state that holds all parameters.
    pub theta: NodeId,
    /// Each parameter in its shape, a slice of `theta`.
    pub params: Vec<NodeId>,
    /// The nodes of the module's tensors.
    pub bound: Vec<(ValueId, Bound)>,
}

/// Declares the states of a net of these tensors.
pub(crate) fn declare(graph: &mut Graph, name: &str, tensors: &[Named]) -> Result<Declared, GraphError> {
    let layout = layout(name, tensors);
    let theta = graph.input(&layout.name(THETA), &[layout.len()], DType::F32, InputKind::State)?;
    let params = layout.views(graph, theta)?;
    let mut views = params.iter();
    let mut bound = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let node = match tensor.role {
            Role::Trained { .. } => views.next().copied(),
            Role::Running(_) => {
                Some(graph.input(&layout.name(&tensor.name), &tensor.shape, DType::F32, InputKind::State)?)
            }
        };
        let module = layout.name(&tensor.module());
        bound.extend(tensor.value.zip(node).map(|(id, node)| (id, Bound { node, net: name.to_owned(), module })));
    }
    Ok(Declared { layout, theta, params, bound })
}

/// The trained tensors one after another.
pub(crate) fn layout(name: &str, tensors: &[Named]) -> ParamLayout {
    let mut layout = ParamLayout::of(name);
    for tensor in tensors {
        if let Role::Trained { init, rate } = tensor.role {
            layout.push_slowed(&tensor.name, &tensor.shape, init, rate);
        }
    }
    layout
}

/// A module whose trained tensors are parts of a flat vector. `places`: first element of each.
pub(super) fn with_flat<M: Module>(module: M, flat: &Tensor<1>, places: &BTreeMap<ParamId, usize>) -> M {
    module.map(&mut Flat { flat, places })
}

struct Flat<'a> {
    flat: &'a Tensor<1>,
    places: &'a BTreeMap<ParamId, usize>,
}

impl ModuleMapper for Flat<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(&first) = self.places.get(&param.id) else { return param };
        let shape = param.val().dims();
        let part = self.flat.clone().slice(first..first + numel(&shape));
        Param::initialized(param.id, part.reshape(shape))
    }
}
