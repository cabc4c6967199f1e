//! Thrift's compact protocol, as far as a Parquet file's head needs it: structures of numbers, texts, lists and structures.

/// A value of a field.
pub enum Field<'a> {
    I32(i32),
    I64(i64),
    Text(&'a str),
    Numbers(&'a [i32]),
    Texts(&'a [&'a str]),
    Struct(Struct),
    Structs(Vec<Struct>),
}

/// A structure as bytes, but for its end.
#[derive(Default)]
pub struct Struct {
    bytes: Vec<u8>,
    /// Of its last field.
    id: u8,
}

// Types of fields and of what is in lists.
const I32: u8 = 5;
const I64: u8 = 6;
const TEXT: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

impl Struct {
    /// With one more field, whose id must be above those before it, by 15 at most.
    pub fn with(mut self, id: u8, field: Field<'_>) -> Self {
        let kind = match field {
            Field::I32(_) => I32,
            Field::I64(_) => I64,
            Field::Text(_) => TEXT,
            Field::Numbers(_) | Field::Texts(_) | Field::Structs(_) => LIST,
            Field::Struct(_) => STRUCT,
        };
        self.bytes.push((id - self.id) << 4 | kind);
        self.id = id;
        match field {
            Field::I32(number) => integer(&mut self.bytes, number.into()),
            Field::I64(number) => integer(&mut self.bytes, number),
            Field::Text(words) => text(&mut self.bytes, words),
            Field::Numbers(numbers) => {
                list(&mut self.bytes, I32, numbers.len());
                numbers.iter().for_each(|&number| integer(&mut self.bytes, number.into()));
            }
            Field::Texts(texts) => {
                list(&mut self.bytes, TEXT, texts.len());
                texts.iter().for_each(|words| text(&mut self.bytes, words));
            }
            Field::Struct(inner) => self.bytes.extend(inner.end()),
            Field::Structs(inner) => {
                list(&mut self.bytes, STRUCT, inner.len());
                inner.into_iter().for_each(|inner| self.bytes.extend(inner.end()));
            }
        }
        self
    }

    /// Its bytes.
    pub fn end(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
pub fn varint(into: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// Small numbers of either sign take few bytes.
fn integer(into: &mut Vec<u8>, number: i64) {
    varint(into, (number << 1 ^ number >> 63) as u64);
}

fn text(into: &mut Vec<u8>, text: &str) {
    varint(into, text.len() as u64);
    into.extend_from_slice(text.as_bytes());
}

fn list(into: &mut Vec<u8>, kind: u8, length: usize) {
    if length < 15 {
        into.push((length as u8) << 4 | kind);
    } else {
        into.push(0xf0 | kind);
        varint(into, length as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_as_the_protocol_says() {
        let inner = Struct::default().with(1, Field::I64(-1)).with(16, Field::I32(150));
        let bytes = Struct::default().with(2, Field::Text("ab")).with(3, Field::Struct(inner)).end();
        assert_eq!(bytes, [0x28, 2, b'a', b'b', 0x1c, 0x16, 1, 0xf5, 0xac, 0x02, 0, 0]);
        let lists = Struct::default().with(1, Field::Numbers(&[0, 1, -2])).with(2, Field::Texts(&["x"])).end();
        assert_eq!(lists, [0x19, 0x35, 0, 2, 3, 0x19, 0x18, 1, b'x', 0]);
    }

    #[test]
    fn long_lists_say_their_length_in_a_number_of_its_own() {
        let bytes = Struct::default().with(1, Field::Structs((0..20).map(|_| Struct::default()).collect())).end();
        assert_eq!(bytes[..3], [0x19, 0xfc, 20]);
        assert_eq!(bytes.len(), 3 + 20 + 1);
    }
}
