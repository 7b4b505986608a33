//! Checks that what nobody can reach any more is freed.

use alloc::boxed::Box;
use core::hint::black_box;
use core::time::Duration;

use uktest::{Check, ensure};

use crate::{lose, total_memory};

pub const CHECKS: [Check; 5] = [
    ("blocks that were lost are collected", lost),
    ("blocks in a circle are collected", circles),
    ("three heaps of garbage fit into one", more_than_memory),
    ("the thread collects by itself", by_itself),
    ("statistics count what was collected", statistics),
];

/// Words that look like addresses, left over on the stack, may keep some.
const BY_CHANCE: u64 = 20;

fn lost() -> Result<(), &'static str> {
    ukallocgc::collect();
    for _ in 0..2000 {
        lose(500, 1);
    }
    let done = ukallocgc::collect();
    ensure(done.blocks >= 2000 - BY_CHANCE, "some are left")?;
    ensure(done.bytes >= 500 * done.blocks as usize, "the bytes do not fit the blocks")?;
    ensure(ukallocgc::collect().blocks <= BY_CHANCE, "there were more than were lost")
}

fn circles() -> Result<(), &'static str> {
    use alloc::rc::Rc;
    use core::cell::RefCell;
    struct Link {
        to: RefCell<Option<Rc<Link>>>,
        _data: [usize; 20],
    }
    #[inline(never)]
    fn circle() {
        let link = || Rc::new(Link { to: RefCell::new(None), _data: black_box([0; 20]) });
        let (a, b) = (link(), link());
        *a.to.borrow_mut() = Some(b.clone());
        *b.to.borrow_mut() = Some(a);
    }
    ukallocgc::collect();
    for _ in 0..1000 {
        circle();
    }
    ensure(ukallocgc::collect().blocks >= 2000 - 2 * BY_CHANCE, "some are left")
}

fn more_than_memory() -> Result<(), &'static str> {
    let memory = total_memory();
    for len in [100, 10_000, 300_000] {
        let alive = Box::new([len; 50]);
        for _ in 0..memory / len + 1 {
            // Without memory the image ends.
            lose(len, 3);
        }
        ensure(*black_box(alive) == [len; 50], "a block that is in use was taken")?;
    }
    Ok(())
}

fn by_itself() -> Result<(), &'static str> {
    let stats = || ukalloc::default_heap().map(|heap| heap.alloc.stats());
    ukallocgc::collect();
    let before = stats().ok_or("there is no heap")?;
    for _ in 0..before.total_memory / 3 / 1000 {
        lose(1000, 4);
    }
    for _ in 0..500 {
        uktime::sleep(Duration::from_millis(2));
        uksched::yield_now();
        if stats().is_some_and(|now| now.frees >= before.frees + 1000) {
            return Ok(());
        }
    }
    Err("it does not")
}

fn statistics() -> Result<(), &'static str> {
    let heap = ukalloc::default_heap().ok_or("there is no heap")?.alloc;
    for _ in 0..2 * BY_CHANCE {
        lose(5000, 5);
    }
    let before = heap.stats();
    let done = ukallocgc::collect();
    let after = heap.stats();
    ensure(after.frees - before.frees == done.blocks, "the number of frees is wrong")?;
    ensure(before.current_bytes - after.current_bytes == done.bytes, "the bytes are wrong")?;
    ensure(after.available > before.available, "there is no more memory than before")
}
