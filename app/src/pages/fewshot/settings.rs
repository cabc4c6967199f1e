//! What a session is: preset, the settings by group, what its pictures and encoder are.

use engine::decimal::plain;
use engine::fewshot::{FEWSHOT_PRESETS, FewshotLink, FewshotSpec, Method, SETTINGS, Setting, Work, fewshot_preset};
use engine::pairs::Pairs;
use leptos::prelude::*;

use crate::controls::field::{About, Control};
use crate::erase::{flag, heard, part, parts, press, words};
use crate::reactive::Signal;
use crate::state::{Engine, Lab};
use crate::terms::line;
use crate::text::{percent, whole};
use crate::widgets::icon::Icon;

/// Groups in the order of the panel: id, title.
const GROUPS: [(&str, &str); 5] = [
    ("task", "Task"),
    ("method", "Method"),
    ("data", "Pictures"),
    ("embedding", "Embedding"),
    ("own", "None of these"),
];

/// Values of all settings.
type Values = Pairs<&'static str, String>;

fn values(spec: &FewshotSpec) -> Values {
    let mut values = Values::default();
    for (key, value) in SETTINGS.iter().filter_map(|setting| Some((setting.key, spec.get(setting.key)?))) {
        values.insert(key, value);
    }
    values
}

/// The panel.
pub fn panel(lab: Lab) -> AnyView {
    let session = lab.fewshot;
    let now = Signal::memo(move |_| session.link.with(|link| values(&link.spec)));
    let preset = Signal::memo(move |_| session.link.with(|link| link.preset.clone()));
    let base = Signal::memo(move |_| values(&FewshotLink::to_preset(&preset.get()).spec));
    let presets = FEWSHOT_PRESETS.iter().map(|known| {
        view! { <option value=known.id selected=flag(move || preset.get() == known.id)>{known.label}</option> }
    });
    let about = move || fewshot_preset(&preset.get()).map_or("", |preset| line(lab, preset.about)).to_owned();
    let changed = move || now.get() != base.get();
    let groups = GROUPS.map(|(group, title)| group_panel(lab, group, title, now, base));
    view! {
        <section class="panel session" aria-label="Session">
            <div class="row">
                <select
                    aria-label="Preset"
                    prop:value=words(move || preset.get())
                    on:change=heard(move |event| lab.choose_fewshot(&event_target_value(&event)))
                >
                    {presets.collect_view()}
                </select>
                <button
                    class="icon"
                    title="Back to the preset"
                    aria-label="Back to the preset"
                    disabled=flag(move || !changed())
                    on:click=press(move |_| lab.choose_fewshot(&preset.get_untracked()))
                >
                    <Icon name="undo"/>
                </button>
            </div>
            <p class="note">{words(about)}</p>
            {groups.into_iter().collect_view()}
        </section>
        {cards(lab)}
    }
    .into_any()
}

fn group_panel(
    lab: Lab,
    group: &'static str,
    title: &'static str,
    now: Signal<Values>,
    base: Signal<Values>,
) -> AnyView {
    let visible = Signal::memo(move |_| {
        lab.hide.with(|hide| {
            let hidden = |setting: &Setting| hide.iter().any(|key| key == setting.key || key == group);
            lab.fewshot.link.with(|link| {
                let all = SETTINGS.iter().filter(|setting| setting.group == group);
                all.filter(|setting| setting.applies(&link.spec) && !hidden(setting)).map(|s| s.key).collect::<Vec<_>>()
            })
        })
    });
    let controls = parts(move || {
        let keys = visible.get();
        let rows = SETTINGS.iter().filter(|setting| keys.contains(&setting.key));
        rows.map(|setting| control(lab, setting, now, base)).collect()
    });
    view! {
        <details class="group" open=group != "embedding" hidden=flag(move || visible.with(Vec::is_empty))>
            <summary><h3>{title}</h3></summary>
            {controls}
        </details>
    }
    .into_any()
}

fn control(lab: Lab, setting: &'static Setting, now: Signal<Values>, base: Signal<Values>) -> AnyView {
    let key = setting.key;
    if key == "compare" {
        return compared(lab, setting);
    }
    let of = move |values: Signal<Values>| {
        Signal::derive(move || values.with(|values| values.get(key).cloned().unwrap_or_default()))
    };
    let issue = Signal::derive(move || {
        lab.issues.with(|issues| issues.iter().find(|issue| issue.path == key).map(|issue| issue.message.clone()))
    });
    let effect = move || match key {
        // What the method does says more than what the control does.
        "method" => {
            let row = lab.fewshot.link.with(|link| link.spec.method.row());
            format!("{} {}.", line(lab, row.line), row.paper)
        }
        _ => line(lab, setting.effect).to_owned(),
    };
    let about = About {
        path: key.into(),
        label: setting.label.into(),
        effect: Signal::derive(effect),
        unit: setting.unit.into(),
        kind: setting.kind.clone(),
    };
    let set = Callback::new(move |text: String| lab.set_fewshot(key, &text));
    view! { <Control about value=of(now) base=of(base) issue set disabled=false/> }.into_any()
}

/// The compared methods, each a button to take it in or leave it out.
fn compared(lab: Lab, setting: &'static Setting) -> AnyView {
    let chosen = Signal::memo(move |_| lab.fewshot.link.with(|link| link.spec.compare.clone()));
    let chip = move |method: &'static Method| {
        let on = move || chosen.with(|chosen| chosen.contains(method));
        let toggle = move |_| {
            let known = chosen.get_untracked();
            let wanted = Method::ALL.iter().filter(|one| known.contains(one) != (*one == method));
            let ids = wanted.map(|one| one.id()).collect::<Vec<_>>().join(",");
            lab.set_fewshot("compare", &ids);
        };
        view! {
            <button aria-pressed=words(move || on().to_string()) title=words(move || line(lab, method.row().line).to_owned()) on:click=press(toggle)>
                {method.label()}
            </button>
        }
        .into_any()
    };
    let chips = Method::ALL.iter().map(chip).collect_view();
    view! {
        <div class="field" data-path="compare">
            <span class="label" id="compared">{setting.label}</span>
            <div class="chips wide" role="group" aria-labelledby="compared">{chips}</div>
            <span class="effect">{words(move || line(lab, setting.effect).to_owned())}</span>
        </div>
    }
    .into_any()
}

/// Pictures and encoder in a few facts, or what is still being prepared.
fn cards(lab: Lab) -> AnyView {
    let session = lab.fewshot;
    let engine = Signal::memo(move |_| {
        lab.study_engine.with(|engine| match engine {
            Engine::Starting(share) => Some(("The engine is on its way", *share)),
            _ => None,
        })
    });
    let prepared = move || {
        session.work.get().map(|(work, share)| {
            let what = match work {
                Work::Fetch => "Pictures are fetched",
                Work::Embed => "Pictures become vectors",
            };
            (what, share)
        })
    };
    let progress = move || {
        let (what, share) = engine.get().or_else(prepared)?;
        let shown = view! {
            <p class="note" aria-live="polite">{format!("{what}: {}", percent(share))}</p>
            <progress max="1" value=plain(share) aria-label=what></progress>
        };
        Some(shown.into_any())
    };
    let facts = move || {
        let (source, encoder) = session.cards.get()?;
        let row =
            |name: &'static str, value: String| (!value.is_empty()).then(|| view! { <dt>{name}</dt><dd>{value}</dd> });
        let pictures = match source.pictures {
            [fewest, most] if fewest == most => fewest.to_string(),
            [fewest, most] => format!("{fewest} to {most}"),
        };
        let count = |count: usize| if count > 0 { whole(count as u64) } else { String::new() };
        let classes = match source.base {
            0 => count(source.novel),
            base => format!(
                "{} base, {} validation, {} novel",
                whole(base as u64),
                count(source.validation),
                count(source.novel)
            ),
        };
        Some(view! {
            <dl class="facts">
                {row("pictures", source.title)} {row("classes", classes)} {row("a class", pictures)}
                {row("encoder", encoder.name)} {row("numbers", count(encoder.dims))} {row("parameters", count(encoder.parameters))}
                {row("licence", source.licence)} {row("from", source.attribution)}
            </dl>
        }.into_any())
    };
    view! {
        <section class="panel about" aria-label="Pictures and encoder">
            {part(progress)}
            {part(facts)}
            <p class="note">"Classes are divided by class: no task has a class that the encoder has learned from."</p>
        </section>
    }
    .into_any()
}
