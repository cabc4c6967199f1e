//! What the study shows.

use engine::figure::{Mark, Role, brief};

use super::net::BLOCKS;
use super::{
    APART, BATCH, BEST, BY_RATE, CLOSE, DIVERGED, EDGE, FACTORS, HIGHEST, KEPT, KEPT_IN_ALL, LARGEST, LOSS, MEMORY, MS,
    PAIRS, RATE, RATES, WORK,
};
use crate::plot::{arm_axis, axis, curves, in_words, log_axis};
use crate::{Curve, Label, Plot, Results};

/// The highest rate that serves Eval on the mean of the seeds.
fn shown(results: &Results) -> usize {
    let at = |which: usize| results.sample_at("eval", BY_RATE, results.knobs.get(&RATE) * RATES[which]).mean();
    let best = (0..RATES.len()).map(at).fold(f64::NAN, f64::max);
    (0..RATES.len()).rev().find(|&which| at(which) >= best - CLOSE).unwrap_or(0)
}

/// See the module.
pub fn figures(results: &Results) -> Vec<Plot> {
    let ways = results.labels(["train", "eval", "tune", "deploy"]);
    let shown = shown(results);
    let rate = brief(results.knobs.get(&RATE) * RATES[shown]);
    let at = |curve: Curve| curve.of(shown as u64);
    let both = results.labels(["eval", "eval/rescaled"]);
    let factors = curves(results, &both, FACTORS);
    let named = ["as learned", "rescaled"];
    let factors = factors.into_iter().zip(named).map(|(mut mark, named)| {
        if let Mark::Line { name, .. } = &mut mark {
            named.clone_into(name);
        }
        mark
    });
    vec![
        kept(results, &ways),
        Plot::curves(results, "rates", "Accuracy at each rate", [log_axis("learning rate", ""), axis("test accuracy", "%")], &results.arms, BY_RATE)
            .says(in_words(results, &results.arms, HIGHEST))
            .meaning(
                "Tune should lie on top of Eval. Rescaled channels compute the same but learn at other rates in Eval and Tune; for \
                 Deploy they change nothing, so it has no such arm.",
            )
            .empty("A point for each rate."),
        Plot::curves(results, "loss", format!("Losses at a rate of {rate}"), [axis("update", ""), log_axis("training loss", "nats")], &results.labels(["eval", "tune", "deploy"]), at(LOSS))
            .meaning("On each update's batch; the same batches and the same starting function for all.")
            .empty("Lines appear when an arm has learned."),
        Plot::curves(results, "apart", format!("How far Tune is from Eval at a rate of {rate}"), [axis("update", ""), log_axis("largest difference of a parameter", "")], &results.labels(PAIRS.map(|[tune, _]| tune)), at(APART))
            .meaning("Both compute the same with different rounding, which training may amplify.")
            .empty("Lines appear when Tune has learned."),
        Plot::of("factors", "How much faster Deploy learns", [log_axis("1/q² of a channel", ""), axis("share of channels", "%")], factors.collect())
            .says(in_words(results, &both, LARGEST))
            .meaning("How much further a step at one rate moves a channel's folded weights in Deploy than in Eval and Tune, \
                      apart from what the norm's scale adds.")
            .empty("Lines appear when clothes have been learned."),
        Plot::dots(results, "edge", "Where rates become unstable", "highest stable rate, 2(1 + β)/λ₁", &results.labels(["eval", "deploy", "eval/rescaled"]), EDGE)
            .meaning("From the largest eigenvalue of the Hessian in each arm's own parameters, before its first update: the same \
                      function, but another curvature.")
            .empty("Dots appear when an arm begins."),
        Plot::table(
            results,
            "All numbers",
            &[
                ("best accuracy", BEST),
                ("highest rate that serves", HIGHEST),
                ("rates that diverge", DIVERGED),
                ("kept for the backward pass", KEPT_IN_ALL),
                ("memory of an update", MEMORY),
                ("work of an update", WORK),
                ("time of an update", MS),
            ],
        )
        .meaning(format!(
            "A rate serves an arm that ends within {CLOSE} points of its best. Memory is for everything computed in an update, \
             by the lab's own plan; times depend on the machine and on whatever else ran on it."
        )),
    ]
}

/// What the ways keep for the backward pass, by block.
fn kept(results: &Results, ways: &[Label]) -> Plot {
    let roles = [Role::Other, Role::Train, Role::Test, Role::Lr, Role::Batch];
    let names = ["images and output", "block 1", "block 2", "block 3", "block 4"];
    let of = |part: usize| ways.iter().map(|way| results.sample(&way.id, KEPT.of(part as u64)).mean()).collect();
    let series = (0..=BLOCKS.len()).map(|part| (names[part], roles[part], of(part)));
    let axes = [arm_axis(ways), axis(&format!("kept for {} images", results.knobs.get(&BATCH)), "KB")];
    Plot::bars("kept", "What waits for the backward pass", axes, series)
        .stacked()
        .says(in_words(results, ways, KEPT_IN_ALL))
        .meaning("A block keeps its output, for the next convolution. A norm keeps one more map, in Train two.")
        .empty("Bars appear when an arm begins.")
}
