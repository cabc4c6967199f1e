//! Chooses the columns of a table before it is read.

use std::collections::BTreeSet;

use crate::erase::{flag, press, words};
use leptos::prelude::*;

use crate::state::Lab;
use crate::state::files::Table;

/// The dialog's content.
#[component]
pub fn Columns(table: Table) -> impl IntoView {
    let lab = Lab::of();
    let Table { name, columns, ticket } = table;
    let target = RwSignal::new(columns.last().cloned().unwrap_or_default());
    let left_out = RwSignal::new(BTreeSet::<String>::new());
    let series = RwSignal::new(false);
    let options = columns.iter().map(|column| {
        let (value, mine) = (column.clone(), column.clone());
        view! { <option value=value selected=move || target.get() == mine>{column.clone()}</option> }
    });
    let options = options.collect_view();
    let features = columns.iter().map(|column| {
        let (mine, shown, known) = (column.clone(), column.clone(), column.clone());
        let is_target = move || target.get() == known;
        let used = {
            let column = column.clone();
            move || !left_out.with(|out| out.contains(&column))
        };
        view! {
            <button
                aria-pressed=words(move || used().to_string())
                hidden=is_target
                on:click=press(move |_| left_out.update(|out| if !out.remove(&mine) { out.insert(mine.clone()); }))
            >
                {shown}
            </button>
        }
    });
    let features = features.collect_view();
    let kind = move |on: bool, label: &'static str| {
        view! {
            <button role="radio" aria-checked=words(move || (series.get() == on).to_string()) on:click=press(move |_| series.set(on))>
                {label}
            </button>
        }
    };
    let all = columns.clone();
    let chosen = move || {
        let target = target.get();
        left_out.with(|out| all.iter().filter(|c| **c != target && !out.contains(*c)).cloned().collect::<Vec<_>>())
    };
    let enough = {
        let chosen = chosen.clone();
        move || !chosen().is_empty()
    };
    let read = move |_| {
        lab.use_columns(ticket, target.get_untracked(), untrack(&chosen), series.get_untracked());
        lab.dialog.set(None);
    };
    view! {
        <p class="soft">{format!("{name} has {} columns. It is read here and never leaves this machine.", columns.len())}</p>
        <div class="columns">
            <div class="chips" role="radiogroup" aria-label="What a row is">
                {kind(false, "each row has a class")} {kind(true, "rows follow in time")}
            </div>
            <label class="line">
                <span>{move || if series.get() { "forecast" } else { "class" }}</span>
                <select on:change=move |event| target.set(event_target_value(&event))>{options}</select>
            </label>
            <p class="soft">"Learn from:"</p>
            <div class="chips" role="group" aria-label="Columns to learn from">{features}</div>
        </div>
        <div class="dialog-foot">
            <button on:click=press(move |_| lab.dialog.set(None))>"Cancel"</button>
            <button class="primary" disabled=flag(move || !enough()) on:click=read>"Read it"</button>
        </div>
    }
    .into_any()
}
