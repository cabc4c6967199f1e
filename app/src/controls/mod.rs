//! What a person turns and presses.

pub mod badge;
pub mod camera;
pub mod columns;
pub mod dialog;
pub mod drop;
pub mod field;
pub mod find_rate;
pub mod notices;
pub mod open_file;
pub mod recipe;
pub mod runs;
pub mod share;
pub mod theme;
pub mod transport;
