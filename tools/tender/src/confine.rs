//! The tender gives up what it does not need before the guest runs: the rights of root, the file
//! system, almost all system calls. It opens nothing any more.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_long};
use std::os::fd::RawFd;

use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::devices::ShareArgs;
use crate::error::Error;

/// Makes all threads share one heap of the C library. Where each has its own, shrinking one opens a
/// file in `/proc`, which a confined thread must not. Before there are threads.
pub fn share_heap() {
    const M_ARENA_MAX: c_int = -8;
    // SAFETY: no pointers.
    unsafe { libc::mallopt(M_ARENA_MAX, 1) };
}

/// A user and group without rights, by convention `nobody`.
const NOBODY: u32 = 65534;

fn failed(what: &'static str) -> impl Fn(&dyn std::fmt::Display) -> Error {
    move |error| Error::Confine(what, error.to_string())
}

/// What a call of the kernel that gives something up said.
fn done(what: &'static str, result: c_int) -> Result<(), Error> {
    if result == 0 { Ok(()) } else { Err(failed(what)(&std::io::Error::last_os_error())) }
}

/// Gives up the rights of root and access to files but those in shared directories; for the whole
/// process, before it has threads. With shared directories it stays the user who started it, as files
/// are made in that name; capabilities go even so.
///
/// # Errors
/// [`Error::Confine`].
pub fn drop_rights(shares: &[ShareArgs]) -> Result<(), Error> {
    // SAFETY: no pointers.
    unsafe {
        // No new rights by programs that it could start, no look into it by others of the user.
        done("PR_SET_NO_NEW_PRIVS", libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        done("PR_SET_DUMPABLE", libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0))?;
        if shares.is_empty() && libc::geteuid() == 0 {
            become_nobody()?;
        }
    }
    drop_capabilities()?;
    let wrong = failed("Landlock");
    // As much of it as the kernel has.
    let abi = ABI::V5;
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(abi)))
        .and_then(Ruleset::create)
        .map_err(|e| wrong(&e))?;
    for share in shares {
        let allowed = match share.read_only {
            true => AccessFs::ReadFile | AccessFs::ReadDir,
            false => AccessFs::from_all(abi) & !AccessFs::Execute,
        };
        let directory = PathFd::new(&share.path).map_err(|e| wrong(&e))?;
        let rule = PathBeneath::new(directory, allowed);
        ruleset = ruleset.add_rule(rule).map_err(|e| wrong(&e))?;
    }
    let status = ruleset.restrict_self().map_err(|e| wrong(&e))?;
    if status.ruleset == RulesetStatus::NotEnforced {
        crate::console::say(
            "tender: this kernel has no Landlock: seccomp alone keeps the monitor from files\n",
        );
    }
    Ok(())
}

/// Gives up being root.
fn become_nobody() -> Result<(), Error> {
    // SAFETY: no pointers but an empty list.
    unsafe {
        // A user namespace that has no such user says so (setresuid(2)). Its root has nothing of
        // root's outside of it, and loses its capabilities as everybody does.
        let result = libc::setresgid(NOBODY, NOBODY, NOBODY);
        let error = std::io::Error::last_os_error();
        if result != 0 && error.raw_os_error() == Some(libc::EINVAL) {
            let text = "tender: there is no user 65534 in this container: the monitor stays its \
                        root, without capabilities\n";
            crate::console::say(text);
            return Ok(());
        }
        done("setresgid", result)?;
        done("setgroups", libc::setgroups(0, std::ptr::null()))?;
        done("setresuid", libc::setresuid(NOBODY, NOBODY, NOBODY))
    }
}

/// Gives up all capabilities (capset(2)).
fn drop_capabilities() -> Result<(), Error> {
    /// `_LINUX_CAPABILITY_VERSION_3`, and this process.
    const HEADER: [u32; 2] = [0x2008_0522, 0];
    let none = [0u32; 6];
    // SAFETY: header and sets, two of three words, are read only.
    let result = unsafe { libc::syscall(libc::SYS_capset, HEADER.as_ptr(), none.as_ptr()) };
    done("capset", result as c_int)
}

/// Any descriptor, as the first argument of a call.
pub const ANY: RawFd = -1;

/// What a thread does, and so what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Running a CPU.
    Cpu,
    /// The same, for a debugger to look into.
    DebuggedCpu,
    /// Talking to a debugger.
    Debugger,
    /// A device.
    Device,
}

/// A system call and its first argument, a descriptor.
pub type Call = (c_long, RawFd);

/// Whether threads are confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// They are.
    On,
    /// They are not, to debug the tender.
    Off,
}

impl Confinement {
    /// Confines the calling thread: from here on its system calls are those of its role and these.
    ///
    /// # Errors
    /// [`Error::Confine`].
    pub fn enter(self, role: Role, calls: &[Call]) -> Result<(), Error> {
        match self {
            Self::On => limit_calls(role, calls),
            Self::Off => Ok(()),
        }
    }

    /// The same, in a thread that nobody waits for: ends the tender when it fails.
    pub fn enter_or_end(self, role: Role, calls: &[Call]) {
        if let Err(error) = self.enter(role, calls) {
            crate::console::say(&format!("tender: {error}\n"));
            // SAFETY: ends the process; nothing is buffered.
            unsafe { libc::_exit(crate::NOT_STARTED.into()) };
        }
    }
}

fn limit_calls(role: Role, calls: &[Call]) -> Result<(), Error> {
    let wrong = failed("seccomp");
    install_handler();
    let filter = filter(role, calls).map_err(|e| wrong(&e))?;
    seccompiler::apply_filter(&filter).map_err(|e| wrong(&e))
}

/// `argument & mask == value`.
fn argument(
    index: u8,
    mask: u64,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)
}

fn filter(role: Role, calls: &[Call]) -> Result<BpfProgram, seccompiler::BackendError> {
    const ALL: u64 = 0xffff_ffff;
    /// linux/kvm.h: KVM_RUN, KVM_GET_REGS, KVM_SET_REGS, KVM_GET_SREGS, KVM_SET_SREGS.
    const KVM_CALLS: [u64; 5] = [0xae80, 0x8090_ae81, 0x4090_ae82, 0x8138_ae83, 0x4138_ae84];
    let anonymous = libc::MAP_ANONYMOUS as u64;
    let executable = libc::PROT_EXEC as u64;
    let own = u64::from(std::process::id());
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for (call, conditions) in [
        (libc::SYS_write, vec![argument(0, ALL, 2)?]),
        (libc::SYS_tgkill, vec![argument(0, ALL, own)?]),
        // Memory for the tender's own data.
        (libc::SYS_mmap, vec![argument(2, executable, 0)?, argument(3, anonymous, anonymous)?]),
        (libc::SYS_mprotect, vec![argument(2, executable, 0)?]),
        (libc::SYS_madvise, vec![argument(2, ALL, libc::MADV_DONTNEED as u64)?]),
    ] {
        rules.entry(call).or_default().push(SeccompRule::new(conditions)?);
    }
    /// KVM_GET_FPU, KVM_SET_FPU, KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS.
    const KVM_DEBUG_CALLS: [u64; 4] = [0x81a0_ae8c, 0x41a0_ae8d, 0x8080_aea1, 0x4080_aea2];
    let standard: &[Call] = &[(libc::SYS_read, 0), (libc::SYS_write, 1)];
    let (standard, kvm_calls, debug_calls): (&[Call], &[u64], &[u64]) = match role {
        Role::Device => (&[], &[], &[]),
        Role::Cpu => (standard, &KVM_CALLS, &[]),
        Role::DebuggedCpu | Role::Debugger => (standard, &KVM_CALLS, &KVM_DEBUG_CALLS),
    };
    for (call, fd) in standard.iter().chain(calls).filter(|(_, fd)| *fd != ANY) {
        let rule = SeccompRule::new(vec![argument(0, ALL, *fd as u64)?])?;
        rules.entry(*call).or_default().push(rule);
    }
    for call in kvm_calls.iter().chain(debug_calls).copied() {
        let rule = SeccompRule::new(vec![argument(1, ALL, call)?])?;
        rules.entry(libc::SYS_ioctl).or_default().push(rule);
    }
    for call in [
        libc::SYS_poll,
        libc::SYS_ppoll,
        libc::SYS_futex,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_restart_syscall,
        libc::SYS_timer_create,
        libc::SYS_timer_settime,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_clock_gettime,
        libc::SYS_getrandom,
        // By which glibc decides how many arenas its heap has.
        libc::SYS_sched_getaffinity,
        libc::SYS_brk,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ] {
        rules.insert(call, Vec::new());
    }
    for (call, _) in calls.iter().filter(|(_, fd)| *fd == ANY) {
        rules.insert(*call, Vec::new());
    }
    let filter =
        SeccompFilter::new(rules, SeccompAction::Trap, SeccompAction::Allow, TargetArch::x86_64)?;
    filter.try_into()
}

/// What happens on a call that is not allowed.
extern "C" fn on_blocked(_signal: c_int) {
    const TEXT: &[u8] = b"tender: stopped: it made a system call that it does not need\n";
    // SAFETY: both are allowed in signal handlers, and by the filter.
    unsafe {
        libc::write(2, TEXT.as_ptr().cast(), TEXT.len());
        libc::_exit(crate::NOT_STARTED.into());
    }
}

fn install_handler() {
    // SAFETY: a structure of integers; the handler does only what it may.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_blocked as *const () as usize;
        libc::sigaction(libc::SIGSYS, &action, std::ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_are_not_needed_are_stopped() {
        // In a process of its own: the filter stays.
        // SAFETY: the child makes no call that needs other threads.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let limited = limit_calls(Role::Cpu, &[]).is_ok();
            let opened = limited && std::fs::File::open("/dev/null").is_ok();
            // SAFETY: ends the child.
            unsafe { libc::_exit(if opened { 1 } else { 2 }) };
        }
        let mut status = 0;
        // SAFETY: the status lives during the call.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(libc::WEXITSTATUS(status), i32::from(crate::NOT_STARTED));
    }
}
