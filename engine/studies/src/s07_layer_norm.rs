//! Layer Normalization (Ba, Kiros, Hinton 2016).

mod net;
mod run;
#[cfg(test)]
mod tests;

use engine::figure::{Mark, Role, brief};
use engine::spec::{DataSet, DataSpec};

use super::images::Images;
use super::plot::{axis, in_words};
use super::{
    Answer, Bound, Context, Curve, Judged, Knob, Knobs, Label, Number, Outcome, Plot, Protocol, Results, Sample, Share,
    Study, StudyError, Task,
};
use net::{Form, Norms, SIDE};
use run::{Way, learn};

pub(super) const STUDY: Study = Study {
    id: 7,
    slug: "layer-norm",
    title: "A norm that looks at one example alone",
    paper: "Layer Normalization",
    authors: "Ba, Kiros, Hinton",
    year: 2016,
    source: "https://arxiv.org/abs/1607.06450",
    themes: &["normalization", "batch size", "recurrent networks"],
    claim: "Normalizing the inputs of a layer's units over those units, for each example by itself, makes recurrent networks \
            learn faster and tolerate higher learning rates. It needs no batch and works the same in training and at test time, \
            so small batches do not hurt it as they hurt batch norm.",
    why: "At every step of a recurrent network the sums that enter it can grow or shrink, and with them the gradient that flows \
          back. Layer norm gives them one scale at each step, whatever the length of the sequence. Batch norm would need \
          statistics for every step; with few examples per batch it also normalizes by noisy statistics in training and by \
          running averages at test time.",
    differs: "4,000 MNIST images pooled to 14×14, 1,000 others for tests, instead of questions, texts and handwriting. The LSTM \
              has 48 cells and reads an image row by row, 14 steps; the paper's sequences are longer. Its forget gates start \
              open (bias + 1) in both arms. It makes 600 updates, 300 at the high rate, on 32 images each. The plain network has \
              two hidden layers of 128 and sees 16,000 images. Adam without a schedule throughout.",
    seeds: 5,
    seconds: 100.0,
    knobs: &[&RATE, &HIGH, &CELLS, &SMALL],
    protocol: Protocol::Program { arms, run, timed: false },
    figures,
    answer,
    ..Study::BASE
};

const RATE: Knob<f64> = Knob::number("rate", "Learning rate", "of the LSTMs", [1e-4, 0.1], 3e-3);
const HIGH: Knob<f64> = Knob::number("high", "High rate", "of the LSTMs that are pushed", [1e-4, 0.3], 1e-2);
const CELLS: Knob<usize> = Knob::integer("cells", "Cells", "of the LSTMs", [4, 128], 48);
const SMALL: Knob<usize> =
    Knob::integer("small", "Small batch", "of the plain networks; the large one has 128", [2, 64], 4);

/// Accuracy on test images, in use.
const ACCURACY: Curve = Curve::new("accuracy", "%");
/// Training loss, mean since the reading before.
const LOSS: Curve = Curve::new("training loss", "nats");
/// The same accuracy with the statistics of test batches.
const BATCH_STATISTICS: Number = Number::new("by batch statistics", "%");
/// Parameters.
const COUNT: Number = Number::new("parameters", "");

/// Images of an LSTM's update.
const BATCH: usize = 32;
/// Updates of LSTMs at the usual rate, and at the high one.
const UPDATES: [usize; 2] = [600, 300];
/// Updates between two tests of an LSTM.
const EACH: usize = 25;
/// Accuracy that counts as having learned, in percent.
const LEARNED: f64 = 90.0;
/// The large batch, and images that every plain network sees.
const LARGE: usize = 128;
const SEEN: usize = 16_000;
/// Rate of the plain networks.
const PLAIN_RATE: f64 = 1e-3;
/// Tests of a plain network.
const TESTS: usize = 8;

/// Arms of the LSTMs: usual rate without and with norms, high rate likewise.
const RECURRENT: [(&str, &str, usize, bool); 4] = [
    ("lstm", "LSTM", 0, false),
    ("ln", "LSTM, layer norm", 0, true),
    ("lstm-high", "LSTM, high rate", 1, false),
    ("ln-high", "LSTM, layer norm, high rate", 1, true),
];

/// Arms of the plain networks: norm, and whether the batch is large.
const PLAIN: [(&str, &str, Norms, bool); 6] = [
    ("none-large", "no norm, large batch", Norms::None, true),
    ("batch-large", "batch norm, large batch", Norms::Batch, true),
    ("layer-large", "layer norm, large batch", Norms::Layer, true),
    ("none-small", "no norm, small batch", Norms::None, false),
    ("batch-small", "batch norm, small batch", Norms::Batch, false),
    ("layer-small", "layer norm, small batch", Norms::Layer, false),
];

fn arms(_: &Knobs) -> Vec<Label> {
    let recurrent = RECURRENT.map(|(id, name, high, normalized)| {
        let label = if normalized { Label::new(id, name) } else { Label::baseline(id, name) };
        if high == 1 { label.dashed() } else { label }
    });
    let plain = PLAIN.map(|(id, name, norms, _)| match norms {
        Norms::None => Label::baseline(id, name).dashed(),
        Norms::Batch => Label::baseline(id, name).dotted(),
        Norms::Layer => Label::new(id, name),
    });
    recurrent.into_iter().chain(plain).collect()
}

fn ways(knobs: &Knobs) -> Vec<(&'static str, &'static str, Way)> {
    let recurrent = RECURRENT.map(|(id, name, high, normalized)| {
        let rate = [knobs.get(&RATE), knobs.get(&HIGH)][high];
        let form = Form::Recurrent { cells: knobs.get(&CELLS), normalized };
        (id, name, Way { form, batch: BATCH, rate, updates: UPDATES[high], each: EACH })
    });
    let plain = PLAIN.map(|(id, name, norms, large)| {
        let batch = if large { LARGE } else { knobs.get(&SMALL) };
        let updates = SEEN / batch;
        let way = Way { form: Form::Plain(norms), batch, rate: PLAIN_RATE, updates, each: (updates / TESTS).max(1) };
        (id, name, way)
    });
    recurrent.into_iter().chain(plain).collect()
}

fn run<'a>(context: &'a mut Context) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        let ways = ways(&context.results.knobs);
        let spec = DataSpec { train: 4000, test: 1000, size: SIDE, ..DataSpec::of(DataSet::Mnist) };
        let images = Images::of("images", &*context.data(&spec).await?)?;
        for (seed, share) in context.seeds(Share::ALL) {
            for (place, (id, name, way)) in ways.iter().enumerate() {
                context.progress(share.part(place, ways.len()).at(0.0), name);
                let play = context.play(seed).await?;
                learn(play, &images, way, seed, context.results.record(id, seed)?).await?;
            }
        }
        Ok(())
    })
}

/// Updates until an arm has learned, linear between tests; all of its updates where it never has.
fn learned(results: &Results, arm: &str, high: usize) -> Sample {
    let updates = |curve: &[[f64; 2]]| {
        let found = curve.windows(2).find_map(|pair| {
            let [[x0, y0], [x1, y1]] = [pair[0], pair[1]];
            // The first test may already be good enough.
            let share = if y0 < LEARNED { (LEARNED - y0) / (y1 - y0) } else { 0.0 };
            (y0.max(y1) >= LEARNED).then_some(x0 + (x1 - x0) * share)
        });
        found.unwrap_or(UPDATES[high] as f64)
    };
    let done = results.outcomes(arm).filter(|(_, outcome)| outcome.done);
    Sample(done.map(|(seed, outcome)| (seed, updates(outcome.curve(ACCURACY)))).collect())
}

/// With how many seeds an arm has not learned by its end, so that it would need more updates than are counted.
fn unlearned(results: &Results, arm: &str) -> usize {
    let late = |outcome: &Outcome| outcome.done && outcome.reached(ACCURACY, LEARNED).is_none();
    results.outcomes(arm).filter(|(_, outcome)| late(outcome)).count()
}

/// Updates to [`LEARNED`] in words: `294`, or `more than 598` where not all runs get there.
fn updates_in_words(results: &Results, arm: &str) -> String {
    let more = if unlearned(results, arm) > 0 { "more than " } else { "" };
    format!("{more}{}", learned(results, arm, 0).mean_in_words())
}

/// Mean training loss over a run, infinite where it diverged.
fn area(results: &Results, arm: &str) -> Sample {
    let mean = |curve: &[[f64; 2]]| curve.iter().map(|[_, y]| y).sum::<f64>() / curve.len() as f64;
    let done = results.outcomes(arm).filter(|(_, outcome)| outcome.done);
    let finite = |loss: f64| if loss.is_finite() { loss } else { f64::INFINITY };
    Sample(done.map(|(seed, outcome)| (seed, finite(mean(outcome.curve(LOSS))))).collect())
}

fn figures(results: &Results) -> Vec<Plot> {
    let usual = results.labels(["lstm", "ln"]);
    let high = results.labels(["lstm-high", "ln-high"]);
    let line = |id: &str, title: &str, arms: &[Label], curve: Curve, y: [&str; 2]| {
        Plot::curves(results, id, title, [axis("update", ""), axis(y[0], y[1])], arms, curve)
            .empty("Lines grow while the LSTMs learn.")
    };
    let ratio = learned(results, "ln", 0).over(&learned(results, "lstm", 0));
    let mean = |arm: &str, number: Number| results.sample(arm, number).mean();
    let sizes =
        |norm: &str, number: Number| ["large", "small"].map(|size| mean(&format!("{norm}-{size}"), number)).to_vec();
    let small = results.knobs.get(&SMALL);
    let mut x = axis("", "");
    x.categories = vec![format!("batches of {LARGE}"), format!("batches of {small}")];
    let bars = Plot::bars(
        "batches",
        "Accuracy with large and with small batches",
        [x, axis("test accuracy", "%")],
        [
            ("no norm", Role::Other, sizes("none", ACCURACY.last())),
            ("batch norm, running averages", Role::Limit, sizes("batch", ACCURACY.last())),
            ("batch norm, the test batch's statistics", Role::Lr, sizes("batch", BATCH_STATISTICS)),
            ("layer norm", Role::Train, sizes("layer", ACCURACY.last())),
        ],
    );
    let plain = |size: &str| results.labels(["none", "batch", "layer"].map(|norm| format!("{norm}-{size}")));
    let late = ["ln", "lstm"].map(|arm| unlearned(results, arm) > 0);
    let learned_words = match ratio.mean() {
        _ if late == [true, true] => {
            format!("Not all runs reach {LEARNED}%, the dashed line, with layer norm or without.")
        }
        ratio if ratio.is_finite() => format!(
            "With layer norm {LEARNED}% is reached after {} times the updates that the plain LSTM takes{}.",
            brief(ratio),
            match late {
                [false, true] => ", at most: not all of its runs get there",
                [true, _] => ", at least: not all of the runs with layer norm get there",
                _ => "",
            }
        ),
        _ => "The dashed line is what counts as learned.".to_owned(),
    };
    let goal = Mark::Rule {
        label: "learned".into(),
        role: Role::Limit,
        along: engine::figure::Direction::Horizontal,
        at: LEARNED,
    };
    vec![
        line("accuracy", "An LSTM reads digits row by row", &usual, ACCURACY, ["test accuracy", "%"])
            .with([goal])
            .meaning(learned_words),
        line("high", "At the high rate", &high, LOSS, ["training loss", "nats"])
            .meaning("The lower a line lies throughout, the better the network tolerates the rate."),
        bars.meaning(
            "At test time batch norm uses running averages, which small batches can make poor; layer norm has none.",
        )
        .says(in_words(results, &results.labels(PLAIN.map(|(id, ..)| id)), ACCURACY.last()))
        .empty("Bars appear when the plain networks have learned."),
        line("loss", "Training loss of the LSTMs", &usual, LOSS, ["training loss", "nats"])
            .meaning("Mean over 25 updates, at the usual rate."),
        Plot::curves(
            results,
            "small",
            format!("Plain networks, batches of {small}"),
            [axis("update", ""), axis("test accuracy", "%")],
            &plain("small"),
            ACCURACY,
        )
        .meaning("All see the same images.")
        .empty("Lines grow while the plain networks learn."),
        Plot::table(
            results,
            "All numbers",
            &[("test accuracy", ACCURACY.last()), ("training loss", LOSS.last()), ("parameters", COUNT)],
        )
        .meaning("At the end of each run."),
    ]
}

fn answer(results: &Results) -> Answer {
    let [plain, normed] = [learned(results, "lstm", 0), learned(results, "ln", 0)];
    let ratio = normed.over(&plain);
    let end = |arm: &str| results.sample(arm, ACCURACY);
    let words = match ratio.mean() {
        ratio if ratio <= 0.8 => "With layer norm the LSTM learns in fewer updates",
        ratio if ratio < 1.0 => "The gain is small at this length of the sequence",
        ratio if ratio >= 1.0 => "Layer norm saves no updates here",
        _ => "Not both arms were measured",
    };
    let neither = ["lstm", "ln"].iter().all(|arm| unlearned(results, arm) == results.seeds.len());
    let words = if neither {
        format!("No LSTM reaches {LEARNED}% accuracy")
    } else if ratio.is_empty() {
        words.to_owned()
    } else {
        let [plain, normed] = ["lstm", "ln"].map(|arm| updates_in_words(results, arm));
        format!("{words}: {normed} updates to {LEARNED}% accuracy against {plain} without")
    };
    let small = end("layer-small").minus(&end("batch-small"));
    let large = end("layer-large").with(&end("batch-large"), |layer, batch| (layer - batch).abs());
    let high = area(results, "lstm-high").minus(&area(results, "ln-high"));
    Answer::new(
        Judged::most_seeds(
            format!("updates to {LEARNED}% accuracy, with layer norm relative to without"),
            &ratio,
            Bound::AtMost(0.8),
            "×",
            [4, 5],
        )
        .given(!neither, "no run gets there"),
        format!("{words}."),
    )
    .more(results.diverged_in_words("guessing, with an infinite loss"))
    .also([
        Judged::every_seed(
            "mean training loss at the high rate: without layer norm above with",
            &high,
            Bound::Above(0.0),
            "nats",
        )
        .given(!high.values().any(f64::is_nan), "both diverge"),
        Judged::most_seeds(
            "small batches: layer norm above batch norm, at test time",
            &small,
            Bound::AtLeast(1.0),
            "points",
            [2, 3],
        ),
        Judged::most_seeds(
            "large batches: distance of layer norm from batch norm",
            &large,
            Bound::AtMost(1.0),
            "points",
            [2, 3],
        ),
    ])
}
