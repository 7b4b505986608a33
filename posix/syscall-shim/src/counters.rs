//! How often each number is called.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::nr;

static CALLS: [AtomicU64; nr::LIMIT] = [const { AtomicU64::new(0) }; nr::LIMIT];

#[inline]
pub(crate) fn count(number: u16) {
    if let Some(calls) = CALLS.get(usize::from(number)) {
        calls.fetch_add(1, Ordering::Relaxed);
    }
}

/// Numbers that were called and handled, with how often.
pub fn calls() -> impl Iterator<Item = (usize, u64)> {
    let counts = CALLS.iter().map(|calls| calls.load(Ordering::Relaxed));
    counts.enumerate().filter(|&(_, calls)| calls > 0)
}
