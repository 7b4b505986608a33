//! Instructions for system calls in the program: Linux's *syscall user dispatch*
//! (Documentation/admin-guide/syscall-user-dispatch.rst), which turns calls from everywhere but one
//! range of addresses into a signal. The linker's script makes that range of the section
//! `.text.host_calls`, in which all that calls the host is.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ukarch_x86_64::syscall::{CLEARED_FLAGS, entry, set_handler};
use ukplat::syscall::{Handler, TrapError};

use crate::faults::{self, REG_FLAGS, REG_RIP, SignalContext, SignalInfo};
use crate::{clock, sys, vdso};

/// SIGSYS.
pub const SIGNAL: usize = 31;
/// In [`SignalInfo::code`]: by this mechanism, and by no filter.
const SYS_USER_DISPATCH: i32 = 2;
const PR_SET_SYSCALL_USER_DISPATCH: usize = 59;
const PR_SYS_DISPATCH_ON: usize = 1;

/// Of `gregs` of the signal context: arguments of a call in their order, and the others.
const ARGUMENTS: [usize; 6] = [8, 9, 12, 2, 0, 1];
const REG_R11: usize = 3;
const REG_RAX: usize = 13;
const REG_RCX: usize = 14;

unsafe extern "C" {
    static oxikraft_host_calls_start: u8;
    static oxikraft_host_calls_end: u8;
}

/// Addresses of the vDSO, whose functions call the host where the machine has no good clock; set
/// once [`handle_with`] was called.
static VDSO_START: AtomicUsize = AtomicUsize::new(0);
static VDSO_END: AtomicUsize = AtomicUsize::new(0);
/// Whether further CPUs are to have it too.
#[cfg(feature = "smp")]
static WANTED: core::sync::atomic::AtomicBool = core::sync::atomic::AtomicBool::new(false);

/// Makes the program's calls reach a handler, on this CPU and on those that are started later.
///
/// # Errors
/// The host's Linux is older than 5.11, or made without it.
pub fn handle_with(handler: Handler) -> Result<(), TrapError> {
    set_handler(handler);
    let base = clock::VDSO.load(Relaxed);
    if base != 0 {
        // SAFETY: the kernel maps a valid image there and keeps it.
        let vdso = unsafe { vdso::range(base as *const u8) };
        VDSO_START.store(vdso.start, Relaxed);
        VDSO_END.store(vdso.end, Relaxed);
    }
    faults::install_trap(SIGNAL, on_call);
    if !dispatch() {
        return Err(TrapError::Host);
    }
    #[cfg(feature = "smp")]
    WANTED.store(true, core::sync::atomic::Ordering::Release);
    Ok(())
}

/// What a new host thread does, which has nothing of this from the one that made it.
#[cfg(feature = "smp")]
pub fn prepare_cpu() {
    if WANTED.load(core::sync::atomic::Ordering::Acquire) {
        // The first one could.
        dispatch();
    }
}

/// Turns it on for this host thread.
fn dispatch() -> bool {
    // Only the addresses of the linker's symbols are taken.
    let (start, end) = (&raw const oxikraft_host_calls_start, &raw const oxikraft_host_calls_end);
    let (start, len) = (start as usize, end as usize - start as usize);
    // No selector: nothing but the range decides.
    let arguments = [PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, start, len, 0, 0];
    // SAFETY: takes no pointer that is followed.
    unsafe { sys::call(sys::PRCTL, arguments) == 0 }
}

/// The signal of a call that is not the platform's: what the processor does in kernel mode, to the
/// entry that does the rest. The handler is over before the call begins, which may wait.
extern "C" fn on_call(signal: i32, info: *const SignalInfo, context: *mut SignalContext) {
    // SAFETY: the kernel gives both with SA_SIGINFO, alive while the handler runs.
    let (info, context) = unsafe { (&*info, &mut *context) };
    if info.code != SYS_USER_DISPATCH {
        faults::report_signal(signal, info, context);
    }
    let number = info.number as usize;
    let registers = &mut context.registers;
    if (VDSO_START.load(Relaxed)..VDSO_END.load(Relaxed)).contains(&info.address) {
        let arguments = ARGUMENTS.map(|index| registers[index]);
        // SAFETY: what the host's own function wants of it.
        registers[REG_RAX] = unsafe { sys::call(number, arguments) } as usize;
        return;
    }
    registers[REG_RAX] = number;
    registers[REG_RCX] = info.address;
    registers[REG_R11] = registers[REG_FLAGS];
    registers[REG_FLAGS] &= !CLEARED_FLAGS as usize;
    registers[REG_RIP] = entry as *const () as usize;
}
