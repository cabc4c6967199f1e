//! The adapter and device, their limits, and what goes wrong with them.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use crate::executor::ExecError;

/// Which adapter to ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Request {
    /// The fastest that there is; software only where nothing else exists.
    #[default]
    Fastest,
    /// A software adapter.
    Software,
}

/// What kind of adapter kernels are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adapter {
    /// A GPU.
    Real,
    /// A processor, where barriers and starting an invocation are dear.
    Software,
    /// A processor that runs four neighbouring invocations at once, which can hand each other numbers.
    Quads,
}

impl Adapter {
    /// Whether it computes on the CPU.
    pub fn is_software(self) -> bool {
        self != Adapter::Real
    }
}

/// What is known about an adapter before anything runs on it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Preflight {
    /// Name of the adapter as far as the browser or driver tells it.
    pub adapter: String,
    /// Interface under it: "vulkan", "metal", "dx12" or "webgpu".
    pub backend: String,
    /// Whether the adapter computes on the CPU. Browsers may hand one out silently.
    pub fallback: bool,
    /// Why this adapter is used, as a sentence for people.
    pub reason: String,
    /// Names and values of the limits that matter.
    pub limits: Vec<(String, String)>,
    /// Optional features that the adapter offers.
    pub features: Vec<String>,
}

/// What callbacks of the device have reported.
#[derive(Debug, Default)]
struct Health {
    lost: Option<String>,
    error: Option<String>,
    /// Who waits for the device and must learn of its loss.
    waker: Option<Waker>,
}

/// An open device.
#[derive(Debug)]
pub struct GpuDevice {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    preflight: Preflight,
    quads: bool,
    health: Arc<Mutex<Health>>,
}

impl GpuDevice {
    /// Opens a device on the adapter asked for, with the adapter's buffer limits and WebGPU's default limits otherwise.
    ///
    /// # Errors
    /// [`ExecError::NoAdapter`] where there is no adapter or it gives no device.
    pub async fn request(request: Request) -> Result<GpuDevice, ExecError> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            force_fallback_adapter: request == Request::Software,
            ..Default::default()
        };
        let adapter = instance.request_adapter(&options).await.map_err(|error| match error {
            // Its own words list every interface that is not compiled in.
            wgpu::RequestAdapterError::NotFound { .. } => {
                ExecError::NoAdapter("this machine or browser offers none".into())
            }
            error => ExecError::NoAdapter(error.to_string()),
        })?;
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("minibatch"),
            required_features: adapter.features() & (wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SUBGROUP),
            required_limits: required_limits(&adapter.limits()),
            ..Default::default()
        };
        let (device, queue) =
            adapter.request_device(&descriptor).await.map_err(|error| ExecError::NoAdapter(error.to_string()))?;

        let health = Arc::new(Mutex::new(Health::default()));
        let reported = health.clone();
        device.set_device_lost_callback(move |reason, message| {
            let mut health = reported.lock().unwrap_or_else(PoisonError::into_inner);
            health.lost = Some(if message.is_empty() { format!("{reason:?}") } else { message });
            if let Some(waker) = health.waker.take() {
                waker.wake();
            }
        });
        let reported = health.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            let mut health = reported.lock().unwrap_or_else(PoisonError::into_inner);
            health.error.get_or_insert_with(|| error.to_string());
        }));
        let preflight = preflight(&adapter, &device.limits(), request);
        let quads = quads(&adapter);
        Ok(GpuDevice { device, queue, preflight, quads, health })
    }

    /// What the page is told about the adapter.
    pub fn preflight(&self) -> &Preflight {
        &self.preflight
    }

    /// Whether the adapter computes on the CPU.
    pub fn is_software(&self) -> bool {
        self.preflight.fallback
    }

    /// What kind of adapter it is.
    pub fn adapter(&self) -> Adapter {
        match (self.preflight.fallback, self.quads) {
            (false, _) => Adapter::Real,
            (true, false) => Adapter::Software,
            (true, true) => Adapter::Quads,
        }
    }

    /// Destroys the device, as an unplugged adapter would; for tests of recovery.
    pub fn destroy(&self) {
        self.device.destroy();
        // Natively the callback runs when the device is polled next.
        let _ = self.device.poll(wgpu::PollType::Poll);
    }

    /// Wakes a waiting task when the device is lost.
    pub(super) fn wake_when_lost(&self, waker: &Waker) {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).waker = Some(waker.clone());
    }

    /// What the device has reported since the last call.
    ///
    /// # Errors
    /// [`ExecError::DeviceLost`] from the loss on; [`ExecError::Device`] once for each refused operation.
    pub(super) fn check(&self) -> Result<(), ExecError> {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = &health.lost {
            return Err(ExecError::DeviceLost(reason.clone()));
        }
        match health.error.take() {
            Some(message) => Err(ExecError::Device(message)),
            None => Ok(()),
        }
    }
}

impl Drop for GpuDevice {
    /// Gives back all memory at once: in browsers buffers and devices that are merely dropped stay until there is a collection.
    fn drop(&mut self) {
        self.device.destroy();
    }
}

/// WebGPU's default limits, with the adapter's own sizes and number of storage buffers.
fn required_limits(offered: &wgpu::Limits) -> wgpu::Limits {
    let defaults = wgpu::Limits::default();
    wgpu::Limits {
        max_buffer_size: offered.max_buffer_size.max(defaults.max_buffer_size),
        max_storage_buffer_binding_size: offered
            .max_storage_buffer_binding_size
            .max(defaults.max_storage_buffer_binding_size),
        max_storage_buffers_per_shader_stage: offered
            .max_storage_buffers_per_shader_stage
            .max(defaults.max_storage_buffers_per_shader_stage),
        ..defaults
    }
}

/// Whether the device has subgroups, all of four invocations.
fn quads(adapter: &wgpu::Adapter) -> bool {
    let info = adapter.get_info();
    has_subgroups(adapter) && [info.subgroup_min_size, info.subgroup_max_size] == [4; 2]
}

#[cfg(not(target_arch = "wasm32"))]
fn has_subgroups(adapter: &wgpu::Adapter) -> bool {
    adapter.features().contains(wgpu::Features::SUBGROUP)
}

/// wgpu 30 knows no such feature in browsers: who starts the worker asks for it, and says whether there is one.
#[cfg(target_arch = "wasm32")]
fn has_subgroups(_: &wgpu::Adapter) -> bool {
    js_sys::Reflect::get(&js_sys::global(), &"subgroups".into()).is_ok_and(|has| has.is_truthy())
}

fn preflight(adapter: &wgpu::Adapter, limits: &wgpu::Limits, request: Request) -> Preflight {
    let info = adapter.get_info();
    let fallback = info.device_type == wgpu::DeviceType::Cpu;
    let reason = match (fallback, request) {
        (false, _) => "WebGPU is available.",
        (true, Request::Software) => "A software adapter was asked for.",
        (true, Request::Fastest) => "Only a software adapter is available: WebGPU runs on the CPU here, slowly.",
    };
    let mebibytes = |bytes: u64| format!("{} MiB", bytes >> 20);
    let features = [("timestamp-query", wgpu::Features::TIMESTAMP_QUERY), ("subgroups", wgpu::Features::SUBGROUP)];
    Preflight {
        adapter: if info.name.is_empty() { "unnamed adapter".to_owned() } else { info.name },
        backend: info.backend.to_str().to_owned(),
        fallback,
        reason: reason.to_owned(),
        limits: vec![
            ("buffer".to_owned(), mebibytes(limits.max_buffer_size)),
            ("storage binding".to_owned(), mebibytes(limits.max_storage_buffer_binding_size)),
            ("storage buffers a kernel".to_owned(), limits.max_storage_buffers_per_shader_stage.to_string()),
            ("workgroups a dimension".to_owned(), limits.max_compute_workgroups_per_dimension.to_string()),
            ("invocations a workgroup".to_owned(), limits.max_compute_invocations_per_workgroup.to_string()),
        ],
        features: features
            .iter()
            .filter(|(_, feature)| adapter.features().contains(*feature))
            .map(|(name, _)| (*name).to_owned())
            .collect(),
    }
}
