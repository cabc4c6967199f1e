//! What the study shows.

use engine::figure::{Figure, Grid, Mark, Scale};

use super::{ADDED, FINAL, FORGETTING, KEPT, SEEN, SHARE, TASKS};
use crate::plot::{axis, log_axis};
use crate::{Plot, Results};

/// Names of the tasks in figures.
const NAMES: [&str; TASKS] = ["digits 0–4", "digits 5–9", "clothes 0–4", "clothes 5–9", "letters A", "letters B"];
/// Filters that are drawn.
const SHOWN: usize = 8;

/// See the module.
pub fn figures(results: &Results) -> Vec<Plot> {
    let axes = [axis("tasks learned", ""), axis("accuracy over them", "%")];
    let change = |arm: &str| {
        let names = [(); 2].map(|()| NAMES.map(str::to_owned).to_vec());
        let name = results.labels([arm]).first().map_or_else(String::new, |label| label.name.clone());
        let axes = [axis("after learning", ""), axis("accuracy in % on", "")];
        Plot::heat(format!("kept {arm}"), format!("What is kept: {name}"), axes, "kept", names, |task, after| {
            results.sample_at(arm, KEPT.of(task as u64), (after + 1) as f64).mean()
        })
        .empty("Squares fill as tasks are learned.")
    };
    vec![
        Plot::curves(results, "seen", "Accuracy as tasks arrive", axes, &results.arms, SEEN)
            .meaning("Tasks differ in how hard they are, so a line may fall without anything being forgotten.")
            .empty("A line grows with every task that has been learned."),
        price(results),
        change("tune").meaning("A row fades where later tasks overwrite what it needs."),
        change("clr").meaning("A row does not change to the right: no later task touches what an earlier one uses."),
        Plot::picture(results, "filters", "filters", "Filters of one task")
            .meaning(format!(
                "The first {SHOWN} channels of the first convolution, for the last task. A 1 in the middle alone leaves a \
                 channel as it is; neighbours of the same sign blur, of the opposite sign sharpen, a slope shifts."
            ))
            .empty("They appear when the first seed's last task is learned."),
        Plot::table(
            results,
            "What each arm keeps and adds",
            &[("final accuracy", FINAL), ("forgetting", FORGETTING), ("added a task", ADDED), ("of a network", SHARE)],
        )
        .meaning("Parameters that a task adds, its outputs included; fine-tuning and EWC change the shared ones too."),
    ]
}

/// Accuracy against what a task adds.
fn price(results: &Results) -> Plot {
    let group = |label: &crate::Label| {
        let (added, accuracy) = (results.sample(&label.id, ADDED), results.sample(&label.id, FINAL));
        let points: Vec<[f64; 2]> = added.values().zip(accuracy.values()).map(|(x, y)| [x, y]).collect();
        (label.name.clone(), points)
    };
    let axes = [log_axis("parameters added per task", ""), axis("final accuracy", "%")];
    Plot::groups("price", "What a task costs", axes, results.arms.iter().map(group))
        .meaning("One dot per seed. Higher is better, further left is cheaper.")
        .empty("Dots appear when a seed's arms have learned all tasks.")
}

/// The first filters of a set, which lie at its front, side by side.
pub fn filters(set: &[f32], channels: usize, side: usize) -> Figure {
    let shown = SHOWN.min(channels);
    let width = shown * (side + 1) - 1;
    let mut values = vec![f32::NAN; width * side];
    for channel in 0..shown {
        for place in 0..side * side {
            let (row, column) = (place / side, place % side);
            // A filter adds to the channel that it reads.
            let own = f32::from(u8::from(row == side / 2 && column == side / 2));
            values[row * width + channel * (side + 1) + column] = own + set[channel * side * side + place];
        }
    }
    let most = values.iter().filter(|value| value.is_finite()).fold(0.0_f32, |most, value| most.max(value.abs()));
    let grid = Grid { width, height: side, values };
    let (rows, columns) = (Vec::new(), Vec::new());
    let range = Some([-f64::from(most), f64::from(most)]);
    let map = Mark::HeatMap { grid, scale: Scale::Linear, range, rows, columns };
    Figure { marks: vec![map], alt: format!("{shown} filters of side {side}, side by side"), ..Figure::default() }
}
