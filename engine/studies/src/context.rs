//! What a study's program works with: data, an executor, training runs, and a way to show how far it is.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;

use engine::data::Data;
use engine::executor::{AnyExecutor, ExecError};
use engine::figure::Figure;
use engine::probe::{Algorithm, Lanczos, Operator};
use engine::protocol::{Backend, BackendInfo};
use engine::spec::{DataSpec, RunSpec};
use engine::tape::{Breathe, Home, Play, PlayError};
use engine::train::Trainer;

use super::line::Line;
use super::{Arm, Results, Share, Source, Study, StudyError};

/// A future on one thread.
pub type Task<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// The world outside a study: a browser's worker, the command line, or a test.
pub trait Host {
    /// How far it is: runs finished and in all, seconds still needed, and what is going on.
    fn progress(&self, done: u32, total: u32, eta_s: Option<f64>, message: &str);

    /// Figures so far.
    fn figures(&self, figures: Vec<Figure>);

    /// Whether the person has asked to stop.
    fn cancelled(&self) -> bool;

    /// Lets messages arrive and the device work.
    fn breathe(&self) -> Task<'_, ()>;

    /// Milliseconds since some fixed moment.
    fn now_ms(&self) -> f64;

    /// A new executor, and what it is.
    fn executor(&self) -> Task<'_, Result<(AnyExecutor, BackendInfo), ExecError>>;

    /// A data set.
    fn data<'a>(&'a self, spec: &'a RunSpec) -> Task<'a, Result<Rc<Data>, StudyError>>;

    /// A file of the folder of packs.
    fn pack<'a>(&'a self, name: &'a str) -> Task<'a, Result<Rc<Vec<u8>>, StudyError>>;
}

/// Longest time without letting messages arrive.
const BREATH_MS: f64 = 12.0;
/// Shortest time between two sets of live figures.
const SHOW_MS: f64 = 500.0;

/// State of a study that runs.
pub struct Context<'h> {
    /// What has been yielded so far.
    pub results: Results,
    study: &'static Study,
    /// First of all of the study's seeds, whichever of them run here; none of a study without any.
    first_seed: Option<u64>,
    host: &'h dyn Host,
    executor: Option<AnyExecutor>,
    /// Where a play gives its executor back.
    lent: Home<AnyExecutor>,
    started_ms: f64,
    breath: Breath<'h>,
    shown_ms: f64,
    /// Share of the work that is done, 0..=1.
    fraction: f64,
    /// Runs planned.
    total: u32,
}

impl<'h> Context<'h> {
    /// A study about to run.
    pub(super) async fn new(
        study: &'static Study,
        first_seed: Option<u64>,
        results: Results,
        total: u32,
        host: &'h dyn Host,
    ) -> Result<Self, StudyError> {
        let now = host.now_ms();
        let mut context = Self {
            results,
            study,
            first_seed,
            host,
            executor: None,
            lent: Home::default(),
            started_ms: now,
            breath: Breath { host, total, drawn_ms: Rc::new(Cell::new(now)), begun: Rc::default() },
            shown_ms: now,
            fraction: 0.0,
            total,
        };
        context.executor().await?;
        Ok(context)
    }

    /// The executor, made anew where the last one was lost with a failed run.
    pub async fn executor(&mut self) -> Result<&mut AnyExecutor, StudyError> {
        let executor = self.take_executor().await?;
        Ok(self.executor.insert(executor))
    }

    /// The executor itself, for a run that will [`Context::give_back`] it.
    pub(super) async fn take_executor(&mut self) -> Result<AnyExecutor, StudyError> {
        let lent = || self.lent.try_borrow_mut().ok().and_then(|mut lent| lent.take());
        match self.executor.take().or_else(lent) {
            Some(executor) => Ok(executor),
            None => {
                let (executor, info) = self.host.executor().await?;
                self.results.gpu = info.kind == Backend::Webgpu && !info.fallback;
                self.results.backend = info.adapter;
                Ok(executor)
            }
        }
    }

    /// The seeds, each with its share of a part of the study's work.
    pub(super) fn seeds(&self, share: Share) -> Vec<(u64, Share)> {
        let seeds = &self.results.seeds;
        seeds.iter().enumerate().map(|(place, &seed)| (seed, share.part(place, seeds.len()))).collect()
    }

    /// Runs the study's work seed by seed.
    pub(super) async fn each_seed(
        &mut self,
        run: impl AsyncFn(&mut Self, u64, Share) -> Result<(), StudyError>,
    ) -> Result<(), StudyError> {
        for (seed, share) in self.seeds(Share::ALL) {
            run(self, seed, share).await?;
        }
        Ok(())
    }

    /// Whether a seed is the one that pictures are drawn of: the study's first, also where seeds run apart.
    #[must_use]
    pub fn pictures(&self, seed: u64) -> bool {
        self.first_seed == Some(seed)
    }

    /// Milliseconds since some fixed moment.
    #[must_use]
    pub fn now_ms(&self) -> f64 {
        self.host.now_ms()
    }

    /// A data set.
    pub async fn data(&self, spec: &DataSpec) -> Result<Rc<Data>, StudyError> {
        self.host.data(&RunSpec { data: spec.clone(), ..RunSpec::default() }).await
    }

    /// A file of the folder of packs.
    pub async fn pack(&self, name: &str) -> Result<Rc<Vec<u8>>, StudyError> {
        self.host.pack(name).await
    }

    /// A training run for a program to drive. Its executor serves the next run where the work went well; else the next one
    /// gets a new executor.
    pub async fn with_trainer<T>(
        &mut self,
        spec: &RunSpec,
        work: impl AsyncFnOnce(&mut Self, &mut Trainer<AnyExecutor>) -> Result<T, StudyError>,
    ) -> Result<T, StudyError> {
        let mut trainer = self.trainer(spec).await?;
        let yielded = work(self, &mut trainer).await?;
        self.give_back(trainer.into_executor());
        Ok(yielded)
    }

    pub(super) async fn trainer(&mut self, spec: &RunSpec) -> Result<Trainer<AnyExecutor>, StudyError> {
        let data = self.host.data(spec).await?;
        Ok(Trainer::new(self.take_executor().await?, spec, data).await?)
    }

    /// Keeps an executor for the next run.
    pub(super) fn give_back(&mut self, executor: AnyExecutor) {
        self.executor = Some(executor);
    }

    /// A place where the study may be cancelled and the rest of the worker gets its turn; cheap enough for every step.
    pub async fn breathe(&mut self) -> Result<(), StudyError> {
        if self.breath.due() && !self.breath.begun.replace(true) {
            // The first run may take long until it has anything to tell.
            self.progress(0.0, "the first run goes on");
        }
        Ok(self.breath.breathe().await?)
    }

    /// Steps of the study's own to be run ([`engine::tape::trace`]); the executor comes back when the play is dropped.
    pub async fn play(&mut self, seed: u64) -> Result<Play<'h>, StudyError> {
        let executor = self.take_executor().await?;
        if let Ok(mut lent) = self.lent.try_borrow_mut() {
            *lent = Some(executor);
        }
        Ok(Play::new(&self.lent, self.breath.clone(), seed)?)
    }

    /// Does so many updates, with a place to breathe after each.
    pub async fn updates(&mut self, trainer: &mut Trainer<AnyExecutor>, count: u64) -> Result<(), StudyError> {
        for _ in 0..count {
            trainer.step().await?;
            self.breathe().await?;
        }
        Ok(())
    }

    /// Runs a probe's algorithm to its end, with a place to breathe before every slice of a product.
    pub async fn measure<A: Algorithm, O: Operator>(
        &mut self,
        mut algorithm: A,
        operator: &mut O,
        executor: &mut AnyExecutor,
    ) -> Result<A::Record, StudyError> {
        loop {
            let vectors = algorithm.ask();
            if vectors.is_empty() {
                return Ok(algorithm.record());
            }
            operator.begin(vectors);
            let products = loop {
                self.breathe().await?;
                if let Some(products) = operator.advance(executor).await? {
                    break products;
                }
            };
            algorithm.tell(products);
        }
    }

    /// The algebraically largest eigenvalue of a matrix that has been linearised, by so many Lanczos steps from `start`.
    pub async fn largest_eigenvalue<O: Operator>(
        &mut self,
        matrix: &mut O,
        executor: &mut AnyExecutor,
        start: &[f32],
        steps: usize,
    ) -> Result<f64, StudyError> {
        let ritz = self.measure(Lanczos::new(start, steps), matrix, executor).await?;
        Ok(ritz.values.first().copied().unwrap_or(f64::NAN))
    }

    /// Says what is going on and which fraction of the whole study is done, which never falls; live figures follow now and then.
    pub fn progress(&mut self, fraction: f64, message: &str) {
        self.fraction = self.fraction.max(fraction).min(1.0);
        let now = self.host.now_ms();
        let spent = (now - self.started_ms) / 1000.0;
        // The first percent holds one-off work and foretells nothing.
        let eta = (self.fraction > 0.01).then(|| spent * (1.0 - self.fraction) / self.fraction);
        self.host.progress(self.results.finished() as u32, self.total, eta, message);
        if now - self.shown_ms >= SHOW_MS {
            self.shown_ms = now;
            self.host.figures(self.study.drawn(&self.results));
        }
    }

    /// Trains an arm with a seed, branches included, which fills the curves of [`crate::names`] against the updates done, of
    /// batches and of each test set, those of the arm's gauges, and their last values as numbers. A run whose loss is no
    /// longer finite ends there. Examples come from the spec's data set and sampler, or from `source`; `share`: its part of
    /// the study's work.
    pub async fn train(
        &mut self,
        arm: &Arm,
        seed: u64,
        share: Share,
        source: Option<Source>,
    ) -> Result<(), StudyError> {
        let spec = RunSpec { seed, ..arm.spec.clone() };
        let mut line = Line::start(self, arm, &spec, share, source).await?;
        for stop in arm.stops() {
            if !line.advance(stop).await? {
                break;
            }
            for branch in arm.branches.iter().filter(|branch| branch.at == stop) {
                line.follow(branch).await?;
            }
        }
        let trainer = line.end().await?;
        self.give_back(trainer.into_executor());
        Ok(())
    }
}

/// When messages were let in last.
#[derive(Clone)]
struct Breath<'h> {
    host: &'h dyn Host,
    /// Runs planned.
    total: u32,
    drawn_ms: Rc<Cell<f64>>,
    /// Whether the study has told that it computes.
    begun: Rc<Cell<bool>>,
}

impl Breath<'_> {
    fn due(&self) -> bool {
        self.host.now_ms() - self.drawn_ms.get() >= BREATH_MS
    }
}

impl Breathe for Breath<'_> {
    fn breathe(&mut self) -> Task<'_, Result<(), PlayError>> {
        Box::pin(async move {
            if self.due() {
                if !self.begun.replace(true) {
                    self.host.progress(0, self.total, None, "the first run goes on");
                }
                self.host.breathe().await;
                self.drawn_ms.set(self.host.now_ms());
            }
            if self.host.cancelled() { Err(PlayError::Cancelled) } else { Ok(()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use engine::model::Mode;
    use engine::tape::trace;

    use super::*;
    use crate::names::LOSS;
    use crate::test_host::TestHost;
    use crate::{Knobs, Label};
    use engine::data::sampler::Sampler;
    use engine::spec::{BatchSpec, DataSet, MlpSpec, ModelSpec};
    use std::sync::{Arc, Mutex};

    /// Draws rows in order and keeps what it is told.
    struct Told(Arc<Mutex<Vec<Feedback>>>);

    /// Examples and their losses.
    type Feedback = (Vec<u32>, Vec<f32>);

    impl Sampler for Told {
        fn fill(&mut self, first: u64, out: &mut [u32]) {
            (first..).zip(out).for_each(|(draw, row)| *row = (draw % 64) as u32);
        }

        fn receives(&self) -> bool {
            true
        }

        fn feedback(&mut self, examples: &[u32], losses: &[f32]) {
            self.0.lock().unwrap().push((examples.to_vec(), losses.to_vec()));
        }
    }

    #[test]
    fn a_sampler_receives_the_losses_of_its_batch() {
        for micro in [0, 5] {
            let spec = RunSpec {
                data: DataSpec { train: 64, test: 32, ..DataSpec::of(DataSet::Mixture) },
                model: ModelSpec::Mlp(MlpSpec { hidden: vec![8], ..MlpSpec::default() }),
                batch: BatchSpec { size: 12, micro, ..BatchSpec::default() },
                steps: 4,
                ..RunSpec::default()
            };
            let arm = Arm::new(Label::new("A", "arm"), spec);
            let host = TestHost::new(u32::MAX);
            let results = Results::new(Knobs::default(), vec![arm.label.clone()], vec![1]);
            let told = Arc::new(Mutex::new(Vec::new()));
            let outcome = pollster::block_on(async {
                let mut context = Context::new(&Study::BASE, None, results, 1, &host).await?;
                let data = context.data(&arm.spec.data).await?;
                let source = Source { data, sampler: Box::new(Told(told.clone())), tests: vec![] };
                context.train(&arm, 1, Share::ALL, Some(source)).await?;
                Ok::<_, StudyError>(context.results.record("A", 1)?.clone())
            });
            let (outcome, told) = (outcome.unwrap(), told.lock().unwrap());
            assert_eq!(told.len(), 4);
            for ((examples, losses), [step, loss]) in told.iter().zip(outcome.curve(LOSS)) {
                assert_eq!((examples[0], examples.len(), losses.len()), (12 * *step as u32, 12, 12));
                let mean = losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / 12.0;
                assert!((mean - loss).abs() < 1e-5, "{mean} against {loss}");
            }
        }
    }

    #[test]
    fn progress_never_falls_and_ends_at_one() {
        let host = TestHost::new(u32::MAX);
        let results = Results::new(Knobs::default(), vec![], vec![]);
        let mut context = pollster::block_on(Context::new(&Study::BASE, None, results, 1, &host)).unwrap();
        let mut seen = Vec::new();
        for fraction in [0.1, 0.5, 0.2, f64::NAN, 0.6, 7.0] {
            context.progress(fraction, "");
            seen.push(context.fraction);
        }
        assert_eq!(seen, [0.1, 0.5, 0.5, 0.5, 0.6, 1.0]);
    }

    #[test]
    fn a_play_hands_its_executor_back() {
        let host = TestHost::new(3);
        let results = Results::new(Knobs::default(), vec![], vec![]);
        let mut context = pollster::block_on(Context::new(&Study::BASE, None, results, 1, &host)).unwrap();
        pollster::block_on(async {
            let traced = trace("count", Mode::Train, |tape| {
                let count = tape.state("count", [1]);
                tape.keep("count", &(count + 1.0));
                Ok(())
            });
            let mut play = context.play(1).await?;
            let step = play.add(traced.unwrap()).await?;
            play.run(step, &[]).await?;
            context.progress(0.5, "beside a play");
            assert!(context.executor.is_none());
            drop(play);
            assert!(context.lent.borrow().is_some());
            let mut play = context.play(2).await?;
            assert!(play.read("count").await.is_err(), "a play starts with nothing");
            drop(play);
            context.breathe().await?;
            context.breathe().await?;
            assert!(matches!(context.breathe().await, Err(StudyError::Cancelled)));
            context.executor().await.map(|_| ())
        })
        .unwrap();
    }
}
