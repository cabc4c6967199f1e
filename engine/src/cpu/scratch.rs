//! What a thread computes in.

use super::tile::Registers;

/// Memory of one thread; it grows while plans are prepared and never later.
#[derive(Default)]
pub(super) struct Scratch {
    /// Those of the interpreter.
    pub registers: Registers,
    /// Products and results before their epilogue.
    pub accumulator: Vec<f32>,
    /// Unfolded images.
    pub unfolded: Vec<f32>,
    /// Matrices in the order in which products read them.
    pub packed: Vec<f32>,
}
