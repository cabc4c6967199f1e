//! Closures of views behind one type each. A view's code is compiled once for every type of closure in it; most closures
//! give a text or a flag or take a click. Behind a pointer these share one type, that of Leptos's own erased closures,
//! which keeps the page's WASM small.

use std::sync::{Arc, Mutex};

use leptos::ev::{Event, KeyboardEvent, MouseEvent};
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

/// Does something now, and again whenever a signal changes that it has read.
pub fn effect(act: impl FnMut() + 'static) {
    let act: Box<dyn FnMut()> = Box::new(act);
    Effect::new(act);
}

/// What a click does.
pub fn press(act: impl FnMut(MouseEvent) + 'static) -> Box<dyn FnMut(MouseEvent)> {
    Box::new(act)
}

/// What a control does that was turned or typed into.
pub fn heard(act: impl FnMut(Event) + 'static) -> Box<dyn FnMut(Event)> {
    Box::new(act)
}

/// What a key does.
pub fn keyed(act: impl FnMut(KeyboardEvent) + 'static) -> Box<dyn FnMut(KeyboardEvent)> {
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

/// A part for each name; those that stay are not built anew.
pub fn each_named(names: Signal<Vec<String>>, build: Arc<dyn Fn(String) -> AnyView + Send + Sync>) -> AnyView {
    // Names are numbered as they come, so that all lists share the code of those of numbers.
    let known = StoredValue::new(Vec::<String>::new());
    let number = move |name: &String| {
        let place = known.with_value(|known| known.iter().position(|one| one == name));
        place.unwrap_or_else(|| {
            known.update_value(|known| known.push(name.clone()));
            known.with_value(Vec::len) - 1
        })
    };
    let numbers = Signal::memo(move |_| names.with(|names| names.iter().map(number).collect()));
    let name = move |number: usize| known.with_value(|known| known.get(number).cloned().unwrap_or_default());
    each(numbers, Arc::new(move |number| build(name(number))))
}

/// A part for each number; those that stay are not built anew.
pub fn each(numbers: Signal<Vec<usize>>, build: Arc<dyn Fn(usize) -> AnyView + Send + Sync>) -> AnyView {
    view! { <For each=move || numbers.get() key=|number| *number let(number)>{build(number)}</For> }.into_any()
}
