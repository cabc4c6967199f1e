//! The engine of the few-shot lab (`engine::fewshot` is its vocabulary): pictures and their warps, tasks, encoders, methods,
//! own pictures, and the session that answers the page.

mod bench;
mod class_mean;
mod compare;
mod curve;
mod embedding;
mod export;
mod lab;
mod learned;
pub mod map;
pub mod methods;
mod own;
pub mod pictures;
mod rejection;
mod scores;
mod session;
mod shown;
pub mod tasks;
#[cfg(test)]
mod tests;
mod training;
pub mod warp;

pub use bench::{Bench, matrix, rows};
pub use class_mean::ClassMean;
pub use embedding::{Encoder, SHIPPED};
pub(crate) use engine::data::canvas::resized;
pub use export::{embeddings_file, predictions_csv, tasks_json};
pub use lab::{Lab, Packs};
pub(crate) use learned::{learned, learned_parameters, letters};
pub(crate) use own::LETTER;
pub use pictures::files;
pub use scores::mean;
pub(crate) use session::Desk;
pub(crate) use training::prototype_logits;
