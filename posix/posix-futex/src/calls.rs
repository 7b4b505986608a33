//! The system call.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use posix_time::{Clock, TimeSpec};
use syscall_shim::{
    Address, As, Errno, FutexOperation, Meaning, Traced, UserPtr, UserWord, syscall,
};
use uklock::Mutex;

use crate::pi;
use crate::queue::Queue;
#[cfg(any(feature = "threads", feature = "model"))]
use crate::waiter::this;
use crate::waiter::{Deadline, Waiter, unpark, wait_once};

// Operations and flags (`linux/futex.h`).
const WAIT: i32 = 0;
const WAKE: i32 = 1;
const REQUEUE: i32 = 3;
const CMP_REQUEUE: i32 = 4;
const WAKE_OP: i32 = 5;
const LOCK_PI: i32 = 6;
const UNLOCK_PI: i32 = 7;
const TRYLOCK_PI: i32 = 8;
const WAIT_BITSET: i32 = 9;
const WAKE_BITSET: i32 = 10;
const PRIVATE: i32 = 128;
const CLOCK_REALTIME: i32 = 256;
const ALL_BITS: u32 = u32::MAX;
/// Waiters that are woken with one look at the queue.
const AT_ONCE: usize = 8;

static QUEUE: Mutex<Queue<Waiter>> = Mutex::new(Queue::new());

/// Makes room for that many threads that wait at once, each for any word or any lock. C libraries take
/// a wait that fails for one that is over, and wait again, or wait for ever for a lock that they cannot
/// have: so they would when memory runs out.
///
/// Not to be called with a lock that [`Threads::exists`](crate::Threads) takes, which is asked under
/// one that this takes.
///
/// # Errors
/// `ENOMEM`
pub fn reserve(threads: usize) -> Result<(), Errno> {
    QUEUE.lock().reserve(threads)?;
    pi::reserve(threads)
}

/// Wakes at most `count` threads that wait for the word at an address; returns how many.
pub fn wake(address: usize, count: usize) -> usize {
    wake_bits(address, count, ALL_BITS)
}

fn wake_bits(address: usize, count: usize, bits: u32) -> usize {
    let end = QUEUE.lock().end();
    wake_before(address, count, bits, end)
}

/// Wakes those with tickets before `end`: none who waits again because he was just woken.
fn wake_before(address: usize, count: usize, bits: u32, end: u64) -> usize {
    let mut woken = 0;
    while woken < count {
        // A few at a time, without memory for a list: it may have run out.
        let mut some = [None; AT_ONCE];
        let places = AT_ONCE.min(count - woken);
        let taken = QUEUE.lock().take(address, bits, end, &mut some[..places]);
        some.into_iter().flatten().for_each(unpark);
        woken += taken;
        if taken < places {
            break;
        }
    }
    woken
}

/// See futex(2). `other` is a time to wait, or a second number of threads.
#[syscall]
fn futex(
    #[trace(Address)] word: UserPtr<u32>,
    #[trace(FutexOperation)] operation: i32,
    value: u32,
    #[trace(As<Other>)] other: UserWord,
    #[trace(As<Second>)] second: UserWord,
    #[trace(As<Bits>)] bits: u32,
) -> Result<usize, Errno> {
    let address = word.address();
    let real = operation & CLOCK_REALTIME != 0;
    let known = operation & !(PRIVATE | CLOCK_REALTIME);
    if real && ![WAIT, WAIT_BITSET].contains(&known) {
        return Err(Errno::ENOSYS);
    }
    let count = |number: usize| usize::try_from(number as i32).map_err(|_| Errno::EINVAL);
    // As on Linux, one is woken before anybody counts.
    let at_least_one = |number: u32| usize::try_from(number as i32).unwrap_or(1).max(1);
    match known {
        WAIT => wait(word, value, timeout(other)?.map(Deadline::after), ALL_BITS),
        WAIT_BITSET => {
            let clock = if real { Clock::Real } else { Clock::Monotonic };
            let at = timeout(other)?.map(|ns| Deadline::at(clock, ns));
            wait(word, value, at, some(bits)?)
        }
        WAKE => Ok(wake(aligned(address)?, at_least_one(value))),
        WAKE_BITSET => Ok(wake_bits(aligned(address)?, at_least_one(value), some(bits)?)),
        REQUEUE | CMP_REQUEUE => {
            let second: UserPtr<'_, u32> = second.pointer()?;
            let expected = (known == CMP_REQUEUE).then_some(bits);
            requeue(word, count(value as usize)?, count(other.value())?, second, expected)
        }
        WAKE_OP => {
            let second: UserPtr<'_, u32> = second.pointer()?;
            let other = change(second.atomic()?, bits)?.then(|| at_least_one(other.value() as u32));
            let first = wake(aligned(address)?, at_least_one(value));
            Ok(first + other.map_or(0, |other| wake(second.address(), other)))
        }
        LOCK_PI => {
            let at = timeout(other)?.map(|ns| Deadline::at(Clock::Real, ns));
            pi::lock(word.atomic()?, word.address(), pi::Patience::Until(at))
        }
        TRYLOCK_PI => pi::lock(word.atomic()?, word.address(), pi::Patience::None),
        UNLOCK_PI => pi::unlock(word.atomic()?, word.address()),
        _ => Err(Errno::ENOSYS),
    }
}

/// The operation of a call.
fn operation(call: &Traced<'_>) -> i32 {
    call.word(1) as i32 & !(PRIVATE | CLOCK_REALTIME)
}

/// A time, or a number of threads; nothing for operations that have neither.
enum Other {}

impl Meaning for Other {
    fn trace(word: UserWord<'_>, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        match operation(call) {
            WAIT | WAIT_BITSET | LOCK_PI => word.trace_target::<TimeSpec>(out),
            REQUEUE | CMP_REQUEUE | WAKE_OP => write!(out, "{}", word.value() as u32),
            _ => Ok(()),
        }
    }
}

/// The second word, for operations with two.
enum Second {}

impl Meaning for Second {
    fn trace(word: UserWord<'_>, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        match operation(call) {
            REQUEUE | CMP_REQUEUE | WAKE_OP => word.trace_address(out),
            _ => Ok(()),
        }
    }
}

/// What is compared, done, or who is meant.
enum Bits {}

impl Meaning for Bits {
    fn trace(word: UserWord<'_>, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        match operation(call) {
            CMP_REQUEUE => write!(out, "{}", word.value() as u32),
            WAIT_BITSET | WAKE_BITSET | WAKE_OP => write!(out, "{:#x}", word.value() as u32),
            _ => Ok(()),
        }
    }
}

fn aligned(address: usize) -> Result<usize, Errno> {
    if address.is_multiple_of(size_of::<u32>()) { Ok(address) } else { Err(Errno::EINVAL) }
}

fn some(bits: u32) -> Result<u32, Errno> {
    if bits == 0 { Err(Errno::EINVAL) } else { Ok(bits) }
}

/// The time in nanoseconds, if one was given.
fn timeout(time: UserWord<'_>) -> Result<Option<u64>, Errno> {
    if time.value() == 0 {
        return Ok(None);
    }
    time.pointer::<TimeSpec>()?.read().to_ns().map(Some)
}

/// Lets those look again who wait until a time of the wall clock.
pub fn look_again() {
    QUEUE.lock().all().for_each(unpark);
}

/// Without threads nobody is there who could wake the caller: time and signals end the wait, and nothing
/// is to be remembered of it.
#[cfg(not(any(feature = "threads", feature = "model")))]
fn wait(
    word: UserPtr<'_, u32>,
    expected: u32,
    deadline: Option<Deadline>,
    _bits: u32,
) -> Result<usize, Errno> {
    if word.atomic()?.load(SeqCst) != expected {
        return Err(Errno::EAGAIN);
    }
    loop {
        wait_once(deadline)?;
    }
}

#[cfg(any(feature = "threads", feature = "model"))]
fn wait(
    word: UserPtr<'_, u32>,
    expected: u32,
    deadline: Option<Deadline>,
    bits: u32,
) -> Result<usize, Errno> {
    let place: &AtomicU32 = word.atomic()?;
    let ticket = {
        // Whoever changes the word and wakes then does so before this, or finds the waiter.
        let mut queue = QUEUE.lock();
        if place.load(SeqCst) != expected {
            return Err(Errno::EAGAIN);
        }
        queue.add(word.address(), bits, this())?
    };
    loop {
        let waited = wait_once(deadline);
        let mut queue = QUEUE.lock();
        if !queue.waits(ticket) {
            return Ok(0);
        }
        if let Err(error) = waited {
            queue.remove(ticket);
            return Err(error);
        }
    }
}

fn requeue(
    word: UserPtr<'_, u32>,
    wake: usize,
    move_on: usize,
    second: UserPtr<'_, u32>,
    expected: Option<u32>,
) -> Result<usize, Errno> {
    let place = word.atomic()?;
    let target = aligned(second.address())?;
    let mut queue = QUEUE.lock();
    if expected.is_some_and(|expected| place.load(SeqCst) != expected) {
        return Err(Errno::EAGAIN);
    }
    // Those that are to be woken go first, and nobody comes in between: they are a part of those that
    // wait now.
    let (mut some, mut count) = ([None; AT_ONCE], 0);
    while count < wake {
        let places = AT_ONCE.min(wake - count);
        let end = queue.end();
        let taken = queue.take(word.address(), ALL_BITS, end, &mut some[..places]);
        some.iter_mut().filter_map(Option::take).for_each(unpark);
        count += taken;
        if taken < places {
            break;
        }
    }
    let moved = queue.requeue(word.address(), target, move_on);
    drop(queue);
    // `REQUEUE` tells those that were woken, `CMP_REQUEUE` those that were moved as well.
    Ok(if expected.is_some() { count + moved } else { count })
}

/// The change of the second word in `WAKE_OP`, encoded in `code`; returns whether the old value
/// compares as the code says.
fn change(word: &AtomicU32, code: u32) -> Result<bool, Errno> {
    /// The argument is a number of a bit.
    const SHIFT: u32 = 8;
    let signed = |field: u32| ((field << 20) as i32) >> 20;
    let (operation, comparison) = (code >> 28, (code >> 24) & 15);
    let (mut argument, against) = (signed(code >> 12), signed(code));
    if operation & SHIFT != 0 {
        argument = 1i32.wrapping_shl(argument as u32);
    }
    let argument = argument as u32;
    let old = match operation & !SHIFT {
        0 => word.swap(argument, SeqCst),
        1 => word.fetch_add(argument, SeqCst),
        2 => word.fetch_or(argument, SeqCst),
        3 => word.fetch_and(!argument, SeqCst),
        4 => word.fetch_xor(argument, SeqCst),
        _ => return Err(Errno::ENOSYS),
    } as i32;
    Ok(match comparison {
        0 => old == against,
        1 => old != against,
        2 => old < against,
        3 => old <= against,
        4 => old > against,
        5 => old >= against,
        _ => return Err(Errno::ENOSYS),
    })
}
