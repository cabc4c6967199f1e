//! A sweep whose runs are trained one by one, as a scheduler on many machines would have them, comes to the grid that the sweep
//! itself comes to.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, and what helps them is no less a test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Two rates, of which one is far too large, by two batch sizes.
const SWEEP: &str = "#sweep?preset=mlp&steps=20&x=schedule.peak:0.01..10000:2&y=batch.size:16..64:2&v=2";

fn minibatch(arguments: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    Command::new(env!("CARGO_BIN_EXE_minibatch")).args(arguments).current_dir(root).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The trials of a sweep's JSON, without the seconds, which differ.
fn trials(output: &Output) -> Vec<Value> {
    let mut told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let trials = told["trials"].as_array_mut().unwrap();
    trials.iter_mut().for_each(|trial| trial["outcome"]["seconds"] = Value::Null);
    trials.clone()
}

#[test]
fn runs_trained_one_by_one_come_to_the_sweeps_grid() {
    let folder: PathBuf = [env!("CARGO_TARGET_TMPDIR"), "machines"].iter().collect();
    let _ = std::fs::remove_dir_all(&folder);
    let links = text(&minibatch(&["sweep", SWEEP, "--list"]).stdout);
    let links: Vec<&str> = links.lines().collect();
    assert_eq!(links.len(), 4);
    let mut codes = Vec::new();
    for (number, link) in links.iter().enumerate() {
        let out = folder.join(number.to_string());
        codes.push(minibatch(&["run", link, "--out", out.to_str().unwrap()]).status.code().unwrap());
    }
    codes.sort_unstable();
    assert_eq!(codes, [0, 0, 3, 3], "a run that diverges says so, and its numbers are there all the same");
    let alone = minibatch(&["sweep", SWEEP, "--threads", "1", "--json"]);
    let joined = minibatch(&["sweep", SWEEP, "--json", "--join", folder.to_str().unwrap()]);
    assert!(joined.stderr.is_empty(), "{}", text(&joined.stderr));
    assert_eq!(trials(&joined), trials(&alone));

    // One that was killed leaves a folder without numbers; one of another sweep is none of this one's.
    let lost = folder.join("2");
    std::fs::remove_file(lost.join("run.json")).unwrap();
    let other = folder.join("other");
    let out = ["--set", "seed=9", "--out", other.to_str().unwrap()];
    assert!(minibatch(&[&["run", links[0], "--set", "schedule.peak=0.01"], &out[..]].concat()).status.success());
    let joined = minibatch(&["sweep", SWEEP, "--json", "--join", folder.to_str().unwrap()]);
    let told: Value = serde_json::from_slice(&joined.stdout).unwrap();
    assert_eq!((told["trials"].as_array().unwrap().len(), &told["missing"]), (3, &serde_json::json!([links[2]])));
    let said = text(&joined.stderr);
    for words in
        ["2: holds no run that has ended", "none of this sweep's: 1", "1 of 4 runs are missing; the first is #lab"]
    {
        assert!(said.contains(words), "{said:?} should say {words:?}");
    }
}

#[test]
fn controls_that_are_turned_are_in_the_link_and_wrong_ones_are_refused() {
    let output = minibatch(&["run", "#lab?preset=mlp", "--set", "seed=9", "--set", "batch.size=8", "--dry-run"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let link = told["link"].as_str().unwrap();
    assert!(link.contains("seed=9") && link.contains("batch.size=8"), "{link}");
    let output = minibatch(&["run", "#lab?preset=mlp", "--set", "speed=9"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("speed"));
}
