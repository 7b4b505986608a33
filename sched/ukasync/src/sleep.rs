//! Time: sleeping, limits, and making room.

use core::cell::Cell;
use core::fmt;
use core::future::poll_fn;
use core::marker::{PhantomData, PhantomPinned};
use core::pin::{Pin, pin};
use core::ptr::NonNull;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use uktimers::{Entry, Node};

use crate::Executor;

/// Waits that long.
pub fn sleep(time: Duration) -> Sleep {
    let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    sleep_until(ukplat::monotonic_ns().saturating_add(ns))
}

/// Waits until the monotonic clock has reached `deadline_ns`.
pub fn sleep_until(deadline_ns: u64) -> Sleep {
    Sleep {
        deadline_ns,
        node: Node::new(),
        waker: Cell::new(None),
        executor: Cell::new(None),
        _pinned: PhantomPinned,
        _not_send: PhantomData,
    }
}

/// The future of [`sleep`] and [`sleep_until`]. It needs no memory but its own. Dropping it ends
/// the wait.
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    deadline_ns: u64,
    node: Node<SleepRef>,
    waker: Cell<Option<Waker>>,
    /// Where the node was inserted.
    executor: Cell<Option<&'static Executor>>,
    // The executor points to it,
    _pinned: PhantomPinned,
    // and belongs to this flow of control.
    _not_send: PhantomData<*mut ()>,
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline_ns", &self.deadline_ns).finish_non_exhaustive()
    }
}

/// A sleep that its executor knows.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct SleepRef(NonNull<Sleep>);

impl SleepRef {
    /// Wakes whoever awaits the sleep, which was taken out of the deadlines.
    pub fn wake(self) {
        // SAFETY: as in `node`; nothing was dropped since it was taken out.
        if let Some(waker) = unsafe { self.0.as_ref() }.waker.take() {
            waker.wake();
        }
    }
}

impl Entry for SleepRef {
    fn node(&self) -> &Node<Self> {
        // SAFETY: a sleep is pinned and takes itself out of the deadlines before it is dropped.
        unsafe { &self.0.as_ref().node }
    }
}

impl Future for Sleep {
    type Output = ();

    /// # Panics
    /// Outside of [`Executor::run`].
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.into_ref();
        if this.executor.get().is_some() {
            if !this.node.is_queued() {
                return Poll::Ready(());
            }
        } else {
            if ukplat::monotonic_ns() >= this.deadline_ns {
                return Poll::Ready(());
            }
            let executor = Executor::current().expect("a sleep is awaited inside Executor::run");
            this.executor.set(Some(executor));
            let entry = SleepRef(NonNull::from(this.get_ref()));
            executor.with_deadlines(|deadlines| deadlines.insert(entry, this.deadline_ns));
        }
        this.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(executor) = self.executor.get() {
            let entry = SleepRef(NonNull::from(&*self));
            executor.with_deadlines(|deadlines| deadlines.remove(entry));
        }
    }
}

/// The time of [`timeout`] is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is over")
    }
}

impl core::error::Error for Elapsed {}

/// Waits for a future, but not longer than `limit`; then the future is dropped.
///
/// ```
/// use core::time::Duration;
/// # static EXECUTOR: ukasync::Executor = ukasync::Executor::new();
/// # EXECUTOR.run(async {
/// let never = core::future::pending::<()>();
/// assert_eq!(ukasync::timeout(Duration::from_millis(1), never).await, Err(ukasync::Elapsed));
/// # });
/// ```
///
/// # Errors
/// [`Elapsed`].
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut over = pin!(sleep(limit));
    poll_fn(|context| {
        if let Poll::Ready(result) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(result));
        }
        over.as_mut().poll(context).map(|()| Err(Elapsed))
    })
    .await
}

/// Makes room for the tasks that are ready.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if core::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}
