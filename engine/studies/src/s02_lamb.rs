//! Large Batch Optimization for Deep Learning: Training BERT in 76 minutes (You et al. 2020).

mod figures;
mod run;
#[cfg(test)]
mod tests;

use engine::figure::brief;
use engine::spec::{
    BatchSpec, DataSet, DataSpec, MlpSpec, ModelSpec, OptimizerSpec, Rule, RunSpec, ScheduleSpec, Shape,
};

use super::{Answer, Bound, Curve, Judged, Knob, Knobs, Label, Outcome, Protocol, Results, Sample, Study, versus};

pub(super) const STUDY: Study = Study {
    id: 2,
    slug: "lamb",
    title: "One learning rate for every batch size",
    paper: "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes",
    authors: "You, Li, Reddi, Hseu, Kumar, Bhojanapalli, Song, Demmel, Keutzer, Hsieh",
    year: 2020,
    source: "https://arxiv.org/abs/1904.00962",
    themes: &["batch size", "optimizer"],
    claim: "If each layer's step is in proportion to the size of its weights, training stays stable with large batches: tune the \
            rate once with small batches, scale it by the square root of the batch, and quality holds. LAMB does so for Adam, \
            LARS for momentum.",
    why: "What a learning rate does to a layer depends on how large its step is relative to its weights. Where layers differ in \
          that, the highest rate that one of them tolerates is far too low for another, and few updates leave no time to make up \
          for it. Where each layer measures its step against its own weights, the relative step is the same in all layers. Here \
          the first and third layer are multiplied by a factor, the second and fourth divided by it: the network computes the \
          same, but the gradients of neighbouring layers differ by the factor's square, and their relative steps by more. \
          Limits: Nado et al. (2021) found that momentum and Adam with rates tuned at the large batch do as well, which the last \
          check tests.",
    differs: "2,000 MNIST images pooled to 14×14 and an MLP of six hidden layers of 64 units without norms, instead of BERT; \
              batches of 32, 250 and all 2,000 images, each for 12 epochs: 750, 96 and 12 updates. Whatever the rule, 12 updates \
              are too few to train well: what is tested is how well a rate that was tuned elsewhere carries over. LARS is that \
              of 2017 (You, Gitman, Ginsburg), with its trust coefficient folded into the rate. LAMB takes the norm of the \
              weights as it is unless “Largest norm” caps it. Each rule has a grid of seven rates, half a decade apart; the same \
              grid, scaled, is tried with all batches, so that the rate from small batches and the best one lie on one curve. \
              Rates are chosen by mean test accuracy over the seeds, in the same way for all rules.",
    seconds: 100.0,
    knobs: &[&SPREAD, &LARGE, &SCALING, &WARMUP, &LARGEST, &EPOCHS],
    also: &[["spread", "1"]],
    protocol: Protocol::Program { arms, run: |context| Box::pin(context.each_seed(run::run)), timed: false },
    figures: figures::figures,
    answer,
    ..Study::BASE
};

crate::options! {
    Scaling {
        None = "none", "as it is";
        Root = "sqrt", "times the root of the ratio";
        Linear = "linear", "times the ratio";
    }
}

const SPREAD: Knob<f64> = Knob::number(
    "spread",
    "Spread of layers",
    "multiplies the first and third layer, divides the second and fourth; 1 = as initialized",
    [1.0, 16.0],
    4.0,
);
const LARGE: Knob<usize> = Knob::integer("large", "Large batch", "of 2,000 images", [500, 2000], 2000);
const SCALING: Knob<Scaling> =
    Knob::choice("scaling", "Rate of larger batches", "relative to batches of 32", Scaling::Root);
const WARMUP: Knob<f64> = Knob::number(
    "warmup",
    "Warm-up",
    "share of the large batch's updates; smaller batches have a smaller share",
    [0.0, 0.9],
    0.25,
);
const LARGEST: Knob<f64> =
    Knob::number("largest", "Largest norm", "LAMB: cap on the norm of the weights; 0 = none", [0.0, 100.0], 0.0);
const EPOCHS: Knob<usize> = Knob::integer("epochs", "Epochs", "of every run", [2, 40], 12);

/// Training images.
const IMAGES: usize = 2000;
/// Hidden units, and layers of them.
const WIDTH: usize = 64;
const HIDDEN: usize = 6;
/// Layers with weights.
const LAYERS: usize = HIDDEN + 1;
/// The batch that rates are tuned with, and one on the way to the large one.
const SMALL: usize = 32;
const MIDDLE: usize = 250;
/// Shares of the warm-up with these batches and the large one, of the large one's.
const WARMS: [f64; 3] = [0.08, 0.4, 1.0];
/// Rates of a grid, half a decade apart.
const RATES: usize = 7;
/// A plateau is as wide as the rates that come within so many points of the best.
const PLATEAU: f64 = 3.0;
/// Batches by place: the one that rates are tuned with, the one between, the large one.
const PLACES: [usize; 3] = [0, 1, 2];

/// An update rule with the lowest rate of its grid.
struct Way {
    rule: Rule,
    name: &'static str,
    /// As a power of ten.
    lowest: f64,
    /// Whether it measures layers.
    layerwise: bool,
}

const WAYS: [Way; 4] = [
    Way { rule: Rule::Momentum, name: "momentum", lowest: -3.5, layerwise: false },
    Way { rule: Rule::AdamW, name: "AdamW", lowest: -4.5, layerwise: false },
    Way { rule: Rule::Lars, name: "LARS", lowest: -4.0, layerwise: true },
    Way { rule: Rule::Lamb, name: "LAMB", lowest: -4.0, layerwise: true },
];
const MOMENTUM: usize = 0;
const ADAM: usize = 1;
const LARS: usize = 2;
const LAMB: usize = 3;

/// Accuracy in the end by the rate's place in the grid.
const BY_RATE: Curve = Curve::new("by rate", "%");
/// Length of the first update over that of the weights, at rate 1, by layer; of the network as its layers are drawn.
const STEP: Curve = Curve::new("step", "");
const STEP_AS_DRAWN: Curve = Curve::new("step as drawn", "");

impl Way {
    /// An arm's id: the rule with one of the batches.
    fn arm(&self, place: usize) -> String {
        format!("{}/{}", self.rule.id(), ["small", "middle", "large"][place])
    }

    fn label(&self, place: usize, knobs: &Knobs) -> Label {
        let name = format!("{}, batch {}", self.name, batch(knobs, place));
        let label =
            if self.layerwise { Label::new(&self.arm(place), name) } else { Label::baseline(&self.arm(place), name) };
        // The siblings of momentum are dashed.
        if matches!(self.rule, Rule::Momentum | Rule::Lars) { label.dashed() } else { label }
    }

    /// A rate of the grid, for batches of 32.
    fn rate(&self, place: usize) -> f64 {
        libm::pow(10.0, self.lowest + 0.5 * place as f64)
    }

    fn optimizer(&self, knobs: &Knobs) -> OptimizerSpec {
        let largest_norm = knobs.get(&LARGEST);
        // The coefficient of LARS is in its rate.
        OptimizerSpec { clip: 0.0, trust: 1.0, largest_norm, ..OptimizerSpec::of(self.rule) }
    }
}

/// The arm whose layers are as they are drawn, tuned beside the others: momentum.
const AS_DRAWN: &str = "momentum/drawn";

fn batch(knobs: &Knobs, place: usize) -> usize {
    [SMALL, MIDDLE, knobs.get(&LARGE)][place]
}

/// What a rate of batches of 32 is multiplied by.
fn factor(knobs: &Knobs, place: usize) -> f64 {
    let ratio = batch(knobs, place) as f64 / SMALL as f64;
    match knobs.get(&SCALING) {
        Scaling::None => 1.0,
        Scaling::Root => libm::sqrt(ratio),
        Scaling::Linear => ratio,
    }
}

/// A run with a batch and a rate of the grid.
fn spec(knobs: &Knobs, way: &Way, place: usize, rate: usize) -> RunSpec {
    let size = batch(knobs, place);
    let steps = (knobs.get(&EPOCHS) * IMAGES / size) as u64;
    let warmup = (WARMS[place] * knobs.get(&WARMUP) * steps as f64).round() as u64;
    // Few updates leave one for the peak.
    let warmup = warmup.min(steps.saturating_sub(1));
    RunSpec {
        data: DataSpec { train: IMAGES, test: 1000, size: 14, ..DataSpec::of(DataSet::Mnist) },
        model: ModelSpec::Mlp(MlpSpec { hidden: vec![WIDTH; HIDDEN], ..MlpSpec::default() }),
        optimizer: way.optimizer(knobs),
        schedule: ScheduleSpec {
            kind: Shape::Linear,
            peak: way.rate(rate) * factor(knobs, place),
            floor: 0.0,
            warmup,
            ..ScheduleSpec::default()
        },
        batch: BatchSpec { size, ..BatchSpec::default() },
        steps,
        ..RunSpec::default()
    }
}

fn arms(knobs: &Knobs) -> Vec<Label> {
    let of_way = |way: &'static Way| PLACES.map(|place| way.label(place, knobs));
    let drawn = Label::baseline(AS_DRAWN, "momentum, layers as drawn").dotted();
    WAYS.iter().flat_map(of_way).chain([drawn]).collect()
}

/// Mean accuracy over the seeds by the rate's place; NaN where no seed has one.
fn by_rate(results: &Results, arm: &str) -> [f64; RATES] {
    std::array::from_fn(|rate| results.sample_at(arm, BY_RATE, rate as f64).mean())
}

/// The place of the rate with the best mean accuracy; `None` before there is one.
fn best(results: &Results, arm: &str) -> Option<usize> {
    let means = by_rate(results, arm).into_iter().enumerate().filter(|(_, mean)| !mean.is_nan());
    means.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(place, _)| place)
}

/// Whether an arm's best rate is the lowest or highest of its grid, so that a better one may lie beyond.
fn at_edge(results: &Results, arm: &str) -> bool {
    best(results, arm).is_some_and(|rate| rate == 0 || rate + 1 == RATES)
}

/// Accuracy with a batch at the rate that is best with batches of 32.
fn carried(results: &Results, way: &Way, place: usize) -> Sample {
    let rate = best(results, &way.arm(0));
    rate.map_or_else(Sample::default, |rate| results.sample_at(&way.arm(place), BY_RATE, rate as f64))
}

/// Accuracy with the large batch at its own best rate.
fn tuned(results: &Results, way: &Way) -> Sample {
    let arm = way.arm(2);
    best(results, &arm).map_or_else(Sample::default, |rate| results.sample_at(&arm, BY_RATE, rate as f64))
}

/// Decades from the lowest to the highest of the rates about the best that come close to it with the large batch.
fn plateau(results: &Results, way: &Way) -> f64 {
    let means = by_rate(results, &way.arm(2));
    let Some(best) = best(results, &way.arm(2)) else { return f64::NAN };
    let close = |mean: &&f64| **mean >= means[best] - PLATEAU;
    let below = means[..best].iter().rev().take_while(close).count();
    0.5 * (below + means[best + 1..].iter().take_while(close).count()) as f64
}

/// A plateau in words; it may be narrower than the grid tells.
fn decades(plateau: f64) -> String {
    match plateau {
        0.0 => "less than half a decade".to_owned(),
        1.0 => "1 decade".to_owned(),
        _ => format!("{} decades", brief(plateau)),
    }
}

/// Which arms' best rates, in words, lie at an edge of their grid.
fn edges_in_words(results: &Results) -> String {
    let found: Vec<String> =
        results.arms.iter().filter(|arm| at_edge(results, &arm.id)).map(|arm| arm.name.clone()).collect();
    if found.is_empty() {
        String::new()
    } else {
        format!(" Best at an edge of its grid of rates: {}.", found.join("; "))
    }
}

/// How wide the plateaus are, in words, of the rules that have one.
fn plateaus_in_words(results: &Results) -> String {
    let width = |way: &Way| Some((way.name, plateau(results, way))).filter(|(_, width)| !width.is_nan());
    let widths = WAYS.iter().filter_map(width).map(|(name, width)| format!("{} for {name}", decades(width)));
    match widths.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => none,
        widths => format!(" Rates within {} points of the best span {widths}.", brief(PLATEAU)),
    }
}

/// Largest relative change of a layer's relative first step by the spread.
fn moved_by_spread(results: &Results, way: &Way) -> Sample {
    let of = |outcome: &Outcome| {
        let pairs = outcome.curve(STEP).iter().zip(outcome.curve(STEP_AS_DRAWN));
        pairs.map(|(spread, drawn)| (spread[1] / drawn[1] - 1.0).abs()).reduce(f64::max)
    };
    Sample(results.outcomes(&way.arm(2)).filter_map(|(seed, outcome)| Some((seed, of(outcome)?))).collect())
}

fn answer(results: &Results) -> Answer {
    let knobs = &results.knobs;
    let large = knobs.get(&LARGE);
    let carried = |way: usize, place: usize| carried(results, &WAYS[way], place);
    let [momentum, adam, lars, lamb] = [MOMENTUM, ADAM, LARS, LAMB].map(|way| carried(way, 2));
    let gains = [lamb.minus(&adam), lars.minus(&momentum)];
    let [over_adam, over_momentum] = &gains;
    let lost = |way: usize| carried(way, 0).minus(&carried(way, 1));
    let tuned = |way: usize| tuned(results, &WAYS[way]);
    let better = |a: usize, b: usize| if tuned(a).mean() >= tuned(b).mean() { a } else { b };
    let [layerwise, plain] = [better(LARS, LAMB), better(MOMENTUM, ADAM)];
    let still = moved_by_spread(results, &WAYS[LARS]).with(&moved_by_spread(results, &WAYS[LAMB]), f64::max);
    let rates = [AS_DRAWN.to_owned(), WAYS[MOMENTUM].arm(0)].map(|arm| best(results, &arm));
    let shift = if let [Some(drawn), Some(spread)] = rates { spread.abs_diff(drawn) as f64 } else { f64::NAN };
    let [spread, unbounded] = [knobs.get(&SPREAD) > 1.0, knobs.get(&LARGEST) == 0.0];
    let words = format!(
        "{}. {}.",
        versus(["LAMB", "AdamW"], [&lamb, &adam], "%", true),
        versus(["LARS", "momentum"], [&lars, &momentum], "%", true)
    );
    let close = |way: usize| {
        Judged::mean(
            format!("{}: accuracy lost from batch {SMALL} to {MIDDLE}", WAYS[way].name),
            &lost(way),
            Bound::AtMost(2.5),
            "points",
        )
    };
    Answer::new(
        Judged::most_seeds(
            format!("batch {large}, rate from batch {SMALL}: the smaller of two gains, LAMB over AdamW and LARS over momentum"),
            &over_adam.with(over_momentum, f64::min),
            Bound::AtLeast(5.0),
            "points",
            [3, 4],
        ),
        format!("With batches of {large} at the rate that is best with {SMALL}: {words}"),
    )
    .also([
        close(LAMB),
        close(LARS),
        Judged::every_seed("LARS and LAMB: largest change of a layer's relative step by the spread", &still, Bound::AtMost(1e-3), "")
            .given(spread && unbounded, if spread { "norms of weights are bounded" } else { "layers are as they are drawn" }),
        Judged::value("momentum: half decades by which the spread moves the best rate", shift, Bound::AtLeast(1.0), "")
            .given(spread, "layers are as they are drawn"),
        Judged::mean(
            format!("batch {large}, rates tuned there: the better of LARS and LAMB above the better of momentum and AdamW"),
            &tuned(layerwise).minus(&tuned(plain)),
            Bound::AtMost(3.0),
            "points",
        ),
    ])
    .more(format!(
        "Tuned at batch {large}, {}.{}{}",
        versus([WAYS[layerwise].name, WAYS[plain].name], [&tuned(layerwise), &tuned(plain)], "%", true),
        plateaus_in_words(results),
        edges_in_words(results),
    ))
}
