//! Links to a session: `#continual?stream=split-mnist&strategies=fine-tuning,replay&memory=1000`.
//!
//! A link carries what differs from its preset. Reading never fails: what is wrong becomes an [`Issue`], with a default in
//! its place.

use super::{
    Arm, ContinualSpec, FIELDS, MAX_ARMS, MAX_STARTED, Scenario, Strategy, StrategyRow, StreamKind, field, preset,
    setting,
};
use super::{Network, SETTINGS};
use crate::numeric::by_key;
use crate::spec::{Issue, Link, Page, excerpt, show};

/// The key of the arms in links.
const ARMS: &str = "strategies";

impl ContinualSpec {
    /// The session that a link means, fit to run as far as can be told without its data, and what had to be replaced by a
    /// default.
    #[must_use]
    pub fn read(link: &Link) -> (Self, Vec<Issue>) {
        let mut issues = link.issues.clone();
        let mut spec = Self::default();
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for (key, text) in &link.settings {
            if let Some(pair) = pairs.iter_mut().find(|(known, _)| known == key) {
                pair.1 = text;
                issues.push(Issue::new(key, format!("“{}” is given twice; the last counts", excerpt(key)), ""));
            } else {
                pairs.push((key, text));
            }
        }
        if let Some((_, id)) = pairs.iter().find(|(key, _)| *key == "preset") {
            match preset(id) {
                Some(preset) => spec = preset.spec(),
                None => issues.push(Issue::new("preset", format!("There is no preset “{}”", excerpt(id)), "")),
            }
        }
        // In the table's order: a stream comes before what it brings.
        let place = |key: &str| FIELDS.iter().position(|field| field.path == key).unwrap_or(FIELDS.len());
        for (key, text) in by_key(pairs, &|(key, _)| place(key) as u64).into_iter().filter(|(key, _)| *key != "preset")
        {
            spec.take(key, text, &mut issues);
        }
        spec.mend(&mut issues);
        (spec, issues)
    }

    /// Takes a pair of a link.
    fn take(&mut self, key: &str, text: &str, issues: &mut Vec<Issue>) {
        if key == ARMS {
            return self.take_arms(text, issues);
        }
        let problem = if let Some(setting) = setting(key) {
            let value = setting.kind.parse(text).map(|value| value.as_f64().unwrap_or(setting.default));
            value.map(|value| self.turn(key, value)).err().map(|problem| format!("“{key}” {problem}"))
        } else if field(key).is_some() {
            self.set(key, text).err().map(|problem| format!("“{key}” {problem}"))
        } else {
            Some(format!("A continual session has no “{}”", excerpt(key)))
        };
        if let Some(problem) = problem {
            let used = self.get(key).or_else(|| self.turned(key)).unwrap_or_default();
            issues.push(Issue::new(&excerpt(key), problem, used));
        }
    }

    fn take_arms(&mut self, text: &str, issues: &mut Vec<Issue>) {
        let mut arms: Vec<Arm> = Vec::new();
        for text in text.split(',').filter(|text| !text.trim().is_empty()) {
            match Arm::read(text) {
                Ok(arm) if arms.contains(&arm) => {
                    issues.push(Issue::new(ARMS, format!("{} is there twice; once counts", arm.label()), ""));
                }
                Ok(arm) => arms.push(arm),
                Err(problem) => issues.push(Issue::new(ARMS, problem + "; it is left out", "")),
            }
        }
        if arms.is_empty() {
            self.arms = Self::default().arms;
            issues.push(Issue::new(ARMS, "No strategy is left; the usual four run", self.arms_text()));
        } else {
            self.arms = arms;
        }
    }

    /// Gives a setting of strategies a value for all arms.
    pub fn turn(&mut self, id: &str, value: f64) {
        self.values.retain(|(known, _)| known != id);
        if setting(id).is_some_and(|setting| setting.default != value) {
            self.values.push((id.to_owned(), value));
        }
    }

    /// The session's value of a setting of strategies, written as in a link; none of an unknown one.
    #[must_use]
    pub fn turned(&self, id: &str) -> Option<String> {
        let usual = setting(id)?.default;
        let value = self.values.iter().find(|(known, _)| known == id).map_or(usual, |(_, value)| *value);
        Some(written(value))
    }

    /// The arms as in links.
    #[must_use]
    pub fn arms_text(&self) -> String {
        self.arms.iter().map(Arm::text).collect::<Vec<_>>().join(",")
    }

    /// Rules between the controls, as far as no data are needed.
    fn mend(&mut self, issues: &mut Vec<Issue>) {
        let started = self.arms.iter().filter(|arm| arm.legs.len() == 1).count();
        if started > MAX_STARTED || self.arms.len() > MAX_ARMS {
            self.arms.truncate(MAX_STARTED);
            let message = format!("At most {MAX_STARTED} strategies run side by side; the first ones do");
            issues.push(Issue::new(ARMS, message, self.arms_text()));
        }
        if let Some(classes) = self.stream.classes().filter(|_| self.stream.splits_classes()) {
            self.fit_tasks(classes, issues);
        }
        if self.stream == StreamKind::Sets && self.tasks != 3 {
            self.tasks = 3;
            issues.push(Issue::new("tasks", "Three data sets are three tasks", "3"));
        }
        if !self.stream.splits_classes() && self.stream != StreamKind::Sets && self.scenario == Scenario::Class {
            self.scenario = Scenario::Domain;
            let message = "All tasks of this stream have the same classes: it is domain-incremental";
            issues.push(Issue::new("scenario", message, self.scenario.id()));
        }
        if self.network.sees_pictures() && (self.stream == StreamKind::OwnTime || self.hidden.is_empty()) {
            let what = if self.network == Network::Cct {
                "CCT needs pictures and blocks"
            } else {
                "convnet needs pictures and channels"
            };
            let message = format!("A {what}; an MLP learns");
            self.network = Network::Mlp;
            issues.push(Issue::new("network", message, self.network.id()));
        }
        let first = self.hidden.first().copied().unwrap_or(0);
        if self.network == Network::Cct && self.hidden.iter().any(|&width| width != first) {
            self.hidden.fill(first);
            let message = "All blocks of a CCT are of one width: the first counts";
            issues.push(Issue::new("hidden", message, self.get("hidden").unwrap_or_default()));
        }
        self.leave_out(issues, |spec, row| match row.only {
            Some(only) if only != spec.scenario => Some(format!("works on {} streams alone", only.label())),
            _ if row.convolves && spec.network != Network::Convnet => Some("needs a convnet as network".to_owned()),
            _ => None,
        });
    }

    /// Leaves out the arms with a strategy for which there is a reason, and says so.
    fn leave_out(&mut self, issues: &mut Vec<Issue>, reason: impl Fn(&Self, &StrategyRow) -> Option<String>) {
        let unfit = |arm: &Arm| arm.legs.iter().find_map(|leg| Some((leg.strategy, reason(self, leg.strategy.row())?)));
        let found: Vec<(usize, (Strategy, String))> =
            self.arms.iter().enumerate().filter_map(|(place, arm)| Some((place, unfit(arm)?))).collect();
        for (place, (strategy, reason)) in found.into_iter().rev() {
            self.arms.remove(place);
            if self.arms.is_empty() {
                self.arms = vec![Arm::new(Strategy::Replay)];
            }
            let message = format!("{} {reason}: it is left out", strategy.label());
            issues.push(Issue::new(ARMS, message, self.arms_text()));
        }
    }

    /// Brings the number of tasks down to that of the classes, of which each task has one at least.
    pub fn fit_tasks(&mut self, classes: usize, issues: &mut Vec<Issue>) {
        if self.tasks > classes {
            let message = format!("{} tasks are more than the {classes} classes", self.tasks);
            self.tasks = classes.max(1);
            issues.push(Issue::new("tasks", message, self.tasks.to_string()));
        }
    }

    /// The link that gives this session back.
    #[must_use]
    pub fn link(&self) -> Link {
        let from = preset(&self.preset).map(|preset| preset.spec()).unwrap_or_default();
        let mut pairs: Vec<(String, String)> = Vec::new();
        if !self.preset.is_empty() {
            pairs.push(("preset".into(), self.preset.clone()));
        }
        let mut told = from.clone();
        for field in FIELDS {
            let Some(value) = self.get(field.path).filter(|value| told.get(field.path).as_ref() != Some(value)) else {
                continue;
            };
            // What a stream brings need not be said.
            let _ = told.set(field.path, &value);
            pairs.push((field.path.into(), value));
        }
        if self.arms != from.arms {
            pairs.push((ARMS.into(), self.arms_text()));
        }
        for setting in SETTINGS {
            let value = self.turned(setting.id);
            if let Some(value) = value.filter(|value| from.turned(setting.id).as_ref() != Some(value)) {
                pairs.push((setting.id.into(), value));
            }
        }
        Link::to_page(Page::Continual, pairs)
    }
}

/// A number as in links.
fn written(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e9 { (value as i64).to_string() } else { show(&value.into()) }
}
