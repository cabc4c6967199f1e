//! A race: rules, or what else has no order, each at the best of the rates that all were given, judged at the end alone, as
//! in "Benchmarking Optimizers for Large Language Model Pretraining" (Semenov et al. 2025, arXiv 2509.01440) and
//! "Fantastic Pretraining Optimizers and Where to Find Them" (Wen et al. 2025, arXiv 2509.02046).

use super::{Axis, Outcome, RATE, Results, Sweep, Values};
use crate::figure::{Figure, Mark, brief};
use crate::numeric::{deviation, mean};
use crate::spec::{Kind, capital, preset};

/// Presets that races are about: id and length in updates, so that one takes minutes.
pub const RACES: [(&str, u64); 3] = [("mlp", 300), ("cct-mnist", 100), ("gpt", 60)];

impl Sweep {
    /// All update rules at thirteen rates from 1e-5 to 10, three seeds, equal updates, about a preset; the plain sweep where
    /// there is no such preset.
    #[must_use]
    pub fn race(id: &str, steps: u64) -> Self {
        let Some(preset) = preset(id) else { return Self::plain("", Default::default()) };
        let rules = Axis { path: "optimizer".into(), values: Values::List(Vec::new()) };
        let base = preset.spec();
        let y = rules.field(&base).map_or(rules, Axis::over);
        let x = Axis { path: RATE.into(), values: Values::Range { low: 1e-5, high: 10.0, count: 13, log: true } };
        let mut race = Self { x, y, seeds: 3, equal_examples: false, ..Self::plain(id, base) };
        let mut shorter = race.base.clone();
        if race.last(&mut shorter, steps).is_ok() {
            race.base = shorter;
        }
        race.mend(&mut Vec::new());
        race
    }
}

/// How a racer came in.
struct Racer {
    name: String,
    rate: String,
    /// Whether a rate beyond the range may be better.
    at_end: bool,
    /// By seed.
    outcomes: Vec<Outcome>,
}

/// The table of a race: who came in with which test loss, over the seeds that all have run. `None` unless one axis is the
/// learning rate and the other a choice.
#[must_use]
pub fn race_table(sweep: &Sweep, results: &Results) -> Option<Figure> {
    let rate_is_x = sweep.x.path == RATE;
    let (racers, rates) = if rate_is_x { (&sweep.y, &sweep.x) } else { (&sweep.x, &sweep.y) };
    let options = match racers.field(&sweep.base).map(|field| &field.kind) {
        Some(Kind::Choice { options }) if rates.path == RATE => options,
        _ => return None,
    };
    let (names, rates) = (racers.points(&sweep.base), rates.points(&sweep.base));
    let cell = |racer: usize, rate: usize| {
        if rate_is_x { racer * rates.len() + rate } else { rate * names.len() + racer }
    };
    // Seeds that some have not run yet would favour one or the other.
    let cells = results.cells(sweep);
    let complete = |seed: &usize| {
        (0..cells)
            .all(|at| results.outcomes.get(seed * cells + at).is_some_and(Option::is_some) || sweep.spec(at).is_err())
    };
    let seeds: Vec<usize> = (0..sweep.seeds as usize).filter(complete).collect();
    let of_cell = |at: usize| -> Vec<Outcome> {
        seeds.iter().filter_map(|seed| results.outcomes.get(seed * cells + at).copied().flatten()).collect()
    };
    let trained = |outcomes: &[Outcome]| {
        let losses: Vec<f64> = outcomes.iter().map(|outcome| outcome.loss).collect();
        let loss = mean(&losses);
        if loss.is_finite() { loss } else { f64::INFINITY }
    };
    let mut came_in: Vec<Racer> = Vec::new();
    for (racer, id) in names.iter().enumerate().filter(|_| !seeds.is_empty()) {
        let tried =
            (0..rates.len()).map(|rate| (rate, of_cell(cell(racer, rate)))).filter(|(_, runs)| !runs.is_empty());
        let Some((rate, outcomes)) = tried.min_by(|a, b| trained(&a.1).total_cmp(&trained(&b.1))) else { continue };
        let name = options.iter().find(|option| option.id == *id).map_or(id.as_str(), |option| &option.label);
        let at_end = rate == 0 || rate + 1 == rates.len();
        came_in.push(Racer { name: name.to_owned(), rate: rates[rate].clone(), at_end, outcomes });
    }
    let tested = |racer: &Racer| mean(&racer.outcomes.iter().map(|outcome| outcome.test_loss).collect::<Vec<_>>());
    crate::numeric::sort_by(&mut came_in, &|a, b| tested(a).total_cmp(&tested(b)));
    Some(table(sweep, racers, &came_in, [rates.len(), seeds.len()]))
}

fn table(sweep: &Sweep, racers: &Axis, came_in: &[Racer], [rates, seeds]: [usize; 2]) -> Figure {
    let what = sweep.label(racers);
    let spread = |values: Vec<f64>| match (mean(&values), deviation(&values)) {
        (mean, spread) if spread.is_finite() => format!("{} ± {}", brief(mean), brief(spread)),
        (mean, _) if mean.is_finite() => brief(mean),
        _ => "∞".to_owned(),
    };
    let classes = came_in.iter().flat_map(|racer| &racer.outcomes).any(|outcome| outcome.accuracy.is_some());
    let rows: Vec<Vec<String>> = came_in
        .iter()
        .map(|racer| {
            let of = |value: fn(&Outcome) -> f64| spread(racer.outcomes.iter().map(value).collect());
            let rate = format!("{}{}", racer.rate, if racer.at_end { " *" } else { "" });
            let mut row = vec![racer.name.clone(), of(|outcome| outcome.test_loss), of(|outcome| outcome.loss), rate];
            if classes {
                row.push(of(|outcome| outcome.accuracy.map_or(f64::NAN, |share| 100.0 * share)));
            }
            row
        })
        .collect();
    let mut columns = vec![what.to_owned(), "test loss".into(), "training loss".into(), "best rate".into()];
    if classes {
        columns.push("test accuracy, %".into());
    }
    let alt = match (came_in.first(), came_in.last()) {
        (Some(first), Some(last)) => {
            let [best, worst] = [first, last].map(|racer| spread(racer.outcomes.iter().map(|o| o.test_loss).collect()));
            format!("First: {} at {}, test loss {best}. Last: {}, {worst}.", first.name, first.rate, last.name)
        }
        _ => "No seed has run in all cells yet.".into(),
    };
    let s = if seeds == 1 { "" } else { "s" };
    Figure {
        id: "race".into(),
        title: format!("{} at the best of {rates} rates", capital(what)),
        meaning: "judged at the end of equal budgets, over the seeds that all have run (mean ± deviation). Each one's rate is \
                  that of the lowest training loss; * = at the end of the range, beyond which a better one may lie"
            .into(),
        value: if seeds == 0 { String::new() } else { format!("{seeds} seed{s}") },
        marks: if rows.is_empty() { Vec::new() } else { vec![Mark::Table { columns, rows }] },
        alt,
        empty: "Appears when every cell has run with one seed.".into(),
        ..Figure::default()
    }
}
