//! The executor: the queue of ready tasks, deadlines, and waiting when there are none.

use core::cell::{Cell, UnsafeCell};
use core::mem::ManuallyDrop;
use core::pin::pin;
use core::ptr::{NonNull, null_mut};
// Who owns an executor changes once; the models look at what changes often.
use core::sync::atomic::{AtomicBool as OnceFlag, AtomicPtr as ListLink};
use core::task::{Context, Poll};

use uktimers::Deadlines;

use crate::flow::Flow;
use crate::sleep::SleepRef;
use crate::sync::{AtomicBool, AtomicPtr, Ordering, store_load, update_ptr};
use crate::task::{self, Header, JoinHandle, SpawnError};

/// Runs tasks, one at a time, on the flow of control that called [`Executor::run`] first.
///
/// Executors are static: wakers lead to them for ever.
#[derive(Debug)]
pub struct Executor {
    /// Tasks that were queued by whoever woke them, the last one first.
    inbox: AtomicPtr<Header>,
    /// The flow waits, or is about to: who queues a task has to wake it.
    is_idle: AtomicBool,
    /// Written by who sets `is_claimed`, before `is_known` is set.
    owner: UnsafeCell<Option<Flow>>,
    is_claimed: OnceFlag,
    is_known: OnceFlag,
    root: RootHeader,
    /// What belongs to the flow alone.
    own: Own,
    /// The next in the list of all executors that have run.
    next: ListLink<Executor>,
}

struct RootHeader(Header);

impl core::fmt::Debug for RootHeader {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("RootHeader")
    }
}

#[derive(Debug)]
struct Own {
    runs: Cell<bool>,
    /// Tasks taken out of the inbox, the first one first.
    ready: Cell<*mut Header>,
    deadlines: UnsafeCell<Deadlines<SleepRef>>,
    polls: Cell<u64>,
    waits: Cell<u64>,
}

// SAFETY: `own` is touched by the owner's flow alone: executors are found by `current`, or used by
// what stays with that flow. `owner` is written by the flow that sets `is_claimed`, and read by
// others when `is_known` is set.
unsafe impl Sync for Executor {}

/// What an executor has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecutorStats {
    /// Polls of futures.
    pub polls: u64,
    /// Waits because nothing was ready.
    pub waits: u64,
}

static EXECUTORS: ListLink<Executor> = ListLink::new(null_mut());

impl Default for Executor {
    fn default() -> Self {
        Self::new()
    }
}

impl Executor {
    /// An executor without tasks, which no flow of control owns yet.
    pub const fn new() -> Self {
        Self {
            inbox: AtomicPtr::new(null_mut()),
            is_idle: AtomicBool::new(false),
            owner: UnsafeCell::new(None),
            is_claimed: OnceFlag::new(false),
            is_known: OnceFlag::new(false),
            root: RootHeader(Header::root()),
            own: Own {
                runs: Cell::new(false),
                ready: Cell::new(null_mut()),
                deadlines: UnsafeCell::new(Deadlines::new()),
                polls: Cell::new(0),
                waits: Cell::new(0),
            },
            next: ListLink::new(null_mut()),
        }
    }

    /// Runs a future and the executor's tasks until the future ends. Tasks that have not ended
    /// then go on in the next call. The future may borrow from its surroundings; it is polled
    /// first, then whenever it was woken.
    ///
    /// # Panics
    /// When the executor belongs to another flow of control, and when the caller itself is run by
    /// an executor.
    pub fn run<F: Future>(&'static self, future: F) -> F::Output {
        assert!(Self::current().is_none(), "a task runs an executor; it should await instead");
        self.claim();
        self.own.runs.set(true);
        let result = self.run_root(future);
        self.own.runs.set(false);
        result
    }

    fn run_root<F: Future>(&'static self, future: F) -> F::Output {
        let mut future = pin!(future);
        let root = NonNull::from(&self.root.0);
        let waker = ManuallyDrop::new(Header::waker(root));
        loop {
            count(&self.own.polls);
            if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return result;
            }
            loop {
                let task = self.next_ready();
                // SAFETY: this is the executor's flow; the task is forgotten unless it is polled.
                if !unsafe { Header::dequeued(task) } {
                    continue;
                }
                if task == root {
                    break;
                }
                count(&self.own.polls);
                // SAFETY: as above.
                unsafe { Header::poll(task) };
            }
        }
    }

    /// Makes a task from anywhere: another thread or CPU, or before the executor runs. `make` is
    /// called by the executor, so that the future itself may be of a type that stays with its
    /// thread.
    ///
    /// ```
    /// use ukasync::{Event, Executor};
    ///
    /// static EXECUTOR: Executor = Executor::new();
    /// static GREETED: Event = Event::new();
    /// EXECUTOR.spawn(|| async { GREETED.set() })?;
    /// EXECUTOR.run(GREETED.wait());
    /// # Ok::<(), ukasync::SpawnError>(())
    /// ```
    ///
    /// # Errors
    /// [`SpawnError::NoMemory`].
    pub fn spawn<M, F>(&'static self, make: M) -> Result<(), SpawnError>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        task::spawn(self, async move { make().await }, 0).map(drop)
    }

    /// The executor that runs the caller.
    pub fn current() -> Option<&'static Executor> {
        let flow = Flow::current();
        let mut next = EXECUTORS.load(Ordering::Acquire);
        // SAFETY: only `claim` stores in the list, static executors.
        while let Some(executor) = unsafe { next.as_ref() } {
            if executor.owner() == Some(flow) && executor.own.runs.get() {
                return Some(executor);
            }
            next = executor.next.load(Ordering::Relaxed);
        }
        None
    }

    /// What the executor that runs the caller has done.
    pub fn stats() -> Option<ExecutorStats> {
        let own = &Self::current()?.own;
        Some(ExecutorStats { polls: own.polls.get(), waits: own.waits.get() })
    }

    fn owner(&self) -> Option<Flow> {
        if !self.is_known.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: it was written before `is_known` was set, and never is again.
        unsafe { *self.owner.get() }
    }

    /// Makes the caller the owner, if there is none.
    fn claim(&'static self) {
        let flow = Flow::current();
        if self.is_claimed.swap(true, Ordering::Relaxed) {
            let owner = self.owner();
            assert!(owner == Some(flow), "the executor belongs to {owner:?}, not to {flow:?}");
            return;
        }
        // SAFETY: who sets `is_claimed` comes here, once; nobody reads before `is_known` is set.
        unsafe { *self.owner.get() = Some(flow) };
        self.root.0.set_executor(self);
        self.is_known.store(true, Ordering::Release);
        let this = core::ptr::from_ref(self).cast_mut();
        let mut head = EXECUTORS.load(Ordering::Relaxed);
        loop {
            self.next.store(head, Ordering::Relaxed);
            let done = EXECUTORS.compare_exchange(head, this, Ordering::Release, Ordering::Relaxed);
            match done {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Queues a task whose bit `QUEUED` the caller has set; from anywhere. The task may be gone
    /// when this returns.
    pub(crate) fn enqueue(&self, task: NonNull<Header>) {
        update_ptr(&self.inbox, |last| {
            // SAFETY: it is alive until it is in the queue, whose links belong to who queues.
            unsafe { task.as_ref() }.next.set(last);
            task.as_ptr()
        });
        // The flow says that it is idle before it looks into the inbox for the last time.
        store_load();
        if self.is_idle.load(Ordering::Relaxed)
            && let Some(owner) = self.owner()
        {
            owner.wake();
        }
    }

    /// The next task that was woken; waits until there is one.
    fn next_ready(&self) -> NonNull<Header> {
        loop {
            if let Some(task) = NonNull::new(self.own.ready.get()) {
                // SAFETY: a queued task is alive, and the queue is ours.
                self.own.ready.set(unsafe { task.as_ref() }.next.get());
                return task;
            }
            // Once a round: the tasks that were ready have run.
            self.expire();
            if !self.collect() {
                self.wait();
            }
        }
    }

    /// Moves what is in the inbox to the queue, the first one first; returns whether there was
    /// something.
    fn collect(&self) -> bool {
        let mut task = update_ptr(&self.inbox, |_| null_mut());
        let mut ready = null_mut();
        // SAFETY: queued tasks are alive, and the queue is ours.
        while let Some(last) = unsafe { task.as_ref() } {
            let before = last.next.replace(ready);
            ready = task;
            task = before;
        }
        self.own.ready.set(ready);
        !ready.is_null()
    }

    /// Wakes the tasks whose deadline is over.
    fn expire(&self) {
        let earliest = self.with_deadlines(|deadlines| deadlines.earliest());
        let Some(earliest) = earliest else { return };
        let now = ukplat::monotonic_ns();
        if earliest > now {
            return;
        }
        while let Some(sleep) = self.with_deadlines(|deadlines| deadlines.pop_expired(now)) {
            sleep.wake();
        }
    }

    fn wait(&self) {
        count(&self.own.waits);
        let deadline = self.with_deadlines(|deadlines| deadlines.earliest());
        self.is_idle.store(true, Ordering::Relaxed);
        store_load();
        Flow::wait(deadline, || self.inbox.load(Ordering::Acquire).is_null());
        self.is_idle.store(false, Ordering::Relaxed);
    }

    /// Called by the executor's flow alone. `work` is code of this library that calls nobody else.
    pub(crate) fn with_deadlines<R>(&self, work: impl FnOnce(&mut Deadlines<SleepRef>) -> R) -> R {
        debug_assert_eq!(self.owner(), Some(Flow::current()));
        // SAFETY: only this flow comes here, and `work` does not come here again.
        work(unsafe { &mut *self.own.deadlines.get() })
    }
}

fn count(counter: &Cell<u64>) {
    counter.set(counter.get().wrapping_add(1));
}

/// Makes a task of the executor that runs the caller.
///
/// # Errors
/// See [`SpawnError`].
pub fn spawn<F: Future + 'static>(future: F) -> Result<JoinHandle<F::Output>, SpawnError> {
    let executor = Executor::current().ok_or(SpawnError::NoExecutor)?;
    task::spawn(executor, future, 1).map(JoinHandle::new::<F>)
}
