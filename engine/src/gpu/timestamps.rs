//! When the launches of a submission began and ended, by the device's own clock.

use super::device::GpuDevice;

/// Timestamps that a query set may have, as WebGPU allows.
const MOST: usize = 4096;

/// Two timestamps a pass.
pub(super) struct Timestamps {
    /// Query sets, and how many timestamps each has.
    sets: Vec<(wgpu::QuerySet, u32)>,
    /// The timestamps, 8 bytes each.
    buffer: wgpu::Buffer,
    passes: usize,
}

impl Timestamps {
    /// Room for the timestamps of so many passes; none where the device keeps no time.
    pub(super) fn new(gpu: &GpuDevice, passes: usize) -> Option<Self> {
        if passes == 0 || !gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return None;
        }
        let set = |first: usize| {
            let count = (2 * passes - first).min(MOST) as u32;
            let descriptor = wgpu::QuerySetDescriptor { label: None, ty: wgpu::QueryType::Timestamp, count };
            (gpu.device.create_query_set(&descriptor), count)
        };
        let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("timestamps"),
            size: 16 * passes as u64,
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        Some(Self { sets: (0..2 * passes).step_by(MOST).map(set).collect(), buffer, passes })
    }

    /// The timestamps around a pass.
    pub(super) fn around(&self, pass: usize) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        let (query_set, _) = self.sets.get(2 * pass / MOST)?;
        let begin = (2 * pass % MOST) as u32;
        Some(wgpu::ComputePassTimestampWrites {
            query_set,
            beginning_of_pass_write_index: Some(begin),
            end_of_pass_write_index: Some(begin + 1),
        })
    }

    /// Has them written where [`Self::parts`] says.
    pub(super) fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        for (number, (set, count)) in self.sets.iter().enumerate() {
            encoder.resolve_query_set(set, 0..*count, &self.buffer, (8 * MOST * number) as u64);
        }
    }

    /// Where they are: buffer, first byte, bytes.
    pub(super) fn parts(&self) -> [(wgpu::Buffer, usize, usize); 1] {
        [(self.buffer.clone(), 0, 16 * self.passes)]
    }

    /// What each pass took, in milliseconds, from the timestamps' bytes.
    pub(super) fn milliseconds(&self, gpu: &GpuDevice, bytes: &[u8]) -> Vec<f64> {
        let tick = f64::from(gpu.queue.get_timestamp_period()) / 1e6;
        let stamp = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
        bytes.chunks_exact(16).map(|pass| stamp(&pass[8..]).saturating_sub(stamp(&pass[..8])) as f64 * tick).collect()
    }
}

impl Drop for Timestamps {
    fn drop(&mut self) {
        self.buffer.destroy();
    }
}
