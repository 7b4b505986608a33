//! From requests to answers.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use hostfs::HostFs;
use p9::{Attributes, Names, Qid, Qids, Request, Response, SetAttributes, attribute, set};
use ukerrno::Errno;
use ukfile::{Kind, Metadata, OpenFlags, SyncKind, Timestamp};
use vfs::{Change, FileSystem, NodeRef};

use crate::Access;
use crate::fids::{Fid, Fids, Open, qid};
use crate::{locks, set_id};

/// Bytes of a message at most.
const MAX_MESSAGE: u32 = 1 << 20;
/// Messages that are shorter are of no use to anybody.
const LEAST_MESSAGE: u32 = 512;
/// Bytes of a `Rlerror`.
const ERROR: usize = p9::HEADER + 4;

/// Serves one directory to one client.
pub struct Server {
    pub(crate) file_system: Arc<HostFs>,
    pub(crate) access: Access,
    pub(crate) fids: Fids,
    /// Of the shared directory.
    device: u64,
    /// Bytes of a message at most, once that is agreed on.
    max_message: Option<usize>,
}

/// An answer: a message, or one that is written already.
pub(crate) enum Answer<'a> {
    Message(Response<'a>),
    Written(usize),
}

impl<'a> From<Response<'a>> for Answer<'a> {
    fn from(response: Response<'a>) -> Self {
        Self::Message(response)
    }
}

impl Server {
    /// Shares the directory `path`.
    ///
    /// # Errors
    /// It cannot be opened, or there is no `/proc`.
    pub fn new(path: &Path, access: Access) -> std::io::Result<Self> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        let opened = match access {
            Access::ReadOnly => HostFs::for_reading(path.as_bytes()),
            Access::ReadWrite => HostFs::new(path.as_bytes()),
        };
        let opened = opened.and_then(|fs| {
            let device = fs.root().metadata()?.device;
            Ok((fs, device))
        });
        let (file_system, device) =
            opened.map_err(|error| std::io::Error::from_raw_os_error(error.number().into()))?;
        Ok(Self { file_system, access, fids: Fids::default(), device, max_message: None })
    }

    /// How many fids the client has.
    pub fn open_fids(&self) -> usize {
        self.fids.len()
    }

    /// Does what a request asks for, and writes the answer into `reply`; returns how long it is.
    /// That is 0 when there is no room for any answer.
    pub fn handle(&mut self, request: &[u8], reply: &mut [u8]) -> usize {
        let tag = p9::peek(request).map_or(p9::NO_TAG, |(_, _, tag)| tag);
        let most = self.max_message.unwrap_or(MAX_MESSAGE as usize).min(reply.len());
        let reply = &mut reply[..most];
        let written = match Request::decode(request) {
            Ok((_, request)) => self.answer(tag, &request, reply),
            Err(_) => Err(Errno::EPROTO),
        };
        written.unwrap_or_else(|error| {
            let error = Response::Error { errno: error.number().into() };
            error.encode(tag, reply).unwrap_or(0)
        })
    }

    fn answer(
        &mut self,
        tag: u16,
        request: &Request<'_>,
        reply: &mut [u8],
    ) -> Result<usize, Errno> {
        if reply.len() < ERROR {
            return Err(Errno::EMSGSIZE);
        }
        let mut target = Vec::new();
        let mut qids = Vec::new();
        let answer = match *request {
            Request::Version { size, version } => self.version(size, version).into(),
            _ if self.max_message.is_none() => return Err(Errno::EPROTO),
            Request::Read { fid, offset, count } => self.read(tag, fid, offset, count, reply)?,
            Request::Readdir { fid, offset, count } => self.list(tag, fid, offset, count, reply)?,
            Request::Readlink { fid } => {
                target.extend_from_slice(&self.fids.node(fid)?.read_link()?);
                Response::Readlink { target: &target }.into()
            }
            Request::Walk { fid, new_fid, names } => {
                self.walk(fid, new_fid, &names, &mut qids)?;
                Response::Walk { qids: Qids::List(&qids) }.into()
            }
            Request::Getlock { fid, lock } => {
                Response::Getlock { lock: locks::ask(&self.fids.node(fid)?, &lock)? }.into()
            }
            _ => self.simple(request)?.into(),
        };
        match answer {
            Answer::Written(length) => Ok(length),
            Answer::Message(response) => response.encode(tag, reply).map_err(|_| Errno::EMSGSIZE),
        }
    }

    /// Requests whose answers have no parts of any length.
    fn simple(&mut self, request: &Request<'_>) -> Result<Response<'static>, Errno> {
        if self.access == Access::ReadOnly && changes(request) {
            return Err(Errno::EROFS);
        }
        Ok(match *request {
            // No fid for that: nobody has to say who they are.
            Request::Auth { .. } => return Err(Errno::EOPNOTSUPP),
            Request::Attach { fid, tree, .. } => {
                if !tree.is_empty() && tree != b"/" {
                    return Err(Errno::ENOENT);
                }
                self.fids.check_new(fid)?;
                let node = self.file_system.root();
                let qid = self.qid(&node)?;
                self.fids.set(fid, Fid { node, open: Open::No });
                Response::Attach { qid }
            }
            // Every request is answered before the next is read.
            Request::Flush { .. } => Response::Flush {},
            Request::Clunk { fid } => {
                self.fids.remove(fid)?;
                Response::Clunk {}
            }
            Request::Remove { fid } => {
                // Its name is not known; the fid goes in any case.
                self.fids.remove(fid)?;
                return Err(Errno::EOPNOTSUPP);
            }
            Request::Statfs { fid } => {
                self.fids.get(fid)?;
                Response::Statfs { told: self.statistics()? }
            }
            Request::Getattr { fid, .. } => {
                let metadata = self.fids.node(fid)?.metadata()?;
                Response::Getattr { attributes: self.attributes(&metadata) }
            }
            Request::Setattr { fid, to } => {
                set_attributes(&self.fids.node(fid)?, &to)?;
                Response::Setattr {}
            }
            Request::Lopen { fid, flags } => {
                let qid = self.open(fid, OpenFlags::from_bits_truncate(flags))?;
                Response::Lopen { qid, unit: 0 }
            }
            Request::Lcreate { fid, name, flags, mode, .. } => {
                let flags = OpenFlags::from_bits_truncate(flags);
                let qid = self.create(fid, name, flags, mode)?;
                Response::Lcreate { qid, unit: 0 }
            }
            Request::Write { fid, offset, data } => {
                Response::Write { count: self.write(fid, offset, data.0)? }
            }
            Request::Fsync { fid, data_only } => {
                let what = if data_only != 0 { SyncKind::Data } else { SyncKind::All };
                self.fids.node(fid)?.sync(what)?;
                Response::Fsync {}
            }
            Request::Symlink { directory, name, target, .. } => {
                let qid = self.make(directory, name, Kind::Symlink, 0o777, target)?;
                Response::Symlink { qid }
            }
            Request::Mknod { directory, name, mode, .. } => {
                let kind = Kind::from_mode(mode).ok_or(Errno::EINVAL)?;
                if !matches!(kind, Kind::Regular | Kind::Fifo | Kind::Socket) {
                    return Err(Errno::EPERM);
                }
                Response::Mknod { qid: self.make(directory, name, kind, mode, b"")? }
            }
            Request::Mkdir { directory, name, mode, .. } => {
                Response::Mkdir { qid: self.make(directory, name, Kind::Directory, mode, b"")? }
            }
            Request::Link { directory, fid, name } => {
                let (directory, node) = (self.fids.node(directory)?, self.fids.node(fid)?);
                if node.kind() == Kind::Directory {
                    return Err(Errno::EPERM);
                }
                directory.link(name, &node)?;
                Response::Link {}
            }
            Request::Renameat { directory, name, new_directory, new_name } => {
                self.rename((directory, name), (new_directory, new_name))?;
                Response::Renameat {}
            }
            Request::Unlinkat { directory, name, flags } => {
                self.unlink(directory, name, flags)?;
                Response::Unlinkat {}
            }
            // By the fid alone: names of files are not known.
            Request::Rename { .. } | Request::Xattrwalk { .. } | Request::Xattrcreate { .. } => {
                return Err(Errno::EOPNOTSUPP);
            }
            Request::Lock { fid, lock } => {
                Response::Lock { status: locks::set(&self.fids.node(fid)?, &lock)? }
            }
            Request::Version { .. }
            | Request::Walk { .. }
            | Request::Read { .. }
            | Request::Readdir { .. }
            | Request::Getlock { .. }
            | Request::Readlink { .. } => return Err(Errno::EPROTO),
        })
    }

    /// Begins anew: all fids are gone.
    fn version(&mut self, size: u32, version: &[u8]) -> Response<'static> {
        self.fids.clear();
        let size = size.min(MAX_MESSAGE);
        if version != p9::VERSION || size < LEAST_MESSAGE {
            self.max_message = None;
            return Response::Version { size, version: b"unknown" };
        }
        self.max_message = Some(size as usize);
        Response::Version { size, version: p9::VERSION }
    }

    pub(crate) fn qid(&self, node: &NodeRef) -> Result<Qid, Errno> {
        Ok(qid(&node.metadata()?, self.device))
    }

    /// Goes through names; what was found of them is in `qids`. `new_fid` is made when all were.
    fn walk(
        &mut self,
        fid: u32,
        new_fid: u32,
        names: &Names<'_>,
        qids: &mut Vec<Qid>,
    ) -> Result<(), Errno> {
        let from = self.fids.get(fid)?;
        if fid == new_fid {
            if from.open != Open::No {
                return Err(Errno::EBUSY);
            }
        } else {
            self.fids.check_new(new_fid)?;
        }
        let mut node = from.node.clone();
        for name in names.iter() {
            let next = match name {
                b"." => Ok(node.clone()),
                b".." => Ok(node.parent().unwrap_or_else(|| self.file_system.root())),
                _ => node.lookup(name),
            };
            match next.and_then(|next| Ok((self.qid(&next)?, next))) {
                Ok((qid, next)) => {
                    qids.push(qid);
                    node = next;
                }
                Err(error) if qids.is_empty() => return Err(error),
                Err(_) => return Ok(()),
            }
        }
        self.fids.set(new_fid, Fid { node, open: Open::No });
        Ok(())
    }

    fn statistics(&self) -> Result<p9::Statistics, Errno> {
        let told = self.file_system.statistics()?;
        Ok(p9::Statistics {
            magic: told.magic as u32,
            block_size: u32::try_from(told.block_size).unwrap_or(4096),
            blocks: told.blocks,
            free: told.free,
            available: told.available,
            nodes: told.nodes,
            free_nodes: told.free_nodes,
            id: self.device,
            name_length: u32::try_from(told.name_length).unwrap_or(255),
        })
    }

    fn attributes(&self, metadata: &Metadata) -> Attributes {
        let seconds = |time: Timestamp| time.seconds as u64;
        let ns = |time: Timestamp| u64::from(time.nanoseconds);
        let created = metadata.created.unwrap_or_default();
        let birth = if metadata.created.is_some() { attribute::CREATED } else { 0 };
        Attributes {
            valid: attribute::BASIC | birth,
            qid: qid(metadata, self.device),
            mode: metadata.mode(),
            user: metadata.user,
            group: metadata.group,
            links: metadata.links.into(),
            special: metadata.special,
            size: metadata.size,
            block_size: metadata.block_size.into(),
            blocks: metadata.blocks,
            accessed: seconds(metadata.accessed),
            accessed_ns: ns(metadata.accessed),
            modified: seconds(metadata.modified),
            modified_ns: ns(metadata.modified),
            changed: seconds(metadata.changed),
            changed_ns: ns(metadata.changed),
            created: seconds(created),
            created_ns: ns(created),
            generation: 0,
            data_version: 0,
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("file_system", &self.file_system)
            .field("access", &self.access)
            .field("fids", &self.fids.len())
            .finish_non_exhaustive()
    }
}

/// Whether a request changes something. Opening is looked at when it is done.
fn changes(request: &Request<'_>) -> bool {
    matches!(
        request,
        Request::Lcreate { .. }
            | Request::Symlink { .. }
            | Request::Mknod { .. }
            | Request::Rename { .. }
            | Request::Setattr { .. }
            | Request::Xattrcreate { .. }
            | Request::Write { .. }
            | Request::Link { .. }
            | Request::Mkdir { .. }
            | Request::Renameat { .. }
            | Request::Unlinkat { .. }
            | Request::Remove { .. }
    )
}

fn set_attributes(node: &NodeRef, to: &SetAttributes) -> Result<(), Errno> {
    let has = |bit: u32| to.valid & bit != 0;
    let permissions = has(set::MODE).then_some((to.mode & 0o7777) as u16);
    if let Some(permissions) = permissions {
        // Those of one owner, and of one content, are not another's.
        let keeps_them = !has(set::USER) && !has(set::GROUP) && !has(set::SIZE);
        let now = if keeps_them { node.metadata()?.permissions } else { 0 };
        set_id::check(node.kind(), permissions, now)?;
    }
    if has(set::SIZE) {
        if node.kind() != Kind::Regular {
            let is_directory = node.kind() == Kind::Directory;
            return Err(if is_directory { Errno::EISDIR } else { Errno::EINVAL });
        }
        if i64::try_from(to.size).is_err() {
            return Err(Errno::EINVAL);
        }
        set_id::take(node)?;
        node.resize(to.size)?;
    }
    let time = |now: u32, given: u32, seconds: u64, nanoseconds: u64| {
        if !has(now) {
            return Ok(None);
        }
        if !has(given) {
            return Ok(Some(Timestamp::now()));
        }
        let nanoseconds = u32::try_from(nanoseconds).ok().filter(|ns| *ns < 1_000_000_000);
        let nanoseconds = nanoseconds.ok_or(Errno::EINVAL)?;
        Ok(Some(Timestamp { seconds: seconds as i64, nanoseconds }))
    };
    let change = Change {
        permissions,
        user: has(set::USER).then_some(to.user),
        group: has(set::GROUP).then_some(to.group),
        accessed: time(set::ACCESSED, set::ACCESSED_TO, to.accessed, to.accessed_ns)?,
        modified: time(set::MODIFIED, set::MODIFIED_TO, to.modified, to.modified_ns)?,
    };
    if change.permissions.is_some() && node.kind() == Kind::Symlink {
        return Err(Errno::EOPNOTSUPP);
    }
    node.change(&change)
}
