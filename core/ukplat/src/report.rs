//! Crash reports: one format for panics and faults, which `oxk run` symbolises.
//!
//! A report starts with a line that names the cause. Return addresses follow, each on a line of
//! its own: two spaces, `#`, the frame number, a space, `0x` and 16 hexadecimal digits.

use core::fmt;
#[cfg(feature = "smp")]
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering};

use crate::console::LineBuffer;
use crate::{Exit, Stream};

/// Frames printed at most.
const MAX_FRAMES: usize = 32;

/// Something that calls its argument with code addresses, innermost first.
pub type Frames<'a> = dyn Fn(&mut dyn FnMut(usize)) + 'a;

/// Something that knows what addresses were: writes it in a few words, or nothing when it does not
/// know. It is called while a crash is reported, from anywhere: it must not wait for a lock.
pub type Explain = fn(usize, &mut dyn fmt::Write) -> fmt::Result;

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

/// Exit code of the crash that is being reported; 0 when there is none.
static CRASHED: AtomicU8 = AtomicU8::new(0);

/// CPU of the crash that is being reported.
#[cfg(feature = "smp")]
static CRASHED_CPU: AtomicUsize = AtomicUsize::new(usize::MAX);

/// A crash report that was begun.
#[derive(Debug)]
pub struct Report {
    exit: Exit,
}

/// Begins a crash report; call it before anything about the crash is printed or looked at.
///
/// Interrupts stay disabled from here on. With several CPUs, one that crashes while another reports
/// waits for the end. A crash while another is being reported, in its report
/// or in what formats its message, ends the image at once with the exit code of the first.
pub fn begin(exit: Exit) -> Report {
    core::mem::forget(crate::irq::disable());
    match CRASHED.swap(exit.code(), Ordering::Relaxed) {
        0 => {
            #[cfg(feature = "smp")]
            CRASHED_CPU.store(crate::cpu_id(), Ordering::Relaxed);
            Report { exit }
        }
        // The report of another CPU is under way and will end the image.
        #[cfg(feature = "smp")]
        _ if CRASHED_CPU.load(Ordering::Relaxed) != crate::cpu_id() => loop {
            crate::idle_until(None);
        },
        first => {
            crate::console_write(Stream::Err, b"\ncrashed again while reporting a crash\n");
            crate::terminate(Exit::Code(first))
        }
    }
}

impl Report {
    /// Prints cause and call chain and ends the image.
    pub fn end(self, cause: fmt::Arguments<'_>, frames: &Frames<'_>) -> ! {
        self.print(cause, None, frames)
    }

    /// The same for an access to `address` that faulted: the cause is followed by the address and,
    /// where somebody can [explain](explain_addresses_with) it, by what was there.
    pub fn end_at(self, cause: fmt::Arguments<'_>, address: usize, frames: &Frames<'_>) -> ! {
        self.print(format_args!("{cause} at address {address:#x}"), Some(address), frames)
    }

    fn print(self, cause: fmt::Arguments<'_>, address: Option<usize>, frames: &Frames<'_>) -> ! {
        crate::eprint!("\n{}", cause);
        #[cfg(feature = "smp")]
        crate::eprint!(" on CPU {}", crate::cpu_id());
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
        crate::terminate(self.exit)
    }
}

/// Prints a crash report and ends the image.
pub fn crash(exit: Exit, cause: fmt::Arguments<'_>, frames: &Frames<'_>) -> ! {
    begin(exit).end(cause, frames)
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
