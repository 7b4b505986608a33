//! From paths to nodes.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::Range;

use ukerrno::Errno;
use ukfile::Kind;

use crate::context::Context;
use crate::credentials::EXECUTE;
use crate::mount::Location;

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
}

/// Where a walk ended.
pub(crate) enum End {
    /// At something that is there.
    Found {
        /// What it is.
        location: Location,
        /// Its name and the directory that has it; `None` for `/`, `.` and `..`, and where a link
        /// leads to no path ([`Node::jump`](crate::Node::jump)).
        name: Option<(Location, Name)>,
    },
    /// At a name that is not there, in a directory that is.
    Missing {
        /// The directory.
        directory: Location,
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
            _ => Ok(Self { context, path: Cow::Borrowed(path), links: 0, names_file: false }),
        }
    }

    /// The bytes of a name that this walk ended at.
    pub fn bytes(&self, name: &Name) -> &[u8] {
        &self.path[name.range.clone()]
    }

    fn start(&self, at: Option<&Location>) -> Location {
        if self.path[0] == b'/' {
            return self.context.root.clone();
        }
        at.unwrap_or(&self.context.working).clone()
    }

    /// The component at `at`: its range, and where the next begins.
    fn component(&self, at: usize) -> Option<(Range<usize>, usize)> {
        let begin = at + self.path[at..].iter().position(|&b| b != b'/')?;
        let rest = &self.path[begin..];
        let length = rest.iter().position(|&b| b == b'/').unwrap_or(rest.len());
        let end = begin + length;
        let slashes = rest[length..].iter().take_while(|&&b| b == b'/').count();
        Some((begin..end, end + slashes))
    }

    /// Checks that `here` is a directory that may be searched.
    #[inline]
    fn searchable(&self, here: &Location) -> Result<(), Errno> {
        if here.node.kind() != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        let who = &self.context.credentials;
        if who.is_root() {
            return Ok(());
        }
        who.check(&here.node.metadata()?, EXECUTE)
    }

    fn up(&self, here: Location) -> Location {
        if here.is(&self.context.root) {
            return here;
        }
        here.up().unwrap_or(here).enter()
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
        let target = link.node.read_link()?;
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
    pub fn whole(&mut self, at: Option<&Location>, follow: Follow) -> Result<End, Errno> {
        let mut here = self.start(at);
        let mut position = 0;
        let mut name = None;
        while let Some((range, next)) = self.component(position) {
            self.searchable(&here)?;
            let bytes = &self.path[range.clone()];
            position = next;
            name = None;
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
                    return Ok(End::Missing { directory: here, name: Name { range, slash } });
                }
                Err(error) => return Err(error),
            };
            let kind = node.kind();
            if kind == Kind::Symlink && (!last || slash || follow == Follow::Yes) {
                let link = Location { mount: here.mount.clone(), node };
                // With the slash, if there was one: it then must be a directory.
                let rest = if last && !slash { next } else { range.end };
                if let Some(place) = self.follow(&link, rest)? {
                    here = place;
                    continue;
                }
                if self.path[0] == b'/' {
                    here = self.context.root.clone();
                }
                position = 0;
                continue;
            }
            if last {
                if slash && kind != Kind::Directory {
                    return Err(Errno::ENOTDIR);
                }
                let location = Location { mount: here.mount.clone(), node }.enter();
                name = Some((here, Name { range, slash }));
                return Ok(End::Found { location, name });
            }
            here.node = node;
            here = here.enter();
        }
        if self.path.ends_with(b"/") && here.node.kind() != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        Ok(End::Found { location: here, name })
    }

    /// Walks to the last component, which is looked at by the caller.
    pub fn parent(&mut self, at: Option<&Location>) -> Result<(Location, Last), Errno> {
        let mut here = self.start(at);
        let mut position = 0;
        loop {
            let Some((range, next)) = self.component(position) else {
                return Ok((here, Last::Root));
            };
            self.searchable(&here)?;
            let last = next == self.path.len();
            let bytes = &self.path[range.clone()];
            position = next;
            match bytes {
                b"." if last => return Ok((here, Last::Dot)),
                b".." if last => return Ok((here, Last::DotDot)),
                b"." => continue,
                b".." => {
                    here = self.up(here);
                    continue;
                }
                _ if last => {
                    let slash = next > range.end;
                    return Ok((here, Last::Name(Name { range, slash })));
                }
                _ => {}
            }
            let node = here.child(bytes)?;
            if node.kind() == Kind::Symlink {
                let link = Location { mount: here.mount.clone(), node };
                if let Some(place) = self.follow(&link, next)? {
                    here = place;
                    continue;
                }
                if self.path[0] == b'/' {
                    here = self.context.root.clone();
                }
                position = 0;
                continue;
            }
            here.node = node;
            here = here.enter();
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
            End::Found { location, .. } => Ok(location),
            End::Missing { .. } => Err(Errno::ENOENT),
        }
    }
}
