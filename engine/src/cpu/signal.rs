//! Numbers by which threads tell each other how far they are. Every access is sequentially consistent.

#[cfg(not(target_arch = "wasm32"))]
pub(super) use native::Signal;
#[cfg(target_arch = "wasm32")]
pub(super) use web::Signal;

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::sync::{Condvar, Mutex, PoisonError};

    /// How often a thread looks before it sleeps.
    const LOOKS: usize = 2000;

    /// A number that threads share.
    #[derive(Default)]
    pub struct Signal {
        value: AtomicU32,
        asleep: Mutex<()>,
        changed: Condvar,
    }

    impl Signal {
        /// What it is.
        pub fn get(&self) -> u32 {
            self.value.load(SeqCst)
        }

        /// Makes it `value`.
        pub fn set(&self, value: u32) {
            self.value.store(value, SeqCst);
        }

        /// Adds, wrapping; returns what it was.
        pub fn add(&self, change: u32) -> u32 {
            self.value.fetch_add(change, SeqCst)
        }

        /// Waits while it is `seen`.
        pub fn wait(&self, seen: u32) {
            for _ in 0..LOOKS {
                if self.get() != seen {
                    return;
                }
                std::hint::spin_loop();
            }
            let mut asleep = self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
            while self.get() == seen {
                asleep = self.changed.wait(asleep).unwrap_or_else(PoisonError::into_inner);
            }
        }

        /// Wakes those who wait, after a change.
        pub fn wake(&self) {
            // Whoever has looked and not fallen asleep yet holds the lock.
            drop(self.asleep.lock());
            self.changed.notify_all();
        }
    }
}

#[cfg(target_arch = "wasm32")]
mod web {
    use std::cell::UnsafeCell;

    use wasm_bindgen::prelude::*;

    // Without the target feature `atomics`, which would need a standard library of our own, the compiler makes plain numbers of
    // atomic ones: JavaScript's are real. It knows nothing of what they do, and so moves no other access across them.
    // Of signed numbers wasm-bindgen makes nothing else on the way: helpers import these functions as they are.
    #[wasm_bindgen(raw_module = "./js/threads.js")]
    extern "C" {
        fn get(at: i32) -> i32;
        fn set(at: i32, value: i32);
        fn add(at: i32, change: i32) -> i32;
        fn wait(at: i32, seen: i32);
        fn wake(at: i32);
    }

    /// A number that threads share.
    #[derive(Default)]
    pub struct Signal(UnsafeCell<u32>);

    impl Signal {
        fn at(&self) -> i32 {
            self.0.get() as i32
        }

        /// What it is.
        pub fn get(&self) -> u32 {
            get(self.at()) as u32
        }

        /// Makes it `value`.
        pub fn set(&self, value: u32) {
            set(self.at(), value as i32);
        }

        /// Adds, wrapping; returns what it was.
        pub fn add(&self, change: u32) -> u32 {
            add(self.at(), change as i32) as u32
        }

        /// Waits while it is `seen`.
        pub fn wait(&self, seen: u32) {
            wait(self.at(), seen as i32);
        }

        /// Wakes those who wait, after a change.
        pub fn wake(&self) {
            wake(self.at());
        }
    }
}
