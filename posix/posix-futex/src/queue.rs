//! Who waits for which word: pure book-keeping. Waiters are known by tickets, and woken in the
//! order in which they came.

use syscall_shim::Errno;
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

    /// Makes room for that many waiters altogether.
    ///
    /// # Errors
    /// `ENOMEM`
    pub fn reserve(&mut self, waiters: usize) -> Result<(), Errno> {
        let more = waiters.saturating_sub(self.places.len());
        let reserved = self.places.try_reserve(more).and_then(|()| self.waiting.try_reserve(more));
        reserved.map_err(|_| Errno::ENOMEM)
    }

    /// Adds a waiter; returns its ticket.
    ///
    /// # Errors
    /// `ENOMEM`
    pub fn add(&mut self, address: usize, bits: u32, waiter: T) -> Result<u64, Errno> {
        let ticket = self.next;
        self.places.try_insert(ticket, address).map_err(|_| Errno::ENOMEM)?;
        if self.waiting.try_insert((address, ticket), (bits, waiter)).is_err() {
            self.places.remove(&ticket);
            return Err(Errno::ENOMEM);
        }
        self.next += 1;
        Ok(ticket)
    }

    /// What tickets are smaller than, of those who wait now.
    pub fn end(&self) -> u64 {
        self.next
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

    /// The waiters of an address from a ticket on, in their order.
    fn of(&self, address: usize, from: u64) -> impl Iterator<Item = (u64, &(u32, T))> {
        let all = self.waiting.range_from(&(address, from));
        let here = all.take_while(move |((place, _), _)| *place == address);
        here.map(|((_, ticket), waiter)| (*ticket, waiter))
    }

    /// How many wait for an address.
    pub fn count(&self, address: usize) -> usize {
        self.of(address, 0).count()
    }

    /// The waiter of an address with the greatest key, the first among equals, and its ticket.
    pub fn greatest<K: Ord>(&self, address: usize, key: impl Fn(&T) -> K) -> Option<(u64, T)> {
        let all = self.of(address, 0).map(|(ticket, (_, waiter))| (ticket, *waiter));
        all.min_by_key(|(_, waiter)| core::cmp::Reverse(key(waiter)))
    }

    /// All waiters, of all addresses.
    pub fn all(&self) -> impl Iterator<Item = T> {
        self.waiting.values().map(|(_, waiter)| *waiter)
    }

    /// Takes waiters of an address with tickets before `end` out whom any of the bits wakes, as
    /// many as there are places for them; returns how many.
    pub fn take(&mut self, address: usize, bits: u32, end: u64, to: &mut [Option<T>]) -> usize {
        let mut from = 0;
        for (count, place) in to.iter_mut().enumerate() {
            let mut fits = self.of(address, from).filter(|(_, (own, _))| own & bits != 0);
            let Some((ticket, (_, waiter))) = fits.next().filter(|(ticket, _)| *ticket < end)
            else {
                return count;
            };
            *place = Some(*waiter);
            from = ticket + 1;
            drop(fits);
            self.remove(ticket);
        }
        to.len()
    }

    /// Makes at most `count` waiters of one address wait for another; returns how many.
    pub fn requeue(&mut self, from: usize, to: usize, count: usize) -> usize {
        let (mut moved, mut next) = (0, 0);
        while moved < count {
            let Some((ticket, _)) = self.of(from, next).next() else { break };
            next = ticket + 1;
            // What one leaves is room for it elsewhere.
            if let Some(waiter) = self.waiting.remove(&(from, ticket)) {
                self.waiting.insert((to, ticket), waiter);
                self.places.insert(ticket, to);
            }
            moved += 1;
        }
        moved
    }
}
