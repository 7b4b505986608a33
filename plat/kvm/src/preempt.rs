//! Preemption: from the interrupt's own stack to the stack of the interrupted code.

use core::arch::naked_asm;
use core::mem::offset_of;

use ukarch_x86_64::trap::TrapFrame;
use ukarch_x86_64::vector;
use ukplat::preempt;

/// The psABI's red zone: compiled code may use this many bytes below its stack pointer.
const RED_ZONE: u64 = 128;
/// Flags with interrupts disabled and nothing else set; bit 1 is always 1.
const FLAGS: u64 = 1 << 1;
const INTERRUPTS_ENABLED: u64 = 1 << 9;

unsafe extern "C" {
    fn ukarch_trap_return();
}

/// Called at the end of an interrupt. When preemption is due, the interrupt returns to [`enter`]
/// on the stack of the interrupted code instead of to that code, with a copy of the frame there:
/// the interrupt's stack is free again before other flows run.
#[inline]
pub fn at_end_of_interrupt(frame: &mut TrapFrame) {
    if preempt::is_due() && frame.rflags & INTERRUPTS_ENABLED != 0 {
        divert(frame);
    }
}

fn divert(frame: &mut TrapFrame) {
    let below = frame.rsp - RED_ZONE - size_of::<TrapFrame>() as u64;
    let copy = below & !15;
    // SAFETY: the memory is on the interrupted stack below everything in use. Where the stack ends
    // before, the write hits its guard page and is reported as the overflow that it is.
    unsafe { core::ptr::copy_nonoverlapping(frame, copy as *mut TrapFrame, 1) };
    frame.rip = enter as *const () as u64;
    frame.rsp = copy;
    frame.rflags = FLAGS;
}

/// Runs with the stack pointer at a frame that [`divert`] made, all other registers as the
/// interrupted code had them, interrupts disabled.
#[unsafe(naked)]
unsafe extern "C" fn enter() {
    naked_asm!(
        // A frame of a call from the interrupted instruction, for backtraces.
        "push qword ptr [rsp + {rip}]",
        "push rbp",
        "mov rbp, rsp",
        "call {reschedule}",
        "add rsp, 16",
        "jmp {back}",
        rip = const offset_of!(TrapFrame, rip),
        reschedule = sym reschedule,
        back = sym ukarch_trap_return,
    )
}

extern "C" fn reschedule() {
    vector::keep_upper_halves(preempt::reschedule);
}

// The stack stays aligned for the call: frame and the two pushed words.
const _: () = assert!(size_of::<TrapFrame>().is_multiple_of(16));
