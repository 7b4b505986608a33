//! How often calls that programs make all the time ask for memory.

use limited_memory::{Limited, taken};
use syscall_shim::{call, nr};

#[global_allocator]
static ALLOCATOR: Limited = Limited;

#[test]
fn lists_of_few_buffers_take_no_memory() {
    let fs = ramfs::RamFs::new(ramfs::Limits::default()).unwrap();
    let mount = vfs::Mount::new(fs, b"root", vfs::MountFlags::empty()).unwrap();
    posix_files::start(vfs::Location::root_of(mount)).unwrap();
    let fd = call!(nr::open, c"/file", 0o102, 0o644);
    assert!(fd >= 0);
    // The file has its memory before.
    assert_eq!(call!(nr::pwrite64, fd, &[0u8; 4096][..], 0i64), 4096);

    let (mut header, mut text) = ([0u8; 3], [0u8; 500]);
    let list = [[header.as_mut_ptr().addr(), header.len()], [text.as_mut_ptr().addr(), text.len()]];
    let counted = |calls: &dyn Fn() -> isize| {
        let (result, taken) = taken(calls);
        (result, taken.blocks)
    };
    let vectored = |number: u16| call!(number, fd, list.as_ptr() as usize, list.len(), 0i64, 0);
    for number in [nr::writev, nr::readv, nr::pwritev, nr::preadv] {
        assert_eq!(counted(&|| vectored(number)), (503, 0), "call {number}");
    }
    // Of many, the list is one block.
    let many = [list[0]; 9];
    let write = || call!(nr::writev, fd, many.as_ptr() as usize, many.len());
    assert_eq!(counted(&write), (27, 1));
}
