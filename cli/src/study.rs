//! Studies without the page: one as JSON or text, or all of them as a document.

use std::fmt::Write as _;
use std::path::Path;

use engine::figure::{Holds, Verdict};
use engine::protocol::Backend;
use serde_json::{Map, Value, json};
use studies::{Finished, STUDIES, Settings, Study};

use crate::{Failure, print, print_json, seeds};

/// Lists the studies.
pub fn list(as_json: bool) -> Result<(), Failure> {
    if as_json {
        return print_json(&studies::cards());
    }
    let line = |study: &&Study| {
        format!("{:02}  {:<18} {} ({} {})", study.id, study.slug, study.title, study.authors, study.year)
    };
    print(&STUDIES.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// Runs a study and prints what came out.
pub fn run(name: &str, settings: &Settings, backend: Backend, as_json: bool) -> Result<(), Failure> {
    let study = studies::find(name)
        .ok_or_else(|| Failure::Usage(format!("there is no study “{name}”; see “minibatch study list”")))?;
    let finished = execute(study, settings, backend)?;
    if as_json { print_json(&report(study, &finished)) } else { print(&text(study, &finished)) }
}

fn execute(study: &'static Study, settings: &Settings, backend: Backend) -> Result<Finished, Failure> {
    let (_, issues) = studies::Knobs::new(&(study.knobs)(), &settings.knobs);
    if let Some(issue) = issues.first() {
        return Err(Failure::Usage(format!("knob {}: {}", issue.path, issue.message)));
    }
    seeds::run(study, settings, backend).map_err(|error| Failure::Failed(error.to_string()))
}

/// Numbers of every arm by seed, and the verdict.
fn report(study: &Study, finished: &Finished) -> Value {
    let results = &finished.results;
    let arm = |label: &studies::Label| {
        let runs: Vec<Value> = results
            .outcomes(&label.id)
            .map(|(seed, outcome)| {
                let numbers = outcome.numbers.iter().map(|(name, value)| (name.clone(), json!(value)));
                Value::Object([("seed".to_owned(), json!(seed))].into_iter().chain(numbers).collect::<Map<_, _>>())
            })
            .collect();
        json!({ "arm": label.id, "name": label.name, "runs": runs })
    };
    let knobs: Map<String, Value> = results.knobs.iter().map(|(id, value)| (id.to_owned(), value.clone())).collect();
    json!({
        "study": study.id,
        "slug": study.slug,
        "title": study.title,
        "backend": results.backend,
        "seeds": results.seeds,
        "knobs": knobs,
        "arms": results.arms.iter().map(arm).collect::<Vec<_>>(),
        "verdict": finished.verdict,
        "seconds": finished.seconds,
    })
}

fn holds(verdict: &Verdict) -> &'static str {
    match verdict.holds {
        Holds::Yes => "yes",
        Holds::Partly => "partly",
        Holds::No => "no",
    }
}

fn text(study: &Study, finished: &Finished) -> String {
    let verdict = &finished.verdict;
    let mut out = format!("Study {:02}: {}\n\n{}\n\n", study.id, study.title, verdict.measured);
    for check in &verdict.checks {
        let mark = match check.holds {
            Some(true) => "holds",
            Some(false) => "fails",
            None => "-",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {mark}  {}: {} (expected {})", check.name, check.measured, check.expected);
    }
    let _ = write!(
        out,
        "\nDoes the claim hold here? {}. {:.0} s on {}.",
        holds(verdict),
        finished.seconds,
        finished.results.backend
    );
    out
}

/// Runs every study, also with the knobs that it says, and writes the table of results, failures included.
pub fn document(file: &Path, seeds: u32, backend: Backend) -> Result<(), Failure> {
    let mut summary = String::new();
    let mut details = String::new();
    for &study in STUDIES {
        // Writing to a String cannot fail.
        let _ = write!(
            details,
            "\n## {:02} {}\n\n{} ({} {}).\n\n**Claim.** {}\n\n**Expected.** {}\n\n**Different from the paper.** {}\n",
            study.id, study.title, study.paper, study.authors, study.year, study.claim, study.expected, study.differs,
        );
        let turned = study.also.iter().map(|knob| vec![knob.map(str::to_owned).into()]);
        for knobs in [vec![]].into_iter().chain(turned) {
            let with: String =
                knobs.iter().map(|(id, value): &(String, String)| format!(" with {id} = {value}")).collect();
            eprintln!("study {:02}{with}: {}", study.id, study.title);
            let finished = execute(study, &Settings { knobs, seeds, ..Settings::default() }, backend)?;
            let verdict = &finished.verdict;
            let passed = verdict.checks.iter().filter(|check| check.holds == Some(true)).count();
            let _ = writeln!(
                summary,
                "| {:02} | [{}]({}){with} | {} | {passed} of {} | {} | {:.0} |",
                study.id,
                study.paper,
                study.source,
                holds(verdict),
                verdict.checks.len(),
                finished.results.seeds.len(),
                finished.seconds,
            );
            let _ = write!(
                details,
                "\n**Measured{with}.** {}\n\n| check | measured | expected | holds |\n|---|---|---|---|\n",
                verdict.measured
            );
            for check in &verdict.checks {
                let mark = match check.holds {
                    Some(true) => "yes",
                    Some(false) => "**no**",
                    None => "not tested",
                };
                let _ = writeln!(details, "| {} | {} | {} | {mark} |", check.name, check.measured, check.expected);
            }
        }
    }
    let machine = format!(
        "{}, {} backend",
        std::env::consts::ARCH,
        match backend {
            Backend::Cpu => "CPU",
            Backend::Webgpu => "GPU",
            Backend::Auto => "automatic",
        }
    );
    let page = format!(
        "# Studies: expected against measured\n\nWritten by `minibatch studies --write`; each number comes from a run of the \
         studies as they are in this tree ({machine}). A study that does not show its paper's effect here says so.\n\n\
         | no. | paper | holds here | checks | seeds | seconds |\n|---|---|---|---|---|---|\n{summary}{details}"
    );
    std::fs::write(file, page).map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))
}
