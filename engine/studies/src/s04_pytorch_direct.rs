//! PyTorch-Direct: enabling GPU-centric data access for very large graph neural network training (Min et al. 2021).

mod fetch;
mod lines;
mod neighbours;
mod sage;

use std::rc::Rc;

use engine::data::{Data, Rows, Split};
use engine::executor::Executor;
use engine::figure::{Axis, BarSeries, Figure, Grid, Mark, Role, Scale, brief};
use engine::numeric::median;
use engine::rng::{Rng, Stream};
use engine::spec::{DataSet, DataSpec};
use engine::tape::{Play, StepId, Words};

use super::names::{ACCURACY, LOSS};
use super::plot::{arm_axis, axis, in_words};
use super::{
    Answer, Bound, Context, Curve, Judged, Knob, Knobs, Label, Number, Outcome, Plot, Protocol, Results, Sample, Share,
    Study, StudyError, versus,
};
use fetch::{Fetcher, Load, PAGE, PLACES, Way};
use neighbours::Graph;
use sage::{CORRECT, LABELS, LOSS as LOSS_METRIC, NET, Sage};

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
const BATCH: Knob<usize> = Knob::integer("batch", "Seeds a step", "more seeds, more rows to fetch", [16, 256], 128);
const FAN_OUT: Knob<usize> = Knob::integer("fan_out", "Neighbours read", "rows grow with its square", [1, 10], 5);
const RESIDENT: Knob<usize> =
    Knob::integer("resident", "Resident rows", "percent of the table on the device in arm P", [5, 95], 50);
const NODES: Knob<usize> =
    Knob::integer("nodes", "Nodes", "images in the graph; 80% of them for training", [1000, 10_000], 10_000);
const STEPS: Knob<usize> = Knob::integer("steps", "Steps", "updates of each arm and seed", [10, 400], 40);

/// Features and row numbers that cross in each step, and their mean; what the executor counted.
const BYTES: Curve = Curve::new("bytes", "B");
const BYTES_PER_STEP: Number = Number::new("bytes_per_step", "B");
const COUNTED: Number = Number::new("counted_bytes_per_step", "B");
/// Rows wanted that were on the device.
const HIT_RATE: Number = Number::new("hit_rate", "%");
/// Median time of a step, and of its phases.
const STEP_MS: Number = Number::new("step_ms", "ms");
const PHASES: [Number; 4] = [
    Number::new("sample_ms", "ms"),
    Number::new("gather_ms", "ms"),
    Number::new("upload_ms", "ms"),
    Number::new("compute_ms", "ms"),
];
const PHASE_NAMES: [&str; 4] = ["sample", "gather", "upload", "compute"];
/// Cache lines a row, by the row's width, with threads in a straight line and shifted.
const LINES: [Number; 2] = [Number::new("lines_plain", ""), Number::new("lines_shifted", "")];

fn arms(knobs: &Knobs) -> Vec<Label> {
    vec![
        Label::baseline("A", "staged"),
        Label::new("B", "resident"),
        Label::baseline("C", "paged").dashed(),
        Label::new("P", format!("{}% resident", knobs.get(&RESIDENT))).dashed(),
    ]
}

/// Widths for which lines are counted.
const LINE_WIDTHS: [usize; 3] = [784, 100, 33];
/// Nearest neighbours of a node.
const DEGREE: usize = 10;
/// Dimensions in which they are found.
const PROJECTED: usize = 50;
/// Share of the study's work that building the graph takes.
const BUILT: f64 = 0.05;
/// Steps before the clock runs: first use of a kernel compiles it.
const WARM_UP: usize = 3;
/// Evaluations on part of the test nodes during a run.
const EVALUATIONS: usize = 5;
const LEARNING_RATE: f64 = 3e-3;

/// What every arm works on.
struct World {
    sage: Sage,
    steps: usize,
    /// Row-major, one row a node.
    features: Vec<f32>,
    labels: Vec<u32>,
    graph: Graph,
    /// Nodes from the one that most others have as a neighbour to the one that fewest have.
    by_use: Vec<u32>,
    /// Nodes before this one are for training.
    train: usize,
    resident: usize,
}

impl World {
    async fn build(context: &mut Context<'_>) -> Result<Self, StudyError> {
        let knobs = context.results.knobs.clone();
        let data = context.data(&DataSpec::of(DataSet::Mnist)).await?;
        let (pixels, labels, size) = nodes(&data, knobs.get(&NODES))?;
        let count = labels.len();
        let width = match knobs.get(&WIDTH) {
            Width::Pixels => size,
            Width::Hundred => 100,
            Width::Odd => 33,
        };
        context.progress(0.0, "projecting the images");
        context.breathe().await?;
        let points = neighbours::project(&pixels, size, PROJECTED, Rng::new(1, Stream::Generate, 0));
        let mut targets = Vec::with_capacity(count * DEGREE);
        for first in (0..count).step_by(100) {
            let range = first..(first + 100).min(count);
            targets.extend(neighbours::nearest(&points, count, DEGREE, range));
            context.progress(BUILT * first as f64 / count as f64, "finding nearest neighbours");
            context.breathe().await?;
        }
        let features = if width == size {
            pixels
        } else {
            let columns = neighbours::project(&pixels, size, width, Rng::new(1, Stream::Generate, 1));
            (0..count * width).map(|at| columns[at % width * count + at / width]).collect()
        };
        let graph = Graph::regular(targets, DEGREE.min(count - 1));
        let degrees = graph.in_degrees();
        let mut by_use: Vec<u32> = (0..count as u32).collect();
        by_use.sort_by_key(|&node| (std::cmp::Reverse(degrees[node as usize]), node));
        let sage = Sage { width, hidden: 64, batch: knobs.get(&BATCH), fan_out: knobs.get(&FAN_OUT) };
        let resident = count * knobs.get(&RESIDENT) / 100;
        Ok(Self { sage, steps: knobs.get(&STEPS), features, labels, graph, by_use, train: count * 4 / 5, resident })
    }

    fn way(&self, arm: &str) -> Way {
        match arm {
            "A" => Way::Staged,
            "B" => Way::Resident,
            "C" => Way::Paged,
            _ => Way::Partial { hot: self.resident },
        }
    }

    /// Rows that step `step` reads under a seed; the first of them are the seeds of the neighbourhoods.
    fn training_rows(&self, seed: u64, step: usize) -> Vec<u32> {
        let mut rng = Rng::new(seed, Stream::Sample, step as u32);
        let seeds: Vec<u32> = (0..self.sage.batch).map(|_| rng.below(self.train as u32)).collect();
        self.graph.neighbourhood(&seeds, self.sage.fan_out, &mut rng)
    }

    /// Rows for the test nodes `first` and on, which repeat from the start behind the last one.
    fn test_rows(&self, first: usize) -> Vec<u32> {
        let mut rng = Rng::new(0, Stream::Sample, first as u32);
        let test = self.labels.len() - self.train;
        let seeds: Vec<u32> = (0..self.sage.batch).map(|at| (self.train + (first + at) % test) as u32).collect();
        self.graph.neighbourhood(&seeds, self.sage.fan_out, &mut rng)
    }
}

/// Pixels, centred and scaled, and classes of the first `count` training images, and pixels of an image.
fn nodes(data: &Rc<Data>, count: usize) -> Result<(Vec<f32>, Vec<u32>, usize), StudyError> {
    let (Rows::U8(pixels), Some(labels)) = (data.rows(), data.labels()) else {
        return Err(StudyError::Other("the study needs images with classes".into()));
    };
    let size: usize = data.row_shape().iter().product();
    let range = data.range(Split::Train);
    let range = range.start..range.end.min(range.start + count);
    if range.len() < 2 * DEGREE || size == 0 {
        return Err(StudyError::Other(format!("{} images are too few for a graph", range.len())));
    }
    let pixels = &pixels[range.start * size..range.end * size];
    let scale = engine::data::channel_scaling(data).first().copied().unwrap_or(engine::data::Scaling::IDENTITY);
    let standard = |&pixel: &u8| (f32::from(pixel) / 255.0 - scale.mean as f32) / scale.std as f32;
    Ok((pixels.iter().map(standard).collect(), labels[range].to_vec(), size))
}

async fn compare(context: &mut Context<'_>) -> Result<(), StudyError> {
    let world = World::build(context).await?;
    let arms: Vec<String> = context.results.arms.iter().map(|label| label.id.clone()).collect();
    for (seed, share) in context.seeds(Share::ALL.between(BUILT, 1.0)) {
        for (place, arm) in arms.iter().enumerate() {
            let share = share.part(place, arms.len());
            Training { world: &world, arm, seed, share }.run(context).await?;
        }
        count_lines(context, &world, seed)?;
    }
    Ok(())
}

/// Milliseconds of a step, phase by phase.
#[derive(Clone, Copy, Debug, Default)]
struct Phases([f64; 4]);

/// What a step is given for gathered rows.
fn inputs<'l>(load: &'l Load, labels: &'l [u32]) -> Vec<(&'static str, Words<'l>)> {
    let places = (!load.places.is_empty()).then_some((PLACES, Words::Classes(&load.places)));
    places.into_iter().chain([(LABELS, Words::Classes(labels))]).collect()
}

/// One arm with one seed.
struct Training<'w> {
    world: &'w World,
    arm: &'w str,
    seed: u64,
    /// Its part of the study's work.
    share: Share,
}

impl Training<'_> {
    async fn run(&self, context: &mut Context<'_>) -> Result<(), StudyError> {
        let Self { world, arm, seed, .. } = *self;
        let sage = world.sage;
        let fetcher = Fetcher::new(world.way(arm), &world.features, sage.width, sage.rows(), &world.by_use);
        let mut play = context.play(seed).await?;
        play.table(&fetcher.table(), &fetcher.contents())?;
        let step = play.add(sage.step(&fetcher)?).await?;
        let evaluation = play.add(sage.evaluate(&fetcher)?).await?;
        play.rate(NET, LEARNING_RATE)?;
        for number in 0..WARM_UP {
            self.step(context, &fetcher, &mut play, step, number).await?;
        }
        play.restart(seed)?;
        play.metrics(step).await?;

        let mut phases = Vec::with_capacity(world.steps);
        let (mut hits, mut wanted, mut counted) = (0, 0, 0);
        let mut trained_ms = 0.0;
        let every = world.steps.div_ceil(EVALUATIONS);
        for number in 0..world.steps {
            let before = play.executor()?.counters().bytes_uploaded;
            let (load, spent) = self.step(context, &fetcher, &mut play, step, number).await?;
            counted += play.executor()?.counters().bytes_uploaded - before;
            trained_ms += spent.0.iter().sum::<f64>();
            phases.push(spent);
            hits += load.hits[0];
            wanted += load.hits[1];
            let outcome = context.results.record(arm, seed)?;
            outcome.point(BYTES, number as f64, load.traffic.total() as f64);
            if (number + 1) % every == 0 || number + 1 == world.steps {
                let done = (number + 1) as f64 / world.steps as f64;
                let batches = if number + 1 == world.steps { usize::MAX } else { 4 };
                let accuracy = self.evaluate(&fetcher, &mut play, evaluation, batches).await?;
                let outcome = context.results.record(arm, seed)?;
                outcome.number(ACCURACY.last(), accuracy);
                outcome.point(ACCURACY, trained_ms / 1000.0, accuracy);
                self.record_times(outcome, &phases);
                let message = format!("arm {arm}, seed {seed}: step {} of {}", number + 1, world.steps);
                context.progress(self.share.at(done), &message);
            }
            context.breathe().await?;
        }
        let losses = play.metrics(step).await?.remove(LOSS_METRIC).unwrap_or_default();
        let outcome = context.results.record(arm, seed)?;
        for (number, loss) in losses.into_iter().enumerate() {
            outcome.point(LOSS, number as f64, f64::from(loss));
        }
        let bytes = outcome.curve(BYTES);
        let mean = bytes.iter().map(|point| point[1]).sum::<f64>() / bytes.len() as f64;
        outcome.number(BYTES_PER_STEP, mean);
        outcome.number(COUNTED, counted as f64 / world.steps as f64);
        outcome.number(HIT_RATE, 100.0 * hits as f64 / wanted as f64);
        outcome.done = true;
        Ok(())
    }

    fn labels(&self, rows: &[u32]) -> Vec<u32> {
        rows.iter().take(self.world.sage.batch).map(|&row| self.world.labels[row as usize]).collect()
    }

    /// One update, each phase waited for: what a device does behind the back of a phase belongs to that phase.
    async fn step(
        &self,
        context: &Context<'_>,
        fetcher: &Fetcher<'_>,
        play: &mut Play<'_>,
        step: StepId,
        number: usize,
    ) -> Result<(Load, Phases), StudyError> {
        let started = context.now_ms();
        let rows = self.world.training_rows(self.seed, number);
        let sampled = context.now_ms();
        let load = fetcher.gather(&rows);
        let gathered = context.now_ms();
        fetcher.upload(play.executor()?, &load)?;
        play.executor()?.wait().await?;
        let uploaded = context.now_ms();
        play.submit(step, &inputs(&load, &self.labels(&rows))).await?;
        play.executor()?.wait().await?;
        let computed = context.now_ms();
        Ok((load, Phases([sampled - started, gathered - sampled, uploaded - gathered, computed - uploaded])))
    }

    /// Percent of test nodes that are classified correctly, over at most so many batches.
    async fn evaluate(
        &self,
        fetcher: &Fetcher<'_>,
        play: &mut Play<'_>,
        evaluation: StepId,
        batches: usize,
    ) -> Result<f64, StudyError> {
        let (batch, test) = (self.world.sage.batch, self.world.labels.len() - self.world.train);
        let (mut correct, mut seen) = (0.0, 0);
        for first in (0..test).step_by(batch).take(batches) {
            let rows = self.world.test_rows(first);
            let load = fetcher.gather(&rows);
            fetcher.upload(play.executor()?, &load)?;
            play.run(evaluation, &inputs(&load, &self.labels(&rows))).await?;
            let count = batch.min(test - first);
            correct += play.fetch(evaluation, CORRECT).await?.iter().take(count).sum::<f32>();
            seen += count;
        }
        Ok(100.0 * f64::from(correct) / seen as f64)
    }

    fn record_times(&self, outcome: &mut Outcome, phases: &[Phases]) {
        for (phase, number) in PHASES.into_iter().enumerate() {
            outcome.number(number, median(&phases.iter().map(|step| step.0[phase]).collect::<Vec<_>>()));
        }
        outcome.number(STEP_MS, median(&phases.iter().map(|step| step.0.iter().sum()).collect::<Vec<_>>()));
    }
}

/// Arm D: lines that a device would request for the rows of every step, for rows of several widths.
fn count_lines(context: &mut Context<'_>, world: &World, seed: u64) -> Result<(), StudyError> {
    let rows: Vec<Vec<u32>> = (0..world.steps).map(|step| world.training_rows(seed, step)).collect();
    let total: usize = rows.iter().map(Vec::len).sum();
    let outcome = context.results.record("B", seed)?;
    for width in LINE_WIDTHS {
        for (shifted, number) in [false, true].into_iter().zip(LINES) {
            let lines: usize = rows.iter().map(|rows| lines::count(rows, width, shifted)).sum();
            outcome.number(number.of(width as u64), lines as f64 / total as f64);
        }
    }
    if let Some(first) = rows.first() {
        context.results.keep("memory", memory_strip(first, world.sage.width, world.features.len()));
    }
    Ok(())
}

/// Kilobytes of the table that the memory strip shows, one column each.
const STRIP: usize = 256;
/// Floats of a column of the strip.
const COLUMN: usize = 256;

/// The start of the table as a strip: rows that a step needs, lines and pages that bring them.
fn memory_strip(rows: &[u32], width: usize, floats: usize) -> Figure {
    let shown = (STRIP * COLUMN).min(floats);
    let mut lit = [vec![false; shown], vec![false; shown], vec![false; shown]];
    for &row in rows {
        let (start, end) = (row as usize * width, (row as usize + 1) * width);
        for (strip, block) in lit.iter_mut().zip([1, lines::LINE, PAGE / 4]) {
            let (start, end) = (start / block * block, end.next_multiple_of(block));
            strip[start.min(shown)..end.min(shown)].fill(true);
        }
    }
    let columns = shown.div_ceil(COLUMN);
    let share = |column: &[bool]| column.iter().filter(|&&lit| lit).count() as f32 / column.len() as f32;
    let values: Vec<f32> = lit.iter().flat_map(|strip| strip.chunks(COLUMN).map(share)).collect();
    let moved = |strip: usize| lit[strip].iter().filter(|&&lit| lit).count() as f64;
    let value = format!("pages move {}× what is needed", brief(moved(2) / moved(0).max(1.0)));
    Figure {
        value: value.clone(),
        x: axis("place in the feature table", "KB"),
        marks: vec![Mark::HeatMap {
            grid: Grid { width: columns, height: 3, values },
            scale: Scale::Linear,
            range: Some([0.0, 1.0]),
            rows: ["rows needed", "lines of 128 B", "pages of 4 KB"].map(String::from).to_vec(),
            columns: vec![],
        }],
        alt: format!("The first {columns} KB of the feature table: {value}."),
        ..Figure::default()
    }
}

/// Largest difference between the losses of two arms at any step, seed by seed.
fn loss_difference(results: &Results, a: &str, b: &str) -> Sample {
    let difference = |&seed: &u64| {
        let (a, b) = (results.outcome(a, seed)?.curve(LOSS), results.outcome(b, seed)?.curve(LOSS));
        let worst = a.iter().zip(b).map(|(a, b)| (a[1] - b[1]).abs()).fold(0.0, f64::max);
        (!a.is_empty() && a.len() == b.len()).then_some((seed, worst))
    };
    Sample(results.seeds.iter().filter_map(difference).collect())
}

/// Bars of these series over places; nothing before anything is measured.
fn bars(id: &str, title: &str, axes: [Axis; 2], series: Vec<BarSeries>, stacked: bool) -> Plot {
    let measured = series.iter().flat_map(|series| &series.values).any(|value| value.is_finite());
    Plot::of(id, title, axes, if measured { vec![Mark::Bars { series, stacked }] } else { vec![] })
}

fn figures(results: &Results) -> Vec<Plot> {
    let arms = &results.arms;
    let means = |number: Number, scale: f64| -> Vec<f32> {
        arms.iter().map(|label| (results.sample(&label.id, number).mean() * scale) as f32).collect()
    };
    let series = |name: &str, role, values| BarSeries { name: name.into(), role, values };
    let roles = [Role::Other, Role::Lr, Role::Test, Role::Train];
    let phases = (0..4).map(|phase| series(PHASE_NAMES[phase], roles[phase], means(PHASES[phase], 1.0))).collect();
    let moved = vec![series("moved", Role::Train, means(BYTES_PER_STEP, 1e-6))];
    let lines = |number: Number| -> Vec<f32> {
        LINE_WIDTHS.iter().map(|&width| results.sample("B", number.of(width as u64)).mean() as f32).collect()
    };
    let lines = vec![series("straight", Role::Other, lines(LINES[0])), series("shifted", Role::Train, lines(LINES[1]))];
    let widths = Axis { categories: LINE_WIDTHS.map(|width| format!("{width} floats")).to_vec(), ..Axis::default() };
    let of_last_seed = |label: &Label| {
        let curves = results.outcomes(&label.id).map(|(_, outcome)| outcome.curve(ACCURACY).to_vec());
        let points = curves.filter(|points| !points.is_empty()).last()?;
        Some(Mark::line(&label.name, label.role, label.dash, points))
    };
    let accuracy = arms.iter().filter_map(of_last_seed).collect();
    let megabytes = Axis { scale: Scale::Log, ..axis("a step", "MB") };
    vec![
        bars("bytes", "Bytes from host to device", [arm_axis(arms), megabytes], moved, false)
            .meaning("Counted exactly, for features and row numbers: moving the request is cheaper than moving the data.")
            .says(in_words(results, arms, BYTES_PER_STEP))
            .empty("A bar for each arm."),
        bars("time", "A step's time, phase by phase", [arm_axis(arms), axis("time a step", "ms")], phases, true)
            .meaning("Medians over the steps: all arms compute the same; they differ in what comes before.")
            .value(&*results.backend)
            .says(in_words(results, arms, STEP_MS))
            .empty("Stacked bars: sample, gather, upload, compute."),
        Plot::picture(results, "memory", "memory", "What is asked for, and what moves")
            .meaning("The start of the feature table in one step; bright where bytes are needed, or move.")
            .empty("A strip of the table, after the first seed."),
        Plot::of(
            "accuracy",
            "Test accuracy against wall time",
            [axis("time spent on steps", "s"), axis("test accuracy", "%")],
            accuracy,
        )
        .meaning("The same updates in the same order, sooner or later; one line an arm, of its last finished seed.")
        .says(in_words(results, arms, ACCURACY))
        .empty("A line for each arm."),
        bars("lines", "Cache lines a row", [widths, axis("lines a row", "")], lines, false)
            .meaning(
                "Requests of 128 bytes if a device read rows from host memory: the circular shift asks for no line twice.",
            )
            .empty("Bars with and without the shift, for three widths."),
        table(results),
    ]
}

fn table(results: &Results) -> Plot {
    let row = |label: &Label| {
        let sample = |number: Number| results.sample(&label.id, number);
        (!sample(BYTES_PER_STEP).is_empty()).then(|| {
            vec![
                label.name.clone(),
                brief(sample(BYTES_PER_STEP).mean() / 1e6),
                sample(STEP_MS).to_string(),
                format!("{} %", sample(ACCURACY.last())),
                if label.id == "A" {
                    "–".into()
                } else {
                    brief(loss_difference(results, "A", &label.id).max().max(0.0))
                },
                format!("{} %", sample(HIT_RATE)),
            ]
        })
    };
    let rows: Vec<Vec<String>> = results.arms.iter().filter_map(row).collect();
    let heads = ["arm", "MB a step", "ms a step", "test accuracy", "loss differs by", "rows found on the device"];
    Plot::rows("table", "The arms in numbers", &heads, rows)
        .meaning("Losses are compared with the staged arm's, step by step.")
        .says(in_words(results, &results.arms, BYTES_PER_STEP))
        .empty("A row for each arm.")
}

fn answer(results: &Results) -> Answer {
    let sample = |arm: &str, number: Number| results.sample(arm, number);
    let bytes = |arm: &str| sample(arm, BYTES_PER_STEP);
    let faster = sample("A", STEP_MS).over(&sample("B", STEP_MS));
    let percent = |part: &Sample, whole: &Sample| part.with(whole, |part, whole| 100.0 * part / whole);
    let share = percent(&bytes("B"), &bytes("A"));
    let same = |(arm, name): (&str, &str)| {
        let name = format!("largest difference of losses, {name} and staged");
        Judged::every_seed(name, &loss_difference(results, "A", arm), Bound::Below(1e-4), "")
    };
    let [plain, shifted] = LINES.map(|number| sample("B", number.of(33)));
    let saved = shifted.with(&plain, |a, b| 100.0 * (1.0 - a / b));
    let time = Judged::most_seeds("resident step faster than staged", &faster, Bound::AtLeast(1.3), "×", [2, 3])
        .given(results.gpu, "no real GPU took part");
    let [staged, resident] = ["A", "B"].map(|arm| sample(arm, STEP_MS));
    let words = if results.gpu {
        format!("{} a step.", versus(["The resident arm", "the staged one"], [&resident, &staged], "ms", false))
    } else {
        let copying = sample("A", PHASES[1]).with(&sample("A", PHASES[2]), |a, b| a + b);
        format!(
            "On {} nothing crosses to another device: the claim about time needs a GPU. The resident arm moves {}% of the \
             bytes; the staged one spends {} ms a step on gathering and copying.",
            results.backend,
            share.mean_in_words(),
            copying.mean_in_words(),
        )
    };
    let more = format!(
        "Staged, {} MB a step moved; resident {}% of that, paged {} times as much, with {}% of the rows resident {} MB \
         (hit rate {}%).",
        brief(bytes("A").mean() / 1e6),
        share.mean_in_words(),
        bytes("C").over(&bytes("A")).mean_in_words(),
        results.knobs.get(&RESIDENT),
        brief(bytes("P").mean() / 1e6),
        sample("P", HIT_RATE).mean_in_words(),
    );
    Answer::new(time, words)
        .more(more)
        .also([
            Judged::every_seed("bytes of the resident arm, of the staged", &share, Bound::AtMost(0.2), "%"),
            Judged::every_seed(
                "bytes of the paged arm, of the staged",
                &bytes("C").over(&bytes("A")),
                Bound::AtLeast(1.2),
                "×",
            ),
        ])
        .also([("B", "resident"), ("C", "paged"), ("P", "partly resident")].map(same))
        .also([Judged::every_seed("lines saved by the shift, rows of 33 floats", &saved, Bound::AtLeast(20.0), "%")])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_help::unmeasured;
    use crate::test_host::TestHost;
    use crate::{Settings, run};
    use engine::cpu::CpuExecutor;
    use engine::figure::Holds;
    use engine::model::Mode;
    use engine::optim;
    use engine::tape::{Breathless, Home, trace};

    #[test]
    fn every_way_delivers_the_same_bits_on_the_device() {
        let (width, count) = (100, 300);
        let table: Vec<f32> = (0..count * width).map(|at| (at as f32 * 0.37).sin()).collect();
        let by_use: Vec<u32> = (0..count as u32).rev().collect();
        // Duplicates, the first and the last row.
        let index: Vec<u32> = (0..60).map(|k| (k * 97 + 5) % count as u32).chain([0, 0, count as u32 - 1, 5]).collect();
        let wanted: Vec<f32> = index.iter().flat_map(|&row| table[row as usize * width..][..width].to_vec()).collect();
        for way in [Way::Staged, Way::Resident, Way::Partial { hot: 100 }, Way::Paged] {
            let fetcher = Fetcher::new(way, &table, width, index.len(), &by_use);
            let delivered = pollster::block_on(async {
                let traced = trace("rows", Mode::Eval, |tape| {
                    // A sum with zero: what is read, and not the table itself, is kept.
                    let rows = fetcher.features(tape) + 0.0;
                    tape.fetch("rows", &rows);
                    Ok(())
                })?;
                let home = Home::new(Some(CpuExecutor::new()).into());
                let mut play = Play::new(&home, Breathless, 1)?;
                play.table(&fetcher.table(), &fetcher.contents())?;
                let step = play.add(traced).await?;
                let load = fetcher.gather(&index);
                let before = play.executor()?.counters().bytes_uploaded;
                fetcher.upload(play.executor()?, &load)?;
                let uploaded = play.executor()?.counters().bytes_uploaded - before;
                assert_eq!(uploaded, load.traffic.features as u64, "{way:?}");
                let places = [(PLACES, Words::Classes(&load.places))];
                play.run(step, if load.places.is_empty() { &[] } else { &places }).await?;
                Ok::<_, StudyError>(play.fetch(step, "rows").await?)
            });
            let delivered = delivered.unwrap();
            assert_eq!(delivered, wanted, "{way:?}");
        }
    }

    /// The whole study, small: counters against their formulas, losses and accuracy of all arms against each other.
    #[test]
    fn arms_differ_in_what_moves_and_in_nothing_else() {
        let knobs = [("nodes", "1000"), ("steps", "10"), ("batch", "16"), ("fan_out", "3"), ("width", "33")];
        let knobs = knobs.map(|(id, value)| (id.to_owned(), value.to_owned())).to_vec();
        let settings = Settings { knobs, seeds: 2, first_seed: 5 };
        let host = TestHost::new(u32::MAX);
        let finished = pollster::block_on(run(&STUDY, &settings, &host)).unwrap();
        let results = &finished.results;
        assert_eq!(results.finished(), 8);
        let rows = 16.0 * (1.0 + 3.0 + 9.0);
        // Classes of the seeds and the hyper-parameters cross in every arm.
        let overhead = 4.0 * (16.0 + optim::hyper(&sage::optimizer(), 0.0, 0).len() as f64);
        for seed in [5, 6] {
            let number = |arm: &str, number: Number| results.outcome(arm, seed).unwrap().numbers[&number];
            assert_eq!(number("A", BYTES_PER_STEP), rows * 33.0 * 4.0);
            assert_eq!(number("B", BYTES_PER_STEP), rows * 4.0);
            assert_eq!((number("A", HIT_RATE), number("B", HIT_RATE)), (0.0, 100.0));
            assert!(number("P", HIT_RATE) > 50.0, "rows used most are on the device");
            for arm in ["A", "B", "C", "P"] {
                assert_eq!(number(arm, COUNTED), number(arm, BYTES_PER_STEP) + overhead, "arm {arm}");
                assert_eq!(number(arm, ACCURACY.last()), number("A", ACCURACY.last()));
            }
        }
        for arm in ["B", "C", "P"] {
            assert!(loss_difference(results, "A", arm).max() < 1e-5, "arm {arm}");
        }
        assert_eq!(finished.verdict.holds, Holds::Untested, "without a GPU that stays untested");
    }

    #[test]
    fn time_is_judged_wherever_a_gpu_took_part() {
        let judged = |gpu: bool, resident: f64| {
            let mut results = unmeasured(&STUDY, &[], &[1, 2, 3]);
            results.gpu = gpu;
            for seed in 1..=3 {
                results.record("A", seed).unwrap().number(STEP_MS, 4.0);
                results.record("B", seed).unwrap().number(STEP_MS, resident);
            }
            answer(&results).verdict(&STUDY)
        };
        let answer = judged(true, 2.0).answer;
        let words = "The resident arm is ahead of the staged one: 2 against 4 ms a step.";
        assert!(answer.starts_with("Yes") && answer.ends_with(words), "{answer}");
        assert_eq!(judged(true, 3.9).holds, Holds::No);
        assert_eq!(judged(false, 2.0).holds, Holds::Untested);
    }
}
