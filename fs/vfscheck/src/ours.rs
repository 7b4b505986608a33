//! Our side.

use std::sync::Arc;

use rustix::fs::FileType;
use ukerrno::Errno;
use ukfile::{Description, Kind, Metadata, OpenFlags, Seek, Timestamp};
use vfs::{
    Allocate, Context, Credentials, FileSystem, Follow, Location, Mount, MountFlags, RenameFlags,
    SetTime,
};

use crate::steps::{At, Step};
use crate::{DEPTH, LONG_AGO, SLOTS, bytes, position_of};

pub struct Ours {
    pub context: Context,
    slots: [Option<Arc<Description>>; SLOTS],
}

impl Ours {
    pub fn new(fs: Arc<dyn FileSystem>) -> Self {
        let mount = Mount::new(fs, b"none", MountFlags::empty()).unwrap();
        let mut context = Context::new(Location::root_of(mount));
        let mut path = Vec::new();
        for _ in 0..DEPTH {
            path.extend_from_slice(b"d/");
            context.make_directory(None, &path, 0o755).unwrap();
        }
        context.credentials = Credentials {
            user: rustix::process::geteuid().as_raw(),
            group: rustix::process::getegid().as_raw(),
            groups: None,
        };
        let base = context.resolve(None, &path, Follow::Yes).unwrap();
        // Made by user 0; the temporary folder belongs to whoever runs the tests.
        Context::new(context.root.clone())
            .set_owner(&base, Some(context.credentials.user), Some(context.credentials.group))
            .unwrap();
        context.working = base;
        Self { context, slots: Default::default() }
    }

    fn at(&self, at: At) -> Result<Option<Location>, Errno> {
        match at {
            None => Ok(None),
            Some(slot) => Ok(Some(self.slot(slot)?.1)),
        }
    }

    fn slot(&self, slot: usize) -> Result<(&Arc<Description>, Location), Errno> {
        let file = self.slots[slot].as_ref().ok_or(Errno::EBADF)?;
        let location = vfs::location_of(file).ok_or(Errno::EBADF)?;
        Ok((file, location.clone()))
    }

    fn describe(&self, metadata: &Metadata, host_in_memory: bool) -> String {
        let directory = metadata.kind == Kind::Directory;
        let kind = match metadata.kind {
            Kind::Fifo => FileType::Fifo,
            Kind::CharacterDevice => FileType::CharacterDevice,
            Kind::Directory => FileType::Directory,
            Kind::BlockDevice => FileType::BlockDevice,
            Kind::Regular => FileType::RegularFile,
            Kind::Symlink => FileType::Symlink,
            Kind::Socket => FileType::Socket,
            Kind::Anonymous => FileType::Unknown,
        };
        let size = if directory && !host_in_memory { -1 } else { metadata.size as i64 };
        let regular = metadata.kind == Kind::Regular;
        let blocks = if regular && host_in_memory { metadata.blocks } else { 0 };
        let links = if directory && !host_in_memory { 0 } else { metadata.links };
        format!(
            "{kind:?} {:o} links {links} size {size} blocks {blocks} {} {}",
            metadata.permissions,
            metadata.accessed.seconds == LONG_AGO,
            metadata.modified.seconds == LONG_AGO,
        )
    }

    pub fn run(&mut self, step: &Step, salt: u64, in_memory: bool) -> Result<String, Errno> {
        let context = &self.context;
        let at = |at: At| self.at(at);
        let follow = |yes: bool| if yes { Follow::Yes } else { Follow::No };
        let done = |()| String::new();
        let none = OpenFlags::empty();
        match step {
            Step::Open { at: from, path, flags, mode, slot } => {
                let flags = OpenFlags::from_bits_retain(*flags) | OpenFlags::NONBLOCK;
                let file = context.open(at(*from)?.as_ref(), path.as_bytes(), flags, *mode)?;
                self.slots[*slot] = Some(file);
                Ok(String::new())
            }
            Step::Close { slot } => {
                self.slots[*slot] = None;
                Ok(String::new())
            }
            Step::Read { slot, length } => {
                let mut buffer = vec![0; *length];
                let read = self.slot(*slot)?.0.read(&mut [&mut buffer])?;
                Ok(format!("{:?}", &buffer[..read]))
            }
            Step::Write { slot, length } => {
                Ok(self.slot(*slot)?.0.write(&[&bytes(*length, salt)])?.to_string())
            }
            Step::ReadAt { slot, offset, length } => {
                let mut buffer = vec![0; *length];
                let file = self.slot(*slot)?.0;
                let read = file.read_at(*offset as u64, &mut [&mut buffer], none)?;
                Ok(format!("{:?}", &buffer[..read]))
            }
            Step::WriteAt { slot, offset, length } => {
                let data = bytes(*length, salt);
                // In two pieces, as `pwritev` has them.
                let (one, two) = data.split_at(data.len() / 3);
                let file = self.slot(*slot)?.0;
                Ok(file.write_at(*offset as u64, &[one, two], none)?.to_string())
            }
            Step::Seek { slot, from, by } => {
                let to = match from {
                    0 => Seek::Start(*by),
                    1 => Seek::Current(*by),
                    2 => Seek::End(*by),
                    3 => Seek::Data(*by),
                    _ => Seek::Hole(*by),
                };
                let (file, location) = self.slot(*slot)?;
                let position = file.seek(to)?;
                Ok(position_of(position, location.node.kind() == Kind::Directory))
            }
            Step::Resize { slot, size } => vfs::resize_open(self.slot(*slot)?.0, *size).map(done),
            Step::Allocate { slot, how, offset, length } => {
                let how = match how {
                    0 => Allocate::Reserve { keep_size: false },
                    1 => Allocate::Reserve { keep_size: true },
                    2 => Allocate::PunchHole,
                    _ => Allocate::Collapse,
                };
                vfs::allocate_open(self.slot(*slot)?.0, how, *offset, *length).map(done)
            }
            Step::Truncate { path, size } => {
                let location = context.resolve(None, path.as_bytes(), Follow::Yes)?;
                context.set_size(&location, *size).map(done)
            }
            Step::MakeDirectory { at: from, path, mode } => {
                context.make_directory(at(*from)?.as_ref(), path.as_bytes(), *mode).map(done)
            }
            Step::MakeNode { at: from, path, kind, mode } => {
                let kind =
                    [Kind::Regular, Kind::Fifo, Kind::Socket, Kind::Directory][*kind as usize];
                context.make_node(at(*from)?.as_ref(), path.as_bytes(), kind, *mode, 0).map(done)
            }
            Step::Symlink { target, at: from, path } => context
                .make_symlink(target.as_bytes(), at(*from)?.as_ref(), path.as_bytes())
                .map(done),
            Step::Link { at: from, old, path, follow: yes } => {
                let old = context.resolve(at(*from)?.as_ref(), old.as_bytes(), follow(*yes))?;
                context.make_link(&old, None, path.as_bytes()).map(done)
            }
            Step::LinkSlot { slot, path } => {
                let old = self.slot(*slot)?.1;
                context.make_link(&old, None, path.as_bytes()).map(done)
            }
            Step::Unlink { at: from, path } => {
                context.unlink(at(*from)?.as_ref(), path.as_bytes()).map(done)
            }
            Step::RemoveDirectory { at: from, path } => {
                context.remove_directory(at(*from)?.as_ref(), path.as_bytes()).map(done)
            }
            Step::Rename { from_at, from, to_at, to, flags } => {
                let (from_at, to_at) = (at(*from_at)?, at(*to_at)?);
                let flags = RenameFlags::from_bits_retain(*flags);
                context
                    .rename(
                        (from_at.as_ref(), from.as_bytes()),
                        (to_at.as_ref(), to.as_bytes()),
                        flags,
                    )
                    .map(done)
            }
            Step::ReadLink { path } => {
                let target = context.read_link(None, path.as_bytes())?;
                Ok(format!("{:?}", std::ffi::CString::new(&*target).unwrap()))
            }
            Step::Stat { at: from, path, follow: yes } => {
                let metadata =
                    context.metadata(at(*from)?.as_ref(), path.as_bytes(), follow(*yes))?;
                Ok(self.describe(&metadata, in_memory))
            }
            Step::StatSlot { slot } => {
                let metadata = self.slot(*slot)?.0.file().metadata()?;
                Ok(self.describe(&metadata, in_memory))
            }
            Step::List { slot } => {
                let file = self.slot(*slot)?.0;
                file.seek(Seek::Start(0))?;
                let mut names = list(file)?;
                names.sort();
                Ok(format!("{names:?}"))
            }
            Step::SetMode { path, mode } => {
                let location = context.resolve(None, path.as_bytes(), Follow::Yes)?;
                context.set_permissions(&location, *mode).map(done)
            }
            Step::SetTimes { path, seconds } => {
                let location = context.resolve(None, path.as_bytes(), Follow::No)?;
                let time = SetTime::To(Timestamp { seconds: *seconds, nanoseconds: 0 });
                context.set_times(&location, time, time).map(done)
            }
        }
    }

    pub fn tree(&self, at: &Location, path: &str, in_memory: bool, out: &mut Vec<String>) {
        let mut names = Vec::new();
        at.node
            .list(2, &mut |entry| {
                names.push(entry.name.to_vec());
                true
            })
            .unwrap();
        names.sort();
        for name in names {
            let location = self.context.resolve(Some(at), &name, Follow::No).unwrap();
            let metadata = location.node.metadata().unwrap();
            let shown = format!("{path}/{}", String::from_utf8_lossy(&name));
            out.push(format!("{shown}: {}", self.describe(&metadata, in_memory)));
            let flags = OpenFlags::DIRECTORY;
            if metadata.kind == Kind::Directory
                && self.context.open(Some(at), &name, flags, 0).is_ok()
            {
                self.tree(&location, &shown, in_memory, out);
            }
            let time = SetTime::To(Timestamp { seconds: LONG_AGO, nanoseconds: 0 });
            self.context.set_times(&location, time, time).unwrap();
        }
    }
}

fn list(file: &Description) -> Result<Vec<(Vec<u8>, String)>, Errno> {
    let mut names = Vec::new();
    vfs::list_open(file, &mut |entry| {
        let kind = match entry.kind {
            Kind::Regular => "RegularFile",
            Kind::Directory => "Directory",
            Kind::Symlink => "Symlink",
            Kind::Fifo => "Fifo",
            Kind::Socket => "Socket",
            Kind::CharacterDevice => "CharacterDevice",
            Kind::BlockDevice => "BlockDevice",
            Kind::Anonymous => "Unknown",
        };
        names.push((entry.name.to_vec(), kind.to_string()));
        true
    })?;
    Ok(names)
}
