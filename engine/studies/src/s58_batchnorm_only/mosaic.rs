//! The random filters of a network as pictures, and which of them its norms have switched off.

use engine::figure::{Figure, Mark, Tile, brief};
use engine::model::ParamLayout;

/// Pixels of a filter's side, and between two filters.
const SIDE: usize = 12;
const GAP: usize = 2;
/// Weights along a kernel's side.
const KERNEL: usize = 3;
/// Share of a layer's largest weight from which on colours are full: few are as large.
const FULL: f32 = 0.6;
/// What lies between filters.
const BETWEEN: [u8; 3] = [104, 110, 120];
/// Weights that subtract most, that are 0, and that add most: of filters that are on, and of those that are off.
const ON: [[u8; 3]; 3] = [[25, 85, 200], [250, 250, 250], [225, 105, 15]];
const OFF: [[u8; 3]; 3] = [[120, 126, 136], [136, 142, 152], [152, 158, 168]];
/// The cross over those that training has switched off.
const CROSS: [u8; 3] = [240, 242, 246];

/// A channel's weights, and its scale before training and after.
struct Channel<'a> {
    weights: &'a [f32],
    scales: [f32; 2],
}

impl Channel<'_> {
    /// Whether its scale was near 0 before, and is after.
    fn off(&self, near: f64) -> [bool; 2] {
        self.scales.map(|scale| f64::from(scale.abs()) < near)
    }

    /// Kernels in a square, row by row, each weight as large as there is room.
    fn colour(&self, largest: f32, near: f64, [row, column]: [usize; 2]) -> [u8; 3] {
        let kernels = self.weights.len() / (KERNEL * KERNEL);
        let along = (1..).find(|along| along * along >= kernels).unwrap_or(1);
        let zoom = (SIDE / (KERNEL * along)).max(1);
        let [row, column] = [row, column].map(|place| place / zoom);
        let kernel = row / KERNEL * along + column / KERNEL;
        let place = kernel * KERNEL * KERNEL + row % KERNEL * KERNEL + column % KERNEL;
        let Some(&weight) = self.weights.get(place).filter(|_| column < KERNEL * along) else { return BETWEEN };
        let [low, middle, high] = if self.off(near)[1] { OFF } else { ON };
        let (end, share) = if weight < 0.0 { (low, -weight / largest) } else { (high, weight / largest) };
        std::array::from_fn(|at| {
            let [from, to] = [middle, end].map(|colour| f32::from(colour[at]));
            (from + (share / FULL).min(1.0) * (to - from)).round() as u8
        })
    }
}

/// The channels of each convolution that has a norm of its own.
fn layers<'a>(layout: &ParamLayout, start: &[f32], end: &'a [f32]) -> Vec<Vec<Channel<'a>>> {
    let find = |name: String| layout.entries().iter().find(|entry| entry.name == name);
    let layer = |place: usize| {
        let [conv, gamma] = [find(format!("convs.{place}.weight"))?, find(format!("norms.{place}.gamma"))?];
        let size = conv.shape.iter().skip(1).product::<usize>();
        let weights = end[conv.offset..].chunks(size).take(gamma.shape[0]);
        let channel = |(weights, place): (&'a [f32], usize)| Channel { weights, scales: [start[place], end[place]] };
        Some(weights.zip(gamma.offset..).map(channel).collect())
    };
    (0..).map_while(layer).collect()
}

/// A layer's filters as one picture.
fn tile(channels: &[Channel<'_>], near: f64, name: &str) -> Tile {
    let along = (1..).find(|along| along * along >= channels.len()).unwrap_or(1);
    let (pitch, side) = (SIDE + GAP, along * (SIDE + GAP) - GAP);
    let all = || channels.iter().flat_map(|channel| channel.weights);
    let largest = all().fold(f32::MIN_POSITIVE, |largest, weight| largest.max(weight.abs()));
    let pixel = |at: usize| {
        let [row, column] = [at / side, at % side];
        let inside = [row % pitch, column % pitch];
        let Some(channel) = channels.get(row / pitch * along + column / pitch) else { return BETWEEN };
        let crossed = inside[0] == inside[1] || inside[0] + inside[1] == SIDE - 1;
        match channel.off(near) {
            _ if inside.iter().any(|place| *place >= SIDE) => BETWEEN,
            [false, true] if crossed => CROSS,
            _ => channel.colour(largest, near, inside),
        }
    };
    let off = channels.iter().filter(|channel| channel.off(near)[1]).count();
    Tile {
        width: side,
        height: side,
        channels: 3,
        pixels: (0..side * side).flat_map(pixel).collect(),
        caption: format!("{name}: {off} of {}", channels.len()),
        ..Tile::default()
    }
}

/// The convolutions of a residual network, one picture each; a scale of less than `near` in size switches its channel off.
pub fn picture(network: &str, layout: &ParamLayout, start: &[f32], end: &[f32], near: f64) -> Figure {
    let layers = layers(layout, start, end);
    let name = |layer: usize| match layer {
        0 => "stem".to_owned(),
        _ => format!("{}{}", layer.div_ceil(2), if layer % 2 == 1 { 'a' } else { 'b' }),
    };
    let tiles: Vec<Tile> = layers.iter().enumerate().map(|(place, layer)| tile(layer, near, &name(place))).collect();
    let count = |wanted: [bool; 2]| layers.iter().flatten().filter(|channel| channel.off(near) == wanted).count();
    let [new, back] = [[false, true], [true, false]].map(count);
    let (off, all) = (new + count([true, true]), layers.iter().flatten().count());
    let near = brief(near);
    Figure {
        meaning: format!(
            "{network}, norms alone, first seed: filters of the stem and of both convolutions of each block, which stay as they were \
             drawn; orange adds, blue subtracts. Grey: {off} of {all} scales have ended below {near} in magnitude. Crossed: the {new} of \
             these that did not begin there. {back} more did, and are back on."
        ),
        value: format!("{off} of {all} off"),
        alt: format!(
            "Filters whose scale has ended below {near} in magnitude, by layer: {}.",
            tiles.iter().map(|tile| tile.caption.as_str()).collect::<Vec<_>>().join(", ")
        ),
        marks: vec![Mark::Tiles { tiles }],
        ..Figure::default()
    }
}

#[cfg(test)]
mod tests {
    use engine::model::Init;

    use super::*;

    /// Of four filters the first stays on, the second begins and ends off, the third is switched off, the fourth on.
    #[test]
    fn filters_that_are_off_are_grey_and_counted() {
        let mut layout = ParamLayout::of("net");
        layout.push("convs.0.weight", &[4, 1, KERNEL, KERNEL], Init::Constant(0.0));
        layout.push("norms.0.gamma", &[4], Init::Constant(0.0));
        let theta = |scales: [f32; 4]| -> Vec<f32> { [[0.5, -0.5, 0.25].repeat(12), scales.to_vec()].concat() };
        let (start, end) = (theta([0.5, 0.01, 0.5, 0.04]), theta([0.5, -0.02, -0.03, -0.4]));
        let figure = picture("a network", &layout, &start, &end, 0.05);
        assert!(
            figure.meaning.contains("2 of 4 scales") && figure.meaning.contains("the 1 of these"),
            "{}",
            figure.meaning
        );
        assert!(figure.meaning.contains("1 more did"), "{}", figure.meaning);
        let Mark::Tiles { tiles } = &figure.marks[0] else { panic!("pictures") };
        assert_eq!((tiles.len(), tiles[0].caption.as_str(), tiles[0].width), (1, "stem: 2 of 4", 2 * SIDE + GAP));
        let pixel = |channel: usize, [row, column]: [usize; 2]| {
            let [row, column] = [channel / 2 * (SIDE + GAP) + row, channel % 2 * (SIDE + GAP) + column];
            &tiles[0].pixels[3 * (row * tiles[0].width + column)..][..3]
        };
        // A weight is four pixels wide; of each row the first adds most, the second subtracts as much.
        for (channel, colours) in [(0, ON), (1, OFF), (2, OFF), (3, ON)] {
            assert_eq!([pixel(channel, [1, 6]), pixel(channel, [1, 3])], [colours[0], colours[2]], "{channel}");
            assert_eq!(pixel(channel, [3, 3]), if channel == 2 { CROSS } else { colours[2] }, "{channel}");
        }
        assert_eq!([pixel(0, [0, SIDE]), pixel(0, [SIDE, 0])], [BETWEEN; 2]);
    }
}
