//! What is searched: a control of the recipe with its range.

use engine::rng::Rng;
use engine::spec::{number, show_number};

/// See the module.
#[derive(Debug, PartialEq)]
pub struct Searched {
    /// The control, one that may be turned while a run goes on.
    pub path: &'static str,
    /// From where to where it is searched.
    pub range: [f64; 2],
    /// Whether it is drawn evenly in its logarithm.
    pub log: bool,
    /// Whether what is searched is what the control lacks to 1, as of momentum.
    pub complement: bool,
}

impl Searched {
    /// A value within the range, by chance.
    #[must_use]
    pub fn draw(&self, rng: &mut Rng) -> f64 {
        let [low, high] = self.range;
        let share = f64::from(rng.uniform());
        let value = if self.log { low * libm::pow(high / low, share) } else { low + (high - low) * share };
        value.clamp(low, high)
    }

    /// The control's value, as a link writes it: with nine digits.
    #[must_use]
    pub fn written(&self, value: f64) -> String {
        let value = if self.complement { 1.0 - value } else { value };
        show_number(number(&format!("{value:.8e}")).unwrap_or(value))
    }
}

/// Values each multiplied by one plus or minus `spread`, by chance, and kept within their ranges.
#[must_use]
pub fn perturbed(values: &[f64], searched: &[Searched], spread: f64, rng: &mut Rng) -> Vec<f64> {
    let one = |(&value, searched): (&f64, &Searched)| {
        let factor = if rng.below(2) == 0 { 1.0 - spread } else { 1.0 + spread };
        (value * factor).clamp(searched.range[0], searched.range[1])
    };
    values.iter().zip(searched).map(one).collect()
}
