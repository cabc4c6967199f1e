use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::Tensor;
use engine::cpu::CpuExecutor;
use engine::data::{Data, Images as Pictures, Info, Values};
use engine::executor::AnyExecutor;
use engine::model::{Builder, Mode, Pass};
use engine::rng::{Rng, Stream};
use engine::spec::{OptimizerSpec, Rule};
use engine::tape::{Breathless, Home, Play, PlayError, StepId, Tape, Words, trace};
use engine::train::INDEX;

use super::net::{BLOCKS, Block, FOLDED, NET, flat};
use super::*;
use crate::test_help::{failing, unmeasured};

const ROWS: usize = 6;
const IMAGE: usize = 7;
const CHANNELS: [usize; 2] = [4, 8];

/// What a block is: whether its convolution has a bias, its stride and its groups.
#[derive(Clone, Copy, Debug)]
struct Form {
    bias: bool,
    stride: usize,
    groups: usize,
}

const PLAIN: Form = Form { bias: false, stride: 1, groups: 1 };
/// Forms, and whether their norms have scales and shifts.
const FORMS: [(Form, bool); 6] = [
    (PLAIN, true),
    (PLAIN, false),
    (Form { bias: true, ..PLAIN }, true),
    (Form { stride: 2, ..PLAIN }, true),
    (Form { groups: 4, ..PLAIN }, true),
    (Form { bias: true, stride: 2, groups: 2 }, false),
];

fn conv(form: Form, bias: bool, b: &mut Builder) -> Conv2d {
    let [inputs, outputs] = CHANNELS;
    let conv = b.conv2d([inputs / form.groups, outputs], 3, form.stride, 1, bias);
    Conv2d { groups: form.groups, ..conv }
}

fn block(form: Form, b: &mut Builder) -> Block {
    Block { conv: conv(form, form.bias, b), norm: b.batch_norm(CHANNELS[1]) }
}

#[derive(Module, Debug)]
struct Alone {
    conv: Conv2d,
}

/// What a way makes of images, of a block.
fn maps_of(tape: &mut Tape, form: Form, way: Way) -> Tensor<4> {
    let x = tape.input("x", [ROWS, CHANNELS[0], IMAGE, IMAGE]);
    match way {
        Way::Deploy => tape.net(FOLDED, |b| Alone { conv: conv(form, true, b) }).conv.forward(x),
        _ => tape.net(NET, |b| block(form, b)).forward(x, way, &mut Pass::new(way.mode())),
    }
}

/// A loss whose slope by an output is that output cubed, over their number.
fn loss_of(maps: Tensor<4>) -> Tensor<1> {
    maps.powf_scalar(4.0).mean() * 0.25
}

fn numbers(count: usize, stream: u32) -> Vec<f32> {
    let mut rng = Rng::new(5, Stream::Probe, stream);
    (0..count).map(|_| rng.normal()).collect()
}

fn play() -> Play<'static> {
    let home = Home::new(Some(AnyExecutor::Cpu(Box::new(CpuExecutor::new()))).into());
    Play::new(&home, Breathless, 3).unwrap()
}

fn images() -> Vec<f32> {
    numbers(ROWS * CHANNELS[0] * IMAGE * IMAGE, 1)
}

/// A play with steps that fold a block and run it in each way, at parameters and statistics that are drawn.
struct Bench {
    play: Play<'static>,
    fold: StepId,
    /// Of each way but Train: maps and gradient are fetched.
    runs: Vec<(Way, StepId)>,
}

impl Bench {
    async fn new(form: Form, affine: bool) -> Result<Self, PlayError> {
        let mut play = play();
        let fold = play.add(folding(form)?).await?;
        let mut runs = Vec::new();
        for (name, way) in [("eval", Way::Eval), ("tune", Way::Tune), ("deploy", Way::Deploy)] {
            let traced = trace(name, way.mode(), |tape| {
                let maps = maps_of(tape, form, way);
                let parameters = tape.flat(way.net());
                let gradient = tape.grad(&loss_of(maps.clone()), &parameters);
                tape.fetch("maps", &maps);
                tape.fetch("gradient", &gradient);
                Ok(())
            });
            runs.push((way, play.add(traced?).await?));
        }
        let channels = CHANNELS[1];
        let count = play.read("net.theta").await?.len();
        let mut theta: Vec<f32> = numbers(count, 2).into_iter().map(|x| 0.3 * x).collect();
        let scales = count - 2 * channels;
        let gamma = |x: &f32| if affine { 1.0 + 0.5 * x } else { 1.0 };
        let beta = |x: &f32| if affine { *x } else { 0.0 };
        let draws = numbers(2 * channels, 3);
        theta[scales..][..channels].iter_mut().zip(&draws).for_each(|(to, x)| *to = gamma(x));
        theta[scales + channels..].iter_mut().zip(&draws[channels..]).for_each(|(to, x)| *to = beta(x));
        play.write("net.theta", &theta)?;
        play.write("net.norm.mean", &numbers(channels, 4))?;
        play.write("net.norm.variance", &numbers(channels, 5).iter().map(|x| 0.2 + x * x).collect::<Vec<_>>())?;
        play.run(fold, &[]).await?;
        Ok(Self { play, fold, runs })
    }

    async fn fetched(&mut self, way: Way, what: &str) -> Result<Vec<f32>, PlayError> {
        let (_, step) = *self.runs.iter().find(|(known, _)| *known == way).unwrap();
        self.play.run(step, &[("x", Words::Numbers(&images()))]).await?;
        self.play.fetch(step, what).await
    }
}

/// A step that folds a block.
fn folding(form: Form) -> Result<engine::tape::Traced, engine::model::ModelError> {
    trace("fold", Mode::Eval, |tape| {
        let block = tape.net(NET, |b| block(form, b));
        tape.net(FOLDED, |b| Alone { conv: conv(form, true, b) });
        tape.set(FOLDED, &flat([&block]));
        Ok(())
    })
}

/// Largest difference of two vectors, of the largest number of the first.
fn apart(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let most = a.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    a.iter().zip(b).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs())) / most
}

/// Exact checks 1 and 2: three ways yield the same maps, Eval and Tune the same gradients, and statistics stay as they are.
#[test]
fn ways_yield_the_same_maps_and_gradients() {
    for (form, affine) in FORMS {
        pollster::block_on(async {
            let mut bench = Bench::new(form, affine).await?;
            let statistics = bench.play.read("net.norm.variance").await?;
            let eval = bench.fetched(Way::Eval, "maps").await?;
            for way in [Way::Tune, Way::Deploy] {
                let off = apart(&eval, &bench.fetched(way, "maps").await?);
                assert!(off < 1e-5, "{form:?} {way:?}: {off}");
            }
            let [eval, tune] =
                [bench.fetched(Way::Eval, "gradient").await?, bench.fetched(Way::Tune, "gradient").await?];
            let off = apart(&eval, &tune);
            assert!(off < 1e-4, "{form:?}: {off}");
            assert_eq!(bench.play.read("net.norm.variance").await?, statistics);
            Ok::<_, PlayError>(())
        })
        .unwrap();
    }
}

fn sgd() -> OptimizerSpec {
    OptimizerSpec { weight_decay: 0.0, clip: 0.0, ..OptimizerSpec::of(Rule::Sgd) }
}

/// A step of SGD by the parameters that `learns` names, `steps` times at a rate; the folded parameters after it.
async fn after(bench: &mut Bench, form: Form, way: Way, learns: &str, (rate, steps): (f64, usize)) -> Vec<f32> {
    let name = if way == Way::Deploy { "step folded" } else { "step" };
    let traced = trace(name, way.mode(), |tape| {
        let loss = loss_of(maps_of(tape, form, way));
        tape.rates(way.net(), |entry| if entry.name.contains(learns) { 1.0 } else { 0.0 });
        tape.minimise(way.net(), &loss, &sgd());
        Ok(())
    });
    let step = bench.play.add(traced.unwrap()).await.unwrap();
    bench.play.rate(way.net(), rate).unwrap();
    for _ in 0..steps {
        bench.play.run(step, &[("x", Words::Numbers(&images()))]).await.unwrap();
    }
    if way != Way::Deploy {
        bench.play.run(bench.fold, &[]).await.unwrap();
    }
    bench.play.read("folded.theta").await.unwrap()
}

/// Exact check 3: a step of SGD moves folded weights by their gradient, and those that are folded by it times the squared
/// scale, and what the norm's own scale adds.
#[test]
fn folded_weights_move_further() {
    // Small enough for the first order: gradients here are about 50.
    let rate = 1e-5;
    pollster::block_on(async {
        let mut bench = Bench::new(PLAIN, true).await?;
        let [inputs, channels] = CHANNELS;
        let each = 9 * inputs;
        let gradient = bench.fetched(Way::Deploy, "gradient").await?;
        let before = bench.play.read("folded.theta").await?;
        let theta = bench.play.read("net.theta").await?;
        let (mean, variance) = (bench.play.read("net.norm.mean").await?, bench.play.read("net.norm.variance").await?);
        let tuned = after(&mut bench, PLAIN, Way::Tune, "", (rate, 1)).await;
        for channel in 0..channels {
            let scale = (f64::from(variance[channel]) + 1e-5).sqrt();
            let gamma = f64::from(theta[each * channels + channel]);
            let weights = channel * each..(channel + 1) * each;
            let number = |x: f32| f64::from(x);
            let dot: f64 = weights.clone().map(|at| number(gradient[at]) * number(theta[at])).sum();
            let of_bias = number(gradient[each * channels + channel]);
            let of_gamma = (dot - of_bias * number(mean[channel])) / scale;
            for at in weights {
                let by_weight = (gamma / scale).powi(2) * number(gradient[at]);
                let by_scale = number(theta[at]) * of_gamma / scale;
                let moved = number(tuned[at]) - number(before[at]);
                let expected = -rate * (by_weight + by_scale);
                let tolerance = 0.02 * rate * (by_weight.abs() + by_scale.abs()) + 1e-6;
                assert!((moved - expected).abs() < tolerance, "{channel}, {at}: {moved} and {expected}");
            }
        }
        // The step of Deploy begins where that of Tune did.
        bench.play.write("folded.theta", &before)?;
        let deployed = after(&mut bench, PLAIN, Way::Deploy, "", (rate, 1)).await;
        for ((after, before), slope) in deployed.iter().zip(&before).zip(&gradient) {
            assert!((after - (before - rate as f32 * slope)).abs() <= 1e-6 * before.abs().max(1.0));
        }
        Ok::<_, PlayError>(())
    })
    .unwrap();
}

/// Exact check 4: where norms do nothing and stay so, weights go the same way to the bit.
#[test]
fn without_a_norm_there_is_one_way() {
    pollster::block_on(async {
        let mut bench = Bench::new(PLAIN, false).await?;
        let channels = CHANNELS[1];
        bench.play.write("net.norm.mean", &vec![0.0; channels])?;
        bench.play.write("net.norm.variance", &vec![1.0 - 1e-5; channels])?;
        bench.play.run(bench.fold, &[]).await?;
        let start = bench.play.read("folded.theta").await?;
        let tuned = after(&mut bench, PLAIN, Way::Tune, "weight", (1e-3, 5)).await;
        bench.play.write("folded.theta", &start)?;
        let deployed = after(&mut bench, PLAIN, Way::Deploy, "weight", (1e-3, 5)).await;
        assert_eq!(tuned, deployed);
        assert_ne!(tuned, start);
        Ok::<_, PlayError>(())
    })
    .unwrap();
}

fn digits() -> Rc<Images> {
    let count = 40;
    let mut rng = Rng::new(7, Stream::Probe, 0);
    let pixels = (0..count * SIDE * SIDE).map(|_| rng.below(256) as u8).collect();
    let labels = (0..count as u32).map(|row| row % 10).collect();
    let pictures = Pictures { shape: [1, SIDE, SIDE], pixels, labels, classes: Vec::new(), attributes: Vec::new() };
    let data = Data { info: Info::default(), values: Values::Images(pictures), train: 0..32, test: 32..count };
    Rc::new(Images::of("digits", &data).unwrap())
}

/// Exact check 5: Eval keeps one map of each block more than Tune, which keeps what Deploy keeps.
#[test]
fn tune_keeps_a_map_less_of_each_block() {
    let digits = digits();
    let [eval, tune, deploy] = [Way::Eval, Way::Tune, Way::Deploy].map(|way| cost(way, &digits, 4).unwrap().kept);
    assert_eq!(tune, deploy);
    let mut side = SIDE;
    for (block, ([_, channels], stride)) in BLOCKS.into_iter().enumerate() {
        side = side.div_ceil(stride);
        assert_eq!(eval[block + 1] - tune[block + 1], (4 * channels * side * side) as f64, "block {block}");
        assert_eq!(tune[block + 1], (4 * channels * side * side) as f64, "block {block}");
    }
    assert_eq!(eval[0], tune[0]);
}

/// Exact check 6: rescaled channels leave what is computed as it is, and so the folded weights.
#[test]
fn rescaling_changes_no_function() {
    let images = digits();
    pollster::block_on(async {
        let mut play = play();
        images.upload(&mut play)?;
        let clothes = Images::of("clothes", &data_of(&images)).unwrap();
        clothes.upload(&mut play)?;
        let steps = Steps::new(&mut play, [&clothes, &images], 4, 0.0).await?;
        let rows = images.tested();
        let mut logits = Vec::new();
        let mut tests = Vec::new();
        for (name, way) in [("eval logits", Way::Eval), ("tune logits", Way::Tune)] {
            let traced = trace(name, Mode::Eval, |tape| {
                let (x, _) = images.batch(tape, rows.len());
                let logits = net::logits(tape, x, way, net::HEAD, 10);
                tape.fetch("logits", &logits);
                Ok(())
            });
            tests.push(play.add(traced?).await?);
        }
        let before = steps.factors(&mut play).await?;
        for spread in [1.0, 5.0] {
            steps.rescale(&mut play, spread, 1).await?;
            for &test in &tests {
                play.run(test, &[(INDEX, Words::Classes(&rows))]).await?;
                logits.push(play.fetch(test, "logits").await?);
            }
        }
        for other in &logits[1..] {
            assert!(apart(&logits[0], other) < 1e-5);
        }
        // The factors, between which and those before lie the squares of what channels were multiplied by.
        let after = steps.factors(&mut play).await?;
        let ratios: Vec<f64> = after.iter().zip(before).map(|(after, before)| after / before).collect();
        assert!(ratios.iter().all(|ratio| (0.99..25.1).contains(ratio)), "{ratios:?}");
        assert!(ratios.iter().any(|ratio| *ratio > 10.0) && ratios.iter().any(|ratio| *ratio < 2.0));
        Ok::<_, StudyError>(())
    })
    .unwrap();
}

/// The same images as data.
fn data_of(images: &Images) -> Data {
    let pictures = Pictures {
        shape: [1, SIDE, SIDE],
        pixels: images.pixels.clone(),
        labels: images.labels.clone(),
        classes: Vec::new(),
        attributes: Vec::new(),
    };
    Data { info: Info::default(), values: Values::Images(pictures), train: 0..32, test: 32..40 }
}

#[test]
fn the_verdict_follows_the_numbers() {
    let mut results = unmeasured(&STUDY, &[], &[1, 2, 3]);
    for seed in 1..=3 {
        for (id, _, way, rescaled) in ARMS {
            let outcome = results.record(id, seed).unwrap();
            let high = [0.3, 0.03][usize::from(way == Way::Deploy)];
            for (number, value) in [
                (BEST, 92.0),
                (HIGHEST, high),
                (KEPT_IN_ALL, if way == Way::Eval { 1000.0 } else { 550.0 }),
                (LARGEST, if rescaled { 100.0 } else { 20.0 }),
                (MS, 1.0),
                (ACCURACY_APART, 0.1),
                (LOSS_APART, 1e-5),
                (EDGE, if rescaled { 1.0 } else { high }),
            ] {
                outcome.number(number, value);
            }
        }
    }
    let verdict = answer(&results).verdict(&STUDY);
    assert!(verdict.answer.starts_with("Yes. At their best rates Tune and Eval tie"), "{}", verdict.answer);
    // Time is tested on a GPU alone.
    assert_eq!(failing(&verdict), [9]);
    results.record("tune", 2).unwrap().number(ACCURACY_APART, 0.6);
    results.record("deploy", 3).unwrap().number(HIGHEST, 0.3);
    assert_eq!(failing(&answer(&results).verdict(&STUDY)), [1, 6, 7, 9]);
    (1..=3).for_each(|seed| results.record("tune", seed).unwrap().number(BEST, 91.0));
    assert_eq!(failing(&answer(&results).verdict(&STUDY)), [0, 1, 6, 7, 9]);
    // Channels that hardly differ say nothing of Deploy; where every rate diverges, nothing is compared.
    results.record("eval/rescaled", 1).unwrap().number(LARGEST, 2.0);
    for seed in 1..=3 {
        results.record("tune", seed).unwrap().numbers.remove(&LOSS_APART);
    }
    let verdict = answer(&results).verdict(&STUDY);
    let untested: Vec<usize> =
        verdict.checks().enumerate().filter(|(_, check)| check.holds.is_none()).map(|(place, _)| place).collect();
    assert_eq!(untested, [1, 2, 7, 8, 9]);
    let nothing = answer(&unmeasured(&STUDY, &[], &[1])).verdict(&STUDY);
    assert!(nothing.measured.is_empty() && !nothing.answer.contains("NaN"), "{}", nothing.answer);
}

#[test]
fn a_best_rate_at_an_end_is_said() {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    for (arm, best) in [("eval", 2), ("deploy", 4)] {
        for (which, rate) in RATES.into_iter().enumerate() {
            let outcome = results.record(arm, 1).unwrap();
            outcome.point(BY_RATE, rate, if which == best { 90.0 } else { 80.0 });
        }
    }
    assert_eq!(at_the_ends(&results), " Best at an end of the rates tried: Deploy.");
}
