//! Signals that report faults of the program, and the reports made of them.

use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use ukarch_x86_64::backtrace::{self, Registers};
use ukarch_x86_64::fault::{self, Faulted, RED_ZONE};
use ukarch_x86_64::trap::TrapFrame;
use ukplat::fault::{Fault, handle as handle_fault, stack_for};
use ukplat::{BootInfo, Exit, InitError, report, stack};

use crate::local::ENABLED;
use crate::sys;

/// Upper end of the stack, from the process entry.
pub static STACK_TOP: AtomicUsize = AtomicUsize::new(0);

const SA_SIGINFO: usize = 4;
const SA_RESTORER: usize = 0x0400_0000;
const SA_ONSTACK: usize = 0x0800_0000;
const SA_NODEFER: usize = 0x4000_0000;
/// The handler that ignores a signal.
const SIG_IGN: *const () = core::ptr::without_provenance(1);

/// The signal of calls that the host does not take for its own, which a handler of faults makes too.
#[cfg(feature = "trap")]
const TRAPS: u64 = 1 << (crate::trap::SIGNAL - 1);
#[cfg(not(feature = "trap"))]
const TRAPS: u64 = 0;

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
    ".section .text.host_calls.restorer, \"ax\"",
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

/// Installs the handler of a signal that the code itself causes. It runs on the fault stack, alone
/// but for faults, and lets the code go on elsewhere.
#[cfg(feature = "trap")]
pub fn install_trap(signal: usize, handler: InterruptHandler) {
    install(signal, handler as *const (), SA_SIGINFO | SA_ONSTACK, all_but_faults());
}

/// While a handler runs no other does, because handlers share the image's state. Faults excepted:
/// the kernel kills a process whose fault is blocked, without a report.
fn all_but_faults() -> u64 {
    FAULTS.iter().fold(u64::MAX, |mask, (fault, _)| mask & !(1 << (fault - 1)))
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
    let mask = all_but_faults() & !TRAPS;
    for (signal, _) in FAULTS {
        // A fault in the handler runs it again, on what is left of the same stack, and ends.
        install(signal, on_fault as *const (), SA_SIGINFO | SA_ONSTACK | SA_NODEFER, mask);
    }
    // What the console cannot take is lost; it does not end the image.
    install(SIGPIPE, SIG_IGN, 0, 0);
    Ok(())
}

/// Index of registers in `gregs` of the signal context (sys/ucontext.h of x86-64).
const REG_RDI: usize = 8;
const REG_RBP: usize = 10;
const REG_RSP: usize = 15;
pub const REG_RIP: usize = 16;
pub const REG_FLAGS: usize = 17;
const REG_ERROR: usize = 19;
const REG_EXCEPTION: usize = 20;
/// Flags that the code of a call must not find set: trap, direction, alignment check.
const WRONG_FLAGS: usize = 1 << 8 | 1 << 10 | 1 << 18;

/// `siginfo_t` of a fault, or of a call that the host refuses.
#[repr(C)]
#[derive(Debug)]
pub struct SignalInfo {
    signal: i32,
    errno: i32,
    /// Why it was sent.
    pub code: i32,
    _pad: i32,
    /// Of the access; of the instruction behind the call.
    pub address: usize,
    /// Of the call.
    pub number: i32,
}

/// `ucontext_t` (sys/ucontext.h of x86-64), as far as it is used.
#[repr(C)]
#[derive(Debug)]
pub struct SignalContext {
    flags: u64,
    link: usize,
    stack: [usize; 3],
    /// `gregs`.
    pub registers: [usize; 23],
    /// The registers of the floating-point unit, as FXSAVE stores them.
    floating_point: *const [u8; 512],
}

/// Names of `gregs[0..17]`.
const REGISTER_NAMES: [&str; 17] = [
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx", "rdx", "rax",
    "rcx", "rsp", "rip",
];

extern "C" fn on_fault(signal: i32, info: *const SignalInfo, context: *mut SignalContext) {
    // SAFETY: the kernel gives both with SA_SIGINFO, alive while the handler runs.
    let (info, context) = unsafe { (&*info, &mut *context) };
    let faulted = faulted(signal, info, context);
    // Codes up to 0 are of signals that somebody sent.
    let Some(top) = Some(&faulted).filter(|_| info.code > 0).and_then(place) else {
        report(&faulted)
    };
    let place = Faulted::place_below(top);
    // SAFETY: the memory is on a stack that the program has for this, below what is in use. Where the
    // stack ends before, the write is a fault of this handler, and reported.
    unsafe {
        core::ptr::copy_nonoverlapping(&raw const faulted, place as *mut Faulted, 1);
        // As if the code that caused the fault had called `handle`.
        ((place - 8) as *mut usize).write(context.registers[REG_RIP]);
    }
    context.registers[REG_RDI] = place;
    context.registers[REG_RSP] = place - 8;
    context.registers[REG_RIP] = handle as *const () as usize;
    context.registers[REG_FLAGS] &= !WRONG_FLAGS;
    keep_fault_stack(context);
}

/// The fault with all that is known.
fn faulted(signal: i32, info: &SignalInfo, context: &SignalContext) -> Faulted {
    let (cs, ss) = fault::segments();
    let word = |index: usize| context.registers[index] as u64;
    let fx = match context.floating_point.is_null() {
        true => [0; 512],
        // SAFETY: the kernel saved them there.
        false => unsafe { context.floating_point.read_unaligned() },
    };
    let mut faulted = Faulted {
        trap: TrapFrame {
            fx,
            registers: [0; 15],
            vector: word(REG_EXCEPTION),
            error: word(REG_ERROR),
            rip: 0,
            cs,
            rflags: word(REG_FLAGS),
            rsp: 0,
            ss,
        },
        address: info.address as u64,
        more: signal as u64,
    };
    faulted.set_registers(&core::array::from_fn(word));
    faulted
}

/// End of the stack on which somebody handles the fault.
fn place(faulted: &Faulted) -> Option<usize> {
    let stack_pointer = faulted.trap.rsp as usize;
    let own = FAULT_STACK.0.get() as usize;
    #[cfg(feature = "smp")]
    let own = match crate::local::FAULT_STACK.load() {
        0 => own,
        base => base,
    };
    // Not faults of handlers: of interrupts, or of this one.
    if ENABLED.load() == 0 || (own..own + FAULT_STACK_SIZE).contains(&stack_pointer) {
        return None;
    }
    stack_for(faulted.trap.vector, stack_pointer, RED_ZONE)
}

unsafe extern "C" fn handle(faulted: *mut Faulted) -> ! {
    // SAFETY: `on_fault` put it there, for this alone.
    let faulted = unsafe { &mut *faulted };
    let handled = faulted.handle(|number, error, address, registers, floating_point| {
        handle_fault(&mut Fault { number, error, address, registers, floating_point })
    });
    if handled {
        // SAFETY: the registers are those of the code that waits for this, or what the program wants.
        unsafe { fault::resume(faulted) }
    }
    report(faulted)
}

/// Reports a signal that nobody can handle.
#[cfg(feature = "trap")]
pub fn report_signal(signal: i32, info: &SignalInfo, context: &SignalContext) -> ! {
    report(&faulted(signal, info, context))
}

fn report(faulted: &Faulted) -> ! {
    let report = report::begin(Exit::Fault);
    let (signal, address) = (faulted.more as usize, faulted.address as usize);
    let what = FAULTS.iter().find(|(s, _)| *s == signal).map_or("fault", |(_, what)| what);
    let registers = faulted.registers().map(|word| word as usize);
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
        let bad_fetch = signal == SIGSEGV && address == at.instruction_pointer;
        // SAFETY: the addresses are mapped. Where the program lost its stack pointer, reading
        // faults, and the second fault ends the image.
        unsafe { backtrace::walk_fault(at, bad_fetch, stack_above(at.stack_pointer), visit) }
    };
    if signal == SIGSEGV
        && let Some(thread) = stack::overflowed_at(address)
    {
        report.end(
            format_args!("fault: stack overflow of thread {thread} at address {address:#x}"),
            &frames,
        )
    }
    report.end_at(format_args!("fault: {what}"), address, &frames)
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
