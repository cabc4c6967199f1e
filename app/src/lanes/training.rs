//! Loss and accuracy: this run's training and test, other runs behind them.

use engine::decimal::fixed;
use engine::figure::{Axis, Dash, Figure, Mark, Role};
use engine::numeric::{deviation, mean};
use engine::protocol::RunId;
use engine::tree::object;
use leptos::prelude::*;

use super::{SYNC, XAxis, line, share_cursor, share_zoom};
use crate::erase::part;
use crate::figure::chart::{ChartRef, LineChart, Lines};
use crate::figure::frame::{Caption, FigureFrame, LogAxes};
use crate::figure::key::Key;
use crate::figure::palette::Tone;
use crate::reactive::{RwSignal, Signal};
use crate::state::Lab;
use crate::state::compare::Group;
use crate::state::series::{Evaluation, Series};
use crate::text::{number, percent};

/// Lines of other runs that the key names.
const MOST_KEYS: usize = 5;

/// A quantity that is measured on training batches and on the test set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Mean loss.
    Loss,
    /// Share correct.
    Accuracy,
}

impl Quantity {
    const fn column(self) -> usize {
        match self {
            Self::Loss => 0,
            Self::Accuracy => 1,
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Loss => "Loss",
            Self::Accuracy => "Accuracy",
        }
    }

    fn of(self, evaluation: &Evaluation) -> f64 {
        match self {
            Self::Loss => evaluation.loss,
            Self::Accuracy => evaluation.accuracy,
        }
    }

    fn text(self, value: f64) -> String {
        match self {
            Self::Loss => number(value),
            Self::Accuracy => percent(value),
        }
    }
}

/// What is drawn behind the current run: other runs, or groups of runs as mean and deviation.
#[derive(Debug, Clone, PartialEq)]
struct Behind {
    name: String,
    tone: Tone,
    runs: Vec<RunId>,
}

fn others(lab: Lab) -> Vec<Behind> {
    let current = lab.run.get();
    let drawn = |id: RunId| lab.runs.with(|runs| runs.iter().any(|run| run.id == id && run.overlay && run.step > 0));
    let groups = lab.groups.get();
    if groups.is_empty() {
        let others = lab.names.get().into_iter().filter(|(id, _)| *id != current && drawn(*id));
        return others.map(|(id, name)| Behind { name, tone: Tone::run(id), runs: vec![id] }).collect();
    }
    let group = |(which, group): (usize, Group)| {
        let runs: Vec<RunId> = group.runs.into_iter().filter(|id| *id == current || drawn(*id)).collect();
        (!runs.is_empty()).then(|| Behind { name: group.label, tone: Tone::run(which as u32), runs })
    };
    groups.into_iter().enumerate().filter_map(group).collect()
}

/// Mean of columns and its deviation below and above, where there are numbers; of one column, no deviation.
fn merged(columns: &[Vec<f64>]) -> [Vec<f64>; 3] {
    let mut out = [const { Vec::new() }; 3];
    for place in 0..columns.first().map_or(0, Vec::len) {
        let values: Vec<f64> = columns.iter().map(|column| column[place]).filter(|value| value.is_finite()).collect();
        let (mean, away) = match values.len() {
            0 => (f64::NAN, f64::NAN),
            1 => (values[0], f64::NAN),
            _ => (mean(&values), deviation(&values)),
        };
        for (column, value) in out.iter_mut().zip([mean, mean - away, mean + away]) {
            column.push(value);
        }
    }
    out
}

/// Training values, a column entry a place on the axis.
fn training(series: &Series, quantity: Quantity, axis: &XAxis) -> Vec<f64> {
    let values = &series.columns[quantity.column()];
    let end = values.len() as u64;
    let within = |steps: [u64; 2]| {
        let [from, to] = steps.map(|step| step.min(end) as usize);
        values.get(from..to).unwrap_or_default().iter().map(|value| f64::from(*value))
    };
    axis.steps.column(within)
}

fn evaluations(series: &Series, quantity: Quantity, axis: &XAxis) -> Vec<f64> {
    let all = &series.evaluations;
    let within = |steps: [u64; 2]| {
        let [from, to] = steps.map(|step| all.partition_point(|evaluation| evaluation.step < step));
        all.get(from..to).unwrap_or_default().iter().map(|evaluation| quantity.of(evaluation))
    };
    axis.steps.column(within)
}

fn lines(lab: Lab, quantity: Quantity, behind: &[Behind], axis: &XAxis, log_y: bool) -> Lines {
    lab.tick.track();
    let mut series = Vec::new();
    let mut columns = vec![axis.steps.places()];
    lab.series.with_value(|all| {
        let empty = Series::default();
        for Behind { name, tone, runs } in behind {
            let runs: Vec<&Series> = runs.iter().map(|run| all.get(run).unwrap_or(&empty)).collect();
            let tested = runs.iter().any(|run| run.evaluations.iter().any(|e| quantity.of(e).is_finite()));
            let tone = tone.css();
            if let [one] = runs.as_slice() {
                columns.push(training(one, quantity, axis));
                series.push(line(&format!("{name}, train"), &tone, "dotted", 1.0, ("sparse", false)));
                if tested {
                    columns.push(evaluations(one, quantity, axis));
                    series.push(line(name, &tone, "solid", 1.6, ("sparse", true)));
                }
                continue;
            }
            // Many runs are one line: their test results, or their training where they have none.
            let read = if tested { evaluations } else { training };
            columns.extend(merged(&runs.iter().map(|run| read(run, quantity, axis)).collect::<Vec<_>>()));
            series.push(line(name, &tone, "solid", 2.0, ("band", true)));
        }
        let own = all.get(&lab.run.get()).unwrap_or(&empty);
        columns.push(training(own, quantity, axis));
        series.push(line("train", "--c-train", "solid", 1.5, ("sparse", false)));
        columns.push(evaluations(own, quantity, axis));
        series.push(line("test", "--c-test", "solid", 2.0, ("sparse", true)));
    });
    let accuracy = quantity == Quantity::Accuracy;
    let y = vec![
        ("log", log_y.into()),
        ("zero", (!log_y).into()),
        ("percent", accuracy.into()),
        ("range", accuracy.then(|| [0.0, 1.0].as_slice()).into()),
    ];
    let spec = object(vec![("x", axis.json()), ("y", object(y)), ("lines", series.into()), ("sync", SYNC.into())]);
    Lines { spec, columns }
}

/// The lane as a figure, for export.
pub fn figure(lab: Lab, quantity: Quantity) -> Figure {
    let pairs = |series: &Series| -> [Vec<[f64; 2]>; 2] {
        let train = series.columns[quantity.column()].iter().enumerate().map(|(i, v)| [i as f64, f64::from(*v)]);
        let test = series.evaluations.iter().map(|e| [e.step as f64, quantity.of(e)]);
        [train.collect(), test.collect()]
    };
    let line = |name: String, role, dash, points| Mark::Line { name, role, dash, points, band: Vec::new() };
    let mut marks = Vec::new();
    lab.series.with_value(|all| {
        for Behind { name, runs, .. } in untrack(|| others(lab)) {
            for run in runs {
                if let Some([train, test]) = all.get(&run).map(pairs) {
                    let points = if test.is_empty() { train } else { test };
                    marks.push(line(name.clone(), Role::Other, Dash::Dashed, points));
                }
            }
        }
        if let Some([train, test]) = all.get(&lab.run.get_untracked()).map(pairs) {
            marks.push(line("train".into(), Role::Train, Dash::Solid, train));
            marks.push(line("test".into(), Role::Test, Dash::Solid, test));
        }
    });
    Figure {
        id: quantity.title().to_ascii_lowercase(),
        title: quantity.title().into(),
        value: value(lab, quantity, f64::NAN),
        x: Axis { label: "step".into(), ..Axis::default() },
        y: Axis { label: quantity.title().to_ascii_lowercase(), ..Axis::default() },
        marks,
        ..Figure::default()
    }
}

/// Train and test at the cursor, or the latest.
fn value(lab: Lab, quantity: Quantity, cursor: f64) -> String {
    lab.series.with_value(|all| {
        let Some(series) = all.get(&lab.run.get_untracked()) else { return String::new() };
        let at = if cursor.is_finite() { cursor } else { f64::INFINITY };
        let train = if cursor.is_finite() {
            series.at(quantity.column(), cursor as usize)
        } else {
            series.last(quantity.column())
        };
        let test = series.evaluation_at(at).map_or(f64::NAN, |evaluation| quantity.of(evaluation));
        if train.is_nan() && test.is_nan() {
            return String::new();
        }
        let values = format!("{} · {}", quantity.text(train), quantity.text(test));
        if cursor.is_finite() { format!("{values} at {}", fixed(cursor, 0)) } else { values }
    })
}

/// The key of the test line: on how many examples, the fewest on the way and the most at the end.
fn tested(counts: [usize; 2]) -> String {
    match counts {
        [0, _] => "test".to_owned(),
        [least, most] if least == most => format!("test of {least}"),
        [least, most] => format!("test of {least}, at the end of {most}"),
    }
}

/// The lane.
#[component]
pub fn TrainingLane(quantity: Quantity) -> impl IntoView {
    let lab = Lab::of();
    let log = RwSignal::new([false; 2]);
    let behind = Signal::memo(move |_| others(lab));
    let axis = Signal::memo(move |_| XAxis::of(lab, log.get()[0]));
    let lines = Signal::derive(move || {
        behind.with(|behind| axis.with(|axis| lines(lab, quantity, behind, axis, log.get()[1])))
    });
    let text = Signal::memo(move |_| {
        lab.tick.track();
        lab.run.track();
        value(lab, quantity, lab.cursor.get())
    });
    let any = Signal::memo(move |_| {
        lab.numbers(lab.run.get(), |series| series.len() > 0 || !series.evaluations.is_empty()).unwrap_or(false)
            || behind.with(|behind| !behind.is_empty())
    });
    let nats = move || lab.spec.with(|spec| spec.objective.kind == engine::spec::Loss::CrossEntropy);
    let caption = Signal::derive(move || {
        let meaning = match quantity {
            Quantity::Loss if nats() => "nats; lower is better",
            Quantity::Loss => "mean squared error; lower is better",
            Quantity::Accuracy => "share of answers that are right",
        };
        let test = tested(lab.tested.get());
        let mut keys = vec![Key::line("train", Tone::Train, Dash::Solid), Key::line(test, Tone::Test, Dash::Solid)];
        behind.with(|behind| {
            let named = behind.iter().take(MOST_KEYS);
            keys.extend(named.map(|one| Key::line(&one.name, one.tone, Dash::Solid)));
            if behind.len() > MOST_KEYS {
                keys.push(Key::line(format!("and {} more", behind.len() - MOST_KEYS), Tone::Other, Dash::Solid));
            }
        });
        let value = text.get();
        let alt = format!("{}, train and test over steps. {value}", quantity.title());
        Caption { title: quantity.title().into(), value, meaning: meaning.into(), alt, keys }
    });
    let chart = ChartRef::new();
    let cursor = share_cursor(lab);
    let playhead = Signal::derive(move || lab.step() as f64);
    let export = Callback::new(move |()| figure(lab, quantity));
    let offered = Signal::stored([true, quantity == Quantity::Loss]);
    let nothing_yet = match quantity {
        Quantity::Loss => "Training and test loss appear here, a point a step. Press Run or the space bar.",
        Quantity::Accuracy => "The share of right answers, on training batches and on the test set.",
    };
    view! {
        <FigureFrame id=quantity.title().to_ascii_lowercase() class="lane" caption log=LogAxes { on: log, offered } export>
            <LineChart lines chart cursor zoom=share_zoom(lab) layout=Callback::new(|()| ()) playhead/>
            {part(move || (!any.get()).then(|| view! { <div class="over"><span>{nothing_yet}</span></div> }.into_any()))}
        </FigureFrame>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_merged_where_they_have_numbers() {
        let [middle, low, high] = merged(&[vec![1.0, f64::NAN, 2.0], vec![3.0, f64::NAN, f64::NAN]]);
        assert_eq!((middle[0], middle[2], low[0] + high[0]), (2.0, 2.0, 4.0));
        assert!(middle[1].is_nan() && low[2].is_nan() && high[2].is_nan());
        assert!((high[0] - 2.0 - f64::sqrt(2.0)).abs() < 1e-12);
    }

    #[test]
    fn the_key_says_when_the_test_set_grows() {
        assert_eq!(tested([0, 0]), "test");
        assert_eq!(tested([500, 500]), "test of 500");
        assert_eq!(tested([500, 2000]), "test of 500, at the end of 2000");
    }
}
