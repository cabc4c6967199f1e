//! Lessons: the list of all, a place to write one, and a lesson beside the lab that it leads through.

use engine::lesson::{Fault, Lesson};
use engine::spec::{Link as Address, Page};
use leptos::prelude::*;

use super::lab;
use crate::controls::open_file::PickFiles;
use crate::controls::transport::Transport;
use crate::erase::{heard, part, parts, press, words};
use crate::figure::export;
use crate::panels::start::href;
use crate::panels::tutor::tutor;
use crate::reactive::Signal;
use crate::state::Lab;
use crate::state::lessons::{EXAMPLE, Shipped};

/// The page: what the address names, or the list.
#[component]
pub fn LessonPage() -> impl IntoView {
    let lab = Lab::of();
    let setting = move |wanted: &str| {
        lab.settings.with(|settings| settings.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.clone()))
    };
    let text = Signal::memo(move |_| {
        let named = |name: String| {
            lab.lessons.with(|all| all.iter().find(|shipped| shipped.name == name).map(|shipped| shipped.text.clone()))
        };
        setting("text").or_else(|| setting("name").and_then(named))
    });
    let unknown = Signal::memo(move |_| {
        let known = |name: &String| lab.lessons.with(|all| all.is_empty() || all.iter().any(|one| one.name == *name));
        setting("name").filter(|name| !known(name))
    });
    part(move || {
        Some(match text.get() {
            Some(text) => match Lesson::read(&text) {
                Ok(lesson) => beside(lab, lesson, text),
                Err(fault) => {
                    lab.draft.set(text);
                    list(lab, Some(format!("This lesson cannot be read. {fault} Mend it below.")))
                }
            },
            None => list(lab, unknown.get().map(|name| format!("There is no lesson “{name}” here."))),
        })
    })
}

/// A lesson with the lab beside it.
fn beside(lab: Lab, lesson: Lesson, text: String) -> AnyView {
    view! {
        <main class="lab lesson-lab">
            <h1 class="unseen">{lesson.title.clone()}</h1>
            <Transport/>
            {tutor(lab, lesson, text)}
            {lab::views(lab)}
        </main>
    }
    .into_any()
}

/// All lessons, and the one that is being written.
fn list(lab: Lab, wrong: Option<String>) -> AnyView {
    let card = |Shipped { name, lesson, .. }: Shipped| {
        view! {
            <a class="start-card" href=href(&name)>
                <b>{lesson.title}</b>
                <span>{lesson.about}</span>
                <em>{format!("{} steps", lesson.steps.len())}</em>
            </a>
        }
        .into_any()
    };
    let begun = wrong.is_some() || lab.draft.with_untracked(|draft| draft != EXAMPLE);
    view! {
        <main class="reading">
            <h1>"Lessons"</h1>
            <p class="lead">
                "Each takes a few minutes: it sets the recipe, asks what you expect, lets you run it, and concludes from the
                numbers of your own run. Where those do not show it, it says so."
            </p>
            {wrong.map(|wrong| view! { <p class="problem" role="alert">{wrong}</p> })}
            <nav class="start-cards" aria-label="All lessons">
                {parts(move || lab.lessons.get().into_iter().map(card).collect())}
            </nav>
            <details class="panel fold" open=begun>
                <summary><h2>"Write a lesson of your own"</h2></summary>
                {editor(lab)}
            </details>
        </main>
    }
    .into_any()
}

/// Where a lesson is written, with what is wrong with it.
fn editor(lab: Lab) -> AnyView {
    let fault = Signal::memo(move |_| lab.draft.with(|text| Lesson::read(text).err()));
    let link = move || {
        let text = lab.draft.get();
        Address::to_page(Page::Lesson, vec![("text".into(), text)]).fragment()
    };
    let says = move || {
        match fault.get() {
        Some(fault @ Fault { .. }) => view! { <p class="problem" role="alert">{fault.to_string()}</p> }.into_any(),
        None => view! { <p class="soft">"This can be read. Its link holds the whole text: whoever opens it gets the lesson."</p> }
            .into_any(),
    }
    };
    let ready = move || {
        fault.with(Option::is_none).then(|| view! { <a class="button" href=words(link)>"Open it"</a> }.into_any())
    };
    let save = move |_| export::text("lesson.md", "text/markdown", &lab.draft.get_untracked());
    view! {
        <p class="note">
            "A lesson is a text. "<code>"# "</code>" begins it with its title, "<code>"## "</code>" begins a step; then come words and
            lines that begin with "<code>"@"</code>": what to set and show, the run and its name, a question with answers and when each is
            right, the figure to look at, and what to conclude. A run has loss, first, lowest, highest, test, best, accuracy,
            steps, half, rises, jitter and failed. Open any lesson and choose “Make it your own” to begin from it."
        </p>
        <textarea
            class="mono"
            rows="18"
            spellcheck="false"
            aria-label="Text of the lesson"
            prop:value=words(move || lab.draft.get())
            on:input=heard(move |event| lab.draft.set(event_target_value(&event)))
        ></textarea>
        <div aria-live="polite">{part(move || Some(says()))}</div>
        <div class="filters">
            {part(ready)}
            <button on:click=press(save)>"Save as a file"</button>
            <PickFiles
                label="Open a file"
                hint="A lesson that was saved"
                accept=".md,.txt"
                take=Callback::new(move |files| lab.read_lesson(files))
            />
        </div>
    }
    .into_any()
}
