//! Opening: `open`, `openat`, `creat`, `pipe`.

use fdtab::TABLE;
use syscall_shim::{As, CStrPtr, Directory, FileFlags, Mode, OpenedFlags, UserOut, syscall};
use ukerrno::Errno;
use ukfile::OpenFlags;

use crate::at::{AT_FDCWD, base};
use crate::process::context;
use crate::traced::NewMode;

fn open_at(directory: i32, path: &[u8], flags: u32, mode: u32) -> Result<i32, Errno> {
    let flags = OpenFlags::from_bits_retain(flags);
    // First: without a number nothing may be made or cut off.
    let number = TABLE.reserve(flags.contains(OpenFlags::CLOSE_ON_EXEC))?;
    let base = base(directory, path)?;
    let file = context()?.open(base.as_ref(), path, flags, (mode & 0o7777) as u16)?;
    Ok(number.fill(file))
}

/// Opens a file (open(2)).
#[syscall]
fn open(path: CStrPtr, flags: FileFlags, #[trace(As<NewMode>)] mode: Mode) -> Result<i32, Errno> {
    open_at(AT_FDCWD, path.path()?, flags.0, mode.0)
}

/// Opens a file (openat(2)).
#[syscall]
fn openat(
    #[trace(Directory)] directory: i32,
    path: CStrPtr,
    flags: FileFlags,
    #[trace(As<NewMode>)] mode: Mode,
) -> Result<i32, Errno> {
    open_at(directory, path.path()?, flags.0, mode.0)
}

/// Makes and opens a file (creat(2)).
#[syscall]
fn creat(path: CStrPtr, mode: Mode) -> Result<i32, Errno> {
    let flags = OpenFlags::CREATE | OpenFlags::WRITE_ONLY | OpenFlags::TRUNCATE;
    open_at(AT_FDCWD, path.path()?, flags.bits(), mode.0)
}

/// Makes a pipe (pipe2(2)).
#[syscall]
fn pipe2(ends: UserOut<[i32; 2]>, #[trace(OpenedFlags)] flags: FileFlags) -> Result<(), Errno> {
    let known = OpenFlags::CLOSE_ON_EXEC | OpenFlags::NONBLOCK | OpenFlags::DIRECT;
    let flags =
        OpenFlags::from_bits(flags.0).filter(|f| known.contains(*f)).ok_or(Errno::EINVAL)?;
    if flags.contains(OpenFlags::DIRECT) {
        // Packets are not kept apart here.
        return Err(Errno::EINVAL);
    }
    let pair = pipe::pipe(flags)?;
    ends.write(TABLE.insert_pair(pair, flags.contains(OpenFlags::CLOSE_ON_EXEC))?);
    Ok(())
}

/// Makes a pipe (pipe(2)).
#[syscall]
fn pipe(ends: UserOut<[i32; 2]>) -> Result<(), Errno> {
    pipe2(ends, FileFlags(0))
}
