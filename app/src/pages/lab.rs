//! The lab: recipe, lanes, look-inside, runs.

use crate::erase::{flag, part};
use leptos::html::Input;
use leptos::prelude::*;

use crate::controls::recipe::Recipe;
use crate::controls::transport::Transport;
use crate::lanes::batch::BatchLane;
use crate::lanes::rate::RateLane;
use crate::lanes::training::{Quantity, TrainingLane};
use crate::panels::curvature::Curvature;
use crate::panels::data_card::DataCardPanel;
use crate::panels::findings::Findings;
use crate::panels::look::Look;
use crate::panels::runs::Runs;
use crate::panels::start::Start;
use crate::reactive::Signal;
use crate::state::Lab;

/// The page.
#[component]
pub fn LabPage(search_box: NodeRef<Input>) -> impl IntoView {
    let lab = Lab::of();
    let controls = Signal::memo(move |_| lab.has_controls());
    view! {
        <main class="lab" class:started=flag(move || lab.start.get()) class:bare=flag(move || !controls.get())>
            <h1 class="unseen">"Lab"</h1>
            // First in the order of keys, wherever the style sheet puts it.
            <Transport/>
            {part(move || lab.start.get().then(|| view! { <Start/> }.into_any()))}
            <Recipe search_box/>
            {views(lab)}
        </main>
    }
    .into_any()
}

/// All that shows the run: lanes, runs, what is inside.
pub fn views(lab: Lab) -> AnyView {
    let accuracy = Signal::memo(move |_| !lab.predicts_numbers() && lab.shows("panel.accuracy"));
    let panel = move |name: &'static str, build: fn() -> AnyView| part(move || lab.shows(name).then(build));
    view! {
            <div class="centre">
                <Findings/>
                {part(move || lab.failure.get().map(|text| view! { <div class="stopped" role="alert">{text}</div> }.into_any()))}
                <TrainingLane quantity=Quantity::Loss/>
                {part(move || accuracy.get().then(|| view! { <TrainingLane quantity=Quantity::Accuracy/> }.into_any()))}
                {panel("panel.rate", || view! { <RateLane/> }.into_any())}
                {panel("panel.batch", || view! { <BatchLane/> }.into_any())}
                {panel("panel.runs", || view! { <Runs/> }.into_any())}
            </div>
            <div class="column" tabindex="-1">
                {panel("panel.look", || view! { <Look/> }.into_any())}
                {panel("panel.curvature", || view! { <Curvature/> }.into_any())}
                {panel("panel.data", || view! { <DataCardPanel/> }.into_any())}
            </div>
    }
    .into_any()
}
