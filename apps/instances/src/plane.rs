//! The data plane: a function that the manifest gives a CPU from the beginning.

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use core::time::Duration;

use uklock::Semaphore;
use uksched::{current, park, sleep_until, yield_now};
use uktest::{Check, ensure};

pub(crate) const CHECKS: [Check; 2] = [
    ("the data plane runs from the beginning, undisturbed", undisturbed),
    ("it waits without using its CPU, and is woken", idles),
];

/// The CPU that the manifest gives to [`poll`].
pub const CPU: usize = 3;

static ROUNDS: AtomicU64 = AtomicU64::new(0);
static STATE: AtomicUsize = AtomicUsize::new(0);
static SWITCHES: AtomicU64 = AtomicU64::new(0);
static WOKEN: AtomicBool = AtomicBool::new(false);
static DONE: Semaphore = Semaphore::new(0);

const POLL: usize = 0;
const WAIT: usize = 1;
const STOP: usize = 2;

/// Polls until it is told to wait, and then until it is told to end.
pub fn poll(cpu: usize) {
    assert_eq!((cpu, ukplat::cpu_id()), (CPU, CPU));
    let me = current();
    let before = me.stats().switches;
    while STATE.load(SeqCst) == POLL {
        ROUNDS.fetch_add(1, SeqCst);
        // Says that nothing is being read, for who waits for readers.
        yield_now();
    }
    SWITCHES.store(me.stats().switches - before + me.stats().preemptions, SeqCst);
    while STATE.load(SeqCst) == WAIT {
        DONE.release();
        park(None);
        WOKEN.store(true, SeqCst);
    }
    DONE.release();
}

/// Ends [`poll`].
pub fn stop() {
    STATE.store(STOP, SeqCst);
}

fn soon() -> u64 {
    ukplat::monotonic_ns() + Duration::from_millis(10).as_nanos() as u64
}

fn undisturbed() -> Result<(), &'static str> {
    let (before, limit) = (ROUNDS.load(SeqCst), uklock::deadline(Duration::from_secs(20)));
    while ROUNDS.load(SeqCst) < before + 1000 {
        ensure(ukplat::monotonic_ns() < limit, "it does not run")?;
        sleep_until(soon());
    }
    STATE.store(WAIT, SeqCst);
    ensure(DONE.acquire_until(limit), "it does not listen")?;
    ensure(SWITCHES.load(SeqCst) == 0, "something else had its CPU")
}

fn idles() -> Result<(), &'static str> {
    let poll =
        uksched::threads().find(|t| t.name().as_str() == "poll").ok_or("it is not listed")?;
    ensure(poll.cpu() == CPU && poll.affinity() == 1 << CPU, "it is elsewhere")?;
    sleep_until(soon());
    ensure(!WOKEN.load(SeqCst), "it did not wait")?;
    stop();
    poll.unpark();
    ensure(DONE.acquire_until(uklock::deadline(Duration::from_secs(20))), "it was not woken")?;
    ensure(WOKEN.load(SeqCst), "it did not wait")
}
