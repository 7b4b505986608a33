//! Going through lists of buffers.

use alloc::vec::Vec;

/// What is left to be written of a list of buffers.
///
/// ```
/// let mut source = ukfile::Gather::new(&[b"ab", b"", b"cde"]);
/// let mut three = [0; 3];
/// source.copy_to(&mut three);
/// assert_eq!((&three, source.left()), (b"abc", 2));
/// let mut rest = vec![7];
/// source.append_to(&mut rest, 1);
/// source.append_to(&mut rest, 9);
/// assert_eq!(rest, *b"\x07de");
/// ```
#[derive(Clone, Debug)]
pub struct Gather<'a> {
    buffers: &'a [&'a [u8]],
    /// Bytes of the first that were taken.
    taken: usize,
}

impl<'a> Gather<'a> {
    /// All of them.
    pub const fn new(buffers: &'a [&'a [u8]]) -> Self {
        Self { buffers, taken: 0 }
    }

    /// Bytes that are left.
    pub fn left(&self) -> usize {
        crate::total(self.buffers) - self.taken
    }

    /// The next bytes that are in one piece, at most `most`; none at the end.
    #[inline]
    fn next(&mut self, most: usize) -> Option<&'a [u8]> {
        let first = self.buffers.first()?;
        let piece = &first[self.taken..];
        let length = piece.len().min(most);
        self.taken += length;
        if self.taken == first.len() {
            self.buffers = &self.buffers[1..];
            self.taken = 0;
        }
        Some(&piece[..length])
    }

    /// Fills `target` with the next bytes, as far as there are.
    #[inline]
    pub fn copy_to(&mut self, mut target: &mut [u8]) {
        while !target.is_empty() {
            let Some(piece) = self.next(target.len()) else { return };
            let (now, later) = target.split_at_mut(piece.len());
            now.copy_from_slice(piece);
            target = later;
        }
    }

    /// Appends the next bytes, at most `most`, as far as there are, to a vector that has room for them:
    /// what is to be filled need not be cleared before.
    #[inline]
    pub fn append_to(&mut self, target: &mut Vec<u8>, mut most: usize) {
        while most > 0 {
            let Some(piece) = self.next(most) else { return };
            target.extend_from_slice(piece);
            most -= piece.len();
        }
    }
}

/// What is left to be filled of a list of buffers.
///
/// ```
/// let (mut a, mut b) = ([0; 2], [0; 2]);
/// let mut buffers: [&mut [u8]; 2] = [&mut a, &mut b];
/// let mut target = ukfile::Scatter::new(&mut buffers);
/// assert_eq!((target.put(b"xyz"), target.put(b"123")), (3, 1));
/// assert_eq!((&a, &b), (b"xy", b"z1"));
/// ```
#[derive(Debug)]
pub struct Scatter<'a, 'b> {
    buffers: &'a mut [&'b mut [u8]],
    /// The first that is not full, and how much of it is.
    at: (usize, usize),
}

impl<'a, 'b> Scatter<'a, 'b> {
    /// All of them.
    pub const fn new(buffers: &'a mut [&'b mut [u8]]) -> Self {
        Self { buffers, at: (0, 0) }
    }

    /// Appends `bytes`, as far as there is room; returns how many.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            let (index, filled) = self.at;
            let Some(buffer) = self.buffers.get_mut(index) else { break };
            let room = &mut buffer[filled..];
            let length = room.len().min(bytes.len() - done);
            room[..length].copy_from_slice(&bytes[done..done + length]);
            done += length;
            self.at = if length == room.len() { (index + 1, 0) } else { (index, filled + length) };
        }
        done
    }
}
