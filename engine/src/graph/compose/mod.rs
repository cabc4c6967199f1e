//! Functions composed of the closed set of operations: their derivatives and their kernels come with those.
//!
//! A file a subject; each method checks its arguments by the builders that it calls.

mod axis;
mod convolution;
mod elementary;
mod linear;
mod place;
mod pool;
mod scan;
mod sort;

pub use convolution::Strides;
pub use linear::Resize;
pub use place::Pad;
pub use pool::Window;

use super::build::mismatch;
use super::*;
