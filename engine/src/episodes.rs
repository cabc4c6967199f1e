//! Episodes: few-shot tasks of N classes ("ways") with K labelled examples each ("shots", the support) and further examples
//! to be classified (the query). A task is a function of (seed, task number) alone, so that methods compared on the same
//! numbers see identical tasks.

use crate::numeric::dirichlet;
use crate::rng::{Rng, Stream};

/// What a task looks like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Classes.
    pub ways: usize,
    /// Labelled examples of each class.
    pub shots: usize,
    /// Examples to be classified.
    pub queries: Queries,
}

/// How many queries each class of a task has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Queries {
    /// So many of every class.
    Each(usize),
    /// So many in all, in proportions from a symmetric Dirichlet distribution, anew for every task; small `alpha` = uneven
    /// (Veilleux et al. 2021).
    Dirichlet {
        /// Queries of all classes together.
        total: usize,
        /// Concentration.
        alpha: f64,
    },
}

/// One task: table rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Episode {
    /// The classes, as the table counts them; their places are what a method predicts.
    pub classes: Vec<u32>,
    /// Rows of the support by place of the class.
    pub support: Vec<Vec<u32>>,
    /// Row and place of the true class of each query, class by class.
    pub query: Vec<(u32, usize)>,
}

/// Why no task can be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EpisodeError {
    /// Fewer classes than ways have enough examples.
    #[error("{ways} ways need {ways} classes of at least {examples} examples; there are {classes}")]
    TooFew {
        /// Classes asked for.
        ways: usize,
        /// Examples that each needs.
        examples: usize,
        /// Classes that have them.
        classes: usize,
    },
    /// No way, no shot or no query.
    #[error("a task needs at least one way, one shot and one query")]
    Empty,
}

/// Classes with their examples, from which tasks are drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Episodes {
    /// Class and its rows.
    classes: Vec<(u32, Vec<u32>)>,
}

impl Episodes {
    /// Of these classes' rows among `rows`. `labels`: class of each row of the table. A class that occurs twice counts once.
    #[must_use]
    pub fn new(labels: &[u32], rows: impl IntoIterator<Item = u32>, classes: &[u32]) -> Self {
        let mut found: Vec<(u32, Vec<u32>)> = Vec::new();
        for &class in classes {
            if found.iter().all(|(known, _)| *known != class) {
                found.push((class, Vec::new()));
            }
        }
        for row in rows {
            let class = labels.get(row as usize);
            if let Some((_, rows)) = found.iter_mut().find(|(known, _)| Some(known) == class) {
                rows.push(row);
            }
        }
        Self { classes: found }
    }

    /// Task number `task` under a seed.
    ///
    /// # Errors
    /// If the shape asks for nothing, or for more classes or examples than there are. Dirichlet queries only need one
    /// example beyond the shots: what a class lacks goes to the others, and a task may have fewer queries where all lack.
    pub fn task(&self, shape: &Shape, seed: u64, task: u32) -> Result<Episode, EpisodeError> {
        let &Shape { ways, shots, queries } = shape;
        let least = match queries {
            Queries::Each(queries) => queries,
            Queries::Dirichlet { total, .. } => total.min(1),
        };
        if ways == 0 || shots == 0 || least == 0 {
            return Err(EpisodeError::Empty);
        }
        let examples = shots + least;
        let mut able: Vec<&(u32, Vec<u32>)> = self.classes.iter().filter(|(_, rows)| rows.len() >= examples).collect();
        if able.len() < ways {
            return Err(EpisodeError::TooFew { ways, examples, classes: able.len() });
        }
        let mut rng = Rng::new(seed, Stream::Episode, task);
        let able = draw(&mut able, ways, &mut rng);
        let room: Vec<usize> = able.iter().map(|(_, rows)| rows.len() - shots).collect();
        let counts = match queries {
            Queries::Each(queries) => vec![queries; ways],
            Queries::Dirichlet { total, alpha } => {
                let shares = dirichlet(&mut rng, alpha, ways);
                apportion(&shares, total, &room)
            }
        };
        let mut episode = Episode::default();
        for (place, ((class, rows), count)) in able.iter().zip(counts).enumerate() {
            let mut rows = rows.clone();
            let drawn = draw(&mut rows, shots + count, &mut rng);
            episode.classes.push(*class);
            episode.support.push(drawn[..shots].to_vec());
            episode.query.extend(drawn[shots..].iter().map(|&row| (row, place)));
        }
        Ok(episode)
    }
}

/// The first `count` items of a random order, in which they come first.
fn draw<'a, T>(items: &'a mut [T], count: usize, rng: &mut Rng) -> &'a [T] {
    for place in 0..count {
        let left = (items.len() - place) as u32;
        items.swap(place, place + rng.below(left) as usize);
    }
    &items[..count]
}

/// Parts `total` by shares, largest remainders first, with at most `room[k]` for place k; what does not fit goes, one by
/// one, to the place with room that is furthest below its share.
fn apportion(shares: &[f64], total: usize, room: &[usize]) -> Vec<usize> {
    let wanted: Vec<f64> = shares.iter().map(|share| share * total as f64).collect();
    let mut counts: Vec<usize> = wanted.iter().zip(room).map(|(wanted, room)| (*wanted as usize).min(*room)).collect();
    for _ in counts.iter().sum()..total {
        let behind = |place: &usize| wanted[*place] - counts[*place] as f64;
        let open = (0..counts.len()).filter(|&place| counts[place] < room[place]);
        let Some(next) = open.reduce(|best, place| if behind(&place) > behind(&best) { place } else { best }) else {
            break;
        };
        counts[next] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 12 classes of 20 rows; row r has class r mod 12.
    fn episodes() -> Episodes {
        let labels: Vec<u32> = (0..240).map(|row| row % 12).collect();
        Episodes::new(&labels, 0..240, &[1, 3, 5, 7, 9, 11, 11])
    }

    const SHAPE: Shape = Shape { ways: 5, shots: 2, queries: Queries::Each(15) };

    #[test]
    fn a_task_has_its_ways_shots_and_queries_and_no_row_twice() {
        for task in 0..50 {
            let Episode { classes, support, query } = episodes().task(&SHAPE, 7, task).unwrap();
            assert_eq!((classes.len(), support.len(), query.len()), (5, 5, 75));
            assert!(classes.iter().all(|class| class % 2 == 1), "novel classes only");
            let mut rows: Vec<u32> = support.iter().flatten().copied().chain(query.iter().map(|q| q.0)).collect();
            for (place, shots) in support.iter().enumerate() {
                assert!(shots.len() == 2 && shots.iter().all(|row| row % 12 == classes[place]));
            }
            assert!(query.iter().all(|&(row, place)| row % 12 == classes[place]));
            rows.sort_unstable();
            rows.dedup();
            assert_eq!(rows.len(), 85);
        }
    }

    #[test]
    fn a_task_depends_on_its_seed_and_number_alone() {
        let task = |seed, number| episodes().task(&SHAPE, seed, number).unwrap();
        assert_eq!(task(1, 3), task(1, 3));
        assert!(task(1, 3) != task(1, 4) && task(1, 3) != task(2, 3));
    }

    #[test]
    fn every_class_is_drawn_as_often() {
        let mut counts = [0; 12];
        for task in 0..3000 {
            episodes().task(&SHAPE, 1, task).unwrap().classes.iter().for_each(|&class| counts[class as usize] += 1);
        }
        // Of 6 classes 5: mean 2,500, standard deviation 20.
        assert!((0..6).all(|k| counts[2 * k] == 0 && i32::abs(counts[2 * k + 1] - 2500) < 100), "{counts:?}");
    }

    #[test]
    fn dirichlet_queries_are_uneven_and_fit() {
        let shape = Shape { queries: Queries::Dirichlet { total: 60, alpha: 2.0 }, ..SHAPE };
        let mut seen = std::collections::BTreeSet::new();
        for task in 0..200 {
            let episode = episodes().task(&shape, 1, task).unwrap();
            assert_eq!(episode.query.len(), 60);
            let of_first = episode.query.iter().filter(|query| query.1 == 0).count();
            assert!(of_first <= 18);
            seen.insert(of_first);
        }
        assert!(seen.len() > 10, "{seen:?}");
        assert_eq!(apportion(&[0.5, 0.3, 0.2], 10, &[9, 9, 9]), [5, 3, 2]);
        assert_eq!(apportion(&[0.9, 0.06, 0.04], 10, &[4, 9, 9]), [4, 3, 3]);
        assert_eq!(apportion(&[0.5, 0.5], 10, &[2, 3]), [2, 3]);
    }

    #[test]
    fn what_cannot_be_drawn_is_said() {
        let task = |shape: Shape| episodes().task(&shape, 1, 1).unwrap_err();
        assert_eq!(task(Shape { ways: 7, ..SHAPE }), EpisodeError::TooFew { ways: 7, examples: 17, classes: 6 });
        assert_eq!(task(Shape { shots: 19, ..SHAPE }), EpisodeError::TooFew { ways: 5, examples: 34, classes: 0 });
        assert_eq!(task(Shape { ways: 0, ..SHAPE }), EpisodeError::Empty);
    }
}
