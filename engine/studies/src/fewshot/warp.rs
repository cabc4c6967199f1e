//! Pictures turned, scaled, sheared, shifted and bent at random: without it, one example of a letter is nearly enough.

use engine::rng::Rng;

/// Control points of the elastic warp along a side.
const GRID: usize = 4;
/// At strength 1: largest rotation in radians (20 degrees), scale from 0.75 to 1.25, shear, shift and the standard deviation
/// of the elastic warp as shares of the side.
const ROTATION: f64 = 20.0 * std::f64::consts::PI / 180.0;
const SCALE: f64 = 0.25;
const SHEAR: f64 = 0.3;
const SHIFT: f64 = 0.1;
const ELASTIC: f64 = 0.03;

/// A warp: where each pixel of the result comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Warp {
    /// Rows of the matrix from result to source, about the middle.
    matrix: [[f64; 2]; 2],
    /// Shift in shares of the side.
    shift: [f64; 2],
    /// Displacement at each control point, in shares of the side.
    elastic: [[f64; 2]; GRID * GRID],
}

impl Warp {
    /// A random warp of that strength.
    #[must_use]
    pub fn draw(strength: f64, rng: &mut Rng) -> Self {
        let mut within = |most: f64| strength * most * (2.0 * f64::from(rng.uniform()) - 1.0);
        let (angle, shear, shift) = (within(ROTATION), within(SHEAR), [within(SHIFT), within(SHIFT)]);
        let scales = [1.0 + within(SCALE), 1.0 + within(SCALE)].map(|scale: f64| 1.0 / scale.max(0.2));
        let (sin, cos) = (libm::sin(angle), libm::cos(angle));
        // Shear, then scale, of the rotated coordinates.
        let matrix =
            [[scales[0] * (cos + shear * sin), scales[0] * (shear * cos - sin)], [scales[1] * sin, scales[1] * cos]];
        let mut bend = || strength * ELASTIC * f64::from(rng.normal());
        let elastic = std::array::from_fn(|_| [bend(), bend()]);
        Self { matrix, shift, elastic }
    }

    /// Applies it to a picture `[channels, height, width]`; what comes from outside is as the picture's first pixel.
    pub fn apply(&self, picture: &[u8], [channels, height, width]: [usize; 3], into: &mut Vec<u8>) {
        let plane = height * width;
        let places: Vec<[f64; 2]> =
            (0..plane).map(|at| self.source([at % width, at / width], [width, height])).collect();
        for channel in picture.chunks_exact(plane.max(1)).take(channels) {
            let outside = f64::from(channel[0]);
            let pixel = |x: i64, y: i64| {
                let inside = x >= 0 && y >= 0 && x < width as i64 && y < height as i64;
                if inside { f64::from(channel[y as usize * width + x as usize]) } else { outside }
            };
            into.extend(places.iter().map(|&[x, y]| {
                let (left, top) = (libm::floor(x), libm::floor(y));
                let (right, low) = (x - left, y - top);
                let (column, row) = (left as i64, top as i64);
                let upper = (1.0 - right) * pixel(column, row) + right * pixel(column + 1, row);
                let lower = (1.0 - right) * pixel(column, row + 1) + right * pixel(column + 1, row + 1);
                ((1.0 - low) * upper + low * lower + 0.5) as u8
            }));
        }
    }

    /// Where a pixel comes from, in pixels.
    fn source(&self, [x, y]: [usize; 2], [width, height]: [usize; 2]) -> [f64; 2] {
        let [u, v] = [(x, width), (y, height)].map(|(at, side)| (at as f64 + 0.5) / side as f64);
        let bend = self.bend(u, v);
        let (u, v) = (u - 0.5, v - 0.5);
        let [[a, b], [c, d]] = self.matrix;
        let place = [a * u + b * v + self.shift[0] + bend[0], c * u + d * v + self.shift[1] + bend[1]];
        [(place[0] + 0.5) * width as f64 - 0.5, (place[1] + 0.5) * height as f64 - 0.5]
    }

    /// The elastic displacement, linear between control points.
    fn bend(&self, u: f64, v: f64) -> [f64; 2] {
        let last = (GRID - 1) as f64;
        let (x, y) = (u * last, v * last);
        let (column, row) = ((x as usize).min(GRID - 2), (y as usize).min(GRID - 2));
        let (right, low) = (x - column as f64, y - row as f64);
        std::array::from_fn(|axis| {
            let at = |row: usize, column: usize| self.elastic[row * GRID + column][axis];
            let upper = (1.0 - right) * at(row, column) + right * at(row, column + 1);
            let lower = (1.0 - right) * at(row + 1, column) + right * at(row + 1, column + 1);
            (1.0 - low) * upper + low * lower
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::rng::Stream;

    #[test]
    fn no_strength_changes_nothing() {
        let picture: Vec<u8> = (0..2 * 28 * 28).map(|at| (at * 7 % 256) as u8).collect();
        let mut out = Vec::new();
        Warp::draw(0.0, &mut Rng::new(1, Stream::Augment, 0)).apply(&picture, [2, 28, 28], &mut out);
        assert_eq!(out, picture);
    }

    #[test]
    fn a_square_moves_but_stays_about_as_large() {
        let [side, shape] = [28, 1].map(|n: usize| n);
        let picture: Vec<u8> = (0..side * side)
            .map(|at| if (9..19).contains(&(at % side)) && (9..19).contains(&(at / side)) { 255 } else { 0 })
            .collect();
        let mut areas = Vec::new();
        for index in 0..200 {
            let mut out = Vec::new();
            Warp::draw(1.0, &mut Rng::new(1, Stream::Augment, index)).apply(&picture, [shape, side, side], &mut out);
            assert_eq!(out.len(), side * side);
            areas.push(out.iter().map(|&pixel| f64::from(pixel) / 255.0).sum::<f64>());
        }
        let mean = areas.iter().sum::<f64>() / 200.0;
        assert!((85.0..120.0).contains(&mean), "{mean}");
        assert!(areas.iter().all(|&area| (30.0..190.0).contains(&area)), "{areas:?}");
    }
}
