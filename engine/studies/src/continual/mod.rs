//! The continual lab at work: streams, strategies, and arms that learn update by update. What a session is, and what is told
//! of it, is `engine::continual`; `session` runs one in the worker, [`Ground`] and [`Lane`] wherever else.

mod desk;
mod drift;
mod export;
mod frozen;
mod glyphs;
mod heads;
mod lane;
pub mod learned;
mod learner;
mod reservoir;
pub(crate) mod session;
mod sharpness;
mod strategies;
mod tasks;
#[cfg(test)]
mod tests;
mod timetable;
mod whole;

use desk::Desk;
pub use desk::{Features, encode};
pub use lane::Lane;
pub use session::diverged;
pub use strategies::{Bottleneck, Draws, Keys, Lda, Means, hypernetwork};
pub use tasks::{Examples, Part, Tasks};
pub use timetable::{Due, Timetable};
pub use whole::{Ended, Whole, run, sets};

use std::rc::Rc;

use engine::continual::{Arm, ContinualSpec, Course};
use engine::data::Data;
use engine::spec::Issue;
use engine::streams::TaskStream;
use engine::tape::Play;

use crate::StudyError;

/// What all arms of a seed have in common.
pub struct Ground {
    /// The session.
    pub spec: Rc<ContinualSpec>,
    /// Its tasks.
    pub tasks: Rc<Tasks>,
    /// Frozen features, where an arm is computed on them.
    pub features: Option<Rc<Features>>,
    /// Parameters that the network starts from, but for its outputs; none = drawn by the seed.
    pub start: Option<Rc<Vec<f32>>>,
    /// When tasks begin and end.
    pub timetable: Timetable,
    /// The seed.
    pub seed: u64,
}

impl Ground {
    /// The ground of a seed, without features ([`Self::encode`]), and what had to be put right.
    ///
    /// # Errors
    /// The data cannot make the stream: the control, and why not.
    pub fn of(spec: &ContinualSpec, sets: &[Rc<Data>], seed: u64) -> Result<(Self, Vec<Issue>), Issue> {
        let sets: Vec<&Data> = sets.iter().map(|set| &**set).collect();
        let (tasks, issues) = Tasks::of(spec, &sets, seed)?;
        Ok((Self::over(spec, tasks, seed), issues))
    }

    /// The ground of a seed over these tasks.
    #[must_use]
    pub fn over(spec: &ContinualSpec, tasks: Tasks, seed: u64) -> Self {
        let timetable = Timetable::of(spec, &tasks);
        Self { spec: Rc::new(spec.clone()), tasks: Rc::new(tasks), features: None, start: None, timetable, seed }
    }

    /// Runs the frozen encoder over all examples, where an arm needs it. `file`: its [`frozen::file`].
    ///
    /// # Errors
    /// The executor fails.
    pub async fn encode(&mut self, mut play: Play<'_>, file: Option<&[u8]>) -> Result<(), StudyError> {
        if self.spec.encodes() {
            self.features = Some(Rc::new(encode(&mut play, &self.spec, &self.tasks, file).await?));
        }
        Ok(())
    }

    /// Lets what the outputs of the network with these parameters are made of be the frozen features of all examples.
    ///
    /// # Errors
    /// The executor fails, or the parameters do not fit the session's network.
    pub async fn encode_by(&mut self, play: Play<'_>, theta: &[f32]) -> Result<(), StudyError> {
        let mut desk = Desk::new(play, self.spec.clone(), self.tasks.clone(), None, self.seed).await?;
        desk.play.write("net.theta", theta)?;
        let rows: Vec<u32> = (0..self.tasks.rows() as u32).collect();
        let (width, values) = (desk.inner_width(), desk.inner(&rows).await?);
        self.features = Some(Rc::new(Features::levelled(width, values)));
        Ok(())
    }

    fn stream(&self, draws: Draws) -> TaskStream {
        self.timetable.stream(&self.spec, &self.tasks, draws, self.seed)
    }

    /// What lies ahead, for the page.
    #[must_use]
    pub fn course(&self) -> Course {
        let (train, test): (usize, usize) =
            (self.tasks.train.iter().map(Vec::len).sum(), self.tasks.test.iter().map(Vec::len).sum());
        Course {
            tasks: self.tasks.names.clone(),
            outputs: self.tasks.outputs.clone(),
            borders: self.timetable.borders.clone(),
            arms: self.spec.arms.iter().map(Arm::label).collect(),
            seeds: (0..u64::from(self.spec.seeds)).map(|place| self.spec.seed + place).collect(),
            notes: vec![format!("{train} training and {test} test examples in {} tasks", self.tasks.names.len())],
        }
    }
}
