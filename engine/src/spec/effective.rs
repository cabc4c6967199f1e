//! The recipe that a run really follows: the spec's, as changed step by step by its edits.

use super::{Auto, Edit, ModelSpec, Moment, OptimizerSpec, RunSpec, Shape};

/// The recipe in force at every step of a spec with edits. An edit at step s changes the future only: steps before s
/// keep what they had.
#[derive(Debug, Clone, PartialEq)]
pub struct EffectiveSchedule {
    /// By ascending start; the first starts at 0.
    segments: Vec<Segment>,
    /// Examples in the whole training set, those included that are left out.
    all: usize,
}

/// A stretch of the run between edits.
#[derive(Debug, Clone, PartialEq)]
struct Segment {
    /// Its first update.
    start: u64,
    /// The update from which its batch policy counts.
    batch_start: u64,
    /// The update from which curvature sets its learning rate.
    rate_start: u64,
    /// The update from which held-out losses bring its learning rate down.
    plateau_start: u64,
    /// The recipe in force.
    spec: RunSpec,
}

/// What an update is made with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Learning rate.
    pub lr: f64,
    /// Learning rate by which states move that hold one: the schedule's also while moments are warmed, when `lr` is 0.
    pub pace: f64,
    /// Momentum, where a schedule moves it (see [`OptimizerSpec::momentum_mut`]); `None` = the optimizer's own.
    pub momentum: Option<f64>,
}

impl Rates {
    /// The optimizer's settings at that update.
    #[must_use]
    pub fn applied(&self, optimizer: &OptimizerSpec) -> OptimizerSpec {
        let mut optimizer = optimizer.clone();
        if let (Some(momentum), Some(place)) = (self.momentum, optimizer.momentum_mut()) {
            *place = momentum;
        }
        optimizer
    }
}

impl EffectiveSchedule {
    /// Resolves a spec and its edits; `all`: examples in the whole training set. Edits that do not fit are skipped:
    /// [`RunSpec::validate`] names them.
    #[must_use]
    pub fn new(spec: &RunSpec, all: usize) -> Self {
        let mut now = Segment { start: 0, batch_start: 0, rate_start: 0, plateau_start: 0, spec: spec.clone() };
        let mut edits = std::mem::take(&mut now.spec.edits);
        Edit::sort(&mut edits);
        let mut segments = vec![now.clone()];
        for Edit { step, path, value } in &edits {
            if now.spec.set(path, value).is_ok() {
                now.start = *step;
                if matches!(path.as_str(), "batch.size" | "batch.policy") {
                    now.batch_start = *step;
                }
                if matches!(path.as_str(), "batch.size" | "schedule.auto") {
                    now.rate_start = *step;
                }
                if matches!(path.as_str(), "schedule" | "schedule.peak") {
                    now.plateau_start = *step;
                }
                segments.push(now.clone());
            }
        }
        Self { segments, all }
    }

    /// The recipe in force at update `step` (its `edits` are empty: they are spent).
    #[must_use]
    pub fn at(&self, step: u64) -> &RunSpec {
        &self.segment(step).spec
    }

    /// Training examples that a recipe does not leave out; at least 1.
    fn kept(&self, spec: &RunSpec) -> usize {
        self.all.saturating_sub(spec.data.dropped.len()).max(1)
    }

    fn segment(&self, step: u64) -> &Segment {
        let next = self.segments.partition_point(|segment| segment.start <= step);
        &self.segments[next.saturating_sub(1)]
    }

    /// The rates of update `step` on `batch` examples, with `seen` drawn before it and `reduced` of the peak left.
    #[must_use]
    pub fn rates(&self, step: u64, batch: usize, seen: u64, reduced: f64) -> Rates {
        let spec = self.at(step);
        let at = self.moment(step, batch, seen, reduced);
        let schedule = &spec.schedule;
        let pace = schedule.lr_at(&at) * self.scale(step, batch);
        let lr = if step < spec.optimizer.warm { 0.0 } else { pace };
        let mut optimizer = spec.optimizer.clone();
        let momentum = optimizer.momentum_mut().and_then(|high| schedule.momentum_at(&at, *high));
        Rates { lr, pace, momentum }
    }

    /// The learning rate of update `step` over the highest of its shape; 0 while it only warms the optimizer's moments.
    #[must_use]
    pub fn share(&self, step: u64, batch: usize, seen: u64, reduced: f64) -> f64 {
        let spec = self.at(step);
        if step < spec.optimizer.warm { 0.0 } else { spec.schedule.share_at(&self.moment(step, batch, seen, reduced)) }
    }

    /// Update `step` on `batch` examples, with `seen` drawn before it and `reduced` of the peak left.
    fn moment(&self, step: u64, batch: usize, seen: u64, reduced: f64) -> Moment {
        Moment { batch: batch as u64, seen, reduced, ..self.planned(self.at(step), step) }
    }

    /// Update `step` under a recipe, with the batches that are planned and the whole peak.
    pub(super) fn planned(&self, spec: &RunSpec, step: u64) -> Moment {
        let tokens = match &spec.model {
            ModelSpec::Gpt(gpt) => gpt.context as u64,
            _ => 1,
        };
        Moment { step, steps: spec.steps, batch: self.batch(step) as u64, seen: self.seen(step), tokens, reduced: 1.0 }
    }

    /// What a batch of that size at update `step` multiplies the schedule's learning rate by.
    pub(super) fn scale(&self, step: u64, batch: usize) -> f64 {
        let base =
            self.segments.first().map_or(batch, |segment| segment.spec.batch.planned(0, self.kept(&segment.spec)));
        self.at(step).schedule.scale(batch, base)
    }

    /// The learning rate of update `step` if every batch has the size that is planned and nothing is measured; 0 while it
    /// only warms the optimizer's moments.
    #[must_use]
    pub fn lr(&self, step: u64) -> f64 {
        self.rates(step, self.batch(step), self.seen(step), 1.0).lr
    }

    /// Examples in update `step`, as planned; for adaptive policies the size they start from.
    #[must_use]
    pub fn batch(&self, step: u64) -> usize {
        let Segment { batch_start, spec, .. } = self.segment(step);
        spec.batch.planned(step.saturating_sub(*batch_start), self.kept(spec))
    }

    /// The update from which the batch policy in force at `step` counts: that of the last edit of its kind or of the
    /// batch size.
    #[must_use]
    pub fn batch_start(&self, step: u64) -> u64 {
        self.segment(step).batch_start
    }

    /// The update from which curvature sets the learning rate in force at `step`: that of the last edit which turned it on
    /// or changed the batch whose curvature it is.
    #[must_use]
    pub fn rate_start(&self, step: u64) -> u64 {
        self.segment(step).rate_start
    }

    /// The update from which held-out losses bring down the learning rate in force at `step`: that at which its shape last
    /// started, or of the last edit which chose the shape or set the peak.
    #[must_use]
    pub fn plateau_start(&self, step: u64) -> u64 {
        let Segment { plateau_start, spec, .. } = self.segment(step);
        spec.schedule.started(&self.planned(spec, step)).max(*plateau_start)
    }

    /// The update from which measurements have a say in the learning rate of update `step`; `None` where they have none.
    #[must_use]
    pub fn measured_from(&self, step: u64) -> Option<u64> {
        let schedule = &self.at(step).schedule;
        let curvature = (schedule.auto != Auto::Off).then(|| self.rate_start(step));
        let losses = (schedule.kind == Shape::OnPlateau).then(|| self.plateau_start(step));
        curvature.max(losses)
    }

    /// Examples drawn before update `step`, as planned; along a ramp up to rounding.
    #[must_use]
    pub fn seen(&self, step: u64) -> u64 {
        let ends = self.segments.iter().skip(1).map(|segment| segment.start).chain([u64::MAX]);
        let parts = self.segments.iter().zip(ends).map(|(Segment { start, batch_start, spec, .. }, end)| {
            let drawn = |step: u64| spec.batch.drawn(step.saturating_sub(*batch_start), self.kept(spec));
            drawn(end.min(step).max(*start)).saturating_sub(drawn(*start))
        });
        parts.fold(0, u64::saturating_add)
    }

    /// Updates of the whole run, after all edits.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.segments.last().map_or(0, |segment| segment.spec.steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Edit;

    fn edit(step: u64, path: &str, value: &str) -> Edit {
        Edit { step, path: path.into(), value: value.into() }
    }

    #[test]
    fn edits_change_the_future_only() {
        let plain = RunSpec::default();
        let edited = RunSpec {
            edits: vec![
                edit(100, "batch.size", "256"),
                edit(100, "schedule.peak", "0.5"),
                edit(300, "schedule", "constant"),
                edit(400, "steps", "900"),
            ],
            ..plain.clone()
        };
        assert_eq!(edited.validate(), []);
        let (before, after) = (EffectiveSchedule::new(&plain, 5000), EffectiveSchedule::new(&edited, 5000));
        for step in 0..100 {
            assert_eq!(before.lr(step), after.lr(step));
            assert_eq!(after.batch(step), 64);
        }
        assert_eq!(after.batch(100), 256);
        assert_eq!(after.lr(200), before.lr(200) / plain.schedule.peak * 0.5);
        assert_eq!(after.lr(899), 0.5);
        assert_eq!((before.steps(), after.steps()), (600, 900));
    }

    #[test]
    fn examples_are_counted_over_changes_of_the_batch() {
        let edits =
            vec![edit(100, "batch.size", "256"), edit(100, "schedule.peak", "0.1"), edit(250, "batch.size", "0")];
        let schedule = EffectiveSchedule::new(&RunSpec { edits, ..RunSpec::default() }, 5000);
        let mut seen = 0;
        for step in 0..400 {
            assert_eq!(schedule.seen(step), seen);
            seen += schedule.batch(step) as u64;
        }
        assert_eq!(seen, 100 * 64 + 150 * 256 + 150 * 5000);
        assert_eq!(schedule.seen(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_batch_set_in_mid_run_starts_its_policy_anew() {
        let mut spec = RunSpec::default();
        spec.batch = crate::spec::BatchSpec { policy: crate::spec::Policy::Stepped, every: 100, ..spec.batch };
        // The same size as at first: what counts is that a hand set it.
        spec.edits = vec![edit(250, "batch.size", "64"), edit(300, "schedule.peak", "0.5")];
        let schedule = EffectiveSchedule::new(&spec, 10_000);
        let sizes = [0, 100, 249, 250, 349, 350].map(|step| schedule.batch(step));
        assert_eq!(sizes, [64, 128, 256, 64, 64, 128]);
        assert_eq!([0, 249, 250, 599].map(|step| schedule.batch_start(step)), [0, 0, 250, 250]);
        let seen = |step| (0..step).map(|step| schedule.batch(step) as u64).sum::<u64>();
        assert!((0..600).all(|step| schedule.seen(step) == seen(step)));
    }

    /// Power is a function of tokens: half the rate at half the batch, whatever the steps taken.
    #[test]
    fn power_follows_the_tokens_of_the_run() {
        let mut spec = crate::spec::preset("gpt").unwrap().spec();
        for (path, value) in
            [("schedule", "power"), ("schedule.peak", "9"), ("schedule.warmup", "0"), ("schedule.decay", "0")]
        {
            spec.set(path, value).unwrap();
        }
        let ModelSpec::Gpt(gpt) = &spec.model else { panic!("{:?}", spec.model) };
        let context = gpt.context as f64;
        let first = spec.batch.size;
        spec.edits = vec![edit(10, "batch.size", "4")];
        let schedule = EffectiveSchedule::new(&spec, 1);
        let law = |batch: f64, tokens: f64| batch * spec.schedule.gain * tokens.powf(spec.schedule.exponent);
        for step in 0..30_u64 {
            let (batch, seen) =
                if step < 10 { (first, step * first as u64) } else { (4, 10 * first as u64 + (step - 10) * 4) };
            let expected = law(batch as f64, (seen as f64 + batch as f64) * context);
            let lr = schedule.lr(step);
            assert!((lr / expected - 1.0).abs() < 1e-12, "{lr} is not {expected}");
            // What the trainer reports counts, not what was planned.
            let other = schedule.rates(step, 2, 7, 1.0).lr;
            assert!((other / law(2.0, 9.0 * context) - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn a_rule_scales_the_rate_with_the_batch() {
        let at = |rule: &str, shape: &str| {
            let mut spec = RunSpec { edits: vec![edit(100, "batch.size", "256")], ..RunSpec::default() };
            spec.set("schedule.scaling", rule).unwrap();
            spec.set("schedule", shape).unwrap();
            EffectiveSchedule::new(&spec, 5000)
        };
        for (rule, factor) in [("none", 1.0), ("linear", 4.0), ("sqrt", 2.0)] {
            let (plain, scaled) = (at("none", "wsd"), at(rule, "wsd"));
            assert_eq!(plain.lr(99), scaled.lr(99));
            assert_eq!(factor * plain.lr(100), scaled.lr(100));
            // Power is in proportion to the batch by itself.
            assert_eq!(at("none", "power").lr(100), at(rule, "power").lr(100));
        }
    }

    #[test]
    fn a_momentum_schedule_moves_what_the_rule_keeps() {
        let keepers = ["momentum", "nesterov", "adam", "lars", "lamb", "lion", "muon"].map(|rule| (rule, 0.9));
        for (rule, high) in keepers.into_iter().chain([("sgd", f64::NAN)]) {
            let mut spec = RunSpec::default();
            spec.set("optimizer", rule).unwrap();
            let plain = EffectiveSchedule::new(&spec, 1).rates(0, 1, 0, 1.0);
            assert_eq!((plain.momentum, plain.applied(&spec.optimizer)), (None, spec.optimizer.clone()));
            spec.set("schedule.momentum", "counter").unwrap();
            let rates = EffectiveSchedule::new(&spec, 1).rates(20, 1, 0, 1.0);
            let mut moved = rates.applied(&spec.optimizer);
            if high.is_nan() {
                assert_eq!((rates.momentum, moved), (None, spec.optimizer));
            } else {
                assert_eq!(moved.momentum_mut().copied(), Some(spec.schedule.low));
            }
        }
    }

    #[test]
    fn recorded_edits_are_in_order_and_one_a_step_and_control() {
        let mut spec = RunSpec::default();
        assert_eq!(spec.record(200, "schedule.peak", "0.010").unwrap(), edit(200, "schedule.peak", "0.01"));
        spec.record(100, "batch.size", "32").unwrap();
        spec.record(200, "schedule.peak", "0.02").unwrap();
        let recorded = spec.clone();
        assert_eq!(spec.edits, [edit(100, "batch.size", "32"), edit(200, "schedule.peak", "0.02")]);
        for (step, path, value) in
            [(5, "model.depth", "3"), (5, "batch.size", "x"), (601, "batch.size", "8"), (0, "", "")]
        {
            let issue = spec.record(step, path, value).unwrap_err();
            assert_eq!(issue.path, path);
        }
        // Ending the run before an edit that is already there.
        assert!(spec.record(50, "steps", "150").is_err());
        assert_eq!(spec, recorded);
    }

    #[test]
    fn edits_that_do_not_fit_are_skipped_and_named() {
        let mut spec = RunSpec {
            edits: vec![
                edit(10, "model.depth", "4"),
                edit(20, "batch.size", "lots"),
                edit(30, "batch.size", "128"),
                edit(700, "batch.size", "32"),
                edit(1, "no such", "1"),
            ],
            ..RunSpec::default()
        };
        let issues = spec.validate();
        assert_eq!(issues.len(), 4);
        let paths: Vec<&str> = issues.iter().map(|issue| issue.path.as_str()).collect();
        assert_eq!(paths, ["no such", "model.depth", "batch.size", "batch.size"]);
        spec.sanitize();
        assert_eq!(spec.edits, [edit(30, "batch.size", "128")]);
        assert_eq!(spec.validate(), []);
    }
}
