//! From numbers to a verdict: each check holds a measured quantity against what was expected, in the words "mean over
//! seeds" and "in every seed".

use engine::figure::{Check, Verdict, brief};

use super::{Sample, Study};

/// What a number should be. A number that is not there (NaN) is never within bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
    /// More than this.
    Above(f64),
    /// Less than this.
    Below(f64),
    /// Within these, both included.
    Between(f64, f64),
}

impl Bound {
    /// Whether a number is what it should be.
    #[must_use]
    pub fn admits(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
            Self::Above(bound) => value > bound,
            Self::Below(bound) => value < bound,
            Self::Between(low, high) => value >= low && value <= high,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "≥ {}", brief(*bound)),
            Self::AtMost(bound) => write!(f, "≤ {}", brief(*bound)),
            Self::Above(bound) => write!(f, "> {}", brief(*bound)),
            Self::Below(bound) => write!(f, "< {}", brief(*bound)),
            Self::Between(low, high) => write!(f, "{} to {}", brief(*low), brief(*high)),
        }
    }
}

/// Checks as they gather.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    gathered: Vec<Check>,
    /// Why the next one cannot be made.
    missing: Option<String>,
}

impl Checks {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A single number against a bound; `unit` follows both.
    pub fn value(&mut self, name: &str, value: f64, bound: Bound, unit: &str) {
        let measured = if value.is_nan() { "not measured".to_owned() } else { with_unit(&brief(value), unit) };
        self.push(name, measured, with_unit(&bound.to_string(), unit), bound.admits(value));
    }

    /// The mean over seeds against a bound.
    pub fn mean(&mut self, name: &str, sample: &Sample, bound: Bound, unit: &str) {
        let measured = match sample.len() {
            0 => "not measured".to_owned(),
            1 => format!("{} (one seed)", with_unit(&brief(sample.mean()), unit)),
            n if sample.deviation() > 0.0 => {
                let value = format!("{} ± {}", brief(sample.mean()), brief(sample.deviation()));
                format!("{} (mean of {n} seeds)", with_unit(&value, unit))
            }
            n => format!("{} (mean of {n} seeds)", with_unit(&brief(sample.mean()), unit)),
        };
        let expected = format!("{}, mean over seeds", with_unit(&bound.to_string(), unit));
        self.push(name, measured, expected, bound.admits(sample.mean()));
    }

    /// Every seed against a bound.
    pub fn every_seed(&mut self, name: &str, sample: &Sample, bound: Bound, unit: &str) {
        self.most_seeds(name, sample, bound, unit, [1, 1]);
    }

    /// At least `share[0]` of `share[1]` seeds against a bound; of other numbers of seeds, the same share or more.
    pub fn most_seeds(&mut self, name: &str, sample: &Sample, bound: Bound, unit: &str, share: [usize; 2]) {
        let passed = sample.values().filter(|&value| bound.admits(value)).count();
        let [least, of] = share;
        let values: Vec<String> = sample.values().map(brief).collect();
        let measured = match sample.len() {
            0 => "not measured".to_owned(),
            n => format!("in {passed} of {n} seeds ({})", with_unit(&values.join(", "), unit)),
        };
        let seeds = if least == of { "in every seed".to_owned() } else { format!("in ≥ {least} of {of} seeds") };
        let expected = format!("{}, {seeds}", with_unit(&bound.to_string(), unit));
        self.push(name, measured, expected, !sample.is_empty() && passed * of >= least * sample.len());
    }

    /// Makes the next check only if that is `possible` here; else it says why it was not tested.
    pub fn given(&mut self, possible: bool, why_not: &str) -> &mut Self {
        self.missing = (!possible).then(|| format!("not tested: {why_not}"));
        self
    }

    fn push(&mut self, name: &str, measured: String, expected: String, holds: bool) {
        let missing = self.missing.take();
        let holds = missing.is_none().then_some(holds);
        self.gathered.push(Check { name: name.to_owned(), measured: missing.unwrap_or(measured), expected, holds });
    }

    /// The verdict that the checks imply on a study's claim.
    #[must_use]
    pub fn verdict(self, study: &Study, measured: String) -> Verdict {
        Verdict::from_checks(study.claim, measured, study.expected, self.gathered)
    }
}

fn with_unit(text: &str, unit: &str) -> String {
    match unit {
        "" => text.to_owned(),
        "%" | "×" => format!("{text}{unit}"),
        _ => format!("{text} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_may_hold_where_a_seed_fails() {
        let gap = Sample(vec![(1, 9.0), (2, 8.0), (3, -1.0)]);
        let mut checks = Checks::new();
        checks.mean("gap", &gap, Bound::AtLeast(4.0), "points");
        checks.every_seed("gap", &gap, Bound::Above(0.0), "points");
        checks.most_seeds("gap", &gap, Bound::Above(0.0), "points", [2, 3]);
        let holds: Vec<_> = checks.gathered.iter().map(|check| check.holds).collect();
        assert_eq!(holds, [Some(true), Some(false), Some(true)]);
        assert_eq!(checks.gathered[1].measured, "in 2 of 3 seeds (9, 8, -1 points)");
        assert_eq!(checks.gathered[1].expected, "> 0 points, in every seed");
    }

    #[test]
    fn what_cannot_be_tested_neither_holds_nor_fails_and_says_why() {
        let mut checks = Checks::new();
        for possible in [false, true] {
            checks.given(possible, "no GPU took part").value("time", 1.0, Bound::AtMost(2.0), "s");
        }
        checks.value("time", 1.0, Bound::AtMost(2.0), "s");
        let holds: Vec<_> = checks.gathered.iter().map(|check| check.holds).collect();
        assert_eq!(holds, [None, Some(true), Some(true)]);
        let Check { measured, expected, .. } = &checks.gathered[0];
        assert_eq!((measured.as_str(), expected.as_str()), ("not tested: no GPU took part", "≤ 2 s"));
    }

    #[test]
    fn what_was_not_measured_does_not_hold() {
        let mut checks = Checks::new();
        checks.mean("gap", &Sample::default(), Bound::AtLeast(-1.0), "");
        checks.every_seed("gap", &Sample::default(), Bound::AtLeast(-1.0), "");
        checks.value("gap", f64::NAN, Bound::AtMost(1.0), "");
        assert!(checks.gathered.iter().all(|check| check.holds == Some(false) && check.measured == "not measured"));
    }
}
