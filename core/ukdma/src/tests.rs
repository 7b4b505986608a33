use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

use proptest::prelude::*;

use super::*;

struct Pieces(Vec<(bool, Vec<u8>)>);

impl Segments for Pieces {
    fn segments<'a>(&'a mut self, list: &mut SegmentList<'_, 'a>) {
        for (device_writes, bytes) in &mut self.0 {
            if *device_writes {
                list.device_writes(bytes);
            } else {
                list.device_reads(bytes);
            }
        }
    }
}

fn list(pieces: Vec<(bool, usize)>, room: usize) -> Result<Vec<(bool, u32)>, DmaError> {
    let mut request = Pieces(pieces.into_iter().map(|(w, len)| (w, vec![0; len])).collect());
    let mut room = Vec::with_capacity(room);
    let mut list = SegmentList::new(&mut room);
    request.segments(&mut list);
    let segments = list.finish()?;
    Ok(segments.iter().map(|s| (s.device_writes(), s.len())).collect())
}

#[test]
fn pieces_are_listed_in_order_without_empty_ones() {
    let listed = list(vec![(false, 3), (false, 0), (true, 5), (true, 7)], 4);
    assert_eq!(listed, Ok(vec![(false, 3), (true, 5), (true, 7)]));
}

#[test]
fn bad_requests_are_errors() {
    assert_eq!(list(vec![(true, 1), (false, 1)], 4), Err(DmaError::Order));
    assert_eq!(list(vec![(false, 1); 5], 4), Err(DmaError::TooManySegments));
    assert_eq!(Buffer::new(usize::MAX).unwrap_err(), DmaError::OutOfMemory);
    assert_eq!(Arena::new(usize::MAX).unwrap_err(), DmaError::OutOfMemory);
}

#[test]
fn a_part_of_the_bytes_is_never_more_than_there_are() {
    let (mut first, mut second) = (Buffer::new(64).unwrap(), Buffer::new(64).unwrap());
    let starts = [&first, &second].map(|b| b.as_ptr() as u64);
    for (part, offset, len) in [(8..24, 8, 16), (60..usize::MAX, 60, 4), (0..64, 0, 64)] {
        let mut room = Vec::with_capacity(2);
        let mut list = SegmentList::new(&mut room);
        list.device_reads_part(&mut first, part.clone());
        list.device_writes_part(&mut second, part);
        let segments = list.finish().unwrap();
        let seen: Vec<_> = segments.iter().map(|s| (s.address(), s.len())).collect();
        assert_eq!(seen, starts.map(|start| (start + offset, len)));
        assert!(!segments[0].device_writes() && segments[1].device_writes());
    }
    let mut room = Vec::with_capacity(2);
    let mut list = SegmentList::new(&mut room);
    list.device_reads_part(&mut first, 64..80);
    #[expect(clippy::reversed_empty_ranges, reason = "a range that ends before it starts")]
    list.device_writes_part(&mut second, 9..3);
    assert!(list.finish().unwrap().is_empty());
}

#[test]
fn buffers_are_zeroed_and_aligned() {
    assert!(Buffer::new(0).unwrap().is_empty());
    for len in [1, 17, 512, 4096, 10_000] {
        let mut buffer = Buffer::new(len).unwrap();
        assert_eq!(buffer.len(), len);
        assert!(buffer.iter().all(|b| *b == 0));
        buffer.fill(7);
        let align = len.next_power_of_two().min(4096);
        assert_eq!(buffer.as_ptr() as usize % align, 0);
    }
}

#[test]
fn items_of_shared_memory_have_addresses() {
    let mut arena = Arena::new(100).unwrap();
    let words = arena.take::<[AtomicU32; 2]>(3, 16).unwrap();
    words[2][1].store(9, Relaxed);
    assert_eq!(words.address_of(2), words.address() + 16);
    assert_eq!(words.address_of(9), words.address() + 24);
    let mut room = Vec::with_capacity(2);
    let mut list = SegmentList::new(&mut room);
    list.device_reads_shared(words, 1);
    list.device_writes_shared(words, 3); // outside
    let segments = list.finish().unwrap();
    assert_eq!(segments.len(), 1);
    assert_eq!((segments[0].address(), segments[0].len()), (words.address_of(1), 8));
}

proptest! {
    #[test]
    fn what_is_cut_from_an_arena_never_overlaps(cuts in prop::collection::vec((0usize..4, 0usize..200, 0u32..14), 0..20)) {
        let mut arena = Arena::new(5000).unwrap();
        let mut taken: Vec<(u64, u64)> = Vec::new();
        for (kind, count, align) in cuts {
            let align = 1 << align;
            let range = |address: u64, bytes: usize| (address, address + bytes as u64);
            let cut = match kind {
                0 => arena.take::<AtomicU8>(count, align).map(|s| range(s.address(), count)),
                1 => arena.take::<AtomicU16>(count, align).map(|s| range(s.address(), count * 2)),
                2 => arena.take::<AtomicU32>(count, align).map(|s| range(s.address(), count * 4)),
                _ => arena.take::<[AtomicU64; 2]>(count, align).map(|s| range(s.address(), count * 16)),
            };
            let Some((start, end)) = cut else { continue };
            prop_assert_eq!(start % align as u64, 0);
            prop_assert!(taken.iter().all(|(s, e)| end <= *s || start >= *e));
            taken.push((start, end));
        }
    }
}
