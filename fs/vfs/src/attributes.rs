//! Metadata: `stat`, `chmod`, `chown`, `utimensat`, `access`, `truncate`.

use ukerrno::Errno;
use ukfile::{Kind, Metadata, Timestamp};

use crate::context::Context;
use crate::credentials::WRITE;
use crate::mount::{Location, MountFlags};
use crate::node::Change;
use crate::open::check_writable;
use crate::walk::Follow;

/// A time for [`Context::set_times`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// Leave it: `UTIME_OMIT`.
    Omit,
    /// `UTIME_NOW`.
    Now,
    /// This one.
    To(Timestamp),
}

/// What `access` asks for: a sum of [`READ`](crate::READ), [`WRITE`](crate::WRITE) and
/// [`EXECUTE`](crate::EXECUTE), or 0 for being there at all.
pub type Access = u16;

impl Context {
    /// `fstatat`.
    ///
    /// # Errors
    /// As `stat(2)`.
    #[inline]
    pub fn metadata(
        &self,
        at: Option<&Location>,
        path: &[u8],
        follow: Follow,
    ) -> Result<Metadata, Errno> {
        self.look_at((at, path, follow), |node, _| node.metadata())
    }

    /// `chmod` of what is at `location`.
    ///
    /// # Errors
    /// As `chmod(2)`; `EOPNOTSUPP` for symbolic links.
    pub fn set_permissions(&self, location: &Location, permissions: u16) -> Result<(), Errno> {
        check_writable(location)?;
        let metadata = location.node.metadata()?;
        if metadata.kind == Kind::Symlink {
            return Err(Errno::EOPNOTSUPP);
        }
        if !self.credentials.owns(&metadata) {
            return Err(Errno::EPERM);
        }
        let mut permissions = permissions & 0o7777;
        if !self.credentials.is_root() && !self.credentials.is_in(metadata.group) {
            permissions &= !0o2000;
        }
        location.node.change(&Change { permissions: Some(permissions), ..Change::default() })
    }

    /// `chown` of what is at `location`; `None` leaves the user or the group.
    ///
    /// # Errors
    /// As `chown(2)`.
    pub fn set_owner(
        &self,
        location: &Location,
        user: Option<u32>,
        group: Option<u32>,
    ) -> Result<(), Errno> {
        check_writable(location)?;
        let metadata = location.node.metadata()?;
        let who = &self.credentials;
        if !who.is_root() {
            let own = who.user == metadata.user;
            let user_stays = user.is_none_or(|user| own && user == metadata.user);
            let group_fits =
                group.is_none_or(|group| own && (group == metadata.group || who.is_in(group)));
            if !user_stays || !group_fits {
                return Err(Errno::EPERM);
            }
        }
        // Whoever gives a program away does not give his rights away (POSIX.1-2024, chown()).
        let mut permissions = None;
        if metadata.kind != Kind::Directory && metadata.permissions & 0o6000 != 0 {
            let mut kept = metadata.permissions & !0o4000;
            if kept & 0o10 != 0 {
                kept &= !0o2000;
            }
            permissions = (kept != metadata.permissions).then_some(kept);
        }
        location.node.change(&Change { user, group, permissions, ..Change::default() })
    }

    /// `utimensat` of what is at `location`.
    ///
    /// # Errors
    /// As `utimensat(2)`.
    pub fn set_times(
        &self,
        location: &Location,
        accessed: SetTime,
        modified: SetTime,
    ) -> Result<(), Errno> {
        if (accessed, modified) == (SetTime::Omit, SetTime::Omit) {
            return Ok(());
        }
        check_writable(location)?;
        if !self.credentials.is_root() {
            let metadata = location.node.metadata()?;
            if !self.credentials.owns(&metadata) {
                if (accessed, modified) != (SetTime::Now, SetTime::Now) {
                    return Err(Errno::EPERM);
                }
                self.credentials.check(&metadata, WRITE)?;
            }
        }
        let now = Timestamp::now();
        let time = |to| match to {
            SetTime::Omit => None,
            SetTime::Now => Some(now),
            SetTime::To(time) => Some(time),
        };
        let (accessed, modified) = (time(accessed), time(modified));
        location.node.change(&Change { accessed, modified, ..Change::default() })
    }

    /// `access` to what is at `location`, with these credentials.
    ///
    /// # Errors
    /// As `access(2)`.
    pub fn check_access(&self, location: &Location, wanted: Access) -> Result<(), Errno> {
        let metadata = location.node.metadata()?;
        let flags = location.mount.flags();
        let regular = metadata.kind == Kind::Regular;
        if wanted & WRITE != 0
            && flags.contains(MountFlags::READ_ONLY)
            && matches!(metadata.kind, Kind::Regular | Kind::Directory | Kind::Symlink)
        {
            return Err(Errno::EROFS);
        }
        if wanted & crate::EXECUTE != 0 && regular && flags.contains(MountFlags::NO_EXECUTE) {
            return Err(Errno::EACCES);
        }
        self.credentials.check(&metadata, wanted)
    }

    /// `truncate` of what is at `location`.
    ///
    /// # Errors
    /// As `truncate(2)`.
    pub fn set_size(&self, location: &Location, size: i64) -> Result<(), Errno> {
        let size = u64::try_from(size).map_err(|_| Errno::EINVAL)?;
        match location.node.kind() {
            Kind::Directory => return Err(Errno::EISDIR),
            Kind::Regular => {}
            _ => return Err(Errno::EINVAL),
        }
        check_writable(location)?;
        if !self.credentials.is_root() {
            self.credentials.check(&location.node.metadata()?, WRITE)?;
        }
        self.resize(&location.node, size)
    }
}
