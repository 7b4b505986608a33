//! Formatted output on the platform's console.

use core::fmt;

/// Where console output goes. Platforms with one channel send both there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The application's output.
    Out,
    /// Log and crash reports.
    Err,
}

impl fmt::Write for Stream {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        crate::console_write(*self, s.as_bytes());
        Ok(())
    }
}

/// Collects what is formatted and passes it on in pieces, so that a line costs one console call
/// and not one for each fragment. Flushes when dropped.
#[derive(Debug)]
pub struct LineBuffer {
    stream: Stream,
    len: usize,
    bytes: [u8; 120],
}

impl LineBuffer {
    /// An empty buffer in front of `stream`.
    pub const fn new(stream: Stream) -> Self {
        Self { stream, len: 0, bytes: [0; 120] }
    }

    /// Passes on what is buffered.
    pub fn flush(&mut self) {
        if self.len > 0 {
            crate::console_write(self.stream, &self.bytes[..self.len]);
            self.len = 0;
        }
    }
}

impl fmt::Write for LineBuffer {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let s = s.as_bytes();
        if s.len() > self.bytes.len() - self.len {
            self.flush();
            if s.len() > self.bytes.len() {
                crate::console_write(self.stream, s);
                return Ok(());
            }
        }
        self.bytes[self.len..self.len + s.len()].copy_from_slice(s);
        self.len += s.len();
        Ok(())
    }
}

impl Drop for LineBuffer {
    fn drop(&mut self) {
        self.flush();
    }
}

#[doc(hidden)]
#[inline(never)]
pub fn _print(stream: Stream, args: fmt::Arguments<'_>) {
    let mut buffer = LineBuffer::new(stream);
    // The console never reports an error; a failing `Display` implementation loses its own text.
    let _ = fmt::Write::write_fmt(&mut buffer, args);
}

/// Prints to the console.
#[macro_export]
macro_rules! print {
    ($($arg:tt)*) => { $crate::console::_print($crate::Stream::Out, format_args!($($arg)*)) };
}

/// Prints a line to the console.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($fmt:literal $($arg:tt)*) => { $crate::print!(concat!($fmt, "\n") $($arg)*) };
}

/// Prints to the console's error stream.
#[macro_export]
macro_rules! eprint {
    ($($arg:tt)*) => { $crate::console::_print($crate::Stream::Err, format_args!($($arg)*)) };
}

/// Prints a line to the console's error stream.
#[macro_export]
macro_rules! eprintln {
    () => { $crate::eprint!("\n") };
    ($fmt:literal $($arg:tt)*) => { $crate::eprint!(concat!($fmt, "\n") $($arg)*) };
}
