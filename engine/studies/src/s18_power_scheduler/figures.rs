//! What the study shows.

use engine::figure::{Dash, Mark, Role, brief};

use super::fit::Valley;
use super::*;
use crate::names::LR;
use crate::plot::{Plot, axis, curves, log_axis};

/// The mean over the seeds that have it; `None` of none.
fn mean(results: &Results, of: impl Fn(u64) -> Option<f64>) -> Option<f64> {
    Some(results.by_seed(of).mean()).filter(|mean| mean.is_finite())
}

/// Strokes of the budgets, the shortest first.
const DASHES: [Dash; BUDGETS] = [Dash::Dotted, Dash::Dashed, Dash::Long, Dash::Solid];

/// `65k`
fn thousands(tokens: u64) -> String {
    format!("{:.0}k", tokens as f64 / 1000.0)
}

/// Lines over updates as lines over tokens.
fn over_tokens(marks: Vec<Mark>, batch: usize) -> Vec<Mark> {
    let each = (batch * CONTEXT) as f64;
    let moved = |mut mark: Mark| {
        if let Mark::Line { points, .. } = &mut mark {
            points.iter_mut().for_each(|point| point[0] *= each);
        }
        mark
    };
    marks.into_iter().map(moved).collect()
}

pub(super) fn figures(results: &Results) -> Vec<Plot> {
    let knobs = &results.knobs;
    let [small, large] = batches(knobs);
    vec![
        excesses(results),
        law(results),
        valleys(results, small),
        valleys(results, large),
        rates(results),
        anytime(results),
    ]
}

/// What each way loses against the oracle.
fn excesses(results: &Results) -> Plot {
    let knobs = &results.knobs;
    let cells = cells(knobs);
    let values = |way: Way| cells.iter().map(|&(batch, tokens)| excess(results, way, batch, tokens).mean()).collect();
    let mut axes = [axis("", ""), axis("above the oracle", "nats")];
    axes[0].categories = cells.iter().map(|(batch, tokens)| format!("{}, batch {batch}", thousands(*tokens))).collect();
    let series = [
        (POWERS[0].1, Role::Train, values(Way::Power)),
        (POWERS[1].1, Role::Lr, values(Way::Fitted)),
        ("carried rate", Role::Other, values(Way::Carried)),
    ];
    let [first, .., last] = budgets(knobs).map(thousands);
    let [power, carried] = [Way::Power, Way::Carried].map(|way| tested(results, way));
    let words = if power.is_empty() {
        String::new()
    } else {
        format!("power law {}, carried rate {} nats over the cells of the test", said(&power), said(&carried))
    };
    Plot::bars("excess", "The cost of a rate that was tuned elsewhere", axes, series)
        .meaning(format!(
            "Loss above that of a rate tuned for exactly this budget and batch. The carried rate was tuned at {first} and batch \
             {}; the law has not seen {last}.",
            knobs.get(&BATCH),
        ))
        .says(words)
        .empty("Bars appear when a seed has run.")
}

/// The best rates against tokens, and both laws through them.
fn law(results: &Results) -> Plot {
    let knobs = &results.knobs;
    let mut marks = Vec::new();
    for (batch, role) in batches(knobs).into_iter().zip([Role::Lr, Role::Batch]) {
        let over_budgets = |of: &dyn Fn(u64, u64) -> Option<f64>| -> Vec<[f64; 2]> {
            let at = |tokens: u64| {
                Some([tokens as f64, libm::exp(mean(results, |seed| Some(libm::log(of(seed, tokens)?)))?)])
            };
            budgets(knobs).into_iter().filter_map(at).collect()
        };
        let points = over_budgets(&|seed, tokens| Some(oracle(results, seed, batch, tokens)?.rate));
        let name = format!("best rate, batch {batch}");
        marks.extend((!points.is_empty()).then_some(Mark::Scatter { name, role, points, classes: vec![] }));
        for (place, (_, name)) in POWERS.into_iter().enumerate() {
            let line =
                over_budgets(&|seed, tokens| Some(laws(results, seed)?[place].rate(batch as f64, tokens as f64)));
            let dash = if place == 0 { Dash::Solid } else { Dash::Dashed };
            marks.extend((!line.is_empty()).then(|| Mark::line(format!("{name}, batch {batch}"), role, dash, line)));
        }
    }
    let of = |pick: fn([Law; 2]) -> f64| results.by_seed(|seed| Some(pick(laws(results, seed)?)));
    let [exponent, share] = [of(|[law, _]| law.exponent), of(|[_, free]| free.share)];
    let (words, meaning) = if share.is_empty() {
        (String::new(), "If the paper's law were exact, all best rates would lie on its lines.".to_owned())
    } else {
        let words = format!("the best rate goes with the power {exponent} of the tokens and {share} of the batch");
        let ratio = knobs.get(&RATIO);
        let times = libm::pow(ratio as f64, share.mean());
        let moves = if exponent.mean() < 0.0 { "fall" } else { "do not fall" };
        let meaning = format!(
            "Best rates {moves} with the tokens of a run. {ratio} times the batch wants {} times the rate; the paper's law says \
             {ratio} times. Fitted without the last budget.",
            brief(times),
        );
        (words, meaning)
    };
    Plot::of(
        "law",
        "The law of the best rate",
        [log_axis("tokens of the run", ""), log_axis("best peak rate", "")],
        marks,
    )
    .meaning(meaning)
    .says(words)
    .empty("Points appear when all rates have been tried.")
}

/// Losses over rates with a batch, a line for each budget, and the bottoms of their parabolas.
fn valleys(results: &Results, batch: usize) -> Plot {
    let mut marks = Vec::new();
    let mut bottoms = Vec::new();
    for (tokens, dash) in budgets(&results.knobs).into_iter().zip(DASHES) {
        let point = |place: usize| {
            let arms = [stable(batch, place), wsd(batch, place)];
            let at = |seed| ends(results, seed, &arms, updates(tokens, batch));
            Some([rate(place), mean(results, at)?])
        };
        let points: Vec<[f64; 2]> = (0..RATES).filter_map(point).collect();
        marks.extend(
            (!points.is_empty())
                .then(|| Mark::line(format!("{} tokens", thousands(tokens)), Role::Other, dash, points)),
        );
        let of = |pick: fn(Valley) -> f64| mean(results, |seed| oracle(results, seed, batch, tokens).map(pick));
        bottoms.extend(
            of(|valley| libm::log(valley.rate)).zip(of(|valley| valley.loss)).map(|(log, loss)| [libm::exp(log), loss]),
        );
    }
    let words: Vec<String> =
        bottoms.iter().map(|[rate, loss]| format!("{} at rate {}", brief(*loss), brief(*rate))).collect();
    let moves = match bottoms[..] {
        [[first, _], .., [last, _]] => format!(
            "From the shortest budget to the longest the best rate goes from {} to {}.",
            brief(first),
            brief(last)
        ),
        _ => "The longer the run, the lower the best rate should be.".to_owned(),
    };
    let dots = Mark::Scatter { name: "best".into(), role: Role::Lr, points: bottoms.clone(), classes: vec![] };
    Plot::of(
        format!("rates-{batch}"),
        format!("Loss by peak rate, batch {batch}"),
        [log_axis("peak rate", ""), axis("test loss", "nats/char")],
        marks,
    )
    .with((!bottoms.is_empty()).then_some(dots))
    .meaning(moves)
    .says(words.join(", "))
    .empty("Lines grow while the arms train.")
}

/// The rates of the power law and of the carried one.
fn rates(results: &Results) -> Plot {
    let lines = |batch: usize| {
        let [[main, decayed], [fitted, _]] = POWERS.map(|(way, _)| law_arms(way, batch));
        over_tokens(curves(results, &results.labels([main, decayed, fitted]), LR), batch)
    };
    let mut marks: Vec<Mark> = batches(&results.knobs).into_iter().flat_map(lines).collect();
    marks.extend(carried_lines(results));
    Plot::of("schedules", "Learning rate", [axis("tokens", ""), axis("learning rate", "")], marks)
        .meaning("The law's rate goes on as if the run never ended; for each budget a branch is decayed.")
        .empty("The schedules, as the arms run.")
}

/// The rates of the runs at the carried rate of the first seed, over tokens.
fn carried_lines(results: &Results) -> Vec<Mark> {
    let place = results.seeds.first().and_then(|&seed| carried(results, seed));
    let batch = results.knobs.get(&BATCH);
    let labels = place.map(|place| results.labels([stable(batch, place), wsd(batch, place)])).unwrap_or_default();
    over_tokens(curves(results, &labels, LR), batch)
}

/// Losses at all budgets.
fn anytime(results: &Results) -> Plot {
    let knobs = &results.knobs;
    let batch = knobs.get(&BATCH);
    let series = |name: &str, role: Role, dash: Dash, of: &dyn Fn(u64, u64) -> Option<f64>| {
        let at = |tokens: u64| Some([tokens as f64, mean(results, |seed| of(seed, tokens))?]);
        let points: Vec<[f64; 2]> = budgets(knobs).into_iter().filter_map(at).collect();
        (!points.is_empty()).then(|| Mark::line(name, role, dash, points))
    };
    let of_way = |(way, name): (Way, &str), role: Role| {
        series(name, role, Dash::Solid, &|seed, tokens| way_loss(results, way, seed, batch, tokens))
    };
    let marks = [
        of_way(POWERS[0], Role::Train),
        of_way(POWERS[1], Role::Lr),
        of_way((Way::Carried, "carried rate"), Role::Other),
        series("oracle", Role::Limit, Dash::Dashed, &|seed, tokens| Some(oracle(results, seed, batch, tokens)?.loss)),
    ];
    let marks = marks.into_iter().flatten().collect();
    Plot::of(
        "anytime",
        format!("Loss at every budget, batch {batch}"),
        [log_axis("tokens", ""), axis("test loss", "nats/char")],
        marks,
    )
    .meaning("A run of the power law, decayed at each budget, against a rate tuned for each budget alone.")
    .empty("Lines appear when the arms have trained.")
}
