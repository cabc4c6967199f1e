//! CONTINUAL.md: numbers that others have published, and what the lab comes to under their protocol.

use std::path::Path;

use engine::continual::ContinualSpec;
use engine::protocol::Backend;
use engine::spec::Link;

use crate::Failure;
use crate::continual::{end, of_arm, over_seeds};

/// Sessions, and what is known of their arms in order: the published accuracy in percent, where, and what differs.
const TABLE: &[(&str, &str, &[Known])] = &[
    (
        "Split MNIST, class-incremental, one pass",
        "strategies=fine-tuning,lwf,replay:memory=500,replay:memory=1000,joint,cumulative",
        &[
            Known::new(20.0, "Avalanche's baselines: about 0.20; a pilot on 10,000 images: 20.5", ""),
            Known::new(23.0, "Avalanche's baselines", "Their rate and number of passes are not ours."),
            Known::new(81.0, "pilot on 10,000 images", "The pilot's sampler is not described."),
            Known::new(
                92.0,
                "Avalanche's baselines, 60,000 images; the pilot on 10,000: 81",
                "A sixth of the images, so a sixth of the updates.",
            ),
            Known::new(88.0, "pilot on 10,000 images", ""),
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
            Known::new(97.0, "Avalanche's baselines", ""),
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
            Known::new(83.0, "Avalanche's baselines; 94 in the paper", "Five orders, not ten."),
            Known::NONE,
            Known::NONE,
            Known::NONE,
            Known::NONE,
        ],
    ),
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

/// Runs the table's sessions and writes the document.
pub fn write(file: &Path, backend: Backend) -> Result<(), Failure> {
    let mut text = String::from(
        "# The continual lab against published numbers\n\nWritten by `minibatch continual --write`. ACC in percent, the mean \
         accuracy over all tasks after the last, over three seeds; MLP 784-256-256-10, SGD 0.1, batches of 10 with 10 \
         replayed, unless a row says otherwise. All test images count.\n",
    );
    for (number, (title, query, known)) in TABLE.iter().enumerate() {
        let link = Link::parse(&format!("#continual?{query}&tested=0&readings=4&window=20&seeds={SEEDS}"));
        let (spec, issues) = ContinualSpec::read(&link);
        crate::spec::refuse(&issues)?;
        let ended = end(&spec, backend)?;
        if number == 0 {
            text += &format!(
                "{}: the pack's 10,000 training images, or what `MINIBATCH_DATA` names.\n",
                ended.course.notes.join("; ")
            );
        }
        text += &format!("\n## {title}\n\n`{}`\n\n", spec.link().fragment());
        text += "| strategy | ACC | published | forgetting | BWT | anytime | worst case | stability gap | kept | s a seed |\n";
        text += "|---|---|---|---|---|---|---|---|---|---|\n";
        let mut notes = Vec::new();
        for (arm, name) in ended.course.arms.iter().enumerate() {
            let records = of_arm(&ended, arm);
            let percent = |of: fn(&engine::continual::Summary) -> f64| {
                let (mean, deviation) = over_seeds(&records, |record| 100.0 * of(&record.summary()));
                format!("{mean:.1} ± {deviation:.1}")
            };
            let (acc, _) = over_seeds(&records, |record| 100.0 * record.summary().acc);
            let (seconds, _) = over_seeds(&records, |record| record.cost.seconds);
            let kilobytes = records.first().map_or(0, |record| record.cost.memory_bytes / 1000);
            let known = known.get(arm).unwrap_or(&Known::NONE);
            let published = if known.percent.is_nan() { "–".to_owned() } else { format!("{:.0}", known.percent) };
            text += &format!(
                "| {name} | {} | {published} | {} | {} | {} | {} | {} | {kilobytes} kB | {seconds:.1} |\n",
                percent(|summary| summary.acc),
                percent(|summary| summary.forgetting),
                percent(|summary| summary.bwt),
                percent(|summary| summary.anytime),
                percent(|summary| summary.worst_case),
                percent(|summary| summary.gap),
            );
            if !known.percent.is_nan() {
                let away = acc - known.percent;
                let within =
                    if away.abs() <= WITHIN { "within 3 points".to_owned() } else { format!("{away:+.1} points") };
                let differs = if away.abs() <= WITHIN { "" } else { known.differs };
                notes.push(format!("- {name}: {within} ({}). {differs}", known.place).trim_end().to_owned());
            }
        }
        if !notes.is_empty() {
            text += &format!("\n{}\n", notes.join("\n"));
        }
    }
    std::fs::write(file, text).map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))
}
