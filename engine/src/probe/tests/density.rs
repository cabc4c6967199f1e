//! What is told of a spectrum against all of its eigenvalues: drawn, on the axis that is drawn, and summed.

use super::*;
use crate::cpu::CpuExecutor;
use crate::metrics::Interval;
use crate::numeric::eigenvalues;

/// Places of an axis at which densities are compared.
const PLACES: usize = 1000;
/// Traces that are estimated of a matrix.
const TRACES: u32 = 200;

/// The Hessian of a small network, with what there is to know of it.
struct Known {
    what: String,
    matrix: Dense,
    size: usize,
    /// Eigenvalues, largest first.
    values: Vec<f64>,
}

impl Known {
    async fn of(name: &str, spec: &RunSpec, updates: usize) -> Self {
        let mut trainer = trained(CpuExecutor::new(), &RunSpec { steps: 10_000, ..spec.clone() }, updates).await;
        let (rows, size) = (rows(&trainer, usize::MAX), trainer.layout().len());
        assert!(size <= 3000);
        let unit = |k: usize| (0..size).map(|j| f32::from(u8::from(j == k))).collect();
        let settings = Settings { lanes: 8, ..Settings::default() };
        let columns = products(&mut trainer, Curved::Hessian, settings, &rows, (0..size).map(unit).collect()).await;
        let entry = |k: usize| 0.5 * f64::from(columns[k / size][k % size] + columns[k % size][k / size]);
        let elements: Vec<f64> = (0..size * size).map(entry).collect();
        let values = eigenvalues(elements.clone(), size).unwrap();
        Known { what: format!("{name} after {updates}"), matrix: Dense::new(size, elements), size, values }
    }

    async fn solve<A: Algorithm>(&mut self, mut algorithm: A) -> A::Record {
        run(&mut algorithm, &mut self.matrix, &mut CpuExecutor::new()).await.unwrap()
    }

    /// What a reading finds: the largest pairs, and a density beside them from two vectors.
    async fn reading(&mut self, products: usize, draw: u32) -> Spectrum {
        let size = self.size;
        let pairs = self.solve(Eigenpairs::new(size, [3, 0], 1e-2, products, &[], (1, draw + 2))).await;
        let good = 1e-2 * pairs.largest[0].value.abs();
        let pairs = pairs.largest.iter().filter(|pair| pair.residual <= good);
        self.solve(Density::new(size, products, 2, 1, 1, draw).beside(pairs)).await
    }

    /// For 10 to 60 products: at most a tenth of the drawn area lies elsewhere than the eigenvalues do, smoothed alike, and at
    /// every eigenvalue there is something to see.
    async fn is_drawn(&mut self) {
        let share = vec![1.0 / self.size as f64; self.size];
        let all = Ritz { values: self.values.clone(), weights: share, ..Ritz::default() };
        let all = Spectrum { probes: vec![all], ..Spectrum::default() };
        let mut linear = f64::INFINITY;
        for products in [10, 20, 35, 60] {
            let found = self.reading(products, 100 * products as u32).await;
            let resolution = Resolution::of(found.range().unwrap(), &[&found]);
            let (axis, width) = (resolution.axis(), resolution.width);
            let at: Vec<f64> = self.values.iter().map(|&value| axis.place(value)).collect();
            let (low, high) = (at[self.size - 1] - 6.0 * width, at[0] + 6.0 * width);
            let step = (high - low) / (PLACES - 1) as f64;
            let places: Vec<f64> = (0..PLACES).map(|k| low + k as f64 * step).collect();
            let densities = |places: &[f64]| {
                let [drawn, right] = [&found, &all].map(|spectrum| spectrum.at(axis, width, places.to_vec()).density);
                drawn.into_iter().zip(right)
            };
            let apart = 0.5 * step * densities(&places).map(|(drawn, right)| (drawn - right).abs()).sum::<f64>();
            let least = densities(&at).map(|(drawn, right)| drawn / right).fold(f64::INFINITY, f64::min);
            let what = format!("{}, {products} products: {apart:.3} apart, {least:.2} of the height", self.what);
            println!("{what}; linear to {:.1e}, bells of {width:.2}", resolution.linear);
            assert!(apart <= 0.1, "{what}");
            assert!(least > 0.2, "{what}");
            // More products tell no less of what is close to zero.
            assert!(resolution.linear <= 1.5 * linear, "{what}: linear to {}", resolution.linear);
            linear = linear.min(resolution.linear);
        }
    }

    /// Intervals at 95% that hold the trace in fewer than 92 of 100 cases are none; nor are such that hold anything.
    async fn is_summed(&mut self) {
        let trace: f64 = self.values.iter().sum();
        let mut found: Vec<Interval> = Vec::new();
        for draw in 0..TRACES {
            found.push(self.solve(Density::new(self.size, 3, 2, 2, 1, 2 * draw)).await.trace());
        }
        let each = f64::from(TRACES);
        let held = found.iter().filter(|found| (found.mean - trace).abs() <= found.half).count() as f64 / each;
        let off = (found.iter().map(|found| (found.mean - trace).powi(2)).sum::<f64>() / each).sqrt();
        let half = found.iter().map(|found| found.half).sum::<f64>() / each;
        let what = format!("{}: {held} hold {trace:.3}; ± {half:.3} where {off:.3} is usual", self.what);
        println!("{what}");
        assert!(held >= 0.92 && half < 5.0 * off, "{what}");
    }
}

/// Trained and not.
#[test]
fn what_is_told_of_a_spectrum_is_that_of_its_eigenvalues() {
    pollster::block_on(async {
        for (name, spec) in [("mlp", mlp(&[16])), ("convnet", convnet()), ("cct", cct()), ("gpt", gpt())] {
            for updates in [0, 300] {
                let mut known = Known::of(name, &spec, updates).await;
                known.is_drawn().await;
                known.is_summed().await;
            }
        }
    });
}
