//! A point on a lane that a person drags, or moves with the arrow keys.

use crate::erase::{flag, keyed, words};
use engine::decimal::plain;
use leptos::ev::{KeyboardEvent, PointerEvent};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::Element;

use crate::figure::chart::ChartRef;
use crate::reactive::{RwSignal, Signal};
use crate::text::px;

/// Where a handle stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Step.
    pub x: f64,
    /// Value on the lane's axis.
    pub y: f64,
    /// Whether it can still be moved.
    pub free: bool,
    /// What it says to those who cannot see it.
    pub text: String,
}

/// A draggable point. `drag` gets the point under the pointer; `nudge` the arrow keys, in steps of -1, 0 and 1; `number`
/// whether one more is wanted (key +, double click) or this one less (Delete). All end with `drop`.
#[component]
pub fn Handle(
    chart: ChartRef,
    /// Counts drawings of the lane.
    layout: RwSignal<u32>,
    place: Signal<Place>,
    /// Whether a hand holds a point of the lane.
    held: RwSignal<bool>,
    label: &'static str,
    #[prop(optional)] class: &'static str,
    drag: Callback<[f64; 2]>,
    nudge: Callback<[f64; 2]>,
    #[prop(optional)] number: Option<Callback<bool>>,
    drop: Callback<()>,
) -> impl IntoView {
    let dragging = RwSignal::new(false);
    let hold = move |on: bool| {
        dragging.set(on);
        held.set(on);
    };
    // A point that goes away while it is held lets the axis go.
    on_cleanup(move || {
        if dragging.try_get_untracked() == Some(true) {
            held.set(false);
        }
    });
    // Between two drawings it stays where it was: hidden, it would lose the keys.
    let at = Signal::memo(move |last: Option<&Option<[f64; 2]>>| {
        layout.track();
        place.with(|place| chart.place(place.x, place.y)).or(last.copied().flatten())
    });
    let move_to = move |event: &PointerEvent| {
        let handle: Option<Element> = event.current_target().and_then(|target| target.dyn_into().ok());
        let Some(plot) = handle.and_then(|handle| handle.parent_element()) else { return };
        let bounds = plot.get_bounding_client_rect();
        let (left, top) = (f64::from(event.client_x()) - bounds.left(), f64::from(event.client_y()) - bounds.top());
        if let Some(point) = chart.pick(left, top) {
            drag.run(point);
        }
    };
    let press = move |event: PointerEvent| {
        event.prevent_default();
        event.stop_propagation();
        let target: Option<Element> = event.current_target().and_then(|target| target.dyn_into().ok());
        if let Some(target) = target {
            // Without capture the drag ends at the handle's edge, no worse.
            let _ = target.set_pointer_capture(event.pointer_id());
        }
        hold(true);
    };
    let release = move |_: PointerEvent| {
        if dragging.get_untracked() {
            drop.run(());
            hold(false);
        }
    };
    let count = move |more: bool| {
        if let Some(number) = number {
            number.run(more);
            drop.run(());
        }
    };
    let key = move |event: KeyboardEvent| {
        let by = match event.key().as_str() {
            "ArrowLeft" => Some([-1.0, 0.0]),
            "ArrowRight" => Some([1.0, 0.0]),
            "ArrowUp" => Some([0.0, 1.0]),
            "ArrowDown" => Some([0.0, -1.0]),
            "+" | "Insert" | "Delete" => None,
            _ => return,
        };
        event.prevent_default();
        event.stop_propagation();
        match by {
            Some(by) => {
                nudge.run(by);
                drop.run(());
            }
            None => count(event.key() != "Delete"),
        }
    };
    view! {
        <button
            class=format!("handle {class}")
            role="slider"
            aria-label=label
            aria-valuenow=words(move || plain(place.with(|place| place.y)))
            aria-valuetext=words(move || place.with(|place| place.text.clone()))
            title=words(move || place.with(|place| format!("{label}: {}", place.text)))
            disabled=flag(move || place.with(|place| !place.free))
            hidden=flag(move || at.get().is_none())
            style:left=words(move || at.get().map_or(String::new(), |[left, _]| px(left)))
            style:top=words(move || at.get().map_or(String::new(), |[_, top]| px(top)))
            on:pointerdown=press
            on:pointermove=move |event| if dragging.get_untracked() { move_to(&event) }
            on:pointerup=release
            on:pointercancel=release
            on:keydown=keyed(key)
            on:dblclick=crate::erase::press(move |_| count(true))
        ></button>
    }
    .into_any()
}
