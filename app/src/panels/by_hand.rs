//! Try it yourself: points of the plane that are put elsewhere, and pictures that are left out. Both are changes of the
//! recipe: in mid-run they count from the next update on, and the link has them.

use engine::figure::{Figure, Mark};
use engine::protocol::{RunId, RunState};
use engine::spec::{Content, with_move};
use leptos::prelude::*;

use crate::erase::{flag, press, words};
use crate::figure::card::FigureCard;
use crate::figure::drawing::Board;
use crate::figure::places::places;
use crate::figure::scene::Spot;
use crate::reactive::{RwSignal, Signal};
use crate::state::Lab;

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

/// A part of the recipe that is changed by hand: its control, and what it was before each change, with the run that has these
/// changes: in another one there is nothing to undo.
#[derive(Clone, Copy)]
struct ByHand {
    lab: Lab,
    path: &'static str,
    value: Signal<String>,
    former: RwSignal<(RunId, Vec<String>)>,
}

impl ByHand {
    fn new(lab: Lab, path: &'static str) -> Self {
        let value = Signal::memo(move |_| lab.shown().get(path).unwrap_or_default());
        Self { lab, path, value, former: RwSignal::new((0, Vec::new())) }
    }

    /// Changes it, unless that is refused; the answer says whether it was.
    fn turn(self, value: &str) -> bool {
        let mut next = self.lab.shown_now();
        let issue = next.set(self.path, value).err().or_else(|| next.validate().into_iter().next());
        if let Some(issue) = issue {
            self.lab.toast(issue.message, true);
            return false;
        }
        let run = self.lab.run.get_untracked();
        self.former.update(|(known, values)| {
            if *known != run {
                values.clear();
            }
            values.push(self.value.get_untracked());
        });
        self.change(value);
        true
    }

    /// Changes it for good; before a run has begun that makes it another one.
    fn change(self, value: &str) {
        self.lab.set(self.path, value);
        self.former.update(|(run, _)| *run = self.lab.run.get_untracked());
    }

    /// How much was changed, and the ways back.
    fn summary(self, what: &'static str, done: &'static str) -> AnyView {
        let Self { lab, value, former, .. } = self;
        let none = move || former.with(|(run, values)| *run != lab.run.get() || values.is_empty());
        let count = move || value.with(|value| value.split(',').filter(|one| !one.is_empty()).count());
        let undo = press(move |_| {
            let mut last = None;
            former.update(|(_, values)| last = values.pop());
            if let Some(last) = last {
                self.change(&last);
            }
        });
        let ended = move || lab.state() == RunState::Done;
        view! {
            <div class="filters by-hand" hidden=flag(move || count() == 0 && none())>
                <span class="soft" aria-live="polite">{words(move || match count() {
                    1 => format!("1 {what} {done}"),
                    n => format!("{n} {what}s {done}"),
                })}</span>
                <button disabled=flag(none) on:click=undo>"Undo"</button>
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
    let over = Callback::new(move |board: Board| {
        let act = move |point, [x, y]: [f64; 2]| {
            let plane = |figure: &Figure| [&figure.x, &figure.y].map(|axis| axis.range.unwrap_or([-1.0, 1.0]));
            let [[west, east], [south, north]] = figure.with_untracked(plane);
            let [left, top, width, height] = board.cells.get_untracked();
            let to = [west + (x - left) / width * (east - west), north - (y - top) / height * (north - south)];
            let before = moved.value.get_untracked();
            let after = with_move(&before, point as u64, (!x.is_nan()).then_some(to));
            after == before || moved.turn(&after)
        };
        let dots = Signal::derive(move || {
            let regions = |spots: &Vec<Spot>| spots.len().saturating_sub(figure.with(count));
            board.spots.with(|spots| spots[regions(spots)..].to_vec())
        });
        places("Training point", true, board, dots, Vec::new().into(), Box::new(act))
    });
    let none = move || figure.with(|figure| count(figure) == 0);
    view! {
        <FigureCard figure over=Some(over)/>
        <p class="soft note" hidden=flag(none)>
            "Drag a point: the network goes on learning from where you put it. Keys: Page Up and Down choose one, arrows move it, Delete puts it back."
        </p>
        {moved.summary("point", "moved")}
    }
    .into_any()
}

/// How many points a figure has; they are drawn last.
fn count(figure: &Figure) -> usize {
    match figure.marks.last() {
        Some(Mark::Scatter { points, .. }) => points.len(),
        _ => 0,
    }
}

/// The confusion matrix, whose cells show their pictures.
fn confusion(lab: Lab, cell: Cell, figure: Signal<Figure>) -> AnyView {
    let width = move || figure.with(|figure| figure.x.categories.len().max(1));
    let over = Callback::new(move |board: Board| {
        let chosen =
            Signal::derive(move || cell.get().map(|[truth, guess]| truth * width() + guess).into_iter().collect());
        let act = move |place, _: [f64; 2]| {
            let width = untrack(width);
            let at = [place / width, place % width];
            cell.set(Some(at));
            lab.look_into(at);
            true
        };
        places("Truth and guess", false, board, board.spots.into(), chosen, Box::new(act))
    });
    view! { <FigureCard figure over=Some(over)/> }.into_any()
}

/// The training pictures of a figure, by their numbers.
fn examples(figure: &Figure) -> Vec<u64> {
    match figure.marks.first() {
        Some(Mark::Tiles { tiles }) => tiles.iter().filter_map(|tile| tile.example).collect(),
        _ => Vec::new(),
    }
}

/// Training pictures, which can be left out.
fn pictures(lab: Lab, cell: Cell, figure: Signal<Figure>) -> AnyView {
    let dropped = ByHand::new(lab, "data.dropped");
    let marked = RwSignal::new(Vec::<u64>::new());
    // Of other pictures than those that are shown nothing is chosen.
    let chosen = Signal::derive(move || {
        let shown = figure.with(examples);
        marked.with(|marked| (0..shown.len()).filter(|place| marked.contains(&shown[*place])).collect::<Vec<usize>>())
    });
    let over = Callback::new(move |board: Board| {
        let act = move |place: usize, _: [f64; 2]| {
            if let Some(one) = figure.with_untracked(examples).get(place) {
                marked.update(|marked| match marked.iter().position(|known| known == one) {
                    Some(at) => drop(marked.remove(at)),
                    None => marked.push(*one),
                });
            }
            true
        };
        places("Training picture", false, board, board.spots.into(), chosen, Box::new(act))
    });
    let leave_out = press(move |_| {
        let shown = figure.with_untracked(examples);
        let mut all = dropped.value.get_untracked();
        for place in chosen.get_untracked() {
            if !all.is_empty() {
                all.push(',');
            }
            all += &shown[place].to_string();
        }
        if dropped.turn(&all)
            && let Some(cell) = cell.get_untracked()
        {
            lab.look_into(cell);
        }
    });
    let none = move || figure.with(|figure| figure.marks.is_empty());
    let count = move || chosen.get().len();
    view! {
        <FigureCard figure over=Some(over)/>
        <p class="soft note" hidden=flag(none)>
            "Choose pictures whose label is wrong: left out, they are not learned from. The test pictures stay, so the score stays honest."
        </p>
        <div class="filters" hidden=flag(none)>
            <button on:click=press(move |_| marked.set(figure.with_untracked(examples)))>"Choose all"</button>
            <button disabled=flag(move || count() == 0) on:click=leave_out>{words(move || match count() {
                0 => "Leave out".into(),
                n => format!("Leave {n} out"),
            })}</button>
        </div>
        {dropped.summary("picture", "left out")}
    }
    .into_any()
}
