//! A run is written as a script with what it reads; one that no script repeats is refused in words.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, and what helps them is no less a test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn code(link: &str, framework: &str, out: &Path) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let arguments = ["code", link, "--framework", framework, "--updates", "3", "--out", out.to_str().unwrap()];
    Command::new(env!("CARGO_BIN_EXE_minibatch")).args(arguments).current_dir(root).output().unwrap()
}

#[test]
fn a_run_becomes_a_script() {
    let folder: PathBuf = [env!("CARGO_TARGET_TMPDIR"), "code"].iter().collect();
    for (framework, script) in [("torch", "run.py"), ("jax", "run_jax.py"), ("burn", "main.rs")] {
        let out = folder.join(framework);
        let _ = std::fs::remove_dir_all(&out);
        let output = code("#lab?preset=tanh-mlp&v=2", framework, &out);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = std::fs::read_to_string(out.join(script)).unwrap();
        assert!(text.contains("minibatch run '#lab?preset=tanh-mlp&v=2'") && text.contains("seed 1"));
        assert!(text.contains("It trains 3 of the run's 2000 updates"));
        for file in ["start.safetensors", "data.safetensors"] {
            assert!(out.join(file).is_file(), "{framework}: {file}");
        }
        assert_eq!(out.join("Cargo.toml").is_file(), framework == "burn");
    }
    let refused = code("#lab?preset=mlp&optimizer.rho=0.1&v=2", "jax", &folder);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("JAX: SAM takes two gradients"));
}
