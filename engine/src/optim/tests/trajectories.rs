//! Rules against their papers' formulas in f64, written down as they stand there: a hundred updates of a model with every kind of
//! parameter, at rates that change.

use super::layerwise::{Bowl, layout, noise};
use super::*;

const STEPS: u64 = 100;

/// What a formula is told of an update: its number from 1, learning rate, and the gradient as a function of the place.
struct At<'a> {
    t: f64,
    lr: f64,
    gradient: &'a dyn Fn(&[f64]) -> Vec<f64>,
}

/// Settings of which none is another's, and none is usual; f32 has each, and what it lacks to 1, without rounding.
fn settings(kind: Rule) -> OptimizerSpec {
    OptimizerSpec {
        kind,
        momentum: 0.875,
        beta1: 0.75,
        beta2: 0.9375,
        beta3: 0.9921875,
        alpha: 3.0,
        ramp: 40,
        eps: 1.0 / 128.0,
        weight_decay: 1.0 / 32.0,
        decay: DecayKind::Decoupled,
        decay_exempt: false,
        clip: 0.0,
        ..OptimizerSpec::default()
    }
}

/// Follows a rule and its formula from the same start; theta is within 1e-5 of the formula's after each update.
fn follows(spec: &OptimizerSpec, peak: f64, mut formula: impl FnMut(&mut Vec<f64>, &At<'_>)) {
    watched(spec, peak, |theta, at, _| formula(theta, at));
}

/// The same with a formula that sees what the rule keeps after the update.
fn watched(spec: &OptimizerSpec, peak: f64, mut formula: impl FnMut(&mut Vec<f64>, &At<'_>, &Inputs)) {
    let layout = layout();
    let bowl = Bowl::new(layout.len());
    let program = bowl.program(spec, &layout);
    let mut theta: Vec<f64> = noise(layout.len(), 0.1).into_iter().map(f64::from).collect();
    let start = theta.clone();
    let mut inputs = Inputs::from([("theta".into(), theta.clone())]);
    inputs.extend(states(spec, &layout).map(|(name, len)| (name.to_owned(), vec![0.0; len])));
    for step in 0..STEPS {
        let lr = (peak * (0.6 + 0.4 * libm::cos(0.7 * step as f64)) / (1.0 + 0.1 * step as f64)) as f32;
        feed(&mut inputs, spec, lr, step);
        // The run estimates it where it is due; what it is at other updates is nothing to the rule.
        if let Some(estimate) = inputs.get_mut("sophia.estimate") {
            let due = step % 10 == 0;
            *estimate = bowl.curvature.iter().map(|&h| if due { f64::from(h) - 1.0 } else { 7.0 }).collect();
        }
        run(&program, &mut inputs);
        let bias = Bias::after(spec, step + 1);
        let names = renewed(spec, &layout, &bias);
        let mut contents: Vec<Vec<f64>> = names.iter().map(|name| inputs[*name].clone()).collect();
        renew(spec, &layout, &bias, &mut contents);
        inputs.extend(names.iter().map(|name| (*name).to_owned()).zip(contents));
        let gradient = |place: &[f64]| bowl.gradient(place);
        formula(&mut theta, &At { t: step as f64 + 1.0, lr: f64::from(lr), gradient: &gradient }, &inputs);
        for (k, (a, b)) in inputs["theta"].iter().zip(&theta).enumerate() {
            assert!(
                (a - b).abs() < 1e-5 * b.abs().max(1.0),
                "{:?}, step {step}, parameter {k}: {a}, not {b}",
                spec.kind
            );
        }
    }
    let way: f64 = theta.iter().zip(&start).map(|(a, b)| (a - b) * (a - b)).sum();
    assert!(way > 0.1, "{:?} goes somewhere: {way}", spec.kind);
}

/// Each place of vectors together.
fn each<const N: usize>(vectors: [&mut Vec<f64>; N], mut of: impl FnMut([&mut f64; N])) {
    let mut iterators = vectors.map(|vector| vector.iter_mut());
    loop {
        let places = iterators.each_mut().map(Iterator::next);
        if places.iter().any(Option::is_none) {
            return;
        }
        of(places.map(Option::unwrap));
    }
}

fn zeros() -> Vec<f64> {
    vec![0.0; layout().len()]
}

/// Algorithm 1 of arXiv 2405.15682: x, y and z by name.
fn schedule_free(spec: &OptimizerSpec, peak: f64, adaptive: bool) {
    let OptimizerSpec { momentum: beta, beta2, eps, weight_decay: decay, .. } = *spec;
    let (mut z, mut v, mut weights) = (None::<Vec<f64>>, zeros(), 0.0);
    follows(spec, peak, |x, &At { t, lr, gradient }| {
        let z = z.get_or_insert_with(|| x.clone());
        let mut y: Vec<f64> = z.iter().zip(x.iter()).map(|(z, x)| (1.0 - beta) * z + beta * x).collect();
        let mut g = gradient(&y);
        weights += lr * lr;
        let c = lr * lr / weights;
        each([x, &mut y, z, &mut g, &mut v], |[x, y, z, g, v]| {
            *v = beta2 * *v + (1.0 - beta2) * *g * *g;
            let direction = if adaptive { *g / ((*v / (1.0 - beta2.powf(t))).sqrt() + eps) } else { *g };
            *z -= lr * (direction + decay * *y);
            *x = (1.0 - c) * *x + c * *z;
        });
    });
}

#[test]
fn schedule_free_rules_step_from_z_and_keep_the_mean() {
    schedule_free(&settings(Rule::ScheduleFreeSgd), 0.3, false);
    schedule_free(&settings(Rule::ScheduleFreeAdamW), 0.05, true);
}

/// `optax.nadamw`.
#[test]
fn nadamw_looks_ahead() {
    let spec = settings(Rule::NAdamW);
    let OptimizerSpec { beta1, beta2, eps, weight_decay: decay, .. } = spec;
    let (mut m, mut v) = (zeros(), zeros());
    follows(&spec, 0.05, |theta, &At { t, lr, gradient }| {
        let mut g = gradient(theta);
        each([theta, &mut g, &mut m, &mut v], |[theta, g, m, v]| {
            *m = beta1 * *m + (1.0 - beta1) * *g;
            *v = beta2 * *v + (1.0 - beta2) * *g * *g;
            let ahead = beta1 * *m / (1.0 - beta1.powf(t + 1.0)) + (1.0 - beta1) * *g / (1.0 - beta1.powf(t));
            *theta -= lr * (ahead / ((*v / (1.0 - beta2.powf(t))).sqrt() + eps) + decay * *theta);
        });
    });
}

/// Algorithm 2 of arXiv 1908.03265 with torch's bound.
#[test]
fn radam_waits_until_it_knows_the_squares() {
    // With the first it does not divide for some updates, with the second never.
    for beta2 in [0.9375, 0.625] {
        let spec = OptimizerSpec { beta2, ..settings(Rule::RAdam) };
        let OptimizerSpec { beta1, eps, weight_decay: decay, .. } = spec;
        let (mut m, mut v, mut waited) = (zeros(), zeros(), 0);
        follows(&spec, 0.05, |theta, &At { t, lr, gradient }| {
            let mut g = gradient(theta);
            let most = 2.0 / (1.0 - beta2) - 1.0;
            let rho = most - 2.0 * t * beta2.powf(t) / (1.0 - beta2.powf(t));
            let r = ((rho - 4.0) * (rho - 2.0) * most / ((most - 4.0) * (most - 2.0) * rho)).sqrt();
            waited += usize::from(rho <= 5.0);
            each([theta, &mut g, &mut m, &mut v], |[theta, g, m, v]| {
                *m = beta1 * *m + (1.0 - beta1) * *g;
                *v = beta2 * *v + (1.0 - beta2) * *g * *g;
                let mean = *m / (1.0 - beta1.powf(t));
                let root = (*v / (1.0 - beta2.powf(t))).sqrt() + eps;
                let direction = if rho > 5.0 { r * mean / root } else { mean };
                *theta -= lr * (direction + decay * *theta);
            });
        });
        assert!(if beta2 > 0.9 { (3..10).contains(&waited) } else { waited == 100 }, "{waited}");
    }
}

/// Algorithm 2 of arXiv 2411.02853 with clipping; decays at every update.
#[test]
fn adopt_divides_by_what_was_known_before() {
    let spec = OptimizerSpec { eps: 0.25, ..settings(Rule::Adopt) };
    let OptimizerSpec { beta1, beta2, eps, weight_decay: decay, .. } = spec;
    let (mut m, mut v) = (zeros(), zeros());
    follows(&spec, 0.05, |theta, &At { t, lr, gradient }| {
        let mut g = gradient(theta);
        let most = (t - 1.0).powf(0.25);
        each([theta, &mut g, &mut m, &mut v], |[theta, g, m, v]| {
            if t == 1.0 {
                *v = *g * *g;
            } else {
                let whole = *g / v.sqrt().max(eps);
                *m = beta1 * *m + (1.0 - beta1) * whole.clamp(-most, most);
                *v = beta2 * *v + (1.0 - beta2) * *g * *g;
            }
            *theta -= lr * (*m + decay * *theta);
        });
    });
}

/// Algorithm 1 of arXiv 2409.03137 with both of its schedules.
#[test]
fn ademamix_remembers_long_ago() {
    for ramp in [40, 0] {
        let spec = OptimizerSpec { ramp, ..settings(Rule::AdEmaMix) };
        let OptimizerSpec { beta1, beta2, beta3, alpha, eps, weight_decay: decay, .. } = spec;
        let (mut m, mut v, mut slow) = (zeros(), zeros(), zeros());
        follows(&spec, 0.03, |theta, &At { t, lr, gradient }| {
            let mut g = gradient(theta);
            let [from, to] = [beta1.ln(), beta3.ln()];
            let (alpha, beta3) = if ramp == 0 {
                (alpha, beta3)
            } else {
                let share = t / ramp as f64;
                let grown = (from * to / ((1.0 - share) * to + share * from)).exp();
                ((share * alpha).min(alpha), if share < 1.0 { grown.min(beta3) } else { beta3 })
            };
            each([theta, &mut g, &mut m, &mut v, &mut slow], |[theta, g, m, v, slow]| {
                *m = beta1 * *m + (1.0 - beta1) * *g;
                *v = beta2 * *v + (1.0 - beta2) * *g * *g;
                *slow = beta3 * *slow + (1.0 - beta3) * *g;
                let mixed = *m / (1.0 - beta1.powf(t)) + alpha * *slow;
                *theta -= lr * (mixed / ((*v / (1.0 - beta2.powf(t))).sqrt() + eps) + decay * *theta);
            });
        });
    }
}

fn rms(x: &[f64]) -> f64 {
    (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64).sqrt()
}

/// Algorithms 4 and 5 of arXiv 1804.04235 at a rate that is given.
#[test]
fn adafactor_keeps_rows_and_columns() {
    let spec = settings(Rule::Adafactor);
    let layout = layout();
    let matrix = |entry: &ParamEntry| {
        let [rows, columns] = [entry.shape[0], entry.shape[1..].iter().product()];
        (rows > 1 && columns > 1).then_some([rows, columns])
    };
    let mut second: Vec<[Vec<f64>; 2]> = layout
        .entries()
        .iter()
        .map(|entry| match matrix(entry) {
            Some([rows, columns]) => [vec![0.0; rows], vec![0.0; columns]],
            None => [vec![0.0; numel(&entry.shape)], vec![]],
        })
        .collect();
    let kept: usize = second.iter().flatten().map(Vec::len).sum();
    assert_eq!(states(&spec, &layout).map(|(_, len)| len).sum::<usize>(), kept);
    assert!(kept < layout.len() / 3, "{kept} of {}", layout.len());
    follows(&spec, 0.05, |theta, &At { t, lr, gradient }| {
        let g = gradient(theta);
        let beta = 1.0 - t.powf(-0.8);
        for (entry, [first, other]) in layout.entries().iter().zip(&mut second) {
            let place = entry.offset..entry.offset + numel(&entry.shape);
            let g = &g[place.clone()];
            let square: Vec<f64> = g.iter().map(|g| g * g + 1e-30).collect();
            let u: Vec<f64> = match matrix(entry) {
                Some([rows, columns]) => {
                    for (i, row) in first.iter_mut().enumerate() {
                        let mean = square[i * columns..][..columns].iter().sum::<f64>() / columns as f64;
                        *row = beta * *row + (1.0 - beta) * mean;
                    }
                    for (j, column) in other.iter_mut().enumerate() {
                        let mean = square.iter().skip(j).step_by(columns).sum::<f64>() / rows as f64;
                        *column = beta * *column + (1.0 - beta) * mean;
                    }
                    let mean = first.iter().sum::<f64>() / rows as f64;
                    let v = |k: usize| first[k / columns] * other[k % columns] / mean;
                    g.iter().enumerate().map(|(k, g)| g / v(k).sqrt()).collect()
                }
                None => {
                    first.iter_mut().zip(&square).for_each(|(v, q)| *v = beta * *v + (1.0 - beta) * q);
                    g.iter().zip(first.iter()).map(|(g, v)| g / v.sqrt()).collect()
                }
            };
            let factor = rms(&theta[place.clone()]).max(1e-3) / rms(&u).max(1.0);
            for (theta, u) in theta[place].iter_mut().zip(u) {
                *theta -= lr * (factor * u + spec.weight_decay * *theta);
            }
        }
    });
}

/// Algorithm 4 of arXiv 2306.06101; what it finds is about as far as the solution is.
#[test]
fn prodigy_finds_how_far_to_go() {
    let spec = settings(Rule::Prodigy);
    let OptimizerSpec { beta1, beta2, eps, weight_decay: decay, .. } = spec;
    let (mut m, mut v, mut s, mut r, mut d) = (zeros(), zeros(), zeros(), 0.0, 1e-6);
    let mut start = None::<Vec<f64>>;
    follows(&spec, 1.0, |theta, &At { lr, gradient, .. }| {
        let start = start.get_or_insert_with(|| theta.clone());
        let mut g = gradient(theta);
        let along: f64 = g.iter().zip(start.iter()).zip(theta.iter()).map(|((g, start), now)| g * (start - now)).sum();
        r = beta2.sqrt() * r + (1.0 - beta2.sqrt()) * lr * d * d * along;
        each([theta, &mut g, &mut m, &mut v, &mut s], |[theta, g, m, v, s]| {
            *m = beta1 * *m + (1.0 - beta1) * d * *g;
            *v = beta2 * *v + (1.0 - beta2) * d * d * *g * *g;
            *s = beta2.sqrt() * *s + (1.0 - beta2.sqrt()) * lr * d * d * *g;
            *theta -= lr * d * (*m / (v.sqrt() + d * eps) + decay * *theta);
        });
        d = (r / s.iter().map(|s| s.abs()).sum::<f64>()).max(d);
    });
    assert!((0.03..3.0).contains(&d), "{d}");
}

/// Algorithm 3 of arXiv 2305.14342, its estimates given: some of them negative, as of a saddle.
#[test]
fn sophia_divides_by_the_curvature_and_is_bounded() {
    let spec = settings(Rule::SophiaH);
    let OptimizerSpec { beta1, beta2, eps, weight_decay: decay, .. } = spec;
    let mut estimate: Vec<f64> = Bowl::new(layout().len()).curvature.iter().map(|&h| f64::from(h) - 1.0).collect();
    let (mut m, mut h) = (zeros(), zeros());
    follows(&spec, 0.02, |theta, &At { t, lr, gradient }| {
        let mut g = gradient(theta);
        each([theta, &mut g, &mut m, &mut h, &mut estimate], |[theta, g, m, h, estimate]| {
            *m = beta1 * *m + (1.0 - beta1) * *g;
            if t as u64 % 10 == 1 {
                *h = beta2 * *h + (1.0 - beta2) * *estimate;
            }
            *theta -= lr * ((*m / (0.01 * *h).max(eps)).clamp(-1.0, 1.0) + decay * *theta);
        });
    });
}

/// A parameter as the authors' code has it: moments, and the average of outer products and the basis of each of its sides.
struct Tensor {
    m: Vec<f64>,
    v: Vec<f64>,
    sides: Vec<Option<[Vec<f64>; 2]>>,
}

/// `x` `[.., n, ..]` with `sum over i of x_i weight(i, j)` for its j along a side.
fn along(x: &[f64], shape: &[usize], side: usize, weight: &dyn Fn(usize, usize) -> f64) -> Vec<f64> {
    let (n, after) = (shape[side], shape[side + 1..].iter().product::<usize>());
    let at = |k: usize| {
        let (before, j, behind) = (k / (n * after), k / after % n, k % after);
        (0..n).map(|i| x[(before * n + i) * after + behind] * weight(i, j)).sum()
    };
    (0..x.len()).map(at).collect()
}

/// `sum of x_i x_j` over all else, `[n, n]`.
fn outer(x: &[f64], shape: &[usize], side: usize) -> Vec<f64> {
    let (n, after) = (shape[side], shape[side + 1..].iter().product::<usize>());
    let mut sums = vec![0.0; n * n];
    for (k, value) in x.iter().enumerate() {
        let (start, i) = (k / (n * after) * n * after + k % after, k / after % n);
        for j in 0..n {
            sums[i * n + j] += value * x[start + j * after];
        }
    }
    sums
}

/// The orthogonal factor of `[n, n]`, up to signs, by reflections one after another.
fn orthogonal(mut a: Vec<f64>, n: usize) -> Vec<f64> {
    let mut q: Vec<f64> = (0..n * n).map(|k| f64::from(u8::from(k % (n + 1) == 0))).collect();
    for k in 0..n {
        let mut w: Vec<f64> = (0..n).map(|i| if i < k { 0.0 } else { a[i * n + k] }).collect();
        let length = w.iter().map(|w| w * w).sum::<f64>().sqrt();
        w[k] += length.copysign(w[k]);
        let square: f64 = w.iter().map(|w| w * w).sum();
        if square == 0.0 {
            continue;
        }
        for j in 0..n {
            let of_column = 2.0 / square * (0..n).map(|i| w[i] * a[i * n + j]).sum::<f64>();
            (0..n).for_each(|i| a[i * n + j] -= of_column * w[i]);
            let of_row = 2.0 / square * (0..n).map(|i| w[i] * q[j * n + i]).sum::<f64>();
            (0..n).for_each(|i| q[j * n + i] -= of_row * w[i]);
        }
    }
    q
}

/// Whether the columns of `basis` are eigenvectors of `factor`, by falling value, as far as rounding to f32 tells.
fn is_eigenbasis(basis: &[f64], factor: &[f64], n: usize) {
    let column = |k: usize| (0..n).map(|i| basis[i * n + k]).collect::<Vec<f64>>();
    let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let image = |x: &[f64]| (0..n).map(|i| inner(&factor[i * n..][..n], x)).collect::<Vec<f64>>();
    let values: Vec<f64> = (0..n).map(|k| inner(&column(k), &image(&column(k)))).collect();
    for k in 0..n {
        for j in 0..n {
            assert!((inner(&column(k), &column(j)) - f64::from(u8::from(k == j))).abs() < 1e-9);
        }
        let off = image(&column(k)).iter().zip(column(k)).map(|(a, x)| (a - values[k] * x).abs()).fold(0.0, f64::max);
        assert!(off < 2e-6 * values[0] && (k == 0 || values[k] < values[k - 1] + 2e-6 * values[0]), "{off}");
    }
}

/// The authors' code (github.com/nikhilvyas/SOAP) in its steps, with a basis along every side of at most 256. The bases of the first
/// update are the rule's own, once they are seen to be eigenvectors: where a first gradient shows nothing, any are.
#[test]
fn soap_is_adam_in_the_basis_of_shampoo() {
    let spec = OptimizerSpec { basis_every: 7, ..settings(Rule::Soap) };
    let OptimizerSpec { beta1, beta2, eps, weight_decay: decay, .. } = spec;
    let layout = layout();
    let sided = |shape: &[usize], n: usize| (shape.len() > 1 && n > 1).then(|| [vec![0.0; n * n], vec![0.0; n * n]]);
    let mut tensors: Vec<Tensor> = layout
        .entries()
        .iter()
        .map(|entry| Tensor {
            m: vec![0.0; numel(&entry.shape)],
            v: vec![0.0; numel(&entry.shape)],
            sides: entry.shape.iter().map(|&n| sided(&entry.shape, n)).collect(),
        })
        .collect();
    let numbers: usize = tensors.iter().flat_map(|tensor| tensor.sides.iter().flatten()).map(|[l, _]| l.len()).sum();
    assert_eq!(states(&spec, &layout).map(|(_, len)| len).sum::<usize>(), 2 * layout.len() + 2 * numbers);
    watched(&spec, 0.05, |theta, &At { t, lr, gradient }, kept| {
        let g = gradient(theta);
        let mut bases = &kept["soap.bases"][..];
        for (entry, Tensor { m, v, sides }) in layout.entries().iter().zip(&mut tensors) {
            let shape = &entry.shape[..];
            let place = entry.offset..entry.offset + numel(shape);
            let g = &g[place.clone()];
            if t > 1.0 {
                let into = |x: &[f64], sides: &[Option<[Vec<f64>; 2]>], back: bool| {
                    sides.iter().enumerate().fold(x.to_vec(), |x, (side, kept)| match kept {
                        Some([_, q]) => {
                            let n = shape[side];
                            along(&x, shape, side, &|i, j| if back { q[j * n + i] } else { q[i * n + j] })
                        }
                        None => x,
                    })
                };
                m.iter_mut().zip(g).for_each(|(m, g)| *m = beta1 * *m + (1.0 - beta1) * g);
                v.iter_mut().zip(into(g, sides, false)).for_each(|(v, g)| *v = beta2 * *v + (1.0 - beta2) * g * g);
                let whole: Vec<f64> =
                    into(m, sides, false).iter().zip(&*v).map(|(m, v)| m / (v.sqrt() + eps)).collect();
                let size = lr * (1.0 - beta2.powf(t - 1.0)).sqrt() / (1.0 - beta1.powf(t - 1.0));
                for (theta, whole) in theta[place].iter_mut().zip(into(&whole, sides, true)) {
                    *theta -= size * whole + lr * decay * *theta;
                }
            }
            for (side, kept) in sides.iter_mut().enumerate() {
                let (n, Some([factor, q])) = (shape[side], kept) else { continue };
                factor.iter_mut().zip(outer(g, shape, side)).for_each(|(l, x)| *l = beta2 * *l + (1.0 - beta2) * x);
                let own = bases.split_off(..n * n).unwrap();
                if t == 1.0 {
                    is_eigenbasis(own, factor, n);
                    q.copy_from_slice(own);
                } else if (t as u64 - 1).is_multiple_of(7) {
                    let images: Vec<f64> =
                        (0..n * n).map(|k| (0..n).map(|i| factor[k / n * n + i] * q[i * n + k % n]).sum()).collect();
                    let curvature = |k: usize| (0..n).map(|i| q[i * n + k] * images[i * n + k]).sum::<f64>();
                    let mut order: Vec<(f64, usize)> = (0..n).map(|k| (curvature(k), k)).collect();
                    order.sort_by(|a, b| b.0.total_cmp(&a.0));
                    *v = along(v, shape, side, &|i, j| f64::from(u8::from(order[j].1 == i)));
                    // Below what f32 tells from 0 there is no direction to follow.
                    let there = |k: usize| order[k].0 > 1e-6 * order[0].0;
                    let sorted = |k: usize| if there(k % n) { images[k / n * n + order[k % n].1] } else { 0.0 };
                    *q = orthogonal((0..n * n).map(sorted).collect(), n);
                }
            }
        }
        assert!(bases.is_empty());
    });
}
