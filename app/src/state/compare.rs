//! Runs beside each other: in which controls they differ, groups of them, and a table of both.

use engine::decimal::{plain, rounded};
use engine::figure::{Figure, Mark};
use engine::numeric::{deviation, mean};
use engine::pairs::Pairs;
use engine::protocol::RunId;
use engine::spec::{FIELDS, RunSpec, diff, in_words, name_by_difference};

use super::Run;
use super::series::{Evaluation, STEP_MS, Series};
use crate::text::number;

/// Groups of runs that are alike in all but their random draws.
pub const SEEDS: &str = "seeds";

/// Runs that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What they share.
    pub label: String,
    /// Their numbers, oldest first.
    pub runs: Vec<RunId>,
}

/// A run that has begun, and its recipe.
pub type Begun = (RunId, RunSpec);

/// The runs that have begun.
pub fn begun(runs: &[Run]) -> Vec<Begun> {
    runs.iter().filter(|run| run.step > 0).map(|run| (run.id, run.spec.clone())).collect()
}

/// Every run by its name, or else by what differs from its neighbours.
pub fn names(runs: &[Run]) -> Vec<(RunId, String)> {
    let specs: Vec<RunSpec> = runs.iter().map(|run| run.spec.clone()).collect();
    let name = |(run, other): (&Run, String)| (run.id, if run.name.is_empty() { other } else { run.name.clone() });
    runs.iter().zip(name_by_difference(&specs)).map(name).collect()
}

/// Controls of which runs have different values, in the order of the recipe.
pub fn differing(runs: &[Begun]) -> Vec<&'static str> {
    let Some(((_, first), others)) = runs.split_first() else { return Vec::new() };
    let differences = others.iter().flat_map(|(_, other)| diff(first, other));
    let all: Vec<&str> = differences.map(|difference| difference.path).collect();
    let mut paths: Vec<&'static str> = Vec::new();
    for field in
        FIELDS.iter().filter(|field| all.contains(&field.path) && runs.iter().any(|(_, spec)| field.applies(spec)))
    {
        if !paths.contains(&field.path) {
            paths.push(field.path);
        }
    }
    paths
}

/// Groups by the value of a control, or by everything but the seed ([`SEEDS`]), in the order of their first runs; by nothing,
/// none.
pub fn groups(runs: &[Begun], by: &str) -> Vec<Group> {
    let (mut specs, mut groups) = (Vec::<RunSpec>::new(), Vec::<Group>::new());
    if by.is_empty() {
        return groups;
    }
    let merged = by == SEEDS;
    for (id, spec) in runs {
        let mut spec = spec.clone();
        if merged {
            spec.seed = 0;
        }
        let same = |known: &RunSpec| if merged { *known == spec } else { known.get(by) == spec.get(by) };
        match specs.iter().position(same) {
            Some(place) => groups[place].runs.push(*id),
            None => {
                let label = format!("{} {}", label(by), spec.get(by).unwrap_or_default());
                groups.push(Group { label, runs: vec![*id] });
                specs.push(spec);
            }
        }
    }
    if merged {
        for (group, label) in groups.iter_mut().zip(name_by_difference(&specs)) {
            group.label = label;
        }
    }
    groups
}

/// What a person calls a field of the recipe.
pub fn label(path: &str) -> &str {
    FIELDS.iter().find(|field| field.path == path).map_or(path, |field| field.label)
}

/// The lowest test loss of a run, and its step; none before any.
pub fn best(series: &Series) -> Option<&Evaluation> {
    let finite = series.evaluations.iter().filter(|test| test.loss.is_finite());
    finite.reduce(|best, test| if test.loss < best.loss { test } else { best })
}

/// The runs that have begun, newest first: what differs in their recipes, and what they came to. Without a target, the test loss
/// that all of them have reached.
pub fn table(runs: &[Run], series: &Pairs<RunId, Series>, target: Option<f64>) -> Figure {
    let (begun, names) = (begun(runs), names(runs));
    let paths = differing(&begun);
    let worst = begun.iter().filter_map(|(id, _)| Some(best(series.get(id)?)?.loss)).fold(f64::NAN, f64::max);
    let target = target.unwrap_or(worst);
    let noted = runs.iter().any(|run| !run.note.is_empty());
    let mut columns = vec!["run".to_owned()];
    for path in &paths {
        columns.push(label(path).to_owned());
    }
    columns.extend([
        "best test loss".into(),
        "at step".into(),
        format!("first at {}", digits(target, 5)),
        "seconds".into(),
    ]);
    if noted {
        columns.push("note".into());
    }
    let row = |(id, spec): &Begun| {
        let dash = || "–".to_owned();
        let series = series.get(id);
        let best = series.and_then(best);
        let reached = series.and_then(|series| series.evaluations.iter().find(|test| test.loss <= target));
        let seconds = series.map_or(0.0, |series| {
            series.columns[STEP_MS].iter().filter(|ms| ms.is_finite()).map(|ms| f64::from(*ms)).sum::<f64>()
        }) / 1e3;
        let mut cells =
            vec![names.iter().find(|(known, _)| known == id).map_or_else(String::new, |(_, name)| name.clone())];
        cells.extend(paths.iter().map(|path| in_words(spec, path).unwrap_or_else(dash)));
        cells.extend([
            best.map_or_else(dash, |test| digits(test.loss, 5)),
            best.map_or_else(dash, |test| test.step.to_string()),
            reached.map_or_else(dash, |test| test.step.to_string()),
            digits(seconds, 3),
        ]);
        if noted {
            cells.push(runs.iter().find(|run| run.id == *id).map_or_else(String::new, |run| run.note.clone()));
        }
        cells
    };
    Figure {
        id: "differences".into(),
        title: "What differs".into(),
        meaning: "Step and loss of the best test, and the step of the first test at the target.".into(),
        marks: vec![Mark::Table { columns, rows: begun.iter().rev().map(row).collect() }],
        ..Figure::default()
    }
}

/// As files and sums want it.
fn digits(value: f64, count: usize) -> String {
    if value.is_finite() { plain(rounded(value, count)) } else { "–".into() }
}

/// Mean and sample deviation; without the latter of one value, a dash of none.
pub fn spread(values: &[f64], show: fn(f64) -> String) -> String {
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    match finite.len() {
        0 => number(f64::NAN),
        1 => show(finite[0]),
        _ => format!("{} ± {}", show(mean(&finite)), show(deviation(&finite))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: RunId, change: &[(&str, &str)]) -> Begun {
        let mut spec = RunSpec::default();
        for (path, value) in change {
            spec.set(path, value).unwrap();
        }
        (id, spec)
    }

    #[test]
    fn controls_that_differ_are_named_once_in_the_order_of_the_recipe() {
        let runs = [run(1, &[]), run(2, &[("seed", "9"), ("batch.size", "8")]), run(3, &[("batch.size", "16")])];
        assert_eq!(differing(&runs), ["batch.size", "seed"]);
        assert!(differing(&[]).is_empty());
    }

    #[test]
    fn runs_that_differ_in_their_seed_alone_are_one_group() {
        let runs = [
            run(1, &[("batch.size", "8")]),
            run(2, &[("batch.size", "16")]),
            run(3, &[("batch.size", "8"), ("seed", "5")]),
        ];
        let merged = groups(&runs, SEEDS);
        assert_eq!(merged.iter().map(|group| group.runs.clone()).collect::<Vec<_>>(), [vec![1, 3], vec![2]]);
        assert_eq!(merged[0].label, "batch size 8");
        assert_eq!(groups(&runs, "seed").len(), 2);
        assert_eq!(groups(&runs, "batch.size")[1], Group { label: "batch size 16".into(), runs: vec![2] });
    }

    #[test]
    fn a_table_has_what_differs_and_what_came_of_it() {
        let runs = [run(1, &[]), run(2, &[("batch.size", "8")]), run(3, &[])].map(|(id, spec)| Run {
            step: u64::from(id < 3),
            note: if id == 2 { "odd".into() } else { String::new() },
            ..Run::new(id, spec, engine::protocol::RunState::Done)
        });
        let mut all = Pairs::default();
        for (id, losses) in [(1, [2.0, 1.0, f64::NAN]), (2, [3.0, 0.5, 0.75])] {
            let mut series = Series::default();
            for (step, loss) in (0..).step_by(10).zip(losses) {
                series.evaluated(Evaluation { step, loss, accuracy: f64::NAN });
            }
            series.columns[STEP_MS] = vec![500.0, f32::NAN, 250.0];
            all.insert(id, series);
        }
        let table = |target| match table(&runs, &all, target).marks.remove(0) {
            Mark::Table { columns, rows } => (columns, rows),
            other => panic!("{other:?}"),
        };
        let (columns, rows) = table(None);
        assert_eq!(columns, ["run", "batch size", "best test loss", "at step", "first at 1", "seconds", "note"]);
        assert_eq!(rows[0][1..], ["8", "0.5", "10", "10", "0.75", "odd"]);
        assert_eq!(rows[1][2..], ["1", "10", "10", "0.75", ""]);
        assert_eq!(rows.len(), 2);
        assert_eq!(table(Some(0.6)).1[1][4], "–");
    }

    #[test]
    fn a_spread_is_the_mean_and_the_sample_deviation() {
        assert_eq!(spread(&[1.0, 3.0, f64::NAN], number), format!("{} ± {}", number(2.0), number(f64::sqrt(2.0))));
        assert_eq!(spread(&[1.0], number), number(1.0));
        assert_eq!(spread(&[f64::NAN], number), number(f64::NAN));
    }
}
