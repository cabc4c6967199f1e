use engine::cpu::CpuExecutor;
use engine::data::{Data, Images as Pictures, Info, Values};
use engine::executor::AnyExecutor;
use engine::model::{Init, Mode, ParamLayout};
use engine::probe::run;
use engine::rng::{Rng, Stream};
use engine::spec::{OptimizerSpec, Rule, Trained};
use engine::tape::{Breathless, Home, Play, trace};

use super::super::net::{Form, Part, SIDE, learning};
use super::super::{CURVED, STUDY};
use super::*;
use crate::test_help::unmeasured;

const FORMS: [Form; 2] = [Form::Residual { width: 3, blocks: 1 }, Form::Mlp { width: 5, layers: 3 }];
const COUNT: usize = 10;
const PIXELS: usize = SIDE * SIDE;

fn images() -> Rc<Images> {
    let mut rng = Rng::new(4, Stream::Probe, 0);
    let pictures = Pictures {
        shape: [1, SIDE, SIDE],
        pixels: (0..COUNT * PIXELS).map(|_| rng.below(256) as u8).collect(),
        labels: (0..COUNT as u32).map(|row| row * 7 % 10).collect(),
        classes: (0..10).map(|class| class.to_string()).collect(),
        attributes: vec![],
    };
    let data = Data { info: Info::default(), values: Values::Images(pictures), train: 0..COUNT, test: COUNT..COUNT };
    Rc::new(Images::of("images", &data).unwrap())
}

/// A network as its definition has it, in f64 and one image after another.
struct Known<'a> {
    form: Form,
    layout: &'a ParamLayout,
    theta: Vec<f64>,
}

impl Known<'_> {
    fn of(&self, name: &str) -> &[f64] {
        let entry = self.layout.entries().iter().find(|entry| entry.name == name).unwrap();
        &self.theta[entry.offset..][..entry.shape.iter().product()]
    }

    /// Images `[channel][place]` under norm number `layer`.
    fn norm(&self, layer: usize, mut images: Vec<Vec<Vec<f64>>>) -> Vec<Vec<Vec<f64>>> {
        let [gamma, beta] = ["gamma", "beta"].map(|name| self.of(&format!("norms.{layer}.{name}")));
        for channel in 0..gamma.len() {
            let all: Vec<f64> = images.iter().flat_map(|image| image[channel].clone()).collect();
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / all.len() as f64;
            for x in images.iter_mut().flat_map(|image| &mut image[channel]) {
                *x = (*x - mean) / (variance + 1e-5).sqrt() * gamma[channel] + beta[channel];
            }
        }
        images
    }

    /// Convolution number `layer`: kernels of side 3, a border of zeros.
    fn conv(&self, layer: usize, stride: usize, images: &[Vec<Vec<f64>>]) -> Vec<Vec<Vec<f64>>> {
        let weights = self.of(&format!("convs.{layer}.weight"));
        let of_image = |image: &Vec<Vec<f64>>| -> Vec<Vec<f64>> {
            let side = image[0].len().isqrt();
            let out = side / stride;
            let at = |filter: &[f64], place: usize| {
                let mut sum = 0.0;
                for (k, weight) in filter.iter().enumerate() {
                    let (input, row, column) = (k / 9, place / out * stride + k % 9 / 3, place % out * stride + k % 3);
                    if (1..=side).contains(&row) && (1..=side).contains(&column) {
                        sum += weight * image[input][(row - 1) * side + column - 1];
                    }
                }
                sum
            };
            weights
                .chunks(9 * image.len())
                .map(|filter| (0..out * out).map(|place| at(filter, place)).collect())
                .collect()
        };
        images.iter().map(of_image).collect()
    }

    /// A dense layer, whose weights have a row an input.
    fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let weights = self.of(&format!("{name}.weight"));
        let outputs = weights.len() / x.len();
        (0..outputs)
            .map(|output| x.iter().zip(weights[output..].iter().step_by(outputs)).map(|(x, w)| x * w).sum())
            .collect()
    }

    fn loss(&self, images: &Images) -> f64 {
        let relu = |mut images: Vec<Vec<Vec<f64>>>| {
            images.iter_mut().flatten().flatten().for_each(|x| *x = x.max(0.0));
            images
        };
        let pixels = |image: &[u8]| image.iter().map(|&byte| f64::from(byte) / 255.0).collect::<Vec<f64>>();
        let mut x: Vec<Vec<Vec<f64>>> = images.pixels.chunks(PIXELS).map(|image| vec![pixels(image)]).collect();
        match self.form {
            Form::Residual { blocks, .. } => {
                x = relu(self.norm(0, self.conv(0, 2, &x)));
                for block in 0..blocks {
                    let inner = relu(self.norm(2 * block + 1, self.conv(2 * block + 1, 1, &x)));
                    let inner = self.norm(2 * block + 2, self.conv(2 * block + 2, 1, &inner));
                    x.iter_mut().flatten().flatten().zip(inner.iter().flatten().flatten()).for_each(|(x, y)| *x += y);
                    x = relu(x);
                }
            }
            Form::Mlp { layers, .. } => {
                // A number is a channel of one place.
                x.iter_mut().for_each(|image| *image = image[0].iter().map(|&x| vec![x]).collect());
                for layer in 0..layers {
                    let linear = |image: &Vec<Vec<f64>>| self.linear(&format!("linears.{layer}"), &image.concat());
                    let out = x.iter().map(|image| linear(image).into_iter().map(|x| vec![x]).collect());
                    x = relu(self.norm(layer, out.collect()));
                }
            }
        }
        let of_row = |(image, &label): (&Vec<Vec<f64>>, &u32)| {
            let means: Vec<f64> =
                image.iter().map(|channel| channel.iter().sum::<f64>() / channel.len() as f64).collect();
            let logits = self.linear("head", &means).into_iter().zip(self.of("head.bias")).map(|(x, bias)| x + bias);
            let logits: Vec<f64> = logits.collect();
            logits.iter().map(|x| x.exp()).sum::<f64>().ln() - logits[label as usize]
        };
        x.iter().zip(&images.labels).map(of_row).sum::<f64>() / images.labels.len() as f64
    }

    /// Second differences of the loss along some parameters.
    fn hessian(&mut self, images: &Images, places: &[usize]) -> Vec<f64> {
        let step = 3e-5;
        let mut at = |i: usize, j: usize, [di, dj]: [f64; 2]| {
            let before = self.theta.clone();
            self.theta[i] += di * step;
            self.theta[j] += dj * step;
            let loss = self.loss(images);
            self.theta = before;
            loss
        };
        let signs = [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]];
        let mut entry = |i, j| signs.map(|by| by[0] * by[1] * at(i, j, by)).iter().sum::<f64>() / (4.0 * step * step);
        let mut all = vec![0.0; places.len() * places.len()];
        for row in 0..places.len() {
            for column in 0..=row {
                let value = entry(places[row], places[column]);
                all[row * places.len() + column] = value;
                all[column * places.len() + row] = value;
            }
        }
        all
    }
}

/// The block along norms, or along as many random weights, against second differences of the loss in f64, written out.
#[test]
fn blocks_of_the_hessian_are_those_of_the_definition() {
    let images = images();
    for (form, part) in
        FORMS.into_iter().flat_map(|form| [Part::Groups(Trained::Norms), Part::Scattered].map(|part| (form, part)))
    {
        let gamma = Init::Between(0.0, 1.0);
        let way = Way { form, part, gamma, rule: OptimizerSpec::of(Rule::Momentum), rate: 0.1, epochs: 1, near: 0.05 };
        let home = Home::new(Some(AnyExecutor::Cpu(Box::new(CpuExecutor::new()))).into());
        let mut play = Play::new(&home, Breathless, 3).unwrap();
        let (layout, theta, places, block) = pollster::block_on(async {
            images.upload(&mut play)?;
            let mut layout = ParamLayout::default();
            let start = trace("start", Mode::Probe, |tape| {
                let net = tape.net(NET, |builder| Net::new(form, gamma, builder));
                layout = tape.layout(NET);
                let x = tape.input("x", [COUNT, PIXELS]);
                let logits = net.forward(x, tape.pass());
                tape.fetch("logits", &logits);
                Ok(())
            })?;
            play.add(start).await?;
            let mut theta = play.read(&format!("{NET}.theta")).await?;
            // Shifts start at 0, where many slopes are alike.
            let mut rng = Rng::new(8, Stream::Probe, 0);
            for entry in layout.entries().iter().filter(|entry| entry.name.ends_with("beta")) {
                theta[entry.offset..][..entry.shape[0]].iter_mut().for_each(|beta| *beta = 0.3 * rng.normal());
            }
            let places = learning(&layout, part, 3);
            let mut hessian = hessian(images.clone(), &way)?;
            let executor = play.executor()?;
            let rows: Vec<u32> = (0..COUNT as u32).collect();
            hessian.linearise(executor, Point::Given(&theta), &rows).await?;
            let mut block = Block::of(&hessian, places.clone());
            let block = run(&mut block, &mut hessian, executor).await?;
            Ok::<_, StudyError>((layout, theta, places, block))
        })
        .unwrap();
        let theta = theta.into_iter().map(f64::from).collect();
        let wanted = Known { form, layout: &layout, theta }.hessian(&images, &places);
        let largest = wanted.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
        let off = block.iter().zip(&wanted).fold(0.0_f64, |off, (a, b)| off.max((a - b).abs()));
        assert_eq!((block.len(), wanted.len()), (places.len().pow(2), places.len().pow(2)));
        assert!(off < 1e-4 * largest, "{form:?}, {part:?}: {off} of {largest}");
    }
}

/// One that is 0 but for rounding is not below 0; every eigenvalue has a bell of the same size.
#[test]
fn the_figure_says_what_the_spectra_are() {
    let mut results = unmeasured(&STUDY, &[], &[1]);
    assert!(figure(&results, CURVED).marks().is_empty());
    for (part, unit) in [("norms", 1.0), ("random", 0.25)] {
        let outcome = results.record(&id(CURVED.0, part), 1).unwrap();
        for (rank, value) in [8.0, 4.0, -1e-7, -2.0].into_iter().enumerate() {
            outcome.point(EIGENVALUES[0].0, (rank + 1) as f64, unit * value);
        }
    }
    let figures = STUDY.drawn(&results);
    let drawn = figures.iter().find(|figure| figure.id == "spectrum").unwrap();
    assert!(drawn.meaning.contains("Largest: norms, start 8; random weights, start 2."), "{}", drawn.meaning);
    assert!(drawn.meaning.contains("norms, start 25%; random weights, start 25%."), "{}", drawn.meaning);
    let Mark::Ridgeline { x, ridges, .. } = &drawn.marks[0] else { panic!("ridges") };
    assert_eq!(
        ridges.iter().map(|ridge| ridge.label.as_str()).collect::<Vec<_>>(),
        ["norms, start", "random weights, start"]
    );
    let height = |ridge: usize, value: f32| {
        let nearest = |a: &usize, b: &usize| (x[*a] - value).abs().total_cmp(&(x[*b] - value).abs());
        ridges[ridge].values[(0..x.len()).min_by(nearest).unwrap()]
    };
    for (ridge, value) in [(0, 8.0), (0, 0.0), (0, -2.0), (1, 2.0), (1, 0.0), (1, -0.5)] {
        assert!(height(ridge, value) > 3.5, "{ridge} at {value}: {}", height(ridge, value));
    }
    assert!(height(0, 0.1) < 0.1 && height(1, 0.1) < 0.1);
}
