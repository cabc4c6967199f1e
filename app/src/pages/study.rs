//! A study: claim, why, knobs, run, figures, verdict, what is different from the paper.

use std::sync::Arc;

use crate::erase::{each_named, effect, flag, heard, part, words};
use engine::figure::{Check, Knob, Verdict};
use engine::protocol::{Command, Reference, StudyCard, StudyCommand};
use engine::spec::Page;
use leptos::prelude::*;

use super::studies::mark;
use crate::controls::field::{About, Control};
use crate::figure::card::FigureCard;
use crate::reactive::{RwSignal, Signal};
use crate::state::studies::Setting;
use crate::state::{Lab, StudyRun};
use crate::terms::explained;
use crate::text::seconds;
use crate::widgets::icon::Icon;

/// The page of a study; its knobs are in the address.
#[component]
pub fn StudyPage(id: u32) -> impl IntoView {
    let lab = Lab::of();
    let study = Signal::memo(move |_| lab.studies.with(|studies| studies.iter().find(|study| study.id == id).cloned()));
    move || match study.get() {
        Some(study) => page(lab, study),
        None => {
            let text = if lab.studies.with(Vec::is_empty) {
                "The study is on its way.".to_owned()
            } else {
                format!("There is no study {id} here.")
            };
            view! { <main class="reading"><p class="soft">{text}</p><p><a href="#studies">"All studies"</a></p></main> }
                .into_any()
        }
    }
}

fn page(lab: Lab, study: StudyCard) -> AnyView {
    let id = study.id;
    let run = Signal::memo(move |_| lab.study_runs.with(|runs| runs.get(&id).cloned().unwrap_or_default()));
    let running = Signal::memo(move |_| run.with(|run| run.running));
    let knobs = study.knobs.iter().map(|knob| knob_control(lab, id, knob.clone(), running)).collect_view();
    let known = StoredValue::new(study.knobs.clone());
    let seeds = RwSignal::new(study.seeds.max(1));
    let set = Signal::memo(move |_| {
        lab.settings.with(|settings| known.with_value(|knobs| Setting::of(knobs, settings, seeds.get())))
    });
    let start = start_panel(lab, &study, seeds, set, run, running, knobs.into_any());
    let otherwise = move || {
        run.with(|run| {
            let differs = !run.figures.is_empty() && set.with(|set| *set != run.set);
            differs.then(|| known.with_value(|knobs| ran_with(knobs, &run.set)))
        })
    };
    let promised = StoredValue::new(study.figures.clone());
    let ids = Signal::memo(move |_| {
        let mut ids: Vec<String> = promised.with_value(|all| all.iter().map(|figure| figure.id.clone()).collect());
        run.with(|run| {
            for figure in &run.figures {
                if !ids.contains(&figure.id) {
                    ids.push(figure.id.clone());
                }
            }
        });
        ids
    });
    let range = move |from: usize, to: usize| {
        Signal::memo(move |_| ids.with(|ids| ids.iter().take(to).skip(from).cloned().collect::<Vec<String>>()))
    };
    let folded = range(OPEN, usize::MAX);
    let expected = expectations(study.expected.clone(), study.reference.clone());
    let figure = Arc::new(move |id: String| {
        let figure = Signal::derive(move || {
            let found = run.with(|run| run.figures.iter().find(|figure| figure.id == id).cloned());
            let promise = || promised.with_value(|all| all.iter().find(|figure| figure.id == id).cloned());
            found.or_else(promise).unwrap_or_default()
        });
        view! { <FigureCard figure/> }.into_any()
    });
    let answered = Signal::memo(move |_| run.with(|run| run.verdict.is_some()));
    let waited = StoredValue::new(false);
    effect(move || {
        waited.update_value(|waited| *waited |= running.get());
        if answered.get() && waited.get_value() {
            waited.set_value(false);
            request_animation_frame(show_answer);
        }
    });
    let source = study.source.starts_with("http").then(|| {
        view! { <a href=study.source.clone() target="_blank" rel="noopener noreferrer">"Read the paper"</a> }
    });
    view! {
        <main class="reading" data-study=id data-state=move || if running.get() { "running" } else { "idle" }>
            <p><a href="#studies">"Studies"</a></p>
            <h1>{study.title}</h1>
            <p class="lead">{text(study.claim)}</p>
            <div class="study">
                <div class="side">{start}</div>
                <div>
                    {part(move || otherwise().map(|text| view! { <p class="note">{text}</p> }.into_any()))}
                    {part(move || run.with(|run| run.verdict.clone()).map(verdict))}
                    {each_named(range(0, 1), figure.clone())}
                    <section class="panel"><h2>"Why"</h2><p class="note">{text(study.why)}</p></section>
                    {each_named(range(1, OPEN), figure.clone())}
                    <details class="panel fold" hidden=flag(move || folded.with(Vec::is_empty))>
                        <summary><h2>"More figures"</h2></summary>
                        {each_named(folded, figure)}
                    </details>
                    {expected}
                    <section class="panel">
                        <h2>"What is different from the paper"</h2>
                        <p class="note">{text(study.differences)}</p>
                        <p class="note">{format!("{} ({}, {}). ", study.paper, study.authors, study.year)} {source}</p>
                    </section>
                </div>
            </div>
        </main>
    }
    .into_any()
}

/// What a run was set to that is shown beside other knobs or seeds.
fn ran_with(knobs: &[Knob], set: &Setting) -> String {
    if set.seeds == 0 {
        return "What is shown here is of a run whose knobs were not kept.".into();
    }
    let label = |id: &String| knobs.iter().find(|knob| knob.id == *id).map_or("", |knob| &knob.label);
    let knobs = set.knobs.iter().map(|(id, value)| format!("{} {value}, ", label(id)));
    let knobs = if set.plain() { "all knobs as they come, ".into() } else { knobs.collect::<String>() };
    format!("What is shown here ran with {knobs}Seeds {}, not with what is set now.", set.seeds)
}

/// Scrolls to the answer if it is not whole in view: whoever has waited for it sees it, however far down the page.
fn show_answer() {
    let Ok(Some(answer)) = document().query_selector(".verdict") else { return };
    let bounds = answer.get_bounding_client_rect();
    let height = window().inner_height().ok().and_then(|height| height.as_f64()).unwrap_or_default();
    if bounds.top() < 0.0 || bounds.bottom() > height {
        answer.scroll_into_view();
    }
}

/// A text with its terms explained.
fn text(text: String) -> AnyView {
    explained(move || text.clone())
}

/// Figures before the fold; the first of them is the headline's.
const OPEN: usize = 6;

/// What the study holds its numbers against, before it has run.
fn expectations(expected: Vec<String>, reference: Option<Reference>) -> AnyView {
    let lines = expected.into_iter().map(|line| view! { <li>{line}</li> }).collect_view();
    let ours = reference.map(|Reference { answer, seeds, .. }| {
        view! { <p class="note">{format!("Our run of {seeds} seeds said: {answer}")}</p> }
    });
    view! {
        <details class="panel fold">
            <summary><h2>"What is expected"</h2></summary>
            <p class="note">"The first decides whether the paper's claim holds here; the others do not."</p>
            <ul class="note">{lines}</ul>
            {ours}
        </details>
    }
    .into_any()
}

/// Knobs, seeds, Run and Cancel, progress.
fn start_panel(
    lab: Lab,
    study: &StudyCard,
    seeds: RwSignal<u32>,
    set: Signal<Setting>,
    run: Signal<StudyRun>,
    running: Signal<bool>,
    knobs: AnyView,
) -> AnyView {
    let id = study.id;
    let of_one_seed = study.seconds / f64::from(study.seeds.max(1));
    let known: StoredValue<Vec<String>> = StoredValue::new(study.knobs.iter().map(|knob| knob.id.clone()).collect());
    let is_knob = move |key: &String| known.with_value(|known| known.contains(key));
    let press = move |_| {
        if running.get_untracked() {
            lab.study_link.send(&Command::Study(StudyCommand::Cancel { id }), &[]);
        } else {
            lab.run_study(id, set.get_untracked());
        }
    };
    let strange = move || {
        let unknown = lab.settings.with(|settings| {
            let strangers = settings.iter().filter(|(key, _)| !is_knob(key));
            strangers.map(|(key, _)| format!("“{key}” is no knob of this study")).collect::<Vec<_>>()
        });
        (!unknown.is_empty()).then(|| view! { <p class="problem" role="alert">{unknown.join("; ")}</p> })
    };
    let take_seeds = move |event| {
        let input: web_sys::HtmlInputElement = event_target(&event);
        seeds.set((input.value_as_number() as u32).clamp(1, 20));
        // What is used, also where that is the same as before.
        input.set_value(&seeds.get_untracked().to_string());
    };
    view! {
        <section class="panel">
            <h2>"Knobs"</h2>
            {knobs}
            {strange}
            <div class="field">
                <label class="label" for="seeds">"Seeds"</label>
                <span class="value">
                    <input
                        id="seeds"
                        type="number"
                        min="1"
                        max="20"
                        prop:value=words(move || seeds.get().to_string())
                        disabled=flag(move || running.get())
                        on:change=heard(take_seeds)
                    />
                </span>
                <span class="effect">"runs of each arm with other random draws; more give a surer verdict"</span>
            </div>
            <button class="primary run-study" on:click=press>
                {words(move || if running.get() { "Cancel" } else { "Run" }.to_owned())}
            </button>
            <p class="soft">
                {words(move || {
                    let time = seconds(of_one_seed * f64::from(seeds.get()));
                    format!("about {time} on one processor core, unless you turn a knob")
                })}
            </p>
            {part(move || Some(run.with(progress)))}
        </section>
    }
    .into_any()
}

fn knob_control(lab: Lab, study: u32, knob: Knob, running: Signal<bool>) -> AnyView {
    let Knob { id, label, effect, kind, default, unit } = knob;
    let given = {
        let id = id.clone();
        Signal::memo(move |_| {
            let last = |settings: &Vec<(String, String)>| {
                settings.iter().rev().find(|(key, _)| *key == id).map(|(_, value)| value.clone())
            };
            lab.settings.with(last)
        })
    };
    let issue = {
        let (kind, label) = (kind.clone(), label.clone());
        Signal::derive(move || {
            let problem = given.get().and_then(|text| kind.parse(&text).err());
            problem.map(|problem| format!("{label} {problem}"))
        })
    };
    let value = {
        let default = default.clone();
        Signal::derive(move || given.get().unwrap_or_else(|| default.clone()))
    };
    let base = Signal::stored(default.clone());
    let effect = Signal::stored(effect);
    let about = About { path: format!("study/{study}/{id}"), label, effect, unit, kind };
    let set = Callback::new(move |text: String| {
        lab.settings.update(|settings| {
            settings.retain(|(key, _)| *key != id);
            if text != default {
                settings.push((id.clone(), text.clone()));
            }
        });
    });
    view! { <Control about value base issue set disabled=running/> }.into_any()
}

/// How far a run is, or what it says at its end.
pub fn progress(run: &StudyRun) -> AnyView {
    if !run.running {
        return view! { <p class="soft" aria-live="polite">{run.message.clone()}</p> }.into_any();
    }
    let [done, total] = run.done;
    let eta = run.eta_s.map(|eta| format!(", {} left", seconds(eta))).unwrap_or_default();
    let where_it_is = if total > 0 { format!("{done} of {total} runs{eta}") } else { String::new() };
    view! {
        <progress max=total.max(1) value=done aria-label="Progress of the study"></progress>
        <p class="soft" aria-live="polite">{where_it_is}<br/>{run.message.clone()}</p>
    }
    .into_any()
}

/// The answer, what decided it, and the rest folded.
fn verdict(verdict: Verdict) -> AnyView {
    let (class, icon, words) = mark(verdict.holds);
    let Verdict { answer, measured, headline, also, .. } = verdict;
    let count = |holds| also.iter().filter(|check| check.holds == holds).count();
    let [passed, untested] = [Some(true), None].map(count);
    let mut summary = format!("Also: {passed} of {} further checks hold", also.len() - untested);
    if untested > 0 {
        summary += &format!(", {untested} not tested");
    }
    let more = (!also.is_empty()).then(|| {
        view! {
            <details>
                <summary>{summary}</summary>
                <p class="soft">{text(measured)}</p>
                {checks(also)}
            </details>
        }
    });
    view! {
        <section class=format!("panel verdict {class}") aria-live="polite" data-verdict=class>
            <h2 class="answer">{text(answer)}</h2>
            <p><span class=format!("mark {class}")><Icon name=icon/>{format!("The paper's claim {words}")}</span></p>
            {checks(vec![headline])}
            {more}
        </section>
    }
    .into_any()
}

/// Checks as a table.
fn checks(checks: Vec<Check>) -> AnyView {
    let row = |check: Check| {
        let (class, icon, words) = match check.holds {
            Some(true) => ("holds", "yes", "holds"),
            Some(false) => ("fails", "close", "does not"),
            None => ("untested", "partly", "not tested"),
        };
        view! {
            <tr>
                <td>{check.name}</td>
                <td>{check.measured}</td>
                <td>{check.expected}</td>
                <td><span class=format!("mark {class}")><Icon name=icon/>{words}</span></td>
            </tr>
        }
    };
    let rows = checks.into_iter().map(row).collect_view();
    view! {
        <div class="scroll">
            <table>
                <thead><tr><th>"check"</th><th>"measured"</th><th>"expected"</th><th></th></tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// The study that an address names, if it names one.
pub const fn study_of(page: Page) -> Option<u32> {
    match page {
        Page::Study(id) => Some(id),
        _ => None,
    }
}
