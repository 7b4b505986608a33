//! Crash reports: one format for panics and faults, which `oxk run` symbolises.
//!
//! A report starts with a line that names the cause. Return addresses follow, each on a line of
//! its own: two spaces, `#`, the frame number, a space, `0x` and 16 hexadecimal digits.

use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};

use crate::{Exit, Stream};

/// Frames printed at most.
const MAX_FRAMES: usize = 32;

/// Something that calls its argument with code addresses, innermost first.
pub type Frames<'a> = dyn Fn(&mut dyn FnMut(usize)) + 'a;

/// Exit code of the crash that is being reported; 0 when there is none.
static CRASHED: AtomicU8 = AtomicU8::new(0);

/// A crash report that was begun.
#[derive(Debug)]
pub struct Report {
    exit: Exit,
}

/// Begins a crash report; call it before anything about the crash is printed or looked at.
///
/// Interrupts stay disabled from here on. A crash while another is being reported, in its report
/// or in what formats its message, ends the image at once with the exit code of the first.
pub fn begin(exit: Exit) -> Report {
    core::mem::forget(crate::irq::disable());
    match CRASHED.swap(exit.code(), Ordering::Relaxed) {
        0 => Report { exit },
        first => {
            crate::console_write(Stream::Err, b"\ncrashed again while reporting a crash\n");
            crate::terminate(Exit::Code(first))
        }
    }
}

impl Report {
    /// Prints cause and call chain and ends the image.
    pub fn end(self, cause: fmt::Arguments<'_>, frames: &Frames<'_>) -> ! {
        crate::eprintln!("\n{}", cause);
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
