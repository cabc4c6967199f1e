//! The table of runs: each by its name, or by what differs from its neighbours; overlaid, grouped, pinned, opened, exported, deleted.

use std::sync::Arc;

use crate::erase::{each, flag, heard, part, press, words};
use engine::protocol::{Export, RunId};
use engine::spec::{Link as Address, Page, preset};
use leptos::prelude::*;

use crate::controls::open_file::OpenFile;
use crate::controls::share::{copy_text, full};
use crate::figure::export;
use crate::figure::key::swatch;
use crate::figure::palette::Tone;
use crate::figure::svg::escape;
use crate::reactive::Signal;
use crate::state::compare::{Group, SEEDS, differing, label, spread};
use crate::state::series::Series;
use crate::state::{Dialog, Lab, keep, logs};
use crate::text::{number, percent, whole};
use crate::widgets::icon::Icon;
use crate::widgets::menu::{Entry, Menu};
use crate::widgets::transport::state_name;

/// The panel.
#[component]
pub fn Runs() -> impl IntoView {
    let lab = Lab::of();
    let Lab { names, groups, .. } = lab;
    let ways = Signal::memo(move |_| ways(lab));
    let order = Signal::memo(move |_| names.with(|names| groups.with(|groups| places(groups, names))));
    let line = move |place: usize| match place.checked_sub(HEADS) {
        Some(which) => heading(lab, which, groups),
        None => row(lab, place as RunId, names),
    };
    view! {
        <section class="panel runs" aria-label="Runs">
            <div class="runs-head">
                <h2>"Runs"</h2>
                {part(move || chooser(lab, ways.get()))}
                <OpenFile label="Import"/>
            </div>
            <div class="runs-scroll" tabindex="0">
                <table>
                    <thead>
                        <tr>
                            <th><span class="unseen">"Line"</span></th>
                            <th>"what differs"</th>
                            <th class="number">"test accuracy"</th>
                            <th class="number">"test loss"</th>
                            <th class="number">"steps"</th>
                            <th><span class="unseen">"Actions"</span></th>
                        </tr>
                    </thead>
                    <tbody>
                        {each(order, Arc::new(line))}
                    </tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}

/// Where the numbers of groups begin among the places of the table; those of runs lie below.
const HEADS: usize = 1 << 30;

/// Places of the table: runs by descending number, below their group where there are groups.
fn places(groups: &[Group], names: &[(RunId, String)]) -> Vec<usize> {
    let mut places = Vec::new();
    for (which, group) in groups.iter().enumerate() {
        places.push(HEADS + which);
        places.extend(group.runs.iter().rev().map(|run| *run as usize));
    }
    for (run, _) in names.iter().rev() {
        if !places.contains(&(*run as usize)) {
            places.push(*run as usize);
        }
    }
    places
}

/// What runs may be grouped by: whatever differs among them, as options of HTML, which take less code than views.
fn ways(lab: Lab) -> String {
    let (several, paths) = lab.begun.with(|runs| (runs.len() > 1, differing(runs)));
    if !several {
        return String::new();
    }
    let chosen = lab.grouped.get_untracked();
    let mut html = String::new();
    let mut option = |value: &str, label: &str| {
        let mark = if chosen == value { " selected" } else { "" };
        html += &format!("<option value=\"{value}\"{mark}>{}</option>", escape(label));
    };
    option("", "not grouped");
    option(SEEDS, "recipe, seeds merged");
    for path in paths {
        if path != "seed" {
            option(path, &format!("by {}", label(path)));
        }
    }
    html
}

/// The choice of a way, where there is one. Not built anew while runs go on: it may be open.
fn chooser(lab: Lab, ways: String) -> Option<AnyView> {
    if ways.is_empty() {
        return None;
    }
    let choose = move |event| lab.grouped.set(event_target_value(&event));
    let differ = move |_| lab.dialog.set(Some(Dialog::Differences));
    let view = view! {
        <select aria-label="Group runs" inner_html=ways on:change=heard(choose)></select>
        <button class="plain" on:click=press(differ)>"What differs"</button>
    };
    Some(view.into_any())
}

/// A group's line: what its runs share, and mean and deviation of what they came to.
fn heading(lab: Lab, which: usize, groups: Signal<Vec<Group>>) -> AnyView {
    let html = move || {
        let Some(Group { label, runs }) = groups.with(|groups| groups.get(which).cloned()) else {
            return String::new();
        };
        let of = |read: fn(&Series) -> f64, show: fn(f64) -> String| {
            spread(&runs.iter().filter_map(|run| lab.numbers(*run, read)).collect::<Vec<f64>>(), show)
        };
        format!(
            "<td>{}</td><td class=\"name\">{} · {} run{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td></td><td></td>",
            swatch(Tone::run(which as u32)),
            escape(&label),
            runs.len(),
            if runs.len() == 1 { "" } else { "s" },
            of(|series| tested(series)[0], percent),
            of(|series| tested(series)[1], number)
        )
    };
    view! { <tr class="group" inner_html=words(html)></tr> }.into_any()
}

/// Accuracy and loss of the last test; NaN before any.
fn tested(series: &Series) -> [f64; 2] {
    series.evaluations.last().map_or([f64::NAN; 2], |test| [test.accuracy, test.loss])
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
    let note = Signal::memo(move |_| {
        lab.runs.with(|runs| runs.iter().find(|run| run.id == id).map(|run| run.note.clone()).unwrap_or_default())
    });
    let current = Signal::memo(move |_| lab.run.get() == id);
    let state = Signal::memo(move |_| {
        lab.runs
            .with(|runs| runs.iter().find(|run| run.id == id).map(|run| (run.state, run.step)))
            .map(|(state, step)| (state_name(state), step))
    });
    let numbers = Signal::memo(move |_| {
        let [accuracy, loss] = lab.numbers(id, tested).unwrap_or([f64::NAN; 2]);
        (percent(accuracy), number(loss))
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
                    <span
                        class="swatch"
                        class:own=flag(move || current.get())
                        class:off=flag(move || !current.get() && !overlay.get())
                        style=("--tone", Tone::run(id).css())
                    ></span>
                </button>
            </td>
            <td class="name">
                <button class="plain" title="Make it the current run" disabled=flag(move || current.get()) on:click=press(move |_| lab.open(id))>
                    {words(move || name.get())}
                </button>
                <span class="soft">{words(move || note.get())}</span>
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

/// Files for other tools, by how their names end.
const LOGS: [(&str, &str); 2] =
    [("Save numbers as Parquet", logs::PARQUET), ("Save for TensorBoard", logs::TENSORBOARD)];

/// Frameworks for which a run can be written as a script.
const SCRIPTS: [(&str, &str); 3] =
    [("Save as PyTorch script", "torch"), ("Save as JAX script", "jax"), ("Save as burn program", "burn")];

/// What can be done with a run.
#[component]
fn RowMenu(id: RunId, name: Signal<String>, pinned: Signal<bool>, current: Signal<bool>) -> impl IntoView {
    let lab = Lab::of();
    let stem = move || {
        let dashed = name.get_untracked().replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
        format!("run-{id}-{}", dashed.trim_matches('-'))
    };
    let file = move |extension: &str| format!("{}.{extension}", stem());
    let pin = move |()| {
        lab.runs.update(|runs| runs.iter_mut().filter(|run| run.id == id).for_each(|run| run.pinned = !run.pinned));
        keep::save_run(lab, id);
    };
    let address = move || {
        let spec = lab.runs.with_untracked(|runs| runs.iter().find(|run| run.id == id).map(|run| run.spec.clone()))?;
        let base = lab.preset.get_untracked();
        let base = preset(&base).map_or(base.clone(), |preset| preset.id.to_owned());
        Some(Address { preset: base, spec, ..Address::to_page(Page::Lab, Vec::new()) })
    };
    let csv = move |()| {
        let csv = lab.series.with_value(|all| all.get(&id).map(Series::csv)).unwrap_or_default();
        let head = address().map_or_else(String::new, |address| {
            let (seed, link) = (address.spec.seed, full(&address.fragment()));
            format!("# Minibatch {}, seed {seed}, {link}\n", env!("CARGO_PKG_VERSION"))
        });
        export::text(&file("csv"), "text/csv", &(head + &csv));
    };
    let json = move |()| {
        if let Some(json) = keep::run_json(lab, id) {
            export::text(&file("json"), "application/json", &json);
        }
    };
    let link = move |()| {
        if let Some(address) = address() {
            copy_text(lab, &address.fragment());
        }
    };
    let entries = Callback::new(move |()| {
        let mut entries: Vec<Entry> = vec![
            (if pinned.get_untracked() { "Unpin" } else { "Pin" }, Callback::new(pin)),
            ("Name and note", Callback::new(move |()| lab.dialog.set(Some(Dialog::Name(id))))),
            ("Copy its link", Callback::new(link)),
            ("Save numbers as CSV", Callback::new(csv)),
            ("Save as JSON", Callback::new(json)),
        ];
        entries.extend(LOGS.map(|(label, ending)| {
            let save = move |()| {
                if let Some(address) = address() {
                    logs::save(lab, id, full(&address.fragment()), stem(), ending);
                }
            };
            (label, Callback::new(save))
        }));
        entries.extend(SCRIPTS.map(|(label, framework)| {
            let write = move |()| {
                if let Some(address) = address() {
                    lab.write_script(id, &address, framework);
                }
            };
            (label, Callback::new(write))
        }));
        if current.get_untracked() {
            entries.push(("Save weights as safetensors", Callback::new(move |()| lab.export(Export::Safetensors))));
            entries.push(("Save weights as .npz", Callback::new(move |()| lab.export(Export::Npz))));
        }
        entries.push(("Delete", Callback::new(move |()| lab.delete(id))));
        entries
    });
    view! { <Menu label=Signal::derive(move || format!("Actions for {}", name.get())) entries/> }
}
