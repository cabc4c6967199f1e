//! A page for tests of sessions: it computes on the CPU, has the packs of the source tree, and keeps what it is told.

use std::cell::RefCell;
use std::sync::OnceLock;
use std::time::Instant;

use engine::data::read_pack_file;
use engine::executor::{AnyExecutor, ExecError};
use engine::protocol::{Backend, BackendInfo, Event};
use engine::session::{Host, choose_executor};

/// What was told, with its buffers.
pub type Told<T> = Vec<(T, Vec<Vec<u8>>)>;

/// See the module. Of an event it keeps what `keep` makes of it.
pub struct TestPage<T> {
    keep: fn(Event) -> Option<T>,
    /// What has been kept and not been taken.
    pub told: RefCell<Told<T>>,
}

impl<T> TestPage<T> {
    /// That has been told nothing.
    pub fn new(keep: fn(Event) -> Option<T>) -> Self {
        Self { keep, told: RefCell::new(Vec::new()) }
    }

    /// What was told since this was asked last.
    pub fn take(&self) -> Told<T> {
        self.told.take()
    }
}

impl<T> Host for TestPage<T> {
    fn emit(&self, event: Event, blobs: Vec<Vec<u8>>) {
        self.told.borrow_mut().extend((self.keep)(event).map(|event| (event, blobs)));
    }

    async fn fetch(&self, address: &str, _: &dyn Fn(f64)) -> Result<Vec<u8>, String> {
        let name = address.strip_prefix("/data/").ok_or("there is no such folder")?;
        read_pack_file(name).map_err(|error| error.to_string())
    }

    async fn executor(&self, _: Backend) -> Result<(AnyExecutor, BackendInfo), ExecError> {
        choose_executor(Backend::Cpu, 1).await
    }

    fn clock(&self) -> fn() -> f64 {
        static START: OnceLock<Instant> = OnceLock::new();
        || START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e3
    }

    async fn breathe(&self) {}
}
