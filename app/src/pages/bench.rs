//! The bench: four fixed training steps, timed here.

use crate::erase::{flag, part, parts, press, words};
use crate::figure::card::FigureCard;
use engine::protocol::BenchRow;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen_futures::JsFuture;

use crate::controls::share::copy_words;
use crate::reactive::RwSignal;
use crate::state::bench::{WORKLOADS, run};
use crate::state::{Engine, Lab};
use crate::text::{number, short, whole};

/// Steps a workload trains after its first, and those after them that are timed launch by launch.
const STEPS: [u32; 2] = [30, 20];

/// Heads of the table's number columns.
const HEADS: [&str; 11] = [
    "median",
    "min – max",
    "host",
    "first step",
    "of it compiling",
    "dispatches",
    "submits",
    "new buffers",
    "peak",
    "FLOP",
    "loss",
];

/// The page.
#[component]
pub fn BenchPage() -> impl IntoView {
    let lab = Lab::of();
    let busy = RwSignal::new(None::<String>);
    let failed = RwSignal::new(None::<String>);
    let start = move |recipe: bool, executor: &'static str| {
        failed.set(None);
        let workloads = match recipe {
            true => vec![untrack(|| lab.lab_address().fragment())],
            false => WORKLOADS.iter().map(|(id, _)| (*id).to_owned()).collect(),
        };
        spawn_local(async move {
            for workload in workloads {
                let what = format!("{} on {executor}", called(&workload));
                // The person may have gone to another page; the bench goes on and its rows stay.
                busy.set(Some(what.clone()));
                if let Err(error) = JsFuture::from(run(lab, workload, executor.into(), STEPS)).await {
                    failed.set(Some(format!("{what}: {}", crate::link::words(&error))));
                    break;
                }
            }
            busy.set(None);
        });
    };
    let idle = move || busy.get().is_none();
    let blocked = move || !idle() || !lab.engine.with(|engine| matches!(engine, Engine::Ready(_)));
    let list = WORKLOADS.map(|(id, what)| view! { <dt>{id.to_ascii_uppercase()}</dt><dd>{what}</dd> });
    let heads = HEADS.map(|head| view! { <th class="number">{head}</th> });
    view! {
        <main class="reading" data-state=move || if idle() { "idle" } else { "running" }>
            <h1>"Bench"</h1>
            <p class="lead">
                "Four fixed training steps with AdamW, the same in every library that is compared; and the recipe that stands in
                the lab. Times are of this machine, in this tab; counts come from the engine."
            </p>
            <dl class="facts">{list.into_iter().collect_view()}</dl>
            <div class="filters">
                <button class="primary" disabled=blocked on:click=press(move |_| start(false, "cpu"))>"Run on the CPU"</button>
                <button class="primary" disabled=blocked on:click=press(move |_| start(false, "webgpu"))>"Run on WebGPU"</button>
                <button disabled=blocked on:click=press(move |_| start(true, "cpu"))>"The lab's recipe on the CPU"</button>
                <button disabled=blocked on:click=press(move |_| start(true, "webgpu"))>"on WebGPU"</button>
                <button disabled=flag(move || lab.bench.with(Vec::is_empty)) on:click=press(move |_| copy_words(lab, &table(lab), "The table is copied, with tabs between its columns."))>"Copy as text"</button>
                <span class="soft" aria-live="polite">{words(move || busy.get().map_or_else(String::new, |what| format!("{what} …")))}</span>
                {part(move || failed.get().map(|text| view! { <span class="problem" role="alert">{text}</span> }.into_any()))}
            </div>
            <div class="panel scroll" role="region" aria-label="Rows" tabindex="0">
                <table>
                    <thead><tr><th>"workload"</th><th>"executor"</th>{heads.into_iter().collect_view()}</tr></thead>
                    <tbody>{parts(move || lab.bench.get().into_iter().map(row).collect())}</tbody>
                </table>
                {part(move || lab.bench.with(Vec::is_empty).then(|| view! {
                    <p class="soft">"A row for each workload and executor appears here. Press Run."</p>
                }.into_any()))}
            </div>
            {parts(move || lab.bench.get().into_iter().filter_map(profile).collect())}
            <p class="soft">
                "For a harness: " <code class="mono">"await window.bench(\"w1\", \"cpu\", 50)"</code> " gives a row as an object, of a recipe by its link; "
                <code class="mono">"window.benchSpec"</code> ", if it is set, gives the weights and the batch to start from."
            </p>
        </main>
    }
    .into_any()
}

/// What a workload is called.
fn called(workload: &str) -> String {
    if workload.starts_with('#') { "lab's recipe".into() } else { workload.to_ascii_uppercase() }
}

/// The rows as text, a line each, as spreadsheets and messages take it.
fn table(lab: Lab) -> String {
    let head = ["workload", "executor", "adapter"].into_iter().chain(HEADS).collect::<Vec<_>>().join("\t");
    let lines = lab.bench.with_untracked(|rows| {
        let line = |row: &BenchRow| {
            [row.workload.clone(), row.executor.clone(), row.adapter.clone()]
                .into_iter()
                .chain(cells(row))
                .collect::<Vec<_>>()
                .join("\t")
        };
        rows.iter().map(line).collect::<Vec<_>>()
    });
    [&[head][..], &lines].concat().join("\n")
}

/// The number columns of a row.
fn cells(row: &BenchRow) -> [String; HEADS.len()] {
    let ms = |value: f64| format!("{} ms", number(value));
    [
        ms(row.median_ms),
        format!("{} – {} ms", number(row.min_ms), number(row.max_ms)),
        ms(row.host_ms),
        ms(row.first_step_ms),
        ms(row.compile_ms),
        whole(row.dispatches.into()),
        whole(row.submits.into()),
        whole(row.buffer_creations.into()),
        format!("{}B", short(row.peak_bytes as f64)),
        short(row.flop as f64),
        format!("{} → {}", number(row.first_loss), number(row.last_loss)),
    ]
}

/// Where a step of a row's workload goes.
fn profile(row: BenchRow) -> Option<AnyView> {
    let mut figure = row.profile?;
    figure.title = format!("{}: {} on {}", figure.title, called(&row.workload), row.executor);
    let figure = RwSignal::new(figure);
    Some(view! { <FigureCard figure/> }.into_any())
}

fn row(row: BenchRow) -> AnyView {
    let cells = cells(&row).map(|cell| view! { <td class="number">{cell}</td> });
    view! {
        <tr><td title=row.workload.clone()>{called(&row.workload)}</td><td title=row.adapter>{row.executor}</td>{cells.into_iter().collect_view()}</tr>
    }
    .into_any()
}
