use core::ffi::{c_char, c_int, c_void};
use proptest::prelude::*;

crate::mem_symbols!("ukt_");

unsafe extern "C" {
    fn ukt_memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8;
    fn ukt_memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8;
    fn ukt_memset(to: *mut u8, value: c_int, len: usize) -> *mut u8;
    fn ukt_memcmp(a: *const u8, b: *const u8, len: usize) -> c_int;
    fn ukt_bcmp(a: *const u8, b: *const u8, len: usize) -> c_int;
    fn ukt_strlen(text: *const c_char) -> usize;
}

const PAGE: usize = 4096;

/// Memory of `N` pages between two pages that fault when touched.
struct Guarded {
    base: *mut u8,
    len: usize,
}

impl Guarded {
    fn new(pages: usize) -> Self {
        unsafe extern "C" {
            fn mmap(
                at: *mut c_void,
                len: usize,
                prot: c_int,
                flags: c_int,
                fd: c_int,
                off: i64,
            ) -> *mut u8;
            fn mprotect(at: *mut u8, len: usize, prot: c_int) -> c_int;
        }
        let len = pages * PAGE;
        // PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS; then PROT_READ | PROT_WRITE inside.
        // SAFETY: a fresh mapping, of which this process uses nothing yet; it is never unmapped.
        unsafe {
            let at = mmap(core::ptr::null_mut(), len + 2 * PAGE, 0, 0x22, -1, 0);
            assert!(at.addr() != usize::MAX, "mmap failed");
            let base = at.add(PAGE);
            assert_eq!(mprotect(base, len, 3), 0);
            Self { base, len }
        }
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is readable, writable, zeroed and exclusively owned.
        unsafe { core::slice::from_raw_parts_mut(self.base, self.len) }
    }
}

fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| ((i + seed).wrapping_mul(0x9e37_79b1) >> 13) as u8).collect()
}

fn copy(to: &mut [u8], from: &[u8]) {
    assert_eq!(to.len(), from.len());
    let start = to.as_mut_ptr();
    // SAFETY: two valid slices of the same length.
    let result = unsafe { ukt_memcpy(start, from.as_ptr(), from.len()) };
    assert_eq!(result, start);
}

/// Moves inside of `buffer`.
fn shift(buffer: &mut [u8], to: usize, from: usize, len: usize) {
    assert!(to.max(from) + len <= buffer.len());
    let base = buffer.as_mut_ptr();
    // SAFETY: both ranges are inside of the buffer.
    let result = unsafe { ukt_memmove(base.add(to), base.add(from), len) };
    assert_eq!(result, base.wrapping_add(to));
}

fn fill(to: &mut [u8], value: c_int) {
    let start = to.as_mut_ptr();
    // SAFETY: a valid slice.
    let result = unsafe { ukt_memset(start, value, to.len()) };
    assert_eq!(result, start);
}

fn compare(a: &[u8], b: &[u8]) -> core::cmp::Ordering {
    assert_eq!(a.len(), b.len());
    // SAFETY: two valid slices of the same length.
    let order = unsafe { ukt_memcmp(a.as_ptr(), b.as_ptr(), a.len()) };
    // SAFETY: as above.
    let same = unsafe { ukt_bcmp(a.as_ptr(), b.as_ptr(), a.len()) } == 0;
    assert_eq!(same, order == 0);
    order.cmp(&0)
}

#[test]
fn copies_every_small_size_at_every_alignment() {
    let source = pattern(400, 1);
    for len in 0..300 {
        for to in 0..32 {
            for from in 0..32 {
                let mut target = [0xee; 400];
                copy(&mut target[to..to + len], &source[from..from + len]);
                assert_eq!(target[to..to + len], source[from..from + len]);
                assert!(target[..to].iter().all(|b| *b == 0xee), "{len} {to} {from}");
                assert!(target[to + len..].iter().all(|b| *b == 0xee), "{len} {to} {from}");
            }
        }
    }
}

#[test]
fn moves_every_small_overlap() {
    let source = pattern(700, 2);
    for len in 0..300 {
        for distance in (0..=70).chain([127, 128, 129, 200, 299, 300]) {
            for align in [0, 1, 15] {
                for (to, from) in [(align, align + distance), (align + distance, align)] {
                    let (mut ours, mut std) = (source.clone(), source.clone());
                    shift(&mut ours, to, from, len);
                    std.copy_within(from..from + len, to);
                    assert!(ours == std, "{len} bytes from {from} to {to}");
                }
            }
        }
    }
}

#[test]
fn sets_every_small_size_at_every_alignment() {
    for len in 0..300 {
        for at in 0..32 {
            let mut target = [0xee; 400];
            // Only the low eight bits count.
            fill(&mut target[at..at + len], 0x1_a5);
            assert!(target[at..at + len].iter().all(|b| *b == 0xa5));
            assert!(target[..at].iter().all(|b| *b == 0xee), "{len} {at}");
            assert!(target[at + len..].iter().all(|b| *b == 0xee), "{len} {at}");
        }
    }
}

#[test]
fn compares_every_small_size_with_a_difference_anywhere() {
    for len in 0..300 {
        for (at_a, at_b) in [(0, 0), (1, 0), (3, 17), (15, 9)] {
            let source = pattern(len, 3);
            let (mut a, mut b) = ([1; 340], [2; 340]);
            a[at_a..at_a + len].copy_from_slice(&source);
            b[at_b..at_b + len].copy_from_slice(&source);
            assert!(compare(&a[at_a..at_a + len], &b[at_b..at_b + len]).is_eq());
            for place in 0..len {
                let old = b[at_b + place];
                // Differences across the sign bit, and a contrary one behind, which must not count.
                for (x, y) in [(0x7f, 0x80), (0xff, 0), (4, 5)] {
                    a[at_a + place] = x;
                    b[at_b + place] = y;
                    if place + 1 < len {
                        a[at_a + place + 1] = !x;
                        b[at_b + place + 1] = !y;
                    }
                    let (left, right) = (&a[at_a..at_a + len], &b[at_b..at_b + len]);
                    assert_eq!(compare(left, right), left.cmp(right), "{len} {place}");
                    assert_eq!(compare(right, left), right.cmp(left), "{len} {place}");
                }
                let end = len.min(place + 2);
                a[at_a + place..at_a + end].copy_from_slice(&source[place..end]);
                b[at_b + place..at_b + end].copy_from_slice(&source[place..end]);
                assert_eq!(old, b[at_b + place]);
            }
        }
    }
}

#[test]
fn measures_every_small_string_at_every_alignment() {
    for len in 0..300 {
        for at in 0..32 {
            let mut text = [0u8; 400];
            text[at..at + len].fill(0x81);
            text[at + len + 1..].fill(1);
            // SAFETY: a zero byte follows `len` others.
            assert_eq!(unsafe { ukt_strlen(text.as_ptr().add(at).cast()) }, len);
        }
    }
}

/// Objects that touch a page that must not be read, at either end.
#[test]
fn stays_inside_of_its_objects() {
    let (mut a, mut b) = (Guarded::new(1), Guarded::new(1));
    let (a, b) = (a.bytes(), b.bytes());
    for len in 0..300 {
        for (at_a, at_b) in [(0, 0), (0, PAGE - len), (PAGE - len, 0), (PAGE - len, PAGE - len)] {
            fill(a, 0x11);
            fill(&mut b[at_b..at_b + len], 0x77);
            copy(&mut a[at_a..at_a + len], &b[at_b..at_b + len]);
            assert!(compare(&a[at_a..at_a + len], &b[at_b..at_b + len]).is_eq());
            if len > 0 {
                a[at_a + len - 1] = 0x78;
                assert!(compare(&a[at_a..at_a + len], &b[at_b..at_b + len]).is_gt());
                a[at_a + len - 1] = 0;
                let text = &a[at_a..at_a + len];
                // SAFETY: the last byte is the only zero.
                assert_eq!(unsafe { ukt_strlen(text.as_ptr().cast()) }, len - 1);
                shift(a, PAGE - len, 0, len);
                shift(a, 0, PAGE - len, len);
            }
        }
    }
}

#[test]
fn a_byte_is_copied_up_and_down_a_page_boundary() {
    let mut pages = Guarded::new(3);
    let bytes = pages.bytes();
    let source = pattern(3 * PAGE, 4);
    for len in [PAGE - 1, PAGE, PAGE + 1, 2 * PAGE + 63] {
        for (to, from) in [(0, 1), (1, 0), (3 * PAGE - len, 0), (0, 3 * PAGE - len)] {
            bytes.copy_from_slice(&source);
            let mut std = source.clone();
            shift(bytes, to, from, len);
            std.copy_within(from..from + len, to);
            assert!(bytes == std, "{len} bytes from {from} to {to}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn large_objects_agree_with_std(
        len in 0usize..200_000,
        to in 0usize..300,
        from in 0usize..300,
        seed in 0usize..1000,
    ) {
        let source = pattern(len + 300, seed);
        let (mut ours, mut std) = (source.clone(), source.clone());
        shift(&mut ours, to, from, len);
        std.copy_within(from..from + len, to);
        prop_assert!(ours == std);
        copy(&mut ours[to..to + len], &source[from..from + len]);
        prop_assert!(ours[to..to + len] == source[from..from + len]);
        prop_assert!(compare(&ours[to..to + len], &source[from..from + len]).is_eq());
        if len > 0 {
            let place = to + seed % len;
            ours[place] = ours[place].wrapping_add(1);
            let (a, b) = (&ours[to..to + len], &source[from..from + len]);
            prop_assert_eq!(compare(a, b), a.cmp(b));
        }
        let mut std = ours.clone();
        fill(&mut ours[to..to + len], 9);
        std[to..to + len].fill(9);
        prop_assert!(ours == std);
        ours[to + len..].fill(0);
        if to + len < ours.len() {
            // SAFETY: a zero byte follows `len` others.
            prop_assert_eq!(unsafe { ukt_strlen(ours.as_ptr().add(to).cast()) }, len);
        }
    }
}
