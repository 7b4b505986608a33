//! What interrupt handlers and other CPUs tell a task.

use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Poll;

use atomic_waker::AtomicWaker;

/// Something that happens, and a task that waits for it. What happens before the task waits is
/// kept; what happens twice before it looks counts once.
///
/// ```
/// use ukasync::{Event, Executor};
///
/// static EXECUTOR: Executor = Executor::new();
/// static RECEIVED: Event = Event::new();
/// RECEIVED.set(); // by an interrupt handler, say
/// EXECUTOR.run(RECEIVED.wait());
/// ```
#[derive(Debug)]
pub struct Event {
    happened: AtomicBool,
    waiter: AtomicWaker,
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl Event {
    /// An event that has not happened.
    pub const fn new() -> Self {
        Self { happened: AtomicBool::new(false), waiter: AtomicWaker::new() }
    }

    /// It happens. May be called from everywhere, interrupt handlers included.
    pub fn set(&self) {
        self.happened.store(true, Ordering::Release);
        self.waiter.wake();
    }

    /// Whether it has happened since this was last asked or awaited.
    pub fn take(&self) -> bool {
        self.happened.load(Ordering::Relaxed) && self.happened.swap(false, Ordering::Acquire)
    }

    /// Waits until it happens. One task waits at a time: the last one that began is woken.
    pub async fn wait(&self) {
        poll_fn(|context| {
            if self.take() {
                return Poll::Ready(());
            }
            self.waiter.register(context.waker());
            // It may have happened before the waker was there.
            if self.take() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await
    }
}
