//! The CPU executor: runs plans over a flat arena in plain memory.
//!
//! Matrix products go through [`product`], everything elementwise through the tile interpreter ([`tile`]). Running plans
//! rather than burn-flex operations gives both executors the same fusion and memory plan, and leaves burn-flex an independent
//! oracle in tests. Nothing is allocated after preparation.

mod cut;
mod launch;
mod loops;
mod math;
mod memory;
mod product;
mod scratch;
mod signal;
mod special;
mod team;
#[cfg(test)]
pub(crate) mod tests;
mod tile;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::executor::{Counters, ExecError, Executor, PlanId, Profile, RING_COLUMNS, RING_ROWS, Run, check};
use crate::graph::numel;
use crate::graph::plan::{Kernel, Launch, Place, Plan, Space};
use launch::Prepared;
use memory::Buffer;
use team::Team;

#[cfg(target_arch = "wasm32")]
pub use team::threads;

/// Runs plans on this thread and its helpers.
pub struct CpuExecutor {
    /// All memory; positions never move, freed ones are empty.
    buffers: Vec<Buffer>,
    named: BTreeMap<String, usize>,
    plans: Vec<Option<Ready>>,
    ring: Vec<f32>,
    team: Team,
    profile: Option<Profile>,
    counters: Counters,
}

/// A plan with its memory.
struct Ready {
    plan: Arc<Plan>,
    /// The parts of each launch.
    launches: Vec<Vec<Prepared>>,
    memory: Memory,
}

/// Buffers of a plan.
struct Memory {
    arena: usize,
    step: usize,
    metrics: usize,
    /// Buffer and first element of each input.
    inputs: Vec<(usize, usize)>,
}

impl Memory {
    fn resolve(&self, place: &Place) -> (usize, usize) {
        match place.space {
            Space::Arena => (self.arena, place.offset),
            Space::Metrics => (self.metrics, place.offset),
            Space::Input(id) => {
                let (buffer, first) = self.inputs[id.index()];
                (buffer, first + place.offset)
            }
        }
    }
}

fn wrong(name: &str, reason: String) -> ExecError {
    ExecError::Buffer { name: name.to_owned(), reason }
}

impl CpuExecutor {
    /// An executor without buffers, on this thread alone.
    #[allow(clippy::new_without_default, reason = "one asks for threads, or for none")]
    pub fn new() -> Self {
        Self::with_threads(1)
    }

    /// An executor without buffers, on this thread and as many more as make `threads`. Their number changes no result.
    pub fn with_threads(threads: usize) -> Self {
        CpuExecutor {
            buffers: Vec::new(),
            named: BTreeMap::new(),
            plans: Vec::new(),
            ring: vec![0.0; RING_ROWS * RING_COLUMNS],
            team: Team::new(threads),
            profile: None,
            counters: Counters::default(),
        }
    }

    /// Threads that compute, this one among them.
    pub fn threads(&self) -> usize {
        self.team.threads()
    }

    /// As [`Self::with_threads`], sharing whatever can be shared.
    #[cfg(test)]
    pub(crate) fn sharing_all(threads: usize) -> Self {
        let mut executor = Self::with_threads(threads);
        executor.team.share_all();
        executor
    }

    fn allocate(&mut self, bytes: usize) -> Result<usize, ExecError> {
        let buffer = Buffer::zeroed(bytes)?;
        self.counters.buffer_creations += 1;
        self.counters.bytes_held += bytes as u64;
        self.counters.bytes_peak = self.counters.bytes_peak.max(self.counters.bytes_held);
        Ok(match self.buffers.iter().position(Buffer::is_empty) {
            Some(free) => {
                self.buffers[free] = buffer;
                free
            }
            None => {
                self.buffers.push(buffer);
                self.buffers.len() - 1
            }
        })
    }

    fn free(&mut self, buffer: usize) {
        self.counters.bytes_held -= self.buffers[buffer].bytes as u64;
        self.buffers[buffer] = Buffer::default();
    }

    fn ready(&self, plan: PlanId) -> Result<&Ready, ExecError> {
        let found = self.plans.get(plan.0).and_then(Option::as_ref);
        found.ok_or_else(|| ExecError::Device(format!("plan {} is not prepared", plan.0)))
    }

    fn named(&self, name: &str) -> Result<usize, ExecError> {
        self.named.get(name).copied().ok_or_else(|| wrong(name, "was never written".into()))
    }

    /// Checks that a run fits its plan, and puts its words in place.
    fn begin(&mut self, run: &Run<'_>) -> Result<(), ExecError> {
        let ready = self.ready(run.plan)?;
        if run.words.len() != ready.plan.step_words {
            let reason = format!("{} words, the plan takes {}", run.words.len(), ready.plan.step_words);
            return Err(wrong("step inputs", reason));
        }
        // Named buffers may have been rewritten in another size since the plan was checked, or forgotten.
        let inputs = ready.plan.inputs.iter().zip(&ready.plan.step_offsets).zip(&ready.memory.inputs);
        for ((input, offset), &(bound, _)) in inputs {
            if offset.is_none() {
                let named = self.named.get(&input.name).filter(|&&buffer| buffer == bound);
                let held = named.map_or(0, |&buffer| self.buffers[buffer].bytes);
                if held != numel(&input.shape) * input.dtype.bytes() {
                    return Err(wrong(
                        &input.name,
                        format!("holds {held} bytes, not {:?} {:?}", input.dtype, input.shape),
                    ));
                }
            }
        }
        let step = ready.memory.step;
        for (to, &word) in self.buffers[step].words().iter_mut().zip(run.words) {
            *to = f32::from_bits(word);
        }
        self.counters.bytes_uploaded += 4 * run.words.len() as u64;
        Ok(())
    }

    /// Runs the launches of a plan; `after` sees each launch done and may stop.
    fn execute(
        &mut self,
        run: &Run<'_>,
        mut after: impl FnMut(&[Prepared], &[Buffer]) -> bool,
    ) -> Result<(), ExecError> {
        self.begin(run)?;
        let Some(ready) = self.plans.get(run.plan.0).and_then(Option::as_ref) else { return Ok(()) };
        for parts in &ready.launches {
            for part in parts {
                self.counters.shared += u64::from(self.team.run(part, &self.buffers));
            }
            self.counters.dispatches += 1;
            if !after(parts, &self.buffers) {
                break;
            }
        }
        let row = (run.row % RING_ROWS as u64) as usize * RING_COLUMNS;
        let columns = ready.plan.metrics.min(RING_COLUMNS);
        self.ring[row..row + columns].copy_from_slice(&self.buffers[ready.memory.metrics].words()[..columns]);
        Ok(())
    }
}

impl Executor for CpuExecutor {
    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), ExecError> {
        let buffer = match self.named.get(name) {
            Some(&buffer) if self.buffers[buffer].bytes == bytes.len() => buffer,
            known => {
                if let Some(&old) = known {
                    let new = Buffer::zeroed(bytes.len())?;
                    // Prepared plans refer to the position; it stays.
                    self.counters.bytes_held += bytes.len() as u64;
                    self.counters.bytes_held -= self.buffers[old].bytes as u64;
                    self.counters.buffer_creations += 1;
                    self.buffers[old] = new;
                    self.counters.bytes_peak = self.counters.bytes_peak.max(self.counters.bytes_held);
                    old
                } else {
                    let new = self.allocate(bytes.len())?;
                    self.named.insert(name.to_owned(), new);
                    new
                }
            }
        };
        bytemuck::cast_slice_mut::<f32, u8>(self.buffers[buffer].words())[..bytes.len()].copy_from_slice(bytes);
        self.counters.bytes_uploaded += bytes.len() as u64;
        Ok(())
    }

    fn write_at(&mut self, name: &str, offset: usize, bytes: &[u8]) -> Result<(), ExecError> {
        let buffer = self.named(name)?;
        let held = &mut self.buffers[buffer];
        let end = offset.checked_add(bytes.len()).filter(|&end| end <= held.bytes);
        let (Some(end), true) = (end, offset.is_multiple_of(4) && bytes.len().is_multiple_of(4)) else {
            return Err(wrong(name, format!("{} bytes at {offset} do not fit {}", bytes.len(), held.bytes)));
        };
        bytemuck::cast_slice_mut::<f32, u8>(held.words())[offset..end].copy_from_slice(bytes);
        self.counters.bytes_uploaded += bytes.len() as u64;
        Ok(())
    }

    async fn prepare(&mut self, plan: Arc<Plan>) -> Result<PlanId, ExecError> {
        check(&plan)?;
        let mut inputs = Vec::with_capacity(plan.inputs.len());
        for (input, offset) in plan.inputs.iter().zip(&plan.step_offsets) {
            let wanted = numel(&input.shape) * input.dtype.bytes();
            inputs.push(match offset {
                Some(first) => (usize::MAX, *first),
                None => {
                    let buffer = self.named(&input.name)?;
                    let held = self.buffers[buffer].bytes;
                    if held != wanted {
                        let reason = format!("holds {held} bytes, not {:?} {:?}", input.dtype, input.shape);
                        return Err(wrong(&input.name, reason));
                    }
                    (buffer, 0)
                }
            });
        }
        let arena = self.allocate(plan.arena_words.max(1) * 4)?;
        let step = self.allocate(plan.step_words.max(1) * 4)?;
        let metrics = self.allocate(RING_COLUMNS * 4)?;
        for (buffer, _) in &mut inputs {
            if *buffer == usize::MAX {
                *buffer = step;
            }
        }
        let memory = Memory { arena, step, metrics, inputs };
        let prepared = |launch: &Launch| {
            let part = |kernel: Kernel| Prepared::new(&kernel, &launch.label, &|place| memory.resolve(place));
            launch.kernel.parts().into_iter().map(part).collect::<Result<Vec<Prepared>, ExecError>>()
        };
        let launches = match plan.launches.iter().map(prepared).collect::<Result<Vec<_>, _>>() {
            Ok(launches) => launches,
            Err(error) => {
                for buffer in [arena, step, metrics] {
                    self.free(buffer);
                }
                return Err(error);
            }
        };
        for (offset, values) in &plan.constants {
            for (to, value) in self.buffers[arena].words()[*offset..].iter_mut().zip(values.iter()) {
                *to = value.get();
            }
        }
        for part in launches.iter().flatten() {
            self.team.reserve(part);
        }
        let free = self.plans.iter().position(Option::is_none);
        let id = free.unwrap_or_else(|| {
            self.plans.push(None);
            self.plans.len() - 1
        });
        self.plans[id] = Some(Ready { plan, launches, memory });
        Ok(PlanId(id))
    }

    fn release(&mut self, plan: PlanId) {
        if let Some(ready) = self.plans.get_mut(plan.0).and_then(Option::take) {
            for buffer in [ready.memory.arena, ready.memory.step, ready.memory.metrics] {
                self.free(buffer);
            }
        }
    }

    fn forget(&mut self, name: &str) {
        if let Some(buffer) = self.named.remove(name) {
            self.free(buffer);
        }
    }

    fn reset(&mut self) {
        for plan in 0..self.plans.len() {
            self.release(PlanId(plan));
        }
        for buffer in std::mem::take(&mut self.named).into_values() {
            self.free(buffer);
        }
    }

    async fn first_non_finite(&mut self, run: Run<'_>) -> Result<Option<String>, ExecError> {
        let mut found = None;
        self.execute(&run, |parts, buffers| {
            let culprit = parts.iter().find(|part| !part.wrote_finite(buffers));
            found = culprit.map(|part| part.label().to_owned());
            found.is_none()
        })?;
        Ok(found)
    }

    async fn submit(&mut self, runs: &[Run<'_>]) -> Result<(), ExecError> {
        let mut profile = self.profile.take();
        for run in runs {
            let Some(profile) = &mut profile else {
                self.execute(run, |_, _| true)?;
                continue;
            };
            let plan = self.ready(run.plan)?.plan.clone();
            let clock = profile.clock;
            let mut times = profile.ran(run.plan, &plan).times.iter_mut();
            let mut before = clock();
            self.execute(run, |_, _| {
                let now = clock();
                if let Some(time) = times.next() {
                    *time += now - before;
                }
                before = now;
                true
            })?;
        }
        self.profile = profile;
        self.counters.submits += 1;
        Ok(())
    }

    async fn read(&mut self, name: &str) -> Result<Vec<u8>, ExecError> {
        let named = self.named(name)?;
        let buffer = &mut self.buffers[named];
        let held = buffer.bytes;
        let bytes = bytemuck::cast_slice::<f32, u8>(buffer.words())[..held].to_vec();
        self.counters.bytes_read += bytes.len() as u64;
        Ok(bytes)
    }

    async fn fetch(&mut self, plan: PlanId, name: &str) -> Result<Vec<u8>, ExecError> {
        let ready = self.ready(plan)?;
        let Some((_, tensor)) = ready.plan.fetches.iter().find(|(known, _)| known == name) else {
            return Err(wrong(name, "the plan keeps no such value".into()));
        };
        let (buffer, first) = ready.memory.resolve(&tensor.place);
        let count = numel(&tensor.shape);
        let words = self.buffers[buffer].words().get(first..first + count);
        let words = words.ok_or_else(|| wrong(name, "lies outside the arena".into()))?;
        let bytes = bytemuck::cast_slice::<f32, u8>(words).to_vec();
        self.counters.bytes_read += bytes.len() as u64;
        Ok(bytes)
    }

    async fn metrics(&mut self, first: u64, count: usize) -> Result<Vec<f32>, ExecError> {
        let mut out = Vec::with_capacity(count * RING_COLUMNS);
        for row in first..first + count as u64 {
            let at = (row % RING_ROWS as u64) as usize * RING_COLUMNS;
            out.extend_from_slice(&self.ring[at..at + RING_COLUMNS]);
        }
        self.counters.bytes_read += 4 * out.len() as u64;
        Ok(out)
    }

    async fn wait(&mut self) -> Result<(), ExecError> {
        Ok(())
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn begin_profile(&mut self, clock: fn() -> f64) {
        self.profile = Some(Profile::new(clock));
    }

    fn end_profile(&mut self) -> Option<Profile> {
        self.profile.take()
    }
}
