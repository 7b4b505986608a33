//! What other libraries want to do when threads begin and end.

use core::sync::atomic::Ordering;

use ukplat::StaticRef;

use crate::ThreadRef;
use crate::sys::atomic::AtomicUsize;

/// Functions that are called for every thread.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// On the creating thread, before the new one is ready. Returning `false` refuses the thread;
    /// the hooks before it are then told that it ended.
    pub created: fn(ThreadRef) -> bool,
    /// On the thread itself when its work is done; or on the creating one, see `created`.
    pub ended: fn(ThreadRef),
}

/// Hooks at most.
pub const MAX_HOOKS: usize = 8;

static HOOKS: [StaticRef<Hook>; MAX_HOOKS] = [const { StaticRef::new() }; MAX_HOOKS];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Adds a hook, for ever; called in boot phases. Returns `false` when there are [`MAX_HOOKS`].
pub fn add_hook(hook: &'static Hook) -> bool {
    let index = COUNT.fetch_add(1, Ordering::Relaxed);
    match HOOKS.get(index) {
        Some(slot) => {
            slot.set(hook);
            true
        }
        None => false,
    }
}

fn hooks() -> impl DoubleEndedIterator<Item = &'static Hook> {
    HOOKS.iter().filter_map(StaticRef::get)
}

pub fn created(thread: ThreadRef) -> bool {
    for (index, hook) in hooks().enumerate() {
        if !(hook.created)(thread) {
            hooks().take(index).for_each(|hook| (hook.ended)(thread));
            return false;
        }
    }
    true
}

pub fn ended(thread: ThreadRef) {
    hooks().rev().for_each(|hook| (hook.ended)(thread));
}
