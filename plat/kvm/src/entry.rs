//! From the 32-bit PVH entry to 64-bit Rust code.

/// Stack of the entry code, until the stack of `main` is made.
#[repr(C, align(16))]
#[derive(Debug)]
pub struct BootStack(core::cell::UnsafeCell<[u8; 16 << 10]>);

// SAFETY: only the one CPU that boots uses it, as its stack.
unsafe impl Sync for BootStack {}

impl BootStack {
    /// An unused stack.
    #[expect(clippy::new_without_default, reason = "made once, in a static")]
    pub const fn new() -> Self {
        Self(core::cell::UnsafeCell::new([0; 16 << 10]))
    }
}

/// Emits the PVH note and the entry point, which calls `$start(&'static BootInfo) -> !`, the trap
/// handler and the memory functions. Expanded once, in the generated root crate.
///
/// The entry code maps the first GiB with 2 MiB pages, everything allowed; the map that holds
/// from then on is made in Rust.
#[macro_export]
macro_rules! entry {
    ($start:path, $config:expr) => {
        $crate::mem_symbols!();
        $crate::trap_handler!($crate::on_trap);

        static BOOT_STACK: $crate::BootStack = $crate::BootStack::new();

        // The entry state is that of the PVH boot ABI (xen/docs/misc/pvh.pandoc): 32-bit protected
        // mode, flat segments, paging and interrupts off, ebx = address of the start info.
        ::core::arch::global_asm!(
            // XEN_ELFNOTE_PHYS32_ENTRY = 18
            ".section .note.pvh, \"a\", @note",
            ".long 4, 4, 18",
            ".asciz \"Xen\"",
            ".long _start",

            // On a page, by the linker script.
            ".section .boot_tables, \"aw\", @nobits",
            "boot_level4: .skip 4096",
            "boot_level3: .skip 4096",
            "boot_level2: .skip 4096",

            ".section .rodata.boot_segments, \"a\"",
            ".balign 8",
            "boot_segments:",
            ".quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff",
            "boot_segments_pointer:",
            ".word 23",
            ".long boot_segments",

            ".section .text.boot, \"ax\"",
            ".code32",
            ".globl _start",
            "_start:",
            "cli",
            "cld",
            "rdtsc",
            "movl %eax, %esi", // entry time, kept in edi:esi
            "movl %edx, %edi",

            "movl $boot_level3 + 3, boot_level4",
            "movl $boot_level2 + 3, boot_level3",
            "movl $boot_level2, %ecx",
            "movl $0x83, %eax", // present, writable, large page
            "2:",
            "movl %eax, (%ecx)",
            "addl $0x200000, %eax",
            "addl $8, %ecx",
            "cmpl $boot_level2 + 4096, %ecx",
            "jne 2b",

            // PAE, and SSE as compiled Rust code expects it: OSFXSR and OSXMMEXCPT.
            "movl %cr4, %eax",
            "orl $0x620, %eax",
            "movl %eax, %cr4",
            "movl $boot_level4, %eax",
            "movl %eax, %cr3",
            // EFER: long mode, no-execute pages.
            "movl $0xc0000080, %ecx",
            "rdmsr",
            "orl $0x900, %eax",
            "wrmsr",
            // Paging, write protection in kernel mode, native floating-point errors; no emulation.
            "movl %cr0, %eax",
            "andl $0xfffffff3, %eax",
            "orl $0x80010022, %eax",
            "movl %eax, %cr0",
            "lgdt boot_segments_pointer",
            "ljmp $8, $3f",

            ".code64",
            "3:",
            "movl $16, %eax",
            "movl %eax, %ds",
            "movl %eax, %es",
            "movl %eax, %ss",
            "xorl %eax, %eax",
            "movl %eax, %fs",
            "movl %eax, %gs",
            "movl ${stack} + {stack_size}, %esp",
            "xorl %ebp, %ebp",
            "shlq $32, %rdi",
            "movl %esi, %esi",
            "orq %rdi, %rsi",
            "movl %ebx, %edi",
            "call {start}",
            "ud2",
            stack = sym BOOT_STACK,
            stack_size = const ::core::mem::size_of::<$crate::BootStack>(),
            start = sym oxikraft_start,
            options(att_syntax),
        );

        extern "C" fn oxikraft_start(start_info: u64, entry_ticks: u64) -> ! {
            // SAFETY: called once, by the entry code, with what the machine gave.
            unsafe { $crate::start(start_info, entry_ticks, &$config, $start) }
        }
    };
}
