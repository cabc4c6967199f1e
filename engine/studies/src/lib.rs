//! Studies: research papers as experiments that run here, judged by their own numbers.
//!
//! A study is one file, `sNN_slug.rs`, with one [`Study`] in it that reads like its card: what the paper claims, what is
//! compared, what should happen. Where arms are ordinary training runs it lists their [`RunSpec`]s; where a protocol needs a
//! program it is an async function over a [`Context`]. Either way the runs fill [`Results`], and figures and verdict are
//! functions of these alone, so that they are the same live, in the end, and in the command line's JSON.
//!
//! A new study: a file, and a line in [`STUDIES`].

mod arm;
mod context;
mod draw;
mod judge;
mod knobs;
mod largest;
mod line;
mod results;
mod runner;
mod s01_rmt_learning_rates;
mod s04_pytorch_direct;
mod s14_wsd;
mod s15_cct;
mod s48_infinite_schedule;
mod s59_adadagrad;
pub mod session;
mod share;
#[cfg(test)]
mod test_help;
#[cfg(test)]
mod test_host;
mod updates;

pub use arm::{Arm, Branch, Source, TestSet};
pub use context::{Context, Host, Task};
pub use judge::{Bound, Checks};
pub use knobs::Knobs;
pub use results::{Label, Outcome, Results, Sample};
pub use runner::{Finished, Part, Settings, join, run, run_part};
pub use share::Share;

use engine::data::DataError;
use engine::executor::ExecError;
use engine::figure::{Figure, Knob, Verdict, brief};
use engine::graph::GraphError;
use engine::model::ModelError;
use engine::protocol::StudyCard;
use engine::tape::PlayError;
use engine::train::TrainError;

/// Every study, by number.
pub const STUDIES: &[&Study] = &[
    &s01_rmt_learning_rates::STUDY,
    &s04_pytorch_direct::STUDY,
    &s14_wsd::STUDY,
    &s15_cct::STUDY,
    &s48_infinite_schedule::STUDY,
    &s59_adadagrad::STUDY,
];

/// A paper as an experiment.
#[derive(Debug)]
pub struct Study {
    /// Its number.
    pub id: u32,
    /// Its name in links.
    pub slug: &'static str,
    /// Its question or finding.
    pub title: &'static str,
    /// The paper's title.
    pub paper: &'static str,
    /// Its authors.
    pub authors: &'static str,
    /// Its year.
    pub year: u32,
    /// Where to read it.
    pub source: &'static str,
    /// Themes to filter by.
    pub themes: &'static [&'static str],
    /// What the paper claims.
    pub claim: &'static str,
    /// Why that should be so.
    pub why: &'static str,
    /// What should be seen here if the claim holds.
    pub expected: &'static str,
    /// What is different here from the paper, and why.
    pub differs: &'static str,
    /// Seeds per arm unless asked otherwise.
    pub seeds: u32,
    /// FLOP of a default run, estimated.
    pub flop: f64,
    /// What can be turned.
    pub knobs: fn() -> Vec<Knob>,
    /// Turned knobs, id and value, that are judged beside the defaults where all studies are run and written down.
    pub also: &'static [[&'static str; 2]],
    /// How it runs.
    pub protocol: Protocol,
    /// What it shows; of no results, what will appear.
    pub figures: fn(&Results) -> Vec<Figure>,
    /// What it concludes.
    pub verdict: fn(&Results) -> Verdict,
}

/// How a study runs.
#[derive(Debug)]
pub enum Protocol {
    /// Ordinary training runs with their branches, one for each arm and seed.
    Runs(fn(&Knobs) -> Vec<Arm>),
    /// A program over the context, which records what it measures under these arms.
    Program {
        /// What is compared.
        arms: fn(&Knobs) -> Vec<Label>,
        /// The program; it runs every seed of the results, each independently of the others.
        run: for<'a> fn(&'a mut Context) -> Task<'a, Result<(), StudyError>>,
        /// Whether it measures time, so that nothing else may run beside it.
        timed: bool,
    },
}

/// Why a study ended early.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// It was asked to.
    #[error("the study was cancelled")]
    Cancelled,
    /// A training run failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A graph could not be built.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The executor failed.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// A data set could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A recorded step could not be run.
    #[error(transparent)]
    Play(PlayError),
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

impl From<ModelError> for StudyError {
    fn from(error: ModelError) -> Self {
        StudyError::Play(error.into())
    }
}

impl From<PlayError> for StudyError {
    fn from(error: PlayError) -> Self {
        match error {
            PlayError::Cancelled => StudyError::Cancelled,
            error => StudyError::Play(error),
        }
    }
}

impl Study {
    /// What is compared, given the knobs.
    #[must_use]
    pub fn arms(&self, knobs: &Knobs) -> Vec<Label> {
        match self.protocol {
            Protocol::Runs(arms) => arms(knobs).iter().flat_map(Arm::labels).collect(),
            Protocol::Program { arms, .. } => arms(knobs),
        }
    }

    /// Whether it measures time, so that nothing else may run beside it.
    #[must_use]
    pub const fn timed(&self) -> bool {
        matches!(self.protocol, Protocol::Program { timed: true, .. })
    }

    /// As the gallery shows it.
    #[must_use]
    pub fn card(&self) -> StudyCard {
        let knobs = (self.knobs)();
        let (values, _) = Knobs::new(&knobs, &[]);
        let nothing = Results::new(values.clone(), self.arms(&values), vec![]);
        StudyCard {
            id: self.id,
            slug: self.slug.into(),
            title: self.title.into(),
            paper: self.paper.into(),
            authors: self.authors.into(),
            year: self.year,
            source: self.source.into(),
            claim: self.claim.into(),
            why: self.why.into(),
            differences: self.differs.into(),
            themes: self.themes.iter().map(|&theme| theme.into()).collect(),
            knobs,
            figures: (self.figures)(&nothing),
            seeds: self.seeds,
            flop: self.flop,
        }
    }
}

/// The study of that number or slug.
#[must_use]
pub fn find(name: &str) -> Option<&'static Study> {
    let number = name.parse::<u32>().ok();
    STUDIES.iter().copied().find(|study| Some(study.id) == number || study.slug == name)
}

/// Every study as the gallery shows it.
#[must_use]
pub fn cards() -> Vec<StudyCard> {
    STUDIES.iter().map(|study| study.card()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn studies_are_in_order_and_found_by_number_and_slug() {
        assert!(STUDIES.is_sorted_by_key(|study| study.id));
        for study in STUDIES {
            assert_eq!(find(study.slug).map(|found| found.id), Some(study.id));
            assert_eq!(find(&format!("{:02}", study.id)).map(|found| found.id), Some(study.id));
        }
        assert!(find("no such study").is_none());
        for study in STUDIES {
            for [id, value] in study.also {
                let (_, issues) = Knobs::new(&(study.knobs)(), &[((*id).into(), (*value).into())]);
                assert!(issues.is_empty(), "study {}: {issues:?}", study.id);
            }
        }
    }

    #[test]
    fn cards_are_complete_before_anything_has_run() {
        for card in cards() {
            for text in [&card.title, &card.claim, &card.why, &card.differences, &card.paper, &card.source] {
                assert!(!text.is_empty(), "study {}", card.id);
            }
            assert!(!card.figures.is_empty() && card.seeds > 0 && card.flop > 0.0);
            for figure in &card.figures {
                assert!(!figure.id.is_empty() && !figure.title.is_empty() && !figure.meaning.is_empty());
                assert!(!figure.marks.is_empty() || !figure.empty.is_empty(), "{}: empty without a word", figure.id);
            }
            for knob in &card.knobs {
                assert!(knob.kind.parse(&knob.default).is_ok(), "study {}: default of {}", card.id, knob.id);
            }
        }
    }

    #[test]
    fn without_results_nothing_is_claimed() {
        for study in STUDIES {
            let (knobs, _) = Knobs::new(&(study.knobs)(), &[]);
            let nothing = Results::new(knobs.clone(), study.arms(&knobs), vec![1]);
            let verdict = (study.verdict)(&nothing);
            assert_eq!(verdict.holds, engine::figure::Holds::No);
            assert!(!verdict.checks.is_empty());
        }
    }
}
