//! Futexes whose word names the owner: `FUTEX_LOCK_PI`, `FUTEX_TRYLOCK_PI`, `FUTEX_UNLOCK_PI`
//! (futex(2), "Priority-inheritance futexes").
//!
//! The word says all there is to know, so that programs lock and unlock without a call while nobody
//! waits: the owner's number, whether others wait, whether an owner ended without unlocking.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use syscall_shim::Errno;
use uklock::Mutex;
use ukplat::StaticRef;

use crate::queue::Queue;
use crate::waiter::{Deadline, Waiter, this, unpark, urgency, wait_once};

// Parts of the word (`linux/futex.h`).
const WAITERS: u32 = 1 << 31;
const OWNER_DIED: u32 = 1 << 30;
const OWNER: u32 = OWNER_DIED - 1;

/// What the library that numbers threads tells of them.
#[derive(Debug)]
pub struct Threads {
    /// Number of the calling thread.
    pub current: fn() -> u32,
    /// Whether there is a thread with this number. Asked under the lock of those who wait: whatever
    /// this locks is locked after that, never before.
    pub exists: fn(u32) -> bool,
}

static THREADS: StaticRef<Threads> = StaticRef::new();

/// Sets who numbers threads.
pub fn set_threads(threads: &'static Threads) {
    THREADS.set(threads);
}

fn threads() -> Result<&'static Threads, Errno> {
    THREADS.get().ok_or(Errno::ENOSYS)
}

/// Who waits for a lock.
#[derive(Clone, Copy)]
struct Contender {
    number: u32,
    waiter: Waiter,
}

static CONTENDERS: Mutex<Queue<Contender>> = Mutex::new(Queue::new());

/// Makes room for that many threads that wait at once.
pub fn reserve(threads: usize) -> Result<(), Errno> {
    CONTENDERS.lock().reserve(threads)
}

/// How long to wait for a lock.
#[derive(Clone, Copy)]
pub enum Patience {
    /// Not at all.
    None,
    /// Until a time; without one for ever.
    Until(Option<Deadline>),
}

/// Takes a lock, or waits for it. One whose owner ended keeps the bit that says so.
///
/// # Errors
/// `EAGAIN` when it is taken and there is no patience, `EDEADLK` when it is the caller's, `ESRCH` when
/// it is that of no thread, `EINTR`, `ETIMEDOUT`; `ENOSYS` when nobody numbers threads
pub fn lock(word: &AtomicU32, address: usize, patience: Patience) -> Result<usize, Errno> {
    let threads = threads()?;
    let number = (threads.current)();
    let (ticket, deadline) = {
        // Whoever unlocks does so before this, or finds the contender.
        let mut contenders = CONTENDERS.lock();
        let others = contenders.count(address) > 0;
        let now = change(word, |seen| match (seen & OWNER, patience) {
            (0, _) => Ok(owned(number, seen, others)),
            (owner, _) if owner == number => Err(Errno::EDEADLK),
            (owner, _) if !(threads.exists)(owner) => Err(Errno::ESRCH),
            (_, Patience::None) => Err(Errno::EAGAIN),
            (_, Patience::Until(_)) => Ok(seen | WAITERS),
        })?;
        match patience {
            Patience::Until(deadline) if now & OWNER != number => {
                let contender = Contender { number, waiter: this() };
                (contenders.add(address, u32::MAX, contender)?, deadline)
            }
            _ => return Ok(0),
        }
    };
    loop {
        let waited = wait_once(deadline);
        let mut contenders = CONTENDERS.lock();
        if !contenders.waits(ticket) {
            // It was handed over.
            return Ok(0);
        }
        // The owner may have ended; the C library may have written so before.
        let others = contenders.count(address) > 1;
        let now = change(word, |seen| match seen & OWNER {
            0 => Ok(owned(number, seen, others)),
            owner if !(threads.exists)(owner) => Ok(owned(number, OWNER_DIED, others)),
            _ => Ok(seen | WAITERS),
        })?;
        let got = now & OWNER == number;
        if got || waited.is_err() {
            contenders.remove(ticket);
            return if got { Ok(0) } else { waited.map(|()| 0) };
        }
    }
}

/// Unlocks, and hands over to the most urgent of those who wait.
///
/// # Errors
/// `EPERM` when it is not the caller's; `ENOSYS` when nobody numbers threads
pub fn unlock(word: &AtomicU32, address: usize) -> Result<usize, Errno> {
    let number = (threads()?.current)();
    let mut contenders = CONTENDERS.lock();
    let heir = contenders.greatest(address, |contender| urgency(contender.waiter));
    let others = contenders.count(address) > 1;
    change(word, |seen| match heir {
        _ if seen & OWNER != number => Err(Errno::EPERM),
        Some((_, heir)) => Ok(owned(heir.number, 0, others)),
        None => Ok(0),
    })?;
    if let Some((ticket, heir)) = heir {
        contenders.remove(ticket);
        drop(contenders);
        unpark(heir.waiter);
    }
    Ok(0)
}

/// A thread has ended and its number is gone: whoever waits for what it owned takes that over.
pub fn thread_ended() {
    look_again();
}

/// Lets all who wait for a lock look at what they wait for.
pub fn look_again() {
    CONTENDERS.lock().all().for_each(|contender| unpark(contender.waiter));
}

/// The word of a lock with an owner; it was `before`.
fn owned(number: u32, before: u32, others: bool) -> u32 {
    number | before & OWNER_DIED | if others { WAITERS } else { 0 }
}

/// Changes the word from what is seen there to what `next` makes of that; returns the new value.
fn change(word: &AtomicU32, next: impl Fn(u32) -> Result<u32, Errno>) -> Result<u32, Errno> {
    let mut seen = word.load(SeqCst);
    loop {
        // The program locks and unlocks without a call, also while this looks: an owner that is no more
        // may have unlocked before it ended.
        let now = match next(seen) {
            Ok(wanted) => match word.compare_exchange(seen, wanted, SeqCst, SeqCst) {
                Ok(_) => return Ok(wanted),
                Err(now) => now,
            },
            Err(error) => match word.load(SeqCst) {
                now if now == seen => return Err(error),
                now => now,
            },
        };
        seen = now;
    }
}
