//! Faults that the program handles itself.
//!
//! A fault ends in a crash report, unless somebody here wants it: who delivers signals to a program.
//! The fault is then handled as if the code that caused it had called a function: on its stack, or
//! another one that it has for this, with interrupts as they were.
//!
//! ```
//! use ukplat::fault::{Fault, Handler, Place, handle_with};
//!
//! static HANDLER: Handler = Handler { place: |_, _| Some(Place::Here), handle };
//!
//! /// Makes the code go on behind an instruction of two bytes.
//! fn handle(fault: &mut Fault<'_>) -> bool {
//!     fault.registers[ukplat::fault::INSTRUCTION_POINTER] += 2;
//!     true
//! }
//!
//! handle_with(&HANDLER);
//! ```

use crate::StaticRef;

/// General registers at a fault, in the order of `gregs` of `ucontext_t` (x86-64, `sys/ucontext.h`):
/// r8 to r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, flags.
pub type Registers = [u64; 18];

/// Where the stack pointer is among the [`Registers`].
pub const STACK_POINTER: usize = 15;
/// Where the instruction pointer is among the [`Registers`].
pub const INSTRUCTION_POINTER: usize = 16;

/// A fault.
#[derive(Debug)]
pub struct Fault<'a> {
    /// Number of the exception (Intel SDM volume 3, table 6-1).
    pub number: u64,
    /// Its error code, or 0.
    pub error: u64,
    /// For page faults, the address of the access.
    pub address: usize,
    /// What the code goes on with when the fault was handled.
    pub registers: &'a mut Registers,
    /// Address of the registers of the floating-point unit, as FXSAVE stores them. The code goes on
    /// with them.
    pub floating_point: usize,
}

/// On which stack a fault is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On that of the code that caused it.
    Here,
    /// On the one that ends at this address.
    Below(usize),
}

/// Who handles faults.
#[derive(Debug)]
pub struct Handler {
    /// Tells, from the number of the exception and the stack pointer, where it is handled; nowhere
    /// when it is to be reported. Called with interrupts disabled, on a stack of the platform, while
    /// anything may be locked: it must not wait.
    pub place: fn(u64, usize) -> Option<Place>,
    /// Handles it. It may never return; `false` makes the fault be reported.
    pub handle: fn(&mut Fault<'_>) -> bool,
}

static HANDLER: StaticRef<Handler> = StaticRef::new();

/// Sets who handles faults.
pub fn handle_with(handler: &'static Handler) {
    HANDLER.set(handler);
}

/// End of the stack on which somebody handles a fault; `None` when nobody does. Code may use
/// `red_zone` bytes below its stack pointer. For platforms.
pub fn stack_for(number: u64, stack_pointer: usize, red_zone: usize) -> Option<usize> {
    match (HANDLER.get()?.place)(number, stack_pointer)? {
        // A stack pointer that is lost may be anything.
        Place::Here => stack_pointer.checked_sub(red_zone),
        Place::Below(top) => Some(top),
    }
}

/// Has a fault handled; `false` when it is to be reported. For platforms.
pub fn handle(fault: &mut Fault<'_>) -> bool {
    HANDLER.get().is_some_and(|handler| (handler.handle)(fault))
}
