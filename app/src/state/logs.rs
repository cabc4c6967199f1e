//! A run as a file for another tool, written by a program that is fetched for it (`js/logs.js`).

use engine::protocol::RunId;
use engine::tree;
use leptos::task::spawn_local;
use wasm_bindgen::prelude::*;

use super::{Lab, keep};
use crate::figure::export;
use crate::link::words;

/// How the name of such a file ends.
pub const PARQUET: &str = ".parquet";
/// An archive, in which the run is a folder.
pub const TENSORBOARD: &str = "-tensorboard.zip";

#[wasm_bindgen(raw_module = "./js/logs.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    async fn logged(ending: &str, run: &str, figures: &str, link: &str, folder: &str) -> Result<JsValue, JsValue>;
}

/// Offers a run as a file named by its stem and ending, with readings of the curvature if it is the current one.
pub fn save(lab: Lab, id: RunId, link: String, stem: String, ending: &'static str) {
    let Some(run) = keep::run_json(lab, id) else { return };
    let figures = if lab.run.get_untracked() == id { lab.curvature.get_untracked() } else { Vec::new() };
    let figures = tree::json(&figures);
    spawn_local(async move {
        match logged(ending, &run, &figures, &link, &stem).await {
            Ok(bytes) => export::bytes(&(stem + ending), "application/octet-stream", &bytes),
            Err(error) => lab.toast(words(&error), true),
        }
    });
}
