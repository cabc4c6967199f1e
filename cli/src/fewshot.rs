//! Few-shot sessions on this machine: methods over many tasks, and what any other library needs to be held against them.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use engine::data::read_pack_file;
use engine::fewshot::{Mean, Scores, Source, read};
use engine::protocol::Backend;
use engine::spec::Page;
use serde::Serialize;
use serde_json::json;
use studies::StudyError;
use studies::encoder::write_weights;
use studies::fewshot::{Lab, Packs, embeddings_file, predictions_csv, tasks_json};

use crate::native::{Teller, now_ms, open};
use crate::{Failure, print, print_json, spec};

/// What to do beside comparing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Tasks, if not the link's.
    pub tasks: Option<u64>,
    /// Folder for embeddings, tasks and predictions.
    pub out: Option<std::path::PathBuf>,
    /// File for the trained encoder.
    pub encoder: Option<std::path::PathBuf>,
}

/// What came of a training.
#[derive(Serialize)]
struct Trained {
    updates: usize,
    seconds: f64,
    /// Accuracy on validation classes at 5-way 1-shot, where there was one.
    validation: Option<Mean>,
}

/// Reads a link, trains its encoder where it asks for one, compares its methods and prints what came out.
pub fn run(what: &str, wanted: &Wanted, backend: Backend, as_json: bool) -> Result<(), Failure> {
    let link = spec::parse(what)?;
    if link.page != Page::Fewshot {
        return Err(Failure::Usage(format!("a link to the page {} is no few-shot session", link.page.route())));
    }
    let (mut session, issues) = read(&link);
    spec::refuse(&issues)?;
    if session.spec.data == Source::Own {
        return Err(Failure::Usage("own pictures are in the browser that they were given to".into()));
    }
    if let Some(tasks) = wanted.tasks {
        session.spec.set("tasks", &tasks.to_string()).map_err(|issue| Failure::Usage(issue.message))?;
    }
    let mut packs = Packs::new();
    for name in Lab::needs(&session.spec) {
        packs.insert(name, Rc::new(read_pack_file(name).map_err(|error| Failure::Failed(error.to_string()))?));
    }
    let failed = |error: StudyError| Failure::Failed(error.to_string());
    pollster::block_on(async {
        let executor = open(backend, 1).await.map_err(|error| Failure::Failed(error.to_string()))?.0;
        let home = Rc::new(RefCell::new(Some(executor)));
        let mut lab = Lab::new(home, session.spec.clone(), &packs).await.map_err(failed)?;
        for issue in lab.fit() {
            eprintln!("minibatch: {}", issue.message);
        }
        let teller = Teller::new();
        let begun = now_ms();
        let trains = session.spec.embedding.trains();
        if trains {
            teller.say("the encoder trains");
            lab.train(now_ms).await.map_err(failed)?;
        }
        let seconds = (now_ms() - begun) / 1e3;
        let validation = if trains { Some(lab.validate().await.map_err(failed)?) } else { None };
        let training = Trained { updates: lab.encoder_card().updates, seconds, validation };
        if let Some(file) = &wanted.encoder {
            write(file, &write_weights(&lab.parameters().await.map_err(failed)?))?;
        }
        let mut comparison = lab.comparison();
        while !comparison.done() {
            lab.compare(&mut comparison, now_ms).await.map_err(failed)?;
            if comparison.records.len().is_multiple_of(100) {
                teller.say(&format!("{} of {} tasks done", comparison.records.len(), lab.spec().tasks));
            }
        }
        teller.end();
        let scores = lab.scores(&comparison, false).0;
        if let Some(folder) = &wanted.out {
            std::fs::create_dir_all(folder).map_err(|error| Failure::Failed(error.to_string()))?;
            let embeddings = embeddings_file(&mut lab, &comparison).await.map_err(failed)?;
            write(&folder.join("embeddings.safetensors"), &embeddings)?;
            write(&folder.join("tasks.json"), tasks_json(&comparison).to_string().as_bytes())?;
            write(&folder.join("predictions.csv"), predictions_csv(&comparison).as_bytes())?;
        }
        if as_json {
            return print_json(&json!({
                "link": session.link().fragment(),
                "spec": lab.spec(),
                "training": training,
                "tasks": scores.tasks,
                "methods": scores.methods,
                "confused": scores.confused,
                "hardest": scores.hardest,
            }));
        }
        print(&text(&scores, &training))
    })
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::write(file, bytes).map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))
}

fn text(scores: &Scores, training: &Trained) -> String {
    let percent = |mean: &Mean| (100.0 * mean.mean, 100.0 * mean.half);
    let mut lines = Vec::new();
    if let Some(validation) = &training.validation {
        let (mean, half) = percent(validation);
        lines.push(format!(
            "{} updates of the encoder in {:.1} s; validation classes, 5-way 1-shot: {mean:.2} % ± {half:.2}",
            training.updates, training.seconds
        ));
    }
    lines.push(format!("{} tasks", scores.tasks));
    let width = scores.methods.iter().map(|score| score.method.label().chars().count()).max().unwrap_or(0);
    for (place, score) in scores.methods.iter().enumerate() {
        let (mean, half) = percent(&score.accuracy);
        let mut line = format!("{:width$}  {mean:5.2} % ± {half:.2}", score.method.label());
        if place > 0 {
            let (mean, half) = percent(&score.difference);
            line += &format!("   {mean:+.2} ± {half:.2} to the first");
        }
        lines.push(format!("{line}   {:.2} ms a task", score.milliseconds));
    }
    lines.join("\n")
}
