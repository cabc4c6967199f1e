//! The table of controls: every scalar field of [`RunSpec`](super::RunSpec), described once.

use super::Kind;

/// One control of the recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// As in links: `model.depth`; a group's own name (`model`, `optimizer`) stands for its kind.
    pub path: &'static str,
    /// As on the page.
    pub label: &'static str,
    /// What turning it does, in one line.
    pub effect: &'static str,
    /// The values it takes.
    pub kind: Kind,
    /// When it means something: each named path has one of the values. Empty = always.
    pub when: &'static [(&'static str, &'static [&'static str])],
    /// Whether it may be turned while a run goes on.
    pub live: bool,
}
