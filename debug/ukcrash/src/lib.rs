//! Faults on purpose, for tests of crash reports and memory protection.
//!
//! Unsafe code is the point of this crate: each function does one thing that the machine must
//! stop. None of them returns when protection works; for those that misuse the heap that takes an
//! allocator that looks after its blocks.
//!
//! ```no_run
//! ukcrash::cause("null-read");
//! ```
#![cfg_attr(not(test), no_std)]

use core::hint::black_box;

use ukalloc::Alloc;

/// A way to crash and what does it.
pub type Crash = (&'static str, fn());

/// All ways, by name.
pub const CRASHES: [Crash; 10] = [
    ("null-read", null_read),
    ("null-call", null_call),
    ("write-code", write_code),
    ("write-constant", write_constant),
    ("run-data", run_data),
    ("stack-overflow", stack_overflow),
    ("use-after-free", use_after_free),
    ("double-free", double_free),
    ("heap-overflow", heap_overflow),
    ("heap-overrun", heap_overrun),
];

/// Crashes in the way of that name; returns `false` when there is no such way, and `true` when
/// the machine did not mind.
#[inline(never)]
pub fn cause(name: &str) -> bool {
    match CRASHES.iter().find(|(known, _)| *known == name) {
        Some((_, crash)) => {
            crash();
            true
        }
        None => false,
    }
}

#[inline(never)]
fn null_read() {
    let address = black_box(core::ptr::null::<u8>());
    // SAFETY: none. The page at address 0 is not mapped: the access must fault.
    black_box(unsafe { address.read_volatile() });
}

#[inline(never)]
fn null_call() {
    // The address is chosen not to be null, which a function pointer may not be.
    let address = black_box(16usize);
    // SAFETY: none. The page at address 0 is not mapped: the call must fault.
    unsafe { core::mem::transmute::<usize, fn()>(address)() };
}

#[inline(never)]
fn write_code() {
    let address = black_box(null_read as *const () as *mut u8);
    // SAFETY: none. Code is not writable: the access must fault.
    unsafe { address.write_volatile(0) };
}

#[inline(never)]
fn write_constant() {
    static CONSTANT: [u8; 16] = [7; 16];
    let address = black_box(CONSTANT.as_ptr().cast_mut());
    // SAFETY: none. Constants are not writable: the access must fault.
    unsafe { address.write_volatile(0) };
}

#[inline(never)]
fn run_data() {
    // A return instruction on x86; whatever it is elsewhere, running it must fault before.
    let mut code = [0xc3u8; 64];
    let address = black_box(code.as_mut_ptr());
    // SAFETY: none. The stack is not executable: the call must fault.
    unsafe { core::mem::transmute::<*mut u8, fn()>(address)() };
}

#[inline(never)]
fn stack_overflow() {
    black_box(recurse(1));
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "it ends when the stack is used up")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 32]);
    recurse(depth + 1) + frame[black_box(0)]
}

/// The main heap and a block of 100 bytes.
fn block() -> Option<(&'static dyn Alloc, *mut u8)> {
    let heap = ukalloc::default_heap()?.alloc;
    Some((heap, black_box(heap.malloc(100)))).filter(|(_, block)| !block.is_null())
}

#[inline(never)]
fn use_after_free() {
    let Some((heap, block)) = block() else { return };
    // SAFETY: none. The block was freed: reading it must fault.
    black_box(unsafe {
        heap.free(block);
        block.add(8).read_volatile()
    });
}

#[inline(never)]
fn double_free() {
    let Some((heap, block)) = block() else { return };
    // SAFETY: none. The second call must not return.
    unsafe {
        heap.free(block);
        heap.free(black_box(block));
    }
}

/// Writes the byte after the block, as a text whose end was not counted does.
#[inline(never)]
fn heap_overflow() {
    let Some((heap, block)) = block() else { return };
    // SAFETY: none. The byte is not part of the block, which must be found out at the latest when
    // it is freed.
    unsafe {
        block.add(100).write_volatile(0);
        heap.free(block);
    }
}

/// Reads on and on.
#[inline(never)]
fn heap_overrun() {
    let Some((heap, block)) = block() else { return };
    // SAFETY: none. The block ends after 100 bytes; not far from there reading must fault.
    unsafe {
        for i in 0..8192 {
            black_box(block.add(i).read_volatile());
        }
        heap.free(block);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn unknown_ways_are_refused() {
        assert!(!super::cause("gently"));
    }
}
