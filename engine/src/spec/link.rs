//! Links: a run (or another page of the lab) as the readable part of a URL after `#`, or as JSON.
//!
//! `#lab?preset=gpt&model.depth=4&schedule.peak=0.002&v=2` carries what differs from the preset, in the order of
//! [`FIELDS`]. `v` is the version that it was written in, and keeps its meaning; a link without one is as new as can be.
//! Reading never fails: what is wrong becomes an [`Issue`], with a default in its place.

use serde_json::Value;

use super::control::{excerpt, show};
use super::{Edit, FIELDS, Issue, PRESETS, Preset, RunSpec, preset};
use crate::pairs::Pairs;
use crate::tree::{self, FromTree};

/// Version of the links written here.
pub const LINK_VERSION: u32 = 2;

/// The version since which an update rule comes with its usual numbers. Before, it kept those of the recipe that it was
/// chosen in.
pub(super) const USUAL_NUMBERS: u32 = 2;

/// Longest link or JSON that is read, in bytes.
pub const MAX_LINK_BYTES: usize = 64 * 1024;

/// Longest task that a link may ask for, in bytes.
pub const MAX_TASK: usize = 600;

/// So many single complaints about a link are worth reading.
const MAX_ISSUES: usize = 20;

/// A page of the lab.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Page {
    /// The lab itself.
    #[default]
    Lab,
    /// A grid of runs.
    Sweep,
    /// Tasks learned one after another.
    Continual,
    /// The gallery of studies.
    Studies,
    /// One study, by its number.
    Study(u32),
    /// The few-shot lab; see [`crate::fewshot`].
    Fewshot,
    /// A lesson in the lab, or the list of all; see [`crate::lesson`].
    Lesson,
    /// The bench.
    Bench,
}

/// What a link to a sweep says beside its recipe; see [`Sweep`](crate::sweep::Sweep).
pub const SWEEP_SETTINGS: &[&str] = &["x", "y", "target", "budget", "seeds"];

/// The preset of a sweep whose link names none: small enough to be run some hundred times.
const SWEEP_PRESET: &str = "tanh-mlp";

impl Page {
    /// Whether its links carry a recipe.
    #[must_use]
    pub const fn has_recipe(self) -> bool {
        matches!(self, Self::Lab | Self::Sweep)
    }

    /// Whether the studies' program computes for it.
    #[must_use]
    pub const fn of_studies(self) -> bool {
        matches!(self, Self::Study(_) | Self::Fewshot | Self::Continual)
    }

    /// Whether a pair of its links is a setting of the page, not a part of the recipe or of every link.
    fn is_setting(self, key: &str) -> bool {
        match self {
            Self::Lab => false,
            Self::Sweep => SWEEP_SETTINGS.contains(&key),
            _ => !matches!(key, "v" | "hide" | "task" | "embed" | "present"),
        }
    }

    /// As in links: `study/15`.
    #[must_use]
    pub fn route(self) -> String {
        match self {
            Self::Lab => "lab".into(),
            Self::Sweep => "sweep".into(),
            Self::Continual => "continual".into(),
            Self::Studies => "studies".into(),
            Self::Study(id) => format!("study/{id}"),
            Self::Fewshot => "fewshot".into(),
            Self::Lesson => "lesson".into(),
            Self::Bench => "bench".into(),
        }
    }

    fn read(route: &str) -> Option<Self> {
        Some(match route.trim_matches('/') {
            "" | "lab" => Self::Lab,
            "sweep" => Self::Sweep,
            "continual" => Self::Continual,
            "studies" => Self::Studies,
            "fewshot" => Self::Fewshot,
            "lesson" => Self::Lesson,
            "bench" => Self::Bench,
            study => Self::Study(study.strip_prefix("study/")?.parse().ok()?),
        })
    }
}

/// What a link says.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// Where it leads.
    pub page: Page,
    /// Lab, sweep: the preset that the rest is relative to, by id.
    pub preset: String,
    /// Lab, sweep: the run; fit to run.
    pub spec: RunSpec,
    /// Controls (`model.depth`), groups (`optimizer`) and panels that are not shown, so that a class sees few.
    pub hide: Vec<String>,
    /// What whoever opens it is asked to do; may be empty.
    pub task: String,
    /// Whether it is shown within another page, without a header.
    pub embed: bool,
    /// Whether it is shown to a class: type grows with the screen.
    pub present: bool,
    /// The version of the text, by which it means what it means.
    pub version: u32,
    /// Other pages: their settings, such as a study's knobs, in the order of the link.
    pub settings: Vec<(String, String)>,
    /// What was wrong with the text, and what was used instead.
    pub issues: Vec<Issue>,
}

impl Default for Link {
    fn default() -> Self {
        Self::to_preset(&PRESETS[0])
    }
}

impl Link {
    /// The lab with a preset, nothing changed.
    #[must_use]
    pub fn to_preset(preset: &Preset) -> Self {
        Self {
            page: Page::Lab,
            preset: preset.id.into(),
            spec: preset.spec(),
            hide: Vec::new(),
            task: String::new(),
            embed: false,
            present: false,
            version: LINK_VERSION,
            settings: Vec::new(),
            issues: Vec::new(),
        }
    }

    /// Another page with its settings.
    #[must_use]
    pub fn to_page(page: Page, settings: Vec<(String, String)>) -> Self {
        let start = if page == Page::Sweep { preset(SWEEP_PRESET) } else { None };
        Self { page, settings, ..start.map_or_else(Self::default, Self::to_preset) }
    }

    /// Reads a full URL, its part after `#`, a bare `lab?data=mnist`, or JSON (a whole spec or any part of one, with an
    /// optional `preset`). Never fails; see [`Link::issues`].
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let mut reader = Reader::default();
        if text.len() > MAX_LINK_BYTES {
            reader.complain(
                "",
                format!("This link has {} bytes; links of more than {MAX_LINK_BYTES} are not read", text.len()),
            );
            return reader.finish(Page::Lab);
        }
        if text.starts_with('{') {
            reader.json(text);
            return reader.finish(Page::Lab);
        }
        let fragment = match text.split_once('#') {
            Some((_, fragment)) => fragment,
            // An address without a fragment is the lab's own.
            None if text.contains("://") => "",
            None => text,
        };
        let (route, query) = match fragment.split_once('?') {
            Some(parts) => parts,
            None if fragment.contains('=') => ("lab", fragment),
            None => (fragment, ""),
        };
        let page = Page::read(route).unwrap_or_else(|| {
            reader.complain("", format!("There is no page “{}”", excerpt(route)));
            Page::Lab
        });
        reader.query(query);
        reader.finish(page)
    }

    /// The same as a link of the newest version. A sweep stays as it is: the values of its axes mean what they mean by its own.
    #[must_use]
    pub fn renewed(self) -> Self {
        if self.page == Page::Sweep { self } else { Self { version: LINK_VERSION, ..self } }
    }

    /// The link's text, from `#` on; the inverse of [`Link::parse`].
    #[must_use]
    pub fn fragment(&self) -> String {
        let mut pairs: Vec<(&str, String)> = Vec::new();
        if self.page.has_recipe() {
            let base = preset(&self.preset).unwrap_or(&PRESETS[0]);
            pairs.push(("preset", base.id.into()));
            pairs.extend(super::names::changes(&base.spec(), &self.spec, self.version));
            for edit in &self.spec.edits {
                pairs.push(("edit", format!("{}:{}={}", edit.step, edit.path, edit.value)));
            }
        }
        for (key, value) in &self.settings {
            pairs.push((key, value.clone()));
        }
        if !self.hide.is_empty() {
            pairs.push(("hide", self.hide.join(",")));
        }
        if !self.task.is_empty() {
            pairs.push(("task", self.task.clone()));
        }
        for (key, on) in [("embed", self.embed), ("present", self.present)] {
            if on {
                pairs.push((key, "1".into()));
            }
        }
        let mut text = format!("#{}", self.page.route());
        if pairs.is_empty() {
            return text;
        }
        pairs.push(("v", self.version.to_string()));
        for (i, (key, value)) in pairs.iter().enumerate() {
            text.push(if i == 0 { '?' } else { '&' });
            escape(key, &mut text);
            text.push('=');
            escape(value, &mut text);
        }
        text
    }
}

/// Pairs on their way from text to a [`Link`].
#[derive(Default)]
struct Reader {
    pairs: Vec<(String, String)>,
    issues: Vec<Issue>,
    unread: usize,
}

impl Reader {
    fn complain(&mut self, path: &str, message: String) {
        self.issue(Issue::new(path, message, ""));
    }

    fn issue(&mut self, issue: Issue) {
        if self.issues.len() < MAX_ISSUES {
            self.issues.push(issue);
        } else {
            self.unread += 1;
        }
    }

    fn query(&mut self, query: &str) {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (unescape(key), unescape(value)) {
                (Some(key), Some(value)) if pair.contains('=') => self.pairs.push((key, value)),
                (Some(key), Some(_)) => {
                    self.complain(&excerpt(&key), format!("“{}” has no value; is the link cut off?", excerpt(&key)))
                }
                _ => self.complain("", format!("“{}” is not readable; is the link cut off?", excerpt(pair))),
            }
        }
    }

    fn json(&mut self, text: &str) {
        match tree::parse::<Value>(text) {
            Ok(value) => {
                self.flatten(String::new(), &value);
                let known =
                    |key: &str| matches!(key, "preset" | "edit") || FIELDS.iter().any(|field| field.path == key);
                if !self.pairs.iter().any(|(key, _)| known(key)) {
                    self.complain("", "This JSON holds no part of a recipe".into());
                }
            }
            Err(error) => self.complain("", format!("This JSON cannot be read: {error}")),
        }
    }

    /// `{"model": {"kind": "cct", "depth": 2}}` becomes `model=cct`, `model.depth=2`.
    fn flatten(&mut self, path: String, value: &Value) {
        match value {
            Value::Object(entries) => {
                for (key, value) in entries {
                    let key = match (path.as_str(), key.as_str()) {
                        ("", key) => key.to_owned(),
                        (group, "kind" | "set") => group.to_owned(),
                        (group, key) => format!("{group}.{key}"),
                    };
                    self.flatten(key, value);
                }
            }
            Value::Array(edits) if path == "edits" => {
                for edit in edits {
                    let text = match Edit::from_tree(edit) {
                        Ok(Edit { step, path, value }) => format!("{step}:{path}={value}"),
                        Err(_) => show(edit),
                    };
                    self.pairs.push(("edit".into(), text));
                }
            }
            value => self.pairs.push((path, show(value))),
        }
    }

    fn finish(mut self, page: Page) -> Link {
        let mut link = Link::to_page(page, Vec::new());
        let mut values: Pairs<String, String> = Pairs::default();
        let mut edits = Vec::new();
        for (key, value) in std::mem::take(&mut self.pairs) {
            if page.is_setting(&key) {
                link.settings.push((key, value));
            } else if key == "edit" {
                edits.push(value);
            } else if values.insert(key.clone(), value).is_some() {
                let key = excerpt(&key);
                self.complain(&key, format!("“{key}” is given twice; the last counts"));
            }
        }
        if let Some(version) = values.remove("v") {
            match version.parse() {
                Ok(known @ 1..=LINK_VERSION) => link.version = known,
                _ => {
                    let shown = excerpt(&version);
                    let known = format!("not one up to {LINK_VERSION}; what is known was taken from it");
                    self.complain("v", format!("This link is of version “{shown}”, {known}"));
                }
            }
        }
        if let Some(hide) = values.remove("hide") {
            link.hide = hide.split(',').filter(|path| !path.is_empty()).map(str::to_owned).collect();
        }
        if let Some(task) = values.remove("task") {
            let end = task.floor_char_boundary(MAX_TASK);
            if end < task.len() {
                self.complain("task", format!("The task is longer than {MAX_TASK} bytes and was cut off"));
            }
            link.task = task[..end].to_owned();
        }
        [link.embed, link.present] = ["embed", "present"].map(|key| values.remove(key).is_some_and(|on| on == "1"));
        if let Some(id) = values.remove("preset") {
            match preset(&id) {
                Some(preset) => {
                    link.preset = preset.id.into();
                    link.spec = preset.spec();
                }
                None => self.issue(Issue::new(
                    "preset",
                    format!("There is no preset “{}”", excerpt(&id)),
                    link.preset.as_str(),
                )),
            }
        }
        // In the table's order: a kind comes before the fields it brings.
        for field in FIELDS {
            let Some(value) = values.remove(field.path) else { continue };
            if let Err(issue) = link.spec.set_as_of(link.version, field.path, &value) {
                self.issue(issue);
            }
        }
        for path in values.into_keys() {
            let path = excerpt(&path);
            self.complain(&path, format!("There is no control “{path}”"));
        }
        for edit in edits {
            match read_edit(&edit) {
                Some(edit) => link.spec.edits.push(edit),
                None => {
                    self.complain("edit", format!("“{}” is not an edit such as 120:batch.size=256", excerpt(&edit)))
                }
            }
        }
        for issue in link.spec.sanitize() {
            self.issue(issue);
        }
        if self.unread > 0 {
            let message = format!("and {} more problems with this link", self.unread);
            self.issues.push(Issue::new("", message, ""));
        }
        link.issues = self.issues;
        link
    }
}

/// `120:batch.size=256`.
fn read_edit(text: &str) -> Option<Edit> {
    let (step, change) = text.split_once(':')?;
    let (path, value) = change.split_once('=')?;
    Some(Edit { step: step.parse().ok()?, path: path.into(), value: value.into() })
}

/// Percent-encodes all but what every program leaves alone in a fragment, and what keeps values readable.
fn escape(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~,:/=".contains(&byte) {
            into.push(char::from(byte));
        } else {
            let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value)]);
            into.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// The inverse of [`escape`]; `None` if a `%` is not followed by two digits or the bytes are not UTF-8.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            bytes.push((digit()? * 16 + digit()?) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
