//! What the system has and uses: memory, time since boot.

use syscall_shim::{Plain, UserOut, syscall};

/// Memory of all heaps, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// All of it.
    pub total: usize,
    /// What can be allocated.
    pub free: usize,
    /// The rest.
    pub used: usize,
}

/// Memory of all heaps.
pub fn memory() -> Memory {
    let mut memory = Memory { total: 0, free: 0, used: 0 };
    for heap in ukalloc::heaps() {
        let stats = heap.alloc.stats();
        memory.total += stats.total_memory;
        memory.free += stats.available;
        memory.used += stats.total_memory.saturating_sub(stats.available);
    }
    memory
}

/// Nanoseconds since the first instruction.
pub fn uptime_ns() -> u64 {
    let entry = ukplat::BootInfo::get().map_or(0, |boot| boot.entry_ticks);
    ukplat::ticks_to_ns(ukplat::ticks().saturating_sub(entry))
}

/// `struct sysinfo`; sizes in bytes.
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
struct SysInfo {
    uptime_seconds: i64,
    loads: [u64; 3],
    total: u64,
    free: u64,
    shared: u64,
    buffers: u64,
    swap: [u64; 2],
    processes: u16,
    #[trace(_)]
    padding: [u16; 3],
    high: [u64; 2],
    unit: u32,
    #[trace(_)]
    end: [u32; 1],
}

/// See sysinfo(2).
#[syscall]
fn sysinfo(place: UserOut<SysInfo>) {
    let memory = memory();
    place.write(SysInfo {
        uptime_seconds: (uptime_ns() / 1_000_000_000) as i64,
        loads: [0; 3],
        total: memory.total as u64,
        free: memory.free as u64,
        shared: 0,
        buffers: 0,
        swap: [0; 2],
        processes: 1,
        padding: [0; 3],
        high: [0; 2],
        unit: 1,
        end: [0],
    });
}
