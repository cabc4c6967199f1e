//! Pictures of other sizes.

use engine::fewshot::Raw;
use engine::numeric::{deviation, mean};

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

/// `[N, channels, height, width]` to `[N, height, width, channels]`.
pub fn channels_last(pixels: Vec<u8>, [channels, height, width]: [usize; 3]) -> Vec<u8> {
    let plane = height * width;
    if channels == 1 {
        return pixels;
    }
    let pictures = pixels.chunks_exact((channels * plane).max(1));
    pictures.flat_map(|p| (0..plane).flat_map(move |at| (0..channels).map(move |c| p[c * plane + at]))).collect()
}

/// The forms in which own pictures are kept: RGB, as photographs are seen, and grey, as letters are.
pub const PHOTO: [usize; 3] = crate::encoder::squeezenet::SHAPE;
pub const LETTER: [usize; 3] = [1, 28, 28];
/// Most pixels of a picture that is read.
const MOST: usize = 40_000_000;
/// Side of the box, of 28, into which a drawing's ink is brought, as the letters are drawn.
const BOX: usize = 22;
/// What counts as ink, and how even paper is.
const INK: u8 = 64;
const EVEN: f64 = 24.0;

/// A picture as a canvas has it, in the shape that an encoder sees: `[channels, height, width]`. Grey encoders see ink on
/// paper as letters are drawn, light on dark, as large as these; other pictures as a whole.
pub fn from_canvas(raw: &Raw, bytes: &[u8], shape: [usize; 3]) -> Result<Vec<u8>, String> {
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
    Ok(drawing(&grey, [height, width], shape).unwrap_or_else(|| resized(&grey, [1, height, width], shape)))
}

/// Ink on even paper: light on dark, its box scaled and centred. None of a picture without such paper, or without ink.
fn drawing(grey: &[u8], [height, width]: [usize; 2], shape: [usize; 3]) -> Option<Vec<u8>> {
    let edge = |at: usize| {
        at.is_multiple_of(width) || (at + 1).is_multiple_of(width) || at < width || at >= grey.len() - width
    };
    let border: Vec<f64> = (0..grey.len()).filter(|&at| edge(at)).map(|at| f64::from(grey[at])).collect();
    let paper = mean(&border);
    if border.len() > 1 && deviation(&border) > EVEN {
        return None;
    }
    let ink: Vec<u8> = grey.iter().map(|&pixel| (f64::from(pixel) - paper).abs().min(255.0) as u8).collect();
    let inked = |at: &usize| ink[*at] >= INK;
    let (mut rows, mut columns) = ([height, 0], [width, 0]);
    for at in (0..ink.len()).filter(inked) {
        let (row, column) = (at / width, at % width);
        rows = [rows[0].min(row), rows[1].max(row + 1)];
        columns = [columns[0].min(column), columns[1].max(column + 1)];
    }
    let (high, wide) = (rows[1].checked_sub(rows[0])?, columns[1].checked_sub(columns[0])?);
    let cut: Vec<u8> =
        (rows[0]..rows[1]).flat_map(|row| ink[row * width + columns[0]..row * width + columns[1]].to_vec()).collect();
    let most = ink.iter().copied().max().unwrap_or(255).max(1);
    let side = shape[1] * BOX / 28;
    let fit = |length: usize| (length * side + high.max(wide) / 2).div_euclid(high.max(wide)).max(1);
    let small = [fit(high), fit(wide)];
    let scaled = scaled(&cut, [high, wide], small);
    let mut picture = vec![0; shape[1] * shape[2]];
    let corner = [(shape[1] - small[0]) / 2, (shape[2] - small[1]) / 2];
    for (row, line) in scaled.chunks_exact(small[1]).enumerate() {
        let first = (corner[0] + row) * shape[2] + corner[1];
        for (to, &from) in picture[first..first + small[1]].iter_mut().zip(line) {
            *to = (u32::from(from) * 255 / u32::from(most)).min(255) as u8;
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
    use engine::protocol::Blob;
    let raw = Raw { width: 100, height: 80, channels: 4, pixels: Blob(0) };
    // A bar of black ink, 10 x 40, transparent paper.
    let inked = |at: usize| (20..60).contains(&(at / 100)) && (70..80).contains(&(at % 100));
    let bytes: Vec<u8> = (0..8000).flat_map(|at| if inked(at) { [0, 0, 0, 255] } else { [9, 9, 9, 0] }).collect();
    let picture = from_canvas(&raw, &bytes, [1, 28, 28]).unwrap();
    let lit: Vec<usize> = (0..784).filter(|&at| picture[at] == 255).collect();
    assert_eq!((lit.len(), lit[0], lit[lit.len() - 1]), (22 * 6, 3 * 28 + 11, 24 * 28 + 16));
    assert!(
        from_canvas(&Raw { width: 9000, height: 9000, ..raw.clone() }, &[], [1, 28, 28])
            .unwrap_err()
            .contains("too large")
    );
    assert!(from_canvas(&raw, &[0; 3], [1, 28, 28]).unwrap_err().contains("has 32000 bytes"));
    // A photograph's border is not even: it is seen as a whole.
    let raw = Raw { width: 56, height: 56, channels: 1, pixels: Blob(0) };
    let photo: Vec<u8> = (0..3136).map(|at| ((at % 56) * 4) as u8).collect();
    assert_eq!(from_canvas(&raw, &photo, [1, 28, 28]).unwrap()[0], 2);
}
