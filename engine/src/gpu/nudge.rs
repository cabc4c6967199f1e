//! Firefox looks for finished work every 100 ms only, and whenever something is submitted: while the engine waits there, it submits
//! nothing every few milliseconds. With Firefox ESR 153 a small dispatch is seen done after 8 ms instead of 100.

use std::task::Waker;

use wasm_bindgen::prelude::*;

use super::device::GpuDevice;

/// Milliseconds between two nudges; browsers make four of one that is asked for again and again.
const PAUSE: i32 = 1;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = navigator, js_name = userAgent, thread_local_v2)]
    static USER_AGENT: String;

    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(then: JsValue, ms: i32);
}

/// Where that helps, submits nothing in a moment and wakes whoever waits, to look and wait again.
pub(super) fn later(gpu: &GpuDevice, waker: &Waker) {
    if USER_AGENT.with(|browser| browser.contains("Firefox/")) {
        let (queue, waker) = (gpu.queue.clone(), waker.clone());
        let nudge = move || {
            queue.submit([]);
            waker.wake();
        };
        set_timeout(Closure::once_into_js(nudge), PAUSE);
    }
}
