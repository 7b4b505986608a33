//! Code and images of the guests, and running them.

use std::arch::global_asm;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use hvt_abi::{LINK_BASE, PAGE};
use tender::elf::Image;
use tender::exercise::sample_image;
use tender::layout::{Layout, Wanted};

/// Where their code is.
pub const TEXT: u64 = LINK_BASE + PAGE;
const MEMORY: u64 = 8 << 20;

/// What guests run on.
#[derive(Clone, Copy)]
pub struct Machine {
    /// Number of CPUs.
    pub cpus: u64,
    /// Number of devices.
    pub devices: u64,
}

/// The least there is.
pub const PLAIN: Machine = Machine { cpus: 1, devices: 0 };

// Code of the guests, position-independent; the first word of the data segment, two pages behind
// the code, is the address of the doorbell.
global_asm!(
    ".section .rodata.hostile, \"a\"",
    ".balign 4096",
    "hostile: .skip 0",
    // Makes the calls of a table: count, then way, call, four arguments each. Ends with the number
    // of calls that were carried out.
    "hostile_calls:",
    "mov r12, [rdi + 15 * 8]",
    "mov r13, [rdi + 16 * 8]",
    "lea r14, [rip + hostile + 2 * 4096 + 8]",
    "xor r15d, r15d",
    "mov rbx, [r14]",
    "add r14, 8",
    "2: test rbx, rbx",
    "jz 5f",
    "mov rcx, 5",
    "lea rsi, [r14 + 8]",
    "lea rdi, [r13 + 16 * 8]",
    "rep movsq",
    "cmp qword ptr [r14], 0",
    "jne 3f",
    "mov dword ptr [r12], 0",
    "jmp 4f",
    "3: call hostile_gate",
    "4: cmp qword ptr [r13 + 21 * 8], 1",
    "adc r15, 0", // carry when the status is 0
    "add r14, 48",
    "dec rbx",
    "jmp 2b",
    "5: mov qword ptr [r13 + 16 * 8], 1",
    "mov [r13 + 17 * 8], r15",
    "mov dword ptr [r12], 0",
    "jmp 5b",
    // Does what a table says: count, then kind, address, value for each line. 0 writes 64 bits, 1
    // writes 32 bits, 2 goes back to the line `address` as often as `value` says, 3 waits for a change
    // of 16 bits, for a while. Ends with 7.
    "hostile_script:",
    "lea r14, [rip + hostile + 2 * 4096 + 8]",
    "mov rbx, [r14]",
    "add r14, 8",
    "xor esi, esi",
    "2: cmp rsi, rbx",
    "jae 8f",
    "lea rax, [rsi + rsi * 2]",
    "lea rax, [r14 + rax * 8]",
    "inc rsi",
    "mov r8, [rax]",
    "mov rcx, [rax + 8]",
    "mov rdx, [rax + 16]",
    "cmp r8, 1",
    "jb 3f",
    "je 4f",
    "cmp r8, 2",
    "je 5f",
    "mov r8, 100000000",
    "6: cmp word ptr [rcx], dx",
    "jne 2b",
    "pause",
    "dec r8",
    "jnz 6b",
    "jmp 2b",
    "3: mov [rcx], rdx",
    "jmp 2b",
    "4: mov [rcx], edx",
    "jmp 2b",
    "5: test rdx, rdx",
    "jz 2b",
    "dec qword ptr [rax + 16]",
    "mov rsi, rcx",
    "jmp 2b",
    "8: mov rcx, [rdi + 15 * 8]",
    "mov rdx, [rdi + 16 * 8]",
    "mov qword ptr [rdx + 16 * 8], 1",
    "mov qword ptr [rdx + 17 * 8], 7",
    "mov dword ptr [rcx], 0",
    "jmp 8b",
    // A second CPU: writes the pairs of address and value of a table, count first, for ever.
    "hostile_racer:",
    "mov rcx, [rdi]",
    "lea rsi, [rdi + 8]",
    "9: mov rax, [rsi]",
    "mov rdx, [rsi + 8]",
    "mov [rax], rdx",
    "add rsi, 16",
    "dec rcx",
    "jnz 9b",
    "jmp hostile_racer",
    "hostile_gate: ud2",
    "ret",
    "hostile_fault:",
    "mov rax, [rip + hostile + 2 * 4096]",
    "mov qword ptr [rdi + 16 * 8], 1",
    "mov qword ptr [rdi + 17 * 8], 42",
    "mov dword ptr [rax], 0",
    "ud2",
    // A fault handler that faults.
    "hostile_bad_fault:",
    "mov rax, [0]",
    "hostile_interrupt: jmp hostile_interrupt",
    "hostile_kernel_read: mov rax, 0xffff800000000000",
    "mov rax, [rax]",
    "hostile_kernel_write: mov rax, 0xffff800000200000",
    "mov [rax], rax",
    "hostile_text_write: lea rax, [rip + hostile]",
    "mov [rax], rax",
    "hostile_null_write: mov [0], rax",
    "hostile_halt: hlt",
    "hostile_out: out 0x80, al",
    "hostile_in: in al, 0x60",
    "hostile_cli: cli",
    "hostile_cr3: mov cr3, rax",
    "hostile_msr: wrmsr",
    "hostile_lgdt: lgdt [rsp - 64]",
    "hostile_syscall: syscall",
    "hostile_int: int 0x80",
    "hostile_int3: int3",
    "hostile_far: mov rax, 0x4141414141414141",
    "jmp rax",
    "hostile_kernel_jump: mov rax, 0xffff800000000000",
    "jmp rax",
    "hostile_iret: mov rax, rsp",
    "push 0x10",
    "push rax",
    "pushfq",
    "push 8",
    "lea rax, [rip + hostile_calls]",
    "push rax",
    "iretq",
    "hostile_bad_stack: mov rsp, 0x4141414141414141",
    "push rax",
    "hostile_gate_jump: mov rsp, 0",
    "jmp hostile_gate",
    "hostile_doorbell_read: mov rax, [rdi + 15 * 8]",
    "mov rax, [rax]",
    "ud2",
    "hostile_doorbell_page: mov rdx, [rdi + 15 * 8]",
    "mov qword ptr [rdx + 0xff8], rdx",
    "lock inc dword ptr [rdx + 8]",
    "ud2",
    "hostile_end:",
    ".previous",
);

macro_rules! labels {
    ($($name:ident),* $(,)?) => {
        unsafe extern "C" { $(static $name: u8;)* }
        /// Offset of a label from the start of the code.
        pub fn offset(label: &str) -> u64 {
            let at = match label {
                $(stringify!($name) => &raw const $name as u64,)*
                other => panic!("no label {other}"),
            };
            at - &raw const hostile as u64
        }
    };
}

labels!(
    hostile,
    hostile_calls,
    hostile_script,
    hostile_racer,
    hostile_gate,
    hostile_fault,
    hostile_bad_fault,
    hostile_interrupt,
    hostile_kernel_read,
    hostile_kernel_write,
    hostile_text_write,
    hostile_null_write,
    hostile_halt,
    hostile_out,
    hostile_in,
    hostile_cli,
    hostile_cr3,
    hostile_msr,
    hostile_lgdt,
    hostile_syscall,
    hostile_int,
    hostile_int3,
    hostile_far,
    hostile_kernel_jump,
    hostile_iret,
    hostile_bad_stack,
    hostile_gate_jump,
    hostile_doorbell_read,
    hostile_doorbell_page,
    hostile_end,
);

/// Where things lie.
pub fn layout(file: &[u8], machine: Machine) -> Layout {
    let image = Image::read(&file).unwrap();
    let Machine { cpus, devices } = machine;
    let wanted =
        Wanted { image: &image, memory: MEMORY, cpus, boot: 1, devices, initrd: 0, random: None };
    Layout::new(&wanted).unwrap()
}

/// One call: through the gate or not, the call, its arguments.
pub type Entry = (bool, u64, [u64; 4]);

/// An image that starts at a label, with a fault handler and a table of calls.
pub fn guest(entry: &str, fault: &str, calls: &[Entry]) -> Vec<u8> {
    let mut table = vec![calls.len() as u64];
    for (gate, call, arguments) in calls {
        table.extend([u64::from(*gate), *call]);
        table.extend(arguments);
    }
    with_table(entry, fault, &table)
}

/// An image that starts at a label, with a fault handler and a table.
pub fn with_table(entry: &str, fault: &str, table: &[u64]) -> Vec<u8> {
    let mut file = sample_image();
    let mut put = |at: u64, words: &[u64]| {
        for (at, word) in (at as usize..).step_by(8).zip(words) {
            file[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
    };
    put(24, &[TEXT + offset(entry)]);
    // Code and data take a page of the file each.
    for (index, len) in [(1, PAGE), (3, PAGE)] {
        put(64 + 56 * index + 32, &[len]);
    }
    put(64 + 56 + 40, &[PAGE]);
    let at = |index: u64| LINK_BASE + 0x418 + 8 * index;
    for (index, label) in [(2, "hostile_interrupt"), (3, fault), (4, "hostile_gate")] {
        put(0x418 + 8 * index, &[(TEXT + offset(label)).wrapping_sub(at(index))]);
    }
    assert!(table.len() < 512);
    put(3 * PAGE + 8, table);
    // SAFETY: start and end of the constant bytes above.
    let code = unsafe {
        let start = &raw const hostile;
        std::slice::from_raw_parts(start, offset("hostile_end") as usize)
    };
    file[PAGE as usize..][..code.len()].copy_from_slice(code);
    let doorbell = layout(&file, PLAIN).doorbell;
    file[3 * PAGE as usize..][..8].copy_from_slice(&doorbell.to_le_bytes());
    file
}

/// Runs an image with these options; `None`, and a loud note, where /dev/kvm does not open.
pub fn run(image: &[u8], machine: Machine, options: &[&str]) -> Option<Output> {
    if std::fs::File::options().read(true).write(true).open("/dev/kvm").is_err() {
        let text = b"\nNOT RUN: hostile guests of the tender: /dev/kvm does not open here\n";
        let _ = std::io::stderr().write_all(text);
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hostile");
    std::fs::write(&path, image).unwrap();
    let output = Command::new("timeout")
        .args(["20", env!("CARGO_BIN_EXE_tender"), "--fixed-addresses", "--memory", "8M"])
        .args(["--cpus", &machine.cpus.to_string()])
        .args(options)
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Some(output)
}
