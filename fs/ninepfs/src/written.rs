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
/// A node that is in here stays, so that it can be asked for after its last user is gone. It is in here
/// until the server has answered, so that whoever calls `sync` meanwhile asks too.
#[derive(Default)]
pub struct Written {
    list: Mutex<List>,
    /// Held by `sync`: it goes round the list.
    syncing: Mutex<()>,
}

#[derive(Default)]
struct List {
    /// The oldest first.
    nodes: Vec<Arc<RemoteNode>>,
    /// What writing without anybody who asked for it could not do; the next `sync` tells.
    failed: Option<Errno>,
    /// Nobody can ask for all any more.
    ended: bool,
}

impl List {
    fn position(&self, node: &RemoteNode) -> Option<usize> {
        self.nodes.iter().position(|other| core::ptr::eq(&**other, node))
    }

    /// The oldest, which counts as the latest from now on.
    fn next(&mut self) -> Option<Arc<RemoteNode>> {
        let oldest = self.nodes.first()?.clone();
        self.nodes.rotate_left(1);
        Some(oldest)
    }
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
            let mut list = self.list.lock();
            if list.ended || node.noted.swap(true, AcqRel) || list.position(node).is_some() {
                return;
            }
            let oldest = if list.nodes.len() >= MOST { list.next() } else { None };
            match fallible::push(&mut list.nodes, me) {
                Ok(()) => oldest,
                Err(_) => node.me().ok(),
            }
        };
        let Some(now) = now else { return };
        if let Err(error) = write(&now) {
            self.list.lock().failed = Some(error);
            self.forget(&now);
        }
    }

    /// The node is nobody's any more.
    pub fn forget(&self, node: &RemoteNode) {
        node.noted.store(false, Release);
        self.leave(node);
    }

    /// Takes a node out, unless it has changed again.
    fn leave(&self, node: &RemoteNode) {
        let left = {
            let mut list = self.list.lock();
            let at = if node.noted.load(Acquire) { None } else { list.position(node) };
            at.map(|at| list.nodes.remove(at))
        };
        // Perhaps its last user: without the lock.
        drop(left);
    }

    /// Asks the server to write a node.
    pub fn write(
        &self,
        node: &RemoteNode,
        ask: impl FnOnce() -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        // One after the other: each takes it out for what it has asked.
        let _asking = node.syncing.lock();
        // Before: what is written meanwhile may come too late.
        let changed = node.noted.swap(false, AcqRel);
        let result = ask();
        if result.is_ok() {
            self.leave(node);
        } else if changed {
            let list = self.list.lock();
            node.noted.fetch_or(list.position(node).is_some(), AcqRel);
        }
        result
    }

    /// Has the server write all; returns the first error.
    pub fn sync(&self) -> Result<(), Errno> {
        let _syncing = self.syncing.lock();
        let (count, failed) = {
            let mut list = self.list.lock();
            (list.nodes.len(), list.failed.take())
        };
        let mut result = failed.map_or(Ok(()), Err);
        for _ in 0..count {
            let Some(node) = self.list.lock().next() else { break };
            result = result.and(write(&node));
        }
        result
    }

    /// Has the server write all for the last time.
    pub fn end(&self) {
        self.list.lock().ended = true;
        // There is nobody to be told.
        let _ = self.sync();
        // They keep the file system.
        let left = core::mem::take(&mut self.list.lock().nodes);
        drop(left);
    }
}

fn write(node: &RemoteNode) -> Result<(), Errno> {
    match node.sync(SyncKind::All) {
        // Somebody has removed it.
        Err(Errno::ENOENT) => {
            node.shared.written.forget(node);
            Ok(())
        }
        result => result,
    }
}
