//! One task, seen: classes in rows with their labelled pictures and their queries, a query looked at, the map.

use std::sync::Arc;

use engine::fewshot::{FewshotCommand, Query, TaskSeen};
use engine::figure::Figure;
use engine::numeric::places;
use leptos::prelude::*;

use crate::erase::{flag, heard, keyed, part, parts, press, words};
use crate::figure::card::FigureCard;
use crate::figure::palette::Tone;
use crate::reactive::{RwSignal, Signal};
use crate::state::Lab;
use crate::state::fewshot::Seen;
use crate::text::part_of;
use crate::text::{number, percent};
use crate::widgets::icon::Icon;
use crate::widgets::keys;

/// Distances that are listed, nearest first.
const LISTED: usize = 12;
/// Classes that are drawn in one frame: hundreds of pictures at once would hold up whoever scrolls or types.
const AT_ONCE: usize = 2;

const PROMISE: &str =
    "A task appears here: each class with its labelled pictures, then those that are to be classified.";
const UNTRAINED: &str = "The encoder knows nothing yet. Press Train: a task appears when it has learned.";

/// A class's number in its colour, and its name.
pub fn class_name(place: usize, name: &str) -> AnyView {
    view! {
        <span class="class-name" title=name.to_owned()>
            <b style=("--tone", Tone::Class(place as u32).css())>{place + 1}</b>
            <span>{name.to_owned()}</span>
        </span>
    }
    .into_any()
}

/// The task on view; own pictures are shown by their panel, and have the map alone.
pub fn panel(lab: Lab, own: Signal<bool>) -> AnyView {
    let session = lab.fewshot;
    let there = Signal::memo(move |_| session.task.with(Option::is_some));
    let walks = Signal::memo(move |_| session.task.with(|task| task.as_ref().map_or(1, |task| task.said.walk.len())));
    let map = Signal::derive(move || {
        let step = session.step.get();
        session.task.with(|task| task.as_ref().map(|task| task.said.map(step))).unwrap_or_else(|| Figure {
            id: "map".into(),
            title: "The task in the plane".into(),
            empty: "Appears with the first task.".into(),
            ..Figure::default()
        })
    });
    let asked = Signal::memo(move |_| {
        session.task.with(|task| task.as_ref().is_some_and(|task| !task.said.queries.is_empty()))
    });
    view! {
        {part(move || (!own.get()).then(|| rows(lab, there)))}
        // Own pictures are in the plane once one has been asked about.
        <div class="seen" hidden=flag(move || own.get() && !there.get())>
            <div>
                <FigureCard figure=map/>
                {part(move || (walks.get() > 1).then(|| iterations(lab, walks)))}
            </div>
            {part(move || (asked.get() && !own.get()).then(|| looked_at(lab)))}
        </div>
    }
    .into_any()
}

/// The slider over a method's iterations.
fn iterations(lab: Lab, walks: Signal<usize>) -> AnyView {
    let step = lab.fewshot.step;
    let last = move || walks.get().saturating_sub(1);
    let at = move || step.get().min(last());
    let told = move || {
        let energy = lab.fewshot.task.with(|task| task.as_ref().and_then(|task| task.said.step(step.get())?.energy));
        let energy = energy.map(|energy| format!(", energy {}", number(energy))).unwrap_or_default();
        format!("{} of {}{energy}", at(), last())
    };
    view! {
        <div class="panel steps field">
            <label class="label" for="iteration">"iteration"</label>
            <span class="value">{words(told)}</span>
            <input
                id="iteration"
                class="wide"
                type="range"
                min="0"
                max=words(move || last().to_string())
                step="1"
                prop:value=words(move || at().to_string())
                style=("--fill", words(move || part_of(at() as f64 / last().max(1) as f64)))
                aria-valuetext=words(told)
                on:input=heard(move |event| step.set(event_target_value(&event).parse().unwrap_or(usize::MAX)))
            />
            <span class="effect">"The stars walk: prototypes as the method has them after so many iterations."</span>
        </div>
    }
    .into_any()
}

/// Classes as rows: labelled pictures, then the queries that belong there.
fn rows(lab: Lab, there: Signal<bool>) -> AnyView {
    let session = lab.fewshot;
    let number = Signal::memo(move |_| session.task.with(|task| task.as_ref().map_or(0, |task| task.said.number)));
    let go = move |to: u32| {
        press(move |_| {
            let number = number.get_untracked();
            let number = if to == 0 { number.saturating_sub(1) } else { number.saturating_add(1) };
            lab.ask_fewshot(FewshotCommand::Task { number }, &[]);
        })
    };
    let right = move || {
        session
            .task
            .with(|task| {
                task.as_ref().and_then(|task| {
                    let right = task.said.step(session.step.get())?.accuracy?;
                    Some(format!(
                        "{} right · {}",
                        percent(right),
                        crate::text::seconds(task.said.milliseconds / 1000.0)
                    ))
                })
            })
            .unwrap_or_default()
    };
    let (drawn, form) = (RwSignal::new(0), StoredValue::new([0; 2]));
    let list = parts(move || {
        let Some(task) = session.task.get() else { return Vec::new() };
        let now = [task.said.classes.len(), task.said.queries.len()];
        if form.get_value() != now {
            form.set_value(now);
            drawn.set(AT_ONCE);
            draw_on(drawn, now[0]);
        }
        classes(lab, &task, drawn)
    });
    view! {
        <section class="panel task" aria-label="Task" data-task=words(move || number.get().to_string())>
            <div class="task-head">
                <h2>{words(move || format!("Task {}", number.get() + 1))}</h2>
                <span class="now">{words(right)}</span>
                <button class="icon" aria-label="Task before" disabled=flag(move || number.get() == 0) on:click=go(0)>"‹"</button>
                <button disabled=flag(move || !there.get()) on:click=go(1)>"Next task"</button>
            </div>
            <p class="note" hidden=flag(move || there.get())>
                {words(move || {
                    let random = session.cards.with(|cards| cards.as_ref().is_some_and(|(_, encoder)| !encoder.ready));
                    if random { UNTRAINED } else { PROMISE }.to_owned()
                })}
            </p>
            <div class="class-rows" role="group" aria-label="Queries by class" on:keydown=keyed(|event| { keys::rove(&event); })>{list}</div>
            <p class="note legend" hidden=flag(move || !there.get())>
                "Left: labelled. Right: queries, underlined in the colour of the class that they were given; a dashed frame and
                that class's number mark the wrong ones. Press one to see why."
            </p>
        </section>
    }
    .into_any()
}

/// Has further rows drawn in the frames that follow.
fn draw_on(drawn: RwSignal<usize>, rows: usize) {
    request_animation_frame(move || {
        let Some(now) = drawn.try_get_untracked().filter(|now| *now < rows) else { return };
        drawn.set(now + AT_ONCE);
        draw_on(drawn, rows);
    });
}

/// A row for each class; those from `drawn` on come later.
fn classes(lab: Lab, task: &Arc<Seen<TaskSeen>>, drawn: RwSignal<usize>) -> Vec<AnyView> {
    let row = |place: usize| {
        let (there, task) = (Signal::memo(move |_| drawn.get() > place), task.clone());
        part(move || there.get().then(|| class_row(lab, &task, place)).flatten()).into_any()
    };
    (0..task.said.classes.len()).map(row).collect()
}

/// A class: its name, its labelled pictures, the queries that belong there.
fn class_row(lab: Lab, task: &Arc<Seen<TaskSeen>>, place: usize) -> Option<AnyView> {
    let class = task.said.classes.get(place)?;
    let shots = task.said.support.len();
    let shown = (0..shots).filter(|i| task.said.support[*i] == place);
    let labelled = shown.map(|i| task.sheet.picture(i)).collect_view();
    let more = (class.more > 0).then(|| {
        let add = press(move |_| lab.ask_fewshot(FewshotCommand::AddShot { place, picture: None }, &[]));
        let label = format!("One more labelled picture of {}", class.name);
        view! { <button class="icon plain more" title=label.clone() aria-label=label on:click=add><Icon name="add"/></button> }
    });
    let asked =
        task.said.queries.iter().enumerate().filter(|(_, query)| query.truth.unwrap_or(query.predicted) == place);
    let asked = asked.map(|(i, query)| tile(lab, task.clone(), i, query.clone())).collect_view();
    Some(
        view! {
            <div class="class-row">
                {class_name(place, &class.name)}
                <span class="labelled">{labelled}{more}</span>
                <span class="asked">{asked}</span>
            </div>
        }
        .into_any(),
    )
}

/// A query as a button: one reactive part, as a task may have hundreds of them.
fn tile(lab: Lab, task: Arc<Seen<TaskSeen>>, i: usize, query: Query) -> AnyView {
    let session = lab.fewshot;
    let Query { truth, predicted, .. } = query;
    let known = task.clone();
    let given = Signal::memo(move |_| {
        let step = known.said.step(session.step.get());
        step.and_then(|step| step.predicted.get(i).copied()).unwrap_or(predicted)
    });
    let at = Signal::memo(move |_| session.query.get() == i);
    let button = move || {
        let (given, at) = (given.get(), at.get());
        let truth = truth.filter(|truth| *truth != given);
        let name = |place: usize| task.said.classes.get(place).map_or("", |class| class.name.as_str());
        let is = truth.map(|truth| format!(", is {}", name(truth))).unwrap_or_default();
        let view = view! {
            <button
                class="query"
                class:wrong=truth.is_some()
                style=("--tone", Tone::Class(given as u32).css())
                aria-label=format!("query {}: taken for {}{is}", i + 1, name(given))
                aria-pressed=at.to_string()
                tabindex=if at { "0" } else { "-1" }
                on:click=press(move |_| session.query.set(i))
            >
                {task.sheet.picture(task.said.support.len() + i)}
                {truth.map(|_| view! { <b>{given + 1}</b> })}
            </button>
        };
        Some(view.into_any())
    };
    part(button).into_any()
}

/// The query that is looked at: what it was taken for, how far each prototype is, the labelled picture that is nearest.
fn looked_at(lab: Lab) -> AnyView {
    let session = lab.fewshot;
    let content =
        move || {
            let task = session.task.get()?;
            let i = session.query.get().min(task.said.queries.len().saturating_sub(1));
            let query = task.said.queries.get(i)?;
            let name = |place: usize| task.said.classes.get(place).map_or("", |class| class.name.as_str());
            let sure = query.probabilities.get(query.predicted).filter(|p| p.is_finite());
            let sure = sure.map(|p| format!(", {}", percent(f64::from(*p)))).unwrap_or_default();
            let verdict = match query.truth {
                Some(truth) if truth != query.predicted => {
                    format!("Taken for {}{sure}. It is {}.", name(query.predicted), name(truth))
                }
                Some(_) => format!("Rightly taken for {}{sure}.", name(query.predicted)),
                None => format!("Taken for {}{sure}.", name(query.predicted)),
            };
            let of_nearest = task.said.support.get(query.nearest).map_or("", |place| name(*place)).to_owned();
            Some(view! {
            <div class="pair">
                <span>{task.sheet.picture(task.said.support.len() + i)}<em>"query "{i + 1}</em></span>
                <span>{task.sheet.picture(query.nearest)}<em>{format!("nearest labelled: {of_nearest}")}</em></span>
            </div>
            <p>{verdict}</p>
            {distances(&query.distances, &query.probabilities, query.predicted, &name)}
        }.into_any())
        };
    view! {
        <section class="panel looked" aria-label="The query looked at">
            <h2>"Why"</h2>
            <div aria-live="polite">{part(content)}</div>
            <p class="note">"Bars are distances to the prototypes: the shortest is the nearest."</p>
        </section>
    }
    .into_any()
}

/// Classes by distance, nearest first, a bar each.
pub fn distances<'a>(far: &[f32], sure: &[f32], given: usize, name: &dyn Fn(usize) -> &'a str) -> AnyView {
    let mut order = places(far.len(), &|a, b| far[a].total_cmp(&far[b]));
    order.retain(|place| far[*place].is_finite());
    order.truncate(LISTED);
    let most = order.iter().map(|place| far[*place]).fold(f32::MIN_POSITIVE, f32::max);
    let row = |place: usize| {
        let sure = sure.get(place).map_or(f64::NAN, |p| f64::from(*p));
        view! {
            <tr class:given=place == given>
                <th scope="row">{class_name(place, name(place))}</th>
                <td class="bar"><i style=("--share", part_of(f64::from(far[place] / most))) style=("--tone", Tone::Class(place as u32).css())></i></td>
                <td class="number">{number(f64::from(far[place]))}</td>
                <td class="number">{percent(sure)}</td>
            </tr>
        }
    };
    let rows = order.into_iter().map(row).collect_view();
    view! {
        <table class="distances">
            <thead><tr><th scope="col">"class"</th><th scope="col" colspan="2">"distance"</th><th scope="col" class="number">"chance"</th></tr></thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}
