//! Handling a fault on another stack than the one it arrived on, and going on after it.

use core::arch::{asm, naked_asm};
use core::mem::offset_of;

use crate::trap::TrapFrame;
use crate::vector::keep_upper_halves;

/// The psABI's red zone: compiled code may use this many bytes below its stack pointer.
pub const RED_ZONE: usize = 128;

/// Flags that code in user mode can change: carry, parity, adjust, zero, sign, trap, direction,
/// overflow, resume, alignment check.
const FLAGS: u64 = 0x5_0dd5;

/// A fault with everything that was in the CPU.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct Faulted {
    /// The interrupted code.
    pub trap: TrapFrame,
    /// For page faults, the address of the access.
    pub address: u64,
    /// What else the platform wants to know.
    pub more: u64,
}

/// Where [`TrapFrame::registers`] are among the registers of `ucontext_t`.
const ORDER: [usize; 15] = [13, 11, 14, 12, 9, 8, 10, 0, 1, 2, 3, 4, 5, 6, 7];
const RSP: usize = 15;
const RIP: usize = 16;
const RFLAGS: usize = 17;

impl Faulted {
    /// The general registers in the order of `gregs` of `ucontext_t`: r8 to r15, rdi, rsi, rbp, rbx,
    /// rdx, rax, rcx, rsp, rip, flags.
    pub fn registers(&self) -> [u64; 18] {
        let mut all = [0; 18];
        for (place, value) in ORDER.iter().zip(self.trap.registers) {
            all[*place] = value;
        }
        (all[RSP], all[RIP], all[RFLAGS]) = (self.trap.rsp, self.trap.rip, self.trap.rflags);
        all
    }

    /// Sets them. Of the flags those change that all code may change.
    pub fn set_registers(&mut self, all: &[u64; 18]) {
        for (place, value) in ORDER.iter().zip(&mut self.trap.registers) {
            *value = all[*place];
        }
        (self.trap.rsp, self.trap.rip) = (all[RSP], all[RIP]);
        self.trap.rflags = self.trap.rflags & !FLAGS | all[RFLAGS] & FLAGS;
    }

    /// Lets `action` handle the fault, given its number, its error code, the address of the access, the
    /// registers, and the address of those of the floating-point unit, both of which it may change.
    /// Returns what it returns.
    pub fn handle(
        &mut self,
        action: impl FnOnce(u64, u64, usize, &mut [u64; 18], usize) -> bool,
    ) -> bool {
        let (mut registers, mut handled) = (self.registers(), false);
        let (number, error, address) = (self.trap.vector, self.trap.error, self.address as usize);
        let floating_point = self.trap.fx.as_mut_ptr() as usize;
        keep_upper_halves(|| {
            handled = action(number, error, address, &mut registers, floating_point)
        });
        self.set_registers(&registers);
        handled
    }

    /// Where a copy lies on the stack that ends at an address.
    pub const fn place_below(top: usize) -> usize {
        (top - size_of::<Self>()) & !15
    }
}

/// What handles a fault.
pub type Then = unsafe extern "C" fn(*mut Faulted) -> !;

/// Copies the fault to [`Faulted::place_below`] the end of a stack and handles it there.
///
/// # Safety
/// The memory below `top` must be a stack that nobody uses below that address; the current stack is
/// not used again.
pub unsafe fn handle_on(faulted: &Faulted, top: usize, then: Then) -> ! {
    let place = Faulted::place_below(top);
    // SAFETY: the caller's promise. It begins as if the code that caused the fault had called it: so
    // the stack is aligned (psABI 3.2.2), and backtraces lead there.
    unsafe {
        core::ptr::copy_nonoverlapping(faulted, place as *mut Faulted, 1);
        asm!(
            "mov rsp, rdi",
            "push qword ptr [rdi + {rip}]",
            "mov rbp, [rdi + {rbp}]",
            "jmp {then}",
            then = in(reg) then,
            in("rdi") place,
            rip = const offset_of!(TrapFrame, rip),
            rbp = const offset_of!(TrapFrame, registers) + 6 * 8,
            options(noreturn),
        )
    }
}

/// Goes on with the interrupted code.
///
/// # Safety
/// The registers must be those of code that may go on; its privilege level must be the current one.
#[unsafe(naked)]
pub unsafe extern "C" fn resume(faulted: *const Faulted) -> ! {
    naked_asm!(
        "mov rsp, rdi",
        "fxrstor64 [rsp]",
        "add rsp, {registers}",
        "pop rax", "pop rbx", "pop rcx", "pop rdx", "pop rsi", "pop rdi", "pop rbp",
        "pop r8", "pop r9", "pop r10", "pop r11", "pop r12", "pop r13", "pop r14", "pop r15",
        "add rsp, 16",
        // Also in user mode: to the same privilege level it is allowed there (Intel SDM volume 2).
        "iretq",
        registers = const offset_of!(TrapFrame, registers),
    )
}

/// Selectors of the code and stack segments in use, for [`resume`].
pub fn segments() -> (u64, u64) {
    let (code, stack): (u64, u64);
    // SAFETY: reading them has no effect.
    unsafe {
        asm!("mov {:e}, cs", "mov {:e}, ss", out(reg) code, out(reg) stack,
            options(nomem, nostack, preserves_flags));
    }
    (code & 0xffff, stack & 0xffff)
}

const _: () = {
    assert!(offset_of!(Faulted, trap) == 0);
    assert!(size_of::<Faulted>().is_multiple_of(16));
};

#[cfg(test)]
mod tests {
    use super::*;

    fn faulted() -> Faulted {
        let (cs, ss) = segments();
        let trap = TrapFrame {
            fx: [0; 512],
            registers: core::array::from_fn(|i| i as u64 + 1),
            vector: 14,
            error: 6,
            rip: 100,
            cs,
            rflags: 0x202,
            rsp: 200,
            ss,
        };
        Faulted { trap, address: 5, more: 0 }
    }

    #[test]
    fn registers_in_the_order_of_contexts() {
        let mut faulted = faulted();
        let mut all = faulted.registers();
        // In a frame: rax, rbx, rcx, rdx, rsi, rdi, rbp, r8 and so on.
        assert_eq!((all[13], all[11], all[14], all[12]), (1, 2, 3, 4));
        assert_eq!((all[9], all[8], all[10], all[0], all[7]), (5, 6, 7, 8, 15));
        assert_eq!((all[15], all[16], all[17]), (200, 100, 0x202));
        all[13] = 77;
        all[17] = 1 | 1 << 9 | 3 << 12;
        faulted.set_registers(&all);
        assert_eq!((faulted.trap.registers[0], faulted.trap.rflags), (77, 0x203));
    }

    #[test]
    fn code_goes_on_after_it_was_handled_elsewhere() {
        unsafe extern "C" fn then(faulted: *mut Faulted) -> ! {
            // SAFETY: `handle_on` put it there.
            let faulted = unsafe { &mut *faulted };
            assert_eq!((faulted.address, faulted.trap.registers[3]), (5, 4));
            faulted.trap.registers[0] = 42;
            // SAFETY: the registers are those of the test, which waits for this.
            unsafe { resume(faulted) }
        }
        let mut stack = vec![0u128; 4096];
        let top = stack.as_mut_ptr_range().end as usize;
        let mut faulted = faulted();
        let mut fx = [0u128; 32];
        let (result, kept): (u64, u64);
        // SAFETY: the code stores where it goes on, and everything that is the compiler's to keep is
        // named as changed.
        unsafe {
            asm!(
                "fxsave64 [{fx}]",
                "mov [rdi + {rsp_at}], rsp",
                "mov [rdi + {rbp_at}], rbp",
                "mov [rdi + {rbx_at}], rbx",
                "lea rax, [rip + 2f]",
                "mov [rdi + {rip_at}], rax",
                "and rsp, -16",
                "push rax",
                "jmp {go}",
                "2:",
                fx = in(reg) &mut fx,
                go = sym go,
                rsp_at = const offset_of!(TrapFrame, rsp),
                rip_at = const offset_of!(TrapFrame, rip),
                rbp_at = const offset_of!(TrapFrame, registers) + 6 * 8,
                rbx_at = const offset_of!(TrapFrame, registers) + 8,
                inout("rdi") &raw mut faulted => _,
                inout("rsi") top => _,
                inout("rdx") fx.as_mut_ptr() => _,
                out("rax") result,
                out("r12") kept,
                out("r13") _, out("r14") _, out("r15") _,
                clobber_abi("C"),
            );
        }
        unsafe extern "C" fn go(faulted: *mut Faulted, top: usize, fx: *const u8) -> ! {
            // SAFETY: the test's own, and the stack is unused.
            unsafe {
                core::ptr::copy_nonoverlapping(fx, (*faulted).trap.fx.as_mut_ptr(), 512);
                handle_on(&*faulted, top, then)
            }
        }
        assert_eq!((result, kept), (42, 12));
    }
}
