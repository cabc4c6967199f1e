//! From measured losses to the six constants.

use engine::numeric::{Matrix, fit, least_squares};

use super::law::{Hyperbola, Law, Power};

/// The losses of a run of a size with a batch: `[updates, loss]`, by ascending updates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trajectory {
    pub size: f64,
    pub batch: f64,
    pub points: Vec<[f64; 2]>,
}

/// The nearest losses that never rise, by least squares: neighbours that do are replaced by their mean (isotonic
/// regression by pooling).
pub fn falling(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for &[_, loss] in points {
        let (mut mean, mut count) = (loss, 1);
        while let Some(&(before, many)) = pools.last().filter(|(before, _)| *before < mean) {
            mean = (before * many as f64 + mean * count as f64) / (many + count) as f64;
            count += many;
            pools.pop();
        }
        pools.push((mean, count));
    }
    let losses = pools.into_iter().flat_map(|(mean, count)| std::iter::repeat_n(mean, count));
    points.iter().zip(losses).map(|(&[updates, _], loss)| [updates, loss]).collect()
}

/// Updates after which losses that never rise reach a level, straight between points in logarithms. `None` where they begin
/// below it or do not come so far.
pub fn reached(points: &[[f64; 2]], level: f64) -> Option<f64> {
    let next = points.iter().position(|[_, loss]| *loss <= level).filter(|place| *place > 0)?;
    let [[before, high], [after, low]] = [points[next - 1], points[next]];
    let share = libm::log(high / level) / libm::log(high / low);
    Some(before * libm::pow(after / before, share))
}

/// The loss after so many updates, straight between points in the logarithm of the updates; `None` beyond them.
pub fn loss_at(points: &[[f64; 2]], updates: f64) -> Option<f64> {
    let next = points.iter().position(|[at, _]| *at >= updates)?;
    let [after, low] = points[next];
    if after == updates {
        return Some(low);
    }
    let [before, high] = points[next.checked_sub(1)?];
    Some(high + (low - high) * libm::log(updates / before) / libm::log(after / before))
}

/// Updates by batch at one level.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    pub loss: f64,
    /// `[batch, updates]` of the runs that reach it.
    pub points: Vec<[f64; 2]>,
    pub curve: Hyperbola,
    /// Share of the variance of the updates' logarithm that the hyperbola explains.
    pub r2: f64,
}

impl Level {
    /// The hyperbola through the updates that runs took to a level, by least squares of relative errors. `None` of fewer than
    /// three runs, or where no hyperbola fits.
    pub fn of(runs: &[Trajectory], loss: f64) -> Option<Self> {
        let points: Vec<[f64; 2]> =
            runs.iter().filter_map(|run| Some([run.batch, reached(&run.points, loss)?])).collect();
        // S = S_min + E_min / B, over S.
        let columns = Matrix::from_fn(points.len(), 2, |row, column| {
            let [batch, updates] = points[row];
            if column == 0 { 1.0 / updates } else { 1.0 / (batch * updates) }
        });
        let found = (points.len() > 2).then(|| least_squares(&columns, &vec![1.0; points.len()]))??;
        let curve = Hyperbola { least_updates: found[0], least_examples: found[1] };
        let logs =
            |of: &dyn Fn(&[f64; 2]) -> f64| points.iter().map(|point| libm::log(of(point))).collect::<Vec<f64>>();
        let [measured, fitted] = [logs(&|[_, updates]| *updates), logs(&|[batch, _]| curve.updates(*batch))];
        let mean = measured.iter().sum::<f64>() / measured.len() as f64;
        let squares = |values: &[f64], of: &dyn Fn(usize) -> f64| -> f64 {
            values.iter().enumerate().map(|(place, value)| (value - of(place)).powi(2)).sum()
        };
        let r2 = 1.0 - squares(&measured, &|place| fitted[place]) / squares(&measured, &|_| mean);
        (found[0] > 0.0 && found[1] > 0.0).then_some(Self { loss, points, curve, r2 })
    }
}

/// The law of the critical batch through those of some levels: the line through their logarithms.
pub fn critical(levels: &[Level]) -> Option<Power> {
    let points: Vec<[f64; 2]> = levels.iter().map(|level| [level.loss, level.curve.critical()]).collect();
    let line = fit::power_law(&points);
    let law = Power { scale: libm::exp(line.intercept), exponent: -line.slope };
    law.exponent.is_finite().then_some(law)
}

/// The whole law, given that of the critical batch: least squares of the losses' logarithms over all runs.
///
/// Updates are turned into those of a batch without end at the losses as measured, which leaves `L = (N_c / N)^alpha_N +
/// (S_c / S_min)^alpha_S` (Levenberg-Marquardt over the logarithms of both terms at 1 and the exponents).
pub fn law(batch: Power, runs: &[Trajectory]) -> Option<Law> {
    let shell = Law { size: Power { scale: 1.0, exponent: 1.0 }, updates: Power { scale: 1.0, exponent: 1.0 }, batch };
    let rows: Vec<[f64; 3]> = runs
        .iter()
        .flat_map(|run| {
            run.points.iter().map(|&[updates, loss]| {
                [libm::log(run.size), libm::log(shell.least_updates(updates, run.batch, loss)), libm::log(loss)]
            })
        })
        .collect();
    let terms =
        |at: &[f64; 4], row: &[f64; 3]| [0, 1].map(|term| libm::exp(at[2 * term] - at[2 * term + 1] * row[term]));
    let misses = |at: &[f64; 4]| -> Vec<f64> {
        rows.iter().map(|row| row[2] - libm::log(terms(at, row).iter().sum::<f64>())).collect()
    };
    let squares = |misses: &[f64]| misses.iter().map(|miss| miss * miss).sum::<f64>();
    let mut at = start(&rows)?;
    let mut missed = misses(&at);
    let mut damping = 1e-3;
    for _ in 0..ITERATIONS {
        let slopes: Vec<[f64; 4]> = rows
            .iter()
            .map(|row| {
                let [size, left] = terms(&at, row);
                let all = size + left;
                [size / all, -size * row[0] / all, left / all, -left * row[1] / all]
            })
            .collect();
        let lengths: [f64; 4] = std::array::from_fn(|column| {
            libm::sqrt(slopes.iter().map(|slope| slope[column] * slope[column]).sum::<f64>())
        });
        // Rows below the slopes pull a step towards 0, each number in its own measure.
        let matrix = Matrix::from_fn(rows.len() + 4, 4, |row, column| match row.checked_sub(rows.len()) {
            None => slopes[row][column],
            Some(own) if own == column => libm::sqrt(damping) * lengths[column],
            Some(_) => 0.0,
        });
        let wanted = [&missed[..], &[0.0; 4]].concat();
        let step = least_squares(&matrix, &wanted)?;
        let tried: [f64; 4] = std::array::from_fn(|column| at[column] + step[column]);
        let after = misses(&tried);
        if squares(&after) < squares(&missed) {
            (at, missed, damping) = (tried, after, damping * 0.3);
        } else if damping > 1e9 {
            break;
        } else {
            damping *= 4.0;
        }
    }
    let power = |place: usize| Power { scale: libm::exp(at[place] / at[place + 1]), exponent: at[place + 1] };
    at.iter().all(|x| x.is_finite()).then(|| Law { size: power(0), updates: power(2), ..shell })
}

/// Steps of the fit at most.
const ITERATIONS: usize = 80;

/// Where the fit begins: nine tenths of the lowest loss are the size's, which falls slowly with it, and what is left of the
/// highest falls to what is left of the lowest.
fn start(rows: &[[f64; 3]]) -> Option<[f64; 4]> {
    let lowest = rows.iter().min_by(|a, b| a[2].total_cmp(&b[2]))?;
    let exponent = 0.1;
    let floor = lowest[2] + libm::log(0.9);
    let left: Vec<[f64; 2]> =
        rows.iter().map(|row| [row[1], libm::log(libm::exp(row[2]) - libm::exp(floor))]).collect();
    let line = fit::line(&left);
    line.slope.is_finite().then(|| [floor + exponent * lowest[0], exponent, line.intercept, -line.slope])
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::rng::{Rng, Stream};

    const LAW: Law = Law {
        size: Power { scale: 4e4, exponent: 0.3 },
        updates: Power { scale: 60.0, exponent: 0.7 },
        batch: Power { scale: 5e3, exponent: 4.0 },
    };

    /// Times that a run is tested: so many that noise averages out.
    const POINTS: u32 = 6000;

    /// Runs of three sizes and seven batches as the law has them, each point times 1 + noise.
    fn made(noise: f64) -> [Vec<Trajectory>; 2] {
        let mut rng = Rng::new(4, Stream::Probe, 0);
        let mut run = |size: f64, batch: f64, last: f64| {
            let updates = (0..POINTS).map(|place| 15.0 * (last / 15.0).powf(f64::from(place) / f64::from(POINTS - 1)));
            let points = updates
                .map(|updates| [updates, LAW.loss(size, updates, batch) * (1.0 + noise * f64::from(rng.normal()))]);
            Trajectory { size, batch, points: points.collect() }
        };
        let batches = [16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];
        [
            batches.map(|batch| run(4e3, batch, 3e6 / batch)).to_vec(),
            [1e3, 1.6e4].map(|size| run(size, 256.0, 2e4)).to_vec(),
        ]
    }

    /// The constants over those that made the runs.
    fn found(noise: f64) -> [f64; 6] {
        let [batches, sizes] = made(noise);
        let smooth: Vec<Trajectory> =
            batches.iter().map(|run| Trajectory { points: falling(&run.points), ..run.clone() }).collect();
        let levels: Vec<Level> = (0..8).filter_map(|place| Level::of(&smooth, 2.3 + 0.25 * f64::from(place))).collect();
        assert_eq!(levels.len(), 8);
        let law = law(critical(&levels).unwrap(), &[batches, sizes].concat()).unwrap();
        let ratios = |a: Power, b: Power| [a.scale / b.scale, a.exponent / b.exponent];
        let [size, updates, batch] =
            [ratios(law.size, LAW.size), ratios(law.updates, LAW.updates), ratios(law.batch, LAW.batch)];
        [size[0], size[1], updates[0], updates[1], batch[0], batch[1]]
    }

    /// Exact check 4.
    #[test]
    fn the_constants_are_found_again() {
        let [clean, noisy] = [found(0.0), found(0.01)];
        assert!(clean.iter().all(|ratio| (ratio - 1.0).abs() < 0.01), "{clean:?}");
        assert!(noisy.iter().all(|ratio| (ratio - 1.0).abs() < 0.1), "{noisy:?}");
    }

    #[test]
    fn losses_that_rise_are_pooled() {
        let points = [[1.0, 3.0], [2.0, 1.0], [3.0, 2.0], [4.0, 1.5], [5.0, 1.0]];
        let losses: Vec<f64> = falling(&points).iter().map(|point| point[1]).collect();
        assert_eq!(losses, [3.0, 1.5, 1.5, 1.5, 1.0]);
    }

    #[test]
    fn levels_that_a_run_does_not_reach_are_left_out() {
        let points = [[1.0, 4.0], [4.0, 1.0]];
        assert!((reached(&points, 2.0).unwrap() - 2.0).abs() < 1e-12);
        assert_eq!((reached(&points, 0.9), reached(&points, 4.1)), (None, None));
        assert_eq!(
            [0.5, 1.0, 2.0, 4.0, 5.0].map(|at| loss_at(&points, at)),
            [None, Some(4.0), Some(2.5), Some(1.0), None]
        );
        let run = |batch: f64| Trajectory { size: 1.0, batch, points: points.to_vec() };
        assert_eq!(Level::of(&[run(1.0), run(2.0)], 2.0), None);
    }
}
