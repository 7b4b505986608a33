//! Nodes, and what is open of them on the server.

use alloc::sync::{Arc, Weak};
use core::any::Any;
use core::sync::atomic::AtomicBool;

use pipe::Fifo;
use ukerrno::Errno;
use ukfile::{Kind, Metadata, OpenFlags, fallible};
use uklock::Mutex;
use vfs::{Ahead, Handles, NodeRef, Place};

use crate::client::Fid;
use crate::fs::Shared;

/// What is known of an open file that has lost names here.
struct Known {
    metadata: Metadata,
    /// How many it has lost, or is about to lose.
    lost: usize,
}

/// A file, directory, link … of the server.
pub struct RemoteNode {
    pub shared: Arc<Shared>,
    fid: Mutex<Arc<Fid>>,
    kind: Kind,
    /// The server's number.
    pub path: u64,
    pub place: Mutex<Place<RemoteNode>>,
    opened: Mutex<Handles<Fid>>,
    /// What was known of an open file when it lost a name here. Servers that know files by their
    /// names, as QEMU's before 10.1, tell nothing of it once it has none.
    last_known: Mutex<Option<Known>>,
    /// Held while it is written to, so that the end stays where it was seen.
    pub writing: Mutex<()>,
    /// Whether it has changed since the server was last asked to write it.
    pub noted: AtomicBool,
    /// Held while the server is asked to.
    pub syncing: Mutex<()>,
    pub ahead: Mutex<Ahead>,
    pub fifo: Fifo,
    me: Weak<RemoteNode>,
}

impl RemoteNode {
    pub fn new(shared: &Arc<Shared>, fid: Fid, path: u64, kind: Kind) -> Result<Arc<Self>, Errno> {
        fallible::reserve(size_of::<Self>())?;
        let fid = fallible::arc(fid)?;
        Ok(Arc::new_cyclic(|me| Self {
            shared: shared.clone(),
            fid: Mutex::new(fid),
            kind,
            path,
            place: Mutex::default(),
            opened: Mutex::default(),
            last_known: Mutex::new(None),
            writing: Mutex::new(()),
            noted: AtomicBool::new(false),
            syncing: Mutex::new(()),
            ahead: Mutex::default(),
            fifo: Fifo::default(),
            me: me.clone(),
        }))
    }

    /// The node behind a reference, when it is of this file system.
    pub fn from<'a>(&self, node: &'a NodeRef) -> Result<&'a Self, Errno> {
        let any: &dyn Any = &**node;
        let node = any.downcast_ref::<Self>().filter(|n| Arc::ptr_eq(&n.shared, &self.shared));
        node.ok_or(Errno::EXDEV)
    }

    pub fn me(&self) -> Result<Arc<Self>, Errno> {
        self.me.upgrade().ok_or(Errno::EIO)
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the server knows it by.
    pub fn fid(&self) -> Arc<Fid> {
        self.fid.lock().clone()
    }

    /// Takes another fid of the same file; returns the old one.
    pub fn replace_fid(&self, fid: Fid) -> Result<Arc<Fid>, Errno> {
        let fid = fallible::arc(fid)?;
        Ok(core::mem::replace(&mut *self.fid.lock(), fid))
    }

    /// Notes where a directory is; returns whether that is news.
    pub fn set_place(self: &Arc<Self>, place: Option<(&Arc<Self>, &[u8])>) -> Result<bool, Errno> {
        let Some((parent, name)) = place else { return Ok(false) };
        if self.kind != Kind::Directory {
            // A file may have several names; the one it was found by now is there.
            return Ok(true);
        }
        Place::note(self, |node| &node.place, parent, name)
    }

    /// Opens it, for what `flags` say; those of `Lopen` are Linux's.
    fn open_as(&self, flags: OpenFlags) -> Result<Arc<Fid>, Errno> {
        // The fid that is walked from must not be open.
        let (fid, _) = self.fid().walk(None)?;
        fid.open(flags.bits())?;
        fallible::arc(fid)
    }

    /// A fid for reading.
    pub fn reader(&self) -> Result<Arc<Fid>, Errno> {
        self.opened.lock().reader(self.kind, |flags| self.open_as(flags))
    }

    /// A fid for writing, which is good for reading too where the server lets us.
    pub fn writer(&self) -> Result<Arc<Fid>, Errno> {
        self.opened.lock().writer(self.kind, |flags| self.open_as(flags))
    }

    /// What is open, if something is.
    pub fn any_open(&self) -> Option<Arc<Fid>> {
        self.opened.lock().any()
    }

    /// The fid that locks are asked for with.
    pub fn lockable(&self) -> Result<Arc<Fid>, Errno> {
        if self.kind != Kind::Regular {
            return Err(Errno::EINVAL);
        }
        self.any_open().map_or_else(|| self.reader(), Ok)
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

    /// Takes over what was opened when the file was made: its permissions may allow nobody to open
    /// it.
    pub fn keep(&self, fid: Fid) -> Result<(), Errno> {
        self.opened.lock().keep(fallible::arc(fid)?);
        Ok(())
    }

    /// Takes a name from a file.
    pub fn losing_name(&self, change: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
        let noted = self.before_unlink();
        let result = change();
        match result {
            Ok(()) => self.after_unlink(),
            Err(error) if noted => self.after_failed_unlink(error),
            Err(_) => {}
        }
        result
    }

    /// An open file is about to lose a name. Returns whether that was noted.
    fn before_unlink(&self) -> bool {
        if self.any_open().is_none() {
            return false;
        }
        let Ok(mut metadata) = self.shared.metadata(&self.fid()) else { return false };
        metadata.links = metadata.links.saturating_sub(1);
        let mut known = self.last_known.lock();
        let lost = known.as_ref().map_or(0, |known| known.lost) + 1;
        *known = Some(Known { metadata, lost });
        true
    }

    /// It has kept that name, unless somebody has removed it on the server. What else was noted
    /// meanwhile stays.
    fn after_failed_unlink(&self, error: Errno) {
        if error == Errno::ENOENT {
            match self.shared.metadata(&self.fid()) {
                Ok(told) if told.links > 0 => {}
                Ok(_) | Err(Errno::ENOENT) => return,
                Err(_) => {}
            }
        }
        {
            let mut last_known = self.last_known.lock();
            match &mut *last_known {
                Some(known) if known.lost > 1 => {
                    known.lost -= 1;
                    known.metadata.links = known.metadata.links.saturating_add(1);
                }
                _ => *last_known = None,
            }
        }
        // What was written meanwhile to a file without a name was not.
        self.shared.written.note(self);
    }

    /// Whether it has lost its last name here.
    pub fn has_no_name(&self) -> bool {
        self.last_known.lock().as_ref().is_some_and(|known| known.metadata.links == 0)
    }

    /// It has just lost a name.
    fn after_unlink(&self) {
        if self.kind == Kind::Directory {
            self.place.lock().name = None;
        }
        if self.kind == Kind::Directory || self.has_no_name() {
            // Nobody misses what it had; kept, it would take storage.
            self.shared.written.forget(self);
        }
    }

    /// Its entries have changed.
    pub fn changed_entries(&self) {
        Ahead::forget(&self.ahead);
        self.shared.written.note(self);
    }

    /// Changes entries. What fails may be half done.
    pub fn changing_entries<T>(
        &self,
        change: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let result = change();
        self.changed_entries();
        result
    }

    /// Notes what this image does to a file that has perhaps no name.
    pub fn note(&self, change: impl FnOnce(&mut Metadata)) {
        if let Some(known) = &mut *self.last_known.lock() {
            change(&mut known.metadata);
        }
    }

    /// What `stat` tells.
    pub fn told(&self) -> Result<Metadata, Errno> {
        match self.shared.metadata(&self.fid()) {
            Err(Errno::ENOENT) => {
                let known = self.last_known.lock();
                known.as_ref().map(|known| known.metadata).ok_or(Errno::ENOENT)
            }
            told => told,
        }
    }
}

impl Drop for RemoteNode {
    fn drop(&mut self) {
        self.shared.forget(self.path);
        self.place.get_mut().let_go(|node| node.place.get_mut());
    }
}
