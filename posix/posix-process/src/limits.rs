//! Limits of resources and what is used of them.

use posix_time::Clock;
use syscall_shim::{Errno, LimitValue, Plain, Resource, UsageWho, UserOut, UserPtr, syscall};
use uklock::Mutex;
use ukplat::BootInfo;

use crate::this_process;

/// No limit.
const INFINITY: u64 = u64::MAX;
/// Resources that Linux knows, from `RLIMIT_CPU` to `RLIMIT_RTTIME` (`asm-generic/resource.h`).
const RESOURCES: usize = 16;
const STACK: usize = 3;
const CORE: usize = 4;
const OPEN_FILES: usize = 7;
const NICE: usize = 13;
const REAL_TIME_PRIORITY: usize = 14;
/// Open files that programs are content with, and at most.
const USUAL_FILES: u64 = 1024;
const MAX_FILES: u64 = 1 << 20;

/// `struct rlimit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Plain)]
#[repr(C)]
pub(crate) struct Limit {
    #[trace(LimitValue)]
    current: u64,
    #[trace(LimitValue)]
    maximum: u64,
}

/// Size of the first thread's stack, which cannot grow: what it was made with.
fn stack() -> u64 {
    BootInfo::get().map_or(INFINITY, |boot| boot.stack.len() as u64)
}

fn defaults() -> [Limit; RESOURCES] {
    let mut limits = [Limit { current: INFINITY, maximum: INFINITY }; RESOURCES];
    let stack = most(STACK);
    limits[STACK] = Limit { current: stack, maximum: stack };
    limits[CORE] = Limit { current: 0, maximum: INFINITY };
    limits[OPEN_FILES] = Limit { current: USUAL_FILES, maximum: MAX_FILES };
    limits[NICE] = Limit { current: 0, maximum: 0 };
    limits[REAL_TIME_PRIORITY] = Limit { current: 0, maximum: 0 };
    limits
}

/// Nobody can have more of a resource, whoever asks: the table of files cannot grow for ever.
fn most(resource: usize) -> u64 {
    match resource {
        STACK => stack(),
        OPEN_FILES => MAX_FILES,
        _ => INFINITY,
    }
}

/// As somebody changed them; until then they are the defaults.
static LIMITS: Mutex<Option<[Limit; RESOURCES]>> = Mutex::new(None);

/// Number of open files that the process may have: `RLIMIT_NOFILE`.
pub fn open_files() -> u64 {
    LIMITS.lock().get_or_insert_with(defaults)[OPEN_FILES].current
}

fn change(resource: u32, new: Option<Limit>) -> Result<Limit, Errno> {
    let mut limits = LIMITS.lock();
    let limits = limits.get_or_insert_with(defaults);
    let place = limits.get_mut(resource as usize).ok_or(Errno::EINVAL)?;
    let old = *place;
    if let Some(new) = new {
        if new.current > new.maximum {
            return Err(Errno::EINVAL);
        }
        // Who is not privileged gives rights away, and does not get them back.
        if new.maximum > old.maximum && crate::user()[1] != 0 {
            return Err(Errno::EPERM);
        }
        if new.maximum > most(resource as usize) {
            return Err(Errno::EPERM);
        }
        *place = new;
        if resource as usize == OPEN_FILES {
            fdtab::TABLE.set_limit(new.current as usize);
        }
    }
    Ok(old)
}

/// See getrlimit(2). Limits are remembered; that of open files is held.
#[syscall]
fn getrlimit(#[trace(Resource)] resource: u32, limit: UserOut<Limit>) -> Result<(), Errno> {
    limit.write(change(resource, None)?);
    Ok(())
}

/// See setrlimit(2).
#[syscall]
fn setrlimit(#[trace(Resource)] resource: u32, limit: UserPtr<Limit>) -> Result<(), Errno> {
    change(resource, Some(limit.read())).map(drop)
}

/// See prlimit(2).
#[syscall]
fn prlimit64(
    pid: i32,
    #[trace(Resource)] resource: u32,
    new: Option<UserPtr<Limit>>,
    old: Option<UserOut<Limit>>,
) -> Result<(), Errno> {
    this_process(pid)?;
    let before = change(resource, new.map(UserPtr::read))?;
    if let Some(old) = old {
        old.write(before);
    }
    Ok(())
}

/// `struct rusage`: times in seconds and microseconds, then sizes and counts.
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
struct Usage {
    user: [i64; 2],
    system: [i64; 2],
    max_resident_kib: i64,
    #[trace(_)]
    others: [i64; 13],
}

const RUSAGE_SELF: i32 = 0;
const RUSAGE_CHILDREN: i32 = -1;
const RUSAGE_THREAD: i32 = 1;

/// What was used so far (getrusage(2)): CPU time, all of it the program's, as on the clocks of the
/// process and of threads.
#[syscall]
fn getrusage(#[trace(UsageWho)] who: i32, usage: UserOut<Usage>) -> Result<(), Errno> {
    let microseconds = match who {
        RUSAGE_SELF => (Clock::Process.now_ns() / 1000) as i64,
        RUSAGE_THREAD => (Clock::Thread(0).now_ns() / 1000) as i64,
        RUSAGE_CHILDREN => 0,
        _ => return Err(Errno::EINVAL),
    };
    let resident = if who == RUSAGE_CHILDREN { 0 } else { crate::system::memory().used };
    usage.write(Usage {
        user: [microseconds / 1_000_000, microseconds % 1_000_000],
        system: [0; 2],
        max_resident_kib: (resident / 1024) as i64,
        others: [0; 13],
    });
    Ok(())
}
