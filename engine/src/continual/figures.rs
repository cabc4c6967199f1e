//! A session as figures: accuracies over the stream, accuracy matrices, numbers, confusion, memory, movement, curvature.

mod inside;

use super::{Arm, Course, Reading, Record, Summary};
use crate::decimal::fixed;
use crate::figure::{Axis, Dash, Figure, Grid, Mark, Role, Scale, brief};
use crate::numeric::{deviation, mean};

/// What is drawn of a session.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// What lies ahead of it.
    pub course: &'a Course,
    /// What learns.
    pub arms: &'a [Arm],
    /// What each arm came to, by arm and seed.
    pub records: &'a [Vec<Record>],
    /// The seed that is looked at, from 0; none = all as mean and standard deviation.
    pub seed: Option<usize>,
}

/// Looks of lines in order: all differ in colour, or else in dash.
const LOOKS: [(Role, Dash); 10] = [
    (Role::Train, Dash::Solid),
    (Role::Test, Dash::Solid),
    (Role::Lr, Dash::Solid),
    (Role::Batch, Dash::Solid),
    (Role::Other, Dash::Solid),
    (Role::Train, Dash::Dashed),
    (Role::Test, Dash::Dashed),
    (Role::Lr, Dash::Dashed),
    (Role::Batch, Dash::Dashed),
    (Role::Other, Dash::Dotted),
];

/// How the line of an arm, or of a task, looks.
#[must_use]
pub const fn look(number: usize) -> (Role, Dash) {
    LOOKS[number % LOOKS.len()]
}

fn percent(share: f64) -> f64 {
    100.0 * share
}

/// Mean and standard deviation of those values that are numbers; one alone has no deviation.
fn merged(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let known: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    [mean(&known), if known.len() > 1 { deviation(&known) } else { f64::NAN }]
}

impl<'a> Shown<'a> {
    /// The records of an arm that count: of the seed that is looked at, or of all.
    fn of(&self, arm: usize) -> &'a [Record] {
        let all = self.records.get(arm).map_or(&[][..], Vec::as_slice);
        self.seed.map_or(all, |seed| all.get(seed..=seed).unwrap_or_default())
    }

    fn name(&self, arm: usize) -> String {
        self.course.arms.get(arm).cloned().unwrap_or_default()
    }

    fn task(&self, task: usize) -> String {
        self.course.tasks.get(task).cloned().unwrap_or_default()
    }

    /// What is read of an arm over the updates, as what a line needs.
    fn line(&self, arm: usize, name: String, (role, dash): (Role, Dash), of: &Value) -> Mark {
        // The past of another arm is drawn with that arm.
        let from = self.arms.get(arm).map_or(0, |arm| arm.last().from);
        let mut told: Vec<(u64, Vec<f64>)> = Vec::new();
        for record in self.of(arm) {
            for reading in record.readings.iter().filter(|reading| reading.update >= from) {
                let value = of(record, reading);
                match told.binary_search_by_key(&reading.update, |(update, _)| *update) {
                    Ok(place) => told[place].1.push(value),
                    Err(place) => told.insert(place, (reading.update, vec![value])),
                }
            }
        }
        let (mut points, mut band) = (Vec::new(), Vec::new());
        for (update, values) in told {
            let [middle, spread] = merged(values.into_iter());
            if middle.is_finite() {
                points.push([update as f64, middle]);
                band.push([middle - spread, middle + spread]);
            }
        }
        if band.iter().flatten().all(|edge| edge.is_nan()) {
            band.clear();
        }
        Mark::Line { name, role, dash, points, band }
    }

    /// Accuracies over the stream: one figure for what all arms know of all tasks begun, then one for each task with a line
    /// for each arm, or one for each arm with a line for each task.
    #[must_use]
    pub fn accuracies(&self, by_arm: bool) -> Vec<Figure> {
        let arms = 0..self.course.arms.len();
        let tasks = 0..self.course.tasks.len();
        let known = |record: &Record, reading: &Reading| {
            let begun = 1 + record.borders.iter().filter(|border| **border < reading.update).count();
            let whole = reading.accuracy.len() == record.borders.len();
            let seen: Vec<f64> = reading.accuracy.iter().take(begun).map(|share| f64::from(*share)).collect();
            if whole { percent(mean(&seen)) } else { f64::NAN }
        };
        let mut figures = vec![self.over_updates(
            "known",
            "Mean over the tasks begun".into(),
            "what is known of everything met so far",
            arms.clone().map(|arm| self.line(arm, self.name(arm), look(arm), &known)).collect(),
        )];
        if by_arm {
            figures.extend(arms.map(|arm| {
                let lines = tasks.clone().map(|task| self.line(arm, self.task(task), look(task), &at(task)));
                self.over_updates(&format!("arm-{arm}"), self.name(arm), "accuracy on each task", lines.collect())
            }));
        } else {
            figures.extend(tasks.map(|task| {
                let lines = arms.clone().map(|arm| self.line(arm, self.name(arm), look(arm), &at(task)));
                let title = format!("Task {}: {}", task + 1, self.task(task));
                self.over_updates(&format!("task-{task}"), title, "test accuracy", lines.collect())
            }));
        }
        figures
    }

    /// Accuracy on the first task after each update about the border to the second.
    #[must_use]
    pub fn border(&self, window: u64) -> Figure {
        let end = self.course.borders.first().copied().unwrap_or(0);
        let near = |record: &Record, reading: &Reading| {
            let near = (end..=end + window).contains(&reading.update);
            if near { at(0)(record, reading) } else { f64::NAN }
        };
        let lines: Vec<Mark> = (0..self.course.arms.len())
            .map(|arm| since(self.line(arm, self.name(arm), look(arm), &near), end))
            .collect();
        let drawn = lines.iter().any(|mark| matches!(mark, Mark::Line { points, .. } if points.len() > 1));
        Figure {
            id: "border".into(),
            title: "Task 1 right after it ended".into(),
            meaning: "the stability gap: how far it falls before anything brings it back".into(),
            x: axis("updates since the border", ""),
            y: shares(),
            marks: if drawn { lines } else { Vec::new() },
            empty: "Appears when the second task begins: the first is then tested after every update.".into(),
            ..Figure::default()
        }
    }

    fn over_updates(&self, id: &str, title: String, meaning: &str, mut lines: Vec<Mark>) -> Figure {
        let drawn = lines.iter().any(|mark| matches!(mark, Mark::Line { points, .. } if !points.is_empty()));
        let last = |mark: &Mark| match mark {
            Mark::Line { name, points, .. } => points.last().map(|[_, share]| format!("{name} {}%", fixed(*share, 1))),
            _ => None,
        };
        let alt = format!("{title}: {}", lines.iter().filter_map(last).collect::<Vec<_>>().join(", "));
        let names = (1..=self.course.borders.len()).map(|task| format!("task {task}")).collect();
        let ends = self.course.borders.iter().map(|border| *border as f64).collect();
        lines.insert(0, Mark::Stretches { names, ends });
        Figure {
            id: id.into(),
            title,
            meaning: meaning.into(),
            x: axis("updates", ""),
            y: shares(),
            marks: if drawn { lines } else { Vec::new() },
            alt,
            empty: "Fills while the stream is learned. Press Run.".into(),
            ..Figure::default()
        }
    }

    /// The accuracy matrix of every arm, all on one scale.
    #[must_use]
    pub fn matrices(&self) -> Vec<Figure> {
        (0..self.course.arms.len()).map(|arm| self.matrix(arm)).collect()
    }

    fn matrix(&self, arm: usize) -> Figure {
        let tasks = self.course.tasks.len();
        let rows: Vec<Vec<Vec<f64>>> = self.of(arm).iter().map(Record::rows).collect();
        let cell = |i: usize| {
            let shares = rows.iter().filter_map(|rows| rows.get(i / tasks)?.get(i % tasks).copied());
            percent(merged(shares)[0])
        };
        let cells: Vec<f64> = (0..tasks * tasks).map(cell).collect();
        let done = cells.iter().filter(|cell| cell.is_finite()).count() / tasks.max(1);
        let last = cells.get(tasks * done.saturating_sub(1)..).unwrap_or_default();
        let told: Vec<String> = last.iter().take(done).map(|cell| fixed(*cell, 1) + "%").collect();
        let grid = Grid { width: tasks, height: tasks, values: cells.iter().map(|cell| *cell as f32).collect() };
        let number = |prefix: &str| (1..=tasks).map(|task| format!("{prefix}{task}")).collect();
        let map = Mark::HeatMap {
            grid,
            scale: Scale::Linear,
            range: Some([0.0, 100.0]),
            rows: number("after "),
            columns: number(""),
        };
        let [acc, spread] = self.number(arm, |summary| summary.acc).map(percent);
        Figure {
            id: format!("matrix-{arm}"),
            title: self.name(arm),
            value: if acc.is_finite() { format!("ACC {}", with_spread(acc, spread)) } else { String::new() },
            x: axis("task tested", ""),
            marks: if done > 0 { vec![map] } else { Vec::new() },
            alt: format!("{}: accuracy after task {done} on each task so far: {}", self.name(arm), told.join(", ")),
            empty: "A row for each task, once it is learned.".into(),
            ..Figure::default()
        }
    }

    /// A number of an arm, over the seeds that count.
    fn number(&self, arm: usize, of: impl Fn(&Summary) -> f64) -> [f64; 2] {
        merged(self.of(arm).iter().map(|record| of(&record.summary())))
    }

    /// A row of numbers for each arm.
    #[must_use]
    pub fn table(&self) -> Figure {
        let mut columns = vec!["strategy".to_owned()];
        let mut rows: Vec<Vec<String>> = Vec::new();
        for arm in 0..self.course.arms.len() {
            let records = self.of(arm);
            let summaries: Vec<Summary> = records.iter().map(Record::summary).collect();
            let mut row = vec![self.name(arm)];
            let heads = Record::default().summary().rows().map(|(name, _)| name);
            for (i, head) in heads.into_iter().enumerate() {
                let [middle, spread] = merged(summaries.iter().map(|summary| summary.rows()[i].1)).map(percent);
                row.push(with_spread(middle, spread));
                if arm == 0 {
                    columns.push(head.into());
                }
            }
            let cost = records.iter().map(|record| &record.cost).rfind(|cost| cost.parameters > 0);
            row.extend(cost.map_or_else(
                || vec!["–".to_owned(); 4],
                |cost| {
                    vec![
                        amount(cost.memory_bytes as f64, "B"),
                        amount(cost.parameters as f64, ""),
                        amount(cost.flop as f64, "FLOP"),
                        format!("{} s", brief(cost.seconds)),
                    ]
                },
            ));
            rows.push(row);
        }
        columns.extend(["memory", "parameters", "an update", "time"].map(str::to_owned));
        let begun = self.records.iter().flatten().any(|record| !record.readings.is_empty());
        Figure {
            id: "numbers".into(),
            title: "Numbers".into(),
            meaning: "in percent, and points of it; each is explained below".into(),
            marks: if begun { vec![Mark::Table { columns, rows }] } else { Vec::new() },
            empty: "ACC, BWT, FWT, forgetting and the rest, beside what each strategy stores and computes.".into(),
            ..Figure::default()
        }
    }
}

/// What is read off a reading; NaN where there is nothing.
type Value<'a> = dyn Fn(&Record, &Reading) -> f64 + 'a;

/// The share of a task, in percent.
fn at(task: usize) -> impl Fn(&Record, &Reading) -> f64 {
    move |_, reading| reading.accuracy.get(task).map_or(f64::NAN, |share| percent(f64::from(*share)))
}

/// A line whose updates are counted from one of them.
fn since(mut line: Mark, first: u64) -> Mark {
    if let Mark::Line { points, .. } = &mut line {
        points.iter_mut().for_each(|[update, _]| *update -= first as f64);
    }
    line
}

fn axis(label: &str, unit: &str) -> Axis {
    Axis { label: label.into(), unit: unit.into(), ..Axis::default() }
}

/// The axis of accuracies, with room above them for the names of tasks.
fn shares() -> Axis {
    Axis { range: Some([0.0, 112.0]), ..axis("", "%") }
}

/// `93.1 ± 0.4`, or without a spread where it is not known.
fn with_spread(middle: f64, spread: f64) -> String {
    match (middle.is_finite(), spread.is_finite()) {
        (true, true) => format!("{} ± {}", fixed(middle, 1), fixed(spread, 1)),
        (true, false) => fixed(middle, 1),
        _ => "–".into(),
    }
}

/// A large number with its unit: `1.57 MB`.
fn amount(value: f64, unit: &str) -> String {
    let (scaled, letter) = match value {
        v if v >= 1e9 => (v / 1e9, "G"),
        v if v >= 1e6 => (v / 1e6, "M"),
        v if v >= 1e3 => (v / 1e3, "k"),
        v => (v, ""),
    };
    format!("{} {letter}{unit}", brief(scaled)).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::continual::{Cost, Insight, Memory, Moved, Sharpness};
    use crate::protocol::Blob;

    fn reading(update: u64, accuracy: &[f32]) -> Reading {
        Reading { update, accuracy: accuracy.to_vec(), sharpness: None }
    }

    /// Two tasks of ten updates; the second takes half of the first away.
    fn record(last: f32) -> Record {
        let mut record = Record { borders: vec![10, 20], ..Record::default() };
        record.readings =
            vec![reading(0, &[0.1, 0.2]), reading(10, &[1.0, 0.2]), reading(11, &[0.4]), reading(20, &[last, 0.9])];
        record.cost = Cost { parameters: 269_322, memory_bytes: 1_568_000, flop: 2_000, seconds: 1.5, examples: 500 };
        record
    }

    fn course() -> Course {
        Course {
            tasks: vec!["0 and 1".into(), "2 and 3".into()],
            outputs: ["0", "1", "2", "3"].map(str::to_owned).to_vec(),
            borders: vec![10, 20],
            arms: vec!["Fine-tuning".into(), "Fine-tuning, from 10 on EWC".into()],
            seeds: vec![1, 2],
            notes: Vec::new(),
        }
    }

    fn arms() -> Vec<Arm> {
        ["fine-tuning", "fine-tuning/10/ewc"].map(|text| Arm::read(text).unwrap()).to_vec()
    }

    fn points(figure: &Figure, line: usize) -> (&[[f64; 2]], &[[f64; 2]]) {
        let Mark::Line { points, band, .. } = &figure.marks[line + 1] else { panic!("a line") };
        (points, band)
    }

    fn near(one: &[[f64; 2]], other: &[[f64; 2]]) {
        assert_eq!(one.len(), other.len(), "{one:?}");
        for (one, other) in one.iter().flatten().zip(other.iter().flatten()) {
            assert!((one - other).abs() < 1e-4, "{one} is not {other}");
        }
    }

    #[test]
    fn lines_are_of_one_seed_or_of_all_and_another_future_begins_where_it_left() {
        let (course, arms) = (course(), arms());
        let records = vec![vec![record(0.5), record(0.7)], vec![record(0.8)]];
        let one = Shown { course: &course, arms: &arms, records: &records, seed: Some(0) };
        let [known, first, second] = &one.accuracies(false)[..] else { panic!("three figures") };
        assert_eq!(first.title, "Task 1: 0 and 1");
        near(points(known, 0).0, &[[0.0, 10.0], [10.0, 100.0], [20.0, 70.0]]);
        near(points(first, 0).0, &[[0.0, 10.0], [10.0, 100.0], [11.0, 40.0], [20.0, 50.0]]);
        near(points(second, 0).0, &[[0.0, 20.0], [10.0, 20.0], [20.0, 90.0]]);
        near(points(first, 1).0, &[[10.0, 100.0], [11.0, 40.0], [20.0, 80.0]]);
        assert!(points(first, 0).1.is_empty());
        let all = Shown { seed: None, ..one };
        let [_, first, _] = &all.accuracies(false)[..] else { panic!("three figures") };
        let (line, band) = points(first, 0);
        near(&line[3..], &[[20.0, 60.0]]);
        let spread = 10.0 * std::f64::consts::SQRT_2;
        near(&band[3..], &[[60.0 - spread, 60.0 + spread]]);
        let by_arm = one.accuracies(true);
        assert_eq!(by_arm[2].title, "Fine-tuning, from 10 on EWC");
        near(&points(&by_arm[1], 1).0[1..], &points(second, 0).0[1..]);
        // After the border update by update.
        let border = one.border(5);
        let Mark::Line { points, .. } = &border.marks[0] else { panic!("a line") };
        near(points, &[[0.0, 100.0], [1.0, 40.0]]);
    }

    #[test]
    fn matrices_share_a_scale_and_have_no_row_before_its_border() {
        let (course, arms) = (course(), arms());
        let mut going = record(0.5);
        going.rewind(11);
        let records = vec![vec![record(0.5), record(0.7)], vec![going]];
        let shown = Shown { course: &course, arms: &arms, records: &records, seed: None };
        let maps = shown.matrices();
        let values = |map: &Figure| match &map.marks[..] {
            [Mark::HeatMap { grid, range: Some([0.0, 100.0]), .. }] => grid.values.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(values(&maps[0]).iter().map(|v| v.round()).collect::<Vec<_>>(), [100.0, 20.0, 60.0, 90.0]);
        assert_eq!(maps[0].value, "ACC 75.0 ± 7.1");
        let going = values(&maps[1]);
        assert!(going[0] == 100.0 && going[2].is_nan() && maps[1].value.is_empty());
        let Mark::Table { columns, rows } = &shown.table().marks[0] else { panic!("a table") };
        assert!(rows.iter().all(|row| row.len() == columns.len()));
        assert_eq!(rows[0][columns.iter().position(|name| name == "memory").unwrap()], "1.57 MB");
        assert_eq!(rows[0][columns.iter().position(|name| name == "BWT").unwrap()], "-40.0 ± 14.1");
    }

    #[test]
    fn confusion_says_how_many_earlier_examples_the_newest_classes_take() {
        let course = course();
        let mut record = record(0.5);
        record.insight = Insight {
            update: 20,
            confusion: vec![vec![3, 0, 1, 0], vec![0, 1, 2, 1], vec![0, 0, 4, 0], vec![0; 4]],
            recent: vec![2, 3],
            moved: vec![Moved { layer: "head".into(), relative: 0.25 }],
            drifted: vec![Moved { layer: "hidden.0".into(), relative: 0.5 }],
        };
        let (arms, records) = (arms(), vec![vec![record]]);
        let shown = Shown { course: &course, arms: &arms, records: &records, seed: Some(0) };
        let figure = shown.confusion(0);
        assert_eq!(figure.value, "50% of earlier classes taken for the newest");
        let Mark::HeatMap { grid, .. } = &figure.marks[0] else { panic!("a map") };
        assert_eq!((grid.values[0], grid.values[10]), (75.0, 100.0));
        // A class without test examples has no shares.
        assert!(grid.values[12].is_nan());
        for (figure, layer, value) in shown
            .movement()
            .iter()
            .zip(["head", "hidden.0"])
            .zip([25.0, 50.0])
            .map(|((figure, layer), value)| (figure, layer, value))
        {
            let Mark::Bars { series, .. } = &figure.marks[0] else { panic!("bars") };
            assert_eq!(
                (figure.x.categories.as_slice(), series[0].values.as_slice()),
                (&[layer.to_owned()][..], &[value][..])
            );
        }
    }

    /// Readings belong to the border before them, the one at the next border to that, the last of all to the last one.
    #[test]
    fn curvature_is_counted_from_its_border() {
        let course = Course { borders: vec![10, 20, 30], arms: vec!["EWC".into()], ..course() };
        let mut record = Record { borders: vec![10, 20, 30], ..Record::default() };
        for (update, left, begun) in [(10, 4.0, 16.0), (12, 5.0, 8.0), (20, 2.0, 3.0), (30, 6.0, 7.0)] {
            let sharpness = Sharpness { lambda: [left, begun], error: [0.0, 0.16], examples: 32, products: 24 };
            record.push(Reading { sharpness: Some(sharpness), ..reading(update, &[0.5]) });
        }
        let (arms, records) = (arms(), vec![vec![record]]);
        let shown = Shown { course: &course, arms: &arms[..1], records: &records, seed: Some(0) };
        let figure = shown.curvature(0);
        let lines: Vec<(&str, &[[f64; 2]])> = figure
            .marks
            .iter()
            .map(|mark| match mark {
                Mark::Line { name, points, .. } => (name.as_str(), points.as_slice()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            lines,
            [
                ("task 1, left", &[[0.0, 4.0], [2.0, 5.0]][..]),
                ("task 2, begun", &[[0.0, 16.0], [2.0, 8.0]][..]),
                ("task 2, left", &[[0.0, 2.0], [10.0, 6.0]][..]),
                ("task 3, begun", &[[0.0, 3.0], [10.0, 7.0]][..]),
            ]
        );
        assert!(figure.meaning.contains("on 32 training examples"), "{}", figure.meaning);
        assert!(figure.meaning.contains("24 products a pair, known to within 5.33%"), "{}", figure.meaning);
        assert!(Shown { records: &[], ..shown }.curvature(0).marks.is_empty());
    }

    #[test]
    fn stored_pictures_have_their_channels_innermost() {
        let (course, arms, records) = (course(), arms(), Vec::new());
        let shown = Shown { course: &course, arms: &arms, records: &records, seed: None };
        let memory = Memory { arm: 0, counts: vec![2, 0, 1, 0], shape: [2, 1, 2], shown: vec![2], pixels: Blob(0) };
        let figures = shown.memory(0, Some((&memory, &[1, 2, 3, 4])));
        let Mark::Tiles { tiles } = &figures[1].marks[0] else { panic!("pictures") };
        assert_eq!((tiles[0].pixels.as_slice(), tiles[0].caption.as_str()), (&[1, 3, 2, 4][..], "2"));
        assert_eq!(shown.memory(0, Some((&Memory { shape: [0; 3], ..memory }, &[]))).len(), 1);
        assert!(shown.memory(0, None)[0].marks.is_empty());
        // Nothing is known yet: every figure says what will appear.
        let all =
            shown.accuracies(false).into_iter().chain(shown.matrices()).chain([shown.table()]).chain(shown.movement());
        assert!(
            all.chain([shown.border(5), shown.confusion(0)]).all(|one| one.marks.is_empty() && !one.empty.is_empty())
        );
    }
}
