//! Text files.

use std::collections::BTreeMap;

use super::{END_SPLIT, TEST_PERCENT, check_places, info};
use crate::data::{Data, DataError, MAX_VOCABULARY, Text, Values};

/// Fewest characters that make a language model's training set.
const MIN_CHARACTERS: usize = 1000;
/// Stands for characters that are too rare to have a place in the vocabulary.
const UNKNOWN: char = '\u{fffd}';

/// Decodes UTF-8; a byte-order mark is dropped.
pub(super) fn decode(name: &str, bytes: Vec<u8>) -> Result<String, DataError> {
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let line = 1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count();
        let byte = bytes.get(at).copied().unwrap_or_default();
        let reason = format!("byte {byte:#04x} is not UTF-8 text; save the file as UTF-8");
        DataError::new(format!("{name}, line {line}"), reason)
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// The characters of a text, line ends as `\n`; the end is held out.
pub(super) fn load(name: &str, text: &str) -> Result<Data, DataError> {
    let mut notes = Vec::new();
    let unix;
    let text = if text.contains('\r') {
        unix = text.replace("\r\n", "\n").replace('\r', "\n");
        &unix
    } else {
        text
    };
    let mut counts: BTreeMap<char, usize> = BTreeMap::new();
    for symbol in text.chars() {
        *counts.entry(symbol).or_default() += 1;
    }
    let length: usize = counts.values().sum();
    if length < MIN_CHARACTERS {
        let reason = format!("has {length} characters; at least {MIN_CHARACTERS} are needed");
        return Err(DataError::new(name, reason));
    }
    check_places(name, length, "characters")?;
    if counts.contains_key(&'\0') {
        let line = 1 + text.chars().take_while(|&symbol| symbol != '\0').filter(|&symbol| symbol == '\n').count();
        return Err(DataError::new(format!("{name}, line {line}"), "holds a zero byte; this is not a text file"));
    }
    let mut vocabulary: Vec<char> = counts.keys().copied().collect();
    if vocabulary.len() > MAX_VOCABULARY {
        let distinct = vocabulary.len();
        // The most frequent stay; among equals the first in order.
        vocabulary.sort_by_key(|symbol| std::cmp::Reverse(counts[symbol]));
        vocabulary.retain(|&symbol| symbol != UNKNOWN);
        vocabulary.truncate(MAX_VOCABULARY - 1);
        let kept: usize = vocabulary.iter().map(|symbol| counts[symbol]).sum();
        vocabulary.push(UNKNOWN);
        vocabulary.sort_unstable();
        let lost = length - kept;
        notes.push(format!(
            "{distinct} different characters are too many: all but the {} most frequent ({lost} characters, {:.2}% of the \
             text) are read as {UNKNOWN}",
            MAX_VOCABULARY - 1,
            100.0 * lost as f64 / length as f64
        ));
    }
    let code: BTreeMap<char, u32> = (0..).zip(&vocabulary).map(|(token, &symbol)| (symbol, token)).collect();
    let unknown = code.get(&UNKNOWN).copied().unwrap_or_default();
    let tokens = text.chars().map(|symbol| code.get(&symbol).copied().unwrap_or(unknown)).collect();
    let train = length - length * TEST_PERCENT / 100;
    Ok(Data {
        info: info(name, END_SPLIT, train, notes),
        values: Values::Text(Text { tokens, vocabulary }),
        train: 0..train,
        test: train..length,
    })
}
