//! The command line's grammar.

use std::ffi::OsString;
use std::path::PathBuf;

use code::Framework;
use engine::protocol::Backend;
use engine::range::Range;
use lexopt::prelude::*;

use crate::fewshot::Wanted;

/// Steps of a bench that are timed launch by launch, where that is asked for.
const PROFILED: u32 = 20;

/// What `--help` prints.
pub const HELP: &str = "\
minibatch: train small networks, reproduce papers, measure steps; the engine of the lab, without the page.

usage
  minibatch run LINK_OR_JSON [--set PATH=VALUE].. [--weights FILE] [--out DIR] [--threads N] [--dry-run]
                                                       train what a link, a JSON spec or a file of either says
  minibatch code LINK_OR_JSON --framework F --out DIR [--updates N]
                                                       write a script that trains the same network on the same data
  minibatch sweep LINK [--threads N] [--json | --csv]  train every cell of a sweep's grid; '#sweep' is the default one
  minibatch sweep LINK --list                          print the link of every run of it, one a line
  minibatch sweep LINK --join DIR.. [--json | --csv]   build the grid from runs that were trained one by one
  minibatch fewshot LINK [--tasks N] [--out DIR] [--encoder FILE] [--json]
                                                       compare few-shot methods; '#fewshot' is the default session
  minibatch continual LINK [--seeds K] [--out DIR] [--json]
                                                       learn a stream of tasks by each strategy of a session
  minibatch continual --write FILE                     run the sessions that others published numbers of; writes
                                                       FILE, and beside it the same as JSON, for the page's help
  minibatch study NN [--seeds K] [--first-seed N] [--set KNOB=VALUE].. [--json]
                                                       run a study by its number or name and judge it
  minibatch study list [--json]                        list the studies
  minibatch study new NN SLUG                          write the skeleton of a study into the sources here
  minibatch studies [NN] --write FILE [--seeds K]      run every study, or one, and write the table of results
  minibatch find-lr LINK_OR_JSON [--weights FILE] [--at STEP] [--samples N] [--low R] [--high R] [--steps N] [--json]
                                                       let the learning rate grow until the loss diverges
  minibatch probe LINK_OR_JSON [--weights FILE] [--at STEP] [--samples N] --json
                                                       measure curvature and gradient noise, every number of it
  minibatch bench [--workload W].. [--steps N] [--threads N] [--profile] [--json]
                                                       measure the fixed workloads w1 to w4, or a recipe by its link

options
  --backend cpu|gpu|auto   what to compute on (default: cpu; bench: every one there is)
  --out DIR                run: write metrics.csv and the same as metrics.parquet, events.out.tfevents.minibatch for
                           TensorBoard, run.json and weights.safetensors there; fewshot: embeddings.safetensors,
                           tasks.json and predictions.csv; continual: accuracy.csv and continual.json; code: the
                           script, start.safetensors and data.safetensors
  --framework F            code: torch (PyTorch), jax (JAX with optax) or burn (Rust)
  --updates N              code: updates that the script repeats (default: all of the run)
  --tasks N                fewshot: tasks over which methods are compared (default: the link's)
  --encoder FILE           fewshot: write the trained encoder there
  --set PATH=VALUE         run: turn a control of the recipe, as links name it; study: turn a knob
  --join DIR..             sweep: folders that run --out wrote, or folders of such folders
  --weights FILE           start from the parameters and running statistics of a safetensors file
  --at STEP                find-lr, probe: after so many updates of the run (default: 0)
  --samples N              find-lr, probe: training examples that curvature is measured on (default: the recipe's
                           probes.samples)
  --dry-run                run: print the run as it would be, and what is wrong with it, as JSON
  --profile                bench: also where a step goes, launch by launch
  --threads N              sweep: train so many cells at once (default: one a core); run, bench: threads of the CPU
                           executor, whose number changes no result (default: 1)
  --csv                    sweep: a row a run
  --low R, --high R        find-lr: the first and the last rate (default: 1e-6, 10)
  --steps N                find-lr: updates (default: 100); bench: steps after the first (default: 50)
  --json                   one JSON object (bench: one a line) instead of text

environment
  MINIBATCH_DATA           folder of the data packs (default: public/data)

exit codes
  0 done   1 failed   2 the command, link or spec is wrong   3 the run diverged
";

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Print [`HELP`].
    Help,
    /// Print the version.
    Version,
    /// Train.
    Run {
        /// A link, JSON, or the name of a file that holds one.
        what: String,
        /// Where to write.
        out: Option<PathBuf>,
        /// A file of weights to start from.
        weights: Option<PathBuf>,
        /// Controls that were turned.
        set: Vec<(String, String)>,
        /// Threads of the CPU executor.
        threads: usize,
        /// Only say what would run.
        dry: bool,
    },
    /// Write a run as code.
    Code {
        /// A link, JSON, or the name of a file that holds one.
        what: String,
        /// For what.
        framework: Framework,
        /// Where to write.
        out: PathBuf,
        /// Updates that the script repeats.
        updates: u64,
    },
    /// Run a sweep.
    Sweep {
        /// A link to a sweep, or the name of a file that holds one.
        what: String,
        /// Cells trained at once.
        threads: usize,
        /// Whether to print rows.
        csv: bool,
    },
    /// List the links of a sweep's runs.
    Cells {
        /// A link to a sweep, or the name of a file that holds one.
        what: String,
    },
    /// Build a sweep's grid from runs that were trained one by one.
    Join {
        /// A link to a sweep, or the name of a file that holds one.
        what: String,
        /// Folders of runs.
        folders: Vec<PathBuf>,
        /// Whether to print rows.
        csv: bool,
    },
    /// Compare few-shot methods.
    Fewshot {
        /// A link to a session, or the name of a file that holds one.
        what: String,
        /// What else is wanted.
        wanted: Wanted,
    },
    /// Run a session of the continual lab.
    Continual {
        /// A link to it, or the name of a file that holds one.
        what: String,
        /// Seeds; 0 = as the link says.
        seeds: u32,
        /// Where to write.
        out: Option<PathBuf>,
    },
    /// Run the sessions that others have published numbers of, and write a document.
    ContinualTable {
        /// Where to.
        file: PathBuf,
    },
    /// List the studies.
    List,
    /// Write the skeleton of a study.
    Skeleton {
        /// Its number.
        number: u32,
        /// Its name in links.
        slug: String,
    },
    /// Run a study.
    Study {
        /// Its number or name.
        name: String,
        /// Seeds per arm; 0 = the study's own number.
        seeds: u32,
        /// First seed.
        first_seed: u64,
        /// Knobs that were turned.
        knobs: Vec<(String, String)>,
    },
    /// Run every study and write a document.
    Document {
        /// Where to.
        file: PathBuf,
        /// The one study that is run; what the file says of the others stays.
        only: Option<String>,
        /// Seeds per arm; 0 = each study's own number.
        seeds: u32,
    },
    /// Test learning rates.
    FindRate {
        /// The run, and where in it.
        place: Place,
        /// The rates.
        range: Range,
    },
    /// Measure curvature and gradient noise.
    Probe {
        /// The run, and where in it.
        place: Place,
    },
    /// Measure.
    Bench {
        /// Workloads by name; none = all.
        workloads: Vec<String>,
        /// Steps after the first, and those after them that are timed launch by launch.
        steps: [u32; 2],
        /// Threads of the CPU executor.
        threads: usize,
    },
}

/// A moment of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// A link, JSON, or the name of a file that holds one.
    pub what: String,
    /// A file of weights to start from.
    pub weights: Option<PathBuf>,
    /// Updates to make first.
    pub at: u64,
    /// Training examples to measure curvature on; none = as the recipe says.
    pub samples: Option<u64>,
}

/// A command line.
#[derive(Clone, Debug, PartialEq)]
pub struct Args {
    /// What to do.
    pub action: Action,
    /// What to compute on; none = the action's own choice.
    pub backend: Option<Backend>,
    /// Whether to print JSON.
    pub json: bool,
}

/// Reads a command line, without the program's name.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Args, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut words: Vec<String> = Vec::new();
    let (mut backend, mut out, mut write, mut weights) = (None, None, None, None);
    let (mut tasks, mut encoder) = (None, None);
    let (mut framework, mut updates) = (None, u64::MAX);
    let (mut at, mut samples) = (0, None);
    let (mut json, mut csv, mut dry, mut list, mut profile) = (false, false, false, false, false);
    let mut join: Vec<PathBuf> = Vec::new();
    let mut threads = None;
    let (mut seeds, mut first_seed, mut steps) = (0, 1, None);
    let mut range = Range::default();
    let (mut knobs, mut workloads) = (Vec::new(), Vec::new());
    // Options that only some actions take, as given.
    let mut given: Vec<&'static str> = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => words.insert(0, "help".into()),
            Short('V') | Long("version") => words.insert(0, "version".into()),
            Long("backend") => backend = Some(parser.value()?.parse_with(read_backend)?),
            Long("json") => json = true,
            Long("out") => {
                out = Some(PathBuf::from(parser.value()?));
                given.push("--out");
            }
            Long("weights") => {
                weights = Some(PathBuf::from(parser.value()?));
                given.push("--weights");
            }
            Long("at") => {
                at = parser.value()?.parse_with(|text| within(text, 0, 1_000_000_000))?;
                given.push("--at");
            }
            Long("samples") => {
                samples = Some(parser.value()?.parse_with(|text| within(text, 1, 100_000))?);
                given.push("--samples");
            }
            Long("csv") => {
                csv = true;
                given.push("--csv");
            }
            Long("threads") => {
                threads = Some(parser.value()?.parse_with(|text| within(text, 1, 256))? as usize);
                given.push("--threads");
            }
            Long("list") => {
                list = true;
                given.push("--list");
            }
            Long("profile") => {
                profile = true;
                given.push("--profile");
            }
            Long("join") => {
                join.extend(parser.values()?.map(PathBuf::from));
                given.push("--join");
            }
            Long("dry-run") => {
                dry = true;
                given.push("--dry-run");
            }
            Long("seeds") => {
                seeds = parser.value()?.parse_with(|text| within(text, 1, 100))? as u32;
                given.push("--seeds");
            }
            Long("first-seed") => {
                first_seed =
                    parser.value()?.parse_with(|text| within(text, 0, engine::spec::MAX_SAFE_INTEGER - 100))?;
                given.push("--first-seed");
            }
            Long("set") => {
                knobs.push(parser.value()?.parse_with(pair)?);
                given.push("--set");
            }
            Long("write") => {
                write = Some(PathBuf::from(parser.value()?));
                given.push("--write");
            }
            Long("low") => {
                range.low = parser.value()?.parse()?;
                given.push("--low");
            }
            Long("high") => {
                range.high = parser.value()?.parse()?;
                given.push("--high");
            }
            Long("workload") => {
                workloads.push(parser.value()?.string()?);
                given.push("--workload");
            }
            Long("steps") => {
                steps = Some(parser.value()?.parse_with(|text| within(text, 1, 1_000_000))?);
                given.push("--steps");
            }
            Long("framework") => {
                framework = Some(parser.value()?.parse_with(read_framework)?);
                given.push("--framework");
            }
            Long("updates") => {
                updates = parser.value()?.parse_with(|text| within(text, 1, 1_000_000_000))?;
                given.push("--updates");
            }
            Long("tasks") => {
                tasks = Some(parser.value()?.parse_with(|text| within(text, 2, 20_000))?);
                given.push("--tasks");
            }
            Long("encoder") => {
                encoder = Some(PathBuf::from(parser.value()?));
                given.push("--encoder");
            }
            Value(word) => words.push(word.string()?),
            _ => return Err(argument.unexpected()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (action, takes): (Action, &[&str]) = match words[..] {
        [] | ["help", ..] => return Ok(Args { action: Action::Help, backend, json }),
        ["version", ..] => return Ok(Args { action: Action::Version, backend, json }),
        ["run", what] => {
            let run = Action::Run { what: what.into(), out, weights, set: knobs, threads: threads.unwrap_or(1), dry };
            (run, &["--out", "--dry-run", "--weights", "--set", "--threads"])
        }
        ["code", what] => match (framework, out) {
            (Some(framework), Some(out)) => {
                (Action::Code { what: what.into(), framework, out, updates }, &["--framework", "--out", "--updates"])
            }
            _ => return Err("code needs --framework and --out DIR".into()),
        },
        ["sweep", what] if list => (Action::Cells { what: what.into() }, &["--list"]),
        ["sweep", what] if !join.is_empty() => {
            (Action::Join { what: what.into(), folders: join, csv }, &["--join", "--csv"])
        }
        ["sweep", what] => {
            let cores = || std::thread::available_parallelism().map_or(1, usize::from);
            let threads = threads.unwrap_or_else(cores);
            (Action::Sweep { what: what.into(), threads, csv }, &["--threads", "--csv"])
        }
        ["fewshot", what] => {
            let wanted = Wanted { tasks, out, encoder };
            (Action::Fewshot { what: what.into(), wanted }, &["--tasks", "--out", "--encoder"])
        }
        ["continual", what] => (Action::Continual { what: what.into(), seeds, out }, &["--seeds", "--out"]),
        ["study", "list"] => (Action::List, &[]),
        ["study", "new", number, slug] => {
            let number = number.parse().map_err(|_| format!("a study's number is a whole number, not “{number}”"))?;
            (Action::Skeleton { number, slug: slug.into() }, &[])
        }
        ["study", "new", ..] => return Err("study new needs a number and a name".into()),
        ["study", name] => {
            (Action::Study { name: name.into(), seeds, first_seed, knobs }, &["--seeds", "--first-seed", "--set"])
        }
        ["studies"] | ["studies", _] => match write {
            Some(file) => {
                let only = words.get(1).map(|&name| name.to_owned());
                (Action::Document { file, only, seeds }, &["--write", "--seeds"])
            }
            None => return Err("studies needs --write FILE".into()),
        },
        ["find-lr", what] => {
            let range = Range { updates: steps.unwrap_or(range.updates), ..range };
            range.check()?;
            let place = Place { what: what.into(), weights, at, samples };
            (Action::FindRate { place, range }, &["--low", "--high", "--steps", "--weights", "--at", "--samples"])
        }
        ["probe", what] if json => {
            let place = Place { what: what.into(), weights, at, samples };
            (Action::Probe { place }, &["--weights", "--at", "--samples"])
        }
        ["probe", _] => return Err("probe prints JSON; say --json".into()),
        ["bench"] => {
            let steps = [steps.unwrap_or(50) as u32, if profile { PROFILED } else { 0 }];
            let bench = Action::Bench { workloads, steps, threads: threads.unwrap_or(1) };
            (bench, &["--workload", "--steps", "--threads", "--profile"])
        }
        ["run"] => return Err("run needs a link, a JSON spec or a file".into()),
        ["code"] => return Err("code needs a link, a JSON spec or a file".into()),
        ["find-lr"] => return Err("find-lr needs a link, a JSON spec or a file".into()),
        ["probe"] => return Err("probe needs a link, a JSON spec or a file".into()),
        ["sweep"] => return Err("sweep needs a link; '#sweep' is the default one".into()),
        ["fewshot"] => return Err("fewshot needs a link; '#fewshot' is the default one".into()),
        ["continual"] => match write {
            Some(file) => (Action::ContinualTable { file }, &["--write"]),
            None => return Err("continual needs a link; '#continual' is the default one".into()),
        },
        ["study"] => return Err("study needs a number or name; see “minibatch study list”".into()),
        [
            word @ ("run" | "code" | "sweep" | "fewshot" | "continual" | "study" | "studies" | "find-lr" | "probe"
            | "bench"),
            ..,
        ] => {
            return Err(format!("too many words for {word}; a link belongs in quotes").into());
        }
        [word, ..] => return Err(format!("there is no command “{word}”; see --help").into()),
    };
    match given.iter().find(|option| !takes.contains(option)) {
        Some(option) => Err(format!("{option} means nothing for {}", words[0]).into()),
        None => Ok(Args { action, backend, json }),
    }
}

fn read_backend(text: &str) -> Result<Backend, String> {
    match text {
        "cpu" => Ok(Backend::Cpu),
        "gpu" | "webgpu" => Ok(Backend::Webgpu),
        "auto" => Ok(Backend::Auto),
        _ => Err("must be cpu, gpu or auto".into()),
    }
}

fn read_framework(text: &str) -> Result<Framework, String> {
    let known: Vec<&str> = Framework::ALL.iter().map(|framework| framework.id()).collect();
    Framework::from_id(text).ok_or_else(|| format!("must be {}", known.join(", ")))
}

fn within(text: &str, low: u64, high: u64) -> Result<u64, String> {
    let number: u64 = text.parse().map_err(|_| "must be a whole number".to_owned())?;
    if (low..=high).contains(&number) { Ok(number) } else { Err(format!("must be from {low} to {high}")) }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (knob, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((knob.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Args, String> {
        parse(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn commands_read_as_documented() {
        let args = read("run lab?data=digits --backend gpu --out runs/a").unwrap();
        assert_eq!(args.backend, Some(Backend::Webgpu));
        let (out, set) = (Some("runs/a".into()), vec![]);
        let what = "lab?data=digits".to_owned();
        assert_eq!(args.action, Action::Run { what, out, weights: None, set, threads: 1, dry: false });
        let set = vec![("seed".to_owned(), "2".to_owned()), ("batch.size".to_owned(), "8".to_owned())];
        let run = Action::Run { what: "#lab".into(), out: None, weights: None, set, threads: 2, dry: true };
        assert_eq!(read("run #lab --set seed=2 --set batch.size=8 --threads 2 --dry-run").unwrap().action, run);
        let code =
            |updates| Action::Code { what: "#lab".into(), framework: Framework::Torch, out: "a".into(), updates };
        assert_eq!(read("code #lab --framework torch --out a --updates 50").unwrap().action, code(50));
        assert_eq!(read("code #lab --framework torch --out a").unwrap().action, code(u64::MAX));
        assert_eq!(read("sweep #sweep --list").unwrap().action, Action::Cells { what: "#sweep".into() });
        let join = Action::Join { what: "#sweep".into(), folders: vec!["a".into(), "b".into()], csv: true };
        assert_eq!(read("sweep #sweep --csv --join a b").unwrap().action, join);
        let wanted = Wanted { tasks: Some(50), out: Some("runs/b".into()), encoder: None };
        let fewshot = read("fewshot #fewshot?ways=20 --tasks 50 --out runs/b").unwrap().action;
        assert_eq!(fewshot, Action::Fewshot { what: "#fewshot?ways=20".into(), wanted });
        let args = read("study 15 --seeds 3 --first-seed 7 --set train=200 --json").unwrap();
        assert!(args.json);
        let knobs = vec![("train".to_owned(), "200".to_owned())];
        assert_eq!(args.action, Action::Study { name: "15".into(), seeds: 3, first_seed: 7, knobs });
        let sweep = Action::Sweep { what: "#sweep".into(), threads: 2, csv: true };
        assert_eq!(read("sweep #sweep --threads 2 --csv").unwrap().action, sweep);
        let session = Action::Continual { what: "#continual".into(), seeds: 3, out: None };
        assert_eq!(read("continual #continual --seeds 3").unwrap().action, session);
        assert_eq!(read("continual --write C.md").unwrap().action, Action::ContinualTable { file: "C.md".into() });
        assert_eq!(read("study list").unwrap().action, Action::List);
        let range = Range { low: 1e-4, updates: 200, ..Range::default() };
        let place = Place { what: "#lab".into(), ..Place::default() };
        let find = Action::FindRate { place, range };
        assert_eq!(read("find-lr #lab --low 1e-4 --steps 200").unwrap().action, find);
        let weights = Some("w.safetensors".into());
        let place = Place { what: "#lab".into(), weights, at: 40, samples: Some(200) };
        let probe = Action::Probe { place };
        assert_eq!(read("probe #lab --at 40 --samples 200 --weights w.safetensors --json").unwrap().action, probe);
        let bench = Action::Bench { workloads: vec![], steps: [50, 0], threads: 2 };
        assert_eq!(read("bench --threads 2 --json").unwrap().action, bench);
        assert_eq!(read("").unwrap().action, Action::Help);
        assert_eq!(read("run x --help").unwrap().action, Action::Help);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, part) in [
            ("train", "no command"),
            ("run", "needs a link"),
            ("run a b", "in quotes"),
            ("code", "needs a link"),
            ("code a --out b", "needs --framework"),
            ("code a --framework caffe --out b", "must be torch"),
            ("run a --updates 3", "means nothing for run"),
            ("sweep", "needs a link"),
            ("fewshot", "needs a link"),
            ("fewshot a --seeds 2", "means nothing for fewshot"),
            ("continual", "needs a link"),
            ("study 15 --threads 2", "means nothing for study"),
            ("run a --seeds 3", "means nothing for run"),
            ("run a --backend tpu", "must be cpu, gpu or auto"),
            ("study 15 --seeds many", "whole number"),
            ("study 15 --seeds 0", "from 1 to 100"),
            ("study 15 --set train", "NAME=VALUE"),
            ("run a --set seed", "NAME=VALUE"),
            ("run a --list", "means nothing for run"),
            ("sweep a --list --csv", "means nothing for sweep"),
            ("sweep a --join", "missing argument"),
            ("study 15 --first-seed -1", "whole number"),
            ("studies", "--write"),
            ("bench --fast", "invalid option"),
            ("bench --steps", "missing argument"),
            ("bench --low 1", "means nothing for bench"),
            ("find-lr", "needs a link"),
            ("probe", "needs a link"),
            ("probe a", "say --json"),
            ("probe a --json --samples 0", "from 1 to"),
            ("sweep a --at 3", "means nothing for sweep"),
            ("find-lr a --low high", "invalid"),
            ("find-lr a --low 2 --high 1", "must rise"),
            ("find-lr a --steps 3", "20 to 10000 updates"),
        ] {
            let message = read(line).unwrap_err();
            assert!(message.contains(part), "{line}: {message}");
        }
    }
}
