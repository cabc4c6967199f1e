//! The pictures behind a cell of the confusion matrix: those of the test set that are in it, and those of the training set
//! that may have taught it, as they are labelled one of its two classes and look most like the other.

use super::picture;
use crate::data::Values;
use crate::executor::Executor;
use crate::figure::{Figure, Mark, Tile};
use crate::numeric::{argmax, sort_by};
use crate::train::{Feed, TrainError, Trainer};

/// Id of the figure of test pictures.
pub const TESTED: &str = "cell_test";
/// Id of the figure of training pictures.
pub const TRAINED: &str = "cell";

/// Pictures shown of each kind.
const MOST: usize = 12;
/// Training pictures of a class that are gone through.
const SEARCHED: usize = 1000;
/// Pictures that the network sees at once.
const AT_ONCE: usize = 100;

/// A training picture as the network sees it.
struct Seen {
    row: u32,
    label: usize,
    guess: usize,
    /// How likely the network finds the other class; of one class alone, any other.
    like: f32,
}

/// The pictures of the cell `[truth, guess]`, and training pictures of both classes.
///
/// # Errors
/// There is no such cell of pictures, or the executor fails.
pub async fn figures<E: Executor>(
    trainer: &mut Trainer<E>,
    [truth, guess]: [usize; 2],
) -> Result<Vec<Figure>, TrainError> {
    let Feed::Images { classes, restored: false, .. } = *trainer.feed() else {
        return Err(TrainError::Spec("only a run that tells pictures apart confuses them".to_owned()));
    };
    if truth.max(guess) >= classes {
        return Err(TrainError::Spec(format!("there are {classes} classes")));
    }
    let names = [truth, guess].map(|class| trainer.data().classes()[class].clone());
    Ok(vec![tested(trainer, [truth, guess], &names).await?, trained(trainer, [truth, guess], &names).await?])
}

/// What is written below a picture.
fn caption(names: &[String], label: usize, guess: usize) -> String {
    let name = |class: usize| names.get(class).map_or("", String::as_str);
    if label == guess { name(label).to_owned() } else { format!("{} ≠ {}", name(guess), name(label)) }
}

async fn tested<E: Executor>(
    trainer: &mut Trainer<E>,
    [truth, guess]: [usize; 2],
    [true_name, name]: &[String; 2],
) -> Result<Figure, TrainError> {
    let evaluation = trainer.estimate().await?;
    let data = trainer.data();
    let labels = data.labels().unwrap_or_default();
    let label = |row: u32| labels.get(row as usize).copied() == Some(truth as u32);
    let of = evaluation.rows.iter().filter(|row| label(**row)).count();
    let mut places: Vec<usize> = (0..evaluation.rows.len()).collect();
    places.retain(|&at| label(evaluation.rows[at]) && evaluation.predicted.get(at) == Some(&(guess as u32)));
    let count = places.len();
    sort_by(&mut places, &|&a, &b| evaluation.losses[b].total_cmp(&evaluation.losses[a]).then(a.cmp(&b)));
    let tile = |at: &usize| {
        let caption = caption(data.classes(), truth, guess);
        Some(Tile { caption, highlight: truth != guess, ..picture::image(data, evaluation.rows[*at] as usize)? })
    };
    let tiles: Vec<Tile> = places.iter().take(MOST).filter_map(tile).collect();
    let title = if truth == guess { format!("{name}, told rightly") } else { format!("{true_name} taken for {name}") };
    Ok(Figure {
        id: TESTED.to_owned(),
        value: format!("{count} of {of}"),
        meaning: format!("test pictures of the class {true_name}; they judge the network and stay"),
        alt: format!("{title}: {count} of {of} test pictures."),
        empty: "No test picture is in this cell now.".to_owned(),
        marks: if tiles.is_empty() { vec![] } else { vec![Mark::Tiles { tiles }] },
        title,
        ..Figure::default()
    })
}

async fn trained<E: Executor>(
    trainer: &mut Trainer<E>,
    [truth, guess]: [usize; 2],
    names: &[String; 2],
) -> Result<Figure, TrainError> {
    let seen = see(trainer, [truth, guess]).await?;
    let data = trainer.data();
    let mut tiles = Vec::new();
    for class in if truth == guess { vec![truth] } else { vec![truth, guess] } {
        let mut alike: Vec<&Seen> = seen.iter().filter(|seen| seen.label == class).collect();
        sort_by(&mut alike, &|a, b| b.like.total_cmp(&a.like).then(a.row.cmp(&b.row)));
        tiles.extend(alike.into_iter().take(MOST).filter_map(|seen| {
            Some(Tile {
                caption: caption(data.classes(), seen.label, seen.guess),
                highlight: seen.label != seen.guess,
                example: Some(u64::from(seen.row) - data.train.start as u64),
                ..picture::image(data, seen.row as usize)?
            })
        }));
    }
    let [true_name, name] = names;
    let (wrong, shown) = (tiles.iter().filter(|tile| tile.highlight).count(), tiles.len());
    let (title, meaning) = if truth == guess {
        (
            format!("Labelled {name}"),
            "training pictures that look least like their label: is one mislabelled?".to_owned(),
        )
    } else {
        (
            format!("Labelled {true_name} or {name}"),
            format!(
                "training pictures labelled {true_name} that look most like {name}, then the reverse: is one mislabelled?"
            ),
        )
    };
    Ok(Figure {
        id: TRAINED.to_owned(),
        value: format!("{wrong} of {shown} wrong"),
        alt: format!("{title}: {shown} training pictures, of which the network gets {wrong} wrong."),
        empty: "No training picture of these classes is left.".to_owned(),
        marks: if tiles.is_empty() { vec![] } else { vec![Mark::Tiles { tiles }] },
        title,
        meaning,
        ..Figure::default()
    })
}

/// What the network makes of training pictures of two classes.
async fn see<E: Executor>(trainer: &mut Trainer<E>, [truth, guess]: [usize; 2]) -> Result<Vec<Seen>, TrainError> {
    let data = trainer.data().clone();
    let (Values::Images(images), Feed::Images { classes, .. }) = (&data.values, trainer.feed().clone()) else {
        return Ok(vec![]);
    };
    let size = images.shape.iter().product::<usize>();
    let rows = trainer.train_rows();
    let of = |class: usize| {
        let rows = rows.iter().copied().filter(move |&row| images.labels[row as usize] as usize == class);
        rows.take(SEARCHED)
    };
    let rows: Vec<u32> = of(truth).chain(of(guess).filter(|_| truth != guess)).collect();
    let mut seen = Vec::with_capacity(rows.len());
    for some in rows.chunks(AT_ONCE) {
        // One plan for all of them: what is left over is not looked at.
        let pixels = some.iter().flat_map(|&row| &images.pixels[row as usize * size..(row as usize + 1) * size]);
        let mut inputs: Vec<u32> = pixels.map(|&pixel| f32::from(pixel).to_bits()).collect();
        inputs.resize(AT_ONCE * size, 0);
        let logits = trainer.respond(&inputs, AT_ONCE).await?;
        for (&row, logits) in some.iter().zip(logits.chunks_exact(classes)) {
            let label = images.labels[row as usize] as usize;
            let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let weights: Vec<f32> = logits.iter().map(|logit| libm::expf(logit - most)).collect();
            let all: f32 = weights.iter().sum();
            let like = if truth == guess { 1.0 - weights[label] / all } else { weights[truth + guess - label] / all };
            seen.push(Seen { row, label, guess: argmax(logits).unwrap_or(0), like });
        }
    }
    Ok(seen)
}
