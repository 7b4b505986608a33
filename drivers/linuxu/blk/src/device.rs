//! The device.

use alloc::collections::VecDeque;
use core::ffi::CStr;
use core::fmt;

use linuxu::file::{File, HostError};
use ukblkdev::{BlockDevice, BlockError, Done, Info, Operation, Refused, Request};
use uklock::Mutex;

/// Bytes of a block.
const BLOCK: u32 = 512;
/// Bytes that a request transfers at most.
const MAX_BYTES: usize = 1 << 20;
/// Requests at a time.
const DEPTH: usize = 128;
/// What is written where the file system cannot fill with zeroes.
static ZEROES: [u8; 4096] = [0; 4096];

/// A file of the host as a block device.
#[derive(Debug)]
pub struct FileDisk {
    file: File,
    info: Info,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Request>,
    done: VecDeque<Done>,
}

/// Why a file cannot be a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The host says why.
    Host(HostError),
    /// Its length in bytes.
    Length(u64),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Host(error) => error.fmt(f),
            OpenError::Length(len) => {
                write!(f, "its {len} bytes are no whole number of sectors of {BLOCK}")
            }
        }
    }
}

impl core::error::Error for OpenError {}

impl From<HostError> for OpenError {
    fn from(error: HostError) -> Self {
        OpenError::Host(error)
    }
}

impl FileDisk {
    /// Opens a file, alone unless it is only read.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &CStr, read_only: bool) -> Result<Self, OpenError> {
        let file = File::open(path, !read_only)?;
        file.lock(!read_only)?;
        let bytes = file.bytes()?;
        if bytes == 0 || !bytes.is_multiple_of(BLOCK.into()) {
            return Err(OpenError::Length(bytes));
        }
        let info = Info {
            block_size: BLOCK,
            blocks: bytes / u64::from(BLOCK),
            read_only,
            has_cache: true,
            discards: !read_only,
            writes_zeroes: !read_only,
            max_bytes: MAX_BYTES,
            queues: 1,
            depth: DEPTH,
        };
        Ok(Self { file, info, state: Mutex::new(State::default()) })
    }

    fn serve(&self, mut request: Request) -> Done {
        // Below 2^63: the request was checked against the length of the file.
        let offset = request.block * u64::from(BLOCK);
        let bytes = |blocks: u64| blocks * u64::from(BLOCK);
        let result = match request.operation {
            Operation::Read => match self.file.read_at(&mut request.buffer, offset) {
                Ok(len) if len == request.buffer.len() => Ok(()),
                _ => Err(BlockError::Io), // the file was made shorter, or the host cannot read it
            },
            Operation::Write => io(self.file.write_at(&request.buffer, offset)),
            Operation::Flush => io(self.file.sync()),
            Operation::Discard(blocks) => {
                // That the content does not matter any more need not be made use of.
                let _ = self.file.discard(offset, bytes(blocks));
                Ok(())
            }
            Operation::WriteZeroes(blocks) => io(self.zero(offset, bytes(blocks))),
        };
        Done { tag: request.tag, buffer: request.buffer, result }
    }

    fn zero(&self, offset: u64, len: u64) -> Result<(), HostError> {
        if self.file.zero(offset, len).is_ok() {
            return Ok(());
        }
        let mut done = 0;
        while done < len {
            let part = (len - done).min(ZEROES.len() as u64);
            self.file.write_at(&ZEROES[..part as usize], offset + done)?;
            done += part;
        }
        Ok(())
    }
}

fn io(result: Result<(), HostError>) -> Result<(), BlockError> {
    result.map_err(|_| BlockError::Io)
}

impl BlockDevice for FileDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn submit(&self, _queue: usize, request: Request) -> Result<(), Refused> {
        let check = self.info.check(request.operation, request.block, request.buffer.len());
        if let Err(error) = check {
            return Err(Refused { request, error });
        }
        let mut state = self.state.lock();
        if state.waiting.len() + state.done.len() >= DEPTH {
            return Err(Refused { request, error: BlockError::Busy });
        }
        state.waiting.push_back(request);
        Ok(())
    }

    fn kick(&self, _queue: usize) {
        loop {
            let Some(request) = self.state.lock().waiting.pop_front() else { return };
            let done = self.serve(request);
            self.state.lock().done.push_back(done);
        }
    }

    fn poll(&self, _queue: usize) -> Option<Done> {
        self.state.lock().done.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::boxed::Box;
    use std::ffi::CString;
    use std::path::Path;

    use ukblkdev::Disk;

    fn name(path: &Path) -> CString {
        CString::new(path.to_str().unwrap()).unwrap()
    }

    fn disk(path: &Path, read_only: bool) -> &'static Disk {
        ukblkdev::register(Box::new(FileDisk::open(&name(path), read_only).unwrap()))
    }

    #[test]
    fn what_is_written_is_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        std::fs::write(&path, vec![9; 64 << 10]).unwrap();
        let disk = disk(&path, false);
        assert_eq!(disk.bytes(), 64 << 10);
        disk.write(3, &[7; 1024]).unwrap();
        disk.write_zeroes(8, 16).unwrap();
        disk.discard(100, 4).unwrap();
        disk.flush().unwrap();
        let mut back = vec![0; 4096];
        disk.read(0, &mut back).unwrap();
        let file = std::fs::read(&path).unwrap();
        assert_eq!(file.len(), 64 << 10);
        assert_eq!(back, file[..4096]);
        assert_eq!((file[1535], file[1536], file[2559], file[2560]), (9, 7, 7, 9));
        assert!(file[8 * 512..24 * 512].iter().all(|b| *b == 0));
        assert_eq!(disk.write(128, &[0; 512]), Err(BlockError::OutOfRange));
    }

    #[test]
    fn failures_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        assert_eq!(FileDisk::open(&name(&path), true).err(), Some(HostError(2).into()));
        std::fs::write(&path, [0; 100]).unwrap();
        assert_eq!(FileDisk::open(&name(&path), true).err(), Some(OpenError::Length(100)));
        std::fs::write(&path, [0; 8192]).unwrap();
        let disk = disk(&path, true);
        assert!(FileDisk::open(&name(&path), false).is_err(), "it is in use");
        assert_eq!(disk.write(0, &[0; 512]), Err(BlockError::ReadOnly));
        std::fs::File::options().write(true).open(&path).unwrap().set_len(512).unwrap();
        disk.read(0, &mut [0; 512]).unwrap();
        assert_eq!(disk.read(0, &mut [0; 1024]), Err(BlockError::Io));
    }
}
