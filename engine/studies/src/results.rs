//! What the runs of a study yielded: numbers and curves by arm and seed, and how to ask for them.

use std::collections::BTreeMap;

use engine::figure::{Dash, Figure, Role, brief};

use super::{Curve, Knobs, Number, StudyError};

/// One of the things a study compares, as figures and tables name it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Label {
    /// Short and unique, such as `C`.
    pub id: String,
    /// As figures show it, such as `CCT`.
    pub name: String,
    /// Colour by meaning.
    pub role: Role,
    /// Stroke, to tell arms of one colour apart.
    pub dash: Dash,
}

impl Label {
    /// The label of an arm that the claim is about.
    #[must_use]
    pub fn new(id: &str, name: impl Into<String>) -> Self {
        Self { id: id.to_owned(), name: name.into(), role: Role::Train, dash: Dash::Solid }
    }

    /// The label of an arm that it is compared with.
    #[must_use]
    pub fn baseline(id: &str, name: impl Into<String>) -> Self {
        Self { role: Role::Other, ..Self::new(id, name) }
    }

    /// The same with dashes: a variant.
    #[must_use]
    pub fn dashed(self) -> Self {
        Self { dash: Dash::Dashed, ..self }
    }

    /// The same with dots: a further variant.
    #[must_use]
    pub fn dotted(self) -> Self {
        Self { dash: Dash::Dotted, ..self }
    }

    /// The same with long dashes: one more.
    #[must_use]
    pub fn long_dashed(self) -> Self {
        Self { dash: Dash::Long, ..self }
    }
}

/// What one arm yielded with one seed, so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Numbers by name.
    pub numbers: BTreeMap<Number, f64>,
    /// Points `[x, y]` by name of the curve.
    pub curves: BTreeMap<Curve, Vec<[f64; 2]>>,
    /// Whether it has run to its end.
    pub done: bool,
}

impl Outcome {
    /// Sets a number.
    pub fn number(&mut self, number: Number, value: f64) {
        self.numbers.insert(number, value);
    }

    /// Appends a point to a curve.
    pub fn point(&mut self, curve: Curve, x: f64, y: f64) {
        self.curves.entry(curve).or_default().push([x, y]);
    }

    /// Appends a point to a curve, and sets [`Curve::last`] to its y.
    pub fn reading(&mut self, curve: Curve, x: f64, y: f64) {
        self.point(curve, x, y);
        self.number(curve.last(), y);
    }

    /// The last point of every curve.
    #[must_use]
    pub fn last_readings(&self) -> Vec<(Curve, [f64; 2])> {
        self.curves.iter().filter_map(|(curve, points)| Some((*curve, *points.last()?))).collect()
    }

    /// The points of a curve, none before it has any.
    #[must_use]
    pub fn curve(&self, curve: Curve) -> &[[f64; 2]] {
        self.curves.get(&curve).map_or(&[], Vec::as_slice)
    }

    /// The x at which a curve first is at a level or above; `None` where it does not get there.
    #[must_use]
    pub fn reached(&self, curve: Curve, level: f64) -> Option<f64> {
        self.curve(curve).iter().find(|[_, y]| *y >= level).map(|[x, _]| *x)
    }

    /// The y of a curve at an x that it has; NaN if it has none there.
    #[must_use]
    pub fn at(&self, curve: Curve, x: f64) -> f64 {
        self.curve(curve).iter().find(|point| point[0] == x).map_or(f64::NAN, |point| point[1])
    }
}

/// All that a study has yielded so far. Figures and the verdict are functions of this alone.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// The values of the study's knobs.
    pub knobs: Knobs,
    /// What is compared, in the study's order.
    pub arms: Vec<Label>,
    /// The seeds, in the order in which they run.
    pub seeds: Vec<u64>,
    /// What it runs on, in words; empty before it runs.
    pub backend: String,
    /// Whether that is a GPU that is no software adapter.
    pub gpu: bool,
    outcomes: BTreeMap<(usize, u64), Outcome>,
    pictures: BTreeMap<String, Figure>,
}

impl Results {
    /// Nothing yet.
    #[must_use]
    pub fn new(knobs: Knobs, arms: Vec<Label>, seeds: Vec<u64>) -> Self {
        Self { knobs, arms, seeds, ..Self::default() }
    }

    fn index(&self, arm: &str) -> Option<usize> {
        self.arms.iter().position(|label| label.id == arm)
    }

    /// Whether the study has this arm.
    #[must_use]
    pub fn has(&self, arm: &str) -> bool {
        self.index(arm).is_some()
    }

    /// The labels of those of some arms that the study has, in the order asked for.
    #[must_use]
    pub fn labels<A: AsRef<str>>(&self, arms: impl IntoIterator<Item = A>) -> Vec<Label> {
        arms.into_iter().filter_map(|arm| self.arms.get(self.index(arm.as_ref())?).cloned()).collect()
    }

    /// Where one arm and seed is recorded.
    ///
    /// # Errors
    /// If the study has no such arm.
    pub fn record(&mut self, arm: &str, seed: u64) -> Result<&mut Outcome, StudyError> {
        let index = self.index(arm).ok_or_else(|| StudyError::Other(format!("the study has no arm “{arm}”")))?;
        Ok(self.outcomes.entry((index, seed)).or_default())
    }

    /// What one arm yielded with one seed.
    #[must_use]
    pub fn outcome(&self, arm: &str, seed: u64) -> Option<&Outcome> {
        self.outcomes.get(&(self.index(arm)?, seed))
    }

    /// An arm's outcomes by seed, in the order of the seeds.
    pub fn outcomes(&self, arm: &str) -> impl Iterator<Item = (u64, &Outcome)> {
        let index = self.index(arm);
        self.seeds.iter().filter_map(move |&seed| Some((seed, self.outcomes.get(&(index?, seed))?)))
    }

    /// A number of an arm, seed by seed.
    #[must_use]
    pub fn sample(&self, arm: &str, number: impl Into<Number>) -> Sample {
        let number = number.into();
        Sample(self.outcomes(arm).filter_map(|(seed, outcome)| Some((seed, *outcome.numbers.get(&number)?))).collect())
    }

    /// A quantity of one's own, over the seeds that have it.
    #[must_use]
    pub fn by_seed(&self, of: impl Fn(u64) -> Option<f64>) -> Sample {
        Sample(self.seeds.iter().filter_map(|&seed| Some((seed, of(seed)?))).collect())
    }

    /// A curve of an arm: at each x that any seed has, the mean over the seeds that have it, with the lowest and highest.
    #[must_use]
    pub fn mean_curve(&self, arm: &str, curve: Curve) -> (Vec<[f64; 2]>, Vec<[f64; 2]>) {
        let mut at: Vec<(f64, Vec<f64>)> = Vec::new();
        for (_, outcome) in self.outcomes(arm) {
            for &[x, y] in outcome.curve(curve) {
                match at.binary_search_by(|(known, _)| known.total_cmp(&x)) {
                    Ok(place) => at[place].1.push(y),
                    Err(place) => at.insert(place, (x, vec![y])),
                }
            }
        }
        at.iter()
            .map(|(x, values)| {
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let low = values.iter().copied().fold(f64::INFINITY, f64::min);
                let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                ([*x, mean], [low, high])
            })
            .unzip()
    }

    /// Keeps a picture for the figures, such as a view of a trained network; one of the same name is replaced.
    pub fn keep(&mut self, name: &str, picture: Figure) {
        self.pictures.insert(name.to_owned(), picture);
    }

    /// A picture that was kept.
    #[must_use]
    pub fn picture(&self, name: &str) -> Option<&Figure> {
        self.pictures.get(name)
    }

    /// A curve of an arm at an x, seed by seed, over the seeds that have a point there.
    #[must_use]
    pub fn sample_at(&self, arm: &str, curve: Curve, x: f64) -> Sample {
        let all = self.outcomes(arm).map(|(seed, outcome)| (seed, outcome.at(curve, x)));
        Sample(all.filter(|(_, y)| !y.is_nan()).collect())
    }

    /// Takes in what other seeds of the same study have yielded; both have the same arms.
    pub fn absorb(&mut self, other: Self) {
        self.seeds.extend(&other.seeds);
        self.outcomes.extend(other.outcomes);
        self.pictures.extend(other.pictures);
        if self.backend.is_empty() {
            (self.backend, self.gpu) = (other.backend, other.gpu);
        }
    }

    /// Runs that have ended.
    #[must_use]
    pub fn finished(&self) -> usize {
        self.outcomes.values().filter(|outcome| outcome.done).count()
    }
}

/// A quantity, seed by seed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample(pub Vec<(u64, f64)>);

impl Sample {
    /// The values without their seeds.
    pub fn values(&self) -> impl ExactSizeIterator<Item = f64> {
        self.0.iter().map(|&(_, value)| value)
    }

    /// How many seeds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no seed has yielded it yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Mean over the seeds; NaN of none.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.values().sum::<f64>() / self.len() as f64
    }

    /// Standard deviation over the seeds (n - 1); NaN of fewer than two.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        let mean = self.mean();
        let squares: f64 = self.values().map(|value| (value - mean).powi(2)).sum();
        if self.len() < 2 { f64::NAN } else { (squares / (self.len() - 1) as f64).sqrt() }
    }

    /// The deviation, 0 where it is rounding.
    fn seen_deviation(&self) -> f64 {
        let deviation = self.deviation();
        if deviation > 1e-9 * self.mean().abs() { deviation } else { 0.0 }
    }

    /// The mean with no more digits than the deviation allows: those that it does not reach, and the first that it does.
    #[must_use]
    pub fn mean_in_words(&self) -> String {
        match decimals(self.seen_deviation(), 1) {
            Some(decimals) if decimals <= MOST_DECIMALS => fixed(self.mean(), decimals),
            _ => brief(self.mean()),
        }
    }

    /// Smallest value; infinite of none.
    #[must_use]
    pub fn min(&self) -> f64 {
        self.values().fold(f64::INFINITY, f64::min)
    }

    /// Largest value; minus infinite of none.
    #[must_use]
    pub fn max(&self) -> f64 {
        self.values().fold(f64::NEG_INFINITY, f64::max)
    }

    /// Seed by seed, over the seeds that both have.
    #[must_use]
    pub fn with(&self, other: &Self, combine: impl Fn(f64, f64) -> f64) -> Self {
        let pair = |&(seed, a): &(u64, f64)| {
            other.0.iter().find(|(known, _)| *known == seed).map(|&(_, b)| (seed, combine(a, b)))
        };
        Self(self.0.iter().filter_map(pair).collect())
    }

    /// `self - other`, seed by seed.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        self.with(other, |a, b| a - b)
    }

    /// `self / other`, seed by seed.
    #[must_use]
    pub fn over(&self, other: &Self) -> Self {
        self.with(other, |a, b| a / b)
    }
}

/// `88.2 ± 2.3`: the deviation over the seeds with two digits, and the mean with as many decimals as that; where seeds do
/// not differ, the mean alone.
impl std::fmt::Display for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (mean, deviation) = (self.mean(), self.seen_deviation());
        if self.is_empty() {
            return write!(f, "–");
        }
        match decimals(deviation, 2) {
            Some(decimals) if decimals > MOST_DECIMALS => write!(f, "{mean:.1e} ± {deviation:.1e}"),
            Some(decimals) => write!(f, "{} ± {deviation:.decimals$}", fixed(mean, decimals)),
            None => write!(f, "{}", brief(mean)),
        }
    }
}

/// Numbers with more decimals than this are written as powers of ten.
const MOST_DECIMALS: usize = 5;

/// A number with so many decimals; 0 has no sign.
fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) { text } else { text.trim_start_matches('-').to_owned() }
}

/// Decimals that show a deviation with so many digits; none where there is no deviation.
fn decimals(deviation: f64, digits: i32) -> Option<usize> {
    let place = libm::floor(libm::log10(deviation)) as i32;
    (deviation > 0.0 && deviation.is_finite()).then(|| (digits - 1 - place).max(0) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{ACCURACY, LOSS, TEST_LOSS};

    fn results() -> Results {
        let arms = vec![Label::baseline("A", "ViT"), Label::new("C", "CCT")];
        let mut results = Results::new(Knobs::default(), arms, vec![1, 2, 3]);
        for (seed, a, c) in [(1, 80.0, 88.0), (2, 82.0, 90.0)] {
            results.record("A", seed).unwrap().number(ACCURACY.last(), a);
            results.record("C", seed).unwrap().number(ACCURACY.last(), c);
        }
        results.record("A", 3).unwrap().number(ACCURACY.last(), 84.0);
        results
    }

    #[test]
    fn samples_pair_by_seed() {
        let results = results();
        let gap = results.sample("C", ACCURACY).minus(&results.sample("A", ACCURACY));
        assert_eq!(gap.0, [(1, 8.0), (2, 8.0)]);
        assert_eq!(results.sample("A", ACCURACY).mean(), 82.0);
        assert_eq!(results.sample("A", ACCURACY).deviation(), 2.0);
        assert_eq!(results.sample("A", ACCURACY).to_string(), "82.0 ± 2.0");
        assert!(matches!(results.clone().record("Z", 1), Err(StudyError::Other(_))), "no arm is made");
    }

    #[test]
    fn numbers_have_no_more_digits_than_their_deviation_allows() {
        let written = |values: &[f64]| Sample((1..).zip(values.iter().copied()).collect()).to_string();
        assert_eq!(written(&[8.2, 17.6, 28.9]), "18 ± 10");
        assert_eq!(written(&[2.4141, 2.4279, 2.4421]), "2.428 ± 0.014");
        assert_eq!(written(&[2e-7, 4e-7]), "3.0e-7 ± 1.4e-7");
        assert_eq!(written(&[14_218.0, 14_218.0]), "14218");
        assert_eq!(written(&[0.3, 0.3 + 1e-14]), "0.3");
        assert_eq!((written(&[4.0]), written(&[0.0, 0.0]), written(&[])), ("4".into(), "0".into(), "–".into()));
        assert_eq!(Sample(vec![(1, 8.2), (2, 17.6), (3, 28.9)]).mean_in_words(), "18");
        assert_eq!(Sample(vec![(1, 61.9), (2, 62.3)]).mean_in_words(), "62.1");
        assert_eq!(
            (Sample(vec![(1, -2.0), (2, 1.2)]).mean_in_words(), written(&[-2.0, 1.98])),
            ("0".into(), "0.0 ± 2.8".into())
        );
    }

    #[test]
    fn what_is_missing_is_empty_not_wrong() {
        let results = results();
        assert!(results.sample("C", LOSS).is_empty());
        assert!(results.sample("Z", ACCURACY).mean().is_nan());
        assert_eq!(results.finished(), 0);
    }

    #[test]
    fn a_curve_is_asked_for_at_a_step() {
        let mut results = results();
        results.record("C", 1).unwrap().reading(TEST_LOSS, 10.0, 3.0);
        results.record("C", 2).unwrap().reading(TEST_LOSS, 20.0, 2.0);
        assert_eq!(results.sample_at("C", TEST_LOSS, 10.0).0, [(1, 3.0)]);
        assert_eq!(results.sample("C", TEST_LOSS).0, [(1, 3.0), (2, 2.0)]);
        assert_eq!(results.outcome("C", 2).map(Outcome::last_readings), Some(vec![(TEST_LOSS, [20.0, 2.0])]));
    }

    #[test]
    fn seeds_that_ran_apart_are_joined() {
        let mut results = results();
        let mut other = Results::new(Knobs::default(), results.arms.clone(), vec![4]);
        other.record("C", 4).unwrap().number(ACCURACY.last(), 92.0);
        results.absorb(other);
        assert_eq!(results.sample("C", ACCURACY).0, [(1, 88.0), (2, 90.0), (4, 92.0)]);
    }

    #[test]
    fn curves_average_over_the_seeds_that_have_a_point() {
        let mut results = results();
        results.record("C", 2).unwrap().point(LOSS, 10.0, 3.0);
        results.record("C", 1).unwrap().point(LOSS, 0.0, 2.0);
        results.record("C", 2).unwrap().point(LOSS, 0.0, 4.0);
        let (mean, band) = results.mean_curve("C", LOSS);
        assert_eq!(mean, [[0.0, 3.0], [10.0, 3.0]]);
        assert_eq!(band, [[2.0, 4.0], [3.0, 3.0]]);
    }
}
