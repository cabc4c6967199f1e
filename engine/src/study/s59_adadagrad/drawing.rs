//! What the study shows beside the clouds.

use super::{convex, id, judged, rules};
use crate::figure::{Axis, Dash, Direction, Figure, Mark, Role, Scale};
use crate::spec::Rule;
use crate::study::draw::{self, axis, curves, in_words, with_alt};
use crate::study::{Label, Results};

/// The judged arm of each rule, told apart by its stroke.
fn judged_arms(results: &Results) -> Vec<Label> {
    let of_rule = |((rule, _), dash): ((Rule, f64), Dash)| {
        let label = results.arms.iter().find(|label| label.id == id(rule, judged(&results.knobs)))?;
        Some(Label { role: Role::Batch, dash, ..label.clone() })
    };
    rules(&results.knobs).zip([Dash::Solid, Dash::Dashed, Dash::Dotted]).filter_map(of_rule).collect()
}

/// The batch size of the judged arms against samples.
pub fn batch_figure(results: &Results) -> Figure {
    let arms = judged_arms(results);
    let figure = Figure {
        id: "batch".into(),
        title: "Batch size".into(),
        meaning: "Early a few examples agree and are enough; the closer the optimum, the more are asked.".into(),
        x: axis("samples", ""),
        y: Axis { scale: Scale::Log, ..axis("batch size", "examples") },
        marks: curves(results, &arms, "batch"),
        ..Figure::default()
    };
    with_alt(figure, &in_words(results, &arms, "last batch", ""), "A line for each optimizer, rising as it trains.")
}

/// What the norm test compares with its threshold.
pub fn statistic_figure(results: &Results) -> Figure {
    let arms = judged_arms(results);
    let mut marks = curves(results, &arms, "statistic");
    if !marks.is_empty() {
        let (label, along) = ("threshold".into(), Direction::Horizontal);
        marks.push(Mark::Rule { label, role: Role::Limit, along, at: 1.0 });
    }
    let figure = Figure {
        id: "statistic".into(),
        title: "What the norm test sees: V / (b η²|g|²)".into(),
        meaning: "Above 1 the batch is too small for its noise, and grows at the next test.".into(),
        x: axis("samples", ""),
        y: Axis { scale: Scale::Log, ..axis("test statistic", "") },
        marks,
        ..Figure::default()
    };
    with_alt(figure, "", "A line for each optimizer about the threshold.")
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
    let y = Axis { scale: Scale::Log, ..axis(what, "nats") };
    let by_samples = Figure {
        id: format!("samples-{}", rule.id()),
        title: format!("{name}: {what} against samples"),
        meaning: "What each example was worth; fixed batches in grey.".into(),
        x: axis("samples", ""),
        y: y.clone(),
        marks: curves(results, &arms, "gap"),
        ..Figure::default()
    };
    let first = |label: &Label| {
        let points = results.outcomes(&label.id).next()?.1.curves.get("gap by update")?.clone();
        Some(Mark::line(&label.name, label.role, label.dash, points))
    };
    let by_updates = Figure {
        id: format!("updates-{}", rule.id()),
        title: format!("{name}: {what} against updates"),
        meaning: "Updates come one after the other, the examples of one side by side: this is what time costs.".into(),
        x: Axis { scale: Scale::Log, ..axis("updates", "") },
        y,
        marks: arms.iter().filter_map(first).collect(),
        ..Figure::default()
    };
    [by_samples, by_updates].map(|figure| with_alt(figure, &words, "A line for each batch size and test."))
}

/// Every arm's final numbers.
pub fn table(results: &Results) -> Figure {
    let row = |label: &Label| {
        let [updates, gap, accuracy, last] =
            ["updates", "gap", "accuracy", "last batch"].map(|number| results.sample(&label.id, number));
        (!gap.is_empty()).then(|| {
            vec![
                label.name.clone(),
                format!("{:.0}", updates.mean()),
                format!("{gap:.4}"),
                format!("{accuracy} %"),
                format!("{:.0}", last.mean()),
            ]
        })
    };
    let rows: Vec<Vec<String>> = results.arms.iter().filter_map(row).collect();
    let columns = ["arm", "updates", "gap", "test accuracy", "last batch"];
    let figure = Figure {
        id: "table".into(),
        title: "The arms in numbers".into(),
        meaning: "Mean and standard deviation over the seeds, after equal samples.".into(),
        marks: draw::table(&columns, rows),
        ..Figure::default()
    };
    with_alt(figure, &in_words(results, &results.arms, "gap", ""), "A row for each arm.")
}
