//! Measurements beside a run on the CPU executor.

use std::rc::Rc;

use super::*;
use crate::cpu::CpuExecutor;
use crate::data;
use crate::figure::Mark;
use crate::spec::{Activation, DataSet, DataSpec, MlpSpec, ModelSpec, Rule, RunSpec, Shape, preset};

pub(super) fn spec(kind: Rule, peak: f64) -> RunSpec {
    let mut spec = RunSpec {
        data: DataSpec { train: 200, test: 20, ..DataSpec::of(DataSet::Digits) },
        model: ModelSpec::Mlp(MlpSpec { hidden: vec![12], activation: Activation::Tanh, ..MlpSpec::default() }),
        ..RunSpec::default()
    };
    spec.optimizer.kind = kind;
    spec.optimizer.weight_decay = 0.0;
    (spec.schedule.kind, spec.schedule.peak, spec.schedule.warmup) = (Shape::Constant, peak, 0);
    spec.probes.samples = 64;
    spec
}

pub(super) async fn trainer(spec: &RunSpec) -> Trainer<AnyExecutor> {
    let pack = data::pack_file(spec.data.set).map(|name| data::read_pack_file(&name)).transpose().unwrap();
    let data = Rc::new(data::load(&spec.data, spec.seed, pack.as_deref()).unwrap());
    Trainer::new(AnyExecutor::Cpu(Box::new(CpuExecutor::new())), spec, data).await.unwrap()
}

pub(super) async fn measure(watch: &mut Watch, trainer: &mut Trainer<AnyExecutor>, probe: Probe) {
    watch.ask(probe);
    while watch.busy() {
        watch.advance(trainer).await.unwrap();
    }
}

#[test]
fn measuring_between_updates_changes_no_number_of_the_run() {
    pollster::block_on(async {
        let spec = spec(Rule::AdamW, 2e-3);
        let (mut alone, mut watched) = (trainer(&spec).await, trainer(&spec).await);
        let mut watch = Watch::default();
        for probe in [Probe::Spectrum, Probe::Batches, Probe::Line, Probe::Spectrum] {
            watch.ask(probe);
        }
        for _ in 0..400 {
            alone.step().await.unwrap();
            watched.step().await.unwrap();
            watch.advance(&mut watched).await.unwrap();
        }
        assert!(!watch.busy(), "all measurements end");
        assert_eq!(alone.theta().await.unwrap(), watched.theta().await.unwrap());
        let ids: Vec<String> = watch.figures().into_iter().map(|figure| figure.id).collect();
        for id in ["spectrum", "eigenvalues", "noise", "norms", "trace", "alignment", "distance", "batches", "line"] {
            assert!(ids.iter().any(|known| known == id), "{id} is not among {ids:?}");
        }
    });
}

#[test]
fn a_reading_is_of_the_snapshot_though_training_goes_on() {
    pollster::block_on(async {
        let spec = spec(Rule::Momentum, 0.05);
        let (mut still, mut moving) = (trainer(&spec).await, trainer(&spec).await);
        let (mut a, mut b) = (Watch::default(), Watch::default());
        measure(&mut a, &mut still, Probe::Spectrum).await;
        b.ask(Probe::Spectrum);
        // The first call takes the snapshot.
        b.advance(&mut moving).await.unwrap();
        while b.busy() {
            moving.step().await.unwrap();
            b.advance(&mut moving).await.unwrap();
        }
        assert_eq!(a.readings, b.readings);
        assert!(a.readings[0].residual < 0.05 * a.readings[0].top[0]);
        assert!(a.readings[0].trace_error > 0.0);
    });
}

/// What costs least is shown first, and what is shown stays.
#[test]
fn a_reading_is_shown_as_it_grows() {
    pollster::block_on(async {
        let mut trainer = trainer(&spec(Rule::AdamW, 2e-3)).await;
        trainer.step().await.unwrap();
        let mut watch = Watch::default();
        watch.ask(Probe::Spectrum);
        let mut order: Vec<String> = Vec::new();
        while watch.busy() {
            let grown = watch.advance(&mut trainer).await.unwrap();
            let figures = watch.figures();
            assert!(figures.iter().all(|figure| !figure.marks.is_empty() || !figure.empty.is_empty()));
            let known = order.len();
            order.retain(|id| figures.iter().any(|figure| figure.id == *id && !figure.marks.is_empty()));
            assert_eq!(order.len(), known, "nothing vanishes");
            for figure in figures.iter().filter(|figure| !figure.marks.is_empty()) {
                if !order.contains(&figure.id) {
                    assert!(grown, "{} came untold", figure.id);
                    order.push(figure.id.clone());
                }
            }
        }
        let place = |id: &str| order.iter().position(|known| known == id).unwrap();
        let chains: [&[&str]; 2] =
            [&["norms", "distance", "noise", "eigenvalues", "spectrum"], &["alignment", "trace"]];
        for pair in chains.iter().flat_map(|chain| chain.windows(2)) {
            assert!(place(pair[0]) < place(pair[1]), "{order:?}");
        }
    });
}

#[test]
fn readings_are_kept_and_forgotten_with_the_run() {
    pollster::block_on(async {
        let mut trainer = trainer(&spec(Rule::Sgd, 0.1)).await;
        let mut watch = Watch::default();
        for _ in 0..3 {
            measure(&mut watch, &mut trainer, Probe::Spectrum).await;
            trainer.step().await.unwrap();
        }
        // What could not be found, as where a product was not finite, costs no other reading.
        watch.readings[0].residual = f64::NAN;
        let bytes = watch.to_bytes();
        assert_eq!(bytes.len() % 4, 0);
        let mut again = Watch::default();
        again.restore(&bytes);
        assert_eq!(again.readings.len(), 3);
        for (kept, was) in again.readings.iter().zip(&watch.readings) {
            assert_eq!(
                (kept.step, kept.products, kept.spectrum.probes.len()),
                (was.step, was.products, was.spectrum.probes.len())
            );
            assert!((kept.sharpness() / was.sharpness() - 1.0).abs() < 1e-12);
        }
        again.rewind(1);
        assert_eq!(again.readings.iter().map(|reading| reading.step).collect::<Vec<_>>(), [0, 1]);
        again.restore(b"{ not readings");
        assert!(again.readings.is_empty() && again.figures().is_empty());
    });
}

#[test]
fn smaller_batches_look_sharper() {
    pollster::block_on(async {
        let mut trainer = trainer(&spec(Rule::Sgd, 0.1)).await;
        for _ in 0..50 {
            trainer.step().await.unwrap();
        }
        let mut watch = Watch::default();
        measure(&mut watch, &mut trainer, Probe::Batches).await;
        let figures = watch.figures();
        let figure = figures.iter().find(|figure| figure.id == "batches").unwrap();
        let line = |wanted: &str| {
            figure.marks.iter().find_map(|mark| match mark {
                Mark::Line { name, points, .. } if name == wanted => Some(points.clone()),
                _ => None,
            })
        };
        let mean = line("mean").unwrap();
        assert_eq!(mean.iter().map(|point| point[0]).collect::<Vec<_>>(), [8.0, 16.0, 32.0]);
        assert!(mean[0][1] > mean[2][1], "{mean:?}");
        assert_eq!(line("random-matrix theory").unwrap().len(), 3);
        assert!(figures.iter().any(|figure| figure.id == "batch-spectrum"));
    });
}

/// Edge of stability (Cohen et al. 2021, section 3): under full-batch gradient descent the sharpness rises to 2/eta and
/// hovers there, whatever eta is.
#[test]
fn gradient_descent_trains_at_the_edge_of_stability() {
    pollster::block_on(async {
        for eta in [1.2, 1.6, 2.0] {
            let mut spec = preset("edge").unwrap().spec();
            spec.schedule.peak = eta;
            let mut trainer = trainer(&spec).await;
            let mut watch = Watch::default();
            for step in 0..4000_u64 {
                if step % 250 == 0 {
                    trainer.metrics().await.unwrap();
                    measure(&mut watch, &mut trainer, Probe::Spectrum).await;
                }
                trainer.step().await.unwrap();
            }
            let over: Vec<f64> =
                watch.readings.iter().map(|reading| reading.sharpness() / reading.limit.unwrap()).collect();
            assert!((watch.readings[0].limit.unwrap() - 2.0 / eta).abs() < 1e-6);
            assert!(over[0] < 0.95, "eta {eta} starts below the limit: {over:?}");
            assert!(over[8..].iter().all(|share| (0.9..1.15).contains(share)), "eta {eta}: {over:?}");
        }
    });
}
