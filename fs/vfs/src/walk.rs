//! From paths to nodes.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use ukerrno::Errno;
use ukfile::Kind;

use crate::context::Context;
use crate::credentials::EXECUTE;
use crate::mount::{Location, Mount};
use crate::node::{NodeRef, same};

/// Bytes of a path at most, with the zero that ends it in C.
pub const MAX_PATH: usize = 4096;
/// Bytes of a name at most.
pub const MAX_NAME: usize = 255;
/// Symbolic links that a path may lead through.
pub const MAX_LINKS: u32 = 40;

/// Whether a symbolic link at the end of a path stands for itself or for what it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// For what it leads to.
    Yes,
    /// For itself, unless a `/` follows.
    No,
}

/// A walk along a path.
pub(crate) struct Walk<'a> {
    context: &'a Context,
    path: Cow<'a, [u8]>,
    links: u32,
    /// The last name is that of a file which may be made: no `/` can follow.
    pub names_file: bool,
    /// The directory in which such a file was found; `None` where the path ends with `.` or `..`, and
    /// where a link leads to no path ([`Node::jump`](crate::Node::jump)).
    pub directory: Option<Here<'a>>,
}

/// Where a walk is. What it only passes is borrowed: counting references takes as long as looking up a
/// name.
pub(crate) enum Here<'a> {
    /// Where it started.
    At(&'a Location),
    /// Further on.
    In { mount: Cow<'a, Arc<Mount>>, node: NodeRef },
}

impl<'a> Here<'a> {
    #[inline]
    pub fn node(&self) -> &NodeRef {
        match self {
            Here::At(location) => &location.node,
            Here::In { node, .. } => node,
        }
    }

    #[inline]
    pub fn mount(&self) -> &Arc<Mount> {
        match self {
            Here::At(location) => &location.mount,
            Here::In { mount, .. } => mount,
        }
    }

    /// The place, borrowed where the walk began there.
    pub fn into_place(self) -> Cow<'a, Location> {
        match self {
            Here::At(location) => Cow::Borrowed(location),
            Here::In { mount, node } => Cow::Owned(Location { mount: mount.into_owned(), node }),
        }
    }

    fn is(&self, other: &Location) -> bool {
        Arc::ptr_eq(self.mount(), &other.mount) && same(self.node(), &other.node)
    }

    #[inline]
    fn child(&self, name: &[u8]) -> Result<NodeRef, Errno> {
        if name.len() > MAX_NAME {
            return Err(Errno::ENAMETOOLONG);
        }
        self.node().lookup(name)
    }

    /// The mount, for as long as possible without a reference of its own.
    #[inline]
    fn shared_mount(&self) -> Cow<'a, Arc<Mount>> {
        match self {
            Here::At(location) => Cow::Borrowed(&location.mount),
            Here::In { mount, .. } => mount.clone(),
        }
    }

    /// The node of this kind in the mount, or what is mounted there.
    #[inline]
    fn enter(mount: Cow<'a, Arc<Mount>>, node: NodeRef, kind: Kind) -> Self {
        match mount.child_at(&node, kind) {
            None => Here::In { mount, node },
            Some(child) => Here::from(Location::root_of(child).enter(kind)),
        }
    }
}

impl From<Location> for Here<'_> {
    fn from(Location { mount, node }: Location) -> Self {
        Here::In { mount: Cow::Owned(mount), node }
    }
}

/// Where a walk ended.
pub(crate) enum End<'a> {
    /// At something that is there.
    Found(Here<'a>),
    /// At a name that is not there, in a directory that is.
    Missing {
        /// The directory.
        directory: Cow<'a, Location>,
        /// The name.
        name: Name,
    },
}

/// The last name of a path.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    range: Range<usize>,
    /// Whether a `/` follows: it must be a directory.
    pub slash: bool,
}

/// The last component of a path that was not looked at.
pub(crate) enum Last {
    Name(Name),
    /// The path ends with `/` alone, `.` or `..`.
    Root,
    Dot,
    DotDot,
}

impl<'a> Walk<'a> {
    pub fn new(context: &'a Context, path: &'a [u8]) -> Result<Self, Errno> {
        match path.len() {
            0 => Err(Errno::ENOENT),
            MAX_PATH.. => Err(Errno::ENAMETOOLONG),
            _ => Ok(Self {
                context,
                path: Cow::Borrowed(path),
                links: 0,
                names_file: false,
                directory: None,
            }),
        }
    }

    /// The bytes of a name that this walk ended at.
    pub fn bytes(&self, name: &Name) -> &[u8] {
        &self.path[name.range.clone()]
    }

    fn start(&self, at: Option<&'a Location>) -> Here<'a> {
        if self.path[0] == b'/' {
            return Here::At(&self.context.root);
        }
        Here::At(at.unwrap_or(&self.context.working))
    }

    /// The component at `at`: its range, and where the next begins.
    #[inline]
    fn component(&self, at: usize) -> Option<(Range<usize>, usize)> {
        let path: &[u8] = &self.path;
        let slashes_to = |mut at: usize| {
            while path.get(at) == Some(&b'/') {
                at += 1;
            }
            at
        };
        let begin = slashes_to(at);
        let mut end = begin;
        while path.get(end).is_some_and(|&b| b != b'/') {
            end += 1;
        }
        (end > begin).then(|| (begin..end, slashes_to(end)))
    }

    /// Checks that `here` is a directory that may be searched.
    #[inline]
    fn searchable(&self, here: &Here<'_>) -> Result<(), Errno> {
        if here.node().kind() != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        let who = &self.context.credentials;
        if who.is_root() {
            return Ok(());
        }
        who.check(&here.node().metadata()?, EXECUTE)
    }

    fn up(&self, here: Here<'a>) -> Here<'a> {
        if here.is(&self.context.root) {
            return here;
        }
        let here = here.into_place();
        let up = here.up().unwrap_or_else(|| here.into_owned());
        Here::from(up.enter(Kind::Directory))
    }

    /// Follows a link: puts its target in front of what is left of the path, which has to be walked
    /// anew then, unless it leads somewhere else than a path.
    fn follow(&mut self, link: &Location, rest: usize) -> Result<Option<Location>, Errno> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::ELOOP);
        }
        let place = link.node.jump(link)?;
        if place.is_some() {
            return Ok(place);
        }
        let target = link.read_link()?;
        if target.is_empty() {
            return Err(Errno::ENOENT);
        }
        let rest = &self.path[rest..];
        let mut path = Vec::new();
        path.try_reserve_exact(target.len() + 1 + rest.len()).map_err(|_| Errno::ENOMEM)?;
        path.extend_from_slice(&target);
        if !rest.is_empty() {
            path.push(b'/');
            path.extend_from_slice(rest);
        }
        self.path = Cow::Owned(path);
        Ok(None)
    }

    /// Walks to the end.
    pub fn whole(&mut self, at: Option<&'a Location>, follow: Follow) -> Result<End<'a>, Errno> {
        let mut here = self.start(at);
        let mut position = 0;
        while let Some((range, next)) = self.component(position) {
            self.searchable(&here)?;
            let bytes = &self.path[range.clone()];
            position = next;
            match bytes {
                b"." => continue,
                b".." => {
                    here = self.up(here);
                    continue;
                }
                _ => {}
            }
            let last = next == self.path.len();
            let slash = next > range.end;
            if last && slash && self.names_file {
                return Err(Errno::EISDIR);
            }
            let node = match here.child(bytes) {
                Ok(node) => node,
                Err(Errno::ENOENT) if last => {
                    let directory = here.into_place();
                    return Ok(End::Missing { directory, name: Name { range, slash } });
                }
                Err(error) => return Err(error),
            };
            let kind = node.kind();
            if kind == Kind::Symlink && (!last || slash || follow == Follow::Yes) {
                let link = Location { mount: here.mount().clone(), node };
                // With the slash, if there was one: it then must be a directory.
                let rest = if last && !slash { next } else { range.end };
                if let Some(place) = self.follow(&link, rest)? {
                    here = Here::from(place);
                    continue;
                }
                if self.path[0] == b'/' {
                    here = Here::At(&self.context.root);
                }
                position = 0;
                continue;
            }
            if last {
                if slash && kind != Kind::Directory {
                    return Err(Errno::ENOTDIR);
                }
                let found = Here::enter(here.shared_mount(), node, kind);
                if self.names_file {
                    self.directory = Some(here);
                }
                return Ok(End::Found(found));
            }
            here = Here::enter(here.shared_mount(), node, kind);
        }
        if self.path.ends_with(b"/") && here.node().kind() != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        Ok(End::Found(here))
    }

    /// Walks to the last component, which is looked at by the caller.
    pub fn parent(&mut self, at: Option<&'a Location>) -> Result<(Cow<'a, Location>, Last), Errno> {
        let mut here = self.start(at);
        let mut position = 0;
        loop {
            let Some((range, next)) = self.component(position) else {
                return Ok((here.into_place(), Last::Root));
            };
            self.searchable(&here)?;
            let last = next == self.path.len();
            let bytes = &self.path[range.clone()];
            position = next;
            match bytes {
                b"." if last => return Ok((here.into_place(), Last::Dot)),
                b".." if last => return Ok((here.into_place(), Last::DotDot)),
                b"." => continue,
                b".." => {
                    here = self.up(here);
                    continue;
                }
                _ if last => {
                    let slash = next > range.end;
                    return Ok((here.into_place(), Last::Name(Name { range, slash })));
                }
                _ => {}
            }
            let node = here.child(bytes)?;
            let kind = node.kind();
            if kind == Kind::Symlink {
                let link = Location { mount: here.mount().clone(), node };
                if let Some(place) = self.follow(&link, next)? {
                    here = Here::from(place);
                    continue;
                }
                if self.path[0] == b'/' {
                    here = Here::At(&self.context.root);
                }
                position = 0;
                continue;
            }
            here = Here::enter(here.shared_mount(), node, kind);
        }
    }
}

impl Context {
    /// The place that a path leads to.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `EACCES`, `ELOOP`, `ENAMETOOLONG`, and what the file system says.
    pub fn resolve(
        &self,
        at: Option<&Location>,
        path: &[u8],
        follow: Follow,
    ) -> Result<Location, Errno> {
        match Walk::new(self, path)?.whole(at, follow)? {
            End::Found(here) => Ok(here.into_place().into_owned()),
            End::Missing { .. } => Err(Errno::ENOENT),
        }
    }

    /// Looks at what a path leads to, and at the mount through which it does: cheaper than
    /// [`Self::resolve`] for those who keep neither.
    ///
    /// # Errors
    /// As [`Self::resolve`], and those of `look`.
    #[inline]
    pub fn look_at<T>(
        &self,
        (at, path, follow): (Option<&Location>, &[u8], Follow),
        look: impl FnOnce(&NodeRef, &Mount) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        // Not moved, which would take as long as looking up the name.
        match &Walk::new(self, path)?.whole(at, follow) {
            Ok(End::Found(here)) => look(here.node(), here.mount()),
            Ok(End::Missing { .. }) => Err(Errno::ENOENT),
            Err(error) => Err(*error),
        }
    }
}
