//! Guests that attack: the real program runs them on /dev/kvm. It survives, and they end as they
//! should.

mod devices;
mod guest;

use hvt_abi::{Call, LINK_BASE, PAGE, Rights};
use tender::layout::WINDOW;

use guest::{Entry, PLAIN, TEXT, guest, layout, run};

/// Exit code of the guests' fault handler.
const FAULTED: i32 = 42;
/// Exit code of what the tender reports.
const CRASHED: i32 = 102;

#[track_caller]
fn ends_with(image: &[u8], code: i32, text: &str) {
    let Some(output) = run(image, PLAIN, &[]) else { return };
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
    let layout = layout(&plain, PLAIN);
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
    let heap = layout(&plain, PLAIN).heap_range();
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
