//! Descriptors: closing, duplicating, `fcntl`.

use fdtab::TABLE;
use syscall_shim::{
    As, CloseRangeFlags, FcntlCommand, FlockOperation, OpenedFlags, UserWord, syscall,
};
use ukerrno::Errno;
use ukfile::{Description, Kind, OpenFlags};

use crate::process::context;
use crate::traced::FcntlArgument;
use crate::{locks, memory};

/// Closes a descriptor: also ends the locks of the process on the file.
pub fn close_one(fd: i32) -> Result<(), Errno> {
    // The number is free whatever comes now.
    let file = TABLE.close(fd)?;
    if file.flags().contains(OpenFlags::PATH) {
        return Ok(());
    }
    locks::closed(&file);
    file.file().flush()
}

/// Closes a descriptor (close(2)).
#[syscall]
fn close(fd: i32) -> Result<(), Errno> {
    close_one(fd)
}

/// Closes descriptors, or marks them to be closed by `execve` (close_range(2)).
#[syscall]
fn close_range(first: u32, last: u32, #[trace(CloseRangeFlags)] flags: u32) -> Result<(), Errno> {
    const UNSHARE: u32 = 2;
    const MARK: u32 = 4;
    if first > last || flags & !(UNSHARE | MARK) != 0 {
        return Err(Errno::EINVAL);
    }
    let last = i32::try_from(last).unwrap_or(i32::MAX);
    let mut from = i32::try_from(first).unwrap_or(i32::MAX);
    while let Some(fd) = TABLE.next(from).filter(|&fd| fd <= last) {
        // Another thread may have closed it meanwhile; errors of flushing are not told here.
        let _ = if flags & MARK != 0 { TABLE.set_close_on_exec(fd, true) } else { close_one(fd) };
        from = fd + 1;
    }
    Ok(())
}

/// A further number (dup(2)).
#[syscall]
fn dup(fd: i32) -> Result<i32, Errno> {
    TABLE.duplicate(fd, 0, false)
}

fn duplicate_to(fd: i32, to: i32, close_on_exec: bool) -> Result<i32, Errno> {
    if let Some(old) = TABLE.duplicate_to(fd, to, close_on_exec)?
        && !old.flags().contains(OpenFlags::PATH)
    {
        locks::closed(&old);
        // As Linux: what the file that goes has to say is not told.
        let _ = old.file().flush();
    }
    Ok(to)
}

/// A certain number (dup2(2)).
#[syscall]
fn dup2(fd: i32, to: i32) -> Result<i32, Errno> {
    if fd == to {
        return TABLE.get(fd).map(|_| to);
    }
    duplicate_to(fd, to, false)
}

/// A certain number, with flags (dup3(2)).
#[syscall]
fn dup3(fd: i32, to: i32, #[trace(OpenedFlags)] flags: u32) -> Result<i32, Errno> {
    let close_on_exec = match OpenFlags::from_bits_retain(flags) {
        OpenFlags::CLOSE_ON_EXEC => true,
        flags if flags.is_empty() => false,
        _ => return Err(Errno::EINVAL),
    };
    if fd == to {
        return Err(Errno::EINVAL);
    }
    duplicate_to(fd, to, close_on_exec)
}

/// Commands of `fcntl`.
pub mod command {
    pub const DUPLICATE: u32 = 0;
    pub const GET_FD: u32 = 1;
    pub const SET_FD: u32 = 2;
    pub const GET_FLAGS: u32 = 3;
    pub const SET_FLAGS: u32 = 4;
    pub const GET_LOCK: u32 = 5;
    pub const SET_LOCK: u32 = 6;
    pub const WAIT_LOCK: u32 = 7;
    pub const SET_OWNER: u32 = 8;
    pub const GET_OWNER: u32 = 9;
    pub const SET_SIGNAL: u32 = 10;
    pub const GET_SIGNAL: u32 = 11;
    pub const OPEN_GET_LOCK: u32 = 36;
    pub const OPEN_SET_LOCK: u32 = 37;
    pub const OPEN_WAIT_LOCK: u32 = 38;
    pub const DUPLICATE_CLOSE: u32 = 1030;
    pub const SET_PIPE_SIZE: u32 = 1031;
    pub const GET_PIPE_SIZE: u32 = 1032;
    pub const ADD_SEALS: u32 = 1033;
    pub const GET_SEALS: u32 = 1034;
}

/// Sets the flags of an open file that can be changed.
fn set_flags(file: &Description, flags: OpenFlags) -> Result<(), Errno> {
    let new = flags - file.flags();
    if new.intersects(OpenFlags::NO_ATIME | OpenFlags::DIRECT) {
        let metadata = file.file().metadata()?;
        if new.contains(OpenFlags::NO_ATIME) && !context()?.credentials.owns(&metadata) {
            return Err(Errno::EPERM);
        }
        // Of pipes it would keep packets apart (pipe2(2)), of others nothing.
        let stored = matches!(metadata.kind, Kind::Regular | Kind::BlockDevice);
        if new.contains(OpenFlags::DIRECT) && !stored {
            return Err(Errno::EINVAL);
        }
    }
    file.set_flags(flags);
    Ok(())
}

/// Sets who is sent signals about a file: the process, its group, or nobody. Nothing sends any so far.
fn set_owner(file: &Description, owner: i32) -> Result<(), Errno> {
    match owner.checked_abs().ok_or(Errno::EINVAL)? {
        0 | posix_process::PID => {
            file.set_owner(owner);
            Ok(())
        }
        _ => Err(Errno::ESRCH),
    }
}

/// Does various things with a descriptor (fcntl(2)).
#[syscall]
fn fcntl(
    fd: i32,
    #[trace(FcntlCommand)] command: u32,
    #[trace(As<FcntlArgument>)] argument: UserWord,
) -> Result<usize, Errno> {
    let number = argument.value();
    let file = TABLE.get(fd)?;
    let path_only = file.flags().contains(OpenFlags::PATH);
    let allowed = matches!(
        command,
        command::DUPLICATE
            | command::DUPLICATE_CLOSE
            | command::GET_FD
            | command::SET_FD
            | command::GET_FLAGS
    );
    if path_only && !allowed {
        return Err(Errno::EBADF);
    }
    match command {
        command::DUPLICATE | command::DUPLICATE_CLOSE => {
            let close = command == command::DUPLICATE_CLOSE;
            TABLE.duplicate(fd, number as i32, close).map(|fd| fd as usize)
        }
        command::GET_FD => TABLE.close_on_exec(fd).map(usize::from),
        command::SET_FD => TABLE.set_close_on_exec(fd, number & 1 != 0).map(|()| 0),
        command::GET_FLAGS => Ok(file.flags().bits() as usize),
        command::SET_FLAGS => {
            set_flags(&file, OpenFlags::from_bits_retain(number as u32)).map(|()| 0)
        }
        command::GET_LOCK | command::OPEN_GET_LOCK => {
            let open = command == command::OPEN_GET_LOCK;
            locks::get(&file, argument.pointer()?, open).map(|()| 0)
        }
        command::SET_LOCK | command::OPEN_SET_LOCK => {
            let open = command == command::OPEN_SET_LOCK;
            locks::set(&file, argument.pointer()?, open, false).map(|()| 0)
        }
        command::WAIT_LOCK | command::OPEN_WAIT_LOCK => {
            let open = command == command::OPEN_WAIT_LOCK;
            locks::set(&file, argument.pointer()?, open, true).map(|()| 0)
        }
        command::SET_OWNER => set_owner(&file, number as i32).map(|()| 0),
        // Groups as Linux tells them: below 0.
        command::GET_OWNER => Ok(file.owner() as usize),
        // 0 is SIGIO.
        command::SET_SIGNAL if number as i32 == 0 => Ok(0),
        command::GET_SIGNAL => Ok(0),
        command::GET_PIPE_SIZE => pipe::capacity(&file),
        command::SET_PIPE_SIZE => pipe::set_capacity(&file, number),
        command::ADD_SEALS => memory::add_seals(&file, number as u32).map(|()| 0),
        command::GET_SEALS => memory::seals(&file).map(|seals| seals as usize),
        _ => Err(Errno::EINVAL),
    }
}

/// Locks a file as a whole (flock(2)).
#[syscall]
fn flock(fd: i32, #[trace(FlockOperation)] operation: u32) -> Result<(), Errno> {
    const SHARED: u32 = 1;
    const EXCLUSIVE: u32 = 2;
    const NO_WAIT: u32 = 4;
    const UNLOCK: u32 = 8;
    let file = TABLE.get(fd)?;
    if file.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    let wait = operation & NO_WAIT == 0;
    match operation & !NO_WAIT {
        SHARED => locks::whole(&file, Some(false), wait),
        EXCLUSIVE => locks::whole(&file, Some(true), wait),
        UNLOCK => locks::whole(&file, None, wait),
        _ => Err(Errno::EINVAL),
    }
}
