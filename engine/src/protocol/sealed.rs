//! Content that one program alone reads.

use std::marker::PhantomData;

use serde::{Serialize, Serializer};

use crate::tree::{self, Error, FromTree, Value};

/// A `T` as a tree of JSON, written as `T` itself would be: the lab's worker, which passes over what is meant for the studies'
/// worker, so carries no code that reads or writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sealed<T> {
    tree: Value,
    content: PhantomData<T>,
}

impl<T: Serialize> Sealed<T> {
    /// Of that content.
    pub fn new(content: &T) -> Self {
        Self { tree: tree::of(content), content: PhantomData }
    }
}

impl<T: FromTree> Sealed<T> {
    /// Its content.
    ///
    /// # Errors
    /// What of it is not as a `T` is written.
    pub fn open(&self) -> Result<T, Error> {
        T::from_tree(&self.tree)
    }
}

impl<T> Serialize for Sealed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.tree.serialize(serializer)
    }
}

impl<T> FromTree for Sealed<T> {
    fn from_tree(tree: &Value) -> Result<Self, Error> {
        Ok(Self { tree: tree.clone(), content: PhantomData })
    }
}
