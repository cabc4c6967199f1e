//! What the answer says beside the checks.

use super::{ACCURACY_APART, BY_RATE, EDGE, LARGEST, MEMORY, RATES};
use crate::{Label, Number, Results};

/// Which of Eval and Deploy bears higher rates, and why.
pub fn steadiness(results: &Results) -> String {
    let words = |arm: &str, number: Number| results.sample(arm, number).mean_in_words();
    let [eval, deploy, rescaled] = ["eval", "deploy", "eval/rescaled"].map(|arm| results.sample(arm, EDGE).mean());
    if eval.is_nan() || deploy.is_nan() || rescaled.is_nan() {
        return String::new();
    }
    let steadier = if deploy > eval { "Deploy is the more stable" } else { "Eval is the more stable" };
    let cause = if rescaled > deploy && deploy > eval {
        " So which of the two is the more stable depends on the q of the network they start from, not on folding norms."
    } else {
        ""
    };
    let apart = if results.sample("tune", ACCURACY_APART).max() > 0.5 {
        " Tune and Eval compute the same with other roundings: what drives them apart is that training amplifies these close to \
         where rates become unstable."
    } else {
        ""
    };
    format!(
        "Judged by the first curvature, Eval becomes unstable at a rate of {} and Deploy at {}: {steadier} here, where Deploy's \
         channels learn up to {} times as fast as Eval's. With rescaled channels they learn up to {} times as fast, and Eval \
         tolerates {}.{cause}{apart} Everything that an update holds takes {} KB in Eval, {} in Tune and {} in Deploy.",
        words("eval", EDGE),
        words("deploy", EDGE),
        words("eval", LARGEST),
        words("eval/rescaled", LARGEST),
        words("eval/rescaled", EDGE),
        words("eval", MEMORY),
        words("tune", MEMORY),
        words("deploy", MEMORY),
    )
}

/// Arms whose best rate is the lowest or the highest that was tried: a better one may lie beyond.
pub fn at_the_ends(results: &Results) -> String {
    let at_an_end = |label: &&Label| {
        let points = results.mean_curve(&label.id, BY_RATE).0;
        let best = points.iter().map(|point| point[1]).fold(f64::NAN, f64::max);
        let end = |point: Option<&[f64; 2]>| point.is_some_and(|point| point[1] == best);
        points.len() == RATES.len() && (end(points.first()) || end(points.last()))
    };
    let names: Vec<&str> = results.arms.iter().filter(at_an_end).map(|label| label.name.as_str()).collect();
    if names.is_empty() { String::new() } else { format!(" Best at an end of the rates tried: {}.", names.join("; ")) }
}
