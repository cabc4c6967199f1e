//! From a recording to a graph: inputs get their nodes, gradients and updates are resolved where they were recorded.

use std::collections::BTreeMap;

use super::net::declare;
use super::write::{Mark, Source, Tape, WrittenNet};
use super::{Net, Table};
use crate::graph::capture::{self, Bound, Resolver, ValueId};
use crate::graph::grad::grad;
use crate::graph::{DType, Graph, GraphError, InputKind, NodeId};
use crate::model::{KEY, Mode, ModelError, ParamLayout, Running};
use crate::optim::{self, Update};

/// What a recording has come to in a graph.
pub(crate) struct Appended {
    /// The node of every recorded tensor.
    pub values: BTreeMap<ValueId, NodeId>,
    pub nets: Vec<AppendedNet>,
    pub tables: Vec<Table>,
    /// Values by the states that they replace.
    pub kept: Vec<(String, NodeId)>,
    pub metrics: Vec<(&'static str, NodeId)>,
    pub fetched: Vec<(String, NodeId)>,
    /// Values worth looking at.
    pub taps: Vec<(String, NodeId)>,
    /// Losses, and their gradients.
    pub gradients: Vec<[NodeId; 2]>,
}

/// A net in a graph.
pub(crate) struct AppendedNet {
    pub net: Net,
    /// Each parameter in its shape.
    pub params: Vec<NodeId>,
    /// Running statistics that change.
    pub changed: Vec<Running>,
    pub update: Option<Update>,
}

/// Records what `write` does and appends it to a graph. `write` may name nodes that the graph has already.
pub(crate) fn append<T>(
    graph: &mut Graph,
    mode: Mode,
    write: impl FnOnce(&mut Tape) -> Result<T, ModelError>,
) -> Result<(Appended, T), ModelError> {
    let (recording, written) = capture::record(|device| {
        let mut tape = Tape::new(device, mode);
        write(&mut tape).map(|result| (tape.finish(), result))
    })?;
    let (tape, result) = written?;
    if let Some(error) = tape.error {
        return Err(error);
    }
    let mut bound = BTreeMap::new();
    let mut tables: Vec<Table> = Vec::new();
    for (id, source) in tape.sources {
        let node = input(graph, &source)?;
        match source {
            Source::Table { table, .. } | Source::Rows { table, .. } | Source::Windows { table, .. } => {
                if !tables.contains(&table) {
                    tables.push(table);
                }
            }
            Source::Node(_) | Source::Input { .. } => {}
        }
        bound.insert(id, Bound::input(node));
    }
    let mut marks = Marks { marks: tape.marks, nets: Vec::with_capacity(tape.nets.len()), gradients: Vec::new() };
    for written in tape.nets {
        let declared = declare(graph, &written.name, &written.tensors)?;
        bound.extend(declared.bound);
        if let Some(flat) = written.flat {
            let flattened = Bound::input(declared.theta);
            bound.insert(flat, flattened);
        }
        marks.nets.push(Resolved {
            layout: declared.layout,
            theta: declared.theta,
            params: declared.params,
            update: None,
            written,
        });
    }
    let values = recording.append(graph, &bound, &mut marks)?;
    let node = |id: ValueId| {
        let lost = || GraphError::Shape { op: "a recorded step".into(), reason: "yields a value that it lacks".into() };
        values.get(&id).copied().ok_or_else(lost)
    };
    let mut nets = Vec::with_capacity(marks.nets.len());
    for net in marks.nets {
        nets.push(net.finish(&tape.pass.updates, &node)?);
    }
    let named = |(name, id): (String, ValueId)| Ok::<_, GraphError>((name, node(id)?));
    let appended = Appended {
        nets,
        tables,
        kept: tape.kept.into_iter().map(named).collect::<Result<_, _>>()?,
        metrics: tape.metrics.into_iter().map(|(name, id)| Ok((name, node(id)?))).collect::<Result<_, GraphError>>()?,
        fetched: tape.fetched.into_iter().map(named).collect::<Result<_, _>>()?,
        taps: tape.pass.taps.into_iter().map(named).collect::<Result<_, _>>()?,
        values,
        gradients: marks.gradients,
    };
    Ok((appended, result))
}

/// The node of what a step reads.
fn input(graph: &mut Graph, source: &Source) -> Result<NodeId, GraphError> {
    match source {
        Source::Node(node) => Ok(*node),
        Source::Input { name, shape, dtype, kind } => graph.input(name, shape, *dtype, *kind),
        Source::Table { table, shape } => {
            let table = declared(graph, table)?;
            graph.reshape(table, shape)
        }
        Source::Rows { table, index, shape } => {
            let index = graph.input(index, &shape[..1], DType::U32, InputKind::Step)?;
            let table = declared(graph, table)?;
            let rows = graph.take_rows(table, index)?;
            graph.reshape(rows, shape)
        }
        Source::Windows { table, index, shape } => {
            let first = graph.input(index, &shape[..1], DType::U32, InputKind::Step)?;
            let table = declared(graph, table)?;
            let first = graph.cast(first, DType::F32)?;
            let first = graph.reshape(first, &[shape[0], 1])?;
            let along = graph.iota(&shape[..2], 1)?;
            let place = graph.add(first, along)?;
            let place = graph.cast(place, DType::U32)?;
            let rows = graph.take_rows(table, place)?;
            graph.reshape(rows, shape)
        }
    }
}

fn declared(graph: &mut Graph, table: &Table) -> Result<NodeId, GraphError> {
    graph.input(&table.name, &table.shape(), table.dtype, InputKind::Table)
}

/// A net while a recording is appended.
struct Resolved {
    layout: ParamLayout,
    theta: NodeId,
    params: Vec<NodeId>,
    update: Option<Update>,
    written: WrittenNet,
}

impl Resolved {
    fn finish(
        self,
        updates: &[(burn::module::ParamId, ValueId)],
        node: &impl Fn(ValueId) -> Result<NodeId, GraphError>,
    ) -> Result<AppendedNet, GraphError> {
        let Resolved { layout, params, mut update, written, .. } = self;
        let (mut running, mut changed) = (Vec::new(), Vec::new());
        for tensor in &written.tensors {
            let Some(initial) = tensor.initial() else { continue };
            running.push((layout.name(&tensor.name), initial.clone()));
            // The last value that the step gave it.
            if let Some(&(_, id)) = updates.iter().rev().find(|(param, _)| *param == tensor.id) {
                changed.push(Running { name: tensor.name.clone(), initial, value: node(id)? });
            }
        }
        if let (Some(id), Some(update)) = (written.replaced, &mut update) {
            update.theta = node(id)?;
        }
        let rule = written.descent.map(|descent| descent.rule);
        Ok(AppendedNet { net: Net { layout, running, rule }, params, changed, update })
    }
}

/// Resolves the operations that a tape records beside burn's.
struct Marks {
    marks: BTreeMap<ValueId, Mark>,
    nets: Vec<Resolved>,
    /// Losses, and their gradients.
    gradients: Vec<[NodeId; 2]>,
}

impl Resolver for Marks {
    fn key(&mut self, graph: &mut Graph, net: &str) -> Result<NodeId, GraphError> {
        graph.input(&ParamLayout::of(net).name(KEY), &[4], DType::U32, InputKind::Step)
    }

    fn custom(
        &mut self,
        graph: &mut Graph,
        _name: &str,
        inputs: &[NodeId],
        out: ValueId,
    ) -> Result<Option<NodeId>, GraphError> {
        match (self.marks.get(&out), inputs) {
            (Some(Mark::Gradient), &[loss, of]) => {
                graph.set_label("gradient");
                let gradient = grad(graph, loss, &[of])?.first().copied();
                self.gradients.extend(gradient.map(|gradient| [loss, gradient]));
                Ok(gradient)
            }
            (Some(&Mark::Update(place)), &[gradient, ref scale @ ..]) => match self.nets.get_mut(place) {
                Some(net) => net.update(graph, gradient, scale.first().copied()).map(Some),
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }
}

impl Resolved {
    /// The net's parameters after its update.
    fn update(&mut self, graph: &mut Graph, gradient: NodeId, scale: Option<NodeId>) -> Result<NodeId, GraphError> {
        let Some(descent) = &self.written.descent else { return Ok(self.theta) };
        if optim::needs_run(&descent.rule) {
            let op = descent.rule.kind.label().to_owned();
            let reason =
                "it wants more of a run than a gradient at theta, which is what a recorded step has".to_owned();
            return Err(GraphError::Shape { op, reason });
        }
        let gradient = optim::sam::gradient(graph, descent.rule.rho, self.theta, gradient)?;
        let layout = match &descent.rates {
            Some(rates) => {
                let mut rates = rates.iter().copied();
                self.layout.clone().with_rates(|_| rates.next().unwrap_or(1.0))
            }
            None => self.layout.clone(),
        };
        let update = optim::descend(graph, &descent.rule, &layout, gradient, scale)?;
        Ok(self.update.insert(update).theta)
    }
}
