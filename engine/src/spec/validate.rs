//! What makes a spec fit to run; what to say, and what to put in its place, when it is not.

use serde::Serialize;
use serde_json::Value;

use super::control::{capital, excerpt, show};
use super::fields::{leaf, tree};
use super::schedule::{DEFAULT_POINTS, read_points};
use super::{
    Auto, Content, ConvnetSpec, DataSet, DataSpec, Edit, FIELDS, GENERATED, Loss, MlpSpec, ModelSpec, Policy,
    Positions, RunSpec, Sampling, Tokenizer, Trained, TransformerSpec, field, read_moves,
};
use crate::tree::FromTree;

/// Something about a spec, link or file that had to be replaced by a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromTree)]
pub struct Issue {
    /// The control it belongs to, such as `model.heads`; empty = the whole link.
    pub path: String,
    /// What is wrong, for the person.
    pub message: String,
    /// The value in its place, written as in a link; empty if nothing was put in place.
    pub used: String,
}

impl Issue {
    /// An issue at a control.
    #[must_use]
    pub fn new(path: &str, message: impl Into<String>, used: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), used: used.into() }
    }
}

/// Takes what is wrong: the control, the message, the value in its place.
type Note<'a> = dyn FnMut(&str, String, String) + 'a;

/// Most bytes that the values of all edits may have, so that a link can carry them.
const MAX_EDIT_BYTES: usize = 40_000;

/// The most edits a spec may have.
pub const MAX_EDITS: usize = 1000;

impl Loss {
    /// The losses that fit this content, the usual one first.
    #[must_use]
    pub const fn fitting(content: Content) -> &'static [Self] {
        match content {
            Content::Images => &[Self::CrossEntropy, Self::Mse, Self::Restore],
            Content::Table => &[Self::CrossEntropy, Self::Mse],
            Content::Text => &[Self::CrossEntropy],
            Content::Series => &[Self::Mse],
        }
    }
}

impl RunSpec {
    /// What is wrong with this spec; empty = fit to run. [`RunSpec::sanitize`] would mend exactly this.
    #[must_use]
    pub fn validate(&self) -> Vec<Issue> {
        self.clone().sanitize()
    }

    /// Replaces every value that does not fit and says so. Afterwards [`RunSpec::validate`] finds nothing.
    pub fn sanitize(&mut self) -> Vec<Issue> {
        let mut issues = Vec::new();
        self.mend_values(&mut issues);
        self.mend_relations(&mut issues);
        self.mend_edits(&mut issues);
        issues
    }

    /// Each value within its own range; defaults in place of what is not.
    fn mend_values(&mut self, issues: &mut Vec<Issue>) {
        let mut mended = tree(self);
        let mut defaults = None;
        for field in FIELDS.iter().filter(|field| field.exists(self)) {
            let Some(value) = leaf(&mut mended, field.path) else { continue };
            let problem = match field.kind.parse(&show(value)) {
                // JSON's null: the number is not finite.
                _ if value.is_null() => "must be a finite number".to_owned(),
                Ok(readable) => {
                    // The same, or with fewer digits than it had: that is no news to anybody.
                    *value = readable;
                    continue;
                }
                Err(problem) => problem,
            };
            let defaults = defaults.get_or_insert_with(|| {
                let model = ModelSpec::of(self.model.kind()).unwrap_or_default();
                tree(&Self { model, ..Self::default() })
            });
            *value = leaf(defaults, field.path).map(Value::take).unwrap_or_default();
            issues.push(Issue::new(field.path, format!("{} {problem}", capital(field.label)), show(value)));
        }
        match Self::from_tree(&mended) {
            Ok(spec) => *self = spec,
            // Every leaf is in the table; should one ever not be, a run still starts.
            Err(error) => {
                *self = Self::default();
                issues.push(Issue::new("", error.to_string(), ""));
            }
        }
    }

    /// Rules between fields. Data decide over the model, the model over its parts.
    fn mend_relations(&mut self, issues: &mut Vec<Issue>) {
        let note: &mut Note<'_> = &mut |path: &str, message, used: String| issues.push(Issue::new(path, message, used));
        self.mend_kinds(note);
        self.mend_images(note);
        self.mend_architecture(note);
        self.mend_trained(note);
        self.mend_schedule(note);
        self.mend_by_hand(note);
        self.mend_batch(note);
        self.mend_micro(note);
    }

    /// What learns, and from which loss, fits the data.
    fn mend_kinds(&mut self, note: &mut Note<'_>) {
        let content = self.data.content();
        let fitting = ModelSpec::fitting(content);
        let kind = self.model.kind();
        if !fitting.contains(&kind) {
            self.model = ModelSpec::of(fitting[0]).unwrap_or_default();
            note(
                "model",
                format!("“{kind}” cannot learn from {}; {} can", content.label(), fitting.join(", ")),
                fitting[0].into(),
            );
        }
        let fitting = Loss::fitting(content);
        if !fitting.contains(&self.objective.kind) {
            let loss = fitting[0];
            note(
                "objective",
                format!("{} does not fit {}", capital(self.objective.kind.label()), content.label()),
                loss.id().into(),
            );
            self.objective.kind = loss;
        }
    }

    /// Sides of images, and how far they are shifted.
    fn mend_images(&mut self, note: &mut Note<'_>) {
        if let Some([_, side, _]) = DataSpec::of(self.data.set).image_shape()
            && self.data.size > side
        {
            note(
                "data.size",
                format!("Images of this set have {side} pixels a side and are only scaled down"),
                "0".into(),
            );
            self.data.size = 0;
        }
        if (1..4).contains(&self.data.size) {
            note("data.size", "Fewer than 4 pixels a side show nothing".into(), "4".into());
            self.data.size = 4;
        }
        let side = self.data.image_shape().map(|[_, side, _]| side);
        if let Some(side) = side
            && self.augment.shift >= side
        {
            self.augment.shift = side - 1;
            note(
                "augment.shift",
                format!("A shift must leave part of {side} pixels in sight"),
                self.augment.shift.to_string(),
            );
        }
    }

    /// The parts of the model fit each other and the data.
    fn mend_architecture(&mut self, note: &mut Note<'_>) {
        let side = self.data.image_shape().map(|[_, side, _]| side);
        match &mut self.model {
            ModelSpec::Convnet(convnet) => {
                if convnet.kernel % 2 == 0 {
                    convnet.kernel += 1;
                    note("model.kernel", "A convnet's kernel must be odd".into(), convnet.kernel.to_string());
                }
                let halvings = side.map_or(usize::MAX, |side| side.ilog2() as usize);
                if convnet.channels.len() > halvings {
                    convnet.channels.truncate(halvings);
                    let channels: Vec<String> = convnet.channels.iter().map(usize::to_string).collect();
                    note(
                        "model.channels",
                        format!("Each block halves the image; {halvings} leave nothing to halve"),
                        channels.join(","),
                    );
                }
            }
            ModelSpec::Vit(encoder) | ModelSpec::Cvt(encoder) | ModelSpec::Cct(encoder) => {
                if encoder.positions == Positions::Sine && encoder.width % 2 == 1 {
                    encoder.width += 1;
                    note("model.width", "Sine positions need an even width".into(), encoder.width.to_string());
                }
                mend_heads(encoder.width, &mut encoder.heads, note);
                if let Some(side) = side {
                    mend_tokens(encoder, side, note);
                }
            }
            ModelSpec::Gpt(gpt) => mend_heads(gpt.width, &mut gpt.heads, note),
            ModelSpec::Mlp(_) => {}
        }
    }

    /// Something learns.
    fn mend_trained(&mut self, note: &mut Note<'_>) {
        if self.optimizer.trained == Trained::Norms && !self.model.has_norms() {
            self.optimizer.trained = Trained::All;
            note("optimizer.trained", "This network has no norms to train".into(), Trained::All.id().into());
        }
    }

    /// What sets the learning rate.
    fn mend_schedule(&mut self, note: &mut Note<'_>) {
        if let Err(problem) = read_points(&self.schedule.points) {
            note("schedule.points", format!("Points {problem}"), DEFAULT_POINTS.into());
            self.schedule.points = DEFAULT_POINTS.into();
        }

        if !self.schedule.auto.fits(&self.optimizer) {
            let rule = match &self.optimizer {
                rule if rule.rho > 0.0 => "SAM",
                rule if rule.kind.row().linear => "some parameters alone",
                rule => rule.kind.label(),
            };
            note(
                "schedule.auto",
                format!("Curvature says how far SGD and momentum should go; the rate of {rule} is to be set by hand"),
                Auto::Off.id().into(),
            );
            self.schedule.auto = Auto::Off;
        }
    }

    /// What was done to the training set by hand.
    fn mend_by_hand(&mut self, note: &mut Note<'_>) {
        if let Err(problem) = read_moves(&self.data.moved) {
            note("data.moved", format!("Moved points {problem}"), String::new());
            self.data.moved.clear();
        }
        crate::numeric::sort(&mut self.data.dropped);
        self.data.dropped.dedup();
        if self.batch.sampler == Sampling::Fixed && !self.data.dropped.is_empty() {
            note("data.dropped", "Fixed batches keep their examples: none can be left out".into(), String::new());
            self.data.dropped.clear();
        }
    }

    /// How batches are drawn and grow.
    fn mend_batch(&mut self, note: &mut Note<'_>) {
        let (content, mixes) = (self.data.content(), self.model.normalises_batches());
        let batch = &mut self.batch;
        if batch.sampler == Sampling::Balanced && matches!(content, Content::Text | Content::Series) {
            batch.sampler = Sampling::Shuffled;
            note(
                "batch.sampler",
                format!("There are no classes to balance in {}", content.label()),
                batch.sampler.id().into(),
            );
        }
        if batch.sampler == Sampling::Fixed && batch.policy != Policy::Fixed {
            batch.policy = Policy::Fixed;
            note("batch.policy", "Fixed batches keep their size".into(), Policy::Fixed.id().into());
        }
        if batch.policy.adapts() && mixes {
            note(
                "batch.policy",
                format!(
                    "{} compares gradients of single examples, which batch norm mixes; choose another norm",
                    capital(batch.policy.label())
                ),
                Policy::Fixed.id().into(),
            );
            batch.policy = Policy::Fixed;
        }
        // A batch of one leaves nothing to compare.
        let alone = match batch.policy.adapts() {
            true => Some("One example has no variance to decide by"),
            false if mixes => Some("Batch norm compares the examples of a batch: it makes nothing of one"),
            false => None,
        };
        if let Some(reason) = alone {
            for (path, size) in [("data.train", &mut self.data.train), ("batch.size", &mut batch.size)] {
                if *size == 1 {
                    *size = 2;
                    note(path, reason.into(), "2".into());
                }
            }
        }
        let train = match (self.data.set, self.data.train) {
            (DataSet::Spirals | DataSet::Mixture, 0) => GENERATED,
            (_, train) => train,
        };
        if content != Content::Text
            && matches!(batch.sampler, Sampling::Shuffled | Sampling::Fixed)
            && train > 0
            && batch.size > train
        {
            note(
                "batch.size",
                format!("A batch cannot be larger than the {train} training examples"),
                train.to_string(),
            );
            batch.size = train;
        }
    }

    /// Micro-batches divide the batch, and leave a norm over the batch enough examples, as do its ghosts.
    fn mend_micro(&mut self, note: &mut Note<'_>) {
        let mixes = self.model.normalises_batches();
        if let ModelSpec::Mlp(MlpSpec { ghost, .. }) | ModelSpec::Convnet(ConvnetSpec { ghost, .. }) = &mut self.model
            && *ghost == 1
        {
            *ghost = 2;
            note("model.ghost", "Batch norm compares examples: it makes nothing of one".into(), "2".into());
        }
        let batch = &mut self.batch;
        let least = match batch.policy {
            _ if !mixes => 1,
            Policy::Fixed => 2,
            // Of three examples, micro-batches of two leave one alone.
            _ => 3,
        };
        if (1..least).contains(&batch.micro) {
            batch.micro = 0;
            note("batch.micro", format!("Batch norm needs at least {least} examples at once"), "0".into());
        }
        if batch.size > 0 && batch.micro > 0 && !batch.size.is_multiple_of(batch.micro) {
            let divisor = largest_divisor(batch.size, batch.micro);
            batch.micro = if divisor < least { 0 } else { divisor };
            note(
                "batch.micro",
                format!("Micro-batches must divide the batch of {}", batch.size),
                batch.micro.to_string(),
            );
        }
    }

    /// Makes of this a recipe for examples that have no classes but numbers to predict, and tells which controls that
    /// turned: path, what needs classes, and what is used instead.
    pub fn without_classes(&mut self) -> Vec<[&'static str; 3]> {
        let mut turned = Vec::new();
        if self.objective.kind != Loss::Mse {
            self.objective.kind = Loss::Mse;
            turned.push(["objective", "Cross-entropy", Loss::Mse.id()]);
        }
        if self.batch.sampler == Sampling::Balanced {
            self.batch.sampler = Sampling::Shuffled;
            turned.push(["batch.sampler", "Drawing evenly from classes", Sampling::Shuffled.id()]);
        }
        if self.data.label_noise != 0.0 {
            self.data.label_noise = 0.0;
            turned.push(["data.label_noise", "Label noise", "0"]);
        }
        turned
    }

    /// Edits in order, of live controls, each leaving a recipe that is fit to run.
    fn mend_edits(&mut self, issues: &mut Vec<Issue>) {
        let mut edits = std::mem::take(&mut self.edits);
        Edit::sort(&mut edits);
        if edits.len() > MAX_EDITS {
            edits.truncate(MAX_EDITS);
            issues.push(Issue::new("edit", format!("Only the first {MAX_EDITS} edits are kept"), ""));
        }
        let mut current = self.clone();
        let mut room = MAX_EDIT_BYTES;
        for edit in edits {
            let edited = match room.checked_sub(edit.value.len()) {
                Some(left) => {
                    room = left;
                    current.edited(&edit)
                }
                None => Err("all changes together are too long for a link".into()),
            };
            match edited {
                Ok(next) => {
                    // As it will be written in a link.
                    let value = next.get(&edit.path).unwrap_or_default();
                    self.edits.push(Edit { value, ..edit });
                    current = next;
                }
                Err(problem) => {
                    let path = excerpt(&edit.path);
                    issues.push(Issue::new(&path, format!("Edit at step {}: {problem}", edit.step), ""));
                }
            }
        }
    }

    /// The recipe after an edit, or what is wrong with the edit.
    fn edited(&self, edit: &Edit) -> Result<Self, String> {
        if let Some(field) = field(self, &edit.path)
            && !field.live
        {
            return Err(format!("{} cannot change during a run", field.label));
        }
        let mut next = self.clone();
        next.set(&edit.path, &edit.value).map_err(|issue| issue.message)?;
        let steps = self.steps.min(next.steps);
        if edit.step > steps {
            return Err(format!("the run has {steps} steps"));
        }
        // What needs no mending is written as it will be in a link.
        match next.sanitize().into_iter().next() {
            Some(issue) => Err(issue.message),
            None => Ok(next),
        }
    }

    /// Records that a live control was turned before update `step`; a later value at the same step replaces the
    /// earlier one, so that dragging a point leaves one edit. Returns the edit as recorded.
    ///
    /// # Errors
    /// An [`Issue`] at the control if it is not live, does not take the value, or this or a later edit would no longer
    /// be fit to run; the spec is then unchanged.
    pub fn record(&mut self, step: u64, path: &str, value: &str) -> Result<Edit, Issue> {
        let edit = Edit { step, path: path.into(), value: value.into() };
        let mut next = self.clone();
        next.edits.retain(|other| (other.step, other.path.as_str()) != (step, path));
        let place = next.edits.partition_point(|other| other.step <= step);
        next.edits.insert(place, edit);
        if let Some(issue) = next.sanitize().into_iter().next() {
            return Err(Issue { path: path.into(), ..issue });
        }
        *self = next;
        Ok(self.edits[place].clone())
    }
}

fn mend_heads(width: usize, heads: &mut usize, note: &mut Note<'_>) {
    if !width.is_multiple_of(*heads) {
        let wrong = *heads;
        *heads = largest_divisor(width, wrong);
        note("model.heads", format!("{wrong} heads do not divide a width of {width}"), heads.to_string());
    }
}

/// Leaves at least one token of an image of `side` pixels.
fn mend_tokens(encoder: &mut TransformerSpec, side: usize, note: &mut Note<'_>) {
    if encoder.tokenizer == Tokenizer::Patch && !side.is_multiple_of(encoder.patch) {
        let wrong = encoder.patch;
        encoder.patch = largest_divisor(side, wrong);
        note(
            "model.patch",
            format!("Patches of {wrong} pixels do not divide an image of {side}"),
            encoder.patch.to_string(),
        );
    }
    while encoder.tokenizer == Tokenizer::Conv && encoder.token_grid(side, side).is_none() && encoder.blocks > 1 {
        encoder.blocks -= 1;
        note(
            "model.blocks",
            format!("So many blocks leave no token of an image of {side} pixels"),
            encoder.blocks.to_string(),
        );
    }
    if encoder.token_grid(side, side).is_none() {
        (encoder.kernel, encoder.stride) = (3, 0);
        note("model.kernel", format!("This kernel leaves no token of an image of {side} pixels"), "3".into());
    }
}

/// The largest divisor of `number` that is at most `limit`; 1 if there is none.
fn largest_divisor(number: usize, limit: usize) -> usize {
    (1..=limit.min(number)).rev().find(|divisor| number.is_multiple_of(*divisor)).unwrap_or(1)
}
