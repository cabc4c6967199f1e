//! A button that opens a list of things to do. The list is placed on the screen, not in its panel, which may scroll.

use crate::erase::{effect, keyed, words};
use leptos::html::{Button, Div};
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::icon::Icon;
use super::keys;
use crate::present::grown;
use crate::reactive::{RwSignal, Signal};
use crate::text::px;

/// One thing to do.
pub type Entry = (&'static str, Callback<()>);

/// Room that a list needs, in pixels of usual size: width, height of an entry.
const ROOM: [f64; 2] = [210.0, 34.0];

/// The button and, while it is open, the list. The button shows three dots, or `text`.
#[component]
pub fn Menu(
    #[prop(into)] label: Signal<String>,
    #[prop(optional)] text: &'static str,
    entries: Callback<(), Vec<Entry>>,
) -> impl IntoView {
    let place = RwSignal::new(None::<[f64; 2]>);
    let button = NodeRef::<Button>::new();
    let toggle = move |_| {
        let open = place.get_untracked().is_some();
        place.set(button.get_untracked().filter(|_| !open).map(|button| {
            let bounds = button.get_bounding_client_rect();
            let inner =
                |size: Result<wasm_bindgen::JsValue, _>| size.ok().and_then(|size| size.as_f64()).unwrap_or(0.0);
            let (width, height) = (inner(window().inner_width()), inner(window().inner_height()));
            let room = ROOM.map(|side| side * grown());
            let tall = room[1] * entries.run(()).len() as f64 + 10.0;
            let top = if bounds.bottom() + tall < height { bounds.bottom() + 2.0 } else { bounds.top() - tall };
            [(bounds.right() - room[0]).min(width - room[0] - 4.0).max(4.0), top.max(4.0)]
        }));
    };
    // Back to where the menu was opened from, or the focus would be lost with the list.
    let close = move || {
        place.set(None);
        if let Some(button) = button.get_untracked() {
            keys::focus(&button);
        }
    };
    let item = move |(label, act): Entry| {
        let choose = move |_| {
            close();
            act.run(());
        };
        view! { <button role="menuitem" tabindex="-1" on:click=choose>{label}</button> }.into_any()
    };
    let opened = NodeRef::<Div>::new();
    effect(move || {
        if let Some(first) = opened.get().and_then(|list| keys::members(&list).into_iter().next()) {
            keys::focus(&first);
        }
    });
    let list = move || {
        place.get().map(|[left, top]| {
            let items = entries.run(()).into_iter().map(item).collect_view();
            view! {
                <div class="menu-list" role="menu" node_ref=opened on:keydown=keyed(move |event| { keys::rove(&event); }) style:left=px(left) style:top=px(top)>
                    {items}
                </div>
            }
        })
    };
    view! {
        <div
            class="menu"
            on:keydown=keyed(move |event| if event.key() == "Escape" && place.with_untracked(Option::is_some) {
                event.stop_propagation();
                close();
            })
            on:focusout=move |event| {
                let inside = event.current_target().zip(event.related_target()).is_some_and(|(menu, next)| {
                    menu.dyn_ref::<web_sys::Node>().is_some_and(|menu| menu.contains(next.dyn_ref()))
                });
                if !inside {
                    place.set(None);
                }
            }
        >
            <button
                class=if text.is_empty() { "plain icon" } else { "plain" }
                node_ref=button
                aria-haspopup="menu"
                aria-expanded=words(move || place.with(Option::is_some).to_string())
                aria-label=move || label.get()
                on:click=toggle
            >
                {if text.is_empty() { view! { <Icon name="more"/> }.into_any() } else { text.into_any() }}
            </button>
            {list}
        </div>
    }
    .into_any()
}
