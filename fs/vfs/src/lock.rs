//! Locks on bytes of files, towards others than the users of this image.

/// What a lock allows others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockKind {
    /// Everything: there is no lock.
    None,
    /// Such locks of their own.
    Shared,
    /// Nothing.
    Exclusive,
}

/// A lock on bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeLock {
    /// What it allows others.
    pub kind: LockKind,
    /// The first byte.
    pub first: u64,
    /// The last byte; `i64::MAX` for all behind the first.
    pub last: u64,
}

impl RangeLock {
    /// The length as `struct flock` has it: 0 for all behind the first.
    pub const fn length(&self) -> u64 {
        if self.last >= i64::MAX as u64 { 0 } else { self.last - self.first + 1 }
    }

    /// A lock with a length as `struct flock` has it; `None` when it ends behind all files.
    pub fn with_length(kind: LockKind, first: u64, length: u64) -> Option<Self> {
        let end = i64::MAX as u64;
        let last = match length {
            0 => end,
            _ => first.checked_add(length - 1)?,
        };
        (first <= last && last <= end).then_some(Self { kind, first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        let lock = |first, length| RangeLock::with_length(LockKind::Shared, first, length);
        assert_eq!(lock(5, 3).unwrap().last, 7);
        assert_eq!(lock(5, 3).unwrap().length(), 3);
        assert_eq!(lock(5, 0).unwrap().length(), 0);
        assert_eq!(lock(u64::MAX, 1), None);
        assert_eq!(lock(u64::MAX, 2), None);
        assert_eq!(lock(i64::MAX as u64 + 1, 0), None);
    }
}
