//! Learning without forgetting (Li and Hoiem 2016): on the new examples the outputs of earlier tasks go on answering as the
//! network did at the last border: lambda T^2 times the cross-entropy of both softmaxes at temperature T.

use burn::tensor::activation::{log_softmax, softmax};
use engine::continual::{Leg, Scenario};
use engine::tape::Words;

use super::Method;
use crate::continual::desk::{Batch, Desk, NET, examples_loss, indicator};
use crate::continual::learner::{masked, rule};
use crate::{StudyError, Task};

/// See the module.
#[derive(Clone)]
pub struct Lwf {
    lambda: f64,
    temperature: f64,
    /// Outputs that the old network answers for, by group that sums to 1: one, or one a task where tasks are named.
    old: Vec<Vec<f32>>,
}

const STEP: &str = "lwf";
const SETTLE: &str = "lwf settle";

impl Lwf {
    /// With no old network.
    pub fn new(leg: &Leg, desk: &Desk<'_>) -> Self {
        Self { lambda: desk.value(leg, "distil"), temperature: desk.value(leg, "temperature"), old: Vec::new() }
    }
}

impl Method for Lwf {
    fn begin<'a>(&'a mut self, desk: &'a mut Desk<'_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let (outputs, rule, batch) = (desk.outputs(), rule(desk.spec.optimizer), desk.spec.batch);
            let groups = groups(desk);
            desk.step(STEP, batch, |tape, net, x| {
                let logits = net.forward(x.clone());
                let mut loss = examples_loss(tape, logits.clone(), outputs);
                let before = tape.flat(NET).dims();
                let before = tape.state("lwf.theta", before);
                let old = tape.with(net, &before).forward(x);
                let cold = tape.input("cold", [1]);
                for group in 0..groups {
                    // Weights of the rows, 0 for a group that is not there yet, and the outputs of the group.
                    let weight = tape.input(&format!("weight {group}"), [batch, 1]);
                    let of = tape.input(&format!("old {group}"), [1, outputs]).expand([batch, outputs]);
                    let cold = cold.clone().unsqueeze::<2>();
                    let target = softmax(masked(old.clone() * cold.clone(), of.clone()), 1);
                    let answer = log_softmax(masked(logits.clone() * cold, of), 1);
                    loss = loss + (target * answer * weight).sum().neg();
                }
                tape.minimise(NET, &loss, &rule);
                tape.metric("loss", &loss);
                Ok(())
            })
            .await?;
            desk.copy_step(SETTLE, "lwf.theta").await?;
            Ok(())
        })
    }

    fn learn<'a>(&'a mut self, desk: &'a mut Desk<'_>, batch: &'a Batch) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let step = desk.known(STEP)?;
            let filled = desk.fill(&batch.rows, desk.spec.batch, batch.rows.len());
            let each = self.lambda * self.temperature * self.temperature / batch.rows.len().max(1) as f64;
            let none = vec![1.0; desk.outputs()];
            let names: Vec<[String; 2]> =
                (0..groups(desk)).map(|group| [format!("weight {group}"), format!("old {group}")]).collect();
            let weights: Vec<Vec<f32>> = (0..names.len())
                .map(|group| {
                    let weight = if group < self.old.len() { each as f32 } else { 0.0 };
                    (0..desk.spec.batch).map(|row| if row < batch.rows.len() { weight } else { 0.0 }).collect()
                })
                .collect();
            let cold = [(1.0 / self.temperature) as f32];
            let mut more = vec![("cold", Words::Numbers(&cold))];
            for (group, [weight, old]) in names.iter().enumerate() {
                more.push((weight, Words::Numbers(&weights[group])));
                more.push((old, Words::Numbers(self.old.get(group).unwrap_or(&none))));
            }
            desk.run(step, &filled, &more).await
        })
    }

    fn border<'a>(&'a mut self, desk: &'a mut Desk<'_>, task: usize) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async move {
            match desk.spec.scenario {
                Scenario::Task => {
                    self.old = desk.tasks.of_task[..=task].iter().map(|of| indicator(desk.outputs(), of)).collect();
                }
                Scenario::Class => self.old = vec![desk.seen_outputs()],
                Scenario::Domain => self.old = vec![vec![1.0; desk.outputs()]],
            }
            let settle = desk.known(SETTLE)?;
            Ok(desk.play.run(settle, &[]).await?)
        })
    }

    fn extra_bytes(&self, parameters: u64) -> u64 {
        4 * parameters
    }

    fn flop(&self, desk: &Desk<'_>) -> u64 {
        desk.flop(STEP)
    }
}

/// Groups of outputs that a network may answer for: those of each task but the last, where tasks are named.
fn groups(desk: &Desk<'_>) -> usize {
    if desk.spec.scenario == Scenario::Task { desk.tasks.names.len() } else { 1 }
}
