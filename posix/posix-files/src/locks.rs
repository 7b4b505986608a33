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

use syscall_shim::{LockType, Plain, UserPtr, Whence};
use ukerrno::Errno;
use ukfile::Description;
use uklock::{Mutex, WaitQueue};
use ukmap::SortedMap;
use vfs::{LockKind, Node, RangeLock};

/// `struct flock`
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
pub struct FLock {
    #[trace(LockType)]
    kind: i16,
    #[trace(Whence)]
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

    /// Whether both, of one owner, are one lock together.
    fn joins(&self, other: &Self) -> bool {
        let reaches = |a: &Self, b: &Self| a.first <= b.last.saturating_add(1);
        (self.whole, self.exclusive) == (other.whole, other.exclusive)
            && reaches(self, other)
            && reaches(other, self)
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

/// A file: the address of its node, which no other gets as long as [`Of`] remembers it. Files that
/// are nowhere in the tree, such as pipes, are known by their descriptions.
type Key = usize;

/// Whose locks they are. It need not be in use any more.
enum Of {
    Node(Weak<dyn Node>),
    Open(#[expect(dead_code, reason = "keeps its address from others")] Weak<Description>),
}

/// The locks of a file.
struct Locks {
    list: Vec<Lock>,
    of: Of,
}

impl Locks {
    fn of(file: &Arc<Description>) -> Self {
        let of = match vfs::location_of(file) {
            Some(location) => Of::Node(Arc::downgrade(&location.node)),
            None => Of::Open(Arc::downgrade(file)),
        };
        Self { list: Vec::new(), of }
    }
}

/// How often it is looked whether somebody outside still is in the way, in nanoseconds.
const LOOK_NS: u64 = 10_000_000;

static LOCKS: Mutex<SortedMap<Key, Locks>> = Mutex::new(SortedMap::new());
static COUNT: AtomicUsize = AtomicUsize::new(0);
static WAITING: WaitQueue = WaitQueue::new();

fn key(file: &Arc<Description>) -> Key {
    match vfs::location_of(file) {
        Some(location) => Arc::as_ptr(&location.node).addr(),
        None => Arc::as_ptr(file).addr(),
    }
}

/// What the locks in `list` are once `lock`'s owner has it, or, to be freed, has nothing there.
fn replaced(list: &[Lock], lock: &Lock, free: bool) -> Result<Vec<Lock>, Errno> {
    let (mut next, mut joined) = (Vec::new(), lock.clone());
    // One at most reaches over both ends and is split in two, and one comes.
    next.try_reserve_exact(list.len() + 2).map_err(|_| Errno::ENOMEM)?;
    for old in list.iter().filter(|l| !l.owner.is_gone()) {
        let own = old.owner.is(&lock.owner);
        if own && !free && old.joins(lock) {
            joined.first = joined.first.min(old.first);
            joined.last = joined.last.max(old.last);
            continue;
        }
        if !(own && old.overlaps(lock)) {
            next.push(old.clone());
            continue;
        }
        if old.last > lock.last {
            next.push(Lock { first: lock.last + 1, ..old.clone() });
        }
        if old.first < lock.first {
            next.push(Lock { last: lock.first - 1, ..old.clone() });
        }
    }
    if !free {
        next.push(joined);
    }
    Ok(next)
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

fn try_lock(file: &Arc<Description>, lock: &Lock, free: bool) -> Result<Tried, Errno> {
    let key = key(file);
    let mut all = LOCKS.lock();
    let list = all.get(&key).map_or(&[][..], |locks| &locks.list);
    if !free && list.iter().any(|other| lock.conflicts(other)) {
        return Ok(Tried::Blocked { outside: false });
    }
    let next = replaced(list, lock, free)?;
    if !next.is_empty() && !all.contains_key(&key) {
        all.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    }
    if let Some(location) = vfs::location_of(file).filter(|_| !lock.whole) {
        match tell(&*location.node, &next, lock.first, lock.last) {
            Err(Errno::EAGAIN) if !free => return Ok(Tried::Blocked { outside: true }),
            Err(error) if !free => return Err(error),
            // Less is locked in any case.
            _ => {}
        }
    }
    if next.is_empty() {
        all.remove(&key);
    } else {
        all.get_or_insert_with(key, || Locks::of(file)).list = next;
    }
    COUNT.store(all.len(), Ordering::Release);
    if !free && matches!(lock.owner, Owner::Open(_)) {
        file.at_end(&DESCRIPTION_GONE);
    }
    Ok(Tried::Done)
}

fn acquire(file: &Arc<Description>, lock: &Lock, free: bool, wait: bool) -> Result<(), Errno> {
    let key = key(file);
    loop {
        let outside = match try_lock(file, lock, free)? {
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
    acquire(file, &lock, free, wait)
}

/// `F_GETLK`: who stands in the way.
pub fn get(file: &Arc<Description>, asked: UserPtr<FLock>, open: bool) -> Result<(), Errno> {
    let mut answer = asked.read();
    let (lock, free) = parse(file, &answer, open)?;
    if free {
        return Err(Errno::EINVAL);
    }
    let inside = {
        let locks = LOCKS.lock();
        let list = locks.get(&key(file)).map_or(&[][..], |l| &l.list);
        list.iter().filter(|other| lock.conflicts(other)).min_by_key(|other| other.first).cloned()
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
    acquire(file, &lock, exclusive.is_none(), wait)
}

/// A descriptor of `file` was closed: the process loses its locks on the file (fcntl(2)).
pub fn closed(file: &Arc<Description>) {
    if COUNT.load(Ordering::Acquire) == 0 {
        return;
    }
    let lost = {
        let (mut locks, key) = (LOCKS.lock(), key(file));
        let Some(of_file) = locks.get_mut(&key) else { return };
        let lost = drop_those(of_file, |lock| matches!(lock.owner, Owner::Process));
        if of_file.list.is_empty() {
            locks.remove(&key);
            COUNT.store(locks.len(), Ordering::Release);
        }
        lost
    };
    if lost {
        WAITING.wake_all();
    }
}

/// Drops locks, and tells users outside; returns whether there were any.
fn drop_those(locks: &mut Locks, which: impl Fn(&Lock) -> bool) -> bool {
    let (before, mut on_bytes) = (locks.list.len(), false);
    locks.list.retain(|lock| {
        let goes = which(lock);
        on_bytes |= goes && !lock.whole;
        !goes
    });
    // A file that is not in use any more has lost its locks outside.
    if let Of::Node(node) = &locks.of
        && on_bytes
        && let Some(node) = node.upgrade()
    {
        // What cannot be told goes with the last use of the file.
        let _ = tell(&*node, &locks.list, 0, i64::MAX as u64);
    }
    locks.list.len() < before
}

/// What a description that has locks calls at its end.
static DESCRIPTION_GONE: fn() = description_gone;

/// A description that had locks is gone: drops them, and lets those who wait look.
fn description_gone() {
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
