//! How a further CPU comes from 16-bit real mode, in which it starts, to 64-bit Rust code.

use core::arch::global_asm;
use core::sync::atomic::AtomicU64;

use ukarch_x86_64::page_table::PAGE;

/// Where the code runs: a page below 1 MiB that the boot sequence keeps free.
pub const PAGE_ADDRESS: u64 = 0x8000;

/// What the code needs to know. Its fields lie where the code expects them.
#[repr(C)]
#[derive(Debug)]
pub struct Launch {
    /// Physical address of the top-level page table, below 4 GiB.
    pub tables: AtomicU64,
    /// End of the stack to use.
    pub stack_top: AtomicU64,
    /// Number of the CPU.
    pub cpu: AtomicU64,
}

/// For the one CPU that is being started.
pub static LAUNCH: Launch =
    Launch { tables: AtomicU64::new(0), stack_top: AtomicU64::new(0), cpu: AtomicU64::new(0) };

unsafe extern "C" {
    static kvm_trampoline_start: u8;
    static kvm_trampoline_end: u8;
}

/// Copies the code to its place.
///
/// # Safety
/// The page at [`PAGE_ADDRESS`] must be unused memory, mapped writable at its own address.
pub unsafe fn install() {
    let (start, end) = (&raw const kvm_trampoline_start, &raw const kvm_trampoline_end);
    let len = (end.addr() - start.addr()).min(PAGE as usize);
    // SAFETY: the code lies between the two labels; the page is the caller's promise.
    unsafe { core::ptr::copy_nonoverlapping(start, PAGE_ADDRESS as *mut u8, len) };
}

global_asm!(
    ".section .rodata.trampoline, \"a\"",
    ".code16",
    ".globl kvm_trampoline_start",
    "kvm_trampoline_start:",
    "cli",
    "cld",
    "xorw %ax, %ax",
    "movw %ax, %ds",
    "lgdtl {page} + 5f - kvm_trampoline_start",
    "movl %cr0, %eax",
    "orb $1, %al",
    "movl %eax, %cr0",
    "ljmpl $0x18, ${page} + 3f - kvm_trampoline_start",

    ".code32",
    "3:",
    "movw $0x10, %ax",
    "movw %ax, %ds",
    "movw %ax, %es",
    "movw %ax, %ss",
    // As the CPU that boots: PAE and SSE; long mode and no-execute pages; paging, write protection,
    // native floating-point errors, no emulation. Caches, which are off after reset, are on.
    "movl %cr4, %eax",
    "orl $0x620, %eax",
    "movl %eax, %cr4",
    "movl {launch}, %eax",
    "movl %eax, %cr3",
    "movl $0xc0000080, %ecx",
    "rdmsr",
    "orl $0x900, %eax",
    "wrmsr",
    "movl %cr0, %eax",
    "andl $0x9ffffff3, %eax",
    "orl $0x80010022, %eax",
    "movl %eax, %cr0",
    "ljmpl $8, $kvm_trampoline_64",

    ".balign 8",
    // Null, 64-bit code, data as in the tables of running CPUs; 32-bit code.
    "4: .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff, 0x00cf9a000000ffff",
    "5: .word 31",
    ".long {page} + 4b - kvm_trampoline_start",
    ".globl kvm_trampoline_end",
    "kvm_trampoline_end:",

    ".section .text.trampoline, \"ax\"",
    ".code64",
    "kvm_trampoline_64:",
    "movl $0x10, %eax",
    "movl %eax, %ds",
    "movl %eax, %es",
    "movl %eax, %ss",
    "xorl %eax, %eax",
    "movl %eax, %fs",
    "movl %eax, %gs",
    "fninit",
    "movq {launch} + 8, %rsp",
    "xorl %ebp, %ebp",
    "movq {launch} + 16, %rdi",
    "call {run}",
    "ud2",
    page = const PAGE_ADDRESS,
    launch = sym LAUNCH,
    run = sym crate::cpus::run,
    options(att_syntax),
);
