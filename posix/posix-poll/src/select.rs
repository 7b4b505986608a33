//! `select`: sets of descriptors as bits.

use alloc::vec::Vec;

use fdtab::TABLE;
use syscall_shim::{UserSlice, UserSliceMut, UserWord};
use ukerrno::Errno;
use ukfile::Events;

use crate::poll::{Wanted, poll};

/// Descriptors in a set at most: those that a table can have.
const MAX: usize = fdtab::MAX_LIMIT;

const READ: Events = Events::READABLE.union(Events::READ_BAND);
const WRITE: Events = Events::WRITABLE.union(Events::WRITE_BAND);

/// The three sets: to read, to write, and exceptions.
const KINDS: [Events; 3] = [READ, WRITE, Events::PRIORITY];
/// What makes a descriptor of a set ready (`fs/select.c` of Linux).
const FOUND: [Events; 3] = [
    READ.union(Events::HANG_UP).union(Events::ERROR),
    WRITE.union(Events::ERROR),
    Events::PRIORITY,
];

/// Waits for descriptors in three sets; leaves in them those that are ready, and returns how many.
pub fn select(
    count: i32,
    sets: [UserWord<'_>; 3],
    deadline_ns: Option<u64>,
) -> Result<usize, Errno> {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?.min(MAX);
    let words = count.div_ceil(64);
    let present = |set: UserWord<'_>| set.value() != 0 && words > 0;
    let mut asked: [Vec<u64>; 3] = [const { Vec::new() }; 3];
    for (set, copy) in sets.into_iter().zip(&mut asked) {
        copy.try_reserve_exact(words).map_err(|_| Errno::ENOMEM)?;
        if present(set) {
            let memory: UserSlice<'_, u64> = set.slice(words)?;
            copy.extend(memory.iter());
        } else {
            copy.resize(words, 0);
        }
    }
    let mut wanted = Vec::new();
    let mut numbers = Vec::new();
    for fd in 0..count {
        let is_in = |set: &Vec<u64>| set[fd / 64] >> (fd % 64) & 1 != 0;
        let mut interest = Events::empty();
        for (set, kind) in asked.iter().zip(KINDS) {
            if is_in(set) {
                interest |= kind;
            }
        }
        if !interest.is_empty() {
            let file = TABLE.get(fd as i32)?;
            ukfile::fallible::push(&mut wanted, Wanted::new(Some(file), interest))?;
            ukfile::fallible::push(&mut numbers, fd)?;
        }
    }
    poll(&mut wanted, deadline_ns)?;
    let mut ready = 0;
    for (index, set) in sets.into_iter().enumerate().filter(|(_, set)| present(*set)) {
        let mut memory: UserSliceMut<'_, u64> = set.slice_mut(words)?;
        let mut bits = Vec::new();
        bits.try_reserve_exact(words).map_err(|_| Errno::ENOMEM)?;
        bits.resize(words, 0u64);
        for (one, fd) in wanted.iter().zip(&numbers) {
            let bit = 1 << (fd % 64);
            if one.found.intersects(FOUND[index]) && asked[index][fd / 64] & bit != 0 {
                bits[fd / 64] |= bit;
                ready += 1;
            }
        }
        for (at, word) in bits.into_iter().enumerate() {
            memory.set(at, word);
        }
    }
    Ok(ready)
}
