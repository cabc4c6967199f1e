//! Where a step goes, kernel by kernel.

use crate::executor::Profile;
use crate::figure::{Figure, Mark, brief};
use crate::numeric::sort_by;
use crate::protocol::BenchRow;

/// Launches of the same kind, for the same part of the network.
struct Kernel {
    what: String,
    label: String,
    launches: u64,
    ms: f64,
    bytes: u64,
    flop: u64,
}

/// A table of the kernels of `steps` steps, the slowest first (without times: that with the most bytes first). All numbers are of
/// one step. `row`: whose bench it is.
pub(super) fn figure(profile: &Profile, steps: u32, row: &BenchRow) -> Figure {
    let steps = f64::from(steps);
    let mut kernels: Vec<Kernel> = vec![];
    for timed in &profile.plans {
        for (launch, ms) in timed.plan.launches.iter().zip(&timed.times) {
            let (what, label) = (launch.kernel.what(), &launch.label);
            let known = kernels.iter().position(|kernel| kernel.what == what && kernel.label == *label);
            let at = known.unwrap_or_else(|| {
                kernels.push(Kernel { what, label: label.clone(), launches: 0, ms: 0.0, bytes: 0, flop: 0 });
                kernels.len() - 1
            });
            let kernel = &mut kernels[at];
            kernel.launches += timed.runs;
            kernel.ms += ms;
            kernel.bytes += timed.runs * launch.bytes;
            kernel.flop += timed.runs * launch.flop;
        }
    }
    sort_by(&mut kernels, &|a, b| b.ms.total_cmp(&a.ms).then(b.bytes.cmp(&a.bytes)));
    let total = |value: fn(&Kernel) -> f64| kernels.iter().map(value).sum::<f64>() / steps;
    let [ms, launches, bytes] = [total(|k| k.ms), total(|k| k.launches as f64), total(|k| k.bytes as f64)];
    let cells = |kernel: &Kernel| {
        let of = |value: f64| brief(value / steps);
        // Of work a millisecond: millions a millisecond are thousands of millions a second.
        let rate = |work: u64| if kernel.ms > 0.0 { brief(work as f64 / kernel.ms / 1e6) } else { "–".into() };
        let mut cells = vec![kernel.what.clone(), kernel.label.clone(), of(kernel.launches as f64)];
        if profile.timed {
            cells.extend([of(kernel.ms), format!("{}%", brief(100.0 * kernel.ms / steps / ms.max(f64::MIN_POSITIVE)))]);
        }
        cells.extend([of(kernel.bytes as f64 / 1e3), of(kernel.flop as f64 / 1e6)]);
        if profile.timed {
            cells.extend([rate(kernel.bytes), rate(kernel.flop)]);
        }
        cells
    };
    let columns: &[&str] = match profile.timed {
        true => &["kernel", "part: operation", "launches", "ms", "share", "kB", "MFLOP", "GB/s", "GFLOP/s"],
        false => &["kernel", "part: operation", "launches", "kB", "MFLOP"],
    };
    let took = if profile.timed { format!("{} ms, ", brief(ms)) } else { String::new() };
    let how = match (profile.timed, row.executor.as_str()) {
        (false, _) => "This adapter tells no times.",
        (true, "cpu") => "Times are read after every launch.",
        (true, _) => {
            "Times are the adapter's own, of launches one by one: together they take longer than a step, in which launches overlap. \
             Browsers round them to 0.1 ms."
        }
    };
    Figure {
        id: format!("profile-{}-{}", row.workload, row.executor),
        title: "Where a step goes".into(),
        meaning: format!(
            "Each kernel of a step, the mean of {}: what it runs over, the part of the network that it computes, and the bytes and \
             operations that it has to move and do. {how}",
            brief(steps)
        ),
        value: format!("{took}{} launches, {} MB", brief(launches), brief(bytes / 1e6)),
        alt: kernels.first().map_or_else(String::new, |first| format!("First: {}, {}.", first.what, first.label)),
        marks: vec![Mark::Table {
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            rows: kernels.iter().map(cells).collect(),
        }],
        ..Figure::default()
    }
}
