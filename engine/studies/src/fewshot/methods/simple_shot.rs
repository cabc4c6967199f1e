//! SimpleShot (Wang et al. 2019): vectors lose the mean of the base classes and get length 1; then the nearest prototype, by
//! angle.

use super::space::normalised;
use super::{Answer, Problem, prototype};

pub fn classify(problem: &Problem) -> Answer {
    let points = normalised(problem.points, problem.centre);
    prototype::cosine(&Problem { points: &points, ..*problem })
}
