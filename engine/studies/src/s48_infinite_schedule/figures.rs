//! What the study shows.

use crate::plot::{axis, curves};
use crate::{Curve, Label, Plot, Results};
use engine::figure::{Direction, Mark, Role, brief};

use super::forgetting::Losses;
use super::{BRANCHES, CONSTANT, COSINE, FINAL, FORGETTING, IN_LINE, LEARNED, MAIN, OLD, RATES, RISE, Setting};
use crate::names::LR;

/// What losses are, as axes call them.
const ERROR: &str = "squared error, in variances";

pub fn figures(results: &Results) -> Vec<Plot> {
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

/// Arms of a setting, which the title of their figure names.
fn named(results: &Results, setting: Setting, arms: &[&str]) -> Vec<Label> {
    let mut labels = results.labels(arms.iter().map(|arm| setting.arm(arm)));
    let aside = format!(" ({})", setting.name());
    labels.iter_mut().for_each(|label| label.name = label.name.replace(&aside, ""));
    labels
}

/// Lines over the updates, and where tasks end.
fn over_tasks(results: &Results, setting: Setting, arms: &[&str], curve: Curve) -> Vec<Mark> {
    let mut marks = curves(results, &named(results, setting, arms), curve);
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

fn rates(results: &Results, setting: Setting) -> Plot {
    let marks = over_tasks(results, setting, &[COSINE, IN_LINE, MAIN, BRANCHES, CONSTANT], LR);
    let words = if marks.is_empty() { "" } else { "the cosine is warmed up for each task, the plateau stays" };
    let axes = [axis("update", ""), axis("learning rate", "")];
    Plot::of("rates", format!("Learning rate, {}", setting.name()), axes, marks)
        .meaning("One warm-up and a plateau without a planned end, against a cosine for each task.")
        .says(words)
        .empty("The schedules, as the arms run.")
}

fn old_tasks(results: &Results, setting: Setting) -> Plot {
    let [cosine, plateau] = [COSINE, MAIN].map(|arm| results.sample(&setting.arm(arm), RISE));
    let marks = over_tasks(results, setting, &[COSINE, IN_LINE, MAIN, CONSTANT], OLD);
    let words = if cosine.is_empty() || plateau.is_empty() {
        String::new()
    } else {
        let [cosine, plateau] = [cosine, plateau].map(|rise| brief(rise.mean()));
        format!("after a border it rises by {cosine} with the cosine, by {plateau} on the plateau")
    };
    let axes = [axis("update", ""), axis(ERROR, "")];
    Plot::of("old", format!("Loss on the tasks that are over, {}", setting.name()), axes, marks)
        .meaning("Where re-warming makes a network forget, a bump after a border has the shape of the learning rate above it.")
        .says(words)
        .empty("A line for each schedule, from the end of the first task on.")
}

fn finals(results: &Results) -> Plot {
    Plot::dots(results, "final", "Final loss over all tasks", ERROR, &results.arms, FINAL)
        .meaning(
            "One dot per seed. Annealed copies and cosines are decayed alike; the main line and the constant rate are not.",
        )
        .empty("Dots appear as runs finish.")
}

/// Losses on task i after task k, mean over the seeds.
fn matrix(results: &Results, setting: Setting, arm: &str) -> Plot {
    let borders = setting.borders(&results.knobs);
    let tasks = borders.len();
    let all: Vec<Losses> =
        results.outcomes(&setting.arm(arm)).map(|(_, outcome)| Losses::of(outcome, &borders)).collect();
    let mean = |k: usize, i: usize| all.iter().map(|losses| losses.0[k][i]).sum::<f64>() / all.len() as f64;
    let names = |word: &str| (1..=tasks).map(|task| format!("{word} {task}")).collect::<Vec<String>>();
    let name = if arm == COSINE { "repeated cosine" } else { "infinite, annealed copies" };
    let title = format!("Loss on each task after each task: {name}");
    let axes = [axis("loss on", ""), axis("after", "")];
    let plot = Plot::heat(format!("matrix-{arm}"), title, axes, "losses", [names("after"), names("task")], mean);
    let words = if plot.marks().is_empty() {
        String::new()
    } else {
        format!("task 1 from {} to {}", brief(mean(0, 0)), brief(mean(tasks - 1, 0)))
    };
    plot.meaning("Down a column: what becomes of a task once it is over. Both maps have one scale.")
        .says(words)
        .empty("A row for each task that has ended.")
}

fn table(results: &Results) -> Plot {
    let columns = [
        ("loss over all tasks", FINAL),
        ("forgetting", FORGETTING),
        ("loss on new tasks", LEARNED),
        ("rise after a border", RISE),
        ("sum of rates", RATES),
    ];
    Plot::table(results, "The schedules in numbers", &columns).meaning(
        "Too low a plateau forgets less because it learns less: see the loss on new tasks. Unequal sums of rates explain a part; \
         turn “Equal sums”.",
    )
}
