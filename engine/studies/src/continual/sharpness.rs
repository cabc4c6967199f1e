//! How sharply the loss bends about a border: the largest eigenvalue of the Hessian of the network's mean cross-entropy, on
//! training examples of the task left and of the one begun, at the parameters as they are.
//!
//! All outputs compete that do once the new task has begun. Every search starts from the same vector, so that what is found
//! depends on the parameters alone.

use burn::tensor::activation::log_softmax;
use engine::continual::{Scenario, Sharpness, Strategy};
use engine::executor::Executor;
use engine::probe::{Curvature, Eigenpairs, Losses, Operator, Point, RowLoss, Settings, run};
use engine::rng::own_seed;
use engine::spec::Curved;
use engine::tape::{Table, Words};
use engine::train::INDEX;

use super::desk::{Desk, NET};
use super::learner::masked;
use crate::StudyError;

/// How far the residual of an eigenvector may be from 0, of its eigenvalue.
const TOLERANCE: f64 = 0.01;
/// Products at most that a search takes.
const MOST: usize = 60;
/// Which outputs compete, a 1 each.
const ALLOWED: &str = "sharpness.allowed";

/// Whether a strategy descends the cross-entropy of the network's outputs.
#[must_use]
pub const fn descends(strategy: Strategy) -> bool {
    !matches!(
        strategy,
        Strategy::Icarl
            | Strategy::Probe
            | Strategy::NearestMean
            | Strategy::Slda
            | Strategy::KeyValue
            | Strategy::Clr
            | Strategy::Hypernetwork
    )
}

/// The probe of a desk's network.
pub struct Probe(Curvature);

impl Probe {
    /// Records the loss.
    ///
    /// # Errors
    /// The executor fails.
    pub fn new(desk: &mut Desk<'_>) -> Result<Self, StudyError> {
        let (rows, outputs) = (desk.tasks.rows(), desk.outputs());
        let targets = Table::numbers("sharpness.targets", [rows, outputs]);
        let mut labels = vec![0.0; rows * outputs];
        for (row, &output) in desk.tasks.output.iter().enumerate() {
            labels[row * outputs + output as usize] = 1.0;
        }
        desk.play.table(&targets, Words::Numbers(&labels))?;
        let (recorded, of_row) = (desk.recorder(), targets);
        let loss = RowLoss::traced(NET, move |tape, rows| {
            let (net, x) = recorded(tape, rows);
            let target = tape.rows(&of_row, INDEX, [rows, outputs]);
            let allowed = tape.state(ALLOWED, [1, outputs]).expand([rows, outputs]);
            let shares = log_softmax(masked(net.forward(x), allowed), 1);
            Ok(Losses { each: (shares * target).sum_dim(1).neg().reshape([rows]), outputs: None })
        })?;
        Ok(Self(Curvature::of(loss, Curved::Hessian, Settings::default(), "hessian")))
    }

    /// The sharpness after the border to a task, from 1, on so many examples of both tasks; none where it is not finite.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn read(
        &mut self,
        desk: &mut Desk<'_>,
        task: usize,
        examples: usize,
    ) -> Result<Option<Sharpness>, StudyError> {
        let mut sharpness = Sharpness { lambda: [0.0; 2], error: [0.0; 2], examples: 0, products: 0 };
        for (part, of) in [task - 1, task].into_iter().enumerate() {
            let all = &desk.tasks.train[of];
            let rows: Vec<u32> = all.iter().copied().step_by((all.len() / examples).max(1)).take(examples).collect();
            let mut allowed = desk.allowed_in(of);
            if desk.spec.scenario == Scenario::Class {
                desk.tasks.of_task[task].iter().for_each(|&output| allowed[output as usize] = 1.0);
            }
            let seed = own_seed(desk.seed, "sharpness");
            let executor = desk.play.executor()?;
            executor.write(ALLOWED, bytemuck::cast_slice(&allowed))?;
            self.0.linearise(executor, Point::Run, &rows).await?;
            let mut search = Eigenpairs::new(self.0.size(), [1, 0], TOLERANCE, MOST, &[], (seed, 0));
            let found = run(&mut search, &mut self.0, executor).await?;
            let Some(pair) = found.largest.first().filter(|pair| pair.value.is_finite()) else { return Ok(None) };
            (sharpness.lambda[part], sharpness.error[part]) = (pair.value, pair.residual);
            sharpness.examples = sharpness.examples.max(rows.len() as u32);
            sharpness.products += found.products as u32;
        }
        Ok(Some(sharpness))
    }
}
