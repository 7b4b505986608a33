//! Memory: values of `asm-generic/mman-common.h`, `linux/mman.h`, with those of x86-64.

use core::fmt::{self, Write};

use super::{Names, constants, flags, named};

named! {
    /// `PROT_READ` and so on.
    Protection(u32) by protection;
    /// Flags of mmap(2).
    MapFlags(i32) by |flags, out| Names::new(out).bits((flags as u32).into(), MAP_FLAGS);
}

flags! {
    /// Flags of mremap(2).
    RemapFlags(u32) {
        MREMAP_MAYMOVE = 1,
        MREMAP_FIXED = 2,
        MREMAP_DONTUNMAP = 4,
    }
    /// Flags of msync(2).
    SyncFlags(u32) {
        MS_ASYNC = 1,
        MS_INVALIDATE = 2,
        MS_SYNC = 4,
    }
    /// Flags of mlockall(2).
    LockFlags(u32) {
        MCL_CURRENT = 1,
        MCL_FUTURE = 2,
        MCL_ONFAULT = 4,
    }
    /// Flags of mlock2(2).
    LockRangeFlags(u32) {
        MLOCK_ONFAULT = 1,
    }
}

constants! {
    /// Advice of madvise(2).
    MemoryAdvice(i32) {
        MADV_NORMAL = 0,
        MADV_RANDOM = 1,
        MADV_SEQUENTIAL = 2,
        MADV_WILLNEED = 3,
        MADV_DONTNEED = 4,
        MADV_FREE = 8,
        MADV_REMOVE = 9,
        MADV_DONTFORK = 10,
        MADV_DOFORK = 11,
        MADV_MERGEABLE = 12,
        MADV_UNMERGEABLE = 13,
        MADV_HUGEPAGE = 14,
        MADV_NOHUGEPAGE = 15,
        MADV_DONTDUMP = 16,
        MADV_DODUMP = 17,
        MADV_WIPEONFORK = 18,
        MADV_KEEPONFORK = 19,
        MADV_COLD = 20,
        MADV_PAGEOUT = 21,
        MADV_POPULATE_READ = 22,
        MADV_POPULATE_WRITE = 23,
    }
}

fn protection(protection: u32, out: &mut dyn Write) -> fmt::Result {
    if protection == 0 {
        return out.write_str("PROT_NONE");
    }
    let names = [(1, "PROT_READ"), (2, "PROT_WRITE"), (4, "PROT_EXEC")];
    Names::new(out).bits(protection.into(), &names)
}

const MAP_FLAGS: &[(u64, &str)] = &[
    (3, "MAP_SHARED_VALIDATE"),
    (1, "MAP_SHARED"),
    (2, "MAP_PRIVATE"),
    (0x10, "MAP_FIXED"),
    (0x20, "MAP_ANONYMOUS"),
    (0x40, "MAP_32BIT"),
    (0x100, "MAP_GROWSDOWN"),
    (0x2000, "MAP_LOCKED"),
    (0x4000, "MAP_NORESERVE"),
    (0x8000, "MAP_POPULATE"),
    (0x1_0000, "MAP_NONBLOCK"),
    (0x2_0000, "MAP_STACK"),
    (0x4_0000, "MAP_HUGETLB"),
    (0x8_0000, "MAP_SYNC"),
    (0x10_0000, "MAP_FIXED_NOREPLACE"),
];
