//! Which CPUs a thread may run on.

use syscall_shim::{Errno, UserPtr, UserSlice, UserWord, syscall};

use crate::table;
use crate::task::Task;

const WORD: usize = size_of::<u64>();

/// The CPUs there are, as bits.
fn all() -> u64 {
    u64::MAX >> (u64::BITS - ukplat::cpu_count().clamp(1, 64) as u32)
}

fn of(task: &Task) -> u64 {
    #[cfg(feature = "threads")]
    if let Some(thread) = task.thread() {
        return thread.affinity() & all();
    }
    let _ = task;
    all()
}

/// The CPUs that a thread may run on, as bits (sched_getaffinity(2)); returns the bytes written.
#[syscall]
fn sched_getaffinity(thread: i32, len: usize, mask: UserWord) -> Result<usize, Errno> {
    let bits = table::with(thread, of)?;
    if len < WORD || !len.is_multiple_of(WORD) {
        return Err(Errno::EINVAL);
    }
    let place: UserPtr<'_, u64> = mask.pointer()?;
    place.write(bits);
    Ok(WORD)
}

/// Sets the CPUs that a thread may run on (sched_setaffinity(2)): all that its scheduler gives it.
/// Threads stay where the scheduler puts them; a mask that leaves some of its CPUs out fails with
/// `EPERM`, one without any of them with `EINVAL`.
#[syscall]
fn sched_setaffinity(thread: i32, len: usize, mask: UserWord) -> Result<(), Errno> {
    let now = table::with(thread, of)?;
    let bytes: UserSlice<'_, u8> = mask.slice(len.min(WORD))?;
    let mut word = [0; WORD];
    for (to, from) in word.iter_mut().zip(bytes.iter()) {
        *to = from;
    }
    match u64::from_le_bytes(word) & now {
        0 => Err(Errno::EINVAL),
        bits if bits == now => Ok(()),
        _ => Err(Errno::EPERM),
    }
}
