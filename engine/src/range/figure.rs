//! Draws a range test: loss over learning rate, and where the rates that matter lie.

use super::limit::{Limit, StableRate};
use super::{Point, RangeTest, Suggestion, outline};
use crate::figure::brief;
use crate::figure::{Axis, Dash, Direction, Figure, Mark, Role, Scale};
use crate::spec::three_digits;

/// The figure as far as the test has come.
pub fn figure(test: &RangeTest) -> Figure {
    let (range, record) = (test.range(), test.record());
    let line = |name: &str, role, of: fn(&Point) -> f64| {
        let points = record.points().iter().map(|point| [point.rate, of(point)]).collect();
        Mark::line(name, role, Dash::Solid, points)
    };
    let mut marks =
        vec![line("loss", Role::Other, |point| point.loss), line("smoothed", Role::Train, |point| point.smoothed)];
    let mut rule = |label: String, role: Role, at: f64| {
        if (range.low..=range.high).contains(&at) {
            marks.push(Mark::Rule { label, role, along: Direction::Vertical, at });
        }
    };
    for suggestion in test.suggestions() {
        rule(format!("{} {}", suggestion.rule, three_digits(suggestion.rate)), Role::Lr, suggestion.rate);
    }
    rule(format!("schedule now {}", three_digits(test.present())), Role::Train, test.present());
    if let Some(Limit::Stable(stable)) = test.limit() {
        rule(format!("{} {}", over_lambda(stable), three_digits(stable.rate)), Role::Limit, stable.rate);
    }
    if let Some(rate) = record.diverged() {
        rule(format!("diverged {}", three_digits(rate)), Role::Other, rate);
    }
    let value = match record.diverged() {
        Some(rate) => format!("diverged at {}", three_digits(rate)),
        None if test.complete() => format!("no divergence up to {}", three_digits(range.high)),
        None => format!("{} of {} updates", record.points().len(), range.updates),
    };
    let suggested: Vec<String> = test
        .suggestions()
        .iter()
        .map(|found| format!("{}: {}{}", found.rule, three_digits(found.rate), doubt(found)))
        .collect();
    let suggested = if suggested.is_empty() { "none".to_owned() } else { suggested.join(", ") };
    let meaning = limit_in_words(test);
    Figure {
        alt: format!(
            "Loss of a copy of the run from step {} on, over a learning rate that grows from {} to {}: {value}. Suggested \
             rates: {suggested}; {meaning}.",
            test.step(),
            three_digits(range.low),
            three_digits(range.high)
        ),
        meaning,
        value,
        x: Axis {
            label: "learning rate".into(),
            scale: Scale::Log,
            range: Some([range.low, range.high]),
            ..Axis::default()
        },
        y: Axis { label: "loss".into(), scale: Scale::Log, ..Axis::default() },
        marks,
        ..outline()
    }
}

/// How far apart restarts put a rate, where it matters.
fn doubt(found: &Suggestion) -> String {
    if !found.noisy() {
        return String::new();
    }
    let [low, high] = found.band.map(three_digits);
    format!(" (noise decides: restarts on other batches say {low} to {high})")
}

fn over_lambda(stable: &StableRate) -> String {
    format!("{}/λ1", brief(stable.multiple))
}

/// Where the curvature ends stability, or why the figure does not say.
fn limit_in_words(test: &RangeTest) -> String {
    let stable = match test.limit() {
        None => return "the curvature's limit is not known yet".to_owned(),
        Some(Limit::Unknown(why)) => return format!("no limit from the curvature: {why}"),
        Some(Limit::Stable(stable)) => stable,
    };
    let seen = if stable.preconditioned {
        format!("of the {} as {} scales it", stable.operator.label(), test.optimizer().kind.label())
    } else {
        format!("of the {}", stable.operator.label())
    };
    let clipped = if test.optimizer().clip > 0.0 { "; clipping bounds what lies beyond" } else { "" };
    let (over, rate, lambda) = (over_lambda(stable), three_digits(stable.rate), brief(stable.lambda));
    if stable.samples >= stable.all {
        return format!("full-batch steps are stable up to {over} = {rate}, λ1 = {lambda} {seen}{clipped}");
    }
    format!(
        "steps on the {} of {} examples on which λ1 = {lambda} {seen} was measured are stable up to {over} = {rate}; on all, \
         λ1 is smaller as a rule, the more so the longer the run has trained{clipped}",
        stable.samples, stable.all
    )
}
