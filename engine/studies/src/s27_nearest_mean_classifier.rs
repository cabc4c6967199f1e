//! A Simple Baseline that Questions the Use of Pretrained-Models in Continual Learning (Janson et al. 2022).

use std::rc::Rc;

use engine::continual::{Arm as Way, ContinualSpec, Descent, Network, Order, Record};

use super::continual::learned::{FINAL, FORGETTING, SEEN, conclude, ground, learn, trained_on_clothes};
use super::diverged::CHANCE;
use super::plot::axis;
use super::{
    Answer, Bound, Context, Judged, Knob, Knobs, Label, Number, Plot, Protocol, Results, Share, Study, StudyError,
    Task, versus,
};

pub(super) const STUDY: Study = Study {
    id: 27,
    slug: "nearest-mean-classifier",
    title: "The method that does nothing is the hardest to beat",
    paper: "A Simple Baseline that Questions the Use of Pretrained-Models in Continual Learning",
    authors: "Janson, Zhang, Aljundi, Elhoseiny",
    year: 2022,
    source: "https://arxiv.org/abs/2210.04428",
    themes: &["continual learning", "forgetting", "pre-training"],
    claim: "Where every method starts from the same pre-trained network, averaging its frozen features by class, with no \
            training at all on the stream, matches or beats elaborate continual-learning methods.",
    why: "A class mean is a sum: no later class can change it, in whatever order examples come. What is lost as classes \
          accumulate is lost to competition alone. So a comparison of continual-learning methods on a pre-trained network \
          says little unless it beats the means of that network.",
    differs: "A convnet of three strided convolutions (16, 32 and 64 channels, 23 thousand weights, no norms) trained \
              on 6,000 pictures of clothes instead of a vision transformer trained on ImageNet-21k; five tasks of two \
              digits each from MNIST instead of CIFAR-100, CoRe50 and others. Every method passes over a task twice at \
              a rate that was not tuned (Adam at 5e-4, the linear probe SGD at 0.1); the class means are the same \
              after one pass. Replay keeps pictures drawn evenly from all that has passed, and adds as many of them to \
              each batch as the batch has. Work is counted in floating-point operations and stands for time.",
    seeds: 3,
    seconds: 55.0,
    knobs: &[&SOURCE, &SHOTS, &LAMBDA, &KEPT],
    protocol: Protocol::Program { arms, run, timed: false },
    figures,
    answer,
    ..Study::BASE
};

crate::options! {
    Source {
        Clothes = "clothes", "clothes";
        Random = "random", "nothing: random weights";
    }
}

const SOURCE: Knob<Source> =
    Knob::choice("source", "Pre-trained on", "what the features were made for", Source::Clothes);
const SHOTS: Knob<usize> =
    Knob::integer("shots", "Pictures per class", "per class of the stream, to learn from", [5, 800], 500);
const LAMBDA: Knob<f64> = Knob::number("lambda", "EWC λ", "how firmly EWC holds parameters", [0.1, 1e5], 100.0);
const KEPT: Knob<usize> = Knob::integer("kept", "Replay memory", "pictures that replay keeps", [10, 1000], 50);

/// Channels of the convolutions.
const CHANNELS: [usize; 3] = [16, 32, 64];
/// Pictures of clothes, and passes over them.
const PRETRAINING: [usize; 2] = [6000, 4];
/// Pixels of a side of a picture.
const SIDE: usize = 28;

/// Floating-point operations of learning: of all updates, and of the frozen network's pass over what they learn from.
const WORK: Number = Number::new("work", "MFLOP");

/// Arms by id, name and strategy as in links of the lab.
const ARMS: [(&str, &str, &str); 6] = [
    ("mean", "nearest mean", "nearest-mean"),
    ("tune", "fine-tuning", "fine-tuning"),
    ("probe", "linear probe", "linear-probe"),
    ("ewc", "EWC", "ewc"),
    ("replay", "replay", "replay"),
    ("joint", "joint training", "joint"),
];

fn arms(_: &Knobs) -> Vec<Label> {
    let label = |&(id, name, _): &(&str, &str, &str)| match id {
        "mean" => Label::new(id, name),
        // The other one that leaves the features as they are.
        "probe" => Label::new(id, name).dashed(),
        "ewc" => Label::baseline(id, name).dashed(),
        "replay" => Label::baseline(id, name).long_dashed(),
        "joint" => Label::baseline(id, name).dotted(),
        _ => Label::baseline(id, name),
    };
    ARMS.iter().map(label).collect()
}

fn session(knobs: &Knobs, way: &str) -> Result<ContinualSpec, StudyError> {
    let probe = way == "linear-probe";
    let mut spec = ContinualSpec {
        order: Order::Seed,
        examples: 2 * knobs.get(&SHOTS),
        tested: 0,
        passes: 2,
        network: Network::Convnet,
        hidden: CHANNELS.to_vec(),
        optimizer: if probe { Descent::Sgd } else { Descent::Adam },
        rate: if probe { 0.1 } else { 5e-4 },
        batch: 32,
        replayed: 32,
        readings: 1,
        window: 0,
        arms: vec![Way::read(way).map_err(StudyError::Other)?],
        ..ContinualSpec::default()
    };
    spec.turn("lambda", knobs.get(&LAMBDA));
    spec.turn("fisher", 256.0);
    spec.turn("memory", knobs.get(&KEPT) as f64);
    Ok(spec)
}

fn run<'a>(context: &'a mut Context) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        let knobs = context.results.knobs.clone();
        for (seed, share) in context.seeds(Share::ALL) {
            let clothes = match knobs.get(&SOURCE) {
                Source::Clothes => Some(Rc::new(trained_on_clothes(context, &CHANNELS, PRETRAINING, seed).await?)),
                Source::Random => None,
            };
            for (place, (id, name, way)) in ARMS.iter().enumerate() {
                context.progress(share.part(place, ARMS.len()).at(0.0), name);
                let spec = session(&knobs, way)?;
                let mut ground = ground(context, &spec, seed).await?;
                ground.start = clothes.clone();
                if spec.encodes() {
                    let start = match &clothes {
                        Some(theta) => theta.to_vec(),
                        // The start that the others have: what an arm of no updates ends with.
                        None => untrained(context, &spec, seed).await?,
                    };
                    ground.encode_by(context.play(seed).await?, &start).await?;
                }
                let seen: usize = if spec.encodes() { ground.tasks.train.iter().map(Vec::len).sum() } else { 0 };
                let (record, _) = learn(context, &Rc::new(ground), &spec.arms[0]).await?;
                let outcome = context.results.record(id, seed)?;
                outcome.number(WORK, work(&record, seen));
                conclude(outcome, &record, CHANCE);
            }
        }
        Ok(())
    })
}

/// Parameters of the session's network under a seed, untrained.
async fn untrained(context: &mut Context<'_>, spec: &ContinualSpec, seed: u64) -> Result<Vec<f32>, StudyError> {
    let plain = ContinualSpec { arms: vec![Way::new(engine::continual::Strategy::FineTuning)], ..spec.clone() };
    let ground = Rc::new(ground(context, &plain, seed).await?);
    let play = context.play(seed).await?;
    Ok(super::continual::Lane::new(&ground, &plain.arms[0], play, None).await?.parameters().await?.1)
}

/// Floating-point operations with which the convolutions see a picture: two for each weight and place.
fn sight() -> usize {
    let (mut work, mut below, mut side) = (0, 1, SIDE);
    for channels in CHANNELS {
        side = side.div_ceil(2);
        work += 2 * 9 * below * channels * side * side;
        below = channels;
    }
    work
}

/// [`WORK`] of an arm; `encoded`: pictures to learn from that the frozen network saw, each once.
fn work(record: &Record, encoded: usize) -> f64 {
    let updates = record.borders.last().copied().unwrap_or(0);
    (record.cost.flop as f64 * updates as f64 + (encoded * sight()) as f64) / 1e6
}

fn figures(results: &Results) -> Vec<Plot> {
    let axes = [axis("tasks seen", ""), axis("accuracy over their classes", "%")];
    vec![
        Plot::curves(results, "seen", "Accuracy as classes arrive", axes, &results.arms, SEEN)
            .meaning("A class mean stays where it is; what the nearest mean loses, it loses to newly arrived classes.")
            .empty("A line grows with every task that has been learned."),
        Plot::table(
            results,
            "What each method costs",
            &[("final accuracy", FINAL), ("forgetting", FORGETTING), ("work of learning", WORK)],
        )
        .meaning(
            "Over all ten classes after the last task. Work is that of all updates; where the network stays frozen, that of its \
             one pass over the pictures too. The training on clothes and EWC's Fisher information are not counted.",
        ),
    ]
}

fn answer(results: &Results) -> Answer {
    let sample = |arm: &str, number| results.sample(arm, number);
    let [mean, tuned, probe, ewc, replay, joint] =
        ["mean", "tune", "probe", "ewc", "replay", "joint"].map(|arm| sample(arm, FINAL));
    let best = tuned.with(&probe, f64::max).with(&ewc, f64::max);
    let possible = results.knobs.get(&SOURCE) == Source::Clothes;
    let why_not = "the claim is about a network that was trained before";
    let name = "nearest mean above fine-tuning, the linear probe and EWC by";
    let headline =
        Judged::every_seed(name, &mean.minus(&best), Bound::AtLeast(20.0), "points").given(possible, why_not);
    let behind = Judged::as_good("nearest mean below joint training by", &joint.minus(&mean), 10.0, "points");
    let work = sample("mean", WORK).over(&sample("tune", WORK)).with(&mean, |share, _| 100.0 * share);
    let name = "work of learning, the frozen network's pass included, relative to fine-tuning";
    let cheap = Judged::mean(name, &work, Bound::Below(5.0), "%");
    let words =
        versus(["The nearest mean", "the best of fine-tuning, linear probe and EWC"], [&mean, &best], "%", true);
    let more = if replay.is_empty() || joint.is_empty() {
        String::new()
    } else {
        let kept = results.knobs.get(&KEPT);
        let (replay, joint) = (replay.mean_in_words(), joint.mean_in_words());
        format!("Replay of {kept} pictures reaches {replay}%, joint training {joint}%.")
    };
    Answer::new(headline, words + ".")
        .also([behind.given(possible, why_not), cheap])
        .more(more)
        .more(results.diverged_in_words("guessing"))
}

#[cfg(test)]
#[test]
fn the_answer_follows_the_numbers() {
    let mut results = crate::test_help::unmeasured(&STUDY, &[], &[1]);
    for (arm, value) in
        [("mean", 80.0), ("tune", 20.0), ("probe", 55.0), ("ewc", 40.0), ("replay", 85.0), ("joint", 88.0)]
    {
        let outcome = results.record(arm, 1).unwrap();
        outcome.number(FINAL, value);
        outcome.number(WORK, if arm == "mean" { 1.0 } else { 100.0 });
    }
    let verdict = answer(&results).verdict(&STUDY);
    assert!(verdict.answer.starts_with("Yes. The nearest mean is ahead"), "{}", verdict.answer);
    assert!(verdict.checks().all(|check| check.holds == Some(true)));
    results.record("probe", 1).unwrap().number(FINAL, 65.0);
    assert!(answer(&results).verdict(&STUDY).answer.starts_with("No, not by enough."));
}

#[cfg(test)]
#[test]
fn frozen_features_cost_a_pass_and_a_run_that_diverged_guesses() {
    assert_eq!(sight(), 2 * 9 * (16 * 14 * 14 + 16 * 32 * 7 * 7 + 32 * 64 * 4 * 4));
    let mut record = Record { borders: vec![10], ..Record::default() };
    record.cost.flop = 1_000_000;
    record.diverged = Some(3);
    let mut results = crate::test_help::unmeasured(&STUDY, &[], &[1]);
    assert_eq!(work(&record, 0), 10.0);
    assert!((work(&record, 100) - 10.0 - 100.0 * sight() as f64 / 1e6).abs() < 1e-9);
    conclude(results.record("ewc", 1).unwrap(), &record, CHANCE);
    assert_eq!(results.sample("ewc", FINAL).mean(), CHANCE);
    crate::test_help::names_as_diverged(&STUDY, &results, "“EWC” with 1 of 1 seeds");
}
