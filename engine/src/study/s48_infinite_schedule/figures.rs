//! What the study shows.

use crate::figure::{Direction, Figure, Grid, Mark, Role, Scale};
use crate::study::draw::{self, arm_axis, axis, curves, in_words, seed_dots, with_alt};
use crate::study::{Label, Results, brief};

use super::forgetting::Losses;
use super::{BRANCHES, COSINE, IN_LINE, MAIN, Setting};

pub fn figures(results: &Results) -> Vec<Figure> {
    let shown = Setting::all(&results.knobs)[0];
    vec![
        rates(results, shown),
        old_tasks(results, shown),
        finals(results),
        matrix(results, shown, COSINE),
        matrix(results, shown, BRANCHES),
        table(results),
    ]
}

/// Labels of some arms in a setting.
fn labels(results: &Results, setting: Setting, arms: &[&str]) -> Vec<Label> {
    let found = |arm: &&str| results.arms.iter().find(|label| label.id == setting.arm(arm)).cloned();
    arms.iter().filter_map(found).collect()
}

/// Lines over the updates, and where tasks end.
fn over_tasks(results: &Results, setting: Setting, arms: &[&str], curve: &str) -> Vec<Mark> {
    let mut marks = curves(results, &labels(results, setting, arms), curve);
    if !marks.is_empty() {
        let borders = setting.borders(&results.knobs);
        marks.extend(borders.iter().enumerate().take(borders.len() - 1).map(|(task, &border)| Mark::Rule {
            label: format!("task {}", task + 2),
            role: Role::Theory,
            along: Direction::Vertical,
            at: border as f64,
        }));
    }
    marks
}

fn rates(results: &Results, setting: Setting) -> Figure {
    let marks = over_tasks(results, setting, &[COSINE, IN_LINE, MAIN, BRANCHES], "lr");
    let words = if marks.is_empty() { "" } else { "the cosine is warmed up for each task, the plateau stays" };
    let figure = Figure {
        id: "rates".into(),
        title: format!("Learning rate, {}", setting.name()),
        meaning: "One warm-up and a plateau without an end planned, against a cosine for each task.".into(),
        x: axis("update", ""),
        y: axis("learning rate", ""),
        marks,
        ..Figure::default()
    };
    with_alt(figure, words, "The schedules, as the arms run.")
}

fn old_tasks(results: &Results, setting: Setting) -> Figure {
    let rise = |arm: &str| brief(results.sample(&setting.arm(arm), "rise").mean());
    let marks = over_tasks(results, setting, &[COSINE, IN_LINE, MAIN], "old tasks");
    let words = if marks.is_empty() {
        String::new()
    } else {
        format!("after a border it rises by {} with the cosine, by {} on the plateau", rise(COSINE), rise(MAIN))
    };
    let figure = Figure {
        id: "old".into(),
        title: "Loss on the tasks that are over".into(),
        meaning: "The bump after a border has the shape of the learning rate above it.".into(),
        x: axis("update", ""),
        y: axis("mean squared error", "variances"),
        marks,
        ..Figure::default()
    };
    with_alt(figure, &words, "A line for each schedule, from the end of the first task on.")
}

fn finals(results: &Results) -> Figure {
    let words = in_words(results, &results.arms, "final", "");
    let figure = Figure {
        id: "final".into(),
        title: "Loss over all tasks in the end".into(),
        meaning: "Each dot is a seed. Annealed copies and cosines are decayed alike; the main line is not.".into(),
        x: arm_axis(&results.arms),
        y: axis("mean squared error", "variances"),
        marks: seed_dots(results, &results.arms, "final"),
        ..Figure::default()
    };
    with_alt(figure, &words, "Dots appear as runs end.")
}

/// Losses on task i after task k, mean over the seeds.
fn matrix(results: &Results, setting: Setting, arm: &str) -> Figure {
    let borders = setting.borders(&results.knobs);
    let tasks = borders.len();
    let all: Vec<Losses> =
        results.outcomes(&setting.arm(arm)).map(|(_, outcome)| Losses::of(outcome, &borders)).collect();
    let mean = |k: usize, i: usize| all.iter().map(|losses| losses.0[k][i]).sum::<f64>() / all.len() as f64;
    let names = |word: &str| (1..=tasks).map(|task| format!("{word} {task}")).collect();
    let heat = || Mark::HeatMap {
        grid: Grid {
            width: tasks,
            height: tasks,
            values: (0..tasks * tasks).map(|at| mean(at / tasks, at % tasks) as f32).collect(),
        },
        scale: Scale::Linear,
        range: None,
        rows: names("after"),
        columns: names("task"),
    };
    let words = if all.is_empty() {
        String::new()
    } else {
        format!("task 1 from {} to {}", brief(mean(0, 0)), brief(mean(tasks - 1, 0)))
    };
    let name = if arm == COSINE { "repeated cosine" } else { "infinite, annealed copies" };
    let figure = Figure {
        id: format!("matrix-{arm}"),
        title: format!("Loss on each task after each task: {name}"),
        meaning: "Down a column: what becomes of a task once it is over.".into(),
        x: axis("loss on", ""),
        y: axis("after", ""),
        marks: if all.is_empty() { vec![] } else { vec![heat()] },
        ..Figure::default()
    };
    with_alt(figure, &words, "A row for each task that has ended.")
}

fn table(results: &Results) -> Figure {
    let row = |label: &Label| {
        let number = |name: &str| results.sample(&label.id, name);
        (!number("final").is_empty()).then(|| {
            let numbers = ["final", "forgetting", "learned", "rise", "rates"];
            let cells = numbers.map(|name| format!("{:.3}", number(name)));
            [label.name.clone()].into_iter().chain(cells).collect::<Vec<String>>()
        })
    };
    let rows: Vec<Vec<String>> = results.arms.iter().filter_map(row).collect();
    let columns =
        ["schedule", "loss over all tasks", "forgetting", "loss on new tasks", "rise after a border", "sum of rates"];
    let figure = Figure {
        id: "table".into(),
        title: "The schedules in numbers".into(),
        meaning:
            "A plateau too low forgets less because it learns less: see the loss on new tasks. Unequal sums of rates \
                  explain a part; turn “Equal sums”."
                .into(),
        marks: draw::table(&columns, rows),
        ..Figure::default()
    };
    with_alt(figure, "", "A row for each schedule and setting.")
}
