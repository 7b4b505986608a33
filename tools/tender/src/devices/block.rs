//! The block device (virtio 1.2, section 5.2): a file or block device of the host.

use std::ffi::{c_int, c_long};
use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::str::FromStr;

use virtio_bindings::virtio_blk::{
    VIRTIO_BLK_F_BLK_SIZE, VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_RO,
    VIRTIO_BLK_F_SEG_MAX, VIRTIO_BLK_F_WRITE_ZEROES, VIRTIO_BLK_ID_BYTES, VIRTIO_BLK_S_IOERR,
    VIRTIO_BLK_S_OK, VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_FLUSH,
    VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_WRITE_ZEROES,
};
use virtio_bindings::virtio_ids::VIRTIO_ID_BLOCK;

use super::{Broken, Device, Pieces, Request};
use crate::error::Error;

/// Bytes of a sector.
const SECTOR: u64 = 512;
/// Pieces of data that a request has at most; two more for header and status.
const SEGMENTS: u32 = 126;
/// Sectors that are discarded or filled with zeroes at a time, ranges of a request, and bytes by which
/// a request names a range (virtio 1.2, section 5.2.6).
const MAX_RANGE: u32 = 1 << 21;
const MAX_RANGES: u32 = 1;
const RANGE: usize = 16;
/// Pieces that one call transfers (limits.h: IOV_MAX).
const MAX_PIECES: usize = 1024;

/// `--disk FILE[,ro]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskArgs {
    /// The file.
    pub path: String,
    /// Whether the guest can only read it.
    pub read_only: bool,
}

impl FromStr for DiskArgs {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (path, read_only) = match text.strip_suffix(",ro") {
            Some(path) => (path, true),
            None => (text.strip_suffix(",rw").unwrap_or(text), false),
        };
        Ok(Self { path: path.to_owned(), read_only })
    }
}

/// A block device.
#[derive(Debug)]
pub struct Block {
    file: File,
    name: String,
    sectors: u64,
    read_only: bool,
}

/// Why a request was not done; what the status byte says then.
struct Failed(u32);

impl From<io::Error> for Failed {
    fn from(_: io::Error) -> Self {
        Self(VIRTIO_BLK_S_IOERR)
    }
}

impl Block {
    /// Opens the file, alone if it is to be written to.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn open(args: &DiskArgs, index: usize) -> Result<Self, Error> {
        let wrong = |what: String| Error::Disk(args.path.clone(), what);
        // A pipe must not make this wait.
        let file = File::options()
            .read(true)
            .write(!args.read_only)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(&args.path)
            .map_err(|e| wrong(e.to_string()))?;
        Self::of_file(file, args, index)
    }

    /// The same with an open file.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn of_file(file: File, args: &DiskArgs, index: usize) -> Result<Self, Error> {
        let wrong = |what: String| Error::Disk(args.path.clone(), what);
        let kind = file.metadata().map_err(|e| wrong(e.to_string()))?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            return Err(wrong("it is neither a file nor a block device".into()));
        }
        let locked = if args.read_only { file.try_lock_shared() } else { file.try_lock() };
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let does = if args.read_only { "writes to it" } else { "uses it" };
                return Err(wrong(format!("another guest {does}; stop that first")));
            }
            // Not every file system has locks.
            Err(TryLockError::Error(_)) => {}
        }
        let len = io::Seek::seek(&mut &file, io::SeekFrom::End(0));
        let len = len.map_err(|e| wrong(e.to_string()))?;
        if len == 0 || !len.is_multiple_of(SECTOR) {
            let what = format!("its {len} bytes are no whole number of sectors of {SECTOR}");
            return Err(wrong(what));
        }
        let name = format!("disk {index}, {}", args.path);
        Ok(Self { file, name, sectors: len / SECTOR, read_only: args.read_only })
    }

    /// Number of bytes at a sector, if the device has them; and where they are.
    fn range(&self, sector: u64, len: u64) -> Result<u64, Failed> {
        let last = sector.checked_add(len / SECTOR).filter(|end| *end <= self.sectors);
        match last {
            Some(_) if len.is_multiple_of(SECTOR) => Ok(sector * SECTOR),
            _ => Err(Failed(VIRTIO_BLK_S_IOERR)),
        }
    }

    fn writable(&self) -> Result<(), Failed> {
        if self.read_only { Err(Failed(VIRTIO_BLK_S_IOERR)) } else { Ok(()) }
    }

    /// Does a request; returns how many bytes of data were written to it.
    fn act(&self, header: Header, request: &mut Request) -> Result<u32, Failed> {
        match header.kind {
            VIRTIO_BLK_T_IN => {
                let len = request.writable.len();
                let at = self.range(header.sector, len as u64)?;
                transfer(&self.file, at, &mut request.writable, libc::preadv64)?;
                Ok(len as u32)
            }
            VIRTIO_BLK_T_OUT => {
                self.writable()?;
                let at = self.range(header.sector, request.readable.len() as u64)?;
                transfer(&self.file, at, &mut request.readable, libc::pwritev64)?;
                Ok(0)
            }
            VIRTIO_BLK_T_FLUSH => {
                self.file.sync_data()?;
                Ok(0)
            }
            VIRTIO_BLK_T_GET_ID => {
                let mut id = [0; VIRTIO_BLK_ID_BYTES as usize];
                let name = self.name.as_bytes();
                let len = name.len().min(id.len());
                id[..len].copy_from_slice(&name[..len]);
                Ok(request.writable.write(&id) as u32)
            }
            VIRTIO_BLK_T_DISCARD | VIRTIO_BLK_T_WRITE_ZEROES => {
                self.writable()?;
                let mut range = [0; RANGE];
                // With more than the one that the device says it takes, none is done.
                if request.readable.len() != range.len() {
                    return Err(Failed(VIRTIO_BLK_S_UNSUPP));
                }
                request.readable.read(&mut range);
                self.clear(header.kind, range)?;
                Ok(0)
            }
            _ => Err(Failed(VIRTIO_BLK_S_UNSUPP)),
        }
    }

    /// Discards a range or fills it with zeroes.
    fn clear(&self, kind: u32, range: [u8; RANGE]) -> Result<(), Failed> {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = range;
        let sector = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let count = u32::from_le_bytes([i, j, k, l]);
        let flags = u32::from_le_bytes([m, n, o, p]);
        // Bit 0 allows to unmap what is filled with zeroes, and means nothing for discarding.
        if flags & !1 != 0 || kind == VIRTIO_BLK_T_DISCARD && flags != 0 {
            return Err(Failed(VIRTIO_BLK_S_UNSUPP));
        }
        if count > MAX_RANGE {
            return Err(Failed(VIRTIO_BLK_S_IOERR));
        }
        let len = u64::from(count) * SECTOR;
        let at = self.range(sector, len)?;
        if kind == VIRTIO_BLK_T_DISCARD {
            // That the content does not matter any more need not be made use of.
            let _ = self.allocate(libc::FALLOC_FL_PUNCH_HOLE, at, len);
            return Ok(());
        }
        if self.allocate(libc::FALLOC_FL_ZERO_RANGE, at, len).is_err() {
            self.write_zeroes(at, len)?;
        }
        Ok(())
    }

    fn allocate(&self, how: c_int, at: u64, len: u64) -> io::Result<()> {
        let how = how | libc::FALLOC_FL_KEEP_SIZE;
        // SAFETY: no pointers.
        let done = unsafe { libc::fallocate64(self.file.as_raw_fd(), how, at as i64, len as i64) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn write_zeroes(&self, at: u64, len: u64) -> io::Result<()> {
        let zeroes = [0; 16 << 10];
        let mut done = 0;
        while done < len {
            let part = (len - done).min(zeroes.len() as u64);
            std::os::unix::fs::FileExt::write_all_at(
                &self.file,
                &zeroes[..part as usize],
                at + done,
            )?;
            done += part;
        }
        Ok(())
    }
}

/// What a request says: its first 16 bytes.
#[derive(Clone, Copy)]
struct Header {
    kind: u32,
    sector: u64,
}

impl Header {
    fn read(pieces: &mut Pieces) -> Option<Self> {
        let mut bytes = [0; 16];
        if pieces.read(&mut bytes) < bytes.len() {
            return None;
        }
        let [a, b, c, d, _, _, _, _, rest @ ..] = bytes;
        Some(Self { kind: u32::from_le_bytes([a, b, c, d]), sector: u64::from_le_bytes(rest) })
    }
}

/// `preadv` or `pwritev`.
type Transfer = unsafe extern "C" fn(c_int, *const libc::iovec, c_int, libc::off64_t) -> isize;

/// Moves all bytes between the file and memory of the guest.
fn transfer(file: &File, mut at: u64, pieces: &mut Pieces, call: Transfer) -> io::Result<()> {
    let mut entries: Vec<libc::iovec> = Vec::new();
    while let Some(slice) = pieces.take(usize::MAX) {
        let start = slice.ptr_guard_mut().as_ptr();
        entries.push(libc::iovec { iov_base: start.cast(), iov_len: slice.len() });
    }
    let mut rest = &mut entries[..];
    while let Some(first) = rest.first_mut() {
        if first.iov_len == 0 {
            rest = &mut rest[1..];
            continue;
        }
        let count = rest.len().min(MAX_PIECES) as c_int;
        // SAFETY: the entries are memory of the guest, which is mapped as long as the process lives
        // and to which nobody has references; the kernel alone reads or writes it.
        let done = unsafe { call(file.as_raw_fd(), rest.as_ptr(), count, at as i64) };
        let mut done = match usize::try_from(done) {
            // The file was made shorter.
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(done) => done,
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => continue,
                error => return Err(error),
            },
        };
        at += done as u64;
        for entry in &mut *rest {
            let part = done.min(entry.iov_len);
            entry.iov_base = entry.iov_base.wrapping_byte_add(part);
            entry.iov_len -= part;
            done -= part;
        }
    }
    Ok(())
}

impl Device for Block {
    fn kind(&self) -> u32 {
        VIRTIO_ID_BLOCK
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn features(&self) -> u64 {
        let has = [
            VIRTIO_BLK_F_SEG_MAX,
            VIRTIO_BLK_F_BLK_SIZE,
            VIRTIO_BLK_F_FLUSH,
            VIRTIO_BLK_F_DISCARD,
            VIRTIO_BLK_F_WRITE_ZEROES,
        ];
        let has = has.iter().fold(0, |all, bit| all | 1 << bit);
        if self.read_only {
            return has & !(1 << VIRTIO_BLK_F_DISCARD | 1 << VIRTIO_BLK_F_WRITE_ZEROES)
                | 1 << VIRTIO_BLK_F_RO;
        }
        has
    }

    fn queues(&self) -> &[u16] {
        &[128]
    }

    /// `struct virtio_blk_config` (virtio 1.2, section 5.2.4).
    fn config(&self) -> Vec<u8> {
        let mut config = vec![0; 60];
        let mut put = |at: usize, value: u32| {
            config[at..at + 4].copy_from_slice(&value.to_le_bytes());
        };
        put(0, self.sectors as u32);
        put(4, (self.sectors >> 32) as u32);
        put(12, SEGMENTS);
        put(20, SECTOR as u32);
        if !self.read_only {
            // Of what is discarded and filled with zeroes: sectors, ranges, alignment.
            for at in [36, 48] {
                put(at, MAX_RANGE);
                put(at + 4, MAX_RANGES);
            }
            put(44, 1);
        }
        config
    }

    fn request(&mut self, _queue: usize, request: &mut Request) -> Result<u32, Broken> {
        let status = request.writable.split_last(1).filter(|status| !status.is_empty());
        let mut status = status.ok_or(Broken::Request("a request has no room for its status"))?;
        let header = Header::read(&mut request.readable)
            .ok_or(Broken::Request("a request has no header"))?;
        let (code, written) = match self.act(header, request) {
            Ok(written) => (VIRTIO_BLK_S_OK, written),
            Err(Failed(code)) => (code, 0),
        };
        status.write(&[code as u8]);
        Ok(written + 1)
    }

    fn calls(&self) -> Vec<(c_long, RawFd)> {
        let file = self.file.as_raw_fd();
        let calls = [
            libc::SYS_preadv,
            libc::SYS_pwritev,
            libc::SYS_pwrite64,
            libc::SYS_fallocate,
            libc::SYS_fdatasync,
        ];
        calls.into_iter().map(|call| (call, file)).collect()
    }
}
