//! Runs a sweep on this machine's threads, or builds it from runs of other machines.

use std::path::{Path, PathBuf};

use engine::protocol::Backend;
use engine::spec::{Page, RunSpec};
use engine::sweep::{Edge, Outcome, Quantity, Results, Sweep, edge_chart, finished, heat, pool, race_table};
use serde_json::{Value, json};

use crate::native::{Teller, now_ms, open};
use crate::run::{NUMBERS, RESULT};
use crate::{Failure, print, print_json, spec};

/// How a sweep's results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// In words.
    Text,
    /// One JSON object.
    Json,
    /// One row a run.
    Csv,
}

impl Format {
    /// As the options say.
    pub const fn of(csv: bool, json: bool) -> Self {
        match (csv, json) {
            (true, _) => Self::Csv,
            (false, true) => Self::Json,
            (false, false) => Self::Text,
        }
    }
}

/// The sweep of a link, which must be right in every part.
fn read(what: &str) -> Result<Sweep, Failure> {
    let link = spec::parse(what)?;
    if link.page != Page::Sweep {
        return Err(Failure::Usage(format!("a link to the page {} is no sweep", link.page.route())));
    }
    let (sweep, issues) = Sweep::read(&link);
    spec::refuse(&issues)?;
    if let Some(issue) = (0..sweep.cells()).find_map(|cell| sweep.spec(cell).err()) {
        eprintln!("minibatch: some cells have no run: {}", issue.message);
    }
    Ok(sweep)
}

/// Reads a link, runs its sweep and prints what came out.
pub fn run(what: &str, threads: usize, backend: Backend, format: Format) -> Result<(), Failure> {
    let sweep = read(what)?;
    // Threads would only take turns on one GPU.
    let threads = if backend == Backend::Cpu { threads } else { 1 };
    let executor = || pollster::block_on(open(backend, 1)).map(|(executor, _)| executor);
    let machine = pool::Machine { executor: &executor, clock: now_ms, threads };
    let teller = Teller::new();
    let begun = now_ms();
    let mut results = Results::new(&sweep);
    let total = results.missing(&sweep).len();
    let ended = pool::run(&sweep, &mut results, &machine, |results| {
        teller.say(&format!("{} of {total} runs done", results.finished()));
        true
    });
    teller.end();
    // What has finished is told even where the rest could not be.
    let printed = tell(&sweep, &results, format, Cost { threads, seconds: (now_ms() - begun) / 1000.0 });
    ended.map_err(|error| Failure::Failed(error.to_string())).and(printed)
}

/// Prints the link of every run of a sweep, in the order in which they are worth having.
pub fn list(what: &str) -> Result<(), Failure> {
    let sweep = read(what)?;
    let links: Vec<String> =
        Results::new(&sweep).missing(&sweep).into_iter().filter_map(|trial| sweep.run_link(trial)).collect();
    print(&links.join("\n"))
}

/// Builds a sweep's grid from the folders of runs that were trained one by one, and prints it. What is missing, unfinished or of
/// another sweep is said.
pub fn join(what: &str, folders: &[PathBuf], format: Format) -> Result<(), Failure> {
    let sweep = read(what)?;
    let mut results = Results::new(&sweep);
    let trials = results.missing(&sweep);
    let (mut strangers, mut seconds) = (0, 0.0);
    for folder in runs(folders)? {
        let (spec, outcome) = match read_run(&folder, sweep.target) {
            Ok(run) => run,
            Err(reason) => {
                eprintln!("minibatch: {}: {reason}", folder.display());
                continue;
            }
        };
        match trials.iter().find(|&&trial| sweep.spec(trial).is_ok_and(|wanted| wanted == spec)) {
            Some(&trial) => results.take(trial, outcome),
            None => strangers += 1,
        }
        seconds += if outcome.seconds.is_finite() { outcome.seconds } else { 0.0 };
    }
    if strangers > 0 {
        eprintln!("minibatch: runs that are none of this sweep's: {strangers}");
    }
    let missing = results.missing(&sweep);
    if let Some(link) = missing.first().and_then(|&trial| sweep.run_link(trial)) {
        eprintln!("minibatch: {} of {} runs are missing; the first is {link}", missing.len(), trials.len());
    }
    tell(&sweep, &results, format, Cost { threads: 1, seconds })
}

/// Folders of runs: those given, or those that lie in them.
fn runs(folders: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let failed = |folder: &Path, error: std::io::Error| Failure::Usage(format!("{}: {error}", folder.display()));
    let mut found = Vec::new();
    for folder in folders {
        if folder.join(NUMBERS).is_file() {
            found.push(folder.clone());
            continue;
        }
        for entry in std::fs::read_dir(folder).map_err(|error| failed(folder, error))? {
            let path = entry.map_err(|error| failed(folder, error))?.path();
            if path.is_dir() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The recipe of a run in a folder, and what it came to.
fn read_run(folder: &Path, target: f64) -> Result<(RunSpec, Outcome), String> {
    let numbers = match std::fs::read(folder.join(NUMBERS)) {
        Ok(numbers) => numbers,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err("holds no run that has ended".into()),
        Err(error) => return Err(error.to_string()),
    };
    let told = std::fs::read(folder.join(RESULT)).ok().and_then(|json| serde_json::from_slice::<Value>(&json).ok());
    let seconds = told.and_then(|told| told["seconds"].as_f64()).unwrap_or(f64::NAN);
    finished(&numbers, target, seconds)
}

/// What results took.
struct Cost {
    threads: usize,
    seconds: f64,
}

/// Prints results.
fn tell(sweep: &Sweep, results: &Results, format: Format, Cost { threads, seconds }: Cost) -> Result<(), Failure> {
    match format {
        Format::Csv => print(results.to_csv(sweep).trim_end()),
        Format::Text => print(&text(sweep, results, seconds)),
        Format::Json => print_json(&json!({
            "link": sweep.link().fragment(),
            "threads": threads,
            "seconds": seconds,
            "edge": Edge::of(sweep, results).map(|edge| json!({
                "slopes": edge.slopes,
                "points": edge.points.iter().map(|point| json!({
                    "value": point.value, "stable": point.stable, "unstable": point.unstable,
                })).collect::<Vec<_>>(),
            })),
            "trials": trials(sweep, results),
            "missing": results.missing(sweep).into_iter().filter_map(|trial| sweep.run_link(trial)).collect::<Vec<_>>(),
        })),
    }
}

/// Every finished trial with the values of its two fields.
fn trials(sweep: &Sweep, results: &Results) -> Vec<serde_json::Value> {
    let finished = results.outcomes.iter().enumerate().filter_map(|(trial, outcome)| Some((trial, outcome.as_ref()?)));
    let describe = |(trial, outcome)| {
        let [x, y] = sweep.values(trial).unwrap_or_default();
        json!({
            "x": x,
            "y": y,
            "seed": sweep.spec(trial).ok().map(|spec| spec.seed),
            "link": sweep.run_link(trial),
            "outcome": outcome,
        })
    };
    finished.map(describe).collect()
}

fn text(sweep: &Sweep, results: &Results, seconds: f64) -> String {
    let mut lines = vec![sweep.recipe()];
    lines.extend(Quantity::of(sweep).iter().map(|quantity| heat(sweep, results, *quantity).alt));
    lines.extend(edge_chart(sweep, results).or_else(|| race_table(sweep, results)).map(|figure| figure.alt));
    lines.push(format!("{seconds:.1} s."));
    lines.join("\n")
}
