//! The curvature: what the engine measures of it while the network learns, and what else can be asked for.

use engine::protocol::Probe;
use engine::spec::{Auto, ProbesSpec, RunSpec};
use leptos::prelude::*;

use super::look::{list, promise};
use crate::controls::recipe::Controls;
use crate::erase::flag;
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
    // What was asked for is seen, too.
    let asked = move || lab.curvature.with(|known| known.iter().any(|figure| ASKED.contains(&figure.id.as_str())));
    let open = Signal::memo(move |_| lab.spec.with(is_subject) || asked());
    view! {
        <details class="curvature" open=flag(move || open.get())>
            <summary><h2>"Curvature"</h2></summary>
            <Menu label="Measure now".to_owned() text="Measure now ▾" entries/>
            <details class="group instruments">
                <summary><h3>"Instruments"</h3></summary>
                {Controls::new(lab).of(INSTRUMENTS.map(str::to_owned).to_vec())}
            </details>
            {list(figures)}
        </details>
    }
    .into_any()
}

/// The controls that switch instruments on.
const INSTRUMENTS: [&str; 8] = [
    "probes.alpha",
    "probes.signal",
    "probes.cabs",
    "probes.stopping",
    "probes.elements",
    "probes.batch_sharpness",
    "probes.blocks",
    "probes.perturbation",
];

/// Figures of what is measured only when a person asks for it.
const ASKED: [&str; 3] = ["batches", "line", "plane"];

/// Whether a run is about its curvature: it sets the rate, or the recipe says how it is to be measured.
fn is_subject(spec: &RunSpec) -> bool {
    let usual = ProbesSpec::default();
    let ProbesSpec { curvature, operator, samples, share, .. } = spec.probes;
    let measured =
        curvature != usual.curvature || operator != usual.operator || (samples, share) > (usual.samples, usual.share);
    spec.schedule.auto != Auto::Off || (curvature > 0 && (measured || spec.probes.instruments()))
}

#[cfg(test)]
#[test]
fn every_instrument_can_be_switched_on() {
    use engine::spec::{FIELDS, Field, Kind};
    let switches = |field: &&Field| field.group() == "probes" && field.kind == Kind::Bool;
    assert!(FIELDS.iter().filter(switches).map(|field| field.path).eq(INSTRUMENTS));
}
