//! Open file descriptions.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use ukerrno::Errno;
use uklock::Mutex;
use ukplat::StaticRef;

use crate::{Events, File, OpenFlags, Seek, WatchId, Watcher, Watchers, fallible};

/// An open file description: a file, the position in it, and the flags it was opened with. All
/// descriptors that `dup` made of one share it (POSIX.1-2024, 3.239).
///
/// One block of memory: the file is inside.
pub struct Description<F: ?Sized + File = dyn File> {
    flags: AtomicU32,
    owner: AtomicI32,
    at_end: StaticRef<fn()>,
    position: Mutex<u64>,
    /// Those that watch until it is closed.
    watches: Mutex<Vec<Watch>>,
    file: F,
}

/// One that watches a description.
struct Watch {
    id: WatchId,
    key: u64,
    watcher: Arc<dyn Watcher>,
}

impl<F: File> Description<F> {
    /// Opens `file` with `flags`, of which those that matter for `open` only are left out.
    ///
    /// # Errors
    /// `ENOMEM`
    pub fn new(file: F, flags: OpenFlags) -> Result<Arc<Description>, Errno> {
        let flags = flags.difference(OpenFlags::CREATION);
        let new = Self {
            flags: AtomicU32::new(flags.bits()),
            owner: AtomicI32::new(0),
            at_end: StaticRef::new(),
            position: Mutex::new(0),
            watches: Mutex::new(Vec::new()),
            file,
        };
        fallible::arc(new).map(|one| one as Arc<Description>)
    }
}

impl Description {
    /// The file.
    pub fn file(&self) -> &dyn File {
        &self.file
    }

    /// The file as one of a certain type.
    pub fn downcast<T: File>(&self) -> Option<&T> {
        let any: &dyn core::any::Any = &self.file;
        any.downcast_ref()
    }

    /// The flags, as `fcntl(F_GETFL)` tells them.
    #[inline]
    pub fn flags(&self) -> OpenFlags {
        OpenFlags::from_bits_retain(self.flags.load(Ordering::Relaxed))
    }

    /// Sets those flags that can be changed (`fcntl(F_SETFL)`).
    pub fn set_flags(&self, flags: OpenFlags) {
        let keep = self.flags().difference(OpenFlags::SETTABLE);
        let flags = keep | (flags & OpenFlags::SETTABLE);
        self.flags.store(flags.bits(), Ordering::Relaxed);
    }

    /// Who would be sent signals about the file, as `fcntl(F_GETOWN)` tells it: a process, below 0 a
    /// group of them, 0 for nobody.
    pub fn owner(&self) -> i32 {
        self.owner.load(Ordering::Relaxed)
    }

    /// Sets whom [`Self::owner`] tells.
    pub fn set_owner(&self, owner: i32) {
        self.owner.store(owner, Ordering::Relaxed);
    }

    fn readable(&self, extra: OpenFlags) -> Result<OpenFlags, Errno> {
        let flags = self.flags();
        if flags.reads() { Ok(flags | extra) } else { Err(Errno::EBADF) }
    }

    fn writable(&self, extra: OpenFlags) -> Result<OpenFlags, Errno> {
        let flags = self.flags();
        if flags.writes() { Ok(flags | extra) } else { Err(Errno::EBADF) }
    }

    /// Reads at the position, which moves on. Threads that share the description get different
    /// parts.
    ///
    /// # Errors
    /// As `readv(2)`.
    pub fn read(&self, buffers: &mut [&mut [u8]]) -> Result<usize, Errno> {
        self.read_with(buffers, OpenFlags::empty())
    }

    /// [`Description::read`] with more flags for this once.
    ///
    /// # Errors
    /// As `preadv2(2)`.
    pub fn read_with(&self, buffers: &mut [&mut [u8]], extra: OpenFlags) -> Result<usize, Errno> {
        let flags = self.readable(extra)?;
        if self.file.has_position() {
            self.file.read(&mut self.position.lock(), buffers, flags)
        } else {
            self.file.read(&mut 0, buffers, flags)
        }
    }

    /// Writes at the position, which moves on.
    ///
    /// # Errors
    /// As `writev(2)`.
    pub fn write(&self, buffers: &[&[u8]]) -> Result<usize, Errno> {
        self.write_with(buffers, OpenFlags::empty())
    }

    /// [`Description::write`] with more flags for this once.
    ///
    /// # Errors
    /// As `pwritev2(2)`.
    pub fn write_with(&self, buffers: &[&[u8]], extra: OpenFlags) -> Result<usize, Errno> {
        let flags = self.writable(extra)?;
        if self.file.has_position() {
            self.file.write(&mut self.position.lock(), buffers, flags)
        } else {
            self.file.write(&mut 0, buffers, flags)
        }
    }

    /// Reads at `offset`; the position stays.
    ///
    /// # Errors
    /// As `preadv2(2)`.
    pub fn read_at(
        &self,
        offset: u64,
        buffers: &mut [&mut [u8]],
        extra: OpenFlags,
    ) -> Result<usize, Errno> {
        let mut at = self.checked(offset)?;
        let flags = self.readable(extra)?;
        self.file.read(&mut at, buffers, flags)
    }

    /// Writes at `offset`; the position stays. As on Linux, `O_APPEND` writes at the end even so.
    ///
    /// # Errors
    /// As `pwritev2(2)`.
    pub fn write_at(
        &self,
        offset: u64,
        buffers: &[&[u8]],
        extra: OpenFlags,
    ) -> Result<usize, Errno> {
        let mut at = self.checked(offset)?;
        let flags = self.writable(extra)?;
        self.file.write(&mut at, buffers, flags)
    }

    fn checked(&self, offset: u64) -> Result<u64, Errno> {
        if i64::try_from(offset).is_err() {
            return Err(Errno::EINVAL);
        }
        match self.file.has_position() || self.flags().contains(OpenFlags::PATH) {
            true => Ok(offset),
            false => Err(Errno::ESPIPE),
        }
    }

    /// Moves the position.
    ///
    /// # Errors
    /// As `lseek(2)`.
    pub fn seek(&self, to: Seek) -> Result<u64, Errno> {
        if self.flags().contains(OpenFlags::PATH) {
            return Err(Errno::EBADF);
        }
        let mut position = self.position.lock();
        *position = self.file.seek(*position, to)?;
        Ok(*position)
    }

    /// Has `tell` called when the last user lets go, whoever that is: a descriptor, a mapping, a
    /// call under way. References that are [`Weak`](alloc::sync::Weak) lead nowhere by then.
    pub fn at_end(&self, tell: &'static fn()) {
        self.at_end.set(tell);
    }

    /// Calls `f` with the position, which it may move; others wait meanwhile.
    pub fn with_position<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R {
        f(&mut self.position.lock())
    }
}

/// Being watched for as long as it is open. Files may share their [`Watchers`], as both ends of a pipe
/// do, and outlive what they were opened as: that nobody has it open is known here alone.
impl Description {
    /// Tells `watcher` of the file, as [`Watchers::watch`], and that it is [closed](Watcher::closed).
    ///
    /// # Errors
    /// `EPERM` when the file has no [`File::watchers`]; `ENOMEM`
    pub fn watch(
        &self,
        watcher: Arc<dyn Watcher>,
        interest: Events,
        key: u64,
    ) -> Result<WatchId, Errno> {
        let watchers = self.file.watchers().ok_or(Errno::EPERM)?;
        let mut watches = self.watches.lock();
        watches.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let id = watchers.watch(watcher.clone(), interest, key)?;
        watches.push(Watch { id, key, watcher });
        Ok(id)
    }

    /// Ends it. When it returns, the watcher is not called any more.
    pub fn unwatch(&self, id: WatchId) {
        let removed = {
            let mut watches = self.watches.lock();
            let at = watches.iter().position(|watch| watch.id == id);
            at.map(|at| watches.swap_remove(at))
        };
        if let (Some(_), Some(watchers)) = (removed, self.file.watchers()) {
            watchers.unwatch(id);
        }
    }
}

impl<F: ?Sized + File> Drop for Description<F> {
    #[inline]
    fn drop(&mut self) {
        let watches = core::mem::take(self.watches.get_mut());
        if !watches.is_empty() {
            end_all(watches, self.file.watchers());
        }
        if let Some(tell) = self.at_end.get() {
            tell();
        }
    }
}

#[cold]
fn end_all(watches: Vec<Watch>, watchers: Option<&Watchers>) {
    for Watch { id, key, watcher } in watches {
        if let Some(watchers) = watchers {
            watchers.unwatch(id);
        }
        watcher.closed(key);
    }
}

impl<F: ?Sized + File> fmt::Debug for Description<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = OpenFlags::from_bits_retain(self.flags.load(Ordering::Relaxed));
        f.debug_struct("Description").field("flags", &flags).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten bytes, each its own position.
    struct Ten;

    impl File for Ten {
        fn read(
            &self,
            at: &mut u64,
            buffers: &mut [&mut [u8]],
            _: OpenFlags,
        ) -> Result<usize, Errno> {
            let mut read = 0;
            for byte in buffers.iter_mut().flat_map(|b| b.iter_mut()) {
                if *at >= 10 {
                    break;
                }
                *byte = *at as u8;
                *at += 1;
                read += 1;
            }
            Ok(read)
        }
        fn has_position(&self) -> bool {
            true
        }
        fn seek(&self, at: u64, to: Seek) -> Result<u64, Errno> {
            match to {
                Seek::Current(by) => at.checked_add_signed(by).ok_or(Errno::EINVAL),
                _ => Err(Errno::EINVAL),
            }
        }
    }

    struct Stream;
    impl File for Stream {}

    #[test]
    fn positions_are_shared_and_move() {
        let file = Description::new(Ten, OpenFlags::READ_ONLY | OpenFlags::CREATE).unwrap();
        let twin = file.clone();
        let (mut a, mut b) = ([9; 3], [9; 2]);
        assert_eq!(file.read(&mut [&mut a, &mut b]), Ok(5));
        assert_eq!((a, b), ([0, 1, 2], [3, 4]));
        assert_eq!(twin.read(&mut [&mut a]), Ok(3));
        assert_eq!(a, [5, 6, 7]);
        assert_eq!(file.read_at(1, &mut [&mut a], OpenFlags::empty()), Ok(3));
        assert_eq!(a, [1, 2, 3]);
        assert_eq!(file.seek(Seek::Current(-20)), Err(Errno::EINVAL));
        assert_eq!(file.seek(Seek::Current(1)), Ok(9));
        assert_eq!(file.read(&mut [&mut a]), Ok(1));
        assert_eq!(file.read(&mut [&mut a]), Ok(0));
        assert_eq!(file.flags(), OpenFlags::READ_ONLY, "O_CREAT is of open alone");
        assert_eq!(file.write(&[b"x"]), Err(Errno::EBADF));
        assert!(file.downcast::<Ten>().is_some() && file.downcast::<Stream>().is_none());
    }

    #[test]
    fn streams_have_no_position() {
        let file = Description::new(Stream, OpenFlags::READ_WRITE).unwrap();
        assert_eq!(file.read_at(0, &mut [], OpenFlags::empty()), Err(Errno::ESPIPE));
        assert_eq!(file.write_at(0, &[], OpenFlags::empty()), Err(Errno::ESPIPE));
        assert_eq!(file.write_at(u64::MAX, &[], OpenFlags::empty()), Err(Errno::EINVAL));
        assert_eq!(file.seek(Seek::Start(0)), Err(Errno::ESPIPE));
        file.set_flags(OpenFlags::NONBLOCK | OpenFlags::WRITE_ONLY);
        assert_eq!(file.flags(), OpenFlags::NONBLOCK | OpenFlags::READ_WRITE);
    }

    /// A file that shares those that watch it with others.
    struct Shared(Arc<Watchers>);

    impl File for Shared {
        fn watchers(&self) -> Option<&Watchers> {
            Some(&self.0)
        }
    }

    #[test]
    fn watches_end_when_it_is_closed() {
        #[derive(Default)]
        struct Log(std::sync::Mutex<Vec<(&'static str, u64)>>);
        impl Watcher for Log {
            fn changed(&self, key: u64, _: Events) {
                self.0.lock().unwrap().push(("changed", key));
            }
            fn closed(&self, key: u64) {
                self.0.lock().unwrap().push(("closed", key));
            }
        }
        let (watchers, log) = (Arc::new(Watchers::new()), Arc::new(Log::default()));
        let open = || Description::new(Shared(watchers.clone()), OpenFlags::READ_ONLY).unwrap();
        let files = [open(), open(), open()];
        let ids = [0, 1, 2].map(|n| files[n].watch(log.clone(), Events::IN, n as u64).unwrap());
        files[1].unwatch(ids[0]);
        files[1].unwatch(ids[1]);
        let [first, second, third] = files;
        drop((first.clone(), second));
        watchers.notify(Events::IN);
        drop(first);
        watchers.notify(Events::IN);
        drop(third);
        watchers.notify(Events::IN);
        let heard = log.0.lock().unwrap().clone();
        let mut sorted = heard[..2].to_vec();
        sorted.sort();
        assert_eq!(sorted, [("changed", 0), ("changed", 2)]);
        assert_eq!(heard[2..], [("closed", 0), ("changed", 2), ("closed", 2)]);
        assert_eq!(Arc::strong_count(&log), 1);
        let plain = Description::new(Ten, OpenFlags::READ_ONLY).unwrap();
        assert_eq!(plain.watch(log, Events::IN, 0), Err(Errno::EPERM));
    }

    #[test]
    fn the_end_is_told_once_and_when_nobody_is_left() {
        static ENDS: AtomicU32 = AtomicU32::new(0);
        static TELL: fn() = || {
            ENDS.fetch_add(1, Ordering::Relaxed);
        };
        let told = || ENDS.load(Ordering::Relaxed);
        let file = Description::new(Stream, OpenFlags::READ_WRITE).unwrap();
        let twin = file.clone();
        file.at_end(&TELL);
        file.at_end(&TELL);
        drop(file);
        assert_eq!(told(), 0);
        drop(twin);
        assert_eq!(told(), 1);
        drop(Description::new(Stream, OpenFlags::READ_WRITE).unwrap());
        assert_eq!(told(), 1);
    }

    #[test]
    fn what_is_open_for_its_path_alone_cannot_be_read() {
        let file = Description::new(Ten, OpenFlags::PATH | OpenFlags::READ_WRITE).unwrap();
        assert_eq!(file.read(&mut []), Err(Errno::EBADF));
        assert_eq!(file.write(&[]), Err(Errno::EBADF));
        assert_eq!(file.seek(Seek::Current(0)), Err(Errno::EBADF));
    }
}
