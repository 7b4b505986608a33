//! Event counters.

use fdtab::TABLE;
use syscall_shim::{EventFdFlags, syscall};
use ukerrno::Errno;
use ukfile::{Description, Events, File, Gather, OpenFlags, Scatter, Watchers};
use uklock::{Mutex, WaitQueue};

/// What the counter holds at most.
const MAX: u64 = u64::MAX - 1;

/// `EFD_SEMAPHORE`
const SEMAPHORE: u32 = 1;

/// A counter that reading empties and writing adds to (`eventfd(2)`).
#[derive(Debug)]
pub struct EventCounter {
    count: Mutex<u64>,
    /// Reading takes one.
    semaphore: bool,
    readable: WaitQueue,
    writable: WaitQueue,
    watchers: Watchers,
}

impl EventCounter {
    /// A counter; of a `semaphore` reading takes one at a time.
    pub const fn new(count: u64, semaphore: bool) -> Self {
        Self {
            count: Mutex::new(count),
            semaphore,
            readable: WaitQueue::new(),
            writable: WaitQueue::new(),
            watchers: Watchers::new(),
        }
    }

    fn take(&self) -> Option<(u64, u64)> {
        let mut count = self.count.lock();
        if *count == 0 {
            return None;
        }
        let taken = if self.semaphore { 1 } else { *count };
        *count -= taken;
        Some((taken, *count))
    }

    fn add(&self, value: u64) -> bool {
        let mut count = self.count.lock();
        match count.checked_add(value).filter(|&sum| sum <= MAX) {
            Some(sum) => {
                *count = sum;
                true
            }
            None => false,
        }
    }
}

impl File for EventCounter {
    fn read(
        &self,
        _at: &mut u64,
        buffers: &mut [&mut [u8]],
        flags: OpenFlags,
    ) -> Result<usize, Errno> {
        if ukfile::total_mut(buffers) < 8 {
            return Err(Errno::EINVAL);
        }
        loop {
            if let Some((taken, left)) = self.take() {
                Scatter::new(buffers).put(&taken.to_ne_bytes());
                // All of them: one may have room now whose predecessor has none yet.
                self.writable.wake_all();
                if left > 0 {
                    self.readable.wake_one();
                }
                self.watchers.notify(Events::OUT);
                return Ok(8);
            }
            if flags.contains(OpenFlags::NONBLOCK) {
                return Err(Errno::EAGAIN);
            }
            let ready = || *self.count.lock() > 0;
            self.readable.wait_interruptible(None, ready).map_err(|_| Errno::EINTR)?;
        }
    }

    fn write(&self, _at: &mut u64, buffers: &[&[u8]], flags: OpenFlags) -> Result<usize, Errno> {
        let mut value = [0; 8];
        if ukfile::total(buffers) < 8 {
            return Err(Errno::EINVAL);
        }
        Gather::new(buffers).copy_to(&mut value);
        let value = u64::from_ne_bytes(value);
        if value == u64::MAX {
            return Err(Errno::EINVAL);
        }
        while !self.add(value) {
            if flags.contains(OpenFlags::NONBLOCK) {
                return Err(Errno::EAGAIN);
            }
            let ready = || *self.count.lock() <= MAX - value;
            self.writable.wait_interruptible(None, ready).map_err(|_| Errno::EINTR)?;
        }
        if value > 0 {
            self.readable.wake_one();
            self.watchers.notify(Events::IN);
        }
        Ok(8)
    }

    fn ready(&self) -> Events {
        let count = *self.count.lock();
        let mut events = Events::empty();
        if count > 0 {
            events |= Events::IN;
        }
        if count < MAX {
            events |= Events::OUT;
        }
        events
    }

    fn watchers(&self) -> Option<&Watchers> {
        Some(&self.watchers)
    }
}

/// Makes an event counter (eventfd2(2)).
#[syscall]
pub fn eventfd2(count: u32, #[trace(EventFdFlags)] flags: u32) -> Result<i32, Errno> {
    let known = SEMAPHORE | OpenFlags::CLOSE_ON_EXEC.bits() | OpenFlags::NONBLOCK.bits();
    if flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let file = EventCounter::new(count.into(), flags & SEMAPHORE != 0);
    let flags = OpenFlags::from_bits_truncate(flags & !SEMAPHORE);
    let close_on_exec = flags.contains(OpenFlags::CLOSE_ON_EXEC);
    TABLE.insert(Description::new(file, flags | OpenFlags::READ_WRITE)?, close_on_exec)
}

/// Makes an event counter (eventfd(2)).
#[syscall]
pub fn eventfd(count: u32) -> Result<i32, Errno> {
    eventfd2(count, 0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn read(file: &Description) -> Result<u64, Errno> {
        let mut bytes = [0; 8];
        file.read(&mut [&mut bytes])?;
        Ok(u64::from_ne_bytes(bytes))
    }

    fn counter(count: u32, flags: u32) -> Arc<Description> {
        let fd = eventfd2(count, flags).unwrap();
        TABLE.close(fd).unwrap()
    }

    #[test]
    fn counts_and_limits() {
        let file = counter(0, OpenFlags::NONBLOCK.bits());
        let write = |value: u64| file.write(&[&value.to_ne_bytes()]);
        assert_eq!(read(&file), Err(Errno::EAGAIN));
        assert_eq!(file.file().ready(), Events::OUT);
        assert_eq!(
            (write(u64::MAX), write(MAX), write(1)),
            (Err(Errno::EINVAL), Ok(8), Err(Errno::EAGAIN))
        );
        assert_eq!(file.file().ready(), Events::IN);
        assert_eq!(read(&file), Ok(MAX));
        assert_eq!(file.read(&mut [&mut [0; 7]]), Err(Errno::EINVAL));
        assert_eq!(file.write(&[&[0; 7]]), Err(Errno::EINVAL));
        assert_eq!(eventfd2(0, 2), Err(Errno::EINVAL));
    }

    #[test]
    fn who_has_room_goes_on_whoever_else_waits() {
        let file = counter(0, SEMAPHORE);
        file.write(&[&MAX.to_ne_bytes()]).unwrap();
        let (told, done) = std::sync::mpsc::channel();
        let write = |value: u64| {
            let (file, told) = (file.clone(), told.clone());
            std::thread::spawn(move || {
                file.write(&[&value.to_ne_bytes()]).unwrap();
                let _ = told.send(value);
            });
            // Most often it waits by then, before the next.
            std::thread::sleep(std::time::Duration::from_millis(50));
        };
        // There will never be room for the first.
        write(1000);
        write(1);
        write(1);
        let within = std::time::Duration::from_secs(20);
        assert_eq!((read(&file), done.recv_timeout(within)), (Ok(1), Ok(1)));
        assert_eq!((read(&file), done.recv_timeout(within)), (Ok(1), Ok(1)));
    }

    #[test]
    fn a_semaphore_gives_one_to_each_that_waits() {
        let file = counter(0, SEMAPHORE);
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let file = file.clone();
                std::thread::spawn(move || read(&file))
            })
            .collect();
        file.write(&[&3u64.to_ne_bytes()]).unwrap();
        threads.into_iter().for_each(|t| assert_eq!(t.join().unwrap(), Ok(1)));
        assert_eq!(file.file().ready(), Events::OUT);
    }
}
