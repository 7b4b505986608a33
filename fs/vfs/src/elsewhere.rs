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
    /// `None` for the root.
    pub parent: Option<Arc<N>>,
    /// `None` for the root, and when it was removed.
    pub name: Option<Box<[u8]>>,
}

impl<N> Default for Place<N> {
    fn default() -> Self {
        Self { parent: None, name: None }
    }
}

impl<N> Place<N> {
    /// Notes where the directory is; returns whether that is news.
    ///
    /// # Errors
    /// `ENOMEM`
    pub fn note(place: &Mutex<Self>, parent: &Arc<N>, name: &[u8]) -> Result<bool, Errno> {
        let known = place.lock();
        let same_name = known.name.as_deref() == Some(name);
        if same_name && known.parent.as_ref().is_some_and(|p| Arc::ptr_eq(p, parent)) {
            return Ok(false);
        }
        drop(known);
        let new = Self { parent: Some(parent.clone()), name: Some(fallible::copy(name)?) };
        // The old parent may go, and look at its place: not while this is locked.
        let old = core::mem::replace(&mut *place.lock(), new);
        drop(old);
        Ok(true)
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

    #[test]
    fn news_of_places() {
        let (one, other) = (Arc::new(Node::default()), Arc::new(Node::default()));
        let node = Node::default();
        assert_eq!(Place::note(&node.0, &one, b"a"), Ok(true));
        assert_eq!(Place::note(&node.0, &one, b"a"), Ok(false));
        assert_eq!(Place::note(&node.0, &one, b"b"), Ok(true));
        assert_eq!(Place::note(&node.0, &other, b"b"), Ok(true));
        assert_eq!(Arc::strong_count(&one), 1);
    }

    #[test]
    fn deep_trees_need_no_stack() {
        let mut node = Arc::new(Node::default());
        for _ in 0..200_000 {
            let below = Arc::new(Node::default());
            Place::note(&below.0, &node, b"a").unwrap();
            node = below;
        }
        drop(node);
    }
}
