//! A sweep: grid, Run, the map that fills, the cell that is looked at, the stable edge.

use crate::erase::{flag, part, parts, press, words};
use engine::protocol::Backend;
use engine::spec::{Choice, Kind, Link as Address, PRESETS, field, preset};
use engine::sweep::{Axis, MAX_SEEDS, Quantity, RACES, Sweep, fields, name};
use leptos::prelude::*;

use super::study::progress;
use crate::controls::field::{About, Control};
use crate::figure::card::FigureCard;
use crate::figure::drawing::Board;
use crate::figure::export;
use crate::panels::cells::{cell_panel, cells};
use crate::reactive::{RwSignal, Signal};
use crate::state::sweep::{Sweeping, plain};
use crate::state::{Engine, Lab, StudyRun};

/// The page; the whole sweep is in the address.
#[component]
pub fn SweepPage() -> impl IntoView {
    let lab = Lab::of();
    let at = RwSignal::new(0);
    let running = Signal::memo(move |_| lab.swept(|sweeping| !sweeping.pool.busy.is_empty()));
    let figure = move |which: usize, over: Option<_>| {
        let drawn = Signal::memo(move |_| lab.sweep_figures.with(|figures| figures.len() > which));
        part(move || {
            let figure = move || lab.sweep_figures.with(|figures| figures.get(which).cloned().unwrap_or_default());
            drawn.get().then(|| view! { <FigureCard figure=Signal::derive(figure) over/> }.into_any())
        })
    };
    view! {
        <main
            class="reading sweep"
            data-state=words(move || if running.get() { "running" } else { "idle" }.to_owned())
            data-done=words(move || lab.swept(|sweeping| sweeping.results.finished().to_string()))
        >
            <h1>"Sweep"</h1>
            <p class="lead">
                "One recipe, two of its fields varied over a grid, every cell a run of its own. As it comes: learning rate against
                batch size, and how far the largest rate that still trains grows with the batch."
            </p>
            <div class="study">
                <div class="side">{grid_panel(lab, running)}</div>
                <div>
                    {figure(0, Some(Callback::new(move |board: Board| cells(lab, board.cells, at))))}
                    {cell_panel(lab, at)}
                    {figure(1, None)}
                </div>
            </div>
        </main>
    }
    .into_any()
}

/// The grid's controls, Run and Cancel, progress.
fn grid_panel(lab: Lab, running: Signal<bool>) -> AnyView {
    // Which settings there are depends on the recipe and the machine; rebuilt for every change they would lose the focus.
    let known = Signal::memo(move |_| {
        let gpu = lab.engine.with(|engine| matches!(engine, Engine::Ready(info) if info.kind == Backend::Webgpu));
        lab.swept(|sweeping| format!("{gpu}{}", lab_link(&sweeping.sweep)))
    });
    let controls = parts(move || {
        let gpu = known.with(|known| known.starts_with("true"));
        let settings = lab.sweep.with_value(|sweeping| settings(&sweeping.sweep, gpu));
        settings.into_iter().map(|setting| control(lab, running, setting)).collect()
    });
    let label = move || {
        lab.swept(|sweeping| match sweeping.results.finished() {
            _ if running.get() => "Cancel",
            0 => "Run",
            done if done < sweeping.total => "Resume",
            _ => "Run again",
        })
    };
    let act = move |_| if running.get_untracked() { lab.stop_sweep() } else { lab.run_sweep() };
    let state = move || {
        lab.trial_tick.track();
        lab.swept(|sweeping| {
            let done = sweeping.results.finished();
            progress(&StudyRun {
                running: running.get(),
                done: [done as u32, sweeping.total as u32],
                eta_s: sweeping.pool.left(|trial| sweeping.sweep.work(trial)),
                message: if running.get() { String::new() } else { format!("{done} of {} runs", sweeping.total) },
                ..StudyRun::default()
            })
        })
    };
    let table = move |_| {
        let csv = lab.sweep.with_value(|sweeping| sweeping.results.to_csv(&sweeping.sweep));
        export::text("sweep.csv", "text/csv", &csv);
    };
    let none = move || lab.swept(|sweeping| sweeping.results.finished() == 0);
    let races = RACES.map(|(id, steps)| {
        let label = preset(id).map_or(id, |preset| preset.label);
        view! { <a href=Sweep::race(id, steps).link().fragment()>{label}</a>". " }
    });
    let problem = Signal::memo(move |_| lab.swept(|sweeping| sweeping.problem.clone()));
    let problem = move || {
        let problem = problem.get();
        (!problem.is_empty()).then(|| view! { <p class="problem" role="alert">{problem}</p> }.into_any())
    };
    view! {
        <section class="panel" aria-label="Grid">
            {controls}
            {part(problem)}
            <button class="primary run-study" on:click=press(act)>{words(move || label().to_owned())}</button>
            {part(move || Some(state()))}
            <div class="filters">
                <button disabled=flag(none) on:click=press(table)>"Export CSV"</button>
                <button disabled=flag(move || none() || running.get()) on:click=press(move |_| lab.clear_sweep())>"Start over"</button>
            </div>
            <p class="note">
                {words(move || lab.swept(|sweeping| sweeping.sweep.recipe()))} " "
                <a href=words(move || lab.swept(|sweeping| lab_link(&sweeping.sweep)))>"Open the recipe"</a>
            </p>
            <p class="note">
                "A fair race: all update rules at the same rates, by the same number of updates, three seeds. " {races}
            </p>
        </section>
    }
    .into_any()
}

/// The link of the recipe itself.
fn lab_link(sweep: &Sweep) -> String {
    Address { preset: sweep.preset.clone(), spec: sweep.base.clone(), ..Address::default() }.fragment()
}

/// Key, label, effect and values of a setting.
type Setting = (&'static str, &'static str, &'static str, Kind);

fn settings(sweep: &Sweep, gpu: bool) -> Vec<Setting> {
    let choice = |options: Vec<(&'static str, &'static str)>| Kind::Choice {
        options: options.into_iter().map(|(id, label)| Choice::new(id, label)).collect(),
    };
    let varied = || choice(fields(&sweep.base).map(|field| (field.path, name(field))).collect());
    let presets = choice(PRESETS.iter().map(|preset| (preset.id, preset.label)).collect());
    let quantities = choice(Quantity::of(sweep).iter().map(|one| (one.label(), one.label())).collect());
    let values = || Kind::Text { max_len: 400 };
    let target = Kind::log_number(0.0, 1e6, [0.001, 10.0]);
    const VALUES: &str = "from..to:count, or a list: 1,2,4";
    let mut settings = vec![
        ("recipe", "recipe", "", presets),
        ("x field", "across", "", varied()),
        ("x", "values across", VALUES, values()),
        ("y field", "upwards", "", varied()),
        ("y", "values upwards", VALUES, values()),
        (
            "budget",
            "every cell spends",
            "the same number of",
            choice(vec![("examples", "examples"), ("steps", "updates")]),
        ),
        ("target", "target loss", "training loss that counts as trained", target),
        ("seeds", "seeds", "runs a cell, each with other random draws", Kind::integer(1, MAX_SEEDS.into())),
        ("quantity", "the map shows", "", quantities),
    ];
    if gpu {
        let executors = choice(vec![("cpu", "CPU"), ("webgpu", "WebGPU")]);
        settings.push(("executor", "computed on", "several cells at once on the CPU, one on the GPU", executors));
    }
    settings
}

fn control(lab: Lab, running: Signal<bool>, (key, label, effect, kind): Setting) -> AnyView {
    let value = Signal::derive(move || lab.swept(|sweeping| read(sweeping, key)));
    let set = Callback::new(move |text: String| write(lab, key, &text));
    let about = About {
        path: format!("sweep/{}", key.replace(' ', "/")),
        label: label.into(),
        effect: Signal::stored(effect.into()),
        unit: String::new(),
        kind,
    };
    let disabled = Signal::derive(move || running.get() && key != "quantity");
    view! { <Control about value base=value issue=Signal::stored(None) set disabled/> }.into_any()
}

/// A setting's value.
fn read(sweeping: &Sweeping, key: &str) -> String {
    let sweep = &sweeping.sweep;
    match key {
        "recipe" => sweep.preset.clone(),
        "quantity" => sweeping.quantity.label().into(),
        "executor" => if sweeping.gpu { "webgpu" } else { "cpu" }.into(),
        "x field" => sweep.x.path.clone(),
        "y field" => sweep.y.path.clone(),
        "x" | "y" => sweep.get(key).split_once(':').map(|(_, values)| values.to_owned()).unwrap_or_default(),
        key => sweep.get(key),
    }
}

/// Turns a setting.
fn write(lab: Lab, key: &str, text: &str) {
    let sweep = lab.sweep.with_value(|sweeping| sweeping.sweep.clone());
    match key {
        "recipe" => {
            let plain = plain();
            if let Some(preset) = preset(text) {
                lab.take_sweep(if plain.preset == text { plain } else { Sweep::around(text, &preset.spec()) });
            }
        }
        "quantity" => {
            if let Some(quantity) = Quantity::ALL.into_iter().find(|one| one.label() == text) {
                lab.show_quantity(quantity);
            }
        }
        "executor" => lab.sweep_on_gpu(text == "webgpu"),
        "x field" | "y field" => {
            if let Some(field) = field(&sweep.base, text) {
                lab.set_sweep(&key[..1], &Axis::over(field).text(&sweep.base));
            }
        }
        "x" => lab.set_sweep(key, &format!("{}:{text}", sweep.x.path)),
        "y" => lab.set_sweep(key, &format!("{}:{text}", sweep.y.path)),
        key => lab.set_sweep(key, text),
    }
}
