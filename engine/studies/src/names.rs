//! Names of what runs yield, as constants: a name that is misspelt does not compile.

use std::fmt;

/// A number that an arm yields with each seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    name: &'static str,
    unit: &'static str,
    of: Option<u64>,
}

impl Number {
    /// Of that name, unique within the study, and unit; the unit may be empty.
    #[must_use]
    pub const fn new(name: &'static str, unit: &'static str) -> Self {
        Self { name, unit, of: None }
    }

    /// One of several of the name, such as that of a batch size.
    #[must_use]
    pub const fn of(self, which: u64) -> Self {
        Self { of: Some(which), ..self }
    }

    /// Its unit.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        self.unit
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            Some(which) => write!(f, "{}@{which}", self.name),
            None => f.write_str(self.name),
        }
    }
}

/// A curve that an arm yields with each seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Curve(Number);

impl Curve {
    /// Of that name, unique within the study, and the unit of its y; the unit may be empty.
    #[must_use]
    pub const fn new(name: &'static str, unit: &'static str) -> Self {
        Self(Number::new(name, unit))
    }

    /// One of several of the name, such as that of a task.
    #[must_use]
    pub const fn of(self, which: u64) -> Self {
        Self(self.0.of(which))
    }

    /// The same where one of several is meant, else the curve itself.
    #[must_use]
    pub const fn of_part(self, which: Option<u64>) -> Self {
        match which {
            Some(which) => self.of(which),
            None => self,
        }
    }

    /// The number that [`crate::Outcome::reading`] keeps with it: its last y.
    #[must_use]
    pub const fn last(self) -> Number {
        self.0
    }
}

impl From<Curve> for Number {
    fn from(curve: Curve) -> Self {
        curve.last()
    }
}

/// Loss of each update's batch.
pub const LOSS: Curve = Curve::new("loss", "");
/// Learning rate of each update.
pub const LR: Curve = Curve::new("lr", "");
/// Loss on a test set.
pub const TEST_LOSS: Curve = Curve::new("test_loss", "");
/// Accuracy on a test set.
pub const ACCURACY: Curve = Curve::new("accuracy", "%");
/// Parameters of the network.
pub const PARAMETERS: Number = Number::new("parameters", "");
/// The update after which the loss was no longer finite, if it was so.
pub const DIVERGED: Number = Number::new("diverged", "");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_of_a_name_are_told_apart() {
        let rate = Number::new("rate", "");
        assert_eq!([rate, rate.of(8)].map(|number| number.to_string()), ["rate", "rate@8"]);
        assert_ne!(rate.of(8), rate.of(16));
        assert_eq!(ACCURACY.of_part(Some(2)).last().to_string(), "accuracy@2");
        assert_eq!((ACCURACY.of_part(None), ACCURACY.last().unit()), (ACCURACY, "%"));
    }
}
