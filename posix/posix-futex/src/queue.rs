//! Who waits for which word: pure book-keeping. Waiters are known by tickets, and woken in the
//! order in which they came.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The waiters.
#[derive(Debug)]
pub struct Queue<T> {
    /// By address and ticket, with the bits that wake it.
    waiting: BTreeMap<(usize, u64), (u32, T)>,
    /// The address that each ticket waits for.
    places: BTreeMap<u64, usize>,
    next: u64,
}

impl<T: Copy> Queue<T> {
    pub const fn new() -> Self {
        Self { waiting: BTreeMap::new(), places: BTreeMap::new(), next: 0 }
    }

    /// Adds a waiter; returns its ticket.
    pub fn add(&mut self, address: usize, bits: u32, waiter: T) -> u64 {
        let ticket = self.next;
        self.next += 1;
        self.waiting.insert((address, ticket), (bits, waiter));
        self.places.insert(ticket, address);
        ticket
    }

    /// Takes a waiter out; `false` when it has been woken.
    pub fn remove(&mut self, ticket: u64) -> bool {
        let Some(address) = self.places.remove(&ticket) else { return false };
        self.waiting.remove(&(address, ticket));
        true
    }

    /// Whether a waiter still waits.
    pub fn waits(&self, ticket: u64) -> bool {
        self.places.contains_key(&ticket)
    }

    /// Takes at most `count` waiters of an address out whom any of the bits wakes.
    pub fn take(&mut self, address: usize, count: usize, bits: u32) -> Vec<T> {
        let all = self.waiting.range((address, 0)..=(address, u64::MAX));
        let fits = all.filter(|(_, (own, _))| own & bits != 0);
        let chosen: Vec<(u64, T)> =
            fits.take(count).map(|((_, ticket), (_, waiter))| (*ticket, *waiter)).collect();
        for (ticket, _) in &chosen {
            self.remove(*ticket);
        }
        chosen.into_iter().map(|(_, waiter)| waiter).collect()
    }

    /// Makes at most `count` waiters of one address wait for another; returns how many.
    pub fn requeue(&mut self, from: usize, to: usize, count: usize) -> usize {
        let all = self.waiting.range((from, 0)..=(from, u64::MAX));
        let tickets: Vec<u64> = all.take(count).map(|((_, ticket), _)| *ticket).collect();
        for ticket in &tickets {
            if let Some(waiter) = self.waiting.remove(&(from, *ticket)) {
                self.waiting.insert((to, *ticket), waiter);
                self.places.insert(*ticket, to);
            }
        }
        tickets.len()
    }
}
