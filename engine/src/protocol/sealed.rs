//! Content that one program alone reads.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A `T` as a tree of JSON, written as `T` itself would be: the lab's worker, which passes over what is meant for the studies'
/// worker, so carries no code that reads or writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sealed<T> {
    tree: Value,
    content: PhantomData<T>,
}

impl<T> Sealed<T> {
    /// Name of its variant, where it is a value of an enum.
    #[must_use]
    pub fn variant(&self) -> Option<&str> {
        match &self.tree {
            Value::String(name) => Some(name),
            Value::Object(fields) => fields.keys().next().map(String::as_str),
            _ => None,
        }
    }
}

impl<T: Serialize> Sealed<T> {
    /// Of that content.
    pub fn new(content: &T) -> Self {
        // Vocabulary is made of what JSON can say; null is refused by whoever opens it.
        Self { tree: serde_json::to_value(content).unwrap_or_default(), content: PhantomData }
    }
}

impl<T: DeserializeOwned> Sealed<T> {
    /// Its content.
    ///
    /// # Errors
    /// What of it is not as a `T` is written.
    pub fn open(&self) -> Result<T, serde_json::Error> {
        crate::tree::read(&self.tree)
    }
}

impl<T> Serialize for Sealed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.tree.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Sealed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { tree: Value::deserialize(deserializer)?, content: PhantomData })
    }
}
