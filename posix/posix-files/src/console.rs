//! The console as a file.

use alloc::sync::Arc;

use ukerrno::Errno;
use ukfile::{Events, File, Kind, Metadata, OpenFlags, Scatter, Watchers};
use uklock::Mutex;
use ukplat::Stream;

/// The major number of the console, and of the terminal of the process: the same here.
pub const MAJOR: u32 = 5;

/// How often a wait looks whether something has arrived, in nanoseconds: consoles do not tell.
const LOOK_NS: u64 = 5_000_000;

/// The console of the machine, for reading and writing. It is not a terminal that could be asked
/// or set.
#[derive(Debug)]
pub struct Console {
    stream: Stream,
}

/// A byte that was looked at and not read: there is one console, however often it is open.
static AHEAD: Mutex<Option<u8>> = Mutex::new(None);

/// Those that watch it, who are told that what they found was read.
static WATCHERS: Watchers = Watchers::new();

impl Default for Console {
    fn default() -> Self {
        Self { stream: Stream::Out }
    }
}

impl Console {
    /// The one that errors are written to.
    pub fn errors() -> Self {
        Self { stream: Stream::Err }
    }

    /// Fills a buffer with what has arrived.
    fn take(&self, buffer: &mut [u8]) -> usize {
        let Some(first) = buffer.first_mut() else { return 0 };
        match AHEAD.lock().take() {
            Some(byte) => {
                *first = byte;
                1 + ukplat::console_read(&mut buffer[1..])
            }
            None => ukplat::console_read(buffer),
        }
    }
}

impl File for Console {
    fn read(
        &self,
        _at: &mut u64,
        buffers: &mut [&mut [u8]],
        flags: OpenFlags,
    ) -> Result<usize, Errno> {
        let mut bytes = [0; 1024];
        let length = ukfile::total_mut(buffers).min(bytes.len());
        if length == 0 {
            return Ok(0);
        }
        loop {
            let taken = self.take(&mut bytes[..length]);
            if taken > 0 {
                // More may have arrived, or will: they have to look again.
                WATCHERS.notify(Events::READABLE);
                return Ok(Scatter::new(buffers).put(&bytes[..taken]));
            }
            if ukplat::console_ended() {
                return Ok(0);
            }
            if flags.contains(OpenFlags::NONBLOCK) {
                return Err(Errno::EAGAIN);
            }
            let nobody = uklock::WaitQueue::new();
            let soon = Some(ukplat::monotonic_ns() + LOOK_NS);
            nobody.wait_interruptible(soon, || false).map_err(|_| Errno::EINTR)?;
        }
    }

    fn write(&self, _at: &mut u64, buffers: &[&[u8]], _flags: OpenFlags) -> Result<usize, Errno> {
        for bytes in buffers {
            ukplat::console_write(self.stream, bytes);
        }
        Ok(ukfile::total(buffers))
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(Metadata {
            kind: Kind::CharacterDevice,
            permissions: 0o600,
            links: 1,
            special: ukfile::device_number(MAJOR, 1),
            block_size: 1024,
            ..Metadata::default()
        })
    }

    fn ready(&self) -> Events {
        let mut ahead = AHEAD.lock();
        if ahead.is_none() {
            let mut byte = [0];
            if ukplat::console_read(&mut byte) > 0 {
                *ahead = Some(byte[0]);
            }
        }
        // A read that finds the end does not wait.
        let readable = if ahead.is_some() || ukplat::console_ended() {
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

/// Opens a device with the number [`MAJOR`].
pub fn open(number: u64, _flags: OpenFlags) -> Result<Arc<dyn File>, Errno> {
    match ukfile::minor(number) {
        0 | 1 => Ok(ukfile::fallible::arc(Console::default())?),
        _ => Err(Errno::ENXIO),
    }
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use ukfile::Watcher;

    use super::*;

    #[test]
    fn those_that_watch_learn_that_it_was_read() {
        struct Told(AtomicU32);
        impl Watcher for Told {
            fn changed(&self, _: u64, events: Events) {
                self.0.fetch_add(events.bits(), SeqCst);
            }
        }
        let (console, told) = (Console::default(), Arc::new(Told(AtomicU32::new(0))));
        let id = console.watchers().unwrap().watch(told.clone(), Events::IN, 0).unwrap();
        *AHEAD.lock() = Some(b'x');
        assert!(console.ready().contains(Events::IN));
        let mut byte = [0];
        assert_eq!(console.read(&mut 0, &mut [&mut byte], OpenFlags::NONBLOCK), Ok(1));
        assert_eq!((byte[0], told.0.load(SeqCst)), (b'x', Events::READABLE.bits()));
        let none = console.read(&mut 0, &mut [&mut byte], OpenFlags::NONBLOCK);
        assert_eq!(none, Err(Errno::EAGAIN));
        console.watchers().unwrap().unwatch(id);
    }
}
