//! Masked images: a share of the patches of each is hidden, for the network to restore (He et al. 2022, arXiv 2111.06377).

use crate::graph::{BinaryOp, Graph, GraphError, NodeId};
use crate::rng::Draw;
use crate::spec::ObjectiveSpec;

/// Images `[b, c, h, w]` in which a share of the square patches reads 0. Of n patches those with the smallest of n random
/// numbers are hidden, so as many in each image. The key decides which.
pub fn hide(graph: &mut Graph, objective: &ObjectiveSpec, x: NodeId, key: NodeId) -> Result<NodeId, GraphError> {
    let &[batch, _, height, width] = graph.shape(x) else {
        return Err(GraphError::Shape { op: "mask".to_owned(), reason: "needs images".to_owned() });
    };
    let side = objective.patch.max(1);
    let [down, across] = [height, width].map(|length| length.div_ceil(side));
    let count = down * across;
    let draws = graph.random(key, Draw::Mask.stream(0), &[batch, count])?;
    let own = graph.reshape(draws, &[batch, count, 1])?;
    let others = graph.reshape(draws, &[batch, 1, count])?;
    let smaller = graph.binary(BinaryOp::Less, others, own)?;
    let rank = graph.sum(smaller, &[2])?;
    let hidden = libm::round(objective.mask.clamp(0.0, 1.0) * count as f64);
    let limit = graph.constant(hidden as f32, &[batch, count, 1]);
    let seen = graph.binary(BinaryOp::LessEqual, limit, rank)?;
    let seen = graph.reshape(seen, &[batch * down, 1, across, 1])?;
    let seen = graph.broadcast_to(seen, &[batch * down, side, across, side])?;
    let seen = graph.reshape(seen, &[batch, 1, down * side, across * side])?;
    let seen = graph.slice(seen, &[0; 4], &[batch, 1, height, width])?;
    graph.mul(x, seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::reference::{Inputs, evaluate};
    use crate::graph::{DType, InputKind};

    fn hidden(shape: [usize; 4], patch: usize, mask: f64, step: f64) -> Vec<f64> {
        let mut graph = Graph::new();
        let x = graph.constant(1.0, &shape);
        let key = graph.input("key", &[4], DType::U32, InputKind::Step).unwrap();
        let objective = ObjectiveSpec { patch, mask, ..ObjectiveSpec::default() };
        let out = hide(&mut graph, &objective, x, key).unwrap();
        evaluate(&graph, &Inputs::from([("key".into(), vec![3.0, 0.0, step, 0.0])]), &[out]).remove(0)
    }

    #[test]
    fn half_of_the_patches_of_every_image_are_hidden_whole() {
        let out = hidden([20, 1, 14, 14], 2, 0.5, 0.0);
        let mut seen_patches = [0; 49];
        for image in out.chunks(196) {
            let patch = |k: usize| [0, 1, 14, 15].map(|at| image[k / 7 * 28 + k % 7 * 2 + at]);
            assert!((0..49).all(|k| patch(k) == [0.0; 4] || patch(k) == [1.0; 4]));
            assert_eq!((0..49).filter(|&k| patch(k) == [0.0; 4]).count(), 25);
            (0..49).for_each(|k| seen_patches[k] += usize::from(patch(k)[0] == 1.0));
        }
        assert!(seen_patches.iter().all(|&times| times > 0 && times < 20), "{seen_patches:?}");
        assert_ne!(out, hidden([20, 1, 14, 14], 2, 0.5, 1.0), "anew in every step");
    }

    #[test]
    fn channels_are_hidden_together_and_patches_end_with_the_image() {
        let out = hidden([4, 2, 5, 7], 3, 0.5, 0.0);
        for image in out.chunks(70) {
            assert_eq!(image[..35], image[35..]);
            // 2 x 3 patches, of which 3 are hidden.
            let corners = [0, 3, 6, 21, 24, 27].map(|at| image[at]);
            assert_eq!(corners.iter().sum::<f64>(), 3.0);
        }
        assert!(hidden([2, 1, 4, 4], 2, 0.0, 0.0).iter().all(|&x| x == 1.0));
        assert!(hidden([2, 1, 4, 4], 2, 1.0, 0.0).iter().all(|&x| x == 0.0));
    }
}
