//! What controls, panels and figures are made of: they know nothing of the lab.

pub mod icon;
pub mod keys;
pub mod menu;
pub mod pad;
pub mod transport;
