use engine::data::sampler::Sampler;
use engine::spec::{
    BatchSpec, DataSet, DataSpec, Link, MlpSpec, ModelSpec, OptimizerSpec, PRESETS, Rule, ScheduleSpec, Shape,
};

use super::*;
use crate::test_host::TestHost;
use crate::{Knobs, Results, Study};

const SEARCHED: [Searched; 3] = [
    Searched { path: "schedule.peak", range: [1e-3, 1.0], log: true, complement: false },
    Searched { path: "optimizer.momentum", range: [0.01, 1.0], log: true, complement: true },
    Searched { path: "model.dropout", range: [0.0, 0.5], log: false, complement: false },
];
const STEPS: u64 = 24;

fn spec() -> RunSpec {
    RunSpec {
        data: DataSpec { train: 100, test: 50, ..DataSpec::of(DataSet::Mixture) },
        model: ModelSpec::Mlp(MlpSpec { hidden: vec![8], dropout: 0.1, ..MlpSpec::default() }),
        optimizer: OptimizerSpec::of(Rule::Momentum),
        schedule: ScheduleSpec { kind: Shape::Constant, warmup: 0, ..ScheduleSpec::default() },
        batch: BatchSpec { size: 16, ..BatchSpec::default() },
        steps: STEPS,
        ..RunSpec::default()
    }
}

async fn context(host: &TestHost) -> Context<'_> {
    let results = Results::new(Knobs::default(), vec![], vec![]);
    Context::new(&Study::BASE, None, results, 1, host).await.unwrap()
}

/// A population of five after all of its rounds, with its trainer and where that began.
async fn trained(context: &mut Context<'_>, exchange: Exchange) -> (Population, Trainer<AnyExecutor>, Checkpoint) {
    let mut trainer = trainer(context, &spec(), 5, 3).await.unwrap();
    let start = trainer.checkpoint().await.unwrap();
    let rules = Rules { searched: &SEARCHED, ready: 4, exchange, spread: 0.2 };
    let mut population = Population::new(&trainer, (&spec(), &start), rules, 5, 3).unwrap();
    let held_out = trainer.feed().test_rows(trainer.data());
    for left in (1..=STEPS / 4).rev() {
        population.round(context, &mut trainer, &held_out, 4 * left).await.unwrap();
        if left > 1 {
            population.exchange();
        }
    }
    (population, trainer, start)
}

/// Study 46, exact check 4: nobody cloned, a member is the run of the lab that its recipe says.
#[test]
fn members_that_do_not_exchange_are_runs_of_the_lab() {
    let host = TestHost::new(u32::MAX);
    pollster::block_on(async {
        let mut context = context(&host).await;
        let (population, ..) = trained(&mut context, Exchange::None).await;
        for member in &population.members {
            assert!(member.spec.edits.is_empty());
            // Data that are drawn are those of the population's seed.
            let data = context.data(&spec().data).await.unwrap();
            let executor = context.take_executor().await.unwrap();
            let mut alone = Trainer::new(executor, &member.spec, data).await.unwrap();
            context.updates(&mut alone, STEPS).await.unwrap();
            let checkpoint = alone.checkpoint().await.unwrap();
            assert!(checkpoint.states == member.state.states && checkpoint.control == member.state.control);
        }
        let bits = |member: &Member| member.state.states[THETA].clone();
        assert!(population.members.windows(2).all(|pair| bits(&pair[0]) != bits(&pair[1])));
    });
}

/// Study 46, exact checks 2 and 5: what a clone takes over is its source's bit for bit, and every member's line trains again,
/// bit for bit, without the population. Its link says its settings exactly.
#[test]
fn clones_are_exact_and_lines_train_again() {
    let host = TestHost::new(u32::MAX);
    pollster::block_on(async {
        let mut context = context(&host).await;
        let (mut population, mut trainer, start) = trained(&mut context, Exchange::Truncation(0.4)).await;
        assert!(population.rounds.iter().all(|round| round.cloned.iter().flatten().count() <= 2));
        let mut moved = 0;
        for member in 0..5 {
            moved += population.moves(member);
            let theta = replay(&mut context, &mut trainer, &population, member, &start).await.unwrap();
            let bytes: Vec<u8> = theta.iter().flat_map(|value| value.to_le_bytes()).collect();
            assert!(bytes == population.members[member].state.states[THETA], "member {member}");
            let spec = population.members[member].spec.clone();
            let link = Link { spec: spec.clone(), ..Link::to_preset(&PRESETS[2]) };
            let read = Link::parse(&link.fragment());
            assert_eq!((read.issues, read.spec), (vec![], spec));
            for ([begin, _], values) in population.schedule(member) {
                let recipe =
                    engine::spec::EffectiveSchedule::new(&population.members[member].spec, 100).at(begin).clone();
                for (searched, value) in SEARCHED.iter().zip(values) {
                    assert_eq!(recipe.get(searched.path), Some(searched.written(*value)), "{begin}");
                }
            }
        }
        assert!(moved > 0);
        let before = population.members.clone();
        population.exchange();
        let cloned = population.rounds.last().unwrap().cloned.clone();
        assert_eq!(cloned.iter().flatten().count(), 2, "{cloned:?}");
        for (place, source) in cloned.into_iter().enumerate() {
            let (member, from) = (&population.members[place], &before[source.unwrap_or(place)]);
            assert!(member.state.states == from.state.states && member.state.control == from.state.control);
            assert_eq!((member.loss(), member.state.drawn), (from.loss(), before[place].state.drawn));
            assert_eq!(source.is_some(), member.values != from.values);
        }
    });
}

/// Study 46, exact check 2: floor(0.2 K) of the worst take from as many of the best.
#[test]
fn the_worst_fifth_is_replaced_by_the_best_fifth() {
    for (size, cut) in [(10, 2), (14, 2), (15, 3), (4, 0)] {
        let losses: Vec<[f64; 1]> = (0..size).map(|member| [((member * 11) % size) as f64]).collect();
        let losses: Vec<&[f64]> = losses.iter().map(|loss| &loss[..]).collect();
        let mut from = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let found = sources(&losses, Exchange::Truncation(0.2), &mut Rng::new(seed, Stream::Generate, 0));
            assert_eq!(found.iter().flatten().count(), cut);
            for (place, source) in found.iter().enumerate() {
                assert_eq!(source.is_some(), losses[place][0] >= (size - cut) as f64);
                from.extend(source.map(|source| losses[source][0] as usize));
            }
        }
        assert!(from.into_iter().eq(0..cut));
    }
}

#[test]
fn what_is_no_number_is_replaced_and_never_cloned() {
    let losses: [&[f64]; 4] = [&[f64::NAN], &[1.0], &[f64::INFINITY], &[2.0]];
    let mut rng = Rng::new(1, Stream::Generate, 0);
    let found = sources(&losses, Exchange::Truncation(0.5), &mut rng);
    assert!(matches!(found[..], [Some(1 | 3), None, Some(1 | 3), None]), "{found:?}");
    for exchange in [Exchange::Tournament, Exchange::Welch, Exchange::None] {
        for _ in 0..50 {
            let found = sources(&losses, exchange, &mut rng);
            assert!(found.iter().flatten().all(|&source| losses[source][0].is_finite()), "{found:?}");
        }
    }
    assert_eq!(sources(&[&[1.0]], Exchange::Tournament, &mut rng), [None]);
    assert_eq!(sources(&[], Exchange::Truncation(0.5), &mut rng), []);
}

/// Study 46, exact check 6.
#[test]
fn a_t_test_copies_what_is_surely_better_alone() {
    let near: Vec<f64> = (0..10).map(|k| 1.0 + 0.1 * f64::from(k % 2)).collect();
    let far: Vec<f64> = near.iter().map(|loss| loss + 10.0 * engine::numeric::deviation(&near)).collect();
    for seed in 0..50 {
        let mut rng = Rng::new(seed, Stream::Generate, 0);
        assert_eq!(sources(&[&near, &near], Exchange::Welch, &mut rng), [None, None]);
        assert_eq!(sources(&[&far, &near], Exchange::Welch, &mut rng), [Some(1), None]);
        // Only the last ten count, and two values are the fewest.
        let late: Vec<f64> = far.iter().chain(&near).copied().collect();
        assert_eq!(sources(&[&late, &near], Exchange::Welch, &mut rng), [None, None]);
        assert_eq!(sources(&[&far[..1], &near[..1]], Exchange::Welch, &mut rng), [None, None]);
    }
}

/// Study 46, exact check 3.
#[test]
fn values_are_multiplied_up_or_down_as_often_and_clipped() {
    let mut rng = Rng::new(1, Stream::Generate, 0);
    let start = [0.05, 0.2, 0.25];
    let mut up = [0; 3];
    for _ in 0..2000 {
        for (place, value) in perturbed(&start, &SEARCHED, 0.2, &mut rng).into_iter().enumerate() {
            let [down, high] = [start[place] * 0.8, start[place] * 1.2];
            assert!(value == down || value == high, "{value}");
            up[place] += usize::from(value == high);
        }
    }
    assert!(up.iter().all(|&up| (up as f64 / 2000.0 - 0.5).abs() <= 0.03), "{up:?}");
    for (place, searched) in SEARCHED.iter().enumerate() {
        let mut values = [0.001, 0.01, 0.1];
        values[place] = searched.range[1];
        let highest = (0..50).map(|_| perturbed(&values, &SEARCHED, 0.2, &mut rng)[place]).fold(0.0, f64::max);
        assert_eq!(highest, searched.range[1]);
    }
}

#[test]
fn draws_lie_within_their_range() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed, Stream::Generate, 0);
        for searched in &SEARCHED {
            let value = searched.draw(&mut rng);
            assert!((searched.range[0]..=searched.range[1]).contains(&value), "{value}");
        }
    }
}

#[test]
fn batches_are_those_of_a_run_of_ones_own() {
    let data = engine::data::load(&spec().data, 1, None).unwrap();
    let mut streams = Streams::new(&spec(), &data, (0..4).map(|member| seed_of(9, member))).unwrap();
    for member in 0..4 {
        let mut own = engine::data::sampler::sampler(&spec().batch, &data, 1, seed_of(9, member)).unwrap();
        for first in [0, 16, 93, 480] {
            let (mut found, mut expected) = ([0; 16], [0; 16]);
            streams.fill(Streams::start(member) + first, &mut found);
            own.fill(first, &mut expected);
            assert_eq!(found, expected);
        }
    }
}
