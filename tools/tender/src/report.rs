//! Crash reports of the tender itself, for guests that cannot report any more. The format is that of
//! the images' own reports, so that `oxk run` adds names to addresses.

use std::fmt::Write as _;

use kvm_bindings::kvm_regs;

use crate::console;
use crate::guest::Guest;
use crate::stub::{Frame, PAGE_FAULT};

/// Frames printed at most.
const MAX_FRAMES: usize = 32;

/// An exception of the guest.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Its number.
    pub vector: u64,
    /// What the CPU pushed.
    pub frame: Frame,
    /// For page faults the address.
    pub address: u64,
    /// Registers.
    pub registers: kvm_regs,
}

/// Names of what [`registers_of`] gives.
const NAMES: [&str; 15] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];

/// Registers in the order of the CPU's page.
pub fn registers_of(r: &kvm_regs) -> [u64; 15] {
    [
        r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13,
        r.r14, r.r15,
    ]
}

/// Lines with all registers.
pub fn register_lines(registers: &[u64; 15]) -> String {
    let mut out = String::new();
    for (index, (name, value)) in NAMES.iter().zip(registers).enumerate() {
        let end = if index % 4 == 3 || index == 14 { "\n" } else { "  " };
        let _ = write!(out, "{name:>3} {value:016x}{end}");
    }
    out
}

/// Prints a report.
pub fn print(guest: &Guest, cpu: usize, fault: &Fault) {
    let Fault { vector, frame, registers, .. } = fault;
    let mut out = format!("\n{}", register_lines(&registers_of(registers)));
    let _ = writeln!(
        out,
        "rsp {:016x}\nrip {:016x}  rflags {:x}  error {:x}",
        frame.rsp, frame.rip, frame.rflags, frame.error
    );
    let what = match *vector {
        PAGE_FAULT => format!("invalid memory access at address {:#x}", fault.address),
        vector => format!("exception {vector}"),
    };
    let _ = writeln!(out, "\nfault: {what} on CPU {cpu}, reported by the monitor");
    for (number, address) in call_chain(guest, frame.rip, registers.rbp).enumerate() {
        let _ = writeln!(out, "  #{number} {:#018x}", as_linked(guest, address));
    }
    console::say(&out);
}

/// The address in the image as it was linked; others as they are.
fn as_linked(guest: &Guest, address: u64) -> u64 {
    let of_image = |piece: &&crate::layout::Piece| {
        (piece.address..piece.address + piece.len).contains(&address)
    };
    match guest.layout.segments.iter().find(of_image) {
        Some(_) => address.wrapping_sub(guest.layout.bias),
        None => address,
    }
}

/// Return addresses by frame pointers, which must lead upwards.
fn call_chain(guest: &Guest, rip: u64, rbp: u64) -> impl Iterator<Item = u64> {
    let mut frame = rbp;
    let callers = std::iter::from_fn(move || {
        let caller = guest.read_word(frame)?;
        let address = guest.read_word(frame.checked_add(8)?)?;
        if address == 0 || caller <= frame && caller != 0 {
            return None;
        }
        frame = caller;
        Some(address)
    });
    std::iter::once(rip).chain(callers).take(MAX_FRAMES)
}
