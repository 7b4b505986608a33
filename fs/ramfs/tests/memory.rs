//! With too little memory, calls give `ENOMEM`, and nothing is lost or half done.
//!
//! The allocator of this program has a limit that can be set; it is moved up byte by byte through all
//! of what a scenario needs.

use limited_memory::{Limited, used, with_limit};
use ramfs::{Limits, RamFs};
use ukerrno::Errno;
use ukfile::{Kind, OpenFlags};
use vfs::{Context, Follow, Location, Mount, MountFlags, RenameFlags};

#[global_allocator]
static ALLOCATOR: Limited = Limited;

const CREATE: OpenFlags = OpenFlags::READ_WRITE.union(OpenFlags::CREATE);

type Step = fn(&Context) -> Result<(), Errno>;

/// Things that need memory. Each finds what those before it leave.
const STEPS: [(&str, Step); 11] = [
    ("make a directory", |files| files.make_directory(None, b"/d", 0o755)),
    ("make a file", |files| files.open(None, b"/d/file", CREATE, 0o644).map(drop)),
    ("write little", |files| write(files, b"/d/file", &[1; 40])),
    ("write more", |files| write(files, b"/d/file", &[2; 5000])),
    ("write much", |files| write(files, b"/d/file", &[3; 100_000])),
    ("make a link", |files| {
        let file = files.resolve(None, b"/d/file", Follow::Yes)?;
        files.make_link(&file, None, b"/second name of the file")
    }),
    ("make a symbolic link", |files| files.make_symlink(&[b'x'; 300], None, b"/d/symlink")),
    ("make a pipe", |files| files.make_node(None, b"/d/pipe", Kind::Fifo, 0o600, 0)),
    ("rename", |files| {
        files.rename((None, b"/d/file"), (None, b"/d/renamed"), RenameFlags::empty())
    }),
    ("move a directory", |files| {
        files.rename((None, b"/d"), (None, b"/a longer name"), RenameFlags::empty())
    }),
    ("make many files", |files| {
        for number in 0..40u8 {
            let name = [b'/', b'n', b'a' + number];
            files.open(None, &name, CREATE, 0o644)?;
        }
        Ok(())
    }),
];

fn write(files: &Context, path: &[u8], bytes: &[u8]) -> Result<(), Errno> {
    let file = files.open(None, path, OpenFlags::WRITE_ONLY, 0)?;
    match file.write(&[bytes])? {
        written if written == bytes.len() => Ok(()),
        _ => Err(Errno::ENOMEM),
    }
}

#[test]
fn whatever_is_missing_is_told_and_can_be_tried_again() {
    // What the library itself keeps for ever is there before anything is counted.
    scenario();
    let before = used();
    scenario();
    assert_eq!(used(), before, "nothing is lost");
}

fn scenario() {
    let fs = RamFs::new(Limits::default()).unwrap();
    let mount = Mount::new(fs, b"none", MountFlags::empty()).unwrap();
    let files = Context::new(Location::root_of(mount));
    for (what, step) in STEPS {
        let mut failed = 0;
        let mut bytes = 0;
        loop {
            match with_limit(bytes, || step(&files)) {
                Ok(()) => break,
                Err(Errno::ENOMEM) => failed += 1,
                Err(error) => panic!("{what} with {bytes} bytes: {error}"),
            }
            assert!(bytes < 1 << 20, "{what} never has enough");
            // Small steps where they matter, all the way to the first allocations and the last.
            bytes += if bytes < 4096 { 8 } else { 512 };
        }
        assert!(failed > 0, "{what} needs memory");
    }
    let found = files.metadata(None, b"/a longer name/renamed", Follow::Yes).unwrap();
    assert_eq!((found.size, found.links), (100_000, 2));
    let names = ["/na", "/nb"].map(|name| files.unlink(None, name.as_bytes()));
    assert_eq!(names, [Ok(()), Ok(())]);
}

#[test]
fn a_file_system_that_cannot_be_made_is_not() {
    for bytes in (0..400).step_by(8) {
        let made = with_limit(bytes, || RamFs::new(Limits::default()).map(drop));
        assert!(matches!(made, Ok(()) | Err(Errno::ENOMEM)), "{bytes}: {made:?}");
    }
}
