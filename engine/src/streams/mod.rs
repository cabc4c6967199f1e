//! Streams: tasks one after another, as continual learning meets them. The rows of all tasks lie in one table; each task
//! lasts for a number of draws and brings rows of its own. What differs from task to task is the classes ([`split_by_class`])
//! or the pictures ([`Change`]); when which row is seen says [`TaskStream`]. Everything is a function of the seed and of the
//! step, so that a stream can be rewound and repeated.

mod change;
mod classes;
mod schedule;

pub use change::{Change, shifted};
pub use classes::{class_order, long_tailed, split_by_class};
pub use schedule::{StreamTask, TaskStream};
