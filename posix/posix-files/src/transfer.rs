//! Reading and writing.

use fdtab::TABLE;
use syscall_shim::{
    FilledBuffers, FullBuffers, IoVec, TransferFlags, UserPtr, UserSlice, UserSliceMut, Whence,
    syscall,
};
use ukerrno::Errno;
use ukfile::{Description, Kind, OpenFlags, Seek};
use vfs::OpenNode;

use crate::vectors::{MAX_BYTES, to_read, to_write};

const NONE: OpenFlags = OpenFlags::empty();

/// Reads (read(2)).
#[syscall]
fn read(fd: i32, mut bytes: UserSliceMut<'_, u8>) -> Result<usize, Errno> {
    let bytes = bytes.as_mut_slice();
    let length = bytes.len().min(MAX_BYTES);
    TABLE.get(fd)?.read(&mut [&mut bytes[..length]])
}

/// Writes (write(2)).
#[syscall]
fn write(fd: i32, bytes: UserSlice<u8>) -> Result<usize, Errno> {
    let bytes = bytes.as_slice();
    TABLE.get(fd)?.write(&[&bytes[..bytes.len().min(MAX_BYTES)]])
}

/// Reads at an offset (pread(2)).
#[syscall]
fn pread64(fd: i32, mut bytes: UserSliceMut<'_, u8>, offset: i64) -> Result<usize, Errno> {
    let bytes = bytes.as_mut_slice();
    let length = bytes.len().min(MAX_BYTES);
    TABLE.get(fd)?.read_at(offset as u64, &mut [&mut bytes[..length]], NONE)
}

/// Writes at an offset (pwrite(2)).
#[syscall]
fn pwrite64(fd: i32, bytes: UserSlice<u8>, offset: i64) -> Result<usize, Errno> {
    let bytes = bytes.as_slice();
    TABLE.get(fd)?.write_at(offset as u64, &[&bytes[..bytes.len().min(MAX_BYTES)]], NONE)
}

/// Reads into several buffers (readv(2)).
#[syscall]
fn readv(fd: i32, #[trace(FilledBuffers)] buffers: UserSlice<IoVec>) -> Result<usize, Errno> {
    let file = TABLE.get(fd)?;
    to_read(buffers, |list| file.read(list))
}

/// Writes several buffers (writev(2)).
#[syscall]
fn writev(fd: i32, #[trace(FullBuffers)] buffers: UserSlice<IoVec>) -> Result<usize, Errno> {
    let file = TABLE.get(fd)?;
    to_write(buffers, |list| file.write(list))
}

/// Flags of `preadv2` and `pwritev2`: `RWF_HIPRI` and so on.
fn extra(flags: u32) -> Result<OpenFlags, Errno> {
    const HIGH_PRIORITY: u32 = 1;
    let mut extra = NONE;
    for (bit, flag) in [
        (2, OpenFlags::DATA_SYNC),
        (4, OpenFlags::SYNC),
        (8, OpenFlags::NONBLOCK),
        (16, OpenFlags::APPEND),
    ] {
        if flags & bit != 0 {
            extra |= flag;
        }
    }
    if flags & !(HIGH_PRIORITY | 30) != 0 { Err(Errno::EOPNOTSUPP) } else { Ok(extra) }
}

// The offset comes in two words, for machines whose words are halves: here the first has it all.

/// Reads at an offset into several buffers (preadv(2)).
#[syscall]
fn preadv(
    fd: i32,
    #[trace(FilledBuffers)] buffers: UserSlice<IoVec>,
    offset: i64,
    _high: usize,
) -> Result<usize, Errno> {
    let file = TABLE.get(fd)?;
    to_read(buffers, |list| file.read_at(offset as u64, list, NONE))
}

/// Writes several buffers at an offset (pwritev(2)).
#[syscall]
fn pwritev(
    fd: i32,
    #[trace(FullBuffers)] buffers: UserSlice<IoVec>,
    offset: i64,
    _high: usize,
) -> Result<usize, Errno> {
    let file = TABLE.get(fd)?;
    to_write(buffers, |list| file.write_at(offset as u64, list, NONE))
}

/// Reads at an offset, or at the position for -1, with flags (preadv2(2)).
#[syscall]
fn preadv2(
    fd: i32,
    #[trace(FilledBuffers)] buffers: UserSlice<IoVec>,
    offset: i64,
    _high: usize,
    #[trace(TransferFlags)] flags: u32,
) -> Result<usize, Errno> {
    let (file, extra) = (TABLE.get(fd)?, extra(flags)?);
    to_read(buffers, |list| match offset {
        -1 => file.read_with(list, extra),
        _ => file.read_at(offset as u64, list, extra),
    })
}

/// Writes at an offset, or at the position for -1, with flags (pwritev2(2)).
#[syscall]
fn pwritev2(
    fd: i32,
    #[trace(FullBuffers)] buffers: UserSlice<IoVec>,
    offset: i64,
    _high: usize,
    #[trace(TransferFlags)] flags: u32,
) -> Result<usize, Errno> {
    let (file, extra) = (TABLE.get(fd)?, extra(flags)?);
    to_write(buffers, |list| match offset {
        -1 => file.write_with(list, extra),
        _ => file.write_at(offset as u64, list, extra),
    })
}

/// Moves the position (lseek(2)).
#[syscall]
fn lseek(fd: i32, offset: i64, #[trace(Whence)] whence: i32) -> Result<i64, Errno> {
    let file = TABLE.get(fd)?;
    let to = match whence {
        0 => Seek::Start(offset),
        1 => Seek::Current(offset),
        2 => Seek::End(offset),
        3 => Seek::Data(offset),
        4 => Seek::Hole(offset),
        _ => return Err(Errno::EINVAL),
    };
    file.seek(to).map(|position| position as i64)
}

/// Where a transfer begins: at a position of its own, or at the file's. The file's is copied, not
/// held: the other file may have the same, or somebody may be transferring the other way.
fn start(file: &Description, offset: Option<UserPtr<i64>>) -> Result<u64, Errno> {
    match offset {
        Some(place) => u64::try_from(place.read()).map_err(|_| Errno::EINVAL),
        None => Ok(file.with_position(|at| *at)),
    }
}

/// Tells where a transfer ended.
fn finish(file: &Description, offset: Option<UserPtr<i64>>, at: u64) {
    match offset {
        Some(place) => place.write(at as i64),
        None => file.with_position(|position| *position = at),
    }
}

/// Sends bytes of a file to another without copying them where that can be (sendfile(2)).
#[syscall]
fn sendfile(
    to: i32,
    from: i32,
    offset: Option<UserPtr<i64>>,
    length: usize,
) -> Result<usize, Errno> {
    let (from, to) = (TABLE.get(from)?, TABLE.get(to)?);
    if !from.flags().reads() || !to.flags().writes() {
        return Err(Errno::EBADF);
    }
    if to.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EINVAL);
    }
    let length = length.min(MAX_BYTES);
    let Some(source) = from.downcast::<OpenNode>() else {
        return send_from_device(&from, offset, &to, length);
    };
    if source.location().node.kind() == Kind::Directory {
        return Err(Errno::EINVAL);
    }
    let at = start(&from, offset)?;
    // A file that is visited cannot be written to, nor can two be visited crosswise. What is behind a
    // device may be a file.
    let done = if vfs::location_of(&to).is_some() {
        copy((&from, Some(at)), (&to, None), length)?
    } else {
        send(source, &from, at, &to, length)?
    };
    finish(&from, offset, at + done as u64);
    Ok(done)
}

/// Sends what a device has next, or at an offset: some lead to a file.
fn send_from_device(
    from: &Description,
    offset: Option<UserPtr<i64>>,
    to: &Description,
    length: usize,
) -> Result<usize, Errno> {
    if offset.is_some() && !from.file().has_position() {
        return Err(Errno::ESPIPE);
    }
    if from.file().metadata()?.kind != Kind::CharacterDevice {
        return Err(Errno::EINVAL);
    }
    let at = offset.map(|_| start(from, offset)).transpose()?;
    let done = copy((from, at), (to, None), length)?;
    if let Some(at) = at {
        finish(from, offset, at + done as u64);
    }
    Ok(done)
}

/// Sends without copying what the other end takes at once. What it would have to wait for goes
/// through a buffer: nobody waits while he keeps others from the file.
fn send(
    source: &OpenNode,
    from: &Description,
    at: u64,
    to: &Description,
    length: usize,
) -> Result<usize, Errno> {
    let waits = !to.flags().contains(OpenFlags::NONBLOCK);
    let mut done = 0;
    loop {
        let sent = source.visit((at + done as u64, length - done), from.flags(), &mut |piece| {
            to.write_with(&[piece], OpenFlags::NONBLOCK)
        });
        match sent {
            Ok(sent) => done += sent,
            Err(Errno::EAGAIN) if waits => {}
            Err(error) if done == 0 => return Err(error),
            Err(_) => return Ok(done),
        }
        if done == length || !waits {
            return Ok(done);
        }
        let piece = PIECE.min(length - done);
        match copy((from, Some(at + done as u64)), (to, None), piece) {
            Ok(copied) if copied == piece => done += copied,
            // The end, or a signal.
            Ok(copied) => return Ok(done + copied),
            Err(error) if done == 0 => return Err(error),
            Err(_) => return Ok(done),
        }
    }
}

fn is_same_node(a: &Description, b: &Description) -> bool {
    match (vfs::location_of(a), vfs::location_of(b)) {
        (Some(a), Some(b)) => vfs::same(&a.node, &b.node),
        _ => false,
    }
}

/// Bytes that are copied at once.
const PIECE: usize = 1 << 16;

/// Copies through a buffer, at offsets or at the positions: the file is not held while the other is
/// written to.
fn copy(
    (from, from_at): (&Description, Option<u64>),
    (to, to_at): (&Description, Option<u64>),
    length: usize,
) -> Result<usize, Errno> {
    let mut buffer = ukfile::fallible::zeroed(length.min(PIECE))?;
    let mut done = 0;
    while done < length {
        let piece = buffer.len().min(length - done);
        let into: &mut [&mut [u8]] = &mut [&mut buffer[..piece]];
        let read = match from_at {
            Some(from_at) => from.read_at(from_at + done as u64, into, NONE),
            None => from.read(into),
        };
        let read = match read {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        };
        let bytes: &[&[u8]] = &[&buffer[..read]];
        let written = match to_at {
            Some(to_at) => to.write_at(to_at + done as u64, bytes, NONE),
            None => to.write(bytes),
        };
        match written {
            // A device that takes no more.
            Ok(0) => break,
            Ok(written) => done += written,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Copies bytes between files (copy_file_range(2)).
#[syscall]
fn copy_file_range(
    from: i32,
    from_offset: Option<UserPtr<i64>>,
    to: i32,
    to_offset: Option<UserPtr<i64>>,
    length: usize,
    flags: u32,
) -> Result<usize, Errno> {
    let (from, to) = (TABLE.get(from)?, TABLE.get(to)?);
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    if !from.flags().reads() || !to.flags().writes() || to.flags().contains(OpenFlags::APPEND) {
        return Err(Errno::EBADF);
    }
    for file in [&from, &to] {
        match file.file().metadata()?.kind {
            Kind::Regular => {}
            Kind::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
    }
    let (from_at, to_at) = (start(&from, from_offset)?, start(&to, to_offset)?);
    let end = |at: u64, length: usize| at.checked_add(length as u64).ok_or(Errno::EOVERFLOW);
    end(from_at, length)?;
    end(to_at, length)?;
    let left = from.file().metadata()?.size.saturating_sub(from_at);
    let length = length.min(MAX_BYTES).min(usize::try_from(left).unwrap_or(MAX_BYTES));
    let end = |at: u64| at + length as u64;
    if is_same_node(&from, &to) && from_at < end(to_at) && to_at < end(from_at) && length > 0 {
        return Err(Errno::EINVAL);
    }
    let done = copy((&from, Some(from_at)), (&to, Some(to_at)), length)?;
    finish(&from, from_offset, from_at + done as u64);
    finish(&to, to_offset, to_at + done as u64);
    Ok(done)
}
