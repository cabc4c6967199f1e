//! The geometry in which a rule's steps are those of gradient descent or momentum.

use crate::executor::Executor;
use crate::optim::stability;
use crate::spec::OptimizerSpec;
use crate::train::{TrainError, Trainer};

/// The diagonal S for which the eigenvalues of `S H S` decide the rule's stability, `[P]`: inverse square roots of what the
/// rule divides by, once it has seen a gradient, and square roots of the rates that parameters have of their own. `None`
/// where it is 1 throughout.
///
/// # Errors
/// The executor fails.
pub async fn rule_scale<E: Executor>(
    trainer: &mut Trainer<E>,
    optimizer: &OptimizerSpec,
) -> Result<Option<Vec<f32>>, TrainError> {
    let (step, parameters) = (trainer.steps_done(), trainer.layout().len());
    let mut scale = match stability::preconditioner(optimizer, &trainer.bias()).filter(|_| step > 0) {
        Some(preconditioner) => {
            let second = trainer.state(preconditioner.state).await?;
            Some(preconditioner.inverse_roots(&second, parameters))
        }
        None => None,
    };
    // A parameter that learns at a rate of its own is as if it were divided by less.
    if let Some(rates) = trainer.layout().rates() {
        let scale = scale.get_or_insert_with(|| vec![1.0; parameters]);
        scale.iter_mut().zip(rates).for_each(|(scale, rate)| *scale *= rate.sqrt());
    }
    Ok(scale)
}
