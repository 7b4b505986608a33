//! The driver's side of a split virtqueue.

use alloc::vec::Vec;
use core::fmt;
use core::mem::ManuallyDrop;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::fence;

use ukdma::{DmaError, Segment, SegmentList, Segments};

use crate::need_event;
use crate::rings::{
    Config, Descriptor, FLAG_INDIRECT, FLAG_NEXT, FLAG_WRITE, HEAD, NO_EVENTS, Rings,
};
use crate::{Refused, RingError, SubmitError};

/// A request in flight, at the index of its first descriptor.
struct Slot<T> {
    /// Never dropped while it is here: the device has its memory.
    request: Option<ManuallyDrop<T>>,
    /// Descriptors that it uses, and the last of them.
    descriptors: u16,
    last: u16,
    /// Bytes that the device may write.
    writable: u32,
}

/// A request that the device is done with.
#[derive(Debug)]
pub struct Completion<T> {
    /// The request.
    pub request: T,
    /// Bytes that the device says it wrote, never more than it was allowed to.
    pub written: u32,
    /// What [`SplitQueue::next_slot`] said before it was submitted.
    pub slot: u16,
}

/// A split virtqueue; see the [crate's documentation](crate).
pub struct SplitQueue<T> {
    rings: Rings,
    mask: u16,
    /// Free descriptors are a list: the first, and for each the next one.
    free: u16,
    first_free: u16,
    next: Vec<u16>,
    slots: Vec<Slot<T>>,
    /// Room for the segments of one request.
    room: Vec<Segment>,
    /// Index behind the last request in the ring, and behind the last that the device can see.
    available: u16,
    published: u16,
    /// Index of the next completion, and what is known of how far the device is.
    used: u16,
    used_seen: u16,
    in_flight: u16,
    broken: Option<RingError>,
}

impl<T> fmt::Debug for SplitQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SplitQueue")
            .field("config", &self.rings.config)
            .field("in_flight", &self.in_flight)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

impl<T: Segments> SplitQueue<T> {
    /// A queue, to be made known to the device by its [addresses](Rings::addresses).
    ///
    /// # Errors
    /// See [`DmaError`].
    pub fn new(config: Config) -> Result<Self, DmaError> {
        let rings = Rings::new(config)?;
        let size = rings.config.size;
        let mut next = reserved(size.into())?;
        next.extend((1..size).chain([0]));
        let mut slots = reserved(size.into())?;
        slots.extend((0..size).map(|_| Slot {
            request: None,
            descriptors: 0,
            last: 0,
            writable: 0,
        }));
        Ok(Self {
            mask: size - 1,
            free: size,
            first_free: 0,
            next,
            slots,
            room: reserved(rings.config.max_segments.into())?,
            available: 0,
            published: 0,
            used: 0,
            used_seen: 0,
            in_flight: 0,
            broken: None,
            rings,
        })
    }

    /// The memory that is shared with the device.
    pub fn rings(&self) -> Rings {
        self.rings
    }

    /// Requests that were submitted and not completed.
    pub fn in_flight(&self) -> u16 {
        self.in_flight
    }

    /// Whether the device broke the rules: it gives nothing back any more.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Number below [`Config::size`] by which the next request can find memory that is reserved
    /// for it; no other request in flight has the same. `None` when the queue is full.
    #[inline]
    pub fn next_slot(&self) -> Option<u16> {
        (self.free > 0).then_some(self.first_free)
    }

    /// Puts a request into the ring. The device sees it after [`publish`](Self::publish).
    ///
    /// # Errors
    /// The request with the reason why it was not taken.
    #[inline]
    pub fn submit(&mut self, mut request: T) -> Result<(), Refused<T>> {
        match self.place(&mut request) {
            Ok(slot) => {
                self.slots[usize::from(slot)].request = Some(ManuallyDrop::new(request));
                Ok(())
            }
            Err(error) => Err(Refused { request, error }),
        }
    }

    /// Writes descriptors and ring entry of a request; returns its slot.
    #[inline]
    fn place(&mut self, request: &mut T) -> Result<u16, SubmitError> {
        if let Some(error) = self.broken {
            return Err(SubmitError::Broken(error));
        }
        let mut list = SegmentList::new(&mut self.room);
        request.segments(&mut list);
        let segments = list.finish().map_err(SubmitError::Memory)?;
        let count = segments.len() as u16;
        // The room has `max_segments`, but a vector may have got more than it asked for.
        if count > self.rings.config.max_segments {
            return Err(SubmitError::Memory(DmaError::TooManySegments));
        }
        let head = self.first_free;
        let (descriptors, last) = match self.rings.indirect {
            _ if count == 0 => return Err(SubmitError::Empty),
            Some(tables) if count > 1 => {
                if self.free < 1 {
                    return Err(SubmitError::Full);
                }
                let max = usize::from(self.rings.config.max_segments);
                let start = usize::from(head) * max;
                let table = &tables[start..start + max];
                for (index, segment) in (0u16..).zip(segments) {
                    let next = Some(index + 1).filter(|n| *n < count);
                    write(&table[usize::from(index)], segment, next);
                }
                let bytes = u64::from(count) * 16;
                store(
                    &self.rings.descriptors[usize::from(head)],
                    tables.address_of(start),
                    bytes | FLAG_INDIRECT << 32,
                );
                (1, head)
            }
            _ => {
                if self.free < count {
                    return Err(SubmitError::Full);
                }
                let mut at = head;
                for segment in &segments[..usize::from(count) - 1] {
                    let next = self.next[usize::from(at)];
                    write(&self.rings.descriptors[usize::from(at)], segment, Some(next));
                    at = next;
                }
                let segment = &segments[usize::from(count) - 1];
                write(&self.rings.descriptors[usize::from(at)], segment, None);
                (count, at)
            }
        };
        let writes = segments.iter().filter(|s| s.device_writes());
        let writable = writes.fold(0u32, |sum, s| sum.saturating_add(s.len()));
        self.first_free = self.next[usize::from(last)];
        self.free -= descriptors;
        let slot = &mut self.slots[usize::from(head)];
        (slot.descriptors, slot.last, slot.writable) = (descriptors, last, writable);
        let entry = HEAD + usize::from(self.available & self.mask);
        self.rings.available[entry].store(head.to_le(), Relaxed);
        self.available = self.available.wrapping_add(1);
        self.in_flight += 1;
        Ok(head)
    }

    /// Makes the device see what was submitted. Returns whether it wants to be notified.
    #[inline]
    pub fn publish(&mut self) -> bool {
        let (old, new) = (self.published, self.available);
        if old == new {
            return false;
        }
        self.rings.available[1].store(new.to_le(), Release);
        self.published = new;
        // The index must be visible before it is asked whether the device saw it by itself
        // (virtio 1.2, section 2.7.13.4.1).
        fence(SeqCst);
        if self.rings.config.event_index {
            need_event(u16::from_le(self.rings.used_event[0].load(Relaxed)), new, old)
        } else {
            u16::from_le(self.rings.used[0].load(Relaxed)) & NO_EVENTS == 0
        }
    }

    /// Takes back the next request that the device is done with; `None` when there is none yet.
    ///
    /// # Errors
    /// What the device did wrong; from then on always.
    #[inline]
    pub fn complete(&mut self) -> Result<Option<Completion<T>>, RingError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        if self.used == self.used_seen {
            self.used_seen = u16::from_le(self.rings.used[1].load(Acquire));
            if self.used == self.used_seen {
                return Ok(None);
            }
            if self.used_seen.wrapping_sub(self.used) > self.in_flight {
                return Err(self.fail(RingError::BadIndex));
            }
        }
        let [id, written] = &self.rings.used_ring[usize::from(self.used & self.mask)];
        let id = u32::from_le(id.load(Relaxed));
        let written = u32::from_le(written.load(Relaxed));
        let Some(slot) = self.slots.get_mut(id as usize) else {
            return Err(self.fail(RingError::BadId));
        };
        if written > slot.writable {
            // A request that is not in flight has nothing to write, so `BadId` comes first.
            let error =
                if slot.request.is_some() { RingError::BadLength } else { RingError::BadId };
            return Err(self.fail(error));
        }
        let Some(request) = slot.request.take() else { return Err(self.fail(RingError::BadId)) };
        let (descriptors, last) = (slot.descriptors, slot.last);
        slot.writable = 0;
        self.used = self.used.wrapping_add(1);
        self.in_flight -= 1;
        // Its descriptors, already linked to each other, go in front of the free ones.
        let slot = id as u16;
        self.next[usize::from(last)] = self.first_free;
        self.first_free = slot;
        self.free += descriptors;
        Ok(Some(Completion { request: ManuallyDrop::into_inner(request), written, slot }))
    }

    /// Whether [`complete`](Self::complete) has something to give, be it an error.
    #[inline]
    pub fn has_completions(&self) -> bool {
        self.broken.is_some()
            || self.used != self.used_seen
            || self.used != u16::from_le(self.rings.used[1].load(Acquire))
    }

    /// Asks the device not to interrupt. It may do so all the same.
    pub fn disable_interrupts(&mut self) {
        if self.rings.config.event_index {
            // As far away as an index can be.
            self.set_event(self.used.wrapping_sub(1));
        } else {
            self.rings.available[0].store(NO_EVENTS.to_le(), Relaxed);
        }
    }

    /// Asks the device to interrupt at the next completion. Returns whether there are completions
    /// already, for which no interrupt may come.
    #[must_use = "for completions that are there already no interrupt may come"]
    pub fn enable_interrupts(&mut self) -> bool {
        if self.rings.config.event_index {
            self.set_event(self.used);
        } else {
            self.rings.available[0].store(0, Relaxed);
        }
        // As in `publish`.
        fence(SeqCst);
        self.has_completions()
    }

    fn set_event(&self, index: u16) {
        let at = HEAD + usize::from(self.rings.config.size);
        self.rings.available[at].store(index.to_le(), Relaxed);
    }

    #[cold]
    fn fail(&mut self, error: RingError) -> RingError {
        self.broken = Some(error);
        error
    }
}

/// An empty vector with room.
fn reserved<V>(len: usize) -> Result<Vec<V>, DmaError> {
    let mut vector = Vec::new();
    vector.try_reserve_exact(len).map_err(|_| DmaError::OutOfMemory)?;
    Ok(vector)
}

#[inline]
fn write(descriptor: &Descriptor, segment: &Segment, next: Option<u16>) {
    let mut word = u64::from(segment.len());
    if segment.device_writes() {
        word |= FLAG_WRITE << 32;
    }
    if let Some(next) = next {
        word |= FLAG_NEXT << 32 | u64::from(next) << 48;
    }
    store(descriptor, segment.address(), word);
}

#[inline]
fn store(descriptor: &Descriptor, address: u64, word: u64) {
    descriptor[0].store(address.to_le(), Relaxed);
    descriptor[1].store(word.to_le(), Relaxed);
}
