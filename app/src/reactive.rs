//! Signals and memos as Leptos has them, but compiled once. Leptos compiles its own anew for every type of value, some
//! kilobytes each; these hold their value in a box, and only the way into the box is generic.

use std::any::Any;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use leptos::prelude::{
    GetValue, Memo, Read, ReadUntracked, RwSignal as AnySignal, Set, StoredValue, Track, Write, untrack,
};

/// A value of any type.
type Held = Box<dyn Any + Send + Sync>;
/// A value that is reckoned anew whenever it is read.
type Reckoned = Arc<dyn Fn() -> Held + Send + Sync>;
/// A value that is reckoned from what it was.
type Renewed = Box<dyn Fn(Option<&Held>) -> Held + Send + Sync>;

/// What a value of this module can hold.
pub trait Content: Send + Sync + 'static {}
impl<T: Send + Sync + 'static> Content for T {}

fn held<T: Content>(value: T) -> Held {
    Box::new(value)
}

fn seen<T: Content>(held: &Held) -> &T {
    held.downcast_ref().unwrap_or_else(|| mistaken())
}

#[cold]
fn mistaken() -> ! {
    unreachable!("a box is filled and opened by one type")
}

fn differ<T: Content + PartialEq>(old: Option<&Held>, new: Option<&Held>) -> bool {
    old.map(seen::<T>) != new.map(seen::<T>)
}

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Signal(AnySignal<Held>),
    Memo(Memo<Held>),
    Derived(StoredValue<Reckoned>),
}

/// A value while it is read.
enum Reading {
    Signal(<AnySignal<Held> as ReadUntracked>::Value),
    Memo(<Memo<Held> as ReadUntracked>::Value),
    Derived(Held),
}

impl Deref for Reading {
    type Target = Held;

    fn deref(&self) -> &Held {
        match self {
            Self::Signal(guard) => guard,
            Self::Memo(guard) => guard,
            Self::Derived(held) => held,
        }
    }
}

impl Source {
    fn read(self) -> Reading {
        match self {
            Self::Signal(signal) => Reading::Signal(signal.read()),
            Self::Memo(memo) => Reading::Memo(memo.read()),
            Self::Derived(reckon) => Reading::Derived(reckon.get_value()()),
        }
    }

    fn read_untracked(self) -> Reading {
        match self {
            Self::Signal(signal) => Reading::Signal(signal.read_untracked()),
            Self::Memo(memo) => Reading::Memo(memo.read_untracked()),
            Self::Derived(reckon) => Reading::Derived(untrack(|| reckon.get_value()())),
        }
    }

    fn try_read_untracked(self) -> Option<Reading> {
        match self {
            Self::Signal(signal) => signal.try_read_untracked().map(Reading::Signal),
            Self::Memo(memo) => memo.try_read_untracked().map(Reading::Memo),
            Self::Derived(reckon) => reckon.try_get_value().map(|reckon| Reading::Derived(untrack(|| reckon()))),
        }
    }

    fn track(self) {
        match self {
            Self::Signal(signal) => signal.track(),
            Self::Memo(memo) => memo.track(),
            Self::Derived(reckon) => drop(reckon.get_value()()),
        }
    }
}

/// The ways to read.
macro_rules! readable {
    ($($name:ident, $source:expr;)+) => { $(
        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T> Copy for $name<T> {}

        impl<T: Content> $name<T> {
            fn source(self) -> Source {
                let read: fn(Self) -> Source = $source;
                read(self)
            }

            /// What `read` makes of the value; whoever asks is asked again when it changes.
            pub fn with<U>(self, read: impl FnOnce(&T) -> U) -> U {
                read(seen(&self.source().read()))
            }

            /// What `read` makes of the value now.
            pub fn with_untracked<U>(self, read: impl FnOnce(&T) -> U) -> U {
                read(seen(&self.source().read_untracked()))
            }

            /// Asks whoever asks again when the value changes.
            pub fn track(self) {
                self.source().track();
            }
        }

        impl<T: Content + Clone> $name<T> {
            /// The value; whoever asks is asked again when it changes.
            pub fn get(self) -> T {
                self.with(T::clone)
            }

            /// The value now.
            pub fn get_untracked(self) -> T {
                self.with_untracked(T::clone)
            }

            /// The value now; none where the part of the page that it belonged to is gone.
            pub fn try_get_untracked(self) -> Option<T> {
                self.source().try_read_untracked().map(|reading| seen::<T>(&reading).clone())
            }
        }
    )+ };
}

readable! {
    RwSignal, |signal| Source::Signal(signal.held);
    Signal, |signal| signal.source;
}

/// A value that changes.
#[derive(Debug, PartialEq, Eq)]
pub struct RwSignal<T> {
    held: AnySignal<Held>,
    content: PhantomData<fn() -> T>,
}

/// A value that is read: of a signal, or made of others.
#[derive(Debug, PartialEq, Eq)]
pub struct Signal<T> {
    source: Source,
    content: PhantomData<fn() -> T>,
}

impl<T: Content> RwSignal<T> {
    /// Of a first value.
    pub fn new(value: T) -> Self {
        Self { held: AnySignal::new(held(value)), content: PhantomData }
    }

    /// Changes the value, unless the part of the page that it belonged to is gone.
    pub fn update(self, change: impl FnOnce(&mut T)) {
        if let Some(mut guard) = self.held.try_write()
            && let Some(value) = guard.downcast_mut()
        {
            change(value);
        }
    }

    /// Puts another value in its place, unless the part of the page that it belonged to is gone.
    pub fn set(self, value: T) {
        self.held.set(held(value));
    }
}

impl<T: Content> Signal<T> {
    const fn at(source: Source) -> Self {
        Self { source, content: PhantomData }
    }

    /// Reckoned whenever it is read.
    pub fn derive(reckon: impl Fn() -> T + Send + Sync + 'static) -> Self {
        let reckon: Reckoned = Arc::new(move || held(reckon()));
        Self::at(Source::Derived(StoredValue::new(reckon)))
    }

    /// Reckoned from others, and from what it was before, when these have changed; it tells of itself only when it differs.
    pub fn memo(reckon: impl Fn(Option<&T>) -> T + Send + Sync + 'static) -> Self
    where
        T: PartialEq,
    {
        let reckon: Renewed = Box::new(move |last| held(reckon(last.map(seen))));
        Self::at(Source::Memo(Memo::new_with_compare(reckon, differ::<T>)))
    }

    /// A value that stays.
    pub fn stored(value: T) -> Self {
        RwSignal::new(value).into()
    }
}

impl<T: Content> From<RwSignal<T>> for Signal<T> {
    fn from(signal: RwSignal<T>) -> Self {
        Self::at(Source::Signal(signal.held))
    }
}

impl<T: Content> From<T> for Signal<T> {
    fn from(value: T) -> Self {
        Self::stored(value)
    }
}
