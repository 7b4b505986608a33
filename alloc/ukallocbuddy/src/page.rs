//! What the allocator knows of a page: 32 bytes in a table apart from the pages.
//!
//! The pages of a piece are divided into *nodes*: aligned blocks of a power of two pages, free or
//! in use. Only the first page of a node has a valid entry; all others may hold garbage, which is
//! why memory needs no preparation. The pages of one allocation (a *run*) may be several nodes.

use core::ptr::NonNull;

/// Bytes in a page, as a power of two.
pub const PAGE_BITS: u32 = 12;
/// Bytes in a page.
pub const PAGE: usize = 1 << PAGE_BITS;

/// The entry of a page.
#[derive(Debug)]
#[repr(C)]
pub struct Page {
    /// List of free nodes of an order, of slabs of a class, or of spare pages.
    pub next: Option<PageRef>,
    /// The same, backwards.
    pub previous: Option<PageRef>,
    /// Address of the page.
    pub address: usize,
    /// Of a run, spare or in use: its pages. Of a slab: its objects in use.
    pub count: u32,
    /// Of a slab: offset in bytes of the first free object, or [`Page::NO_OBJECT`].
    pub free: u16,
    /// Of a slab: batches of objects that were in its list of free objects at some time.
    pub carved: u8,
    /// What the page is the start of.
    pub tag: u8,
}

const _: () = assert!(size_of::<Page>() == 32);

impl Page {
    /// Not the start of a node in its own right: the middle of a run, or what was joined.
    pub const INSIDE: u8 = 0;
    /// The start of a run in use.
    pub const RUN: u8 = 1;
    /// The start of a free run that is kept for the next user of as many pages.
    pub const SPARE: u8 = 2;
    /// Plus the order: the start of a free node.
    pub const FREE: u8 = 0x40;
    /// Plus the class: a slab without free objects, in no list.
    pub const FULL_SLAB: u8 = 0x80;
    /// Plus the class: a slab in the list of its class.
    pub const LISTED_SLAB: u8 = 0xa0;
    /// The bits of a tag that say what it is; the others are order or class.
    pub const KIND: u8 = 0xe0;

    /// The end of the list of free objects.
    pub const NO_OBJECT: u16 = u16::MAX;

    /// Order or class.
    #[inline]
    pub const fn index(&self) -> usize {
        (self.tag & !Self::KIND) as usize
    }

    /// Ends the image unless a block is the run that starts here.
    #[inline]
    pub fn check_run(&self, block: NonNull<u8>) {
        if self.tag != Self::RUN || self.address != block.as_ptr() as usize {
            ukalloc::corrupt("a block was freed twice, or its address is wrong");
        }
    }

    /// Number of the page: its address in pages.
    #[inline]
    pub const fn number(&self) -> usize {
        self.address >> PAGE_BITS
    }
}

/// A page's entry in the table of its piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRef(NonNull<Page>);

impl PageRef {
    /// The entry of a page that lies `pages` further.
    ///
    /// # Safety
    /// That page must belong to the same piece.
    #[inline]
    pub const unsafe fn add(self, pages: usize) -> Self {
        // SAFETY: the entries of a piece are one array (the caller's promise).
        Self(unsafe { self.0.add(pages) })
    }

    /// An entry of a table.
    ///
    /// # Safety
    /// The table must not be null, and have that entry.
    #[inline]
    pub const unsafe fn in_table(table: *mut Page, index: usize) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { NonNull::new_unchecked(table.add(index)) })
    }

    /// Makes this the entry of the page at `address`, with a tag.
    ///
    /// # Safety
    /// `address` must be the page that the entry belongs to; no reference to it may be alive.
    #[inline]
    pub unsafe fn start<'a>(self, address: usize, tag: u8) -> &'a mut Page {
        // SAFETY: entries lie in memory of the allocator; whatever was there is overwritten before
        // a reference is made.
        unsafe {
            self.0.write(Page {
                next: None,
                previous: None,
                address,
                count: 0,
                free: Page::NO_OBJECT,
                carved: 0,
                tag,
            });
            self.get()
        }
    }

    /// The entry.
    ///
    /// # Safety
    /// It must have been started, or only be asked for its tag where the first page of a node
    /// is; no other reference to it may be alive.
    #[inline]
    pub unsafe fn get<'a>(self) -> &'a mut Page {
        // SAFETY: entries lie in memory of the allocator; the caller promises the rest.
        unsafe { &mut *self.0.as_ptr() }
    }
}

/// A doubly linked list of pages, by its first one.
#[derive(Debug)]
pub struct List(Option<PageRef>);

impl List {
    /// Without pages.
    pub const EMPTY: Self = Self(None);

    /// The first page.
    #[inline]
    pub const fn first(&self) -> Option<PageRef> {
        self.0
    }

    /// Puts a page in front.
    ///
    /// # Safety
    /// `page` must be started and in no list; no reference to a page may be alive.
    #[inline]
    pub unsafe fn push(&mut self, page: PageRef) {
        // SAFETY: pages in lists are started; one reference at a time.
        unsafe {
            if let Some(old) = self.0 {
                old.get().previous = Some(page);
            }
            let entry = page.get();
            entry.next = self.0;
            entry.previous = None;
        }
        self.0 = Some(page);
    }

    /// Takes a page out.
    ///
    /// # Safety
    /// `page` must be in this list; no reference to a page may be alive.
    #[inline]
    pub unsafe fn remove(&mut self, page: PageRef) {
        // SAFETY: links lead to pages of the same list; one reference at a time.
        unsafe {
            let (next, previous) = {
                let entry = page.get();
                (entry.next, entry.previous)
            };
            if let Some(next) = next {
                next.get().previous = previous;
            }
            match previous {
                Some(previous) => previous.get().next = next,
                None => self.0 = next,
            }
        }
    }

    /// Puts a page in front of a list that only ever loses its first page: backward links are not
    /// kept.
    ///
    /// # Safety
    /// As [`List::push`].
    #[inline]
    pub unsafe fn push_single(&mut self, page: PageRef) {
        // SAFETY: the caller's promise.
        unsafe { page.get().next = self.0 };
        self.0 = Some(page);
    }

    /// Takes the first page of such a list.
    ///
    /// # Safety
    /// No reference to a page may be alive.
    #[inline]
    pub unsafe fn pop_single(&mut self) -> Option<PageRef> {
        let page = self.0?;
        // SAFETY: pages in lists are started.
        self.0 = unsafe { page.get().next };
        Some(page)
    }

    /// All pages.
    pub fn iter(&self) -> impl Iterator<Item = PageRef> {
        // SAFETY: pages in lists are started; the link is copied out at once.
        core::iter::successors(self.0, |page| unsafe { page.get().next })
    }
}
