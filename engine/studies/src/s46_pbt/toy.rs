//! The paper's toy: two workers climb `Q = 1.2 - (θ₀² + θ₁²)`, each by the gradient of `1.2 - (h₀ θ₀² + h₁ θ₁²)`, whose `h` are
//! their settings. With `h` of (1, 0) and (0, 1) each moves along one axis alone.

use engine::rng::{Rng, Stream, own_seed};

use crate::population::{Exchange, Searched, perturbed, sources};

/// How workers exchange and explore.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Way {
    /// The worse worker takes the position of the better one.
    pub copies: bool,
    /// And its settings.
    pub settings: bool,
    /// What a worker that did so does to its settings then; where nobody does, what both do.
    pub explore: Explore,
}

/// What is done to settings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Explore {
    /// Nothing.
    #[default]
    Not,
    /// They are multiplied by one plus or minus this.
    Times(f64),
    /// Normal noise of this deviation is added; below 0 they do not go.
    Plus(f64),
}

/// Updates of a worker, and between two exchanges.
pub const UPDATES: usize = 200;
const READY: usize = 5;
/// How far a gradient leads.
pub const STEP: f64 = 0.02;
/// Where the workers begin: one a little lower, or they would tie for ever.
pub const START: [[f64; 2]; 2] = [[0.9; 2], [0.9, 0.91]];
/// Settings of one, and of the other.
const SETTINGS: [[f64; 2]; 2] = [[1.0, 0.0], [0.0, 1.0]];
const SEARCHED: Searched = Searched { path: "h", range: [0.0, 100.0], log: false, complement: false };

/// What is climbed.
pub fn height([a, b]: [f64; 2]) -> f64 {
    1.2 - (a * a + b * b)
}

/// The height of the better worker.
pub fn best(workers: &[[f64; 2]; 2]) -> f64 {
    height(workers[0]).max(height(workers[1]))
}

/// Positions of both workers before each update and after the last.
pub fn climb(way: Way, start: [[f64; 2]; 2], seed: u64) -> Vec<[[f64; 2]; 2]> {
    let mut rng = Rng::new(own_seed(seed, "toy"), Stream::Generate, 0);
    let (mut at, mut settings) = (start, SETTINGS);
    let mut path = vec![at];
    for update in 1..=UPDATES {
        for (theta, h) in at.iter_mut().flatten().zip(settings.iter().flatten()) {
            *theta -= STEP * 2.0 * h * *theta;
        }
        if update % READY == 0 {
            let mut moved = [!way.copies; 2];
            if way.copies {
                let losses = at.map(|theta| [-height(theta)]);
                let found = sources(&[&losses[0], &losses[1]], Exchange::Truncation(0.5), &mut rng);
                for (worse, better) in found.into_iter().enumerate() {
                    let Some(better) = better else { continue };
                    (at[worse], moved[worse]) = (at[better], true);
                    if way.settings {
                        settings[worse] = settings[better];
                    }
                }
            }
            for (h, _) in settings.iter_mut().zip(moved).filter(|(_, moved)| *moved) {
                match way.explore {
                    Explore::Not => {}
                    Explore::Times(spread) => {
                        let moved = perturbed(h, &[SEARCHED, SEARCHED], spread, &mut rng);
                        *h = [moved[0], moved[1]];
                    }
                    Explore::Plus(deviation) => {
                        *h = h.map(|h| (h + deviation * f64::from(rng.normal())).max(0.0));
                    }
                }
            }
        }
        path.push(at);
    }
    path
}
