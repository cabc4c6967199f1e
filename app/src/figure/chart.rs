//! Long lines on the page: a uPlot chart that follows signals.

use engine::figure::{Axis, Direction, Figure, Mark, Scale};
use engine::numeric::places;
use engine::tree::{self, Value, object};
use leptos::html::Div;
use leptos::prelude::*;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::Closure;

use super::axis::title;
use super::cartesian::stroke;
use super::js::Chart;
use super::palette::Tone;
use crate::erase::effect;
use crate::reactive::Signal;

/// What a chart shows: how (rebuilds it when it changes) and the numbers.
#[derive(Clone, PartialEq)]
pub struct Lines {
    /// Axes, series and rules as `js/chart.js` takes them.
    pub spec: Value,
    /// Columns, x first.
    pub columns: Vec<Vec<f64>>,
}

/// A live chart, for those who place something over it. Not `Send`: it lives on the page's one thread.
#[derive(Clone, Copy)]
pub struct ChartRef(StoredValue<Option<Chart>, LocalStorage>);

impl ChartRef {
    /// None yet.
    pub fn new() -> Self {
        Self(StoredValue::new_local(None))
    }

    /// Pixels of a point, if anything is drawn.
    pub fn place(&self, x: f64, y: f64) -> Option<[f64; 2]> {
        let place = self.0.try_with_value(|chart| chart.as_ref().map(|chart| chart.place(x, y)))??;
        (place.len() == 2 && place.iter().all(|p| p.is_finite())).then(|| [place[0], place[1]])
    }

    /// The point at pixels, if anything is drawn.
    pub fn pick(&self, left: f64, top: f64) -> Option<[f64; 2]> {
        let point = self.0.try_with_value(|chart| chart.as_ref().map(|chart| chart.pick(left, top)))??;
        (point.len() == 2 && point.iter().all(|p| p.is_finite())).then(|| [point[0], point[1]])
    }
}

/// The chart's element. `cursor` receives the x under the pointer, of this chart or one synced with it; `zoom` the ends of
/// what a hand has chosen of the x axis, NaN for all of it (without, the chart zooms by itself); `layout` counts drawings,
/// for what is placed over the chart.
#[component]
pub fn LineChart(
    lines: Signal<Lines>,
    chart: ChartRef,
    cursor: Callback<f64>,
    #[prop(optional)] zoom: Option<Callback<[f64; 2]>>,
    layout: Callback<()>,
    #[prop(into)] playhead: Signal<f64>,
) -> impl IntoView {
    let host = NodeRef::<Div>::new();
    let on_cursor = StoredValue::new_local(Closure::new(move |x: f64| {
        cursor.try_run(x);
    }));
    let on_zoom = StoredValue::new_local(zoom.map(|zoom| {
        Closure::new(move |low: f64, high: f64| {
            zoom.try_run([low, high]);
        })
    }));
    let on_layout = StoredValue::new_local(Closure::new(move || {
        layout.try_run(());
    }));
    let shown = StoredValue::new(Value::Null);
    effect(move || {
        let Some(host) = host.get() else { return };
        lines.with(|lines| {
            let spec = || js_sys::JSON::parse(&tree::text(&lines.spec)).unwrap_or(JsValue::NULL);
            chart.0.update_value(|chart| match chart {
                None => {
                    on_cursor.with_value(|on_cursor| {
                        on_layout.with_value(|on_layout| {
                            on_zoom.with_value(|on_zoom| {
                                *chart = Some(Chart::new(&host, &spec(), on_cursor, on_layout, on_zoom.as_ref()));
                            });
                        });
                    });
                    shown.set_value(lines.spec.clone());
                }
                Some(chart) if shown.with_value(|shown| *shown != lines.spec) => {
                    chart.set_spec(&spec());
                    shown.set_value(lines.spec.clone());
                }
                Some(_) => {}
            });
            let columns = js_sys::Array::new();
            for column in &lines.columns {
                columns.push(&js_sys::Float64Array::from(column.as_slice()));
            }
            chart.0.with_value(|chart| {
                if let Some(chart) = chart {
                    chart.set_data(&columns);
                    chart.set_playhead(playhead.get_untracked());
                }
            });
        });
    });
    effect(move || {
        let at = playhead.get();
        chart.0.with_value(|chart| {
            if let Some(chart) = chart {
                chart.set_playhead(at);
            }
        });
    });
    on_cleanup(move || {
        chart.0.try_update_value(|chart| {
            if let Some(chart) = chart.take() {
                chart.dispose();
            }
        });
    });
    view! { <div class="plot" node_ref=host></div> }
}

/// A figure of lines, rules and stretches as a chart: the union of all x, a column a line.
pub fn lines(figure: &Figure, log: [bool; 2]) -> Lines {
    let of = |mark: &Mark| match mark {
        Mark::Line { points, .. } => points.iter().map(|[x, _]| *x).collect(),
        Mark::Stretches { ends, .. } => ends.clone(),
        _ => Vec::new(),
    };
    let xs: Vec<f64> = figure.marks.iter().flat_map(of).filter(|x| x.is_finite()).collect();
    let ascending = places(xs.len(), &|a, b| xs[a].total_cmp(&xs[b]));
    let mut xs: Vec<f64> = ascending.into_iter().map(|place| xs[place]).collect();
    xs.dedup();
    let mut columns = vec![xs];
    let mut series = Vec::new();
    let mut rules = Vec::new();
    let mut stretches = Vec::new();
    for mark in &figure.marks {
        match mark {
            Mark::Line { name, role, dash, points, band } => {
                let sparse = points.len() < columns[0].len();
                let banded = band.len() == points.len() && !band.is_empty();
                series.push(object(vec![
                    ("name", name.as_str().into()),
                    ("tone", Tone::of(*role).variable().into()),
                    ("dash", tree::of(&stroke(*role, *dash))),
                    ("sparse", (sparse || points.len() < 60).into()),
                    ("band", banded.into()),
                ]));
                let column = |values: &dyn Fn(usize) -> f64| {
                    let mut out = vec![f64::NAN; columns[0].len()];
                    for (i, [x, _]) in points.iter().enumerate() {
                        let place = columns[0].partition_point(|known| known < x);
                        if let Some(cell) = out.get_mut(place) {
                            *cell = values(i);
                        }
                    }
                    out
                };
                let mut new = vec![column(&|i| points[i][1])];
                if banded {
                    new.push(column(&|i| band[i][0]));
                    new.push(column(&|i| band[i][1]));
                }
                columns.extend(new);
            }
            Mark::Rule { label, role, along, at } => {
                let side = if *along == Direction::Horizontal { "y" } else { "x" };
                rules.push(object(vec![
                    ("label", label.as_str().into()),
                    ("tone", Tone::of(*role).variable().into()),
                    (side, (*at).into()),
                ]));
            }
            Mark::Stretches { names, ends } => {
                let stretch =
                    |(name, end): (&String, &f64)| object(vec![("name", name.as_str().into()), ("end", (*end).into())]);
                stretches = names.iter().zip(ends).map(stretch).collect();
            }
            _ => {}
        }
    }
    let axis = |axis: &Axis, asked| {
        let log = asked || axis.scale == Scale::Log;
        object(vec![("label", title(axis).into()), ("log", log.into()), ("range", tree::of(&axis.range))])
    };
    let spec = object(vec![
        ("x", axis(&figure.x, log[0])),
        ("y", axis(&figure.y, log[1])),
        ("lines", series.into()),
        ("rules", rules.into()),
        ("stretches", stretches.into()),
        ("hover", true.into()),
    ]);
    Lines { spec, columns }
}
