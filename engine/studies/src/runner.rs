//! Runs a study: every arm with the first seed, then with the second, so that what is shown is balanced at any moment.

use std::ops::Range;

use engine::figure::{Figure, Verdict};
use engine::spec::{Issue, MAX_SAFE_INTEGER};

use super::context::Host;
use super::{Arm, Context, Knobs, Protocol, Results, Share, Study, StudyError};

/// How a study is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Knobs that were turned: id and value, written as in a link.
    pub knobs: Vec<(String, String)>,
    /// Seeds per arm; 0 = the study's own number.
    pub seeds: u32,
    /// First seed.
    pub first_seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { knobs: vec![], seeds: 0, first_seed: 1 }
    }
}

impl Settings {
    /// The seeds that a study runs with.
    #[must_use]
    pub fn seeds_of(&self, study: &Study) -> Vec<u64> {
        let count = if self.seeds == 0 { study.seeds } else { self.seeds.min(MAX_SEEDS) };
        let first = self.first_seed.min(MAX_SAFE_INTEGER - u64::from(MAX_SEEDS));
        (first..).take(count as usize).collect()
    }
}

/// Most seeds per arm.
const MAX_SEEDS: u32 = 100;

/// A study that has run to its end.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its numbers.
    pub results: Results,
    /// Its figures.
    pub figures: Vec<Figure>,
    /// Its conclusion.
    pub verdict: Verdict,
    /// Knobs that could not be turned as asked.
    pub issues: Vec<Issue>,
    /// Seconds it took.
    pub seconds: f64,
}

impl Finished {
    fn new(study: &Study, results: Results, issues: Vec<Issue>, seconds: f64) -> Self {
        Self {
            figures: study.drawn(&results),
            verdict: (study.answer)(&results).verdict(study),
            results,
            issues,
            seconds,
        }
    }
}

/// What some of a study's seeds have yielded.
#[derive(Clone, Debug)]
pub struct Part {
    /// Their numbers.
    pub results: Results,
    /// Knobs that could not be turned as asked.
    pub issues: Vec<Issue>,
}

/// Runs a study to its end, or until the host cancels it.
pub async fn run(study: &'static Study, settings: &Settings, host: &dyn Host) -> Result<Finished, StudyError> {
    let started = host.now_ms();
    let Part { results, issues } = run_part(study, settings, 0..usize::MAX, host).await?;
    Ok(Finished::new(study, results, issues, (host.now_ms() - started) / 1000.0))
}

/// Runs those of a study's seeds whose places lie in `part`, so that others can run elsewhere at the same time; [`join`]
/// makes one of the parts. A seed's numbers do not depend on which others run beside it.
pub async fn run_part(
    study: &'static Study,
    settings: &Settings,
    part: Range<usize>,
    host: &dyn Host,
) -> Result<Part, StudyError> {
    let (knobs, issues) = Knobs::new(study.knobs, &settings.knobs);
    let all = settings.seeds_of(study);
    let first_seed = all.first().copied();
    let seeds: Vec<(usize, u64)> = all.into_iter().enumerate().filter(|(place, _)| part.contains(place)).collect();
    let results = Results::new(knobs.clone(), study.arms(&knobs), seeds.iter().map(|&(_, seed)| seed).collect());
    let results = match study.protocol {
        Protocol::Runs(arms) => {
            let runs = interleave(&arms(&knobs), &seeds);
            let work: u64 = runs.iter().map(|(arm, _)| arm.updates()).sum();
            let total = runs.iter().map(|(arm, _)| arm.labels().len() as u32).sum();
            let mut context = Context::new(study, first_seed, results, total, host).await?;
            let mut done = 0;
            for (arm, seed) in &runs {
                let before = done;
                done += arm.updates();
                let [from, to] = [before, done].map(|steps| steps as f64 / work.max(1) as f64);
                context.train(arm, *seed, Share::ALL.between(from, to), None).await?;
            }
            context.results
        }
        Protocol::Program { arms, run, .. } => {
            let total = (arms(&knobs).len() * seeds.len()) as u32;
            let mut context = Context::new(study, first_seed, results, total, host).await?;
            run(&mut context).await?;
            context.results
        }
    };
    Ok(Part { results, issues })
}

/// The parts of a study that ran apart, in the order of their seeds, as one that took so many seconds; none of none.
#[must_use]
pub fn join(study: &Study, parts: Vec<Part>, seconds: f64) -> Option<Finished> {
    let mut parts = parts.into_iter();
    let Part { mut results, issues } = parts.next()?;
    for part in parts {
        results.absorb(part.results);
    }
    Some(Finished::new(study, results, issues, seconds))
}

/// Every run in order: seed by seed, and within a seed arm by arm. Seeds come with their places among all of the study's.
fn interleave(arms: &[Arm], seeds: &[(usize, u64)]) -> Vec<(Arm, u64)> {
    let of_seed = |&(place, seed): &(usize, u64)| {
        arms.iter().filter(move |arm| place < arm.seeds).map(move |arm| (arm.clone(), seed)).collect::<Vec<_>>()
    };
    seeds.iter().flat_map(of_seed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gauges::{Alignment, UPDATE_COSINE};
    use crate::names::{ACCURACY, LOSS, TEST_LOSS};
    use crate::test_host::TestHost;
    use crate::{Answer, Bound, Branch, Judged, Label, Number, StudyError};
    use engine::figure::Holds;
    use engine::spec::{DataSet, DataSpec, MlpSpec, ModelSpec, RunSpec, ScheduleSpec, Shape};

    #[test]
    fn arms_take_turns_within_a_seed() {
        let arm = |id: &str, seeds| Arm { seeds, ..Arm::new(Label::new(id, id), RunSpec::default()) };
        let runs = interleave(&[arm("A", 9), arm("B", 1)], &[(0, 5), (1, 6)]);
        let order: Vec<_> = runs.iter().map(|(arm, seed)| (arm.label.id.as_str(), *seed)).collect();
        assert_eq!(order, [("A", 5), ("B", 5), ("A", 6)]);
    }

    /// Two tiny arms, of which one cannot learn.
    const TINY: Study = Study {
        claim: "A network that is trained learns.",
        seeds: 2,
        protocol: Protocol::Runs(tiny_arms),
        answer: |results| {
            let loss = |arm: &str| results.sample(arm, LOSS);
            let gain = loss("still").minus(&loss("trained"));
            Answer::new(Judged::every_seed("loss", &gain, Bound::Above(0.1), "nats"), "")
        },
        ..Study::BASE
    };

    fn tiny_arms(_: &Knobs) -> Vec<Arm> {
        let arm = |id: &str, peak: f64| {
            let mut spec = RunSpec {
                data: DataSpec { train: 64, test: 32, ..DataSpec::of(DataSet::Mixture) },
                model: ModelSpec::Mlp(MlpSpec { hidden: vec![8], ..MlpSpec::default() }),
                steps: 30,
                ..RunSpec::default()
            };
            spec.schedule.peak = peak;
            Arm::new(Label::new(id, id), spec)
        };
        vec![arm("trained", 0.05), arm("still", 1e-9)]
    }

    #[test]
    fn a_study_runs_its_arms_and_judges_them() {
        let host = TestHost::new(u32::MAX);
        let settings = Settings { first_seed: 7, ..Settings::default() };
        let finished = pollster::block_on(run(&TINY, &settings, &host)).unwrap();
        assert_eq!(finished.results.seeds, [7, 8]);
        assert_eq!(finished.results.finished(), 4);
        assert_eq!(finished.verdict.holds, Holds::Yes, "{:?}", finished.verdict);
        for label in &finished.results.arms {
            for (_, outcome) in finished.results.outcomes(&label.id) {
                assert_eq!(outcome.curve(LOSS).len(), 30);
                assert!(outcome.curve(ACCURACY).len() >= 10 && outcome.numbers.contains_key(&TEST_LOSS.last()));
            }
        }
        assert!(host.told.get() >= 40 && host.shown.get() > 0);
        let again = pollster::block_on(run(&TINY, &settings, &host)).unwrap();
        let losses = |finished: &Finished| finished.results.sample("trained", TEST_LOSS);
        assert_eq!(losses(&finished), losses(&again), "the same seeds give the same numbers");
        let part = |part| pollster::block_on(run_part(&TINY, &settings, part, &host)).unwrap();
        let joined = join(&TINY, vec![part(0..1), part(1..2)], 3.0).unwrap();
        assert_eq!(joined.results.seeds, [7, 8]);
        assert_eq!(losses(&joined), losses(&finished), "and so do seeds that run apart");
        assert_eq!((joined.verdict, joined.seconds), (finished.verdict, 3.0));
    }

    const PICTURES: Number = Number::new("pictured", "");

    /// A program that says of which seeds it may draw pictures.
    const PICTURED: Study = Study {
        protocol: Protocol::Program {
            arms: |_| vec![Label::new("A", "arm")],
            run: |context| {
                Box::pin(async {
                    for seed in context.results.seeds.clone() {
                        let pictured = context.pictures(seed);
                        context.results.record("A", seed)?.number(PICTURES, f64::from(u8::from(pictured)));
                    }
                    Ok(())
                })
            },
            timed: false,
        },
        ..TINY
    };

    #[test]
    fn pictures_are_of_the_first_seed_also_where_seeds_run_apart() {
        let host = TestHost::new(u32::MAX);
        let settings = Settings { first_seed: 7, ..Settings::default() };
        for (part, pictured) in [(0..2, vec![(7, 1.0), (8, 0.0)]), (0..1, vec![(7, 1.0)]), (1..2, vec![(8, 0.0)])] {
            let ended = pollster::block_on(run_part(&PICTURED, &settings, part, &host)).unwrap();
            assert_eq!(ended.results.sample("A", PICTURES).0, pictured);
        }
    }

    /// One arm whose branch decays to nothing.
    const BRANCHED: Study = Study { protocol: Protocol::Runs(branched_arms), ..TINY };

    fn branched_arms(knobs: &Knobs) -> Vec<Arm> {
        let mut arm = tiny_arms(knobs).remove(0);
        arm.spec.schedule = ScheduleSpec { kind: Shape::Constant, warmup: 0, ..arm.spec.schedule };
        let schedule = ScheduleSpec { kind: Shape::Wsd, decay: 5, ..arm.spec.schedule.clone() };
        arm.branches.push(Branch { label: Label::new("decayed", "decayed"), at: 10, schedule, steps: 15 });
        arm.reads = vec![17];
        arm.gauges = vec![Alignment::over(3)];
        vec![arm]
    }

    #[test]
    fn a_branch_is_recorded_as_an_arm_and_leaves_its_main_line_alone() {
        let host = TestHost::new(u32::MAX);
        let results = |study| pollster::block_on(run(study, &Settings::default(), &host)).unwrap().results;
        let branched = results(&BRANCHED);
        assert_eq!(branched.arms.iter().map(|label| label.id.as_str()).collect::<Vec<_>>(), ["trained", "decayed"]);
        assert_eq!(branched.finished(), 4);
        let (main, decayed) = (branched.outcome("trained", 1).unwrap(), branched.outcome("decayed", 1).unwrap());
        // A branch's curves start with the main line's last point.
        assert_eq!((main.curve(LOSS).len(), decayed.curve(LOSS).len()), (30, 6));
        assert_eq!(main.at(TEST_LOSS, 10.0), decayed.at(TEST_LOSS, 10.0));
        assert!(!main.at(TEST_LOSS, 17.0).is_nan());
        assert_ne!(main.at(TEST_LOSS, 15.0), decayed.at(TEST_LOSS, 15.0));
        let cosines = main.curve(UPDATE_COSINE);
        assert!(cosines.len() > 5 && cosines.iter().all(|[_, cosine]| cosine.abs() <= 1.0));
        const ALONE: Study = Study {
            protocol: Protocol::Runs(|knobs| {
                let arm = branched_arms(knobs).remove(0);
                vec![Arm { branches: vec![], ..arm }]
            }),
            ..TINY
        };
        let alone = results(&ALONE);
        assert_eq!(alone.outcome("trained", 1).unwrap().curve(LOSS), main.curve(LOSS), "to the last bit");
    }

    #[test]
    fn a_study_stops_when_asked() {
        let host = TestHost::new(40);
        let ended = pollster::block_on(run(&TINY, &Settings::default(), &host));
        assert!(matches!(ended, Err(StudyError::Cancelled)));
    }
}
