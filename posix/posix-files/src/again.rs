//! Descriptors that are opened by their names: `/proc/self/fd/1`, `/dev/stdout`.

use alloc::sync::Arc;

use fdtab::TABLE;
use ukerrno::Errno;
use ukfile::{
    Console, Control, Description, Events, File, Kind, Metadata, OpenFlags, Seek, SyncKind,
    Watchers,
};
use vfs::{Context, Follow, Location, Mount, Node, OpenDevice};

/// The major number, of those for local use, of the devices below `/dev/fd` where there is no `/proc`.
const MAJOR: u32 = 240;

/// The place that the link of a descriptor leads to, as seen `through` the mount of the link. A file
/// of the tree is where it is, with a name or without; others are nowhere but in their descriptors.
///
/// # Errors
/// `ENOENT` when the descriptor is not open; `ENOMEM`
pub fn place_of(fd: i32, through: &Arc<Mount>) -> Result<Location, Errno> {
    let file = TABLE.get(fd).map_err(|_| Errno::ENOENT)?;
    match vfs::location_of(&file) {
        Some(place) => Ok(place.clone()),
        None => {
            let node = ukfile::fallible::arc(Open(file))?;
            Ok(Location { mount: through.clone(), node })
        }
    }
}

/// Registers the devices, and where there is no `/proc` makes those that `/dev/stdin` and its kin
/// lead to: `/dev/fd` with the first three descriptors, as systems have it that do not mount more.
///
/// # Errors
/// `ENOMEM`
pub fn prepare(root: &Location) -> Result<(), Errno> {
    let console: (u32, OpenDevice) = (Console::MAJOR, Console::open);
    for (major, open) in [console, (MAJOR, open_number)] {
        match vfs::register_devices(Kind::CharacterDevice, major, open) {
            // Somebody else's are as good.
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error),
        }
    }
    let mut files = Context::new(root.clone());
    files.umask = 0;
    let directory = b"/dev/fd";
    if files.metadata(None, directory, Follow::No).map(|found| found.kind) != Ok(Kind::Symlink)
        || files.resolve(None, directory, Follow::Yes).is_ok()
    {
        return Ok(());
    }
    files.unlink(None, directory)?;
    files.make_directory(None, directory, 0o555)?;
    for (minor, name) in [b"/dev/fd/0", b"/dev/fd/1", b"/dev/fd/2"].into_iter().enumerate() {
        let number = ukfile::device_number(MAJOR, minor as u32);
        files.make_node(None, name, Kind::CharacterDevice, 0o666, number)?;
    }
    Ok(())
}

fn open_number(number: u64, flags: OpenFlags) -> Result<Arc<dyn File>, Errno> {
    let fd = i32::try_from(ukfile::minor(number)).map_err(|_| Errno::ENXIO)?;
    again(TABLE.get(fd).map_err(|_| Errno::ENXIO)?, flags)
}

/// Opens what is open already. It can be used in no way in which it could not be before.
fn again(file: Arc<Description>, flags: OpenFlags) -> Result<Arc<dyn File>, Errno> {
    let had = file.flags();
    if flags.asks_to_read() && !had.reads() || flags.asks_to_write() && !had.writes() {
        return Err(Errno::EACCES);
    }
    let kind = file.file().metadata()?.kind;
    if flags.contains(OpenFlags::TRUNCATE) && kind == Kind::Regular {
        vfs::resize_open(&file, 0)?;
    }
    Ok(ukfile::fallible::arc(Again(file))?)
}

/// A file that is in no tree, as a place.
struct Open(Arc<Description>);

impl Node for Open {
    fn kind(&self) -> Kind {
        self.0.file().metadata().map_or(Kind::Regular, |metadata| metadata.kind)
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        self.0.file().metadata()
    }

    /// As on Linux, pipes and devices can be opened so, and nothing else.
    fn open(&self, flags: OpenFlags) -> Result<Option<Arc<dyn File>>, Errno> {
        match self.kind() {
            Kind::Fifo | Kind::CharacterDevice => again(self.0.clone(), flags).map(Some),
            _ => Err(Errno::ENXIO),
        }
    }
}

/// A file that is open under another descriptor too, with a position of its own.
struct Again(Arc<Description>);

impl File for Again {
    fn read(
        &self,
        at: &mut u64,
        buffers: &mut [&mut [u8]],
        flags: OpenFlags,
    ) -> Result<usize, Errno> {
        self.0.file().read(at, buffers, flags)
    }
    fn write(&self, at: &mut u64, buffers: &[&[u8]], flags: OpenFlags) -> Result<usize, Errno> {
        self.0.file().write(at, buffers, flags)
    }
    fn has_position(&self) -> bool {
        self.0.file().has_position()
    }
    fn seek(&self, at: u64, to: Seek) -> Result<u64, Errno> {
        self.0.file().seek(at, to)
    }
    fn metadata(&self) -> Result<Metadata, Errno> {
        self.0.file().metadata()
    }
    fn ready(&self) -> Events {
        self.0.file().ready()
    }
    fn watchers(&self) -> Option<&Watchers> {
        self.0.file().watchers()
    }
    fn is_timed(&self) -> bool {
        self.0.file().is_timed()
    }
    fn ready_at(&self) -> Option<u64> {
        self.0.file().ready_at()
    }
    fn control(&self, request: Control<'_>) -> Result<usize, Errno> {
        self.0.file().control(request)
    }
    fn sync(&self, what: SyncKind) -> Result<(), Errno> {
        self.0.file().sync(what)
    }
    fn flush(&self) -> Result<(), Errno> {
        self.0.file().flush()
    }
}
