//! What can be turned before a study runs, and the values it was turned to.

use serde_json::Value;

use engine::figure::Knob;
use engine::spec::Issue;

/// Every knob of a study with its value. A knob asked for under a name that was not declared reads as 0, false or empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Knobs {
    values: Vec<(String, Value)>,
}

impl Knobs {
    /// The defaults, but for the knobs that were `turned` (id and value, written as in a link). What cannot be used is
    /// left at its default and named.
    #[must_use]
    pub fn new(knobs: &[Knob], turned: &[(String, String)]) -> (Self, Vec<Issue>) {
        let mut issues: Vec<Issue> = turned
            .iter()
            .filter(|(id, _)| knobs.iter().all(|knob| &knob.id != id))
            .map(|(id, _)| Issue::new(id, "this study has no such knob", ""))
            .collect();
        let values = knobs
            .iter()
            .map(|knob| {
                let wanted = turned.iter().rev().find(|(id, _)| *id == knob.id);
                let value = wanted.and_then(|(_, text)| match knob.kind.parse(text) {
                    Ok(value) => Some(value),
                    Err(message) => {
                        issues.push(Issue::new(&knob.id, message, knob.default.clone()));
                        None
                    }
                });
                let value = value.or_else(|| knob.kind.parse(&knob.default).ok()).unwrap_or_default();
                (knob.id.clone(), value)
            })
            .collect();
        (Self { values }, issues)
    }

    fn value(&self, id: &str) -> Option<&Value> {
        self.values.iter().find(|(known, _)| known == id).map(|(_, value)| value)
    }

    /// Value of a whole number.
    #[must_use]
    pub fn integer(&self, id: &str) -> usize {
        self.value(id).and_then(Value::as_u64).and_then(|value| usize::try_from(value).ok()).unwrap_or(0)
    }

    /// Value of a number.
    #[must_use]
    pub fn number(&self, id: &str) -> f64 {
        self.value(id).and_then(Value::as_f64).unwrap_or(0.0)
    }

    /// Id of the chosen option.
    #[must_use]
    pub fn choice(&self, id: &str) -> &str {
        self.value(id).and_then(Value::as_str).unwrap_or("")
    }

    /// Whether a flag is on.
    #[must_use]
    pub fn flag(&self, id: &str) -> bool {
        self.value(id).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Ids and values, in the order of the knobs.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(id, value)| (id.as_str(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::spec::Choice;

    const POOLS: &[Choice] = &[Choice::new("seq", "SeqPool"), Choice::new("mean", "mean")];

    fn knobs() -> Vec<Knob> {
        vec![
            Knob::integer("train", "Training images", "", [100, 1437], 300),
            Knob::choice("pool", "Pooling", "", POOLS, "seq"),
            Knob::flag("full", "Full set too", "", false),
        ]
    }

    fn turn(pairs: &[(&str, &str)]) -> (Knobs, Vec<Issue>) {
        let turned: Vec<_> = pairs.iter().map(|(id, value)| ((*id).to_owned(), (*value).to_owned())).collect();
        Knobs::new(&knobs(), &turned)
    }

    #[test]
    fn knobs_keep_their_defaults_unless_turned() {
        let (knobs, issues) = turn(&[("pool", "mean"), ("full", "true")]);
        assert!(issues.is_empty());
        assert_eq!((knobs.integer("train"), knobs.choice("pool"), knobs.flag("full")), (300, "mean", true));
    }

    #[test]
    fn what_does_not_fit_is_named_and_left_at_the_default() {
        let (knobs, issues) = turn(&[("train", "7"), ("pool", "max"), ("kernel", "3")]);
        assert_eq!((knobs.integer("train"), knobs.choice("pool")), (300, "seq"));
        let paths: Vec<&str> = issues.iter().map(|issue| issue.path.as_str()).collect();
        assert_eq!(paths, ["kernel", "train", "pool"]);
    }
}
