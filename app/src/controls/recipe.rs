//! The recipe: every control of the field table, by group, with search, preset menu and what the run will cost.

use std::sync::Arc;

use crate::erase::{each, flag, heard, keyed, part, press, words};
use engine::pairs::Pairs;
use engine::spec::{Content, FIELDS, Field, ModelSpec, PRESETS, RunSpec, preset};
use engine::sweep::Sweep;
use leptos::html::Input;
use leptos::prelude::*;

use super::field::{About, Control};
use super::find_rate::FindRate;
use super::open_file::OpenFile;
use crate::reactive::{RwSignal, Signal};
use crate::state::Lab;
use crate::terms::{finds, line};
use crate::text::{short, whole};
use crate::widgets::icon::Icon;

/// Groups in the order of the panel: id, title, whether it is open at first.
pub const GROUPS: [(&str, &str, bool); 10] = [
    ("data", "Data", true),
    ("model", "Model", true),
    ("optimizer", "Optimizer", true),
    ("schedule", "Learning rate", true),
    ("batch", "Batch", true),
    ("steps", "Length", true),
    ("objective", "Objective", false),
    ("augment", "Augmentation", false),
    ("probes", "Probes", false),
    ("seed", "Chance", true),
];

/// Values of all controls of a recipe.
type Values = Pairs<&'static str, String>;

fn values(spec: &RunSpec) -> Values {
    let of = |field: &Field| Some((field.path, spec.get(field.path)?));
    let mut values = Values::default();
    for (path, value) in FIELDS.iter().filter(|field| field.exists(spec)).filter_map(of) {
        values.insert(path, value);
    }
    values
}

/// What the recipe's controls are compared with: the preset, with the defaults of another model where that was chosen.
fn base(id: &str, spec: &RunSpec) -> RunSpec {
    let mut base = preset(id).unwrap_or(&PRESETS[0]).spec();
    if base.model.kind() != spec.model.kind() {
        base.model = ModelSpec::of(spec.model.kind()).unwrap_or_default();
    }
    base
}

/// The controls that decide most, in this order. Of the sizes of models each kind has one.
const BASIC: [&str; 8] = [
    "schedule.peak",
    "batch.size",
    "steps",
    "optimizer",
    "optimizer.weight_decay",
    "model.hidden",
    "model.channels",
    "model.depth",
];

/// What controls of the recipe are drawn from, computed once for all of them.
#[derive(Clone, Copy)]
pub struct Controls {
    lab: Lab,
    shown: Signal<RunSpec>,
    now: Signal<Values>,
    from: Signal<Values>,
}

impl Controls {
    /// Those of the current recipe.
    pub fn new(lab: Lab) -> Self {
        let shown = Signal::memo(move |_| lab.shown());
        let now = Signal::memo(move |_| shown.with(values));
        let from = Signal::memo(move |_| {
            let id = lab.preset.get();
            let mut from = shown.with(|spec| values(&base(&id, spec)));
            // The kind of model itself is compared with the preset's own.
            if let Some(preset) = preset(&id) {
                from.insert("model", preset.spec().model.kind().to_owned());
            }
            from
        });
        Self { lab, shown, now, from }
    }

    /// A control for each place of the table of fields.
    fn list(self, places: Signal<Vec<usize>>) -> AnyView {
        each(places, Arc::new(move |i| self.control(i)))
    }

    /// Controls by their paths, in this order; those that mean nothing in the recipe are left out.
    pub fn of(self, paths: Vec<String>) -> AnyView {
        let places = Signal::memo(move |_| {
            let lab = self.lab;
            self.shown.with(|spec| {
                let place = |path: &String| FIELDS.iter().position(|field| field.path == path && field.applies(spec));
                let shown = |i: &usize| !lab.hides(&FIELDS[*i]);
                paths.iter().filter_map(place).filter(shown).collect::<Vec<usize>>()
            })
        });
        self.list(places)
    }

    /// The control of a field of the table.
    fn control(self, i: usize) -> AnyView {
        let Self { lab, shown, now, from } = self;
        let Some(field) = FIELDS.get(i) else { return ().into_any() };
        let path = field.path;
        let of = move |values: Signal<Values>| {
            Signal::derive(move || values.with(|values| values.get(path).cloned().unwrap_or_default()))
        };
        let issue = Signal::derive(move || {
            lab.issues.with(|issues| issues.iter().find(|issue| issue.path == path).map(|issue| issue.message.clone()))
        });
        let about = About {
            path: path.into(),
            label: field.label.into(),
            effect: Signal::memo(move |_| line(lab, shown.with(|spec| field.effect(spec))).to_owned()),
            unit: field.unit.into(),
            kind: field.kind.clone(),
        };
        let set = Callback::new(move |text: String| lab.set(path, &text));
        view! { <Control about value=of(now) base=of(from) issue set disabled=false/> }.into_any()
    }
}

/// The panel.
#[component]
pub fn Recipe(search_box: NodeRef<Input>) -> impl IntoView {
    let lab = Lab::of();
    let search = RwSignal::new(String::new());
    let controls = Controls::new(lab);
    let Controls { now, from, .. } = controls;
    // What is searched for may be any control, and so may those few that somebody has left to be turned.
    let basic = Signal::memo(move |_| lab.basic.get() && search.with(String::is_empty) && lab.hide.with(Vec::is_empty));
    let groups = GROUPS.map(|(group, title, open)| group_panel(controls, group, title, open, search, basic));
    let presets = PRESETS.iter().map(|preset| {
        view! { <option value=preset.id selected=flag(move || lab.preset.get() == preset.id)>{preset.label}</option> }
    });
    let few = move || {
        let paths = BASIC.map(str::to_owned).to_vec();
        basic.get().then(|| view! { <div class="group">{controls.of(paths)}</div> }.into_any())
    };
    let extent = move |name: &'static str, own: bool| {
        view! {
            <button
                aria-pressed=words(move || (lab.basic.get() == own).to_string())
                on:click=press(move |_| lab.basic.set(own))
            >
                {name}
            </button>
        }
        .into_any()
    };
    let changed = move || now.with(|now| from.with(|from| now.iter().any(|(k, v)| from.get(k) != Some(v))));
    view! {
        <section class="recipe" id="recipe" class:open=flag(move || lab.sheet.get()) aria-label="Recipe">
            <h2 class="unseen">"Recipe"</h2>
            <div class="recipe-head">
                <div class="row">
                    <select
                        aria-label="Preset"
                        prop:value=words(move || lab.preset.get())
                        on:change=heard(move |event| lab.choose_preset(&event_target_value(&event)))
                    >
                        {presets.collect_view()}
                    </select>
                    <button class="icon only-phone" aria-label="Close the recipe" on:click=press(move |_| lab.sheet.set(false))>
                        <Icon name="close"/>
                    </button>
                </div>
                <div class="row">
                <input
                    type="search"
                    node_ref=search_box
                    placeholder="Search controls  /"
                    aria-label="Search controls"
                    prop:value=words(move || search.get())
                    on:input=heard(move |event| search.set(event_target_value(&event)))
                    on:keydown=keyed(move |event| if event.key() == "Escape" { search.set(String::new()); })
                />
                    <button
                        class="icon"
                        title="Back to the preset"
                        aria-label="Back to the preset"
                        disabled=flag(move || !changed())
                        on:click=press(move |_| lab.choose_preset(&lab.preset.get_untracked()))
                    >
                        <Icon name="undo"/>
                    </button>
                </div>
                <div class="chips" role="group" aria-label="Controls shown" hidden=flag(move || lab.hide.with(|hide| !hide.is_empty()))>{extent("Basic", true)}{extent("All", false)}</div>
            </div>
            <div class="recipe-body">{part(few)}{groups.into_iter().collect_view()}</div>
            <Cost/>
            <a class="button" href=words(move || Sweep::around(&lab.preset.get(), &lab.shown()).link().fragment())>
                "Sweep this recipe"
            </a>
        </section>
    }
    .into_any()
}

fn group_panel(
    controls: Controls,
    group: &'static str,
    title: &'static str,
    open: bool,
    search: RwSignal<String>,
    basic: Signal<bool>,
) -> AnyView {
    let Controls { lab, shown, now, from } = controls;
    // Whether a table has classes is known once it has been read.
    let of_numbers = move || {
        lab.card
            .with(|card| card.as_ref().is_some_and(|card| card.content == Content::Table && card.classes.is_empty()))
    };
    let visible = Signal::memo(move |_| {
        if basic.get() {
            return Vec::new();
        }
        let typed = search.get();
        shown.with(|spec| {
            // The list of other words knows by the sign where a path begins.
            let text = |field: &Field| format!("={} {} {}", field.path, field.label, line(lab, field.effect(spec)));
            let matches = |field: &Field| typed.is_empty() || finds(lab, &typed, &text(field));
            let hidden = |field: &Field| lab.hides(field) || (field.path == "data.label_noise" && of_numbers());
            let fields = FIELDS.iter().enumerate().filter(|(_, field)| field.group() == group);
            let fields = fields.filter(|(_, field)| field.applies(spec) && !hidden(field) && matches(field));
            fields.map(|(i, _)| i).collect::<Vec<usize>>()
        })
    });
    let changes = move || {
        now.with(|now| {
            from.with(|from| {
                let in_group = |path: &&&str| path.split('.').next() == Some(group);
                now.keys().filter(in_group).filter(|path| now.get(**path) != from.get(**path)).count()
            })
        })
    };
    let note = move || match changes() {
        0 => String::new(),
        n => format!("{n} changed"),
    };
    let wrong =
        move || lab.issues.with(|issues| issues.iter().any(|issue| issue.path.split('.').next() == Some(group)));
    let unfolded = move || open || untrack(changes) != 0 || !search.get().is_empty() || wrong();
    view! {
        <details
            class="group"
            open=unfolded
            hidden=flag(move || visible.with(Vec::is_empty))
        >
            <summary><h3>{title}<em>{words(note)}</em></h3></summary>
            {controls.list(visible)}
            {(group == "schedule").then(|| view! { <FindRate/> })}
            {(group == "data").then(|| view! { <OpenFile label="Your own data"/> })}
        </details>
    }
    .into_any()
}

/// Parameters, FLOP and bytes of a step, known before the run.
#[component]
fn Cost() -> impl IntoView {
    let lab = Lab::of();
    let line = |name: &'static str, value: String| view! { <dt>{name}</dt><dd>{value}</dd> }.into_any();
    let content = move || match lab.summary.get() {
        None => view! { <p class="soft">"Parameters and cost appear once the model is built."</p> }.into_any(),
        Some(summary) => {
            let modules =
                summary.modules.iter().map(|module| format!("{}: {}", module.module, whole(module.parameters)));
            let modules = modules.collect::<Vec<_>>().join("\n");
            let notes = summary.notes.join(" · ");
            view! {
                <dl title=modules>
                    {line("parameters", whole(summary.parameters))}
                    {line("a step", format!("{}FLOP · {}B", short(summary.flop as f64), short(summary.bytes as f64)))}
                    {line("peak memory", format!("{}B", short(summary.peak_bytes as f64)))}
                </dl>
                <p class="soft">{notes}</p>
            }
            .into_any()
        }
    };
    view! { <div class="recipe-foot" aria-label="Cost" data-cost>{content}</div> }.into_any()
}
