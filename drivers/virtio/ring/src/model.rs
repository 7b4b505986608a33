//! The device's side of a split virtqueue, for tests: it keeps the rules, or breaks them.

use alloc::vec::Vec;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::fence;

use crate::need_event;
use crate::rings::{Descriptor, FLAG_INDIRECT, FLAG_NEXT, FLAG_WRITE, HEAD, NO_EVENTS, Rings};

/// A piece of memory as a descriptor gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Address.
    pub address: u64,
    /// Length in bytes.
    pub len: u32,
    /// Whether the device writes it.
    pub device_writes: bool,
}

/// A request as the device sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Index of the first descriptor.
    pub head: u16,
    /// Its memory.
    pub pieces: Vec<Piece>,
}

/// A device with one queue.
#[derive(Debug)]
pub struct Device {
    rings: Rings,
    available: u16,
    used: u16,
    announced: u16,
}

impl Device {
    /// A device that was just given the queue.
    pub fn new(rings: Rings) -> Self {
        Self { rings, available: 0, used: 0, announced: 0 }
    }

    /// Takes the next request; `None` when there is none.
    ///
    /// # Panics
    /// When the driver broke the rules.
    pub fn pop(&mut self) -> Option<Chain> {
        let index = u16::from_le(self.rings.available[1].load(Acquire));
        let size = self.rings.config.size;
        assert!(index.wrapping_sub(self.available) <= size, "more requests than descriptors");
        if index == self.available {
            return None;
        }
        let entry = HEAD + usize::from(self.available & (size - 1));
        let head = u16::from_le(self.rings.available[entry].load(Relaxed));
        self.available = self.available.wrapping_add(1);
        if self.rings.config.event_index {
            // Notified at each request.
            self.rings.used_event[0].store(self.available.to_le(), Relaxed);
            fence(SeqCst);
        }
        let mut pieces = Vec::new();
        let (address, len, flags, _) = load(&self.rings.descriptors[usize::from(head)]);
        match self.rings.indirect {
            Some(tables) if flags & FLAG_INDIRECT != 0 => {
                assert_eq!(len % 16, 0);
                let start = ((address - tables.address()) / 16) as usize;
                let table = &tables[start..start + len as usize / 16];
                follow(table, 0, &mut pieces);
            }
            _ => follow(&self.rings.descriptors, head, &mut pieces),
        }
        Some(Chain { head, pieces })
    }

    /// Completes a request.
    pub fn push(&mut self, head: u16, written: u32) {
        self.push_raw(head.into(), written);
        self.publish(self.used);
    }

    /// Writes any entry into the ring of completions, without publishing it.
    pub fn push_raw(&mut self, id: u32, written: u32) {
        let at = usize::from(self.used & (self.rings.config.size - 1));
        let [id_word, written_word] = &self.rings.used_ring[at];
        id_word.store(id.to_le(), Relaxed);
        written_word.store(written.to_le(), Relaxed);
        self.used = self.used.wrapping_add(1);
    }

    /// Publishes any index.
    pub fn publish(&mut self, index: u16) {
        self.used = index;
        self.rings.used[1].store(index.to_le(), Release);
    }

    /// The index that was published last, or is about to be.
    pub fn used(&self) -> u16 {
        self.used
    }

    /// Whether the driver wants an interrupt for what was completed since this was called last.
    pub fn wants_interrupt(&mut self) -> bool {
        fence(SeqCst);
        let old = core::mem::replace(&mut self.announced, self.used);
        if self.rings.config.event_index {
            let at = HEAD + usize::from(self.rings.config.size);
            let event = u16::from_le(self.rings.available[at].load(Relaxed));
            need_event(event, self.used, old)
        } else {
            u16::from_le(self.rings.available[0].load(Relaxed)) & NO_EVENTS == 0
        }
    }

    /// Asks the driver for notifications, or not to notify.
    pub fn set_notifications(&self, on: bool) {
        let event = if on { self.available } else { self.available.wrapping_sub(1) };
        self.rings.used_event[0].store(event.to_le(), Relaxed);
        self.rings.used[0].store(if on { 0 } else { NO_EVENTS.to_le() }, Relaxed);
    }
}

/// Address, length, flags, next.
fn load(descriptor: &Descriptor) -> (u64, u32, u64, u16) {
    let word = u64::from_le(descriptor[1].load(Relaxed));
    let address = u64::from_le(descriptor[0].load(Relaxed));
    (address, word as u32, word >> 32 & 0xffff, (word >> 48) as u16)
}

fn follow(table: &[Descriptor], mut at: u16, pieces: &mut Vec<Piece>) {
    loop {
        let (address, len, flags, next) = load(&table[usize::from(at)]);
        let device_writes = flags & FLAG_WRITE != 0;
        pieces.push(Piece { address, len, device_writes });
        assert!(pieces.len() <= table.len(), "the chain has a loop");
        if flags & FLAG_NEXT == 0 {
            return;
        }
        at = next;
    }
}
