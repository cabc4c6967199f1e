//! Gradients inside a step.

use super::*;
use crate::graph::capture::stop_gradient;
use crate::nn::recurrent::Lstm;

/// Trains on examples moved along the sign of the gradient with respect to them.
#[test]
fn adversarial_examples_are_made_inside_the_step() {
    let step = || {
        trace("adversarial", Mode::Train, |tape| {
            let (x, y) = (tape.input("x", [16, 4]), tape.labels("y", [16]));
            let net = tape.net("net", |builder| Mlp::new(builder, [4, 16, 3]));
            let clean = cross_entropy(net.forward(x.clone()), y.clone());
            watch(tape, "x", &x, &clean);
            let gradient = tape.grad(&clean, &x);
            let moved = stop_gradient(x + gradient.sign() * 0.1);
            let loss = cross_entropy(net.forward(moved), y);
            tape.minimise("net", &loss, &adam());
            tape.metric("clean", &clean);
            tape.metric("loss", &loss);
            watch_net(tape, "net", &loss);
            Ok(())
        })
        .unwrap()
    };
    everywhere(async |play| {
        let step = play.add(step()).await?;
        play.rate("net", 1e-2)?;
        let (x, y): (_, Vec<u32>) = (numbers(64, 1), (0..16).map(|k| k % 3).collect());
        let inputs = [("x", Words::from(&x)), ("y", Words::Classes(&y))];
        check(play, step, &inputs).await?;
        let seen = train(play, step, 150, &inputs).await?;
        assert!(seen["loss"].iter().zip(&seen["clean"]).all(|(moved, clean)| moved > clean), "{seen:?}");
        falls(&seen["loss"], 0.5);
        Ok(())
    });
}

/// Model-agnostic meta-learning (Finn et al. 2017): the loss after a step of descent is what is minimised, so that its
/// gradient holds second derivatives.
#[test]
fn a_step_is_taken_inside_a_step() {
    let step = || {
        trace("meta", Mode::Train, |tape| {
            let (x, y) = (tape.input("x", [8, 2]), tape.input("y", [8, 1]));
            let (later_x, later_y) = (tape.input("later.x", [8, 2]), tape.input("later.y", [8, 1]));
            let net = tape.net("net", |builder| Mlp::new(builder, [2, 8, 1]));
            let before = mean_square(net.forward(x) - y);
            let theta = tape.flat("net");
            let moved = theta.clone() - tape.grad(&before, &theta) * 0.3;
            let after = mean_square(tape.with(&net, &moved).forward(later_x) - later_y);
            tape.minimise("net", &after, &adam());
            tape.metric("after", &after);
            watch_net(tape, "net", &after);
            Ok(())
        })
        .unwrap()
    };
    everywhere(async |play| {
        let step = play.add(step()).await?;
        play.rate("net", 1e-2)?;
        let (x, y) = (numbers(16, 1), numbers(8, 2));
        let inputs = ["x", "later.x"].map(|name| (name, Words::from(&x)));
        let inputs = [inputs, ["y", "later.y"].map(|name| (name, Words::from(&y)))].concat();
        check(play, step, &inputs).await?;
        falls(&train(play, step, 100, &inputs).await?["after"], 0.5);
        Ok(())
    });
}

/// A recurrent cell, unrolled, whose last state is classified.
#[derive(Module, Debug)]
struct Reader {
    cell: Lstm,
    head: Linear,
}

impl Reader {
    fn new(builder: &mut Builder, [inputs, width, classes]: [usize; 3]) -> Self {
        let head = builder.linear(width, classes, true, Init::linear_normal(width));
        Reader { cell: Lstm::new(builder, inputs, width), head }
    }

    /// Logits of sequences `[batch, time, inputs]`.
    fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        let (_, last) = self.cell.forward(x, None, None);
        self.head.forward(last.hidden)
    }
}

/// Which of the steps was the largest, read one by one.
#[test]
fn a_recurrent_classifier_learns_where_the_peak_was() {
    let step = || {
        trace("lstm", Mode::Train, |tape| {
            let (x, y) = (tape.input("x", [24, 6, 1]), tape.labels("y", [24]));
            let net = tape.net("net", |builder| Reader::new(builder, [1, 12, 3]));
            let loss = cross_entropy(net.forward(x), y);
            tape.minimise("net", &loss, &adam());
            tape.metric("loss", &loss);
            watch_net(tape, "net", &loss);
            Ok(())
        })
        .unwrap()
    };
    everywhere(async |play| {
        let step = play.add(step()).await?;
        play.rate("net", 2e-2)?;
        let y: Vec<u32> = (0..24).map(|k| k % 3).collect();
        let x: Vec<f32> = (0..24 * 6).map(|k| if k % 6 == 2 * y[k / 6] as usize { 1.0 } else { 0.0 }).collect();
        let inputs = [("x", Words::from(&x)), ("y", Words::Classes(&y))];
        check(play, step, &inputs).await?;
        falls(&train(play, step, 80, &inputs).await?["loss"], 0.2);
        Ok(())
    });
}
