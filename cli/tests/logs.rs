//! The files that a run leaves for other tools have the numbers that its own file has.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, and what helps them is no less a test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

const LINK: &str = "#lab?preset=mlp&steps=20&seed=9&probes.evaluate=10&v=2";

/// The events of a file, whole.
fn records(mut file: &[u8]) -> Vec<&[u8]> {
    let mut records = vec![];
    while let Some((length, rest)) = file.split_first_chunk::<8>() {
        let size = u64::from_le_bytes(*length) as usize;
        records.push(&rest[4..4 + size]);
        file = &rest[4 + size + 4..];
    }
    records
}

/// The number that a record has under a tag.
fn scalar(record: &[u8], tag: &str) -> Option<f32> {
    let place = record.windows(tag.len()).position(|part| part == tag.as_bytes())? + tag.len();
    // Field 2, four bytes.
    let (kind, value) = record[place..].split_first_chunk::<1>()?;
    (*kind == [0x15]).then(|| f32::from_le_bytes(*value.first_chunk().unwrap()))
}

fn seconds(record: &[u8]) -> f64 {
    assert_eq!(record[0], 9, "an event begins with its time");
    f64::from_le_bytes(*record[1..].first_chunk().unwrap())
}

#[test]
fn other_tools_read_the_numbers_of_a_run() {
    let folder: PathBuf = [env!("CARGO_TARGET_TMPDIR"), "logs"].iter().collect();
    let _ = std::fs::remove_dir_all(&folder);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let begun = now();
    let arguments = ["run", LINK, "--out", folder.to_str().unwrap()];
    assert!(
        Command::new(env!("CARGO_BIN_EXE_minibatch")).args(arguments).current_dir(root).status().unwrap().success()
    );
    let ended = now();
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let run: Value = serde_json::from_slice(&read("run.json")).unwrap();
    let losses: Vec<f32> =
        run["steps"]["loss"].as_array().unwrap().iter().map(|loss| loss.as_f64().unwrap() as f32).collect();
    let tested: Vec<f32> = run["evaluations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|evaluation| evaluation["loss"].as_f64().unwrap() as f32)
        .collect();
    assert_eq!((losses.len(), tested.len()), (20, 3));

    let events = read("events.out.tfevents.minibatch");
    let events = records(&events);
    let told = |tag: &str| events.iter().filter_map(|record| scalar(record, tag)).collect::<Vec<f32>>();
    assert_eq!(told("loss/train"), losses);
    assert_eq!(told("loss/test"), tested);
    let times: Vec<f64> = events.iter().map(|record| seconds(record)).collect();
    assert!(times.is_sorted() && begun < times[0] && *times.last().unwrap() < ended, "{begun}, {times:?}, {ended}");

    let table = read("metrics.parquet");
    let column: Vec<u8> = losses.iter().flat_map(|loss| loss.to_le_bytes()).collect();
    assert!(table.windows(column.len()).any(|part| part == column), "the losses lie in a row");
    let csv = String::from_utf8(read("metrics.csv")).unwrap();
    let (head, rest) = csv.split_once('\n').unwrap();
    assert!(head.starts_with("# Minibatch ") && head.contains("seed 9, #lab?"), "{head}");
    assert!(rest.starts_with("step,loss,"), "{rest}");
}
