//! Steps timed as a harness times them: in stretches between two readings of the loss.

use super::profile;
use crate::executor::{Counters, Executor};
use crate::numeric::{median, sorted};
use crate::protocol::BenchRow;

/// Steps between two readings of the loss.
pub const READING: u64 = 10;

/// What trains a step at a time.
pub(super) trait Stepping {
    /// Why it cannot.
    type Error;
    /// On what it trains.
    type Executor: Executor;

    /// Steps done.
    fn done(&self) -> u64;

    /// The executor.
    fn executor(&mut self) -> &mut Self::Executor;

    /// Enqueues a step.
    async fn submit(&mut self) -> Result<(), Self::Error>;

    /// Waits for the steps so far and reads the last one's loss.
    async fn read(&mut self) -> Result<f64, Self::Error>;
}

/// Trains `steps` more, reading the loss at every 10th step and at the end. Times a step are means over the steps from one
/// reading to the next; host time is that of the first step after each. `profiled` more steps tell where a step goes.
/// `losses`: all losses read so far, which the new ones join; `row`: what does not change from call to call.
pub(super) async fn measure<S: Stepping>(
    stepping: &mut S,
    [steps, profiled]: [u32; 2],
    clock: fn() -> f64,
    row: &BenchRow,
    losses: &mut Vec<(u64, f64)>,
) -> Result<BenchRow, S::Error> {
    let (mut times, mut host) = (Vec::new(), Vec::new());
    let mut launched = Counters::default();
    let mut most_buffers = 0;
    let end = stepping.done() + u64::from(steps);
    while stepping.done() < end {
        let first = stepping.done();
        let reading = ((first / READING + 1) * READING).min(end);
        let begun = clock();
        while stepping.done() < reading {
            let (before, at) = (stepping.executor().counters(), clock());
            stepping.submit().await?;
            // Nothing is in flight after a reading, so the step waits for nothing, and a device in software is not at
            // work on the processor that encodes it.
            if stepping.done() - first == 1 {
                host.push(clock() - at);
            }
            let after = stepping.executor().counters();
            launched.dispatches += after.dispatches - before.dispatches;
            launched.submits += after.submits - before.submits;
            most_buffers = most_buffers.max(after.buffer_creations - before.buffer_creations);
        }
        let loss = stepping.read().await?;
        losses.push((stepping.done(), loss));
        times.push((clock() - begun) / (stepping.done() - first) as f64);
    }
    let peak_bytes = stepping.executor().counters().bytes_peak;
    stepping.executor().begin_profile(clock);
    let end = stepping.done() + u64::from(profiled);
    while stepping.done() < end {
        stepping.submit().await?;
    }
    let profile = stepping.executor().end_profile().filter(|_| profiled > 0);
    // Of no steps every time is 0.
    let times = sorted(&times);
    let each = |count: u64| count.checked_div(u64::from(steps)).unwrap_or(0) as u32;
    Ok(BenchRow {
        steps,
        median_ms: median(&times).max(0.0),
        min_ms: times.first().copied().unwrap_or(0.0),
        max_ms: times.last().copied().unwrap_or(0.0),
        host_ms: median(&host).max(0.0),
        dispatches: each(launched.dispatches),
        submits: each(launched.submits),
        buffer_creations: most_buffers as u32,
        peak_bytes,
        last_loss: losses.last().map_or(f64::NAN, |&(_, loss)| loss),
        losses: losses.clone(),
        profile: profile.map(|profile| profile::figure(&profile, profiled, row)),
        ..row.clone()
    })
}
