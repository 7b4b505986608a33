//! Nodes, and the descriptors behind them.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::any::Any;
use core::ffi::CStr;

use pipe::Fifo;
use ukerrno::Errno;
use ukfile::{Kind, OpenFlags, fallible};
use uklock::Mutex;
use vfs::{Ahead, Handles, NodeRef, Place};

use crate::fs::Shared;
use crate::sys::{Fd, O_NONBLOCK, O_PATH};

/// Device and number of a file of the host.
pub type Key = (u64, u64);

/// What is open of a file.
#[derive(Default)]
struct Opened {
    handles: Handles<Fd>,
    /// The one that locks belong to: two descriptors of the file would be in each other's way.
    locker: Option<Arc<Fd>>,
}

/// A file, directory, link … of the host.
pub struct HostNode {
    pub shared: Arc<Shared>,
    /// Open for its path alone.
    pub fd: Fd,
    pub kind: Kind,
    pub key: Key,
    pub place: Mutex<Place<HostNode>>,
    opened: Mutex<Opened>,
    /// Held while something is done that moves the position of a descriptor, and while the end of
    /// the file is written to.
    pub position: Mutex<()>,
    pub ahead: Mutex<Ahead>,
    pub fifo: Fifo,
    me: Weak<HostNode>,
}

impl HostNode {
    pub fn new(shared: &Arc<Shared>, fd: Fd, key: Key, kind: Kind) -> Result<Arc<Self>, Errno> {
        fallible::reserve(size_of::<Self>())?;
        Ok(Arc::new_cyclic(|me| Self {
            shared: shared.clone(),
            fd,
            kind,
            key,
            place: Mutex::default(),
            opened: Mutex::default(),
            position: Mutex::new(()),
            ahead: Mutex::default(),
            fifo: Fifo::default(),
            me: me.clone(),
        }))
    }

    /// The node behind a reference, when it is of this file system.
    pub fn from<'a>(&self, node: &'a NodeRef) -> Option<&'a Self> {
        let any: &dyn Any = &**node;
        any.downcast_ref::<Self>().filter(|n| Arc::ptr_eq(&n.shared, &self.shared))
    }

    pub fn me(&self) -> Result<Arc<Self>, Errno> {
        self.me.upgrade().ok_or(Errno::EIO)
    }

    /// Notes where a directory is.
    pub fn set_place(self: &Arc<Self>, place: Option<(&Arc<Self>, &[u8])>) -> Result<(), Errno> {
        match place {
            Some((parent, name)) if self.kind == Kind::Directory => {
                Place::note(self, |node| &node.place, parent, name).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Opens what was found, for what `flags` say, which are Linux's.
    fn open_as(&self, flags: OpenFlags) -> Result<Arc<Fd>, Errno> {
        let flags = flags.bits() as usize;
        let fd = match self.kind {
            Kind::Directory => self.fd.open_beneath(c".", flags, 0)?,
            _ => self.shared.links.open_link(&self.fd.name(), flags | O_NONBLOCK)?,
        };
        fallible::arc(fd)
    }

    /// A descriptor for reading.
    pub fn reader(&self) -> Result<Arc<Fd>, Errno> {
        self.opened.lock().handles.reader(self.kind, |flags| self.open_as(flags))
    }

    /// A descriptor for writing, which is good for reading too where the host lets us.
    pub fn writer(&self) -> Result<Arc<Fd>, Errno> {
        self.opened.lock().handles.writer(self.kind, |flags| self.open_as(flags))
    }

    /// The descriptor that has the locks.
    pub fn locker(&self) -> Result<Arc<Fd>, Errno> {
        if self.kind != Kind::Regular {
            return Err(Errno::EINVAL);
        }
        let mut opened = self.opened.lock();
        if let Some(fd) = &opened.locker {
            return Ok(fd.clone());
        }
        let first = match self.shared.reads_only {
            true => OpenFlags::READ_ONLY,
            false => OpenFlags::READ_WRITE,
        };
        let fd = match self.open_as(first) {
            Err(Errno::EACCES | Errno::EROFS) => self.open_as(OpenFlags::READ_ONLY)?,
            opened => opened?,
        };
        opened.locker = Some(fd.clone());
        Ok(fd)
    }

    /// Any descriptor that is open, for what works with each.
    pub fn any_open(&self) -> Result<Arc<Fd>, Errno> {
        let open = self.opened.lock().handles.any();
        open.map_or_else(|| self.reader(), Ok)
    }

    /// Gets ready to be opened.
    pub fn prepare(&self, flags: OpenFlags) -> Result<(), Errno> {
        if flags.asks_to_write() {
            self.writer()?;
        }
        if flags.asks_to_read() {
            self.reader()?;
        }
        Ok(())
    }

    /// Takes over a descriptor of a file that was just made: its permissions may allow nobody to
    /// open it.
    pub fn keep(&self, fd: Fd) -> Result<(), Errno> {
        self.opened.lock().handles.keep(fallible::arc(fd)?);
        Ok(())
    }

    /// The same file, open for its path alone.
    pub fn path_of(&self, fd: &Fd) -> Result<Fd, Errno> {
        self.shared.links.open_link(&fd.name(), O_PATH)
    }
}

impl Drop for HostNode {
    fn drop(&mut self) {
        self.shared.forget(self.key);
        self.place.get_mut().let_go(|node| node.place.get_mut());
    }
}

/// A copy with a zero at its end.
pub fn with_zero(text: &[u8]) -> Result<Box<[u8]>, Errno> {
    let mut copy = fallible::zeroed(text.len() + 1)?;
    copy[..text.len()].copy_from_slice(text);
    Ok(copy)
}

/// Bytes with one zero, at their end.
pub fn as_c(text: &[u8]) -> Result<&CStr, Errno> {
    CStr::from_bytes_with_nul(text).map_err(|_| Errno::EINVAL)
}

/// A name as the host takes it.
pub struct Name {
    bytes: [u8; vfs::MAX_NAME + 1],
    length: usize,
}

impl Name {
    /// Refuses what is no name: nothing, `.`, `..`, and what has a `/` or a zero.
    pub fn new(name: &[u8]) -> Result<Self, Errno> {
        if name.len() > vfs::MAX_NAME {
            return Err(Errno::ENAMETOOLONG);
        }
        if matches!(name, b"" | b"." | b"..") || name.iter().any(|b| matches!(b, b'/' | 0)) {
            return Err(Errno::EINVAL);
        }
        let mut bytes = [0; vfs::MAX_NAME + 1];
        bytes[..name.len()].copy_from_slice(name);
        Ok(Self { bytes, length: name.len() })
    }
}

impl core::ops::Deref for Name {
    type Target = CStr;

    fn deref(&self) -> &CStr {
        CStr::from_bytes_with_nul(&self.bytes[..=self.length]).unwrap_or(c"")
    }
}
