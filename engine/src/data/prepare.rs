//! Cuts a data set to the sizes that a spec asks for, and brings numbers to unit scale.

use std::ops::Range;

use super::{Attribute, Data, DataError, Images, Scaling, Table, Target, Values};
use crate::spec::{DataSpec, Projection};

impl Data {
    /// This set with the spec's number of training and test examples and its image side.
    ///
    /// Of sets with classes, each class keeps its share (largest remainders), evenly spaced; text and series keep their
    /// beginning. Asking for more than there is gives all.
    ///
    /// # Errors
    /// If the images would be enlarged.
    pub fn prepare(self, spec: &DataSpec) -> Result<Self, DataError> {
        let wanted = |range: &Range<usize>, count: usize| if count == 0 { range.len() } else { count.min(range.len()) };
        let (train, test) = (wanted(&self.train, spec.train), wanted(&self.test, spec.test));
        let cut = if (train, test) == (self.train.len(), self.test.len()) { self } else { self.cut(train, test) };
        match cut.values {
            Values::Images(images) if spec.size != 0 => {
                let values = Values::Images(shrink(images, spec.size, &cut.info.title)?);
                Ok(Self { values, ..cut })
            }
            values => Ok(Self { values, ..cut }),
        }
    }

    /// This set with the spec's projection of inputs and label noise.
    ///
    /// # Errors
    /// If examples are too large to be projected.
    pub(super) fn altered(self, spec: &DataSpec, seed: u64) -> Result<Self, DataError> {
        let data = match spec.projection {
            Projection::None => self,
            Projection::Pca => self.projected(spec.components, false)?,
            Projection::White => self.projected(spec.components, true)?,
        };
        Ok(data.mislabelled(spec.label_noise, seed))
    }

    fn cut(mut self, train: usize, test: usize) -> Self {
        let Some(labels) = self.labels() else {
            match &mut self.values {
                Values::Text(_) | Values::Series(_) => {
                    self.train.end = self.train.start + train;
                    self.test.end = self.test.start + test;
                    return self;
                }
                // Rows without classes: the first so many of each part.
                Values::Table(_) | Values::Images(_) => {
                    let rows: Vec<usize> = self.train.clone().take(train).chain(self.test.clone().take(test)).collect();
                    return self.select(&rows, train);
                }
            }
        };
        let classes = self.classes().len();
        let mut rows = spread_over_classes(labels, classes, self.train.clone(), train);
        rows.extend(spread_over_classes(labels, classes, self.test.clone(), test));
        self.select(&rows, train)
    }

    /// The rows given, the first `train` of them for training. Only for sets whose examples are single rows.
    pub(super) fn select(mut self, rows: &[usize], train: usize) -> Self {
        match &mut self.values {
            Values::Images(images) => {
                let length = images.shape.iter().product();
                images.pixels = pick(&images.pixels, length, rows);
                images.labels = pick(&images.labels, 1, rows);
                for Attribute { values, .. } in &mut images.attributes {
                    *values = pick(values, 1, rows);
                }
            }
            Values::Table(Table { columns, values, target, .. }) => {
                *values = pick(values, columns.len(), rows);
                match target {
                    Target::Classes { labels, .. } => *labels = pick(labels, 1, rows),
                    Target::Number { values, .. } => *values = pick(values, 1, rows),
                }
            }
            Values::Text(_) | Values::Series(_) => return self,
        }
        self.train = 0..train;
        self.test = train..rows.len();
        self
    }
}

/// The rows given, each of `length` values.
pub(super) fn pick<T: Copy>(values: &[T], length: usize, rows: &[usize]) -> Vec<T> {
    rows.iter().flat_map(|&row| &values[row * length..(row + 1) * length]).copied().collect()
}

/// `count` rows of a range, each class in its share, evenly spaced among the rows of the class: files are often sorted (by
/// writer, by day), and their first rows are no fair sample.
fn spread_over_classes(labels: &[u32], classes: usize, range: Range<usize>, count: usize) -> Vec<usize> {
    let mut sizes = vec![0_usize; classes];
    for row in range.clone() {
        sizes[labels[row] as usize] += 1;
    }
    let quota = shares(&sizes, count);
    let mut seen = vec![0_usize; classes];
    range
        .filter(|&row| {
            let class = labels[row] as usize;
            let place = seen[class];
            seen[class] += 1;
            // The quota's thresholds lie evenly over the class; a row is taken where one falls on it.
            (place + 1) * quota[class] / sizes[class] > place * quota[class] / sizes[class]
        })
        .collect()
}

/// Divides `count` (at most the sum) in proportion to `sizes`, by largest remainders; ties to the earlier.
pub(super) fn shares(sizes: &[usize], count: usize) -> Vec<usize> {
    let total = sizes.iter().sum::<usize>().max(1) as u128;
    let product = |size: usize| size as u128 * count as u128;
    let mut quota: Vec<usize> = sizes.iter().map(|&size| (product(size) / total) as usize).collect();
    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    crate::numeric::sort_by_key(&mut by_remainder, &|&class| std::cmp::Reverse(product(sizes[class]) % total));
    let missing = count - quota.iter().sum::<usize>().min(count);
    for &class in by_remainder.iter().take(missing) {
        quota[class] += 1;
    }
    quota
}

/// Scales square or oblong images down to `side x side`.
fn shrink(images: Images, side: usize, title: &str) -> Result<Images, DataError> {
    let [channels, height, width] = images.shape;
    if side > height.max(width) {
        let reason = format!("its images have {height}x{width} pixels; data.size can make them smaller, not {side}");
        return Err(DataError::new(title, reason));
    }
    let pixels = images
        .pixels
        .chunks_exact(height * width)
        .flat_map(|plane| area_average(plane, [height, width], [side, side]))
        .collect();
    Ok(Images { shape: [channels, side, side], pixels, ..images })
}

/// Resizes one plane: each new pixel is the mean of the old area that it covers.
pub(super) fn area_average(plane: &[u8], [height, width]: [usize; 2], [new_height, new_width]: [usize; 2]) -> Vec<u8> {
    if [height, width] == [new_height, new_width] {
        return plane.to_vec();
    }
    let (rows, columns) = (coverage(height, new_height), coverage(width, new_width));
    let mut resized = Vec::with_capacity(new_height * new_width);
    // In whole numbers, so that the same mean is rounded the same way everywhere: halves up.
    let all = height * width;
    for row in &rows {
        for column in &columns {
            let across = |&(y, wy): &(usize, usize)| -> usize {
                let sum: usize = column.iter().map(|&(x, wx)| usize::from(plane[y * width + x]) * wx).sum();
                sum * wy
            };
            let sum: usize = row.iter().map(across).sum();
            resized.push(((2 * sum + all) / (2 * all)).min(255) as u8);
        }
    }
    resized
}

/// For each of `new` cells along an axis: the old cells that it covers, with weights that sum to `old`.
fn coverage(old: usize, new: usize) -> Vec<Vec<(usize, usize)>> {
    (0..new)
        .map(|cell| {
            // In units of 1/new old cells.
            let (from, to) = (cell * old, (cell + 1) * old);
            let overlap = |i: usize| to.min((i + 1) * new) - from.max(i * new);
            (from / new..to.div_ceil(new)).map(|i| (i, overlap(i))).collect()
        })
        .collect()
}

/// A standard deviation at most this share of a column's largest value is that of rounding.
const CONSTANT: f64 = 1e-13;
/// Squares of numbers below this may be too small for f64.
const TINY: f64 = 1e-140;

/// Brings each column of `[rows, columns]` to mean 0 and standard deviation 1 over the rows `train`; only then are the
/// numbers rounded to f32, so that a large mean takes no digits from what varies. A constant column becomes 0.
pub(super) fn standardise(values: &[f64], columns: usize, train: Range<usize>) -> (Vec<f32>, Vec<Scaling>) {
    let mut standard = vec![0.0_f32; values.len()];
    let scale = |column: usize| {
        let raw = || values.iter().skip(column).step_by(columns).skip(train.start).take(train.len());
        let count = raw().count().max(1) as f64;
        let (low, high) =
            raw().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
        let mean = if low == high { low } else { raw().sum::<f64>() / count };
        let reach = (high - mean).max(mean - low);
        // Divided by something first only where squares would vanish.
        let unit = if reach > 0.0 && reach < TINY { reach } else { 1.0 };
        let std = (raw().map(|value| ((value - mean) / unit).powi(2)).sum::<f64>() / count).sqrt() * unit;
        let constant = std.is_nan() || std <= CONSTANT * low.abs().max(high.abs());
        Scaling { mean, std: if constant { 1.0 } else { std } }
    };
    let scaling: Vec<Scaling> = (0..columns).map(scale).collect();
    for (at, (standard, value)) in standard.iter_mut().zip(values).enumerate() {
        let Scaling { mean, std } = scaling[at % columns];
        let value = (value - mean) / std;
        *standard = value.clamp(-f64::from(f32::MAX), f64::from(f32::MAX)) as f32;
    }
    (standard, scaling)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Split, load, pack_file, read_pack_file};
    use crate::spec::{Content, DataSet};

    fn built_in(spec: &DataSpec) -> Data {
        load(spec, 1, Some(&read_pack_file(&pack_file(spec.set).unwrap()).unwrap())).unwrap()
    }

    #[test]
    fn fewer_examples_keep_the_shares_of_classes() {
        let spec = DataSpec { train: 100, test: 25, ..DataSpec::of(DataSet::Mnist) };
        let data = built_in(&spec);
        assert_eq!((data.train.clone(), data.test.clone(), data.info.available), (0..100, 100..125, 10_000));
        let labels = data.labels().unwrap();
        for class in 0..10 {
            assert_eq!(labels[..100].iter().filter(|&&label| label == class).count(), 10);
            assert!((2..=3).contains(&labels[100..].iter().filter(|&&label| label == class).count()));
        }
        // Evenly spaced in the order of the whole set, up to its last picture.
        let Values::Images(images) = &data.values else { panic!("not images") };
        let Values::Images(all) = built_in(&DataSpec::default()).values else { panic!("not images") };
        assert_eq!(images.pixels[99 * 784..100 * 784], all.pixels[9_999 * 784..10_000 * 784]);
        assert_eq!(images.pixels.len(), 125 * 784);
    }

    #[test]
    fn more_than_there_is_gives_all() {
        let data = built_in(&DataSpec { train: 1 << 40, test: 1 << 40, ..DataSpec::of(DataSet::Digits) });
        assert_eq!((data.train.len(), data.test.len()), (1437, 360));
    }

    #[test]
    fn text_keeps_its_beginning() {
        let data = built_in(&DataSpec { train: 5000, test: 1000, ..DataSpec::of(DataSet::Shakespeare) });
        assert_eq!((data.train.clone(), data.test.clone()), (0..5000, 900_000..901_000));
        assert_eq!(data.examples(Split::Train, 129), 0..4872);
        assert_eq!(data.examples(Split::Test, 2000), 900_000..900_000);
    }

    #[test]
    fn images_shrink_and_do_not_grow() {
        let spec = DataSpec { size: 14, train: 10, test: 10, ..DataSpec::of(DataSet::Mnist) };
        let data = built_in(&spec);
        assert_eq!(data.row_shape(), [1, 14, 14]);
        let large = DataSpec { size: 29, ..spec };
        let error = load(&large, 1, Some(&read_pack_file("mnist.bin").unwrap())).unwrap_err().to_string();
        assert_eq!(error, "MNIST digits: its images have 28x28 pixels; data.size can make them smaller, not 29");
    }

    #[test]
    fn area_averages_are_exact() {
        assert_eq!(area_average(&[0, 100, 200, 100], [2, 2], [1, 1]), [100]);
        // Three pixels on two: the middle one is halved.
        assert_eq!(area_average(&[0, 90, 240], [1, 3], [1, 2]), [30, 190]);
        assert_eq!(area_average(&[7; 35], [5, 7], [3, 4]), [7; 12]);
        // Every mean of as many n as n + 1 is a tie, and goes up.
        for n in 0..255 {
            for (old, new) in [([6, 6], [3, 3]), ([10, 14], [5, 7])] {
                let plane: Vec<u8> = (0..old[0] * old[1]).map(|k| n + ((k % old[1] + k / old[1]) % 2) as u8).collect();
                assert!(area_average(&plane, old, new).iter().all(|&mean| mean == n + 1), "{n}");
            }
        }
        // 28 pixels on 16: a cell is 1.75 wide, its first pixel 4/7 of it: 49 x 4/7 x 4/7 = 16.
        let mut plane = vec![0; 28 * 28];
        plane[0] = 49;
        assert_eq!(area_average(&plane, [28, 28], [16, 16])[0], 16);
        plane[0] = 0;
        plane[1] = 49;
        // Three quarters of the second pixel are in the first cell, one in the second: 3/7 and 1/7 of these.
        assert_eq!(area_average(&plane, [28, 28], [16, 16])[..2], [12, 4]);
        assert_eq!(area_average(&[10, 20], [1, 2], [2, 4]), [10, 10, 20, 20, 10, 10, 20, 20]);
    }

    #[test]
    fn shares_add_up() {
        assert_eq!(shares(&[50, 30, 20], 10), [5, 3, 2]);
        assert_eq!(shares(&[1, 1, 1], 2), [1, 1, 0]);
        assert_eq!(shares(&[0, 7], 7), [0, 7]);
        assert_eq!(shares(&[usize::MAX / 4, usize::MAX / 4], 9), [5, 4]);
    }

    #[test]
    fn columns_are_standardised_over_the_training_rows() {
        let (values, scaling) = standardise(&[1.0, 5.0, 3.0, 5.0, 100.0, 5.0], 2, 0..2);
        assert_eq!(values, [-1.0, 0.0, 1.0, 0.0, 98.0, 0.0]);
        assert_eq!(scaling, [Scaling { mean: 2.0, std: 1.0 }, Scaling { mean: 5.0, std: 1.0 }]);
        assert_eq!(scaling[0].raw(98.0), 100.0);
    }

    #[test]
    fn columns_are_scaled_by_their_own_size() {
        let plain: Vec<f64> = (0..40).map(|i| f64::from(i) / 7.0).collect();
        let (expected, _) = standardise(&plain, 1, 0..30);
        let near = |values: &[f64], tolerance: f32| {
            let (scaled, scaling) = standardise(values, 1, 0..30);
            assert!(scaled.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= tolerance), "{scaled:?}");
            assert!((scaling[0].raw(scaled[7]) - values[7]).abs() <= 1e-6 * scaling[0].std);
        };
        near(&plain.iter().map(|value| value * 1e-14).collect::<Vec<_>>(), 1e-6);
        near(&plain.iter().map(|value| value * 1e-200).collect::<Vec<_>>(), 1e-6);
        near(&plain.iter().map(|value| value + 1.7e9).collect::<Vec<_>>(), 1e-6);
        // Constant but for rounding, and constant in the training rows alone.
        let third = standardise(&[0.1 + 0.2, 0.3, 0.3], 1, 0..3).0;
        assert!(third.iter().all(|value| value.abs() < 1e-12), "{third:?}");
        assert_eq!(standardise(&[2.0, 2.0, 3e38], 1, 0..2).0, [0.0, 0.0, 3e38]);
        assert_eq!(standardise(&[1e-300, 2e-300, 3e38], 1, 0..2).0[2], f32::MAX);
    }

    #[test]
    fn a_card_describes_every_set() {
        for &set in DataSet::ALL {
            if set == DataSet::Own {
                continue;
            }
            let pack = pack_file(set).map(|file| read_pack_file(&file).unwrap());
            for projection in [Projection::None, Projection::Pca, Projection::White] {
                let small = if projection == Projection::None { 0 } else { 200 };
                let size = if DataSpec::of(set).content() == Content::Images { small.min(8) } else { 0 };
                let spec = DataSpec { projection, train: small, size, ..DataSpec::of(set) };
                let data = load(&spec, 1, pack.as_deref()).unwrap();
                let card = data.card();
                assert!(card.figures.len() >= 2, "{}", card.title);
                assert!(card.figures.iter().all(|figure| !figure.marks.is_empty() && !figure.alt.is_empty()));
                assert_eq!(card.content, spec.content());
                assert_eq!(card.train, data.train.len());
                assert!(small > 0 || card.available == card.train);
            }
        }
    }
}
