//! The strategies side by side: what each is and has of its own, its paper, and another future from where it is.

use std::fmt::Write as _;

use engine::continual::{Arm, ContinualSpec, Leg, MAX_ARMS, MAX_STARTED, Strategy, look, setting};
use engine::protocol::RunState;
use engine::spec::show_number;
use leptos::prelude::*;

use crate::controls::field::{About, Control};
use crate::erase::{flag, heard, part, parts, press, words};
use crate::figure::key::{Key, shown};
use crate::figure::palette::Tone;
use crate::reactive::Signal;
use crate::state::Lab;
use crate::terms::line;
use crate::text::whole;
use crate::widgets::icon::Icon;

/// All arms, and how to add one.
pub fn panel(lab: Lab) -> AnyView {
    // An arm is built anew when a strategy changes; a setting's value only moves its control.
    let kinds = Signal::memo(move |_| {
        let mut kinds = String::new();
        lab.learned(|known| {
            for leg in known.spec.arms.iter().flat_map(|arm| &arm.legs) {
                // Writing to a String cannot fail.
                let _ = write!(kinds, "{}{} ", leg.from, leg.strategy.id());
            }
        });
        kinds
    });
    let all = parts(move || {
        // A memo that is never read does not follow what it is made of.
        kinds.with(|_| ());
        let arms = lab.continual.with_value(|known| known.spec.arms.len());
        (0..arms).map(|arm| card(lab, arm)).collect()
    });
    let add = move |event: web_sys::Event| {
        let select: web_sys::HtmlSelectElement = event_target(&event);
        if let Some(strategy) = Strategy::from_id(&select.value()) {
            edit(lab, |arms| arms.push(Arm::new(strategy)));
        }
        select.set_value("");
    };
    let full =
        move || lab.learned(|known| known.spec.arms.iter().filter(|arm| arm.legs.len() == 1).count() >= MAX_STARTED);
    view! {
        <section class="panel arms" aria-label="Strategies">
            <div class="look-head">
                <h2>"Strategies"</h2>
                <span class="soft">{words(move || lab.learned(|known| stream(&known.course.tasks)))}</span>
                <select aria-label="Add a strategy" disabled=flag(full) on:change=heard(add)>
                    <option value="">"Add a strategy"</option>
                    {options()}
                </select>
            </div>
            <div class="arm-cards">{all}</div>
        </section>
    }
    .into_any()
}

/// What each task brings, as far as it fits.
fn stream(tasks: &[String]) -> String {
    let shown: Vec<&str> = tasks.iter().take(6).map(String::as_str).collect();
    let more = if tasks.len() > shown.len() { format!(" … {} tasks", tasks.len()) } else { String::new() };
    shown.join(" → ") + &more
}

fn options() -> AnyView {
    Strategy::ALL
        .iter()
        .map(|strategy| view! { <option value=strategy.id()>{strategy.label()}</option> })
        .collect_view()
        .into_any()
}

/// Changes what learns.
fn edit(lab: Lab, change: impl FnOnce(&mut Vec<Arm>)) {
    lab.edit_continual("strategies", |spec| {
        change(&mut spec.arms);
        Ok(())
    });
}

/// One arm.
fn card(lab: Lab, arm: usize) -> AnyView {
    let of = move |read: fn(&Arm) -> String| {
        words(move || lab.learned(|known| known.spec.arms.get(arm).map(read).unwrap_or_default()))
    };
    let row = lab.continual.with_value(|known| known.spec.arms.get(arm).map(|arm| arm.last().strategy.row()));
    let Some(row) = row else { return ().into_any() };
    let paper = (!row.source.is_empty()).then(|| {
        view! { <a href=row.source target="_blank" rel="noopener noreferrer">{row.paper}</a> }
    });
    let (role, dash) = look(arm);
    let settings: Vec<AnyView> = row.settings.iter().map(|id| own(lab, arm, id)).collect();
    let fold = (!settings.is_empty()).then(|| {
        view! { <details><summary>"Settings of its own"</summary>{settings}</details> }
    });
    view! {
        <article class="arm" data-arm=arm>
            <h3>
                {shown(Key::line("", Tone::of(role), dash))}
                <span>{of(Arm::label)}</span>
                <button
                    class="plain icon"
                    aria-label=words(move || format!("Remove {}", lab.learned(|known| known.course.arms.get(arm).cloned().unwrap_or_default())))
                    disabled=flag(move || lab.learned(|known| known.spec.arms.len() < 2))
                    on:click=press(move |_| edit(lab, |arms| { arms.remove(arm); }))
                >
                    <Icon name="close"/>
                </button>
            </h3>
            <p class="soft">{words(move || line(lab, row.line).to_owned())} " " {paper}</p>
            {fold}
            {part(move || fork(lab, arm))}
        </article>
    }
    .into_any()
}

/// A setting that an arm may have of its own.
fn own(lab: Lab, arm: usize, id: &'static str) -> AnyView {
    let Some(known) = setting(id) else { return ().into_any() };
    let about = About {
        path: format!("arm/{arm}/{id}"),
        label: known.label.into(),
        effect: Signal::derive(move || line(lab, known.effect).to_owned()),
        unit: known.unit.into(),
        kind: known.kind.clone(),
    };
    let last = move |spec: &ContinualSpec| spec.arms.get(arm).map(|arm| arm.last().clone());
    let value = Signal::derive(move || {
        lab.learned(|known| last(&known.spec).map(|leg| show_number(known.spec.value(&leg, id))).unwrap_or_default())
    });
    let base = Signal::derive(move || lab.learned(|known| known.spec.turned(id).unwrap_or_default()));
    let set = Callback::new(move |text: String| {
        lab.edit_continual(id, |spec| {
            let plain = spec.turned(id).as_deref() == Some(text.trim());
            let Some(leg) = spec.arms.get_mut(arm).and_then(|arm| arm.legs.last_mut()) else { return Ok(()) };
            if plain {
                leg.values.retain(|(own, _)| own != id);
                return Ok(());
            }
            leg.set(id, &text)
        });
    });
    view! { <Control about value base issue=Signal::stored(None) set disabled=false/> }.into_any()
}

/// Another future, where there is a past and something still to come.
fn fork(lab: Lab, arm: usize) -> Option<AnyView> {
    let at = lab.learned(|known| {
        let room = known.spec.arms.len() < MAX_ARMS;
        let update = known.updates.get(arm).copied().unwrap_or(0);
        (known.state == RunState::Paused && room && update > 0 && update < known.total()).then_some(update)
    })?;
    let choose = move |event: web_sys::Event| {
        let select: web_sys::HtmlSelectElement = event_target(&event);
        if let Some(strategy) = Strategy::from_id(&select.value()) {
            lab.fork_continual(arm, &Leg::new(at, strategy).text());
        }
        select.set_value("");
    };
    let label = format!("Another future from update {}", whole(at));
    let select = view! {
        <select aria-label=label.clone() on:change=heard(choose)>
            <option value="">{label.clone()}</option>
            {options()}
        </select>
    };
    Some(select.into_any())
}
