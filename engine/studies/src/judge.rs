//! From numbers to an answer. A check holds a measured quantity against what was claimed, over the seeds; one of them, the
//! headline, answers the study's question.

use engine::figure::{Check, Holds, Verdict, brief};

use super::{Results, Sample, Study};

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

/// A measured quantity held against what was claimed. What is expected is printed from it and written nowhere else.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    check: Check,
    /// Whether it is better than claimed.
    better: bool,
    /// What it lacks where it fails although it goes the way that was claimed; else nothing.
    short: &'static str,
}

/// What a failing quantity lacks: it goes the claimed way, from where nothing differs, but not as far as the bound.
fn short_of(bound: Bound, mean: f64, unit: &str) -> &'static str {
    let same = if unit == "×" { 1.0 } else { 0.0 };
    match bound {
        Bound::AtLeast(least) if least > same && mean > same && mean < least => ", not by enough",
        _ => "",
    }
}

impl Judged {
    fn new(name: impl Into<String>, measured: String, expected: String, holds: bool) -> Self {
        let check = Check { name: name.into(), measured, expected, holds: Some(holds) };
        Self { check, better: false, short: "" }
    }

    /// A single number against a bound; `unit` follows both.
    #[must_use]
    pub fn value(name: impl Into<String>, value: f64, bound: Bound, unit: &str) -> Self {
        let measured = if value.is_nan() { "not measured".to_owned() } else { with_unit(&brief(value), unit) };
        let judged = Self::new(name, measured, with_unit(&bound.to_string(), unit), bound.admits(value));
        Self { short: short_of(bound, value, unit), ..judged }
    }

    /// The mean over seeds against a bound.
    #[must_use]
    pub fn mean(name: impl Into<String>, sample: &Sample, bound: Bound, unit: &str) -> Self {
        let expected = format!("{}, mean over seeds", with_unit(&bound.to_string(), unit));
        let judged = Self::new(name, mean_of(sample, unit), expected, bound.admits(sample.mean()));
        Self { short: short_of(bound, sample.mean(), unit), ..judged }
    }

    /// A claim of "as good as": the mean by which something is `worse` is at most a margin. Better is no failure and is
    /// said as such.
    #[must_use]
    pub fn as_good(name: impl Into<String>, worse: &Sample, margin: f64, unit: &str) -> Self {
        let mut judged = Self::mean(name, worse, Bound::AtMost(margin), unit);
        judged.better = worse.mean() < -margin;
        if judged.better {
            judged.check.measured += ", better than claimed";
        }
        judged
    }

    /// Every seed against a bound.
    #[must_use]
    pub fn every_seed(name: impl Into<String>, sample: &Sample, bound: Bound, unit: &str) -> Self {
        Self::most_seeds(name, sample, bound, unit, [1, 1])
    }

    /// At least `share[0]` of `share[1]` seeds against a bound; of other numbers of seeds, the same share or more.
    #[must_use]
    pub fn most_seeds(
        name: impl Into<String>,
        sample: &Sample,
        bound: Bound,
        unit: &str,
        [least, of]: [usize; 2],
    ) -> Self {
        let passed = sample.values().filter(|&value| bound.admits(value)).count();
        let values: Vec<String> = sample.values().map(brief).collect();
        let measured = match sample.len() {
            0 => "not measured".to_owned(),
            1 => format!("{} (one seed)", with_unit(&values[0], unit)),
            n => format!("in {passed} of {n} seeds ({})", with_unit(&values.join(", "), unit)),
        };
        let seeds = if least == of { "in every seed".to_owned() } else { format!("in ≥ {least} of {of} seeds") };
        let expected = format!("{}, {seeds}", with_unit(&bound.to_string(), unit));
        let short = match bound.admits(sample.mean()) {
            true if least == of => ", not in every seed",
            true => ", not in enough seeds",
            false => short_of(bound, sample.mean(), unit),
        };
        let judged = Self::new(name, measured, expected, !sample.is_empty() && passed * of >= least * sample.len());
        Self { short, ..judged }
    }

    /// Whether it was tested and fails.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.check.holds == Some(false)
    }

    /// Tested only if that is `possible` here; else it says why it was not.
    #[must_use]
    pub fn given(mut self, possible: bool, why_not: &str) -> Self {
        if !possible {
            self.check = Check { measured: format!("not tested: {why_not}"), holds: None, ..self.check };
            self.better = false;
        }
        self
    }
}

/// What a study concludes.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    headline: Judged,
    words: String,
    also: Vec<Judged>,
    more: String,
}

impl Answer {
    /// The check that decides, the paper's main claim, and one sentence that says with its numbers what came out; "Yes" or
    /// "No" is put before it.
    #[must_use]
    pub fn new(headline: Judged, words: impl Into<String>) -> Self {
        Self { headline, words: words.into(), also: vec![], more: String::new() }
    }

    /// Further claims, which do not decide.
    #[must_use]
    pub fn also(mut self, checks: impl IntoIterator<Item = Judged>) -> Self {
        self.also.extend(checks);
        self
    }

    /// Further numbers, in sentences, after those that there are.
    #[must_use]
    pub fn more(self, more: impl Into<String>) -> Self {
        let sentences = [self.more, more.into()].into_iter().filter(|sentences| !sentences.is_empty());
        Self { more: sentences.collect::<Vec<_>>().join(" "), ..self }
    }

    /// The answer as the page shows it.
    #[must_use]
    pub fn verdict(self, study: &Study) -> Verdict {
        let Judged { check: headline, better, short } = self.headline;
        let also: Vec<Check> = self.also.into_iter().map(|judged| judged.check).collect();
        let (holds, begins) = match headline.holds {
            Some(true) => (Holds::Yes, if better { "Yes, and better than claimed" } else { "Yes" }),
            Some(false) => (Holds::No, "No"),
            None => (Holds::Untested, "Not tested here"),
        };
        let but = if holds == Holds::No { short.to_owned() } else { reservation(holds, &also) };
        let answer = format!("{begins}{but}. {}", self.words);
        Verdict { holds, claim: study.claim.into(), answer, measured: self.more, headline, also }
    }
}

/// What takes from a yes: how many of the further claims fail.
fn reservation(holds: Holds, also: &[Check]) -> String {
    let tested = also.iter().filter_map(|check| check.holds);
    let failed = tested.clone().filter(|holds| !holds).count();
    match (holds, failed) {
        (Holds::No | Holds::Untested, _) | (_, 0) => String::new(),
        (_, 1) => format!(", but one of {} further claims fails", tested.count()),
        _ => format!(", but {failed} of {} further claims fail", tested.count()),
    }
}

/// What is expected, check by check and the headline first, of a study that has not run.
pub(super) fn expected(study: &Study, nothing: &Results) -> Vec<String> {
    let Answer { headline, also, .. } = (study.answer)(nothing);
    [headline]
        .into_iter()
        .chain(also)
        .map(|Judged { check, .. }| format!("{}: {}", check.name, check.expected))
        .collect()
}

/// How two quantities compare, in words: `CCT is ahead of ViT-Lite: 62.1 against 40.1%`. They tie where the seeds' mean
/// difference is within one standard deviation of it. `higher` says which is better.
#[must_use]
pub fn versus(names: [&str; 2], samples: [&Sample; 2], unit: &str, higher: bool) -> String {
    let [a, b] = samples;
    let difference = a.minus(b);
    let ahead = if higher { difference.mean() } else { -difference.mean() };
    let [first, second] = names;
    let words = if ahead.is_nan() {
        return format!("{first} and {second} were not both measured");
    } else if ahead.abs() <= difference.deviation() || ahead == 0.0 {
        format!("{first} and {second} tie")
    } else if ahead > 0.0 {
        format!("{first} is ahead of {second}")
    } else {
        format!("{first} is behind {second}")
    };
    format!("{words}: {} against {}", a.mean_in_words(), with_unit(&b.mean_in_words(), unit))
}

/// `62.1 ± 1.4 points (mean of 3 seeds)`
fn mean_of(sample: &Sample, unit: &str) -> String {
    match sample.len() {
        0 => "not measured".to_owned(),
        1 => format!("{} (one seed)", with_unit(&sample.to_string(), unit)),
        n => format!("{} (mean of {n} seeds)", with_unit(&sample.to_string(), unit)),
    }
}

pub(super) fn with_unit(text: &str, unit: &str) -> String {
    match unit {
        "" => text.to_owned(),
        "%" | "×" => format!("{text}{unit}"),
        _ => format!("{text} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(values: &[f64]) -> Sample {
        Sample((1..).zip(values.iter().copied()).collect())
    }

    fn holds(checks: &[Judged]) -> Vec<Option<bool>> {
        checks.iter().map(|judged| judged.check.holds).collect()
    }

    #[test]
    fn a_mean_may_hold_where_a_seed_fails() {
        let gap = sample(&[9.0, 8.0, -1.0]);
        let checks = [
            Judged::mean("gap", &gap, Bound::AtLeast(4.0), "points"),
            Judged::every_seed("gap", &gap, Bound::Above(0.0), "points"),
            Judged::most_seeds("gap", &gap, Bound::Above(0.0), "points", [2, 3]),
        ];
        assert_eq!(holds(&checks), [Some(true), Some(false), Some(true)]);
        assert_eq!(checks[1].check.measured, "in 2 of 3 seeds (9, 8, -1 points)");
        assert_eq!(checks[1].check.expected, "> 0 points, in every seed");
    }

    #[test]
    fn better_than_as_good_is_said_and_fails_nothing() {
        let judged = |worse: &[f64]| Judged::as_good("above", &sample(worse), 0.02, "nats");
        assert_eq!(holds(&[judged(&[0.01]), judged(&[0.03]), judged(&[-0.04])]), [Some(true), Some(false), Some(true)]);
        let verdict = Answer::new(judged(&[-0.04]), "It is 0.04 below.").verdict(&Study::BASE);
        assert_eq!(verdict.answer, "Yes, and better than claimed. It is 0.04 below.");
        assert_eq!(verdict.headline.measured, "-0.04 nats (one seed), better than claimed");
    }

    #[test]
    fn the_headline_alone_decides() {
        let check = |holds: bool| Judged::value("a", f64::from(u8::from(holds)), Bound::Above(0.5), "");
        let decided =
            |headline: Judged, also: Judged| Answer::new(headline, "").also([also]).verdict(&Study::BASE).holds;
        assert_eq!(decided(check(true), check(false)), Holds::Yes);
        assert_eq!(decided(check(false), check(true)), Holds::No);
        assert_eq!(decided(check(true).given(false, "no GPU took part"), check(true)), Holds::Untested);
    }

    #[test]
    fn a_yes_says_what_else_fails() {
        let check = |holds: bool| Judged::value("a", f64::from(u8::from(holds)), Bound::Above(0.5), "");
        let said = |headline: bool, also: &[Judged]| {
            Answer::new(check(headline), "So it is.").also(also.to_vec()).verdict(&Study::BASE).answer
        };
        let also = [check(false), check(true), check(false).given(false, "no GPU took part")];
        assert_eq!(said(true, &also), "Yes, but one of 2 further claims fails. So it is.");
        assert_eq!(said(true, &[check(false), check(false)]), "Yes, but 2 of 2 further claims fail. So it is.");
        assert_eq!(said(true, &also[1..]), "Yes. So it is.");
        assert_eq!(said(false, &also), "No. So it is.");
    }

    #[test]
    fn a_no_says_where_the_claim_falls_short() {
        let said = |judged: Judged| Answer::new(judged, "So it is.").verdict(&Study::BASE).answer;
        let gain = |values: &[f64], bound: Bound, unit: &str| {
            let seeds = |share| said(Judged::most_seeds("gain", &sample(values), bound, unit, share));
            [seeds([1, 1]), seeds([4, 5]), said(Judged::mean("gain", &sample(values), bound, unit))]
        };
        let no = |short: &str| format!("No{short}. So it is.");
        let all = |short: &str| [no(short), no(short), no(short)];
        assert_eq!(gain(&[1.0, 1.5], Bound::AtLeast(2.0), "points"), all(", not by enough"));
        assert_eq!(gain(&[-1.0, 0.5], Bound::AtLeast(2.0), "points"), all(""));
        // A ratio below 1 goes the other way.
        assert_eq!(gain(&[0.5, 0.7], Bound::AtLeast(1.5), "×"), all(""));
        assert_eq!(gain(&[3.0, 4.0], Bound::AtMost(2.0), "points"), all(""));
        let [every, most, mean] = gain(&[1.0, 4.0], Bound::AtLeast(2.0), "points");
        assert_eq!([every, most], [no(", not in every seed"), no(", not in enough seeds")]);
        assert_eq!(mean, "Yes. So it is.");
        assert_eq!(said(Judged::value("gain", 1.0, Bound::AtLeast(2.0), "")), no(", not by enough"));
    }

    #[test]
    fn what_cannot_be_tested_neither_holds_nor_fails_and_says_why() {
        let judged = Judged::value("time", 1.0, Bound::AtMost(2.0), "s");
        let Check { measured, expected, holds, .. } = judged.clone().given(false, "no GPU took part").check;
        assert_eq!((measured.as_str(), expected.as_str(), holds), ("not tested: no GPU took part", "≤ 2 s", None));
        assert_eq!(judged.clone().given(true, ""), judged);
    }

    #[test]
    fn what_was_not_measured_does_not_hold() {
        let checks = [
            Judged::mean("gap", &Sample::default(), Bound::AtLeast(-1.0), ""),
            Judged::every_seed("gap", &Sample::default(), Bound::AtLeast(-1.0), ""),
            Judged::as_good("gap", &Sample::default(), 1.0, ""),
            Judged::value("gap", f64::NAN, Bound::AtMost(1.0), ""),
        ];
        for Judged { check, .. } in checks {
            assert_eq!((check.holds, check.measured.as_str()), (Some(false), "not measured"));
        }
    }

    #[test]
    fn two_quantities_compare_in_words() {
        let (a, b) = (sample(&[88.0, 89.0, 88.8]), sample(&[88.0, 88.0, 87.7]));
        let words = |a: &Sample, b: &Sample, higher| versus(["A", "B"], [a, b], "%", higher);
        assert_eq!(words(&a, &b, true), "A is ahead of B: 88.6 against 87.9%");
        assert_eq!(words(&a, &b, false), "A is behind B: 88.6 against 87.9%");
        assert_eq!(words(&b, &sample(&[87.0, 89.0, 87.7]), true), "A and B tie: 87.9 against 88%");
        assert_eq!(words(&a, &Sample::default(), true), "A and B were not both measured");
    }
}
