//! Guests that attack: the real program runs them on /dev/kvm. It survives, and they end as they
//! should.

use std::arch::global_asm;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use hvt_abi::{Call, LINK_BASE, PAGE, Rights};
use tender::elf::Image;
use tender::exercise::sample_image;
use tender::layout::{Layout, WINDOW, Wanted};

const TEXT: u64 = LINK_BASE + PAGE;
const MEMORY: u64 = 8 << 20;
/// Exit code of the guests' fault handler.
const FAULTED: i32 = 42;
/// Exit code of what the tender reports.
const CRASHED: i32 = 102;

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
        fn offset(label: &str) -> u64 {
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

fn layout(file: &[u8]) -> Layout {
    let image = Image::read(&file).unwrap();
    let wanted =
        Wanted { image: &image, memory: MEMORY, cpus: 1, boot: 1, initrd: 0, random: None };
    Layout::new(&wanted).unwrap()
}

/// One call: through the gate or not, the call, its arguments.
type Entry = (bool, u64, [u64; 4]);

/// An image that starts at a label, with a fault handler and a table of calls.
fn guest(entry: &str, fault: &str, calls: &[Entry]) -> Vec<u8> {
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
    let mut table = vec![0, calls.len() as u64];
    for (gate, call, arguments) in calls {
        table.extend([u64::from(*gate), *call]);
        table.extend(arguments);
    }
    assert!(table.len() < 512);
    put(3 * PAGE, &table);
    // SAFETY: start and end of the constant bytes above.
    let code = unsafe {
        let start = &raw const hostile;
        std::slice::from_raw_parts(start, offset("hostile_end") as usize)
    };
    file[PAGE as usize..][..code.len()].copy_from_slice(code);
    let doorbell = layout(&file).doorbell;
    file[3 * PAGE as usize..][..8].copy_from_slice(&doorbell.to_le_bytes());
    file
}

/// Runs an image; `None`, and a loud note, where /dev/kvm does not open.
fn run(image: &[u8]) -> Option<Output> {
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
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Some(output)
}

#[track_caller]
fn ends_with(image: &[u8], code: i32, text: &str) {
    let Some(output) = run(image) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{}: {said}", output.status);
    assert!(said.contains(text), "{text}: {said}");
}

#[test]
fn what_user_mode_may_not_do_is_a_fault_of_the_guest() {
    for attack in [
        "hostile_kernel_read",
        "hostile_kernel_write",
        "hostile_text_write",
        "hostile_null_write",
        "hostile_halt",
        "hostile_out",
        "hostile_in",
        "hostile_cli",
        "hostile_cr3",
        "hostile_msr",
        "hostile_lgdt",
        "hostile_syscall",
        "hostile_int",
        "hostile_int3",
        "hostile_far",
        "hostile_kernel_jump",
        "hostile_iret",
        "hostile_bad_stack",
        "hostile_doorbell_read",
        "hostile_doorbell_page",
    ] {
        eprintln!("{attack}");
        ends_with(&guest(attack, "hostile_fault", &[]), FAULTED, "");
    }
}

#[test]
fn a_fault_handler_that_faults_ends_in_a_report_of_the_tender() {
    let image = guest("hostile_null_write", "hostile_bad_fault", &[]);
    ends_with(&image, CRASHED, "fault: invalid memory access at address 0x0 on CPU 0, reported by");
}

#[test]
fn the_gate_needs_no_stack() {
    // Behind the gate the return without a stack faults.
    ends_with(&guest("hostile_gate_jump", "hostile_fault", &[]), FAULTED, "");
}

#[test]
fn hostile_calls_are_refused() {
    let plain = guest("hostile_calls", "hostile_fault", &[]);
    let layout = layout(&plain);
    let heap = layout.heap_range();
    let (text, stack, page) = (TEXT, layout.stack.address, layout.cpu_pages.address);
    const HUGE: u64 = u64::MAX - 4095;
    let kernel = 0xffff_8000_0000_0000;
    let none = Rights::None as u64;
    let write = Rights::Write as u64;
    let mut calls: Vec<Entry> = vec![
        (false, 0, [0; 4]),
        (false, u64::MAX, [1; 4]),
        (false, Call::ConsoleWrite as u64, [0, 0, 16, 0]),
        (false, Call::ConsoleWrite as u64, [0, kernel, 16, 0]),
        (false, Call::ConsoleWrite as u64, [9, text, 16, 0]),
        (false, Call::ConsoleWrite as u64, [0, HUGE, u64::MAX, 0]),
        (false, Call::ConsoleWrite as u64, [0, layout.stack.address - 8, 16, 0]),
        (false, Call::ConsoleWrite as u64, [0, heap.end() - 4, 8, 0]),
        (false, Call::ConsoleRead as u64, [text, 16, 0, 0]),
        (false, Call::ConsoleRead as u64, [kernel, 16, 0, 0]),
        (false, Call::Random as u64, [text, 16, 0, 0]),
        (false, Call::Random as u64, [heap.start, u64::MAX, 0, 0]),
        (false, Call::CpuStart as u64, [0, text, stack, 0]),
        (false, Call::CpuStart as u64, [1, text, stack, 0]),
        (false, Call::CpuStart as u64, [u64::MAX, kernel, kernel, 0]),
        (false, Call::CpuInterrupt as u64, [1 << 40, 0, 0, 0]),
        // Right in themselves, but through the wrong door.
        (false, Call::Protect as u64, [heap.start, PAGE, none, 0]),
        (true, Call::WallClock as u64, [0; 4]),
        (true, Call::Exit as u64, [0; 4]),
    ];
    for (address, len, rights) in [
        (text, PAGE, write),
        (LINK_BASE, PAGE, write),
        (stack, PAGE, none),
        (page, PAGE, none),
        (layout.doorbell, PAGE, write),
        (kernel, PAGE, write),
        (heap.start + 1, PAGE, write),
        (heap.start, 5, write),
        (heap.start, 0, write),
        (heap.start, PAGE, 3),
        (heap.start, HUGE, write),
        (heap.end() - PAGE, 2 * PAGE, write),
        (0, PAGE, write),
        (HUGE, PAGE, write),
    ] {
        calls.push((true, Call::Protect as u64, [address, len, rights, 0]));
    }
    for (at, memory, len) in [
        (WINDOW.start, text, PAGE),
        (WINDOW.start, heap.end(), PAGE),
        (WINDOW.start, heap.start + 8, PAGE),
        (WINDOW.start, heap.start, HUGE),
        (WINDOW.end(), heap.start, PAGE),
        (WINDOW.end() - PAGE, heap.start, 2 * PAGE),
        (heap.start, heap.start, PAGE),
        (kernel, heap.start, PAGE),
        (WINDOW.start, HUGE, PAGE),
    ] {
        calls.push((true, Call::Alias as u64, [at, memory, len, 0]));
    }
    for (at, len) in [(WINDOW.start, PAGE), (heap.start, PAGE), (WINDOW.start, HUGE)] {
        calls.push((true, Call::Revoke as u64, [at, len, 0, 0]));
    }
    ends_with(&guest("hostile_calls", "hostile_fault", &calls), 0, "");
}

#[test]
fn what_is_allowed_works_as_often_as_one_likes() {
    let plain = guest("hostile_calls", "hostile_fault", &[]);
    let heap = layout(&plain).heap_range();
    let large = (heap.start + (2 << 20)) & !((2 << 20) - 1);
    let mut calls: Vec<Entry> = vec![(false, Call::Random as u64, [heap.start, 256, 0, 0])];
    for _ in 0..6 {
        for (call, arguments) in [
            (Call::Protect, [large, PAGE, Rights::None as u64, 0]),
            (Call::Protect, [large, PAGE, Rights::Write as u64, 0]),
            (Call::Alias, [WINDOW.start, heap.start, 3 * PAGE, 0]),
            (Call::Alias, [WINDOW.end() - PAGE, heap.start, PAGE, 0]),
            (Call::Revoke, [WINDOW.start, 3 * PAGE, 0, 0]),
            (Call::Revoke, [WINDOW.end() - PAGE, PAGE, 0, 0]),
            // More changes than a page holds.
            (Call::Protect, [large - PAGE, 600 * PAGE, Rights::Read as u64, 0]),
            (Call::Protect, [large - PAGE, 600 * PAGE, Rights::Write as u64, 0]),
        ] {
            calls.push((true, call as u64, arguments));
        }
    }
    let count = calls.len() as i32;
    ends_with(&guest("hostile_calls", "hostile_fault", &calls), count, "");
}
