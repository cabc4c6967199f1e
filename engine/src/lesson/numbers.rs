//! What a lesson may ask of a run: numbers that follow from its losses and tests alone.

/// A number of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Mean training loss of the last tenth of its updates.
    Loss,
    /// Training loss of its first update.
    First,
    /// Lowest mean of ten training losses in a row.
    Lowest,
    /// Highest training loss.
    Highest,
    /// Last test loss.
    Test,
    /// Lowest test loss on the way.
    Best,
    /// Last share of test examples that it gets right.
    Accuracy,
    /// Updates done.
    Steps,
    /// Updates until the mean of ten losses has halved from the first; not a number where it never does.
    Half,
    /// Share of the updates of its second half after which the loss was higher than before.
    Rises,
    /// How much the loss jumps from an update to the next, in its second half: the root of half the mean square.
    Jitter,
    /// 1 if it stopped on what is no number, else 0.
    Failed,
}

const NAMES: [(Quantity, &str); 12] = [
    (Quantity::Loss, "loss"),
    (Quantity::First, "first"),
    (Quantity::Lowest, "lowest"),
    (Quantity::Highest, "highest"),
    (Quantity::Test, "test"),
    (Quantity::Best, "best"),
    (Quantity::Accuracy, "accuracy"),
    (Quantity::Steps, "steps"),
    (Quantity::Half, "half"),
    (Quantity::Rises, "rises"),
    (Quantity::Jitter, "jitter"),
    (Quantity::Failed, "failed"),
];

impl Quantity {
    /// The quantity of that name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(quantity, _)| *quantity)
    }

    /// All names, for a message.
    #[must_use]
    pub fn names() -> String {
        NAMES.map(|(_, name)| name).join(", ")
    }
}

/// Losses that are averaged where one alone says little.
const WINDOW: usize = 10;

/// What is known of a run that has ended.
pub struct Measured<'a> {
    /// Training loss of every update.
    pub losses: &'a [f32],
    /// Loss and accuracy of every test, by step.
    pub tests: &'a [[f64; 2]],
    /// Whether it stopped on what is no number.
    pub failed: bool,
}

impl Measured<'_> {
    /// A number of the run; not a number where it has none.
    #[must_use]
    pub fn quantity(&self, quantity: Quantity) -> f64 {
        let losses = self.losses;
        let mean = |of: &[f32]| of.iter().map(|loss| f64::from(*loss)).sum::<f64>() / of.len() as f64;
        let means = || losses.windows(WINDOW.min(losses.len()).max(1)).map(mean);
        let half = &losses[losses.len() / 2..];
        let pairs = half.len().saturating_sub(1) as f64;
        let first = losses.first().map_or(f64::NAN, |loss| f64::from(*loss));
        let last = |at: usize| self.tests.last().map_or(f64::NAN, |test| test[at]);
        match quantity {
            Quantity::Loss => mean(&losses[losses.len() - losses.len().div_ceil(10)..]),
            Quantity::First => first,
            Quantity::Lowest => means().fold(f64::NAN, f64::min),
            Quantity::Highest => losses.iter().fold(f64::NAN, |most, loss| most.max(f64::from(*loss))),
            Quantity::Test => last(0),
            Quantity::Best => self.tests.iter().fold(f64::NAN, |least, test| least.min(test[0])),
            Quantity::Accuracy => last(1),
            Quantity::Steps => losses.len() as f64,
            Quantity::Half => {
                let at = means().position(|mean| mean < first / 2.0);
                at.map_or(f64::NAN, |at| (at + WINDOW.min(losses.len())) as f64)
            }
            Quantity::Rises => half.windows(2).filter(|pair| pair[1] > pair[0]).count() as f64 / pairs,
            Quantity::Jitter => {
                let squares = half.windows(2).map(|pair| f64::from(pair[1] - pair[0]).powi(2));
                (squares.sum::<f64>() / pairs / 2.0).sqrt()
            }
            Quantity::Failed => f64::from(u8::from(self.failed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_follow_from_losses_and_tests() {
        let losses: Vec<f32> = (0..40).map(|i| if i < 20 { 4.0 } else { 1.0 + (i % 2) as f32 }).collect();
        let run = Measured { losses: &losses, tests: &[[3.0, 0.25], [1.0, 0.5], [2.0, 0.75]], failed: false };
        let of = |quantity| run.quantity(quantity);
        assert_eq!(
            [Quantity::Loss, Quantity::First, Quantity::Lowest, Quantity::Highest].map(of),
            [1.5, 4.0, 1.5, 4.0]
        );
        assert_eq!([Quantity::Test, Quantity::Best, Quantity::Accuracy].map(of), [2.0, 1.0, 0.75]);
        assert_eq!([Quantity::Steps, Quantity::Failed].map(of), [40.0, 0.0]);
        // Of ten losses in a row eight are low enough when update 28 is done.
        assert_eq!(of(Quantity::Half), 29.0);
        assert_eq!(of(Quantity::Rises), 10.0 / 19.0);
        assert!((of(Quantity::Jitter) - 0.5_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_run_without_numbers_has_none() {
        let run = Measured { losses: &[], tests: &[], failed: true };
        for (quantity, name) in NAMES {
            let value = run.quantity(quantity);
            match quantity {
                Quantity::Steps => assert_eq!(value, 0.0),
                Quantity::Failed => assert_eq!(value, 1.0),
                _ => assert!(value.is_nan(), "{name}: {value}"),
            }
            assert_eq!(Quantity::of(name), Some(quantity));
        }
    }
}
