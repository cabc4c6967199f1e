//! Which chunks of the weights depend on which: what a nudge of one chunk's vector does to all.

use engine::figure::{Figure, Grid, Mark, Scale};
use engine::model::Mode;
use engine::numeric::distance;
use engine::tape::{Play, Words, trace};

use crate::StudyError;
use crate::continual::hypernetwork::generator::{Generator, Sizes, VECTOR};
use crate::continual::hypernetwork::{HYPER, SCALES};
use crate::plot::axis;

/// How far a vector is nudged, in each of its numbers.
const NUDGE: f32 = 0.1;

/// How far each chunk (row) moves when the vector of a chunk (column) is nudged, for the first task: `[chunks, chunks]`.
///
/// # Errors
/// The executor fails, or the parameters are of another hypernetwork.
pub async fn influence(
    mut play: Play<'_>,
    sizes: &Sizes,
    theta: &[f32],
    scales: &[f32],
) -> Result<Vec<f32>, StudyError> {
    let (chunks, count) = (sizes.chunks, sizes.layout.len());
    let step = trace("influence", Mode::Eval, |tape| {
        let hyper = tape.net(HYPER, |builder| Generator::new(sizes, builder));
        let (scales, nudge) = (tape.state(SCALES, [count]), tape.input("nudge", [chunks, VECTOR]));
        let weights = hyper.weights(sizes, &scales, Some(nudge));
        tape.fetch("weights", &weights.slice_dim(0, 0..1).reshape([count]));
        Ok(())
    })?;
    let step = play.add(step).await?;
    play.write(&format!("{HYPER}.theta"), theta)?;
    play.write(SCALES, scales)?;
    let still = vec![0.0; chunks * VECTOR];
    play.run(step, &[("nudge", Words::Numbers(&still))]).await?;
    let before = play.fetch(step, "weights").await?;
    let mut moved = vec![0.0; chunks * chunks];
    for column in 0..chunks {
        let mut nudge = still.clone();
        nudge[column * VECTOR..(column + 1) * VECTOR].fill(NUDGE);
        play.run(step, &[("nudge", Words::Numbers(&nudge))]).await?;
        let after = play.fetch(step, "weights").await?;
        let parts = before.chunks(sizes.chunk()).zip(after.chunks(sizes.chunk()));
        for (row, (before, after)) in parts.enumerate() {
            moved[row * chunks + column] = distance(before, after) as f32;
        }
    }
    Ok(moved)
}

/// Parameters that a hypernetwork starts from.
///
/// # Errors
/// The executor fails.
#[cfg(test)]
pub async fn start(mut play: Play<'_>, sizes: &Sizes) -> Result<Vec<f32>, StudyError> {
    let step = trace("start", Mode::Eval, |tape| {
        let hyper = tape.net(HYPER, |builder| Generator::new(sizes, builder));
        tape.fetch("hidden", &hyper.hidden(None));
        Ok(())
    })?;
    play.add(step).await?;
    Ok(play.read(&format!("{HYPER}.theta")).await?)
}

/// The influences as a picture.
pub fn picture(moved: Vec<f32>, chunks: usize) -> Figure {
    let below = (0..chunks * chunks).filter(|at| at / chunks > at % chunks && moved[*at] > 0.0).count();
    let above = (0..chunks * chunks).filter(|at| at / chunks < at % chunks && moved[*at] > 0.0).count();
    let grid = Grid { width: chunks, height: chunks, values: moved };
    let [rows, columns] = [(); 2].map(|()| (1..=chunks).map(|chunk| chunk.to_string()).collect());
    let map = Mark::HeatMap { grid, scale: Scale::Linear, range: None, rows, columns };
    let pairs = chunks * (chunks - 1) / 2;
    Figure {
        x: axis("chunk whose vector is nudged", ""),
        y: axis("chunk that moves", ""),
        marks: vec![map],
        alt: format!(
            "Of {pairs} pairs of chunks the later depends on the earlier in {below}, the earlier on the later in {above}"
        ),
        ..Figure::default()
    }
}
