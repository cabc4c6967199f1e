//! The continual lab: tasks arrive one after another, and several strategies learn them side by side.
//!
//! A link carries the whole of a session: `#continual?stream=split-mnist&strategies=fine-tuning,replay&memory=1000`. This
//! module is vocabulary, which the page has too: what a session is ([`ContinualSpec`]), what strategies there are, what is
//! told while it runs, and the numbers that are read off it. The crate `studies` does the work, in its worker and on the
//! command line.

mod arm;
mod fields;
mod figures;
mod link;
mod presets;
mod record;
mod spec;
mod strategy;
mod told;

#[cfg(test)]
mod tests;

pub use arm::{Arm, Leg};
pub use fields::{FIELDS, Field, field};
pub use figures::{Shown, look};
pub use presets::{PRESETS, Preset, preset};
pub use record::{Cost, Insight, Moved, Reading, Record, Sharpness, Summary};
pub use spec::{
    ContinualSpec, Descent, Encoder, Head, MAX_ARMS, MAX_SEEDS, MAX_STARTED, MAX_TASKS, Network, Order, Scenario,
    StreamKind,
};
pub use strategy::{SETTINGS, STRATEGIES, Setting, Strategy, StrategyRow, setting};
pub use told::{ContinualCommand, ContinualEvent, Course, Export, Memory, Published};
