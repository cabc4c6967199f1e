//! What the study shows.

use engine::figure::{Dash, Figure, Mark, Role, Tile};

use super::clips::{Clips, Sight};
use super::schedule::{FRAMES, SIDE, Shape, Update, Way};
use super::{
    ACCURACY, ACCURACY_BY_TIME, ACCURACY_BY_WORK, BATCH, DIRECTION, LONG, PARITY, SCALED, SECONDS, SHORT, UPDATES,
    WORK, updates,
};
use crate::plot::{axis, in_words, log_axis};
use crate::{Plot, Results};

pub fn figures(results: &Results) -> Vec<Plot> {
    let all = &results.arms;
    let accuracy = || axis("test accuracy", "%");
    let steps = updates(&results.knobs, "B", 1.0);
    vec![
        Plot::curves(results, "work", "Accuracy by work", [axis("work", "GFLOP"), accuracy()], all, ACCURACY_BY_WORK)
            .says(in_words(results, all, ACCURACY.last()))
            .meaning("What training has cost so far. All arms are tested on whole clips.")
            .empty("Lines grow while the arms train."),
        Plot::of(
            "shapes",
            "What a batch is made of",
            [axis("update", ""), log_axis("of the default", "×")],
            shapes(&steps, results.knobs.get(&BATCH)),
        )
        .meaning(format!(
            "Multigrid: fewer frames and a smaller side make room for more clips; their product stays about the same.{}",
            if results.knobs.get(&SHORT) {
                " The short cycle changes the side at every update, and the number of clips with it: both fill bands."
            } else {
                ""
            }
        )),
        Plot::of(
            "rate",
            "The learning rate of multigrid",
            [axis("update", ""), log_axis("rate", "")],
            vec![rates(&steps)],
        )
        .meaning(if results.knobs.get(&LONG) && results.knobs.get(&SCALED) {
            "It falls with the batch within a long cycle, and at the end of each stage."
        } else {
            "It falls at the end of each stage."
        }),
        Plot::picture(results, "clip", "clip", "One clip at all shapes")
            .meaning(
                "What the network sees at each shape, frames × pixels: its frames line by line, at the largest stride.",
            )
            .empty("A clip appears when the first seed begins."),
        Plot::curves(results, "time", "Accuracy by time", [axis("time", "s"), accuracy()], all, ACCURACY_BY_TIME)
            .meaning("Seconds of updates, drawing of clips included, tests aside; what else the machine does prolongs them.")
            .empty("Lines grow while the arms train."),
        Plot::dots(results, "end", "Final accuracy", "test accuracy", all, ACCURACY.last())
            .meaning("A dot is a seed: other clips, another start. The short cycle alone has one seed.")
            .empty("Dots appear when an arm has trained."),
        Plot::table(
            results,
            "All numbers",
            &[
                ("test accuracy", ACCURACY.last()),
                ("directions right", DIRECTION),
                ("parities right", PARITY),
                ("updates", UPDATES),
                ("work", WORK),
                ("time", SECONDS),
            ],
        )
        .meaning("Mean over the seeds, with the deviation."),
    ]
}

/// Clips, frames and side of each batch, and their product, over those of the default.
fn shapes(steps: &[Update], batch: usize) -> Vec<Mark> {
    let line = |name: &str, role, dash, of: &dyn Fn(Shape) -> f64| {
        let point = |(place, update): (usize, &Update)| [(place + 1) as f64, of(update.shape)];
        let points = steps.iter().enumerate().map(point).collect();
        Mark::Line { name: name.into(), role, dash, points, band: vec![] }
    };
    let whole = Shape { clips: batch, frames: FRAMES, side: SIDE };
    vec![
        line("clips", Role::Batch, Dash::Solid, &|shape| shape.clips as f64 / batch as f64),
        line("side", Role::Test, Dash::Solid, &|shape| shape.side as f64 / SIDE as f64),
        line("frames", Role::Train, Dash::Solid, &|shape| shape.frames as f64 / FRAMES as f64),
        line("product", Role::Other, Dash::Dashed, &|shape| shape.pixels() as f64 / whole.pixels() as f64),
    ]
}

fn rates(steps: &[Update]) -> Mark {
    let points = steps.iter().enumerate().map(|(place, update)| [(place + 1) as f64, update.rate]).collect();
    Mark::Line { name: "rate".into(), role: Role::Lr, dash: Dash::Solid, points, band: vec![] }
}

/// Grey between frames.
const GAP: u8 = 110;

/// One clip as each shape of an arm shows it, the coarsest first.
pub fn film(clips: &Clips, way: &Way) -> Figure {
    let mut seen: Vec<Shape> = vec![];
    for update in way.updates(clips.train) {
        if !seen.contains(&update.shape) {
            seen.push(update.shape);
        }
    }
    seen.sort_by_key(|shape| (shape.frames, shape.side));
    let sheet = |shape: &Shape| {
        let Shape { frames, side, .. } = *shape;
        let mut x = vec![];
        clips.draw(0, Sight { frames, side, first: 0, stride: FRAMES / frames }, &mut x);
        // As good as square, a grey line between any two frames.
        let across = if frames > 4 { 4 } else { 2 };
        let [width, height] = [across, frames.div_ceil(across)].map(|count| count * (side + 1) - 1);
        let mut pixels = vec![GAP; width * height];
        for (at, value) in x.iter().enumerate() {
            let (frame, row, column) = (at / (side * side), at / side % side, at % side);
            let [top, left] = [frame / across, frame % across].map(|count| count * (side + 1));
            pixels[(top + row) * width + left + column] = (255.0 * value) as u8;
        }
        let caption = format!("{frames} × {side}²");
        Tile { width, height, channels: 1, pixels, caption, ..Tile::default() }
    };
    Figure { marks: vec![Mark::Tiles { tiles: seen.iter().map(sheet).collect() }], ..Figure::default() }
}
