//! JSON to a tree.
//!
//! serde_json's own reader would bring into the page the words of its errors and tables of powers of ten.

use serde_json::{Map, Value};

use super::{Error, error};
use crate::decimal::number;

/// How deep lists and objects may lie in each other: whoever reads a tree goes as deep, and so does its drop.
const DEEPEST: usize = 128;

/// A tree of what is written. Of fields of the same name the last one counts; numbers may be spelt as in links, too.
///
/// # Errors
/// Where it is no JSON, and what was wanted there.
pub(super) fn read(json: &[u8]) -> Result<Value, Error> {
    let text = std::str::from_utf8(json).map_err(|_| error("no text".into()))?;
    let mut reader = Reader { text, at: 0 };
    let tree = reader.value(DEEPEST)?;
    if reader.peek() == END { Ok(tree) } else { Err(reader.wants("the end")) }
}

/// Stands for a byte where there is none: in JSON a zero can be nowhere.
const END: u8 = 0;

/// A text, and where its reader is: always between two characters.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    #[cold]
    fn wants(&self, what: &str) -> Error {
        error(format!("no JSON: {what} is missing at byte {}", self.at))
    }

    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(END)
    }

    /// The next byte that is no space, which stays.
    fn peek(&mut self) -> u8 {
        while matches!(self.byte(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
        self.byte()
    }

    /// Passes a mark, if it is next.
    fn pass(&mut self, mark: u8) -> bool {
        let next = self.peek() == mark;
        self.at += usize::from(next);
        next
    }

    /// `deep` more levels may follow.
    fn value(&mut self, deep: usize) -> Result<Value, Error> {
        Ok(match self.peek() {
            b'"' => self.string()?.into(),
            b'[' if deep > 0 => {
                self.at += 1;
                let mut items = Vec::new();
                while self.more(b']', items.is_empty())? {
                    items.push(self.value(deep - 1)?);
                }
                items.into()
            }
            b'{' if deep > 0 => {
                self.at += 1;
                let mut fields = Map::new();
                while self.more(b'}', fields.is_empty())? {
                    if self.peek() != b'"' {
                        return Err(self.wants("a name"));
                    }
                    let name = self.string()?;
                    if !self.pass(b':') {
                        return Err(self.wants("a colon"));
                    }
                    fields.insert(name, self.value(deep - 1)?);
                }
                fields.into()
            }
            _ => self.word().ok_or_else(|| self.wants("a value"))?,
        })
    }

    /// Whether a list or an object has another entry; goes to it or behind the end.
    fn more(&mut self, end: u8, first: bool) -> Result<bool, Error> {
        let ended = self.pass(end);
        if ended || first || self.pass(b',') { Ok(!ended) } else { Err(self.wants("a comma")) }
    }

    /// A number, or one of the three words.
    fn word(&mut self) -> Option<Value> {
        let rest = self.text.get(self.at..)?;
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let word = rest.get(..rest.bytes().position(|byte| !letter(byte)).unwrap_or(rest.len()))?;
        let value = match word {
            "null" => Value::Null,
            "true" => true.into(),
            "false" => false.into(),
            _ => match (word.parse::<u64>(), word.parse::<i64>()) {
                (Ok(natural), _) => natural.into(),
                (_, Ok(integer)) if integer != 0 => integer.into(),
                _ => number(word)?.into(),
            },
        };
        self.at += word.len();
        Some(value)
    }

    /// From its first quotation mark to behind its last.
    fn string(&mut self) -> Result<String, Error> {
        self.at += 1;
        let mut string = String::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | END..b' ')).unwrap_or(rest.len());
            string.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.byte() {
                b'"' => {
                    self.at += 1;
                    return Ok(string);
                }
                b'\\' => string.push(self.escaped().ok_or_else(|| self.wants("a character"))?),
                _ => return Err(self.wants("a quotation mark")),
            }
        }
    }

    /// A character that is spelt with a backslash.
    fn escaped(&mut self) -> Option<char> {
        let letter = *self.text.as_bytes().get(self.at + 1)?;
        let plain = match letter {
            b'"' | b'\\' | b'/' => letter,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            _ => {
                // What 16 bits cannot hold is spelt in two halves.
                return match self.unit()? {
                    high @ 0xd800..0xdc00 => match self.unit()? {
                        low @ 0xdc00..0xe000 => char::from_u32(0x1_0000 + ((high & 0x3ff) << 10) + (low & 0x3ff)),
                        _ => None,
                    },
                    other => char::from_u32(other),
                };
            }
        };
        self.at += 2;
        Some(plain.into())
    }

    /// Sixteen bits, spelt as `\u` and four digits.
    fn unit(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 6)?.strip_prefix("\\u")?;
        self.at += 6;
        digits.chars().try_fold(0, |unit, digit| Some(unit * 16 + digit.to_digit(16)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As serde_json reads it.
    fn agrees(json: &str) {
        assert_eq!(read(json.as_bytes()).ok(), serde_json::from_str(json).ok(), "{json}");
    }

    #[test]
    fn what_is_json_is_read_as_serde_json_reads_it() {
        for json in [
            r#" {"a" : [ ] , "b":{}, "c":[1,-2, 3.5e2,1E-3, 0.25,-0.0,-0] } "#,
            r#"["\"\\\/\b\f\n\r\t","\u00fc\ud83d\ude00\u0000","ü “x” 😀",""]"#,
            "[18446744073709551615,18446744073709551616,-9223372036854775808,1e22]",
            "[true,false,null]",
            r#"{"a":1,"a":2}"#,
            "\"\"",
            "7",
        ] {
            agrees(json);
            assert!(read(json.as_bytes()).is_ok(), "{json}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for json in [
            "",
            " ",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":1 \"b\":2}",
            "nul",
            "truee",
            "NaN",
            "1e999",
            "-",
            "1 2",
            "\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\\ud800\"",
            "\"\\ud800\\n\"",
            "\"\\udc00\"",
            "\"\\ud800\\ud800\"",
            "\"\n\"",
            "\u{feff}1",
            "1.e",
            "[\u{0}]",
        ] {
            agrees(json);
            assert!(read(json.as_bytes()).is_err(), "{json}");
        }
        assert!(read(&[b'"', 0xff, b'"']).is_err());
    }

    #[test]
    fn depth_has_an_end() {
        let nested = |deep: usize| "[".repeat(deep) + &"]".repeat(deep);
        assert!(read(nested(DEEPEST).as_bytes()).is_ok());
        assert!(read(nested(1_000_000).as_bytes()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn texts_come_back(text: String) {
            let json = serde_json::to_string(&text).unwrap();
            proptest::prop_assert_eq!(read(json.as_bytes()), Ok(Value::from(text)));
        }

        #[test]
        fn whatever_comes_is_read_or_refused(text in "[\\[\\]{}:,\"\\\\0-9eEtu+. -]*", bytes: Vec<u8>) {
            let _ = (read(text.as_bytes()), read(&bytes));
        }
    }
}
