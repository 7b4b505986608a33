//! The console as a file.

use alloc::sync::Arc;

use ukerrno::Errno;
use uklock::{Mutex, WaitQueue};
use ukplat::Stream;

use crate::{
    Control, Events, File, Kind, Metadata, OpenFlags, Watchers, device_number, fallible, minor,
    total,
};

/// How often a wait looks whether something has arrived, in nanoseconds: consoles do not tell.
const LOOK_NS: u64 = 5_000_000;

/// Bytes that are counted before they are read, at most.
const MOST_AHEAD: usize = 256;

/// The console of the machine, for reading and writing. It is not a terminal that could be asked
/// or set.
#[derive(Debug)]
pub struct Console {
    stream: Stream,
}

/// What has arrived and was looked at, but not read.
struct Ahead {
    bytes: [u8; MOST_AHEAD],
    length: usize,
}

/// There is one console, however often it is open.
static AHEAD: Mutex<Ahead> = Mutex::new(Ahead { bytes: [0; MOST_AHEAD], length: 0 });

/// Those that watch it, who are told that what they found was read.
static WATCHERS: Watchers = Watchers::new();

impl Ahead {
    /// Looks for at most so many bytes altogether; returns how many there are.
    fn look(&mut self, most: usize) -> usize {
        if self.length < most {
            self.length += ukplat::console_read(&mut self.bytes[self.length..most]);
        }
        self.length
    }

    /// Fills a buffer with what was looked at, then with what has arrived since.
    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let known = self.length.min(buffer.len());
        let (first, rest) = buffer.split_at_mut(known);
        first.copy_from_slice(&self.bytes[..known]);
        self.bytes.copy_within(known..self.length, 0);
        self.length -= known;
        known + if rest.is_empty() { 0 } else { ukplat::console_read(rest) }
    }
}

impl Default for Console {
    fn default() -> Self {
        Self { stream: Stream::Out }
    }
}

impl Console {
    /// Its major number, and that of the terminal of the process: the same here.
    pub const MAJOR: u32 = 5;

    /// The one that errors are written to.
    pub fn errors() -> Self {
        Self { stream: Stream::Err }
    }

    /// Opens a device with the number [`Console::MAJOR`].
    ///
    /// # Errors
    /// `ENXIO`, `ENOMEM`
    pub fn open(number: u64, _flags: OpenFlags) -> Result<Arc<dyn File>, Errno> {
        match minor(number) {
            0 | 1 => Ok(fallible::arc(Self::default())?),
            _ => Err(Errno::ENXIO),
        }
    }

    /// Fills a buffer with what has arrived; returns how many bytes that were.
    pub fn take(buffer: &mut [u8]) -> usize {
        let taken = AHEAD.lock().take(buffer);
        if taken > 0 {
            // More may have arrived, or will: they have to look again.
            WATCHERS.notify(Events::READABLE);
        }
        taken
    }

    /// Fills a buffer as [`Console::take`]; waits until there is something, or nothing will come any
    /// more. Other threads go on meanwhile.
    ///
    /// # Errors
    /// `EINTR`
    pub fn wait(buffer: &mut [u8]) -> Result<usize, Errno> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let nobody = WaitQueue::new();
        loop {
            let taken = Self::take(buffer);
            if taken > 0 || ukplat::console_ended() {
                return Ok(taken);
            }
            let soon = Some(ukplat::monotonic_ns() + LOOK_NS);
            nobody.wait_interruptible(soon, || false).map_err(|_| Errno::EINTR)?;
        }
    }

    /// How many bytes can be read without waiting; of more than 256 these.
    pub fn available() -> usize {
        AHEAD.lock().look(MOST_AHEAD)
    }
}

impl File for Console {
    fn read(
        &self,
        _at: &mut u64,
        buffers: &mut [&mut [u8]],
        flags: OpenFlags,
    ) -> Result<usize, Errno> {
        let mut taken = 0;
        for buffer in buffers.iter_mut().filter(|buffer| !buffer.is_empty()) {
            // Only the first byte is waited for.
            let here = if taken > 0 || flags.contains(OpenFlags::NONBLOCK) {
                Self::take(buffer)
            } else {
                Self::wait(buffer)?
            };
            if taken + here == 0 && flags.contains(OpenFlags::NONBLOCK) && !ukplat::console_ended()
            {
                return Err(Errno::EAGAIN);
            }
            taken += here;
            if here < buffer.len() {
                break;
            }
        }
        Ok(taken)
    }

    fn write(&self, _at: &mut u64, buffers: &[&[u8]], _flags: OpenFlags) -> Result<usize, Errno> {
        for bytes in buffers {
            ukplat::console_write(self.stream, bytes);
        }
        Ok(total(buffers))
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(Metadata {
            kind: Kind::CharacterDevice,
            permissions: 0o600,
            links: 1,
            special: device_number(Self::MAJOR, 1),
            block_size: 1024,
            ..Metadata::default()
        })
    }

    fn control(&self, request: Control<'_>) -> Result<usize, Errno> {
        match request {
            Control::Available(bytes) => {
                *bytes = Self::available() as i32;
                Ok(0)
            }
            _ => Err(Errno::ENOTTY),
        }
    }

    fn ready(&self) -> Events {
        // A read that finds the end does not wait.
        let readable = if AHEAD.lock().look(1) > 0 || ukplat::console_ended() {
            Events::READABLE
        } else {
            Events::empty()
        };
        readable | Events::WRITABLE
    }

    fn watchers(&self) -> Option<&Watchers> {
        Some(&WATCHERS)
    }

    fn is_timed(&self) -> bool {
        true
    }

    fn ready_at(&self) -> Option<u64> {
        Some(ukplat::monotonic_ns() + LOOK_NS)
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use super::*;
    use crate::Watcher;

    fn arrives(text: &[u8]) {
        let mut ahead = AHEAD.lock();
        ahead.bytes[..text.len()].copy_from_slice(text);
        ahead.length = text.len();
    }

    /// One test, as there is one console.
    #[test]
    fn what_was_looked_at_is_counted_and_read_and_told() {
        struct Told(AtomicU32);
        impl Watcher for Told {
            fn changed(&self, _: u64, events: Events) {
                self.0.fetch_add(events.bits(), SeqCst);
            }
        }
        let (console, told) = (Console::default(), Arc::new(Told(AtomicU32::new(0))));
        let id = console.watchers().unwrap().watch(told.clone(), Events::IN, 0).unwrap();
        let mut count = -1;
        assert_eq!(console.control(Control::Available(&mut count)), Ok(0));
        assert_eq!((count, console.ready()), (0, Events::WRITABLE));
        arrives(b"xyz");
        assert!(console.ready().contains(Events::IN));
        assert_eq!(console.control(Control::Available(&mut count)), Ok(0));
        assert_eq!(count, 3);
        let (mut none, mut byte, mut more) = ([0; 0], [0], [0; 9]);
        assert_eq!(console.read(&mut 0, &mut [&mut none, &mut byte], OpenFlags::empty()), Ok(1));
        assert_eq!((byte[0], told.0.load(SeqCst)), (b'x', Events::READABLE.bits()));
        let nonblock = OpenFlags::NONBLOCK;
        let all = console.read(&mut 0, &mut [&mut byte, &mut more], nonblock);
        assert_eq!((all, byte[0], more[0]), (Ok(2), b'y', b'z'));
        assert_eq!(console.read(&mut 0, &mut [&mut byte], nonblock), Err(Errno::EAGAIN));
        let mut termios = crate::Termios::default();
        let termios = console.control(Control::Termios(&mut termios));
        assert_eq!(termios, Err(Errno::ENOTTY));
        console.watchers().unwrap().unwatch(id);
    }
}
