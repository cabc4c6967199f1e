//! A study's seeds side by side: each runs on one thread and independently of the others, so the numbers are those of one
//! thread.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use engine::protocol::Backend;
use studies::{Finished, Part, Settings, Study, StudyError};

use crate::native::{Native, now_ms};

/// Runs a study on as many threads as this machine has processors. A study that measures time, and any on a GPU, has the
/// machine to itself.
pub fn run(study: &'static Study, settings: &Settings, backend: Backend) -> Result<Finished, StudyError> {
    let seeds = settings.seeds_of(study).len();
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = if study.timed() || backend != Backend::Cpu { 1 } else { processors.min(seeds) };
    if threads < 2 {
        let host = Native::new(backend);
        let finished = pollster::block_on(studies::run(study, settings, &host));
        host.teller.end();
        return finished;
    }
    let started = now_ms();
    let next = AtomicUsize::new(0);
    let ended: Mutex<Vec<(usize, Result<Part, StudyError>)>> = Mutex::default();
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            if place >= seeds {
                return;
            }
            let host = Native::new(backend);
            let part = pollster::block_on(studies::run_part(study, settings, place..place + 1, &host));
            host.teller.end();
            if part.is_err() {
                // The others need not begin what would be thrown away.
                next.store(seeds, Ordering::Relaxed);
            }
            if let Ok(mut ended) = ended.lock() {
                ended.push((place, part));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let mut parts = ended.into_inner().unwrap_or_default();
    parts.sort_by_key(|(place, _)| *place);
    let parts = parts.into_iter().map(|(_, part)| part).collect::<Result<Vec<_>, _>>()?;
    let seconds = (now_ms() - started) / 1000.0;
    studies::join(study, parts, seconds).ok_or_else(|| StudyError::Other("there is no seed to run".into()))
}
