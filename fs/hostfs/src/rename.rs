//! Moving names.

use ukerrno::Errno;
use vfs::{Ahead, Rename};

use crate::node::{HostNode, Name};
use crate::sys::{RENAME_EXCHANGE, RENAME_NOREPLACE};

impl HostNode {
    pub fn move_name(&self, rename: &Rename<'_>) -> Result<(), Errno> {
        let to = self.from(rename.directory).ok_or(Errno::EXDEV)?;
        let node = self.from(rename.node).ok_or(Errno::EXDEV)?;
        let (from_name, to_name) = (Name::new(rename.from)?, Name::new(rename.to)?);
        self.check_is(&from_name, rename.node)?;
        let renamed = match rename.replaced {
            Some(replaced) => {
                to.check_is(&to_name, replaced)?;
                let how = if rename.exchange { RENAME_EXCHANGE } else { 0 };
                self.fd.rename(&from_name, (&to.fd, &to_name), how)
            }
            None => self.rename_to_new(&from_name, (to, &to_name)),
        };
        renamed?;
        Ahead::forget(&to.ahead);
        node.me()?.set_place(Some((&to.me()?, rename.to)))?;
        if let Some(replaced) = rename.replaced.and_then(|r| self.from(r)) {
            if rename.exchange {
                replaced.me()?.set_place(Some((&self.me()?, rename.from)))?;
            } else {
                replaced.place.lock().name = None;
            }
        }
        Ok(())
    }

    /// Replaces nothing: whoever outside has made the name meanwhile keeps what he made.
    fn rename_to_new(&self, from: &Name, (to, name): (&Self, &Name)) -> Result<(), Errno> {
        match self.fd.rename(from, (&to.fd, name), RENAME_NOREPLACE) {
            Err(Errno::EEXIST) => Err(Errno::ESTALE),
            // A file system of the host that cannot, or something else that is wrong.
            Err(Errno::EINVAL) if to.fd.metadata_of(name).is_ok() => Err(Errno::ESTALE),
            Err(Errno::EINVAL) => self.fd.rename(from, (&to.fd, name), 0),
            result => result,
        }
    }
}
