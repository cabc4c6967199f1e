//! Adam on the host, for heads of a few hundred numbers.

/// Moments of a vector of parameters.
#[derive(Debug, Clone)]
pub struct Adam {
    rate: f64,
    moments: Vec<[f64; 2]>,
    kept: [f64; 2],
}

const KEEP: [f64; 2] = [0.9, 0.999];

impl Adam {
    pub fn new(parameters: usize, rate: f64) -> Self {
        Self { rate, moments: vec![[0.0; 2]; parameters], kept: [1.0; 2] }
    }

    /// One step down `gradient`, as PyTorch's (epsilon 1e-8 beside the root).
    pub fn step(&mut self, parameters: &mut [f64], gradient: &[f64]) {
        for (kept, keep) in self.kept.iter_mut().zip(KEEP) {
            *kept *= keep;
        }
        for ((x, g), [first, second]) in parameters.iter_mut().zip(gradient).zip(&mut self.moments) {
            *first = KEEP[0] * *first + (1.0 - KEEP[0]) * g;
            *second = KEEP[1] * *second + (1.0 - KEEP[1]) * g * g;
            let root = (*second / (1.0 - self.kept[1])).sqrt();
            *x -= self.rate * (*first / (1.0 - self.kept[0])) / (root + 1e-8);
        }
    }
}
