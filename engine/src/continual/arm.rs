//! What learns a stream: a strategy, or several after one another.

use super::{Strategy, setting};
use crate::spec::{excerpt, show, show_number};

/// A strategy with settings of its own, from an update on.
#[derive(Debug, Clone, PartialEq)]
pub struct Leg {
    /// Updates done when it takes over; 0 for the first leg.
    pub from: u64,
    /// Which strategy.
    pub strategy: Strategy,
    /// Settings that differ from those of the session, by id.
    pub values: Vec<(String, f64)>,
}

/// What learns a stream from its start. In links `fine-tuning`, `replay:memory=500`, or, with a change of strategy after 400
/// updates, `fine-tuning/400/ewc:lambda=50`.
#[derive(Debug, Clone, PartialEq)]
pub struct Arm {
    /// Its strategies, by ascending [`Leg::from`]; not empty.
    pub legs: Vec<Leg>,
}

impl Leg {
    /// A strategy with the session's settings, from an update on.
    #[must_use]
    pub const fn new(from: u64, strategy: Strategy) -> Self {
        Self { from, strategy, values: Vec::new() }
    }

    /// Reads `replay:memory=500`.
    fn read(from: u64, text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let id = parts.next().unwrap_or_default().trim();
        let strategy = Strategy::from_id(id).ok_or_else(|| format!("There is no strategy “{}”", excerpt(id)))?;
        let mut leg = Self::new(from, strategy);
        for part in parts {
            let (id, value) =
                part.split_once('=').ok_or_else(|| format!("“{}” is no setting such as memory=500", excerpt(part)))?;
            leg.set(id.trim(), value)?;
        }
        Ok(leg)
    }

    /// Gives it a value of its own for a setting.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence; nothing is changed then.
    pub fn set(&mut self, id: &str, text: &str) -> Result<(), String> {
        let known = setting(id).filter(|_| self.strategy.has(id));
        let known = known.ok_or_else(|| format!("{} has no “{}”", self.strategy.label(), excerpt(id)))?;
        let value = known.kind.parse(text).map_err(|problem| format!("“{id}” {problem}"))?;
        let value = value.as_f64().ok_or_else(|| format!("“{id}” must be a number"))?;
        self.values.retain(|(own, _)| own != id);
        self.values.push((id.to_owned(), value));
        Ok(())
    }

    /// As in links.
    #[must_use]
    pub fn text(&self) -> String {
        let own = self.values.iter().map(|(id, value)| format!(":{id}={}", show(&(*value).into())));
        std::iter::once(self.strategy.id().to_owned()).chain(own).collect()
    }

    /// As on the page: the strategy, and what it has of its own.
    #[must_use]
    pub fn label(&self) -> String {
        let own: Vec<String> = self
            .values
            .iter()
            .filter_map(|(id, value)| Some(format!("{} {}", setting(id)?.label, show_number(*value))))
            .collect();
        if own.is_empty() {
            self.strategy.label().into()
        } else {
            format!("{} ({})", self.strategy.label(), own.join(", "))
        }
    }
}

impl Arm {
    /// A strategy from the start.
    #[must_use]
    pub fn new(strategy: Strategy) -> Self {
        Self { legs: vec![Leg::new(0, strategy)] }
    }

    /// Reads an arm as in links.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut parts = text.split('/');
        let mut arm = Self { legs: vec![Leg::read(0, parts.next().unwrap_or_default())?] };
        while let Some(from) = parts.next() {
            let update = from.trim().parse().ok().filter(|update| arm.last().from < *update);
            let update = update.ok_or_else(|| format!("“{}” is no later update", excerpt(from)))?;
            let strategy =
                parts.next().ok_or_else(|| format!("“{}” names no strategy after the change", excerpt(text)))?;
            arm.legs.push(Leg::read(update, strategy)?);
        }
        Ok(arm)
    }

    /// As in links.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for leg in &self.legs {
            if leg.from > 0 {
                text += &format!("/{}/", leg.from);
            }
            text += &leg.text();
        }
        text
    }

    /// As on the page.
    #[must_use]
    pub fn label(&self) -> String {
        let mut label = String::new();
        for leg in &self.legs {
            if leg.from > 0 {
                label += &format!(", from {} on ", leg.from);
            }
            label += &leg.label();
        }
        label
    }

    /// The same past with another future: from `update` on `next`, which may have settings of its own (`ewc:lambda=50`).
    ///
    /// # Errors
    /// What is wrong with `next`, as a sentence.
    pub fn forked(&self, update: u64, next: &str) -> Result<Self, String> {
        let mut arm =
            Self { legs: self.legs.iter().filter(|leg| leg.from < update || leg.from == 0).cloned().collect() };
        let leg = Leg::read(update, next)?;
        if update == 0 {
            arm.legs = vec![leg]
        } else {
            arm.legs.push(leg)
        }
        Ok(arm)
    }

    /// What it does after `update` updates.
    #[must_use]
    pub fn at(&self, update: u64) -> &Leg {
        self.legs.iter().rev().find(|leg| leg.from <= update).unwrap_or_else(|| self.last())
    }

    /// What it does at last.
    #[must_use]
    pub fn last(&self) -> &Leg {
        // Every way to make an arm gives it a leg.
        &self.legs[self.legs.len() - 1]
    }
}
