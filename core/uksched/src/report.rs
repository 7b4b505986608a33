//! What crash reports want to know.

use ukplat::stack::ThreadStack;

/// Tells the platform about the running thread's stack.
pub fn tell_stack(tell: &mut dyn FnMut(&ThreadStack<'_>)) {
    let Some(thread) = crate::cpu::current() else { return };
    let stack = thread.0.stack.get();
    if stack.len == 0 {
        // The platform's own: it knows.
        return;
    }
    let name = thread.name();
    let (memory, guard) = match thread.0.foreign.memory() {
        // Whoever mapped it knows what is below.
        Some(memory) => (memory, 0),
        None => (stack.start()..stack.top(), stack.guard),
    };
    tell(&ThreadStack { memory, guard, name: name.as_str() });
}
