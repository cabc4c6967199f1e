//! One file a page.

pub mod bench;
pub mod continual;
pub mod fewshot;
pub mod lab;
pub mod lesson;
pub mod studies;
pub mod study;
pub mod sweep;
