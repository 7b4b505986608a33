//! Networking without rights for images that are processes, by passt (<https://passt.top>): it makes
//! connections of the image into connections of its own sockets, and the other way round for ports
//! that it was told to forward. The tender does so by itself, QEMU without passt.

use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use netcard::passt::{PROGRAM, arguments};
use rustix::io::{FdFlags, fcntl_setfd};

use super::Forward;
use crate::diagnostic::{Context, Diagnostic, Result};
use crate::install::in_path;

/// A passt that is to be started, and the image's end of the socket to it.
#[derive(Debug)]
pub struct Passt {
    image: OwnedFd,
    other: OwnedFd,
    arguments: Vec<String>,
}

/// A passt that runs.
#[derive(Debug)]
pub struct Running(Child);

impl Passt {
    /// Prepares one.
    ///
    /// # Errors
    /// There is no passt.
    pub fn new(forwards: &[Forward]) -> Result<Self> {
        if in_path(PROGRAM).is_none() {
            return Err(Diagnostic::new("--net user needs passt for an image that is a process")
                .help(
                    "install it (apt-get install passt, dnf install passt), or run the image with \
                     --plat kvm",
                ));
        }
        let (image, other) = UnixStream::pair().context("cannot make a socket")?;
        let other = OwnedFd::from(other);
        let arguments = arguments(other.as_raw_fd(), forwards);
        Ok(Self { image: image.into(), other, arguments })
    }

    /// The number by which the image has its end.
    pub fn descriptor(&self) -> i32 {
        self.image.as_raw_fd()
    }

    /// Starts it. The image's end is open in programs that are started from here on, until what is
    /// returned is dropped.
    pub fn start(self) -> Result<(OwnedFd, Running)> {
        keep_on_exec(&self.other)?;
        let mut command = Command::new(PROGRAM);
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // It ends when the image does, not by what the terminal sends.
            .process_group(0);
        let child = command.spawn().context("cannot start passt")?;
        drop(self.other);
        keep_on_exec(&self.image)?;
        Ok((self.image, Running(child)))
    }
}

/// Leaves a descriptor open in programs that are started.
fn keep_on_exec(fd: &OwnedFd) -> Result<()> {
    let fd: BorrowedFd<'_> = std::os::fd::AsFd::as_fd(fd);
    fcntl_setfd(fd, FdFlags::empty())
        .map_err(std::io::Error::from)
        .context("cannot pass a socket on")
}

/// The image has ended: nothing more is to be done.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Leaves it to itself: it ends with the image.
    pub fn leave(self) {
        std::mem::forget(self);
    }
}
