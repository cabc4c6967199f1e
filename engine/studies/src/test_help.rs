//! What tests of several studies need: knobs turned, the learning rates of arms and branches, losses with their gradients.

use burn::tensor::{Int, Tensor};
use engine::cpu::CpuExecutor;
use engine::executor::AnyExecutor;
use engine::figure::Verdict;
use engine::model::Mode;
use engine::spec::{EffectiveSchedule, RunSpec};
use engine::tape::{Breathless, Home, Play, PlayError, StepId, Words, trace};

use super::{Arm, Branch, Knobs, Results, Study};

/// A study's knobs, these turned.
pub fn turned(study: &Study, pairs: &[(&str, &str)]) -> Knobs {
    let turned: Vec<_> = pairs.iter().map(|(id, value)| ((*id).to_owned(), (*value).to_owned())).collect();
    let (knobs, issues) = Knobs::new(study.knobs, &turned);
    assert!(issues.is_empty(), "{issues:?}");
    knobs
}

/// A study's results before anything is measured, these knobs turned.
pub fn unmeasured(study: &Study, pairs: &[(&str, &str)], seeds: &[u64]) -> Results {
    let knobs = turned(study, pairs);
    let arms = study.arms(&knobs);
    Results::new(knobs, arms, seeds.to_vec())
}

/// Places of the checks that do not hold, or were not tested; the headline is 0.
pub fn failing(verdict: &Verdict) -> Vec<usize> {
    verdict.checks().enumerate().filter(|(_, check)| check.holds != Some(true)).map(|(place, _)| place).collect()
}

/// Holds a study to say what diverged: `“CCT” with 1 of 5 seeds`.
pub fn names_as_diverged(study: &Study, results: &Results, what: &str) {
    let said = (study.answer)(results).verdict(study).measured;
    let named = said.split_once("Diverged, which counts as").is_some_and(|(_, named)| named.contains(what));
    assert!(named, "{said}");
}

/// The learning rate of every update.
pub fn rates(spec: &RunSpec) -> Vec<f64> {
    let schedule = EffectiveSchedule::new(spec, spec.batch.size);
    (0..spec.steps).map(|step| schedule.lr(step)).collect()
}

/// The rates of a branch, over the updates of the run that it leaves.
pub fn branch_rates(arm: &Arm, branch: &Branch) -> Vec<f64> {
    rates(&RunSpec { schedule: branch.schedule.clone(), steps: branch.steps, edits: vec![], ..arm.spec.clone() })
}

/// Holds two numbers to be the same but for a millionth.
pub fn close(a: f64, b: f64) {
    assert!((a / b - 1.0).abs() < 1e-6, "{a} is not {b}");
}

/// A loss of numbers `[rows, columns]` and labels, with its gradient by the numbers.
pub struct Loss {
    play: Play<'static>,
    step: StepId,
}

impl Loss {
    /// Of that shape and so many labels.
    pub fn of(shape: [usize; 2], labels: usize, loss: impl FnOnce(Tensor<2>, Tensor<1, Int>) -> Tensor<1>) -> Self {
        let traced = trace("loss", Mode::Train, |tape| {
            let numbers = tape.input("numbers", shape);
            let loss = loss(numbers.clone(), tape.labels("labels", [labels]));
            let gradient = tape.grad(&loss, &numbers);
            tape.fetch("gradient", &gradient);
            tape.metric("loss", &loss);
            Ok(())
        });
        let home = Home::new(Some(AnyExecutor::Cpu(Box::new(CpuExecutor::new()))).into());
        let mut play = Play::new(&home, Breathless, 1).unwrap();
        let step = pollster::block_on(play.add(traced.unwrap())).unwrap();
        Self { play, step }
    }

    /// Value and gradient.
    pub fn at(&mut self, numbers: &[f32], labels: &[u32]) -> (f64, Vec<f32>) {
        let inputs = [("numbers", Words::Numbers(numbers)), ("labels", Words::Classes(labels))];
        pollster::block_on(async {
            self.play.run(self.step, &inputs).await?;
            let loss = f64::from(self.play.metrics(self.step).await?["loss"][0]);
            Ok::<_, PlayError>((loss, self.play.fetch(self.step, "gradient").await?))
        })
        .unwrap()
    }
}
