//! The texts of all studies, and the terms that texts explain: files that the build writes, so that they are there before any
//! engine. And how a study is set.

use engine::figure::Knob;
use engine::protocol::{Reference, StudyCard};
use engine::tree::{self, FromTree};
use leptos::prelude::*;
use leptos::task::spawn_local;
use serde::Serialize;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::Response;

use super::Lab;
use crate::link::words;
use crate::reactive::RwSignal;
use crate::terms;

/// How a study is set: what comes of it is of this alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, FromTree)]
pub struct Setting {
    /// The knobs that are turned, id and value, in the order of the study.
    pub knobs: Vec<(String, String)>,
    /// Seeds of each arm; 0 = of a run of which an earlier build kept neither knobs nor seeds.
    pub seeds: u32,
}

impl Setting {
    /// As an address has it, with so many seeds. A value that cannot be used turns no knob.
    pub fn of(knobs: &[Knob], settings: &[(String, String)], seeds: u32) -> Self {
        let turned = |knob: &Knob| {
            let last = settings.iter().rev().find(|(key, _)| *key == knob.id);
            let other = |value| knob.kind.parse(&knob.default) != Ok(value);
            last.filter(|(_, text)| knob.kind.parse(text).is_ok_and(other)).cloned()
        };
        Self { knobs: knobs.iter().filter_map(turned).collect(), seeds }
    }

    /// Whether all knobs are as they come.
    pub const fn plain(&self) -> bool {
        self.seeds > 0 && self.knobs.is_empty()
    }
}

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

#[cfg(test)]
#[test]
fn a_setting_holds_the_knobs_that_are_turned() {
    use engine::spec::Kind;
    let knob = |id: &str, default: &str| Knob {
        id: id.into(),
        label: String::new(),
        effect: String::new(),
        unit: String::new(),
        kind: Kind::number(0.0, 10.0),
        default: default.into(),
    };
    let knobs = [knob("peak", "0.1"), knob("decay", "2")];
    let of = |pairs: &[(&str, &str)]| {
        let settings: Vec<_> = pairs.iter().map(|(id, value)| ((*id).to_owned(), (*value).to_owned())).collect();
        Setting::of(&knobs, &settings, 3)
    };
    // At its default, of no use, of no knob.
    for pairs in [&[][..], &[("peak", "1e-1")], &[("peak", "99")], &[("other", "1")]] {
        assert!(of(pairs).plain(), "{pairs:?}");
    }
    // The last counts, in the order of the study.
    let set = of(&[("decay", "1"), ("peak", "0.2"), ("decay", "3")]);
    assert_eq!(set.knobs, [("peak", "0.2"), ("decay", "3")].map(|(id, value)| (id.to_owned(), value.to_owned())));
    assert!(!set.plain() && !Setting::default().plain());
}
