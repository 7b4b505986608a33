//! What an instance knows of the files it watches: items, which of them to look at, and when.
//!
//! Items are in slots, whose indices are what files tell. The queue of those to be looked at is
//! threaded through the slots: nothing of what happens with an event takes memory, or more time when
//! there are more items. Only files that are timed take a logarithm.

use alloc::sync::Weak;
use alloc::vec::Vec;

use hashbrown::HashTable;
use ukerrno::Errno;
use ukfile::{Description, WatchId};
use ukmap::SortedMap;

use super::Interest;

/// No slot.
const NONE: u32 = u32::MAX;

/// A file that is watched, under a descriptor.
pub struct Item {
    pub fd: i32,
    pub file: Weak<Description>,
    pub interest: Interest,
    /// The registration; none while it is being made.
    pub watch: Option<WatchId>,
    /// Told once, and not asked for since.
    pub silent: bool,
    timed: bool,
    /// When it was last taken from the queue.
    round: u64,
    /// When to look without having been told.
    deadline: Option<u64>,
    /// Its neighbours in the queue, if it is in it.
    queued: Option<Links>,
}

#[derive(Clone, Copy)]
struct Links {
    before: u32,
    after: u32,
}

impl Item {
    pub fn new(fd: i32, file: Weak<Description>, interest: Interest, timed: bool) -> Self {
        Self {
            fd,
            file,
            interest,
            watch: None,
            silent: false,
            timed,
            round: 0,
            deadline: None,
            queued: None,
        }
    }

    fn hash(&self) -> u64 {
        hash(self.fd, self.file.as_ptr())
    }
}

/// Applications choose the number, and the allocator the address: no need for a secret.
fn hash(fd: i32, file: *const Description) -> u64 {
    let word = (fd as u64).rotate_left(40) ^ file.addr() as u64;
    // The golden ratio; the table uses the bits at both ends.
    let product = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ product >> 32
}

enum Slot {
    /// With the next free one.
    Free(u32),
    Used(Item),
}

impl Slot {
    const fn item(&self) -> Option<&Item> {
        match self {
            Self::Used(item) => Some(item),
            Self::Free(_) => None,
        }
    }
}

/// One function, so that the table's code is in images once.
fn hash_of(slots: &[Slot]) -> impl Fn(&u32) -> u64 {
    move |&id| slots[id as usize].item().map_or(0, Item::hash)
}

pub struct State {
    slots: Vec<Slot>,
    /// The first free slot.
    free: u32,
    by_file: HashTable<u32>,
    /// The first and the last to be looked at.
    first: u32,
    last: u32,
    round: u64,
    /// Items whose files are timed: each has room among the deadlines.
    timed: usize,
    /// When to look at what.
    deadlines: SortedMap<(u64, u32), ()>,
    /// The deadline until which somebody sleeps, who then looks.
    covered: Option<u64>,
}

impl State {
    pub const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: NONE,
            by_file: HashTable::new(),
            first: NONE,
            last: NONE,
            round: 0,
            timed: 0,
            deadlines: SortedMap::new(),
            covered: None,
        }
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.by_file.len()
    }

    /// How many slots there are, of which some may be free.
    pub fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    pub fn get(&self, id: u32) -> Option<&Item> {
        self.slots.get(id as usize)?.item()
    }

    pub fn get_mut(&mut self, id: u32) -> Option<&mut Item> {
        match self.slots.get_mut(id as usize)? {
            Slot::Used(item) => Some(item),
            Slot::Free(_) => None,
        }
    }

    /// The item of a file under a descriptor: a number that is used again is another item.
    pub fn find(&self, fd: i32, file: *const Description) -> Option<u32> {
        let same = |&id: &u32| {
            let item = self.get(id);
            item.is_some_and(|item| item.fd == fd && core::ptr::addr_eq(item.file.as_ptr(), file))
        };
        self.by_file.find(hash(fd, file), same).copied()
    }

    /// Adds an item, which is not there yet.
    ///
    /// # Errors
    /// `ENOMEM`
    pub fn insert(&mut self, item: Item) -> Result<u32, Errno> {
        let Self { slots, by_file, deadlines, .. } = self;
        if item.timed {
            let more = self.timed + 1 - deadlines.len();
            deadlines.try_reserve(more).map_err(|_| Errno::ENOMEM)?;
        }
        by_file.try_reserve(1, hash_of(slots)).map_err(|_| Errno::ENOMEM)?;
        slots.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.timed += usize::from(item.timed);
        let hash = item.hash();
        let id = match self.slots.get(self.free as usize) {
            Some(&Slot::Free(next)) => {
                let id = core::mem::replace(&mut self.free, next);
                self.slots[id as usize] = Slot::Used(item);
                id
            }
            _ => {
                self.slots.push(Slot::Used(item));
                self.slots.len() as u32 - 1
            }
        };
        self.by_file.insert_unique(hash, id, hash_of(&self.slots));
        Ok(id)
    }

    /// Takes an item out.
    pub fn remove(&mut self, id: u32) -> Option<Item> {
        let item = self.get(id)?;
        let (hash, timed) = (item.hash(), item.timed);
        self.unqueue(id);
        self.set_deadline(id, None);
        if let Ok(entry) = self.by_file.find_entry(hash, |&other| other == id) {
            entry.remove();
        }
        self.timed -= usize::from(timed);
        let next = core::mem::replace(&mut self.free, id);
        match core::mem::replace(&mut self.slots[id as usize], Slot::Free(next)) {
            Slot::Used(item) => Some(item),
            Slot::Free(_) => None,
        }
    }

    /// Whether there is something to be looked at.
    pub fn has_queued(&self) -> bool {
        self.first != NONE
    }

    fn links(&mut self, id: u32) -> Option<&mut Links> {
        self.get_mut(id)?.queued.as_mut()
    }

    fn link(&mut self, id: u32, before: u32, after: u32) {
        match self.links(before) {
            Some(links) => links.after = id,
            None => self.first = id,
        }
        match self.links(after) {
            Some(links) => links.before = id,
            None => self.last = id,
        }
        if let Some(item) = self.get_mut(id) {
            item.queued = Some(Links { before, after });
        }
    }

    fn may_queue(&self, id: u32) -> bool {
        self.get(id).is_some_and(|item| item.queued.is_none() && !item.silent)
    }

    /// Puts an item at the end of the queue; returns whether it was not in it. One that has been told
    /// once stays out.
    pub fn queue(&mut self, id: u32) -> bool {
        let may = self.may_queue(id);
        if may {
            self.link(id, self.last, NONE);
        }
        may
    }

    /// Puts an item back at the front, if it is not in the queue again.
    pub fn queue_first(&mut self, id: u32) {
        if self.may_queue(id) {
            self.link(id, NONE, self.first);
        }
    }

    /// Takes an item out of the queue.
    pub fn unqueue(&mut self, id: u32) {
        let Some(Links { before, after }) = self.get_mut(id).and_then(|item| item.queued.take())
        else {
            return;
        };
        match self.links(before) {
            Some(links) => links.after = after,
            None => self.first = after,
        }
        match self.links(after) {
            Some(links) => links.before = before,
            None => self.last = before,
        }
    }

    /// Begins to go through the queue: [`State::take_next`] takes each item once.
    pub fn begin(&mut self, now: impl FnOnce() -> u64) {
        self.round += 1;
        if self.deadlines.is_empty() {
            return;
        }
        let now = now();
        while let Some(id) = self.due(now) {
            self.set_deadline(id, None);
            self.queue(id);
        }
    }

    /// The first item whose deadline is over.
    fn due(&self, now: u64) -> Option<u32> {
        self.deadlines.keys().next().filter(|&&(at, _)| at <= now).map(|&(_, id)| id)
    }

    /// Takes the first of the queue that was not taken since [`State::begin`].
    pub fn take_next(&mut self) -> Option<u32> {
        let (id, round) = (self.first, self.round);
        if self.get(id)?.round == round {
            return None;
        }
        self.unqueue(id);
        // The look that follows finds the next.
        self.set_deadline(id, None);
        self.get_mut(id)?.round = round;
        Some(id)
    }

    /// Sets when to look at an item without having been told.
    pub fn set_deadline(&mut self, id: u32, deadline: Option<u64>) {
        let Some(item) = self.get_mut(id) else { return };
        let before = core::mem::replace(&mut item.deadline, deadline);
        if let Some(before) = before {
            self.deadlines.remove(&(before, id));
        }
        if let Some(at) = deadline {
            self.deadlines.insert((at, id), ());
        }
    }

    /// The next time to look.
    pub fn earliest(&self) -> Option<u64> {
        self.deadlines.keys().next().map(|&(at, _)| at)
    }

    fn is_uncovered(&self) -> bool {
        self.earliest().is_some_and(|next| self.covered.is_none_or(|covered| next < covered))
    }

    /// Whether somebody has to do something: look, or sleep until the next time to look.
    pub fn has_work(&self) -> bool {
        self.has_queued() || self.is_uncovered()
    }

    /// Until when the one that asks has to sleep, unless another does: of many that wait, one needs
    /// to know.
    pub fn cover(&mut self) -> Option<u64> {
        if !self.is_uncovered() {
            return None;
        }
        self.covered = self.earliest();
        self.covered
    }

    /// Who slept until then does so no longer.
    pub fn uncover(&mut self, deadline: u64) {
        if self.covered == Some(deadline) {
            self.covered = None;
        }
    }

    /// Takes all items out.
    pub fn clear(&mut self) -> impl Iterator<Item = Item> + use<> {
        let all = core::mem::replace(self, Self::new());
        all.slots.into_iter().filter_map(|slot| match slot {
            Slot::Used(item) => Some(item),
            Slot::Free(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use ukfile::{Events, File, OpenFlags};

    use super::*;
    use crate::epoll::Edge;

    struct Nothing;
    impl File for Nothing {}

    /// The same in the plainest way.
    #[derive(Default)]
    struct Model {
        items: BTreeMap<u32, (i32, bool)>,
        queue: Vec<u32>,
        deadlines: BTreeMap<u32, u64>,
    }

    impl Model {
        fn queue(&mut self, id: u32) -> bool {
            let may = self.items.get(&id).is_some_and(|item| !item.1) && !self.queue.contains(&id);
            if may {
                self.queue.push(id);
            }
            may
        }
    }

    proptest! {
        #[test]
        fn does_what_lists_do(steps in prop::collection::vec((0u8..9, 0u32..8, 0u64..30), 0..150)) {
            let file: Arc<Description> = Description::new(Nothing, OpenFlags::empty()).unwrap();
            let interest = Interest { events: Events::IN, edge: Edge::Level, data: 0 };
            let (mut state, mut model) = (State::new(), Model::default());
            for (what, id, time) in steps {
                let fd = time as i32;
                match what {
                    0 | 1 => {
                        let there = model.items.values().any(|item| item.0 == fd);
                        prop_assert_eq!(state.find(fd, Arc::as_ptr(&file)).is_some(), there);
                        if !there {
                            let item = Item::new(fd, Arc::downgrade(&file), interest, true);
                            model.items.insert(state.insert(item).unwrap(), (fd, false));
                        }
                    }
                    2 => {
                        let removed = state.remove(id).map(|item| (item.fd, item.silent));
                        prop_assert_eq!(removed, model.items.remove(&id));
                        model.queue.retain(|&queued| queued != id);
                        model.deadlines.remove(&id);
                    }
                    3 => prop_assert_eq!(state.queue(id), model.queue(id)),
                    4 => {
                        state.queue_first(id);
                        if model.queue(id) {
                            model.queue.rotate_right(1);
                        }
                    }
                    5 => {
                        state.unqueue(id);
                        model.queue.retain(|&queued| queued != id);
                        let silent = time % 2 == 0;
                        state.get_mut(id).into_iter().for_each(|item| item.silent = silent);
                        model.items.get_mut(&id).into_iter().for_each(|item| item.1 = silent);
                    }
                    6 => {
                        let deadline = Some(time).filter(|time| time % 4 > 0);
                        state.set_deadline(id, deadline);
                        model.deadlines.remove(&id);
                        if let Some(at) = deadline.filter(|_| model.items.contains_key(&id)) {
                            model.deadlines.insert(id, at);
                        }
                    }
                    _ => {
                        state.begin(|| time);
                        let mut due: Vec<_> = model.deadlines.iter().map(|(&id, &at)| (at, id)).collect();
                        due.sort();
                        for (at, id) in due.into_iter().filter(|&(at, _)| at <= time) {
                            prop_assert!(at <= time && model.deadlines.remove(&id).is_some());
                            model.queue(id);
                        }
                        let mut seen = Vec::new();
                        while let Some(next) = state.take_next() {
                            prop_assert_eq!(next, model.queue.remove(0));
                            model.deadlines.remove(&next);
                            prop_assert!(!seen.contains(&next));
                            seen.push(next);
                            if what == 8 {
                                prop_assert_eq!(state.queue(next), model.queue(next));
                            }
                        }
                    }
                }
                prop_assert_eq!(state.len(), model.items.len());
                prop_assert_eq!(state.has_queued(), !model.queue.is_empty());
                prop_assert_eq!(state.earliest(), model.deadlines.values().min().copied());
            }
            prop_assert_eq!(state.clear().count(), model.items.len());
            prop_assert_eq!((state.len(), state.slots(), state.has_work()), (0, 0, false));
        }
    }
}
