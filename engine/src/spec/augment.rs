//! How training images are varied, on the device, anew each time they are drawn.

use serde::Serialize;

use crate::tree::FromTree;

/// Augmentation of training images.
#[derive(Debug, Clone, Default, PartialEq, Serialize, FromTree)]
pub struct AugmentSpec {
    /// Largest shift in pixels, along both axes; what comes in is zero.
    pub shift: usize,
    /// Whether half the images are mirrored left to right.
    pub flip: bool,
    /// Random crop: smallest share of the side that is kept, then scaled back; 1 or 0 = no crop.
    pub crop: f64,
    /// Mixup: examples are blended pairwise with a Beta(alpha, alpha) weight (Zhang et al. 2018); 0 = off.
    pub mixup: f64,
}
