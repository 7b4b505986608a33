//! Descriptors of the host over which packets come and go, by raw system calls, and the interrupt that
//! tells of them: what drivers of this platform are made of.

use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicUsize};

use ukplat::StaticRef;
use ukplat::device::InterruptHandler;

use crate::console::PollFd;
use crate::file::{HostError, OPEN_FLAGS, OPENAT, call};
use crate::{faults, sys, timer};

const IOCTL: usize = 16;
const SOCKET: usize = 41;
const CONNECT: usize = 42;
const GETPID: usize = 39;
const FCNTL: usize = 72;

const O_RDWR: usize = 2;
const O_NONBLOCK: usize = 0o4000;
const O_ASYNC: usize = 0o20000;
const F_SETFL: usize = 4;
const F_SETOWN: usize = 8;
const AF_UNIX: u16 = 1;
/// `SOCK_STREAM | SOCK_CLOEXEC`.
const STREAM: usize = 1 | 0o2_000_000;
/// Attach to a network device (linux/if_tun.h) …
const TUNSETIFF: usize = 0x4004_54ca;
/// … that takes Ethernet frames, and nothing in front of them: `IFF_TAP | IFF_NO_PI`.
const TAP: u16 = 0x0002 | 0x1000;
/// Longest name of a network device, with the zero byte at its end.
const NAME_LEN: usize = 16;
/// Longest path of a socket, with the zero byte at its end.
const PATH_LEN: usize = 108;
/// "The name is too long".
const ENAMETOOLONG: HostError = HostError(36);

const POLLIN: i16 = 1;
const POLLOUT: i16 = 4;

/// The signal that tells of input: SIGIO.
const SIGNAL: usize = 29;
/// Mask of that signal.
pub(crate) const SIGNAL_MASK: u64 = 1 << (SIGNAL - 1);

/// Whether the signal came, and nobody was told yet.
static PENDING: AtomicBool = AtomicBool::new(false);
const MAX_HANDLERS: usize = 4;
static HANDLERS: [StaticRef<&dyn InterruptHandler>; MAX_HANDLERS] =
    [const { StaticRef::new() }; MAX_HANDLERS];
static HANDLER_COUNT: AtomicUsize = AtomicUsize::new(0);

/// Calls a handler when something comes from a descriptor that [tells](Packets::tell) of it, of
/// whatever descriptor. `false` when there are too many handlers.
pub fn on_input(handler: &'static &'static dyn InterruptHandler) -> bool {
    let Some(slot) = HANDLERS.get(HANDLER_COUNT.fetch_add(1, AcqRel)) else { return false };
    slot.set(handler);
    faults::install_interrupt(SIGNAL, on_signal);
    true
}

extern "C" fn on_signal(
    _signal: i32,
    _info: *const faults::SignalInfo,
    context: *mut faults::SignalContext,
) {
    PENDING.store(true, Release);
    // SAFETY: the kernel gives the context, alive while the handler runs.
    timer::interrupt(unsafe { &mut *context });
}

pub(crate) fn pending() -> bool {
    PENDING.load(Acquire)
}

/// Tells the handlers if something came. Interrupts are disabled.
pub(crate) fn take() {
    if PENDING.load(Relaxed) && PENDING.swap(false, AcqRel) {
        HANDLERS.iter().filter_map(StaticRef::get).for_each(|handler| handler.interrupt());
    }
}

/// A descriptor over which packets, or parts of a stream of them, come and go. No call waits. It stays
/// open as long as the image runs.
#[derive(Debug)]
pub struct Packets {
    descriptor: usize,
}

/// Whether a descriptor tells of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// The handlers are called when something comes.
    Input,
    /// They are not.
    Nothing,
}

impl Packets {
    /// A tap device of the host (Linux, networking/tuntap): one Ethernet frame for each read and write.
    /// It is made when it is not there, by those who may.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn tap(name: &str) -> Result<Self, HostError> {
        /// `struct ifreq`.
        #[repr(C)]
        struct Request {
            name: [u8; NAME_LEN],
            flags: u16,
            rest: [u8; 22],
        }
        let mut request = Request { name: [0; NAME_LEN], flags: TAP, rest: [0; 22] };
        copy(name.as_bytes(), &mut request.name)?;
        let path = c"/dev/net/tun".as_ptr() as usize;
        let flags = OPEN_FLAGS | O_RDWR;
        let descriptor = call(OPENAT, [0, path, flags, 0, 0, 0])?;
        let this = Self { descriptor };
        let result = call(IOCTL, [descriptor, TUNSETIFF, &raw mut request as usize, 0, 0, 0]);
        this.checked(result)
    }

    /// A connection to the stream socket of a path.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn connect(path: &str) -> Result<Self, HostError> {
        /// `struct sockaddr_un`.
        #[repr(C)]
        struct Address {
            family: u16,
            path: [u8; PATH_LEN],
        }
        let mut address = Address { family: AF_UNIX, path: [0; PATH_LEN] };
        copy(path.as_bytes(), &mut address.path)?;
        let descriptor = call(SOCKET, [AF_UNIX.into(), STREAM, 0, 0, 0, 0])?;
        let this = Self { descriptor };
        let (start, len) = (&raw const address as usize, size_of::<Address>());
        let result = call(CONNECT, [descriptor, start, len, 0, 0, 0]);
        let result = result.and_then(|_| call(FCNTL, [descriptor, F_SETFL, O_NONBLOCK, 0, 0, 0]));
        this.checked(result)
    }

    /// An open descriptor that the process was started with.
    ///
    /// # Errors
    /// [`HostError`].
    pub fn inherited(descriptor: usize) -> Result<Self, HostError> {
        // Not one of the console.
        let descriptor = if descriptor > 2 { descriptor } else { usize::MAX };
        call(FCNTL, [descriptor, F_SETFL, O_NONBLOCK, 0, 0, 0])?;
        let this = Self { descriptor };
        this.checked(Ok(0))
    }

    /// This, if it could be set up; and what it tells, it tells to this process.
    fn checked(self, result: Result<usize, HostError>) -> Result<Self, HostError> {
        let owned = result.and_then(|_| {
            let process = call(GETPID, [0; 6])?;
            call(FCNTL, [self.descriptor, F_SETOWN, process, 0, 0, 0])
        });
        match owned {
            Ok(_) => Ok(self),
            Err(error) => {
                let _ = call(sys::CLOSE, [self.descriptor, 0, 0, 0, 0, 0]);
                Err(error)
            }
        }
    }

    /// Reads what is there; returns how many bytes. 0 is the end.
    ///
    /// # Errors
    /// [`HostError::WOULD_BLOCK`] when there is nothing; another one.
    pub fn read(&self, bytes: &mut [u8]) -> Result<usize, HostError> {
        call(sys::READ, [self.descriptor, bytes.as_mut_ptr() as usize, bytes.len(), 0, 0, 0])
    }

    /// Writes what there is room for; returns how many bytes.
    ///
    /// # Errors
    /// [`HostError::WOULD_BLOCK`] when there is no room; another one.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, HostError> {
        // The signal SIGPIPE is ignored.
        call(sys::WRITE, [self.descriptor, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0])
    }

    /// Whether [`read`](Self::read) would give something, be it an error.
    pub fn is_readable(&self) -> bool {
        self.poll(POLLIN)
    }

    /// Whether [`write`](Self::write) would write something, or give an error.
    pub fn is_writable(&self) -> bool {
        self.poll(POLLOUT)
    }

    fn poll(&self, events: i16) -> bool {
        let mut entry = PollFd::new(self.descriptor as i32, events);
        let polled = call(sys::POLL, [&raw mut entry as usize, 1, 0, 0, 0, 0]);
        polled.is_ok_and(|count| count > 0)
    }

    /// Tells the [handlers](on_input) of input from here on, or does not.
    pub fn tell(&self, what: Tell) {
        let flags = match what {
            Tell::Input => O_NONBLOCK | O_ASYNC,
            Tell::Nothing => O_NONBLOCK,
        };
        let _ = call(FCNTL, [self.descriptor, F_SETFL, flags, 0, 0, 0]);
    }
}

/// Copies a text in front of a zero byte.
fn copy(text: &[u8], to: &mut [u8]) -> Result<(), HostError> {
    if text.len() >= to.len() {
        return Err(ENAMETOOLONG);
    }
    to.iter_mut().zip(text).for_each(|(to, from)| *to = *from);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_stream_is_read_and_written_without_waiting() {
        let path = std::env::temp_dir().join(format!("linuxu-io-{}", std::process::id()));
        let name = path.to_str().unwrap();
        assert_eq!(Packets::connect(name).err(), Some(HostError(2)));
        let listener = UnixListener::bind(&path).unwrap();
        let near = Packets::connect(name).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        std::fs::remove_file(&path).unwrap();
        let mut bytes = [0; 8];
        assert!(!near.is_readable() && near.is_writable());
        assert_eq!(near.read(&mut bytes), Err(HostError::WOULD_BLOCK));
        far.write_all(b"abc").unwrap();
        assert!(near.is_readable());
        assert_eq!(near.read(&mut bytes), Ok(3));
        assert_eq!(near.write(b"defg"), Ok(4));
        far.read_exact(&mut bytes[..4]).unwrap();
        assert_eq!(&bytes[..4], b"defg");
        while near.write(&[0; 4096]).is_ok() {}
        assert!(!near.is_writable());
        drop(far);
        assert!(near.is_readable() && near.write(b"x").is_err());
    }

    #[test]
    fn what_cannot_be_opened_is_refused() {
        assert_eq!(Packets::tap("abcdefghijklmnop").err(), Some(ENAMETOOLONG));
        assert_eq!(Packets::inherited(1).err(), Some(HostError(9)));
        assert_eq!(Packets::connect(&"x".repeat(108)).err(), Some(ENAMETOOLONG));
    }
}
