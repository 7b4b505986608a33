//! Lists of buffers of the application.

use alloc::vec::Vec;

use syscall_shim::{Plain, Raw, UserSlice};
use ukerrno::Errno;

/// Buffers of one call at most (`UIO_MAXIOV`, `limits.h` of Linux).
const IOV_MAX: usize = 1024;
/// Bytes of one call at most (`MAX_RW_COUNT` of Linux).
pub const MAX_BYTES: usize = 0x7fff_f000;

/// A buffer of `readv` and `writev`.
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
pub struct IoVec {
    base: Raw<u8>,
    len: usize,
}

/// Lengths that one call can have: together at most [`MAX_BYTES`], what is more is cut off.
fn lengths(buffers: &UserSlice<'_, IoVec>) -> Result<Vec<usize>, Errno> {
    if buffers.len() > IOV_MAX {
        return Err(Errno::EINVAL);
    }
    let mut lengths = Vec::new();
    lengths.try_reserve_exact(buffers.len()).map_err(|_| Errno::ENOMEM)?;
    let mut left = MAX_BYTES;
    for buffer in buffers.iter() {
        if buffer.len > isize::MAX as usize {
            return Err(Errno::EINVAL);
        }
        lengths.push(buffer.len.min(left));
        left -= buffer.len.min(left);
    }
    Ok(lengths)
}

/// Calls `f` with the buffers, to be read.
pub fn to_write<R>(
    buffers: UserSlice<'_, IoVec>,
    f: impl FnOnce(&[&[u8]]) -> Result<R, Errno>,
) -> Result<R, Errno> {
    let lengths = lengths(&buffers)?;
    let mut list = Vec::new();
    list.try_reserve_exact(lengths.len()).map_err(|_| Errno::ENOMEM)?;
    for (buffer, length) in buffers.iter().zip(lengths) {
        list.push(buffer.base.slice(buffers.scope(), length)?.as_slice());
    }
    f(&list)
}

/// Calls `f` with the buffers, to be filled.
pub fn to_read<R>(
    buffers: UserSlice<'_, IoVec>,
    f: impl FnOnce(&mut [&mut [u8]]) -> Result<R, Errno>,
) -> Result<R, Errno> {
    let lengths = lengths(&buffers)?;
    let mut memory = Vec::new();
    let mut list = Vec::new();
    memory.try_reserve_exact(lengths.len()).map_err(|_| Errno::ENOMEM)?;
    list.try_reserve_exact(lengths.len()).map_err(|_| Errno::ENOMEM)?;
    for (buffer, length) in buffers.iter().zip(lengths) {
        memory.push(buffer.base.slice_mut(buffers.scope(), length)?);
    }
    list.extend(memory.iter_mut().map(|m| m.as_mut_slice()));
    f(&mut list)
}
