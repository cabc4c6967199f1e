//! What the tabs that show the lab agree on: how runs are numbered, and which of them a tab has in hand.

use engine::protocol::RunId;
use js_sys::Array;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;

use super::{Lab, keep};

/// The key of the highest number that a run has had.
const LAST_RUN: &str = "last-run";

#[wasm_bindgen(raw_module = "./js/tabs.js")]
extern "C" {
    /// Takes a run in hand as long as this tab lives.
    #[wasm_bindgen(js_name = takeRun)]
    pub fn take_run(run: RunId);

    #[wasm_bindgen(js_name = takenRuns, catch)]
    async fn taken_runs() -> Result<JsValue, JsValue>;
}

impl Lab {
    /// A number that no run has had, on an earlier visit or in another tab: all tabs count on from the same one.
    pub(super) fn number(self) -> RunId {
        let elsewhere = keep::recalled(LAST_RUN).and_then(|id| id.parse().ok()).unwrap_or(0);
        let id = self.last_run.get_value().max(elsewhere).saturating_add(1);
        self.last_run.set_value(id);
        keep::remember(LAST_RUN, &id.to_string());
        id
    }
}

/// The runs that any tab has in hand; none where a browser does not tell.
pub async fn taken() -> Vec<f64> {
    let runs = taken_runs().await.ok().and_then(|runs| runs.dyn_into::<Array>().ok());
    runs.into_iter().flat_map(|runs| runs.to_vec()).filter_map(|run| run.as_f64()).collect()
}
