//! What is done in a directory of the host.

use ukerrno::Errno;
use ukfile::{Kind, OpenFlags, Seek, SyncKind, Timestamp};
use uklock::EventCount;
use ukplat::Exit;
use vfs::{Context, Follow, Location, LockKind, RangeLock, RenameFlags, SetTime};

use crate::{CREATE, check};

/// Bytes of a file that goes in many messages.
const LARGE: usize = 300_000;

/// Uses the directory `path` as programs use one that is to keep something. Its file `kept` is
/// there afterwards, and all else that was made is gone.
pub fn use_it(files: &Context, path: &str) -> Result<(), Errno> {
    let there = files.resolve(None, path.as_bytes(), Follow::Yes)?;
    let at = Some(&there);
    names(files, at)?;
    contents(files, at)?;
    attributes(files, at)?;
    unnamed(files, at)?;
    let kept = files.open(at, b"kept", CREATE | OpenFlags::TRUNCATE, 0o600)?;
    check(kept.write(&[b"written by an ", b"image\n"])? == 20)?;
    kept.file().sync(SyncKind::All)?;
    files.open(at, b".", OpenFlags::DIRECTORY, 0)?.file().sync(SyncKind::All)
}

/// Writes to the file `kept`, waits, and ends as images do not end: nothing is written any more.
pub fn wait_and_end(files: &Context, path: &str) -> Result<(), Errno> {
    let there = files.resolve(None, path.as_bytes(), Follow::Yes)?;
    files
        .open(Some(&there), b"kept", CREATE | OpenFlags::TRUNCATE, 0o600)?
        .write(&[b"waited\n"])?;
    EventCount::new().wait_until(0, ukplat::monotonic_ns() + 7_000_000_000);
    ukplat::terminate(Exit::Code(0))
}

fn listed(files: &Context, at: &Location) -> Result<usize, Errno> {
    let mut count = 0;
    let directory = files.open(Some(at), b".", OpenFlags::DIRECTORY, 0)?;
    vfs::list_open(&directory, &mut |entry| {
        count += usize::from(!matches!(entry.name, b"." | b".."));
        true
    })?;
    Ok(count)
}

fn names(files: &Context, at: Option<&Location>) -> Result<(), Errno> {
    let none = RenameFlags::empty();
    files.make_directory(at, b"made", 0o755)?;
    let made = files.resolve(at, b"made", Follow::No)?;
    let inside = Some(&made);
    files.open(inside, b"a", CREATE | OpenFlags::EXCLUSIVE, 0o644)?.write(&[b"one two"])?;
    check(files.open(inside, b"a", CREATE | OpenFlags::EXCLUSIVE, 0).err() == Some(Errno::EEXIST))?;
    let a = files.resolve(inside, b"a", Follow::No)?;
    files.make_link(&a, inside, b"b")?;
    check(files.metadata(inside, b"b", Follow::No)?.links == 2)?;
    files.make_symlink(b"b", inside, b"link")?;
    check(&*files.read_link(inside, b"link")? == b"b")?;
    files.rename((inside, b"a"), (at, b"moved"), none)?;
    check(files.metadata(inside, b"a", Follow::No) == Err(Errno::ENOENT))?;
    let mut text = [0; 7];
    files.open(inside, b"link", OpenFlags::empty(), 0)?.read(&mut [&mut text])?;
    check(&text == b"one two")?;
    check(files.remove_directory(at, b"made") == Err(Errno::ENOTEMPTY))?;
    // Enough for several messages.
    for number in 0..200u8 {
        let name = [b'n', b'0' + number / 100, b'0' + number / 10 % 10, b'0' + number % 10];
        files.open(inside, &name, CREATE, 0o644)?;
    }
    check(listed(files, &made)? == 202)?;
    for number in 0..200u8 {
        let name = [b'n', b'0' + number / 100, b'0' + number / 10 % 10, b'0' + number % 10];
        files.unlink(inside, &name)?;
    }
    files.unlink(inside, b"link")?;
    // Two names of one file: nothing happens (POSIX.1-2024, rename()).
    files.rename((at, b"moved"), (inside, b"b"), none)?;
    check(files.metadata(at, b"moved", Follow::No)?.links == 2)?;
    files.unlink(at, b"moved")?;
    files.rename((inside, b"b"), (at, b"moved"), none)?;
    files.unlink(at, b"moved")?;
    files.rename((at, b"made"), (at, b"renamed"), none)?;
    check(files.path_of(&made)?.ends_with(b"/renamed"))?;
    files.remove_directory(at, b"renamed")?;
    check(files.open(inside, b"late", CREATE, 0o644).err() == Some(Errno::ENOENT))
}

fn contents(files: &Context, at: Option<&Location>) -> Result<(), Errno> {
    let mut data = ukfile::fallible::zeroed(LARGE)?;
    for (index, byte) in data.iter_mut().enumerate() {
        *byte = (index * 7 + index / 256) as u8;
    }
    let file = files.open(at, b"large", CREATE, 0o644)?;
    let (one, two) = data.split_at(LARGE / 3);
    check(file.write(&[one, two])? == LARGE)?;
    let mut read = ukfile::fallible::zeroed(LARGE)?;
    check(file.read_at(0, &mut [&mut read], OpenFlags::empty())? == LARGE && read == data)?;
    check(file.read(&mut [&mut read])? == 0)?;
    vfs::resize_open(&file, 10)?;
    let log = files.open(at, b"large", OpenFlags::WRITE_ONLY | OpenFlags::APPEND, 0)?;
    check(log.write(&[b"the ", b"end"])? == 7)?;
    check(file.seek(Seek::End(-3))? == 14)?;
    let mut end = [0; 9];
    check(file.read(&mut [&mut end])? == 3 && end.starts_with(b"end"))?;
    file.file().sync(SyncKind::Data)?;
    files.unlink(at, b"large")
}

fn attributes(files: &Context, at: Option<&Location>) -> Result<(), Errno> {
    files.open(at, b"attributes", CREATE, 0o640)?;
    let file = files.resolve(at, b"attributes", Follow::No)?;
    check(file.node.metadata()?.permissions == 0o640)?;
    files.set_permissions(&file, 0o600)?;
    let time = Timestamp { seconds: 1_000_000_000, nanoseconds: 5000 };
    files.set_times(&file, SetTime::Omit, SetTime::To(time))?;
    let told = file.node.metadata()?;
    check((told.permissions, told.modified, told.kind) == (0o600, time, Kind::Regular))?;
    check(file.mount.file_system().statistics()?.block_size > 0)?;
    files.unlink(at, b"attributes")
}

/// A file without a name is there as long as it is open.
fn unnamed(files: &Context, at: Option<&Location>) -> Result<(), Errno> {
    let file = files.open(at, b"unnamed", CREATE, 0o600)?;
    file.write(&[b"still "])?;
    files.unlink(at, b"unnamed")?;
    file.write(&[b"here"])?;
    let mut text = [0; 10];
    check(file.read_at(0, &mut [&mut text], OpenFlags::empty())? == 10 && &text == b"still here")?;
    check(file.file().metadata()?.size == 10)
}

/// Tries to change what can only be read: its file `kept`.
pub fn only_read(files: &Context, path: &str) -> Result<(), Errno> {
    let there = files.resolve(None, path.as_bytes(), Follow::Yes)?;
    let at = Some(&there);
    let refused = |result: Result<(), Errno>| check(result == Err(Errno::EROFS));
    refused(files.open(at, b"new", CREATE, 0o600).map(drop))?;
    refused(files.open(at, b"kept", OpenFlags::READ_WRITE, 0).map(drop))?;
    refused(files.unlink(at, b"kept"))?;
    refused(files.make_directory(at, b"new", 0o700))?;
    let kept = files.resolve(at, b"kept", Follow::No)?;
    refused(files.set_permissions(&kept, 0o777))?;
    // Past the mount, it is the other side that refuses. An image that is a process is both sides.
    if ukplat::name() != "linuxu" {
        check(kept.node.write(vfs::WriteAt::Offset(0), &[b"x"]).is_err())?;
        check(there.node.unlink(b"kept", &kept.node).is_err())?;
    }
    let mut text = [0; 7];
    files.open(at, b"kept", OpenFlags::empty(), 0)?.read(&mut [&mut text])?;
    check(&text == b"written")
}

/// Tries to get out of the directory, with the help of links that the host has put there: `absolute`
/// and `above` lead to its file `secret` outside.
pub fn escape(files: &Context, path: &str) -> Result<(), Errno> {
    let there = files.resolve(None, path.as_bytes(), Follow::Yes)?;
    let at = Some(&there);
    let read = OpenFlags::empty();
    for name in [&b"absolute"[..], b"above"] {
        check(files.read_link(at, name).is_ok())?;
        check(files.open(at, name, read, 0).err() == Some(Errno::ENOENT))?;
        // As the file system is asked by nobody but a program that means harm.
        let link = there.node.lookup(name)?;
        check(link.kind() == Kind::Symlink && link.lookup(b"x").err() == Some(Errno::ENOTDIR))?;
    }
    for name in [&b".."[..], b"../secret", b"a/b", b"/etc/passwd", b".", b"", b"x\0y"] {
        check(there.node.lookup(name).is_err())?;
    }
    check(files.resolve(at, b"../..", Follow::Yes)?.is(&files.root))
}

/// Takes a lock on the file `path`, which somebody outside may have.
pub fn lock(files: &Context, path: &str) -> Result<(), Errno> {
    let file = files.open(None, path.as_bytes(), OpenFlags::READ_WRITE, 0)?;
    let node = &vfs::location_of(&file).ok_or(Errno::EINVAL)?.node;
    let lock = |kind| RangeLock { kind, first: 0, last: 9 };
    match node.lock(&lock(LockKind::Exclusive)) {
        Ok(()) => check(node.blocking(&lock(LockKind::Exclusive))?.is_none())?,
        Err(error) => {
            let other = node.blocking(&lock(LockKind::Shared))?.ok_or(Errno::EIO)?;
            check(other.kind == LockKind::Exclusive && other.first == 0)?;
            return Err(error);
        }
    }
    node.lock(&lock(LockKind::None))
}
