//! The files that are registered, by path.

use alloc::sync::Arc;

use ukerrno::Errno;
use uklock::{Mutex, OnceLock};
use ukmap::SortedMap;
use vfs::{FileSystem, NodeRef, Statistics};

use crate::Content;
use crate::node::ProcNode;

/// `PROC_SUPER_MAGIC` (statfs(2)).
const MAGIC: u64 = 0x9fa0;

/// Entries of a directory, by name.
pub type Entries = Mutex<SortedMap<&'static str, Arc<ProcNode>>>;

/// There is one tree: what is registered is there once.
pub struct ProcFs {
    root: Arc<ProcNode>,
    device: u64,
}

static TREE: OnceLock<Arc<ProcFs>> = OnceLock::new();

/// Made at boot, when there is memory or nothing goes at all.
fn tree() -> &'static Arc<ProcFs> {
    TREE.get_or_init(|| {
        let root = Arc::new(ProcNode::directory("", None));
        Arc::new(ProcFs { root, device: vfs::next_device() })
    })
}

/// The number of the file system.
pub fn device() -> u64 {
    tree().device
}

/// The file system.
pub fn file_system() -> Arc<dyn FileSystem> {
    tree().clone()
}

/// Puts something under a path, which begins with no slash; directories on the way are made.
///
/// # Errors
/// `EEXIST` when something is there already; `ENOTDIR` when something on the way is no directory;
/// `ENOMEM`
pub fn register(path: &'static str, content: Content) -> Result<(), Errno> {
    let mut here = tree().root.clone();
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
        let known = here.entries().ok_or(Errno::ENOTDIR)?.lock().get(&folder).cloned();
        here = match known {
            Some(next) => next,
            None => add(&here, folder, ProcNode::directory(folder, Some(&here)))?,
        };
    }
    add(&here, name, ProcNode::leaf(name, &here, content)).map(drop)
}

fn add(to: &ProcNode, name: &'static str, node: ProcNode) -> Result<Arc<ProcNode>, Errno> {
    let node = ukfile::fallible::arc(node)?;
    let mut entries = to.entries().ok_or(Errno::ENOTDIR)?.lock();
    if entries.contains_key(&name) {
        return Err(Errno::EEXIST);
    }
    entries.try_insert(name, node.clone()).map_err(|_| Errno::ENOMEM)?;
    Ok(node)
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
