//! The gallery of studies.

use std::sync::Arc;

use crate::erase::{each, heard, part, parts, press, words};
use engine::figure::{Figure, Holds, Mark};
use engine::pairs::Pairs;
use engine::protocol::{Reference, StudyCard};
use engine::spec::Page;
use leptos::prelude::*;

use crate::figure::drawing::Drawing;
use crate::reactive::{RwSignal, Signal};
use crate::state::{Lab, StudyRun};
use crate::terms::finds;
use crate::widgets::icon::Icon;

/// Class, icon and words of a verdict.
pub const fn mark(holds: Holds) -> (&'static str, &'static str, &'static str) {
    match holds {
        Holds::Yes => ("holds", "yes", "holds here"),
        Holds::No => ("fails", "close", "does not hold here"),
        Holds::Untested => ("untested", "partly", "was not tested here"),
    }
}

/// The page.
#[component]
pub fn StudiesPage() -> impl IntoView {
    let lab = Lab::of();
    let search = RwSignal::new(String::new());
    let theme = RwSignal::new(None::<String>);
    let references = RwSignal::new(Vec::new());
    lab.fetch_references(references);
    let themes = Signal::memo(move |_| {
        let mut themes = Pairs::default();
        lab.studies.with(|studies| {
            for theme in studies.iter().flat_map(|study| &study.themes) {
                themes.insert(theme.clone(), ());
            }
        });
        themes
    });
    let shown = Signal::memo(move |_| {
        let typed = search.get();
        let theme = theme.get();
        let fits = |study: &&StudyCard| {
            let parts = [&study.title, &study.paper, &study.authors, &study.claim].map(String::as_str);
            let text = format!("{} {} {}", study.id, parts.join(" "), study.themes.join(" "));
            theme.as_ref().is_none_or(|theme| study.themes.contains(theme)) && finds(lab, &typed, &text)
        };
        lab.studies.with(|studies| studies.iter().filter(fits).map(|study| study.id as usize).collect::<Vec<_>>())
    });
    let chip = move |name: String| {
        let (mine, own) = (name.clone(), name.clone());
        view! {
            <button
                aria-pressed=words(move || (theme.get().as_ref() == Some(&mine)).to_string())
                on:click=press(move |_| theme.update(|theme| {
                    *theme = if theme.as_ref() == Some(&own) { None } else { Some(own.clone()) };
                }))
            >
                {name}
            </button>
        }
        .into_any()
    };
    let none = move || {
        shown.with(Vec::is_empty).then(|| {
            let loading = lab.studies.with(Vec::is_empty);
            let text = if loading { "The list is on its way." } else { "No study matches." };
            view! { <p class="soft">{text}</p> }.into_any()
        })
    };
    view! {
        <main class="reading">
            <h1>"Studies"</h1>
            <p class="lead">
                "Each takes a claim of a paper and puts it to the test here, on real data, next to its baseline. The verdict is
                computed from your run's own numbers, and it may be that the effect does not show."
            </p>
            <div class="filters">
                <input
                    type="search"
                    placeholder="Search studies"
                    aria-label="Search studies"
                    on:input=heard(move |event| search.set(event_target_value(&event)))
                />
                <div class="chips" role="group" aria-label="Themes">
                    {parts(move || themes.get().into_keys().map(chip).collect())}
                </div>
            </div>
            <div class="cards">
                {each(shown, Arc::new(move |id| card(lab, id as u32, references)))}
            </div>
            {part(none)}
        </main>
    }
    .into_any()
}

/// What a study has come to here. With other knobs it would be an answer to another question.
fn own(runs: &Pairs<u32, StudyRun>, id: u32) -> Option<&StudyRun> {
    runs.get(&id).filter(|run| run.set.plain())
}

fn card(lab: Lab, id: u32, references: RwSignal<Vec<Reference>>) -> AnyView {
    let Some(study) = lab.studies.with_untracked(|studies| studies.iter().find(|study| study.id == id).cloned()) else {
        return ().into_any();
    };
    // The first figure that has something to show: of the last run here, else of the run that comes with the page.
    let picture = Signal::memo(move |_| {
        let own = lab.study_runs.with(|runs| {
            let drawn = |figure: &&Figure| figure.marks.iter().any(Mark::drawn);
            own(runs, id).and_then(|run| run.figures.iter().find(drawn).cloned())
        });
        let known = || references.with(|all| all.iter().find(|known| known.id == id).map(|known| known.figure.clone()));
        own.or_else(known)
    });
    let promise = study.figures.first().map_or_else(String::new, |figure| {
        if figure.empty.is_empty() { figure.title.clone() } else { figure.empty.clone() }
    });
    let drawn = Signal::memo(move |_| picture.with(Option::is_some));
    let known = study.reference.map(|known| known.holds);
    let verdict = move || {
        let holds = lab.study_runs.with(|runs| own(runs, id).and_then(|run| run.verdict.as_ref().map(|v| v.holds)));
        let (holds, words) = match (holds, known) {
            (Some(holds), _) => (holds, mark(holds).2),
            (None, Some(Holds::Yes)) => (Holds::Yes, "held in our run"),
            (None, Some(Holds::No)) => (Holds::No, "did not in our run"),
            (None, Some(Holds::Untested)) => (Holds::Untested, "not tested in ours"),
            (None, None) => return view! { <span class="mark">"not run here yet"</span> }.into_any(),
        };
        let (class, icon, _) = mark(holds);
        view! { <span class=format!("mark {class}")><Icon name=icon/>{words}</span> }.into_any()
    };
    let thumb = move || {
        if drawn.get() {
            let figure = Signal::derive(move || picture.get().unwrap_or_default());
            view! { <div class="thumb drawn"><Drawing figure log=Signal::stored([false; 2]) fill=true/></div> }
                .into_any()
        } else {
            view! { <div class="thumb">{promise.clone()}</div> }.into_any()
        }
    };
    view! {
        <a class="card" href=format!("#{}", Page::Study(id).route()) data-study=id>
            {thumb}
            <h2>{study.title}</h2>
            <p>{study.claim}</p>
            <footer><span class="paper">{format!("{id:02} · {} · {}", study.paper, study.year)}</span>{verdict}</footer>
        </a>
    }
    .into_any()
}
