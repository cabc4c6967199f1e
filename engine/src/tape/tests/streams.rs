//! What is random in a step.

use super::*;
use crate::model::dropout;

/// The masks of two nets of equal shape, and of one net used twice, in two steps.
#[test]
fn no_two_draws_share_a_mask() {
    let step = |name: &'static str| {
        trace(name, Mode::Train, |tape| {
            let x = tape.input("x", [4, 50]);
            for net in ["a", "b"] {
                let module = tape.net(net, |builder| builder.linear(50, 50, false, Init::Constant(1.0)));
                for pass in 0..2 {
                    let mask = dropout(module.forward(x.clone()), 0.5, tape.pass());
                    tape.fetch(&format!("{net}{pass}"), &mask);
                }
            }
            tape.fetch("uniform", &tape.uniform([4, 50]));
            Ok(())
        })
        .unwrap()
    };
    everywhere(async |play| {
        let steps = [play.add(step("first")).await?, play.add(step("second")).await?];
        let mut masks = Vec::new();
        for step in [steps[0], steps[1], steps[0]] {
            play.run(step, &[("x", (&[1.0; 200]).into())]).await?;
            for name in ["a0", "a1", "b0", "b1", "uniform"] {
                let mask: Vec<bool> = play.fetch(step, name).await?.iter().map(|&x| x > 0.4).collect();
                assert!(!masks.contains(&mask), "{name}");
                masks.push(mask);
            }
        }
        Ok(())
    });
}

/// Draws of a net's own: another net beside it changes neither its start nor its masks.
#[test]
fn a_net_draws_as_if_it_were_alone() {
    let step = |crowded: bool| {
        trace("step", Mode::Train, |tape| {
            let x = tape.input("x", [4, 50]);
            for net in if crowded { &["other", "net"][..] } else { &["net"] } {
                let module = tape.net(net, |builder| builder.linear(50, 50, false, Init::Normal(1.0)));
                let out = dropout(module.forward(x.clone()), 0.5, tape.pass());
                tape.fetch(net, &out);
            }
            Ok(())
        })
        .unwrap()
    };
    let seen = std::cell::RefCell::new(Vec::new());
    for crowded in [false, true] {
        everywhere(async |play| {
            let step = play.add(step(crowded)).await?;
            play.run(step, &[("x", (&[1.0; 200]).into())]).await?;
            let drawn = play.fetch(step, "net").await?;
            seen.borrow_mut().push(drawn);
            Ok(())
        });
    }
    let seen = seen.into_inner();
    let half = seen.len() / 2;
    assert_eq!(seen[..half], seen[half..]);
}

#[test]
fn normal_draws_have_unit_moments() {
    everywhere(async |play| {
        let traced = trace("normal", Mode::Train, |tape| {
            let draws = tape.normal([100, 100]);
            tape.fetch("draws", &draws);
            Ok(())
        });
        let step = play.add(traced?).await?;
        play.run(step, &[]).await?;
        let draws = play.fetch(step, "draws").await?;
        let moment = |power: i32| draws.iter().map(|x| f64::from(*x).powi(power)).sum::<f64>() / 1e4;
        assert!(moment(1).abs() < 0.03 && (moment(2) - 1.0).abs() < 0.05 && (moment(4) - 3.0).abs() < 0.3);
        Ok(())
    });
}

/// Rows of tables of every type, by numbers that come with the run.
#[test]
fn rows_come_from_tables() {
    everywhere(async |play| {
        let tables = [Table::numbers("numbers", [3, 2]), Table::bytes("bytes", [3, 2]), Table::classes("classes", [3])];
        let traced = trace("rows", Mode::Eval, |tape| {
            let sum =
                tape.rows(&tables[0], "index", [2, 2]) + tape.rows(&tables[1], "index", [2, 1, 2]).reshape([2, 2]);
            let classes = tape.row_classes(&tables[2], "index", [2]);
            tape.fetch("sum", &sum);
            tape.fetch("classes", &classes);
            let windows =
                tape.windows(&tables[0], "first", [2, 2, 2]) + tape.table(&tables[0], [3, 2]).sum().unsqueeze();
            tape.fetch("windows", &windows);
            let next = tape.window_classes(&tables[2], "first", [2, 2]);
            tape.fetch("next", &next);
            Ok(())
        })?;
        assert!(play.add(traced.clone()).await.is_err(), "no tables yet");
        play.table(&tables[0], &[0.5, 1.5, 2.5, 3.5, 4.5, 5.5])?;
        play.table(&tables[1], Words::Bytes(&[10, 20, 30, 40, 50, 60]))?;
        play.table(&tables[2], Words::Classes(&[7, 8, 9]))?;
        assert!(play.table(&tables[2], Words::Classes(&[7, 8])).is_err());
        let step = play.add(traced).await?;
        play.run(step, &[("index", Words::Classes(&[2, 0])), ("first", Words::Classes(&[1, 0]))]).await?;
        assert_eq!(play.fetch(step, "sum").await?, [54.5, 65.5, 10.5, 21.5]);
        assert_eq!(play.fetch(step, "classes").await?, [9.0, 7.0]);
        assert_eq!(play.fetch(step, "windows").await?, [20.5, 21.5, 22.5, 23.5, 18.5, 19.5, 20.5, 21.5]);
        assert_eq!(play.fetch(step, "next").await?, [8.0, 9.0, 7.0, 8.0]);
        Ok(())
    });
}
