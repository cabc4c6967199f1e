//! JSON to a value, by way of a tree.
//!
//! Whatever the program reads (links, messages, files) passes through one reader, so that it carries the code that fills each
//! type once. It is stricter than serde_json's reader of a [`Value`], and smaller for it: only an object makes a struct, never a
//! list of its fields in order, and fields go by their names alone.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde_json::{Error, Value};

/// A tree as a value of a type.
///
/// # Errors
/// What in it is not as such a value is written.
pub fn read<T: DeserializeOwned>(tree: &Value) -> Result<T, Error> {
    T::deserialize(Tree(tree))
}

/// JSON as a value of a type.
///
/// # Errors
/// Where it is no JSON, and what [`read`] says.
pub fn parse<T: DeserializeOwned>(json: impl AsRef<[u8]>) -> Result<T, Error> {
    read(&serde_json::from_slice(json.as_ref())?)
}

/// Says what was there instead of what was `wanted`.
#[cold]
fn misfit(found: &Value, wanted: &str) -> Error {
    let found = match found {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => found.to_string(),
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    Error::custom(format_args!("{found} in place of {wanted}"))
}

#[derive(Clone, Copy)]
struct Tree<'a>(&'a Value);

impl<'a> Tree<'a> {
    fn object(self, wanted: &str) -> Result<Entries<'a>, Error> {
        let object = self.0.as_object().ok_or_else(|| misfit(self.0, wanted))?;
        Ok(Entries { rest: object.iter(), value: None })
    }

    fn items(self) -> Result<Items<'a>, Error> {
        let items = self.0.as_array().ok_or_else(|| misfit(self.0, "a list"))?;
        Ok(Items(items.iter()))
    }

    /// A list to its end.
    fn list<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut items = self.items()?;
        let value = visitor.visit_seq(&mut items)?;
        if items.0.len() > 0 { Err(misfit(self.0, "a shorter list")) } else { Ok(value) }
    }

    fn text(self) -> Result<&'a str, Error> {
        self.0.as_str().ok_or_else(|| misfit(self.0, "a text"))
    }

    fn natural(self) -> Result<u64, Error> {
        self.0.as_u64().ok_or_else(|| misfit(self.0, "a natural number"))
    }

    fn integer(self) -> Result<i64, Error> {
        self.0.as_i64().ok_or_else(|| misfit(self.0, "an integer"))
    }

    fn number(self) -> Result<f64, Error> {
        self.0.as_f64().ok_or_else(|| misfit(self.0, "a number"))
    }
}

/// Methods that take a value of one kind as `visit` wants it.
macro_rules! plain {
    ($($method:ident: $take:ident, $visit:ident;)+) => {
        $(fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.$take()?)
        })+
    };
}

impl<'a> Deserializer<'a> for Tree<'a> {
    type Error = Error;

    plain! {
        deserialize_u8: natural, visit_u64;
        deserialize_u16: natural, visit_u64;
        deserialize_u32: natural, visit_u64;
        deserialize_u64: natural, visit_u64;
        deserialize_i8: integer, visit_i64;
        deserialize_i16: integer, visit_i64;
        deserialize_i32: integer, visit_i64;
        deserialize_i64: integer, visit_i64;
        deserialize_f32: number, visit_f64;
        deserialize_f64: number, visit_f64;
        deserialize_char: text, visit_str;
        deserialize_str: text, visit_str;
        deserialize_string: text, visit_str;
        deserialize_identifier: text, visit_str;
    }

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => visitor.visit_u64(value),
                (None, Some(value)) => visitor.visit_i64(value),
                (None, None) => visitor.visit_f64(self.number()?),
            },
            Value::String(text) => visitor.visit_str(text),
            Value::Array(_) => self.list(visitor),
            Value::Object(_) => visitor.visit_map(self.object("")?),
        }
    }

    fn deserialize_bool<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.0.as_bool().ok_or_else(|| misfit(self.0, "true or false"))?)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_unit() } else { Err(misfit(self.0, "null")) }
    }

    fn deserialize_unit_struct<V: Visitor<'a>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        self.list(visitor)
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.list(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.list(visitor)
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(self.object("an object")?)
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(self.object(name)?)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(match self.0 {
            Value::String(variant) => Variant { name: variant, content: None },
            Value::Object(entries) => match (entries.len(), entries.iter().next()) {
                (1, Some((variant, content))) => Variant { name: variant, content: Some(Tree(content)) },
                _ => return Err(misfit(self.0, name)),
            },
            found => return Err(misfit(found, name)),
        })
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { <V: Visitor<'a>> i128 u128 bytes byte_buf }
}

struct Items<'a>(std::slice::Iter<'a, Value>);

impl<'a> SeqAccess<'a> for &mut Items<'a> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.0.next().map(|item| seed.deserialize(Tree(item))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Entries<'a> {
    rest: serde_json::map::Iter<'a>,
    value: Option<&'a Value>,
}

impl<'a> MapAccess<'a> for Entries<'a> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let Some((name, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some(value);
        let name: StrDeserializer<'_, Error> = name.as_str().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(Tree(self.value.take().unwrap_or(&Value::Null)))
    }
}

struct Variant<'a> {
    name: &'a str,
    content: Option<Tree<'a>>,
}

impl<'a> EnumAccess<'a> for Variant<'a> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'a>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        let name: StrDeserializer<'_, Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'a> Variant<'a> {
    fn content(self) -> Result<Tree<'a>, Error> {
        self.content.ok_or_else(|| Error::custom(format_args!("“{}” lacks its content", self.name)))
    }
}

impl<'a> VariantAccess<'a> for Variant<'a> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.content {
            Some(Tree(content)) if !content.is_null() => Err(misfit(content, "nothing")),
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'a>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.content()?.list(visitor)
    }

    fn struct_variant<V: Visitor<'a>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        let name = self.name;
        visitor.visit_map(self.content()?.object(name)?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Plain {
        natural: u8,
        integer: i32,
        small: f32,
        number: f64,
        yes: bool,
        text: String,
        maybe: Option<f64>,
        pairs: Vec<(String, [u32; 2])>,
        map: BTreeMap<String, i64>,
        tree: Value,
        nothing: (),
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Bare,
        One(Plain),
        Two(u32, String),
        Named { at: usize, of: Option<Box<Kind>> },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Newtype(Vec<Kind>);

    /// What serde_json writes is read, as serde_json itself reads it.
    fn agree<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
        let tree = serde_json::to_value(value).unwrap();
        assert_eq!(&read::<T>(&tree).unwrap(), value);
        assert_eq!(parse::<T>(&tree.to_string()).unwrap(), serde_json::from_value(tree).unwrap());
    }

    fn plain() -> Plain {
        Plain {
            natural: 255,
            integer: -7,
            small: 0.1,
            number: 1e300,
            yes: true,
            text: "“ü”\n".into(),
            maybe: Some(3.0),
            pairs: vec![("a".into(), [1, 2])],
            map: [("x".to_owned(), i64::MIN)].into(),
            tree: json!({ "a": [null, -1, 2.5, "t"], "b": { "c": u64::MAX } }),
            nothing: (),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        agree(&Plain::default());
        agree(&plain());
        let inner = Kind::Named { at: 3, of: Some(Box::new(Kind::Named { at: 0, of: None })) };
        agree(&Newtype(vec![Kind::Bare, Kind::One(plain()), Kind::Two(1, "b".into()), inner]));
        // Numbers without a point are numbers, absent fields have their defaults, unknown ones are passed over.
        assert_eq!(read::<Plain>(&json!({ "number": 2, "small": -1, "more": [1] })).unwrap().number, 2.0);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let refused = |tree: Value| read::<Plain>(&tree).unwrap_err().to_string();
        for (tree, words) in [
            (json!([1, 2]), "a list in place of Plain"),
            (json!({ "natural": -1 }), "-1 in place of a natural number"),
            (json!({ "natural": 256 }), "256"),
            (json!({ "integer": 1.5 }), "1.5 in place of an integer"),
            (json!({ "number": "1" }), "the text \"1\" in place of a number"),
            (json!({ "yes": null }), "null in place of true or false"),
            (json!({ "pairs": [["a", [1, 2, 3]]] }), "a shorter list"),
            (json!({ "pairs": [["a", [1]]] }), "length"),
            (json!({ "nothing": {} }), "an object in place of null"),
        ] {
            let said = refused(tree);
            assert!(said.contains(words), "{words}: {said}");
        }
        let refused = |tree: Value| read::<Kind>(&tree).unwrap_err().to_string();
        for (tree, words) in [
            (json!("Three"), "unknown variant"),
            (json!("One"), "“One” lacks its content"),
            (json!({ "Bare": 1 }), "1 in place of nothing"),
            (json!({ "One": {}, "Bare": null }), "an object in place of Kind"),
            (json!({ "Named": [1, null] }), "a list in place of Named"),
            (json!({ "Named": {} }), "missing field `at`"),
            (json!(3), "3 in place of Kind"),
        ] {
            let said = refused(tree);
            assert!(said.contains(words), "{words}: {said}");
        }
        assert!(parse::<Plain>("{").is_err());
    }
}
