//! Signals that report faults of the program, and the reports made of them.

use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use ukarch_x86_64::backtrace::{self, Registers};
use ukplat::{BootInfo, Exit, InitError, report, stack};

use crate::sys;

/// Upper end of the stack, from the process entry.
pub static STACK_TOP: AtomicUsize = AtomicUsize::new(0);

const SA_SIGINFO: usize = 4;
const SA_RESTORER: usize = 0x0400_0000;
const SA_ONSTACK: usize = 0x0800_0000;
const SA_NODEFER: usize = 0x4000_0000;
/// The handler that ignores a signal.
const SIG_IGN: *const () = core::ptr::without_provenance(1);

const SIGSEGV: usize = 11;
const SIGPIPE: usize = 13;
/// Signals and what they mean.
const FAULTS: [(usize, &str); 5] = [
    (4, "invalid instruction"),
    (5, "breakpoint"),
    (7, "bus error"),
    (8, "arithmetic fault"),
    (SIGSEGV, "invalid memory access"),
];

/// Signal handlers for faults run on this stack, because the program's own may be used up.
const FAULT_STACK_SIZE: usize = 16 << 10;
#[repr(C, align(16))]
struct FaultStack(core::cell::UnsafeCell<[u8; FAULT_STACK_SIZE]>);
// SAFETY: only the kernel and the one handler it starts there touch it.
unsafe impl Sync for FaultStack {}
static FAULT_STACK: FaultStack = FaultStack(core::cell::UnsafeCell::new([0; FAULT_STACK_SIZE]));

#[repr(C)]
struct StackSetting {
    base: usize,
    flags: i32,
    size: usize,
}

#[repr(C)]
struct KernelSigaction {
    handler: usize,
    flags: usize,
    restorer: usize,
    mask: u64,
}

core::arch::global_asm!(
    ".section .text.linuxu_restorer, \"ax\"",
    ".globl linuxu_restorer",
    "linuxu_restorer:",
    "mov eax, 15", // rt_sigreturn
    "syscall",
    "ud2",
);

unsafe extern "C" {
    fn linuxu_restorer();
}

/// Installs `handler` for `signal`, to run on the fault stack when `flags` says so.
fn install(signal: usize, handler: *const (), flags: usize, mask: u64) {
    let action = KernelSigaction {
        handler: handler as usize,
        flags: flags | SA_RESTORER,
        restorer: linuxu_restorer as *const () as usize,
        mask,
    };
    // SAFETY: the kernel reads one sigaction with an 8-byte mask.
    unsafe { sys::call(sys::RT_SIGACTION, [signal, &raw const action as usize, 0, 8, 0, 0]) };
}

/// A handler of a signal that is an interrupt.
pub type InterruptHandler = extern "C" fn(i32, *const SignalInfo, *mut SignalContext);

/// Installs the handler of a signal that is an interrupt. It runs on the interrupted stack and
/// blocks no signal: it may switch to a flow of control that the kernel knows nothing of.
pub fn install_interrupt(signal: usize, handler: InterruptHandler) {
    install(signal, handler as *const (), SA_SIGINFO | SA_NODEFER, 0);
}

/// The same for a handler that only notes something: it stays on its host thread, because the
/// signals of `blocked`, which can move flows to others, wait until it ends.
pub fn install_note(signal: usize, handler: InterruptHandler, blocked: u64) {
    install(signal, handler as *const (), SA_SIGINFO, blocked);
}

/// The stack that this host thread runs fault handlers on.
pub fn set_fault_stack(base: usize) {
    let stack = StackSetting { base, flags: 0, size: FAULT_STACK_SIZE };
    // SAFETY: the stack lives for ever and is used for nothing else.
    unsafe { sys::call(sys::SIGALTSTACK, [&raw const stack as usize, 0, 0, 0, 0, 0]) };
    #[cfg(feature = "smp")]
    crate::local::FAULT_STACK.store(base);
}

/// A stack for the fault handlers of a further host thread.
#[cfg(feature = "smp")]
pub fn map_fault_stack() -> Option<usize> {
    sys::map_memory(FAULT_STACK_SIZE)
}

/// The end of a handler restores the fault stack of the host thread in which it began. When it ends
/// in another, that one keeps its own.
pub fn keep_fault_stack(context: &mut SignalContext) {
    #[cfg(feature = "smp")]
    {
        context.stack = [crate::local::FAULT_STACK.load(), 0, FAULT_STACK_SIZE];
    }
    let _ = context;
}

/// Boot phase `faults`: turns signals for faults into crash reports.
///
/// # Errors
/// None.
pub fn init_faults(_boot: &'static BootInfo) -> Result<(), InitError> {
    set_fault_stack(FAULT_STACK.0.get() as usize);
    // While a handler runs no other does, because handlers share the image's state. Faults
    // excepted: the kernel kills a process whose fault is blocked, without a report.
    let mask = FAULTS.iter().fold(u64::MAX, |mask, (fault, _)| mask & !(1 << (fault - 1)));
    for (signal, _) in FAULTS {
        // A fault in the handler runs it again, on what is left of the same stack, and ends.
        install(signal, on_fault as *const (), SA_SIGINFO | SA_ONSTACK | SA_NODEFER, mask);
    }
    // What the console cannot take is lost; it does not end the image.
    install(SIGPIPE, SIG_IGN, 0, 0);
    Ok(())
}

/// Index of registers in `gregs` of the signal context (sys/ucontext.h of x86-64).
const REG_RBP: usize = 10;
const REG_RSP: usize = 15;
const REG_RIP: usize = 16;

/// `siginfo_t` of a fault.
#[repr(C)]
#[derive(Debug)]
pub struct SignalInfo {
    signal: i32,
    errno: i32,
    code: i32,
    _pad: i32,
    address: usize,
}

/// `ucontext_t` (sys/ucontext.h of x86-64), as far as it is used.
#[repr(C)]
#[derive(Debug)]
pub struct SignalContext {
    flags: u64,
    link: usize,
    stack: [usize; 3],
    registers: [usize; 23],
}

/// Names of `gregs[0..17]`.
const REGISTER_NAMES: [&str; 17] = [
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx", "rdx", "rax",
    "rcx", "rsp", "rip",
];

extern "C" fn on_fault(signal: i32, info: *const SignalInfo, context: *const SignalContext) -> ! {
    // SAFETY: the kernel gives both with SA_SIGINFO, alive while the handler runs.
    let (info, context) = unsafe { (&*info, &*context) };
    let report = report::begin(Exit::Fault);
    let signal = signal as usize;
    let what = FAULTS.iter().find(|(s, _)| *s == signal).map_or("fault", |(_, what)| what);
    let registers = &context.registers;
    ukplat::eprintln!();
    for (index, (name, value)) in REGISTER_NAMES.iter().zip(registers).enumerate() {
        let end = if index % 4 == 3 || index == REG_RIP { "\n" } else { "  " };
        ukplat::eprint!("{:>3} {:016x}{}", name, value, end);
    }
    let frames = |visit: &mut dyn FnMut(usize)| {
        let at = Registers {
            instruction_pointer: registers[REG_RIP],
            frame_pointer: registers[REG_RBP],
            stack_pointer: registers[REG_RSP],
        };
        let bad_fetch = signal == SIGSEGV && info.address == at.instruction_pointer;
        // SAFETY: the addresses are mapped. Where the program lost its stack pointer, reading
        // faults, and the second fault ends the image.
        unsafe { backtrace::walk_fault(at, bad_fetch, stack_above(at.stack_pointer), visit) }
    };
    if signal == SIGSEGV
        && let Some(thread) = stack::overflowed_at(info.address)
    {
        report.end(
            format_args!(
                "fault: stack overflow of thread {} at address {:#x}",
                thread, info.address
            ),
            &frames,
        )
    }
    report.end_at(format_args!("fault: {what}"), info.address, &frames)
}

/// Visits return addresses from a frame pointer of the running code.
pub fn walk_stack(frame_pointer: usize, visit: &mut dyn FnMut(usize)) {
    // SAFETY: the addresses are mapped.
    unsafe { backtrace::walk(frame_pointer, stack_above(frame_pointer), visit) }
}

/// The part of the stack above an address in it: mapped from a frame in use to the end of the stack.
fn stack_above(from: usize) -> Range<usize> {
    if let Some(stack) = stack::current(|stack| stack.above(from)).flatten() {
        return stack;
    }
    #[cfg(feature = "smp")]
    if crate::local::STACK_TOP.load() != 0 {
        return from..crate::local::STACK_TOP.load();
    }
    from..STACK_TOP.load(Ordering::Relaxed)
}
