//! Principal components: inputs rotated onto the directions in which the training examples vary most.

use super::{Data, DataError, Scaling, Table, Target, Values};
use crate::graph::numel;
use crate::numeric::{Eigen, eigen};

/// Most inputs of an example; the decomposition grows with their cube.
pub const MAX_INPUTS: usize = 1024;
/// Components that vary less than this share of the first are noise of rounding; whitened, they are 0.
const LEAST_VARIANCE: f64 = 1e-10;

/// Principal components of the training examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Components {
    /// Mean of each input over the training examples.
    pub mean: Vec<f64>,
    /// Unit directions, by descending variance; of the two signs, the one whose largest entry is positive.
    pub directions: Vec<Vec<f64>>,
    /// Variance of the training examples (divisor N) along each direction.
    pub variances: Vec<f64>,
    /// Variance over all directions, kept or not.
    pub total: f64,
}

impl Components {
    /// The first `count` components (all, if there are fewer) of the rows `[n, inputs]`. `None` of no row, or where a
    /// number is not finite.
    #[must_use]
    pub fn of(rows: &[f32], inputs: usize, count: usize) -> Option<Self> {
        let n = rows.len().checked_div(inputs).filter(|&n| n > 0)? as f64;
        let mut mean = vec![0.0; inputs];
        for row in rows.chunks_exact(inputs) {
            mean.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        mean.iter_mut().for_each(|sum| *sum /= n);
        let mut covariance = vec![0.0; inputs * inputs];
        let mut centred = vec![0.0; inputs];
        for row in rows.chunks_exact(inputs) {
            centred.iter_mut().zip(row).zip(&mean).for_each(|((c, &x), mean)| *c = f64::from(x) - mean);
            for (i, &x) in centred.iter().enumerate() {
                let sums = &mut covariance[i * inputs + i..(i + 1) * inputs];
                sums.iter_mut().zip(&centred[i..]).for_each(|(sum, y)| *sum += x * y);
            }
        }
        for i in 0..inputs {
            for j in i..inputs {
                let entry = covariance[i * inputs + j] / n;
                (covariance[i * inputs + j], covariance[j * inputs + i]) = (entry, entry);
            }
        }
        let Eigen { values, mut vectors } = eigen(covariance, inputs)?;
        // Rounding may leave a vanishing variance below zero.
        let mut variances: Vec<f64> = values.into_iter().map(|value| value.max(0.0)).collect();
        let total = variances.iter().sum();
        vectors.truncate(count);
        variances.truncate(count);
        Some(Self { mean, directions: vectors, variances, total })
    }

    /// Rows `[n, inputs]` in these components, `[n, components]`; whitened: each with variance 1 over the training
    /// examples.
    #[must_use]
    pub fn project(&self, rows: &[f32], whiten: bool) -> Vec<f32> {
        let least = LEAST_VARIANCE * self.variances.first().copied().unwrap_or(0.0);
        let scale = |variance: f64| match whiten {
            false => 1.0,
            true if variance > least => 1.0 / variance.sqrt(),
            true => 0.0,
        };
        let scales: Vec<f64> = self.variances.iter().map(|&variance| scale(variance)).collect();
        let place = |row: &[f32], direction: &[f64], scale: f64| {
            let along = row.iter().zip(direction).zip(&self.mean).map(|((&x, d), mean)| (f64::from(x) - mean) * d);
            (along.sum::<f64>() * scale) as f32
        };
        rows.chunks_exact(self.mean.len().max(1))
            .flat_map(|row| {
                self.directions.iter().zip(&scales).map(move |(direction, &scale)| place(row, direction, scale))
            })
            .collect()
    }
}

impl Data {
    /// This set with its inputs replaced by their first `count` principal components over the training examples: a table.
    /// Pixels count as 0 to 1. Text and series have none and stay.
    ///
    /// # Errors
    /// If an example has more than [`MAX_INPUTS`] numbers, or there is no training example.
    pub fn projected(mut self, count: usize, whiten: bool) -> Result<Self, DataError> {
        let inputs = numel(&self.row_shape());
        let (rows, target) = match self.values {
            Values::Images(images) => {
                let rows = images.pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
                (rows, Target::Classes { labels: images.labels, names: images.classes })
            }
            Values::Table(table) => (table.values, table.target),
            Values::Text(_) | Values::Series(_) => return Ok(self),
        };
        let fail = |reason: String| DataError::new(&self.info.title, reason);
        if inputs > MAX_INPUTS {
            let reason = format!(
                "an example has {inputs} numbers; principal components are found of at most {MAX_INPUTS} (data.size makes \
                 images smaller)"
            );
            return Err(fail(reason));
        }
        let train: &[f32] = &rows[self.train.start * inputs..self.train.end * inputs];
        let components = Components::of(train, inputs, count.max(1))
            .ok_or_else(|| fail("its training examples have no principal components".into()))?;
        let kept = components.directions.len();
        let share = 100.0 * components.variances.iter().sum::<f64>() / components.total.max(f64::MIN_POSITIVE);
        self.info.notes.push(format!(
            "Inputs: the first {kept} principal components{}, which hold {share:.0}% of the variance.",
            if whiten { ", whitened" } else { "" }
        ));
        let columns = (1..=kept).map(|k| format!("component {k}")).collect();
        let values = components.project(&rows, whiten);
        self.values = Values::Table(Table { columns, values, scaling: vec![Scaling::IDENTITY; kept], target });
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{load, pack_file, read_pack_file};
    use crate::rng::{Rng, Stream};
    use crate::spec::{Content, DataSet, DataSpec, Projection};

    #[test]
    fn an_ellipse_has_its_axes() {
        // Deviation 3 along (0.8, 0.6), 0.5 across.
        let mut rng = Rng::new(3, Stream::Generate, 0);
        let mut rows = Vec::new();
        for _ in 0..4000 {
            let (long, short) = (3.0 * rng.normal(), 0.5 * rng.normal());
            rows.extend([5.0 + 0.8 * long - 0.6 * short, 0.6 * long + 0.8 * short]);
        }
        let components = Components::of(&rows, 2, 2).unwrap();
        let [x, y] = [components.directions[0][0], components.directions[0][1]];
        assert!((x - 0.8).abs() < 0.01 && (y - 0.6).abs() < 0.01, "{x}, {y}");
        assert!((components.variances[0] / 9.0 - 1.0).abs() < 0.05);
        assert!((components.variances[1] / 0.25 - 1.0).abs() < 0.05);
        assert!((components.total - components.variances.iter().sum::<f64>()).abs() < 1e-12);
    }

    fn covariance(rows: &[f32], columns: usize) -> Vec<f64> {
        let n = (rows.len() / columns) as f64;
        let mut sums = vec![0.0; columns * columns];
        for row in rows.chunks_exact(columns) {
            for i in 0..columns {
                for j in 0..columns {
                    sums[i * columns + j] += f64::from(row[i]) * f64::from(row[j]) / n;
                }
            }
        }
        sums
    }

    #[test]
    fn whitened_training_digits_have_unit_covariance() {
        let spec = DataSpec { projection: Projection::White, components: 40, ..DataSpec::of(DataSet::Digits) };
        let pack = read_pack_file(&pack_file(spec.set).unwrap()).unwrap();
        let data = load(&spec, 1, Some(&pack)).unwrap();
        assert_eq!((data.content(), spec.content(), data.row_shape()), (Content::Table, Content::Table, vec![40]));
        assert_eq!((data.train.len(), data.test.len()), (1437, 360));
        let Values::Table(table) = &data.values else { panic!("not a table") };
        for (k, entry) in covariance(&table.values[..1437 * 40], 40).into_iter().enumerate() {
            assert!((entry - f64::from(u8::from(k % 41 == 0))).abs() < 1e-5, "{k}: {entry}");
        }
        // Labels stay with their rows.
        let plain = load(&DataSpec::of(DataSet::Digits), 1, Some(&pack)).unwrap();
        assert_eq!(data.labels(), plain.labels());
    }

    #[test]
    fn all_components_keep_every_distance() {
        let spec = DataSpec { train: 60, test: 10, ..DataSpec::of(DataSet::Digits) };
        let pack = read_pack_file(&pack_file(spec.set).unwrap()).unwrap();
        let plain = load(&spec, 1, Some(&pack)).unwrap();
        let turned = load(&DataSpec { projection: Projection::Pca, components: 1024, ..spec }, 1, Some(&pack)).unwrap();
        let Values::Images(images) = &plain.values else { panic!("not images") };
        let Values::Table(table) = &turned.values else { panic!("not a table") };
        for (a, b) in [(0, 1), (3, 65), (20, 69)] {
            let before: f32 = (0..64)
                .map(|k| (f32::from(images.pixels[a * 64 + k]) - f32::from(images.pixels[b * 64 + k])) / 255.0)
                .map(|x| x * x)
                .sum();
            let after: f32 = (0..64).map(|k| table.values[a * 64 + k] - table.values[b * 64 + k]).map(|x| x * x).sum();
            assert!((before - after).abs() < 1e-4 * before, "{before} against {after}");
        }
    }

    #[test]
    fn constant_inputs_whiten_to_zero() {
        let components = Components::of(&[1.0, 5.0, 3.0, 5.0, 2.0, 5.0], 2, 2).unwrap();
        let rows = components.project(&[3.0, 5.0], true);
        assert!(rows[0] > 0.0 && rows[1] == 0.0, "{rows:?}");
        assert_eq!(Components::of(&[], 2, 2), None);
        assert_eq!(Components::of(&[1.0], 0, 2), None);
    }

    #[test]
    fn too_many_inputs_are_refused_in_words() {
        let spec = DataSpec { projection: Projection::Pca, train: 100, ..DataSpec::of(DataSet::Emoji100) };
        let pack = read_pack_file(&pack_file(spec.set).unwrap()).unwrap();
        let error = load(&spec, 1, Some(&pack)).unwrap_err().to_string();
        assert!(error.contains("3072 numbers") && error.contains("data.size"), "{error}");
        assert!(load(&DataSpec { size: 16, ..spec }, 1, Some(&pack)).is_ok());
    }
}
