//! Measures the fixed workloads, a line each.

use engine::bench::{Bench, workload, workloads};
use engine::protocol::{Backend, BenchRow};

use crate::native::{now_ms, open};
use crate::{Failure, print, print_json};

/// Runs workloads (all if none is named) on a backend, or on each there is.
pub fn run(names: &[String], steps: u32, backend: Option<Backend>, as_json: bool) -> Result<(), Failure> {
    let names: Vec<String> = match names {
        [] => workloads().into_iter().map(|workload| workload.name.to_owned()).collect(),
        _ => names.to_vec(),
    };
    if let Some(unknown) = names.iter().find(|name| workload(name).is_none()) {
        return Err(Failure::Usage(format!("there is no workload “{unknown}”; there are w1 to w4")));
    }
    let backends = match backend {
        Some(backend) => vec![backend],
        None => vec![Backend::Cpu, Backend::Webgpu],
    };
    for name in &names {
        for &wanted in &backends {
            let (executor, info) = match pollster::block_on(open(wanted)) {
                Ok(opened) => opened,
                // Without being asked for, a GPU that is not there is no failure.
                Err(error) if backend.is_none() => {
                    eprintln!("{name} on the GPU left out: {error}");
                    continue;
                }
                Err(error) => return Err(Failure::Failed(error.to_string())),
            };
            let executor_name = if info.kind == Backend::Cpu { "cpu" } else { "gpu" };
            let measured = pollster::block_on(async {
                let names = [executor_name, info.adapter.as_str()];
                let mut bench = Bench::new(executor, names, name, None, now_ms).await?;
                bench.run(steps).await
            });
            let row = measured.map_err(|error| Failure::Failed(format!("{name}: {error}")))?;
            if as_json { print_json(&row)? } else { print(&line(&row))? }
        }
    }
    Ok(())
}

fn line(row: &BenchRow) -> String {
    format!(
        "{} {}: {:.2} ms a step ({:.2} to {:.2}), host {:.2} ms, first {:.0} ms, {} dispatches, {} submits, {} buffers made, \
         {:.1} MB at most, {:.1} MFLOP, loss {:.4} -> {:.4}",
        row.workload,
        row.executor,
        row.median_ms,
        row.min_ms,
        row.max_ms,
        row.host_ms,
        row.first_step_ms,
        row.dispatches,
        row.submits,
        row.buffer_creations,
        row.peak_bytes as f64 / 1e6,
        row.flop as f64 / 1e6,
        row.first_loss,
        row.last_loss,
    )
}
