//! The paper's title (its authors and year).

use super::{Answer, Arm, Bound, Judged, Knob, Knobs, Label, Plot, Protocol, Results, Study, versus};
use super::{names::TEST_LOSS, plot::axis};
use engine::spec::{DataSet, DataSpec, MlpSpec, ModelSpec, RunSpec, ScheduleSpec, Shape};

pub(super) const STUDY: Study = Study {
    id: 0,
    slug: "example",
    title: "Does a rate that falls end lower?",
    paper: "The paper's title",
    authors: "Its authors",
    year: 2026,
    source: "https://arxiv.org",
    themes: &["learning rate"],
    claim: "A cosine ends at a lower loss than a constant rate.",
    why: "Noise in proportion to the rate keeps a constant rate off the bottom.",
    differs: "Points in the plane instead of images.",
    seconds: 1.0,
    knobs: &[&PEAK],
    protocol: Protocol::Runs(arms),
    figures,
    answer,
    ..Study::BASE
};

const PEAK: Knob<f64> = Knob::number("peak", "Peak", "highest learning rate of both", [1e-3, 0.3], 0.03);

fn arms(knobs: &Knobs) -> Vec<Arm> {
    let data = DataSpec { train: 200, test: 100, ..DataSpec::of(DataSet::Mixture) };
    let model = ModelSpec::Mlp(MlpSpec { hidden: vec![8], ..MlpSpec::default() });
    let spec = RunSpec { data, model, steps: 100, ..RunSpec::default() };
    let arm = |label, kind| {
        let schedule = ScheduleSpec { kind, peak: knobs.get(&PEAK), ..ScheduleSpec::default() };
        Arm::new(label, RunSpec { schedule, ..spec.clone() })
    };
    vec![arm(Label::new("cosine", "cosine"), Shape::Cosine), arm(Label::baseline("const", "constant"), Shape::Constant)]
}

fn figures(results: &Results) -> Vec<Plot> {
    let axes = [axis("update", ""), axis("test loss", "nats")];
    let plot = Plot::curves(results, "loss", "Test loss", axes, &results.arms, TEST_LOSS);
    vec![plot.meaning("Where the rate falls, so does the loss.").empty("Lines grow while the arms train.")]
}

fn answer(results: &Results) -> Answer {
    let [cosine, constant] = ["cosine", "const"].map(|arm| results.sample(arm, TEST_LOSS));
    let lower = constant.minus(&cosine);
    let words = versus(["The cosine", "the constant rate"], [&cosine, &constant], "nats", false);
    Answer::new(Judged::mean("cosine below the constant rate", &lower, Bound::Above(0.0), "nats"), words + ".")
}

#[cfg(test)]
#[test]
fn the_answer_follows_the_numbers() {
    let mut results = crate::test_help::unmeasured(&STUDY, &[], &[1]);
    results.record("cosine", 1).unwrap().reading(TEST_LOSS, 100.0, 0.5);
    results.record("const", 1).unwrap().reading(TEST_LOSS, 100.0, 0.75);
    assert!(answer(&results).verdict(&STUDY).answer.starts_with("Yes. The cosine is ahead of the constant rate"));
}
