//! Crash reports: one format for panics and faults, which `oxk run` symbolises.
//!
//! A report starts with a line that names the cause. Return addresses follow, each on a line of
//! its own: two spaces, `#`, the frame number, a space, `0x` and 16 hexadecimal digits.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::{Exit, Stream};

/// Frames printed at most.
const MAX_FRAMES: usize = 32;

/// Something that calls its argument with code addresses, innermost first.
pub type Frames<'a> = dyn Fn(&mut dyn FnMut(usize)) + 'a;

static CRASHED: AtomicBool = AtomicBool::new(false);

/// Prints a crash report and ends the image.
///
/// A crash during the report ends the image at once.
pub fn crash(exit: Exit, cause: fmt::Arguments<'_>, frames: &Frames<'_>) -> ! {
    if CRASHED.swap(true, Ordering::Relaxed) {
        crate::console_write(Stream::Err, b"\ncrashed again while reporting a crash\n");
        crate::terminate(exit);
    }
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
    crate::terminate(exit)
}
