//! Threads that share a launch. Who computes a share makes no difference to its bits, so that any number of threads gives the
//! same results.
//!
//! A launch that is long enough is cut into shares, which this thread and its helpers take one by one until none is left; this
//! thread then waits for those that helpers have begun. A helper that sleeps, or that the machine gives no time, holds up nothing.

use std::cell::UnsafeCell;

use super::launch::Prepared;
use super::memory::Buffer;
use super::scratch::Scratch;
use super::signal::Signal;

/// The least that is worth a share, in what [`Prepared::cost`] counts: some 20 microseconds, several times what it takes to
/// wake a helper.
const LEAST: usize = 80_000;

/// Nothing to do.
const CLOSED: u32 = 0;
/// There is a job.
const OPEN: u32 = 1;
/// Helpers go: in a browser they live as long as the worker that has started them.
#[cfg(not(target_arch = "wasm32"))]
const OVER: u32 = 2;

/// A launch that is shared.
struct Job {
    launch: *const Prepared,
    buffers: *const [Buffer],
    /// One for each thread.
    scratch: *mut Scratch,
    /// Units of a share.
    grain: usize,
    units: usize,
}

/// Where helpers find what there is to do.
#[derive(Default)]
pub(super) struct Post {
    /// Changes with every job, and at the end.
    turn: Signal,
    state: Signal,
    /// The next share that nobody has taken.
    next: Signal,
    /// Helpers that may be at a job.
    busy: Signal,
    /// Has a helper failed?
    failed: Signal,
    job: UnsafeCell<Option<Job>>,
}

// SAFETY: the job is written only while no helper is busy (`Team::run`), and read only by those who are.
unsafe impl Sync for Post {}
// SAFETY: what the job points to may be used from any thread: launches and buffers are `Sync`, of the scratches each thread
// uses its own.
unsafe impl Send for Post {}

impl Post {
    /// Computes shares until none is left, as the thread of that number.
    ///
    /// # Safety
    /// There is a job, and it stays until this returns; no other thread has the number.
    unsafe fn take(&self, member: usize) {
        // SAFETY: the caller's.
        let Some(job) = (unsafe { &*self.job.get() }) else { return };
        // SAFETY: `run` lends all three until every helper is done.
        let (launch, buffers, scratch) = unsafe { (&*job.launch, &*job.buffers, &mut *job.scratch.add(member)) };
        loop {
            let first = self.next.add(1) as usize * job.grain;
            if first >= job.units {
                return;
            }
            launch.run(first..(first + job.grain).min(job.units), buffers, scratch);
        }
    }

    /// What a helper does all its life.
    pub fn help(&self, member: usize) {
        let mut seen = 0;
        loop {
            self.turn.wait(seen);
            seen = self.turn.get();
            // Whoever opens a job waits for those who are busy before it ends, so that it is open as long as this helper is.
            self.busy.add(1);
            let state = self.state.get();
            if state == OPEN {
                // SAFETY: it stays while this thread is busy, and helpers are numbered.
                unsafe { self.take(member) };
            }
            self.leave();
            #[cfg(not(target_arch = "wasm32"))]
            if state == OVER {
                return;
            }
        }
    }

    /// A helper has failed and takes no share any more.
    pub fn fail(&self) {
        self.failed.set(1);
        self.leave();
    }

    fn leave(&self) {
        self.busy.add(1u32.wrapping_neg());
        self.busy.wake();
    }

    fn tell(&self, state: u32) {
        self.state.set(state);
        self.turn.add(1);
        self.turn.wake();
    }
}

/// Waits, however this thread goes on, until helpers have let go of a job.
struct Opened<'a>(&'a Post);

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.0.state.set(CLOSED);
        loop {
            match self.0.busy.get() {
                0 => return,
                busy => self.0.busy.wait(busy),
            }
        }
    }
}

/// This thread and its helpers.
pub(super) struct Team {
    /// Of each thread, this one's first.
    scratch: Vec<Scratch>,
    helpers: Option<helpers::Helpers>,
    /// [`LEAST`].
    least: usize,
}

impl Team {
    /// This thread and as many helpers as make `threads`, or can be had.
    pub fn new(threads: usize) -> Self {
        let helpers = (threads > 1).then(|| helpers::Helpers::hire(threads - 1)).flatten();
        let members = 1 + helpers.as_ref().map_or(0, helpers::Helpers::count);
        Team { scratch: (0..members).map(|_| Scratch::default()).collect(), helpers, least: LEAST }
    }

    /// Threads, this one among them.
    pub fn threads(&self) -> usize {
        self.scratch.len()
    }

    /// Shares whatever can be shared.
    #[cfg(test)]
    pub fn share_all(&mut self) {
        self.least = 1;
    }

    /// Makes room for a launch.
    pub fn reserve(&mut self, launch: &Prepared) {
        self.scratch.iter_mut().for_each(|scratch| launch.reserve(scratch));
    }

    /// Runs a launch; was it shared out?
    pub fn run(&mut self, launch: &Prepared, buffers: &[Buffer]) -> bool {
        let units = launch.units;
        let grain = self.least.div_ceil(launch.cost.max(1)).max(units.div_ceil(launch.shares(self.scratch.len())));
        let Some(helpers) = self.helpers.as_ref().filter(|_| grain < units) else {
            launch.run(0..units, buffers, &mut self.scratch[0]);
            return false;
        };
        let post = helpers.post();
        let job = Job { launch, buffers, scratch: self.scratch.as_mut_ptr(), grain, units };
        // SAFETY: no helper is busy: the last job has waited for that.
        unsafe { *post.job.get() = Some(job) };
        post.next.set(0);
        let opened = Opened(post);
        post.tell(OPEN);
        // SAFETY: `opened` keeps the job, and this thread has number 0.
        unsafe { post.take(0) };
        drop(opened);
        assert!(post.failed.get() == 0, "a thread of the CPU executor has failed");
        true
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod helpers {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::thread::JoinHandle;

    use super::{OVER, Post};

    /// Threads of the standard library.
    pub struct Helpers {
        post: Arc<Post>,
        threads: Vec<JoinHandle<()>>,
    }

    impl Helpers {
        /// Starts so many, or as many as the system allows.
        pub fn hire(count: usize) -> Option<Self> {
            let post = Arc::<Post>::default();
            let start = |member| {
                let post = post.clone();
                let work = move || {
                    if catch_unwind(AssertUnwindSafe(|| post.help(member))).is_err() {
                        post.fail();
                    }
                };
                std::thread::Builder::new().spawn(work).ok()
            };
            let threads: Vec<_> = (1..=count).map_while(start).collect();
            (!threads.is_empty()).then_some(Helpers { post, threads })
        }

        pub fn count(&self) -> usize {
            self.threads.len()
        }

        pub fn post(&self) -> &Post {
            &self.post
        }
    }

    impl Drop for Helpers {
        fn drop(&mut self) {
            self.post.tell(OVER);
            // One that has failed has told so already.
            self.threads.drain(..).for_each(|thread| drop(thread.join()));
        }
    }
}

#[cfg(target_arch = "wasm32")]
pub use helpers::threads;

#[cfg(target_arch = "wasm32")]
mod helpers {
    use std::sync::OnceLock;

    use wasm_bindgen::prelude::*;

    use super::Post;

    /// Bytes of a helper's stack.
    const STACK: usize = 256 * 1024;

    #[wasm_bindgen(raw_module = "./js/threads.js")]
    extern "C" {
        /// Threads that this worker may have, itself among them.
        #[wasm_bindgen(js_name = threads)]
        fn allowed() -> u32;
        /// Starts a worker that runs [`help`] over this memory; its stack ends at `stack`.
        fn hire(post: *const Post, member: u32, stack: *const u128);
    }

    /// How many threads this worker may have.
    pub fn threads() -> usize {
        allowed() as usize
    }

    /// Workers over this one's memory. They are started once and serve all executors, of which one runs at a time.
    #[derive(Clone, Copy)]
    pub struct Helpers {
        post: &'static Post,
        count: usize,
    }

    impl Helpers {
        /// Starts so many, unless there are some. They are there when they are there: a job does not wait for them to begin.
        pub fn hire(count: usize) -> Option<Self> {
            static HIRED: OnceLock<Helpers> = OnceLock::new();
            let hired = HIRED.get_or_init(|| {
                let post: &'static Post = Box::leak(Box::default());
                for member in 1..=count {
                    let stack = Box::leak(vec![0u128; STACK / 16].into_boxed_slice());
                    hire(post, member as u32, stack.as_ptr_range().end);
                }
                Helpers { post, count }
            });
            Some(*hired)
        }

        pub fn count(&self) -> usize {
            self.count
        }

        pub fn post(&self) -> &Post {
            self.post
        }
    }

    /// A helper's life, called by its worker.
    #[wasm_bindgen]
    pub fn help(post: *const Post, member: u32) {
        // SAFETY: `hire` has passed the address on.
        unsafe { &*post }.help(member as usize);
    }

    /// Its unhappy end.
    #[wasm_bindgen]
    pub fn fail(post: *const Post) {
        // SAFETY: as above.
        unsafe { &*post }.fail();
    }
}
