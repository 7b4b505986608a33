//! The image's note and the code that the tender enters.

/// Emits the note, the entry point, which calls `$start(&'static BootInfo) -> !`, the handlers of
/// interrupts and faults, the gate, and the memory functions. Expanded once, in the generated root
/// crate.
#[macro_export]
macro_rules! entry {
    ($start:path, $config:expr) => {
        $crate::mem_symbols!();

        const HVT_CONFIG: $crate::Config = $config;

        ::core::arch::global_asm!(
            // hvt_abi::ImageNote: addresses as distance from their own word.
            ".section .note.oxikraft, \"a\", @note",
            ".long 9, 48, 1",
            ".asciz \"Oxikraft\"",
            ".balign 4",
            ".quad {version}, {stack}",
            ".quad hvt_interrupt - .",
            ".quad hvt_fault - .",
            ".quad hvt_gate - .",
            ".quad {flags}",

            ".section .text.hvt_entry, \"ax\"",
            ".globl _start",
            // rdi: boot information; the stack is as after a call.
            "_start:",
            "rdtsc",
            "shl rdx, 32",
            "lea rsi, [rax + rdx]",
            "xor ebp, ebp",
            "push rbp", // frames end here
            "call {start}",
            "ud2",

            // Memory calls: the tender goes on behind the first instruction.
            "hvt_gate:",
            "ud2",
            "ret",

            // rdi: the CPU's page; on the CPU's fault stack, as after a call.
            "hvt_fault:",
            "sub rsp, 520",
            "fxsave64 [rsp]",
            "mov rsi, rsp",
            "xor ebp, ebp",
            "push rbp",
            "push rbp",
            "call {fault}",
            "ud2",

            // On the interrupted stack, at the stack pointer flags and instruction pointer of the
            // interrupted code, then its red zone. All other registers are its.
            "hvt_interrupt:",
            "push rbp",
            "mov rbp, rsp",
            "push rax", "push rbx", "push rcx", "push rdx", "push rsi", "push rdi",
            "push r8", "push r9", "push r10", "push r11", "push r12", "push r13", "push r14",
            "push r15",
            "mov rbx, rsp",
            "sub rsp, 512",
            "and rsp, -16",
            "fxsave64 [rsp]",
            // For backtraces a frame as of a call from the interrupted instruction.
            "push qword ptr [rbp + 16]",
            "push qword ptr [rbp]",
            "mov rbp, rsp",
            "call {interrupt}",
            "add rsp, 16",
            "fxrstor64 [rsp]",
            "mov rsp, rbx",
            "pop r15", "pop r14", "pop r13", "pop r12", "pop r11", "pop r10", "pop r9", "pop r8",
            "pop rdi", "pop rsi", "pop rdx", "pop rcx", "pop rbx", "pop rax",
            "pop rbp",
            "popfq",
            "ret 128",
            version = const $crate::VERSION,
            stack = const HVT_CONFIG.stack,
            flags = const $crate::NOTE_FLAGS,
            start = sym hvt_start,
            fault = sym $crate::on_fault,
            interrupt = sym $crate::on_interrupt,
        );

        extern "C" fn hvt_start(boot_info: u64, entry_ticks: u64) -> ! {
            // SAFETY: called once, by the entry code, with what the tender gave.
            unsafe { $crate::start(boot_info, entry_ticks, &HVT_CONFIG, $start) }
        }
    };
}
