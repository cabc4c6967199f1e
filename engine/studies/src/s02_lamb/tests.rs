use std::rc::Rc;

use engine::cpu::CpuExecutor;
use engine::data;
use engine::model::ParamLayout;
use engine::train::Trainer;

use super::run::{relative, spread, weights};
use super::*;
use crate::test_help::{close, failing, rates, turned, unmeasured};

/// A run on few images.
async fn begun(way: usize) -> Trainer<CpuExecutor> {
    let mut spec = spec(&turned(&STUDY, &[]), &WAYS[way], 0, 3);
    spec.data.train = 64;
    spec.data.test = 32;
    spec.schedule.warmup = 0;
    let pack = data::read_pack_file(&data::pack_file(spec.data.set).unwrap()).unwrap();
    let data = Rc::new(data::load(&spec.data, spec.seed, Some(&pack)).unwrap());
    Trainer::new(CpuExecutor::new(), &spec, data).await.unwrap()
}

/// Relative steps of the layers in one update, with and without spread.
async fn steps(way: usize) -> [Vec<f64>; 2] {
    let mut found = vec![];
    for factor in [1.0, 4.0] {
        let mut trainer = begun(way).await;
        let layout: ParamLayout = trainer.layout().clone();
        let mut theta = trainer.theta().await.unwrap();
        spread(&layout, &mut theta, factor);
        trainer.set_theta(&theta).unwrap();
        let lr = trainer.lr();
        trainer.step().await.unwrap();
        let after = trainer.theta().await.unwrap();
        found.push(relative(&layout, &theta, &after).into_iter().map(|step| step / lr).collect());
    }
    [found.remove(0), found.remove(0)]
}

/// Powers of two leave what the network computes to the bit; its layers differ by the factor's square.
#[test]
fn the_spread_changes_no_prediction() {
    pollster::block_on(async {
        let mut trainer = begun(MOMENTUM).await;
        let losses = trainer.evaluate().await.unwrap().losses.clone();
        let layout = trainer.layout().clone();
        let before = trainer.theta().await.unwrap();
        let mut theta = before.clone();
        spread(&layout, &mut theta, 4.0);
        trainer.set_theta(&theta).unwrap();
        assert_eq!(trainer.evaluate().await.unwrap().losses, losses);
        assert_eq!(weights(&layout).count(), LAYERS);
        let factors: Vec<f32> = weights(&layout).map(|entry| theta[entry.offset] / before[entry.offset]).collect();
        assert_eq!(factors, [4.0, 0.25, 4.0, 0.25, 1.0, 1.0, 1.0]);
    });
}

/// Exact check 1 on the network: each layer's step is the rate times its weights, whatever the spread; those of momentum and
/// Adam move by the factor, and by its square where the gradient moves too.
#[test]
fn rules_that_measure_layers_move_all_alike() {
    pollster::block_on(async {
        for way in [LARS, LAMB] {
            for steps in steps(way).await {
                assert!(steps.iter().all(|step| (step - 1.0).abs() < 1e-4), "{}: {steps:?}", WAYS[way].name);
            }
        }
        for (way, wanted) in [(MOMENTUM, [1.0 / 16.0, 16.0]), (ADAM, [0.25, 4.0])] {
            let [drawn, spread] = steps(way).await;
            for layer in 0..4 {
                let moved = spread[layer] / drawn[layer] / wanted[layer % 2];
                assert!((moved - 1.0).abs() < 0.02, "{}, layer {layer}: {moved}", WAYS[way].name);
            }
        }
    });
}

#[test]
fn every_batch_sees_as_many_images_and_rates_grow_with_its_root() {
    let knobs = turned(&STUDY, &[]);
    for way in &WAYS {
        let runs = PLACES.map(|place| spec(&knobs, way, place, 2));
        assert_eq!(runs.each_ref().map(|run| (run.steps, run.schedule.warmup)), [(750, 15), (96, 10), (12, 3)]);
        for run in &runs {
            assert_eq!(run.steps * run.batch.size as u64, 12 * IMAGES as u64);
            close(run.schedule.peak, way.rate(2) * (run.batch.size as f64 / 32.0).sqrt());
            let rates = rates(run);
            close(rates.iter().copied().fold(0.0, f64::max), run.schedule.peak);
            assert!(rates[0] < run.schedule.peak && rates[rates.len() - 1] == 0.0);
            assert_eq!(run.validate(), []);
        }
    }
}

/// Results in which the rate at place 3 is best with small batches, and the one at place 4 with large ones.
fn measured(large: [f64; 4]) -> Results {
    let mut results = unmeasured(&STUDY, &[], &[1, 2]);
    for seed in [1, 2] {
        for (way, end) in WAYS.iter().zip(large) {
            for rate in 0..RATES {
                let off = |best: usize| 2.0 * rate.abs_diff(best) as f64;
                let mut put = |place: usize, accuracy| {
                    results.record(&way.arm(place), seed).unwrap().point(BY_RATE, rate as f64, accuracy);
                };
                put(0, 90.0 - off(3));
                put(1, 89.0 - off(3));
                put(2, end + 2.0 - off(4));
            }
            let outcome = results.record(&way.arm(2), seed).unwrap();
            for layer in 1..=LAYERS {
                outcome.point(STEP, layer as f64, 1.0);
                outcome.point(STEP_AS_DRAWN, layer as f64, 1.0);
            }
        }
        for rate in 0..RATES {
            let drawn = 90.0 - rate.abs_diff(5) as f64;
            results.record(AS_DRAWN, seed).unwrap().point(BY_RATE, rate as f64, drawn);
        }
    }
    results
}

#[test]
fn the_answer_follows_the_numbers() {
    let results = measured([40.0, 45.0, 60.0, 62.0]);
    assert_eq!(carried(&results, &WAYS[LAMB], 2).mean(), 62.0);
    assert_eq!((tuned(&results, &WAYS[LAMB]).mean(), plateau(&results, &WAYS[LAMB])), (64.0, 1.0));
    let verdict = answer(&results).verdict(&STUDY);
    assert!(
        verdict.answer.starts_with("Yes, but one of 5 further claims fails. With batches of 2000"),
        "{}",
        verdict.answer
    );
    assert_eq!(failing(&verdict), [5]);
    assert!(verdict.measured.ends_with("1 decade for LARS, 1 decade for LAMB."), "{}", verdict.measured);
    assert_eq!(failing(&answer(&measured([58.0, 60.0, 60.0, 62.0])).verdict(&STUDY)), [0]);
}
