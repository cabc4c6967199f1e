//! What probes differentiate: a mean loss over table rows, as a function of the parameters of one net.

use std::rc::Rc;

use burn::tensor::Tensor;

use crate::graph::capture::value_id;
use crate::graph::{DType, GraphError, InputKind, Program, Shape};
use crate::model::{Mode, ModelError, THETA};
use crate::spec::RunSpec;
use crate::tape::{self, Tape};
use crate::train::{Feed, Parts, Probed, Programs, TrainError, WEIGHT, micro_batches};

/// The losses of some rows, as [`RowLoss::traced`] is told them.
#[derive(Debug)]
pub struct Losses {
    /// Loss of each row, `[rows]`.
    pub each: Tensor<1>,
    /// What they are computed from for Gauss-Newton products, `[rows, outputs]`; `None` = there will be none.
    pub outputs: Option<Tensor<2>>,
}

type Write = dyn Fn(&mut Tape, usize) -> Result<Losses, ModelError>;

/// A mean loss over table rows, as a function of the parameters of one net.
#[derive(Clone)]
pub struct RowLoss {
    source: Source,
    /// States that it reads, and their shapes; first the net's parameters.
    states: Vec<(String, Shape)>,
    size: usize,
}

#[derive(Clone)]
enum Source {
    Run { spec: Box<RunSpec>, feed: Feed },
    Traced { net: String, write: Rc<Write> },
}

impl std::fmt::Debug for RowLoss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowLoss").field("states", &self.states).finish_non_exhaustive()
    }
}

impl RowLoss {
    /// What training by a spec descends.
    ///
    /// # Errors
    /// The model does not fit the data.
    pub fn of_run(spec: &RunSpec, feed: &Feed) -> Result<Self, TrainError> {
        let size = Programs::new(spec, feed)?.layout().len();
        let source = Source::Run { spec: Box::new(spec.clone()), feed: feed.clone() };
        Ok(RowLoss { source, states: vec![(THETA.to_owned(), vec![size])], size })
    }

    /// A loss of one's own. `write` records it for so many rows, whose numbers are the step input
    /// [`INDEX`](crate::train::INDEX), and has the net of that name; layers behave as [`Mode::Probe`] says. States and
    /// tables are those of the [`Play`](crate::tape::Play) on whose executor it is probed.
    ///
    /// # Errors
    /// It cannot be recorded.
    pub fn traced(
        net: &str,
        write: impl Fn(&mut Tape, usize) -> Result<Losses, ModelError> + 'static,
    ) -> Result<Self, TrainError> {
        let source = Source::Traced { net: net.to_owned(), write: Rc::new(write) };
        let mut loss = RowLoss { source, states: Vec::new(), size: 0 };
        let Probed { program, layout, .. } = loss.at(1, false)?;
        let own = layout.name(THETA);
        loss.size = layout.len();
        loss.states.push((own.clone(), vec![loss.size]));
        let inputs = program.graph.inputs().iter();
        let others = inputs.filter(|input| input.kind == InputKind::State && input.name != own);
        loss.states.extend(others.map(|input| (input.name.clone(), input.shape.clone())));
        Ok(loss)
    }

    /// P.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// States that it reads, and their shapes; first the net's parameters.
    pub(super) fn states(&self) -> &[(String, Shape)] {
        &self.states
    }

    /// So many rows as micro-batches of at most `micro`, 0 = chosen as for training. Whether a traced net mixes the rows of one is
    /// not known: none is left with a few.
    pub(super) fn parts(&self, rows: usize, micro: usize) -> Parts {
        let mixes = match &self.source {
            Source::Run { spec, .. } => spec.model.normalises_batches(),
            Source::Traced { .. } => true,
        };
        Parts::new(rows, micro_batches(rows, micro), mixes)
    }

    /// The loss of so many rows. `padded`: places with weight 0 are left out of what layers take of a batch as a whole.
    pub(crate) fn at(&self, rows: usize, padded: bool) -> Result<Probed, TrainError> {
        let (net, write) = match &self.source {
            Source::Run { spec, feed } => return Programs::new(spec, feed)?.padded(padded).probed(rows),
            Source::Traced { net, write } => (net, write),
        };
        let mut program = Program::default();
        let graph = &mut program.graph;
        let lost = || GraphError::Shape { op: net.clone(), reason: "a loss that was not recorded".into() };
        let (appended, (each, outputs)) = tape::append(graph, Mode::Probe, |tape| {
            if padded {
                let used = tape.input(WEIGHT, [rows]).greater_elem(0.0).float();
                tape.pass().used = Some(used);
            }
            let Losses { each, outputs } = write(tape, rows)?;
            Ok((value_id(&each).ok_or_else(lost)?, outputs.as_ref().and_then(value_id)))
        })?;
        let losses = appended.values.get(&each).copied().ok_or_else(lost)?;
        let outputs = outputs.and_then(|id| appended.values.get(&id).copied());
        let known = appended.nets.into_iter().find(|known| known.net.layout.net() == net);
        let known = known.ok_or_else(|| TrainError::Spec(format!("{net} is no net of the loss")))?;
        let weight = graph.input(WEIGHT, &[rows], DType::F32, InputKind::Step)?;
        let weighted = graph.mul(losses, weight)?;
        let loss = graph.sum_all(weighted)?;
        Ok(Probed { program, layout: known.net.layout, params: known.params, losses, weight, loss, outputs })
    }
}
