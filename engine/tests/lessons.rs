//! The lessons that come with the page: each can be read, and what it concludes is what its runs show.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy.toml allows it in tests, and what helps them is no less a test"
)]

mod native;

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use engine::lesson::{Lesson, Measured, Quantity};
use engine::protocol::{Command, Event, RunCommand, RunEvent, RunState};
use engine::session::{Inbox, Session};
use engine::spec::RunSpec;

use native::Native;

/// Seeds that every lesson is tried with.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=5;

fn lessons() -> Vec<(String, Lesson)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../app/lessons");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let lesson = Lesson::read(&std::fs::read_to_string(path).unwrap());
        (name.clone(), lesson.unwrap_or_else(|fault| panic!("{name}: {fault}")))
    };
    files.iter().map(read).collect()
}

#[test]
fn every_lesson_has_a_few_steps_that_ask_run_and_conclude() {
    let lessons = lessons();
    assert!(lessons.len() >= 8);
    assert_eq!(lessons.iter().filter(|(_, lesson)| lesson.card.is_some()).count(), 6);
    for (name, lesson) in lessons {
        assert!((5..=7).contains(&lesson.steps.len()), "{name} has {} steps", lesson.steps.len());
        assert!(!lesson.about.is_empty(), "{name}");
        for step in &lesson.steps {
            let what = format!("{name}, {}", step.title);
            assert!(!step.text.is_empty(), "{what} says nothing");
            assert!(step.run.is_none() || !step.conclusions.is_empty(), "{what} runs and concludes nothing");
            assert!(step.show.len() <= 6, "{what} shows {} controls", step.show.len());
        }
        assert!(lesson.steps.iter().filter(|step| step.ask.is_some()).count() >= 2, "{name} asks too little");
    }
}

#[test]
#[ignore = "minutes: every run of every lesson with five seeds"]
fn what_a_lesson_concludes_is_what_its_runs_show() {
    for (name, lesson) in lessons() {
        for seed in SEEDS {
            let mut runs: BTreeMap<String, Seen> = BTreeMap::new();
            for step in &lesson.steps {
                if let Some(run) = &step.run {
                    runs.insert(run.clone(), train(RunSpec { seed, ..step.spec.clone() }));
                }
                let ask = |run: &str, quantity: Quantity| runs.get(run).map(|seen| seen.quantity(quantity));
                let what = format!("{name}, {}, seed {seed}", step.title);
                if let Some(place) = step.concluded(&ask) {
                    let (condition, words) = &step.conclusions[place];
                    let said = words.said(&ask, &|value| value.to_string());
                    assert!(condition.is_some(), "{what}: {said}");
                }
                if let Some(question) = &step.ask {
                    assert!(question.right(&ask).is_some(), "{what}: no answer fits");
                }
            }
        }
    }
}

/// What a run has told.
#[derive(Default)]
struct Seen {
    losses: Vec<f32>,
    tests: Vec<[f64; 2]>,
    failed: bool,
    ended: bool,
}

impl Seen {
    fn quantity(&self, quantity: Quantity) -> f64 {
        Measured { losses: &self.losses, tests: &self.tests, failed: self.failed }.quantity(quantity)
    }

    fn take(&mut self, event: Event) {
        let what = match event {
            Event::Error { message, .. } => panic!("{message}"),
            Event::Run { what, .. } => what,
            _ => return,
        };
        match what {
            RunEvent::Metrics(metrics) => {
                self.losses.truncate(metrics.first_step as usize);
                self.losses.extend(metrics.loss);
            }
            RunEvent::Evaluated { loss, accuracy, .. } => self.tests.push([loss, accuracy.unwrap_or(f64::NAN)]),
            RunEvent::NonFinite { .. } => (self.failed, self.ended) = (true, true),
            RunEvent::State { state, .. } => {
                self.failed |= state == RunState::Failed;
                self.ended |= matches!(state, RunState::Done | RunState::Failed);
            }
            _ => {}
        }
    }
}

/// Trains as the page's worker does.
fn train(spec: RunSpec) -> Seen {
    let (host, inbox) = (Rc::new(Native::default()), Inbox::default());
    let mut session = Session::new(host.clone(), inbox.clone());
    for what in [RunCommand::Configure { spec }, RunCommand::Train] {
        inbox.push((Command::Run { run: 1, what }, vec![]));
    }
    let mut seen = Seen::default();
    while !seen.ended {
        pollster::block_on(session.turn());
        host.events.take().into_iter().for_each(|(event, _)| seen.take(event));
    }
    seen
}
