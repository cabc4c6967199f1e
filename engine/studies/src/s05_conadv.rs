//! Concurrent Adversarial Learning for Large-Batch Training (Liu, Chen, Cheng, Hsieh, You 2022).

mod run;
#[cfg(test)]
mod tests;

use engine::figure::{Role, brief};
use engine::spec::{DataSet, DataSpec};

use super::images::Images;
use super::plot::axis;
use super::{
    Answer, Bound, Context, Curve, Judged, Knob, Knobs, Label, Number, Plot, Protocol, Results, Sample, Share, Study,
    StudyError, Task, versus,
};
use run::{Beside, EACH, SIDE, Way, learn};

pub(super) const STUDY: Study = Study {
    id: 5,
    slug: "conadv",
    title: "Attack yourself with yesterday's weights",
    paper: "Concurrent Adversarial Learning for Large-Batch Training",
    authors: "Liu, Chen, Cheng, Hsieh, You",
    year: 2022,
    source: "https://arxiv.org/abs/2106.00221",
    themes: &["batch size", "adversarial examples", "parallel training"],
    claim: "Large batches generalize better when every update also learns from attacked images. The attacks may be made with the \
            parameters from one update earlier: they help as much, and no gradient has to wait for another.",
    why: "An attack shifts every pixel a little in the direction that raises the loss: by the sign of its gradient. One update \
          changes the parameters little, and those signs even less, so an attack on the network of one update ago is nearly an \
          attack on the present one. It needs nothing from the update under way, so another worker can prepare it in the \
          meantime.",
    differs: "500 MNIST images pooled to 14×14 as one batch and a dense network 196-64-64-10, instead of ImageNet in batches of \
              96,000: here it is the images that are scarce. 300 updates, chosen on other seeds: after 120 the attacks do not \
              pay off yet. Momentum instead of LARS. Attacks lead away from an image's class, as in the paper's formula; its \
              code leads to another class, at random, as “Attacks lead” can. Each update learns half from the images, half from \
              the attacked ones; the paper's code adds augmented images. Times of two workers are counted in floating-point \
              operations, not measured: on a single device the attack still costs time.",
    seeds: 5,
    seconds: 70.0,
    knobs: &[&REACH, &AGE, &TARGETED, &STREAMS, &UPDATES, &RATE],
    protocol: Protocol::Program { arms, run, timed: false },
    figures,
    answer,
    ..Study::BASE
};

crate::options! {
    Streams {
        None = "none", "no batch norm";
        Shared = "shared", "one for all images";
        Apart = "apart", "one for images, one for attacks";
    }
}

crate::options! {
    Targeted {
        No = "no", "away from its own class";
        Yes = "yes", "to another class, at random";
    }
}

const REACH: Knob<f64> = Knob::number("reach", "Reach", "largest change of a pixel, whose range is 1", [0.0, 0.3], 0.1);
const AGE: Knob<usize> = Knob::integer("age", "Old", "age in updates of the oldest attacks", [2, 60], 8);
const TARGETED: Knob<Targeted> = Knob::choice("targeted", "Attacks lead", "what the attack aims at", Targeted::No);
const STREAMS: Knob<Streams> = Knob::choice("norms", "Batch norm", "after each hidden layer", Streams::None);
const UPDATES: Knob<usize> = Knob::integer("updates", "Updates", "each on all 500 images", [20, 1000], 300);
const RATE: Knob<f64> = Knob::number(
    "rate",
    "Learning rate",
    "the highest; it rises over a tenth of the run, then falls",
    [1e-3, 1.0],
    0.1,
);

/// Accuracy on test images.
const ACCURACY: Curve = Curve::new("accuracy", "%");
/// Training loss, attacks included.
const LOSS: Curve = Curve::new("training loss", "nats");
/// Share of the pixels that old and fresh attacks move alike.
const AGREEMENT: Curve = Curve::new("agreement", "%");
/// Largest eigenvalue of the Hessian at the end, on images as they are.
const SHARPNESS: Number = Number::new("λ1", "");
/// Floating-point operations of an update, and of an attack, in millions.
const WORK: Number = Number::new("MFLOP of an update", "");
const WORK_OF_ATTACK: Number = Number::new("MFLOP of an attack", "");

/// Training and test images.
const IMAGES: [usize; 2] = [500, 1000];
/// What attacks are to gain, and how close those that are an update old are to come to fresh ones, in points.
const GAIN: f64 = 2.0;
const CLOSE: f64 = 0.7;

/// Why what is lost twice is not compared.
const LOST: &str = "both diverge";

const WAYS: [(&str, &str); 5] = [
    ("plain", "images alone"),
    ("noise", "with noise"),
    ("fresh", "fresh attacks"),
    ("stale", "attacks 1 update old"),
    ("old", "older attacks"),
];

fn beside(arm: &str, knobs: &Knobs) -> Beside {
    match arm {
        "noise" => Beside::Noise,
        "fresh" => Beside::Attack(0),
        "stale" => Beside::Attack(1),
        "old" => Beside::Attack(knobs.get(&AGE)),
        _ => Beside::Nothing,
    }
}

fn arms(knobs: &Knobs) -> Vec<Label> {
    let label = |(id, name): (&str, &str)| match id {
        "plain" => Label::baseline(id, name),
        "noise" => Label::baseline(id, name).dotted(),
        "fresh" => Label::baseline(id, name).dashed(),
        "old" => Label::new(id, format!("attacks {} updates old", knobs.get(&AGE))).dotted(),
        _ => Label::new(id, name),
    };
    WAYS.map(label).to_vec()
}

fn run<'a>(context: &'a mut Context) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        let knobs = context.results.knobs.clone();
        let [train, test] = IMAGES;
        let spec = DataSpec { train, test, size: SIDE, ..DataSpec::of(DataSet::Mnist) };
        let images = Images::of("images", &*context.data(&spec).await?)?;
        for (seed, share) in context.seeds(Share::ALL) {
            for (place, (id, name)) in WAYS.into_iter().enumerate() {
                context.progress(share.part(place, WAYS.len()).at(0.0), name);
                let way = Way {
                    beside: beside(id, &knobs),
                    reach: knobs.get(&REACH),
                    targeted: knobs.get(&TARGETED) == Targeted::Yes,
                    streams: knobs.get(&STREAMS),
                    updates: knobs.get(&UPDATES),
                    rate: knobs.get(&RATE),
                };
                let play = context.play(seed).await?;
                learn(play, &images, &way, seed, context.results.record(id, seed)?).await?;
            }
        }
        Ok(())
    })
}

/// What an update takes, in millions of operations one after another, where two workers share it: one makes the attack, one
/// learns from all images. What must wait, waits.
fn time(results: &Results, arm: &str) -> Sample {
    let (update, attack) = (results.sample(arm, WORK), results.sample(arm, WORK_OF_ATTACK));
    match beside(arm, &results.knobs).dependent() {
        1 => update.with(&attack, f64::max),
        _ => update.with(&attack, |update, attack| update + attack),
    }
}

fn figures(results: &Results) -> Vec<Plot> {
    let all = &results.arms;
    let lines = |id: &str, title: &str, curve: Curve, y: [&str; 2], arms: &[Label]| {
        Plot::curves(results, id, title, [axis("update", ""), axis(y[0], y[1])], arms, curve)
            .empty("Lines grow while the arms learn.")
    };
    let late = results.labels(["stale", "old"]);
    let mut x = axis("", "");
    let timed: Vec<&Label> = all.iter().filter(|label| ["fresh", "stale"].contains(&label.id.as_str())).collect();
    x.categories = timed.iter().map(|label| label.name.clone()).collect();
    let part = |of: &dyn Fn(&str) -> f64| timed.iter().map(|label| of(&label.id)).collect::<Vec<f64>>();
    let attack = part(&|arm| results.sample(arm, WORK_OF_ATTACK).mean());
    let update = part(&|arm| results.sample(arm, WORK).mean());
    let waits = part(&|arm| time(results, arm).mean());
    let named = timed.iter().zip(&waits).filter(|(_, time)| time.is_finite());
    let waited: Vec<String> = named.map(|(label, time)| format!("{} {} MFLOP", label.name, brief(*time))).collect();
    vec![
        Plot::dots(results, "accuracy", "At the end", "test accuracy", all, ACCURACY.last())
            .meaning(
                "One dot per seed. Noise of the same size is the control: only what exceeds it is owed to the attack's direction.",
            )
            .empty("Dots appear as arms finish."),
        lines("agreement", "How alike old and fresh attacks are", AGREEMENT, ["same direction", "%"], &late).meaning(
            "The share of pixels that both move the same way; 50% would be chance. The fewer signs an update changes, the less \
             an attack on older parameters differs.",
        ),
        Plot::bars(
            "time",
            "What an update takes on two workers",
            [x, axis("operations", "MFLOP")],
            [
                ("attack", Role::Limit, attack),
                ("learning from all images", Role::Other, update),
                ("from one update to the next", Role::Train, waits),
            ],
        )
        .meaning(
            "A fresh attack comes before the update; one that is an update old is made meanwhile. It saves less than half where \
             learning, from images and attacked images, takes longer than an attack.",
        )
        .says(waited.join(", "))
        .empty("Bars appear when the arms with attacks have learned."),
        lines("training", "Test accuracy while they learn", ACCURACY, ["test accuracy", "%"], all)
            .meaning("All arms see the same 500 images at every update."),
        lines("loss", "Training loss", LOSS, ["training loss", "nats"], all)
            .meaning("On what each arm learns from, attacked or noisy images included."),
        Plot::table(
            results,
            "All numbers",
            &[
                ("test accuracy", ACCURACY.last()),
                ("λ1 of the Hessian", SHARPNESS),
                ("MFLOP of an update", WORK),
                ("MFLOP of an attack", WORK_OF_ATTACK),
            ],
        )
        .meaning("λ1: sharpness of the loss on the unchanged images at the end."),
    ]
}

/// Agreement after the warm-up, its mean over the run; of seeds that have any.
fn agreement(results: &Results, arm: &str) -> Sample {
    let warm = 0.1 * results.knobs.get(&UPDATES) as f64;
    let mean = |curve: &[[f64; 2]]| {
        let after: Vec<f64> = curve.iter().filter(|[x, _]| *x > warm).map(|[_, y]| *y).collect();
        (!after.is_empty()).then(|| after.iter().sum::<f64>() / after.len() as f64)
    };
    let done = results.outcomes(arm).filter(|(_, outcome)| outcome.done);
    Sample(done.filter_map(|(seed, outcome)| Some((seed, mean(outcome.curve(AGREEMENT))?))).collect())
}

fn answer(results: &Results) -> Answer {
    let end = |arm: &str| results.sample(arm, ACCURACY);
    let [plain, noise, fresh, stale] = ["plain", "noise", "fresh", "stale"].map(end);
    let agree = ["stale", "old"].map(|arm| agreement(results, arm));
    let (reaches, nowhere) = (results.knobs.get(&REACH) > 0.0, "attacks of no reach are the images themselves");
    // Agreement is read at every so many updates, once attacks are as old as they get.
    let old = results.knobs.get(&AGE).next_multiple_of(EACH) < results.knobs.get(&UPDATES);
    let words = versus(["Training with attacks that are one update old", "images alone"], [&stale, &plain], "%", true);
    let headline = Judged::most_seeds(
        "attacks 1 update old above images alone",
        &stale.minus(&plain),
        Bound::AtLeast(GAIN),
        "points",
        [4, 5],
    )
    .given(!results.both_diverged("stale", "plain"), LOST)
    .given(reaches, nowhere);
    let gain = if headline.fails() { whose_gain(&plain, &fresh, &stale) } else { String::new() };
    let reached =
        if fresh.is_empty() { String::new() } else { format!("; fresh attacks reach {}%", fresh.mean_in_words()) };
    Answer::new(headline, format!("{words}{reached}."))
        .also([
            Judged::most_seeds(
                "fresh attacks above images alone",
                &fresh.minus(&plain),
                Bound::AtLeast(GAIN),
                "points",
                [4, 5],
            )
            .given(reaches, nowhere),
            Judged::most_seeds(
                "distance of attacks 1 update old from fresh ones",
                &fresh.with(&stale, |fresh, stale| (fresh - stale).abs()),
                Bound::AtMost(CLOSE),
                "points",
                [4, 5],
            )
            .given(!results.both_diverged("fresh", "stale"), LOST)
            .given(reaches, nowhere),
            Judged::most_seeds(
                "attacks 1 update old above noise",
                &stale.minus(&noise),
                Bound::Above(0.0),
                "points",
                [3, 5],
            )
            .given(reaches, nowhere),
            Judged::mean(
                "pixels that attacks 1 update old move the same way as fresh ones",
                &agree[0],
                Bound::AtLeast(90.0),
                "%",
            ),
            Judged::every_seed(
                "agreement with fresh attacks: 1 update old above older",
                &agree[0].minus(&agree[1]),
                Bound::Above(0.0),
                "points",
            )
            .given(old, "the run ends before attacks are so old"),
            Judged::mean(
                "time per update on two workers, fresh relative to 1 update old",
                &time(results, "fresh").over(&time(results, "stale")),
                Bound::AtLeast(1.6),
                "×",
            ),
        ])
        .more(gain)
        .more(sharper(results))
        .more(results.diverged_in_words("guessing"))
}

/// Why the gain falls short: whether it is the age of the attacks that costs it, or attacks gain no more.
fn whose_gain(plain: &Sample, fresh: &Sample, stale: &Sample) -> String {
    let [gain, lost] = [fresh.minus(plain).mean(), fresh.minus(stale).mean()];
    if !(gain.is_finite() && lost.is_finite()) {
        return String::new();
    }
    let age = if lost < 0.05 { "and age costs none of it".to_owned() } else { format!("of which age costs {lost:.1}") };
    if gain >= GAIN {
        return format!("Fresh attacks gain {gain:.1} points on average, {age}.");
    }
    format!(
        "Fresh attacks, too, gain only {gain:.1} points on average, {age}: what is small here is the gain from attacks as such, on \
         {} small images.",
        IMAGES[0]
    )
}

/// What became of the sharpness, which the paper expects to fall.
fn sharper(results: &Results) -> String {
    let [plain, stale] = ["plain", "stale"].map(|arm| results.sample(arm, SHARPNESS).mean());
    if !(plain.is_finite() && stale.is_finite()) {
        return String::new();
    }
    let way = if stale < plain { "flatter" } else { "sharper" };
    format!(
        "The network that learned from attacks ends at a {way} place for the unchanged images: λ1 of the Hessian is {} with \
         attacks and {} without.",
        brief(stale),
        brief(plain)
    )
}
