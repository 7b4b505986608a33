//! The same steps with a table and with the host's: numbers, errors, and which file has which number.
//!
//! The host's numbers are shifted, to where nobody else of this process has any.

use std::fs::File as HostFile;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use fdtab::FdTable;
use proptest::prelude::*;
use ukerrno::Errno;
use ukfile::{Description, File, OpenFlags};

struct Nothing;
impl File for Nothing {}

/// Numbers of the table, and where they begin on the host.
const LIMIT: i32 = 12;
const BASE: i32 = 200;

#[derive(Clone, Debug)]
enum Step {
    /// A new file gets the lowest number.
    Open(bool),
    /// `fcntl(F_DUPFD)`, or `F_DUPFD_CLOEXEC`.
    Duplicate(i32, i32, bool),
    /// `dup3`
    DuplicateTo(i32, i32, bool),
    Close(i32),
    SetFlag(i32, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let fd = || -2i32..LIMIT + 3;
    let flag = any::<bool>;
    prop_oneof![
        4 => flag().prop_map(Step::Open),
        2 => (fd(), fd(), flag()).prop_map(|(fd, least, on)| Step::Duplicate(fd, least, on)),
        2 => (fd(), fd(), flag()).prop_map(|(fd, to, on)| Step::DuplicateTo(fd, to, on)),
        3 => fd().prop_map(Step::Close),
        1 => (fd(), flag()).prop_map(|(fd, on)| Step::SetFlag(fd, on)),
    ]
}

/// The number on the host.
fn shifted(fd: i32) -> i32 {
    if fd < 0 { fd } else { BASE + fd }
}

fn result(value: i32) -> Result<i32, Errno> {
    if value >= 0 {
        return Ok(value);
    }
    let error = std::io::Error::last_os_error().raw_os_error().unwrap();
    Err(ukerrno::from_raw(-(error as isize)).unwrap_err())
}

fn fcntl(fd: i32, command: i32, argument: i32) -> Result<i32, Errno> {
    // SAFETY: commands that take and give numbers. Those that the steps name are nobody else's.
    result(unsafe { libc::fcntl(fd, command, argument) })
}

fn duplicate(fd: i32, least: i32, close_on_exec: bool) -> Result<i32, Errno> {
    let command = if close_on_exec { libc::F_DUPFD_CLOEXEC } else { libc::F_DUPFD };
    fcntl(fd, command, shifted(least)).map(|new| new - BASE)
}

fn close(fd: i32) -> Result<i32, Errno> {
    // SAFETY: as above.
    result(unsafe { libc::close(shifted(fd)) })
}

/// What tells the file of a number from others: the host's number of its pipe.
fn file_of(fd: i32) -> Result<u64, Errno> {
    let mut status = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: there is room for the result, which is there when the call succeeds.
    unsafe {
        result(libc::fstat(shifted(fd), status.as_mut_ptr()))?;
        Ok(status.assume_init().st_ino)
    }
}

/// Files that are open on both sides, with the number that the host has for each.
type Files = Vec<(Arc<Description>, u64, HostFile)>;

fn check(table: &FdTable, files: &Files) -> Result<(), TestCaseError> {
    for fd in -1..LIMIT + 1 {
        let ours = table.get(fd).map(|file| {
            files.iter().find(|known| Arc::ptr_eq(&known.0, &file)).map(|known| known.1).unwrap()
        });
        prop_assert_eq!(ours, file_of(fd), "number {}", fd);
        let flag = fcntl(shifted(fd), libc::F_GETFD, 0).map(|flags| flags & libc::FD_CLOEXEC != 0);
        prop_assert_eq!(table.close_on_exec(fd), flag, "number {}", fd);
    }
    Ok(())
}

fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (table, mut files) = (FdTable::new(), Files::new());
    table.set_limit(LIMIT as usize);
    for step in steps {
        match step {
            Step::Open(flag) => {
                let (reader, _) = std::io::pipe().unwrap();
                let host = HostFile::from(std::os::fd::OwnedFd::from(reader));
                let file = Description::new(Nothing, OpenFlags::empty()).unwrap();
                let number = host.metadata().unwrap().ino();
                let expected = duplicate(host.as_raw_fd(), 0, flag);
                prop_assert_eq!(table.insert(file.clone(), flag), expected);
                files.push((file, number, host));
            }
            Step::Duplicate(fd, least, flag) => {
                let expected = duplicate(shifted(fd), least, flag);
                prop_assert_eq!(table.duplicate(fd, least, flag), expected);
            }
            // The calls tell this case apart before they come to the table.
            Step::DuplicateTo(fd, to, _) if fd == to => {}
            Step::DuplicateTo(fd, to, flag) => {
                let flags = if flag { libc::O_CLOEXEC } else { 0 };
                // SAFETY: as above.
                let expected = result(unsafe { libc::dup3(shifted(fd), shifted(to), flags) });
                let ours = table.duplicate_to(fd, to, flag);
                prop_assert_eq!(ours.map(|_| ()), expected.map(|_| ()));
            }
            Step::Close(fd) => {
                prop_assert_eq!(table.close(fd).map(|_| ()), close(fd).map(|_| ()));
            }
            Step::SetFlag(fd, on) => {
                let expected = fcntl(shifted(fd), libc::F_SETFD, i32::from(on) * libc::FD_CLOEXEC);
                prop_assert_eq!(table.set_close_on_exec(fd, on), expected.map(|_| ()));
            }
        }
        check(&table, &files)?;
    }
    Ok(())
}

/// The only test of this program: the numbers are those of the process.
#[test]
fn the_host_gives_the_same_numbers() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is there for both.
    unsafe {
        result(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit)).unwrap();
        limit.rlim_cur = (BASE + LIMIT) as libc::rlim_t;
        result(libc::setrlimit(libc::RLIMIT_NOFILE, &limit)).unwrap();
    }
    let steps = prop::collection::vec(step(), 0..80);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(steps in steps)| {
        let outcome = run(steps);
        for fd in 0..LIMIT {
            let _ = close(fd);
        }
        outcome?;
    });
}
