//! The batches of all members of a population, in one sampler: a draw says whose it is.

use engine::data::Data;
use engine::data::sampler::{Sampler, sampler};
use engine::spec::RunSpec;
use engine::train::Feed;

use crate::StudyError;

/// See the module.
pub(super) struct Streams(Vec<Box<dyn Sampler>>);

/// A member has this many bits of a draw's number for itself.
const BITS: u32 = 40;

impl Streams {
    /// Those that runs of the recipe with these seeds would have.
    pub(super) fn new(spec: &RunSpec, data: &Data, seeds: impl Iterator<Item = u64>) -> Result<Self, StudyError> {
        let span = Feed::of(data, spec)?.span();
        Ok(Self(seeds.map(|seed| sampler(&spec.batch, data, span, seed)).collect::<Result<_, _>>()?))
    }

    /// The first draw of a member.
    pub(super) fn start(member: usize) -> u64 {
        (member as u64) << BITS
    }

    /// The draw of a member in the place of another's.
    pub(super) fn moved(draw: u64, member: usize) -> u64 {
        Self::start(member) | (draw & ((1 << BITS) - 1))
    }
}

impl Sampler for Streams {
    fn fill(&mut self, first: u64, out: &mut [u32]) {
        let within = Self::moved(first, 0);
        match self.0.get_mut((first >> BITS) as usize) {
            Some(member) => member.fill(within, out),
            None => out.fill(0),
        }
    }
}
