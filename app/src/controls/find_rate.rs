//! Finds a learning rate: a test on a copy of the run, from which one press takes the rate over.

use crate::erase::{flag, heard, part, parts, press, words};
use engine::decimal::plain;
use engine::protocol::RunState;
use engine::range::{Range, Suggestion};
use engine::spec::{number, show_number};
use leptos::prelude::*;

use crate::figure::card::FigureCard;
use crate::reactive::Signal;
use crate::state::{Dialog, Engine, Lab};
use crate::text;

/// The button at the learning rate's controls.
#[component]
pub fn FindRate() -> impl IntoView {
    let lab = Lab::of();
    let ready = move || {
        let engine = lab.engine.with(|engine| matches!(engine, Engine::Ready(_)));
        let studying = lab.study_runs.with(|runs| runs.values().any(|run| run.running));
        engine && !studying && lab.summary.with(Option::is_some) && lab.state() != RunState::Failed
    };
    view! {
        <button
            class="find-rate"
            title="Lets the learning rate of a copy of the run grow until its loss diverges"
            aria-haspopup="dialog"
            disabled=flag(move || !ready())
            on:click=press(move |_| {
                lab.find_rate();
                lab.dialog.set(Some(Dialog::FindRate));
            })
        >
            "Find LR"
        </button>
    }
    .into_any()
}

/// The dialog's content.
#[component]
pub fn RateTest() -> impl IntoView {
    let lab = Lab::of();
    let test = lab.rate_test;
    let running = Signal::memo(move |_| test.with(|test| !test.ended));
    let wrong = Signal::memo(move |_| test.with(|test| test.range.check().err()));
    on_cleanup(move || lab.stop_finding());
    // What is no number is as wrong as 0.
    let read = |text: String| number(text.trim()).unwrap_or(0.0);
    let input = move |label: &'static str, value: fn(&Range) -> f64, turn: fn(&mut Range, f64)| {
        let shown = move || test.with(|test| show_number(value(&test.range)));
        let typed = move |event: web_sys::Event| {
            let input: web_sys::HtmlInputElement = event_target(&event);
            test.update(|test| turn(&mut test.range, read(input.value())));
            // What is used, also where that is the same as before.
            input.set_value(&untrack(shown));
        };
        view! {
            <label class="line">
                <span>{label}</span>
                <input
                    type="text"
                    inputmode="decimal"
                    autocomplete="off"
                    prop:value=words(shown)
                    aria-invalid=words(move || wrong.with(Option::is_some).to_string())
                    disabled=flag(move || running.get())
                    on:change=heard(typed)
                />
            </label>
        }
        .into_any()
    };
    let found = move |suggestion: Suggestion| {
        let label = format!("Use {}", text::number(suggestion.rate));
        let [low, high] = suggestion.band.map(text::number);
        let doubt = if suggestion.noisy() { format!(" (noise decides: {low} to {high})") } else { String::new() };
        let Suggestion { rule, rate, .. } = suggestion;
        view! {
            <button class="primary" on:click=press(move |_| lab.use_rate(rate))>{label}<span>{rule}{doubt}</span></button>
        }
        .into_any()
    };
    view! {
        <p class="soft">
            "A copy of the run trains on with a learning rate that grows at every update. The run itself is not changed by it."
        </p>
        <div class="rate-range">
            {input("from", |range| range.low, |range, value| range.low = value)}
            {input("to", |range| range.high, |range, value| range.high = value)}
            {input("updates", |range| range.updates as f64, |range, value| range.updates = value as u64)}
            {input("curvature on (0 = as the recipe)", |range| range.samples as f64, |range, value| range.samples = value as u64)}
            <button
                disabled=flag(move || wrong.with(Option::is_some))
                on:click=press(move |_| if running.get_untracked() { lab.stop_finding() } else { lab.find_rate() })
            >
                {move || if running.get() { "Cancel" } else { "Test again" }}
            </button>
        </div>
        {part(move || wrong.get().map(|text| view! { <p class="problem" role="alert">{text}</p> }.into_any()))}
        <progress
            aria-label="Updates done"
            max="1"
            value=move || plain(test.with(|test| test.fraction))
            style:visibility=move || if running.get() { "visible" } else { "hidden" }
        ></progress>
        <FigureCard figure=Signal::derive(move || test.with(|test| test.figure.clone()))/>
        <p class="unseen" role="status">
            {words(move || test.with(|test| if test.ended { test.figure.alt.clone() } else { String::new() }))}
        </p>
        <div class="dialog-foot rates">{parts(move || test.with(|test| test.suggestions.clone()).into_iter().map(found).collect())}</div>
    }
    .into_any()
}
