//! JSON to a value and back, by way of a tree.
//!
//! Whatever the program reads (links, messages, files) passes through one reader, so that it carries the code that fills each
//! type once. [`FromTree`] takes a quarter of the code that serde's visitors would. It is stricter than serde_json's reader of a
//! [`Value`]: only an object makes a struct, never a list of its fields in order, and fields go by their names alone.

mod read;
mod written;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use engine_derive::FromTree;
use serde_json::Map;
pub use serde_json::Value;
pub use written::{json, object, of, text};

/// Why something cannot be read, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(
    // As small as can be: every reader hands it on.
    #[expect(clippy::box_collection)] Box<String>,
);

/// What a tree of JSON can be read as. The derive of this name obeys the attributes by which serde writes the type.
pub trait FromTree: Sized {
    /// A tree as a value of this type.
    ///
    /// # Errors
    /// What in it is not as such a value is written.
    fn from_tree(tree: &Value) -> Result<Self, Error>;

    /// What a field of this type is where an object lacks it; none = it must not.
    #[must_use]
    fn absent() -> Option<Self> {
        None
    }
}

/// JSON as a value of a type.
///
/// # Errors
/// Where it is no JSON, and what [`FromTree::from_tree`] says.
pub fn parse<T: FromTree>(json: impl AsRef<[u8]>) -> Result<T, Error> {
    T::from_tree(&read::read(json.as_ref())?)
}

/// What is wrong with a tree, in words.
#[cold]
#[must_use]
pub fn error(message: String) -> Error {
    Error(Box::new(message))
}

/// Says what was there instead of what was `wanted`.
#[cold]
fn misfit(found: &Value, wanted: &str) -> Error {
    let found = match found {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => text(found),
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    error(format!("{found} in place of {wanted}"))
}

/// The fields of an object.
pub struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// Of a tree that is to be a `wanted`.
    ///
    /// # Errors
    /// If it is no object.
    pub fn of(tree: &'a Value, wanted: &str) -> Result<Self, Error> {
        tree.as_object().map(Self).ok_or_else(|| misfit(tree, wanted))
    }

    /// Looked up in one place, whatever the type of the field.
    #[inline(never)]
    fn tree(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name)
    }

    /// A field, or what stands for it where it is absent.
    ///
    /// # Errors
    /// If it must not be absent and is; what of it cannot be read.
    pub fn field<T: FromTree>(&self, name: &str) -> Result<T, Error> {
        match self.tree(name) {
            Some(tree) => T::from_tree(tree),
            None => T::absent().ok_or_else(|| missing(name)),
        }
    }

    /// A field that is read in its own way.
    ///
    /// # Errors
    /// If it is absent; what of it cannot be read.
    pub fn field_by<T>(&self, name: &str, read: fn(&Value) -> Result<T, Error>) -> Result<T, Error> {
        read(self.tree(name).ok_or_else(|| missing(name))?)
    }

    /// Puts a field into its place, which stays as it is where the field is absent.
    ///
    /// # Errors
    /// What of it cannot be read.
    pub fn change<T: FromTree>(&self, name: &str, place: &mut T) -> Result<(), Error> {
        self.change_by(name, place, T::from_tree)
    }

    /// The same with a field that is read in its own way.
    ///
    /// # Errors
    /// What of it cannot be read.
    pub fn change_by<T>(&self, name: &str, place: &mut T, read: fn(&Value) -> Result<T, Error>) -> Result<(), Error> {
        if let Some(tree) = self.tree(name) {
            *place = read(tree)?;
        }
        Ok(())
    }
}

#[cold]
fn missing(name: &str) -> Error {
    error(format!("missing field “{name}”"))
}

/// A variant of an enum: its name alone, or an object of its name and its content.
pub struct Variant<'a> {
    /// Which of the names it has; their number if none.
    pub index: usize,
    name: &'a str,
    content: Option<&'a Value>,
}

impl<'a> Variant<'a> {
    /// Of a tree that is to be a `wanted`, whose variants have these names.
    ///
    /// # Errors
    /// If it is neither a name nor an object with one field.
    pub fn of(tree: &'a Value, wanted: &str, names: &[&str]) -> Result<Self, Error> {
        let (name, content) = match tree {
            Value::String(name) => (name.as_str(), None),
            Value::Object(entries) => match (entries.len(), entries.iter().next()) {
                (1, Some((name, content))) => (name.as_str(), Some(content)),
                _ => return Err(misfit(tree, wanted)),
            },
            _ => return Err(misfit(tree, wanted)),
        };
        let index = names.iter().position(|known| *known == name).unwrap_or(names.len());
        Ok(Self { index, name, content })
    }

    /// That there is no variant of this name.
    #[cold]
    #[must_use]
    pub fn unknown(&self) -> Error {
        error(format!("unknown variant “{}”", self.name))
    }

    /// That it has no content.
    ///
    /// # Errors
    /// If it has.
    pub fn empty(&self) -> Result<(), Error> {
        match self.content {
            Some(content) if !content.is_null() => Err(misfit(content, "nothing")),
            _ => Ok(()),
        }
    }

    /// Its content.
    ///
    /// # Errors
    /// If it lacks it; what of it cannot be read.
    pub fn content<T: FromTree>(&self) -> Result<T, Error> {
        T::from_tree(self.tree()?)
    }

    /// Its fields.
    ///
    /// # Errors
    /// If it has none.
    pub fn fields(&self) -> Result<Fields<'a>, Error> {
        Fields::of(self.tree()?, self.name)
    }

    fn tree(&self) -> Result<&'a Value, Error> {
        self.content.ok_or_else(|| error(format!("“{}” lacks its content", self.name)))
    }
}

/// The items of a list.
fn items(tree: &Value) -> Result<&[Value], Error> {
    tree.as_array().map(Vec::as_slice).ok_or_else(|| misfit(tree, "a list"))
}

/// Types of which a [`Value`] is or is not one.
macro_rules! plain {
    ($($type:ty: $read:expr, $wanted:literal;)+) => {
        $(impl FromTree for $type {
            fn from_tree(tree: &Value) -> Result<Self, Error> {
                let read: fn(&Value) -> Option<Self> = $read;
                read(tree).ok_or_else(|| misfit(tree, $wanted))
            }
        })+
    };
}

plain! {
    bool: Value::as_bool, "true or false";
    u8: |tree| tree.as_u64()?.try_into().ok(), "a natural number up to 255";
    u32: |tree| tree.as_u64()?.try_into().ok(), "a natural number";
    u64: Value::as_u64, "a natural number";
    usize: |tree| tree.as_u64()?.try_into().ok(), "a natural number";
    i32: |tree| tree.as_i64()?.try_into().ok(), "an integer";
    i64: Value::as_i64, "an integer";
    f32: |tree| Some(tree.as_f64()? as f32), "a number";
    f64: Value::as_f64, "a number";
    String: |tree| Some(tree.as_str()?.to_owned()), "a text";
}

impl FromTree for Value {
    fn from_tree(tree: &Value) -> Result<Self, Error> {
        Ok(tree.clone())
    }
}

impl<T: FromTree> FromTree for Option<T> {
    fn from_tree(tree: &Value) -> Result<Self, Error> {
        if tree.is_null() { Ok(None) } else { T::from_tree(tree).map(Some) }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: FromTree> FromTree for Box<T> {
    fn from_tree(tree: &Value) -> Result<Self, Error> {
        T::from_tree(tree).map(Self::new)
    }
}

impl<T: ToOwned<Owned: FromTree> + ?Sized> FromTree for Cow<'_, T> {
    fn from_tree(tree: &Value) -> Result<Self, Error> {
        FromTree::from_tree(tree).map(Self::Owned)
    }
}

impl<T: FromTree> FromTree for Vec<T> {
    fn from_tree(tree: &Value) -> Result<Self, Error> {
        let items = items(tree)?;
        let mut list = Self::with_capacity(items.len());
        for item in items {
            list.push(T::from_tree(item)?);
        }
        Ok(list)
    }
}

impl<T: FromTree, const N: usize> FromTree for [T; N] {
    fn from_tree(tree: &Value) -> Result<Self, Error> {
        Vec::from_tree(tree)?.try_into().map_err(|list: Vec<T>| error(format!("{} items in place of {N}", list.len())))
    }
}

/// Lists of different things.
macro_rules! tuples {
    ($(($($type:ident $item:ident),+);)+) => {
        $(impl<$($type: FromTree),+> FromTree for ($($type,)+) {
            fn from_tree(tree: &Value) -> Result<Self, Error> {
                let [$($item),+] = items(tree)? else { return Err(misfit(tree, "a list of another length")) };
                Ok(($($type::from_tree($item)?,)+))
            }
        })+
    };
}

tuples! {
    (A a, B b);
    (A a, B b, C c);
}

impl<T: FromTree> FromTree for BTreeMap<String, T> {
    fn from_tree(tree: &Value) -> Result<Self, Error> {
        let mut map = Self::new();
        for (name, value) in Fields::of(tree, "an object")?.0 {
            map.insert(name.clone(), T::from_tree(value)?);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize, FromTree)]
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
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize, FromTree)]
    enum Kind {
        Bare,
        One(Plain),
        Named { at: usize, of: Option<Box<Kind>> },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize, FromTree)]
    #[serde(transparent)]
    struct Newtype(Vec<Kind>);

    /// What serde_json writes is read, as serde_json itself reads it.
    fn agree<T: Serialize + DeserializeOwned + FromTree + PartialEq + Debug>(value: &T) {
        let tree = serde_json::to_value(value).unwrap();
        assert_eq!(&T::from_tree(&tree).unwrap(), value);
        assert_eq!(parse::<T>(&json(value)).unwrap(), serde_json::from_value(tree).unwrap());
    }

    /// The tree and the text are serde_json's own.
    fn written<T: Serialize>(value: &T) {
        let tree = serde_json::to_value(value).unwrap();
        assert_eq!(of(value), tree);
        assert_eq!(json(value), tree.to_string());
    }

    proptest::proptest! {
        #[test]
        fn numbers_are_written_as_short_as_serde_json_writes_them(bits: u64, near in -7_f64..20.0, whole: i64, small: u32) {
            for number in [f64::from_bits(bits), 10_f64.powf(near), 10_f64.powi(near as i32), whole as f64] {
                if !number.is_finite() {
                    continue;
                }
                proptest::prop_assert_eq!(json(&number).parse(), Ok(number));
                // As short as theirs, not always the same: of two decimals equally near, either may be written. Beyond, an
                // exponent is spelt `e16`, not `e+16`.
                if number == 0.0 || (1e-5..1e16).contains(&number.abs()) {
                    proptest::prop_assert_eq!(json(&number).len(), serde_json::to_string(&number).unwrap().len());
                }
            }
            written(&f64::NAN);
            written(&(bits, whole));
            // One of 32 bits in fewer digits, but it reads back as the same.
            let small = f32::from_bits(small);
            if small.is_finite() {
                proptest::prop_assert_eq!(parse::<f32>(json(&small)).unwrap(), small);
            }
            if (1e-14..1e22).contains(&small.abs()) {
                proptest::prop_assert_eq!(json(&small), json(&format!("{small:e}").parse::<f64>().unwrap()));
            }
        }

        #[test]
        fn texts_are_written_as_serde_json_writes_them(text: String, odd in "[\\x00-\\x7f“”]*") {
            written(&[text, odd]);
        }
    }

    #[test]
    fn of_two_decimals_equally_near_one_is_written() {
        // Exactly 1305568688714092.25.
        let halfway = 1_305_568_688_714_092.2_f64;
        assert!(["1305568688714092.2", "1305568688714092.3"].contains(&json(&halfway).as_str()));
        assert_eq!(json(&halfway).parse(), Ok(halfway));
    }

    #[test]
    fn short_decimals_stay_short() {
        assert_eq!(json(&[0.1_f32, 1e-8, 16_777_216.0, f32::NAN]), "[0.1,1e-8,16777216.0,null]");
    }

    #[test]
    fn every_shape_is_written_as_serde_json_writes_it() {
        #[derive(Serialize)]
        struct Unit;
        #[derive(Serialize)]
        struct Pair(u8, char);
        #[derive(Serialize)]
        enum Shape {
            Bare,
            Two(i8, Option<bool>),
            Named { a: (), b: [u16; 0] },
        }
        #[derive(Serialize)]
        struct Flat {
            #[serde(flatten)]
            map: BTreeMap<String, i64>,
        }
        #[derive(Serialize)]
        #[serde(tag = "kind")]
        enum Tagged {
            One(Flat),
        }
        let map: BTreeMap<String, i64> = [("a".into(), -1), ("b".into(), i64::MAX)].into();
        written(&(Unit, Pair(1, 'ü'), Shape::Bare, Shape::Two(-1, Some(true)), Shape::Named { a: (), b: [] }));
        written(&BTreeMap::from([(1_u8, map.clone())]));
        written(&(Tagged::One(Flat { map }), serde_json::json!({})));
    }

    fn plain() -> Plain {
        Plain {
            natural: 255,
            integer: -7,
            small: 0.1,
            number: 1e22,
            yes: true,
            text: "“ü”\n".into(),
            maybe: Some(3.0),
            pairs: vec![("a".into(), [1, 2])],
            map: [("x".to_owned(), i64::MIN)].into(),
            tree: json!({ "a": [null, -1, 2.5, "t"], "b": { "c": u64::MAX } }),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        agree(&Plain::default());
        agree(&plain());
        let inner = Kind::Named { at: 3, of: Some(Box::new(Kind::Named { at: 0, of: None })) };
        agree(&Newtype(vec![Kind::Bare, Kind::One(plain()), inner]));
        // Numbers without a point are numbers, absent fields have their defaults, unknown ones are passed over.
        assert_eq!(Plain::from_tree(&json!({ "number": 2, "small": -1, "more": [1] })).unwrap().number, 2.0);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let refused = |tree: Value| Plain::from_tree(&tree).unwrap_err().to_string();
        for (tree, words) in [
            (json!([1, 2]), "a list in place of Plain"),
            (json!({ "natural": -1 }), "-1 in place of a natural number"),
            (json!({ "natural": 256 }), "256"),
            (json!({ "integer": 1.5 }), "1.5 in place of an integer"),
            (json!({ "number": "1" }), "the text \"1\" in place of a number"),
            (json!({ "yes": null }), "null in place of true or false"),
            (json!({ "pairs": [["a", [1, 2, 3]]] }), "3 items in place of 2"),
            (json!({ "pairs": [["a", [1]]] }), "1 items in place of 2"),
            (json!({ "pairs": [["a"]] }), "a list in place of a list of another length"),
        ] {
            let said = refused(tree);
            assert!(said.contains(words), "{words}: {said}");
        }
        let refused = |tree: Value| Kind::from_tree(&tree).unwrap_err().to_string();
        for (tree, words) in [
            (json!("Three"), "unknown variant"),
            (json!("One"), "“One” lacks its content"),
            (json!({ "Bare": 1 }), "1 in place of nothing"),
            (json!({ "One": {}, "Bare": null }), "an object in place of Kind"),
            (json!({ "Named": [1, null] }), "a list in place of Named"),
            (json!({ "Named": {} }), "missing field “at”"),
            (json!(3), "3 in place of Kind"),
        ] {
            let said = refused(tree);
            assert!(said.contains(words), "{words}: {said}");
        }
        assert!(parse::<Plain>("{").is_err());
    }
}
