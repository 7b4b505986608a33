use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use ninepfs::{NinePFs, Options};
use p9::{Request, Response};
use p9server::{Access, MAX_FIDS, Server};
use uk9p::{Channel, ChannelError, Message};
use ukfile::{OpenFlags, SyncKind};
use vfs::{Context, Follow, Location, LockKind, Mount, MountFlags, RangeLock, RenameFlags};

/// An initial ram disk: entries, which lie in it one behind the other, and at most one error.
pub fn cpio(bytes: &[u8]) {
    let within = |piece: &[u8]| {
        piece.is_empty() || {
            let (all, piece) = (bytes.as_ptr_range(), piece.as_ptr_range());
            all.start <= piece.start && piece.end <= all.end
        }
    };
    let mut last = bytes.as_ptr();
    let mut failed = false;
    for entry in ::cpio::entries(bytes) {
        assert!(!failed, "an error is the last thing");
        match entry {
            Ok(entry) => {
                assert!(within(entry.name) && within(entry.data));
                assert!(!entry.name.is_empty() && entry.name.as_ptr() > last, "it goes forward");
                last = entry.name.as_ptr();
            }
            Err(error) => {
                failed = true;
                assert!(!error.to_string().contains('\n'));
            }
        }
    }
}

/// One message, request or answer: what is read is written the same.
pub fn p9(bytes: &[u8]) {
    let mut again = vec![0; bytes.len()];
    if let Ok((tag, request)) = Request::decode(bytes) {
        assert_eq!(request.encoded_len(), bytes.len());
        assert_eq!(request.encode(tag, &mut again), Ok(bytes.len()));
        assert_eq!(again, bytes);
    }
    if let Ok((tag, response)) = Response::decode(bytes) {
        assert_eq!(response.encoded_len(), bytes.len());
        assert_eq!(response.encode(tag, &mut again), Ok(bytes.len()));
        assert_eq!(again, bytes);
        if let Response::Readdir { data } = response {
            let entries: Vec<_> = p9::Entries::new(data.0).collect();
            assert!(entries.iter().rev().skip(1).all(Result::is_ok), "an error is the last thing");
        }
    }
}

/// The messages in a stream of bytes: a byte says how long the next one is, its own length comes
/// to that.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    std::iter::from_fn(move || {
        let (&length, rest) = bytes.split_first()?;
        let length = usize::from(length).min(rest.len());
        let (body, rest) = rest.split_at(length);
        bytes = rest;
        let mut message = (length as u32 + 4).to_le_bytes().to_vec();
        message.extend(body);
        Some(message)
    })
}

/// A folder with a directory that is shared, and something beside it that is not.
struct Folder {
    _all: tempfile::TempDir,
    shared: PathBuf,
    outside: PathBuf,
}

static FOLDER: LazyLock<Mutex<Folder>> = LazyLock::new(|| {
    let shm = std::path::Path::new("/dev/shm");
    let all = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
    let all = all.expect("a folder for files can be made");
    let (shared, outside) = (all.path().join("shared"), all.path().join("outside"));
    Mutex::new(Folder { _all: all, shared, outside })
});

/// Requests of a client to a server: whatever they are, each has an answer that can be read, as long
/// as it may be, the number of fids is bounded, and nothing outside of the directory is touched.
pub fn p9server(bytes: &[u8]) {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    let folder = FOLDER.lock().unwrap();
    let _ = std::fs::remove_dir_all(&folder.shared);
    std::fs::create_dir(&folder.shared).unwrap();
    std::fs::write(&folder.outside, "outside").unwrap();
    std::fs::write(folder.shared.join("a"), "inside").unwrap();
    std::os::unix::fs::symlink("../outside", folder.shared.join("l")).unwrap();
    std::fs::create_dir(folder.shared.join("d")).unwrap();
    let access = if first & 1 != 0 { Access::ReadOnly } else { Access::ReadWrite };
    let mut server = Server::new(&folder.shared, access).unwrap();
    let mut reply = vec![0; if first & 2 != 0 { 600 } else { 8192 }];
    let mut send = |request: &[u8]| {
        let length = server.handle(request, &mut reply);
        let (tag, response) = Response::decode(&reply[..length]).expect("an answer can be read");
        if let Some((_, number, asked)) = p9::peek(request) {
            assert_eq!(tag, asked);
            let is_error = matches!(response, Response::Error { .. });
            assert!(is_error || reply[4] == number + 1, "an answer to what was asked");
        }
        assert!(server.open_fids() <= MAX_FIDS);
    };
    let mut begin = [0; 64];
    if first & 4 == 0 {
        let version = Request::Version { size: 8192, version: p9::VERSION };
        let attach =
            Request::Attach { fid: 0, auth: p9::NO_FID, user: b"", tree: b"", user_number: 0 };
        for request in [version, attach] {
            let length = request.encode(0, &mut begin).unwrap();
            send(&begin[..length]);
        }
    }
    messages(bytes).for_each(|message| send(&message));
    drop(server);
    assert_eq!(std::fs::read(&folder.outside).unwrap(), b"outside");
    if access == Access::ReadOnly {
        assert_eq!(std::fs::read(folder.shared.join("a")).unwrap(), b"inside");
        assert_eq!(std::fs::read_dir(&folder.shared).unwrap().count(), 3);
    }
}

/// A server that answers with what it was given, under the right tag or any other.
struct Hostile(Mutex<std::vec::IntoIter<Vec<u8>>>);

impl Channel for Hostile {
    fn max_message(&self) -> usize {
        1 << 16
    }

    fn exchange(&self, mut message: Message) -> Result<Message, ChannelError> {
        let next = self.0.lock().unwrap().next();
        let Some(mut answer) = next else { return Err(ChannelError::Broken) };
        // Most of the time what makes it go on: its tag is that of the request.
        if answer.len() >= 7 && answer[5] != 0xee {
            answer[5..7].copy_from_slice(&message.request[5..7]);
        }
        answer.truncate(message.length);
        message.length = answer.len();
        message.reply = answer;
        Ok(message)
    }
}

/// Answers of a server to a file system: whatever they are, what is done with files has results.
pub fn ninepfs(bytes: &[u8]) {
    let answers: Vec<_> = messages(bytes).collect();
    let hostile = Box::new(Hostile(Mutex::new(answers.into_iter())));
    // Freed below, when nobody uses it any more.
    let hostile = Box::into_raw(hostile);
    // SAFETY: it lives until the end of this function, and nothing that uses it is kept longer.
    let channel: &'static Hostile = unsafe { &*hostile };
    if let Ok(fs) = NinePFs::new(channel, Options::default()) {
        let mount = Mount::new(fs, b"", MountFlags::empty()).unwrap();
        let files = Context::new(Location::root_of(mount));
        use_files(&files);
    }
    // SAFETY: made by `Box::into_raw` above; the file system and its nodes are gone.
    drop(unsafe { Box::from_raw(hostile) });
}

fn use_files(files: &Context) {
    let flags = OpenFlags::READ_WRITE | OpenFlags::CREATE;
    let _ = files.metadata(None, b"/a", Follow::Yes);
    if let Ok(file) = files.open(None, b"/a", flags, 0o600) {
        let _ = file.write(&[b"some ", b"bytes"]);
        let mut read = [0; 100];
        if let Ok(length) = file.read_at(0, &mut [&mut read], OpenFlags::empty()) {
            assert!(length <= read.len());
        }
        let _ = file.file().sync(SyncKind::All);
        let _ = vfs::resize_open(&file, 5);
        if let Some(location) = vfs::location_of(&file) {
            let lock = RangeLock { kind: LockKind::Exclusive, first: 0, last: 9 };
            let _ = (location.node.lock(&lock), location.node.blocking(&lock));
        }
    }
    if let Ok(directory) = files.open(None, b"/", OpenFlags::DIRECTORY, 0) {
        let mut count = 0;
        let _ = vfs::list_open(&directory, &mut |entry| {
            count += 1;
            assert!(!entry.name.contains(&b'/') && !entry.name.is_empty());
            count < 1000
        });
    }
    let _ = files.make_directory(None, b"/d", 0o700);
    let _ = files.make_symlink(b"a", None, b"/l");
    let _ = files.read_link(None, b"/l");
    let _ = files.rename((None, b"/a"), (None, b"/d/b"), RenameFlags::empty());
    let _ = files.unlink(None, b"/d/b");
    let _ = files.root.mount.file_system().statistics();
}
