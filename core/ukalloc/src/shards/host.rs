//! Shards for the threads of a host process: tests and benchmarks.

use core::cell::Cell;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::Shards;
use crate::sync::AtomicWord;
use crate::{RawLock, SpinLock};

/// A shard for each of the first `N - 2` threads of the process; those beyond share one under a
/// lock. When a thread ends, its shard waits for the next thread that starts to allocate.
#[derive(Debug)]
pub struct ThreadShards<const N: usize> {
    common: SpinLock,
    shared: SpinLock,
}

impl<const N: usize> ThreadShards<N> {
    /// The shard of threads without one of their own.
    const COMMON: usize = N - 2;
    /// The shard that nobody enters: where such threads are briefly.
    const LOBBY: usize = N - 1;

    /// Shards for threads.
    pub const fn new() -> Self {
        assert!(N >= 3 && N <= MAX_THREADS, "from 3 to 1024 shards");
        Self { common: SpinLock::new(), shared: SpinLock::new() }
    }

    /// For threads without a shard of their own, or without one yet.
    #[cold]
    #[inline(never)]
    fn enter_slowly(&self) -> usize {
        if THREAD.get() == NOT_ASKED {
            let thread = number_this_thread();
            if thread < Self::COMMON {
                return thread;
            }
        }
        acquire(&self.common);
        Self::COMMON
    }
}

/// The holder may be off the CPU: others should not wait on it for long.
fn acquire(lock: &SpinLock) {
    let mut tries = 0;
    while !lock.try_acquire() {
        tries += 1;
        if tries % 64 == 0 { std::thread::yield_now() } else { core::hint::spin_loop() }
    }
}

impl<const N: usize> Default for ThreadShards<N> {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: numbers of threads are unique while they are held, so a shard below `COMMON` is entered
// by one thread only; the lock is held inside of `COMMON`. Numbers are released with `Release` and
// claimed with `Acquire`.
unsafe impl<const N: usize> Shards for ThreadShards<N> {
    const COUNT: usize = N;
    const CONCURRENT: bool = true;
    type Array<T> = [T; N];

    #[inline]
    fn enter(&self) -> usize {
        let thread = THREAD.get();
        if thread < Self::COMMON { thread } else { self.enter_slowly() }
    }

    #[inline]
    unsafe fn leave(&self, shard: usize) {
        if shard == Self::COMMON {
            self.common.release();
        }
    }

    #[inline(always)]
    fn enter_briefly(&self) -> usize {
        let thread = THREAD.get();
        if thread < Self::COMMON { thread } else { Self::LOBBY }
    }

    #[inline]
    unsafe fn stay(&self, shard: usize) -> usize {
        if shard == Self::LOBBY { self.enter_slowly() } else { shard }
    }

    #[inline(always)]
    unsafe fn leave_briefly(&self, _shard: usize) {}

    fn adopt(&self, shard: usize) -> bool {
        match shard {
            _ if shard == Self::LOBBY => false,
            _ if shard == Self::COMMON => self.common.try_acquire(),
            _ => NUMBERS.claim_one(shard),
        }
    }

    unsafe fn abandon(&self, shard: usize) {
        if shard == Self::COMMON {
            self.common.release();
        } else {
            NUMBERS.release(shard);
        }
    }

    fn lock(&self) {
        acquire(&self.shared);
    }

    unsafe fn unlock(&self) {
        self.shared.release();
    }
}

const MAX_THREADS: usize = 1024;
/// This thread did not ask for a number yet.
const NOT_ASKED: usize = usize::MAX;
/// There was no number left, or the thread is at its end.
const NONE: usize = usize::MAX - 1;

static NUMBERS: Numbers = Numbers::new();

std::thread_local! {
    // Apart from the guard: a value without a destructor is read by one instruction.
    static THREAD: Cell<usize> = const { Cell::new(NOT_ASKED) };
    static AT_THREAD_END: ReleaseNumber = const { ReleaseNumber };
}

struct ReleaseNumber;

impl Drop for ReleaseNumber {
    fn drop(&mut self) {
        let number = THREAD.replace(NONE);
        if number < MAX_THREADS {
            NUMBERS.release(number);
        }
    }
}

fn number_this_thread() -> usize {
    // Should the registration of the destructor allocate, then without a number.
    THREAD.set(NONE);
    if AT_THREAD_END.try_with(|_| ()).is_ok() {
        THREAD.set(NUMBERS.claim().unwrap_or(NONE));
    }
    THREAD.get()
}

/// Numbers from 0 that are given out and come back.
#[derive(Debug)]
pub(crate) struct Numbers {
    taken: [AtomicWord; MAX_THREADS / usize::BITS as usize],
}

impl Numbers {
    pub(crate) const fn new() -> Self {
        Self { taken: [const { AtomicWord::new(0) }; MAX_THREADS / usize::BITS as usize] }
    }

    /// The least free number.
    pub(crate) fn claim(&self) -> Option<usize> {
        for (index, word) in self.taken.iter().enumerate() {
            let mut bits = word.load(Relaxed);
            while bits != usize::MAX {
                let bit = bits.trailing_ones() as usize;
                match word.compare_exchange_weak(bits, bits | 1 << bit, Acquire, Relaxed) {
                    Ok(_) => return Some(index * usize::BITS as usize + bit),
                    Err(found) => bits = found,
                }
            }
        }
        None
    }

    /// That number, when it is free.
    pub(crate) fn claim_one(&self, number: usize) -> bool {
        let (word, bit) = self.place(number);
        word.fetch_or(bit, Acquire) & bit == 0
    }

    pub(crate) fn release(&self, number: usize) {
        let (word, bit) = self.place(number);
        word.fetch_and(!bit, Release);
    }

    fn place(&self, number: usize) -> (&AtomicWord, usize) {
        let bits = usize::BITS as usize;
        (&self.taken[number / bits], 1 << (number % bits))
    }
}
