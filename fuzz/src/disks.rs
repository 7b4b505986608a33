//! Disks with file systems.

use std::sync::{Arc, Mutex};

use ::ext4::{Ext4, Source};
use ukblkdev::BlockError;
use ukfile::{Kind, OpenFlags, SyncKind};
use vfs::{Allocate, Context, FileSystem as _, Follow, Location, Mount, MountFlags, RenameFlags};

/// Bytes of a block of the disks.
const BLOCK: usize = 1024;
/// Blocks that a disk has at most.
const MOST: usize = 4096;
/// Directories that are looked into.
const DEPTH: usize = 4;

/// A disk in memory. Clones are the same disk.
#[derive(Clone)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Source for Memory {
    fn bytes(&self) -> u64 {
        self.0.lock().unwrap().len() as u64
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Result<(), BlockError> {
        self.0.lock().unwrap().read(at, into)
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<(), BlockError> {
        let mut disk = self.0.lock().unwrap();
        let place = disk.get_mut(at as usize..).and_then(|rest| rest.get_mut(..bytes.len()));
        place.ok_or(BlockError::OutOfRange)?.copy_from_slice(bytes);
        Ok(())
    }
}

/// The disk that an input describes: how many blocks it has, then blocks that are not zero, each
/// behind its number.
fn disk_of(bytes: &[u8]) -> Option<Vec<u8>> {
    let (count, records) = bytes.split_first_chunk::<2>()?;
    let mut disk = vec![0; usize::from(u16::from_le_bytes(*count)).min(MOST) * BLOCK];
    for record in records.chunks_exact(2 + BLOCK) {
        let (number, content) = record.split_first_chunk::<2>()?;
        let at = usize::from(u16::from_le_bytes(*number)) * BLOCK;
        if let Some(place) = disk.get_mut(at..at + BLOCK) {
            place.copy_from_slice(content);
        }
    }
    Some(disk)
}

/// Looks at all there is, as far as it has an end.
fn look(files: &Context, at: &Location, depth: usize, left: &mut usize) {
    let mut names = Vec::new();
    let _ = at.node.list(2, &mut |entry| {
        names.push(entry.name.to_vec());
        names.len() < 20
    });
    for name in names {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let Ok(location) = files.resolve(Some(at), &name, Follow::No) else { continue };
        let _ = location.node.metadata();
        let _ = location.node.read_link();
        let mut part = [0; 3000];
        let _ = location.node.read(500, &mut [&mut part], true);
        let _ = location.node.find(0, true);
        if location.node.kind() == Kind::Directory && depth > 0 {
            look(files, &location, depth - 1, left);
        }
    }
}

/// Changes what is there, and adds to it.
fn change(files: &Context) {
    let mut names = Vec::new();
    let _ = files.root.node.list(2, &mut |entry| {
        names.push([b"/", entry.name].concat());
        names.len() < 8
    });
    names.extend([b"/new".to_vec(), b"/new/file".to_vec()]);
    let _ = files.make_directory(None, b"/new", 0o755);
    let _ = files.make_symlink(&[b'x'; 100], None, b"/new/link");
    let flags = OpenFlags::READ_WRITE | OpenFlags::CREATE;
    for (index, name) in names.iter().enumerate() {
        if let Ok(file) = files.open(None, name, flags, 0o644) {
            let none = OpenFlags::empty();
            let _ = file.write_at(index as u64 * 3000, &[&[7; 5000]], none);
            let _ = file.write_at(200_000, &[&[8; 100]], none);
            let reserve = Allocate::Reserve { keep_size: true };
            let _ = vfs::allocate_open(&file, reserve, 2000, 20_000);
            let _ = vfs::allocate_open(&file, Allocate::PunchHole, 1000, 9000);
            let _ = file.file().sync(SyncKind::All);
            let _ = vfs::resize_open(&file, 1500);
        }
        let _ = files.open(None, &[name, &b"/below"[..]].concat(), flags, 0o600);
        let next = names[(index + 1) % names.len()].clone();
        let exchange = RenameFlags::EXCHANGE;
        let _ = files.rename((None, name), (None, &next), exchange);
        let _ = files.rename((None, name), (None, b"/renamed"), RenameFlags::empty());
        if index % 2 == 0 {
            let _ = files.unlink(None, &next);
            let _ = files.remove_directory(None, &next);
        }
    }
}

/// A disk with an ext4: whatever is on it, what is done with it has results, also for who mounts it
/// afterwards.
pub fn ext4(bytes: &[u8]) {
    let Some(disk) = disk_of(bytes) else { return };
    let disk = Memory(Arc::new(Mutex::new(disk)));
    for _ in 0..2 {
        let opened = Ext4::writable(Box::new(disk.clone()), &mut |why| {
            assert!(!why.to_string().contains('\n'));
        });
        let fs = match opened {
            Ok(fs) => fs,
            Err(error) => return assert!(!error.to_string().contains('\n')),
        };
        let mount = Mount::new(fs.clone(), b"disk", MountFlags::empty()).unwrap();
        let files = Context::new(Location::root_of(mount));
        let root = files.root.clone();
        look(&files, &root, DEPTH, &mut 100);
        change(&files);
        look(&files, &root, DEPTH, &mut 100);
        let _ = fs.sync();
    }
}
