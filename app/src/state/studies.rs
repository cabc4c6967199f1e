//! The texts of all studies, and the terms that texts explain: files that the build writes, so that they are there before any engine.

use engine::protocol::{Reference, StudyCard};
use engine::tree;
use leptos::prelude::*;
use leptos::task::spawn_local;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::Response;

use super::Lab;
use crate::link::words;
use crate::reactive::RwSignal;
use crate::terms;

impl Lab {
    /// Reads the texts of all studies.
    pub fn fetch_studies(self) {
        spawn_local(async move {
            let read = |text: String| tree::parse::<Vec<StudyCard>>(text).map_err(|error| error.to_string());
            match text("studies").await.map_err(|error| words(&error)).and_then(read) {
                Ok(studies) => self.studies.set(studies),
                Err(reason) => self.toast(format!("The list of studies could not be loaded: {reason}"), true),
            }
        });
    }

    /// Reads what studies came to when the build was made, with a figure of each.
    pub fn fetch_references(self, into: RwSignal<Vec<Reference>>) {
        spawn_local(async move {
            let read = |text: String| tree::parse(text).map_err(|error| error.to_string());
            match text("references").await.map_err(|error| words(&error)).and_then(read) {
                Ok(references) => into.set(references),
                Err(reason) => self.toast(format!("Pictures of the studies could not be loaded: {reason}"), true),
            }
        });
    }

    /// Reads the terms that texts explain, and what controls do.
    pub fn fetch_terms(self) {
        spawn_local(async move {
            match text("words").await {
                Ok(file) => {
                    terms::know(&file);
                    self.terms.set(true);
                }
                Err(reason) => self.toast(format!("What controls do could not be loaded: {}", words(&reason)), true),
            }
        });
    }
}

/// A file that the build has named in the page's head, under this id.
pub(super) async fn text(id: &str) -> Result<String, JsValue> {
    let link = document().get_element_by_id(id).and_then(|link| link.get_attribute("href")).unwrap_or_default();
    let response: Response = JsFuture::from(window().fetch_with_str(&link)).await?.dyn_into()?;
    if !response.ok() {
        return Err(format!("status {}", response.status()).into());
    }
    Ok(JsFuture::from(response.text()?).await?.as_string().unwrap_or_default())
}
