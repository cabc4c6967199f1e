//! The command line: the engine without the page. Numbers go to stdout, everything else to stderr.

mod args;
mod bench;
mod code;
mod continual;
mod continual_table;
mod fewshot;
mod find_rate;
mod native;
mod place;
mod probe;
mod record;
mod run;
mod seeds;
mod skeleton;
mod spec;
mod study;
mod sweep;

use std::process::ExitCode;

use args::{Action, Args};
use engine::protocol::Backend;
use studies::Settings;

/// How a command ended badly.
#[derive(Debug)]
enum Failure {
    /// The command, link or spec is wrong.
    Usage(String),
    /// Something failed.
    Failed(String),
    /// The run diverged.
    Diverged(String),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Diverged(_) => 3,
        }
    }

    fn message(&self) -> &str {
        let (Self::Usage(message) | Self::Failed(message) | Self::Diverged(message)) = self;
        message
    }
}

fn main() -> ExitCode {
    let outcome = match args::parse(std::env::args_os().skip(1)) {
        Ok(args) => act(args),
        Err(error) => Err(Failure::Usage(error.to_string())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("minibatch: {}", failure.message());
            ExitCode::from(failure.code())
        }
    }
}

fn act(args: Args) -> Result<(), Failure> {
    let Args { action, backend, json } = args;
    let one = backend.unwrap_or(Backend::Cpu);
    match action {
        Action::Help => print(args::HELP.trim_end()),
        Action::Version => print(concat!("minibatch ", env!("CARGO_PKG_VERSION"))),
        Action::Run { what, set, dry: true, .. } => spec::describe(&what, &set),
        Action::Run { what, out, weights, set, threads, dry: false } => {
            run::run(&what, &set, out, weights, one, threads)
        }
        Action::Sweep { what, threads, csv } => sweep::run(&what, threads, one, sweep::Format::of(csv, json)),
        Action::Cells { what } => sweep::list(&what),
        Action::Join { what, folders, csv } => sweep::join(&what, &folders, sweep::Format::of(csv, json)),
        Action::Fewshot { what, wanted } => fewshot::run(&what, &wanted, one, json),
        Action::Continual { what, seeds, out } => continual::run(&what, seeds, out.as_deref(), one, json),
        Action::ContinualTable { file } => continual_table::write(&file, one),
        Action::List => study::list(json),
        Action::Skeleton { number, slug } => skeleton::write(number, &slug, std::path::Path::new(".")),
        Action::Study { name, seeds, first_seed, knobs } => {
            study::run(&name, &Settings { knobs, seeds, first_seed }, one, json)
        }
        Action::Document { file, only, seeds } => study::document(&file, only.as_deref(), seeds, one),
        Action::Code { what, framework, out, updates } => code::write(&what, framework, &out, updates, one),
        Action::FindRate { place, range } => find_rate::run(&place, range, one, json),
        Action::Probe { place } => probe::run(&place, one),
        Action::Bench { workloads, steps, threads } => bench::run(&workloads, steps, backend, threads, json),
    }
}

/// One text and a line end to stdout; a reader that has closed the pipe is no failure.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::Failed(error.to_string())),
        _ => Ok(()),
    }
}

/// A value as one line of JSON to stdout.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    print(&serde_json::to_string(value).map_err(|error| Failure::Failed(error.to_string()))?)
}
