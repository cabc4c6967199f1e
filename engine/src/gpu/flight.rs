//! Submissions in flight, and waiting for them: natively by polling the device, in a browser by its callbacks.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use crate::executor::ExecError;

use super::device::GpuDevice;

/// Progress that the device reports.
#[derive(Debug, Default)]
struct Progress {
    /// Submissions finished.
    done: u64,
    /// Outcome of the last mapping.
    mapped: Option<Result<(), String>>,
    /// Who waits.
    waker: Option<Waker>,
}

impl Progress {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Counts submissions.
#[derive(Debug, Default)]
pub(super) struct Flight {
    submitted: u64,
    /// The queue's names of the submissions that may be in flight, with their numbers; oldest first.
    indices: VecDeque<(u64, wgpu::SubmissionIndex)>,
    progress: Arc<Mutex<Progress>>,
}

impl Flight {
    /// Submits commands.
    pub(super) fn submit(&mut self, gpu: &GpuDevice, commands: wgpu::CommandBuffer) {
        let index = gpu.queue.submit([commands]);
        self.submitted += 1;
        self.indices.push_back((self.submitted, index));
        let (progress, number) = (self.progress.clone(), self.submitted);
        gpu.queue.on_submitted_work_done(move || {
            let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
            progress.done = progress.done.max(number);
            progress.wake();
        });
    }

    /// Waits until fewer than `limit` submissions are in flight.
    ///
    /// # Errors
    /// [`ExecError::DeviceLost`] if the device is lost meanwhile.
    pub(super) async fn wait_below(&mut self, gpu: &GpuDevice, limit: u64) -> Result<(), ExecError> {
        let wanted = (self.submitted + 1).saturating_sub(limit);
        while self.indices.front().is_some_and(|(number, _)| *number < wanted) {
            self.indices.pop_front();
        }
        let index = self.indices.front().map(|(_, index)| index.clone());
        self.wait_for(gpu, index, |progress| (progress.done >= wanted).then_some(())).await
    }

    /// Maps the first `bytes` of `buffer` and copies them out.
    ///
    /// # Errors
    /// [`ExecError::DeviceLost`], or [`ExecError::Device`] where mapping is refused.
    pub(super) async fn map(&self, gpu: &GpuDevice, buffer: &wgpu::Buffer, bytes: u64) -> Result<Vec<u8>, ExecError> {
        let progress = self.progress.clone();
        buffer.map_async(wgpu::MapMode::Read, 0..bytes, move |outcome| {
            let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
            progress.mapped = Some(outcome.map_err(|error| error.to_string()));
            progress.wake();
        });
        let outcome = self.wait_for(gpu, None, |progress| progress.mapped.take()).await?;
        // A lost device explains a refused mapping better than the mapping's own error does.
        gpu.check()?;
        outcome.map_err(ExecError::Device)?;
        let view = buffer.get_mapped_range(0..bytes).map_err(|error| ExecError::Device(error.to_string()))?;
        let copy = view.to_vec();
        drop(view);
        buffer.unmap();
        Ok(copy)
    }

    /// Waits until `ready` yields something, which submission `index` (or else the last one) brings about.
    async fn wait_for<T>(
        &self,
        gpu: &GpuDevice,
        index: Option<wgpu::SubmissionIndex>,
        mut ready: impl FnMut(&mut Progress) -> Option<T>,
    ) -> Result<T, ExecError> {
        poll_fn(|context| {
            loop {
                {
                    let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(value) = ready(&mut progress) {
                        return Poll::Ready(Ok(value));
                    }
                    progress.waker = Some(context.waker().clone());
                }
                gpu.wake_when_lost(context.waker());
                if let Err(error) = gpu.check() {
                    return Poll::Ready(Err(error));
                }
                #[cfg(target_arch = "wasm32")]
                super::nudge::later(gpu, context.waker());
                if cfg!(target_arch = "wasm32") {
                    // The browser calls back, once it has looked.
                    return Poll::Pending;
                }
                if let Err(error) =
                    gpu.device.poll(wgpu::PollType::Wait { submission_index: index.clone(), timeout: None })
                {
                    return Poll::Ready(Err(ExecError::Device(error.to_string())));
                }
            }
        })
        .await
    }
}
