//! Locks: those of the host, on behalf of the client as a whole.

use p9::{Lock, LockQuery, LockStatus, LockType};
use ukerrno::Errno;
use vfs::{LockKind, NodeRef, RangeLock};

fn range(kind: LockType, start: u64, length: u64) -> Result<RangeLock, Errno> {
    let kind = match kind {
        LockType::Read => LockKind::Shared,
        LockType::Write => LockKind::Exclusive,
        LockType::Unlock => LockKind::None,
    };
    RangeLock::with_length(kind, start, length).ok_or(Errno::EINVAL)
}

/// Sets a lock. Whoever wants to wait asks again.
pub fn set(node: &NodeRef, lock: &Lock<'_>) -> Result<LockStatus, Errno> {
    match node.lock(&range(lock.kind, lock.start, lock.length)?) {
        Ok(()) => Ok(LockStatus::Success),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(LockStatus::Blocked),
        Err(Errno::ENOLCK) => Ok(LockStatus::Error),
        Err(error) => Err(error),
    }
}

/// What is in the way of a lock.
pub fn ask<'a>(node: &NodeRef, query: &LockQuery<'a>) -> Result<LockQuery<'a>, Errno> {
    let wanted = range(query.kind, query.start, query.length)?;
    if wanted.kind == LockKind::None {
        return Err(Errno::EINVAL);
    }
    Ok(match node.blocking(&wanted)? {
        None => LockQuery { kind: LockType::Unlock, ..*query },
        Some(other) => LockQuery {
            kind: match other.kind {
                LockKind::Exclusive => LockType::Write,
                _ => LockType::Read,
            },
            start: other.first,
            length: other.length(),
            process: 0,
            client: b"",
        },
    })
}
