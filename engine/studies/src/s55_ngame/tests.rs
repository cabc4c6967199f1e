use burn::tensor::Tensor;
use engine::cpu::CpuExecutor;
use engine::data::read_pack_file;
use engine::executor::AnyExecutor;
use engine::model::Mode;
use engine::numeric::halves;
use engine::rng::{Rng, Stream};
use engine::tape::{Breathless, Home, Play, Words, trace};

use super::net::triplets;
use super::order::{allowed, order, size};
use super::packages::{BUCKETS, LENGTH, Packages};
use super::run::nearest;
use super::*;
use crate::test_help::{failing, unmeasured};

fn rng(seed: u64) -> Rng {
    Rng::new(seed, Stream::Sample, 0)
}

/// Exact check 1.
#[test]
fn an_epoch_sees_everything_once_and_clusters_whole() {
    let clusters: Vec<Vec<u32>> = (0..10).map(|cluster| (cluster * 5..cluster * 5 + 5).collect()).collect();
    let found = order(clusters.clone(), &mut rng(1));
    let mut all = found.clone();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..50));
    assert!(found.chunks(5).all(|chunk| chunk.iter().all(|item| item / 5 == chunk[0] / 5)), "{found:?}");
    assert_ne!(found, order(clusters, &mut rng(2)));
    // Of single items every place is as likely: 24 orders of 4, 250 of each expected, deviation 15.
    let mut counts = std::collections::BTreeMap::<Vec<u32>, usize>::new();
    let mut draws = rng(3);
    for _ in 0..6000 {
        *counts.entry(order((0..4).map(|item| vec![item]).collect(), &mut draws)).or_default() += 1;
    }
    assert_eq!(counts.len(), 24);
    assert!(counts.values().all(|count| count.abs_diff(250) < 75), "{counts:?}");
}

/// Exact checks 2 and 6, over the curriculum.
#[test]
fn clusters_double_with_the_curriculum() {
    let sizes: Vec<usize> = [0, 3, 4, 8, 12, 18, 26, 39].map(|epoch| size(epoch, 40, 32)).into();
    assert_eq!(sizes, [1, 1, 2, 4, 8, 16, 32, 32]);
    assert_eq!([size(3, 20, 32), size(39, 40, 8), size(39, 40, 1)], [2, 8, 1]);
    let mut draws = rng(5);
    let points: Vec<f32> = (0..512 * 4).map(|_| draws.normal()).collect();
    for (step, epoch) in [0, 4, 8, 12, 18, 26].into_iter().enumerate() {
        let found = halves(&points, 4, size(epoch, 40, 32), &mut draws).clusters;
        assert_eq!(found.len(), 512 >> step);
        assert!(found.iter().all(|cluster| cluster.len() == 1 << step));
    }
}

/// Exact check 3, over all pairs.
#[test]
fn what_an_item_needs_is_never_its_negative() {
    let mut draws = rng(1);
    let needs: Vec<Vec<u32>> = (0..50)
        .map(|_| {
            let mut needs: Vec<u32> = (0..3).map(|_| draws.below(12)).collect();
            needs.sort_unstable();
            needs.dedup();
            needs
        })
        .collect();
    let batch: Vec<u32> = (0..50).collect();
    let pool: Vec<u32> = needs.iter().map(|needs| needs[draws.below(needs.len() as u32) as usize]).collect();
    let found = allowed(&batch, &pool, &needs);
    for (item, row) in found.chunks(50).enumerate() {
        for (column, &allowed) in row.iter().enumerate() {
            let twice = pool[..column].contains(&pool[column]);
            assert_eq!(allowed == 1.0, !needs[item].contains(&pool[column]) && !twice, "{item} {column}");
        }
        let labels = (0..12).filter(|label| pool.contains(label) && !needs[item].contains(label)).count();
        assert_eq!(row.iter().sum::<f32>() as usize, labels);
    }
}

/// Loss and gradient by similarities, of positives beside them.
fn loss(numbers: &[f32], allowed: &[f32], shape: [usize; 2], k: usize, weighed: bool) -> (f64, Vec<f32>) {
    let [rows, pool] = shape;
    let traced = trace("loss", Mode::Train, |tape| {
        let numbers: Tensor<2> = tape.input("numbers", [rows, pool + 1]);
        let positive = numbers.clone().narrow(1, pool, 1);
        let similarities = numbers.clone().narrow(1, 0, pool);
        let found = triplets(similarities, positive, tape.input("allowed", shape), k, 0.3, weighed);
        let gradient = tape.grad(&found.loss, &numbers);
        tape.fetch("gradient", &gradient);
        tape.metric("loss", &found.loss);
        Ok(())
    });
    let home = Home::new(Some(AnyExecutor::Cpu(Box::new(CpuExecutor::new()))).into());
    let mut play = Play::new(&home, Breathless, 1).unwrap();
    pollster::block_on(async {
        let step = play.add(traced.unwrap()).await.unwrap();
        let inputs = [("numbers", Words::Numbers(numbers)), ("allowed", Words::Numbers(allowed))];
        play.run(step, &inputs).await.unwrap();
        let loss = f64::from(play.metrics(step).await.unwrap()["loss"][0]);
        (loss, play.fetch(step, "gradient").await.unwrap())
    })
}

/// Exact check 4.
#[test]
fn the_loss_is_the_mean_hinge_and_its_gradient_is_right() {
    let (rows, pool) = (6, 9);
    let mut draws = rng(2);
    let numbers: Vec<f32> = (0..rows * (pool + 1)).map(|_| 2.0 * draws.uniform() - 1.0).collect();
    let allowed: Vec<f32> = (0..rows * pool).map(|_| f32::from(u8::from(draws.below(4) > 0))).collect();
    let mut terms = Vec::new();
    for (row, allowed) in numbers.chunks(pool + 1).zip(allowed.chunks(pool)) {
        let hinge = |(&x, _): (&f32, &f32)| f64::from(x - row[pool] + 0.3).max(0.0);
        terms.extend(row.iter().zip(allowed).filter(|(_, allowed)| **allowed == 1.0).map(hinge));
    }
    let expected = terms.iter().sum::<f64>() / terms.len() as f64;
    let (found, _) = loss(&numbers, &allowed, [rows, pool], pool, false);
    assert!((found - expected).abs() < 1e-6, "{found} against {expected}");
    for (k, weighed) in [(pool, false), (3, false), (3, true)] {
        let (_, gradient) = loss(&numbers, &allowed, [rows, pool], k, weighed);
        for place in 0..numbers.len() {
            let moved = |by: f32| {
                let mut numbers = numbers.clone();
                numbers[place] += by;
                loss(&numbers, &allowed, [rows, pool], k, weighed).0
            };
            let slope = (moved(1e-3) - moved(-1e-3)) / 2e-3;
            assert!(
                (slope - f64::from(gradient[place])).abs() < 1e-3,
                "{k} {weighed} {place}: {slope} against {}",
                gradient[place]
            );
        }
    }
    // All margins met, or no negative allowed.
    let met: Vec<f32> =
        (0..rows * (pool + 1)).map(|place| if place % (pool + 1) == pool { 0.9 } else { 0.5 }).collect();
    for weighed in [false, true] {
        assert_eq!(loss(&met, &allowed, [rows, pool], 3, weighed).0, 0.0);
        let (none, gradient) = loss(&numbers, &[0.0; 54], [rows, pool], 3, weighed);
        assert!(none == 0.0 && gradient.iter().all(|&slope| slope == 0.0));
    }
}

/// Exact check 5: items of four tight groups, each with a label of its own beside it.
#[test]
fn neighbours_are_about_as_hard_as_the_hardest_of_all() {
    let (count, batch, width) = (256, 4, 4);
    let mut draws = rng(7);
    let mut near = |item: usize| -> Vec<f32> {
        let row: Vec<f32> =
            (0..width).map(|axis| f32::from(u8::from(axis == item % 4)) + 0.02 * draws.normal()).collect();
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.into_iter().map(|x| x / length).collect()
    };
    let items: Vec<Vec<f32>> = (0..count).map(&mut near).collect();
    let labels: Vec<Vec<f32>> = (0..count).map(&mut near).collect();
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let hardest = |item: usize, pool: &[u32]| {
        let negatives = pool.iter().filter(|&&label| label as usize != item);
        negatives.map(|&label| dot(&items[item], &labels[label as usize])).fold(-1.0, f64::max)
    };
    let mean = |order: &[u32]| {
        let all = order.chunks(batch).flat_map(|batch| batch.iter().map(|&item| hardest(item as usize, batch)));
        all.sum::<f64>() / count as f64
    };
    let every: Vec<u32> = (0..count as u32).collect();
    let global = every.iter().map(|&item| hardest(item as usize, &every)).sum::<f64>() / count as f64;
    let clusters = halves(&items.concat(), width, batch, &mut rng(1)).clusters;
    let neighbours = mean(&order(clusters, &mut rng(2)));
    let random = mean(&order(every.iter().map(|&item| vec![item]).collect(), &mut rng(3)));
    assert!(global - neighbours <= 0.02 && random <= global - 0.2, "{global}, {neighbours}, {random}");
}

#[test]
fn the_largest_are_found_in_order() {
    let scores = [0.5, 0.9, 0.9, -1.0, 0.7];
    assert_eq!(nearest(&scores, 3, &[]), [1, 2, 4]);
    assert_eq!(nearest(&scores, 3, &[1, 4]), [2, 0, 3]);
    assert!(nearest(&scores, 9, &[0, 1, 2, 3, 4]).is_empty());
}

#[test]
fn the_pack_has_what_the_study_says() {
    let data = engine::data::pack::read(&read_pack_file("packages.bin").unwrap()).unwrap();
    for text in [&data.info.title, &data.info.licence, &data.info.attribution, &data.info.source] {
        assert!(!text.is_empty());
    }
    let engine::data::Values::Text(text) = &data.values else { panic!("no text") };
    let part = |range: std::ops::Range<usize>| -> String {
        text.tokens[range].iter().map(|&token| text.vocabulary[token as usize]).collect()
    };
    let packages = Packages::parse(&part(data.train.clone()), &part(data.test.clone())).unwrap();
    assert_eq!((packages.names.len() as f64, packages.needs.len() - packages.train), (LABELS, 1000));
    assert_eq!((packages.documents.len(), packages.labels.len()), (packages.needs.len(), packages.names.len()));
    let mut uses = vec![0; packages.names.len()];
    packages.needs[..packages.train].iter().flatten().for_each(|&label| uses[label as usize] += 1);
    assert!(uses.into_iter().all(|uses| uses >= 3));
    assert!(packages.documents.buckets.iter().all(|&bucket| (bucket as usize) < BUCKETS));
    for weights in packages.documents.weights.chunks(LENGTH) {
        let length: f32 = weights.iter().map(|weight| weight * weight).sum();
        assert!((length - 1.0).abs() < 1e-5, "{length}");
    }
    assert!(Packages::parse("a\tb\n\nc\td\t7\n", "").is_none() && Packages::parse("a\tb\n", "").is_none());
}

#[test]
fn the_answer_follows_the_numbers() {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    for (arm, first, active, mining) in
        [("R", 40.0, 10.0, 0.0), ("N", 43.0, 30.0, 5.0), ("G", 44.0, 50.0, 60.0), ("W", 42.0, 40.0, 8.0)]
    {
        let outcome = results.record(arm, 1).unwrap();
        outcome.reading(ACTIVE, 10.0, active);
        outcome.point(FIRST, 4.0, if arm == "W" { 10.0 } else { 20.0 });
        outcome.reading(FIRST, 20.0, first);
        outcome.number(WORK, 100.0);
        outcome.number(MINING, mining);
    }
    let verdict = answer(&results).verdict(&STUDY);
    assert!(failing(&verdict).is_empty(), "{verdict:?}");
    assert!(
        verdict
            .answer
            .starts_with("Yes. Training on neighbours is ahead of training on random batches: 43 against 40%"),
        "{}",
        verdict.answer
    );
    results.record("N", 1).unwrap().number(FIRST.last(), 40.5);
    assert_eq!(failing(&answer(&results).verdict(&STUDY)), [0, 2]);
    results.record("G", 1).unwrap().number(MINING, 23.5);
    assert_eq!(failing(&answer(&results).verdict(&STUDY)), [0, 2, 4]);
}

#[test]
fn what_these_knobs_do_not_test_is_not_judged() {
    let untested = |pairs: &[(&str, &str)]| -> Vec<usize> {
        let verdict = answer(&unmeasured(&STUDY, pairs, &[1])).verdict(&STUDY);
        assert!(verdict.measured.is_empty() && !verdict.answer.contains("NaN"), "{}", verdict.answer);
        verdict.checks().enumerate().filter(|(_, check)| check.holds.is_none()).map(|(place, _)| place).collect()
    };
    assert_eq!(untested(&[("cluster", "1")]), [0, 1, 2, 3, 5]);
    assert_eq!(untested(&[("batch", "512")]), [0, 1]);
    assert_eq!((untested(&[("epochs", "4")]), untested(&[("epochs", "10")])), (vec![5], vec![]));
}
