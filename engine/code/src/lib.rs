//! A run of the lab as code for other frameworks: a script that trains the same network on the same data.
//!
//! ```text
//! Link ─ refuse.rs ─ record.rs (the lab's own updates) ─ bundle.rs ─ start.safetensors, data.safetensors
//!                          └ torch/, jax/, burn/ ─ the script, its schedule by schedule.rs
//! ```
//!
//! A script starts from the lab's parameters, draws the lab's batches and prints the lab's loss beside its own at every update. Its
//! text is a function of the recipe alone. What no script can repeat is refused by name.

mod bundle;
mod burn;
mod jax;
mod python;
mod record;
mod refuse;
mod schedule;
mod script;
mod text;
mod torch;

use std::rc::Rc;

use engine::data::{Data, DataError, Split};
use engine::executor::Executor;
use engine::spec::Link;
use engine::train::{Feed, TrainError};

pub use record::MOST_DRAWN;

/// For what a script is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framework {
    /// PyTorch.
    Torch,
    /// JAX, with optax.
    Jax,
    /// burn, in Rust.
    Burn,
}

impl Framework {
    /// Every one.
    pub const ALL: &[Self] = &[Self::Torch, Self::Jax, Self::Burn];

    /// As on the command line and in messages.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Torch => "torch",
            Self::Jax => "jax",
            Self::Burn => "burn",
        }
    }

    /// As in text.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Torch => "PyTorch",
            Self::Jax => "JAX",
            Self::Burn => "burn",
        }
    }

    /// The framework of that id.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|framework| framework.id() == id)
    }
}

/// Why there is no code of a run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A script could not repeat it.
    #[error("this run cannot be written as a script for {}: {}", .0.label(), .1.join("; "))]
    Refused(Framework, Vec<String>),
    /// The lab could not train it.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Its data cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The files could not be written.
    #[error("the files could not be written: {0}")]
    Bundle(#[from] safetensors::SafeTensorError),
    /// Whoever asked for it has given it up.
    #[error("given up")]
    GivenUp,
}

/// A file by its name.
pub type File = (String, Vec<u8>);

/// The files of a run of which the first `updates` are repeated (all, if there are fewer): its script, and what that reads. The lab
/// trains these updates on `executor`; after each `go_on` is told how many are done, and ends it by saying no.
///
/// # Errors
/// The run is one that no script repeats, or the lab cannot train it.
pub async fn files<E: Executor>(
    executor: E,
    link: &Link,
    data: Rc<Data>,
    framework: Framework,
    updates: u64,
    go_on: impl AsyncFnMut(u64) -> bool,
) -> Result<Vec<File>, Error> {
    let spec = &link.spec;
    let updates = updates.min(spec.steps).max(1);
    let data = data.moved(&spec.data).map_or(data, Rc::new);
    let feed = Feed::of(&data, spec)?;
    let all = data.examples(Split::Train, feed.span()).len();
    let reasons = refuse::reasons(spec, &feed, all, framework, updates);
    if !reasons.is_empty() {
        return Err(Error::Refused(framework, reasons));
    }
    let record = record::record(executor, spec, data.clone(), framework, updates, go_on).await?;
    let script = script::Script::new(link, &feed, &record);
    let (name, text, start) = match framework {
        Framework::Torch => ("run.py", torch::script(&script), bundle::start(&record, &torch::names(&script))?),
        Framework::Jax => ("run_jax.py", jax::script(&script), bundle::start(&record, &jax::names)?),
        Framework::Burn => ("main.rs", burn::script(&script), bundle::start(&record, &burn::names(&script))?),
    };
    let mut files = vec![
        (name.to_owned(), text.into_bytes()),
        ("start.safetensors".to_owned(), start),
        ("data.safetensors".to_owned(), bundle::data(&script, &record, &data)?),
    ];
    if framework == Framework::Burn {
        files.push(("Cargo.toml".to_owned(), burn::MANIFEST.as_bytes().to_vec()));
    }
    Ok(files)
}
