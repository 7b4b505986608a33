//! What was read lately.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use ukblkdev::{BlockError, Disk};
use ukfile::fallible;
use uklock::Mutex;
use ukmap::SortedMap;

use crate::Ext4Error;
use crate::waiting::Waiting;

/// Bytes that are read at a time: eight blocks of the usual size, so that going through a file or a
/// directory waits for one of eight. A multiple of the blocks of all disks.
const LINE: usize = 32 << 10;
/// Lines that are kept: half a mebibyte.
const LINES: usize = 16;
/// Bytes of neighbours that are written at once, at most: a block of any size, and more of small ones.
/// What is as long does not wait for others.
pub const RUN: usize = 64 << 10;

/// Where the bytes come from.
pub trait Source: Send + Sync {
    /// Bytes altogether.
    fn bytes(&self) -> u64;

    /// Bytes of which the device writes all or none: a power of two.
    fn block_size(&self) -> u32 {
        512
    }

    /// Reads `into.len()` bytes from `at` on. Both are multiples of 32 KiB, but at the end.
    ///
    /// # Errors
    /// What the device says.
    fn read(&self, at: u64, into: &mut [u8]) -> Result<(), BlockError>;

    /// Whether it cannot be written.
    fn is_read_only(&self) -> bool {
        true
    }

    /// Writes bytes from `at` on: whole blocks of the file system. Readers see them from then on.
    ///
    /// # Errors
    /// What the device says; some of the bytes may have been written then.
    fn write(&self, _at: u64, _bytes: &[u8]) -> Result<(), BlockError> {
        Err(BlockError::ReadOnly)
    }

    /// Writes blocks of the file system, which come in the order of where they begin: neighbours at
    /// once. Nobody relies on what is written first, so that several requests may be under way.
    ///
    /// # Errors
    /// What the device says; any of the bytes may have been written then.
    fn write_blocks(
        &self,
        blocks: &mut dyn Iterator<Item = (u64, &[u8])>,
    ) -> Result<(), BlockError> {
        in_runs(blocks, |at, bytes| self.write(at, bytes))
    }

    /// Makes all that was written before survive a loss of power.
    ///
    /// # Errors
    /// What the device says; what was written may be lost then.
    fn flush(&self) -> Result<(), BlockError> {
        Ok(())
    }
}

/// Writes what lies in a row at once; without memory for that, each block by itself.
fn in_runs(
    blocks: &mut dyn Iterator<Item = (u64, &[u8])>,
    mut write: impl FnMut(u64, &[u8]) -> Result<(), BlockError>,
) -> Result<(), BlockError> {
    let mut run = Vec::new();
    let most = run.try_reserve_exact(RUN).map_or(0, |()| RUN);
    let mut start = 0;
    for (at, bytes) in blocks {
        let goes_on = at == start + run.len() as u64 && run.len() + bytes.len() <= most;
        if !goes_on && !run.is_empty() {
            write(start, &run)?;
            run.clear();
        }
        if bytes.len() > most {
            write(at, bytes)?;
            continue;
        }
        if run.is_empty() {
            start = at;
        }
        run.extend_from_slice(bytes);
    }
    if run.is_empty() { Ok(()) } else { write(start, &run) }
}

impl Source for &'static Disk {
    fn bytes(&self) -> u64 {
        Disk::bytes(self)
    }

    fn block_size(&self) -> u32 {
        self.info().block_size
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Result<(), BlockError> {
        Disk::read(self, at / u64::from(self.info().block_size), into)
    }

    fn is_read_only(&self) -> bool {
        self.info().read_only
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<(), BlockError> {
        let size = u64::from(self.info().block_size);
        if !at.is_multiple_of(size) {
            return Err(BlockError::BadLength);
        }
        Disk::write(self, at / size, bytes)
    }

    fn write_blocks(
        &self,
        blocks: &mut dyn Iterator<Item = (u64, &[u8])>,
    ) -> Result<(), BlockError> {
        let size = u64::from(self.info().block_size);
        let mut batch = self.batch();
        in_runs(blocks, |at, bytes| batch.write(at / size, bytes))?;
        batch.finish()
    }

    fn flush(&self) -> Result<(), BlockError> {
        Disk::flush(self)
    }
}

/// The content of a disk in memory.
impl Source for Vec<u8> {
    fn bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Result<(), BlockError> {
        let from = usize::try_from(at).map_err(|_| BlockError::OutOfRange)?;
        let bytes = self.get(from..).and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(bytes.ok_or(BlockError::OutOfRange)?);
        Ok(())
    }
}

const BEHIND: Ext4Error = Ext4Error::Damaged("something lies behind the end of the disk");

/// For want of memory nothing is wrong with the disk.
const fn error_of(error: BlockError) -> Ext4Error {
    match error {
        BlockError::OutOfMemory => Ext4Error::OutOfMemory,
        error => Ext4Error::Disk(error),
    }
}

struct Line {
    number: u64,
    bytes: Arc<Box<[u8]>>,
}

/// A source, and the lines that were read of it lately.
pub struct Cache {
    source: Box<dyn Source>,
    bytes: u64,
    /// The one that was used last comes last.
    lines: Mutex<Vec<Line>>,
    /// What was written, and the source does not have yet. Nobody reads while it changes: who writes
    /// excludes them.
    waiting: Mutex<Waiting>,
    /// The source was written to, and not flushed yet.
    unflushed: AtomicBool,
}

impl Cache {
    pub fn new(source: Box<dyn Source>) -> Self {
        // Whole sectors: what is behind the last one cannot be read.
        let bytes = source.bytes() & !511;
        let waiting = Mutex::new(Waiting::new(1024));
        let unflushed = AtomicBool::new(false);
        Self { source, bytes, lines: Mutex::default(), waiting, unflushed }
    }

    /// Says what all that is written is a multiple of. Nothing was written before.
    pub fn set_block_size(&mut self, bytes: u32) {
        *self.waiting.get_mut() = Waiting::new(bytes as usize);
    }

    /// Bytes of the source.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Fills `into` with the bytes from `at` on. Whole lines go to where they are wanted without
    /// being kept: what is read in large pieces is seldom read again.
    pub fn read(&self, mut at: u64, mut into: &mut [u8]) -> Result<(), Ext4Error> {
        let end = at.checked_add(into.len() as u64).filter(|end| *end <= self.bytes);
        end.ok_or(BEHIND)?;
        while !into.is_empty() {
            let (number, from) = (at / LINE as u64, (at % LINE as u64) as usize);
            let length = if from == 0 && into.len() >= LINE {
                let whole = into.len() / LINE * LINE;
                self.source.read(at, &mut into[..whole]).map_err(error_of)?;
                self.waiting.lock().put_over(at, &mut into[..whole]);
                whole
            } else if let Some(bytes) = self.waiting.lock().get(at, into.len()) {
                into.copy_from_slice(bytes);
                into.len()
            } else {
                let line = self.line(number)?;
                // The last line may be short, but not shorter than what was asked for.
                let part = &line[from..(from + into.len()).min(line.len())];
                into[..part.len()].copy_from_slice(part);
                part.len()
            };
            at += length as u64;
            into = &mut into[length..];
        }
        Ok(())
    }

    /// Why blocks of this size cannot be written, if so.
    pub fn only_read(&self, block_size: u32) -> Option<&'static str> {
        if self.source.is_read_only() {
            return Some("the device is read-only");
        }
        (self.source.block_size() > block_size)
            .then_some("its blocks are smaller than those of the device")
    }

    /// Writes `bytes` from `at` on: blocks of the file system, which readers see from now on, and
    /// which are on the disk when this is flushed. Nobody else reads or writes meanwhile: the caller
    /// excludes them, so that no line is filled with what was there before.
    pub fn write(&self, at: u64, bytes: &[u8]) -> Result<(), Ext4Error> {
        self.must_be_inside(at, bytes)?;
        if bytes.len() < RUN {
            let mut waiting = self.waiting.lock();
            if !waiting.has_room(bytes.len()) {
                self.write_out(&mut waiting)?;
            }
            if waiting.put(at, bytes).is_ok() {
                drop(waiting);
                self.note(at, bytes, true);
                return Ok(());
            }
        }
        self.write_through(at, bytes)
    }

    /// As [`write`](Self::write), but what the disk says of it is known at once.
    pub fn write_through(&self, at: u64, bytes: &[u8]) -> Result<(), Ext4Error> {
        self.must_be_inside(at, bytes)?;
        // In the order in which it was written, wherever that is.
        let result = self.write_out(&mut self.waiting.lock()).and_then(|()| {
            self.unflushed.store(true, Ordering::Relaxed);
            self.source.write(at, bytes).map_err(error_of)
        });
        self.note(at, bytes, result.is_ok());
        result
    }

    fn must_be_inside(&self, at: u64, bytes: &[u8]) -> Result<(), Ext4Error> {
        let end = at.checked_add(bytes.len() as u64).filter(|end| *end <= self.bytes);
        end.map(drop).ok_or(BEHIND)
    }

    /// Gives the source what waits. When that fails it waits still.
    fn write_out(&self, waiting: &mut Waiting) -> Result<(), Ext4Error> {
        if !waiting.is_empty() {
            self.unflushed.store(true, Ordering::Relaxed);
            self.source.write_blocks(&mut waiting.iter()).map_err(error_of)?;
            waiting.clear();
        }
        Ok(())
    }

    /// Whether something was written that the source does not have yet.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.lock().is_empty()
    }

    /// Writes blocks of `size` bytes in any order, by their numbers; as
    /// [`write_through`](Self::write_through).
    pub fn write_blocks(
        &self,
        size: u64,
        blocks: &SortedMap<u64, Box<[u8]>>,
    ) -> Result<(), Ext4Error> {
        if blocks.keys().next_back().is_some_and(|last| *last >= self.bytes / size) {
            return Err(BEHIND);
        }
        self.write_out(&mut self.waiting.lock())?;
        self.unflushed.store(true, Ordering::Relaxed);
        let mut all = blocks.iter().map(|(block, bytes)| (block * size, &**bytes));
        let result = self.source.write_blocks(&mut all).map_err(error_of);
        for (block, bytes) in blocks.iter() {
            self.note(block * size, bytes, result.is_ok());
        }
        result
    }

    /// What was read before is now as it was written, or unknown when that failed.
    fn note(&self, at: u64, bytes: &[u8], is_written: bool) {
        let end = at + bytes.len() as u64;
        self.lines.lock().retain_mut(|line| {
            let start = line.number * LINE as u64;
            let (from, to) = (at.max(start), end.min(start + line.bytes.len() as u64));
            if from >= to {
                return true;
            }
            // Who is reading has a reference, which is gone by now; if not, it is read again.
            let known = Arc::get_mut(&mut line.bytes).filter(|_| is_written);
            let Some(known) = known else { return false };
            let part = &bytes[(from - at) as usize..(to - at) as usize];
            known[(from - start) as usize..(to - start) as usize].copy_from_slice(part);
            true
        });
    }

    /// Gives back the memory of what was read. Whether there was any.
    pub fn forget_lines(&self) -> bool {
        !core::mem::take(&mut *self.lines.lock()).is_empty()
    }

    /// Makes all that was written survive a loss of power.
    pub fn flush(&self) -> Result<(), Ext4Error> {
        self.write_out(&mut self.waiting.lock())?;
        if self.unflushed.swap(false, Ordering::Relaxed)
            && let Err(error) = self.source.flush()
        {
            self.unflushed.store(true, Ordering::Relaxed);
            return Err(Ext4Error::Disk(error));
        }
        Ok(())
    }

    fn line(&self, number: u64) -> Result<Arc<Box<[u8]>>, Ext4Error> {
        if let Some(bytes) = self.known(number) {
            return Ok(bytes);
        }
        // Without the lock: others find what they want meanwhile. Two may read the same then.
        let start = number * LINE as u64;
        let length = (self.bytes - start).min(LINE as u64) as usize;
        let mut bytes = fallible::zeroed(length).map_err(|_| Ext4Error::OutOfMemory)?;
        self.source.read(start, &mut bytes).map_err(error_of)?;
        self.waiting.lock().put_over(start, &mut bytes);
        let bytes = fallible::arc(bytes).map_err(|_| Ext4Error::OutOfMemory)?;
        if self.known(number).is_none() {
            let mut lines = self.lines.lock();
            if lines.len() >= LINES {
                lines.remove(0);
            }
            let line = Line { number, bytes: bytes.clone() };
            fallible::push(&mut lines, line).map_err(|_| Ext4Error::OutOfMemory)?;
        }
        Ok(bytes)
    }

    fn known(&self, number: u64) -> Option<Arc<Box<[u8]>>> {
        let mut lines = self.lines.lock();
        let at = lines.iter().rposition(|line| line.number == number)?;
        lines[at..].rotate_left(1);
        lines.last().map(|line| line.bytes.clone())
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    struct Counting(Vec<u8>, Arc<AtomicUsize>);

    impl Source for Counting {
        fn bytes(&self) -> u64 {
            self.0.bytes()
        }

        fn read(&self, at: u64, into: &mut [u8]) -> Result<(), BlockError> {
            assert_eq!(at % LINE as u64, 0);
            self.1.fetch_add(1, Relaxed);
            self.0.read(at, into)
        }
    }

    #[test]
    fn few_reads_and_bounded_memory() {
        let bytes: Vec<u8> = (0..40 * LINE + 1536).map(|at| (at / 512) as u8).collect();
        let reads = Arc::new(AtomicUsize::new(0));
        let cache = Cache::new(Box::new(Counting(bytes.clone(), reads.clone())));
        let mut block = vec![0; 4096];
        for at in (0..8 * LINE).step_by(4096) {
            cache.read(at as u64, &mut block).unwrap();
            assert_eq!(block, bytes[at..at + 4096]);
        }
        assert_eq!(reads.swap(0, Relaxed), 8, "one of eight blocks waits");
        cache.read(0, &mut block).unwrap();
        assert_eq!(reads.load(Relaxed), 0, "it is still known");
        let mut all = vec![0; bytes.len() - 1000];
        cache.read(1000, &mut all).unwrap();
        assert_eq!(all, bytes[1000..]);
        assert!(reads.swap(0, Relaxed) <= 2, "the whole lines at once, and the last one");
        for line in 0..40 {
            cache.read(line * LINE as u64, &mut block).unwrap();
        }
        assert_eq!(cache.lines.lock().len(), LINES);
        let end = cache.bytes();
        for (at, length) in [(end - 1, 2), (end, 1), (u64::MAX, 1), (u64::MAX - 1, 512)] {
            assert!(cache.read(at, &mut vec![0; length]).is_err(), "{at}");
        }
    }

    #[test]
    fn neighbours_are_written_at_once() {
        let blocks = |numbers: &[u64]| -> Vec<(u64, Vec<u8>)> {
            numbers.iter().map(|n| (n * 4096, vec![*n as u8; 4096])).collect()
        };
        let runs = |numbers: &[u64]| {
            let (all, mut runs) = (blocks(numbers), Vec::new());
            let mut all = all.iter().map(|(at, bytes)| (*at, &bytes[..]));
            let write = |at, bytes: &[u8]| {
                for (n, block) in bytes.chunks(4096).enumerate() {
                    assert!(block.iter().all(|byte| *byte == (at / 4096) as u8 + n as u8));
                }
                runs.push((at / 4096, bytes.len() / 4096));
                Ok(())
            };
            in_runs(&mut all, write).unwrap();
            runs
        };
        assert_eq!(runs(&[]), []);
        assert_eq!(runs(&[0, 1, 2, 5, 7, 8]), [(0, 3), (5, 1), (7, 2)]);
        assert_eq!(runs(&(3..40).collect::<Vec<_>>()), [(3, 16), (19, 16), (35, 5)]);
    }
}
