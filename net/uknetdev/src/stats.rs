//! Numbers for whoever looks after a network.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

/// What a queue, or an interface, has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Frames that were received.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Frames that the device took to send.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Frames that arrived and were of no use, or for which there was no buffer, as far as the driver
    /// knows.
    pub dropped: u64,
    /// Times at which there was no memory for buffers to receive into.
    pub starved: u64,
    /// Waits that needed an interrupt, or a nap.
    pub waits: u64,
}

impl Stats {
    pub(crate) fn add(&mut self, other: Self) {
        self.received += other.received;
        self.received_bytes += other.received_bytes;
        self.sent += other.sent;
        self.sent_bytes += other.sent_bytes;
        self.dropped += other.dropped;
        self.starved += other.starved;
        self.waits += other.waits;
    }
}

/// A number that one thread at a time changes and others read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub fn add(&self, count: usize) {
        self.0.store(self.get().wrapping_add(count as u64), Relaxed);
    }

    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
