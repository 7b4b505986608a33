//! What a device is told of the memory of a request.

use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ops::Range;

use crate::{DmaError, Shared, SharedWord, StableBytes};

/// A piece of memory as a device sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    address: u64,
    len: u32,
    device_writes: bool,
}

impl Segment {
    /// Address for the device.
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// Length in bytes, not 0.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Never: pieces without bytes are left out.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Whether the device writes it; else it reads it.
    pub const fn device_writes(&self) -> bool {
        self.device_writes
    }
}

/// A request that owns the memory it gives to a device.
///
/// Whoever hands the segments to a device keeps the request, without looking into it, until the
/// device is done, or for ever.
pub trait Segments: Send + 'static {
    /// Puts the memory on the list: what the device reads, then what it writes.
    fn segments<'a>(&'a mut self, list: &mut SegmentList<'_, 'a>);
}

/// The segments of one request. Nothing is allocated: there is room for what the vector below can
/// hold without growing.
///
/// `'a` stands for the time that the device has the memory. A request cannot tell how long that is,
/// so what it puts here is borrowed from itself, or shared for ever.
#[derive(Debug)]
pub struct SegmentList<'l, 'a> {
    room: &'l mut Vec<Segment>,
    error: Option<DmaError>,
    borrowed: PhantomData<&'a mut [u8]>,
}

impl<'l, 'a> SegmentList<'l, 'a> {
    /// An empty list in the room of a vector.
    pub fn new(room: &'l mut Vec<Segment>) -> Self {
        room.clear();
        Self { room, error: None, borrowed: PhantomData }
    }

    /// Bytes that the device reads.
    #[inline]
    pub fn device_reads(&mut self, owner: &'a mut impl StableBytes) {
        let bytes = owner.bytes();
        self.push(bytes.as_ptr() as usize, bytes.len(), false);
    }

    /// Bytes that the device writes.
    #[inline]
    pub fn device_writes(&mut self, owner: &'a mut impl StableBytes) {
        let bytes = owner.bytes();
        self.push(bytes.as_ptr() as usize, bytes.len(), true);
    }

    /// Some of the bytes, which the device reads. What of the range is no byte is left out.
    #[inline]
    pub fn device_reads_part(&mut self, owner: &'a mut impl StableBytes, part: Range<usize>) {
        self.push_part(owner.bytes(), part, false);
    }

    /// Some of the bytes, which the device writes. What of the range is no byte is left out.
    #[inline]
    pub fn device_writes_part(&mut self, owner: &'a mut impl StableBytes, part: Range<usize>) {
        self.push_part(owner.bytes(), part, true);
    }

    /// Constant bytes that the device reads.
    pub fn device_reads_constant(&mut self, bytes: &'static [u8]) {
        self.push(bytes.as_ptr() as usize, bytes.len(), false);
    }

    /// One item of shared memory that the device reads. An index outside is left out.
    #[inline]
    pub fn device_reads_shared<T: SharedWord>(&mut self, memory: Shared<T>, index: usize) {
        self.push_shared(memory, index, false);
    }

    /// One item of shared memory that the device writes. An index outside is left out.
    #[inline]
    pub fn device_writes_shared<T: SharedWord>(&mut self, memory: Shared<T>, index: usize) {
        self.push_shared(memory, index, true);
    }

    /// The segments.
    ///
    /// # Errors
    /// The first that occurred.
    #[inline]
    pub fn finish(self) -> Result<&'l [Segment], DmaError> {
        match self.error {
            None => Ok(self.room),
            Some(error) => Err(error),
        }
    }

    #[inline]
    fn push_shared<T: SharedWord>(&mut self, memory: Shared<T>, index: usize, writes: bool) {
        if index < memory.len() {
            self.add(memory.address_of(index), size_of::<T>(), writes);
        }
    }

    #[inline]
    fn push_part(&mut self, bytes: &[u8], part: Range<usize>, writes: bool) {
        let end = part.end.min(bytes.len());
        let start = part.start.min(end);
        self.push(bytes.as_ptr() as usize + start, end - start, writes);
    }

    #[inline]
    fn push(&mut self, mut start: usize, mut len: usize, device_writes: bool) {
        while len > 0 {
            let Some((address, run)) = ukplat::device::address(start, len) else {
                self.error.get_or_insert(DmaError::Unreachable);
                return;
            };
            let run = run.clamp(1, len);
            self.add(address, run, device_writes);
            start += run;
            len -= run;
        }
    }

    #[inline]
    fn add(&mut self, address: u64, len: usize, device_writes: bool) {
        if let Some(last) = self.room.last()
            && last.device_writes
            && !device_writes
        {
            self.error.get_or_insert(DmaError::Order);
        }
        let Ok(len) = u32::try_from(len) else {
            self.error.get_or_insert(DmaError::TooManySegments);
            return;
        };
        if self.room.len() < self.room.capacity() {
            self.room.push(Segment { address, len, device_writes });
        } else {
            self.error.get_or_insert(DmaError::TooManySegments);
        }
    }
}
