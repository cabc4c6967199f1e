//! What goes on inside strategies: movement of layers, curvature, answers, memories.

use super::{Shown, axis, look, merged, percent, since};
use crate::continual::{Insight, Memory, Moved, Reading, Record, Sharpness};
use crate::decimal::fixed;
use crate::figure::{Axis, BarSeries, Dash, Figure, Grid, Mark, Role, Scale, Tile, brief};

impl Shown<'_> {
    /// How far each layer's weights went in the task at hand, and what it yields for the first task since that ended.
    #[must_use]
    pub fn movement(&self) -> [Figure; 2] {
        let weights = Figure {
            id: "movement".into(),
            title: "How far each layer's weights went in this task".into(),
            meaning: "distance from where the task began, of the norm there".into(),
            empty: "The first evaluation shows which layers a task moves.".into(),
            ..Figure::default()
        };
        let features = Figure {
            id: "drift".into(),
            title: "How far task 1's features went since it ended".into(),
            meaning: "‖F − F₁‖ / ‖F₁‖ of what each layer yields for test examples of task 1: F now, F₁ when it ended"
                .into(),
            empty: "Appears when the second task is under way.".into(),
            ..Figure::default()
        };
        [self.by_layer(weights, |insight| &insight.moved), self.by_layer(features, |insight| &insight.drifted)]
    }

    /// A figure with bars for each layer.
    fn by_layer(&self, figure: Figure, of: fn(&Insight) -> &[Moved]) -> Figure {
        let mut layers: Vec<String> = Vec::new();
        for moved in self.records.iter().flatten().flat_map(|record| of(&record.insight)) {
            if !layers.contains(&moved.layer) {
                layers.push(moved.layer.clone());
            }
        }
        let bars = |arm: usize| {
            let share = |layer: &String| {
                let moved = self.of(arm).iter().flat_map(|record| of(&record.insight));
                percent(merged(moved.filter(|moved| moved.layer == *layer).map(|moved| moved.relative))[0]) as f32
            };
            BarSeries { name: self.name(arm), role: look(arm).0, values: layers.iter().map(share).collect() }
        };
        let series: Vec<BarSeries> = (0..self.course.arms.len()).map(bars).collect();
        let marks = if layers.is_empty() { Vec::new() } else { vec![Mark::Bars { series, stacked: false }] };
        Figure { x: Axis { categories: layers, ..Axis::default() }, y: axis("moved", "%"), marks, ..figure }
    }

    /// The largest curvature of an arm's loss after each of the last borders, on the task left and on the one begun.
    #[must_use]
    pub fn curvature(&self, arm: usize) -> Figure {
        let mut marks = Vec::new();
        for (border, ends) in self.course.borders.windows(2).enumerate() {
            let about = |part: usize| {
                move |record: &Record, reading: &Reading| {
                    let after = record.borders.iter().filter(|end| **end <= reading.update).count();
                    // The last task has its border behind it too.
                    let here = after.min(record.borders.len().saturating_sub(1)) == border + 1;
                    reading.sharpness.filter(|_| here).map_or(f64::NAN, |sharpness| sharpness.lambda[part])
                }
            };
            for (part, dash) in [Dash::Solid, Dash::Dashed].into_iter().enumerate() {
                let name = format!("task {}, {}", border + 1 + part, ["left", "begun"][part]);
                marks.push(since(self.line(arm, name, (look(border).0, dash), &about(part)), ends[0]));
            }
        }
        marks.retain(|mark| matches!(mark, Mark::Line { points, .. } if !points.is_empty()));
        // A colour for each border.
        marks.drain(..marks.len().saturating_sub(10));
        let measured =
            || self.of(arm).iter().flat_map(|record| &record.readings).filter_map(|reading| reading.sharpness);
        let most = |of: fn(&Sharpness) -> f64| measured().map(|sharpness| of(&sharpness)).fold(0.0, f64::max);
        let error = most(|sharpness| {
            (0..2).map(|part| sharpness.error[part] / sharpness.lambda[part].abs()).fold(0.0, f64::max)
        });
        let meaning = format!(
            "largest eigenvalue of the loss's Hessian on {} training examples of the task left (solid) and of the one begun \
             (dashed); by at most {} products a pair, known to within {}%",
            brief(most(|sharpness| f64::from(sharpness.examples))),
            brief(most(|sharpness| f64::from(sharpness.products))),
            brief(percent(error)),
        );
        let meaning = if marks.is_empty() { String::new() } else { meaning };
        let title = format!("Curvature about borders: {}", self.name(arm));
        Figure {
            id: "curvature".into(),
            alt: format!("{title} {meaning}"),
            title,
            meaning,
            x: axis("updates since the border", ""),
            y: Axis { scale: Scale::Symlog, ..axis("λ₁", "") },
            marks,
            empty: "Appears after a border, for strategies that descend the loss of the network's outputs.".into(),
            ..Figure::default()
        }
    }

    /// What an arm answers, by what is right: shares of each row.
    #[must_use]
    pub fn confusion(&self, arm: usize) -> Figure {
        let insight = self.of(arm).iter().map(|record| &record.insight).rfind(|insight| !insight.confusion.is_empty());
        let counts = insight.map_or(&[][..], |insight| &insight.confusion);
        let width = counts.len();
        let mut values = Vec::with_capacity(width * width);
        let (mut old, mut drawn) = (0, 0);
        let recent = insight.map_or(&[][..], |insight| &insight.recent);
        let is_recent = |output: usize| recent.contains(&(output as u32));
        for (right, row) in counts.iter().enumerate() {
            let all: u32 = row.iter().sum();
            values.extend(row.iter().map(|count| (percent(f64::from(*count) / f64::from(all))) as f32));
            if !is_recent(right) {
                old += all;
                drawn += row.iter().enumerate().filter(|(answer, _)| is_recent(*answer)).map(|(_, n)| n).sum::<u32>();
            }
        }
        let names = self.course.outputs.clone();
        let map = Mark::HeatMap {
            grid: Grid { width, height: width, values },
            scale: Scale::Linear,
            range: Some([0.0, 100.0]),
            rows: names.clone(),
            columns: names,
        };
        let bias = if old > 0 && !recent.is_empty() {
            fixed(percent(f64::from(drawn) / f64::from(old)), 0) + "% of earlier classes taken for the newest"
        } else {
            String::new()
        };
        Figure {
            id: "confusion".into(),
            title: format!("What {} answers", self.name(arm)),
            meaning: "percent of each class's test examples; columns of the newest classes fill where older are lost"
                .into(),
            value: bias.clone(),
            x: axis("answer", ""),
            y: axis("right", ""),
            marks: if width > 0 { vec![map] } else { Vec::new() },
            alt: format!("Answers of {} by class. {bias}", self.name(arm)),
            empty: "The first evaluation shows what is taken for what.".into(),
            ..Figure::default()
        }
    }

    /// What an arm has stored: how many of each output, and some of the pictures. `pixels` as [`Memory::pixels`] says.
    #[must_use]
    pub fn memory(&self, arm: usize, memory: Option<(&Memory, &[u8])>) -> Vec<Figure> {
        let title = format!("What {} remembers", self.name(arm));
        let empty = "Nothing is stored so far, or this strategy keeps no examples.";
        let name = |output: usize| self.course.outputs.get(output).cloned().unwrap_or_default();
        let Some((memory, pixels)) = memory else {
            return vec![Figure { id: "memory".into(), title, empty: empty.into(), ..Figure::default() }];
        };
        let bars = BarSeries {
            name: String::new(),
            role: Role::Train,
            values: memory.counts.iter().map(|count| *count as f32).collect(),
        };
        let counts = Figure {
            id: "memory".into(),
            title,
            value: format!("{} examples", memory.counts.iter().sum::<u32>()),
            meaning: "stored examples of each class".into(),
            x: Axis { categories: (0..memory.counts.len()).map(name).collect(), ..Axis::default() },
            y: axis("examples", ""),
            marks: vec![Mark::Bars { series: vec![bars], stacked: false }],
            ..Figure::default()
        };
        let [channels, height, width] = memory.shape;
        let tiles: Vec<Tile> = pixels
            .chunks_exact((channels * height * width).max(1))
            .zip(&memory.shown)
            .filter(|_| channels * height * width > 0)
            .map(|(planes, output)| Tile {
                width,
                height,
                channels,
                // A file's pictures have one plane a channel; a tile's have channels innermost.
                pixels: (0..planes.len()).map(|i| planes[i % channels * height * width + i / channels]).collect(),
                caption: name(*output as usize),
                ..Tile::default()
            })
            .collect();
        if tiles.is_empty() {
            return vec![counts];
        }
        let pictures = Figure {
            id: "stored".into(),
            title: "Some of them".into(),
            marks: vec![Mark::Tiles { tiles }],
            ..Figure::default()
        };
        vec![counts, pictures]
    }
}
