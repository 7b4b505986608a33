//! Who waits for which word: pure book-keeping. Waiters are known by tickets, and woken in the
//! order in which they came.

use alloc::vec::Vec;

use ukmap::SortedMap;

/// The waiters.
#[derive(Debug)]
pub struct Queue<T> {
    /// By address and ticket, with the bits that wake it.
    waiting: SortedMap<(usize, u64), (u32, T)>,
    /// The address that each ticket waits for.
    places: SortedMap<u64, usize>,
    next: u64,
}

impl<T: Copy> Queue<T> {
    pub const fn new() -> Self {
        Self { waiting: SortedMap::new(), places: SortedMap::new(), next: 0 }
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

    /// The waiters of an address, in their order.
    fn of(&self, address: usize) -> impl Iterator<Item = (&(usize, u64), &(u32, T))> {
        self.waiting.range_from(&(address, 0)).take_while(move |((place, _), _)| *place == address)
    }

    /// How many wait for an address.
    pub fn count(&self, address: usize) -> usize {
        self.of(address).count()
    }

    /// The waiter of an address with the greatest key, the first among equals, and its ticket.
    pub fn greatest<K: Ord>(&self, address: usize, key: impl Fn(&T) -> K) -> Option<(u64, T)> {
        let all = self.of(address).map(|((_, ticket), (_, waiter))| (*ticket, *waiter));
        all.min_by_key(|(_, waiter)| core::cmp::Reverse(key(waiter)))
    }

    /// All waiters, of all addresses.
    pub fn all(&self) -> impl Iterator<Item = T> {
        self.waiting.values().map(|(_, waiter)| *waiter)
    }

    /// Takes at most `count` waiters of an address out whom any of the bits wakes.
    pub fn take(&mut self, address: usize, count: usize, bits: u32) -> Vec<T> {
        let all = self.of(address);
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
        let all = self.of(from);
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
