//! The only code of the guest in kernel mode, and the tables that lead to it.
//!
//! Every exception halts at once, which is an exit to the tender; the number of the exception
//! follows from where the CPU halted. For an invalid instruction the tender may let the CPU go on:
//! it then repeats changes of page tables from a list and returns to user mode. Nothing else is ever
//! done here: a machine may run kernel mode by interpretation, slowly.

use std::arch::global_asm;

use hvt_abi::{MAX_CPUS, PAGE};

use crate::layout::SYSTEM;
use crate::memory::GuestRam;
use crate::paging::Changes;

/// Where kernel mode sees the tender's tables.
pub const KERNEL: u64 = 0xffff_8000_0000_0000;
/// Offsets in the tender's tables, of pages.
const CODE: u64 = 0;
const IDT: u64 = PAGE;
const CPUS: u64 = 2 * PAGE;
/// Bytes for each CPU: a page of its own, and a page for its list of changes.
const CPU: u64 = 2 * PAGE;
/// Length of all these.
pub const LEN: u64 = CPUS + MAX_CPUS as u64 * CPU;

/// In a CPU's page: segments, task state, ends of two stacks.
const TSS: u64 = 0x100;
const DOUBLE_FAULT_STACK: u64 = 0x800;
const STACK: u64 = PAGE;

/// Exceptions of the architecture.
pub const EXCEPTIONS: u64 = 32;
/// Bytes of code for each.
const ENTRY: u64 = 16;
/// The exception of the gate.
pub const INVALID_INSTRUCTION: u64 = 6;
/// The exception of a bad access.
pub const PAGE_FAULT: u64 = 14;
/// The exception of an exception that could not be delivered.
const DOUBLE_FAULT: u64 = 8;

/// Selectors, with their privilege.
const KERNEL_CODE: u16 = 0x08;
/// User mode's data segment.
pub const USER_DATA: u16 = 0x18 | 3;
/// User mode's code segment.
pub const USER_CODE: u16 = 0x20 | 3;
/// The task state segment.
pub const TASK: u16 = 0x28;
/// Bytes of the segment table.
pub const GDT_LEN: u64 = 7 * 8;
/// Bytes of the task state.
pub const TSS_LEN: u64 = 104;
/// Bytes of the interrupt table.
pub const IDT_LEN: u64 = EXCEPTIONS * 16;

/// In a CPU's list: number of entries, number of addresses, whether more follow.
const LIST_HEADER: usize = 3;
/// Words of the list's page.
const LIST_WORDS: usize = 512 - LIST_HEADER;

global_asm!(
    ".section .rodata.tender_stub, \"a\"",
    ".balign 16",
    "tender_stub:",
    ".set vector, 0",
    ".rept {exceptions}",
    ".balign {entry}",
    "9: hlt",
    ".if vector == {invalid_instruction}",
    "jmp 2f",
    ".else",
    "jmp 9b", // never left
    ".endif",
    ".set vector, vector + 1",
    ".endr",
    ".balign {entry}",
    "2: push rax", "push rbx", "push rcx", "push rdx",
    "3:",
    // The list is in the page behind that of the stack.
    "lea rdx, [rsp + {page}]",
    "and rdx, -{page}",
    "mov rcx, [rdx]",
    "lea rbx, [rdx + {header}]",
    "jmp 5f",
    "4: mov rax, [rbx]",
    "push qword ptr [rbx + 8]",
    "pop qword ptr [rax]",
    "add rbx, 16",
    "dec rcx",
    "5: test rcx, rcx",
    "jnz 4b",
    "mov rcx, [rdx + 8]",
    "jmp 7f",
    "6: mov rax, [rbx]",
    "invlpg [rax]",
    "add rbx, 8",
    "dec rcx",
    "7: test rcx, rcx",
    "jnz 6b",
    "cmp qword ptr [rdx + 16], 0",
    "je 8f",
    "hlt", // for the next part of the list
    "jmp 3b",
    "8: pop rdx", "pop rcx", "pop rbx", "pop rax",
    "iretq",
    "tender_stub_end:",
    ".previous",
    exceptions = const EXCEPTIONS,
    entry = const ENTRY,
    invalid_instruction = const INVALID_INSTRUCTION,
    page = const PAGE,
    header = const 8 * LIST_HEADER,
);

unsafe extern "C" {
    static tender_stub: u8;
    static tender_stub_end: u8;
}

fn code() -> &'static [u8] {
    // SAFETY: the two symbols are start and end of the constant bytes above.
    unsafe {
        let start = &raw const tender_stub;
        let len = (&raw const tender_stub_end).offset_from(start) as usize;
        std::slice::from_raw_parts(start, len)
    }
}

/// Where kernel mode finds a CPU's tables.
#[derive(Clone, Copy, Debug)]
pub struct CpuTables {
    /// Address of its segment table.
    pub gdt: u64,
    /// Address of its task state.
    pub tss: u64,
    /// Address of the interrupt table.
    pub idt: u64,
}

fn cpu_page(cpu: usize) -> u64 {
    CPUS + cpu as u64 * CPU
}

/// The tables of a CPU.
pub fn tables(cpu: usize) -> CpuTables {
    let page = KERNEL + cpu_page(cpu);
    CpuTables { gdt: page, tss: page + TSS, idt: KERNEL + IDT }
}

/// Writes code and tables to the tender's part of memory.
pub fn install(ram: &GuestRam, cpus: usize) {
    ram.write(SYSTEM + CODE, code());
    for vector in 0..EXCEPTIONS {
        let handler = KERNEL + CODE + vector * ENTRY;
        // Interrupt gate, present, for kernel mode alone: `int` in user mode faults. Double faults
        // have a stack of their own (SDM volume 3, figure 6-8).
        let stack = u64::from(vector == DOUBLE_FAULT);
        let low = handler & 0xffff
            | u64::from(KERNEL_CODE) << 16
            | stack << 32
            | 0x8e << 40
            | (handler >> 16 & 0xffff) << 48;
        ram.write_words(SYSTEM + IDT + vector * 16, &[low, handler >> 32]);
    }
    for cpu in 0..cpus {
        let page = cpu_page(cpu);
        let tss = KERNEL + page + TSS;
        // Null; kernel code and data; user data and 64-bit user code; the task state, busy (SDM
        // volume 3, figures 3-8 and 8-4). All accessed, so that no CPU writes here.
        let task = (TSS_LEN - 1) | (tss & 0xff_ffff) << 16 | 0x8b << 40 | (tss >> 24 & 0xff) << 56;
        let segments = [
            0,
            0x00af_9b00_0000_ffff,
            0x00cf_9300_0000_ffff,
            0x00cf_f300_0000_ffff,
            0x00af_fb00_0000_ffff,
            task,
            tss >> 32,
        ];
        ram.write_words(SYSTEM + page, &segments);
        // Stack for user mode's exceptions at offset 4, first interrupt stack at 36; no I/O ports.
        let stack = KERNEL + page + STACK;
        let double_fault = KERNEL + page + DOUBLE_FAULT_STACK;
        let mut task_state = [0u8; TSS_LEN as usize];
        task_state[4..12].copy_from_slice(&stack.to_le_bytes());
        task_state[36..44].copy_from_slice(&double_fault.to_le_bytes());
        task_state[102..104].copy_from_slice(&(TSS_LEN as u16).to_le_bytes());
        ram.write(SYSTEM + page + TSS, &task_state);
    }
}

/// Where a halted CPU is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// At the entry of an exception.
    Exception(u64),
    /// Behind a part of the list of changes.
    List,
}

/// Tells where a CPU halted from its instruction pointer, which is behind the instruction.
pub fn halt(rip: u64) -> Option<Halt> {
    let at = rip.checked_sub(KERNEL + CODE + 1)?;
    match at {
        _ if at < EXCEPTIONS * ENTRY && at % ENTRY == 0 => Some(Halt::Exception(at / ENTRY)),
        _ if (EXCEPTIONS * ENTRY..code().len() as u64).contains(&at) => Some(Halt::List),
        _ => None,
    }
}

/// What the CPU pushed for an exception in user mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Error code, or 0.
    pub error: u64,
    /// Interrupted instruction.
    pub rip: u64,
    /// Code segment.
    pub cs: u64,
    /// Flags.
    pub rflags: u64,
    /// Stack pointer.
    pub rsp: u64,
}

/// Whether the CPU pushes an error code (SDM volume 3, table 6-1).
fn has_error_code(vector: u64) -> bool {
    matches!(vector, 8 | 10..=14 | 17 | 21)
}

/// The frame of the exception that a CPU halted for.
pub fn frame(ram: &GuestRam, cpu: usize, vector: u64) -> Frame {
    let top = if vector == DOUBLE_FAULT { DOUBLE_FAULT_STACK } else { STACK };
    let [error, rip, cs, rflags, rsp, _ss] = ram.read_words::<6>(SYSTEM + cpu_page(cpu) + top - 48);
    // Without an error code the frame is a word shorter; it ends at the same place.
    Frame { error: if has_error_code(vector) { error } else { 0 }, rip, cs, rflags, rsp }
}

/// Makes the CPU go on in user mode behind the instruction of the gate, 2 bytes long.
pub fn skip_gate(ram: &GuestRam, cpu: usize, frame: &Frame) {
    ram.write_words(SYSTEM + cpu_page(cpu) + STACK - 40, &[frame.rip + 2]);
}

/// Changes that a CPU has yet to repeat.
#[derive(Debug, Default)]
pub struct Pending {
    changes: Changes,
    entries_done: usize,
    forget_done: usize,
}

impl Pending {
    /// All of these.
    pub fn new(changes: Changes) -> Self {
        Self { changes, entries_done: 0, forget_done: 0 }
    }

    /// Writes the next part to the CPU's list.
    pub fn fill(&mut self, ram: &GuestRam, cpu: usize) {
        let entries = &self.changes.entries[self.entries_done..];
        let entries = &entries[..entries.len().min(LIST_WORDS / 2)];
        let all_entries = self.entries_done + entries.len() == self.changes.entries.len();
        let room = if all_entries { LIST_WORDS - 2 * entries.len() } else { 0 };
        let forget = &self.changes.forget[self.forget_done..];
        let forget = &forget[..forget.len().min(room)];
        let more = !all_entries || self.forget_done + forget.len() < self.changes.forget.len();
        let mut words = vec![entries.len() as u64, forget.len() as u64, u64::from(more)];
        for change in entries {
            words.extend([KERNEL + (change.entry - SYSTEM), change.value]);
        }
        words.extend(forget);
        self.entries_done += entries.len();
        self.forget_done += forget.len();
        ram.write_words(SYSTEM + cpu_page(cpu) + PAGE, &words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_fits_and_entries_halt() {
        let code = code();
        assert!(code.len() as u64 <= PAGE);
        for vector in 0..EXCEPTIONS {
            assert_eq!(code[(vector * ENTRY) as usize], 0xf4);
            assert_eq!(halt(KERNEL + vector * ENTRY + 1), Some(Halt::Exception(vector)));
        }
        assert_eq!(halt(0x1000), None);
        assert_eq!(halt(KERNEL + 3), None);
        assert_eq!(halt(KERNEL + PAGE), None);
    }
}
