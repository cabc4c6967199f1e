//! What a language model of characters writes, and what it expects next.

use std::collections::BTreeMap;

use crate::data::{Data, Values};
use crate::executor::Executor;
use crate::figure::{Figure, Mark, Outcome};
use crate::numeric::softmax;
use crate::rng::{Rng, Stream};
use crate::train::{Feed, TrainError, Trainer, Value};

/// Id of the figure of the next character's distribution.
pub const NEXT: &str = "next_character";
/// Id of the figure of a written passage.
pub const SAMPLE: &str = "sample";

/// Characters written for the figure.
const LENGTH: usize = 160;
/// Characters written at most on demand.
const LONGEST: usize = 4000;
/// Characters of the distribution shown.
const OUTCOMES: usize = 10;

/// A character that can be seen in print.
fn shown(character: char) -> String {
    match character {
        '\n' => "↵".to_owned(),
        ' ' => "␣".to_owned(),
        '\t' => "⇥".to_owned(),
        other => other.to_string(),
    }
}

fn vocabulary(data: &Data) -> Option<&[char]> {
    match &data.values {
        Values::Text(text) => Some(&text.vocabulary),
        _ => None,
    }
}

/// The distribution of the character after a passage of the test text.
pub fn next_character<E: Executor>(trainer: &Trainer<E>, row: u32, values: &BTreeMap<String, Value>) -> Option<Figure> {
    let Feed::Text { context, vocabulary: size, .. } = *trainer.feed() else { return None };
    let Values::Text(text) = &trainer.data().values else { return None };
    let logits = &values.get("logits")?.numbers;
    let last = logits.get((context - 1) * size..context * size)?;
    let chances = softmax(last, 1.0);
    let mut order: Vec<usize> = (0..size).collect();
    crate::numeric::sort_by(&mut order, &|&a, &b| chances[b].total_cmp(&chances[a]).then(a.cmp(&b)));
    let outcomes: Vec<Outcome> = order
        .iter()
        .take(OUTCOMES)
        .map(|&class| Outcome { label: shown(text.vocabulary[class]), probability: chances[class] })
        .collect();
    let start = row as usize;
    let passage: String = text
        .tokens
        .get(start + context.saturating_sub(40)..start + context)?
        .iter()
        .map(|&token| shown(text.vocabulary[token as usize]))
        .collect();
    let truth = *text.tokens.get(start + context)? as usize;
    Some(Figure {
        id: NEXT.to_owned(),
        title: "Next character".to_owned(),
        meaning: format!("after “…{passage}”"),
        value: format!("true: {} at {:.0}%", shown(text.vocabulary[truth]), chances[truth] * 100.0),
        alt: format!("Probabilities of the next character; the true one has {:.1} percent.", chances[truth] * 100.0),
        marks: vec![Mark::Distribution { outcomes }],
        ..Figure::default()
    })
}

/// A passage that the model writes by itself.
pub async fn sample_figure<E: Executor>(trainer: &mut Trainer<E>) -> Result<Option<Figure>, TrainError> {
    if vocabulary(trainer.data()).is_none() {
        return Ok(None);
    }
    let text = sample(trainer, "\n", 0.8, LENGTH).await?;
    Ok(Some(Figure {
        id: SAMPLE.to_owned(),
        title: "Sample".to_owned(),
        meaning: "what the model writes now, temperature 0.8".to_owned(),
        value: format!("update {}", trainer.steps_done()),
        alt: text.clone(),
        marks: vec![Mark::Text { text }],
        ..Figure::default()
    }))
}

/// The prompt and its continuation. Temperature 0 takes the likeliest character; otherwise the draws depend on the
/// run's seed and the number of updates done alone.
pub async fn sample<E: Executor>(
    trainer: &mut Trainer<E>,
    prompt: &str,
    temperature: f64,
    length: usize,
) -> Result<String, TrainError> {
    let Feed::Text { context, vocabulary: size, .. } = *trainer.feed() else {
        return Err(TrainError::Spec("only a model of text continues one".to_owned()));
    };
    let characters = vocabulary(trainer.data()).map(<[char]>::to_vec).unwrap_or_default();
    let token = |character: char| characters.binary_search(&character).ok().map(|place| place as u32);
    // Characters that the model has never seen are left out; an empty prompt starts at a line's beginning.
    let mut tokens: Vec<u32> = prompt.chars().filter_map(token).collect();
    if tokens.is_empty() {
        tokens.push(token('\n').or(token(' ')).unwrap_or(0));
    }
    let mut rng = Rng::new(trainer.spec().seed, Stream::Text, trainer.steps_done() as u32);
    for _ in 0..length.min(LONGEST) {
        let window = &tokens[tokens.len().saturating_sub(context)..];
        let mut inputs = window.to_vec();
        // Places after the passage cannot be seen from it: attention is causal.
        inputs.resize(context, 0);
        let logits = trainer.respond(&inputs, 1).await?;
        let last = &logits[(window.len() - 1) * size..window.len() * size];
        let greedy = (0..size).fold(0, |best, class| if last[class] > last[best] { class } else { best });
        let next = if temperature <= 0.0 {
            greedy
        } else {
            let mut rest = f64::from(rng.uniform());
            softmax(last, temperature)
                .into_iter()
                .position(|chance| {
                    rest -= chance;
                    rest < 0.0
                })
                .unwrap_or(greedy)
        };
        tokens.push(next as u32);
    }
    Ok(tokens.iter().filter_map(|&token| characters.get(token as usize)).collect())
}
