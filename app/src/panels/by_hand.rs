//! Try it yourself: points of the plane that are put elsewhere, and pictures that are left out. Both are changes of the
//! recipe: in mid-run they count from the next update on, and the link has them.

use engine::figure::{Figure, Mark};
use engine::protocol::RunState;
use engine::spec::{Content, with_move};
use leptos::prelude::*;

use crate::erase::{flag, part, press, words};
use crate::figure::card::FigureCard;
use crate::figure::drawing::Board;
use crate::figure::places::{Act, places};
use crate::figure::scene::Spot;
use crate::reactive::{RwSignal, Signal};
use crate::state::Lab;

/// How far a key moves a point, of the width of the plane.
const NUDGE: f64 = 0.01;

/// The cell of the confusion matrix whose pictures are shown.
pub type Cell = RwSignal<Option<[usize; 2]>>;

/// The card of a view; some have more than a figure.
pub fn card(lab: Lab, cell: Cell, id: &str, figure: Signal<Figure>) -> AnyView {
    match id {
        "regions" => points(lab, figure),
        "confusion" if lab.spec.with_untracked(|spec| spec.data.content() == Content::Images) => {
            confusion(lab, cell, figure)
        }
        "cell" => pictures(lab, cell, figure),
        _ => view! { <FigureCard figure/> }.into_any(),
    }
}

/// A part of the recipe that is changed by hand: its control, and what it was before each change of this visit.
#[derive(Clone, Copy)]
struct ByHand {
    lab: Lab,
    path: &'static str,
    value: Signal<String>,
    former: RwSignal<Vec<String>>,
}

impl ByHand {
    fn new(lab: Lab, path: &'static str) -> Self {
        let value = Signal::memo(move |_| lab.shown().get(path).unwrap_or_default());
        Self { lab, path, value, former: RwSignal::new(Vec::new()) }
    }

    /// Changes it, unless that is refused; the answer says whether it was.
    fn turn(self, value: &str) -> bool {
        let mut next = self.lab.shown_now();
        let issue = next.set(self.path, value).err().or_else(|| next.validate().into_iter().next());
        if let Some(issue) = issue {
            self.lab.toast(issue.message, true);
            return false;
        }
        self.former.update(|former| former.push(self.value.get_untracked()));
        self.lab.set(self.path, value);
        true
    }

    /// How much was changed, and the ways back.
    fn summary(self, what: &'static str, done: &'static str) -> AnyView {
        let Self { lab, value, former, .. } = self;
        let count = move || value.with(|value| value.split(',').filter(|one| !one.is_empty()).count());
        let undo = press(move |_| {
            let mut last = None;
            former.update(|former| last = former.pop());
            if let Some(last) = last {
                lab.set(self.path, &last);
            }
        });
        let ended = move || lab.state() == RunState::Done;
        view! {
            <div class="filters by-hand" hidden=flag(move || count() == 0 && former.with(Vec::is_empty))>
                <span class="soft" aria-live="polite">{words(move || match count() {
                    1 => format!("1 {what} {done}"),
                    n => format!("{n} {what}s {done}"),
                })}</span>
                <button disabled=flag(move || former.with(Vec::is_empty)) on:click=undo>"Undo"</button>
                <button disabled=flag(move || count() == 0) on:click=press(move |_| { self.turn(""); })>"Put all back"</button>
                <button class="primary" hidden=flag(move || !ended()) on:click=press(move |_| lab.train_on())>"Train on"</button>
            </div>
        }
        .into_any()
    }
}

/// The regions, whose points can be dragged.
fn points(lab: Lab, figure: Signal<Figure>) -> AnyView {
    let moved = ByHand::new(lab, "data.moved");
    // Where a hand has a point that the figure does not show there yet.
    let held = RwSignal::new(None::<(usize, [f64; 2])>);
    let told = StoredValue::new(true);
    let shown = move |point: usize| figure.with(|figure| scatter(figure).get(point).copied());
    Effect::new(move || {
        let arrived = held.with(|held| {
            held.is_some_and(|(point, to)| {
                shown(point).is_some_and(|at| {
                    (at[0] - to[0]).abs() + (at[1] - to[1]).abs() < 2e-3 * (1.0 + to[0].abs() + to[1].abs())
                })
            })
        });
        if arrived && told.get_value() {
            held.set(None);
        }
    });
    let over = Callback::new(move |Board { cells, spots }: Board| {
        // The plane, and as many pixels as it is wide and high.
        let plane = move || {
            let range = |range: Option<[f64; 2]>| range.unwrap_or([-1.0, 1.0]);
            (figure.with(|figure| [range(figure.x.range), range(figure.y.range)]), cells.get())
        };
        let dots = Signal::memo(move |_| {
            let count = figure.with(|figure| scatter(figure).len());
            let mut dots = spots.with(|spots| spots[spots.len().saturating_sub(count)..].to_vec());
            if let Some((point, [x, y])) = held.get()
                && let Some(dot) = dots.get_mut(point)
            {
                let ([across, up], [left, top, width, height]) = plane();
                dot.at = [
                    left + (x - across[0]) / (across[1] - across[0]) * width,
                    top + (up[1] - y) / (up[1] - up[0]) * height,
                    0.0,
                    0.0,
                ];
            }
            dots
        });
        let act = Callback::new(move |(point, act): (usize, Act)| {
            let ([across, up], [left, top, width, height]) = untrack(plane);
            let to = match act {
                Act::Drag([x, y]) => [
                    across[0] + (x - left) / width * (across[1] - across[0]),
                    up[1] - (y - top) / height * (up[1] - up[0]),
                ],
                Act::Nudge([right, high]) => {
                    let by = held.get_untracked().filter(|(known, _)| *known == point).map(|(_, at)| at);
                    let Some([x, y]) = by.or_else(|| untrack(|| shown(point))) else { return };
                    [x + right * NUDGE * (across[1] - across[0]), y + high * NUDGE * (up[1] - up[0])]
                }
                Act::Back => {
                    held.set(None);
                    let back = with_move(&moved.value.get_untracked(), point as u64, None);
                    if back != moved.value.get_untracked() {
                        moved.turn(&back);
                    }
                    return;
                }
                Act::Drop => {
                    if let Some((point, to)) = held.get_untracked().filter(|_| !told.get_value()) {
                        told.set_value(true);
                        if !moved.turn(&with_move(&moved.value.get_untracked(), point as u64, Some(to))) {
                            held.set(None);
                        }
                    }
                    return;
                }
                Act::Press => return,
            };
            told.set_value(false);
            held.set(Some((point, [to[0].clamp(across[0], across[1]), to[1].clamp(up[0], up[1])])));
        });
        places("Training point", dots, Vec::new().into(), true, act)
    });
    view! {
        <FigureCard figure over=Some(over)/>
        {part(move || figure.with(|figure| !figure.marks.is_empty()).then(|| view! {
            <p class="soft note">"Drag a point: the network goes on learning from where you put it. Keys: Page Up and Down choose one, arrows move it, Delete puts it back."</p>
        }.into_any()))}
        {moved.summary("point", "moved")}
    }
    .into_any()
}

/// The points of a figure.
fn scatter(figure: &Figure) -> &[[f64; 2]] {
    figure
        .marks
        .iter()
        .find_map(|mark| match mark {
            Mark::Scatter { points, .. } => Some(points.as_slice()),
            _ => None,
        })
        .unwrap_or_default()
}

/// The confusion matrix, whose cells show their pictures.
fn confusion(lab: Lab, cell: Cell, figure: Signal<Figure>) -> AnyView {
    let width = move || figure.with(|figure| figure.x.categories.len().max(1));
    let over = Callback::new(move |Board { spots, .. }: Board| {
        let chosen =
            Signal::memo(move |_| cell.get().map(|[truth, guess]| truth * width() + guess).into_iter().collect());
        let act = Callback::new(move |(place, _): (usize, Act)| {
            let width = untrack(width);
            let at = [place / width, place % width];
            cell.set(Some(at));
            lab.look_into(at);
        });
        places("Truth and guess", spots.into(), chosen, false, act)
    });
    view! { <FigureCard figure over=Some(over)/> }.into_any()
}

/// Training pictures, which can be left out.
fn pictures(lab: Lab, cell: Cell, figure: Signal<Figure>) -> AnyView {
    let dropped = ByHand::new(lab, "data.dropped");
    let marked = RwSignal::new(Vec::<u64>::new());
    let shown = Signal::memo(move |_| {
        figure.with(|figure| match figure.marks.first() {
            Some(Mark::Tiles { tiles }) => tiles.iter().filter_map(|tile| tile.example).collect::<Vec<u64>>(),
            _ => Vec::new(),
        })
    });
    // Of other pictures than those that are shown nothing is marked.
    Effect::new(move || {
        shown.with(|shown| marked.update(|marked| marked.retain(|one| shown.contains(one))));
    });
    let over = Callback::new(move |Board { spots, .. }: Board| {
        let chosen = Signal::memo(move |_| {
            let place = |one: &u64| shown.with(|shown| shown.iter().position(|known| known == one));
            marked.with(|marked| marked.iter().filter_map(place).collect())
        });
        let act = Callback::new(move |(place, _): (usize, Act)| {
            let Some(one) = shown.with_untracked(|shown| shown.get(place).copied()) else { return };
            marked.update(|marked| match marked.iter().position(|known| *known == one) {
                Some(place) => {
                    marked.remove(place);
                }
                None => marked.push(one),
            });
        });
        let spots: Signal<Vec<Spot>> = spots.into();
        places("Training picture", spots, chosen, false, act)
    });
    let leave_out = press(move |_| {
        let mut all = dropped.value.get_untracked();
        for one in marked.get_untracked() {
            all = if all.is_empty() { one.to_string() } else { format!("{all},{one}") };
        }
        if dropped.turn(&all) {
            if let Some(cell) = cell.get_untracked() {
                lab.look_into(cell);
            }
        }
    });
    let none = move || marked.with(Vec::is_empty);
    view! {
        <FigureCard figure over=Some(over)/>
        {part(move || shown.with(|shown| !shown.is_empty()).then(|| view! {
            <p class="soft note">"Choose pictures whose label is wrong: left out, they are not learned from. The test pictures stay, so the score stays honest."</p>
        }.into_any()))}
        <div class="filters">
            <button on:click=press(move |_| marked.set(shown.get_untracked()))>"Choose all"</button>
            <button disabled=flag(none) on:click=leave_out>{words(move || format!("Leave {} out", marked.with(Vec::len)))}</button>
        </div>
        {dropped.summary("picture", "left out")}
    }
    .into_any()
}
