//! Probabilities of named outcomes as horizontal bars.

use engine::figure::Outcome;

use super::axis::shorten;
use super::palette::Tone;
use super::scene::{Anchor, Paint, Scene};
use crate::text::percent;

const ROW: f64 = 18.0;

/// Height that all outcomes need.
pub fn height(outcomes: &[Outcome]) -> f64 {
    outcomes.len() as f64 * ROW + 4.0
}

/// Draws the bars, most probable first.
pub fn draw(outcomes: &[Outcome], scene: &mut Scene) {
    let longest = outcomes.iter().map(|one| one.label.chars().count().min(14)).max().unwrap_or(1) as f64;
    let left = longest * 7.0 + 10.0;
    let room = scene.width - left - 56.0;
    let top = outcomes.iter().map(|one| one.probability).filter(|p| p.is_finite()).fold(1e-9, f64::max);
    for (i, one) in outcomes.iter().enumerate() {
        let y = i as f64 * ROW + 2.0;
        let share = if one.probability.is_finite() { one.probability.max(0.0) / top } else { 0.0 };
        let width = (room * share).max(1.0);
        scene.rect([left, y + 2.0, width, ROW - 6.0], Paint(Tone::Train, 0.85));
        scene.label([left - 6.0, y + 12.0], shorten(&one.label, 14), Paint(Tone::Ink, 1.0), 11.5, Anchor::End);
        scene.text([left + width + 6.0, y + 12.0], percent(one.probability), Anchor::Start);
    }
}
