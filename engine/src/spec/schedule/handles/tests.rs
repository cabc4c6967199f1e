//! Dragged points land where they were dropped, and leave what is done alone.

use proptest::prelude::*;

use super::*;
use crate::spec::{Edit, RunSpec};

const STEPS: u64 = 200;

fn recipe(kind: Shape) -> RunSpec {
    let schedule = ScheduleSpec {
        kind,
        peak: 0.4,
        warmup: 10,
        decay: 50,
        // A floor would keep drops from going lower.
        floor: if kind == Shape::Step { 0.0 } else { 0.1 },
        period: 30,
        cooldown: 30,
        points: "0:0.1,40:0.4,100:0.2,190:0.1".into(),
        ..Default::default()
    };
    RunSpec { schedule, steps: STEPS, ..RunSpec::default() }
}

/// The recipe after a drag: in mid-run by edits, as the page makes them.
fn after(spec: &RunSpec, now: u64, turns: &Turns) -> RunSpec {
    let mut spec = spec.clone();
    for (path, value) in turns {
        if now > 0 {
            spec.record(now, path, value).unwrap();
        } else {
            spec.set(path, value).unwrap();
        }
    }
    assert_eq!(spec.validate(), []);
    spec
}

#[test]
fn every_shape_has_points_and_they_stand_on_its_curve() {
    for kind in Shape::ALL {
        let schedule = EffectiveSchedule::new(&recipe(*kind), 5000);
        let handles = schedule.handles(0);
        assert!(!handles.is_empty());
        for handle in handles {
            assert!(handle.free && handle.step < STEPS);
            let under = schedule.lr(handle.step);
            let warming = *kind == Shape::Drawn && handle.step < 10;
            assert!(warming || (handle.lr - under).abs() < 1e-12, "{handle:?} is not on {under}");
        }
    }
    let grips =
        |kind| EffectiveSchedule::new(&recipe(kind), 5000).handles(0).iter().map(|h| h.grip).collect::<Vec<_>>();
    assert_eq!(grips(Shape::Constant), [Grip::Peak]);
    assert_eq!(grips(Shape::Wsd), [Grip::Peak, Grip::Decay, Grip::End]);
    assert_eq!(grips(Shape::OneCycle), [Grip::Start, Grip::Peak, Grip::End]);
    assert_eq!(grips(Shape::Infinite), [Grip::Peak, Grip::Plateau, Grip::Decay, Grip::End]);
    assert_eq!(grips(Shape::Step), [Grip::Peak, Grip::Period]);
    assert_eq!(grips(Shape::Drawn), [0, 1, 2, 3].map(Grip::Point));
}

proptest! {
    #[test]
    fn a_dragged_point_lands_where_it_was_dropped(
        kind in prop::sample::select(Shape::ALL),
        pick in any::<prop::sample::Index>(),
        now in prop_oneof![Just(0_u64), 1..STEPS],
        [x, y] in [0.0..1.0_f64, 0.01..1.0],
        scaled in any::<bool>(),
    ) {
        let mut spec = recipe(kind);
        if scaled {
            spec.set("schedule.scaling", "sqrt").unwrap();
            spec.edits.push(Edit { step: 60, path: "batch.size".into(), value: "256".into() });
        }
        let before = EffectiveSchedule::new(&spec, 5000);
        let handles: Vec<Handle> = before.handles(now).into_iter().filter(|handle| handle.free).collect();
        prop_assume!(!handles.is_empty());
        let handle = handles[pick.index(handles.len())];
        // Near enough that no neighbour is in the way.
        let step = now.max((handle.step as f64 + (x - 0.5) * 16.0).max(0.0) as u64).min(STEPS - 1);
        let lr = handle.lr * (0.6 + 0.4 * y);
        let turned = after(&spec, now, &before.dragged(now, &handle, step, lr));
        let schedule = EffectiveSchedule::new(&turned, 5000);
        for past in 0..now {
            prop_assert_eq!(schedule.lr(past), before.lr(past), "the past changed at {}", past);
        }
        let moved = schedule.handles(now).into_iter().find(|found| found.grip == handle.grip).unwrap();
        let stands = match handle.grip {
            Grip::Start | Grip::End => handle.step,
            Grip::Peak if now > 10 => handle.step,
            Grip::Decay => step.max(if kind == Shape::Infinite { 40 } else { 10 }),
            Grip::Plateau => step.max(10),
            _ => step,
        };
        if matches!(handle.grip, Grip::Period) {
            // A drop that is passed stays so: the next is no further than it allows. Equal periods: no finer than their number.
            let next = (handle.step - 10) / 30;
            let stands = if next > 1 { stands.min(10 + next * ((now - 11) / (next - 1))) } else { stands };
            prop_assert!(moved.step.abs_diff(stands) <= next, "{moved:?} is not at {stands}");
        } else {
            prop_assert_eq!(moved.step, stands);
        }
        let of_time_alone =
            matches!(handle.grip, Grip::Decay) || (matches!(handle.grip, Grip::Period) && kind == Shape::Restarts);
        if !of_time_alone {
            // Three digits, which a power of the drop multiplies.
            let power = if matches!(handle.grip, Grip::Period) { (handle.step - 10) / 30 } else { 1 };
            prop_assert!((moved.lr / lr - 1.0).abs() < 0.006 * power as f64, "{moved:?} is not at {lr}");
        }
    }
}

#[test]
fn a_point_is_added_between_and_taken_out() {
    let spec = recipe(Shape::Drawn);
    let schedule = EffectiveSchedule::new(&spec, 1);
    let [_, second, .., last] = schedule.handles(0)[..] else { panic!() };
    let points = |turns: Turns| after(&spec, 0, &turns).schedule.points;
    assert_eq!(points(schedule.added(&second)), "0:0.1,40:0.4,70:0.3,100:0.2,190:0.1");
    assert_eq!(points(schedule.added(&last)), "0:0.1,40:0.4,100:0.2,190:0.1,194:0.1");
    assert_eq!(points(schedule.removed(&second)), "0:0.1,100:0.2,190:0.1");
    let mut lonely = spec.clone();
    lonely.set("schedule.points", "5:1").unwrap();
    let schedule = EffectiveSchedule::new(&lonely, 1);
    assert_eq!(schedule.removed(&schedule.handles(0)[0]), []);
}

#[test]
fn a_curve_becomes_points_that_follow_it() {
    for kind in Shape::ALL {
        let spec = recipe(*kind);
        let schedule = EffectiveSchedule::new(&spec, 1);
        let mut turns = schedule.traced();
        turns.push(("schedule", "drawn".into()));
        let drawn = EffectiveSchedule::new(&after(&spec, 0, &turns), 1);
        let top = (0..STEPS).map(|step| schedule.lr(step)).fold(0.0, f64::max);
        for step in 0..STEPS {
            let off = (schedule.lr(step) - drawn.lr(step)).abs();
            assert!(off <= 0.02 * top, "{kind:?} is off by {off} at {step}");
        }
    }
}

/// A rate that was found turns up at the peak, or at once where the peak has passed; a curve drawn by hand keeps its form.
#[test]
fn a_rate_that_is_used_is_the_next_or_the_highest_to_come() {
    for kind in Shape::ALL {
        let spec = recipe(*kind);
        for now in [0, 60] {
            let turns = EffectiveSchedule::new(&spec, 5000).raised(now, 0.0123);
            let used = EffectiveSchedule::new(&after(&spec, now, &turns), 5000);
            let highest = if *kind == Shape::Drawn || now == 0 {
                (now..STEPS).map(|step| used.lr(step)).fold(0.0, f64::max)
            } else {
                used.lr(now)
            };
            assert!((highest / 0.0123 - 1.0).abs() < 0.01, "{kind:?} at {now}: {highest}");
        }
    }
    let mut measured = recipe(Shape::Cosine);
    measured.schedule.auto = crate::spec::Auto::Rate;
    assert_eq!(EffectiveSchedule::new(&measured, 5000).raised(0, 0.1)[0], ("schedule.auto", "off".into()));
    let mut ended = recipe(Shape::Cosine);
    ended.schedule.peak = 0.0;
    assert_eq!(EffectiveSchedule::new(&ended, 5000).raised(150, 0.1), vec![]);
}
