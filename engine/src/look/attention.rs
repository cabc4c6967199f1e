//! Attention maps: what each head reads.

use std::collections::BTreeMap;

use super::picture;
use crate::executor::Executor;
use crate::figure::{Figure, Grid, Mark, Tile};
use crate::graph::numel;
use crate::train::{Feed, Trainer, Value};

/// The figure's id.
pub const ID: &str = "attention";

/// One tile a head and layer. Images: attention received by each token, over the picture. Text: rows attend to columns.
pub fn figure<E: Executor>(trainer: &Trainer<E>, row: u32, values: &BTreeMap<String, Value>) -> Option<Figure> {
    let mut tiles = Vec::new();
    let mut over_image = false;
    for (name, value) in values {
        let Some(layer) = name.strip_prefix("attention.").and_then(|layer| layer.parse::<usize>().ok()) else {
            continue;
        };
        let &[_, heads, queries, keys] = value.shape.as_slice() else { continue };
        for (head, map) in value.numbers.chunks_exact(numel(&[queries, keys]).max(1)).take(heads).enumerate() {
            let caption = format!("layer {} head {}", layer + 1, head + 1);
            match received(trainer, row, map, keys) {
                Some(tile) => {
                    over_image = true;
                    tiles.push(Tile { caption, ..tile });
                }
                None => {
                    let heat = Grid { width: keys, height: queries, values: map.to_vec() };
                    let pixels = vec![0; keys * queries];
                    tiles.push(Tile {
                        width: keys,
                        height: queries,
                        channels: 1,
                        pixels,
                        caption,
                        heat: Some(heat),
                        ..Tile::default()
                    });
                }
            }
        }
    }
    if tiles.is_empty() {
        return None;
    }
    let meaning = if over_image {
        "attention that each part of the image receives, mean over the tokens that ask"
    } else {
        "row: the position that asks; column: the position that answers"
    };
    Some(Figure {
        id: ID.to_owned(),
        title: "Attention".to_owned(),
        meaning: meaning.to_owned(),
        value: format!("{} maps", tiles.len()),
        alt: format!("{} attention maps of one test example, one a head and layer.", tiles.len()),
        marks: vec![Mark::Tiles { tiles }],
        ..Figure::default()
    })
}

/// The mean over queries, over the image; a class token is asked alone and not drawn.
fn received<E: Executor>(trainer: &Trainer<E>, row: u32, map: &[f32], keys: usize) -> Option<Tile> {
    let Feed::Images { shape: [_, height, width], .. } = *trainer.feed() else { return None };
    let (skip, [rows, columns]) = match picture::grid(keys, height, width) {
        Some(grid) => (0, grid),
        None => (1, picture::grid(keys.checked_sub(1)?, height, width)?),
    };
    let queries: Vec<&[f32]> =
        if skip == 1 { map.chunks_exact(keys).take(1).collect() } else { map.chunks_exact(keys).collect() };
    let values =
        (skip..keys).map(|key| queries.iter().map(|query| query[key]).sum::<f32>() / queries.len() as f32).collect();
    let mut tile = picture::image(trainer.data(), row as usize)?;
    tile.heat = Some(Grid { width: columns, height: rows, values });
    Some(tile)
}
