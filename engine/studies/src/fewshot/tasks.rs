//! Tasks over examples: which rows are support and which are queries. A task is a function of the spec's seed and its number
//! alone, so that every method sees the same.

use engine::episodes::{Episode, EpisodeError, Episodes, Queries, Shape};
use engine::fewshot::{FewshotSpec, Source, Style};
use engine::rng::{Rng, Stream};

use super::pictures::{Examples, Part, Pictures};

/// Tasks over the examples of a part.
#[derive(Debug, Clone, PartialEq)]
pub struct Tasks {
    episodes: Episodes,
    /// Where support and queries are drawn in styles of their own: class, its rows for the support, its rows for queries.
    styled: Option<Vec<(u32, [Vec<u32>; 2])>>,
}

impl Tasks {
    /// Tasks of these examples.
    #[must_use]
    pub fn of(pictures: &Pictures, part: Part, examples: &Examples, spec: &FewshotSpec) -> Self {
        let emoji = spec.data == Source::Emoji;
        let styles = if emoji { [spec.support_style, spec.query_style] } else { [Style::Any; 2] };
        let labels = examples.labels();
        let classes = pictures.classes(part);
        let styled = (styles[0] != styles[1]).then(|| {
            let [support, queries] = styles.map(|style| examples.of_style(pictures, style));
            let of = |rows: &[u32], class: u32| -> Vec<u32> {
                rows.iter().copied().filter(|&row| labels[row as usize] == class).collect()
            };
            classes.iter().map(|&class| (class, [of(&support, class), of(&queries, class)])).collect()
        });
        let rows = examples.of_style(pictures, styles[0]);
        Self { episodes: Episodes::new(&labels, rows, classes), styled }
    }

    /// A task of the spec's shape, but with these ways and shots.
    ///
    /// # Errors
    /// There are too few classes or examples.
    pub fn draw(&self, spec: &FewshotSpec, [ways, shots]: [usize; 2], number: u32) -> Result<Episode, EpisodeError> {
        match &self.styled {
            Some(classes) => between(classes, [ways, shots, spec.queries], spec.seed, number),
            None => {
                let queries = if spec.alpha > 0.0 {
                    Queries::Dirichlet { total: ways * spec.queries, alpha: spec.alpha }
                } else {
                    Queries::Each(spec.queries)
                };
                self.episodes.task(&Shape { ways, shots, queries }, spec.seed, number)
            }
        }
    }
}

/// A task whose support and queries come from rows of their own.
fn between(
    classes: &[(u32, [Vec<u32>; 2])],
    [ways, shots, queries]: [usize; 3],
    seed: u64,
    number: u32,
) -> Result<Episode, EpisodeError> {
    let able = |(_, [support, query]): &&(u32, [Vec<u32>; 2])| {
        // Rows that are in both can be drawn once: any style has those of every style.
        let shared = support.iter().filter(|row| query.contains(row)).count();
        support.len() >= shots && query.len() >= queries && support.len() + query.len() - shared >= shots + queries
    };
    let mut able: Vec<&(u32, [Vec<u32>; 2])> = classes.iter().filter(able).collect();
    if able.len() < ways {
        return Err(EpisodeError::TooFew { ways, examples: shots + queries, classes: able.len() });
    }
    let mut rng = Rng::new(seed, Stream::Episode, number);
    rng.shuffle(&mut able);
    let mut episode = Episode::default();
    for (place, (class, [support, query])) in able[..ways].iter().enumerate() {
        let (mut support, mut query) = (support.clone(), query.clone());
        rng.shuffle(&mut support);
        rng.shuffle(&mut query);
        support.truncate(shots);
        query.retain(|row| !support.contains(row));
        episode.classes.push(*class);
        episode.query.extend(query.iter().take(queries).map(|&row| (row, place)));
        episode.support.push(support);
    }
    Ok(episode)
}
