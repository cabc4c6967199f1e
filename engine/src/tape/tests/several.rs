//! Several nets in one step.

use super::*;
use crate::graph::capture::stop_gradient;

/// A critic tells points of a line from a generator's; each has a rule of its own, and both gradients are taken before
/// either is updated.
#[test]
fn a_critic_and_a_generator_train_in_one_step() {
    let step = || {
        trace("gan", Mode::Train, |tape| {
            let critic = tape.net("critic", |builder| Mlp::new(builder, [2, 16, 1]));
            let generator = tape.net("generator", |builder| Mlp::new(builder, [3, 16, 2]));
            let real = tape.input("real", [32, 2]);
            let noise = tape.normal([32, 3]);
            let fake = generator.forward(noise);
            let doubt = softplus(critic.forward(real).neg()) + softplus(critic.forward(stop_gradient(fake.clone())));
            let deceit = softplus(critic.forward(fake.clone()).neg());
            tape.minimise("critic", &doubt, &adam());
            tape.minimise("generator", &deceit, &OptimizerSpec { kind: Rule::RmsProp, ..adam() });
            tape.metric("critic", &doubt);
            tape.metric("distance", &mean_square(fake.slice([0..32, 0..1]) - 0.7));
            watch_net(tape, "critic", &doubt);
            watch_net(tape, "generator", &deceit);
            Ok(())
        })
        .unwrap()
    };
    everywhere(async |play| {
        let gan = play.add(step()).await?;
        play.rate("critic", 3e-3)?;
        play.rate("generator", 1e-3)?;
        let real: Vec<f32> = numbers(32, 1).iter().flat_map(|y| [0.7, 0.3 * y]).collect();
        check(play, gan, &[("real", (&real).into())]).await?;
        let seen = train(play, gan, 300, &[("real", (&real).into())]).await?;
        falls(&seen["distance"], 0.5);
        Ok(())
    });
}

/// A student learns what a teacher answers; the teacher stays as it is, and its parameters are a draw of its own.
#[test]
fn a_student_learns_from_a_frozen_teacher() {
    let step = || {
        trace("distil", Mode::Train, |tape| {
            let x = tape.input("x", [16, 4]);
            let teacher = tape.net("teacher", |builder| Mlp::new(builder, [4, 8, 3]));
            let student = tape.net("student", |builder| Mlp::new(builder, [4, 8, 3]));
            let loss = mean_square(student.forward(x.clone()) - teacher.forward(x));
            tape.minimise("student", &loss, &adam());
            tape.metric("loss", &loss);
            watch_net(tape, "student", &loss);
            Ok(())
        })
        .unwrap()
    };
    everywhere(async |play| {
        let distil = play.add(step()).await?;
        play.rate("student", 1e-2)?;
        let x = numbers(64, 2);
        let teacher = play.read("teacher.theta").await?;
        assert_ne!(teacher, play.read("student.theta").await?);
        check(play, distil, &[("x", (&x).into())]).await?;
        falls(&train(play, distil, 100, &[("x", (&x).into())]).await?["loss"], 0.1);
        assert_eq!(teacher, play.read("teacher.theta").await?);
        Ok(())
    });
}

/// A net of which only another net's output is the weights.
#[test]
fn a_hypernetwork_makes_the_weights_of_another() {
    let step = || {
        trace("hyper", Mode::Train, |tape| {
            let (task, x, y) = (tape.input("task", [1, 2]), tape.input("x", [16, 3]), tape.input("y", [16, 1]));
            let worker = tape.net("worker", |builder| Mlp::new(builder, [3, 4, 1]));
            let size = tape.layout("worker").len();
            let maker = tape.net("maker", |builder| Mlp::new(builder, [2, 8, size]));
            let made = maker.forward(task).reshape([size]);
            let loss = mean_square(tape.with(&worker, &made).forward(x) - y);
            tape.minimise("maker", &loss, &adam());
            tape.metric("loss", &loss);
            watch_net(tape, "maker", &loss);
            watch_net(tape, "worker", &loss);
            Ok(())
        })
        .unwrap()
    };
    everywhere(async |play| {
        let step = play.add(step()).await?;
        play.rate("maker", 5e-3)?;
        let (task, x, y) = ([0.5, -1.0], numbers(48, 3), numbers(16, 4));
        let inputs = [("task", Words::from(&task)), ("x", Words::from(&x)), ("y", Words::from(&y))];
        check(play, step, &inputs).await?;
        let own = play.fetch(step, "gradient.worker.theta").await?;
        assert!(own.iter().all(|&slope| slope == 0.0), "its own parameters are not used");
        falls(&train(play, step, 200, &inputs).await?["loss"], 0.3);
        Ok(())
    });
}
