//! What is seen of a session: accuracies over the stream, matrices, numbers, confusion, memory, movement.

use engine::figure::Figure;
use leptos::prelude::*;

use crate::erase::{flag, keyed, part, press, words};
use crate::panels::look::list;
use crate::reactive::{RwSignal, Signal};
use crate::state::Lab;
use crate::widgets::keys;

/// Panels before the fold.
const OPEN: usize = 7;

/// What is looked at.
#[derive(Clone, Copy)]
struct Look {
    /// Which panels of accuracies: 0 = a task each, 1 = a strategy each.
    by_arm: RwSignal<usize>,
    /// 0 = all seeds as mean and deviation, else one of them.
    seed: RwSignal<usize>,
    /// The arm whose answers and memory are shown.
    arm: RwSignal<usize>,
}

impl Look {
    fn seed(self) -> Option<usize> {
        self.seed.get().checked_sub(1)
    }
}

/// All figures.
pub fn figures(lab: Lab) -> AnyView {
    let look = Look { by_arm: RwSignal::new(0), seed: RwSignal::new(0), arm: RwSignal::new(0) };
    let accuracies =
        Signal::memo(move |_| lab.learned(|known| known.shown(look.seed()).accuracies(look.by_arm.get() == 1)));
    let matrices = Signal::memo(move |_| lab.learned(|known| known.shown(look.seed()).matrices()));
    let border = Signal::memo(move |_| lab.learned(|known| vec![known.shown(look.seed()).border(known.spec.window)]));
    let table = Signal::memo(move |_| lab.learned(|known| vec![known.shown(look.seed()).table()]));
    let inside = Signal::memo(move |_| {
        lab.learned(|known| {
            // An arm that was looked at may be gone.
            let arm = look.arm.get().min(known.course.arms.len().saturating_sub(1));
            let shown = known.shown(look.seed());
            let stored = known.memories.get(arm).and_then(Option::as_ref);
            let mut figures = vec![shown.confusion(arm)];
            figures.extend(shown.movement());
            if known.spec.curvature > 0 {
                figures.push(shown.curvature(arm));
            }
            figures.extend(shown.memory(arm, stored.map(|(memory, pixels)| (memory, pixels.as_slice()))));
            figures
        })
    });
    let seeds = Signal::memo(move |_| {
        let seeds = lab.learned(|known| known.course.seeds.clone());
        let one = seeds.iter().map(|seed| format!("seed {seed}"));
        if seeds.len() > 1 { [String::from("mean ± deviation")].into_iter().chain(one).collect() } else { Vec::new() }
    });
    let arms = Signal::memo(move |_| lab.learned(|known| known.course.arms.clone()));
    let panels = Signal::memo(|_| ["a panel for each task", "a panel for each strategy"].map(String::from).to_vec());
    view! {
        <section class="figures" aria-label="Accuracy over the stream">
            <div class="look-head">
                <h2>"Over the stream"</h2>
                {chips("Panels", panels, look.by_arm)}
                {chips("Seeds", seeds, look.seed)}
            </div>
            <div class="tiled stream">{cards(accuracies, 0, 1)}{cards(border, 0, 1)}{cards(accuracies, 1, OPEN)}</div>
            <details class="panel fold" hidden=flag(move || accuracies.with(Vec::len) <= OPEN)>
                <summary><h2>"More panels"</h2></summary>
                <div class="tiled">{cards(accuracies, OPEN, usize::MAX)}</div>
            </details>
        </section>
        <section class="figures" aria-label="Accuracy matrices">
            <div class="look-head"><h2>"Accuracy matrices"</h2><span class="soft">"percent correct, all on one scale"</span></div>
            <div class="tiled maps">{cards(matrices, 0, usize::MAX)}</div>
            {cards(table, 0, 1)}
        </section>
        <section class="figures" aria-label="Inside a strategy">
            <div class="look-head"><h2>"Inside"</h2>{chips("Strategy", arms, look.arm)}</div>
            <div class="tiled inside">{cards(inside, 0, usize::MAX)}</div>
        </section>
    }
    .into_any()
}

/// Cards of figures from a place to another.
fn cards(figures: Signal<Vec<Figure>>, from: usize, to: usize) -> AnyView {
    list(Signal::memo(move |_| figures.with(|all| all.iter().take(to).skip(from).cloned().collect::<Vec<Figure>>())))
}

/// A choice of one; nothing where there is none.
fn chips(label: &'static str, names: Signal<Vec<String>>, chosen: RwSignal<usize>) -> AnyView {
    let chip = move |(place, name): (usize, String)| {
        let mine = move || chosen.get() == place;
        view! {
            <button
                role="radio"
                aria-checked=words(move || mine().to_string())
                tabindex=words(move || if mine() { "0" } else { "-1" }.to_owned())
                on:click=press(move |_| chosen.set(place))
            >
                {name}
            </button>
        }
        .into_any()
    };
    let group = move || {
        let names = names.get();
        (names.len() > 1).then(|| {
            let chips = names.into_iter().enumerate().map(chip).collect_view();
            view! {
                <div class="chips" role="radiogroup" aria-label=label on:keydown=keyed(|event| keys::choose(&event))>{chips}</div>
            }
            .into_any()
        })
    };
    part(group).into_any()
}
