//! How sure a mean or a difference is, with few samples: Student's t and Wilcoxon's signed ranks.

use crate::numeric::{deviation, mean, ranks};

/// A mean with the interval that holds the true one in so many of a hundred cases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Mean of the samples.
    pub mean: f64,
    /// Half of the interval's width; NaN of fewer than two samples.
    pub half: f64,
}

impl Interval {
    /// Of these samples by Student's t, at `confidence` (0.95 = in 95 of 100 cases).
    #[must_use]
    pub fn of(samples: &[f64], confidence: f64) -> Self {
        let n = samples.len() as f64;
        let t = student_t_quantile(f64::midpoint(1.0, confidence), n - 1.0);
        Self { mean: mean(samples), half: t * deviation(samples) / n.sqrt() }
    }

    /// The interval's ends.
    #[must_use]
    pub fn ends(self) -> [f64; 2] {
        [self.mean - self.half, self.mean + self.half]
    }
}

/// What a paired test found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedTest {
    /// The test's statistic: t, or the sum of the ranks of the positive differences.
    pub statistic: f64,
    /// Two-sided: the chance of a statistic at least as extreme if the two did not differ.
    pub p: f64,
}

/// Student's paired t-test of differences. NaN of fewer than two, or where they do not vary.
#[must_use]
pub fn paired_t(differences: &[f64]) -> PairedTest {
    let n = differences.len() as f64;
    let t = mean(differences) * n.sqrt() / deviation(differences);
    PairedTest { statistic: t, p: 2.0 * student_t_below(-t.abs(), n - 1.0) }
}

/// Welch's t-test of two samples whose deviations may differ: the two-sided chance of means at least as far apart if the true
/// ones were the same. NaN of fewer than two values, or of samples that do not vary and are the same.
#[must_use]
pub fn welch(a: &[f64], b: &[f64]) -> f64 {
    let [first, second] = [a, b].map(|sample| deviation(sample).powi(2) / sample.len() as f64);
    let t = (mean(a) - mean(b)) / (first + second).sqrt();
    if t.is_infinite() {
        return 0.0;
    }
    let terms = [(first, a), (second, b)].map(|(share, sample)| share.powi(2) / (sample.len() as f64 - 1.0));
    let freedom = (first + second).powi(2) / (terms[0] + terms[1]);
    2.0 * student_t_below(-t.abs(), freedom)
}

/// Wilcoxon's signed-rank test of differences, by counting all signs: exact for any number, ties included. Differences of 0
/// are left out; NaN where none is left.
#[must_use]
pub fn wilcoxon(differences: &[f64]) -> PairedTest {
    let differences: Vec<f64> = differences.iter().copied().filter(|&difference| difference != 0.0).collect();
    let ranks = ranks(&differences.iter().map(|difference| difference.abs()).collect::<Vec<f64>>());
    let statistic: f64 = ranks.iter().zip(&differences).filter(|(_, d)| **d > 0.0).map(|(rank, _)| rank).sum();
    if differences.is_empty() {
        return PairedTest { statistic, p: f64::NAN };
    }
    // Shared ranks are halves: chances of each sum of doubled ranks.
    let doubled: Vec<usize> = ranks.iter().map(|rank| (2.0 * rank) as usize).collect();
    let total: usize = doubled.iter().sum();
    let mut chances = vec![0.0; total + 1];
    chances[0] = 1.0;
    for rank in doubled {
        for sum in (0..=total).rev() {
            chances[sum] = 0.5 * (chances[sum] + if sum >= rank { chances[sum - rank] } else { 0.0 });
        }
    }
    let least = (2.0 * statistic) as usize;
    let least = least.min(total - least);
    let p = 2.0 * chances[..=least].iter().sum::<f64>();
    PairedTest { statistic, p: p.min(1.0) }
}

/// The chance that Student's t with so many degrees of freedom lies below `t`; NaN unless these are positive.
#[must_use]
pub fn student_t_below(t: f64, freedom: f64) -> f64 {
    if freedom.is_nan() || freedom <= 0.0 || t.is_nan() {
        return f64::NAN;
    }
    let tail = 0.5 * beta_share(freedom / 2.0, 0.5, freedom / (freedom + t * t));
    if t > 0.0 { 1.0 - tail } else { tail }
}

/// The t below which Student's t lies with the chance `p`, by bisection; infinite at 0 and 1, NaN as of
/// [`student_t_below`].
#[must_use]
pub fn student_t_quantile(p: f64, freedom: f64) -> f64 {
    if freedom.is_nan() || freedom <= 0.0 || !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p < 0.5 {
        return -student_t_quantile(1.0 - p, freedom);
    }
    if p == 1.0 {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while student_t_below(high, freedom) < p && high < f64::MAX / 2.0 {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if student_t_below(middle, freedom) < p { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// The regularised incomplete beta function I_x(a, b), by its continued fraction (Abramowitz and Stegun 26.5.8) where that
/// converges fast, else by its mirror image.
fn beta_share(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_share(b, a, 1.0 - x);
    }
    let scale = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * libm::log(x) + b * libm::log1p(-x);
    // Lentz's method; what is zero is made tiny.
    let kept = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let (mut c, mut d) = (1.0, 1.0 / kept(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for m in 1..500 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = fraction;
        for numerator in [even, odd] {
            d = 1.0 / kept(1.0 + numerator * d);
            c = kept(1.0 + numerator / c);
            fraction *= c * d;
        }
        if (fraction - before).abs() <= 1e-15 * fraction.abs() {
            break;
        }
    }
    libm::exp(scale) * fraction / a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-9, "{found} against {expected}");
    }

    /// Closed forms: with 1 degree of freedom `1/2 + atan(t) / pi`, with 2 `1/2 + t / (2 sqrt(2 + t^2))`.
    #[test]
    fn t_has_its_closed_forms() {
        for t in [-7.0, -0.3, 0.4, 2.0, 50.0_f64] {
            close(student_t_below(t, 1.0), 0.5 + t.atan() / std::f64::consts::PI);
            close(student_t_below(t, 2.0), 0.5 + t / (2.0 * (2.0 + t * t).sqrt()));
        }
        assert_eq!(student_t_below(0.0, 5.0), 0.5);
        assert!(student_t_below(1.0, 0.0).is_nan());
    }

    /// The printed tables, `scipy.stats.t.ppf(0.975, [1, 2, 4, 9, 99, 999])`.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        let table = [
            (1.0, 12.706_205),
            (2.0, 4.302_653),
            (4.0, 2.776_445),
            (9.0, 2.262_157),
            (99.0, 1.984_217),
            (999.0, 1.962_341),
        ];
        for (freedom, expected) in table {
            let found = student_t_quantile(0.975, freedom);
            assert!((found - expected).abs() < 1e-6, "{found} against {expected}");
            close(student_t_quantile(0.025, freedom), -found);
        }
    }

    /// Samples 1 to 5: mean 3, deviation sqrt(5/2), so 3 -+ 2.776445 sqrt(1/2).
    #[test]
    fn an_interval_by_hand() {
        let Interval { mean, half } = Interval::of(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.95);
        assert_eq!(mean, 3.0);
        assert!((half - 2.776_445_105 * 0.5_f64.sqrt()).abs() < 1e-8, "{half}");
        assert!(Interval::of(&[1.0], 0.95).half.is_nan());
    }

    /// Differences 1, 2, 3: t = 2 sqrt 3, p = 1 - t / sqrt(2 + t^2) by the closed form.
    #[test]
    fn paired_differences_by_hand() {
        let PairedTest { statistic, p } = paired_t(&[1.0, 2.0, 3.0]);
        close(statistic, 12.0_f64.sqrt());
        close(p, 1.0 - (12.0_f64 / 14.0).sqrt());
        assert!(paired_t(&[1.0]).p.is_nan());
    }

    /// Samples 1, 2, 3 and 2, 4, 6: t = -2 / sqrt(5/3), freedom (5/3)^2 / ((1/3)^2 / 2 + (4/3)^2 / 2) = 50/17.
    #[test]
    fn unequal_deviations_by_hand() {
        close(
            welch(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]),
            2.0 * student_t_below(-2.0 / (5.0_f64 / 3.0).sqrt(), 50.0 / 17.0),
        );
        assert!(welch(&[1.0, 1.0], &[1.0, 1.0]).is_nan());
        assert_eq!(welch(&[1.0, 1.0], &[2.0, 2.0]), 0.0);
    }

    /// Of n positive differences all 2^n signs but one sum to less: p = 2 / 2^n. With one sign turned: Wilcoxon's tables.
    #[test]
    fn signed_ranks_are_counted() {
        assert_eq!(wilcoxon(&[1.0, 2.0, 3.0, 4.0, 5.0]), PairedTest { statistic: 15.0, p: 2.0 / 32.0 });
        // Rank 2 is negative: sums of 0, 1 and 2 have one set each, so P(W <= 2) = 3/32.
        assert_eq!(wilcoxon(&[1.0, -2.0, 3.0, 4.0, 5.0]), PairedTest { statistic: 13.0, p: 6.0 / 32.0 });
        assert_eq!(wilcoxon(&[1.0, -1.0]), PairedTest { statistic: 1.5, p: 1.0 });
        assert!(wilcoxon(&[0.0]).p.is_nan());
    }
}
