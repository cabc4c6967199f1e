//! Runs a session of the continual lab to its end.

use std::path::Path;

use engine::continual::{ContinualSpec, Export, MAX_SEEDS, Record};
use engine::protocol::Backend;
use engine::spec::Page;
use studies::continual::{Ended, diverged, run as run_session};

use crate::native::Native;
use crate::{Failure, print, spec};

/// Reads a link, runs its session and prints what came out.
pub fn run(what: &str, seeds: u32, out: Option<&Path>, backend: Backend, json: bool) -> Result<(), Failure> {
    let ended = end(&read(what, seeds)?, backend)?;
    for issue in &ended.issues {
        eprintln!("minibatch: {}", issue.message);
    }
    for run in &ended.runs {
        if let Some(update) = run.record.diverged {
            eprintln!("minibatch: {}", diverged(&ended.course.arms[run.arm], update));
        }
    }
    if let Some(folder) = out {
        let write = |name: &str, kind| {
            let text = ended.file(kind).unwrap_or_default();
            std::fs::write(folder.join(name), text)
                .map_err(|error| Failure::Failed(format!("{}: {error}", folder.join(name).display())))
        };
        std::fs::create_dir_all(folder).map_err(|error| Failure::Failed(format!("{}: {error}", folder.display())))?;
        write("accuracy.csv", Export::Csv)?;
        write("continual.json", Export::Json)?;
    }
    if json { print(&ended.file(Export::Json).unwrap_or_default()) } else { print(&text(&ended)) }
}

/// The session of a link, which must be right in every part.
fn read(what: &str, seeds: u32) -> Result<ContinualSpec, Failure> {
    let link = spec::parse(what)?;
    if link.page != Page::Continual {
        return Err(Failure::Usage(format!("a link to the page {} is no continual session", link.page.route())));
    }
    let (mut session, issues) = ContinualSpec::read(&link);
    spec::refuse(&issues)?;
    if seeds > MAX_SEEDS {
        return Err(Failure::Usage(format!("a session has at most {MAX_SEEDS} seeds")));
    }
    if seeds > 0 {
        session.seeds = seeds;
    }
    Ok(session)
}

/// Runs a session to its end.
pub fn end(session: &ContinualSpec, backend: Backend) -> Result<Ended, Failure> {
    let native = Native::new(backend);
    let mut tell = |what: &str, share: f64| native.teller.say(&format!("{:.0}% done: {what}", 100.0 * share));
    let ended = pollster::block_on(run_session(session, &native, &mut tell));
    native.teller.end();
    ended.map_err(|error| Failure::Failed(error.to_string()))
}

/// The records of an arm, seed by seed.
pub fn of_arm(ended: &Ended, arm: usize) -> Vec<&Record> {
    ended.runs.iter().filter(|run| run.arm == arm).map(|run| &run.record).collect()
}

/// Mean and deviation over seeds.
pub fn over_seeds(records: &[&Record], of: impl Fn(&Record) -> f64) -> (f64, f64) {
    let values: Vec<f64> = records.iter().map(|record| of(record)).collect();
    (engine::numeric::mean(&values), if values.len() > 1 { engine::numeric::deviation(&values) } else { 0.0 })
}

fn text(ended: &Ended) -> String {
    let mut lines = vec![ended.spec.link().fragment()];
    for (arm, name) in ended.course.arms.iter().enumerate() {
        let records = of_arm(ended, arm);
        let (acc, deviation) = over_seeds(&records, |record| record.summary().acc);
        let (forgetting, _) = over_seeds(&records, |record| record.summary().forgetting);
        let (seconds, _) = over_seeds(&records, |record| record.cost.seconds);
        lines.push(format!(
            "\n{name}: ACC {:.1} ± {:.1}%, forgetting {:.1} points, {} kB kept, {seconds:.1} s a seed",
            100.0 * acc,
            100.0 * deviation,
            100.0 * forgetting,
            records.first().map_or(0, |record| record.cost.memory_bytes / 1000),
        ));
        if let Some(first) = records.first() {
            for (after, row) in first.rows().iter().enumerate() {
                let row: Vec<String> = row.iter().map(|accuracy| format!("{:5.1}", 100.0 * accuracy)).collect();
                lines.push(format!("  after task {}: {}", after + 1, row.join(" ")));
            }
            let numbers = first.summary().rows().into_iter().skip(1);
            let numbers: Vec<String> = numbers.map(|(name, value)| format!("{name} {value:.3}")).collect();
            lines.push(format!("  {}", numbers.join(", ")));
        }
    }
    lines.join("\n")
}
