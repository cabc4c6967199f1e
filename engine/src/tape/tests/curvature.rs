//! Second derivatives of recorded losses.

use super::*;
use crate::probe::{Curvature, Curved, Landscape, Losses, Operator, Point, RowLoss, Settings, dot};
use crate::train::{INDEX, TrainError};

const ROWS: usize = 10;

/// A student against its teacher, as what both are functions of.
fn distance(tape: &mut Tape, rows: usize) -> Losses {
    let points = Table::numbers("points", [ROWS, 3]);
    let x = tape.rows(&points, INDEX, [rows, 3]);
    let student = tape.net("student", |builder| Mlp::new(builder, [3, 5, 2]));
    let teacher = tape.net("teacher", |builder| Mlp::new(builder, [3, 5, 2]));
    let outputs = student.forward(x.clone());
    let error = outputs.clone() - teacher.forward(x);
    let each = (error.clone() * error).mean_dim(1).reshape([rows]);
    Losses { each, outputs: Some(outputs) }
}

/// Hessian, Gauss-Newton and Fisher products, gradients and slopes of a net in a play, in chunks. They stay what they were
/// while the play goes on.
#[test]
fn a_recorded_loss_has_products_and_slopes() {
    let rows: Vec<u32> = (0..ROWS as u32).collect();
    let matrices = || -> Result<_, TrainError> {
        let loss = RowLoss::traced("student", |tape, rows| Ok(distance(tape, rows)))?;
        let settings = Settings { micro: 4, lanes: 2, ..Settings::default() };
        let matrix = |curved, prefix| Curvature::of(loss.clone(), curved, settings, prefix);
        let all =
            [matrix(Curved::Hessian, "hessian"), matrix(Curved::GaussNewton, "ggn"), matrix(Curved::Fisher, "fisher")];
        Ok((all, Landscape::of(loss.clone(), 4, "loss"), loss.size()))
    };
    everywhere(async |play| {
        play.table(&Table::numbers("points", [ROWS, 3]), &numbers(3 * ROWS, 1))?;
        let traced = trace("step", Mode::Train, |tape| {
            let loss = distance(tape, ROWS).each.mean();
            tape.minimise("student", &loss, &adam());
            Ok(())
        });
        let step = play.add(traced?).await?;
        play.rate("student", 1e-2)?;
        let theta = play.read("student.theta").await?;
        let (mut matrices, mut landscape, size) = matrices().unwrap();
        let direction = numbers(size, 7);
        for matrix in &mut matrices {
            matrix.linearise(play.executor()?, Point::Run, &rows).await.unwrap();
        }
        // Neither updates nor another teacher reach what was linearised once it has multiplied.
        let mut products = Vec::new();
        for matrix in &mut matrices {
            let both = matrix.apply(play.executor()?, vec![direction.clone(), theta.clone()]).await.unwrap();
            products.push(both[0].clone());
        }
        let mut gradients = Vec::new();
        for sign in [0.0, 3e-3, -3e-3] {
            let moved: Vec<f32> = theta.iter().zip(&direction).map(|(x, d)| x + sign * d).collect();
            landscape.go(play.executor()?, Point::Given(&moved)).await.unwrap();
            gradients.push(landscape.gradient(play.executor()?, &rows).await.unwrap());
        }
        let wanted = gradients[1].1.iter().zip(&gradients[2].1).map(|(up, down)| f64::from(up - down) / 6e-3);
        close("hessian product", &products[0], &wanted.collect::<Vec<_>>());
        landscape.go(play.executor()?, Point::Given(&theta)).await.unwrap();
        let slopes = landscape.slopes(play.executor()?, &rows, &direction).await.unwrap();
        let mean = slopes.iter().map(|&slope| f64::from(slope)).sum::<f64>() / ROWS as f64;
        assert!((mean - dot(&gradients[0].1, &direction)).abs() < 1e-4 * (1.0 + mean.abs()), "{mean}");
        // v F v is the mean square of the slopes.
        let square = slopes.iter().map(|&slope| f64::from(slope).powi(2)).sum::<f64>() / ROWS as f64;
        let fisher = dot(&products[2], &direction);
        assert!((fisher - square).abs() < 1e-3 * square, "{fisher} against {square}");
        assert!(dot(&products[1], &direction) > 0.0, "a Gauss-Newton matrix of a convex loss");

        play.run(step, &[(INDEX, Words::Classes(&rows))]).await?;
        play.write("teacher.theta", &vec![0.5; size])?;
        for (matrix, product) in matrices.iter_mut().zip(&products) {
            let again = matrix.apply(play.executor()?, vec![direction.clone()]).await.unwrap();
            close("product after an update", &again[0], &product.iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
        }
        Ok(())
    });
}
