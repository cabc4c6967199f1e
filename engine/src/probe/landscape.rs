//! A run's loss as a function of its parameters: values, gradients, and slopes of single examples.

use std::collections::BTreeMap;

use super::RowLoss;
use super::workspace::{Snapshot, Workspace, chunk_words, sum_over_chunks, total};
use crate::executor::{Executor, Prepared, Run, floats};
use crate::graph::Program;
use crate::spec::RunSpec;
use crate::train::{Feed, GRADIENT_AND_LOSS, LOSSES, Parts, SLOPES, TrainError, vector};

/// Parameters at which something is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Point<'a> {
    /// Those that the run has now.
    Run,
    /// These, in the layout's order, `[P]`.
    Given(&'a [f32]),
}

/// What is computed of some rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Quantity {
    Losses,
    Gradient,
    Slopes,
}

/// The loss of a run over its parameters, on any rows: what training descends, without its noise. Stays at the point
/// where it was put while training goes on.
#[derive(Debug)]
pub struct Landscape {
    loss: RowLoss,
    /// Most rows at once; 0 = chosen as for training.
    micro: usize,
    workspace: Workspace,
    snapshot: Option<Snapshot>,
    /// By quantity, rows at once, and whether some rows of some micro-batch are left over.
    plans: BTreeMap<(Quantity, usize, bool), Prepared>,
    sum: Option<Prepared>,
}

impl Landscape {
    /// The loss of a run. `prefix` names its buffers on the executor; two probes that live at the same time need
    /// different ones. `micro`: most rows at once, 0 = chosen as for training.
    ///
    /// # Errors
    /// The model does not fit the data.
    pub fn new(spec: &RunSpec, feed: &Feed, micro: usize, prefix: &str) -> Result<Self, TrainError> {
        Ok(Self::of(RowLoss::of_run(spec, feed)?, micro, prefix))
    }

    /// A loss of one's own, likewise.
    #[must_use]
    pub fn of(loss: RowLoss, micro: usize, prefix: &str) -> Self {
        Landscape { loss, micro, workspace: Workspace::new(prefix), snapshot: None, plans: BTreeMap::new(), sum: None }
    }

    /// Goes to a point. Needed once before anything is measured.
    ///
    /// # Errors
    /// The executor fails; parameters of another number than P.
    pub async fn go<E: Executor>(&mut self, executor: &mut E, point: Point<'_>) -> Result<(), TrainError> {
        let snapshot = match &self.snapshot {
            Some(snapshot) => snapshot,
            None => {
                let snapshot = self.workspace.snapshot(executor, &self.loss).await?;
                &*self.snapshot.insert(snapshot)
            }
        };
        snapshot.take(executor, point).await
    }

    /// Loss of each row.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn losses<E: Executor>(&mut self, executor: &mut E, rows: &[u32]) -> Result<Vec<f32>, TrainError> {
        self.fetched(executor, rows, Quantity::Losses, LOSSES).await
    }

    /// Mean loss of the rows and its gradient, `[P]`.
    ///
    /// # Errors
    /// The executor fails; there are no rows.
    pub async fn gradient<E: Executor>(
        &mut self,
        executor: &mut E,
        rows: &[u32],
    ) -> Result<(f64, Vec<f32>), TrainError> {
        let (plan, parts) = self.plan(executor, rows, Quantity::Gradient).await?;
        let sum = match &self.sum {
            Some(sum) => sum.clone(),
            None => {
                let program = sum_over_chunks(GRADIENT_AND_LOSS, &[self.loss.size() + 1])?;
                self.sum.insert(self.workspace.prepare(executor, &program).await?).clone()
            }
        };
        for (number, words) in chunk_words(&plan, rows, parts).iter().enumerate() {
            let keep = [if number == 0 { 0.0 } else { 1.0f32 }.to_bits()];
            let runs = [Run { plan: plan.id, words, row: 0 }, Run { plan: sum.id, words: &keep, row: 0 }];
            executor.submit(&runs).await?;
        }
        let mut gradient = floats(&executor.read(&self.workspace.name(&total(GRADIENT_AND_LOSS))).await?);
        let loss = gradient.pop().map_or(f64::NAN, f64::from);
        Ok((loss, gradient))
    }

    /// `g_i . v` for each row: the derivative of its loss along `direction`, `[P]`. One forward pass.
    ///
    /// # Errors
    /// The executor fails; a direction that is not of length P.
    pub async fn slopes<E: Executor>(
        &mut self,
        executor: &mut E,
        rows: &[u32],
        direction: &[f32],
    ) -> Result<Vec<f32>, TrainError> {
        if direction.len() != self.loss.size() {
            return Err(TrainError::Spec(format!(
                "a direction of {} for {} parameters",
                direction.len(),
                self.loss.size()
            )));
        }
        self.plan(executor, rows, Quantity::Slopes).await?;
        executor.write(&self.workspace.name(&vector(1)), bytemuck::cast_slice(direction))?;
        self.fetched(executor, rows, Quantity::Slopes, SLOPES).await
    }

    /// Gives all buffers and plans back.
    pub fn release<E: Executor>(&mut self, executor: &mut E) {
        self.workspace.release(executor);
        self.plans.clear();
        self.snapshot = None;
        self.sum = None;
    }

    async fn fetched<E: Executor>(
        &mut self,
        executor: &mut E,
        rows: &[u32],
        quantity: Quantity,
        name: &str,
    ) -> Result<Vec<f32>, TrainError> {
        let (plan, parts) = self.plan(executor, rows, quantity).await?;
        let mut values = Vec::with_capacity(rows.len());
        for (run, words) in chunk_words(&plan, rows, parts).iter().enumerate() {
            executor.submit(&[Run { plan: plan.id, words, row: 0 }]).await?;
            let own = floats(&executor.fetch(plan.id, name).await?);
            values.extend(own.iter().take(parts.examples(run, rows.len()).len()));
        }
        Ok(values)
    }

    async fn plan<E: Executor>(
        &mut self,
        executor: &mut E,
        rows: &[u32],
        quantity: Quantity,
    ) -> Result<(Prepared, Parts), TrainError> {
        if rows.is_empty() || self.snapshot.is_none() {
            return Err(TrainError::Spec("a loss needs a point and examples".into()));
        }
        let parts = self.loss.parts(rows.len(), self.micro);
        let Parts { micro, padded, .. } = parts;
        if let Some(plan) = self.plans.get(&(quantity, micro, padded)) {
            return Ok((plan.clone(), parts));
        }
        let loss = self.loss.at(micro, padded)?;
        let program: Program = match quantity {
            Quantity::Losses => loss.losses(),
            Quantity::Gradient => loss.gradient()?,
            Quantity::Slopes => loss.slopes()?,
        };
        let plan = self.workspace.prepare(executor, &program).await?;
        self.plans.insert((quantity, micro, padded), plan.clone());
        Ok((plan, parts))
    }
}
