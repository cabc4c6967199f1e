//! Pictures from files and from the camera: what `app/js/pictures.js` does, as the page needs it.

use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{Blob, HtmlVideoElement};

use crate::link::words;
use crate::state::fewshot::Picture;

#[wasm_bindgen(raw_module = "./js/pictures.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = decode)]
    async fn decode_file(file: &Blob) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = openCamera)]
    async fn open_camera(video: &HtmlVideoElement) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(js_name = closeCamera)]
    fn close_camera(video: &HtmlVideoElement);
    #[wasm_bindgen(js_name = grab)]
    fn grab_frame(video: &HtmlVideoElement) -> JsValue;
}

fn picture(value: &JsValue) -> Option<Picture> {
    let part = |key: &str| Reflect::get(value, &JsValue::from_str(key)).ok();
    let size = [part("width")?.as_f64()? as usize, part("height")?.as_f64()? as usize];
    Some(Picture { size, channels: 4, bytes: part("pixels")?.dyn_into::<Uint8Array>().ok()? })
}

/// A file's picture.
///
/// # Errors
/// Why it is none, as the browser says it.
pub async fn decode(file: &Blob) -> Result<Picture, String> {
    let value = decode_file(file).await.map_err(|error| words(&error))?;
    picture(&value).ok_or_else(|| "it has no pixels".into())
}

/// Shows the camera.
///
/// # Errors
/// Why there is none, as the browser says it: not allowed, not there.
pub async fn open(video: &HtmlVideoElement) -> Result<(), String> {
    open_camera(video).await.map(drop).map_err(|error| words(&error))
}

/// Lets the camera go.
pub fn close(video: &HtmlVideoElement) {
    close_camera(video);
}

/// What the camera shows now, if it shows anything yet.
pub fn grab(video: &HtmlVideoElement) -> Option<Picture> {
    picture(&grab_frame(video))
}
