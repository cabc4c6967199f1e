//! The places of a figure that a person chooses from, with pointer or keys: to press one, or to drag it elsewhere. One
//! button stands on the place at hand, so that a thousand places are one tab stop.

use std::time::Duration;

use leptos::ev::{KeyboardEvent, PointerEvent};
use leptos::html::Div;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, MouseEvent};

use super::scene::{Spot, nearest};
use crate::erase::{parts, words};
use crate::reactive::{RwSignal, Signal};
use crate::text::px;

/// What a person does at a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Act {
    /// Presses it.
    Press,
    /// Has dragged it there, in pixels of the figure.
    Drag([f64; 2]),
    /// Moves it by a key: rightwards and upwards, in steps.
    Nudge([f64; 2]),
    /// Puts it back where it belongs.
    Back,
    /// Has let go of it, or rests.
    Drop,
}

/// A place that is held still for so long counts as put there.
const REST: Duration = Duration::from_millis(250);

/// The place next to another in a direction.
fn next(places: &[Spot], from: usize, [right, down]: [f64; 2]) -> Option<usize> {
    let middle = |spot: &Spot| [spot.at[0] + spot.at[2] / 2.0, spot.at[1] + spot.at[3] / 2.0];
    let [x, y] = middle(places.get(from)?);
    let away = |spot: &Spot| {
        let [dx, dy] = [middle(spot)[0] - x, middle(spot)[1] - y];
        let (along, across) = (dx * right + dy * down, (dx * down).abs() + (dy * right).abs());
        (along > 1.0).then_some(along + 3.0 * across)
    };
    let ahead = places.iter().enumerate().filter_map(|(place, spot)| Some((place, away(spot)?)));
    ahead.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(place, _)| place)
}

/// What lies over the figure. `chosen`: places that stand out; `drags`: whether they are dragged, not pressed.
pub fn places(
    label: &'static str,
    places: Signal<Vec<Spot>>,
    chosen: Signal<Vec<usize>>,
    drags: bool,
    act: Callback<(usize, Act)>,
) -> AnyView {
    let over = NodeRef::<Div>::new();
    let at = RwSignal::new(0_usize);
    let holds = RwSignal::new(false);
    let moves = StoredValue::new(0_u32);
    let spot = Signal::memo(move |_| places.with(|places| places.get(at.get()).cloned()));
    let said = RwSignal::new(String::new());
    let place = move |event: &MouseEvent| {
        let bounds = over.get_untracked().map(|over| over.get_bounding_client_rect());
        bounds.map_or([0.0; 2], |bounds| {
            [f64::from(event.client_x()) - bounds.left(), f64::from(event.client_y()) - bounds.top()]
        })
    };
    let find = move |event: &MouseEvent| {
        let [x, y] = place(event);
        let found = places.with_untracked(|places| nearest(places, x, y));
        if let Some(found) = found {
            at.set(found);
        }
        found.is_some()
    };
    let point = move |event: PointerEvent| {
        if holds.get_untracked() {
            act.run((at.get_untracked(), Act::Drag(place(&event))));
            rests(moves, at, act);
        } else {
            find(&event);
        }
    };
    let down = move |event: PointerEvent| {
        let target: Option<HtmlElement> = event.target().and_then(|target| target.dyn_into().ok());
        if drags && let Some(target) = target.filter(|target| target.has_attribute("data-hold")) {
            event.prevent_default();
            // Without capture the drag ends at the edge, no worse.
            let _ = target.set_pointer_capture(event.pointer_id());
            // Keys go on from here; a button takes the focus.
            let _ = target.focus();
            holds.set(true);
        } else {
            find(&event);
        }
    };
    let up = move |_: PointerEvent| {
        if holds.get_untracked() {
            holds.set(false);
            act.run((at.get_untracked(), Act::Drop));
        }
    };
    // A key presses where no pointer is.
    let click = move |event: MouseEvent| {
        if !drags && (event.detail() == 0 || find(&event)) {
            act.run((at.get_untracked(), Act::Press));
        }
    };
    let key = move |event: KeyboardEvent| {
        let all = places.with_untracked(Vec::len);
        let now = at.get_untracked();
        let step = match event.key().as_str() {
            "ArrowLeft" => [-1.0, 0.0],
            "ArrowRight" => [1.0, 0.0],
            "ArrowUp" => [0.0, -1.0],
            "ArrowDown" => [0.0, 1.0],
            "PageUp" => {
                at.set(now.saturating_sub(1));
                [0.0; 2]
            }
            "PageDown" => {
                at.set((now + 1).min(all.saturating_sub(1)));
                [0.0; 2]
            }
            "Delete" | "Backspace" if drags => {
                act.run((now, Act::Back));
                [0.0; 2]
            }
            _ => return,
        };
        event.prevent_default();
        event.stop_propagation();
        if step != [0.0; 2] {
            if drags {
                act.run((now, Act::Nudge([step[0], -step[1]])));
                rests(moves, at, act);
            } else if let Some(found) = places.with_untracked(|places| next(places, now, step)) {
                at.set(found);
            }
        }
        said.set(spot.get_untracked().map_or_else(String::new, |spot| spot.text));
    };
    let side = move |i: usize| {
        words(move || {
            spot.with(|spot| {
                spot.as_ref().map_or_else(String::new, |Spot { at, .. }| {
                    px(if !drags {
                        at[i]
                    } else if i < 2 {
                        at[i] + at[i + 2] / 2.0
                    } else {
                        return String::new();
                    })
                })
            })
        })
    };
    let rims = parts(move || {
        let rim = |place: &usize| {
            let [left, top, width, height] = places.with(|places| places.get(*place).map(|spot| spot.at))?;
            Some(
                view! {
                    <span
                        style:left=px(left)
                        style:top=px(top)
                        style:width=px(width)
                        style:height=px(height)
                    ></span>
                }
                .into_any(),
            )
        };
        chosen.with(|chosen| chosen.iter().filter_map(rim).collect())
    });
    view! {
        <div class="places" node_ref=over on:pointermove=point on:pointerdown=down on:pointerup=up on:pointercancel=up on:click=click>
            {rims}
            <button
                class=if drags { "handle point" } else { "place" }
                data-hold=""
                aria-label=words(move || format!("{label}: {}", spot.with(|spot| spot.as_ref().map_or_else(String::new, |spot| spot.text.clone()))))
                aria-pressed=(!drags).then(|| words(move || chosen.with(|chosen| chosen.contains(&at.get())).to_string()))
                style:left=side(0)
                style:top=side(1)
                style:width=side(2)
                style:height=side(3)
                on:keydown=key
            ></button>
            <span class="unseen" aria-live="polite">{words(move || said.get())}</span>
        </div>
    }
    .into_any()
}

/// Tells that a place rests, unless it moves again soon.
fn rests(moves: StoredValue<u32>, at: RwSignal<usize>, act: Callback<(usize, Act)>) {
    moves.update_value(|moves| *moves = moves.wrapping_add(1));
    let now = moves.get_value();
    let tell = move || {
        if moves.try_get_value() == Some(now)
            && let Some(at) = at.try_get_untracked()
        {
            act.run((at, Act::Drop));
        }
    };
    set_timeout(tell, REST);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lead_to_the_neighbour() {
        let spot = |x: f64, y: f64| Spot { at: [x, y, 10.0, 10.0], text: String::new() };
        let grid: Vec<Spot> = (0..9).map(|i| spot(f64::from(i % 3) * 10.0, f64::from(i / 3) * 10.0)).collect();
        let around = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]].map(|way| next(&grid, 4, way));
        assert_eq!(around, [Some(5), Some(3), Some(7), Some(1)]);
        assert_eq!(next(&grid, 2, [1.0, 0.0]), None);
        assert_eq!(next(&[], 0, [1.0, 0.0]), None);
    }
}
