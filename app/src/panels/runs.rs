//! The table of runs: each named by what differs from its neighbours; overlaid, pinned, opened, exported, deleted.

use std::sync::Arc;

use crate::erase::{each, flag, part, press, words};
use engine::protocol::{Export, RunId};
use engine::spec::{Link as Address, Page, name_by_difference, preset};
use leptos::prelude::*;

use crate::controls::open_file::OpenFile;
use crate::controls::share::copy_text;
use crate::figure::export;
use crate::lanes::training::{Quantity, figure};
use crate::reactive::Signal;
use crate::state::series::Series;
use crate::state::{Lab, keep};
use crate::text::{number, percent, whole};
use crate::widgets::icon::Icon;
use crate::widgets::menu::{Entry, Menu};
use crate::widgets::transport::state_name;

/// The panel.
#[component]
pub fn Runs() -> impl IntoView {
    let lab = Lab::of();
    let names = Signal::memo(move |_| {
        lab.runs.with(|runs| {
            let specs: Vec<_> = runs.iter().map(|run| run.spec.clone()).collect();
            let named: Vec<(RunId, String)> =
                runs.iter().zip(name_by_difference(&specs)).map(|(run, name)| (run.id, name)).collect();
            named
        })
    });
    let order = Signal::memo(move |_| names.with(|names| names.iter().rev().map(|(id, _)| *id as usize).collect()));
    view! {
        <section class="panel runs" aria-label="Runs">
            <div class="runs-head">
                <h2>"Runs"</h2>
                <OpenFile label="Import"/>
            </div>
            <div class="runs-scroll" tabindex="0">
                <table>
                    <thead>
                        <tr>
                            <th><span class="unseen">"Line"</span></th>
                            <th>"what differs"</th>
                            <th class="number">"test"</th>
                            <th class="number">"loss"</th>
                            <th class="number">"steps"</th>
                            <th><span class="unseen">"Actions"</span></th>
                        </tr>
                    </thead>
                    <tbody>
                        {each(order, Arc::new(move |id| row(lab, id as RunId, names)))}
                    </tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}

fn row(lab: Lab, id: RunId, names: Signal<Vec<(RunId, String)>>) -> AnyView {
    let name = Signal::memo(move |_| {
        names.with(|names| {
            names.iter().find(|(known, _)| *known == id).map(|(_, name)| name.clone()).unwrap_or_default()
        })
    });
    let of = move |read: fn(&crate::state::Run) -> bool| {
        Signal::memo(move |_| lab.runs.with(|runs| runs.iter().find(|run| run.id == id).is_some_and(read)))
    };
    let (overlay, pinned) = (of(|run| run.overlay), of(|run| run.pinned));
    let current = Signal::memo(move |_| lab.run.get() == id);
    let state = Signal::memo(move |_| {
        lab.runs
            .with(|runs| runs.iter().find(|run| run.id == id).map(|run| (run.state, run.step)))
            .map(|(state, step)| (state_name(state), step))
    });
    let numbers = Signal::memo(move |_| {
        let read = |series: &Series| {
            let test = series.evaluations.last();
            let accuracy = test.map_or(f64::NAN, |test| test.accuracy);
            (percent(accuracy), number(test.map_or_else(|| series.last(0), |test| test.loss)))
        };
        lab.numbers(id, read).unwrap_or_else(|| ("–".into(), "–".into()))
    });
    let change = move |change: fn(&mut crate::state::Run)| {
        lab.runs.update(|runs| runs.iter_mut().filter(|run| run.id == id).for_each(change));
    };
    view! {
        <tr aria-selected=words(move || current.get().to_string()) data-run=id>
            <td>
                <button
                    class="plain icon"
                    role="switch"
                    aria-checked=words(move || (current.get() || overlay.get()).to_string())
                    aria-label="Draw this run's lines"
                    title=move || if current.get() { "The current run" } else if overlay.get() { "Drawn behind" } else { "Not drawn" }
                    disabled=flag(move || current.get())
                    on:click=press(move |_| change(|run| run.overlay = !run.overlay))
                >
                    <span class="swatch" class:own=flag(move || current.get()) class:off=flag(move || !current.get() && !overlay.get())></span>
                </button>
            </td>
            <td class="name">
                <button class="plain" title="Make it the current run" disabled=flag(move || current.get()) on:click=press(move |_| lab.open(id))>
                    {words(move || name.get())}
                </button>
                {part(move || pinned.get().then(|| view! { <Icon name="pin"/> }.into_any()))}
            </td>
            <td class="number">{words(move || numbers.get().0)}</td>
            <td class="number">{words(move || numbers.get().1)}</td>
            <td class="number" title=move || state.get().map_or("", |(state, _)| state)>
                {words(move || whole(state.get().map_or(0, |(_, step)| step)))}
            </td>
            <td class="number"><RowMenu id name pinned current/></td>
        </tr>
    }
    .into_any()
}

/// What can be done with a run.
#[component]
fn RowMenu(id: RunId, name: Signal<String>, pinned: Signal<bool>, current: Signal<bool>) -> impl IntoView {
    let lab = Lab::of();
    let file = move |extension: &str| {
        let dashed = name.get_untracked().replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
        format!("run-{id}-{}.{extension}", dashed.trim_matches('-'))
    };
    let pin = move |()| {
        lab.runs.update(|runs| runs.iter_mut().filter(|run| run.id == id).for_each(|run| run.pinned = !run.pinned));
        keep::save_run(lab, id);
    };
    let csv = move |()| {
        let csv = lab.series.with_value(|all| all.get(&id).map(Series::csv)).unwrap_or_default();
        export::text(&file("csv"), "text/csv", &csv);
    };
    let json = move |()| {
        if let Some(json) = keep::run_json(lab, id) {
            export::text(&file("json"), "application/json", &json);
        }
    };
    let link = move |()| {
        let spec = lab.runs.with_untracked(|runs| runs.iter().find(|run| run.id == id).map(|run| run.spec.clone()));
        if let Some(spec) = spec {
            let base = lab.preset.get_untracked();
            let base = preset(&base).map_or(base.clone(), |preset| preset.id.to_owned());
            let address = Address { preset: base, spec, ..Address::to_page(Page::Lab, Vec::new()) };
            copy_text(lab, &address.fragment());
        }
    };
    let entries = Callback::new(move |()| {
        let mut entries: Vec<Entry> = vec![
            (if pinned.get_untracked() { "Unpin" } else { "Pin" }, Callback::new(pin)),
            ("Copy its link", Callback::new(link)),
            ("Save numbers as CSV", Callback::new(csv)),
            ("Save as JSON", Callback::new(json)),
        ];
        if current.get_untracked() {
            let chart = move |write: fn(&engine::figure::Figure, [bool; 2])| {
                Callback::new(move |()| write(&figure(lab, Quantity::Loss), [false; 2]))
            };
            entries.push(("Save loss as PNG", chart(export::png)));
            entries.push(("Save loss as SVG", chart(export::svg)));
            entries.push(("Save weights as safetensors", Callback::new(move |()| lab.export(Export::Safetensors))));
            entries.push(("Save weights as .npz", Callback::new(move |()| lab.export(Export::Npz))));
        }
        entries.push(("Delete", Callback::new(move |()| lab.delete(id))));
        entries
    });
    view! { <Menu label=Signal::derive(move || format!("Actions for {}", name.get())) entries/> }
}
