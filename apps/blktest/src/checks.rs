//! Checks of a disk that may be overwritten, and of one that may not.

use alloc::vec;
use alloc::vec::Vec;

use ukblkdev::{BlockError, Buffer, Disk, Operation, Ticket, disk};
use uktest::{Check, ensure};

pub const CHECKS: [Check; 8] = [
    ("what is written is read again", written_is_read),
    ("long transfers", long_transfers),
    ("many requests at a time, more than fit", many_at_a_time),
    ("results that nobody wants are no burden", abandoned),
    ("the end of the device", the_end),
    ("zeroes and discarded blocks", zeroes),
    ("waiting for a device leaves the CPU alone", waiting),
    ("a read-only device", read_only),
];

type Result = core::result::Result<(), &'static str>;

fn scratch() -> core::result::Result<&'static Disk, &'static str> {
    let disk = disk("blk0").ok_or("there is no blk0")?;
    ensure(disk.info().blocks >= 1024 && !disk.info().read_only, "blk0 is too small")?;
    Ok(disk)
}

fn ok(result: core::result::Result<(), BlockError>) -> Result {
    result.map_err(|error| match error {
        BlockError::Io => "input/output error",
        BlockError::Busy => "busy",
        BlockError::Broken => "broken",
        BlockError::OutOfMemory => "out of memory",
        _ => "a request was refused",
    })
}

fn buffer(len: usize) -> core::result::Result<Buffer, &'static str> {
    Buffer::new(len).map_err(|_| "out of memory")
}

/// Bytes that say where they belong.
fn pattern(block: u64, len: usize, seed: u64) -> Vec<u8> {
    let words = (0..len.div_ceil(8) as u64).flat_map(|i| {
        (block.wrapping_mul(0x9e37_79b9) ^ i ^ seed.wrapping_mul(0xff51_afd7_ed55_8ccd))
            .to_le_bytes()
    });
    words.take(len).collect()
}

fn written_is_read() -> Result {
    let disk = scratch()?;
    let size = disk.info().block_size as usize;
    let last = disk.info().blocks - 1;
    let blocks: Vec<u64> = (0..64).chain((100..900).step_by(37)).chain([last]).collect();
    for round in 0..2 {
        for block in &blocks {
            ok(disk.write(*block, &pattern(*block, size, round)))?;
        }
        ok(disk.flush())?;
        let mut bytes = vec![0; size];
        for block in blocks.iter().rev() {
            ok(disk.read(*block, &mut bytes))?;
            ensure(bytes == pattern(*block, size, round), "a block has other content")?;
        }
    }
    Ok(())
}

fn long_transfers() -> Result {
    let disk = scratch()?;
    let size = disk.info().block_size as usize;
    for blocks in [2, 9, 255, 1000] {
        let bytes = pattern(blocks, blocks as usize * size, 7);
        ok(disk.write(5, &bytes))?;
        let mut back = vec![0; bytes.len()];
        ok(disk.read(5, &mut back))?;
        ensure(back == bytes, "other content")?;
    }
    Ok(())
}

fn many_at_a_time() -> Result {
    let disk = scratch()?;
    let size = disk.info().block_size as usize;
    let mut refused = false;
    for operation in [Operation::Write, Operation::Read] {
        let mut tickets: Vec<(u64, Ticket<'_>)> = Vec::new();
        for block in 0..400 {
            let mut buffer = buffer(size)?;
            if operation == Operation::Write {
                buffer.copy_from_slice(&pattern(block, size, 3));
            }
            loop {
                match disk.start(operation, block, buffer) {
                    Ok(ticket) => {
                        tickets.push((block, ticket));
                        break;
                    }
                    Err((back, BlockError::Busy)) if !tickets.is_empty() => {
                        refused = true;
                        buffer = back;
                        // Out of order: the last one first.
                        check_finished(tickets.pop(), operation, size)?;
                    }
                    Err((_, error)) => return ok(Err(error)),
                }
            }
        }
        for ticket in tickets {
            check_finished(Some(ticket), operation, size)?;
        }
    }
    ensure(refused, "400 requests fit into the queue")
}

fn check_finished(ticket: Option<(u64, Ticket<'_>)>, operation: Operation, size: usize) -> Result {
    let Some((block, ticket)) = ticket else { return Ok(()) };
    let (buffer, result) = ticket.finish();
    ok(result)?;
    let is_right = operation == Operation::Write || buffer[..] == pattern(block, size, 3)[..];
    ensure(is_right, "a block has other content")
}

fn abandoned() -> Result {
    let disk = scratch()?;
    let size = disk.info().block_size as usize;
    for round in 0..200 {
        match disk.start(Operation::Read, round, buffer(size)?) {
            Ok(ticket) => drop(ticket),
            Err((_, BlockError::Busy)) => {}
            Err((_, error)) => return ok(Err(error)),
        }
    }
    ok(disk.read(0, &mut vec![0; size]))
}

fn the_end() -> Result {
    let disk = scratch()?;
    let size = disk.info().block_size as usize;
    let blocks = disk.info().blocks;
    let mut two = vec![0; 2 * size];
    for block in [blocks - 1, blocks, u64::MAX - 1, u64::MAX] {
        ensure(disk.read(block, &mut two) == Err(BlockError::OutOfRange), "read beyond")?;
        ensure(disk.write(block, &two) == Err(BlockError::OutOfRange), "written beyond")?;
    }
    ensure(disk.read(0, &mut two[1..]) == Err(BlockError::BadLength), "a part of a block")
}

fn zeroes() -> Result {
    let disk = scratch()?;
    let size = disk.info().block_size as usize;
    let bytes = vec![0xa5; 8 * size];
    ok(disk.write(16, &bytes))?;
    match (disk.info().writes_zeroes, disk.write_zeroes(18, 4)) {
        (true, result) => {
            ok(result)?;
            let mut back = vec![1; 8 * size];
            ok(disk.read(16, &mut back))?;
            let zero = |range: core::ops::Range<usize>| back[range].iter().all(|b| *b == 0);
            ensure(zero(2 * size..6 * size), "not zero")?;
            ensure(back[..2 * size] == bytes[..2 * size], "the blocks before changed")?;
            ensure(back[6 * size..] == bytes[6 * size..], "the blocks behind changed")?;
        }
        (false, result) => ensure(result == Err(BlockError::Unsupported), "not refused")?,
    }
    match (disk.info().discards, disk.discard(16, 8)) {
        (true, result) => ok(result),
        (false, result) => ensure(result == Err(BlockError::Unsupported), "not refused"),
    }
}

fn waiting() -> Result {
    // All else has shown that completions are seen; here, that an interrupt ends the wait and not
    // the look once in a second.
    let disk = scratch()?;
    let mut bytes = vec![0; disk.info().block_size as usize];
    let start = ukplat::monotonic_ns();
    for _ in 0..20 {
        ok(disk.read(0, &mut bytes))?;
    }
    ensure(ukplat::monotonic_ns() - start < 5_000_000_000, "20 reads took seconds")
}

fn read_only() -> Result {
    let disk = disk("blk1").ok_or("there is no blk1")?;
    let mut bytes = vec![0; disk.info().block_size as usize];
    ensure(disk.info().read_only, "blk1 is writable")?;
    ok(disk.read(0, &mut bytes))?;
    ensure(bytes.iter().all(|b| *b == 0x5a), "other content")?;
    ensure(disk.write(0, &bytes) == Err(BlockError::ReadOnly), "written")?;
    ensure(disk.write_zeroes(0, 1).is_err() && disk.discard(0, 1).is_err(), "changed")?;
    ok(disk.flush())
}
