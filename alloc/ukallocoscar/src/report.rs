//! What an address was, for crash reports.

use core::fmt::{self, Write};

use ukplat::memory::PAGE_SIZE;

use crate::object::Pages;
use crate::state::{Freed, State};

/// Writes what an address of a heap of this allocator was, as far as it is known; nothing for other
/// addresses. The allocator sets it up for crash reports: call it only when the image is about to
/// end, because it reads the heap's state as it is.
///
/// # Errors
/// Those of `out`.
pub fn explain(address: usize, out: &mut dyn Write) -> fmt::Result {
    // SAFETY: an access faulted: nobody uses the heap any more.
    let Some(state) = (unsafe { State::of_address(address) }) else { return Ok(()) };
    if let Some(payload) = state.examined()
        && (payload - crate::HEADER..payload).contains(&address)
    {
        return match state.freed().find(|freed| freed.payload == payload) {
            Some(Freed { size, .. }) => write!(out, "double free of a {size}-byte block"),
            None => out.write_str("double free, or not the start of a block"),
        };
    }
    // The page after a block is its guard.
    let near = |payload: usize, size: usize| {
        let pages = Pages::of(payload, size);
        (pages.start..pages.end + PAGE_SIZE).contains(&address)
    };
    if let Some(Freed { payload, size }) = state.freed().find(|f| near(f.payload, f.size)) {
        return if address < payload {
            write!(out, "access before the start of a freed {size}-byte block")
        } else if address < payload + size {
            let offset = address - payload;
            write!(out, "use after free of a {size}-byte block, at offset {offset}")
        } else {
            write!(out, "access past the end of a freed {size}-byte block")
        };
    }
    let mut next = state.addresses.next;
    for _ in 0..state.addresses.live {
        let Some(object) = next else { break };
        // SAFETY: objects in the list are live. Should it be damaged, this is a crash while
        // reporting one, which ends the image as it should.
        let (size, after) = unsafe { (object.size(), object.neighbours().0) };
        let payload = object.address();
        if near(payload, size) && address >= payload {
            return match address.checked_sub(payload + size) {
                Some(distance) => write!(
                    out,
                    "access past the end of a {size}-byte block, {distance} bytes after it"
                ),
                None => write!(out, "inside a {size}-byte block that is in use"),
            };
        }
        next = Some(after);
    }
    if state.addresses.rounds > 0 || address < state.addresses.cursor {
        out.write_str("use of a block that was freed long ago")
    } else {
        out.write_str("an address of the heap that no block has had")
    }
}
