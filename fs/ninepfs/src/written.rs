//! What the server has not been asked to write yet.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Release};

use ukerrno::Errno;
use ukfile::{SyncKind, fallible};
use uklock::Mutex;
use vfs::Node as _;

use crate::node::RemoteNode;

/// Nodes that are remembered at most. Each keeps a file open on the server.
const MOST: usize = 128;

/// Files that were written to, and directories whose entries changed, since the server was last asked
/// to write them: the protocol has words for one file at a time, and `sync` is about all.
///
/// A node that is in here stays, so that it can be asked for after its last user is gone.
#[derive(Default)]
pub struct Written(Mutex<List>);

#[derive(Default)]
struct List {
    /// The oldest first.
    nodes: Vec<Arc<RemoteNode>>,
    /// What writing without anybody who asked for it could not do; the next `sync` tells.
    failed: Option<Errno>,
    /// Nobody can ask for all any more.
    ended: bool,
}

impl Written {
    /// Notes that a node has changed. Of too many the oldest is written now, and where there is no
    /// memory to remember this one, it is.
    pub fn note(&self, node: &RemoteNode) {
        if node.noted.load(Acquire) || node.has_no_name() {
            return;
        }
        // Not while it goes.
        let Ok(me) = node.me() else { return };
        let now = {
            let mut list = self.0.lock();
            if list.ended || node.noted.swap(true, AcqRel) {
                return;
            }
            let oldest = if list.nodes.len() >= MOST { Some(list.nodes.remove(0)) } else { None };
            match fallible::push(&mut list.nodes, me) {
                Ok(()) => oldest,
                Err(_) => {
                    node.noted.store(false, Release);
                    node.me().ok()
                }
            }
        };
        let Some(now) = now else { return };
        now.noted.store(false, Release);
        if let Err(error) = write(&now) {
            self.0.lock().failed = Some(error);
        }
    }

    /// The server is about to be asked to write a node, or the node is nobody's any more.
    pub fn forget(&self, node: &RemoteNode) {
        if !node.noted.load(Acquire) {
            return;
        }
        let forgotten = {
            let mut list = self.0.lock();
            node.noted.store(false, Release);
            let at = list.nodes.iter().position(|other| core::ptr::eq(&**other, node));
            at.map(|at| list.nodes.remove(at))
        };
        // Perhaps its last user: without the lock.
        drop(forgotten);
    }

    /// Has the server write all; returns the first error.
    pub fn sync(&self) -> Result<(), Errno> {
        let (nodes, failed) = {
            let mut list = self.0.lock();
            let nodes = core::mem::take(&mut list.nodes);
            // What is changed from here on is noted again.
            nodes.iter().for_each(|node| node.noted.store(false, Release));
            (nodes, list.failed.take())
        };
        let mut result = failed.map_or(Ok(()), Err);
        for node in nodes {
            result = result.and(write(&node));
        }
        result
    }

    /// Has the server write all for the last time.
    pub fn end(&self) {
        self.0.lock().ended = true;
        // There is nobody to be told.
        let _ = self.sync();
    }
}

fn write(node: &RemoteNode) -> Result<(), Errno> {
    match node.sync(SyncKind::All) {
        // Somebody has removed it.
        Err(Errno::ENOENT) => Ok(()),
        result => result,
    }
}
