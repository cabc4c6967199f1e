//! The studies' worker: a [`Session`](studies::session::Session) whose commands and events are the page's messages.

/// The texts of all studies as JSON. The build asks for them and writes them into a file.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn cards() -> Result<String, wasm_bindgen::JsError> {
    Ok(serde_json::to_string(&studies::cards())?)
}

/// The lines that the page fetches, one behind the other.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
#[must_use]
pub fn lines() -> String {
    engine::text::lines().join("\n")
}

#[cfg(target_arch = "wasm32")]
fn main() -> Result<(), wasm_bindgen::JsValue> {
    engine::worker::start(|host, inbox| studies::session::Session::new(host, inbox).serve())
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("the worker runs in a browser; the command line is `minibatch`");
}
