//! The browser's database: values under keys, in a few named stores. All that the lab keeps between visits is here.

use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{IdbDatabase, IdbObjectStore, IdbOpenDbRequest, IdbRequest, IdbTransactionMode};

use crate::link::words;

/// Runs: recipe, numbers, evaluations.
pub const RUNS: &str = "runs";
/// The last checkpoint of each run.
pub const STATES: &str = "states";
/// Files of the person's own, by the hash that links carry.
pub const FILES: &str = "files";
/// Last results of studies.
pub const STUDIES: &str = "studies";
/// What came of sweeps, by their links.
pub const SWEEPS: &str = "sweeps";

const NAME: &str = "minibatch";
const VERSION: u32 = 2;

/// Waits for a request.
async fn done(request: &IdbRequest) -> Result<JsValue, String> {
    let promise = Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    });
    let waited = JsFuture::from(promise).await;
    request.set_onsuccess(None);
    request.set_onerror(None);
    match waited {
        Ok(_) => request.result().map_err(|error| words(&error)),
        Err(_) => Err(request.error().ok().flatten().map_or_else(|| "no reason given".into(), |error| error.message())),
    }
}

/// Opens the database, making the stores that it lacks on the first visit of a version.
async fn open() -> Result<IdbDatabase, String> {
    let window = web_sys::window().ok_or("there is no window")?;
    let factory = window.indexed_db().map_err(|error| words(&error))?.ok_or("this browser has no IndexedDB")?;
    let request: IdbOpenDbRequest = factory.open_with_u32(NAME, VERSION).map_err(|error| words(&error))?;
    let opening = request.clone();
    let upgrade = Closure::once(move |_: JsValue| {
        let database = opening.result().ok().and_then(|result| result.dyn_into::<IdbDatabase>().ok());
        for name in [RUNS, STATES, FILES, STUDIES, SWEEPS] {
            // A store that is there already is what is wanted.
            let _ = database.as_ref().map(|database| database.create_object_store(name));
        }
    });
    request.set_onupgradeneeded(Some(upgrade.as_ref().unchecked_ref()));
    let opened = done(&request).await;
    request.set_onupgradeneeded(None);
    opened?.dyn_into().map_err(|_| "the database is not readable".into())
}

async fn with<T>(
    store: &str,
    mode: IdbTransactionMode,
    act: impl FnOnce(&IdbObjectStore) -> Result<T, JsValue>,
) -> Result<T, String> {
    let database = open().await?;
    let result = database
        .transaction_with_str_and_mode(store, mode)
        .and_then(|transaction| transaction.object_store(store))
        .and_then(|store| act(&store))
        .map_err(|error| words(&error));
    // Closes once the transaction is through.
    database.close();
    result
}

/// Stores a value under a key, in place of any other.
///
/// # Errors
/// What the browser says: no database (private windows), no room, ...
pub async fn put(store: &str, key: &JsValue, value: &JsValue) -> Result<(), String> {
    let request = with(store, IdbTransactionMode::Readwrite, |store| store.put_with_key(value, key)).await?;
    done(&request).await.map(drop)
}

/// The value under a key; `undefined` if there is none.
///
/// # Errors
/// As [`put`].
pub async fn get(store: &str, key: &JsValue) -> Result<JsValue, String> {
    let request = with(store, IdbTransactionMode::Readonly, |store| store.get(key)).await?;
    done(&request).await
}

/// All values of a store, by ascending key.
///
/// # Errors
/// As [`put`].
pub async fn all(store: &str) -> Result<Vec<JsValue>, String> {
    let request = with(store, IdbTransactionMode::Readonly, IdbObjectStore::get_all).await?;
    let values = done(&request).await?;
    Ok(js_sys::Array::from(&values).iter().collect())
}

/// Forgets a key.
///
/// # Errors
/// As [`put`].
pub async fn delete(store: &str, key: &JsValue) -> Result<(), String> {
    let request = with(store, IdbTransactionMode::Readwrite, |store| store.delete(key)).await?;
    done(&request).await.map(drop)
}
