//! The view of the tree that a process has.

use alloc::vec::Vec;

use ukerrno::Errno;

use crate::credentials::Credentials;
use crate::mount::Location;

/// The view of the tree that a process has: its root and working directories, whom it acts for,
/// and which permissions new files do not get.
///
/// Paths are bytes, as they are in the file system. Relative ones start at `at`, or at the working
/// directory where that is [`None`]: the functions are those of the `*at` family.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where `/` is; nothing above it can be reached (`chroot`).
    pub root: Location,
    /// The working directory.
    pub working: Location,
    /// For whom.
    pub credentials: Credentials,
    /// Permissions that new files do not get.
    pub umask: u16,
}

impl Context {
    /// The view of user 0 with the root directory `root`.
    pub fn new(root: Location) -> Self {
        Self { working: root.clone(), root, credentials: Credentials::default(), umask: 0o022 }
    }

    /// The path of a directory as seen from the root directory.
    ///
    /// # Errors
    /// `ENOENT` when it was removed; `ENOMEM`
    pub fn path_of(&self, directory: &Location) -> Result<Vec<u8>, Errno> {
        let mut names = Vec::new();
        let mut here = directory.clone();
        let reachable = loop {
            if here.is(&self.root) {
                break true;
            }
            if here.is_mount_root() {
                match here.mount.at() {
                    Some(at) => here = at,
                    None => break false,
                }
                continue;
            }
            let name = here.node.name()?.ok_or(Errno::ENOENT)?;
            let parent = here.node.parent().ok_or(Errno::ENOENT)?;
            ukfile::fallible::push(&mut names, name)?;
            here.node = parent;
        };
        let mut path = Vec::new();
        let length = names.iter().map(|n| n.len() + 1).sum::<usize>();
        path.try_reserve_exact(length + 16).map_err(|_| Errno::ENOMEM)?;
        if !reachable {
            // As Linux says it.
            path.extend_from_slice(b"(unreachable)");
        }
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if names.is_empty() {
            path.push(b'/');
        }
        Ok(path)
    }
}
