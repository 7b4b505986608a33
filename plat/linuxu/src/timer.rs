//! The timer and its interrupt: a POSIX timer that sends a signal.
//!
//! Disabling interrupts costs no system call: a handler that finds them disabled notes that it
//! came and returns; enabling runs it then.

use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, compiler_fence};

use crate::sys::{self, Timespec};
use crate::{clock, faults};

pub const SIGALRM: usize = 14;
const SIGALRM_MASK: u64 = 1 << (SIGALRM - 1);
const NO_TIMER: i32 = -1;

static ENABLED: AtomicBool = AtomicBool::new(false);
static PENDING: AtomicBool = AtomicBool::new(false);
static HANDLER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
static TIMER: AtomicI32 = AtomicI32::new(NO_TIMER);

pub fn irq_disable() -> bool {
    // A signal between load and store finds interrupts enabled, runs, and leaves them enabled.
    let was = ENABLED.load(Relaxed);
    ENABLED.store(false, Relaxed);
    // Handlers run on this same CPU: only the compiler could move accesses out of the section.
    compiler_fence(SeqCst);
    was
}

pub fn irq_enable() {
    compiler_fence(SeqCst);
    ENABLED.store(true, Relaxed);
    while PENDING.swap(false, Relaxed) {
        ENABLED.store(false, Relaxed);
        run_handler();
        ENABLED.store(true, Relaxed);
    }
}

fn run_handler() {
    let handler = HANDLER.load(Relaxed);
    if !handler.is_null() {
        // SAFETY: only `on_expiry` stores here, and it takes a `fn()`.
        let handler = unsafe { core::mem::transmute::<*mut (), fn()>(handler) };
        handler();
    }
}

pub extern "C" fn on_signal(_signal: i32) {
    if !ENABLED.load(Relaxed) {
        PENDING.store(true, Relaxed);
        return;
    }
    ENABLED.store(false, Relaxed);
    run_handler();
    ENABLED.store(true, Relaxed);
}

pub fn on_expiry(handler: fn()) {
    HANDLER.store(handler as *mut (), Relaxed);
}

fn timer() -> i32 {
    let timer = TIMER.load(Relaxed);
    if timer != NO_TIMER {
        return timer;
    }
    faults::install(SIGALRM, on_signal as *const (), 0);
    let mut id = NO_TIMER;
    // A null sigevent asks for SIGALRM (timer_create(2)).
    // SAFETY: the kernel writes the id.
    unsafe {
        sys::call(sys::TIMER_CREATE, [sys::CLOCK_MONOTONIC, 0, &raw mut id as usize, 0, 0, 0])
    };
    TIMER.store(id, Relaxed);
    id
}

pub fn arm(deadline_ns: Option<u64>) {
    const TIMER_ABSTIME: usize = 1;
    if deadline_ns.is_none() && TIMER.load(Relaxed) == NO_TIMER {
        return;
    }
    // A zero time disarms; the clock is never there.
    let value = Timespec::from_ns(deadline_ns.map_or(0, |d| d.max(1)));
    let setting = [Timespec::default(), value];
    // SAFETY: the kernel reads one itimerspec (interval, value).
    unsafe {
        let id = timer() as usize;
        sys::call(sys::TIMER_SETTIME, [id, TIMER_ABSTIME, setting.as_ptr() as usize, 0, 0, 0]);
    }
}

pub fn idle_until(deadline_ns: Option<u64>) {
    // Block the signal first: from here to the wait it must not be handled, or whoever disabled
    // interrupts to look for something to do would sleep through it.
    let old_mask = set_mask(SIG_BLOCK, SIGALRM_MASK);
    let was_enabled = ENABLED.load(Relaxed);
    if !PENDING.load(Relaxed) {
        ENABLED.store(true, Relaxed);
        let timeout =
            deadline_ns.map(|d| Timespec::from_ns(d.saturating_sub(clock::monotonic_ns())));
        let timeout = timeout.as_ref().map_or(0, |t| core::ptr::from_ref(t) as usize);
        let unblocked = old_mask & !SIGALRM_MASK;
        // SAFETY: no descriptors; timeout and mask live during the call, the mask is 8 bytes.
        unsafe {
            sys::call(sys::PPOLL, [0, 0, timeout, &raw const unblocked as usize, 8, 0]);
        }
    }
    set_mask(SIG_SETMASK, old_mask);
    irq_enable();
    if !was_enabled {
        irq_disable();
    }
}

const SIG_BLOCK: usize = 0;
const SIG_SETMASK: usize = 2;

fn set_mask(how: usize, mask: u64) -> u64 {
    let mut old = 0u64;
    // SAFETY: both masks are 8 bytes, as announced.
    unsafe {
        sys::call(
            sys::RT_SIGPROCMASK,
            [how, &raw const mask as usize, &raw mut old as usize, 8, 0, 0],
        );
    }
    old
}
