//! What the study runs: the toy, a population and the same members apart, the winner's line once more, and two ordinary runs.

use engine::executor::AnyExecutor;
use engine::figure::{Figure, Mark};
use engine::numeric::median;
use engine::spec::{
    BatchSpec, DataSet, DataSpec, Link, MlpSpec, ModelSpec, OptimizerSpec, Rule, RunSpec, ScheduleSpec, Shape, preset,
};
use engine::train::Trainer;

use super::toy::{START, UPDATES, best, climb};
use super::*;
use crate::population::{self, Exchange, Population, Rules, Searched, seed_of};
use crate::{Context, Share, StudyError};

/// What is searched.
pub(super) const SEARCHED: [Searched; 3] = [
    Searched { path: "schedule.peak", range: [1e-4, 1.0], log: true, complement: false },
    Searched { path: "optimizer.momentum", range: [0.01, 1.0], log: true, complement: true },
    Searched { path: "model.dropout", range: [0.0, 0.5], log: false, complement: false },
];

/// Images held out for choosing among members; the rest of the test set judges who was chosen.
const HELD_OUT: usize = 500;
/// Which of a seed's runs the ordinary ones are: none that a member is.
const ORDINARY: usize = 99;
/// Settings of the schedule by hand.
const BY_HAND: [f64; 3] = [0.1, 0.9, 0.2];

/// The recipe of every run.
pub(super) fn recipe() -> RunSpec {
    RunSpec {
        data: DataSpec { train: 3000, test: 1500, size: 14, ..DataSpec::of(DataSet::Mnist) },
        model: ModelSpec::Mlp(MlpSpec { hidden: vec![64], dropout: BY_HAND[2], ..MlpSpec::default() }),
        optimizer: OptimizerSpec { momentum: BY_HAND[1], ..OptimizerSpec::of(Rule::Momentum) },
        schedule: ScheduleSpec { kind: Shape::Constant, warmup: 0, ..ScheduleSpec::default() },
        batch: BatchSpec { size: 64, ..BatchSpec::default() },
        steps: STEPS,
        ..RunSpec::default()
    }
}

/// The same with a cosine, by hand.
fn by_hand() -> RunSpec {
    let schedule = ScheduleSpec { kind: Shape::Cosine, peak: BY_HAND[0], ..recipe().schedule };
    RunSpec { schedule, ..recipe() }
}

/// How the population of the knobs goes on.
pub(super) fn rules(knobs: &Knobs, exchange: Exchange) -> Rules {
    let spread = if knobs.get(&EXPLORE) { knobs.get(&SPREAD) } else { 0.0 };
    Rules { searched: &SEARCHED, ready: knobs.get(&READY) as u64, exchange, spread }
}

pub(super) fn exchange(knobs: &Knobs) -> Exchange {
    match knobs.get(&EXPLOIT) {
        Exploit::Truncation => Exchange::Truncation(knobs.get(&CUT)),
        Exploit::Tournament => Exchange::Tournament,
        Exploit::Test => Exchange::Welch,
        Exploit::None => Exchange::None,
    }
}

/// A seed of the study.
pub(super) async fn run(context: &mut Context<'_>, seed: u64, share: Share) -> Result<(), StudyError> {
    toys(context, seed)?;
    let knobs = context.results.knobs.clone();
    let size = knobs.get(&SIZE);
    let mut trainer = population::trainer(context, &recipe(), size, seed).await?;
    let rows = trainer.feed().test_rows(trainer.data());
    let (held_out, test) = rows.split_at(HELD_OUT.min(rows.len()));
    let start = trainer.checkpoint().await?;
    let mut schedule = recipe();
    for (id, exchange, from, to) in [("pbt", exchange(&knobs), 0.0, 0.43), ("random", Exchange::None, 0.43, 0.86)] {
        let rules = rules(&knobs, exchange);
        let mut population = Population::new(&trainer, (&recipe(), &start), rules, size, seed)?;
        let mut done = 0;
        while done < STEPS {
            population.round(context, &mut trainer, held_out, STEPS - done).await?;
            done = trainer.steps_done();
            if done < STEPS {
                population.exchange();
            }
            tell(context, id, seed, &population)?;
            let message = format!("seed {seed}: {size} members, update {done} of {STEPS}");
            context.progress(share.between(from, to).at(done as f64 / STEPS as f64), &message);
        }
        let winner = population.best();
        trainer.set_spec(population.members[winner].spec.clone());
        trainer.restore(&population.members[winner].state)?;
        let error = error(&mut trainer, test).await?;
        conclude(context.results.record(id, seed)?, &population, winner, error);
        if id == "pbt" {
            let theta = trainer.theta().await?;
            let again = population::replay(context, &mut trainer, &population, winner, &start).await?;
            let differing = theta.iter().zip(&again).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
            context.results.record(id, seed)?.number(DIFFERING, differing as f64);
            schedule = population.members[winner].spec.clone();
        }
    }
    context.give_back(trainer.into_executor());
    if context.pictures(seed) {
        context.results.keep(LINK, Figure { marks: vec![Mark::Text { text: link(&schedule) }], ..Figure::default() });
    }
    for (id, spec) in [("link", schedule), ("cosine", by_hand())] {
        let spec = RunSpec { seed: seed_of(seed, ORDINARY), ..spec };
        ordinary(context, (id, &spec), seed).await?;
        context.progress(share.at(if id == "link" { 0.96 } else { 1.0 }), "two ordinary runs");
    }
    Ok(())
}

/// The link of a recipe in the lab.
pub(super) fn link(spec: &RunSpec) -> String {
    let base = preset("mlp").map(Link::to_preset).unwrap_or_default();
    Link { spec: spec.clone(), ..base }.fragment()
}

/// Share of images that are classified wrongly, in percent.
async fn error(trainer: &mut Trainer<AnyExecutor>, rows: &[u32]) -> Result<f64, StudyError> {
    Ok(100.0 * (1.0 - trainer.evaluate_rows(rows).await?.accuracy.unwrap_or(f64::NAN)))
}

/// A loss as figures and medians have it: at most that of guessing.
fn told(loss: f64) -> f64 {
    loss.min(std::f64::consts::LN_10)
}

/// Takes the last round into the results.
fn tell(context: &mut Context<'_>, id: &str, seed: u64, population: &Population) -> Result<(), StudyError> {
    let outcome = context.results.record(id, seed)?;
    let Some(round) = population.rounds.last() else { return Ok(()) };
    let losses: Vec<f64> = round.losses.iter().map(|&loss| told(loss)).collect();
    let end = round.end as f64;
    outcome.reading(MEDIAN, end, median(&losses));
    outcome.reading(BEST, end, losses.iter().copied().fold(f64::NAN, f64::min));
    for (member, (values, cloned)) in round.values.iter().zip(&round.cloned).enumerate() {
        outcome.point(RATE.of(member as u64), end, values[0]);
        if let Some(source) = cloned {
            outcome.point(CLONED.of(member as u64), end, *source as f64);
        }
    }
    Ok(())
}

/// What the winner came to, and by which schedule.
fn conclude(outcome: &mut Outcome, population: &Population, winner: usize, error: f64) {
    outcome.number(ERROR, error);
    outcome.number(MOVES, population.moves(winner) as f64);
    let schedule = population.schedule(winner);
    for (place, (ends, values)) in schedule.iter().enumerate() {
        outcome.point(LINE, place as f64, population.line(winner)[place] as f64);
        for at in ends {
            outcome.reading(SCHEDULE, *at as f64, values[0]);
            outcome.reading(MOMENTUM, *at as f64, 1.0 - values[1]);
            outcome.reading(DROPOUT, *at as f64, values[2]);
        }
    }
    let highest = schedule.iter().map(|(_, values)| values[0]).fold(f64::NAN, f64::max);
    let last = schedule.last().map_or(f64::NAN, |(_, values)| values[0]);
    outcome.number(FALL, highest / last);
    outcome.done = true;
}

/// An ordinary run of the lab.
async fn ordinary(context: &mut Context<'_>, (id, spec): (&str, &RunSpec), seed: u64) -> Result<(), StudyError> {
    context
        .with_trainer(spec, async |context, trainer| {
            let rows = trainer.feed().test_rows(trainer.data());
            let (held_out, test) = rows.split_at(HELD_OUT.min(rows.len()));
            let ready = context.results.knobs.get(&READY) as u64;
            while trainer.steps_done() < STEPS {
                let updates = ready.min(STEPS - trainer.steps_done());
                context.results.record(id, seed)?.point(SCHEDULE, trainer.steps_done() as f64, trainer.lr());
                context.updates(trainer, updates).await?;
                let loss = told(trainer.evaluate_rows(held_out).await?.loss);
                context.results.record(id, seed)?.reading(BEST, trainer.steps_done() as f64, loss);
            }
            let error = error(trainer, test).await?;
            let outcome = context.results.record(id, seed)?;
            outcome.number(ERROR, error);
            outcome.done = true;
            Ok(())
        })
        .await
}

/// Every way through the toy.
fn toys(context: &mut Context<'_>, seed: u64) -> Result<(), StudyError> {
    for (id, _, way) in TOYS {
        let outcome = context.results.record(id, seed)?;
        let mut ends = Vec::new();
        for repeat in 0..REPEATS {
            let path = climb(way, START, seed_of(seed, repeat));
            ends.push(best(&path[UPDATES]));
            if repeat == 0 {
                for (update, workers) in path.iter().enumerate() {
                    outcome.point(HEIGHT, update as f64, best(workers));
                    for (worker, [x, y]) in workers.iter().enumerate() {
                        outcome.point(PATH.of(worker as u64), *x, *y);
                    }
                }
            }
        }
        let reached = ends.iter().filter(|&&end| end >= REACHED).count();
        outcome.number(CLIMBS, 100.0 * reached as f64 / REPEATS as f64);
        outcome.number(LOWEST, ends.iter().copied().fold(f64::NAN, f64::min));
        outcome.number(HIGHEST, ends.iter().copied().fold(f64::NAN, f64::max));
        outcome.done = true;
    }
    Ok(())
}
