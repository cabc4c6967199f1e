//! The cells over a sweep's map: a grid of links, of which the one that is looked at is told about in full. Its elements
//! are made by hand: there may be a thousand, and all follow from the same few values.

use std::cell::RefCell;
use std::rc::Rc;

use crate::erase::{effect, keyed, parts, words};
use engine::figure::Mark;
use engine::sweep::{Outcome, Sweep};
use leptos::html::Div;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, HtmlElement, PointerEvent};

use crate::reactive::RwSignal;
use crate::state::Lab;
use crate::state::sweep::Sweeping;
use crate::text::{number, percent, seconds, whole};
use crate::text::{part_of, px};

/// Columns and rows.
fn shape(sweep: &Sweep) -> [usize; 2] {
    [sweep.columns().len(), sweep.rows().len()]
}

/// Adds an element.
fn child(parent: &Element, tag: &str, attributes: &[(&str, &str)]) -> Option<HtmlElement> {
    let child: HtmlElement = document().create_element(tag).ok()?.dyn_into().ok()?;
    for (name, value) in attributes {
        child.set_attribute(name, value).ok()?;
    }
    parent.append_child(&child).ok()?;
    Some(child)
}

/// The links of all cells in new rows, in the order of trials: from the bottom row up.
fn build(grid: &Element, sweep: &Sweep) -> Option<Vec<HtmlElement>> {
    let [width, height] = shape(sweep);
    grid.set_inner_html("");
    let mut links = Vec::new();
    for row in (0..height).rev() {
        let line = child(grid, "div", &[("role", "row")])?;
        for cell in row * width..(row + 1) * width {
            let place = child(&line, "span", &[("role", "gridcell")])?;
            let link = child(&place, "a", &[("data-cell", &cell.to_string()), ("data-name", &sweep.name(cell))])?;
            if let Some(address) = sweep.run_link(cell) {
                link.set_attribute("href", &address).ok()?;
            }
            links.push(link);
        }
        // Rows come from the top, trials from below.
        links.rotate_right(width);
    }
    Some(links)
}

/// The cell of an event in the grid.
fn cell_of(event: &Event) -> Option<usize> {
    let target: Element = event.target()?.dyn_into().ok()?;
    target.get_attribute("data-cell")?.parse().ok()
}

/// The grid; `place` is that of the map's cells, `at` the cell that is looked at.
pub fn cells(lab: Lab, place: RwSignal<[f64; 4]>, at: RwSignal<usize>) -> AnyView {
    let grid = NodeRef::<Div>::new();
    let links = Rc::new(RefCell::new(Vec::<HtmlElement>::new()));
    let built = RefCell::new(String::new());
    let known = links.clone();
    effect(move || {
        lab.trial_tick.track();
        lab.sweep.with_value(|sweeping| {
            let cells = sweeping.results.cells(&sweeping.sweep);
            for busy in &sweeping.pool.busy {
                if let Some(link) = known.borrow().get(busy.trial % cells) {
                    fill(link, busy.share);
                }
            }
        });
    });
    let known = links.clone();
    effect(move || {
        let Some(grid) = grid.get() else { return };
        lab.swept(|sweeping| {
            let link = sweeping.link();
            if *built.borrow() != link {
                known.replace(build(&grid, &sweeping.sweep).unwrap_or_default());
                built.replace(link);
            }
            lab.sweep_figures.with(|figures| {
                let map = figures.first().and_then(|figure| figure.marks.first());
                let known = known.borrow();
                // A smaller grid may not have the cell that was looked at.
                let looked = at.get() % known.len().max(1);
                for (cell, link) in known.iter().enumerate() {
                    paint(sweeping, map, cell, cell == looked, link);
                }
            });
        });
    });
    let side = move |i: usize| words(move || px(place.get()[i]));
    let look = move |event: &Event| {
        if let Some(cell) = cell_of(event) {
            at.set(cell);
        }
    };
    let keys = move |event: web_sys::KeyboardEvent| {
        let shape = lab.sweep.with_value(|sweeping| shape(&sweeping.sweep));
        if let Some(cell) = next(&event.key(), at.get_untracked(), shape) {
            event.prevent_default();
            if let Some(link) = links.borrow().get(cell) {
                // A cell that cannot take the focus leaves it where it is.
                let _ = link.focus();
            }
        }
    };
    // A finger has no hover: its first touch looks, its second opens.
    let touched = StoredValue::new(None::<usize>);
    let click = move |event: web_sys::MouseEvent| {
        let finger = event.dyn_ref::<PointerEvent>().is_some_and(|event| event.pointer_type() == "touch");
        let cell = cell_of(&event);
        if finger && touched.get_value() != cell {
            touched.set_value(cell);
            event.prevent_default();
        }
    };
    view! {
        <div
            class="cells"
            role="grid"
            node_ref=grid
            aria-label="Cells of the sweep, each a link to its run"
            style:left=side(0)
            style:top=side(1)
            style:width=side(2)
            style:height=side(3)
            on:keydown=keyed(keys)
            on:focusin=move |event| look(&event)
            on:pointerover=move |event| look(&event)
            on:pointermove=move |event: PointerEvent| event.stop_propagation()
            on:click=click
        ></div>
    }
    .into_any()
}

/// Brings a cell up to date: its words, whether it is in the tab order, how far its training is.
fn paint(sweeping: &Sweeping, map: Option<&Mark>, cell: usize, at: bool, link: &HtmlElement) {
    // Rows of the map run downwards.
    let value = match map {
        Some(Mark::HeatMap { grid, .. }) if grid.width > 0 => {
            let row = grid.height.saturating_sub(1 + cell / grid.width);
            grid.values.get(row * grid.width + cell % grid.width).copied().filter(|value| !value.is_nan())
        }
        _ => None,
    };
    let quantity = sweeping.quantity.label();
    let value = value.map_or_else(|| "no result yet".into(), |value| format!("{quantity} {}", number(value.into())));
    let words = format!("{}: {value}", link.get_attribute("data-name").unwrap_or_default());
    let attributes = [
        ("aria-label", words.as_str()),
        ("tabindex", if at { "0" } else { "-1" }),
        ("class", if at { "at" } else { "" }),
    ];
    for (name, value) in attributes {
        if link.get_attribute(name).as_deref() != Some(value) {
            // An element takes any of these.
            let _ = link.set_attribute(name, value);
        }
    }
    // Another seed of a cell may be in training at the same time.
    let cells = sweeping.results.cells(&sweeping.sweep);
    let share = sweeping.pool.busy.iter().find(|busy| busy.trial % cells == cell).map_or(0.0, |busy| busy.share);
    fill(link, share);
}

/// Shows how much of a cell's training is done.
fn fill(link: &HtmlElement, share: f64) {
    // An element takes any style.
    let _ = link.style().set_property("--done", &part_of(share));
}

/// Where a key leads from a cell; rows are counted from below.
fn next(key: &str, cell: usize, [width, height]: [usize; 2]) -> Option<usize> {
    let (column, row) = (cell % width.max(1), cell / width.max(1));
    let (column, row) = match key {
        "ArrowLeft" => (column.checked_sub(1)?, row),
        "ArrowRight" => (column + 1, row),
        "ArrowDown" => (column, row.checked_sub(1)?),
        "ArrowUp" => (column, row + 1),
        "Home" => (0, row),
        "End" => (width.checked_sub(1)?, row),
        _ => return None,
    };
    (column < width && row < height).then_some(row * width + column)
}

/// The trials of a cell, one a seed.
fn trials(sweeping: &Sweeping, cell: usize) -> impl Iterator<Item = usize> {
    let cells = sweeping.results.cells(&sweeping.sweep);
    (0..sweeping.sweep.seeds as usize).map(move |seed| seed * cells + cell)
}

fn update(at: Option<u64>) -> String {
    at.map_or_else(|| "never".into(), whole)
}

/// All that is known of a cell's runs, in words, a value a seed.
fn told(sweeping: &Sweeping, cell: usize) -> String {
    if let Err(issue) = sweeping.sweep.spec(cell) {
        return format!("There is no run here: {}", issue.message);
    }
    let outcome = |trial: usize| sweeping.results.outcomes.get(trial).copied().flatten();
    let outcomes: Vec<Option<Outcome>> = trials(sweeping, cell).map(outcome).collect();
    if outcomes.iter().all(Option::is_none) {
        return "No result yet.".into();
    }
    let line = |name: &str, say: fn(&Outcome) -> String| {
        let values: Vec<String> = outcomes.iter().map(|one| one.as_ref().map_or("–".into(), say)).collect();
        format!("{name}: {}", values.join(" · "))
    };
    [
        line("final loss", |outcome| number(outcome.loss)),
        line("test loss", |outcome| number(outcome.test_loss)),
        line("test accuracy", |outcome| percent(outcome.accuracy.unwrap_or(f64::NAN))),
        line("diverged at update", |outcome| update(outcome.diverged)),
        line("at the target after update", |outcome| update(outcome.reached.map(|reached| reached.0))),
        line("took", |outcome| seconds(outcome.seconds)),
    ]
    .join("\n")
}

/// The cell that is looked at.
pub fn cell_panel(lab: Lab, at: RwSignal<usize>) -> AnyView {
    let cell = move |sweeping: &Sweeping| at.get() % sweeping.sweep.cells().max(1);
    let links = move || {
        lab.swept(|sweeping| {
            let several = sweeping.sweep.seeds > 1;
            let link = |(seed, trial): (usize, usize)| {
                let words = if several { format!("Open run {}", seed + 1) } else { "Open as a run".into() };
                let link = sweeping.sweep.run_link(trial)?;
                Some(view! { <a href=link>{words}</a> }.into_any())
            };
            trials(sweeping, cell(sweeping)).enumerate().filter_map(link).collect()
        })
    };
    view! {
        <section class="panel cell" aria-label="Cell">
            <h2>{words(move || lab.swept(|sweeping| sweeping.sweep.name(cell(sweeping))))}</h2>
            <p>{words(move || lab.swept(|sweeping| told(sweeping, cell(sweeping))))}</p>
            <div class="filters">{parts(links)}</div>
        </section>
    }
    .into_any()
}
