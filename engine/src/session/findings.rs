//! What a run's own numbers say of how it goes: that it has diverged, that it overfits, that units pass nothing on. Functions
//! of the numbers alone, so that they are the same live, after a rewind and after a visit that was cut short.

use super::History;
use super::curvature::Reading;
use crate::figure::brief;
use crate::protocol::{Finding, FindingKind};
use crate::train::StepMetrics;

/// A loss so many times the first one is above anything that an untrained network says.
const DIVERGED: f32 = 2.0;
/// Updates that the loss must stay up there: a single batch may be an outlier.
const STAYS: usize = 5;
/// Evaluations that must lie above the best one, and by what factor the last two of them.
const WORSE: usize = 3;
const RISEN: f64 = 1.05;
/// Updates over which a training loss is averaged.
const WINDOW: usize = 50;
/// Share of a layer's units that must be silent to be worth saying.
const SILENT: f64 = 0.25;
/// Updates without any gradient.
const STILL: usize = 5;

/// All findings, the gravest first; `readings` by ascending step.
pub fn findings(history: &History, readings: &[&Reading]) -> Vec<Finding> {
    let diverged = diverged(history, readings);
    // What has diverged is past caring about the rest.
    if diverged.is_some() {
        return diverged.into_iter().collect();
    }
    [still(history), overfits(history), silent(readings)].into_iter().flatten().collect()
}

/// The loss has gone up, and stays there.
fn diverged(history: &History, readings: &[&Reading]) -> Option<Finding> {
    let start = history.steps.first().map(|first| first.loss)?;
    let up = |metrics: &&StepMetrics| metrics.loss > DIVERGED * start;
    let stays = history.steps.iter().rev().take_while(up).count();
    let at = history.steps.len() - stays;
    if stays < STAYS || start <= 0.0 {
        return None;
    }
    let (first, now) = (&history.steps[at], history.steps.last()?);
    let step = first.step;
    let how =
        format!("Diverged at step {step}: the loss went from {} to {}", brief(start.into()), brief(now.loss.into()));
    let used = history.steps[..=at].iter().map(|metrics| f64::from(metrics.lr)).fold(0.0, f64::max);
    let why = match borne(history, readings, step).filter(|(_, rate)| *rate < used) {
        Some((measured, rate)) => {
            format!("Rates above about {} do, by the curvature at step {measured}; try Find LR.", brief(rate))
        }
        None => format!("The learning rate was {}; try a lower one, or Find LR.", brief(used)),
    };
    Some(Finding { kind: FindingKind::Diverged, step, text: format!("{how}. {why}") })
}

/// The largest learning rate that the curvature bore, as measured last before update `step`, and where that was.
fn borne(history: &History, readings: &[&Reading], step: u64) -> Option<(u64, f64)> {
    readings.iter().rev().filter(|reading| reading.step <= step).find_map(|reading| {
        let sharpest = reading.preconditioned.or((!reading.top.is_empty()).then(|| reading.sharpness()))?;
        let rate = f64::from(history.steps.get(reading.step as usize)?.lr) * reading.limit? / sharpest;
        (rate.is_finite() && rate > 0.0).then_some((reading.step, rate))
    })
}

/// The test loss rises while the training loss still falls.
fn overfits(history: &History) -> Option<Finding> {
    let last = history.evaluations.last()?;
    let evaluations: Vec<_> =
        history.evaluations.iter().filter(|one| one.n == last.n && one.loss.is_finite()).collect();
    let best = (0..evaluations.len()).min_by(|a, b| evaluations[*a].loss.total_cmp(&evaluations[*b].loss))?;
    let (best, since) = (evaluations[best], &evaluations[best + 1..]);
    let risen = since.iter().rev().take(2).all(|one| one.loss > RISEN * best.loss);
    let [then, now] = [best.step, last.step].map(|step| recent_loss(history, step));
    let step = best.step;
    (since.len() >= WORSE && risen && now < then).then(|| Finding {
        kind: FindingKind::Overfits,
        step,
        text: format!(
            "Overfits since step {step}: the test loss rose from {} to {} while the training loss fell from {} to {}.",
            brief(best.loss),
            brief(last.loss),
            brief(then),
            brief(now)
        ),
    })
}

/// Mean training loss of the last updates before `step`; infinite before any.
fn recent_loss(history: &History, step: u64) -> f64 {
    let end = history.steps.len().min(step as usize);
    let recent = &history.steps[end.saturating_sub(WINDOW)..end];
    if recent.is_empty() {
        return f64::INFINITY;
    }
    recent.iter().map(|metrics| f64::from(metrics.loss)).sum::<f64>() / recent.len() as f64
}

/// Nothing learns any more: no parameter has a gradient, though there is a loss.
fn still(history: &History) -> Option<Finding> {
    let dead = |metrics: &&StepMetrics| metrics.grad_norm == 0.0 && metrics.loss > 1e-3;
    let stays = history.steps.iter().rev().take_while(dead).count();
    let step = history.steps.get(history.steps.len() - stays)?.step;
    (stays >= STILL).then(|| Finding {
        kind: FindingKind::Silent,
        step,
        text: format!(
            "Nothing learns since step {step}: the gradient is 0 and the loss is not. All units of a layer are dead; a lower \
             rate or another activation keeps them alive."
        ),
    })
}

/// Units whose incoming weights have no gradient on any of the examples of a reading.
fn silent(readings: &[&Reading]) -> Option<Finding> {
    let last = readings.last()?;
    let layer = last.layers.iter().filter(|layer| layer.units > 0);
    let share = |layer: &&super::curvature::Layer| layer.silent as f64 / layer.units as f64;
    let layer = layer.max_by(|a, b| share(a).total_cmp(&share(b))).filter(|layer| share(layer) >= SILENT)?;
    let step = last.step;
    Some(Finding {
        kind: FindingKind::Silent,
        step,
        text: format!(
            "{} of {} units of {} are silent at step {step}: on {} examples none of their weights has a gradient. A lower \
             rate or another activation keeps units alive.",
            layer.silent, layer.units, layer.name, last.samples
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::history::Evaluated;

    fn history(losses: &[f32], tests: &[(u64, f64)]) -> History {
        let steps = losses.iter().zip(0..).map(|(&loss, step)| StepMetrics {
            step,
            loss,
            accuracy: 0.5,
            grad_norm: 1.0,
            lr: 500.0,
            momentum: 0.0,
            batch: 64,
        });
        let evaluation = |&(step, loss): &(u64, f64)| Evaluated { step, loss, accuracy: None, n: 500 };
        History { steps: steps.collect(), evaluations: tests.iter().map(evaluation).collect() }
    }

    fn kinds(history: &History) -> Vec<FindingKind> {
        findings(history, &[]).iter().map(|finding| finding.kind).collect()
    }

    #[test]
    fn a_loss_that_goes_up_and_stays_has_diverged_and_a_spike_has_not() {
        let diverged = history(&[2.3, 9000.0, 9100.0, 9150.0, 9150.0, 9150.0], &[]);
        let [finding] = &findings(&diverged, &[])[..] else { panic!() };
        assert_eq!((finding.kind, finding.step), (FindingKind::Diverged, 1));
        assert!(finding.text.contains("500") && finding.text.contains("Find LR"), "{}", finding.text);
        assert_eq!(kinds(&history(&[2.3, 2.0, 9.0, 9.0, 9.0, 9.0, 1.9], &[])), []);
        assert_eq!(kinds(&history(&[2.3, 2.0, 9.0, 9.0], &[])), []);
        assert_eq!(kinds(&history(&[], &[])), []);
    }

    #[test]
    fn the_curvature_says_which_rates_diverge() {
        let diverged = history(&[2.3, 9000.0, 9100.0, 9150.0, 9150.0, 9150.0], &[]);
        // At rate 500 plain descent bears 2 / 500; the sharpest direction has 4.4.
        let reading = Reading { top: vec![4.4], limit: Some(2.0 / 500.0), ..Reading::default() };
        let [finding] = &findings(&diverged, &[&reading])[..] else { panic!() };
        assert!(finding.text.contains("Rates above about 0.45 do"), "{}", finding.text);
        // A rate that the curvature bears is not to blame.
        let flat = Reading { top: vec![1e-6], limit: Some(2.0 / 500.0), ..Reading::default() };
        assert!(!findings(&diverged, &[&flat])[0].text.contains("above about"));
    }

    #[test]
    fn a_test_loss_that_rises_while_training_improves_is_overfitting() {
        let falling: Vec<f32> = (0..500).map(|step| 2.0 / (1.0 + step as f32 / 50.0)).collect();
        let rising = [(100, 0.5), (200, 0.4), (300, 0.42), (400, 0.45), (500, 0.5)];
        let [finding] = &findings(&history(&falling, &rising), &[])[..] else { panic!() };
        assert_eq!((finding.kind, finding.step), (FindingKind::Overfits, 200));
        assert!(finding.text.contains("0.4 to 0.5"), "{}", finding.text);
        // A wobble, a plateau, and a test loss that rises with the training loss are none.
        assert_eq!(kinds(&history(&falling, &rising[..4])), []);
        assert_eq!(
            kinds(&history(&falling, &[(100, 0.4), (200, 0.401), (300, 0.403), (400, 0.402), (500, 0.404)])),
            []
        );
        let growing: Vec<f32> = (0..500).map(|step| 1.0 + step as f32 / 600.0).collect();
        assert_eq!(kinds(&history(&growing, &rising)), []);
    }

    #[test]
    fn dead_units_are_named() {
        let mut dead = history(&[2.3; 8], &[]);
        dead.steps[3..].iter_mut().for_each(|metrics| metrics.grad_norm = 0.0);
        let [finding] = &findings(&dead, &[])[..] else { panic!() };
        assert_eq!((finding.kind, finding.step), (FindingKind::Silent, 3));
        let layer = |silent| super::super::curvature::Layer {
            name: "hidden.0".into(),
            gradient: 1.0,
            movement: 1.0,
            units: 128,
            silent,
        };
        let reading = |silent| Reading { step: 50, samples: 64, layers: vec![layer(silent)], ..Reading::default() };
        let alive = history(&[2.3; 8], &[]);
        let [finding] = &findings(&alive, &[&reading(37)])[..] else { panic!() };
        assert!(finding.text.starts_with("37 of 128 units of hidden.0 are silent"), "{}", finding.text);
        assert_eq!(findings(&alive, &[&reading(10)]), []);
    }
}
