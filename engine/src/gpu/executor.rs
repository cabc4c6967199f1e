//! The WebGPU executor: prepared plans are lists of (pipeline, bind group, workgroups) that a submission replays.
//!
//! After warm-up a submission creates no buffer and no bind group: the words of its runs (step inputs, ring row) go
//! into regions of one buffer, reached through a dynamic offset. Submissions are ordered with writes on the queue's
//! timeline, so the regions of a submission in flight are never overwritten by the next.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;
use std::sync::Arc;

use crate::executor::{Counters, ExecError, Executor, PlanId, Profile, RING_COLUMNS, RING_ROWS, Run, check, floats};
use crate::graph::plan::{Kernel, Launch, Place, Plan, Space, Store};
use crate::graph::{DType, InputKind, numel};

use super::device::{Adapter, GpuDevice};
use super::flight::Flight;
use super::kernel::generate;
use super::timestamps::Timestamps;
use super::wgsl::{Binding, STEP_HEADER, Shader};

/// Granularity of dynamic offsets, in bytes, that every device takes.
const OFFSET_ALIGNMENT: usize = 256;
/// Submissions that may be in flight.
const IN_FLIGHT: u64 = 2;
/// Compiled kernels that are held at most, when the next plan is made ready: those of many recipes.
const MOST_KERNELS: usize = 1000;
/// First size of the buffer for the words of a submission's runs, in bytes.
const STEP_BYTES: usize = 16 << 10;

/// A state or table.
struct Named {
    buffer: wgpu::Buffer,
    /// Bytes of content; the buffer is padded to a multiple of 4.
    len: usize,
}

/// A launch as it is replayed.
struct Replay {
    pipeline: wgpu::ComputePipeline,
    /// Offset of the launch's slots, in bytes.
    slots: u32,
    /// Position in [`Prepared::bindings`] and [`Prepared::groups`].
    group: usize,
    workgroups: [u32; 2],
    /// Position in the plan, for messages.
    launch: usize,
}

/// What some kernels bind.
struct Group {
    group: wgpu::BindGroup,
    /// Whether it takes the offset of the run's words.
    step: bool,
}

/// A plan made ready.
struct Prepared {
    plan: Arc<Plan>,
    arena: wgpu::Buffer,
    slots: wgpu::Buffer,
    slots_group: wgpu::BindGroup,
    bindings: Vec<Vec<Binding>>,
    groups: Vec<Group>,
    replays: Vec<Replay>,
    /// Bytes between the words of one run and the next, of this plan.
    region: usize,
    /// The bind groups are older than a buffer.
    stale: bool,
}

/// Runs plans on a WebGPU device.
pub struct GpuExecutor {
    gpu: GpuDevice,
    adapter: Adapter,
    named: BTreeMap<String, Named>,
    plans: Vec<Option<Prepared>>,
    /// Compiled kernels by their text. Looked up, never iterated.
    pipelines: HashMap<String, wgpu::ComputePipeline>,
    layouts: BTreeMap<Vec<Access>, wgpu::BindGroupLayout>,
    slots_layout: wgpu::BindGroupLayout,
    ring: wgpu::Buffer,
    step: wgpu::Buffer,
    staging: wgpu::Buffer,
    /// Host copy of a submission's words, reused.
    words: Vec<u8>,
    flight: Flight,
    profile: Option<Profile>,
    counters: Counters,
}

/// How a kernel reaches a buffer: what a bind group layout is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Access {
    Write,
    Read,
    Step,
}

impl From<Binding> for Access {
    fn from(binding: Binding) -> Access {
        match binding {
            Binding::Step => Access::Step,
            _ if binding.writable() => Access::Write,
            _ => Access::Read,
        }
    }
}

impl GpuExecutor {
    /// An executor on `gpu`; kernels are chosen for the kind of adapter.
    pub fn new(gpu: GpuDevice) -> Self {
        let adapter = gpu.adapter();
        Self::with_kernels_for(gpu, adapter)
    }

    /// An executor with kernels for a kind of adapter, whatever the adapter is. Those for [`Adapter::Quads`] need one.
    pub fn with_kernels_for(gpu: GpuDevice, adapter: Adapter) -> Self {
        let mut counters = Counters::default();
        let storage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let ring = create_buffer(&gpu, &mut counters, "metrics", RING_ROWS * RING_COLUMNS * 4, storage);
        let step = create_buffer(&gpu, &mut counters, "step", STEP_BYTES, storage);
        let staging = create_buffer(&gpu, &mut counters, "staging", 4096, STAGING);
        let slots_layout = gpu.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("slots"),
            entries: &[layout_entry(0, wgpu::BufferBindingType::Uniform, true)],
        });
        GpuExecutor {
            gpu,
            adapter,
            named: BTreeMap::new(),
            plans: Vec::new(),
            pipelines: HashMap::new(),
            layouts: BTreeMap::new(),
            slots_layout,
            ring,
            step,
            staging,
            words: Vec::new(),
            flight: Flight::default(),
            profile: None,
            counters,
        }
    }

    /// The device it runs on.
    pub fn device(&self) -> &GpuDevice {
        &self.gpu
    }

    /// Number of compiled kernels held.
    pub fn compiled_kernels(&self) -> usize {
        self.pipelines.len()
    }

    fn storage_buffer(&mut self, label: &str, bytes: usize) -> Result<wgpu::Buffer, ExecError> {
        let limits = self.gpu.device.limits();
        let limit = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        if bytes as u64 > limit {
            return Err(ExecError::Limit(format!("{label} needs {bytes} bytes, the adapter binds {limit}")));
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        Ok(create_buffer(&self.gpu, &mut self.counters, label, bytes, usage))
    }

    fn drop_buffer(&mut self, buffer: &wgpu::Buffer) {
        self.counters.bytes_held = self.counters.bytes_held.saturating_sub(buffer.size());
        // What is in flight still completes: destruction waits for it.
        buffer.destroy();
    }

    fn layout(&mut self, bindings: &[Binding]) -> wgpu::BindGroupLayout {
        let accesses: Vec<Access> = bindings.iter().map(|&binding| binding.into()).collect();
        let device = &self.gpu.device;
        self.layouts
            .entry(accesses)
            .or_insert_with_key(|accesses| {
                let entries: Vec<wgpu::BindGroupLayoutEntry> = accesses
                    .iter()
                    .enumerate()
                    .map(|(number, &access)| {
                        let read_only = access != Access::Write;
                        let kind = wgpu::BufferBindingType::Storage { read_only };
                        layout_entry(number as u32, kind, access == Access::Step)
                    })
                    .collect();
                device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries })
            })
            .clone()
    }

    /// Compiles the kernels that are not compiled yet, all at once.
    async fn compile(&mut self, shaders: &[(usize, Shader)], launches: &[Launch]) -> Result<(), ExecError> {
        let mut pending = Vec::new();
        if self.pipelines.len() > MOST_KERNELS {
            self.pipelines.clear();
        }
        for (launch, shader) in shaders {
            if self.pipelines.contains_key(&shader.text) {
                continue;
            }
            let layout = self.layout(&shader.bindings);
            let label = launches[*launch].label.as_str();
            let device = &self.gpu.device;
            let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
            let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(label),
                source: wgpu::ShaderSource::Wgsl(shader.text.as_str().into()),
            });
            let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(&self.slots_layout), Some(&layout)],
                immediate_size: 0,
            });
            let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(label),
                layout: Some(&layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    // Kernels write workgroup memory before they read it.
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            });
            pending.push((label.to_owned(), shader.text.clone(), validation.pop(), internal.pop()));
            self.pipelines.insert(shader.text.clone(), pipeline);
        }
        let mut outcome = Ok(());
        for (label, text, validation, internal) in pending {
            let error = match (validation.await, internal.await) {
                (None, None) => continue,
                (Some(error), _) | (None, Some(error)) => error,
            };
            self.pipelines.remove(&text);
            if outcome.is_ok() {
                outcome = Err(ExecError::Compile { label, message: error.to_string() });
            }
        }
        outcome
    }

    /// Checks that the buffers a plan names are there and of its sizes.
    fn check_inputs(&self, plan: &Plan) -> Result<(), ExecError> {
        for input in plan.inputs.iter().filter(|input| input.kind != InputKind::Step) {
            let expected = numel(&input.shape) * input.dtype.bytes();
            let reason = match self.named.get(&input.name) {
                Some(named) if named.len == expected => continue,
                Some(named) => format!("has {} bytes, the plan expects {expected}", named.len),
                None => "has not been written".to_owned(),
            };
            return Err(ExecError::Buffer { name: input.name.clone(), reason });
        }
        Ok(())
    }

    fn bind_group(&mut self, plan: &Plan, arena: &wgpu::Buffer, bindings: &[Binding]) -> Result<Group, ExecError> {
        let layout = self.layout(bindings);
        let region = region_bytes(plan);
        let mut entries = Vec::with_capacity(bindings.len());
        for (number, &binding) in bindings.iter().enumerate() {
            let whole = |buffer| wgpu::BufferBinding { buffer, offset: 0, size: None };
            let resource = match binding {
                Binding::Arena => whole(arena),
                Binding::Metrics => whole(&self.ring),
                Binding::Step => {
                    wgpu::BufferBinding { buffer: &self.step, offset: 0, size: NonZeroU64::new(region as u64) }
                }
                Binding::State(id) | Binding::Table(id) => {
                    let name = &plan.inputs[id.index()].name;
                    let named = self.named.get(name).ok_or_else(|| ExecError::Buffer {
                        name: name.clone(),
                        reason: "has not been written".to_owned(),
                    })?;
                    whole(&named.buffer)
                }
            };
            entries.push(wgpu::BindGroupEntry {
                binding: number as u32,
                resource: wgpu::BindingResource::Buffer(resource),
            });
        }
        let group = self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &layout,
            entries: &entries,
        });
        Ok(Group { group, step: bindings.contains(&Binding::Step) })
    }

    fn prepared(&self, plan: PlanId) -> Result<&Prepared, ExecError> {
        self.plans
            .get(plan.0)
            .and_then(Option::as_ref)
            .ok_or_else(|| ExecError::Device(format!("plan {} is not prepared", plan.0)))
    }

    /// Renews a plan's bind groups if buffers have been replaced since they were made.
    fn refresh(&mut self, plan: PlanId) -> Result<(), ExecError> {
        let prepared = self.prepared(plan)?;
        if !prepared.stale {
            return Ok(());
        }
        let (plan_data, arena, lists) = (prepared.plan.clone(), prepared.arena.clone(), prepared.bindings.clone());
        self.check_inputs(&plan_data)?;
        let groups = lists
            .iter()
            .map(|bindings| self.bind_group(&plan_data, &arena, bindings))
            .collect::<Result<Vec<Group>, ExecError>>()?;
        if let Some(Some(prepared)) = self.plans.get_mut(plan.0) {
            prepared.groups = groups;
            prepared.stale = false;
        }
        Ok(())
    }

    fn make_stale(&mut self) {
        for prepared in self.plans.iter_mut().flatten() {
            prepared.stale = true;
        }
    }

    /// Makes the step buffer hold that many bytes.
    fn make_room(&mut self, bytes: usize) -> Result<(), ExecError> {
        if bytes > self.step.size() as usize {
            let grown = self.storage_buffer("step", bytes.next_power_of_two())?;
            let old = std::mem::replace(&mut self.step, grown);
            self.drop_buffer(&old);
            self.make_stale();
        }
        Ok(())
    }

    /// Uploads the words of `runs`, one region each, and yields the offsets of the regions in bytes.
    fn upload(&mut self, runs: &[Run<'_>]) -> Result<Vec<u32>, ExecError> {
        self.words.clear();
        let mut offsets = Vec::with_capacity(runs.len());
        let mut end = 0;
        for run in runs {
            let prepared = self.prepared(run.plan)?;
            let (region, expected) = (prepared.region, prepared.plan.step_words);
            if run.words.len() != expected {
                let reason = format!("{} words given, the plan takes {expected}", run.words.len());
                return Err(ExecError::Buffer { name: "step inputs".to_owned(), reason });
            }
            offsets.push(self.words.len() as u32);
            let row = (run.row % RING_ROWS as u64) as u32;
            self.words.extend_from_slice(&row.to_le_bytes());
            self.words.extend(run.words.iter().flat_map(|word| word.to_le_bytes()));
            end = self.words.len();
            self.words.resize(offsets.last().map_or(0, |&start| start as usize) + region, 0);
        }
        self.make_room(self.words.len())?;
        if end > 0 {
            self.gpu.queue.write_buffer(&self.step, 0, &self.words[..end]);
            self.counters.bytes_uploaded += end as u64;
        }
        Ok(offsets)
    }

    /// Records the launches of a run, or the launch `only` alone; yields how many.
    fn record(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        run: &Run<'_>,
        step: u32,
        only: Option<usize>,
    ) -> Result<u64, ExecError> {
        let prepared = self.prepared(run.plan)?;
        let mut pipeline = None;
        let mut group = None;
        let mut dispatches = 0;
        for replay in prepared.replays.iter().filter(|replay| only.is_none_or(|launch| launch == replay.launch)) {
            if pipeline != Some(&replay.pipeline) {
                pass.set_pipeline(&replay.pipeline);
                pipeline = Some(&replay.pipeline);
            }
            pass.set_bind_group(0, &prepared.slots_group, &[replay.slots]);
            if group != Some(replay.group) {
                let bound = &prepared.groups[replay.group];
                let offsets: &[u32] = if bound.step { &[step] } else { &[] };
                pass.set_bind_group(1, &bound.group, offsets);
                group = Some(replay.group);
            }
            pass.dispatch_workgroups(replay.workgroups[0], replay.workgroups[1], 1);
            dispatches += 1;
        }
        Ok(dispatches)
    }

    /// Submits `runs`, or of each only the launch `only`.
    async fn submit_launches(&mut self, runs: &[Run<'_>], only: Option<usize>) -> Result<(), ExecError> {
        self.gpu.check()?;
        self.flight.wait_below(&self.gpu, IN_FLIGHT).await?;
        let offsets = self.upload(runs)?;
        for run in runs {
            self.refresh(run.plan)?;
        }
        let mut encoder =
            self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("step") });
        let mut dispatches = 0;
        {
            let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes: None };
            let mut pass = encoder.begin_compute_pass(&descriptor);
            for (run, &step) in runs.iter().zip(&offsets) {
                dispatches += self.record(&mut pass, run, step, only)?;
            }
        }
        self.flight.submit(&self.gpu, encoder.finish());
        self.counters.submits += 1;
        self.counters.dispatches += dispatches;
        Ok(())
    }

    /// Submits `runs` one by one, each launch in a pass of its own between two timestamps, and adds to the profile what they took.
    async fn submit_timed(&mut self, runs: &[Run<'_>], profile: &mut Profile) -> Result<(), ExecError> {
        for run in runs {
            self.gpu.check()?;
            self.flight.wait_below(&self.gpu, 1).await?;
            let offsets = self.upload(std::slice::from_ref(run))?;
            self.refresh(run.plan)?;
            let prepared = self.prepared(run.plan)?;
            let (plan, launches) = (prepared.plan.clone(), prepared.replays.iter().map(|replay| replay.launch));
            let launches: Vec<usize> = launches.collect();
            let stamps = Timestamps::new(&self.gpu, launches.len());
            profile.timed &= stamps.is_some();
            let mut encoder =
                self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("profile") });
            for (number, &launch) in launches.iter().enumerate() {
                let timestamp_writes = stamps.as_ref().and_then(|stamps| stamps.around(number));
                let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes };
                let mut pass = encoder.begin_compute_pass(&descriptor);
                self.record(&mut pass, run, offsets[0], Some(launch))?;
            }
            if let Some(stamps) = &stamps {
                stamps.resolve(&mut encoder);
            }
            self.flight.submit(&self.gpu, encoder.finish());
            self.counters.submits += 1;
            self.counters.dispatches += launches.len() as u64;
            let mut times = vec![];
            if let Some(stamps) = &stamps {
                let bytes = self.read_back(&stamps.parts()).await?;
                times = stamps.milliseconds(&self.gpu, &bytes);
            }
            let timed = profile.ran(run.plan, &plan);
            for (&launch, time) in launches.iter().zip(times) {
                timed.times[launch] += time;
            }
        }
        Ok(())
    }

    /// Copies parts of buffers to the host after everything submitted: (buffer, first byte, bytes), all multiples of 4.
    async fn read_back(&mut self, parts: &[(wgpu::Buffer, usize, usize)]) -> Result<Vec<u8>, ExecError> {
        self.gpu.check()?;
        let total: usize = parts.iter().map(|part| part.2).sum();
        if total == 0 {
            return Ok(Vec::new());
        }
        if total > self.staging.size() as usize {
            let size = total.next_power_of_two();
            let grown = create_buffer(&self.gpu, &mut self.counters, "staging", size, STAGING);
            let old = std::mem::replace(&mut self.staging, grown);
            self.drop_buffer(&old);
        }
        let mut encoder =
            self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("read") });
        let mut end = 0;
        for (buffer, first, bytes) in parts {
            encoder.copy_buffer_to_buffer(buffer, *first as u64, &self.staging, end, Some(*bytes as u64));
            end += *bytes as u64;
        }
        self.flight.submit(&self.gpu, encoder.finish());
        let bytes = self.flight.map(&self.gpu, &self.staging, end).await?;
        self.counters.bytes_read += end;
        self.gpu.check()?;
        Ok(bytes)
    }

    /// The buffer behind a place of a prepared plan.
    fn buffer_of(&self, plan: PlanId, place: &Place) -> Result<wgpu::Buffer, ExecError> {
        let prepared = self.prepared(plan)?;
        match place.space {
            Space::Arena => Ok(prepared.arena.clone()),
            Space::Metrics => Ok(self.ring.clone()),
            Space::Input(id) => {
                let name = &prepared.plan.inputs[id.index()].name;
                self.buffer(name).map(|named| named.buffer.clone())
            }
        }
    }

    fn buffer(&self, name: &str) -> Result<&Named, ExecError> {
        self.named
            .get(name)
            .ok_or_else(|| ExecError::Buffer { name: name.to_owned(), reason: "has not been written".to_owned() })
    }

    /// Whether a store of a launch that has just run left a NaN or an infinity behind.
    async fn wrote_non_finite(&mut self, run: &Run<'_>, store: &Store, sizes: &[usize]) -> Result<bool, ExecError> {
        let place = store.view.place;
        if place.dtype != DType::F32 || sizes.contains(&0) {
            return Ok(false);
        }
        let strides = &store.view.strides;
        let span: usize = sizes.iter().zip(strides).map(|(size, stride)| (size - 1) * stride).sum::<usize>() + 1;
        let ring_row = (run.row % RING_ROWS as u64) as usize * RING_COLUMNS;
        let first = place.offset + if place.space == Space::Metrics { ring_row } else { 0 };
        let buffer = self.buffer_of(run.plan, &place)?;
        let bytes = self.read_back(&[(buffer, first * 4, span * 4)]).await?;
        let values = floats(&bytes);
        // Only elements that the view names: between them may lie stale values.
        let mut offsets = vec![0];
        for (&size, &stride) in sizes.iter().zip(strides).filter(|(_, stride)| **stride != 0) {
            offsets = offsets.iter().flat_map(|&offset| (0..size).map(move |index| offset + index * stride)).collect();
        }
        Ok(offsets.iter().any(|&offset| !values[offset].is_finite()))
    }
}

/// The sizes of the axes that a kernel's body iterates over.
fn sizes(kernel: &Kernel) -> Vec<usize> {
    match kernel {
        Kernel::Fused(kernel) => kernel.axes.clone(),
        Kernel::Matmul(kernel) => kernel.batch.iter().copied().chain([kernel.m, kernel.n]).collect(),
        Kernel::Op(kernel) => kernel.shape.clone(),
    }
}

/// Bytes that the words of a run of `plan` take in the step buffer.
fn region_bytes(plan: &Plan) -> usize {
    ((STEP_HEADER + plan.step_words) * 4).next_multiple_of(OFFSET_ALIGNMENT)
}

const STAGING: wgpu::BufferUsages = wgpu::BufferUsages::MAP_READ.union(wgpu::BufferUsages::COPY_DST);

fn create_buffer(
    gpu: &GpuDevice,
    counters: &mut Counters,
    label: &str,
    bytes: usize,
    usage: wgpu::BufferUsages,
) -> wgpu::Buffer {
    let size = bytes.next_multiple_of(4).max(4) as u64;
    counters.buffer_creations += 1;
    counters.bytes_held += size;
    counters.bytes_peak = counters.bytes_peak.max(counters.bytes_held);
    gpu.device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
}

fn layout_entry(binding: u32, ty: wgpu::BufferBindingType, has_dynamic_offset: bool) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
        count: None,
    }
}

impl Executor for GpuExecutor {
    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), ExecError> {
        self.gpu.check()?;
        if self.named.get(name).is_none_or(|named| named.len != bytes.len()) {
            let buffer = self.storage_buffer(name, bytes.len())?;
            if let Some(old) = self.named.insert(name.to_owned(), Named { buffer, len: bytes.len() }) {
                self.drop_buffer(&old.buffer);
                self.make_stale();
            }
        }
        let buffer = &self.buffer(name)?.buffer;
        let whole = bytes.len() & !3;
        if whole > 0 {
            self.gpu.queue.write_buffer(buffer, 0, &bytes[..whole]);
        }
        if whole < bytes.len() {
            let mut last = [0; 4];
            last[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            self.gpu.queue.write_buffer(buffer, whole as u64, &last);
        }
        self.counters.bytes_uploaded += bytes.len() as u64;
        Ok(())
    }

    fn write_at(&mut self, name: &str, offset: usize, bytes: &[u8]) -> Result<(), ExecError> {
        self.gpu.check()?;
        let named = self.buffer(name)?;
        let fits = offset.checked_add(bytes.len()).is_some_and(|end| end <= named.len);
        if !fits || !offset.is_multiple_of(4) || !bytes.len().is_multiple_of(4) {
            let reason = format!("{} bytes at {offset} do not fit {} bytes in words of 4", bytes.len(), named.len);
            return Err(ExecError::Buffer { name: name.to_owned(), reason });
        }
        if !bytes.is_empty() {
            self.gpu.queue.write_buffer(&named.buffer, offset as u64, bytes);
            self.counters.bytes_uploaded += bytes.len() as u64;
        }
        Ok(())
    }

    async fn prepare(&mut self, plan: Arc<Plan>) -> Result<PlanId, ExecError> {
        self.gpu.check()?;
        check(&plan)?;
        self.check_inputs(&plan)?;
        let mut shaders = Vec::with_capacity(plan.launches.len());
        let most = self.gpu.device.limits().max_storage_buffers_per_shader_stage as usize;
        for (number, launch) in plan.launches.iter().enumerate() {
            let Some(shader) = generate(&plan, launch, self.adapter)? else { continue };
            if shader.bindings.len() > most {
                let bound = shader.bindings.len();
                let message = format!("kernel {} binds {bound} buffers, the adapter allows {most}", launch.label);
                return Err(ExecError::Limit(message));
            }
            shaders.push((number, shader));
        }
        self.compile(&shaders, &plan.launches).await?;

        let region = region_bytes(&plan);
        self.make_room(region)?;
        let arena = self.storage_buffer("arena", plan.arena_words * 4)?;
        for (first, words) in plan.constants.iter().filter(|(_, words)| !words.is_empty()) {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.0.to_le_bytes()).collect();
            self.gpu.queue.write_buffer(&arena, *first as u64 * 4, &bytes);
            self.counters.bytes_uploaded += bytes.len() as u64;
        }
        let widest = shaders.iter().map(|(_, shader)| shader.slots.len()).max().unwrap_or(0);
        let stride = (widest.max(1) * 4).next_multiple_of(OFFSET_ALIGNMENT);
        let mut bytes = vec![0; stride * shaders.len().max(1)];
        for ((_, shader), region) in shaders.iter().zip(bytes.chunks_exact_mut(stride)) {
            for (value, word) in shader.slots.iter().zip(region.chunks_exact_mut(4)) {
                word.copy_from_slice(&value.to_le_bytes());
            }
        }
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let slots = create_buffer(&self.gpu, &mut self.counters, "slots", bytes.len(), usage);
        self.gpu.queue.write_buffer(&slots, 0, &bytes);
        let slots_group = self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("slots"),
            layout: &self.slots_layout,
            entries: &[wgpu::BindGroupEntry {
                binding: 0,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &slots,
                    offset: 0,
                    size: NonZeroU64::new(stride as u64),
                }),
            }],
        });

        let mut bindings: Vec<Vec<Binding>> = Vec::new();
        let mut replays = Vec::with_capacity(shaders.len());
        for (position, (launch, shader)) in shaders.into_iter().enumerate() {
            let group = bindings.iter().position(|bound| *bound == shader.bindings).unwrap_or_else(|| {
                bindings.push(shader.bindings);
                bindings.len() - 1
            });
            let Some(pipeline) = self.pipelines.get(&shader.text).cloned() else { continue };
            replays.push(Replay {
                pipeline,
                slots: (position * stride) as u32,
                group,
                workgroups: shader.groups,
                launch,
            });
        }
        let groups = Vec::new();
        let prepared = Prepared { plan, arena, slots, slots_group, bindings, groups, replays, region, stale: true };
        let free = self.plans.iter().position(Option::is_none);
        let id = free.unwrap_or_else(|| {
            self.plans.push(None);
            self.plans.len() - 1
        });
        self.plans[id] = Some(prepared);
        let ready = self.refresh(PlanId(id)).and_then(|()| self.gpu.check());
        if ready.is_err() {
            self.release(PlanId(id));
        }
        ready.map(|()| PlanId(id))
    }

    fn release(&mut self, plan: PlanId) {
        if let Some(prepared) = self.plans.get_mut(plan.0).and_then(Option::take) {
            self.drop_buffer(&prepared.arena);
            self.drop_buffer(&prepared.slots);
        }
    }

    fn forget(&mut self, name: &str) {
        if let Some(named) = self.named.remove(name) {
            self.drop_buffer(&named.buffer);
            self.make_stale();
        }
    }

    fn reset(&mut self) {
        for plan in 0..self.plans.len() {
            self.release(PlanId(plan));
        }
        self.plans.clear();
        for named in std::mem::take(&mut self.named).into_values() {
            self.drop_buffer(&named.buffer);
        }
    }

    async fn first_non_finite(&mut self, run: Run<'_>) -> Result<Option<String>, ExecError> {
        let plan = self.prepared(run.plan)?.plan.clone();
        for (number, launch) in plan.launches.iter().enumerate() {
            self.submit_launches(std::slice::from_ref(&run), Some(number)).await?;
            for part in launch.kernel.parts() {
                let sizes = sizes(&part);
                for store in &part.body().stores {
                    if self.wrote_non_finite(&run, store, &sizes).await? {
                        return Ok(Some(launch.label.clone()));
                    }
                }
            }
        }
        Ok(None)
    }

    async fn submit(&mut self, runs: &[Run<'_>]) -> Result<(), ExecError> {
        let Some(mut profile) = self.profile.take() else { return self.submit_launches(runs, None).await };
        let outcome = self.submit_timed(runs, &mut profile).await;
        self.profile = Some(profile);
        outcome
    }

    async fn read(&mut self, name: &str) -> Result<Vec<u8>, ExecError> {
        let named = self.buffer(name)?;
        let (buffer, len) = (named.buffer.clone(), named.len);
        let mut bytes = self.read_back(&[(buffer, 0, len.next_multiple_of(4))]).await?;
        bytes.truncate(len);
        Ok(bytes)
    }

    async fn fetch(&mut self, plan: PlanId, name: &str) -> Result<Vec<u8>, ExecError> {
        let fetches = &self.prepared(plan)?.plan.fetches;
        let tensor = fetches.iter().find(|(fetched, _)| fetched == name).map(|(_, tensor)| tensor.clone());
        let tensor = tensor.ok_or_else(|| ExecError::Buffer {
            name: name.to_owned(),
            reason: "is no fetched value of the plan".to_owned(),
        })?;
        let buffer = self.buffer_of(plan, &tensor.place)?;
        let width = tensor.place.dtype.bytes();
        self.read_back(&[(buffer, tensor.place.offset * width, numel(&tensor.shape) * width)]).await
    }

    async fn metrics(&mut self, first: u64, count: usize) -> Result<Vec<f32>, ExecError> {
        let count = count.min(RING_ROWS);
        let start = (first % RING_ROWS as u64) as usize;
        let before_end = count.min(RING_ROWS - start);
        let row = RING_COLUMNS * 4;
        let mut parts = vec![(self.ring.clone(), start * row, before_end * row)];
        if count > before_end {
            parts.push((self.ring.clone(), 0, (count - before_end) * row));
        }
        Ok(floats(&self.read_back(&parts).await?))
    }

    async fn wait(&mut self) -> Result<(), ExecError> {
        self.flight.wait_below(&self.gpu, 1).await?;
        self.gpu.check()
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
