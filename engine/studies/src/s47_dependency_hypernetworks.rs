//! Continual Learning with Dependency Preserving Hypernetworks (Chandra et al. 2023).

mod influence;
#[cfg(test)]
mod tests;

use std::rc::Rc;

use engine::continual::{Arm as Way, ContinualSpec, Descent, Order, Record, Scenario, Strategy, StreamKind};
use engine::figure::brief;
use engine::metrics::AccuracyMatrix;
use engine::numeric::{distance, mean, norm};
use engine::spec::{DataSet, DataSpec};
use engine::streams::Change;

use super::continual::hypernetwork::{self, HYPER, SCALES, TARGETS};
use super::continual::learned::{FINAL, FORGETTING, SEEN, ground, so_far};
use super::continual::{Ground, Lane, Part, Tasks};
use super::names::DIVERGED;
use super::plot::axis;
use super::{
    Answer, Bound, Context, Judged, Knob, Knobs, Label, Number, Plot, Protocol, Results, Share, Study, StudyError,
    Task, versus,
};

pub(super) const STUDY: Study = Study {
    id: 47,
    slug: "dependency-hypernetworks",
    title: "One small network remembers five, and writes each chunk after chunk",
    paper: "Continual Learning with Dependency Preserving Hypernetworks",
    authors: "Chandra, Varshney, Srijith, Gupta",
    year: 2023,
    source: "https://arxiv.org/abs/2209.07712",
    themes: &["continual learning", "forgetting", "hypernetworks"],
    claim: "A hypernetwork makes the weights of a network for each task from a small vector. Made by a recurrent network, chunk \
            after chunk, they depend on each other, and this learns a stream of tasks better than making each chunk by itself \
            with equally many parameters.",
    why: "To keep what was made for earlier tasks, one function need only stay put at a few points, the tasks' vectors, instead \
          of every weight staying put; the rest of the function is free for the next task. The layers of a network must fit \
          together: a recurrent hypernetwork can let a chunk follow from those before it.",
    differs: "Digits of 8×8 pixels and an MLP 64-48-48-48 instead of larger pictures and networks. Cell, sizes and the form of \
              the paper's regulariser are a reconstruction: its text gives the idea, and no code was found. The \
              hypernetwork grows once, by half, after a task whose loss is 1.2 times the mean of those before it. A task of two \
              digits has a quarter of the updates of one of ten. How soon a task is learned is read on its test digits.",
    seeds: 3,
    seconds: 110.0,
    knobs: &[&HOLD, &CHUNKS, &RATE, &UPDATES, &LAMBDA],
    protocol: Protocol::Program { arms, run, timed: false },
    figures,
    answer,
    ..Study::BASE
};

const HOLD: Knob<f64> =
    Knob::number("hold", "β", "how firmly the weights made for earlier tasks are held", [0.0, 100.0], 0.01);
const CHUNKS: Knob<usize> =
    Knob::integer("chunks", "Chunks", "number of parts in which the weights are made", [2, 64], 33);
const RATE: Knob<f64> = Knob::number("rate", "Learning rate", "of Adam, for every arm", [1e-4, 0.03], 1e-3);
const UPDATES: Knob<usize> = Knob::integer(
    "updates",
    "Updates per task",
    "of 32 digits each, rounded up to whole passes; a quarter of them where a task has two digits",
    [50, 2000],
    400,
);
const LAMBDA: Knob<f64> = Knob::number("lambda", "EWC λ", "how firmly EWC holds parameters", [0.1, 1e5], 100.0);

/// Digits of an update.
const BATCH: usize = 32;
/// Tasks of either stream.
const TASKS: usize = 5;

/// Accuracy on a task right after it, mean over the tasks.
const LEARNED: Number = Number::new("learned", "%");
/// Updates until a task reaches [`ENOUGH`], mean over the tasks; those that never do count as all of theirs.
const SPEED: Number = Number::new("updates to 90%", "");
/// Tasks that never reach it.
const MISSED: Number = Number::new("tasks below 90%", "");
/// Numbers that are learned.
const PARAMETERS: Number = Number::new("parameters", "");
/// How far the weights made for earlier tasks have moved since, of their norm.
const DRIFT: Number = Number::new("drift", "%");
/// Accuracy at which a task counts as reached.
const ENOUGH: f64 = 0.9;
/// Points that an arm which is held may forget.
const LOST: f64 = 3.0;

/// Arms by id, name and strategy as in links of the lab.
const ARMS: [(&str, &str, &str); 9] = [
    ("tune", "fine-tuning", "fine-tuning"),
    ("ewc", "EWC", "ewc"),
    ("mlp", "MLP makes chunks", "hypernetwork:recurrent=0"),
    ("lstm", "LSTM makes chunks", "hypernetwork"),
    ("weighed", "LSTM, held by importance", "hypernetwork:weighed=1"),
    ("grown", "LSTM that may grow", "hypernetwork:grow=16"),
    ("free", "LSTM, not held", "hypernetwork:hold=0"),
    ("mlp firm", "MLP, held firmly", "hypernetwork:recurrent=0"),
    ("lstm firm", "LSTM, held firmly", "hypernetwork"),
];
/// Those that are held [`FIRMER`] times as firmly.
const FIRM: [&str; 2] = ["mlp firm", "lstm firm"];
const FIRMER: f64 = 10.0;

/// Ending of the ids and names of arms on the stream of two digits a task.
const SPLIT: [&str; 2] = ["/split", ", two digits a task"];
/// Arms that learn that stream too: there all that are held keep nearly everything.
const ON_SPLIT: [&str; 4] = ["tune", "mlp", "lstm", "free"];

fn arms(_: &Knobs) -> Vec<Label> {
    let label = |id: &str, suffix: &str, name: String| {
        let of = format!("{id}{suffix}");
        match id {
            "lstm" => Label::new(&of, name),
            "weighed" => Label::new(&of, name).dashed(),
            "grown" | "lstm firm" => Label::new(&of, name).long_dashed(),
            "free" => Label::new(&of, name).dotted(),
            "mlp" | "mlp firm" => Label::baseline(&of, name).long_dashed(),
            "ewc" => Label::baseline(&of, name).dashed(),
            _ => Label::baseline(&of, name),
        }
    };
    let permuted = ARMS.iter().map(|(id, name, _)| label(id, "", (*name).to_owned()));
    let split = ARMS.iter().filter(|(id, ..)| ON_SPLIT.contains(id));
    permuted.chain(split.map(|(id, name, _)| label(id, SPLIT[0], format!("{name}{}", SPLIT[1])))).collect()
}

/// The session of an arm.
fn session(knobs: &Knobs, id: &str, way: &str, split: bool) -> Result<ContinualSpec, StudyError> {
    let (examples, updates) = if split { (280, knobs.get(&UPDATES) / 4) } else { (1280, knobs.get(&UPDATES)) };
    let firmer = if FIRM.contains(&id) { FIRMER } else { 1.0 };
    let mut spec = ContinualSpec {
        stream: StreamKind::SplitDigits,
        scenario: Scenario::Task,
        tasks: TASKS,
        order: Order::Given,
        examples,
        tested: 0,
        passes: (updates * BATCH).div_ceil(examples) as u32,
        hidden: vec![48; 3],
        optimizer: Descent::Adam,
        rate: knobs.get(&RATE),
        batch: BATCH,
        readings: 20,
        window: 0,
        arms: vec![Way::read(way).map_err(StudyError::Other)?],
        ..ContinualSpec::default()
    };
    spec.turn("hold", firmer * knobs.get(&HOLD));
    spec.turn("chunks", knobs.get(&CHUNKS) as f64);
    spec.turn("lambda", knobs.get(&LAMBDA));
    Ok(spec)
}

/// All ten digits in each task, their pixels in an order of its own.
async fn permuted(context: &Context<'_>, spec: &ContinualSpec, seed: u64) -> Result<Ground, StudyError> {
    let digits = context.data(&DataSpec::of(DataSet::Digits)).await?;
    let part = |task: usize| {
        let name = format!("order {}", task + 1);
        Part::of_classes(&name, 0, &digits, 0..10).changed(Change::Permuted, task as u32)
    };
    let tasks = Tasks::of_parts(spec, &[&digits], (0..TASKS).map(part).collect(), seed);
    Ok(Ground::over(spec, tasks, seed))
}

fn run<'a>(context: &'a mut Context) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        let knobs = context.results.knobs.clone();
        let all = ARMS.iter().map(|arm| (arm, false));
        let all: Vec<_> =
            all.chain(ARMS.iter().filter(|(id, ..)| ON_SPLIT.contains(id)).map(|arm| (arm, true))).collect();
        for (seed, share) in context.seeds(Share::ALL) {
            for (place, &((id, name, way), split)) in all.iter().enumerate() {
                context.progress(share.part(place, all.len()).at(0.0), name);
                let spec = session(&knobs, id, way, split)?;
                let (ground, suffix) = match split {
                    false => (permuted(context, &spec, seed).await?, ""),
                    true => (ground(context, &spec, seed).await?, SPLIT[0]),
                };
                learn(context, &format!("{id}{suffix}"), &Rc::new(ground)).await?;
            }
        }
        Ok(())
    })
}

/// An arm over the whole stream.
async fn learn(context: &mut Context<'_>, id: &str, ground: &Rc<Ground>) -> Result<(), StudyError> {
    let arm = &ground.spec.arms[0];
    let hyper = arm.last().strategy == Strategy::Hypernetwork;
    let mut lane = Lane::new(ground, arm, context.play(ground.seed).await?, None).await?;
    // What had been made for each task when it ended.
    let mut made = Vec::new();
    while !lane.ended() {
        lane.advance().await?;
        if hyper && ground.timetable.borders.contains(&lane.update()) {
            let all = lane.state(TARGETS).await?;
            let weights = all.len() / TASKS;
            made.push(all[made.len() * weights..][..weights].to_vec());
        }
    }
    let record = lane.record.clone();
    let mut drift = None;
    if hyper {
        let all = lane.state(TARGETS).await?;
        let moved = |(then, now): (&Vec<f32>, &[f32])| 100.0 * distance(then, now) / norm(then).max(1e-12);
        let moved: Vec<f64> = made.iter().zip(all.chunks(all.len() / TASKS)).map(moved).take(TASKS - 1).collect();
        drift = record.diverged.is_none().then(|| mean(&moved));
        if drift.is_some() && context.pictures(ground.seed) && ["mlp", "lstm"].contains(&id) {
            let sizes = hypernetwork::sizes(&ground.spec, &ground.tasks)?;
            let (theta, scales) = (lane.state(&format!("{HYPER}.theta")).await?, lane.state(SCALES).await?);
            drop(lane);
            let moved = influence::influence(context.play(ground.seed).await?, &sizes, &theta, &scales).await?;
            context.results.keep(id, influence::picture(moved, sizes.chunks));
        }
    }
    let begin = |task: usize| task.checked_sub(1).map_or(0, |before| record.borders[before]);
    let reached = |task: usize| {
        let whole = record.readings.iter().filter(|reading| reading.accuracy.len() == TASKS);
        let mut own = whole.filter(|reading| reading.update > begin(task) && reading.update <= record.borders[task]);
        own.find(|reading| f64::from(reading.accuracy[task]) >= ENOUGH).map(|reading| reading.update)
    };
    let needed = |task: usize| (reached(task).unwrap_or(record.borders[task]) - begin(task)) as f64;
    let matrix = matrix(&record, if id.ends_with(SPLIT[0]) { 0.5 } else { 0.1 });
    let outcome = context.results.record(id, ground.seed)?;
    outcome.number(FINAL, 100.0 * matrix.average());
    outcome.number(FORGETTING, 100.0 * matrix.forgetting());
    outcome.number(LEARNED, 100.0 * (0..TASKS).map(|task| matrix.rows()[task][task]).sum::<f64>() / TASKS as f64);
    outcome.number(SPEED, (0..TASKS).map(needed).sum::<f64>() / TASKS as f64);
    outcome.number(MISSED, (0..TASKS).filter(|&task| reached(task).is_none()).count() as f64);
    record.diverged.into_iter().for_each(|update| outcome.number(DIVERGED, update as f64));
    outcome.number(PARAMETERS, record.cost.parameters as f64);
    drift.into_iter().for_each(|drift| outcome.number(DRIFT, drift));
    so_far(&record).into_iter().for_each(|[task, accuracy]| outcome.point(SEEN, task, accuracy));
    outcome.done = true;
    Ok(())
}

/// Accuracies on every task after each; from where an arm's numbers were no longer finite, those of guessing.
fn matrix(record: &Record, chance: f64) -> AccuracyMatrix {
    let mut rows = record.rows();
    rows.resize(TASKS, vec![chance; TASKS]);
    AccuracyMatrix::new(rows).unwrap_or_default()
}

fn figures(results: &Results) -> Vec<Plot> {
    let axes = [axis("tasks learned", ""), axis("accuracy over them", "%")];
    let permuted = results.labels(ARMS.map(|(id, ..)| id).into_iter().filter(|id| !FIRM.contains(id)));
    let split = results.labels(ON_SPLIT.map(|arm| format!("{arm}{}", SPLIT[0])));
    let held = results.labels(["mlp", "mlp firm", "lstm", "lstm firm"]);
    let seen = |id: &str, title: &str, arms: &[Label]| {
        Plot::curves(results, id, title, axes.clone(), arms, SEEN)
            .meaning(
                "A line that falls forgets, or learns new tasks less well; one that stays level keeps what it learned.",
            )
            .empty("A line grows with every task that has been learned.")
    };
    let depends = |id: &str, title: &str, meaning: &str| {
        Plot::picture(results, id, format!("depends {id}"), title)
            .meaning(meaning)
            .empty("It appears when the first seed's arm has learned its tasks.")
    };
    vec![
        seen("permuted", "Ten digits in five orders of their pixels", &permuted),
        depends(
            "lstm",
            "Which chunk depends on which: LSTM",
            "How far each chunk of the weights (row) moves when the vector of one (column) is nudged. Below the diagonal: a \
             chunk follows from those before it.",
        ),
        depends("mlp", "Which chunk depends on which: MLP", "Each chunk depends on its own vector alone."),
        Plot::dots(results, "held", "What a firmer hold keeps", "forgetting", &held, FORGETTING)
            .meaning(format!("One dot per seed, on the five orders. Held firmly: with {FIRMER} times the β."))
            .empty("Dots appear when an arm has learned its tasks."),
        seen("split", "Two digits per task", &split),
        Plot::table(
            results,
            "What each arm keeps",
            &[
                ("final accuracy", FINAL),
                ("forgetting", FORGETTING),
                ("right after learning", LEARNED),
                ("updates to 90%", SPEED),
                ("tasks below 90%", MISSED),
                ("drift", DRIFT),
                ("parameters", PARAMETERS),
            ],
        )
        .meaning(
            "A task that never reaches 90% counts with all its updates. Drift: how far the weights made for earlier tasks have \
             moved since those ended, relative to their norm.",
        ),
    ]
}

fn answer(results: &Results) -> Answer {
    let sample = |arm: &str, number| results.sample(arm, number);
    let [lstm, mlp, weighed] = ["lstm", "mlp", "weighed"].map(|arm| sample(arm, FINAL));
    let words = versus(["The LSTM's network", "the MLP's"], [&lstm, &mlp], "%", true);
    let held = results.knobs.get(&HOLD) > 0.0;
    let forgets = |name: &str, arm: &str, bound| {
        Judged::every_seed(format!("{name}: forgetting"), &sample(arm, FORGETTING), bound, "points")
    };
    let never_there = sample("lstm", MISSED).with(&sample("mlp", MISSED), f64::min).max() >= TASKS as f64;
    Answer::new(
        Judged::mean("LSTM above MLP by", &lstm.minus(&mlp), Bound::Above(0.0), "points")
            .given(!results.both_diverged("lstm", "mlp"), "in some seed both diverged"),
        words + " of all tasks' digits right.",
    )
    .also([
        forgets("LSTM, held", "lstm", Bound::AtMost(LOST)).given(held, NOT_HELD),
        forgets("MLP, held", "mlp", Bound::AtMost(LOST)).given(held, NOT_HELD),
        forgets("LSTM, not held", "free", Bound::AtLeast(15.0)).given(results.diverged("free") == 0, "it diverged"),
        forgets("fine-tuning", "tune", Bound::AtLeast(15.0)).given(results.diverged("tune") == 0, "it diverged"),
        Judged::most_seeds(
            "updates to 90%, LSTM's minus MLP's",
            &sample("lstm", SPEED).minus(&sample("mlp", SPEED)),
            Bound::Below(0.0),
            "",
            [2, 3],
        )
        .given(!never_there, "in some seed neither gets there with any task"),
        Judged::as_good("held by importance below held alike by", &lstm.minus(&weighed), 0.5, "points")
            .given(held, NOT_HELD),
    ])
    .more(if lstm.is_empty() { String::new() } else { more(results) })
    .more(results.diverged_in_words("guessing from there on"))
}

/// Why checks of what is held are not tested.
const NOT_HELD: &str = "with β = 0 nothing is held";

/// What the other arms come to, how soon tasks are learned, and why they are forgotten.
fn more(results: &Results) -> String {
    let of = |arm: &str, number| results.sample(arm, number).mean_in_words();
    let missed = match ["lstm", "mlp"].map(|arm| results.sample(arm, MISSED).mean()) {
        [0.0, 0.0] => String::new(),
        [lstm, mlp] => format!(
            "; of {TASKS} tasks the LSTM never gets there with {} and the MLP with {}, which count with all their updates",
            brief(lstm),
            brief(mlp)
        ),
    };
    format!(
        "Fine-tuning reaches {}%, EWC {}%, an LSTM that is not held {}%. With two digits per task the LSTM reaches {}% and \
         the MLP {}%. The LSTM needs {} updates to 90%, the MLP {}{missed}.{}",
        of("tune", FINAL),
        of("ewc", FINAL),
        of("free", FINAL),
        of("lstm/split", FINAL),
        of("mlp/split", FINAL),
        of("lstm", SPEED),
        of("mlp", SPEED),
        firmly(results),
    )
}

/// Why arms that are held forget more than is claimed, where they do: what a firmer hold makes of it.
fn firmly(results: &Results) -> String {
    let most = |arms: [&str; 2]| arms.map(|arm| results.sample(arm, FORGETTING).max()).into_iter().fold(0.0, f64::max);
    let (usual, firm) = (most(["lstm", "mlp"]), most(["lstm firm", "mlp firm"]));
    let measured = ["lstm", "mlp", "lstm firm", "mlp firm"].iter().all(|arm| !results.sample(arm, DRIFT).is_empty());
    if usual <= LOST || results.knobs.get(&HOLD) == 0.0 || !measured {
        return String::new();
    }
    let why = match (firm <= LOST, firm < usual) {
        (true, _) => "Too much is forgotten because β is too small",
        (false, true) => "A small β explains a part of what is forgotten",
        (false, false) => "It is not for a small β that so much is forgotten",
    };
    let of = |arm: &str| {
        let [drift, lost, last] = [DRIFT, FORGETTING, FINAL].map(|number| results.sample(arm, number).mean_in_words());
        format!("{drift}%, which costs {lost} points, and ends at {last}%")
    };
    format!(
        " {why}: at {} what the LSTM made for earlier tasks moves by {}; the MLP's moves by {}. Held {FIRMER} times as firmly, \
         the LSTM's moves by {}, the MLP's by {}.",
        results.knobs.get(&HOLD),
        of("lstm"),
        of("mlp"),
        of("lstm firm"),
        of("mlp firm"),
    )
}
