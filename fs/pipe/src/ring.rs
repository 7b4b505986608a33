//! Bytes in the order in which they came.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use ukerrno::Errno;
use ukfile::{Gather, Scatter};

/// Bytes for which memory is taken and given back at once.
const PAGE: usize = 4096;

/// A queue of bytes that takes memory for what is in it, and a page.
#[derive(Default)]
pub struct Ring {
    /// Each has room for a page. All but the last are full; none is there in vain but the last,
    /// when nothing is in the queue.
    pages: VecDeque<Vec<u8>>,
    /// Bytes of the first page that were taken.
    start: usize,
    length: usize,
}

impl Ring {
    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Appends empty pages.
    fn grow(&mut self, pages: usize) -> Result<(), Errno> {
        self.pages.try_reserve(pages).map_err(|_| Errno::ENOMEM)?;
        for _ in 0..pages {
            let mut page = Vec::new();
            page.try_reserve_exact(PAGE).map_err(|_| Errno::ENOMEM)?;
            self.pages.push_back(page);
        }
        Ok(())
    }

    /// Appends the next `count` bytes of `source`, all or none.
    pub fn push(&mut self, source: &mut Gather<'_>, count: usize) -> Result<(), Errno> {
        let before = self.pages.len();
        let room = self.pages.back().map_or(0, |last| PAGE - last.len());
        if let Err(error) = self.grow(count.saturating_sub(room).div_ceil(PAGE)) {
            self.pages.truncate(before);
            return Err(error);
        }
        let mut left = count;
        for page in self.pages.iter_mut().skip(before.saturating_sub(1)) {
            let length = left.min(PAGE - page.len());
            source.append_to(page, length);
            left -= length;
        }
        self.length += count;
        Ok(())
    }

    /// Moves bytes to `target`, as many as fit; returns how many.
    pub fn pop(&mut self, target: &mut Scatter<'_, '_>) -> usize {
        let before = self.length;
        while let Some(page) = self.pages.front_mut() {
            let taken = target.put(&page[self.start..]);
            self.start += taken;
            self.length -= taken;
            if self.start < page.len() {
                break;
            }
            self.start = 0;
            // The last stays for what comes next.
            if self.pages.len() == 1 {
                self.pages[0].clear();
                break;
            }
            self.pages.pop_front();
        }
        before - self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_for_what_is_in_it() {
        let (mut ring, all) = (Ring::default(), vec![7; 65536]);
        assert_eq!(ring.pop(&mut Scatter::new(&mut [&mut [0]])), 0);
        ring.push(&mut Gather::new(&[b"x"]), 1).unwrap();
        ring.push(&mut Gather::new(&[&all]), all.len()).unwrap();
        assert_eq!((ring.len(), ring.pages.len()), (65537, 17));
        let mut half = vec![0; 32768];
        assert_eq!(ring.pop(&mut Scatter::new(&mut [&mut half])), half.len());
        assert_eq!((ring.len(), ring.pages.len()), (32769, 9));
        let mut rest = vec![0; 40000];
        assert_eq!(ring.pop(&mut Scatter::new(&mut [&mut rest])), 32769);
        assert_eq!((ring.len(), ring.pages.len()), (0, 1));
        assert!(half[0] == b'x' && half[1..].iter().chain(&rest[..32769]).all(|&b| b == 7));
    }
}
