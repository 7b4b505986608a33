//! What the platform must know of the stacks that a scheduler makes: only for crash reports, so
//! the platform asks when it needs it and nothing is noted at a switch.

use core::fmt;
use core::ops::Range;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use crate::platform::bound;

/// The stack that the current CPU's running thread uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadStack<'a> {
    /// The memory of the stack, all of it readable.
    pub memory: Range<usize>,
    /// Bytes below it that are not accessible, 0 when there is no guard.
    pub guard: usize,
    /// Name of the thread.
    pub name: &'a str,
}

impl ThreadStack<'_> {
    /// Whether an access to `address` left the stack at its end.
    pub fn overflows_at(&self, address: usize) -> bool {
        (self.memory.start.saturating_sub(self.guard)..self.memory.start).contains(&address)
    }

    /// The part of the stack that a walk from `address` may read; `None` when the address belongs
    /// neither to the stack nor to its guard.
    pub fn above(&self, address: usize) -> Option<Range<usize>> {
        let all = self.memory.start.saturating_sub(self.guard)..self.memory.end;
        // A stack pointer in the guard has used the stack up; the frames above are intact.
        all.contains(&address).then(|| address.max(self.memory.start)..self.memory.end)
    }
}

/// Where a platform gets a page that it keeps for ever; `None` when there is none.
pub type Frames<'a> = dyn FnMut() -> Option<usize> + 'a;

/// Makes a page inaccessible, so that a stack above it cannot grow into other memory unnoticed.
/// Returns `false` where the platform cannot, or when there is no memory for its tables: a guard is
/// a safety net, and the stack works without. `frames` gives whole pages of memory at their own
/// addresses, never more than one, and none again for addresses within 2 MiB of earlier ones.
///
/// # Safety
/// The page must be aligned, part of the heap's memory or of the image's variables, and be used by
/// nobody until [`unguard`].
pub unsafe fn guard(page: usize, frames: &mut Frames<'_>) -> bool {
    // SAFETY: the caller's promise.
    unsafe { (bound().stack_guard)(page, true, frames) }
}

/// Makes a page that was [guarded](guard) ordinary memory again. Its content is lost.
///
/// # Safety
/// [`guard`] returned `true` for the page.
pub unsafe fn unguard(page: usize) {
    // SAFETY: the caller's promise. What tables this needs exist.
    unsafe { (bound().stack_guard)(page, false, &mut || None) };
}

/// Calls its argument with the current thread's stack, or not at all outside of threads. It runs
/// while a crash is being reported, on another stack, in whatever state the scheduler is in: it
/// must not wait for locks.
pub type StackHook = fn(&mut dyn FnMut(&ThreadStack<'_>));

static HOOK: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// Sets where platforms learn about the current thread's stack; a scheduler calls it once.
pub fn on_query(hook: StackHook) {
    HOOK.store(hook as *mut (), Relaxed);
}

/// Looks at the current thread's stack; `None` when there is no thread. For platforms.
pub fn current<R>(look: impl FnOnce(&ThreadStack<'_>) -> R) -> Option<R> {
    let hook = HOOK.load(Relaxed);
    if hook.is_null() {
        return None;
    }
    // SAFETY: only `on_query` stores here, and it takes a `StackHook`.
    let hook = unsafe { core::mem::transmute::<*mut (), StackHook>(hook) };
    let (mut look, mut result) = (Some(look), None);
    hook(&mut |stack| {
        if let Some(look) = look.take() {
            result = Some(look(stack));
        }
    });
    result
}

/// A copy of a name, cut to 32 bytes.
#[derive(Clone, Copy, Debug)]
pub struct ShortName {
    bytes: [u8; 32],
    len: usize,
}

impl ShortName {
    fn new(name: &str) -> Self {
        let mut this = Self { bytes: [0; 32], len: name.floor_char_boundary(32) };
        this.bytes[..this.len].copy_from_slice(&name.as_bytes()[..this.len]);
        this
    }
}

impl fmt::Display for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.bytes[..self.len]).unwrap_or_default())
    }
}

/// Name of the current thread, if an access to `address` left its stack at the end. For platforms.
pub fn overflowed_at(address: usize) -> Option<ShortName> {
    current(|stack| stack.overflows_at(address).then(|| ShortName::new(stack.name)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        let stack = ThreadStack { memory: 0x2000..0x4000, guard: 0x1000, name: "t" };
        assert!(stack.overflows_at(0x1000) && stack.overflows_at(0x1fff));
        assert!(!stack.overflows_at(0x2000) && !stack.overflows_at(0xfff));
        assert_eq!(stack.above(0x1800), Some(0x2000..0x4000));
        assert_eq!(stack.above(0x3000), Some(0x3000..0x4000));
        assert_eq!(stack.above(0x4000), None);
    }

    #[test]
    fn the_hook_is_asked() {
        assert_eq!(current(|_| ()), None);
        on_query(|tell| tell(&ThreadStack { memory: 1..2, guard: 0, name: "one" }));
        assert_eq!(current(|stack| stack.name.to_owned()), Some("one".into()));
        assert!(overflowed_at(0).is_none());
        let long = "é".repeat(20);
        assert_eq!(ShortName::new(&long).to_string(), "é".repeat(16));
    }
}
