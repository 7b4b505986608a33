//! Users and groups: user 0 at first, then whom the program makes of itself.

use alloc::sync::Arc;
use alloc::vec::Vec;

use syscall_shim::{Errno, UserOut, UserPtr, UserWord, syscall};
use uklock::Mutex;
use ukplat::StaticRef;

use crate::this_process;

/// "As it is" in calls that set several numbers.
const KEEP: u32 = u32::MAX;
/// Supplementary groups at most (`NGROUPS_MAX` of `limits.h` in Linux).
const GROUPS_MAX: usize = 65_536;

/// Real, effective and saved number, and the one that file permissions are checked for, which
/// follows the effective one.
#[derive(Clone, Copy)]
struct Ids {
    own: [u32; 3],
    file: u32,
}

impl Ids {
    const ROOT: Self = Self { own: [0; 3], file: 0 };

    /// Sets those that are not [`KEEP`]. Who is privileged may set any; others only what they have
    /// already.
    fn set(&mut self, privileged: bool, new: [u32; 3]) -> Result<(), Errno> {
        if !privileged && new.iter().any(|id| *id != KEEP && !self.own.contains(id)) {
            return Err(Errno::EPERM);
        }
        for (place, id) in self.own.iter_mut().zip(new).filter(|(_, id)| *id != KEEP) {
            *place = id;
        }
        if new[1] != KEEP {
            self.file = new[1];
        }
        Ok(())
    }

    /// As setuid(2): all three for user 0, the effective one for others.
    fn set_one(&mut self, privileged: bool, id: u32) -> Result<(), Errno> {
        if id == KEEP {
            return Err(Errno::EINVAL);
        }
        self.set(privileged, if privileged { [id; 3] } else { [KEEP, id, KEEP] })
    }

    /// As setreuid(2): the saved number follows when the real one is set, or the effective one is
    /// set to another.
    fn set_two(&mut self, privileged: bool, real: u32, effective: u32) -> Result<(), Errno> {
        let old = self.own;
        let follows = real != KEEP || (effective != KEEP && effective != old[0]);
        let now = if effective == KEEP { old[1] } else { effective };
        self.set(privileged, [real, effective, if follows { now } else { KEEP }])
    }
}

/// All that the process is.
#[derive(Clone)]
struct Whole {
    user: Ids,
    group: Ids,
    groups: Option<Arc<[u32]>>,
}

static WHOLE: Mutex<Whole> = Mutex::new(Whole { user: Ids::ROOT, group: Ids::ROOT, groups: None });

/// Whom file permissions are checked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User.
    pub user: u32,
    /// Group.
    pub group: u32,
    /// Supplementary groups.
    pub groups: Option<Arc<[u32]>>,
}

/// What is told that file permissions are to be checked for somebody else.
///
/// An error, `ENOMEM`, means that they are not, and the call that wanted it fails.
pub type OnIdentityChange = fn(&Identity) -> Result<(), Errno>;

static TOLD: StaticRef<OnIdentityChange> = StaticRef::new();

/// Sets what is told when users and groups change.
pub fn on_identity_change(told: &'static OnIdentityChange) {
    TOLD.set(told);
}

/// Changes who the process is, all of it or nothing; `privileged` says whether it is user 0.
fn change<R>(how: impl FnOnce(&mut Whole, bool) -> Result<R, Errno>) -> Result<R, Errno> {
    let mut whole = WHOLE.lock();
    let mut next = whole.clone();
    let result = how(&mut next, whole.user.own[1] == 0)?;
    if let Some(told) = TOLD.get() {
        let (user, group) = (next.user.file, next.group.file);
        told(&Identity { user, group, groups: next.groups.clone() })?;
    }
    posix_time::allow_setting(next.user.own[1] == 0);
    *whole = next;
    Ok(result)
}

/// Real, effective and saved user.
pub fn user() -> [u32; 3] {
    WHOLE.lock().user.own
}

/// Fails unless the process is user 0, who may do what concerns the whole system.
///
/// # Errors
/// `EPERM`
pub(crate) fn privileged() -> Result<(), Errno> {
    if user()[1] == 0 { Ok(()) } else { Err(Errno::EPERM) }
}

/// Real, effective and saved group.
pub fn group() -> [u32; 3] {
    WHOLE.lock().group.own
}

/// Real user (getuid(2)).
#[syscall]
fn getuid() -> u32 {
    user()[0]
}

/// Effective user (geteuid(2)).
#[syscall]
fn geteuid() -> u32 {
    user()[1]
}

/// Real group (getgid(2)).
#[syscall]
fn getgid() -> u32 {
    group()[0]
}

/// Effective group (getegid(2)).
#[syscall]
fn getegid() -> u32 {
    group()[1]
}

/// See setuid(2).
#[syscall]
fn setuid(id: u32) -> Result<(), Errno> {
    change(|whole, privileged| whole.user.set_one(privileged, id))
}

/// See setgid(2).
#[syscall]
fn setgid(id: u32) -> Result<(), Errno> {
    change(|whole, privileged| whole.group.set_one(privileged, id))
}

/// See setreuid(2).
#[syscall]
fn setreuid(real: u32, effective: u32) -> Result<(), Errno> {
    change(|whole, privileged| whole.user.set_two(privileged, real, effective))
}

/// See setregid(2).
#[syscall]
fn setregid(real: u32, effective: u32) -> Result<(), Errno> {
    change(|whole, privileged| whole.group.set_two(privileged, real, effective))
}

/// See setresuid(2).
#[syscall]
fn setresuid(real: u32, effective: u32, saved: u32) -> Result<(), Errno> {
    change(|whole, privileged| whole.user.set(privileged, [real, effective, saved]))
}

/// See setresgid(2).
#[syscall]
fn setresgid(real: u32, effective: u32, saved: u32) -> Result<(), Errno> {
    change(|whole, privileged| whole.group.set(privileged, [real, effective, saved]))
}

fn tell(ids: [u32; 3], places: [UserOut<'_, u32>; 3]) {
    for (place, id) in places.into_iter().zip(ids) {
        place.write(id);
    }
}

/// See getresuid(2).
#[syscall]
fn getresuid(real: UserOut<u32>, effective: UserOut<u32>, saved: UserOut<u32>) {
    tell(user(), [real, effective, saved]);
}

/// See getresgid(2).
#[syscall]
fn getresgid(real: UserOut<u32>, effective: UserOut<u32>, saved: UserOut<u32>) {
    tell(group(), [real, effective, saved]);
}

/// Sets the number for files where that is allowed; returns the one before.
fn set_file(id: u32, of: fn(&mut Whole) -> &mut Ids) -> u32 {
    let before = of(&mut WHOLE.lock().clone()).file;
    let set = change(|whole, privileged| {
        let ids = of(whole);
        let old = ids.file;
        if id != KEEP && (privileged || ids.own.contains(&id)) {
            ids.file = id;
        }
        Ok(old)
    });
    // The calls have no way to tell an error: it stays as it is.
    set.unwrap_or(before)
}

/// See setfsuid(2).
#[syscall]
fn setfsuid(id: u32) -> u32 {
    set_file(id, |whole| &mut whole.user)
}

/// See setfsgid(2).
#[syscall]
fn setfsgid(id: u32) -> u32 {
    set_file(id, |whole| &mut whole.group)
}

/// The supplementary groups, or with size 0 how many they are (getgroups(2)).
#[syscall]
fn getgroups(size: i32, list: UserWord) -> Result<usize, Errno> {
    let groups = WHOLE.lock().groups.clone();
    let groups = groups.as_deref().unwrap_or_default();
    match usize::try_from(size).map_err(|_| Errno::EINVAL)? {
        0 => Ok(groups.len()),
        size if size < groups.len() => Err(Errno::EINVAL),
        _ => {
            let mut list = list.slice_mut(groups.len())?;
            for (index, group) in groups.iter().enumerate() {
                list.set(index, *group);
            }
            Ok(groups.len())
        }
    }
}

/// See setgroups(2).
#[syscall]
fn setgroups(size: usize, list: UserWord) -> Result<(), Errno> {
    change(|whole, privileged| {
        if !privileged {
            return Err(Errno::EPERM);
        }
        whole.groups = match size {
            0 => None,
            1..=GROUPS_MAX => {
                let mut groups = Vec::new();
                groups.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
                groups.extend(list.slice::<u32>(size)?.iter());
                ukfile::fallible::reserve(size_of_val(&*groups))?;
                Some(Arc::from(groups))
            }
            _ => return Err(Errno::EINVAL),
        };
        Ok(())
    })
}

/// Version of the structures below (`linux/capability.h`), for 64 capabilities in two halves.
const CAPABILITY_VERSION: u32 = 0x2008_0522;
/// Capabilities that Linux knows, as bits.
const ALL_CAPABILITIES: u64 = (1 << 41) - 1;

/// What the process may do (capget(2)): all as user 0, nothing as others.
#[syscall]
fn capget(header: UserPtr<[u32; 2]>, data: Option<UserOut<[u32; 6]>>) -> Result<(), Errno> {
    let [version, pid] = header.read();
    if version != CAPABILITY_VERSION {
        header.write([CAPABILITY_VERSION, pid]);
        return if data.is_none() { Ok(()) } else { Err(Errno::EINVAL) };
    }
    // As Linux, before the process is looked for.
    let Some(data) = data else { return Ok(()) };
    this_process(pid as i32)?;
    let all = if geteuid() == 0 { ALL_CAPABILITIES } else { 0 };
    let (low, high) = (all as u32, (all >> 32) as u32);
    data.write([low, low, 0, high, high, 0]);
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
