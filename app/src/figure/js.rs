//! The two small JavaScript modules that draw: when (`js/surface.js`) and long lines (`js/chart.js`).

use wasm_bindgen::prelude::*;
use web_sys::HtmlElement;

#[wasm_bindgen(raw_module = "./js/surface.js")]
extern "C" {
    /// Calls its closure when a host element has to be drawn: visible, at most once a frame.
    pub type Surface;

    /// Watches `host`; `draw` gets its width and height in CSS pixels.
    #[wasm_bindgen(constructor)]
    pub fn new(host: &HtmlElement, draw: &Closure<dyn FnMut(f64, f64)>) -> Surface;

    /// What it shows has changed.
    #[wasm_bindgen(method)]
    pub fn invalidate(this: &Surface);

    /// Stops watching.
    #[wasm_bindgen(method)]
    pub fn dispose(this: &Surface);
}

#[wasm_bindgen(raw_module = "./js/chart.js")]
extern "C" {
    /// Lines over one x axis, drawn by uPlot.
    pub type Chart;

    /// Draws in `host`; see `js/chart.js` for `spec`.
    #[wasm_bindgen(constructor)]
    pub fn new(
        host: &HtmlElement,
        spec: &JsValue,
        on_cursor: &Closure<dyn FnMut(f64)>,
        on_layout: &Closure<dyn FnMut()>,
        on_zoom: Option<&Closure<dyn FnMut(f64, f64)>>,
    ) -> Chart;

    /// Columns of numbers, x first; NaN is a gap.
    #[wasm_bindgen(method, js_name = setData)]
    pub fn set_data(this: &Chart, columns: &js_sys::Array);

    /// Other axes or lines.
    #[wasm_bindgen(method, js_name = setSpec)]
    pub fn set_spec(this: &Chart, spec: &JsValue);

    /// The x at which a vertical line stands; NaN = none.
    #[wasm_bindgen(method, js_name = setPlayhead)]
    pub fn set_playhead(this: &Chart, x: f64);

    /// Pixels of a point within the host; NaN before the first drawing.
    #[wasm_bindgen(method)]
    pub fn place(this: &Chart, x: f64, y: f64) -> Vec<f64>;

    /// The point at pixels within the host.
    #[wasm_bindgen(method)]
    pub fn pick(this: &Chart, left: f64, top: f64) -> Vec<f64>;

    /// Removes it.
    #[wasm_bindgen(method)]
    pub fn dispose(this: &Chart);
}
