use proptest::prelude::*;

use super::*;

fn sample() -> Vec<u8> {
    let mut writer = Writer::default();
    let a = writer.malloc(100);
    let b = writer.calloc(3);
    writer.realloc(a, 5000);
    writer.free(b);
    let c = writer.memalign(64, 10);
    writer.free(a);
    writer.free(c);
    writer.finish()
}

/// The trace with these operations and a checksum that fits.
fn with_ops(count: u8, ops: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend([VERSION, count]);
    bytes.extend(ops);
    bytes.extend(fnv(&bytes).to_le_bytes());
    bytes
}

#[test]
fn what_is_written_is_read() {
    let trace = Trace::parse(&sample()).unwrap();
    assert_eq!(
        trace.ops(),
        [
            Op::Malloc { slot: 0, size: 100 },
            Op::Calloc { slot: 1, size: 3 },
            Op::Realloc { slot: 0, size: 5000 },
            Op::Free { slot: 1 },
            Op::Memalign { slot: 1, size: 10, align: 64 },
            Op::Free { slot: 0 },
            Op::Free { slot: 1 },
        ]
    );
    assert_eq!((trace.slots(), trace.peak_bytes()), (2, 5010));
    let mut start = trace.clone();
    start.cut(2);
    assert_eq!((start.ops().len(), start.peak_bytes()), (2, 103));
}

#[test]
fn every_damaged_byte_is_noticed() {
    let good = sample();
    for i in 0..good.len() {
        for flip in 1..=255 {
            let mut bad = good.clone();
            bad[i] ^= flip;
            assert!(Trace::parse(&bad).is_err(), "byte {i}, {flip}");
        }
        assert!(Trace::parse(&good[..i]).is_err(), "cut at {i}");
    }
    let mut longer = good;
    longer.push(0);
    assert!(Trace::parse(&longer).is_err());
}

#[test]
fn wrong_operations_have_errors_of_their_own() {
    for (count, ops, error) in [
        (1, &[0x05][..], Error::Kind(0)),
        (1, &[0x02], Error::Block(0)),
        (3, &[0x08, 0x02, 0x02], Error::Block(2)),
        (2, &[0x08, 0x0a], Error::Block(1)),
        (1, &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01], Error::Size(0)),
        (1, &[0xfc, 0x01, 0x10], Error::Size(0)),
        (1, &[0x80, 0x00], Error::Number(0)),
        (1, &[0xff; 12], Error::Number(0)),
        (1, &[0x80], Error::Truncated(0)),
        (2, &[0x08], Error::Truncated(0)),
        (2, &[0x08, 0x03], Error::Truncated(1)),
        (1, &[0x08, 0x08], Error::Trailing),
        // The alignment that memalign gave would be lost.
        (2, &[0x34, 0x10, 0x03, 0x10], Error::Block(1)),
    ] {
        assert_eq!(Trace::parse(&with_ops(count, ops)), Err(error), "{ops:x?}");
    }
    assert_eq!(Trace::parse(b"something else"), Err(Error::NoTrace));
    assert_eq!(Trace::parse(b"oxktrace\x02"), Err(Error::Version(2)));
    assert_eq!(Trace::parse(b"oxktrace\x01"), Err(Error::Truncated(0)));
}

#[test]
fn recordings_become_traces() {
    let record = |words: [u64; 4]| words.map(u64::to_le_bytes).concat();
    let raw: Vec<u8> = [
        record([0, 100, 0x1000, 0]),
        record([0, 200, 0x2000, 0]),
        record([2, 0, 0x1000, 0]),
        record([2, 0, 0x9999, 0]),
        record([3, 300, 0x3000, 0x2000]),
        record([4, 64, 0x4000, 10]),
        record([2, 0, 0x3000, 0]),
    ]
    .concat();
    let all = Trace::parse(&compact(&raw, 0, 1000).unwrap()).unwrap();
    assert_eq!(all.ops().len(), 6, "the free of an unknown block is left out");
    // What lives at the start of the window is made first.
    let window = Trace::parse(&compact(&raw, 4, 1000).unwrap()).unwrap();
    assert_eq!(
        window.ops(),
        [
            Op::Malloc { slot: 0, size: 200 },
            Op::Realloc { slot: 0, size: 300 },
            Op::Memalign { slot: 1, size: 10, align: 64 },
            Op::Free { slot: 0 },
        ]
    );
    assert_eq!(compact(&raw[..40], 0, 1000), Err(Error::Truncated(1)));
    assert_eq!(compact(&record([9, 0, 0, 0]), 0, 1000), Err(Error::Kind(0)));
}

proptest! {
    #[test]
    fn any_bytes_are_a_trace_or_an_error(ops in prop::collection::vec(any::<u8>(), 0..200), count in 0u8..128) {
        if let Ok(trace) = Trace::parse(&with_ops(count, &ops)) {
            prop_assert_eq!(trace.ops().len(), count as usize);
        }
    }
}
