//! States beside the parameters, and several lives of one net.

use super::*;

const X: [usize; 2] = [12, 3];

/// A task: points of a plane that a net with the name `net` is to answer with one number.
fn regression(name: &'static str, weight: f64) -> Traced {
    trace(name, Mode::Train, |tape| {
        let (x, y) = (tape.input("x", X), tape.input("y", [12, 1]));
        let net = tape.net("net", |builder| Mlp::new(builder, [3, 8, 1]));
        let task = mean_square(net.forward(x) - y);
        let (theta, size) = (tape.flat("net"), tape.layout("net").len());
        let (anchor, fisher) = (tape.state("anchor", [size]), tape.state("fisher", [size]));
        let distance = theta.clone() - anchor;
        let loss = task.clone() + (distance.clone() * distance * fisher.clone()).sum() * weight;
        watch_net(tape, "net", &loss);
        let slope = tape.grad(&task, &theta);
        tape.keep("fisher", &(fisher * 0.9 + slope.clone() * slope * 0.1));
        tape.minimise("net", &loss, &adam());
        tape.metric("task", &task);
        Ok(())
    })
    .unwrap()
}

/// Elastic weight consolidation (Kirkpatrick et al. 2017): what the first task needs is held in place during the second.
#[test]
fn a_penalty_on_the_parameters_keeps_an_old_task() {
    everywhere(async |play| {
        let (free, held) = (play.add(regression("free", 0.0)).await?, play.add(regression("held", 300.0)).await?);
        play.rate("net", 1e-2)?;
        let [first, second] = [2, 3].map(|seed| [("x", x_of(1)), ("y", Words::Numbers(numbers(12, seed).leak()))]);
        let learned = train(play, free, 150, &first).await?;
        falls(&learned["task"], 0.3);
        let anchor = play.read("net.theta").await?;
        play.write("anchor", &anchor)?;
        let fork = play.snapshot().await?;
        let mut drift = Vec::new();
        for step in [free, held] {
            play.restore(&fork)?;
            check(play, step, &second).await?;
            train(play, step, 60, &second).await?;
            let moved = play.read("net.theta").await?;
            drift.push(anchor.iter().zip(&moved).map(|(a, b)| (a - b) * (a - b)).sum::<f32>());
        }
        assert!(drift[1] < 0.5 * drift[0], "{drift:?}");
        Ok(())
    });
}

fn x_of(seed: u64) -> Words<'static> {
    Words::Numbers(numbers(36, seed).leak())
}

/// Two clients train apart from a common start, and their parameters are averaged.
#[test]
fn clients_average_their_parameters() {
    everywhere(async |play| {
        let local = play.add(regression("local", 0.0)).await?;
        play.rate("net", 1e-2)?;
        let targets: Vec<&'static [f32]> = vec![numbers(12, 4).leak(), numbers(12, 5).leak()];
        let mut rounds = Vec::new();
        for _ in 0..8 {
            let (start, mut sum, mut losses) = (play.snapshot().await?, Vec::new(), 0.0);
            for (client, target) in targets.iter().enumerate() {
                play.restore(&start)?;
                let task = [("x", x_of(client as u64)), ("y", Words::Numbers(target))];
                losses += train(play, local, 10, &task).await?["task"][0];
                let theta = play.read("net.theta").await?;
                sum.resize(theta.len(), 0.0);
                sum.iter_mut().zip(&theta).for_each(|(sum, x)| *sum += x / 2.0);
            }
            play.write("net.theta", &sum)?;
            rounds.push(losses);
        }
        falls(&rounds, 0.8);
        Ok(())
    });
}

/// Members of a population: the better one's weights are copied and its rate changed.
#[test]
fn a_population_clones_its_best() {
    everywhere(async |play| {
        let step = play.add(regression("member", 0.0)).await?;
        let task = [("x", x_of(1)), ("y", Words::Numbers(numbers(12, 2).leak()))];
        let start = play.snapshot().await?;
        let mut members = vec![(1e-4, start.clone()), (1e-2, start)];
        let mut best = Vec::new();
        for _ in 0..5 {
            let mut losses = Vec::new();
            for (rate, at) in &mut members {
                play.restore(at)?;
                play.rate("net", *rate)?;
                losses.push(*train(play, step, 12, &task).await?["task"].last().unwrap());
                *at = play.snapshot().await?;
            }
            let winner = usize::from(losses[1] < losses[0]);
            members[1 - winner] = (members[winner].0 * 1.2, members[winner].1.clone());
            best.push(losses[winner]);
        }
        falls(&best, 0.7);
        Ok(())
    });
}

/// Going back yields the same numbers bit for bit, draws included.
#[test]
fn what_follows_a_snapshot_is_the_same() {
    everywhere(async |play| {
        let noisy = trace("noisy", Mode::Train, |tape| {
            let net = tape.net("net", |builder| Mlp::new(builder, [2, 4, 1]));
            let x = tape.normal([8, 2]);
            let loss = mean_square(net.forward(x) - 1.0);
            tape.minimise("net", &loss, &adam());
            tape.metric("loss", &loss);
            Ok(())
        });
        let step = play.add(noisy?).await?;
        play.rate("net", 1e-2)?;
        train(play, step, 3, &[]).await?;
        let at = play.snapshot().await?;
        let first = train(play, step, 5, &[]).await?;
        play.restore(&at)?;
        assert_eq!(first, train(play, step, 5, &[]).await?);
        play.restart(6)?;
        let other = train(play, step, 8, &[]).await?;
        play.restart(5)?;
        let again = train(play, step, 8, &[]).await?;
        assert_eq!(again["loss"][3..], first["loss"][..]);
        assert_ne!(again, other);
        Ok(())
    });
}

/// A net is taken out and put back, moments and all, while another goes on from where it was.
#[test]
fn one_net_can_be_exchanged() {
    everywhere(async |play| {
        let traced = trace("two", Mode::Train, |tape| {
            let x = tape.input("x", [8, 2]);
            for name in ["net", "other"] {
                let net = tape.net(name, |builder| Mlp::new(builder, [2, 4, 1]));
                let loss = mean_square(net.forward(x.clone()) - 1.0);
                tape.minimise(name, &loss, &adam());
                tape.metric(name, &loss);
            }
            Ok(())
        });
        let step = play.add(traced?).await?;
        ["net", "other"].into_iter().try_for_each(|net| play.rate(net, 1e-2))?;
        let x: Vec<f32> = (0..16).map(|k| k as f32 / 8.0 - 1.0).collect();
        let inputs = [("x", Words::Numbers(&x))];
        let begun = train(play, step, 3, &inputs).await?;
        let kept = play.snapshot_of("net").await?;
        let first = train(play, step, 4, &inputs).await?;
        play.restore(&kept)?;
        let again = train(play, step, 4, &inputs).await?;
        assert_eq!(again["net"], first["net"]);
        assert!(again["other"][0] < first["other"][3]);
        play.renew("net")?;
        let anew = train(play, step, 3, &inputs).await?;
        assert_eq!(anew["net"], begun["net"]);
        assert!(anew["other"][0] < again["other"][3]);
        Ok(())
    });
}

/// More runs than the ring has rows: no number is lost.
#[test]
fn metrics_outlast_the_ring() {
    everywhere(async |play| {
        let count = trace("count", Mode::Train, |tape| {
            let number = tape.state("number", [1]);
            tape.keep("number", &(number.clone() + 1.0));
            tape.metric("number", &number);
            Ok(())
        });
        let step = play.add(count?).await?;
        let seen = train(play, step, 1030, &[]).await?;
        assert!(seen["number"].iter().copied().eq((0..1030).map(|k| k as f32)));
        Ok(())
    });
}

/// What is asked amiss is an error that names it.
#[test]
fn mistakes_are_told() {
    let net = |tape: &mut Tape| tape.net("net", |builder| Mlp::new(builder, [2, 4, 1]));
    let failure = |write: &dyn Fn(&mut Tape)| {
        let traced = trace("step", Mode::Train, |tape| {
            write(tape);
            Ok(())
        });
        traced.unwrap_err().to_string()
    };
    let loss = |tape: &mut Tape| mean_square(tape.state("x", [3]));
    assert!(failure(&|tape| drop(tape.flat("other"))).contains("other"));
    assert!(failure(&|tape| drop((net(tape), net(tape)))).contains("two nets"));
    assert!(
        failure(&|tape| {
            let (_, loss) = (net(tape), loss(tape));
            tape.minimise("net", &loss, &sgd());
            tape.minimise("net", &loss, &sgd());
        })
        .contains("twice")
    );
    assert!(
        failure(&|tape| {
            let (_, loss) = (net(tape), loss(tape));
            tape.minimise("net", &loss, &sgd());
            tape.rates("net", |_| 0.5);
        })
        .contains("before")
    );
    let table = Table::numbers("table", [5, 3]);
    assert!(failure(&|tape| drop(tape.rows(&table, "index", [2, 4]))).contains("table"));
    everywhere(async |play| {
        let step = play.add(regression("step", 0.0)).await?;
        let (x, y) = (numbers(36, 1), numbers(12, 1));
        let fine = [("x", Words::from(&x)), ("y", Words::from(&y))];
        let told = async |play: &mut Player<'_>, inputs: &[(&str, Words<'_>)]| {
            play.run(step, inputs).await.unwrap_err().to_string()
        };
        assert!(told(play, &fine).await.contains("rate"));
        play.rate("net", 0.1)?;
        assert!(told(play, &fine[..1]).await.contains("not given"));
        assert!(told(play, &[fine[0], ("y", Words::from(&x))]).await.contains("length"));
        assert!(told(play, &[fine[0], fine[1], ("z", Words::from(&x))]).await.contains("no input"));
        assert!(play.rate("other", 0.1).is_err() && play.read("other").await.is_err());
        assert!(play.add(regression("step", 0.0)).await.is_err());
        play.run(step, &fine).await
    });
}
