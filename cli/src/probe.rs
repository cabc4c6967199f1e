//! Curvature and gradient noise at a moment of a run, every number of them, for other programs to check.

use engine::optim::stability;
use engine::probe::{
    Curvature, Density, Eigenpairs, Landscape, NoiseScale, Pairs, Point, Scaled, Settings, SmallBatches, probed_rows,
    rule_scale, run as solve,
};
use engine::protocol::Backend;
use serde_json::{Value, json};

use crate::args::Place;
use crate::native::now_ms;
use crate::place::{Reached, failed, reach};
use crate::{Failure, print_json};

/// Eigenpairs at each end.
const PAIRS: usize = 5;
/// Residual over the extreme eigenvalue of an end.
const TOLERANCE: f64 = 1e-4;
/// Products for the eigenpairs at most.
const MOST: usize = 400;
/// Random vectors of the density.
const VECTORS: usize = 8;
/// Small batches for the noise scale.
const BATCHES: usize = 16;

/// Measures a run at a place and prints it.
pub fn run(place: &Place, backend: Backend) -> Result<(), Failure> {
    let begun = now_ms();
    pollster::block_on(async {
        let Reached { link, mut trainer, backend, native } = reach(place, backend).await?;
        let (spec, recipe) = (trainer.spec().clone(), trainer.recipe().clone());
        let (optimizer, step) = (trainer.optimizer(), trainer.steps_done());
        let (rows, noise_rows) = (probed_rows(&trainer, 1), probed_rows(&trainer, BATCHES));
        let scale = rule_scale(&mut trainer, &optimizer).await.map_err(failed)?;
        let (bias, rate) = (trainer.bias().advanced(&optimizer, 1), trainer.lr());
        let (size, all, feed) = (trainer.layout().len(), trainer.examples(), trainer.feed().clone());
        let settings = Settings { micro: recipe.batch.micro, ..Settings::default() };
        let executor = trainer.executor_mut();

        native.teller.say("gradients");
        let mut landscape = Landscape::new(&spec, &feed, settings.micro, "probe.loss").map_err(failed)?;
        landscape.go(executor, Point::Run).await.map_err(failed)?;
        let (loss, gradient) = landscape.gradient(executor, &rows).await.map_err(failed)?;
        let each = noise_rows.len() / BATCHES;
        let mut batches = SmallBatches::new(each);
        for part in noise_rows.chunks_exact(each.max(1)).take(if each > 0 { BATCHES } else { 0 }) {
            batches.add(landscape.gradient(executor, part).await.map_err(failed)?.1);
        }

        let operator = recipe.probes.operator;
        let mut matrix = Curvature::new(&spec, &feed, operator, settings, "probe").map_err(failed)?;
        matrix.linearise(executor, Point::Run, &rows).await.map_err(failed)?;
        native.teller.say("eigenpairs");
        let search = |wanted, index| Eigenpairs::new(size, wanted, TOLERANCE, MOST, &[], (spec.seed, index));
        let pairs = solve(&mut search([PAIRS; 2], 0), &mut matrix, executor).await.map_err(failed)?;
        let preconditioned = match &scale {
            Some(scale) => {
                let mut scaled = Scaled::new(&mut matrix, scale);
                Some(solve(&mut search([PAIRS, 0], 1), &mut scaled, executor).await.map_err(failed)?)
            }
            None => None,
        };
        native.teller.say("density");
        let density = Density::new(size, recipe.probes.products, VECTORS, 1, spec.seed, 0);
        let mut density = density.beside(pairs.largest.iter().chain(&pairs.smallest).filter(|_| pairs.converged));
        let spectrum = solve(&mut density, &mut matrix, executor).await.map_err(failed)?;
        native.teller.end();
        let trace = spectrum.trace();
        print_json(&json!({
            "link": link.fragment(),
            "backend": backend.adapter,
            "step": step,
            "parameters": size,
            "operator": operator,
            "samples": rows.len(),
            "examples": all,
            "loss": loss,
            "gradient": engine::probe::norm(&gradient),
            "eigenpairs": eigenpairs(&pairs),
            "preconditioned": preconditioned.as_ref().map(eigenpairs),
            "learning_rate": rate,
            "stable_up_to": stability::threshold(&optimizer, rate, &bias).filter(|limit| limit.is_finite()),
            "density": { "known": spectrum.known, "rest": spectrum.probes },
            "trace": { "value": trace.mean, "half": trace.half, "confidence": 0.95, "vectors": VECTORS },
            "noise": batches.noise_scale().as_ref().map(noise),
            "seconds": (now_ms() - begun) / 1000.0,
        }))
    })
}

fn eigenpairs(pairs: &Pairs) -> Value {
    let end = |pairs: &[engine::probe::Eigenpair]| -> Vec<Value> {
        let one = |pair: &engine::probe::Eigenpair| json!({ "value": pair.value, "residual": pair.residual });
        pairs.iter().map(one).collect()
    };
    json!({
        "largest": end(&pairs.largest),
        "smallest": end(&pairs.smallest),
        "products": pairs.products,
        "converged": pairs.converged,
    })
}

/// The noise scale with its parts; what is infinite is null.
fn noise(found: &NoiseScale) -> Value {
    json!({
        "signal": found.signal,
        "signal_error": found.signal_error,
        "noise": found.noise,
        "noise_error": found.noise_error,
        "scale": found.scale,
        "scale_error": found.scale_error,
        "least": found.least(),
        "samples": found.samples,
        "batches": BATCHES,
    })
}
