//! `select`: sets of descriptors as bits.

use core::fmt::{self, Write};

use fdtab::TABLE;
use syscall_shim::{Meaning, Traced, UserSlice, UserSliceMut, UserWord};
use ukerrno::Errno;
use ukfile::Events;
use ukfile::fallible::with_list;

use crate::poll::{FEW, Wanted, poll};

/// Descriptors in a set at most: those that a table can have.
const MAX: usize = fdtab::MAX_LIMIT;
/// Words of a set for which no memory is taken: `FD_SETSIZE` descriptors.
const FEW_WORDS: usize = 1024 / 64;

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

/// A set of descriptors, with as many as the call's first word says.
pub enum DescriptorSet {}

impl Meaning for DescriptorSet {
    fn trace(word: UserWord<'_>, call: &Traced<'_>, out: &mut dyn Write) -> fmt::Result {
        let count = usize::try_from(call.word(0) as i32).unwrap_or(0).min(MAX);
        let set = match word.slice::<u64>(count.div_ceil(64)) {
            Ok(set) if word.value() != 0 => set,
            _ => return word.trace_address(out),
        };
        out.write_str("[")?;
        let members =
            (0..count).filter(|fd| set.get(fd / 64).is_some_and(|w| w >> (fd % 64) & 1 != 0));
        for (index, fd) in members.enumerate() {
            write!(out, "{}{fd}", if index > 0 { " " } else { "" })?;
        }
        out.write_str("]")
    }
}

/// A word of each of the sets.
type Words = [u64; 3];

/// Waits for descriptors in three sets; leaves in them those that are ready, and returns how many.
pub fn select(
    count: i32,
    sets: [UserWord<'_>; 3],
    deadline_ns: Option<u64>,
) -> Result<usize, Errno> {
    let count = usize::try_from(count).map_err(|_| Errno::EINVAL)?.min(MAX);
    let length = count.div_ceil(64);
    let present = || sets.into_iter().enumerate().filter(|(_, set)| set.value() != 0 && length > 0);
    with_list::<_, FEW_WORDS, _>(length, Words::default, |words| {
        for (kind, set) in present() {
            let memory: UserSlice<'_, u64> = set.slice(length)?;
            words.iter_mut().zip(memory.iter()).for_each(|(words, word)| words[kind] = word);
        }
        if let Some(last) = words.last_mut().filter(|_| count % 64 != 0) {
            last.iter_mut().for_each(|word| *word &= (1 << (count % 64)) - 1);
        }
        let ready = look(words, deadline_ns)?;
        for (kind, set) in present() {
            let mut memory: UserSliceMut<'_, u64> = set.slice_mut(length)?;
            for (at, words) in words.iter().enumerate() {
                memory.set(at, words[kind]);
            }
        }
        Ok(ready)
    })
}

/// Bits that are set in a word.
fn bits(word: u64) -> impl Iterator<Item = usize> {
    (0..64).filter(move |bit| word >> bit & 1 != 0)
}

/// The descriptors of one word that are in any of the sets, as bits.
fn any(words: &Words) -> u64 {
    words.iter().fold(0, |any, word| any | word)
}

/// Waits for the descriptors whose bits are set, and clears those that are not ready.
fn look(words: &mut [Words], deadline_ns: Option<u64>) -> Result<usize, Errno> {
    let files = words.iter().map(|words| any(words).count_ones() as usize).sum();
    with_list::<_, FEW, _>(files, Wanted::nothing, |wanted| {
        let mut places = wanted.iter_mut();
        for (at, words) in words.iter().enumerate() {
            for (bit, place) in bits(any(words)).zip(&mut places) {
                let kinds = words.iter().zip(KINDS).filter(|(word, _)| *word >> bit & 1 != 0);
                let interest = kinds.fold(Events::empty(), |all, (_, kind)| all | kind);
                *place = Wanted::new(Some(TABLE.get((at * 64 + bit) as i32)?), interest);
            }
        }
        poll(wanted, deadline_ns)?;
        let mut found = wanted.iter();
        let mut ready = 0;
        for words in words {
            for (bit, one) in bits(any(words)).zip(&mut found) {
                for (word, kind) in words.iter_mut().zip(FOUND) {
                    if one.found.intersects(kind) {
                        ready += (*word >> bit & 1) as usize;
                    } else {
                        *word &= !(1 << bit);
                    }
                }
            }
        }
        Ok(ready)
    })
}
