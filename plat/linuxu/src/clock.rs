//! Clocks: `clock_gettime` through the vDSO, by system call until it is found.

use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use ukplat::{BootInfo, InitError};

use crate::sys::{self, Timespec};
use crate::vdso;

/// Address of the vDSO image from the auxiliary vector; 0 when the kernel gave none.
pub static VDSO: AtomicUsize = AtomicUsize::new(0);

type ClockGettime = unsafe extern "C" fn(i32, *mut Timespec) -> i32;
static CLOCK_GETTIME: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Boot phase `clock`: finds the vDSO's clock. Without one, system calls serve.
///
/// # Errors
/// None.
pub fn init_clock(_boot: &'static BootInfo) -> Result<(), InitError> {
    let base = VDSO.load(Ordering::Relaxed);
    if base != 0 {
        // SAFETY: the kernel maps a valid ELF image at AT_SYSINFO_EHDR and keeps it.
        let function = unsafe { vdso::symbol(base as *const u8, b"__vdso_clock_gettime") };
        CLOCK_GETTIME.store(function.cast_mut(), Ordering::Relaxed);
    }
    Ok(())
}

fn read(clock: usize) -> u64 {
    let mut time = Timespec::default();
    let function = CLOCK_GETTIME.load(Ordering::Relaxed);
    if !function.is_null() {
        // SAFETY: the pointer is the vDSO's function of this C signature (vdso(7)).
        let clock_gettime = unsafe { core::mem::transmute::<*mut (), ClockGettime>(function) };
        // SAFETY: the function writes one timespec.
        if unsafe { clock_gettime(clock as i32, &raw mut time) } == 0 {
            return time.as_ns();
        }
    }
    // SAFETY: the kernel writes one timespec.
    unsafe { sys::call(sys::CLOCK_GETTIME, [clock, &raw mut time as usize, 0, 0, 0, 0]) };
    time.as_ns()
}

pub fn monotonic_ns() -> u64 {
    read(sys::CLOCK_MONOTONIC)
}

pub fn wall_ns() -> u64 {
    read(sys::CLOCK_REALTIME)
}
