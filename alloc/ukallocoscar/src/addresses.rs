//! Which shadow addresses are given out: upwards through the whole range before any is used again.
//!
//! Live objects hang in a circle, in the order of their addresses. A cursor moves upwards; the
//! object after it is known. So finding room is a comparison, a new object is always linked in at
//! the cursor, and when the cursor comes around, objects that are still live are stepped over.

use core::ops::Range;

use ukalloc::{PAGE_SIZE, corrupt};

use crate::object::Object;

/// The addresses of one heap.
#[derive(Debug)]
pub struct Addresses {
    /// All of them, whole pages.
    pub range: Range<usize>,
    /// From here on the next object is placed.
    pub cursor: usize,
    /// The live object with the least address from the cursor on; when there is none, that with
    /// the least of all.
    pub next: Option<Object>,
    /// Number of live objects.
    pub live: usize,
    /// How often the cursor came to the end of the range.
    pub rounds: usize,
}

/// Room for an object. It is taken by [`Addresses::insert`]; until then nothing has changed, so
/// that allocations that fail use no addresses up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Address of the first page.
    pub at: usize,
    /// The cursor, after it is taken.
    cursor: usize,
    next: Option<Object>,
    rounds: usize,
}

impl Addresses {
    /// All of `range`, whole pages.
    pub const fn new(range: Range<usize>) -> Self {
        Self { cursor: range.start, range, next: None, live: 0, rounds: 0 }
    }

    /// Room for `len` bytes of pages and a guard page after them, so that the address `lead` bytes
    /// after the start is a multiple of `align` if that is larger than a page.
    ///
    /// # Safety
    /// All objects that were inserted and not removed must be live.
    pub unsafe fn find(&self, lead: usize, len: usize, align: usize) -> Option<Place> {
        let (mut cursor, mut next, mut rounds) = (self.cursor, self.next, self.rounds);
        let needed = len.checked_add(PAGE_SIZE)?;
        loop {
            let ahead = next.filter(|object| object.address() >= cursor);
            // SAFETY: objects in the list are live (the caller's promise).
            let limit = ahead.map_or(self.range.end, |object| unsafe { object.pages().start });
            let at = if align > PAGE_SIZE {
                cursor.checked_add(lead)?.checked_next_multiple_of(align)? - lead
            } else {
                cursor
            };
            if limit.checked_sub(at).is_some_and(|room| room >= needed) {
                return Some(Place { at, cursor: at + needed, next, rounds });
            }
            match ahead {
                Some(object) => {
                    // SAFETY: as above.
                    unsafe {
                        cursor = object.pages().end + PAGE_SIZE;
                        next = Some(object.neighbours().0);
                    }
                }
                None if rounds > self.rounds => return None,
                None => {
                    cursor = self.range.start;
                    rounds += 1;
                }
            }
        }
    }

    /// Takes a place for an object.
    ///
    /// # Safety
    /// The place must be what [`Addresses::find`] returned, with no change in between; the object
    /// must be live, and its pages must start there.
    pub unsafe fn insert(&mut self, place: Place, object: Object) {
        (self.cursor, self.rounds) = (place.cursor, place.rounds);
        let next = place.next.unwrap_or(object);
        self.next = Some(next);
        self.live += 1;
        // SAFETY: objects in the list are live.
        unsafe {
            if next == object {
                object.link(object);
            } else {
                let (_, previous) = next.neighbours();
                previous.link(object);
                object.link(next);
            }
        }
    }

    /// Takes an object out of the list.
    ///
    /// # Safety
    /// The object must be live and in the list.
    pub unsafe fn remove(&mut self, object: Object) {
        // SAFETY: objects in the list are live.
        unsafe {
            let (next, previous) = object.neighbours();
            if next.neighbours().1 != object || previous.neighbours().0 != object {
                corrupt("a block's header was overwritten");
            }
            self.live -= 1;
            if next == object {
                self.next = None;
                return;
            }
            previous.link(next);
            if self.next == Some(object) {
                self.next = Some(next);
            }
        }
    }
}
