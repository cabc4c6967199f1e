//! What a session needs from the place it runs in: a browser's worker, or a native test.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::executor::{AnyExecutor, ExecError};
use crate::protocol::{Backend, BackendInfo, Command, Event, RunCommand};

/// The world outside a session.
#[allow(async_fn_in_trait, reason = "sessions are single-threaded; no caller needs Send futures")]
pub trait Host {
    /// Sends an event and the buffers that its blobs name.
    fn emit(&self, event: Event, blobs: Vec<Vec<u8>>);

    /// Bytes of a file at an address below the lab's own. `arrived` receives which share of it has come, NaN where that is not
    /// known.
    async fn fetch(&self, address: &str, arrived: &dyn Fn(f64)) -> Result<Vec<u8>, String>;

    /// An executor of the wanted kind, or the one that takes its place, with the reason.
    async fn executor(&self, wanted: Backend) -> Result<(AnyExecutor, BackendInfo), ExecError>;

    /// The clock: milliseconds since some fixed moment.
    fn clock(&self) -> fn() -> f64;

    /// What the clock says.
    fn now_ms(&self) -> f64 {
        self.clock()()
    }

    /// Whether code that has run often gets faster, as where a browser's compiler takes it up again.
    fn learns(&self) -> bool {
        false
    }

    /// Lets messages arrive and the device work.
    async fn breathe(&self);

    /// The same for so many milliseconds, where the place can wait.
    async fn rest(&self, _ms: f64) {
        self.breathe().await;
    }
}

/// A command and the buffers that its blobs name.
pub type Message = (Command, Vec<Vec<u8>>);

#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    waker: Option<Waker>,
}

/// Commands that wait for the session; clones share one queue.
#[derive(Clone, Default)]
pub struct Inbox(Rc<RefCell<Queue>>);

impl Inbox {
    /// Appends a command and wakes the session.
    pub fn push(&self, message: Message) {
        let mut queue = self.0.borrow_mut();
        queue.messages.push_back(message);
        if let Some(waker) = queue.waker.take() {
            waker.wake();
        }
    }

    /// The next command, if one waits.
    pub fn try_next(&self) -> Option<Message> {
        self.0.borrow_mut().messages.pop_front()
    }

    /// The next command.
    pub async fn next(&self) -> Message {
        poll_fn(|context| {
            let mut queue = self.0.borrow_mut();
            match queue.messages.pop_front() {
                Some(message) => Poll::Ready(message),
                None => {
                    queue.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Whether no command waits.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().messages.is_empty()
    }

    /// Takes out the first command that is so, ahead of its turn.
    pub fn take(&self, wanted: impl Fn(&Command) -> bool) -> Option<Message> {
        let messages = &mut self.0.borrow_mut().messages;
        let place = messages.iter().position(|(command, _)| wanted(command))?;
        messages.remove(place)
    }

    /// Whether a control waits to be turned: an update that has not ended need not, as it counts from the next one on.
    pub fn edits(&self) -> bool {
        self.0
            .borrow()
            .messages
            .iter()
            .any(|(command, _)| matches!(command, Command::Run { what: RunCommand::Edit { .. }, .. }))
    }

    /// Whether a waiting command ends long work.
    pub fn interrupts(&self) -> bool {
        self.0.borrow().messages.iter().any(|(command, _)| command.interrupts())
    }
}
