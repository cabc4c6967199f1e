//! Networks, authored as burn modules and captured as graphs; their parameters and how they start.

mod init;
mod params;

pub use init::Init;
pub use params::{ParamEntry, ParamLayout};
