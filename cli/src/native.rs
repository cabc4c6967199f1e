//! This machine as the place where runs and studies live.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Instant;

use engine::data::{self, Data};
use engine::executor::{AnyExecutor, ExecError};
use engine::figure::Figure;
use engine::protocol::{Backend, BackendInfo};
use engine::session::choose_executor;
use engine::spec::RunSpec;
use studies::{StudyError, Task};

/// Opens the executor asked for; on the CPU it gets `threads`. Who asks for a GPU by name must not get the CPU in its place.
pub async fn open(wanted: Backend, threads: usize) -> Result<(AnyExecutor, BackendInfo), ExecError> {
    let (executor, info) = choose_executor(wanted, threads).await?;
    if wanted == Backend::Webgpu && info.kind == Backend::Cpu {
        return Err(ExecError::NoAdapter(info.reason));
    }
    Ok((executor, info))
}

/// Milliseconds since the program first asked.
pub fn now_ms() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1000.0
}

/// Lines about what is going on, on stderr; on a terminal each replaces the one before.
pub struct Teller {
    terminal: bool,
}

impl Teller {
    /// Whoever reads stderr.
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal() }
    }

    /// Writes a line.
    pub fn say(&self, line: &str) {
        let mut stderr = std::io::stderr().lock();
        // Nothing depends on whether anyone can read this.
        let _ = if self.terminal { write!(stderr, "\r\x1b[2K{line}") } else { writeln!(stderr, "{line}") };
        let _ = stderr.flush();
    }

    /// Keeps the last line.
    pub fn end(&self) {
        if self.terminal {
            eprintln!();
        }
    }
}

/// Where studies run on this machine.
pub struct Native {
    /// Tells how far they are.
    pub teller: Teller,
    backend: Backend,
    /// Data sets by the part of the spec that decides them.
    shelf: RefCell<BTreeMap<String, Rc<Data>>>,
}

impl Native {
    /// This machine, computing on that backend.
    pub fn new(backend: Backend) -> Self {
        Self { teller: Teller::new(), backend, shelf: RefCell::default() }
    }
}

impl studies::Host for Native {
    fn progress(&self, done: u32, total: u32, eta_s: Option<f64>, message: &str) {
        let eta = eta_s.map(|seconds| format!(", {seconds:.0} s left")).unwrap_or_default();
        self.teller.say(&format!("{done} of {total} runs done{eta}: {message}"));
    }

    fn figures(&self, _: Vec<Figure>) {}

    fn cancelled(&self) -> bool {
        false
    }

    fn breathe(&self) -> Task<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn now_ms(&self) -> f64 {
        now_ms()
    }

    fn executor(&self) -> Task<'_, Result<(AnyExecutor, BackendInfo), ExecError>> {
        Box::pin(open(self.backend, 1))
    }

    fn data<'a>(&'a self, spec: &'a RunSpec) -> Task<'a, Result<Rc<Data>, StudyError>> {
        Box::pin(async move {
            // Generated sets depend on the seed too.
            let key = format!("{:?} {}", spec.data, spec.seed);
            if let Some(data) = self.shelf.borrow().get(&key) {
                return Ok(data.clone());
            }
            let pack = data::pack_file(spec.data.set).map(|name| data::read_pack_file(&name)).transpose()?;
            let data = Rc::new(data::load(&spec.data, spec.seed, pack.as_deref())?);
            self.shelf.borrow_mut().insert(key, data.clone());
            Ok(data)
        })
    }

    fn pack<'a>(&'a self, name: &'a str) -> Task<'a, Result<Rc<Vec<u8>>, StudyError>> {
        Box::pin(async move { Ok(Rc::new(data::read_pack_file(name)?)) })
    }
}
