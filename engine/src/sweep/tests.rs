//! The codec, the schedule of cells, and whole sweeps on threads.

use proptest::prelude::*;

use super::*;
use crate::figure::Mark;
use crate::spec::{Link, PRESETS, preset};

fn read(text: &str) -> (Sweep, Vec<String>) {
    let (sweep, issues) = Sweep::read(&Link::parse(text));
    (sweep, issues.into_iter().map(|issue| issue.message).collect())
}

/// A sweep from a link that is right.
#[cfg(feature = "compute")]
fn sound(text: &str) -> Sweep {
    let (sweep, issues) = read(text);
    assert_eq!(issues, Vec::<String>::new(), "{text}");
    sweep
}

#[test]
fn the_default_sweep_varies_rate_and_batch_at_equal_examples() {
    let (sweep, issues) = read("#sweep");
    assert_eq!(issues, Vec::<String>::new());
    assert_eq!(sweep.columns(), ["0.125", "0.25", "0.5", "1", "2", "4", "8", "16"]);
    assert_eq!(sweep.rows(), ["1", "2", "4", "8", "16", "32", "64", "128"]);
    for trial in 0..sweep.trials() {
        let spec = sweep.spec(trial).unwrap();
        assert_eq!(spec.steps * spec.batch.size as u64, 64_000);
        assert_eq!(Link::parse(&sweep.run_link(trial).unwrap()).spec, spec);
    }
    assert_eq!(sweep.spec(0).unwrap().schedule.peak, 0.125);
    assert_eq!(sweep.spec(63).unwrap().batch.size, 128);
    assert_eq!(
        sweep.link().fragment(),
        "#sweep?preset=tanh-mlp&x=schedule.peak:0.125..16:8&y=batch.size:1..128:8&target=0.1&budget=examples&seeds=1&v=2"
    );
}

#[test]
fn phases_of_the_schedule_keep_their_shares() {
    let (sweep, _) = read("#sweep?schedule=wsd&schedule.warmup=100&schedule.decay=400&y=batch.size:64,8");
    let (large, small) = (sweep.spec(0).unwrap(), sweep.spec(8).unwrap());
    assert_eq!((large.steps, large.schedule.warmup, large.schedule.decay), (1000, 50, 200));
    assert_eq!((small.steps, small.schedule.warmup, small.schedule.decay), (8000, 400, 1600));
    let (sweep, _) = read("#sweep?budget=steps&y=batch.size:64,8");
    assert_eq!((sweep.spec(0).unwrap().steps, sweep.spec(8).unwrap().steps), (2000, 2000));
}

#[test]
fn any_two_fields_can_be_varied() {
    let (sweep, issues) =
        read("#sweep?data=mnist&x=model.hidden:32/64,32/128&y=model:mlp,cct&batch.size=32&optimizer=adamw&steps=10");
    assert_eq!(issues, Vec::<String>::new());
    assert_eq!(sweep.columns(), ["32", "64,32", "128"]);
    assert_eq!(sweep.spec(1).unwrap().get("model.hidden").as_deref(), Some("64,32"));
    // A transformer has no hidden layers: those cells have no run, and say so.
    assert!(sweep.spec(4).unwrap_err().message.contains("has no"));
    let (sweep, _) = read("#sweep?x=seed:1..9:3&y=augment.flip:true,false");
    assert_eq!(
        (sweep.columns(), sweep.rows()),
        (vec!["1".into(), "5".into(), "9".into()], vec!["true".into(), "false".into()])
    );
    let (sweep, _) = read("#sweep?x=steps:10,20&y=batch.size:4,8");
    assert_eq!(sweep.spec(3).unwrap().steps, 20);
    assert!(!sweep.equal_examples);
}

#[test]
fn what_is_wrong_is_said_and_replaced() {
    for (text, part) in [
        ("x=warp:1..2:3", "no control “warp”"),
        ("x=schedule.peak", "needs values"),
        ("x=schedule.peak:", "needs values"),
        ("x=data.dropped:%0B", "needs values"),
        ("x=schedule.peak:0..1:4", "above 0"),
        ("x=schedule.peak:2..1:4", "must rise"),
        ("x=schedule.peak:1..2", "ends with its count"),
        ("x=schedule.peak:1..2:1", "from 2 to 64, not “1”"),
        ("x=schedule.peak:1..2:900", "from 2 to 64, not “900”"),
        ("x=schedule.peak:1..2:4:cubic", "no spacing"),
        ("x=schedule.peak:1..2:4:log:log", "no spacing"),
        ("x=schedule.peak:a..2:4", "must be a number"),
        ("x=schedule.peak:1,1", "twice"),
        ("x=optimizer:sgd,warp", "must be one of"),
        ("x=data.file:a,b", "free text"),
        ("x=batch.size:4,8", "Both axes"),
        ("x=seed:1..40:40&y=batch.size:1..4096:40", "more than the 1024"),
        ("target=-1", "must be a number from 0 to"),
        ("budget=money", "examples or steps"),
        ("seeds=0", "must be a whole number from 1 to"),
        ("batch.size=0&y=seed:1,2", "no number of examples"),
        ("edit=5:batch.size=4", "edits are left out"),
        ("x=seed:1,2&x=seed:3,4", "given twice"),
    ] {
        let (sweep, issues) = read(&format!("#sweep?{text}"));
        assert!(issues.iter().any(|issue| issue.contains(part)), "{text}: {issues:?}");
        assert!((1..=MAX_TRIALS).contains(&sweep.trials()), "{text}");
        let (again, issues) = read(&sweep.link().fragment());
        assert_eq!((again, issues), (sweep, vec![]), "{text}");
    }
}

#[test]
fn a_sweep_about_a_recipe_is_sound() {
    for preset in PRESETS {
        let sweep = Sweep::around(preset.id, &preset.spec());
        let whole = preset.spec().batch.size == 0;
        assert_eq!(sweep.cells(), if whole { 5 * 8 } else { 5 * 5 }, "{}", preset.id);
        assert!((0..sweep.cells()).all(|cell| sweep.spec(cell).is_ok()), "{}", preset.id);
        assert!(sweep.columns().contains(&preset.spec().get(RATE).unwrap()), "{}: {:?}", preset.id, sweep.columns());
        assert!(
            whole || sweep.rows().contains(&preset.spec().get(BATCH).unwrap()),
            "{}: {:?}",
            preset.id,
            sweep.rows()
        );
        assert_eq!(read(&sweep.link().fragment()), (sweep, vec![]));
    }
}

/// Pieces of axes, right and wrong.
fn axes() -> impl Strategy<Value = String> {
    let path = (0..FIELDS.len()).prop_map(|i| FIELDS[i].path.to_owned());
    let number =
        prop_oneof![(0..5000_u32).prop_map(|n| n.to_string()), any::<f64>().prop_map(|n| n.to_string()), ".{0,4}"];
    let range =
        (number.clone(), number.clone(), 0..70_usize, prop::sample::select(vec!["", ":log", ":linear", ":", ":x"]))
            .prop_map(|(low, high, count, spacing)| format!("{low}..{high}:{count}{spacing}"));
    let words = prop::sample::select(vec!["sgd", "true", "mlp", "cosine", "3", "4,5", "1e-3", ""]);
    let list = (prop::collection::vec(prop_oneof![number, words.prop_map(str::to_owned)], 0..5), any::<bool>())
        .prop_map(|(values, slash)| values.join(if slash { "/" } else { "," }));
    (prop_oneof![4 => path, 1 => ".{0,8}"], prop_oneof![range, list])
        .prop_map(|(path, values)| format!("{path}:{values}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn links_give_back_the_sweep(x in axes(), y in axes(), target in any::<f64>(), seeds in 0..20_u32, steps in any::<bool>()) {
        let budget = if steps { "steps" } else { "examples" };
        let settings = [("x", x), ("y", y), ("target", target.to_string()), ("seeds", seeds.to_string()), ("budget", budget.into())];
        let settings = settings.map(|(key, value)| (key.to_owned(), value)).to_vec();
        let (sweep, _) = Sweep::read(&Link::parse(&Link::to_page(Page::Sweep, settings).fragment()));
        prop_assert!((1..=MAX_TRIALS).contains(&sweep.trials()));
        let text = sweep.link().fragment();
        let (again, issues) = Sweep::read(&Link::parse(&text));
        prop_assert_eq!(issues, vec![]);
        prop_assert_eq!(&again, &sweep);
        prop_assert_eq!(sweep.link(), Link::parse(&text));
        for trial in [0, sweep.trials() / 2, sweep.trials() - 1] {
            if let Ok(spec) = sweep.spec(trial) {
                prop_assert_eq!(spec.validate(), vec![]);
            }
        }
    }

    #[test]
    fn damaged_links_are_read(cut in any::<prop::sample::Index>(), put in ".{0,3}") {
        let text = "#sweep?preset=gpt&x=schedule.peak:0.125..16:8&y=model.depth:1,2,3&target=0.1&budget=steps&seeds=2&v=1";
        let at = cut.index(text.len());
        let (sweep, _) = Sweep::read(&Link::parse(&format!("{}{put}{}", &text[..at], &text[at + 1..])));
        prop_assert!((1..=MAX_TRIALS).contains(&sweep.trials()));
    }
}

/// An outcome of a run that ended at a loss, from an untrained loss of 2.3.
fn outcome(loss: f64) -> Outcome {
    let diverged = (loss >= 2.3 || loss.is_nan()).then_some(7);
    let reached = (loss < 0.1).then_some((100, 3200));
    let (updates, examples) = (1000, 32_000);
    Outcome {
        start: 2.3,
        loss,
        test_loss: loss,
        accuracy: Some(0.5),
        diverged,
        reached,
        updates,
        examples,
        seconds: 1.5,
    }
}

/// Results of the default sweep in which the rates up to `edge` times a power of the batch size train.
fn made_up(edge: f64, power: f64) -> (Sweep, Results) {
    let (sweep, _) = read("#sweep");
    let mut results = Results::new(&sweep);
    for trial in 0..sweep.trials() {
        let spec = sweep.spec(trial).unwrap();
        let stable = spec.schedule.peak <= edge * (spec.batch.size as f64).powf(power) * 1.01;
        results.take(trial, outcome(if stable { 0.05 } else { f64::NAN }));
    }
    (sweep, results)
}

#[test]
fn the_edge_has_the_slope_it_was_made_with() {
    for power in [0.0, 1.0] {
        // At the edge of the largest batches every rate of the grid trains: no edge there.
        let (sweep, results) = made_up(0.25, power);
        let edge = Edge::of(&sweep, &results).unwrap();
        assert_eq!(edge.points.len(), if power == 0.0 { 8 } else { 6 });
        for slope in edge.slopes.unwrap() {
            assert!((slope - power).abs() < 1e-9, "{slope} for {power}");
        }
        assert!((edge.guide(power, 8.0).unwrap() / edge.points[3].rate() - 1.0).abs() < 1e-9);
    }
    let (sweep, mut results) = made_up(0.25, 1.0);
    results.outcomes[2] = None;
    assert_eq!(Edge::of(&sweep, &results).unwrap().points.len(), 5, "an open cell leaves its edge open");
    let (sweep, _) = read("#sweep?x=seed:1,2");
    assert_eq!(Edge::of(&sweep, &Results::new(&sweep)), None);
}

#[test]
fn maps_say_what_they_show() {
    let (sweep, mut results) = made_up(0.25, 1.0);
    results.outcomes[63] = None;
    for quantity in Quantity::of(&sweep) {
        let figure = heat(&sweep, &results, *quantity);
        let [Mark::HeatMap { grid, rows, columns, .. }, linear, root, traced] = figure.marks.as_slice() else {
            panic!("{:?}", figure.marks)
        };
        assert_eq!((grid.width, grid.height, rows[0].as_str(), columns[0].as_str()), (8, 8, "128", "0.125"));
        // The last trial is the top right corner.
        assert!(grid.values[7].is_nan() && grid.values.iter().filter(|value| value.is_nan()).count() == 1);
        assert!(figure.alt.contains("63 of 64 runs"), "{}", figure.alt);
        let points = |mark: &Mark| match mark {
            Mark::Line { points, .. } => points.clone(),
            _ => panic!("{mark:?}"),
        };
        // Rates of 0.25 and below train at batch size 1, the lowest row: the edge lies between places 1 and 2.
        assert!((points(traced)[0][0] - 1.5).abs() < 1e-9 && points(traced)[0][1] == 7.0);
        for (guide, rise) in [(linear, 1.0), (root, 0.5)] {
            let guide = points(guide);
            assert!((guide[2][0] - guide[0][0] - 2.0 * rise).abs() < 1e-9 && guide[2][1] == 5.0, "{guide:?}");
        }
    }
    let chart = edge_chart(&sweep, &results).unwrap();
    assert!(chart.value.contains("slope 1.00 at small, 1.00 at large"), "{}", chart.value);
    assert!(chart.alt.contains("0.25 at batch size 1"), "{}", chart.alt);
    let empty = edge_chart(&sweep, &Results::new(&sweep)).unwrap();
    assert!(empty.marks.is_empty() && !empty.empty.is_empty());
}

#[test]
fn a_cell_trains_if_all_its_seeds_do() {
    let (sweep, _) = read("#sweep?x=schedule.peak:1&y=batch.size:8&seeds=2");
    let mut results = Results::new(&sweep);
    results.take(0, outcome(0.05));
    results.take(1, outcome(f64::NAN));
    let figure = heat(&sweep, &results, Quantity::Divergence);
    let Some(Mark::HeatMap { grid, .. }) = figure.marks.first() else { panic!("{:?}", figure.marks) };
    assert_eq!(grid.values, [7.0], "one of the two has diverged");
}

#[test]
fn tables_have_a_row_a_run() {
    let (sweep, results) = made_up(0.25, 1.0);
    let csv = results.to_csv(&sweep);
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows.len(), 65);
    assert_eq!(
        rows[0],
        "schedule.peak,batch.size,seed,loss,test_loss,accuracy,diverged_at,target_updates,target_examples,updates,examples,seconds,link"
    );
    let first = "0.125,1,1,0.05,0.05,0.5,,100,3200,1000,32000,1.5,#lab?preset=tanh-mlp&schedule.peak=0.125&batch.size=1&steps=64000&v=2";
    assert_eq!(rows[1], first);
    assert!(rows[8].starts_with("16,1,1,,,0.5,7,,,1000,32000,1.5,"), "{}", rows[8]);
}

#[test]
fn results_survive_json() {
    let (_, mut results) = made_up(0.25, 1.0);
    results.outcomes[5] = None;
    let json = serde_json::to_string(&results).unwrap();
    let back: Results = crate::tree::parse(&json).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), json);
    assert!(back.outcomes[5].is_none() && back.outcomes[7].unwrap().loss.is_nan());
}

#[cfg(feature = "compute")]
mod whole {
    use super::*;
    use crate::cpu::CpuExecutor;
    use crate::executor::AnyExecutor;
    use crate::sweep::pool::{Machine, run};
    use std::time::Instant;

    fn machine(threads: usize) -> Machine<'static> {
        Machine { executor: &|| Ok(AnyExecutor::Cpu(Box::new(CpuExecutor::new()))), clock: now_ms, threads }
    }

    fn now_ms() -> f64 {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1000.0
    }

    /// All but the time it took, as text: NaN is not equal to itself.
    fn numbers(results: &Results) -> String {
        let timeless = |outcome: &Outcome| Outcome { seconds: 0.0, ..*outcome };
        let outcomes: Vec<_> = results.outcomes.iter().map(|outcome| outcome.as_ref().map(timeless)).collect();
        serde_json::to_string(&outcomes).unwrap()
    }

    const SMALL: &str = "#sweep?x=schedule.peak:0.25,1,16&y=batch.size:2,16,64&steps=60&target=1.5&seeds=2";

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let sweep = sound(SMALL);
        let of = |threads| {
            let mut results = Results::new(&sweep);
            run(&sweep, &mut results, &machine(threads), |_| true).unwrap();
            assert_eq!(results.finished(), 18);
            numbers(&results)
        };
        assert_eq!(of(1), of(2));
    }

    #[test]
    fn a_cancelled_sweep_goes_on_where_it_was() {
        let sweep = sound(SMALL);
        let mut whole = Results::new(&sweep);
        run(&sweep, &mut whole, &machine(2), |_| true).unwrap();
        let mut parts = Results::new(&sweep);
        let mut calls = 0;
        while parts.finished() < 18 {
            let before = parts.finished();
            run(&sweep, &mut parts, &machine(2), |results| results.finished() < before + 5).unwrap();
            assert!(parts.finished() > before && calls < 18);
            calls += 1;
        }
        assert!(calls > 1, "it was never cut short");
        assert_eq!(numbers(&parts), numbers(&whole));
    }

    #[test]
    fn cells_without_a_run_are_left_out() {
        let sweep = sound("#sweep?x=model.norm:none,batch&y=model:mlp,gpt&steps=5");
        let mut results = Results::new(&sweep);
        run(&sweep, &mut results, &machine(1), |_| true).unwrap();
        assert_eq!(results.finished(), 2);
        assert!(results.missing(&sweep).is_empty());
    }

    #[test]
    fn small_rates_train_and_large_ones_diverge() {
        let sweep = sound("#sweep?x=schedule.peak:0.25,16&y=batch.size:16,32&steps=200&target=0.5");
        let mut results = Results::new(&sweep);
        run(&sweep, &mut results, &machine(2), |_| true).unwrap();
        for (trial, outcome) in results.outcomes.iter().enumerate() {
            let outcome = outcome.unwrap();
            assert!((outcome.start - 10_f64.ln()).abs() < 0.5, "{outcome:?}");
            if trial % 2 == 0 {
                assert!(
                    outcome.diverged.is_none() && outcome.loss < 0.5 && outcome.accuracy.unwrap() > 0.8,
                    "{outcome:?}"
                );
                assert!(outcome.reached.unwrap().1 < outcome.examples, "{outcome:?}");
            } else {
                assert!(outcome.diverged.is_some() && outcome.reached.is_none(), "{outcome:?}");
            }
        }
    }

    /// The lab's promise: the whole picture in minutes on a small machine, with the linear regime and its end in it.
    #[test]
    #[ignore = "runs the default sweep"]
    fn the_default_sweep_shows_the_linear_regime_within_three_minutes() {
        let sweep = sound("#sweep");
        let mut results = Results::new(&sweep);
        let begun = Instant::now();
        run(&sweep, &mut results, &machine(2), |_| true).unwrap();
        let seconds = begun.elapsed().as_secs_f64();
        let edge = Edge::of(&sweep, &results).unwrap();
        eprintln!("{seconds:.0} s, edge {:?}", edge);
        assert_eq!(results.finished(), 64);
        assert!(seconds < 180.0, "{seconds} s");
        let [small, large] = edge.slopes.unwrap();
        assert!((0.75..=1.25).contains(&small), "slope {small} at small batches");
        assert!(large < 0.6, "slope {large} at large batches");
    }
}

/// A race's link comes back as it was; the best rate is that of the lowest training loss, the order that of test losses, and
/// seeds count once all cells have them.
#[test]
fn a_race_is_judged_at_each_rules_best_rate() {
    for (id, steps) in RACES {
        let race = Sweep::race(id, steps);
        assert_eq!(read(&race.link().fragment()), (race.clone(), vec![]), "{id}");
        assert!((0..race.cells()).all(|cell| race.spec(cell).is_ok_and(|spec| spec.steps == steps)), "{id}");
        let warmup = |spec: &RunSpec| spec.schedule.warmup as f64 / spec.steps as f64;
        let usual = warmup(&preset(id).unwrap().spec());
        assert!((warmup(&race.base) - usual).abs() <= 0.5 / steps as f64, "{id}: {} for {usual}", warmup(&race.base));
    }
    let (sweep, _) = read("#sweep?preset=mlp&x=schedule.peak:0.1,1,10&y=optimizer:sgd,adam&seeds=2&budget=steps");
    let mut results = Results::new(&sweep);
    assert!(race_table(&sweep, &results).unwrap().marks.is_empty());
    // SGD is best at 1, Adam at 0.1, and Adam's test loss is the lower one.
    for seed in 0..2 {
        for (cell, loss) in [0.5, 0.1, f64::NAN, 0.2, 0.3, 0.9].into_iter().enumerate() {
            let test_loss = loss + if cell < 3 { 0.4 } else { 0.1 + 0.02 * seed as f64 };
            results.take(seed * 6 + cell, Outcome { loss, test_loss, ..outcome(loss) });
        }
        if seed == 0 {
            let Some(Mark::Table { rows, .. }) = race_table(&sweep, &results).unwrap().marks.pop() else { panic!() };
            assert_eq!(rows[0][1], "0.3", "one seed has no deviation");
        }
    }
    let table = race_table(&sweep, &results).unwrap();
    let Some(Mark::Table { rows, .. }) = table.marks.first() else { panic!("{table:?}") };
    let column = |at: usize| rows.iter().map(|row| row[at].as_str()).collect::<Vec<_>>();
    assert_eq!((column(0), column(3)), (vec!["Adam", "SGD"], vec!["0.1 *", "1"]));
    assert!(rows[0][1].starts_with("0.31 ± 0.01") && rows[1][1].starts_with("0.5 ± 0"), "{rows:?}");
    assert!(table.alt.starts_with("First: Adam at 0.1"), "{}", table.alt);
    let (plain, _) = read("#sweep");
    assert!(race_table(&plain, &Results::new(&plain)).is_none());
}
