//! Runs that diverged: which they are, what they count as, and how that is said.

use super::names::DIVERGED;
use super::{Number, Outcome, Results, Sample};

/// Accuracy of guessing among ten classes, in percent.
pub const CHANCE: f64 = 10.0;
/// Loss of guessing among the 68 characters of the text, in nats.
pub const GUESSING: f64 = 4.22;

impl Results {
    /// With how many seeds an arm diverged.
    #[must_use]
    pub fn diverged(&self, arm: &str) -> usize {
        self.sample(arm, DIVERGED).len()
    }

    /// Whether two arms diverged with the same seed: two runs that guess are not as good as each other.
    #[must_use]
    pub fn both_diverged(&self, a: &str, b: &str) -> bool {
        !self.sample(a, DIVERGED).minus(&self.sample(b, DIVERGED)).is_empty()
    }

    /// A number of an arm, seed by seed; of a run that diverged, what that counts as.
    #[must_use]
    pub fn sample_or(&self, arm: &str, number: impl Into<Number>, counts_as: f64) -> Sample {
        let number = number.into();
        let of_run = |(seed, outcome): (u64, &Outcome)| {
            let diverged = outcome.numbers.contains_key(&DIVERGED);
            Some((seed, if diverged { counts_as } else { *outcome.numbers.get(&number)? }))
        };
        Sample(self.outcomes(arm).filter_map(of_run).collect())
    }

    /// A sentence that names the arms that diverged and says what that counts as; empty where none did.
    #[must_use]
    pub fn diverged_in_words(&self, counts_as: &str) -> String {
        let lost = self.arms.iter().map(|label| (label.name.as_str(), self.diverged(&label.id)));
        in_words(lost, self.seeds.len(), counts_as)
    }
}

/// A sentence that names what diverged, by names and with how many of all seeds, and says what that counts as; empty where
/// nothing did.
pub fn in_words<'a>(lost: impl IntoIterator<Item = (&'a str, usize)>, seeds: usize, counts_as: &str) -> String {
    let lost = lost.into_iter().filter(|(_, count)| *count > 0);
    let lost: Vec<String> = lost.map(|(name, count)| format!("“{name}” with {count} of {seeds} seeds")).collect();
    match lost[..] {
        [] => String::new(),
        _ => format!("Diverged, which counts as {counts_as}: {}.", lost.join("; ")),
    }
}

#[cfg(test)]
#[test]
fn what_diverged_is_named_and_counts_as_it_should() {
    let arms = ["A", "B", "C"].map(|id| crate::Label::new(id, id.to_lowercase())).to_vec();
    let mut results = Results::new(crate::Knobs::default(), arms, vec![1, 2]);
    let cost = Number::new("cost", "");
    for (arm, seed) in [("A", 1), ("B", 2), ("C", 1), ("C", 2)] {
        results.record(arm, seed).unwrap().number(cost, 1.0);
    }
    assert_eq!(results.diverged_in_words("guessing"), "");
    for (arm, seed) in [("A", 2), ("C", 1), ("C", 2)] {
        results.record(arm, seed).unwrap().number(DIVERGED, 7.0);
    }
    let said = "Diverged, which counts as guessing: “a” with 1 of 2 seeds; “c” with 2 of 2 seeds.";
    assert_eq!(results.diverged_in_words("guessing"), said);
    assert_eq!(results.sample_or("A", cost, 9.0).0, [(1, 1.0), (2, 9.0)]);
    assert!(results.both_diverged("A", "C") && !results.both_diverged("A", "B"));
}
