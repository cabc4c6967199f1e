//! Curvature probes: second-order quantities of a run, measured beside its training.
//!
//! ```text
//! RowLoss (of a run, or traced) --> program --split--> fixed | moving --compile--> plans
//!                                                        |      |
//!                         Curvature (an Operator): rows -+      +- vectors -> products
//!                                                                   ^            |
//!                         Lanczos, Eigenpairs, Density, Trace, .. --+--- ask / tell
//! ```
//!
//! Operators ([`Curvature`], [`Difference`], [`Scaled`]) multiply vectors and know no algorithm. Algorithms are values
//! that ask for products and know no operator: they can stop after any product and go on later. [`run`] connects the
//! two; a probe that runs between training steps calls [`Operator::advance`] itself, one slice at a time.
//!
//! A probe works on the executor of its run, in buffers under a prefix of its own; it never changes the run's numbers.
//! Give them back with `release`. A probe does not outlive [`Executor::reset`](crate::executor::Executor::reset).

mod algorithm;
mod curvature;
mod dense;
mod density;
mod eigenpairs;
mod lanczos;
mod landscape;
mod loss;
mod noise;
mod operator;
mod resolution;
mod rule_scale;
mod samples;
mod theory;
mod trace;
mod vector;
mod workspace;

pub use crate::spec::Curved;
pub(crate) use algorithm::work;
pub use algorithm::{Algorithm, run};
pub use curvature::{Cost, Curvature, Settings};
pub use dense::Dense;
pub use density::{Curve, Density, DensityAxis, Spectrum};
pub use eigenpairs::{Eigenpair, Eigenpairs, Pairs};
pub use lanczos::{Lanczos, Ritz};
pub use landscape::{Landscape, Point};
pub use loss::{Losses, RowLoss};
pub use noise::{NoiseScale, SmallBatches};
pub use operator::{Difference, Operator, Scaled};
pub use resolution::Resolution;
pub use rule_scale::rule_scale;
pub use samples::{first_rows, probed_rows};
pub use theory::{BatchSpectrum, inverse_batch, spiked};
pub use trace::{Estimate, Frobenius, HutchPlusPlus, Hutchinson};
pub use vector::{dot, gaussian, norm, rademacher};

#[cfg(test)]
mod tests;
