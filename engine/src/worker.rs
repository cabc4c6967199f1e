//! The browser's side of a worker: a session's commands and events are the page's messages.
//!
//! A message is `{json: string, buffers: ArrayBuffer[]}` in both directions; buffers are transferred, not copied.

use std::rc::Rc;

use crate::executor::{AnyExecutor, ExecError};
use crate::protocol::{Backend, BackendInfo, Command, Event};
use crate::session::{Host, Inbox, choose_executor};
use js_sys::{Array, Function, JSON, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{DedicatedWorkerGlobalScope, MessageChannel, MessageEvent, ReadableStreamDefaultReader, Response};

/// The worker as the [`Host`] of a session.
pub struct Worker {
    scope: DedicatedWorkerGlobalScope,
    /// A message to oneself yields to the event loop at once; timers would wait four milliseconds.
    channel: MessageChannel,
}

fn describe(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => JSON::stringify(error).map_or_else(|_| "unknown error".to_owned(), String::from),
    }
}

impl Worker {
    fn post(&self, event: &Event, blobs: Vec<Vec<u8>>) -> Result<(), JsValue> {
        let json = serde_json::to_string(event).map_err(|error| JsValue::from(error.to_string()))?;
        let buffers = Array::new();
        for blob in blobs {
            buffers.push(&Uint8Array::from(blob.as_slice()).buffer());
        }
        let message = Object::new();
        Reflect::set(&message, &"json".into(), &json.into())?;
        Reflect::set(&message, &"buffers".into(), &buffers)?;
        self.scope.post_message_with_transfer(&message, &buffers)
    }

    async fn get(&self, address: &str, arrived: &dyn Fn(f64)) -> Result<Vec<u8>, JsValue> {
        let response: Response = JsFuture::from(self.scope.fetch_with_str(address)).await?.dyn_into()?;
        if !response.ok() {
            return Err(format!("status {}", response.status()).into());
        }
        // Of a file that comes compressed the header tells another length.
        let header = |name| response.headers().get(name).ok().flatten();
        let length = header("content-length").filter(|_| header("content-encoding").is_none());
        let total = length.and_then(|length| length.parse().ok()).unwrap_or(f64::NAN);
        let Some(body) = response.body() else { return Ok(vec![]) };
        let reader: ReadableStreamDefaultReader = body.get_reader().dyn_into()?;
        let mut bytes = Vec::new();
        let mut told = 0.0;
        loop {
            let part = JsFuture::from(reader.read()).await?;
            if Reflect::get(&part, &"done".into())?.is_truthy() {
                return Ok(bytes);
            }
            let chunk: Uint8Array = Reflect::get(&part, &"value".into())?.dyn_into()?;
            let start = bytes.len();
            bytes.resize(start + chunk.length() as usize, 0);
            chunk.copy_to(&mut bytes[start..]);
            let share = bytes.len() as f64 / total;
            // Each percent once.
            if share - told >= 0.01 {
                told = share;
                arrived(share);
            }
        }
    }
}

impl Host for Worker {
    fn emit(&self, event: Event, blobs: Vec<Vec<u8>>) {
        // A message that cannot be posted leaves nobody to tell but the console.
        if let Err(error) = self.post(&event, blobs) {
            web_sys::console::error_1(&error);
        }
    }

    async fn fetch(&self, address: &str, arrived: &dyn Fn(f64)) -> Result<Vec<u8>, String> {
        self.get(address, arrived).await.map_err(|error| describe(&error))
    }

    async fn executor(&self, wanted: Backend) -> Result<(AnyExecutor, BackendInfo), ExecError> {
        choose_executor(wanted, crate::cpu::threads()).await
    }

    fn clock(&self) -> fn() -> f64 {
        || {
            let scope = js_sys::global().dyn_into::<DedicatedWorkerGlobalScope>();
            scope.ok().and_then(|scope| scope.performance()).map_or_else(js_sys::Date::now, |clock| clock.now())
        }
    }

    fn learns(&self) -> bool {
        true
    }

    async fn breathe(&self) {
        let turn = Promise::new(&mut |resolve: Function, _reject: Function| {
            self.channel.port1().set_onmessage(Some(&resolve));
            if self.channel.port2().post_message(&JsValue::NULL).is_err() {
                // Without the channel the session must still go on.
                let _ = resolve.call0(&JsValue::NULL);
            }
        });
        // The promise never rejects.
        let _ = JsFuture::from(turn).await;
    }

    async fn rest(&self, ms: f64) {
        let turn = Promise::new(&mut |resolve: Function, _reject: Function| {
            let scope = js_sys::global().dyn_into::<DedicatedWorkerGlobalScope>();
            let set =
                scope.map(|scope| scope.set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, ms as i32));
            if !matches!(set, Ok(Ok(_))) {
                let _ = resolve.call0(&JsValue::NULL);
            }
        });
        // The promise never rejects.
        let _ = JsFuture::from(turn).await;
    }
}

fn read(data: &JsValue) -> Result<(Command, Vec<Vec<u8>>), String> {
    let json = Reflect::get(data, &"json".into()).ok().and_then(|json| json.as_string());
    let json = json.ok_or("a message without json")?;
    let command = crate::tree::parse(json).map_err(|error| format!("a message that is no command: {error}"))?;
    let buffers = Reflect::get(data, &"buffers".into()).unwrap_or(JsValue::UNDEFINED);
    let blobs = Array::from(&buffers).iter().map(|buffer| Uint8Array::new(&buffer).to_vec()).collect();
    Ok((command, blobs))
}

/// Sets the message handler and starts the session that `serve` makes. A panic is told on the console.
///
/// # Errors
/// The browser refuses a channel.
pub fn start<S: Future<Output = ()> + 'static>(serve: impl FnOnce(Rc<Worker>, Inbox) -> S) -> Result<(), JsValue> {
    console_error_panic_hook::set_once();
    // Elsewhere, as where the build asks for the studies' texts, there is nobody to serve.
    let Ok(scope) = js_sys::global().dyn_into::<DedicatedWorkerGlobalScope>() else { return Ok(()) };
    let worker = Rc::new(Worker { scope: scope.clone(), channel: MessageChannel::new()? });
    let inbox = Inbox::default();
    let (queue, host) = (inbox.clone(), worker.clone());
    let receive = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| match read(&event.data()) {
        Ok(message) => queue.push(message),
        Err(message) => host.emit(Event::Error { run: None, path: None, message }, vec![]),
    });
    scope.set_onmessage(Some(receive.as_ref().unchecked_ref()));
    // The handler lives as long as the worker.
    receive.forget();
    wasm_bindgen_futures::spawn_local(serve(worker, inbox));
    Ok(())
}
