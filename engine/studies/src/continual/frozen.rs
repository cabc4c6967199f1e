//! Encoders that were trained elsewhere: their files, and features of a stream's pictures by them.

use engine::continual::{ContinualSpec, Encoder};
use engine::tape::{Play, Traced};

use super::desk::Features;
use super::tasks::{Examples, Tasks};
use crate::StudyError;
use crate::encoder::{Form, NET, embed, embedding_step, read_weights, squeezenet};
use crate::fewshot::{LETTER, SHIPPED, resized};

/// Most pictures that SqueezeNet sees, some hundredths of a second each in a browser.
const MOST: usize = 3000;

/// The file of an encoder that was trained elsewhere, below the folder of packs; none where the session needs none.
#[must_use]
pub fn file(spec: &ContinualSpec) -> Option<&'static str> {
    match spec.encoder {
        Encoder::Letters if spec.encodes() => Some(SHIPPED),
        Encoder::Squeezenet if spec.encodes() => Some(squeezenet::FILE),
        _ => None,
    }
}

/// Features of all rows by the encoder of a file, each row brought to a mean square of 1 by itself.
///
/// # Errors
/// The examples are no pictures, or too many; the file does not fit; the executor fails.
pub async fn encode(
    play: &mut Play<'_>,
    encoder: Encoder,
    tasks: &Tasks,
    file: Option<&[u8]>,
) -> Result<Features, StudyError> {
    let other = |message: String| StudyError::Other(message);
    let Examples::Pixels(pixels) = &tasks.examples else {
        return Err(other(format!("“{}” sees pictures, and this stream has numbers", encoder.label())));
    };
    if encoder == Encoder::Squeezenet && tasks.rows() > MOST {
        let rows = tasks.rows();
        return Err(other(format!(
            "SqueezeNet takes long for each of {rows} pictures; with fewer examples a task, at most {MOST}, it sees them"
        )));
    }
    let (shape, form, step): (_, _, Traced) = match encoder {
        Encoder::Squeezenet => (squeezenet::SHAPE, squeezenet::FORM, squeezenet::embedding_step()?),
        _ => (LETTER, Form::convolutional(LETTER.iter().product()), embedding_step(LETTER)?),
    };
    let step = play.add(step).await?;
    let bytes = file.ok_or_else(|| other("the encoder's file was not fetched".into()))?;
    play.write(&format!("{NET}.theta"), &read_weights(bytes).map_err(other)?)?;
    let mut values = Vec::with_capacity(tasks.rows() * form.dims);
    for batch in pixels.chunks(form.batch * tasks.width().max(1)) {
        let pictures = batch.chunks_exact(tasks.width().max(1));
        let seen: Vec<u8> = pictures.flat_map(|picture| resized(picture, tasks.picture(), shape)).collect();
        values.extend(embed(play, step, &seen, form).await?);
    }
    Ok(Features::levelled(form.dims, values))
}
