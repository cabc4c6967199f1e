//! Augmentation of training images on the device, anew each time they are drawn.
//!
//! Crop, flip and shift are one gather: each says from where an output pixel comes, and the composition is looked up once,
//! at the nearest pixel. Mixup (Zhang et al. 2018, arXiv 1710.09412) blends each image with its neighbour in the batch,
//! which is a random one because batches are drawn at random.

use crate::graph::{BinaryOp, DType, Graph, GraphError, InputKind, NodeId, UnaryOp};
use crate::numeric::gamma;
use crate::rng::{Draw, Rng, Stream};
use crate::spec::AugmentSpec;

/// Step input: f32, each example's own share of a mixed one.
pub const SHARE: &str = "mixup";

/// How the examples of a batch are mixed.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// f32 `[b]`: each example's own share.
    pub share: NodeId,
    /// u32 `[b]`: place in the batch of the example it is mixed with.
    pub partner: NodeId,
}

/// An augmented batch.
#[derive(Clone, Copy, Debug)]
pub struct Augmented {
    /// The images.
    pub x: NodeId,
    /// How they were mixed, if they were.
    pub mix: Option<Mix>,
}

/// Augments images `[b, c, h, w]` in pixel units, in which 0 is the background; other inputs stay as they are.
pub fn apply(graph: &mut Graph, spec: &AugmentSpec, x: NodeId, key: NodeId) -> Result<Augmented, GraphError> {
    let &[batch, channels, height, width] = graph.shape(x) else {
        return Ok(Augmented { x, mix: None });
    };
    let mut x = x;
    let crops = spec.crop > 0.0 && spec.crop < 1.0;
    if crops || spec.flip || spec.shift > 0 {
        let mut count = 0;
        let mut draw = |graph: &mut Graph| {
            count += 1;
            graph.random(key, Draw::Augment.stream(count), &[batch, 1, 1])
        };
        let grid = [batch, height, width];
        let mut row = graph.iota(&grid, 1)?;
        let mut column = graph.iota(&grid, 2)?;
        if spec.flip {
            let chance = draw(graph)?;
            let half = graph.constant(0.5, &[batch, 1, 1]);
            let flips = graph.binary(BinaryOp::Less, chance, half)?;
            let negative = graph.neg(column)?;
            let mirrored = graph.add_scalar(negative, (width - 1) as f32)?;
            column = graph.select(flips, mirrored, column)?;
        }
        if crops {
            let chance = draw(graph)?;
            let spread = graph.scale(chance, 1.0 - spec.crop as f32)?;
            let share = graph.add_scalar(spread, spec.crop as f32)?;
            for (place, side) in [(&mut row, height), (&mut column, width)] {
                // The kept window is `share` of the side; its start is uniform over what is left.
                let chance = draw(graph)?;
                let negative = graph.neg(share)?;
                let room = graph.add_scalar(negative, 1.0)?;
                let room = graph.scale(room, (side - 1) as f32)?;
                let start = graph.mul(room, chance)?;
                let scaled = graph.mul(*place, share)?;
                let exact = graph.add(scaled, start)?;
                let centred = graph.add_scalar(exact, 0.5)?;
                *place = graph.unary(UnaryOp::Floor, centred)?;
            }
        }
        if spec.shift > 0 {
            for place in [&mut row, &mut column] {
                let chance = draw(graph)?;
                let scaled = graph.scale(chance, (2 * spec.shift + 1) as f32)?;
                let steps = graph.unary(UnaryOp::Floor, scaled)?;
                let offset = graph.add_scalar(steps, -(spec.shift as f32))?;
                *place = graph.add(*place, offset)?;
            }
        }
        x = lookup(graph, x, row, column, [batch, channels, height, width])?;
    }
    if spec.mixup <= 0.0 {
        return Ok(Augmented { x, mix: None });
    }
    let share = graph.input(SHARE, &[batch], DType::F32, InputKind::Step)?;
    let place = graph.iota(&[batch], 0)?;
    let next = graph.add_scalar(place, 1.0)?;
    let end = graph.constant(batch as f32, &[batch]);
    let zero = graph.constant(0.0, &[batch]);
    let wraps = graph.binary(BinaryOp::Less, next, end)?;
    let partner = graph.select(wraps, next, zero)?;
    let partner = graph.cast(partner, DType::U32)?;
    let other = graph.take_rows(x, partner)?;
    let weight = graph.reshape(share, &[batch, 1, 1, 1])?;
    let x = graph.blend(weight, x, other)?;
    Ok(Augmented { x, mix: Some(Mix { share, partner }) })
}

/// The pixels at `row` and `column` `[b, h, w]` of each image, 0 outside of it.
fn lookup(
    graph: &mut Graph,
    x: NodeId,
    row: NodeId,
    column: NodeId,
    [batch, channels, height, width]: [usize; 4],
) -> Result<NodeId, GraphError> {
    let grid = [batch, height, width];
    let mut inside = graph.constant(1.0, &grid);
    let mut clamped = [row, column];
    for (place, side) in clamped.iter_mut().zip([height, width]) {
        let first = graph.constant(0.0, &grid);
        let last = graph.constant((side - 1) as f32, &grid);
        let not_before = graph.binary(BinaryOp::LessEqual, first, *place)?;
        let not_after = graph.binary(BinaryOp::LessEqual, *place, last)?;
        let within = graph.mul(not_before, not_after)?;
        inside = graph.mul(inside, within)?;
        let low = graph.binary(BinaryOp::Max, *place, first)?;
        *place = graph.binary(BinaryOp::Min, low, last)?;
    }
    let start = graph.scale(clamped[0], width as f32)?;
    let index = graph.add(start, clamped[1])?;
    let index = graph.cast(index, DType::U32)?;
    let plane = height * width;
    let index = graph.reshape(index, &[batch, 1, plane])?;
    let index = graph.broadcast_to(index, &[batch, channels, plane])?;
    let flat = graph.reshape(x, &[batch, channels, plane])?;
    let found = graph.gather(flat, index, 2)?;
    let inside = graph.reshape(inside, &[batch, 1, plane])?;
    let found = graph.mul(found, inside)?;
    graph.reshape(found, &[batch, channels, height, width])
}

/// Draws each example's share from Beta(alpha, alpha). Depends on the seed, the step and the micro-batch alone.
pub fn draw_shares(alpha: f64, seed: u64, step: u64, run: usize, out: &mut [u32]) {
    let mut rng = Rng::new(seed ^ step.rotate_left(20), Stream::Augment, run as u32);
    for word in out {
        let (a, b) = (gamma(&mut rng, alpha), gamma(&mut rng, alpha));
        let share = if a + b > 0.0 { a / (a + b) } else { 0.5 };
        *word = (share as f32).to_bits();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::reference::{Inputs, evaluate};

    const SHAPE: [usize; 4] = [6, 2, 5, 4];
    const PLANE: usize = 20;

    /// Images whose pixels are all different and above 0.
    fn images() -> Vec<f64> {
        (0..SHAPE.iter().product::<usize>()).map(|k| k as f64 + 1.0).collect()
    }

    fn augmented(spec: &AugmentSpec, step: f64) -> Vec<f64> {
        let mut graph = Graph::new();
        let x = graph.input("x", &SHAPE, DType::F32, InputKind::Step).unwrap();
        let key = graph.input("key", &[4], DType::U32, InputKind::Step).unwrap();
        let augmented = apply(&mut graph, spec, x, key).unwrap();
        let shares = vec![1.0, 0.5, 0.25, 0.0, 1.0, 0.75];
        let key = vec![5.0, 0.0, step, 0.0];
        let inputs = Inputs::from([("x".into(), images()), ("key".into(), key), (SHARE.into(), shares)]);
        evaluate(&graph, &inputs, &[augmented.x]).remove(0)
    }

    #[test]
    fn nothing_asked_for_changes_nothing() {
        assert_eq!(augmented(&AugmentSpec::default(), 0.0), images());
        assert_eq!(augmented(&AugmentSpec { crop: 1.0, ..AugmentSpec::default() }, 0.0), images());
    }

    /// Every image is some shift of the original, the same in all its channels; what comes in is 0.
    #[test]
    fn shifts_move_whole_images() {
        let out = augmented(&AugmentSpec { shift: 2, ..AugmentSpec::default() }, 0.0);
        let mut seen = std::collections::BTreeSet::new();
        for (got, all) in out.chunks(2 * PLANE).zip(images().chunks(2 * PLANE)) {
            let moved = |dy: i32, dx: i32| -> Vec<f64> {
                (0..2 * PLANE as i32)
                    .map(|k| {
                        let (c, y, x) = (k / 20, k % 20 / 4 + dy, k % 4 + dx);
                        let inside = (0..5).contains(&y) && (0..4).contains(&x);
                        if inside { all[(c * 20 + y * 4 + x) as usize] } else { 0.0 }
                    })
                    .collect()
            };
            let found = (-2..=2).flat_map(|dy| (-2..=2).map(move |dx| (dy, dx))).find(|&(dy, dx)| moved(dy, dx) == got);
            seen.insert(found.expect("a shift of at most two pixels"));
        }
        assert!(seen.len() > 2, "{seen:?}");
        assert_ne!(out, augmented(&AugmentSpec { shift: 2, ..AugmentSpec::default() }, 1.0));
    }

    #[test]
    fn flips_mirror_about_half_of_the_images() {
        let out = augmented(&AugmentSpec { flip: true, ..AugmentSpec::default() }, 0.0);
        let mut flips = 0;
        for (got, all) in out.chunks(2 * PLANE).zip(images().chunks(2 * PLANE)) {
            let mirrored: Vec<f64> = all.chunks(4).flat_map(|row| row.iter().rev().copied()).collect();
            assert!(got == all || got == mirrored);
            flips += usize::from(got == mirrored);
        }
        assert!((1..6).contains(&flips), "{flips} of 6");
    }

    #[test]
    fn crops_enlarge_a_part() {
        let out = augmented(&AugmentSpec { crop: 0.4, ..AugmentSpec::default() }, 0.0);
        for (got, all) in out.chunks(2 * PLANE).zip(images().chunks(2 * PLANE)) {
            assert!(got.iter().all(|v| all.contains(v)), "only pixels of the same image");
            // Rows and columns stay in order.
            assert!(got.chunks(4).all(|row| row.is_sorted()));
        }
        assert_ne!(out, images());
    }

    #[test]
    fn mixup_blends_with_the_next_image() {
        let out = augmented(&AugmentSpec { mixup: 0.5, ..AugmentSpec::default() }, 0.0);
        let (all, size) = (images(), 2 * PLANE);
        for (b, share) in [1.0, 0.5, 0.25, 0.0, 1.0, 0.75].iter().enumerate() {
            for k in 0..size {
                let expected = share * all[b * size + k] + (1.0 - share) * all[(b + 1) % 6 * size + k];
                assert!((out[b * size + k] - expected).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn shares_follow_the_beta_distribution() {
        for alpha in [0.2, 1.0, 4.0] {
            let mut words = vec![0; 20_000];
            draw_shares(alpha, 7, 3, 0, &mut words);
            let shares: Vec<f64> = words.iter().map(|&word| f64::from(f32::from_bits(word))).collect();
            let n = shares.len() as f64;
            let mean = shares.iter().sum::<f64>() / n;
            let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / n;
            // Beta(a, a): mean 1/2, variance 1 / (4 (2a + 1)).
            let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!((mean - 0.5).abs() < 0.01, "alpha {alpha}: mean {mean}");
            assert!((variance / expected - 1.0).abs() < 0.05, "alpha {alpha}: variance {variance}, not {expected}");
        }
    }
}
