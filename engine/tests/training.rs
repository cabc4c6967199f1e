//! Whole runs through the trainer, natively.

use std::rc::Rc;
use std::time::Instant;

use engine::cpu::CpuExecutor;
use engine::data;
use engine::spec::{RunSpec, preset};
use engine::train::{TrainError, Trainer};

fn load(spec: &RunSpec) -> Result<Rc<data::Data>, TrainError> {
    let pack = match data::pack_file(spec.data.set) {
        Some(name) => Some(data::read_pack_file(&name)?),
        None => None,
    };
    Ok(Rc::new(data::load(&spec.data, spec.seed, pack.as_deref())?))
}

fn spec(id: &str) -> RunSpec {
    preset(id).map(|preset| preset.spec()).unwrap_or_default()
}

#[test]
fn presets_learn() -> Result<(), TrainError> {
    for id in ["mlp", "spirals", "convnet", "cct-digits", "vit-digits", "gpt", "cct-mnist", "weather"] {
        let spec = spec(id);
        let data = load(&spec)?;
        pollster::block_on(async {
            let start = Instant::now();
            let mut trainer = Trainer::new(CpuExecutor::new(), &spec, data).await?;
            let built = start.elapsed();
            let start = Instant::now();
            for _ in 0..20 {
                trainer.step().await?;
            }
            let metrics = trainer.metrics().await?;
            let took = start.elapsed();
            let first = metrics[0].loss;
            let last = metrics[19].loss;
            println!("{id}: {first} -> {last}, built in {built:?}, {:?} a step", took / 20);
            let evaluation = trainer.evaluate().await?;
            println!("  test {} {:?}", evaluation.loss, evaluation.accuracy);
            println!("  {:?}", trainer.summary().await?);
            Ok::<(), TrainError>(())
        })?;
    }
    Ok(())
}
