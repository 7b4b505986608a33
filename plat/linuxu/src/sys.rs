//! Raw system calls (Linux x86-64; numbers from arch/x86/entry/syscalls/syscall_64.tbl).

use core::arch::asm;

pub const READ: usize = 0;
pub const WRITE: usize = 1;
pub const OPEN: usize = 2;
pub const CLOSE: usize = 3;
pub const FSTAT: usize = 5;
pub const POLL: usize = 7;
pub const MMAP: usize = 9;
pub const MPROTECT: usize = 10;
pub const MUNMAP: usize = 11;
pub const RT_SIGACTION: usize = 13;
pub const RT_SIGPROCMASK: usize = 14;
pub const MREMAP: usize = 25;
pub const GETRLIMIT: usize = 97;
pub const SIGALTSTACK: usize = 131;
#[cfg(feature = "trap")]
pub const PRCTL: usize = 157;
pub const ARCH_PRCTL: usize = 158;
#[cfg(feature = "smp")]
pub const GETTID: usize = 186;
#[cfg(feature = "smp")]
pub const FUTEX: usize = 202;
#[cfg(feature = "smp")]
pub const TGKILL: usize = 234;
pub const TIMER_CREATE: usize = 222;
pub const TIMER_SETTIME: usize = 223;
pub const CLOCK_GETTIME: usize = 228;
pub const EXIT_GROUP: usize = 231;
pub const PPOLL: usize = 271;
pub const GETRANDOM: usize = 318;
#[cfg(feature = "smp")]
pub const SCHED_YIELD: usize = 24;

pub const EINTR: isize = -4;
pub const EAGAIN: isize = -11;
pub const ENOMEM: isize = -12;

pub const CLOCK_REALTIME: usize = 0;
pub const CLOCK_MONOTONIC: usize = 1;

/// `struct timespec` of 64-bit Linux.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Timespec {
    pub seconds: i64,
    pub nanoseconds: i64,
}

impl Timespec {
    pub const fn from_ns(ns: u64) -> Self {
        Self { seconds: (ns / 1_000_000_000) as i64, nanoseconds: (ns % 1_000_000_000) as i64 }
    }

    pub const fn as_ns(self) -> u64 {
        self.seconds as u64 * 1_000_000_000 + self.nanoseconds as u64
    }
}

/// Makes a system call; negative results are `-errno`.
///
/// # Safety
/// As the call itself: pointers must be valid for what the kernel does with them.
// What is in this section the host takes for its own, see `trap`.
#[cfg_attr(feature = "trap", inline(never), unsafe(link_section = ".text.host_calls"))]
#[cfg_attr(not(feature = "trap"), inline)]
pub unsafe fn call(number: usize, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the kernel keeps all registers but rax, rcx and r11; memory effects are the
    // caller's promise.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Ends the process.
pub fn exit_group(code: u8) -> ! {
    loop {
        // SAFETY: takes no pointer and does not return.
        unsafe { call(EXIT_GROUP, [code.into(), 0, 0, 0, 0, 0]) };
    }
}

/// Maps `len` bytes of zeroed memory, readable and writable, committed when touched.
pub fn map_memory(len: usize) -> Option<usize> {
    const PROT_READ_WRITE: usize = 3;
    const PRIVATE_ANONYMOUS_NORESERVE: usize = 0x2 | 0x20 | 0x4000;
    // SAFETY: without an address hint the kernel takes unused address space.
    let result = unsafe {
        call(MMAP, [0, len, PROT_READ_WRITE, PRIVATE_ANONYMOUS_NORESERVE, usize::MAX, 0])
    };
    (result > 0).then_some(result as usize)
}
