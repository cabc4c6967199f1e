//! The lab's worker: a [`Session`](engine::session::Session) whose commands and events are the page's messages.

#[cfg(target_arch = "wasm32")]
fn main() -> Result<(), wasm_bindgen::JsValue> {
    engine::worker::start(|host, inbox| engine::session::Session::new(host, inbox).serve())
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("the worker runs in a browser; the command line is `minibatch`");
}
