//! Runs beside each other: in which controls they differ, and groups of them.

use engine::numeric::{deviation, mean};
use engine::protocol::RunId;
use engine::spec::{FIELDS, RunSpec, diff, name_by_difference};

use super::Run;
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

/// Every run, named by what differs from its neighbours.
pub fn names(runs: &[Run]) -> Vec<(RunId, String)> {
    let specs: Vec<RunSpec> = runs.iter().map(|run| run.spec.clone()).collect();
    runs.iter().zip(name_by_difference(&specs)).map(|(run, name)| (run.id, name)).collect()
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
                let label = FIELDS.iter().find(|field| field.path == by).map_or("", |field| field.label);
                let label = format!("{label} {}", spec.get(by).unwrap_or_default());
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
    fn a_spread_is_the_mean_and_the_sample_deviation() {
        assert_eq!(spread(&[1.0, 3.0, f64::NAN], number), format!("{} ± {}", number(2.0), number(f64::sqrt(2.0))));
        assert_eq!(spread(&[1.0], number), number(1.0));
        assert_eq!(spread(&[f64::NAN], number), number(f64::NAN));
    }
}
