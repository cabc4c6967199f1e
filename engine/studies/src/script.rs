//! A run of the lab as a script for another framework, with what it reads, as one archive.

use std::cell::Cell;

use code::Framework;
use engine::executor::AnyExecutor;
use engine::protocol::{Blob, Event, Phase, RunEvent, RunId};
use engine::session::{Host, Shelf, archive};
use engine::spec::Link;

/// The most updates that a script repeats: the lab trains them once more before it writes them down.
const MOST: u64 = 500;

/// Trains the first updates of a run and sends the script that repeats them.
///
/// # Errors
/// In words, why there is none.
pub async fn write<H: Host>(
    host: &H,
    shelf: &mut Shelf,
    executor: AnyExecutor,
    run: RunId,
    link: &str,
    framework: &str,
) -> Result<(), String> {
    let framework = Framework::from_id(framework).ok_or_else(|| format!("no scripts are written for {framework}"))?;
    let link = Link::parse(link);
    let data = shelf.get(host, &link.spec).await.map_err(|error| error.to_string())?;
    let updates = link.spec.steps.min(MOST);
    let tell = |fraction: f64| {
        let message = format!("Writing the {} script", framework.label());
        host.emit(Event::Progress { run: Some(run), phase: Phase::Train, fraction, eta_s: None, message }, vec![]);
    };
    let told = Cell::new(host.now_ms());
    let go_on = async |done: u64| {
        if host.now_ms() - told.get() > 200.0 {
            told.set(host.now_ms());
            tell(done as f64 / updates as f64);
            host.breathe().await;
        }
        true
    };
    tell(0.0);
    let files = code::files(executor, &link, data, framework, updates, go_on).await;
    tell(1.0);
    let bytes = archive(files.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    let name = format!("run-{run}-{}.zip", framework.id());
    let what = RunEvent::Exported { name, mime: "application/zip".to_owned(), file: Blob(0) };
    host.emit(Event::Run { run, what }, vec![bytes]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::protocol::Backend;
    use engine::session::choose_executor;

    use crate::test_page::{TestPage, Told};

    /// What the page is told when a script is asked for, or why there is none.
    fn written(link: &str, framework: &str) -> Result<Told<Event>, String> {
        pollster::block_on(async {
            let (page, mut shelf) = (TestPage::new(Some), Shelf::default());
            shelf.base = "/".into();
            let (executor, _) = choose_executor(Backend::Cpu, 1).await.map_err(|error| error.to_string())?;
            write(&page, &mut shelf, executor, 7, link, framework).await.map(|()| page.take())
        })
    }

    #[test]
    fn a_run_becomes_an_archive() {
        let told = written("#lab?preset=mlp&steps=3&v=1", "jax").unwrap();
        let Some((Event::Run { run: 7, what: RunEvent::Exported { name, .. } }, blobs)) = told.last() else {
            panic!("{told:?}")
        };
        assert_eq!(name, "run-7-jax.zip");
        for file in ["run_jax.py", "start.safetensors", "data.safetensors"] {
            assert!(blobs[0].windows(file.len()).any(|bytes| bytes == file.as_bytes()), "{file}");
        }
        let shares = told.iter().filter_map(|(event, _)| match event {
            Event::Progress { run: Some(7), fraction, .. } => Some(*fraction),
            _ => None,
        });
        let shares: Vec<f64> = shares.collect();
        assert!(shares.is_sorted() && shares.last() == Some(&1.0), "{shares:?}");
    }

    #[test]
    fn what_cannot_be_written_is_said() {
        assert!(written("#lab?preset=mlp&steps=3&v=1", "Caffe").unwrap_err().contains("Caffe"));
        let refused = written("#lab?preset=mlp&steps=3&optimizer=soap&v=1", "torch").unwrap_err();
        assert!(refused.contains("cannot be written as a script for PyTorch"), "{refused}");
    }
}
