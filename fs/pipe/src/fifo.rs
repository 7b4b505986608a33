//! Named pipes.

use alloc::sync::{Arc, Weak};

use ukerrno::Errno;
use ukfile::{File, OpenFlags};
use uklock::{Mutex, WaitQueue};

use crate::state::{End, Pipe, State};

/// What a file system keeps for a named pipe: the pipe, while somebody has it open.
#[derive(Default)]
pub struct Fifo {
    pipe: Mutex<Weak<Pipe>>,
}

impl Fifo {
    /// Opens it. An end that only reads or writes waits for the other, unless
    /// [`OpenFlags::NONBLOCK`].
    ///
    /// # Errors
    /// As `fifo(7)`: `EINTR`; `ENXIO` when it is opened for writing without waiting and nobody reads.
    pub fn open(&self, flags: OpenFlags) -> Result<Arc<dyn File>, Errno> {
        let pipe = {
            let mut known = self.pipe.lock();
            match known.upgrade() {
                Some(pipe) => pipe,
                None => {
                    let pipe = Pipe::new()?;
                    *known = Arc::downgrade(&pipe);
                    pipe
                }
            }
        };
        let wait = !flags.contains(OpenFlags::NONBLOCK);
        let (reads, writes) = (flags.reads(), flags.writes());
        if !reads && !writes {
            return Err(Errno::EINVAL);
        }
        if writes && !reads && !wait && pipe.state.lock().readers == 0 {
            return Err(Errno::ENXIO);
        }
        let end = End::new(&pipe, reads, writes);
        let (readers, writers) = end.ever();
        match (reads, writes) {
            // Also one that came and went meanwhile ends the wait.
            (true, false) if wait => wait_for(&end, &pipe.readable, |state| {
                state.writers > 0 || state.writers_ever != writers
            })?,
            (false, true) if wait => wait_for(&end, &pipe.writable, |state| {
                state.readers > 0 || state.readers_ever != readers
            })?,
            _ => {}
        }
        Ok(ukfile::fallible::arc(end)?)
    }
}

fn wait_for(end: &End, queue: &WaitQueue, condition: impl Fn(&State) -> bool) -> Result<(), Errno> {
    let ended = queue.wait_interruptible(None, || condition(&end.pipe().state.lock()));
    ended.map(drop).map_err(|_| Errno::EINTR)
}

impl core::fmt::Debug for Fifo {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Fifo")
    }
}
