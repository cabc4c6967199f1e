//! Runs a study: every arm with the first seed, then with the second, so that what is shown is balanced at any moment.

use crate::figure::{Figure, Verdict};
use crate::spec::{Issue, MAX_SAFE_INTEGER};

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

/// Runs a study to its end, or until the host cancels it.
pub async fn run(study: &'static Study, settings: &Settings, host: &dyn Host) -> Result<Finished, StudyError> {
    let started = host.now_ms();
    let (knobs, issues) = Knobs::new(&(study.knobs)(), &settings.knobs);
    let count = if settings.seeds == 0 { study.seeds } else { settings.seeds.min(MAX_SEEDS) };
    let first = settings.first_seed.min(MAX_SAFE_INTEGER - u64::from(MAX_SEEDS));
    let seeds: Vec<u64> = (first..).take(count as usize).collect();
    let results = Results::new(knobs.clone(), study.arms(&knobs), seeds.clone());
    let results = match study.protocol {
        Protocol::Runs(arms) => {
            let runs = interleave(arms(&knobs), &seeds);
            let work: u64 = runs.iter().map(|(arm, _)| arm.spec.steps).sum();
            let mut context = Context::new(study, results, runs.len() as u32, host).await?;
            let mut done = 0;
            for (arm, seed) in &runs {
                let before = done;
                done += arm.spec.steps;
                let [from, to] = [before, done].map(|steps| steps as f64 / work.max(1) as f64);
                context.train(arm, *seed, Share::ALL.between(from, to)).await?;
            }
            context.results
        }
        Protocol::Program { arms, run } => {
            let total = arms(&knobs).len() as u32 * count;
            let mut context = Context::new(study, results, total, host).await?;
            run(&mut context).await?;
            context.results
        }
    };
    let seconds = (host.now_ms() - started) / 1000.0;
    Ok(Finished { figures: (study.figures)(&results), verdict: (study.verdict)(&results), results, issues, seconds })
}

/// Every run in order: seed by seed, and within a seed arm by arm.
fn interleave(arms: Vec<Arm>, seeds: &[u64]) -> Vec<(Arm, u64)> {
    let of_seed = |(number, &seed): (usize, &u64)| {
        arms.iter().filter(move |arm| number < arm.seeds).map(move |arm| (arm.clone(), seed)).collect::<Vec<_>>()
    };
    seeds.iter().enumerate().flat_map(of_seed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Holds;
    use crate::spec::{DataSet, DataSpec, MlpSpec, ModelSpec, RunSpec};
    use crate::study::test_host::TestHost;
    use crate::study::{Bound, Checks, Label, StudyError};

    #[test]
    fn arms_take_turns_within_a_seed() {
        let arm = |id: &str, seeds| Arm { seeds, ..Arm::new(Label::new(id, id), RunSpec::default()) };
        let runs = interleave(vec![arm("A", 9), arm("B", 1)], &[5, 6]);
        let order: Vec<_> = runs.iter().map(|(arm, seed)| (arm.label.id.as_str(), *seed)).collect();
        assert_eq!(order, [("A", 5), ("B", 5), ("A", 6)]);
    }

    /// Two tiny arms, of which one cannot learn.
    const TINY: Study = Study {
        id: 0,
        slug: "tiny",
        title: "Does a learning rate help?",
        paper: "",
        authors: "",
        year: 0,
        source: "",
        themes: &[],
        claim: "A network that is trained learns.",
        why: "",
        expected: "",
        differs: "",
        seeds: 2,
        flop: 1.0,
        knobs: Vec::new,
        protocol: Protocol::Runs(tiny_arms),
        figures: |_| vec![],
        verdict: |results| {
            let loss = |arm: &str| results.sample(arm, "loss");
            let mut checks = Checks::new();
            checks.every_seed("loss", &loss("still").minus(&loss("trained")), Bound::Above(0.1), "nats");
            checks.verdict(&TINY, String::new())
        },
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
                assert_eq!(outcome.curves["loss"].len(), 30);
                assert!(outcome.curves["accuracy"].len() >= 10 && outcome.numbers.contains_key("test_loss"));
            }
        }
        assert!(host.told.get() >= 40 && host.shown.get() > 0);
        let again = pollster::block_on(run(&TINY, &settings, &host)).unwrap();
        let losses = |finished: &Finished| finished.results.sample("trained", "test_loss");
        assert_eq!(losses(&finished), losses(&again), "the same seeds give the same numbers");
    }

    #[test]
    fn a_study_stops_when_asked() {
        let host = TestHost::new(40);
        let ended = pollster::block_on(run(&TINY, &Settings::default(), &host));
        assert!(matches!(ended, Err(StudyError::Cancelled)));
    }
}
