//! Where sessions of tests run.

use std::cell::{Cell, RefCell};
use std::sync::OnceLock;
use std::time::Instant;

use engine::data;
use engine::executor::{AnyExecutor, ExecError};
use engine::protocol::{Backend, BackendInfo, Command, Event};
use engine::session::{Host, Inbox, choose_executor};

/// A session's surroundings without a browser: events are kept, packs are read from the source tree.
#[derive(Default)]
pub struct Native {
    /// What was told.
    pub events: RefCell<Vec<(Event, Vec<Vec<u8>>)>>,
    /// Commands that arrive in an inbox at the next breath.
    pub arriving: RefCell<Vec<(Inbox, Command)>>,
    /// Whether its code is said to get faster.
    pub learns: Cell<bool>,
}

impl Host for Native {
    fn emit(&self, event: Event, blobs: Vec<Vec<u8>>) {
        self.events.borrow_mut().push((event, blobs));
    }

    async fn fetch(&self, address: &str, arrived: &dyn Fn(f64)) -> Result<Vec<u8>, String> {
        arrived(0.5);
        let name = address.rsplit('/').next().unwrap_or(address);
        data::read_pack_file(name).map_err(|error| error.to_string())
    }

    async fn executor(&self, _wanted: Backend) -> Result<(AnyExecutor, BackendInfo), ExecError> {
        choose_executor(Backend::Cpu, 1).await
    }

    fn clock(&self) -> fn() -> f64 {
        static START: OnceLock<Instant> = OnceLock::new();
        || START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1e3
    }

    fn learns(&self) -> bool {
        self.learns.get()
    }

    async fn breathe(&self) {
        self.arriving.borrow_mut().drain(..).for_each(|(inbox, command)| inbox.push((command, vec![])));
    }
}
