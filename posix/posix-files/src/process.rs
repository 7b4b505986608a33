//! The process's view of the tree.

use alloc::sync::Arc;

use posix_process::{Identity, OnIdentityChange};
use ukerrno::Errno;
use ukfile::Description;
use uklock::RwLock;
use vfs::{Context, Credentials};

static CONTEXT: RwLock<Option<Arc<Context>>> = RwLock::new(None);

/// The view of the tree that calls have now. A call uses one view from its start to its end.
///
/// # Errors
/// `ENOENT` before there is a tree.
#[inline]
pub fn context() -> Result<Arc<Context>, Errno> {
    CONTEXT.read().clone().ok_or(Errno::ENOENT)
}

/// Changes the view; calls that run go on with the one before.
///
/// # Errors
/// `ENOENT` before there is a tree; `ENOMEM`
pub fn update<R>(change: impl FnOnce(&mut Context) -> R) -> Result<R, Errno> {
    let mut current = CONTEXT.write();
    let mut next = Context::clone(current.as_ref().ok_or(Errno::ENOENT)?);
    let result = change(&mut next);
    let old = current.replace(ukfile::fallible::arc(next)?);
    drop(current);
    drop(old);
    Ok(result)
}

pub(crate) fn set(context: Context) -> Result<(), Errno> {
    let context = ukfile::fallible::arc(context)?;
    let old = CONTEXT.write().replace(context);
    drop(old);
    Ok(())
}

/// The open file of a descriptor.
///
/// # Errors
/// `EBADF`
pub fn descriptor(fd: i32) -> Result<Arc<Description>, Errno> {
    fdtab::TABLE.get(fd)
}

/// How the process's change of users and groups comes to files.
pub static IDENTITY: OnIdentityChange = |identity| {
    match update(|context| context.credentials = credentials(identity)) {
        // Before there are files, nobody asks for them.
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(error),
    }
};

fn credentials(identity: &Identity) -> Credentials {
    Credentials { user: identity.user, group: identity.group, groups: identity.groups.clone() }
}

/// The view with the real user and group in place of the effective ones (`access`).
pub fn real_context() -> Result<Arc<Context>, Errno> {
    let context = context()?;
    let ([user, ..], [group, ..]) = (posix_process::user(), posix_process::group());
    if (context.credentials.user, context.credentials.group) == (user, group) {
        return Ok(context);
    }
    let mut real = Context::clone(&context);
    (real.credentials.user, real.credentials.group) = (user, group);
    ukfile::fallible::arc(real)
}
