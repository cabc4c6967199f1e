//! Terms of the field in texts, each explained where a person points at it; and the lines that say what controls do.
//!
//! The terms are a file beside the page (`words.txt`): a line each, its spellings, a colon, what it means; a line that begins with
//! `#` is the title of those below it; one that begins with `?` has other words that people search for, a colon, and what in the
//! texts they find. After a form feed the lines of [`engine::text`] follow. What shows a meaning is a module of
//! the page (`js/terms.js`).

use std::sync::OnceLock;

use engine::text::{Text, key};
use leptos::prelude::*;

use crate::erase::parts;
use crate::state::Lab;

/// A term.
struct Term {
    /// What it is about.
    title: String,
    /// How it is spelt, one way a line.
    names: Vec<String>,
    /// What it means, in a sentence or two.
    meaning: String,
}

/// All terms, once they have arrived.
static TERMS: OnceLock<Vec<Term>> = OnceLock::new();

/// Lines with their keys, once they have arrived.
static LINES: OnceLock<Vec<(u32, String)>> = OnceLock::new();

/// Other words that people search for, and what they find, once they have arrived.
static OTHERS: OnceLock<Vec<(String, String)>> = OnceLock::new();

/// Takes in the file.
pub fn know(file: &str) {
    let (words, lines) = file.split_once('\u{c}').unwrap_or((file, ""));
    // A second file would be the same.
    let _ = TERMS.set(read(words));
    let _ = OTHERS.set(others(words));
    let _ = LINES.set(lines.lines().map(|line| (key(line), line.to_owned())).collect());
}

/// A line as it is known now; whoever asks too early is told again.
pub fn line(lab: Lab, text: Text) -> &'static str {
    lab.terms.track();
    let lines = LINES.get().map_or(&[][..], Vec::as_slice);
    lines.iter().find(|line| line.0 == text.key()).map_or("", |line| &line.1)
}

/// What is known of them now; whoever asks too early is told again.
fn terms(lab: Lab) -> &'static [Term] {
    lab.terms.track();
    TERMS.get().map_or(&[], Vec::as_slice)
}

fn read(file: &str) -> Vec<Term> {
    let (mut title, mut terms) = (String::new(), Vec::new());
    for line in file.lines().filter(|line| !line.starts_with('?')) {
        if let Some((names, meaning)) = line.split_once(": ") {
            let names = names.split(", ").flat_map(spellings).collect();
            terms.push(Term { title: title.clone(), names, meaning: meaning.to_owned() });
        } else {
            title = line.trim_start_matches("# ").to_owned();
        }
    }
    terms
}

fn others(file: &str) -> Vec<(String, String)> {
    let pair = |line: &str| {
        let (asked, found) = line.strip_prefix("? ")?.split_once(": ")?;
        Some((asked.to_owned(), found.to_owned()))
    };
    file.lines().filter_map(pair).collect()
}

/// Whether a search finds a text: by all of its words, or by what stands for it in the list of other words.
pub fn finds(lab: Lab, typed: &str, text: &str) -> bool {
    lab.terms.track();
    searched(OTHERS.get().map_or(&[], Vec::as_slice), typed, text)
}

fn searched(others: &[(String, String)], typed: &str, text: &str) -> bool {
    // No text has other capitals than these, and the tables of all of them would be a hundredth of the page.
    let (typed, text) = (typed.trim().to_ascii_lowercase(), text.to_ascii_lowercase());
    // One letter begins too many words.
    let meant = |(asked, found): &(String, String)| {
        typed.len() > 1
            && asked.split(", ").any(|word| word.starts_with(&typed))
            && found.split(", ").any(|part| text.contains(part))
    };
    typed.split_whitespace().all(|word| text.contains(word)) || others.iter().any(meant)
}

/// A name as it is, and as a sentence begins with it.
fn spellings(name: &str) -> impl Iterator<Item = String> {
    let mut capital = name.to_owned();
    if let Some(first) = capital.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let other = (capital != name).then_some(capital);
    std::iter::once(name.to_owned()).chain(other)
}

/// The first place of each term in a text, by ascending place: from, to, which term. Where two overlap, the longer one.
fn places(text: &str, terms: &[Term]) -> Vec<(usize, usize, usize)> {
    let mut found: Vec<(usize, usize, usize)> = Vec::new();
    for (which, term) in terms.iter().enumerate() {
        let first =
            term.names.iter().filter_map(|name| Some((place(text, name)?, name.len()))).min_by_key(|(at, _)| *at);
        let Some((from, length)) = first else { continue };
        let to = from + length;
        let apart = |&(other, end, _): &(usize, usize, usize)| to <= other || end <= from;
        if found.iter().all(|other| apart(other) || other.1 - other.0 < length) {
            found.retain(apart);
            let at = found.iter().position(|other| other.0 > from).unwrap_or(found.len());
            found.insert(at, (from, to, which));
        }
    }
    found
}

/// Where a text first has a name as a word of its own.
fn place(text: &str, name: &str) -> Option<usize> {
    let alone = |at: &usize| {
        let part_of = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        !text[..*at].ends_with(part_of) && !text[*at + name.len()..].starts_with(part_of)
    };
    text.match_indices(name).map(|(at, _)| at).find(alone)
}

/// A text that follows signals, with its terms.
pub fn explained(read: impl Fn() -> String + Send + Sync + 'static) -> AnyView {
    let lab = Lab::of();
    let build = move || {
        let (text, terms) = (read(), terms(lab));
        let mut from = 0;
        let mut views = Vec::new();
        for (at, to, which) in places(&text, terms) {
            views.push(text[from..at].to_owned().into_any());
            views.push(shown(&text[at..to], &terms[which].meaning));
            from = to;
        }
        views.push(text[from..].to_owned().into_any());
        views
    };
    parts(build).into_any()
}

fn shown(term: &str, meaning: &'static str) -> AnyView {
    // A title of its own: that of the text around would lie over the meaning.
    view! { <dfn title="" tabindex="-1" data-meaning=meaning>{term.to_owned()}</dfn> }.into_any()
}

/// The terms under a title of the file, or all.
pub fn glossary(title: &'static str) -> AnyView {
    let lab = Lab::of();
    let line = |term: &'static Term| {
        let name = term.names.first().cloned().unwrap_or_default();
        view! { <dt>{name}</dt><dd>{term.meaning.clone()}</dd> }.into_any()
    };
    let wanted = move |term: &&Term| title.is_empty() || term.title == title;
    view! { <dl class="facts">{parts(move || terms(lab).iter().filter(wanted).map(line).collect())}</dl> }.into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = include_str!("../words.txt");

    fn found<'a>(text: &'a str, terms: &[Term]) -> Vec<&'a str> {
        places(text, terms).into_iter().map(|(from, to, _)| &text[from..to]).collect()
    }

    #[test]
    fn every_line_is_a_term_and_no_name_is_twice() {
        let terms = read(FILE);
        assert_eq!(terms.len(), FILE.lines().filter(|line| !line.starts_with(['#', '?'])).count());
        let mut names: Vec<&String> = terms.iter().flat_map(|term| &term.names).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(terms.iter().all(|term| term.meaning.ends_with('.') && term.meaning.len() < 260));
    }

    #[test]
    fn what_other_words_find_is_on_the_page() {
        let others = others(FILE);
        assert_eq!(others.len(), FILE.lines().filter(|line| line.starts_with('?')).count());
        assert!(others.iter().all(|(asked, found)| (asked.clone() + found).to_lowercase() == asked.clone() + found));
        // A part that is to begin with a control's path is one.
        let paths = others.iter().flat_map(|(_, found)| found.split(", ")).filter_map(|part| part.strip_prefix('='));
        for path in paths {
            assert!(engine::spec::FIELDS.iter().any(|field| field.path.starts_with(path)), "{path}");
        }
        let text = "=schedule.peak learning rate highest learning rate";
        for typed in ["LR", "eta", "step si", "rate learning", "peak", ""] {
            assert!(searched(&others, typed, text), "{typed}");
        }
        assert!(!searched(&others, "neurons", text) && !searched(&others, "rate of decay", text));
        assert!(searched(&others, "neurons", "=model.hidden hidden layers width of each hidden layer"));
        assert!(searched(&others, "epochs", "=steps steps updates of the whole run"));
        assert!(searched(&others, "regularization", "=model.dropout dropout switches units off at random"));
    }

    #[test]
    fn terms_are_found_once_as_words_of_their_own_and_the_longer_wins() {
        let terms = read(FILE);
        assert_eq!(found("Learning rates beyond the λ₁ edge; the learning rate", &terms), ["Learning rates", "λ₁"]);
        assert_eq!(found("the loss; a lossless signature of seedlings", &terms), ["loss"]);
        assert_eq!(found("the gradient noise scale and the gradient", &terms), ["gradient noise scale"]);
        assert_eq!(found("", &terms), [""; 0]);
    }
}
