//! The places of a figure that a person chooses from, with pointer or keys: to press one, or to drag it elsewhere. What
//! `js/places.js` does, as figures need it.

use std::cell::OnceCell;

use js_sys::{Array, Function};
use leptos::html::Div;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::HtmlElement;

use super::drawing::Board;
use super::scene::Spot;
use crate::erase::effect;
use crate::reactive::Signal;

#[wasm_bindgen(raw_module = "./js/places.js")]
extern "C" {
    type Places;

    #[wasm_bindgen(constructor)]
    fn new(host: &HtmlElement, label: &str, drags: bool, act: &Function) -> Places;

    /// Places are left, top, width and height, one behind the other.
    #[wasm_bindgen(method)]
    fn show(this: &Places, area: Vec<f64>, places: Vec<f64>, texts: Array, chosen: Vec<usize>);
}

/// What a person does at a place. Where places are pressed, it gets the place; where they are dragged, also where it was put, in
/// pixels of the figure, or NaN to put it back where it belongs. It answers whether that is accepted.
pub type Act = Box<dyn Fn(usize, [f64; 2]) -> bool>;

/// What lies over the figure. `chosen`: places that stand out; `drags`: whether they are dragged, not pressed.
pub fn places(
    label: &'static str,
    drags: bool,
    board: Board,
    spots: Signal<Vec<Spot>>,
    chosen: Signal<Vec<usize>>,
    act: Act,
) -> AnyView {
    let over = NodeRef::<Div>::new();
    // It goes with the elements that call it.
    let act = Closure::<dyn Fn(usize, f64, f64) -> bool>::new(move |place, x, y| act(place, [x, y]));
    let act: Function = act.into_js_value().unchecked_into();
    let made = OnceCell::new();
    effect(move || {
        let Some(over) = over.get() else { return };
        spots.with(|spots| {
            let texts = spots.iter().map(|spot| JsValue::from_str(&spot.text)).collect();
            let sides = spots.iter().flat_map(|spot| spot.at).collect();
            let made = made.get_or_init(|| Places::new(&over, label, drags, &act));
            made.show(board.cells.get().to_vec(), sides, texts, chosen.get());
        });
    });
    view! { <div class="places" node_ref=over></div> }.into_any()
}
