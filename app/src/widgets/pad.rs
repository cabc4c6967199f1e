//! A pad to draw on with pointer or finger: white on black, as the letters of the packs are.

use js_sys::Uint8Array;
use leptos::ev::PointerEvent;
use leptos::html::Canvas;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::CanvasRenderingContext2d;

use crate::figure::canvas;
use crate::link::copy;
use crate::reactive::RwSignal;
use crate::state::fewshot::Picture;

/// Side of what is drawn, in pixels: some times that of an encoder, so that its lines are smooth.
const SIDE: u32 = 112;
/// Width of a line, in these pixels: two of a letter's 28.
const LINE: f64 = 9.0;

/// A pad. Copied freely: it is a handful of keys.
#[derive(Clone, Copy)]
pub struct Pad {
    board: NodeRef<Canvas>,
    /// Whether something is drawn on it.
    pub inked: RwSignal<bool>,
    /// Where the pen was, while it is down.
    pen: StoredValue<Option<[f64; 2]>>,
    /// A picture that is shown instead of a drawing.
    shown: StoredValue<Option<Picture>, LocalStorage>,
}

impl Pad {
    /// An empty pad.
    pub fn new() -> Self {
        Self {
            board: NodeRef::new(),
            inked: RwSignal::new(false),
            pen: StoredValue::new(None),
            shown: StoredValue::new_local(None),
        }
    }

    fn context(self) -> Option<CanvasRenderingContext2d> {
        self.board.get_untracked()?.get_context("2d").ok()??.dyn_into().ok()
    }

    /// Wipes it.
    pub fn clear(self) {
        if let Some(context) = self.context() {
            context.clear_rect(0.0, 0.0, SIDE.into(), SIDE.into());
        }
        self.shown.set_value(None);
        self.inked.set(false);
    }

    /// Shows a picture, until it is wiped or drawn on.
    pub fn show(self, picture: Picture) {
        self.clear();
        if let (Some(context), Some(image)) = (self.context(), canvas::picture(picture.size, &picture.bytes.to_vec())) {
            // As large as fits, in the middle.
            let scale = f64::from(SIDE) / picture.size.iter().copied().max().unwrap_or(1) as f64;
            let [width, height] = picture.size.map(|side| side as f64 * scale);
            let [left, top] = [width, height].map(|side| (f64::from(SIDE) - side) / 2.0);
            // A picture that the canvas does not take is told apart all the same.
            let _ = context.draw_image_with_html_canvas_element_and_dw_and_dh(&image, left, top, width, height);
        }
        self.shown.set_value(Some(picture));
        self.inked.set(true);
    }

    /// What is drawn or shown on it; none if nothing is.
    pub fn picture(self) -> Option<Picture> {
        if !self.inked.get_untracked() {
            return None;
        }
        if let Some(picture) = self.shown.get_value() {
            // What is sent is gone.
            return Some(Picture { bytes: copy(&picture.bytes), ..picture });
        }
        let side = f64::from(SIDE);
        let rgba = self.context()?.get_image_data(0.0, 0.0, side, side).ok()?.data();
        // Ink is white of some opacity, on black.
        let grey: Vec<u8> = rgba.0.chunks_exact(4).map(|pixel| pixel[3]).collect();
        Some(Picture { size: [SIDE as usize; 2], channels: 1, bytes: Uint8Array::from(&grey[..]) })
    }

    /// Draws up to where the pointer is.
    fn draw(self, event: &PointerEvent) -> Option<()> {
        if self.shown.with_value(Option::is_some) {
            self.clear();
        }
        let bounds = self.board.get_untracked()?.get_bounding_client_rect();
        let scale = f64::from(SIDE) / bounds.width().max(1.0);
        let to = [
            (f64::from(event.client_x()) - bounds.left()) * scale,
            (f64::from(event.client_y()) - bounds.top()) * scale,
        ];
        let from = self.pen.get_value().unwrap_or(to);
        let context = self.context()?;
        context.set_stroke_style_str("#fff");
        context.set_line_width(LINE);
        context.set_line_cap("round");
        context.begin_path();
        context.move_to(from[0], from[1]);
        // A dot is a line of no length.
        context.line_to(to[0], to[1]);
        context.stroke();
        self.pen.set_value(Some(to));
        self.inked.set(true);
        Some(())
    }

    /// The pad on the page; `drawn` is called whenever its drawing has grown.
    pub fn view(self, label: String, drawn: Callback<()>) -> AnyView {
        let down = move |event: PointerEvent| {
            event.prevent_default();
            if let Some(board) = self.board.get_untracked() {
                // A pointer that cannot be held still draws inside.
                let _ = board.set_pointer_capture(event.pointer_id());
            }
            self.draw(&event);
            drawn.run(());
        };
        let moved = move |event: PointerEvent| {
            if self.pen.with_value(Option::is_some) {
                self.draw(&event);
                drawn.run(());
            }
        };
        let up = move |_: PointerEvent| self.pen.set_value(None);
        view! {
            <canvas
                class="pad"
                width=SIDE
                height=SIDE
                role="img"
                aria-label=label
                node_ref=self.board
                on:pointerdown=down
                on:pointermove=moved
                on:pointerup=up
                on:pointercancel=up
            ></canvas>
        }
        .into_any()
    }
}
