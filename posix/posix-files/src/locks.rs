//! Advisory locks: of the process, of open files, and of files as a whole.
//!
//! There is one process, so its own locks never stand in each other's way; those of open file
//! descriptions (`F_OFD_SETLK`, `flock`) do.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use syscall_shim::{Plain, UserPtr};
use ukerrno::Errno;
use ukfile::{Description, Kind};
use uklock::{Mutex, WaitQueue};

/// `struct flock`
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
pub struct FLock {
    kind: i16,
    whence: i16,
    _pad: u32,
    start: i64,
    length: i64,
    process: i32,
    _pad_end: u32,
}

const READ: i16 = 0;
const WRITE: i16 = 1;
const UNLOCK: i16 = 2;

#[derive(Clone)]
enum Owner {
    Process,
    Open(Weak<Description>),
}

impl Owner {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Process, Self::Process) => true,
            (Self::Open(a), Self::Open(b)) => a.ptr_eq(b),
            _ => false,
        }
    }

    fn is_gone(&self) -> bool {
        matches!(self, Self::Open(file) if file.strong_count() == 0)
    }
}

#[derive(Clone)]
struct Lock {
    owner: Owner,
    /// Of `flock`, which knows nothing of the others.
    whole: bool,
    exclusive: bool,
    first: u64,
    last: u64,
}

impl Lock {
    fn overlaps(&self, other: &Self) -> bool {
        self.whole == other.whole && self.first <= other.last && other.first <= self.last
    }

    fn conflicts(&self, other: &Self) -> bool {
        self.overlaps(other)
            && (self.exclusive || other.exclusive)
            && !self.owner.is(&other.owner)
            && !other.owner.is_gone()
    }
}

/// A file: its device and number.
type Key = (u64, u64);

static LOCKS: Mutex<BTreeMap<Key, Vec<Lock>>> = Mutex::new(BTreeMap::new());
static COUNT: AtomicUsize = AtomicUsize::new(0);
static WAITING: WaitQueue = WaitQueue::new();

fn key(file: &Description) -> Result<Key, Errno> {
    let metadata = file.file().metadata()?;
    Ok((metadata.device, metadata.inode))
}

/// Takes `lock`'s range from its owner, and gives it the lock unless it is to be freed.
fn replace(list: &mut Vec<Lock>, lock: &Lock, free: bool) -> Result<(), Errno> {
    // One may be split in two, and one comes.
    list.try_reserve(2).map_err(|_| Errno::ENOMEM)?;
    list.retain(|l| !l.owner.is_gone());
    for mut old in
        list.extract_if(.., |l| l.owner.is(&lock.owner) && l.overlaps(lock)).collect::<Vec<_>>()
    {
        if old.last > lock.last {
            list.push(Lock { first: lock.last + 1, ..old.clone() });
        }
        if old.first < lock.first {
            old.last = lock.first - 1;
            list.push(old);
        }
    }
    if !free {
        list.push(lock.clone());
    }
    Ok(())
}

fn try_lock(key: Key, lock: &Lock, free: bool) -> Result<bool, Errno> {
    let mut locks = LOCKS.lock();
    let list = locks.entry(key).or_default();
    if !free && list.iter().any(|other| lock.conflicts(other)) {
        return Ok(false);
    }
    replace(list, lock, free)?;
    if list.is_empty() {
        locks.remove(&key);
    }
    COUNT.store(locks.len(), Ordering::Release);
    Ok(true)
}

fn acquire(key: Key, lock: &Lock, free: bool, wait: bool) -> Result<(), Errno> {
    loop {
        if try_lock(key, lock, free)? {
            // Less than before may be locked.
            WAITING.wake_all();
            return Ok(());
        }
        if !wait {
            return Err(Errno::EAGAIN);
        }
        let released =
            || LOCKS.lock().get(&key).is_none_or(|l| !l.iter().any(|o| lock.conflicts(o)));
        WAITING.wait_interruptible(None, released).map_err(|_| Errno::EINTR)?;
    }
}

/// The range and kind that `struct flock` describes.
fn parse(file: &Arc<Description>, asked: &FLock, open: bool) -> Result<(Lock, bool), Errno> {
    let base = match asked.whence {
        0 => 0,
        1 => file.with_position(|at| *at as i64),
        2 => file.file().metadata()?.size as i64,
        _ => return Err(Errno::EINVAL),
    };
    let start = base.checked_add(asked.start).ok_or(Errno::EOVERFLOW)?;
    let (first, last) = match asked.length {
        0 => (start, i64::MAX),
        1.. => (start, start.checked_add(asked.length - 1).ok_or(Errno::EOVERFLOW)?),
        _ => (start.checked_add(asked.length).ok_or(Errno::EINVAL)?, start - 1),
    };
    let (Ok(first), Ok(last)) = (u64::try_from(first), u64::try_from(last)) else {
        return Err(Errno::EINVAL);
    };
    if !(READ..=UNLOCK).contains(&asked.kind) || (open && asked.process != 0) {
        return Err(Errno::EINVAL);
    }
    let owner = if open { Owner::Open(Arc::downgrade(file)) } else { Owner::Process };
    let exclusive = asked.kind == WRITE;
    Ok((Lock { owner, whole: false, exclusive, first, last }, asked.kind == UNLOCK))
}

/// `F_SETLK` and relatives; `open` for those of the open file description.
pub fn set(
    file: &Arc<Description>,
    asked: UserPtr<FLock>,
    open: bool,
    wait: bool,
) -> Result<(), Errno> {
    let asked = asked.read();
    let (lock, free) = parse(file, &asked, open)?;
    let flags = file.flags();
    if (asked.kind == READ && !flags.reads()) || (asked.kind == WRITE && !flags.writes()) {
        return Err(Errno::EBADF);
    }
    acquire(key(file)?, &lock, free, wait)
}

/// `F_GETLK`: who stands in the way.
pub fn get(file: &Arc<Description>, asked: UserPtr<FLock>, open: bool) -> Result<(), Errno> {
    let mut answer = asked.read();
    let (lock, free) = parse(file, &answer, open)?;
    if free {
        return Err(Errno::EINVAL);
    }
    let locks = LOCKS.lock();
    let list = locks.get(&key(file)?);
    match list.and_then(|list| list.iter().find(|other| lock.conflicts(other))) {
        None => answer.kind = UNLOCK,
        Some(other) => {
            answer.kind = if other.exclusive { WRITE } else { READ };
            answer.whence = 0;
            answer.start = other.first as i64;
            let to_the_end = other.last == i64::MAX as u64;
            answer.length = if to_the_end { 0 } else { (other.last - other.first + 1) as i64 };
            answer.process = if matches!(other.owner, Owner::Process) { 1 } else { -1 };
        }
    }
    asked.write(answer);
    Ok(())
}

/// `flock`: shared, exclusive, or none.
pub fn whole(file: &Arc<Description>, exclusive: Option<bool>, wait: bool) -> Result<(), Errno> {
    let owner = Owner::Open(Arc::downgrade(file));
    let (first, last) = (0, u64::MAX);
    let lock = Lock { owner, whole: true, exclusive: exclusive.unwrap_or_default(), first, last };
    acquire(key(file)?, &lock, exclusive.is_none(), wait)
}

/// A descriptor of `file` was closed: the process loses its locks on the file (fcntl(2)).
pub fn closed(file: &Description) {
    if COUNT.load(Ordering::Acquire) == 0
        || file.file().metadata().is_ok_and(|m| m.kind != Kind::Regular)
    {
        return;
    }
    if let Ok(key) = key(file) {
        let mut locks = LOCKS.lock();
        if let Some(list) = locks.get_mut(&key) {
            list.retain(|l| !matches!(l.owner, Owner::Process));
        }
    }
}

/// Descriptions may be gone: drops their locks, and lets those who wait look.
pub fn wake() {
    if COUNT.load(Ordering::Acquire) == 0 {
        return;
    }
    {
        let mut locks = LOCKS.lock();
        locks.retain(|_, list| {
            list.retain(|l| !l.owner.is_gone());
            !list.is_empty()
        });
        COUNT.store(locks.len(), Ordering::Release);
    }
    WAITING.wake_all();
}
