//! The files that are registered, by path.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use ukerrno::Errno;
use uklock::{Mutex, OnceLock};
use vfs::{FileSystem, NodeRef, Statistics};

use crate::Content;
use crate::node::ProcNode;

/// `PROC_SUPER_MAGIC` (statfs(2)).
const MAGIC: u64 = 0x9fa0;

/// Entries of a directory, by name, each with a position that stays.
pub type Entries = Mutex<BTreeMap<Box<str>, Arc<ProcNode>>>;

/// There is one tree: what is registered is there once.
pub struct ProcFs {
    root: Arc<ProcNode>,
}

static TREE: OnceLock<Arc<ProcFs>> = OnceLock::new();

fn tree() -> &'static Arc<ProcFs> {
    TREE.get_or_init(|| Arc::new(ProcFs { root: ProcNode::directory("", None) }))
}

/// The file system.
pub fn file_system() -> Arc<dyn FileSystem> {
    tree().clone()
}

/// Puts something under a path, which begins with no slash; directories on the way are made.
///
/// # Errors
/// `EEXIST` when something is there already; `ENOTDIR` when something on the way is no directory.
pub fn register(path: &str, content: Content) -> Result<(), Errno> {
    let mut here = tree().root.clone();
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
        let next = {
            let mut entries = here.entries().ok_or(Errno::ENOTDIR)?.lock();
            let made = || ProcNode::directory(folder, Some(&here));
            entries.entry(folder.into()).or_insert_with(made).clone()
        };
        here = next;
    }
    let mut entries = here.entries().ok_or(Errno::ENOTDIR)?.lock();
    if entries.contains_key(name) {
        return Err(Errno::EEXIST);
    }
    entries.insert(name.into(), ProcNode::leaf(name, &here, content));
    Ok(())
}

impl FileSystem for ProcFs {
    fn name(&self) -> &'static str {
        "proc"
    }

    fn root(&self) -> NodeRef {
        self.root.clone()
    }

    fn statistics(&self) -> Result<Statistics, Errno> {
        Ok(Statistics { magic: MAGIC, block_size: 4096, name_length: 255, ..Statistics::default() })
    }
}
