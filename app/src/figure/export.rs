//! Files from figures, and the download of files in general.

use engine::figure::Figure;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;

use super::palette::Tone;
use super::scene::Paint;
use super::{canvas, csv as table, plot, svg as vector};

/// A file name from a title: letters, digits and dashes.
fn file_name(figure: &Figure, extension: &str) -> String {
    let dashed: String =
        figure.title.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let name = dashed.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    format!("{}.{extension}", if name.is_empty() { "figure" } else { &name })
}

/// Offers the figure as a PNG of two pixels a point.
pub fn png(figure: &Figure, log: [bool; 2]) {
    let scene = plot::poster(figure, log);
    let Some(board) = canvas::canvas(1, 1) else { return };
    if canvas::paint(&scene, &board, 2.0, Some(Paint(Tone::Panel, 1.0))).is_none() {
        return;
    }
    let name = file_name(figure, "png");
    let ready = Closure::once_into_js(move |blob: JsValue| {
        if let Ok(blob) = blob.dyn_into::<web_sys::Blob>() {
            offer(&name, &blob);
        }
    });
    // Fails only for canvases that have read from other origins; this one has not.
    let _ = board.to_blob(ready.unchecked_ref());
}

/// Offers the figure as SVG.
pub fn svg(figure: &Figure, log: [bool; 2]) {
    text(&file_name(figure, "svg"), "image/svg+xml", &vector::svg(&plot::poster(figure, log)));
}

/// Offers the figure's numbers as CSV.
pub fn csv(figure: &Figure, _log: [bool; 2]) {
    text(&file_name(figure, "csv"), "text/csv", &table::csv(figure));
}

/// Offers a text as a file.
pub fn text(name: &str, mime: &str, content: &str) {
    bytes(name, mime, &JsValue::from_str(content));
}

/// Offers a text or a buffer as a file.
pub fn bytes(name: &str, mime: &str, content: &JsValue) {
    let options = web_sys::BlobPropertyBag::new();
    options.set_type(mime);
    let parts = js_sys::Array::of1(content);
    if let Ok(blob) = web_sys::Blob::new_with_u8_array_sequence_and_options(&parts, &options) {
        offer(name, &blob);
    }
}

fn offer(name: &str, blob: &web_sys::Blob) {
    let Ok(url) = web_sys::Url::create_object_url_with_blob(blob) else { return };
    let anchor = leptos::prelude::document().create_element("a").ok();
    if let Some(anchor) = anchor.and_then(|anchor| anchor.dyn_into::<web_sys::HtmlAnchorElement>().ok()) {
        anchor.set_href(&url);
        anchor.set_download(name);
        anchor.click();
    }
    // The browser still reads the address after the click.
    let forget = move || {
        let _ = web_sys::Url::revoke_object_url(&url);
    };
    leptos::prelude::set_timeout(forget, std::time::Duration::from_secs(20));
}
