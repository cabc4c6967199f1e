//! Building runs and choosing executors.

use super::run::ActiveRun;
use super::{Host, Session, SessionError};
use crate::bench::{Bench, BenchError, recipe};
use crate::executor::{AnyExecutor, ExecError};
use crate::protocol::{Backend, BenchRow, DataEvent, Event, Phase, RunEvent, RunId};
use crate::spec::{Link, Page, RunSpec};
use crate::train::Trainer;

impl<H: Host> Session<H> {
    /// The executor that serves the session: taken from the run that ends, or new.
    async fn executor(&mut self) -> Result<AnyExecutor, SessionError> {
        match self.run.take() {
            Some(run) => Ok(run.trainer.into_executor()),
            None => self.spare_executor().await,
        }
    }

    /// An executor that no run uses: the spare one, or new.
    pub(super) async fn spare_executor(&mut self) -> Result<AnyExecutor, SessionError> {
        if let Some(executor) = self.spare.take() {
            return Ok(executor);
        }
        let (executor, info) = self.host.executor(self.wanted).await?;
        if self.backend.as_ref() != Some(&info) {
            self.greet(info);
        }
        Ok(executor)
    }

    fn progress(&self, run: RunId, phase: Phase, message: &str) {
        let event =
            Event::Progress { run: Some(run), phase, fraction: f64::NAN, eta_s: None, message: message.to_owned() };
        self.host.emit(event, vec![]);
    }

    /// Builds a run and tells what it costs.
    pub(super) async fn configure(&mut self, id: RunId, mut spec: RunSpec) -> Result<(), SessionError> {
        let mut issues = spec.sanitize();
        let data = self.shelf.get(&*self.host, &spec).await?;
        issues.extend(data.mend(&mut spec));
        self.host.emit(Event::Data(DataEvent::Card { card: data.card() }), vec![]);
        let executor = self.executor().await?;
        self.progress(id, Phase::Compile, "tracing the step and compiling its kernels");
        self.host.breathe().await;
        let mut trainer = Trainer::new(executor, &spec, data).await?;
        let summary = trainer.summary().await?;
        let run = self.run.insert(ActiveRun::new(id, trainer).await?);
        run.tell(&*self.host, RunEvent::Configured { spec, issues, summary });
        run.tell_state(&*self.host);
        Ok(())
    }

    /// Changes the executor; the run waits there where it is.
    pub(super) async fn set_backend(&mut self, backend: Backend) -> Result<(), SessionError> {
        self.wanted = backend;
        let (executor, info) = self.host.executor(backend).await?;
        match &mut self.run {
            Some(run) => {
                run.pause(&*self.host).await?;
                run.remember().await?;
                run.move_to(executor).await?;
                run.tell_state(&*self.host);
            }
            None => self.spare = Some(executor),
        }
        self.greet(info);
        Ok(())
    }

    /// Rebuilds the run on a new device from its newest checkpoint, after the old device was lost.
    pub(super) async fn recover(&mut self, message: String) -> Result<(), SessionError> {
        self.benches.clear();
        self.spare = None;
        let (executor, info) = self.host.executor(self.wanted).await?;
        self.greet(info);
        let Some(run) = &mut self.run else {
            self.spare = Some(executor);
            self.host.emit(Event::DeviceLost { run: None, message, recovered_from_step: None }, vec![]);
            return Ok(());
        };
        let trained = run.trains();
        run.move_to(executor).await?;
        let recovered_from_step = Some(run.trainer.steps_done());
        self.host.emit(Event::DeviceLost { run: Some(run.id), message, recovered_from_step }, vec![]);
        run.tell_state(&*self.host);
        if trained { run.resume(&*self.host) } else { Ok(()) }
    }

    /// Trains a workload, `steps` plainly and then profiled, and tells its row. The first call for a fixed one and executor sets them up; a recipe, which is given
    /// by its link, begins anew.
    pub(super) async fn bench(
        &mut self,
        workload: &str,
        backend: Backend,
        steps: [u32; 2],
        start: Option<Vec<u8>>,
    ) -> Result<(), SessionError> {
        let name = if backend == Backend::Cpu { "cpu" } else { "webgpu" };
        let refused = |error: BenchError| SessionError::Refused(error.to_string());
        if workload.starts_with('#') {
            let row = self.bench_recipe(workload, name, backend, steps).await?;
            self.host.emit(Event::Bench { row }, vec![]);
            return Ok(());
        }
        let key = (workload.to_owned(), name);
        if !self.benches.contains_key(&key) {
            let (executor, adapter) = self.executor_of(backend).await?;
            let bench = Bench::new(executor, [name, &adapter], workload, start.as_deref(), self.host.clock()).await;
            self.benches.insert(key.clone(), bench.map_err(refused)?);
        }
        if let Some(bench) = self.benches.get_mut(&key) {
            let row = bench.run(steps).await.map_err(refused)?;
            self.host.emit(Event::Bench { row }, vec![]);
        }
        Ok(())
    }

    async fn bench_recipe(
        &mut self,
        link: &str,
        name: &str,
        backend: Backend,
        steps: [u32; 2],
    ) -> Result<BenchRow, SessionError> {
        let read = Link::parse(link);
        if let Some(issue) = read.issues.into_iter().next() {
            return Err(SessionError::Refused(issue.message));
        }
        if read.page != Page::Lab {
            return Err(SessionError::Refused(format!("a link to the page {} is no run", read.page.route())));
        }
        let data = self.shelf.get(&*self.host, &read.spec).await?;
        let (executor, adapter) = self.executor_of(backend).await?;
        let (row, _) = recipe(executor, [link, name, &adapter], &read.spec, data, steps, self.host.clock()).await?;
        Ok(row)
    }

    /// A new executor of just that kind, and its adapter's name.
    async fn executor_of(&self, backend: Backend) -> Result<(AnyExecutor, String), SessionError> {
        let (executor, info) = self.host.executor(backend).await?;
        if info.kind == backend {
            Ok((executor, info.adapter))
        } else {
            Err(SessionError::Refused(format!("that executor is not here: {}", info.reason)))
        }
    }
}

/// Whether an error says that the device is gone.
pub(super) fn device_lost(error: &SessionError) -> Option<&str> {
    use crate::train::TrainError;
    match error {
        SessionError::Exec(ExecError::DeviceLost(message))
        | SessionError::Train(TrainError::Exec(ExecError::DeviceLost(message)))
        | SessionError::Measurement(TrainError::Exec(ExecError::DeviceLost(message))) => Some(message),
        _ => None,
    }
}
