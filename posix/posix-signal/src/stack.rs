//! Handlers, and the stack they run on.

use ukplat::context::{Context, switch};

use syscall_shim::{Address, Errno, Plain, StackFlags, UserOut, UserPtr, syscall};

use crate::info::Info;
use crate::state::Action;

pub const SA_ONSTACK: u64 = 0x0800_0000;

// Flags of `stack_t` (sigaltstack(2)).
const ON_STACK: i32 = 1;
const DISABLE: i32 = 2;
/// Bytes of an alternate stack at least (`MINSIGSTKSZ`).
const LEAST: usize = 2048;

/// Words of `ucontext_t` (x86-64, C library): flags, link, stack, registers, mask, and room for the
/// registers of the floating-point unit.
pub const CONTEXT_WORDS: usize = 117;
/// Where the mask is in it.
pub const MASK_WORD: usize = 37;

/// `stack_t`.
#[derive(Clone, Copy, Debug, Plain)]
#[repr(C)]
struct StackSetting {
    #[trace(Address)]
    start: usize,
    #[trace(StackFlags)]
    flags: i32,
    #[trace(_)]
    padding: i32,
    len: usize,
}

/// Top of the calling thread's alternate stack, if a handler is to run there and the thread is not
/// there already.
pub fn for_handler(action: &Action) -> Option<usize> {
    let stack = posix_thread::signal_stack();
    let wanted = action.flags & SA_ONSTACK != 0 && !stack.is_empty();
    (wanted && !stack.contains(&here())).then_some(stack.end)
}

/// An address on the stack that is in use.
#[inline(never)]
fn here() -> usize {
    let place = 0u8;
    core::hint::black_box(&raw const place) as usize
}

/// See sigaltstack(2).
#[syscall]
fn sigaltstack(
    new: Option<UserPtr<StackSetting>>,
    old: Option<UserOut<StackSetting>>,
) -> Result<(), Errno> {
    let before = posix_thread::signal_stack();
    let active = before.contains(&here());
    if let Some(new) = new {
        let new = new.read();
        if active {
            return Err(Errno::EPERM);
        }
        let stack = match new.flags & !ON_STACK {
            DISABLE => 0..0,
            0 if new.len < LEAST => return Err(Errno::ENOMEM),
            0 => new.start..new.start.checked_add(new.len).ok_or(Errno::ENOMEM)?,
            _ => return Err(Errno::EINVAL),
        };
        posix_thread::set_signal_stack(stack);
    }
    if let Some(old) = old {
        let flags = match (before.len(), active) {
            (0, _) => DISABLE,
            (_, true) => ON_STACK,
            (_, false) => 0,
        };
        old.write(StackSetting { start: before.start, flags, padding: 0, len: before.len() });
    }
    Ok(())
}

/// What a handler is called with.
pub struct Call {
    pub handler: usize,
    pub info: Info,
    pub context: [u64; CONTEXT_WORDS],
    pub back: Context,
}

impl Call {
    /// Calls the handler.
    pub fn make(&mut self) {
        // SAFETY: the program said that there is a handler. One that takes a number alone does not
        // look at the other arguments.
        let handler = unsafe {
            core::mem::transmute::<usize, unsafe extern "C" fn(i32, *mut Info, *mut u64)>(
                self.handler,
            )
        };
        // SAFETY: as above; both structures live until it returns.
        unsafe { handler(self.info.signal, &raw mut self.info, self.context.as_mut_ptr()) };
    }
}

/// Calls a handler, on the stack with that top if one is given. Returns the mask that it leaves.
///
/// It finds the mask from before in its context, and may change it there; registers are 0 there:
/// the thread goes on by returning.
pub fn call_handler(action: &Action, info: Info, mask: u64, stack_top: Option<usize>) -> u64 {
    extern "C" fn on_alternate(call: usize) -> ! {
        // SAFETY: the call below, whose frame waits.
        let call = unsafe { &mut *(call as *mut Call) };
        call.make();
        let mut nobody = Context::NONE;
        // SAFETY: it was saved when this began, and is used once.
        unsafe { switch(&raw mut nobody, call.back) };
        unreachable!("nobody comes back to a handler that has ended")
    }
    let mut call =
        Call { handler: action.handler, info, context: [0; CONTEXT_WORDS], back: Context::NONE };
    call.context[MASK_WORD] = mask;
    match stack_top {
        None => call.make(),
        // SAFETY: the program said that the stack is for this, and it is not in use. The frame with
        // the call waits until the handler has ended.
        Some(top) => unsafe {
            let there = Context::new(top, on_alternate, &raw mut call as usize);
            let back = &raw mut call.back;
            switch(back, there);
        },
    }
    core::hint::black_box(&call).context[MASK_WORD]
}
