//! Studies: research papers as experiments that run here, judged by their own numbers.
//!
//! A study is one file, `sNN_slug.rs`, with one [`Study`] in it that reads like its card: what the paper claims, what is
//! compared, what should happen. Where arms are ordinary training runs it lists their [`RunSpec`]s; where a protocol needs a
//! program it is an async function over a [`Context`]. Either way the runs fill [`Results`], and figures and verdict are
//! functions of these alone, so that they are the same live, in the end, and in the command line's JSON.
//!
//! A new study: a file, and a line in the list below; `minibatch study new NN slug` writes both. ARCHITECTURE.md says how.
#![allow(clippy::needless_update, reason = "every study ends with its base, so that a new field edits none of them")]

mod arm;
mod context;
pub mod continual;
mod diverged;
pub mod encoder;
#[cfg(test)]
mod example;
mod fetch;
pub mod fewshot;
pub mod gauges;
mod image_graph;
mod images;
mod judge;
mod knobs;
mod largest;
mod line;
pub mod names;
pub mod pairs;
pub mod plot;
mod population;
mod results;
mod runner;
mod script;
pub mod session;
mod share;
#[cfg(test)]
mod test_help;
#[cfg(test)]
mod test_host;
#[cfg(test)]
mod test_page;

/// The source of the smallest whole study, as ARCHITECTURE.md shows it: what a new one begins from.
pub const EXAMPLE: &str = include_str!("example.rs");

/// A module for each of these files, and their studies as a list.
macro_rules! studies {
    ($($file:ident)*) => {
        $(mod $file;)*

        /// Every study, by number.
        pub const STUDIES: &[&Study] = &[$(&$file::STUDY),*];
    };
}

studies! {
    s01_rmt_learning_rates
    s02_lamb
    s03_hard_samples
    s04_pytorch_direct
    s05_conadv
    s06_bcn_ws
    s07_layer_norm
    s10_multigrid
    s12_key_value_bottleneck
    s14_wsd
    s15_cct
    s18_power_scheduler
    s20_scaling_laws
    s21_look
    s23_transductive_few_shot
    s25_train_longer
    s27_nearest_mean_classifier
    s29_susana_distancia
    s30_fscil_tricks
    s38_fast_slow
    s44_mip_hypernetworks
    s45_federated_reconnaissance
    s46_pbt
    s47_dependency_hypernetworks
    s48_infinite_schedule
    s51_tune_mode
    s54_clr
    s55_ngame
    s58_batchnorm_only
    s59_adadagrad
}

pub use arm::{Arm, Branch, Source, TestSet};
pub use context::{Context, Host, Task};
pub use judge::{Answer, Bound, Judged, versus};
pub use knobs::{AnyKnob, Knob, Knobs};
pub use names::{Curve, Number};
pub use plot::Plot;
pub use results::{Label, Outcome, Results, Sample};
pub use runner::{Finished, Part, Settings, join, run, run_part};
pub use share::Share;

use engine::data::DataError;
use engine::executor::ExecError;
use engine::figure::Figure;
use engine::graph::GraphError;
use engine::model::ModelError;
use engine::protocol::StudyCard;
use engine::tape::PlayError;
use engine::train::TrainError;

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
    /// What is different here from the paper, and why.
    pub differs: &'static str,
    /// Seeds per arm unless asked otherwise.
    pub seeds: u32,
    /// Seconds that a default run takes on one core of the machine on which STUDIES.md was written.
    pub seconds: f64,
    /// What can be turned.
    pub knobs: &'static [&'static dyn AnyKnob],
    /// Turned knobs, id and value, that are judged beside the defaults where all studies are run and written down.
    pub also: &'static [[&'static str; 2]],
    /// How it runs.
    pub protocol: Protocol,
    /// What it shows, what matters most first: the page folds all but six away. Of no results, what will appear.
    pub figures: fn(&Results) -> Vec<Plot>,
    /// What it concludes.
    pub answer: fn(&Results) -> Answer,
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
    /// A study of nothing: what a study leaves out is as here.
    pub const BASE: Self = Self {
        id: 0,
        slug: "",
        title: "",
        paper: "",
        authors: "",
        year: 0,
        source: "",
        themes: &[],
        claim: "",
        why: "",
        differs: "",
        seeds: 3,
        seconds: 0.0,
        knobs: &[],
        also: &[],
        protocol: Protocol::Runs(|_| vec![]),
        figures: |_| vec![],
        answer: |_| Answer::new(Judged::value("nothing", f64::NAN, Bound::Above(0.0), ""), ""),
    };

    /// Its figures of some results.
    #[must_use]
    pub fn drawn(&self, results: &Results) -> Vec<Figure> {
        plot::draw((self.figures)(results))
    }

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
        let (values, _) = Knobs::new(self.knobs, &[]);
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
            knobs: self.knobs.iter().map(|knob| knob.control()).collect(),
            figures: self.drawn(&nothing),
            expected: judge::expected(self, &nothing),
            seeds: self.seeds,
            seconds: self.seconds,
            reference: None,
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
    use super::test_help::{turned, unmeasured};
    use super::test_host::TestHost;
    use super::*;
    use engine::figure::{Holds, Kind};

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
                turned(study, &[(id, value)]);
            }
        }
    }

    #[test]
    fn cards_are_complete_before_anything_has_run() {
        for card in cards() {
            for text in [&card.title, &card.claim, &card.why, &card.differences, &card.paper, &card.source] {
                assert!(!text.is_empty(), "study {}", card.id);
            }
            assert!(!card.figures.is_empty() && card.seeds > 0 && card.seconds > 0.0 && !card.expected.is_empty());
            for figure in &card.figures {
                let named = !figure.id.is_empty() && !figure.title.is_empty() && !figure.meaning.is_empty();
                assert!(named, "study {}: {}", card.id, figure.title);
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
            let nothing = unmeasured(study, &[], &[1]);
            assert_ne!((study.answer)(&nothing).verdict(study).holds, Holds::Yes, "study {}", study.id);
        }
    }

    /// The values of a knob that its study treats differently: of a choice or flag all, else the ends of its range.
    fn values(knob: &engine::figure::Knob) -> Vec<String> {
        match &knob.kind {
            Kind::Choice { options } => options.iter().map(|option| option.id.to_string()).collect(),
            Kind::Integer { min, max, .. } => [min, max].map(ToString::to_string).to_vec(),
            Kind::Number { min, max, .. } => [min, max].map(ToString::to_string).to_vec(),
            _ => ["false", "true"].map(str::to_owned).to_vec(),
        }
    }

    /// What a study would show with these knobs if it had measured nothing; its recipes are valid.
    fn turn(study: &'static Study, pairs: &[(&str, &str)]) {
        let knobs = turned(study, pairs);
        let results = Results::new(knobs.clone(), study.arms(&knobs), vec![1]);
        let _ = study.drawn(&results);
        let _ = (study.answer)(&results);
        if let Protocol::Runs(arms) = study.protocol {
            for arm in arms(&knobs) {
                assert_eq!(arm.spec.validate(), [], "study {} with {pairs:?}", study.id);
            }
        }
    }

    /// Turned to each of its values every knob is read, no other is, and each arm's recipe is valid: [`Knobs::get`] fails in
    /// tests on a knob that is not listed.
    #[test]
    fn every_knob_can_be_turned_and_no_other_is_read() {
        for study in STUDIES {
            for knob in study.knobs {
                for value in values(&knob.control()) {
                    turn(study, &[(knob.id(), &value)]);
                }
            }
        }
    }

    #[test]
    fn every_two_knobs_can_be_turned_together() {
        for study in STUDIES {
            for (i, one) in study.knobs.iter().enumerate() {
                for other in &study.knobs[..i] {
                    for value in values(&one.control()) {
                        for second in values(&other.control()) {
                            turn(study, &[(one.id(), &value), (other.id(), &second)]);
                        }
                    }
                }
            }
        }
    }

    /// A program reads more of its knobs as it begins than its figures do: all at their least or most together.
    #[test]
    fn every_study_begins_in_the_corners_of_its_knobs() {
        for study in STUDIES {
            for last in [false, true] {
                let knobs = study.knobs.iter().map(|knob| {
                    let values = values(&knob.control());
                    let value = if last { values.last() } else { values.first() };
                    (knob.id().to_owned(), value.cloned().unwrap_or_default())
                });
                let settings = Settings { seeds: 1, knobs: knobs.collect(), ..Settings::default() };
                let ended = pollster::block_on(run(study, &settings, &TestHost::new(10)));
                assert!(matches!(ended, Err(StudyError::Cancelled)), "study {}: {:?}", study.id, ended.err());
            }
        }
    }

    #[test]
    fn the_example_is_what_the_page_on_writing_studies_shows_and_runs() {
        let page = include_str!("../../../ARCHITECTURE.md");
        assert!(page.contains(EXAMPLE), "ARCHITECTURE.md shows another example.rs");
        assert!(EXAMPLE.lines().count() <= 60, "an example is read at a glance");
        let host = TestHost::new(u32::MAX);
        let finished = pollster::block_on(run(&example::STUDY, &Settings::default(), &host)).unwrap();
        assert_eq!((finished.results.finished(), finished.figures.len()), (6, 1));
    }

    /// A program reads its knobs as it begins: it goes on until it has been asked some times whether to stop.
    #[test]
    fn every_study_begins_and_can_be_cancelled() {
        for study in STUDIES {
            let host = TestHost::new(30);
            let ended = pollster::block_on(run(study, &Settings { seeds: 1, ..Settings::default() }, &host));
            assert!(matches!(ended, Err(StudyError::Cancelled)), "study {}", study.id);
        }
    }
}
