//! CONTINUAL.md and CONTINUAL.json: numbers that others have published, and what the lab comes to under their protocol.

use std::path::Path;

use engine::continual::{ContinualSpec, Published, Summary};
use engine::figure::{Figure, Mark};
use engine::protocol::Backend;
use engine::spec::Link;
use engine::tree;
use studies::continual::Ended;

use crate::Failure;
use crate::continual::{end, of_arm, over_seeds};

/// Sessions, and what is known of their arms in order: the published accuracy in percent, where, and what differs.
const TABLE: &[(&str, &str, &[Known])] = &[
    (
        "Split MNIST, class-incremental, one pass",
        "strategies=fine-tuning,lwf,replay:memory=500,replay:memory=1000,joint,cumulative",
        &[
            Known::new(20.0, "ContinualAI's baselines: about 0.20; a pilot on 10,000 images: 20.5", ""),
            Known::new(23.0, "ContinualAI's baselines", "Their rate and number of passes are not ours."),
            Known::new(81.0, "pilot on 10,000 images", "The pilot's sampler is not described."),
            Known::new(
                92.0,
                "ContinualAI's baselines, 60,000 images; the pilot on 10,000: 81",
                "A sixth of the images, so a sixth of the updates.",
            ),
            Known::new(88.0, "pilot on 10,000 images", "The pilot's sampler is not described."),
            Known::NONE,
        ],
    ),
    (
        "Split MNIST, class-incremental, a balanced memory alone",
        "strategies=gdumb:memory=500,gdumb:memory=1000,gdumb:memory=4400,der%2B%2B,er-ace,icarl",
        &[
            Known::new(
                84.0,
                "pilot on 10,000 images",
                "The pilot's number of passes over the memory is not described; ours makes ten, the rate falling by a cosine.",
            ),
            Known::new(88.0, "pilot on 10,000 images", ""),
            Known::new(97.0, "GDumb, 60,000 images; the pilot on 10,000: 93", ""),
            Known::NONE,
            Known::NONE,
            Known::NONE,
        ],
    ),
    (
        "Split MNIST, class-incremental, penalties and projections",
        "strategies=ewc,online-ewc,si,a-gem",
        &[
            Known::new(20.0, "van de Ven and Tolias 2019", ""),
            Known::new(20.0, "van de Ven and Tolias 2019", ""),
            Known::new(20.0, "van de Ven and Tolias 2019", ""),
            Known::NONE,
        ],
    ),
    (
        "Split MNIST, class-incremental, on 512 frozen random features",
        "strategies=linear-probe,nearest-mean,slda,key-value&network=encoder&hidden=",
        &[Known::NONE, Known::NONE, Known::NONE, Known::NONE],
    ),
    (
        "Split MNIST, task-incremental, one pass",
        "scenario=task&strategies=fine-tuning,ewc:lambda=300,si:c=2,lwf,replay,joint",
        &[
            Known::NONE,
            Known::NONE,
            Known::new(97.0, "ContinualAI's baselines", ""),
            Known::NONE,
            Known::NONE,
            Known::NONE,
        ],
    ),
    (
        "Permuted MNIST, five orders, domain-incremental, 5,000 images a task",
        "stream=permuted-mnist&examples=5000&strategies=fine-tuning,ewc,online-ewc,si,replay,joint",
        &[
            Known::NONE,
            Known::new(83.0, "ContinualAI's baselines; 94 in the paper", "Between the two; five orders, not ten."),
            Known::NONE,
            Known::NONE,
            Known::NONE,
            Known::NONE,
        ],
    ),
];

/// What is told of an arm.
const COLUMNS: [&str; 11] = [
    "strategy",
    "ACC",
    "others",
    "whose, and why ours differs",
    "forgetting",
    "BWT",
    "anytime",
    "worst case",
    "stability gap",
    "memory",
    "an update",
];

/// Seeds of every session.
const SEEDS: u32 = 3;
/// How far a number may be from what was published without a word.
const WITHIN: f64 = 3.0;

/// What is known of an arm.
struct Known {
    percent: f64,
    place: &'static str,
    differs: &'static str,
}

impl Known {
    const NONE: Self = Self::new(f64::NAN, "", "");

    const fn new(percent: f64, place: &'static str, differs: &'static str) -> Self {
        Self { percent, place, differs }
    }
}

/// Runs the table's sessions and writes them: as Markdown into the file, and beside it, ending in `json`, for the page.
pub fn write(file: &Path, backend: Backend) -> Result<(), Failure> {
    let mut text = String::from(
        "# The continual lab against published numbers\n\nWritten by `minibatch continual --write`, with \
         `CONTINUAL.json`, which the page's help shows. ACC in percent, the mean accuracy over all tasks after the last, \
         mean and standard deviation over three seeds; MLP 784-256-256-10, SGD 0.1, batches of 10 with 10 replayed, unless \
         the session says otherwise. All test images count.",
    );
    let mut sessions = Vec::new();
    for (title, query, known) in TABLE {
        let link = Link::parse(&format!("#continual?{query}&tested=0&readings=4&window=20&seeds={SEEDS}"));
        let (spec, issues) = ContinualSpec::read(&link);
        crate::spec::refuse(&issues)?;
        let ended = end(&spec, backend)?;
        if sessions.is_empty() {
            let notes = ended.course.notes.join("; ");
            text += &format!(" {notes}: the pack's 10,000 training images, or what `MINIBATCH_DATA` names.\n");
        }
        let rows: Vec<Vec<String>> = (0..spec.arms.len()).map(|arm| row(&ended, arm, known.get(arm))).collect();
        let link = spec.link().fragment();
        text += &format!("\n## {title}\n\n`{link}`\n\n{}", markdown(&COLUMNS, &rows));
        let table = Mark::Table { columns: COLUMNS.map(str::to_owned).to_vec(), rows };
        let table = Figure {
            id: format!("published-{}", sessions.len() + 1),
            title: (*title).into(),
            meaning: format!("{SEEDS} seeds, mean ± standard deviation, in percent; others' numbers beside them"),
            marks: vec![table],
            ..Figure::default()
        };
        sessions.push(Published { link, table });
    }
    let write = |file: &Path, text: String| {
        std::fs::write(file, text).map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))
    };
    write(file, text)?;
    write(&file.with_extension("json"), tree::json(&sessions))
}

/// What is told of an arm, by [`COLUMNS`].
fn row(ended: &Ended, arm: usize, known: Option<&Known>) -> Vec<String> {
    let records = of_arm(ended, arm);
    let percent = |of: fn(&Summary) -> f64| {
        let (mean, deviation) = over_seeds(&records, |record| 100.0 * of(&record.summary()));
        format!("{mean:.1} ± {deviation:.1}")
    };
    let (acc, _) = over_seeds(&records, |record| 100.0 * record.summary().acc);
    let cost = records.first().map(|record| record.cost.clone()).unwrap_or_default();
    let (others, whose) = match known.filter(|known| !known.percent.is_nan()) {
        None => ("–".to_owned(), String::new()),
        Some(known) if (acc - known.percent).abs() <= WITHIN => {
            (format!("{:.0}", known.percent), format!("{}; within {WITHIN} points", known.place))
        }
        Some(known) => {
            let whose = format!("{}; {:+.1} points. {}", known.place, acc - known.percent, known.differs);
            (format!("{:.0}", known.percent), whose.trim_end().to_owned())
        }
    };
    vec![
        ended.course.arms.get(arm).cloned().unwrap_or_default(),
        percent(|summary| summary.acc),
        others,
        whose,
        percent(|summary| summary.forgetting),
        percent(|summary| summary.bwt),
        percent(|summary| summary.anytime),
        percent(|summary| summary.worst_case),
        percent(|summary| summary.gap),
        format!("{} kB", cost.memory_bytes / 1000),
        format!("{:.1} MFLOP", cost.flop as f64 / 1e6),
    ]
}

fn markdown(columns: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head = line(&columns.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
    let rule = format!("|{}\n", "---|".repeat(columns.len()));
    let rows: String = rows.iter().map(|cells| line(cells)).collect();
    head + &rule + &rows
}
