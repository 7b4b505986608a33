//! The console: standard input, output and error.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ukplat::Stream;

use crate::sys;

/// Somebody found no input, and more may come.
static WANTED: AtomicBool = AtomicBool::new(false);

#[repr(C)]
pub struct PollFd {
    fd: i32,
    events: i16,
    revents: i16,
}

#[cfg(feature = "io")]
impl PollFd {
    pub const fn new(fd: i32, events: i16) -> Self {
        Self { fd, events, revents: 0 }
    }
}

/// Whether standard input has ended, or cannot be read.
static ENDED: AtomicBool = AtomicBool::new(false);

const POLLIN: i16 = 1;
const POLLOUT: i16 = 4;

fn poll(fd: i32, events: i16, timeout_ms: isize) -> bool {
    let mut entry = PollFd { fd, events, revents: 0 };
    // SAFETY: one entry, alive during the call.
    unsafe { sys::call(sys::POLL, [&raw mut entry as usize, 1, timeout_ms as usize, 0, 0, 0]) > 0 }
}

pub fn write(stream: Stream, mut bytes: &[u8]) {
    let fd = match stream {
        Stream::Out => 1,
        Stream::Err => 2,
    };
    while !bytes.is_empty() {
        // SAFETY: the kernel reads `len` bytes of a live slice.
        let written =
            unsafe { sys::call(sys::WRITE, [fd, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]) };
        match written {
            sys::EINTR => {}
            // A non-blocking terminal: wait until it takes more.
            sys::EAGAIN => {
                poll(fd as i32, POLLOUT, -1);
            }
            1.. => bytes = bytes.get(written as usize..).unwrap_or_default(),
            // Nobody listens any more; what is left is lost.
            _ => return,
        }
    }
}

/// What a wait must watch so that it ends when wanted input arrives.
pub fn awaited() -> Option<PollFd> {
    WANTED.load(Relaxed).then_some(PollFd { fd: 0, events: POLLIN, revents: 0 })
}

pub fn read(buf: &mut [u8]) -> usize {
    if buf.is_empty() {
        return 0;
    }
    let ready = poll(0, POLLIN, 0);
    // After the end of input, too, it is "ready", and nothing comes any more.
    WANTED.store(!ready, Relaxed);
    if !ready {
        return 0;
    }
    // SAFETY: the kernel writes at most `len` bytes into a live slice.
    let result =
        unsafe { sys::call(sys::READ, [0, buf.as_mut_ptr() as usize, buf.len(), 0, 0, 0]) };
    if result == 0 || (result < 0 && result != sys::EINTR && result != sys::EAGAIN) {
        ENDED.store(true, Relaxed);
    }
    usize::try_from(result).unwrap_or(0)
}

pub fn ended() -> bool {
    ENDED.load(Relaxed)
}
