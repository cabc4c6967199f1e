//! The frame of every figure: caption, keys, menu, text alternative.

use crate::erase::{parts, words};
use engine::figure::Figure;
use leptos::html::Figure as FigureElement;
use leptos::prelude::*;

use super::export;
use super::key::{Key, shown};
use crate::reactive::{RwSignal, Signal};
use crate::terms::explained;
use crate::widgets::menu::{Entry, Menu};

/// What stands above a figure.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Caption {
    /// What is shown.
    pub title: String,
    /// The current value.
    pub value: String,
    /// What to make of it, in one line.
    pub meaning: String,
    /// Text alternative.
    pub alt: String,
    /// What each series is called and how it looks.
    pub keys: Vec<Key>,
}

/// Axes that the person may turn logarithmic.
#[derive(Clone, Copy)]
pub struct LogAxes {
    /// Whether x and y are.
    pub on: RwSignal<[bool; 2]>,
    /// Whether turning them makes sense.
    pub offered: Signal<[bool; 2]>,
}

/// Caption and menu about `children`, the plot itself.
#[component]
pub fn FigureFrame(
    #[prop(into)] id: String,
    #[prop(into)] class: String,
    caption: Signal<Caption>,
    log: LogAxes,
    /// The figure as it is now, for files.
    export: Callback<(), Figure>,
    children: ChildrenFn,
) -> impl IntoView {
    let element = NodeRef::<FigureElement>::new();
    let part = move |part: fn(&Caption) -> &String| words(move || caption.with(|caption| part(caption).clone()));
    let keys = Signal::memo(move |_| caption.with(|caption| caption.keys.clone()));
    let meaning = Signal::memo(move |_| caption.with(|caption| caption.meaning.clone()));
    view! {
        <figure
            class=format!("figure {class}")
            data-figure=id
            node_ref=element
            aria-label=part(|caption| &caption.alt)
        >
            <figcaption>
                <span class="title">{part(|caption| &caption.title)}</span>
                {parts(move || keys.get().into_iter().map(shown).collect())}
                <span class="now">{part(|caption| &caption.value)}</span>
                <span class="meaning" title=words(move || meaning.get())>{explained(move || meaning.get())}</span>
            </figcaption>
            {children()}
            <FigureMenu element log export/>
        </figure>
    }
    .into_any()
}

/// What a person can do with a figure.
#[component]
fn FigureMenu(element: NodeRef<FigureElement>, log: LogAxes, export: Callback<(), Figure>) -> impl IntoView {
    let full_screen = move |()| {
        let Some(element) = element.get_untracked() else { return };
        let document = document();
        if document.fullscreen_element().is_some() {
            document.exit_fullscreen();
        } else {
            // A browser that refuses leaves the figure where it is.
            let _ = element.request_fullscreen();
        }
    };
    let save =
        move |write: fn(&Figure, [bool; 2])| Callback::new(move |()| write(&export.run(()), log.on.get_untracked()));
    let toggle = move |axis: usize| Callback::new(move |()| log.on.update(|on| on[axis] = !on[axis]));
    let entries = Callback::new(move |()| {
        let [x, y] = log.offered.get_untracked();
        let [on_x, on_y] = log.on.get_untracked();
        let mut entries: Vec<Entry> = vec![("Full screen", Callback::new(full_screen))];
        if x {
            entries.push((if on_x { "Linear x axis" } else { "Logarithmic x axis" }, toggle(0)));
        }
        if y {
            entries.push((if on_y { "Linear y axis" } else { "Logarithmic y axis" }, toggle(1)));
        }
        entries.push(("Save as PNG", save(export::png)));
        entries.push(("Save as SVG", save(export::svg)));
        entries.push(("Save numbers as CSV", save(export::csv)));
        entries
    });
    view! { <Menu label="Figure menu".to_owned() entries/> }
}
