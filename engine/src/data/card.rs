//! A data set described for the page: counts, provenance, and figures that show what is in it.

use super::{Data, Images, Scaling, Series, Split, Table, Target, Text, Values};
use crate::figure::{Axis, BarSeries, Dash, Figure, Mark, Role, Tile};
use crate::protocol::DataCard;

/// Classes of which the picture grid shows examples, and examples of each.
const GRID_CLASSES: usize = 10;
const GRID_ROWS: usize = 5;
/// Most bars that stay readable.
const MAX_BARS: usize = 100;
/// Most points in a scatter.
const MAX_POINTS: usize = 1000;
/// Most rows in the table of columns.
const MAX_COLUMNS: usize = 64;
/// Characters of a text shown.
const PASSAGE: usize = 600;
/// Time steps of a series shown.
const STRETCH: usize = 500;

impl Data {
    /// Describes this set.
    #[must_use]
    pub fn card(&self) -> DataCard {
        let info = &self.info;
        let classes = match &self.values {
            Values::Text(text) => text.vocabulary.iter().map(|&symbol| visible(symbol)).collect(),
            _ => self.classes().to_vec(),
        };
        let mut notes = info.notes.clone();
        if !info.split.is_empty() {
            notes.push(format!("Test examples: {}.", info.split));
        }
        let from = if info.source.is_empty() { String::new() } else { format!(" ({})", info.source) };
        DataCard {
            title: info.title.clone(),
            content: self.content(),
            train: self.train.len(),
            test: self.test.len(),
            available: info.available,
            shape: self.row_shape(),
            classes,
            licence: info.licence.clone(),
            attribution: format!("{}{from}", info.attribution),
            figures: self.figures(),
            notes,
        }
    }

    fn figures(&self) -> Vec<Figure> {
        match &self.values {
            Values::Images(images) => [Some(self.pictures(images)), self.histogram()].into_iter().flatten().collect(),
            Values::Table(table) => [
                Some(self.scatter(table)),
                self.histogram(),
                Some(self.columns(&table.columns, &table.values, &table.scaling)),
            ]
            .into_iter()
            .flatten()
            .collect(),
            Values::Text(text) => vec![self.passage(text), self.characters(text)],
            Values::Series(series) => {
                vec![self.stretch(series), self.columns(&series.columns, &series.values, &series.scaling)]
            }
        }
    }

    /// Training examples of each of up to ten classes, a column a class.
    fn pictures(&self, images: &Images) -> Figure {
        let classes = images.classes.len();
        let shown = classes.min(GRID_CLASSES);
        let chosen: Vec<usize> = (0..shown).map(|i| i * classes / shown).collect();
        let of_class = |class: usize| self.train.clone().filter(move |&row| images.labels[row] as usize == class);
        let examples: Vec<Vec<usize>> = chosen.iter().map(|&class| of_class(class).take(GRID_ROWS).collect()).collect();
        let mut tiles = Vec::with_capacity(shown * GRID_ROWS);
        for row in 0..GRID_ROWS {
            for (class, of_class) in chosen.iter().zip(&examples) {
                if let Some(&example) = of_class.get(row) {
                    tiles.push(tile(images, example, &images.classes[*class]));
                }
            }
        }
        let names: Vec<&str> = chosen.iter().map(|&class| images.classes[class].as_str()).collect();
        Figure {
            id: "examples".into(),
            title: "Training examples".into(),
            meaning: "What the network sees.".into(),
            alt: format!("Pictures of the classes {}.", names.join(", ")),
            marks: vec![Mark::Tiles { tiles }],
            ..Figure::default()
        }
    }

    /// Examples by class; where classes are many, classes by their number of training examples.
    fn histogram(&self) -> Option<Figure> {
        let labels = self.labels()?;
        let classes = self.classes();
        let count = |split| {
            let mut counts = vec![0_usize; classes.len()];
            for row in self.range(split) {
                counts[labels[row] as usize] += 1;
            }
            counts
        };
        let (train, test) = (count(Split::Train), count(Split::Test));
        let (least, most) = (train.iter().min()?, train.iter().max()?);
        let value = if least == most { format!("{least} each") } else { format!("{least} to {most}") };
        let alt = format!("{} classes with {value} training examples.", classes.len());
        let bars = |name: &str, role, counts: &[usize]| BarSeries {
            name: name.into(),
            role,
            values: counts.iter().map(|&count| count as f32).collect(),
        };
        let (title, x, y, series) = if classes.len() <= MAX_BARS {
            let x = Axis { label: "class".into(), categories: classes.to_vec(), ..Axis::default() };
            let series = vec![bars("training", Role::Train, &train), bars("test", Role::Test, &test)];
            ("Examples by class", x, "examples", series)
        } else {
            // At most a hundred bins of equal width from the smallest class to the largest.
            let width = (most - least) / MAX_BARS + 1;
            let mut bins = vec![0_usize; (most - least) / width + 1];
            for &count in &train {
                bins[(count - least) / width] += 1;
            }
            let name = |bin: usize| match (least + bin * width, least + (bin + 1) * width - 1) {
                (from, to) if from == to => from.to_string(),
                (from, to) => format!("{from}-{to}"),
            };
            let categories = (0..bins.len()).map(name).collect();
            let x = Axis { label: "training examples".into(), categories, ..Axis::default() };
            ("Classes by size", x, "classes", vec![bars("classes", Role::Train, &bins)])
        };
        Some(Figure {
            id: "classes".into(),
            title: title.into(),
            meaning: "A network that always answers with the most frequent class is right in that class's share."
                .into(),
            value,
            x,
            y: Axis { label: y.into(), ..Axis::default() },
            marks: vec![Mark::Bars { series, stacked: false }],
            alt,
            ..Figure::default()
        })
    }

    /// The first two columns; of a table with one column or a number to predict, the first column against the target.
    fn scatter(&self, table: &Table) -> Figure {
        let width = table.columns.len();
        let column = |row: usize, column: usize| table.scaling[column].raw(table.values[row * width + column]);
        let rows = self.train.clone().step_by(self.train.len().div_ceil(MAX_POINTS).max(1));
        let meaning = if self.labels().is_some() { "Colour is the class." } else { "Each point is an example." };
        let (label, points, classes): (&str, Vec<[f64; 2]>, Vec<u32>) = match &table.target {
            Target::Number { name, values, scaling } => {
                let y = |row: usize| scaling.raw(values[row]);
                (name, rows.map(|row| [column(row, 0), y(row)]).collect(), Vec::new())
            }
            Target::Classes { labels, .. } if width == 1 => {
                let points = rows.clone().map(|row| [column(row, 0), f64::from(labels[row])]).collect();
                ("class", points, rows.map(|row| labels[row]).collect())
            }
            Target::Classes { labels, .. } => {
                let points = rows.clone().map(|row| [column(row, 0), column(row, 1)]).collect();
                (&table.columns[1], points, rows.map(|row| labels[row]).collect())
            }
        };
        let axis = |label: &str| Axis { label: label.into(), ..Axis::default() };
        Figure {
            id: "points".into(),
            title: "Training examples".into(),
            meaning: meaning.into(),
            x: axis(&table.columns[0]),
            y: axis(label),
            alt: format!("{} points, {} against {label}.", points.len(), table.columns[0]),
            marks: vec![Mark::Scatter { name: "training".into(), role: Role::Train, points, classes }],
            classes: self.classes().to_vec(),
            ..Figure::default()
        }
    }

    /// Range and scale of each column over the training rows.
    fn columns(&self, names: &[String], values: &[f32], scaling: &[Scaling]) -> Figure {
        let width = names.len();
        let rows = names.iter().zip(scaling).enumerate().take(MAX_COLUMNS).map(|(column, (name, scaling))| {
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            for row in self.train.clone() {
                let value = scaling.raw(values[row * width + column]);
                (low, high) = (low.min(value), high.max(value));
            }
            let mut cells = vec![name.clone()];
            cells.extend([low, high, scaling.mean, scaling.std].map(number));
            cells
        });
        let columns = ["column", "least", "greatest", "subtracted", "divided by"];
        Figure {
            id: "columns".into(),
            title: "Columns".into(),
            meaning: "The network sees each column with its mean subtracted, divided by its standard deviation.".into(),
            value: if width > MAX_COLUMNS { format!("first {MAX_COLUMNS} of {width}") } else { String::new() },
            alt: format!("{width} columns: {}.", names[..width.min(MAX_COLUMNS)].join(", ")),
            marks: vec![Mark::Table { columns: columns.map(String::from).to_vec(), rows: rows.collect() }],
            ..Figure::default()
        }
    }

    fn passage(&self, text: &Text) -> Figure {
        let tokens = &text.tokens[self.train.clone()];
        Figure {
            id: "passage".into(),
            title: "How it begins".into(),
            meaning: "The network sees a stretch and learns to predict each next character.".into(),
            alt: "The beginning of the training text.".into(),
            marks: vec![Mark::Text {
                text: tokens.iter().take(PASSAGE).map(|&token| text.vocabulary[token as usize]).collect(),
            }],
            ..Figure::default()
        }
    }

    /// Frequency of each character, most frequent first.
    fn characters(&self, text: &Text) -> Figure {
        let mut counts = vec![0_usize; text.vocabulary.len()];
        for &token in &text.tokens[self.train.clone()] {
            counts[token as usize] += 1;
        }
        let total = self.train.len().max(1) as f64;
        let entropy: f64 = counts
            .iter()
            .map(|&count| count as f64 / total)
            .filter(|&share| share > 0.0)
            .map(|share| -share * share.ln())
            .sum();
        let mut order: Vec<usize> = (0..counts.len()).collect();
        crate::numeric::sort_by_key(&mut order, &|&symbol| std::cmp::Reverse(counts[symbol]));
        order.truncate(MAX_BARS);
        let values = order.iter().map(|&symbol| (counts[symbol] as f64 / total) as f32).collect();
        Figure {
            id: "characters".into(),
            title: "Characters by frequency".into(),
            meaning: "A model that knows only these frequencies has a loss equal to their entropy.".into(),
            value: format!("entropy {entropy:.2} nats"),
            x: Axis {
                label: "character".into(),
                categories: order.iter().map(|&symbol| visible(text.vocabulary[symbol])).collect(),
                ..Axis::default()
            },
            y: Axis { label: "share".into(), ..Axis::default() },
            alt: format!("{} characters; entropy of their frequencies {entropy:.2} nats.", counts.len()),
            marks: vec![Mark::Bars {
                series: vec![BarSeries { name: "training".into(), role: Role::Train, values }],
                stacked: false,
            }],
            ..Figure::default()
        }
    }

    /// The beginning of the column to forecast.
    fn stretch(&self, series: &Series) -> Figure {
        let (width, target) = (series.columns.len(), series.target);
        let raw = |row: usize| series.scaling[target].raw(series.values[row * width + target]);
        let points: Vec<[f64; 2]> =
            self.train.clone().take(STRETCH).enumerate().map(|(step, row)| [step as f64, raw(row)]).collect();
        Figure {
            id: "stretch".into(),
            title: "To forecast".into(),
            meaning: "The network sees all columns of a window and forecasts this one.".into(),
            x: Axis { label: "time step".into(), unit: series.interval.clone(), ..Axis::default() },
            y: Axis { label: series.columns[target].clone(), ..Axis::default() },
            alt: format!("{} over its first {} time steps.", series.columns[target], points.len()),
            marks: vec![Mark::line(&series.columns[target], Role::Train, Dash::Solid, points)],
            ..Figure::default()
        }
    }
}

/// An image as a picture with channels innermost.
fn tile(images: &Images, example: usize, caption: &str) -> Tile {
    let [channels, height, width] = images.shape;
    let plane = height * width;
    let pixels = &images.pixels[example * channels * plane..(example + 1) * channels * plane];
    Tile {
        width,
        height,
        channels,
        pixels: (0..plane).flat_map(|at| (0..channels).map(move |channel| pixels[channel * plane + at])).collect(),
        caption: caption.into(),
        ..Tile::default()
    }
}

/// A character as it can be shown in a label.
fn visible(symbol: char) -> String {
    match symbol {
        '\n' => "\u{21b5}".into(),
        ' ' => "\u{2423}".into(),
        '\t' => "\u{21e5}".into(),
        symbol if symbol.is_control() => format!("U+{:04X}", u32::from(symbol)),
        symbol => symbol.into(),
    }
}

/// Four significant digits.
fn number(value: f64) -> String {
    let digits = 3 - value.abs().max(1e-9).log10().floor() as i32;
    match usize::try_from(digits) {
        Ok(digits) if digits <= 6 => format!("{value:.digits$}"),
        Ok(_) => format!("{value:.3e}"),
        Err(_) => format!("{value:.0}"),
    }
}
