//! Lines as `strace` prints them: `write(fd 1, "hello", 5) = 5 <0.000012>`.

use core::fmt::{self, Write};

use crate::{Errno, Syscall, WORDS, nr};

/// Results from here on are printed as addresses.
const ADDRESSES: isize = 1 << 24;
/// Longest line, in bytes; what does not fit is cut off.
const LINE: usize = 512;
/// Bytes at its end that parameters leave to the result.
const RESULT: usize = 128;

/// A line that is printed at once, so that those of several threads do not mix.
struct Line {
    bytes: [u8; LINE],
    len: usize,
    /// Bytes up to which it is filled now.
    limit: usize,
    /// Whether something did not fit.
    cut: bool,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.limit - self.len;
        let cut = text.floor_char_boundary(room.min(text.len()));
        self.cut |= cut < text.len();
        self.bytes[self.len..self.len + cut].copy_from_slice(&text.as_bytes()[..cut]);
        self.len += cut;
        Ok(())
    }
}

impl Line {
    fn new() -> Self {
        Self { bytes: [0; LINE], len: 0, limit: LINE - RESULT, cut: false }
    }

    fn print(mut self) {
        self.bytes[self.len] = b'\n';
        ukplat::console_write(ukplat::Stream::Err, &self.bytes[..=self.len]);
    }

    fn call(
        &mut self,
        call: &Syscall,
        words: &[usize; WORDS],
        result: Option<isize>,
    ) -> fmt::Result {
        write!(self, "{}(", call.name)?;
        for (index, parameter) in call.parameters.iter().enumerate() {
            let before = self.len;
            let comma = if index > 0 { ", " } else { "" };
            write!(self, "{comma}{} ", parameter.name)?;
            let named = self.len;
            (parameter.trace)(words, result, self)?;
            // A word that means nothing in this call.
            if self.len == named {
                self.len = before;
            }
        }
        self.limit = LINE - 1;
        self.write_str(if self.cut { "…)" } else { ")" })
    }
}

/// Before a call: its time in [`ukplat::ticks`]. Prints those that do not return.
pub(crate) fn begin(call: &Syscall, words: &[usize; WORDS]) -> u64 {
    if !call.returns {
        let mut line = Line::new();
        // Lines take everything.
        let _ = line.call(call, words, None).and_then(|()| line.write_str(" = ?"));
        line.print();
    }
    ukplat::ticks()
}

/// After a call: prints it, with what it has written to memory.
pub(crate) fn end(call: &Syscall, words: &[usize; WORDS], started: u64, result: isize) {
    // On another CPU, whose counter is behind, no time has passed.
    let ns = ukplat::ticks_to_ns(ukplat::ticks().saturating_sub(started));
    let mut line = Line::new();
    let _ = line
        .call(call, words, Some(result))
        .and_then(|()| line.result(result))
        .and_then(|()| write!(line, " <{}.{:09}>", ns / 1_000_000_000, ns % 1_000_000_000));
    line.print();
}

impl Line {
    fn result(&mut self, result: isize) -> fmt::Result {
        match ukerrno::from_raw(result) {
            Err(error) => write!(self, " = -1 {error:?} ({error})"),
            Ok(_) if result >= ADDRESSES => write!(self, " = {result:#x}"),
            Ok(_) => write!(self, " = {result}"),
        }
    }
}

/// A call without a handler.
pub(crate) fn missing(number: usize) {
    let mut line = Line::new();
    let _ = match nr::name(number) {
        Some(name) => write!(line, "{name}(…)"),
        None => write!(line, "{number}(…)"),
    }
    .and_then(|()| line.result(Errno::ENOSYS.to_raw()));
    line.print();
}

/// What is printed of a call that has ended, without its time.
#[cfg(test)]
pub(crate) fn line(call: &Syscall, words: &[usize; WORDS], result: Option<isize>) -> String {
    let mut line = Line::new();
    line.call(call, words, result).unwrap();
    line.result(result.unwrap_or_default()).unwrap();
    String::from_utf8(line.bytes[..line.len].to_vec()).unwrap()
}
