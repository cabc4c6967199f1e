//! What the lab does in the updates that a script repeats.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use engine::data::Data;
use engine::data::sampler::{Sampler, sampler};
use engine::executor::Executor;
use engine::model::{ParamLayout, THETA};
use engine::optim;
use engine::spec::RunSpec;
use engine::train::{Evaluation, Feed, StepMetrics, Trainer};

use crate::{Error, Framework};

/// Most examples that all updates together may draw, so that the files stay small.
pub const MOST_DRAWN: usize = 1 << 24;

/// Updates between two readings of their numbers.
const READ_EVERY: u64 = 32;

/// The updates of a run as the lab makes them.
pub struct Record {
    /// Where each parameter lies in [`theta`](Self::theta).
    pub layout: ParamLayout,
    /// Parameters at the start.
    pub theta: Vec<f32>,
    /// Running statistics at the start, by name.
    pub running: Vec<(String, Vec<f32>)>,
    /// Table rows of each update.
    pub rows: Vec<Vec<u32>>,
    /// Loss, learning rate and momentum of each update.
    pub metrics: Vec<StepMetrics>,
    /// Loss and accuracy on the test set at the end.
    pub test: Rc<Evaluation>,
}

impl Record {
    /// Whether batches differ in size.
    pub fn sized(&self) -> bool {
        self.rows.windows(2).any(|pair| pair[0].len() != pair[1].len())
    }
}

/// Draws by the number of the first.
type Drawn = Arc<Mutex<BTreeMap<u64, Vec<u32>>>>;

/// A sampler that remembers what it drew.
struct Remembering {
    sampler: Box<dyn Sampler>,
    drawn: Drawn,
}

impl Sampler for Remembering {
    fn fill(&mut self, first: u64, out: &mut [u32]) {
        self.sampler.fill(first, out);
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner).insert(first, out.to_vec());
    }

    fn leave_out(&mut self, rows: &[u32]) {
        self.sampler.leave_out(rows);
    }

    fn receives(&self) -> bool {
        self.sampler.receives()
    }

    fn feedback(&mut self, examples: &[u32], losses: &[f32]) {
        self.sampler.feedback(examples, losses);
    }

    fn remembered(&self) -> &[f32] {
        self.sampler.remembered()
    }

    fn numbers(&self) -> Vec<f64> {
        self.sampler.numbers()
    }

    fn restore(&mut self, numbers: &[f64]) -> bool {
        self.sampler.restore(numbers)
    }
}

/// Trains the first updates of a run and keeps what they were made of.
pub async fn record<E: Executor>(
    executor: E,
    spec: &RunSpec,
    data: Rc<Data>,
    framework: Framework,
    updates: u64,
    mut go_on: impl AsyncFnMut(u64) -> bool,
) -> Result<Record, Error> {
    let span = Feed::of(&data, spec)?.span();
    let drawn = Drawn::default();
    let sampler =
        Box::new(Remembering { sampler: sampler(&spec.batch, &data, span, spec.seed)?, drawn: drawn.clone() });
    let mut trainer = Trainer::with_sampler(executor, spec, data, sampler).await?;
    let layout = trainer.layout().clone();
    let theta = trainer.theta().await?;
    let rules: Vec<&str> = optim::states(&spec.optimizer, &layout).map(|(name, _)| name).collect();
    let names: Vec<String> = trainer.states().iter().map(|(name, _)| name.clone()).collect();
    let mut running = Vec::new();
    for name in names.into_iter().filter(|name| name != THETA && !rules.contains(&name.as_str())) {
        let values = trainer.state(&name).await?;
        running.push((name, values));
    }
    let (mut rows, mut metrics) = (Vec::new(), Vec::new());
    let mut all = 0;
    for step in 0..updates {
        if spec.model.normalises_batches() && trainer.micro_batches() > 1 {
            let reason =
                "batch norm sees micro-batches, which are parts of the batch here; a batch of at most 128 is one";
            return Err(Error::Refused(framework, vec![reason.to_owned()]));
        }
        let first = trainer.examples_drawn();
        trainer.step().await?;
        let batch = drawn.lock().unwrap_or_else(PoisonError::into_inner).remove(&first).unwrap_or_default();
        all += batch.len();
        if all > MOST_DRAWN {
            let reason =
                format!("{all} examples drawn by update {step} are more than {MOST_DRAWN}; ask for fewer updates");
            return Err(Error::Refused(framework, vec![reason]));
        }
        rows.push(batch);
        if trainer.unread() >= READ_EVERY || step + 1 == updates {
            metrics.extend(trainer.metrics().await?);
        }
        if !go_on(step + 1).await {
            return Err(Error::GivenUp);
        }
    }
    let test = trainer.evaluate().await?;
    if test.rows.is_empty() {
        return Err(Error::Refused(framework, vec!["there are no examples to test on".to_owned()]));
    }
    Ok(Record { layout, theta, running, rows, metrics, test })
}
