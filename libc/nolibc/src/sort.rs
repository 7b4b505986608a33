//! Sorting and searching of what is only known by number: `qsort` and `bsearch`.

use core::cmp::Ordering;

/// Things that can be sorted.
pub trait Items {
    /// Whether the first is to come before the second.
    fn is_less(&mut self, first: usize, second: usize) -> bool;
    /// Lets the two change places.
    fn swap(&mut self, first: usize, second: usize);
}

/// Sorts `len` things in place, in O(n log n) steps, without memory of its own (heapsort: J. W. J.
/// Williams, Algorithm 232, 1964). Equal things may change places. Whatever the things say about their
/// order, it ends, and all of them are there.
pub fn sort(items: &mut dyn Items, len: usize) {
    for root in (0..len / 2).rev() {
        sift(items, root, len);
    }
    for end in (1..len).rev() {
        // The root is the largest.
        items.swap(0, end);
        sift(items, 0, end);
    }
}

/// Makes a heap of the things below `root`, of which the two halves are heaps.
fn sift(items: &mut dyn Items, mut root: usize, end: usize) {
    loop {
        let mut child = 2 * root + 1;
        if child >= end {
            return;
        }
        if child + 1 < end && items.is_less(child, child + 1) {
            child += 1;
        }
        if !items.is_less(root, child) {
            return;
        }
        items.swap(root, child);
        root = child;
    }
}

/// The number of a thing that is equal to what is looked for, of `len` sorted ones; `compare` says how what
/// is looked for stands to a thing.
pub fn search(len: usize, compare: &mut dyn FnMut(usize) -> Ordering) -> Option<usize> {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        match compare(middle) {
            Ordering::Equal => return Some(middle),
            Ordering::Greater => low = middle + 1,
            Ordering::Less => high = middle,
        }
    }
    None
}
