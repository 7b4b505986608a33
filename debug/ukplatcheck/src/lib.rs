//! Checks of what schedulers need from a platform: contexts, the thread pointer, preemption,
//! further CPUs. The self-test runs them inside images.
//!
//! ```
//! ukplatcheck::contexts()?;
//! # Ok::<(), &'static str>(())
//! ```
//!
//! Unsafe code: contexts and their stacks, which are statics of this crate.
#![cfg_attr(not(test), no_std)]

pub mod cpus;
mod preempt;
mod vector;

use core::cell::UnsafeCell;
use core::hint::black_box;

use ukplat::context::{Context, switch};
use ukplat::stack::{self, ThreadStack};

pub use preempt::{guards, preemption};
pub use vector::{has_avx, upper_halves};

/// Size of the stacks of contexts.
const STACK_SIZE: usize = 64 << 10;

/// A stack in a static.
#[repr(C, align(4096))]
struct Stack(UnsafeCell<[u8; STACK_SIZE]>);

// SAFETY: only contexts that are made for it use it, as their stack.
unsafe impl Sync for Stack {}

impl Stack {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; STACK_SIZE]))
    }

    fn top(&self) -> usize {
        self.0.get() as usize + STACK_SIZE
    }
}

/// A context in a static.
struct Slot(UnsafeCell<Context>);

// SAFETY: whoever switches makes sure that nobody else looks at it meanwhile.
unsafe impl Sync for Slot {}

impl Slot {
    const fn new() -> Self {
        Self(UnsafeCell::new(Context::NONE))
    }
}

/// A leaf function: its locals live in vector registers and in the red zone below the stack
/// pointer, where whatever interrupts it would overwrite them.
#[inline(never)]
pub fn leaf(seed: u64) -> u64 {
    let mut words = [0u64; 12];
    let mut sum = 1.0f64;
    let mut x = seed | 1;
    for round in 0..200 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        words[round % 12] ^= x;
        sum = sum * 0.75 + (x >> 40) as f64;
    }
    words.iter().fold(sum.to_bits(), |a, b| a.rotate_left(9) ^ b)
}

static MAIN: Slot = Slot::new();
static OTHER: Slot = Slot::new();
static OTHER_STACK: Stack = Stack::new();

extern "C" fn count(start: usize) -> ! {
    let mut count = start;
    loop {
        count += 1;
        // SAFETY: nothing in the image uses thread-local variables while `contexts` runs.
        unsafe { ukplat::set_thread_pointer(count) };
        // SAFETY: this runs only after a switch that saved `MAIN`.
        unsafe { switch(OTHER.0.get(), *MAIN.0.get()) };
    }
}

/// Two contexts take turns; one sets the thread pointer, the other reads it.
///
/// # Errors
/// What is wrong.
pub fn contexts() -> Result<(), &'static str> {
    const START: usize = 0x1000;
    let thread_pointer = ukplat::thread_pointer();
    // SAFETY: nothing uses the stack now: an earlier context on it is suspended for ever.
    unsafe { *OTHER.0.get() = Context::new(OTHER_STACK.top(), count, START) };
    let expected = leaf(7);
    let mut result = Ok(());
    for round in 0..2_000 {
        let local = black_box(round);
        // SAFETY: `OTHER` is suspended.
        unsafe { switch(MAIN.0.get(), *OTHER.0.get()) };
        if local != round || leaf(black_box(7)) != expected {
            result = Err("a value changed");
        }
        if ukplat::thread_pointer() != START + 1 + round {
            result = Err("the thread pointer is wrong");
        }
    }
    // SAFETY: the value that was there.
    unsafe { ukplat::set_thread_pointer(thread_pointer) };
    result
}

/// Memory for a page table, should one be needed.
static SPARE: Stack = Stack::new();

/// Guards the lowest page of a stack.
fn guard(stack: &'static Stack) -> bool {
    let mut spare = Some(SPARE.0.get() as usize);
    // SAFETY: nobody uses the lowest page of the stack. The spare page is used here alone: both
    // checks guard the same page, for which a table is needed once.
    unsafe { stack::guard(stack.0.get() as usize, &mut || spare.take()) }
}

/// A guarded page is memory again once it is no guard any more.
///
/// # Errors
/// What is wrong.
pub fn guard_pages() -> Result<(), &'static str> {
    let page = OTHER_STACK.0.get();
    if !guard(&OTHER_STACK) {
        return Err("the page cannot be guarded");
    }
    // SAFETY: it was guarded just now.
    unsafe { stack::unguard(page as usize) };
    // SAFETY: the page is memory of the static, which no context uses now.
    unsafe { page.cast::<u8>().write_volatile(1) };
    Ok(())
}

extern "C" fn deep(_argument: usize) -> ! {
    black_box(recurse(1));
    loop {
        core::hint::spin_loop();
    }
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "it ends when the stack is used up")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    recurse(depth + 1) + frame[black_box(0)]
}

/// Uses up the stack of a thread named `tester`.
#[inline(never)]
pub fn overflow_thread_stack() {
    const PAGE: usize = 4096;
    guard(&OTHER_STACK);
    stack::on_query(|tell| {
        let memory = OTHER_STACK.0.get() as usize + PAGE..OTHER_STACK.top();
        tell(&ThreadStack { memory, guard: PAGE, name: "tester" });
    });
    // SAFETY: nothing else uses the stack; the context crashes and does not come back.
    unsafe {
        *OTHER.0.get() = Context::new(OTHER_STACK.top(), deep, 0);
        switch(MAIN.0.get(), *OTHER.0.get());
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn contexts_work_on_the_host() {
        assert_eq!(super::contexts(), Ok(()));
    }
}
