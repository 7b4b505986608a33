//! Small sizes: pages cut into equal objects.
//!
//! After Bonwick: "The slab allocator" (USENIX Summer 1994), with what is known of a slab kept apart
//! from its page ([`Page`]), so that objects of a power of two are aligned to it.
//!
//! A free object's first word holds the place of the next free one, hidden behind a pattern made of
//! the object's own address. So a write to freed memory is noticed when the object is next handed
//! out, a double free when it happens, and no damaged link leads out of the page.

use core::ptr::NonNull;

use ukalloc::corrupt;

use crate::page::{List, PAGE, Page, PageRef};

/// Sizes of objects in bytes: steps of 16 up to 128; then of a quarter at most up to 1024, such that
/// little of a page is left over; then what goes three times and twice into a page.
const SIZES: [u16; CLASSES] = [
    16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 288, 336, 400, 448, 512, 576, 672, 816,
    1024, 1360, 2048,
];
/// Number of sizes.
pub const CLASSES: usize = 23;
/// Elements of tables that classes are an index of: a power of two, so that the index is masked
/// and not checked.
const TABLE: usize = 32;
/// The largest size.
pub const MAX_SMALL: usize = 2048;
/// Sizes are told apart in steps of this many bytes.
const STEP: usize = 16;

/// The class for a size, by `(size + 15) / 16`.
const CLASS_OF: [u8; 2 * MAX_SMALL / STEP] = {
    let mut table = [0; 2 * MAX_SMALL / STEP];
    let mut class = 0;
    let mut i = 0;
    while i <= MAX_SMALL / STEP {
        if i * STEP > SIZES[class] as usize {
            class += 1;
        }
        table[i] = class as u8;
        i += 1;
    }
    table
};

/// Objects that enter the list of free ones together: so a new slab is not touched at once.
const BATCH: usize = 16;
/// Arbitrary; makes free objects unlike anything that programs store.
const PATTERN: usize = 0x6b1d_93a7_c58e;

/// The class whose objects have at least `size` bytes, which is at most [`MAX_SMALL`].
#[inline]
pub fn class_of(size: usize) -> usize {
    CLASS_OF[size.div_ceil(STEP) % CLASS_OF.len()] as usize
}

/// Bytes of an object.
#[inline]
pub fn object_size(class: usize) -> usize {
    const OBJECT_SIZE: [u16; TABLE] = {
        let mut table = [0; TABLE];
        let mut class = 0;
        while class < CLASSES {
            table[class] = SIZES[class];
            class += 1;
        }
        table
    };
    OBJECT_SIZE[class % TABLE] as usize
}

/// What the first word of a free object is combined with.
#[inline]
const fn pattern(object: usize) -> usize {
    (object ^ PATTERN) << 16
}

/// The slabs that have, or lately had, free objects, by class.
#[derive(Debug)]
pub struct Slabs {
    lists: [List; TABLE],
}

impl Slabs {
    /// Without slabs.
    pub const fn new() -> Self {
        Self { lists: [const { List::EMPTY }; TABLE] }
    }

    /// An object from a slab with free ones at hand.
    #[inline]
    pub fn take(&mut self, class: usize) -> Option<NonNull<u8>> {
        let page = self.lists[class % TABLE].first()?;
        // SAFETY: pages in these lists are slabs; no other reference is alive.
        unsafe { take_object(page.get()) }
    }

    /// The same, when that gave nothing: prepares more objects, or looks at the next slab.
    #[cold]
    #[inline(never)]
    pub fn take_next(&mut self, class: usize) -> Option<NonNull<u8>> {
        let list = &mut self.lists[class % TABLE];
        while let Some(page) = list.first() {
            // SAFETY: pages in these lists are slabs; one reference at a time.
            unsafe {
                carve(page.get(), class);
                if let Some(object) = take_object(page.get()) {
                    return Some(object);
                }
                list.remove(page);
                page.get().tag = Page::FULL_SLAB | class as u8;
            }
        }
        None
    }

    /// Makes a slab of a page.
    ///
    /// # Safety
    /// `page` must be a run of one page that belongs to the caller.
    pub unsafe fn add(&mut self, page: PageRef, class: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let address = page.get().address;
            page.start(address, Page::LISTED_SLAB | class as u8);
            self.lists[class % TABLE].push(page);
        }
    }

    /// Takes an object back when nothing else has to change; otherwise does nothing and returns
    /// `false`.
    ///
    /// # Safety
    /// `object` must lie in `page`, which must be started, and be unused from now on.
    #[inline]
    pub unsafe fn give_simply(page: PageRef, object: NonNull<u8>) -> bool {
        let address = object.as_ptr() as usize;
        // SAFETY: the caller's promise; an object in a slab has room for a word and is aligned.
        unsafe {
            let slab = page.get();
            let alone = slab.next.is_none() && slab.previous.is_none();
            let simple = slab.tag & Page::KIND == Page::LISTED_SLAB
                && (slab.count > 1 || slab.count == 1 && alone)
                && address.is_multiple_of(STEP)
                && object.cast::<usize>().read() ^ pattern(address) > u16::MAX as usize;
            if simple {
                put_object(slab, address);
            }
            simple
        }
    }

    /// Takes an object back; returns a slab that should be given away, if any: an empty one is only
    /// kept as long as it is alone in its list.
    ///
    /// # Safety
    /// `page` must be a slab, and `object` one of its objects, unused from now on.
    pub unsafe fn give(&mut self, page: PageRef, object: NonNull<u8>) -> Option<PageRef> {
        let address = object.as_ptr() as usize;
        // SAFETY: the caller's promise; one reference at a time.
        unsafe {
            check_in_use(page.get(), address);
            put_object(page.get(), address);
            let class = page.get().index();
            let list = &mut self.lists[class % TABLE];
            if page.get().tag & Page::KIND == Page::FULL_SLAB {
                page.get().tag = Page::LISTED_SLAB | class as u8;
                let old = list.first();
                list.push(page);
                return old.filter(|old| old.get().count == 0);
            }
            let slab = page.get();
            let alone = slab.next.is_none() && slab.previous.is_none();
            (slab.count == 0 && !alone).then_some(page)
        }
    }

    /// Takes an empty slab out of its list; its entry is a run again.
    ///
    /// # Safety
    /// `page` must be in its list, without objects in use.
    pub unsafe fn remove(&mut self, page: PageRef) {
        // SAFETY: the caller's promise; a slab's page has the address of its entry.
        unsafe {
            self.lists[page.get().index() % TABLE].remove(page);
            let address = page.get().address;
            page.start(address, Page::RUN).count = 1;
        }
    }

    /// An empty slab: each list has one at most, and then nothing else.
    pub fn find_empty(&self) -> Option<PageRef> {
        // SAFETY: pages in these lists are slabs; one reference at a time.
        self.lists.iter().filter_map(List::first).find(|page| unsafe { page.get().count } == 0)
    }

    /// Bytes in free objects; an empty slab is free as a whole.
    pub fn available(&self) -> usize {
        let slabs = self
            .lists
            .iter()
            .enumerate()
            .flat_map(|(class, list)| list.iter().map(move |page| (object_size(class), page)));
        slabs
            .map(|(size, page)| {
                // SAFETY: pages in these lists are slabs; one reference at a time.
                match unsafe { page.get().count } as usize {
                    0 => PAGE,
                    used => (PAGE / size - used) * size,
                }
            })
            .sum()
    }

    /// The largest object that is free.
    pub fn largest(&self) -> usize {
        let has_free = |class: usize| {
            self.lists[class].iter().any(|page| {
                // SAFETY: pages in these lists are slabs; one reference at a time.
                (unsafe { page.get().count } as usize) < PAGE / object_size(class)
            })
        };
        (0..CLASSES).rev().find(|class| has_free(*class)).map_or(0, object_size)
    }
}

/// # Safety
/// `slab` must be one.
#[inline]
unsafe fn take_object(slab: &mut Page) -> Option<NonNull<u8>> {
    if slab.free == Page::NO_OBJECT {
        return None;
    }
    let address = slab.address + slab.free as usize;
    let object = address as *mut usize;
    // SAFETY: the list holds free objects of this page.
    unsafe {
        let next = object.read() ^ pattern(address);
        if next > u16::MAX as usize {
            corrupt("a freed block was written to");
        }
        slab.free = next as u16;
        slab.count += 1;
        // So that it does not look free.
        object.write(0);
    }
    NonNull::new(object.cast())
}

/// # Safety
/// `slab` must be one, and `object` one of its objects, unused from now on.
#[inline]
unsafe fn put_object(slab: &mut Page, object: usize) {
    // SAFETY: objects have room for a word, and are aligned for it.
    unsafe { (object as *mut usize).write(pattern(object) | slab.free as usize) };
    slab.free = (object % PAGE) as u16;
    slab.count -= 1;
}

/// Ends the image unless an address can be that of an object in use.
///
/// # Safety
/// `slab` must be one.
unsafe fn check_in_use(slab: &Page, object: usize) {
    let twice = || corrupt("a block was freed twice, or its address is wrong");
    if !object.is_multiple_of(STEP) || slab.count == 0 {
        twice();
    }
    // SAFETY: an aligned address in the page of the slab, as those in the list.
    let word = |object: usize| unsafe { (object as *const usize).read() } ^ pattern(object);
    if word(object) > u16::MAX as usize {
        return;
    }
    // It looks free, or holds what a free object held.
    let mut next = slab.free;
    // A damaged list could be a circle.
    for _ in 0..PAGE / STEP {
        if next == Page::NO_OBJECT {
            return;
        }
        let address = slab.address + (next as usize % PAGE / STEP * STEP);
        if address == object {
            twice();
        }
        next = word(address) as u16;
    }
    corrupt("a freed block was written to");
}

/// Puts the next objects that were never free into a slab's list.
///
/// # Safety
/// `slab` must be one of that class.
unsafe fn carve(slab: &mut Page, class: usize) {
    let size = object_size(class);
    let first = slab.carved as usize * BATCH;
    let end = (first + BATCH).min(PAGE / size);
    // The last one first, so that they are handed out in the order of their addresses.
    for index in (first..end).rev() {
        let address = slab.address + index * size;
        // SAFETY: the object lies in the page and was never handed out.
        unsafe { (address as *mut usize).write(pattern(address) | slab.free as usize) };
        slab.free = (index * size) as u16;
    }
    if first < end {
        slab.carved += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_the_least_class() {
        for size in 0..=MAX_SMALL {
            let class = class_of(size);
            assert!(object_size(class) >= size);
            assert!(class == 0 || object_size(class - 1) < size, "{size}");
        }
    }

    #[test]
    fn sizes_fill_pages() {
        for pair in SIZES.windows(2) {
            assert!(pair[0] < pair[1]);
        }
        for size in SIZES.map(usize::from) {
            assert!(size.is_multiple_of(STEP));
            assert!(PAGE % size <= PAGE / 32, "{size} leaves {} bytes", PAGE % size);
            assert!((PAGE / size).div_ceil(BATCH) <= usize::from(u8::MAX));
        }
    }
}
