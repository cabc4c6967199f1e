//! Lets the language model write, from a prompt and at a temperature.

use crate::erase::{heard, words};
use engine::decimal::plain;
use engine::spec::number;
use leptos::prelude::*;

use crate::reactive::RwSignal;
use crate::state::Lab;
use crate::text::part_of;
use crate::text::tick;

/// The panel.
#[component]
pub fn Writer() -> impl IntoView {
    let lab = Lab::of();
    let prompt = RwSignal::new(String::new());
    let temperature = RwSignal::new(0.8_f64);
    let write = move || lab.write(prompt.get_untracked(), temperature.get_untracked());
    view! {
        <section class="panel writer" aria-label="Sample">
            <h3>
                "Sample"
                <em>{words(move || lab.sample.get().map_or_else(String::new, |(step, _)| format!("written at step {step}")))}</em>
            </h3>
            <form on:submit=move |event| { event.prevent_default(); write(); }>
                <input
                    type="text"
                    placeholder="Begin with …"
                    aria-label="Text to continue"
                    maxlength="200"
                    on:input=heard(move |event| prompt.set(event_target_value(&event)))
                />
                <button type="submit">"Write"</button>
            </form>
            <label class="line">
                <span>"temperature"</span>
                <input
                    type="range"
                    min="0"
                    max="1.5"
                    step="0.05"
                    prop:value=words(move || plain(temperature.get()))
                    style=("--fill", move || part_of(temperature.get() / 1.5))
                    on:input=heard(move |event| temperature.set(number(&event_target_value(&event)).unwrap_or(0.8)))
                />
                <b>{words(move || tick(temperature.get()))}</b>
            </label>
            <pre class="sample-text" tabindex="0" aria-live="polite">
                {words(move || lab.sample.get().map_or_else(
                    || "Press Write: the model continues your text, one character at a time, as well as it can by now.".to_owned(),
                    |(_, text)| text,
                ))}
            </pre>
        </section>
    }
    .into_any()
}
