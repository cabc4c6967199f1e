//! Look inside: the views that the engine draws of the network while it learns.

use std::sync::Arc;

use crate::erase::{each_named, part, press, words};
use engine::figure::Figure;
use engine::spec::{Content, DataSet};
use leptos::prelude::*;

use super::by_hand::card;
use super::own_picture::{OWN_PICTURE, OwnPicture};
use super::writer::Writer;
use crate::figure::card::FigureCard;
use crate::reactive::{RwSignal, Signal};
use crate::state::Lab;
use crate::widgets::icon::Icon;

/// A figure that says what will appear in its place.
pub fn promise(id: &str, title: &str, meaning: &str, empty: &str) -> Figure {
    Figure {
        id: id.into(),
        title: title.into(),
        meaning: meaning.into(),
        alt: format!("{title}: nothing yet"),
        empty: empty.into(),
        ..Figure::default()
    }
}

/// What will appear for a kind of data and a model, until it does.
fn promises(content: Content, model: &str, numbers: bool, plane: bool) -> Vec<Figure> {
    let inside = match model {
        "cct" | "vit" | "cvt" => {
            Some(promise("attention", "Where it looks", "", "What the network attends to in a test image. Press Run."))
        }
        "convnet" => Some(promise("filters", "Filters", "", "What the first layer looks for. Press Run.")),
        _ => None,
    };
    match content {
        Content::Images => inside
            .into_iter()
            .chain([
                promise("hardest", "Hardest now", "", "The test images it gets most wrong, with its guesses."),
                promise("confusion", "Confusion", "", "Which class is taken for which."),
            ])
            .collect(),
        Content::Table if numbers => {
            vec![promise("predictions", "Predictions", "", "What it expects against what is true. Press Run.")]
        }
        Content::Table => {
            let regions = "The class that it gives to each place of the plane. Press Run.";
            let regions = plane.then(|| promise("regions", "Decision regions", "", regions));
            let confusion = promise("confusion", "Confusion", "", "Which class is taken for which. Press Run.");
            regions.into_iter().chain([confusion]).collect()
        }
        Content::Text => {
            vec![promise("next_character", "Next character", "", "How likely each next character is. Press Run.")]
        }
        Content::Series => vec![promise("forecast", "Forecast", "", "What it expects against what came. Press Run.")],
    }
}

/// The views in the right column.
#[component]
pub fn Look() -> impl IntoView {
    let lab = Lab::of();
    let cell = RwSignal::new(None);
    let content = Signal::memo(move |_| lab.spec.with(|spec| spec.data.content()));
    let figures = Signal::derive(move || {
        let mut known = lab.looks.get();
        known.retain(|figure| figure.id != OWN_PICTURE);
        if !known.is_empty() {
            return known;
        }
        let numbers = lab.predicts_numbers();
        lab.spec.with(|spec| {
            let plane = match spec.data.set {
                DataSet::Spirals => true,
                DataSet::Mixture => spec.data.dims == 2,
                _ => false,
            };
            promises(spec.data.content(), spec.model.kind(), numbers, plane)
        })
    });
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
        <OwnPicture/>
        {cards(figures, Arc::new(move |id: String, figure: Signal<Figure>| card(lab, cell, &id, figure)))}
    }
    .into_any()
}

/// A card for each figure; a figure that is replaced by one of the same id keeps its card.
pub fn list(figures: Signal<Vec<Figure>>) -> AnyView {
    cards(figures, Arc::new(|_: String, figure: Signal<Figure>| view! { <FigureCard figure/> }.into_any()))
}

/// Builds a card from the figure's id and the figure.
type Build = Arc<dyn Fn(String, Signal<Figure>) -> AnyView + Send + Sync>;

fn cards(figures: Signal<Vec<Figure>>, build: Build) -> AnyView {
    let ids = Signal::memo(move |_| figures.with(|all| all.iter().map(|figure| figure.id.clone()).collect::<Vec<_>>()));
    let card = move |id: String| {
        let sought = id.clone();
        let found = move || figures.with(|all| all.iter().find(|figure| figure.id == sought).cloned());
        build(id, Signal::derive(move || found().unwrap_or_default()))
    };
    each_named(ids, Arc::new(card))
}
