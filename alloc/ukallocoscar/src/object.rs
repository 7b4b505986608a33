//! One block: the header before its payload and the mark behind it.
//!
//! ```text
//!   block (of TLSF)        payload                 payload + size
//!   ├──────────────────────┼───────────────────────┼──────────────┤
//!   │ header, 32 bytes     │ the caller's          │ canary, ≥ 8  │
//! ```
//! The header is reached through the shadow: a freed block has none any more, and reading it
//! faults. The canary may lie on a page that the shadow has not: it is reached in canonical memory.

use core::ptr::NonNull;

use ukalloc::{PAGE_SIZE, corrupt};

/// Bytes before the payload.
pub const HEADER: usize = size_of::<Header>();
/// Bytes after the payload that are watched, at least.
pub const CANARY: usize = 8;
/// Addresses and sizes have this many bits; above them stands a part of the check.
const BITS: u32 = 48;
const MASK: u64 = (1 << BITS) - 1;

#[repr(C)]
struct Header {
    /// Address of the block in canonical memory; above it the upper half of the check. These two
    /// come first: who writes on past the end of the block before destroys them first.
    block: u64,
    /// Size of the payload; above it the lower half of the check.
    size: u64,
    /// The live block with the next higher addresses, in a circle.
    next: Option<Object>,
    /// The one with the next lower.
    previous: Option<Object>,
}

/// Whole pages from `start` to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pages {
    pub start: usize,
    pub end: usize,
}

impl Pages {
    /// The pages of a header and a payload of `size` bytes at `payload`. They are the same for a
    /// payload's canonical and its shadow address, but for where they start.
    pub const fn of(payload: usize, size: usize) -> Self {
        Self {
            start: (payload - HEADER) & !(PAGE_SIZE - 1),
            end: (payload + size).next_multiple_of(PAGE_SIZE),
        }
    }

    /// Length in bytes.
    pub const fn len(self) -> usize {
        self.end - self.start
    }
}

/// A live block, by the shadow address of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object(NonNull<u8>);

/// 32 bits that depend on all of these. They tell accidents, not attacks.
fn check(payload: usize, block: u64, size: u64, secret: u64) -> u64 {
    // Multiplication and shift spread every bit over the upper half ("MurmurHash3" finaliser).
    let mut x = secret ^ payload as u64 ^ block.rotate_left(20) ^ size.rotate_left(40);
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x >> 32
}

// SAFETY (all functions): an object is made by `create` or checked by `examine`, and its shadow
// is mapped until the allocator removes it; only the allocator uses the header.
impl Object {
    /// Writes the header of a block whose payload is seen at `payload`.
    ///
    /// # Safety
    /// The shadow must be mapped to the block, which must be a live one of TLSF.
    pub unsafe fn create(payload: usize, block: usize, size: usize, secret: u64) -> Self {
        // SAFETY: the payload of a mapped shadow is not null.
        let this = unsafe { Self(NonNull::new_unchecked(payload as *mut u8)) };
        let header = Header { block: block as u64, size: 0, next: None, previous: None };
        // SAFETY: the header stands before the payload, in the same shadow.
        unsafe {
            this.header().write(header);
            this.resized(size, secret)
        }
    }

    /// The object at `payload` if a header that fits stands before it.
    ///
    /// # Safety
    /// The address must be a shadow address. If it is none of a live block the access may fault.
    pub unsafe fn examine(payload: NonNull<u8>, secret: u64) -> Option<Self> {
        let this = Self(payload);
        if !(payload.as_ptr() as usize).is_multiple_of(ukalloc::MIN_ALIGN) {
            return None;
        }
        // SAFETY: the caller's promise. Volatile: it happens here, where a fault is expected.
        let (block, size) = unsafe {
            let header = this.header().as_ptr();
            (
                (&raw const (*header).block).read_volatile(),
                (&raw const (*header).size).read_volatile(),
            )
        };
        let expected = check(payload.as_ptr() as usize, block & MASK, size & MASK, secret);
        let found = block >> BITS << 16 | size >> BITS;
        (found == expected).then_some(this)
    }

    fn header(self) -> NonNull<Header> {
        // SAFETY: the header stands before the payload, in the same shadow.
        unsafe { self.0.cast::<Header>().sub(1) }
    }

    /// Shadow address of the payload.
    pub fn payload(self) -> NonNull<u8> {
        self.0
    }

    /// Shadow address of the payload.
    pub fn address(self) -> usize {
        self.0.as_ptr() as usize
    }

    /// Bytes of the payload.
    ///
    /// # Safety
    /// The object must be live, as for all functions below.
    pub unsafe fn size(self) -> usize {
        // SAFETY: a live object has a header.
        unsafe { (self.header().as_ref().size & MASK) as usize }
    }

    /// The block in canonical memory.
    ///
    /// # Safety
    /// See [`Object::size`].
    pub unsafe fn block(self) -> NonNull<u8> {
        // SAFETY: a live object has a header, with the address that `create` got.
        unsafe { NonNull::new_unchecked((self.header().as_ref().block & MASK) as *mut u8) }
    }

    /// The shadow's pages.
    ///
    /// # Safety
    /// See [`Object::size`].
    pub unsafe fn pages(self) -> Pages {
        // SAFETY: the caller's promise.
        Pages::of(self.address(), unsafe { self.size() })
    }

    /// Changes the size in the header.
    ///
    /// # Safety
    /// See [`Object::size`]; the block must have the room.
    pub unsafe fn resized(self, size: usize, secret: u64) -> Self {
        // SAFETY: a live object has a header.
        let header = unsafe { self.header().as_mut() };
        let block = header.block & MASK;
        let check = check(self.address(), block, size as u64, secret);
        header.block = block | check >> 16 << BITS;
        header.size = size as u64 | (check & 0xffff) << BITS;
        self
    }

    /// The neighbours by address: next and previous.
    ///
    /// # Safety
    /// See [`Object::size`]; it must be in a list.
    pub unsafe fn neighbours(self) -> (Self, Self) {
        // SAFETY: a live object has a header.
        let header = unsafe { self.header().as_ref() };
        match (header.next, header.previous) {
            (Some(next), Some(previous)) => (next, previous),
            _ => corrupt("a block's header was overwritten"),
        }
    }

    /// Makes `next` follow this object.
    ///
    /// # Safety
    /// Both must be live.
    pub unsafe fn link(self, next: Self) {
        // SAFETY: live objects have headers. One reference at a time: both may be the same object.
        unsafe {
            self.header().as_mut().next = Some(next);
            next.header().as_mut().previous = Some(self);
        }
    }

    /// Where the canary is in canonical memory, for a block in which TLSF says `usable` bytes are.
    ///
    /// # Safety
    /// See [`Object::size`].
    unsafe fn canary(self, usable: usize) -> core::ops::Range<usize> {
        // SAFETY: the caller's promise.
        let (block, size) = unsafe { (self.block().as_ptr() as usize, self.size()) };
        block + HEADER + size..block + usable
    }

    /// The byte that belongs at an address: never 0, never ASCII, which are what is usually
    /// written past an end.
    fn canary_byte(self, at: usize, secret: u64) -> u8 {
        let pattern = check(self.address(), 0, 0, secret);
        (pattern >> (at % 4 * 8)) as u8 | 0x80
    }

    /// Marks the bytes after the payload.
    ///
    /// # Safety
    /// See [`Object::size`]; `usable` must be TLSF's size of the block.
    pub unsafe fn write_canary(self, usable: usize, secret: u64) {
        // SAFETY: the caller's promise.
        for at in unsafe { self.canary(usable) } {
            // SAFETY: the range is the end of the block.
            unsafe { (at as *mut u8).write_volatile(self.canary_byte(at, secret)) };
        }
    }

    /// Ends the image when a byte after the payload is not as it was marked.
    ///
    /// # Safety
    /// See [`Object::write_canary`].
    pub unsafe fn check_canary(self, usable: usize, secret: u64) {
        // SAFETY: the caller's promise.
        for at in unsafe { self.canary(usable) } {
            // SAFETY: the range is the end of the block. Volatile: the writes that matter went
            // through another address.
            if unsafe { (at as *const u8).read_volatile() } != self.canary_byte(at, secret) {
                // SAFETY: the caller's promise.
                let size = unsafe { self.size() };
                corrupt(format_args!("written past the end of a {size}-byte block"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_header_and_payload() {
        let p = |start, end| Pages { start: start * PAGE_SIZE, end: end * PAGE_SIZE };
        assert_eq!(Pages::of(PAGE_SIZE + 32, 100), p(1, 2));
        assert_eq!(Pages::of(PAGE_SIZE + 16, 100), p(0, 2), "the header is on the page before");
        assert_eq!(Pages::of(2 * PAGE_SIZE, PAGE_SIZE), p(1, 3));
        assert_eq!(Pages::of(2 * PAGE_SIZE, PAGE_SIZE + 1), p(1, 4));
    }

    #[test]
    fn every_part_of_a_header_is_checked() {
        let good = check(0x1000, 0x2000, 100, 1);
        assert!(good < 1 << 32);
        for (payload, block, size, secret) in [
            (0x1010, 0x2000, 100, 1),
            (0x1000, 0x2010, 100, 1),
            (0x1000, 0x2000, 101, 1),
            (0x1000, 0x2000, 100, 2),
        ] {
            assert_ne!(check(payload, block, size, secret), good);
        }
    }
}
