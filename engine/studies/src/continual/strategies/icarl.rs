//! iCaRL (Rebuffi et al. 2017): every output is a yes or no of its own; old outputs learn what the network before the task
//! says, new ones the label; each class keeps exemplars whose mean stays nearest to that of the class (herding), and the
//! nearest mean of exemplars decides.

use std::collections::BTreeMap;

use burn::tensor::activation;
use engine::continual::Leg;
use engine::rng::{Rng, Stream, own_seed};
use engine::tape::Words;

use super::Method;
use super::nearest_mean::unit;
use crate::continual::desk::{Batch, Desk, NET};
use crate::continual::learner::rule;
use crate::{StudyError, Task};

/// Examples of a class that stand for it until it has exemplars.
const STAND_IN: usize = 20;

/// See the module.
#[derive(Clone)]
pub struct Icarl {
    size: usize,
    seed: u64,
    /// Rows of each output's exemplars, the most telling first.
    exemplars: BTreeMap<u32, Vec<u32>>,
    /// First rows of outputs that have no exemplars yet.
    arrived: BTreeMap<u32, Vec<u32>>,
    /// All exemplars.
    rows: Vec<u32>,
    /// Outputs that the network before the task answers for, a 1 each.
    old: Vec<f32>,
}

const STEP: &str = "icarl";
const SETTLE: &str = "icarl settle";

impl Icarl {
    /// With no exemplars.
    pub fn new(leg: &Leg, desk: &Desk<'_>) -> Self {
        Self {
            size: desk.value(leg, "memory") as usize,
            seed: own_seed(desk.seed, "icarl"),
            exemplars: BTreeMap::new(),
            arrived: BTreeMap::new(),
            rows: Vec::new(),
            old: vec![0.0; desk.outputs()],
        }
    }

    /// Means of the normalised features of each output's exemplars, normalised.
    async fn means(&self, desk: &mut Desk<'_>) -> Result<Vec<(u32, Vec<f64>)>, StudyError> {
        let width = desk.inner_width();
        let mut means = Vec::new();
        for (&output, rows) in self.exemplars.iter().chain(&self.arrived) {
            let features = desk.inner(rows).await?;
            means.push((output, unit(&mean(features.chunks(width).map(unit), width))));
        }
        Ok(means)
    }
}

impl Method for Icarl {
    fn begin<'a>(&'a mut self, desk: &'a mut Desk<'_>) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let (outputs, rule) = (desk.outputs(), rule(desk.spec.optimizer));
            let rows = desk.spec.batch + desk.spec.replayed;
            desk.step(STEP, rows, |tape, net, x| {
                let logits = net.forward(x.clone());
                let before = tape.flat(NET).dims();
                let before = tape.state("icarl.theta", before);
                let said = activation::sigmoid(tape.with(net, &before).forward(x));
                let (label, weight) = (tape.input("target", [rows, outputs]), tape.input("weight", [rows, outputs]));
                let old = tape.input("old", [1, outputs]).expand([rows, outputs]);
                let target = said * old.clone() + label * (old.neg() + 1.0);
                // softplus(z) - z t is the binary cross-entropy of sigmoid(z) against t.
                let entropy = activation::softplus(logits.clone(), 1.0) - logits * target;
                let loss = (entropy * weight).sum();
                tape.minimise(NET, &loss, &rule);
                tape.metric("loss", &loss);
                Ok(())
            })
            .await?;
            desk.copy_step(SETTLE, "icarl.theta").await?;
            Ok(())
        })
    }

    fn learn<'a>(&'a mut self, desk: &'a mut Desk<'_>, batch: &'a Batch) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async {
            let (step, outputs) = (desk.known(STEP)?, desk.outputs());
            for &row in &batch.rows {
                let output = desk.tasks.output[row as usize];
                let arrived = self.arrived.entry(output).or_default();
                if arrived.len() < STAND_IN {
                    arrived.push(row);
                }
            }
            // Classes that return have exemplars.
            self.arrived.retain(|output, _| !self.exemplars.contains_key(output));
            let mut rng = Rng::new(self.seed, Stream::Sample, batch.update as u32);
            let held = self.rows.len();
            let replayed = (0..desk.spec.replayed.min(held)).map(|_| self.rows[rng.below(held as u32) as usize]);
            let rows: Vec<u32> = batch.rows.iter().copied().chain(replayed).collect();
            let places = desk.spec.batch + desk.spec.replayed;
            let filled = desk.fill(&rows, places, 1);
            // Every output that has been seen counts, in every row that is used.
            let each = 1.0 / rows.len().max(1) as f32;
            let seen = desk.seen.iter().map(|&seen| if seen { each } else { 0.0 });
            let mut weight: Vec<f32> = seen.cycle().take(rows.len() * outputs).collect();
            weight.resize(places * outputs, 0.0);
            let inputs = [
                ("index", Words::Classes(&filled.index)),
                ("target", Words::Numbers(&filled.target)),
                ("weight", Words::Numbers(&weight)),
                ("old", Words::Numbers(&self.old)),
            ];
            Ok(desk.play.run(step, &inputs).await?)
        })
    }

    fn border<'a>(&'a mut self, desk: &'a mut Desk<'_>, task: usize) -> Task<'a, Result<(), StudyError>> {
        Box::pin(async move {
            let width = desk.inner_width();
            let new: Vec<u32> = desk.tasks.of_task[task].clone();
            let known = self.exemplars.len() + new.iter().filter(|output| !self.exemplars.contains_key(output)).count();
            let each = (self.size / known.max(1)).max(1);
            self.exemplars.values_mut().for_each(|rows| rows.truncate(each));
            for output in new {
                let of = desk.tasks.train[task].iter().copied();
                let rows: Vec<u32> = of.filter(|&row| desk.tasks.output[row as usize] == output).collect();
                let features = desk.inner(&rows).await?;
                let features: Vec<Vec<f64>> = features.chunks(width).map(unit).collect();
                let chosen = herd(&features, each);
                self.exemplars.insert(output, chosen.into_iter().map(|place| rows[place]).collect());
            }
            self.arrived.clear();
            self.rows = self.exemplars.values().flatten().copied().collect();
            self.old = desk.seen_outputs();
            let settle = desk.known(SETTLE)?;
            Ok(desk.play.run(settle, &[]).await?)
        })
    }

    fn answer<'a>(&'a mut self, desk: &'a mut Desk<'_>, rows: &'a [u32]) -> Task<'a, Result<Vec<f32>, StudyError>> {
        Box::pin(async {
            let (width, outputs) = (desk.inner_width(), desk.outputs());
            let means = self.means(desk).await?;
            let features = desk.inner(rows).await?;
            let mut scores = vec![f32::NEG_INFINITY; rows.len() * outputs];
            for (row, scores) in features.chunks(width).zip(scores.chunks_mut(outputs)) {
                let row = unit(row);
                for (output, mean) in &means {
                    let square: f64 = row.iter().zip(mean).map(|(a, b)| (a - b) * (a - b)).sum();
                    scores[*output as usize] = -square as f32;
                }
            }
            Ok(scores)
        })
    }

    fn stored(&self) -> &[u32] {
        &self.rows
    }

    fn extra_bytes(&self, parameters: u64) -> u64 {
        4 * parameters
    }

    fn flop(&self, desk: &Desk<'_>) -> u64 {
        desk.flop(STEP)
    }
}

/// Places of so many rows, each chosen so that the mean of those chosen comes nearest to the mean of all.
fn herd(features: &[Vec<f64>], count: usize) -> Vec<usize> {
    let Some(width) = features.first().map(Vec::len) else { return Vec::new() };
    let whole = mean(features.iter().cloned(), width);
    let mut sum = vec![0.0; width];
    let mut chosen: Vec<usize> = Vec::new();
    let mut taken = vec![false; features.len()];
    while chosen.len() < count.min(features.len()) {
        let size = chosen.len() as f64 + 1.0;
        let distance = |place: usize| -> f64 {
            let each = whole.iter().zip(&sum).zip(&features[place]);
            each.map(|((whole, sum), own)| (whole - (sum + own) / size) * (whole - (sum + own) / size)).sum()
        };
        let left = (0..features.len()).filter(|&place| !taken[place]);
        let Some(best) = left.min_by(|&a, &b| distance(a).total_cmp(&distance(b))) else { break };
        sum.iter_mut().zip(&features[best]).for_each(|(sum, own)| *sum += own);
        taken[best] = true;
        chosen.push(best);
    }
    chosen
}

fn mean(rows: impl Iterator<Item = Vec<f64>>, width: usize) -> Vec<f64> {
    let mut sum = vec![0.0; width];
    let mut count = 0.0;
    for row in rows {
        sum.iter_mut().zip(&row).for_each(|(sum, value)| *sum += value);
        count += 1.0;
    }
    sum.iter().map(|sum| sum / f64::max(count, 1.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a line, mean 2: 2 itself, then 1 of 1 and 3 (the first), then what brings the mean back.
    #[test]
    fn exemplars_follow_the_mean() {
        let features: Vec<Vec<f64>> = [0.0, 1.0, 2.0, 3.0, 4.0].iter().map(|&x| vec![x]).collect();
        assert_eq!(herd(&features, 3), [2, 1, 3]);
        assert_eq!(herd(&features, 9).len(), 5);
        assert!(herd(&[], 3).is_empty());
    }
}
