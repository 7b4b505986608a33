//! Runs of pages from binary buddies.
//!
//! After Knowlton: "A fast storage allocator" (CACM 8, 1965), and Knuth: The Art of Computer
//! Programming, volume 1, section 2.5. A node of order `k` is `2^k` pages at a multiple of its size
//! (in the address space, not in the piece: that is what makes alignment free of charge); halves of
//! the same node are buddies, and two free buddies become their node again.
//!
//! Beyond the textbook:
//! - A run need not be a power of two: what is left of its node goes back at once, as smaller nodes.
//!   Given back, a run is taken as the nodes that fill it.
//! - A piece of memory is seen as the largest nodes that fill it. They become known one after the
//!   other, when the known ones do not suffice ([`Piece::fresh`]); until then nothing of them is
//!   written, so that adding memory costs the same for any size.

use core::ptr::null_mut;

use ukalloc::{AddMemoryError, corrupt};

use crate::page::{List, PAGE, PAGE_BITS, Page, PageRef};

/// Pieces of memory at most.
pub const MAX_PIECES: usize = 16;
/// Orders of nodes.
const ORDERS: usize = 32;
/// Pages in a piece at most; their entries count them in 32 bits.
const MAX_PAGES: usize = 1 << 31;
/// Pages in a spare run at most.
const MAX_SPARE_RUN: usize = 32;
/// Pages in all spare runs at most: a 32nd of memory within these bounds.
///
/// So slabs and runs come and go without splitting and joining nodes, much as in Barkley and Lee:
/// "A lazy buddy system bounded by two coalescing delays per class" (SOSP 1989). An allocation that
/// would fail otherwise gets them first.
const SPARE_PAGES: core::ops::RangeInclusive<usize> = 8..=1024;

/// A piece of memory: a table of entries, then the pages.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Number of the first page.
    first: usize,
    /// Pages whose nodes are known, from the first one.
    known: usize,
    /// All pages.
    count: usize,
    /// Entry of the first page; null as long as there is no piece.
    table: *mut Page,
}

impl Piece {
    const NONE: Self = Self { first: 0, known: 0, count: 0, table: null_mut() };

    /// The entry of a page.
    #[inline]
    fn known(&self, number: usize) -> Option<PageRef> {
        let index = number.wrapping_sub(self.first);
        // SAFETY: a piece with known pages has a table, with an entry for each page.
        (index < self.known).then(|| unsafe { PageRef::in_table(self.table, index) })
    }

    /// First page and order of the nodes that are not known yet.
    fn fresh(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        nodes(self.first + self.known, self.count - self.known)
    }
}

/// The largest aligned powers of two that fill `count` pages from `start`: first page and order.
#[inline]
fn nodes(start: usize, count: usize) -> impl Iterator<Item = (usize, usize)> {
    let (mut start, mut left) = (start, count);
    core::iter::from_fn(move || {
        let order = left.checked_ilog2()?.min(start.trailing_zeros()) as usize;
        let node = start;
        start += 1 << order;
        left -= 1 << order;
        Some((node, order))
    })
}

#[cold]
#[inline(never)]
fn piece_among(pieces: &[Piece], number: usize) -> Option<&Piece> {
    pieces.iter().find(|piece| piece.known(number).is_some())
}

/// All pages.
#[derive(Debug)]
pub struct Pages {
    /// Bit `k`: the list of order `k` is not empty.
    nonempty: u32,
    /// Free nodes by order.
    lists: [List; ORDERS],
    /// Free runs kept as they are, by their pages.
    spare: [List; MAX_SPARE_RUN + 1],
    spare_pages: usize,
    max_spare: usize,
    pieces: [Piece; MAX_PIECES],
    /// Free pages, with those of nodes that are not known yet, without the spare ones.
    free: usize,
    total_bytes: usize,
}

impl Pages {
    /// Without memory.
    pub const fn new() -> Self {
        Self {
            nonempty: 0,
            lists: [const { List::EMPTY }; ORDERS],
            spare: [const { List::EMPTY }; MAX_SPARE_RUN + 1],
            spare_pages: 0,
            max_spare: 0,
            pieces: [Piece::NONE; MAX_PIECES],
            free: 0,
            total_bytes: 0,
        }
    }

    /// Takes memory into use; writes nothing there.
    pub fn add(&mut self, base: usize, len: usize) -> Result<(), AddMemoryError> {
        let start = base.checked_next_multiple_of(align_of::<Page>());
        let start = start.ok_or(AddMemoryError::TooSmall)?;
        let end = base.saturating_add(len) & !(PAGE - 1);
        let count = end.saturating_sub(start) / (PAGE + size_of::<Page>());
        if count == 0 || start == 0 {
            return Err(AddMemoryError::TooSmall);
        }
        if count > MAX_PAGES {
            return Err(AddMemoryError::TooLarge);
        }
        let slot = self.pieces.iter_mut().find(|p| p.count == 0).ok_or(AddMemoryError::TooMany)?;
        let first = (end >> PAGE_BITS) - count;
        *slot = Piece { first, known: 0, count, table: start as *mut Page };
        self.free += count;
        self.total_bytes += len;
        let share = self.total_bytes / PAGE / 32;
        self.max_spare = share.clamp(*SPARE_PAGES.start(), *SPARE_PAGES.end());
        Ok(())
    }

    /// The piece of a page that is known.
    #[inline]
    fn piece(&self, number: usize) -> Option<&Piece> {
        // Most heaps have one piece.
        let [first, others @ ..] = &self.pieces;
        if first.known(number).is_some() { Some(first) } else { piece_among(others, number) }
    }

    /// The entry of the page with an address, when it is a known one of the first piece.
    #[inline]
    pub fn page_in_first_piece(&self, address: usize) -> Option<PageRef> {
        self.pieces[0].known(address >> PAGE_BITS)
    }

    /// The entry of the page with an address, which must be one that is known.
    #[inline]
    pub fn page_of(&self, address: usize) -> PageRef {
        let number = address >> PAGE_BITS;
        match self.piece(number).and_then(|piece| piece.known(number)) {
            Some(page) => page,
            None => corrupt("a block that is not of this heap was freed"),
        }
    }

    /// Puts a free node into its list.
    ///
    /// # Safety
    /// `page` must be the entry of `number`, the node free and in no list.
    #[inline]
    unsafe fn insert(&mut self, page: PageRef, number: usize, order: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            page.start(number << PAGE_BITS, Page::FREE | order as u8);
            self.lists[order % ORDERS].push(page);
        }
        self.nonempty |= 1 << order;
    }

    /// Takes a free node out of its list.
    ///
    /// # Safety
    /// The node must be in the list of that order.
    #[inline]
    unsafe fn remove(&mut self, page: PageRef, order: usize) {
        let list = &mut self.lists[order % ORDERS];
        // SAFETY: the caller's promise.
        unsafe { list.remove(page) };
        if list.first().is_none() {
            self.nonempty &= !(1 << order);
        }
    }

    /// Makes fresh nodes known up to one of at least that order, which is returned in no list.
    #[cold]
    fn next_fresh(&mut self, wanted: usize) -> Option<(PageRef, usize, usize)> {
        let enough = |p: &Piece| p.fresh().any(|(_, order)| order >= wanted);
        let index = self.pieces.iter().position(enough)?;
        let piece = self.pieces[index];
        for (number, order) in piece.fresh() {
            // SAFETY: the table has an entry for each page of the piece.
            let page = unsafe { PageRef::in_table(piece.table, number - piece.first) };
            self.pieces[index].known += 1 << order;
            if order >= wanted {
                return Some((page, number, order));
            }
            // SAFETY: the node was never used; it belongs to the allocator.
            unsafe { self.insert(page, number, order) };
        }
        None
    }

    /// A run of `count` pages, which are not 0, at a multiple of `2^align` pages; its entry is a
    /// [`Page::RUN`].
    #[inline(never)]
    pub fn allocate(&mut self, count: usize, align: u32) -> Option<PageRef> {
        if count > MAX_PAGES {
            return None;
        }
        let order = count.next_power_of_two().trailing_zeros().max(align) as usize;
        let large_enough = self.nonempty.checked_shr(order as u32)?;
        let (page, number, found) = if large_enough != 0 {
            let found = order + large_enough.trailing_zeros() as usize;
            let page = self.lists[found % ORDERS].first()?;
            // SAFETY: the first node of a list is in the list, and started.
            unsafe {
                self.remove(page, found);
                (page, page.get().number(), found)
            }
        } else {
            self.next_fresh(order)?
        };
        // SAFETY: the node belongs to nobody now; its pages are of one piece.
        unsafe {
            for (node, order) in nodes(number + count, (1 << found) - count) {
                self.insert(page.add(node - number), node, order);
            }
            self.mark_run(page, number, count);
        }
        self.free -= count;
        Some(page)
    }

    /// Writes the entries of a run: of its first page, and of the nodes that fill it, so that
    /// their buddies see that they are not free.
    ///
    /// # Safety
    /// The run must belong to the caller, and be in no list.
    #[inline]
    unsafe fn mark_run(&mut self, page: PageRef, number: usize, count: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            for (node, _) in nodes(number, count).skip(1) {
                page.add(node - number).start(node << PAGE_BITS, Page::INSIDE);
            }
            page.start(number << PAGE_BITS, Page::RUN).count = count as u32;
        }
    }

    /// Takes a run back.
    ///
    /// # Safety
    /// `page` must be a run that nobody uses any more.
    #[inline]
    pub unsafe fn free(&mut self, page: PageRef) {
        // SAFETY: the caller's promise.
        let (number, count) = unsafe { (page.get().number(), page.get().count as usize) };
        self.free += count;
        // SAFETY: the caller's promise.
        unsafe { self.free_pages(page, number, count) };
    }

    /// Keeps a run as a spare one, if one starts at that address and there are not too many;
    /// otherwise does nothing and returns `false`.
    ///
    /// # Safety
    /// `page` must be started; if it is a run, nobody uses it any more.
    #[inline]
    pub unsafe fn keep(&mut self, page: PageRef, address: usize) -> bool {
        // SAFETY: the caller's promise.
        let entry = unsafe { page.get() };
        let count = entry.count as usize;
        let Some(list) = self.spare.get_mut(count) else { return false };
        if entry.tag != Page::RUN
            || entry.address != address
            || self.spare_pages + count > self.max_spare
        {
            return false;
        }
        entry.tag = Page::SPARE;
        self.spare_pages += count;
        // SAFETY: the run belongs to nobody else.
        unsafe { list.push_single(page) };
        true
    }

    /// Joins pages in no list with free buddies and puts them into lists.
    ///
    /// # Safety
    /// The pages must belong to nobody else; `page` must be the entry of `number`.
    #[inline(never)]
    unsafe fn free_pages(&mut self, page: PageRef, number: usize, count: usize) {
        let Some(piece) = self.piece(number).copied() else { return };
        // SAFETY: the pages are of one piece, and of nobody else.
        unsafe {
            for (node, order) in nodes(number, count) {
                self.free_node(&piece, page.add(node - number), node, order);
            }
        }
    }

    /// # Safety
    /// The node must belong to nobody else, and be of `piece`.
    #[inline]
    unsafe fn free_node(&mut self, piece: &Piece, page: PageRef, number: usize, order: usize) {
        let (mut page, mut number, mut order) = (page, number, order);
        // A buddy among the known pages is a node or was divided: its first entry is valid either
        // way. The nodes that a piece starts with have no buddies of their order.
        while let Some(buddy) = piece.known(number ^ (1 << order)) {
            // SAFETY: see above; one reference at a time.
            unsafe {
                if buddy.get().tag != Page::FREE | order as u8 {
                    break;
                }
                self.remove(buddy, order);
                let upper = if number & (1 << order) == 0 {
                    buddy
                } else {
                    core::mem::replace(&mut page, buddy)
                };
                // Freeing it again must not find what it was.
                upper.get().tag = Page::INSIDE;
            }
            number &= !(1 << order);
            order += 1;
        }
        // SAFETY: the node belongs to nobody else.
        unsafe { self.insert(page, number, order) };
    }

    /// Changes the size of a run without moving it; returns whether it worked.
    ///
    /// # Safety
    /// `page` must be a run; what is cut off must not be used any more.
    pub unsafe fn resize(&mut self, page: PageRef, wanted: usize) -> bool {
        // SAFETY: the caller's promise.
        let (number, count) = unsafe { (page.get().number(), page.get().count as usize) };
        if wanted <= count {
            if wanted < count {
                // SAFETY: the run is the caller's; its nodes are others now.
                unsafe {
                    self.mark_run(page, number, wanted);
                    for (node, _) in nodes(number + wanted, count - wanted) {
                        page.add(node - number).start(node << PAGE_BITS, Page::INSIDE);
                    }
                    self.free_pages(page.add(wanted), number + wanted, count - wanted);
                }
                self.free += count - wanted;
            }
            return true;
        }
        if wanted - count > self.free {
            return false;
        }
        let Some(piece) = self.piece(number).copied() else { return false };
        let order_of = |number: usize| {
            // SAFETY: where a node or a run ends, the next one starts, unless the piece ends.
            let entry = unsafe { piece.known(number)?.get() };
            (entry.tag & Page::KIND == Page::FREE).then(|| entry.index())
        };
        let mut end = number + count;
        while end < number + wanted {
            let Some(order) = order_of(end) else { return false };
            end += 1 << order;
        }
        // SAFETY: the nodes up to `end` are free and in lists; then they belong to nobody, and
        // the part of the last one that is left over is given back.
        unsafe {
            let mut node = number + count;
            while let Some(order) = order_of(node).filter(|_| node < end) {
                self.remove(page.add(node - number), order);
                node += 1 << order;
            }
            for (node, order) in nodes(number + wanted, end - number - wanted) {
                self.insert(page.add(node - number), node, order);
            }
            self.mark_run(page, number, wanted);
        }
        self.free -= wanted - count;
        true
    }

    /// A spare run, as one in use.
    #[inline]
    pub fn take_spare(&mut self, count: usize) -> Option<PageRef> {
        // SAFETY: spare runs are in these lists, and started.
        unsafe {
            let page = self.spare.get_mut(count)?.pop_single()?;
            page.get().tag = Page::RUN;
            self.spare_pages -= count;
            Some(page)
        }
    }

    /// Gives the spare runs to the nodes; returns whether there were any.
    pub fn reclaim(&mut self) -> bool {
        let any = self.spare_pages > 0;
        for count in 1..=MAX_SPARE_RUN {
            while let Some(page) = self.take_spare(count) {
                // SAFETY: the run is in no list now.
                unsafe {
                    page.get().tag = Page::INSIDE;
                    let number = page.get().number();
                    self.free_pages(page, number, count);
                }
                self.free += count;
            }
        }
        any
    }

    /// Whether an address lies in memory that was added.
    pub fn owns(&self, address: usize) -> bool {
        let number = address >> PAGE_BITS;
        self.pieces.iter().any(|p| number.wrapping_sub(p.first) < p.count)
    }

    /// Bytes that were added.
    pub const fn total_bytes(&self) -> usize {
        self.total_bytes
    }

    /// Free pages.
    pub const fn free_count(&self) -> usize {
        self.free + self.spare_pages
    }

    /// Pages of the largest run that could be allocated.
    pub fn largest(&self) -> usize {
        let fresh = self.pieces.iter().flat_map(Piece::fresh).map(|(_, order)| order);
        let known = self.nonempty.checked_ilog2().map(|order| order as usize);
        match fresh.chain(known).max() {
            Some(order) => 1 << order,
            None => self.spare.iter().rposition(|list| list.first().is_some()).unwrap_or(0),
        }
    }
}
