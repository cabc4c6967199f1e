//! The six tasks of the study, and the anchor that comes before them.

use std::ops::Range;
use std::rc::Rc;

use engine::continual::ContinualSpec;
use engine::data::{Data, Images, Info, Values};
use engine::fewshot::Source as Letters;
use engine::rng::{Rng, Stream};
use engine::spec::{DataSet, DataSpec};

use crate::continual::learned::{learn, pretraining, trained_on_clothes};
use crate::continual::{Ground, Part, Tasks};
use crate::fewshot::pictures::{Part as Classes, Pictures, files};
use crate::{Context, StudyError};

use super::Source;

/// Letters that the anchor learns from, and examples of each.
const BASE: [usize; 2] = [100, 40];
/// Passes over them.
const PASSES: usize = 6;
/// Pictures of clothes for the anchor, and passes over them.
const CLOTHES: [usize; 2] = [4000, 6];
/// Training and test examples of each letter of a task.
const EACH: [u32; 2] = [15, 50];

/// All letters.
async fn letters(context: &Context<'_>) -> Result<Pictures, StudyError> {
    let mut packs = Vec::new();
    for name in files(Letters::Glyphs) {
        packs.push(context.pack(name).await?.to_vec());
    }
    Pictures::read(Letters::Glyphs, &packs).map_err(StudyError::Other)
}

/// Some classes of a part as a data set: so many training and test examples of each, under a warp of its own each.
fn warped(pictures: &Pictures, classes: &[u32], [train, test]: [u32; 2], seed: u64) -> Data {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for examples in [0..train, train..train + test] {
        for (label, &class) in classes.iter().enumerate() {
            for example in examples.clone() {
                let mut rng = Rng::new(seed, Stream::Augment, class * 4096 + example);
                pictures.warped(class, example, 1.0, &mut rng, &mut pixels);
                labels.push(label as u32);
            }
        }
    }
    let names = classes.iter().map(|&class| pictures.names[class as usize].clone()).collect();
    let (first, all) = (classes.len() * train as usize, labels.len());
    let images = Images { shape: pictures.shape, pixels, labels, classes: names, attributes: Vec::new() };
    let info = Info { title: "letters".into(), ..Info::default() };
    Data { info, values: Values::Images(images), train: 0..first, test: first..all }
}

/// Digits, clothes and letters: those `which` of six tasks.
///
/// # Errors
/// The data cannot be had.
pub async fn tasks(
    context: &Context<'_>,
    spec: &ContinualSpec,
    which: Range<usize>,
    seed: u64,
) -> Result<Tasks, StudyError> {
    let digits = context.data(&DataSpec::of(DataSet::Mnist)).await?;
    let clothes = context.data(&DataSpec::of(DataSet::Fashion)).await?;
    let pictures = letters(context).await?;
    // Letters that no anchor has seen, others with each seed.
    let mut novel = pictures.classes(Classes::Novel).to_vec();
    Rng::new(seed, Stream::Split, 54).shuffle(&mut novel);
    let letters = warped(&pictures, &novel[..20], EACH, seed);
    let sets = [&*digits, &*clothes, &letters];
    let part = |name: &str, set: usize, classes: Range<u32>| Part::of_classes(name, set, sets[set], classes);
    let parts = [
        part("digits 0–4", 0, 0..5),
        part("digits 5–9", 0, 5..10),
        part("clothes 0–4", 1, 0..5),
        part("clothes 5–9", 1, 5..10),
        part("letters A", 2, 0..10),
        part("letters B", 2, 10..20),
    ];
    Ok(Tasks::of_parts(spec, &sets, parts.into_iter().take(which.end).skip(which.start).collect(), seed))
}

/// Parameters of the convnet that all arms start from; none = drawn by the seed.
///
/// # Errors
/// The data cannot be had, or the executor fails.
pub async fn anchor(
    context: &mut Context<'_>,
    source: Source,
    channels: &[usize],
    seed: u64,
) -> Result<Option<Rc<Vec<f32>>>, StudyError> {
    Ok(match source {
        Source::Random => None,
        Source::Clothes => Some(Rc::new(trained_on_clothes(context, channels, CLOTHES, seed).await?)),
        Source::Letters => {
            let pictures = letters(context).await?;
            let classes = &pictures.classes(Classes::Base)[..BASE[0]];
            let set = warped(&pictures, classes, [BASE[1] as u32, 2], seed);
            let spec = pretraining(channels, [0, PASSES]);
            let parts = vec![Part::of_classes("letters", 0, &set, 0..BASE[0] as u32)];
            let tasks = Tasks::of_parts(&spec, &[&set], parts, seed);
            let ground = Rc::new(Ground::over(&spec, tasks, seed));
            Some(Rc::new(learn(context, &ground, &spec.arms[0]).await?.1))
        }
    })
}
