//! What file systems keep of files that are elsewhere, on a server or the host: what is open there,
//! where directories are, and entries that came unasked.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use ukerrno::Errno;
use ukfile::{Kind, OpenFlags, fallible};
use uklock::Mutex;

/// What is open of a file elsewhere: at most one handle for reading and one for writing, the same where it
/// is good for both.
#[derive(Debug)]
pub struct Handles<H> {
    reader: Option<Arc<H>>,
    writer: Option<Arc<H>>,
}

impl<H> Default for Handles<H> {
    fn default() -> Self {
        Self { reader: None, writer: None }
    }
}

impl<H> Handles<H> {
    /// A handle for reading. `open` opens the file or directory elsewhere.
    ///
    /// # Errors
    /// `EINVAL` for other kinds of files; those of `open`.
    pub fn reader(
        &mut self,
        kind: Kind,
        open: impl FnOnce(OpenFlags) -> Result<Arc<H>, Errno>,
    ) -> Result<Arc<H>, Errno> {
        if let Some(handle) = &self.reader {
            return Ok(handle.clone());
        }
        let handle = match kind {
            Kind::Directory => open(OpenFlags::READ_ONLY | OpenFlags::DIRECTORY)?,
            Kind::Regular => open(OpenFlags::READ_ONLY)?,
            _ => return Err(Errno::EINVAL),
        };
        self.reader = Some(handle.clone());
        Ok(handle)
    }

    /// A handle for writing, which is good for reading too where that is allowed.
    ///
    /// # Errors
    /// `EISDIR` for directories, `EINVAL` for others that are no regular files; those of `open`.
    pub fn writer(
        &mut self,
        kind: Kind,
        open: impl Fn(OpenFlags) -> Result<Arc<H>, Errno>,
    ) -> Result<Arc<H>, Errno> {
        match kind {
            Kind::Regular => {}
            Kind::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
        if let Some(handle) = &self.writer {
            return Ok(handle.clone());
        }
        let handle = match open(OpenFlags::READ_WRITE) {
            Ok(handle) => {
                self.reader = Some(handle.clone());
                handle
            }
            Err(Errno::EACCES) => open(OpenFlags::WRITE_ONLY)?,
            Err(error) => return Err(error),
        };
        self.writer = Some(handle.clone());
        Ok(handle)
    }

    /// What is open, if something is.
    pub fn any(&self) -> Option<Arc<H>> {
        self.writer.clone().or_else(|| self.reader.clone())
    }

    /// Takes over what was opened when the file was made, for both: its permissions may allow nobody to
    /// open it.
    pub fn keep(&mut self, handle: Arc<H>) {
        self.reader = Some(handle.clone());
        self.writer = Some(handle);
    }
}

/// Where a directory is. Of other files, which may have several names, this is not known.
#[derive(Debug)]
pub struct Place<N> {
    /// `None` for the root, and while it is not known.
    pub parent: Option<Arc<N>>,
    /// `None` for the root, and when it was removed.
    pub name: Option<Box<[u8]>>,
}

impl<N> Default for Place<N> {
    fn default() -> Self {
        Self { parent: None, name: None }
    }
}

/// Held while it is noted where a directory is: of two that are noted at once, each could be made the
/// other's parent.
static NOTING: Mutex<()> = Mutex::new(());

impl<N> Place<N> {
    /// Notes that `node` is in `parent`, under this name; returns whether that is news.
    ///
    /// # Errors
    /// `ENOMEM`; `ELOOP` when both are the same.
    pub fn note(
        node: &Arc<N>,
        place_of: impl Fn(&N) -> &Mutex<Self>,
        parent: &Arc<N>,
        name: &[u8],
    ) -> Result<bool, Errno> {
        if Arc::ptr_eq(node, parent) {
            return Err(Errno::ELOOP);
        }
        {
            let known = place_of(node).lock();
            let same_name = known.name.as_deref() == Some(name);
            if same_name && known.parent.as_ref().is_some_and(|p| Arc::ptr_eq(p, parent)) {
                return Ok(false);
            }
        }
        let new = Self { parent: Some(parent.clone()), name: Some(fallible::copy(name)?) };
        let noting = NOTING.lock();
        let stale = Self::leave(node, &place_of, parent);
        let old = core::mem::replace(&mut *place_of(node).lock(), new);
        // These may go, and look at their places: not while anything is locked.
        drop(noting);
        drop((stale, old));
        Ok(true)
    }

    /// What is noted may be old, since whoever is there moves directories too. Where it says that
    /// `parent` is below `node`, the directory that it says to be in `node` is nowhere until it is
    /// looked up again: else those who go up would go in a circle.
    fn leave(
        node: &Arc<N>,
        place_of: &impl Fn(&N) -> &Mutex<Self>,
        parent: &Arc<N>,
    ) -> Option<Arc<N>> {
        if Arc::strong_count(node) == 1 {
            // The caller's alone: nothing is below it.
            return None;
        }
        let mut here = parent.clone();
        loop {
            let above = {
                let mut place = place_of(&here).lock();
                let above = place.parent.clone()?;
                if Arc::ptr_eq(&above, node) {
                    return place.parent.take();
                }
                above
            };
            here = above;
        }
    }

    /// Lets the parent go of a directory that goes itself. Of a deep tree each directory may be the last
    /// that holds the one above; they go one by one, since there is no stack for one in the other.
    pub fn let_go(&mut self, place_of: impl Fn(&mut N) -> &mut Self) {
        let mut parent = self.parent.take();
        while let Some(node) = parent.take() {
            if let Some(mut node) = Arc::into_inner(node) {
                parent = place_of(&mut node).parent.take();
            }
        }
    }
}

/// Entries of a directory that came with those that were asked for, kept for whoever goes on there:
/// programs ask for less at a time than is good to be fetched.
#[derive(Debug, Default)]
pub struct Ahead {
    bytes: Vec<u8>,
    /// Bytes of those that are used.
    used: usize,
    at: u64,
}

impl Ahead {
    /// Takes the entries that come after position `at`, if they were kept. Whoever begins at the start
    /// gets none: that is to look again.
    pub fn take(kept: &Mutex<Self>, at: u64) -> Option<Self> {
        let mut kept = kept.lock();
        let fits = at != 0 && kept.at == at && kept.used < kept.bytes.len();
        fits.then(|| core::mem::take(&mut *kept))
    }

    /// The entries, as they came.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    /// Puts back the last `left` bytes of the entries, which come after position `at`.
    pub fn put_back(mut self, kept: &Mutex<Self>, at: u64, left: usize) {
        (self.at, self.used) = (at, self.bytes.len().saturating_sub(left));
        let old = core::mem::replace(&mut *kept.lock(), self);
        drop(old);
    }

    /// Keeps entries, which come after position `at`; without memory for them they are fetched again.
    pub fn keep(kept: &Mutex<Self>, at: u64, entries: &[u8]) {
        let mut bytes = Vec::new();
        if bytes.try_reserve_exact(entries.len()).is_ok() {
            bytes.extend_from_slice(entries);
            Self { bytes, used: 0, at }.put_back(kept, at, entries.len());
        }
    }

    /// The directory has changed: nothing that was kept is given out any more.
    pub fn forget(kept: &Mutex<Self>) {
        let old = core::mem::take(&mut *kept.lock());
        drop(old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_unasked_is_given_to_who_goes_on_there() {
        let kept = Mutex::default();
        Ahead::keep(&kept, 7, b"abcd");
        assert!(Ahead::take(&kept, 6).is_none());
        let ahead = Ahead::take(&kept, 7).unwrap();
        assert_eq!(ahead.bytes(), b"abcd");
        assert!(Ahead::take(&kept, 7).is_none(), "it was taken");
        ahead.put_back(&kept, 9, 1);
        assert!(Ahead::take(&kept, 7).is_none());
        let ahead = Ahead::take(&kept, 9).unwrap();
        assert_eq!(ahead.bytes(), b"d");
        ahead.put_back(&kept, 10, 0);
        assert!(Ahead::take(&kept, 10).is_none(), "nothing is left");
        Ahead::keep(&kept, 0, b"ab");
        assert!(Ahead::take(&kept, 0).is_none(), "the start is looked at again");
        Ahead::keep(&kept, 3, b"ab");
        Ahead::forget(&kept);
        assert!(Ahead::take(&kept, 3).is_none());
    }

    fn open(allowed: OpenFlags) -> impl Fn(OpenFlags) -> Result<Arc<OpenFlags>, Errno> {
        move |flags| {
            let way = flags - OpenFlags::DIRECTORY;
            let fits = way == allowed || allowed == OpenFlags::READ_WRITE;
            if fits { Ok(Arc::new(flags)) } else { Err(Errno::EACCES) }
        }
    }

    #[test]
    fn files_are_opened_once_for_each_way() {
        let mut handles = Handles::default();
        assert!(handles.any().is_none());
        let reader = handles.reader(Kind::Regular, open(OpenFlags::READ_ONLY)).unwrap();
        assert_eq!(*reader, OpenFlags::READ_ONLY);
        let again = handles.reader(Kind::Regular, |_| Err(Errno::EIO)).unwrap();
        assert!(Arc::ptr_eq(&reader, &again));
        // The new one is good for both.
        let writer = handles.writer(Kind::Regular, open(OpenFlags::READ_WRITE)).unwrap();
        for same in [
            handles.reader(Kind::Regular, |_| Err(Errno::EIO)).unwrap(),
            handles.writer(Kind::Regular, |_| Err(Errno::EIO)).unwrap(),
            handles.any().unwrap(),
        ] {
            assert!(Arc::ptr_eq(&writer, &same));
        }
        // A file that may be written to and not read.
        let mut handles = Handles::default();
        let writer = handles.writer(Kind::Regular, open(OpenFlags::WRITE_ONLY)).unwrap();
        assert_eq!(*writer, OpenFlags::WRITE_ONLY);
        assert_eq!(handles.reader(Kind::Regular, |_| Err(Errno::EACCES)), Err(Errno::EACCES));
        handles.keep(Arc::new(OpenFlags::READ_WRITE));
        assert_eq!(
            *handles.reader(Kind::Regular, |_| Err(Errno::EACCES)).unwrap(),
            OpenFlags::READ_WRITE
        );
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let mut handles = Handles::default();
        let any = open(OpenFlags::READ_WRITE);
        assert_eq!(handles.writer(Kind::Directory, &any), Err(Errno::EISDIR));
        assert_eq!(handles.writer(Kind::Socket, &any), Err(Errno::EINVAL));
        assert_eq!(handles.reader(Kind::Symlink, &any), Err(Errno::EINVAL));
        let directory = handles.reader(Kind::Directory, &any).unwrap();
        assert_eq!(*directory, OpenFlags::READ_ONLY | OpenFlags::DIRECTORY);
    }

    #[derive(Default)]
    struct Node(Mutex<Place<Node>>);

    impl Drop for Node {
        fn drop(&mut self) {
            self.0.get_mut().let_go(|node| node.0.get_mut());
        }
    }

    fn note(node: &Arc<Node>, parent: &Arc<Node>, name: &[u8]) -> Result<bool, Errno> {
        Place::note(node, |node| &node.0, parent, name)
    }

    #[test]
    fn news_of_places() {
        let [one, other, node] = [(); 3].map(|()| Arc::new(Node::default()));
        assert_eq!(note(&node, &one, b"a"), Ok(true));
        assert_eq!(note(&node, &one, b"a"), Ok(false));
        assert_eq!(note(&node, &one, b"b"), Ok(true));
        assert_eq!(note(&node, &other, b"b"), Ok(true));
        assert_eq!(note(&node, &node, b"b"), Err(Errno::ELOOP));
        assert_eq!(Arc::strong_count(&one), 1);
    }

    #[test]
    fn what_is_above_is_never_below() {
        let [root, a, b, c] = [(); 4].map(|()| Arc::new(Node::default()));
        for (node, parent) in [(&a, &root), (&b, &a), (&c, &b)] {
            assert_eq!(note(node, parent, b"x"), Ok(true));
        }
        // Somebody else has moved `c` to the root, and `a` into it.
        assert_eq!(note(&a, &c, b"x"), Ok(true));
        let parent_of = |node: &Arc<Node>| node.0.lock().parent.clone();
        assert!(parent_of(&b).is_none(), "it is in `a`, or in the root: nobody knows");
        assert!(Arc::ptr_eq(&parent_of(&a).unwrap(), &c));
        assert_eq!(note(&c, &root, b"x"), Ok(true));
        assert_eq!(note(&b, &a, b"x"), Ok(true), "it was looked up");
        // None keeps itself.
        let all = [root, a, b, c].map(|node| Arc::downgrade(&node));
        assert!(all.iter().all(|node| node.upgrade().is_none()));
    }

    #[test]
    fn deep_trees_need_no_stack() {
        let mut node = Arc::new(Node::default());
        for _ in 0..200_000 {
            let below = Arc::new(Node::default());
            note(&below, &node, b"a").unwrap();
            node = below;
        }
        drop(node);
    }
}
