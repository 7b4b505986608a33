//! Moving names.

use ukerrno::Errno;
use vfs::Rename;

use crate::node::{HostNode, Name};

impl HostNode {
    pub fn move_name(&self, rename: &Rename<'_>) -> Result<(), Errno> {
        let to = self.from(rename.directory).ok_or(Errno::EXDEV)?;
        let node = self.from(rename.node).ok_or(Errno::EXDEV)?;
        let (from_name, to_name) = (Name::new(rename.from)?, Name::new(rename.to)?);
        self.check_is(&from_name, rename.node)?;
        match rename.replaced {
            Some(replaced) => to.check_is(&to_name, replaced)?,
            None if to.fd.metadata_of(&to_name).is_ok() => return Err(Errno::ESTALE),
            None => {}
        }
        self.fd.rename(&from_name, (&to.fd, &to_name), rename.exchange)?;
        node.set_place(Some((&to.me()?, rename.to)))?;
        if let Some(replaced) = rename.replaced.and_then(|r| self.from(r)) {
            if rename.exchange {
                replaced.set_place(Some((&self.me()?, rename.from)))?;
            } else {
                replaced.place.lock().name = None;
            }
        }
        Ok(())
    }
}
