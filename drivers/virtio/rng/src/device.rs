//! The device.

use alloc::boxed::Box;

use ukdma::{Buffer, SegmentList, Segments};
use uklock::EventCount;
use virtio_device::{Device, Error, Queue, QueueConfig, Transport};

/// Descriptors of the queue; one is in use at a time.
const QUEUE_SIZE: u16 = 4;
/// Bytes of a request at most.
const MAX: usize = 256;
/// A request that takes longer, in nanoseconds, is waited for no more.
const LIMIT_NS: u64 = 1_000_000_000;

#[derive(Debug)]
struct Request(Buffer);

impl Segments for Request {
    fn segments<'a>(&'a mut self, list: &mut SegmentList<'_, 'a>) {
        list.device_writes(&mut self.0);
    }
}

/// An entropy device that works.
#[derive(Debug)]
pub struct Entropy {
    queue: Queue<Request>,
    /// Counts interrupts; `None` when there will be none.
    events: Option<&'static EventCount>,
    // Kept: its registers name the queue's memory.
    _device: Device,
}

impl Entropy {
    /// Sets a device up.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn new(transport: Box<dyn Transport>) -> Result<Self, Error> {
        let mut device = Device::start(transport, 0)?;
        let events: &'static EventCount = Box::leak(Box::new(EventCount::new()));
        let events = device.listen(events).then_some(events);
        match device.queue(0, QueueConfig { size: QUEUE_SIZE, max_segments: 1 }) {
            Ok(mut queue) => {
                queue.disable_interrupts();
                device.ready();
                Ok(Self { queue, events, _device: device })
            }
            Err(error) => {
                device.give_up();
                Err(error)
            }
        }
    }

    /// Fills `bytes` from the start; returns how many.
    pub fn fill(&mut self, bytes: &mut [u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            let part = &mut bytes[done..];
            match self.request(part.len().min(MAX)) {
                Some((buffer, len @ 1..)) => {
                    part[..len].copy_from_slice(&buffer[..len]);
                    done += len;
                }
                _ => break,
            }
        }
        done
    }

    /// Asks for so many bytes; what came, and how many they are.
    fn request(&mut self, len: usize) -> Option<(Buffer, usize)> {
        // One that came too late is not lost, and this one then is not needed.
        if self.queue.in_flight() == 0 {
            self.queue.submit(Request(Buffer::new(len).ok()?)).ok()?;
            self.queue.notify();
        }
        let deadline = ukplat::monotonic_ns().saturating_add(LIMIT_NS);
        loop {
            let seen = self.events.map_or(0, EventCount::count);
            if let Some(done) = self.queue.complete().ok()? {
                let Request(buffer) = done.request;
                // The queue checks that no more was written than there was room for.
                let written = (done.written as usize).min(len);
                return Some((buffer, written));
            }
            if ukplat::monotonic_ns() > deadline {
                return None;
            }
            match self.events {
                Some(events) if !self.queue.enable_interrupts() => {
                    events.wait_until(seen, deadline);
                }
                _ => ukplat::relax(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use virtio_device::{features, kinds, model::Model};

    /// A device that answers requests in a thread of its own, each with so many bytes.
    fn answered(lengths: Vec<u32>, ask: usize) -> (usize, Vec<u8>) {
        let model = Model::new(kinds::ENTROPY, features::VERSION_1, &[8]);
        let mut device = Entropy::new(Box::new(model.clone())).unwrap();
        let answers = std::thread::spawn(move || {
            for len in lengths {
                let chain = loop {
                    if let Some(chain) = model.queue(0).pop() {
                        break chain;
                    }
                    std::thread::yield_now();
                };
                assert!(chain.pieces.len() == 1 && chain.pieces[0].device_writes);
                model.queue(0).push(chain.head, len);
                model.interrupt();
            }
        });
        let mut bytes = vec![0xaa; ask];
        let done = device.fill(&mut bytes);
        answers.join().unwrap();
        (done, bytes)
    }

    #[test]
    fn long_requests_are_made_of_short_ones() {
        // The model writes nothing: what comes are the zeroes of the buffers.
        let (done, bytes) = answered(vec![256, 256, 88], 600);
        assert_eq!((done, bytes), (600, vec![0; 600]));
    }

    #[test]
    fn a_device_that_gives_little_is_asked_again() {
        let (done, bytes) = answered(vec![3, 5, 2], 10);
        assert_eq!((done, bytes), (10, vec![0; 10]));
    }

    #[test]
    fn a_device_that_gives_nothing_ends_it() {
        let (done, bytes) = answered(vec![4, 0], 10);
        assert_eq!((done, bytes.len()), (4, 10));
        assert_eq!(bytes[4..], [0xaa; 6]);
    }

    #[test]
    fn a_device_that_lies_gives_nothing() {
        let (done, _) = answered(vec![5000], 10);
        assert_eq!(done, 0);
    }
}
