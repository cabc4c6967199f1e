//! Runs a sweep on this machine's threads.

use engine::protocol::Backend;
use engine::spec::Page;
use engine::sweep::{Edge, Quantity, Results, Sweep, edge_chart, heat, pool};
use serde_json::json;

use crate::native::{Teller, now_ms, open};
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

/// Reads a link, runs its sweep and prints what came out.
pub fn run(what: &str, threads: usize, backend: Backend, format: Format) -> Result<(), Failure> {
    let link = spec::parse(what)?;
    if link.page != Page::Sweep {
        return Err(Failure::Usage(format!("a link to the page {} is no sweep", link.page.route())));
    }
    let (sweep, issues) = Sweep::read(&link);
    spec::refuse(&issues)?;
    if let Some(issue) = (0..sweep.cells()).find_map(|cell| sweep.spec(cell).err()) {
        eprintln!("minibatch: some cells have no run: {}", issue.message);
    }
    // Threads would only take turns on one GPU.
    let threads = if backend == Backend::Cpu { threads } else { 1 };
    let executor = || pollster::block_on(open(backend)).map(|(executor, _)| executor);
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
    let seconds = (now_ms() - begun) / 1000.0;
    // What has finished is told even where the rest could not be.
    let printed = match format {
        Format::Csv => print(results.to_csv(&sweep).trim_end()),
        Format::Text => print(&text(&sweep, &results, seconds)),
        Format::Json => print_json(&json!({
            "link": sweep.link().fragment(),
            "threads": threads,
            "seconds": seconds,
            "edge": Edge::of(&sweep, &results).map(|edge| json!({
                "slopes": edge.slopes,
                "points": edge.points.iter().map(|point| json!({
                    "value": point.value, "stable": point.stable, "unstable": point.unstable,
                })).collect::<Vec<_>>(),
            })),
            "trials": trials(&sweep, &results),
        })),
    };
    ended.map_err(|error| Failure::Failed(error.to_string())).and(printed)
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
    lines.extend(edge_chart(sweep, results).map(|edge| edge.alt));
    lines.push(format!("{seconds:.1} s."));
    lines.join("\n")
}
