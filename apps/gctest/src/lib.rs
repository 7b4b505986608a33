//! Tests garbage collection from the inside, and measures it.
//!
//! Without arguments it runs all checks and ends with the number of failures. `gctest pause MIB`
//! prints how long collections take with that much alive.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod garbage;
mod live;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::black_box;

use ukplat::println;
use uktest::Check;

const CHECKS: [&[Check]; 3] = [
    &[("blocks of the early stage are freed where they came from", ukearlycheck::check)],
    &garbage::CHECKS,
    &live::CHECKS,
];

/// See the crate's documentation.
pub fn main(args: &[&str]) -> u8 {
    match args {
        [] => uktest::run(&CHECKS),
        ["pause", mib] => pause(mib.parse().unwrap_or(1)),
        _ => {
            println!("unknown arguments");
            2
        }
    }
}

/// Loses a block of `len` bytes, full of a byte.
#[inline(never)]
fn lose(len: usize, byte: u8) {
    let mut block = Vec::with_capacity(len);
    block.resize(len, byte);
    core::mem::forget(black_box(block));
}

/// Bytes of the heap.
fn total_memory() -> usize {
    ukalloc::default_heap().map_or(0, |heap| heap.alloc.stats().total_memory)
}

fn pause(mib: usize) -> u8 {
    /// A block of 128 bytes with its header, which leads to another.
    struct Node {
        _next: Option<Box<Node>>,
        _data: [usize; 14],
    }
    let count = (mib << 20) / 128;
    let mut nodes: Vec<Box<Node>> = Vec::with_capacity(count / 4);
    for number in 0..count / 4 {
        let node = (0..4).fold(None, |next, _| {
            Some(Box::new(Node { _next: next, _data: black_box([number; 14]) }))
        });
        nodes.extend(node);
    }
    for round in 0..5 {
        // Blocks of half a MiB to be found dead.
        for _ in 0..4096 {
            lose(120, 1);
        }
        let done = ukallocgc::collect();
        println!(
            "{} MiB alive in {} blocks: {} us, {} blocks freed (round {})",
            mib,
            count + 1,
            done.ns / 1000,
            done.blocks,
            round
        );
    }
    black_box(&nodes);
    // Dropping millions of blocks one by one is not what is measured.
    core::mem::forget(nodes);
    0
}
