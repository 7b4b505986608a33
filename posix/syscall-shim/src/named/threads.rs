//! Threads: values of `linux/sched.h`, `linux/futex.h`, `asm/prctl.h`, `linux/membarrier.h`.

use core::fmt::{self, Write};

use super::{Names, constants, flags, named, one};

named! {
    /// Operations of futex(2), with their flags.
    FutexOperation(u32) by futex_operation;
    /// Scheduling policies, with `SCHED_RESET_ON_FORK`.
    Policy(u32) by policy;
}

constants! {
    /// Codes of arch_prctl(2).
    ArchCode(i32) {
        ARCH_SET_GS = 0x1001,
        ARCH_SET_FS = 0x1002,
        ARCH_GET_FS = 0x1003,
        ARCH_GET_GS = 0x1004,
        ARCH_GET_CPUID = 0x1011,
        ARCH_SET_CPUID = 0x1012,
    }
}

flags! {
    /// Flags of clone(2); the lowest byte is a signal.
    CloneFlags(u64) {
        CLONE_VM = 0x100,
        CLONE_FS = 0x200,
        CLONE_FILES = 0x400,
        CLONE_SIGHAND = 0x800,
        CLONE_PIDFD = 0x1000,
        CLONE_PTRACE = 0x2000,
        CLONE_VFORK = 0x4000,
        CLONE_PARENT = 0x8000,
        CLONE_THREAD = 0x1_0000,
        CLONE_NEWNS = 0x2_0000,
        CLONE_SYSVSEM = 0x4_0000,
        CLONE_SETTLS = 0x8_0000,
        CLONE_PARENT_SETTID = 0x10_0000,
        CLONE_CHILD_CLEARTID = 0x20_0000,
        CLONE_DETACHED = 0x40_0000,
        CLONE_UNTRACED = 0x80_0000,
        CLONE_CHILD_SETTID = 0x100_0000,
        CLONE_NEWCGROUP = 0x200_0000,
        CLONE_NEWUTS = 0x400_0000,
        CLONE_NEWIPC = 0x800_0000,
        CLONE_NEWUSER = 0x1000_0000,
        CLONE_NEWPID = 0x2000_0000,
        CLONE_NEWNET = 0x4000_0000,
        CLONE_IO = 0x8000_0000,
    }
    /// Commands of membarrier(2).
    BarrierCommand(u32) {
        MEMBARRIER_CMD_GLOBAL = 1,
        MEMBARRIER_CMD_GLOBAL_EXPEDITED = 2,
        MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED = 4,
        MEMBARRIER_CMD_PRIVATE_EXPEDITED = 8,
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED = 16,
        MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE = 32,
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE = 64,
    }
}

fn futex_operation(operation: u32, out: &mut dyn Write) -> fmt::Result {
    const PRIVATE: u32 = 128;
    const REALTIME: u32 = 256;
    const NAMES: &[(i64, &str)] = &[
        (0, "FUTEX_WAIT"),
        (1, "FUTEX_WAKE"),
        (2, "FUTEX_FD"),
        (3, "FUTEX_REQUEUE"),
        (4, "FUTEX_CMP_REQUEUE"),
        (5, "FUTEX_WAKE_OP"),
        (6, "FUTEX_LOCK_PI"),
        (7, "FUTEX_UNLOCK_PI"),
        (8, "FUTEX_TRYLOCK_PI"),
        (9, "FUTEX_WAIT_BITSET"),
        (10, "FUTEX_WAKE_BITSET"),
        (11, "FUTEX_WAIT_REQUEUE_PI"),
        (12, "FUTEX_CMP_REQUEUE_PI"),
        (13, "FUTEX_LOCK_PI2"),
    ];
    one((operation & !(PRIVATE | REALTIME)).into(), NAMES, out)?;
    with_flags(
        operation,
        &[(PRIVATE, "FUTEX_PRIVATE_FLAG"), (REALTIME, "FUTEX_CLOCK_REALTIME")],
        out,
    )
}

fn policy(policy: u32, out: &mut dyn Write) -> fmt::Result {
    const RESET_ON_FORK: u32 = 0x4000_0000;
    const NAMES: &[(i64, &str)] = &[
        (0, "SCHED_OTHER"),
        (1, "SCHED_FIFO"),
        (2, "SCHED_RR"),
        (3, "SCHED_BATCH"),
        (5, "SCHED_IDLE"),
        (6, "SCHED_DEADLINE"),
    ];
    one((policy & !RESET_ON_FORK).into(), NAMES, out)?;
    with_flags(policy, &[(RESET_ON_FORK, "SCHED_RESET_ON_FORK")], out)
}

/// The names of bits, behind another name.
fn with_flags(value: u32, flags: &[(u32, &str)], out: &mut dyn Write) -> fmt::Result {
    let mut names = Names { out, any: true };
    let mut set = flags.iter().filter(|(bit, _)| value & bit != 0);
    set.try_for_each(|(_, name)| names.put(format_args!("{name}")))
}
