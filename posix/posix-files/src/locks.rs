//! Advisory locks: of the process, of open files, and of files as a whole.
//!
//! There is one process, so its own locks never stand in each other's way; those of open file
//! descriptions (`F_OFD_SETLK`, `flock`) do.
//!
//! Where a file has users outside of the image ([`vfs::Node::lock`]), they are told what its locks on
//! bytes come to together, the image being one user for them.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use syscall_shim::{Plain, UserPtr};
use ukerrno::Errno;
use ukfile::{Description, Kind};
use uklock::{Mutex, WaitQueue};
use ukmap::SortedMap;
use vfs::{LockKind, Node, RangeLock};

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

    /// What users outside are told of it.
    fn kind(&self) -> LockKind {
        match self {
            Self { whole: true, .. } => LockKind::None,
            lock if lock.owner.is_gone() => LockKind::None,
            Self { exclusive: true, .. } => LockKind::Exclusive,
            _ => LockKind::Shared,
        }
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

/// The locks of a file, and its node, which need not be in use any more.
#[derive(Default)]
struct Locks {
    list: Vec<Lock>,
    node: Option<Weak<dyn Node>>,
}

/// How often it is looked whether somebody outside still is in the way, in nanoseconds.
const LOOK_NS: u64 = 10_000_000;

static LOCKS: Mutex<SortedMap<Key, Locks>> = Mutex::new(SortedMap::new());
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

/// The strongest lock on the byte `at`, and up to which byte it is that.
fn strongest(list: &[Lock], at: u64, last: u64) -> (LockKind, u64) {
    let mut strongest = (LockKind::None, last);
    for lock in list {
        if lock.first > at {
            strongest.1 = strongest.1.min(lock.first - 1);
        } else if lock.last >= at {
            strongest = (strongest.0.max(lock.kind()), strongest.1.min(lock.last));
        }
    }
    strongest
}

/// Tells users outside what the locks in `list` come to between two bytes.
fn tell(node: &dyn Node, list: &[Lock], first: u64, last: u64) -> Result<(), Errno> {
    let mut at = first;
    loop {
        let (kind, mut end) = strongest(list, at, last);
        while end < last {
            match strongest(list, end + 1, last) {
                (same, further) if same == kind => end = further,
                _ => break,
            }
        }
        node.lock(&RangeLock { kind, first: at, last: end })?;
        if end >= last {
            return Ok(());
        }
        at = end + 1;
    }
}

/// What became of a try.
enum Tried {
    Done,
    /// Somebody in the image is in the way, or somebody outside.
    Blocked {
        outside: bool,
    },
}

fn try_lock(file: &Description, key: Key, lock: &Lock, free: bool) -> Result<Tried, Errno> {
    let mut all = LOCKS.lock();
    let locks = all.get_or_insert_with(key, Locks::default);
    if !free && locks.list.iter().any(|other| lock.conflicts(other)) {
        return Ok(Tried::Blocked { outside: false });
    }
    let mut next = Vec::new();
    next.try_reserve_exact(locks.list.len() + 2).map_err(|_| Errno::ENOMEM)?;
    next.extend(locks.list.iter().cloned());
    replace(&mut next, lock, free)?;
    let location = vfs::location_of(file).filter(|_| !lock.whole);
    let told = location.map_or(Ok(()), |at| tell(&*at.node, &next, lock.first, lock.last));
    match told {
        Err(error) if !free => {
            if locks.list.is_empty() {
                all.remove(&key);
            }
            return match error {
                Errno::EAGAIN => Ok(Tried::Blocked { outside: true }),
                error => Err(error),
            };
        }
        // Less is locked in any case.
        _ => {}
    }
    locks.list = next;
    if let Some(location) = location {
        locks.node = Some(Arc::downgrade(&location.node));
    }
    if locks.list.is_empty() {
        all.remove(&key);
    }
    COUNT.store(all.len(), Ordering::Release);
    Ok(Tried::Done)
}

fn acquire(file: &Description, key: Key, lock: &Lock, free: bool, wait: bool) -> Result<(), Errno> {
    loop {
        let outside = match try_lock(file, key, lock, free)? {
            Tried::Done => {
                // Less than before may be locked.
                WAITING.wake_all();
                return Ok(());
            }
            Tried::Blocked { outside } => outside,
        };
        if !wait {
            return Err(Errno::EAGAIN);
        }
        let released =
            || LOCKS.lock().get(&key).is_none_or(|l| !l.list.iter().any(|o| lock.conflicts(o)));
        // Nobody tells of what is released outside.
        let until = outside.then(|| ukplat::monotonic_ns().saturating_add(LOOK_NS));
        let ended = WAITING.wait_interruptible(until, || !outside && released());
        ended.map_err(|_| Errno::EINTR)?;
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
    acquire(file, key(file)?, &lock, free, wait)
}

/// `F_GETLK`: who stands in the way.
pub fn get(file: &Arc<Description>, asked: UserPtr<FLock>, open: bool) -> Result<(), Errno> {
    let mut answer = asked.read();
    let (lock, free) = parse(file, &answer, open)?;
    if free {
        return Err(Errno::EINVAL);
    }
    let key = key(file)?;
    let inside = {
        let locks = LOCKS.lock();
        let list = locks.get(&key).map_or(&[][..], |l| &l.list);
        list.iter().find(|other| lock.conflicts(other)).cloned()
    };
    let kind = if lock.exclusive { LockKind::Exclusive } else { LockKind::Shared };
    let range = RangeLock { kind, first: lock.first, last: lock.last };
    let found = match inside {
        Some(other) => {
            let process = if matches!(other.owner, Owner::Process) { 1 } else { -1 };
            Some((other.kind(), other.first, other.last, process))
        }
        None => match vfs::location_of(file) {
            // Of those outside it is not known who they are.
            Some(at) => at.node.blocking(&range)?.map(|o| (o.kind, o.first, o.last, -1)),
            None => None,
        },
    };
    match found {
        None => answer.kind = UNLOCK,
        Some((kind, first, last, process)) => {
            answer.kind = if kind == LockKind::Exclusive { WRITE } else { READ };
            answer.whence = 0;
            answer.start = first as i64;
            let to_the_end = last == i64::MAX as u64;
            answer.length = if to_the_end { 0 } else { (last - first + 1) as i64 };
            answer.process = process;
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
    acquire(file, key(file)?, &lock, exclusive.is_none(), wait)
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
        if let Some(locks) = locks.get_mut(&key) {
            drop_those(locks, |lock| matches!(lock.owner, Owner::Process));
        }
    }
}

/// Drops locks, and tells users outside.
fn drop_those(locks: &mut Locks, which: impl Fn(&Lock) -> bool) {
    let before = locks.list.len();
    locks.list.retain(|lock| !which(lock));
    // A file that is not in use any more has lost its locks outside.
    let node = locks.node.as_ref().and_then(Weak::upgrade);
    if let Some(node) = node.filter(|_| locks.list.len() < before) {
        // What cannot be told goes with the last use of the file.
        let _ = tell(&*node, &locks.list, 0, i64::MAX as u64);
    }
}

/// Descriptions may be gone: drops their locks, and lets those who wait look.
pub fn wake() {
    if COUNT.load(Ordering::Acquire) == 0 {
        return;
    }
    {
        let mut locks = LOCKS.lock();
        locks.retain(|_, locks| {
            drop_those(locks, |lock| lock.owner.is_gone());
            !locks.list.is_empty()
        });
        COUNT.store(locks.len(), Ordering::Release);
    }
    WAITING.wake_all();
}
