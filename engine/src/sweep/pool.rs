//! A sweep on this machine's threads.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

use super::trial::trial;
use super::{Outcome, Results, Sweep};
use crate::data::{self, Data};
use crate::executor::{AnyExecutor, ExecError};
use crate::spec::{DataSpec, RunSpec};
use crate::train::TrainError;

/// Why a sweep could not go on.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// A run could not be built or trained.
    #[error("no result at {cell}: {error}")]
    Train {
        /// Its cell, in words.
        cell: String,
        /// Why not.
        error: TrainError,
    },
    /// There is no executor.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

/// What a thread computes with.
pub struct Machine<'a> {
    /// Makes a thread's executor.
    pub executor: &'a (dyn Fn() -> Result<AnyExecutor, ExecError> + Sync),
    /// Milliseconds since some fixed moment.
    pub clock: fn() -> f64,
    /// How many threads; at least one is started.
    pub threads: usize,
}

/// Runs every trial that `results` lacks; `told` receives each as it ends and says whether to go on. What has finished
/// stays in `results`, so that calling again goes on from there.
///
/// # Errors
/// The first trial that could not be trained; those that had ended stay.
pub fn run(
    sweep: &Sweep,
    results: &mut Results,
    machine: &Machine<'_>,
    mut told: impl FnMut(&Results) -> bool,
) -> Result<(), SweepError> {
    let missing = results.missing(sweep);
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..machine.threads.clamp(1, missing.len().max(1)) {
            let (sender, next, stop, missing) = (sender.clone(), &next, &stop, missing.as_slice());
            scope.spawn(move || {
                if let Err(error) = work(sweep, missing, machine, next, stop, &sender) {
                    stop.store(true, Ordering::Relaxed);
                    // The receiver lives until the last sender is gone.
                    let _ = sender.send(Err(error));
                }
            });
        }
        drop(sender);
        let mut ended = Ok(());
        for message in receiver {
            match message {
                Ok((trial, outcome)) => {
                    results.take(trial, outcome);
                    if !told(results) {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
                Err(error) => ended = ended.and(Err(error)),
            }
        }
        ended
    })
}

/// One thread: takes the next open trial until there is none.
fn work(
    sweep: &Sweep,
    missing: &[usize],
    machine: &Machine<'_>,
    next: &AtomicUsize,
    stop: &AtomicBool,
    sender: &Sender<Result<(usize, Outcome), SweepError>>,
) -> Result<(), SweepError> {
    let mut executor = (machine.executor)()?;
    let mut shelf: Option<(DataSpec, u64, Rc<Data>)> = None;
    while let Some(&number) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
        let Ok(spec) = sweep.spec(number) else { continue };
        let fail = |error| SweepError::Train { cell: sweep.name(number), error };
        let data = match &shelf {
            Some((of, seed, data)) if *of == spec.data && *seed == spec.seed => data.clone(),
            _ => shelf.insert((spec.data.clone(), spec.seed, load(&spec).map_err(fail)?)).2.clone(),
        };
        let go_on = async |_| !stop.load(Ordering::Relaxed);
        let trained = trial(executor, &spec, data, sweep.target, machine.clock, go_on);
        let (back, outcome) = pollster::block_on(trained).map_err(fail)?;
        executor = back;
        match outcome {
            Some(outcome) if sender.send(Ok((number, outcome))).is_ok() => {}
            _ => return Ok(()),
        }
    }
    Ok(())
}

fn load(spec: &RunSpec) -> Result<Rc<Data>, TrainError> {
    let pack = data::pack_file(spec.data.set).map(|name| data::read_pack_file(&name)).transpose()?;
    Ok(Rc::new(data::load(&spec.data, spec.seed, pack.as_deref())?))
}
