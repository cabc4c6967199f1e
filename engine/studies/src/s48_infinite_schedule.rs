//! Beyond Cosine Decay: On the effectiveness of Infinite Learning Rate Schedule for Continual Pre-training (Singh et al.
//! 2025).

mod figures;
mod forgetting;
mod tasks;

use engine::spec::{
    Activation, BatchSpec, DataSet, DataSpec, Edit, EffectiveSchedule, Loss, MlpSpec, ModelSpec, ObjectiveSpec,
    OptimizerSpec, Rule, RunSpec, ScheduleSpec, Shape,
};

use super::{
    Answer, Arm, Bound, Branch, Context, Curve, Judged, Knob, Knobs, Label, Number, Outcome, Protocol, Results, Sample,
    Share, Study, StudyError, Task, diverged, names::DIVERGED, versus,
};
use forgetting::{Losses, old_tasks, rise};
use tasks::{MOST, Tasks};

pub(super) const STUDY: Study = Study {
    id: 48,
    slug: "infinite-schedule",
    title: "Do not re-heat what you want to keep",
    paper: "Beyond Cosine Decay: On the effectiveness of Infinite Learning Rate Schedule for Continual Pre-training",
    authors: "Singh, Janson, Mehrbod, Ibrahim, Rish, Belilovsky, Therien",
    year: 2025,
    source: "https://arxiv.org/abs/2503.02844",
    themes: &["learning rate", "continual learning", "forgetting"],
    claim: "When data sets arrive one after another, warming up and decaying a cosine for each of them makes the network forget. \
            An infinite schedule (one warm-up, one cool-down to a constant rate that is kept across data sets, and a short \
            anneal only where a checkpoint is needed) gives lower losses over all tasks, with no budget fixed ahead.",
    why: "Every re-warming throws the weights out of the valley that the earlier tasks share: the bump in the loss on old tasks \
          has the shape of the learning rate. A constant moderate rate never does; its noise is taken out by an anneal of a copy \
          (a branch), while the main line goes on from the weights that were not annealed. And a cosine must know when a task \
          will end: cut early its rate is still high, kept on too long it idles at its floor. Honest limit: the paper's \
          consistent win in final quality is not robust at this scale without replay, because a small network on a strongly \
          shifted stream forgets because it learns, whatever the schedule; turn “Replay” to see it cross.",
    differs: "Six tasks of 600 MNIST digits, pooled to 14×14 and shifted a little further each time, and an MLP \
              196-64-16-64-196 of 28 thousand parameters that restores images from half of their 2×2 patches, instead \
              of masked autoencoders and language models on large data sets; half of the draws repeat earlier tasks. \
              All schedules have one peak, which was not tuned for each. The annealed copy leaves the main line after \
              80% of what a task then lasts, so that both arms' checkpoints have seen as much; anyone who asks for a \
              checkpoint on the spot would pay these steps on top. The rise after a border is that of the line that \
              goes on, from its own loss at the border.",
    seeds: 5,
    seconds: 50.0,
    knobs: &[&SHARE, &LENGTHS, &PEAK, &PLATEAU, &ANNEAL, &DRIFT, &TASKS, &EQUAL],
    protocol: Protocol::Program { arms, run, timed: false },
    figures: figures::figures,
    answer,
    ..Study::BASE
};

/// Final loss over all tasks.
const FINAL: Number = Number::new("final", "");
/// Growth of the loss on a task since it was learned.
const FORGETTING: Number = Number::new("forgetting", "");
/// Loss on each task right after it was learned.
const LEARNED: Number = Number::new("learned", "");
/// By how much the loss on a task peaks after its end.
const RISE: Number = Number::new("rise", "");
/// Sum of the learning rates of all updates.
const RATES: Number = Number::new("rates", "");
/// Loss on the tasks that are over.
const OLD: Curve = Curve::new("old tasks", "");

/// Updates of a task as every schedule plans them.
const PLANNED: u64 = 200;
/// Updates that tasks last when that comes as a surprise.
const SURPRISE: [u64; MOST] = [200, 100, 320, 60, 300, 70];
/// Examples in an update.
const BATCH: usize = 32;
/// Percent of replayed draws at which the claim is tested.
const REPLAY: usize = 50;

crate::options! {
    Drift {
        Shift = "shift", "images shift";
        None = "iid", "none (IID)";
        Classes = "classes", "class groups";
    }
}
crate::options! {
    Lengths {
        Both = "both", "planned, and surprising";
        Planned = "planned", "planned";
        Surprise = "surprise", "surprising";
    }
}

const SHARE: Knob<usize> =
    Knob::integer("replay", "Replay", "percent of the draws that repeat earlier tasks", [0, 50], REPLAY);
const LENGTHS: Knob<Lengths> =
    Knob::choice("lengths", "Task lengths", "a surprise cuts the cosine or lets it idle", Lengths::Both);
const PEAK: Knob<f64> = Knob::number("peak", "Peak", "highest learning rate of every schedule", [1e-4, 0.1], 1e-2);
const PLATEAU: Knob<f64> = Knob::number(
    "plateau",
    "Plateau",
    "the infinite schedule's constant rate, as a share of the peak",
    [0.02, 1.0],
    0.375,
);
const ANNEAL: Knob<usize> = Knob::integer("anneal", "Anneal", "percent of a task; too short leaves noise", [2, 50], 20);
const DRIFT: Knob<Drift> = Knob::choice("drift", "Drift", "what changes from task to task", Drift::Shift);
const TASKS: Knob<usize> = Knob::integer("tasks", "Tasks", "how many follow one another", [2, MOST], MOST);
const EQUAL: Knob<bool> =
    Knob::flag("equal", "Equal sums", "scales the cosine's peak until the rates add up to the same", false);

/// Tasks and their lengths, under which all schedules are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    Planned,
    Surprise,
    /// Surprising lengths of tasks that do not differ, nothing replayed.
    SurpriseIid,
}

impl Setting {
    fn all(knobs: &Knobs) -> Vec<Self> {
        let (planned, surprise) = (vec![Self::Planned], vec![Self::Surprise, Self::SurpriseIid]);
        match knobs.get(&LENGTHS) {
            Lengths::Planned => planned,
            Lengths::Surprise => surprise,
            Lengths::Both => [planned, surprise].concat(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned lengths",
            Self::Surprise => "surprising lengths",
            Self::SurpriseIid => "surprising lengths, IID",
        }
    }

    /// Id of one of its arms.
    fn arm(self, id: &str) -> String {
        match self {
            Self::Planned => id.to_owned(),
            Self::Surprise => format!("{id}/surprise"),
            Self::SurpriseIid => format!("{id}/iid"),
        }
    }

    fn lengths(self, knobs: &Knobs) -> Vec<u64> {
        let lengths = if self == Self::Planned { [PLANNED; MOST] } else { SURPRISE };
        lengths.into_iter().take(knobs.get(&TASKS)).collect()
    }

    /// Updates done when each task ends.
    fn borders(self, knobs: &Knobs) -> Vec<u64> {
        let sum = |sum: &mut u64, length: u64| {
            *sum += length;
            Some(*sum)
        };
        self.lengths(knobs).into_iter().scan(0, sum).collect()
    }

    fn drift(self, knobs: &Knobs) -> Drift {
        if self == Self::SurpriseIid { Drift::None } else { knobs.get(&DRIFT) }
    }

    fn replay(self, knobs: &Knobs) -> u64 {
        if self == Self::SurpriseIid { 0 } else { knobs.get(&SHARE) as u64 }
    }
}

/// A repeated cosine.
const COSINE: &str = "cos";
/// The infinite schedule's main line, which is never annealed.
const MAIN: &str = "inf";
/// Copies of the main line, annealed at the end of each task.
const BRANCHES: &str = "inf-b";
/// The infinite schedule, annealed at the end of each task and resumed from the annealed weights.
const IN_LINE: &str = "inf-i";
/// The plateau's rate throughout, never annealed.
const CONSTANT: &str = "const";

/// The runs of a setting; branches of the main line are one arm.
fn runs(knobs: &Knobs, setting: Setting) -> Vec<Arm> {
    let borders = setting.borders(knobs);
    let steps = borders.last().copied().unwrap_or(0);
    let starts = [0].into_iter().chain(borders.iter().copied());
    let (warmup, floor, peak) = (PLANNED / 10, 0.01, knobs.get(&PEAK));
    let spec = |schedule: &ScheduleSpec, edits: Vec<Edit>| RunSpec {
        data: DataSpec { size: 14, ..DataSpec::of(DataSet::Mnist) },
        model: ModelSpec::Mlp(MlpSpec { hidden: vec![64, 16, 64], activation: Activation::Gelu, ..MlpSpec::default() }),
        objective: ObjectiveSpec { kind: Loss::Restore, mask: 0.5, patch: 2, ..ObjectiveSpec::default() },
        optimizer: OptimizerSpec { kind: Rule::Adam, beta2: 0.95, weight_decay: 0.0, ..OptimizerSpec::default() },
        schedule: schedule.clone(),
        batch: BatchSpec { size: BATCH, ..BatchSpec::default() },
        steps,
        edits,
        ..RunSpec::default()
    };
    let edit = |step: u64, path: &str, value: u64| Edit { step, path: path.into(), value: value.to_string() };

    let cosine = ScheduleSpec { kind: Shape::Cosine, peak, warmup, floor, span: PLANNED, ..ScheduleSpec::default() };
    let restarts =
        borders.iter().filter(|&&border| border < steps).map(|&border| edit(border, "schedule.origin", border));
    let mut cosine = spec(&cosine, restarts.collect());

    let infinite = ScheduleSpec {
        kind: Shape::Infinite,
        peak,
        warmup,
        cooldown: PLANNED / 5,
        plateau: knobs.get(&PLATEAU),
        decay: 0,
        floor,
        ..ScheduleSpec::default()
    };
    let anneals: Vec<[u64; 2]> = starts
        .zip(&borders)
        .map(|(start, &end)| [end - ((end - start) * knobs.get(&ANNEAL) as u64 / 100).max(1), end])
        .collect();
    let branch = |&[at, end]: &[u64; 2]| Branch {
        label: Label::new(&setting.arm(BRANCHES), format!("infinite, annealed copies ({})", setting.name())),
        at,
        schedule: ScheduleSpec { decay: end - at, ..infinite.clone() },
        steps: end,
    };
    // The shape's span ends with the task while it anneals; then the plateau goes on.
    let anneal = |&[at, end]: &[u64; 2]| {
        let down = [edit(at, "schedule.span", end), edit(at, "schedule.decay", end - at)];
        let on = [edit(end, "schedule.span", 0), edit(end, "schedule.decay", 0)];
        down.into_iter().chain(on.into_iter().filter(move |_| end < steps))
    };
    let in_line = spec(&infinite, anneals.iter().flat_map(anneal).collect());
    let constant =
        ScheduleSpec { kind: Shape::Constant, peak: peak * infinite.plateau, warmup, ..ScheduleSpec::default() };
    if knobs.get(&EQUAL) {
        cosine.schedule.peak *= sum_of_rates(&in_line) / sum_of_rates(&cosine);
    }

    // The rise after a border is brief, so it is measured often there. Of a branch only the end counts.
    let soon = borders.windows(2).flat_map(|pair| (pair[0]..=pair[0] + (pair[1] - pair[0]) / 5).step_by(4));
    let reads: Vec<u64> = borders.iter().copied().chain(soon).chain((0..steps).step_by(40)).collect();
    let arm = |label: Label, spec: RunSpec| Arm { readings: 1, reads: reads.clone(), ..Arm::new(label, spec) };
    let name = |name: &str| format!("{name} ({})", setting.name());
    vec![
        arm(Label::baseline(&setting.arm(COSINE), name("repeated cosine")), cosine),
        Arm {
            branches: anneals.iter().map(branch).collect(),
            ..arm(Label::baseline(&setting.arm(MAIN), name("infinite, not annealed")).dashed(), spec(&infinite, vec![]))
        },
        arm(Label::new(&setting.arm(IN_LINE), name("infinite, in line")).dashed(), in_line),
        arm(Label::baseline(&setting.arm(CONSTANT), name("constant rate")).dotted(), spec(&constant, vec![])),
    ]
}

/// Sum of the learning rates of all updates.
fn sum_of_rates(spec: &RunSpec) -> f64 {
    let schedule = EffectiveSchedule::new(spec, BATCH);
    (0..spec.steps).map(|step| schedule.lr(step)).sum()
}

fn arms(knobs: &Knobs) -> Vec<Label> {
    let runs = Setting::all(knobs).into_iter().flat_map(|setting| runs(knobs, setting));
    let mut labels: Vec<Label> = runs.flat_map(|arm| arm.labels()).collect();
    labels.dedup_by(|a, b| a.id == b.id);
    labels
}

fn run<'a>(context: &'a mut Context) -> Task<'a, Result<(), StudyError>> {
    Box::pin(async move {
        let knobs = context.results.knobs.clone();
        let settings = Setting::all(&knobs);
        for (seed, share) in context.seeds(Share::ALL) {
            for (place, setting) in settings.iter().enumerate() {
                let share = share.part(place, settings.len());
                let runs = runs(&knobs, *setting);
                let data = context.data(&runs[0].spec.data).await?;
                let tasks = Tasks::of(&data, setting.drift(&knobs), knobs.get(&TASKS), seed)?;
                for (place, arm) in runs.iter().enumerate() {
                    let source = tasks.source(&setting.lengths(&knobs), BATCH as u64, setting.replay(&knobs), seed);
                    context.train(arm, seed, share.part(place, runs.len()), Some(source)).await?;
                    let rates = sum_of_rates(&arm.spec);
                    context.results.record(&arm.label.id, seed)?.number(RATES, rates);
                    for label in arm.labels() {
                        conclude(context.results.record(&label.id, seed)?, &setting.borders(&knobs));
                    }
                }
            }
        }
        Ok(())
    })
}

/// Sets the numbers of a run that has ended, and the curve [`OLD`]: what is left of the tasks that are over. Losses of a run
/// that diverged, or of a copy of such a run, are infinite.
fn conclude(outcome: &mut Outcome, borders: &[u64]) {
    let losses = Losses::of(outcome, borders);
    for (number, value) in [(FINAL, losses.last()), (FORGETTING, losses.forgetting()), (LEARNED, losses.learned())] {
        outcome.number(number, if value.is_finite() { value } else { f64::INFINITY });
    }
    let rise = if outcome.numbers.contains_key(&DIVERGED) { f64::INFINITY } else { rise(outcome, borders) };
    // A copy that is annealed has none: its line goes on.
    if !rise.is_nan() {
        outcome.number(RISE, rise);
    }
    let points = old_tasks(outcome, borders);
    outcome.curves.insert(OLD, points);
}

fn answer(results: &Results) -> Answer {
    let knobs = &results.knobs;
    let tested = knobs.get(&SHARE) == REPLAY && knobs.get(&DRIFT) == Drift::Shift;
    let why_not = "the claim is tested on shifted tasks with half of the draws replayed";
    let settings = Setting::all(knobs);
    let sample = |setting: Setting, arm: &str, number| results.sample(&setting.arm(arm), number);
    let judged = |setting: Setting, judged: Judged| judged.given(tested || setting == Setting::SurpriseIid, why_not);
    let below = |setting: Setting, what: &str, [lower, higher]: [&Sample; 2]| {
        let (apart, both_lost) = apart(higher, lower, |a, b| a - b);
        let most = Judged::most_seeds(format!("{}: {what} by", setting.name()), &apart, Bound::Above(0.0), "", [4, 5]);
        judged(setting, most.given(!both_lost, BOTH_LOST))
    };
    let against = |setting: Setting, number| [BRANCHES, COSINE].map(|arm| sample(setting, arm, number));
    let final_loss = |setting: Setting| {
        let [copies, cosine] = against(setting, FINAL);
        if setting != Setting::Planned {
            return below(setting, "final loss below the cosine's", [&copies, &cosine]);
        }
        let (worse, both_lost) = apart(&copies, &cosine, |a, b| 100.0 * (a / b - 1.0));
        let name = format!("{}: final loss above the cosine's by", setting.name());
        judged(setting, Judged::as_good(name, &worse, 1.0, "%").given(!both_lost, BOTH_LOST))
    };
    // Where tasks last as nobody knew they would, if that is run.
    let main = if settings.contains(&Setting::Surprise) { Setting::Surprise } else { Setting::Planned };
    let ([copies, cosine], constant) = (against(main, FINAL), sample(main, CONSTANT, FINAL));
    let ahead = versus(["the infinite schedule's annealed copy", "the repeated cosine"], [&copies, &cosine], "", false);
    let beside = if constant.is_empty() {
        String::new()
    } else {
        let lower = if constant.mean() < copies.mean() { "but" } else { "and" };
        format!(", {lower} a constant rate that is never annealed ends at {}", constant.mean_in_words())
    };
    let words = format!("With {} {ahead} in final loss{beside}.", main.name());
    let mut also = Vec::new();
    let mut more = Vec::new();
    for setting in settings {
        // A copy that is annealed leaves the rise to the line that goes on.
        let rises = [MAIN, COSINE].map(|arm| sample(setting, arm, RISE));
        let numbers = [against(setting, FINAL), against(setting, FORGETTING), rises.clone()];
        if numbers.iter().flatten().all(|sample| !sample.is_empty()) {
            let [last, forgetting, rise] =
                numbers.map(|[a, b]| format!("{} against {}", a.mean_in_words(), b.mean_in_words()));
            more.push(format!(
                "With {}, infinite against cosine: final loss {last}, forgetting {forgetting}, rise after a border {rise}.",
                setting.name(),
            ));
        }
        if setting == Setting::Planned {
            also.push(below(setting, "forgetting below the cosine's", against(setting, FORGETTING).each_ref()));
            also.push(below(setting, "rise after a border below the cosine's", rises.each_ref()));
        }
        if setting != main {
            also.push(final_loss(setting));
        }
    }
    also.push(below(main, "final loss below the constant rate's", [&copies, &constant]));
    more.extend(beginning(results, main));
    let infinite = |arm: &str| results.sample(arm, FINAL).values().filter(|loss| loss.is_infinite()).count();
    let lost = results.arms.iter().map(|label| (label.name.as_str(), infinite(&label.id)));
    let lost = diverged::in_words(lost, results.seeds.len(), "an infinite loss");
    Answer::new(final_loss(main), words).also(also).more(more.join(" ")).more(lost)
}

/// Why a comparison is not tested.
const BOTH_LOST: &str = "both diverge at these rates";

/// How two quantities differ over the seeds in which at most one of them is infinite; and whether there are others only.
fn apart(a: &Sample, b: &Sample, differ: impl Fn(f64, f64) -> f64) -> (Sample, bool) {
    let all = a.with(b, differ);
    let known = Sample(all.0.iter().copied().filter(|(_, value)| !value.is_nan()).collect());
    let both_lost = known.is_empty() && !all.is_empty();
    (known, both_lost)
}

/// Why a constant rate ends below the annealed copies, where it does: what the peak before the plateau costs, held against
/// what annealing gains.
fn beginning(results: &Results, setting: Setting) -> Option<String> {
    let end = |arm: &str| results.sample(&setting.arm(arm), FINAL);
    let [main, copies, constant] = [MAIN, BRANCHES, CONSTANT].map(end);
    let [cost, gain] = [main.minus(&constant), main.minus(&copies)];
    (gain.mean() >= 0.0 && cost.mean() > gain.mean() && cost.mean().is_finite()).then(|| {
        format!(
            "The constant rate is the plateau's, without the peak before it. The infinite schedule ends {} above it, and annealing \
             a copy takes off only {}: here the high rate at the start costs more than annealing gains.",
            cost.mean_in_words(),
            gain.mean_in_words(),
        )
    })
}

#[cfg(test)]
mod tests;
