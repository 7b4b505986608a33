//! What a network device's frames go to: a tap device, or a stream of frames.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::error::Error;

/// Bytes of a frame at most: the largest IP packet and an Ethernet header with a tag.
pub const MAX_FRAME: usize = 65_535 + 18;
/// A frame of a stream is preceded by its length in these bytes, most significant first.
const LENGTH: usize = 4;
/// What is read from a stream at a time.
const CHUNK: usize = 64 << 10;
/// A stream that takes nothing for so long, in milliseconds, loses the frame.
const PATIENCE_MS: i32 = 100;

/// Where frames go to and come from.
#[derive(Debug)]
pub enum Link {
    /// A tap device: one frame for each call.
    Tap(File),
    /// A stream socket.
    Stream(Stream),
}

/// A stream socket with frames behind their lengths, as passt and QEMU's `-netdev stream` speak it.
#[derive(Debug)]
pub struct Stream {
    socket: UnixStream,
    /// What was read and not yet given: from `start` on.
    inbox: Vec<u8>,
    start: usize,
    is_open: bool,
}

impl Link {
    /// A tap device of that name, which is made when it is not there.
    ///
    /// # Errors
    /// [`Error::Net`].
    pub fn tap(name: &str) -> Result<Self, Error> {
        let wrong = |error: io::Error| Error::Net(format!("the tap device {name}"), error);
        let file = File::options()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open("/dev/net/tun")
            .map_err(wrong)?;
        // SAFETY: a structure of plain values; all zero is valid.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes().take(15)) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
        // SAFETY: the kernel reads and writes one request, which lives during the call.
        if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &mut request) } < 0 {
            return Err(wrong(io::Error::last_os_error()));
        }
        Ok(Self::Tap(file))
    }

    /// The stream socket of a path, on which somebody listens.
    ///
    /// # Errors
    /// [`Error::Net`].
    pub fn connect(path: &Path) -> Result<Self, Error> {
        let connected = UnixStream::connect(path).and_then(Self::stream);
        connected.map_err(|error| Error::Net(format!("the socket {}", path.display()), error))
    }

    /// An open stream socket, which becomes this value's.
    ///
    /// # Errors
    /// [`Error::Net`].
    pub fn descriptor(fd: RawFd) -> Result<Self, Error> {
        let wrong = |error: io::Error| Error::Net(format!("descriptor {fd}"), error);
        // SAFETY: no pointers.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            return Err(wrong(io::Error::last_os_error()));
        }
        // SAFETY: it is open, and the one who started the tender gave it for this alone.
        Self::stream(unsafe { UnixStream::from_raw_fd(fd) }).map_err(wrong)
    }

    /// A stream socket.
    ///
    /// # Errors
    /// Those of the call that makes it not wait.
    pub fn stream(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self::Stream(Stream { socket, inbox: Vec::new(), start: 0, is_open: true }))
    }

    pub(super) fn descriptor_number(&self) -> RawFd {
        match self {
            Self::Tap(file) => file.as_raw_fd(),
            Self::Stream(stream) => stream.socket.as_raw_fd(),
        }
    }

    /// What to wait for; `None` when nothing will come any more.
    pub(super) fn source(&self) -> Option<RawFd> {
        match self {
            Self::Stream(stream) if !stream.is_open => None,
            _ => Some(self.descriptor_number()),
        }
    }

    /// The next frame, if one is there: its length.
    pub(super) fn receive(&mut self, frame: &mut [u8]) -> Option<usize> {
        match self {
            Self::Tap(file) => file.read(frame).ok().filter(|len| *len > 0),
            Self::Stream(stream) => stream.receive(frame),
        }
    }

    /// Sends a frame. One that cannot be sent is lost.
    pub(super) fn send(&mut self, frame: &[u8]) {
        match self {
            Self::Tap(file) => _ = file.write(frame),
            Self::Stream(stream) => stream.send(frame),
        }
    }
}

impl Stream {
    fn receive(&mut self, frame: &mut [u8]) -> Option<usize> {
        loop {
            let waiting = &self.inbox[self.start..];
            if let Some((length, rest)) = waiting.split_first_chunk::<LENGTH>() {
                let len = u32::from_be_bytes(*length) as usize;
                if len > MAX_FRAME {
                    // Where the next frame starts is not known any more.
                    self.is_open = false;
                    return None;
                }
                if let Some(bytes) = rest.get(..len) {
                    frame[..len].copy_from_slice(bytes);
                    self.start += LENGTH + len;
                    return Some(len);
                }
            }
            if !self.is_open || !self.fill() {
                return None;
            }
        }
    }

    /// Reads what has arrived; returns whether there was something.
    fn fill(&mut self) -> bool {
        self.inbox.drain(..self.start);
        self.start = 0;
        let old = self.inbox.len();
        self.inbox.resize(old + CHUNK, 0);
        let read = self.socket.read(&mut self.inbox[old..]);
        self.inbox.truncate(old + read.as_ref().map_or(0, |len| *len));
        match read {
            Ok(0) => self.is_open = false,
            Ok(_) => return true,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(_) => self.is_open = false,
        }
        false
    }

    fn send(&mut self, frame: &[u8]) {
        let mut bytes = Vec::with_capacity(LENGTH + frame.len());
        bytes.extend_from_slice(&(frame.len() as u32).to_be_bytes());
        bytes.extend_from_slice(frame);
        let mut rest = &bytes[..];
        while self.is_open && !rest.is_empty() {
            match self.write(rest) {
                Ok(done) => rest = &rest[done..],
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => {
                        // A frame of which a part was sent must be sent whole.
                        if !self.is_writable() && rest.len() == bytes.len() {
                            return;
                        }
                    }
                    _ => self.is_open = false,
                },
            }
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let (start, len) = (bytes.as_ptr().cast(), bytes.len());
        // The other end may be gone: no signal then.
        // SAFETY: the kernel reads a live slice.
        let done = unsafe { libc::send(self.socket.as_raw_fd(), start, len, libc::MSG_NOSIGNAL) };
        usize::try_from(done).map_err(|_| io::Error::last_os_error())
    }

    fn is_writable(&self) -> bool {
        let fd = self.socket.as_raw_fd();
        let mut entry = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
        // SAFETY: one entry, alive during the call.
        unsafe { libc::poll(&mut entry, 1, PATIENCE_MS) > 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Link, UnixStream) {
        let (own, other) = UnixStream::pair().unwrap();
        (Link::stream(own).unwrap(), other)
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        let (mut link, mut other) = pair();
        let frames: Vec<Vec<u8>> = (1..40).map(|n| vec![n as u8; n * 700]).collect();
        let mut bytes = Vec::new();
        for frame in &frames {
            bytes.extend_from_slice(&(frame.len() as u32).to_be_bytes());
            bytes.extend_from_slice(frame);
        }
        let writer = std::thread::spawn(move || {
            for part in bytes.chunks(997) {
                other.write_all(part).unwrap();
            }
        });
        let mut room = vec![0; MAX_FRAME];
        for frame in &frames {
            let len = loop {
                match link.receive(&mut room) {
                    Some(len) => break len,
                    None => std::thread::yield_now(),
                }
            };
            assert_eq!(&room[..len], &frame[..]);
        }
        writer.join().unwrap();
        while link.source().is_some() {
            assert_eq!(link.receive(&mut room), None);
        }
    }

    #[test]
    fn a_length_that_makes_no_sense_closes_the_link() {
        let (mut link, mut other) = pair();
        other.write_all(&[0xff; 64]).unwrap();
        assert_eq!(link.receive(&mut vec![0; MAX_FRAME]), None);
        assert_eq!(link.source(), None);
    }

    #[test]
    fn frames_are_sent_behind_their_length_and_lost_when_nobody_reads() {
        let (mut link, mut other) = pair();
        link.send(&[1, 2, 3]);
        let mut bytes = [0; 7];
        other.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, [0, 0, 0, 3, 1, 2, 3]);
        drop(other);
        link.send(&[4; 100]);
        link.send(&[4; 100]);
    }
}
