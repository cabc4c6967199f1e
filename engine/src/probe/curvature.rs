//! Curvature of a run's loss on given rows: linearise once, multiply many.

use std::collections::{BTreeMap, VecDeque};

use super::RowLoss;
use super::landscape::Point;
use super::operator::Operator;
use super::workspace::{Snapshot, Workspace, chunk_words, sum_over_chunks, total};
use crate::executor::{Executor, Prepared, Run, floats};
use crate::graph::{InputDecl, Output, Program, Target, numel, part, split};
use crate::spec::Curved;
use crate::spec::RunSpec;
use crate::train::{Feed, Parts, TrainError, product, vector};

/// Prefix of the values kept between the parts of a product.
const KEPT: &str = "kept";

/// How products are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Most rows at once; 0 = chosen as for training. Batch norm's statistics are those of the rows at once.
    pub micro: usize,
    /// Vectors at once, at least 1. Each costs memory of the size of a backward pass.
    pub lanes: usize,
    /// Bytes for values that are kept for rows beyond the first `micro`. What does not fit is computed again for every
    /// product, at half again the price.
    pub memory: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { micro: 0, lanes: 1, memory: 256 << 20 }
    }
}

/// What products cost, in floating-point operations and launches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Operations of the part that is computed once.
    pub fixed_flop: u64,
    /// Operations of the part that is computed for every product.
    pub moving_flop: u64,
    /// Launches of both parts.
    pub dispatches: usize,
}

/// Hessian, Gauss-Newton or Fisher matrix of the mean loss over some table rows, at the parameters at which it was
/// linearised: training may go on without effect on later products.
#[derive(Debug)]
pub struct Curvature {
    loss: RowLoss,
    curved: Curved,
    settings: Settings,
    size: usize,
    workspace: Workspace,
    built: Option<Built>,
    /// Step inputs of the fixed part, by chunk.
    chunks: Vec<Vec<u32>>,
    samples: usize,
    /// Chunks whose fixed part has run and is kept.
    linearised: usize,
    queue: Queue,
}

/// The plans for one micro-batch size.
#[derive(Debug)]
struct Built {
    micro: usize,
    /// Whether some rows of some micro-batch are left over.
    padded: bool,
    snapshot: Snapshot,
    fixed: Prepared,
    kept: Vec<InputDecl>,
    moving: Program,
    /// By number of vectors at once: the moving part, and the sum over chunks.
    widths: BTreeMap<usize, (Prepared, Prepared)>,
    /// Put away what the fixed part has kept, and fetch it again, by chunk.
    shelves: Vec<Shelf>,
}

#[derive(Debug)]
struct Shelf {
    store: Vec<Prepared>,
    load: Vec<Prepared>,
}

/// Products under way.
#[derive(Debug, Default)]
struct Queue {
    /// Vectors not yet multiplied, in groups that are multiplied at once.
    groups: VecDeque<Vec<Vec<f32>>>,
    /// Chunks done of the first group.
    chunk: usize,
    products: Vec<Vec<f32>>,
    begun: bool,
}

impl Curvature {
    /// The matrix of a run on rows yet to be given. `prefix` names its buffers on the executor; two probes that live
    /// at the same time need different ones.
    ///
    /// # Errors
    /// The model does not fit the data.
    pub fn new(
        spec: &RunSpec,
        feed: &Feed,
        curved: Curved,
        settings: Settings,
        prefix: &str,
    ) -> Result<Self, TrainError> {
        Ok(Self::of(RowLoss::of_run(spec, feed)?, curved, settings, prefix))
    }

    /// The matrix of a loss of one's own, likewise.
    #[must_use]
    pub fn of(loss: RowLoss, curved: Curved, settings: Settings, prefix: &str) -> Self {
        Curvature {
            size: loss.size(),
            loss,
            curved,
            settings: Settings { lanes: settings.lanes.max(1), ..settings },
            workspace: Workspace::new(prefix),
            built: None,
            chunks: Vec::new(),
            samples: 0,
            linearised: 0,
            queue: Queue::default(),
        }
    }

    /// Fixes rows (at least one) and parameters. Compiles what is needed for that many rows; computes nothing yet: the
    /// first product does.
    ///
    /// # Errors
    /// The executor fails; there are no rows; parameters of another number than P.
    pub async fn linearise<E: Executor>(
        &mut self,
        executor: &mut E,
        point: Point<'_>,
        rows: &[u32],
    ) -> Result<(), TrainError> {
        if rows.is_empty() {
            return Err(TrainError::Spec("a curvature needs examples".into()));
        }
        let parts = self.loss.parts(rows.len(), self.settings.micro);
        let Parts { micro, padded, runs } = parts;
        let kept = self.built.as_ref().is_some_and(|built| (built.micro, built.padded) == (micro, padded));
        if !kept {
            self.release(executor);
            self.built = Some(self.build(executor, micro, padded).await?);
        }
        let Some(built) = &mut self.built else { return Ok(()) };
        let bytes: u64 = built.kept.iter().map(|kept| (numel(&kept.shape) * kept.dtype.bytes()) as u64).sum();
        let shelves = if runs == 1 { 0 } else { runs.min((self.settings.memory as u64 / bytes.max(1)) as usize) };
        for number in built.shelves.len()..shelves {
            let mut shelf = Shelf { store: Vec::new(), load: Vec::new() };
            for kept in &built.kept {
                let (name, dtype) = (self.workspace.name(&kept.name), kept.dtype);
                let stored = format!("{name}.{number}");
                shelf.store.push(self.workspace.copy(executor, &name, &stored, &kept.shape, dtype).await?);
                shelf.load.push(self.workspace.copy(executor, &stored, &name, &kept.shape, dtype).await?);
            }
            built.shelves.push(shelf);
        }
        built.snapshot.take(executor, point).await?;
        self.chunks = chunk_words(&built.fixed, rows, parts);
        self.samples = rows.len();
        self.linearised = 0;
        self.queue = Queue::default();
        Ok(())
    }

    /// Examples that the matrix is a mean over.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Calls of [`Operator::advance`] that one product takes.
    #[must_use]
    pub fn slices(&self) -> usize {
        self.chunks.len()
    }

    /// What a product of one vector costs; `None` before the first.
    #[must_use]
    pub fn cost(&self) -> Option<Cost> {
        let built = self.built.as_ref()?;
        let (moving, _) = built.widths.get(&1)?;
        let chunks = self.chunks.len() as u64;
        Some(Cost {
            fixed_flop: chunks * built.fixed.plan.flop(),
            moving_flop: chunks * moving.plan.flop(),
            dispatches: self.chunks.len() * (built.fixed.plan.launches.len() + moving.plan.launches.len()),
        })
    }

    /// Gives all buffers and plans back.
    pub fn release<E: Executor>(&mut self, executor: &mut E) {
        self.workspace.release(executor);
        self.built = None;
        self.chunks.clear();
    }

    async fn build<E: Executor>(&mut self, executor: &mut E, micro: usize, padded: bool) -> Result<Built, TrainError> {
        let mut widths = vec![1, self.settings.lanes];
        widths.dedup();
        let program = self.loss.at(micro, padded)?.curvature(self.curved, &widths)?;
        let vectors: Vec<String> = widths.into_iter().map(vector).collect();
        let vectors: Vec<&str> = vectors.iter().map(String::as_str).collect();
        let parts = split(&program, &vectors, KEPT)?;
        Ok(Built {
            micro,
            padded,
            snapshot: self.workspace.snapshot(executor, &self.loss).await?,
            fixed: self.workspace.prepare(executor, &parts.fixed).await?,
            kept: parts.kept,
            moving: parts.moving,
            widths: BTreeMap::new(),
            shelves: Vec::new(),
        })
    }

    /// Compiles what multiplies `width` vectors at once, unless it is there.
    async fn widen<E: Executor>(&mut self, executor: &mut E, width: usize) -> Result<(), TrainError> {
        let Some(built) = &mut self.built else { return Err(TrainError::Spec("a curvature without rows".into())) };
        if built.widths.contains_key(&width) {
            return Ok(());
        }
        let graph = &built.moving.graph;
        let wanted = product(width);
        let of_width = |output: &Output| match output.target {
            Target::State(id) => graph.inputs()[id.index()].name == wanted,
            _ => false,
        };
        let moving = part(&built.moving, of_width)?;
        let moving = self.workspace.prepare(executor, &moving).await?;
        let shape: &[usize] = if width == 1 { &[self.size] } else { &[width, self.size] };
        let sum = self.workspace.prepare(executor, &sum_over_chunks(&wanted, shape)?).await?;
        built.widths.insert(width, (moving, sum));
        Ok(())
    }

    /// Multiplies the first group on the next chunk; yields its products after the last.
    async fn multiply<E: Executor>(&mut self, executor: &mut E) -> Result<Option<Vec<Vec<f32>>>, TrainError> {
        let Some(group) = self.queue.groups.front() else { return Ok(None) };
        let count = group.len();
        let width = if count == 1 { 1 } else { self.settings.lanes };
        let chunk = self.queue.chunk;
        if chunk == 0 {
            let mut flat = group.concat();
            if group.iter().any(|vector| vector.len() != self.size) {
                return Err(TrainError::Spec(format!("a vector is not of length {}", self.size)));
            }
            flat.resize(width * self.size, 0.0);
            self.widen(executor, width).await?;
            executor.write(&self.workspace.name(&vector(width)), bytemuck::cast_slice(&flat))?;
        }
        let missing = || TrainError::Spec("a curvature without rows".into());
        let built = self.built.as_ref().ok_or_else(missing)?;
        let (moving, sum) = built.widths.get(&width).ok_or_else(missing)?;
        let words = self.chunks.get(chunk).ok_or_else(missing)?;
        let single = self.chunks.len() == 1;
        let mut runs = Vec::new();
        let run = |plan: &Prepared| Run { plan: plan.id, words: &[], row: 0 };
        // The values of a single chunk stay where they are.
        let shelf = built.shelves.get(chunk).filter(|_| !single);
        let done = chunk < self.linearised;
        match shelf {
            Some(shelf) if done => runs.extend(shelf.load.iter().map(run)),
            None if done && single => {}
            shelf => {
                runs.push(Run { words, ..run(&built.fixed) });
                runs.extend(shelf.iter().flat_map(|shelf| shelf.store.iter().map(run)));
            }
        }
        runs.push(run(moving));
        let keep = [if chunk == 0 { 0.0 } else { 1.0f32 }.to_bits()];
        if !single {
            runs.push(Run { words: &keep, ..run(sum) });
        }
        executor.submit(&runs).await?;
        self.linearised = self.linearised.max(chunk + 1);
        self.queue.chunk += 1;
        if self.queue.chunk < self.chunks.len() {
            return Ok(None);
        }
        let result = if single { product(width) } else { total(&product(width)) };
        let products = floats(&executor.read(&self.workspace.name(&result)).await?);
        self.queue.chunk = 0;
        self.queue.groups.pop_front();
        Ok(Some(products.chunks(self.size.max(1)).take(count).map(<[f32]>::to_vec).collect()))
    }
}

impl Operator for Curvature {
    fn size(&self) -> usize {
        self.size
    }

    fn lanes(&self) -> usize {
        self.settings.lanes
    }

    fn begin(&mut self, vectors: Vec<Vec<f32>>) {
        let groups = vectors.chunks(self.settings.lanes).map(<[Vec<f32>]>::to_vec).collect();
        self.queue = Queue { groups, chunk: 0, products: Vec::with_capacity(vectors.len()), begun: true };
    }

    async fn advance<E: Executor>(&mut self, executor: &mut E) -> Result<Option<Vec<Vec<f32>>>, TrainError> {
        if !self.queue.begun {
            return Err(TrainError::Spec("no product was begun".into()));
        }
        if let Some(products) = self.multiply(executor).await? {
            self.queue.products.extend(products);
        }
        Ok(self.queue.groups.is_empty().then(|| std::mem::take(&mut self.queue).products))
    }
}
