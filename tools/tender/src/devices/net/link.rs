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

/// Where frames go to and come from.
#[derive(Debug)]
pub enum Link {
    /// A tap device.
    Tap(Tap),
    /// A stream socket.
    Stream(Stream),
}

/// A tap device: one frame for each call.
#[derive(Debug)]
pub struct Tap {
    file: File,
    is_open: bool,
}

/// A stream socket with frames behind their lengths, as passt and QEMU's `-netdev stream` speak it.
#[derive(Debug)]
pub struct Stream {
    socket: UnixStream,
    /// What was read and not yet given: from `start` on.
    inbox: Vec<u8>,
    start: usize,
    /// The frame that is sent, with its length, and how much of it has been.
    outbox: Vec<u8>,
    sent: usize,
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
        Ok(Self::Tap(Tap { file, is_open: true }))
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
        Ok(Self::Stream(Stream {
            socket,
            inbox: Vec::new(),
            start: 0,
            outbox: Vec::new(),
            sent: 0,
            is_open: true,
        }))
    }

    pub(super) fn descriptor_number(&self) -> RawFd {
        match self {
            Self::Tap(tap) => tap.file.as_raw_fd(),
            Self::Stream(stream) => stream.socket.as_raw_fd(),
        }
    }

    /// Whether frames still come and go.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Tap(tap) => tap.is_open,
            Self::Stream(stream) => stream.is_open,
        }
    }

    /// The next frame, if one is there: its length.
    pub(super) fn receive(&mut self, frame: &mut [u8]) -> Option<usize> {
        match self {
            Self::Tap(tap) => tap.receive(frame),
            Self::Stream(stream) => stream.receive(frame),
        }
    }

    /// Sends a frame, unless [one is still being sent](Self::is_sending). Those for which nobody is
    /// there are lost.
    pub(super) fn send(&mut self, frame: &[u8]) {
        match self {
            Self::Tap(tap) => _ = tap.file.write(frame),
            Self::Stream(stream) => stream.send(frame),
        }
    }

    /// Whether a part of a frame is left, for which the other end had no room.
    pub(super) fn is_sending(&self) -> bool {
        match self {
            Self::Tap(_) => false,
            Self::Stream(stream) => stream.is_sending(),
        }
    }

    /// Sends what is left of a frame, as far as there is room.
    pub(super) fn go_on(&mut self) {
        if let Self::Stream(stream) = self {
            stream.go_on();
        }
    }
}

/// Whether a call is to be made again, now or later. After any other error nothing will come any more,
/// and who waited for it would be told at once, for ever.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

impl Tap {
    fn receive(&mut self, frame: &mut [u8]) -> Option<usize> {
        match self.file.read(frame) {
            Ok(len) => Some(len).filter(|len| *len > 0),
            Err(error) => {
                // The device may have been deleted.
                self.is_open &= is_passing(&error);
                None
            }
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
            Err(error) => self.is_open &= is_passing(&error),
        }
        false
    }

    fn send(&mut self, frame: &[u8]) {
        debug_assert!(!self.is_sending(), "one frame after the other");
        self.outbox.clear();
        self.sent = 0;
        self.outbox.extend_from_slice(&(frame.len() as u32).to_be_bytes());
        self.outbox.extend_from_slice(frame);
        self.go_on();
    }

    fn is_sending(&self) -> bool {
        self.is_open && self.sent < self.outbox.len()
    }

    fn go_on(&mut self) {
        while self.is_sending() {
            match self.write(&self.outbox[self.sent..]) {
                Ok(done) => self.sent += done,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => self.is_open &= is_passing(&error),
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
        while link.is_open() {
            assert_eq!(link.receive(&mut room), None);
        }
    }

    #[test]
    fn a_length_that_makes_no_sense_closes_the_link() {
        let (mut link, mut other) = pair();
        other.write_all(&[0xff; 64]).unwrap();
        assert_eq!(link.receive(&mut vec![0; MAX_FRAME]), None);
        assert!(!link.is_open());
    }

    #[test]
    fn a_tap_device_that_cannot_be_read_any_more_closes_the_link() {
        // As one that was deleted, this gives an error whenever it is asked.
        let file = File::options().write(true).open("/dev/null").unwrap();
        let mut link = Link::Tap(Tap { file, is_open: true });
        assert_eq!(link.receive(&mut vec![0; MAX_FRAME]), None);
        assert!(!link.is_open());
    }

    #[test]
    fn a_frame_for_which_there_is_no_room_goes_on_later() {
        let (mut link, mut other) = pair();
        let frame: Vec<u8> = (0..MAX_FRAME).map(|at| (at % 251) as u8).collect();
        let mut count = 0;
        while !link.is_sending() {
            link.send(&frame);
            count += 1;
        }
        // Meanwhile frames come.
        other.write_all(&[0, 0, 0, 2, 7, 8]).unwrap();
        let mut room = vec![0; MAX_FRAME];
        assert_eq!(link.receive(&mut room), Some(2));
        link.go_on();
        assert!(link.is_sending());
        let mut bytes = vec![0; LENGTH + frame.len()];
        for _ in 0..count {
            for part in bytes.chunks_mut(9973) {
                other.read_exact(part).unwrap();
                link.go_on();
            }
            assert_eq!(bytes[..LENGTH], (frame.len() as u32).to_be_bytes());
            assert!(bytes[LENGTH..] == frame);
        }
        assert!(!link.is_sending());
        // Nobody is there for what is left of another.
        while !link.is_sending() {
            link.send(&frame);
        }
        drop(other);
        link.go_on();
        assert!(!link.is_sending() && !link.is_open());
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
