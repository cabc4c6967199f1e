//! What the study shows beside the clouds.

use super::{convex, id, rules};
use crate::draw::{arm_table, axis, chart, curves, in_words, log_axis, with_alt};
use crate::{Label, Results};
use engine::figure::{Dash, Direction, Figure, Mark, Role};
use engine::spec::Rule;

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
pub fn batch_figure(results: &Results) -> Figure {
    let arms = adaptive_arms(results);
    let figure = chart(
        "batch",
        "Batch size",
        "Early a few examples agree and are enough; the closer the optimum, the more the norm test asks. The inner-product \
         test is content with the first.",
        [axis("samples", ""), log_axis("batch size", "examples")],
        curves(results, &arms, "batch"),
    );
    with_alt(figure, &in_words(results, &arms, "last batch", ""), "A line for each optimizer and test, as it trains.")
}

/// What the tests compare with their threshold.
pub fn statistic_figure(results: &Results) -> Figure {
    let arms = adaptive_arms(results);
    let mut marks = curves(results, &arms, "statistic");
    if !marks.is_empty() {
        let (label, along) = ("threshold".into(), Direction::Horizontal);
        marks.push(Mark::Rule { label, role: Role::Limit, along, at: 1.0 });
    }
    let figure = chart(
        "statistic",
        "What the tests see: examples asked for, of the batch",
        "Above 1 the batch is too small for its noise, and grows at the next test. The norm test sees V / (b η²|g|²), the \
         inner-product test the larger of Var⟨gᵢ,g⟩ / (b θ²|g|⁴) and V across g / (b ν²|g|²).",
        [axis("samples", ""), log_axis("test statistic", "")],
        marks,
    );
    with_alt(
        figure,
        &in_words(results, &arms, "statistic", ""),
        "Lines about the threshold, for each optimizer and test.",
    )
}

/// The gap of all arms of a rule, against what each costs: samples, and updates.
pub fn gap_figures(results: &Results, rule: Rule) -> [Figure; 2] {
    let name = rule.label();
    let what = if convex(&results.knobs) { "gap to the optimum" } else { "training loss" };
    let prefix = id(rule, "");
    let of_rule = results.arms.iter().filter(|label| label.id.starts_with(&prefix));
    let short =
        |label: &Label| label.name.split_once(", ").map_or_else(|| label.name.clone(), |(_, name)| name.to_owned());
    let arms: Vec<Label> = of_rule.map(|label| Label { name: short(label), ..label.clone() }).collect();
    let words = in_words(results, &arms, "gap", "");
    let y = log_axis(what, "nats");
    let by_samples = chart(
        &format!("samples-{}", rule.id()),
        format!("{name}: {what} against samples"),
        "What each example was worth; fixed batches in grey.",
        [axis("samples", ""), y.clone()],
        curves(results, &arms, "gap"),
    );
    let first = |label: &Label| {
        let points = results.outcomes(&label.id).next()?.1.curves.get("gap by update")?.clone();
        Some(Mark::line(&label.name, label.role, label.dash, points))
    };
    let by_updates = chart(
        &format!("updates-{}", rule.id()),
        format!("{name}: {what} against updates"),
        "Updates come one after the other, the examples of one side by side: this is what time costs. First seed.",
        [log_axis("updates", ""), y],
        arms.iter().filter_map(first).collect(),
    );
    [by_samples, by_updates].map(|figure| with_alt(figure, &words, "A line for each batch size and test."))
}

/// Every arm's final numbers.
pub fn table(results: &Results) -> Figure {
    let columns = [
        ("gap, nats", "gap", 4, ""),
        ("updates", "updates", 0, ""),
        ("test accuracy", "accuracy", 1, " %"),
        ("last batch", "last batch", 0, ""),
    ];
    arm_table(
        results,
        "The arms in numbers",
        "Mean and standard deviation over the seeds, after equal samples.",
        &columns,
    )
}
