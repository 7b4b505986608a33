//! Files behind memory mappings.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ops::Range;

use fdtab::TABLE;
use posix_mmap::{File, Memory, OpenFile, Shared};
use ukerrno::Errno;
use ukfile::{Description, Kind, OpenFlags};
use vfs::Mapping;

/// How mappings find the file of a descriptor.
pub static OPEN: OpenFile = open;

/// `/dev/zero` by its number.
const ZERO: u64 = 1 << 8 | 5;

fn open(fd: i32) -> Result<Option<Arc<dyn File>>, Errno> {
    let file = TABLE.get(fd)?;
    if file.flags().contains(OpenFlags::PATH) {
        return Err(Errno::EBADF);
    }
    let metadata = file.file().metadata()?;
    match metadata.kind {
        Kind::Regular => {}
        Kind::CharacterDevice if metadata.special == ZERO => return Ok(None),
        _ => return Err(Errno::ENODEV),
    }
    if !file.flags().reads() {
        return Err(Errno::EACCES);
    }
    Ok(Some(ukfile::fallible::arc(Opened(file))?))
}

struct Opened(Arc<Description>);

impl File for Opened {
    fn identity(&self) -> usize {
        // The node stays as long as somebody has it open.
        let node = vfs::location_of(&self.0).map(|location| Arc::as_ptr(&location.node));
        node.map_or(0, |node| node.cast::<()>() as usize)
    }

    fn may_write(&self) -> Result<(), Errno> {
        if !self.0.flags().writes() {
            return Err(Errno::EACCES);
        }
        vfs::location_of(&self.0).map_or(Ok(()), |at| at.node.allow_changes_as_memory())
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.0.read_at(offset, &mut [buffer], OpenFlags::empty())
    }

    fn share(&self, offset: u64, memory: Memory) -> Result<Box<dyn Shared>, Errno> {
        let memory = ukfile::fallible::boxed(Mapped(memory))?;
        let mapping = Mapping::new(&self.0, offset, memory)?;
        Ok(ukfile::fallible::boxed(Part(mapping))?)
    }
}

/// The memory of a mapping.
struct Mapped(Memory);

impl vfs::Memory for Mapped {
    fn length(&self) -> usize {
        self.0.length()
    }

    fn load(&self, at: usize, to: &mut [u8]) {
        self.0.load(at, to);
    }

    fn store(&self, at: usize, from: &[u8]) {
        self.0.store(at, from);
    }
}

/// The part of the file that it stands for.
struct Part(Mapping);

impl Shared for Part {
    fn allow_changes(&self) -> Result<(), Errno> {
        self.0.allow_changes()
    }

    fn write_back(&self, range: Range<usize>, wait: bool) -> Result<(), Errno> {
        if wait { self.0.sync(range) } else { self.0.write_back(range) }
    }
}
