//! Discrete Key-Value Bottleneck (Träuble et al. 2023).

use std::rc::Rc;

use engine::continual::{Arm as Way, ContinualSpec, Head, Network, Order};

use super::continual::learned::{FINAL, FORGETTING, SEEN, conclude, ground, learn, trained_on_clothes};
use super::diverged::CHANCE;
use super::plot::axis;
use super::{
    Answer, Bound, Context, Judged, Knob, Knobs, Label, Plot, Protocol, Results, Share, Study, StudyError, Task, versus,
};

pub(super) const STUDY: Study = Study {
    id: 12,
    slug: "key-value-bottleneck",
    title: "The new class writes into cells that the old class never reads",
    paper: "Discrete Key-Value Bottleneck",
    authors: "Träuble, Goyal, Rahaman, Mozer, Kawaguchi, Bengio, Schölkopf",
    year: 2023,
    source: "https://arxiv.org/abs/2207.11240",
    themes: &["continual learning", "forgetting", "sparsity"],
    claim: "Classes arrive one after another, without task boundaries and without replay. A frozen encoder with a bank of sparse \
            key-value codes keeps nearly the accuracy that it would have had on mixed data, while a linear or MLP head on the \
            same stream collapses.",
    why: "Each example looks up the keys nearest to its features, and a gradient reaches only their values. Keys are fixed \
          before any label is seen, so classes that lie apart in the features write into different values, and what is not read \
          is not overwritten. The price is paid at once: the bottleneck is coarser than a linear head on mixed data.",
    differs: "Three strided convolutions (8, 16 and 32 channels) trained on 6,000 pictures of clothes instead of large \
              pre-trained encoders; MNIST in five episodes of two digits, 200 pictures per class and ten passes; 64 \
              codebooks of 256 pairs instead of 256 of 4,096; a value rate of 5, as the mean over codebooks shrinks \
              gradients. Each picture's features are scaled to one length. Keys are placed on the stream's own digits, all \
              classes without their labels, before it begins: no head gets these. The heads learn by plain SGD with a rate \
              of 0.1, which was not searched, without the codes' label smoothing and clipped gradients.",
    seeds: 3,
    seconds: 50.0,
    knobs: &[&CODEBOOKS, &PAIRS, &WIDTH, &RATE, &PASSES],
    protocol: Protocol::Program { arms, run, timed: false },
    figures,
    answer,
    ..Study::BASE
};

const CODEBOOKS: Knob<usize> = Knob::integer("codebooks", "Codebooks", "how many sets of keys take part", [1, 256], 64);
const PAIRS: Knob<usize> = Knob::integer("pairs", "Pairs", "key-value pairs per codebook", [1, 1024], 256);
const WIDTH: Knob<usize> = Knob::integer("width", "Key width", "dimensions of a key", [1, 32], 8);
const RATE: Knob<f64> = Knob::number("rate", "Value rate", "learning rate of the values", [0.01, 50.0], 5.0);
const PASSES: Knob<usize> = Knob::integer("passes", "Passes", "over each episode: heads forget by steps", [1, 40], 10);

/// Channels of the encoder's convolutions.
const CHANNELS: [usize; 3] = [8, 16, 32];
/// Pictures of clothes, and passes over them.
const PRETRAINING: [usize; 2] = [6000, 2];

/// Heads by id, name, strategy as in links of the lab, and widths of hidden layers.
const HEADS: [(&str, &str, &str, &[usize]); 3] = [
    ("codes", "key-value codes", "key-value", &[]),
    ("linear", "linear head", "fine-tuning", &[]),
    ("mlp", "MLP head", "fine-tuning", &[128]),
];
/// Tasks of the stream, and of the mixed reference.
const MIXED: [(usize, &str, &str); 2] = [(5, "", ""), (1, "/mixed", ", mixed data")];

fn arms(_: &Knobs) -> Vec<Label> {
    let label = |(id, name, _, _): &(&str, &str, &str, &[usize]), (tasks, suffix, words): (usize, &str, &str)| {
        let (id, name) = (format!("{id}{suffix}"), format!("{name}{words}"));
        let label = if id == "codes" { Label::new(&id, name) } else { Label::baseline(&id, name) };
        match tasks {
            1 => label.dotted(),
            _ if label.id == "mlp" => label.dashed(),
            _ => label,
        }
    };
    MIXED.iter().flat_map(|mixed| HEADS.iter().map(move |head| label(head, *mixed))).collect()
}

fn session(knobs: &Knobs, way: &str, hidden: &[usize], tasks: usize) -> Result<ContinualSpec, StudyError> {
    let mut spec = ContinualSpec {
        order: Order::Seed,
        tasks,
        examples: 2000 / tasks,
        tested: 0,
        passes: knobs.get(&PASSES) as u32,
        network: Network::Encoder,
        hidden: hidden.to_vec(),
        head: Head::Full,
        rate: 0.1,
        batch: 32,
        readings: 1,
        window: 0,
        arms: vec![Way::read(way).map_err(StudyError::Other)?],
        ..ContinualSpec::default()
    };
    let counts = [("codebooks", &CODEBOOKS), ("pairs", &PAIRS), ("key-width", &WIDTH)];
    counts.into_iter().for_each(|(id, knob)| spec.turn(id, knobs.get(knob) as f64));
    spec.turn("value-rate", knobs.get(&RATE));
    Ok(spec)
}

fn run<'a>(context: &'a mut Context) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        let knobs = context.results.knobs.clone();
        for (seed, share) in context.seeds(Share::ALL) {
            let theta = trained_on_clothes(context, &CHANNELS, PRETRAINING, seed).await?;
            for (part, (tasks, suffix, _)) in MIXED.into_iter().enumerate() {
                let share = share.part(part, MIXED.len());
                for (place, (id, name, way, hidden)) in HEADS.iter().enumerate() {
                    context.progress(share.part(place, HEADS.len()).at(0.0), name);
                    let spec = session(&knobs, way, hidden, tasks)?;
                    // The encoder is a network of its own: the one that was trained on clothes.
                    let encoder =
                        ContinualSpec { network: Network::Convnet, hidden: CHANNELS.to_vec(), ..spec.clone() };
                    let mut by = ground(context, &encoder, seed).await?;
                    by.encode_by(context.play(seed).await?, &theta).await?;
                    let mut ground = ground(context, &spec, seed).await?;
                    ground.features = by.features;
                    let (record, _) = learn(context, &Rc::new(ground), &spec.arms[0]).await?;
                    conclude(context.results.record(&format!("{id}{suffix}"), seed)?, &record, CHANCE);
                }
            }
        }
        Ok(())
    })
}

fn figures(results: &Results) -> Vec<Plot> {
    let axes = [axis("episodes seen", ""), axis("accuracy over their classes", "%")];
    let stream = results.labels(HEADS.iter().map(|(id, ..)| *id));
    vec![
        Plot::curves(results, "seen", "Accuracy as classes arrive", axes, &stream, SEEN)
            .meaning("What a new episode does to the old ones: a head's weights serve all classes, a value those that read it.")
            .empty("A line grows with every episode that has been learned."),
        Plot::table(results, "Stream and mixed data", &[("final accuracy", FINAL), ("forgetting", FORGETTING)])
            .meaning("Over all ten classes. What a head loses between mixed data and the stream is what the order of the classes \
                      cost it."),
    ]
}

fn answer(results: &Results) -> Answer {
    let sample = |arm: &str| results.sample(arm, FINAL);
    let [codes, linear, mlp] = ["codes", "linear", "mlp"].map(sample);
    let [mixed, linear_mixed] = ["codes/mixed", "linear/mixed"].map(sample);
    let better = linear.with(&mlp, f64::max);
    let name = "key-value codes above both heads on the stream by";
    let headline = Judged::every_seed(name, &codes.minus(&better), Bound::AtLeast(20.0), "points");
    let lost = Judged::every_seed("lost to the stream", &mixed.minus(&codes), Bound::AtMost(3.0), "points")
        .given(!results.both_diverged("codes", "codes/mixed"), "the codes diverge on both");
    let price = Judged::mean(
        "linear head on mixed data above the codes by",
        &linear_mixed.minus(&mixed),
        Bound::Above(0.0),
        "points",
    );
    let stream = versus(["the key-value bank on the stream", "the better head"], [&codes, &better], "%", true);
    let mixture = versus(["the key-value bank", "the linear head"], [&mixed, &linear_mixed], "%", true);
    Answer::new(headline, format!("Over all ten classes, {stream}."))
        .also([lost, price])
        .more(format!("On mixed data {mixture}."))
        .more(results.diverged_in_words(&format!("guessing ({CHANCE}%)")))
}

#[cfg(test)]
#[test]
fn the_answer_follows_the_numbers() {
    let mut results = crate::test_help::unmeasured(&STUDY, &[], &[1]);
    let numbers = [("codes", 90.0), ("linear", 60.0), ("mlp", 40.0), ("codes/mixed", 91.0), ("linear/mixed", 97.0)];
    for (arm, value) in numbers {
        results.record(arm, 1).unwrap().number(FINAL, value);
    }
    let verdict = answer(&results).verdict(&STUDY);
    assert!(verdict.answer.contains("the key-value bank on the stream is ahead"), "{}", verdict.answer);
    assert_eq!(verdict.measured, "On mixed data the key-value bank is behind the linear head: 91 against 97%.");
    assert!(verdict.checks().all(|check| check.holds == Some(true)));
    results.record("linear", 1).unwrap().number(FINAL, 75.0);
    assert!(answer(&results).verdict(&STUDY).answer.starts_with("No, not by enough."));
}

#[cfg(test)]
#[test]
fn a_head_that_diverged_guesses() {
    let mut results = crate::test_help::unmeasured(&STUDY, &[], &[1]);
    let record = engine::continual::Record { diverged: Some(7), borders: vec![10, 20], ..Default::default() };
    conclude(results.record("mlp", 1).unwrap(), &record, CHANCE);
    assert_eq!(results.sample("mlp", FINAL).0, [(1, CHANCE)]);
    crate::test_help::names_as_diverged(&STUDY, &results, "(10%): “MLP head” with 1 of 1 seeds");
}
