//! What can be turned before a study runs, as typed constants, and the values it was turned to.

use std::fmt::Debug;

use engine::figure;
use engine::spec::{Issue, Kind, Named};
use serde_json::Value;

/// Something about a study that can be turned, with a value of type `T`. A constant that the study lists.
pub struct Knob<T: 'static> {
    id: &'static str,
    label: &'static str,
    effect: &'static str,
    default: T,
    range: Option<[T; 2]>,
    control: fn(&Self) -> (Kind, String),
    read: fn(&Value) -> Option<T>,
}

impl Knob<usize> {
    /// A whole number in a range. `id`: as in links; `effect`: what turning it does, in one line.
    #[must_use]
    pub const fn integer(
        id: &'static str,
        label: &'static str,
        effect: &'static str,
        range: [usize; 2],
        default: usize,
    ) -> Self {
        let control: fn(&Self) -> (Kind, String) = |knob| {
            let [low, high] = knob.range.unwrap_or_default();
            (Kind::integer(low as u64, high as u64), knob.default.to_string())
        };
        let read: fn(&Value) -> Option<usize> = |value| usize::try_from(value.as_u64()?).ok();
        Self { id, label, effect, default, range: Some(range), control, read }
    }
}

impl Knob<f64> {
    /// A number in a range.
    #[must_use]
    pub const fn number(
        id: &'static str,
        label: &'static str,
        effect: &'static str,
        range: [f64; 2],
        default: f64,
    ) -> Self {
        let control: fn(&Self) -> (Kind, String) = |knob| {
            let [low, high] = knob.range.unwrap_or_default();
            (Kind::number(low, high), knob.default.to_string())
        };
        Self { id, label, effect, default, range: Some(range), control, read: Value::as_f64 }
    }
}

impl Knob<bool> {
    /// On or off.
    #[must_use]
    pub const fn flag(id: &'static str, label: &'static str, effect: &'static str, default: bool) -> Self {
        let control: fn(&Self) -> (Kind, String) = |knob| (Kind::Bool, knob.default.to_string());
        Self { id, label, effect, default, range: None, control, read: Value::as_bool }
    }
}

impl<T: Named> Knob<T> {
    /// One of the named values of a type; see [`crate::options`] for types of a study's own.
    #[must_use]
    pub const fn choice(id: &'static str, label: &'static str, effect: &'static str, default: T) -> Self {
        let control: fn(&Self) -> (Kind, String) = |knob| (Kind::choice(T::CHOICES), knob.default.id().to_owned());
        let read: fn(&Value) -> Option<T> = |value| T::from_id(value.as_str()?);
        Self { id, label, effect, default, range: None, control, read }
    }
}

/// A type of a study's own for [`Knob::choice`]: variants with their ids in links and labels on the page.
#[macro_export]
macro_rules! options {
    ($name:ident { $($variant:ident = $id:literal, $label:literal;)+ }) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum $name { $($variant),+ }

        impl engine::spec::Named for $name {
            const CHOICES: &'static [engine::spec::Choice] = &[$(engine::spec::Choice::new($id, $label)),+];

            fn id(self) -> &'static str {
                match self { $(Self::$variant => $id),+ }
            }

            fn from_id(id: &str) -> Option<Self> {
                match id { $($id => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

/// A knob of any type, as a study lists it.
pub trait AnyKnob: Sync {
    /// As in links.
    fn id(&self) -> &'static str;

    /// As the page shows it.
    fn control(&self) -> figure::Knob;
}

impl<T: Sync> AnyKnob for Knob<T> {
    fn id(&self) -> &'static str {
        self.id
    }

    fn control(&self) -> figure::Knob {
        let (kind, default) = (self.control)(self);
        let [id, label, effect] = [self.id, self.label, self.effect].map(str::to_owned);
        figure::Knob { id, label, effect, unit: String::new(), kind, default }
    }
}

impl Debug for dyn AnyKnob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id())
    }
}

/// Every knob of a study with its value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Knobs {
    values: Vec<(&'static str, Value)>,
}

impl Knobs {
    /// The defaults, but for the knobs that were `turned` (id and value, written as in a link). What cannot be used is
    /// left at its default and named.
    #[must_use]
    pub fn new(knobs: &[&'static dyn AnyKnob], turned: &[(String, String)]) -> (Self, Vec<Issue>) {
        let mut issues: Vec<Issue> = turned
            .iter()
            .filter(|(id, _)| knobs.iter().all(|knob| knob.id() != id))
            .map(|(id, _)| Issue::new(id, "this study has no such knob", ""))
            .collect();
        let value = |knob: &&'static dyn AnyKnob| {
            let figure::Knob { id, kind, default, .. } = knob.control();
            let wanted = turned.iter().rev().find(|(known, _)| *known == id);
            let value = wanted.and_then(|(_, text)| match kind.parse(text) {
                Ok(value) => Some(value),
                Err(message) => {
                    issues.push(Issue::new(&id, message, default.clone()));
                    None
                }
            });
            (knob.id(), value.or_else(|| kind.parse(&default).ok()).unwrap_or_default())
        };
        let values = knobs.iter().map(value).collect();
        (Self { values }, issues)
    }

    /// The value of a knob. One that the study does not list has its default; the tests of all studies fail on it.
    #[must_use]
    pub fn get<T: Copy>(&self, knob: &Knob<T>) -> T {
        let found = self.values.iter().find(|(id, _)| *id == knob.id);
        debug_assert!(found.is_some(), "the study does not list the knob “{}”", knob.id);
        found.and_then(|(_, value)| (knob.read)(value)).unwrap_or(knob.default)
    }

    /// Ids and values, in the order of the knobs.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(id, value)| (*id, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    options! {
        Pool {
            Seq = "seq", "SeqPool";
            Mean = "mean", "mean";
        }
    }

    const TRAIN: Knob<usize> = Knob::integer("train", "Training images", "", [100, 1437], 300);
    const POOL: Knob<Pool> = Knob::choice("pool", "Pooling", "", Pool::Seq);
    const FULL: Knob<bool> = Knob::flag("full", "Full set too", "", false);
    const STRANGER: Knob<f64> = Knob::number("eta", "eta", "", [0.0, 1.0], 0.5);

    fn turn(pairs: &[(&str, &str)]) -> (Knobs, Vec<Issue>) {
        let turned: Vec<_> = pairs.iter().map(|(id, value)| ((*id).to_owned(), (*value).to_owned())).collect();
        Knobs::new(&[&TRAIN, &POOL, &FULL], &turned)
    }

    #[test]
    fn knobs_keep_their_defaults_unless_turned() {
        let (knobs, issues) = turn(&[("pool", "mean"), ("full", "true")]);
        assert!(issues.is_empty());
        assert_eq!((knobs.get(&TRAIN), knobs.get(&POOL), knobs.get(&FULL)), (300, Pool::Mean, true));
    }

    #[test]
    fn what_does_not_fit_is_named_and_left_at_the_default() {
        let (knobs, issues) = turn(&[("train", "7"), ("pool", "max"), ("kernel", "3")]);
        assert_eq!((knobs.get(&TRAIN), knobs.get(&POOL)), (300, Pool::Seq));
        let paths: Vec<&str> = issues.iter().map(|issue| issue.path.as_str()).collect();
        assert_eq!(paths, ["kernel", "train", "pool"]);
        let (_, issues) = turn(&[("train", "-1"), ("pool", "mean")]);
        assert_eq!(issues[0].message, "must be a whole number from 100 to 1437, not “-1”");
    }

    #[test]
    #[should_panic(expected = "does not list the knob “eta”")]
    fn a_knob_that_is_not_listed_is_not_read() {
        let _ = turn(&[]).0.get(&STRANGER);
    }
}
