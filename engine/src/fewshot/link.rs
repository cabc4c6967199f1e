//! Sessions as links: `#fewshot?preset=live&ways=20`. Reading never fails: what is wrong becomes an [`Issue`], with a default
//! in its place.

use super::{FEWSHOT_PRESETS, FewshotSpec, SETTINGS, Source, fewshot_preset, setting};
use crate::spec::{Issue, Link, Page, excerpt};

/// Key of the preset in links.
const PRESET: &str = "preset";

/// A session as its link says it.
#[derive(Debug, Clone, PartialEq)]
pub struct FewshotLink {
    /// The preset that the rest is relative to, by id.
    pub preset: String,
    /// The session, fit to run.
    pub spec: FewshotSpec,
}

impl Default for FewshotLink {
    fn default() -> Self {
        Self::to_preset(FEWSHOT_PRESETS[0].id)
    }
}

/// The session that a link means, fit to run, and what had to be replaced by a default.
#[must_use]
pub fn read(link: &Link) -> (FewshotLink, Vec<Issue>) {
    let mut issues = link.issues.clone();
    let mut read = FewshotLink::default();
    for (i, (key, text)) in link.settings.iter().enumerate() {
        if link.settings[i + 1..].iter().any(|(later, _)| later == key) {
            let key = excerpt(key);
            issues.push(Issue::new(&key, format!("“{key}” is given twice; the last counts"), ""));
        } else if key == PRESET {
            match fewshot_preset(text) {
                Some(preset) => read = FewshotLink::to_preset(preset.id),
                None => {
                    let message = format!("There is no preset “{}”", excerpt(text));
                    issues.push(Issue::new(PRESET, message, read.preset.as_str()));
                }
            }
        }
    }
    // In the table's order, whatever that of the link, so that one link means one session.
    for setting in SETTINGS {
        if let Some((key, text)) = link.settings.iter().rfind(|(key, _)| key == setting.key)
            && let Err(issue) = read.spec.set(key, text)
        {
            issues.push(issue);
        }
    }
    for (key, _) in link.settings.iter().filter(|(key, _)| key != PRESET && setting(key).is_none()) {
        let key = excerpt(key);
        issues.push(Issue::new(&key, format!("The few-shot lab has no “{key}”"), ""));
    }
    issues.extend(read.spec.mend());
    (read, issues)
}

impl FewshotLink {
    /// A preset with nothing changed; the first one's if there is none of that id.
    #[must_use]
    pub fn to_preset(id: &str) -> Self {
        let preset = fewshot_preset(id).unwrap_or(&FEWSHOT_PRESETS[0]);
        Self { preset: preset.id.into(), spec: preset.spec() }
    }

    /// The link that gives this session back: what differs from its preset.
    #[must_use]
    pub fn link(&self) -> Link {
        let base = Self::to_preset(&self.preset);
        let mut settings = vec![(PRESET.to_owned(), base.preset)];
        for setting in SETTINGS {
            if let (Some(value), Some(usual)) = (self.spec.get(setting.key), base.spec.get(setting.key))
                && value != usual
            {
                settings.push((setting.key.into(), value));
            }
        }
        Link::to_page(Page::Fewshot, settings)
    }
}

impl FewshotSpec {
    /// Rules between the settings: what does not fit is replaced, and said.
    pub fn mend(&mut self) -> Vec<Issue> {
        let mut issues = Vec::new();
        let examples = self.ways * (self.shots + self.queries);
        // All pairs of a task's examples are compared.
        if examples > MAX_EXAMPLES {
            self.queries = (MAX_EXAMPLES / self.ways).saturating_sub(self.shots).max(1);
            self.shots = self.shots.min((MAX_EXAMPLES / self.ways).saturating_sub(1).max(1));
            let message =
                format!("A task of {examples} examples is more than the {MAX_EXAMPLES} that are compared at once");
            issues.push(Issue::new("queries", message, self.queries.to_string()));
        }
        if self.data == Source::Own && self.embedding.trains() {
            // Own pictures have no base classes.
            self.embedding = super::Embedding::Shipped;
            let message = "Own pictures are too few to train an encoder; the shipped one sees them";
            issues.push(Issue::new("embedding", message, "shipped"));
        }
        if self.data.coloured() && self.embedding == super::Embedding::Shipped {
            self.embedding = super::Embedding::Prototypical;
            let message = "The shipped encoder has seen letters alone; pictures in colour train one of their own";
            issues.push(Issue::new("embedding", message, "prototypical"));
        }
        issues
    }
}

/// Most examples of a task.
const MAX_EXAMPLES: usize = 4000;
