//! PyTorch-Direct: enabling GPU-centric data access for very large graph neural network training (Min et al. 2021).

mod network;

use engine::executor::Executor;
use engine::figure::{Axis, Mark, Role, brief};
use engine::model::Mode;
use engine::numeric::{mean, median};
use engine::tape::{Play, StepId};

use super::fetch::{Fetcher, Load, Way, lines};
use super::image_graph::ImageGraph;
use super::names::{ACCURACY, LOSS};
use super::plot::{arm_axis, axis, in_words, log_axis};
use super::{
    Answer, Bound, Context, Curve, Judged, Knob, Knobs, Label, Number, Plot, Protocol, Results, Sample, Share, Study,
    StudyError, versus,
};
use network::{LABELS, NET, accuracy, step};

pub(super) const STUDY: Study = Study {
    id: 4,
    slug: "pytorch-direct",
    title: "Who fetches the neighbours?",
    paper: "PyTorch-Direct: Enabling GPU Centric Data Access for Very Large Graph Neural Network Training with Irregular \
            Accesses",
    authors: "Min, Wu, Huang, Hidayetoglu, Xiong, Ebrahimi, Chen, Hwu",
    year: 2021,
    source: "https://arxiv.org/abs/2101.07956",
    themes: &["systems", "graph network", "memory"],
    claim: "If the GPU itself fetches the scattered feature rows of a graph mini-batch, instead of the CPU gathering them \
            into a staging buffer and copying it, less data and less time go into moving, and training gets faster \
            without computing anything else.",
    why: "A graph network's mini-batch reads thousands of rows scattered over a large table. Gathered by the CPU, every \
          byte is read, written to a staging buffer and read again before it crosses. Moved page by page, most of what \
          crosses was not asked for. Fetched by the device that needs them, only row numbers cross: moving the request \
          is cheaper than moving the data. What a device reads straight from host memory it reads in lines of 128 bytes; \
          a circular shift of threads over a row keeps warps on line boundaries, so that no line is asked for twice.",
    differs: "A page cannot let the GPU read the memory of WebAssembly, so zero-copy itself is replaced by a table that lives \
              on the device; the question, who performs the irregular access and how many bytes move, stays. Nodes are \
              MNIST images with their 10 nearest neighbours in a 50-dimensional random projection, the network is a \
              two-layer GraphSAGE. Cache lines are counted, not timed. On the CPU there is no transfer: bytes, lines and \
              the extra copy are shown, the claim about time needs a GPU.",
    seconds: 50.0,
    knobs: &[&WIDTH, &BATCH, &FAN_OUT, &RESIDENT, &NODES, &STEPS],
    protocol: Protocol::Program { arms, run: |context| Box::pin(compare(context)), timed: true },
    figures,
    answer,
    ..Study::BASE
};

crate::options! {
    Width {
        Pixels = "784", "784 (pixels)";
        Hundred = "100", "100 (projected)";
        Odd = "33", "33 (projected)";
    }
}

const WIDTH: Knob<Width> =
    Knob::choice("width", "Features", "floats of a row; 33 never align with lines of 32", Width::Pixels);
const BATCH: Knob<usize> = Knob::integer("batch", "Images per step", "more images, more rows to fetch", [16, 256], 128);
const FAN_OUT: Knob<usize> =
    Knob::integer("fan_out", "Neighbours read", "of each image, two hops: rows grow with its square", [1, 10], 5);
const RESIDENT: Knob<usize> = Knob::integer(
    "resident",
    "Resident rows",
    "percent of the table on the device, in the arm that keeps a part there",
    [5, 95],
    50,
);
const NODES: Knob<usize> =
    Knob::integer("nodes", "Nodes", "images in the graph, 80% of them for training", [1000, 10_000], 10_000);
const STEPS: Knob<usize> = Knob::integer("steps", "Steps", "updates of each arm and seed", [10, 400], 40);

/// Features and row numbers that cross in each step, in the mean of all, and as the executor counted them.
const BYTES: Curve = Curve::new("bytes", "B");
const MOVED: Number = Number::new("moved", "MB");
const COUNTED: Number = Number::new("counted", "MB");
/// Rows wanted that were on the device.
const HIT_RATE: Number = Number::new("hit_rate", "%");
/// Largest difference of the loss from the staged arm's at any step.
const DIFFERENCE: Number = Number::new("difference", "");
/// Median time of a step's phases, and of all of it.
const PHASES: [Number; 4] = [
    Number::new("sample_ms", "ms"),
    Number::new("gather_ms", "ms"),
    Number::new("upload_ms", "ms"),
    Number::new("compute_ms", "ms"),
];
const STEP_MS: Number = Number::new("step_ms", "ms");
/// Cache lines per row, by the row's width, with threads in a straight line and shifted.
const LINES: [Number; 2] = [Number::new("lines_plain", ""), Number::new("lines_shifted", "")];
/// Widths for which they are counted.
const LINE_WIDTHS: [usize; 3] = [784, 100, 33];

fn arms(knobs: &Knobs) -> Vec<Label> {
    vec![
        Label::baseline("A", "staged"),
        Label::new("B", "resident"),
        Label::baseline("C", "paged").dashed(),
        Label::new("P", format!("{}% resident", knobs.get(&RESIDENT))).dashed(),
    ]
}

const LEARNING_RATE: f64 = 3e-3;
/// Steps before the clock runs: first use of a kernel compiles it.
const WARM_UP: usize = 3;
/// Evaluations on part of the test nodes during a run.
const EVALUATIONS: usize = 5;
/// Share of the study's work that building the graph takes.
const BUILT: f64 = 0.05;

async fn compare(context: &mut Context<'_>) -> Result<(), StudyError> {
    let knobs = context.results.knobs.clone();
    let width = match knobs.get(&WIDTH) {
        Width::Pixels => None,
        Width::Hundred => Some(100),
        Width::Odd => Some(33),
    };
    let step = [knobs.get(&BATCH), knobs.get(&FAN_OUT)];
    let graph = ImageGraph::build(context, knobs.get(&NODES), width, step, BUILT).await?;
    let ways = [
        ("A", Way::Staged),
        ("B", Way::Resident(graph.nodes())),
        ("C", Way::Paged),
        ("P", Way::Resident(graph.nodes() * knobs.get(&RESIDENT) / 100)),
    ];
    let (by_use, steps) = (graph.by_use(), knobs.get(&STEPS));
    for (seed, share) in context.seeds(Share::ALL.between(BUILT, 1.0)) {
        for (place, (arm, way)) in ways.into_iter().enumerate() {
            let fetcher = Fetcher::new(way, &graph.features, graph.width, graph.rows(), &by_use);
            let arm = Arm { graph: &graph, fetcher, arm, seed, steps };
            arm.train(context, share.part(place, ways.len())).await?;
        }
        memory(context, &graph, seed, steps)?;
    }
    Ok(())
}

/// Lines that a device would request for the rows of every step, for rows of several widths; of the first step a picture.
fn memory(context: &mut Context<'_>, graph: &ImageGraph, seed: u64, steps: usize) -> Result<(), StudyError> {
    let rows: Vec<u32> = (0..steps).flat_map(|step| graph.training(seed, step)).collect();
    let outcome = context.results.record("B", seed)?;
    for width in LINE_WIDTHS {
        for (shifted, number) in [false, true].into_iter().zip(LINES) {
            let count = lines::count(&rows, width, shifted);
            outcome.number(number.of(width as u64), count as f64 / rows.len() as f64);
        }
    }
    let of_a_step = &rows[..graph.rows().min(rows.len())];
    context.results.keep("memory", lines::strip(of_a_step, graph.width, graph.features.len()));
    Ok(())
}

/// One arm with one seed.
struct Arm<'w> {
    graph: &'w ImageGraph,
    fetcher: Fetcher<'w>,
    arm: &'w str,
    seed: u64,
    steps: usize,
}

impl Arm<'_> {
    async fn train(&self, context: &mut Context<'_>, share: Share) -> Result<(), StudyError> {
        let Self { graph, ref fetcher, arm, seed, steps } = *self;
        let mut play = context.play(seed).await?;
        play.table(&fetcher.table(), &fetcher.contents())?;
        let train = play.add(step(graph, fetcher, Mode::Train)?).await?;
        let test = play.add(step(graph, fetcher, Mode::Eval)?).await?;
        play.rate(NET, LEARNING_RATE)?;
        for number in 0..WARM_UP {
            self.update(context, &mut play, train, number).await?;
        }
        play.restart(seed)?;
        play.metrics(train).await?;
        let (mut hits, mut times, mut tested) = ([0, 0], vec![], 0);
        let before = play.executor()?.counters().bytes_uploaded;
        for number in 0..steps {
            let (load, phases) = self.update(context, &mut play, train, number).await?;
            hits = [hits[0] + load.hits[0], hits[1] + load.hits[1]];
            times.push(phases);
            context.results.record(arm, seed)?.point(BYTES, number as f64, load.bytes() as f64);
            let last = number + 1 == steps;
            if (number + 1) % steps.div_ceil(EVALUATIONS) == 0 || last {
                let trained = play.executor()?.counters().bytes_uploaded;
                let accuracy = accuracy((&mut play, test), (graph, fetcher), if last { usize::MAX } else { 4 }).await?;
                let outcome = context.results.record(arm, seed)?;
                outcome.number(COUNTED, (trained - before - tested) as f64 / 1e6 / (number + 1) as f64);
                tested += play.executor()?.counters().bytes_uploaded - trained;
                let spent: Vec<f64> = times.iter().map(|phases| phases.iter().sum()).collect();
                outcome.reading(ACCURACY, spent.iter().sum::<f64>() / 1e3, accuracy);
                outcome.number(STEP_MS, median(&spent));
                for (phase, number) in PHASES.into_iter().enumerate() {
                    outcome.number(number, median(&times.iter().map(|phases| phases[phase]).collect::<Vec<_>>()));
                }
                let message = format!("arm {arm}, seed {seed}: step {} of {steps}", number + 1);
                context.progress(share.at((number + 1) as f64 / steps as f64), &message);
            }
            context.breathe().await?;
        }
        let losses = play.metrics(train).await?.remove("loss").unwrap_or_default();
        let staged = context.results.outcome("A", seed).map_or_else(Vec::new, |outcome| outcome.curve(LOSS).to_vec());
        let outcome = context.results.record(arm, seed)?;
        losses.iter().zip(0..).for_each(|(&loss, at)| outcome.point(LOSS, f64::from(at), f64::from(loss)));
        if arm != "A" && staged.len() == losses.len() {
            outcome.number(DIFFERENCE, furthest(&staged, &losses));
        }
        outcome.number(MOVED, mean(&outcome.curve(BYTES).iter().map(|point| point[1] / 1e6).collect::<Vec<_>>()));
        outcome.number(HIT_RATE, 100.0 * hits[0] as f64 / hits[1] as f64);
        outcome.done = true;
        Ok(())
    }

    /// One update, and the milliseconds of its phases. Each is waited for: what a device does behind its back belongs to it.
    async fn update(
        &self,
        context: &Context<'_>,
        play: &mut Play<'_>,
        step: StepId,
        number: usize,
    ) -> Result<(Load, [f64; 4]), StudyError> {
        let mut clock = vec![context.now_ms()];
        let rows = self.graph.training(self.seed, number);
        clock.push(context.now_ms());
        let load = self.fetcher.gather(&rows);
        clock.push(context.now_ms());
        self.fetcher.upload(play.executor()?, &load)?;
        play.executor()?.wait().await?;
        clock.push(context.now_ms());
        play.submit(step, &load.inputs(LABELS, &self.graph.classes(&rows))).await?;
        play.executor()?.wait().await?;
        clock.push(context.now_ms());
        Ok((load, [0, 1, 2, 3].map(|phase| clock[phase + 1] - clock[phase])))
    }
}

/// The largest difference of two runs' losses; infinite where one is not a number.
fn furthest(staged: &[[f64; 2]], losses: &[f32]) -> f64 {
    let apart = staged.iter().zip(losses).map(|(point, &loss)| (point[1] - f64::from(loss)).abs());
    apart.map(|apart| if apart.is_nan() { f64::INFINITY } else { apart }).fold(0.0, f64::max)
}

fn figures(results: &Results) -> Vec<Plot> {
    let arms = &results.arms;
    let means = |number| arms.iter().map(|label| results.sample(&label.id, number).mean()).collect();
    let of_width =
        |number: Number| LINE_WIDTHS.iter().map(|&width| results.sample("B", number.of(width as u64)).mean()).collect();
    let roles = [("sample", Role::Other), ("gather", Role::Lr), ("upload", Role::Test), ("compute", Role::Train)];
    let phases = roles.into_iter().zip(PHASES).map(|((name, role), number)| (name, role, means(number)));
    let lines = [("straight", Role::Other, of_width(LINES[0])), ("shifted", Role::Train, of_width(LINES[1]))];
    let widths = Axis { categories: LINE_WIDTHS.map(|width| format!("{width} floats")).to_vec(), ..Axis::default() };
    let of_last_seed = |label: &Label| {
        let curves = results.outcomes(&label.id).map(|(_, outcome)| outcome.curve(ACCURACY).to_vec());
        let points = curves.filter(|points| !points.is_empty()).last()?;
        Some(Mark::line(&label.name, label.role, label.dash, points))
    };
    let axes = [axis("time spent on steps", "s"), axis("test accuracy", "%")];
    let columns = [
        ("moved per step", MOVED),
        ("time per step", STEP_MS),
        ("test accuracy", ACCURACY.last()),
        ("loss differs by", DIFFERENCE),
        ("rows found on the device", HIT_RATE),
    ];
    vec![
        Plot::bars("bytes", "Bytes from host to device", [arm_axis(arms), log_axis("per step", "MB")], [(
            "moved",
            Role::Train,
            means(MOVED),
        )])
        .meaning("Counted exactly, for features and row numbers: moving the request is cheaper than moving the data.")
        .says(in_words(results, arms, MOVED))
        .empty("A bar for each arm."),
        Plot::bars("time", "A step's time, phase by phase", [arm_axis(arms), axis("time per step", "ms")], phases)
            .stacked()
            .meaning(
                "Medians over the steps. All arms train the same network on the same rows; where the device gathers them, that \
                 is a part of what it computes.",
            )
            .value(&*results.backend)
            .says(in_words(results, arms, STEP_MS))
            .empty("Stacked bars: sample, gather, upload, compute."),
        Plot::picture(results, "memory", "memory", "What is asked for, and what moves")
            .meaning("The start of the feature table in one step: coloured where bytes are needed, or where they move.")
            .empty("A strip of the table, after the first seed."),
        Plot::of("accuracy", "Test accuracy against wall time", axes, arms.iter().filter_map(of_last_seed).collect())
            .meaning(
                "The same updates in the same order, sooner or later. One line per arm, of its last finished seed; only its last \
                 point is over all test nodes.",
            )
            .says(in_words(results, arms, ACCURACY))
            .empty("A line for each arm."),
        Plot::bars("lines", "Cache lines per row", [widths, axis("lines per row", "")], lines)
            .meaning(
                "Requests of 128 bytes if a device read rows from host memory: the circular shift asks for no line twice.",
            )
            .empty("Bars with and without the shift, for three widths."),
        Plot::table(results, "The arms in numbers", &columns)
            .meaning("Losses are compared with the staged arm's, step by step."),
    ]
}

fn answer(results: &Results) -> Answer {
    let sample = |arm: &str, number: Number| results.sample(arm, number);
    let [staged, resident, paged, partly] = ["A", "B", "C", "P"].map(|arm| sample(arm, MOVED));
    let [staged_ms, resident_ms] = ["A", "B"].map(|arm| sample(arm, STEP_MS));
    let percent = resident.with(&staged, |part, whole| 100.0 * part / whole);
    let time = "resident step faster than staged";
    let time = Judged::most_seeds(time, &staged_ms.over(&resident_ms), Bound::AtLeast(1.3), "×", [2, 3])
        .given(results.gpu, "no real GPU took part");
    let words = if staged.is_empty() {
        "Nothing was measured.".to_owned()
    } else if results.gpu {
        let names = ["The resident arm", "the staged one"];
        format!("{} per step.", versus(names, [&resident_ms, &staged_ms], "ms", false))
    } else {
        format!(
            "Without a GPU nothing crosses to another device, and the claim is about that time. The resident arm moves {}% of the \
             bytes; the staged one spends {} ms per step on gathering and copying.",
            percent.mean_in_words(),
            sample("A", PHASES[1]).with(&sample("A", PHASES[2]), |a, b| a + b).mean_in_words(),
        )
    };
    let more = || {
        format!(
            "Staged, {} MB per step moved; resident {}% of that, paged {} times as much, with {}% of the rows resident {} MB \
             (hit rate {}%).",
            brief(staged.mean()),
            percent.mean_in_words(),
            paged.over(&staged).mean_in_words(),
            results.knobs.get(&RESIDENT),
            brief(partly.mean()),
            sample("P", HIT_RATE).mean_in_words(),
        )
    };
    let every = |name: &str, sample: &Sample, bound, unit| Judged::every_seed(name, sample, bound, unit);
    let same = |(arm, name): (&str, &str)| {
        let name = format!("largest difference of losses, {name} and staged");
        every(&name, &sample(arm, DIFFERENCE), Bound::Below(1e-4), "")
    };
    let [plain, shifted] = LINES.map(|number| sample("B", number.of(33)));
    let saved = shifted.with(&plain, |a, b| 100.0 * (1.0 - a / b));
    Answer::new(time, words)
        .more(if staged.is_empty() { String::new() } else { more() })
        .also([
            every("bytes of the resident arm, relative to the staged one", &percent, Bound::AtMost(0.2), "%")
                .given(results.knobs.get(&WIDTH) == Width::Pixels, "the bound is for rows of 784 floats"),
            every("bytes of the paged arm, relative to the staged one", &paged.over(&staged), Bound::AtLeast(1.2), "×"),
        ])
        .also([("B", "resident"), ("C", "paged"), ("P", "partly resident")].map(same))
        .also([every("lines saved by the shift, rows of 33 floats", &saved, Bound::AtLeast(20.0), "%")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_help::unmeasured;
    use crate::test_host::TestHost;
    use crate::{Settings, run};
    use engine::figure::Holds;
    use engine::optim;

    /// The whole study, small: counters against their formulas, losses and accuracy of all arms against each other.
    #[test]
    fn arms_differ_in_what_moves_and_in_nothing_else() {
        let knobs = [("nodes", "1000"), ("steps", "10"), ("batch", "16"), ("fan_out", "3"), ("width", "33")];
        let knobs = knobs.map(|(id, value)| (id.to_owned(), value.to_owned())).to_vec();
        let settings = Settings { knobs, seeds: 2, first_seed: 5 };
        let finished = pollster::block_on(run(&STUDY, &settings, &TestHost::new(u32::MAX))).unwrap();
        let results = &finished.results;
        assert_eq!(results.finished(), 8);
        let rows = 16.0 * (1.0 + 3.0 + 9.0);
        // Classes of the seeds and the hyper-parameters cross in every arm.
        let overhead = 4.0 * (16.0 + optim::hyper(&network::optimizer(), 0.0, 0).len() as f64);
        for seed in [5, 6] {
            let number = |arm: &str, number: Number| results.outcome(arm, seed).unwrap().numbers[&number];
            let bytes = |arm: &str, megabytes: Number| (1e6 * number(arm, megabytes)).round();
            assert_eq!([bytes("A", MOVED), bytes("B", MOVED)], [rows * 33.0 * 4.0, rows * 4.0]);
            assert_eq!([number("A", HIT_RATE), number("B", HIT_RATE)], [0.0, 100.0]);
            assert!(number("P", HIT_RATE) > 50.0, "rows used most are on the device");
            for arm in ["A", "B", "C", "P"] {
                assert!((bytes(arm, COUNTED) - bytes(arm, MOVED) - overhead).abs() <= 1.0, "arm {arm}");
                assert_eq!(number(arm, ACCURACY.last()), number("A", ACCURACY.last()));
                assert!(arm == "A" || number(arm, DIFFERENCE) < 1e-5, "arm {arm}");
            }
        }
        assert_eq!(finished.verdict.holds, Holds::Untested, "without a GPU that stays untested");
    }

    #[test]
    fn losses_that_are_no_numbers_are_not_the_same() {
        let staged = [[0.0, 2.0], [1.0, 1.5]];
        assert_eq!(furthest(&staged, &[2.0, 1.25]), 0.25);
        assert_eq!(furthest(&staged, &[2.0, f32::NAN]), f64::INFINITY);
    }

    #[test]
    fn the_share_of_bytes_is_judged_for_rows_of_pixels_alone() {
        let holds = |width: &str, resident: f64| {
            let mut results = unmeasured(&STUDY, &[("width", width)], &[1]);
            results.record("A", 1).unwrap().number(MOVED, 10.0);
            results.record("B", 1).unwrap().number(MOVED, resident);
            answer(&results).verdict(&STUDY).also[0].holds
        };
        assert_eq!([holds("784", 0.013), holds("784", 0.3), holds("33", 0.3)], [Some(true), Some(false), None]);
    }

    #[test]
    fn time_is_judged_wherever_a_gpu_took_part() {
        let judged = |gpu: bool, resident: f64| {
            let mut results = unmeasured(&STUDY, &[], &[1, 2, 3]);
            results.gpu = gpu;
            for seed in 1..=3 {
                results.record("A", seed).unwrap().number(MOVED, 12.4);
                results.record("A", seed).unwrap().number(STEP_MS, 4.0);
                results.record("B", seed).unwrap().number(STEP_MS, resident);
            }
            answer(&results).verdict(&STUDY)
        };
        let answer = judged(true, 2.0).answer;
        let words = "The resident arm is ahead of the staged one: 2 against 4 ms per step.";
        assert!(answer.starts_with("Yes") && answer.ends_with(words), "{answer}");
        assert_eq!(judged(true, 3.9).holds, Holds::No);
        assert_eq!(judged(false, 2.0).holds, Holds::Untested);
    }
}
