//! What a script is written from, for any framework.

use engine::spec::{DataSet, Link, ModelSpec, RunSpec};
use engine::train::Feed;

use crate::record::Record;
use crate::schedule::{self, Rate};
use crate::{Framework, refuse};

/// A run on its way into a script.
pub struct Script<'a> {
    /// The run.
    pub spec: &'a RunSpec,
    /// How examples lie in the tables.
    pub feed: &'a Feed,
    /// The run's link.
    pub link: String,
    /// Updates that are repeated.
    pub updates: usize,
    /// Whether batches differ in size.
    pub sized: bool,
    /// Examples in the first batch.
    pub first: usize,
    /// Where learning rates come from.
    pub rate: Rate,
    /// Whether momentum is the lab's at every update.
    pub moves_momentum: bool,
}

impl<'a> Script<'a> {
    /// The script of a run that the lab has made.
    pub fn new(link: &'a Link, feed: &'a Feed, record: &Record) -> Self {
        let spec = &link.spec;
        // Hidden controls and a task are for whoever opens the link.
        let own = Link { spec: spec.clone(), preset: link.preset.clone(), version: link.version, ..Link::default() };
        Self {
            spec,
            feed,
            link: own.fragment(),
            updates: record.rows.len(),
            sized: record.sized(),
            first: record.rows.first().map_or(0, Vec::len),
            rate: schedule::of(spec, record.rows.len() as u64),
            moves_momentum: schedule::moves_momentum(spec) && spec.optimizer.kind.has("momentum"),
        }
    }

    /// Lines that say what a script is, for its head.
    pub fn head(&self, framework: Framework, needs: &str) -> Vec<String> {
        let spec = self.spec;
        let mut lines = vec![
            format!("A run of Minibatch {} in {}:", env!("CARGO_PKG_VERSION"), framework.label()),
            format!("{} on {}, seed {}.", self.network(), data_label(spec), spec.seed),
            String::new(),
        ];
        let part = match self.updates as u64 {
            all if all == spec.steps => format!("It trains the run's {all} updates"),
            some => format!("It trains {some} of the run's {} updates", spec.steps),
        };
        lines.push(format!("{part} from the lab's start on the lab's batches,"));
        lines.push("and prints the lab's loss beside its own.".to_owned());
        let drawn = refuse::drawn(spec);
        if !drawn.is_empty() {
            lines.push(format!(
                "Its random numbers are others for {}: losses agree in the mean alone.",
                drawn.join(" and ")
            ));
        }
        // The name of a person's file is text that anyone may have chosen: only the link, which escapes it, has it.
        let (how, what) = match spec.data.set {
            DataSet::Own => {
                ("The lab repeats the run where the file is dropped on its page, opened at", self.link.clone())
            }
            _ => ("The lab repeats the run with", format!("minibatch run '{}'", self.link)),
        };
        lines.extend([how.to_owned(), String::new(), format!("    {what}")]);
        lines.push(String::new());
        lines.push(needs.to_owned());
        lines
    }

    /// The network's name.
    pub fn network(&self) -> &'static str {
        match self.spec.model {
            ModelSpec::Mlp(_) => "An MLP",
            ModelSpec::Convnet(_) => "A convnet",
            ModelSpec::Vit(_) => "A ViT-Lite",
            ModelSpec::Cvt(_) => "A CVT",
            ModelSpec::Cct(_) => "A CCT",
            ModelSpec::Gpt(_) => "A GPT",
        }
    }

    /// Whether answers are classes.
    pub fn classes(&self) -> bool {
        self.feed.has_classes()
    }

    /// Width of the network's output.
    pub fn outputs(&self) -> usize {
        self.feed.outputs()
    }

    /// Numbers of an example.
    pub fn features(&self) -> usize {
        self.feed.example().0.iter().product()
    }
}

/// Whether some parameters of a network learn at a rate of their own (muP).
pub fn slows(model: &ModelSpec) -> bool {
    matches!(model, ModelSpec::Gpt(gpt) if gpt.base > 0 && gpt.base != gpt.width)
}

fn data_label(spec: &RunSpec) -> &'static str {
    spec.data.set.label()
}
