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
