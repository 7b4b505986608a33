//! Tests block devices from the inside.
//!
//! Without arguments it tests `blk0`, whose content is lost, and that `blk1` can only be read. With
//! arguments it does one thing: see [`main`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod checks;
mod speed;

use alloc::vec;

use ukblkdev::{BlockError, Disk, disks};
use ukplat::println;

/// `blktest` runs all checks; `list` prints the disks; `fill DISK BYTE` fills a disk with a byte, and
/// flushes it; `sum DISK` adds the bytes of a disk; `bad DISK BLOCK` expects that one block of a disk
/// cannot be used and the others can; `speed DISK` measures reading; `calls DISK` does so for
/// `oxk bench boot`.
pub fn main(args: &[&str]) -> u8 {
    let result = match args {
        [] => return uktest::run(&[&checks::CHECKS]),
        ["list"] => {
            list();
            Ok(())
        }
        ["fill", name, byte] => with_disk(name, |disk| fill(disk, byte.parse().unwrap_or(0))),
        ["sum", name] => with_disk(name, sum),
        ["bad", name, block] => with_disk(name, |disk| bad(disk, block.parse().unwrap_or(0))),
        ["calls", name] => with_disk(name, speed::calls),
        ["speed", name] => with_disk(name, speed::measure),
        _ => {
            println!("unknown arguments");
            return 2;
        }
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            println!("{}", error);
            1
        }
    }
}

fn with_disk(
    name: &str,
    call: impl FnOnce(&'static Disk) -> Result<(), BlockError>,
) -> Result<(), BlockError> {
    match ukblkdev::disk(name) {
        Some(disk) => call(disk),
        None => {
            println!("there is no disk {}", name);
            Err(BlockError::Unsupported)
        }
    }
}

fn list() {
    for disk in disks() {
        let info = disk.info();
        println!(
            "{}: {} blocks of {} bytes, {}{}, {} queues of {} requests",
            disk.name(),
            info.blocks,
            info.block_size,
            if info.read_only { "read-only" } else { "writable" },
            if info.has_cache { ", cached" } else { "" },
            info.queues,
            info.depth,
        );
    }
    println!("{} disks", disks().len());
}

fn fill(disk: &Disk, byte: u8) -> Result<(), BlockError> {
    let size = disk.info().block_size as usize;
    let chunk = vec![byte; 64 * size];
    let mut block = 0;
    while block < disk.info().blocks {
        let blocks = (disk.info().blocks - block).min(64);
        disk.write(block, &chunk[..blocks as usize * size])?;
        block += blocks;
    }
    disk.flush()
}

fn sum(disk: &Disk) -> Result<(), BlockError> {
    let mut bytes = vec![0; disk.info().block_size as usize];
    let mut sum = 0u64;
    for block in 0..disk.info().blocks {
        disk.read(block, &mut bytes)?;
        sum = bytes.iter().fold(sum, |sum, byte| sum + u64::from(*byte));
    }
    println!("sum of {}: {}", disk.name(), sum);
    Ok(())
}

/// One block fails, again and again; its neighbours work before, between and after.
fn bad(disk: &Disk, block: u64) -> Result<(), BlockError> {
    let mut bytes = vec![0; disk.info().block_size as usize];
    for _ in 0..3 {
        for good in [block - 1, block + 1] {
            disk.read(good, &mut bytes)?;
            disk.write(good, &bytes)?;
        }
        for result in [disk.read(block, &mut bytes), disk.write(block, &bytes)] {
            if result != Err(BlockError::Io) {
                println!("block {} did not fail: {:?}", block, result);
                return Err(BlockError::Unsupported);
            }
        }
    }
    println!("block {} fails, the others work", block);
    Ok(())
}
