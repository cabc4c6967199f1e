//! How successive updates of the parameters point: the cosine between each and the next.

use engine::numeric::cosine;

/// Parameters after successive updates, and what they tell about the updates between them.
#[derive(Clone, Debug, Default)]
pub(super) struct Alignment {
    theta: Vec<f32>,
    update: Vec<f64>,
    cosines: Vec<f64>,
}

impl Alignment {
    /// Whether no parameters have been seen yet.
    pub fn is_empty(&self) -> bool {
        self.theta.is_empty()
    }

    /// Takes in the parameters after one more update.
    pub fn push(&mut self, theta: Vec<f32>) {
        if self.theta.len() == theta.len() {
            let update: Vec<f64> =
                theta.iter().zip(&self.theta).map(|(new, old)| f64::from(*new) - f64::from(*old)).collect();
            if !self.update.is_empty() {
                self.cosines.push(cosine(&self.update, &update));
            }
            self.update = update;
        }
        self.theta = theta;
    }

    /// Mean cosine between each update and the next; none of fewer than two updates, or where one was zero.
    pub fn mean_cosine(&self) -> Option<f64> {
        let mean = self.cosines.iter().sum::<f64>() / self.cosines.len() as f64;
        mean.is_finite().then_some(mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_is_that_of_successive_updates() {
        let mut alignment = Alignment::default();
        assert!(alignment.is_empty());
        for theta in [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [2.0, 3.0], [2.0, 2.0]] {
            alignment.push(theta.to_vec());
        }
        // Ahead, a right angle, and back: 1, 0, -1.
        assert_eq!(alignment.cosines, [1.0, 0.0, -1.0]);
        assert_eq!(alignment.mean_cosine(), Some(0.0));
    }

    #[test]
    fn without_two_updates_there_is_no_angle() {
        let mut alignment = Alignment::default();
        alignment.push(vec![1.0]);
        alignment.push(vec![2.0]);
        assert_eq!(alignment.mean_cosine(), None);
        alignment.push(vec![2.0]);
        assert_eq!(alignment.mean_cosine(), None, "an update of nothing has no direction");
    }
}
