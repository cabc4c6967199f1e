//! Page <-> worker: [`Command`]s out, [`Event`]s in, each a JSON text with a list of byte buffers that change owner
//! without a copy.

use std::rc::Rc;

use engine::decimal::plain;
use engine::protocol::{Backend, Command, Event, VERSION};
use engine::tree;
use js_sys::{Array, Object, Reflect, Uint8Array};
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

/// The engine's programs, each a worker of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The lab, benches.
    Lab,
    /// The lab's again, one of several side by side: it computes on one thread.
    Hand,
    /// The studies.
    Studies,
}

impl Program {
    /// Name of the `meta` element in which the build says where its code is.
    const fn meta(self) -> &'static str {
        match self {
            Self::Lab | Self::Hand => "worker",
            Self::Studies => "studies-worker",
        }
    }

    fn address(self) -> String {
        let meta = document().query_selector(&format!("meta[name={}]", self.meta())).ok().flatten();
        let address = meta.and_then(|meta| meta.get_attribute("content")).unwrap_or_default();
        // Read by app/js/threads.js.
        if self == Self::Hand { address + "#alone" } else { address }
    }
}

/// What the worker reports, or that it has died.
pub enum Report {
    /// So much of the worker's code has arrived, 0..=1.
    Loading(f64),
    /// An event and its buffers.
    Event(Box<Event>, Vec<Uint8Array>),
    /// A message that this page cannot read.
    Unreadable(String),
    /// The worker has stopped and will not answer any more.
    Died(String),
}

#[wasm_bindgen(raw_module = "./js/alive.js")]
extern "C" {
    /// Calls `then` once nobody holds the lock of that name.
    #[wasm_bindgen(js_name = whenFree)]
    fn when_free(name: &str, then: &JsValue);
}

/// A worker and the closures that listen to it.
struct Wire {
    worker: Worker,
    /// Its own, and that of the lock that it holds as long as it lives.
    name: String,
    _message: Closure<dyn FnMut(MessageEvent)>,
    _error: Closure<dyn FnMut(ErrorEvent)>,
}

/// The connection to a worker, replaced when the worker dies.
#[derive(Clone, Copy)]
pub struct Link {
    program: Program,
    wire: StoredValue<Option<Wire>, LocalStorage>,
}

impl Link {
    /// Not connected yet.
    pub fn new(program: Program) -> Self {
        Self { program, wire: StoredValue::new_local(None) }
    }

    /// Starts a worker in place of any earlier one. `report` gets all it says.
    ///
    /// # Errors
    /// Why no worker can be started here.
    pub fn start(&self, report: Rc<dyn Fn(Report)>) -> Result<(), String> {
        self.stop();
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let name = format!("minibatch-{}", plain(js_sys::Math::random()));
        options.set_name(&name);
        let worker = Worker::new_with_options(&self.program.address(), &options).map_err(|error| words(&error))?;
        let (link, receives, own) = (*self, report.clone(), name.clone());
        let mut watched = false;
        let message = Closure::new(move |event: MessageEvent| {
            // A worker that speaks has taken its lock.
            if !std::mem::replace(&mut watched, true) {
                link.watch(own.clone(), receives.clone());
            }
            receives(read(&event.data()));
        });
        let error = Closure::new(move |event: ErrorEvent| {
            event.prevent_default();
            // Code that could not be fetched is told by a plain event, which has no message at all.
            let message =
                Reflect::get(&event, &JsValue::from_str("message")).ok().and_then(|message| message.as_string());
            let message = message.filter(|message| !message.is_empty());
            let message = message.unwrap_or_else(|| "its code could not be loaded".into());
            report(Report::Died(message));
        });
        worker.set_onmessage(Some(message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(error.as_ref().unchecked_ref()));
        self.wire.set_value(Some(Wire { worker, name, _message: message, _error: error }));
        Ok(())
    }

    /// Reports the worker's death when its lock becomes free: out of memory, or ended by the browser, it says nothing itself.
    fn watch(self, name: String, report: Rc<dyn Fn(Report)>) {
        let own = name.clone();
        let gone = Closure::once_into_js(move || {
            let lives = |wire: &Option<Wire>| wire.as_ref().is_some_and(|wire| wire.name == own);
            // One that the page itself has ended, or replaced, is not missed.
            if self.wire.try_with_value(lives) == Some(true) {
                report(Report::Died("it ended without a word, as it does when memory runs out".into()));
            }
        });
        when_free(&name, &gone);
    }

    /// Tells a worker that has just started what to compute on and where the data lie.
    pub fn greet(&self, backend: Backend) {
        let base = document().base_uri().ok().flatten().unwrap_or_default();
        let base = base.split(['#', '?']).next().unwrap_or_default();
        let base = base.rsplit_once('/').map_or(base, |(folder, _)| folder);
        self.send(&Command::Hello { version: VERSION, backend, base: format!("{base}/") }, &[]);
    }

    /// Ends the worker, if there is one.
    pub fn stop(&self) {
        // The closures may be running right now: they are dropped only after this call stack.
        if let Some(wire) = self.wire.try_update_value(Option::take).flatten() {
            wire.worker.terminate();
            wire.worker.set_onmessage(None);
            wire.worker.set_onerror(None);
            set_timeout(move || drop(wire), std::time::Duration::ZERO);
        }
    }

    /// Sends a command. Without a worker it is lost: what a dead worker had been told is told anew when it is replaced.
    pub fn send(&self, command: &Command, buffers: &[Uint8Array]) {
        let json = tree::json(command);
        let list: Array = buffers.iter().map(|bytes| JsValue::from(bytes.buffer())).collect();
        let message = Object::new();
        let set = |key: &str, value: &JsValue| Reflect::set(&message, &JsValue::from_str(key), value).is_ok();
        if !set("json", &JsValue::from_str(&json)) || !set("buffers", &list) {
            return;
        }
        self.wire.with_value(|wire| {
            if let Some(wire) = wire
                && let Err(error) = wire.worker.post_message_with_transfer(&message, &list)
            {
                leptos::logging::error!("a command was not sent: {}", words(&error));
            }
        });
    }
}

/// A buffer of its own: sending gives a buffer away.
pub fn copy(bytes: &Uint8Array) -> Uint8Array {
    bytes.slice(0, bytes.length())
}

/// A message as an event. Any array buffer or view counts as a buffer.
fn read(data: &JsValue) -> Report {
    let part = |key: &str| Reflect::get(data, &JsValue::from_str(key)).unwrap_or(JsValue::UNDEFINED);
    // What app/start-worker.js says, before there is an engine.
    if let Some(share) = part("loaded").as_f64() {
        return Report::Loading(share);
    }
    if let Some(reason) = part("failed").as_string() {
        return Report::Died(reason);
    }
    let Some(json) = part("json").as_string() else {
        return Report::Unreadable("a message without text".into());
    };
    let bytes = |value: JsValue| match value.dyn_into::<Uint8Array>() {
        Ok(bytes) => bytes,
        Err(value) => Uint8Array::new(&value),
    };
    let buffers = part("buffers").dyn_into::<Array>().map(|list| list.iter().map(bytes).collect()).unwrap_or_default();
    match tree::parse(json) {
        Ok(event) => Report::Event(Box::new(event), buffers),
        Err(error) => Report::Unreadable(error.to_string()),
    }
}

/// A JavaScript error in words.
pub fn words(error: &JsValue) -> String {
    let message = Reflect::get(error, &JsValue::from_str("message")).ok().and_then(|message| message.as_string());
    message.or_else(|| error.as_string()).unwrap_or_else(|| "no reason given".into())
}
