//! The scripts for burn, compiled and run: those of `burn/`, which are what is written now.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy.toml allows it in tests, and what helps them is no less a test"
)]

mod made;

use std::error::Error;
use std::path::{Path, PathBuf};

use code::Framework;
use made::{UPDATES, made};

/// How far a loss may be from the lab's.
const TOLERANCE: f32 = 1e-4;

/// Trains in a folder that has the files; losses beside the lab's.
type Train = fn(&Path) -> Result<Vec<[f32; 2]>, Box<dyn Error>>;

#[rustfmt::skip]
#[allow(dead_code, clippy::all)]
#[path = "burn/mlp.rs"]
mod mlp;
#[rustfmt::skip]
#[allow(dead_code, clippy::all)]
#[path = "burn/convnet.rs"]
mod convnet;
#[rustfmt::skip]
#[allow(dead_code, clippy::all)]
#[path = "burn/cct.rs"]
mod cct;
#[rustfmt::skip]
#[allow(dead_code, clippy::all)]
#[path = "burn/gpt.rs"]
mod gpt;
#[rustfmt::skip]
#[allow(dead_code, clippy::all)]
#[path = "burn/weather.rs"]
mod weather;

/// Each by its name: the run, the text, what trains.
const SCRIPTS: &[(&str, &str, &str, Train)] = &[
    ("mlp", "#lab?preset=mlp&v=2", include_str!("burn/mlp.rs"), mlp::train),
    (
        "convnet",
        "#lab?preset=convnet&augment.flip=false&data=digits&model.channels=8,16&optimizer=momentum&schedule.peak=0.05&v=2",
        include_str!("burn/convnet.rs"),
        convnet::train,
    ),
    ("cct", "#lab?preset=cct-digits&v=2", include_str!("burn/cct.rs"), cct::train),
    ("gpt", "#lab?preset=gpt&batch.size=8&model.context=32&v=2", include_str!("burn/gpt.rs"), gpt::train),
    (
        "weather",
        "#lab?preset=weather&optimizer.clip=0.2&batch.policy=stepped&batch.every=20&schedule=wsd&schedule.decay=570&v=2",
        include_str!("burn/weather.rs"),
        weather::train,
    ),
];

#[test]
fn scripts_train_as_the_lab_does() {
    for (name, link, text, train) in SCRIPTS {
        let files = made(link, Framework::Burn).unwrap();
        let folder: PathBuf = [env!("CARGO_TARGET_TMPDIR"), "burn", name].iter().collect();
        std::fs::create_dir_all(&folder).unwrap();
        for (file, bytes) in &files {
            std::fs::write(folder.join(file), bytes).unwrap();
        }
        let written = String::from_utf8(files[0].1.clone()).unwrap();
        assert!(written == *text, "{name}: copy {}/main.rs to tests/burn/{name}.rs", folder.display());
        let losses = train(&folder).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(losses.len(), UPDATES as usize);
        for (step, [own, lab]) in losses.iter().enumerate() {
            assert!((own - lab).abs() <= TOLERANCE, "{name}, update {step}: {own}, in the lab {lab}");
        }
    }
}
