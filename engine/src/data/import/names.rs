//! Names from a person's files, made fit for controls and links.

use std::collections::BTreeSet;

use crate::spec::{MAX_LIST, MAX_NAME};

/// Stands first in a list of the columns that are left out, each behind a `-`.
const ALL: &str = "*";

/// Canonical composition (NFC): macOS writes the names of files with their accents apart.
#[cfg(not(target_arch = "wasm32"))]
pub(super) fn composed(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    text.nfc().collect()
}

/// Canonical composition (NFC), by the browser: its tables need not be downloaded.
#[cfg(all(target_arch = "wasm32", feature = "worker"))]
pub(super) fn composed(text: &str) -> String {
    if text.is_ascii() { text.into() } else { js_sys::JsString::from(text).normalize("NFC").into() }
}

/// On one line, and no longer than a control takes.
pub(super) fn fit(name: &str) -> String {
    let words: Vec<&str> = name
        .split(|symbol: char| symbol.is_whitespace() || symbol.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    let line = composed(&words.join(" "));
    if line.chars().count() <= MAX_NAME {
        return line;
    }
    line.chars().take(MAX_NAME - 1).chain(['\u{2026}']).collect()
}

/// Tells equal names apart by a number.
pub(super) fn distinct(names: Vec<String>) -> Vec<String> {
    let written: BTreeSet<String> = names.iter().cloned().collect();
    let mut taken = BTreeSet::new();
    let mut next = |name: String| {
        let mut free = name.clone();
        let mut number = 2_usize;
        while taken.contains(&free) || (number > 2 && written.contains(&free)) {
            let ending = format!(" {number}");
            free = name.chars().take(MAX_NAME - ending.len()).collect::<String>() + &ending;
            number += 1;
        }
        taken.insert(free.clone());
        free
    };
    names.into_iter().map(&mut next).collect()
}

/// Names as a list in a control: commas within them have a backslash in front.
fn list(names: &[&str]) -> String {
    let escaped: Vec<String> = names.iter().map(|name| name.replace('\\', "\\\\").replace(',', "\\,")).collect();
    escaped.join(",")
}

/// The chosen of `all` names as a control says it: nothing for `usual` ones, their list, or what is left out where that
/// is shorter; none if all of that is longer than a control takes.
pub(super) fn choice(chosen: &[&str], usual: &[&str], all: &[&str]) -> Option<String> {
    if chosen == usual {
        return Some(String::new());
    }
    let named = list(chosen);
    if named.chars().count() <= MAX_LIST {
        return Some(named);
    }
    let out: Vec<String> = all.iter().filter(|name| !chosen.contains(name)).map(|name| format!("-{name}")).collect();
    let out: Vec<&str> = [ALL].into_iter().chain(out.iter().map(String::as_str)).collect();
    Some(list(&out)).filter(|text| text.chars().count() <= MAX_LIST)
}

/// The names in such a list.
pub(super) fn read_list(text: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut symbols = text.chars().peekable();
    while let Some(symbol) = symbols.next() {
        match symbol {
            ',' => names.push(String::new()),
            '\\' if matches!(symbols.peek(), Some(',' | '\\')) => {
                let name = names.last_mut();
                name.into_iter().for_each(|name| name.extend(symbols.next()));
            }
            symbol => names.last_mut().into_iter().for_each(|name| name.push(symbol)),
        }
    }
    names.iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// What such a list leaves out, if it is of that kind.
pub(super) fn left_out(names: &[String]) -> Option<Vec<&str>> {
    let (first, rest) = names.split_first()?;
    if first != ALL {
        return None;
    }
    rest.iter().map(|name| name.strip_prefix('-')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_on_a_line_and_differ() {
        assert_eq!(fit("width\n (cm)"), "width (cm)");
        assert_eq!(fit("A\u{308}pfel"), "Äpfel");
        assert_eq!(fit(&"ä".repeat(300)).chars().count(), MAX_NAME);
        let names = ["x", "x", "x 2", "x", "y"].map(String::from).to_vec();
        assert_eq!(distinct(names), ["x", "x 3", "x 2", "x 4", "y"]);
        let long = distinct(vec!["a".repeat(MAX_NAME); 12]);
        assert!(long.iter().all(|name| name.chars().count() <= MAX_NAME));
        assert_eq!(long.iter().collect::<BTreeSet<_>>().len(), 12);
    }

    #[test]
    fn lists_hold_any_name() {
        let names = ["a, b", "c\\d", "e\\,f", "*", "-g"];
        let usual = ["h"];
        let all = ["a, b", "c\\d", "e\\,f", "*", "-g", "h"];
        assert_eq!(read_list(&choice(&names, &usual, &all).unwrap()), names);
        assert_eq!(choice(&usual, &usual, &all), Some(String::new()));
        // As earlier links have them.
        assert_eq!(read_list(" a,b c,, d\\e "), ["a", "b c", "d\\e"]);
    }

    #[test]
    fn long_lists_say_what_is_left_out() {
        let all: Vec<String> = (0..2000).map(|i| format!("column {i}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let text = choice(&all[2..], &all, &all).unwrap();
        assert_eq!(text, "*,-column 0,-column 1");
        assert_eq!(left_out(&read_list(&text)), Some(vec!["column 0", "column 1"]));
        assert_eq!(left_out(&read_list("*")), Some(Vec::new()));
        assert_eq!(left_out(&read_list("*,a")), None);
        assert_eq!(choice(&all[..1000], &all, &all), None);
    }
}
