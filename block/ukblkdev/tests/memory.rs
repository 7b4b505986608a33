//! With little memory a transfer takes more requests, and without it has no effect.

use limited_memory::{Limited, with_limit};
use ukblkdev::model::Memory;
use ukblkdev::{BlockError, register};

#[global_allocator]
static ALLOCATOR: Limited = Limited;

#[test]
fn long_transfers_need_memory_for_a_block() {
    let memory = Memory::new(512, 64);
    let disk = register(Box::new(memory.clone()));
    // Eight blocks at a time, and three.
    let bytes: Vec<u8> = (0..43 * 512).map(|n| (n / 7) as u8).collect();
    disk.write(2, &bytes).unwrap();
    let (mut back, mut refused, mut few) = (vec![0; bytes.len()], 0, 0);
    for limit in (0..).step_by(100) {
        back.fill(0);
        let before = memory.counts().0;
        let read = with_limit(limit, || disk.read(2, &mut back));
        let written = with_limit(limit, || disk.write(2, &bytes));
        let requests = memory.counts().0 - before;
        assert_eq!(read, written, "{limit}");
        match read {
            Ok(()) => {
                assert!(back == bytes, "{limit}");
                if requests == 6 {
                    break;
                }
                few += 1;
            }
            error => {
                assert_eq!((error, requests), (Err(BlockError::OutOfMemory), 0), "{limit}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0 && few > 10, "{refused} {few}");
}
