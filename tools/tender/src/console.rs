//! The guest's console: standard input, output and error of the tender.

use std::ffi::c_int;

use hvt_abi::Stream;

/// Where input comes from and output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// The tender's own.
    Standard,
    /// Nowhere.
    None,
}

/// What was on the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// So many bytes.
    Bytes(usize),
    /// Nothing yet.
    None,
    /// Nothing, now and later.
    Ended,
}

fn poll(fd: c_int, events: i16, timeout_ms: c_int) -> bool {
    let mut entry = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: one entry, alive during the call.
    unsafe { libc::poll(&mut entry, 1, timeout_ms) > 0 }
}

impl Console {
    /// Writes all; what nobody takes is lost.
    pub fn write(self, stream: Stream, mut bytes: &[u8]) {
        let fd = match (self, stream) {
            (Console::None, _) => return,
            (Console::Standard, Stream::Out) => 1,
            (Console::Standard, Stream::Err) => 2,
        };
        while !bytes.is_empty() {
            // SAFETY: the slice lives during the call.
            let written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
            match usize::try_from(written) {
                Ok(0) => return,
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(_) => match std::io::Error::last_os_error().raw_os_error() {
                    Some(libc::EINTR) => {}
                    // A terminal that does not block: wait until it takes more.
                    Some(libc::EAGAIN) => {
                        poll(fd, libc::POLLOUT, -1);
                    }
                    _ => return,
                },
            }
        }
    }

    /// Takes what has arrived, without waiting.
    pub fn read(self, bytes: &mut [u8]) -> Input {
        if self == Console::None {
            return Input::Ended;
        }
        if bytes.is_empty() {
            return Input::Bytes(0);
        }
        if !poll(0, libc::POLLIN, 0) {
            return Input::None;
        }
        // SAFETY: the slice lives during the call.
        let len = unsafe { libc::read(0, bytes.as_mut_ptr().cast(), bytes.len()) };
        match usize::try_from(len) {
            Ok(0) => Input::Ended,
            Ok(len) => Input::Bytes(len),
            Err(_) => match std::io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR | libc::EAGAIN) => Input::None,
                // No input, or none that can be read.
                _ => Input::Ended,
            },
        }
    }
}

/// Says something for the one who started the guest.
pub fn say(text: &str) {
    Console::Standard.write(Stream::Err, text.as_bytes());
}
