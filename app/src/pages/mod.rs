//! One file a page.

pub mod bench;
pub mod lab;
pub mod studies;
pub mod study;
pub mod sweep;
