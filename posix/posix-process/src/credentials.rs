//! Users and groups: one user, number 0, and the numbers that a program gives itself.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use syscall_shim::{Errno, UserPtr, syscall};

use crate::this_process;

/// "As it is" in calls that set several numbers.
const KEEP: u32 = u32::MAX;
/// Supplementary groups at most (`NGROUPS_MAX` of `limits.h` in Linux).
const GROUPS_MAX: usize = 65_536;

/// Real, effective and saved number.
struct Ids([AtomicU32; 3]);

static USER: Ids = Ids([const { AtomicU32::new(0) }; 3]);
static GROUP: Ids = Ids([const { AtomicU32::new(0) }; 3]);
/// What file permissions are checked for; follows the effective numbers.
static FILE_USER: AtomicU32 = AtomicU32::new(0);
static FILE_GROUP: AtomicU32 = AtomicU32::new(0);

impl Ids {
    fn get(&self) -> [u32; 3] {
        [0, 1, 2].map(|index| self.0[index].load(Relaxed))
    }

    /// Sets those that are not [`KEEP`]. User 0 may set any; others only what they have already.
    fn set(&self, new: [u32; 3], file: &AtomicU32) -> Result<(), Errno> {
        let old = self.get();
        let privileged = USER.get()[1] == 0;
        if !privileged && new.iter().any(|id| *id != KEEP && !old.contains(id)) {
            return Err(Errno::EPERM);
        }
        for (place, id) in self.0.iter().zip(new).filter(|(_, id)| *id != KEEP) {
            place.store(id, Relaxed);
        }
        if new[1] != KEEP {
            file.store(new[1], Relaxed);
        }
        Ok(())
    }

    /// As setuid(2): all three for user 0, the effective one for others.
    fn set_one(&self, id: u32, file: &AtomicU32) -> Result<(), Errno> {
        if id == KEEP {
            return Err(Errno::EINVAL);
        }
        let privileged = USER.get()[1] == 0;
        self.set(if privileged { [id; 3] } else { [KEEP, id, KEEP] }, file)
    }

    /// As setreuid(2): the saved number follows when the real one is set, or the effective one is
    /// set to another.
    fn set_two(&self, real: u32, effective: u32, file: &AtomicU32) -> Result<(), Errno> {
        let old = self.get();
        let follows = real != KEEP || (effective != KEEP && effective != old[0]);
        let now = if effective == KEEP { old[1] } else { effective };
        self.set([real, effective, if follows { now } else { KEEP }], file)
    }
}

/// Real, effective and saved user.
pub fn user() -> [u32; 3] {
    USER.get()
}

/// Real, effective and saved group.
pub fn group() -> [u32; 3] {
    GROUP.get()
}

/// Real user (getuid(2)).
#[syscall]
fn getuid() -> u32 {
    USER.get()[0]
}

/// Effective user (geteuid(2)).
#[syscall]
fn geteuid() -> u32 {
    USER.get()[1]
}

/// Real group (getgid(2)).
#[syscall]
fn getgid() -> u32 {
    GROUP.get()[0]
}

/// Effective group (getegid(2)).
#[syscall]
fn getegid() -> u32 {
    GROUP.get()[1]
}

/// See setuid(2).
#[syscall]
fn setuid(id: u32) -> Result<(), Errno> {
    USER.set_one(id, &FILE_USER)
}

/// See setgid(2).
#[syscall]
fn setgid(id: u32) -> Result<(), Errno> {
    GROUP.set_one(id, &FILE_GROUP)
}

/// See setreuid(2).
#[syscall]
fn setreuid(real: u32, effective: u32) -> Result<(), Errno> {
    USER.set_two(real, effective, &FILE_USER)
}

/// See setregid(2).
#[syscall]
fn setregid(real: u32, effective: u32) -> Result<(), Errno> {
    GROUP.set_two(real, effective, &FILE_GROUP)
}

/// See setresuid(2).
#[syscall]
fn setresuid(real: u32, effective: u32, saved: u32) -> Result<(), Errno> {
    USER.set([real, effective, saved], &FILE_USER)
}

/// See setresgid(2).
#[syscall]
fn setresgid(real: u32, effective: u32, saved: u32) -> Result<(), Errno> {
    GROUP.set([real, effective, saved], &FILE_GROUP)
}

fn tell(ids: &Ids, places: [UserPtr<'_, u32>; 3]) {
    for (place, id) in places.into_iter().zip(ids.get()) {
        place.write(id);
    }
}

/// See getresuid(2).
#[syscall]
fn getresuid(real: UserPtr<u32>, effective: UserPtr<u32>, saved: UserPtr<u32>) {
    tell(&USER, [real, effective, saved]);
}

/// See getresgid(2).
#[syscall]
fn getresgid(real: UserPtr<u32>, effective: UserPtr<u32>, saved: UserPtr<u32>) {
    tell(&GROUP, [real, effective, saved]);
}

/// Sets the number for files where that is allowed; returns the one before.
fn set_file(file: &AtomicU32, ids: &Ids, id: u32) -> u32 {
    let old = file.load(Relaxed);
    if USER.get()[1] == 0 || id == old || ids.get().contains(&id) {
        file.store(id, Relaxed);
    }
    old
}

/// See setfsuid(2).
#[syscall]
fn setfsuid(id: u32) -> u32 {
    if id == KEEP { FILE_USER.load(Relaxed) } else { set_file(&FILE_USER, &USER, id) }
}

/// See setfsgid(2).
#[syscall]
fn setfsgid(id: u32) -> u32 {
    if id == KEEP { FILE_GROUP.load(Relaxed) } else { set_file(&FILE_GROUP, &GROUP, id) }
}

/// The process is in no supplementary groups (getgroups(2)).
#[syscall]
fn getgroups(size: i32, _list: usize) -> Result<usize, Errno> {
    if size < 0 { Err(Errno::EINVAL) } else { Ok(0) }
}

/// Supplementary groups mean nothing to user 0, who passes every check (setgroups(2)).
#[syscall]
fn setgroups(size: usize, _list: usize) -> Result<(), Errno> {
    if geteuid() != 0 {
        return Err(Errno::EPERM);
    }
    if size > GROUPS_MAX { Err(Errno::EINVAL) } else { Ok(()) }
}

/// Version of the structures below (`linux/capability.h`), for 64 capabilities in two halves.
const CAPABILITY_VERSION: u32 = 0x2008_0522;
/// Capabilities that Linux knows, as bits.
const ALL_CAPABILITIES: u64 = (1 << 41) - 1;

/// What the process may do (capget(2)): all, as user 0.
#[syscall]
fn capget(header: UserPtr<[u32; 2]>, data: Option<UserPtr<[u32; 6]>>) -> Result<(), Errno> {
    let [version, pid] = header.read();
    if version != CAPABILITY_VERSION {
        header.write([CAPABILITY_VERSION, pid]);
        return if data.is_none() { Ok(()) } else { Err(Errno::EINVAL) };
    }
    this_process(pid as i32)?;
    let all = if geteuid() == 0 { ALL_CAPABILITIES } else { 0 };
    let (low, high) = (all as u32, (all >> 32) as u32);
    data.ok_or(Errno::EFAULT)?.write([low, low, 0, high, high, 0]);
    Ok(())
}

/// User 0 has all capabilities and keeps them; others have none to give (capset(2)).
#[syscall]
fn capset(header: UserPtr<[u32; 2]>, data: UserPtr<[u32; 6]>) -> Result<(), Errno> {
    let [version, pid] = header.read();
    if version != CAPABILITY_VERSION {
        header.write([CAPABILITY_VERSION, pid]);
        return Err(Errno::EINVAL);
    }
    this_process(pid as i32)?;
    let [effective, permitted, _, high_effective, high_permitted, _] = data.read();
    let wanted =
        u64::from(high_permitted | high_effective) << 32 | u64::from(permitted | effective);
    if geteuid() == 0 || wanted == 0 { Ok(()) } else { Err(Errno::EPERM) }
}
