//! A run's numbers as it tells them, for the files that other tools read.

use std::time::{SystemTime, UNIX_EPOCH};

use engine::protocol::{Metrics, RunEvent};
use engine::spec::Link;
use logs::{Evaluation, Run};

/// Milliseconds since 1970.
pub fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0)
}

/// Takes in what a run says.
pub fn take(run: &mut Run, event: &RunEvent) {
    match event {
        RunEvent::Metrics(metrics) => {
            let Metrics { first_step, loss, accuracy, lr, momentum, batch, grad_norm, step_ms, host_ms } = metrics;
            if *first_step == 0 {
                run.began = Some(now_ms() - step_ms.iter().copied().map(f64::from).sum::<f64>());
            }
            run.extend(*first_step, [loss, accuracy, lr, batch, grad_norm, step_ms, host_ms, momentum]);
        }
        RunEvent::Evaluated { step, loss, accuracy, .. } => {
            run.evaluations.retain(|known| known.step < *step);
            run.evaluations.push(Evaluation { step: *step, loss: Some(*loss), accuracy: *accuracy });
        }
        RunEvent::Probed { figures } => {
            run.read_curvature(&serde_json::to_value(figures).unwrap_or_default());
        }
        _ => {}
    }
}

/// A run of that link, before it has said anything.
pub fn of(link: &Link) -> Run {
    let spec = serde_json::to_value(&link.spec).unwrap_or_default();
    Run { link: link.fragment(), spec, ..Run::default() }
}
