//! Advisory locks: of the process, of open files, and of files as a whole.
//!
//! There is one process, so its own locks never stand in each other's way; those of open file
//! descriptions (`F_OFD_SETLK`, `flock`) do. Locks on bytes are told to the file system, for others
//! that use the file: there, all locks of the image are those of one.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use syscall_shim::{Plain, UserPtr};
use ukerrno::Errno;
use ukfile::{Description, Kind};
use uklock::{Mutex, WaitQueue};
use vfs::{LockKind, Node, NodeRef, RangeLock};

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

/// A file with locks.
struct Locked {
    /// Its device and number.
    key: Key,
    /// For telling the file system; it forgets locks of a file that nobody has open.
    node: Weak<dyn Node>,
    list: Vec<Lock>,
}

type Key = (u64, u64);

static LOCKS: Mutex<Vec<Locked>> = Mutex::new(Vec::new());
static COUNT: AtomicUsize = AtomicUsize::new(0);
static WAITING: WaitQueue = WaitQueue::new();

/// Nanoseconds after which a lock that somebody outside of the image has is tried again: nobody
/// tells when it is free.
const RETRY_NS: u64 = 10_000_000;

/// What a file is for locks.
#[derive(Clone, Copy)]
struct Target<'a> {
    key: Key,
    node: Option<&'a NodeRef>,
}

impl<'a> Target<'a> {
    fn of(file: &'a Description) -> Result<Self, Errno> {
        let metadata = file.file().metadata()?;
        let node = vfs::location_of(file).map(|location| &location.node);
        // Others have no locks of this kind.
        let node = node.filter(|_| metadata.kind == Kind::Regular);
        Ok(Self { key: (metadata.device, metadata.inode), node })
    }
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

/// Tells a file system which locks the image has from `first` to `last`.
fn tell(node: &dyn Node, list: &[Lock], first: u64, last: u64) -> Result<(), Errno> {
    let of_bytes = || list.iter().filter(|lock| !lock.whole);
    let mut at = first;
    loop {
        // Up to where another lock begins or ends.
        let borders = of_bytes().flat_map(|lock| [lock.first, lock.last.saturating_add(1)]);
        let end = borders.filter(|border| *border > at).min().map_or(last, |b| last.min(b - 1));
        let here = of_bytes().filter(|lock| lock.first <= at && at <= lock.last);
        let kinds = here.map(|lock| match lock.exclusive {
            true => LockKind::Exclusive,
            false => LockKind::Shared,
        });
        let kind = kinds.max().unwrap_or(LockKind::None);
        node.lock(&RangeLock { kind, first: at, last: end })?;
        if end >= last {
            return Ok(());
        }
        at = end + 1;
    }
}

/// Why a lock cannot be had now.
enum Busy {
    /// Somebody in the image has one.
    Inside,
    /// Somebody outside has one.
    Outside,
}

fn try_lock(target: Target<'_>, lock: &Lock, free: bool) -> Result<Option<Busy>, Errno> {
    let mut locks = LOCKS.lock();
    let at = match locks.iter().position(|locked| locked.key == target.key) {
        Some(at) => at,
        None if free && target.node.is_none() => return Ok(None),
        None => {
            let node: Weak<dyn Node> = match target.node {
                Some(node) => Arc::downgrade(node),
                None => Weak::<Nowhere>::new(),
            };
            let locked = Locked { key: target.key, node, list: Vec::new() };
            ukfile::fallible::push(&mut locks, locked)?;
            locks.len() - 1
        }
    };
    let list = &mut locks[at].list;
    let mut result = Ok(None);
    if !free && list.iter().any(|other| lock.conflicts(other)) {
        result = Ok(Some(Busy::Inside));
    } else {
        let before = list.clone();
        replace(list, lock, free)?;
        if let Some(node) = target.node.filter(|_| !lock.whole) {
            let told = tell(&**node, list, lock.first, lock.last.min(i64::MAX as u64));
            if let Err(error) = told {
                *list = before;
                // What it has was allowed before.
                let _ = tell(&**node, list, lock.first, lock.last.min(i64::MAX as u64));
                result = if error == Errno::EAGAIN { Ok(Some(Busy::Outside)) } else { Err(error) };
            }
        }
    }
    if locks[at].list.is_empty() {
        locks.swap_remove(at);
    }
    COUNT.store(locks.len(), Ordering::Release);
    result
}

fn acquire(target: Target<'_>, lock: &Lock, free: bool, wait: bool) -> Result<(), Errno> {
    loop {
        let busy = match try_lock(target, lock, free)? {
            // Less than before may be locked.
            None => {
                WAITING.wake_all();
                return Ok(());
            }
            Some(_) if !wait => return Err(Errno::EAGAIN),
            Some(busy) => busy,
        };
        let until = match busy {
            Busy::Inside => None,
            Busy::Outside => Some(ukplat::monotonic_ns() + RETRY_NS),
        };
        let released = || {
            let locks = LOCKS.lock();
            let list = locks.iter().find(|locked| locked.key == target.key);
            until.is_none() && list.is_none_or(|l| !l.list.iter().any(|o| lock.conflicts(o)))
        };
        // Whether it was released or not is seen by trying.
        WAITING.wait_interruptible(until, released).map_err(|_| Errno::EINTR)?;
    }
}

/// Stands for the node of what has none.
struct Nowhere;

impl Node for Nowhere {
    fn kind(&self) -> Kind {
        Kind::Socket
    }

    fn metadata(&self) -> Result<ukfile::Metadata, Errno> {
        Err(Errno::EBADF)
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
    acquire(Target::of(file)?, &lock, free, wait)
}

/// `F_GETLK`: who stands in the way.
pub fn get(file: &Arc<Description>, asked: UserPtr<FLock>, open: bool) -> Result<(), Errno> {
    let mut answer = asked.read();
    let (lock, free) = parse(file, &answer, open)?;
    if free {
        return Err(Errno::EINVAL);
    }
    let target = Target::of(file)?;
    let inside = {
        let locks = LOCKS.lock();
        let list = locks.iter().find(|locked| locked.key == target.key);
        list.and_then(|locked| locked.list.iter().find(|other| lock.conflicts(other))).cloned()
    };
    let mut found = inside.map(|other| {
        let process = if matches!(other.owner, Owner::Process) { 1 } else { -1 };
        (other.exclusive, other.first, other.last, process)
    });
    if let (None, Some(node)) = (&found, target.node) {
        let kind = if lock.exclusive { LockKind::Exclusive } else { LockKind::Shared };
        let wanted = RangeLock { kind, first: lock.first, last: lock.last };
        let outside = node.blocking(&wanted)?;
        // Whose it is has no number here.
        found = outside.map(|o| (o.kind == LockKind::Exclusive, o.first, o.last, 0));
    }
    match found {
        None => answer.kind = UNLOCK,
        Some((exclusive, first, last, process)) => {
            answer.kind = if exclusive { WRITE } else { READ };
            answer.whence = 0;
            answer.start = first as i64;
            let to_the_end = last >= i64::MAX as u64;
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
    acquire(Target::of(file)?, &lock, exclusive.is_none(), wait)
}

/// A descriptor of `file` was closed: the process loses its locks on the file (fcntl(2)).
pub fn closed(file: &Description) {
    if COUNT.load(Ordering::Acquire) == 0
        || file.file().metadata().is_ok_and(|m| m.kind != Kind::Regular)
    {
        return;
    }
    let Ok(target) = Target::of(file) else { return };
    let mut locks = LOCKS.lock();
    let Some(locked) = locks.iter_mut().find(|locked| locked.key == target.key) else { return };
    let before = locked.list.len();
    locked.list.retain(|l| !matches!(l.owner, Owner::Process));
    if locked.list.len() != before {
        locked.tell_all();
    }
}

impl Locked {
    /// Tells the file system what is left. It lets locks go always.
    fn tell_all(&self) {
        if let Some(node) = self.node.upgrade() {
            let _ = tell(&*node, &self.list, 0, i64::MAX as u64);
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
        locks.retain_mut(|locked| {
            let before = locked.list.len();
            locked.list.retain(|l| !l.owner.is_gone());
            if locked.list.len() != before {
                locked.tell_all();
            }
            !locked.list.is_empty()
        });
        COUNT.store(locks.len(), Ordering::Release);
    }
    WAITING.wake_all();
}
