//! The paper's wind tunnel: whether the best rate of a narrow network is the best of wider ones, with muP and without.

use super::{PART, PEAK, Part, spec};
use crate::names::TEST_LOSS;
use crate::plot::{axis, log_axis};
use crate::{Answer, Arm, Bound, Judged, Knobs, Label, Plot, Results, Sample};
use engine::figure::{Dash, Mark, Role, brief};
use engine::spec::{GptSpec, ModelSpec, RunSpec, ScheduleSpec, Shape};

/// Widths; the first is the base of muP.
const WIDTHS: [usize; 4] = [16, 32, 64, 128];
/// Learning rates tried: each is twice the one before, and the third is the knob's.
const RATES: u32 = 7;
/// Updates of a run, a tenth of them its decay.
const STEPS: u64 = 300;
/// Features of an attention head, at every width.
const HEAD: usize = 16;

/// With muP, and without.
const WAYS: [Way; 2] = [
    Way { id: "mup", name: "muP", base: WIDTHS[0], role: Role::Train },
    Way { id: "plain", name: "without muP", base: 0, role: Role::Other },
];

/// How starts and rates go with the width.
#[derive(Clone, Copy)]
struct Way {
    id: &'static str,
    name: &'static str,
    base: usize,
    role: Role,
}

impl Way {
    fn arm(self, width: usize, place: u32) -> String {
        format!("{}/{width}/{place}", self.id)
    }
}

/// Whether the knobs ask for this part of the study.
pub fn asked(knobs: &Knobs) -> bool {
    knobs.get(&PART) == Part::Widths
}

/// Rate number `place`.
fn rate(knobs: &Knobs, place: u32) -> f64 {
    knobs.get(&PEAK) * 0.25 * f64::from(1u32 << place)
}

/// A run for each way, width and rate, evaluated at its end.
pub fn arms(knobs: &Knobs) -> Vec<Arm> {
    let arm = |way: Way, width: usize, place: u32| {
        let plain = spec(knobs, Shape::Wsd, STEPS);
        let schedule = ScheduleSpec { peak: rate(knobs, place), decay: STEPS / 10, ..plain.schedule.clone() };
        let model = GptSpec { width, heads: width / HEAD, base: way.base, ..super::model(knobs) };
        let name = format!("{}, width {width}, rate {}", way.name, brief(schedule.peak));
        let label = Label { role: way.role, ..Label::new(&way.arm(width, place), name) };
        Arm { readings: 1, ..Arm::new(label, RunSpec { schedule, model: ModelSpec::Gpt(model), ..plain }) }
    };
    let places = |way: Way, width: usize| (0..RATES).map(move |place| (way, width, place));
    let all = WAYS.into_iter().flat_map(|way| WIDTHS.into_iter().flat_map(move |width| places(way, width)));
    all.map(|(way, width, place)| arm(way, width, place)).collect()
}

/// An arm's loss in the end, seed by seed; infinite where it diverged.
fn ends(results: &Results, arm: &str) -> Sample {
    results.sample_or(arm, TEST_LOSS, f64::INFINITY)
}

/// The place of the best rate at a width, seed by seed, over the seeds for which all rates have been tried. A run that was
/// lost is never the best.
fn best(results: &Results, way: Way, width: usize) -> Sample {
    let tried: Vec<Sample> = (0..RATES).map(|place| ends(results, &way.arm(width, place))).collect();
    results.by_seed(|seed| {
        let loss = |(place, sample): (u32, &Sample)| {
            sample.0.iter().find(|(known, _)| *known == seed).map(|&(_, loss)| (place, loss))
        };
        let losses: Option<Vec<(u32, f64)>> = (0..).zip(&tried).map(loss).collect();
        let finite = losses?.into_iter().filter(|(_, loss)| loss.is_finite());
        Some(f64::from(finite.min_by(|a, b| a.1.total_cmp(&b.1))?.0))
    })
}

/// Places by which the best rate moves over the widths, seed by seed.
fn moved(results: &Results, way: Way) -> Sample {
    let over = |pick: fn(f64, f64) -> f64| {
        let samples = WIDTHS.map(|width| best(results, way, width)).into_iter();
        samples.reduce(|a, b| a.with(&b, pick)).unwrap_or_default()
    };
    over(f64::max).minus(&over(f64::min))
}

pub fn figures(results: &Results) -> Vec<Plot> {
    let mut figures = vec![best_figure(results)];
    figures.extend(WAYS.map(|way| losses(results, way)));
    figures
}

/// The best rate against the width.
fn best_figure(results: &Results) -> Plot {
    let mut marks = Vec::new();
    let mut words = Vec::new();
    for way in WAYS {
        let octaves = WIDTHS.map(|width| (width as f64, best(results, way, width).mean()));
        let found = octaves.into_iter().filter(|(_, place)| place.is_finite());
        let points: Vec<[f64; 2]> =
            found.map(|(width, place)| [width, rate(&results.knobs, 0) * libm::exp2(place)]).collect();
        if let [first, .., last] = points[..] {
            words.push(format!("{} from {} to {}", way.name, brief(first[1]), brief(last[1])));
            marks.push(Mark::line(way.name, way.role, Dash::Solid, points));
        }
    }
    let axes = [log_axis("width", "features"), log_axis("best learning rate", "")];
    Plot::of("best", "Best learning rate", axes, marks)
        .meaning(
            "Where a line is level, the rate found at the first width serves them all. Geometric mean over the seeds.",
        )
        .says(words.join(", "))
        .empty("A point for each width whose rates have all been tried.")
}

/// Final losses of a way by width and rate, above the best of the width.
fn losses(results: &Results, way: Way) -> Plot {
    let loss = |width: usize, place: u32| ends(results, &way.arm(width, place)).mean();
    let excess = |row: usize, column: usize| {
        let least = (0..RATES).map(|place| loss(WIDTHS[row], place)).fold(f64::NAN, f64::min);
        Some(loss(WIDTHS[row], column as u32) - least).filter(|above| above.is_finite()).unwrap_or(f64::NAN)
    };
    let rows = WIDTHS.iter().map(|width| format!("width {width}")).collect();
    let columns = (0..RATES).map(|place| brief(rate(&results.knobs, place))).collect();
    let title = format!("Validation loss above the best of the width, {}", way.name);
    let axes = [axis("learning rate", ""), axis("", "")];
    let plot = Plot::heat(format!("losses-{}", way.id), title, axes, "losses", [rows, columns], excess);
    let places = WIDTHS.map(|width| best(results, way, width).mean());
    let known = places.iter().all(|place| place.is_finite());
    let places = places.map(|place| format!("{place:.1}")).join(", ");
    let words =
        if known { format!("places of the best rates, from the lowest, by width: {places}") } else { String::new() };
    plot.meaning(format!("nats/char after {STEPS} updates; a column of zeros is a rate that suits every width."))
        .says(words)
        .empty("A cell for each width and rate.")
}

pub fn answer(results: &Results) -> Answer {
    let [mup, plain] = WAYS.map(|way| moved(results, way));
    let [narrow, .., wide] = WIDTHS;
    let all = WAYS.into_iter().flat_map(|way| WIDTHS.map(|width| best(results, way, width)));
    let to_end =
        |sample: Sample| sample.values().map(|place| place.min(f64::from(RATES - 1) - place)).fold(f64::NAN, f64::min);
    let nearest = all.map(to_end).fold(f64::NAN, f64::min);
    let said = |sample: &Sample| if sample.is_empty() { "(not measured)".into() } else { sample.mean_in_words() };
    let words = format!(
        "From width {narrow} to {wide} the best of {RATES} rates moves by {} places with muP and by {} without.",
        said(&mup),
        said(&plain),
    );
    Answer::new(Judged::mean("places by which the best rate moves, with muP", &mup, Bound::AtMost(1.0), ""), words)
        .also([
            Judged::mean("places by which the best rate moves, without", &plain, Bound::AtLeast(2.0), ""),
            Judged::value("places from a best rate to the end of those tried, least", nearest, Bound::AtLeast(1.0), ""),
        ])
}

#[cfg(test)]
mod tests {
    use super::super::STUDY;
    use super::*;
    use crate::test_help::{close, failing, rates, turned};

    fn widths() -> Knobs {
        turned(&STUDY, &[("part", "widths")])
    }

    #[test]
    fn every_width_has_every_rate_and_heads_of_one_size() {
        let arms = arms(&widths());
        assert_eq!(arms.len(), 56);
        for arm in &arms {
            assert_eq!(arm.spec.validate(), [], "{}", arm.label.id);
            let ModelSpec::Gpt(model) = &arm.spec.model else { panic!("{}", arm.label.id) };
            assert_eq!(model.width, HEAD * model.heads);
            assert_eq!(arm.stops(), [STEPS]);
        }
        close(rates(&arms[6].spec)[100], 16.0 * 4e-3);
    }

    #[test]
    fn the_verdict_follows_the_best_rates() {
        let judged = |mup: [u32; 4], plain: [u32; 4]| {
            let mut results = Results::new(widths(), STUDY.arms(&widths()), vec![1, 2]);
            for (way, bests) in WAYS.into_iter().zip([mup, plain]) {
                for ((width, best), place) in
                    WIDTHS.into_iter().zip(bests).flat_map(|at| (0..RATES).map(move |place| (at, place)))
                {
                    let loss = if place == 6 { f64::NAN } else { 2.0 + f64::from(place.abs_diff(best)) };
                    for seed in [1, 2] {
                        results.record(&way.arm(width, place), seed).unwrap().number(TEST_LOSS.last(), loss);
                    }
                }
            }
            assert!(figures(&results).iter().all(|plot| !plot.marks().is_empty()));
            failing(&answer(&results).verdict(&STUDY))
        };
        assert_eq!(judged([2, 2, 1, 2], [3, 2, 2, 1]), [0; 0]);
        assert_eq!(judged([3, 2, 1, 1], [2, 2, 2, 1]), [0, 1]);
        assert_eq!(judged([2, 2, 1, 2], [3, 2, 2, 0]), [2], "the best may lie beyond");
    }
}
