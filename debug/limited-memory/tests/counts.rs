//! The allocator as tests have it.

use limited_memory::{Limited, Taken, taken, used, with_limit};

#[global_allocator]
static ALLOCATOR: Limited = Limited;

fn reserve(bytes: usize) -> Option<Vec<u8>> {
    let mut block = Vec::new();
    block.try_reserve_exact(bytes).ok().map(|()| block)
}

#[test]
fn memory_ends_at_the_limit_and_comes_back() {
    with_limit(100, || {
        let block = reserve(60).unwrap();
        assert!(reserve(41).is_none());
        let other = reserve(40).unwrap();
        assert!(with_limit(0, || reserve(1)).is_none());
        drop((block, other));
        assert!(reserve(100).is_some());
        assert!(reserve(101).is_none());
    });
    assert!(reserve(101).is_some());
}

#[test]
fn what_is_taken_is_counted() {
    let before = used();
    let (outer, all) = taken(|| {
        let kept = reserve(10).unwrap();
        let (_, inner) = taken(|| drop(reserve(70)));
        assert_eq!(inner, Taken { blocks: 1, largest: 70 });
        drop(reserve(30));
        // What was refused is not taken.
        assert!(with_limit(0, || reserve(1000)).is_none());
        kept
    });
    assert_eq!(all, Taken { blocks: 3, largest: 70 });
    assert_eq!(used() - before, 10);
    drop(outer);
    assert_eq!(used(), before);
}

#[test]
fn threads_are_counted_on_their_own() {
    let (_, here) = taken(|| {
        with_limit(1 << 20, || {
            let other = std::thread::spawn(|| reserve(2 << 20).is_some());
            assert!(other.join().unwrap());
        });
    });
    assert!(here.largest < 2 << 20, "{here:?}");
}
