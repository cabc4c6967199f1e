//! What to run: [`RunSpec`], its parts, their controls, validation, and the link codec.
//!
//! A run is a pure function of its spec (and executor). Every scalar field is described once, in [`fields`]: the
//! link codec, validation and the page's controls all derive from that table.

mod augment;
mod batch;
mod control;
mod data;
mod effective;
mod fields;
mod link;
mod model;
mod moved;
mod names;
mod objective;
mod optimizer;
mod presets;
mod probes;
mod rules;
mod schedule;
mod validate;

use serde::Serialize;

use crate::numeric::by_key;
use crate::tree::FromTree;
use std::borrow::Cow;

pub use crate::decimal::number;
pub use augment::AugmentSpec;
pub use batch::{Again, BatchSpec, Growth, Policy, Sampling};
pub use control::{Kind, show_number, three_digits};
pub(crate) use control::{capital, excerpt, show};
pub use data::{Content, DataSet, DataSpec, GENERATED, MAX_DROPPED, MAX_LIST, MAX_NAME, Projection};
pub use effective::{EffectiveSchedule, Rates};
pub use fields::{FIELDS, Field, field};
pub use link::{LINK_VERSION, Link, MAX_LINK_BYTES, MAX_TASK, Page, SWEEP_SETTINGS};
pub use model::{
    Activation, ConvnetSpec, Gelu, GptSpec, MlpSpec, ModelSpec, Norm, NormOrder, Pooling, Positions, Tokenizer,
    TransformerSpec,
};
pub use moved::{MAX_MOVED, Moved, read_moves, with_move, write_moves};
pub use names::{Difference, diff, in_words, name_by_difference};
pub use objective::{Loss, ObjectiveSpec};
pub use optimizer::{DecayKind, OptimizerSpec, Trained};
pub use presets::{PRESETS, Preset, preset};
pub use probes::{Curved, ProbesSpec};
#[cfg(feature = "compute")]
pub(crate) use rules::rules;
pub use rules::{Rule, RuleRow};
pub use schedule::{Auto, Between, Decay, Grip, Handle, Moment, Momentum, Scaling, ScheduleSpec, Shape, Turns};
pub use validate::{Issue, MAX_EDITS};

/// Everything that decides a run. `RunSpec::default()` is the preset `cct-mnist`.
///
/// Numbers carry at most nine significant decimal digits (see [`validate`](RunSpec::validate)), so that JSON and links
/// give them back bit for bit.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct RunSpec {
    /// What the network learns from.
    pub data: DataSpec,
    /// Which network.
    pub model: ModelSpec,
    /// The loss.
    pub objective: ObjectiveSpec,
    /// The update rule.
    pub optimizer: OptimizerSpec,
    /// The learning rate over the steps.
    pub schedule: ScheduleSpec,
    /// Batch size and sampler.
    pub batch: BatchSpec,
    /// Variation of training images.
    pub augment: AugmentSpec,
    /// What is measured on the way.
    pub probes: ProbesSpec,
    /// Seed of every random number; at most 2^53 - 1, so that JavaScript holds it exactly.
    pub seed: u64,
    /// Updates of the whole run.
    pub steps: u64,
    /// Changes made while the run went on, by ascending step.
    pub edits: Vec<Edit>,
}

/// The largest seed and the largest number of steps: 2^53 - 1.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// A change that takes effect before update `step` and leaves the steps before it as they were.
#[derive(Debug, Clone, PartialEq, Serialize, FromTree)]
pub struct Edit {
    /// The first update that sees the change.
    pub step: u64,
    /// Path of a control that may be turned during a run ([`Field::live`]), such as `batch.size`.
    pub path: String,
    /// The new value, written as in a link.
    pub value: String,
}

impl Edit {
    /// Puts edits into the order in which they take effect; those before one update stay as they stand.
    fn sort(edits: &mut Vec<Self>) {
        *edits = by_key(std::mem::take(edits), &|edit| edit.step);
    }
}

impl Default for RunSpec {
    fn default() -> Self {
        Self {
            // At 16x16 pixels the two conv blocks leave 16 tokens: a step that a CPU takes in a tenth of a second.
            data: DataSpec { size: 16, ..DataSpec::default() },
            model: ModelSpec::default(),
            objective: ObjectiveSpec::default(),
            optimizer: OptimizerSpec::default(),
            schedule: ScheduleSpec::default(),
            batch: BatchSpec::default(),
            augment: AugmentSpec::default(),
            probes: ProbesSpec::default(),
            seed: 1,
            steps: 600,
            edits: Vec::new(),
        }
    }
}

/// One of the values of a control: its id in links and its label on the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromTree)]
pub struct Choice {
    /// As in links.
    pub id: Cow<'static, str>,
    /// As on the page.
    pub label: Cow<'static, str>,
}

impl Choice {
    /// A choice known at compile time.
    #[must_use]
    pub const fn new(id: &'static str, label: &'static str) -> Self {
        Self { id: Cow::Borrowed(id), label: Cow::Borrowed(label) }
    }
}

/// One of several values that have names.
pub trait Named: Copy + 'static {
    /// The names.
    const CHOICES: &'static [Choice];

    /// As in links and JSON.
    fn id(self) -> &'static str;

    /// The value of that id; none of an unknown one.
    fn from_id(id: &str) -> Option<Self>;
}

/// Declares an enum of named choices: id (in links and JSON) and label (on the page) beside each variant.
macro_rules! choices {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $id:literal, $label:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.id())
            }
        }

        impl $crate::tree::FromTree for $name {
            fn from_tree(tree: &$crate::tree::Value) -> Result<Self, $crate::tree::Error> {
                let id = String::from_tree(tree)?;
                Self::from_id(&id).ok_or_else(|| $crate::tree::error(format!("there is no “{id}”")))
            }
        }

        impl $name {
            /// Every variant, in the order of the controls.
            pub const ALL: &[Self] = &[$(Self::$variant),+];
            /// Every variant's id and label.
            pub const CHOICES: &[$crate::spec::Choice] = &[$($crate::spec::Choice::new($id, $label)),+];

            /// As in links and JSON.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id),+ }
            }

            /// The variant of that id; none of an unknown one.
            #[must_use]
            pub fn from_id(id: &str) -> Option<Self> {
                match id { $($id => Some(Self::$variant),)+ _ => None }
            }

            /// As on the page.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),+ }
            }
        }

        impl $crate::spec::Named for $name {
            const CHOICES: &'static [$crate::spec::Choice] = Self::CHOICES;

            fn id(self) -> &'static str {
                self.id()
            }

            fn from_id(id: &str) -> Option<Self> {
                Self::from_id(id)
            }
        }
    };
}
pub(crate) use choices;

#[cfg(test)]
mod tests;
