//! Views of a network's inside as figures: each file offers one, or nothing where the run has nothing of the kind.

mod attention;
pub mod cell;
mod confusion;
mod filters;
mod hardest;
mod numbers;
pub mod own;
mod picture;
mod pool;
pub mod regions;
pub mod text;

use crate::executor::Executor;
use crate::figure::Figure;
use crate::train::{TrainError, Trainer};

/// The views wanted (by figure id; none named = all), for one test example where a view shows one.
pub async fn look<E: Executor>(
    trainer: &mut Trainer<E>,
    views: &[impl AsRef<str>],
    sample: usize,
) -> Result<Vec<Figure>, TrainError> {
    let wanted = |id: &str| views.is_empty() || views.iter().any(|view| view.as_ref() == id);
    let mut figures = Vec::new();
    let rows = trainer.feed().test_rows(trainer.data());
    let Some(&row) = rows.get(sample.min(rows.len().saturating_sub(1))) else {
        return Ok(figures);
    };
    if [attention::ID, pool::ID, text::NEXT, numbers::FORECAST].iter().any(|id| wanted(id)) {
        let values = trainer.look(&[row]).await?;
        figures.extend(pool::figure(trainer, row, &values).filter(|_| wanted(pool::ID)));
        figures.extend(attention::figure(trainer, row, &values).filter(|_| wanted(attention::ID)));
        figures.extend(text::next_character(trainer, row, &values).filter(|_| wanted(text::NEXT)));
        figures.extend(numbers::forecast(trainer, row, &values).filter(|_| wanted(numbers::FORECAST)));
    }
    if wanted(numbers::PREDICTIONS) {
        figures.extend(numbers::predictions(trainer, &rows).await?);
    }
    if wanted(regions::ID) {
        figures.extend(regions::figure(trainer).await?);
    }
    if wanted(filters::ID) {
        figures.extend(filters::figure(trainer).await?);
    }
    if trainer.feed().has_classes() && [confusion::ID, hardest::ID].iter().any(|id| wanted(id)) {
        let evaluation = trainer.estimate().await?;
        figures.extend(hardest::figure(trainer, &evaluation).filter(|_| wanted(hardest::ID)));
        figures.extend(confusion::figure(trainer, &evaluation).filter(|_| wanted(confusion::ID)));
    }
    if wanted(text::SAMPLE) {
        figures.extend(text::sample_figure(trainer).await?);
    }
    Ok(figures)
}
