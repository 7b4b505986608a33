//! With a scheduler: a thread waits for the timers. It begins when a timer is armed.

use core::sync::atomic::{AtomicBool, Ordering::SeqCst};

use syscall_shim::Errno;
use uklock::{Mutex, WaitQueue};

static CHANGED: AtomicBool = AtomicBool::new(false);
static QUEUE: WaitQueue = WaitQueue::new();
static RUNS: Mutex<bool> = Mutex::new(false);

/// A timer was armed or disarmed.
///
/// # Errors
/// `EAGAIN` when there is no memory for the thread.
pub fn changed() -> Result<(), Errno> {
    let mut runs = RUNS.lock();
    if !*runs {
        let builder = uksched::Builder::new("timers").priority(uksched::PRIORITIES - 1);
        builder.spawn(serve).map_err(|_| Errno::EAGAIN)?;
        *runs = true;
    }
    drop(runs);
    look_again();
    Ok(())
}

/// Timers may expire at other times than it seemed.
pub fn look_again() {
    CHANGED.store(true, SeqCst);
    QUEUE.wake_one();
}

fn serve() {
    loop {
        let next = super::expire();
        let told = || CHANGED.swap(false, SeqCst);
        match next {
            Some(next) => {
                QUEUE.wait_until(next, told);
            }
            None => QUEUE.wait(told),
        }
    }
}

/// The thread looks.
pub fn look() {}

/// The thread looks.
pub fn request() {}
