//! Measures the fixed workloads, or any recipe, a line each.

use std::rc::Rc;

use engine::bench::{Bench, recipe, workload, workloads};
use engine::data::Data;
use engine::executor::AnyExecutor;
use engine::figure::{Figure, Mark};
use engine::protocol::{Backend, BenchRow};
use engine::spec::Link;
use studies::Host;

use crate::native::{Native, now_ms, open};
use crate::place::failed;
use crate::{Failure, print, print_json, spec};

/// Runs workloads (all if none is named; a recipe by its link) on a backend, or on each there is: `steps` plainly, then
/// profiled.
pub fn run(
    names: &[String],
    steps: [u32; 2],
    backend: Option<Backend>,
    threads: usize,
    as_json: bool,
) -> Result<(), Failure> {
    let names: Vec<String> = match names {
        [] => workloads().into_iter().map(|workload| workload.name.to_owned()).collect(),
        _ => names.to_vec(),
    };
    // A recipe is known by its link.
    if let Some(unknown) = names.iter().find(|name| workload(name).is_none() && !name.starts_with('#')) {
        return Err(Failure::Usage(format!(
            "there is no workload “{unknown}”; there are w1 to w4, and links to the lab"
        )));
    }
    let backends = match backend {
        Some(backend) => vec![backend],
        None => vec![Backend::Cpu, Backend::Webgpu],
    };
    for name in &names {
        let recipe = if workload(name).is_some() { None } else { Some(Recipe::read(name)?) };
        for &wanted in &backends {
            let (executor, info) = match pollster::block_on(open(wanted, threads)) {
                Ok(opened) => opened,
                // Without being asked for, a GPU that is not there is no failure.
                Err(error) if backend.is_none() => {
                    eprintln!("{name} on the GPU left out: {error}");
                    continue;
                }
                Err(error) => return Err(Failure::Failed(error.to_string())),
            };
            let kind = if info.kind == Backend::Cpu { "cpu" } else { "gpu" };
            let measured = pollster::block_on(async {
                match &recipe {
                    Some(recipe) => recipe.measure(executor, [kind, &info.adapter], steps).await,
                    None => fixed(executor, [kind, &info.adapter], name, steps).await,
                }
            });
            let row = measured.map_err(|error| Failure::Failed(format!("{name}: {error}")))?;
            if as_json {
                print_json(&row)?;
                continue;
            }
            print(&line(&row))?;
            if let Some(profile) = &row.profile {
                print(&format!("{}: {}\n{}", profile.title, profile.meaning, aligned(profile)))?;
            }
        }
    }
    Ok(())
}

async fn fixed(executor: AnyExecutor, names: [&str; 2], name: &str, steps: [u32; 2]) -> Result<BenchRow, String> {
    let measured = async { Bench::new(executor, names, name, None, now_ms).await?.run(steps).await };
    measured.await.map_err(|error| error.to_string())
}

/// A recipe with its data.
struct Recipe {
    link: Link,
    data: Rc<Data>,
}

impl Recipe {
    fn read(what: &str) -> Result<Self, Failure> {
        let link = spec::read_exactly(what)?;
        let data = pollster::block_on(Native::new(Backend::Cpu).data(&link.spec)).map_err(failed)?;
        Ok(Self { link, data })
    }

    async fn measure(&self, executor: AnyExecutor, names: [&str; 2], steps: [u32; 2]) -> Result<BenchRow, String> {
        let name = self.link.fragment();
        let measured = recipe(executor, [&name, names[0], names[1]], &self.link.spec, self.data.clone(), steps, now_ms);
        measured.await.map(|(row, _)| row).map_err(|error| error.to_string())
    }
}

/// The rows of a figure's table under each other.
fn aligned(figure: &Figure) -> String {
    let Some(Mark::Table { columns, rows }) = figure.marks.first() else { return String::new() };
    let all = || std::iter::once(columns).chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    all().map(line).collect::<Vec<String>>().join("\n")
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
