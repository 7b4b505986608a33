//! Answers every line on the console with the same line, until it is stopped.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use ukplat::{Stream, console_read, console_write, idle_until, monotonic_ns, println};

/// How long to wait for input on platforms that do not end a wait when it arrives.
const POLL_NS: u64 = 100_000_000;

/// The application. A line `stay busy` is answered and not returned from.
pub fn main(_args: &[&str]) -> u8 {
    // From its first wait on it can be asked to stop.
    idle_until(Some(monotonic_ns() + 100_000));
    println!("ready on {}", ukplat::name());
    let mut line = Line { bytes: [0; 256], len: 0 };
    loop {
        let mut buf = [0; 64];
        match console_read(&mut buf) {
            0 => idle_until(Some(monotonic_ns() + POLL_NS)),
            len => buf[..len].iter().for_each(|byte| line.add(*byte)),
        }
    }
}

/// What has arrived of a line; of a longer one than there is room for, the start.
struct Line {
    bytes: [u8; 256],
    len: usize,
}

impl Line {
    fn add(&mut self, byte: u8) {
        if !matches!(byte, b'\n' | b'\r') {
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = byte;
                self.len += 1;
            }
            return;
        }
        let text = &self.bytes[..self.len];
        console_write(Stream::Out, text);
        console_write(Stream::Out, b"\n");
        if text == b"stay busy" {
            loop {
                core::hint::spin_loop();
            }
        }
        self.len = 0;
    }
}
