//! Parts of a net that learn, and at what rate.

use super::*;
use crate::model::ParamEntry;

const SIZES: [usize; 3] = [3, 6, 2];

fn step(name: &'static str, choose: impl FnOnce(&mut Tape)) -> Traced {
    trace(name, Mode::Train, |tape| {
        let (x, y) = (tape.input("x", [8, 3]), tape.input("y", [8, 2]));
        let net = tape.net("net", |builder| Mlp::new(builder, SIZES));
        let loss = mean_square(net.forward(x) - y);
        choose(tape);
        tape.minimise("net", &loss, &OptimizerSpec { weight_decay: 0.1, ..sgd() });
        watch_net(tape, "net", &loss);
        Ok(())
    })
    .unwrap()
}

/// How far each parameter moves in one step at rate 0.1, with so much clipping.
async fn moves(play: &mut Player<'_>, traced: Traced, clip: f64) -> Result<Vec<f32>, PlayError> {
    let step = play.add(traced).await?;
    play.rate("net", 0.1)?;
    play.tune("net", |rule| rule.clip = clip)?;
    play.restart(5)?;
    let before = play.read("net.theta").await?;
    let (x, y) = (numbers(24, 1), numbers(16, 2));
    check(play, step, &[("x", (&x).into()), ("y", (&y).into())]).await?;
    let after = play.read("net.theta").await?;
    Ok(after.iter().zip(&before).map(|(a, b)| a - b).collect())
}

#[test]
fn groups_learn_at_their_own_rates() {
    let rate = |entry: &ParamEntry| match entry.name.as_str() {
        name if name.starts_with("norm") => 1.0,
        name if name.ends_with("bias") => 0.25,
        _ => 0.0,
    };
    everywhere(async |play| {
        let traced = step("all", |_| ());
        let layout = traced.nets[0].layout.clone();
        let all = moves(play, traced, 0.0).await?;
        let some = moves(play, step("groups", |tape| tape.rates("net", rate)), 0.0).await?;
        for entry in layout.entries() {
            let range = entry.offset..entry.offset + numel(&entry.shape);
            for (all, some) in all[range.clone()].iter().zip(&some[range]) {
                assert!((some - rate(entry) * all).abs() <= 1e-6 + 1e-4 * all.abs(), "{}: {some}, {all}", entry.name);
                assert!(rate(entry) != 0.0 || *some == 0.0, "{}: {some}", entry.name);
            }
        }
        // What stands still counts in no norm: the clipped step is as long as rate and clip say. Norms do not decay.
        let norms = |entry: &ParamEntry| f32::from(entry.name == "norm.gamma");
        let clipped = moves(play, step("clipped", |tape| tape.rates("net", norms)), 1e-2).await?;
        let length = clipped.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((length - 1e-3).abs() < 1e-5, "{length}");
        Ok(())
    });
}

#[test]
fn a_subset_learns_alone() {
    everywhere(async |play| {
        let masked = step("masked", |tape| {
            let size = tape.layout("net").len();
            let mask = tape.state("mask", [size]);
            tape.scale_rates("net", &mask);
        });
        let id = play.add(masked).await?;
        play.rate("net", 0.1)?;
        let before = play.read("net.theta").await?;
        let mask: Vec<f32> = (0..before.len()).map(|k| if k % 3 == 0 { 1.0 } else { 0.0 }).collect();
        play.write("mask", &mask)?;
        let (x, y) = (numbers(24, 1), numbers(16, 2));
        check(play, id, &[("x", (&x).into()), ("y", (&y).into())]).await?;
        let after = play.read("net.theta").await?;
        let moved = before.iter().zip(&after).map(|(a, b)| a != b);
        assert!(moved.zip(&mask).all(|(moved, &mask)| !moved || mask == 1.0));
        assert_ne!(before, after);
        Ok(())
    });
}

/// Weights that are clipped after their update, and a teacher that is the average of its student.
#[test]
fn parameters_after_an_update_are_a_tensor() {
    everywhere(async |play| {
        let traced = trace("average", Mode::Train, |tape| {
            let x = tape.input("x", [8, 3]);
            let student = tape.net("student", |builder| Mlp::new(builder, SIZES));
            tape.net("teacher", |builder| Mlp::new(builder, SIZES));
            let loss = mean_square(student.forward(x) - 3.0);
            let after = tape.minimise("student", &loss, &sgd());
            let clipped = after.clamp(-0.2, 0.2);
            tape.set("student", &clipped);
            let average = tape.flat("teacher") * 0.9 + clipped * 0.1;
            tape.set("teacher", &average);
            Ok(())
        });
        let step = play.add(traced?).await?;
        play.rate("student", 1.0)?;
        let before = play.read("teacher.theta").await?;
        check(play, step, &[("x", (&numbers(24, 1)).into())]).await?;
        let (student, teacher) = (play.read("student.theta").await?, play.read("teacher.theta").await?);
        assert!(student.iter().all(|x| x.abs() <= 0.2));
        let average = before.iter().zip(&student).map(|(old, new)| f64::from(0.9 * old + 0.1 * new));
        close("teacher", &teacher, &average.collect::<Vec<_>>());
        Ok(())
    });
}
