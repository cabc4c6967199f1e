//! Many small pictures as one image, of which each element shows its part: hundreds of pictures cost one decoding.

use engine::decimal::fixed;
use engine::fewshot::Gallery;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;

use super::canvas;

/// The most pictures side by side.
const COLUMNS: usize = 40;

/// An image of many pictures. It lives until the next one is [released](Self::release) for it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sheet {
    /// Where the image is; empty = there is none.
    pub url: String,
    /// Pictures side by side, and rows of them.
    size: [usize; 2],
}

impl Sheet {
    /// The image of a gallery's pictures, handed to `then` once the browser has it. Pictures that are not what the gallery
    /// says stay white.
    pub fn of(gallery: &Gallery, bytes: &[u8], then: impl FnOnce(Self) + 'static) {
        let (width, height, channels) = (gallery.width, gallery.height, gallery.channels);
        let columns = gallery.count.clamp(1, COLUMNS);
        let rows = gallery.count.div_ceil(columns).max(1);
        let mut rgba = vec![255; 4 * columns * width * rows * height];
        if width > 0 && height > 0 && matches!(channels, 1 | 3) {
            for (i, row) in bytes.chunks_exact(width * channels).take(gallery.count * height).enumerate() {
                let (picture, y) = (i / height, i % height);
                let from = ((picture / columns * height + y) * columns + picture % columns) * width;
                for (x, pixel) in row.chunks_exact(channels).enumerate() {
                    let at = 4 * (from + x);
                    rgba[at..at + 3].copy_from_slice(&[pixel[0], pixel[channels / 2], pixel[channels - 1]]);
                }
            }
        }
        let Some(board) = canvas::picture([columns * width, rows * height], &rgba) else {
            then(Self::default());
            return;
        };
        let ready = Closure::once_into_js(move |blob: JsValue| {
            let blob = blob.dyn_into::<web_sys::Blob>().ok();
            let url = blob.and_then(|blob| web_sys::Url::create_object_url_with_blob(&blob).ok());
            then(Self { url: url.unwrap_or_default(), size: [columns, rows] });
        });
        // Fails only for canvases that have read from other origins; this one has not.
        let _ = board.to_blob(ready.unchecked_ref());
    }

    /// Lets the image go.
    pub fn release(&self) {
        // An address that is none was never given.
        let _ = web_sys::Url::revoke_object_url(&self.url);
    }

    /// One of its pictures, for the style sheet's class `pic`.
    pub fn picture(&self, i: usize) -> AnyView {
        let [columns, rows] = self.size;
        let along = |at: usize, of: usize| fixed(100.0 * at as f64 / of.saturating_sub(1).max(1) as f64, 3) + "%";
        let (x, y) = (along(i % columns.max(1), columns), along(i / columns.max(1), rows));
        view! {
            <i
                class="pic"
                aria-hidden="true"
                style:background-image=format!("url({})", self.url)
                style:background-size=format!("{columns}00% {rows}00%")
                style:background-position=format!("{x} {y}")
            ></i>
        }
        .into_any()
    }
}
