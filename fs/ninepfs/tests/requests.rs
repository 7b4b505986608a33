//! What a server is asked, how often, and what memory that takes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use limited_memory::{Limited, taken};
use ninepfs::{NinePFs, Options};
use p9::{Request, Response};
use p9server::{Access, Local, Server};
use uk9p::{Channel, ChannelError, Message};
use ukerrno::Errno;
use ukfile::{Description, Kind, OpenFlags, SyncKind};
use vfs::{Context, FileSystem, Location, Mount, MountFlags, New};

/// Blocks of at least this length are messages, in these tests.
const LARGE: usize = 32 << 10;

#[global_allocator]
static ALLOCATOR: Limited = Limited;

/// What was asked since the last look.
#[derive(Debug, Default)]
struct Asked {
    /// Fids that were written to, or whose entries changed, and not synchronised since.
    changed: BTreeSet<u32>,
    syncs: usize,
    lists: usize,
    /// Fids that a walk gave.
    walked: usize,
    clunked: usize,
}

/// A channel that takes notes.
struct Noted {
    local: Local,
    asked: Mutex<Asked>,
    /// What is done with a request to write a file.
    on_sync: Mutex<OnSync>,
    /// Requests for which there is no memory.
    refused: Mutex<fn(&Request<'_>) -> bool>,
}

#[derive(Default)]
enum OnSync {
    #[default]
    Write,
    Fail,
    /// Tells that it came, and waits to be told to go on.
    Wait(mpsc::Sender<()>, mpsc::Receiver<()>),
}

impl Channel for Noted {
    fn max_message(&self) -> usize {
        self.local.max_message()
    }

    fn exchange(&self, message: Message) -> Result<Message, ChannelError> {
        {
            let request = Request::decode(&message.request).unwrap().1;
            let refused = *self.refused.lock().unwrap();
            if refused(&request) {
                return Err(ChannelError::NoMemory);
            }
            let mut asked = self.asked.lock().unwrap_or_else(|e| e.into_inner());
            match request {
                Request::Write { fid, .. } => drop(asked.changed.insert(fid)),
                Request::Fsync { fid, .. } => {
                    asked.syncs += 1;
                    drop(asked);
                    match std::mem::take(&mut *self.on_sync.lock().unwrap()) {
                        OnSync::Write => {}
                        OnSync::Fail => return Err(ChannelError::NoMemory),
                        OnSync::Wait(came, go) => {
                            came.send(()).unwrap();
                            go.recv().unwrap();
                        }
                    }
                    self.asked.lock().unwrap().changed.remove(&fid);
                }
                Request::Readdir { .. } => asked.lists += 1,
                Request::Clunk { .. } => asked.clunked += 1,
                _ => {}
            }
        }
        let done = self.local.exchange(message)?;
        if let Ok((_, Response::Walk { .. })) = Response::decode(done.reply()) {
            self.asked.lock().unwrap_or_else(|e| e.into_inner()).walked += 1;
        }
        Ok(done)
    }
}

struct Share {
    files: Context,
    fs: Arc<NinePFs>,
    channel: &'static Noted,
}

impl Share {
    fn new(folder: &Path) -> Self {
        let local = Local::new(Server::new(folder, Access::ReadWrite).unwrap());
        let channel = Box::leak(Box::new(Noted {
            local,
            asked: Mutex::default(),
            on_sync: Mutex::default(),
            refused: Mutex::new(|_| false),
        }));
        let fs = NinePFs::new(channel, Options::default()).unwrap();
        let mount = Mount::new(fs.clone(), b"share", MountFlags::empty()).unwrap();
        Self { files: Context::new(Location::root_of(mount)), fs, channel }
    }

    fn open(&self, path: &str) -> Arc<Description> {
        let flags = OpenFlags::READ_WRITE | OpenFlags::CREATE;
        self.files.open(None, path.as_bytes(), flags, 0o600).unwrap()
    }

    fn look(&self) -> Asked {
        std::mem::take(&mut *self.channel.asked.lock().unwrap_or_else(|e| e.into_inner()))
    }

    /// Syncs; what was changed and not written since, and how many requests it took.
    fn sync(&self) -> (BTreeSet<u32>, usize) {
        let before = self.look();
        self.channel.asked.lock().unwrap_or_else(|e| e.into_inner()).changed = before.changed;
        self.fs.sync().unwrap();
        let asked = self.look();
        (asked.changed, asked.syncs)
    }
}

#[test]
fn sync_is_about_all_that_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let share = Share::new(folder.path());
    let nothing = BTreeSet::new();
    let (open, closed, synced) =
        (share.open("/open"), share.open("/closed"), share.open("/synced"));
    open.write(&[b"one"]).unwrap();
    closed.write(&[b"two"]).unwrap();
    drop(closed);
    synced.write(&[b"three"]).unwrap();
    synced.file().sync(SyncKind::Data).unwrap();
    // Two files, and the directory that they came to.
    assert_eq!(share.sync(), (nothing.clone(), 3));
    assert_eq!(share.sync(), (nothing.clone(), 0), "nothing was changed since");
    vfs::resize_open(&open, 1).unwrap();
    open.write(&[b"again"]).unwrap();
    assert_eq!(share.sync(), (nothing.clone(), 1));
    // Permissions and times are a part of it, of files and directories.
    let change = vfs::Change { permissions: Some(0o640), ..vfs::Change::default() };
    for path in [&b"/closed"[..], b"/"] {
        let found = share.files.resolve(None, path, vfs::Follow::Yes).unwrap();
        found.node.change(&change).unwrap();
    }
    assert_eq!(share.sync(), (nothing.clone(), 2));
    // What has no name any more takes no storage for somebody's later sync.
    let gone = share.open("/gone");
    gone.write(&[b"four"]).unwrap();
    share.files.unlink(None, b"/gone").unwrap();
    gone.write(&[b"five"]).unwrap();
    share.look();
    drop(gone);
    assert!(share.look().clunked >= 2);
    assert_eq!(share.sync().1, 1, "the directory");
}

#[test]
fn what_could_not_be_removed_is_not_gone() {
    let folder = tempfile::tempdir().unwrap();
    let share = Share::new(folder.path());
    let file = share.open("/file");
    drop(share.open("/other"));
    share.sync();
    let unlink = || share.files.unlink(None, b"/file");
    let flags = vfs::RenameFlags::empty();
    let rename = || share.files.rename((None, b"/other"), (None, b"/file"), flags);
    let ways: [&dyn Fn() -> Result<(), Errno>; 2] = [&unlink, &rename];
    for way in ways {
        *share.channel.refused.lock().unwrap() =
            |request| matches!(request, Request::Unlinkat { .. } | Request::Renameat { .. });
        assert_eq!(way(), Err(Errno::ENOMEM));
        *share.channel.refused.lock().unwrap() = |_| false;
        share.sync();
        file.write(&[b"x"]).unwrap();
        assert_eq!(share.sync(), (BTreeSet::new(), 1));
    }
}

#[test]
fn what_could_not_be_moved_may_be_in_both_directories() {
    let folder = tempfile::tempdir().unwrap();
    let share = Share::new(folder.path());
    for name in ["from", "to"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    drop((share.open("/from/file"), share.open("/to/a"), share.open("/to/b")));
    let to = share.files.open(None, b"/to", OpenFlags::DIRECTORY, 0).unwrap();
    share.sync();
    // The other has come as well.
    let mut some = 0;
    vfs::list_open(&to, &mut |_| {
        some += 1;
        some <= 3
    })
    .unwrap();
    *share.channel.refused.lock().unwrap() = |request| matches!(request, Request::Renameat { .. });
    let flags = vfs::RenameFlags::empty();
    let moved = share.files.rename((None, b"/from/file"), (None, b"/to/file"), flags);
    assert_eq!(moved, Err(Errno::ENOMEM));
    assert_eq!(share.sync(), (BTreeSet::new(), 2));
    share.look();
    vfs::list_open(&to, &mut |_| true).unwrap();
    assert!(share.look().lists > 1, "what came before the end is asked for again");
}

#[test]
fn what_was_made_and_not_found_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let share = Share::new(folder.path());
    let directory = share.files.open(None, b"/", OpenFlags::DIRECTORY, 0).unwrap();
    let list = |most| {
        let mut names = Vec::new();
        let listed = vfs::list_open(&directory, &mut |entry| {
            let room = names.len() < most;
            if room {
                names.push(entry.name.to_vec());
            }
            room
        });
        listed.map(|()| names)
    };
    drop((share.open("/a"), share.open("/b")));
    share.sync();
    // The other has come as well.
    assert_eq!(list(3).unwrap().len(), 3);
    *share.channel.refused.lock().unwrap() =
        |request| matches!(request, Request::Walk { names, .. } if !names.is_empty());
    for kind in [Kind::Regular, Kind::Directory] {
        let new = New { kind, permissions: 0o700, user: 0, group: 0, special: 0, target: b"" };
        let name = format!("{kind:?}");
        assert_eq!(share.fs.root().create(name.as_bytes(), &new).err(), Some(Errno::ENOMEM));
        assert!(folder.path().join(name).exists());
        assert_eq!(share.sync(), (BTreeSet::new(), 1));
    }
    share.look();
    list(9).unwrap();
    assert!(share.look().lists > 1, "what came before the end is asked for again");
}

#[test]
fn sync_waits_for_what_others_have_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let share = Share::new(folder.path());
    let file = share.open("/file");
    let by_sync = || share.fs.sync().unwrap();
    let by_fsync = || file.file().sync(SyncKind::Data).unwrap();
    let others: [&(dyn Fn() + Sync); 2] = [&by_sync, &by_fsync];
    for other in others {
        share.sync();
        file.write(&[b"x"]).unwrap();
        let ((came, has_come), (go, gone)) = (mpsc::channel(), mpsc::channel());
        *share.channel.on_sync.lock().unwrap() = OnSync::Wait(came, gone);
        std::thread::scope(|threads| {
            threads.spawn(other);
            let go = go;
            has_come.recv().unwrap();
            let (done, is_done) = mpsc::channel();
            let fs = &share.fs;
            threads.spawn(move || {
                fs.sync().unwrap();
                done.send(()).unwrap();
            });
            assert!(is_done.recv_timeout(Duration::from_millis(100)).is_err(), "too early");
            go.send(()).unwrap();
            is_done.recv().unwrap();
        });
    }
}

#[test]
fn what_could_not_be_written_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let share = Share::new(folder.path());
    let file = share.open("/file");
    let ways: [&dyn Fn() -> Result<(), Errno>; 2] =
        [&|| file.file().sync(SyncKind::Data), &|| share.fs.sync()];
    for way in ways {
        share.sync();
        file.write(&[b"x"]).unwrap();
        *share.channel.on_sync.lock().unwrap() = OnSync::Fail;
        assert_eq!(way(), Err(Errno::ENOMEM));
        assert_eq!(share.sync(), (BTreeSet::new(), 1));
    }
}

#[test]
fn many_changed_files_are_few_open_ones() {
    let folder = tempfile::tempdir().unwrap();
    let share = Share::new(folder.path());
    for index in 0..400 {
        share.open(&format!("/{index}")).write(&[b"x"]).unwrap();
    }
    let asked = share.channel.asked.lock().unwrap();
    assert!(asked.walked - asked.clunked < 3 * 128 + 10, "{} {}", asked.walked, asked.clunked);
    assert!(asked.changed.len() <= 128, "the oldest were written");
    drop(asked);
    assert_eq!(share.sync().0, BTreeSet::new());
    // With the last user of the file system, all it had on the server goes: a file may have been kept.
    share.look();
    share.open("/last").write(&[b"x"]).unwrap();
    let Share { files, fs, channel } = share;
    drop((files, fs));
    let asked = channel.asked.lock().unwrap();
    assert_eq!((asked.syncs, asked.changed.len()), (2, 0), "the file and its directory");
    assert_eq!(asked.walked + 2, asked.clunked, "those of the root were there before");
}

/// A channel whose replies somebody changes. It finds no file of the name `hidden`.
struct Changed {
    local: Local,
    /// What is done to the reply to a request.
    change: fn(&Request<'_>, &mut Vec<u8>, &Path),
    folder: PathBuf,
}

impl Channel for Changed {
    fn max_message(&self) -> usize {
        self.local.max_message()
    }

    fn exchange(&self, message: Message) -> Result<Message, ChannelError> {
        let request = message.request.clone();
        let hidden = matches!(Request::decode(&request).unwrap().1,
            Request::Walk { names, .. } if names.iter().any(|name| name == b"hidden"));
        let mut done = if hidden { message } else { self.local.exchange(message)? };
        let mut reply = if hidden { request.clone() } else { done.reply().to_vec() };
        if hidden {
            answer(&mut reply, &Response::Error { errno: Errno::ENOENT.number().into() });
        }
        (self.change)(&Request::decode(&request).unwrap().1, &mut reply, &self.folder);
        done.length = reply.len();
        done.reply[..reply.len()].copy_from_slice(&reply);
        Ok(done)
    }
}

fn changed(folder: &Path, change: fn(&Request<'_>, &mut Vec<u8>, &Path)) -> Context {
    let local = Local::new(Server::new(folder, Access::ReadWrite).unwrap());
    let channel = Box::leak(Box::new(Changed { local, change, folder: folder.into() }));
    let fs = NinePFs::new(channel, Options::default()).unwrap();
    let mount = Mount::new(fs, b"share", MountFlags::empty()).unwrap();
    Context::new(Location::root_of(mount))
}

/// Puts another response in place of a reply.
fn answer(reply: &mut Vec<u8>, response: &Response<'_>) {
    let (_, _, tag) = p9::peek(reply).unwrap();
    let mut bytes = vec![0; 9000];
    let length = response.encode(tag, &mut bytes).unwrap();
    *reply = bytes[..length].to_vec();
}

#[test]
fn sizes_are_those_that_files_can_have() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "text").unwrap();
    let files = changed(folder.path(), |_, reply, _| {
        let Ok((_, Response::Getattr { mut attributes })) = Response::decode(reply) else { return };
        if attributes.size == 4 {
            attributes.size = u64::MAX - 1;
            answer(reply, &Response::Getattr { attributes });
        }
    });
    let flags = OpenFlags::WRITE_ONLY | OpenFlags::APPEND;
    let appended = files.open(None, b"/file", flags, 0).and_then(|file| file.write(&[b"more"]));
    assert_eq!(appended, Err(Errno::EIO));
}

#[test]
fn what_is_made_is_what_is_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let files = changed(folder.path(), |request, _, folder| {
        if matches!(request, Request::Lcreate { .. }) {
            std::fs::write(folder.join("other"), "").unwrap();
            std::fs::rename(folder.join("other"), folder.join("file")).unwrap();
        }
    });
    let flags = OpenFlags::READ_WRITE | OpenFlags::CREATE;
    let file = files.open(None, b"/file", flags, 0o600).unwrap();
    assert_eq!(file.write(&[b"text"]), Ok(4));
    assert_eq!(std::fs::read(folder.path().join("file")).unwrap(), b"text");
}

#[test]
fn a_server_that_contradicts_itself_is_asked_so_often_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hidden"), "").unwrap();
    let files = changed(folder.path(), |_, _, _| {});
    let flags = OpenFlags::READ_WRITE | OpenFlags::CREATE;
    assert_eq!(files.open(None, b"/hidden", flags, 0o600).err(), Some(Errno::ESTALE));
}

#[test]
fn entries_without_names_end_some_time() {
    let folder = tempfile::tempdir().unwrap();
    let list = |name: &'static [u8]| {
        move |files: &Context| {
            let directory = files.open(None, b"/", OpenFlags::DIRECTORY, 0).unwrap();
            let mut names = Vec::new();
            let listed = vfs::list_open(&directory, &mut |entry| {
                names.push(entry.name.to_vec());
                true
            });
            assert_eq!((listed, names.len()), (Err(Errno::EIO), 2), "{}", name.len());
        }
    };
    // Always the directory itself, and a name that is too long.
    list(b".")(&changed(folder.path(), |request, reply, _| entry(request, reply, b".")));
    list(&LONG)(&changed(folder.path(), |request, reply, _| entry(request, reply, &LONG)));
}

const LONG: [u8; 256] = [b'a'; 256];

/// Answers with one entry, of this name.
fn entry(request: &Request<'_>, reply: &mut Vec<u8>, name: &[u8]) {
    if !matches!(request, Request::Readdir { .. }) {
        return;
    }
    let qid = p9::Qid { kind: 0, version: 0, path: 1 };
    let mut bytes = [0; 1000];
    let mut entries = p9::EntryWriter::new(&mut bytes);
    assert!(entries.push(&p9::DirectoryEntry { qid, next: 1, kind: 8, name }));
    let length = entries.len();
    answer(reply, &Response::Readdir { data: p9::Data(&bytes[..length]) });
}

#[test]
fn entries_are_fetched_once_however_little_is_asked_for() {
    const FILES: usize = 500;
    let folder = tempfile::tempdir().unwrap();
    for index in 0..FILES {
        std::fs::write(folder.path().join(format!("file-{index:04}")), "").unwrap();
    }
    let share = Share::new(folder.path());
    let directory = share.files.open(None, b"/", OpenFlags::DIRECTORY, 0).unwrap();
    let mut names = BTreeSet::new();
    loop {
        // As much as fits into 2 KiB of `getdents64`.
        let mut left = 60;
        vfs::list_open(&directory, &mut |entry| {
            let fits = left > 0;
            if fits {
                left -= 1;
                assert!(names.insert(entry.name.to_vec()), "{:?}", entry.name);
            }
            fits
        })
        .unwrap();
        if left == 60 {
            break;
        }
    }
    assert_eq!(names.len(), FILES + 2);
    // An entry takes 33 bytes, an answer has up to 8 KiB of them, the last has none.
    let lists = share.look().lists;
    assert!(lists <= 6, "{lists}");
    // Whoever begins anew sees what is there now.
    std::fs::write(folder.path().join("new"), "").unwrap();
    directory.seek(ukfile::Seek::Start(0)).unwrap();
    let mut found = false;
    vfs::list_open(&directory, &mut |entry| {
        found |= entry.name == b"new";
        true
    })
    .unwrap();
    assert!(found);
}

#[test]
fn messages_take_memory_once() -> Result<(), Errno> {
    let folder = tempfile::tempdir().unwrap();
    let share = Share::new(folder.path());
    let file = share.open("/file");
    let (bytes, mut read) = (vec![7; 100_000], vec![0; 100_000]);
    let mut once = || {
        file.write_at(0, &[&bytes], OpenFlags::empty())?;
        file.read_at(0, &mut [&mut read], OpenFlags::empty())?;
        // Short messages in between.
        share.files.metadata(None, b"/file", vfs::Follow::Yes)
    };
    once()?;
    let (result, taken) = taken(|| (0..10).try_for_each(|_| once().map(drop)));
    assert!(taken.blocks > 0 && taken.largest < LARGE, "{taken:?}");
    result
}
