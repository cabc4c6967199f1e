//! The strategies, a file each: how an update is made of what arrives, what happens at a border, and how rows are answered.

mod a_gem;
mod clr;
mod der;
mod er_ace;
mod ewc;
mod gdumb;
pub mod hypernetwork;
mod icarl;
mod key_value;
mod lwf;
mod nearest_mean;
mod plain;
mod probe;
mod replay;
mod si;
mod slda;

pub use key_value::{Bottleneck, Keys};
pub use nearest_mean::Means;
pub use slda::Lda;

use engine::continual::{Leg, Strategy};

use super::desk::{Batch, Desk};
use crate::{StudyError, Task};

/// From which tasks an update draws its new examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draws {
    /// From the task at hand.
    Stream,
    /// From the tasks so far.
    SoFar,
    /// From all tasks.
    All,
}

/// A strategy at work. What it keeps on the host is in it, what it keeps on the device in states of the desk's play.
pub trait Method: Twin {
    /// Where its new examples come from.
    fn draws(&self) -> Draws {
        Draws::Stream
    }

    /// Takes over, at the start or from another strategy.
    fn begin<'a>(&'a mut self, desk: &'a mut Desk<'_>) -> Task<'a, Result<(), StudyError>>;

    /// Learns from new examples.
    fn learn<'a>(&'a mut self, desk: &'a mut Desk<'_>, batch: &'a Batch) -> Task<'a, Result<(), StudyError>>;

    /// A task has ended.
    fn border<'a>(&'a mut self, _desk: &'a mut Desk<'_>, _task: usize) -> Task<'a, Result<(), StudyError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Scores of rows, `[rows, outputs]`; the highest of those that compete is the answer.
    fn answer<'a>(&'a mut self, desk: &'a mut Desk<'_>, rows: &'a [u32]) -> Task<'a, Result<Vec<f32>, StudyError>> {
        Box::pin(desk.logits(rows))
    }

    /// Rows that are stored.
    fn stored(&self) -> &[u32] {
        &[]
    }

    /// Bytes kept beside the stored examples, the network and its optimizer, of a network of so many parameters.
    fn extra_bytes(&self, _parameters: u64) -> u64 {
        0
    }

    /// Numbers that are learned, of a network of so many parameters.
    fn parameters(&self, network: u64) -> u64 {
        network
    }

    /// Floating-point operations of an update.
    fn flop(&self, desk: &Desk<'_>) -> u64;
}

/// What can be had once more, to return to.
pub trait Twin {
    /// The same once more.
    fn twin(&self) -> Box<dyn Method>;
}

impl<M: Method + Clone + 'static> Twin for M {
    fn twin(&self) -> Box<dyn Method> {
        Box::new(self.clone())
    }
}

/// The strategy of a leg: one line a strategy.
#[must_use]
pub fn method(leg: &Leg, desk: &Desk<'_>) -> Box<dyn Method> {
    match leg.strategy {
        Strategy::FineTuning => Box::new(plain::Plain(Draws::Stream)),
        Strategy::Cumulative => Box::new(plain::Plain(Draws::SoFar)),
        Strategy::Joint => Box::new(plain::Plain(Draws::All)),
        Strategy::Ewc | Strategy::OnlineEwc => Box::new(ewc::Ewc::new(leg, desk)),
        Strategy::Si => Box::new(si::Si::new(leg, desk)),
        Strategy::Lwf => Box::new(lwf::Lwf::new(leg, desk)),
        Strategy::Replay => Box::new(replay::Replay::new(leg, desk)),
        Strategy::DerPlusPlus => Box::new(der::Der::new(leg, desk)),
        Strategy::ErAce => Box::new(er_ace::ErAce::new(leg, desk)),
        Strategy::AGem => Box::new(a_gem::AGem::new(leg, desk)),
        Strategy::Gdumb => Box::new(gdumb::Gdumb::new(leg, desk)),
        Strategy::Icarl => Box::new(icarl::Icarl::new(leg, desk)),
        Strategy::Probe => Box::new(probe::Probe::default()),
        Strategy::NearestMean => Box::new(nearest_mean::NearestMean::new(desk)),
        Strategy::Slda => Box::new(slda::Slda::new(leg, desk)),
        Strategy::KeyValue => Box::new(key_value::KeyValue::new(leg, desk)),
        Strategy::Clr => Box::new(clr::Clr::new(leg, desk)),
        Strategy::Hypernetwork => Box::new(hypernetwork::Hypernetwork::new(leg, desk)),
    }
}
