//! What burn lacks, records badly or reads back: small functions and layers over burn tensors that a traced step can use.
//! All of them can be captured; each file says what its shapes are.

pub mod bag;
pub mod gelu;
pub mod index;
pub mod mask;
pub mod pad;
pub mod recurrent;
pub mod resize;
pub mod rotary;
pub mod sage;
pub mod straight;

#[cfg(test)]
mod tests;
