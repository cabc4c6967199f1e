//! The scaling laws of loss, size, updates and batch (Kaplan et al. 2020, McCandlish et al. 2018).

/// `x -> (scale / x)^exponent`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Power {
    pub scale: f64,
    pub exponent: f64,
}

impl Power {
    pub fn at(self, x: f64) -> f64 {
        libm::pow(self.scale / x, self.exponent)
    }
}

/// What updates and examples a target costs: `(S / S_min - 1) (E / E_min - 1) = 1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hyperbola {
    /// Updates with batches without end.
    pub least_updates: f64,
    /// Examples with batches as small as can be.
    pub least_examples: f64,
}

impl Hyperbola {
    /// The batch with which both cost twice their least.
    pub fn critical(self) -> f64 {
        self.least_examples / self.least_updates
    }

    /// Updates with a batch: `S_min (1 + B_crit / B)`.
    pub fn updates(self, batch: f64) -> f64 {
        self.least_updates * (1.0 + self.critical() / batch)
    }

    /// Examples with a batch: `E_min (1 + B / B_crit)`.
    pub fn examples(self, batch: f64) -> f64 {
        self.least_examples * (1.0 + batch / self.critical())
    }
}

/// The six constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Law {
    /// Loss of a size that has trained without end: `(N_c / N)^alpha_N`.
    pub size: Power,
    /// What is left of it after so many updates with batches without end: `(S_c / S_min)^alpha_S`.
    pub updates: Power,
    /// The critical batch at a loss: `B_* / L^(1 / alpha_B)`; `scale` is B_*, `exponent` 1 / alpha_B.
    pub batch: Power,
}

impl Law {
    pub fn critical(&self, loss: f64) -> f64 {
        self.batch.scale / libm::pow(loss, self.batch.exponent)
    }

    /// Updates with batches without end that do what so many do with a batch, at a loss.
    pub fn least_updates(&self, updates: f64, batch: f64, loss: f64) -> f64 {
        updates / (1.0 + self.critical(loss) / batch)
    }

    /// What the law says of a loss that is L, with an infinite batch where there is none.
    fn right(&self, size: f64, updates: f64, batch: f64, loss: f64) -> f64 {
        self.size.at(size) + self.updates.at(self.least_updates(updates, batch, loss))
    }

    /// The loss of a network with so many parameters after so many updates with a batch: where the law agrees with itself.
    pub fn loss(&self, size: f64, updates: f64, batch: f64) -> f64 {
        // Of a larger loss the law says less, so there is one such place, above the loss without end.
        let beyond = |loss: f64| self.right(size, updates, batch, loss) > loss;
        let mut low = self.size.at(size);
        let mut high = 2.0 * low.max(f64::MIN_POSITIVE);
        while beyond(high) && high < 1e30 {
            (low, high) = (high, 2.0 * high);
        }
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            if beyond(middle) { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub const LAW: Law = Law {
        size: Power { scale: 4e4, exponent: 0.3 },
        updates: Power { scale: 60.0, exponent: 0.7 },
        batch: Power { scale: 2e4, exponent: 5.0 },
    };

    /// Exact checks 1 and 2.
    #[test]
    fn updates_and_examples_lie_on_the_hyperbola() {
        let curve = Hyperbola { least_updates: 300.0, least_examples: 5e4 };
        for place in 0..=50 {
            let batch = 10_f64.powf(f64::from(place) / 10.0);
            let [s, e] = [curve.updates(batch), curve.examples(batch)];
            assert!((e / (s * batch) - 1.0).abs() < 1e-12);
            assert!(((s / 300.0 - 1.0) * (e / 5e4 - 1.0) - 1.0).abs() < 1e-6);
        }
        let both = curve.critical();
        assert!((curve.updates(both) / 600.0 - 1.0).abs() < 1e-12 && (curve.examples(both) / 1e5 - 1.0).abs() < 1e-12);
        assert!((curve.updates(1e12) / 300.0 - 1.0).abs() < 1e-6 && (curve.examples(1e-9) / 5e4 - 1.0).abs() < 1e-6);
    }

    /// Exact check 3.
    #[test]
    fn the_loss_agrees_with_itself_and_falls_in_everything() {
        let grid = |place: i32, least: f64| least * 2.0_f64.powi(place);
        let at = |n: i32, s: i32, b: i32| LAW.loss(grid(n, 500.0), grid(s, 20.0), grid(b, 4.0));
        for n in 0..10 {
            for s in 0..10 {
                for b in 0..10 {
                    let loss = at(n, s, b);
                    let residual = LAW.right(grid(n, 500.0), grid(s, 20.0), grid(b, 4.0), loss) - loss;
                    assert!(residual.abs() < 1e-8, "{residual}");
                    assert!(at(n + 1, s, b) < loss && at(n, s + 1, b) < loss && at(n, s, b + 1) < loss);
                }
            }
        }
        let large = LAW.loss(1e3, 200.0, 1e12);
        assert!((large - LAW.size.at(1e3) - LAW.updates.at(200.0)).abs() < 1e-6, "without the term of the batch");
    }
}
