//! Making and removing names.

use alloc::borrow::Cow;
use alloc::sync::Arc;

use ukerrno::Errno;
use ukfile::{Kind, Metadata};

use crate::context::Context;
use crate::mount::Location;
use crate::node::{New, NodeRef};
use crate::open::check_writable;
use crate::walk::{Follow, Last, MAX_PATH, Name, Walk};

impl Context {
    /// `mkdirat`.
    ///
    /// # Errors
    /// As `mkdirat(2)`.
    pub fn make_directory(
        &self,
        at: Option<&Location>,
        path: &[u8],
        permissions: u16,
    ) -> Result<(), Errno> {
        let mut walk = Walk::new(self, path)?;
        let (directory, name) = self.new_name(&mut walk, at, true)?;
        // The set-id bits of a directory do not come from here.
        let new = self.new_node(&directory, Kind::Directory, permissions & 0o1777)?;
        directory.node.create(walk.bytes(&name), &new).map(drop)
    }

    /// `mknodat`: a regular file, a named pipe, a socket, or a device with the number `special`.
    ///
    /// # Errors
    /// As `mknodat(2)`.
    pub fn make_node(
        &self,
        at: Option<&Location>,
        path: &[u8],
        kind: Kind,
        permissions: u16,
        special: u64,
    ) -> Result<(), Errno> {
        match kind {
            Kind::Directory => return Err(Errno::EPERM),
            Kind::Symlink => return Err(Errno::EINVAL),
            _ => {}
        }
        let mut walk = Walk::new(self, path)?;
        let (directory, name) = self.new_name(&mut walk, at, false)?;
        let device = matches!(kind, Kind::CharacterDevice | Kind::BlockDevice);
        if device && !self.credentials.is_root() {
            return Err(Errno::EPERM);
        }
        let special = if device { special } else { 0 };
        let new = New { special, ..self.new_node(&directory, kind, permissions)? };
        directory.node.create(walk.bytes(&name), &new).map(drop)
    }

    /// `symlinkat`: a symbolic link that leads to `target`.
    ///
    /// # Errors
    /// As `symlinkat(2)`.
    pub fn make_symlink(
        &self,
        target: &[u8],
        at: Option<&Location>,
        path: &[u8],
    ) -> Result<(), Errno> {
        match target.len() {
            0 => return Err(Errno::ENOENT),
            MAX_PATH.. => return Err(Errno::ENAMETOOLONG),
            _ => {}
        }
        let mut walk = Walk::new(self, path)?;
        let (directory, name) = self.new_name(&mut walk, at, false)?;
        let new =
            New { permissions: 0o777, target, ..self.new_node(&directory, Kind::Symlink, 0)? };
        directory.node.create(walk.bytes(&name), &new).map(drop)
    }

    /// `linkat`: a further name for what is at `old`.
    ///
    /// # Errors
    /// As `linkat(2)`.
    pub fn make_link(
        &self,
        old: &Location,
        at: Option<&Location>,
        path: &[u8],
    ) -> Result<(), Errno> {
        let mut walk = Walk::new(self, path)?;
        let (directory, last) = walk.parent(at)?;
        let name = self.free_name(&walk, &directory, last, false)?;
        if !Arc::ptr_eq(&old.mount, &directory.mount) {
            return Err(Errno::EXDEV);
        }
        self.check_create(&directory)?;
        if old.node.kind() == Kind::Directory {
            return Err(Errno::EPERM);
        }
        directory.node.link(walk.bytes(&name), &old.node)
    }

    /// `unlinkat`: removes a name that is no directory's.
    ///
    /// # Errors
    /// As `unlink(2)`.
    pub fn unlink(&self, at: Option<&Location>, path: &[u8]) -> Result<(), Errno> {
        self.again(|| {
            let mut walk = Walk::new(self, path)?;
            let (directory, last) = walk.parent(at)?;
            let Last::Name(name) = last else { return Err(Errno::EISDIR) };
            check_writable(&directory)?;
            let node = directory.child(walk.bytes(&name))?;
            let is_directory = node.kind() == Kind::Directory;
            if name.slash {
                return Err(if is_directory { Errno::EISDIR } else { Errno::ENOTDIR });
            }
            self.check_remove(&directory, &node)?;
            if is_directory {
                return Err(Errno::EISDIR);
            }
            check_not_mounted(&directory, &node)?;
            directory.node.unlink(walk.bytes(&name), &node)
        })
    }

    /// `unlinkat` with `AT_REMOVEDIR`: removes an empty directory.
    ///
    /// # Errors
    /// As `rmdir(2)`.
    pub fn remove_directory(&self, at: Option<&Location>, path: &[u8]) -> Result<(), Errno> {
        self.again(|| {
            let mut walk = Walk::new(self, path)?;
            let (directory, last) = walk.parent(at)?;
            let name = match last {
                Last::Name(name) => name,
                Last::Root => return Err(Errno::EBUSY),
                Last::Dot => return Err(Errno::EINVAL),
                Last::DotDot => return Err(Errno::ENOTEMPTY),
            };
            check_writable(&directory)?;
            let node = directory.child(walk.bytes(&name))?;
            self.check_remove(&directory, &node)?;
            if node.kind() != Kind::Directory {
                return Err(Errno::ENOTDIR);
            }
            check_not_mounted(&directory, &node)?;
            directory.node.remove_directory(walk.bytes(&name), &node)
        })
    }

    /// `readlinkat`: where a symbolic link leads to.
    ///
    /// # Errors
    /// As `readlinkat(2)`.
    pub fn read_link(&self, at: Option<&Location>, path: &[u8]) -> Result<Arc<[u8]>, Errno> {
        self.resolve(at, path, Follow::No)?.read_link()
    }

    /// Repeats what was overtaken by somebody else. Where that never ends, somebody tells different
    /// things of one file.
    pub(crate) fn again<T>(
        &self,
        mut operation: impl FnMut() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        const TRIES: usize = 1000;
        for _ in 0..TRIES {
            match operation() {
                Err(Errno::ESTALE) => {}
                result => return result,
            }
        }
        Err(Errno::ESTALE)
    }

    /// The directory and name of something that is to be made.
    fn new_name<'a>(
        &self,
        walk: &mut Walk<'a>,
        at: Option<&'a Location>,
        directory: bool,
    ) -> Result<(Cow<'a, Location>, Name), Errno> {
        let (parent, last) = walk.parent(at)?;
        let name = self.free_name(walk, &parent, last, directory)?;
        self.check_create(&parent)?;
        Ok((parent, name))
    }

    /// Linux's filename_create(): what is there is told first, then what cannot be made.
    fn free_name(
        &self,
        walk: &Walk<'_>,
        parent: &Location,
        last: Last,
        directory: bool,
    ) -> Result<Name, Errno> {
        let Last::Name(name) = last else { return Err(Errno::EEXIST) };
        match parent.child(walk.bytes(&name)) {
            Ok(_) => Err(Errno::EEXIST),
            Err(Errno::ENOENT) if name.slash && !directory => Err(Errno::ENOENT),
            Err(Errno::ENOENT) => {
                check_writable(parent)?;
                Ok(name)
            }
            Err(error) => Err(error),
        }
    }

    /// Checks that `node` may be removed from `directory`, as far as rights go.
    pub(crate) fn check_remove(&self, directory: &Location, node: &NodeRef) -> Result<(), Errno> {
        self.check_create(directory)?;
        if self.credentials.is_root() {
            return Ok(());
        }
        let above = directory.node.metadata()?;
        self.check_sticky(&above, &node.metadata()?)
    }

    /// In a sticky directory only owners remove: of the directory, or of what is in it.
    fn check_sticky(&self, directory: &Metadata, node: &Metadata) -> Result<(), Errno> {
        let sticky = directory.permissions & 0o1000 != 0;
        let user = self.credentials.user;
        if sticky && user != directory.user && user != node.user {
            return Err(Errno::EPERM);
        }
        Ok(())
    }
}

/// What something is mounted on stays.
pub(crate) fn check_not_mounted(directory: &Location, node: &NodeRef) -> Result<(), Errno> {
    let location = Location { mount: directory.mount.clone(), node: node.clone() };
    if location.is_mount_point() { Err(Errno::EBUSY) } else { Ok(()) }
}
