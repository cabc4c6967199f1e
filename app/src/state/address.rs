//! The part of the address after `#` is the whole state: it follows what a person does, and Back and Forward lead it.

use engine::continual::ContinualSpec;
use engine::spec::{Link as Address, Page};
use engine::sweep::Sweep;
use leptos::ev;
use leptos::prelude::*;
use wasm_bindgen::JsValue;

use super::Lab;
use crate::erase::effect;

/// Changes within so many milliseconds are one step of the browser's history: a drag is not a hundred.
const ONE_CHANGE_MS: f64 = 1200.0;

/// The part of the address after `#` as it stands.
fn fragment() -> String {
    window().location().hash().unwrap_or_default()
}

/// Whether the address names no run and no page: then the lab says where to start.
pub fn bare() -> bool {
    fragment().len() <= 1
}

/// The run of a bare address: its picture moves from the first second on.
const FIRST: &str = "#lab?preset=spirals&steps=10000&probes.curvature=0";

/// What the address says.
pub fn read() -> Address {
    if bare() { Address::parse(FIRST) } else { Address::parse(&fragment()) }
}

impl Lab {
    /// The address of what is shown.
    pub fn address(&self) -> Address {
        let address = match self.page.get() {
            Page::Lab => self.lab_address(),
            Page::Sweep => self.swept(|sweeping| sweeping.sweep.link()),
            Page::Fewshot => self.fewshot.link.with(engine::fewshot::FewshotLink::link),
            Page::Continual => self.learned(|known| known.spec.link()),
            page => Address::to_page(page, self.settings.get()),
        };
        let (embed, present) = (self.embed.get(), self.present.get());
        Address { hide: self.hide.get(), task: self.task.get(), embed, present, ..address }
    }

    /// The address of the lab with the current recipe, whatever page is shown.
    pub fn lab_address(&self) -> Address {
        let (hide, task) = match self.page.get() {
            Page::Lab => (self.hide.get(), self.task.get()),
            _ => self.handed.get(),
        };
        let (preset, spec) = (self.preset.get(), self.spec.get());
        Address { preset, spec, hide, task, ..Address::to_page(Page::Lab, Vec::new()) }
    }

    /// Shows what an address says. A recipe that is shown already goes on.
    fn visit(self, address: Address) {
        if self.page.get_untracked() == Page::Lab {
            // A way back is made of them.
            self.handed.set((self.hide.get_untracked(), self.task.get_untracked()));
        }
        self.page.set(address.page);
        self.task.set(address.task.clone());
        self.hide.set(address.hide.clone());
        // Within another page, or shown to a class, it stays so, wherever a link leads.
        self.embed.update(|embed| *embed |= address.embed);
        self.present.update(|present| *present |= address.present);
        if bare() {
            self.start.set(true);
        }
        if address.page == Page::Sweep {
            let (sweep, issues) = Sweep::read(&address);
            self.issues.set(issues);
            self.take_sweep(sweep);
            return;
        }
        if address.page == Page::Fewshot {
            let (link, issues) = engine::fewshot::read(&address);
            self.issues.set(issues);
            self.take_fewshot(link);
            return;
        }
        if address.page == Page::Continual {
            let (spec, issues) = ContinualSpec::read(&address);
            self.issues.set(issues);
            self.take_continual(spec);
            return;
        }
        self.settings.set(address.settings);
        self.issues.set(address.issues);
        if address.page != Page::Lab {
            return;
        }
        self.preset.set(address.preset);
        if self.spec.with_untracked(|known| *known != address.spec) {
            self.adopt(address.spec);
        }
    }

    /// Keeps the address and the state together from now on.
    pub fn follow_address(self) {
        let last_change = StoredValue::new(f64::NEG_INFINITY);
        let first = StoredValue::new(true);
        // The address as it was last written or read. Where it says something else, somebody has gone to another page and
        // the browser has yet to tell so: what is shown here must not take them back.
        let seen = StoredValue::new(fragment());
        effect(move || {
            let address = self.address();
            let text = address.fragment();
            // The first address stays as it was opened: it may be short, or carry what could not be read.
            if first.get_value() {
                first.set_value(false);
                return;
            }
            let now_there = fragment();
            if now_there != seen.get_value()
                || now_there == text
                || Address::parse(&now_there).renewed().fragment() == text
            {
                return;
            }
            let now = js_sys::Date::now();
            let same = now - last_change.get_value() < ONE_CHANGE_MS;
            last_change.set_value(now);
            let Ok(history) = window().history() else { return };
            // Browsers refuse too many changes a minute; the next one brings the address up to date.
            let _ = if same {
                history.replace_state_with_url(&JsValue::NULL, "", Some(&text))
            } else {
                history.push_state_with_url(&JsValue::NULL, "", Some(&text))
            };
            seen.set_value(fragment());
        });
        let moved = window_event_listener(ev::hashchange, move |_| {
            seen.set_value(fragment());
            let address = read().renewed();
            if address.fragment() != self.address_untracked() {
                self.visit(address);
            } else {
                self.issues.set(address.issues);
            }
        });
        // The page's listeners live as long as it does.
        std::mem::forget(moved);
    }

    fn address_untracked(self) -> String {
        untrack(move || self.address().fragment())
    }
}
