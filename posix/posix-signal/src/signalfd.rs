//! Signals as a file.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use fdtab::TABLE;
use syscall_shim::{Errno, SignalFdFlags, SignalSet, UserPtr, syscall};
use ukfile::{Description, Events, File, OpenFlags, Scatter, Watchers};

use crate::info::Info;
use crate::number::FIXED;
use crate::post::{ON_POST, activate, unknown};
use crate::state::{STATE, WAITING};
use crate::{check_size, timers};

/// Bytes of `struct signalfd_siginfo`.
const RECORD: usize = 128;

/// Those that watch any of these files: each sees the same signals.
static WATCHERS: Watchers = Watchers::new();

/// A file from which blocked signals are read (`signalfd(2)`).
#[derive(Debug)]
struct SignalFile {
    set: AtomicU64,
}

impl SignalFile {
    fn set(&self) -> u64 {
        self.set.load(Relaxed)
    }

    fn take(&self) -> Option<Info> {
        let mut taken = STATE.lock().take(posix_thread::gettid(), self.set())?;
        timers::delivered(&mut taken);
        Some(taken)
    }
}

/// `struct signalfd_siginfo` of a signal.
fn record(info: &Info) -> [u8; RECORD] {
    let mut bytes = [0; RECORD];
    let (low, high) = (info.fields[0] as u32, (info.fields[0] >> 32) as u32);
    let value = info.fields[1];
    let mut put = |at: usize, word: u32| bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    put(0, info.signal as u32);
    put(4, info.errno as u32);
    put(8, info.code as u32);
    match info.timer() {
        Some(timer) => {
            put(24, timer as u32);
            put(32, high);
        }
        None => {
            put(12, low);
            put(16, high);
        }
    }
    put(44, value as u32);
    bytes[48..56].copy_from_slice(&value.to_ne_bytes());
    bytes
}

impl File for SignalFile {
    fn read(
        &self,
        _at: &mut u64,
        buffers: &mut [&mut [u8]],
        flags: OpenFlags,
    ) -> Result<usize, Errno> {
        let room = ukfile::total_mut(buffers) / RECORD;
        if room == 0 {
            return Err(Errno::EINVAL);
        }
        let mut to = Scatter::new(buffers);
        let mut count = 0;
        loop {
            while count < room
                && let Some(info) = self.take()
            {
                to.put(&record(&info));
                count += 1;
            }
            if count > 0 {
                return Ok(count * RECORD);
            }
            if flags.contains(OpenFlags::NONBLOCK) {
                return Err(Errno::EAGAIN);
            }
            let thread = posix_thread::gettid();
            let there = || STATE.lock().pending(thread) & self.set() != 0;
            WAITING.wait_interruptible(None, there).map_err(|_| Errno::EINTR)?;
        }
    }

    fn ready(&self) -> Events {
        let pending = STATE.lock().pending(posix_thread::gettid());
        if pending & self.set() != 0 { Events::IN } else { Events::empty() }
    }

    fn watchers(&self) -> Option<&Watchers> {
        Some(&WATCHERS)
    }
}

/// Makes a file from which signals of a set are read, or gives one another set (signalfd(2)).
#[syscall]
fn signalfd4(
    fd: i32,
    #[trace(UserPtr<SignalSet>)] set: UserPtr<u64>,
    size: usize,
    #[trace(SignalFdFlags)] flags: u32,
) -> Result<i32, Errno> {
    check_size(size)?;
    let known = OpenFlags::CLOSE_ON_EXEC | OpenFlags::NONBLOCK;
    let flags = OpenFlags::from_bits(flags).filter(|f| known.contains(*f)).ok_or(Errno::EINVAL)?;
    let set = set.read() & !FIXED;
    if fd != -1 {
        let file = TABLE.get(fd)?;
        let file: &SignalFile = file.downcast().ok_or(Errno::EINVAL)?;
        file.set.store(set, Relaxed);
        WATCHERS.notify(Events::IN);
        return Ok(fd);
    }
    static NOTIFY: fn() = || WATCHERS.notify(Events::IN);
    activate();
    ON_POST.set(unknown(&NOTIFY));
    let file = Description::new(SignalFile { set: AtomicU64::new(set) }, flags)?;
    TABLE.insert(file, flags.contains(OpenFlags::CLOSE_ON_EXEC))
}

/// See [`signalfd4`].
#[syscall]
fn signalfd(
    fd: i32,
    #[trace(UserPtr<SignalSet>)] set: UserPtr<u64>,
    size: usize,
) -> Result<i32, Errno> {
    signalfd4(fd, set, size, 0)
}
