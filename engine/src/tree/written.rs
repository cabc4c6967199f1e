//! A value to JSON, by way of a tree too.
//!
//! serde's derive tells [`Writer`] what a value is made of, as it tells serde_json's; but what vocabulary is made of can always be
//! written, so that no error is handed on, and what all types share is compiled once: half the code for each type.

use std::fmt::Display;

use serde::Serialize;
use serde::ser::{
    Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
    SerializeTupleVariant, Serializer,
};
use serde_json::{Map, Number, Value};

use crate::decimal::{plain, short};

/// A value as a tree of JSON. Numbers that JSON lacks become null; one of 32 bits becomes its shortest decimal.
#[must_use]
pub fn of<T: Serialize + ?Sized>(value: &T) -> Value {
    let Ok(tree) = value.serialize(Writer);
    tree
}

/// A value as JSON.
#[must_use]
pub fn json<T: Serialize + ?Sized>(value: &T) -> String {
    text(&of(value))
}

/// An object of these fields.
#[must_use]
pub fn object(fields: Vec<(&str, Value)>) -> Value {
    let mut object = Fields::new(None);
    for (name, value) in fields {
        object.put(name, value);
    }
    object.content.into()
}

/// A tree as JSON, as serde_json writes it but for how it spells exponents.
#[must_use]
pub fn text(tree: &Value) -> String {
    let mut text = String::new();
    append(&mut text, tree);
    text
}

fn append(text: &mut String, tree: &Value) {
    match tree {
        Value::Null => text.push_str("null"),
        Value::Bool(yes) => text.push_str(if *yes { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&decimal(number)),
        Value::String(string) => quote(text, string),
        Value::Array(items) => {
            let mut before = '[';
            for item in items {
                text.push(before);
                append(text, item);
                before = ',';
            }
            text.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        Value::Object(fields) => {
            let mut before = '{';
            for (name, value) in fields {
                text.push(before);
                quote(text, name);
                text.push(':');
                append(text, value);
                before = ',';
            }
            text.push_str(if fields.is_empty() { "{}" } else { "}" });
        }
    }
}

/// Not by serde_json's own way, which brings a table of three kilobytes.
fn decimal(number: &Number) -> String {
    if let Some(natural) = number.as_u64() {
        return natural.to_string();
    }
    match (number.as_i64(), number.as_f64()) {
        (Some(integer), _) => integer.to_string(),
        (None, real) => {
            let text = plain(real.unwrap_or(f64::NAN));
            // What is whole but no integer keeps a point.
            if text.contains(['.', 'e']) { text } else { text + ".0" }
        }
    }
}

fn quote(text: &mut String, string: &str) {
    text.push('"');
    for letter in string.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\0'..' ' => text.push_str(&format!("\\u{:04x}", u32::from(letter))),
            _ => text.push(letter),
        }
    }
    text.push('"');
}

/// What goes wrong where a value is written: nothing.
#[derive(Debug)]
enum Never {}

impl Display for Never {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}

impl std::error::Error for Never {}

impl Error for Never {
    fn custom<T: Display>(message: T) -> Self {
        unreachable!("vocabulary is made of what JSON can say: {message}")
    }
}

/// Makes a tree of a value.
struct Writer;

/// A list or an object in the making; within an object of its variant's name, where it has one.
struct Parts<C> {
    content: C,
    variant: Option<&'static str>,
}

type List = Parts<Vec<Value>>;
type Fields = Parts<Map<String, Value>>;

impl<C: Default + Into<Value>> Parts<C> {
    fn new(variant: Option<&'static str>) -> Self {
        Self { content: C::default(), variant }
    }

    fn whole(self) -> Result<Value, Never> {
        let content = self.content.into();
        Ok(match self.variant {
            Some(variant) => named(variant, content),
            None => content,
        })
    }
}

#[inline(never)]
fn named(variant: &str, content: Value) -> Value {
    object(vec![(variant, content)])
}

impl Fields {
    #[inline(never)]
    fn put(&mut self, name: &str, value: Value) {
        self.content.insert(name.to_owned(), value);
    }
}

/// Numbers, each by its widest kind.
macro_rules! numbers {
    ($($method:ident: $type:ty;)+) => {
        $(fn $method(self, value: $type) -> Result<Value, Never> {
            Ok(value.into())
        })+
    };
}

impl Serializer for Writer {
    type Ok = Value;
    type Error = Never;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = List;
    type SerializeMap = Entries;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Fields;

    numbers! {
        serialize_bool: bool;
        serialize_i8: i8;
        serialize_i16: i16;
        serialize_i32: i32;
        serialize_i64: i64;
        serialize_u8: u8;
        serialize_u16: u16;
        serialize_u32: u32;
        serialize_u64: u64;
        serialize_f64: f64;
        serialize_str: &str;
    }

    fn serialize_f32(self, value: f32) -> Result<Value, Never> {
        Ok(short(value).into())
    }

    fn serialize_char(self, value: char) -> Result<Value, Never> {
        Ok(value.to_string().into())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Value, Never> {
        Ok(value.into())
    }

    fn serialize_none(self) -> Result<Value, Never> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Never> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, Never> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, Never> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Value, Never> {
        Ok(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Value, Never> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Never> {
        Ok(named(variant, of(value)))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List, Never> {
        Ok(Parts::new(None))
    }

    fn serialize_tuple(self, _: usize) -> Result<List, Never> {
        Ok(Parts::new(None))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List, Never> {
        Ok(Parts::new(None))
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Result<List, Never> {
        Ok(Parts::new(Some(variant)))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries, Never> {
        Ok(Entries { fields: Parts::new(None), name: String::new() })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields, Never> {
        Ok(Parts::new(None))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Fields, Never> {
        Ok(Parts::new(Some(variant)))
    }
}

/// The kinds of lists, which differ in a method's name.
macro_rules! lists {
    ($($trait:ident: $method:ident;)+) => {
        $(impl $trait for List {
            type Ok = Value;
            type Error = Never;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
                self.content.push(of(value));
                Ok(())
            }

            fn end(self) -> Result<Value, Never> {
                self.whole()
            }
        })+
    };
}

lists! {
    SerializeSeq: serialize_element;
    SerializeTuple: serialize_element;
    SerializeTupleStruct: serialize_field;
    SerializeTupleVariant: serialize_field;
}

/// The kinds of structs.
macro_rules! structs {
    ($($trait:ident),+) => {
        $(impl $trait for Fields {
            type Ok = Value;
            type Error = Never;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Never> {
                self.put(name, of(value));
                Ok(())
            }

            fn end(self) -> Result<Value, Never> {
                self.whole()
            }
        })+
    };
}

structs!(SerializeStruct, SerializeStructVariant);

/// A map in the making, between a key and its value.
struct Entries {
    fields: Fields,
    name: String,
}

impl SerializeMap for Entries {
    type Ok = Value;
    type Error = Never;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Never> {
        self.name = match of(key) {
            Value::String(name) => name,
            other => text(&other),
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        self.fields.put(&self.name, of(value));
        Ok(())
    }

    fn end(self) -> Result<Value, Never> {
        self.fields.whole()
    }
}
