//! What makes runs different, and names that say so.

use super::control::{capital, show};
use super::fields::{leaf, tree};
use super::link::{LINK_VERSION, USUAL_NUMBERS};
use super::{FIELDS, Field, Kind, ModelSpec, RunSpec, field};
use crate::numeric::by_key;

/// A control that has different values in two specs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The control.
    pub path: &'static str,
    /// Its value in the first spec, written as in a link; none if it has no such field.
    pub old: Option<String>,
    /// Its value in the second spec.
    pub new: Option<String>,
}

/// Every control whose value differs, in the order of [`FIELDS`]. Edits are not compared.
#[must_use]
pub fn diff(a: &RunSpec, b: &RunSpec) -> Vec<Difference> {
    let (mut a, mut b) = (tree(a), tree(b));
    let mut differences: Vec<Difference> = Vec::new();
    for Field { path, .. } in FIELDS {
        let (old, new) = (leaf(&mut a, path), leaf(&mut b, path));
        // Fields of several models share a path and stand together or apart in the table.
        if old != new && differences.iter().all(|known| known.path != *path) {
            let [old, new] = [old, new].map(|value| value.map(|value| show(value)));
            differences.push(Difference { path, old, new });
        }
    }
    differences
}

/// The settings that turn `base` into `spec` in a link of that version, edits apart: a new kind of model comes with its
/// defaults, a new rule with its usual numbers (since version 2), and only what differs from these is named.
pub(super) fn changes(base: &RunSpec, spec: &RunSpec, version: u32) -> Vec<(&'static str, String)> {
    let mut base = base.clone();
    let mut changes = Vec::new();
    if base.model.kind() != spec.model.kind() {
        base.model = ModelSpec::of(spec.model.kind()).unwrap_or_default();
        changes.push(("model", spec.model.kind().to_owned()));
    }
    if base.optimizer.kind != spec.optimizer.kind {
        if version >= USUAL_NUMBERS {
            base.optimizer.choose(spec.optimizer.kind);
        }
        base.optimizer.kind = spec.optimizer.kind;
        changes.push(("optimizer", spec.optimizer.kind.id().to_owned()));
    }
    for difference in diff(&base, spec) {
        if let Some(new) = difference.new {
            changes.push((difference.path, new));
        }
    }
    // The table's order, whatever was pushed first.
    let place = |path: &str| FIELDS.iter().position(|field| field.path == path).map_or(0, |place| place + 1);
    by_key(changes, &|(path, _)| place(path) as u64)
}

/// Names each run by what differs from the runs before and after it: `depth 4 · peak 0.002`. A run alone, or like its
/// neighbours, is named by its model and data.
#[must_use]
pub fn name_by_difference(runs: &[RunSpec]) -> Vec<String> {
    let name = |(i, run): (usize, &RunSpec)| {
        let neighbours = [i.checked_sub(1).and_then(|i| runs.get(i)), runs.get(i + 1)];
        let changed: Vec<&str> = neighbours
            .iter()
            .flatten()
            .flat_map(|other| changes(other, run, LINK_VERSION))
            .map(|(path, _)| path)
            .collect();
        let shown = FIELDS.iter().filter(|field| changed.contains(&field.path) && field.applies(run));
        let mut parts: Vec<String> = shown.filter_map(|field| describe(run, field.path)).collect();
        if neighbours.iter().flatten().any(|other| other.edits != run.edits) {
            for edit in &run.edits {
                let label = field(run, &edit.path).map_or(edit.path.as_str(), |field| field.label);
                parts.push(format!("{label} {} from step {}", edit.value, edit.step));
            }
        }
        if parts.is_empty() {
            let kinds = ["model", "data"].map(|path| describe(run, path).unwrap_or_default());
            parts.push(capital(&kinds.join(" · ")));
        }
        parts.join(" · ")
    };
    runs.iter().enumerate().map(name).collect()
}

/// A control and its value in words: `depth 4`, `flip on`, `AdamW`.
fn describe(run: &RunSpec, path: &str) -> Option<String> {
    let (field, value) = (field(run, path)?, in_words(run, path)?);
    let named = matches!(field.kind, Kind::Choice { .. }) && field.group() == path;
    Some(if named { value } else { format!("{} {value}", field.label) })
}

/// The value of a control in words: `4`, `on`, `AdamW`; none where the run has no such control.
#[must_use]
pub fn in_words(run: &RunSpec, path: &str) -> Option<String> {
    let (field, value) = (field(run, path)?, run.get(path)?);
    Some(match &field.kind {
        Kind::Choice { options } => {
            options.iter().find(|option| option.id == value).map_or(value.as_str(), |option| &option.label).to_owned()
        }
        Kind::Bool => if value == "true" { "on" } else { "off" }.to_owned(),
        Kind::List { .. } => value.replace(',', "–"),
        _ => value,
    })
}
