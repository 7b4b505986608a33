//! Calls that nobody handles.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::{Errno, nr};

static MISSING: [AtomicU32; nr::LIMIT] = [const { AtomicU32::new(0) }; nr::LIMIT];

/// Numbers that were called and have no handler, with how often; numbers from
/// [`nr::LIMIT`](crate::nr::LIMIT) on count as the last.
pub fn missing() -> impl Iterator<Item = (usize, u32)> {
    let counts = MISSING.iter().map(|count| count.load(Ordering::Relaxed));
    counts.enumerate().filter(|&(_, count)| count > 0)
}

/// A call of a number without a handler.
#[cold]
pub(crate) fn call(number: usize) -> isize {
    MISSING[number.min(nr::LIMIT - 1)].fetch_add(1, Ordering::Relaxed);
    #[cfg(feature = "strace")]
    crate::strace::missing(number);
    Errno::ENOSYS.to_raw()
}

/// Where libc's call of a handler leads that is not in the image.
#[unsafe(no_mangle)]
extern "C" fn uk_syscall_missing(number: usize) -> isize {
    call(number)
}
