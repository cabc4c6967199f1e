//! Writes a run as a script for another framework.

use std::path::Path;

use code::{Error, Framework};
use engine::protocol::Backend;
use studies::Host;

use crate::native::Native;
use crate::place::failed;
use crate::{Failure, spec};

/// Trains the first updates of a run and writes the script that repeats them.
pub fn write(what: &str, framework: Framework, out: &Path, updates: u64, backend: Backend) -> Result<(), Failure> {
    let link = spec::read_exactly(what)?;
    std::fs::create_dir_all(out).map_err(|error| Failure::Usage(format!("{}: {error}", out.display())))?;
    let native = Native::new(backend);
    let all = updates.min(link.spec.steps);
    let files = pollster::block_on(async {
        let data = native.data(&link.spec).await.map_err(failed)?;
        let (executor, _) = native.executor().await.map_err(failed)?;
        let told = async |done: u64| {
            if done.is_multiple_of(32) || done == all {
                native.teller.say(&format!("update {done} of {all}"));
            }
            true
        };
        code::files(executor, &link, data, framework, updates, told).await.map_err(|error| match error {
            Error::Refused(..) => Failure::Usage(error.to_string()),
            _ => failed(error),
        })
    });
    native.teller.end();
    for (name, bytes) in files? {
        let path = out.join(name);
        std::fs::write(&path, bytes).map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
    }
    Ok(())
}
