//! A population: runs of one recipe that go on side by side, each a cell of a sweep with settings and a seed of its own, which
//! now and then clone each other (Population Based Training, Jaderberg et al. 2017, arXiv 1711.09846).
//!
//! All members share one trainer: the state of a run is its checkpoint, and what is searched are controls that may be turned
//! while a run goes on, so nothing is compiled anew. A member is told as an ordinary run of the lab: the recipe that its first
//! ancestor started from, and each change since as an edit. A clone keeps the batches and draws of the place that it was put
//! into, or it would be the twin of what it was cloned from. So a run of a member's recipe alone repeats the member bit for bit
//! up to the first clone among its ancestors; after that it has the same settings, but batches and draws of its own seed.

mod exchange;
mod lineage;
mod search;
mod streams;

#[cfg(test)]
mod tests;

pub use exchange::{Exchange, sources};
pub use lineage::replay;
pub use search::{Searched, perturbed};

use engine::executor::AnyExecutor;
use engine::model::THETA;
use engine::rng::{Rng, Stream, own_seed};
use engine::spec::{Edit, MAX_SAFE_INTEGER, RunSpec};
use engine::train::{Checkpoint, Trainer};

use crate::{Context, StudyError};
use streams::Streams;

/// How a population goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// What is searched.
    pub searched: &'static [Searched],
    /// Updates between two exchanges.
    pub ready: u64,
    /// Who is cloned by whom.
    pub exchange: Exchange,
    /// Settings of a clone are multiplied by one plus or minus this; 0 = they stay.
    pub spread: f64,
}

/// A run of the population.
#[derive(Clone, Debug)]
pub struct Member {
    /// The values of what is searched, exactly.
    pub values: Vec<f64>,
    /// The recipe as it was followed by this member and its ancestors: the seed is that of the first of them, and each change is
    /// an edit.
    pub spec: RunSpec,
    /// Losses on held-out data, its ancestors' included, newest last.
    pub losses: Vec<f64>,
    /// Where it stands.
    pub state: Checkpoint,
}

impl Member {
    /// Its newest loss on held-out data; infinite where that is no number.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.losses.last().copied().filter(|loss| loss.is_finite()).unwrap_or(f64::INFINITY)
    }
}

/// What happened between two exchanges and in the second of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Round {
    /// Updates done at its end.
    pub end: u64,
    /// What each member was trained with.
    pub values: Vec<Vec<f64>>,
    /// What each came to on held-out data.
    pub losses: Vec<f64>,
    /// Whose clone each was then replaced by.
    pub cloned: Vec<Option<usize>>,
}

/// See the module.
#[derive(Debug)]
pub struct Population {
    rules: Rules,
    seed: u64,
    /// The runs.
    pub members: Vec<Member>,
    /// What has happened.
    pub rounds: Vec<Round>,
}

/// The seed of a member: of its start, its batches and its draws.
#[must_use]
pub fn seed_of(seed: u64, member: usize) -> u64 {
    seed.wrapping_mul(100).wrapping_add(member as u64) & MAX_SAFE_INTEGER
}

/// A trainer that any member can use in turn: a run of the recipe with the batches of all of them.
pub async fn trainer(
    context: &mut Context<'_>,
    spec: &RunSpec,
    size: usize,
    seed: u64,
) -> Result<Trainer<AnyExecutor>, StudyError> {
    let data = context.data(&spec.data).await?;
    let streams = Streams::new(spec, &data, (0..size).map(|member| seed_of(seed, member)))?;
    Ok(Trainer::with_sampler(context.take_executor().await?, spec, data, Box::new(streams)).await?)
}

/// A run that starts from the parameters of a seed.
fn born(trainer: &Trainer<AnyExecutor>, start: &Checkpoint, seed: u64) -> Checkpoint {
    let mut state = start.clone();
    let theta = trainer.layout().initial(seed);
    state.states.insert(THETA.to_owned(), theta.iter().flat_map(|value| value.to_le_bytes()).collect());
    state
}

impl Population {
    /// Members with settings drawn from their ranges, on a [`trainer`] of the recipe `base`, which began at `start`.
    pub fn new(
        trainer: &Trainer<AnyExecutor>,
        (base, start): (&RunSpec, &Checkpoint),
        rules: Rules,
        size: usize,
        seed: u64,
    ) -> Result<Self, StudyError> {
        let mut members = Vec::with_capacity(size);
        for place in 0..size {
            let mut rng = Rng::new(own_seed(seed, "population"), Stream::Generate, place as u32);
            let values: Vec<f64> = rules.searched.iter().map(|searched| searched.draw(&mut rng)).collect();
            let mut spec = RunSpec { seed: seed_of(seed, place), ..base.clone() };
            for (searched, value) in rules.searched.iter().zip(&values) {
                let set = spec.set(searched.path, &searched.written(*value));
                set.map_err(|issue| StudyError::Other(format!("{}: {}", issue.path, issue.message)))?;
            }
            let state = Checkpoint { drawn: Streams::start(place), ..born(trainer, start, spec.seed) };
            members.push(Member { values, spec, losses: Vec::new(), state });
        }
        Ok(Self { rules, seed, members, rounds: Vec::new() })
    }

    /// Trains every member for a round of at most `rest` updates and asks it about the held-out rows.
    pub async fn round(
        &mut self,
        context: &mut Context<'_>,
        trainer: &mut Trainer<AnyExecutor>,
        held_out: &[u32],
        rest: u64,
    ) -> Result<(), StudyError> {
        let updates = self.rules.ready.min(rest);
        for (place, member) in self.members.iter_mut().enumerate() {
            trainer.set_spec(RunSpec { seed: seed_of(self.seed, place), ..member.spec.clone() });
            trainer.restore(&member.state)?;
            context.updates(trainer, updates).await?;
            member.losses.push(trainer.evaluate_rows(held_out).await?.loss);
            member.state = trainer.checkpoint().await?;
        }
        self.rounds.push(Round {
            end: trainer.steps_done(),
            values: self.members.iter().map(|member| member.values.clone()).collect(),
            losses: self.members.iter().map(Member::loss).collect(),
            cloned: vec![None; self.members.len()],
        });
        Ok(())
    }

    /// Replaces members by clones of better ones, whose settings then differ a little.
    pub fn exchange(&mut self) {
        let Some(round) = self.rounds.last_mut() else { return };
        let mut rng = Rng::new(own_seed(self.seed, "exchange"), Stream::Generate, round.end as u32);
        let losses: Vec<&[f64]> = self.members.iter().map(|member| member.losses.as_slice()).collect();
        round.cloned = sources(&losses, self.rules.exchange, &mut rng);
        let before = self.members.clone();
        for ((place, member), source) in self.members.iter_mut().enumerate().zip(&round.cloned) {
            let Some(source) = source.and_then(|source| before.get(source)) else { continue };
            let drawn = before[place].state.drawn;
            *member = Member { state: Checkpoint { drawn, ..source.state.clone() }, ..source.clone() };
            member.values = perturbed(&source.values, self.rules.searched, self.rules.spread, &mut rng);
            for (searched, value) in self.rules.searched.iter().zip(&member.values) {
                let (path, value) = (searched.path.to_owned(), searched.written(*value));
                member.spec.edits.push(Edit { step: round.end, path, value });
            }
        }
    }

    /// The member that is best on held-out data.
    #[must_use]
    pub fn best(&self) -> usize {
        let losses: Vec<f64> = self.members.iter().map(|member| -member.loss()).collect();
        engine::numeric::argmax(&losses).unwrap_or(0)
    }
}
