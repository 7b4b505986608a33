//! The platform that unit tests run on: `std` of the development machine.

use std::io::Write as _;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[cfg(target_os = "linux")]
use core::ops::Range;

#[cfg(target_os = "linux")]
use crate::vm::{FrameSource, VmError};
use crate::{Exit, Platform, Stream};

/// `std` as a platform, for tests only.
#[derive(Debug)]
pub struct Host;

crate::bind!(Host);

fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
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
    fn idle_until(deadline_ns: Option<u64>) {
        let now = Self::monotonic_ns();
        let wait = deadline_ns.map_or(u64::MAX, |d| d.saturating_sub(now));
        std::thread::sleep(std::time::Duration::from_nanos(wait));
    }
    fn irq_disable() -> bool {
        false
    }
    fn irq_enable() {}
    fn timer_on_expiry(_handler: fn()) {}
    fn timer_arm(_deadline_ns: Option<u64>) {}
    fn backtrace(_visit: &mut dyn FnMut(usize)) {}
    fn cpu_count() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
    fn terminate(exit: Exit) -> ! {
        std::process::exit(exit.code().into())
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
