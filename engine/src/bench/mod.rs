//! The bench: training steps, fixed ones and those of any recipe, measured. `make bench`, the command line and the page's `window.bench` share it.

mod measure;
mod profile;
mod recipe;
mod start;
mod workload;

use crate::executor::{ExecError, Executor, Prepared, Run};
use crate::graph::{DType, Graph, GraphError, InputKind, Program};
use crate::model::{InputShape, Mode, ModelError, ParamLayout, THETA};
use crate::objective;
use crate::optim;
use crate::protocol::BenchRow;
use crate::spec::ObjectiveSpec;

pub use measure::READING;
pub use recipe::recipe;
pub use start::Start;
pub use workload::{Example, LEARNING_RATE, Workload, optimizer, workload, workloads};

use measure::{Stepping, measure};

const X: &str = "bench.x";
const Y: &str = "bench.y";
/// Column of the metrics ring that holds the loss.
const LOSS: usize = 0;

/// Why a bench cannot run.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BenchError {
    /// There is no such workload.
    #[error("there is no workload “{0}”; there are w1 to w4")]
    Workload(String),
    /// What a harness gave to start from does not fit.
    #[error("benchSpec: {0}")]
    Start(String),
    /// The model could not be captured.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The step could not be built.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The executor failed.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

/// A workload on an executor, set up, and as far trained as it has been asked to.
pub struct Bench<E: Executor> {
    executor: E,
    workload: Workload,
    start: Start,
    step: Prepared,
    /// Steps done.
    done: u64,
    clock: fn() -> f64,
    /// What does not change from call to call.
    row: BenchRow,
    losses: Vec<(u64, f64)>,
}

impl<E: Executor> Bench<E> {
    /// Sets a workload up and runs step 1 alone. `executor` and `adapter` of the row are its caller's to name; `start` is
    /// a harness's JSON; `clock` counts milliseconds.
    pub async fn new(
        mut executor: E,
        names: [&str; 2],
        name: &str,
        start: Option<&[u8]>,
        clock: fn() -> f64,
    ) -> Result<Self, BenchError> {
        let begun = clock();
        let workload = workload(name).ok_or_else(|| BenchError::Workload(name.to_owned()))?;
        executor.reset();
        let (program, layout) = program(&workload)?;
        let start = match start {
            Some(bytes) => Start::read(bytes, &workload, &layout)?,
            None => Start::own(&workload, &layout),
        };
        executor.write(X, bytemuck::cast_slice(&start.example.x))?;
        executor.write(Y, bytemuck::cast_slice(&start.example.y))?;
        executor.write(THETA, bytemuck::cast_slice(&start.theta))?;
        for (state, len) in optim::states(&start.optimizer, &layout) {
            executor.write(state, &vec![0; 4 * len])?;
        }
        let before_compiling = clock();
        let step = Prepared::new::<_, BenchError>(&mut executor, &program).await?;
        let compile_ms = clock() - before_compiling;
        let row = BenchRow {
            workload: workload.name.into(),
            executor: names[0].into(),
            adapter: names[1].into(),
            parameters: layout.len() as u64,
            compile_ms,
            predicted_bytes: step.plan.peak_bytes(),
            flop: step.plan.flop(),
            ..BenchRow::default()
        };
        let mut bench = Self { executor, workload, start, step, done: 0, clock, row, losses: vec![] };
        bench.submit().await?;
        bench.row.first_loss = bench.read().await?;
        bench.losses.push((bench.done, bench.row.first_loss));
        bench.row.first_step_ms = clock() - begun;
        Ok(bench)
    }

    /// The workload.
    pub fn workload(&self) -> &Workload {
        &self.workload
    }

    /// The executor, at the end.
    pub fn into_executor(self) -> E {
        self.executor
    }

    /// Trains more steps and measures them, as [`measure`] says; of `steps` the latter are timed launch by launch. All losses
    /// since step 1 are in the row, but for those of the latter.
    ///
    /// # Errors
    /// The executor fails.
    pub async fn run(&mut self, steps: [u32; 2]) -> Result<BenchRow, BenchError> {
        let (clock, row, mut losses) = (self.clock, self.row.clone(), std::mem::take(&mut self.losses));
        let measured = measure(self, steps, clock, &row, &mut losses).await;
        self.losses = losses;
        measured
    }
}

impl<E: Executor> Stepping for Bench<E> {
    type Error = BenchError;
    type Executor = E;

    fn done(&self) -> u64 {
        self.done
    }

    fn executor(&mut self) -> &mut E {
        &mut self.executor
    }

    async fn submit(&mut self) -> Result<(), BenchError> {
        let hyper = optim::hyper(&self.start.optimizer, self.start.learning_rate, self.done);
        let words = self.step.words(|_, slot| {
            slot.iter_mut().zip(hyper).for_each(|(word, value)| *word = value.to_bits());
        });
        self.executor.submit(&[Run { plan: self.step.id, words: &words, row: self.done }]).await?;
        self.done += 1;
        Ok(())
    }

    async fn read(&mut self) -> Result<f64, BenchError> {
        let metrics = self.executor.metrics(self.done - 1, 1).await?;
        Ok(metrics.get(LOSS).copied().map_or(f64::NAN, f64::from))
    }
}

/// A workload's step: forward pass, cross-entropy, backward pass, AdamW.
pub fn program(workload: &Workload) -> Result<(Program, ParamLayout), BenchError> {
    let mut program = Program::default();
    let graph: &mut Graph = &mut program.graph;
    let (shape, labels) = (workload.input.batched(workload.batch), label_shape(workload));
    let dtype = match workload.input {
        InputShape::Tokens { .. } => DType::U32,
        InputShape::Image(_) | InputShape::Features(_) => DType::F32,
    };
    let x = graph.input(X, &shape, dtype, InputKind::Table)?;
    let y = graph.input(Y, &labels, DType::U32, InputKind::Table)?;
    let captured = crate::tape::capture_into(graph, &workload.model, workload.outputs, x, Mode::Train)?;
    graph.set_label("objective");
    let scores = objective::classify(graph, &ObjectiveSpec::default(), captured.logits, y, None)?;
    let loss = graph.mean(scores.losses, &[0])?;
    let gradient = optim::gradient(graph, &optimizer(), &captured.layout, &captured.params, loss)?;
    let update = optim::descend(graph, &optimizer(), &captured.layout, gradient, None)?;
    update.keep(&mut program, &captured.layout)?;
    program.metric(LOSS, loss);
    Ok((program, captured.layout))
}

fn label_shape(workload: &Workload) -> Vec<usize> {
    match workload.input {
        InputShape::Tokens { context, .. } => vec![workload.batch, context],
        InputShape::Image(_) | InputShape::Features(_) => vec![workload.batch],
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::cpu::CpuExecutor;
    use crate::data;
    use crate::graph::{Options, compile};
    use crate::spec::RunSpec;
    use crate::train::Trainer;

    #[test]
    fn threads_change_no_bit() {
        let trained = |name: &str, executor: CpuExecutor| {
            let mut bench = pollster::block_on(Bench::new(executor, ["cpu", "test"], name, None, || 0.0)).unwrap();
            let losses = pollster::block_on(bench.run([3, 0])).unwrap().losses;
            let mut executor = bench.into_executor();
            (losses, pollster::block_on(executor.read(THETA)).unwrap(), executor.counters().shared)
        };
        for name in ["w1", "w2", "w3"] {
            let alone = trained(name, CpuExecutor::new());
            assert_eq!(alone.2, 0);
            for threads in [2, 3] {
                let together = trained(name, CpuExecutor::with_threads(threads));
                assert!(together.2 > 20, "{name}: {} launches shared", together.2);
                assert!(together.0 == alone.0 && together.1 == alone.1, "{name}: {threads} threads differ from one");
            }
        }
    }

    #[test]
    fn workloads_have_the_parameters_that_other_libraries_have() {
        let counts: Vec<usize> = workloads().iter().map(|workload| program(workload).unwrap().1.len()).collect();
        assert_eq!(counts, [235_146, 72_523, 112_577, 72_523]);
    }

    /// Launches cost time of their own, on a GPU above all.
    #[test]
    fn workloads_take_few_launches() {
        let count = |workload: &Workload| {
            let plan = compile(&program(workload).unwrap().0, Options::default()).unwrap();
            println!("{}\n{plan}", workload.name);
            plan.launches.len()
        };
        let counts: Vec<usize> = workloads().iter().map(count).collect();
        for (counted, most) in counts.iter().zip([14, 60, 50, 60]) {
            assert!(*counted <= most, "{counts:?}");
        }
    }

    #[test]
    fn workloads_are_found_by_name() {
        assert_eq!(workload("W2 cct-tiny").map(|workload| workload.name), Some("w2"));
        assert_eq!(workload("w5"), None);
        assert_eq!(workload(""), None);
    }

    fn set_up(start: Option<&[u8]>) -> Result<Bench<CpuExecutor>, BenchError> {
        pollster::block_on(Bench::new(CpuExecutor::new(), ["cpu", "test"], "w4", start, || 0.0))
    }

    #[test]
    fn a_bench_trains_on_from_call_to_call() {
        let mut bench = set_up(None).unwrap();
        let none = pollster::block_on(bench.run([0, 0])).unwrap();
        assert_eq!((none.steps, none.losses.len(), none.last_loss), (0, 1, none.first_loss));
        pollster::block_on(bench.run([4, 0])).unwrap();
        let row = pollster::block_on(bench.run([21, 0])).unwrap();
        let steps: Vec<u64> = row.losses.iter().map(|&(step, _)| step).collect();
        assert_eq!(steps, [1, 5, 10, 20, 26]);
        assert!(row.last_loss < 0.5 * row.first_loss, "one example is learned by heart: {:?}", row.losses);
        assert_eq!((row.submits, row.buffer_creations), (1, 0));
        assert!(row.dispatches > 0 && row.flop > 1_000_000);
    }

    /// Every launch of a step is in its profile, with its bytes and operations, and a time where there is one; training goes on as
    /// if nobody had looked.
    #[test]
    fn a_profile_has_every_launch() {
        use crate::figure::Mark;
        fn check<E: Executor>(executor: E, kind: &str) {
            static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
            let clock = || 1e3 * START.get_or_init(std::time::Instant::now).elapsed().as_secs_f64();
            let mut bench = pollster::block_on(Bench::new(executor, [kind, "test"], "w4", None, clock)).unwrap();
            let row = pollster::block_on(bench.run([2, 3])).unwrap();
            let figure = row.profile.unwrap();
            let [Mark::Table { columns, rows }] = figure.marks.as_slice() else { panic!("{figure:?}") };
            let total = |column: &str| {
                let column = columns.iter().position(|name| name == column).unwrap();
                let cells = rows.iter().map(|row| row[column].trim_end_matches('%').parse::<f64>().unwrap());
                cells.sum::<f64>()
            };
            assert_eq!(total("launches"), f64::from(row.dispatches), "{kind}");
            let flop = row.flop as f64 / 1e6;
            assert!((total("MFLOP") - flop).abs() < 0.02 * flop, "{kind}: {} of {flop}", total("MFLOP"));
            assert!((total("share") - 100.0).abs() < 2.0 && total("ms") > 0.0, "{kind}: {figure:?}");
            let plain = pollster::block_on(bench.run([1, 0])).unwrap();
            assert_eq!((plain.profile, plain.losses.last().map(|&(step, _)| step)), (None, Some(7)));
        }
        check(CpuExecutor::new(), "cpu");
        for gpu in crate::gpu::executors_for_tests() {
            check(gpu, "webgpu");
        }
    }

    /// A recipe is trained as the lab trains it, its first update apart, and no further than it goes.
    #[test]
    fn a_recipe_is_a_workload() {
        let spec = RunSpec { steps: 25, ..crate::spec::preset("mlp").unwrap().spec() };
        let pack = data::read_pack_file("digits.bin").unwrap();
        let data = Rc::new(data::load(&spec.data, spec.seed, Some(&pack)).unwrap());
        let names = ["#lab?preset=mlp", "cpu", "test"];
        let measure = |steps| {
            pollster::block_on(recipe(CpuExecutor::new(), names, &spec, data.clone(), [steps, 0], || 0.0)).unwrap().0
        };
        let row = measure(12);
        assert_eq!((row.workload.as_str(), row.parameters, row.steps), ("#lab?preset=mlp", 6570, 12));
        let at: Vec<u64> = row.losses.iter().map(|&(step, _)| step).collect();
        assert_eq!(at, [1, 10, 13]);
        assert!(row.dispatches > 0 && row.submits > 0 && row.flop > 1_000_000);
        assert_eq!(measure(1000).steps, 24);
        let mut trainer = pollster::block_on(Trainer::new(CpuExecutor::new(), &spec, data.clone())).unwrap();
        pollster::block_on(async {
            for _ in 0..13 {
                trainer.step().await.unwrap();
            }
        });
        let losses = pollster::block_on(trainer.metrics()).unwrap();
        assert_eq!(
            row.losses,
            at.iter().map(|&step| (step, f64::from(losses[step as usize - 1].loss))).collect::<Vec<_>>()
        );
    }

    /// The harness's own weights and batch give the same losses as the workload's, which they are.
    #[test]
    fn a_bench_starts_from_what_a_harness_gives() {
        let workload = workload("w4").unwrap();
        let (_, layout) = program(&workload).unwrap();
        let Start { theta, example, .. } = Start::own(&workload, &layout);
        let params: Vec<serde_json::Value> = layout
            .entries()
            .iter()
            .map(|entry| {
                let count: usize = entry.shape.iter().product();
                serde_json::json!({ "name": entry.name, "shape": entry.shape, "data": theta[entry.offset..][..count] })
            })
            .collect();
        let x: Vec<f32> = example.x.iter().map(|&bits| f32::from_bits(bits)).collect();
        let given = |params: &[serde_json::Value]| {
            let adamw = serde_json::json!({ "lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "wd": 0.01 });
            let start = serde_json::json!({ "cfg": {}, "adamw": adamw, "params": params, "x": x, "y": example.y });
            serde_json::to_vec(&start).unwrap()
        };
        let mut own = set_up(None).unwrap();
        let mut same = set_up(Some(&given(&params))).unwrap();
        let (own, same) =
            (pollster::block_on(own.run([10, 0])).unwrap(), pollster::block_on(same.run([10, 0])).unwrap());
        assert_eq!(own.losses, same.losses);
        for bad in [given(&params[1..]), given(&[&params[1..], &params[..1]].concat()), b"{".to_vec()] {
            assert!(matches!(set_up(Some(&bad)), Err(BenchError::Start(_))));
        }
    }

    #[test]
    fn a_workload_takes_the_memory_that_its_plan_predicts() {
        for Workload { name, .. } in workloads() {
            let row = pollster::block_on(async {
                let mut bench = Bench::new(CpuExecutor::new(), ["cpu", "test"], name, None, || 0.0).await?;
                bench.run([1, 0]).await
            });
            let BenchRow { peak_bytes: peak, predicted_bytes: predicted, .. } = row.unwrap();
            assert!(peak <= predicted * 13 / 10 && predicted <= peak * 13 / 10, "{name}: {peak} of {predicted}");
        }
    }
}
