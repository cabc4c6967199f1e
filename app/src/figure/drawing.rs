//! A figure's own marks on the page: a canvas that follows a signal, with hover values.

use crate::erase::{effect, part, words};
use engine::figure::Figure;
use leptos::ev::PointerEvent;
use leptos::html::{Canvas, Div};
use leptos::prelude::*;
use wasm_bindgen::prelude::Closure;

use super::js::Surface;
use super::scene::{Scene, Spot};
use super::{canvas, plot};
use crate::present::grown;
use crate::reactive::{RwSignal, Signal};
use crate::text::px;

/// Where things are in a figure, for what lies over it.
#[derive(Clone, Copy)]
pub struct Board {
    /// Left, top, width and height of a map's cells, or of a plane.
    pub cells: RwSignal<[f64; 4]>,
    /// Places that say something.
    pub spots: RwSignal<Vec<Spot>>,
}

/// Builds what lies over a figure.
pub type Over = Callback<Board, AnyView>;

/// Draws the figure in the width it gets; its height follows from the marks unless the style sheet sets one.
#[component]
pub fn Drawing(
    figure: Signal<Figure>,
    log: Signal<[bool; 2]>,
    /// Whether the style sheet decides the height.
    fill: bool,
    /// What lies over it.
    #[prop(optional_no_strip)]
    over: Option<Over>,
) -> impl IntoView {
    let host = NodeRef::<Div>::new();
    let board = NodeRef::<Canvas>::new();
    let scene = StoredValue::new(Scene::default());
    let hover = RwSignal::new(None::<(f64, f64, String)>);
    let height = RwSignal::new(120.0_f64);
    let under = Board { cells: RwSignal::new([0.0; 4]), spots: RwSignal::new(Vec::new()) };
    let surface = StoredValue::new_local(None::<Surface>);

    let draw = StoredValue::new_local(Closure::new(move |width: f64, visible_height: f64| {
        let (Some(figure), Some(log)) = (figure.try_get_untracked(), log.try_get_untracked()) else { return };
        let Some(board) = board.get_untracked() else { return };
        // Drawn as ever, on a smaller sheet, and enlarged as a whole.
        let large = grown();
        let width = width / large;
        let tall = if fill { visible_height / large } else { plot::height(&figure, width) };
        if !fill {
            height.set(tall * large);
        }
        let drawn = plot::scene(&figure, width, tall, log);
        let scale = web_sys::window().map_or(1.0, |window| window.device_pixel_ratio());
        // A browser that gives no 2D context leaves the text alternative.
        let _ = canvas::paint(&drawn, &board, scale * large, None);
        if over.is_some() {
            under.cells.set(drawn.cells.map(|side| side * large));
            let place = |spot: &Spot| Spot { at: spot.at.map(|side| side * large), text: spot.text.clone() };
            under.spots.set(drawn.spots.iter().map(place).collect());
        }
        scene.try_set_value(drawn);
    }));
    effect(move || {
        figure.track();
        log.track();
        let Some(host) = host.get() else { return };
        surface.update_value(|surface| match surface {
            Some(surface) => surface.invalidate(),
            None => draw.with_value(|draw| *surface = Some(Surface::new(&host, draw))),
        });
    });
    on_cleanup(move || {
        surface.try_update_value(|surface| {
            if let Some(surface) = surface.take() {
                surface.dispose();
            }
        });
    });
    let pointed = move |event: PointerEvent| {
        // Of what lies over it, too.
        let Some(bounds) = host.get_untracked().map(|host| host.get_bounding_client_rect()) else { return };
        let (x, y) = (f64::from(event.client_x()) - bounds.left(), f64::from(event.client_y()) - bounds.top());
        let large = grown();
        hover.set(scene.with_value(|scene| scene.at(x / large, y / large).map(|spot| (x, y, spot.text.clone()))));
    };
    view! {
        <div
            class="plot"
            class:natural=!fill
            node_ref=host
            style:height=words(move || if fill { String::new() } else { px(height.get()) })
            on:pointermove=pointed
            on:pointerleave=move |_| hover.set(None)
        >
            <canvas node_ref=board aria-hidden="true"></canvas>
            {over.map(|over| over.run(under))}
            {part(move || hover.get().map(|(x, y, text)| {
                let right = host.get_untracked().is_some_and(|host| x > f64::from(host.client_width()) * 0.55);
                view! {
                    <div
                        class="hover"
                        style:left=if right { String::new() } else { px(x + 12.0) }
                        style:right=words(move || match (right, host.get_untracked()) {
                            (true, Some(host)) => px(f64::from(host.client_width()) - x + 12.0),
                            _ => String::new(),
                        })
                        style:top=px(y + 10.0)
                    >
                        {text}
                    </div>
                }
                .into_any()
            }))}
        </div>
    }
}
