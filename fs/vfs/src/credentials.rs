//! Who asks, and what they may.

use alloc::sync::Arc;

use ukerrno::Errno;
use ukfile::{Kind, Metadata};

/// Users and groups on whose behalf files are used. The default is user 0, who may everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// User.
    pub user: u32,
    /// Group.
    pub group: u32,
    /// Further groups.
    pub groups: Option<Arc<[u32]>>,
}

/// May read.
pub const READ: u16 = 4;
/// May write.
pub const WRITE: u16 = 2;
/// May execute, or search in a directory.
pub const EXECUTE: u16 = 1;

impl Credentials {
    /// Whether this is user 0.
    #[inline]
    pub const fn is_root(&self) -> bool {
        self.user == 0
    }

    /// Whether they belong to `group`.
    pub fn is_in(&self, group: u32) -> bool {
        self.group == group || self.groups.as_ref().is_some_and(|g| g.contains(&group))
    }

    /// Whether they own the file, or are user 0.
    pub fn owns(&self, file: &Metadata) -> bool {
        self.is_root() || self.user == file.user
    }

    /// Checks for all of the rights `wanted`: [`READ`], [`WRITE`], [`EXECUTE`], or their sum
    /// (POSIX.1-2024, 4.7).
    ///
    /// # Errors
    /// `EACCES`
    pub fn check(&self, file: &Metadata, wanted: u16) -> Result<(), Errno> {
        let granted = if self.is_root() {
            let executable = file.kind == Kind::Directory || file.permissions & 0o111 != 0;
            READ | WRITE | if executable { EXECUTE } else { 0 }
        } else if self.user == file.user {
            file.permissions >> 6
        } else if self.is_in(file.group) {
            file.permissions >> 3
        } else {
            file.permissions
        };
        if wanted & !granted == 0 { Ok(()) } else { Err(Errno::EACCES) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_class_decides() {
        let file = Metadata { permissions: 0o074, user: 5, group: 6, ..Metadata::default() };
        let who = |user, group, groups: &[u32]| Credentials {
            user,
            group,
            groups: Some(Arc::from(groups)),
        };
        assert_eq!(who(5, 6, &[]).check(&file, READ), Err(Errno::EACCES), "the owner may not");
        assert_eq!(who(7, 6, &[]).check(&file, READ | WRITE | EXECUTE), Ok(()));
        assert_eq!(who(7, 8, &[1, 6]).check(&file, WRITE), Ok(()));
        assert_eq!(who(7, 8, &[]).check(&file, READ), Ok(()));
        assert_eq!(who(7, 8, &[]).check(&file, READ | WRITE), Err(Errno::EACCES));
        let root = Credentials::default();
        assert_eq!(root.check(&file, READ | WRITE | EXECUTE), Ok(()));
        let plain = Metadata { permissions: 0o666, ..file };
        assert_eq!(root.check(&plain, EXECUTE), Err(Errno::EACCES));
    }
}
