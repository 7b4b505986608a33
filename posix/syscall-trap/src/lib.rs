//! Instructions for system calls in the program reach the handlers.
//!
//! ```no_run
//! # fn boot() -> &'static ukplat::BootInfo { unimplemented!() }
//! // The image does this when it boots.
//! syscall_trap::init(boot())?;
//! // From here on the program's own `syscall` instructions are calls by number, as those of
//! // syscall(2): all registers but the result's and two more are kept, and the red zone.
//! # Ok::<(), ukplat::InitError>(())
//! ```
//!
//! The C library of an image calls its handlers. This is for code that does not ask it: assembly,
//! system calls of other languages' libraries, objects that somebody else compiled. A program names
//! the library in its manifest, `libraries = ["syscall-trap"]`; then all handlers of the image's
//! libraries are in it, because nobody can tell which numbers will come.
//!
//! Unsafe code in this crate: taking the program's word for what is behind its pointers.
#![cfg_attr(not(test), no_std)]

use ukplat::syscall::{TrapError, Words, handle_with};
use ukplat::{BootInfo, InitError};

/// Boot phase `syscall-trap`: from here on the instructions arrive.
///
/// # Errors
/// The platform, or the Linux below it, has no way to make them.
pub fn init(_boot: &'static BootInfo) -> Result<(), InitError> {
    handle_with(uk_syscall_trapped).map_err(|error| match error {
        TrapError::Unsupported => InitError::new(
            "instructions for system calls do not arrive on this platform: leave out syscall-trap",
        ),
        TrapError::Host => InitError::new(
            "this Linux has no syscall user dispatch, which syscall-trap needs: take Linux 5.11 or \
             later, or the platform kvm",
        ),
    })
}

/// The call of an instruction. `oxk syscalls` knows by the name that all handlers are there.
#[unsafe(no_mangle)]
fn uk_syscall_trapped(words: &Words) -> isize {
    let [number, arguments @ ..] = *words;
    // SAFETY: what the words must be is the program's promise, as in calls of handlers.
    unsafe { syscall_shim::dispatch(number, arguments) }
}

#[cfg(test)]
mod tests {
    use syscall_shim::{Errno, syscall};

    use super::*;

    #[syscall(nr = 500)]
    fn difference(a: usize, b: usize) -> usize {
        a - b
    }

    #[test]
    fn calls_are_calls_by_number() {
        assert_eq!(difference(5, 2), 3);
        assert_eq!(uk_syscall_trapped(&[500, 9, 2, 0, 0, 0, 0]), 7);
        let missing = |number| syscall_shim::missing().find(|(n, _)| *n == number);
        for number in [499, usize::MAX] {
            assert_eq!(uk_syscall_trapped(&[number, 0, 0, 0, 0, 0, 0]), Errno::ENOSYS.to_raw());
        }
        assert_eq!(missing(499), Some((499, 1)));
    }

    #[test]
    fn a_platform_without_a_way_is_refused() {
        let refused = init(&BootInfo::EMPTY).unwrap_err();
        assert!(refused.to_string().contains("leave out syscall-trap"), "{refused}");
    }
}
