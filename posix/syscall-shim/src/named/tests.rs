//! The names of numbers: each table at its ends, together, and beyond.

use super::*;
use crate::Scalar;

/// What each word is printed as.
fn shown<T: Scalar, const N: usize>(words: [i64; N]) -> [String; N] {
    words.map(|word| {
        let mut text = String::new();
        T::from_word(word as usize).unwrap().trace(&mut text).unwrap();
        text
    })
}

#[test]
fn files_are_opened_with() {
    assert_eq!(
        shown::<FileFlags, _>([0, 0o102, 0o4_010_001, 0o10_003, 0o20_200_002 | 1 << 31]),
        [
            "O_RDONLY",
            "O_RDWR|O_CREAT",
            "O_WRONLY|O_SYNC",
            "3|O_DSYNC",
            "O_RDWR|O_TMPFILE|0x80000000"
        ]
    );
    assert_eq!(shown::<OpenedFlags, _>([0, 0o2_004_000]), ["0", "O_NONBLOCK|O_CLOEXEC"]);
    assert_eq!(shown::<Mode, _>([420, 0, 0o41777]), ["0644", "00", "041777"]);
    assert_eq!(
        shown::<FileMode, _>([0o100_644, 0o041_777, 0o120_777, 0o644, 0o140_600]),
        ["S_IFREG|0644", "S_IFDIR|01777", "S_IFLNK|0777", "0644", "S_IFSOCK|0600"]
    );
    assert_eq!(
        shown::<FileMode, _>([0o010_600, 0o020_620, 0o060_660]),
        ["S_IFIFO|0600", "S_IFCHR|0620", "S_IFBLK|0660"]
    );
    assert_eq!(shown::<AccessMode, _>([0, 4, 7, 8]), ["F_OK", "R_OK", "R_OK|W_OK|X_OK", "0x8"]);
    assert_eq!(shown::<Directory, _>([-100, 3, -1]), ["AT_FDCWD", "3", "-1"]);
}

#[test]
fn flags_of_files() {
    assert_eq!(
        shown::<AtFlags, _>([0, 0x1100, 0x2000, 1]),
        ["0", "AT_SYMLINK_NOFOLLOW|AT_EMPTY_PATH", "AT_STATX_FORCE_SYNC", "0x1"]
    );
    assert_eq!(shown::<AccessFlags, _>([0x200]), ["AT_EACCESS"]);
    assert_eq!(shown::<UnlinkFlags, _>([0x200]), ["AT_REMOVEDIR"]);
    assert_eq!(shown::<RenameHow, _>([3]), ["RENAME_NOREPLACE|RENAME_EXCHANGE"]);
    assert_eq!(
        shown::<StatxMask, _>([0xfff, 0x200]),
        ["STATX_BASIC_STATS|STATX_BTIME", "STATX_SIZE"]
    );
    assert_eq!(shown::<TransferFlags, _>([0x18]), ["RWF_NOWAIT|RWF_APPEND"]);
    assert_eq!(shown::<AllocateMode, _>([3]), ["FALLOC_FL_KEEP_SIZE|FALLOC_FL_PUNCH_HOLE"]);
    assert_eq!(shown::<SyncRangeFlags, _>([2]), ["SYNC_FILE_RANGE_WRITE"]);
    assert_eq!(shown::<CloseRangeFlags, _>([4]), ["CLOSE_RANGE_CLOEXEC"]);
    assert_eq!(shown::<MemoryFileFlags, _>([3]), ["MFD_CLOEXEC|MFD_ALLOW_SEALING"]);
    assert_eq!(shown::<Seals, _>([0x11]), ["F_SEAL_SEAL|F_SEAL_FUTURE_WRITE"]);
    assert_eq!(shown::<MountOptions, _>([0x1001]), ["MS_RDONLY|MS_BIND"]);
    assert_eq!(shown::<UnmountFlags, _>([10]), ["MNT_DETACH|UMOUNT_NOFOLLOW"]);
    assert_eq!(shown::<StatusFlags, _>([0x1020]), ["ST_VALID|ST_RELATIME"]);
    assert_eq!(shown::<DescriptorFlags, _>([0, 1]), ["0", "FD_CLOEXEC"]);
}

#[test]
fn what_is_done_with_files() {
    assert_eq!(
        shown::<Whence, _>([0, 1, 2, 4, 5]),
        ["SEEK_SET", "SEEK_CUR", "SEEK_END", "SEEK_HOLE", "5"]
    );
    assert_eq!(
        shown::<FcntlCommand, _>([0, 4, 6, 38, 1030, 1034, 99]),
        ["F_DUPFD", "F_SETFL", "F_SETLK", "F_OFD_SETLKW", "F_DUPFD_CLOEXEC", "F_GET_SEALS", "99"]
    );
    assert_eq!(shown::<LockType, _>([0, 1, 2]), ["F_RDLCK", "F_WRLCK", "F_UNLCK"]);
    assert_eq!(
        shown::<IoctlRequest, _>([0x5401, 0x5413, 0x541b, 0x5421, 0x8008_1272, 0xabcd]),
        ["TCGETS", "TIOCGWINSZ", "FIONREAD", "FIONBIO", "BLKGETSIZE64", "0xabcd"]
    );
    assert_eq!(shown::<FlockOperation, _>([6, 8]), ["LOCK_EX|LOCK_NB", "LOCK_UN"]);
    assert_eq!(shown::<FileAdvice, _>([0, 5]), ["POSIX_FADV_NORMAL", "POSIX_FADV_NOREUSE"]);
}

#[test]
fn memory() {
    assert_eq!(shown::<Protection, _>([0, 5]), ["PROT_NONE", "PROT_READ|PROT_EXEC"]);
    assert_eq!(
        shown::<MapFlags, _>([0x22, 3, 0, 1 << 30]),
        ["MAP_PRIVATE|MAP_ANONYMOUS", "MAP_SHARED_VALIDATE", "0", "0x40000000"]
    );
    assert_eq!(shown::<RemapFlags, _>([3]), ["MREMAP_MAYMOVE|MREMAP_FIXED"]);
    assert_eq!(shown::<SyncFlags, _>([4, 3]), ["MS_SYNC", "MS_ASYNC|MS_INVALIDATE"]);
    assert_eq!(shown::<LockFlags, _>([3]), ["MCL_CURRENT|MCL_FUTURE"]);
    assert_eq!(shown::<LockRangeFlags, _>([1]), ["MLOCK_ONFAULT"]);
    assert_eq!(
        shown::<MemoryAdvice, _>([0, 4, 8, 14, 100]),
        ["MADV_NORMAL", "MADV_DONTNEED", "MADV_FREE", "MADV_HUGEPAGE", "100"]
    );
    assert_eq!(shown::<Address, _>([0, 0x1000]), ["NULL", "0x1000"]);
    assert_eq!(shown::<Hexadecimal, _>([0, 0xef53]), ["0x0", "0xef53"]);
}

#[test]
fn signals() {
    assert_eq!(
        shown::<Signal, _>([0, 9, 31, 34, 65, -1]),
        ["0", "SIGKILL", "SIGSYS", "SIGRT_2", "65", "-1"]
    );
    assert_eq!(
        shown::<SignalSet, _>([0, 0x4002, 3 << 32, -1, !0x4002]),
        ["[]", "[SIGINT SIGTERM]", "[SIGRT_1 SIGRT_2]", "~[]", "~[SIGINT SIGTERM]"]
    );
    assert_eq!(shown::<Handler, _>([0, 1, 0x4000]), ["SIG_DFL", "SIG_IGN", "0x4000"]);
    assert_eq!(shown::<MaskHow, _>([0, 1, 2, 3]), ["SIG_BLOCK", "SIG_UNBLOCK", "SIG_SETMASK", "3"]);
    assert_eq!(shown::<Notify, _>([0, 1, 4]), ["SIGEV_SIGNAL", "SIGEV_NONE", "SIGEV_THREAD_ID"]);
    assert_eq!(shown::<SignalCode, _>([0, -6, 0x80]), ["SI_USER", "SI_TKILL", "SI_KERNEL"]);
    assert_eq!(
        shown::<ActionFlags, _>([0, 0x1400_0004, 0xc000_0000 | -1 << 32]),
        ["0", "SA_SIGINFO|SA_RESTORER|SA_RESTART", "SA_NODEFER|SA_RESETHAND"]
    );
    assert_eq!(shown::<StackFlags, _>([2, 1]), ["SS_DISABLE", "SS_ONSTACK"]);
    assert_eq!(shown::<SignalFdFlags, _>([0o2_004_000]), ["SFD_NONBLOCK|SFD_CLOEXEC"]);
}

#[test]
fn time() {
    assert_eq!(shown::<ClockId, _>([0, 11, 12, -6]), ["CLOCK_REALTIME", "CLOCK_TAI", "12", "-6"]);
    assert_eq!(shown::<IntervalTimer, _>([0, 2]), ["ITIMER_REAL", "ITIMER_PROF"]);
    assert_eq!(shown::<TimerFlags, _>([0, 1]), ["0", "TIMER_ABSTIME"]);
    assert_eq!(shown::<TimerFdFlags, _>([0o4000]), ["TFD_NONBLOCK"]);
    assert_eq!(shown::<TimerFdSetFlags, _>([3]), ["TFD_TIMER_ABSTIME|TFD_TIMER_CANCEL_ON_SET"]);
}

#[test]
fn threads() {
    assert_eq!(
        shown::<FutexOperation, _>([0x80, 1, 0x189, 63]),
        [
            "FUTEX_WAIT|FUTEX_PRIVATE_FLAG",
            "FUTEX_WAKE",
            "FUTEX_WAIT_BITSET|FUTEX_PRIVATE_FLAG|FUTEX_CLOCK_REALTIME",
            "63"
        ]
    );
    assert_eq!(
        shown::<Policy, _>([0, 2, 0x4000_0001, 9]),
        ["SCHED_OTHER", "SCHED_RR", "SCHED_FIFO|SCHED_RESET_ON_FORK", "9"]
    );
    assert_eq!(shown::<ArchCode, _>([0x1002, 0x2001]), ["ARCH_SET_FS", "0x2001"]);
    assert_eq!(shown::<CloneFlags, _>([0x1_0300]), ["CLONE_VM|CLONE_FS|CLONE_THREAD"]);
    assert_eq!(shown::<BarrierCommand, _>([8]), ["MEMBARRIER_CMD_PRIVATE_EXPEDITED"]);
}

#[test]
fn processes() {
    assert_eq!(
        shown::<PrctlOperation, _>([15, 38, 1000]),
        ["PR_SET_NAME", "PR_SET_NO_NEW_PRIVS", "1000"]
    );
    assert_eq!(shown::<Resource, _>([0, 7, 16]), ["RLIMIT_CPU", "RLIMIT_NOFILE", "16"]);
    assert_eq!(shown::<LimitValue, _>([-1, 1024]), ["RLIM_INFINITY", "1024"]);
    assert_eq!(shown::<UsageWho, _>([-1, 0]), ["RUSAGE_CHILDREN", "RUSAGE_SELF"]);
    assert_eq!(shown::<PriorityWhich, _>([0, 2]), ["PRIO_PROCESS", "PRIO_USER"]);
    assert_eq!(shown::<WaitKind, _>([0, 3]), ["P_ALL", "P_PIDFD"]);
    assert_eq!(shown::<WaitOptions, _>([1, 0x4000_0004]), ["WNOHANG", "WEXITED|__WALL"]);
}

#[test]
fn waiting_for_files() {
    assert_eq!(
        shown::<PollEvents, _>([0, 5, 0x2010]),
        ["0", "POLLIN|POLLOUT", "POLLHUP|POLLRDHUP"]
    );
    assert_eq!(
        shown::<EpollEvents, _>([0x8000_0001, 1 << 28]),
        ["EPOLLIN|EPOLLET", "EPOLLEXCLUSIVE"]
    );
    assert_eq!(
        shown::<EpollOperation, _>([1, 2, 3]),
        ["EPOLL_CTL_ADD", "EPOLL_CTL_DEL", "EPOLL_CTL_MOD"]
    );
    assert_eq!(shown::<EpollFlags, _>([0o2_000_000]), ["EPOLL_CLOEXEC"]);
    assert_eq!(shown::<EventFdFlags, _>([0o4001]), ["EFD_SEMAPHORE|EFD_NONBLOCK"]);
    assert_eq!(shown::<RandomFlags, _>([5]), ["GRND_NONBLOCK|GRND_INSECURE"]);
}
