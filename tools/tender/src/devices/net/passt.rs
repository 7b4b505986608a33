//! Networking without rights, by passt (<https://passt.top>): it makes connections of the guest into
//! connections of its own sockets, and the other way round for ports that it was told to forward.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use netcard::Forward;
use netcard::passt::{PROGRAM, arguments};

use super::Link;
use crate::error::Error;

/// Descriptor by which it gets its socket.
const SOCKET: i32 = 3;

/// Starts passt on one end of a pair of sockets; it ends when the tender does.
///
/// # Errors
/// [`Error::NoPasst`], [`Error::Net`].
pub fn start(forwards: &[Forward]) -> Result<Link, Error> {
    let wrong = |error: io::Error| Error::Net("passt".into(), error);
    let (own, other) = UnixStream::pair().map_err(wrong)?;
    let other = OwnedFd::from(other);
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments(SOCKET, forwards))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // It ends when the tender does, not by what the terminal sends.
        .process_group(0);
    // SAFETY: between fork and exec only calls that are allowed there; the descriptor is open.
    unsafe {
        command.pre_exec(move || {
            let fd = other.as_raw_fd();
            // A descriptor that is the right one already would stay closed on exec.
            let done = if fd == SOCKET {
                libc::fcntl(fd, libc::F_SETFD, 0)
            } else {
                libc::dup2(fd, SOCKET)
            };
            if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
        });
    }
    match command.spawn() {
        Ok(_) => Link::stream(own).map_err(wrong),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::NoPasst),
        Err(error) => Err(wrong(error)),
    }
}
