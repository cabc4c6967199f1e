//! The table of a session's controls: what can be set beside the strategies and their own settings.

use super::{ContinualSpec, Descent, Encoder, Head, MAX_SEEDS, MAX_TASKS, Network, Order, Scenario, StreamKind};
use crate::spec::{Kind, MAX_LIST, MAX_NAME, MAX_SAFE_INTEGER, RunSpec, show_number};
use crate::text::Text;

/// One control of a session.
#[derive(Debug)]
pub struct Field {
    /// As in links.
    pub path: &'static str,
    /// As on the page.
    pub label: &'static str,
    /// Unit of its values; may be empty.
    pub unit: &'static str,
    /// What turning it does, in one line.
    pub effect: Text,
    /// The values it takes.
    pub kind: Kind,
    /// Whether it has an effect in a session.
    pub applies: fn(&ContinualSpec) -> bool,
}

const fn field_of(
    path: &'static str,
    label: &'static str,
    unit: &'static str,
    effect: &'static str,
    kind: Kind,
) -> Field {
    Field { path, label, unit, effect: Text::new(effect), kind, applies: |_| true }
}

impl Field {
    const fn when(mut self, applies: fn(&ContinualSpec) -> bool) -> Self {
        self.applies = applies;
        self
    }
}

fn own(spec: &ContinualSpec) -> bool {
    matches!(spec.stream, StreamKind::Own | StreamKind::OwnTime)
}

/// The session's controls, in the order of the page and of links.
pub const FIELDS: &[Field] = &[
    field_of("stream", "Stream", "", "where tasks come from", Kind::choice(StreamKind::CHOICES)),
    field_of("scenario", "Scenario", "", "what must be told at the test", Kind::choice(Scenario::CHOICES)),
    field_of("tasks", "Tasks", "", "how many parts the stream has", Kind::integer(1, MAX_TASKS as u64)),
    field_of("order", "Order of classes", "", "which classes come first", Kind::choice(Order::CHOICES)),
    field_of(
        "examples",
        "Examples a task",
        "",
        "training examples of a task at most; 0 = all",
        Kind::log_integer(0, 100_000, [50, 10_000]),
    ),
    field_of(
        "tested",
        "Test examples a task",
        "",
        "test examples of a task at most; 0 = all",
        Kind::log_integer(0, 100_000, [50, 2000]),
    ),
    field_of("passes", "Passes", "", "how often a task's examples are seen", Kind::log_integer(1, 1000, [1, 50])),
    field_of(
        "blur",
        "Blur of borders",
        "",
        "over which share of a task it fades into the next",
        Kind::number(0.0, 1.0),
    ),
    field_of(
        "imbalance",
        "Imbalance",
        "",
        "share of its examples that the last class keeps; 1 = all",
        Kind::log_number(0.01, 1.0, [0.01, 1.0]),
    ),
    field_of("angle", "Angle", "degrees", "how far pictures turn from task to task", Kind::number(0.0, 180.0))
        .when(|spec| spec.stream == StreamKind::RotatedMnist),
    field_of("network", "Network", "", "what learns", Kind::choice(Network::CHOICES)),
    field_of(
        "hidden",
        "Hidden layers",
        "",
        "widths, or channels of a convnet; a CCT has as many blocks, all of one width",
        Kind::list([0, 6], 1, 2048),
    ),
    field_of("encoder", "Encoder", "", "what makes the features that do not change", Kind::choice(Encoder::CHOICES))
        .when(ContinualSpec::encodes),
    field_of("features", "Random features", "", "how many features are made", Kind::log_integer(1, 4096, [16, 2048]))
        .when(|spec| spec.encodes() && spec.encoder == Encoder::Random),
    field_of("head", "Head", "", "which classes compete", Kind::choice(Head::CHOICES))
        .when(|spec| spec.scenario == Scenario::Class),
    field_of("optimizer", "Optimizer", "", "the update rule", Kind::choice(Descent::CHOICES)),
    field_of("rate", "Learning rate", "", "how far an update goes", Kind::log_number(0.0, 10.0, [1e-4, 1.0])),
    field_of("batch", "Batch", "examples", "new examples an update", Kind::log_integer(1, 1000, [1, 256])),
    field_of("replayed", "Replayed", "examples", "stored examples an update", Kind::log_integer(1, 1000, [1, 256]))
        .when(|spec| spec.reads("memory")),
    field_of(
        "readings",
        "Readings a task",
        "",
        "how often all tasks are evaluated",
        Kind::log_integer(1, 200, [1, 50]),
    ),
    field_of(
        "window",
        "Window after a border",
        "updates",
        "after how many updates the first task is evaluated one by one",
        Kind::integer(0, 200),
    ),
    field_of(
        "curvature",
        "Curvature about borders",
        "examples",
        "on how many of either task the loss's largest curvature is measured; takes long; 0 = not",
        Kind::log_integer(0, 1000, [8, 128]),
    ),
    field_of("seed", "Seed", "", "of every random number", Kind::log_integer(0, MAX_SAFE_INTEGER, [1, 100])),
    field_of("seeds", "Seeds", "", "how often all is repeated", Kind::integer(1, MAX_SEEDS as u64)),
    field_of("file", "File", "", "the file of one's own", Kind::Text { max_len: MAX_NAME }).when(own),
    field_of("hash", "Digest", "", "tells the file from others", Kind::Text { max_len: 16 }).when(own),
    field_of("content", "Content", "", "what the file's examples are", Kind::Text { max_len: 16 }).when(own),
    field_of("target", "Target", "", "the column to predict", Kind::Text { max_len: MAX_NAME }).when(own),
    field_of("columns", "Columns", "", "the columns to learn from", Kind::Text { max_len: MAX_LIST }).when(own),
    field_of("kinds", "Kinds", "", "what columns are taken for", Kind::Text { max_len: MAX_LIST }).when(own),
];

/// The control of that path.
#[must_use]
pub fn field(path: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.path == path)
}

impl ContinualSpec {
    /// A control's value, written as in a link; none of an unknown one.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<String> {
        Some(match path {
            "stream" => self.stream.id().into(),
            "scenario" => self.scenario.id().into(),
            "tasks" => self.tasks.to_string(),
            "order" => self.order.id().into(),
            "examples" => self.examples.to_string(),
            "tested" => self.tested.to_string(),
            "passes" => self.passes.to_string(),
            "blur" => show_number(self.blur),
            "imbalance" => show_number(self.imbalance),
            "angle" => show_number(self.angle),
            "network" => self.network.id().into(),
            "hidden" => self.hidden.iter().map(usize::to_string).collect::<Vec<_>>().join(","),
            "encoder" => self.encoder.id().into(),
            "features" => self.features.to_string(),
            "head" => self.head.id().into(),
            "optimizer" => self.optimizer.id().into(),
            "rate" => show_number(self.rate),
            "batch" => self.batch.to_string(),
            "replayed" => self.replayed.to_string(),
            "readings" => self.readings.to_string(),
            "window" => self.window.to_string(),
            "curvature" => self.curvature.to_string(),
            "seed" => self.seed.to_string(),
            "seeds" => self.seeds.to_string(),
            "file" | "hash" | "content" | "target" | "columns" | "kinds" => {
                RunSpec { data: self.own.clone(), ..RunSpec::default() }.get(&format!("data.{path}"))?
            }
            _ => return None,
        })
    }

    /// Turns a control. What depends on it follows: the stream brings its usual scenario and number of tasks, a
    /// CCT its usual width.
    ///
    /// # Errors
    /// What is wrong with the value, as a sentence without its subject; the session is then unchanged.
    pub fn set(&mut self, path: &str, text: &str) -> Result<(), String> {
        let value = field(path).ok_or("is no control")?.kind.parse(text)?;
        let number = value.as_f64().unwrap_or_default();
        let whole = value.as_u64().unwrap_or_default();
        let size = whole as usize;
        let id = value.as_str().unwrap_or_default();
        match path {
            "stream" => {
                self.stream = StreamKind::from_id(id).unwrap_or(self.stream);
                (self.scenario, self.tasks) = self.stream.usual();
            }
            "scenario" => self.scenario = Scenario::from_id(id).unwrap_or(self.scenario),
            "tasks" => self.tasks = size,
            "order" => self.order = Order::from_id(id).unwrap_or(self.order),
            "examples" => self.examples = size,
            "tested" => self.tested = size,
            "passes" => self.passes = whole as u32,
            "blur" => self.blur = number,
            "imbalance" => self.imbalance = number,
            "angle" => self.angle = number,
            "network" => {
                let next = Network::from_id(id).unwrap_or(self.network);
                if next.usual() != self.network.usual() {
                    self.hidden = next.usual();
                }
                self.network = next;
            }
            "hidden" => {
                let widths = value.as_array().into_iter().flatten();
                self.hidden = widths.filter_map(|width| width.as_u64()).map(|width| width as usize).collect();
            }
            "encoder" => self.encoder = Encoder::from_id(id).unwrap_or(self.encoder),
            "features" => self.features = size,
            "head" => self.head = Head::from_id(id).unwrap_or(self.head),
            "optimizer" => self.optimizer = Descent::from_id(id).unwrap_or(self.optimizer),
            "rate" => self.rate = number,
            "batch" => self.batch = size,
            "replayed" => self.replayed = size,
            "readings" => self.readings = whole as u32,
            "window" => self.window = whole,
            "curvature" => self.curvature = size,
            "seed" => self.seed = whole,
            "seeds" => self.seeds = whole as u32,
            _ => {
                let mut run = RunSpec { data: self.own.clone(), ..RunSpec::default() };
                run.set(&format!("data.{path}"), text).map_err(|issue| issue.message)?;
                self.own = run.data;
            }
        }
        Ok(())
    }
}

impl StreamKind {
    /// Its usual scenario and number of tasks.
    #[must_use]
    pub const fn usual(self) -> (Scenario, usize) {
        match self {
            Self::SplitMnist | Self::SplitFashion | Self::SplitDigits | Self::Own => (Scenario::Class, 5),
            Self::SplitEmoji | Self::SplitGlyphs => (Scenario::Class, 10),
            Self::PermutedMnist | Self::RotatedMnist | Self::OwnTime => (Scenario::Domain, 5),
            Self::EmojiStyles => (Scenario::Domain, 4),
            Self::Sets => (Scenario::Class, 3),
        }
    }

    /// Classes of the whole stream, where the data set is known ahead.
    #[must_use]
    pub const fn classes(self) -> Option<usize> {
        match self {
            Self::SplitEmoji | Self::SplitGlyphs | Self::EmojiStyles => Some(100),
            Self::Own | Self::OwnTime => None,
            _ => Some(10),
        }
    }

    /// Whether each task brings classes of its own.
    #[must_use]
    pub const fn splits_classes(self) -> bool {
        matches!(
            self,
            Self::SplitMnist
                | Self::SplitFashion
                | Self::SplitDigits
                | Self::SplitEmoji
                | Self::SplitGlyphs
                | Self::Own
        )
    }
}
