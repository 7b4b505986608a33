//! The device.

use alloc::boxed::Box;
use alloc::vec::Vec;

use uk9p::{Channel, ChannelError, Message};
use ukdma::{SegmentList, Segments};
use uklock::{EventCount, Mutex};
use virtio_device::{Device, Error, Queue, QueueConfig, Transport};
use virtio_ring::{Refused, SubmitError};

use crate::config;

/// Descriptors of the queue.
const QUEUE_SIZE: u16 = 128;
/// Pieces of memory of a message at most: two, where each is in one piece for the device.
const MAX_SEGMENTS: u16 = 16;
/// Bytes of a message at most. More is no faster, and each that is under way takes memory.
const MAX_MESSAGE: usize = 512 << 10;
/// Requests under way at a time; more wait.
const TICKETS: usize = 32;

/// Looks at a device that cannot interrupt before the first nap.
const SPINS: u32 = 64;
/// Length of a nap between two looks, in nanoseconds.
const NAP_NS: u64 = 50_000;
/// After this time, in nanoseconds, it is looked even without an interrupt.
const LOOK_NS: u64 = 1_000_000_000;

/// A virtio 9P device that works.
#[derive(Debug)]
pub struct NineP {
    tag: Box<[u8]>,
    lane: Mutex<Lane>,
    /// Interrupts, and completions that were seen by another than who waits for them.
    events: &'static EventCount,
    interrupts: bool,
    // Kept: its registers name the queue's memory.
    _device: Mutex<Device>,
}

/// The queue, and what became of requests.
#[derive(Debug)]
struct Lane {
    queue: Queue<InFlight>,
    tickets: Vec<Ticket>,
    broken: bool,
}

/// Where a request is.
#[derive(Debug)]
enum Ticket {
    Free,
    Waiting,
    Done(Message),
}

/// A message that the device has.
#[derive(Debug)]
struct InFlight {
    message: Message,
    ticket: usize,
}

impl Segments for InFlight {
    fn segments<'a>(&'a mut self, list: &mut SegmentList<'_, 'a>) {
        list.device_reads(&mut self.message.request);
        list.device_writes_part(&mut self.message.reply, 0..self.message.length);
    }
}

impl NineP {
    /// Sets a device up.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn new(transport: Box<dyn Transport>) -> Result<Self, Error> {
        let mut device = Device::start(transport, config::MOUNT_TAG)?;
        let events: &'static EventCount = Box::leak(Box::new(EventCount::new()));
        let interrupts = device.listen(events);
        let set_up = |device: &mut Device| -> Result<_, Error> {
            let tag = config::tag(device)?;
            let config = QueueConfig { size: QUEUE_SIZE, max_segments: MAX_SEGMENTS };
            let mut queue: Queue<InFlight> = device.queue(0, config)?;
            queue.disable_interrupts();
            Ok((tag, queue))
        };
        match set_up(&mut device) {
            Ok((tag, queue)) => {
                device.ready();
                let tickets = (0..TICKETS).map(|_| Ticket::Free).collect();
                let lane = Mutex::new(Lane { queue, tickets, broken: false });
                Ok(Self { tag, lane, events, interrupts, _device: Mutex::new(device) })
            }
            Err(error) => {
                device.give_up();
                Err(error)
            }
        }
    }

    /// Its mount tag.
    pub fn tag(&self) -> &[u8] {
        &self.tag
    }

    /// Waits for an event after `seen`.
    fn wait(&self, seen: u32, looks: &mut u32) {
        if self.interrupts {
            if !self.lane.lock().queue.enable_interrupts() {
                self.events.wait_until(seen, ukplat::monotonic_ns().saturating_add(LOOK_NS));
            }
            return;
        }
        *looks = looks.saturating_add(1);
        if *looks <= SPINS {
            core::hint::spin_loop();
        } else {
            self.events.wait_until(seen, ukplat::monotonic_ns().saturating_add(NAP_NS));
        }
    }

    /// Calls `step` until it has a result; waits in between.
    fn until<R>(&self, mut step: impl FnMut(&mut Lane) -> Option<R>) -> R {
        let mut looks = 0;
        loop {
            // The count first: what comes after it was read ends the wait.
            let seen = self.events.count();
            let (result, collected) = {
                let mut lane = self.lane.lock();
                let collected = lane.collect();
                (step(&mut lane), collected)
            };
            // Somebody else's, perhaps, or there is room now.
            if collected {
                self.events.notify();
            }
            match result {
                Some(result) => return result,
                None if !collected => self.wait(seen, &mut looks),
                None => {}
            }
        }
    }
}

impl Lane {
    /// Takes what the device is done with; returns whether there was anything.
    fn collect(&mut self) -> bool {
        let mut any = false;
        loop {
            match self.queue.complete() {
                Ok(None) => return any,
                Ok(Some(done)) => {
                    let InFlight { mut message, ticket } = done.request;
                    message.length = message.length.min(done.written as usize);
                    if let Some(entry) = self.tickets.get_mut(ticket) {
                        *entry = Ticket::Done(message);
                    }
                    any = true;
                }
                Err(_) => {
                    let first = !self.broken;
                    self.broken = true;
                    return any || first;
                }
            }
        }
    }

    /// Gives a message to the device; `None` when it must wait. The message is taken when it goes.
    fn submit(&mut self, message: &mut Option<Message>) -> Option<Result<usize, ChannelError>> {
        if self.broken {
            return Some(Err(ChannelError::Broken));
        }
        let ticket = self.tickets.iter().position(|t| matches!(t, Ticket::Free))?;
        let taken = message.take()?;
        match self.queue.submit(InFlight { message: taken, ticket }) {
            Ok(()) => {
                self.tickets[ticket] = Ticket::Waiting;
                self.queue.notify();
                Some(Ok(ticket))
            }
            Err(Refused { request, error: SubmitError::Full }) => {
                *message = Some(request.message);
                None
            }
            Err(Refused { error: SubmitError::Broken(_), .. }) => {
                self.broken = true;
                Some(Err(ChannelError::Broken))
            }
            Err(Refused { error: SubmitError::Memory(_) | SubmitError::Empty, .. }) => {
                Some(Err(ChannelError::BadMessage))
            }
        }
    }

    /// The reply to a message, once it is there.
    fn finish(&mut self, ticket: usize) -> Option<Result<Message, ChannelError>> {
        match core::mem::replace(&mut self.tickets[ticket], Ticket::Free) {
            Ticket::Done(message) => Some(Ok(message)),
            // What a broken queue has is never given back.
            _ if self.broken => Some(Err(ChannelError::Broken)),
            other => {
                self.tickets[ticket] = other;
                None
            }
        }
    }
}

impl Channel for NineP {
    fn max_message(&self) -> usize {
        MAX_MESSAGE
    }

    fn exchange(&self, message: Message) -> Result<Message, ChannelError> {
        let mut message = Some(message);
        let ticket = self.until(|lane| lane.submit(&mut message))?;
        let result = self.until(|lane| lane.finish(ticket));
        // There is a free ticket now.
        self.events.notify();
        result
    }
}
