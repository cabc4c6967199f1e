//! The lab as a whole: exact returns, forks, links twice; and the strategies' formulas against independent ones.

use std::rc::Rc;

use engine::continual::{Arm, ContinualSpec, Leg, Record, Strategy};
use engine::cpu::CpuExecutor;
use engine::data::{Data, load, pack_file, read_pack_file};
use engine::executor::AnyExecutor;
use engine::rng::{Rng, Stream};
use engine::spec::Link;
use engine::tape::{Breathless, Home, Play};

use super::desk::{Batch, Desk};
use super::strategies::method;
use super::{Ground, Lane};
use crate::StudyError;

/// The session of a query, of which a later value of a key counts.
pub(super) fn spec(text: &str) -> ContinualSpec {
    let mut pairs: Vec<(&str, &str)> = text.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
    pairs.reverse();
    let last =
        pairs.iter().enumerate().filter(|(place, (key, _))| !pairs[..*place].iter().any(|(known, _)| known == key));
    let query: Vec<String> = last.map(|(_, (key, value))| format!("{key}={value}")).collect();
    let (spec, issues) = ContinualSpec::read(&Link::parse(&format!("#continual?{}", query.join("&"))));
    assert!(issues.is_empty(), "{issues:?}");
    spec
}

fn sets(spec: &ContinualSpec) -> Vec<Rc<Data>> {
    let load = |data: &engine::spec::DataSpec| {
        let pack = pack_file(data.set).map(|name| read_pack_file(&name).unwrap());
        Rc::new(load(data, 1, pack.as_deref()).unwrap())
    };
    if let Some(name) = super::glyphs::file(spec) {
        return vec![Rc::new(super::glyphs::data(&read_pack_file(name).unwrap(), spec.seed).unwrap())];
    }
    spec.sets().iter().map(load).collect()
}

fn home() -> Home<AnyExecutor> {
    Home::new(Some(AnyExecutor::Cpu(Box::new(CpuExecutor::new()))).into())
}

pub(super) fn play(seed: u64) -> Play<'static> {
    Play::new(&home(), Breathless, seed).unwrap()
}

pub(super) fn ground(spec: &ContinualSpec) -> Rc<Ground> {
    let (mut ground, issues) = Ground::of(spec, &sets(spec), spec.seed).unwrap();
    assert!(issues.is_empty(), "{issues:?}");
    pollster::block_on(ground.encode(play(spec.seed), None)).unwrap();
    Rc::new(ground)
}

/// A small session: 8x8 digits.
pub(super) const SMALL: &str = "stream=split-digits&examples=60&tested=40&hidden=16&batch=6&replayed=4&readings=2&window=2&memory=30\
                     &features=24&fisher=20&codebooks=8&pairs=16&key-width=4";

async fn whole(ground: &Rc<Ground>, arm: &Arm) -> Result<Record, StudyError> {
    let mut lane = Lane::new(ground, arm, play(ground.seed), None).await?;
    while !lane.ended() {
        lane.advance().await?;
    }
    Ok(lane.record)
}

/// Every strategy learns to the end; the same again, and after going back twice, is the same bit for bit.
#[test]
fn every_strategy_runs_and_returns_exactly() {
    for &strategy in Strategy::ALL {
        let row = strategy.row();
        let scenario = row.only.unwrap_or(engine::continual::Scenario::Class).id();
        let network = if row.convolves { "convnet&hidden=4,6" } else { "mlp" };
        let id = strategy.id().replace('+', "%2B");
        let spec = spec(&format!("{SMALL}&scenario={scenario}&network={network}&strategies={id}"));
        let ground = ground(&spec);
        pollster::block_on(async {
            let straight = whole(&ground, &spec.arms[0]).await?;
            assert_eq!(straight.rows().len(), 5, "{strategy:?}");
            assert!(straight.summary().acc.is_finite(), "{strategy:?}: {:?}", straight.summary());
            let mut lane = Lane::new(&ground, &spec.arms[0], play(1), None).await?;
            for back in [17, 3] {
                while lane.update() < 23 {
                    lane.advance().await?;
                }
                lane.rewind(back).await?;
                assert_eq!(lane.update(), back, "{strategy:?}");
            }
            while !lane.ended() {
                lane.advance().await?;
            }
            assert_eq!(lane.record, straight, "{strategy:?}");
            Ok::<_, StudyError>(())
        })
        .unwrap();
    }
}

/// Whatever learns on an MLP learns on a CCT.
#[test]
fn every_strategy_runs_on_a_cct() {
    for &strategy in Strategy::ALL.iter().filter(|strategy| !strategy.row().convolves) {
        let scenario = strategy.row().only.unwrap_or(engine::continual::Scenario::Class).id();
        let id = strategy.id().replace('+', "%2B");
        let spec = spec(&format!("{SMALL}&tasks=2&network=cct&hidden=8,8&scenario={scenario}&strategies={id}"));
        let ground = ground(&spec);
        let record = pollster::block_on(whole(&ground, &spec.arms[0])).unwrap();
        assert_eq!(record.rows().len(), 2, "{strategy:?}");
        assert_eq!(record.diverged, None, "{strategy:?}");
    }
}

/// A CCT learns small digits that it has not seen, the same twice, and hands all but its outputs on.
#[test]
fn a_cct_learns_pictures() {
    let text = "stream=split-digits&tasks=1&examples=600&tested=200&passes=4&network=cct&hidden=16,16&optimizer=adam&rate=0.003\
                &readings=1&window=0&strategies=fine-tuning";
    let ground = ground(&spec(text));
    pollster::block_on(async {
        let mut lane = Lane::new(&ground, &ground.spec.arms[0], play(1), None).await?;
        while !lane.ended() {
            lane.advance().await?;
        }
        let accuracy = lane.record.rows()[0][0];
        assert!(accuracy > 0.8, "{accuracy}");
        assert_eq!(whole(&ground, &ground.spec.arms[0]).await?.rows(), lane.record.rows());
        let (layout, theta) = lane.parameters().await?;
        let names: Vec<&str> = layout.entries().iter().map(|entry| entry.name.as_str()).collect();
        assert!(names[0].starts_with("transformer.convs.0"), "{names:?}");
        assert_eq!(names[names.len() - 2..], ["head.weight", "head.bias"]);
        let parts = (ground.spec.clone(), ground.tasks.clone(), ground.features.clone());
        let mut desk = Desk::new(play(2), parts.0, parts.1, parts.2, 2).await?;
        assert_eq!((desk.inner_width(), desk.outputs()), (16, 10));
        desk.start_from(&theta).await?;
        let below = theta.len() - 170;
        assert_eq!(desk.theta().await?[..below], theta[..below]);
        Ok::<_, StudyError>(())
    })
    .unwrap();
}

/// Features move from where they were when the first task ended, a layer each: the logits of a linear network by its formula.
#[test]
fn features_drift_as_by_hand() {
    assert!((super::drift::moved(&[3.0, 4.0], &[3.0, 4.5]) - 0.1).abs() < 1e-12);
    let names =
        |record: &Record| record.insight.drifted.iter().map(|moved| moved.layer.clone()).collect::<Vec<String>>();
    for (network, expected) in [
        ("mlp&hidden=6,5", vec!["hidden.0", "hidden.1", "head"]),
        ("convnet&hidden=3", vec!["convolutions.0", "head"]),
        ("cct&hidden=4,4", vec!["transformer.tokens", "transformer.blocks.0", "transformer.blocks.1", "head"]),
        ("encoder&hidden=", vec!["head"]),
    ] {
        let ground = ground(&spec(&format!("{SMALL}&tasks=2&network={network}&strategies=fine-tuning")));
        let record = pollster::block_on(whole(&ground, &ground.spec.arms[0])).unwrap();
        assert_eq!(names(&record), expected);
        assert!(record.insight.drifted.iter().all(|moved| moved.relative > 0.0), "{:?}", record.insight.drifted);
    }
    let linear = Linear::new("strategies=fine-tuning");
    let ground = ground(&spec(&format!("{SMALL}&hidden=&head=full&strategies=fine-tuning")));
    let (then, now, found) = pollster::block_on(async {
        let mut lane = Lane::new(&ground, &ground.spec.arms[0], play(1), None).await?;
        let mut at = Vec::new();
        for border in [10, 20] {
            while lane.update() < border {
                lane.advance().await?;
            }
            at.push(lane.parameters().await?.1);
        }
        Ok::<_, StudyError>((at[0].clone(), at[1].clone(), lane.record.insight.drifted.clone()))
    })
    .unwrap();
    let rows = linear.desk.tasks.test[0].clone();
    assert!(rows.len() <= 64, "all are looked at");
    let logits = |theta: &[f32]| -> Vec<f64> {
        let theta: Vec<f64> = theta.iter().map(|&x| f64::from(x)).collect();
        rows.iter().flat_map(|&row| linear.logits(&theta, row)).collect()
    };
    let (then, now) = (logits(&then), logits(&now));
    let away: Vec<f64> = then.iter().zip(&now).map(|(then, now)| now - then).collect();
    let expected = engine::numeric::norm(&away) / engine::numeric::norm(&then);
    close(&[found[0].relative], &[expected], "drift");
}

/// An MLP of one hidden layer on the small digits: its mean loss over rows as a function of its parameters.
fn mlp_loss(ground: &Ground, hidden: usize, rows: &[u32], outputs: usize, theta: &[f64]) -> f64 {
    let super::Examples::Pixels(pixels) = &ground.tasks.examples else { panic!("no pixels") };
    let (lower, rest) = theta.split_at(64 * hidden);
    let (shift, rest) = rest.split_at(hidden);
    let (upper, offset) = rest.split_at(hidden * 10);
    let loss = |&row: &u32| {
        let x = &pixels[row as usize * 64..row as usize * 64 + 64];
        let unit = |place: usize| {
            let sum = (0..64).map(|pixel| f64::from(x[pixel]) / 255.0 * lower[pixel * hidden + place]).sum::<f64>();
            (sum + shift[place]).max(0.0)
        };
        let units: Vec<f64> = (0..hidden).map(unit).collect();
        let logit = |out: usize| {
            offset[out] + units.iter().enumerate().map(|(place, unit)| unit * upper[place * 10 + out]).sum::<f64>()
        };
        let logits: Vec<f64> = (0..outputs).map(logit).collect();
        -log_shares(&logits, 1.0)[ground.tasks.output[row as usize] as usize]
    };
    rows.iter().map(loss).sum::<f64>() / rows.len() as f64
}

/// The largest eigenvalues about a border are those of the dense Hessians, by second differences of the loss over the outputs
/// that compete once the new task has begun; they are read at their moments alone, and the same after going back.
#[test]
fn curvature_about_a_border_is_that_of_the_dense_hessian() {
    let spec =
        spec(&format!("{SMALL}&tasks=5&hidden=3&rate=0.2&curvature=8&window=0&strategies=fine-tuning,nearest-mean"));
    let ground = ground(&spec);
    let (theta, record) = pollster::block_on(async {
        let mut lane = Lane::new(&ground, &spec.arms[0], play(1), None).await?;
        while lane.update() < 11 {
            lane.advance().await?;
        }
        let theta = lane.parameters().await?.1;
        while lane.update() < 27 {
            lane.advance().await?;
        }
        lane.rewind(9).await?;
        while !lane.ended() {
            lane.advance().await?;
        }
        assert_eq!(lane.record, whole(&ground, &spec.arms[0]).await?);
        assert!(whole(&ground, &spec.arms[1]).await?.readings.iter().all(|reading| reading.sharpness.is_none()));
        Ok::<_, StudyError>((theta, lane.record))
    })
    .unwrap();
    let measured: Vec<u64> =
        record.readings.iter().filter(|reading| reading.sharpness.is_some()).map(|reading| reading.update).collect();
    let after = [0, 1, 2, 5];
    let borders = [10, 20, 30, 40];
    // At the end the last task has lasted for 10 updates.
    let expected = borders.iter().flat_map(|border| after.map(|update| border + update)).chain([50]);
    assert_eq!(measured, expected.collect::<Vec<u64>>());
    let found = record.readings.iter().find(|reading| reading.update == 11).unwrap().sharpness.unwrap();
    let theta: Vec<f64> = theta.into_iter().map(f64::from).collect();
    let size = theta.len();
    for task in [0, 1] {
        let rows: Vec<u32> = ground.tasks.train[task].iter().copied().step_by(60 / 8).take(8).collect();
        let loss = |theta: &[f64]| mlp_loss(&ground, 3, &rows, 4, theta);
        let step = 1e-4;
        let at = |i: usize, a: f64, j: usize, b: f64| {
            let mut moved = theta.clone();
            moved[i] += a * step;
            moved[j] += b * step;
            loss(&moved)
        };
        let bend = |place: usize| {
            let (i, j) = (place / size, place % size);
            (at(i, 1.0, j, 1.0) - at(i, 1.0, j, -1.0) - at(i, -1.0, j, 1.0) + at(i, -1.0, j, -1.0))
                / (4.0 * step * step)
        };
        let dense = engine::numeric::eigen((0..size * size).map(bend).collect(), size).unwrap();
        let (largest, lambda) = (dense.values[0], found.lambda[task]);
        assert!((lambda - largest).abs() < 1e-3 * largest, "task {task}: {lambda} against {largest}");
        assert!(found.error[task] <= 0.02 * lambda, "{found:?}");
    }
    assert_eq!(found.examples, 8);
}

/// Of letters fine-tuning forgets what a memory keeps.
#[test]
fn letters_are_forgotten_without_a_memory() {
    let text = "stream=split-glyphs&examples=400&passes=5&tested=100&hidden=64&readings=1&window=0&memory=1000&replayed=20\
                &strategies=fine-tuning,replay";
    let ground = ground(&spec(text));
    assert_eq!((ground.tasks.outputs.len(), ground.tasks.names.len(), ground.tasks.of_task[4].len()), (100, 10, 10));
    let [plain, replay] =
        [0, 1].map(|arm| pollster::block_on(whole(&ground, &ground.spec.arms[arm])).unwrap().summary());
    assert!(plain.acc < 0.12 && plain.forgetting > 0.5, "{plain:?}");
    assert!(replay.acc > plain.acc + 0.15, "{:?} against {:?}", replay.acc, plain.acc);
}

/// An arm that changes its strategy equals one that left another's past there, and equals that past before.
#[test]
fn two_futures_share_their_past() {
    let spec = spec(&format!("{SMALL}&strategies=fine-tuning,fine-tuning/15/ewc:lambda=30"));
    let ground = ground(&spec);
    pollster::block_on(async {
        let [plain, changed] = [whole(&ground, &spec.arms[0]).await?, whole(&ground, &spec.arms[1]).await?];
        let past = |record: &Record| {
            record.readings.iter().filter(|reading| reading.update <= 15).cloned().collect::<Vec<_>>()
        };
        assert_eq!(past(&plain), past(&changed));
        assert_ne!(plain.readings, changed.readings);
        let mut forked = Lane::new(&ground, &spec.arms[1], play(1), Some((&plain, 15))).await?;
        while !forked.ended() {
            forked.advance().await?;
        }
        assert_eq!(forked.record.readings, changed.readings);
        Ok::<_, StudyError>(())
    })
    .unwrap();
}

/// Encoders that were trained elsewhere: their features are scaled as others are, and class means on them tell small digits
/// apart that no update has seen; without its file nothing is pretended.
#[test]
fn encoders_from_files_make_the_features() {
    for (encoder, width) in [("letters", 64), ("squeezenet", 512)] {
        let text = format!("{SMALL}&network=encoder&hidden=&encoder={encoder}&strategies=nearest-mean");
        let spec = spec(&text);
        let file = read_pack_file(super::frozen::file(&spec).unwrap()).unwrap();
        let (mut ground, _) = Ground::of(&spec, &sets(&spec), 1).unwrap();
        let missing = pollster::block_on(ground.encode(play(1), None)).unwrap_err();
        assert!(missing.to_string().contains("not fetched"));
        pollster::block_on(ground.encode(play(1), Some(&file))).unwrap();
        let features = ground.features.clone().unwrap();
        assert_eq!((features.width, features.values.len()), (width, width * ground.tasks.rows()));
        for row in features.values.chunks_exact(width) {
            let square = row.iter().map(|x| x * x).sum::<f32>() / width as f32;
            assert!((square - 1.0).abs() < 1e-4, "{encoder}: {square}");
        }
        let record = pollster::block_on(whole(&Rc::new(ground), &spec.arms[0])).unwrap();
        let last = record.rows().pop().unwrap();
        let accuracy = last.iter().sum::<f64>() / last.len() as f64;
        assert!(accuracy > 0.5, "{encoder}: {accuracy}, where guessing has 0.1");
    }
    assert_eq!(super::frozen::file(&spec("strategies=replay&encoder=letters")), None, "nothing needs an encoder");
}

/// Every stream makes tasks of both parts, every scenario numbers its outputs, and one pass of anything goes through.
#[test]
fn every_stream_and_scenario_runs() {
    use engine::continual::{Scenario, StreamKind};
    for &stream in StreamKind::ALL.iter().filter(|stream| !matches!(stream, StreamKind::Own | StreamKind::OwnTime)) {
        for &scenario in Scenario::ALL {
            if scenario == Scenario::Class && !stream.splits_classes() && stream != StreamKind::Sets {
                continue;
            }
            let text = format!(
                "stream={}&scenario={}&examples=40&tested=20&hidden=8&batch=8&readings=1&window=0&strategies=lwf,nearest-mean&features=16&blur=0.5&imbalance=0.5&order=seed",
                stream.id(),
                scenario.id()
            );
            let spec = spec(&text);
            let sets = sets(&spec);
            let (mut ground, issues) = Ground::of(&spec, &sets, 1).unwrap();
            pollster::block_on(ground.encode(play(1), None)).unwrap();
            let ground = Rc::new(ground);
            let tasks = &ground.tasks;
            let expected = if stream == StreamKind::EmojiStyles { 2..=4 } else { spec.tasks..=spec.tasks };
            assert!(expected.contains(&tasks.names.len()), "{stream:?}: {:?} {issues:?}", tasks.names);
            for (task, rows) in tasks.train.iter().chain(&tasks.test).enumerate() {
                let of = &tasks.of_task[task % tasks.names.len()];
                assert!(!rows.is_empty() && rows.iter().all(|&row| of.contains(&tasks.output[row as usize])));
            }
            let distinct: std::collections::BTreeSet<u32> = tasks.of_task.iter().flatten().copied().collect();
            let named = tasks.of_task.iter().map(Vec::len).sum::<usize>();
            if scenario == Scenario::Domain {
                assert_eq!(distinct.len(), tasks.of_task.iter().map(Vec::len).max().unwrap());
            } else {
                assert_eq!(distinct.len(), named, "{stream:?} {scenario:?}");
            }
            for arm in &spec.arms {
                let record = pollster::block_on(whole(&ground, arm)).unwrap();
                assert_eq!(record.rows().len(), tasks.names.len());
            }
        }
    }
}

#[test]
fn data_that_make_no_stream_are_refused_in_words() {
    use engine::data::{Info, Table, Target, Values};
    let table = |labels: Vec<u32>, names: &[&str], train: usize| {
        let rows = labels.len();
        Rc::new(Data {
            info: Info { title: "pets".into(), ..Info::default() },
            values: Values::Table(Table {
                columns: vec!["a".into()],
                values: vec![0.5; rows],
                scaling: vec![],
                target: Target::Classes { labels, names: names.iter().map(|&name| name.into()).collect() },
            }),
            train: 0..train,
            test: train..rows,
        })
    };
    let own = spec("stream=own&tasks=5");
    let refused =
        |data: Rc<Data>| Ground::of(&own, &[data], 1).map(|(ground, issues)| (ground.tasks.names.clone(), issues));
    let error = refused(table(vec![0; 8], &["cat"], 6)).unwrap_err();
    assert!(error.message.contains("“pets” has one class alone"), "{error:?}");
    let (tasks, issues) = refused(table(vec![0, 1, 0, 1, 0, 1], &["cat", "dog"], 4)).unwrap();
    assert_eq!(tasks, ["cat", "dog"]);
    assert!(issues[0].message.contains("5 tasks are more than the 2 classes"), "{issues:?}");
    // A network that sees pictures gives way to one that sees numbers.
    for network in ["convnet", "cct"] {
        let own = spec(&format!("stream=own&tasks=2&network={network}"));
        let (_, issues) = Ground::of(&own, &[table(vec![0, 1, 0, 1], &["cat", "dog"], 2)], 1).unwrap();
        assert!(issues[0].message.contains("sees pictures, and “pets” has none; an MLP learns"), "{issues:?}");
    }
    let (tasks, issues) = refused(table(vec![0, 1, 2, 0, 1], &["cat", "dog", "eel"], 3)).unwrap();
    assert_eq!(tasks, ["cat", "dog"]);
    assert!(
        issues.iter().any(|issue| issue.message.contains("eel has no test examples; it is left out")),
        "{issues:?}"
    );
    let error = refused(table(vec![0, 0, 1, 1], &["cat", "dog"], 2)).unwrap_err();
    assert!(error.message.contains("No task has both"), "{error:?}");
}

/// A linear network on the small digits: logits are `x W + b`, so that every loss and gradient can be written down.
struct Linear {
    desk: Desk<'static>,
    leg: Leg,
}

impl Linear {
    fn new(text: &str) -> Self {
        let spec = spec(&format!("{SMALL}&hidden=&head=full&{text}"));
        let ground = ground(&spec);
        let parts = (ground.spec.clone(), ground.tasks.clone(), ground.features.clone());
        let leg = ground.spec.arms[0].legs[0].clone();
        let mut desk = pollster::block_on(Desk::new(play(1), parts.0, parts.1, parts.2, 1)).unwrap();
        // Not at a start of zeros, where much is symmetric.
        let mut rng = Rng::new(7, Stream::Probe, 0);
        let theta: Vec<f32> = (0..desk.layout.len()).map(|_| 0.3 * rng.normal()).collect();
        desk.play.write("net.theta", &theta).unwrap();
        desk.seen.fill(true);
        Self { desk, leg }
    }

    fn theta(&mut self) -> Vec<f64> {
        pollster::block_on(self.desk.theta()).unwrap().into_iter().map(f64::from).collect()
    }

    fn state(&mut self, name: &str) -> Vec<f64> {
        pollster::block_on(self.desk.play.read(name)).unwrap().into_iter().map(f64::from).collect()
    }

    fn x(&self, row: u32) -> Vec<f64> {
        let super::Examples::Pixels(pixels) = &self.desk.tasks.examples else { panic!("no pixels") };
        pixels[row as usize * 64..row as usize * 64 + 64].iter().map(|&pixel| f64::from(pixel) / 255.0).collect()
    }

    fn logits(&self, theta: &[f64], row: u32) -> Vec<f64> {
        let x = self.x(row);
        (0..10)
            .map(|out| (0..64).map(|pixel| x[pixel] * theta[pixel * 10 + out]).sum::<f64>() + theta[640 + out])
            .collect()
    }

    fn output(&self, row: u32) -> usize {
        self.desk.tasks.output[row as usize] as usize
    }

    fn entropy(&self, theta: &[f64], row: u32) -> f64 {
        -log_shares(&self.logits(theta, row), 1.0)[self.output(row)]
    }

    fn mean_entropy(&self, theta: &[f64], rows: &[u32]) -> f64 {
        rows.iter().map(|&row| self.entropy(theta, row)).sum::<f64>() / rows.len().max(1) as f64
    }

    /// The gradient of [`Self::mean_entropy`], by the formula of the linear softmax.
    fn slope(&self, theta: &[f64], rows: &[u32]) -> Vec<f64> {
        let mut slope = vec![0.0; 650];
        for &row in rows {
            let (x, shares) = (self.x(row), log_shares(&self.logits(theta, row), 1.0));
            for out in 0..10 {
                let away = (shares[out].exp() - f64::from(u8::from(out == self.output(row)))) / rows.len() as f64;
                (0..64).for_each(|pixel| slope[pixel * 10 + out] += away * x[pixel]);
                slope[640 + out] += away;
            }
        }
        slope
    }

    /// Rows of the first tasks.
    fn rows(&self, task: usize, places: std::ops::Range<usize>) -> Vec<u32> {
        self.desk.tasks.train[task][places].to_vec()
    }
}

fn log_shares(logits: &[f64], temperature: f64) -> Vec<f64> {
    let cold: Vec<f64> = logits.iter().map(|logit| logit / temperature).collect();
    let total = engine::numeric::log_sum_exp(&cold);
    cold.iter().map(|logit| logit - total).collect()
}

/// By central differences.
fn differences(theta: &[f64], loss: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let slope = |place: usize| {
        let at = |step: f64| {
            let mut moved = theta.to_vec();
            moved[place] += step;
            loss(&moved)
        };
        (at(1e-5) - at(-1e-5)) / 2e-5
    };
    (0..theta.len()).map(slope).collect()
}

fn close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len());
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{what} {place}: {found} against {expected}");
    }
}

/// What a step of plain descent at a rate took away, as a gradient.
fn taken(before: &[f64], after: &[f64], rate: f64) -> Vec<f64> {
    before.iter().zip(after).map(|(before, after)| (before - after) / rate).collect()
}

fn learn(linear: &mut Linear, method: &mut dyn super::strategies::Method, update: u64, rows: Vec<u32>) {
    pollster::block_on(method.learn(&mut linear.desk, &Batch { update, rows })).unwrap();
}

/// The Fisher information is the mean square of single examples' gradients for labels drawn by the network, and the penalty's
/// gradient lambda F (theta - anchor), over two tasks summed; online with one anchor and a share that fades.
#[test]
fn ewc_holds_by_the_fisher_information() {
    for online in [false, true] {
        let name = if online { "online-ewc" } else { "ewc" };
        let mut linear = Linear::new(&format!("strategies={name}&lambda=40&gamma=0.7&fisher=9"));
        let mut ewc = method(&linear.leg, &linear.desk);
        pollster::block_on(ewc.begin(&mut linear.desk)).unwrap();
        let mut held: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
        for task in 0..2 {
            let theta = linear.theta();
            let before = linear.state("ewc.sum");
            pollster::block_on(ewc.border(&mut linear.desk, task)).unwrap();
            let (fade, sum) = (if online { 0.7 } else { 1.0 }, linear.state("ewc.sum"));
            let fisher: Vec<f64> = sum.iter().zip(&before).map(|(sum, before)| sum - fade * before).collect();
            // The rows and labels that were drawn, drawn again.
            let mut rows = linear.desk.tasks.train[task].clone();
            let mut rng = Rng::new(engine::rng::own_seed(1, "fisher"), Stream::Sample, task as u32);
            rng.shuffle(&mut rows);
            let mut expected = vec![0.0; 650];
            for &row in &rows[..9] {
                let shares = log_shares(&linear.logits(&theta, row), 1.0);
                let mut left = f64::from(rng.uniform());
                let label = (0..10).find(|&out| {
                    left -= shares[out].exp();
                    left < 0.0
                });
                let x = linear.x(row);
                for out in 0..10 {
                    let away = shares[out].exp() - f64::from(u8::from(Some(out) == label));
                    (0..64).for_each(|pixel| expected[pixel * 10 + out] += (away * x[pixel]).powi(2) / 9.0);
                    expected[640 + out] += away * away / 9.0;
                }
            }
            close(&fisher, &expected, "fisher");
            if online {
                let faded: Vec<f64> =
                    held.first().map_or(vec![0.0; 650], |(fisher, _)| fisher.iter().map(|f| 0.7 * f).collect());
                held = vec![(faded.iter().zip(&expected).map(|(a, b)| a + b).collect(), theta)];
            } else {
                held.push((expected, theta));
            }
            let rows = linear.rows(2, 6 * task..6 * task + 6);
            let start = linear.theta();
            learn(&mut linear, &mut *ewc, task as u64, rows.clone());
            let mut slope = linear.slope(&start, &rows);
            for (fisher, anchor) in &held {
                slope.iter_mut().zip(fisher).enumerate().for_each(|(place, (slope, fisher))| {
                    *slope += 40.0 * fisher * (start[place] - anchor[place]);
                });
            }
            close(&taken(&start, &linear.theta(), 0.1), &slope, name);
        }
    }
}

/// The path gathers minus gradient times change; importance is its positive part over the squared way plus xi; the penalty
/// pulls with 2 c times importance times the distance.
#[test]
fn si_gathers_its_path() {
    let mut linear = Linear::new("strategies=si&c=3");
    let mut si = method(&linear.leg, &linear.desk);
    pollster::block_on(si.begin(&mut linear.desk)).unwrap();
    let anchor = linear.theta();
    let mut path = vec![0.0; 650];
    for update in 0..4_usize {
        let (start, rows) = (linear.theta(), linear.rows(0, 6 * update..6 * update + 6));
        learn(&mut linear, &mut *si, update as u64, rows.clone());
        let (end, slope) = (linear.theta(), linear.slope(&start, &rows));
        (0..650).for_each(|place| path[place] -= slope[place] * (end[place] - start[place]));
        close(&linear.state("si.path"), &path, "path");
    }
    let end = linear.theta();
    pollster::block_on(si.border(&mut linear.desk, 0)).unwrap();
    let importance: Vec<f64> =
        (0..650).map(|place| path[place].max(0.0) / ((end[place] - anchor[place]).powi(2) + 0.1)).collect();
    close(&linear.state("si.importance"), &importance, "importance");
    for update in 4..6 {
        let (start, rows) = (linear.theta(), linear.rows(1, 6 * (update - 4)..6 * (update - 3)));
        learn(&mut linear, &mut *si, update as u64, rows.clone());
        let mut slope = linear.slope(&start, &rows);
        (0..650).for_each(|place| slope[place] += 2.0 * 3.0 * importance[place] * (start[place] - end[place]));
        close(&taken(&start, &linear.theta(), 0.1), &slope, "pull");
    }
}

/// The old network's soft answers for the old outputs weigh lambda T^2; here those of two tasks, T = 2.
#[test]
fn lwf_answers_as_before() {
    let mut linear = Linear::new("strategies=lwf&distil=1.5&temperature=2");
    let mut lwf = method(&linear.leg, &linear.desk);
    pollster::block_on(lwf.begin(&mut linear.desk)).unwrap();
    linear.desk.seen = (0..10).map(|output| output < 4).collect();
    pollster::block_on(lwf.border(&mut linear.desk, 1)).unwrap();
    let old = linear.theta();
    linear.desk.seen.fill(true);
    for update in 0..3_usize {
        let (start, rows) = (linear.theta(), linear.rows(2, 6 * update..6 * update + 6));
        learn(&mut linear, &mut *lwf, update as u64, rows.clone());
        let loss = |theta: &[f64]| {
            let distilled: f64 = rows
                .iter()
                .map(|&row| {
                    let said = log_shares(&linear.logits(&old, row)[..4], 2.0);
                    let says = log_shares(&linear.logits(theta, row)[..4], 2.0);
                    -said.iter().zip(&says).map(|(said, says)| said.exp() * says).sum::<f64>()
                })
                .sum();
            linear.mean_entropy(theta, &rows) + 1.5 * 4.0 * distilled / rows.len() as f64
        };
        let expected = differences(&start, loss);
        close(&taken(&start, &linear.theta(), 0.1), &expected, "lwf");
    }
}

/// New examples' entropy, beta times that of stored ones, alpha times the mean squared distance of stored logits.
#[test]
fn der_recalls_logits() {
    let mut linear = Linear::new("strategies=der%2B%2B&alpha=0.3&beta=0.7&memory=5");
    let mut der = method(&linear.leg, &linear.desk);
    pollster::block_on(der.begin(&mut linear.desk)).unwrap();
    let first = linear.rows(0, 0..5);
    let start = linear.theta();
    let stored: Vec<Vec<f64>> = first.iter().map(|&row| linear.logits(&start, row)).collect();
    learn(&mut linear, &mut *der, 0, first.clone());
    close(&taken(&start, &linear.theta(), 0.1), &linear.slope(&start, &first), "without a memory");
    assert_eq!(der.stored(), first);
    // All five are held and four are replayed: which ones is drawn as the strategy draws.
    let mut memory = super::reservoir::Reservoir::new(5, 1);
    first.iter().for_each(|&row| {
        memory.offer(row);
    });
    let (labels, logits) = (memory.draw(4, 1, "labels"), memory.draw(4, 1, "logits"));
    let (start, new) = (linear.theta(), linear.rows(1, 0..6));
    learn(&mut linear, &mut *der, 1, new.clone());
    let loss = |theta: &[f64]| {
        let recalled: f64 = logits
            .iter()
            .flat_map(|&place| linear.logits(theta, first[place]).into_iter().zip(stored[place].clone()))
            .map(|(now, then)| (now - then).powi(2))
            .sum();
        let labelled: Vec<u32> = labels.iter().map(|&place| first[place]).collect();
        linear.mean_entropy(theta, &new) + 0.7 * linear.mean_entropy(theta, &labelled) + 0.3 * recalled / 40.0
    };
    let expected = differences(&start, loss);
    close(&taken(&start, &linear.theta(), 0.1), &expected, "der++");
}

/// A gradient against the memory's loses what is along it, and is no longer against it; another stays.
#[test]
fn a_gem_turns_what_would_harm() {
    let mut linear = Linear::new("strategies=a-gem&memory=6");
    let mut gem = method(&linear.leg, &linear.desk);
    pollster::block_on(gem.begin(&mut linear.desk)).unwrap();
    let (mut turned, mut kept) = (0, 0);
    let mut memory = super::reservoir::Reservoir::new(6, 1);
    for update in 0..16_usize {
        let rows = linear.rows(update % 3, 6 * (update / 3)..6 * (update / 3) + 6);
        let start = linear.theta();
        let old = memory.at(&memory.draw(4, update as u64, "replay"));
        learn(&mut linear, &mut *gem, update as u64, rows.clone());
        let own = linear.slope(&start, &rows);
        let reference = if old.is_empty() { vec![0.0; 650] } else { linear.slope(&start, &old) };
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let along = dot(&own, &reference);
        let expected: Vec<f64> = if along < 0.0 {
            let share = along / dot(&reference, &reference);
            own.iter().zip(&reference).map(|(own, reference)| own - share * reference).collect()
        } else {
            own.clone()
        };
        close(&taken(&start, &linear.theta(), 0.1), &expected, "turned");
        if along < 0.0 {
            assert!(dot(&expected, &reference).abs() < 1e-9);
            turned += 1;
        } else {
            kept += 1;
        }
        rows.iter().for_each(|&row| {
            memory.offer(row);
        });
    }
    assert!(turned > 2 && kept > 2, "{turned} and {kept}");
}

/// New examples compete with the classes of their batch, stored ones with all that were seen.
#[test]
fn er_ace_lets_new_examples_compete_among_themselves() {
    let mut linear = Linear::new("strategies=er-ace&memory=6");
    let mut ace = method(&linear.leg, &linear.desk);
    pollster::block_on(ace.begin(&mut linear.desk)).unwrap();
    let first = linear.rows(0, 0..6);
    learn(&mut linear, &mut *ace, 0, first.clone());
    let mut memory = super::reservoir::Reservoir::new(6, 1);
    first.iter().for_each(|&row| {
        memory.offer(row);
    });
    let old = memory.at(&memory.draw(4, 1, "replay"));
    let (start, new) = (linear.theta(), linear.rows(1, 0..6));
    learn(&mut linear, &mut *ace, 1, new.clone());
    let here: Vec<usize> = (0..10).filter(|&output| new.iter().any(|&row| linear.output(row) == output)).collect();
    let loss = |theta: &[f64]| {
        let among = new.iter().map(|&row| {
            let logits = linear.logits(theta, row);
            let chosen: Vec<f64> = here.iter().map(|&output| logits[output]).collect();
            let place = here.iter().position(|&output| output == linear.output(row)).unwrap();
            -log_shares(&chosen, 1.0)[place]
        });
        among.sum::<f64>() / 6.0 + linear.mean_entropy(theta, &old)
    };
    let expected = differences(&start, loss);
    close(&taken(&start, &linear.theta(), 0.1), &expected, "er-ace");
}

/// The network's answers are those of its formula.
#[test]
fn answers_are_the_networks() {
    let mut linear = Linear::new("strategies=fine-tuning");
    let rows = linear.rows(3, 0..7);
    let theta = linear.theta();
    let found = pollster::block_on(linear.desk.logits(&rows)).unwrap();
    let expected: Vec<f64> = rows.iter().flat_map(|&row| linear.logits(&theta, row)).collect();
    close(&found.into_iter().map(f64::from).collect::<Vec<_>>(), &expected, "logits");
    let mask = [1.0; 10];
    assert_eq!(linear.desk.allowed_in(0), mask);
}
