//! A figure on the page: frame and whatever its marks need.

use crate::erase::{parts, words};
use engine::figure::{Figure, Mark};
use leptos::prelude::*;

use super::chart::{ChartRef, LineChart, lines};
use super::drawing::{Drawing, Over};
use super::frame::{Caption, FigureFrame, LogAxes};
use super::plot;
use crate::reactive::{RwSignal, Signal};

/// How a figure's body is built; it is rebuilt only when this changes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Empty,
    Chart,
    Drawing,
    Words,
}

impl Body {
    fn of(figure: &Figure) -> Self {
        if figure.marks.is_empty() {
            Self::Empty
        } else if plot::is_chart(figure) {
            Self::Chart
        } else if figure.marks.iter().any(Mark::drawn) {
            Self::Drawing
        } else {
            Self::Words
        }
    }
}

/// Any figure that the engine sends.
#[component]
pub fn FigureCard(
    #[prop(into)] figure: Signal<Figure>,
    /// What lies over a map.
    #[prop(optional_no_strip)]
    over: Option<Over>,
) -> impl IntoView {
    let on = RwSignal::new([false; 2]);
    let body = Signal::memo(move |_| figure.with(Body::of));
    let axes = Signal::derive(move || {
        let numeric = body.get() == Body::Chart
            || figure.with(|figure| figure.marks.iter().any(|mark| matches!(mark, Mark::Scatter { .. })));
        let tall = numeric || figure.with(|figure| figure.marks.iter().any(|mark| matches!(mark, Mark::Bars { .. })));
        [numeric, tall]
    });
    let caption = Signal::derive(move || {
        figure.with(|figure| Caption {
            title: figure.title.clone(),
            value: figure.value.clone(),
            meaning: figure.meaning.clone(),
            alt: if figure.alt.is_empty() { figure.title.clone() } else { figure.alt.clone() },
            keys: plot::keys(figure),
        })
    });
    let export = Callback::new(move |()| figure.get_untracked());
    let id = figure.with_untracked(|figure| figure.id.clone());
    let content = move || match body.get() {
        Body::Empty => {
            view! { <div class="empty">{words(move || figure.with(|figure| figure.empty.clone()))}</div> }.into_any()
        }
        Body::Chart => {
            let log = on;
            let lines = Signal::derive(move || figure.with(|figure| lines(figure, log.get())));
            view! {
                <LineChart
                    lines
                    chart=ChartRef::new()
                    cursor=Callback::new(|_| ())
                    layout=Callback::new(|()| ())
                    playhead=Signal::stored(f64::NAN)
                />
            }
            .into_any()
        }
        Body::Drawing => view! { <Drawing figure log=on.into() fill=false over=over/> }.into_any(),
        Body::Words => ().into_any(),
    };
    view! {
        <FigureFrame id class="card-figure" caption log=LogAxes { on, offered: axes } export>
            {content}
            {parts(move || figure.with(|figure| figure.marks.iter().filter_map(written).collect()))}
        </FigureFrame>
    }
    .into_any()
}

/// Marks that are text on the page.
fn written(mark: &Mark) -> Option<AnyView> {
    match mark {
        Mark::Text { text } => Some(view! { <pre class="sample-text" tabindex="0">{text.clone()}</pre> }.into_any()),
        Mark::Table { columns, rows } => {
            let head = columns.iter().map(|name| view! { <th scope="col">{name.clone()}</th> }).collect_view();
            let row = |cells: &Vec<String>| {
                let cells = cells.iter().map(|cell| view! { <td>{cell.clone()}</td> }).collect_view();
                view! { <tr>{cells}</tr> }
            };
            let rows = rows.iter().map(row).collect_view();
            let table = view! {
                <div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>
            };
            Some(table.into_any())
        }
        _ => None,
    }
}
