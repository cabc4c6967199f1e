//! A run's numbers as files for other tools: TensorBoard's event files (`events.rs`), and Parquet tables (`table.rs`). The command
//! line writes them beside its CSV; the page fetches this crate as a program of its own (`main.rs`) when a person asks for one.

mod events;
mod run;
mod table;
mod thrift;

pub use events::{EVENTS, events};
pub use run::{Evaluation, Reading, Run, Steps};
pub use table::table;
