//! What studies take from the lab: its letters, and an encoder that has learned as the lab's own does.

use engine::executor::AnyExecutor;
use engine::fewshot::{FewshotSpec, Source};
use engine::tape::Home;

use super::pictures::Pictures;
use super::{Encoder, files};
use crate::{Context, Share, StudyError};

/// The letters.
///
/// # Errors
/// Their file cannot be read.
pub(crate) async fn letters(context: &Context<'_>) -> Result<Pictures, StudyError> {
    let pack = context.pack(files(Source::Glyphs)[0]).await?;
    Pictures::read(Source::Glyphs, &[pack.as_slice()]).map_err(StudyError::Other)
}

/// An encoder on the executor of a home, trained to the end of a session's updates.
///
/// # Errors
/// The executor fails; the person has asked to stop.
pub(crate) async fn learned(
    context: &mut Context<'_>,
    home: &Home<AnyExecutor>,
    pictures: &Pictures,
    spec: &FewshotSpec,
    share: Share,
) -> Result<Encoder, StudyError> {
    let mut encoder = Encoder::new(home, pictures, spec, None).await?;
    for update in 0.. {
        if !encoder.update(pictures, spec).await? {
            break;
        }
        context.breathe().await?;
        context.progress(share.at(update as f64 / spec.updates as f64), "the encoder learns");
    }
    Ok(encoder)
}

/// The parameters of such an encoder; the executor is the context's again.
///
/// # Errors
/// As [`learned`].
pub(crate) async fn learned_parameters(
    context: &mut Context<'_>,
    pictures: &Pictures,
    spec: &FewshotSpec,
    share: Share,
) -> Result<Vec<f32>, StudyError> {
    let home = Home::new(Some(context.take_executor().await?).into());
    let theta = learned(context, &home, pictures, spec, share).await?.parameters().await?;
    if let Some(executor) = home.take() {
        context.give_back(executor);
    }
    Ok(theta)
}
