//! A pad to draw on with pointer or finger: white on black, as the letters of the packs are.

use js_sys::Uint8Array;
use leptos::ev::PointerEvent;
use leptos::html::Canvas;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::CanvasRenderingContext2d;

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
}

impl Pad {
    /// An empty pad.
    pub fn new() -> Self {
        Self { board: NodeRef::new(), inked: RwSignal::new(false), pen: StoredValue::new(None) }
    }

    fn context(self) -> Option<CanvasRenderingContext2d> {
        self.board.get_untracked()?.get_context("2d").ok()??.dyn_into().ok()
    }

    /// Wipes it.
    pub fn clear(self) {
        if let Some(context) = self.context() {
            context.clear_rect(0.0, 0.0, SIDE.into(), SIDE.into());
        }
        self.inked.set(false);
    }

    /// What is drawn on it; none if nothing is.
    pub fn picture(self) -> Option<Picture> {
        if !self.inked.get_untracked() {
            return None;
        }
        let side = f64::from(SIDE);
        let rgba = self.context()?.get_image_data(0.0, 0.0, side, side).ok()?.data();
        // Ink is white of some opacity, on black.
        let grey: Vec<u8> = rgba.0.chunks_exact(4).map(|pixel| pixel[3]).collect();
        Some(Picture { size: [SIDE as usize; 2], channels: 1, bytes: Uint8Array::from(&grey[..]) })
    }

    /// Draws up to where the pointer is.
    fn draw(self, event: &PointerEvent) -> Option<()> {
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
