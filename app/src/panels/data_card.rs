//! The data set: its pictures, its classes, whom it comes from.

use crate::erase::words;
use leptos::prelude::*;

use crate::figure::card::FigureCard;
use crate::reactive::Signal;
use crate::state::Lab;
use crate::text::whole;

/// The panel.
#[component]
pub fn DataCardPanel() -> impl IntoView {
    let lab = Lab::of();
    let head = Signal::memo(move |_| lab.card.with(|card| card.as_ref().map(|card| card.title.clone())));
    let facts = move || {
        lab.card.get().map(|card| {
            let shape = card.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ");
            let classes = match card.classes.len() {
                0 => "none".to_owned(),
                n if n <= 12 => card.classes.join(", "),
                n => format!("{n}: {}, …", card.classes[..8].join(", ")),
            };
            let used = if card.train < card.available {
                format!("{} of {}", whole(card.train as u64), whole(card.available as u64))
            } else {
                whole(card.train as u64)
            };
            let used = match lab.shown().data.dropped.len() {
                0 => used,
                out => format!("{used}, {out} left out"),
            };
            let row = |name: &'static str, value: String| {
                (!value.is_empty()).then(|| view! { <dt>{name}</dt><dd>{value}</dd> })
            };
            view! {
                <dl class="facts">
                    {row("train", used)} {row("test", whole(card.test as u64))} {row("an example", shape)}
                    {row("classes", classes)} {row("licence", card.licence)} {row("from", card.attribution)}
                </dl>
                {card.notes.into_iter().map(|note| view! { <p class="soft note">{note}</p> }).collect_view()}
            }
        })
    };
    let figures = move |count: usize| {
        let figure = move |i: usize| {
            let of = move || lab.card.with(|card| card.as_ref().and_then(|card| card.figures.get(i).cloned()));
            view! { <FigureCard figure=Signal::derive(move || of().unwrap_or_default())/> }
        };
        (0..count).map(figure).collect_view()
    };
    let count =
        Signal::memo(move |_| (head.get(), lab.card.with(|card| card.as_ref().map_or(0, |card| card.figures.len()))));
    view! {
        <div class="look-head"><h2>"Data"</h2></div>
        <section class="panel data-card" aria-label="Data set">
            <h3>{words(move || head.get().unwrap_or_else(|| "Data set".into()))}</h3>
            {move || if head.get().is_some() {
                facts().into_any()
            } else {
                view! { <p class="soft">"Pictures, classes and licence appear once the data are here."</p> }.into_any()
            }}
        </section>
        {move || {
            // Read, not only tracked: a memo that nobody reads follows nothing.
            let (_, count) = count.get();
            untrack(|| figures(count))
        }}
    }
    .into_any()
}
