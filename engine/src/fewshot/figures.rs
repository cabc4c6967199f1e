//! What a session has found as figures: pure functions of its events, so that page and command line draw the same.

use super::{Curve, Gallery, Mean, Method, Over, Scores, TaskSeen, Training};
use crate::decimal::fixed;
use crate::figure::{Axis, Dash, Figure, Grid, Mark, Role, Scale, Tile, brief};

impl Gallery {
    /// Picture `i` as a tile, out of the bytes of all; none where there is no such picture.
    #[must_use]
    pub fn tile(&self, bytes: &[u8], i: usize, caption: String) -> Option<Tile> {
        let size = self.width.checked_mul(self.height)?.checked_mul(self.channels)?;
        let from = i.checked_mul(size)?;
        let pixels = bytes.get(from..from.checked_add(size)?)?.to_vec();
        let (width, height, channels) = (self.width, self.height, self.channels);
        Some(Tile { width, height, channels, pixels, caption, ..Tile::default() })
    }
}

/// A share as percent.
fn percent(share: f64) -> String {
    if share.is_finite() { format!("{}%", brief(100.0 * share)) } else { "–".into() }
}

/// A mean and its interval as percent.
fn interval(mean: Mean) -> String {
    let half = if mean.half.is_finite() { format!(" ± {}", brief(100.0 * mean.half)) } else { String::new() };
    format!("{}{half}%", brief(100.0 * mean.mean))
}

/// The ends of an interval, in percent.
fn ends(mean: Mean) -> [f64; 2] {
    [100.0 * (mean.mean - mean.half), 100.0 * (mean.mean + mean.half)]
}

fn axis(label: &str, unit: &str) -> Axis {
    Axis { label: label.into(), unit: unit.into(), ..Axis::default() }
}

impl TaskSeen {
    /// The iteration of that number, or the last.
    #[must_use]
    pub fn step(&self, step: usize) -> Option<&super::Walk> {
        self.walk.get(step).or(self.walk.last())
    }

    /// The task's pictures in the plane of its two main directions, as an iteration sees them, with the prototypes' way
    /// up to there.
    #[must_use]
    pub fn map(&self, step: usize) -> Figure {
        let place = |[x, y]: &[f32; 2]| [f64::from(*x), f64::from(*y)];
        let points: Vec<[f64; 2]> = self.points.iter().map(place).collect();
        let (support, queries) = points.split_at(self.support.len().min(points.len()));
        let now = self.step(step);
        let predicted = now.map_or(&[][..], |walk| &walk.predicted);
        let scatter = |name: &str, points: &[[f64; 2]], classes: &[usize]| Mark::Scatter {
            name: name.into(),
            role: Role::Other,
            points: points.to_vec(),
            classes: classes.iter().map(|class| *class as u32).collect(),
        };
        // Every class has support: the key names them in their order.
        let mut marks = vec![scatter("support", support, &self.support), scatter("query", queries, predicted)];
        let gone = &self.walk[..self.walk.len().min(step + 1)];
        let stars = now.map(|walk| walk.prototypes.iter().map(place).collect::<Vec<_>>()).unwrap_or_default();
        if gone.len() > 1 {
            marks.extend((0..stars.len()).map(|class| {
                let way = gone.iter().filter_map(|walk| walk.prototypes.get(class).map(place)).collect();
                Mark::line("", Role::Other, Dash::Solid, way)
            }));
        }
        marks.push(Mark::Stars { points: stars });
        let right = now.and_then(|walk| walk.accuracy);
        let value = right.map(|right| format!("{} right", percent(right))).unwrap_or_default();
        let classes: Vec<String> = self.classes.iter().map(|class| class.name.clone()).collect();
        let alt = format!(
            "{} labelled and {} further pictures of {} classes in the plane; stars are the prototypes. {value}.",
            support.len(),
            queries.len(),
            classes.len()
        );
        Figure {
            id: "map".into(),
            title: "The task in the plane".into(),
            meaning: format!(
                "The two main directions of its vectors, which hold {} of the scatter; stars are prototypes, colours what was answered.",
                percent(self.explained)
            ),
            value,
            x: axis("first direction", ""),
            y: axis("second direction", ""),
            marks,
            classes,
            alt,
            ..Figure::default()
        }
    }
}

impl Training {
    /// Takes in what is new since `self`.
    pub fn take(&mut self, new: Self) {
        if new.first == 0 {
            *self = new;
            return;
        }
        self.loss.truncate(new.first);
        self.accuracy.truncate(new.first);
        self.rate.truncate(new.first);
        self.loss.extend(new.loss);
        self.accuracy.extend(new.accuracy);
        self.rate.extend(new.rate);
        for (updates, mean) in new.validation {
            self.validation.retain(|(known, _)| *known != updates);
            self.validation.push((updates, mean));
        }
        (self.of, self.seconds, self.finished) = (new.of, new.seconds, new.finished);
        // The last report may come without an update.
        if new.speed.is_finite() {
            self.speed = new.speed;
        }
    }

    /// Updates done.
    #[must_use]
    pub fn updates(&self) -> usize {
        self.loss.len()
    }

    /// Loss, accuracy and learning rate against updates.
    #[must_use]
    pub fn figures(&self) -> [Figure; 3] {
        let line = |name: &str, role, values: &[f32], factor: f64| {
            let points = values.iter().enumerate().map(|(i, value)| [(i + 1) as f64, factor * f64::from(*value)]);
            Mark::line(name, role, Dash::Solid, points.collect())
        };
        let last = |values: &[f32]| values.last().map_or(f64::NAN, |value| f64::from(*value));
        let begun = !self.loss.is_empty();
        let figure = |id: &str, title: &str, meaning: &str, value: String, y: Axis, marks: Vec<Mark>| Figure {
            id: id.into(),
            title: title.into(),
            meaning: meaning.into(),
            alt: format!("{title} against updates: {value}"),
            value: if begun { value } else { String::new() },
            x: axis("update", ""),
            y,
            marks: if begun { marks } else { vec![] },
            empty: "Appears while the encoder trains.".into(),
            ..Figure::default()
        };
        let validation = Mark::Line {
            name: "validation classes".into(),
            role: Role::Test,
            dash: Dash::Solid,
            points: self.validation.iter().map(|(at, mean)| [*at as f64, 100.0 * mean.mean]).collect(),
            band: self.validation.iter().map(|(_, mean)| ends(*mean)).collect(),
        };
        let held_out = self.validation.last().map_or_else(|| "–".into(), |(_, mean)| interval(*mean));
        [
            figure(
                "accuracy",
                "Accuracy while it learns",
                "On validation classes at 5-way 1-shot with nearest prototypes; they are no part of the training.",
                format!("{held_out} on validation classes"),
                axis("right", "%"),
                vec![line("in training", Role::Train, &self.accuracy, 100.0), validation],
            ),
            figure(
                "loss",
                "Loss",
                "Of each training episode or batch.",
                if self.speed.is_finite() {
                    format!("{} · {} updates/s", brief(last(&self.loss)), brief(self.speed))
                } else {
                    brief(last(&self.loss))
                },
                axis("loss", ""),
                vec![line("training loss", Role::Train, &self.loss, 1.0)],
            ),
            figure(
                "rate",
                "Learning rate",
                "It falls along a cosine.",
                brief(last(&self.rate)),
                axis("rate", ""),
                vec![line("learning rate", Role::Lr, &self.rate, 1.0)],
            ),
        ]
    }
}

impl Scores {
    /// Accuracy by method, and paired differences to the first. `shown`: the method of the task on view.
    #[must_use]
    pub fn figures(&self, shown: Method) -> [Figure; 2] {
        let role = |method: Method| if method == shown { Role::Train } else { Role::Other };
        let first = self.methods.first().map(|score| score.method);
        let rows = |figure: Figure, label: &str, skip: usize, of: fn(&super::Score) -> Mean| {
            let scores = self.methods.get(skip..).unwrap_or_default();
            let marks = [Role::Other, Role::Train].map(|wanted| Mark::Intervals {
                role: wanted,
                means: scores
                    .iter()
                    .map(|score| if role(score.method) == wanted { (100.0 * of(score).mean) as f32 } else { f32::NAN })
                    .collect(),
                ranges: scores.iter().map(|score| ends(of(score))).collect(),
            });
            let names = scores.iter().map(|score| score.method.label().to_owned()).collect();
            let told = |score: &super::Score| format!("{} {}", score.method.label(), interval(of(score)));
            Figure {
                alt: scores.iter().map(told).collect::<Vec<_>>().join("; "),
                x: Axis { categories: names, ..Axis::default() },
                y: axis(label, if skip == 0 { "%" } else { "points" }),
                marks: if scores.is_empty() { vec![] } else { marks.into() },
                ..figure
            }
        };
        let accuracy = Figure {
            id: "methods".into(),
            title: "Accuracy by method".into(),
            value: format!("{} of {} tasks", self.tasks, self.of),
            meaning: "Every method on the same tasks, with 95% intervals by Student's t; the shown one in blue.".into(),
            ..Figure::default()
        };
        let difference = Figure {
            id: "differences".into(),
            title: format!("Difference to {}", first.map_or("the first", Method::label)),
            meaning:
                "Paired by task, so that the tasks' own difficulty drops out; an interval beyond zero is a difference."
                    .into(),
            ..Figure::default()
        };
        let mut figures =
            [rows(accuracy, "accuracy", 0, |s| s.accuracy), rows(difference, "difference", 1, |s| s.difference)];
        if self.methods.len() > 1 {
            figures[1].marks.push(self.table());
        }
        figures
    }

    fn table(&self) -> Mark {
        let row = |score: &super::Score| {
            vec![
                score.method.label().to_owned(),
                if score.method.row().transductive { "all queries" } else { "one query" }.to_owned(),
                interval(score.accuracy),
                if score.p.is_finite() { interval(score.difference).replace('%', "") } else { "–".into() },
                match score.p {
                    p if !p.is_finite() => "–".into(),
                    p if p < 0.001 => "< 0.001".into(),
                    p => fixed(p, 3),
                },
                brief(score.milliseconds),
            ]
        };
        Mark::Table {
            columns: ["method", "looks at", "accuracy", "difference", "p", "ms a task"].map(str::to_owned).into(),
            rows: self.methods.iter().map(row).collect(),
        }
    }

    /// The pairs that are confused most and the hardest classes; `bytes`: of [`pictures`](Self::pictures).
    #[must_use]
    pub fn mistakes(&self, bytes: &[u8]) -> [Figure; 2] {
        let by = self.of_method.map_or("the method", Method::label);
        let tile = |i: usize, caption: String| self.pictures.as_ref().and_then(|all| all.tile(bytes, i, caption));
        let share = |part: usize, of: usize| percent(part as f64 / of.max(1) as f64);
        let pairs = self.confused.iter().enumerate().flat_map(|(i, pair)| {
            let taken = format!("as {} {}", pair.predicted, share(pair.count, pair.of));
            [tile(2 * i, pair.truth.clone()), tile(2 * i + 1, taken)]
        });
        let pairs: Vec<Tile> = pairs.flatten().collect();
        let offset = 2 * self.confused.len();
        let hardest = self.hardest.iter().enumerate();
        let hardest: Vec<Tile> = hardest
            .filter_map(|(i, hard)| tile(offset + i, format!("{} {}", percent(hard.accuracy), hard.class)))
            .collect();
        let marks = |tiles: Vec<Tile>, columns: &[&str], rows: Vec<Vec<String>>| {
            let tiles = (!tiles.is_empty()).then_some(Mark::Tiles { tiles });
            let columns = columns.iter().map(|name| (*name).to_owned()).collect();
            let table = (!rows.is_empty()).then_some(Mark::Table { columns, rows });
            tiles.into_iter().chain(table).collect::<Vec<Mark>>()
        };
        let confused = self.confused.iter().map(|pair| {
            let often = format!("{} of {}", pair.count, pair.of);
            vec![pair.truth.clone(), pair.predicted.clone(), often, share(pair.count, pair.of)]
        });
        let hard =
            self.hardest.iter().map(|one| vec![one.class.clone(), percent(one.accuracy), one.queries.to_string()]);
        [
            Figure {
                id: "confused".into(),
                title: "Confused most".into(),
                meaning: format!(
                    "Pairs of classes that {by} takes for each other: of the pictures of the one, so many were taken for the other."
                ),
                marks: marks(pairs, &["class", "taken for", "how often", "share"], confused.collect()),
                empty: "Appears when all tasks are done.".into(),
                ..Figure::default()
            },
            Figure {
                id: "hardest".into(),
                title: "Hardest classes".into(),
                meaning: format!("The classes that {by} gets right least."),
                marks: marks(hardest, &["class", "right", "queries"], hard.collect()),
                empty: "Appears when all tasks are done.".into(),
                ..Figure::default()
            },
        ]
    }
}

impl Curve {
    /// Lines of the shown method, the first and the best; a map of all.
    #[must_use]
    pub fn figures(&self, shown: Method) -> [Figure; 2] {
        let (name, what) = match self.over {
            Over::Shots => ("shots", "labelled examples a class"),
            Over::Ways => ("ways", "classes of a task"),
        };
        let end = |means: &[Mean]| means.last().map_or(f64::NEG_INFINITY, |mean| mean.mean);
        let best = self.methods.iter().max_by(|a, b| end(&a.1).total_cmp(&end(&b.1))).map(|(method, _)| *method);
        let first = self.methods.first().map(|(method, _)| *method);
        let line = |(method, means): &(Method, Vec<Mean>)| {
            let (role, dash) = match *method {
                method if method == shown => (Role::Train, Dash::Solid),
                method if Some(method) == best => (Role::Test, Dash::Solid),
                method if Some(method) == first => (Role::Other, Dash::Solid),
                _ => return None,
            };
            let at = self.values.iter().zip(means);
            Some(Mark::Line {
                name: method.label().into(),
                role,
                dash,
                points: at.map(|(value, mean)| [*value as f64, 100.0 * mean.mean]).collect(),
                band: means.iter().take(self.values.len()).map(|mean| ends(*mean)).collect(),
            })
        };
        let value = |means: &[Mean], i: usize| means.get(i).map_or(f32::NAN, |mean| (100.0 * mean.mean) as f32);
        let grid = Grid {
            width: self.values.len(),
            height: self.methods.len(),
            values: self.methods.iter().flat_map(|(_, m)| (0..self.values.len()).map(|i| value(m, i))).collect(),
        };
        let missing = self.missing.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        let lacks =
            if missing.is_empty() { String::new() } else { format!(" Too few pictures or classes for {missing}.") };
        [
            Figure {
                id: format!("over-{name}"),
                title: format!("Accuracy against {name}"),
                meaning: format!("With more {what}.{lacks}"),
                x: axis(name, ""),
                y: axis("accuracy", "%"),
                marks: self.methods.iter().filter_map(line).collect(),
                alt: format!("Accuracy against {what}"),
                ..Figure::default()
            },
            Figure {
                id: format!("all-over-{name}"),
                title: format!("All methods against {name}"),
                meaning: "Accuracy in percent.".into(),
                x: axis(name, ""),
                marks: vec![Mark::HeatMap {
                    grid,
                    scale: Scale::Linear,
                    range: None,
                    rows: self.methods.iter().map(|(method, _)| method.label().to_owned()).collect(),
                    columns: self.values.iter().map(usize::to_string).collect(),
                }],
                alt: format!("Accuracy of every method against {what}"),
                ..Figure::default()
            },
        ]
    }
}
