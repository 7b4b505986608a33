//! A request of a driver: the memory that its chain of descriptors names (virtio 1.2, section 2.7.5).

use std::collections::VecDeque;

use thiserror::Error;
use virtio_queue::DescriptorChain;
use vm_memory::{GuestMemory, Permissions, VolatileSlice};

use super::memory::DeviceMemory;

/// Descriptors of a request at most.
pub const MAX_SEGMENTS: usize = 256;
/// Bytes of a request at most, and so what the tender keeps to do one.
pub const MAX_BYTES: usize = 16 << 20;

/// How a driver broke the rules. Its device is stopped until it is reset.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Broken {
    /// Number of requests.
    #[error("there are more requests than the queue has room for")]
    Index,
    /// The ring of requests.
    #[error("the ring of requests cannot be read")]
    Ring,
    /// Next descriptors.
    #[error("the descriptors of a request do not end, or are not in their table")]
    Chain,
    /// Too many, or too long.
    #[error("a request has more than {MAX_SEGMENTS} descriptors or {} MiB", MAX_BYTES >> 20)]
    TooLong,
    /// Read after write.
    #[error("a request has memory to read behind memory to write")]
    Order,
    /// An address.
    #[error("the memory of a request at {0:#x} is not the guest's, or cannot be used so")]
    Memory(u64),
    /// The memory of a queue.
    #[error("the memory of queue {0} is not the guest's, or not aligned")]
    Queue(usize),
    /// What a request says.
    #[error("{0}")]
    Request(&'static str),
}

/// A request. It is given back by [`Queue::complete`](super::Queue::complete).
#[derive(Debug)]
pub struct Request {
    pub(super) head: u16,
    /// What the driver tells the device.
    pub readable: Pieces,
    /// Room for what the device tells the driver.
    pub writable: Pieces,
}

impl Request {
    /// Each descriptor is read once: the guest may change it at any time.
    pub(super) fn new(
        memory: &'static DeviceMemory,
        chain: DescriptorChain<&'static DeviceMemory>,
    ) -> Result<Self, Broken> {
        let mut request = Self {
            head: chain.head_index(),
            readable: Pieces::default(),
            writable: Pieces::default(),
        };
        let mut goes_on = true;
        for (count, descriptor) in chain.enumerate() {
            goes_on = descriptor.has_next();
            let len = descriptor.len() as usize;
            let total = request.readable.len() + request.writable.len();
            if count == MAX_SEGMENTS || len > MAX_BYTES - total {
                return Err(Broken::TooLong);
            }
            let (pieces, access) = if descriptor.is_write_only() {
                (&mut request.writable, Permissions::Write)
            } else if request.writable.is_empty() {
                (&mut request.readable, Permissions::Read)
            } else {
                return Err(Broken::Order);
            };
            let bad = Broken::Memory(descriptor.addr().0);
            let slices = memory.get_slices(descriptor.addr(), len, access).map_err(|_| bad)?;
            for slice in slices {
                pieces.push(slice.map_err(|_| bad)?);
            }
        }
        // The last descriptor named another, or there was none at all.
        if goes_on { Err(Broken::Chain) } else { Ok(request) }
    }
}

/// Memory of a request, taken piece by piece from its front. The guest may change it meanwhile: what
/// has been read must not be read again.
#[derive(Debug, Default)]
pub struct Pieces {
    slices: VecDeque<VolatileSlice<'static>>,
    len: usize,
}

impl Pieces {
    fn push(&mut self, slice: VolatileSlice<'static>) {
        self.len += slice.len();
        self.slices.push_back(slice);
    }

    /// How many bytes are left.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no bytes are left.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes bytes from the front as one piece of memory, at most `most`.
    pub fn take(&mut self, most: usize) -> Option<VolatileSlice<'static>> {
        let slice = self.slices.pop_front()?;
        let len = slice.len().min(most);
        if let (Ok(first), Ok(rest)) = (slice.subslice(0, len), slice.offset(len)) {
            if !rest.is_empty() {
                self.slices.push_front(rest);
            }
            self.len -= len;
            return Some(first);
        }
        None
    }

    /// Takes bytes from the front and copies them; returns how many there were.
    pub fn read(&mut self, bytes: &mut [u8]) -> usize {
        let mut done = 0;
        while done < bytes.len()
            && let Some(slice) = self.take(bytes.len() - done)
        {
            slice.copy_to(&mut bytes[done..]);
            done += slice.len();
        }
        done
    }

    /// Takes bytes from the front and fills them; returns for how many there was room.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len()
            && let Some(slice) = self.take(bytes.len() - done)
        {
            slice.copy_from(&bytes[done..]);
            done += slice.len();
        }
        done
    }

    /// Takes the last `len` bytes away, as pieces of their own; `None` when there are fewer.
    pub fn split_last(&mut self, len: usize) -> Option<Pieces> {
        let keep = self.len.checked_sub(len)?;
        let mut first = Self::default();
        while first.len < keep {
            first.push(self.take(keep - first.len)?);
        }
        Some(std::mem::replace(self, first))
    }
}
