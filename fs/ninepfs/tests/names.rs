//! What is known of open files whose names could not be removed.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ninepfs::{NinePFs, Options};
use p9::{Request, Response};
use p9server::{Access, Local, Server};
use uk9p::{Channel, ChannelError, Message};
use ukerrno::Errno;
use ukfile::OpenFlags;
use vfs::{FileSystem, NodeRef, Rename, WriteAt};

/// What is done when a name is about to be removed; a number is the answer, else the server is asked.
type Meanwhile = Box<dyn FnOnce() -> Option<Errno> + Send>;

/// A channel to a server that may be like those that know files by their names.
struct Hooked {
    local: Local,
    meanwhile: Mutex<Option<Meanwhile>>,
    /// Nothing is told of files: they have lost the names that they are known by.
    tells_nothing: AtomicBool,
    syncs: Mutex<usize>,
}

impl Hooked {
    fn answer(&self, request: &Request<'_>) -> Option<Errno> {
        match request {
            Request::Getattr { .. } => self.tells_nothing.load(Relaxed).then_some(Errno::ENOENT),
            Request::Unlinkat { .. } | Request::Renameat { .. } => {
                let meanwhile = self.meanwhile.lock().unwrap().take();
                meanwhile.and_then(|meanwhile| meanwhile())
            }
            Request::Fsync { .. } => {
                *self.syncs.lock().unwrap() += 1;
                None
            }
            _ => None,
        }
    }
}

impl Channel for Hooked {
    fn max_message(&self) -> usize {
        self.local.max_message()
    }

    fn exchange(&self, mut message: Message) -> Result<Message, ChannelError> {
        let (tag, request) = Request::decode(&message.request).unwrap();
        let Some(errno) = self.answer(&request) else { return self.local.exchange(message) };
        let response = Response::Error { errno: errno.number().into() };
        message.length = response.encode(tag, &mut message.reply).unwrap();
        Ok(message)
    }
}

/// A directory with one open file, which has the names `a`, `b` and `c`.
struct Share {
    folder: tempfile::TempDir,
    channel: &'static Hooked,
    root: NodeRef,
    file: NodeRef,
    // Last: at its end it asks for what is not written.
    fs: std::sync::Arc<NinePFs>,
}

impl Share {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a"), "").unwrap();
        std::fs::hard_link(at("a"), at("b")).unwrap();
        std::fs::hard_link(at("a"), at("c")).unwrap();
        let local = Local::new(Server::new(folder.path(), Access::ReadWrite).unwrap());
        let channel = Box::leak(Box::new(Hooked {
            local,
            meanwhile: Mutex::default(),
            tells_nothing: AtomicBool::new(false),
            syncs: Mutex::default(),
        }));
        let fs = NinePFs::new(channel, Options::default()).unwrap();
        let root = fs.root();
        let file = root.lookup(b"a").unwrap();
        file.open(OpenFlags::READ_WRITE).unwrap();
        Self { folder, channel, root, file, fs }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn unlink(&self, name: &[u8]) -> Result<(), Errno> {
        self.root.unlink(name, &self.file)
    }

    fn meanwhile(&self, work: impl FnOnce(&NodeRef, &NodeRef) -> Option<Errno> + Send + 'static) {
        let (root, file) = (self.root.clone(), self.file.clone());
        *self.channel.meanwhile.lock().unwrap() = Some(Box::new(move || work(&root, &file)));
    }

    /// Size and links, by a server that tells nothing any more.
    fn known(&self) -> Result<(u64, u32), Errno> {
        self.channel.tells_nothing.store(true, Relaxed);
        self.file.metadata().map(|metadata| (metadata.size, metadata.links))
    }

    /// How many nodes `sync` asks for after the file was written to.
    fn synced(&self) -> usize {
        self.fs.sync().unwrap();
        *self.channel.syncs.lock().unwrap() = 0;
        self.file.write(WriteAt::Offset(0), &[b"x"]).unwrap();
        self.fs.sync().unwrap();
        *self.channel.syncs.lock().unwrap()
    }
}

#[test]
fn what_was_written_meanwhile_is_known() {
    let share = Share::new();
    share.unlink(b"a").unwrap();
    share.meanwhile(|_, file| {
        file.write(WriteAt::Offset(0), &[b"text"]).unwrap();
        Some(Errno::EACCES)
    });
    assert_eq!(share.unlink(b"b"), Err(Errno::EACCES));
    assert_eq!(share.known(), Ok((4, 2)));
}

#[test]
fn what_was_written_while_there_seemed_to_be_no_name_is_synchronised() {
    let share = Share::new();
    share.unlink(b"a").unwrap();
    share.unlink(b"b").unwrap();
    share.fs.sync().unwrap();
    *share.channel.syncs.lock().unwrap() = 0;
    share.meanwhile(|_, file| {
        file.write(WriteAt::Offset(0), &[b"text"]).unwrap();
        Some(Errno::EACCES)
    });
    assert_eq!(share.unlink(b"c"), Err(Errno::EACCES));
    share.fs.sync().unwrap();
    assert_eq!(*share.channel.syncs.lock().unwrap(), 2, "the directory, and the file");
}

#[test]
fn another_name_that_was_removed_meanwhile_is_known() {
    let share = Share::new();
    share.meanwhile(|root, file| {
        root.unlink(b"a", file).unwrap();
        Some(Errno::EACCES)
    });
    assert_eq!(share.unlink(b"b"), Err(Errno::EACCES));
    assert_eq!(share.synced(), 1);
    assert!(share.known().is_ok());
    // Where none was, there is nothing to be known.
    let share = Share::new();
    share.meanwhile(|_, _| Some(Errno::EACCES));
    assert_eq!(share.unlink(b"b"), Err(Errno::EACCES));
    assert_eq!(share.known(), Err(Errno::ENOENT));
}

#[test]
fn an_open_file_is_known_when_the_host_has_removed_it() {
    // Whether it has lost a name here before or not.
    for (loses_one, links) in [(true, 0), (false, 2)] {
        let share = Share::new();
        if loses_one {
            share.unlink(b"b").unwrap();
            std::fs::remove_file(share.path().join("c")).unwrap();
        }
        let (path, channel) = (share.path().join("a"), share.channel);
        share.meanwhile(move |_, _| {
            std::fs::remove_file(path).unwrap();
            channel.tells_nothing.store(true, Relaxed);
            None
        });
        assert_eq!(share.unlink(b"a"), Err(Errno::ENOENT));
        assert_eq!(share.known(), Ok((0, links)));
    }
}

#[test]
fn a_file_has_the_names_that_were_not_removed() {
    let share = Share::new();
    for name in ["a", "b"] {
        std::fs::remove_file(share.path().join(name)).unwrap();
    }
    // `c` is its name still.
    assert_eq!(share.unlink(b"a"), Err(Errno::ENOENT));
    assert_eq!(share.synced(), 1);
    // Nor does the one that should have taken its place make it go.
    let rename = |node: &NodeRef| {
        share.root.rename(&Rename {
            from: b"gone",
            node,
            directory: &share.root,
            to: b"c",
            replaced: Some(&share.file),
            exchange: false,
        })
    };
    std::fs::write(share.path().join("gone"), "").unwrap();
    let gone = share.root.lookup(b"gone").unwrap();
    std::fs::remove_file(share.path().join("gone")).unwrap();
    assert_eq!(rename(&gone), Err(Errno::ENOENT));
    assert_eq!(share.synced(), 1);
}
