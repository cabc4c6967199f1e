//! A figure on the page: frame and whatever its marks need.

use crate::erase::{parts, press, words};
use engine::decimal::number;
use engine::figure::{Figure, Mark};
use engine::numeric::places;
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
    // Of tables: the column that orders the rows, counted from 1 on, and 1 where it falls.
    let order = RwSignal::new([0_usize; 2]);
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
            {parts(move || figure.with(|figure| figure.marks.iter().filter_map(|mark| written(mark, order)).collect()))}
        </FigureFrame>
    }
    .into_any()
}

/// Rows in the order of a column, counted from 1 on, by its numbers or else by its words; as they are without one.
fn ordered(rows: &[Vec<String>], column: usize, falls: bool) -> Vec<&Vec<String>> {
    let cell = |row: usize| rows[row].get(column.wrapping_sub(1)).map_or("", String::as_str);
    let value = |text: &str| number(text.replace('−', "-").split([' ', '%']).next()?);
    let compare = |a: usize, b: usize| {
        let [a, b] = if falls { [b, a] } else { [a, b] }.map(cell);
        match (value(a), value(b)) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            (a_value, b_value) => b_value.is_some().cmp(&a_value.is_some()).then(a.cmp(b)),
        }
    };
    places(rows.len(), &compare).into_iter().map(|place| &rows[place]).collect()
}

/// Marks that are text on the page.
fn written(mark: &Mark, order: RwSignal<[usize; 2]>) -> Option<AnyView> {
    match mark {
        Mark::Text { text } => Some(view! { <pre class="sample-text" tabindex="0">{text.clone()}</pre> }.into_any()),
        Mark::Table { columns, rows } => {
            let [column, falls] = order.get();
            let head = |(i, name): (usize, &String)| {
                let mine = column == i + 1;
                let sort = ["none", "ascending", "descending"][usize::from(mine) * (1 + falls)];
                let turn = move |_| order.set([i + 1, usize::from(mine) * (1 - falls)]);
                view! { <th scope="col" aria-sort=sort><button class="plain" on:click=press(turn)>{name.clone()}</button></th> }
            };
            let head = columns.iter().enumerate().map(head).collect_view();
            let row = |cells: &Vec<String>| {
                let cells = cells.iter().map(|cell| view! { <td>{cell.clone()}</td> }).collect_view();
                view! { <tr>{cells}</tr> }
            };
            let rows = ordered(rows, column, falls > 0).into_iter().map(row).collect_view();
            let table = view! {
                <div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>
            };
            Some(table.into_any())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_ordered_by_numbers_or_words() {
        let rows =
            [["b", "10"], ["a", "9.5 ± 1"], ["c", "–"], ["d", "−1e-3"]].map(|row| row.map(str::to_owned).to_vec());
        let first = |column, falls| ordered(&rows, column, falls).iter().map(|row| row[0].clone()).collect::<String>();
        assert_eq!(
            [first(0, false), first(1, false), first(2, false), first(2, true)],
            ["bacd", "abcd", "dabc", "cbad"]
        );
        assert_eq!(first(9, false), "bacd");
    }
}
