//! How fast a disk is.

use alloc::vec;

use ukblkdev::{BlockError, Buffer, Disk, Operation};
use ukplat::println;

/// Prints how long a read of one block takes, alone and among others.
pub fn measure(disk: &'static Disk) -> Result<(), BlockError> {
    const READS: u64 = 2000;
    let size = disk.info().block_size as usize;
    let blocks = disk.info().blocks;
    let mut bytes = vec![0; size];
    let start = ukplat::monotonic_ns();
    for read in 0..READS {
        disk.read(read % blocks, &mut bytes)?;
    }
    println!("{}: {} ns for a read", disk.name(), (ukplat::monotonic_ns() - start) / READS);
    let depth = disk.info().depth.min(32) as u64;
    let start = ukplat::monotonic_ns();
    for round in 0..READS / depth {
        let mut tickets = alloc::vec::Vec::new();
        for index in 0..depth {
            let block = (round * depth + index) % blocks;
            let buffer = Buffer::new(size)?;
            tickets.push(disk.start(Operation::Read, block, buffer).map_err(|(_, e)| e)?);
        }
        for ticket in tickets {
            ticket.finish().1?;
        }
    }
    let each = (ukplat::monotonic_ns() - start) / (READS / depth * depth);
    println!("{}: {} ns for a read, {} at a time", disk.name(), each, depth);
    Ok(())
}

/// Prints how long a request takes to start, its notification included, and until it is done, in
/// nanoseconds: a line `call NAME NS` for each.
pub fn calls(disk: &'static Disk) -> Result<(), BlockError> {
    const READS: u64 = 1000;
    let size = disk.info().block_size as usize;
    let mut buffer = Buffer::new(size)?;
    let (mut starting, mut whole) = (0, 0);
    for read in 0..READS {
        let block = read % disk.info().blocks;
        let start = ukplat::monotonic_ns();
        let ticket = disk.start(Operation::Read, block, buffer).map_err(|(_, e)| e)?;
        starting += ukplat::monotonic_ns() - start;
        let (back, result) = ticket.finish();
        result?;
        buffer = back;
        whole += ukplat::monotonic_ns() - start;
    }
    println!("call doorbell {}", starting / READS);
    println!("call block {}", whole / READS);
    Ok(())
}
