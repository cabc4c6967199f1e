//! Look inside: the views that the engine draws of the network while it learns.

use crate::erase::{part, press, words};
use engine::figure::Figure;
use engine::spec::Content;
use leptos::prelude::*;

use super::writer::Writer;
use crate::controls::icon::Icon;
use crate::figure::card::FigureCard;
use crate::state::Lab;

/// What will appear for a kind of data, until it does.
fn promises(content: Content) -> Vec<Figure> {
    let promise = |id: &str, title: &str, meaning: &str, empty: &str| Figure {
        id: id.into(),
        title: title.into(),
        meaning: meaning.into(),
        alt: format!("{title}: nothing yet"),
        empty: empty.into(),
        ..Figure::default()
    };
    match content {
        Content::Images => vec![
            promise("attention", "Where it looks", "", "What the network attends to in a test image. Press Run."),
            promise("hardest", "Hardest now", "", "The test images it gets most wrong, with its guesses."),
            promise("confusion", "Confusion", "", "Which class is taken for which."),
        ],
        Content::Table => vec![promise("confusion", "Confusion", "", "Which class is taken for which. Press Run.")],
        Content::Text => vec![promise("next", "Next character", "", "How likely each next character is. Press Run.")],
        Content::Series => vec![promise("forecast", "Forecast", "", "What it expects against what came. Press Run.")],
    }
}

/// The right column's figures.
#[component]
pub fn Look() -> impl IntoView {
    let lab = Lab::of();
    let content = Memo::new(move |_| lab.spec.with(|spec| spec.data.content()));
    let ids = Memo::new(move |_| {
        let known: Vec<String> = lab.looks.with(|looks| looks.iter().map(|figure| figure.id.clone()).collect());
        if known.is_empty() { promises(content.get()).into_iter().map(|figure| figure.id).collect() } else { known }
    });
    let figure = move |id: String| {
        let figure = Signal::derive(move || {
            let found = lab.looks.with(|looks| looks.iter().find(|figure| figure.id == id).cloned());
            let promised = || promises(content.get()).into_iter().find(|figure| figure.id == id);
            found.or_else(promised).unwrap_or_default()
        });
        view! { <FigureCard figure/> }.into_any()
    };
    view! {
        <div class="look-head">
            <h2>"Look inside"</h2>
            <span class="soft">{words(move || if lab.looks.with(Vec::is_empty) { String::new() } else { format!("at step {}", lab.look_step.get()) })}</span>
            <button class="plain" title="Draw the views now" on:click=press(move |_| lab.look())>
                <Icon name="look"/>
                "Look now"
            </button>
        </div>
        {part(move || (content.get() == Content::Text).then(|| view! { <Writer/> }.into_any()))}
        <For each=move || ids.get() key=|id| id.clone() let(id)>{figure(id)}</For>
    }
    .into_any()
}
