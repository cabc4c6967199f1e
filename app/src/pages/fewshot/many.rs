//! Many tasks: the methods compared on all of them, accuracy against shots and ways, mistakes; the encoder's training.

use engine::decimal::plain;
use engine::fewshot::{Curve, ExportKind, FewshotCommand, Over, Scores};
use engine::figure::Figure;
use leptos::prelude::*;

use crate::erase::{flag, part, press, words};
use crate::figure::card::FigureCard;
use crate::reactive::Signal;
use crate::state::Lab;
use crate::state::fewshot::Busy;
use crate::text::{seconds, whole};

/// One of some figures, empty while there is none.
fn card(figure: impl Fn() -> Option<Figure> + Send + Sync + 'static) -> AnyView {
    let figure = Signal::memo(move |_| figure().unwrap_or_default());
    view! { <FigureCard figure/> }.into_any()
}

/// A button that begins something long, or ends it.
fn toggle(lab: Lab, work: Busy, label: &'static str, primary: bool) -> AnyView {
    let busy = lab.fewshot.busy;
    let mine = move || busy.get() == Some(work);
    view! {
        <button
            class=if primary { "primary" } else { "" }
            disabled=flag(move || busy.get().is_some() && !mine())
            on:click=press(move |_| lab.toggle_fewshot(work))
        >
            {words(move || if mine() { "Stop" } else { label }.to_owned())}
        </button>
    }
    .into_any()
}

/// The encoder's training, live.
pub fn training(lab: Lab) -> AnyView {
    let training = lab.fewshot.training;
    let told = move || {
        training.with(|training| match training.updates() {
            0 => "The encoder is random yet.".to_owned(),
            updates => format!(
                "update {} of {}, {}",
                whole(updates as u64),
                whole(training.of as u64),
                seconds(training.seconds)
            ),
        })
    };
    let figures = Signal::memo(move |_| training.with(engine::fewshot::Training::figures));
    let drawn = move || {
        let any = training.with(|training| training.updates() > 0);
        any.then(|| {
            let one = |i: usize| card(move || figures.with(|figures| figures.get(i).cloned()));
            view! { <div class="lanes">{one(0)}{one(1)}{one(2)}</div> }.into_any()
        })
    };
    let any = Signal::memo(move |_| training.with(|training| training.updates() > 0));
    view! {
        <section class="panel train" aria-label="Training" data-updates=words(move || training.with(|t| t.updates().to_string()))>
            <div class="task-head">
                <h2>"The encoder learns"</h2>
                <span class="now">{words(told)}</span>
                {toggle(lab, Busy::Train, "Train", true)}
            </div>
            <p class="note">"On base classes; the task's classes are others. The task is shown anew when it has learned."</p>
        </section>
        {part(move || { any.get(); untrack(drawn) })}
    }
    .into_any()
}

/// Comparison, curves, mistakes, files.
pub fn panel(lab: Lab) -> AnyView {
    let session = lab.fewshot;
    let shown = Signal::memo(move |_| lab.fewshot_method());
    let progress = move || session.scores.with(|scores| scores.as_ref().map(|(scores, _)| [scores.tasks, scores.of]));
    let counted = Signal::memo(move |_| progress().is_some());
    let compared = Signal::memo(move |_| {
        session.scores.with(|scores| scores.as_ref().map(|(scores, _)| scores.figures(shown.get())))
    });
    let mistakes = Signal::memo(move |_| {
        let some = |(scores, bytes): &(Scores, Vec<u8>)| {
            (!scores.confused.is_empty() || !scores.hardest.is_empty()).then(|| scores.mistakes(bytes))
        };
        session.scores.with(|scores| scores.as_ref().and_then(some))
    });
    let ended =
        Signal::memo(move |_| session.scores.with(|scores| scores.as_ref().is_some_and(|(scores, _)| scores.finished)));
    let wrong = Signal::memo(move |_| mistakes.with(Option::is_some));
    let of = |all: Signal<Option<[Figure; 2]>>, i: usize| {
        card(move || all.with(|all| all.as_ref().map(|all| all[i].clone())))
    };
    let tasks =
        move || session.link.with(|link| format!("Every method on the same {} tasks.", whole(link.spec.tasks as u64)));
    let bar = move || {
        let [done, all] = progress()?;
        let share = done as f64 / all.max(1) as f64;
        (done < all)
            .then(|| view! { <progress max="1" value=plain(share) aria-label="Tasks done"></progress> }.into_any())
    };
    view! {
        <section class="panel many" aria-label="Many tasks" data-tasks=words(move || progress().map_or(0, |[done, _]| done).to_string())>
            <div class="task-head">
                <h2>"Many tasks"</h2>
                <span class="now"></span>
                {toggle(lab, Busy::Compare, "Run many tasks", true)}
                {toggle(lab, Busy::Curve(Over::Shots), "Against shots", false)}
                {toggle(lab, Busy::Curve(Over::Ways), "Against ways", false)}
            </div>
            <p class="note">{words(tasks)}</p>
            {part(bar)}
        </section>
        {part(move || counted.get().then(|| view! { {of(compared, 0)}{of(compared, 1)} }.into_any()))}
        {part(move || wrong.get().then(|| view! { <div class="pairs">{of(mistakes, 0)}{of(mistakes, 1)}</div> }.into_any()))}
        {[Over::Shots, Over::Ways].map(|over| curve(lab, over)).into_iter().collect_view()}
        {part(move || ended.get().then(|| files(lab)))}
    }
    .into_any()
}

fn curve(lab: Lab, over: Over) -> AnyView {
    let session = lab.fewshot;
    let find = move |read: &dyn Fn(&Curve) -> [Figure; 2]| {
        session.curves.with(|curves| curves.iter().find(|curve| curve.over == over).map(read))
    };
    let figures = Signal::memo(move |_| {
        let shown = lab.fewshot_method();
        find(&|curve| curve.figures(shown))
    });
    let any = Signal::memo(move |_| figures.with(Option::is_some));
    let of = move |i: usize| card(move || figures.with(|all| all.as_ref().map(|all| all[i].clone())));
    part(move || any.get().then(|| view! { <div class="pairs">{of(0)}{of(1)}</div> }.into_any())).into_any()
}

/// Files of what was compared.
const FILES: [(ExportKind, &str); 4] = [
    (ExportKind::Results, "Results (JSON)"),
    (ExportKind::Predictions, "Predictions (CSV)"),
    (ExportKind::Tasks, "Tasks (JSON)"),
    (ExportKind::Embeddings, "Embeddings (safetensors)"),
];

fn files(lab: Lab) -> AnyView {
    let button = |(kind, label)| {
        let save = press(move |_| lab.ask_fewshot(FewshotCommand::Export { kind }, &[]));
        view! { <button on:click=save>{label}</button> }
    };
    let buttons = FILES.map(button).into_iter().collect_view();
    view! {
        <section class="panel" aria-label="Files"><div class="filters"><h2>"Save"</h2>{buttons}</div></section>
    }
    .into_any()
}
