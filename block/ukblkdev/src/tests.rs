use super::model::Memory;
use super::*;

use ukerrno::Errno;

fn disk_of(memory: &Memory) -> &'static Disk {
    register(Box::new(memory.clone()))
}

#[test]
fn disks_have_names() {
    let first = disk_of(&Memory::new(512, 1));
    let second = disk_of(&Memory::new(4096, 2));
    assert_ne!(first.name(), second.name());
    assert!(disks().iter().any(|d| d.name() == first.name()));
    assert_eq!(disk(second.name()).map(Disk::bytes), Some(8192));
    assert!(disk("blk").is_none());
}

#[test]
fn long_transfers_are_cut() {
    let memory = Memory::new(512, 100);
    let disk = disk_of(&memory);
    let bytes: Vec<u8> = (0..97 * 512).map(|i| (i / 7) as u8).collect();
    disk.write(2, &bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    disk.read(2, &mut back).unwrap();
    assert_eq!(back, bytes);
    assert_eq!(memory.counts().0, 97usize.div_ceil(8));
}

#[test]
fn bad_requests_are_refused() {
    let memory = Memory::new(512, 8);
    let disk = disk_of(&memory);
    let mut bytes = [0; 1024];
    for (block, len, error) in [
        (7, 1024, BlockError::OutOfRange),
        (8, 512, BlockError::OutOfRange),
        (u64::MAX, 512, BlockError::OutOfRange),
        (0, 511, BlockError::BadLength),
    ] {
        assert_eq!(disk.read(block, &mut bytes[..len]), Err(error));
        assert_eq!(disk.write(block, &bytes[..len]), Err(error));
    }
    assert_eq!(disk.read(0, &mut []), Ok(()));
    let (buffer, result) = disk.transfer(Operation::Write, 0, Buffer::new(9 * 512).unwrap());
    assert_eq!((buffer.len(), result), (9 * 512, Err(BlockError::BadLength)), "too long");
    assert_eq!(disk.discard(0, 1), Err(BlockError::Unsupported));
    assert_eq!(disk.write_zeroes(7, 2), Err(BlockError::OutOfRange));
    let disk = disk_of(&memory.read_only());
    assert_eq!(disk.write(0, &bytes), Err(BlockError::ReadOnly));
    assert_eq!(disk.write_zeroes(0, 1), Err(BlockError::ReadOnly));
    assert_eq!(disk.read(0, &mut bytes), Ok(()));
}

#[test]
fn bad_blocks_are_errors_and_nothing_else_suffers() {
    let memory = Memory::new(512, 8);
    memory.break_block(3);
    let disk = disk_of(&memory);
    assert_eq!(disk.write(0, &[1; 8 * 512]), Err(BlockError::Io));
    assert_eq!(disk.write(4, &[1; 4 * 512]), Ok(()));
    let mut bytes = [0; 512];
    assert_eq!(disk.read(3, &mut bytes), Err(BlockError::Io));
    assert_eq!(disk.read(4, &mut bytes), Ok(()));
    assert_eq!(Errno::from(BlockError::Io), Errno::EIO);
}

#[test]
fn a_full_queue_says_so_and_gets_empty_again() {
    let disk = disk_of(&Memory::new(512, 8));
    let start = || disk.start(Operation::Read, 0, Buffer::new(512).unwrap());
    let mut tickets: Vec<_> = (0..4).map(|_| start().unwrap()).collect();
    let (buffer, error) = start().unwrap_err();
    assert_eq!((buffer.len(), error), (512, BlockError::Busy));
    // Given up: its place is free once it is done, however that is noticed.
    drop(tickets.pop());
    assert!(tickets[0].is_finished());
    assert!(start().is_ok());
    for ticket in tickets {
        assert_eq!(ticket.finish().1, Ok(()));
    }
    for _ in 0..20 {
        assert_eq!(disk.flush(), Ok(()));
    }
}

#[test]
fn batches_are_written_and_waited_for() {
    let memory = Memory::new(512, 64);
    let disk = disk_of(&memory);
    let mut expected = vec![0; 64 * 512];
    let mut batch = disk.batch();
    for n in (0..60).step_by(3) {
        batch.write(n as u64, &[n as u8 + 1; 1024]).unwrap();
        expected[n * 512..n * 512 + 1024].fill(n as u8 + 1);
    }
    batch.finish().unwrap();
    assert!(memory.content() == expected);
    // Longer than a request; with the queue full of what others started.
    let others: Vec<_> = (0..4)
        .map(|_| disk.start(Operation::Read, 0, Buffer::new(512).unwrap()).unwrap())
        .collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut batch = disk.batch();
            batch.write(3, &[7; 20 * 512]).unwrap();
            batch.finish().unwrap();
        });
        std::thread::sleep(std::time::Duration::from_millis(5));
        others.into_iter().for_each(drop);
    });
    expected[3 * 512..23 * 512].fill(7);
    assert!(memory.content() == expected);
    // An error is told once, by what comes next or by the end; nothing stays behind.
    memory.break_block(30);
    let mut batch = disk.batch();
    let mut results: Vec<_> = (28..33).map(|n| batch.write(n, &[9; 512])).collect();
    results.push(batch.finish());
    assert_eq!(results.iter().filter(|result| **result == Err(BlockError::Io)).count(), 1);
    let mut batch = disk.batch();
    assert_eq!(batch.write(64, &[0; 512]), Err(BlockError::OutOfRange));
    assert_eq!(batch.write(0, &[0; 511]), Err(BlockError::BadLength));
    batch.write(30, &[0; 512]).unwrap();
    drop(batch);
    for _ in 0..20 {
        assert_eq!(disk.flush(), Ok(()));
    }
    let disk = disk_of(&memory.read_only());
    assert_eq!(disk.batch().write(0, &[0; 512]), Err(BlockError::ReadOnly));
}

#[test]
fn several_batches_share_a_queue() {
    let disk = disk_of(&Memory::new(512, 64));
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            scope.spawn(move || {
                for round in 0..100u8 {
                    let mut batch = disk.batch();
                    for n in 0..8 {
                        batch.write(thread * 8 + n, &[round ^ n as u8; 512]).unwrap();
                    }
                    batch.finish().unwrap();
                    let mut back = vec![0; 8 * 512];
                    disk.read(thread * 8, &mut back).unwrap();
                    assert!((0..8).all(|n| back[n * 512] == round ^ n as u8));
                }
            });
        }
    });
}

#[test]
fn what_was_flushed_survives() {
    let memory = Memory::new(512, 4);
    let disk = disk_of(&memory);
    disk.write(0, &[1; 512]).unwrap();
    disk.flush().unwrap();
    disk.write(1, &[2; 512]).unwrap();
    memory.lose_power();
    let mut bytes = [9; 1024];
    disk.read(0, &mut bytes).unwrap();
    assert_eq!((bytes[0], bytes[512]), (1, 0));
}

#[test]
fn several_threads_share_a_queue() {
    let disk = disk_of(&Memory::new(512, 64));
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            scope.spawn(move || {
                let block = u64::from(thread) * 8;
                for round in 0..200u8 {
                    let bytes = vec![round ^ thread; 3 * 512];
                    disk.write(block, &bytes).unwrap();
                    let mut back = vec![0; bytes.len()];
                    disk.read(block, &mut back).unwrap();
                    assert_eq!(back, bytes);
                }
            });
        }
    });
}
