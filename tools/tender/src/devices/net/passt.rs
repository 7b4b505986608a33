//! Networking without rights, by passt (<https://passt.top>): it makes connections of the guest into
//! connections of its own sockets, and the other way round for ports that it was told to forward.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use super::{Forward, Link};
use crate::error::Error;

/// The program.
const PROGRAM: &str = "passt";
/// Descriptor by which it gets its socket.
const SOCKET: i32 = 3;
/// The network as the guest sees it: that of QEMU's user networking, so that a guest finds the same
/// on all machines. Frames carry no more than Ethernet's.
const NETWORK: [&str; 8] =
    ["--address", "10.0.2.15", "--netmask", "24", "--gateway", "10.0.2.2", "--mtu", "1500"];

/// Starts passt on one end of a pair of sockets; it ends when the tender does.
///
/// # Errors
/// [`Error::NoPasst`], [`Error::Net`].
pub fn start(forwards: &[Forward]) -> Result<Link, Error> {
    let wrong = |error: io::Error| Error::Net("passt".into(), error);
    let (own, other) = UnixStream::pair().map_err(wrong)?;
    let other = OwnedFd::from(other);
    let mut command = Command::new(PROGRAM);
    command.args(arguments(forwards)).stdin(Stdio::null()).stdout(Stdio::null());
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

fn arguments(forwards: &[Forward]) -> Vec<String> {
    let mut arguments: Vec<String> =
        ["--foreground", "--quiet", "--fd"].map(str::to_owned).to_vec();
    arguments.push(SOCKET.to_string());
    arguments.extend(NETWORK.map(str::to_owned));
    for Forward { udp, address, host, guest } in forwards {
        let option = if *udp { "--udp-ports" } else { "--tcp-ports" };
        arguments.extend([option.to_owned(), format!("{address}/{host}:{guest}")]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_passed_on() {
        let tcp = Forward { udp: false, address: [0; 4].into(), host: 8080, guest: 80 };
        let udp = Forward { udp: true, address: [127, 0, 0, 1].into(), host: 53, guest: 53 };
        let line = arguments(&[tcp, udp]).join(" ");
        assert!(line.starts_with("--foreground --quiet --fd 3 --address 10.0.2.15 "), "{line}");
        let ports = "--tcp-ports 0.0.0.0/8080:80 --udp-ports 127.0.0.1/53:53";
        assert!(line.ends_with(ports), "{line}");
    }
}
