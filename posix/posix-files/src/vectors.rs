//! Lists of buffers of the application.

use syscall_shim::{IoVec, UserSlice};
use ukerrno::Errno;
use ukfile::fallible::with_list;

/// Buffers of one call at most (`UIO_MAXIOV`, `limits.h` of Linux).
const IOV_MAX: usize = 1024;
/// Bytes of one call at most (`MAX_RW_COUNT` of Linux).
pub const MAX_BYTES: usize = 0x7fff_f000;

/// Buffers up to which their list takes no memory: `stdio` passes two.
const FEW: usize = 8;

/// Refuses lists that no call can have.
fn check(buffers: &UserSlice<'_, IoVec>) -> Result<(), Errno> {
    let fits = |buffer: IoVec| isize::try_from(buffer.len).is_ok();
    if buffers.len() <= IOV_MAX && buffers.iter().all(fits) { Ok(()) } else { Err(Errno::EINVAL) }
}

/// Puts the buffers where they are wanted: together at most [`MAX_BYTES`], what is more is cut off.
fn each<T>(
    list: &mut [T],
    buffers: &UserSlice<'_, IoVec>,
    of: impl Fn(IoVec) -> Result<T, Errno>,
) -> Result<(), Errno> {
    let mut left = MAX_BYTES;
    for (place, buffer) in list.iter_mut().zip(buffers.iter()) {
        let len = buffer.len.min(left);
        left -= len;
        *place = of(IoVec { len, ..buffer })?;
    }
    Ok(())
}

/// Calls `f` with the buffers, to be read.
pub fn to_write<R>(
    buffers: UserSlice<'_, IoVec>,
    f: impl FnOnce(&[&[u8]]) -> Result<R, Errno>,
) -> Result<R, Errno> {
    check(&buffers)?;
    with_list::<_, FEW, _>(
        buffers.len(),
        || &[][..],
        |list| {
            each(list, &buffers, |b| Ok(b.base.slice(buffers.scope(), b.len)?.as_slice()))?;
            f(list)
        },
    )
}

/// Calls `f` with the buffers, to be filled.
pub fn to_read<R>(
    buffers: UserSlice<'_, IoVec>,
    f: impl FnOnce(&mut [&mut [u8]]) -> Result<R, Errno>,
) -> Result<R, Errno> {
    check(&buffers)?;
    with_list::<_, FEW, _>(
        buffers.len(),
        || &mut [][..],
        |list| {
            each(list, &buffers, |b| {
                Ok(b.base.slice_mut(buffers.scope(), b.len)?.into_mut_slice())
            })?;
            f(list)
        },
    )
}
