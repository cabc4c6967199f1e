//! A host for tests: the CPU executor, packs from the source tree, and a person who cancels after some breaths.

use std::cell::Cell;
use std::rc::Rc;

use engine::cpu::CpuExecutor;
use engine::data::{self, Data};
use engine::executor::{AnyExecutor, ExecError};
use engine::figure::Figure;
use engine::protocol::{Backend, BackendInfo};
use engine::spec::RunSpec;

use super::{Host, StudyError, Task};

/// See the module.
pub struct TestHost {
    /// Questions whether to cancel that are answered with no.
    patience: Cell<u32>,
    /// Messages of progress.
    pub told: Cell<u32>,
    /// Each look at the clock is a second later, so that every breath and figure is due.
    now_s: Cell<u32>,
    /// Sets of live figures.
    pub shown: Cell<u32>,
}

impl TestHost {
    /// A host that cancels when it is asked once more than `patience` times.
    pub fn new(patience: u32) -> Self {
        Self { patience: Cell::new(patience), told: Cell::new(0), now_s: Cell::new(0), shown: Cell::new(0) }
    }
}

impl Host for TestHost {
    fn progress(&self, _: u32, _: u32, _: Option<f64>, _: &str) {
        self.told.set(self.told.get() + 1);
    }

    fn figures(&self, _: Vec<Figure>) {
        self.shown.set(self.shown.get() + 1);
    }

    fn cancelled(&self) -> bool {
        let patience = self.patience.get();
        self.patience.set(patience.saturating_sub(1));
        patience == 0
    }

    fn breathe(&self) -> Task<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn now_ms(&self) -> f64 {
        self.now_s.set(self.now_s.get() + 1);
        f64::from(self.now_s.get()) * 1000.0
    }

    fn executor(&self) -> Task<'_, Result<(AnyExecutor, BackendInfo), ExecError>> {
        let info = BackendInfo {
            kind: Backend::Cpu,
            adapter: "test".into(),
            fallback: false,
            reason: String::new(),
            limits: vec![],
        };
        Box::pin(std::future::ready(Ok((AnyExecutor::Cpu(Box::new(CpuExecutor::new())), info))))
    }

    fn data<'a>(&'a self, spec: &'a RunSpec) -> Task<'a, Result<Rc<Data>, StudyError>> {
        Box::pin(async move {
            let pack = data::pack_file(spec.data.set).map(|name| data::read_pack_file(&name)).transpose()?;
            Ok(Rc::new(data::load(&spec.data, spec.seed, pack.as_deref())?))
        })
    }

    fn pack<'a>(&'a self, name: &'a str) -> Task<'a, Result<Rc<Vec<u8>>, StudyError>> {
        Box::pin(async move { Ok(Rc::new(data::read_pack_file(name)?)) })
    }
}
