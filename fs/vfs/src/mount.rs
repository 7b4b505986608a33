//! Mounts: which file system is where.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use bitflags::bitflags;
use ukerrno::Errno;
use ukfile::{Kind, fallible};
use uklock::{Mutex, RwLock};

use crate::node::{FileSystem, NodeRef, same};
use crate::registry;
use crate::walk::MAX_NAME;

bitflags! {
    /// Properties of a mount, with the values of `mount(2)`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct MountFlags: u32 {
        /// Nothing can be changed.
        const READ_ONLY = 1;
        /// Set-user-id bits do not count.
        const NO_SUID = 2;
        /// Device files cannot be opened.
        const NO_DEVICES = 4;
        /// Nothing can be executed.
        const NO_EXECUTE = 8;
        /// Every write waits until it cannot be lost.
        const SYNCHRONOUS = 16;
        /// Reading is not noted.
        const NO_ATIME = 1024;
        /// Reading of directories is not noted.
        const NO_DIRECTORY_ATIME = 2048;
        /// Reading is noted once after a change, and once a day: what file systems here do anyway.
        const RELATIVE_ATIME = 1 << 21;
    }
}

/// A file system with what all its mounts have in common.
struct Whole {
    file_system: Arc<dyn FileSystem>,
    /// Its kind, by the name that whoever mounted it used.
    kind: &'static str,
    /// Whether nothing of it can be changed, through whatever mount.
    read_only: AtomicBool,
    /// Regular files that are open for writing.
    writers: AtomicUsize,
}

/// A file system, or a part of one, that stands somewhere in the tree.
pub struct Mount {
    id: u64,
    whole: Arc<Whole>,
    root: NodeRef,
    source: Box<[u8]>,
    flags: AtomicU32,
    /// Regular files that are open for writing through this mount.
    writers: AtomicUsize,
    /// The directory it hides.
    at: Mutex<Option<Location>>,
    mounted: AtomicUsize,
    /// Whether something else than a directory was ever mounted at: most are not, and most lookups are
    /// for those.
    hides_files: AtomicBool,
    /// What is mounted in it, and at which directory; the latest last.
    children: RwLock<Vec<(NodeRef, Arc<Mount>)>>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Held while properties of mounts change.
static REMOUNT: Mutex<()> = Mutex::new(());

impl Mount {
    /// A mount that is nowhere in a tree yet: the root of one, or for [`Location::mount`].
    ///
    /// # Errors
    /// `ENOMEM`
    pub fn new(
        file_system: Arc<dyn FileSystem>,
        source: &[u8],
        flags: MountFlags,
    ) -> Result<Arc<Self>, Errno> {
        let kind = file_system.name();
        Self::of_kind(kind, file_system, source, flags)
    }

    /// The same of a file system that is made: of `source`, with `options`, of the registered `kind`.
    ///
    /// # Errors
    /// `ENODEV` when there is no such kind; `ENOMEM`; what the file system says.
    pub fn open(
        kind: &[u8],
        source: &[u8],
        options: &[u8],
        flags: MountFlags,
    ) -> Result<Arc<Self>, Errno> {
        let (name, kind) = registry::named(kind)?;
        Self::of_kind(name, (kind.open)(source, options, flags)?, source, flags)
    }

    fn of_kind(
        kind: &'static str,
        file_system: Arc<dyn FileSystem>,
        source: &[u8],
        flags: MountFlags,
    ) -> Result<Arc<Self>, Errno> {
        let root = file_system.root();
        let read_only = AtomicBool::new(flags.contains(MountFlags::READ_ONLY));
        let writers = AtomicUsize::new(0);
        let whole = fallible::arc(Whole { file_system, kind, read_only, writers })?;
        Self::with(whole, root, source, flags)
    }

    /// Another mount of the part of this file system that is below `root` (a *bind mount*), with the
    /// properties of this one.
    ///
    /// # Errors
    /// `ENOMEM`
    pub fn bind(&self, root: NodeRef, source: &[u8]) -> Result<Arc<Self>, Errno> {
        Self::with(self.whole.clone(), root, source, self.own_flags())
    }

    fn with(
        whole: Arc<Whole>,
        root: NodeRef,
        source: &[u8],
        flags: MountFlags,
    ) -> Result<Arc<Self>, Errno> {
        fallible::arc(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            whole,
            root,
            source: fallible::copy(source)?,
            flags: AtomicU32::new(flags.bits()),
            writers: AtomicUsize::new(0),
            at: Mutex::new(None),
            mounted: AtomicUsize::new(0),
            hides_files: AtomicBool::new(false),
            children: RwLock::new(Vec::new()),
        })
    }

    /// Number, unique in the image.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The file system.
    pub fn file_system(&self) -> &Arc<dyn FileSystem> {
        &self.whole.file_system
    }

    /// The kind of the file system, by the name that whoever mounted it used.
    pub fn kind(&self) -> &'static str {
        self.whole.kind
    }

    /// The topmost directory.
    pub fn root(&self) -> &NodeRef {
        &self.root
    }

    /// What was mounted, in the words of whoever did.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// Properties; it is read-only too when the whole file system is.
    #[inline]
    pub fn flags(&self) -> MountFlags {
        let mut flags = self.own_flags();
        flags.set(MountFlags::READ_ONLY, self.is_read_only());
        flags
    }

    fn own_flags(&self) -> MountFlags {
        MountFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    #[inline]
    fn is_read_only(&self) -> bool {
        let own = MountFlags::from_bits_retain(self.flags.load(Ordering::SeqCst));
        own.contains(MountFlags::READ_ONLY) || self.whole.read_only.load(Ordering::SeqCst)
    }

    /// Gives it other properties.
    ///
    /// # Errors
    /// `EBUSY` when it is to be read-only and files are open for writing through it.
    pub fn remount(&self, flags: MountFlags) -> Result<(), Errno> {
        let _one = REMOUNT.lock();
        let old = self.flags.swap(flags.bits(), Ordering::SeqCst);
        if flags.contains(MountFlags::READ_ONLY) && self.writers.load(Ordering::SeqCst) > 0 {
            self.flags.store(old, Ordering::SeqCst);
            return Err(Errno::EBUSY);
        }
        Ok(())
    }

    /// Gives it other properties and the whole file system too: with all its mounts it becomes read-only, or
    /// can be changed again.
    ///
    /// # Errors
    /// `EBUSY` when it is to be read-only and files are open for writing through any mount; what the file
    /// system says.
    pub fn remount_whole(&self, flags: MountFlags) -> Result<(), Errno> {
        let _one = REMOUNT.lock();
        let whole = &*self.whole;
        if flags.contains(MountFlags::READ_ONLY) {
            // Before the file system: what is changed meanwhile would be changed behind it.
            let old = whole.read_only.swap(true, Ordering::SeqCst);
            let idle = whole.writers.load(Ordering::SeqCst) == 0;
            let done = if idle { whole.file_system.remount(flags) } else { Err(Errno::EBUSY) };
            if done.is_err() {
                whole.read_only.store(old, Ordering::SeqCst);
                return done;
            }
        } else {
            // After it: before, it takes no changes.
            whole.file_system.remount(flags)?;
            whole.read_only.store(false, Ordering::SeqCst);
        }
        self.flags.store(flags.bits(), Ordering::SeqCst);
        Ok(())
    }

    /// A file is being opened for writing; `EROFS`. The order is the other way round than in
    /// [`Self::remount`]: one of both sees the other.
    pub(crate) fn add_writer(&self) -> Result<(), Errno> {
        self.writers.fetch_add(1, Ordering::SeqCst);
        self.whole.writers.fetch_add(1, Ordering::SeqCst);
        if !self.is_read_only() {
            return Ok(());
        }
        self.remove_writer();
        Err(Errno::EROFS)
    }

    pub(crate) fn remove_writer(&self) {
        self.whole.writers.fetch_sub(1, Ordering::SeqCst);
        self.writers.fetch_sub(1, Ordering::SeqCst);
    }

    /// The directory it hides; `None` at the root of the tree, and when it is unmounted.
    pub fn at(&self) -> Option<Location> {
        self.at.lock().clone()
    }

    /// What is mounted at `node`, the latest.
    #[inline]
    pub(crate) fn child_at(&self, node: &NodeRef, kind: Kind) -> Option<Arc<Mount>> {
        if self.mounted.load(Ordering::Acquire) == 0 {
            return None;
        }
        if kind != Kind::Directory && !self.hides_files.load(Ordering::Relaxed) {
            return None;
        }
        self.listed_at(node)
    }

    fn listed_at(&self, node: &NodeRef) -> Option<Arc<Mount>> {
        let children = self.children.read();
        children.iter().rev().find(|(at, _)| same(at, node)).map(|(_, mount)| mount.clone())
    }

    /// Calls `visit` with this mount and all below. Where some come and go meanwhile, others may be left
    /// out.
    pub fn each(self: &Arc<Self>, visit: &mut dyn FnMut(&Arc<Mount>)) {
        visit(self);
        // One after the other, as who visits may take its time, and without memory for a list.
        for index in 0.. {
            let child = match self.children.read().get(index) {
                Some((_, child)) => child.clone(),
                None => return,
            };
            child.each(visit);
        }
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount")
            .field("id", &self.id)
            .field("file_system", &self.kind())
            .finish_non_exhaustive()
    }
}

/// A place in the tree: a node, and the mount through which it was reached.
#[derive(Clone)]
pub struct Location {
    /// The mount.
    pub mount: Arc<Mount>,
    /// The node.
    pub node: NodeRef,
}

impl Location {
    /// The topmost directory of a mount.
    pub fn root_of(mount: Arc<Mount>) -> Self {
        Self { node: mount.root.clone(), mount }
    }

    /// Whether both are the same place.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount) && same(&self.node, &other.node)
    }

    /// The node that `name` means in this directory.
    #[inline]
    pub(crate) fn child(&self, name: &[u8]) -> Result<NodeRef, Errno> {
        if name.len() > MAX_NAME {
            return Err(Errno::ENAMETOOLONG);
        }
        self.node.lookup(name)
    }

    /// Goes into what is mounted here, at a node of this kind, if something is.
    #[inline]
    pub(crate) fn enter(mut self, kind: Kind) -> Self {
        while let Some(child) = self.mount.child_at(&self.node, kind) {
            self = Self::root_of(child);
        }
        self
    }

    /// Whether something is mounted here.
    pub fn is_mount_point(&self) -> bool {
        self.mount.child_at(&self.node, self.node.kind()).is_some()
    }

    /// Whether it is the topmost directory of its mount.
    pub fn is_mount_root(&self) -> bool {
        same(&self.node, &self.mount.root)
    }

    /// The directory above, also out of a mount; `None` at the root of the tree.
    pub fn up(&self) -> Option<Self> {
        if self.is_mount_root() {
            // What it hides may itself be the top of another mount.
            return self.mount.at()?.up();
        }
        let node = self.node.parent()?;
        Some(Self { mount: self.mount.clone(), node })
    }

    /// Where the symbolic link that is here leads to. That it was read is noted.
    ///
    /// # Errors
    /// `EINVAL` when it is none, and what the file system says.
    pub fn read_link(&self) -> Result<Arc<[u8]>, Errno> {
        let target = self.node.read_link()?;
        if !self.mount.own_flags().contains(MountFlags::NO_ATIME) {
            self.node.note_read();
        }
        Ok(target)
    }

    /// Puts `mount` here. Other paths through this place see it from now on.
    ///
    /// # Errors
    /// `ENOMEM`; `EBUSY` when it is mounted already.
    pub fn mount(&self, mount: &Arc<Mount>) -> Result<(), Errno> {
        let mut children = self.mount.children.write();
        children.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        {
            let mut at = mount.at.lock();
            if at.is_some() {
                return Err(Errno::EBUSY);
            }
            *at = Some(self.clone());
        }
        children.push((self.node.clone(), mount.clone()));
        if self.node.kind() != Kind::Directory {
            self.mount.hides_files.store(true, Ordering::Relaxed);
        }
        self.mount.mounted.store(children.len(), Ordering::Release);
        Ok(())
    }

    /// Takes away the mount whose topmost directory this is. Unless `detach`, nobody may be using
    /// it: no open file, no working directory, no mount below.
    ///
    /// # Errors
    /// `EINVAL` when this is no mount; `EBUSY`
    pub fn unmount(self, detach: bool) -> Result<(), Errno> {
        if !self.is_mount_root() {
            return Err(Errno::EINVAL);
        }
        let Self { mount, node } = self;
        drop(node);
        let at = mount.at().ok_or(Errno::EINVAL)?;
        let mut siblings = at.mount.children.write();
        let index =
            siblings.iter().position(|(_, m)| Arc::ptr_eq(m, &mount)).ok_or(Errno::EINVAL)?;
        // The list of the mount above holds one reference, this call another.
        if !detach && (Arc::strong_count(&mount) > 2 || !mount.children.read().is_empty()) {
            return Err(Errno::EBUSY);
        }
        let (_, removed) = siblings.remove(index);
        at.mount.mounted.store(siblings.len(), Ordering::Release);
        drop(siblings);
        *removed.at.lock() = None;
        if detach {
            let mut detached = DETACHED.lock();
            detached.retain(|mount| mount.strong_count() > 0);
            // Without memory for the note, who still uses it has to synchronise it.
            let _ = fallible::push(&mut detached, Arc::downgrade(&removed));
        }
        // It is unmounted whatever comes of this, as on Linux.
        let _ = removed.file_system().sync();
        Ok(())
    }
}

static ROOT: Mutex<Option<Location>> = Mutex::new(None);
/// Mounts that were taken away while they were in use.
static DETACHED: Mutex<Vec<Weak<Mount>>> = Mutex::new(Vec::new());

/// Calls `visit` with all mounts: those in the tree, and those that are in use without being there.
pub fn each_mount(visit: &mut dyn FnMut(&Arc<Mount>)) {
    if let Some(root) = root() {
        root.mount.each(visit);
    }
    for index in 0.. {
        let Some(mount) = DETACHED.lock().get(index).map(Weak::upgrade) else { return };
        if let Some(mount) = mount {
            mount.each(visit);
        }
    }
}

/// The root of the tree, once there is one.
pub fn root() -> Option<Location> {
    ROOT.lock().clone()
}

/// Sets the root of the tree, for processes that start.
pub fn set_root(root: Location) {
    let old = ROOT.lock().replace(root);
    drop(old);
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Location")
            .field("mount", &self.mount)
            .field("kind", &self.node.kind())
            .finish_non_exhaustive()
    }
}
