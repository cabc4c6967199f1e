//! Whole runs through the trainer and the session, natively, on the CPU executor.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, and what helps them is no less a test")]

mod native;

use std::rc::Rc;
use std::time::Instant;

use engine::cpu::CpuExecutor;
use engine::data;
use engine::executor::Executor;
use engine::fewshot::Raw;
use engine::figure::Mark;
use engine::protocol::{
    Backend, BenchCommand, Blob, Command, Event, FindingKind, Metrics, Phase, RunCommand, RunEvent, RunId, RunState,
    StudyCommand, SweepCommand, SweepEvent,
};
use engine::range::Range;
use engine::session::{Inbox, Session};
use engine::spec::{EffectiveSchedule, Link, PRESETS, Rule, RunSpec, Shape, preset};
use engine::sweep::{Quantity, Results, Sweep};
use engine::train::{Checkpoint, StepMetrics, TrainError, Trainer};

use native::Native;

/// A command about a run.
fn of_run(run: RunId, what: RunCommand) -> Command {
    Command::Run { run, what }
}

fn load(spec: &RunSpec) -> Result<Rc<data::Data>, TrainError> {
    let pack = match data::pack_file(spec.data.set) {
        Some(name) => Some(data::read_pack_file(&name)?),
        None => None,
    };
    Ok(Rc::new(data::load(&spec.data, spec.seed, pack.as_deref())?))
}

fn spec(id: &str) -> RunSpec {
    preset(id).unwrap().spec()
}

async fn train(trainer: &mut Trainer<CpuExecutor>, steps: u64) -> Result<Vec<StepMetrics>, TrainError> {
    for _ in 0..steps {
        trainer.step().await?;
    }
    trainer.metrics().await
}

/// Losses as bits: equality must hold in the last one.
fn bits(metrics: &[StepMetrics]) -> Vec<(u64, u32)> {
    metrics.iter().map(|metrics| (metrics.step, metrics.loss.to_bits())).collect()
}

#[test]
fn every_preset_learns() -> Result<(), TrainError> {
    for preset in PRESETS {
        let mut spec = preset.spec();
        // The first steps of a long warm-up show nothing.
        spec.schedule.warmup = 5;
        let data = load(&spec)?;
        pollster::block_on(async {
            let mut trainer = Trainer::new(CpuExecutor::new(), &spec, data).await?;
            let metrics = train(&mut trainer, 30).await?;
            let mean = |metrics: &[StepMetrics]| metrics.iter().map(|m| m.loss).sum::<f32>() / metrics.len() as f32;
            let (first, last) = (mean(&metrics[..5]), mean(&metrics[25..]));
            assert!(last < first, "{}: {first} to {last}", preset.id);
            Ok::<(), TrainError>(())
        })?;
    }
    Ok(())
}

#[test]
fn a_batch_in_parts_takes_the_step_of_the_whole_batch() -> Result<(), TrainError> {
    let whole = RunSpec { steps: 10, ..spec("mlp") };
    let data = load(&whole)?;
    pollster::block_on(async {
        let mut runs = Vec::new();
        for micro in [0, 32, 24, 1] {
            let mut spec = whole.clone();
            spec.batch.micro = micro;
            let mut trainer = Trainer::new(CpuExecutor::new(), &spec, data.clone()).await?;
            runs.push(train(&mut trainer, 10).await?);
        }
        for run in &runs[1..] {
            for (a, b) in runs[0].iter().zip(run) {
                assert!((a.loss - b.loss).abs() < 1e-4 * a.loss, "step {}: {} and {}", a.step, a.loss, b.loss);
            }
        }
        Ok(())
    })
}

#[test]
fn the_same_spec_and_a_restored_checkpoint_give_the_same_bits() -> Result<(), TrainError> {
    // Batch norm, flips and an edited batch size: running statistics, random numbers and plans all matter.
    let mut spec = RunSpec { steps: 12, ..spec("convnet") };
    spec.data.size = 12;
    spec.data.train = 500;
    spec.batch.size = 16;
    spec.record(5, "batch.size", "24").unwrap();
    let data = load(&spec)?;
    pollster::block_on(async {
        let mut first = Trainer::new(CpuExecutor::new(), &spec, data.clone()).await?;
        let mut expected = train(&mut first, 4).await?;
        let checkpoint = first.checkpoint().await?;
        expected.extend(train(&mut first, 8).await?);

        let mut second = Trainer::new(CpuExecutor::new(), &spec, data.clone()).await?;
        assert_eq!(bits(&train(&mut second, 12).await?), bits(&expected));

        // Evaluation in between changes nothing.
        second.restore(&checkpoint)?;
        second.evaluate().await?;
        assert_eq!(bits(&train(&mut second, 8).await?), bits(&expected[4..]));
        Ok(())
    })
}

#[test]
fn a_second_evaluation_costs_nothing_until_the_parameters_change() -> Result<(), TrainError> {
    let spec = RunSpec { steps: 3, ..spec("mlp") };
    let data = load(&spec)?;
    pollster::block_on(async {
        let mut trainer = Trainer::new(CpuExecutor::new(), &spec, data).await?;
        train(&mut trainer, 1).await?;
        let first = trainer.evaluate().await?;
        let counters = trainer.executor_mut().counters();
        assert_eq!(trainer.evaluate().await?, first);
        assert_eq!(trainer.executor_mut().counters(), counters);

        let checkpoint = trainer.checkpoint().await?;
        let halved: Vec<f32> = trainer.theta().await?.iter().map(|x| x / 2.0).collect();
        trainer.set_theta(&halved)?;
        assert_ne!(trainer.evaluate().await?.losses, first.losses);
        trainer.restore(&checkpoint)?;
        assert_eq!(trainer.evaluate().await?, first);
        train(&mut trainer, 1).await?;
        assert_ne!(trainer.evaluate().await?.losses, first.losses);
        Ok(())
    })
}

/// Power depends on the examples really seen, and a rule on the batch really drawn.
#[test]
fn a_run_reports_the_rates_that_its_batches_give() -> Result<(), TrainError> {
    let mut recipe = RunSpec { steps: 12, ..spec("mlp") };
    for (path, value) in
        [("schedule", "power"), ("schedule.warmup", "0"), ("schedule.decay", "0"), ("schedule.peak", "1")]
    {
        recipe.set(path, value).unwrap();
    }
    recipe.record(5, "batch.size", "8").unwrap();
    let (first, law) = (recipe.batch.size as f64, recipe.schedule.clone());
    let mut scaled = recipe.clone();
    scaled.schedule = engine::spec::ScheduleSpec { warmup: 0, peak: 0.01, ..Default::default() };
    scaled.set("schedule", "constant").unwrap();
    scaled.set("schedule.scaling", "linear").unwrap();
    let data = load(&recipe)?;
    pollster::block_on(async {
        let mut power = Trainer::new(CpuExecutor::new(), &recipe, data.clone()).await?;
        let mut metrics = train(&mut power, 7).await?;
        let checkpoint = power.checkpoint().await?;
        let rest = train(&mut power, 5).await?;
        power.restore(&checkpoint)?;
        assert_eq!(train(&mut power, 5).await?, rest);
        metrics.extend(rest);
        let mut seen = 0.0;
        for metrics in metrics {
            let batch = if metrics.step < 5 { first } else { 8.0 };
            seen += batch;
            let expected = (batch * law.gain * f64::powf(seen, law.exponent)) as f32;
            assert!((metrics.lr / expected - 1.0).abs() < 1e-6, "{metrics:?}, not {expected}");
            assert_eq!(metrics.batch, batch as usize);
        }
        let mut linear = Trainer::new(CpuExecutor::new(), &scaled, data.clone()).await?;
        let rates: Vec<f32> = train(&mut linear, 7).await?.iter().map(|metrics| metrics.lr).collect();
        let small = (0.01 * 8.0 / first) as f32;
        assert_eq!(rates, [[0.01; 5].as_slice(), &[small; 2]].concat());
        Ok(())
    })
}

/// Policies that decide from measurements, with what makes them grow soon.
const ADAPTIVE: [&str; 3] = [
    "batch.policy=norm_test&batch.eta=0.6",
    "batch.policy=inner_product&batch.theta=0.3&batch.nu=0.5",
    "batch.policy=noise_scale&batch.smoothing=0.5&batch.shrink=true",
];

fn growing(policy: &str, size: usize) -> RunSpec {
    let link = Link::parse(&format!("#lab?preset=mlp&steps=24&batch.size={size}&batch.interval=3&{policy}&v=1"));
    assert_eq!(link.issues, []);
    link.spec
}

#[test]
fn adaptive_batches_are_the_same_from_a_checkpoint() -> Result<(), TrainError> {
    let data = load(&growing(ADAPTIVE[0], 8))?;
    for policy in ADAPTIVE {
        let spec = growing(policy, 8);
        pollster::block_on(async {
            let mut first = Trainer::new(CpuExecutor::new(), &spec, data.clone()).await?;
            let mut expected = train(&mut first, 10).await?;
            let checkpoint = Checkpoint::from_bytes(&first.checkpoint().await?.to_bytes()?)?;
            expected.extend(train(&mut first, 14).await?);
            assert!(expected[23].batch > 8, "{policy}: {}", expected[23].batch);
            assert_ne!(expected[10].batch, 8, "{policy}: decided before the checkpoint");

            let mut second = Trainer::new(CpuExecutor::new(), &spec, data.clone()).await?;
            assert_eq!(train(&mut second, 24).await?, expected, "{policy}");
            second.restore(&checkpoint)?;
            assert_eq!(second.batch_at(10), expected[10].batch);
            // Measuring by itself changes nothing.
            second.gradient_statistics().await?;
            assert_eq!(train(&mut second, 14).await?, expected[10..], "{policy}");

            // A file from before there were policies: the state is restored, the policy starts.
            let old = Checkpoint { control: Default::default(), ..checkpoint };
            second.restore(&old)?;
            assert_eq!(second.batch_at(10), 8);
            Ok::<(), TrainError>(())
        })?;
    }
    Ok(())
}

#[test]
fn tests_that_tolerate_everything_leave_the_fixed_batch_bit_for_bit() -> Result<(), TrainError> {
    let policies = ["batch.policy=norm_test&batch.eta=1e9", "batch.policy=inner_product&batch.theta=1e9&batch.nu=1e9"];
    // In one micro-batch, and in several.
    for size in [8, 200] {
        let fixed = growing("batch.policy=fixed", size);
        let data = load(&fixed)?;
        pollster::block_on(async {
            let mut trainer = Trainer::new(CpuExecutor::new(), &fixed, data.clone()).await?;
            let expected = train(&mut trainer, 24).await?;
            let theta = trainer.theta().await?;
            for policy in policies {
                let spec = growing(policy, size);
                let mut trainer = Trainer::new(CpuExecutor::new(), &spec, data.clone()).await?;
                assert_eq!(train(&mut trainer, 24).await?, expected, "{policy} at {size}");
                assert_eq!(trainer.theta().await?, theta);
            }
            Ok::<(), TrainError>(())
        })?;
    }
    Ok(())
}

#[test]
fn under_label_noise_the_norm_test_grows_to_the_whole_set_and_stops() -> Result<(), TrainError> {
    let link = "#lab?preset=mlp&model.hidden=&data.label_noise=0.3&optimizer=sgd&schedule=constant&schedule.peak=0.1\
                &schedule.warmup=0&batch.size=8&batch.policy=norm_test&batch.eta=0.9&batch.interval=5&batch.largest=0&v=1";
    let link = Link::parse(link);
    assert_eq!(link.issues, []);
    let data = load(&link.spec)?;
    pollster::block_on(async {
        let mut trainer = Trainer::new(CpuExecutor::new(), &link.spec, data).await?;
        let n = trainer.examples();
        let batches: Vec<usize> = train(&mut trainer, 500).await?.iter().map(|metrics| metrics.batch).collect();
        assert!(batches.is_sorted(), "{batches:?}");
        assert_eq!((batches[0], batches[499]), (8, n), "{batches:?}");
        Ok(())
    })
}

/// A session with its inbox, driven turn by turn.
struct Desk {
    host: Rc<Native>,
    inbox: Inbox,
    session: Session<Native>,
}

impl Desk {
    fn new() -> Self {
        let (host, inbox) = (Rc::new(Native::default()), Inbox::default());
        let session = Session::new(host.clone(), inbox.clone());
        Desk { host, inbox, session }
    }

    fn tell(&mut self, command: Command, blobs: Vec<Vec<u8>>) {
        self.inbox.push((command, blobs));
        pollster::block_on(self.session.turn());
    }

    fn configure(&mut self, link: &str) {
        self.tell(of_run(1, RunCommand::Configure { spec: Link::parse(link).spec }), vec![]);
    }

    fn rewind(&mut self, step: u64) {
        self.tell(of_run(1, RunCommand::Rewind { step }), vec![]);
    }

    /// Another session in which the run was opened from a state that was kept.
    fn opened(link: &str, state: Vec<u8>) -> Self {
        let mut desk = Desk::new();
        desk.configure(link);
        desk.tell(of_run(1, RunCommand::Restore { checkpoint: Blob(0) }), vec![state]);
        desk
    }

    /// The last state that was sent for safe-keeping, and how many updates it has done.
    fn kept(&self) -> (u64, Vec<u8>) {
        let events = self.host.events.borrow();
        let kept = events.iter().rev().find_map(|(event, blobs)| match event {
            Event::Run { what: RunEvent::Checkpoint { step, .. }, .. } => Some((*step, blobs[0].clone())),
            _ => None,
        });
        kept.unwrap()
    }

    /// Gives the run its turns until it no longer trains.
    fn train(&mut self) -> RunState {
        self.tell(of_run(1, RunCommand::Train), vec![]);
        loop {
            if let Some(state) = self.state()
                && state != RunState::Running
            {
                return state;
            }
            pollster::block_on(self.session.turn());
        }
    }

    fn state(&self) -> Option<RunState> {
        self.place().map(|(_, state)| state)
    }

    /// Updates done and the state, as they were last told.
    fn place(&self) -> Option<(u64, RunState)> {
        let events = self.host.events.borrow();
        events.iter().rev().find_map(|(event, _)| match event {
            Event::Run { what: RunEvent::State { step, state }, .. } => Some((*step, *state)),
            _ => None,
        })
    }

    /// Loss bits by update, the latest of each.
    fn losses(&self) -> Vec<u32> {
        self.column(|metrics| &metrics.loss)
    }

    /// Learning rates by update, the latest of each.
    fn rates(&self) -> Vec<f32> {
        self.column(|metrics| &metrics.lr).into_iter().map(f32::from_bits).collect()
    }

    /// A column's bits by update, the latest of each.
    fn column(&self, of: fn(&Metrics) -> &[f32]) -> Vec<u32> {
        let mut column = Vec::new();
        for (event, _) in self.host.events.borrow().iter() {
            if let Event::Run { what: RunEvent::Metrics(metrics), .. } = event {
                column.truncate(metrics.first_step as usize);
                column.extend(of(metrics).iter().map(|number| number.to_bits()));
            }
        }
        column
    }

    fn errors(&self) -> Vec<String> {
        let events = self.host.events.borrow();
        events
            .iter()
            .filter_map(|(event, _)| match event {
                Event::Error { message, .. } => Some(message.clone()),
                _ => None,
            })
            .collect()
    }
}

const LINK: &str = "#lab?preset=mlp&steps=40&probes.evaluate=20&probes.look=0&v=1";

#[test]
fn fetching_and_compiling_are_told_and_come_to_an_end() {
    let mut desk = Desk::new();
    desk.configure(LINK);
    let events = desk.host.events.borrow();
    let told = |wanted| -> Vec<f64> {
        let fraction = |(event, _): &(Event, Vec<Vec<u8>>)| match event {
            Event::Progress { phase, fraction, .. } if *phase == wanted => Some(*fraction),
            _ => None,
        };
        events.iter().filter_map(fraction).collect()
    };
    assert_eq!(told(Phase::Data), [0.0, 0.5, 1.0]);
    // How long compiling takes nobody knows; that the run stands ends it.
    assert!(matches!(told(Phase::Compile)[..], [share] if share.is_nan()));
    assert!(matches!(
        events.last(),
        Some((Event::Run { what: RunEvent::State { state: RunState::Paused, .. }, .. }, _))
    ));
}

/// A rewound and a resumed run repeat the straight one: losses, batch sizes and learning rates.
fn rewinds_and_resumes(link: &str) {
    let mut straight = Desk::new();
    straight.configure(link);
    assert_eq!(straight.train(), RunState::Done);
    let expected = straight.losses();
    let batches = straight.column(|metrics| &metrics.batch);
    let rates = straight.column(|metrics| &metrics.lr);
    assert_eq!(expected.len(), 40);

    straight.rewind(13);
    assert_eq!(straight.train(), RunState::Done);
    assert_eq!(straight.losses(), expected);
    assert_eq!(straight.column(|metrics| &metrics.batch), batches);
    assert_eq!(straight.column(|metrics| &metrics.lr), rates);
    assert_eq!(straight.errors(), Vec::<String>::new());

    // Stop in the middle, keep the checkpoint, close, open anew, go on.
    let mut closed = Desk::new();
    closed.configure(link);
    for _ in 0..17 {
        closed.tell(of_run(1, RunCommand::Step), vec![]);
    }
    closed.tell(of_run(1, RunCommand::Save), vec![]);
    let (step, state) = closed.kept();
    assert_eq!(step, 17);
    let mut opened = Desk::opened(link, state);
    assert_eq!(opened.train(), RunState::Done);
    assert_eq!(opened.losses(), expected);
    assert_eq!(opened.column(|metrics| &metrics.batch), batches);
    assert_eq!(opened.column(|metrics| &metrics.lr), rates);
}

#[test]
fn a_rewound_run_and_a_resumed_run_repeat_the_straight_one() {
    rewinds_and_resumes(LINK);
}

#[test]
fn a_run_that_went_back_stays_there_on_another_executor_and_for_later() {
    let mut desk = Desk::new();
    desk.configure(LINK);
    desk.train();
    let expected = desk.losses();
    desk.rewind(13);
    desk.tell(Command::SetBackend { backend: Backend::Cpu }, vec![]);
    assert_eq!(desk.place(), Some((13, RunState::Paused)));
    let (step, state) = desk.kept();
    assert_eq!(step, 13);
    let mut opened = Desk::opened(LINK, state);
    for desk in [&mut desk, &mut opened] {
        assert_eq!(desk.train(), RunState::Done);
        assert_eq!(desk.losses(), expected);
        assert_eq!(desk.errors(), [""; 0]);
    }
}

#[test]
fn no_checkpoint_of_a_future_that_was_given_up_is_gone_back_to() {
    let mut before = Desk::new();
    before.configure(LINK);
    before.steps(17);
    before.tell(of_run(1, RunCommand::Save), vec![]);
    let mut desk = Desk::opened(LINK, before.kept().1);
    desk.rewind(12);
    desk.edit("schedule.peak", "0.004");
    desk.steps(8);
    desk.rewind(18);
    assert_eq!(desk.train(), RunState::Done);

    let mut replay = Desk::new();
    replay.configure(&format!("{LINK}&edit=12:schedule.peak=0.004"));
    replay.train();
    assert_eq!(desk.losses(), replay.losses());
}

/// A way back that another one interrupts, which leads to a later update, leaves no gap.
#[test]
fn a_way_back_may_lead_forward_again() {
    let mut desk = Desk::new();
    desk.configure(LINK);
    desk.train();
    let expected = desk.losses();
    desk.rewind(3);
    desk.rewind(25);
    assert_eq!(desk.place(), Some((25, RunState::Paused)));
    assert_eq!(desk.losses()[..25], expected[..25]);
    let mut opened = Desk::opened(LINK, desk.kept().1);
    assert_eq!(opened.errors(), [""; 0]);
    assert_eq!(opened.train(), RunState::Done);
    assert_eq!(opened.losses(), expected);
}

#[test]
fn a_run_without_an_update_left_is_done_however_it_came_there() {
    let mut desk = Desk::new();
    desk.configure(LINK);
    desk.steps(40);
    let done = Some((40, RunState::Done));
    assert_eq!(desk.place(), done);
    desk.tell(of_run(1, RunCommand::Save), vec![]);
    let mut opened = Desk::opened(LINK, desk.kept().1);
    assert_eq!(opened.place(), done);
    opened.tell(Command::SetBackend { backend: Backend::Cpu }, vec![]);
    assert_eq!(opened.place(), done);
    opened.rewind(40);
    assert_eq!(opened.place(), done);
    opened.edit("steps", "60");
    assert_eq!(opened.place(), Some((40, RunState::Paused)));
    assert_eq!(opened.train(), RunState::Done);
    assert_eq!(opened.losses().len(), 60);
}

#[test]
fn runs_with_changing_batches_are_rewound_and_resumed() {
    let planned = ["batch.policy=stepped&batch.every=10", "batch.policy=ramp&batch.over=30"];
    for policy in planned.into_iter().chain(ADAPTIVE) {
        rewinds_and_resumes(&format!("{LINK}&batch.size=8&batch.interval=3&{policy}"));
    }
}

/// Heavy ball whose rate and momentum the curvature sets.
const ON_THE_FLY: &str =
    "optimizer=momentum&schedule=constant&schedule.warmup=0&schedule.interval=6&schedule.products=8";

#[test]
fn runs_at_the_rate_of_their_curvature_are_rewound_and_resumed() {
    let modes = ["schedule.auto=both", "schedule.auto=rate&schedule.vectors=2", "schedule.auto=both&batch.policy=ramp"];
    for more in modes {
        rewinds_and_resumes(&format!("{LINK}&batch.size=24&batch.over=30&{ON_THE_FLY}&{more}"));
    }
}

#[test]
fn a_rate_from_curvature_is_kept_in_checkpoints_and_measuring_changes_nothing() -> Result<(), TrainError> {
    let link = Link::parse(&format!("{LINK}&{ON_THE_FLY}&schedule.auto=both"));
    assert_eq!(link.issues, []);
    let spec = link.spec;
    let data = load(&spec)?;
    pollster::block_on(async {
        let mut first = Trainer::new(CpuExecutor::new(), &spec, data.clone()).await?;
        let mut expected = train(&mut first, 10).await?;
        let checkpoint = Checkpoint::from_bytes(&first.checkpoint().await?.to_bytes()?)?;
        expected.extend(train(&mut first, 10).await?);
        let rates: Vec<f32> = expected.iter().map(|metrics| metrics.lr).collect();
        // Steps 0, 6, 12 and 18 measure; between them the rate stays.
        assert!(rates.windows(2).zip(1..).all(|(pair, step)| (pair[0] != pair[1]) == (step % 6 == 0)), "{rates:?}");

        let mut second = Trainer::new(CpuExecutor::new(), &spec, data.clone()).await?;
        first.restore(&checkpoint)?;
        second.restore(&checkpoint)?;
        assert_eq!((second.lr() as f32, second.optimizer()), (rates[10], first.optimizer()));
        assert_ne!(second.optimizer(), spec.optimizer);
        // Measuring by itself changes nothing.
        second.batch_spectrum().await?;
        assert_eq!(train(&mut second, 10).await?, expected[10..]);
        // A file from before rates were measured: the recipe's own until the next measurement.
        second.restore(&Checkpoint { control: Default::default(), ..checkpoint })?;
        assert_eq!(second.lr(), spec.schedule.peak);
        Ok(())
    })
}

/// The twin tuned by hand ends lower, after thirty runs to find its pair; this one was given no rate and no momentum.
#[test]
fn curvature_finds_a_rate_that_trains() -> Result<(), TrainError> {
    for seed in 1..=3 {
        let spec = RunSpec { seed, ..spec("on-the-fly") };
        let data = load(&spec)?;
        pollster::block_on(async {
            let mut trainer = Trainer::new(CpuExecutor::new(), &spec, data).await?;
            train(&mut trainer, 540).await?;
            let tail = train(&mut trainer, 60).await?;
            let mean = tail.iter().map(|metrics| metrics.loss).sum::<f32>() / 60.0;
            assert!(mean < 0.01, "seed {seed}: {mean}");
            Ok::<(), TrainError>(())
        })?;
    }
    Ok(())
}

#[test]
fn curvature_asked_in_mid_run_replays_from_its_link() {
    let recipe = format!("{LINK}&{ON_THE_FLY}");
    let mut desk = Desk::new();
    desk.configure(&recipe);
    let edits = [(11, "schedule.auto", "both"), (20, "schedule.damping", "1.5"), (31, "schedule.auto", "off")];
    let mut link = recipe.clone();
    for (step, path, value) in edits {
        while desk.column(|metrics| &metrics.loss).len() < step {
            desk.tell(of_run(1, RunCommand::Step), vec![]);
        }
        desk.tell(of_run(1, RunCommand::Edit { path: path.into(), value: value.into() }), vec![]);
        link += &format!("&edit={step}:{path}={value}");
    }
    assert_eq!(desk.train(), RunState::Done);
    assert_eq!(desk.errors(), Vec::<String>::new());

    let mut replay = Desk::new();
    replay.configure(&link);
    assert_eq!(replay.train(), RunState::Done);
    assert_eq!(replay.losses(), desk.losses());
    let rates = |desk: &Desk| desk.column(|metrics| &metrics.lr);
    assert_eq!(rates(&replay), rates(&desk));

    let mut plain = Desk::new();
    plain.configure(&recipe);
    plain.train();
    assert_eq!(plain.losses()[..11], desk.losses()[..11]);
    assert_eq!(rates(&plain)[..11], rates(&desk)[..11]);
    assert_eq!(rates(&plain)[31..], rates(&desk)[31..]);
    assert!(rates(&plain)[11..31].iter().zip(&rates(&desk)[11..31]).all(|(by_hand, measured)| by_hand != measured));
}

/// Drops at almost every fourth update: nearly no loss is a third lower than the best.
const ON_PLATEAU: &str = "schedule=on_plateau&schedule.warmup=0&schedule.period=4&schedule.patience=0&schedule.rest=1\
    &schedule.cut=0.5&schedule.threshold=0.3&schedule.floor=0.01";

#[test]
fn runs_whose_rate_the_held_out_loss_brings_down_are_rewound_and_resumed() {
    for more in ["batch.size=24", "batch.size=24&batch.micro=8&probes.evaluate=4", "data.test=700&probes.tested=700"] {
        let link = format!("{LINK}&{ON_PLATEAU}&{more}");
        rewinds_and_resumes(&link);
        let mut desk = Desk::new();
        desk.configure(&link);
        desk.train();
        let rates = desk.rates();
        assert!(
            rates.windows(2).zip(1..).all(|(pair, step)| pair[0] >= pair[1] && (pair[0] == pair[1] || step % 4 == 0))
        );
        assert!(rates[39] < 0.2 * rates[0], "{rates:?}");
    }
}

/// How often the test set is asked beside changes nothing.
#[test]
fn a_rate_that_the_held_out_loss_brings_down_replays_from_its_link() {
    let link = format!("{LINK}&{ON_PLATEAU}");
    let mut desk = Desk::new();
    desk.configure(&link);
    let edits = [(11, "schedule.cut", "0.9"), (18, "schedule.peak", "0.01"), (31, "schedule", "constant")];
    let mut edited = link.clone();
    for (step, path, value) in edits {
        while desk.losses().len() < step {
            desk.tell(of_run(1, RunCommand::Step), vec![]);
        }
        desk.tell(of_run(1, RunCommand::Edit { path: path.into(), value: value.into() }), vec![]);
        edited += &format!("&edit={step}:{path}={value}");
    }
    assert_eq!(desk.train(), RunState::Done);
    let mut replay = Desk::new();
    replay.configure(&edited.replace("evaluate=20", "evaluate=3"));
    assert_eq!(replay.train(), RunState::Done);
    let used = desk.rates();
    assert_eq!((replay.losses(), replay.rates()), (desk.losses(), used.clone()));
    assert!(used[17] < used[0] && used[18] == 0.01 && used[30] < 0.01 && used[31..].iter().all(|rate| *rate == 0.01));
}

/// The learning-rate range test, at the start, in mid-run and stopped: the run's numbers stay the same bits.
#[test]
fn a_test_of_learning_rates_leaves_the_run_as_it_is() {
    let mut straight = Desk::new();
    straight.configure(LINK);
    straight.train();

    let mut tested = Desk::new();
    tested.configure(LINK);
    let find = || of_run(1, RunCommand::FindRate { range: Range::default() });
    let ended = |desk: &Desk| {
        let events = desk.host.events.borrow();
        let last = events.iter().rev().find_map(|(event, _)| match event {
            Event::Run { what: RunEvent::RateTest { suggestions, fraction, ended: true, .. }, .. } => {
                Some((suggestions.len(), *fraction))
            }
            _ => None,
        });
        last.unwrap()
    };
    tested.tell(find(), vec![]);
    assert_eq!((ended(&tested).0, tested.state()), (2, Some(RunState::Paused)));
    tested.tell(of_run(1, RunCommand::Train), vec![]);
    for _ in 0..9 {
        tested.tell(of_run(1, RunCommand::Step), vec![]);
    }
    tested.tell(of_run(1, RunCommand::Train), vec![]);
    tested.tell(find(), vec![]);
    assert_eq!((ended(&tested).0, tested.state()), (2, Some(RunState::Running)), "it goes on by itself");
    // One that is stopped by the command behind it.
    tested.inbox.push((find(), vec![]));
    tested.tell(of_run(1, RunCommand::FindRateCancel), vec![]);
    let (suggestions, fraction) = ended(&tested);
    assert!(suggestions == 0 && fraction < 0.1, "{suggestions} suggestions after {fraction}");
    pollster::block_on(tested.session.turn());
    tested.tell(of_run(1, RunCommand::FindRate { range: Range { low: 1.0, high: 0.1, ..Range::default() } }), vec![]);
    assert_eq!(tested.errors().len(), 1);
    assert_eq!(tested.train(), RunState::Done);
    assert_eq!(tested.losses(), straight.losses());
    assert_eq!(tested.column(|metrics| &metrics.lr), straight.column(|metrics| &metrics.lr));
}

/// Every rule's memory is in the checkpoint, in one micro-batch and in several, with and without SAM.
#[test]
fn every_rule_is_rewound_and_resumed() {
    for rule in Rule::ALL {
        for rest in ["batch.size=24&batch.micro=12", "optimizer.rho=0.05&optimizer.warm=5"] {
            rewinds_and_resumes(&format!("{LINK}&optimizer={}&schedule.warmup=3&{rest}", rule.id()));
        }
    }
}

/// A rule's own numbers turned in mid-run: the link that comes of it gives the same losses.
#[test]
fn edits_of_layerwise_rules_replay_from_their_links() {
    for (rule, path, value) in [
        ("lars", "optimizer.trust", "0.1"),
        ("lars", "optimizer.momentum", "0.5"),
        ("lamb", "optimizer.largest_norm", "1"),
        ("lion", "optimizer.beta2", "0.9"),
        ("muon", "optimizer.momentum", "0.5"),
        ("soap", "optimizer.basis_every", "3"),
    ] {
        let link = format!("{LINK}&optimizer={rule}");
        let mut desk = Desk::new();
        desk.configure(&link);
        for _ in 0..15 {
            desk.tell(of_run(1, RunCommand::Step), vec![]);
        }
        desk.tell(of_run(1, RunCommand::Edit { path: path.into(), value: value.into() }), vec![]);
        assert_eq!(desk.train(), RunState::Done);

        let mut replay = Desk::new();
        replay.configure(&format!("{link}&edit=15:{path}={value}"));
        assert_eq!(replay.train(), RunState::Done);
        assert_eq!(replay.losses(), desk.losses(), "{path}");

        let mut plain = Desk::new();
        plain.configure(&link);
        plain.train();
        assert_eq!(plain.losses()[..16], desk.losses()[..16], "{path}");
        assert_ne!(plain.losses()[16..], desk.losses()[16..], "{path}");
    }
}

#[test]
fn an_edit_in_mid_run_replays_from_its_link() {
    let mut desk = Desk::new();
    desk.configure(LINK);
    for _ in 0..15 {
        desk.tell(of_run(1, RunCommand::Step), vec![]);
    }
    for (path, value) in [("batch.size", "48"), ("schedule.peak", "0.004")] {
        desk.tell(of_run(1, RunCommand::Edit { path: path.into(), value: value.into() }), vec![]);
    }
    assert_eq!(desk.train(), RunState::Done);

    let mut replay = Desk::new();
    replay.configure(&format!("{LINK}&edit=15:batch.size=48&edit=15:schedule.peak=0.004"));
    assert_eq!(replay.train(), RunState::Done);
    assert_eq!(replay.losses(), desk.losses());

    let mut plain = Desk::new();
    plain.configure(LINK);
    plain.train();
    assert_eq!(plain.losses()[..15], desk.losses()[..15]);
    assert_ne!(plain.losses()[16..], desk.losses()[16..]);
}

#[test]
fn a_cell_of_a_sweep_trains_as_the_run_that_its_link_opens() {
    trains_as_its_run("#sweep?x=schedule.peak:0.25,1&y=batch.size:16,32&steps=40&target=1&v=1", 2);
    let held_out = format!("#sweep?x=schedule:constant,on_plateau&y=seed:1,2&steps=40&{ON_PLATEAU}");
    let rates = trains_as_its_run(&held_out.replace("schedule=on_plateau&", ""), 1);
    assert!(rates[39] < 0.2 * rates[0], "{rates:?}");
}

/// The second cell of a two by two, of which so many figures are drawn; its rates.
fn trains_as_its_run(link: &str, drawn: usize) -> Vec<f32> {
    let (sweep, issues) = Sweep::read(&Link::parse(link));
    assert_eq!(issues, vec![]);
    let mut desk = Desk::new();
    desk.tell(
        Command::Sweep(SweepCommand::Trial { trial: 1, spec: sweep.spec(1).unwrap(), target: sweep.target }),
        vec![],
    );
    let outcome = desk.host.events.borrow().iter().find_map(|(event, _)| match event {
        Event::Sweep(SweepEvent::Trial { trial: 1, outcome }) => *outcome,
        _ => None,
    });
    let outcome = outcome.unwrap();
    desk.configure(&sweep.run_link(1).unwrap());
    assert_eq!(desk.train(), RunState::Done);
    let losses: Vec<f64> = desk.losses().iter().map(|bits| f64::from(f32::from_bits(*bits))).collect();
    let tail = &losses[losses.len() - losses.len() / 10..];
    assert_eq!(outcome.loss, tail.iter().sum::<f64>() / tail.len() as f64);
    assert_eq!(outcome.updates, losses.len() as u64);

    let mut results = Results::new(&sweep);
    results.take(1, outcome);
    desk.tell(Command::Sweep(SweepCommand::Figures { link: link.into(), results, quantity: Quantity::Loss }), vec![]);
    let events = desk.host.events.borrow();
    let told = events.last().and_then(|(event, _)| match event {
        Event::Sweep(SweepEvent::Figures { link, figures }) => Some((link.as_str(), figures)),
        _ => None,
    });
    let (of, figures) = told.unwrap();
    assert_eq!((of, figures.len(), figures[0].value.as_str()), (link, drawn, "1 of 4 runs"));
    desk.rates()
}

/// A point of every shape dragged in mid-run: the link that comes of it gives the same losses.
#[test]
fn a_dragged_schedule_replays_from_its_link() {
    for kind in Shape::ALL {
        let link = format!(
            "{LINK}&schedule={}&schedule.warmup=5&schedule.period=12&schedule.cooldown=10&schedule.decay=12\
             &schedule.points=0:0.002,20:0.001,39:0.0002&schedule.scaling=sqrt&schedule.momentum=counter",
            kind.id()
        );
        let mut desk = Desk::new();
        desk.configure(&link);
        for _ in 0..9 {
            desk.tell(of_run(1, RunCommand::Step), vec![]);
        }
        let mut spec = Link::parse(&link).spec;
        let schedule = EffectiveSchedule::new(&spec, 1);
        let handle = *schedule.handles(9).iter().rfind(|handle| handle.free).unwrap();
        for (path, value) in schedule.dragged(9, &handle, handle.step.saturating_sub(3), handle.lr * 0.5 + 1e-4) {
            desk.tell(of_run(1, RunCommand::Edit { path: path.into(), value: value.clone() }), vec![]);
            spec.record(9, path, &value).unwrap();
        }
        assert_ne!(spec.edits, []);
        assert_eq!(desk.train(), RunState::Done);

        let mut replay = Desk::new();
        replay.configure(&Link { spec, ..Link::parse(&link) }.fragment());
        assert_eq!(replay.train(), RunState::Done);
        assert_eq!(replay.losses(), desk.losses(), "{kind:?}");

        let mut plain = Desk::new();
        plain.configure(&link);
        plain.train();
        assert_eq!(plain.losses()[..9], desk.losses()[..9]);
        assert_ne!(plain.losses()[9..], desk.losses()[9..], "{kind:?} has not changed");
    }
}

#[test]
fn a_run_that_blows_up_stops_and_names_the_tensor() {
    let mut desk = Desk::new();
    desk.configure(
        "#lab?preset=mlp&optimizer=sgd&schedule=constant&schedule.peak=1000000&schedule.warmup=0&steps=40&v=1",
    );
    assert_eq!(desk.train(), RunState::Failed);
    let events = desk.host.events.borrow();
    let stop = events.iter().find_map(|(event, _)| match event {
        Event::Run { what: RunEvent::NonFinite { tensor, message, .. }, .. } => Some((tensor.clone(), message.clone())),
        _ => None,
    });
    let (tensor, message) = stop.unwrap();
    assert!(!tensor.is_empty() && message.contains(&tensor), "{tensor}: {message}");
}

/// What a link can ask for and no memory holds is refused with a reason.
#[test]
fn runs_that_no_memory_holds_are_refused() {
    let wide = "mlp&model.hidden=4096,4096,4096,4096,4096,4096,4096,4096";
    let endless = "mlp&batch.sampler=replacement&batch.size=1000000&batch.micro=1000000&model.hidden=4096";
    // No value of it is too large, but together they are.
    let deep = "gpt&model.context=256&model.heads=16&model.depth=6&batch.size=128";
    for (settings, reason) in [(wide, "parameters"), (endless, "memory can hold"), (deep, "batch.micro")] {
        let mut desk = Desk::new();
        desk.configure(&format!("#lab?preset={settings}&v=1"));
        let errors = desk.errors();
        assert!(errors.iter().any(|error| error.contains(reason)), "{settings}: {errors:?}");
    }
}

#[test]
fn a_run_that_is_held_back_is_the_same_and_no_faster() {
    let mut free = Desk::new();
    free.configure(LINK);
    free.train();
    let mut held = Desk::new();
    held.configure(LINK);
    held.tell(of_run(1, RunCommand::Pace { per_second: 400.0 }), vec![]);
    held.tell(Command::SetBackend { backend: Backend::Cpu }, vec![]);
    let began = Instant::now();
    assert_eq!(held.train(), RunState::Done);
    // The first update is due at once, the last one after 39 intervals.
    assert!(began.elapsed().as_secs_f64() > 39.0 / 400.0);
    assert_eq!(held.losses(), free.losses());
    // A pace that is no number holds nobody back.
    held.tell(of_run(1, RunCommand::Pace { per_second: f64::NAN }), vec![]);
    assert_eq!(held.errors(), [""; 0]);
}

#[test]
fn a_picture_is_told_apart_now_and_as_the_network_learns() {
    let mut desk = Desk::new();
    let link = "#lab?preset=mlp&data=mnist&steps=300&probes.evaluate=0&probes.look=0&probes.curvature=0&v=2";
    desk.configure(link);
    let data = load(&Link::parse(link).spec).unwrap();
    let (data::Values::Images(images), Some(labels)) = (&data.values, data.labels()) else { panic!("digits") };
    let rows: Vec<usize> = data.examples(data::Split::Test, 1).take(30).collect();
    // Drawn a little further down and to the right, on a larger sheet.
    let sheet = |row: usize| -> Vec<u8> {
        let mut sheet = vec![0; 1600];
        for (at, line) in images.pixels[row * 784..(row + 1) * 784].chunks(28).enumerate() {
            sheet[(at + 10) * 40 + 11..(at + 10) * 40 + 39].copy_from_slice(line);
        }
        sheet
    };
    let raw = || Some(Raw { width: 40, height: 40, channels: 1, pixels: Blob(0) });
    let answer = |desk: &mut Desk, command, blobs| -> Option<usize> {
        desk.tell(of_run(1, command), blobs);
        let events = desk.host.events.borrow();
        let Event::Run { what: RunEvent::Look { figures, .. }, .. } = &events.last()?.0 else { return None };
        let Mark::Bars { series, .. } = figures.iter().find(|figure| figure.id == "own_picture")?.marks.first()? else {
            return None;
        };
        let shares = &series[0].values;
        assert!((shares.iter().sum::<f32>() - 100.0).abs() < 1e-3);
        engine::numeric::argmax(shares)
    };
    let right = |desk: &mut Desk| {
        let told = |row: &&usize| {
            let told = answer(desk, RunCommand::Try { picture: raw() }, vec![sheet(**row)]);
            told == Some(labels[**row] as usize)
        };
        rows.iter().filter(told).count()
    };
    let before = right(&mut desk);
    assert_eq!(desk.train(), RunState::Done);
    let after = right(&mut desk);
    assert!(before < 10 && after >= 24, "{before}, then {after} of 30");
    // It is looked at whenever the run is, on another executor, too, until it is taken away.
    desk.tell(Command::SetBackend { backend: Backend::Cpu }, vec![]);
    let look = || RunCommand::Look { views: vec!["confusion".into()], sample: 0 };
    assert!(answer(&mut desk, look(), vec![]).is_some());
    assert_eq!(answer(&mut desk, RunCommand::Try { picture: None }, vec![]), None);
    assert_eq!(answer(&mut desk, look(), vec![]), None);
    // What is no picture is refused.
    desk.tell(of_run(1, RunCommand::Try { picture: raw() }), vec![vec![0; 7]]);
    assert_eq!(desk.errors().len(), 1);
}

#[test]
fn how_many_examples_a_ghost_has_is_said() -> Result<(), TrainError> {
    let note = |settings: &str| -> Result<Option<String>, TrainError> {
        let spec = Link::parse(&format!("#lab?preset=mlp&data=mnist&model.norm=batch&{settings}&v=2")).spec;
        let data = load(&spec)?;
        let summary =
            pollster::block_on(async { Trainer::new(CpuExecutor::new(), &spec, data).await?.summary().await })?;
        Ok(summary.notes.into_iter().find(|note| note.starts_with("batch norm")))
    };
    assert_eq!(note("batch.size=64&model.ghost=16")?.as_deref(), Some("batch norm sees 16 at once"));
    // 2,000 examples are 16 times 125, which no ghost of 40 divides.
    assert_eq!(note("batch.size=2000&model.ghost=40")?.as_deref(), Some("batch norm sees 125 at once"));
    assert_eq!(note("batch.size=64")?, None);
    Ok(())
}

#[test]
fn bad_commands_are_answered_and_the_run_goes_on() {
    let mut desk = Desk::new();
    desk.configure(LINK);
    desk.tell(of_run(1, RunCommand::Step), vec![]);
    let commands = [
        (of_run(7, RunCommand::Step), vec![]),
        (of_run(1, RunCommand::Edit { path: "model.depth".into(), value: "3".into() }), vec![]),
        (of_run(1, RunCommand::Edit { path: "batch.size".into(), value: "many".into() }), vec![]),
        (of_run(1, RunCommand::Restore { checkpoint: Blob(0) }), vec![b"no checkpoint".to_vec()]),
        (of_run(1, RunCommand::Restore { checkpoint: Blob(3) }), vec![]),
        (of_run(1, RunCommand::ImportWeights { file: Blob(0) }), vec![vec![0; 100]]),
        (Command::Study(StudyCommand::Run { id: 999, knobs: vec![], seeds: 1, first_seed: 1 }), vec![]),
        (
            Command::Bench(BenchCommand {
                workload: "w9".into(),
                backend: Backend::Cpu,
                steps: 1,
                start: None,
                profiled: 0,
            }),
            vec![],
        ),
        (of_run(1, RunCommand::SampleText { prompt: String::new(), temperature: 1.0, length: 5 }), vec![]),
    ];
    desk.tell(of_run(1, RunCommand::Train), vec![]);
    for (count, (command, blobs)) in commands.into_iter().enumerate() {
        desk.tell(command.clone(), blobs);
        assert_eq!(desk.errors().len(), count + 1, "{command:?}");
        assert_eq!(desk.state(), Some(RunState::Running), "{command:?}");
    }
    assert_eq!(desk.train(), RunState::Done);
}

#[test]
#[ignore = "slow: most of a minute"]
fn the_default_preset_passes_90_percent_within_400_steps() -> Result<(), TrainError> {
    let spec = RunSpec::default();
    let data = load(&spec)?;
    pollster::block_on(async {
        let mut trainer = Trainer::new(CpuExecutor::new(), &spec, data).await?;
        train(&mut trainer, 400).await?;
        let accuracy = trainer.evaluate().await?.accuracy.unwrap();
        assert!(accuracy > 0.9, "{accuracy}");
        Ok(())
    })
}

#[test]
#[ignore = "slow: about two minutes"]
fn the_character_gpt_falls_below_2_35_nats_within_1000_steps() -> Result<(), TrainError> {
    let spec = spec("gpt");
    let data = load(&spec)?;
    pollster::block_on(async {
        let mut trainer = Trainer::new(CpuExecutor::new(), &spec, data).await?;
        train(&mut trainer, 1000).await?;
        let loss = trainer.evaluate().await?.loss;
        assert!(loss < 2.35, "{loss}");
        Ok(())
    })
}

/// The bench's first workload through the whole loop: data, batches, metrics. Flat are what the executor holds and what the
/// process does.
#[test]
#[ignore = "slow: about two minutes"]
fn memory_stays_flat_over_10_000_steps() -> Result<(), TrainError> {
    let mut spec = RunSpec { steps: 10_000, ..RunSpec::default() };
    for (path, value) in [("model", "mlp"), ("model.hidden", "256,128"), ("optimizer", "adamw"), ("batch.size", "128")]
    {
        spec.set(path, value).unwrap();
    }
    assert_eq!(spec.model, engine::bench::workload("w1").unwrap().model);
    let data = load(&spec)?;
    pollster::block_on(async {
        let mut trainer = Trainer::new(CpuExecutor::new(), &spec, data).await?;
        let mut readings = Vec::new();
        for _ in 0..10 {
            train(&mut trainer, 1000).await?;
            let counters = trainer.executor_mut().counters();
            readings.push((counters.bytes_held, counters.buffer_creations, resident()));
        }
        let (first, last) = (readings[0], readings[9]);
        assert_eq!((first.0, first.1), (last.0, last.1));
        assert!(last.2 <= first.2 + (1 << 20), "{readings:?}");
        Ok(())
    })
}

/// Bytes of the process in memory; 0 where the system does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse().ok()).map_or(0, |kb: u64| kb << 10)
}

/// Several micro-batches a step, running statistics, and a policy that measures.
const IN_PARTS: &str = "#lab?preset=mlp&model.norm=batch&batch.size=64&batch.micro=16&steps=12&probes.curvature=0&v=1";

#[test]
fn an_update_in_parts_is_the_same_and_one_that_is_given_up_never_was() -> Result<(), TrainError> {
    for more in ["", "&batch.policy=norm_test&batch.interval=2"] {
        let spec = Link::parse(&format!("{IN_PARTS}{more}")).spec;
        let data = load(&spec)?;
        pollster::block_on(async {
            let mut straight = Trainer::new(CpuExecutor::new(), &spec, data.clone()).await?;
            let expected = bits(&train(&mut straight, 8).await?);
            let mut parted = Trainer::new(CpuExecutor::new(), &spec, data.clone()).await?;
            let mut told = Vec::new();
            for step in 0..8 {
                for most in [1, 3] {
                    let whole = parted.step_in_parts(1, async |[done, _]| done < most).await?;
                    assert!(!whole, "update {step} was given up");
                    assert_eq!(parted.steps_done(), step);
                }
                let go_on = async |part| {
                    told.push(part);
                    true
                };
                assert!(parted.step_in_parts(1, go_on).await?);
            }
            assert_eq!(bits(&parted.metrics().await?), expected);
            assert_eq!(parted.checkpoint().await?, straight.checkpoint().await?);
            // Four micro-batches and the update, of which the last is not told.
            assert!(told.ends_with(&[[1, 5], [2, 5], [3, 5], [4, 5]]) || !more.is_empty(), "{told:?}");
            Ok::<(), TrainError>(())
        })?;
    }
    Ok(())
}

/// What is trained before Run is pressed leaves no trace: not in weights, moments or running statistics, nor in what is drawn.
#[test]
fn a_rehearsed_run_is_the_same_bit_for_bit() {
    let links = [
        "#lab?preset=mlp&steps=40&batch.policy=norm_test&batch.interval=5&v=1",
        "#lab?preset=mlp&steps=40&model.norm=batch&augment.shift=2&batch.micro=16&v=1",
        "#lab?preset=mlp&steps=40&data.train=256&batch.sampler=fixed&batch.again=hardest&batch.share=0.25&v=1",
    ];
    for link in links {
        let [mut plain, mut rehearsed] = [Desk::new(), Desk::new()];
        rehearsed.host.learns.set(true);
        plain.configure(link);
        rehearsed.configure(link);
        assert!(!plain.session.busy() && rehearsed.session.busy());
        while rehearsed.session.busy() {
            pollster::block_on(rehearsed.session.turn());
        }
        assert_eq!((rehearsed.losses(), rehearsed.place()), (vec![], Some((0, RunState::Paused))));
        assert_eq!([plain.train(), rehearsed.train()], [RunState::Done; 2]);
        assert_eq!(rehearsed.losses(), plain.losses(), "{link}");
        let [left, right] = [rehearsed, plain].map(|desk| Checkpoint::from_bytes(&desk.kept().1).unwrap());
        assert!(left == right, "{link}");
    }
}

#[test]
fn a_long_update_is_given_up_when_the_run_is_paused_and_done_when_it_goes_on() {
    let link = "#lab?preset=mlp&model.hidden=512,512&batch.size=8000&batch.micro=50&steps=2&probes.curvature=0&v=1";
    let mut desk = Desk::new();
    desk.configure(link);
    desk.inbox.push((of_run(1, RunCommand::Train), vec![]));
    pollster::block_on(desk.session.turn());
    // A message that arrives while the update goes on.
    desk.host.arriving.borrow_mut().push((desk.inbox.clone(), of_run(1, RunCommand::Pause)));
    pollster::block_on(desk.session.turn());
    let told = desk.host.events.borrow().iter().any(|(event, _)| {
        matches!(event, Event::Progress { fraction, message, .. } if *fraction < 1.0 && message == "step 0")
    });
    assert!(told, "a long update says how far it is");
    pollster::block_on(desk.session.turn());
    assert_eq!(desk.state(), Some(RunState::Paused));
    assert_eq!(desk.losses(), Vec::<u32>::new());
    assert_eq!(desk.train(), RunState::Done);
    let mut straight = Desk::new();
    straight.configure(link);
    assert_eq!(straight.train(), RunState::Done);
    assert_eq!(desk.losses(), straight.losses());
}

#[test]
fn a_run_that_could_not_be_set_up_says_why_when_it_is_to_run() {
    let mut desk = Desk::new();
    desk.configure("#lab?preset=mlp&model.hidden=4096,4096,4096,4096,4096,4096,4096,4096&v=1");
    desk.tell(of_run(1, RunCommand::Train), vec![]);
    let errors = desk.errors();
    assert_eq!(errors.len(), 2);
    assert!(errors[1].contains("parameters; at most"), "{errors:?}");
}

#[test]
fn a_run_that_diverges_says_so_and_a_run_that_goes_back_takes_it_back() {
    let mut desk = Desk::new();
    desk.configure(
        "#lab?preset=mlp&optimizer=sgd&schedule=constant&schedule.warmup=0&schedule.peak=500&optimizer.clip=1&steps=30&v=1",
    );
    desk.train();
    let last = |desk: &Desk| {
        let events = desk.host.events.borrow();
        events.iter().rev().find_map(|(event, _)| match event {
            Event::Run { what: RunEvent::Findings { findings, .. }, .. } => Some(findings.clone()),
            _ => None,
        })
    };
    let findings = last(&desk).unwrap();
    assert_eq!(findings[0].kind, FindingKind::Diverged);
    assert!(findings[0].step <= 3 && findings[0].text.contains("Find LR"), "{findings:?}");
    desk.tell(of_run(1, RunCommand::Rewind { step: 1 }), vec![]);
    assert_eq!(last(&desk), Some(vec![]));
}

/// A class's points where the other is, so that batches see some of them.
const MOVED: &str = "3:1.5:-1.25,40:0:0.5,41:1:1,90:-1:-1,123:0:1.5,160:-0.25:0,200:1.25:0,250:-1:0.5,280:0:-1";

const BY_HAND: &str = "#lab?preset=mlp&data=spirals&data.train=300&data.test=100&model=mlp&model.hidden=16&batch.size=20\
                       &steps=40&probes.evaluate=20&probes.look=0&probes.curvature=0&v=2";

impl Desk {
    fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.tell(of_run(1, RunCommand::Step), vec![]);
        }
    }

    fn edit(&mut self, path: &str, value: &str) {
        self.tell(of_run(1, RunCommand::Edit { path: path.into(), value: value.into() }), vec![]);
    }

    /// The figure of that name as it was last told.
    fn figure(&self, id: &str) -> Option<engine::figure::Figure> {
        let events = self.host.events.borrow();
        events.iter().rev().find_map(|(event, _)| match event {
            Event::Run { what: RunEvent::Look { figures, .. }, .. } => {
                figures.iter().find(|figure| figure.id == id).cloned()
            }
            _ => None,
        })
    }
}

#[test]
fn what_is_done_to_the_data_by_hand_replays_from_its_link() {
    for sampler in ["shuffled", "replacement", "balanced"] {
        let link = format!("{BY_HAND}&batch.sampler={sampler}");
        let changes = [(12, "data.moved", MOVED), (22, "data.dropped", "0,5,17,299"), (30, "data.moved", "")];
        let mut desk = Desk::new();
        desk.configure(&link);
        let mut edited = link.clone();
        for (step, path, value) in changes {
            desk.steps(step - desk.losses().len());
            desk.edit(path, value);
            edited += &format!("&edit={step}:{path}={value}");
        }
        assert_eq!(desk.train(), RunState::Done);
        assert_eq!(desk.errors(), [""; 0]);

        // By way of the link as the lab writes it.
        let read = Link::parse(&edited);
        assert_eq!(read.issues, []);
        let mut replay = Desk::new();
        replay.configure(&read.fragment());
        assert_eq!(replay.train(), RunState::Done);
        assert_eq!(replay.losses(), desk.losses(), "{sampler}");

        // Back to before all changes, and over them once more.
        let before = desk.losses();
        desk.tell(of_run(1, RunCommand::Rewind { step: 7 }), vec![]);
        assert_eq!(desk.train(), RunState::Done);
        assert_eq!(desk.losses(), before, "{sampler}");

        let mut plain = Desk::new();
        plain.configure(&link);
        plain.train();
        assert_eq!(plain.losses()[..12], before[..12]);
        assert_ne!(plain.losses()[12..22], before[12..22]);
        assert_ne!(plain.losses()[22..30], before[22..30]);

        // From the start on it is a part of the recipe.
        let [mut first, mut second] = [Desk::new(), Desk::new()];
        first.configure(&format!("{link}&data.moved=3:1.5:-1.25&data.dropped=5,17"));
        second.configure(&format!("{link}&edit=0:data.dropped=17,5&edit=0:data.moved=3:1.5:-1.25"));
        first.train();
        second.train();
        assert_eq!(first.losses(), second.losses());
        assert_ne!(first.losses(), plain.losses());
    }
}

#[test]
fn a_moved_point_is_shown_where_it_is_and_the_frame_stays() {
    let mut desk = Desk::new();
    desk.configure(BY_HAND);
    desk.tell(of_run(1, RunCommand::Look { views: vec!["regions".into()], sample: 0 }), vec![]);
    let points = |desk: &Desk| {
        let figure = desk.figure("regions").unwrap();
        let Some(Mark::Scatter { points, .. }) = figure.marks.last().cloned() else { panic!("no points") };
        (points, figure.x.range)
    };
    let (before, frame) = points(&desk);
    desk.edit("data.moved", "7:9.5:-0.25");
    let (mut after, same) = points(&desk);
    assert_eq!((after[7], same), ([9.5, -0.25], frame));
    after[7] = before[7];
    assert_eq!(after, before);
    desk.edit("data.moved", "");
    assert_eq!(points(&desk).0, before);
    // What is not there is refused, at its control, and leaves the recipe as it is.
    desk.edit("data.moved", "300:1:1");
    desk.edit("data.dropped", "1,300");
    desk.edit("data.moved", "3:1");
    let refused: Vec<String> = desk
        .host
        .events
        .borrow()
        .iter()
        .filter_map(|(event, _)| match event {
            Event::Error { path, .. } => path.clone(),
            _ => None,
        })
        .collect();
    assert_eq!(refused, ["data.moved", "data.dropped", "data.moved"]);
    assert_eq!(desk.train(), RunState::Done);
}

#[test]
fn the_whole_set_is_what_is_not_left_out() {
    let mut desk = Desk::new();
    desk.configure(&format!("{BY_HAND}&batch.size=0"));
    desk.steps(3);
    desk.edit("data.dropped", "1,2,3,4,5");
    desk.steps(2);
    desk.edit("data.dropped", "");
    desk.steps(1);
    let sizes: Vec<f32> = desk.column(|metrics| &metrics.batch).into_iter().map(f32::from_bits).collect();
    assert_eq!(sizes, [300.0, 300.0, 300.0, 295.0, 295.0, 300.0]);
    // Batches that are fixed at the start keep what they have.
    let mut fixed = Desk::new();
    fixed.configure(&format!("{BY_HAND}&batch.sampler=fixed"));
    fixed.edit("data.dropped", "1");
    assert!(fixed.errors()[0].contains("Fixed batches keep their examples"), "{:?}", fixed.errors());
}

#[test]
fn a_cell_of_the_confusion_matrix_shows_its_pictures_and_what_may_have_taught_it() {
    let link = "#lab?preset=mlp&data=digits&data.label_noise=0.2&steps=200&probes.look=0&probes.curvature=0&v=2";
    let mut desk = Desk::new();
    desk.configure(link);
    desk.train();
    let data = load(&Link::parse(link).spec).unwrap();
    let labels = data.labels().unwrap().to_vec();
    let ask = |desk: &mut Desk, truth, guess| desk.tell(of_run(1, RunCommand::Cell { truth, guess }), vec![]);
    let tiles = |desk: &Desk, id: &str| match desk.figure(id).unwrap().marks.first() {
        Some(Mark::Tiles { tiles }) => tiles.clone(),
        _ => vec![],
    };
    ask(&mut desk, 8, 1);
    let shown = tiles(&desk, "cell");
    let examples: Vec<u64> = shown.iter().map(|tile| tile.example.unwrap()).collect();
    assert_eq!(examples.len(), 24);
    for (place, example) in examples.iter().enumerate() {
        assert_eq!(labels[*example as usize], if place < 12 { 8 } else { 1 });
    }
    assert!(tiles(&desk, "cell_test").iter().all(|tile| tile.example.is_none()));
    // With labels that are wrong, training pictures are taken for the other class, those first.
    let wrong: Vec<bool> = shown[..12].iter().map(|tile| tile.highlight).collect();
    assert!(wrong[0], "{wrong:?}");
    // What is left out is not offered again.
    let out: Vec<String> = examples[..3].iter().map(u64::to_string).collect();
    desk.edit("data.dropped", &out.join(","));
    ask(&mut desk, 8, 1);
    let then: Vec<u64> = tiles(&desk, "cell").iter().map(|tile| tile.example.unwrap()).collect();
    assert_eq!(then[..9], examples[3..12]);
    // Of what was told rightly: those that look least like their label.
    ask(&mut desk, 3, 3);
    assert!(tiles(&desk, "cell").iter().all(|tile| labels[tile.example.unwrap() as usize] == 3));
    assert!(tiles(&desk, "cell_test").iter().all(|tile| !tile.highlight));
    assert_eq!(desk.errors(), [""; 0]);
    ask(&mut desk, 10, 0);
    desk.configure(BY_HAND);
    ask(&mut desk, 0, 1);
    assert_eq!(desk.errors().len(), 2);
}
