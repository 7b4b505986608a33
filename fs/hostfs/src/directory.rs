//! Entries of directories.

use ukerrno::Errno;
use ukfile::{Kind, Metadata, fallible};
use vfs::{Ahead, Entry, New, NodeRef};

use alloc::sync::Arc;

use crate::node::{HostNode, Name, as_c, with_zero};
use crate::sys::{AT_REMOVEDIR, Fd, O_CREAT, O_EXCL, O_PATH, O_RDWR, O_TMPFILE};

/// Bytes of entries that are asked for at a time.
const ENTRIES: usize = 8 << 10;

/// An entry of `getdents64`: number, position behind, type, name.
type HostEntry<'a> = (u64, u64, u8, &'a [u8]);

/// The first entry in a buffer of `getdents64`, and what comes after it.
fn first(buffer: &[u8]) -> Option<(HostEntry<'_>, &[u8])> {
    let (head, _) = buffer.split_first_chunk::<19>()?;
    let word = |at: usize| head[at..at + 8].try_into().map_or(0, u64::from_ne_bytes);
    let length = usize::from(u16::from_ne_bytes([head[16], head[17]]));
    let name = buffer.get(19..length)?;
    let end = name.iter().position(|&b| b == 0)?;
    Some(((word(0), word(8), head[18], &name[..end]), &buffer[length..]))
}

impl HostNode {
    fn find(&self, name: &Name) -> Result<Fd, Errno> {
        // Nothing may make the tree above try again for ever.
        self.fd.open_beneath(name, O_PATH, 0).map_err(|error| match error {
            Errno::ESTALE => Errno::EIO,
            error => error,
        })
    }

    pub fn child(&self, name: &[u8]) -> Result<Arc<HostNode>, Errno> {
        if self.kind != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        let fd = self.find(&Name::new(name)?)?;
        self.shared.node(fd, Some((&self.me()?, name)))
    }

    /// The node that was just made under `name`, with these permissions whatever the umask is.
    fn made(&self, name: &[u8], permissions: u16) -> Result<Arc<HostNode>, Errno> {
        let node = self.child(name)?;
        let now = node.fd.metadata()?;
        let wanted = permissions | now.permissions & 0o2000;
        if now.kind != Kind::Symlink && now.permissions != wanted {
            self.shared.links.set_permissions(&node.fd.name(), wanted)?;
        }
        Ok(node)
    }

    pub fn make(&self, name: &[u8], new: &New<'_>) -> Result<Arc<HostNode>, Errno> {
        let host_name = Name::new(name)?;
        match new.kind {
            Kind::Regular => {
                let flags = O_RDWR | O_CREAT | O_EXCL;
                let fd = self.fd.open_beneath(&host_name, flags, new.permissions)?;
                return self.adopt(fd, Some((&self.me()?, name)), new.permissions);
            }
            Kind::Directory => self.fd.make_directory(&host_name, new.permissions)?,
            Kind::Symlink => {
                let target = with_zero(new.target)?;
                self.fd.make_symlink(as_c(&target)?, &host_name)?;
            }
            kind => {
                let mode = kind.mode_bits() | u32::from(new.permissions);
                self.fd.make_node(&host_name, mode, new.special)?;
            }
        }
        self.made(name, new.permissions)
    }

    /// The node of a regular file that was just made and opened.
    fn adopt(
        &self,
        fd: Fd,
        place: Option<(&Arc<HostNode>, &[u8])>,
        permissions: u16,
    ) -> Result<Arc<HostNode>, Errno> {
        if fd.metadata()?.permissions != permissions {
            self.shared.links.set_permissions(&fd.name(), permissions)?;
        }
        let node = self.shared.node(self.path_of(&fd)?, place)?;
        node.keep(fd)?;
        Ok(node)
    }

    pub fn make_unnamed(&self, new: &New<'_>, linkable: bool) -> Result<Arc<HostNode>, Errno> {
        let flags = O_RDWR | O_TMPFILE | if linkable { 0 } else { O_EXCL };
        let fd = self.fd.open_beneath(c".", flags, new.permissions)?;
        self.adopt(fd, None, new.permissions)
    }

    pub fn give_name(&self, name: &[u8], node: &NodeRef) -> Result<(), Errno> {
        let node = self.from(node).ok_or(Errno::EXDEV)?;
        self.fd.link(&self.shared.links, &node.fd.name(), &Name::new(name)?)
    }

    /// `ESTALE` unless `name` means `node` here.
    pub fn check_is(&self, name: &Name, node: &NodeRef) -> Result<(), Errno> {
        let expected = self.from(node).ok_or(Errno::EXDEV)?.key;
        let Metadata { device, inode, .. } = self.fd.metadata_of(name).map_err(|e| match e {
            Errno::ENOENT => Errno::ESTALE,
            e => e,
        })?;
        if (device, inode) == expected { Ok(()) } else { Err(Errno::ESTALE) }
    }

    pub fn remove(&self, name: &[u8], node: &NodeRef, directory: bool) -> Result<(), Errno> {
        let name = Name::new(name)?;
        self.check_is(&name, node)?;
        self.fd.unlink(&name, if directory { AT_REMOVEDIR } else { 0 })?;
        if directory && let Some(node) = self.from(node) {
            node.place.lock().name = None;
        }
        Ok(())
    }

    pub fn entries(
        &self,
        from: u64,
        visit: &mut dyn FnMut(&Entry<'_>) -> bool,
    ) -> Result<(), Errno> {
        if self.kind != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        let mut at = vfs::position_to(from);
        if let Some(ahead) = Ahead::take(&self.ahead, at)
            && let Some(left) = self.visit(ahead.bytes(), &mut at, visit).map(<[u8]>::len)
        {
            ahead.put_back(&self.ahead, at, left);
            return Ok(());
        }
        let reader = self.reader()?;
        let mut buffer = fallible::zeroed(ENTRIES)?;
        loop {
            let length = {
                let _position = self.position.lock();
                reader.seek(at, 0)?;
                reader.entries(&mut buffer)?
            };
            if length == 0 {
                return Ok(());
            }
            if let Some(left) = self.visit(&buffer[..length], &mut at, visit) {
                Ahead::keep(&self.ahead, at, left);
                return Ok(());
            }
        }
    }

    /// Visits entries as they came from the host; `at` moves on behind those that were taken. Returns
    /// those that are left when `visit` takes no more.
    fn visit<'a>(
        &self,
        mut entries: &'a [u8],
        at: &mut u64,
        visit: &mut dyn FnMut(&Entry<'_>) -> bool,
    ) -> Option<&'a [u8]> {
        while let Some(((inode, next, kind, name), rest)) = first(entries) {
            let kind = match Kind::from_mode(u32::from(kind) << 12) {
                _ if matches!(name, b"." | b"..") => None,
                Some(told) if kind != 0 => Some(told),
                // The host's file system does not tell. What is gone by now is no entry.
                _ => {
                    let metadata = Name::new(name).and_then(|n| self.fd.metadata_of(&n));
                    metadata.ok().map(|metadata| metadata.kind)
                }
            };
            if let Some(kind) = kind
                && !visit(&Entry { name, inode, kind, next: vfs::position_from(next) })
            {
                return Some(entries);
            }
            (*at, entries) = (next, rest);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_is_no_entry() {
        let mut entry = [0u8; 24];
        entry[0] = 7;
        entry[16] = 24;
        entry[18] = 8;
        entry[19..21].copy_from_slice(b"ab");
        assert_eq!(first(&entry), Some(((7, 0, 8, &b"ab"[..]), &b""[..])));
        for length in 0..24 {
            assert_eq!(first(&entry[..length]), None);
        }
        entry[16] = 3;
        assert_eq!(first(&entry), None);
    }
}
