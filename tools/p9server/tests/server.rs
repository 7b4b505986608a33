//! Clients that ask for what they should not get.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use p9::{Data, Lock, LockStatus, LockType, Names, Request, Response, SetAttributes, set};
use p9server::{Access, MAX_FIDS, Server};

const EPERM: u32 = 1;
const ENOENT: u32 = 2;
const EBADF: u32 = 9;
const EEXIST: u32 = 17;
const EISDIR: u32 = 21;
const ENOTDIR: u32 = 20;
const EINVAL: u32 = 22;
const ENFILE: u32 = 23;
const EROFS: u32 = 30;
const ELOOP: u32 = 40;
const EPROTO: u32 = 71;

struct Client {
    server: Server,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Client {
    /// Connected, with fid 0 for the directory.
    fn new(path: &Path, access: Access) -> Self {
        let server = Server::new(path, access).unwrap();
        let mut client = Self { server, request: vec![0; 1 << 17], reply: vec![0; 1 << 16] };
        client.ok(Request::Version { size: 1 << 16, version: p9::VERSION });
        client.ok(attach(0));
        client
    }

    fn send(&mut self, request: Request<'_>) -> Response<'_> {
        let length = request.encode(7, &mut self.request).unwrap();
        let length = self.server.handle(&self.request[..length], &mut self.reply);
        let (tag, response) = Response::decode(&self.reply[..length]).unwrap();
        assert_eq!(tag, 7);
        response
    }

    #[track_caller]
    fn ok(&mut self, request: Request<'_>) {
        let response = self.send(request);
        assert!(!matches!(response, Response::Error { .. }), "{request:?}: {response:?}");
    }

    fn error(&mut self, request: Request<'_>) -> Option<u32> {
        match self.send(request) {
            Response::Error { errno } => Some(errno),
            _ => None,
        }
    }

    fn walk(&mut self, from: u32, to: u32, names: &[&[u8]]) -> Option<u32> {
        self.error(Request::Walk { fid: from, new_fid: to, names: Names::List(names) })
    }
}

fn attach(fid: u32) -> Request<'static> {
    Request::Attach { fid, auth: p9::NO_FID, user: b"", tree: b"", user_number: 0 }
}

const SET: SetAttributes = SetAttributes {
    valid: set::MODE,
    mode: 0o777,
    user: 0,
    group: 0,
    size: 0,
    accessed: 0,
    accessed_ns: 0,
    modified: 0,
    modified_ns: 0,
};

/// A directory with a file, a directory, and links that lead out; beside it what must stay.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let shared = folder.path().join("shared");
    std::fs::create_dir_all(shared.join("directory")).unwrap();
    std::fs::write(folder.path().join("outside"), "outside").unwrap();
    std::fs::write(shared.join("file"), "inside").unwrap();
    std::os::unix::fs::symlink("../outside", shared.join("link")).unwrap();
    std::os::unix::fs::symlink("..", shared.join("up")).unwrap();
    folder
}

fn shared(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("shared")
}

#[test]
fn nothing_leads_out() {
    let folder = folder();
    let mut client = Client::new(&shared(&folder), Access::ReadWrite);
    for name in [&b"../outside"[..], b"/etc/passwd", b"", b"directory/..", b"x\0"] {
        assert_eq!(client.walk(0, 1, &[name]), Some(EINVAL), "{name:?}");
        let make = Request::Mkdir { directory: 0, name, mode: 0o700, group: 0 };
        assert_eq!(client.error(make), Some(EINVAL), "{name:?}");
        let create = Request::Lcreate { fid: 0, name, flags: 0o102, mode: 0o600, group: 0 };
        assert_eq!(client.error(create), Some(EINVAL), "{name:?}");
    }
    // Above the directory is the directory.
    assert_eq!(client.walk(0, 1, &[b"..", b"..", b"outside"]), None);
    assert_eq!(client.error(Request::Clunk { fid: 1 }), Some(EBADF), "it got to .. alone");
    assert_eq!(client.walk(0, 1, &[b"..", b".", b"directory", b"..", b"file"]), None);
    client.ok(Request::Clunk { fid: 1 });
    // Links are for the client to follow.
    assert_eq!(client.walk(0, 2, &[b"link"]), None);
    assert_eq!(client.error(Request::Lopen { fid: 2, flags: 0 }), Some(ELOOP));
    assert_eq!(
        client.send(Request::Readlink { fid: 2 }),
        Response::Readlink { target: b"../outside" }
    );
    assert_eq!(client.walk(2, 3, &[b"x"]), Some(ENOTDIR));
    assert_eq!(client.walk(0, 3, &[b"up", b"outside"]), None);
    assert_eq!(client.error(Request::Clunk { fid: 3 }), Some(EBADF), "it got to the link alone");
    let create = Request::Lcreate { fid: 0, name: b"link", flags: 0o1101, mode: 0o600, group: 0 };
    assert!(client.error(create).is_some());
    let rename =
        |new_name| Request::Renameat { directory: 0, name: b"file", new_directory: 0, new_name };
    assert_eq!(client.error(rename(b"../outside")), Some(EINVAL));
    let unlink = Request::Unlinkat { directory: 0, name: b"../outside", flags: 0 };
    assert_eq!(client.error(unlink), Some(EINVAL));
    assert_eq!(std::fs::read(folder.path().join("outside")).unwrap(), b"outside");
}

#[test]
fn devices_are_not_made() {
    let folder = folder();
    let mut client = Client::new(&shared(&folder), Access::ReadWrite);
    for mode in [0o020666, 0o060666] {
        let mknod =
            Request::Mknod { directory: 0, name: b"null", mode, major: 1, minor: 3, group: 0 };
        assert_eq!(client.error(mknod), Some(EPERM));
    }
    let mknod =
        Request::Mknod { directory: 0, name: b"x", mode: 0o170000, major: 0, minor: 0, group: 0 };
    assert_eq!(client.error(mknod), Some(EINVAL));
}

/// No client makes a program that runs with the rights of the server's user.
#[test]
fn rights_of_others_are_not_made() {
    let folder = folder();
    let permissions = |name: &str| {
        let metadata = std::fs::symlink_metadata(shared(&folder).join(name)).unwrap();
        metadata.permissions().mode() & 0o7777
    };
    let mut client = Client::new(&shared(&folder), Access::ReadWrite);
    assert_eq!(client.walk(0, 1, &[b"file"]), None);
    assert_eq!(client.walk(0, 2, &[b"directory"]), None);
    let to = |mode| SetAttributes { mode, ..SET };
    let (name, group) = (&b"new"[..], 0);
    for mode in [0o4755, 0o2755, 0o6755] {
        assert_eq!(client.walk(0, 3, &[]), None);
        for request in [
            Request::Lcreate { fid: 3, name, flags: 0o102, mode, group },
            Request::Mknod { directory: 0, name, mode: 0o100000 | mode, major: 0, minor: 0, group },
            Request::Mknod { directory: 0, name, mode: 0o010000 | mode, major: 0, minor: 0, group },
            Request::Setattr { fid: 1, to: to(mode) },
        ] {
            assert_eq!(client.error(request), Some(EPERM), "{request:?}");
        }
        client.ok(Request::Clunk { fid: 3 });
        assert!(!shared(&folder).join("new").exists());
        assert_eq!(permissions("file") & 0o6000, 0);
    }
    // Not even its size has changed.
    let both = SetAttributes { valid: set::MODE | set::SIZE, size: 1, ..to(0o4755) };
    assert_eq!(client.error(Request::Setattr { fid: 1, to: both }), Some(EPERM));
    assert_eq!(std::fs::read(shared(&folder).join("file")).unwrap(), b"inside");
    client.ok(Request::Setattr { fid: 1, to: to(0o1755) });
    assert_eq!(permissions("file"), 0o1755);
    // Those of directories say who owns what is made there.
    client.ok(Request::Mkdir { directory: 0, name, mode: 0o2755, group });
    client.ok(Request::Setattr { fid: 2, to: to(0o2775) });
    assert_eq!((permissions("new"), permissions("directory")), (0o2755, 0o2775));
}

/// What is there gets no permissions when it is opened, so it does not matter which are asked for.
#[test]
fn what_is_there_is_opened_whatever_it_would_be_made_with() {
    let folder = folder();
    let mut client = Client::new(&shared(&folder), Access::ReadWrite);
    let (name, group, mode) = (&b"file"[..], 0, 0o4755);
    let create = |flags| Request::Lcreate { fid: 1, name, flags, mode, group };
    assert_eq!(client.walk(0, 1, &[]), None);
    assert_eq!(client.error(create(0o302)), Some(EEXIST));
    for mode in [0o104755, 0o014755] {
        let mknod = Request::Mknod { directory: 0, name, mode, major: 0, minor: 0, group };
        assert_eq!(client.error(mknod), Some(EEXIST), "{mode:o}");
    }
    std::fs::create_dir(shared(&folder).join("folder")).unwrap();
    let name = &b"folder"[..];
    let create_folder = Request::Lcreate { fid: 1, name, flags: 0o100, mode, group };
    assert_eq!(client.error(create_folder), Some(EISDIR));
    client.ok(create(0o102));
    let read = Request::Read { fid: 1, offset: 0, count: 100 };
    assert_eq!(client.send(read), Response::Read { data: Data(b"inside") });
    let permissions = shared(&folder).join("file").metadata().unwrap().permissions().mode();
    assert_eq!(permissions & 0o6000, 0);
}

/// What the host gave them to keeps them as long as it is the host's.
#[test]
fn rights_of_others_are_lost_with_the_content() {
    let folder = folder();
    let file = shared(&folder).join("file");
    let give = || std::fs::set_permissions(&file, Permissions::from_mode(0o6755)).unwrap();
    let permissions = || file.metadata().unwrap().permissions().mode() & 0o7777;
    let mut client = Client::new(&shared(&folder), Access::ReadWrite);
    assert_eq!(client.walk(0, 1, &[b"file"]), None);
    let change = |valid, mode| Request::Setattr {
        fid: 1,
        to: SetAttributes { valid, mode, size: 3, user: u32::MAX, group: u32::MAX, ..SET },
    };
    give();
    client.ok(change(set::MODE, 0o6711));
    assert_eq!(permissions(), 0o6711);
    assert_eq!(client.error(change(set::MODE | set::USER, 0o6711)), Some(EPERM));
    assert_eq!(client.error(change(set::MODE | set::GROUP, 0o6711)), Some(EPERM));
    client.ok(change(set::MODE, 0o4755));
    assert_eq!(permissions(), 0o4755);
    assert_eq!(client.error(change(set::MODE, 0o6755)), Some(EPERM));
    give();
    assert_eq!(client.error(change(set::MODE | set::SIZE, 0o6711)), Some(EPERM));
    assert_eq!((permissions(), std::fs::read(&file).unwrap()), (0o6755, b"inside".into()));
    client.ok(change(set::MODE | set::SIZE, 0o711));
    assert_eq!((permissions(), std::fs::read(&file).unwrap()), (0o711, b"ins".into()));
    give();
    client.ok(change(set::SIZE, 0));
    assert_eq!(permissions(), 0o755);
    for flags in [1, 2, 0o1000] {
        give();
        assert_eq!(client.walk(0, 2, &[b"file"]), None);
        client.ok(Request::Lopen { fid: 2, flags });
        assert_eq!(permissions(), 0o755, "{flags:#o}");
        client.ok(Request::Clunk { fid: 2 });
    }
    give();
    client.ok(Request::Lopen { fid: 1, flags: 0 });
    assert_eq!(permissions(), 0o6755);
}

#[test]
fn what_can_only_be_read_is_not_changed() {
    let folder = folder();
    let mut client = Client::new(&shared(&folder), Access::ReadOnly);
    assert_eq!(client.walk(0, 1, &[b"file"]), None);
    assert_eq!(client.walk(0, 2, &[b"directory"]), None);
    let (name, group, mode) = (&b"new"[..], 0, 0o600);
    for request in [
        Request::Lcreate { fid: 2, name, flags: 0o102, mode, group },
        Request::Symlink { directory: 0, name, target: b"x", group },
        Request::Mknod { directory: 0, name, mode: 0o100600, major: 0, minor: 0, group },
        Request::Mkdir { directory: 0, name, mode, group },
        Request::Rename { fid: 1, directory: 0, name },
        Request::Renameat { directory: 0, name: b"file", new_directory: 0, new_name: name },
        Request::Unlinkat { directory: 0, name: b"file", flags: 0 },
        Request::Unlinkat { directory: 0, name: b"directory", flags: 0x200 },
        Request::Link { directory: 0, fid: 1, name },
        Request::Setattr { fid: 1, to: SET },
        Request::Lopen { fid: 1, flags: 1 },
        Request::Lopen { fid: 1, flags: 2 },
        Request::Lopen { fid: 1, flags: 0o1000 },
        Request::Write { fid: 1, offset: 0, data: Data(b"x") },
        Request::Xattrcreate { fid: 1, name, size: 1, flags: 0 },
        Request::Remove { fid: 1 },
    ] {
        assert_eq!(client.error(request), Some(EROFS), "{request:?}");
    }
    client.ok(Request::Lopen { fid: 1, flags: 0 });
    let read = Request::Read { fid: 1, offset: 2, count: 100 };
    assert_eq!(client.send(read), Response::Read { data: Data(b"side") });
    client.ok(Request::Fsync { fid: 1, data_only: 0 });
    assert_eq!(std::fs::read_dir(shared(&folder)).unwrap().count(), 4);
}

#[test]
fn fids_are_bounded_and_checked() {
    let folder = folder();
    let mut client = Client::new(&shared(&folder), Access::ReadWrite);
    for fid in 1..MAX_FIDS as u32 {
        client.ok(Request::Walk { fid: 0, new_fid: fid, names: Names::List(&[]) });
    }
    assert_eq!(client.walk(0, MAX_FIDS as u32, &[]), Some(ENFILE));
    assert_eq!(client.error(attach(MAX_FIDS as u32)), Some(ENFILE));
    client.ok(Request::Clunk { fid: 5 });
    assert_eq!(client.walk(0, 6, &[]), Some(EBADF), "it is in use");
    assert_eq!(client.walk(5, 5, &[]), Some(EBADF), "it is not");
    assert_eq!(client.walk(0, p9::NO_FID, &[]), Some(EBADF));
    // A new beginning.
    client.ok(Request::Version { size: 8192, version: p9::VERSION });
    assert_eq!(client.error(Request::Clunk { fid: 0 }), Some(EBADF));
    client.ok(attach(0));
    assert_eq!(client.error(Request::Read { fid: 0, offset: 0, count: 1 }), Some(EBADF));
    assert_eq!(client.error(Request::Readdir { fid: 0, offset: 0, count: 100 }), Some(EBADF));
    let write = Request::Write { fid: 0, offset: 0, data: Data(b"x") };
    assert_eq!(client.error(write), Some(EBADF));
    let elsewhere =
        Request::Attach { fid: 9, auth: p9::NO_FID, user: b"", tree: b"/etc", user_number: 0 };
    assert_eq!(client.error(elsewhere), Some(ENOENT));
}

#[test]
fn numbers_are_checked() {
    let folder = folder();
    let mut client = Client::new(&shared(&folder), Access::ReadWrite);
    assert_eq!(client.walk(0, 1, &[b"file"]), None);
    client.ok(Request::Lopen { fid: 1, flags: 2 });
    // As much as there is room for, and no more.
    let all = Request::Read { fid: 1, offset: 0, count: u32::MAX };
    assert_eq!(client.send(all), Response::Read { data: Data(b"inside") });
    for offset in [u64::MAX, u64::MAX - 3, i64::MAX as u64 + 1] {
        assert_eq!(client.error(Request::Read { fid: 1, offset, count: 9 }), Some(EINVAL));
        let write = Request::Write { fid: 1, offset, data: Data(b"123456789") };
        assert_eq!(client.error(write), Some(EINVAL));
    }
    let size =
        |size| Request::Setattr { fid: 1, to: SetAttributes { valid: set::SIZE, size, ..SET } };
    assert_eq!(client.error(size(u64::MAX)), Some(EINVAL));
    client.ok(size(3));
    let time = SetAttributes {
        valid: set::MODIFIED | set::MODIFIED_TO,
        modified_ns: 1_000_000_000,
        ..SET
    };
    assert_eq!(client.error(Request::Setattr { fid: 1, to: time }), Some(EINVAL));
    assert_eq!(client.walk(0, 2, &[]), None);
    client.ok(Request::Lopen { fid: 2, flags: 0 });
    assert_eq!(client.error(Request::Readdir { fid: 2, offset: 0, count: 5 }), Some(EINVAL));
    let lock = |start, length| {
        let kind = LockType::Write;
        Request::Lock {
            fid: 1,
            lock: Lock { kind, flags: 0, start, length, process: 1, client: b"" },
        }
    };
    assert_eq!(client.error(lock(u64::MAX, 5)), Some(EINVAL));
    assert_eq!(client.error(lock(1, u64::MAX)), Some(EINVAL));
}

#[test]
fn locks_are_those_of_the_host() {
    let folder = folder();
    let mut clients = [(); 2].map(|()| {
        let mut client = Client::new(&shared(&folder), Access::ReadWrite);
        assert_eq!(client.walk(0, 1, &[b"file"]), None);
        client.ok(Request::Lopen { fid: 1, flags: 2 });
        client
    });
    let mut lock = |who: usize, kind, start, length| {
        let lock = Lock { kind, flags: 0, start, length, process: 1, client: b"" };
        match clients[who].send(Request::Lock { fid: 1, lock }) {
            Response::Lock { status } => status,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(lock(0, LockType::Read, 0, 10), LockStatus::Success);
    assert_eq!(lock(1, LockType::Read, 5, 0), LockStatus::Success);
    assert_eq!(lock(1, LockType::Write, 9, 1), LockStatus::Blocked);
    assert_eq!(lock(1, LockType::Write, 10, 1), LockStatus::Success);
    assert_eq!(lock(0, LockType::Unlock, 0, 10), LockStatus::Success);
    assert_eq!(lock(1, LockType::Write, 9, 1), LockStatus::Success);
    // They go with the one that has them.
    let [mut first, second] = clients;
    drop(second);
    let kind = LockType::Write;
    let lock = Lock { kind, flags: 0, start: 0, length: 0, process: 1, client: b"" };
    let locked = Response::Lock { status: LockStatus::Success };
    assert_eq!(first.send(Request::Lock { fid: 1, lock }), locked);
}

#[test]
fn who_only_reads_keeps_nobody_from_reading() {
    let folder = folder();
    let [mut reader, mut writer] = [Access::ReadOnly, Access::ReadWrite].map(|access| {
        let mut client = Client::new(&shared(&folder), access);
        assert_eq!(client.walk(0, 1, &[b"file"]), None);
        client
    });
    let lock = |client: &mut Client, kind| {
        let lock = Lock { kind, flags: 0, start: 0, length: 0, process: 1, client: b"" };
        match client.send(Request::Lock { fid: 1, lock }) {
            Response::Lock { status } => status,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(lock(&mut reader, LockType::Write), LockStatus::Error);
    assert_eq!(lock(&mut writer, LockType::Read), LockStatus::Success);
    assert_eq!(lock(&mut reader, LockType::Read), LockStatus::Success);
}

#[test]
fn what_is_no_message_gets_an_error() {
    let folder = folder();
    let mut server = Server::new(&shared(&folder), Access::ReadWrite).unwrap();
    let mut reply = [0; 64];
    for message in [&b""[..], b"abc", &[0xff; 30], b"\x07\0\0\0\x00\x05\0"] {
        let length = server.handle(message, &mut reply);
        let (_, response) = Response::decode(&reply[..length]).unwrap();
        assert_eq!(response, Response::Error { errno: EPROTO });
    }
    // Nothing before the version is agreed on.
    let mut message = [0; 64];
    let length = attach(0).encode(1, &mut message).unwrap();
    let length = server.handle(&message[..length], &mut reply);
    assert_eq!(Response::decode(&reply[..length]).unwrap().1, Response::Error { errno: EPROTO });
    let version = Request::Version { size: 8192, version: b"9P2000" };
    let length = version.encode(1, &mut message).unwrap();
    let length = server.handle(&message[..length], &mut reply);
    let unknown = Response::Version { size: 8192, version: b"unknown" };
    assert_eq!(Response::decode(&reply[..length]).unwrap().1, unknown);
    // Without room there is no answer.
    assert_eq!(server.handle(b"", &mut [0; 10]), 0);
    assert!(Server::new(Path::new("/nowhere"), Access::ReadOnly).is_err());
    assert!(Server::new(&shared(&folder).join("file"), Access::ReadOnly).is_err());
}
