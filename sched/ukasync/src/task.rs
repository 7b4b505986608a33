//! A task: its future, who refers to it, and how it is woken.
//!
//! One word holds the state and the number of references, so that both change in one step:
//!
//! ```text
//! bit 0  QUEUED   the task is in a queue of its executor
//! bit 1  DONE     the future has ended; it is not polled again
//! 2…     references: wakers, and the handle that waits for the result
//! ```
//!
//! A task is freed when it is DONE, not QUEUED, and nobody refers to it. Freeing is up to the
//! executor's flow alone: memory must not be freed in interrupt handlers, and the result may be of
//! a type that stays with its thread. Whoever takes the last reference of a task that is DONE
//! therefore queues it, and the executor finds it.

use alloc::alloc::{alloc, dealloc};
use core::alloc::Layout;
use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::ptr::NonNull;
use core::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use crate::Executor;
use crate::sync::{AtomicUsize, Ordering, update};

const QUEUED: usize = 1;
const DONE: usize = 2;
const REFERENCE: usize = 4;

/// Why there is no new task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    /// There is no memory for it.
    NoMemory,
    /// The caller is not run by an executor.
    NoExecutor,
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SpawnError::NoMemory => "there is no memory for a task",
            SpawnError::NoExecutor => "tasks are spawned inside of Executor::run",
        })
    }
}

impl core::error::Error for SpawnError {}

/// What all tasks have in common.
pub struct Header {
    state: AtomicUsize,
    /// The next task in the queue; whoever has the queue uses it.
    pub next: Cell<*mut Header>,
    executor: Cell<Option<&'static Executor>>,
    functions: &'static Functions,
}

// SAFETY: `state` is atomic; `next` belongs to whoever put the task into a queue, then to who took
// the queue; `executor` is written before the task is known to anybody else, or by the flow that
// claims the executor.
unsafe impl Sync for Header {}

/// What depends on the future's type.
struct Functions {
    /// Polls; returns whether the future has ended.
    poll: unsafe fn(NonNull<Header>, &mut Context<'_>) -> bool,
    /// Drops what is left and frees the memory.
    free: unsafe fn(NonNull<Header>),
}

/// The future that `run` was given is polled by `run` itself.
static ROOT_FUNCTIONS: Functions = Functions { poll: |_, _| false, free: |_| {} };

impl Header {
    /// The header of an executor's root future.
    pub const fn root() -> Self {
        Self {
            // One reference that is never given back: it is never freed.
            state: AtomicUsize::new(REFERENCE),
            next: Cell::new(core::ptr::null_mut()),
            executor: Cell::new(None),
            functions: &ROOT_FUNCTIONS,
        }
    }

    /// Notes whose root this is.
    pub fn set_executor(&self, executor: &'static Executor) {
        self.executor.set(Some(executor));
    }

    /// Queues the task unless it is in a queue, or has ended.
    #[inline]
    fn wake(&self) {
        let before = update(&self.state, |now| if now & DONE == 0 { now | QUEUED } else { now });
        if before & (QUEUED | DONE) == 0 {
            self.enqueue();
        }
    }

    /// Queues a task whose bit `QUEUED` the caller has set.
    fn enqueue(&self) {
        if let Some(executor) = self.executor.get() {
            executor.enqueue(NonNull::from(self));
        }
    }

    fn add_reference(&self) {
        let before = update(&self.state, |now| now.wrapping_add(REFERENCE));
        assert!(before < usize::MAX / 2, "too many wakers of one task");
    }

    /// Gives a reference back; after that the task may be gone.
    fn drop_reference(&self) {
        let last_of_done = |now: usize| now - REFERENCE == DONE;
        let before =
            update(
                &self.state,
                |now| {
                    if last_of_done(now) { DONE | QUEUED } else { now - REFERENCE }
                },
            );
        if last_of_done(before) {
            self.enqueue();
        }
    }

    fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) & DONE != 0
    }

    /// The task was taken out of the queue; returns whether it is to be polled.
    ///
    /// # Safety
    /// Called by the executor's flow, which forgets a task that is not to be polled.
    #[inline]
    pub unsafe fn dequeued(task: NonNull<Header>) -> bool {
        // SAFETY: a queued task is not freed.
        let before = update(unsafe { &task.as_ref().state }, |now| now & !QUEUED);
        if before & DONE == 0 {
            return true;
        }
        if before == DONE | QUEUED {
            // SAFETY: it has ended, nobody refers to it, and this is the executor's flow.
            unsafe { (task.as_ref().functions.free)(task) };
        }
        false
    }

    /// Polls a task that was dequeued; returns whether it has ended, and may be gone.
    ///
    /// # Safety
    /// Called by the executor's flow.
    #[inline]
    pub unsafe fn poll(task: NonNull<Header>) -> bool {
        let waker = ManuallyDrop::new(Self::waker(task));
        // SAFETY: it is alive: it has not ended before.
        let functions = unsafe { task.as_ref().functions };
        // SAFETY: this is the executor's flow.
        if !unsafe { (functions.poll)(task, &mut Context::from_waker(&waker)) } {
            return false;
        }
        // SAFETY: it is alive until it is freed below, or by whoever finds it DONE.
        let before = update(unsafe { &task.as_ref().state }, |now| now | DONE);
        if before == 0 {
            // SAFETY: it has ended, nobody refers to it, and this is the executor's flow.
            unsafe { (functions.free)(task) };
        }
        true
    }

    /// A waker that does not count as a reference: it must not be dropped.
    pub fn waker(task: NonNull<Header>) -> Waker {
        // SAFETY: the functions keep what `RawWakerVTable` demands: they may be called from
        // everywhere, and every clone is a reference that keeps the task.
        unsafe { Waker::from_raw(RawWaker::new(task.as_ptr().cast(), &WAKER)) }
    }
}

static WAKER: RawWakerVTable = {
    fn header<'a>(data: *const ()) -> &'a Header {
        // SAFETY: only `Header::waker` makes wakers with this table, and each of them is, or is
        // covered by, a reference that keeps the task.
        unsafe { &*data.cast() }
    }
    RawWakerVTable::new(
        |data| {
            header(data).add_reference();
            RawWaker::new(data, &WAKER)
        },
        |data| {
            header(data).wake();
            header(data).drop_reference();
        },
        |data| header(data).wake(),
        |data| header(data).drop_reference(),
    )
};

enum Stage<F: Future> {
    Runs(F),
    Ended(F::Output),
    Taken,
}

#[repr(C)]
struct Task<F: Future> {
    header: Header,
    common: Common,
    stage: UnsafeCell<Stage<F>>,
}

/// What the handle needs beside the result.
struct Common {
    joiner: Cell<Option<Waker>>,
}

impl<F: Future + 'static> Task<F> {
    const FUNCTIONS: Functions = Functions { poll: Self::poll, free: Self::free };

    unsafe fn poll(task: NonNull<Header>, context: &mut Context<'_>) -> bool {
        // SAFETY: the header is the first field of a task of this type, which is alive; only this
        // flow touches the stage, and no reference to it is held while the future runs but this.
        let task: &Self = unsafe { task.cast().as_ref() };
        let result = {
            // SAFETY: as above.
            let stage = unsafe { &mut *task.stage.get() };
            let Stage::Runs(future) = stage else { return true };
            // SAFETY: the future stays where it is until it is dropped.
            unsafe { Pin::new_unchecked(future) }.poll(context)
        };
        let Poll::Ready(result) = result else { return false };
        // The future is dropped before anybody sees its result.
        // SAFETY: as above.
        unsafe { *task.stage.get() = Stage::Ended(result) };
        if let Some(joiner) = task.common.joiner.take() {
            joiner.wake();
        }
        true
    }

    unsafe fn free(task: NonNull<Header>) {
        let task: NonNull<Self> = task.cast();
        // SAFETY: the caller's promise: nobody uses the task any more. It was made by `spawn`.
        unsafe {
            core::ptr::drop_in_place(task.as_ptr());
            dealloc(task.as_ptr().cast(), Layout::new::<Self>());
        }
    }
}

/// Makes a task and queues it.
pub fn spawn<F: Future + 'static>(
    executor: &'static Executor,
    future: F,
    references: usize,
) -> Result<NonNull<Header>, SpawnError> {
    // SAFETY: the type is not empty: it has a header.
    let memory = unsafe { alloc(Layout::new::<Task<F>>()) };
    let task: NonNull<Task<F>> = NonNull::new(memory.cast()).ok_or(SpawnError::NoMemory)?;
    let header = Header {
        state: AtomicUsize::new((references * REFERENCE) | QUEUED),
        next: Cell::new(core::ptr::null_mut()),
        executor: Cell::new(Some(executor)),
        functions: &Task::<F>::FUNCTIONS,
    };
    let stage = UnsafeCell::new(Stage::Runs(future));
    let common = Common { joiner: Cell::new(None) };
    // SAFETY: the memory is new and has the task's layout.
    unsafe { task.write(Task { header, common, stage }) };
    executor.enqueue(task.cast());
    Ok(task.cast())
}

/// The handle of a task: a future whose result is the task's. Dropping it lets the task run on
/// without it.
#[must_use = "a task whose handle is dropped runs on; its result is lost"]
pub struct JoinHandle<T> {
    task: NonNull<Header>,
    common: NonNull<Common>,
    /// Moves the result out; `None` when it was taken before.
    take: unsafe fn(NonNull<Header>) -> Option<T>,
    // The result stays with the flow of the executor, and so does the handle.
    _not_send: PhantomData<*mut T>,
}

impl<T> JoinHandle<T> {
    /// The handle of a task that was just made with one reference.
    pub fn new<F: Future<Output = T> + 'static>(task: NonNull<Header>) -> Self {
        unsafe fn take<F: Future>(task: NonNull<Header>) -> Option<F::Output> {
            let task: NonNull<Task<F>> = task.cast();
            // SAFETY: the task is of this type and alive; it has ended, so that only its handle,
            // which is on the executor's flow, touches the stage.
            match unsafe { task.as_ref().stage.get().replace(Stage::Taken) } {
                Stage::Ended(result) => Some(result),
                Stage::Runs(_) | Stage::Taken => None,
            }
        }
        let whole: NonNull<Task<F>> = task.cast();
        // SAFETY: the task is alive, and of this type.
        let common = NonNull::from(unsafe { &whole.as_ref().common });
        Self { task, common, take: take::<F>, _not_send: PhantomData }
    }

    /// Lets the task run on without the handle; its result is dropped.
    pub fn detach(self) {}

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        // SAFETY: the handle is a reference that keeps the task.
        unsafe { self.task.as_ref() }.is_done()
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("finished", &self.is_finished()).finish()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = T;

    /// # Panics
    /// When the result was taken before.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if self.is_finished() {
            // SAFETY: the task has ended and is kept by this handle.
            let result = unsafe { (self.take)(self.task) };
            return Poll::Ready(result.expect("the result of a task is taken once"));
        }
        // SAFETY: as above; only the executor's flow comes here and to `Task::poll`.
        unsafe { self.common.as_ref() }.joiner.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        // SAFETY: the handle is a reference that keeps the task until now.
        unsafe { self.task.as_ref() }.drop_reference();
    }
}
