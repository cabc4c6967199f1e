//! Text files.

use std::collections::BTreeMap;

use super::{END_SPLIT, TEST_PERCENT, check_places, info};
use crate::data::{Data, DataError, MAX_VOCABULARY, Text, Values};

/// Fewest characters that make a language model's training set.
const MIN_CHARACTERS: usize = 1000;
/// Stands for characters that are too rare to have a place in the vocabulary.
const UNKNOWN: char = '\u{fffd}';

/// What Windows-1252 has in place of Latin-1's control characters, from 0x80; zero where it has nothing.
const WINDOWS: [u16; 32] = [
    0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017d, 0, 0,
    0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178,
];
/// Bytes that are looked at to tell UTF-16 without a mark.
const SAMPLE: usize = 4096;

/// Decodes UTF-8 and UTF-16, and what is neither as Windows-1252 (of which Latin-1 is a part), with a note. A byte-order
/// mark is dropped.
pub(super) fn decode(name: &str, bytes: Vec<u8>) -> Result<(String, Vec<String>), DataError> {
    if let Some(big_endian) = utf16(&bytes) {
        let unit = |pair: &[u8; 2]| if big_endian { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) };
        let text: Result<String, _> = char::decode_utf16(bytes.as_chunks().0.iter().map(unit)).collect();
        let mut text = text.map_err(|_| DataError::new(name, "is damaged UTF-16 text; save the file as UTF-8"))?;
        drop_mark(&mut text);
        return Ok((text, vec!["The file is UTF-16 text.".into()]));
    }
    match String::from_utf8(bytes) {
        Ok(mut text) => {
            drop_mark(&mut text);
            Ok((text, Vec::new()))
        }
        Err(error) => match windows(error.as_bytes()) {
            Some(text) => {
                let note = "The file is not UTF-8 and was read as Windows-1252 (Latin-1); where letters are wrong, save it as \
                            UTF-8.";
                Ok((text, vec![note.into()]))
            }
            None => {
                let at = error.utf8_error().valid_up_to();
                let bytes = error.as_bytes();
                let line = 1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count();
                let byte = bytes.get(at).copied().unwrap_or_default();
                let reason = format!("byte {byte:#04x} is not UTF-8 text; save the file as UTF-8");
                Err(DataError::new(format!("{name}, line {line}"), reason))
            }
        },
    }
}

fn drop_mark(text: &mut String) {
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
}

/// Whether bytes are UTF-16, and if so whether its upper bytes come first: by its mark, or as every other byte is zero.
fn utf16(bytes: &[u8]) -> Option<bool> {
    match bytes {
        [0xff, 0xfe, rest @ ..] if rest.len() % 2 == 0 => return Some(false),
        [0xfe, 0xff, rest @ ..] if rest.len() % 2 == 0 => return Some(true),
        _ if bytes.len() % 2 == 1 => return None,
        _ => {}
    }
    let sample = bytes.get(..SAMPLE).unwrap_or(bytes).as_chunks::<2>().0;
    let zeros = |at: usize| sample.iter().filter(|pair| pair[at] == 0).count();
    match (zeros(0), zeros(1)) {
        (0, low) if 2 * low > sample.len() => Some(false),
        (high, 0) if 2 * high > sample.len() => Some(true),
        _ => None,
    }
}

/// Text in Windows-1252; none where bytes have no meaning in it or are those of no text.
fn windows(bytes: &[u8]) -> Option<String> {
    let decode = |&byte: &u8| match byte {
        0x80..=0x9f => char::from_u32(u32::from(WINDOWS[usize::from(byte - 0x80)])).filter(|&symbol| symbol != '\0'),
        b'\t' | b'\n' | b'\r' | 0x0c => Some(char::from(byte)),
        0..0x20 | 0x7f => None,
        byte => Some(char::from(byte)),
    };
    bytes.iter().map(decode).collect()
}

/// The characters of a text, line ends as `\n`; the end is held out.
pub(super) fn load(name: &str, text: &str, mut notes: Vec<String>) -> Result<Data, DataError> {
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
        crate::numeric::sort_by_key(&mut vocabulary, &|symbol| std::cmp::Reverse(counts[symbol]));
        vocabulary.retain(|&symbol| symbol != UNKNOWN);
        vocabulary.truncate(MAX_VOCABULARY - 1);
        let kept: usize = vocabulary.iter().map(|symbol| counts[symbol]).sum();
        vocabulary.push(UNKNOWN);
        crate::numeric::sort(&mut vocabulary);
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
