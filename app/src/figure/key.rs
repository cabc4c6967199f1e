//! What the series of a figure are called and how they look.

use crate::text::px;
use engine::figure::Dash;
use leptos::prelude::*;

use super::canvas::pattern;
use super::palette::Tone;

/// A series in the key of a figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// What it is called.
    pub name: String,
    /// Colour.
    pub tone: Tone,
    /// Stroke of a line; none for dots.
    pub dash: Option<Dash>,
    /// Whether dots are rings.
    pub hollow: bool,
}

impl Key {
    /// A line's.
    pub fn line(name: impl Into<String>, tone: Tone, dash: Dash) -> Self {
        Self { name: name.into(), tone, dash: Some(dash), hollow: false }
    }

    /// Dots' or rings'.
    pub fn dots(name: &str, tone: Tone, hollow: bool) -> Self {
        Self { name: name.to_owned(), tone, dash: None, hollow }
    }
}

/// The key on the page.
pub fn shown(Key { name, tone, dash, hollow }: Key) -> AnyView {
    // Stroke, and stroke and gap together.
    let [on, period] = match dash.map(pattern) {
        Some([on, off]) => [*on, on + off],
        _ => [1.0, 1.0],
    };
    let tone = tone.css();
    let [on, period] = [on, period].map(px);
    view! {
        <span
            class="key"
            class:dot=dash.is_none()
            class:hollow=hollow
            style=("--tone", tone)
            style=("--on", on)
            style=("--period", period)
        >
            {name}
        </span>
    }
    .into_any()
}

/// The stroke of a line as HTML, for what is written as such.
pub fn swatch(tone: Tone) -> String {
    let tone = tone.css();
    // The Content-Security-Policy allows no style within a text.
    format!(
        "<svg class=\"swatch\" width=\"14\" height=\"3\" aria-hidden=\"true\"><rect width=\"14\" height=\"3\" fill=\"{tone}\"/></svg>"
    )
}
