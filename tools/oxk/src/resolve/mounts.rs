//! Kinds of file systems that the manifest mounts.

use super::{Resolver, error};
use crate::diagnostic::{Result, did_you_mean};
use crate::manifest::{MountSource, SHARE};
use crate::pool::Library;

/// The collection of kinds of file systems.
const FILE_SYSTEMS: &str = "file-systems";

fn is_file_system(library: &Library) -> bool {
    library.registers.iter().any(|(collection, _)| collection == FILE_SYSTEMS)
}

impl Resolver<'_> {
    /// Refuses types that no library has.
    pub(super) fn check_mounts(&self) -> Result<()> {
        for mount in &self.manifest.mounts {
            let MountSource::Library(kind, _) = &mount.source else { continue };
            if self.pool.get(&kind.value).is_some_and(is_file_system) {
                continue;
            }
            let known = self.pool.libraries().filter(|l| is_file_system(l));
            let known: Vec<&str> = [SHARE].into_iter().chain(known.map(|l| &*l.name)).collect();
            let near = did_you_mean(&kind.value, known.iter().copied());
            let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
            let cause = format!("there is no file system of type `{}`", kind.value);
            let help = format!("{near}types: {}", known.join(", "));
            return Err(error(self.manifest, cause, &kind.span).help(help));
        }
        Ok(())
    }
}
