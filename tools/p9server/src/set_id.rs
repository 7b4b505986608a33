//! Set-user-ID and set-group-ID, by which others on the host run a program with the rights of its
//! owner: files have them from the host alone.

use ukerrno::Errno;
use ukfile::Kind;
use vfs::{Change, NodeRef};

const BITS: u16 = 0o6000;

/// Whether these permissions may be given to a file that has, or loses, others.
pub(crate) fn check(kind: Kind, permissions: u16, now: u16) -> Result<(), Errno> {
    // Those of directories give nobody any rights.
    let refused = kind != Kind::Directory && permissions & BITS & !now != 0;
    if refused { Err(Errno::EPERM) } else { Ok(()) }
}

/// Takes them from a file that is about to get another content.
pub(crate) fn take(node: &NodeRef) -> Result<(), Errno> {
    let permissions = node.metadata()?.permissions;
    if permissions & BITS == 0 {
        return Ok(());
    }
    let taken = Change { permissions: Some(permissions & !BITS), ..Change::default() };
    match node.change(&taken) {
        // Somebody else's: the host takes them when the content changes.
        Err(Errno::EPERM) if !hostfs::keeps_set_id() => Ok(()),
        done => done,
    }
}
