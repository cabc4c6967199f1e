//! PyTorch-Direct: enabling GPU-centric data access for very large graph neural network training (Min et al. 2021).

mod fetch;
mod lines;
mod neighbours;
mod sage;

use std::rc::Rc;

use engine::data::{Data, Rows, Split};
use engine::executor::Executor;
use engine::figure::{Axis, BarSeries, Figure, Grid, Knob, Mark, Role, Scale, Verdict};
use engine::numeric::median;
use engine::rng::{Rng, Stream};
use engine::spec::{Choice, DataSet, DataSpec};
use engine::tape::{Play, StepId, Words};

use super::draw::{self, arm_axis, axis, in_words, with_alt};
use super::{Bound, Checks, Context, Knobs, Label, Protocol, Results, Sample, Share, Study, StudyError, brief};
use fetch::{Fetcher, Load, PAGE, PLACES, Way};
use neighbours::Graph;
use sage::{CORRECT, LABELS, LOSS, NET, Sage};

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
    expected: "The resident table moves at most 0.2% of the staged bytes, pages at least 1.2 times as many; losses of all arms \
               agree to rounding; for rows of 33 floats the shift saves at least 20% of the lines; and on a GPU the median \
               step of the resident arm is at least 1.3 times as fast as the staged one's in 2 of 3 seeds.",
    differs: "A page cannot let the GPU read the memory of WebAssembly, so zero-copy itself is replaced by a table that lives \
              on the device; the question, who performs the irregular access and how many bytes move, stays. Nodes are \
              MNIST images with their 10 nearest neighbours in a 50-dimensional random projection, the network is a \
              two-layer GraphSAGE. Cache lines are counted, not timed. On the CPU there is no transfer: bytes, lines and \
              the extra copy are shown, the claim about time needs a GPU.",
    seeds: 3,
    flop: 2.5e11,
    knobs,
    also: &[],
    protocol: Protocol::Program { arms, run: |context| Box::pin(compare(context)), timed: true },
    figures,
    verdict,
};

const WIDTHS: &[Choice] =
    &[Choice::new("784", "784 (pixels)"), Choice::new("100", "100 (projected)"), Choice::new("33", "33 (projected)")];

fn knobs() -> Vec<Knob> {
    vec![
        Knob::choice("width", "Features", "floats of a row; 33 never align with lines of 32", WIDTHS, "784"),
        Knob::integer("batch", "Seeds a step", "more seeds, more rows to fetch", [16, 256], 128),
        Knob::integer("fan_out", "Neighbours read", "rows grow with its square", [1, 10], 5),
        Knob::integer("resident", "Resident rows", "percent of the table on the device in arm P", [5, 95], 50),
        Knob::integer("nodes", "Nodes", "images in the graph; 80% of them for training", [1000, 10_000], 10_000),
        Knob::integer("steps", "Steps", "updates of each arm and seed", [10, 400], 40),
    ]
}

fn arms(knobs: &Knobs) -> Vec<Label> {
    vec![
        Label::baseline("A", "host gathers"),
        Label::new("B", "device gathers"),
        Label::baseline("C", "pages move").dashed(),
        Label::new("P", format!("{}% resident", knobs.integer("resident"))).dashed(),
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
        let (pixels, labels, size) = nodes(&data, knobs.integer("nodes"))?;
        let count = labels.len();
        let width = knobs.choice("width").parse().unwrap_or(size);
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
        let sage = Sage { width, hidden: 64, batch: knobs.integer("batch"), fan_out: knobs.integer("fan_out") };
        let resident = count * knobs.integer("resident") / 100;
        Ok(Self {
            sage,
            steps: knobs.integer("steps"),
            features,
            labels,
            graph,
            by_use,
            train: count * 4 / 5,
            resident,
        })
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
        count_lines(context, &world, seed);
    }
    Ok(())
}

/// Milliseconds of a step, phase by phase.
#[derive(Clone, Copy, Debug, Default)]
struct Phases([f64; 4]);

const PHASES: [&str; 4] = ["sample", "gather", "upload", "compute"];

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
            let outcome = context.results.record(arm, seed);
            outcome.point("bytes", number as f64, load.traffic.total() as f64);
            if (number + 1) % every == 0 || number + 1 == world.steps {
                let done = (number + 1) as f64 / world.steps as f64;
                let batches = if number + 1 == world.steps { usize::MAX } else { 4 };
                let accuracy = self.evaluate(&fetcher, &mut play, evaluation, batches).await?;
                let outcome = context.results.record(arm, seed);
                outcome.number("accuracy", accuracy);
                outcome.point("accuracy", trained_ms / 1000.0, accuracy);
                self.record_times(outcome, &phases);
                let message = format!("arm {arm}, seed {seed}: step {} of {}", number + 1, world.steps);
                context.progress(self.share.at(done), &message);
            }
            context.breathe().await?;
        }
        let losses = play.metrics(step).await?.remove(LOSS).unwrap_or_default();
        let outcome = context.results.record(arm, seed);
        for (number, loss) in losses.into_iter().enumerate() {
            outcome.point("loss", number as f64, f64::from(loss));
        }
        let bytes = outcome.curves.get("bytes").map_or(&[][..], Vec::as_slice);
        let mean = bytes.iter().map(|point| point[1]).sum::<f64>() / bytes.len() as f64;
        outcome.number("bytes_per_step", mean);
        outcome.number("counted_bytes_per_step", counted as f64 / world.steps as f64);
        outcome.number("hit_rate", 100.0 * hits as f64 / wanted as f64);
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

    fn record_times(&self, outcome: &mut super::Outcome, phases: &[Phases]) {
        for (phase, name) in PHASES.iter().enumerate() {
            outcome.number(&format!("{name}_ms"), median(&phases.iter().map(|step| step.0[phase]).collect::<Vec<_>>()));
        }
        outcome.number("step_ms", median(&phases.iter().map(|step| step.0.iter().sum()).collect::<Vec<_>>()));
    }
}

/// Arm D: lines that a device would request for the rows of every step, for rows of several widths.
fn count_lines(context: &mut Context<'_>, world: &World, seed: u64) {
    let rows: Vec<Vec<u32>> = (0..world.steps).map(|step| world.training_rows(seed, step)).collect();
    let total: usize = rows.iter().map(Vec::len).sum();
    let outcome = context.results.record("B", seed);
    for width in LINE_WIDTHS {
        for (shifted, name) in [(false, "plain"), (true, "shifted")] {
            let lines: usize = rows.iter().map(|rows| lines::count(rows, width, shifted)).sum();
            outcome.number(&format!("lines_{name}_{width}"), lines as f64 / total as f64);
        }
    }
    if let Some(first) = rows.first() {
        context.results.keep("memory", memory_strip(first, world.sage.width, world.features.len()));
    }
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
        let (a, b) = (results.outcome(a, seed)?.curves.get("loss")?, results.outcome(b, seed)?.curves.get("loss")?);
        let worst = a.iter().zip(b).map(|(a, b)| (a[1] - b[1]).abs()).fold(0.0, f64::max);
        (a.len() == b.len()).then_some((seed, worst))
    };
    Sample(results.seeds.iter().filter_map(difference).collect())
}

fn figures(results: &Results) -> Vec<Figure> {
    let arms = &results.arms;
    let means = |number: &str, scale: f64| -> Vec<f32> {
        arms.iter().map(|label| (results.sample(&label.id, number).mean() * scale) as f32).collect()
    };
    let measured = |values: &[f32]| values.iter().any(|value| value.is_finite());
    let phase = |name: &&str| BarSeries {
        name: (*name).into(),
        role: match *name {
            "upload" => Role::Test,
            "gather" => Role::Lr,
            "sample" => Role::Other,
            _ => Role::Train,
        },
        values: means(&format!("{name}_ms"), 1.0),
    };
    let phases: Vec<BarSeries> = PHASES.iter().map(phase).collect();
    let time = Figure {
        id: "time".into(),
        title: "A step's time, phase by phase".into(),
        meaning: "Medians over the steps: all arms compute the same; they differ in what comes before.".into(),
        value: results.backend.clone(),
        x: arm_axis(arms),
        y: axis("time a step", "ms"),
        marks: if measured(&phases[3].values) { vec![Mark::Bars { series: phases, stacked: true }] } else { vec![] },
        ..Figure::default()
    };
    let megabytes = means("bytes_per_step", 1e-6);
    let bytes = Figure {
        id: "bytes".into(),
        title: "Bytes from host to device".into(),
        meaning: "Counted exactly, for features and row numbers: moving the request is cheaper than moving the data."
            .into(),
        x: arm_axis(arms),
        y: Axis { scale: Scale::Log, ..axis("a step", "MB") },
        marks: if measured(&megabytes) {
            vec![Mark::Bars {
                series: vec![BarSeries { name: "moved".into(), role: Role::Train, values: megabytes }],
                stacked: false,
            }]
        } else {
            vec![]
        },
        ..Figure::default()
    };
    let mut accuracy = Figure {
        id: "accuracy".into(),
        title: "Test accuracy against wall time".into(),
        meaning: "The same updates in the same order, sooner or later; one line an arm, of its last finished seed."
            .into(),
        x: axis("time spent on steps", "s"),
        y: axis("test accuracy", "%"),
        ..Figure::default()
    };
    for label in arms {
        if let Some(points) =
            results.outcomes(&label.id).filter_map(|(_, outcome)| outcome.curves.get("accuracy")).last()
        {
            accuracy.marks.push(Mark::line(&label.name, label.role, label.dash, points.clone()));
        }
    }
    let strip = results.picture("memory").cloned().unwrap_or_default();
    let memory = Figure {
        id: "memory".into(),
        title: "What is asked for, and what moves".into(),
        meaning: "The start of the feature table in one step; bright where bytes are needed, or move.".into(),
        ..strip
    };
    let line_values = |name: &str| -> Vec<f32> {
        LINE_WIDTHS.iter().map(|width| results.sample("B", &format!("lines_{name}_{width}")).mean() as f32).collect()
    };
    let (plain, shifted) = (line_values("plain"), line_values("shifted"));
    let lines = Figure {
        id: "lines".into(),
        title: "Cache lines a row".into(),
        meaning:
            "Requests of 128 bytes if a device read rows from host memory: the circular shift asks for no line twice."
                .into(),
        x: Axis { categories: LINE_WIDTHS.iter().map(|width| format!("{width} floats")).collect(), ..Axis::default() },
        y: axis("lines a row", ""),
        marks: if measured(&plain) {
            vec![Mark::Bars {
                series: vec![
                    BarSeries { name: "straight".into(), role: Role::Other, values: plain },
                    BarSeries { name: "shifted".into(), role: Role::Train, values: shifted },
                ],
                stacked: false,
            }]
        } else {
            vec![]
        },
        ..Figure::default()
    };
    let memory_alt = memory.alt.clone();
    vec![
        with_alt(bytes, &in_words(results, arms, "bytes_per_step", " B"), "A bar for each arm."),
        with_alt(time, &in_words(results, arms, "step_ms", " ms"), "Stacked bars: sample, gather, upload, compute."),
        Figure {
            alt: if memory_alt.is_empty() { memory.title.clone() } else { memory_alt },
            empty: "A strip of the table, after the first seed.".into(),
            ..memory
        },
        with_alt(accuracy, &in_words(results, arms, "accuracy", "%"), "A line for each arm."),
        with_alt(lines, "", "Bars with and without the shift, for three widths."),
        table(results),
    ]
}

fn table(results: &Results) -> Figure {
    let row = |label: &Label| {
        let sample = |number: &str| results.sample(&label.id, number);
        (!sample("bytes_per_step").is_empty()).then(|| {
            vec![
                label.name.clone(),
                brief(sample("bytes_per_step").mean() / 1e6),
                format!("{:.2}", sample("step_ms")),
                format!("{:.1} %", sample("accuracy")),
                if label.id == "A" {
                    "–".into()
                } else {
                    brief(loss_difference(results, "A", &label.id).max().max(0.0))
                },
                format!("{:.0} %", sample("hit_rate")),
            ]
        })
    };
    let rows: Vec<Vec<String>> = results.arms.iter().filter_map(row).collect();
    let columns = ["arm", "MB a step", "ms a step", "test accuracy", "loss differs by", "rows found on the device"];
    let figure = Figure {
        id: "table".into(),
        title: "The arms in numbers".into(),
        meaning: "Losses are compared with the staged arm's, step by step.".into(),
        marks: draw::table(&columns, rows),
        ..Figure::default()
    };
    with_alt(figure, &in_words(results, &results.arms, "bytes_per_step", " B"), "A row for each arm.")
}

fn verdict(results: &Results) -> Verdict {
    let sample = |arm: &str, number: &str| results.sample(arm, number);
    let bytes = |arm: &str| sample(arm, "bytes_per_step");
    let faster = sample("A", "step_ms").over(&sample("B", "step_ms"));
    let percent = |part: &Sample, whole: &Sample| part.with(whole, |part, whole| 100.0 * part / whole);
    let mut checks = Checks::new();
    let share = percent(&bytes("B"), &bytes("A"));
    checks.every_seed("bytes of the resident arm, of the staged", &share, Bound::AtMost(0.2), "%");
    checks.every_seed("bytes of the paged arm, of the staged", &bytes("C").over(&bytes("A")), Bound::AtLeast(1.2), "×");
    for (arm, name) in [("B", "resident"), ("C", "paged"), ("P", "partly resident")] {
        let name = format!("largest difference of losses, {name} and staged");
        checks.every_seed(&name, &loss_difference(results, "A", arm), Bound::Below(1e-4), "");
    }
    let saved = sample("B", "lines_shifted_33").with(&sample("B", "lines_plain_33"), |a, b| 100.0 * (1.0 - a / b));
    checks.every_seed("lines saved by the shift, rows of 33 floats", &saved, Bound::AtLeast(20.0), "%");
    let name = "resident step faster than staged";
    let on_gpu = checks.given(results.gpu, "no real GPU took part");
    on_gpu.most_seeds(name, &faster, Bound::AtLeast(1.3), "×", [2, 3]);
    let time = if results.gpu {
        format!("the resident step was {}× as fast.", brief(faster.mean()))
    } else {
        let copying = sample("A", "gather_ms").with(&sample("A", "upload_ms"), |a, b| a + b);
        format!(
            "the staged arm spent {} ms a step on gathering and copying. That ran on {}: the claim about time needs a GPU.",
            brief(copying.mean()),
            results.backend,
        )
    };
    let measured = format!(
        "Staged, {} MB a step moved; resident {}% of that, paged {} times as much, with {} of the rows resident {} MB \
         (hit rate {}%); {time}",
        brief(bytes("A").mean() / 1e6),
        brief(share.mean()),
        brief(bytes("C").over(&bytes("A")).mean()),
        format_args!("{}%", results.knobs.integer("resident")),
        brief(bytes("P").mean() / 1e6),
        brief(sample("P", "hit_rate").mean()),
    );
    checks.verdict(&STUDY, measured)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_host::TestHost;
    use crate::{Settings, run};
    use engine::cpu::CpuExecutor;
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
            let number = |arm: &str, name: &str| results.outcome(arm, seed).unwrap().numbers[name];
            assert_eq!(number("A", "bytes_per_step"), rows * 33.0 * 4.0);
            assert_eq!(number("B", "bytes_per_step"), rows * 4.0);
            assert_eq!((number("A", "hit_rate"), number("B", "hit_rate")), (0.0, 100.0));
            assert!(number("P", "hit_rate") > 50.0, "rows used most are on the device");
            for arm in ["A", "B", "C", "P"] {
                assert_eq!(
                    number(arm, "counted_bytes_per_step"),
                    number(arm, "bytes_per_step") + overhead,
                    "arm {arm}"
                );
                assert_eq!(number(arm, "accuracy"), number("A", "accuracy"));
            }
        }
        for arm in ["B", "C", "P"] {
            assert!(loss_difference(results, "A", arm).max() < 1e-5, "arm {arm}");
        }
        let of_time = finished.verdict.checks.iter().find(|check| check.name == "resident step faster than staged");
        assert_eq!(of_time.map(|check| check.holds), Some(None), "without a GPU that stays untested");
    }
}
