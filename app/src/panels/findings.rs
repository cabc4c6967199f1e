//! What the run's own numbers show: that it has diverged, that it overfits, that units are silent.

use engine::protocol::{Finding, FindingKind};
use leptos::prelude::*;

use crate::erase::parts;
use crate::state::Lab;

/// A line each, above the lanes; nothing where there is nothing to say.
#[component]
pub fn Findings() -> impl IntoView {
    let lab = Lab::of();
    let line = |Finding { kind, text, .. }: Finding| {
        let grave = kind == FindingKind::Diverged;
        view! { <p class="finding" class:grave=grave data-finding=id(kind)>{text}</p> }.into_any()
    };
    view! {
        <div class="findings" role="status">
            {parts(move || lab.findings.get().into_iter().map(line).collect())}
        </div>
    }
    .into_any()
}

const fn id(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Diverged => "diverged",
        FindingKind::Overfits => "overfits",
        FindingKind::Silent => "silent",
    }
}
