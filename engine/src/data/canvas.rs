//! Pictures of other sizes, and drawings as a data set has them.

use crate::fewshot::Raw;
use crate::numeric::{deviation, mean};

/// A picture `[channels, height, width]` in another shape: area means where it shrinks, the nearest pixel where it grows;
/// colours become grey by their luma, grey becomes three equal channels.
#[must_use]
pub fn resized(picture: &[u8], from: [usize; 3], to: [usize; 3]) -> Vec<u8> {
    let [channels, height, width] = from;
    if from == to {
        return picture.to_vec();
    }
    let plane = height * width;
    let mut planes: Vec<Vec<u8>> = picture.chunks_exact(plane.max(1)).take(channels).map(<[u8]>::to_vec).collect();
    if to[0] == 1 && planes.len() >= 3 {
        let luma = |at: usize| {
            let [red, green, blue] = [0, 1, 2].map(|channel: usize| f64::from(planes[channel][at]));
            (0.299 * red + 0.587 * green + 0.114 * blue + 0.5) as u8
        };
        planes = vec![(0..plane).map(luma).collect()];
    }
    (0..to[0])
        .flat_map(|channel| scaled(&planes[channel.min(planes.len() - 1)], [height, width], [to[1], to[2]]))
        .collect()
}

/// Most pixels of a picture that is read.
const MOST: usize = 40_000_000;
/// What counts as ink, and how even paper is.
const INK: u8 = 64;
const EVEN: f64 = 24.0;

/// How drawings lie in the pictures of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lie {
    /// The longer side of the ink's box, in pixels.
    pub side: usize,
    /// Whether the ink's centre of mass is in the middle, not that of its box.
    pub by_mass: bool,
    /// Whether ink is dark on light paper.
    pub dark: bool,
}

impl Lie {
    /// Ink light on dark in a box of 22 of 28 pixels, as the letters of the packs are drawn.
    #[must_use]
    pub const fn of_letters(shape: [usize; 3]) -> Self {
        Self { side: shape[1] * 22 / 28, by_mass: false, dark: false }
    }

    /// That of grey pictures `[1, height, width]`: the median side of their ink, and whichever centre is the steadier.
    #[must_use]
    pub fn of<'a>(pictures: impl Iterator<Item = &'a [u8]>, shape: [usize; 3]) -> Self {
        let [_, height, width] = shape;
        let (mut sides, mut papers) = (Vec::new(), Vec::new());
        let mut centres = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
        for picture in pictures {
            papers.push(paper(picture, width).0);
            let Some(ink) = Ink::of(picture, [height, width]) else { continue };
            sides.push(ink.longer());
            let middle = [0, 1].map(|axis| (ink.bounds[axis][0] + ink.bounds[axis][1]) as f64 / 2.0);
            for (centres, centre) in centres.iter_mut().zip([middle, ink.mass]) {
                centres.iter_mut().zip(centre).for_each(|(axis, place)| axis.push(place));
            }
        }
        crate::numeric::sort(&mut sides);
        let [boxes, masses] = centres.map(|[rows, columns]| deviation(&rows) + deviation(&columns));
        let side = sides.get(sides.len() / 2).copied().unwrap_or(height * 22 / 28);
        Self { side: side.max(1), by_mass: masses < boxes, dark: mean(&papers) > 127.5 }
    }
}

/// A picture as a canvas has it, in the shape that a network sees: `[channels, height, width]`. Grey networks see ink on
/// paper as it lies in their data set; other pictures as a whole.
///
/// # Errors
/// It is none, or too large.
pub fn from_canvas(raw: &Raw, bytes: &[u8], shape: [usize; 3], lie: Lie) -> Result<Vec<u8>, String> {
    let Raw { width, height, channels, .. } = *raw;
    let count = width.checked_mul(height).filter(|&count| count > 0 && matches!(channels, 1 | 3 | 4));
    let count = count.ok_or("A picture needs pixels, grey, RGB or RGBA")?;
    if count > MOST {
        return Err(format!(
            "A picture of {width} × {height} pixels is too large: at most {} million are read",
            MOST / 1_000_000
        ));
    }
    if bytes.len() != count * channels {
        return Err(format!(
            "A picture of {width} × {height} pixels has {} bytes, not {}",
            count * channels,
            bytes.len()
        ));
    }
    let colours = if channels == 4 { 3 } else { channels };
    let mut planes = Vec::with_capacity(count * colours);
    for channel in 0..colours {
        planes.extend(bytes.chunks_exact(channels).map(|pixel| match channels {
            4 => {
                let cover = u32::from(pixel[3]);
                ((u32::from(pixel[channel]) * cover + 255 * (255 - cover) + 127) / 255) as u8
            }
            _ => pixel[channel],
        }));
    }
    let from = [colours, height, width];
    if shape[0] != 1 {
        return Ok(resized(&planes, from, shape));
    }
    let grey = resized(&planes, from, [1, height, width]);
    Ok(drawing(&grey, [height, width], shape, lie).unwrap_or_else(|| resized(&grey, [1, height, width], shape)))
}

/// Mean and deviation of a picture's border.
fn paper(grey: &[u8], width: usize) -> (f64, f64) {
    let edge = |at: usize| {
        at.is_multiple_of(width) || (at + 1).is_multiple_of(width) || at < width || at + width >= grey.len()
    };
    let border: Vec<f64> = (0..grey.len()).filter(|&at| edge(at)).map(|at| f64::from(grey[at])).collect();
    (mean(&border), if border.len() > 1 { deviation(&border) } else { 0.0 })
}

/// The ink of a picture.
struct Ink {
    /// How much of it at each pixel, 0 to 255.
    amount: Vec<u8>,
    /// First row and the one after the last; the same of columns.
    bounds: [[usize; 2]; 2],
    /// Row and column of its centre of mass, in pixels from the upper left corner.
    mass: [f64; 2],
}

impl Ink {
    /// None of a picture without even paper, or without ink.
    fn of(grey: &[u8], [height, width]: [usize; 2]) -> Option<Self> {
        let (paper, deviation) = paper(grey, width);
        if deviation > EVEN {
            return None;
        }
        let amount: Vec<u8> = grey.iter().map(|&pixel| (f64::from(pixel) - paper).abs().min(255.0) as u8).collect();
        let mut bounds = [[height, 0], [width, 0]];
        let (mut mass, mut all) = ([0.0; 2], 0.0);
        for (at, &ink) in amount.iter().enumerate().filter(|(_, ink)| **ink >= INK) {
            all += f64::from(ink);
            for (axis, place) in [at / width, at % width].into_iter().enumerate() {
                bounds[axis] = [bounds[axis][0].min(place), bounds[axis][1].max(place + 1)];
                mass[axis] += f64::from(ink) * (place as f64 + 0.5);
            }
        }
        (all > 0.0).then(|| Self { amount, bounds, mass: mass.map(|sum| sum / all) })
    }

    fn sides(&self) -> [usize; 2] {
        self.bounds.map(|[first, end]| end - first)
    }

    fn longer(&self) -> usize {
        self.sides().into_iter().max().unwrap_or(1)
    }
}

/// Ink on even paper, scaled and placed as it lies in a data set. None of a picture without such paper, or without ink.
fn drawing(grey: &[u8], size: [usize; 2], shape: [usize; 3], lie: Lie) -> Option<Vec<u8>> {
    let ink = Ink::of(grey, size)?;
    let [[top, bottom], [left, right]] = ink.bounds;
    let cut: Vec<u8> =
        (top..bottom).flat_map(|row| ink.amount[row * size[1] + left..row * size[1] + right].to_vec()).collect();
    let most = cut.iter().copied().max().unwrap_or(255).max(1);
    let longer = ink.longer();
    let room = [shape[1], shape[2]];
    let fit = |axis: usize| ((ink.sides()[axis] * lie.side + longer / 2) / longer).clamp(1, room[axis]);
    let small = [fit(0), fit(1)];
    let scaled = scaled(&cut, ink.sides(), small);
    let corner = [0, 1].map(|axis| {
        let middle = (room[axis] - small[axis]) / 2;
        if !lie.by_mass {
            return middle;
        }
        let within = (ink.mass[axis] - ink.bounds[axis][0] as f64) / ink.sides()[axis] as f64 * small[axis] as f64;
        ((room[axis] as f64 / 2.0 - within).round().max(0.0) as usize).min(room[axis] - small[axis])
    });
    let mut picture = vec![if lie.dark { 255 } else { 0 }; shape[1] * shape[2]];
    for (row, line) in scaled.chunks_exact(small[1]).enumerate() {
        let first = (corner[0] + row) * shape[2] + corner[1];
        for (to, &from) in picture[first..first + small[1]].iter_mut().zip(line) {
            let light = (u32::from(from) * 255 / u32::from(most)).min(255) as u8;
            *to = if lie.dark { 255 - light } else { light };
        }
    }
    Some(picture)
}

/// One plane, by the mean over what each new pixel covers.
fn scaled(plane: &[u8], [height, width]: [usize; 2], [rows, columns]: [usize; 2]) -> Vec<u8> {
    let covers = |at: usize, new: usize, old: usize| {
        let first = at * old / new;
        first..((at + 1) * old).div_ceil(new).max(first + 1).min(old)
    };
    let mut out = Vec::with_capacity(rows * columns);
    for row in 0..rows {
        for column in 0..columns {
            let (mut sum, mut count) = (0_u64, 0_u64);
            for y in covers(row, rows, height) {
                for x in covers(column, columns, width) {
                    sum += u64::from(plane[y * width + x]);
                    count += 1;
                }
            }
            out.push(((sum + count / 2) / count.max(1)) as u8);
        }
    }
    out
}

#[cfg(test)]
#[test]
fn pictures_shrink_by_means_and_turn_grey() {
    assert_eq!(resized(&[0, 100, 200, 100], [1, 2, 2], [1, 1, 1]), [100]);
    assert_eq!(resized(&[7], [1, 1, 1], [3, 2, 2]), [7; 12]);
    assert_eq!(resized(&[255, 0, 0], [3, 1, 1], [1, 1, 1]), [76]);
    assert_eq!(resized(&[1, 2, 3, 4], [1, 2, 2], [1, 2, 2]), [1, 2, 3, 4]);
}

#[cfg(test)]
#[test]
fn a_drawing_on_white_becomes_a_letter_on_black() {
    use crate::protocol::Blob;
    let lie = Lie::of_letters([1, 28, 28]);
    let raw = Raw { width: 100, height: 80, channels: 4, pixels: Blob(0) };
    // A bar of black ink, 10 x 40, transparent paper.
    let inked = |at: usize| (20..60).contains(&(at / 100)) && (70..80).contains(&(at % 100));
    let bytes: Vec<u8> = (0..8000).flat_map(|at| if inked(at) { [0, 0, 0, 255] } else { [9, 9, 9, 0] }).collect();
    let picture = from_canvas(&raw, &bytes, [1, 28, 28], lie).unwrap();
    let lit: Vec<usize> = (0..784).filter(|&at| picture[at] == 255).collect();
    assert_eq!((lit.len(), lit[0], lit[lit.len() - 1]), (22 * 6, 3 * 28 + 11, 24 * 28 + 16));
    assert!(
        from_canvas(&Raw { width: 9000, height: 9000, ..raw.clone() }, &[], [1, 28, 28], lie)
            .unwrap_err()
            .contains("too large")
    );
    assert!(from_canvas(&raw, &[0; 3], [1, 28, 28], lie).unwrap_err().contains("has 32000 bytes"));
    // A photograph's border is not even: it is seen as a whole.
    let raw = Raw { width: 56, height: 56, channels: 1, pixels: Blob(0) };
    let photo: Vec<u8> = (0..3136).map(|at| ((at % 56) * 4) as u8).collect();
    assert_eq!(from_canvas(&raw, &photo, [1, 28, 28], lie).unwrap()[0], 2);
}

#[cfg(test)]
#[test]
fn drawings_come_to_lie_as_in_a_data_set() {
    // An L of 6 x 4 pixels, its centre of mass in the middle of 12 x 12, dark on light.
    let mut picture = vec![255_u8; 144];
    for at in (3..9).map(|row| row * 12 + 4).chain((5..8).map(|column| 8 * 12 + column)) {
        picture[at] = 0;
    }
    let mut moved = vec![255_u8; 144];
    (0..144 - 25).filter(|&at| picture[at] == 0).for_each(|at| moved[at + 1] = 0);
    let shape = [1, 12, 12];
    let lie = Lie::of([&picture[..], &picture[..]].into_iter(), shape);
    assert_eq!((lie.side, lie.dark), (6, true));
    let by_box = Lie { by_mass: false, ..lie };
    let raw = crate::fewshot::Raw { width: 12, height: 12, channels: 1, pixels: crate::protocol::Blob(0) };
    // Wherever it is drawn, it lies in the middle, as dark and as large.
    let [here, there] = [&picture, &moved].map(|drawn| from_canvas(&raw, drawn, shape, by_box).unwrap());
    assert_eq!(here, there);
    assert_eq!(here.iter().filter(|&&pixel| pixel == 0).count(), 9);
    let by_mass = from_canvas(&raw, &moved, shape, Lie { by_mass: true, ..lie }).unwrap();
    let ink = Ink::of(&by_mass, [12, 12]).unwrap();
    assert!(ink.mass.iter().all(|place| (place - 6.0).abs() <= 0.5), "{:?}", ink.mass);
}
