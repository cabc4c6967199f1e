//! Closures of views behind one type each. A view's code is compiled once for every type of closure in it; most closures
//! give a text or a flag or take a click. Behind a pointer these share one type, that of Leptos's own erased closures,
//! which keeps the page's WASM small.

use std::sync::{Arc, Mutex};

use leptos::ev::MouseEvent;
use leptos::prelude::*;
use leptos::tachys::reactive_graph::SharedReactiveFunction;

use crate::reactive::Signal;

/// A text that follows signals.
pub fn words(read: impl FnMut() -> String + Send + 'static) -> SharedReactiveFunction<String> {
    Arc::new(Mutex::new(read))
}

/// A flag that follows signals.
pub fn flag(read: impl FnMut() -> bool + Send + 'static) -> SharedReactiveFunction<bool> {
    Arc::new(Mutex::new(read))
}

/// What a click does.
pub fn press(act: impl FnMut(MouseEvent) + 'static) -> Box<dyn FnMut(MouseEvent)> {
    Box::new(act)
}

/// A part of a view that is there or not.
pub fn part(build: impl FnMut() -> Option<AnyView> + Send + 'static) -> SharedReactiveFunction<Option<AnyView>> {
    Arc::new(Mutex::new(build))
}

/// Parts of a view, as many as there are now.
pub fn parts(build: impl FnMut() -> Vec<AnyView> + Send + 'static) -> SharedReactiveFunction<Vec<AnyView>> {
    Arc::new(Mutex::new(build))
}

/// A part for each number; those that stay are not built anew.
pub fn each(numbers: Signal<Vec<usize>>, build: Arc<dyn Fn(usize) -> AnyView + Send + Sync>) -> AnyView {
    view! { <For each=move || numbers.get() key=|number| *number let(number)>{build(number)}</For> }.into_any()
}
