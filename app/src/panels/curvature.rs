//! The curvature: what the engine measures of it while the network learns, and what else can be asked for.

use engine::protocol::Probe;
use leptos::prelude::*;

use super::look::{list, promise};
use crate::reactive::Signal;
use crate::state::Lab;
use crate::widgets::menu::{Entry, Menu};

/// The panel.
#[component]
pub fn Curvature() -> impl IntoView {
    let lab = Lab::of();
    let figures = Signal::derive(move || {
        let known = lab.curvature.get();
        if !known.is_empty() {
            return known;
        }
        vec![
            promise(
                "spectrum",
                "Hessian spectrum",
                "",
                "How much curvature lies where, over time: from the first update on.",
            ),
            promise(
                "eigenvalues",
                "Top eigenvalues",
                "",
                "The sharpest directions against what the learning rate bears.",
            ),
        ]
    });
    let entries = Callback::new(move |()| {
        let entry = |label: &'static str, probe| -> Entry { (label, Callback::new(move |()| lab.probe(probe))) };
        vec![
            entry("Spectrum", Probe::Spectrum),
            entry("Compare batches", Probe::Batches),
            entry("Loss along a line", Probe::Line),
            entry("Loss over a plane", Probe::Plane),
        ]
    });
    view! {
        <div class="look-head">
            <h2>"Curvature"</h2>
            <Menu label="Measure now".to_owned() text="Measure now ▾" entries/>
        </div>
        {list(figures)}
    }
    .into_any()
}
