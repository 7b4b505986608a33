//! Interrupts and exceptions: tables, entry code, frames (Intel SDM volume 3, chapters 6 to 8).
//!
//! Every vector runs on a stack of the interrupt stack table, so that the red zone of the
//! interrupted code stays intact, and the entry code saves all registers that Rust code uses,
//! vector registers included.

use core::arch::{asm, global_asm};
use core::mem::offset_of;

/// Exceptions of the architecture.
pub const EXCEPTIONS: usize = 32;
/// Vectors with entry code: the exceptions, then interrupts.
pub const VECTORS: usize = 48;
/// Vector for interrupts that the local APIC withdrew.
pub const SPURIOUS: u8 = 47;

/// What the entry code saves, and the CPU's own frame.
#[repr(C)]
#[derive(Debug)]
pub struct TrapFrame {
    /// x87 and SSE state as FXSAVE64 stores it.
    pub fx: [u8; 512],
    /// rax, rbx, rcx, rdx, rsi, rdi, rbp, r8 to r15.
    pub registers: [u64; 15],
    /// Number of the interrupt or exception.
    pub vector: u64,
    /// Error code of the exception, or 0.
    pub error: u64,
    /// Address of the interrupted instruction.
    pub rip: u64,
    /// Code segment.
    pub cs: u64,
    /// Flags.
    pub rflags: u64,
    /// Stack pointer of the interrupted code.
    pub rsp: u64,
    /// Stack segment.
    pub ss: u64,
}

/// Names of [`TrapFrame::registers`].
pub const REGISTER_NAMES: [&str; 15] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];

impl TrapFrame {
    /// Frame pointer of the interrupted code.
    pub fn rbp(&self) -> u64 {
        self.registers[6]
    }
}

/// What an exception means; `None` for reserved ones.
pub fn exception_name(vector: u64) -> Option<&'static str> {
    Some(match vector {
        0 => "division error",
        1 => "debug trap",
        2 => "non-maskable interrupt",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid instruction",
        7 => "no floating-point unit",
        8 => "double fault",
        10 => "invalid task state segment",
        11 => "segment not present",
        12 => "stack segment fault",
        13 => "general protection fault",
        14 => "invalid memory access",
        16 => "x87 floating-point error",
        17 => "alignment check",
        18 => "machine check",
        19 => "SIMD floating-point error",
        20 => "virtualisation exception",
        21 => "control protection exception",
        _ => return None,
    })
}

// One entry of 16 bytes for each vector; those without an error code of the CPU push a zero.
global_asm!(
    ".section .text.trap_entries, \"ax\"",
    ".balign 16",
    ".globl ukarch_trap_entries",
    "ukarch_trap_entries:",
    ".set vector, 0",
    ".rept {vectors}",
    ".balign 16",
    ".if !((vector == 8) || ((vector >= 10) && (vector <= 14)) || (vector == 17) || (vector == 21))",
    "push 0",
    ".endif",
    "push vector",
    "jmp ukarch_trap_common",
    ".set vector, vector + 1",
    ".endr",
    ".balign 16",
    "ukarch_trap_common:",
    "push r15", "push r14", "push r13", "push r12", "push r11", "push r10", "push r9", "push r8",
    "push rbp", "push rdi", "push rsi", "push rdx", "push rcx", "push rbx", "push rax",
    // The CPU aligned the stack to 16 bytes and pushed 5 words, 2 and 15 more follow: 176 bytes.
    "sub rsp, 512",
    "fxsave64 [rsp]",
    "cld",
    "mov rdi, rsp",
    "call ukarch_trap",
    // Code that made a frame elsewhere comes here with rsp pointing to it.
    ".globl ukarch_trap_return",
    "ukarch_trap_return:",
    "fxrstor64 [rsp]",
    "add rsp, 512",
    "pop rax", "pop rbx", "pop rcx", "pop rdx", "pop rsi", "pop rdi", "pop rbp",
    "pop r8", "pop r9", "pop r10", "pop r11", "pop r12", "pop r13", "pop r14", "pop r15",
    "add rsp, 16",
    "iretq",
    vectors = const VECTORS,
);

/// Defines what the entry code calls: `$handler(&mut TrapFrame)`. Expanded once, in the platform's
/// part of the root crate.
#[macro_export]
macro_rules! trap_handler {
    ($handler:path) => {
        #[unsafe(no_mangle)]
        extern "C" fn ukarch_trap(frame: &mut $crate::trap::TrapFrame) {
            $handler(frame)
        }
    };
}

unsafe extern "C" {
    static ukarch_trap_entries: [[u8; 16]; VECTORS];
}

/// Stacks for the interrupt stack table: address after the last byte of each.
#[derive(Clone, Copy, Debug)]
pub struct TrapStacks {
    /// For interrupts.
    pub interrupts: u64,
    /// For exceptions.
    pub exceptions: u64,
    /// For double faults, which happen when another stack is used up.
    pub double_fault: u64,
    /// For non-maskable interrupts and machine checks, which come at any time.
    pub nmi: u64,
}

#[repr(C, packed(4))]
struct TaskState {
    _reserved: u32,
    privilege_stacks: [u64; 3],
    _reserved2: u64,
    stacks: [u64; 7],
    _reserved3: u64,
    _reserved4: u16,
    io_map: u16,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Gate {
    offset_low: u16,
    selector: u16,
    stack: u8,
    kind: u8,
    offset_middle: u16,
    offset_high: u32,
    _reserved: u32,
}

/// Segment and interrupt tables of one CPU.
#[repr(C, align(16))]
pub struct Tables {
    segments: [u64; 5],
    task: TaskState,
    gates: [Gate; VECTORS],
}

/// Selector of the code segment; that of the stack segment follows it, as `syscall` wants.
pub(crate) const CODE: u16 = 0x08;
const DATA: u16 = 0x10;
const TASK: u16 = 0x18;

#[repr(C, packed)]
struct TablePointer {
    limit: u16,
    base: u64,
}

impl Tables {
    /// Empty tables, to be loaded with [`Tables::load`].
    pub const fn new() -> Self {
        let gate = Gate {
            offset_low: 0,
            selector: 0,
            stack: 0,
            kind: 0,
            offset_middle: 0,
            offset_high: 0,
            _reserved: 0,
        };
        Self {
            // Null, 64-bit code, data, task state (two words, filled when its address is known).
            segments: [0, 0x00af_9a00_0000_ffff, 0x00cf_9200_0000_ffff, 0, 0],
            task: TaskState {
                _reserved: 0,
                privilege_stacks: [0; 3],
                _reserved2: 0,
                stacks: [0; 7],
                _reserved3: 0,
                _reserved4: 0,
                io_map: size_of::<TaskState>() as u16,
            },
            gates: [gate; VECTORS],
        }
    }

    /// Fills the tables and makes the current CPU use them.
    ///
    /// # Safety
    /// The CPU must be in kernel mode; the stacks must be writable memory used for nothing else;
    /// each CPU needs tables and stacks of its own.
    pub unsafe fn load(&'static mut self, stacks: TrapStacks) {
        self.task.stacks =
            [stacks.interrupts, stacks.exceptions, stacks.double_fault, stacks.nmi, 0, 0, 0];
        let task = &raw const self.task as u64;
        let limit = size_of::<TaskState>() as u64 - 1;
        // Available 64-bit task state segment, present (SDM volume 3, figure 8-4).
        self.segments[3] =
            limit | (task & 0xff_ffff) << 16 | 0x89 << 40 | (task >> 24 & 0xff) << 56;
        self.segments[4] = task >> 32;
        for (vector, gate) in self.gates.iter_mut().enumerate() {
            // SAFETY: only the address of the entry is taken.
            let entry = unsafe { &raw const ukarch_trap_entries[vector] } as u64;
            let stack = match vector {
                2 | 18 => 4,
                8 => 3,
                0..EXCEPTIONS => 2,
                _ => 1,
            };
            *gate = Gate {
                offset_low: entry as u16,
                selector: CODE,
                stack,
                // Interrupt gate, present: interrupts stay disabled in the handler.
                kind: 0x8e,
                offset_middle: (entry >> 16) as u16,
                offset_high: (entry >> 32) as u32,
                _reserved: 0,
            };
        }
        let segments = TablePointer {
            limit: size_of_val(&self.segments) as u16 - 1,
            base: self.segments.as_ptr() as u64,
        };
        let gates = TablePointer {
            limit: size_of_val(&self.gates) as u16 - 1,
            base: self.gates.as_ptr() as u64,
        };
        // SAFETY: the tables live for ever (`&'static mut`), are complete, and the code segment
        // keeps its selector and meaning.
        unsafe {
            asm!(
                "lgdt [{segments}]",
                "lidt [{gates}]",
                "mov ds, {data:x}", "mov es, {data:x}", "mov ss, {data:x}",
                "ltr {task:x}",
                segments = in(reg) &segments,
                gates = in(reg) &gates,
                data = in(reg) DATA,
                task = in(reg) TASK,
                options(nostack, preserves_flags),
            );
        }
    }
}

impl Default for Tables {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for Tables {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tables").finish_non_exhaustive()
    }
}

// What the entry code and the CPU rely on.
const _: () = {
    assert!(DATA == CODE + 8);
    assert!(size_of::<TaskState>() == 104);
    assert!(size_of::<Gate>() == 16);
    assert!(offset_of!(TrapFrame, registers) == 512);
    assert!(size_of::<TrapFrame>() == 512 + 176);
};
