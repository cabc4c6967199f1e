//! A lesson's steps beside the lab: words, controls, a prediction, the run, and what its numbers show.

use engine::lesson::{Ask, Lesson, Quantity, Question, Step};
use engine::pairs::Pairs;
use engine::protocol::{RunId, RunState};
use leptos::html::H2;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::controls::recipe::Controls;
use crate::erase::{effect, flag, heard, part, press, words};
use crate::reactive::RwSignal;
use crate::state::lessons::Way;
use crate::state::{Lab, Run};
use crate::text::number;
use crate::widgets::icon::Icon;
use crate::widgets::keys;
use crate::widgets::transport::run_label;

/// A lesson, and how far a person has come.
#[derive(Clone, Copy)]
struct Course {
    lab: Lab,
    lesson: StoredValue<Lesson>,
    /// The step that is shown.
    at: RwSignal<usize>,
    /// Runs that have ended, by their names.
    made: RwSignal<Pairs<String, RunId>>,
    /// What was predicted, by step.
    predicted: RwSignal<Pairs<usize, usize>>,
    /// The last run that was fresh while the step was shown.
    fresh: StoredValue<Option<RunId>>,
}

impl Course {
    fn with<T>(self, i: usize, read: impl FnOnce(&Step) -> T) -> Option<T> {
        self.lesson.with_value(|lesson| lesson.steps.get(i).map(read))
    }

    /// Shows a step; one that asks for a run that was not made begins it, one whose run was made shows that.
    fn enter(self, i: usize) {
        let before = i.checked_sub(1).and_then(|i| self.with(i, |step| step.spec.clone()));
        let Some((spec, name)) = self.with(i, |step| (step.spec.clone(), step.run.clone())) else { return };
        let made = name.as_ref().and_then(|name| self.made.with_untracked(|made| made.get(name).copied()));
        let lab = self.lab;
        self.fresh.set_value(made);
        match made.filter(|run| lab.known(*run)) {
            Some(run) => lab.open(run),
            None if name.is_some() || before.as_ref() != Some(&spec) => {
                lab.preset.set(self.lesson.with_value(|lesson| lesson.preset.clone()));
                lab.issues.set(Vec::new());
                let begun = lab.current_untracked(Run::begun).unwrap_or(false);
                if begun || lab.spec.with_untracked(|known| *known != spec) {
                    lab.adopt(spec);
                }
            }
            None => {}
        }
        self.at.set(i);
    }

    /// A number of a run of this lesson, reactively; none before the run has ended.
    fn number(self, run: &str, quantity: Quantity) -> Option<f64> {
        let id = self.made.with(|made| made.get(run).copied())?;
        self.lab.measured(id, |measured| measured.quantity(quantity))
    }

    /// Reads the step that is shown with what asks for numbers.
    fn ask<T>(self, read: impl FnOnce(&Step, &Ask) -> T) -> Option<T> {
        self.with(self.at.get(), |step| read(step, &|run, quantity| self.number(run, quantity)))
    }

    /// Whether the step that is shown can say what it has to: its run, if it has one, has ended.
    fn ended(self) -> bool {
        let name = self.with(self.at.get(), |step| step.run.clone()).flatten();
        name.is_none_or(|name| self.made.with(|made| made.contains_key(&name)))
    }
}

/// The panel.
pub fn tutor(lab: Lab, lesson: Lesson, text: String) -> AnyView {
    let (title, count) = (lesson.title.clone(), lesson.steps.len());
    let Way { at, made, predicted, fresh } = lab.ways.with_value(|ways| ways.get(&text).cloned()).unwrap_or_default();
    let way = Course {
        lab,
        lesson: StoredValue::new(lesson),
        at: RwSignal::new(at),
        made: RwSignal::new(made),
        predicted: RwSignal::new(predicted),
        fresh: StoredValue::new(fresh),
    };
    // Whoever comes back to a step with its run goes on there.
    if fresh != Some(lab.run.get_untracked()) {
        untrack(|| way.enter(at));
    }
    // A run that was fresh while its step was shown, or has its recipe, is that step's run once it ends.
    let text = StoredValue::new(text);
    effect(move || {
        let (run, state, at) = (lab.run.get(), lab.state(), way.at.get());
        // An earlier run that is opened is for a moment at its start, too.
        if lab.step() == 0 && way.fresh.get_value().is_none_or(|known| known <= run) {
            way.fresh.set_value(Some(run));
        }
        let fresh = way.fresh.get_value();
        let name = way.with(at, |step| step.run.clone()).flatten();
        let fits = || fresh == Some(run) || way.with(at, |step| step.spec == lab.spec.get_untracked()) == Some(true);
        if let Some(name) = name.filter(|_| matches!(state, RunState::Done | RunState::Failed) && fits())
            && way.made.with_untracked(|made| made.values().all(|known| *known != run))
        {
            way.made.update(|made| {
                made.insert(name, run);
            });
        }
        let (made, predicted) = (way.made.get(), way.predicted.get());
        lab.ways.update_value(|ways| {
            ways.insert(text.get_value(), Way { at, made, predicted, fresh });
        });
    });
    let heading = NodeRef::<H2>::new();
    let go = move |to: usize| {
        way.enter(to);
        if let Some(heading) = heading.get_untracked() {
            keys::focus(&heading);
        }
    };
    let forget = move |_| text.with_value(|text| lab.ways.update_value(|ways| drop(ways.remove(text))));
    let make_own = move |_| {
        lab.draft.set(text.get_value());
        // An address that cannot be set leaves the person where they are.
        let _ = window().location().set_hash("#lesson");
    };
    let controls = Controls::new(lab);
    view! {
        <section class="panel tutor" aria-label="Lesson">
            <p class="soft"><a href="#lesson">"Lessons"</a>" · "{title}</p>
            <p class="soft">{words(move || format!("Step {} of {count}", way.at.get() + 1))}</p>
            <progress aria-label="Steps of the lesson" max=count prop:value=move || (way.at.get() + 1) as f64></progress>
            <h2 node_ref=heading tabindex="-1">{words(move || way.with(way.at.get(), |step| step.title.clone()).unwrap_or_default())}</h2>
            {part(move || way.with(way.at.get(), |step| body(way, step, controls)))}
            <div aria-live="polite">{part(move || way.ended().then(|| outcome(way)))}</div>
            <div class="row">
                <button disabled=flag(move || way.at.get() == 0) on:click=press(move |_| go(way.at.get_untracked().saturating_sub(1)))>
                    "Back"
                </button>
                {part(move || Some(if way.at.get() + 1 < count {
                    view! { <button on:click=press(move |_| go(way.at.get_untracked() + 1))>"Next"</button> }.into_any()
                } else {
                    // Who has come to its end begins anew.
                    view! { <a class="button" href="#lesson" on:click=press(forget)>"All lessons"</a> }.into_any()
                }))}
            </div>
            <footer>
                <a href=words(move || lab.lab_address().fragment())>"This run in the lab"</a>
                <button class="plain" on:click=press(make_own)>"Make it your own"</button>
            </footer>
        </section>
    }
    .into_any()
}

/// Words, controls, question and Run of a step.
fn body(way: Course, step: &Step, controls: Controls) -> AnyView {
    let text = step.text.iter().map(|text| view! { <p>{emphasised(text)}</p> }).collect_view();
    let asked = step.ask.clone().map(|ask| question(way, ask));
    let unanswered = step.ask.is_some();
    let at = way.at.get_untracked();
    let lab = way.lab;
    let run = step.run.is_some().then(|| {
        let blocked = move || unanswered && way.predicted.with(|predicted| !predicted.contains_key(&at));
        let label = move || run_label(lab.state(), lab.current(Run::begun) == Some(true));
        view! {
            <button class="primary" disabled=flag(blocked) on:click=press(move |_| lab.toggle())>
                <Icon name="play"/>
                {words(move || label().to_owned())}
            </button>
        }
    });
    let look = step.look.clone().map(|id| {
        let label = format!("Look at “{}”", id.replace(['_', '-'], " "));
        view! { <button class="plain" on:click=press(move |_| point_at(&id))><Icon name="look"/>{label}</button> }
    });
    view! {
        {text}
        {(!step.show.is_empty()).then(|| controls.of(step.show.clone()))}
        {asked}
        <div class="row">{run}{look}</div>
    }
    .into_any()
}

/// A prediction; once the run has ended, what was right.
fn question(way: Course, ask: Question) -> AnyView {
    let at = way.at.get_untracked();
    let options = ask.options.into_iter().enumerate().map(|(i, (answer, _))| {
        view! {
            <label>
                <input
                    type="radio"
                    name="prediction"
                    prop:checked=move || way.predicted.with(|predicted| predicted.get(&at) == Some(&i))
                    disabled=flag(move || way.ended())
                    on:change=heard(move |_| way.predicted.update(|predicted| { predicted.insert(at, i); }))
                />
                {answer}
            </label>
        }
    });
    view! { <fieldset><legend>{ask.text}</legend>{options.collect_view()}</fieldset> }.into_any()
}

/// What the numbers of the run show, and whether it was predicted.
fn outcome(way: Course) -> AnyView {
    let foretold = way.ask(|step, numbers| {
        let ask = step.ask.as_ref()?;
        let answer = |i: usize| ask.options.get(i).map(|(answer, _)| answer.clone());
        let own = *way.predicted.with(|predicted| predicted.get(&way.at.get_untracked()).copied()).as_ref()?;
        Some(match ask.right(numbers) {
            Some(right) if right == own => ("yes", "As you predicted.".to_owned()),
            Some(right) => ("close", format!("Not as you predicted, but: {}.", answer(right)?.trim_end_matches('.'))),
            None => ("partly", "This run fits none of the answers.".to_owned()),
        })
    });
    let foretold = foretold.flatten().map(|(icon, text)| view! { <p class="mark"><Icon name=icon/>{text}</p> });
    let concluded = way.ask(|step, numbers| {
        if step.conclusions.is_empty() {
            return None;
        }
        let missing = || "This conclusion needs the runs of the steps before: go back and run them.".to_owned();
        let place = step.concluded(numbers);
        let shown = place.is_some_and(|i| step.conclusions[i].0.is_some());
        let said = |i: usize| step.conclusions.get(i).map(|(_, words)| words.said(numbers, &number));
        Some((shown, place.and_then(said).unwrap_or_else(missing)))
    });
    let concluded = concluded.flatten().map(|(shown, text)| {
        view! { <p class="conclusion" class:otherwise=!shown data-shown=shown.to_string()>{emphasised(&text)}</p> }
    });
    view! { {foretold}{concluded} }.into_any()
}

/// A text whose parts between two asterisks are stressed.
fn emphasised(text: &str) -> AnyView {
    let part = |(i, part): (usize, &str)| match i % 2 {
        0 => part.to_owned().into_any(),
        _ => view! { <b>{part.to_owned()}</b> }.into_any(),
    };
    text.split("**").enumerate().map(part).collect_view().into_any()
}

/// Brings a figure into view and marks it; one that is not on the page is not pointed at.
fn point_at(id: &str) {
    let find = |selector: &str| document().query_selector(selector).ok().flatten();
    if let Some(before) = find("[data-pointed]") {
        let _ = before.remove_attribute("data-pointed");
    }
    let fits = id.chars().all(|c| c.is_ascii_alphanumeric() || !c.is_ascii() || matches!(c, '-' | '_'));
    let figure = if fits { find(&format!("[data-figure={id:?}]")) } else { None };
    if let Some(figure) = figure.and_then(|figure| figure.dyn_into::<web_sys::HtmlElement>().ok()) {
        let _ = figure.set_attribute("data-pointed", "");
        figure.set_tab_index(-1);
        keys::focus(&figure);
    }
}
