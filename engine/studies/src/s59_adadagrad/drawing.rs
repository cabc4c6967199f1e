//! What the study shows beside the clouds.

use super::{BATCH, GAP, GAP_BY_UPDATE, LAST_BATCH, STATISTIC, UPDATES, convex, grown, id, rules};
use crate::names::ACCURACY;
use crate::plot::{axis, in_words, log_axis};
use crate::{Label, Plot, Results};
use engine::figure::{Dash, Direction, Mark, Role, brief};
use engine::spec::{Policy, Rule};

/// An arm of each rule and test, told apart by stroke and colour.
fn adaptive_arms(results: &Results) -> Vec<Label> {
    let strokes = rules(&results.knobs).zip([Dash::Solid, Dash::Dashed, Dash::Dotted]);
    let of_rule = |((rule, _), dash): ((Rule, f64), Dash)| {
        let of_test = move |(policy, role)| {
            results.labels([id(rule, policy)]).into_iter().map(move |label| Label { role, dash, ..label })
        };
        [("norm", Role::Batch), ("inner", Role::Test)].into_iter().flat_map(of_test)
    };
    strokes.flat_map(of_rule).collect()
}

/// The batch size of adaptive arms against samples.
pub fn batch_figure(results: &Results) -> Plot {
    let arms = adaptive_arms(results);
    let axes = [axis("samples", ""), log_axis("batch size", "examples")];
    let content = grown(results, Policy::InnerProduct).max() == 1.0;
    let inner = if content { " The inner-product test is content with the first one." } else { "" };
    Plot::curves(results, "batch", "Batch size", axes, &arms, BATCH)
        .meaning(format!(
            "Early on, a few examples agree and are enough; the closer the optimum, the more the norm test asks.{inner}"
        ))
        .says(in_words(results, &arms, LAST_BATCH))
        .empty("A line for each optimizer and test, as it trains.")
}

/// What the tests compare with their threshold, and where that of the inner-product test would have to be.
pub fn statistic_figure(results: &Results) -> Plot {
    let arms = adaptive_arms(results);
    let axes = [axis("samples", ""), log_axis("test statistic", "")];
    let title = "What the tests see: examples asked for, relative to the batch";
    let plot = Plot::curves(results, "statistic", title, axes, &arms, STATISTIC);
    let rule = |label: &str, role, at| Mark::Rule { label: label.into(), role, along: Direction::Horizontal, at };
    let threshold = (!plot.marks().is_empty()).then(|| rule("threshold", Role::Limit, 1.0));
    let silent = loudest(results).filter(|&loudest| loudest > 0.0 && loudest < 1.0);
    let speaks = silent.map(|loudest| rule("the inner-product test would trigger", Role::Theory, loudest));
    let why = silent.map_or_else(String::new, |loudest| {
        let factor = brief(1.0 / loudest.sqrt());
        format!(" It stays below: θ and ν would have to be {factor} times smaller for it to trigger once.")
    });
    plot.with(threshold.into_iter().chain(speaks))
        .meaning(format!(
            "Above 1 the batch is too small for its noise, and grows at the next test. The norm test sees V / (b η²|g|²), the \
             inner-product test the larger of Var⟨gᵢ,g⟩ / (b θ²|g|⁴) and V across g / (b ν²|g|²).{why}"
        ))
        .empty("Lines about the threshold, for each optimizer and test.")
}

/// The gap of all arms of a rule, against what each costs: samples, and updates.
pub fn gap_figures(results: &Results, rule: Rule) -> [Plot; 2] {
    let name = rule.label();
    let what = if convex(&results.knobs) { "gap to the optimum" } else { "training loss" };
    let prefix = id(rule, "");
    let of_rule = results.arms.iter().filter(|label| label.id.starts_with(&prefix));
    let short =
        |label: &Label| label.name.split_once(", ").map_or_else(|| label.name.clone(), |(_, name)| name.to_owned());
    let arms: Vec<Label> = of_rule.map(|label| Label { name: short(label), ..label.clone() }).collect();
    let y = log_axis(what, "nats");
    let (id, title) = (format!("samples-{}", rule.id()), format!("{name}: {what} against samples"));
    let by_samples = Plot::curves(results, &id, title, [axis("samples", ""), y.clone()], &arms, GAP);
    let first = |label: &Label| {
        let points = results.outcomes(&label.id).next()?.1.curve(GAP_BY_UPDATE).to_vec();
        (!points.is_empty()).then(|| Mark::line(&label.name, label.role, label.dash, points))
    };
    let by_updates = Plot::of(
        format!("updates-{}", rule.id()),
        format!("{name}: {what} against updates"),
        [log_axis("updates", ""), y],
        arms.iter().filter_map(first).collect(),
    );
    [
        by_samples.meaning("What each example was worth. Fixed batches in grey."),
        by_updates.meaning(
            "Updates run one after another, but the examples of an update run side by side, so this is about time. First seed.",
        ),
    ]
    .map(|plot| plot.says(in_words(results, &arms, GAP)).empty("A line for each batch size and test."))
}

/// Every arm's final numbers.
pub fn table(results: &Results) -> Plot {
    let columns =
        [("gap", GAP.last()), ("updates", UPDATES), ("test accuracy", ACCURACY.last()), ("last batch", LAST_BATCH)];
    Plot::table(results, "The arms in numbers", &columns)
        .meaning("Mean and standard deviation over the seeds, after equal samples.")
}

/// The largest statistic that the inner-product test has seen, over its arms and seeds; none before it has seen any.
pub fn loudest(results: &Results) -> Option<f64> {
    let arms = results.arms.iter().filter(|label| label.id.ends_with("/inner"));
    let outcomes = arms.flat_map(|label| results.outcomes(&label.id));
    outcomes.flat_map(|(_, outcome)| outcome.curve(STATISTIC)).map(|point| point[1]).reduce(f64::max)
}
