//! The few-shot lab: a network is shown one to some examples of classes that it never saw, and methods of the literature
//! classify further ones.
//!
//! A link carries the whole of it: `#fewshot?preset=stars-walk&ways=5&shots=1&method=slk-ms`. This module is vocabulary
//! (what a session of the lab is, its settings and methods, what page and worker say to each other); the studies' crate
//! computes. A session's numbers depend on its spec alone, as long as no time limit ends the training.

mod command;
mod event;
mod figures;
mod link;
mod methods;
mod presets;
mod settings;
mod spec;
#[cfg(test)]
mod tests;

pub use command::{ExportKind, FewshotCommand, Over, OwnCommand, Raw};
pub use event::{
    Confused, Curve, EncoderCard, FewshotEvent, Gallery, Hard, Mean, OwnClass, OwnState, Prediction, Query, Rejection,
    Score, Scores, SeenClass, SourceCard, TaskSeen, Training, Walk, Work,
};
pub use link::{FewshotLink, read};
pub use methods::{METHODS, Method, MethodRow};
pub use presets::{FEWSHOT_PRESETS, FewshotPreset, fewshot_preset};
pub use settings::{SETTINGS, Setting, setting};
pub use spec::{Embedding, FewshotSpec, Source, Style};
