//! Parts of files that are memory. What programs see of them is compared with the host's in
//! `tests/programs/posix/mappings.c`; here it is about writing back.

use std::sync::{Arc, Mutex};

use ramfs::{Limits, RamFs};
use ukerrno::Errno;
use ukfile::{Description, OpenFlags};
use vfs::{Context, Location, Mapping, Memory, Mount, MountFlags, WriteAt};

const PAGE: usize = 4096;

/// Memory that the test changes as a program would.
#[derive(Clone)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Bytes {
    fn new(length: usize) -> Self {
        Self(Arc::new(Mutex::new(vec![0xff; length])))
    }

    fn set(&self, at: usize, bytes: &[u8]) {
        self.0.lock().unwrap()[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

impl Memory for Bytes {
    fn length(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn load(&self, at: usize, to: &mut [u8]) {
        to.copy_from_slice(&self.0.lock().unwrap()[at..at + to.len()]);
    }

    fn store(&self, at: usize, from: &[u8]) {
        self.set(at, from);
    }
}

fn files(limits: Limits) -> Context {
    let mount = Mount::new(RamFs::new(limits).unwrap(), b"ram", MountFlags::empty()).unwrap();
    Context::new(Location::root_of(mount))
}

fn open(files: &Context, content: &[u8]) -> Arc<Description> {
    let flags = OpenFlags::READ_WRITE | OpenFlags::CREATE;
    let file = files.open(None, b"/file", flags, 0o644).unwrap();
    assert_eq!(file.write_at(0, &[content], OpenFlags::empty()), Ok(content.len()));
    file
}

/// What the file system has, whatever is in memory.
fn stored(file: &Description, at: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let node = &vfs::location_of(file).unwrap().node;
    let read = node.read(at, &mut [&mut bytes], false).unwrap();
    bytes.truncate(read);
    bytes
}

#[test]
fn only_what_was_changed_is_written() {
    let file = open(&files(Limits::default()), &[b'.'; 3 * PAGE]);
    let memory = Bytes::new(2 * PAGE);
    let mapping = Mapping::new(&file, PAGE as u64, Box::new(memory.clone())).unwrap();
    mapping.allow_changes().unwrap();
    memory.set(10, b"ours");
    memory.set(2000, b"o");
    // Somebody else changes the file meanwhile, around it.
    let node = vfs::location_of(&file).unwrap().node.clone();
    for at in [PAGE + 9, PAGE + 14, PAGE + 1500, 2 * PAGE] {
        node.write(WriteAt::Offset(at as u64), &[b"t"]).unwrap();
    }
    mapping.write_back(0..PAGE).unwrap();
    assert_eq!(stored(&file, PAGE as u64 + 8, 8), b".tourst.");
    assert_eq!(stored(&file, PAGE as u64 + 1999, 3), b".o.");
    assert_eq!(stored(&file, PAGE as u64 + 1500, 1), b"t");
    // Nothing is written again, and nothing outside of the range.
    memory.set(PAGE, b"later");
    node.write(WriteAt::Offset(PAGE as u64 + 10), &[b"t"]).unwrap();
    mapping.write_back(0..PAGE).unwrap();
    assert_eq!(
        (stored(&file, PAGE as u64 + 10, 1), stored(&file, 2 * PAGE as u64, 2)),
        (b"t".to_vec(), b"t.".to_vec())
    );
    drop(mapping);
    assert_eq!(
        stored(&file, 2 * PAGE as u64, 2),
        b"t.",
        "whoever lets it go writes it back before"
    );
}

#[test]
fn what_is_behind_the_end_is_not_of_the_file() {
    let file = open(&files(Limits::default()), b"12345");
    let memory = Bytes::new(PAGE);
    let mapping = Mapping::new(&file, 0, Box::new(memory.clone())).unwrap();
    mapping.allow_changes().unwrap();
    assert!(memory.0.lock().unwrap()[5..].iter().all(|byte| *byte == 0));
    memory.set(3, b"xyz");
    mapping.write_back(0..PAGE).unwrap();
    assert_eq!(stored(&file, 0, 10), b"123xy");
    // A hole comes in between: what was in the memory there is none of the file's.
    file.write_at(10, &[b"!"], OpenFlags::empty()).unwrap();
    let mut bytes = [1; 12];
    assert_eq!(file.read_at(0, &mut [&mut bytes], OpenFlags::empty()), Ok(11));
    assert_eq!(&bytes[..11], b"123xy\0\0\0\0\0!");
    assert_eq!(memory.0.lock().unwrap()[..12], *b"123xy\0\0\0\0\0!\0");
}

#[test]
fn what_could_not_be_written_is_tried_again() {
    let files = files(Limits { bytes: 4 * PAGE as u64, nodes: 10 });
    let other =
        files.open(None, b"/other", OpenFlags::READ_WRITE | OpenFlags::CREATE, 0o644).unwrap();
    let full = vec![1; 3 * PAGE];
    assert_eq!(other.write_at(0, &[&full], OpenFlags::empty()), Ok(full.len()));
    let file = open(&files, b"x");
    vfs::resize_open(&file, 3 * PAGE as i64).unwrap();
    let memory = Bytes::new(3 * PAGE);
    let mapping = Mapping::new(&file, 0, Box::new(memory.clone())).unwrap();
    mapping.allow_changes().unwrap();
    memory.set(PAGE, b"a");
    memory.set(2 * PAGE, b"b");
    assert_eq!(mapping.write_back(0..usize::MAX), Err(Errno::ENOSPC));
    vfs::resize_open(&other, 0).unwrap();
    assert_eq!(mapping.write_back(0..usize::MAX), Ok(()));
    assert_eq!(
        (stored(&file, PAGE as u64, 2), stored(&file, 2 * PAGE as u64, 1)),
        (b"a\0".to_vec(), b"b".to_vec())
    );
}

#[test]
fn what_cannot_be_shared_is_refused() {
    let files = files(Limits::default());
    files.make_directory(None, b"/folder", 0o755).unwrap();
    let folder = files.open(None, b"/folder", OpenFlags::empty(), 0).unwrap();
    let refused = Mapping::new(&folder, 0, Box::new(Bytes::new(PAGE)));
    assert_eq!(refused.err(), Some(Errno::ENODEV));
}
