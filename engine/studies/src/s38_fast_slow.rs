//! Fast & Slow Learning: Incorporating Synthetic Gradients in Neural Memory Controllers (Fernando et al. 2020).

mod memory;
mod steps;
#[cfg(test)]
mod tests;

use engine::numeric::{argmax, cosine, mean};
use engine::rng::{Rng, Stream, own_seed};
use engine::tape::{Play, StepId, Words};
use memory::{STATE, SYMBOLS};
use steps::{Batch, FAST, Feedback, LENGTH, SHOWN, SLOW, Steps, Way, whole_step};

use super::plot::axis;
use super::{
    Answer, Bound, Context, Curve, Judged, Knob, Knobs, Label, Number, Plot, Protocol, Results, Share, Study,
    StudyError, Task, versus,
};

pub(super) const STUDY: Study = Study {
    id: 38,
    slug: "fast-slow",
    title: "Who tells a memory what will matter?",
    paper: "Fast & Slow Learning: Incorporating Synthetic Gradients in Neural Memory Controllers",
    authors: "Fernando, Denman, Sridharan, Fookes",
    year: 2020,
    source: "https://arxiv.org/abs/2011.05438",
    themes: &["memory", "recurrent networks", "synthetic gradients"],
    claim: "Controllers that decide what a memory reads, writes and erases learn better from gradients that a module predicts \
            than from waiting for the loss, and learn fast with updates of their own.",
    why: "What was written is asked for much later. Back-propagation that stops at a window's border never tells the write about \
          it; a module that sees the state at the border can learn to predict which gradient would come back, from the next \
          window's gradient and its own prediction there.",
    differs: "A generated task instead of the paper's data: of eight symbols shown one is flagged, and it is asked for at the \
              last of four blank steps. The memory has two slots of 16 numbers, the controllers a recurrent layer of 32 units; \
              the layout of the controllers is a reconstruction, as no code was found, and so are the windows \
              of four steps and the rates: fast controllers learn after every window at the rate of the other parts, not at a \
              higher one. Left out is the module shared between two networks.",
    seeds: 5,
    seconds: 160.0,
    knobs: &[&WINDOW, &UPDATES, &RATE, &FASTER],
    protocol: Protocol::Program { arms, run, timed: false },
    figures,
    answer,
    ..Study::BASE
};

crate::options! {
    Span {
        Two = "2", "2 steps";
        Three = "3", "3 steps";
        Four = "4", "4 steps";
        Six = "6", "6 steps";
    }
}

const WINDOW: Knob<Span> = Knob::choice("window", "Window", "steps that back-propagation goes back, of 12", Span::Four);
const UPDATES: Knob<usize> = Knob::integer("updates", "Updates", "of 64 sequences each", [50, 5000], 2000);
const RATE: Knob<f64> = Knob::number("rate", "Learning rate", "of Adam, for every part", [1e-4, 0.03], 1e-3);
const FASTER: Knob<f64> =
    Knob::number("faster", "Fast controllers", "their rate, relative to the others'", [0.1, 10.0], 1.0);

/// Share of test sequences answered right in the end, over the last evaluations.
const FINAL: Number = Number::new("final", "%");
/// Updates until that share is [`ENOUGH`]; an arm that never comes there has one more than all of its own.
const SPEED: Number = Number::new("updates to 50%", "");
/// Kilobytes that the backward pass of a window reads of its forward pass.
const STORED: Number = Number::new("stored", "kB");
/// Share of test sequences answered right.
const ACCURACY: Curve = Curve::new("accuracy", "%");
/// Share answered right in the end of those flagged at a step.
const BY_STEP: Curve = Curve::new("by step", "%");
/// The highest mean of [`COSINE`] over [`SMOOTHED`] evaluations that follow each other.
const ALIKE: Number = Number::new("alike", "");
/// Cosine of the predicted and the true gradient, mean over borders and sequences.
const COSINE: Curve = Curve::new("cosine", "");
/// Accuracy at which an arm counts as there, in percent.
const ENOUGH: f64 = 50.0;
/// Sequences of an update, and of the test.
const ROWS: usize = 64;
const TESTED: usize = 512;
/// Updates between two evaluations, and how many of the last ones count.
const EVERY: usize = 50;
const LAST: usize = 3;
/// Evaluations that a cosine is taken over: single ones are noisy.
const SMOOTHED: usize = 5;

/// Arms by id and name: whether the whole sequence is one window, what comes from later windows, and whether controllers
/// learn after each.
const ARMS: [(&str, &str, bool, Feedback, bool); 5] = [
    ("full", "back-propagation to the start", true, Feedback::None, false),
    ("cut", "truncated", false, Feedback::None, false),
    ("mean", "mean gradient", false, Feedback::Mean, false),
    ("critic", "predicted gradient", false, Feedback::Critic, false),
    ("fast", "predicted, fast controllers", false, Feedback::Critic, true),
];

fn arms(_: &Knobs) -> Vec<Label> {
    let label = |(id, name, ..): &(&str, &str, bool, Feedback, bool)| match *id {
        "full" => Label::baseline(id, *name).dashed(),
        "cut" => Label::baseline(id, *name),
        "mean" => Label::new(id, *name).dotted(),
        "fast" => Label::new(id, *name).dashed(),
        _ => Label::new(id, *name),
    };
    ARMS.iter().map(label).collect()
}

/// Steps of a window.
fn span(knobs: &Knobs) -> usize {
    match knobs.get(&WINDOW) {
        Span::Two => 2,
        Span::Three => 3,
        Span::Four => 4,
        Span::Six => 6,
    }
}

fn run<'a>(context: &'a mut Context) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        for (seed, share) in context.seeds(Share::ALL) {
            for (place, &(id, name, whole, feedback, fast)) in ARMS.iter().enumerate() {
                let window = if whole { LENGTH } else { span(&context.results.knobs) };
                let way = Way { rows: ROWS, window, feedback, fast };
                arm(context, id, name, way, seed, share.part(place, ARMS.len())).await?;
            }
        }
        Ok(())
    })
}

/// Trains an arm with a seed.
async fn arm(
    context: &mut Context<'_>,
    id: &str,
    name: &str,
    way: Way,
    seed: u64,
    share: Share,
) -> Result<(), StudyError> {
    let knobs = context.results.knobs.clone();
    let mut play = context.play(seed).await?;
    let steps = Steps::new(&mut play, way).await?;
    let test = play.add(whole_step("test", TESTED, LENGTH, LENGTH)?).await?;
    let truth = play.add(whole_step("truth", ROWS, LENGTH, way.window)?).await?;
    let rate = knobs.get(&RATE);
    [SLOW, steps::CRITIC].into_iter().try_for_each(|net| play.rate(net, rate))?;
    play.rate(FAST, if way.fast { rate * knobs.get(&FASTER) } else { rate })?;
    // The same sequences for every arm.
    let mut rng = Rng::new(own_seed(seed, "sequences"), Stream::Sample, 0);
    let asked = Batch::drawn(TESTED, &mut Rng::new(own_seed(seed, "sequences"), Stream::Sample, 1));
    let updates = knobs.get(&UPDATES);
    let (mut all, mut cosines) = (Vec::new(), Vec::new());
    for number in 0..updates {
        let batch = Batch::drawn(ROWS, &mut rng);
        steps::learn(&mut play, &steps, way, &batch, number).await?;
        if (number + 1) % EVERY == 0 || number + 1 == updates {
            context.progress(share.at(number as f64 / updates as f64), name);
            let right = right(&mut play, test, &asked).await?;
            let accuracy = share_of(&right);
            all.push(accuracy);
            let alike = if way.feedback == Feedback::Critic { alike(&mut play, truth, &batch).await? } else { None };
            let outcome = context.results.record(id, seed)?;
            outcome.reading(ACCURACY, (number + 1) as f64, accuracy);
            if let Some(alike) = alike {
                outcome.reading(COSINE, (number + 1) as f64, alike);
                cosines.push(alike);
            }
            if number + 1 == updates {
                for step in 0..SHOWN {
                    let own = right.iter().zip(&asked.flagged).filter(|(_, flagged)| **flagged == step);
                    outcome.point(
                        BY_STEP,
                        (step + 1) as f64,
                        share_of(&own.map(|(right, _)| *right).collect::<Vec<_>>()),
                    );
                }
            }
        }
    }
    let outcome = context.results.record(id, seed)?;
    outcome.number(FINAL, mean(&all[all.len().saturating_sub(LAST)..]));
    let smooth = cosines.windows(SMOOTHED.min(cosines.len()).max(1)).map(mean);
    if let Some(alike) = smooth.reduce(f64::max) {
        outcome.number(ALIKE, alike);
    }
    outcome.number(SPEED, outcome.reached(ACCURACY, ENOUGH).unwrap_or((updates + 1) as f64));
    outcome.number(STORED, steps.bytes / 1000.0);
    outcome.done = true;
    Ok(())
}

/// Which sequences are answered right.
async fn right(play: &mut Play<'_>, test: StepId, batch: &Batch) -> Result<Vec<bool>, StudyError> {
    play.run(test, &[("x", Words::Numbers(&batch.x)), ("labels", Words::Classes(&batch.labels))]).await?;
    let logits = play.fetch(test, "logits").await?;
    let answers = logits.chunks(SYMBOLS).map(argmax).zip(&batch.labels);
    Ok(answers.map(|(answer, label)| answer == Some(*label as usize)).collect())
}

/// Share of what is right, in percent.
fn share_of(right: &[bool]) -> f64 {
    100.0 * right.iter().filter(|right| **right).count() as f64 / right.len().max(1) as f64
}

/// How alike predicted and true gradients are: the mean cosine; none where nothing is predicted yet.
async fn alike(play: &mut Play<'_>, truth: StepId, batch: &Batch) -> Result<Option<f64>, StudyError> {
    play.run(truth, &[("x", Words::Numbers(&batch.x)), ("labels", Words::Classes(&batch.labels))]).await?;
    let [truth, predicted] = [play.fetch(truth, "truth").await?, play.fetch(truth, "predicted").await?];
    let in_f64 = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
    let pairs = truth.chunks(STATE).zip(predicted.chunks(STATE));
    let cosines = pairs.map(|(truth, predicted)| cosine(&in_f64(truth), &in_f64(predicted)));
    let cosines: Vec<f64> = cosines.filter(|cosine| cosine.is_finite()).collect();
    Ok((!cosines.is_empty()).then(|| mean(&cosines)))
}

fn figures(results: &Results) -> Vec<Plot> {
    let critics = results.labels(["critic", "fast"]);
    vec![
        Plot::curves(results, "accuracy", "Sequences answered right", [axis("update", ""), axis("accuracy", "%")], &results.arms, ACCURACY)
            .meaning(
                "One in eight is right by chance. Truncated: nothing crosses a window's border. Mean gradient: the running mean of \
                 those that came back there crosses it, the same for every state. Fast controllers learn after each window.",
            )
            .empty("Lines grow while the arms learn."),
        Plot::curves(results, "cosine", "Predicted against true gradients", [axis("update", ""), axis("cosine", "")], &critics, COSINE)
            .meaning("At the windows' borders, where the true ones come from back-propagation to the start. 1: the same direction.")
            .empty("Lines grow while the arms learn."),
        Plot::curves(results, "step", "Accuracy by when the symbol was flagged", [axis("step", ""), axis("accuracy", "%")], &results.arms, BY_STEP)
            .meaning("The last four of 12 steps are blank. The earlier a symbol was flagged, the more steps it has to be kept for.")
            .empty("Lines appear when an arm has learned."),
        Plot::dots(results, "speed", "Updates to 50%", "updates", &results.arms, SPEED)
            .meaning("One dot per seed. An arm that never reaches 50% has a dot just past its last update.")
            .empty("Dots appear when an arm has learned."),
        Plot::table(results, "All numbers", &[("answered right", FINAL), ("updates to 50%", SPEED), ("stored", STORED), ("highest cosine", ALIKE)])
            .meaning(format!(
                "An arm that never reaches 50% counts with one update more than it has. Stored: what the backward pass of a window \
                 reads of its forward pass. Highest cosine: mean over {SMOOTHED} evaluations in a row."
            )),
    ]
}

fn answer(results: &Results) -> Answer {
    let sample = |arm: &str, number| results.sample(arm, number);
    let [full, cut, average, critic] = ["full", "cut", "mean", "critic"].map(|arm| sample(arm, FINAL));
    let stored = sample("critic", STORED).over(&sample("full", STORED));
    let [fast_speed, speed] = ["fast", "critic"].map(|arm| sample(arm, SPEED));
    let faster = fast_speed.over(&speed);
    let updates = results.knobs.get(&UPDATES) as f64;
    let neither = fast_speed.with(&speed, f64::min).values().any(|first| first > updates);
    let words = versus(["Learning from predicted gradients", "truncated back-propagation"], [&critic, &cut], "%", true);
    let ahead = critic.minus(&cut);
    Answer::new(
        Judged::most_seeds("predicted gradients above truncation by", &ahead, Bound::AtLeast(20.0), "points", [4, 5]),
        words + " of sequences answered right.",
    )
    .also([
        Judged::every_seed("truncated", &cut, Bound::AtMost(35.0), "%"),
        Judged::mean(
            "back-propagation to the start above predicted gradients by",
            &full.minus(&critic),
            Bound::AtLeast(0.0),
            "points",
        ),
        Judged::mean(
            "predicted gradients above the mean gradient by",
            &critic.minus(&average),
            Bound::Above(0.0),
            "points",
        ),
        Judged::mean("stored, relative to back-propagation to the start", &stored, Bound::AtMost(0.4), ""),
        Judged::mean("highest cosine of predicted and true gradients", &sample("critic", ALIKE), Bound::Above(0.2), ""),
        Judged::most_seeds(
            "updates to 50%, fast controllers relative to the others",
            &faster,
            Bound::Below(1.0),
            "",
            [3, 5],
        )
        .given(!neither, "in some seed neither gets there"),
    ])
    .more(if critic.is_empty() { String::new() } else { more(results) })
}

/// What the other arms come to, when symbols are kept, and how soon.
fn more(results: &Results) -> String {
    let of = |arm: &str, number| results.sample(arm, number).mean_in_words();
    let by_step = |arm: &str, step: usize| results.sample_at(arm, BY_STEP, step as f64).mean_in_words();
    let updates = results.knobs.get(&UPDATES);
    let never = |arm: &str| {
        let speeds = results.sample(arm, SPEED);
        let never = speeds.values().filter(|&speed| speed > updates as f64).count();
        if never == 0 {
            return String::new();
        }
        format!(" (never in {never} of {} seeds, which counts as {})", speeds.len(), updates + 1)
    };
    format!(
        "Back-propagation to the start reaches {}%, the mean gradient {}%, fast controllers {}%. Of symbols flagged at the first \
         step truncation answers {}%, at the last of the {SHOWN} that show one {}%; from predictions it is {}% and {}%. Fast \
         controllers need {} updates to 50%{}, those that learn after the sequence {}{}.",
        of("full", FINAL),
        of("mean", FINAL),
        of("fast", FINAL),
        by_step("cut", 1),
        by_step("cut", SHOWN),
        by_step("critic", 1),
        by_step("critic", SHOWN),
        of("fast", SPEED),
        never("fast"),
        of("critic", SPEED),
        never("critic"),
    )
}
