//! Blocks that were written, and are not on the disk yet.
//!
//! As in the cache that a disk has itself: until a flush they may be written in any order, so that
//! what lies in a row goes in one request, and what is written twice once. Readers see them.

use alloc::boxed::Box;

use ukblkdev::BlockError;
use ukfile::fallible;
use ukmap::SortedMap;

/// Bytes of them, at most.
const MEMORY: usize = 256 << 10;

/// Blocks by their numbers.
#[derive(Debug)]
pub struct Waiting {
    /// Bytes of a block.
    size: usize,
    blocks: SortedMap<u64, Box<[u8]>>,
}

impl Waiting {
    pub const fn new(size: usize) -> Self {
        Self { size, blocks: SortedMap::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Whether there is room for so many bytes more.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.blocks.len() * self.size + bytes <= MEMORY
    }

    /// Takes what is written from byte `at` on: whole blocks. Without memory it may have taken some
    /// of them.
    pub fn put(&mut self, at: u64, bytes: &[u8]) -> Result<(), BlockError> {
        let size = self.size;
        let first = at / size as u64;
        self.blocks.try_reserve(bytes.len() / size).map_err(|_| BlockError::OutOfMemory)?;
        for (number, new) in (first..).zip(bytes.chunks_exact(size)) {
            match self.blocks.get_mut(&number) {
                Some(block) => block.copy_from_slice(new),
                None => {
                    let new = fallible::copy(new).map_err(|_| BlockError::OutOfMemory)?;
                    self.blocks.insert(number, new);
                }
            }
        }
        Ok(())
    }

    /// The bytes from `at` on, if they are all in one of the blocks.
    pub fn get(&self, at: u64, length: usize) -> Option<&[u8]> {
        let from = (at % self.size as u64) as usize;
        self.blocks.get(&(at / self.size as u64))?.get(from..from + length)
    }

    /// Puts what is here over what was read from byte `at` on.
    pub fn put_over(&self, at: u64, bytes: &mut [u8]) {
        let (size, end) = (self.size as u64, at + bytes.len() as u64);
        for (number, block) in self.blocks.range_from(&(at / size)) {
            let start = number * size;
            if start >= end {
                break;
            }
            let (from, to) = (start.max(at), (start + size).min(end));
            bytes[(from - at) as usize..(to - at) as usize]
                .copy_from_slice(&block[(from - start) as usize..(to - start) as usize]);
        }
    }

    /// The blocks in order, with where they begin.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.blocks.iter().map(|(number, block)| (number * self.size as u64, &**block))
    }

    /// They are all on the disk.
    pub fn clear(&mut self) {
        self.blocks = SortedMap::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_was_written_last() {
        let mut waiting = Waiting::new(1024);
        waiting.put(5 * 1024, &[1; 3 * 1024]).unwrap();
        waiting.put(6 * 1024, &[2; 1024]).unwrap();
        waiting.put(20 * 1024, &[3; 1024]).unwrap();
        let mut all = vec![0; 32 << 10];
        waiting.put_over(0, &mut all);
        let expected = |at: usize| match at / 1024 {
            5 | 7 => 1,
            6 => 2,
            20 => 3,
            _ => 0,
        };
        assert!(all.iter().enumerate().all(|(at, byte)| *byte == expected(at)));
        // From and to the middle of a block.
        for (from, length) in [(5000, 1000), (6000, 100), (6500, 1500), (8191, 1), (8192, 9000)] {
            let mut part = vec![0; length];
            waiting.put_over(from as u64, &mut part);
            assert_eq!(part, all[from..from + length], "{from} {length}");
            let known = waiting.get(from as u64, length);
            assert!(known.is_none_or(|known| known == part), "{from} {length}");
        }
        assert_eq!(waiting.get(6 * 1024 + 1, 1023), Some(&[2; 1023][..]));
        assert_eq!((waiting.get(6 * 1024 + 1, 1024), waiting.get(4096, 4)), (None, None));
        let places: Vec<u64> = waiting.iter().map(|(at, _)| at / 1024).collect();
        assert_eq!(places, [5, 6, 7, 20]);
        assert!(waiting.has_room(MEMORY - 4096) && !waiting.has_room(MEMORY - 4095));
        waiting.clear();
        assert!(waiting.is_empty());
    }
}
