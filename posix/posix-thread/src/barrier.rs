//! Memory barriers on all CPUs.

use syscall_shim::{BarrierCommand, Errno, syscall};

// Commands (`linux/membarrier.h`).
const QUERY: i32 = 0;
const GLOBAL: i32 = 1;
const PRIVATE_EXPEDITED: i32 = 8;
const REGISTER_PRIVATE_EXPEDITED: i32 = 16;

/// Returns when every thread that ran has passed a memory barrier (membarrier(2)): when every CPU has
/// switched threads or was idle.
#[syscall]
fn membarrier(#[trace(BarrierCommand)] command: i32, flags: u32) -> Result<i32, Errno> {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    match command {
        QUERY => return Ok(GLOBAL | PRIVATE_EXPEDITED | REGISTER_PRIVATE_EXPEDITED),
        GLOBAL | PRIVATE_EXPEDITED => uklock::rcu::synchronize(),
        REGISTER_PRIVATE_EXPEDITED => {}
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}
