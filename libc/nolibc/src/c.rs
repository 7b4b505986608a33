//! The functions as C has them: each does what the section of C17 or POSIX.1-2017 says that defines
//! it; where less is done, its header says so.
//!
//! A program has one thread, and what it passes is what the functions ask for: both are what the comments of
//! unsafe blocks call the caller's promise.

mod ctype;
mod cxx;
mod errno;
mod missing;
mod start;
mod stdio;
mod stdlib;
mod string;
mod time;
mod unistd;
mod variadic;

use core::cell::UnsafeCell;

/// Something that C functions change, in a program of one thread. Nobody keeps a reference across a call
/// of the program's own functions.
struct Global<T>(UnsafeCell<T>);

// SAFETY: a program with this library has one thread.
unsafe impl<T> Sync for Global<T> {}

impl<T> Global<T> {
    const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The value, for the time of a closure that calls nothing of the program.
    fn with<R>(&self, run: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: there is one thread, and the closure does not come back here: none in this library
        // uses the same global again or calls the program.
        run(unsafe { &mut *self.0.get() })
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unistd::say(b"nolibc: a defect of the C library\n");
    stdlib::abort()
}
