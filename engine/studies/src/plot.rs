//! What a study shows, as data: which curves, dots, maps or tables of which arms, with a caption from the results.

use engine::figure::{Axis, BarSeries, Dash, Figure, Grid, Mark, Role, Scale, SeedDot, brief};

use super::judge::with_unit;
use super::{Curve, Label, Number, Results};

/// A figure in the making.
#[derive(Clone, Debug, Default)]
pub struct Plot {
    figure: Figure,
    /// Heat maps of one name are compared: they are drawn on one scale.
    scale: &'static str,
}

impl Plot {
    /// Anything drawn over two axes. `id`: stable within the study.
    #[must_use]
    pub fn of(id: impl Into<String>, title: impl Into<String>, [x, y]: [Axis; 2], marks: Vec<Mark>) -> Self {
        let (id, title) = (id.into(), title.into());
        let alt = title.clone();
        Self { figure: Figure { id, title, x, y, marks, alt, ..Figure::default() }, scale: "" }
    }

    /// A curve of some arms; what it ends with is said in words.
    #[must_use]
    pub fn curves(
        results: &Results,
        id: &str,
        title: impl Into<String>,
        axes: [Axis; 2],
        arms: &[Label],
        curve: Curve,
    ) -> Self {
        let drawn: Vec<&Label> =
            arms.iter().filter(|label| !results.mean_curve(&label.id, curve).0.is_empty()).collect();
        debug_assert!(all_apart(&drawn), "{id}: two arms look alike");
        Self::of(id, title, axes, curves(results, arms, curve)).says(in_words(results, arms, curve.last()))
    }

    /// A number of each arm as a dot for each seed, with the arm's mean.
    #[must_use]
    pub fn dots(
        results: &Results,
        id: &str,
        title: impl Into<String>,
        quantity: &str,
        arms: &[Label],
        number: impl Into<Number>,
    ) -> Self {
        let number = number.into();
        let axes = [arm_axis(arms), axis(quantity, number.unit())];
        Self::of(id, title, axes, seed_dots(results, arms, number)).says(in_words(results, arms, number))
    }

    /// Bars of named series over the places of the first axis, side by side; nothing before anything is measured.
    #[must_use]
    pub fn bars<'s>(
        id: &str,
        title: &str,
        axes: [Axis; 2],
        series: impl IntoIterator<Item = (&'s str, Role, Vec<f64>)>,
    ) -> Self {
        let series = series.into_iter().map(|(name, role, values)| BarSeries {
            name: name.into(),
            role,
            values: values.into_iter().map(|value| value as f32).collect(),
        });
        let series: Vec<BarSeries> = series.collect();
        debug_assert!(all_differ(&series), "{id}: two series have one colour");
        let measured = series.iter().flat_map(|series| &series.values).any(|value| value.is_finite());
        Self::of(id, title, axes, if measured { vec![Mark::Bars { series, stacked: false }] } else { vec![] })
    }

    /// Points of named groups, each in a colour of its own.
    #[must_use]
    pub fn groups(
        id: &str,
        title: &str,
        axes: [Axis; 2],
        groups: impl IntoIterator<Item = (String, Vec<[f64; 2]>)>,
    ) -> Self {
        let mut plot = Self::of(id, title, axes, vec![]);
        for (class, (name, points)) in (0..).zip(groups) {
            plot.figure.classes.push(name);
            if !points.is_empty() {
                let classes = vec![class; points.len()];
                plot.figure.marks.push(Mark::Scatter { name: String::new(), role: Role::Other, points, classes });
            }
        }
        plot
    }

    /// Its bars on top of each other.
    #[must_use]
    pub fn stacked(self) -> Self {
        self.changed(|mark| {
            if let Mark::Bars { stacked, .. } = mark {
                *stacked = true;
            }
        })
    }

    /// A heat map of the values at each row and column, under their names; nothing before there is a value. Maps with one
    /// name of a scale share it.
    #[must_use]
    pub fn heat(
        id: impl Into<String>,
        title: impl Into<String>,
        axes: [Axis; 2],
        scale: &'static str,
        [rows, columns]: [Vec<String>; 2],
        value: impl Fn(usize, usize) -> f64,
    ) -> Self {
        let (width, height) = (columns.len(), rows.len());
        let values: Vec<f32> = (0..width * height).map(|at| value(at / width, at % width) as f32).collect();
        let begun = values.iter().any(|value| value.is_finite());
        let grid = Grid { width, height, values };
        let map = Mark::HeatMap { grid, scale: Scale::Linear, range: None, rows, columns };
        Self { scale, ..Self::of(id, title, axes, if begun { vec![map] } else { vec![] }) }
    }

    /// The figure `table`: a row for each arm that has the first of the numbers, under these heads.
    #[must_use]
    pub fn table(results: &Results, title: &str, columns: &[(&str, Number)]) -> Self {
        let row = |label: &Label| {
            let cell = |&(_, number): &(&str, Number)| {
                let sample = results.sample(&label.id, number);
                if sample.is_empty() { "–".to_owned() } else { with_unit(&sample.to_string(), number.unit()) }
            };
            let begun = columns.first().is_some_and(|&(_, number)| !results.sample(&label.id, number).is_empty());
            begun.then(|| [label.name.clone()].into_iter().chain(columns.iter().map(cell)).collect())
        };
        let heads: Vec<&str> = ["arm"].into_iter().chain(columns.iter().map(|(head, _)| *head)).collect();
        let words = columns.first().map_or_else(String::new, |&(_, number)| in_words(results, &results.arms, number));
        Self::rows("table", title, &heads, results.arms.iter().filter_map(row).collect())
            .says(words)
            .empty("A row for each arm.")
    }

    /// A table under these heads; nothing before it has rows.
    #[must_use]
    pub fn rows(id: &str, title: &str, heads: &[&str], rows: Vec<Vec<String>>) -> Self {
        let columns = heads.iter().map(|&head| head.to_owned()).collect();
        let marks = if rows.is_empty() { vec![] } else { vec![Mark::Table { columns, rows }] };
        Self::of(id, title, Default::default(), marks)
    }

    /// A picture that was kept under a name, such as a view of a trained network.
    #[must_use]
    pub fn picture(results: &Results, name: &str, id: impl Into<String>, title: &str) -> Self {
        let kept = results.picture(name).cloned().unwrap_or_default();
        let alt = if kept.alt.is_empty() { title.to_owned() } else { kept.alt.clone() };
        Self { figure: Figure { id: id.into(), title: title.into(), alt, ..kept }, scale: "" }
    }

    /// What to make of it, in a sentence or two, from the results where it can be.
    #[must_use]
    pub fn meaning(mut self, meaning: impl Into<String>) -> Self {
        self.figure.meaning = meaning.into();
        self
    }

    /// Its numbers in words, for those who cannot see it; nothing before there are any.
    #[must_use]
    pub fn says(mut self, words: impl AsRef<str>) -> Self {
        let (words, title) = (words.as_ref(), &self.figure.title);
        self.figure.alt = if words.is_empty() { title.clone() } else { format!("{title}: {words}.") };
        self
    }

    /// What will appear, as long as there is nothing.
    #[must_use]
    pub fn empty(mut self, words: &str) -> Self {
        self.figure.empty = words.into();
        self
    }

    /// The current value in words and numbers, beside the title.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.figure.value = value.into();
        self
    }

    /// What it draws so far.
    #[must_use]
    pub fn marks(&self) -> &[Mark] {
        &self.figure.marks
    }

    /// Draws more above.
    #[must_use]
    pub fn with(mut self, marks: impl IntoIterator<Item = Mark>) -> Self {
        self.figure.marks.extend(marks);
        self
    }

    /// Changes what it draws.
    #[must_use]
    pub fn changed(mut self, change: impl FnMut(&mut Mark)) -> Self {
        self.figure.marks.iter_mut().for_each(change);
        self
    }
}

/// A role of the same colour: limits have that of tests, theories that of others.
fn colour(role: Role) -> Role {
    match role {
        Role::Limit => Role::Test,
        Role::Theory => Role::Other,
        role => role,
    }
}

/// Whether each series of bars has a colour of its own.
fn all_differ(series: &[BarSeries]) -> bool {
    let alike = |one: &BarSeries, other: &BarSeries| colour(one.role) == colour(other.role);
    series.iter().enumerate().all(|(i, one)| series[..i].iter().all(|other| !alike(one, other)))
}

/// Whether the lines of arms can be told apart; those of one stem, `name, this` and `name, that`, share a key.
fn all_apart(arms: &[&Label]) -> bool {
    let look = |label: &Label| match (label.role, label.dash) {
        (Role::Limit | Role::Theory, Dash::Solid) => (colour(label.role), Dash::Dashed),
        (role, dash) => (colour(role), dash),
    };
    let stem = |label: &Label| label.name.split(", ").next().map(str::to_owned);
    let alike = |one: &&Label, other: &&Label| look(one) == look(other) && stem(one) != stem(other);
    arms.iter().enumerate().all(|(i, one)| arms[..i].iter().all(|other| !alike(one, other)))
}

/// The figures of a study; heat maps that are compared get one range.
pub(super) fn draw(plots: Vec<Plot>) -> Vec<Figure> {
    let mut ranges: Vec<(&str, [f32; 2])> = Vec::new();
    for plot in plots.iter().filter(|plot| !plot.scale.is_empty()) {
        for value in plot.figure.marks.iter().flat_map(cells).copied().filter(|value| value.is_finite()) {
            match ranges.iter_mut().find(|(scale, _)| *scale == plot.scale) {
                Some((_, range)) => *range = [range[0].min(value), range[1].max(value)],
                None => ranges.push((plot.scale, [value; 2])),
            }
        }
    }
    let shared = |Plot { mut figure, scale }: Plot| {
        let found = ranges.iter().find(|(known, _)| *known == scale).map(|(_, range)| range.map(f64::from));
        for mark in &mut figure.marks {
            if let (Mark::HeatMap { range, .. }, Some([low, high])) = (mark, found)
                && high > low
            {
                *range = Some([low, high]);
            }
        }
        figure
    };
    plots.into_iter().map(shared).collect()
}

fn cells(mark: &Mark) -> &[f32] {
    match mark {
        Mark::HeatMap { grid, .. } => &grid.values,
        _ => &[],
    }
}

/// Which share of the values, 0..=1, lies in each of so many bins between two ends, at the bin's middle; what lies outside counts
/// to the last one.
#[must_use]
pub fn histogram<T: Copy + Into<f64>>(values: &[T], [low, high]: [f64; 2], bins: usize) -> Vec<[f64; 2]> {
    let width = (high - low) / bins as f64;
    let mut counts = vec![0.0; bins];
    for &value in values {
        let bin = ((value.into() - low) / width).clamp(0.0, bins as f64 - 1.0);
        counts[bin as usize] += 1.0;
    }
    let all = values.len().max(1) as f64;
    counts.into_iter().enumerate().map(|(bin, count)| [low + (bin as f64 + 0.5) * width, count / all]).collect()
}

/// An axis with a quantity and its unit.
#[must_use]
pub fn axis(label: &str, unit: &str) -> Axis {
    Axis { label: label.into(), unit: unit.into(), ..Axis::default() }
}

/// The same on a logarithmic scale.
#[must_use]
pub fn log_axis(label: &str, unit: &str) -> Axis {
    Axis { scale: Scale::Log, ..axis(label, unit) }
}

/// An axis with a place for each arm.
#[must_use]
pub fn arm_axis(arms: &[Label]) -> Axis {
    Axis { categories: arms.iter().map(|label| label.name.clone()).collect(), ..Axis::default() }
}

/// A line for each arm that has the curve: its mean over the seeds, in a band from the lowest to the highest.
#[must_use]
pub fn curves(results: &Results, arms: &[Label], curve: Curve) -> Vec<Mark> {
    let lines = |label: &Label| {
        let (points, band) = results.mean_curve(&label.id, curve);
        stretches(label, &points, if results.seeds.len() > 1 { &band } else { &[] })
    };
    arms.iter().flat_map(lines).collect()
}

/// A line for each stretch of a curve: where nothing was measured between two branches, nothing is drawn.
fn stretches(label: &Label, points: &[[f64; 2]], band: &[[f64; 2]]) -> Vec<Mark> {
    let ends = (0..points.len()).filter(|&at| points[at][1].is_nan()).chain([points.len()]);
    let mut from = 0;
    let mut lines = Vec::new();
    for end in ends {
        if end > from {
            lines.push(Mark::Line {
                name: label.name.clone(),
                role: label.role,
                dash: label.dash,
                points: points[from..end].to_vec(),
                band: band.get(from..end).unwrap_or_default().to_vec(),
            });
        }
        from = end + 1;
    }
    lines
}

fn seed_dots(results: &Results, arms: &[Label], number: Number) -> Vec<Mark> {
    let of_arm = |(arm, label): (usize, &Label)| {
        let sample = results.sample(&label.id, number);
        let dots: Vec<SeedDot> = sample.0.iter().map(|&(seed, value)| SeedDot { arm, seed, value }).collect();
        (!dots.is_empty()).then_some(Mark::SeedDots { role: label.role, dots })
    };
    arms.iter().enumerate().filter_map(of_arm).collect()
}

/// `A 81.0 ± 2.9%, B 83.9 ± 0.2%`: a number of the arms in words.
#[must_use]
pub fn in_words(results: &Results, arms: &[Label], number: impl Into<Number>) -> String {
    let number = number.into();
    let of_arm = |label: &Label| {
        let sample = results.sample(&label.id, number);
        let value = if sample.len() == 1 { brief(sample.mean()) } else { sample.to_string() };
        (!sample.is_empty()).then(|| format!("{} {}", label.name, with_unit(&value, number.unit())))
    };
    arms.iter().filter_map(of_arm).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_that_look_alike_are_found() {
        let arms = [Label::baseline("a", "linear head"), Label::new("b", "codes"), Label::baseline("c", "MLP head")];
        let [linear, codes, mlp] = &arms;
        assert!(all_apart(&[linear, codes]) && !all_apart(&[linear, codes, mlp]));
        assert!(all_apart(&[linear, codes, &mlp.clone().dashed()]));
        let [short, long] = ["cosine, 500 steps", "cosine, 1000 steps"].map(|name| Label::new(name, name));
        assert!(all_apart(&[&short, &long]));
    }

    #[test]
    fn groups_have_colours_of_their_own() {
        let groups = [("a", vec![[1.0, 2.0]; 2]), ("none", vec![]), ("b", vec![[3.0, 4.0]])];
        let plot =
            Plot::groups("id", "title", Default::default(), groups.map(|(name, points)| (name.to_owned(), points)));
        let classes = plot.marks().iter().map(|mark| match mark {
            Mark::Scatter { classes, points, .. } if classes.len() == points.len() => classes.clone(),
            _ => panic!("not points of one class: {mark:?}"),
        });
        assert_eq!(classes.collect::<Vec<_>>(), [vec![0, 0], vec![2]]);
        assert_eq!(plot.figure.classes, ["a", "none", "b"]);
    }

    #[test]
    fn branches_are_not_joined() {
        let points = [[8.0, 4.0], [9.0, 1.0], [17.5, f64::NAN], [18.0, 4.0], [19.0, 2.0]];
        let band: Vec<[f64; 2]> = points.iter().map(|[_, y]| [*y, *y]).collect();
        for band in [&band[..], &[]] {
            let lines = stretches(&Label::new("a", "a"), &points, band);
            let of = |mark: &Mark| match mark {
                Mark::Line { points, band, .. } => (points.clone(), band.len()),
                _ => panic!("not a line: {mark:?}"),
            };
            let bands = if band.is_empty() { 0 } else { 2 };
            assert_eq!(
                lines.iter().map(of).collect::<Vec<_>>(),
                [(points[..2].to_vec(), bands), (points[3..].to_vec(), bands)]
            );
        }
        assert!(stretches(&Label::new("a", "a"), &[], &[]).is_empty());
    }

    #[test]
    fn compared_heat_maps_have_one_range() {
        let map = |scale, values: [f64; 2]| {
            let names = [vec!["row".to_owned()], vec!["a".to_owned(), "b".to_owned()]];
            Plot::heat("map", "Map", Default::default(), scale, names, |_, column| values[column])
        };
        let figures = draw(vec![map("loss", [1.0, 2.0]), map("loss", [f64::NAN, 5.0]), map("", [0.0, 9.0])]);
        let ranges: Vec<_> = figures
            .iter()
            .map(|figure| match figure.marks[0] {
                Mark::HeatMap { range, .. } => range,
                _ => None,
            })
            .collect();
        assert_eq!(ranges, [Some([1.0, 5.0]), Some([1.0, 5.0]), None]);
        assert!(map("", [f64::NAN; 2]).marks().is_empty());
    }
}
