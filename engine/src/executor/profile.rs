//! Where a step goes: what each launch of what was submitted took.

use std::sync::Arc;

use super::PlanId;
use crate::graph::plan::Plan;

/// What has been submitted since a profile was begun.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Counts milliseconds; of launches whose device keeps no time of its own.
    pub clock: fn() -> f64,
    /// Whether the device told times. WebGPU leaves that to the adapter.
    pub timed: bool,
    /// Every plan that ran.
    pub plans: Vec<Timed>,
}

/// A plan that ran.
#[derive(Clone, Debug)]
pub struct Timed {
    id: PlanId,
    /// What ran.
    pub plan: Arc<Plan>,
    /// How often.
    pub runs: u64,
    /// Milliseconds of each launch, of all runs together.
    pub times: Vec<f64>,
}

impl Profile {
    /// A profile of nothing.
    pub(crate) fn new(clock: fn() -> f64) -> Self {
        Self { clock, timed: true, plans: vec![] }
    }

    /// The entry of a plan that runs once more.
    pub(crate) fn ran(&mut self, id: PlanId, plan: &Arc<Plan>) -> &mut Timed {
        let known = self.plans.iter().position(|timed| timed.id == id);
        let at = known.unwrap_or_else(|| {
            let times = vec![0.0; plan.launches.len()];
            self.plans.push(Timed { id, plan: plan.clone(), runs: 0, times });
            self.plans.len() - 1
        });
        self.plans[at].runs += 1;
        &mut self.plans[at]
    }
}
