//! Sessions worth starting from, by name.

use super::{Arm, ContinualSpec, Network, Strategy, StreamKind};
use crate::text::Text;

/// A named session to start from.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// As in links.
    pub id: &'static str,
    /// As on the page.
    pub label: &'static str,
    /// What it shows, in one line.
    pub line: Text,
    build: fn() -> ContinualSpec,
}

impl Preset {
    /// The session itself.
    #[must_use]
    pub fn spec(&self) -> ContinualSpec {
        ContinualSpec { preset: self.id.into(), ..(self.build)() }
    }
}

/// Every preset; the first is the quickest to show something.
pub const PRESETS: &[Preset] = &[
    Preset {
        id: "watch-it-forget",
        label: "Watch it forget",
        line: Text::new("The second task of split MNIST takes the first one away; a memory of 500 examples keeps it."),
        build: watch,
    },
    Preset {
        id: "four-ways",
        label: "Four ways to learn five tasks",
        line: Text::new("Split MNIST in one pass: fine-tuning, EWC, replay, and everything again."),
        build: ContinualSpec::default,
    },
    Preset {
        id: "memories",
        label: "What a memory is worth",
        line: Text::new("GDumb trains on nothing but its memory: how large must it be?"),
        build: memories,
    },
    Preset {
        id: "penalties",
        label: "Penalties where they work",
        line: Text::new("Permuted MNIST: EWC and SI hold what matters, and the rest learns."),
        build: penalties,
    },
    Preset {
        id: "frozen",
        label: "What cannot be forgotten",
        line: Text::new("On frozen features a class mean does not move, and a linear head does."),
        build: frozen,
    },
    Preset {
        id: "letters",
        label: "A hundred letters",
        line: Text::new("Ten letters a task: without a memory each task's are gone when the next ones come."),
        build: letters,
    },
    Preset {
        id: "about-a-border",
        label: "Curvature about a border",
        line: Text::new("How sharply the loss bends on the task left and on the one begun, with and without a memory."),
        build: about_a_border,
    },
];

/// The preset of that id.
#[must_use]
pub fn preset(id: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.id == id)
}

fn arms(texts: &[&str]) -> Vec<Arm> {
    texts.iter().filter_map(|text| Arm::read(text).ok()).collect()
}

fn watch() -> ContinualSpec {
    let arms = arms(&["fine-tuning", "replay:memory=500"]);
    ContinualSpec { tasks: 2, examples: 1000, readings: 20, arms, ..ContinualSpec::default() }
}

fn about_a_border() -> ContinualSpec {
    ContinualSpec { curvature: 32, ..watch() }
}

fn letters() -> ContinualSpec {
    let (stream, arms) = (StreamKind::SplitGlyphs, arms(&["fine-tuning", "replay:memory=500"]));
    let (scenario, tasks) = stream.usual();
    ContinualSpec { stream, scenario, tasks, passes: 3, tested: 100, arms, ..ContinualSpec::default() }
}

fn memories() -> ContinualSpec {
    ContinualSpec {
        arms: arms(&["gdumb:memory=500", "gdumb:memory=1000", "gdumb:memory=4400"]),
        ..ContinualSpec::default()
    }
}

fn penalties() -> ContinualSpec {
    let (scenario, tasks) = StreamKind::PermutedMnist.usual();
    let arms = [Strategy::FineTuning, Strategy::Ewc, Strategy::Si, Strategy::Replay].map(Arm::new).to_vec();
    ContinualSpec {
        stream: StreamKind::PermutedMnist,
        scenario,
        tasks,
        examples: 4000,
        arms,
        ..ContinualSpec::default()
    }
}

fn frozen() -> ContinualSpec {
    let arms = [Strategy::Probe, Strategy::NearestMean, Strategy::Slda, Strategy::KeyValue].map(Arm::new).to_vec();
    ContinualSpec {
        network: Network::Encoder,
        hidden: Vec::new(),
        examples: 400,
        passes: 5,
        arms,
        ..ContinualSpec::default()
    }
}
