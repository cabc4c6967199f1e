//! Sweeps: one recipe with two of its fields varied over a grid, every cell trained from its start.
//!
//! A link carries the whole of it: `#sweep?preset=tanh-mlp&x=schedule.peak:0.125..16:8&y=batch.size:1..128:8&target=0.1`.
//! This module is vocabulary (what a sweep is, its order, its results, their figures); `trial` trains a cell, and
//! whoever has workers shares the cells out: the page among web workers, `pool` among threads. A cell's numbers depend on
//! its own recipe alone, so the result is the same whoever computes it, and in whatever order.

mod axis;
mod edge;
mod figures;
mod order;
mod race;
mod results;

#[cfg(feature = "compute")]
mod finished;
#[cfg(feature = "compute")]
mod meter;
#[cfg(all(feature = "compute", not(target_arch = "wasm32")))]
pub mod pool;
#[cfg(feature = "compute")]
pub mod trial;

#[cfg(test)]
mod tests;

use crate::spec::{
    FIELDS, Issue, Kind, LINK_VERSION, Link, Page, RunSpec, SWEEP_SETTINGS, excerpt, field, number, show_number,
};

pub use axis::{Axis, MAX_VALUES, Values, fields, name};
pub use edge::{Edge, EdgePoint};
pub use figures::{Quantity, edge_chart, heat};
#[cfg(feature = "compute")]
pub use finished::finished;
pub use race::{RACES, race_table};
pub use results::{Outcome, Results};

/// The most trials (cells times seeds) of a sweep.
pub const MAX_TRIALS: usize = 1024;
/// The most seeds a cell.
pub const MAX_SEEDS: u32 = 16;

/// Path of the learning rate, whose largest stable value is traced.
const RATE: &str = "schedule.peak";
/// Path of the batch size, which decides how many updates a budget of examples buys.
const BATCH: &str = "batch.size";

/// A grid of runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// The preset that the link's recipe is relative to, by id.
    pub preset: String,
    /// The recipe of which two fields are varied; without edits.
    pub base: RunSpec,
    /// The field varied from left to right.
    pub x: Axis,
    /// The field varied from bottom to top.
    pub y: Axis,
    /// Training loss that counts as trained, for the time to it.
    pub target: f64,
    /// What all cells have in common: `true` = examples (those of the recipe: its steps times its batch size), so that a
    /// cell of twice the batch makes half the updates; `false` = updates.
    pub equal_examples: bool,
    /// Seeds a cell: the recipe's own and those after it.
    pub seeds: u32,
    /// Version of the link, by which the values of the axes mean what they mean.
    pub version: u32,
}

impl Sweep {
    /// The sweep that a link means, fit to run, and what had to be replaced by a default.
    #[must_use]
    pub fn read(link: &Link) -> (Self, Vec<Issue>) {
        let mut issues = link.issues.clone();
        let mut sweep = Self { version: link.version, ..Self::plain(&link.preset, link.spec.clone()) };
        if !sweep.base.edits.is_empty() {
            sweep.base.edits.clear();
            issues.push(Issue::new("edit", "A sweep's runs begin anew: edits are left out", ""));
        }
        for (i, (key, text)) in link.settings.iter().enumerate() {
            if link.settings[i + 1..].iter().any(|(later, _)| later == key) {
                issues.push(Issue::new(key, format!("“{key}” is given twice; the last counts"), ""));
            } else if let Err(problem) = sweep.set(key, text) {
                issues.push(Issue::new(key, problem, sweep.get(key)));
            }
        }
        sweep.mend(&mut issues);
        (sweep, issues)
    }

    /// The default axes about a recipe.
    fn plain(preset: &str, base: RunSpec) -> Self {
        let grid = |path: &str, low: f64, high: f64| Axis {
            path: path.into(),
            values: Values::Range { low, high, count: 8, log: true },
        };
        Self {
            preset: preset.into(),
            base,
            x: grid(RATE, 0.125, 16.0),
            y: grid(BATCH, 1.0, 128.0),
            target: 0.1,
            equal_examples: true,
            seeds: 1,
            version: LINK_VERSION,
        }
    }

    /// A small sweep of learning rate and batch size about a recipe's own values; where the batch is the whole set, over
    /// the plain sweep's batches.
    #[must_use]
    pub fn around(preset: &str, recipe: &RunSpec) -> Self {
        let mut sweep = Self::plain(preset, RunSpec { edits: Vec::new(), ..recipe.clone() });
        let about = |centre: f64, path: &str, below: f64, above: f64| Axis {
            path: path.into(),
            values: Values::Range { low: centre / below, high: centre * above, count: 5, log: true },
        };
        if recipe.schedule.peak > 0.0 {
            sweep.x = about(recipe.schedule.peak, RATE, 16.0, 16.0);
        }
        if recipe.batch.size > 0 {
            let below = recipe.batch.size.min(4) as f64;
            sweep.y = about(recipe.batch.size as f64, BATCH, below, 64.0 / below / below);
        }
        let mut unsaid = Vec::new();
        sweep.mend(&mut unsaid);
        sweep
    }

    /// One of the settings, written as in a link.
    #[must_use]
    pub fn get(&self, key: &str) -> String {
        match key {
            "x" => self.x.text(&self.base),
            "y" => self.y.text(&self.base),
            "target" => show_number(self.target),
            "budget" => if self.equal_examples { "examples" } else { "steps" }.into(),
            "seeds" => self.seeds.to_string(),
            _ => String::new(),
        }
    }

    /// Turns one of the settings.
    ///
    /// # Errors
    /// What is wrong with the value, as a sentence; the sweep is then unchanged.
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), String> {
        let number = |kind: Kind| {
            let value = kind.parse(text).map_err(|problem| format!("“{key}” {problem}"))?;
            value.as_f64().ok_or_else(|| format!("“{key}” must be a number"))
        };
        match key {
            "x" => self.x = Axis::parse(text, &self.base)?,
            "y" => self.y = Axis::parse(text, &self.base)?,
            "target" => self.target = number(Kind::number(0.0, 1e6))?,
            "seeds" => self.seeds = number(Kind::integer(1, MAX_SEEDS.into()))? as u32,
            "budget" => {
                self.equal_examples = match text {
                    "examples" => true,
                    "steps" => false,
                    _ => return Err(format!("“budget” must be examples or steps, not “{}”", excerpt(text))),
                }
            }
            _ => return Err(format!("A sweep has no “{}”", excerpt(key))),
        }
        Ok(())
    }

    /// Rules between the settings.
    fn mend(&mut self, issues: &mut Vec<Issue>) {
        if self.x.path == self.y.path {
            let path = if self.x.path == BATCH { RATE } else { BATCH };
            let message = format!("Both axes vary {}; the other one now varies {path}", self.x.path);
            let plain = Self::plain(&self.preset, self.base.clone());
            self.y = if path == BATCH { plain.y } else { plain.x };
            issues.push(Issue::new("y", message, self.get("y")));
        }
        let swept = |path: &str| self.x.path == path || self.y.path == path;
        // Where the steps themselves are swept they are what the axis says.
        if self.equal_examples && (swept("steps") || self.base.batch.size == 0) {
            self.equal_examples = false;
            if !swept("steps") {
                let message = "A batch of all examples has no number of examples to keep equal; cells have equal steps";
                issues.push(Issue::new("budget", message, "steps"));
            }
        }
        if self.trials() > MAX_TRIALS {
            issues.push(Issue::new(
                "seeds",
                format!(
                    "{} runs are more than the {MAX_TRIALS} of a sweep; one seed a cell, and fewer cells",
                    self.trials()
                ),
                "1",
            ));
            self.seeds = 1;
            let most = MAX_TRIALS / self.columns().len().max(1);
            self.y.truncate(most, &self.base);
        }
    }

    /// The link that gives this sweep back.
    #[must_use]
    pub fn link(&self) -> Link {
        let settings = SWEEP_SETTINGS.iter().map(|key| ((*key).to_owned(), self.get(key))).collect();
        let (preset, spec, version) = (self.preset.clone(), self.base.clone(), self.version);
        Link { preset, spec, version, ..Link::to_page(Page::Sweep, settings) }
    }

    /// Values of the x axis, left first, written as in links.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        self.x.points(&self.base)
    }

    /// Values of the y axis, bottom first.
    #[must_use]
    pub fn rows(&self) -> Vec<String> {
        self.y.points(&self.base)
    }

    /// Cells of the grid.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.columns().len() * self.rows().len()
    }

    /// Runs in all. Trial `t` is cell `t % cells` (row by row from the bottom) with seed number `t / cells`.
    #[must_use]
    pub fn trials(&self) -> usize {
        self.cells() * self.seeds as usize
    }

    /// Every trial, first those that a picture needs to be seen as a whole.
    #[must_use]
    pub fn order(&self) -> Vec<usize> {
        let (width, height) = (self.columns().len(), self.rows().len());
        let cells = order::coarse_to_fine(width, height);
        (0..self.seeds as usize).flat_map(|seed| cells.iter().map(move |cell| seed * width * height + cell)).collect()
    }

    /// The values of the two fields in a trial's cell, x first; none if there is no such trial.
    #[must_use]
    pub fn values(&self, trial: usize) -> Option<[String; 2]> {
        let (columns, rows) = (self.columns(), self.rows());
        let cell = trial % (columns.len() * rows.len()).max(1);
        let width = columns.len().max(1);
        Some([columns.get(cell % width)?.clone(), rows.get(cell / width)?.clone()])
    }

    /// The recipe of a trial.
    ///
    /// # Errors
    /// Why there can be no run in this cell: the two values exclude each other or do not fit the recipe.
    pub fn spec(&self, trial: usize) -> Result<RunSpec, Issue> {
        let outside = || Issue::new("", format!("The sweep has no run {trial}"), "");
        let [column, row] = self.values(trial).ok_or_else(outside)?;
        let mut turns = [(self.x.path.as_str(), &column), (self.y.path.as_str(), &row)];
        // In the table's order: a kind comes before the fields it brings.
        turns.sort_by_key(|(path, _)| FIELDS.iter().position(|field| field.path == *path));
        let mut spec = self.base.clone();
        for (path, value) in turns {
            spec.set_as_of(self.version, path, value)?;
        }
        if self.equal_examples {
            self.share_examples(&mut spec)?;
        }
        spec.seed += (trial / self.cells().max(1)) as u64;
        match spec.validate().into_iter().next() {
            Some(issue) => Err(issue),
            None => Ok(spec),
        }
    }

    /// Gives a cell as many steps as its batch size leaves of the recipe's examples; the schedule's phases keep their
    /// shares of the run.
    fn share_examples(&self, spec: &mut RunSpec) -> Result<(), Issue> {
        let batch = spec.batch.size as u64;
        if batch == 0 {
            return Err(Issue::new(BATCH, "A batch of all examples does not fit a budget of examples", ""));
        }
        let examples = self.base.steps.saturating_mul(self.base.batch.size as u64);
        self.last(spec, ((examples + batch / 2) / batch).max(1))
    }

    /// Gives a recipe another length; the schedule's phases keep their shares of it.
    fn last(&self, spec: &mut RunSpec, steps: u64) -> Result<(), Issue> {
        let scale = steps as f64 / self.base.steps as f64;
        spec.steps = steps;
        for phase in FIELDS.iter().filter(|field| field.group() == "schedule" && field.unit == "steps") {
            // A phase that this schedule does not have would only lengthen the link.
            if phase.path == self.x.path || phase.path == self.y.path || !phase.applies(spec) {
                continue;
            }
            if let Some(length) = spec.get(phase.path).and_then(|text| number(&text)) {
                spec.set(phase.path, &((length * scale).round() as u64).to_string())?;
            }
        }
        Ok(())
    }

    /// A trial's work in arbitrary units, to foretell how long the rest takes: a fixed part an update and one an example.
    #[must_use]
    pub fn work(&self, trial: usize) -> f64 {
        self.spec(trial).map_or(0.0, |spec| spec.steps as f64 * (8.0 + spec.batch.size as f64))
    }

    /// What the axis varies, as on the page.
    #[must_use]
    pub fn label(&self, axis: &Axis) -> &'static str {
        axis.field(&self.base).map_or("", name)
    }

    /// A trial's cell in words: the values of the two fields.
    #[must_use]
    pub fn name(&self, trial: usize) -> String {
        let [column, row] = self.values(trial).unwrap_or_default();
        format!("{} {column}, {} {row}", self.label(&self.x), self.label(&self.y))
    }

    /// The recipe in one line, the varied fields left out.
    #[must_use]
    pub fn recipe(&self) -> String {
        let varied = |path: &str| path == self.x.path || path == self.y.path;
        let show = |path: &&str| {
            let field = field(&self.base, path).filter(|field| !varied(path) && field.applies(&self.base))?;
            let value = self.base.get(path)?;
            Some(match &field.kind {
                Kind::Choice { options } => {
                    options.iter().find(|option| option.id == value).map_or(value, |option| option.label.to_string())
                }
                Kind::List { .. } => format!("{} {}", name(field), value.replace(',', "–")),
                _ => format!("{} {value}", name(field)),
            })
        };
        let paths = [
            "model",
            "model.hidden",
            "model.width",
            "model.activation",
            "data",
            "optimizer",
            "schedule",
            RATE,
            BATCH,
            "seed",
        ];
        let mut parts: Vec<String> = paths.iter().filter_map(show).collect();
        parts.push(if self.equal_examples {
            format!("{} examples a run", self.base.steps.saturating_mul(self.base.batch.size as u64))
        } else {
            format!("{} steps a run", self.base.steps)
        });
        parts.join(" · ")
    }
}
