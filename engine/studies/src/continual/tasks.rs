//! The tasks of a stream under a seed: one table of examples, and which rows each task brings.

use std::ops::Range;

use engine::continual::{ContinualSpec, Network, Order, Scenario, StreamKind};
use engine::data::{Data, Values};
use engine::spec::Issue;
use engine::streams::{Change, class_order, long_tailed, split_by_class};

/// Examples of all tasks.
pub enum Examples {
    /// Pixels, 0..=255.
    Pixels(Vec<u8>),
    /// Standardised numbers.
    Numbers(Vec<f32>),
}

/// The tasks of a stream.
pub struct Tasks {
    /// What each task brings, in words.
    pub names: Vec<String>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
    /// Shape of an example: `[channels, height, width]` or `[columns]`.
    pub shape: Vec<usize>,
    /// The examples, row by row.
    pub examples: Examples,
    /// Output that is right for each row.
    pub output: Vec<u32>,
    /// Task of each row.
    pub task: Vec<u32>,
    /// Outputs of each task.
    pub of_task: Vec<Vec<u32>>,
    /// Rows to learn from, by task.
    pub train: Vec<Vec<u32>>,
    /// Rows to test on, by task.
    pub test: Vec<Vec<u32>>,
}

/// Rows of one data set that make a task, before they are put into the table.
pub struct Part {
    name: String,
    /// Number of the data set.
    set: usize,
    /// What becomes of the pictures.
    change: Option<(Change, u32)>,
    train: Vec<u32>,
    test: Vec<u32>,
    /// Classes of the data set that it has, in order.
    classes: Vec<u32>,
}

impl Tasks {
    /// The tasks of a session under a seed, from its data sets, and what had to be put right.
    ///
    /// # Errors
    /// The data cannot make a stream: the control, and why not.
    pub fn of(spec: &ContinualSpec, sets: &[&Data], seed: u64) -> Result<(Self, Vec<Issue>), Issue> {
        let mut issues = Vec::new();
        let Some(first) = sets.first() else { return Err(Issue::new("stream", "There are no data", "")) };
        for set in sets {
            if set.labels().is_none() || set.classes().len() < 2 {
                let classes = set.classes().len();
                let has = if classes == 1 { "has one class alone" } else { "has no classes" };
                return Err(Issue::new("file", format!("“{}” {has}; a stream needs two or more", set.info.title), ""));
            }
        }
        let mut spec = spec.clone();
        if spec.stream.splits_classes() {
            spec.fit_tasks(first.classes().len(), &mut issues);
        }
        if let Some(set) = sets.iter().find(|set| spec.network.sees_pictures() && set.row_shape().len() != 3) {
            let (network, table) = (spec.network.label(), &set.info.title);
            let message = format!("“{network}” sees pictures, and “{table}” has none; an MLP learns");
            issues.push(Issue::new("network", message, Network::Mlp.id()));
        }
        let mut parts = parts(&spec, sets, seed)?;
        for part in &mut parts {
            part.trim(&spec, sets, seed);
        }
        parts.retain(|part| {
            let lacks = if part.train.is_empty() { "training" } else { "test" };
            let whole = !part.train.is_empty() && !part.test.is_empty();
            if !whole {
                issues.push(Issue::new("tasks", format!("{} has no {lacks} examples; it is left out", part.name), ""));
            }
            whole
        });
        if parts.is_empty() {
            return Err(Issue::new("tasks", "No task has both training and test examples", ""));
        }
        Ok((Self::assemble(&spec, sets, &parts, seed), issues))
    }

    /// Tasks of parts that a study chose, cut to the session's sizes.
    #[must_use]
    pub fn of_parts(spec: &ContinualSpec, sets: &[&Data], mut parts: Vec<Part>, seed: u64) -> Self {
        parts.iter_mut().for_each(|part| part.trim(spec, sets, seed));
        Self::assemble(spec, sets, &parts, seed)
    }

    /// Puts the parts into one table.
    fn assemble(spec: &ContinualSpec, sets: &[&Data], parts: &[Part], seed: u64) -> Self {
        let (mut pixels, mut numbers) = (Vec::new(), Vec::new());
        let mut tasks = Self {
            names: parts.iter().map(|part| part.name.clone()).collect(),
            outputs: Vec::new(),
            shape: sets[0].row_shape(),
            examples: Examples::Numbers(Vec::new()),
            output: Vec::new(),
            task: Vec::new(),
            of_task: Vec::new(),
            train: Vec::new(),
            test: Vec::new(),
        };
        let width = tasks.width();
        for (number, part) in parts.iter().enumerate() {
            let data = sets[part.set];
            let outputs: Vec<u32> =
                part.classes.iter().map(|&class| tasks.output_of(spec, sets, part, class)).collect();
            tasks.name_outputs(data, part, &outputs);
            let labels = data.labels().unwrap_or_default();
            let mut put = |rows: &[u32]| {
                let first = tasks.output.len() as u32;
                for &row in rows {
                    let place = row as usize * width..(row as usize + 1) * width;
                    match &data.values {
                        Values::Images(images) => match part.change {
                            Some((change, step)) => {
                                pixels.extend(change.shown(&images.pixels[place], images.shape, step, seed));
                            }
                            None => pixels.extend_from_slice(&images.pixels[place]),
                        },
                        Values::Table(table) => numbers.extend_from_slice(&table.values[place]),
                        // Refused before: they have no classes.
                        Values::Text(_) | Values::Series(_) => {}
                    }
                    let class = part.classes.iter().position(|&class| class == labels[row as usize]).unwrap_or(0);
                    tasks.output.push(outputs[class]);
                    tasks.task.push(number as u32);
                }
                (first..tasks.output.len() as u32).collect::<Vec<u32>>()
            };
            let (train, test) = (put(&part.train), put(&part.test));
            tasks.train.push(train);
            tasks.test.push(test);
            tasks.of_task.push(outputs);
        }
        tasks.examples = if pixels.is_empty() { Examples::Numbers(numbers) } else { Examples::Pixels(pixels) };
        tasks
    }

    /// The output that stands for a class of a part.
    fn output_of(&self, spec: &ContinualSpec, sets: &[&Data], part: &Part, class: u32) -> u32 {
        let place = part.classes.iter().position(|&known| known == class).unwrap_or(0) as u32;
        let splits = spec.stream.splits_classes();
        match spec.scenario {
            // Data sets one after another have classes of their own.
            Scenario::Class => sets[..part.set].iter().map(|set| set.classes().len() as u32).sum::<u32>() + class,
            Scenario::Domain if splits => place,
            Scenario::Domain => class,
            Scenario::Task => self.outputs.len() as u32 + place,
        }
    }

    fn name_outputs(&mut self, data: &Data, part: &Part, outputs: &[u32]) {
        for (&class, &output) in part.classes.iter().zip(outputs) {
            let name = data.classes().get(class as usize).cloned().unwrap_or_default();
            self.outputs.resize(self.outputs.len().max(output as usize + 1), String::new());
            let known = &mut self.outputs[output as usize];
            if known.is_empty() {
                *known = name;
            } else if !known.split(" / ").any(|part| part == name) {
                *known += &format!(" / {name}");
            }
        }
    }

    /// Numbers of an example.
    #[must_use]
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// Rows of the table.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.output.len()
    }

    /// Channels, height and width of a picture; zeros where examples are no pictures.
    #[must_use]
    pub fn picture(&self) -> [usize; 3] {
        match self.shape[..] {
            [channels, height, width] => [channels, height, width],
            _ => [0; 3],
        }
    }

    /// Bytes of a stored example with its label.
    #[must_use]
    pub fn example_bytes(&self) -> u64 {
        let each = if matches!(self.examples, Examples::Pixels(_)) { 1 } else { 4 };
        (self.width() * each + 4) as u64
    }
}

/// The tasks as rows of the data sets, before limits.
fn parts(spec: &ContinualSpec, sets: &[&Data], seed: u64) -> Result<Vec<Part>, Issue> {
    let data = sets[0];
    let rows = |data: &Data| [data.train.clone(), data.test.clone()].map(|rows| rows.map(|row| row as u32).collect());
    let all = |data: &Data| (0..data.classes().len() as u32).collect::<Vec<u32>>();
    let changed = |change: Change| {
        (0..spec.tasks as u32).map(move |step| {
            let [train, test] = rows(data);
            let name = if step == 0 { "as they are".into() } else { changed_name(change, step) };
            Part { name, set: 0, change: Some((change, step)), train, test, classes: all(data) }
        })
    };
    Ok(match spec.stream {
        StreamKind::PermutedMnist => changed(Change::Permuted).collect(),
        StreamKind::RotatedMnist => changed(Change::Rotated(spec.angle)).collect(),
        StreamKind::Sets => {
            let part = |(set, data): (usize, &&Data)| {
                let [train, test] = rows(data);
                Part { name: data.info.title.clone(), set, change: None, train, test, classes: all(data) }
            };
            sets.iter().enumerate().map(part).collect()
        }
        StreamKind::EmojiStyles => styles(spec, data)?,
        StreamKind::OwnTime => {
            let [train, test]: [Vec<u32>; 2] = rows(data);
            let cut = |rows: &[u32], task: usize| {
                rows[rows.len() * task / spec.tasks..rows.len() * (task + 1) / spec.tasks].to_vec()
            };
            let part = |task: usize| Part {
                name: format!("rows, part {}", task + 1),
                set: 0,
                change: None,
                train: cut(&train, task),
                test: cut(&test, task),
                classes: all(data),
            };
            (0..spec.tasks).map(part).collect()
        }
        _ => by_class(spec, data, seed),
    })
}

fn changed_name(change: Change, step: u32) -> String {
    match change {
        Change::Permuted => format!("order {}", step + 1),
        Change::Rotated(degrees) => format!("turned by {:.0}°", degrees * f64::from(step)),
    }
}

fn by_class(spec: &ContinualSpec, data: &Data, seed: u64) -> Vec<Part> {
    let classes = data.classes().len() as u32;
    let order = match spec.order {
        Order::Given => (0..classes).collect(),
        Order::Seed => class_order(classes, seed),
    };
    let labels = data.labels().unwrap_or_default();
    let split = |labels: &[u32], rows: std::ops::Range<usize>| {
        split_by_class(labels, rows.map(|row| row as u32), &order, spec.tasks)
    };
    let each: Vec<u32> = (0..classes).collect();
    let groups = split(&each, 0..each.len());
    let (train, test) = (split(labels, data.train.clone()), split(labels, data.test.clone()));
    let parts = groups.into_iter().zip(train).zip(test);
    let part = |((mut classes, train), test): ((Vec<u32>, Vec<u32>), Vec<u32>)| {
        classes.sort_by_key(|class| order.iter().position(|known| known == class));
        let names: Vec<&str> = classes.iter().map(|&class| data.classes()[class as usize].as_str()).collect();
        let more = if names.len() > 4 { ", …" } else { "" };
        let name = names[..names.len().min(4)].join(", ") + more;
        Part { name, set: 0, change: None, train, test, classes }
    };
    parts.map(part).collect()
}

/// A task for each art style.
fn styles(spec: &ContinualSpec, data: &Data) -> Result<Vec<Part>, Issue> {
    let lacks = || Issue::new("stream", "these pictures have no styles", "");
    let Values::Images(images) = &data.values else { return Err(lacks()) };
    let style = images.attributes.iter().find(|attribute| attribute.name == "style").ok_or_else(lacks)?;
    let of = |rows: &std::ops::Range<usize>, value: u32| {
        rows.clone().filter(|&row| style.values[row] == value).map(|row| row as u32).collect::<Vec<u32>>()
    };
    let part = |(value, name): (usize, &String)| Part {
        name: name.clone(),
        set: 0,
        change: None,
        train: of(&data.train, value as u32),
        test: of(&data.test, value as u32),
        classes: (0..images.classes.len() as u32).collect(),
    };
    // Styles that the test set lacks cannot be tested.
    let parts = style.names.iter().enumerate().map(part).filter(|part| !part.train.is_empty());
    Ok(parts.take(spec.tasks).collect())
}

impl Part {
    /// All rows of some classes of data set number `set`.
    #[must_use]
    pub fn of_classes(name: &str, set: usize, data: &Data, classes: Range<u32>) -> Self {
        let labels = data.labels().unwrap_or_default();
        let of = |rows: &Range<usize>| {
            rows.clone().filter(|&row| classes.contains(&labels[row])).map(|row| row as u32).collect()
        };
        let (train, test) = (of(&data.train), of(&data.test));
        Self { name: name.to_owned(), set, change: None, train, test, classes: classes.collect() }
    }

    /// The same rows with their pictures changed, so many steps far.
    #[must_use]
    pub fn changed(mut self, change: Change, step: u32) -> Self {
        self.change = Some((change, step));
        self
    }

    /// Thins out and cuts to the session's sizes, evenly of each class.
    fn trim(&mut self, spec: &ContinualSpec, sets: &[&Data], seed: u64) {
        let labels = sets[self.set].labels().unwrap_or_default();
        if spec.imbalance < 1.0 {
            let classes = sets[self.set].classes().len() as u32;
            let order = match spec.order {
                Order::Given => (0..classes).collect(),
                Order::Seed => class_order(classes, seed),
            };
            let kept = long_tailed(labels, &self.train, &order, spec.imbalance);
            self.train.retain(|row| kept.binary_search(row).is_ok());
        }
        for (rows, most) in [(&mut self.train, spec.examples), (&mut self.test, spec.tested)] {
            if most > 0 {
                let mut left = vec![most.div_ceil(self.classes.len()); sets[self.set].classes().len()];
                rows.retain(|&row| {
                    let left = &mut left[labels[row as usize] as usize];
                    let stays = *left > 0;
                    *left = left.saturating_sub(1);
                    stays
                });
                rows.truncate(most.max(1));
            }
        }
    }
}
