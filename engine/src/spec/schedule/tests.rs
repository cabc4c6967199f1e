//! Every shape against its published definition, and what holds for all of them.

use core::f64::consts::PI;

use proptest::prelude::*;

use super::*;

fn schedule(kind: Shape) -> ScheduleSpec {
    ScheduleSpec {
        kind,
        peak: 0.4,
        warmup: 4,
        decay: 5,
        floor: 0.1,
        points: "0:0.4,9:0.4,19:0.04".into(),
        ..Default::default()
    }
}

/// The rate of update `step` with one example an update.
fn lr(schedule: &ScheduleSpec, step: u64, steps: u64) -> f64 {
    schedule.lr_at(&Moment { step, steps, batch: 1, seen: step, tokens: 1, reduced: 1.0 })
}

fn curve(schedule: &ScheduleSpec, steps: u64) -> Vec<f64> {
    (0..steps).map(|step| lr(schedule, step, steps)).collect()
}

#[track_caller]
fn assert_close(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }
}

/// The shapes whose warm-up leads to the peak.
fn to_the_peak() -> impl Iterator<Item = ScheduleSpec> {
    Shape::ALL.iter().filter(|kind| !matches!(kind, Shape::OneCycle | Shape::Power)).map(|kind| schedule(*kind))
}

#[test]
fn warm_up_rises_in_equal_steps_to_the_peak() {
    for schedule in to_the_peak() {
        assert_close(&curve(&schedule, 20)[..5], &[0.1, 0.2, 0.3, 0.4, 0.4]);
    }
}

#[test]
fn wsd_is_stable_then_falls_to_the_floor_at_the_last_step() {
    let mut wsd = schedule(Shape::Wsd);
    let lr = curve(&wsd, 20);
    assert_close(&lr[4..16], &[0.4; 12]);
    assert_close(&lr[15..], &[0.4, 0.31, 0.22, 0.13, 0.04]);
    for (form, middle) in [
        (Decay::Cosine, 0.55),
        (Decay::Sqrt, 1.0 - 0.9 * 0.5_f64.sqrt()),
        (Decay::Exponential, 0.1_f64.sqrt()),
        (Decay::InverseSqrt, 1.0 - 0.9 * (1.0 / 6.0_f64.sqrt() - 1.0) / (1.0 / 11.0_f64.sqrt() - 1.0)),
    ] {
        wsd.form = form;
        let lr = curve(&wsd, 20);
        assert_close(&[lr[15], lr[17], lr[19]], &[0.4, 0.4 * middle, 0.04]);
    }
}

/// Card 14, exact checks 1 and 4.
#[test]
fn wsd_halves_at_every_half_life_and_cosine_meets_its_ends() {
    // D = 665 steps down to 0.01: a half-life of D / log2(100) = 100.09 steps.
    let wsd = ScheduleSpec { warmup: 50, decay: 666, form: Decay::Exponential, floor: 0.01, ..schedule(Shape::Wsd) };
    let (start, last) = (wsd.decay_start(2000), 1999);
    assert_close(&[lr(&wsd, 50, 2000), lr(&wsd, start - 1, 2000), lr(&wsd, start, 2000)], &[0.4; 3]);
    assert_close(&[lr(&wsd, last, 2000)], &[0.004]);
    let half_life = (last - start) as f64 / 100_f64.log2();
    for after in [1, 100, 333, 600] {
        assert_close(&[lr(&wsd, start + after, 2000)], &[0.4 * 0.5_f64.powf(after as f64 / half_life)]);
    }
    let stable = ScheduleSpec { decay: 0, ..wsd };
    assert!((50..2100).all(|step| lr(&stable, step, 2000) == 0.4));
    let cosine = ScheduleSpec { warmup: 50, ..schedule(Shape::Cosine) };
    assert_close(&[lr(&cosine, 50, 2000), lr(&cosine, 1999, 2000)], &[0.4, 0.04]);
    // A cycle twice too long is halfway down when the run ends.
    let long = ScheduleSpec { span: 2 * 1950 - 1 + 50, ..cosine };
    assert_close(&[lr(&long, 50 + 1949, 2000)], &[0.22]);
}

/// The three first shapes as they were computed when links of them were first given away: the same bits.
#[test]
fn old_links_keep_their_numbers() {
    let progress = |step: u64, start: u64, steps: u64| {
        let length = steps.saturating_sub(start + 1);
        match length {
            0 => f64::from(u8::from(step > start)),
            _ => ((step.saturating_sub(start)) as f64 / length as f64).min(1.0),
        }
    };
    let old = |spec: &ScheduleSpec, step: u64, steps: u64| {
        if step < spec.warmup {
            return spec.peak * ((step + 1) as f64 / spec.warmup as f64);
        }
        let (start, form) = match spec.kind {
            Shape::Constant => return spec.peak,
            Shape::Cosine => (spec.warmup, Decay::Cosine),
            _ => (steps.saturating_sub(spec.decay).max(spec.warmup), spec.form),
        };
        let progress = progress(step, start, steps);
        let fallen = match form {
            Decay::Linear => progress,
            Decay::Cosine => 0.5 * (1.0 - libm::cos(PI * progress)),
            Decay::Sqrt => libm::sqrt(progress),
            _ => return spec.peak * libm::pow(if spec.floor > 0.0 { spec.floor } else { 1e-3 }, progress),
        };
        spec.peak * (1.0 - (1.0 - spec.floor) * fallen)
    };
    for kind in [Shape::Constant, Shape::Cosine, Shape::Wsd] {
        for form in [Decay::Linear, Decay::Cosine, Decay::Sqrt, Decay::Exponential] {
            for (warmup, decay, floor, steps) in
                [(20, 100, 0.0, 600), (0, 0, 0.1, 50), (30, 50, 0.05, 40), (7, 33, 1.0, 100)]
            {
                let spec = ScheduleSpec { kind, form, peak: 0.003, warmup, decay, floor, ..Default::default() };
                for step in 0..steps {
                    assert_eq!(
                        lr(&spec, step, steps).to_bits(),
                        old(&spec, step, steps).to_bits(),
                        "{spec:?} at {step}"
                    );
                }
            }
        }
    }
}

#[test]
fn falls_follow_their_formulas() {
    for step in 4..20_u64 {
        let t = (step - 4) as f64;
        let left = 1.0 - t / 15.0;
        let of = |kind| lr(&schedule(kind), step, 20);
        assert_close(&[of(Shape::Cosine)], &[0.04 + 0.36 * 0.5 * (1.0 + (PI * t / 15.0).cos())]);
        // PyTorch's LinearLR and ExponentialLR with the gamma that ends at the floor.
        assert_close(&[of(Shape::Linear)], &[0.4 * (1.0 + (0.1 - 1.0) * t / 15.0)]);
        assert_close(&[of(Shape::Exponential)], &[0.4 * 0.1_f64.powf(1.0 / 15.0).powf(t)]);
        // PolynomialLR, which has no floor.
        let polynomial = ScheduleSpec { power: 3.0, floor: 0.0, ..schedule(Shape::Polynomial) };
        assert_close(&[lr(&polynomial, step, 20)], &[0.4 * left.powi(3)]);
        // StepLR.
        let drops = ScheduleSpec { period: 3, factor: 0.7, floor: 0.0, ..schedule(Shape::Step) };
        assert_close(&[lr(&drops, step, 20)], &[0.4 * 0.7_f64.powi((step as i32 - 4) / 3)]);
        // Warm-up and decay of fairseq's inverse_sqrt, after Vaswani et al.
        let inverse = ScheduleSpec { floor: 0.0, ..schedule(Shape::InverseSqrt) };
        assert_close(&[lr(&inverse, step, 20)], &[0.4 * 4_f64.sqrt() * (step as f64).powf(-0.5)]);
    }
    for kind in [Shape::Cosine, Shape::Linear, Shape::Exponential, Shape::Polynomial] {
        let fall = schedule(kind);
        assert_close(&[lr(&fall, 19, 20), lr(&fall, 20, 20), lr(&fall, u64::MAX, 20)], &[0.04; 3]);
    }
}

/// PyTorch's CosineAnnealingWarmRestarts with T_0 = 3 and T_mult = 1 or 2.
#[test]
fn restarts_follow_their_formula() {
    let value = |at: f64, of: f64| 0.04 + 0.36 * (1.0 + (PI * at / of).cos()) / 2.0;
    let again = ScheduleSpec { period: 3, ..schedule(Shape::Restarts) };
    let expected: Vec<f64> = (0..16).map(|step| value(f64::from(step % 3), 3.0)).collect();
    assert_close(&curve(&again, 20)[4..], &expected);
    let longer = ScheduleSpec { multiplier: 2, ..again };
    let expected: Vec<f64> =
        [3, 6, 12].iter().flat_map(|of| (0..*of).map(|at| value(f64::from(at), f64::from(*of)))).take(16).collect();
    assert_close(&curve(&longer, 20)[4..], &expected);
}

#[test]
fn a_decay_of_one_step_is_at_its_end() {
    for (form, floor, end) in [(Decay::Linear, 0.25, 0.25), (Decay::Cosine, 0.0, 0.0), (Decay::Exponential, 0.0, 1e-3)]
    {
        let wsd = ScheduleSpec { decay: 1, form, floor, ..schedule(Shape::Wsd) };
        let curve = curve(&wsd, 20);
        assert_close(&curve[4..], &[[0.4; 15].as_slice(), &[0.4 * end]].concat());
        // Of two steps, the first is still at the top.
        let two = self::curve(&ScheduleSpec { decay: 2, ..wsd }, 20);
        assert_close(&two, &curve);
    }
    let infinite = ScheduleSpec { decay: 1, floor: 0.125, cooldown: 2, ..schedule(Shape::Infinite) };
    let (falling, still) = (curve(&infinite, 20), curve(&ScheduleSpec { decay: 0, ..infinite.clone() }, 20));
    assert_close(&falling[..19], &still[..19]);
    assert_close(&falling[19..], &[0.05]);
    assert!(still[19] > 0.1, "without a decay the plateau lasts");
    let power = ScheduleSpec { decay: 1, floor: 0.5, peak: 1e9, ..schedule(Shape::Power) };
    let whole = curve(&ScheduleSpec { decay: 0, ..power.clone() }, 20);
    assert_close(&curve(&power, 20)[19..], &[0.5 * whole[19]]);
    // What falls all the way trains in a run of one step.
    assert!(curve(&ScheduleSpec { warmup: 0, ..schedule(Shape::Cosine) }, 1)[0] > 0.0);
}

/// PyTorch's OneCycleLR with total_steps = 20, pct_start = 0.25 (so that the rise ends at step 4), div_factor = 25.
#[test]
fn one_cycle_follows_its_formula() {
    let cosine = |from: f64, to: f64, share: f64| to + (from - to) / 2.0 * (1.0 + (PI * share).cos());
    let linear = |from: f64, to: f64, share: f64| (to - from) * share + from;
    type Anneal<'a> = &'a dyn Fn(f64, f64, f64) -> f64;
    let anneals: [(Decay, Anneal<'_>); 2] = [(Decay::Cosine, &cosine), (Decay::Linear, &linear)];
    for (form, anneal) in anneals {
        let cycle = ScheduleSpec { form, floor: 1e-5, ..schedule(Shape::OneCycle) };
        let rise = (0..=4).map(|step| anneal(0.4 / 25.0, 0.4, f64::from(step) / 4.0));
        let fall = (1..=15).map(|step| anneal(0.4, 4e-6, f64::from(step) / 15.0));
        assert_close(&curve(&cycle, 20), &rise.chain(fall).collect::<Vec<f64>>());
    }
}

/// The same scheduler's momentum, from 0.95 to 0.85 and back, and the like for any shape.
#[test]
fn momentum_moves_against_the_rate_or_with_it() {
    let momentum = |spec: &ScheduleSpec, step: u64| {
        spec.momentum_at(&Moment { step, steps: 20, batch: 1, seen: step, tokens: 1, reduced: 1.0 }, 0.95).unwrap()
    };
    let cosine = |from: f64, to: f64, share: f64| to + (from - to) / 2.0 * (1.0 + (PI * share).cos());
    let cycle = ScheduleSpec {
        form: Decay::Cosine,
        floor: 1e-5,
        momentum: Momentum::Counter,
        low: 0.85,
        ..schedule(Shape::OneCycle)
    };
    let fall = (0..=4).map(|step| cosine(0.95, 0.85, f64::from(step) / 4.0));
    let rise = (1..=15).map(|step| cosine(0.85, 0.95, f64::from(step) / 15.0));
    let curve: Vec<f64> = (0..20).map(|step| momentum(&cycle, step)).collect();
    assert_close(&curve, &fall.chain(rise).collect::<Vec<f64>>());
    for kind in Shape::ALL {
        let counter = ScheduleSpec { momentum: Momentum::Counter, low: 0.85, ..schedule(*kind) };
        let along = ScheduleSpec { momentum: Momentum::Along, ..counter.clone() };
        for step in 0..20 {
            let (a, b) = (momentum(&counter, step), momentum(&along, step));
            assert!((a + b - 1.8).abs() < 1e-12 && (0.85..=0.95 + 1e-12).contains(&a), "{a} and {b}");
            if *kind != Shape::OneCycle {
                assert_close(&[a], &[0.95 - 0.1 * lr(&counter, step, 20) / 0.4]);
            }
        }
    }
}

/// Card 18, exact checks 1 to 5.
#[test]
fn power_follows_its_law_of_examples() {
    let spec =
        ScheduleSpec { peak: 0.02, warmup: 10, gain: 0.05, exponent: -0.51, decay: 40, ..schedule(Shape::Power) };
    let at = |step: u64, batch: u64| {
        spec.lr_at(&Moment { step, steps: 400, batch, seen: step * batch, tokens: 1, reduced: 1.0 })
    };
    let law = |n: f64, batch: f64| (batch * 0.05 * n.powf(-0.51)).min(0.02);
    for batch in [1, 8, 64] {
        let b = batch as f64;
        for step in 10..360 {
            assert_close(&[at(step, batch)], &[law((step + 1) as f64 * b, b)]);
        }
        // The warm-up leads to the curve; the decay starts from it and ends at a tenth.
        assert_close(&[at(4, batch)], &[0.5 * law(11.0 * b, b)]);
        assert_close(&[at(360, batch), at(399, batch)], &[law(361.0 * b, b), 0.1 * law(361.0 * b, b)]);
    }
    // Rate over batch at the same number of examples does not depend on the batch where the cap is inactive.
    let low = ScheduleSpec { gain: 1e-4, warmup: 0, ..spec.clone() };
    let rate = |step, batch| {
        low.lr_at(&Moment { step, steps: 1000, batch, seen: step * batch, tokens: 1, reduced: 1.0 }) / batch as f64
    };
    assert_close(&[rate(159, 4), rate(79, 8)], &[rate(39, 16); 2]);
    // The cap is crossed at (peak / (batch a))^(1/b) examples.
    let low = ScheduleSpec { gain: 0.01, warmup: 0, ..spec.clone() };
    let crossing = (0.02_f64 / (8.0 * 0.01)).powf(1.0 / -0.51);
    let at = |seen: f64| {
        low.lr_at(&Moment { step: 3, steps: 1000, batch: 8, seen: seen as u64 - 8, tokens: 1, reduced: 1.0 })
    };
    assert_eq!(at(crossing), 0.02);
    assert!(at(crossing + 1.0) < 0.02);
    // b = 0: a WSD.
    let flat = ScheduleSpec { exponent: 0.0, ..spec };
    assert_eq!(curve(&flat, 400), curve(&ScheduleSpec { kind: Shape::Wsd, ..flat.clone() }, 400));
}

/// Card 48, exact checks 1 to 4.
#[test]
fn infinite_cools_to_a_plateau_and_anneals_from_it() {
    let mut spec = ScheduleSpec { warmup: 10, cooldown: 20, decay: 41, floor: 0.01, ..schedule(Shape::Infinite) };
    let (plateau, least) = (0.4 * 0.375, 0.004);
    for (cooling, middle) in [
        (Decay::Cosine, plateau + (0.4 - plateau) / 2.0),
        (Decay::Linear, (0.4 + plateau) / 2.0),
        (Decay::InverseSqrt, 0.4 + (plateau - 0.4) * (1.0 / 6.0_f64.sqrt() - 1.0) / (1.0 / 11.0_f64.sqrt() - 1.0)),
    ] {
        spec.cooling = cooling;
        let lr = curve(&spec, 200);
        assert_close(
            &[lr[9], lr[10], lr[20], lr[30], lr[100], lr[159]],
            &[0.4, 0.4, middle, plateau, plateau, plateau],
        );
        assert_close(&[lr[179], lr[199]], &[(plateau * least).sqrt(), least]);
    }
    // Without an anneal it never ends.
    let open = ScheduleSpec { decay: 0, ..spec.clone() };
    assert!((30..200).all(|step| lr(&open, step, 200) == plateau));
    // A plateau as high as the peak: warm-up, constant, exponential decay.
    let wsd = ScheduleSpec { plateau: 1.0, form: Decay::Exponential, ..spec.clone() };
    assert_close(&curve(&wsd, 200), &curve(&ScheduleSpec { kind: Shape::Wsd, ..wsd.clone() }, 200));
    // Later cycles neither warm up nor cool down again.
    let tasks = ScheduleSpec { span: 200, repeat: true, ..spec.clone() };
    let lr = curve(&tasks, 600);
    assert_close(&lr[..200], &curve(&spec, 200));
    for task in [200, 400] {
        assert_close(&lr[task..task + 160], &[plateau; 160]);
        assert_close(&lr[task + 160..task + 200], &lr[160..200]);
    }
}

/// Card 48's other arm: the cosine begins anew with every task.
#[test]
fn a_shape_repeats_and_one_takes_over_from_another() {
    let cosine = ScheduleSpec { warmup: 20, floor: 0.01, ..schedule(Shape::Cosine) };
    let tasks = ScheduleSpec { span: 200, repeat: true, ..cosine.clone() };
    let one = curve(&cosine, 200);
    assert_close(&curve(&tasks, 500), &[&one[..], &one[..], &one[..100]].concat());
    // Odd number of steps: the middle of the decay is a step.
    let odd = ScheduleSpec { span: 201, ..tasks.clone() };
    assert_close(&[lr(&odd, 201 + 110, 900)], &[(0.4 + 0.004) / 2.0]);
    // Without repeats it idles at its end; from an origin it fills the rest of the run.
    let idle = ScheduleSpec { repeat: false, ..tasks };
    assert_close(&curve(&idle, 230)[199..], &[0.004; 31]);
    let late = ScheduleSpec { origin: 100, ..cosine.clone() };
    assert_close(&curve(&late, 300)[100..], &one);
    assert_close(&curve(&late, 300)[..100], &[0.02; 100]);
}

#[test]
fn drawn_schedules_run_through_their_points() {
    let mut drawn = ScheduleSpec { warmup: 0, points: "2:0.1,4:0.4,8:0.2,9:0".into(), ..schedule(Shape::Drawn) };
    assert_close(&curve(&drawn, 12), &[0.1, 0.1, 0.1, 0.25, 0.4, 0.35, 0.3, 0.25, 0.2, 0.0, 0.0, 0.0]);
    drawn.between = Between::Log;
    assert_close(
        &curve(&drawn, 12)[2..10],
        &[0.1, 0.2, 0.4, 0.4 / 2_f64.powf(0.25), 0.4 / 2_f64.sqrt(), 0.2 * 2_f64.powf(0.25), 0.2, 0.0],
    );
    for text in ["0:0.002", DEFAULT_POINTS, "3:0,4:1e-7,1000:2"] {
        assert!(read_points(text).is_ok(), "{text}");
    }
    for text in ["", "0", "0:", ":1", "1:1,1:2", "2:1,1:1", "0:-1", "0:NaN", "0:inf", "0:1,", "x:1", "-1:1", "0:1e99"] {
        assert!(read_points(text).is_err(), "{text}");
    }
}

prop_compose! {
    fn any_schedule()(
        kind in prop::sample::select(Shape::ALL),
        [form, cooling] in [prop::sample::select(Decay::ALL), prop::sample::select(Decay::ALL)],
        between in prop::sample::select(Between::ALL),
        [warmup, decay, cooldown, period, origin, span] in prop::array::uniform6(prop_oneof![0..60_u64, Just(10_000_000)]),
        multiplier in 1..=10_u64,
        [floor, start, plateau, factor] in prop::array::uniform4(prop_oneof![0.0..1.0, Just(0.0), Just(1.0)]),
        [power, gain] in [0.1..10.0, 0.0..1e9],
        exponent in -2.0..0.0,
        repeat in any::<bool>(),
    ) -> ScheduleSpec {
        let spec = ScheduleSpec { kind, form, cooling, between, warmup, decay, cooldown, period, origin, span, ..schedule(kind) };
        ScheduleSpec { multiplier, floor, start, plateau, factor, power, gain, exponent, repeat, ..spec }
    }
}

/// The shapes that never rise after their warm-up.
fn falling() -> impl Strategy<Value = Shape> {
    let rise = |kind: &Shape| matches!(kind, Shape::Restarts | Shape::Drawn | Shape::Power);
    prop::sample::select(Shape::ALL.iter().copied().filter(|kind| !rise(kind)).collect::<Vec<_>>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn rates_are_finite_and_between_zero_and_the_peak(
        spec in any_schedule(),
        steps in 0..80_u64,
        batch in prop_oneof![0..100_u64, Just(u64::MAX)],
    ) {
        for step in (0..steps + 3).chain([u64::MAX]) {
            let lr = spec.lr_at(&Moment { step, steps, batch, seen: step.saturating_mul(batch), tokens: 1, reduced: 1.0 });
            prop_assert!((0.0..=0.4 + 1e-12).contains(&lr), "{lr} at {step}");
        }
    }

    #[test]
    fn falls_never_rise_and_keep_to_the_floor(spec in any_schedule(), kind in falling(), steps in 1..80_u64) {
        let floor = spec.floor.min(spec.plateau);
        let fall = ScheduleSpec { kind, floor, warmup: 0, origin: 0, repeat: false, ..spec };
        let lr = curve(&fall, steps);
        prop_assert!(lr.windows(2).all(|pair| pair[1] <= pair[0] + 1e-12), "{lr:?}");
        prop_assert!(lr.iter().all(|lr| *lr >= 0.4 * fall.floor - 1e-12), "{lr:?}");
    }
}
