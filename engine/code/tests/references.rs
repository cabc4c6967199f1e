//! The losses of the lab against those that the scripts for PyTorch and JAX came to, which `scripts/code_references.py` ran.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, and what helps them is no less a test")]

mod made;

use code::{File, Framework};
use safetensors::SafeTensors;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use made::{UPDATES, made};

/// How far a loss may be from the lab's.
const TOLERANCE: f32 = 1e-4;

#[derive(Deserialize)]
struct Reference {
    framework: String,
    link: String,
    /// Of the script's text.
    sha256: String,
    losses: Vec<f32>,
}

fn references() -> Vec<Reference> {
    serde_json::from_str(include_str!("references.json")).unwrap()
}

/// Framework and link of each case that is listed.
fn cases() -> Vec<(&'static str, &'static str)> {
    let lines = include_str!("cases.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let each = lines.flat_map(|line| {
        let (frameworks, link) = line.split_once(' ').unwrap();
        frameworks.split(',').map(move |framework| (framework, link))
    });
    each.collect()
}

/// The lab's loss in each update.
fn lab_losses(files: &[File]) -> Vec<f32> {
    let (_, bytes) = files.iter().find(|(name, _)| name == "data.safetensors").unwrap();
    let tensors = SafeTensors::deserialize(bytes).unwrap();
    let words = tensors.tensor("lab_losses").unwrap().data().chunks_exact(4);
    words.map(|word| f32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect()
}

#[test]
fn every_case_has_a_reference() {
    let references = references();
    let mut known: Vec<(&str, &str)> = references.iter().map(|known| (&*known.framework, &*known.link)).collect();
    let mut listed = cases();
    known.sort_unstable();
    listed.sort_unstable();
    assert_eq!(known, listed, "run scripts/code_references.py");
}

#[test]
fn the_lab_comes_to_the_losses_of_pytorch() {
    compare("torch");
}

#[test]
fn the_lab_comes_to_the_losses_of_jax() {
    compare("jax");
}

fn compare(framework: &str) {
    for reference in references().into_iter().filter(|reference| reference.framework == framework) {
        let Reference { link, sha256, losses, .. } = reference;
        let files = made(&link, Framework::from_id(framework).unwrap()).unwrap();
        let text: String = Sha256::digest(&files[0].1).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(text, sha256, "the script for {framework} of {link} is another; run scripts/code_references.py");
        let lab = lab_losses(&files);
        assert_eq!(lab.len(), UPDATES as usize);
        assert_eq!(lab.len(), losses.len());
        for (step, (lab, own)) in lab.iter().zip(losses).enumerate() {
            assert!((lab - own).abs() <= TOLERANCE, "{framework}, {link}, update {step}: {own}, in the lab {lab}");
        }
    }
}
