//! The few-shot lab: a task seen, many tasks counted, the encoder trained live, classes of one's own.

mod many;
mod own;
mod settings;
mod task;

use engine::fewshot::Source;
use leptos::prelude::*;

use crate::erase::{part, words};
use crate::reactive::Signal;
use crate::state::Lab;

/// The page; the whole session is in the address.
#[component]
pub fn FewshotPage() -> impl IntoView {
    let lab = Lab::of();
    let session = lab.fewshot;
    // A worker that studies have started stands already.
    lab.take_fewshot(session.link.get_untracked());
    let own = Signal::memo(move |_| session.link.with(|link| link.spec.data == Source::Own));
    let trains = Signal::memo(move |_| session.link.with(|link| link.spec.embedding.trains()));
    view! {
        <main
            class="reading fewshot"
            data-state=words(move || if session.busy.get().is_some() { "running" } else { "idle" }.to_owned())
        >
            <h1>"Few-shot"</h1>
            <p class="lead">
                "A network is shown a few pictures of classes that it never saw, and tells further ones apart. See why it answers
                as it does, and what the methods of the literature make of the same tasks."
            </p>
            <div class="study">
                <div>
                    {part(move || own.get().then(|| own::panel(lab)))}
                    {part(move || trains.get().then(|| many::training(lab)))}
                    {task::panel(lab, own)}
                    {part(move || (!own.get()).then(|| many::panel(lab)))}
                </div>
                <div class="side">{settings::panel(lab)}</div>
            </div>
        </main>
    }
    .into_any()
}
