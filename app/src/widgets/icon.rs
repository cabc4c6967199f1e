//! Icons, drawn as strokes in the colour of the text about them.

use leptos::prelude::*;

/// An icon by name; decorative, so its button carries the label.
#[component]
pub fn Icon(name: &'static str) -> impl IntoView {
    let path = match name {
        "play" => "M5 3.5 L13 8 L5 12.5 Z",
        "pause" => "M5.5 3.5 V12.5 M10.5 3.5 V12.5",
        "step" => "M4 3.5 L10 8 L4 12.5 Z M12.5 3.5 V12.5",
        "reset" => "M3.2 6.2 A5.2 5.2 0 1 1 2.9 9.4 M3 2.8 V6.4 H6.6",
        "undo" => "M6 3 L3 6 L6 9 M3 6 H9.5 A3.5 3.5 0 0 1 9.5 13 H7",
        "more" => "M3 8 H3.01 M8 8 H8.01 M13 8 H13.01",
        "share" => "M8 10 V2.5 M5 5 L8 2.2 L11 5 M3.5 8 V13 H12.5 V8",
        "theme" => "M8 2.5 A5.5 5.5 0 1 0 8 13.5 A5.5 5.5 0 1 0 8 2.5 M8 2.5 V13.5 A5.5 5.5 0 0 0 8 2.5",
        "present" => "M2.5 3.5 H13.5 V10.5 H2.5 Z M8 10.5 V13.5 M5 13.5 H11",
        "help" => "M5.8 6 A2.3 2.3 0 1 1 8.6 8.2 Q8 8.5 8 9.6 M8 12.4 H8.01",
        "pin" => "M6 2.5 H10 L9.5 7 L12 9.5 H4 L6.5 7 Z M8 9.5 V14",
        "delete" => "M3 4.5 H13 M6 4.5 V3 H10 V4.5 M4.5 4.5 L5.2 13 H10.8 L11.5 4.5",
        "recipe" => "M3 4.5 H13 M3 8 H13 M3 11.5 H9",
        "upload" => "M8 10.5 V3 M5 5.8 L8 2.8 L11 5.8 M3 10.5 V13 H13 V10.5",
        "look" => "M1.5 8 Q8 1.5 14.5 8 Q8 14.5 1.5 8 Z M8 6 A2 2 0 1 0 8 10 A2 2 0 1 0 8 6",
        "yes" => "M3 8.5 L6.5 12 L13 4.5",
        "partly" => "M3 8 H13",
        "search" => "M7 3 A4 4 0 1 0 7 11 A4 4 0 1 0 7 3 M10 10 L13.5 13.5",
        "close" => "M4 4 L12 12 M12 4 L4 12",
        // An unknown name is a mistake that a look at the page shows: a plus.
        _ => "M8 3 V13 M3 8 H13",
    };
    view! { <svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=path/></svg> }
}
