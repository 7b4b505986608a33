//! Getting a CPU's attention: a signal to its host thread ends the run of the CPU, or its wait.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU64};

use hvt_abi::cpu_page::{PENDING_STOP, PENDING_TIMER};

const SIGNAL: c_int = libc::SIGUSR1;

/// Interrupts for a CPU that it has not been told about.
#[derive(Debug, Default)]
pub struct Kick {
    /// Bits as in the CPU's page.
    pending: AtomicU64,
    /// KVM's flag that keeps the CPU from running.
    immediate_exit: AtomicPtr<AtomicU8>,
    /// The host thread.
    thread: AtomicI32,
    /// Whether its next wait ends when the console has input.
    input: AtomicBool,
    /// Whether the CPU is called to its host thread, for something else than an interrupt.
    called: AtomicBool,
    /// Whether the guest ever waited on this CPU.
    waited: AtomicBool,
}

thread_local! {
    static OWN: Cell<*const Kick> = const { Cell::new(ptr::null()) };
    static TIMER: Cell<Option<libc::timer_t>> = const { Cell::new(None) };
}

extern "C" fn on_signal(_signal: c_int, info: *const libc::siginfo_t, _context: *const c_void) {
    // SAFETY: `adopt` stores a reference that lives for ever.
    let Some(kick) = (unsafe { OWN.get().as_ref() }) else { return };
    // SAFETY: the kernel passes the information with SA_SIGINFO.
    if unsafe { (*info).si_code } == libc::SI_TIMER {
        kick.pending.fetch_or(PENDING_TIMER, AcqRel);
    }
    // SAFETY: `adopt` stores the address of a byte that is mapped as long as the CPU exists.
    if let Some(flag) = unsafe { kick.immediate_exit.load(Relaxed).as_ref() } {
        flag.store(1, Release);
    }
}

/// The CPU that is told when the guest is to stop.
static FIRST: AtomicPtr<Kick> = AtomicPtr::new(ptr::null_mut());
/// Whether the guest was asked to stop.
static ASKED: AtomicBool = AtomicBool::new(false);

/// Asks the guest to stop, which it does when it waits. One that never waited could not see that;
/// and who presses Ctrl-C again does not want to wait.
extern "C" fn on_end(signal: c_int) {
    // SAFETY: `install_handlers` stores a reference that lives for ever.
    let first = unsafe { FIRST.load(Acquire).as_ref() };
    let again = ASKED.swap(true, AcqRel) && signal == libc::SIGINT;
    if let Some(kick) = first.filter(|kick| kick.waited.load(Acquire) && !again) {
        return kick.interrupt(PENDING_STOP);
    }
    let text: &[u8] =
        if signal == libc::SIGINT { b"tender: interrupted\n" } else { b"tender: told to stop\n" };
    // SAFETY: both calls are allowed in signal handlers (signal-safety(7)).
    unsafe {
        libc::write(2, text.as_ptr().cast(), text.len());
        libc::_exit(128 + signal);
    }
}

/// Installs the handlers of the signals that the tender knows; `first` is the CPU that the guest
/// starts on.
pub fn install_handlers(first: &'static Kick) {
    FIRST.store(ptr::from_ref(first).cast_mut(), Release);
    let install = |signal: c_int, handler: *const (), flags: c_int| {
        // SAFETY: a structure of integers; all zero is a valid start.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler as usize;
        action.sa_flags = flags;
        // SAFETY: the handlers do what is allowed in handlers only.
        unsafe { libc::sigaction(signal, &action, ptr::null_mut()) };
    };
    install(SIGNAL, on_signal as *const (), libc::SA_SIGINFO);
    install(libc::SIGINT, on_end as *const (), 0);
    install(libc::SIGTERM, on_end as *const (), 0);
}

impl Kick {
    /// Makes the calling thread the CPU's.
    pub fn adopt(&'static self, immediate_exit: *mut u8) {
        // `AtomicU8` has the layout of `u8`.
        self.immediate_exit.store(immediate_exit.cast(), Relaxed);
        self.thread.store(thread_id(), Release);
        OWN.set(self);
    }

    /// Tells the CPU about an interrupt, from any thread.
    pub fn interrupt(&self, bits: u64) {
        self.pending.fetch_or(bits, AcqRel);
        self.signal();
    }

    /// Makes the CPU stop running or waiting, from any thread.
    pub fn call(&self) {
        self.called.store(true, Release);
        self.signal();
    }

    /// Keeps the CPU from running until [`Kick::take`].
    pub fn hold(&self) {
        // SAFETY: as in the handler.
        if let Some(flag) = unsafe { self.immediate_exit.load(Relaxed).as_ref() } {
            flag.store(1, Release);
        }
    }

    fn signal(&self) {
        let thread = self.thread.load(Acquire);
        if thread != 0 {
            // SAFETY: no pointers. The thread lives as long as the process.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL) };
        }
    }

    /// The interrupts that came since the last call; KVM may run the CPU again.
    pub fn take(&self) -> u64 {
        // Before looking: a signal that comes later sets both again.
        // SAFETY: as in the handler.
        if let Some(flag) = unsafe { self.immediate_exit.load(Relaxed).as_ref() } {
            flag.store(0, Release);
        }
        self.called.store(false, Release);
        self.pending.swap(0, AcqRel)
    }

    /// Puts interrupts back for later.
    pub fn put_back(&self, bits: u64) {
        self.pending.fetch_or(bits, AcqRel);
    }

    /// Sets whether waits of the CPU end when the console has input.
    pub fn await_input(&self, wanted: bool) {
        self.input.store(wanted, Relaxed);
    }

    /// Waits until there is an interrupt, or awaited input, at most so many nanoseconds.
    pub fn wait(&self, limit_ns: Option<u64>) {
        self.waited.store(true, Release);
        let limit = limit_ns.map(timespec);
        let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: sets of signals and times are initialised and live during the calls. The signal
        // is blocked from the look to the wait, which must not sleep through one.
        unsafe {
            let mut blocked: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut blocked);
            libc::sigaddset(&mut blocked, SIGNAL);
            libc::pthread_sigmask(libc::SIG_BLOCK, &blocked, &mut before);
            if self.pending.load(Acquire) == 0 && !self.called.load(Acquire) {
                let mut input = libc::pollfd { fd: 0, events: libc::POLLIN, revents: 0 };
                let count = libc::nfds_t::from(self.input.load(Relaxed));
                libc::ppoll(&mut input, count, limit, &before);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut());
        }
    }
}

/// The kernel's number of the calling thread. Not by `gettid`: the standard library refers to that
/// weakly, and statically linked it is then not there.
fn thread_id() -> libc::pid_t {
    // SAFETY: takes nothing.
    unsafe { libc::syscall(libc::SYS_gettid) as libc::pid_t }
}

fn timespec(ns: u64) -> libc::timespec {
    let (seconds, rest) = (ns / 1_000_000_000, ns % 1_000_000_000);
    libc::timespec { tv_sec: seconds as libc::time_t, tv_nsec: rest as libc::c_long }
}

/// Ends the tender: a CPU whose timer cannot be made would wait for ever.
fn no_timer() -> ! {
    let error = std::io::Error::last_os_error();
    crate::console::say(&format!(
        "tender: cannot make a timer for a CPU: {error}; timers count as pending signals, whose \
         limit ulimit -i raises\n"
    ));
    // SAFETY: ends the process; nothing is buffered.
    unsafe { libc::_exit(crate::NOT_STARTED.into()) }
}

/// Sets the timer of the calling thread: nanoseconds from now, or never. Where the kernel gives none,
/// that is the end.
pub fn set_timer(after_ns: Option<u64>) {
    if after_ns.is_none() && TIMER.get().is_none() {
        return;
    }
    // A zero time disarms.
    let value = timespec(after_ns.map_or(0, |ns| ns.max(1)));
    let setting = libc::itimerspec { it_interval: timespec(0), it_value: value };
    // SAFETY: events and settings live during the calls.
    unsafe {
        let timer = match TIMER.get() {
            Some(timer) => timer,
            None => {
                let mut event: libc::sigevent = std::mem::zeroed();
                event.sigev_notify = libc::SIGEV_THREAD_ID;
                event.sigev_signo = SIGNAL;
                event.sigev_notify_thread_id = thread_id();
                let mut timer: libc::timer_t = ptr::null_mut();
                if libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer) != 0 {
                    no_timer();
                }
                TIMER.set(Some(timer));
                timer
            }
        };
        if libc::timer_settime(timer, 0, &setting, ptr::null_mut()) != 0 {
            no_timer();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_without_a_timer_is_the_end() {
        // In a process of its own: the limit is the process's.
        // SAFETY: the child makes no call that needs other threads.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: the limit lives during the call.
            let limited = unsafe { libc::setrlimit(libc::RLIMIT_SIGPENDING, &none) } == 0;
            if limited {
                set_timer(Some(1_000_000_000));
            }
            // SAFETY: ends the child.
            unsafe { libc::_exit(1) };
        }
        let mut status = 0;
        // SAFETY: the status lives during the call.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(libc::WEXITSTATUS(status), i32::from(crate::NOT_STARTED));
    }
}
