//! CLR: Channel-wise Lightweight Reprogramming for Continual Learning (Ge et al. 2023).

mod figures;
mod streams;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::rc::Rc;

use engine::continual::{Arm as Way, ContinualSpec, Descent, Network, Scenario, Strategy};

use super::continual::learned::{FINAL, FORGETTING, SEEN, accuracy, conclude, learned};
use super::continual::{Ground, Lane, Tasks};
use super::{
    Answer, Bound, Context, Curve, Judged, Knob, Knobs, Label, Number, Protocol, Results, Sample, Share, Study,
    StudyError, Task, names::DIVERGED, versus,
};

pub(super) const STUDY: Study = Study {
    id: 54,
    slug: "clr",
    title: "The same eyes, new glasses for each task",
    paper: "CLR: Channel-wise Lightweight Reprogramming for Continual Learning",
    authors: "Ge, Li, Ni, Zhao, Yang, Itti",
    year: 2023,
    source: "https://arxiv.org/abs/2307.11386",
    themes: &["continual learning", "forgetting", "parameter-efficient"],
    claim: "A frozen convnet, reprogrammed for each task by one 3×3 filter after every channel (CLR), forgets nothing and \
            beats continual-learning methods that change the network, for a few per cent of its parameters per task.",
    why: "What tasks share stays as it is, so nothing of an earlier task can be lost. A filter on a channel cannot make a new \
          feature, but it blurs, sharpens or shifts the one that is there, and the norm after it sets how much of it counts: \
          that is enough where the anchor's features are general. The network must be told which task a picture belongs to.",
    differs: "A convnet of five strided convolutions (24 to 64 channels, 112 thousand weights) trained on 4,000 \
              letters instead of a ResNet-50 trained on ImageNet; six tasks of digits, clothes and unseen letters \
              instead of 53 data sets; 6 passes at rates that are constant and were chosen beforehand, for a task's \
              own parameters 0.01, for whole networks the paper's 0.001; EWC's λ was not tuned either. The anchor has \
              no norm of its own: a task's is put in so that on its first batch it changes nothing. Filters are 2.1% \
              of so narrow a network, in the paper's less than 0.6%: the share falls as the width grows.",
    seeds: 3,
    seconds: 200.0,
    knobs: &[&SOURCE, &KERNEL, &RATE, &PASSES, &IMAGES, &LAMBDA],
    protocol: Protocol::Program { arms, run, timed: false },
    figures: figures::figures,
    answer,
    ..Study::BASE
};

crate::options! {
    Source {
        Letters = "letters", "letters";
        Clothes = "clothes", "clothes";
        Random = "random", "nothing: random weights";
    }
}

crate::options! {
    Side {
        One = "1", "1×1";
        Three = "3", "3×3";
        Five = "5", "5×5";
    }
}

const SOURCE: Knob<Source> =
    Knob::choice("source", "Anchor trained on", "what its features were made for", Source::Letters);
const KERNEL: Knob<Side> = Knob::choice("kernel", "Filters", "1×1 can only scale a channel", Side::Three);
const RATE: Knob<f64> = Knob::number(
    "rate",
    "Rate of the sets",
    "of each task's own parameters; whole networks learn at 0.001",
    [1e-4, 0.1],
    0.01,
);
const PASSES: Knob<usize> = Knob::integer("passes", "Passes", "over each task's pictures", [1, 40], 6);
const IMAGES: Knob<usize> = Knob::integer("images", "Pictures per task", "letters have 150 at most", [50, 1000], 400);
const LAMBDA: Knob<f64> = Knob::number("lambda", "EWC λ", "how firmly EWC holds parameters", [0.1, 1e5], 100.0);

/// Channels of the anchor's convolutions, of stride 2: 28 pixels become one.
const CHANNELS: [usize; 5] = [24, 48, 64, 64, 64];
/// How many tasks there are.
const TASKS: usize = 6;
/// Points that CLR gains over outputs alone by the claim.
const GAIN: f64 = 5.0;

/// Parameters that a task adds, mean over the tasks.
const ADDED: Number = Number::new("added", "");
/// The same of those of the whole network that a task would else need.
const SHARE: Number = Number::new("share", "%");
/// Accuracy on one task after it and each later one.
const KEPT: Curve = Curve::new("kept", "%");

/// Arms by id, name and strategy as in links of the lab; no strategy: a network for each task.
const ARMS: [(&str, &str, &str); 7] = [
    ("tune", "fine-tuning", "fine-tuning"),
    ("ewc", "EWC", "ewc"),
    ("probe", "outputs alone", "clr:kernel=0:norms=0"),
    ("norms", "norms alone", "clr:kernel=0"),
    ("filters", "filters alone", "clr:norms=0"),
    ("clr", "CLR", "clr"),
    ("apart", "a network a task", ""),
];
/// Those that leave the network as it is.
const FROZEN: [&str; 4] = ["probe", "norms", "filters", "clr"];

fn arms(_: &Knobs) -> Vec<Label> {
    let label = |(id, name, _): &(&str, &str, &str)| match *id {
        "clr" => Label::new(id, *name),
        "filters" => Label::new(id, *name).dashed(),
        "norms" => Label::new(id, *name).dotted(),
        "probe" => Label::new(id, *name).long_dashed(),
        "ewc" => Label::baseline(id, *name).dashed(),
        "apart" => Label::baseline(id, *name).dotted(),
        _ => Label::baseline(id, *name),
    };
    ARMS.iter().map(label).collect()
}

/// The session of an arm.
fn session(knobs: &Knobs, way: &str) -> Result<ContinualSpec, StudyError> {
    let way = if way.is_empty() { "fine-tuning" } else { way };
    let mut spec = ContinualSpec {
        scenario: Scenario::Task,
        tasks: 6,
        examples: knobs.get(&IMAGES),
        tested: 500,
        passes: knobs.get(&PASSES) as u32,
        network: Network::Convnet,
        hidden: CHANNELS.to_vec(),
        optimizer: Descent::Adam,
        rate: if way.starts_with("clr") { knobs.get(&RATE) } else { 1e-3 },
        batch: 32,
        readings: 1,
        window: 0,
        arms: vec![Way::read(way).map_err(StudyError::Other)?],
        ..ContinualSpec::default()
    };
    spec.turn("lambda", knobs.get(&LAMBDA));
    spec.turn("kernel", side(knobs) as f64);
    Ok(spec)
}

/// Side of the filters.
fn side(knobs: &Knobs) -> usize {
    match knobs.get(&KERNEL) {
        Side::One => 1,
        Side::Three => 3,
        Side::Five => 5,
    }
}

fn run<'a>(context: &'a mut Context) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        let knobs = context.results.knobs.clone();
        for (seed, share) in context.seeds(Share::ALL) {
            context.progress(share.at(0.0), "the anchor learns");
            let start = streams::anchor(context, knobs.get(&SOURCE), &CHANNELS, seed).await?;
            for (place, (id, name, way)) in ARMS.iter().enumerate() {
                context.progress(share.between(0.1, 1.0).part(place, ARMS.len()).at(0.0), name);
                let spec = session(&knobs, way)?;
                if way.is_empty() {
                    apart(context, id, &spec, &start, seed).await?;
                } else {
                    let ground = ground(context, &spec, 0..TASKS, &start, seed).await?;
                    whole(context, id, &ground).await?;
                }
            }
        }
        Ok(())
    })
}

/// The ground of some of the tasks.
async fn ground(
    context: &Context<'_>,
    spec: &ContinualSpec,
    which: Range<usize>,
    start: &Option<Rc<Vec<f32>>>,
    seed: u64,
) -> Result<Rc<Ground>, StudyError> {
    let tasks = streams::tasks(context, spec, which, seed).await?;
    Ok(Rc::new(Ground { start: start.clone(), ..Ground::over(spec, tasks, seed) }))
}

/// Parameters of a network below its outputs, and of one output.
async fn sizes(lane: &mut Lane<'_>) -> Result<[usize; 2], StudyError> {
    let layout = lane.parameters().await?.0;
    let head = layout.entries().iter().find(|entry| entry.name.starts_with("head."));
    Ok(head.map_or([layout.len(), 0], |head| [head.offset, head.shape[0] + 1]))
}

/// An arm that learns all tasks, one after another.
async fn whole(context: &mut Context<'_>, id: &str, ground: &Rc<Ground>) -> Result<(), StudyError> {
    let mut lane = learned(context, ground, &ground.spec.arms[0]).await?;
    let [below, output] = sizes(&mut lane).await?;
    let outputs = ground.tasks.outputs.len() as f64 / TASKS as f64;
    let added = match ground.spec.arms[0].last().strategy {
        Strategy::Clr => lane.record.cost.parameters as f64 / TASKS as f64,
        _ => output as f64 * outputs,
    };
    if id == "clr" && context.pictures(ground.seed) {
        // The set of the last task, which was tested last.
        let filters = lane.state("clr.theta").await?;
        context.results.keep("filters", figures::filters(&filters, CHANNELS[0], side(&context.results.knobs)));
    }
    let rows = lane.record.rows();
    let outcome = context.results.record(id, ground.seed)?;
    conclude(outcome, &lane.record, guessing(&ground.tasks));
    outcome.number(ADDED, added);
    outcome.number(SHARE, 100.0 * added / (below as f64 + output as f64 * outputs));
    for (after, row) in rows.iter().enumerate() {
        for (task, accuracy) in row.iter().enumerate().take(after + 1) {
            outcome.point(KEPT.of(task as u64), (after + 1) as f64, 100.0 * accuracy);
        }
    }
    Ok(())
}

/// Mean accuracy of guessing over the tasks, in percent.
fn guessing(tasks: &Tasks) -> f64 {
    let guessed: f64 = tasks.of_task.iter().map(|outputs| 1.0 / outputs.len() as f64).sum();
    100.0 * guessed / tasks.of_task.len() as f64
}

/// An arm with a network for each task: nothing is shared but the start.
async fn apart(
    context: &mut Context<'_>,
    id: &str,
    spec: &ContinualSpec,
    start: &Option<Rc<Vec<f32>>>,
    seed: u64,
) -> Result<(), StudyError> {
    let (mut sum, mut parameters) = (0.0, 0.0);
    for task in 0..TASKS {
        let ground = ground(context, spec, task..task + 1, start, seed).await?;
        let mut lane = learned(context, &ground, &spec.arms[0]).await?;
        parameters += lane.parameters().await?.1.len() as f64 / TASKS as f64;
        sum += accuracy(&lane.record, guessing(&ground.tasks));
        let outcome = context.results.record(id, seed)?;
        outcome.point(SEEN, (task + 1) as f64, sum / (task + 1) as f64);
        lane.record.diverged.into_iter().for_each(|update| outcome.number(DIVERGED, update as f64));
    }
    let outcome = context.results.record(id, seed)?;
    outcome.number(FINAL, sum / TASKS as f64);
    outcome.number(ADDED, parameters);
    outcome.number(SHARE, 100.0);
    Ok(())
}

fn answer(results: &Results) -> Answer {
    let [clr, tune, ewc, probe, norms, filters, apart] =
        ["clr", "tune", "ewc", "probe", "norms", "filters", "apart"].map(|arm| results.sample(arm, FINAL));
    let why_not = match (results.knobs.get(&SOURCE), results.knobs.get(&KERNEL)) {
        (Source::Clothes, _) => Some("two of the tasks show the clothes that the anchor was trained on"),
        (Source::Random, _) => Some("the claim is about an anchor that was trained"),
        (Source::Letters, Side::One | Side::Five) => Some("the claim is about filters of 3×3"),
        (Source::Letters, Side::Three) => None,
    };
    let tested = |judged: Judged| judged.given(why_not.is_none(), why_not.unwrap_or_default());
    let above = |name: &str, other: &Sample, bound| {
        tested(Judged::every_seed(format!("CLR above {name} by"), &clr.minus(other), bound, "points"))
    };
    let forgotten = FROZEN.map(|arm| results.sample(arm, FORGETTING));
    let most = forgotten.iter().fold(forgotten[0].clone(), |most, one| most.with(one, |a, b| a.abs().max(b.abs())));
    let forgets = Judged::every_seed("what frozen networks forget", &most, Bound::AtMost(0.0), "points");
    let words = versus(["CLR", "fine-tuning"], [&clr, &tune], "%", true);
    let words = if clr.minus(&tune).is_empty() {
        words
    } else {
        words + " of all tasks' pictures right" + &alone(&clr, &filters)
    };
    Answer::new(above("fine-tuning", &tune, Bound::AtLeast(10.0)), words + ".")
        .also([
            forgets.given(most.len() == clr.len(), "one of them diverged"),
            above("EWC", &ewc, Bound::Above(0.0)),
            above("outputs alone", &probe, Bound::AtLeast(GAIN)),
            above("filters alone", &filters, Bound::AtLeast(0.0)),
            above("norms alone", &norms, Bound::AtLeast(0.0)),
            tested(Judged::every_seed(
                "CLR below a network per task by",
                &apart.minus(&clr),
                Bound::AtMost(3.0),
                "points",
            )),
            tested(Judged::mean(
                "parameters that a task adds, relative to a network's",
                &results.sample("clr", SHARE),
                Bound::Below(5.0),
                "%",
            )),
        ])
        .more(numbers(results))
        .more(results.diverged_in_words("guessing"))
}

fn numbers(results: &Results) -> String {
    let sample = |arm: &str| results.sample(arm, FINAL);
    let mut said = Vec::new();
    if !sample("apart").is_empty() {
        let [ewc, apart, probe, norms, filters] =
            ["ewc", "apart", "probe", "norms", "filters"].map(|arm| sample(arm).mean_in_words());
        said.push(format!(
            "EWC reaches {ewc}%, a network for each task {apart}%. New outputs alone reach {probe}%, with norms {norms}%, with \
             filters {filters}%."
        ));
    }
    said.extend(room(&sample("apart").minus(&sample("probe"))));
    said.join(" ")
}

/// What is to be said where a network for each task gains less over outputs alone than CLR should.
fn room(gain: &Sample) -> Option<String> {
    (gain.mean() < GAIN).then(|| {
        let points = gain.mean_in_words();
        format!("Even a network for each gains only {points} points over outputs alone: there is little to gain on this anchor.")
    })
}

/// What is to be said where CLR's lead over filters alone is within its deviation.
fn alone(clr: &Sample, filters: &Sample) -> String {
    let lead = clr.minus(filters);
    let deviation = lead.deviation().max(0.0);
    if lead.is_empty() || lead.mean() > deviation {
        return String::new();
    }
    let do_well = if lead.mean() < -deviation { "do better" } else { "do as well" };
    format!("; filters alone, without norms, {do_well} ({}%)", filters.mean_in_words())
}
