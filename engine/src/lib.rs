//! Minibatch's engine: a step graph that is captured once from burn modules, differentiated, fused and replayed on
//! WebGPU or the CPU; and the vocabulary (spec, figure, protocol) that it shares with the page.
//!
//! Without the feature `compute` only the vocabulary is compiled; the page depends on that alone.

// What the derive of `tree::FromTree` writes calls this crate by its name.
extern crate self as engine;

pub mod continual;
pub mod decimal;
pub mod draws;
pub mod fewshot;
pub mod figure;
pub mod lesson;
pub mod metrics;
pub mod numeric;
pub mod pairs;
pub mod protocol;
pub mod range;
pub mod rng;
pub mod spec;
pub mod sweep;
pub mod text;
pub mod tree;

#[cfg(feature = "compute")]
pub mod augment;
#[cfg(feature = "compute")]
pub mod bench;
#[cfg(feature = "compute")]
pub mod cpu;
#[cfg(feature = "compute")]
pub mod data;
#[cfg(feature = "compute")]
pub mod episodes;
#[cfg(feature = "compute")]
pub mod executor;
#[cfg(feature = "compute")]
pub mod gpu;
#[cfg(feature = "compute")]
pub mod graph;
#[cfg(feature = "compute")]
pub mod look;
#[cfg(feature = "compute")]
pub mod model;
#[cfg(feature = "compute")]
pub mod neighbours;
#[cfg(feature = "compute")]
pub mod nn;
#[cfg(feature = "compute")]
pub mod objective;
#[cfg(feature = "compute")]
pub mod optim;
#[cfg(feature = "compute")]
pub mod probe;
#[cfg(feature = "compute")]
pub mod session;
#[cfg(feature = "compute")]
pub mod streams;
#[cfg(feature = "compute")]
pub mod tape;
#[cfg(feature = "compute")]
pub mod train;
#[cfg(all(feature = "worker", target_arch = "wasm32"))]
pub mod worker;
