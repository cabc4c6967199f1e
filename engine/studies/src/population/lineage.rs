//! The ancestors of a member: where they were, what they were trained with, and their run alone.

use engine::executor::AnyExecutor;
use engine::spec::RunSpec;
use engine::train::{Checkpoint, Trainer};

use super::streams::Streams;
use super::{Population, born, seed_of};
use crate::{Context, StudyError};

impl Population {
    /// The place of a member's ancestor in each round.
    #[must_use]
    pub fn line(&self, member: usize) -> Vec<usize> {
        let mut places = vec![member; self.rounds.len()];
        for round in (1..places.len()).rev() {
            let place = places[round];
            places[round - 1] = self.rounds[round - 1].cloned.get(place).copied().flatten().unwrap_or(place);
        }
        places
    }

    /// How often a member's line goes on as a clone in another place.
    #[must_use]
    pub fn moves(&self, member: usize) -> usize {
        self.line(member).windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    /// What a member's line was trained with in each round: updates done at its start and end, and the values.
    #[must_use]
    pub fn schedule(&self, member: usize) -> Vec<([u64; 2], &[f64])> {
        let starts = [0].into_iter().chain(self.rounds.iter().map(|round| round.end));
        let rounds = self.rounds.iter().zip(self.line(member)).zip(starts);
        rounds.map(|((round, place), start)| ([start, round.end], round.values[place].as_slice())).collect()
    }
}

/// Trains a member's line again without the population, on the trainer that it had: its recipe, with the batches and draws of
/// the places that its ancestors were in. Yields the parameters at its end, which are the member's bit for bit.
pub async fn replay(
    context: &mut Context<'_>,
    trainer: &mut Trainer<AnyExecutor>,
    population: &Population,
    member: usize,
    start: &Checkpoint,
) -> Result<Vec<f32>, StudyError> {
    let Population { seed, members, rounds, .. } = population;
    let spec = &members[member].spec;
    let mut state = born(trainer, start, spec.seed);
    for (place, round) in population.line(member).into_iter().zip(rounds) {
        trainer.set_spec(RunSpec { seed: seed_of(*seed, place), ..spec.clone() });
        trainer.restore(&Checkpoint { drawn: Streams::moved(state.drawn, place), ..state })?;
        let updates = round.end - trainer.steps_done();
        context.updates(trainer, updates).await?;
        state = trainer.checkpoint().await?;
    }
    Ok(trainer.theta().await?)
}
