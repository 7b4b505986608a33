//! Checks of the heaps.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use ukplat::{Stream, println};

use crate::Check;

pub const CHECKS: [Check; 8] = [
    ("Vec, String, Box and BTreeMap work", collections),
    ("alignments are kept", alignments),
    ("zeroed memory is zero", zeroed),
    ("out of memory is an ordinary result", out_of_memory),
    ("libraries have the heaps the manifest gives them", association),
    ("libraries are counted apart", accounts),
    ("a heap takes more memory later", more_memory),
    ("heaps of one allocator have options of their own", own_options),
];

fn collections() -> Result<(), &'static str> {
    let mut map = BTreeMap::new();
    for i in 0..2_000u32 {
        let mut text = String::new();
        let _ = write!(text, "number {i}");
        map.insert(i, Box::new(text));
    }
    for i in (0..2_000).step_by(2) {
        map.remove(&i);
    }
    let mut big: Vec<u64> = Vec::new();
    for i in 0..20_000 {
        big.push(i);
    }
    let sum: u64 = big.iter().sum();
    match map.get(&1_999) {
        Some(text) if text.as_str() == "number 1999" && sum == 199_990_000 => Ok(()),
        _ => Err("wrong content"),
    }
}

#[repr(align(4096))]
struct Page([u8; 4096]);

#[repr(align(64))]
struct Line([u8; 64]);

fn alignments() -> Result<(), &'static str> {
    let page = Box::new(Page([1; 4096]));
    let line = Box::new(Line([2; 64]));
    let aligned = (&raw const *page).addr().is_multiple_of(4096)
        && (&raw const *line).addr().is_multiple_of(64);
    if aligned && page.0[4095] == 1 && line.0[63] == 2 { Ok(()) } else { Err("not aligned") }
}

fn zeroed() -> Result<(), &'static str> {
    for _ in 0..4 {
        let mut block = alloc::vec![0u8; 100_000];
        if block.iter().any(|b| *b != 0) {
            return Err("old content shows");
        }
        block.fill(0xa5);
    }
    Ok(())
}

fn out_of_memory() -> Result<(), &'static str> {
    let mut block: Vec<u8> = Vec::new();
    if block.try_reserve_exact(1 << 46).is_ok() {
        return Err("an impossible amount was given");
    }
    block.try_reserve_exact(1_000).map_err(|_| "the heap is broken afterwards")
}

fn association() -> Result<(), &'static str> {
    let scratch = ukalloc::heap("scratch").ok_or("the heap `scratch` is missing")?;
    let block = ukalloc::for_library("uktime").malloc(100);
    if block.is_null() {
        return Err("the library's heap gave nothing");
    }
    if !scratch.alloc.owns(block) {
        return Err("the block is from another heap");
    }
    let other = ukalloc::for_library("uklog").malloc(100);
    if other.is_null() || scratch.alloc.owns(other) {
        return Err("a library without a heap of its own does not use the main one");
    }
    Ok(())
}

fn accounts() -> Result<(), &'static str> {
    let accounts = ukalloc::accounts();
    let own = accounts.iter().find(|a| a.library() == "uktime").ok_or("there is no account")?;
    let before = own.stats();
    let block = ukalloc::for_library("uktime").malloc(100);
    let after = own.stats();
    let counted = after.allocations == before.allocations + 1
        && after.current_bytes >= before.current_bytes + 100;
    if !block.is_null() && counted { Ok(()) } else { Err("an allocation was not counted") }
}

/// Two pools in one image, with objects of different sizes.
fn own_options() -> Result<(), &'static str> {
    for (name, size) in [("headers", 128), ("buffers", 2048)] {
        let pool = ukalloc::heap(name).ok_or("a pool is missing")?.alloc;
        // The object stays in use; there are others.
        if pool.malloc(size).is_null() || !pool.malloc(size + 1).is_null() {
            return Err("the objects have another size");
        }
    }
    Ok(())
}

/// A piece of the main heap becomes memory of the small one, for ever.
fn more_memory() -> Result<(), &'static str> {
    const LEN: usize = 128 << 10;
    let scratch = ukalloc::heap("scratch").ok_or("the heap `scratch` is missing")?.alloc;
    // More than the heap was given at the start.
    if !scratch.malloc(LEN / 2).is_null() {
        return Err("the heap is larger than the manifest says");
    }
    let piece = Box::leak(Box::<[u8]>::new_uninit_slice(LEN));
    let before = scratch.stats().total_memory;
    scratch.donate(piece).map_err(|_| "it was refused")?;
    if scratch.stats().total_memory <= before {
        return Err("it is not counted");
    }
    if scratch.malloc(LEN / 2).is_null() { Err("it is not used") } else { Ok(()) }
}

/// Takes memory until there is none, gives it back, and takes some again.
pub fn exhaust() -> u8 {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    if blocks.try_reserve_exact(1 << 12).is_err() {
        return 1;
    }
    let mut size = 1 << 30;
    let mut total = 0usize;
    while size >= 64 && blocks.len() < blocks.capacity() {
        let mut block = Vec::new();
        if block.try_reserve_exact(size).is_ok() {
            total += size;
            blocks.push(block);
        } else {
            size /= 2;
        }
    }
    println!("took {} bytes in {} blocks", total, blocks.len());
    drop(blocks);
    let again = collections();
    println!("afterwards: {:?}", again);
    u8::from(again.is_err())
}

/// Takes all memory in pieces of 16 MiB and writes and reads both ends of each; shows that every
/// region can be used, memory above 4 GiB too.
pub fn touch() -> u8 {
    const PIECE: usize = 16 << 20;
    let mut pieces: Vec<Vec<u64>> = Vec::new();
    let (mut lowest, mut highest) = (usize::MAX, 0);
    loop {
        let mut piece = Vec::new();
        if pieces.len() == pieces.capacity() && pieces.try_reserve(64).is_err()
            || piece.try_reserve_exact(PIECE / 8).is_err()
        {
            break;
        }
        let number = pieces.len() as u64;
        let ends = &mut piece.spare_capacity_mut()[..];
        if let [first, .., last] = ends {
            first.write(number);
            last.write(!number);
        }
        lowest = lowest.min(piece.as_ptr().addr());
        highest = highest.max(piece.as_ptr().addr() + PIECE - 1);
        pieces.push(piece);
    }
    println!("touched {} MiB from {:#x} to {:#x}", pieces.len() * 16, lowest, highest);
    0
}

pub fn print_report() -> u8 {
    u8::from(ukalloc::report(&mut { Stream::Out }).is_err())
}
