//! Lines of text that the page shows and does not carry: its program has their keys, and it fetches the lines beside itself, where
//! the build has left them.

/// A line that says what something does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    #[cfg(feature = "compute")]
    line: &'static str,
    #[cfg(not(feature = "compute"))]
    key: u32,
}

impl Text {
    /// That line, which has no line break in it.
    #[must_use]
    pub const fn new(line: &'static str) -> Self {
        Self {
            #[cfg(feature = "compute")]
            line,
            #[cfg(not(feature = "compute"))]
            key: key(line),
        }
    }

    /// The line itself.
    #[cfg(feature = "compute")]
    #[must_use]
    pub const fn line(self) -> &'static str {
        self.line
    }

    /// The [`key`] of its line.
    #[cfg(not(feature = "compute"))]
    #[must_use]
    pub const fn key(self) -> u32 {
        self.key
    }
}

/// What tells a line from all others: its FNV-1a hash (Fowler, Noll, Vo).
#[must_use]
pub const fn key(line: &str) -> u32 {
    let (mut hash, mut at) = (0x811c_9dc5_u32, 0);
    while at < line.len() {
        hash = (hash ^ line.as_bytes()[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash
}

/// Every line that the vocabulary's tables have, in their order; the build writes them into a file for the page.
#[cfg(feature = "compute")]
#[must_use]
pub fn lines() -> Vec<&'static str> {
    use crate::{continual, fewshot, spec};
    let controls = spec::FIELDS.iter().flat_map(|field| {
        let instead = field.instead.iter().map(|(.., line)| *line);
        std::iter::once(field.effect).chain(instead)
    });
    let fewshot_lines = fewshot::SETTINGS.iter().map(|setting| setting.effect);
    let methods = fewshot::METHODS.iter().map(|row| row.line);
    let fewshot_presets = fewshot::FEWSHOT_PRESETS.iter().map(|preset| preset.about);
    let continual_lines = continual::FIELDS.iter().map(|field| field.effect);
    let settings = continual::SETTINGS.iter().map(|setting| setting.effect);
    let strategies = continual::STRATEGIES.iter().map(|row| row.line);
    let presets = continual::PRESETS.iter().map(|preset| preset.line);
    let few_shot = fewshot_lines.chain(methods).chain(fewshot_presets);
    let all = controls.chain(few_shot).chain(continual_lines).chain(settings).chain(strategies).chain(presets);
    let mut lines: Vec<&'static str> = Vec::new();
    for text in all {
        if !lines.contains(&text.line()) {
            lines.push(text.line());
        }
    }
    lines
}

#[cfg(all(test, feature = "compute"))]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_published_ones() {
        // Test vectors of FNV-1a.
        assert_eq!([key(""), key("a"), key("foobar")], [0x811c_9dc5, 0xe40c_292c, 0xbf9c_f968]);
    }

    #[test]
    fn every_line_has_a_key_of_its_own() {
        let lines = lines();
        let mut keys: Vec<u32> = lines.iter().map(|line| key(line)).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), lines.len());
        assert!(lines.len() > 250 && lines.iter().all(|line| !line.is_empty() && !line.contains(['\n', '\u{c}'])));
    }
}
