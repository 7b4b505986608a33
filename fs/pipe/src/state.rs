//! What both ends of a pipe share, and the ends.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use ukerrno::Errno;
use ukfile::{Control, Events, File, Gather, Kind, Metadata, OpenFlags, Scatter, Watchers};
use uklock::{Mutex, WaitQueue};

use crate::ring::Ring;
use crate::{ATOMIC, DEFAULT_CAPACITY, MAX_CAPACITY};

/// A pipe.
pub struct Pipe {
    pub state: Mutex<State>,
    /// Those that wait for bytes, and for ends to be opened.
    pub readable: WaitQueue,
    /// Those that wait for room, and for ends to be opened.
    pub writable: WaitQueue,
    watchers: Watchers,
    inode: u64,
}

pub struct State {
    ring: Ring,
    capacity: usize,
    /// Ends that are open.
    pub readers: usize,
    pub writers: usize,
    /// Ends that ever were opened.
    pub readers_ever: u64,
    pub writers_ever: u64,
}

static NEXT_INODE: AtomicU64 = AtomicU64::new(1);

impl Pipe {
    pub fn new() -> Result<Arc<Self>, Errno> {
        ukfile::fallible::arc(Self {
            state: Mutex::new(State {
                ring: Ring::default(),
                capacity: DEFAULT_CAPACITY,
                readers: 0,
                writers: 0,
                readers_ever: 0,
                writers_ever: 0,
            }),
            readable: WaitQueue::new(),
            writable: WaitQueue::new(),
            watchers: Watchers::new(),
            inode: NEXT_INODE.fetch_add(1, Ordering::Relaxed),
        })
    }

    fn read(&self, buffers: &mut [&mut [u8]], wait: bool) -> Result<usize, Errno> {
        if ukfile::total_mut(buffers) == 0 {
            return Ok(0);
        }
        loop {
            {
                let mut state = self.state.lock();
                if state.ring.len() > 0 {
                    let had_room = state.is_writable();
                    let read = state.ring.pop(&mut Scatter::new(buffers));
                    let left = state.ring.len() > 0;
                    let (room, has_room) = (state.room(), state.is_writable());
                    drop(state);
                    self.tell_of_room(room);
                    if left {
                        self.readable.wake_one();
                    }
                    // Those that watch edges hear of a pipe that was full, not of each read.
                    if has_room && !had_room {
                        self.watchers.notify(Events::WRITABLE);
                    }
                    return Ok(read);
                }
                if state.writers == 0 {
                    return Ok(0);
                }
            }
            if !wait {
                return Err(Errno::EAGAIN);
            }
            let ready = || {
                let state = self.state.lock();
                state.ring.len() > 0 || state.writers == 0
            };
            self.readable.wait_interruptible(None, ready).map_err(|_| Errno::EINTR)?;
        }
    }

    fn write(&self, buffers: &[&[u8]], wait: bool) -> Result<usize, Errno> {
        let mut source = Gather::new(buffers);
        let total = source.left();
        let mut left = total;
        // What must go in one piece needs room for all of it.
        let least = if total <= ATOMIC { total } else { 1 };
        while left > 0 {
            match self.write_some(&mut source, left, least) {
                Ok(0) if !wait && left == total => return Err(Errno::EAGAIN),
                Ok(0) if !wait => break,
                Ok(0) => {
                    let ready = || {
                        let state = self.state.lock();
                        state.room() >= least || state.readers == 0
                    };
                    match self.writable.wait_interruptible(None, ready) {
                        Err(_) if left == total => return Err(Errno::EINTR),
                        Err(_) => break,
                        Ok(_) => {}
                    }
                }
                Ok(written) => left -= written,
                Err(error) if left == total => return Err(error),
                Err(_) => break,
            }
        }
        Ok(total - left)
    }

    /// Writes what there is room for, if it is `least` bytes.
    fn write_some(
        &self,
        source: &mut Gather<'_>,
        left: usize,
        least: usize,
    ) -> Result<usize, Errno> {
        let mut state = self.state.lock();
        if state.readers == 0 {
            return Err(Errno::EPIPE);
        }
        let count = state.room().min(left);
        if count < least {
            return Ok(0);
        }
        state.ring.push(source, count)?;
        let room = state.room();
        drop(state);
        self.readable.wake_one();
        self.tell_of_room(room);
        self.watchers.notify(Events::READABLE);
        Ok(count)
    }

    /// Wakes writers. Where the first may not have enough room another may.
    fn tell_of_room(&self, room: usize) {
        if room >= ATOMIC {
            self.writable.wake_one();
        } else if room > 0 {
            self.writable.wake_all();
        }
    }

    /// As [`set_capacity`](crate::set_capacity).
    fn set_capacity(&self, bytes: usize) -> Result<usize, Errno> {
        if bytes > 1 << 31 {
            return Err(Errno::EINVAL);
        }
        let capacity = bytes.max(ATOMIC).next_power_of_two();
        if capacity > MAX_CAPACITY {
            return Err(Errno::EPERM);
        }
        let mut state = self.state.lock();
        if state.ring.len() > capacity {
            return Err(Errno::EBUSY);
        }
        let had_room = state.is_writable();
        state.capacity = capacity;
        let has_room = state.is_writable();
        drop(state);
        self.writable.wake_one();
        if has_room && !had_room {
            self.watchers.notify(Events::WRITABLE);
        }
        Ok(capacity)
    }
}

impl State {
    fn room(&self) -> usize {
        self.capacity.saturating_sub(self.ring.len())
    }

    /// Whether a write that goes in one piece would not wait.
    fn is_writable(&self) -> bool {
        self.room() >= ATOMIC.min(self.capacity)
    }
}

/// An end of a pipe. An end of a named pipe may be both.
pub struct End {
    pipe: Arc<Pipe>,
    reads: bool,
    writes: bool,
    /// Writers that there had been when it was opened and none was there: until another comes,
    /// nobody has hung up.
    writers_before: Option<u64>,
    /// Readers and writers there ever were when it was opened, this one included.
    ever: (u64, u64),
}

impl End {
    /// Opens an end.
    pub(crate) fn new(pipe: &Arc<Pipe>, reads: bool, writes: bool) -> Self {
        let mut state = pipe.state.lock();
        let writers_before = (state.writers == 0).then_some(state.writers_ever);
        if reads {
            state.readers += 1;
            state.readers_ever += 1;
        }
        if writes {
            state.writers += 1;
            state.writers_ever += 1;
        }
        // Counted in the same moment: who comes and goes right after it counts as having come.
        let ever = (state.readers_ever, state.writers_ever);
        drop(state);
        // Those that wait for the other end.
        pipe.readable.wake_all();
        pipe.writable.wake_all();
        Self { pipe: pipe.clone(), reads, writes, writers_before, ever }
    }

    /// How many readers and writers there ever were when it was opened, this one included.
    pub(crate) const fn ever(&self) -> (u64, u64) {
        self.ever
    }

    pub(crate) fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut state = self.pipe.state.lock();
        state.readers -= usize::from(self.reads);
        state.writers -= usize::from(self.writes);
        let (no_reader, no_writer) = (state.readers == 0, state.writers == 0);
        drop(state);
        if no_reader && self.reads {
            self.pipe.writable.wake_all();
            self.pipe.watchers.notify(Events::ERROR | Events::WRITABLE);
        }
        if no_writer && self.writes {
            self.pipe.readable.wake_all();
            self.pipe.watchers.notify(Events::HANG_UP);
        }
    }
}

impl File for End {
    fn read(
        &self,
        _at: &mut u64,
        buffers: &mut [&mut [u8]],
        flags: OpenFlags,
    ) -> Result<usize, Errno> {
        self.pipe.read(buffers, !flags.contains(OpenFlags::NONBLOCK))
    }

    fn write(&self, _at: &mut u64, buffers: &[&[u8]], flags: OpenFlags) -> Result<usize, Errno> {
        self.pipe.write(buffers, !flags.contains(OpenFlags::NONBLOCK))
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(Metadata {
            kind: Kind::Fifo,
            permissions: 0o600,
            inode: self.pipe.inode,
            links: 1,
            block_size: 4096,
            ..Metadata::default()
        })
    }

    fn ready(&self) -> Events {
        let state = self.pipe.state.lock();
        let mut events = Events::empty();
        if self.reads {
            if state.ring.len() > 0 {
                events |= Events::READABLE;
            }
            if state.writers == 0 && Some(state.writers_ever) != self.writers_before {
                events |= Events::HANG_UP;
            }
        }
        if self.writes {
            if state.is_writable() {
                events |= Events::WRITABLE;
            }
            if state.readers == 0 {
                events |= Events::ERROR;
            }
        }
        events
    }

    fn watchers(&self) -> Option<&Watchers> {
        Some(&self.pipe.watchers)
    }

    fn control(&self, request: Control<'_>) -> Result<usize, Errno> {
        match request {
            Control::Available(bytes) => {
                *bytes = self.pipe.state.lock().ring.len() as i32;
                Ok(0)
            }
            Control::PipeSize => Ok(self.pipe.state.lock().capacity),
            Control::SetPipeSize(bytes) => self.pipe.set_capacity(bytes),
            _ => Err(Errno::ENOTTY),
        }
    }
}
