//! Escaping the Big Data Paradigm with Compact Transformers (Hassani et al. 2021).

use engine::figure::{Figure, Knob, Mark, Verdict};
use engine::spec::{
    BatchSpec, DataSet, DataSpec, ModelSpec, OptimizerSpec, Pooling, Positions, Rule, RunSpec, ScheduleSpec, Shape,
    Tokenizer, TransformerSpec,
};

use super::draw::{arm_axis, arm_table, axis, chart, curves, in_words, log_axis, seed_dots, with_alt};
use super::{Arm, Bound, Checks, Knobs, Label, Protocol, Results, Study};

pub(super) const STUDY: Study = Study {
    id: 15,
    slug: "cct",
    title: "Do small transformers need big data?",
    paper: "Escaping the Big Data Paradigm with Compact Transformers",
    authors: "Hassani, Walton, Shah, Abuduweili, Li, Shi",
    year: 2021,
    source: "https://arxiv.org/abs/2104.05704",
    themes: &["compact model", "vision", "small data"],
    claim: "With a convolutional tokenizer and sequence pooling, a small transformer learns from few images, where a \
            vision transformer of the same size lags far behind.",
    why: "Patches cut an image along a fixed grid: what crosses a border is lost, and that neighbouring pixels belong \
          together must be learned from data. A convolution with overlapping pooling brings that knowledge along and \
          keeps borders whole, so fewer images do. Sequence pooling replaces the class token by a learned, \
          input-dependent weighted mean over all tokens: nothing that an image token carries has to be routed through \
          one extra token first. The less data there are, the more such built-in knowledge is worth.",
    expected: "At 300 training images CCT beats ViT-Lite by at least 4 points on average and in every seed; sequence \
               pooling alone (CVT) does no harm; without positions CCT loses at most 3 points, while CVT becomes a bag of \
               patches, at least 20 points behind. With 1,437 images the gap shrinks but does not turn.",
    differs: "Digits of 8×8 pixels instead of CIFAR-10, and networks of 14 thousand parameters: width 32, two layers, two \
              heads, MLP ratio 1, 16 tokens in every arm. Plain pre-norm layers without dropout, stochastic depth, mixup or \
              label smoothing; 300 steps of AdamW instead of 200 epochs and more.",
    seeds: 3,
    flop: 3.8e11,
    knobs,
    also: &[["sizes", "full"]],
    protocol: Protocol::Runs(arms),
    figures,
    verdict,
};

/// All training images of the digits.
const ALL: usize = 1437;
const ACCURACY: &str = "accuracy";

const SIZES: &[engine::spec::Choice] = &[
    engine::spec::Choice::new("one", "this size"),
    engine::spec::Choice::new("full", "this and all 1,437"),
    engine::spec::Choice::new("curve", "100 to 1,437"),
];

fn knobs() -> Vec<Knob> {
    vec![
        Knob::integer("train", "Training images", "fewer images: what is built in counts for more", [100, 1437], 300),
        Knob::choice("sizes", "Set sizes", "adds arms A to C on other sizes, one seed each", SIZES, "one"),
        Knob::choice("tokenizer", "Your tokenizer", "how your own arm cuts the image", Tokenizer::CHOICES, "conv"),
        Knob::integer("kernel", "Your kernel", "larger kernels overlap more; even ones make 25 tokens", [2, 5], 3),
        Knob::choice("pool", "Your pooling", "how your arm's tokens become one vector", Pooling::CHOICES, "seq"),
        Knob::choice("positions", "Your positions", "what tells your arm where", Positions::CHOICES, "learned"),
    ]
}

/// The four choices in which the arms differ.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Design {
    tokenizer: Tokenizer,
    kernel: usize,
    pool: Pooling,
    positions: Positions,
}

const CCT: Design = Design { tokenizer: Tokenizer::Conv, kernel: 3, pool: Pooling::Seq, positions: Positions::Learned };
const CVT: Design = Design { tokenizer: Tokenizer::Patch, ..CCT };
const VIT: Design = Design { pool: Pooling::Class, ..CVT };

impl Design {
    /// The student's own, by the knobs.
    fn turned(knobs: &Knobs) -> Self {
        let patches = knobs.choice("tokenizer") == Tokenizer::Patch.id();
        Self {
            tokenizer: if patches { Tokenizer::Patch } else { Tokenizer::Conv },
            // Patches have no kernel: two designs that differ in nothing else are the same.
            kernel: if patches { CCT.kernel } else { knobs.integer("kernel") },
            pool: Pooling::from_id(knobs.choice("pool")).unwrap_or(CCT.pool),
            positions: Positions::from_id(knobs.choice("positions")).unwrap_or(CCT.positions),
        }
    }

    fn model(self) -> ModelSpec {
        let Self { tokenizer, kernel, pool, positions } = self;
        let base =
            TransformerSpec { patch: 2, blocks: 1, width: 32, depth: 2, heads: 2, ratio: 1, ..TransformerSpec::cct() };
        let spec = TransformerSpec { tokenizer, kernel, pool, positions, ..base };
        match (tokenizer, pool) {
            (Tokenizer::Conv, _) => ModelSpec::Cct(spec),
            (Tokenizer::Patch, Pooling::Class) => ModelSpec::Vit(spec),
            (Tokenizer::Patch, _) => ModelSpec::Cvt(spec),
        }
    }
}

fn spec(design: Design, train: usize) -> RunSpec {
    RunSpec {
        data: DataSpec { train, ..DataSpec::of(DataSet::Digits) },
        model: design.model(),
        optimizer: OptimizerSpec { kind: Rule::AdamW, weight_decay: 0.01, ..OptimizerSpec::default() },
        schedule: ScheduleSpec { kind: Shape::Cosine, peak: 2e-3, warmup: 20, ..ScheduleSpec::default() },
        batch: BatchSpec { size: 64, ..BatchSpec::default() },
        steps: if train < ALL { 300 } else { 400 },
        ..RunSpec::default()
    }
}

fn arms(knobs: &Knobs) -> Vec<Arm> {
    let train = knobs.integer("train");
    let none = Positions::None;
    let designs = [
        (Label::baseline("A", "ViT-Lite"), VIT),
        (Label::baseline("B", "CVT").dashed(), CVT),
        (Label::new("C", "CCT"), CCT),
        (Label::new("D", "CCT, no positions").dashed(), Design { positions: none, ..CCT }),
        (Label::baseline("E", "CVT, no positions").dotted(), Design { positions: none, ..CVT }),
    ];
    let views = |id: &str| -> &'static [&'static str] {
        match id {
            "A" => &["attention"],
            "C" => &["pool", "filters"],
            _ => &[],
        }
    };
    let arm = |(label, design): &(Label, Design)| Arm {
        views: views(&label.id),
        ..Arm::new(label.clone(), spec(*design, train))
    };
    let mut arms: Vec<Arm> = designs.iter().map(arm).collect();
    let own = Design::turned(knobs);
    if designs.iter().all(|(_, design)| *design != own) {
        arms.push(Arm::new(Label::new("Y", "yours").dotted(), spec(own, train)));
    }
    let sizes = further_sizes(knobs);
    let at_size = |size: usize| {
        designs[..3].iter().map(move |(label, design)| {
            let label = Label { id: at(&label.id, size), name: format!("{} on {size}", label.name), ..label.clone() };
            Arm { seeds: 1, ..Arm::new(label, spec(*design, size)) }
        })
    };
    arms.extend(sizes.into_iter().flat_map(at_size));
    arms
}

/// Sizes of the training set beyond the main one.
fn further_sizes(knobs: &Knobs) -> Vec<usize> {
    let all: &[usize] = match knobs.choice("sizes") {
        "curve" => &[100, 200, 400, 800, ALL],
        "full" => &[ALL],
        _ => &[],
    };
    all.iter().copied().filter(|&size| size != knobs.integer("train")).collect()
}

/// Id of an arm on another size of training set.
fn at(arm: &str, size: usize) -> String {
    format!("{arm}@{size}")
}

/// The arms on the main size.
fn main_arms(results: &Results) -> Vec<Label> {
    results.arms.iter().filter(|label| !label.id.contains('@')).cloned().collect()
}

fn figures(results: &Results) -> Vec<Figure> {
    let main = main_arms(results);
    let train = results.knobs.integer("train");
    let words = in_words(results, &main, ACCURACY, "%");
    let accuracy = chart(
        "accuracy",
        format!("Test accuracy after {train} training images"),
        "Each dot is a seed, the line their mean: all arms have 14 thousand parameters and 16 tokens.",
        [arm_axis(&main), axis("test accuracy", "%")],
        seed_dots(results, &main, ACCURACY),
    );
    let training = chart(
        "training",
        "Test accuracy while training",
        "Overlapping tokens pay off from the first steps; the band spans the seeds.",
        [axis("step", ""), axis("test accuracy", "%")],
        curves(results, &main, ACCURACY),
    );
    let mut figures = vec![
        with_alt(accuracy, &words, "Dots appear as runs end: five arms, three seeds."),
        with_alt(training, &words, "Lines grow while the arms train."),
        with_alt(
            size_figure(results),
            &words,
            "Turn “Set sizes” to train on more sizes than one; then a line for each of three arms.",
        ),
        table(results),
    ];
    let view = |arm: &str, view: &str, id: &str, title: &str, meaning: &str, empty: &str| {
        let picture = results.picture(&format!("{arm}/{view}")).cloned().unwrap_or_default();
        let alt = if picture.alt.is_empty() { title.to_owned() } else { picture.alt.clone() };
        Figure { id: id.into(), title: title.into(), meaning: meaning.into(), alt, empty: empty.into(), ..picture }
    };
    figures.push(view(
        "C",
        "pool",
        "pool",
        "Where CCT looks: sequence-pool weights",
        "The weight of each of the 4×4 tokens in the mean that is classified, laid over the digit.",
        "The weights over a digit, while CCT trains.",
    ));
    figures.push(view(
        "A",
        "attention",
        "attention",
        "Where ViT-Lite looks: attention",
        "What the class token reads from each patch, laid over the same digit.",
        "Attention over a digit, while ViT-Lite trains.",
    ));
    figures.push(view(
        "C",
        "filters",
        "filters",
        "CCT's tokenizer filters",
        "3×3 filters learned from a few hundred digits: edges and strokes.",
        "The filters, while CCT trains.",
    ));
    figures
}

/// Accuracy against the size of the training set: one line for each of the three designs.
fn size_figure(results: &Results) -> Figure {
    let main = results.knobs.integer("train");
    let mut sizes = further_sizes(&results.knobs);
    sizes.push(main);
    sizes.sort_unstable();
    let line = |label: &Label| {
        let point = |&size: &usize| {
            let id = if size == main { label.id.clone() } else { at(&label.id, size) };
            let mean = results.sample(&id, ACCURACY).mean();
            mean.is_finite().then_some([size as f64, mean])
        };
        let points: Vec<[f64; 2]> = sizes.iter().filter_map(point).collect();
        // A line of one point shows nothing that the dots above do not.
        (points.len() > 1).then(|| Mark::line(&label.name, label.role, label.dash, points))
    };
    chart(
        "size",
        "Accuracy against training-set size",
        "The gap between the lines is what the tokenizer is worth in data.",
        [log_axis("training images", ""), axis("test accuracy", "%")],
        results.labels(["A", "B", "C"]).iter().filter_map(line).collect(),
    )
}

fn table(results: &Results) -> Figure {
    let columns =
        [("test accuracy", ACCURACY, 1, " %"), ("test loss", "test_loss", 3, ""), ("parameters", "parameters", 0, "")];
    arm_table(results, "The arms in numbers", "Mean and standard deviation over the seeds.", &columns)
}

fn verdict(results: &Results) -> Verdict {
    let accuracy = |arm: &str| results.sample(arm, ACCURACY);
    let [a, b, c, d, e] = ["A", "B", "C", "D", "E"].map(accuracy);
    let gap = c.minus(&a);
    let mut checks = Checks::new();
    checks.mean("CCT above ViT-Lite", &gap, Bound::AtLeast(4.0), "points");
    checks.every_seed("CCT above ViT-Lite", &gap, Bound::Above(0.0), "points");
    checks.mean("CVT above ViT-Lite", &b.minus(&a), Bound::AtLeast(0.0), "points");
    checks.mean("CCT's loss without positions", &c.minus(&d), Bound::AtMost(3.0), "points");
    checks.every_seed("CCT above CVT, both without positions", &d.minus(&e), Bound::AtLeast(20.0), "points");
    let full = accuracy(&at("C", ALL)).minus(&accuracy(&at("A", ALL)));
    if results.has(&at("C", ALL)) {
        checks.every_seed("gap with all images", &full, Bound::AtLeast(0.0), "points");
        let shrunk = gap.mean() - full.mean();
        checks.value("by how much the gap shrinks with all images", shrunk, Bound::Above(0.0), "points");
    }
    let train = results.knobs.integer("train");
    let words = in_words(results, &main_arms(results), ACCURACY, "%");
    checks.verdict(&STUDY, format!("Test accuracy after {train} training images: {words}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_help::turned;
    use engine::figure::Holds;

    fn ids(knobs: &Knobs) -> Vec<String> {
        arms(knobs).into_iter().map(|arm| arm.label.id).collect()
    }

    #[test]
    fn every_arm_has_sixteen_tokens() {
        for arm in arms(&turned(&STUDY, &[])) {
            let (ModelSpec::Vit(model) | ModelSpec::Cvt(model) | ModelSpec::Cct(model)) = arm.spec.model else {
                panic!("arm {} is no transformer", arm.label.id);
            };
            assert_eq!(model.token_grid(8, 8), Some([4, 4]), "arm {}", arm.label.id);
        }
    }

    #[test]
    fn an_own_design_becomes_an_arm_unless_it_is_one_already() {
        assert_eq!(ids(&turned(&STUDY, &[])), ["A", "B", "C", "D", "E"]);
        assert_eq!(ids(&turned(&STUDY, &[("tokenizer", "patch"), ("kernel", "5")])), ["A", "B", "C", "D", "E"]);
        assert_eq!(ids(&turned(&STUDY, &[("kernel", "5")])), ["A", "B", "C", "D", "E", "Y"]);
        assert_eq!(ids(&turned(&STUDY, &[("sizes", "full")])), ["A", "B", "C", "D", "E", "A@1437", "B@1437", "C@1437"]);
    }

    #[test]
    fn specs_are_valid_as_they_are() {
        for arm in arms(&turned(&STUDY, &[("sizes", "curve"), ("pool", "mean"), ("positions", "sine")])) {
            assert_eq!(arm.spec.validate(), [], "arm {}", arm.label.id);
        }
    }

    fn filled(of_arm: impl Fn(&str, u64) -> f64) -> Results {
        let knobs = turned(&STUDY, &[]);
        let labels = arms(&knobs).into_iter().map(|arm| arm.label).collect();
        let mut results = Results::new(knobs, labels, vec![1, 2, 3]);
        for arm in ["A", "B", "C", "D", "E"] {
            for seed in 1..=3 {
                results.record(arm, seed).number(ACCURACY, of_arm(arm, seed));
            }
        }
        results
    }

    /// The pilot's means hold; a CCT that is no better does not, and says so.
    #[test]
    fn the_verdict_follows_the_numbers() {
        let pilot = |arm: &str| match arm {
            "A" => 81.0,
            "B" => 83.9,
            "C" => 88.2,
            "D" => 87.0,
            _ => 50.7,
        };
        assert_eq!(verdict(&filled(|arm, seed| pilot(arm) + seed as f64)).holds, Holds::Yes);
        assert_eq!(verdict(&filled(|_, _| 80.0)).holds, Holds::Partly);
        let one_bad_seed = filled(|arm, seed| if arm == "C" && seed == 2 { 70.0 } else { pilot(arm) });
        assert_eq!(verdict(&one_bad_seed).checks[1].holds, Some(false));
    }
}
