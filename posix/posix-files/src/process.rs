//! The process's view of the tree.

use alloc::sync::Arc;

use ukerrno::Errno;
use ukfile::Description;
use uklock::RwLock;
use vfs::Context;

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
