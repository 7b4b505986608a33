//! Stacks of threads, and a store of those that are free.

use core::cell::UnsafeCell;

use ukalloc::{Alloc, PAGE_SIZE};

/// A piece of memory for a stack: `len` bytes from `base`, of which the lowest `guard` bytes are not
/// accessible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    pub base: usize,
    pub len: usize,
    pub guard: usize,
}

impl Stack {
    /// No stack: that of `main` belongs to the platform.
    pub const NONE: Self = Self { base: 0, len: 0, guard: 0 };

    /// Address of the lowest byte that can be used.
    pub fn start(self) -> usize {
        self.base + self.guard
    }

    /// Address after the last byte.
    pub fn top(self) -> usize {
        self.base + self.len
    }
}

/// Free stacks of the usual size. The first accessible word of each leads to the next.
pub struct Store {
    /// The first, without a base when there is none.
    first: UnsafeCell<Stack>,
    count: UnsafeCell<usize>,
    lock: crate::cpu::Lock,
}

// SAFETY: the cells are only reached through `with`, under the lock.
unsafe impl Sync for Store {}

impl Store {
    pub const fn new() -> Self {
        Self {
            first: UnsafeCell::new(Stack::NONE),
            count: UnsafeCell::new(0),
            lock: crate::cpu::Lock::new(),
        }
    }

    fn with<R>(&self, work: impl FnOnce(&mut Stack, &mut usize) -> R) -> R {
        let _held = self.lock.hold();
        // SAFETY: the lock is held; `work` is code of this file that does not come back here.
        work(unsafe { &mut *self.first.get() }, unsafe { &mut *self.count.get() })
    }

    /// A stack of `len` bytes, from the store when it has the usual size; its content is left over.
    pub fn take(&self, heap: &dyn Alloc, len: usize, usual: usize) -> Option<Stack> {
        if len == usual {
            let stored = self.with(|first, count| {
                let stack = *first;
                if stack == Stack::NONE {
                    return None;
                }
                // SAFETY: stored stacks are memory of their own, with the next one described at
                // their start, written by `put`.
                *first = unsafe { (stack.start() as *const Stack).read() };
                *count -= 1;
                Some(stack)
            });
            if stored.is_some() {
                return stored;
            }
        }
        let base = heap.memalign(PAGE_SIZE, len);
        if base.is_null() {
            return None;
        }
        // Page tables for the guard are pages of the heap that never come back: there is one for
        // two megabytes at most. A collector must not take them, nor read guards.
        let mut frames = || {
            let frame = heap.palloc(1);
            // SAFETY: a new block of a page, if there is one.
            (!frame.is_null() && unsafe { heap.leave_alone(frame) }).then_some(frame as usize)
        };
        // SAFETY: the lowest page of the new stack, which nobody uses; `put` takes the guard away
        // before the memory is used for something else.
        let guarded =
            unsafe { heap.leave_alone(base) && ukplat::stack::guard(base as usize, &mut frames) };
        let guard = if guarded { PAGE_SIZE } else { 0 };
        Some(Stack { base: base as usize, len, guard })
    }

    /// Takes a stack back that nobody uses any more; keeps up to `keep` of the usual size.
    pub fn put(&self, heap: &dyn Alloc, stack: Stack, usual: usize, keep: usize) {
        let kept = stack.len == usual
            && self.with(|first, count| {
                if *count >= keep {
                    return false;
                }
                // SAFETY: the stack is memory that nobody else uses, aligned to pages.
                unsafe { (stack.start() as *mut Stack).write(*first) };
                *first = stack;
                *count += 1;
                true
            });
        if !kept {
            // SAFETY: the guard was made by `take`; the memory is from this heap, also by `take`,
            // and used no more.
            unsafe {
                if stack.guard != 0 {
                    ukplat::stack::unguard(stack.base);
                }
                heap.free(stack.base as *mut u8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ukalloc::{Heap, SpinLock};

    use super::*;

    #[test]
    fn stacks_are_kept_up_to_the_limit() {
        let heap = Heap::new(ukalloc::model::Fixed::new(), SpinLock::new());
        let memory = Box::leak(vec![core::mem::MaybeUninit::uninit(); 1 << 20].into_boxed_slice());
        heap.donate(memory).unwrap();
        let store = Store::new();
        let take = || store.take(&heap, 8192, 8192).unwrap();
        let (a, b, c) = (take(), take(), take());
        assert!(a.base.is_multiple_of(PAGE_SIZE) && a.top() <= b.base);
        let frees = heap.stats().frees;
        for stack in [a, b, c] {
            store.put(&heap, stack, 8192, 2);
        }
        assert_eq!(heap.stats().frees, frees + 1);
        assert_eq!((take(), take()), (b, a));
        let odd = store.take(&heap, 12_288, 8192).unwrap();
        store.put(&heap, odd, 8192, 2);
        assert_ne!(take(), odd);
        assert!(store.take(&heap, 1 << 30, 8192).is_none());
    }
}
