//! What the study shows.

use crate::draw::{arm_axis, arm_table, axis, chart, curves, heat_map, in_words, seed_dots, with_alt};
use crate::{Results, brief};
use engine::figure::{Direction, Figure, Mark, Role};

use super::forgetting::Losses;
use super::{BRANCHES, CONSTANT, COSINE, IN_LINE, MAIN, Setting};

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

/// Lines over the updates, and where tasks end.
fn over_tasks(results: &Results, setting: Setting, arms: &[&str], curve: &str) -> Vec<Mark> {
    let labels = results.labels(arms.iter().map(|arm| setting.arm(arm)));
    let mut marks = curves(results, &labels, curve);
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
    let marks = over_tasks(results, setting, &[COSINE, IN_LINE, MAIN, BRANCHES, CONSTANT], "lr");
    let words = if marks.is_empty() { "" } else { "the cosine is warmed up for each task, the plateau stays" };
    let figure = chart(
        "rates",
        format!("Learning rate, {}", setting.name()),
        "One warm-up and a plateau without an end planned, against a cosine for each task.",
        [axis("update", ""), axis("learning rate", "")],
        marks,
    );
    with_alt(figure, words, "The schedules, as the arms run.")
}

fn old_tasks(results: &Results, setting: Setting) -> Figure {
    let rise = |arm: &str| brief(results.sample(&setting.arm(arm), "rise").mean());
    let marks = over_tasks(results, setting, &[COSINE, IN_LINE, MAIN, CONSTANT], "old tasks");
    let words = if marks.is_empty() {
        String::new()
    } else {
        format!("after a border it rises by {} with the cosine, by {} on the plateau", rise(COSINE), rise(MAIN))
    };
    let figure = chart(
        "old",
        "Loss on the tasks that are over",
        "The bump after a border has the shape of the learning rate above it.",
        [axis("update", ""), axis("mean squared error", "variances")],
        marks,
    );
    with_alt(figure, &words, "A line for each schedule, from the end of the first task on.")
}

fn finals(results: &Results) -> Figure {
    let words = in_words(results, &results.arms, "final", "");
    let figure = chart(
        "final",
        "Loss over all tasks in the end",
        "Each dot is a seed. Annealed copies and cosines are decayed alike; the main line and the constant rate are not.",
        [arm_axis(&results.arms), axis("mean squared error", "variances")],
        seed_dots(results, &results.arms, "final"),
    );
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
    let marks = heat_map(names("after"), names("task"), mean);
    let words = if marks.is_empty() {
        String::new()
    } else {
        format!("task 1 from {} to {}", brief(mean(0, 0)), brief(mean(tasks - 1, 0)))
    };
    let name = if arm == COSINE { "repeated cosine" } else { "infinite, annealed copies" };
    let figure = chart(
        &format!("matrix-{arm}"),
        format!("Loss on each task after each task: {name}"),
        "Down a column: what becomes of a task once it is over.",
        [axis("loss on", ""), axis("after", "")],
        marks,
    );
    with_alt(figure, &words, "A row for each task that has ended.")
}

fn table(results: &Results) -> Figure {
    let meaning = "A plateau too low forgets less because it learns less: see the loss on new tasks. Unequal sums of rates \
                   explain a part; turn “Equal sums”.";
    let columns = [
        ("loss over all tasks", "final", 3, ""),
        ("forgetting", "forgetting", 3, ""),
        ("loss on new tasks", "learned", 3, ""),
        ("rise after a border", "rise", 3, ""),
        ("sum of rates", "rates", 3, ""),
    ];
    arm_table(results, "The schedules in numbers", meaning, &columns)
}
