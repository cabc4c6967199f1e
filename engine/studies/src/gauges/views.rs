//! Views of the trained network, as the lab's “look inside” shows them.

use engine::look;

use super::{At, Gauge};
use crate::{StudyError, Task};

/// Keeps these views at the end of a run, as pictures `arm/view`.
#[derive(Clone, Copy, Debug)]
pub struct Views(pub &'static [&'static str]);

impl Gauge for Views {
    fn fresh(&self) -> Box<dyn Gauge> {
        Box::new(*self)
    }

    fn end<'a>(&'a mut self, at: &'a mut At<'_, '_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async move {
            let views: Vec<String> = self.0.iter().map(|&view| view.to_owned()).collect();
            for figure in look::look(at.trainer, &views, 0).await? {
                at.context.results.keep(&format!("{}/{}", at.label.id, figure.id), figure);
            }
            Ok(())
        })
    }
}
