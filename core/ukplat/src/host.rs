//! The platform that unit tests run on: `std` of the development machine.

use std::cell::Cell;
use std::io::Write as _;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[cfg(target_os = "linux")]
use core::ops::Range;

use crate::cpu::{CpuError, Padded, PerCpu};
#[cfg(target_os = "linux")]
use crate::rights::{Rights, RightsError};
#[cfg(target_os = "linux")]
use crate::vm::{FrameSource, VmError};
use crate::{Context, Exit, Platform, Stream, WORDS, Word};

/// `std` as a platform, for tests only. Every host thread has interrupt state, words, and a thread
/// pointer of its own, as if it were an image with one CPU, so that tests can run side by side;
/// with feature `smp`, started CPUs are host threads.
#[derive(Debug)]
pub struct Host;

crate::bind!(Host);

fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

thread_local! {
    static IRQ_ENABLED: Cell<bool> = const { Cell::new(true) };
    static THREAD_POINTER: Cell<usize> = const { Cell::new(0) };
    static CELLS: [Cell<usize>; WORDS] = const { [const { Cell::new(0) }; WORDS] };
    static CPU: Cell<usize> = const { Cell::new(0) };
}

/// What other CPUs do to one.
struct Doorbell {
    started: Mutex<bool>,
    rung: Mutex<bool>,
    bell: Condvar,
}

static DOORBELLS: PerCpu<Doorbell> = PerCpu::new(
    [const {
        Padded(Doorbell {
            started: Mutex::new(false),
            rung: Mutex::new(false),
            bell: Condvar::new(),
        })
    }; crate::cpu::MAX_CPUS],
);

static CPU_HANDLER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Waits until the CPU is interrupted or the time is over; runs the handler of the interrupt.
fn wait(limit: Option<Duration>) {
    let Some(doorbell) = DOORBELLS.of(CPU.get()) else { return };
    let rung = doorbell.rung.lock().unwrap_or_else(PoisonError::into_inner);
    let mut rung = match limit {
        None => doorbell.bell.wait_while(rung, |rung| !*rung),
        Some(limit) => doorbell
            .bell
            .wait_timeout_while(rung, limit, |rung| !*rung)
            .map(|(rung, _)| rung)
            .map_err(|e| PoisonError::new(e.into_inner().0)),
    }
    .unwrap_or_else(PoisonError::into_inner);
    let interrupted = core::mem::take(&mut *rung);
    drop(rung);
    let handler = CPU_HANDLER.load(Ordering::Relaxed);
    if interrupted && !handler.is_null() {
        // SAFETY: only `on_cpu_interrupt` stores here, and it takes a `fn()`.
        let handler = unsafe { core::mem::transmute::<*mut (), fn()>(handler) };
        let was_enabled = IRQ_ENABLED.replace(false);
        handler();
        IRQ_ENABLED.set(was_enabled);
    }
}

impl Platform for Host {
    const NAME: &'static str = "host";
    const ARCH: &'static str = std::env::consts::ARCH;

    fn console_write(stream: Stream, bytes: &[u8]) {
        let _ = match stream {
            Stream::Out => std::io::stdout().write_all(bytes),
            Stream::Err => std::io::stderr().write_all(bytes),
        };
    }
    fn console_read(_buf: &mut [u8]) -> usize {
        0
    }
    fn ticks() -> u64 {
        Self::monotonic_ns()
    }
    fn ticks_to_ns(ticks: u64) -> u64 {
        ticks
    }
    fn monotonic_ns() -> u64 {
        epoch().elapsed().as_nanos() as u64
    }
    fn wall_ns() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
    }
    fn entropy(bytes: &mut [u8]) -> usize {
        let file = std::fs::File::open("/dev/urandom");
        file.and_then(|mut file| std::io::Read::read(&mut file, bytes)).unwrap_or(0)
    }
    fn idle_until(deadline_ns: Option<u64>) {
        let now = Self::monotonic_ns();
        wait(deadline_ns.map(|d| Duration::from_nanos(d.saturating_sub(now))));
    }
    fn irq_disable() -> bool {
        IRQ_ENABLED.replace(false)
    }
    fn irq_enable() {
        IRQ_ENABLED.set(true);
    }
    fn timer_on_expiry(_handler: fn()) {}
    fn timer_arm(_deadline_ns: Option<u64>) {}
    fn backtrace(_visit: &mut dyn FnMut(usize)) {}

    unsafe fn context_new(
        stack_top: usize,
        entry: extern "C" fn(usize) -> !,
        argument: usize,
    ) -> Context {
        // SAFETY: the caller's promise.
        Context::from_stack_pointer(unsafe { ukarch::context::new(stack_top, entry, argument) })
    }
    #[inline(always)]
    unsafe fn context_switch(save: *mut Context, to: Context) {
        // SAFETY: the caller's promise; a context is its stack pointer.
        unsafe { ukarch::context::switch(save.cast(), to.stack_pointer()) }
    }
    // The real one belongs to `std`.
    fn thread_pointer() -> usize {
        THREAD_POINTER.get()
    }
    unsafe fn set_thread_pointer(value: usize) {
        THREAD_POINTER.set(value);
    }

    fn word_load(word: Word) -> usize {
        CELLS.with(|cells| cells[word as usize].get())
    }
    fn word_store(word: Word, value: usize) {
        CELLS.with(|cells| cells[word as usize].set(value));
    }
    fn word_add(word: Word, value: usize) {
        Self::word_store(word, Self::word_load(word).wrapping_add(value));
    }

    fn cpu_id() -> usize {
        CPU.get()
    }
    fn cpu_count() -> usize {
        // Asked once: the host's answer takes memory, which tests of its end do not have.
        static COUNT: OnceLock<usize> = OnceLock::new();
        let count = || std::thread::available_parallelism().map_or(1, usize::from);
        (*COUNT.get_or_init(count)).min(crate::cpu::MAX_CPUS)
    }
    /// The stack is the host thread's, not the given one.
    unsafe fn cpu_start(
        cpu: usize,
        _stack_top: usize,
        entry: extern "C" fn(usize) -> !,
        argument: usize,
    ) -> Result<(), CpuError> {
        let doorbell = DOORBELLS.of(cpu).ok_or(CpuError::NoSuchCpu)?;
        let mut started = doorbell.started.lock().unwrap_or_else(PoisonError::into_inner);
        if core::mem::replace(&mut *started, true) {
            return Err(CpuError::Running);
        }
        std::thread::spawn(move || {
            CPU.set(cpu);
            IRQ_ENABLED.set(false);
            entry(argument)
        });
        Ok(())
    }
    fn cpu_interrupt(cpu: usize) {
        if let Some(doorbell) = DOORBELLS.of(cpu) {
            *doorbell.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
            doorbell.bell.notify_all();
        }
    }
    fn on_cpu_interrupt(handler: fn()) {
        CPU_HANDLER.store(handler as *mut (), Ordering::Relaxed);
    }

    fn terminate(exit: Exit) -> ! {
        std::process::exit(exit.code().into())
    }

    #[cfg(target_os = "linux")]
    unsafe fn set_rights(
        at: usize,
        len: usize,
        rights: Rights,
        _frames: &mut dyn FrameSource,
    ) -> Result<(), RightsError> {
        // SAFETY: the caller's promise.
        unsafe { vm::set_rights(at, len, rights) }
    }
    #[cfg(target_os = "linux")]
    fn vm_window() -> Range<usize> {
        vm::WINDOW
    }
    #[cfg(target_os = "linux")]
    unsafe fn vm_prepare(base: usize, len: usize) -> Result<(), VmError> {
        // SAFETY: the caller's promise.
        unsafe { vm::prepare(base, len) }
    }
    #[cfg(target_os = "linux")]
    unsafe fn vm_alias(
        at: usize,
        memory: usize,
        len: usize,
        _frames: &mut dyn FrameSource,
    ) -> Result<(), VmError> {
        // SAFETY: the caller's promise.
        unsafe { vm::alias(at, memory, len) }
    }
    #[cfg(target_os = "linux")]
    unsafe fn vm_revoke(
        at: usize,
        len: usize,
        _frames: &mut dyn FrameSource,
    ) -> Result<(), VmError> {
        // SAFETY: the caller's promise.
        unsafe { vm::revoke(at, len) }
    }
}

/// Aliases by the calls of Linux. They work with any memory of the process, the heap's too: pages
/// that are mapped anew stay readable and writable.
#[cfg(target_os = "linux")]
mod vm {
    use core::ffi::{c_int, c_long, c_void};
    use core::ops::Range;

    use crate::rights::{Rights, RightsError};
    use crate::vm::VmError;

    /// Above what programs and below what shared libraries use.
    pub const WINDOW: Range<usize> = 0x1000_0000_0000..0x5000_0000_0000;

    const READ_WRITE: c_int = 3;
    /// `MAP_SHARED | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE`
    const SHARED_FIXED: c_int = 0x1 | 0x10 | 0x20 | 0x4000;
    /// `MREMAP_MAYMOVE | MREMAP_FIXED`
    const MOVE_TO: c_int = 1 | 2;

    unsafe extern "C" {
        fn mmap(
            at: *mut c_void,
            len: usize,
            rights: c_int,
            flags: c_int,
            file: c_int,
            offset: c_long,
        ) -> *mut c_void;
        fn mremap(
            old: *mut c_void,
            old_len: usize,
            len: usize,
            flags: c_int,
            at: *mut c_void,
        ) -> *mut c_void;
        fn munmap(at: *mut c_void, len: usize) -> c_int;
        fn mprotect(at: *mut c_void, len: usize, rights: c_int) -> c_int;
    }

    pub unsafe fn set_rights(at: usize, len: usize, rights: Rights) -> Result<(), RightsError> {
        let bits = c_int::from(rights.reads())
            | c_int::from(rights.writes()) << 1
            | c_int::from(rights.executes()) << 2;
        // SAFETY: the caller's promise.
        match unsafe { mprotect(at as *mut c_void, len, bits) } {
            0 => Ok(()),
            _ => Err(RightsError::OutOfMemory),
        }
    }

    fn placed(result: *mut c_void, at: usize) -> Result<(), VmError> {
        if result as usize == at { Ok(()) } else { Err(VmError::OutOfMemory) }
    }

    pub unsafe fn prepare(base: usize, len: usize) -> Result<(), VmError> {
        // SAFETY: the caller's promise: the pages are nobody else's.
        placed(unsafe { mmap(base as *mut c_void, len, READ_WRITE, SHARED_FIXED, -1, 0) }, base)
    }

    pub unsafe fn alias(at: usize, memory: usize, len: usize) -> Result<(), VmError> {
        // SAFETY: the range at `at` is free (the caller's promise). An old length of 0 leaves the
        // shared mapping where it is and makes another one of the same pages (mremap(2)).
        let result = unsafe { mremap(memory as *mut c_void, 0, len, MOVE_TO, at as *mut c_void) };
        placed(result, at)
    }

    pub unsafe fn revoke(at: usize, len: usize) -> Result<(), VmError> {
        // SAFETY: nobody uses the aliases any more (the caller's promise).
        if unsafe { munmap(at as *mut c_void, len) } == 0 { Ok(()) } else { Err(VmError::BadRange) }
    }
}
