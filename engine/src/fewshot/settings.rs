//! The table of settings: every field of [`FewshotSpec`], described once. Links and the page's controls derive from it.

use serde_json::Value;

use super::{Embedding, FewshotSpec, Method, Source, Style};
use crate::spec::{Issue, Kind, MAX_SAFE_INTEGER, excerpt, show};
use crate::text::Text;
use crate::tree::FromTree;

/// One setting of a session.
#[derive(Debug, PartialEq)]
pub struct Setting {
    /// As in links, and the field's name.
    pub key: &'static str,
    /// As on the page.
    pub label: &'static str,
    /// Unit of its values; may be empty.
    pub unit: &'static str,
    /// The values it takes. Methods to be compared: their ids, separated by commas.
    pub kind: Kind,
    /// What turning it does, in one line.
    pub effect: Text,
    /// Which part of the page it belongs to: `data`, `task`, `method`, `embedding` or `own`.
    pub group: &'static str,
}

impl Setting {
    /// Whether it has an effect in this session, so that its control is worth showing. Those of methods count where the
    /// method that is shown, or one that is compared, listens to them.
    #[must_use]
    pub fn applies(&self, spec: &FewshotSpec) -> bool {
        let own = spec.data == Source::Own;
        match self.key {
            "support_style" | "query_style" => spec.data == Source::Emoji,
            "alarm" => own,
            "warp" | "ways" | "shots" | "queries" | "alpha" | "tasks" | "compare" => !own,
            "base" | "updates" | "seconds" | "rate" => spec.embedding.trains(),
            "episode_ways" | "episode_shots" | "episode_queries" => spec.embedding == Embedding::Prototypical,
            key if self.group == "method" && key != "method" => {
                // Nothing is compared on own pictures.
                let compared = if own { &[][..] } else { &spec.compare };
                std::iter::once(&spec.method).chain(compared).any(|method| method.row().settings.contains(&key))
            }
            _ => true,
        }
    }
}

const fn row(
    group: &'static str,
    key: &'static str,
    label: &'static str,
    unit: &'static str,
    kind: Kind,
    effect: &'static str,
) -> Setting {
    Setting { key, label, unit, kind, effect: Text::new(effect), group }
}

/// Every setting, in the order of the page.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    row("data", "data", "classes", "", Kind::choice(Source::CHOICES), "where pictures come from"),
    row("data", "warp", "warp", "×", Kind::number(0.0, 2.0), "turns, scales, shears, shifts and bends pictures; without, one example is nearly enough"),
    row("data", "support_style", "support drawn in", "", Kind::choice(Style::CHOICES), "art style of the labelled examples"),
    row("data", "query_style", "queries drawn in", "", Kind::choice(Style::CHOICES), "art style of what is to be classified: another one is a domain shift"),
    row("task", "ways", "ways", "classes", Kind::Integer { min: 2, max: 200, slider: [2, 20], log: false }, "more classes, harder tasks"),
    row("task", "shots", "shots", "a class", Kind::Integer { min: 1, max: 50, slider: [1, 20], log: false }, "labelled examples; more give better prototypes"),
    row("task", "queries", "queries", "a class", Kind::Integer { min: 1, max: 100, slider: [1, 30], log: false }, "what is to be classified; transductive methods learn from it"),
    row("task", "alpha", "balance α", "", Kind::log_number(0.0, 100.0, [0.1, 100.0]), "how even queries are over classes (Dirichlet); 0 = exactly, which flatters transductive methods"),
    row("task", "tasks", "tasks", "", Kind::log_integer(2, 20_000, [10, 2000]), "over how many tasks methods are compared; more are surer"),
    row("method", "method", "method", "", Kind::choice(Method::CHOICES), "classifies the queries of the task that is shown"),
    row("method", "compare", "compared", "", Kind::Text { max_len: 400 }, "methods that run on the same tasks; the first is what the others are measured against"),
    row("method", "lambda", "λ", "", Kind::number(0.0, 5.0), "how much neighbours count; 0 = not at all"),
    row("method", "knn", "graph neighbours", "", Kind::integer(2, 20), "neighbours of each example in the graph, itself included"),
    row("method", "neighbours", "k", "", Kind::integer(1, 50), "support examples that vote"),
    row("method", "temperature", "sharpness", "×", Kind::log_number(0.1, 100.0, [1.0, 100.0]), "factor on similarities before they become votes"),
    row("method", "ridge", "ridge", "", Kind::log_number(1e-4, 1e4, [1e-3, 1e2]), "penalty on the head's length"),
    row("method", "iterations", "iterations", "", Kind::log_integer(1, 2000, [10, 1000]), "steps of descent of a fitted head"),
    row("method", "clamp", "support stays", "", Kind::Bool, "labelled examples keep their class in every iteration; off = as in the published code"),
    row("embedding", "embedding", "embedding", "", Kind::choice(Embedding::CHOICES), "turns a picture into the vector that methods compare"),
    row("embedding", "base", "base classes", "", Kind::log_integer(0, 2000, [10, 2000]), "classes that the encoder learns from; 0 = all"),
    row("embedding", "updates", "updates", "", Kind::log_integer(1, 1_000_000, [10, 10_000]), "of the encoder's training"),
    row("embedding", "seconds", "time limit", "s", Kind::number(0.0, 86_400.0), "ends training early, which another machine does elsewhere; 0 = none"),
    row("embedding", "rate", "learning rate", "", Kind::log_number(1e-6, 1.0, [1e-4, 1e-1]), "of Adam; it falls along a cosine"),
    row("embedding", "episode_ways", "ways in training", "classes", Kind::integer(2, 100), "of a training episode; more make harder episodes"),
    row("embedding", "episode_shots", "shots in training", "a class", Kind::integer(1, 10), "of a training episode"),
    row("embedding", "episode_queries", "queries in training", "a class", Kind::integer(1, 20), "of a training episode"),
    row("own", "alarm", "false alarms", "share", Kind::number(0.001, 0.5), "share of known pictures that may be taken for none of these"),
    row("task", "seed", "seed", "", Kind::Integer { min: 0, max: MAX_SAFE_INTEGER, slider: [1, 100], log: false }, "another number, other tasks"),
];

/// The setting of that key.
#[must_use]
pub fn setting(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

impl FewshotSpec {
    /// The value of a setting, written as in a link; `None` of an unknown key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<String> {
        setting(key)?;
        tree(self).get(key).map(show)
    }

    /// Turns a setting.
    ///
    /// # Errors
    /// An [`Issue`] at the key if there is no such setting or the value is not one of its; the spec is then unchanged.
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), Issue> {
        let Some(setting) = setting(key) else {
            let shown = excerpt(key);
            return Err(Issue::new(&shown, format!("The few-shot lab has no “{shown}”"), ""));
        };
        let refuse = |problem: String| {
            Issue::new(key, format!("“{}” {problem}", setting.label), self.get(key).unwrap_or_default())
        };
        let mut value = setting.kind.parse(text).map_err(refuse)?;
        if key == "compare" {
            let mut methods: Vec<&str> = Vec::new();
            for id in text.split(',').map(str::trim).filter(|id| !id.is_empty()) {
                if Method::from_id(id).is_none() {
                    return Err(refuse(format!("has no method “{}”", excerpt(id))));
                }
                if !methods.contains(&id) {
                    methods.push(id);
                }
            }
            if methods.is_empty() {
                return Err(refuse("needs at least one method".into()));
            }
            value = methods.into();
        }
        let mut tree = tree(self);
        if let Some(place) = tree.get_mut(key) {
            *place = value;
        }
        *self = Self::from_tree(&tree).map_err(|error| refuse(format!("was refused: {error}")))?;
        Ok(())
    }
}

/// The spec as JSON.
fn tree(spec: &FewshotSpec) -> Value {
    crate::tree::of(spec)
}
