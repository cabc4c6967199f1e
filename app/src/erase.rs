//! Closures of views behind one type each. A view's code is compiled once for every type of closure in it; most closures
//! give a text or a flag or take a click, and behind a box these share one type, which keeps the page's WASM small.

use leptos::ev::MouseEvent;
use leptos::prelude::AnyView;

/// A text that follows signals.
pub fn words(read: impl FnMut() -> String + Send + 'static) -> Box<dyn FnMut() -> String + Send> {
    Box::new(read)
}

/// A flag that follows signals.
pub fn flag(read: impl FnMut() -> bool + Send + 'static) -> Box<dyn FnMut() -> bool + Send> {
    Box::new(read)
}

/// What a click does.
pub fn press(act: impl FnMut(MouseEvent) + 'static) -> Box<dyn FnMut(MouseEvent)> {
    Box::new(act)
}

/// A part of a view that is there or not.
pub fn part(build: impl FnMut() -> Option<AnyView> + Send + 'static) -> Box<dyn FnMut() -> Option<AnyView> + Send> {
    Box::new(build)
}

/// Parts of a view, as many as there are now.
pub fn parts(build: impl FnMut() -> Vec<AnyView> + Send + 'static) -> Box<dyn FnMut() -> Vec<AnyView> + Send> {
    Box::new(build)
}
