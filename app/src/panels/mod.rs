//! Panels of the lab beside the recipe and the lanes.

pub mod by_hand;
pub mod cells;
pub mod curvature;
pub mod data_card;
pub mod findings;
pub mod look;
pub mod own_picture;
pub mod runs;
pub mod start;
pub mod tutor;
pub mod writer;
