//! Files of the host, by raw system calls: what drivers of this platform are made of.

use core::ffi::CStr;
use core::fmt;

use crate::sys;

pub(crate) const OPENAT: usize = 257;
const LSEEK: usize = 8;
const PREAD64: usize = 17;
const PWRITE64: usize = 18;
const FLOCK: usize = 73;
const FDATASYNC: usize = 75;
const FALLOCATE: usize = 285;

/// `AT_FDCWD`.
const HERE: usize = -100isize as usize;
const O_RDWR: usize = 2;
/// `O_NONBLOCK | O_CLOEXEC`: a pipe must not make this wait.
pub(crate) const OPEN_FLAGS: usize = 0o4000 | 0o2_000_000;
const SEEK_END: usize = 2;
const LOCK_SHARED: usize = 1;
const LOCK_EXCLUSIVE: usize = 2;
const LOCK_NOW: usize = 4;
const KEEP_SIZE: usize = 1;
const PUNCH_HOLE: usize = 2;
const ZERO_RANGE: usize = 16;

/// An error of the host: a positive `errno` of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostError(pub i32);

impl HostError {
    /// It would have to wait.
    pub const WOULD_BLOCK: Self = Self(11);
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            1 | 13 => "permission denied",
            2 => "no such file",
            9 => "it is not open",
            11 => "another process writes to it",
            16 => "another process uses it",
            20 => "a part of the path is no folder",
            21 => "it is a folder",
            29 => "it is a pipe or a terminal",
            30 => "the file system is read-only",
            36 => "the name is too long",
            111 => "nobody listens there",
            error => return write!(f, "error {error} of the host"),
        })
    }
}

impl core::error::Error for HostError {}

pub(crate) fn call(number: usize, arguments: [usize; 6]) -> Result<usize, HostError> {
    loop {
        // SAFETY: every caller, here and in `io`, passes numbers, and pointers to what lives during the call.
        match unsafe { sys::call(number, arguments) } {
            sys::EINTR => {}
            error @ ..0 => return Err(HostError(-error as i32)),
            value => return Ok(value as usize),
        }
    }
}

/// An open file. It stays open as long as the image runs.
#[derive(Debug)]
pub struct File {
    descriptor: usize,
}

impl File {
    /// Opens a file for reading, or for reading and writing.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn open(path: &CStr, writable: bool) -> Result<Self, HostError> {
        let flags = OPEN_FLAGS | if writable { O_RDWR } else { 0 };
        let descriptor = call(OPENAT, [HERE, path.as_ptr() as usize, flags, 0, 0, 0])?;
        Ok(Self { descriptor })
    }

    /// Keeps others that lock it from writing, and if `alone` from reading. A file system without
    /// locks has none.
    ///
    /// # Errors
    /// [`HostError`] when another has the lock.
    pub fn lock(&self, alone: bool) -> Result<(), HostError> {
        let how = if alone { LOCK_EXCLUSIVE } else { LOCK_SHARED } | LOCK_NOW;
        match call(FLOCK, [self.descriptor, how, 0, 0, 0, 0]) {
            Err(error @ HostError::WOULD_BLOCK) => Err(error),
            _ => Ok(()),
        }
    }

    /// Its length in bytes.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn bytes(&self) -> Result<u64, HostError> {
        call(LSEEK, [self.descriptor, 0, SEEK_END, 0, 0, 0]).map(|len| len as u64)
    }

    /// Fills a buffer from an offset on; returns how many bytes there were.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn read_at(&self, mut bytes: &mut [u8], mut offset: u64) -> Result<usize, HostError> {
        let mut total = 0;
        while !bytes.is_empty() {
            let (start, len) = (bytes.as_mut_ptr() as usize, bytes.len());
            let done = call(PREAD64, [self.descriptor, start, len, offset as usize, 0, 0])?;
            if done == 0 {
                break;
            }
            bytes = bytes.get_mut(done..).unwrap_or_default();
            offset += done as u64;
            total += done;
        }
        Ok(total)
    }

    /// Writes all bytes from an offset on.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn write_at(&self, mut bytes: &[u8], mut offset: u64) -> Result<(), HostError> {
        while !bytes.is_empty() {
            let (start, len) = (bytes.as_ptr() as usize, bytes.len());
            let done = call(PWRITE64, [self.descriptor, start, len, offset as usize, 0, 0])?;
            bytes = bytes.get(done..).unwrap_or_default();
            offset += done as u64;
        }
        Ok(())
    }

    /// Makes what was written survive a loss of power.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn sync(&self) -> Result<(), HostError> {
        call(FDATASYNC, [self.descriptor, 0, 0, 0, 0, 0]).map(|_| ())
    }

    /// Fills a range with zeroes without writing them.
    ///
    /// # Errors
    /// [`HostError`] when the file system cannot.
    pub fn zero(&self, offset: u64, len: u64) -> Result<(), HostError> {
        self.allocate(ZERO_RANGE, offset, len)
    }

    /// Gives the room of a range back.
    ///
    /// # Errors
    /// [`HostError`] when the file system cannot.
    pub fn discard(&self, offset: u64, len: u64) -> Result<(), HostError> {
        self.allocate(PUNCH_HOLE, offset, len)
    }

    fn allocate(&self, how: usize, offset: u64, len: u64) -> Result<(), HostError> {
        let arguments = [self.descriptor, how | KEEP_SIZE, offset as usize, len as usize, 0, 0];
        call(FALLOCATE, arguments).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

    #[test]
    fn a_file_is_read_and_written() {
        let path = std::env::temp_dir().join(format!("linuxu-file-{}", std::process::id()));
        std::fs::write(&path, [7; 8192]).unwrap();
        let name = CString::new(path.to_str().unwrap()).unwrap();
        let file = File::open(&name, true).unwrap();
        assert_eq!(file.bytes(), Ok(8192));
        file.lock(true).unwrap();
        let other = File::open(&name, false).unwrap();
        assert_eq!(other.lock(false), Err(HostError::WOULD_BLOCK));
        file.write_at(&[1, 2, 3], 4094).unwrap();
        file.sync().unwrap();
        let mut bytes = [0; 6];
        assert_eq!(file.read_at(&mut bytes, 4093), Ok(6));
        assert_eq!(bytes, [7, 1, 2, 3, 7, 7]);
        assert_eq!(file.read_at(&mut bytes, 8190), Ok(2));
        if file.zero(0, 4096).is_ok() {
            assert_eq!(file.read_at(&mut bytes, 4093), Ok(6));
            assert_eq!(bytes, [0, 0, 0, 3, 7, 7]);
        }
        assert!(other.write_at(&[1], 0).is_err());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(File::open(&name, false).err(), Some(HostError(2)));
    }
}
