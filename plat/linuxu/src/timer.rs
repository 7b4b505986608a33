//! The timer and its interrupt: a POSIX timer that sends a signal.
//!
//! Disabling interrupts costs no system call: a handler that finds them disabled notes that it
//! came and returns; enabling runs it then. The signals are never blocked but for moments in
//! [`idle_until`]: a handler may switch to another flow of control, which must get its interrupts.

use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicBool, AtomicPtr, compiler_fence};

use ukplat::{preempt, stop};

use crate::local::{ENABLED, TIMER, TIMER_PENDING};
use crate::sys::{self, Timespec};
use crate::{clock, console, faults};

const SIGALRM: usize = 14;
const SIGALRM_MASK: u64 = 1 << (SIGALRM - 1);
/// Signals by which people and programs ask a process to stop.
const SIGINT: usize = 2;
const SIGTERM: usize = 15;
const STOP_MASK: u64 = 1 << (SIGINT - 1) | 1 << (SIGTERM - 1);

#[cfg(feature = "smp")]
use crate::cpus::{
    SIGNAL_MASK as CPU_MASK, pending as cpu_pending, stay_awake, take as take_cpu_pending,
};

#[cfg(not(feature = "smp"))]
const CPU_MASK: u64 = 0;

#[cfg(not(feature = "smp"))]
fn cpu_pending() -> bool {
    false
}

#[cfg(not(feature = "smp"))]
fn take_cpu_pending() {}

#[cfg(not(feature = "smp"))]
fn stay_awake() {}

#[cfg(feature = "io")]
use crate::io::{SIGNAL_MASK as IO_MASK, pending as io_pending, take as take_io_pending};

#[cfg(not(feature = "io"))]
const IO_MASK: u64 = 0;

#[cfg(not(feature = "io"))]
fn io_pending() -> bool {
    false
}

#[cfg(not(feature = "io"))]
fn take_io_pending() {}

/// The signals that are interrupts.
const INTERRUPT_MASK: u64 = SIGALRM_MASK | CPU_MASK | IO_MASK;

static HANDLER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

pub fn irq_disable() -> bool {
    // A signal between load and store finds interrupts enabled, runs, and leaves them enabled.
    let was = ENABLED.load() != 0;
    ENABLED.store(0);
    // Handlers run on this same CPU: only the compiler could move accesses out of the section.
    compiler_fence(SeqCst);
    was
}

pub fn irq_enable() {
    compiler_fence(SeqCst);
    ENABLED.store(1);
    // A signal from here on finds interrupts enabled and takes what is pending too.
    while is_pending() {
        ENABLED.store(0);
        run_pending();
        ENABLED.store(1);
    }
}

fn is_pending() -> bool {
    TIMER_PENDING.load() != 0 || cpu_pending() || io_pending()
}

/// Runs the handlers of all signals that came. Interrupts are disabled.
fn run_pending() {
    if TIMER_PENDING.load() != 0 {
        TIMER_PENDING.store(0);
        let handler = HANDLER.load(Relaxed);
        if !handler.is_null() {
            // SAFETY: only `on_expiry` stores here, and it takes a `fn()`.
            let handler = unsafe { core::mem::transmute::<*mut (), fn()>(handler) };
            handler();
        }
    }
    take_cpu_pending();
    take_io_pending();
}

extern "C" fn on_signal(
    _signal: i32,
    _info: *const faults::SignalInfo,
    context: *mut faults::SignalContext,
) {
    TIMER_PENDING.store(1);
    // SAFETY: the kernel gives the context, alive while the handler runs.
    interrupt(unsafe { &mut *context });
}

/// What a signal does once it is noted as pending: unless interrupts are disabled, runs handlers,
/// and then other flows of control if one of them wants it. The interrupted flow's registers are in
/// the signal's frame on its own stack, below the red zone, as the kernel put them.
pub fn interrupt(context: &mut faults::SignalContext) {
    stay_awake();
    let mut may_have_moved = false;
    while ENABLED.load() != 0 && is_pending() {
        ENABLED.store(0);
        run_pending();
        if preempt::is_due() {
            preempt::reschedule();
            may_have_moved = cfg!(feature = "smp");
        }
        if may_have_moved {
            // From here to the end of the handler, which unblocks them, no signal may move the flow
            // to yet another host thread.
            set_mask(SIG_BLOCK, INTERRUPT_MASK);
            faults::keep_fault_stack(context);
            if is_pending() {
                set_mask(SIG_UNBLOCK, INTERRUPT_MASK);
            }
        }
        ENABLED.store(1);
    }
}

pub fn on_expiry(handler: fn()) {
    HANDLER.store(handler as *mut (), Relaxed);
}

/// The kernel's number of this CPU's timer, which is made when it is needed.
fn timer() -> usize {
    let known = TIMER.load();
    if known != 0 {
        return known - 1;
    }
    faults::install_interrupt(SIGALRM, on_signal);
    let mut id = 0i32;
    #[cfg(feature = "smp")]
    let event = crate::cpus::TimerEvent::to_this_cpu(SIGALRM);
    #[cfg(feature = "smp")]
    let event = &raw const event as usize;
    // A null event asks for SIGALRM to the process (timer_create(2)).
    #[cfg(not(feature = "smp"))]
    let event = 0;
    // SAFETY: the kernel reads the event and writes the id.
    unsafe {
        sys::call(sys::TIMER_CREATE, [sys::CLOCK_MONOTONIC, event, &raw mut id as usize, 0, 0, 0])
    };
    TIMER.store(id as usize + 1);
    id as usize
}

pub fn arm(deadline_ns: Option<u64>) {
    const TIMER_ABSTIME: usize = 1;
    if deadline_ns.is_none() && TIMER.load() == 0 {
        return;
    }
    // A zero time disarms; the clock is never there.
    let value = Timespec::from_ns(deadline_ns.map_or(0, |d| d.max(1)));
    let setting = [Timespec::default(), value];
    // The timer is this CPU's: the flow must not move to another meanwhile.
    let _guard = ukplat::irq::disable();
    // SAFETY: the kernel reads one itimerspec (interval, value).
    unsafe {
        sys::call(sys::TIMER_SETTIME, [timer(), TIMER_ABSTIME, setting.as_ptr() as usize, 0, 0, 0]);
    }
}

extern "C" fn on_stop(
    signal: i32,
    _info: *const faults::SignalInfo,
    _context: *mut faults::SignalContext,
) {
    // Who presses Ctrl-C again does not want to wait.
    if signal == SIGINT as i32 && stop::is_requested() {
        sys::exit_group(128 + SIGINT as u8);
    }
    stop::request();
    stay_awake();
}

/// From the first wait on the image stops in order when it is asked to. One that never waits could
/// not, and ends by these signals as every process does.
fn heed_stop_signals() {
    static HEEDED: AtomicBool = AtomicBool::new(false);
    if !HEEDED.load(Relaxed) && !HEEDED.swap(true, Relaxed) {
        for signal in [SIGINT, SIGTERM] {
            faults::install_note(signal, on_stop, INTERRUPT_MASK | STOP_MASK);
        }
    }
}

pub fn idle_until(deadline_ns: Option<u64>) {
    heed_stop_signals();
    // With interrupts disabled signals are only noted, in the wait too.
    let was_enabled = irq_disable();
    let timeout =
        || deadline_ns.map(|d| Timespec::from_ns(d.saturating_sub(clock::monotonic_ns())));
    let is_due = || is_pending() || stop::is_requested();
    match console::awaited() {
        #[cfg(feature = "smp")]
        None => crate::cpus::sleep(timeout(), is_due),
        mut input => poll(&mut input, timeout, is_due),
    }
    irq_enable();
    if !was_enabled {
        irq_disable();
    }
}

/// Waits for a signal, for `input`, or for the end of `timeout`, unless it is due already.
fn poll(
    input: &mut Option<console::PollFd>,
    timeout: impl Fn() -> Option<Timespec>,
    is_due: impl Fn() -> bool,
) {
    // Signals are blocked from the look at what is noted to the wait, which must not sleep through
    // one.
    let old_mask = set_mask(SIG_BLOCK, INTERRUPT_MASK | STOP_MASK);
    if !is_due() {
        let timeout = timeout();
        let timeout = timeout.as_ref().map_or(0, |t| core::ptr::from_ref(t) as usize);
        let unblocked = old_mask & !(INTERRUPT_MASK | STOP_MASK);
        let (entries, count) = match input {
            Some(entry) => (core::ptr::from_mut(entry) as usize, 1),
            None => (0, 0),
        };
        // SAFETY: so many entries; they, timeout and mask live during the call, the mask is 8 bytes.
        unsafe {
            sys::call(sys::PPOLL, [entries, count, timeout, &raw const unblocked as usize, 8, 0]);
        }
    }
    set_mask(SIG_SETMASK, old_mask);
}

pub const SIG_BLOCK: usize = 0;
const SIG_UNBLOCK: usize = 1;
pub const SIG_SETMASK: usize = 2;

/// Changes the mask of blocked signals of this host thread; returns the old one.
pub fn set_mask(how: usize, mask: u64) -> u64 {
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
