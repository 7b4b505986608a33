//! A driver that writes into guest memory whatever it is told: the other side of a device, for fuzz
//! targets and tests.

use hvt_abi::PAGE;
use hvt_abi::device::{self as at, SET_STATUS, notify};

use crate::devices::Slot;
use crate::guest::Guest;
use crate::layout::DEVICE_REGISTERS;

/// Descriptor flags (virtio 1.2, section 2.7.5).
const NEXT: u16 = 1;
/// The device writes.
const WRITE: u16 = 2;
/// Version 1, indirect descriptors, event index: what good drivers agree on.
pub const FEATURES: u64 = 1 << 32 | 1 << 29 | 1 << 28;
/// Acknowledge, driver, features, ready.
const READY: u32 = 15;

/// A piece of a request: address, length, whether the device writes it.
pub type Chain<'a> = &'a [(u64, u32, bool)];

/// A driver of one device. Its rings are in the guest's heap, three pages for each queue.
#[derive(Clone, Copy, Debug)]
pub struct Driver {
    guest: &'static Guest,
    device: usize,
}

impl Driver {
    /// Of the device of that number.
    pub fn new(guest: &'static Guest, device: usize) -> Self {
        Self { guest, device }
    }

    /// Address of a queue's descriptors; its ring of requests and its ring of completions follow, a
    /// page for each.
    pub fn rings(&self, queue: usize) -> u64 {
        let heap = self.guest.layout.heap_range().start;
        heap + (self.device * 4 + queue) as u64 * 3 * PAGE
    }

    /// Address of memory that no ring uses.
    pub fn data(&self) -> u64 {
        self.guest.layout.heap_range().start + 64 * 3 * PAGE
    }

    fn page(&self) -> u64 {
        self.guest.layout.devices[self.device].physical
    }

    /// Writes to the page of memory that it shares with the device.
    pub fn put(&self, offset: usize, bytes: &[u8]) {
        self.guest.ram.write(self.page() + offset as u64, bytes);
    }

    /// Reads from there.
    pub fn get<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut bytes = [0; N];
        self.guest.ram.read(self.page() + offset as u64, &mut bytes);
        bytes
    }

    /// The device's status.
    pub fn status(&self) -> u32 {
        u32::from_le_bytes(self.get(at::STATUS))
    }

    /// Writes a register.
    pub fn register(&self, register: usize, value: u32) {
        let physical =
            DEVICE_REGISTERS + self.device as u64 * PAGE + (register - SET_STATUS) as u64;
        self.guest.devices.write(physical, &value.to_le_bytes());
    }

    /// Says where a queue is.
    pub fn place(&self, queue: usize, size: u32, addresses: [u64; 3]) {
        let place = at::queue(queue);
        self.put(place + at::QUEUE_SIZE, &size.to_le_bytes());
        let offsets = [at::QUEUE_DESCRIPTORS, at::QUEUE_AVAILABLE, at::QUEUE_USED];
        for (offset, address) in offsets.into_iter().zip(addresses) {
            self.put(place + offset, &address.to_le_bytes());
        }
    }

    /// Resets the device and sets it up with queues of this size, as a good driver does.
    pub fn set_up(&self, queues: usize, size: u32) {
        self.set_up_with(queues, size, FEATURES);
    }

    /// The same, with these features.
    pub fn set_up_with(&self, queues: usize, size: u32, features: u64) {
        self.register(SET_STATUS, 0);
        for queue in 0..queues {
            let rings = self.rings(queue);
            for page in 0..3 {
                let _ = self.guest.write(rings + page * PAGE, &[0; PAGE as usize]);
            }
            self.place(queue, size, [rings, rings + PAGE, rings + 2 * PAGE]);
        }
        self.put(at::AGREED, &features.to_le_bytes());
        self.register(SET_STATUS, READY);
    }

    /// Writes to the guest's memory; addresses that are none are left alone.
    pub fn write(&self, address: u64, bytes: &[u8]) {
        let _ = self.guest.write(address, bytes);
    }

    /// Reads the guest's memory.
    pub fn read<const N: usize>(&self, address: u64) -> [u8; N] {
        let mut bytes = [0; N];
        let _ = self.guest.read(address, &mut bytes);
        bytes
    }

    /// Writes a descriptor of a table.
    pub fn descriptor(&self, table: u64, index: u64, address: u64, len: u32, rest: [u16; 2]) {
        let [flags, next] = rest;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&address.to_le_bytes());
        bytes[8..12].copy_from_slice(&len.to_le_bytes());
        bytes[12..14].copy_from_slice(&flags.to_le_bytes());
        bytes[14..].copy_from_slice(&next.to_le_bytes());
        self.write(table.wrapping_add(index.wrapping_mul(16)), &bytes);
    }

    /// Puts a chain into the table of a queue from a descriptor on.
    pub fn chain(&self, queue: usize, first: u16, pieces: Chain<'_>) {
        for (index, (address, len, writes)) in (first..).zip(pieces) {
            let more = usize::from(index - first) + 1 < pieces.len();
            let flags = if *writes { WRITE } else { 0 } | if more { NEXT } else { 0 };
            let rest = [flags, index.wrapping_add(1)];
            self.descriptor(self.rings(queue), index.into(), *address, *len, rest);
        }
    }

    /// Puts the head of a chain into the ring of requests as the one of that number.
    pub fn offer(&self, queue: usize, size: u16, number: u16, head: u16) {
        let ring = self.rings(queue) + PAGE;
        self.write(ring + 4 + 2 * u64::from(number % size), &head.to_le_bytes());
        self.write(ring + 2, &number.wrapping_add(1).to_le_bytes());
    }

    /// Notifies a queue, and does what the device's thread would do then, once: requests of some do not
    /// end. Returns whether there is more to do already.
    pub fn notify(&self, queue: usize) -> bool {
        self.register(notify(queue), queue as u32);
        let has_thread = self.slot().is_some_and(|slot| !slot.bells().is_empty());
        has_thread && (self.serve() && self.input() || self.listen())
    }

    fn slot(&self) -> Option<&'static Slot> {
        self.guest.devices.0.get(self.device)
    }

    /// Does once what the device's thread does while it looks for requests. Returns whether there is more
    /// to do at the source already.
    pub fn serve(&self) -> bool {
        self.slot().is_some_and(|slot| slot.serve().again)
    }

    /// Has the device ask for notifications. Returns whether there is a request already.
    pub fn listen(&self) -> bool {
        self.slot().is_some_and(Slot::listen)
    }

    /// Does once what the device's thread would do when something happened at the device's source.
    /// Returns whether there is more to do at the source already.
    pub fn input(&self) -> bool {
        let again = self.slot().is_some_and(Slot::input);
        self.listen();
        again
    }

    /// What the device waits for beside notifications: events of `poll`.
    pub fn waits_for(&self) -> Option<i16> {
        let slot = self.slot()?;
        slot.source().map(|source| source.events)
    }

    /// Whether the device interrupted since the last call.
    pub fn interrupts(&self) -> bool {
        self.guest.kicks[0].take() & hvt_abi::cpu_page::PENDING_DEVICE != 0
    }

    /// How many requests were completed, and the last one's head and length.
    pub fn completed(&self, queue: usize, size: u16) -> (u16, u32, u32) {
        let ring = self.rings(queue) + 2 * PAGE;
        let [_, _, low, high] = self.read::<4>(ring);
        let count = u16::from_le_bytes([low, high]);
        let last = u64::from(count.wrapping_sub(1) % size);
        let words = self.read::<8>(ring + 4 + 8 * last);
        let [a, b, c, d, len @ ..] = words;
        (count, u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(len))
    }
}
