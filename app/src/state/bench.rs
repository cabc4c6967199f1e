//! `window.bench(workload, executor, steps)`: lets any harness drive the bench and get its row as a promise.

use engine::protocol::{BenchCommand, BenchRow, Blob, Command};
use engine::tree;
use js_sys::{Function, JSON, Object, Promise, Reflect, Uint8Array};
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::Lab;
use super::actions::backend_of;
use crate::link::words;

/// The fixed workloads.
pub const WORKLOADS: [(&str, &str); 4] = [
    ("w1", "MLP 784-256-128-10, batch 128"),
    ("w2", "compact transformer, 64 tokens of width 64, batch 32"),
    ("w3", "character GPT, 64 characters, width 64, batch 16"),
    ("w4", "launch-bound: W2 at batch 1"),
];

/// A bench that somebody waits for.
pub struct Waiting {
    workload: String,
    executor: String,
    resolve: Function,
    reject: Function,
}

/// Puts `bench` on the window.
pub fn install(lab: Lab) {
    let bench = Closure::<dyn Fn(JsValue, JsValue, JsValue) -> Promise>::new(
        move |workload: JsValue, executor: JsValue, steps: JsValue| {
            let workload = workload.as_string().unwrap_or_default().to_ascii_lowercase();
            let executor = executor.as_string().unwrap_or_default().to_ascii_lowercase();
            run(lab, workload, executor, [steps.as_f64().unwrap_or(0.0).clamp(0.0, 1e6) as u32, 0])
        },
    );
    // A page lives as long as its window: the closure may stay.
    let _ = Reflect::set(&window(), &JsValue::from_str("bench"), &bench.into_js_value());
}

/// Runs one workload, `steps` plainly and then timed launch by launch; the promise is of its row.
pub fn run(lab: Lab, workload: String, executor: String, steps: [u32; 2]) -> Promise {
    Promise::new(&mut |resolve, reject| {
        let known = workload.starts_with('#') || WORKLOADS.iter().any(|(id, _)| *id == workload);
        if !known || !matches!(executor.as_str(), "cpu" | "webgpu") {
            let message = format!(
                "There is no workload “{workload}” on “{executor}”: w1 to w4 or a link to the lab, cpu or webgpu"
            );
            refuse(&reject, &message);
            return;
        }
        lab.rest();
        lab.waiting.update_value(|waiting| {
            waiting.push(Waiting {
                workload: workload.clone(),
                executor: executor.clone(),
                resolve,
                reject: reject.clone(),
            });
        });
        spawn_local(start(lab, workload.clone(), executor.clone(), steps));
    })
}

async fn start(lab: Lab, workload: String, executor: String, [steps, profiled]: [u32; 2]) {
    // What is set up goes on: a harness is asked for a start once, and what it does to give one takes no time of steps.
    let set_up = lab.benches.with_value(|known| known.iter().any(|known| *known == [&*workload, &*executor]));
    let given = match if set_up { Ok(None) } else { given(&workload).await } {
        Ok(given) => given,
        Err(reason) => return fail(lab, &workload, &format!("window.benchSpec failed: {reason}")),
    };
    let backend = backend_of(&executor);
    let start = given.as_ref().map(|_| Blob(0));
    let buffers: Vec<Uint8Array> = given.into_iter().collect();
    lab.link.send(&Command::Bench(BenchCommand { workload, backend, steps, start, profiled }), &buffers);
}

/// Weights and batch of the harness, if it gives any, as the bytes of their JSON.
async fn given(workload: &str) -> Result<Option<Uint8Array>, String> {
    let give = Reflect::get(&window(), &JsValue::from_str("benchSpec")).unwrap_or(JsValue::UNDEFINED);
    let Ok(give) = give.dyn_into::<Function>() else { return Ok(None) };
    let promise = give.call1(&JsValue::UNDEFINED, &JsValue::from_str(workload)).map_err(|error| words(&error))?;
    let value = JsFuture::from(Promise::resolve(&promise)).await.map_err(|error| words(&error))?;
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    // Typed arrays would be written as objects with a key an entry.
    let plain = Closure::<dyn Fn(JsValue, JsValue) -> JsValue>::new(|_key, value: JsValue| {
        if js_sys::ArrayBuffer::is_view(&value) { js_sys::Array::from(&value).into() } else { value }
    });
    let text = JSON::stringify_with_replacer(&value, plain.as_ref()).map_err(|error| words(&error))?;
    let text = text.as_string().ok_or("it is not JSON")?;
    Ok(Some(Uint8Array::from(text.as_bytes())))
}

/// Takes in a finished row.
pub fn finished(lab: Lab, row: BenchRow) {
    let json = tree::json(&row);
    if let Some(waiting) = take(lab, |waiting| waiting.workload == row.workload && waiting.executor == row.executor) {
        let value = JSON::parse(&json).unwrap_or_else(|_| Object::new().into());
        // A harness's own handler may throw; that is its affair.
        let _ = waiting.resolve.call1(&JsValue::UNDEFINED, &value);
    }
    let key = [row.workload.clone(), row.executor.clone()];
    lab.benches.update_value(|known| {
        if !known.contains(&key) {
            known.push(key);
        }
    });
    lab.bench.update(|rows| {
        rows.retain(|known| known.workload != row.workload || known.executor != row.executor);
        let key = |row: &BenchRow| (row.workload.clone(), row.executor.clone());
        let place = rows.partition_point(|known| key(known) < key(&row));
        rows.insert(place, row);
    });
}

/// Whether an error answers a bench: one that is about no control while a bench is waited for, as no run trains then.
pub fn failed(lab: Lab, path: Option<&str>, message: &str) -> bool {
    let Some(waiting) = path.is_none().then(|| take(lab, |_| true)).flatten() else { return false };
    refuse(&waiting.reject, message);
    lab.toast(message, true);
    true
}

fn fail(lab: Lab, workload: &str, message: &str) {
    if let Some(waiting) = take(lab, |waiting| waiting.workload == workload) {
        refuse(&waiting.reject, message);
    }
}

/// Answers all that wait: the worker has died.
pub fn fail_all(lab: Lab, reason: &str) {
    lab.benches.update_value(Vec::clear);
    while let Some(waiting) = take(lab, |_| true) {
        refuse(&waiting.reject, &format!("The engine stopped: {reason}"));
    }
}

fn take(lab: Lab, which: impl Fn(&Waiting) -> bool) -> Option<Waiting> {
    lab.waiting.try_update_value(|all| all.iter().position(which).map(|place| all.remove(place))).flatten()
}

fn refuse(reject: &Function, message: &str) {
    let _ = reject.call1(&JsValue::UNDEFINED, &js_sys::Error::new(message));
}
