//! Norms of the Hessian's blocks: how much the gradient of one layer turns when another one moves.
//!
//! With random signs `v` on the parameters of layer l alone, the expected square of the part of `H v` on layer k is the squared
//! Frobenius norm of the block (k, l); as the matrix is symmetric, (l, k) is another draw of it. Curvature by layer alone, as
//! K-FAC has it (Martens, Grosse 2015, arXiv 1503.05671), takes all blocks off the diagonal to be 0: the map shows what that
//! leaves out.

use std::ops::Range;

use serde::Serialize;

use super::super::figures::{axis, words};
use super::super::reading::Reading;
use super::Tools;
use crate::executor::AnyExecutor;
use crate::figure::{Figure, Grid, Mark, Scale, brief, gap, gaps};
use crate::graph::numel;
use crate::model::ParamLayout;
use crate::probe::{Operator, norm, rademacher};
use crate::train::{TrainError, Trainer};
use crate::tree::FromTree;

/// Random vectors a layer.
const DRAWS: usize = 2;
/// Layers at most; of a deeper network neighbours are taken together.
const LAYERS: usize = 16;

/// Norms of blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, FromTree)]
pub struct Blocks {
    /// The layers, in the model's order; empty = still being measured.
    pub layers: Vec<String>,
    /// Frobenius norm of each block, row by row.
    #[serde(with = "gaps")]
    pub norms: Vec<f32>,
    /// Standard error of the whole matrix's norm over the norm.
    #[serde(with = "gap")]
    pub error: f64,
}

/// Squares added up so far.
pub(super) struct Sum {
    layers: Vec<(String, Range<usize>)>,
    squares: Vec<f64>,
    /// The whole matrix's squared norm by each draw.
    wholes: [f64; DRAWS],
    done: usize,
}

impl Sum {
    pub fn new(layout: &ParamLayout) -> Self {
        let layers = layers(layout);
        Sum { squares: vec![0.0; layers.len() * layers.len()], layers, wholes: [0.0; DRAWS], done: 0 }
    }

    /// Products that it takes.
    pub fn products(&self) -> usize {
        self.layers.len() * DRAWS
    }

    pub async fn measure(
        &mut self,
        number: usize,
        tools: &mut Tools,
        trainer: &mut Trainer<AnyExecutor>,
    ) -> Result<(), TrainError> {
        let (layer, draw) = (number / DRAWS, number % DRAWS);
        let Some((_, place)) = self.layers.get(layer) else { return Ok(()) };
        let mut vector = rademacher(!trainer.spec().seed, number as u32, tools.before.1.len());
        vector[..place.start].fill(0.0);
        vector[place.end..].fill(0.0);
        let product = tools.whole.apply(trainer.executor_mut(), vec![vector]).await?.concat();
        self.add(layer, draw, &product);
        Ok(())
    }

    fn add(&mut self, layer: usize, draw: usize, product: &[f32]) {
        let count = self.layers.len();
        for (other, (_, place)) in self.layers.iter().enumerate() {
            let square = norm(&product[place.clone()]).powi(2);
            self.wholes[draw] += square;
            self.squares[layer * count + other] += square / (2 * DRAWS) as f64;
            self.squares[other * count + layer] += square / (2 * DRAWS) as f64;
        }
        self.done += 1;
    }

    /// The blocks, once all products are there.
    pub fn told(&self) -> Option<Blocks> {
        let [a, b] = self.wholes;
        (self.done == self.products()).then(|| Blocks {
            layers: self.layers.iter().map(|(name, _)| name.clone()).collect(),
            norms: self.squares.iter().map(|square| square.sqrt() as f32).collect(),
            // The root halves the relative error of the mean of two draws.
            error: (a - b).abs() / (a + b) / 2.0,
        })
    }
}

/// Modules and where their parameters lie, in the model's order, named as coarsely as it takes for there to be at most
/// [`LAYERS`].
fn layers(layout: &ParamLayout) -> Vec<(String, Range<usize>)> {
    let mut found: Vec<(String, Range<usize>)> = vec![];
    for depth in (1..8).rev() {
        found.clear();
        for entry in layout.entries() {
            let module = entry.name.rsplit_once('.').map_or(entry.name.as_str(), |(module, _)| module);
            let name = module.split('.').take(depth).collect::<Vec<_>>().join(".");
            let place = entry.offset..entry.offset + numel(&entry.shape);
            match found.last_mut() {
                Some((last, range)) if *last == name && range.end == place.start => range.end = place.end,
                _ => found.push((name, place)),
            }
        }
        if found.len() <= LAYERS {
            break;
        }
    }
    // A chain of more modules than that is halved until it fits.
    while found.len() > LAYERS {
        found = found
            .chunks(2)
            .map(|pair| {
                let [first, last] = [&pair[0], &pair[pair.len() - 1]];
                (first.0.clone(), first.1.start..last.1.end)
            })
            .collect();
    }
    found
}

pub(super) fn figure(readings: &[&Reading]) -> Figure {
    let (title, meaning) = (
        "Hessian by layer",
        "norm of each block; off the diagonal: how much one layer's step changes another's gradient",
    );
    let having = readings.iter().rev().find_map(|reading| {
        reading.told.blocks.as_ref().filter(|blocks| !blocks.layers.is_empty()).map(|blocks| (reading, blocks))
    });
    let Some((reading, Blocks { layers, norms, error })) = having else {
        return Figure {
            empty: "Being measured: two products a layer.".into(),
            ..words("blocks", title, meaning, String::new())
        };
    };
    Figure {
        x: axis("layer", Scale::Linear),
        y: axis("layer", Scale::Linear),
        marks: vec![Mark::HeatMap {
            grid: Grid { width: layers.len(), height: layers.len(), values: norms.clone() },
            scale: Scale::Log,
            range: None,
            rows: layers.clone(),
            columns: layers.clone(),
        }],
        ..words(
            "blocks",
            title,
            meaning,
            format!(
                "step {} · {} samples · {} products, ± {}%",
                reading.step,
                reading.samples,
                DRAWS * layers.len(),
                brief(100.0 * error)
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Init;

    fn layout(names: &[&str]) -> ParamLayout {
        let mut layout = ParamLayout::default();
        names.iter().for_each(|name| layout.push(name, &[2], Init::Constant(0.0)));
        layout
    }

    #[test]
    fn layers_are_modules_and_deep_networks_are_taken_together() {
        let found = layers(&layout(&["a.weight", "a.bias", "b.weight"]));
        assert_eq!(found, [("a".to_owned(), 0..4), ("b".to_owned(), 4..6)]);
        let many: Vec<String> = (0..20).map(|k| format!("block.{}.part.{k}.weight", k / 4)).collect();
        let found = layers(&layout(&many.iter().map(String::as_str).collect::<Vec<_>>()));
        assert_eq!(found.len(), 5);
        assert_eq!(found[4], ("block.4.part".to_owned(), 32..40));
        let flat: Vec<String> = (0..40).map(|k| format!("layer{k}.weight")).collect();
        let found = layers(&layout(&flat.iter().map(String::as_str).collect::<Vec<_>>()));
        assert_eq!((found.len(), found[9].1.end), (10, 80));
    }

    /// Random signs find the norms of a matrix's blocks: exactly where a block has one entry a column.
    #[test]
    fn blocks_of_a_known_matrix_are_found() {
        // Layers of two parameters; columns of each block have one entry.
        let matrix = [[3.0, 0.0, 1.0, 0.0], [0.0, 4.0, 0.0, 2.0], [1.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 5.0f32]];
        let mut sum = Sum::new(&layout(&["a.weight", "b.weight"]));
        for number in 0..sum.products() {
            let mut vector = rademacher(7, number as u32, 4);
            let place = sum.layers[number / DRAWS].1.clone();
            vector[..place.start].fill(0.0);
            vector[place.end..].fill(0.0);
            let product: Vec<f32> =
                matrix.iter().map(|row| row.iter().zip(&vector).map(|(a, b)| a * b).sum()).collect();
            assert_eq!(sum.told(), None);
            sum.add(number / DRAWS, number % DRAWS, &product);
        }
        let blocks = sum.told().unwrap();
        for (found, exact) in blocks.norms.iter().zip([5.0, 5.0f32.sqrt(), 5.0f32.sqrt(), 5.0]) {
            assert!((found - exact).abs() < 1e-6, "{found} for {exact}");
        }
        assert!(blocks.error < 1e-9);
    }

    /// On average over draws they are unbiased on any symmetric matrix.
    #[test]
    fn squares_of_blocks_are_unbiased() {
        let size = 8;
        let entry = |i: usize, j: usize| ((i * j + i + j) as f32 * 0.7).sin();
        let layout = layout(&["a.weight", "a.bias", "b.weight", "b.bias"]);
        let mut means = [0.0; 4];
        let runs = 2000;
        for run in 0..runs {
            let mut sum = Sum::new(&layout);
            for number in 0..sum.products() {
                let mut vector = rademacher(run, number as u32, size);
                let place = sum.layers[number / DRAWS].1.clone();
                vector[..place.start].fill(0.0);
                vector[place.end..].fill(0.0);
                let product: Vec<f32> = (0..size).map(|i| (0..size).map(|j| entry(i, j) * vector[j]).sum()).collect();
                sum.add(number / DRAWS, number % DRAWS, &product);
            }
            means.iter_mut().zip(&sum.squares).for_each(|(mean, square)| *mean += square / runs as f64);
        }
        for (k, mean) in means.into_iter().enumerate() {
            let (row, column) = (4 * (k / 2), 4 * (k % 2));
            let exact: f32 = (0..16).map(|at| entry(row + at / 4, column + at % 4).powi(2)).sum();
            assert!((mean / f64::from(exact) - 1.0).abs() < 0.03, "{mean} for {exact}");
        }
    }
}
