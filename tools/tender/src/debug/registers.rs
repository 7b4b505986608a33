//! Registers as gdb has them, and as KVM does.

use gdbstub_arch::x86::reg::{F80, X86_64CoreRegs, X86SegmentRegs, X87FpuInternalRegs};

use super::Registers;
use crate::stub::{USER_CODE, USER_DATA};

/// Flags that user mode can change: results of arithmetic, direction, alignment checks,
/// identification.
const USER_FLAGS: u64 = 0x24_0cd5;
/// The trap flag, which is ours while a debugger is there.
pub const TRAP_FLAG: u64 = 1 << 8;

/// For gdb.
pub fn to_gdb(from: &Registers) -> X86_64CoreRegs {
    let (r, f) = (&from.general, &from.fpu);
    let fpu = X87FpuInternalRegs {
        fctrl: f.fcw.into(),
        fstat: f.fsw.into(),
        ftag: f.ftwx.into(),
        fop: f.last_opcode.into(),
        fioff: f.last_ip as u32,
        fooff: f.last_dp as u32,
        ..X87FpuInternalRegs::default()
    };
    let (cs, data) = (USER_CODE.into(), USER_DATA.into());
    X86_64CoreRegs {
        regs: [
            r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11,
            r.r12, r.r13, r.r14, r.r15,
        ],
        eflags: (r.rflags & !TRAP_FLAG) as u32,
        rip: r.rip,
        segments: X86SegmentRegs { cs, ss: data, ds: data, es: data, fs: data, gs: data },
        st: f.fpr.map(|st| {
            let mut short = F80::default();
            short.copy_from_slice(&st[..10]);
            short
        }),
        fpu,
        xmm: f.xmm.map(u128::from_le_bytes),
        mxcsr: f.mxcsr,
    }
}

/// Takes from gdb what user mode could have changed itself.
pub fn from_gdb(to: &mut Registers, from: &X86_64CoreRegs) {
    let r = &mut to.general;
    [
        r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11, r.r12,
        r.r13, r.r14, r.r15,
    ] = from.regs;
    r.rip = from.rip;
    r.rflags = r.rflags & !USER_FLAGS | u64::from(from.eflags) & USER_FLAGS;
    let f = &mut to.fpu;
    f.fcw = from.fpu.fctrl as u16;
    f.fsw = from.fpu.fstat as u16;
    f.ftwx = from.fpu.ftag as u8;
    for (to, from) in f.fpr.iter_mut().zip(&from.st) {
        to[..10].copy_from_slice(from);
    }
    f.xmm = from.xmm.map(u128::to_le_bytes);
    // Other bits are reserved: loading them would be an exception of the host's.
    f.mxcsr = from.mxcsr & 0xffff;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gdb_writes_comes_back() {
        let mut registers = Registers::default();
        registers.general.rflags = 2;
        let mut want = to_gdb(&registers);
        want.regs = std::array::from_fn(|i| i as u64 + 1);
        want.rip = 0x1234;
        want.eflags = 0x46;
        want.xmm[3] = 77;
        want.st[2] = [5; 10];
        want.mxcsr = 0x1f80;
        from_gdb(&mut registers, &want);
        assert_eq!(to_gdb(&registers), want);
    }

    #[test]
    fn flags_of_the_kernel_stay() {
        let mut registers = Registers::default();
        registers.general.rflags = 2;
        let all = X86_64CoreRegs { eflags: u32::MAX, mxcsr: u32::MAX, ..to_gdb(&registers) };
        from_gdb(&mut registers, &all);
        // No interrupt flag, no I/O privilege, no trap flag.
        assert_eq!(registers.general.rflags & 0x3300, 0);
        assert_eq!(registers.fpu.mxcsr, 0xffff);
    }
}
