//! Crash reports: one format for panics and faults, which `oxk run` symbolises.
//!
//! A report starts with a line that names the cause. Return addresses follow, each on a line of
//! its own: two spaces, `#`, the frame number, a space, `0x` and 16 hexadecimal digits.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::console::LineBuffer;
use crate::{Exit, Stream};

/// Frames printed at most.
const MAX_FRAMES: usize = 32;

/// Something that calls its argument with code addresses, innermost first.
pub type Frames<'a> = dyn Fn(&mut dyn FnMut(usize)) + 'a;

/// Something that knows what addresses were: writes it in a few words, or nothing when it does not
/// know. It is called while a crash is reported, from anywhere: it must not wait for a lock.
pub type Explain = fn(usize, &mut dyn fmt::Write) -> fmt::Result;

static CRASHED: AtomicBool = AtomicBool::new(false);
static EXPLAIN: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// From now on reports of faults end with what `explain` writes about the address. There is one
/// such function, the last that was set.
pub fn explain_addresses_with(explain: Explain) {
    EXPLAIN.store(explain as *mut (), Ordering::Relaxed);
}

/// Writes what is known about an address, after a colon.
fn explain(address: usize, out: &mut dyn fmt::Write) -> fmt::Result {
    let explain = EXPLAIN.load(Ordering::Relaxed);
    if explain.is_null() {
        return Ok(());
    }
    // SAFETY: only `explain_addresses_with` stores here, and it takes an `Explain`.
    let explain = unsafe { core::mem::transmute::<*mut (), Explain>(explain) };
    explain(address, &mut AfterColon { out, begun: false })
}

/// Puts a colon before the first text.
struct AfterColon<'a> {
    out: &'a mut dyn fmt::Write,
    begun: bool,
}

impl fmt::Write for AfterColon<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if !self.begun && !text.is_empty() {
            self.begun = true;
            self.out.write_str(": ")?;
        }
        self.out.write_str(text)
    }
}

/// Prints the report of an access to `address` that faulted, and ends the image. The cause is
/// followed by the address and, where somebody can [explain](explain_addresses_with) it, by what
/// was there.
pub fn bad_access(cause: fmt::Arguments<'_>, address: usize, frames: &Frames<'_>) -> ! {
    report(Exit::Fault, format_args!("{cause} at address {address:#x}"), Some(address), frames)
}

/// Prints a crash report and ends the image.
///
/// A crash during the report ends the image at once.
pub fn crash(exit: Exit, cause: fmt::Arguments<'_>, frames: &Frames<'_>) -> ! {
    report(exit, cause, None, frames)
}

fn report(exit: Exit, cause: fmt::Arguments<'_>, address: Option<usize>, frames: &Frames<'_>) -> ! {
    if CRASHED.swap(true, Ordering::Relaxed) {
        crate::console_write(Stream::Err, b"\ncrashed again while reporting a crash\n");
        crate::terminate(exit);
    }
    crate::eprint!("\n{}", cause);
    if let Some(address) = address {
        // The cause is out by now: damaged data may crash the explanation.
        let _ = explain(address, &mut LineBuffer::new(Stream::Err));
    }
    crate::eprintln!();
    let mut number = 0;
    frames(&mut |address| {
        if number < MAX_FRAMES {
            crate::eprintln!("  #{} {:#018x}", number, address);
        }
        number += 1;
    });
    if number > MAX_FRAMES {
        crate::eprintln!("  ({} more frames)", number - MAX_FRAMES);
    }
    crate::terminate(exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_explained_after_a_colon() {
        fn known(address: usize, out: &mut dyn fmt::Write) -> fmt::Result {
            // Arrives in several pieces.
            if address == 7 { write!(out, "{address} and {address}/2") } else { Ok(()) }
        }
        let said = |address| {
            let mut out = String::new();
            explain(address, &mut out).unwrap();
            out
        };
        assert_eq!(said(7), "");
        explain_addresses_with(known);
        assert_eq!(said(7), ": 7 and 7/2");
        assert_eq!(said(8), "");
    }
}
