//! Checks that what can be reached stays as it is.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ukplat::StaticRef;
use uktest::{Check, ensure};

use crate::lose;

pub const CHECKS: [Check; 6] = [
    ("what statics lead to stays", statics),
    ("what variables lead to stays, however far", variables),
    ("what only a register leads to stays", registers),
    ("what other threads work with stays", threads),
    ("results of threads stay until they are fetched", results),
    ("small changes among many collections", mixed),
];

/// Collects, and writes over what was freed.
fn collect_and_overwrite() {
    for _ in 0..2 {
        ukallocgc::collect();
        for len in [24, 40, 56, 72, 100, 200, 1000, 5000] {
            for _ in 0..300 {
                lose(len, 0xee);
            }
        }
    }
}

fn statics() -> Result<(), &'static str> {
    static TABLE: StaticRef<BTreeMap<usize, Box<[usize; 5]>>> = StaticRef::new();
    #[inline(never)]
    fn fill() {
        TABLE.set(Box::leak(Box::new((0..2000).map(|i| (i, Box::new([i; 5]))).collect())));
    }
    fill();
    collect_and_overwrite();
    let table = TABLE.get().ok_or("the static is empty")?;
    ensure(table.iter().all(|(i, b)| **b == [*i; 5]), "a block changed")
}

fn variables() -> Result<(), &'static str> {
    struct Node {
        next: Option<Box<Node>>,
        number: usize,
    }
    let map: BTreeMap<usize, String> = (0..3000).map(|i| (i, i.to_string())).collect();
    let mut list = None;
    for number in 0..20_000 {
        list = Some(Box::new(Node { next: list, number }));
    }
    // An address in the middle is enough.
    let bytes: &'static [u8] = &Box::leak(Box::new([9u8; 10_000]))[5000..5100];
    collect_and_overwrite();
    ensure(black_box(bytes).iter().all(|b| *b == 9), "a slice changed")?;
    ensure(map.iter().all(|(i, text)| *text == i.to_string()), "the map changed")?;
    let mut expected = 20_000;
    while let Some(node) = list {
        expected -= 1;
        ensure(node.number == expected, "the list changed")?;
        list = node.next;
    }
    ensure(expected == 0, "the list became shorter")
}

fn registers() -> Result<(), &'static str> {
    // Nothing but these few is used in the loop: they stay in registers.
    let (mut a, mut b, mut c) = (Box::new(1usize), Box::new(2usize), Box::new(3usize));
    for i in 0..50 {
        lose(24, 0xee);
        ukallocgc::collect();
        lose(24, 0xee);
        *a += i;
        *b += i;
        *c += i;
    }
    ensure((*a, *b, *c) == (1226, 1227, 1228), "a number changed")
}

fn threads() -> Result<(), &'static str> {
    let work = |id: usize| {
        move || {
            let data: Vec<Box<[usize; 6]>> = (0..300).map(|i| Box::new([i ^ id; 6])).collect();
            for round in 0..10 {
                let mut own = Box::new([round; 30]);
                uksched::yield_now();
                own[3] += 1;
                lose(48, 0xdd);
                if own[4] != round || own[3] != round + 1 {
                    return false;
                }
            }
            data.iter().enumerate().all(|(i, b)| **b == [i ^ id; 6])
        }
    };
    let handles: Vec<_> = (0..6)
        .map(|id| uksched::spawn("holder", work(id)))
        .collect::<Result<_, _>>()
        .map_err(|_| "a thread could not be made")?;
    for _ in 0..8 {
        uksched::yield_now();
        collect_and_overwrite();
    }
    for handle in handles {
        ensure(handle.join() == Ok(true), "a thread's data changed")?;
    }
    Ok(())
}

fn results() -> Result<(), &'static str> {
    let argument = Box::new([5usize; 40]);
    let handle = uksched::spawn("result", move || Box::new(argument.map(|x| x + 1)))
        .map_err(|_| "no thread")?;
    // Its closure, before it runs; then its result.
    collect_and_overwrite();
    while !handle.is_finished() {
        uksched::yield_now();
    }
    collect_and_overwrite();
    ensure(handle.join().is_ok_and(|b| *b == [6; 40]), "the result changed")
}

fn mixed() -> Result<(), &'static str> {
    static SEED: AtomicUsize = AtomicUsize::new(88_172_645_463_325_252);
    let random = || {
        let mut x = SEED.load(Relaxed);
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        SEED.store(x, Relaxed);
        x
    };
    let mut slots: Vec<Option<Vec<u8>>> = (0..200).map(|_| None).collect();
    for step in 0..6000 {
        let (slot, len) = (random() % 200, random() % 2000 + 1);
        let byte = slot as u8;
        if let Some(old) = &slots[slot]
            && old.iter().any(|b| *b != byte)
        {
            return Err("a block changed");
        }
        match random() % 4 {
            // Lost, or freed.
            0 => core::mem::forget(slots[slot].take()),
            1 => slots[slot] = None,
            2 => slots[slot].get_or_insert_default().resize(len, byte),
            _ => {
                let mut new = Vec::new();
                new.resize(len, byte);
                core::mem::forget(slots[slot].replace(new));
            }
        }
        if step % 200 == 0 {
            ukallocgc::collect();
        }
    }
    Ok(())
}
