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
    view! {
        <main class="lab" class:started=flag(move || lab.start.get())>
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
    let classes = Signal::memo(move |_| !lab.predicts_numbers());
    view! {
            <div class="centre">
                <Findings/>
                {part(move || lab.failure.get().map(|text| view! { <div class="stopped" role="alert">{text}</div> }.into_any()))}
                <TrainingLane quantity=Quantity::Loss/>
                {part(move || classes.get().then(|| view! { <TrainingLane quantity=Quantity::Accuracy/> }.into_any()))}
                <RateLane/>
                <BatchLane/>
                <Runs/>
            </div>
            <div class="column" tabindex="-1"><Look/><Curvature/><DataCardPanel/></div>
    }
    .into_any()
}
